//! `host.check`: everything anew, what there is to know of a host, and what is wrong with it.
//!
//! The rules are [`berth_core::check`]'s; here is only who is asked. A host that does not work is an answer too, not a
//! failure of the check.

use std::{sync::Arc, time::Duration};

use berth_core::{
    Code, Error, Result,
    check::{self, Finding, Id, Linux, Weight},
    host::{Address, Os, PRACTICE, Route},
    size,
};
use berth_engine::Info;
use berth_remote::{Ask, ExecLimits, Lane, Session, Whose};
use berth_store::{HostRecord, Hosts};
use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};

use crate::{
    Berth,
    carrier::Carrier,
    dto,
    hosts::{self, Reached, WayIn},
    link::Link,
    questions::Caller,
    table::Call,
};

/// A certificate that ends within this time is told of.
const SOON: Duration = Duration::from_secs(30 * 86_400);
/// A call that takes longer makes everything feel slow.
const SLOW: Duration = Duration::from_millis(400);
/// How long the look at a host's disks may hold up what a failure says.
const DISK_LIMIT: Duration = Duration::from_secs(10);
/// How many calls are measured; the middle one counts.
const CALLS: usize = 5;

/// `host.check`.
pub(crate) async fn check(
    berth: &Arc<Berth>,
    request: dto::HostExamine,
    call: &Call,
) -> Result<dto::HostCheck> {
    berth.note_ssh_agent(request.ssh_agent.as_deref());
    let hosts = berth.hosts().await?;
    let began = Instant::now();
    let mut ladder = Vec::new();
    let mut carrier = None;
    let (host, reached) = if request.name == PRACTICE {
        let way = Carrier::Ssh(berth.practice.ssh().await?);
        let reached = hosts::climb(PRACTICE, &Address::Practice, way, None, &mut ladder).await?;
        (hosts::practice_view(berth, &hosts, Some(&reached)), reached)
    } else {
        let record = hosts::find(&hosts, &request.name)?.clone();
        let address = Address::parse(&record.address)?;
        let reached = async {
            let way = match signed_in(berth, &record.name) {
                Some(way) => way,
                None => {
                    let ask = request
                        .can_answer
                        .then(|| Arc::new(Caller::new(berth, call)) as Arc<dyn Ask>);
                    let trusted = request.trust_host_keys.clone();
                    let way_in = WayIn::of(berth, &record, ask).await?.trusting(trusted);
                    hosts::way_to(berth, &record, &address, way_in).await?
                }
            };
            carrier = Some(way.clone());
            hosts::climb(&record.name, &address, way, None, &mut ladder).await
        };
        match reached.await {
            Ok(reached) => (known(berth, record, &reached).await?, reached),
            Err(e) => {
                let finding = cause(&e, &address, carrier.as_ref()).await;
                return Ok(dto::HostCheck {
                    unknown_key: dto::UnknownKey::of(&e),
                    ..answer(
                        hosts::view(berth, &record, &hosts),
                        Vec::new(),
                        ladder,
                        vec![finding],
                    )
                });
            }
        }
    };
    let mut seen = Seen::default();
    seen.fact(
        "connect_ms",
        "Time to connect",
        format!("{} ms", began.elapsed().as_millis()),
    );
    match examine(&reached, &ladder, &mut seen).await {
        Ok(()) => berth
            .links
            .put(berth, &request.name, Arc::new(reached.link)),
        Err(e) => seen.findings.push(of_engine(&e)),
    }
    Ok(answer(host, seen.facts, ladder, seen.findings))
}

/// The connection of a host that asks a person at each sign-in, while it lasts: nobody is asked twice.
fn signed_in(berth: &Berth, host: &str) -> Option<Carrier> {
    let link = berth.links.existing(host)?;
    let ssh = link.carrier.ssh()?;
    let lives = ssh.is_personal() && ssh.sessions().iter().any(|s| !s.is_closed());
    lives.then(|| link.carrier.clone())
}

/// Keeps what was found out about a host that answers.
async fn known(
    berth: &Arc<Berth>,
    mut record: HostRecord,
    reached: &Reached,
) -> Result<dto::HostView> {
    hosts::note(&mut record, reached);
    let kept = record.clone();
    let all = berth
        .store(move |f| {
            f.update::<Hosts, _>(|hosts| {
                if hosts.get(&kept.name).is_some() {
                    hosts.put(kept);
                }
                Ok(hosts.clone())
            })
        })
        .await?;
    Ok(hosts::view(berth, &record, &all))
}

