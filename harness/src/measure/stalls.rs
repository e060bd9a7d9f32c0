//! Stalls: a fault is in force, no recovery is begun, and the job makes no lasting progress.
//!
//! A job whose leader is cut off, whose store fails or whose link is dead may go on for a long time without a failover,
//! while its users see no output. A stall is a time without a completed checkpoint while a fault is in force, if it is
//! longer than the trigger rule explains: more than two and a half times the usual time from one completion to the
//! next. So one checkpoint that was given up is not an outage, because `tolerable_failed` allows it, but two in a row
//! are. ADR 0022.

use std::time::Duration;

use flowquake_engine::env::{Entries, Work};
use flowquake_engine::time::nanos;
use flowquake_reports::formulas::trigger::next_trigger;
use flowquake_reports::record::{CheckpointEnd, CheckpointRecord};

use crate::nemesis::Hit;
use crate::outcome::Outcome;
use crate::plan::{FaultAction, RunPlan};

/// A shorter time without a checkpoint is only the jitter of frequent checkpoints.
const SHORTEST: Duration = Duration::from_secs(1);

/// Number of sequential requests to the store before a job first runs, with some reserve.
const REQUESTS_AT_START: u64 = 10;

/// A time without lasting progress while a fault was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stall {
    /// The fault, by its position in the plan, from 1.
    pub(super) fault: u32,
    /// When the fault struck, or the last lasting progress under it.
    pub(super) from: u64,
    /// The next lasting progress, or what ended the wait for it.
    pub(super) to: u64,
}

/// Lasting progress, from which a stall is counted.
struct Mark {
    at: u64,
    /// Only faults that struck after this can have stopped the job.
    covers: u64,
    /// Time until the next lasting progress is due by the trigger rule.
    due_ns: u64,
}

/// Every stall between two times in which no recovery was begun. `from` is lasting progress, or the start of the run;
/// `to` is the next failure, or the end of the job or of the run.
pub(super) fn between(
    plan: &RunPlan,
    outcome: &Outcome,
    checkpoints: &[CheckpointRecord],
    from: u64,
    to: u64,
) -> Vec<Stall> {
    let mut before = Mark { at: from, covers: from, due_ns: due_at_first(plan, checkpoints, from) };
    let mut stalls = Vec::new();
    let completed = |one: &&CheckpointRecord| one.end == CheckpointEnd::Completed;
    let mut within: Vec<(u64, &CheckpointRecord)> = checkpoints
        .iter()
        .filter(completed)
        .filter_map(|one| Some((one.ended_at_ns?, one)))
        .filter(|(end, _)| (from..to).contains(end))
        .collect();
    within.sort_by_key(|(end, _)| *end);
    for (end, checkpoint) in within {
        stalls.extend(stall(plan, outcome, &before, end));
        before = Mark { at: end, covers: checkpoint.triggered_at_ns, due_ns: due_after(plan, checkpoint, end) };
    }
    stalls.extend(stall(plan, outcome, &before, to));
    stalls
}

/// The first trigger of an attempt is drawn from the interval, and the duration of its checkpoint is estimated from
/// those before. At the start of the run, the cluster has to come up as well.
fn due_at_first(plan: &RunPlan, checkpoints: &[CheckpointRecord], from: u64) -> u64 {
    let config = &plan.job.config.checkpoints;
    let coming_up = if from == 0 { start_up(plan) } else { 0 };
    let before = checkpoints.iter().filter(|one| one.ended_at_ns.is_some_and(|end| end <= from));
    let duration = before.filter_map(CheckpointRecord::duration_ns).next_back();
    let shortest = || checkpoints.iter().filter_map(CheckpointRecord::duration_ns).min();
    let to_trigger = nanos(config.interval.max(config.min_pause));
    coming_up.saturating_add(to_trigger).saturating_add(duration.or_else(shortest).unwrap_or(0))
}

/// The longest time that a cluster without faults may need until its job runs: for a leader, its slots, and one step
/// after the other.
fn start_up(plan: &RunPlan) -> u64 {
    let cluster = &plan.cluster;
    let (deployed, empty) = (Work::Deploy, Entries::default());
    let opened = Work::Restore { backend: plan.job.config.backend, loaded: empty };
    let of_one = nanos(cluster.rates.price(deployed)).saturating_add(nanos(cluster.rates.price(opened)));
    let tasks = of_one.saturating_mul(2 * u64::from(plan.job.config.parallelism));
    let requests = nanos(cluster.store_latency.1).saturating_mul(REQUESTS_AT_START);
    [tasks, requests, nanos(plan.job.config.slot_stabilization)].into_iter().fold(nanos(SHORTEST), u64::saturating_add)
}

fn due_after(plan: &RunPlan, checkpoint: &CheckpointRecord, end: u64) -> u64 {
    let config = &plan.job.config.checkpoints;
    let trigger = next_trigger(checkpoint.triggered_at_ns, end, nanos(config.interval), nanos(config.min_pause));
    trigger.saturating_sub(end).saturating_add(checkpoint.duration_ns().unwrap_or(0))
}

fn stall(plan: &RunPlan, outcome: &Outcome, before: &Mark, to: u64) -> Option<Stall> {
    let allowed = before.due_ns.saturating_add(before.due_ns / 2).saturating_add(before.due_ns).max(nanos(SHORTEST));
    if to.saturating_sub(before.at) <= allowed {
        return None;
    }
    let faults = plan.faults.iter().zip(&outcome.strikes).enumerate();
    let hits =
        faults.flat_map(|(index, (fault, strike))| strike.hits.iter().map(move |hit| (index, &fault.action, hit)));
    let stopping = hits.filter(|(_, action, hit)| stops(action, hit, before, to));
    // Of the faults that were in force from the beginning, the newest.
    let (index, _, hit) = stopping.min_by_key(|(_, _, hit)| (hit.at.0.max(before.at), std::cmp::Reverse(hit.at)))?;
    let from = hit.at.0.max(before.at);
    // A fault that came so late did not make the time too long.
    (to - from > before.due_ns).then_some(Stall { fault: index as u32 + 1, from, to })
}

/// Whether a fault may have kept the job from making progress between a mark and `to`.
fn stops(action: &FaultAction, hit: &Hit, before: &Mark, to: u64) -> bool {
    if hit.damages_file() || hit.at.0 >= to {
        return false;
    }
    // A dead node stops the job only until the job goes on without it, not for as long as the node is dead.
    let lasts = !matches!(action, FaultAction::Kill { .. });
    hit.at.0 >= before.covers || lasts && hit.healed_at.is_none_or(|end| end.0 > before.at)
}
