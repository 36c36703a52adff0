//! Making a Windows machine a container host: what is, what should be, and the steps between.
//!
//! A plan is made of one look at the machine ([`Look`]) and nothing else, so a step that was
//! done is done whoever did it and however often it is asked: whatever breaks in the middle,
//! the next look makes the rest of the plan. Nothing here does anything.

mod daemon;
mod ills;
mod listener;
mod look;

use serde_json::{Value, json};

pub use daemon::{LISTENER, merged};
pub use ills::{Ill, explain, ills};
pub use listener::{Pair, Whose, is_ready, listener_of};
pub use look::{Certificates, Engine, Key, Look, Network, Owner, Rule, Sector, Service, Work};

use crate::size;

/// The first build of Windows whose containers today's engine runs: Server 2019.
pub const FIRST_BUILD: u32 = 17763;
/// Free space that a first image needs, in MiB.
const LEAST_FREE_MB: u64 = 40 * 1024;
/// Memory that Windows and one instance need, in MiB; a machine of 4 GB reports a little less.
const LEAST_RAM_MB: u64 = 3800;
/// The largest sector that SQL Server can write.
const LARGEST_SECTOR: u32 = 4096;

/// What prepares a machine, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// Berth's own folder, closed to all but administrators.
    Folder,
    /// The SSH server starts with Windows.
    Sshd,
    /// The firewall lets SSH in.
    Firewall,
    /// Our key opens the machine.
    Key,
    /// Sectors that SQL Server can write.
    Sector,
    /// Windows' own Containers feature.
    Feature,
    /// A restart, where one of the steps before needs it.
    Restart,
    /// The container engine's programs.
    Engine,
    /// The certificates of the engine's own listener.
    Tls,
    /// The engine's settings and its service.
    Daemon,
    /// A network for containers.
    Network,
}

/// How a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Here and now, within a minute or two.
    Now,
    /// As SYSTEM in a scheduled task, watched.
    Task,
    /// A restart of the machine.
    Restart,
}

impl Id {
    /// All of them, in their order.
    pub const ALL: [Self; 11] = [
        Self::Folder,
        Self::Sshd,
        Self::Firewall,
        Self::Key,
        Self::Sector,
        Self::Feature,
        Self::Restart,
        Self::Engine,
        Self::Tls,
        Self::Daemon,
        Self::Network,
    ];

    /// Its name, in the script and for `--without`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Sshd => "sshd",
            Self::Firewall => "firewall",
            Self::Key => "key",
            Self::Sector => "sector",
            Self::Feature => "feature",
            Self::Restart => "restart",
            Self::Engine => "engine",
            Self::Tls => "tls",
            Self::Daemon => "daemon",
            Self::Network => "network",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.as_str() == text)
    }

    /// Whether a host works without it.
    #[must_use]
    pub fn may_be_left_out(self) -> bool {
        matches!(self, Self::Sshd | Self::Firewall | Self::Key | Self::Tls)
    }

    /// How it is taken.
    #[must_use]
    pub fn how(self) -> How {
        match self {
            Self::Feature | Self::Engine | Self::Daemon => How::Task,
            Self::Restart => How::Restart,
            _ => How::Now,
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub id: Id,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What is there now.
    pub is: String,
    /// What should be.
    pub should: &'static str,
    /// Why, for somebody who has never seen a Windows Server.
    pub why: &'static str,
    /// Whether there is something to do.
    pub to_do: bool,
    /// About how long it takes, in seconds.
    pub seconds: u32,
}

/// What will be done to a machine, or why nothing can be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Why this machine cannot become a host; nothing is done then. Reason, and what to do.
    pub refusals: Vec<(String, String)>,
    /// Every step, those that are done already too.
    pub steps: Vec<Step>,
    /// What should be known before agreeing.
    pub notes: Vec<String>,
}

impl Plan {
    /// The first step that is not done.
    #[must_use]
    pub fn next(&self) -> Option<&Step> {
        self.steps.iter().find(|s| s.to_do)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.refusals.is_empty() && self.next().is_none()
    }

