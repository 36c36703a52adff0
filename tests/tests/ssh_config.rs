//! What `ssh` does with a configuration, and what Berth does with it: `tests/ssh_config/*.conf`.
//!
//! Each file begins with what it shows, what `ssh` makes of it, and what Berth does: the same, or another thing
//! with the reason. Both really connect, to three real servers, and what they did is read from the servers' logs.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use berth_remote::{ExecLimits, Given, Lane, Local, Session, Wanted};
use berth_tests::rig::{self, Sshd, accounts::accounts, process::Daemon, programs};

/// The servers, the keys and the files that the configurations name.
struct Bed {
    folder: PathBuf,
    servers: BTreeMap<&'static str, Sshd>,
    /// What each fingerprint is called.
    names: BTreeMap<String, String>,
    agents: Vec<Daemon>,
    closed: u16,
}

fn keygen(file: &Path, arguments: &[&str]) {
    programs::run(
        Command::new("ssh-keygen")
            .args(["-q", "-C", "", "-a", "2"])
            .args(arguments)
            .arg("-f")
            .arg(file),
    );
}

fn fingerprint(file: &Path) -> String {
    let line = programs::run(Command::new("ssh-keygen").arg("-lf").arg(file));
    line.split(' ').nth(1).unwrap().to_owned()
}

