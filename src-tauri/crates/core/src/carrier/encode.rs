//! The escapes that carriers share. Each works character by character, and each writes into a
//! buffer that is wiped and never moves, so that no copy of a secret stays behind.

use secrecy::zeroize::Zeroizing;

/// Writes each character by `write`, which adds at most `most` bytes for each byte of it.
pub(super) fn each(
    text: &str,
    most: usize,
    write: impl Fn(char, &mut String),
) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(most)));
    for c in text.chars() {
        write(c, &mut out);
    }
    out
}

/// As it is.
pub(super) fn raw(text: &str) -> Zeroizing<String> {
    each(text, 1, |c, out| out.push(c))
}

/// A backslash before each character of `special`.
pub(super) fn escaped(text: &str, special: &str) -> Zeroizing<String> {
    each(text, 2, |c, out| {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    })
}

/// As [`escaped`], and line breaks as `\n` and `\r`.
pub(super) fn escaped_lines(text: &str, special: &str) -> Zeroizing<String> {
    each(text, 2, |c, out| match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c => {
            if special.contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
    })
}

/// The inside of a double-quoted string that JSON, YAML 1.1 and 1.2 and TOML read alike, where the
/// characters of `more` are escaped too. Nothing is written as a pair of surrogates: that is one
/// character to JSON and none to the others. What YAML does not call printable is escaped.
pub(super) fn quoted(text: &str, more: &str) -> Zeroizing<String> {
    each(text, 6, |c, out| write_quoted(c, more, out))
}

/// One character of [`quoted`].
pub(super) fn write_quoted(c: char, more: &str, out: &mut String) {
    match c {
        '"' | '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{feff}'
        | '\u{fffe}'
        | '\u{ffff}' => escape(c, out),
        c if more.contains(c) => escape(c, out),
        _ => out.push(c),
    }
}

/// `\uXXXX`, for a character of the Basic Multilingual Plane.
fn escape(c: char, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(char::from_digit((u32::from(c) >> shift) & 15, 16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_encoder_outgrows_its_room(text: String) {
            for (encoded, most) in [
                (raw(&text), 1), (escaped(&text, "a'"), 2), (escaped_lines(&text, "a'"), 2),
                (crate::connection::quote::shell_inner(&text), 4), (quoted(&text, "<"), 6),
            ] {
                prop_assert!(encoded.len() <= text.len() * most, "the buffer moved and left a secret behind");
            }
        }
    }
}
