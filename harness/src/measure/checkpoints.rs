//! Measures checkpoints in parts. The parts of a completed checkpoint follow its critical path, through the subtask
//! whose acknowledgement came last, so that they sum to the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowquake_engine::checkpoint::manifest::{Manifest, StateFile, state_file_at};
use flowquake_engine::event::Event;
use flowquake_engine::ids::{CheckpointId, SubtaskId};
use flowquake_engine::state::entry_bytes;
use flowquake_engine::time::nanos;
use flowquake_reports::record::{
    CheckpointEnd, CheckpointParts, CheckpointRecord, ReportedCheckpoint, SubtaskCheckpoint,
};

use crate::outcome::{CheckpointAccount, Outcome, SubtaskAccount};

#[derive(Default)]
struct Building {
    record: Option<CheckpointRecord>,
    subtasks: BTreeMap<SubtaskId, SubtaskCheckpoint>,
    /// Bytes of entries in the files that each subtask uploaded.
    uploaded: BTreeMap<SubtaskId, u64>,
    last_acknowledged: Option<SubtaskId>,
}

/// Every checkpoint that was triggered, by id. Bytes of state include weights: each counts as `state_weight`.
pub(super) fn measure(outcome: &Outcome, state_weight: u64) -> Vec<CheckpointRecord> {
    let mut all: BTreeMap<CheckpointId, Building> = BTreeMap::new();
    for record in &outcome.trace.events {
        let (event, at) = (&record.event, record.at.0);
        let Some(id) = event.checkpoint() else { continue };
        if let Event::CheckpointTriggered { attempt, last, .. } = event {
            let building = all.entry(id).or_default();
            building.record = Some(CheckpointRecord {
                id: id.0,
                attempt: attempt.0,
                kind: if *last { "final" } else { "periodic" }.into(),
                triggered_at_ns: at,
                ended_at_ns: None,
                end: CheckpointEnd::Unfinished,
                committed_at_ns: None,
                state_bytes: 0,
                new_bytes: None,
                parts: None,
                reported: None,
                subtasks: Vec::new(),
            });
            continue;
        }
        let Some(building) = all.get_mut(&id) else { continue };
        // Another attempt may commit it, but not under the id of a later checkpoint.
        if let (Event::SinkCommitted { epoch, .. }, Some(checkpoint)) = (event, &mut building.record)
            && *epoch == id
        {
            checkpoint.committed_at_ns = Some(at);
        }
        let Some(checkpoint) = &mut building.record else { continue };
        if event.attempt().is_some_and(|attempt| attempt.0 != checkpoint.attempt) {
            continue;
        }
        match event {
            Event::CheckpointCompleted { bytes, .. } => {
                checkpoint.ended_at_ns = Some(at);
                checkpoint.end = CheckpointEnd::Completed;
                let sum = building.subtasks.values().map(|subtask| subtask.state_bytes).sum();
                // Not every target says how much each subtask handed in.
                checkpoint.state_bytes = if sum > 0 { sum } else { *bytes };
            }
            Event::CheckpointAborted { reason, .. } => {
                checkpoint.ended_at_ns = Some(at);
                checkpoint.end = CheckpointEnd::Aborted { reason: reason.name().into() };
            }
            _ => {}
        }
        let Some(subtask) = event.subtask() else { continue };
        let entry = building.subtasks.entry(subtask).or_default();
        match event {
            Event::BarrierInjected { .. } => {
                entry.node = record.node.to_string();
                entry.first_barrier_ns = Some(at);
                entry.aligned_ns = Some(at);
            }
            Event::BarrierReceived { .. } => {
                entry.node = record.node.to_string();
                entry.first_barrier_ns.get_or_insert(at);
            }
            Event::AlignmentClosed { .. } => entry.aligned_ns = Some(at),
            Event::SnapshotSyncEnded { busy, back_pressured, .. } => {
                entry.sync_end_ns = Some(at);
                (entry.busy_permille, entry.back_pressured_permille) = (Some(*busy), Some(*back_pressured));
            }
            Event::StateUploaded { path, bytes, .. } => {
                let name = state_file_at(path).map_or("", |(_, name)| name);
                *building.uploaded.entry(subtask).or_default() += entry_bytes(name, *bytes);
            }
            Event::SnapshotAsyncEnded { bytes, .. } => {
                entry.async_end_ns = Some(at);
                // State that travels in messages is not uploaded, and consists of entries only.
                let entries = building.uploaded.get(&subtask).unwrap_or(bytes);
                entry.state_bytes = bytes + entries.saturating_mul(state_weight - 1);
            }
            Event::CheckpointAcknowledged { .. } => {
                entry.acknowledged_ns = Some(at);
                building.last_acknowledged = Some(subtask);
            }
            _ => {}
        }
    }
    let finished = |(id, building): (CheckpointId, Building)| building.finish(outcome.accounts.get(&id));
    let mut records: Vec<CheckpointRecord> = all.into_iter().filter_map(finished).collect();
    // `None`: the manifest before is not known; before the first there is none.
    let mut before: Option<Option<&Manifest>> = Some(None);
    for record in records.iter_mut().filter(|record| record.end == CheckpointEnd::Completed) {
        let sealed = outcome.sealed.get(&CheckpointId(record.id)).map(|sealed| &sealed.manifest);
        let new = sealed.zip(before).map(|(manifest, before)| new_bytes(manifest, before, state_weight));
        record.new_bytes = new.or(record.new_bytes);
        before = sealed.map(Some);
    }
    records
}

