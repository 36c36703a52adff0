//! Reading requests: batches, calls, transactions (MS-TDS 2.2.6.6, 2.2.6.7, 2.2.6.9).

use super::{
    read::{Malformed, Reader, utf16},
    types::{Unread, read_typed},
};
use crate::sql::procedure::{Given, Request};

/// Skips the headers that stand before every request (MS-TDS 2.2.5.3).
fn skip_headers(r: &mut Reader<'_>) -> Result<(), Malformed> {
    let total = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    let inside = total
        .checked_sub(4)
        .ok_or(Malformed("headers shorter than their length"))?;
    let mut headers = Reader::new(r.take(inside)?);
    while !headers.is_empty() {
        let length = usize::try_from(headers.u32()?).unwrap_or(usize::MAX);
        headers.take(
            length
                .checked_sub(4)
                .ok_or(Malformed("a header shorter than its length"))?,
        )?;
    }
    Ok(())
}

/// The text of a batch.
pub(super) fn read_batch(body: &[u8]) -> Result<String, Malformed> {
    let mut r = Reader::new(body);
    skip_headers(&mut r)?;
    let text = r.rest();
    if !text.len().is_multiple_of(2) {
        return Err(Malformed("half a character at the end of a batch"));
    }
    Ok(utf16(text))
}

/// Most parameters of a call, as in SQL Server.
const PARAMETERS: usize = 2100;

/// The calls of one message.
pub(super) fn read_calls(body: &[u8]) -> Result<Vec<Request>, Unread> {
    let mut r = Reader::new(body);
    skip_headers(&mut r)?;
    let mut calls = Vec::new();
    while !r.is_empty() {
        let name = match r.u16()? {
            u16::MAX => {
                let number = r.u16()?;
                let name = by_number(number).ok_or(Malformed(
                    "a procedure's number that the protocol does not have",
                ))?;
                vec![name.to_owned()]
            }
            units => split_name(&r.text(usize::from(units))?),
        };
        let _options = r.u16()?;
        let mut given = Vec::new();
        loop {
            match r.peek() {
                None => break,
                // The next call; 0x80 is how it was told before 7.2, and 0xfe means that it must not run.
                Some(0xff | 0x80) => {
                    r.u8()?;
                    break;
                }
                Some(0xfe) => return Err(Unread::Unknown("A call that must not run")),
                Some(_) => {}
            }
            if given.len() >= PARAMETERS {
                return Err(Malformed("more than 2100 parameters").into());
            }
            let name = r.short_text()?;
            let status = r.u8()?;
            if status & 0x08 != 0 {
                return Err(Unread::Unknown("An encrypted parameter"));
            }
            let (ty, value) = read_typed(&mut r)?;
            given.push(Given {
                name,
                ty,
                value: (status & 2 == 0).then_some(value),
                output: status & 1 != 0,
            });
        }
        calls.push(Request::Call { name, given });
    }
    Ok(calls)
}

/// The procedures that have a number (MS-TDS 2.2.6.6).
fn by_number(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "sp_cursor",
        2 => "sp_cursoropen",
        3 => "sp_cursorprepare",
        4 => "sp_cursorexecute",
        5 => "sp_cursorprepexec",
        6 => "sp_cursorunprepare",
        7 => "sp_cursorfetch",
        8 => "sp_cursoroption",
        9 => "sp_cursorclose",
        10 => "sp_executesql",
        11 => "sp_prepare",
        12 => "sp_execute",
        13 => "sp_prepexec",
        14 => "sp_prepexecrpc",
        15 => "sp_unprepare",
        _ => return None,
    })
}

/// The parts of a name such as `dbo.[my procedure]`. What is no such name stays whole: nothing is called so.
fn split_name(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut chars = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        let close = match chars.peek() {
            Some('[') => Some(']'),
            Some('"') => Some('"'),
            _ => None,
        };
        if let Some(close) = close {
            chars.next();
            loop {
                match chars.next() {
                    Some(c) if c == close => {
                        // Doubled, it stands for itself.
                        if chars.next_if_eq(&close).is_none() {
                            break;
                        }
                        part.push(c);
                    }
                    Some(c) => part.push(c),
                    None => return vec![text.to_owned()],
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                part.push(c);
            }
        }
        parts.push(part);
        match chars.next() {
            None => return parts,
            Some('.') => {}
            Some(_) => return vec![text.to_owned()],
        }
    }
}

