//! A finished connection string that knows which of its characters are secret.

use std::fmt;

use secrecy::zeroize::Zeroizing;

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
enum Piece {
    Shown(String),
    Hidden(Secret),
}

impl Text {
    /// An empty text, to add to.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds what may be shown.
    pub(super) fn plain(mut self, text: impl AsRef<str>) -> Self {
        if let Some(Piece::Shown(last)) = self.pieces.last_mut() {
            last.push_str(text.as_ref());
        } else {
            self.pieces.push(Piece::Shown(text.as_ref().to_owned()));
        }
        self
    }

    /// Adds a secret, already encoded for the place it stands in.
    pub(super) fn hidden(mut self, encoded: &Zeroizing<String>) -> Self {
        self.pieces
            .push(Piece::Hidden(exact(encoded.len(), &[encoded.as_str()])));
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
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Shown(text) => text.as_str(),
                Piece::Hidden(_) => MASK,
            })
            .collect()
    }

    /// The whole string.
    #[must_use]
    pub fn reveal(&self) -> Secret {
        let pieces: Vec<&str> = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Shown(text) => text.as_str(),
                Piece::Hidden(secret) => secret.expose_secret(),
            })
            .collect();
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
            .any(|piece| matches!(piece, Piece::Hidden(_)))
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
            text = match piece {
                Piece::Shown(shown) => text.plain(encode(shown).as_str()),
                Piece::Hidden(secret) => text.hidden(&encode(secret.expose_secret())),
            };
        }
        text.input.clone_from(&self.input);
        text.plain(around.1)
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
            .hidden(&Zeroizing::new("it's".to_owned()))
            .plain("'");
        let carried = text.carried(("'", "'"), quote::shell_inner);
        assert_eq!(carried.masked(), r"'PW='\''••••'\'''");
        assert_eq!(carried.reveal().expose_secret(), r"'PW='\''it'\''s'\'''");
    }
}
