//! A network that misbehaves, inside the test's own namespaces: silence, and a machine that is another one's neighbour.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::{is_isolated, programs, skip};

/// Nothing that is sent to or from a port arrives any more, and nobody is told: what a pulled cable, a sleeping host or
/// a router that forgot a connection look like. Dropping it lets everything through again.
#[derive(Debug)]
pub struct Silence(u16);

impl Silence {
    /// Begins.
    ///
    /// # Panics
    /// When the firewall refuses it.
    #[must_use]
    pub fn of(port: u16) -> Self {
        assert!(
            is_isolated(),
            "the machine's own firewall is nobody's to change"
        );
        let silence = Self(port);
        silence.rules("-I");
        silence
    }

    fn rules(&self, change: &str) {
        for end in ["--dport", "--sport"] {
            programs::run(Command::new("iptables").args([
                "-w",
                "5",
                change,
                "INPUT",
                "-p",
                "tcp",
                end,
                &self.0.to_string(),
                "-j",
                "DROP",
            ]));
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.rules("-D");
    }
}

/// A second machine: a network namespace at the other end of a cable.
#[derive(Debug)]
pub struct Neighbour {
    name: &'static str,
    air: Option<Child>,
}

/// What lies between two machines that are not on one cable.
#[derive(Debug, Clone, Copy)]
pub struct Air {
    /// One way, in milliseconds.
    pub delay: u32,
    /// How much sooner or later than that, in milliseconds: what differs by more than its distance overtakes.
    pub jitter: u32,
    /// How many of a thousand packets never arrive.
    pub lost: u32,
    /// For the same luck each time.
    pub seed: u32,
}

impl Neighbour {
    /// Its address.
    pub const ADDRESS: &str = "10.77.0.1";
    /// Ours, until [`Self::move_us`].
    const OURS: &str = "10.77.0.2";

    /// Plugs it in.
    ///
    /// # Panics
    /// When the network cannot be made.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::behind(None)
    }

    /// The same behind a bad Wi-Fi.
    ///
    /// # Panics
    /// When the network cannot be made.
    #[must_use]
    pub fn through(air: Air) -> Option<Self> {
        Self::behind(Some(air))
    }

    fn behind(air: Option<Air>) -> Option<Self> {
        if !is_isolated() || programs::find("ip").is_none() {
            skip(
                "a second machine takes network namespaces of its own: use `make test`, as root on Linux",
            );
            return None;
        }
        let name = "berth-far";
        let air = match air {
            Some(air) => {
                let Some(python) = programs::find("python3") else {
                    skip("Python 3 is not installed, which plays a bad Wi-Fi");
                    return None;
                };
                let Some(child) = air.begin(&python) else {
                    skip("a bad Wi-Fi is played through /dev/net/tun, which cannot be opened here");
                    return None;
                };
                Some(child)
            }
            None => {
                ip("link add name berth0 type veth peer name berth1");
                None
            }
        };
        for line in [
            format!("netns add {name}"),
            format!("link set berth1 netns {name}"),
            format!("addr add {}/24 dev berth0", Self::OURS),
            "link set berth0 up".to_owned(),
            format!("-n {name} addr add {}/24 dev berth1", Self::ADDRESS),
            format!("-n {name} link set berth1 up"),
            format!("-n {name} link set lo up"),
        ] {
            ip(&line);
        }
        Some(Self { name, air })
    }

    /// A command that runs over there.
    #[must_use]
    pub fn command(&self, command: &Command) -> Command {
        // Only its network is another one: `ip netns exec` would also mount /sys anew.
        let mut there = Command::new("nsenter");
        there.arg(format!("--net=/run/netns/{}", self.name));
        there.arg(command.get_program()).args(command.get_args());
        there
    }

    /// This machine gets another address, as one does that is carried from one Wi-Fi to the next.
    pub fn move_us(&self) {
        ip(&format!("addr del {}/24 dev berth0", Self::OURS));
        ip("addr add 10.77.0.3/24 dev berth0");
    }

    /// Pulls the cable, or plugs it in again.
    pub fn cable(&self, plugged: bool) {
        ip(if plugged {
            "link set berth0 up"
        } else {
            "link set berth0 down"
        });
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if let Some(mut air) = self.air.take() {
            let _ = air.kill();
            let _ = air.wait();
        }
    }
}

impl Air {
    /// Makes `berth0` and `berth1`.
    fn begin(self, python: &std::path::Path) -> Option<Child> {
        let words = [self.delay, self.jitter, self.lost, self.seed].map(|n| n.to_string());
        let mut child = Command::new(python)
            .args(["-c", include_str!("air.py"), "berth0", "berth1"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("its output is ours");
        let _ = BufReader::new(stdout).read_line(&mut said);
        if said.trim() == "ready" {
            return Some(child);
        }
        let _ = child.wait();
        None
    }
}

fn ip(line: &str) {
    programs::run(Command::new("ip").args(line.split(' ')));
}
