//! What goes wrong on this machine because a test, or a curious user, asked for it.
//!
//! Faults are asked for when the machine starts (`--fault`), by a file in its folder ([`FILE`]),
//! and while it runs through the engine's door (`PUT /_practice/faults`). Each is deterministic:
//! by a number, or by a seed.

use std::{
    path::Path,
    str::FromStr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use berth_core::{Error, Result};
use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// One fault a line, `#` begins a remark; read when the machine starts.
pub const FILE: &str = "faults";

/// One fault, as `--fault` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `slow-start=SECONDS`: SQL Server takes this long before it listens.
    SlowStart(Duration),
    /// `slow-login=SECONDS`: it listens and upgrades its databases' scripts: every login is refused with 18401.
    SlowLogin(Duration),
    /// `slow-databases=SECONDS`: logins work, and every database but `master` and `tempdb` is still recovering.
    SlowDatabases(Duration),
    /// `start-fails=CAUSE`: containers do not start, or SQL Server in them does not, for this cause.
    StartFails(Cause),
    /// `refuse-login`: no key and no password opens the SSH door.
    RefuseLogin,
    /// `refuse-sql-login`: the password that was set for `sa` is not the one that opens it.
    RefuseSqlLogin,
    /// `engine-dies[=N]`: the engine answers N requests (default 0) and is gone from then on.
    EngineDies(u64),
    /// `engine-hangs[=N]`: the engine answers N requests (default 0) and none after them, without closing anything.
    EngineHangs(u64),
    /// `drop-at=N`: each SSH connection is cut after N bytes to the client.
    DropAt(u64),
    /// `drop-step=K`: each SSH connection is cut when its K-th channel is opened.
    DropStep(u64),
    /// `cut-once=N`: every SSH connection is cut, once, at the N-th of what is counted over all of them: a channel that is
    /// opened, an answer of a script that is about to be told, a line of a build.
    CutOnce(u64),
    /// `drops=SEED`: each SSH connection is cut after a number of bytes that follows from the seed and the
    /// connection's number.
    Drops(u64),
    /// `disk-full[=N]`: after N bytes (default 0) nothing is written to the disk any more, and containers can
    /// be neither created nor started.
    DiskFull(u64),
    /// `clock-skew=SECONDS`: the machine's clock is so much ahead, or behind where it is negative.
    ClockSkew(i64),
    /// `latency=MS`: what the SSH door says arrives so many milliseconds later.
    Latency(Duration),
    /// `bandwidth=N`: the SSH door says no more than N bytes a second on each connection.
    Bandwidth(u64),
    /// `wrong-host-key`: the SSH door shows another host key than the one that is known.
    WrongHostKey,
    /// `expired-certificate`: the engine's certificate on its TLS door is over.
    ExpiredCertificate,
    /// `never-back`: a restart of the machine never ends.
    NeverBack,
    /// `feature-fails`: Windows cannot add its Containers feature.
    FeatureFails,
    /// `wrong-signature`: the engine that is downloaded is not its publisher's.
    WrongSignature,
    /// `build-fails=CAUSE`: building an image fails: `download`, `hash` or `setup`.
    BuildFails(BuildCause),
    /// `slow-build=SECONDS`: SQL Server's setup takes this long.
    SlowBuild(Duration),
    /// `no-network`: the engine's network cannot be made.
    NoNetwork,
    /// `default-shell=powershell`: OpenSSH's registry value `DefaultShell` names Windows PowerShell, not cmd.
    PowerShell,
}

/// Why a build fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildCause {
    /// `download`: the machine resolves no names of the internet.
    Download,
    /// `hash`: what is fetched is not what it should be.
    Hash,
    /// `setup`: SQL Server's setup finds that its engine does not start.
    Setup,
}

/// Why a start fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `os-mismatch`: the image was made for another Windows.
    OsMismatch,
    /// `port-in-use`: Windows has given the port to something else.
    PortInUse,
    /// `network`: HNS makes no endpoint.
    Network,
    /// `sector-size`: the disk's sectors are larger than SQL Server takes.
    SectorSize,
    /// `memory`: SQL Server gets too little.
    Memory,
    /// `seeding`: the system databases cannot be copied into the data folder.
    Seeding,
    /// `data-in-use`: another process has the data files open.
    DataInUse,
    /// `system-database`: `master` cannot be recovered.
    SystemDatabase,
    /// `service`: the service ends as soon as it runs.
    Service,
}

