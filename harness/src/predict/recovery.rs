//! Predicts the outage after one fault, step by step, and the age of the snapshot that the job restores.

use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::connectors::file_sink::CHUNKS_AT_ONCE;
use flowquake_engine::env::Work;
use flowquake_engine::ids::{Attempt, Term};
use flowquake_engine::jobmanager::{first_restart_delay, first_trigger_delay};
use flowquake_engine::time::nanos;
use flowquake_reports::record::{CheckpointParts, RecoveryParts};

use super::domain::DURATION_ERROR;
use super::spread::mean_of_largest;
use super::state::Snapshot;
use super::{Known, checkpoint, deal, state};
use crate::jobs::StateSize;
use crate::plan::{FaultAction, KillMode, NodeTarget, RunPlan, Trigger};

/// Requests to the store before a new cluster has a leader: it looks for the end of the log, and opens its term.
const ELECTION_REQUESTS: usize = 5;
/// Pause between a TaskManager's attempts to register.
const REGISTRATION_RETRY: u64 = 100_000_000;

/// The only fault that the model knows: a TaskManager dies at a given time.
pub(super) struct Struck {
    /// Position in the plan, from 1.
    pub(super) fault: u32,
    pub(super) at_ns: u64,
    mode: KillMode,
    restart_after: Option<Duration>,
}

/// `None`: there is no fault. `Err`: why the model cannot predict what happens.
pub(super) fn only_fault(known: &Known) -> Result<Option<Struck>, String> {
    let plan = known.plan;
    let [fault] = &plan.faults[..] else {
        return if plan.faults.is_empty() { Ok(None) } else { Err("more than one fault".into()) };
    };
    if restart_delay(plan).is_none() {
        return Err("the restart strategy allows no restart".into());
    }
    let FaultAction::Kill { targets, mode, restart_after, .. } = &fault.action else {
        return Err("only the death of a TaskManager is predicted".into());
    };
    let (Trigger::At(at), 1) = (&fault.trigger, fault.repeat) else {
        return Err("when the fault strikes is not known before the run".into());
    };
    match &targets[..] {
        [NodeTarget::Node(node)] if node.starts_with("tm-") => {}
        _ => return Err("only the death of one TaskManager that is named is predicted".into()),
    }
    let at_ns = nanos(*at + fault.delay);
    Ok(Some(Struck { fault: fault.id, at_ns, mode: *mode, restart_after: *restart_after }))
}

/// When the job first runs.
pub(super) fn start(known: &Known) -> u64 {
    let cluster = &known.plan.cluster;
    let elected = mean_of_largest(1, &[cluster.store_latency; ELECTION_REQUESTS]) as u64;
    let registered = elected.div_ceil(REGISTRATION_RETRY) * REGISTRATION_RETRY;
    let deployed = registered + nanos(known.plan.job.config.slot_stabilization) + hop(known);
    deployed + opening(known, None, 0) + hop(known)
}

/// The delay of the first trigger of an attempt under the first leader, by the engine's own draw.
pub(super) fn first_delay(known: &Known, attempt: u32) -> u64 {
    let config = &known.plan.job.config.checkpoints;
    nanos(first_trigger_delay(known.plan.seed, Term(1), Attempt(attempt), config))
}

fn hop(known: &Known) -> u64 {
    mean_of_largest(1, &[known.plan.cluster.latency]) as u64
}

/// Time from the order to deploy until the last subtask is open: it has started, has loaded its state, and its sink has
/// removed this many leftover chunks.
fn opening(known: &Known, snapshot: Option<Snapshot>, leftovers: u64) -> u64 {
    let (cluster, config) = (&known.plan.cluster, &known.plan.job.config);
    let (p, busiest) = (known.parallelism(), known.busiest());
    let started = known.queued(Work::Deploy, busiest * known.model.vertices.len() as u32);
    let of_one = 1.0 / f64::from(p);
    let (bytes, rounds) = snapshot.map_or((0.0, 0), |snapshot| (snapshot.bytes, snapshot.rounds));
    // The sink looks for what an earlier attempt has left, and deletes it, several chunks at a time.
    let at_once = leftovers.min(CHUNKS_AT_ONCE as u64) as u32;
    let deleted = leftovers.div_ceil(CHUNKS_AT_ONCE as u64) as f64 * mean_of_largest(at_once, &[cluster.store_latency]);
    let requests = 1 + rounds;
    let mut transfer = 0.0;
    if rounds > 0 {
        transfer = known.on_the_way(bytes * of_one) / cluster.store_read_throughput as f64 * 1e9;
    }
    let backend = config.backend;
    // The deployment order that contains the state.
    let inline = if backend == BackendKind::Memory { (bytes * of_one) as u64 } else { 0 };
    let decoded = known.queued(Work::Inline { bytes: inline }, busiest);
    let waited = mean_of_largest(p, &vec![cluster.store_latency; requests]);
    let loaded = snapshot.map_or_else(StateSize::default, |snapshot| snapshot.loaded) * of_one;
    let loaded = known.queued(Work::Restore { backend, loaded: loaded.into() }, busiest);
    started + decoded + loaded + (waited + deleted + transfer) as u64
}

/// How long after its trigger a checkpoint will still complete although a TaskManager that took part dies: the dead
/// TaskManager must have acknowledged, and the manifest must be durable (after half of the last part) when the death is
/// known, because from then on nothing can abort the checkpoint.
fn needed_ns(parts: CheckpointParts, detect_ns: u64) -> u64 {
    let total = parts.total_ns();
    let acknowledged = total - parts.finalise_ns - parts.ack_ns;
    acknowledged.max(total.saturating_sub(parts.finalise_ns / 2 + detect_ns))
}

