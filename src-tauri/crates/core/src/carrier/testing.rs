//! What the carriers' tests share: hostile texts, whole and with the secret in the middle.

use proptest::prelude::*;

use crate::connection::Text;
use crate::secret::ExposeSecret;

/// What quotes, separates, escapes, expands and comments in some carrier.
const HOSTILE: &[&str] = &[
    "'",
    "''",
    "\"",
    "\"\"",
    "`",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\r",
    "\\$",
    "$",
    "$$",
    "${A}",
    "${A:-b}",
    "$A",
    "$(id)",
    "`id`",
    "%",
    "%%",
    "%A%",
    "!",
    "!!",
    "^",
    "&",
    "|",
    "<",
    ">",
    "<%=1%>",
    "${{ x }}",
    "{{x}}",
    "#",
    " #",
    ":",
    ": ",
    "- ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "*",
    "?",
    "~",
    "@",
    "=",
    ";",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{1}",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2018}",
    "\u{2019}",
    "\u{201b}",
    "\u{2028}",
    "\u{feff}",
    "\u{ffff}",
    "\u{fffe}",
    "\u{e9}",
    "\u{4e2d}",
    "\u{1f600}",
    "null",
    "0x1F",
    "a",
    "B",
    "7",
];

pub(super) fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        1 => any::<char>().prop_filter("no login has it", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..10).prop_map(|v| v.concat())
}

/// A text that is one secret.
pub(super) fn text_of(value: &str) -> Text {
    Text::alone(&value.into())
}

/// Carries `value` in one piece and in three, which must read the same, and reads it with `read`.
pub(super) fn round_trip(
    carrier: &dyn super::Carrier,
    value: &str,
    name: Option<&str>,
    says: bool,
    read: impl Fn(&str) -> Option<String>,
) -> Result<(), TestCaseError> {
    let whole = super::carry(carrier, &text_of(value), name, "NAME_OF_IT");
    let cut = |at: usize| {
        value
            .char_indices()
            .nth(at)
            .map_or(value.len(), |(at, _)| at)
    };
    let third = value.chars().count() / 3;
    let (one, two) = (cut(third), cut(2 * third));
    let pieces = Text::new()
        .plain(&value[..one])
        .hidden(&value[one..two].to_owned().into())
        .plain(&value[two..]);
    let pieces = super::carry(carrier, &pieces, name, "NAME_OF_IT");
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            prop_assert!(
                says,
                "{} carried {:?}, which its reader cannot read",
                carrier.id(),
                value
            );
            let (whole, pieces) = (whole.reveal(), pieces.reveal());
            prop_assert_eq!(
                whole.expose_secret(),
                pieces.expose_secret(),
                "where the secret begins must not matter"
            );
            let found = read(whole.expose_secret());
            prop_assert_eq!(
                found.as_deref(),
                Some(value),
                "{} would be read otherwise: {:?}",
                carrier.id(),
                whole.expose_secret()
            );
        }
        (Err(e), Err(_)) => prop_assert!(!says, "{value:?} can be carried, but: {e}"),
        (a, b) => prop_assert!(false, "the pieces decide: {a:?} {b:?}"),
    }
    Ok(())
}
