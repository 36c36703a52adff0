//! Functions of texts.

use super::{Args, Function, P, f, many, open};
use crate::sql::{
    convert,
    message::{self, Message, SqlResult},
    query::{LONGEST, eval_like},
    types::{Family, MAX, Type},
    value::Value,
};

fn same(t: &[Type]) -> Type {
    let first = t.first().copied().unwrap_or(Type::NVarChar(4000));
    match first {
        Type::Char(n) => Type::VarChar(n),
        Type::NChar(n) => Type::NVarChar(n),
        t if t.is_text() => t,
        _ => Type::NVarChar(4000),
    }
}

/// The same kind of text, as long as it may get.
fn grown(t: &[Type]) -> Type {
    match same(t) {
        Type::VarChar(MAX) => Type::VarChar(MAX),
        Type::NVarChar(MAX) => Type::NVarChar(MAX),
        Type::VarChar(_) => Type::VarChar(8000),
        _ => Type::NVarChar(4000),
    }
}

fn widest(t: &[Type]) -> Type {
    if t.iter().any(|t| t.length() == Some(MAX)) {
        return if t.iter().any(|t| t.is_unicode()) {
            Type::NVarChar(MAX)
        } else {
            Type::VarChar(MAX)
        };
    }
    if t.iter().any(|t| t.is_unicode()) {
        Type::NVarChar(4000)
    } else {
        Type::VarChar(8000)
    }
}

fn int(_: &[Type]) -> Type {
    Type::Int
}