/// A request about transactions. `None`: one of distributed transactions.
pub(super) fn read_transaction(body: &[u8]) -> Result<Option<Request>, Malformed> {
    let mut r = Reader::new(body);
    skip_headers(&mut r)?;
    let request = r.u16()?;
    Ok(Some(match request {
        5 => Request::Begin {
            isolation: read_begin(&mut r)?,
        },
        7 | 8 => {
            let name = read_name(&mut r)?;
            let again = if r.u8()? & 1 != 0 {
                Some(read_begin(&mut r)?)
            } else {
                None
            };
            // A name of a commit says nothing: it ends the innermost transaction.
            if request == 7 {
                Request::Commit { again }
            } else {
                Request::Rollback { name, again }
            }
        }
        9 => Request::Save(read_name(&mut r)?),
        0..=8 => return Ok(None),
        _ => {
            return Err(Malformed(
                "a request about transactions that the protocol does not have",
            ));
        }
    }))
}

/// The isolation level that a transaction begins with: 1 READ UNCOMMITTED to 4 SERIALIZABLE, 5 SNAPSHOT, 0 as it was.
fn read_begin(r: &mut Reader<'_>) -> Result<u8, Malformed> {
    let isolation = r.u8()?;
    read_name(r)?;
    if isolation > 5 {
        return Err(Malformed(
            "an isolation level that the protocol does not have",
        ));
    }
    Ok(isolation)
}

/// A name behind one byte that counts its bytes.
fn read_name(r: &mut Reader<'_>) -> Result<String, Malformed> {
    let bytes = r.u8()?;
    r.text(usize::from(bytes / 2))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sql::{types::Type, value::Value};
    use proptest::prelude::*;

    /// The headers of a client outside of any transaction.
    pub(crate) fn headers() -> Vec<u8> {
        let mut out = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
        out.extend([0; 8]);
        out.extend([1, 0, 0, 0]);
        out
    }

    fn utf16(text: &str) -> impl Iterator<Item = u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes)
    }

    #[test]
    fn calls_by_number_and_name_come_in_one_message() {
        let mut body = headers();
        body.extend([0xff, 0xff, 10, 0, 0, 0]);
        body.extend([0, 0, 0xe7, 16, 0, 9, 4, 0xd0, 0, 52, 16, 0]);
        body.extend(utf16("SELECT 1"));
        body.push(0xff);
        body.extend([3, 0]);
        body.extend(utf16("dbo"));
        body.extend([0, 0, 2]);
        body.extend(utf16("@n"));
        body.extend([1, 0x26, 4, 0]);
        let mut calls = read_calls(&body).unwrap().into_iter().map(|r| match r {
            Request::Call { name, given } => (name, given),
            _ => panic!("a call is a call"),
        });
        let (name, given) = calls.next().unwrap();
        assert_eq!(name, ["sp_executesql"]);
        assert_eq!(given[0].value, Some(Value::text("SELECT 1")));
        let (name, given) = calls.next().unwrap();
        assert_eq!(name, ["dbo"]);
        let p = &given[0];
        assert_eq!(
            (p.name.as_str(), p.output, p.ty, &p.value),
            ("@n", true, Type::Int, &Some(Value::Null))
        );
    }

    #[test]
    fn transactions_are_read() {
        let mut body = headers();
        body.extend([7, 0, 0, 1, 2, 4, b'a', 0, b'b', 0]);
        assert!(matches!(
            read_transaction(&body),
            Ok(Some(Request::Commit { again: Some(2) }))
        ));
        let mut body = headers();
        body.extend([8, 0, 2, b'p', 0, 0]);
        assert!(
            matches!(read_transaction(&body), Ok(Some(Request::Rollback { name, again: None })) if name == "p")
        );
    }

    #[test]
    fn names_are_split() {
        assert_eq!(split_name("a.[b].[c]]d]"), ["a", "b", "c]d"]);
        assert_eq!(split_name(r#"tempdb..#"#), ["tempdb", "", "#"]);
        assert_eq!(split_name("[open"), ["[open"]);
    }

    proptest! {
        #[test]
        fn any_batch_arrives(text: String) {
            let mut body = headers();
            body.extend(utf16(&text));
            prop_assert_eq!(read_batch(&body), Ok(text));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut body = headers();
            body.extend(bytes);
            let _ = (read_calls(&body), read_batch(&body), read_transaction(&body));
        }
    }
}