impl Cause {
    const ALL: [(&'static str, Self); 9] = [
        ("os-mismatch", Self::OsMismatch),
        ("port-in-use", Self::PortInUse),
        ("network", Self::Network),
        ("sector-size", Self::SectorSize),
        ("memory", Self::Memory),
        ("seeding", Self::Seeding),
        ("data-in-use", Self::DataInUse),
        ("system-database", Self::SystemDatabase),
        ("service", Self::Service),
    ];

    /// What the engine answers where it refuses the start; `None` where the process inside fails instead.
    /// The texts are those of `hcsshim` and HNS.
    #[must_use]
    pub fn refusal(self, id: &str) -> Option<String> {
        let endpoint = id.get(..12).unwrap_or(id);
        Some(match self {
            Self::OsMismatch => format!(
                "hcsshim::CreateComputeSystem {id}: The container operating system does not match the host operating system. (0xc0370101)"
            ),
            Self::PortInUse => format!(
                "failed to create endpoint {endpoint} on network nat: hnsCall failed in Win32: The process cannot access the file because it is being used by another process. (0x20)"
            ),
            Self::Network => format!(
                "failed to create endpoint {endpoint} on network nat: HNS failed with error : Unspecified error"
            ),
            _ => return None,
        })
    }

    /// What the container prints before it ends, and its exit code.
    #[must_use]
    pub fn last_words(self) -> (&'static [&'static str], u32) {
        match self {
            Self::SectorSize => (
                &[
                    "berth: ERROR engine did not become ready",
                    "Error: 5178, Severity: 16, State: 1.",
                    "Cannot use file 'C:\\data\\MSSQL\\DATA\\master.mdf' because it was originally formatted with sector size 4096 and is now on a volume with sector size 16384. Move the file to a volume with a sector size that is the same as or smaller than the original sector size.",
                ],
                67,
            ),
            Self::Memory => (
                &[
                    "berth: ERROR engine did not become ready",
                    "Error: 701, Severity: 17, State: 123.",
                    "There is insufficient system memory in resource pool 'internal' to run this query.",
                ],
                67,
            ),
            Self::Seeding => (&["berth: ERROR seeding failed (16)"], 65),
            Self::DataInUse => (
                &[
                    "berth: ERROR engine did not become ready",
                    "Error: 17204, Severity: 16, State: 1.",
                    "FCB::Open failed: Could not open file C:\\data\\MSSQL\\DATA\\master.mdf for file number 1.  OS error: 32(The process cannot access the file because it is being used by another process.).",
                ],
                67,
            ),
            Self::SystemDatabase => (
                &[
                    "berth: ERROR engine did not become ready",
                    "Error: 3417, Severity: 21, State: 3.",
                    "Cannot recover the master database. SQL Server is unable to run. Restore master from a full backup, repair it, or rebuild it.",
                ],
                67,
            ),
            Self::Service => (&["berth: ERROR service stopped unexpectedly"], 70),
            Self::OsMismatch | Self::PortInUse | Self::Network => (&[], 128),
        }
    }
}

