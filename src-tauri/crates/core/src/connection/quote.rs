//! The quoting rules that formats share. Each works character by character, and each
//! writes into a buffer that is wiped.

use secrecy::zeroize::Zeroizing;

/// Room for `text` when each of its bytes may become `most` bytes, so that the buffer never
/// moves and leaves a copy behind.
fn room(text: &str, most: usize) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(text.len().saturating_mul(most)))
}

/// Doubles `closer`: the inside of `"…"` in ADO.NET strings, of `{…}` in ODBC and JDBC strings.
pub(super) fn doubled(text: &str, closer: char) -> Zeroizing<String> {
    let mut out = room(text, 2);
    for c in text.chars() {
        if c == closer {
            out.push(c);
        }
        out.push(c);
    }
    out
}

/// The inside of a double-quoted value of an ADO.NET string.
pub(super) fn ado_inner(text: &str) -> Zeroizing<String> {
    doubled(text, '"')
}

/// A whole value of an ADO.NET string: `"…"` with `"` doubled.
pub(super) fn ado(text: &str) -> String {
    format!("\"{}\"", ado_inner(text).as_str())
}

/// The inside of a braced value of an ODBC or JDBC string.
pub(super) fn brace_inner(text: &str) -> Zeroizing<String> {
    doubled(text, '}')
}

/// A whole value of an ODBC or JDBC string: `{…}` with `}` doubled.
pub(super) fn brace(text: &str) -> String {
    format!("{{{}}}", brace_inner(text).as_str())
}

/// Percent-encodes every byte but RFC 3986's unreserved ones.
pub(super) fn percent(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    out
}

/// The inside of a single-quoted word of a POSIX shell.
pub(super) fn shell_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 4);
    for c in text.chars() {
        if c == '\'' {
            out.push_str("'\\''");
        } else {
            out.push(c);
        }
    }
    out
}

/// A whole word of a POSIX shell, always quoted.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", shell_inner(text).as_str())
}

/// The inside of a JSON string literal that JavaScript and YAML read alike: what YAML
/// takes for a line break or a byte order mark is escaped too, and nothing else that JSON
/// lets stand (a pair of escaped surrogates is not a character to YAML).
pub(super) fn json_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 6);
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    out.extend(char::from_digit((u32::from(c) >> shift) & 15, 16));
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// A whole JSON string literal.
pub(super) fn json(text: &str) -> String {
    format!("\"{}\"", json_inner(text).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_encoder_outgrows_its_room(text: String) {
            for (encoded, most) in [
                (doubled(&text, 'a'), 2), (percent(&text), 3), (shell_inner(&text), 4), (json_inner(&text), 6),
            ] {
                prop_assert!(encoded.len() <= text.len() * most, "the buffer moved and left a secret behind");
            }
        }
    }
}
