//! A finished connection string that knows which of its characters are secret, and what
//! each of its parts means.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use serde::Serialize;

use super::Rung;
use crate::Secret;
use crate::secret::ExposeSecret;

/// What stands where the password is.
const MASK: &str = "••••";

/// A finished string: what may be shown, and the encoded password in its place.
///
/// `Debug` shows it masked. [`Text::reveal`] is the one way to the whole.
#[derive(Clone, Default)]
pub struct Text {
    pieces: Vec<Piece>,
    input: Option<Secret>,
}

#[derive(Clone)]
struct Piece {
    part: Option<Part>,
    text: Content,
}

#[derive(Clone)]
enum Content {
    Shown(String),
    Hidden(Secret),
}

/// What a stretch of a string stands for. Writing it is what explains it: there is no second
/// description that could say something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Driver,
    Server,
    Database,
    User,
    Password,
    Tls(Rung),
    /// TLS where the client cannot do what the rung promises, in words.
    WeakTls(&'static str),
    App,
    /// How long a client may take to connect.
    Timeout,
    /// What was asked for beside the parts.
    Extra,
    /// What only this format has, and what it is for.
    Own(&'static str),
}

impl Part {
    /// The name on the wire, stable between versions.
    fn id(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Server => "server",
            Self::Database => "database",
            Self::User => "user",
            Self::Password => "password",
            Self::Tls(_) | Self::WeakTls(_) => "tls",
            Self::App => "app",
            Self::Timeout => "timeout",
            Self::Extra => "option",
            Self::Own(_) => "own",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Driver => "which driver opens it",
            Self::Server => "where the server is: host and port",
            Self::Database => "the database to start in",
            Self::User => "the SQL Server login",
            Self::Password => "its password, quoted for this place",
            Self::Tls(rung) => rung.label(),
            Self::App => "the name that the server's list of sessions shows",
            Self::Timeout => {
                "how long the client tries to connect: 30 seconds, as the way to a server may have to be opened first"
            }
            Self::Extra => "an option that was asked for",
            Self::Own(words) | Self::WeakTls(words) => words,
        }
    }
}

/// One stretch of a [`Text`], as a window shows it: a secret is a hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PieceView {
    /// The characters; `••••` where `secret` is set.
    pub text: String,
    /// Whether this is a hole, which only [`Text::reveal`] fills.
    pub secret: bool,
    /// What it stands for: `driver`, `server`, `database`, `user`, `password`, `tls`, `app`, `timeout`, `option`, `own`;
    /// none for what only holds the others together.
    pub part: Option<&'static str>,
    /// The same in words.
    pub meaning: Option<&'static str>,
}

/// One part of a string and what it means, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The stretch, the password masked.
    pub text: String,
    /// As [`PieceView::part`].
    pub part: &'static str,
    /// What it means, in words.
    pub meaning: &'static str,
}

impl Text {
    /// An empty text, to add to.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A password by itself, for clients that take it apart from the string.
    #[must_use]
    pub fn alone(password: &Secret) -> Self {
        let password = password.expose_secret();
        Self {
            pieces: vec![Piece {
                part: Some(Part::Password),
                text: Content::Hidden(exact(password.len(), &[password])),
            }],
            input: None,
        }
    }

    /// Adds what only holds the parts together.
    pub(crate) fn plain(self, text: impl AsRef<str>) -> Self {
        self.show(None, text.as_ref())
    }

    /// Adds a part that may be shown.
    pub(super) fn part(self, part: Part, text: impl AsRef<str>) -> Self {
        self.show(Some(part), text.as_ref())
    }

    fn show(mut self, part: Option<Part>, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        match self.pieces.last_mut() {
            Some(Piece {
                part: last,
                text: Content::Shown(shown),
            }) if *last == part => shown.push_str(text),
            _ => self.pieces.push(Piece {
                part,
                text: Content::Shown(text.to_owned()),
            }),
        }
        self
    }

    /// Adds the password, already encoded for the place it stands in.
    pub(crate) fn hidden(mut self, encoded: &Zeroizing<String>) -> Self {
        self.pieces.push(Piece {
            part: Some(Part::Password),
            text: Content::Hidden(exact(encoded.len(), &[encoded.as_str()])),
        });
        self
    }

    /// Adds the password between what opens and closes it.
    pub(super) fn password(self, open: &str, encoded: &Zeroizing<String>, close: &str) -> Self {
        self.part(Part::Password, open)
            .hidden(encoded)
            .part(Part::Password, close)
    }

    /// Adds everything of another text.
    pub(crate) fn append(mut self, other: Self) -> Self {
        for piece in other.pieces {
            match piece.text {
                Content::Shown(text) => self = self.show(piece.part, &text),
                Content::Hidden(_) => self.pieces.push(piece),
            }
        }
        self.input = self.input.or(other.input);
        self
    }

    /// Sets what goes on the standard input of a program that asks for the password there.
    pub(super) fn with_input(mut self, line: &str) -> Self {
        self.input = Some(exact(line.len(), &[line]));
        self
    }

    /// The string with `••••` where the password is.
    #[must_use]
    pub fn masked(&self) -> String {
        self.pieces.iter().map(Piece::masked).collect()
    }

