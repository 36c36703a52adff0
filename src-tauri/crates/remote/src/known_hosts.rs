//! Reading OpenSSH's known_hosts format and judging an offered key by it. Pure.
//!
//! Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Lines are read one by one with ssh-key's
//! parser, so that one line that nobody understands does not hide the others.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{
    HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, Marker},
};
use sha1::Sha1;

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is the host's key.
    Key,
    /// It signs host keys (`@cert-authority`).
    Authority,
    /// It must never be accepted (`@revoked`).
    Revoked,
}

/// One line that names the host.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) key: PublicKey,
    pub(crate) role: Role,
    pub(crate) file: PathBuf,
    /// From 1, as editors count.
    pub(crate) line: usize,
}

impl Record {
    pub(crate) fn place(&self) -> String {
        format!("line {} of `{}`", self.line, self.file.display())
    }
}

/// What the records say about an offered key.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    Known,
    /// Nothing is recorded. Authorities are records, but of keys that Berth cannot use yet.
    Unknown {
        authorities: Vec<&'a Record>,
    },
    /// Other keys are recorded.
    Changed {
        expected: Vec<&'a Record>,
    },
    Revoked(&'a Record),
}

/// The name under which a host's key is recorded: `host`, or `[host]:port` for any port but 22.
pub(crate) fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// SHA-256 as `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Every line of `text` that names `name`.
pub(crate) fn lookup(text: &str, file: &Path, name: &str) -> Vec<Record> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let entry = entry(line)?;
            if !matches(entry.host_patterns(), name) {
                return None;
            }
            let role = match entry.marker() {
                None => Role::Key,
                Some(Marker::CertAuthority) => Role::Authority,
                Some(Marker::Revoked) => Role::Revoked,
            };
            Some(Record {
                key: entry.public_key().clone(),
                role,
                file: file.to_owned(),
                line: index + 1,
            })
        })
        .collect()
}

/// OpenSSH separates fields by any run of spaces and tabs, ssh-key's parser by one space.
fn entry(line: &str) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let fields = if line.starts_with('@') { 4 } else { 3 };
    let normal = line
        .split_whitespace()
        .take(fields)
        .collect::<Vec<_>>()
        .join(" ");
    normal.parse().ok()
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => {
            let mut any = false;
            for pattern in patterns {
                let (negated, pattern) = pattern
                    .strip_prefix('!')
                    .map_or((false, pattern.as_str()), |p| (true, p));
                if glob(&pattern.to_lowercase(), name) {
                    if negated {
                        return false;
                    }
                    any = true;
                }
            }
            any
        }
    }
}

