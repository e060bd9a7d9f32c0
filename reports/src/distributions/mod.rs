//! The distribution of every measured time over a set of runs: count, p50, p90, p99, maximum.
//!
//! Start at [`of`]. Times are those of the records, in nanoseconds of the runs' clock, gathered in HDR histograms (exact to three
//! digits; the ends are exact). They are of three sorts, and tables say which:
//!
//! - **one per checkpoint or recovery, in parts**: the parts of one case sum to its whole, along the critical path (R1 of
//!   [`record`](crate::record)). Their percentiles do not sum: the slowest upload and the slowest barrier are of different
//!   checkpoints.
//! - **the slowest subtask of a checkpoint**, phase by phase: a maximum over subtasks that work side by side. Such maxima are
//!   never summed, since each may be of another subtask.
//! - **what may not end**: outages and catching up. Those without an end are counted apart, and are in no percentile.
//!
//! A long sweep keeps no times of runs that passed; [`without_times`] counts them, and every document says so.

use crate::record::{CheckpointParts, CheckpointRecord, RecoveryParts, RunRecord, RunSet, SubtaskCheckpoint};
use crate::timing::{self, Percentiles};

pub mod html;
pub mod json;
pub mod tables;

/// What a distribution is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Between neighbouring periodic checkpoints.
    Gap,
    /// A completed checkpoint, or its part along the critical path.
    Checkpoint,
    /// The slowest subtask of a completed checkpoint.
    SlowestSubtask,
    /// A recovery, or a part of its outage.
    Recovery,
}

impl Sort {
    /// The words in tables.
    pub fn label(self) -> &'static str {
        match self {
            Sort::Gap => "pair of checkpoints",
            Sort::Checkpoint => "checkpoint, critical path",
            Sort::SlowestSubtask => "checkpoint, slowest subtask",
            Sort::Recovery => "recovery",
        }
    }

    /// The word in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Sort::Gap => "gap",
            Sort::Checkpoint => "checkpoint",
            Sort::SlowestSubtask => "slowest-subtask",
            Sort::Recovery => "recovery",
        }
    }
}

/// All values of one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Which time, e.g. `checkpoint duration d`.
    pub name: String,
    /// What there is one value of.
    pub sort: Sort,
    /// Whether it is a part of the whole above it.
    pub is_part: bool,
    /// Percentiles in nanoseconds of those that ended; `None`: there is none.
    pub percentiles: Option<Percentiles>,
    /// How many did not end within their run.
    pub endless: u64,
}

/// Every time there is, in a fixed order; those without a value are left out.
pub fn of<'r>(runs: impl IntoIterator<Item = &'r RunRecord>) -> Vec<Distribution> {
    let runs: Vec<&RunRecord> = runs.into_iter().collect();
    let all = times().into_iter().map(|time| {
        let values: Vec<Option<u64>> = runs.iter().flat_map(|run| (time.values)(run)).collect();
        Distribution {
            name: time.name,
            sort: time.sort,
            is_part: time.is_part,
            percentiles: timing::percentiles(values.iter().flatten().copied()),
            endless: values.iter().filter(|value| value.is_none()).count() as u64,
        }
    });
    all.filter(|distribution| distribution.percentiles.is_some() || distribution.endless > 0).collect()
}

/// Runs that made checkpoints, but kept no times of them.
pub fn without_times(set: &RunSet) -> usize {
    let completed = |run: &RunRecord| run.totals.events_by_name.get("checkpoint-completed").is_some_and(|n| *n > 0);
    set.runs.iter().filter(|run| run.checkpoints.is_empty() && completed(run)).count()
}

/// Reads the values of a time from a record; `None`: it did not end.
type Values = Box<dyn Fn(&RunRecord) -> Vec<Option<u64>>>;

/// A time and how to read it.
struct Time {
    name: String,
    sort: Sort,
    is_part: bool,
    values: Values,
}

impl Time {
    fn new(name: &str, sort: Sort, values: impl Fn(&RunRecord) -> Vec<Option<u64>> + 'static) -> Time {
        Time { name: name.to_owned(), sort, is_part: false, values: Box::new(values) }
    }

    fn part(self) -> Time {
        Time { is_part: true, ..self }
    }
}

