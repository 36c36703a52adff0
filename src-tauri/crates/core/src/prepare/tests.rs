use super::*;

fn bare() -> Look {
    Look {
        product: Some("Windows Server 2022 Datacenter".into()),
        build: 20348,
        installation_type: Some("Server".into()),
        arch: Some("AMD64".into()),
        language_mode: Some("FullLanguage".into()),
        admin: true,
        ram_mb: 16000,
        free_mb: 100_000,
        fs: Some("NTFS".into()),
        sshd: Some(Service {
            status: "Running".into(),
            start: "Manual".into(),
        }),
        sector: Sector {
            largest: Some(4096),
            forced: false,
        },
        feature: Some("Disabled".into()),
        ..Look::default()
    }
}

fn to_do(plan: &Plan) -> Vec<&'static str> {
    plan.steps
        .iter()
        .filter(|s| s.to_do)
        .map(|s| s.id.as_str())
        .collect()
}

#[test]
fn a_bare_machine_gets_everything_and_one_restart() {
    let plan = plan(
        &bare(),
        &Wish {
            key: Some("ssh-ed25519 AAAA x".into()),
            ..Wish::default()
        },
    );
    assert_eq!(plan.refusals, []);
    assert_eq!(
        to_do(&plan),
        [
            "folder", "sshd", "firewall", "key", "feature", "restart", "engine", "daemon"
        ],
        "the restart is announced before anything is agreed to"
    );
    assert!(plan.seconds() > 300);
}

#[test]
fn machines_that_cannot_are_refused_with_a_reason() {
    type Change = fn(&mut Look);
    let cases: [(&str, Change); 10] = [
        ("too old", |l| l.build = 14393),
        ("x64", |l| l.arch = Some("ARM64".into())),
        ("Nano", |l| l.installation_type = Some("Nano Server".into())),
        ("administrator", |l| l.admin = false),
        ("constrained", |l| {
            l.language_mode = Some("ConstrainedLanguage".into())
        }),
        ("free", |l| l.free_mb = 10_000),
        ("memory", |l| l.ram_mb = 2048),
        ("belongs to somebody else", |l| {
            l.folder = Some(Owner {
                owner: "S-1-5-21-1-2-3-1001".into(),
                private: false,
            })
        }),
        ("no Containers feature", |l| l.feature = None),
        ("daemon.json", |l| l.daemon = Some("{ not json".into())),
    ];
    for (word, change) in cases {
        let mut look = bare();
        change(&mut look);
        let plan = plan(&look, &Wish::default());
        assert!(
            plan.refusals
                .iter()
                .any(|(why, hint)| why.contains(word) && !hint.is_empty()),
            "{word}: {:?}",
            plan.refusals
        );
        assert!(!plan.is_done(), "{word}");
    }
}

