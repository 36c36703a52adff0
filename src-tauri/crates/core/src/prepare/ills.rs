//! What is wrong with a machine as a container host, each by a name of its own.

use super::{
    Id, Look, Wish,
    daemon::{self, Listens},
    listener::{Whose, listener_of},
    plan,
};

/// Something that is wrong with a machine as a container host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ill {
    /// Stable name.
    pub id: &'static str,
    /// What is wrong.
    pub what: String,
    /// What helps.
    pub repair: String,
    /// Whether preparing it again repairs it.
    pub by_prepare: bool,
}

/// What is wrong with a machine, by one look.
#[must_use]
pub fn ills(look: &Look, wish: &Wish) -> Vec<Ill> {
    let plan = plan(look, wish);
    let mut all: Vec<Ill> = plan
        .refusals
        .iter()
        .map(|(why, hint)| Ill {
            id: refusal(why),
            what: why.clone(),
            repair: hint.clone(),
            by_prepare: false,
        })
        .collect();
    if let Some(work) = look.work.as_ref().filter(|w| w.phase == "failed") {
        let known = known(&work.message);
        all.push(Ill {
            id: known.map_or("work-failed", |(id, _)| id),
            what: format!("The step `{}` failed: {}", work.step, work.message),
            repair: known
                .map_or("Prepare it again: it goes on from there", |(_, help)| help)
                .to_owned(),
            by_prepare: true,
        });
    }
    for said in &look.engine.said {
        let what = format!("The engine does not run: {}", said.trim());
        match known(said) {
            Some((id, _)) if all.iter().any(|ill| ill.id == id) => {}
            Some((id, help)) => all.push(by_hand(id, what, help)),
            None if all.iter().any(|ill| ill.id == "engine-stopped") => {}
            None => all.push(by_hand(
                "engine-stopped",
                what,
                "What it says is its own; `Start-Service docker` there says the same again",
            )),
        }
    }
    all.extend(settings(look));
    all.extend(sshd(look));
    all.extend(network(look));
    all.extend(listener(look, wish));
    for step in plan.steps.iter().filter(|s| s.to_do) {
        let expiring = step.id == Id::Tls
            && listener_of(look, wish) == Whose::Ours
            && wish.pair.as_ref().is_some_and(|pair| pair.ending.is_some());
        all.push(Ill {
            id: if expiring {
                "tls-ending"
            } else {
                step.id.as_str()
            },
            what: format!("{}: {}", step.title, step.is),
            repair: format!("should be: {}", step.should),
            by_prepare: true,
        });
    }
    all
}

fn by_hand(id: &'static str, what: impl Into<String>, repair: &str) -> Ill {
    Ill {
        id,
        what: what.into(),
        repair: repair.to_owned(),
        by_prepare: false,
    }
}

/// The name of a reason for which nothing can be prepared, by its words.
fn refusal(why: &str) -> &'static str {
    const NAMES: [(&str, &str); 14] = [
        ("too old", "old-windows"),
        ("made for x64", "not-x64"),
        ("Nano Server", "nano-server"),
        ("not an administrator", "not-administrator"),
        ("constrained language", "constrained-language"),
        ("are free on", "little-disk"),
        ("of memory", "little-memory"),
        ("system drive is", "not-ntfs"),
        ("belongs to somebody else", "foreign-folder"),
        ("no Containers feature", "no-feature"),
        ("IPv6 is switched off", "ipv6-off"),
        ("daemon.json", "daemon-unreadable"),
        ("both say where it listens", "engine-hosts-twice"),
        ("", "refused"),
    ];
    NAMES
        .iter()
        .find(|(word, _)| why.contains(word))
        .map_or("refused", |(_, name)| name)
}