/// What there is, as a hint says it.
const KNOWN: &str = "There are `slow-start=SECONDS`, `slow-login=SECONDS`, `slow-databases=SECONDS`, `start-fails=CAUSE`, `refuse-login`, `refuse-sql-login`, `engine-dies=N`, `engine-hangs=N`, `drop-at=BYTES`, `drop-step=N`, `cut-once=N`, `drops=SEED`, `disk-full=BYTES`, `clock-skew=SECONDS`, `latency=MS`, `bandwidth=BYTES`, `wrong-host-key`, `expired-certificate`, `never-back`, `feature-fails`, `wrong-signature`, `build-fails=download|hash|setup`, `slow-build=SECONDS`, `no-network` and `default-shell=powershell`";

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let number = |unit: &str| {
            value.and_then(|v| v.parse::<u64>().ok()).ok_or_else(|| {
                Error::usage(format!("The fault `{name}` needs a number of {unit}"))
                    .hint(format!("Write it as `{name}=10`"))
            })
        };
        let seconds = || number("seconds").map(Duration::from_secs);
        let plain = |fault| match value {
            None => Ok(fault),
            Some(_) => Err(Error::usage(format!("The fault `{name}` takes no value"))),
        };
        match name {
            "slow-start" => Ok(Self::SlowStart(seconds()?)),
            "slow-login" => Ok(Self::SlowLogin(seconds()?)),
            "slow-databases" => Ok(Self::SlowDatabases(seconds()?)),
            "start-fails" => Cause::ALL
                .iter()
                .find(|(cause, _)| Some(*cause) == value)
                .map(|(_, cause)| Self::StartFails(*cause))
                .ok_or_else(|| {
                    let all: Vec<_> = Cause::ALL.iter().map(|(c, _)| format!("`{c}`")).collect();
                    Error::usage("The fault `start-fails` needs a cause")
                        .hint(format!("There are {}", all.join(", ")))
                }),
            "refuse-login" => plain(Self::RefuseLogin),
            "refuse-sql-login" => plain(Self::RefuseSqlLogin),
            "engine-dies" if value.is_none() => Ok(Self::EngineDies(0)),
            "engine-dies" => Ok(Self::EngineDies(number("requests")?)),
            "engine-hangs" if value.is_none() => Ok(Self::EngineHangs(0)),
            "engine-hangs" => Ok(Self::EngineHangs(number("requests")?)),
            "drop-at" => Ok(Self::DropAt(number("bytes")?)),
            "drop-step" => Ok(Self::DropStep(number("channels")?)),
            "cut-once" => Ok(Self::CutOnce(number("a place")?)),
            "drops" => Ok(Self::Drops(number("a seed")?)),
            "disk-full" if value.is_none() => Ok(Self::DiskFull(0)),
            "disk-full" => Ok(Self::DiskFull(number("bytes")?)),
            "clock-skew" => value
                .and_then(|v| v.parse().ok())
                .map(Self::ClockSkew)
                .ok_or_else(|| {
                    Error::usage("The fault `clock-skew` needs a number of seconds")
                        .hint("Write it as `clock-skew=-300`")
                }),
            "latency" => Ok(Self::Latency(Duration::from_millis(number(
                "milliseconds",
            )?))),
            "bandwidth" => match number("bytes a second")? {
                0 => Err(Error::usage(
                    "The fault `bandwidth` needs more than no bytes a second",
                )),
                n => Ok(Self::Bandwidth(n)),
            },
            "wrong-host-key" => plain(Self::WrongHostKey),
            "expired-certificate" => plain(Self::ExpiredCertificate),
            "never-back" => plain(Self::NeverBack),
            "feature-fails" => plain(Self::FeatureFails),
            "wrong-signature" => plain(Self::WrongSignature),
            "build-fails" => match value {
                Some("download") => Ok(Self::BuildFails(BuildCause::Download)),
                Some("hash") => Ok(Self::BuildFails(BuildCause::Hash)),
                Some("setup") => Ok(Self::BuildFails(BuildCause::Setup)),
                _ => Err(Error::usage("The fault `build-fails` needs a cause")
                    .hint("There are `download`, `hash` and `setup`")),
            },
            "slow-build" => Ok(Self::SlowBuild(seconds()?)),
            "no-network" => plain(Self::NoNetwork),
            "default-shell" => match value {
                Some("powershell") => Ok(Self::PowerShell),
                _ => Err(Error::usage("The fault `default-shell` takes `powershell`")
                    .hint("Without it the shell is cmd")),
            },
            _ => Err(Error::usage(format!(
                "The practice host has no fault `{}`",
                name.escape_debug()
            ))
            .hint(KNOWN)),
        }
    }
}

/// Reads faults as a file has them: one a line, with remarks.
///
/// # Errors
/// A line names none.
pub fn read(text: &str) -> Result<Vec<Fault>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::parse)
        .collect()
}

/// The faults that the file in the machine's folder asks for. Blocking.
pub(super) fn of_folder(dir: &Path) -> Result<Vec<Fault>> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => read(&text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(
            Error::failed(format!("The file `{}` cannot be read", path.display()))
                .because(e.to_string()),
        ),
    }
}

/// The faults of one machine, and how far they have come.
#[derive(Debug, Default)]
pub struct Faults {
    asked: RwLock<Vec<Fault>>,
    engine_calls: AtomicU64,
    written: AtomicU64,
    connections: AtomicU64,
    passages: AtomicU64,
    cuts: watch::Sender<u64>,
}

/// The machine's clock, which is wrong where that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Faults>);

impl Clock {
    /// The clock of the machine with these faults.
    pub fn of(faults: &Arc<Faults>) -> Self {
        Self(Arc::clone(faults))
    }

