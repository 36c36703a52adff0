use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Resolved {
    Resolved::parse(text)
}

#[test]
fn lines_are_read_as_ssh_prints_them() {
    let r = read(
        "user ann\nhostname 10.0.0.5\nProxyCommand  nc  %h %p\nidentityfile ~/a\nidentityfile ~/b\nproxyjump none\nempty\n",
    );
    assert_eq!(r.get("user"), Some("ann"));
    assert_eq!(
        r.get("proxycommand"),
        Some("nc  %h %p"),
        "what is inside a command line stays as it is"
    );
    assert_eq!(r.get("proxyjump"), None, "`none` says that there is none");
    assert_eq!(r.all("identityfile").collect::<Vec<_>>(), ["~/a", "~/b"]);
    assert_eq!(r.get("empty"), None);
}

#[test]
fn files_with_spaces_are_put_together_again() {
    let tokens = Tokens {
        home: Some("/home/me".into()),
        ..Tokens::default()
    };
    let r = read("userknownhostsfile /home/me/.ssh/k1 /srv/with space/k2 ~/k3\nother none\n");
    assert_eq!(
        r.files("userknownhostsfile", &tokens).unwrap(),
        ["/home/me/.ssh/k1", "/srv/with space/k2", "/home/me/k3"].map(PathBuf::from),
        "`ssh -G` prints no quotes"
    );
    assert!(r.files("other", &tokens).unwrap().is_empty());
    assert!(r.files("missing", &tokens).unwrap().is_empty());
}

#[test]
fn ways_to_sign_in_keep_their_order() {
    use Method::{Password, PublicKey, Questions};
    for (text, methods) in [
        ("", vec![PublicKey, Password, Questions]),
        ("pubkeyauthentication no", vec![Password, Questions]),
        (
            "pubkeyauthentication unbound",
            vec![PublicKey, Password, Questions],
        ),
        (
            "preferredauthentications password,gssapi-with-mic,publickey",
            vec![Password, PublicKey],
        ),
        (
            "preferredauthentications publickey\npubkeyauthentication false",
            vec![],
        ),
    ] {
        assert_eq!(read(text).methods(), methods, "{text}");
    }
}

#[test]
fn nothing_that_is_left_out_stays_unsaid() {
    for (line, says) in [
        ("stricthostkeychecking no", "changed one is refused"),
        ("localforward 8080 [localhost]:80", "LocalForward 8080"),
        ("knownhostscommand /bin/x", "files only"),
        ("compression yes", "compress"),
        ("bindaddress some.name", "BindAddress"),
        ("pkcs11provider /lib/p11.so", "ssh-add -s"),
    ] {
        let notes = read(line).not_honoured();
        assert!(
            notes.len() == 1 && notes[0].contains(says),
            "{line}: {notes:?}"
        );
    }
    let usual = "compression no\ncontrolmaster false\nrekeylimit 0 0\ntunnel false\nsecuritykeyprovider internal\nstricthostkeychecking ask\nforwardagent no\nserveraliveinterval 0\nbindaddress 127.0.0.1\n";
    assert_eq!(
        read(usual).not_honoured(),
        Vec::<String>::new(),
        "what is said without need hides what matters"
    );
}

#[test]
fn every_option_is_printed_by_ssh_under_the_name_that_is_looked_for() {
    // `ssh -G` prints only options that are set, so each is set here.
    let Ok(version) = std::process::Command::new("ssh").arg("-V").output() else {
        println!("SKIPPED: no ssh on this machine");
        return;
    };
    let unknown_here = |name: &str| {
        // A newer one than this machine's OpenSSH.
        String::from_utf8_lossy(&version.stderr).contains("OpenSSH_8") && name == "RequiredRSASize"
    };
    for wish in WISHES {
        let value = match wish.name {
            "DynamicForward" => "1080",
            "LocalForward" | "RemoteForward" => "8080 localhost:80",
            "RekeyLimit" => "64K",
            "ServerAliveInterval" => "30",
            "BindInterface" => "lo",
            "StrictHostKeyChecking" => "no",
            "KnownHostsCommand" | "PKCS11Provider" | "RemoteCommand" | "SecurityKeyProvider" => {
                "/bin/x"
            }
            _ => "yes",
        };
        let out = std::process::Command::new("ssh")
            .args([
                "-F",
                "none",
                "-G",
                "-o",
                &format!("{}={value}", wish.name),
                "h",
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(
            unknown_here(wish.name)
                || Resolved::parse(&text)
                    .not_honoured()
                    .iter()
                    .any(|note| note.contains(wish.name)),
            "{} {value} is skipped without a word:\n{text}",
            wish.name
        );
    }
}

#[test]
fn jump_hosts_are_read_as_people_write_them() {
    let jump = |user: Option<&str>, host: &str, port| Jump {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    };
    for (text, read) in [
        ("bastion", jump(None, "bastion", None)),
        ("ann@bastion:2222", jump(Some("ann"), "bastion", Some(2222))),
        (
            "ssh://ann@bastion:2222/",
            jump(Some("ann"), "bastion", Some(2222)),
        ),
        ("a@b@bastion", jump(Some("a@b"), "bastion", None)),
        ("[::1]:22", jump(None, "::1", Some(22))),
        ("me@[fe80::1]", jump(Some("me"), "fe80::1", None)),
        ("::1", jump(None, "::1", None)),
    ] {
        assert_eq!(Jump::chain(text).unwrap(), [read], "{text}");
    }
    assert_eq!(Jump::chain("a, b,c:3").unwrap().len(), 3);
    for text in [
        "",
        "a,,b",
        "-oProxyCommand=x",
        "h:0",
        "h:x",
        "a b",
        "u:p@h",
        "@h",
        "[::1",
        "h;rm",
    ] {
        assert!(Jump::chain(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_output_makes_the_reader_fall_over(text in any::<String>()) {
        let r = read(&text);
        let _ = (r.methods(), r.settings(), r.not_honoured(), r.strict());
        let _ = r.files("userknownhostsfile", &Tokens::default());
    }

    #[test]
    fn a_line_is_read_whatever_stands_around_it(noise in proptest::collection::vec("[^\r\n]{0,40}", 0..6)) {
        let text = format!("hostname one\n{}\nhostname two\n", noise.join("\n"));
        let r = read(&text);
        prop_assert_eq!(r.get("hostname"), Some("one"), "OpenSSH prints what it uses first");
    }

    #[test]
    fn a_jump_host_reads_back_what_it_writes(user in proptest::option::of("[a-z][a-z0-9.@_]{0,8}"), host in "[a-z0-9][a-z0-9.-]{0,12}|[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}", port in proptest::option::of(1..=u16::MAX)) {
        let jump = Jump { user, host, port };
        prop_assert_eq!(Jump::chain(&jump.written()).unwrap(), vec![jump]);
    }

    #[test]
    fn no_jump_host_makes_the_reader_fall_over(text in any::<String>()) {
        let _ = Jump::chain(&text);
    }
}

#[test]
fn the_page_about_hosts_says_what_is_left_out() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/hosts.md");
    let page = std::fs::read_to_string(page).unwrap();
    for wish in WISHES {
        let row = format!("| `{}` | {} |", wish.name, wish.instead);
        assert!(
            page.contains(&row),
            "docs/hosts.md does not have this line: {row}"
        );
    }
}