fn public(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

fn sign(authority: &Path, arguments: &[&str], key: &Path) {
    programs::run(
        Command::new("ssh-keygen")
            .args(["-q", "-I", "a-certificate", "-s"])
            .arg(authority)
            .args(arguments)
            .arg(key),
    );
}

impl Bed {
    fn make() -> Option<Self> {
        let Some(accounts) = accounts() else {
            rig::skip("users of its own need a namespace of its own");
            return None;
        };
        for program in ["ssh", "ssh-agent", "nc"] {
            if programs::find(program).is_none() {
                rig::skip(&format!("there is no {program}"));
                return None;
            }
        }
        let folder = std::env::temp_dir().join("ssh-config");
        fs::create_dir_all(folder.join("with space")).unwrap();
        fs::create_dir_all(folder.join("parts")).unwrap();
        let at = |name: &str| folder.join(name);
        for (name, kind) in [
            ("one", "ed25519"),
            ("two", "ecdsa"),
            ("three", "rsa"),
            ("locked", "ed25519"),
            ("open", "ed25519"),
            ("stranger", "ed25519"),
            ("held", "ed25519"),
            ("ambient", "ed25519"),
            ("certified", "ed25519"),
            ("certified-2", "ed25519"),
            ("users", "ed25519"),
            ("hosts", "ed25519"),
            ("other-hosts", "ed25519"),
        ] {
            let passphrase = if name == "locked" { "a passphrase" } else { "" };
            keygen(&at(name), &["-t", kind, "-N", passphrase]);
        }
        programs::run(
            Command::new("ssh-keygen")
                .args(["-q", "-p", "-m", "PEM", "-N", "", "-f"])
                .arg({
                    fs::copy(at("three"), at("three.pem")).unwrap();
                    fs::copy(at("three.pub"), at("three.pem.pub")).unwrap();
                    at("three.pem")
                }),
        );
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o644)).unwrap();
        sign(&at("users"), &["-n", "root"], &at("certified.pub"));
        sign(&at("users"), &["-n", "root"], &at("certified-2.pub"));
        // Not where its key is, so that it has to be named.
        fs::rename(at("certified-2-cert.pub"), at("certificate.pub")).unwrap();

        // Copies under the names that configurations ask for.
        let private = |from: &str, to: PathBuf| {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(at(from), to).unwrap();
        };
        private("one", at("with space/one"));
        private("one", at("env-1"));
        private("two", at("by-user/developer-target"));
        private("one", accounts.root.home.join("keys/one"));
        private("one", accounts.root.home.join(".ssh/id_ed25519"));

        let mut bed = Self {
            names: BTreeMap::new(),
            servers: BTreeMap::new(),
            agents: Vec::new(),
            closed: rig::free_port(),
            folder: folder.clone(),
        };
        for name in [
            "one", "two", "three", "locked", "open", "stranger", "held", "ambient",
        ] {
            bed.names
                .insert(fingerprint(&at(&format!("{name}.pub"))), name.to_owned());
        }
        bed.start_servers();
        bed.write_known_hosts(&accounts.root.home);
        bed.start_agents();
        Some(bed)
    }

    fn start_servers(&mut self) {
        let folder = self.folder.clone();
        let at = |name: &str| folder.join(name);
        let lines = |keys: &[&str]| -> String {
            keys.iter()
                .map(|key| fs::read_to_string(at(&format!("{key}.pub"))).unwrap())
                .collect()
        };
        fs::write(
            at("keys-of-root"),
            lines(&["one", "three", "locked", "open"]),
        )
        .unwrap();
        fs::write(at("keys-of-developer"), lines(&["two", "held"])).unwrap();
        fs::write(at("keys-of-developer-at-c"), lines(&["ambient"])).unwrap();
        for file in [
            "",
            "keys-of-root",
            "keys-of-developer",
            "keys-of-developer-at-c",
            "users.pub",
        ] {
            programs::run(Command::new("chmod").arg("a+rX").arg(at(file)));
        }
        let common = format!(
            "AuthorizedKeysFile {0}/keys-of-%u\nTrustedUserCAKeys {0}/users.pub\n",
            folder.display()
        );
        keygen(&at("host_c"), &["-t", "ed25519", "-N", ""]);
        sign(&at("hosts"), &["-h", "-n", "winhost"], &at("host_c.pub"));
        let old = format!(
            "AuthorizedKeysFile {0}/keys-of-%u {0}/keys-of-%u-at-c\n{common}HostKey {0}/host_c\nHostCertificate {0}/host_c-cert.pub\n\
             HostKeyAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com\n\
             KexAlgorithms diffie-hellman-group14-sha256,diffie-hellman-group14-sha1\n\
             Ciphers aes256-ctr,3des-cbc\nMACs hmac-sha2-512,hmac-sha1\n",
            folder.display()
        );
        for (name, lines) in [("a", &common), ("b", &common), ("c", &old)] {
            self.servers
                .insert(name, Sshd::with(lines).expect("sshd is there"));
        }
    }

    fn write_known_hosts(&self, home: &Path) {
        let at = |name: &str| self.folder.join(name);
        let write = |name: &str, text: String| fs::write(at(name), text).unwrap();
        let a = &self.servers["a"];
        let name = format!("[127.0.0.1]:{}", a.port());
        let key = a.host_key();
        let all: String = self
            .servers
            .values()
            .map(|s| fs::read_to_string(s.known_hosts()).unwrap())
            .collect();
        // Server c shows a key of its own besides.
        let c = format!(
            "[127.0.0.1]:{} {}\n",
            self.servers["c"].port(),
            public(&at("host_c.pub"))
        );
        let all = format!(
            "{}{c}",
            all.lines()
                .filter(|l| !l.starts_with(&format!("[127.0.0.1]:{} ", self.servers["c"].port())))
                .map(|l| format!("{l}\n"))
                .collect::<String>()
        );
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(home.join(".ssh/known_hosts"), all).unwrap();
        write("empty", String::new());
        write("known-alias", format!("the-alias {key}\n"));
        write("known-plain", format!("127.0.0.1 {key}\n"));
        write(
            "known-changed",
            format!("{name} {}\n", public(&at("stranger.pub"))),
        );
        write(
            "known-rsa",
            format!("{name} {}\n", public(&at("three.pub"))),
        );
        let own = fs::read_to_string(a.known_hosts()).unwrap();
        let revoked: String = own
            .lines()
            .map(|line| format!("@revoked * {}\n", line.split_once(' ').unwrap().1))
            .collect();
        write("known-revoked", format!("{own}{revoked}"));
        let keys: String = own
            .lines()
            .map(|line| format!("{}\n", line.split_once(' ').unwrap().1))
            .collect();
        write("revoked", keys);
        write(
            "known-authority",
            format!("@cert-authority * {}\n", public(&at("hosts.pub"))),
        );
        write(
            "known-other-authority",
            format!("@cert-authority * {}\n", public(&at("other-hosts.pub"))),
        );
        write("with space/known hosts", own);
        programs::run(
            Command::new("ssh-keygen")
                .args(["-q", "-H", "-f"])
                .arg(at("with space/known hosts")),
        );
    }

    fn start_agents(&mut self) {
        let at = |name: &str| self.folder.join(name);
        let mut agents = vec![
            ("agent", vec![at("held")]),
            ("ambient-agent", vec![at("ambient")]),
            ("certificate-agent", vec![at("certified-2")]),
        ];
        let mut many = Vec::new();
        for n in 0..7 {
            let file = at(&format!("many-{n}"));
            keygen(&file, &["-t", "ed25519", "-N", ""]);
            many.push(file);
        }
        agents.push(("full-agent", many));
        for (name, keys) in agents {
            let socket = at(name);
            let mut command = Command::new("ssh-agent");
            command.arg("-D").arg("-a").arg(&socket);
            let mut daemon = Daemon::start(&command, &at(&format!("{name}.log")));
            daemon.wait_for("the agent", Duration::from_secs(10), || {
                socket.exists().then_some(())
            });
            for key in keys {
                // `ssh-add` takes the certificate beside a key along.
                let added = Command::new("ssh-add")
                    .arg("-q")
                    .arg(&key)
                    .env("SSH_AUTH_SOCK", &socket)
                    .output()
                    .unwrap();
                assert!(added.status.success(), "{added:?}");
            }
            self.agents.push(daemon);
        }
        // What selects a key of the agent must not be a key itself.
        fs::remove_file(at("held")).unwrap();
        fs::copy(at("certified-2"), at("certified-2.private")).unwrap();
    }

    fn fill(&self, text: &str, config: &Path) -> String {
        let mut text = text
            .replace("{dir}", &self.folder.display().to_string())
            .replace("{config}", &config.display().to_string())
            .replace("{closed}", &self.closed.to_string());
        for (name, server) in &self.servers {
            text = text.replace(&format!("{{{name}}}"), &server.port().to_string());
        }
        text
    }

    /// Runs it, and tells who was let in where meanwhile.
    fn watch(&self, run: impl FnOnce() -> Result<(), String>) -> (String, String) {
        let before: BTreeMap<_, _> = self
            .servers
            .iter()
            .map(|(name, server)| (*name, server.log().len()))
            .collect();
        if let Err(why) = run() {
            return ("refused".to_owned(), why);
        }
        let mut seen = Vec::new();
        for (name, server) in &self.servers {
            for line in server.log()[before[name]..].lines() {
                let Some((_, line)) = line.split_once("Accepted publickey for ") else {
                    continue;
                };
                let words: Vec<_> = line.split_whitespace().collect();
                let key = if line.contains("-CERT ") {
                    "certificate".to_owned()
                } else {
                    words
                        .iter()
                        .find_map(|word| self.names.get(*word))
                        .cloned()
                        .unwrap_or_else(|| line.to_owned())
                };
                seen.push(format!("{name}: {} with {key}", words[0]));
            }
        }
        (seen.join("; "), String::new())
    }

    fn ssh(&self, config: &Path) -> Result<(), String> {
        let out = Command::new("timeout")
            .args(["20", "ssh", "-F"])
            .arg(config)
            .args(["-o", "BatchMode=yes", "target", "true"])
            .env("SSH_AUTH_SOCK", self.folder.join("ambient-agent"))
            .env("HOME", &accounts().unwrap().root.home)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if out.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }

    async fn berth(&self, config: &Path, number: usize) -> Result<(), String> {
        let wanted = Wanted {
            host: "target".into(),
            config: Some(config.to_owned()),
            ..Wanted::default()
        };
        let local = Local {
            home: Some(accounts().unwrap().root.home.clone()),
            user: "root".into(),
            machine: "machine".into(),
            agent: Some(self.folder.join("ambient-agent")),
            // Each configuration finds an empty one.
            known_hosts: self.folder.join(format!("berth-{number}/known_hosts")),
        };
        let work = async {
            let found = berth_remote::resolve(&wanted, &local, &Given::default()).await?;
            let session = Session::open(&found.profile, Lane::Control).await?;
            session.exec("true", None, ExecLimits::default()).await?;
            session.close().await;
            Ok::<_, berth_core::Error>(())
        };
        work.await.map_err(|e| format!("{e}"))
    }
}

