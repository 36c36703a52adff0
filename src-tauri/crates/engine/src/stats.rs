//! What a container uses, as it changes.
//!
//! The two systems count differently. Linux gives the container's and the whole system's
//! processor time in nanoseconds; Windows gives the container's alone in units of 100 ns, to be
//! held against the clock. The formulas are those of the docker CLI
//! (`cli/command/container/stats_helpers.go`), so that the numbers agree with what people know.

use bollard::{models::ContainerStatsResponse, query_parameters::StatsOptionsBuilder};
use futures_util::{StreamExt, stream};

use crate::{
    Answers,
    container::check_id,
    engine::{Engine, LIST, Os},
    error::{Doing, api_error},
};

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Processor time since the last item; 100 is one logical processor on Linux, all of them
    /// on Windows. None in the first item, which has nothing to compare with.
    pub cpu_percent: Option<f64>,
    /// Bytes in memory: on Linux without the file cache, on Windows the private working set.
    pub memory_bytes: u64,
    /// The limit in bytes; None where there is none or, on Windows, where the engine does not
    /// say (see the container's own limit).
    pub memory_limit: Option<u64>,
}

impl Engine {
    /// What a running container uses, about once a second. Ends when the container is removed;
    /// dropping the stream stops it.
    ///
    /// The stream's errors: [`berth_core::Code::NotFound`], or what the connection says.
    #[must_use]
    pub fn stats(&self, id: &str) -> Answers<Stats> {
        let doing = Doing::new("measure the container", id);
        if let Err(e) = check_id(&doing, id) {
            return stream::once(async { Err(e) }).boxed();
        }
        let os = self.about().os;
        let name = id.to_owned();
        let ask = StatsOptionsBuilder::new().stream(true).build();
        self.streams(LIST)
            .stats(id, Some(ask))
            .map(move |answer| match answer {
                Ok(answer) => Ok(measured(os, &answer)),
                Err(e) => Err(api_error(&Doing::new("measure the container", &name), e)),
            })
            .boxed()
    }
}

fn measured(os: Os, s: &ContainerStatsResponse) -> Stats {
    match os {
        Os::Linux => Stats {
            cpu_percent: linux_cpu(s),
            memory_bytes: linux_memory(s),
            memory_limit: s
                .memory_stats
                .as_ref()
                .and_then(|m| m.limit)
                .filter(|l| *l > 0),
        },
        Os::Windows => Stats {
            cpu_percent: windows_cpu(s),
            memory_bytes: s
                .memory_stats
                .as_ref()
                .and_then(|m| m.privateworkingset)
                .unwrap_or(0),
            memory_limit: None,
        },
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage with one decimal is shown"
)]
fn linux_cpu(s: &ContainerStatsResponse) -> Option<f64> {
    let (now, before) = (s.cpu_stats.as_ref()?, s.precpu_stats.as_ref()?);
    let system = now
        .system_cpu_usage?
        .checked_sub(before.system_cpu_usage.filter(|t| *t > 0)?)?;
    let used = now
        .cpu_usage
        .as_ref()?
        .total_usage?
        .checked_sub(before.cpu_usage.as_ref()?.total_usage?)?;
    if system == 0 {
        return None;
    }
    let listed = now
        .cpu_usage
        .as_ref()
        .and_then(|u| u.percpu_usage.as_ref())
        .map(Vec::len);
    let processors = match now.online_cpus {
        Some(n) if n > 0 => f64::from(n),
        _ => listed.unwrap_or(1).max(1) as f64,
    };
    Some(used as f64 / system as f64 * processors * 100.0)
}

/// Without the page cache that Linux would give up at once: `inactive_file` under cgroup v2,
/// `total_inactive_file` under v1.
fn linux_memory(s: &ContainerStatsResponse) -> u64 {
    let Some(memory) = s.memory_stats.as_ref() else {
        return 0;
    };
    let usage = memory.usage.unwrap_or(0);
    let of = |name: &str| {
        memory
            .stats
            .as_ref()
            .and_then(|stats| stats.get(name))
            .copied()
    };
    let cache = of("total_inactive_file")
        .or_else(|| of("inactive_file"))
        .unwrap_or(0);
    usage.checked_sub(cache).unwrap_or(usage)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage with one decimal is shown"
)]
fn windows_cpu(s: &ContainerStatsResponse) -> Option<f64> {
    let passed = (s.read? - s.preread?).num_nanoseconds()?;
    // The first item's earlier reading is of the year 1.
    if passed <= 0 || passed > 3_600_000_000_000 {
        return None;
    }
    let total = |c: &Option<bollard::models::ContainerCpuStats>| {
        c.as_ref()?.cpu_usage.as_ref()?.total_usage
    };
    let used = total(&s.cpu_stats)?.checked_sub(total(&s.precpu_stats)?)?;
    let possible = passed as f64 / 100.0 * f64::from(s.num_procs.filter(|n| *n > 0)?);
    Some(used as f64 / possible * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> ContainerStatsResponse {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn linux_counts_against_the_whole_system() {
        let s = answer(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":500},"system_cpu_usage":2000,"online_cpus":4},
            "precpu_stats":{"cpu_usage":{"total_usage":250},"system_cpu_usage":1000},
            "memory_stats":{"usage":1000,"limit":4000,"stats":{"inactive_file":300}}}"#,
        );
        let stats = measured(Os::Linux, &s);
        assert_eq!(stats.cpu_percent, Some(100.0), "one of four processors");
        assert_eq!((stats.memory_bytes, stats.memory_limit), (700, Some(4000)));
    }

    #[test]
    fn windows_counts_against_the_clock() {
        let s = answer(
            r#"{"read":"2026-01-02T03:04:06Z","preread":"2026-01-02T03:04:05Z","num_procs":2,
            "cpu_stats":{"cpu_usage":{"total_usage":15000000}},
            "precpu_stats":{"cpu_usage":{"total_usage":5000000}},
            "memory_stats":{"commitbytes":9,"privateworkingset":7}}"#,
        );
        let stats = measured(Os::Windows, &s);
        assert_eq!(
            stats.cpu_percent,
            Some(50.0),
            "one of two processors, for one second"
        );
        assert_eq!((stats.memory_bytes, stats.memory_limit), (7, None));
    }

    #[test]
    fn the_first_item_claims_no_percentage() {
        let linux = answer(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":5},"system_cpu_usage":20,"online_cpus":4},
            "precpu_stats":{"cpu_usage":{"total_usage":0}}}"#,
        );
        assert_eq!(
            measured(Os::Linux, &linux).cpu_percent,
            None,
            "all since boot is not now"
        );
        let windows = answer(
            r#"{"read":"2026-01-02T03:04:06Z","preread":"0001-01-01T00:00:00Z","num_procs":2,
            "cpu_stats":{"cpu_usage":{"total_usage":5}},"precpu_stats":{"cpu_usage":{"total_usage":0}}}"#,
        );
        assert_eq!(measured(Os::Windows, &windows).cpu_percent, None);
        assert_eq!(measured(Os::Windows, &answer("{}")), Stats::default());
    }
}