    /// About how long all of it takes, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.steps
            .iter()
            .filter(|s| s.to_do)
            .map(|s| s.seconds)
            .sum()
    }
}

/// What the caller brings along.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Our public key, a line of OpenSSH; without one that step is left out.
    pub key: Option<String>,
    /// Steps to leave out, of those that [may be](Id::may_be_left_out).
    pub without: Vec<Id>,
    /// What this machine has for the engine's own listener; `None` where it can keep nothing, and that step is left out.
    pub pair: Option<Pair>,
    /// Whether new certificates are wanted whatever is there.
    pub renew: bool,
}

/// The engine that is installed where there is none: its version, its official place, and its
/// SHA-256 once that is recorded.
const ENGINE: &str = include_str!("../../../../../installers/windows/engine.json");

/// What the script is given for a step: it asks for nothing that a plan did not show.
#[must_use]
pub fn want(look: &Look, wish: &Wish) -> Value {
    let engine: Value = serde_json::from_str(ENGINE).unwrap_or(Value::Null);
    let daemon = daemon_wish(look, wish).ok().flatten().map(|text| {
        // .NET reads a text without its mark.
        json!({ "was": look.daemon.as_deref().map(|t| t.trim_start_matches('\u{feff}')), "text": text })
    });
    json!({ "key": wish.key, "engine": engine, "daemon": daemon })
}

/// What the script is given to take a step back: the settings without Berth's listener, where somebody changed them since.
#[must_use]
pub fn want_back(look: &Look) -> Value {
    let was = look.daemon.as_deref();
    let text = daemon::without_listener(was, &look.tls.folder)
        .ok()
        .flatten();
    json!({ "daemon": text.map(|text| json!({ "was": was.map(|t| t.trim_start_matches('\u{feff}')), "text": text })) })
}

/// What `daemon.json` should be. The settings of an engine that somebody else set up and that answers are left alone.
fn daemon_wish(look: &Look, wish: &Wish) -> crate::Result<Option<String>> {
    if !look.engine.ours && look.engine.answers.is_some() {
        return Ok(None);
    }
    let client = look.installation_type.as_deref() == Some("Client");
    let new = merged(look.daemon.as_deref(), client, listener::folder(look, wish))?;
    Ok(match (new, look.daemon_mark) {
        (None, true) => look
            .daemon
            .as_deref()
            .map(|t| t.trim_start_matches('\u{feff}').to_owned()),
        (new, _) => new,
    })
}

/// What there is to do on a machine.
#[must_use]
pub fn plan(look: &Look, wish: &Wish) -> Plan {
    let mut plan = Plan {
        refusals: refusals(look),
        ..Plan::default()
    };
    let restart = restart_reason(look);
    for id in Id::ALL {
        if wish.without.contains(&id) && id.may_be_left_out() {
            plan.notes.push(format!("Left out: {}", id.as_str()));
            continue;
        }
        if let Some(step) = step(id, look, wish, restart) {
            plan.steps.push(step);
        }
    }
    // A restart that a step of this very plan will need is part of it, so that nobody is surprised.
    let will = |id: Id, plan: &Plan| plan.steps.iter().any(|s| s.id == id && s.to_do);
    if will(Id::Feature, &plan) || will(Id::Sector, &plan) {
        for step in &mut plan.steps {
            if step.id == Id::Restart {
                step.to_do = true;
                step.is = "not yet".to_owned();
            }
        }
    }
    // So is the engine's restart, without which it would not listen.
    if will(Id::Tls, &plan)
        && let Some(step) = plan
            .steps
            .iter_mut()
            .find(|s| s.id == Id::Daemon && !s.to_do)
    {
        step.to_do = true;
        step.is = "runs; restarts for its listener, and your instances with it".to_owned();
    }
    if wish.pair.is_none() && !wish.without.contains(&Id::Tls) && listener::may_be(look) {
        plan.notes.push("No keychain answers here, so that the engine gets no listener of its own: Berth reaches it by a program that it starts there for each connection".to_owned());
    }
    if let Some(build) = Some(look.build).filter(|b| *b < 20348 && *b >= FIRST_BUILD) {
        plan.notes.push(format!(
            "This is Windows build {build}: its images are made on the base ltsc2019"
        ));
    }
    if !look.pending.is_empty() {
        plan.notes.push(format!(
            "Windows waits for a restart by itself: {}",
            look.pending.join(", ")
        ));
    }
    if look.engine.answers.is_some() && !look.engine.ours {
        plan.notes.push(
            "An engine is there already and answers: it is used as it is, with its own settings"
                .to_owned(),
        );
    }
    plan
}

