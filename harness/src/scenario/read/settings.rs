//! `[cluster]`, `[checkpointing]` and `[engine]`: plain settings, each with a default.
//!
//! A key is spelt like the field that it sets. Where the file says nothing, `JobConfig::default()` decides for the
//! engine, and [`cluster_default`] with the cost profile decides for the cluster. The choice is noted in the plan's
//! options.

use std::path::Path;
use std::time::Duration;

use flowquake_engine::config::{BackendKind, CheckpointConfig, JobConfig, RestartStrategy, TriggerSchedule};
use toml::de::DeValue;

use super::restart::{self, show_attempts};
use super::{Reader, Table};
use crate::plan::ClusterPlan;
use crate::profile::{Profile, ProfileError};
use crate::reader::{Problem, Refusal, value};
use crate::units;

/// The cluster of a scenario that sets nothing but its profile.
pub(crate) fn cluster_default(profile: &Profile) -> ClusterPlan {
    ClusterPlan {
        job_managers: 1,
        task_managers: 2,
        slots: 2,
        cores: 2,
        latency: profile.network.latency,
        bandwidth: profile.network.bandwidth,
        send_buffer: 256 << 10,
        store_latency: profile.store.latency,
        store_streams: profile.store.streams,
        store_throughput: profile.store.write_throughput,
        store_read_throughput: profile.store.read_throughput,
        cost_profile: profile.name.clone(),
        rates: profile.rates.clone(),
        record_weight: 1,
        state_weight: 1,
    }
}

/// The profile that `[cluster]` names. Profile files are looked for in `folder`, which holds the scenario.
pub(in crate::scenario) fn profile(reader: &mut Reader, table: Option<&Table>, folder: &Path) -> Profile {
    const PATH: &str = "cluster.cost_profile";
    let show = |name: &String| name.clone();
    let name = reader.or_default(table, "cost_profile", PATH, value::text, "builtin".to_owned(), show);
    match (Profile::find(&name, folder), table.and_then(|table| table.get("cost_profile"))) {
        (Ok(profile), _) => profile,
        (Err(error), Some(value)) => {
            let (code, label) = match error {
                ProfileError::Unknown(_) => ("unknown-cost-profile", "unknown profile"),
                _ => ("bad-cost-profile", "cannot be used"),
            };
            reader.refuse(PATH, Problem::new(code, error.to_string(), error.help()).at(value.span(), label));
            Profile::builtin()
        }
        (Err(_), None) => Profile::builtin(),
    }
}

/// Reads `[cluster]`, whose defaults come from its profile.
pub(in crate::scenario) fn cluster(reader: &mut Reader, table: Option<&Table>, profile: &Profile) -> ClusterPlan {
    let mut d = cluster_default(profile);
    macro_rules! read {
        ($key:ident, $parse:expr, $show:expr) => {
            reader.or_default(table, stringify!($key), concat!("cluster.", stringify!($key)), $parse, d.$key, $show)
        };
    }
    let writes = table.is_some_and(|table| table.get("store_throughput").is_some());
    let store_throughput = read!(store_throughput, value::bandwidth, |rate| units::format_bandwidth(*rate));
    // Only one speed was written, so it holds for both directions.
    if writes {
        d.store_read_throughput = store_throughput;
    }
    ClusterPlan {
        job_managers: read!(job_managers, value::node_count, u32::to_string),
        task_managers: read!(task_managers, value::node_count, u32::to_string),
        slots: read!(slots, value::node_count, u16::to_string),
        cores: read!(cores, value::node_count, u32::to_string),
        latency: read!(latency, value::duration_range, |range| units::format_duration_range(*range)),
        bandwidth: read!(bandwidth, value::bandwidth, |rate| units::format_bandwidth(*rate)),
        send_buffer: read!(send_buffer, value::size, |size| units::format_size(*size)),
        store_latency: read!(store_latency, value::duration_range, |range| units::format_duration_range(*range)),
        store_streams: read!(store_streams, value::node_count, u32::to_string),
        store_throughput,
        store_read_throughput: read!(store_read_throughput, value::bandwidth, |rate| units::format_bandwidth(*rate)),
        cost_profile: d.cost_profile,
        rates: d.rates,
        record_weight: read!(record_weight, value::whole_u64, u64::to_string),
        state_weight: read!(state_weight, value::whole_u64, u64::to_string),
    }
}

/// Reads `[checkpointing]`: the checkpoints and the state backend.
pub(in crate::scenario) fn checkpointing(
    reader: &mut Reader,
    table: Option<&Table>,
    profile: &Profile,
) -> (CheckpointConfig, BackendKind) {
    let d = defaults(profile).checkpoints;
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
        schedule: read!(schedule, schedule, |kind: &TriggerSchedule| kind.name().to_owned()),
        timeout: read!(timeout, value::duration, show_duration),
        retained: read!(retained, value::whole_u32, u32::to_string),
        tolerable_failed: read!(tolerable_failed, value::whole_u32, u32::to_string),
        max_concurrent: read!(max_concurrent, value::whole_u32, u32::to_string),
        verify_uploads: read!(verify_uploads, value::boolean, bool::to_string),
    };
    (config, kind)
}

/// The engine's settings where a scenario says nothing.
fn defaults(profile: &Profile) -> JobConfig {
    let mut config = JobConfig::default();
    profile.engine.clone().unwrap_or_default().apply(&mut config);
    config
}

/// Reads `[engine]` into the settings of a job.
pub(in crate::scenario) fn engine(
    reader: &mut Reader,
    table: Option<&Table>,
    parallelism: u16,
    (checkpoints, backend): (CheckpointConfig, BackendKind),
    profile: &Profile,
) -> JobConfig {
    let d = defaults(profile);
    macro_rules! read {
        ($key:ident, $parse:expr, $show:expr) => {{
            let path = concat!("job.config.", stringify!($key));
            reader.or_default(table, stringify!($key), path, $parse, d.$key, $show)
        }};
    }
    let config = JobConfig {
        parallelism,
        backend,
        checkpoints,
        max_parallelism: read!(max_parallelism, value::whole_u16, u16::to_string),
        heartbeat_interval: read!(heartbeat_interval, value::duration, show_duration),
        heartbeat_timeout: read!(heartbeat_timeout, value::duration, show_duration),
        heartbeat_rpc_failure_threshold: read!(heartbeat_rpc_failure_threshold, value::whole_u32, u32::to_string),
        restart_strategy: restart::strategy(reader, table),
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
    };
    // A setting that the strategy does not obey was not chosen, so it is not listed.
    reader.options.retain(|(key, _)| RestartStrategy::owners(key).is_none() || config.restart_strategy.obeys(key));
    config
}

/// Does not check whether this build has the backend: a run without it gets the verdict *not built*, and a correct file
/// stays correct on a machine that lacks RocksDB.
fn backend(value: &DeValue) -> Result<BackendKind, Refusal> {
    let names: Vec<&str> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
    value::word(value, &names, BackendKind::from_name)
}

fn schedule(value: &DeValue) -> Result<TriggerSchedule, Refusal> {
    let names: Vec<&str> = TriggerSchedule::ALL.iter().map(|kind| kind.name()).collect();
    value::word(value, &names, TriggerSchedule::from_name)
}

pub(super) fn show_duration(duration: &Duration) -> String {
    units::format_duration(*duration)
}

fn show_size(size: &u32) -> String {
    units::format_size((*size).into())
}
