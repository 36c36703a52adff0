//! Collations: how text compares, and how `varchar` is encoded.

use std::cmp::Ordering;

/// What a collation's name says. The order of letters is Unicode's after folding, not a language's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collation {
    pub(crate) ignore_case: bool,
    pub(crate) ignore_accent: bool,
    pub(crate) binary: bool,
    pub(crate) utf8: bool,
}

impl Collation {
    /// The default of every instance that was not asked for another one.
    pub(crate) const DEFAULT_NAME: &'static str = "SQL_Latin1_General_CP1_CI_AS";

    pub(crate) const DEFAULT: Self = Self {
        ignore_case: true,
        ignore_accent: false,
        binary: false,
        utf8: false,
    };

    /// Reads a name such as `Latin1_General_100_CI_AS_SC_UTF8`. `None`: not built like one.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        if name.len() > 128 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let parts: Vec<&str> = upper.split('_').collect();
        let has = |p: &str| parts.contains(&p);
        let binary = has("BIN") || has("BIN2");
        if parts.len() < 2 || !(binary || ((has("CI") || has("CS")) && (has("AI") || has("AS")))) {
            return None;
        }
        Some(Self {
            ignore_case: has("CI"),
            ignore_accent: has("AI"),
            binary,
            utf8: has("UTF8"),
        })
    }

    /// The five bytes of MS-TDS 2.2.5.1.2.
    pub(crate) fn wire(self) -> [u8; 5] {
        if self == Self::DEFAULT {
            // SQL_Latin1_General_CP1_CI_AS: LCID 0x0409, flags, sort order 52.
            return [0x09, 0x04, 0xd0, 0x00, 0x34];
        }
        let mut flags: u32 = 0;
        if self.binary {
            flags |= 0x20;
        } else {
            // Width and kana are ignored unless a name says otherwise.
            flags |= u32::from(self.ignore_case) | (u32::from(self.ignore_accent) << 1) | 0x0c;
        }
        if self.utf8 {
            flags |= 0x40;
        }
        let version: u32 = if self.utf8 { 2 } else { 0 };
        let word = 0x0409_u32 | (flags << 20) | (version << 28);
        let [a, b, c, d] = word.to_le_bytes();
        [a, b, c, d, 0]
    }

    /// Compares as SQL Server does: trailing spaces do not count.
    pub(crate) fn compare(self, a: &str, b: &str) -> Ordering {
        let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
        if self.binary {
            return a.encode_utf16().cmp(b.encode_utf16());
        }
        let fold = |c: char| self.fold(c);
        let folded = a.chars().map(fold).cmp(b.chars().map(fold));
        match folded {
            Ordering::Equal if !self.ignore_case => {
                // Upper and lower case stand side by side, the lower first.
                a.chars()
                    .map(char::is_uppercase)
                    .cmp(b.chars().map(char::is_uppercase))
                    .then_with(|| {
                        if self.ignore_accent {
                            Ordering::Equal
                        } else {
                            a.cmp(b)
                        }
                    })
            }
            other => other,
        }
    }

    /// One character as it counts in a comparison.
    pub(crate) fn fold(self, c: char) -> char {
        if self.binary {
            return c;
        }
        let mut lower = c.to_lowercase();
        let first = lower.next().unwrap_or(c);
        let c = if lower.next().is_none() { first } else { c };
        if self.ignore_accent {
            without_accent(c)
        } else {
            c
        }
    }

    /// The text as a key: two texts are equal exactly when their keys are.
    pub(crate) fn key(self, text: &str) -> String {
        let text = text.trim_end_matches(' ');
        if self.binary || !self.ignore_case {
            text.to_owned()
        } else {
            text.chars().map(|c| self.fold(c)).collect()
        }
    }
}

fn without_accent(c: char) -> char {
    match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        _ => c,
    }
}

/// Windows-1252 for 0x80 to 0x9f; the other bytes are Latin-1. Zero: unassigned, kept as the control character.
const HIGH: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
    0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

/// One byte of code page 1252.
fn from_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => match HIGH.get(usize::from(byte).wrapping_sub(0x80)) {
            Some(0) | None => char::from(byte),
            Some(unit) => char::from_u32(u32::from(*unit)).unwrap_or('?'),
        },
        _ => char::from(byte),
    }
}

/// A character in code page 1252; `None` where it has no place there.
fn to_1252(c: char) -> Option<u8> {
    let code = u32::from(c);
    match code {
        0..=0x7f | 0xa0..=0xff => u8::try_from(code).ok(),
        _ => HIGH
            .iter()
            .position(|unit| *unit != 0 && u32::from(*unit) == code)
            .or_else(|| {
                (0x80..=0x9f)
                    .contains(&code)
                    .then(|| usize::try_from(code).unwrap_or(0).wrapping_sub(0x80))
            })
            .and_then(|at| u8::try_from(at.saturating_add(0x80)).ok()),
    }
}

impl Collation {
    /// `varchar` bytes of a text; what the code page lacks becomes `?`, as in SQL Server.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        if self.utf8 {
            return text.as_bytes().to_vec();
        }
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            match to_1252(c) {
                Some(b) => out.push(b),
                // A character of two UTF-16 units becomes two question marks.
                None => out.extend(std::iter::repeat_n(b'?', c.len_utf16())),
            }
        }
        out
    }

    /// The text of `varchar` bytes.
    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        if self.utf8 {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            bytes.iter().map(|b| from_1252(*b)).collect()
        }
    }

    /// The text as it survives a stay in `varchar`.
    pub(crate) fn narrow(self, text: &str) -> String {
        if self.utf8 || text.is_ascii() {
            text.to_owned()
        } else {
            self.decode(&self.encode(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_say_how_text_compares() {
        let ci = Collation::parse("SQL_Latin1_General_CP1_CI_AS").unwrap();
        assert_eq!(ci, Collation::DEFAULT);
        assert_eq!(ci.compare("ABC  ", "abc"), Ordering::Equal);
        assert_ne!(ci.compare("é", "e"), Ordering::Equal);
        let cs = Collation::parse("Latin1_General_100_CS_AI_SC_UTF8").unwrap();
        assert!(cs.utf8 && cs.ignore_accent && !cs.ignore_case);
        assert_ne!(cs.compare("a", "A"), Ordering::Equal);
        let bin = Collation::parse("Latin1_General_BIN2").unwrap();
        assert_eq!(bin.compare("a", "B"), Ordering::Greater);
        for wrong in ["", "Latin1", "x; DROP", "Latin1_General"] {
            assert!(Collation::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_of_the_code_page_goes_round(bytes: Vec<u8>) {
            let c = Collation::DEFAULT;
            prop_assert_eq!(c.encode(&c.decode(&bytes)), bytes);
        }

        #[test]
        fn equal_texts_have_equal_keys(a in "[aAbB é]{0,6}", b in "[aAbB é]{0,6}") {
            let c = Collation::DEFAULT;
            prop_assert_eq!(c.compare(&a, &b) == Ordering::Equal, c.key(&a) == c.key(&b));
        }
    }
}
