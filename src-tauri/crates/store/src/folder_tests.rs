use super::*;
use crate::{HostRecord, Hosts, InstanceRecord, Instances, Settings};
use proptest::prelude::*;

fn some_hosts() -> Hosts {
    Hosts {
        hosts: vec![
            HostRecord {
                name: "win".into(),
                address: "ssh://dev@win".into(),
                identities: vec!["/k".into()],
                ..Default::default()
            },
            HostRecord {
                name: "b\u{e9}".into(),
                address: "unix:///s".into(),
                ..Default::default()
            },
        ],
        default_host: Some("win".into()),
        ..Default::default()
    }
}

fn with(hosts: Hosts) -> (tempfile::TempDir, Folder, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(temp.path().join("deep/berth"));
    folder
        .update(|h: &mut Hosts| {
            *h = hosts;
            Ok(())
        })
        .unwrap();
    let path = folder.path().join(Hosts::FILE);
    (temp, folder, path)
}

#[test]
fn what_is_not_there_is_the_default_and_reading_makes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(temp.path().join("b"));
    assert_eq!(folder.read::<Hosts>().unwrap(), Hosts::default());
    assert_eq!(folder.read::<Settings>().unwrap().format, "adonet");
    assert!(!folder.path().exists());
}

#[test]
fn only_the_user_can_open_what_is_written() {
    let (_temp, folder, path) = with(some_hosts());
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("store.lock")), 0o600);
}

#[test]
fn a_file_cut_off_anywhere_is_an_error_that_names_it_and_nothing_overwrites_it() {
    let (_temp, folder, path) = with(some_hosts());
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() - 1 {
        fs::write(&path, &whole[..cut]).unwrap();
        let e = folder.read::<Hosts>().unwrap_err();
        assert_eq!(e.code(), Code::Refused, "cut at {cut}");
        assert!(e.message().contains(&path.display().to_string()) && e.what_to_do().is_some());
        let e = folder.update(|h: &mut Hosts| {
            h.hosts.clear();
            Ok(())
        });
        assert!(
            e.is_err(),
            "a change would have replaced what is left of {cut} bytes"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            &whole[..cut],
            "the damaged file is evidence"
        );
    }
    // Without the last line feed nothing is missing.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(folder.read::<Hosts>().unwrap(), some_hosts());
    // What a power cut leaves on some file systems: the right length, all zero.
    fs::write(&path, vec![0; whole.len()]).unwrap();
    assert!(folder.read::<Hosts>().is_err());
}

#[test]
fn a_newer_berths_file_is_refused_and_kept() {
    let (_temp, folder, path) = with(some_hosts());
    let newer = "{\"version\": 2, \"hosts\": []}";
    fs::write(&path, newer).unwrap();
    let e = folder.update(|_: &mut Hosts| Ok(())).unwrap_err();
    assert!(e.message().contains("written by a newer Berth"), "{e}");
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    for odd in [
        "{}",
        "[]",
        "null",
        "1",
        "{\"version\":\"1\"}",
        "{\"version\":-1}",
        "{\"version\":1,\"hosts\":{}}",
        "{\"version\":1}{}",
    ] {
        fs::write(&path, odd).unwrap();
        assert_eq!(
            folder.read::<Hosts>().unwrap_err().code(),
            Code::Refused,
            "{odd}"
        );
    }
}

#[test]
fn fields_of_a_later_berth_survive_a_change() {
    let (_temp, folder, path) = with(some_hosts());
    fs::write(
        &path,
        r#"{"version":1,"later":[1],"hosts":[{"name":"a","address":"x","colour":"red","route":{"kind":"k","hop":2}}]}"#,
    )
    .unwrap();
    folder
        .update(|h: &mut Hosts| {
            h.get_mut("a").unwrap().os = Some("linux".into());
            Ok(())
        })
        .unwrap();
    let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(value["later"][0], 1);
    assert_eq!(value["hosts"][0]["colour"], "red");
    assert_eq!(value["hosts"][0]["route"]["hop"], 2);
    assert_eq!(value["hosts"][0]["os"], "linux");
    assert_eq!(value["version"], 1);
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let (_temp, folder, path) = with(some_hosts());
    let before = fs::read(&path).unwrap();
    let e = folder.update(|h: &mut Hosts| -> Result<()> {
        h.hosts.clear();
        Err(Error::usage("no"))
    });
    assert!(e.is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_disk_that_takes_no_more_leaves_the_old_file_whole() {
    let (_temp, folder, path) = with(some_hosts());
    let before = fs::read(&path).unwrap();
    let e = folder
        .update(|h: &mut Hosts| {
            h.hosts[0].address = "x".repeat(17 << 20);
            Ok(())
        })
        .unwrap_err();
    assert!(e.message().contains("16 MiB"));
    assert_eq!(fs::read(&path).unwrap(), before);
    // A folder stands where the file should be: the rename fails after everything was written.
    let settings = folder.path().join(Settings::FILE);
    fs::create_dir(&settings).unwrap();
    assert!(folder.read::<Settings>().is_err());
    assert!(folder.replace(Settings::FILE, b"{}").is_err());
    let left = fs::read_dir(folder.path()).unwrap().filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains(".new-")
    });
    assert_eq!(left.count(), 0, "what was not taken over is removed");
}

