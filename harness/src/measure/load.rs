//! What subtasks did with their time, and how late output was: shares of back-pressure, and the age of records when
//! their output became visible.
//!
//! Start at [`back_pressure`] and [`lateness`]. Both are exact on the clock of the run: a subtask measures its own time
//! between two snapshots, and a record's arrival follows from its position in the input.

use flowquake_engine::graph::source::ArrivalSchedule;
use flowquake_engine::time::Time;
use flowquake_reports::record::CheckpointRecord;

use crate::outcome::Outcome;
use crate::plan::{RunPlan, job_spec};

/// The largest share of its time, in thousandths, in which a subtask was back-pressured between two of its snapshots,
/// with the subtask and the checkpoint. `None`: no subtask took a snapshot.
pub fn back_pressure(checkpoints: &[CheckpointRecord]) -> Option<(u16, &str, u64)> {
    let all = checkpoints.iter().flat_map(|checkpoint| checkpoint.subtasks.iter().map(move |of| (of, checkpoint.id)));
    all.filter_map(|(of, id)| Some((of.back_pressured_permille?, of.subtask.as_str(), id)))
        .max_by_key(|(share, ..)| *share)
}

/// For each committed checkpoint: the age of the oldest record whose effect it made visible, from the record's arrival
/// to the last commit, with the checkpoint. Only checkpoints that the job did not fall back behind, and that covered
/// records.
pub fn lateness(plan: &RunPlan, outcome: &Outcome, checkpoints: &[CheckpointRecord]) -> Vec<(u64, u64)> {
    let (spec, splits) = (job_spec(plan), u64::from(plan.job.input.splits));
    let mut before = vec![0; plan.job.input.splits as usize];
    let mut all = Vec::new();
    for id in outcome.lineage() {
        let Some(sealed) = outcome.sealed.get(&id) else { continue };
        let positions = sealed.positions(before.len());
        let schedule = ArrivalSchedule { start: sealed.manifest.start, period_fs: spec.input.period_fs };
        let first = |(split, (from, to)): (u64, (&u64, &u64))| {
            (from < to).then(|| schedule.arrival(from.saturating_mul(splits).saturating_add(split)))
        };
        let oldest: Option<Time> = (0..).zip(before.iter().zip(&positions)).filter_map(first).min();
        let committed = checkpoints.iter().find(|checkpoint| checkpoint.id == id.0).and_then(|of| of.committed_at_ns);
        if let (Some(oldest), Some(committed)) = (oldest, committed) {
            all.push((id.0, committed.saturating_sub(oldest.0)));
        }
        before = positions;
    }
    all
}
