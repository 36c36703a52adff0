//! One machine while it is prepared: asked, waited for, restarted, and reached again whenever it is lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use berth_core::{
    Code, Error, Result,
    host::{Address, PRACTICE, Route},
    powershell,
    prepare::{self, Id, Ill, Look, Pair, Wish},
    secret::ExposeSecret,
};
use berth_remote::{ExecLimits, Lane};
use berth_store::{HostRecord, Hosts};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{check, left_out};
use crate::{
    Berth,
    certificates::{self, Kept},
    dto,
    healing::{again, is_passing},
    hosts::{self, WayIn},
    operations::Operation,
    ssh::{Ssh, shell_is_windows},
};

/// One exchange: a look asks Windows' own servicing, which takes its time on a busy machine.
const EXCHANGE: Duration = Duration::from_secs(180);
/// How long a lost machine is looked for, and one that restarts: it may install updates meanwhile.
const LOST: Duration = Duration::from_secs(180);
const RESTART: Duration = Duration::from_secs(15 * 60);
/// How long a task may say nothing new.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// Between two questions how far a task, or a restart, is.
const PAUSE: Duration = Duration::from_millis(700);

/// A machine while it is prepared: reached again whenever it is lost.
pub(super) struct Machine {
    berth: Arc<Berth>,
    pub(super) host: String,
    ssh: Arc<Ssh>,
    pub(super) wish: Wish,
    /// What the keychain has for its engine, the newest first.
    kept: Vec<Kept>,
}

impl Machine {
    pub(super) async fn reach(berth: &Arc<Berth>, request: &dto::HostPrepare) -> Result<Self> {
        berth.note_ssh_agent(request.ssh_agent.as_deref());
        check(berth, request).await?;
        let mut wish = Wish {
            key: None,
            without: request
                .without
                .iter()
                .map(|step| left_out(step))
                .collect::<Result<_>>()?,
            pair: None,
            renew: request.new_certificates,
        };
        let mut kept = Vec::new();
        let ssh = if request.name == PRACTICE {
            berth.practice.ssh().await?
        } else {
            let hosts = berth.hosts().await?;
            let record = hosts::find(&hosts, &request.name)?.clone();
            wish.key = public_key(&record).await;
            match certificates::kept(berth, &record.name).await {
                Ok(all) => {
                    wish.pair = Some(Pair::default());
                    kept = all;
                }
                Err(e) => tracing::info!("no certificates can be kept: {e}"),
            }
            let address = Address::parse(&record.address)?;
            let way_in = WayIn::of(berth, &record, None).await?;
            let carrier = hosts::way_to(berth, &record, &address, way_in).await?;
            Arc::clone(carrier.ssh().ok_or_else(|| {
                Error::new(
                    Code::Refused,
                    format!("`{}` is not reached over SSH", record.name),
                )
                .because("preparing a machine takes a login on it")
                .hint("Add it as `ssh://user@address`")
            })?)
        };
        let is_windows = again(3, || async {
            let session = ssh.session(Lane::Control).await?;
            // A host that is not there is said at once; one that was just there is asked again.
            shell_is_windows(&session).await
        })
        .await?;
        if !is_windows {
            return Err(Error::new(
                Code::Refused,
                format!("`{}` is not a Windows machine", request.name),
            )
            .because("on Linux the engine comes from the distribution or from Docker")
            .hint("Install Docker there, then `berth host check` it"));
        }
        Ok(Self {
            berth: Arc::clone(berth),
            host: request.name.clone(),
            ssh,
            wish,
            kept,
        })
    }

