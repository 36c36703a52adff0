//! What a host asks whoever signs in, on the terminal.

use std::collections::BTreeMap;

use berth_api::dto;
use berth_core::{Result, Secret};

use crate::{
    render,
    session::{ask_line, ask_secret, can_ask},
};

/// Asks each prompt; `false` where nobody is there. The answers are named as `host.answer` wants them.
pub(crate) async fn answer(
    question: &dto::Question,
    answers: &mut BTreeMap<String, Secret>,
) -> Result<bool> {
    if !can_ask() {
        return Ok(false);
    }
    for text in [&question.title, &question.instructions] {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            render::note(format!("{}: {}", question.from, plain(line)));
        }
    }
    for (n, prompt) in question.prompts.iter().enumerate() {
        let text = plain(&prompt.text);
        // Who asks is said each time: a host chooses its words, and could ask for another host's password.
        let text = format!(
            "{} asks: {}",
            question.from,
            text.trim().trim_end_matches(':')
        );
        let typed = if prompt.hidden {
            ask_secret(&text).await?
        } else {
            ask_line(&text).await?
        };
        let Some(typed) = typed else {
            return Ok(false);
        };
        answers.insert(n.to_string(), typed);
    }
    Ok(true)
}

/// A host's own words: no control characters, or it could draw what it likes on the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(400)
        .collect()
}
