//! Scripts: run on an instance, their results streamed as they come.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use berth_core::{Code, Error, Result, name};
use berth_sql::{Event, Kind, Login, Trust, Value};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use crate::{
    Berth,
    databases::not_let_in,
    dto,
    instances::{self, Found},
    link::SqlDial,
    passwords,
    ssh::PublishedDial,
    table::{Call, cancelled},
};

/// How long signing in may take.
const SIGN_IN: Duration = Duration::from_secs(30);
/// Rows that travel in one message, at the most.
const ROWS: usize = 200;

/// `query.run`.
pub(crate) async fn run(
    berth: &Arc<Berth>,
    request: dto::Query,
    call: &Call,
) -> Result<dto::QueryDone> {
    if let Some(database) = &request.database {
        name::check_sql("a database", database)?;
    }
    let Found { record, link, .. } = instances::reach(berth, &request.name).await?;
    let user = request.login.unwrap_or_else(|| record.login.clone());
    let password = passwords::of(berth, &record, &user).await?;
    let login = Login {
        user,
        password,
        database: request.database.or_else(|| record.database.clone()),
        app: "Berth".into(),
    };
    let dial = SqlDial {
        link,
        instance: record.id.clone(),
    };
    let mut connection = berth_sql::connect(&dial, &login, Trust::Tunnel, SIGN_IN)
        .await
        .map_err(|e| not_let_in(e, &record.name))?;

    // The script's own sink is not async: it hands events to this channel and waits on its thread while the reader is slow.
    let (events, mut produced) = mpsc::channel::<dto::QueryEvent>(16);
    let stop = call.cancel.clone();
    let sql = request.sql;
    let work = tokio::spawn(async move {
        let mut pending = Vec::new();
        let send = |event: dto::QueryEvent| -> ControlFlow<()> {
            match tokio::task::block_in_place(|| events.blocking_send(event)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let mut sink = |event: Event| -> ControlFlow<()> {
            if let Event::Row(values) = event {
                pending.push(values.iter().map(json).collect());
                return if pending.len() >= ROWS {
                    send(dto::QueryEvent::Rows {
                        rows: std::mem::take(&mut pending),
                    })
                } else {
                    ControlFlow::Continue(())
                };
            }
            if !pending.is_empty() {
                send(dto::QueryEvent::Rows {
                    rows: std::mem::take(&mut pending),
                })?;
            }
            match view(event) {
                Some(event) => send(event),
                None => ControlFlow::Continue(()),
            }
        };
        let outcome = connection
            .run_until(&sql, &mut sink, stop.cancelled())
            .await;
        connection.close().await;
        outcome
    });
    while let Some(event) = produced.recv().await {
        if call.send(&event).await.is_err() {
            break;
        }
    }
    drop(produced);
    let outcome = work
        .await
        .map_err(|e| Error::failed("The query broke off").because(e.to_string()))??;
    if outcome.stopped {
        return Err(cancelled());
    }
    Ok(dto::QueryDone {
        errors: outcome.errors,
    })
}

fn view(event: Event) -> Option<dto::QueryEvent> {
    Some(match event {
        Event::Columns(columns) => dto::QueryEvent::Columns {
            columns: columns
                .into_iter()
                .map(|c| (c.name, c.type_name.to_owned()))
                .collect(),
        },
        Event::ResultDone { rows } => dto::QueryEvent::ResultDone { rows },
        Event::Message(text) => dto::QueryEvent::Message { text },
        Event::Error {
            number,
            class,
            state,
            line,
            procedure,
            message,
        } => dto::QueryEvent::Error {
            number,
            class,
            state,
            line,
            procedure,
            message,
        },
        _ => return None,
    })
}

/// Numbers that JSON's readers would round become text.
fn json(value: &Value) -> Json {
    let text = value.text();
    match value.kind() {
        Kind::Null => Json::Null,
        Kind::Boolean => Json::Bool(*value == Value::Bool(true)),
        // 1.50 is a decimal of two places; a JSON number would drop the second.
        Kind::Number if matches!(value, Value::Decimal(_)) => Json::String(text.into_owned()),
        Kind::Number => {
            let digits = text.chars().filter(char::is_ascii_digit).count();
            match serde_json::from_str(&text) {
                Ok(number) if digits <= 15 => number,
                _ => Json::String(text.into_owned()),
            }
        }
        Kind::Text => Json::String(text.into_owned()),
    }
}

/// `connection.try`: opens a printed string with a driver's own reader, over the port that it names.
pub(crate) async fn try_string(
    berth: &Arc<Berth>,
    _: dto::Nothing,
    call: &Call,
) -> Result<dto::Tried> {
    let string = call
        .secret("string")
        .ok_or_else(|| Error::usage("Which connection string?"))?;
    let server = berth_sql::server_of(&string)?;
    let elsewhere = || {
        Error::new(
            Code::Usage,
            "The string does not lead to an endpoint of Berth's",
        )
    };
    let (host, port) = server
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(elsewhere)?;
    if host != "127.0.0.1" {
        let known = berth.store(|f| f.read::<berth_store::Instances>()).await?;
        if !known
            .instances
            .iter()
            .any(|r| r.endpoint_host() == host && r.port == port)
        {
            return Err(elsewhere());
        }
    }
    let dial = PublishedDial::new(Some(host), port);
    let version = berth_sql::version_by_string(&dial, &string, SIGN_IN).await?;
    Ok(dto::Tried { server, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_would_round_stay_text() {
        assert_eq!(json(&Value::Int(42)), serde_json::json!(42));
        assert_eq!(
            json(&Value::Int(i64::MAX)),
            serde_json::json!("9223372036854775807"),
            "JavaScript would read ...775808"
        );
        assert_eq!(
            json(&Value::Decimal("0.10".into())),
            serde_json::json!("0.10"),
            "a decimal keeps its places"
        );
        assert_eq!(json(&Value::Null), Json::Null);
        assert_eq!(json(&Value::Bool(true)), serde_json::json!(true));
    }
}
