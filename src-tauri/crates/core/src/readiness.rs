//! Readiness: a state machine fed by what was observed, never by a log line or a fixed sleep.
//!
//! `Created → Starting → Listening → LoginOk → DatabasesOnline → Ready | Failed(cause)`.
//! A real login and every system database ONLINE make an instance ready. Log lines are used
//! for one thing only: to name the cause once the container has ended.

use std::fmt;

/// How far an instance has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The container exists and was not started.
    Created,
    /// The container runs; nothing answers on its port yet.
    Starting,
    /// Something speaks TDS; no login yet.
    Listening,
    /// A login works; system databases are still coming up.
    LoginOk,
    /// Every system database is ONLINE.
    DatabasesOnline,
    /// And the engine said who it is.
    Ready,
    /// It will not become ready by waiting.
    Failed(Cause),
}

impl State {
    /// One word for people.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Listening => "listening",
            Self::LoginOk => "signing in",
            Self::DatabasesOnline => "databases online",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Created => 0,
            Self::Starting => 1,
            Self::Listening => 2,
            Self::LoginOk => 3,
            Self::DatabasesOnline => 4,
            Self::Ready | Self::Failed(_) => 5,
        }
    }

    /// Whether waiting longer changes nothing.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ready | Self::Failed(_))
    }

    /// Takes one observation. Progress is never taken back by a single bad probe, except that a
    /// container that ended has failed, whatever was seen before.
    #[must_use]
    pub fn step(self, seen: &Observation) -> Self {
        if self.is_final() {
            return self;
        }
        let next = match seen {
            Observation::Running => Self::Starting,
            Observation::Ended {
                exit_code,
                out_of_memory,
                log,
            } => {
                return Self::Failed(Cause::of_exit(*exit_code, *out_of_memory, log));
            }
            Observation::NotListening => return self,
            Observation::NotYet { .. } => Self::Listening,
            Observation::LoginRefused { number, state } => {
                return Self::Failed(Cause::LoginRefused {
                    number: *number,
                    state: *state,
                });
            }
            Observation::LoggedIn { databases } => {
                if let Some(broken) = databases.iter().find(|d| d.is_broken()) {
                    return Self::Failed(Cause::Database {
                        name: broken.name.clone(),
                        state: broken.state.clone(),
                    });
                }
                let all = ["master", "tempdb", "model", "msdb"]
                    .iter()
                    .all(|name| databases.iter().any(|d| d.name == *name && d.is_online()));
                if all {
                    Self::DatabasesOnline
                } else {
                    Self::LoginOk
                }
            }
            Observation::Identified => {
                if self == Self::DatabasesOnline {
                    Self::Ready
                } else {
                    return self;
                }
            }
            Observation::TimeIsUp { seconds } => {
                return Self::Failed(Cause::NotInTime {
                    seconds: *seconds,
                    at: self.word(),
                });
            }
        };
        if next.rank() >= self.rank() {
            next
        } else {
            self
        }
    }
}

/// A database as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseState {
    /// Its name.
    pub name: String,
    /// `sys.databases.state_desc`: `ONLINE`, `RECOVERING`, `SUSPECT`, …
    pub state: String,
}

impl DatabaseState {
    fn is_online(&self) -> bool {
        self.state.eq_ignore_ascii_case("ONLINE")
    }

    /// Only system databases decide: a user's broken database must not keep the engine from being used.
    fn is_broken(&self) -> bool {
        ["master", "tempdb", "model", "msdb"].contains(&self.name.as_str())
            && ["SUSPECT", "EMERGENCY", "OFFLINE", "RECOVERY_PENDING"]
                .iter()
                .any(|s| self.state.eq_ignore_ascii_case(s))
    }
}

