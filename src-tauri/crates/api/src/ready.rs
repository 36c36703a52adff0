//! Waiting until an instance is ready: looks at container and SQL Server, and feeds the state machine of the core.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use berth_core::{
    Error, Result, Secret,
    readiness::{Cause, Observation, State},
};
use berth_sql::{Identity, Login, Probe, Trust};
use tokio::time::sleep;

use crate::{
    healing::is_passing,
    link::{Link, SqlDial},
    operations::Operation,
};

/// Between two looks, at the least and at the most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(500));
/// How often the engine is asked for the container's state while SQL Server does not answer yet.
const LOOK: Duration = Duration::from_secs(1);
/// How long a broken way is looked at again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is waited for.
pub(crate) struct Wait<'a> {
    pub(crate) link: &'a Arc<Link>,
    pub(crate) instance: &'a str,
    pub(crate) container: &'a str,
    pub(crate) login: &'a str,
    /// One of these opens it; which one is not known where a making was cut off. Not empty.
    pub(crate) passwords: &'a [Secret],
    /// The image is just setting a password: for so long after the first refusal, a refused login means "not yet".
    pub(crate) being_set: Option<Duration>,
    pub(crate) limit: Duration,
}

/// What is said of an instance that did not become ready.
pub(crate) fn failure(name: &str, cause: &Cause) -> Error {
    let mut e = Error::failed(format!("`{name}` did not become ready"))
        .because(cause.to_string())
        .detail("cause", cause.id());
    if let Some(action) = cause.action() {
        e = e.detail("action", action);
    }
    match cause.hint() {
        Some(hint) => e.hint(hint.replace("`berth logs`", &format!("`berth logs {name}`"))),
        None => e,
    }
}

impl Wait<'_> {
    fn sql_login(&self, password: &Secret) -> Login {
        Login {
            user: self.login.to_owned(),
            password: password.clone(),
            database: None,
            app: "Berth".into(),
        }
    }

    /// Waits until it is ready, or until it is known that it will not be. Says which password opened it.
    ///
    /// # Errors
    /// Where it cannot be looked at; why it will not be ready is the inner result.
    pub(crate) async fn run(
        &self,
        operation: &Operation,
    ) -> Result<Result<(Identity, usize), Cause>> {
        let began = Instant::now();
        let dial = SqlDial {
            link: Arc::clone(self.link),
            instance: self.instance.to_owned(),
        };
        let logins: Vec<Login> = self.passwords.iter().map(|p| self.sql_login(p)).collect();
        // The one that is tried, and how many were refused since one was not.
        let (mut at, mut refusals) = (0, 0);
        let mut refused_since: Option<Instant> = None;
        let mut state = State::Created;
        let mut shown = "";
        let mut pause = PAUSE.0;
        let mut looked: Option<Instant> = None;
        let mut unseen_since: Option<Instant> = None;
        let mut refused = None;
        let mut unusable = None;
        loop {
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                match self.look().await {
                    Ok(seen) => {
                        unseen_since = None;
                        state = state.step(&seen);
                    }
                    // A busy engine, or a connection that is being made anew.
                    Err(e)
                        if is_passing(&e)
                            && unseen_since.get_or_insert_with(Instant::now).elapsed()
                                < self.limit.min(PATIENCE) => {}
                    Err(e) => return Err(e),
                }
            }
            let mut identity = None;
            if let Some(login) = logins.get(at)
                && !state.is_final()
            {
                let probe = berth_sql::probe(&dial, login, Trust::Tunnel).await;
                let mut again = false;
                if let Probe::LoginRefused { .. } = probe {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    refusals += 1;
                    again = refusals < logins.len()
                        || self.being_set.is_some_and(|time| since.elapsed() < time);
                } else {
                    refusals = 0;
                }
                for seen in observe(probe, again, &mut identity, &mut refused, &mut unusable) {
                    state = state.step(&seen);
                }
                if again {
                    at = (at + 1) % logins.len();
                }
            }
            // A way that is broken stays broken; one that breaks while the server starts is looked at again for a while.
            if let Some(e) = unusable.take()
                && began.elapsed() >= self.limit.min(PATIENCE)
            {
                return Err(e.context("SQL Server cannot be reached"));
            }
            if began.elapsed() >= self.limit && !state.is_final() {
                state = match refused {
                    Some((number, error_state)) => State::Failed(Cause::LoginRefused {
                        number,
                        state: error_state,
                    }),
                    None => state.step(&Observation::TimeIsUp {
                        seconds: self.limit.as_secs(),
                    }),
                };
            }
            if state.word() != shown {
                shown = state.word();
                operation.progress(shown, None);
            }
            match (state, identity) {
                (State::Ready, Some(identity)) => return Ok(Ok((identity, at))),
                // Its log lies on the disk that it found full.
                (State::Failed(Cause::Exited { .. }), _)
                    if crate::check::has_full_disk(self.link).await =>
                {
                    return Ok(Err(Cause::DiskFull));
                }
                (State::Failed(cause), _) => return Ok(Err(cause)),
                (other, _) => state = other,
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE.1);
        }
    }

    /// What the engine says of the container.
    async fn look(&self) -> Result<Observation> {
        let about = self.link.engine.inspect(self.container).await?;
        if about.state.running && about.state.restart_count == 0 {
            self.link.note_place(self.instance, &about);
            return Ok(Observation::Running);
        }
        // It ended, or its restart policy brings it up again and again: the same cause either way.
        Ok(Observation::Ended {
            exit_code: about.state.exit_code,
            out_of_memory: about.state.oom_killed,
            log: crate::instances::last_lines(self.link, &about).await,
        })
    }
}

/// What a probe says. A refusal after which is tried again means "not yet".
fn observe(
    probe: Probe,
    again: bool,
    identity: &mut Option<Identity>,
    refused: &mut Option<(u32, u8)>,
    unusable: &mut Option<Error>,
) -> Vec<Observation> {
    match &probe {
        Probe::LoginRefused { number, state, .. } if again => {
            *refused = Some((*number, *state));
            return vec![Observation::NotYet { number: *number }];
        }
        Probe::Unusable(e) => *unusable = Some(e.clone()),
        Probe::Ready { identity: who, .. } => *identity = Some(who.clone()),
        _ => {}
    }
    probe.observations()
}
