//! Docker's engine, with its folders, bridge and socket in the test's own namespaces.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    accounts::accounts,
    is_isolated,
    process::Daemon,
    programs, skip,
    sql_image::{self, CHANGES, OFFICIAL},
    wait_for,
};

/// Docker's default socket; `/run` is the test's own.
const SOCKET: &str = "/run/docker.sock";

/// A running Docker engine.
#[derive(Debug)]
pub struct Dockerd {
    daemon: Daemon,
    folder: TempDir,
    more: Vec<String>,
}

impl Dockerd {
    /// Starts it, without any image.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// Starts it with [`OFFICIAL`], on a disk of its own of so many MB: small enough to fill.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn on_a_disk_of(mb: u32) -> Option<Self> {
        let dockerd = Self::launched(&[], Some(mb))?;
        dockerd.load_sql_image();
        Some(dockerd)
    }

    /// Starts it with further arguments of `dockerd`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn with(arguments: &[&str]) -> Option<Self> {
        Self::launched(arguments, None)
    }

    fn launched(arguments: &[&str], disk: Option<u32>) -> Option<Self> {
        if !is_isolated() {
            skip(
                "Docker's engine needs namespaces of its own: use `make test` or `make suite`, as root on Linux",
            );
            return None;
        }
        if programs::find("dockerd").is_none() || programs::find("docker").is_none() {
            skip("Docker's engine is not installed");
            return None;
        }
        // The engine gives its socket to the group `docker`.
        let _ = accounts();
        let folder = tempfile::Builder::new()
            .prefix("dockerd")
            .tempdir()
            .expect("there is room for a folder");
        if let Some(mb) = disk {
            let data = folder.path().join("data");
            std::fs::create_dir(&data).expect("there is room for a folder");
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={mb}m"), "tmpfs"]);
            programs::run(mount.arg(data));
        }
        let more: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let daemon = launch(folder.path(), &more);
        Some(Self {
            daemon,
            folder,
            more,
        })
    }

    /// Starts it with the practice host's SQL engine as [`OFFICIAL`].
    #[must_use]
    pub fn with_sql_image() -> Option<Self> {
        let dockerd = Self::start()?;
        dockerd.load_sql_image();
        Some(dockerd)
    }

    /// Brings the practice host's SQL engine in as [`OFFICIAL`].
    ///
    /// # Panics
    /// When the engine refuses it.
    pub fn load_sql_image(&self) {
        let archive = sql_image::archive();
        let mut import = self.command();
        import.arg("import");
        for change in CHANGES {
            import.args(["--change", change]);
        }
        programs::run(import.arg(archive).arg(OFFICIAL));
    }

    /// Its socket, which is Docker's default one here.
    #[must_use]
    pub fn socket(&self) -> &Path {
        Path::new(SOCKET)
    }

    /// `unix:///…`, as `berth host add` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{SOCKET}")
    }

    /// Docker's own client, pointed here.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.arg("-H").arg(self.address());
        docker
    }

    /// Runs Docker's own client and answers what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn docker(&self, arguments: &[&str]) -> String {
        programs::run(self.command().args(arguments))
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Ends it as a crash does: without a word, its containers' processes with it.
    pub fn crash(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.pid_file()) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).status();
        }
        wait_for("the engine to be gone", Duration::from_secs(5), || {
            self.daemon.ended().ok().flatten()
        });
    }

    /// Ends it in order (containers get their stop signal) and starts it again on the same data.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Starts it again on the same data.
    pub fn start_again(&mut self) {
        self.daemon = launch(self.folder.path(), &self.more);
    }

    /// The folder that is its disk.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // Containers first: an engine that ends leaves each ten seconds to end by itself.
        if let Ok(list) = self.command().args(["ps", "-aq"]).output() {
            let list = String::from_utf8_lossy(&list.stdout).into_owned();
            if !list.trim().is_empty() {
                let _ = self
                    .command()
                    .args(["rm", "-f", "-v"])
                    .args(list.split_whitespace())
                    .output();
            }
        }
        self.daemon.stop();
        // Where it was a disk of its own.
        let mut unmount = Command::new("umount");
        let _ = unmount
            .args(["-q", "-l"])
            .arg(self.data())
            .stderr(std::process::Stdio::null())
            .status();
    }
}

fn launch(folder: &Path, more: &[String]) -> Daemon {
    let _ = std::fs::remove_file(folder.join("pid"));
    let mut command = Command::new(programs::find("dockerd").unwrap_or_else(|| "dockerd".into()));
    for (flag, name) in [
        ("--data-root", "data"),
        ("--exec-root", "exec"),
        ("--pidfile", "pid"),
    ] {
        command.arg(flag).arg(folder.join(name));
    }
    command.args([
        "-H",
        &format!("unix://{SOCKET}"),
        "--cgroup-parent",
        "/berth-tests",
        "--log-level",
        "warn",
    ]);
    command.args(more);
    // It looks for its parts where servers are kept.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let mut daemon = Daemon::start(&command, &folder.join("log"));
    daemon.wait_for("Docker's engine to answer", Duration::from_secs(30), || {
        ping().then_some(())
    });
    daemon
}

/// A whole `docker` for each question would be most of the start's time.
fn ping() -> bool {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };
    let ask = || -> std::io::Result<String> {
        let mut socket = UnixStream::connect(SOCKET)?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains(" 200 "))
}
