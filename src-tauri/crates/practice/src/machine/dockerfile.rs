//! Dockerfiles, as the classic builder of an engine on Windows reads them.

use std::collections::BTreeMap;

use super::refusal::{Answer, Refusal};

/// The longest Dockerfile in bytes, and the most instructions in one.
const LONGEST: usize = 1024 * 1024;
const MOST: usize = 1000;

/// What may begin a line.
const KNOWN: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In capitals.
    pub word: String,
    /// What follows, on one line.
    pub rest: String,
    /// Where it begins, counted from 1.
    pub line: usize,
}

/// A Dockerfile, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What a line that goes on ends with: `\` or a backtick.
    pub escape: char,
    /// Its instructions.
    pub steps: Vec<Step>,
}

fn syntax(line: usize, why: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(format!("dockerfile parse error line {line}: {why}"))
}

/// Reads a Dockerfile.
///
/// # Errors
/// It is none, in moby's words.
pub fn read(text: &str) -> Answer<Dockerfile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > LONGEST {
        return Err(Refusal::invalid("the Dockerfile is too long"));
    }
    let mut escape = '\\';
    let mut directives = true;
    let mut steps: Vec<Step> = Vec::new();
    let mut whole: Option<(usize, String)> = None;
    for (n, line) in text.lines().enumerate() {
        let number = n + 1;
        let line = line.trim_end_matches('\r');
        let bare = line.trim();
        if let Some(remark) = bare.strip_prefix('#') {
            if directives && let Some((name, value)) = remark.split_once('=') {
                match (name.trim().to_ascii_lowercase().as_str(), value.trim()) {
                    ("escape", "`") => escape = '`',
                    ("escape", "\\") => escape = '\\',
                    ("escape", other) => {
                        return Err(syntax(
                            number,
                            format!("invalid ESCAPE '{other}'. Must be ` or \\"),
                        ));
                    }
                    ("syntax", _) => {}
                    _ => directives = false,
                }
            } else {
                directives = false;
            }
            continue;
        }
        directives = false;
        if bare.is_empty() {
            continue;
        }
        let (part, goes_on) = match line.trim_end().strip_suffix(escape) {
            Some(part) => (part, true),
            None => (line, false),
        };
        let (_, joined) = whole.get_or_insert_with(|| (number, String::new()));
        joined.push_str(if joined.is_empty() {
            part.trim_start()
        } else {
            part
        });
        if !goes_on && let Some((begin, joined)) = whole.take() {
            steps.push(step(begin, &joined)?);
        }
    }
    if let Some((begin, joined)) = whole {
        steps.push(step(begin, &joined)?);
    }
    if steps.len() > MOST {
        return Err(Refusal::invalid("the Dockerfile has too many instructions"));
    }
    match steps.iter().find(|step| step.word != "ARG") {
        None => Err(Refusal::invalid(
            "the Dockerfile (Dockerfile) cannot be empty",
        )),
        Some(first) if first.word != "FROM" => {
            Err(Refusal::invalid("no build stage in current context"))
        }
        Some(_) => Ok(Dockerfile { escape, steps }),
    }
}

fn step(line: usize, text: &str) -> Answer<Step> {
    let text = text.trim();
    let (word, rest) = text
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((text, ""));
    let word = word.to_ascii_uppercase();
    if !KNOWN.contains(&word.as_str()) {
        return Err(syntax(line, format!("unknown instruction: {word}")));
    }
    let rest = rest.trim().to_owned();
    if rest.is_empty() && word != "CMD" && word != "ENTRYPOINT" {
        return Err(syntax(
            line,
            format!("{word} requires at least one argument"),
        ));
    }
    Ok(Step { word, rest, line })
}

/// Splits a line into words: blanks part them, quotes keep them together, the escape sign takes the
/// meaning of the next sign away.
#[must_use]
pub fn words(text: &str, escape: char) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, quote) {
            (s, Some(q)) if s == q => quote = None,
            (s, None) if s == '"' || s == '\'' => {
                quote = Some(s);
                word.get_or_insert_default();
            }
            (s, q) if s == escape && q != Some('\'') => {
                // Before anything but a sign of the syntax it stands for itself, as in a path of Windows.
                let next = signs.next_if(|n| {
                    *n == '"' || *n == '\'' || *n == escape || n.is_whitespace() || *n == '$'
                });
                word.get_or_insert_default().push(next.unwrap_or(s));
            }
            (s, None) if s.is_whitespace() => all.extend(word.take()),
            (s, _) => word.get_or_insert_default().push(s),
        }
    }
    all.extend(word);
    all
}

