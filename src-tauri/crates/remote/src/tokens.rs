//! `%h`, `~` and `${NAME}` in values of the SSH configuration (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
//! `ssh -G` prints most values as they are written.

use std::path::{Path, PathBuf};

use berth_core::{Error, Result};
use sha1::{Digest, Sha1};

/// What the tokens stand for, for one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    /// `%h`
    pub(crate) host: String,
    /// `%n`
    pub(crate) given: String,
    /// `%k`
    pub(crate) key_alias: String,
    /// `%p`
    pub(crate) port: u16,
    /// `%r`
    pub(crate) remote_user: String,
    /// `%u`
    pub(crate) local_user: String,
    /// `%l`
    pub(crate) machine: String,
    /// `%j`
    pub(crate) jump: String,
    /// `%d` and `~`
    pub(crate) home: Option<PathBuf>,
    /// `%i`
    pub(crate) uid: u32,
    /// `${SSH_AUTH_SOCK}`: the caller's, not the one of this process.
    pub(crate) agent: Option<PathBuf>,
}

impl Tokens {
    /// Expands every token of `text`, a value of the option `key`.
    pub(crate) fn expand(&self, key: &str, text: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let token = chars.next();
            match token {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(&self.host),
                Some('n') => out.push_str(&self.given),
                Some('k') => out.push_str(&self.key_alias),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(&self.remote_user),
                Some('u') => out.push_str(&self.local_user),
                Some('l') => out.push_str(&self.machine),
                Some('L') => out.push_str(self.machine.split('.').next().unwrap_or_default()),
                Some('j') => out.push_str(&self.jump),
                Some('i') => out.push_str(&self.uid.to_string()),
                Some('d') => out.push_str(&self.home(key)?.display().to_string()),
                Some('C') => out.push_str(&self.digest()),
                other => {
                    let token = other.map_or_else(|| "%".to_owned(), |c| format!("%{c}"));
                    return Err(Error::failed(format!(
                        "`{key}` in the SSH configuration holds `{}`, which stands for nothing here",
                        token.escape_debug()
                    )));
                }
            }
        }
        Ok(out)
    }

    /// A file's name: tokens, `${NAME}`, and `~` at its start.
    pub(crate) fn path(&self, key: &str, text: &str) -> Result<PathBuf> {
        let text = self.variables(key, &self.expand(key, text)?)?;
        Ok(match text.strip_prefix('~') {
            Some("") => self.home(key)?.to_owned(),
            Some(rest) => match rest.strip_prefix('/') {
                Some(rest) => self.home(key)?.join(rest),
                None => {
                    return Err(Error::failed(format!(
                        "`{key}` in the SSH configuration names the home of another user: `{}`",
                        text.escape_debug()
                    ))
                    .hint("Write the whole path there"));
                }
            },
            None => PathBuf::from(text),
        })
    }

    fn variables(&self, key: &str, text: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            out.push_str(before);
            out.push_str(&self.variable(key, name)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value of an environment variable; the caller's agent for `SSH_AUTH_SOCK`.
    pub(crate) fn variable(&self, key: &str, name: &str) -> Result<String> {
        let value = if name == "SSH_AUTH_SOCK" {
            self.agent.as_ref().map(|path| path.display().to_string())
        } else if name.contains(['=', '\0']) {
            None
        } else {
            std::env::var(name).ok()
        };
        value.ok_or_else(|| {
            Error::failed(format!(
                "`{key}` in the SSH configuration wants the environment variable `{}`, which is not set",
                name.escape_debug()
            ))
            .hint("Berth's agent has the environment it was started with; `berth agent stop` lets the next command start it anew")
        })
    }

    fn home(&self, key: &str) -> Result<&Path> {
        self.home.as_deref().ok_or_else(|| {
            Error::failed(format!(
                "`{key}` in the SSH configuration names a home, and yours is not known"
            ))
        })
    }

    /// `%C`: SHA-1 of `%l%h%p%r%j`.
    fn digest(&self) -> String {
        let text = format!(
            "{}{}{}{}{}",
            self.machine, self.host, self.port, self.remote_user, self.jump
        );
        Sha1::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> Tokens {
        Tokens {
            host: "10.0.0.5".into(),
            given: "win".into(),
            key_alias: "win-key".into(),
            port: 2222,
            remote_user: "ann".into(),
            local_user: "me".into(),
            machine: "mac.local".into(),
            jump: String::new(),
            home: Some("/home/me".into()),
            uid: 501,
            agent: Some("/run/agent".into()),
        }
    }

    #[test]
    fn each_token_stands_for_what_ssh_config_says() {
        let t = tokens();
        assert_eq!(
            t.expand("ProxyCommand", "nc -x %h:%p %n %r %u %l %L %k %i %d 100%%")
                .unwrap(),
            "nc -x 10.0.0.5:2222 win ann me mac.local mac win-key 501 /home/me 100%"
        );
        // printf '%s' mac.local10.0.0.52222ann | sha1sum
        assert_eq!(
            t.expand("x", "%C").unwrap(),
            "f46a950c6fe9637519c2498f2c401dd3b6ae7cdb"
        );
        for wrong in ["%Q", "100%"] {
            let e = t.expand("IdentityFile", wrong).unwrap_err();
            assert!(
                e.message().contains("IdentityFile"),
                "the reader must know where to look: {e}"
            );
        }
    }

    #[test]
    fn files_are_found_as_ssh_finds_them() {
        let t = tokens();
        for (text, path) in [
            ("~/.ssh/id_%r", "/home/me/.ssh/id_ann"),
            ("~", "/home/me"),
            ("/keys/${SSH_AUTH_SOCK}", "/keys//run/agent"),
            ("/a${b", "/a${b"),
        ] {
            assert_eq!(
                t.path("IdentityFile", text).unwrap(),
                PathBuf::from(path),
                "{text}"
            );
        }
        assert!(t.path("IdentityFile", "~ann/.ssh/id").is_err());
        let e = t
            .path("IdentityFile", "${BERTH_NO_SUCH_NAME}/x")
            .unwrap_err();
        assert!(e.message().contains("BERTH_NO_SUCH_NAME"), "{e}");
    }

    proptest! {
        #[test]
        fn no_value_makes_the_expansion_fall_over(text in any::<String>()) {
            let _ = tokens().path("IdentityFile", &text);
        }

        #[test]
        fn a_text_without_tokens_stays_itself(text in "[a-zA-Z0-9 /.:_-]{0,40}") {
            prop_assert_eq!(tokens().expand("ProxyCommand", &text).unwrap(), text);
        }
    }
}
