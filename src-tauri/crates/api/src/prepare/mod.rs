//! `host.plan`, `host.prepare`, `host.unprepare`, `host.doctor`: a Windows machine becomes a container host, and back.
//!
//! What there is to do is [`berth_core::prepare`]'s; here it is done, one step at a time, with a new look at the machine
//! after each. So it does not matter where an earlier try broke off: the next one finds the rest.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use berth_core::{
    Code, Error, Result,
    host::{Address, PRACTICE},
    powershell,
    prepare::{self, How, Id, Look, Plan, Wish},
};
use berth_remote::{ExecLimits, Lane};
use berth_store::HostRecord;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Berth, dto,
    healing::{again, is_passing},
    hosts::{self, WayIn},
    operations::Operation,
    ssh::{Ssh, shell_is_windows},
    table::Call,
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

/// `host.plan`: what preparing would do. Changes nothing.
pub(crate) async fn plan(
    berth: &Arc<Berth>,
    request: dto::HostPrepare,
    _: &Call,
) -> Result<dto::PreparePlan> {
    let machine = Machine::reach(berth, &request).await?;
    let look = machine.look().await;
    machine.close().await;
    let look = look?;
    Ok(view(
        &request.name,
        &look,
        &prepare::plan(&look, &machine.wish),
    ))
}

/// `host.prepare`: starts the operation that does what `host.plan` says.
pub(crate) async fn start(
    berth: &Arc<Berth>,
    request: dto::HostPrepare,
    _: &Call,
) -> Result<dto::Started> {
    check(berth, &request).await?;
    let title = format!("Preparing `{}`", request.name);
    let (all, subject) = (Arc::clone(berth), request.name.clone());
    berth.operations.start(
        berth,
        "prepare",
        title,
        &subject,
        move |operation| async move {
            let machine = operation
                .phase("connect", "Signing in", Machine::reach(&all, &request))
                .await?;
            let done = run(&machine, &operation).await;
            machine.close().await;
            let notes = done?;
            operation
                .phase("host", "Reaching the engine", async {
                    all.links.drop(&request.name).await;
                    again(3, || all.links.get(&all, &request.name))
                        .await
                        .map(|_| ())
                })
                .await?;
            all.hosts_changed.send_modify(|n| *n += 1);
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed: true,
            })
        },
    )
}

/// `host.unprepare`: starts the operation that takes back what Berth changed, and only that.
pub(crate) async fn undo(
    berth: &Arc<Berth>,
    request: dto::HostPrepare,
    _: &Call,
) -> Result<dto::Started> {
    check(berth, &request).await?;
    let title = format!("Taking back what Berth changed on `{}`", request.name);
    let (all, subject) = (Arc::clone(berth), request.name.clone());
    berth.operations.start(
        berth,
        "unprepare",
        title,
        &subject,
        move |operation| async move {
            if let Ok(link) = all.links.get(&all, &request.name).await {
                let there = link.engine.containers(None).await?;
                if let Some(first) = there.first() {
                    return Err(Error::new(
                        Code::Refused,
                        format!("`{}` still has {} containers", request.name, there.len()),
                    )
                    .because(format!("`{}` is one of them", first.name))
                    .hint("Remove them first: with the engine they would be gone"));
                }
            }
            all.links.drop(&request.name).await;
            let machine = operation
                .phase("connect", "Signing in", Machine::reach(&all, &request))
                .await?;
            let done = take_back(&machine, &operation).await;
            machine.close().await;
            Ok(dto::Outcome {
                instance: None,
                notes: done?,
                changed: true,
            })
        },
    )
}