    /// What it says.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        chrono::Duration::try_seconds(self.0.clock_skew())
            .and_then(|skew| now.checked_add_signed(skew))
            .unwrap_or(now)
    }
}

/// A number that follows from a seed and a place in a row (SplitMix64).
fn follows(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Faults {
    /// These and no others.
    pub fn new(asked: Vec<Fault>) -> Self {
        Self {
            asked: RwLock::new(asked),
            ..Self::default()
        }
    }

    /// From now on these and no others, each from its beginning.
    pub fn set(&self, asked: Vec<Fault>) {
        *self
            .asked
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = asked;
        for count in [
            &self.engine_calls,
            &self.written,
            &self.connections,
            &self.passages,
        ] {
            count.store(0, Ordering::SeqCst);
        }
    }

    /// The first value that a fault gives.
    fn find<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.asked
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
            .find_map(pick)
    }

    fn delay(&self, pick: impl Fn(&Fault) -> Option<Duration>) -> Duration {
        self.find(pick).unwrap_or_default()
    }

    /// Whether this plain fault was asked for.
    pub fn has(&self, fault: Fault) -> bool {
        self.find(|f| (*f == fault).then_some(())).is_some()
    }

    /// One more place where connections may be cut; true where they are cut now.
    pub fn passes(&self) -> bool {
        let place = self.passages.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = self.has(Fault::CutOnce(place));
        if cut {
            self.cuts.send_modify(|n| *n += 1);
        }
        cut
    }

    /// How many places there were where connections may be cut.
    pub fn passages(&self) -> u64 {
        self.passages.load(Ordering::SeqCst)
    }

    /// Told when all connections are cut.
    pub fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// Why builds fail.
    pub fn build_fails(&self) -> Option<BuildCause> {
        self.find(|f| match f {
            Fault::BuildFails(cause) => Some(*cause),
            _ => None,
        })
    }

    /// How long SQL Server's setup takes.
    pub fn build_delay(&self) -> Duration {
        self.delay(|f| match f {
            Fault::SlowBuild(t) => Some(*t),
            _ => None,
        })
    }

    /// How much longer SQL Server takes before it listens.
    pub fn start_delay(&self) -> Duration {
        self.delay(|f| {
            if let Fault::SlowStart(t) = f {
                Some(*t)
            } else {
                None
            }
        })
    }

    /// How long it listens and refuses every login.
    pub fn login_delay(&self) -> Duration {
        self.delay(|f| {
            if let Fault::SlowLogin(t) = f {
                Some(*t)
            } else {
                None
            }
        })
    }

    /// How long its databases take to recover after that.
    pub fn databases_delay(&self) -> Duration {
        self.delay(|f| {
            if let Fault::SlowDatabases(t) = f {
                Some(*t)
            } else {
                None
            }
        })
    }

    /// Why starts fail.
    pub fn start_fails(&self) -> Option<Cause> {
        self.find(|f| {
            if let Fault::StartFails(cause) = f {
                Some(*cause)
            } else {
                None
            }
        })
    }

    /// After how many bytes to the client the next SSH connection is cut. Each call is one connection.
    pub fn drop_at(&self) -> Option<u64> {
        let place = self.connections.fetch_add(1, Ordering::SeqCst);
        self.find(|f| match f {
            Fault::DropAt(n) => Some(*n),
            // From the middle of a handshake to a few answers of the engine.
            Fault::Drops(seed) => Some(500 + follows(*seed, place) % 40_000),
            _ => None,
        })
    }

    /// At which channel an SSH connection is cut, counted from 1.
    pub fn drop_step(&self) -> Option<u64> {
        self.find(|f| {
            if let Fault::DropStep(n) = f {
                Some(*n)
            } else {
                None
            }
        })
    }

    /// How much later the SSH door's bytes arrive.
    pub fn latency(&self) -> Duration {
        self.delay(|f| {
            if let Fault::Latency(t) = f {
                Some(*t)
            } else {
                None
            }
        })
    }

    /// The most bytes a second that the SSH door sends on a connection.
    pub fn bandwidth(&self) -> Option<u64> {
        self.find(|f| {
            if let Fault::Bandwidth(n) = f {
                Some(*n)
            } else {
                None
            }
        })
    }

    /// By how much the machine's clock is wrong, in seconds.
    pub fn clock_skew(&self) -> i64 {
        self.find(|f| {
            if let Fault::ClockSkew(n) = f {
                Some(*n)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// Whether so many more bytes fit on the disk; they count as written when they do.
    pub fn takes_room(&self, bytes: u64) -> bool {
        let Some(limit) = self.find(|f| {
            if let Fault::DiskFull(n) = f {
                Some(*n)
            } else {
                None
            }
        }) else {
            return true;
        };
        self.written
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                now.checked_add(bytes)
                    .filter(|then| *then <= limit && limit > 0)
            })
            .is_ok()
    }

    /// Whether anything more fits on the disk.
    pub fn has_room(&self) -> bool {
        self.find(|f| {
            if let Fault::DiskFull(n) = f {
                Some(*n)
            } else {
                None
            }
        })
        .is_none_or(|limit| self.written.load(Ordering::SeqCst) < limit)
    }

    /// Whether the engine is up; each call counts as a request when `counted`.
    pub fn engine_up(&self, counted: bool) -> bool {
        let before = if counted {
            self.engine_calls.fetch_add(1, Ordering::SeqCst)
        } else {
            self.engine_calls.load(Ordering::SeqCst)
        };
        self.find(|f| {
            if let Fault::EngineDies(n) = f {
                Some(*n)
            } else {
                None
            }
        })
        .is_none_or(|limit| before < limit)
    }

    /// Whether the request that was just counted stays without an answer.
    pub fn engine_hangs(&self) -> bool {
        let calls = self.engine_calls.load(Ordering::SeqCst);
        self.find(|f| {
            if let Fault::EngineHangs(n) = f {
                Some(*n)
            } else {
                None
            }
        })
        .is_some_and(|limit| calls > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        assert_eq!(
            "slow-start=3".parse(),
            Ok(Fault::SlowStart(Duration::from_secs(3)))
        );
        assert_eq!("engine-dies=2".parse(), Ok(Fault::EngineDies(2)));
        assert_eq!("disk-full".parse(), Ok(Fault::DiskFull(0)));
        assert_eq!("disk-full=1".parse(), Ok(Fault::DiskFull(1)));
        assert_eq!("clock-skew=-5".parse(), Ok(Fault::ClockSkew(-5)));
        assert_eq!(
            "start-fails=network".parse(),
            Ok(Fault::StartFails(Cause::Network))
        );
        for bad in [
            "drop-at",
            "drop-at=x",
            "refuse-login=1",
            "start-fails",
            "start-fails=x",
            "bandwidth=0",
            "flood",
            "",
        ] {
            assert!(
                bad.parse::<Fault>().is_err(),
                "`{bad}` must be refused, not quietly ignored"
            );
        }
        assert_eq!(
            read("# all\n\n drop-at=5 # here\nrefuse-login\n"),
            Ok(vec![Fault::DropAt(5), Fault::RefuseLogin])
        );
        assert!(read("refuse-login\nflood\n").is_err());
    }

    #[test]
    fn the_engine_answers_as_often_as_asked_and_then_never() {
        let faults = Faults::new(vec![Fault::EngineDies(2)]);
        assert!(faults.engine_up(false));
        assert!(faults.engine_up(true));
        assert!(faults.engine_up(true));
        assert!(
            !faults.engine_up(false),
            "a new connection must find nobody there"
        );
        assert!(!faults.engine_up(true));

        let faults = Faults::new(vec![Fault::EngineHangs(1)]);
        assert!(faults.engine_up(true) && !faults.engine_hangs());
        assert!(faults.engine_up(true) && faults.engine_hangs());
        faults.set(Vec::new());
        assert!(!faults.engine_hangs(), "what is taken back is over");
    }

    #[test]
    fn a_disk_is_full_at_the_byte_that_was_asked_for() {
        let faults = Faults::new(vec![Fault::DiskFull(10)]);
        assert!(faults.takes_room(8) && faults.has_room());
        assert!(
            !faults.takes_room(3),
            "what does not fit whole is not taken"
        );
        assert!(faults.takes_room(2));
        assert!(!faults.has_room());
        assert!(!Faults::new(vec![Fault::DiskFull(0)]).takes_room(0));
        assert!(Faults::default().takes_room(u64::MAX));
    }

    proptest! {
        #[test]
        fn one_seed_gives_one_row(seed in any::<u64>()) {
            let row = || {
                let faults = Faults::new(vec![Fault::Drops(seed)]);
                (0..5).map(|_| faults.drop_at()).collect::<Vec<_>>()
            };
            prop_assert_eq!(row(), row());
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = read(&text);
        }
    }
}
