//! Commands inside a running container: those that Berth sends, and no others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use berth_core::{Secret, secret::ExposeSecret};
use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

use super::{
    Model,
    fault::Fault,
    lifecycle::{Run, Service},
    lock,
    log::Source,
    process, random_id,
    refusal::{Answer, Refusal},
};

/// How many commands a machine remembers.
const KEEP: usize = 500;
/// The longest line that a command reads.
const LONGEST_INPUT: u64 = 4096;
/// How long a command waits for its input, and for SQL Server.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command in a container.
#[allow(missing_docs)]
pub struct Exec {
    pub id: String,
    pub container: String,
    pub command: Vec<String>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
    pub user: String,
    started: AtomicBool,
    exit_code: std::sync::Mutex<Option<u32>>,
}

impl Exec {
    /// `None` while it has not ended.
    pub fn exit_code(&self) -> Option<u32> {
        *lock(&self.exit_code)
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.started.load(Ordering::SeqCst) && self.exit_code().is_none()
    }
}

/// What is asked of a command.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct ExecSpec {
    pub command: Vec<String>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
    pub user: String,
}

/// A command that the practice host knows.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    SetSa,
    StopService,
}

fn known(command: &[String]) -> Option<Known> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let (program, rest) = words.split_first()?;
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if (is(program, "powershell") || is(program, "powershell.exe"))
        && let Some(at) = rest.iter().position(|w| is(w, "-File"))
    {
        return match rest.get(at + 1..) {
            Some([file]) if is(file, "C:\\berth\\set-sa.ps1") => Some(Known::SetSa),
            _ => None,
        };
    }
    match (is(program, "cmd") || is(program, "cmd.exe"), rest) {
        (true, [s, c, line])
            if is(s, "/S")
                && is(c, "/C")
                && is(line, "echo 1>C:\\berth\\stopping & net stop MSSQLSERVER /y") =>
        {
            Some(Known::StopService)
        }
        _ => None,
    }
}

/// Where a command's output goes.
pub type Output = mpsc::Sender<(Source, Bytes)>;

async fn print(to: &Output, source: Source, text: impl Into<String>) {
    // A reader that left does not end the command.
    let _ = to.send((source, Bytes::from(text.into()))).await;
}

impl Model {
    /// Makes a command ready to be started.
    pub async fn create_exec(&self, container: &str, spec: ExecSpec) -> Answer<String> {
        let (id, live) = self.find(container)?;
        if live.run().is_none() {
            return Err(Refusal::conflict(format!("Container {id} is not running")));
        }
        if spec.command.is_empty() {
            return Err(Refusal::invalid("No exec command specified"));
        }
        let exec = Exec {
            id: random_id()?,
            container: id.clone(),
            command: spec.command,
            stdin: spec.stdin,
            stdout: spec.stdout,
            stderr: spec.stderr,
            tty: spec.tty,
            user: spec.user,
            started: AtomicBool::new(false),
            exit_code: std::sync::Mutex::new(None),
        };
        let exec_id = exec.id.clone();
        {
            let mut execs = lock(&self.execs);
            if execs.len() >= KEEP {
                execs.retain(|_, old| old.is_running());
            }
            if execs.len() >= KEEP {
                return Err(Refusal::failed("too many commands are open"));
            }
            execs.insert(exec_id.clone(), Arc::new(exec));
        }
        Ok(exec_id)
    }

