//! `berth host …`

mod prepare;

use std::collections::BTreeMap;

use berth_api::{dto, table};
use berth_core::{Code, Error, Result};

use crate::{
    args::Host,
    render::{self, out},
    session::{
        Session, absolute, ask_secret, can_ask, confirm, json, secret_from_stdin, ssh_agent,
    },
};

pub(crate) async fn run(session: &Session, command: Host) -> Result<u8> {
    let named = |name: String| dto::HostName {
        name,
        ssh_agent: ssh_agent(),
    };
    match command {
        Host::Add {
            name,
            address,
            docker_context,
            ca,
            cert,
            key,
            identity,
            password_stdin,
            passphrase_stdin,
            jump,
            ssh_config,
            trust_host_key,
            json: as_json,
        } => {
            let mut secrets = BTreeMap::new();
            if password_stdin {
                secrets.insert("password".to_owned(), secret_from_stdin("The password")?);
            }
            if passphrase_stdin {
                secrets.insert(
                    "passphrase".to_owned(),
                    secret_from_stdin("The passphrase")?,
                );
            }
            if address.is_none() && docker_context.is_none() {
                return Err(where_is_it(session, &name).await);
            }
            let path = |file: Option<std::path::PathBuf>| file.map(|f| absolute(&f)).transpose();
            let request = dto::HostAdd {
                name,
                address: address.unwrap_or_default(),
                docker_context,
                docker_config: variable("DOCKER_CONFIG"),
                tls_ca: path(ca)?,
                tls_cert: path(cert)?,
                tls_key: path(key)?,
                identities: identity
                    .iter()
                    .map(|p| absolute(p))
                    .collect::<Result<_>>()?,
                ssh_agent: ssh_agent(),
                jump,
                ssh_config: match &ssh_config {
                    Some(file) if file.as_os_str() != "none" => Some(absolute(file)?),
                    Some(_) => Some("none".to_owned()),
                    None => None,
                },
                trust_host_keys: trust_host_key,
                can_answer: can_ask(),
            };
            let view = add(session, request, secrets).await?;
            if as_json.json {
                out(json(&view)?);
            } else if view.route.is_none() {
                out(format!("{} is added", view.name));
            } else {
                out(format!(
                    "{} is ready: {} containers by {}",
                    view.name,
                    view.os.as_deref().unwrap_or("?"),
                    view.route.as_deref().unwrap_or("?")
                ));
                for note in &view.notes {
                    render::note(format!("not honoured: {note}"));
                }
            }
            if let Some(warning) = &view.warning {
                render::note(warning);
            }
            Ok(0)
        }
        Host::Prepare {
            name,
            plan,
            yes,
            without,
            new_certificates,
            json: as_json,
        } => {
            let request = prepare::request(&name, without, new_certificates);
            prepare::prepare(session, request, plan, yes, as_json.json).await
        }
        Host::Doctor {
            name,
            repair,
            json: as_json,
        } => prepare::doctor(session, name, repair, as_json.json).await,
        Host::Unprepare { name, yes } => prepare::unprepare(session, name, yes).await,
        Host::List { json: as_json } => {
            let hosts = session
                .call::<table::HostList>(&dto::Nothing {})
                .await?
                .body;
            if as_json.json {
                out(json(&hosts)?);
            } else {
                out(render::table(
                    &[
                        "NAME",
                        "ADDRESS",
                        "SYSTEM",
                        "WAY TO THE ENGINE",
                        "STATE",
                        "",
                    ],
                    hosts.iter().map(|h| {
                        vec![
                            h.name.clone(),
                            if h.is_practice {
                                "built in".to_owned()
                            } else {
                                h.address.clone()
                            },
                            h.os.clone().unwrap_or_else(|| "?".into()),
                            h.route.clone().unwrap_or_default(),
                            h.reach.clone(),
                            if h.is_default {
                                "default".to_owned()
                            } else {
                                String::new()
                            },
                        ]
                    }),
                ));
                for suggestion in suggestions(session).await {
                    render::note(format!(
                        "not added yet: {} by {}; `{}`",
                        suggestion.address, suggestion.source, suggestion.command
                    ));
                }
            }
            Ok(0)
        }
        Host::Show {
            name,
            json: as_json,
        } => {
            let view = session.call::<table::HostShow>(&named(name)).await?.body;
            if as_json.json {
                out(json(&view)?);
            } else {
                out(lines(&view));
            }
            Ok(0)
        }
        Host::Check {
            name,
            trust_host_key,
            json: as_json,
        } => {
            let request = dto::HostExamine {
                name,
                trust_host_keys: trust_host_key,
                ssh_agent: ssh_agent(),
                can_answer: can_ask(),
            };
            let check = check(session, request).await?;
            let code = u8::from(!check.works);
            if as_json.json {
                out(json(&check)?);
                return Ok(code);
            }
            out(if check.facts.is_empty() {
                format!("{} cannot be used", check.host.name)
            } else {
                format!("{} answers", check.host.name)
            });
            for fact in &check.facts {
                out(format!("  {:<20} {}", fact.label, fact.value));
            }
            if !check.ladder.is_empty() {
                out("Ways to the engine, in the order they were tried");
            }
            for rung in &check.ladder {
                out(format!(
                    "  {} {}: {}",
                    if rung.works { "works " } else { "closed" },
                    rung.way,
                    rung.result
                ));
            }
            for finding in &check.findings {
                out(format!(
                    "{}: {} [{}]\n  hint: {}",
                    finding.weight, finding.message, finding.id, finding.hint
                ));
            }
            Ok(code)
        }
        Host::Use { name } => {
            let view = session.call::<table::HostUse>(&named(name)).await?.body;
            out(format!("{} is the default host", view.name));
            Ok(0)
        }
        Host::Remove { name, forget } => {
            session
                .call::<table::HostRemove>(&dto::HostRemove {
                    name: name.clone(),
                    forget,
                })
                .await?;
            out(format!("{name} is forgotten"));
            Ok(0)
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What docker's settings know and Berth does not; nothing where they cannot be read.
async fn suggestions(session: &Session) -> Vec<dto::HostSuggestion> {
    let request = dto::HostSuggest {
        docker_config: variable("DOCKER_CONFIG"),
        docker_host: variable("DOCKER_HOST"),
        docker_cert_path: variable("DOCKER_CERT_PATH"),
        // People who type know what they typed into that file.
        ssh: false,
    };
    session
        .call::<table::HostSuggest>(&request)
        .await
        .map_or_else(|_| Vec::new(), |reply| reply.body)
}

/// Nothing says where the host is: what docker knows is offered.
async fn where_is_it(session: &Session, name: &str) -> Error {
    let error = Error::usage(format!("Where is `{name}`?"));
    let known = suggestions(session).await;
    let error = known.iter().fold(error, |e, s| {
        e.because(format!("{} leads to {}", s.source, s.address))
    });
    match known.first() {
        Some(first) => error.hint(format!("`{}`", first.command.replace("NAME", name))),
        None => error.hint(format!(
            "`berth host add {name} ssh://user@address`, or `--docker-context` with one of docker's contexts"
        )),
    }
}

/// How many servers may be on the way to a host, each with a key to decide upon.
const SERVERS: usize = 12;

/// Checks a host; whoever is there decides upon keys that are not known yet.
async fn check(session: &Session, mut request: dto::HostExamine) -> Result<dto::HostCheck> {
    for _ in 0..SERVERS {
        let check = session
            .call_asking::<table::HostCheck>(&request, BTreeMap::new())
            .await?
            .body;
        match &check.unknown_key {
            Some(key) if is_right(key, &request.trust_host_keys).await? => {
                request.trust_host_keys.push(key.trust());
            }
            _ => return Ok(check),
        }
    }
    Err(Error::failed("The host could not be checked").hint("Try again with `-v`"))
}

/// Asks whether a key that a server shows is the right one, where somebody is there to say it and has not been asked before.
async fn is_right(key: &dto::UnknownKey, given: &[String]) -> Result<bool> {
    // Another key than the given one is the user's to find.
    if !can_ask() || given.contains(&key.trust()) || given.iter().any(|t| t.starts_with("SHA256:"))
    {
        return Ok(false);
    }
    render::note(format!(
        "The key of `{}` is not known yet\n  {} {}",
        key.host, key.algorithm, key.fingerprint
    ));
    confirm("Is that the key of your host?").await
}

/// Adds a host; what is missing is asked for where somebody is there to answer.
async fn add(
    session: &Session,
    mut request: dto::HostAdd,
    mut secrets: BTreeMap<String, berth_core::Secret>,
) -> Result<dto::HostView> {
    // A host key for each server on the way, a passphrase, a password: each may be asked for once.
    for _ in 0..SERVERS {
        let e = match session
            .call_asking::<table::HostAdd>(&request, secrets.clone())
            .await
        {
            Ok(reply) => return Ok(reply.body),
            Err(e) => e,
        };
        match e.code() {
            Code::HostKeyUnknown => match dto::UnknownKey::of(&e) {
                Some(key) if is_right(&key, &request.trust_host_keys).await? => {
                    request.trust_host_keys.push(key.trust());
                }
                _ => return Err(e),
            },
            Code::PassphraseNeeded if !secrets.contains_key("passphrase") => {
                match ask_secret("Passphrase of the key file").await? {
                    Some(passphrase) => {
                        secrets.insert("passphrase".into(), passphrase);
                    }
                    None => return Err(e.hint(
                        "Give it with `--passphrase-stdin`, or add the key to the SSH agent with `ssh-add`",
                    )),
                }
            }
            // A password is for the host itself, not for a jump host on the way.
            Code::SignInRefused
                if e.get_detail("jump").is_none()
                    && e.get_detail("certificate").is_none()
                    && request.identities.is_empty() && !secrets.contains_key("password") =>
            {
                match ask_secret("Password").await? {
                    Some(password) => {
                        secrets.insert("password".into(), password);
                    }
                    None => return Err(e.hint(
                        "Name a key file with `--identity`, or give the password with `--password-stdin`",
                    )),
                }
            }
            _ => return Err(e),
        }
    }
    Err(Error::failed("The host could not be added").hint("Try again with `-v`"))
}

fn lines(view: &dto::HostView) -> String {
    let state = match (&view.reach_since, &view.reach_cause) {
        _ if view.reach.is_empty() => None,
        (Some(since), Some(why)) => Some(format!("{} since {since}: {why}", view.reach)),
        (Some(since), None) => Some(format!("{} since {since}", view.reach)),
        _ => Some(view.reach.clone()),
    };
    let mut rows = vec![
        ("Name", view.name.clone()),
        (
            "Address",
            if view.is_practice {
                "built in".into()
            } else {
                view.address.clone()
            },
        ),
    ];
    for (label, value) in [
        ("Reached as", &view.reached),
        ("System", &view.os),
        ("Way to the engine", &view.route),
        ("Found", &view.probed_at),
        ("State", &state),
        ("Docker context", &view.context),
        ("Signs in by", &view.sign_in),
        ("Host key", &view.host_key),
        ("Warning", &view.warning),
    ] {
        if let Some(value) = value {
            rows.push((label, value.clone()));
        }
    }
    rows.push((
        "Default",
        if view.is_default { "yes" } else { "no" }.to_owned(),
    ));
    for note in &view.notes {
        rows.push(("Not honoured", note.clone()));
    }
    rows.iter()
        .map(|(label, value)| format!("{label:<20} {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}
