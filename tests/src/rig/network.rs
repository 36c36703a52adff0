//! A network that misbehaves, inside the test's own namespaces: silence, and a machine that is another one's neighbour.

use std::process::Command;

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
        if !is_isolated() || programs::find("ip").is_none() {
            skip(
                "a second machine takes network namespaces of its own: use `make test`, as root on Linux",
            );
            return None;
        }
        let name = "berth-far";
        for line in [
            format!("netns add {name}"),
            "link add name berth0 type veth peer name berth1".to_owned(),
            format!("link set berth1 netns {name}"),
            format!("addr add {}/24 dev berth0", Self::OURS),
            "link set berth0 up".to_owned(),
            format!("-n {name} addr add {}/24 dev berth1", Self::ADDRESS),
            format!("-n {name} link set berth1 up"),
            format!("-n {name} link set lo up"),
        ] {
            ip(&line);
        }
        Some(Self { name })
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

fn ip(line: &str) {
    programs::run(Command::new("ip").args(line.split(' ')));
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", "berth0"]).status();
        let _ = Command::new("ip")
            .args(["netns", "del", self.name])
            .status();
    }
}