#[test]
fn an_engine_of_somebody_else_is_taken_as_it_is() {
    let mut look = bare();
    look.feature = Some("Enabled".into());
    look.network.hns = Some(Service::default());
    look.network.vmcompute = Some(Service::default());
    look.network.nat = Some(true);
    look.daemon = Some(r#"{"hosts":["npipe://"]}"#.into());
    look.engine = Engine {
        service: Some(Service {
            status: "Running".into(),
            start: "Automatic".into(),
        }),
        dockerd: Some(r"C:\Program Files\docker\dockerd.exe".into()),
        answers: Some("23.0.1".into()),
        ..Engine::default()
    };
    let plan = plan(&look, &Wish::default());
    assert_eq!(to_do(&plan), ["folder", "sshd", "firewall"]);
    assert_eq!(
        want(&look, &Wish::default())["daemon"],
        Value::Null,
        "its settings are its owner's"
    );
}

#[test]
fn large_sectors_are_mended_and_need_a_restart() {
    let mut look = bare();
    look.sector.largest = Some(8192);
    assert!(to_do(&plan(&look, &Wish::default())).contains(&"sector"));
    look.sector.forced = true;
    look.feature = Some("Enabled".into());
    look.network.hns = Some(Service::default());
    look.network.vmcompute = Some(Service::default());
    let done = to_do(&plan(&look, &Wish::default()));
    assert!(
        !done.contains(&"sector") && done.contains(&"restart"),
        "{done:?}"
    );
}

#[test]
fn a_rule_that_its_owner_switched_off_stays_off() {
    let mut look = bare();
    look.firewall = Some(Rule {
        enabled: "False".into(),
        profile: "Any".into(),
        group: String::new(),
    });
    assert!(!to_do(&plan(&look, &Wish::default())).contains(&"firewall"));
}

#[test]
fn what_was_changed_is_taken_back_key_last() {
    let look = Look {
        changes: ["engine", "key", "service", "feature"]
            .map(str::to_owned)
            .to_vec(),
        folder: Some(Owner::default()),
        ..Look::default()
    };
    assert_eq!(
        undo(&look),
        ["service", "engine", "feature", "key", "folder"]
    );
}

#[test]
fn each_broken_state_has_a_name_of_its_own() {
    type Change = fn(&mut Look);
    let own = "Match Group administrators\n  AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys\n";
    let cases: [(&str, Change); 14] = [
        ("old-windows", |l| l.build = 14393),
        ("little-disk", |l| l.free_mb = 10_000),
        ("no-feature", |l| l.feature = None),
        ("ipv6-off", |l| l.network.ipv6off = true),
        ("daemon-unreadable", |l| {
            l.daemon = Some("{ not json".into())
        }),
        ("daemon-mark", |l| l.daemon_mark = true),
        ("isolation-hyperv", |l| {
            l.daemon = Some(r#"{"exec-opts":["isolation=hyperv"]}"#.into());
        }),
        ("engine-open", |l| {
            l.daemon = Some(r#"{"hosts":["npipe://","tcp://0.0.0.0:2375"]}"#.into());
        }),
        ("no-container-services", |l| {
            l.engine.said = vec!["please ensure the Containers feature is installed".into()];
        }),
        ("engine-stopped", |l| {
            l.engine.said = vec!["something else".into()]
        }),
        ("sshd-no-keys", |l| {
            l.sshd_config = Some("PubkeyAuthentication  no".into());
        }),
        ("sshd-no-forwarding", |l| {
            l.sshd_config = Some("allowtcpforwarding=no".into());
        }),
        ("sshd-gateway-ports", |l| {
            l.sshd_config = Some("GatewayPorts yes".into());
        }),
        ("hns-stopped", |l| {
            l.network.hns = Some(Service {
                status: "Stopped".into(),
                start: "Disabled".into(),
            });
        }),
    ];
    let names = |look: &Look| -> Vec<&'static str> {
        ills(look, &Wish::default()).iter().map(|i| i.id).collect()
    };
    for (name, change) in cases {
        let mut look = bare();
        change(&mut look);
        assert!(names(&look).contains(&name), "{name}: {:?}", names(&look));
        assert!(
            !names(&bare()).contains(&name),
            "{name}: nothing is wrong there that is not"
        );
    }
    let mut look = bare();
    look.sshd_config = Some(format!(
        "# x\nAllowTcpForwarding yes\nAllowTcpForwarding no\n{own}"
    ));
    assert!(
        !names(&look).iter().any(|n| n.starts_with("sshd-")),
        "the first of a word counts, and Windows' own settings are fine: {:?}",
        names(&look)
    );
    look.sshd_config = Some(format!("{own}AllowTcpForwarding no\n"));
    assert!(
        !names(&look).contains(&"sshd-no-forwarding"),
        "what a block says is of that block"
    );
    look.daemon = Some(r#"{"hosts":["tcp://0.0.0.0:2376"],"tlsverify":true}"#.into());
    assert!(!names(&look).contains(&"engine-open"));
}

/// A prepared machine whose engine has no listener of its own yet.
fn running() -> Look {
    Look {
        folder: Some(Owner {
            owner: "BA".into(),
            private: true,
        }),
        sshd: Some(Service {
            status: "Running".into(),
            start: "Automatic".into(),
        }),
        feature: Some("Enabled".into()),
        engine: Engine {
            ours: true,
            dockerd: Some("dockerd.exe".into()),
            answers: Some("29.7.2".into()),
            installed: Some("29.7.2".into()),
            ..Engine::default()
        },
        tls: Certificates {
            folder: r"C:\ProgramData\Berth\tls".into(),
            ..Certificates::default()
        },
        daemon: Some(r#"{"shutdown-timeout":120}"#.into()),
        network: Network {
            hns: Some(Service::default()),
            vmcompute: Some(Service::default()),
            nat: Some(true),
            ..Network::default()
        },
        firewall: Some(Rule {
            enabled: "True".into(),
            profile: "Any".into(),
            ..Rule::default()
        }),
        ..bare()
    }
}

fn keeping(pair: Option<Pair>) -> Wish {
    Wish {
        pair,
        ..Wish::default()
    }
}

/// What this machine made, and the host has.
fn made(look: &mut Look, private: bool) -> Wish {
    look.tls.ca = Some("A".into());
    look.tls.cert = Some("B".into());
    look.tls.private = private;
    keeping(Some(Pair {
        ca: Some("A".into()),
        server: Some("B".into()),
        ending: None,
    }))
}

#[test]
fn an_engine_gets_a_listener_and_its_restart_is_announced() {
    let plan_of = plan(&running(), &keeping(Some(Pair::default())));
    assert_eq!(
        to_do(&plan_of),
        ["tls", "daemon"],
        "the restart is in the plan"
    );
    let mut look = running();
    let wish = made(&mut look, true);
    look.tls.fresh = true;
    assert_eq!(to_do(&plan(&look, &wish)), ["daemon"]);
    look.daemon = merged(look.daemon.as_deref(), false, Some(&look.tls.folder)).unwrap();
    assert_eq!(
        to_do(&plan(&look, &wish)),
        ["daemon"],
        "settings that were written are not read yet"
    );
    look.tls.fresh = false;
    assert!(plan(&look, &wish).is_done() && is_ready(&look, &wish));
}

#[test]
fn without_a_keychain_nothing_is_made_that_could_not_be_used() {
    let plan = plan(&running(), &keeping(None));
    assert!(plan.is_done(), "{plan:?}");
    assert!(plan.notes.iter().any(|n| n.contains("No keychain")));
}

#[test]
fn who_says_where_the_engine_listens_is_not_overruled() {
    let none = keeping(Some(Pair::default()));
    let mut theirs = running();
    theirs.daemon = Some(r#"{"hosts":["npipe://"],"shutdown-timeout":120}"#.into());
    assert!(plan(&theirs, &none).is_done(), "in the settings");
    let mut flag = running();
    flag.engine.path = Some(r#""C:\docker\dockerd.exe" --run-service -H npipe://"#.into());
    assert!(
        plan(&flag, &none).is_done(),
        "on the command line: both would keep dockerd from starting"
    );
    let mut found = running();
    found.engine.ours = false;
    assert!(plan(&found, &none).is_done(), "an engine of somebody else");
}

#[test]
fn certificates_that_end_or_are_anothers_are_told_by_name() {
    let mut look = running();
    let mut ours = made(&mut look, true);
    look.daemon = merged(look.daemon.as_deref(), false, Some(&look.tls.folder)).unwrap();
    let names = |look: &Look, wish: &Wish| -> Vec<(&'static str, bool)> {
        (ills(look, wish).iter())
            .filter(|ill| ill.id.starts_with("tls"))
            .map(|ill| (ill.id, ill.by_prepare))
            .collect()
    };
    assert_eq!(names(&look, &ours), []);
    if let Some(pair) = &mut ours.pair {
        pair.ending = Some("2026-12-01".into());
    }
    assert_eq!(names(&look, &ours), [("tls-ending", true)]);
    let other = keeping(Some(Pair::default()));
    assert_eq!(names(&look, &other), [("tls-foreign", false)]);
    assert!(
        plan(&look, &other).is_done(),
        "another computer's way is not taken away unasked"
    );
    let asked = Wish {
        renew: true,
        ..other.clone()
    };
    assert_eq!(to_do(&plan(&look, &asked)), ["tls", "daemon"]);
    look.tls.ca = None;
    assert_eq!(
        names(&look, &other),
        [("tls-missing", true), ("tls", true)],
        "settings that name what is not there"
    );
    let mut open = running();
    let wish = made(&mut open, false);
    assert_eq!(
        to_do(&plan(&open, &wish))[..1],
        ["tls"],
        "a key that others may read"
    );
}

#[test]
fn taking_back_leaves_no_word_of_what_is_gone() {
    let mut look = running();
    look.changes = ["daemon", "engine", "service", "tls"]
        .map(str::to_owned)
        .into();
    assert_eq!(
        undo(&look),
        ["daemon", "service", "tls", "engine", "folder"],
        "the certificates go when nothing uses them any more"
    );
    assert_eq!(want_back(&look)["daemon"], Value::Null);
    let folder = look.tls.folder.clone();
    let mut all: Value =
        serde_json::from_str(&merged(None, false, Some(&folder)).unwrap().unwrap()).unwrap();
    all["mine"] = serde_json::json!(1);
    look.daemon = Some(all.to_string());
    let back = want_back(&look);
    let text: Value = serde_json::from_str(back["daemon"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        text,
        serde_json::json!({"mine": 1, "shutdown-timeout": 120})
    );
}