fn refusals(look: &Look) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut no = |why: String, hint: &str| all.push((why, hint.to_owned()));
    let name = look.product.as_deref().unwrap_or("This Windows");
    if look.build < FIRST_BUILD {
        no(
            format!(
                "{name} (build {}) is too old for today's container engine",
                look.build
            ),
            "Take a machine with Windows Server 2019, 2022 or 2025",
        );
    }
    if look.arch.as_deref().is_some_and(|a| a != "AMD64") {
        no(
            format!(
                "The processor is {}, and SQL Server for Windows is made for x64 alone",
                look.arch.as_deref().unwrap_or("?")
            ),
            "Take a machine with an x64 processor",
        );
    }
    if look.installation_type.as_deref() == Some("Nano Server") {
        no(
            "Nano Server cannot be a container host".to_owned(),
            "Take Windows Server with or without the desktop",
        );
    }
    if !look.admin {
        no(
            format!(
                "`{}` is not an administrator there",
                look.user.as_deref().unwrap_or("The login")
            ),
            "Sign in as an administrator: features and services of Windows belong to administrators alone",
        );
    }
    if look
        .language_mode
        .as_deref()
        .is_some_and(|m| m != "FullLanguage")
    {
        no(
            "PowerShell runs in constrained language mode there".to_owned(),
            "AppLocker or App Control limits this user; the machine's owner has to allow full language mode",
        );
    }
    // Once the engine is there its images take that space, which is no reason to stop.
    if look.engine.answers.is_none() && look.free_mb > 0 && look.free_mb < LEAST_FREE_MB {
        no(
            format!(
                "Only {} are free on its system drive",
                size::format(look.free_mb << 20)
            ),
            "A SQL Server image and what it is built from need 40 GB; 120 GB are comfortable. Enlarge the disk",
        );
    }
    if look.ram_mb > 0 && look.ram_mb < LEAST_RAM_MB {
        no(
            format!("It has {} of memory", size::format(look.ram_mb << 20)),
            "Windows and one instance need 4 GB; give the machine more",
        );
    }
    if look.fs.as_deref().is_some_and(|fs| fs != "NTFS") {
        no(
            format!("Its system drive is {}", look.fs.as_deref().unwrap_or("?")),
            "The engine keeps its images on NTFS only",
        );
    }
    if let Some(folder) = &look.folder
        && !matches!(
            folder.owner.as_str(),
            "BA" | "SY" | "S-1-5-32-544" | "S-1-5-18"
        )
    {
        no(
            format!(
                r"`C:\ProgramData\Berth` is there and belongs to somebody else ({})",
                folder.owner
            ),
            "Look at what it holds and delete it: what Berth runs as SYSTEM must not lie in another user's folder",
        );
    }
    if look.feature.is_none() {
        no(
            "This edition of Windows has no Containers feature".to_owned(),
            "Take Windows Server, or an edition of Windows 10 or 11 that has it: Pro or Enterprise",
        );
    }
    if look.network.ipv6off {
        no(
            "IPv6 is switched off entirely there, and networks of containers need it".to_owned(),
            r"Set `DisabledComponents` under `HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters` to something else than 255, and restart",
        );
    }
    if let Err(e) = daemon_wish(look, &Wish::default()) {
        no(
            e.causes()
                .first()
                .cloned()
                .unwrap_or_else(|| e.message().to_owned()),
            e.what_to_do().unwrap_or_default(),
        );
    }
    if look.engine.service.is_some()
        && look.engine.answers.is_none()
        && look
            .daemon
            .as_deref()
            .is_some_and(|d| d.contains("\"hosts\""))
        && look
            .engine
            .path
            .as_deref()
            .is_some_and(|p| p.contains(" -H"))
    {
        no(
            "The engine cannot start: its service and its settings both say where it listens"
                .to_owned(),
            r"Take `-H …` out of the service's command line, or `hosts` out of `C:\ProgramData\docker\config\daemon.json`",
        );
    }
    all
}