    /// The whole string.
    #[must_use]
    pub fn reveal(&self) -> Secret {
        let pieces: Vec<&str> = self.pieces.iter().map(Piece::whole).collect();
        exact(pieces.iter().map(|p| p.len()).sum(), &pieces)
    }

    /// The line that the program wants first on its standard input: the password, for
    /// commands that take it neither as an argument nor from the environment.
    #[must_use]
    pub fn input(&self) -> Option<&Secret> {
        self.input.as_ref()
    }

    /// Whether the password stands in the string itself.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece.text, Content::Hidden(_)))
    }

    /// How the string is encrypted and how far the client knows the server, in words.
    #[must_use]
    pub fn tls(&self) -> Option<&'static str> {
        self.pieces.iter().find_map(|piece| match piece.part {
            Some(part @ (Part::Tls(_) | Part::WeakTls(_))) => Some(part.meaning()),
            _ => None,
        })
    }

    /// Each of its secrets alone, as it is written here.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Self> + '_ {
        self.pieces
            .iter()
            .filter(|piece| matches!(piece.text, Content::Hidden(_)))
            .map(|piece| Self {
                pieces: vec![piece.clone()],
                input: None,
            })
    }

    /// The string in stretches, the secret a hole: together they read as [`Text::masked`].
    #[must_use]
    pub fn pieces(&self) -> Vec<PieceView> {
        self.pieces
            .iter()
            .map(|piece| PieceView {
                text: piece.masked().to_owned(),
                secret: matches!(piece.text, Content::Hidden(_)),
                part: piece.part.map(Part::id),
                meaning: piece.part.map(Part::meaning),
            })
            .collect()
    }

    /// What each part means, in the order of the string. What only holds them together is left out.
    #[must_use]
    pub fn explain(&self) -> Vec<Explained> {
        let mut all: Vec<Explained> = Vec::new();
        let mut before = None;
        for piece in &self.pieces {
            if let Some(part) = piece.part {
                match all.last_mut() {
                    Some(last) if before == Some(part) => last.text.push_str(piece.masked()),
                    _ => all.push(Explained {
                        text: piece.masked().to_owned(),
                        part: part.id(),
                        meaning: part.meaning(),
                    }),
                }
            }
            before = piece.part;
        }
        for explained in &mut all {
            // A snippet's lines and separators may belong to a part; alone they would only confuse.
            explained.text = explained
                .text
                .trim_matches(['\n', ' ', ',', ';', '&'])
                .to_owned();
        }
        all
    }

    /// The same string inside a carrier (a shell word, a YAML scalar): `encode` works
    /// character by character, `around` is what opens and closes the value.
    #[must_use]
    pub fn carried(
        &self,
        around: (&str, &str),
        encode: impl Fn(&str) -> Zeroizing<String>,
    ) -> Self {
        let mut text = Self::new().plain(around.0);
        for piece in &self.pieces {
            let encoded = encode(piece.whole());
            text = match piece.text {
                Content::Shown(_) => text.show(piece.part, encoded.as_str()),
                Content::Hidden(_) => text.hidden(&encoded),
            };
        }
        text.input.clone_from(&self.input);
        text.plain(around.1)
    }
}

impl Piece {
    fn masked(&self) -> &str {
        match &self.text {
            Content::Shown(text) => text,
            Content::Hidden(_) => MASK,
        }
    }

    fn whole(&self) -> &str {
        match &self.text {
            Content::Shown(text) => text,
            Content::Hidden(secret) => secret.expose_secret(),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.masked()).finish()
    }
}

/// Joins `pieces` in a buffer of just their length: a buffer that grows, or shrinks to fit,
/// would leave copies of the secret behind that nobody wipes.
fn exact(length: usize, pieces: &[&str]) -> Secret {
    let mut whole = String::with_capacity(length);
    for piece in pieces {
        whole.push_str(piece);
    }
    Secret::from(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::quote;

    #[test]
    fn a_carrier_encodes_the_secret_and_the_frame_alike() {
        let text = Text::new()
            .plain("PW='")
            .password("", &Zeroizing::new("it's".to_owned()), "'");
        let carried = text.carried(("'", "'"), quote::shell_inner);
        assert_eq!(carried.masked(), r"'PW='\''••••'\'''");
        assert_eq!(carried.reveal().expose_secret(), r"'PW='\''it'\''s'\'''");
    }

    #[test]
    fn what_is_explained_is_what_was_written() {
        let text = Text::new()
            .part(Part::Server, "Server=a,1")
            .plain(";")
            .password("Password=\"", &Zeroizing::new("x".to_owned()), "\"")
            .plain(";")
            .part(Part::Tls(Rung::Unverified), "Encrypt=True")
            .part(Part::Tls(Rung::Unverified), ";Trust=True");
        let all: Vec<_> = text.explain().into_iter().map(|e| e.text).collect();
        assert_eq!(
            all,
            ["Server=a,1", "Password=\"••••\"", "Encrypt=True;Trust=True"]
        );
        let shown: String = text.pieces().into_iter().map(|p| p.text).collect();
        assert_eq!(shown, text.masked(), "the pieces are the whole string");
        assert_eq!(text.pieces().iter().filter(|p| p.secret).count(), 1);
    }
}
