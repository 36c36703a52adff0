//! A background process that ends with its owner, however that ends.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Runs `"$@"` until standard input closes: the kernel closes it when the test ends in any way, so a test
/// that is killed leaves no server behind, on a Mac too. TERM first, KILL after five seconds.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
pid=$!
{
  read -r _ <&3
  kill -TERM $pid
  n=0
  while kill -0 $pid && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
  kill -KILL $pid
} >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $pid
code=$?
kill -KILL $watch 2>/dev/null
exit $code
"#;

/// A background process with its output in a file.
#[derive(Debug)]
pub struct Daemon {
    supervisor: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` (its program, arguments, environment and folder; its streams are replaced) and
    /// collects its output in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &Command, log: &Path) -> Self {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let mut supervisor = Command::new("/bin/sh");
        supervisor
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(name, value),
                None => supervisor.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            supervisor.current_dir(folder);
        }
        let supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a file handle can be doubled"))
            .stderr(out)
            .spawn()
            .expect("there is a shell");
        Self {
            supervisor,
            log: log.to_owned(),
        }
    }

    /// What it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }

    /// Asks again and again until there is an answer, while it runs.
    ///
    /// # Panics
    /// When it ends, or gives no answer within `limit`; the message has its output.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut() -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            if let Ok(Some(status)) = self.ended() {
                panic!(
                    "waited for {what}, but it ended with {status}:\n{}",
                    self.log()
                );
            }
            assert!(
                began.elapsed() < limit,
                "waited {limit:?} in vain for {what}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(15));
        }
    }

    /// Ends it and waits until it is gone.
    pub fn stop(&mut self) {
        drop(self.supervisor.stdin.take());
        let began = Instant::now();
        while matches!(self.supervisor.try_wait(), Ok(None)) {
            if began.elapsed() > Duration::from_secs(8) {
                let _ = self.supervisor.kill();
                let _ = self.supervisor.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