    /// One command.
    pub fn exec(&self, id: &str) -> Answer<Arc<Exec>> {
        lock(&self.execs)
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::not_found(format!("No such exec instance: {id}")))
    }

    /// Whether a command may be started now; marks it as started.
    pub fn claim_exec(&self, id: &str) -> Answer<(Arc<Exec>, Arc<Run>)> {
        let exec = self.exec(id)?;
        let (container, live) = self.find(&exec.container)?;
        let run = live
            .run()
            .ok_or_else(|| Refusal::conflict(format!("Container {container} is not running")))?;
        if exec.started.swap(true, Ordering::SeqCst) {
            return Err(Refusal::conflict(format!(
                "Error: Exec command {id} has already run"
            )));
        }
        Ok((exec, run))
    }

    /// Runs a claimed command to its end.
    pub async fn run_exec(
        &self,
        exec: &Exec,
        run: &Run,
        stdin: impl AsyncRead + Unpin + Send,
        output: Output,
    ) -> u32 {
        let mut service = run.service();
        let code = tokio::select! {
            code = self.do_exec(exec, run, stdin, &output) => code,
            // The container ended: so does everything in it.
            _ = service.wait_for(|s| *s == Service::Gone) => process::SHUT_DOWN,
        };
        *lock(&exec.exit_code) = Some(code);
        if let Ok(container) = self.container(&exec.container) {
            let mut attributes = container.attributes();
            attributes.insert("execID".into(), exec.id.clone());
            attributes.insert("exitCode".into(), code.to_string());
            self.tell("container", "exec_die", &exec.container, attributes);
        }
        code
    }

    async fn do_exec(
        &self,
        exec: &Exec,
        run: &Run,
        stdin: impl AsyncRead + Unpin + Send,
        output: &Output,
    ) -> u32 {
        match known(&exec.command) {
            Some(Known::SetSa) => match self.set_sa(run, stdin).await {
                Ok(()) => {
                    print(output, Source::Stdout, "BERTH-JSON:{\"ok\":true}\n").await;
                    0
                }
                Err(why) => {
                    print(
                        output,
                        Source::Stdout,
                        format!("BERTH-ERR:{}\n", json!({ "m": why })),
                    )
                    .await;
                    1
                }
            },
            Some(Known::StopService) => stop_service(run, output).await,
            None => {
                let shown = exec.command.join(" ");
                let shown: String = shown.chars().take(200).collect();
                print(
                    output,
                    Source::Stderr,
                    format!("the practice host does not run this: {shown}\n"),
                )
                .await;
                1
            }
        }
    }

    /// What `set-sa.ps1` does: waits for the service and sets the password that comes on stdin.
    async fn set_sa(&self, run: &Run, stdin: impl AsyncRead + Unpin + Send) -> Result<(), String> {
        let password = tokio::time::timeout(PATIENCE, read_line(stdin))
            .await
            .map_err(|_| "no password came on the standard input".to_owned())??;
        let mut service = run.service();
        let up = service.wait_for(|s| *s != Service::Starting);
        match tokio::time::timeout(PATIENCE, up).await {
            Ok(Ok(now)) if *now == Service::Running => {}
            _ => return Err("the service MSSQLSERVER does not run".into()),
        }
        let sql = run.sql().ok_or("the service MSSQLSERVER does not run")?;
        let password = if self.faults().has(Fault::RefuseSqlLogin) {
            Secret::from(format!("{}-no", password.expose_secret()))
        } else {
            password
        };
        let set = tokio::task::spawn_blocking(move || sql.set_sa_password(&password)).await;
        set.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }
}

async fn read_line(stdin: impl AsyncRead + Unpin) -> Result<Secret, String> {
    let mut line = Vec::new();
    let mut stdin = tokio::io::BufReader::new(stdin.take(LONGEST_INPUT));
    tokio::io::AsyncBufReadExt::read_until(&mut stdin, b'\n', &mut line)
        .await
        .map_err(|e| format!("the standard input cannot be read: {e}"))?;
    let text = String::from_utf8(line).map_err(|_| "the standard input is not UTF-8".to_owned())?;
    let text = text
        .trim_start_matches('\u{feff}')
        .trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("no password came on the standard input".into());
    }
    Ok(Secret::from(text.to_owned()))
}

async fn stop_service(run: &Run, output: &Output) -> u32 {
    let mut service = run.service();
    if *service.borrow() != Service::Running {
        print(
            output,
            Source::Stderr,
            "The SQL Server (MSSQLSERVER) service is not started.\r\n\r\nMore help is available by typing NET HELPMSG 3521.\r\n\r\n",
        )
        .await;
        return 2;
    }
    print(
        output,
        Source::Stdout,
        "The SQL Server (MSSQLSERVER) service is stopping.\r\n",
    )
    .await;
    run.stop_service.send_replace(true);
    if tokio::time::timeout(PATIENCE, service.wait_for(|s| *s != Service::Running))
        .await
        .is_err()
    {
        print(
            output,
            Source::Stderr,
            "The service could not be stopped.\r\n",
        )
        .await;
        return 2;
    }
    print(
        output,
        Source::Stdout,
        "The SQL Server (MSSQLSERVER) service was stopped successfully.\r\n\r\n",
    )
    .await;
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_berths_own_commands_are_known() {
        let command =
            |words: &[&str]| known(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let set = [
            "powershell",
            "-NoProfile",
            "-NonInteractive",
            "-ExecutionPolicy",
            "Bypass",
            "-File",
            "C:\\berth\\set-sa.ps1",
        ];
        assert_eq!(command(&set), Some(Known::SetSa));
        let stop = [
            "cmd",
            "/S",
            "/C",
            "echo 1>C:\\berth\\stopping & net stop MSSQLSERVER /y",
        ];
        assert_eq!(command(&stop), Some(Known::StopService));
        for other in [
            &["cmd"][..],
            &[],
            &["powershell", "-File"],
            &["cmd", "/S", "/C", "del C:\\data"],
        ] {
            assert_eq!(
                command(other),
                None,
                "what is not known is declined, never made up"
            );
        }
    }
}