/// Why the machine has to restart before the next steps, by what it is now.
fn restart_reason(look: &Look) -> Option<&'static str> {
    if look.feature.as_deref() == Some("EnablePending") {
        return Some("the Containers feature waits for it");
    }
    let enabled = look.feature.as_deref() == Some("Enabled");
    if enabled && (look.network.hns.is_none() || look.network.vmcompute.is_none()) {
        return Some("the services of the Containers feature are not there yet");
    }
    if look.sector.forced && too_large(look) {
        return Some("the sector size is read when Windows starts");
    }
    None
}

fn too_large(look: &Look) -> bool {
    look.sector.largest.is_some_and(|s| s > LARGEST_SECTOR)
}

fn step(id: Id, look: &Look, wish: &Wish, restart: Option<&'static str>) -> Option<Step> {
    let (title, should, why, seconds) = words(id);
    let (is, to_do) = match id {
        Id::Folder => match &look.folder {
            None => ("not there".to_owned(), true),
            Some(f) if f.private => ("there".to_owned(), false),
            Some(_) => ("open to others".to_owned(), true),
        },
        Id::Sshd => match &look.sshd {
            // Another SSH server than Windows' own looks after itself.
            None => return None,
            Some(s) => (
                match s.start.as_str() {
                    "Automatic" => "starts automatically".to_owned(),
                    "Manual" => "starts only when somebody starts it".to_owned(),
                    "Disabled" => "is switched off".to_owned(),
                    other => format!("starts as `{other}`"),
                },
                s.start != "Automatic",
            ),
        },
        Id::Firewall => match &look.firewall {
            None => ("no rule".to_owned(), true),
            // Whoever switched it off lets SSH in by a rule of their own: we are here.
            Some(r) if r.enabled != "True" => {
                ("switched off by its owner; left alone".to_owned(), false)
            }
            Some(r) if r.profile == "Any" => ("open in every network profile".to_owned(), false),
            Some(r) => (format!("open in the profile {} alone", r.profile), true),
        },
        Id::Key => {
            wish.key.as_ref()?;
            match (look.key.there, look.key.private) {
                (true, _) if look.key.mark => (
                    "in a file that begins with a byte order mark, so that sshd does not read it"
                        .to_owned(),
                    true,
                ),
                (true, true) => ("there".to_owned(), false),
                (true, false) => (
                    "in a file that others may change, so that Windows ignores it".to_owned(),
                    true,
                ),
                (false, _) => ("not there".to_owned(), true),
            }
        }
        Id::Sector => {
            let largest = look.sector.largest?;
            if too_large(look) {
                (format!("{largest} bytes"), !look.sector.forced)
            } else {
                (format!("{largest} bytes"), false)
            }
        }
        Id::Feature => match look.feature.as_deref() {
            Some("Enabled") => ("there".to_owned(), false),
            Some("EnablePending") => ("there after a restart".to_owned(), false),
            other => (other.unwrap_or("unknown").to_lowercase(), true),
        },
        Id::Restart => match restart {
            Some(why) => (format!("needed: {why}"), true),
            None => ("not needed".to_owned(), false),
        },
        Id::Engine => match (&look.engine.dockerd, &look.engine.answers) {
            (_, Some(version)) => (format!("{version}, answers"), false),
            (Some(_), None) if look.engine.ours && look.engine.installed.is_none() => {
                ("there in part".to_owned(), true)
            }
            (Some(_), None) => (
                look.engine
                    .version
                    .clone()
                    .unwrap_or_else(|| "there".to_owned()),
                false,
            ),
            (None, None) => ("none".to_owned(), true),
        },
        Id::Tls => listener::step(look, wish)?,
        Id::Daemon => {
            let changes = matches!(daemon_wish(look, wish), Ok(Some(_)));
            match (&look.engine.answers, changes) {
                (Some(_), false) if look.tls.fresh => (
                    "runs, and has not read its certificates yet".to_owned(),
                    true,
                ),
                (Some(_), false) => ("runs".to_owned(), false),
                (Some(_), true) => ("runs, with other settings".to_owned(), true),
                (None, _) => (
                    look.engine
                        .service
                        .as_ref()
                        .map_or_else(|| "no service".to_owned(), |s| s.status.to_lowercase()),
                    true,
                ),
            }
        }
        Id::Network => match look.network.nat {
            Some(true) => ("there".to_owned(), false),
            Some(false) => ("the engine has none".to_owned(), true),
            // It comes with the engine.
            None => ("not there yet".to_owned(), false),
        },
    };
    Some(Step {
        id,
        title,
        is,
        should,
        why,
        to_do,
        seconds,
    })
}