/// Time from the fault until the slots of the dead TaskManager are known to be gone: this many heartbeats, counted from
/// its registration shortly before the job first ran.
fn released(known: &Known, struck: &Struck, started: u64) -> u64 {
    let config = &known.plan.job.config;
    let (Some(more), KillMode::Crash) = (config.heartbeat_rpc_failure_threshold.checked_sub(1), struck.mode) else {
        return 0;
    };
    let registered =
        started.saturating_sub(nanos(config.slot_stabilization) + 2 * hop(known) + opening(known, None, 0));
    let interval = nanos(config.heartbeat_interval);
    let beat = registered + (struck.at_ns.saturating_sub(registered) / interval + 1) * interval;
    beat + u64::from(more) * interval - struck.at_ns
}

/// The delay before the restart. It is the first restart of the job, with the first leader and the first attempt.
/// `None`: there is no restart.
fn restart_delay(plan: &RunPlan) -> Option<Duration> {
    first_restart_delay(plan.seed, Term(1), Attempt(1), &plan.job.config)
}

/// The predicted recovery.
pub(super) struct Recovered {
    /// The checkpoint that is restored; `None`: the job begins anew.
    pub(super) restored: Option<u64>,
    pub(super) restored_bytes: u64,
    pub(super) age_ns: u64,
    pub(super) parts: RecoveryParts,
    /// The TaskManager of each slot after the recovery.
    pub(super) slots: Vec<usize>,
    /// Whether the fault strikes so close to the completion of a checkpoint that the run may restore a different one.
    pub(super) is_close: bool,
}

pub(super) fn of(known: &Known, struck: &Struck, started: u64, first_trigger: u64, period: u64) -> Recovered {
    let (cluster, config) = (&known.plan.cluster, &known.plan.job.config);
    let detect_ns = match struck.mode {
        KillMode::Crash => hop(known),
        // The last heartbeat was half an interval ago, on average.
        KillMode::MachineLoss => nanos(config.heartbeat_timeout).saturating_sub(nanos(config.heartbeat_interval) / 2),
    };
    let back = struck.restart_after.map(|after| nanos(after) + 3 * hop(known));
    // A TaskManager that comes back shows by its registration that it was gone.
    let detect_ns = detect_ns.min(back.unwrap_or(u64::MAX));
    let (newest, since) = match struck.at_ns.checked_sub(first_trigger) {
        Some(since) => (Some(since / period), since % period),
        None => (None, struck.at_ns - started.min(struck.at_ns)),
    };
    // The newest checkpoint in which the dead TaskManager did its part: the one in progress, or the one before.
    let snapshot_of = |nth: u64| state::snapshot(known, nth + 1, first_trigger + nth * period, period);
    // With RocksDB, each snapshot has another size.
    let needed = newest.map_or(0, |nth| needed_ns(checkpoint::parts(known, snapshot_of(nth), period), detect_ns));
    let completed = if since < needed { newest.and_then(|nth| nth.checked_sub(1)) } else { newest };
    let is_close = newest.is_some() && since.abs_diff(needed) as f64 <= DURATION_ERROR * needed as f64;
    let restored_at = completed.map(|nth| first_trigger + nth * period);
    let snapshot = completed.map(snapshot_of);
    let bytes = snapshot.map_or(0.0, |snapshot| snapshot.bytes);
    let age_ns = struck.at_ns - restored_at.unwrap_or(started).min(struck.at_ns);
    let backoff_or_cancel_ns = nanos(restart_delay(known.plan).unwrap_or_default()).max(2 * hop(known));
    let ready = detect_ns + backoff_or_cancel_ns;
    let left = cluster.task_managers - 1;
    let slots_needed = known.parallelism();
    let released = released(known, struck, started).max(ready);
    // The dead TaskManager may be back before its slots are released, or the job may have to wait for it.
    let returns = back.filter(|back| *back <= released || left * u32::from(cluster.slots) < slots_needed);
    let registered = returns.unwrap_or(released).max(ready) - ready;
    let nodes = if returns.is_some() { cluster.task_managers } else { left };
    let slots = deal(slots_needed, nodes);
    let inline = if config.backend == BackendKind::Memory { bytes } else { 0.0 };
    let manifest = if completed.is_some() {
        let decoded = known.queued(Work::Inline { bytes: 2 * inline as u64 }, 1) as f64;
        mean_of_largest(1, &[cluster.store_latency]) + inline / cluster.store_read_throughput as f64 * 1e9 + decoded
    } else {
        0.0
    };
    let slots_ns = registered + nanos(config.slot_stabilization) + manifest as u64;
    let (spec, shares) = (known.spec.clone(), known.shares.clone());
    let after = Known { plan: known.plan, spec, model: known.model, shares, slots };
    let sent = inline / f64::from(slots_needed) * f64::from(after.busiest()) / cluster.bandwidth as f64 * 1e9;
    let deploy_ns = hop(known) + sent as u64;
    // Sinks write output that is not committed yet from time to time, and at the end of an epoch; surviving sinks leave
    // these files behind.
    let flush = nanos(config.sink_flush_interval).max(1);
    let leftovers = since / flush + if completed == newest { 0 } else { (age_ns - since) / flush + 1 };
    let restore_ns = opening(&after, snapshot, leftovers);
    Recovered {
        restored: completed.map(|nth| nth + 1),
        restored_bytes: bytes as u64,
        age_ns,
        parts: RecoveryParts {
            detect_ns,
            backoff_or_cancel_ns,
            slots_ns,
            deploy_ns,
            restore_ns,
            ..RecoveryParts::default()
        },
        slots: after.slots,
        is_close,
    }
}
