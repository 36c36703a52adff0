//! The other way: from any client's string to what it says, what is wrong with it, and how to mend it.
//!
//! The text is a stranger's. Passwords are never repeated, and neither is anything that may be one,
//! such as the pieces of a password that was pasted without quotes: what is shown is a host that is one,
//! a number, a name without a secret's marks, and words of our own tables.

mod client;
mod command;
mod context;
mod document;
mod guess;
mod judge;
mod keywords;
mod pairs;
mod php;
mod scan;
mod shown;
mod url;

#[cfg(test)]
mod tests;

use secrecy::zeroize::Zeroizing;
use serde::Serialize;

use self::client::{Client, Key, Wire};
use super::{Parts, Setting, Text, Tls, format};
use crate::secret::ExposeSecret;
use crate::{Error, Result, Secret};

/// The longest text that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The client refuses the string, or reads something else than was meant.
    Wrong,
    /// It works, and a secret or data may be seen by others.
    Risk,
    /// Good to know.
    Note,
}

/// Something about a string, and what to do about it. Holds no value of the string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, in one sentence.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            severity,
            what: what.into(),
            mend: mend.into(),
        }
    }

    fn wrong(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Severity::Wrong, what, mend)
    }

    fn risk(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Severity::Risk, what, mend)
    }

    fn note(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Severity::Note, what, mend)
    }
}

/// One thing that a string says.
#[derive(Debug)]
struct Entry {
    key: Key,
    value: Zeroizing<String>,
    /// Whether the client takes it so; otherwise it is our guess at what was meant.
    sure: bool,
    /// The keyword, for what is carried over as it is.
    name: String,
}

impl Entry {
    fn new(key: Key, value: &str) -> Self {
        Self {
            key,
            value: Zeroizing::new(value.to_owned()),
            sure: true,
            name: String::new(),
        }
    }

    fn of(key: Key, value: Zeroizing<String>, sure: bool) -> Self {
        Self {
            key,
            value,
            sure,
            name: String::new(),
        }
    }

    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// What a string says.
#[derive(Debug)]
pub struct Reading {
    client: &'static Client,
    place: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    app: Option<String>,
    tls: Tls,
    wire: Wire,
    tls_words: String,
    options: Vec<(String, Setting)>,
    findings: Vec<Finding>,
}

/// A [`Reading`] as it may be shown: no secret, and nothing that may be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadingView {
    /// The format that it was read as, of [`super::formats`].
    pub format: &'static str,
    /// The client, in words.
    pub client: &'static str,
    /// Where in a file it stood, when it was a piece of one.
    pub place: Option<String>,
    /// A name or an address.
    pub server: Option<String>,
    /// The port, where one is said.
    pub port: Option<u16>,
    /// The database; `••••` where a secret may be in it.
    pub database: Option<String>,
    /// The login; `••••` where a secret may be in it.
    pub user: Option<String>,
    /// Whether there is a password.
    pub password: bool,
    /// The application name; `••••` where a secret may be in it.
    pub app: Option<String>,
    /// What its encryption comes to, in words.
    pub tls: String,
    /// Whether everything on the way is encrypted.
    pub encrypted: bool,
    /// Whether the client makes sure of the server.
    pub verified: bool,
    /// What is wrong first, then risks, then notes.
    pub findings: Vec<Finding>,
}