/// What one look at the instance showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The engine says that the container runs.
    Running,
    /// The engine says that the container does not run any more.
    Ended {
        /// As the engine reports it.
        exit_code: i64,
        /// The kernel ended it for its memory.
        out_of_memory: bool,
        /// The last lines of its log, oldest first.
        log: Vec<String>,
    },
    /// Nothing answers on the port.
    NotListening,
    /// TDS answers, and says that it is not ready yet.
    NotYet {
        /// The error's number: 18401, 4060, 921, …
        number: u32,
    },
    /// The login was refused in a way that waiting does not mend.
    LoginRefused {
        /// 18456 as a rule.
        number: u32,
        /// The error's state.
        state: u8,
    },
    /// A login worked.
    LoggedIn {
        /// All that the engine lists.
        databases: Vec<DatabaseState>,
    },
    /// The engine said its version and edition.
    Identified,
    /// The limit has passed.
    TimeIsUp {
        /// The limit.
        seconds: u64,
    },
}

/// Why an instance did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The licence was not accepted.
    Eula,
    /// The password does not meet the policy.
    PasswordPolicy,
    /// The kernel, or SQL Server itself, ran out of memory.
    OutOfMemory,
    /// The data was written by a newer version, or by another major version.
    NewerData {
        /// The line that says so.
        line: String,
    },
    /// No space left.
    DiskFull,
    /// The data folder cannot be written.
    DataNotWritable,
    /// Another SQL Server has the data open.
    DataInUse,
    /// The host's disk has sectors that SQL Server cannot work with (5177, 5178, 5179).
    SectorSize,
    /// The image is made for another processor.
    Processor,
    /// The data could not be put in place before the first start.
    Seeding,
    /// A system database cannot be read.
    Corrupt {
        /// The line that says so.
        line: String,
    },
    /// The login was refused.
    LoginRefused {
        /// 18456 as a rule.
        number: u32,
        /// The error's state.
        state: u8,
    },
    /// A system database is broken.
    Database {
        /// Which.
        name: String,
        /// As the engine says.
        state: String,
    },
    /// It ended for a reason that is not in the list.
    Exited {
        /// As the engine reports it.
        code: i64,
        /// The line of its log that matters most.
        line: Option<String>,
    },
    /// It is still not ready.
    NotInTime {
        /// The limit.
        seconds: u64,
        /// How far it had come.
        at: &'static str,
    },
}

impl Cause {
    /// Finds the cause in an exit code and the end of a log.
    ///
    /// 64 to 67 and 70 are the protocol of Berth's Windows image; the texts are those of the official Linux image.
    #[must_use]
    pub fn of_exit(code: i64, out_of_memory: bool, log: &[String]) -> Self {
        let find = |words: &[&str]| {
            log.iter().rev().find(|line| {
                let line = line.to_ascii_lowercase();
                words.iter().any(|w| line.contains(w))
            })
        };
        if out_of_memory
            || find(&[
                "requires a machine with at least",
                "insufficient memory",
                "insufficient system memory",
                "there is not enough memory",
            ])
            .is_some()
        {
            return Self::OutOfMemory;
        }
        if code == 64
            || find(&[
                "accept the end-user license",
                "eula not accepted",
                "accept_eula",
            ])
            .is_some()
        {
            return Self::Eula;
        }
        if find(&[
            "password validation failed",
            "password does not meet",
            "password policy",
        ])
        .is_some()
        {
            return Self::PasswordPolicy;
        }
        if let Some(line) = find(&[
            "cannot be opened because it is version",
            "this server supports version",
            "belongs to sql major",
            "used by newer build",
        ]) {
            return Self::NewerData {
                line: line.trim().to_owned(),
            };
        }
        if code == 66 {
            return Self::NewerData {
                line: String::new(),
            };
        }
        if find(&[
            "there is not enough space on the disk",
            "no space left on device",
        ])
        .is_some()
        {
            return Self::DiskFull;
        }
        if find(&[
            "operating system error 32",
            "being used by another process",
            "already in use by another instance",
        ])
        .is_some()
        {
            return Self::DataInUse;
        }
        if find(&[
            "error: 5177",
            "error: 5178",
            "error: 5179",
            "checking the sector size",
            "0x851a0019",
            "0x851a001a",
            "misaligned log io",
        ])
        .is_some()
        {
            return Self::SectorSize;
        }
        if find(&["exec format error", "image's platform"]).is_some() {
            return Self::Processor;
        }
        if code == 65 || find(&["seeding failed"]).is_some() {
            return Self::Seeding;
        }
        if let Some(line) = find(&[
            "cannot recover the master database",
            "error: 3417",
            "error: 824,",
            "error: 9003,",
            "is corrupt",
            "torn page",
        ]) {
            return Self::Corrupt {
                line: line.trim().to_owned(),
            };
        }
        if find(&[
            "access is denied",
            "permission denied",
            "operating system error 5(",
        ])
        .is_some()
        {
            return Self::DataNotWritable;
        }
        Self::Exited {
            code,
            line: told(log),
        }
    }

