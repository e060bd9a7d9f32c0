//! Lasting progress, which ends an outage.
//!
//! A job is back when every vertex processes records again. Whether that lasts is known only later, when the same
//! attempt completes a checkpoint or finishes the job. Records of an attempt that did neither are processed again, and
//! their output is never visible. The outage ends where the lasting progress began, not where it was confirmed: this is
//! the D of the formulas. What a user waits for after that is the exactly-once latency, which is measured separately.
//! ADR 0022.
//!
//! A vertex that receives no records is not waited for. Sources that have nothing left to read, and the vertices
//! downstream of them, show that they work when a checkpoint passes through all of them.

use std::collections::BTreeMap;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, VertexId};
use flowquake_reports::record::{CheckpointEnd, CheckpointRecord};

/// Progress that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lasting {
    /// When the last vertex had its first record; if there were no records, when the sources had found that nothing is
    /// left to read.
    pub(super) since: u64,
    /// When the checkpoint completed, or the job finished, that confirms the progress.
    pub(super) confirmed_at: u64,
}

/// The lasting progress of an attempt; `None`: it made none. `events` are those of its term, and `sources` is the
/// number of its source subtasks.
pub(super) fn lasting(
    events: &[EventRecord],
    attempt: Attempt,
    checkpoints: &[CheckpointRecord],
    sources: usize,
) -> Option<Lasting> {
    let mut first: BTreeMap<VertexId, u64> = BTreeMap::new();
    let mut caught_up: Vec<u64> = Vec::new();
    let mut finished = None;
    for record in events.iter().filter(|record| record.event.attempt() == Some(attempt)) {
        match &record.event {
            Event::FirstRecord { subtask, .. } => drop(first.entry(subtask.vertex).or_insert(record.at.0)),
            Event::CaughtUp { .. } => caught_up.push(record.at.0),
            Event::JobFinished { .. } => finished = Some(record.at.0),
            _ => {}
        }
    }
    let nothing_to_read = (caught_up.len() >= sources.max(1)).then(|| caught_up.iter().copied().max()).flatten();
    let end = events.last()?.at.0;
    let completed = checkpoints.iter().filter(|one| one.attempt == attempt.0 && one.end == CheckpointEnd::Completed);
    let completed = completed.filter_map(|one| Some((one.ended_at_ns.filter(|at| *at <= end)?, one.triggered_at_ns)));
    // The end of the job comes after all records.
    let mut confirmations: Vec<(u64, u64)> = completed.chain(finished.map(|at| (at, at))).collect();
    confirmations.sort_unstable();
    confirmations.into_iter().find_map(|(confirmed_at, triggered_at)| {
        let seen: Vec<u64> = first.values().copied().filter(|at| *at <= confirmed_at).collect();
        let since = match seen.iter().min() {
            // Everything that the sources had emitted before the barrier was processed by every vertex that it reached.
            Some(earliest) if seen.len() == first.len() || *earliest <= triggered_at => seen.iter().copied().max(),
            // The barrier was faster than all records, so it says nothing about vertices that have had none.
            Some(_) => None,
            None => nothing_to_read.filter(|at| *at <= confirmed_at),
        };
        since.map(|since| Lasting { since, confirmed_at })
    })
}