/// Reads any supported string, or a file that holds one. `as_format` names the format where the text could be
/// several; none guesses.
///
/// # Errors
/// [`crate::Code::Usage`] for an unknown format, a text that is too long, and a text that is no connection
/// string; nothing of it is repeated.
pub fn read(text: &Secret, as_format: Option<&str>) -> Result<Reading> {
    let whole = text.expose_secret();
    if whole.len() > LONGEST {
        return Err(Error::usage(format!(
            "The text is longer than {LONGEST} bytes"
        )));
    }
    if let Some(id) = as_format {
        // An unknown one gets the list of formats as its hint.
        format(id)?;
    }
    let whole = whole.trim_start_matches('\u{feff}');
    let whole = whole.trim_end_matches(['\r', '\n']);
    let mut reading = guess::any(whole, as_format, 0).ok_or_else(|| {
        Error::usage("This is no connection string that Berth knows").hint(
            "Give one string, or the file that holds it; `--format` says which client's it is, and `berth connection --formats` lists them",
        )
    })?;
    reading.findings.sort_by_key(|finding| finding.severity);
    let mut told: Vec<Finding> = Vec::new();
    for finding in std::mem::take(&mut reading.findings) {
        if !told.contains(&finding) {
            told.push(finding);
        }
    }
    reading.findings = told;
    Ok(reading)
}

impl Reading {
    /// What may be shown of it.
    #[must_use]
    pub fn view(&self) -> ReadingView {
        let password = self.password.as_ref().map(|p| p.expose_secret());
        let shown = |value: &Option<String>| value.as_deref().map(|v| shown::value(v, password));
        let encrypted = matches!(self.wire, Wire::Encrypted | Wire::Strict);
        ReadingView {
            format: self.client.format,
            client: self.client.name,
            place: self.place.clone(),
            server: self.host.clone().map(|host| match password {
                Some(password) if shown::may_hide_a_password(&host, Some(password)) => {
                    shown::HIDDEN.to_owned()
                }
                _ => host,
            }),
            port: self.port,
            database: shown(&self.database),
            user: shown(&self.user),
            password: self.password.is_some(),
            app: shown(&self.app),
            tls: self.tls_words.clone(),
            encrypted,
            verified: encrypted && self.tls != Tls::Unverified,
            findings: self.findings.clone(),
        }
    }

    /// The mended string with the password masked; none where it cannot be mended, or where another part of it may be
    /// the password.
    #[must_use]
    pub fn mended_masked(&self) -> Option<String> {
        let view = self.view();
        let hidden = [&view.server, &view.user, &view.database, &view.app]
            .into_iter()
            .any(|shown| shown.as_deref() == Some(shown::HIDDEN));
        if hidden {
            return None;
        }
        self.mended(None).ok().map(|text| text.masked())
    }

    /// Everything about it, worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Its parts. What is not encrypted there is encrypted here: Berth writes no string that is not.
    ///
    /// # Errors
    /// [`crate::Code::Failed`] where server, user or password is missing.
    pub fn parts(&self) -> Result<Parts> {
        let missing = |what: &str| {
            Error::failed(format!("The string has no {what}, so it cannot be mended"))
                .hint("Give it as parts: `berth connection --parts FILE --format FORMAT`")
        };
        let mut parts = Parts::new(
            self.host.clone().ok_or_else(|| missing("server"))?,
            self.port.unwrap_or(1433),
            self.user.clone().ok_or_else(|| missing("user"))?,
            self.password.clone().ok_or_else(|| missing("password"))?,
        );
        parts.database.clone_from(&self.database);
        parts.app.clone_from(&self.app);
        parts.tls = self.tls.clone();
        parts.options.clone_from(&self.options);
        Ok(parts)
    }

    /// The string as it should be, in its own format or another.
    ///
    /// # Errors
    /// As [`Reading::parts`], and where the format cannot say it.
    pub fn mended(&self, as_format: Option<&str>) -> Result<Text> {
        let format = match as_format {
            Some(id) => format(id)?,
            // A client whose format is not written falls back to the one that most take.
            None => format(self.client.format).or_else(|_| format("adonet"))?,
        };
        let mut parts = self.parts()?;
        // What the format takes of the options: a time limit is its own already, and some only the old string could say.
        for option in std::mem::take(&mut parts.options) {
            let before = parts.options.len();
            parts.options.push(option);
            if format.write(&parts).is_err() {
                parts.options.truncate(before);
            }
        }
        format.write(&parts)
    }
}
