//! `[cluster]`, `[checkpointing]` and `[engine]`: plain settings, each with a default.
//!
//! A key is spelt as the field it sets. Where the file is silent, `JobConfig::default()` decides for the engine and
//! [`cluster_default`] for the cluster, and the choice is noted in the plan's options.

use std::time::Duration;

use flowquake_engine::config::{BackendKind, CheckpointConfig, JobConfig};
use toml::de::DeValue;

use super::value::{self, Refusal};
use super::{Reader, Table};
use crate::plan::ClusterPlan;
use crate::scenario::units;

/// The cluster of a scenario that says nothing about it: two small machines in one data centre, and a slow object store.
pub(crate) fn cluster_default() -> ClusterPlan {
    ClusterPlan {
        job_managers: 1,
        task_managers: 2,
        slots: 2,
        cores: 2,
        latency: (Duration::from_micros(200), Duration::from_millis(1)),
        bandwidth: 125_000_000,
        send_buffer: 256 << 10,
        store_latency: (Duration::from_millis(5), Duration::from_millis(15)),
        store_throughput: 200_000_000,
        cost_profile: "builtin".to_owned(),
    }
}

/// Reads `[cluster]`.
pub(in crate::scenario) fn cluster(reader: &mut Reader, table: Option<&Table>) -> ClusterPlan {
    let d = cluster_default();
    macro_rules! read {
        ($key:ident, $parse:expr, $show:expr) => {
            reader.or_default(table, stringify!($key), concat!("cluster.", stringify!($key)), $parse, d.$key, $show)
        };
    }
    ClusterPlan {
        job_managers: read!(job_managers, value::whole_u32, u32::to_string),
        task_managers: read!(task_managers, value::whole_u32, u32::to_string),
        slots: read!(slots, value::whole_u16, u16::to_string),
        cores: read!(cores, value::whole_u32, u32::to_string),
        latency: read!(latency, value::duration_range, |range| units::format_duration_range(*range)),
        bandwidth: read!(bandwidth, value::bandwidth, |rate| units::format_bandwidth(*rate)),
        send_buffer: read!(send_buffer, value::size, |size| units::format_size(*size)),
        store_latency: read!(store_latency, value::duration_range, |range| units::format_duration_range(*range)),
        store_throughput: read!(store_throughput, value::bandwidth, |rate| units::format_bandwidth(*rate)),
        cost_profile: read!(cost_profile, value::text, String::clone),
    }
}

/// Reads `[checkpointing]`: the checkpoints and the state backend.
pub(in crate::scenario) fn checkpointing(
    reader: &mut Reader,
    table: Option<&Table>,
) -> (CheckpointConfig, BackendKind) {
    let d = CheckpointConfig::default();
    macro_rules! read {
        ($key:ident, $parse:expr, $show:expr) => {{
            let path = concat!("job.config.checkpoints.", stringify!($key));
            reader.or_default(table, stringify!($key), path, $parse, d.$key, $show)
        }};
    }
    let default = JobConfig::default().backend;
    let show = |kind: &BackendKind| kind.name().to_owned();
    let kind = reader.or_default(table, "backend", "job.config.backend", backend, default, show);
    let config = CheckpointConfig {
        interval: read!(interval, value::duration, show_duration),
        min_pause: read!(min_pause, value::duration, show_duration),
        timeout: read!(timeout, value::duration, show_duration),
        retained: read!(retained, value::whole_u32, u32::to_string),
        tolerable_failed: read!(tolerable_failed, value::whole_u32, u32::to_string),
        max_concurrent: read!(max_concurrent, value::whole_u32, u32::to_string),
        verify_uploads: read!(verify_uploads, value::boolean, bool::to_string),
    };
    (config, kind)
}

/// Reads `[engine]` into the settings of a job.
pub(in crate::scenario) fn engine(
    reader: &mut Reader,
    table: Option<&Table>,
    parallelism: u16,
    (checkpoints, backend): (CheckpointConfig, BackendKind),
) -> JobConfig {
    let d = JobConfig::default();
    macro_rules! read {
        ($key:ident, $parse:expr, $show:expr) => {{
            let path = concat!("job.config.", stringify!($key));
            reader.or_default(table, stringify!($key), path, $parse, d.$key, $show)
        }};
    }
    let show_attempts = |attempts: &Option<u32>| attempts.map_or("unlimited".to_owned(), |n| n.to_string());
    JobConfig {
        parallelism,
        backend,
        checkpoints,
        max_parallelism: read!(max_parallelism, value::whole_u16, u16::to_string),
        heartbeat_interval: read!(heartbeat_interval, value::duration, show_duration),
        heartbeat_timeout: read!(heartbeat_timeout, value::duration, show_duration),
        restart_delay: read!(restart_delay, value::duration, show_duration),
        restart_attempts: read!(restart_attempts, value::attempts, show_attempts),
        slot_stabilization: read!(slot_stabilization, value::duration, show_duration),
        buffer_timeout: read!(buffer_timeout, value::duration, show_duration),
        buffer_size: read!(buffer_size, value::size_u32, show_size),
        credits: read!(credits, value::whole_u16, u16::to_string),
        sink_flush_interval: read!(sink_flush_interval, value::duration, show_duration),
        sink_chunk: read!(sink_chunk, value::size_u32, show_size),
        notify_retry: read!(notify_retry, value::duration, show_duration),
        connect_timeout: read!(connect_timeout, value::duration, show_duration),
        lease: read!(lease, value::duration, show_duration),
        rpc_timeout: read!(rpc_timeout, value::duration, show_duration),
    }
}

/// Whether the backend is in this build is not asked here: a run without it gets the verdict *not built*, and a file that
/// is right stays right on a machine that lacks RocksDB.
fn backend(value: &DeValue) -> Result<BackendKind, Refusal> {
    let names: Vec<&str> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
    value::word(value, &names, BackendKind::from_name)
}

fn show_duration(duration: &Duration) -> String {
    units::format_duration(*duration)
}

fn show_size(size: &u32) -> String {
    units::format_size((*size).into())
}
