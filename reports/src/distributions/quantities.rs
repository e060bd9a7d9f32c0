//! The quantities of the distributions, and how each is read from a record.
//!
//! Start at [`all`]. The quantities are the variables of the formulas, in the order in which they occur in a checkpoint
//! and then in a recovery. A new measured variable needs one line here.

use std::collections::BTreeSet;

use super::Sort;
use crate::capacity;
use crate::record::{
    CheckpointParts, CheckpointRecord, RecoveryParts, RecoveryRecord, RunRecord, SubtaskCheckpoint, recovered_after,
};
use crate::timing;
use crate::units::Unit;

/// Reads the values of a quantity from a record; `None`: the value did not end.
type Values = Box<dyn Fn(&RunRecord) -> Vec<Option<u64>>>;

/// A quantity and how to read it.
pub(super) struct Quantity {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) sort: Sort,
    pub(super) is_part: bool,
    pub(super) values: Values,
}

impl Quantity {
    /// A quantity in nanoseconds; other units are set afterwards.
    fn new(name: &'static str, sort: Sort, values: impl Fn(&RunRecord) -> Vec<Option<u64>> + 'static) -> Quantity {
        Quantity { name, unit: Unit::Nanoseconds, sort, is_part: false, values: Box::new(values) }
    }

    /// A quantity with one value for each completed checkpoint that has one.
    fn of_checkpoints(name: &'static str, value: impl Fn(&CheckpointRecord) -> Option<u64> + 'static) -> Quantity {
        Quantity::new(name, Sort::Checkpoint, move |run| completed(run).filter_map(&value).map(Some).collect())
    }

    /// A quantity with one value for each recovery that has one.
    fn of_recoveries(name: &'static str, value: impl Fn(&RecoveryRecord) -> Option<u64> + 'static) -> Quantity {
        Quantity::new(name, Sort::Recovery, move |run| run.recoveries.iter().filter_map(&value).map(Some).collect())
    }

    fn along_the_path(self) -> Quantity {
        Quantity { sort: Sort::CriticalPath, ..self }
    }

    fn part(self) -> Quantity {
        Quantity { is_part: true, ..self }
    }

    fn in_units(self, unit: Unit) -> Quantity {
        Quantity { unit, ..self }
    }
}

fn completed(run: &RunRecord) -> impl Iterator<Item = &CheckpointRecord> {
    run.checkpoints.iter().filter(|checkpoint| checkpoint.duration_ns().is_some())
}

/// All quantities, in the order of tables.
pub(super) fn all() -> Vec<Quantity> {
    let mut all = checkpoints();
    all.extend(recoveries());
    all
}

fn checkpoints() -> Vec<Quantity> {
    let mut all = vec![
        Quantity::new("trigger gap T", Sort::Gap, |run| timing::trigger_gaps_ns(run).into_iter().map(Some).collect()),
        Quantity::of_checkpoints("checkpoint duration d", CheckpointRecord::duration_ns).along_the_path(),
    ];
    for (index, (name, _)) in CheckpointParts::default().named().into_iter().enumerate() {
        all.push(Quantity::of_checkpoints(name, move |one| Some(one.parts?.named()[index].1)).along_the_path().part());
    }
    all.push(Quantity::new("commit t_c", Sort::Checkpoint, |run| {
        completed(run).map(CheckpointRecord::commit_ns).collect()
    }));
    all.push(Quantity::new("longest latency T + d + t_c", Sort::Gap, |run| {
        timing::latencies_ns(run).into_iter().map(Some).collect()
    }));
    all.push(Quantity::of_checkpoints("lost work c", CheckpointRecord::lost_work_ns));
    all.push(Quantity::of_checkpoints("state S", |one| Some(one.state_bytes)).in_units(Unit::Bytes));
    all.push(Quantity::of_checkpoints("state in new files", |one| one.new_bytes).in_units(Unit::Bytes));
    let upload = |run: &RunRecord| {
        let subtasks = completed(run).flat_map(|checkpoint| &checkpoint.subtasks);
        subtasks.filter_map(SubtaskCheckpoint::throughput).map(Some).collect()
    };
    all.push(Quantity::new("upload B", Sort::Subtask, upload).in_units(Unit::BytesPerSecond));
    for (name, _, phase) in PHASES {
        all.push(Quantity::new(name, Sort::Subtask, move |run| {
            completed(run).flat_map(|checkpoint| lengths(checkpoint, phase)).map(Some).collect()
        }));
    }
    for (_, name, phase) in PHASES {
        all.push(Quantity::new(name, Sort::SlowestSubtask, move |run| {
            completed(run).filter_map(|checkpoint| lengths(checkpoint, phase).max()).map(Some).collect()
        }));
    }
    all
}

