use std::{os::unix::fs::PermissionsExt, process::Command};

use proptest::prelude::*;

use super::*;

fn run(program: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).output() {
        Ok(out) => {
            assert!(
                out.status.success(),
                "{program} {arguments:?}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
            true
        }
        Err(_) => {
            println!("SKIPPED: no {program} on this machine");
            false
        }
    }
}

fn secret(text: &str) -> Secret {
    Secret::from(text)
}

/// Every format that `ssh-keygen` and `openssl` write: with the right passphrase, a wrong one and none.
#[test]
fn keys_of_every_format_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut made: Vec<(String, bool)> = Vec::new();
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
    ] {
        for format in ["RFC4716", "PEM", "PKCS8"] {
            if kind == "ed25519" && format != "RFC4716" {
                continue;
            }
            for passphrase in ["", "pass phrase"] {
                let name = format!("{kind}{bits}-{format}-{}", !passphrase.is_empty());
                let file = at(&name);
                // RFC4716 is OpenSSH's own format for private keys.
                if !run(
                    "ssh-keygen",
                    &[
                        "-q",
                        "-t",
                        kind,
                        "-b",
                        bits,
                        "-m",
                        format,
                        "-a",
                        "2",
                        "-N",
                        passphrase,
                        "-f",
                        &file.to_string_lossy(),
                    ],
                ) {
                    return;
                }
                made.push((name, !passphrase.is_empty()));
            }
        }
    }
    let clear = at("rsa2048-PEM-false").to_string_lossy().into_owned();
    for cipher in ["-aes128", "-aes192", "-aes256", "-des3"] {
        let name = format!("openssl{cipher}");
        let out = at(&name).to_string_lossy().into_owned();
        if !run(
            "openssl",
            &[
                "rsa",
                "-traditional",
                cipher,
                "-passout",
                "pass:pass phrase",
                "-in",
                &clear,
                "-out",
                &out,
            ],
        ) {
            break;
        }
        fs::set_permissions(at(&name), fs::Permissions::from_mode(0o600)).unwrap();
        made.push((name, true));
    }
    for (name, encrypted) in made {
        let file = at(&name);
        let right = read(&file, Some(&secret("pass phrase")))
            .unwrap_or_else(|e| panic!("{name} with its passphrase: {e}"));
        if let Ok(public) = fs::read_to_string(at(&format!("{name}.pub"))) {
            assert_eq!(
                right.public_key().key_data(),
                public.parse::<PublicKey>().unwrap().key_data(),
                "{name}: another key than the one that was made"
            );
        }
        if encrypted {
            let e = read(&file, None).unwrap_err();
            assert_eq!(e.code(), Code::PassphraseNeeded, "{name}: {e}");
            assert!(e.message().contains("needs its passphrase"), "{name}: {e}");
            let e = read(&file, Some(&secret("another one"))).unwrap_err();
            assert_eq!(e.code(), Code::PassphraseNeeded, "{name}: {e}");
            assert!(e.message().contains("does not open"), "{name}: {e}");
            assert!(
                !format!("{e:?}").contains("another one"),
                "no secret in an error"
            );
        } else {
            read(&file, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

#[test]
fn what_is_no_usable_key_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    };
    let public =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@mac\n";
    put("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (name, text, says, hint) in [
        ("id.pub", public, "public half", "id`"),
        ("alone.pub", public, "public half", "ssh-add"),
        (
            "sshcom",
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nx\n",
            "SSH.com",
            "ssh-keygen -i",
        ),
        (
            "dsa",
            "-----BEGIN DSA PRIVATE KEY-----\nx\n",
            "DSA",
            "ed25519",
        ),
        ("note", "hello\n", "no key in a format", ""),
        ("empty", "", "no key in a format", ""),
    ] {
        let e = read(&put(name, text), None).unwrap_err();
        assert!(e.to_string().contains(says), "{name}: {e}");
        assert!(
            e.what_to_do().unwrap_or_default().contains(hint),
            "{name}: {:?}",
            e.what_to_do()
        );
    }
    let e = read(&folder.path().join("nowhere"), None).unwrap_err();
    assert_eq!(e.code(), Code::NotFound);
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    if !run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &file.to_string_lossy(),
        ],
    ) {
        return;
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let e = read(&file, None).unwrap_err();
    assert_eq!(e.code(), Code::Refused, "`ssh` refuses it too: {e}");
    assert!(e.what_to_do().unwrap_or_default().contains("chmod 600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    read(&file, None).unwrap();
}

const HEADERS: [&str; 7] = [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n",
    "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
];

proptest! {
    #[test]
    fn no_text_makes_the_reader_fall_over(header in 0..HEADERS.len(), body in proptest::collection::vec(any::<u8>(), 0..200), tail in any::<String>()) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let header = HEADERS[header];
        let end = header.lines().next().unwrap().replace("BEGIN", "END");
        for text in [
            format!("{header}\n{}\n{end}\n", STANDARD.encode(&body)),
            format!("{header}\n{tail}\n{end}\n"),
            tail.clone(),
        ] {
            for given in [None, Some(secret("x"))] {
                let _ = decode(Path::new("f"), kind(&text), &text, given.as_ref());
            }
            let _ = Certificate::from_openssh(&text);
        }
    }
}