struct Row {
    name: String,
    what: String,
    ssh: String,
    berth: String,
    text: String,
}

fn rows() -> Vec<Row> {
    let folder = programs::root().join("tests/ssh_config");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let mut lines = text.lines();
            let mut line = |label: &str| {
                let line = lines.next().unwrap_or_default();
                line.strip_prefix(&format!("# {label}"))
                    .unwrap_or_else(|| {
                        panic!("{}: `{line}` should begin with `# {label}`", file.display())
                    })
                    .to_owned()
            };
            Row {
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                what: line(""),
                ssh: line("ssh: "),
                berth: line("berth: "),
                text: text.clone(),
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn berth_goes_where_ssh_goes_or_says_why_not() {
    let Some(bed) = Bed::make() else { return };
    let parts = programs::root().join("tests/ssh_config/parts");
    for part in fs::read_dir(parts).unwrap() {
        let part = part.unwrap().path();
        let to = bed.folder.join("parts").join(part.file_name().unwrap());
        fs::write(&to, bed.fill(&fs::read_to_string(&part).unwrap(), &to)).unwrap();
    }
    let only = std::env::var("BERTH_SSH_CONFIG").ok();
    let rows = rows();
    assert!(rows.len() >= 40, "only {} configurations", rows.len());
    let mut wrong = String::new();
    for (number, row) in rows.iter().enumerate() {
        if only.as_ref().is_some_and(|only| *only != row.name) {
            continue;
        }
        let config = bed.folder.join(format!("{}.conf", row.name));
        let scratch = bed.folder.join(format!("scratch-{number}"));
        let text = bed
            .fill(&row.text, &config)
            .replace("{scratch}", &scratch.display().to_string());
        fs::write(&config, text).unwrap();
        let (ssh, ssh_why) = bed.watch(|| bed.ssh(&config));
        // `ssh` may have recorded a key there that Berth has to judge for itself.
        let _ = fs::remove_file(&scratch);
        let handle = tokio::runtime::Handle::current();
        let (berth, berth_why) = tokio::task::block_in_place(|| {
            bed.watch(|| handle.block_on(bed.berth(&config, number)))
        });
        let (expected, reason) = row
            .berth
            .split_once(", because ")
            .unwrap_or((row.berth.as_str(), ""));
        let expected = if expected == "the same" {
            row.ssh.as_str()
        } else {
            expected
        };
        let stated = (expected == row.ssh) == reason.is_empty();
        if ssh != row.ssh || berth != expected || !stated {
            let _ = writeln!(
                wrong,
                "{} ({}):\n  ssh:   {ssh} — stated: {}\n         {}\n  berth: {berth} — stated: {}\n         {berth_why}",
                row.name,
                row.what,
                row.ssh,
                ssh_why.trim().replace('\n', "\n         "),
                row.berth,
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