fn recoveries() -> Vec<Quantity> {
    let mut all = vec![Quantity::new("outage D", Sort::Recovery, |run| {
        run.recoveries.iter().map(RecoveryRecord::outage_ns).collect()
    })];
    for (index, (name, _)) in RecoveryParts::default().named().into_iter().enumerate() {
        all.push(Quantity::of_recoveries(name, move |one| Some(one.parts?.named()[index].1)).part());
    }
    all.push(Quantity::of_recoveries("snapshot age A", |one| one.restored_checkpoint.map(|_| one.snapshot_age_ns)));
    all.push(Quantity::of_recoveries("load B", RecoveryRecord::load_throughput).in_units(Unit::BytesPerSecond));
    all.push(Quantity::of_recoveries("catching up", RecoveryRecord::catch_up_ns));
    all.push(Quantity::new("recovery R", Sort::Recovery, |run| {
        let all = (0..run.recoveries.len()).filter(|index| !run.recoveries[*index].is_stall());
        all.map(|index| recovered_after(&run.recoveries, index, run.totals.virtual_ns).ns()).collect()
    }));
    let capacity = |run: &RunRecord| {
        let capacities = run.recoveries.iter().filter_map(|recovery| capacity::measured(run, recovery));
        capacities.map(|rate| Some(rate as u64)).collect()
    };
    // How often failures come is decided by the scenarios.
    all.push(Quantity::new("between failures M", Sort::Recovery, |run| {
        let times: BTreeSet<u64> = run.recoveries.iter().flat_map(RecoveryRecord::failures_ns).collect();
        times.iter().zip(times.iter().skip(1)).map(|(from, to)| Some(to - from)).collect()
    }));
    let name = "capacity with checkpoints μ";
    all.push(Quantity::new(name, Sort::Recovery, capacity).in_units(Unit::RecordsPerSecond));
    all
}

/// Begin and end of a phase of a subtask, given the time of the trigger.
type Phase = fn(&SubtaskCheckpoint, u64) -> Option<(u64, u64)>;

/// Phases: the name for every subtask, the name for the slowest subtask, and the times.
const PHASES: [(&str, &str, Phase); 5] = [
    ("barrier, each", "barrier, slowest", |subtask, triggered| Some((triggered, subtask.first_barrier_ns?))),
    // A source waits for no barrier.
    ("alignment, each", "alignment, slowest", |subtask, _| Some((subtask.first_barrier_ns?, subtask.aligned_ns?))),
    ("sync, each", "sync, slowest", |subtask, _| Some((subtask.aligned_ns?, subtask.sync_end_ns?))),
    ("async, each", "async, slowest", |subtask, _| Some((subtask.sync_end_ns?, subtask.async_end_ns?))),
    ("ack, each", "ack, slowest", |subtask, _| Some((subtask.async_end_ns?, subtask.acknowledged_ns?))),
];

/// Length of a phase for each subtask.
fn lengths(checkpoint: &CheckpointRecord, phase: Phase) -> impl Iterator<Item = u64> {
    let phases = checkpoint.subtasks.iter().filter_map(move |subtask| phase(subtask, checkpoint.triggered_at_ns));
    phases.filter_map(|(from, to)| to.checked_sub(from))
}