    /// A stable name, for programs that show causes in their own way.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Eula => "eula",
            Self::PasswordPolicy => "password_policy",
            Self::OutOfMemory => "memory",
            Self::NewerData { .. } => "newer_data",
            Self::DiskFull => "disk_full",
            Self::DataNotWritable => "data_not_writable",
            Self::DataInUse => "data_in_use",
            Self::SectorSize => "sector_size",
            Self::Processor => "processor",
            Self::Seeding => "seeding",
            Self::Corrupt { .. } => "corrupt",
            Self::LoginRefused { .. } => "login_refused",
            Self::Database { .. } => "system_database",
            Self::Exited { .. } => "exited",
            Self::NotInTime { .. } => "not_in_time",
        }
    }

    /// What a window can offer to do about it, by a stable name; `None` where only people can help.
    #[must_use]
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::Eula => Some("accept_eula"),
            Self::OutOfMemory => Some("set_memory"),
            Self::NewerData { .. } => Some("choose_version"),
            Self::LoginRefused { .. } => Some("reset_password"),
            Self::Processor => Some("choose_image"),
            Self::DiskFull => Some("list_data"),
            Self::NotInTime { .. } => Some("wait_longer"),
            Self::DataInUse
            | Self::Exited { .. }
            | Self::Database { .. }
            | Self::Corrupt { .. } => Some("show_logs"),
            Self::PasswordPolicy | Self::DataNotWritable | Self::SectorSize | Self::Seeding => None,
        }
    }

    /// What helps, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Eula => "Read the licence terms and run it again with `--accept-eula`".into(),
            Self::PasswordPolicy => "Take 8 to 128 characters with three of: upper case, lower case, digits, symbols".into(),
            Self::OutOfMemory => "Give it more with `--memory 4g`, or stop another instance on that host".into(),
            Self::NewerData { .. } => "Use the version that wrote the data, or another name for a new instance".into(),
            Self::DiskFull => "Free some space on the host and run it again; `berth data list` shows data that no instance uses".into(),
            Self::DataNotWritable => "The data folder must be writable for SQL Server's own user (10001 on Linux)".into(),
            Self::DataInUse => "Stop the other container that mounts the same data; `docker ps` on the host shows it".into(),
            Self::SectorSize => "On the host set the registry value `ForcedPhysicalSectorSizeInBytes` to `* 4095` (Microsoft describes it for 4 KB sectors) and restart it".into(),
            Self::Processor => "Take an image for the host's processor; SQL Server's images are for x86-64 only".into(),
            Self::Seeding => "Look at the space on the host and at `berth logs`, then remove the instance and make it again".into(),
            Self::Corrupt { .. } => "Its files are damaged: restore a backup into a new instance; `berth logs` shows what SQL Server says".into(),
            Self::LoginRefused { .. } => "The data has another password than this machine knows: `berth reset-password` makes a new one. Where the password is in a file, `berth remove NAME --data keep` and `berth up NAME --password-file` with the right one".into(),
            Self::Database { .. } => "`berth logs` shows what SQL Server says about it".into(),
            Self::Exited { .. } => "`berth logs` shows the whole log".into(),
            Self::NotInTime { .. } => "Give it longer with `--timeout 10m`, or look at `berth logs`".into(),
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eula => f.write_str("the licence terms were not accepted"),
            Self::PasswordPolicy => f.write_str("SQL Server's policy refused the password"),
            Self::OutOfMemory => f.write_str("it ran out of memory"),
            Self::NewerData { line } if line.is_empty() => {
                f.write_str("its data was written by another version")
            }
            Self::NewerData { line } => {
                write!(f, "its data was written by another version: {line}")
            }
            Self::DiskFull => f.write_str("the host's disk is full"),
            Self::DataNotWritable => f.write_str("SQL Server may not write to its data folder"),
            Self::DataInUse => f.write_str("another SQL Server has its data open"),
            Self::SectorSize => {
                f.write_str("the host's disk has sectors that SQL Server cannot work with")
            }
            Self::Processor => f.write_str("its image is made for another processor"),
            Self::Seeding => f.write_str("its data could not be put in place"),
            Self::Corrupt { line } => write!(f, "a system database is damaged: {line}"),
            Self::LoginRefused { number, state } => write!(
                f,
                "SQL Server refused the login (error {number}, state {state})"
            ),
            Self::Database { name, state } => write!(f, "the system database `{name}` is {state}"),
            Self::Exited { code, line: None } => write!(f, "it ended with code {}", Exit(*code)),
            Self::Exited {
                code,
                line: Some(line),
            } => write!(f, "it ended with code {}: {line}", Exit(*code)),
            Self::NotInTime { seconds, at } => write!(f, "it was still {at} after {seconds} s"),
        }
    }
}

