//! The times that runs measured, pooled over several runs.
//!
//! Start at [`Samples::of`], the times of one run, and [`Measured::of`], the times of several. Only times that the
//! formulas describe are used: periodic checkpoints that completed, gaps between neighbours of these, and recoveries
//! that caught up. Sums are made of integers, or of sorted floats where a product would overflow, so the order of the
//! runs does not matter.

use std::collections::BTreeMap;

use crate::record::{CheckpointRecord, RunRecord};
use crate::timing::{DueTrigger, due_triggers};

/// The times of one run in nanoseconds, in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    periods: Vec<u64>,
    durations: Vec<u64>,
    costs: Vec<u64>,
    commits: Vec<u64>,
    outages: Vec<u64>,
    recoveries: Vec<u64>,
    ages: Vec<u64>,
    /// A gap, and how long the record directly after the gap's first barrier waited.
    waits: Vec<(u64, u64)>,
}

impl Samples {
    /// What a run measured.
    pub(super) fn of(run: &RunRecord) -> Samples {
        let gaps = due_triggers(&run.checkpoints, &run.settings);
        let periodic = || run.checkpoints.iter().filter(|checkpoint| checkpoint.kind == "periodic");
        // A commit before the trigger of its own checkpoint is impossible, so it is ignored.
        let wait = |due: &DueTrigger<'_>| Some((due.gap_ns(), due.latency_ns().filter(|wait| *wait >= due.gap_ns())?));
        let recovered = || {
            let whole = run.recoveries.iter().filter_map(|one| Some((one, one.outage_ns()?, one.total_ns()?)));
            // An outage that is longer than its recovery is impossible, so it is ignored.
            whole.filter(|(_, outage, total)| outage <= total)
        };
        let restored = recovered().filter(|(one, ..)| one.restored_checkpoint.is_some());
        Samples {
            periods: gaps.iter().map(DueTrigger::gap_ns).collect(),
            durations: periodic().filter_map(CheckpointRecord::duration_ns).collect(),
            costs: periodic().filter_map(CheckpointRecord::lost_work_ns).collect(),
            commits: periodic().filter_map(CheckpointRecord::commit_ns).collect(),
            outages: recovered().map(|(_, outage, _)| outage).collect(),
            recoveries: recovered().map(|(.., total)| total).collect(),
            ages: restored.map(|(one, ..)| one.snapshot_age_ns).collect(),
            waits: gaps.iter().filter_map(wait).collect(),
        }
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.durations.is_empty() && self.recoveries.is_empty()
    }
}

/// Several measurements of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// Number of measurements.
    pub count: usize,
    /// Their mean, seconds.
    pub mean: f64,
    /// The shortest, seconds.
    pub least: f64,
    /// The longest, seconds.
    pub greatest: f64,
}

impl Times {
    /// Summarises nanoseconds; `None` if there are none.
    fn of(mut ns: Vec<u64>) -> Option<Times> {
        ns.sort_unstable();
        let seconds = |ns: u64| ns as f64 / 1e9;
        let sum: u128 = ns.iter().map(|ns| u128::from(*ns)).sum();
        Some(Times {
            count: ns.len(),
            mean: sum as f64 / ns.len() as f64 / 1e9,
            least: seconds(*ns.first()?),
            greatest: seconds(*ns.last()?),
        })
    }
}

/// What several runs measured. A time is `None` if no run measured it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// How many runs each scenario has.
    pub scenarios: BTreeMap<String, usize>,
    /// Time from trigger to trigger, T.
    pub period: Option<Times>,
    /// Time from trigger to completion, d.
    pub duration: Option<Times>,
    /// Work lost per checkpoint c.
    pub cost: Option<Times>,
    /// Time from completion to the last commit, t_c.
    pub commit: Option<Times>,
    /// Time from the fault until lasting progress, D, of recoveries that caught up.
    pub outage: Option<Times>,
    /// Time from the failure until caught up, R.
    pub recovery: Option<Times>,
    /// Age A of the restored snapshots, of recoveries that caught up.
    pub age: Option<Times>,
    /// Mean time in seconds until a record's output is visible, without failures, if records arrive evenly.
    pub latency: Option<f64>,
    /// The same for the record directly after each barrier, which waits longest in its gap.
    pub longest: Option<Times>,
}