async fn take_back(machine: &Machine, operation: &Operation) -> Result<Vec<String>> {
    let look = operation
        .phase("look", "Looking at the machine", machine.look())
        .await?;
    let steps = prepare::undo(&look);
    for step in &steps {
        let given = machine.given("undo", step, &look);
        operation
            .phase(step, format!("Taking back: {step}"), machine.call(&given))
            .await?;
    }
    let mut notes = Vec::new();
    if steps.is_empty() {
        notes.push("Berth changed nothing there".to_owned());
    }
    if steps.contains(&"feature") {
        notes.push("The Containers feature goes with the next restart of the machine".to_owned());
    }
    if steps.contains(&"engine") {
        notes.push(
            r"`C:\ProgramData\docker` stays: it holds the engine's images and volumes. Delete it where they are not wanted".to_owned(),
        );
    }
    Ok(notes)
}

/// `host.doctor`: what is wrong with a machine as a container host. Changes nothing.
pub(crate) async fn doctor(
    berth: &Arc<Berth>,
    request: dto::HostPrepare,
    _: &Call,
) -> Result<dto::HostDoctor> {
    let machine = Machine::reach(berth, &request).await?;
    let look = machine.look().await;
    machine.close().await;
    let look = look?;
    let ills = prepare::ills(&look, &machine.wish);
    Ok(dto::HostDoctor {
        host: request.name,
        machine: name(&look),
        ills: ills
            .into_iter()
            .map(|ill| dto::Ill {
                id: ill.id.to_owned(),
                what: ill.what,
                repair: ill.repair,
                by_prepare: ill.by_prepare,
            })
            .collect(),
    })
}

async fn check(berth: &Berth, request: &dto::HostPrepare) -> Result<()> {
    if request.name != PRACTICE {
        hosts::find(&berth.hosts().await?, &request.name)?;
    }
    for step in &request.without {
        left_out(step)?;
    }
    Ok(())
}

fn left_out(step: &str) -> Result<Id> {
    Id::parse(step)
        .filter(|id| id.may_be_left_out())
        .ok_or_else(|| {
            Error::usage(format!("`{}` cannot be left out", step.escape_debug()))
                .hint("`sshd`, `firewall` and `key` can")
        })
}

fn name(look: &Look) -> String {
    format!(
        "{} (build {}.{})",
        look.product.as_deref().unwrap_or("Windows"),
        look.build,
        look.ubr
    )
}

fn view(host: &str, look: &Look, plan: &Plan) -> dto::PreparePlan {
    dto::PreparePlan {
        host: host.to_owned(),
        machine: name(look),
        refusals: plan
            .refusals
            .iter()
            .map(|(why, hint)| dto::PrepareRefusal {
                why: why.clone(),
                hint: hint.clone(),
            })
            .collect(),
        steps: plan
            .steps
            .iter()
            .map(|s| dto::PrepareStep {
                id: s.id.as_str().to_owned(),
                title: s.title.to_owned(),
                is: s.is.clone(),
                should: s.should.to_owned(),
                why: s.why.to_owned(),
                to_do: s.to_do,
                seconds: s.seconds,
                restarts: s.id.how() == How::Restart,
                optional: s.id.may_be_left_out(),
            })
            .collect(),
        notes: plan.notes.clone(),
        seconds: plan.seconds(),
        done: plan.is_done(),
    }
}

/// Takes one step after the other until a look finds nothing left.
async fn run(machine: &Machine, operation: &Operation) -> Result<Vec<String>> {
    let mut look = operation
        .phase("look", "Looking at the machine", machine.look())
        .await?;
    let mut taken: Vec<Id> = Vec::new();
    loop {
        if look.task.as_deref() == Some("Running") {
            let step = look
                .work
                .as_ref()
                .map_or("work", |w| w.step.as_str())
                .to_owned();
            // Begun by an earlier try: it is nobody's failure but that step's, which the next look judges.
            let waited = operation
                .phase(
                    "wait",
                    format!("Waiting for what is under way there: {step}"),
                    machine.finish(None, operation),
                )
                .await;
            if let Err(e) = waited
                && e.code() == Code::Cancelled
            {
                return Err(e);
            }
            look = machine.look().await?;
            continue;
        }
        let plan = prepare::plan(&look, &machine.wish);
        if let Some((why, hint)) = plan.refusals.first() {
            return Err(Error::new(
                Code::Refused,
                format!("`{}` cannot become a container host", machine.host),
            )
            .because(why.clone())
            .hint(hint.clone()));
        }
        let Some(step) = plan.next() else {
            return Ok(plan.notes);
        };
        if taken.contains(&step.id) {
            return Err(Error::failed(format!("{} did not work", step.title))
                .because(format!("it was done without an error, and what is there is: {}", step.is))
                .detail("step", step.id.as_str())
                .hint(format!("`berth host doctor {}` says what is wrong; `berth host prepare {}` goes on from here", machine.host, machine.host)));
        }
        taken.push(step.id);
        operation
            .phase(
                step.id.as_str(),
                step.title,
                take(machine, step.id, &look, operation),
            )
            .await
            .map_err(|e| failed(&machine.host, step.id, step.title, &e))?;
        look = machine.look().await?;
    }
}