/// `*` is any run, `?` any one character. Linear in memory, so that no pattern can hang it.
fn glob(pattern: &str, name: &str) -> bool {
    // `reached` holds, for the part of the pattern read so far, where in `name` it can end.
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for p in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        if p == '*' {
            let mut open = false;
            for (to, from) in next.iter_mut().zip(&reached) {
                open |= *from;
                *to = open;
            }
        } else {
            for ((to, from), c) in next.iter_mut().skip(1).zip(&reached).zip(&name) {
                *to = *from && (p == '?' || p == *c);
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// Judges an offered key by every record of its host, from all files.
pub(crate) fn judge<'a>(records: &'a [Record], offered: &PublicKey) -> Verdict<'a> {
    let same = |record: &&Record| record.key.key_data() == offered.key_data();
    if let Some(revoked) = records
        .iter()
        .filter(|r| r.role == Role::Revoked)
        .find(same)
    {
        return Verdict::Revoked(revoked);
    }
    let expected: Vec<_> = records.iter().filter(|r| r.role == Role::Key).collect();
    if expected.iter().any(same) {
        return Verdict::Known;
    }
    // Also a key of another algorithm than the recorded one is another key: whoever answers
    // in a host's place has no copy of the recorded key, but can offer any other kind.
    if !expected.is_empty() {
        return Verdict::Changed { expected };
    }
    Verdict::Unknown {
        authorities: records
            .iter()
            .filter(|r| r.role == Role::Authority)
            .collect(),
    }
}

/// The line that records `key` for `name`; `None` where the key cannot be written.
pub(crate) fn line(name: &str, key: &PublicKey) -> Option<String> {
    let openssh = key.to_openssh().ok()?;
    let mut fields = openssh.split_whitespace();
    Some(format!("{name} {} {}\n", fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const ED2: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    fn find(text: &str, name: &str) -> Vec<Record> {
        lookup(text, Path::new("known_hosts"), name)
    }

    #[test]
    fn lines_are_read_as_openssh_reads_them() {
        let text = format!(
            "# comment\n\n  winhost,192.0.2.1\t{} me@mac # note\nbroken line\n",
            ED.replace(' ', " \t ")
        );
        for name in ["winhost", "192.0.2.1"] {
            let found = find(&text, name);
            assert_eq!(
                found.len(),
                1,
                "{name}: tabs, runs of spaces and a leading blank are common in files that people edit"
            );
            assert_eq!(
                found[0].line, 3,
                "the line number is what someone opens the file with"
            );
        }
        assert!(find(&text, "winhost.example").is_empty());
    }

    #[test]
    fn a_port_is_part_of_the_name() {
        let text = format!("[winhost]:2222 {ED}\n");
        assert_eq!(find(&text, &name_of("WinHost", 2222)).len(), 1);
        assert!(
            find(&text, &name_of("winhost", 22)).is_empty(),
            "another port is another server"
        );
    }

    #[test]
    fn hashed_names_match() {
        // Made by `ssh-keygen -H`, also in russh's own test.
        let text = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {ED2}\n");
        assert_eq!(find(&text, "example.com").len(), 1);
        assert!(find(&text, "example.org").is_empty());
    }

    #[test]
    fn patterns_and_their_negation() {
        let text = format!("*.example.com,!bad.example.com,10.0.0.? {ED}\n");
        assert_eq!(find(&text, "good.example.com").len(), 1);
        assert_eq!(find(&text, "10.0.0.7").len(), 1);
        assert!(
            find(&text, "bad.example.com").is_empty(),
            "a negated pattern wins"
        );
        assert!(find(&text, "10.0.0.77").is_empty());
    }

    #[test]
    fn a_key_is_judged() {
        let known = find(&format!("h {ED}\n"), "h");
        assert!(
            matches!(
                judge(&known, &key(&format!("{ED} other comment"))),
                Verdict::Known
            ),
            "a comment is not part of a key"
        );
        assert!(matches!(judge(&known, &key(ED2)), Verdict::Changed { .. }));
        assert!(matches!(judge(&[], &key(ED)), Verdict::Unknown { .. }));
    }

    #[test]
    fn a_key_of_another_algorithm_is_a_changed_key() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
        let known = find(&format!("h {ED}\n"), "h");
        assert!(
            matches!(judge(&known, &key(ecdsa)), Verdict::Changed { .. }),
            "whoever answers in the host's place would simply offer another kind of key"
        );
    }

    #[test]
    fn a_revoked_key_is_refused_even_when_recorded() {
        let text = format!("h {ED}\n@revoked * {ED}\n");
        assert!(matches!(
            judge(&find(&text, "h"), &key(ED)),
            Verdict::Revoked(_)
        ));
        assert!(matches!(
            judge(&find(&text, "h"), &key(ED2)),
            Verdict::Changed { .. }
        ));
    }

    #[test]
    fn an_authority_is_no_record_of_a_key() {
        let text = format!("@cert-authority *.example.com {ED}\n");
        let found = find(&text, "a.example.com");
        let Verdict::Unknown { authorities } = judge(&found, &key(ED)) else {
            panic!("a CA's key is not a host's key")
        };
        assert_eq!(
            authorities.len(),
            1,
            "it must be told that a record exists which is not used"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_found_again(host in "[a-z0-9][a-z0-9.-]{0,30}|::1|fe80::1", port in 1u16..) {
            let name = name_of(&host, port);
            let text = line(&name, &key(ED)).unwrap();
            let found = find(&text, &name);
            prop_assert_eq!(found.len(), 1);
            prop_assert!(matches!(judge(&found, &key(ED)), Verdict::Known));
            prop_assert!(find(&text, &name_of(&host, port.wrapping_add(1).max(1))).is_empty());
        }

        #[test]
        fn no_text_makes_the_reader_fall_over(text in any::<String>(), name in any::<String>()) {
            let _ = find(&text, &name);
        }

        #[test]
        fn broken_lines_never_hide_a_good_one(noise in proptest::collection::vec("[^\r\n]{0,60}", 0..8), at in 0usize..8) {
            let mut lines = noise;
            let at = at.min(lines.len());
            lines.insert(at, format!("winhost {ED}"));
            let found = find(&lines.join("\n"), "winhost");
            prop_assert!(found.iter().any(|r| r.line == at + 1 && r.role == Role::Key));
        }

        #[test]
        fn a_glob_is_what_a_regular_expression_would_be(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn slow(p: &[u8], n: &[u8]) -> bool {
                match p.first() {
                    None => n.is_empty(),
                    Some(b'*') => slow(&p[1..], n) || (!n.is_empty() && slow(p, &n[1..])),
                    Some(b'?') => !n.is_empty() && slow(&p[1..], &n[1..]),
                    Some(c) => n.first() == Some(c) && slow(&p[1..], &n[1..]),
                }
            }
            prop_assert_eq!(glob(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
