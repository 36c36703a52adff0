//! Errors and messages that a text raises: RAISERROR, THROW, WAITFOR.

use std::time::{Duration, Instant};

use super::statement::Exec;
use super::{
    convert::{self, Style},
    message::{self, Ends, Message, SqlError, SqlResult},
    output::Output,
    session::Session,
    types::Type,
    value::Value,
};

impl Session {
    pub(super) fn raise(
        &self,
        line: u32,
        (text, severity, state): (&super::ast::Expr, &super::ast::Expr, &super::ast::Expr),
        args: &[super::ast::Expr],
        options: &[String],
        out: &mut dyn Output,
    ) -> Exec<()> {
        let (message, ty) = self.scalar(text)?;
        let number = |v: Value| match v {
            Value::Int(n) => n,
            _ => 0,
        };
        let severity = number(self.scalar_as(severity, Type::Int)?);
        let state =
            u8::try_from(number(self.scalar_as(state, Type::Int)?).clamp(0, 255)).unwrap_or(1);
        let mut values = Vec::new();
        for a in args {
            values.push(self.scalar(a)?);
        }
        let (id, format) = match message {
            Value::Int(n) => (
                i32::try_from(n).unwrap_or(50000),
                format!(
                    "Error {n}, severity {severity}, state {state} was raised, but no message with that error number was found in sys.messages."
                ),
            ),
            v => (50000, convert::to_text(&v, ty, self.style())?),
        };
        let text = printf(&format, &values, self.style())?;
        let class = u8::try_from(severity.clamp(0, 25)).unwrap_or(16);
        if class > 18 {
            self.need_sysadmin(2754, "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.")?;
            if !options.iter().any(|o| o == "LOG") {
                return Err(Message::new(2754, 16, 1, "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.").into());
            }
        }
        let mut m = Message::new(id, class, state, text).at(line);
        m.procedure = self.procedure_name();
        if class <= 10 {
            m.number = if id == 50000 { 50000 } else { id };
            self.last_error
                .set(if options.iter().any(|o| o == "SETERROR") {
                    id
                } else {
                    0
                });
            out.message(&m)?;
            return Ok(());
        }
        if class >= 20 {
            m.ends = Ends::Connection;
        }
        Err(m.into())
    }

    pub(super) fn throw(
        &self,
        parts: Option<&(super::ast::Expr, super::ast::Expr, super::ast::Expr)>,
    ) -> SqlResult<SqlError> {
        let Some((number, text, state)) = parts else {
            let caught = self.caught.borrow().last().cloned();
            return caught.map(|m| Box::new(Message { ends: Ends::Batch, ..m })).ok_or_else(|| {
                Message::new(10704, 15, 1, "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.")
                    .ending(Ends::Batch)
            });
        };
        let (Value::Int(number), Value::Int(state)) = (
            self.scalar_as(number, Type::Int)?,
            self.scalar_as(state, Type::Int)?,
        ) else {
            return Err(message::syntax("THROW", 0));
        };
        if !(50_000..=2_147_483_647).contains(&number) {
            return Err(Message::new(
                35100,
                16,
                10,
                format!(
                    "Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647."
                ),
            ));
        }
        let text = self.text_of(text)?;
        let m = Message::new(
            i32::try_from(number).unwrap_or(50000),
            16,
            u8::try_from(state.clamp(0, 255)).unwrap_or(1),
            text,
        );
        Ok(m.ending(Ends::Batch))
    }

    pub(super) fn wait_for(&self, delay: bool, time: &super::ast::Expr) -> SqlResult<()> {
        let text = self.text_of(time)?;
        let at = super::time::parse(&text, false)
            .filter(|_| text.contains(':'))
            .ok_or_else(|| {
                Message::new(
                    148,
                    15,
                    1,
                    format!("Incorrect time syntax in time string '{text}' used with WAITFOR."),
                )
                .ending(Ends::Batch)
            })?;
        let nanos = super::time::nanos_of_day(at.at.time());
        let wait = if delay {
            Duration::from_nanos(nanos)
        } else {
            let now = super::time::nanos_of_day(super::server::now().time());
            Duration::from_nanos(if nanos >= now {
                nanos.saturating_sub(now)
            } else {
                86_400_000_000_000_u64
                    .saturating_sub(now)
                    .saturating_add(nanos)
            })
        };
        let begun = Instant::now();
        while begun.elapsed() < wait {
            self.check_now()?;
            std::thread::sleep(
                wait.saturating_sub(begun.elapsed())
                    .min(Duration::from_millis(10)),
            );
        }
        Ok(())
    }
}

/// RAISERROR's `%s`, `%d`, `%i`, `%u`, `%x`, `%X`, `%o`, with width and precision; `%%` is a percent sign.
pub(super) fn printf(format: &str, args: &[(Value, Type)], style: Style) -> SqlResult<String> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut next = args.iter();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(f) = chars
            .peek()
            .copied()
            .filter(|c| "-+ 0#123456789.*lhI".contains(*c))
        {
            flags.push(f);
            chars.next();
        }
        let Some(kind) = chars.next() else {
            break;
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        if flags.contains('*') {
            next.next();
        }
        let arg = next.next();
        let left = flags.starts_with('-');
        let digits: String = flags
            .trim_start_matches(['-', '+', ' ', '#'])
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let zero = digits.starts_with('0');
        let width: usize = digits.parse().unwrap_or(0).min(2000);
        let precision: Option<usize> = flags
            .split_once('.')
            .and_then(|(_, p)| p.trim_end_matches(['l', 'h']).parse().ok());
        let text = match (arg, kind) {
            (None | Some((Value::Null, _)), _) => "(null)".to_owned(),
            (Some((Value::Int(n), _)), 'd' | 'i' | 'u') => n.to_string(),
            (Some((Value::Int(n), _)), 'x') => format!("{n:x}"),
            (Some((Value::Int(n), _)), 'X') => format!("{n:X}"),
            (Some((Value::Int(n), _)), 'o') => format!("{n:o}"),
            (Some((v, ty)), 's') if ty.is_text() => {
                let t = convert::to_text(v, *ty, style)?;
                precision.map_or_else(|| t.clone(), |p| t.chars().take(p).collect())
            }
            (Some((v, ty)), 'd' | 'i' | 'u') if ty.is_numeric() => convert::to_text(v, *ty, style)?,
            _ => {
                return Err(Message::new(
                    2786,
                    16,
                    1,
                    "The data type of substitution parameter 1 does not match the expected type of the format specification.",
                ));
            }
        };
        out.push_str(&match (left, zero) {
            (true, _) => format!("{text:<width$}"),
            (_, true) => format!("{text:0>width$}"),
            _ => format!("{text:>width$}"),
        });
        // SQL Server's own bound for a message.
        if out.encode_utf16().count() > 2047 {
            out = out.chars().take(2044).collect::<String>() + "...";
            break;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raiserror_fills_its_places() {
        let args = [
            (Value::Int(7), Type::Int),
            (Value::text("abc"), Type::VarChar(3)),
            (Value::Null, Type::Int),
        ];
        assert_eq!(
            printf("%d of %5s: %s, 100%%", &args, Style::default()).unwrap(),
            "7 of   abc: (null), 100%"
        );
        assert_eq!(
            printf("%05d|%-5s|", &args, Style::default()).unwrap(),
            "00007|abc  |"
        );
        assert_eq!(
            printf("%s", &args, Style::default()).unwrap_err().number,
            2786
        );
    }
}