/// A step's failure, with what is known of its cause.
fn failed(host: &str, id: Id, title: &str, e: &Error) -> Error {
    if e.code() == Code::Cancelled {
        return e.clone();
    }
    let mut error = Error::new(e.code(), format!("{title}: this step failed"));
    let said = std::iter::once(e.message()).chain(e.causes().iter().map(String::as_str));
    let mut known = None;
    for cause in said {
        known = known.or_else(|| prepare::explain(cause));
        error = error.because(cause.to_owned());
    }
    let again = format!("`berth host prepare {host}` goes on from here");
    error
        .detail("step", id.as_str())
        .hint(match (known, e.what_to_do()) {
            (Some(hint), _) => format!("{hint}. Then {again}"),
            (None, Some(hint)) => format!("{hint}. {again}"),
            (None, None) => again,
        })
}

async fn take(machine: &Machine, id: Id, look: &Look, operation: &Operation) -> Result<()> {
    match id.how() {
        How::Now => machine
            .call(&machine.given("apply", id.as_str(), look))
            .await
            .map(|_| ()),
        How::Task => {
            let mut given = machine.given("start", id.as_str(), look);
            let name = uuid::Uuid::new_v4().to_string();
            if let Some(map) = given.as_object_mut() {
                map.insert("id".to_owned(), json!(name));
            }
            machine.call(&given).await?;
            machine.finish(Some(&name), operation).await
        }
        How::Restart => machine.restart(look, operation).await,
    }
}

/// A machine while it is prepared: reached again whenever it is lost.
struct Machine {
    host: String,
    ssh: Arc<Ssh>,
    wish: Wish,
}

impl Machine {
    async fn reach(berth: &Arc<Berth>, request: &dto::HostPrepare) -> Result<Self> {
        berth.note_ssh_agent(request.ssh_agent.as_deref());
        check(berth, request).await?;
        let mut wish = Wish {
            key: None,
            without: request
                .without
                .iter()
                .map(|step| left_out(step))
                .collect::<Result<_>>()?,
        };
        let ssh = if request.name == PRACTICE {
            berth.practice.ssh().await?
        } else {
            let hosts = berth.hosts().await?;
            let record = hosts::find(&hosts, &request.name)?.clone();
            wish.key = public_key(&record).await;
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
            host: request.name.clone(),
            ssh,
            wish,
        })
    }

    async fn close(&self) {
        self.ssh.close().await;
    }

    fn given(&self, what: &str, step: &str, look: &Look) -> Value {
        json!({ "do": what, "step": step, "want": prepare::want(look, &self.wish) })
    }

    async fn look(&self) -> Result<Look> {
        let given = json!({ "do": "look", "want": { "key": self.wish.key } });
        Look::parse(&self.call(&given).await?)
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
    async fn call(&self, given: &Value) -> Result<Value> {
        let began = Instant::now();
        loop {
            match self.once(given).await {
                Err(e) if is_passing(&e) && began.elapsed() < LOST => sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    /// Waits for the scheduled task's end, and tells what it says. `id` is the one that was started here.
    async fn finish(&self, id: Option<&str>, operation: &Operation) -> Result<()> {
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
    async fn restart(&self, look: &Look, operation: &Operation) -> Result<()> {
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
