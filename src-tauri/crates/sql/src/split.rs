//! `GO`: the line that divides a script into batches.
//!
//! `GO` is no T-SQL. Client tools know it: a line that holds nothing else but it, a count and a
//! comment (`GO 5 -- five times`), outside of any string, quoted name or comment. Source: the
//! documentation of `sqlcmd`; for comments behind it, the behaviour of SSMS.

/// A piece of a script. The texts of all pieces, joined, are the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// What goes to the server in one go; may be blank.
    Batch {
        /// Its text.
        text: &'a str,
        /// The script's line where it starts, from 1.
        line: u32,
    },
    /// A `GO` line, with its line end.
    Separator {
        /// Its text.
        text: &'a str,
        /// How often the batch before it is to run.
        count: u32,
    },
}

impl<'a> Piece<'a> {
    /// The piece of the script.
    #[must_use]
    pub fn text(&self) -> &'a str {
        match self {
            Self::Batch { text, .. } | Self::Separator { text, .. } => text,
        }
    }
}

/// Something to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Its text, not blank.
    pub text: &'a str,
    /// The script's line where it starts, from 1.
    pub line: u32,
    /// How often it is to run.
    pub count: u32,
}

/// What to run, in order: blank batches left out, counts taken from the `GO` behind them.
#[must_use]
pub fn batches(script: &str) -> Vec<Batch<'_>> {
    let mut list: Vec<Batch<'_>> = Vec::new();
    let mut last_was_batch = false;
    for piece in pieces(script) {
        match piece {
            Piece::Batch { text, line } => {
                last_was_batch = !text.trim().is_empty();
                if last_was_batch {
                    list.push(Batch {
                        text,
                        line,
                        count: 1,
                    });
                }
            }
            Piece::Separator { count, .. } => {
                if let Some(batch) = list.last_mut().filter(|_| last_was_batch) {
                    batch.count = count;
                }
                last_was_batch = false;
            }
        }
    }
    list
}

/// Where in T-SQL a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    /// Inside of `'…'`, `"…"` or `[…]`; the character that ends it, unless it is doubled.
    Quotes(char),
    /// Inside of so many `/* … */`; T-SQL nests them.
    Comment(u32),
}

/// Divides a script at its `GO` lines.
#[must_use]
pub fn pieces(script: &str) -> Vec<Piece<'_>> {
    let mut list = Vec::new();
    let mut within = Within::Code;
    // Where the current batch starts, in bytes and lines.
    let (mut start, mut start_line) = (0_usize, 1_u32);
    let (mut at, mut line) = (0_usize, 1_u32);
    let slice = |from: usize, to: usize| script.get(from..to).unwrap_or_default();
    for text in script.split_inclusive('\n') {
        let end = at.saturating_add(text.len());
        match (within, go(text)) {
            (Within::Code, Some(count)) => {
                if start < at {
                    list.push(Piece::Batch {
                        text: slice(start, at),
                        line: start_line,
                    });
                }
                list.push(Piece::Separator { text, count });
                start = end;
                start_line = line.saturating_add(1);
            }
            _ => within = after(text, within),
        }
        at = end;
        line = line.saturating_add(1);
    }
    if start < at {
        list.push(Piece::Batch {
            text: slice(start, at),
            line: start_line,
        });
    }
    list
}

/// The count of a `GO` line; None for any other line. A count that no `u32` holds is no count.
fn go(line: &str) -> Option<u32> {
    let line = line.trim();
    let (word, rest) = line.split_at_checked(2)?;
    if !word.eq_ignore_ascii_case("go") {
        return None;
    }
    let rest = rest.split_once("--").map_or(rest, |(before, _)| before);
    if rest.is_empty() {
        return Some(1);
    }
    let number = rest.trim();
    match rest.chars().next() {
        Some(c) if c.is_whitespace() && number.is_empty() => Some(1),
        Some(c) if c.is_whitespace() && number.chars().all(|c| c.is_ascii_digit()) => {
            number.parse().ok()
        }
        _ => None,
    }
}

