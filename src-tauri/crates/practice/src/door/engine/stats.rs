//! What a container uses, in the shape that Windows engines tell it in.
//!
//! SQL Server's practice engine runs inside this process, so there is nothing to measure per
//! container: the numbers are made up to be small, plausible and moving.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

/// What a container has used at one moment.
pub(super) struct Sample {
    /// Processor time in units of 100 ns.
    pub(super) cpu_100ns: u64,
    /// Private working set in bytes.
    pub(super) memory: u64,
    io_bytes: u64,
}

impl Sample {
    pub(super) fn at(id: &str, uptime: Duration) -> Self {
        let seed = id.bytes().fold(7_u64, |sum, b| {
            sum.wrapping_mul(31).wrapping_add(u64::from(b))
        });
        let second = uptime.as_secs();
        let wave = (second.wrapping_mul(37).wrapping_add(seed)) % 23;
        let micros = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        Self {
            // About 1.2 % of one processor, after two seconds of work to start.
            cpu_100ns: 20_000_000_u64
                .min(micros.saturating_mul(5))
                .saturating_add(micros / 8),
            memory: 310_000_000
                + (seed % 40) * 1_000_000
                + 20_000_000_u64.min(second * 200_000)
                + wave * 350_000,
            io_bytes: 48_000_000_u64.saturating_add(second.saturating_mul(4096)),
        }
    }
}

fn cpu(sample: &Sample) -> Value {
    json!({
        "cpu_usage": {
            "total_usage": sample.cpu_100ns,
            "usage_in_kernelmode": sample.cpu_100ns / 4,
            "usage_in_usermode": sample.cpu_100ns - sample.cpu_100ns / 4,
        },
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

/// One sample and the one of a second before, as `/stats` tells them.
pub(super) fn windows(
    name: &str,
    id: &str,
    endpoint: Option<String>,
    processors: u32,
    uptime: Duration,
    read: DateTime<Utc>,
) -> Value {
    let gap = Duration::from_secs(1).min(uptime);
    let now = Sample::at(id, uptime);
    let before = Sample::at(id, uptime - gap);
    let time = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let networks: BTreeMap<String, Value> = endpoint
        .map(|endpoint| {
            let bytes = 2_000 + uptime.as_secs() * 120;
            (endpoint, json!({
                "rx_bytes": bytes, "rx_packets": bytes / 90, "rx_errors": 0, "rx_dropped": 0,
                "tx_bytes": bytes / 2, "tx_packets": bytes / 180, "tx_errors": 0, "tx_dropped": 0,
            }))
        })
        .into_iter()
        .collect();
    json!({
        "read": time(read), "preread": time(read - TimeDelta::from_std(gap).unwrap_or_default()),
        "pids_stats": {}, "blkio_stats": {}, "num_procs": processors,
        "storage_stats": {
            "read_count_normalized": now.io_bytes / 8192, "read_size_bytes": now.io_bytes,
            "write_count_normalized": now.io_bytes / 16384, "write_size_bytes": now.io_bytes / 2,
        },
        "cpu_stats": cpu(&now), "precpu_stats": cpu(&before),
        "memory_stats": {
            "commitbytes": now.memory + 120_000_000, "commitpeakbytes": now.memory + 160_000_000,
            "privateworkingset": now.memory,
        },
        "name": format!("/{name}"), "id": id, "networks": networks,
    })
}