/// The line that matters most of a log: the first error of SQL Server's own that is grave, with the sentence that follows it,
/// else the last line that sounds like one.
fn told(log: &[String]) -> Option<String> {
    let grave = log
        .iter()
        .position(|line| crate::errorlog::severity(line).is_some_and(|severity| severity >= 16));
    if let Some(at) = grave {
        let line = log.get(at)?.trim();
        let sentence = log.get(at + 1).map(|next| {
            // 2026-11-22 17:00:00.12 Server      The sentence.
            let words = next.trim();
            words
                .get(22..)
                .filter(|_| words.starts_with("20"))
                .map_or(words, |rest| {
                    rest.trim_start()
                        .split_once(' ')
                        .map_or(rest, |(_, sentence)| sentence.trim())
                })
        });
        return Some(match sentence.filter(|s| !s.is_empty()) {
            Some(sentence) => format!("{line} {sentence}"),
            None => line.to_owned(),
        });
    }
    let words = ["error", "fatal", "failed", "cannot", "unable"];
    log.iter()
        .rev()
        .find(|line| {
            let line = line.to_ascii_lowercase();
            words.iter().any(|w| line.contains(w))
        })
        .or_else(|| log.iter().rev().find(|l| !l.trim().is_empty()))
        .map(|l| l.trim().to_owned())
}

