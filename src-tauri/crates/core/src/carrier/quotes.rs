//! The three kinds of quotes that readers of `.env` files take, and what fits between them.

use secrecy::zeroize::Zeroizing;

use super::encode;
use crate::connection::Text;

/// Writes `NAME=` and the text between two of `quote`, by `encode`.
pub(super) fn assign(
    text: &Text,
    name: &str,
    quote: &str,
    encode: impl Fn(&str) -> Zeroizing<String>,
) -> Text {
    text.carried((&format!("{name}={quote}"), quote), encode)
}

/// What `dotenv` for Node reads back as `value`: the quote, or none for a bare value, and whether line breaks are
/// written as `\n` and `\r`. After its source: one expression finds `'…'`, `"…"` or `` `…` `` up to a quote that
/// only a comment or the line's end follows, and otherwise the whole line up to `#`; the outer quotes
/// are taken off; `\n` and `\r` become line breaks between `"`. All `\r` of the file become `\n` first.
pub(super) fn node(value: &str) -> Option<(&'static str, bool)> {
    if value.ends_with('\\') {
        // The quote behind it would be taken for an escaped one as soon as a later line of the file has
        // another, so that only a bare value can end so.
        return bare(value).then_some(("", false));
    }
    let carriage_return = value.contains('\r');
    let none_of = |quote: char| !carriage_return && !value.contains(quote);
    if none_of('\'') {
        return Some(("'", false));
    }
    if none_of('`') {
        return Some(("`", false));
    }
    if !value.contains('"') && !value.contains("\\n") && !value.contains("\\r") {
        return Some(("\"", true));
    }
    // With an inner quote no quoted form fits, and the line is taken as it is without its outer quotes.
    (!value.contains(ENDS)).then_some(("'", false))
}

/// What ends a value that is not in quotes, or begins a line to its expression.
const ENDS: [char; 5] = ['#', '\n', '\r', '\u{2028}', '\u{2029}'];

/// Whether a value without quotes comes through.
fn bare(value: &str) -> bool {
    // JavaScript trims the byte order mark too.
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    !value.contains(ENDS)
        && !value.starts_with(['\'', '"', '`'])
        && !value.starts_with(blank)
        && !value.ends_with(blank)
}

/// The encoder for [`node`]'s answer.
pub(super) fn node_encoder(lines: bool) -> impl Fn(&str) -> Zeroizing<String> {
    move |text| {
        if lines {
            encode::escaped_lines(text, "")
        } else {
            encode::raw(text)
        }
    }
}