/// Bytes, with weights, of the state files whose contents `before` does not have. Names are not compared, because a
/// file that a database keeps has another name in another attempt.
fn new_bytes(manifest: &Manifest, before: Option<&Manifest>, state_weight: u64) -> u64 {
    let contents = |file: &StateFile| (file.checksum.length, file.checksum.hash);
    let known: BTreeSet<(u64, [u8; 8])> = before.into_iter().flat_map(files).map(contents).collect();
    let new = files(manifest).filter(|file| !known.contains(&contents(file)));
    let weigh = |file: &StateFile| {
        let length = file.checksum.length;
        length + entry_bytes(&file.name, length).saturating_mul(state_weight - 1)
    };
    new.map(weigh).fold(0, u64::saturating_add)
}

fn files(manifest: &Manifest) -> impl Iterator<Item = &StateFile> {
    manifest.subtasks.values().flat_map(|state| &state.files)
}

impl Building {
    fn finish(mut self, account: Option<&CheckpointAccount>) -> Option<CheckpointRecord> {
        let mut record = self.record?;
        if record.end == CheckpointEnd::Completed {
            if let Some(account) = account {
                (record.state_bytes, record.new_bytes) = (account.state_bytes, Some(account.new_bytes));
                record.reported = Some(reported(account));
                for (subtask, of) in &account.subtasks {
                    self.subtasks.entry(*subtask).or_default().state_bytes = of.state_bytes;
                }
            }
            let last = self.last_acknowledged.and_then(|subtask| self.subtasks.get(&subtask));
            record.parts = last.and_then(|path| parts(record.triggered_at_ns, path, record.ended_at_ns?));
        }
        let named = |(id, mut subtask): (SubtaskId, SubtaskCheckpoint)| {
            subtask.subtask = id.to_string();
            subtask
        };
        record.subtasks = self.subtasks.into_iter().map(named).collect();
        Some(record)
    }
}

/// The target's own durations, of parts the longest over its subtasks.
fn reported(account: &CheckpointAccount) -> ReportedCheckpoint {
    let longest = |of: fn(&SubtaskAccount) -> Duration| account.subtasks.values().map(of).max().map(nanos);
    ReportedCheckpoint {
        duration_ns: nanos(account.duration),
        start_delay_ns: longest(|subtask| subtask.start_delay),
        alignment_ns: longest(|subtask| subtask.alignment),
        sync_ns: longest(|subtask| subtask.sync),
        async_ns: longest(|subtask| subtask.upload),
    }
}

fn parts(triggered: u64, path: &SubtaskCheckpoint, completed: u64) -> Option<CheckpointParts> {
    let steps = [
        triggered,
        path.first_barrier_ns?,
        path.aligned_ns?,
        path.sync_end_ns?,
        path.async_end_ns?,
        path.acknowledged_ns?,
        completed,
    ];
    let part = |step: usize| steps[step + 1].checked_sub(steps[step]);
    Some(CheckpointParts {
        barrier_ns: part(0)?,
        alignment_ns: part(1)?,
        sync_ns: part(2)?,
        async_ns: part(3)?,
        ack_ns: part(4)?,
        finalise_ns: part(5)?,
    })
}