/// Windows exit codes are 32-bit and only recognised in hexadecimal.
struct Exit(i64);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 255 {
            write!(f, "0x{:08X}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Whether a login error means "not ready yet": script upgrade (18401), the database not yet up
/// (4060, 921, 922, 927), starting or paused (17187, 17142), and 18456 where the server says by its
/// state that it is still starting (38 and 4060's likeness are not told to clients, so 18456 itself is final).
#[must_use]
pub fn means_wait(number: u32) -> bool {
    matches!(
        number,
        18401 | 4060 | 4064 | 921 | 922 | 927 | 17187 | 17142 | 18451
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn databases(state: &str) -> Observation {
        Observation::LoggedIn {
            databases: ["master", "tempdb", "model", "msdb"]
                .iter()
                .map(|n| DatabaseState {
                    name: (*n).into(),
                    state: state.into(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_normal_start_ends_ready() {
        let mut state = State::Created;
        for seen in [
            Observation::Running,
            Observation::NotListening,
            Observation::NotYet { number: 18401 },
            databases("RECOVERING"),
            databases("ONLINE"),
            Observation::Identified,
        ] {
            state = state.step(&seen);
        }
        assert_eq!(state, State::Ready);
    }

    #[test]
    fn a_login_alone_is_not_ready() {
        let state = State::Starting.step(&databases("RECOVERING"));
        assert_eq!(
            state.clone().step(&Observation::Identified),
            State::LoginOk,
            "databases decide"
        );
        let suspect = state.step(&databases("SUSPECT"));
        assert!(matches!(suspect, State::Failed(Cause::Database { .. })));
    }

    #[test]
    fn the_cause_is_named_and_not_the_symptom() {
        let of = |code, oom, lines: &[&str]| {
            Cause::of_exit(
                code,
                oom,
                &lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(of(137, true, &[]), Cause::OutOfMemory);
        assert_eq!(
            of(
                1,
                false,
                &[
                    "sqlservr: This program requires a machine with at least 2000 megabytes of memory."
                ]
            ),
            Cause::OutOfMemory
        );
        assert_eq!(
            of(
                1,
                false,
                &["The SQL Server End-User License Agreement (EULA) must be accepted… ACCEPT_EULA"]
            ),
            Cause::Eula
        );
        assert_eq!(
            of(
                1,
                false,
                &[
                    "ERROR: Unable to set system administrator password: Password validation failed."
                ]
            ),
            Cause::PasswordPolicy
        );
        assert!(matches!(
            of(
                1,
                false,
                &[
                    "The database 'master' cannot be opened because it is version 957. This server supports version 904 and earlier."
                ]
            ),
            Cause::NewerData { .. }
        ));
        assert_eq!(of(64, false, &[]), Cause::Eula);
        for (code, line, id) in [
            (1, "There is not enough space on the disk", "disk_full"),
            (
                1,
                "open /var/opt/mssql: no space left on device",
                "disk_full",
            ),
            (
                1,
                "/opt/mssql/bin/sqlservr: Error: Permission denied",
                "data_not_writable",
            ),
            (
                1,
                "FCB::Open failed: operating system error 32(being used)",
                "data_in_use",
            ),
            (67, "Error: 5178, Severity: 16, State: 1.", "sector_size"),
            (
                255,
                "exec /opt/mssql/bin/sqlservr: exec format error",
                "processor",
            ),
            (65, "ERROR seeding failed (16)", "seeding"),
            (66, "", "newer_data"),
            (
                1,
                "Cannot recover the master database. SQL Server is unable to run.",
                "corrupt",
            ),
            (70, "ERROR service stopped unexpectedly", "exited"),
        ] {
            let cause = of(code, false, &[line]);
            assert_eq!(cause.id(), id, "{line}");
            assert!(
                cause.hint().is_some(),
                "{id}: whoever reads it must know what to do"
            );
        }
        let grave = of(
            1,
            false,
            &[
                "2026-11-22 17:00:00.12 Server      Error: 17113, Severity: 16, State: 1.",
                "2026-11-22 17:00:00.12 Server      Error 3 occurred while opening file 'master.mdf'.",
                "2026-11-22 17:00:00.13 Server      SQL Server shutdown has been initiated; cannot go on",
            ],
        );
        assert!(
            grave
                .to_string()
                .ends_with("State: 1. Error 3 occurred while opening file 'master.mdf'."),
            "the first grave error says why, the last line only that: {grave}"
        );
        let other = of(3_221_225_786, false, &["fine", "Error: 5123", ""]);
        assert_eq!(
            other.to_string(),
            "it ended with code 0xC000013A: Error: 5123"
        );
    }

    fn any_observation() -> impl Strategy<Value = Observation> {
        prop_oneof![
            Just(Observation::Running),
            Just(Observation::NotListening),
            any::<u32>().prop_map(|number| Observation::NotYet { number }),
            Just(databases("ONLINE")),
            Just(databases("RECOVERING")),
            Just(Observation::Identified),
            any::<i64>().prop_map(|exit_code| Observation::Ended {
                exit_code,
                out_of_memory: false,
                log: vec![]
            }),
            Just(Observation::TimeIsUp { seconds: 1 }),
        ]
    }

    proptest! {
        #[test]
        fn ready_needs_databases_and_identity(seen in proptest::collection::vec(any_observation(), 0..30)) {
            let mut state = State::Created;
            let (mut online, mut ready_was_right) = (false, true);
            for s in &seen {
                let before = state.clone();
                state = state.step(s);
                prop_assert!(state.rank() >= before.rank(), "progress is never taken back");
                if before.is_final() { prop_assert_eq!(&state, &before, "a final state stays"); }
                online |= *s == databases("ONLINE");
                if state == State::Ready && before != State::Ready { ready_was_right &= online && *s == Observation::Identified; }
            }
            prop_assert!(ready_was_right, "never ready without a login, its databases and its identity");
        }
    }
}
