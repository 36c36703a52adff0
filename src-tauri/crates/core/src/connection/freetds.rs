//! The command line of FreeTDS' `tsql`.
//!
//! `-P -` makes it read the password as the first line of its standard input (FreeTDS
//! `src/utils/getpassarg.c`), so the line itself holds no secret: [`Text::input`] has it.

use super::{Card, Format, Part, Parts, Shape, Text, Tls, quote, refuse};
use crate::Result;
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct FreeTds;

/// The buffer that tsql reads the password line into holds 255 bytes, the line feed among them.
const LONGEST_LINE: usize = 254;

static CARD: Card = Card {
    id: "freetds",
    name: "FreeTDS tsql",
    family: "Command line",
    about: "A command line for sh, bash or zsh: `tsql`, which reads the password as the first line of its standard input",
    limits: &[
        "The password is not in the line: give it as the first line of standard input (`-P -`)",
        "Only the login is encrypted, unless the server insists or freetds.conf says `encryption = require`; the server is never verified",
        "A password with a line break, or of more than 254 bytes",
    ],
    shape: Shape::Command,
    grammar: "tsql(1) of FreeTDS 1.3; POSIX shell, single quotes",
    defaults: &[
        (
            "-P -",
            "an argument would be seen by every process of the machine",
        ),
        (
            "-J UTF-8",
            "else the bytes of the line mean what the locale says",
        ),
    ],
    flags: None,
};

impl Format for FreeTds {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn compose(&self, parts: &Parts) -> Result<Text> {
        if parts.tls != Tls::Unverified {
            return Err(refuse(
                self,
                "that the server is verified",
                "tsql has no option for certificates and takes any",
                "adonet",
            ));
        }
        let password = parts.password.expose_secret();
        if !fits(password) {
            return Err(refuse(
                self,
                "this password",
                "tsql reads one line of at most 254 bytes, and this one has a line break or is longer",
                "adonet",
            ));
        }
        let mut text = Text::new()
            // No option says it: FreeTDS does what freetds.conf says, and else this.
            .part(Part::WeakTls(super::LOGIN_ONLY), "tsql")
            .plain(" ")
            .part(
                Part::Server,
                // An IPv6 address without brackets, as for ODBC.
                format!("-H {} -p {}", quote::shell_word(&parts.host), parts.port),
            )
            .plain(" ")
            .part(Part::User, format!("-U {}", quote::shell_word(&parts.user)))
            .plain(" ")
            .part(
                Part::Own("the password is the first line of standard input"),
                "-P -",
            )
            .plain(" ")
            .part(Part::Own("the bytes of this line are UTF-8"), "-J UTF-8");
        if let Some(database) = &parts.database {
            text = text.plain(" ").part(
                Part::Database,
                format!("-D {}", quote::shell_word(database)),
            );
        }
        if let Some(app) = &parts.app {
            text = text
                .plain(" ")
                .part(Part::App, format!("-a {}", quote::shell_word(app)));
        }
        Ok(text.with_input(password))
    }
}

fn fits(password: &str) -> bool {
    password.len() <= LONGEST_LINE && !password.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str, input: Option<&str>) -> Result<Said, String> {
        let words = read_shell(line)?;
        let mut words = words.into_iter();
        if words.next().as_deref() != Some("tsql") {
            return Err("another command".into());
        }
        let mut pairs = Vec::new();
        while let Some(option) = words.next() {
            pairs.push((option, words.next().ok_or("no value")?));
        }
        // Options differ by case here.
        let mut take = |name: &str| {
            pairs
                .iter()
                .position(|(o, _)| o == name)
                .map(|at| pairs.remove(at).1)
        };
        if take("-P").as_deref() != Some("-") || take("-J").as_deref() != Some("UTF-8") {
            return Err("the password would be prompted for".into());
        }
        let said = Said {
            options: Vec::new(),
            host: take("-H").ok_or("no host")?,
            port: take("-p").and_then(|p| p.parse().ok()).ok_or("no port")?,
            database: take("-D"),
            user: take("-U").ok_or("no user")?,
            password: input
                .and_then(|i| i.split('\n').next())
                .ok_or("no password")?
                .to_owned(),
            app: take("-a"),
            tls: Tls::Unverified,
        };
        if pairs.is_empty() {
            Ok(said)
        } else {
            Err(format!("{pairs:?}"))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_goes_in_comes_out(parts in any_parts()) {
            let password = parts.password.expose_secret();
            let says = parts.tls == Tls::Unverified && password.len() < 255 && !password.contains('\n');
            round_trip(&FreeTds, &parts, says.then(|| (&parts).into()), read)?;
        }
    }

    #[test]
    fn the_line_holds_no_password() {
        let text = FreeTds.write(&plain()).unwrap();
        assert!(!text.holds_secret());
        assert_eq!(text.masked(), text.reveal().expose_secret());
    }
}
