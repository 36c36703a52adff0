//! What goes over sockets: taps between a client and its server, and a recording of every network packet.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use berth_tests::rig::{process::Daemon, programs, skip};

/// A server's socket with somebody between it and its clients, who writes down everything that is said both ways.
pub(crate) struct Tap {
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Moves the socket aside and listens in its place.
    pub(crate) fn before(socket: &Path) -> Self {
        let real = socket.with_extension("real");
        fs::rename(socket, &real).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&real) else {
                    continue;
                };
                for (from, to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ] {
                    let all = Arc::clone(&all);
                    thread::spawn(move || carry(from, to, &all));
                }
            }
        });
        Self { heard }
    }

    /// What was said since it was last asked.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn carry(mut from: UnixStream, mut to: UnixStream, heard: &Mutex<Vec<u8>>) {
    let mut part = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut part) {
        heard.lock().unwrap().extend_from_slice(&part[..n]);
        if to.write_all(&part[..n]).is_err() {
            break;
        }
    }
    // What was written and not read yet still arrives.
    let _ = to.shutdown(Shutdown::Write);
}

/// Every packet of every interface of this test's own network, as long as it lives.
pub(crate) struct Packets {
    file: PathBuf,
    daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Packets {
    pub(crate) fn record() -> Option<Self> {
        let Some(tcpdump) = programs::find("tcpdump") else {
            skip("tcpdump is not installed: no packet is looked at");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("wire").tempdir().unwrap();
        let file = folder.path().join("packets");
        let mut command = Command::new(tcpdump);
        command
            .args([
                "-i",
                "any",
                "-s",
                "0",
                "-U",
                "--immediate-mode",
                "-Z",
                "root",
                "-w",
            ])
            .arg(&file);
        let mut daemon = Daemon::start(&command, &folder.path().join("log"));
        let log = folder.path().join("log");
        daemon.wait_for("tcpdump to listen", Duration::from_secs(10), || {
            fs::read_to_string(&log)
                .is_ok_and(|said| said.contains("listening on"))
                .then_some(())
        });
        Some(Self {
            file,
            daemon,
            _folder: folder,
        })
    }

    /// Everything that was recorded, once no more is.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.daemon.stop();
        fs::read(&self.file).unwrap()
    }
}

/// How a TDS login carries a password: each byte of its UTF-16 with its halves swapped and some bits turned, which hides
/// nothing (MS-TDS 2.2.6.4).
pub(crate) fn in_a_login(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(u16::to_le_bytes)
        .map(|byte| byte.rotate_left(4) ^ 0xa5)
        .collect()
}