#[test]
fn the_file_systems_no_is_told_with_what_to_do() {
    for (kind, word) in [
        (ErrorKind::StorageFull, "room"),
        (ErrorKind::PermissionDenied, "right"),
    ] {
        let e = failure(
            Path::new("/x/hosts.json"),
            "cannot be written",
            &kind.into(),
        );
        assert!(e.message().contains("/x/hosts.json") && e.what_to_do().unwrap().contains(word));
    }
}

#[test]
fn what_a_killed_process_left_is_swept() {
    let (_temp, folder, path) = with(some_hosts());
    let left = folder.path().join(".hosts.json.new-abc");
    fs::write(&left, "{\"vers").unwrap();
    folder.update(|_: &mut Hosts| Ok(())).unwrap();
    assert!(!left.exists() && path.exists());
}

#[test]
fn nobody_loses_a_change_to_another() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(temp.path().join("b"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let folder = folder.clone();
            scope.spawn(move || {
                for n in 0..25 {
                    folder
                        .update(|i: &mut Instances| {
                            i.put(InstanceRecord {
                                id: format!("{thread}-{n}"),
                                ..Default::default()
                            });
                            Ok(())
                        })
                        .unwrap();
                    folder
                        .read::<Instances>()
                        .expect("a reader never sees half a file");
                }
            });
        }
    });
    assert_eq!(folder.read::<Instances>().unwrap().instances.len(), 200);
}

#[test]
fn a_lock_that_nobody_gives_back_is_an_error_and_not_a_hang() {
    let temp = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(temp.path());
    folder.lock_wait = Duration::from_millis(50);
    let _held = folder.lock().unwrap();
    let e = folder.update(|_: &mut Hosts| Ok(())).unwrap_err();
    assert_eq!(e.code(), Code::TimedOut);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_bytes_make_it_panic_or_pass_for_hosts(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (_temp, folder, path) = with(some_hosts());
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&path, &bytes).unwrap();
        match folder.update(|_: &mut Hosts| Ok(())) {
            // Some damage only makes another valid file.
            Ok(()) => prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok()),
            Err(_) => prop_assert_eq!(fs::read(&path).unwrap(), bytes, "what cannot be read is not overwritten"),
        }
    }

    #[test]
    fn what_is_written_is_read(name in ".{0,40}", address: String, default_host: Option<String>, port: u16) {
        let hosts = Hosts { hosts: vec![HostRecord { name, address, ..Default::default() }], default_host, ..Default::default() };
        let (_temp, folder, _) = with(hosts.clone());
        prop_assert_eq!(folder.read::<Hosts>().unwrap(), hosts);
        let record = InstanceRecord { id: "1".into(), port, ..Default::default() };
        folder.update(|i: &mut Instances| { i.put(record.clone()); Ok(()) }).unwrap();
        let read = folder.read::<Instances>().unwrap();
        prop_assert_eq!(read.get("1"), Some(&record));
    }
}

#[test]
fn what_somebody_else_changes_is_seen_however_alike_the_file_looks() {
    let (_temp, folder, path) = with(some_hosts());
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let settle = || {
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(long_ago))
            .unwrap();
    };
    settle();
    assert_eq!(folder.read::<Hosts>().unwrap(), some_hosts());
    let held = folder.parsed.lock().unwrap().len();
    assert_eq!(
        held, 1,
        "a file that lies still is parsed once: a list reads it each time"
    );

    // Same file, same length, same time of change: an editor that keeps times.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("dev@win", "dev@won")).unwrap();
    settle();
    let seen = folder.read::<Hosts>().unwrap();
    assert_eq!(seen.hosts[0].address, "ssh://dev@won");

    // Another process, which knows nothing of this one's memory.
    Folder::new(folder.path())
        .update(|hosts: &mut Hosts| {
            hosts.remove("win");
            Ok(())
        })
        .unwrap();
    assert!(folder.read::<Hosts>().unwrap().get("win").is_none());
    settle();
    let _ = folder.read::<Hosts>().unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(
        folder.read::<Hosts>().unwrap(),
        Hosts::default(),
        "a file that was moved aside starts anew"
    );
}