/// Reads `a=b c="d e"`, or the older `a b c`.
///
/// # Errors
/// It is neither.
pub fn pairs(step: &Step, escape: char) -> Answer<Vec<(String, String)>> {
    let all = words(&step.rest, escape);
    if !all.first().is_some_and(|word| word.contains('=')) {
        let (name, value) = step
            .rest
            .split_once(|c: char| c.is_whitespace())
            .ok_or_else(|| syntax(step.line, format!("{} must have two arguments", step.word)))?;
        let value = words(value, escape).join(" ");
        return Ok(vec![(name.to_owned(), value)]);
    }
    all.into_iter()
        .map(|word| {
            word.split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .ok_or_else(|| {
                    syntax(
                        step.line,
                        format!("Syntax error - can't find = in \"{word}\". Must be of the form: name=value"),
                    )
                })
        })
        .collect()
}

/// Fills in `$name`, `${name}`, `${name:-word}` and `${name:+word}`.
///
/// # Errors
/// A brace is not closed, or what is in it is not known.
pub fn expand(text: &str, escape: char, values: &BTreeMap<String, String>) -> Answer<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let value = |name: &str| values.get(name).map_or("", String::as_str);
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        if let Some(before) = before.strip_suffix(escape) {
            out.push_str(before);
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(before);
        if let Some(braced) = after.strip_prefix('{') {
            let (inside, tail) = braced.split_once('}').ok_or_else(|| {
                Refusal::invalid(format!(
                    "failed to process \"{text}\": syntax error: missing '}}'"
                ))
            })?;
            match inside.split_once(':') {
                None if is_name(inside) => out.push_str(value(inside)),
                Some((name, word)) if is_name(name) && word.starts_with('-') => {
                    let set = value(name);
                    out.push_str(if set.is_empty() {
                        word.get(1..).unwrap_or_default()
                    } else {
                        set
                    });
                }
                Some((name, word)) if is_name(name) && word.starts_with('+') => {
                    if !value(name).is_empty() {
                        out.push_str(word.get(1..).unwrap_or_default());
                    }
                }
                _ => {
                    return Err(Refusal::invalid(format!(
                        "failed to process \"{text}\": unsupported modifier in substitution"
                    )));
                }
            }
            rest = tail;
        } else {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            if is_name(name) {
                out.push_str(value(name));
            } else {
                out.push('$');
                out.push_str(name);
            }
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A command: a list in JSON as it is, or a line for the shell.
#[must_use]
pub fn command(rest: &str, shell: &[String]) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(rest) {
        return list;
    }
    shell.iter().cloned().chain([rest.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_for_windows_is_read_as_the_engine_reads_it() {
        let file = read(
            "# escape=`\n# a remark\nARG TAG=ltsc2022\nFROM base:${TAG}\r\nLABEL a=b `\n   # inside\n   c=\"d e\"\nRUN dir C:\\\nENV P=C:\\x\n",
        )
        .unwrap();
        assert_eq!(file.escape, '`');
        let seen: Vec<_> = file
            .steps
            .iter()
            .map(|s| (s.word.as_str(), s.rest.as_str()))
            .collect();
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert_eq!(
            seen[3],
            ("RUN", "dir C:\\"),
            "a backslash at the end goes on with nothing here"
        );
        assert_eq!(
            pairs(&file.steps[2], '`').unwrap(),
            [
                ("a".to_owned(), "b".to_owned()),
                ("c".to_owned(), "d e".to_owned())
            ]
        );
        assert_eq!(
            pairs(&file.steps[4], '`').unwrap(),
            [("P".to_owned(), "C:\\x".to_owned())]
        );
        for (text, why) in [
            ("", "cannot be empty"),
            ("RUN x", "no build stage"),
            ("FROM x\nFLY y", "unknown instruction: FLY"),
            ("FROM", "requires at least one argument"),
            ("# escape=x\nFROM y", "invalid ESCAPE"),
        ] {
            let refused = read(text).unwrap_err().message;
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn values_are_filled_in_as_the_engine_fills_them_in() {
        let values = [("A".to_owned(), "1".to_owned())].into();
        let out = |text| expand(text, '\\', &values).unwrap();
        assert_eq!(
            out("$A-${A}-${B:-2}-${A:+3}-${B:+4}-\\$A-$"),
            "1-1-2-3--$A-$"
        );
        assert!(expand("${A", '\\', &values).is_err());
        assert!(expand("${A%x}", '\\', &values).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,80}", escape in "[`\\\\]") {
            let escape = escape.chars().next().unwrap();
            let _ = read(&text);
            let _ = words(&text, escape);
            let _ = expand(&text, escape, &BTreeMap::new());
        }
    }
}
