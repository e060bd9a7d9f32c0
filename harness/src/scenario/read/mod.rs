//! The sections of a scenario file, each read in a file of its own.
//!
//! Start at [`SECTIONS`]. [`crate::reader`] reads tables and collects mistakes.

use std::sync::LazyLock;

use crate::faults::Kind;
use crate::reader::{self, Reader, Table, value};

pub(super) mod expect;
pub(super) mod fault;
pub(super) mod forms;
pub(super) mod job;
pub(super) mod restart;
pub(super) mod settings;
pub(super) mod swarm;
pub(super) mod tune;

/// Keys that every kind of fault takes.
const FAULT: &[&str] = &["on", "at", "every", "each", "delay", "repeat", "do"];

/// Every section with its keys: what each table accepts, and where a misplaced key belongs.
pub(super) static SECTIONS: LazyLock<Vec<(&'static str, Vec<&'static str>)>> = LazyLock::new(|| {
    let mut sections: Vec<(&str, Vec<&str>)> = WRITTEN.iter().map(|(name, keys)| (*name, keys.to_vec())).collect();
    if let Some((_, keys)) = sections.iter_mut().find(|(name, _)| *name == "[[fault]]") {
        for key in Kind::ALL.iter().flat_map(|kind| kind.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    sections
});

/// Every section with its keys. `[[fault]]` also has those of the kinds of faults, which are added above.
const WRITTEN: &[(&str, &[&str])] = &[
    (
        "the top level",
        &[
            "name",
            "why",
            "time_limit",
            "heal_at",
            "job",
            "cluster",
            "checkpointing",
            "engine",
            "fault",
            "swarm",
            "tune",
            "expect",
        ],
    ),
    ("[job]", &["name", "params", "input", "parallelism"]),
    ("input", &["file", "repeat", "generator", "records", "splits", "rate"]),
    (
        "[cluster]",
        &[
            "job_managers",
            "task_managers",
            "slots",
            "cores",
            "latency",
            "bandwidth",
            "send_buffer",
            "store_latency",
            "store_streams",
            "store_throughput",
            "store_read_throughput",
            "cost_profile",
            "record_weight",
            "state_weight",
        ],
    ),
    (
        "[checkpointing]",
        &[
            "interval",
            "min_pause",
            "schedule",
            "timeout",
            "retained",
            "tolerable_failed",
            "max_concurrent",
            "verify_uploads",
            "backend",
        ],
    ),
    (
        "[engine]",
        &[
            "heartbeat_interval",
            "heartbeat_timeout",
            "heartbeat_rpc_failure_threshold",
            "restart_strategy",
            "restart_delay",
            "restart_attempts",
            "max_failures_per_interval",
            "failure_rate_interval",
            "initial_backoff",
            "max_backoff",
            "backoff_multiplier",
            "reset_backoff_threshold",
            "jitter_factor",
            "attempts_before_reset_backoff",
            "slot_stabilization",
            "buffer_timeout",
            "buffer_size",
            "credits",
            "max_parallelism",
            "sink_flush_interval",
            "sink_chunk",
            "notify_retry",
            "connect_timeout",
            "lease",
            "rpc_timeout",
        ],
    ),
    ("[[fault]]", FAULT),
    (
        "on",
        &["event", "checkpoint", "vertex", "subtask", "node", "attempt", "nth", "after_fault", "after", "not_before"],
    ),
    (
        "each",
        &["checkpoint", "vertex", "subtask", "node", "attempt", "nth", "after_fault", "after", "not_before", "apart"],
    ),
    ("file", &["checkpoint", "kind", "index"]),
    (
        "[tune]",
        &[
            "intervals",
            "states",
            "backends",
            "loads",
            "failures_every",
            "failures",
            "fault",
            "restart_after",
            "duration",
            "moving",
            "lateness_weight",
        ],
    ),
    ("[swarm]", &["faults", "kinds", "until", "heal_after", "nodes_down", "records", "vary", "params", "min_hurt"]),
    (
        "[expect]",
        &[
            "job",
            "output",
            "recovers_within",
            "failovers",
            "falls_back",
            "aborted_checkpoints_min",
            "checkpoint_duration_p50",
            "checkpoint_duration_p99",
            "checkpoint_duration_max",
            "outage_max",
            "recovery_max",
            "lateness_max",
            "backpressure_min",
            "recovery_prediction",
        ],
    ),
];

/// The keys of a section.
pub(super) fn keys(section: &str) -> &'static [&'static str] {
    reader::keys(&SECTIONS, section)
}
