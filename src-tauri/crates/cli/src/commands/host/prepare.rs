//! `berth host prepare|doctor|unprepare`

use berth_api::{dto, table};
use berth_core::{Code, Error, Result};

use crate::{
    render::{self, out},
    session::{Session, can_ask, confirm, json, ssh_agent},
};

pub(super) fn request(
    name: &str,
    without: Vec<String>,
    new_certificates: bool,
) -> dto::HostPrepare {
    dto::HostPrepare {
        name: name.to_owned(),
        without,
        new_certificates,
        ssh_agent: ssh_agent(),
    }
}

pub(super) async fn prepare(
    session: &Session,
    request: dto::HostPrepare,
    only_plan: bool,
    yes: bool,
    as_json: bool,
) -> Result<u8> {
    let name = request.name.clone();
    let plan = session.call::<table::HostPlan>(&request).await?.body;
    if as_json {
        out(json(&plan)?);
    } else {
        show(&plan);
    }
    if let Some(first) = plan.refusals.first() {
        if only_plan {
            return Ok(1);
        }
        return Err(Error::new(
            Code::Refused,
            format!("`{name}` cannot become a container host"),
        )
        .because(first.why.clone())
        .hint(first.hint.clone()));
    }
    if only_plan {
        return Ok(0);
    }
    // Where nothing is left to do, the way to the engine is still found and written down.
    let agreed = plan.done || yes || can_ask() && confirm("Do this?").await?;
    if !agreed {
        return Err(Error::new(Code::Refused, "Nothing was changed")
            .because("nobody agreed to the plan")
            .hint("Say `--yes` to agree beforehand"));
    }
    let outcome = session.operate::<table::HostPrepare>(&request).await?;
    for note in &outcome.notes {
        render::note(note);
    }
    render::note(format!(
        "{name} is a container host; `berth host check {name}` says what is there"
    ));
    Ok(0)
}

fn show(plan: &dto::PreparePlan) {
    out(format!("{} is {}", plan.host, plan.machine));
    for refusal in &plan.refusals {
        out(format!("cannot: {}\n  hint: {}", refusal.why, refusal.hint));
    }
    let (to_do, done): (Vec<_>, Vec<_>) = plan.steps.iter().partition(|s| s.to_do);
    for step in done {
        out(format!("  done   {}: {}", step.title, step.is));
    }
    for step in &to_do {
        out(format!(
            "  to do  {}: {}\n         should be: {}\n         why: {}",
            step.title, step.is, step.should, step.why
        ));
        if step.optional {
            out(format!("         without it: `--without {}`", step.id));
        }
    }
    for note in &plan.notes {
        out(format!("note: {note}"));
    }
    if plan.refusals.is_empty() {
        out(if to_do.is_empty() {
            "Nothing is left to do".to_owned()
        } else {
            format!(
                "{} steps, about {} minutes{}",
                to_do.len(),
                plan.seconds.div_ceil(60),
                if to_do.iter().any(|s| s.restarts) {
                    "; the machine restarts once, and Berth goes on afterwards"
                } else {
                    ""
                }
            )
        });
    }
}

pub(super) async fn doctor(
    session: &Session,
    name: String,
    repair: bool,
    as_json: bool,
) -> Result<u8> {
    let found = session
        .call::<table::HostDoctor>(&request(&name, Vec::new(), false))
        .await?
        .body;
    if as_json {
        out(json(&found)?);
    } else {
        out(format!("{} is {}", found.host, found.machine));
        for ill in &found.ills {
            out(format!("{} [{}]\n  hint: {}", ill.what, ill.id, ill.repair));
        }
        if found.ills.is_empty() {
            out("Nothing is wrong");
        }
    }
    if repair && found.ills.iter().any(|ill| ill.by_prepare) {
        let request = request(&name, Vec::new(), false);
        return Box::pin(prepare(session, request, false, false, as_json)).await;
    }
    Ok(u8::from(!found.ills.is_empty()))
}

pub(super) async fn unprepare(session: &Session, name: String, yes: bool) -> Result<u8> {
    let question = "Take back everything that Berth changed there, its engine too?";
    let agreed = yes || can_ask() && confirm(question).await?;
    if !agreed {
        return Err(Error::new(Code::Refused, "Nothing was changed")
            .because("nobody agreed")
            .hint("Say `--yes` to agree beforehand"));
    }
    let outcome = session
        .operate::<table::HostUnprepare>(&request(&name, Vec::new(), false))
        .await?;
    for note in &outcome.notes {
        render::note(note);
    }
    Ok(0)
}
