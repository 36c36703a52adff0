//! What can be wrong with a host: a list with stable names, and the rules that find each from what was seen.

use std::{collections::BTreeMap, fmt};

use crate::size;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Something works less well than it could.
    Note,
    /// Something will not work, or will stop working.
    Warning,
    /// The host cannot be used as it is.
    Error,
}

impl Weight {
    /// `note`, `warning`, `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $id:ident $name:literal $weight:ident;)*) => {
        /// What is wrong. The names are stable: scripts read them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Id { $($(#[doc = $doc])* $id,)* }

        impl Id {
            /// Every id.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// How much it matters.
            #[must_use]
            pub fn weight(self) -> Weight {
                match self { $(Self::$id => Weight::$weight,)* }
            }
        }
    };
}

ids! {
    /// The machine does not answer.
    Unreachable "unreachable" Error;
    /// It lets us not in.
    SignInRefused "sign_in_refused" Error;
    /// It shows another key than the recorded one, or one that nobody trusted yet.
    HostKey "host_key" Error;
    /// Something for signing in is missing here: a passphrase, a keychain.
    CredentialsMissing "credentials_missing" Error;
    /// TLS: a certificate, a name, a date, a version.
    Tls "tls" Error;
    /// There is no engine on the machine.
    EngineMissing "engine_missing" Error;
    /// It is installed and does not run.
    EngineStopped "engine_stopped" Error;
    /// It runs and this user may not use it.
    EngineDenied "engine_denied" Error;
    /// It runs and gives no answer.
    EngineSilent "engine_silent" Error;
    /// Its API is older than what Berth speaks.
    EngineTooOld "engine_too_old" Error;
    /// What answers is no engine, or none that Berth can use.
    NoEngine "no_engine" Error;
    /// A Windows machine whose engine runs Linux containers.
    WrongContainers "wrong_containers" Error;
    /// The SSH server forwards no TCP: instances cannot be reached.
    TcpForwardingOff "tcp_forwarding_off" Error;
    /// The SSH server forwards no sockets: the engine is reached by a process for each connection.
    SocketForwardingOff "socket_forwarding_off" Warning;
    /// Nothing more can be written where the engine keeps its data.
    DiskFull "disk_full" Error;
    /// Little is left there.
    DiskLow "disk_low" Warning;
    /// Too little memory for a SQL Server.
    MemoryTooLittle "memory_too_little" Error;
    /// Enough for one.
    MemoryLow "memory_low" Warning;
    /// The processor is not one that SQL Server runs on.
    Processor "processor" Warning;
    /// The host's clock is off.
    ClockSkew "clock_skew" Warning;
    /// A certificate ends soon.
    CertificateEnds "certificate_ends" Warning;
    /// The engine cannot limit a container's memory.
    NoMemoryLimit "no_memory_limit" Warning;
    /// A container sees only a part of what it is isolated from: something that the engine warns of.
    EngineWarning "engine_warning" Note;
    /// Control groups of the first version.
    CgroupV1 "cgroup_v1" Note;
    /// The way to the engine is a slow one.
    SlowRoute "slow_route" Note;
    /// A call takes long.
    SlowLink "slow_link" Note;
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub id: Id,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Finding {
    /// One finding.
    pub fn new(id: Id, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// What is asked of a Linux host's shell, as lines of `name=value`: facts that no engine tells, and all that there is
/// where no engine answers. `$1` would be the engine's socket and `$2` its data folder; they are written in by [`linux_probe`].
const PROBE: &str = r#"LC_ALL=C; export LC_ALL; s='SOCKET'; d='DATA'
echo "berth=1"
echo "user=$(id -un)"; echo "groups=$(id -Gn)"
echo "kernel=$(uname -sr)"; echo "arch=$(uname -m)"
echo "clock=$(date +%s)"
docker=$(command -v dockerd || command -v docker || ls /usr/bin/dockerd /usr/sbin/dockerd /usr/local/bin/dockerd /snap/bin/docker 2>/dev/null | head -n 1); echo "docker=$docker"
if [ -S "$s" ]; then if [ -r "$s" ] && [ -w "$s" ]; then echo "socket=open"; else echo "socket=denied"; fi; echo "socket_group=$(stat -c %G "$s" 2>/dev/null)"; elif [ -e "$s" ]; then echo "socket=other"; else echo "socket=missing"; fi
if [ -n "$(pidof dockerd 2>/dev/null || pgrep -x dockerd 2>/dev/null)" ]; then echo "engine=running"; else echo "engine=stopped"; fi
echo "service=$(systemctl is-active docker 2>/dev/null)"
[ -d "$d" ] || d=/var/lib/docker; [ -d "$d" ] || d=/var/lib; [ -d "$d" ] || d=/
df -Pk "$d" 2>/dev/null | awk 'NR==2{print "disk_total="$2; print "disk_free="$4; print "disk_mount="$6}'
df -Pi "$d" 2>/dev/null | awk 'NR==2{print "inodes_free="$4}'
awk '/^MemTotal:/{print "memory="$2} /^MemAvailable:/{print "memory_free="$2}' /proc/meminfo 2>/dev/null
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo "cgroup=2"; elif [ -d /sys/fs/cgroup/memory ]; then echo "cgroup=1"; fi
echo "end=1""#;

/// The command that asks a Linux host. `socket` is the engine's, `data` its data folder, empty where no engine told it: then its
/// usual one is looked at.
#[must_use]
pub fn linux_probe(socket: &str, data: &str) -> String {
    // Whatever the user's own shell is: sh reads this.
    let script = PROBE
        .replace("SOCKET", &socket.replace('\'', r"'\''"))
        .replace("DATA", &data.replace('\'', r"'\''"));
    format!("exec /bin/sh -c '{}'", script.replace('\'', r"'\''"))
}

/// What a Linux host said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linux(BTreeMap<String, String>);

impl Linux {
    /// Reads the answer; `None` where it is none. Lines that login scripts added are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = BTreeMap::new();
        let mut begun = false;
        for line in text.lines() {
            begun |= line == "berth=1";
            if begun && let Some((name, value)) = line.split_once('=') {
                all.insert(name.to_owned(), value.trim().to_owned());
            }
        }
        all.contains_key("end").then_some(Self(all))
    }

    /// A text that is there and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Bytes of something that was told in KiB.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.number(name)?.checked_mul(1024)
    }

    /// Why no engine answers, as an administrator who looks at the machine would say; `None` where it should answer.
    #[must_use]
    pub fn why_no_engine(&self, socket: &str) -> Option<Finding> {
        let full = self.disk();
        let running = self.text("engine") == Some("running");
        match self.text("socket") {
            Some("denied") if running => {
                let user = self.text("user").unwrap_or("this user");
                let group = self.text("socket_group").unwrap_or("docker");
                Some(Finding::new(
                    Id::EngineDenied,
                    format!(
                        "`{user}` may not use the engine: its socket `{socket}` is for `root` and the group `{group}`"
                    ),
                    format!(
                        "On the host: `sudo usermod -aG {group} {user}`, then sign in anew. Members of that group are as powerful as root there"
                    ),
                ))
            }
            Some("open") if running => None,
            _ if self.text("docker").is_none() && !running => Some(Finding::new(
                Id::EngineMissing,
                "No container engine is installed there",
                "Install Docker Engine on the host: <https://docs.docker.com/engine/install/>",
            )),
            _ if !running => Some(match full {
                Some(full) if full.id == Id::DiskFull => Finding::new(
                    Id::DiskFull,
                    format!("The engine does not run, and {}", lower(&full.message)),
                    format!("{}, then `sudo systemctl start docker`", full.hint),
                ),
                _ => Finding::new(
                    Id::EngineStopped,
                    match self.text("service") {
                        Some("failed") => "The engine's service failed to start",
                        _ => "The engine is installed and does not run",
                    },
                    "On the host: `sudo systemctl start docker`; why it ended says `journalctl -u docker -n 50`",
                ),
            }),
            _ => Some(Finding::new(
                Id::EngineStopped,
                format!("The engine runs, but not with the socket `{socket}`"),
                "Name its socket in the address: `ssh://user@host/path/to/docker.sock`",
            )),
        }
    }

    /// What is wrong with the space where the engine keeps its data.
    #[must_use]
    pub fn disk(&self) -> Option<Finding> {
        let mount = self.text("disk_mount").unwrap_or("/");
        if self.number("inodes_free") == Some(0) {
            return Some(Finding::new(
                Id::DiskFull,
                format!("`{mount}` has no room for another file: its inodes are used up"),
                "Remove small files there, or what the engine no longer needs: `docker system prune`",
            ));
        }
        disk(mount, self.bytes("disk_free")?, self.bytes("disk_total")?)
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Below this nothing can be made any more.
const FULL: u64 = 64 << 20;
/// One SQL Server image and some data.
const LOW: u64 = 8 << 30;

/// What is wrong with a disk that has so many bytes free of so many.
#[must_use]
pub fn disk(name: &str, free: u64, total: u64) -> Option<Finding> {
    if free < FULL {
        Some(Finding::new(
            Id::DiskFull,
            format!("`{name}` is full: {} are free", size::format(free)),
            "Make room there; what the engine no longer needs goes with `docker system prune`",
        ))
    } else if free < LOW && total > LOW {
        Some(Finding::new(
            Id::DiskLow,
            format!("Only {} are free on `{name}`", size::format(free)),
            "An image of SQL Server takes some 2 GiB on Linux and 6 GiB on Windows, each instance more; `docker system prune` removes what the engine no longer needs",
        ))
    } else {
        None
    }
}

/// What is wrong with so much memory, in bytes.
#[must_use]
pub fn memory(bytes: u64) -> Option<Finding> {
    // A machine of 2 GB tells a little less: the kernel keeps some for itself.
    const NEEDED: u64 = 1_900 << 20;
    if bytes < NEEDED {
        Some(Finding::new(
            Id::MemoryTooLittle,
            format!(
                "{} of memory is too little: SQL Server does not start below 2 GB",
                size::format(bytes)
            ),
            "Give the machine 4 GiB or more",
        ))
    } else if bytes < 4 * (1_900 << 19) {
        Some(Finding::new(
            Id::MemoryLow,
            format!(
                "{} of memory is little: each SQL Server wants 2 GiB",
                size::format(bytes)
            ),
            "Run one instance at a time there",
        ))
    } else {
        None
    }
}

/// What is wrong with a clock that is so many seconds ahead of ours (or behind, below 0). `exact` is what is not told by
/// the measuring itself.
#[must_use]
pub fn clock(ahead: i64, exact: u64) -> Option<Finding> {
    const BEARABLE: u64 = 30;
    let off = ahead.unsigned_abs();
    (off > BEARABLE.max(exact)).then(|| {
        let which = if ahead > 0 { "ahead of" } else { "behind" };
        Finding::new(
            Id::ClockSkew,
            format!("The host's clock is {} {which} this machine's", span(off)),
            "Let both take their time from the network (on Linux `timedatectl set-ntp true`, on Windows `w32tm /resync`): certificates, leases and logs go by it",
        )
    })
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn linux(changes: &[(&str, &str)]) -> Linux {
        let mut all: BTreeMap<String, String> = [
            ("berth", "1"),
            ("user", "ada"),
            ("groups", "ada"),
            ("docker", "/usr/bin/dockerd"),
            ("socket", "open"),
            ("socket_group", "docker"),
            ("engine", "running"),
            ("disk_total", "100000000"),
            ("disk_free", "50000000"),
            ("disk_mount", "/"),
            ("end", "1"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        for (name, value) in changes {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        Linux(all)
    }

    #[test]
    fn the_cause_is_the_one_that_an_administrator_would_name() {
        for (seen, id, words) in [
            (
                &[("socket", "denied")][..],
                Id::EngineDenied,
                "usermod -aG docker ada",
            ),
            (
                &[("socket", "missing"), ("engine", "stopped"), ("docker", "")],
                Id::EngineMissing,
                "Install",
            ),
            (
                &[("socket", "missing"), ("engine", "stopped")],
                Id::EngineStopped,
                "systemctl start docker",
            ),
            // The socket of an engine that crashed stays where it was.
            (
                &[("socket", "open"), ("engine", "stopped")],
                Id::EngineStopped,
                "journalctl",
            ),
            (
                &[
                    ("socket", "missing"),
                    ("engine", "stopped"),
                    ("disk_free", "12"),
                ],
                Id::DiskFull,
                "prune",
            ),
            (
                &[("socket", "missing")],
                Id::EngineStopped,
                "Name its socket",
            ),
        ] {
            let finding = linux(seen).why_no_engine("/var/run/docker.sock").unwrap();
            assert_eq!(finding.id, id, "{seen:?}: {finding:?}");
            assert!(finding.hint.contains(words), "{finding:?}");
        }
        assert_eq!(linux(&[]).why_no_engine("/var/run/docker.sock"), None);
    }

    #[test]
    fn a_disk_without_inodes_is_full() {
        let full = linux(&[("inodes_free", "0")]).disk().unwrap();
        assert_eq!(
            full.id,
            Id::DiskFull,
            "df shows space, and still nothing can be written"
        );
        assert_eq!(linux(&[]).disk(), None);
        assert_eq!(disk("/", 1 << 30, 100 << 30).unwrap().id, Id::DiskLow);
        assert_eq!(disk("/", 0, 100 << 30).unwrap().id, Id::DiskFull);
    }

    #[test]
    fn clocks_and_memory_are_judged_with_some_grace() {
        assert_eq!(clock(20, 0), None);
        assert_eq!(
            clock(40, 60),
            None,
            "a slow link measures no better than that"
        );
        assert!(clock(-7200, 1).unwrap().message.contains("2 hours behind"));
        assert!(clock(90_000, 1).unwrap().message.contains("25 hours ahead"));
        assert_eq!(memory(1 << 30).unwrap().id, Id::MemoryTooLittle);
        assert_eq!(memory(2_000 << 20).unwrap().id, Id::MemoryLow);
        assert_eq!(memory(8 << 30), None);
        assert_eq!(memory(4_005_000_000), None, "a machine of 4 GB");
    }

    #[test]
    fn names_are_there_once() {
        let mut names: Vec<_> = Id::ALL.iter().map(|id| id.as_str()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(
            names.len(),
            before,
            "scripts tell findings apart by their names"
        );
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_is_read_or_not(text: String, noise in "[a-z =\n]{0,40}") {
            let _ = Linux::parse(&text);
            let said = format!("{noise}\nberth=1\nuser=ada\nend=1\n");
            let read = Linux::parse(&said).unwrap();
            prop_assert_eq!(read.text("user"), Some("ada"));
        }

        #[test]
        fn a_socket_with_quotes_stays_a_word(name in "[a-z' $;`\"]{1,12}") {
            // What sh makes of the command must be the script, with the socket inside quotes as it was.
            let command = linux_probe(&format!("/{name}"), &format!("/{name}"));
            let script = command.strip_prefix("exec /bin/sh -c '").unwrap().strip_suffix('\'').unwrap();
            prop_assert!(!script.replace(r"'\''", "").contains('\''));
        }
    }
}
