//! Logins: password hashes and SQL Server's policy.

use std::num::NonZeroU32;

use aws_lc_rs::{pbkdf2, rand};

use super::message::{Message, SqlResult};

/// Rounds of PBKDF2. The number is kept with each hash, so it can grow. SQL Server up to 2022 hashes once; here a login
/// guards nothing but practice, and every sign-in waits for its check.
const ROUNDS: u32 = 1_000;

/// A salted password hash.
#[derive(Clone)]
pub(crate) struct Hash {
    pub(crate) salt: Vec<u8>,
    pub(crate) rounds: u32,
    pub(crate) hash: Vec<u8>,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(…)")
    }
}

fn bytes(units: &[u16]) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(units.iter().flat_map(|u| u.to_le_bytes()).collect())
}

impl Hash {
    /// Hashes a password given as UTF-16 units, which is how every client sends it.
    pub(crate) fn new(password: &[u16]) -> SqlResult<Self> {
        let mut salt = vec![0; 16];
        let mut hash = vec![0; 32];
        rand::fill(&mut salt).map_err(|_| super::message::internal("no random numbers"))?;
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            rounds,
            &salt,
            &bytes(password),
            &mut hash,
        );
        Ok(Self {
            salt,
            rounds: ROUNDS,
            hash,
        })
    }

    /// Whether this is the password. Takes as long for a wrong one.
    pub(crate) fn verify(&self, password: &[u16]) -> bool {
        let Some(rounds) = NonZeroU32::new(self.rounds) else {
            return false;
        };
        pbkdf2::verify(
            pbkdf2::PBKDF2_HMAC_SHA512,
            rounds,
            &self.salt,
            &bytes(password),
            &self.hash,
        )
        .is_ok()
    }
}

/// SQL Server's rules for a new password. `policy` is `CHECK_POLICY`.
pub(crate) fn check_password(password: &str, login: &str, policy: bool) -> SqlResult<()> {
    let units = password.encode_utf16().count();
    let fail = |number: i32, text: &str| {
        Err(Message::new(
            number,
            16,
            1,
            format!("Password validation failed. {text}"),
        ))
    };
    if units > 128 {
        return fail(
            15114,
            "The password is too long: the maximum is 128 characters.",
        );
    }
    if !policy {
        return Ok(());
    }
    if units < 8 {
        return fail(
            15116,
            "The password does not meet the operating system policy requirements because it is too short.",
        );
    }
    let classes = [
        password.chars().any(char::is_uppercase),
        password.chars().any(char::is_lowercase),
        password.chars().any(|c| c.is_ascii_digit()),
        password.chars().any(|c| !c.is_alphanumeric()),
        password
            .chars()
            .any(|c| c.is_alphabetic() && !c.is_uppercase() && !c.is_lowercase()),
    ];
    let holds_name =
        login.chars().count() >= 3 && password.to_lowercase().contains(&login.to_lowercase());
    if classes.iter().filter(|c| **c).count() < 3 || holds_name {
        return fail(
            15118,
            "The password does not meet the operating system policy requirements because it is not complex enough.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_policy_has_sql_servers_numbers() {
        let number =
            |p: &str, login: &str, policy| check_password(p, login, policy).map_err(|e| e.number);
        assert_eq!(number("Aa1!", "sa", true), Err(15116));
        assert_eq!(number("alllowercase", "sa", true), Err(15118));
        assert_eq!(
            number("Orders_2026", "orders", true),
            Err(15118),
            "a password must not hold the login's name"
        );
        assert_eq!(number("Passw0rd", "sa", true), Ok(()));
        assert_eq!(number("x", "sa", false), Ok(()));
        assert_eq!(number(&"Aa1".repeat(50), "sa", false), Err(15114));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn only_the_same_units_open_it(a: Vec<u16>, b: Vec<u16>) {
            let h = Hash::new(&a).unwrap();
            prop_assert!(h.verify(&a));
            prop_assert_eq!(h.verify(&b), a == b);
        }
    }
}