fn words(id: Id) -> (&'static str, &'static str, &'static str, u32) {
    match id {
        Id::Folder => (
            "A folder for Berth",
            r"`C:\ProgramData\Berth`, open to administrators alone",
            "Berth keeps there what it changed, so that all of it can be taken back",
            5,
        ),
        Id::Sshd => (
            "The SSH server starts with Windows",
            "starts automatically",
            "After a restart nobody could sign in otherwise",
            5,
        ),
        Id::Firewall => (
            "The firewall lets SSH in",
            "one rule for port 22, in every network profile",
            "Windows may take another profile after a restart, and its own rule is often open in one alone. Leave this out where a rule of your own does that",
            10,
        ),
        Id::Key => (
            "Your key opens the machine",
            "your public key among those of the administrators, in a file that they alone may change",
            "Windows ignores the keys of administrators in any other file",
            5,
        ),
        Id::Sector => (
            "Disk sectors that SQL Server can write",
            "at most 4096 bytes",
            "SQL Server does not start on larger ones; Windows reports smaller ones when it is told to (Microsoft's own remedy)",
            5,
        ),
        Id::Feature => (
            "Windows' Containers feature",
            "there",
            "The part of Windows that runs containers; it comes with Windows and is only switched on",
            180,
        ),
        Id::Restart => (
            "A restart of the machine",
            "done, after which Berth goes on by itself",
            "Windows puts its new part in place while it starts. Whoever works on that machine is logged off",
            180,
        ),
        Id::Engine => (
            "The container engine",
            "Docker Engine, from its publisher's own site, its signature checked on the machine",
            "The program that makes and runs containers; free, and without Docker Desktop",
            120,
        ),
        Id::Tls => (
            "A listener of the engine for this computer alone",
            "on 127.0.0.1:2376 of that machine, and it lets in only who has the certificate in your keychain",
            "Berth reaches the engine there, inside SSH, faster than by a program for each connection. Nothing is opened to the network. Certificates end after five years; this renews them",
            5,
        ),
        Id::Daemon => (
            "The engine runs",
            "a service of Windows that starts by itself and gives SQL Server two minutes to end when Windows shuts down",
            "Settings that are there already stay as they are",
            60,
        ),
        Id::Network => (
            "A network for containers",
            "the engine's NAT network",
            "Instances are reached through it; nothing is opened to the outside",
            30,
        ),
    }
}

/// What can be taken back, in the order in which it is, by what Berth wrote down.
///
/// The key goes last but for the folder: without it there may be no way in for the rest.
#[must_use]
pub fn undo(look: &Look) -> Vec<&'static str> {
    [
        "daemon", "service", "tls", "engine", "feature", "sector", "firewall", "sshd", "key",
    ]
    .into_iter()
    .filter(|step| look.changes.iter().any(|c| c == step))
    .chain(look.folder.is_some().then_some("folder"))
    .collect()
}

#[cfg(test)]
mod tests;