fn settings(look: &Look) -> Vec<Ill> {
    let mut all = Vec::new();
    if look.daemon_mark {
        let what =
            r"`daemon.json` begins with a byte order mark, over which the engine does not read";
        // Settings of an engine that somebody else set up and that answers are left alone.
        let ours = look.engine.ours || look.engine.answers.is_none();
        all.push(Ill {
            by_prepare: ours,
            ..by_hand(
                "daemon-mark",
                what,
                "Save it as UTF-8 without the mark: Windows PowerShell 5.1 writes one where it is told `-Encoding UTF8`",
            )
        });
    }
    let settings = (look.daemon.as_deref()).and_then(|t| {
        serde_json::from_str::<serde_json::Value>(t.trim_start_matches('\u{feff}')).ok()
    });
    let Some(settings) = settings else { return all };
    let hyperv = settings
        .get("exec-opts")
        .is_some_and(|o| o.to_string().contains("isolation=hyperv"));
    if hyperv {
        all.push(by_hand(
            "isolation-hyperv",
            r"`exec-opts` in `daemon.json` isolates by Hyper-V, where SQL Server cannot use a mount (message 5177)",
            "Berth asks for process isolation itself; builds by hand need `isolation=process` there",
        ));
    }
    let open = settings
        .get("hosts")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .any(|h| {
            h.strip_prefix("tcp://").is_some_and(|at| {
                !at.starts_with("127.") && !at.starts_with("localhost") && !at.starts_with("[::1]")
            })
        });
    let verified = settings
        .get("tlsverify")
        .and_then(serde_json::Value::as_bool)
        == Some(true);
    if open && !verified {
        all.push(by_hand(
            "engine-open",
            "The engine listens on the network and asks nobody who they are: whoever reaches it is administrator of the machine",
            r"Take that `tcp://…` out of `hosts` in `daemon.json`, or set `tlsverify` and its certificates, and restart the service docker",
        ));
    }
    all
}

/// What `sshd_config` says outside of its `Match` blocks, and whether administrators have their own file of keys.
fn sshd(look: &Look) -> Vec<Ill> {
    let Some(text) = &look.sshd_config else {
        return Vec::new();
    };
    let mut block = String::new();
    let (mut says, mut own_file) = (Vec::new(), false);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line
            .split_once([' ', '\t', '='])
            .map_or((line, ""), |(w, r)| {
                (w, r.trim_start_matches(['=', ' ', '\t']))
            });
        let (word, rest) = (word.to_ascii_lowercase(), rest.trim().to_ascii_lowercase());
        if word == "match" {
            block = rest;
        } else if block.is_empty() || block == "all" {
            says.push((word, rest));
        } else if block.contains("group")
            && block.contains("administrators")
            && word == "authorizedkeysfile"
        {
            own_file = rest.contains("administrators_authorized_keys");
        }
    }
    // The first of a word counts.
    let first = |word: &str| {
        says.iter()
            .find(|(w, _)| w == word)
            .map(|(_, r)| r.as_str())
    };
    let mut all = Vec::new();
    if first("pubkeyauthentication") == Some("no") {
        all.push(by_hand(
            "sshd-no-keys",
            "`sshd_config` lets nobody sign in by a key",
            "Take `PubkeyAuthentication no` out of it, and restart the service sshd",
        ));
    }
    if matches!(first("allowtcpforwarding"), Some("no" | "remote"))
        || first("disableforwarding") == Some("yes")
    {
        all.push(by_hand(
            "sshd-no-forwarding",
            "`sshd_config` forbids to forward ports: the engine is reached without that, its instances are not",
            "Set `AllowTcpForwarding` to `yes` or `local`, and restart the service sshd",
        ));
    }
    if first("gatewayports") == Some("yes") {
        all.push(by_hand(
            "sshd-gateway-ports",
            "`sshd_config` opens forwarded ports to the whole network",
            "Take `GatewayPorts yes` out of it: Berth needs no port there",
        ));
    }
    if !own_file {
        all.push(by_hand(
            "sshd-keys-elsewhere",
            "`sshd_config` does not read `administrators_authorized_keys`: the keys of administrators are looked for in their own folders",
            r"Put your key into `.ssh\authorized_keys` of the user's folder, or put the block `Match Group administrators` of Windows' own `sshd_config` back",
        ));
    }
    all
}

