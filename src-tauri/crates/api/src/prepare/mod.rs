//! `host.plan`, `host.prepare`, `host.unprepare`, `host.doctor`: a Windows machine becomes a container host, and back.
//!
//! What there is to do is [`berth_core::prepare`]'s; here it is done, one step at a time, with a new look at the machine
//! after each. So it does not matter where an earlier try broke off: the next one finds the rest.

mod machine;

use std::sync::Arc;

use berth_core::{
    Code, Error, Result,
    host::{PRACTICE, Route},
    prepare::{self, How, Id, Look, Plan},
};
use serde_json::json;

use self::machine::Machine;
use crate::{Berth, dto, healing::again, hosts, operations::Operation, table::Call};

/// `host.plan`: what preparing would do. Changes nothing.
pub(crate) async fn plan(
    berth: &Arc<Berth>,
    request: dto::HostPrepare,
    _: &Call,
) -> Result<dto::PreparePlan> {
    let mut machine = Machine::reach(berth, &request).await?;
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
            let mut machine = operation
                .phase("connect", "Signing in", Machine::reach(&all, &request))
                .await?;
            let done = run(&mut machine, &operation).await;
            machine.close().await;
            let (mut notes, look) = done?;
            let listens = machine.settle(&look).await?;
            let link = operation
                .phase("host", "Reaching the engine", async {
                    all.links.drop(&request.name).await;
                    again(3, || all.links.get(&all, &request.name)).await
                })
                .await?;
            if listens && !matches!(link.route, Route::Tls(_)) {
                notes.push(format!(
                    "The engine's listener does not let this computer in; it is reached by {}. `berth host doctor {}` looks at it",
                    link.route.in_words(),
                    request.name
                ));
            }
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
            let mut machine = operation
                .phase("connect", "Signing in", Machine::reach(&all, &request))
                .await?;
            let done = take_back(&mut machine, &operation).await;
            machine.close().await;
            let notes = done?;
            machine.forget().await?;
            Ok(dto::Outcome {
                instance: None,
                notes,
                changed: true,
            })
        },
    )
}

async fn take_back(machine: &mut Machine, operation: &Operation) -> Result<Vec<String>> {
    let look = operation
        .phase("look", "Looking at the machine", machine.look())
        .await?;
    let steps = prepare::undo(&look);
    for step in &steps {
        let given = json!({ "do": "undo", "step": step, "want": prepare::want_back(&look) });
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
    let mut machine = Machine::reach(berth, &request).await?;
    let looked = async {
        let look = machine.look().await?;
        let mut ills = prepare::ills(&look, &machine.wish);
        ills.extend(machine.knock(&look).await);
        Ok::<_, Error>((look, ills))
    }
    .await;
    machine.close().await;
    let (look, ills) = looked?;
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
                .hint("`sshd`, `firewall`, `key` and `tls` can")
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
async fn run(machine: &mut Machine, operation: &Operation) -> Result<(Vec<String>, Look)> {
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
            return Ok((plan.notes, look));
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

async fn take(machine: &mut Machine, id: Id, look: &Look, operation: &Operation) -> Result<()> {
    match id.how() {
        How::Now if id == Id::Tls => machine.certify(look).await,
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
