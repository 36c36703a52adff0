//! `berth history`, `berth retry`

use std::time::SystemTime;

use berth_api::{dto, table};
use berth_core::Result;

use super::instance::ended;
use crate::{
    render::{self, note, out},
    session::{Session, json},
};

pub(crate) async fn list(session: &Session, wish: dto::HistoryWish, as_json: bool) -> Result<u8> {
    let all = session.call::<table::OperationHistory>(&wish).await?.body;
    if as_json {
        out(json(&all)?);
        return Ok(0);
    }
    if all.unread > 0 {
        note(format!("{} entries cannot be read", all.unread));
    }
    if all.operations.is_empty() {
        note("Nothing was done yet");
        return Ok(0);
    }
    if !session.verbose {
        out(render::table(
            &["WHEN", "WHAT", "HOW IT ENDED", "ID"],
            all.operations.into_iter().map(|o| {
                let how = match o.error {
                    Some(error) => format!("{}: {error}", o.outcome),
                    None => o.outcome,
                };
                vec![
                    render::age(&o.ended_at, SystemTime::now()),
                    o.title,
                    how,
                    o.id,
                ]
            }),
        ));
        return Ok(0);
    }
    for o in all.operations {
        out(format!(
            "{}  {}  {}  {}",
            o.started_at, o.outcome, o.title, o.id
        ));
        for step in o.steps {
            out(format!(
                "{:>9} ms  {:<11} {:<9}  {}",
                step.at_ms, step.phase, step.kind, step.text
            ));
        }
        if let Some(error) = o.error {
            out(format!("              {error}"));
        }
    }
    Ok(0)
}

pub(crate) async fn retry(session: &Session, operation: String) -> Result<u8> {
    let outcome = session
        .operate::<table::OperationRetry>(&dto::OperationId { operation })
        .await?;
    ended(outcome, "is done", "was done already")
}
