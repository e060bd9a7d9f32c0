//! Draws speeds, prices and weights of the simulated cluster, and the engine's settings that depend on them, so that
//! the job keeps up.
//!
//! What the scenario states stays, and so does what [`super::vary`] has drawn, because each draw here has its own name.
//! A cluster that is too slow for its job proves nothing, since the job would not finish in time whatever struck it. So
//! the load that a weight adds is compared with the slowest part that carries it, with a reserve for the time after a
//! recovery, when the job has to catch up.

use std::path::Path;
use std::time::Duration;

use crate::draws::{Draws, Swarm, stream};
use crate::plan::{ClusterPlan, RunPlan};
use crate::profile::Profile;
use crate::units;

/// Plan path of the setting that says whether uploads are read back.
pub(super) const VERIFY: &str = "job.config.checkpoints.verify_uploads";
/// Cost profiles that are drawn. Flink's is not among them, because its deployments take longer than a drawn time-out
/// waits.
const PROFILES: [&str; 3] = ["builtin", "native", "free"];
/// Most bytes that a record takes in transfer and in the output, headers included, for the jobs that ship.
const RECORD_BYTES: u64 = 200;
/// Keyed state of a job with a few thousand keys.
const STATE_BYTES: u64 = 512 << 10;
/// Greatest weights of a record and of a byte of state that are drawn.
const RECORD_WEIGHT_MAX: u64 = 50;
const STATE_WEIGHT_MAX: u64 = 64;

/// Draws every setting of this sort that the scenario leaves open; returns name and value of each.
pub(super) fn scale(swarm: &Swarm, plan: &mut RunPlan) -> Vec<(String, String)> {
    let draws = Draws { seed: stream(plan), entity: 0 };
    let mut drawn: Vec<(String, String)> = Vec::new();
    macro_rules! cluster {
        ($field:ident, $value:expr, $show:expr) => {
            if !swarm.written.contains(concat!("cluster.", stringify!($field))) {
                plan.cluster.$field = $value;
                drawn.push((stringify!($field).to_owned(), format!("{} (drawn)", $show(plan.cluster.$field.clone()))));
            }
        };
    }
    let whole = |number: u64| number.to_string();
    // From 2 MB/s, which is twice the most that the heaviest job that ships writes, to 1 GB/s. Slow speeds are as
    // likely as fast ones.
    let speed = |what: &str| 2_000_000 << draws.number(what, 0, 9);
    cluster!(bandwidth, speed("bandwidth"), units::format_bandwidth);
    cluster!(store_throughput, speed("store throughput"), units::format_bandwidth);
    cluster!(store_read_throughput, speed("store read throughput"), units::format_bandwidth);
    cluster!(store_streams, draws.number("store streams", 1, 8) as u32, |streams: u32| streams.to_string());
    if !swarm.written.contains("cluster.cost_profile") {
        let name = draws.one_of("cost profile", PROFILES);
        if let Ok(profile) = Profile::find(name, Path::new("")) {
            plan.cluster.rates = profile.rates;
            plan.cluster.cost_profile = profile.name;
            drawn.push(("cost_profile".to_owned(), format!("{name} (drawn)")));
        }
    }
    cluster!(record_weight, record_weight(&draws, plan), whole);
    cluster!(state_weight, state_weight(&draws, plan), whole);
    drawn
}

/// Whether uploads are read back. They always are if a fault of this plan may tear one (`spoilt`), because without
/// reading back the engine trusts its uploads.
pub(super) fn verify(swarm: &Swarm, plan: &mut RunPlan, spoilt: bool) -> Option<(String, String)> {
    let draws = Draws { seed: stream(plan), entity: 0 };
    if swarm.written.contains(VERIFY) {
        return None;
    }
    let verify = spoilt || !draws.one_in("trust uploads", 3);
    plan.job.config.checkpoints.verify_uploads = verify;
    Some(("verify_uploads".to_owned(), format!("{verify} (drawn)")))
}

/// Bytes per second that one connection can carry: what its sender may have in flight arrives once per round trip.
fn connection(cluster: &ClusterPlan) -> u64 {
    let round_trip = (cluster.latency.1 * 2).max(Duration::from_micros(1));
    ((cluster.send_buffer as f64 / round_trip.as_secs_f64()) as u64).min(cluster.bandwidth)
}

/// Half of the seeds count each record once. In the others the input takes at most a quarter of what one connection,
/// and one transfer to the store, can carry. A full buffer of records fits into a connection. And while the job catches
/// up, the data in flight on all connections of a link must not hold up a heartbeat for long, or the recovery from one
/// failure would cause the next failure.
fn record_weight(draws: &Draws, plan: &RunPlan) -> u64 {
    let (cluster, config) = (&plan.cluster, &plan.job.config);
    let slowest = connection(cluster).min(cluster.store_throughput);
    let arriving = plan.job.input.rate.map_or(u64::MAX, |rate| (rate.ceil() as u64).saturating_mul(RECORD_BYTES));
    let fitting = cluster.send_buffer / u64::from(config.buffer_size.max(1));
    let most = (slowest / 4 / arriving.max(1)).min(fitting).clamp(1, RECORD_WEIGHT_MAX);
    let under_way = cluster.send_buffer.saturating_mul(u64::from(config.parallelism));
    let drained = Duration::from_secs_f64(under_way as f64 / cluster.bandwidth.max(1) as f64);
    let plain = draws.one_in("plain records", 2) || drained > config.heartbeat_timeout / 4;
    if plain { 1 } else { draws.number("record weight", 1, most) }
}

/// Half of the seeds count each byte once. In the others, moving all of the state takes at most a twentieth of the
/// checkpoint timeout.
fn state_weight(draws: &Draws, plan: &RunPlan) -> u64 {
    let cluster = &plan.cluster;
    // With the backend `memory` the state travels in messages.
    let slowest = connection(cluster).min(cluster.store_throughput).min(cluster.store_read_throughput);
    let moved = slowest as f64 * plan.job.config.checkpoints.timeout.as_secs_f64() / 20.0;
    let most = (moved as u64 / STATE_BYTES).clamp(1, STATE_WEIGHT_MAX);
    if draws.one_in("plain state", 2) { 1 } else { draws.number("state weight", 1, most) }
}