    /// What the keychain has of what the engine listens with.
    fn ours(&self, look: &Look) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.is_of(look))
    }

    /// Makes certificates for the engine, keeps ours, and gives it its own: by the standard input of a script, never in a
    /// command line.
    pub(super) async fn certify(&mut self, look: &Look) -> Result<()> {
        let (made, kept) = certificates::make(&self.berth, &self.host).await?;
        self.kept = kept;
        let mut given = self.given("apply", Id::Tls.as_str(), look);
        if let Some(want) = given.get_mut("want").and_then(Value::as_object_mut) {
            let key = made.server_key.expose_secret();
            let tls = json!({ "ca": made.ca, "cert": made.server, "key": key });
            want.insert("tls".to_owned(), tls);
        }
        self.call(&given).await?;
        self.wish.renew = false;
        Ok(())
    }

    /// Knocks at the engine's listener, where it should let us in.
    pub(super) async fn knock(&self, look: &Look) -> Option<Ill> {
        if !prepare::is_ready(look, &self.wish) {
            return None;
        }
        let opened = async {
            let session = self.ssh.session(Lane::Control).await?;
            let stream = session.tcp("127.0.0.1", prepare::LISTENER).await?;
            let opener = (self.ours(look))
                .ok_or_else(|| Error::failed("The keychain has no certificate for it"))?
                .opener()?;
            opener.over(stream).await.map(drop)
        };
        opened.await.err().map(|e| Ill {
            id: "tls-silent",
            what: format!("The engine's listener does not let this computer in: {e}"),
            repair: "`Restart-Service docker` there makes it read its settings and certificates again; instances restart with it".to_owned(),
            by_prepare: false,
        })
    }

    /// Writes down whether this machine can open the engine's listener, which is then the way that is tried first.
    pub(super) async fn settle(&self, look: &Look) -> Result<bool> {
        if self.wish.pair.is_none() {
            return Ok(false);
        }
        let ours = self
            .ours(look)
            .filter(|_| prepare::is_ready(look, &self.wish));
        if let Some(ours) = ours {
            certificates::settle(&self.berth, &self.host, &self.kept, ours).await?;
        }
        self.note(ours.is_some()).await?;
        Ok(ours.is_some())
    }

    /// Forgets what opened the listener.
    pub(super) async fn forget(&self) -> Result<()> {
        if self.wish.pair.is_some() {
            certificates::forget(&self.berth, &self.host).await?;
            self.note(false).await?;
        }
        Ok(())
    }

    async fn note(&self, certificates: bool) -> Result<()> {
        let host = self.host.clone();
        self.berth
            .store(move |f| {
                f.update::<Hosts, _>(|hosts| {
                    if let Some(mut record) = hosts.get(&host).cloned() {
                        let by_listener = (record.route.as_ref().and_then(hosts::route_of))
                            .is_some_and(|route| matches!(route, Route::Tls(_)));
                        if record.certificates != certificates || by_listener != certificates {
                            record.certificates = certificates;
                            record.route = None;
                            hosts.put(record);
                        }
                    }
                    Ok(())
                })
            })
            .await
    }

    pub(super) async fn close(&self) {
        self.ssh.close().await;
    }

    pub(super) fn given(&self, what: &str, step: &str, look: &Look) -> Value {
        json!({ "do": what, "step": step, "want": prepare::want(look, &self.wish) })
    }

    pub(super) async fn look(&mut self) -> Result<Look> {
        let given = json!({ "do": "look", "want": { "key": self.wish.key } });
        let look = Look::parse(&self.call(&given).await?)?;
        if self.wish.pair.is_some() {
            self.wish.pair = Some(self.ours(&look).map_or_else(Pair::default, Kept::pair));
        }
        Ok(look)
    }

    /// Asks once, on a connection that is there or a new one.
    async fn once(&self, given: &Value) -> Result<Value> {
        let limits = ExecLimits {
            timeout: EXCHANGE,
            ..ExecLimits::default()
        };
        let session = self.ssh.session(Lane::Control).await?;
        session.script(powershell::PREPARE, given, limits).await
    }

    /// Asks, again where the connection was lost on the way: everything that is asked may be asked twice.
    pub(super) async fn call(&self, given: &Value) -> Result<Value> {
        let began = Instant::now();
        loop {
            match self.once(given).await {
                Err(e) if is_passing(&e) && began.elapsed() < LOST => sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    /// Waits for the scheduled task's end, and tells what it says. `id` is the one that was started here.
    pub(super) async fn finish(&self, id: Option<&str>, operation: &Operation) -> Result<()> {
        let mut last = String::new();
        let mut spoke = Instant::now();
        let mut gone = 0;
        loop {
            let told = self.call(&json!({ "do": "poll" })).await?;
            let text = |name: &str| {
                told.get("work")
                    .and_then(|w| w.get(name))
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (phase, message, running) = (
                text("phase"),
                text("message"),
                told.get("task").is_some_and(|t| !t.is_null()),
            );
            let ours = id.is_none_or(|id| id == text("id"));
            let now = format!("{} {phase} {message}", text("at"));
            if now != last {
                last = now;
                spoke = Instant::now();
                if !message.is_empty() && phase == "running" {
                    operation.progress(message.clone(), None);
                }
            }
            match phase.as_str() {
                "done" if ours => return Ok(()),
                "failed" if ours => return Err(Error::failed(message)),
                _ if !running && ours && !phase.is_empty() => {
                    // Seen twice: the file of its state is replaced while it is read.
                    gone += 1;
                    if gone > 2 {
                        return Err(Error::failed("Windows ended the work before it was done")
                            .because(format!("it was last at: {message}")));
                    }
                }
                _ => gone = 0,
            }
            if spoke.elapsed() > SILENCE {
                return Err(Error::new(
                    Code::TimedOut,
                    format!("Nothing new for {} minutes", SILENCE.as_secs() / 60),
                )
                .because(format!("it was last at: {message}"))
                .hint(r"It goes on there; `C:\ProgramData\Berth\work.log` says what it does"));
            }
            sleep(PAUSE).await;
        }
    }

    /// Restarts the machine and waits for it to come back as another one.
    pub(super) async fn restart(&self, look: &Look, operation: &Operation) -> Result<()> {
        let ask = json!({ "do": "restart" });
        // A connection that is lost may have taken the request with it, or its answer alone.
        let mut heard = match self.once(&ask).await {
            Ok(_) => true,
            Err(e) if is_passing(&e) => false,
            Err(e) => return Err(e),
        };
        let began = Instant::now();
        operation.progress("The machine restarts; this takes a few minutes", None);
        let mut why = None;
        while began.elapsed() < RESTART {
            sleep(PAUSE).await;
            match self.once(&json!({ "do": "look" })).await {
                Ok(told) => {
                    let now = Look::parse(&told)?;
                    if now.boot.is_some() && now.boot != look.boot {
                        return Ok(());
                    }
                    if !heard {
                        // One that is about to restart already refuses to be asked twice (1190).
                        heard = !matches!(self.once(&ask).await, Err(e) if is_passing(&e));
                    }
                }
                // A machine that comes up may answer before it knows its users.
                Err(e) if is_passing(&e) || e.code() == Code::SignInRefused => why = Some(e),
                Err(e) if e.code() == Code::Failed => why = Some(e),
                Err(e) => return Err(e),
            }
        }
        let mut error = Error::new(
            Code::TimedOut,
            format!(
                "`{}` did not come back within {} minutes",
                self.host,
                RESTART.as_secs() / 60
            ),
        );
        if let Some(e) = why {
            error = error.because(e.message().to_owned());
        }
        Err(error.hint("Look at its screen or its cloud's console: it may install updates, or wait for somebody"))
    }
}

/// The public half of the key file that signs in, where it lies beside it.
async fn public_key(record: &HostRecord) -> Option<String> {
    for identity in &record.identities {
        if let Ok(text) = tokio::fs::read_to_string(format!("{identity}.pub")).await {
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            let kind = line.split(' ').next().unwrap_or_default();
            if ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|k| kind.starts_with(k))
                && line.is_ascii()
            {
                return Some(line);
            }
        }
    }
    None
}