fn answer(
    host: dto::HostView,
    facts: Vec<dto::Fact>,
    ladder: Vec<dto::Rung>,
    mut findings: Vec<Finding>,
) -> dto::HostCheck {
    findings.sort_by_key(|f| std::cmp::Reverse(f.id.weight()));
    dto::HostCheck {
        host,
        facts,
        ladder,
        works: findings.iter().all(|f| f.id.weight() < Weight::Error),
        findings: findings
            .into_iter()
            .map(|f| dto::Finding {
                id: f.id.as_str().to_owned(),
                weight: f.id.weight().as_str().to_owned(),
                message: f.message,
                hint: f.hint,
            })
            .collect(),
        unknown_key: None,
    }
}

#[derive(Default)]
struct Seen {
    facts: Vec<dto::Fact>,
    findings: Vec<Finding>,
}

impl Seen {
    fn fact(&mut self, id: &str, label: &str, value: impl Into<String>) {
        self.facts.push(dto::Fact {
            id: id.into(),
            label: label.into(),
            value: value.into(),
        });
    }

    fn maybe(&mut self, id: &str, label: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.fact(id, label, value);
        }
    }
}

/// Why a host cannot be used.
async fn cause(e: &Error, address: &Address, carrier: Option<&Carrier>) -> Finding {
    let told = |id: Id, otherwise: &str| {
        Finding::new(
            id,
            std::iter::once(e.message())
                .chain(e.causes().iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(": "),
            e.what_to_do().unwrap_or(otherwise),
        )
    };
    match (e.code(), address) {
        (Code::HostKeyUnknown | Code::HostKeyChanged, _) => {
            return told(
                Id::HostKey,
                "Compare the fingerprint with what the host's owner says",
            );
        }
        (Code::PassphraseNeeded | Code::NoKeychain | Code::KeychainLocked, _) => {
            return told(
                Id::CredentialsMissing,
                "Open the keychain, or add the key to the SSH agent with `ssh-add`",
            );
        }
        (Code::SignInRefused, Address::Tcp { .. }) | (Code::Refused, Address::Tcp { .. }) => {
            return told(Id::Tls, "Compare the three files with those of the engine");
        }
        (Code::SignInRefused, _) => {
            return told(
                Id::SignInRefused,
                "Sign in with `ssh` once to see what the host accepts",
            );
        }
        _ => {}
    }
    // Signed in, and still no engine: the machine itself knows why.
    if let Some(ssh) = carrier.and_then(Carrier::ssh)
        && let Some(session) = ssh.sessions().into_iter().find(|s| !s.is_closed())
    {
        if e.get_detail("engine") == Some("too_old") {
            return told(Id::EngineTooOld, "Update Docker on the host");
        }
        let socket = match address {
            Address::Ssh {
                socket: Some(s), ..
            } => s.as_str(),
            _ => "/var/run/docker.sock",
        };
        let finding = if is_windows(&session) {
            windows_probe(&session)
                .await
                .as_ref()
                .and_then(windows_cause)
        } else {
            linux_probe(&session, socket, "")
                .await
                .and_then(|linux| linux.why_no_engine(socket))
        };
        return finding.unwrap_or_else(|| of_engine(e));
    }
    if carrier.is_some_and(|c| c.ssh().is_none()) {
        return match e.code() {
            Code::Unreachable if matches!(address, Address::Unix { .. }) => {
                let denied = e.causes().iter().any(|c| c.contains("ermission denied"));
                told(
                    if denied {
                        Id::EngineDenied
                    } else {
                        Id::EngineStopped
                    },
                    "Start the engine",
                )
            }
            Code::Unreachable | Code::TimedOut => told(Id::Unreachable, "Is the machine on?"),
            _ => of_engine(e),
        };
    }
    match e.code() {
        Code::Unreachable | Code::TimedOut => {
            told(Id::Unreachable, "Is the machine on, and its address right?")
        }
        // A file that cannot be read, an address that makes no sense: something here.
        _ => told(
            if matches!(address, Address::Tcp { .. }) {
                Id::Tls
            } else {
                Id::CredentialsMissing
            },
            "Look at how the host was added: `berth host show`",
        ),
    }
}

/// What an engine's own failure means.
fn of_engine(e: &Error) -> Finding {
    let id = if e.get_detail("engine") == Some("too_old") {
        Id::EngineTooOld
    } else if e.code() == Code::TimedOut {
        Id::EngineSilent
    } else {
        Id::NoEngine
    };
    Finding::new(
        id,
        std::iter::once(e.message())
            .chain(e.causes().iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(": "),
        e.what_to_do()
            .unwrap_or("Restart the host's Docker service, and look at its log"),
    )
}

fn is_windows(session: &Session) -> bool {
    session.server_version().contains("Windows")
}

/// Everything about a host that answers.
async fn examine(reached: &Reached, ladder: &[dto::Rung], seen: &mut Seen) -> Result<()> {
    let link = &reached.link;
    let mut times = Vec::new();
    let mut latest = None;
    for _ in 0..CALLS {
        let (before, began) = (Utc::now(), Instant::now());
        let info = link.engine.info().await?;
        times.push(began.elapsed());
        latest = Some((info, before, Utc::now()));
    }
    let Some((info, before, after)) = latest else {
        return Ok(());
    };
    times.sort_unstable();
    let call = times.get(CALLS / 2).copied().unwrap_or_default();
    let about = link.engine.about();
    seen.fact(
        "call_ms",
        "Time of a call",
        format!("{:.1} ms", call.as_secs_f64() * 1000.0),
    );
    seen.fact("system", "System", info.os_name.clone());
    seen.fact(
        "engine",
        "Engine",
        format!(
            "{} (API {}, {} containers)",
            about.version,
            about.api_version,
            link.os.as_str()
        ),
    );
    seen.fact("kernel", "Kernel", about.kernel.clone());
    seen.fact("cores", "Cores", info.cpus.to_string());
    seen.fact("memory", "Memory", size::format(info.memory_bytes));
    seen.fact("route", "Way to the engine", link.route.in_words());
    seen.maybe(
        "isolation",
        "Isolation",
        Some(info.isolation.clone()).filter(|i| !i.is_empty()),
    );
    if call > SLOW {
        seen.findings.push(Finding::new(
            Id::SlowLink,
            format!("A call takes {} ms", call.as_millis()),
            "The network between here and there is slow, or the host is busy",
        ));
    }
    of_info(&info, seen);
    clock(&info, before, after, seen);
    if let Some(tls) = link.carrier.tls() {
        certificates(tls, seen);
    }
    if let Some(session) = &reached.session {
        seen.fact("ssh", "SSH server", session.server_version());
        seen.fact("sign_in", "Signed in by", session.sign_in_way());
        seen.fact("host_key", "Host key", session.host_key_fingerprint());
        let linux = if link.os == Os::Linux && !is_windows(session) {
            linux_probe(session, "/var/run/docker.sock", &info.root_dir).await
        } else {
            None
        };
        // A user who may open the socket in a shell and not by a forward is forbidden the forward.
        let may_open = linux.as_ref().and_then(|l| l.text("socket")) == Some("open");
        forwarding(session, &link.route, ladder, may_open, seen).await;
        if link.os == Os::Windows {
            if let Some(probe) = windows_probe(session).await {
                windows(&probe, seen);
            }
        } else if is_windows(session) {
            seen.findings.push(Finding::new(
                Id::WrongContainers,
                "The engine of this Windows machine runs Linux containers",
                "Switch it to Windows containers: for Docker Desktop `& 'C:\\Program Files\\Docker\\Docker\\DockerCli.exe' -SwitchWindowsEngine`",
            ));
        } else if let Some(linux) = linux {
            of_linux(&linux, seen);
        }
    }
    Ok(())
}

fn of_info(info: &Info, seen: &mut Seen) {
    seen.findings.extend(check::memory(info.memory_bytes));
    if matches!(info.arch.as_str(), "aarch64" | "arm64") {
        seen.findings.push(Finding::new(
            Id::Processor,
            "The host's processor is an ARM one, and SQL Server is made for x86-64",
            "It runs there by emulation alone, slowly if at all: take a host with an x86-64 processor",
        ));
    }
    for warning in info.warnings.iter().take(8) {
        let text = warning.trim_start_matches("WARNING: ").trim();
        seen.findings.push(if text.contains("No memory limit support") {
            Finding::new(
                Id::NoMemoryLimit,
                "The engine cannot limit the memory of a container",
                "An instance may then take all of the host's: enable the memory controller of its control groups",
            )
        } else {
            Finding::new(
                Id::EngineWarning,
                format!("The engine warns: {text}"),
                "`docker info` on the host shows it too",
            )
        });
    }
}

fn clock(info: &Info, before: DateTime<Utc>, after: DateTime<Utc>, seen: &mut Seen) {
    let Ok(theirs) = DateTime::parse_from_rfc3339(&info.system_time) else {
        return;
    };
    let half = (after - before) / 2;
    let ahead = (theirs.with_timezone(&Utc) - (before + half)).num_seconds();
    let exact = half.num_seconds().unsigned_abs() + 1;
    seen.fact(
        "clock",
        "Clock",
        if ahead.unsigned_abs() <= exact {
            "as this machine's".to_owned()
        } else {
            format!(
                "{} s {}",
                ahead.unsigned_abs(),
                if ahead > 0 { "ahead" } else { "behind" }
            )
        },
    );
    seen.findings.extend(check::clock(ahead, exact));
}

fn certificates(tls: &berth_remote::Tls, seen: &mut Seen) {
    for (whose, end) in tls.ending_within(SOON) {
        let end = i64::try_from(end)
            .ok()
            .and_then(|s| DateTime::from_timestamp(s, 0))
            .map_or_else(String::new, |t| t.format("%Y-%m-%d").to_string());
        seen.findings.push(match whose {
            Whose::Engine => Finding::new(
                Id::CertificateEnds,
                format!("The engine's certificate ends on {end}"),
                "Whoever runs the engine has to renew it before",
            ),
            Whose::Ours => Finding::new(
                Id::CertificateEnds,
                format!("Your certificate for this host ends on {end}"),
                "Ask whoever runs the engine's authority for a new one, and put it in the same place",
            ),
        });
    }
}

/// Whether the SSH server forwards what Berth needs.
async fn forwarding(
    session: &Session,
    route: &Route,
    ladder: &[dto::Rung],
    may_open: bool,
    seen: &mut Seen,
) {
    // Nothing listens on port 1, so an allowed forward fails in another way than a forbidden one.
    if let Err(e) = session.tcp("127.0.0.1", 1).await
        && e.code() == Code::Refused
    {
        seen.findings.push(Finding::new(
            Id::TcpForwardingOff,
            "The SSH server forwards no TCP connections, so the instances there cannot be reached",
            "In its sshd_config: `AllowTcpForwarding yes` (or `local`), and no `DisableForwarding` or `PermitOpen` that forbids it",
        ));
    }
    if matches!(route, Route::DialStdio(_)) {
        let refused = may_open
            || ladder
                .iter()
                .any(|r| !r.works && r.result.contains("does not allow a tunnel"));
        seen.findings.push(if refused {
            Finding::new(
                Id::SocketForwardingOff,
                "The SSH server forwards no sockets: the engine is reached by a process on the host for each connection, which is slower and limited to ten at once",
                "In its sshd_config: `AllowStreamLocalForwarding yes`",
            )
        } else {
            Finding::new(
                Id::SlowRoute,
                "The engine is reached by a process on the host for each connection, which is slower and limited to ten at once",
                "`berth host prepare NAME` gives an engine of Windows a listener for this computer alone",
            )
        });
    }
}

fn limits() -> ExecLimits {
    ExecLimits {
        timeout: Duration::from_secs(60),
        max_output: 1 << 20,
    }
}

async fn linux_probe(session: &Session, socket: &str, data: &str) -> Option<Linux> {
    match session
        .exec(&check::linux_probe(socket, data), None, limits())
        .await
    {
        Ok(output) => Linux::parse(&String::from_utf8_lossy(&output.stdout)),
        Err(e) => {
            tracing::info!("the host's shell was not asked: {e}");
            None
        }
    }
}

/// Whether a disk of the host is full, as far as its shell can be asked: what a program whose log lies there as well cannot say.
pub(crate) async fn has_full_disk(link: &Link) -> bool {
    let asked = async {
        let session = link.carrier.ssh()?.session(Lane::Control).await.ok()?;
        match link.os {
            Os::Linux => {
                let data = link.engine.info().await.ok()?.root_dir;
                linux_probe(&session, "", &data).await?.disk()
            }
            Os::Windows => {
                let probe = windows_probe(&session).await?;
                disks(&probe).find_map(|(name, free, total)| check::disk(&name, free, total))
            }
        }
    };
    let found = timeout(DISK_LIMIT, asked).await.ok().flatten();
    found.is_some_and(|f| f.id == Id::DiskFull)
}

fn of_linux(linux: &Linux, seen: &mut Seen) {
    seen.maybe("user", "User", linux.text("user"));
    seen.maybe(
        "free_memory",
        "Free memory",
        linux.bytes("memory_free").map(size::format),
    );
    if let (Some(mount), Some(free)) = (linux.text("disk_mount"), linux.bytes("disk_free")) {
        seen.fact("disk", &format!("Free on {mount}"), size::format(free));
    }
    seen.maybe(
        "cgroup",
        "Control groups",
        linux.text("cgroup").map(|v| format!("version {v}")),
    );
    seen.findings.extend(linux.disk());
    if linux.text("cgroup") == Some("1") {
        seen.findings.push(Finding::new(
            Id::CgroupV1,
            "The host uses control groups of the first version",
            "Newer engines stop supporting them: a current distribution has the second",
        ));
    }
}

/// What only Windows itself can say.
async fn windows_probe(session: &Session) -> Option<serde_json::Value> {
    match session
        .powershell(berth_core::powershell::PROBE, None, limits())
        .await
    {
        Ok(probe) => Some(probe),
        Err(e) => {
            tracing::info!("the host's PowerShell was not asked: {e}");
            None
        }
    }
}

fn windows_cause(probe: &serde_json::Value) -> Option<Finding> {
    let full = disks(probe).find_map(|(name, free, total)| {
        check::disk(&name, free, total).filter(|f| f.id == Id::DiskFull)
    });
    let service = probe
        .pointer("/services/docker/status")
        .and_then(|v| v.as_str());
    match (service, full) {
        (Some("Running"), _) => None,
        (Some(_), Some(full)) => Some(full),
        (Some(_), None) => Some(Finding::new(
            Id::EngineStopped,
            "The engine is installed and does not run",
            "On the host, as administrator: `Start-Service docker`; why it ended says `Get-EventLog Application -Source docker -Newest 20`",
        )),
        (None, _) => Some(Finding::new(
            Id::EngineMissing,
            "No container engine is installed there",
            "`berth host prepare` makes it a container host, and says first what it would do",
        )),
    }
}

/// Each drive with its free and whole size in bytes.
fn disks(probe: &serde_json::Value) -> impl Iterator<Item = (String, u64, u64)> {
    probe
        .get("disks")
        .and_then(|d| d.as_array())
        .into_iter()
        .flatten()
        .filter_map(|disk| {
            let mb = |key: &str| disk.get(key).and_then(serde_json::Value::as_u64);
            Some((
                disk.get("drive")?.as_str()?.to_owned(),
                mb("freeMB")?.checked_mul(1 << 20)?,
                mb("sizeMB")?.checked_mul(1 << 20)?,
            ))
        })
}

fn windows(probe: &serde_json::Value, seen: &mut Seen) {
    let text = |key: &str| probe.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let number = |key: &str| probe.get(key).and_then(serde_json::Value::as_u64);
    seen.maybe("windows", "Windows", text("product"));
    seen.maybe(
        "build",
        "Build",
        number("build")
            .map(|b| number("ubr").map_or_else(|| b.to_string(), |u| format!("{b}.{u}"))),
    );
    seen.maybe(
        "free_memory",
        "Free memory",
        number("freeRamMB").map(|mb| size::format(mb << 20)),
    );
    seen.maybe("user", "User", text("user"));
    for (name, free, total) in disks(probe) {
        seen.fact(
            &format!("disk_{}", name.trim_end_matches(':').to_ascii_lowercase()),
            &format!("Free on {name}"),
            size::format(free),
        );
        // Other drives are other people's.
        if name == "C:" {
            seen.findings.extend(check::disk(&name, free, total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_windows_host_names_its_cause() {
        let probe = |docker: serde_json::Value, free: u64| json!({ "services": { "docker": docker }, "disks": [{ "drive": "C:", "freeMB": free, "sizeMB": 100_000 }] });
        let stopped = json!({ "status": "Stopped", "start": "Automatic" });
        for (probe, id) in [
            (probe(stopped.clone(), 50_000), Id::EngineStopped),
            (probe(stopped, 3), Id::DiskFull),
            (probe(json!(null), 50_000), Id::EngineMissing),
        ] {
            assert_eq!(windows_cause(&probe).unwrap().id, id, "{probe}");
        }
        let running = probe(json!({ "status": "Running" }), 50_000);
        assert!(
            windows_cause(&running).is_none(),
            "then the engine itself has to say"
        );
    }
}
