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

/// The text itself, for grammars in which what would need quoting cannot be said.
pub(super) fn as_is(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 1);
    out.push_str(text);
    out
}

/// The inside of a braced value where a `}` cannot be escaped, but stands for itself outside of braces: the braces
/// close before it and open again behind it.
pub(super) fn reopened(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 3);
    for c in text.chars() {
        if c == '}' {
            out.push_str("}}{");
        } else {
            out.push(c);
        }
    }
    out
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

/// [`percent`] of what is no secret.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    percent(text).to_string()
}

/// The inside of a single-quoted word of a POSIX shell. The quotes are closed and opened again after a line
/// break: at a prompt of bash a line that begins with `^` changes the one before, between quotes too.
pub(crate) fn shell_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 4);
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '\n' => out.push_str("\n''"),
            c => out.push(c),
        }
    }
    out
}

/// A whole word of a POSIX shell, always quoted, for what is no secret.
#[must_use]
pub fn shell_word(text: &str) -> String {
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

/// The inside of a single-quoted PHP string: only `\\` and `'` mean something in one.
pub(super) fn php_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 2);
    for c in text.chars() {
        if matches!(c, '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A whole single-quoted PHP string.
pub(super) fn php(text: &str) -> String {
    format!("'{}'", php_inner(text).as_str())
}

/// The inside of a JSON string literal in a YAML file that ERB reads first: no `<` is left for it.
pub(super) fn erb_json_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 6);
    for c in text.chars() {
        if c == '<' {
            out.push_str("\\u003c");
        } else {
            out.push_str(json_inner(c.encode_utf8(&mut [0; 4])).as_str());
        }
    }
    out
}

/// The inside of a JSON string literal in a Docker Compose file, where `$$` is a `$`.
pub(super) fn compose_json_inner(text: &str) -> Zeroizing<String> {
    json_inner(doubled(text, '$').as_str())
}

/// A value of a Java properties file as every reader takes it: printable ASCII but `\` and blanks
/// as it is, all else as the escapes of its UTF-16 units.
pub(super) fn properties(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 6);
    for c in text.chars() {
        if c.is_ascii_graphic() && c != '\\' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    out.extend(char::from_digit((u32::from(*unit) >> shift) & 15, 16));
                }
            }
        }
    }
    out
}

/// The inside of a JSON string literal whose text Jinja reads after YAML: what opens a Jinja tag, and the
/// line breaks that Jinja changes, are written as expressions.
pub(super) fn jinja_json_inner(text: &str) -> Zeroizing<String> {
    let mut out = room(text, 13);
    for c in text.chars() {
        match c {
            '{' => out.push_str("{{ '{' }}"),
            // The `\\` is JSON's for the one that Jinja reads.
            '\n' => out.push_str("{{ '\\\\n' }}"),
            '\r' => out.push_str("{{ '\\\\r' }}"),
            c => out.push_str(json_inner(c.encode_utf8(&mut [0; 4])).as_str()),
        }
    }
    out
}

/// Standard base64 of the UTF-8 bytes, with padding.
pub(super) fn base64(text: &str) -> Zeroizing<String> {
    use base64::Engine as _;
    let mut out = Zeroizing::new(String::with_capacity(
        text.len().div_ceil(3).saturating_mul(4),
    ));
    base64::engine::general_purpose::STANDARD.encode_string(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_rule_by_example() {
        let text = "a'\\\"<$ {\n\u{1f600}";
        assert_eq!(php(text), "'a\\'\\\\\"<$ {\n\u{1f600}'");
        assert_eq!(
            erb_json_inner(text).as_str(),
            "a'\\\\\\\"\\u003c$ {\\u000a\u{1f600}"
        );
        assert_eq!(
            compose_json_inner(text).as_str(),
            "a'\\\\\\\"<$$ {\\u000a\u{1f600}"
        );
        assert_eq!(
            properties(text).as_str(),
            "a'\\u005c\"<$\\u0020{\\u000a\\ud83d\\ude00"
        );
        assert_eq!(
            jinja_json_inner("{{\n").as_str(),
            "{{ '{' }}{{ '{' }}{{ '\\\\n' }}"
        );
        assert_eq!(base64("sa").as_str(), "c2E=");
    }

    proptest! {
        #[test]
        fn no_encoder_outgrows_its_room(text: String) {
            for (encoded, most) in [
                (doubled(&text, 'a'), 2), (percent(&text), 3), (shell_inner(&text), 4), (json_inner(&text), 6),
                (php_inner(&text), 2), (as_is(&text), 1), (reopened(&text), 3), (erb_json_inner(&text), 6), (compose_json_inner(&text), 12), (properties(&text), 6),
                (jinja_json_inner(&text), 13),
            ] {
                prop_assert!(encoded.len() <= text.len() * most, "the buffer moved and left a secret behind");
            }
        }
    }
}
