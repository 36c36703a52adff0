//! `docs/connection-strings.md`: what every format is, cannot say and was proven with. Written by the test run, from what the
//! formats say of themselves and from what came of opening their strings.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use berth_core::connection::{self, Format, Shape};

use crate::rig::programs;

/// Its name in the repository.
pub const NAME: &str = "docs/connection-strings.md";

/// How it is brought up to date.
pub const HOW: &str = "write it anew: `BERTH_WRITE_DOCS=1 tests/suite.sh -p berth-tests --test hostile_passwords -E 'not test(the_page)'`, and the same with `-E 'test(the_page)'`";

/// Where it is.
#[must_use]
pub fn path() -> PathBuf {
    programs::root().join(NAME)
}

/// What it says.
#[must_use]
pub fn text() -> String {
    fs::read_to_string(path()).unwrap_or_default()
}

/// Whether this run writes it.
#[must_use]
pub fn writing() -> bool {
    env::var_os("BERTH_WRITE_DOCS").is_some()
}

fn folder() -> PathBuf {
    programs::root().join("target/page")
}

/// Keeps one line of a test for [`kept`]: each test is a process of its own.
///
/// # Panics
/// When the target folder cannot be written.
pub fn keep(line: &str) {
    let name: String = line
        .chars()
        .take(80)
        .filter(char::is_ascii_alphanumeric)
        .collect();
    fs::create_dir_all(folder()).expect("the target folder can be written");
    fs::write(folder().join(name), line).expect("the target folder can be written");
}

/// All lines that tests kept.
#[must_use]
pub fn kept() -> Vec<String> {
    let files = fs::read_dir(folder()).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .collect()
}

/// The whole page; `proof` answers the lines of a format that real clients opened.
#[must_use]
pub fn write(proof: impl Fn(&str) -> Vec<String>) -> String {
    let mut page = String::from(
        "# Connection strings\n\n<!-- Written by the test run (tests/src/page.rs): change the formats, not this page. -->\n\n\
         `berth connection NAME --format ID` prints what a client takes, right for every legal password; what a client's \
         grammar cannot say is refused with the reason, and never written wrongly. Every value is quoted by one fixed rule.\n\n\
         ## Formats\n\n| id | client | what is printed | it cannot say, or you should know |\n|---|---|---|---|\n",
    );
    for format in connection::formats() {
        let shape = match format.shape() {
            Shape::Value => "a value".to_owned(),
            Shape::Command => "a command line".to_owned(),
            Shape::Snippet(language) => format!("a piece of {}", language.name()),
        };
        let _ = writeln!(
            page,
            "| `{}` | {}. {} | {shape} | {} |",
            format.id(),
            format.name(),
            cell(format.about()),
            cell(&format.limits().join(". "))
        );
    }
    page.push_str(
        "\n## What is written unasked\n\nThe rest of a string is what was asked for. This is not, and why it is there:\n\n\
         | id | | why |\n|---|---|---|\n",
    );
    for format in connection::formats() {
        for (words, why) in format.card().defaults {
            let _ = writeln!(
                page,
                "| `{}` | `{}` | {} |",
                format.id(),
                cell(words),
                cell(why)
            );
        }
    }
    page.push_str(
        "\n## How the server is known\n\nEvery string says whether it is encrypted and whom it trusts, in its driver's own words and \
         never by silence. The rungs, from the safest down: the certificate leads to an authority given as a file; to one that the \
         client's machine trusts; it is exactly the pinned one; any certificate. `refused` means that this client cannot do it.\n\n\
         | id | authority's file | machine's authorities | pinned | not verified |\n|---|---|---|---|---|\n",
    );
    for format in connection::formats() {
        let _ = write!(page, "| `{}` |", format.id());
        for spelling in connection::ladder(*format) {
            let words = spelling
                .words
                .map_or_else(|_| "refused".to_owned(), |w| format!("`{}`", cell(&w)));
            let _ = write!(page, " {words} |");
        }
        page.push('\n');
    }
    page.push_str(
        "\n## Proof\n\nTwo hundred passwords that SQL Server takes, made of what the grammars separate, quote, escape and expand by, \
         with blanks, controls and characters outside the Basic Multilingual Plane, went through each pair of format and client into a \
         login on the practice host: *arrived* is how many logged in, *refused* how many the format refused to write. `make soak` takes \
         10,000 others each. The rest is held by property tests against our own reading of the grammar that is named.\n\n\
         | id | client and version | arrived | refused by the format |\n|---|---|---|---|\n",
    );
    for format in connection::formats() {
        let lines = proof(format.id());
        if lines.is_empty() {
            let _ = writeln!(page, "{}", unproven(*format));
        }
        for line in lines {
            let _ = writeln!(page, "{line}");
        }
    }
    page
}

fn unproven(format: &dyn Format) -> String {
    format!(
        "| `{}` | by our own reading of its grammar: {} | – | – |",
        format.id(),
        cell(format.card().grammar)
    )
}

/// A text that a table's cell can hold.
fn cell(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ").replace('|', "\\|")
}