/// Where the end of a line is, if its start is `within`.
fn after(line: &str, mut within: Within) -> Within {
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        within = match within {
            Within::Code => match (c, next) {
                ('\'' | '"', _) => Within::Quotes(c),
                ('[', _) => Within::Quotes(']'),
                ('-', Some('-')) => return Within::Code,
                ('/', Some('*')) => {
                    chars.next();
                    Within::Comment(1)
                }
                _ => Within::Code,
            },
            Within::Quotes(end) if c == end => {
                if next == Some(end) {
                    chars.next();
                    within
                } else {
                    Within::Code
                }
            }
            Within::Quotes(_) => within,
            Within::Comment(depth) => match (c, next) {
                ('/', Some('*')) => {
                    chars.next();
                    Within::Comment(depth.saturating_add(1))
                }
                ('*', Some('/')) => {
                    chars.next();
                    if depth <= 1 {
                        Within::Code
                    } else {
                        Within::Comment(depth - 1)
                    }
                }
                _ => within,
            },
        };
    }
    within
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(script: &str, expected: &[(&str, u32, u32)]) {
        let found: Vec<_> = batches(script)
            .iter()
            .map(|b| (b.text, b.line, b.count))
            .collect();
        assert_eq!(found, expected, "{script:?}");
    }

    #[test]
    fn go_divides_a_script() {
        check("a\nGO\nb", &[("a\n", 1, 1), ("b", 3, 1)]);
        check("a\r\ngo\r\nb\r\n", &[("a\r\n", 1, 1), ("b\r\n", 3, 1)]);
        check(
            "a\n  Go 5 -- five times\nb\nGO",
            &[("a\n", 1, 5), ("b\n", 3, 1)],
        );
        check("GO\nGO\n\nGO\na", &[("a", 5, 1)]);
        check("a\nGO 0\nb", &[("a\n", 1, 0), ("b", 3, 1)]);
        check("", &[]);
        check("a\nGO\nGO 3\n", &[("a\n", 1, 1)]);
    }

    #[test]
    fn what_only_looks_like_go_does_not() {
        for line in [
            "GOTO x",
            "GO;",
            "GO x",
            "GO 5 x",
            "GO5",
            "x GO",
            "-- GO",
            "GO 99999999999",
            "GO -5",
        ] {
            let script = format!("a\n{line}\nb");
            check(&script, &[(&script, 1, 1)]);
        }
    }

    #[test]
    fn go_inside_of_something_is_part_of_it() {
        for (open, close) in [
            ("'", "'"),
            ("'it''s", "'"),
            ("\"", "\""),
            ("[a]]b", "]"),
            ("/* /* */", "*/"),
            ("/*'", "*/"),
            ("'/*", "'"),
            ("'--", "'"),
        ] {
            let script = format!("x {open}\nGO\n{close} y\nGO\nz");
            let found = batches(&script);
            assert_eq!(found.len(), 2, "{script:?}");
            assert_eq!(found[1].text, "z");
        }
        check("x -- it's\nGO\ny", &[("x -- it's\n", 1, 1), ("y", 3, 1)]);
    }

    proptest! {
        #[test]
        fn nothing_of_a_script_is_lost(script in "(GO|go|Go 3|'|\"|\\[|\\]|/\\*|\\*/|--|[a ü\r\n;5])*") {
            let joined: String = pieces(&script).iter().map(Piece::text).collect();
            prop_assert_eq!(joined, script);
        }

        #[test]
        fn lines_are_counted_as_an_editor_does(script in "(GO\n|a\n|'\n|\\*/\n|/\\*\n|\n)*") {
            let lines: Vec<&str> = script.split_inclusive('\n').collect();
            for batch in batches(&script) {
                let rest: String = lines[batch.line as usize - 1..].concat();
                prop_assert!(rest.starts_with(batch.text), "an error's line would point elsewhere");
            }
        }

        #[test]
        fn a_separator_is_never_inside_of_something(
            parts in proptest::collection::vec(prop_oneof![
                "[a-z \n]{0,9}".prop_map(|s| s.replace("go", "xx")),
                "('([a-z\n\\[/*\"-]|''|\nGO\n)*')",
                "(\"([a-z\n\\['/*-]|\"\"|\nGO\n)*\")",
                "(\\[([a-z\n'\"/*-]|\\]\\]|\nGO\n)*\\])",
                "(/\\*([a-z\n'\"\\[-]|\nGO\n)*\\*/)",
                "(--[a-z'\"\\[/*]*\n)",
            ], 0..8),
        ) {
            // Whatever is quoted whole, a GO between parts is the only one that divides.
            let script = parts.join(" x\nGO\nx ");
            let separators = pieces(&script).iter().filter(|p| matches!(p, Piece::Separator { .. })).count();
            prop_assert_eq!(separators, parts.len().saturating_sub(1), "{}", script);
        }
    }
}
