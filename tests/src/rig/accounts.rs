//! Users of this machine that only this test sees: its own `/etc/passwd`, `/etc/shadow` and `/etc/group`,
//! mounted over the machine's in the test's own namespace. So a real sshd can check a real password, and
//! nobody signs in with the home of whoever runs the tests.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use super::{is_isolated, programs};

/// An account that a test can sign in with.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user's name.
    pub name: &'static str,
    /// The user's home, in the test's temporary folder.
    pub home: PathBuf,
    /// The password; `root` has none.
    pub password: Option<&'static str>,
}

/// `root`, and `developer`, who is in the group `docker` and has a password full of traps.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The superuser, by key only.
    pub root: Account,
    /// An ordinary user, by key or password.
    pub developer: Account,
}

/// The accounts of this test, made when first asked for; `None` where the test is not isolated.
///
/// # Panics
/// When a mount is refused.
pub fn accounts() -> Option<&'static Accounts> {
    static MADE: OnceLock<Option<Accounts>> = OnceLock::new();
    MADE.get_or_init(|| is_isolated().then(make)).as_ref()
}

fn make() -> Accounts {
    let folder = PathBuf::from("/run/accounts");
    let accounts = Accounts {
        root: Account {
            name: "root",
            home: folder.join("root"),
            password: None,
        },
        developer: Account {
            name: "developer",
            home: folder.join("developer"),
            password: Some(r#"pä55 "w;ord' {of} a\ $developer"#),
        },
    };
    for account in [&accounts.root, &accounts.developer] {
        fs::create_dir_all(&account.home).expect("a home can be made");
    }
    let others = |file: &str, ours: &[&str]| -> String {
        let text = fs::read_to_string(file).expect("the machine has accounts");
        text.lines()
            .filter(|line| {
                !ours
                    .iter()
                    .any(|name| line.starts_with(&format!("{name}:")))
            })
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let hash = programs::run(Command::new("perl").args([
        "-e",
        "print crypt($ARGV[0], q($6$berthtests$))",
        accounts.developer.password.unwrap_or_default(),
    ]));
    let passwd = others("/etc/passwd", &["root", "developer"])
        + &format!(
            "root:x:0:0:root:{}:/bin/bash\n",
            accounts.root.home.display()
        )
        + &format!(
            "developer:x:7001:7001::{}:/bin/bash\n",
            accounts.developer.home.display()
        );
    let shadow = others("/etc/shadow", &["root", "developer"])
        + &format!("root:*:19000:0:99999:7:::\ndeveloper:{hash}:19000:0:99999:7:::\n");
    let group = others("/etc/group", &["docker", "developer"])
        + "docker:x:7000:developer\ndeveloper:x:7001:\n";
    for (name, text) in [("passwd", passwd), ("shadow", shadow), ("group", group)] {
        let file = folder.join(name);
        fs::write(&file, text).expect("the test's own folder can be written");
        programs::run(
            Command::new("mount")
                .arg("--bind")
                .arg(&file)
                .arg(format!("/etc/{name}")),
        );
    }
    programs::run(
        Command::new("chown")
            .arg("7001:7001")
            .arg(&accounts.developer.home),
    );
    accounts
}
