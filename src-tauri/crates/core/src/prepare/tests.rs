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
            without: vec![],
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
