//! What an instance costs: from `up` to its string beside `docker run` and a login loop by hand; a hundred of them made, listed
//! and removed; and what one more takes of the agent's memory and of connections to its host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and ends where it cannot measure"
)]

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use berth_tests::rig::{Dockerd, Home, LinuxHost, drivers, sql_image::OFFICIAL};
use serde_json::Value;

/// Samples of making one.
const FEW: usize = 12;
/// How many are there at once.
const MANY: usize = 100;
/// How many are made or removed side by side.
const SIDE_BY_SIDE: usize = 8;
const PASSWORD: &str = "Bench-Passw0rd-24-letters";
const LONG: Duration = Duration::from_secs(180);

fn main() {
    let Some(host) = LinuxHost::start() else {
        return;
    };
    let home = Home::new();
    let key = host.sshd.client_key().display().to_string();
    let (address, print) = (host.sshd.address(), host.sshd.fingerprint());
    let mut add = vec!["host", "add", "rig", &address, "--identity", &key];
    add.extend(["--trust-host-key", &print]);
    let _ = home.berth(&add).ok();
    let password = home.write("password", PASSWORD);
    making(&host.dockerd, &home, &password);
    many(&host, &home, &password);
}

fn up(home: &Home, name: &str, password: &Path) {
    let file = password.display().to_string();
    let line = [
        "up",
        name,
        "--accept-eula",
        "--data",
        "throwaway",
        "--password-file",
        &file,
    ];
    let _ = home.berth_with(&line, "", LONG).ok();
}

/// Row 3 of the numbers: the image is there, and both go on until a login works.
fn making(dockerd: &Dockerd, home: &Home, password: &Path) {
    let (mut by_berth, mut by_hand) = (Vec::new(), Vec::new());
    for n in 0..=FEW {
        let began = Instant::now();
        up(home, "one", password);
        let berth = began.elapsed();
        let _ = home.berth_with(&["remove", "one"], "", LONG).ok();

        let began = Instant::now();
        let told = format!("MSSQL_SA_PASSWORD={PASSWORD}");
        let id = dockerd.docker(&[
            "run",
            "-d",
            "-e",
            "ACCEPT_EULA=Y",
            "-e",
            &told,
            "-p",
            "127.0.0.1::1433",
            OFFICIAL,
        ]);
        let id = id.trim();
        let port = dockerd.docker(&["port", id, "1433/tcp"]);
        let string = format!(
            "Server=tcp:{};User Id=sa;Password={PASSWORD};TrustServerCertificate=true",
            port.lines().next().unwrap().replace(':', ",")
        );
        while drivers::tiberius(&string, "SELECT 1").is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        let hand = began.elapsed();
        let _ = dockerd.docker(&["rm", "-f", id]);
        // The first of each is for warmth.
        if n > 0 {
            by_berth.push(berth);
            by_hand.push(hand);
        }
    }
    let (berth, hand) = (median(by_berth), median(by_hand));
    println!(
        "\nCreate to ready, the image there, over SSH; {FEW} samples taken in turn, medians\n"
    );
    println!(
        "{:<56} {:>8.0} ms",
        "Berth: `berth up`, to a login through its port",
        ms(berth)
    );
    println!(
        "{:<56} {:>8.0} ms",
        "`docker run` on the host, and a login loop by hand",
        ms(hand)
    );
    println!("{:<56} {:>+8.0} ms", "Berth takes", ms(berth) - ms(hand));
}

fn many(host: &LinuxHost, home: &Home, password: &Path) {
    let agent = agent(home);
    let connections = host.sshd.connections();
    up(home, "first", password);
    let each = |work: &(dyn Fn(usize) + Sync)| {
        let began = Instant::now();
        thread::scope(|scope| {
            for first in 0..SIDE_BY_SIDE {
                scope.spawn(move || (first..MANY).step_by(SIDE_BY_SIDE).for_each(work));
            }
        });
        began.elapsed()
    };
    let made = each(&|n| up(home, &format!("n{n}"), password));
    let made_by = settled(home, agent);
    let warm: Vec<_> = (0..20).map(|_| list(home)).collect();
    let more = host.sshd.connections().saturating_sub(connections);
    let _ = home.berth(&["agent", "stop", "--force"]);
    let cold = list(home);
    let many = settled(home, self::agent(home));
    let removed = each(&|n| {
        let _ = home
            .berth_with(&["remove", &format!("n{n}")], "", LONG)
            .ok();
    });
    let _ = home.berth(&["agent", "stop", "--force"]);
    let _ = home.berth(&["list"]).ok();
    let one = settled(home, self::agent(home));
    println!("\n{MANY} instances on one Linux host over SSH, {SIDE_BY_SIDE} at a time\n");
    println!(
        "{:<56} {:>8.1} s",
        "made, each to its string",
        made.as_secs_f64()
    );
    println!("{:<56} {:>8.1} s", "removed", removed.as_secs_f64());
    println!(
        "{:<56} {:>8.0} ms",
        "`berth list`, warm (median of 20)",
        ms(median(warm))
    );
    println!(
        "{:<56} {:>8.0} ms",
        "`berth list`, cold: no agent, no connection",
        ms(cold)
    );
    println!(
        "{:<56} {:>8.1} kB",
        "memory of the agent for one more instance",
        many.saturating_sub(one) as f64 / MANY as f64
    );
    println!(
        "{:<56} {:>8.1} MB",
        "its memory with one instance",
        one as f64 / 1024.
    );
    println!(
        "{:<56} {:>8.1} MB",
        "what making them left in it, with the history of each",
        made_by.saturating_sub(many) as f64 / 1024.
    );
    println!("{:<56} {more:>8}", "SSH connections more than with none");
}

fn agent(home: &Home) -> u64 {
    let status: Value = home.berth(&["agent", "status", "--json"]).ok().json();
    status["pid"].as_u64().unwrap()
}

/// What is the process's own, in kB.
fn memory(pid: u64) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    rollup
        .lines()
        .filter(|l| l.starts_with("Private_"))
        .filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// An agent's memory once it has listed a few times: what was only needed before that is given back by then.
fn settled(home: &Home, agent: u64) -> u64 {
    for _ in 0..5 {
        let _ = home.berth(&["list"]).ok();
    }
    memory(agent)
}

fn list(home: &Home) -> Duration {
    let began = Instant::now();
    let listed = home.berth(&["list", "--json"]).ok();
    let took = began.elapsed();
    assert_eq!(
        listed.json()["instances"].as_array().map(Vec::len),
        Some(MANY + 1),
        "a list that misses an instance is no list"
    );
    took
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
