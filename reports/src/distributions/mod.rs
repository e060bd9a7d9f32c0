//! The distribution of every quantity that a set of runs measured: count, p50, p90, p99, maximum.
//!
//! Start at [`of`]; `quantities` lists the quantities, and how each is read from a record. Values go through HDR
//! histograms, which are exact to three digits; minimum and maximum are exact. There are several sorts of quantities,
//! and the tables name the sort:
//!
//! - **one per checkpoint or recovery, in parts**: the parts of one checkpoint or recovery sum to its whole, along the
//!   critical path (R1 of [`record`](crate::record)). Percentiles of parts do not sum, because the slowest upload and
//!   the slowest barrier belong to different checkpoints.
//! - **the slowest subtask of a checkpoint**, for each phase: a maximum over subtasks that work in parallel. Such
//!   maxima are never summed, because each may belong to another subtask.
//! - **one per subtask of a checkpoint**: its phases and its throughput.
//! - **what may not end**: commits, outages and recoveries. Those that did not end are counted separately, and are in
//!   no percentile.
//!
//! A long sweep keeps no times of runs that passed. [`without_times`] counts these runs, and every document states the
//! number.

use crate::record::{RunRecord, RunSet};
use crate::timing::{self, Percentiles};
use crate::units::Unit;

pub mod html;
pub mod json;
mod quantities;
pub mod tables;

/// What a value of the quantity belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Between neighbouring periodic checkpoints.
    Gap,
    /// A completed checkpoint, or its part along the critical path.
    CriticalPath,
    /// A completed checkpoint as a whole.
    Checkpoint,
    /// The slowest subtask of a completed checkpoint.
    SlowestSubtask,
    /// A subtask of a completed checkpoint.
    Subtask,
    /// A recovery, or a part of its outage.
    Recovery,
}

impl Sort {
    /// The words in tables.
    pub fn label(self) -> &'static str {
        match self {
            Sort::Gap => "pair of checkpoints",
            Sort::CriticalPath => "checkpoint, critical path",
            Sort::Checkpoint => "checkpoint",
            Sort::SlowestSubtask => "checkpoint, slowest subtask",
            Sort::Subtask => "checkpoint and subtask",
            Sort::Recovery => "recovery",
        }
    }

    /// The word in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Sort::Gap => "gap",
            Sort::CriticalPath => "critical-path",
            Sort::Checkpoint => "checkpoint",
            Sort::SlowestSubtask => "slowest-subtask",
            Sort::Subtask => "subtask",
            Sort::Recovery => "recovery",
        }
    }
}

/// All values of one quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Which quantity, e.g. `checkpoint duration d`.
    pub name: &'static str,
    /// Unit of the numbers.
    pub unit: Unit,
    /// What one value belongs to.
    pub sort: Sort,
    /// Whether the quantity is a part of the whole above it.
    pub is_part: bool,
    /// Percentiles of the values that ended; `None`: none ended.
    pub percentiles: Option<Percentiles>,
    /// How many values did not end within their run.
    pub endless: u64,
}

/// Every quantity in a fixed order. Quantities without a value are left out.
pub fn of<'r>(runs: impl IntoIterator<Item = &'r RunRecord>) -> Vec<Distribution> {
    let runs: Vec<&RunRecord> = runs.into_iter().collect();
    let all = quantities::all().into_iter().map(|quantity| {
        let values: Vec<Option<u64>> = runs.iter().flat_map(|run| (quantity.values)(run)).collect();
        Distribution {
            name: quantity.name,
            unit: quantity.unit,
            sort: quantity.sort,
            is_part: quantity.is_part,
            percentiles: timing::percentiles(values.iter().flatten().copied()),
            endless: values.iter().filter(|value| value.is_none()).count() as u64,
        }
    });
    all.filter(|distribution| distribution.percentiles.is_some() || distribution.endless > 0).collect()
}

/// Number of runs that made checkpoints but kept no times of them.
pub fn without_times(set: &RunSet) -> usize {
    let completed = |run: &RunRecord| run.totals.events_by_name.get("checkpoint-completed").is_some_and(|n| *n > 0);
    set.runs.iter().filter(|run| run.checkpoints.is_empty() && completed(run)).count()
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
    fn every_quantity_of_a_run_is_there_once() {
        let run = fixtures::passed();
        let all = of([&run]);
        let of = |name, sort| named(&all, name, sort).percentiles.expect("values");
        assert_eq!(of("checkpoint duration d", Sort::CriticalPath).count, 7);
        assert_eq!(of("trigger gap T", Sort::Gap).count, 4);
        assert_eq!(of("async", Sort::CriticalPath).max, 800_000_000);
        assert_eq!(of("outage D", Sort::Recovery).count, 1);
        assert_eq!(of("snapshot age A", Sort::Recovery).max, 1_500_000_000);
        assert_eq!(of("lost work c", Sort::Checkpoint).max, 12_000_000);
        assert_eq!(of("state S", Sort::Checkpoint).count, 7);
        assert_eq!(
            (of("state in new files", Sort::Checkpoint).min, of("state in new files", Sort::Checkpoint).max),
            (262_500, 2_100_000)
        );
        // 700,000 bytes in 98 ms, by the slowest of three subtasks.
        assert_eq!(of("upload B", Sort::Subtask).count, 21);
        assert_eq!(of("upload B", Sort::Subtask).min, 875_000);
        assert_eq!(of("catching up", Sort::Recovery).max, 1_659_600_000);
        assert_eq!(of("load B", Sort::Recovery).max, 6_176_470);
        assert_eq!(of("capacity with checkpoints μ", Sort::Recovery).max, 7_965);
        let mut names: Vec<_> = all.iter().map(|one| (one.name, one.sort)).collect();
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
        for name in ["outage D", "recovery R"] {
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
                    prop_assert!(p.min <= p.p50 && p.p50 <= p.p90 && p.p90 <= p.p99 && p.p99 <= p.max);
                }
            }
        }
    }
}