fn long_if_max(t: &[Type]) -> Type {
    if t.iter().any(|t| t.length() == Some(MAX)) {
        Type::BigInt
    } else {
        Type::Int
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn part(text: &[u16], from: i64, length: i64) -> String {
    let end = from.saturating_add(length);
    let start = usize::try_from(from.max(0))
        .unwrap_or(usize::MAX)
        .min(text.len());
    let end = usize::try_from(end.max(0))
        .unwrap_or(0)
        .clamp(start, text.len());
    String::from_utf16_lossy(text.get(start..end).unwrap_or_default())
}

fn number(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn negative(function: &str) -> message::SqlError {
    Message::new(
        537,
        16,
        2,
        format!("Invalid length parameter passed to the {function} function."),
    )
}

fn bounded(text: String) -> SqlResult<Value> {
    if text.len() > LONGEST {
        Err(message::out_of_memory())
    } else {
        Ok(Value::text(text))
    }
}

/// Finds `needle` as the collation compares; the answer counts UTF-16 units from 1, 0 for "not there".
fn find(a: &Args<'_>, needle: &str, text: &str, from: i64) -> i64 {
    let fold = |s: &str| -> Vec<u16> {
        s.chars()
            .map(|c| a.collation.fold(c))
            .collect::<String>()
            .encode_utf16()
            .collect()
    };
    let (needle, text) = (fold(needle), fold(text));
    let start = usize::try_from(from.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    if needle.is_empty() || start >= text.len() {
        return 0;
    }
    text.get(start..)
        .and_then(|rest| rest.windows(needle.len()).position(|w| w == needle))
        .and_then(|at| i64::try_from(at.saturating_add(start).saturating_add(1)).ok())
        .unwrap_or(0)
}

fn replace(a: &Args<'_>) -> SqlResult<Value> {
    let (text, what, with) = (a.text(0), a.text(1), a.text(2));
    let needle: Vec<char> = what.chars().map(|c| a.collation.fold(c)).collect();
    if needle.is_empty() {
        return Ok(a.value(0).clone());
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0_usize;
    while at < chars.len() {
        let hit = chars
            .get(at..at.saturating_add(needle.len()))
            .is_some_and(|w| {
                w.iter()
                    .map(|c| a.collation.fold(*c))
                    .eq(needle.iter().copied())
            });
        if hit {
            out.push_str(with);
            at = at.saturating_add(needle.len());
        } else {
            out.extend(chars.get(at));
            at = at.saturating_add(1);
        }
        if out.len() > LONGEST {
            return Err(message::out_of_memory());
        }
    }
    Ok(Value::text(out))
}

fn patindex(a: &Args<'_>) -> SqlResult<Value> {
    let (pattern, text) = (a.text(0), a.text(1));
    let anchored = !pattern.starts_with('%');
    let rest = pattern.strip_prefix('%').unwrap_or(pattern);
    let chars: Vec<char> = text.chars().collect();
    let mut position = 1_usize;
    for at in 0..=chars.len() {
        a.s.check()?;
        let tail: String = chars.get(at..).unwrap_or_default().iter().collect();
        if eval_like(&tail, rest, None, a.collation) && (at < chars.len() || chars.is_empty()) {
            return Ok(number(position));
        }
        if anchored {
            break;
        }
        position = position.saturating_add(chars.get(at).map_or(1, |c| c.len_utf16()));
    }
    Ok(Value::Int(0))
}

fn quotename(a: &Args<'_>) -> SqlResult<Value> {
    let text = a.text(0);
    let mark = if a.values.len() > 1 {
        a.text(1).chars().next().unwrap_or('[')
    } else {
        '['
    };
    if text.encode_utf16().count() > 128 {
        return Ok(Value::Null);
    }
    let (open, close) = match mark {
        '[' | ']' => ('[', ']'),
        '(' | ')' => ('(', ')'),
        '<' | '>' => ('<', '>'),
        '{' | '}' => ('{', '}'),
        '\'' | '"' | '`' => (mark, mark),
        _ => return Ok(Value::Null),
    };
    Ok(Value::text(format!(
        "{open}{}{close}",
        text.replace(close, &format!("{close}{close}"))
    )))
}

fn concat(a: &Args<'_>) -> SqlResult<Value> {
    let mut out = String::new();
    for (n, v) in a.values.iter().enumerate() {
        out.push_str(&convert::to_text(v, a.ty_of(n), a.s.style())?);
    }
    bounded(out)
}

fn concat_ws(a: &Args<'_>) -> SqlResult<Value> {
    let separator = convert::to_text(a.value(0), a.ty_of(0), a.s.style())?;
    let mut parts = Vec::new();
    for (n, v) in a.values.iter().enumerate().skip(1) {
        if !v.is_null() {
            parts.push(convert::to_text(v, a.ty_of(n), a.s.style())?);
        }
    }
    bounded(parts.join(&separator))
}

fn datalength(a: &Args<'_>) -> SqlResult<Value> {
    let ty = if a.ty_of(0).family() == Family::Variant {
        a.value(0).own_type()
    } else {
        a.ty_of(0)
    };
    Ok(match a.value(0) {
        Value::Null => Value::Null,
        Value::Text(t) if ty.is_unicode() => number(t.encode_utf16().count().saturating_mul(2)),
        Value::Text(t) => number(a.collation.encode(t).len()),
        Value::Binary(b) => number(b.len()),
        _ => Value::Int(i64::from(ty.max_length())),
    })
}

fn hashbytes(a: &Args<'_>) -> SqlResult<Value> {
    use aws_lc_rs::digest;
    let bytes: Vec<u8> = match a.value(1) {
        Value::Binary(b) => b.to_vec(),
        Value::Text(t) if a.ty_of(1).is_unicode() => {
            t.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        Value::Text(t) => a.collation.encode(t),
        _ => return Ok(Value::Null),
    };
    let algorithm = match a.text(0).to_ascii_uppercase().as_str() {
        "SHA2_256" => &digest::SHA256,
        "SHA2_512" => &digest::SHA512,
        "SHA" | "SHA1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "MD2" | "MD4" | "MD5" => {
            return Err(message::not_implemented(format!(
                "HASHBYTES with {}",
                a.text(0)
            )));
        }
        _ => return Ok(Value::Null),
    };
    Ok(Value::binary(digest::digest(algorithm, &bytes).as_ref()))
}

fn str_function(a: &Args<'_>) -> SqlResult<Value> {
    let length = if a.given(1) {
        a.int(1).clamp(0, 8000)
    } else {
        10
    };
    let decimals = if a.given(2) { a.int(2).clamp(0, 16) } else { 0 };
    let width = usize::try_from(length).unwrap_or(10);
    let whole = format!("{:.0}", a.float(0).trunc());
    if whole.len() > width {
        return Ok(Value::text("*".repeat(width)));
    }
    let room = width.saturating_sub(whole.len()).saturating_sub(1);
    let text = format!(
        "{:.*}",
        usize::try_from(decimals).unwrap_or(0).min(room),
        a.float(0)
    );
    Ok(Value::text(format!("{text:>width$}")))
}

pub(super) const FUNCTIONS: &[Function] = &[
    f("LEN", &[P::Text], 1, long_if_max, |a| {
        Ok(number(
            a.text(0).trim_end_matches(' ').encode_utf16().count(),
        ))
    }),
    open("DATALENGTH", &[P::Any], 1, long_if_max, datalength),
    f("UPPER", &[P::Text], 1, same, |a| {
        Ok(Value::text(a.text(0).to_uppercase()))
    }),
    f("LOWER", &[P::Text], 1, same, |a| {
        Ok(Value::text(a.text(0).to_lowercase()))
    }),
    f("LTRIM", &[P::Text, P::Text], 1, same, |a| {
        Ok(Value::text(a.text(0).trim_start_matches(' ')))
    }),
    f("RTRIM", &[P::Text, P::Text], 1, same, |a| {
        Ok(Value::text(a.text(0).trim_end_matches(' ')))
    }),
    f("TRIM", &[P::Text, P::Text], 1, same, |a| {
        if a.values.len() > 1 {
            let set: Vec<char> = a.text(1).chars().collect();
            return Ok(Value::text(a.text(0).trim_matches(|c| set.contains(&c))));
        }
        Ok(Value::text(a.text(0).trim_matches(' ')))
    }),
    f("LEFT", &[P::Text, P::Int], 2, same, |a| {
        if a.int(1) < 0 {
            Err(negative("left"))
        } else {
            Ok(Value::text(part(&units(a.text(0)), 0, a.int(1))))
        }
    }),
    f("RIGHT", &[P::Text, P::Int], 2, same, |a| {
        if a.int(1) < 0 {
            return Err(negative("right"));
        }
        let u = units(a.text(0));
        let length = i64::try_from(u.len()).unwrap_or(i64::MAX);
        Ok(Value::text(part(
            &u,
            length.saturating_sub(a.int(1)).max(0),
            a.int(1),
        )))
    }),
    f(
        "SUBSTRING",
        &[P::Any, P::BigInt, P::BigInt],
        2,
        |t| match t.first() {
            Some(t) if t.family() == Family::Binary => Type::VarBinary(t.length().unwrap_or(8000)),
            Some(t) if t.is_text() => same(&[*t]),
            _ => Type::NVarChar(4000),
        },
        |a| {
            let length = if a.values.len() > 2 {
                a.int(2)
            } else {
                i64::MAX / 2
            };
            if length < 0 {
                return Err(negative("substring"));
            }
            match a.value(0) {
                Value::Binary(b) => {
                    let start = usize::try_from(a.int(1).saturating_sub(1).max(0))
                        .unwrap_or(usize::MAX)
                        .min(b.len());
                    let end =
                        usize::try_from(a.int(1).saturating_sub(1).saturating_add(length).max(0))
                            .unwrap_or(0)
                            .clamp(start, b.len());
                    Ok(Value::binary(b.get(start..end).unwrap_or_default()))
                }
                v => {
                    let text = convert::to_text(v, a.ty_of(0), a.s.style())?;
                    Ok(Value::text(part(
                        &units(&text),
                        a.int(1).saturating_sub(1),
                        length,
                    )))
                }
            }
        },
    ),
    f("REPLACE", &[P::Text, P::Text, P::Text], 3, grown, replace),
    f(
        "CHARINDEX",
        &[P::Text, P::Text, P::BigInt],
        2,
        long_if_max,
        |a| {
            Ok(Value::Int(find(
                a,
                a.text(0),
                a.text(1),
                if a.values.len() > 2 { a.int(2) } else { 1 },
            )))
        },
    ),
    f("PATINDEX", &[P::Text, P::Text], 2, long_if_max, patindex),
    open(
        "STUFF",
        &[P::Text, P::BigInt, P::BigInt, P::Text],
        4,
        grown,
        |a| {
            let u = units(a.text(0));
            let (start, length) = (a.int(1), a.int(2));
            let size = i64::try_from(u.len()).unwrap_or(i64::MAX);
            if !a.given(0) || !a.given(1) || !a.given(2) || start < 1 || start > size || length < 0
            {
                return Ok(Value::Null);
            }
            let head = part(&u, 0, start.saturating_sub(1));
            let tail = part(&u, start.saturating_sub(1).saturating_add(length), size);
            bounded(format!("{head}{}{tail}", a.text(3)))
        },
    ),
    f("REPLICATE", &[P::Text, P::BigInt], 2, grown, |a| {
        let n = usize::try_from(a.int(1)).unwrap_or(usize::MAX);
        if a.int(1) < 0 {
            return Ok(Value::Null);
        }
        // Only a (max) grows past 8000 bytes.
        let limit = match a.ty.length() {
            Some(MAX) | None => LONGEST,
            Some(n) => usize::from(n),
        };
        let size = a.text(0).len().max(1);
        if a.ty.length() == Some(MAX) && size.saturating_mul(n) > LONGEST {
            return Err(message::out_of_memory());
        }
        Ok(Value::text(a.text(0).repeat(n.min(
            limit.checked_div(size).unwrap_or(0).saturating_add(1),
        ))))
    }),
    f(
        "SPACE",
        &[P::Int],
        1,
        |_| Type::VarChar(8000),
        |a| {
            usize::try_from(a.int(0)).map_or(Ok(Value::Null), |n| {
                Ok(Value::text(" ".repeat(n.min(8000))))
            })
        },
    ),
    f("REVERSE", &[P::Text], 1, same, |a| {
        Ok(Value::text(a.text(0).chars().rev().collect::<String>()))
    }),
    f("ASCII", &[P::Text], 1, int, |a| {
        Ok(a.collation
            .encode(a.text(0))
            .first()
            .map_or(Value::Null, |b| Value::Int(i64::from(*b))))
    }),
    f(
        "CHAR",
        &[P::Int],
        1,
        |_| Type::Char(1),
        |a| {
            Ok(u8::try_from(a.int(0))
                .map_or(Value::Null, |b| Value::text(a.collation.decode(&[b]))))
        },
    ),
    f(
        "NCHAR",
        &[P::Int],
        1,
        |_| Type::NChar(1),
        |a| {
            Ok(u32::try_from(a.int(0))
                .ok()
                .and_then(char::from_u32)
                .map_or(Value::Null, |c| Value::text(c.to_string())))
        },
    ),
    f("UNICODE", &[P::Text], 1, int, |a| {
        Ok(a.text(0)
            .encode_utf16()
            .next()
            .map_or(Value::Null, |u| Value::Int(i64::from(u))))
    }),
    open(
        "QUOTENAME",
        &[P::Text, P::Text],
        1,
        |_| Type::NVarChar(258),
        |a| {
            if a.given(0) {
                quotename(a)
            } else {
                Ok(Value::Null)
            }
        },
    ),
    many("CONCAT", &[P::Any, P::Any], 2, widest, concat),
    many("CONCAT_WS", &[P::Any, P::Any], 3, widest, concat_ws),
    f(
        "STR",
        &[P::Float, P::Int, P::Int],
        1,
        |_| Type::VarChar(8000),
        str_function,
    ),
    f(
        "HASHBYTES",
        &[P::Text, P::Any],
        2,
        |_| Type::VarBinary(8000),
        hashbytes,
    ),
    f(
        "PARSENAME",
        &[P::Text, P::Int],
        2,
        |_| Type::SYSNAME,
        |a| {
            let Some(parts) = crate::sql::parse::name(a.text(0)) else {
                return Ok(Value::Null);
            };
            let at = usize::try_from(a.int(1))
                .ok()
                .and_then(|n| parts.len().checked_sub(n));
            Ok(at
                .and_then(|at| parts.get(at))
                .filter(|p| !p.is_empty())
                .map_or(Value::Null, Value::text))
        },
    ),
    open("STRING_ESCAPE", &[P::Text, P::Text], 2, grown, |a| {
        if !a.given(0) {
            return Ok(Value::Null);
        }
        let json = serde_json::to_string(a.text(0)).unwrap_or_default();
        Ok(Value::text(
            json.get(1..json.len().saturating_sub(1)).unwrap_or(""),
        ))
    }),
];