fn network(look: &Look) -> Vec<Ill> {
    let stopped = |s: &Option<super::Service>| s.as_ref().is_some_and(|s| !s.runs());
    let mut all = Vec::new();
    if look.engine.answers.is_some() {
        return all;
    }
    for (id, name, service) in [
        ("hns-stopped", "hns", &look.network.hns),
        ("vmcompute-stopped", "vmcompute", &look.network.vmcompute),
    ] {
        if stopped(service) && service.as_ref().is_some_and(|s| s.start == "Disabled") {
            all.push(by_hand(
                id,
                format!("The service `{name}` of Windows is disabled, and containers need it"),
                "Set it to start by demand (`Set-Service NAME -StartupType Manual`), then prepare the machine again",
            ));
        }
    }
    all
}

/// What is wrong with the engine's own listener and is no step of a plan.
fn listener(look: &Look, wish: &Wish) -> Option<Ill> {
    if daemon::listens(look.daemon.as_deref(), &look.tls.folder) != Listens::Ours {
        return None;
    }
    match listener_of(look, wish) {
        Whose::Nobodys => Some(Ill {
            by_prepare: wish.pair.is_some(),
            ..by_hand(
                "tls-missing",
                format!(
                    "`daemon.json` names certificates in `{}` that are not there: the engine does not start again",
                    look.tls.folder
                ),
                "Preparing it again makes new ones; or take `hosts` and what begins with `tls` out of `daemon.json`",
            )
        }),
        Whose::Anothers if wish.pair.is_some() => Some(by_hand(
            "tls-foreign",
            "The engine's listener knows another computer's certificates, or this one's keychain has lost them: the engine is reached the slower way",
            "`berth host prepare NAME --new-certificates` makes new ones for this computer; the engine restarts, and the other computer then goes the slower way",
        )),
        _ => None,
    }
}

/// What helps against a failure that is known by its words.
#[must_use]
pub fn explain(said: &str) -> Option<&'static str> {
    known(said).map(|(_, help)| help)
}

/// The same with its name.
fn known(said: &str) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&str, &str, &str); 14] = [
        (
            "feature-files",
            "0x800f081f",
            "Windows does not find the files of its own feature: let it reach Windows Update, or have its owner add the feature from the installation media",
        ),
        (
            "feature-update-server",
            "0x800f0954",
            "This machine takes its features from a company's own update server, which does not offer this one: its owner has to allow Windows Update for features",
        ),
        (
            "feature-policy",
            "0x800f0907",
            "A policy of the machine forbids to fetch features from Windows Update: its owner has to allow it",
        ),
        (
            "engine-signature",
            "signature:",
            "What was downloaded is not what Docker publishes: look whether a proxy changes downloads there",
        ),
        (
            "engine-hash",
            "hash:",
            "What was downloaded is not what Docker published: look whether a proxy changes downloads there",
        ),
        (
            "disk-full",
            "curl: (23)",
            "The disk is full: free some space",
        ),
        (
            "disk-full",
            "not enough space",
            "The disk is full: free some space",
        ),
        (
            "no-dns",
            "The download ended with 6",
            "The machine cannot resolve names of the internet: look at its DNS",
        ),
        (
            "no-download",
            "The download ended with",
            "The machine cannot fetch the engine: let it reach download.docker.com, by a proxy where there is one",
        ),
        (
            "no-container-services",
            "ensure the Containers feature is installed",
            "The services of the Containers feature are not there: restart the machine",
        ),
        (
            "engine-group",
            "unable to resolve group",
            r"`group` in `C:\ProgramData\docker\config\daemon.json` names a group that is not there: make it, or take the line out",
        ),
        (
            "engine-hosts-twice",
            "specified both as a flag and in the configuration file",
            r"Take `-H …` out of the service's command line, or `hosts` out of `daemon.json`",
        ),
        (
            "hns",
            "HNS failed with error",
            "The network service of Windows is in disorder: restart the machine",
        ),
        (
            "settings-changed",
            "was changed after the plan was made",
            "Somebody else works on the engine's settings there: look at the plan again",
        ),
    ];
    KNOWN
        .iter()
        .find(|(_, word, _)| said.contains(word))
        .map(|(name, _, help)| (*name, *help))
}
