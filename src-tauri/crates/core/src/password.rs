//! Generated passwords: 24 ASCII letters and digits, the first a letter.
//!
//! They meet SQL Server's policy (three of four classes, 8 to 128 characters) and need
//! no quoting in any client's connection string, shell or file format.

use crate::{Error, Result, Secret};

const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALL: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How many characters a generated password has.
pub const LENGTH: usize = 24;

/// Makes one password from `random`, which fills the buffer with random bytes.
///
/// Drawn by rejection, so that every character is equally likely (142 bits in all); redrawn until upper
/// case, lower case and a digit are all there, which the policy asks for.
///
/// # Errors
/// What `random` fails with, or that it is not random at all.
pub fn generate(mut random: impl FnMut(&mut [u8]) -> Result<()>) -> Result<Secret> {
    // A source that works needs one or two draws; one that is stuck must not hang us.
    for _ in 0..1000 {
        let mut text = String::with_capacity(LENGTH);
        let mut bytes = [0_u8; 64];
        random(&mut bytes)?;
        for byte in bytes {
            let set: &[u8] = if text.is_empty() { LETTERS } else { ALL };
            let limit = 256 - 256 % set.len();
            if usize::from(byte) < limit
                && let Some(c) = set.get(usize::from(byte) % set.len())
            {
                text.push(char::from(*c));
            }
            if text.len() == LENGTH {
                break;
            }
        }
        let has = |f: fn(&char) -> bool| text.chars().any(|c| f(&c));
        if text.len() == LENGTH
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase)
            && has(char::is_ascii_digit)
        {
            return Ok(Secret::from(text));
        }
    }
    Err(Error::failed(
        "This machine's random numbers are not random",
    ))
}

/// Whether SQL Server would take it, and every driver would send it whole.
///
/// 8 to 128 UTF-16 units, three of the four classes, no NUL, and nothing outside the Basic
/// Multilingual Plane: two drivers in wide use send such a password short
/// (go-mssqldb, python-tds).
///
/// # Errors
/// [`crate::Code::Usage`], which says what is wrong without repeating the password.
pub fn check(password: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::usage("This password cannot be used for SQL Server")
            .because(why)
            .hint(
                "Take 8 to 128 characters with three of: upper case, lower case, digits, symbols",
            ))
    };
    let units = password.encode_utf16().count();
    if units < 8 {
        return bad("it has fewer than 8 characters");
    }
    if units > 128 {
        return bad("it has more than 128 UTF-16 units");
    }
    if password.contains('\0') {
        return bad("it holds a NUL character");
    }
    if password.chars().any(|c| c.len_utf16() == 2) {
        return bad(
            "it holds a character outside the Basic Multilingual Plane, such as an emoji, which some drivers cut short",
        );
    }
    let classes = [
        password.chars().any(char::is_uppercase),
        password.chars().any(char::is_lowercase),
        password.chars().any(char::is_numeric),
        password.chars().any(|c| !c.is_alphanumeric()),
    ];
    if classes.iter().filter(|c| **c).count() < 3 {
        return bad("it has fewer than three of: upper case, lower case, digits, symbols");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ExposeSecret;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_generated_password_needs_no_quoting_anywhere(seed: u64) {
            let mut state = seed;
            let password = generate(|buffer| {
                for b in buffer {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    *b = (state >> 56) as u8;
                }
                Ok(())
            }).unwrap();
            let text = password.expose_secret();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert!(text.starts_with(|c: char| c.is_ascii_alphabetic()), "YAML reads `0x…` as a number");
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric()));
            prop_assert!(check(text).is_ok());
        }
    }

    #[test]
    fn a_stuck_random_source_is_an_error_and_not_a_weak_password() {
        assert!(
            generate(|b| {
                b.fill(7);
                Ok(())
            })
            .is_err()
        );
        assert!(
            generate(|b| {
                b.fill(255);
                Ok(())
            })
            .is_err()
        );
    }

    #[test]
    fn the_policy_is_sql_servers() {
        for p in ["Passw0rd", "aB3456789", "sch\u{f6}n-Wetter", "a;B='{}1\"x"] {
            assert!(check(p).is_ok(), "{p}");
        }
        for p in [
            "",
            "Pass0rd",
            "alllowercase1",
            "NULlinside1\0",
            "Emoji1234\u{1f600}",
        ] {
            let e = check(p).unwrap_err();
            assert!(
                p.is_empty() || !e.to_string().contains(p),
                "the error must not repeat the password"
            );
        }
        assert!(check(&format!("aB1{}", "x".repeat(126))).is_err());
    }
}