impl Measured {
    /// What these runs measured together; each has the name of its scenario and its samples.
    pub(super) fn of<'s>(runs: impl Iterator<Item = (&'s str, &'s Samples)>) -> Measured {
        let (mut scenarios, mut all) = (BTreeMap::new(), Samples::default());
        for (scenario, samples) in runs {
            *scenarios.entry(scenario.to_owned()).or_default() += 1;
            all.periods.extend(&samples.periods);
            all.durations.extend(&samples.durations);
            all.costs.extend(&samples.costs);
            all.commits.extend(&samples.commits);
            all.outages.extend(&samples.outages);
            all.recoveries.extend(&samples.recoveries);
            all.ages.extend(&samples.ages);
            all.waits.extend(&samples.waits);
        }
        Measured {
            scenarios,
            period: Times::of(all.periods),
            duration: Times::of(all.durations),
            cost: Times::of(all.costs),
            commit: Times::of(all.commits),
            outage: Times::of(all.outages),
            recovery: Times::of(all.recoveries),
            age: Times::of(all.ages),
            longest: Times::of(all.waits.iter().map(|(_, wait)| *wait).collect()),
            latency: mean_wait(all.waits),
        }
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.scenarios.values().sum()
    }
}

/// Mean wait in seconds of records that arrive evenly. Within a gap g the wait falls from the longest wait w to w − g,
/// and a gap is weighted by its length. `None` if there are no gaps.
fn mean_wait(mut waits: Vec<(u64, u64)>) -> Option<f64> {
    waits.sort_unstable();
    let gaps: f64 = waits.iter().map(|(gap, _)| *gap as f64).sum();
    let weighed: f64 = waits.iter().map(|(gap, wait)| *gap as f64 * (*wait as f64 - *gap as f64 / 2.0)).sum();
    Some(weighed / gaps / 1e9).filter(|mean| mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_mean_has_its_ends_and_nothing_has_none() {
        let times = Times::of(vec![3_000_000_000, 1_000_000_000, 8_000_000_000]).unwrap();
        assert_eq!(times, Times { count: 3, mean: 4.0, least: 1.0, greatest: 8.0 });
        assert_eq!(Times::of(vec![]), None);
        assert!(Times::of(vec![u64::MAX; 3]).is_some_and(|times| (times.mean / times.greatest - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_long_gap_counts_more() {
        // Waits fall from 2 to 1 s during one second, and from 4 to 1 s during three.
        let mean = mean_wait(vec![(3_000_000_000, 4_000_000_000), (1_000_000_000, 2_000_000_000)]);
        assert_eq!(mean, Some((1.5 + 3.0 * 2.5) / 4.0));
        assert_eq!((mean_wait(vec![]), mean_wait(vec![(0, 5)])), (None, None));
    }

    #[test]
    fn only_what_ended_and_belongs_together_is_taken() {
        let measured = |run: &RunRecord| Measured::of([("a", &Samples::of(run))].into_iter());
        let run = fixtures::passed();
        let all = measured(&run);
        let counts = [all.period, all.duration, all.commit, all.longest, all.outage, all.recovery, all.age];
        // The final checkpoint and the one that was given up are in none of the counts.
        assert_eq!(counts.map(|times| times.map_or(0, |times| times.count)), [4, 6, 6, 4, 1, 1, 1]);
        let mut late = run.clone();
        late.recoveries[0].caught_up_at_ns = None;
        assert_eq!((measured(&late).outage, measured(&late).recovery), (None, None));
        let mut early = run;
        early.recoveries[0].caught_up_at_ns = Some(early.recoveries[0].failed_at_ns + 1);
        assert_eq!(measured(&early).recovery, None);
        assert!(Samples::of(&fixtures::empty()).is_empty());
    }
}