fn times() -> Vec<Time> {
    let mut times = vec![
        Time::new("trigger gap T", Sort::Gap, |run| timing::trigger_gaps_ns(run).into_iter().map(Some).collect()),
        Time::new("checkpoint duration d", Sort::Checkpoint, |run| {
            run.checkpoints.iter().filter_map(CheckpointRecord::duration_ns).map(Some).collect()
        }),
    ];
    for (index, (name, _)) in CheckpointParts::default().named().into_iter().enumerate() {
        let part = move |run: &RunRecord| {
            let parts = run.checkpoints.iter().filter_map(|checkpoint| checkpoint.parts);
            parts.map(|parts| Some(parts.named()[index].1)).collect()
        };
        times.push(Time::new(name, Sort::Checkpoint, part).part());
    }
    times.push(Time::new("commit t_c", Sort::Checkpoint, |run| {
        let completed = run.checkpoints.iter().filter(|checkpoint| checkpoint.duration_ns().is_some());
        completed.map(CheckpointRecord::commit_ns).collect()
    }));
    times.push(Time::new("longest latency T + d + t_c", Sort::Gap, |run| {
        timing::latencies_ns(run).into_iter().map(Some).collect()
    }));
    for (name, phase) in PHASES {
        times.push(Time::new(name, Sort::SlowestSubtask, move |run| slowest(run, phase)));
    }
    times.push(Time::new("outage D", Sort::Recovery, |run| {
        run.recoveries.iter().map(|recovery| recovery.outage_ns()).collect()
    }));
    for (index, (name, _)) in RecoveryParts::default().named().into_iter().enumerate() {
        let part = move |run: &RunRecord| {
            let parts = run.recoveries.iter().filter_map(|recovery| recovery.parts);
            parts.map(|parts| Some(parts.named()[index].1)).collect()
        };
        times.push(Time::new(name, Sort::Recovery, part).part());
    }
    times.push(Time::new("snapshot age A", Sort::Recovery, |run| {
        let restored = run.recoveries.iter().filter(|recovery| recovery.restored_checkpoint.is_some());
        restored.map(|recovery| Some(recovery.snapshot_age_ns)).collect()
    }));
    times.push(Time::new("caught up after", Sort::Recovery, |run| {
        let after = |at: Option<u64>, failed: u64| at.and_then(|at| at.checked_sub(failed));
        run.recoveries.iter().map(|recovery| after(recovery.caught_up_at_ns, recovery.failed_at_ns)).collect()
    }));
    times
}

/// From when to when a phase of a subtask lasts; the trigger is given.
type Phase = fn(&SubtaskCheckpoint, u64) -> Option<(u64, u64)>;

const PHASES: [(&str, Phase); 5] = [
    ("max barrier", |subtask, triggered| Some((triggered, subtask.first_barrier_ns?))),
    // A source has no barrier to wait for.
    ("max alignment", |subtask, _| Some((subtask.first_barrier_ns?, subtask.aligned_ns?))),
    ("max sync", |subtask, _| Some((subtask.aligned_ns.or(subtask.first_barrier_ns)?, subtask.sync_end_ns?))),
    ("max async", |subtask, _| Some((subtask.sync_end_ns?, subtask.async_end_ns?))),
    ("max ack", |subtask, _| Some((subtask.async_end_ns?, subtask.acknowledged_ns?))),
];

/// Of each completed checkpoint the longest phase of any subtask.
fn slowest(run: &RunRecord, phase: Phase) -> Vec<Option<u64>> {
    let completed = run.checkpoints.iter().filter(|checkpoint| checkpoint.duration_ns().is_some());
    let longest = completed.filter_map(|checkpoint| {
        let phases = checkpoint.subtasks.iter().filter_map(|subtask| phase(subtask, checkpoint.triggered_at_ns));
        phases.filter_map(|(from, to)| to.checked_sub(from)).max()
    });
    longest.map(Some).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    fn named<'d>(all: &'d [Distribution], name: &str, sort: Sort) -> &'d Distribution {
        all.iter().find(|one| one.name == name && one.sort == sort).expect("in the fixture")
    }

    #[test]
    fn every_time_of_a_run_is_there_once() {
        let run = fixtures::passed();
        let all = of([&run]);
        let of = |name, sort| named(&all, name, sort).percentiles.expect("values");
        assert_eq!(of("checkpoint duration d", Sort::Checkpoint).count, 7);
        assert_eq!(of("trigger gap T", Sort::Gap).count, 4);
        assert_eq!(of("async", Sort::Checkpoint).max_ns, 800_000_000);
        assert_eq!(of("outage D", Sort::Recovery).count, 1);
        assert_eq!(of("snapshot age A", Sort::Recovery).max_ns, 1_500_000_000);
        let mut names: Vec<_> = all.iter().map(|one| (&one.name, one.sort)).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_did_not_end_is_counted_apart() {
        let mut run = fixtures::passed();
        (run.recoveries[0].parts, run.recoveries[0].caught_up_at_ns) = (None, None);
        let all = of([&run]);
        for name in ["outage D", "caught up after"] {
            let one = named(&all, name, Sort::Recovery);
            assert_eq!((one.percentiles, one.endless), (None, 1), "{name}");
        }
    }

    #[test]
    fn runs_of_a_long_sweep_are_missed() {
        let mut set = fixtures::set();
        assert_eq!(without_times(&set), 0);
        set.runs[0].checkpoints.clear();
        set.runs[0].totals.events_by_name.insert("checkpoint-completed".into(), 7);
        assert_eq!(without_times(&set), 1);
    }

    proptest! {
        #[test]
        fn any_runs_have_distributions(runs in prop::collection::vec(fixtures::any_run(), 0..3)) {
            for one in of(&runs) {
                if let Some(p) = one.percentiles {
                    prop_assert!(p.min_ns <= p.p50_ns && p.p50_ns <= p.p90_ns && p.p90_ns <= p.p99_ns && p.p99_ns <= p.max_ns);
                }
            }
        }
    }
}
