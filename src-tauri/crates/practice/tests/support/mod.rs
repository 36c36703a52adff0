//! A practice host in a folder of its own, and the programs that are pointed at it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use berth_practice::{Fault, Practice, Settings, door};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

/// How long any program may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How `docker` gets to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Tcp,
    /// Docker's own: `docker system dial-stdio` on the host.
    Ssh,
    /// TLS on both sides.
    Tls,
}

pub struct Host {
    pub way: Way,
    pub dir: tempfile::TempDir,
    pub practice: Practice,
    /// Where the engine's door is, on loopback TCP.
    pub engine: std::net::SocketAddr,
    door: tokio::task::JoinHandle<()>,
}

pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn ok(self) -> String {
        assert_eq!(
            self.code,
            Some(0),
            "it failed: {} {}",
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        eprintln!(
            "SKIPPED: `{program}` is not installed, so the practice host was not tried with it"
        );
    }
    found
}

pub async fn run(command: &mut Command) -> Ran {
    run_with(command, b"").await
}

pub async fn run_with(command: &mut Command, stdin: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let _ = pipe.write_all(stdin).await;
    drop(pipe);
    let out = tokio::time::timeout(LIMIT, child.wait_with_output())
        .await
        .expect("the program must end within its limit")
        .unwrap();
    Ran {
        code: out.status.code(),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// Asks again until it is so, for what another task brings about.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

impl Host {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(faults: &[Fault]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), faults).await
    }

    pub async fn at(dir: tempfile::TempDir, faults: &[Fault]) -> Self {
        Self::reached(dir, faults, Way::Tcp).await
    }

    /// A host that `docker` reaches by this way.
    pub async fn over(way: Way) -> Self {
        Self::reached(tempfile::tempdir().unwrap(), &[], way).await
    }

    async fn reached(dir: tempfile::TempDir, faults: &[Fault], way: Way) -> Self {
        let settings = Settings {
            dir: dir.path().join("host"),
            tls_port: (way == Way::Tls).then_some(0),
            faults: faults.to_vec(),
            ..Settings::default()
        };
        let practice = Practice::start(settings).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = listener.local_addr().unwrap();
        let model = Arc::clone(practice.model());
        let door = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(door::engine::serve(Arc::clone(&model), Box::new(stream)));
            }
        });
        let host = Self {
            way,
            dir,
            practice,
            engine,
            door,
        };
        if way == Way::Ssh {
            host.shadow_ssh();
        }
        host
    }

    /// Shuts the machine down and boots it again on the same folder.
    pub async fn reboot(self) -> Self {
        self.reboot_with(&[]).await
    }

    pub async fn reboot_with(self, faults: &[Fault]) -> Self {
        self.door.abort();
        self.practice.stop().await;
        Self::at(self.dir, faults).await
    }

    pub async fn stop(self) {
        self.door.abort();
        self.practice.stop().await;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ssh` with the host's key known and no configuration of this machine.
    pub fn ssh(&self) -> Command {
        let known = self.path("known_hosts");
        let port = self.practice.ssh_address().port();
        std::fs::write(
            &known,
            format!("[127.0.0.1]:{port} {}\n", self.practice.host_key()),
        )
        .unwrap();
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "GlobalKnownHostsFile=none",
        ]);
        command.args(["-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10"]);
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()));
        command.arg("-p").arg(port.to_string());
        command.args(["-l", self.practice.user()]);
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    pub fn ssh_with_key(&self) -> Command {
        let mut command = self.ssh();
        command
            .args(["-o", "BatchMode=yes", "-i"])
            .arg(self.practice.client_key_path());
        command
    }

    pub fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_CONFIG", self.path("docker-config"))
            .env_remove("DOCKER_HOST")
            .env("HOME", self.dir.path());
        match self.way {
            Way::Tcp => {
                command.arg("-H").arg(format!("tcp://{}", self.engine));
            }
            Way::Ssh => {
                let path = std::env::var("PATH").unwrap();
                command
                    .env("PATH", format!("{}:{path}", self.path("bin").display()))
                    .args(["-H", "ssh://Administrator@127.0.0.1"]);
            }
            Way::Tls => {
                let (address, folder) = self.practice.tls().unwrap();
                command
                    .env("DOCKER_CERT_PATH", folder)
                    .arg("--tlsverify")
                    .arg("-H")
                    .arg(format!("tcp://{address}"));
            }
        }
        command
    }

    /// Docker's command calls `ssh` by name; ours adds what a configuration file would say.
    fn shadow_ssh(&self) {
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join("ssh"))
            .find(|path| path.is_file())
            .unwrap();
        let prepared = self.ssh_with_key();
        let words: Vec<String> = prepared
            .as_std()
            .get_args()
            .map(|a| format!("'{}'", a.to_string_lossy()))
            .collect();
        std::fs::create_dir(self.path("bin")).unwrap();
        script(
            &self.path("bin/ssh"),
            &format!(
                "#!/bin/sh\nexec {} {} \"$@\"\n",
                real.display(),
                words.join(" ")
            ),
        );
    }

    pub async fn docker_ok(&self, args: &[&str]) -> String {
        run(self.docker().args(args)).await.ok()
    }

    /// One HTTP request, answered whole.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, _, body) = self.raw(method, path, body).await;
        let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
        (status, value)
    }

    /// The same with the head as it came.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, String, String) {
        let mut stream = tokio::net::TcpStream::connect(self.engine).await.unwrap();
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        // Cut up as bytes: a log's frames are no text.
        let end = answer
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let rest = answer.get(end + 4..).unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        let body = if head.contains("transfer-encoding: chunked") {
            unchunk(rest)
        } else {
            rest.to_vec()
        };
        (status, head, String::from_utf8_lossy(&body).into_owned())
    }

    /// A SQL Server container named so, on a volume of the same name, started.
    pub async fn up(&self, name: &str) -> String {
        let (status, made) = self
            .request(
                "POST",
                &format!("/containers/create?name={name}"),
                Some(spec(name)),
            )
            .await;
        assert_eq!(status, 201, "{made}");
        let id = made["Id"].as_str().unwrap().to_owned();
        let (status, why) = self
            .request("POST", &format!("/containers/{id}/start"), None)
            .await;
        assert_eq!(status, 204, "{why}");
        id
    }

    /// What the container printed so far.
    pub async fn log(&self, name: &str) -> String {
        let (status, _, text) = self
            .raw(
                "GET",
                &format!("/containers/{name}/logs?stdout=1&stderr=1"),
                None,
            )
            .await;
        assert_eq!(status, 200, "{text}");
        text
    }

    pub async fn wait_for_log(&self, name: &str, text: &str) {
        until(&format!("`{text}` in the log of {name}"), async || {
            self.log(name).await.contains(text).then_some(())
        })
        .await;
    }

    pub async fn inspect(&self, name: &str) -> Value {
        let (status, value) = self
            .request("GET", &format!("/containers/{name}/json"), None)
            .await;
        assert_eq!(status, 200, "{value}");
        value
    }
}

/// What Berth asks for.
pub fn spec(volume: &str) -> Value {
    serde_json::json!({
        "Image": "berth/sql:2022-express-ltsc2022",
        "Hostname": "sql1",
        "Env": ["ACCEPT_EULA=Y", "MSSQL_MEMORY_LIMIT_MB=1024"],
        "Labels": { "dev.berth.id": volume },
        "StopTimeout": 120,
        "HostConfig": {
            "Isolation": "process", "Memory": 2_147_483_648_u64, "NetworkMode": "nat",
            "RestartPolicy": { "Name": "unless-stopped" },
            "Mounts": [{ "Type": "volume", "Source": volume, "Target": "C:\\data" }]
        }
    })
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(part) = rest.get(end + 2..end + 2 + size).filter(|p| !p.is_empty()) else {
            break;
        };
        out.extend_from_slice(part);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    out
}

/// Writes an executable script.
pub fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}
