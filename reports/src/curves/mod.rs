//! What a set of runs says about the checkpoint period T: overhead, recovery, availability and latency, measured and expected.
//!
//! Start at [`Curves::of`]. Unlike the runs of a sweep ([`tuning`](crate::tuning)), the runs of a set have little in
//! common. Only runs of one [`Kind`] are comparable, and a [`Group`] holds the passed runs of one kind. Its runs with
//! one interval are one [`Point`]. What all of them measured ([`Measured`]) is the input of the formulas, whose lines
//! run through and beyond the points. [`svg`] draws the curves, [`tables`] gives them without pictures, and [`html`]
//! puts both into the report.
//!
//! The formulas get means of c, d, D and t_c, not medians, because a dot is a mean, and the expected value is linear in
//! each of them. With medians, one long outage would put the dot beside its line although the formula is right. Runs of
//! a group may still differ in their state and in the faults that struck them, so D is the mean of different outages: a
//! dot that is off its line deserves a look, but proves nothing.
//!
//! Invariants: (CURVES-C1) every passed run that measured something is counted in one point of one group, and the order
//! of the runs does not matter; (CURVES-C2) outside of its domain a formula has no value, and inside of it a finite
//! value that is not negative.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use self::measured::Samples;
pub use self::measured::{Measured, Times};
use crate::formulas::load::{Load, expected_recovery, unavailability};
use crate::formulas::trigger::{exactly_once_latency_max, exactly_once_latency_mean};
use crate::numbers;
use crate::record::{RunRecord, RunSet, Verdict};

pub mod html;
mod measured;
pub mod svg;
pub mod tables;

/// Mean time between failures M in seconds, used for the availability. It is an assumption, and is called one wherever
/// it is used: a run shows what a failure costs, not how often failures come.
pub const ASSUMED_MTBF: f64 = 3_600.0;

/// Most groups that are shown; more colours could not be told apart.
pub const GROUPS_MAX: usize = 6;

/// Most intervals of a group that are shown: a swarm may draw a different interval for every run.
pub const INTERVALS_MAX: usize = 24;

/// A line extends by this factor below and above the measured periods. A decade and a half each way shows both ends of
/// the curve.
const WINDOW: f64 = 30.0;

/// What runs must have in common to be comparable. Ordered by its fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Name of the job.
    pub job: String,
    /// State backend.
    pub backend: String,
    /// Parallelism of the job.
    pub parallelism: u32,
    /// Bits of the input rate. For positive numbers the bits sort like the numbers.
    rate: u64,
    /// Predicted capacity in records per second, rounded to three digits. It distinguishes clusters and weights.
    /// `None`: not known.
    capacity: Option<u64>,
    /// Name of the cost profile.
    pub cost_profile: String,
    /// The target of the runs: times of processes cannot be compared with those of a simulation.
    pub target: String,
}

impl Kind {
    fn of(run: &RunRecord) -> Kind {
        Kind {
            job: run.job.name.clone(),
            backend: run.job.backend.clone(),
            parallelism: run.job.parallelism,
            rate: run.settings.input_rate.to_bits(),
            capacity: run.prediction.as_ref().and_then(|prediction| rounded(prediction.capacity?)),
            cost_profile: run.cost_profile.clone(),
            target: run.target.clone(),
        }
    }

    /// Input rate λ in records per second. `None`: the input has no rate, so the formulas do not know the load.
    pub fn rate(&self) -> Option<f64> {
        Some(f64::from_bits(self.rate)).filter(|rate| rate.is_finite() && *rate > 0.0)
    }

    /// The kind in one line.
    pub fn label(&self) -> String {
        let rate = self.rate().map_or_else(|| "as fast as it goes".into(), numbers::rate);
        let target = if self.target == "sim" { String::new() } else { format!(", {}", self.target) };
        let bears = self.capacity.map_or_else(String::new, |n| format!(" of {}", numbers::rate(n as f64)));
        let Kind { job, backend, parallelism, cost_profile, .. } = self;
        format!("{job}, {backend}, parallelism {parallelism}, {rate}{bears}, {cost_profile}{target}")
    }
}

/// A rate rounded to three digits; `None` if it is not finite and positive.
fn rounded(rate: f64) -> Option<u64> {
    let rounded: f64 = format!("{rate:.2e}").parse().ok()?;
    (rounded.is_finite() && rounded >= 1.0).then_some(rounded as u64)
}

/// The runs of a group with one checkpoint interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Checkpoint interval I, nanoseconds.
    pub interval_ns: u64,
    /// What the runs measured.
    pub measured: Measured,
}

/// Passed runs of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What the runs have in common.
    pub kind: Kind,
    /// Points in the order of intervals. If there are more than [`INTERVALS_MAX`], those with the most runs are kept,
    /// then those with the shortest intervals.
    pub points: Vec<Point>,
    /// How many intervals are left out.
    pub left_out: usize,
    /// What all runs measured, including those of intervals that are left out.
    pub whole: Measured,
}

/// The groups of a set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// Groups with the most runs first, then by kind; at most [`GROUPS_MAX`].
    pub groups: Vec<Group>,
    /// How many groups are left out.
    pub left_out: usize,
    /// How many runs these groups have.
    pub runs_left_out: usize,
}

impl Curves {
    /// Groups the passed runs of a set.
    pub fn of(set: &RunSet) -> Curves {
        let mut by_kind: BTreeMap<Kind, ByInterval<'_>> = BTreeMap::new();
        for run in set.runs.iter().filter(|run| run.verdict == Verdict::Passed) {
            let samples = Samples::of(run);
            if !samples.is_empty() {
                let group = by_kind.entry(Kind::of(run)).or_default();
                group.entry(run.settings.interval_ns).or_default().push((run, samples));
            }
        }
        let mut groups: Vec<Group> = by_kind.into_iter().map(|(kind, runs)| group(kind, &runs)).collect();
        // The sort is stable, so groups with equal numbers of runs stay in the order of kinds.
        groups.sort_by_key(|group| Reverse(group.whole.runs()));
        let others = groups.split_off(groups.len().min(GROUPS_MAX));
        let runs_left_out = others.iter().map(|group| group.whole.runs()).sum();
        Curves { groups, left_out: others.len(), runs_left_out }
    }

    /// The shortest and the longest period that a picture shows, in seconds; `None`: no group knows its period.
    pub fn window(&self) -> Option<(f64, f64)> {
        numbers::extremes(self.groups.iter().filter_map(Group::window).flat_map(|(from, to)| [from, to]))
    }
}

/// Runs with what they measured, by checkpoint interval in nanoseconds.
type ByInterval<'r> = BTreeMap<u64, Vec<(&'r RunRecord, Samples)>>;

fn group(kind: Kind, runs: &ByInterval<'_>) -> Group {
    let whole = Measured::of(runs.values().flatten().map(|(run, samples)| (run.scenario.as_str(), samples)));
    let point = |(interval_ns, runs): (&u64, &Vec<(&RunRecord, Samples)>)| Point {
        interval_ns: *interval_ns,
        measured: Measured::of(runs.iter().map(|(run, samples)| (run.scenario.as_str(), samples))),
    };
    let mut points: Vec<Point> = runs.iter().map(point).collect();
    points.sort_by_key(|point| Reverse(point.measured.runs()));
    let left_out = points.len().saturating_sub(INTERVALS_MAX);
    points.truncate(INTERVALS_MAX);
    points.sort_by_key(|point| point.interval_ns);
    Group { kind, points, left_out, whole }
}

impl Group {
    /// The shortest and the longest period of the group's lines, in seconds; `None`: no point knows its period.
    pub fn window(&self) -> Option<(f64, f64)> {
        let periods = self.points.iter().filter_map(|point| point.measured.period);
        let positive = periods.map(|period| period.mean).filter(|mean| *mean > 0.0);
        numbers::extremes(positive).map(|(from, to)| (from / WINDOW, to * WINDOW))
    }

    /// Predicted capacity μ without checkpoints, in records per second; `None`: not known.
    pub fn capacity(&self) -> Option<f64> {
        self.kind.capacity.map(|capacity| capacity as f64)
    }

    /// Load ρ = λ/μ, without which a recovery time means nothing. `None`: λ or μ is not known.
    pub fn load_share(&self) -> Option<f64> {
        Some(self.kind.rate()? / self.capacity()?)
    }

    /// The input of the load-aware formulas; `None` if a part of it is not known.
    fn load(&self) -> Option<Load> {
        Some(Load {
            cost: self.whole.cost?.mean,
            duration: self.whole.duration?.mean,
            outage: self.whole.outage?.mean,
            rate: self.kind.rate()?,
            capacity: self.capacity()?,
            mtbf: ASSUMED_MTBF,
            weight: 1.0,
        })
    }

    /// `c/T` for a period in seconds, as a share of time; `None` if it is more than all of the time.
    pub fn expected_overhead(&self, period: f64) -> Option<f64> {
        share(self.whole.cost?.mean, period)
    }

    /// `R(T)` for a period, both in seconds.
    pub fn expected_recovery(&self, period: f64) -> Option<f64> {
        expected_recovery(period, &self.load()?).ok()
    }

    /// `R(T)/M` for a period in seconds, as a share of time; `None` if the output would always be late.
    pub fn expected_late(&self, period: f64) -> Option<f64> {
        unavailability(period, &self.load()?).ok().filter(|late| *late < 1.0)
    }

    /// `T/2 + d + t_c` for a period, in seconds.
    pub fn expected_latency(&self, period: f64) -> Option<f64> {
        exactly_once_latency_mean(period, self.whole.duration?.mean, self.whole.commit?.mean).ok()
    }

    /// `T + d + t_c` for a period, in seconds.
    pub fn expected_longest(&self, period: f64) -> Option<f64> {
        exactly_once_latency_max(period, self.whole.duration?.mean, self.whole.commit?.mean).ok()
    }
}

impl Measured {
    /// Overhead c/T, as a share of time.
    pub fn overhead(&self) -> Option<f64> {
        share(self.cost?.mean, self.period?.mean)
    }

    /// Share R/M of the time in which the output is late, with the assumed M; at most 1.
    pub fn late(&self) -> Option<f64> {
        Some((self.recovery?.mean / ASSUMED_MTBF).min(1.0))
    }
}

/// `part` as a share of a period; `None` if it is more than the whole.
fn share(part: f64, period: f64) -> Option<f64> {
    Some(part / period).filter(|share| (0.0..=1.0).contains(share))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::prediction::Prediction;

    /// A run of a scenario whose capacity is known.
    fn run(scenario: &str, change: impl Fn(&mut RunRecord)) -> RunRecord {
        let prediction = Prediction { capacity: Some(4_000.0), ..Prediction::default() };
        let mut run = RunRecord { scenario: scenario.into(), prediction: Some(prediction), ..fixtures::passed() };
        change(&mut run);
        run
    }

    fn of(runs: Vec<RunRecord>) -> Curves {
        Curves::of(&RunSet { runs, ..fixtures::set() })
    }

    #[test]
    fn runs_are_grouped_by_what_makes_them_comparable() {
        let runs = vec![
            run("a", |_| {}),
            run("b", |run| run.settings.interval_ns *= 2),
            run("c", |_| {}),
            run("d", |run| run.job.backend = "fs".into()),
            run("e", |run| run.settings.input_rate = 0.0),
            run("f", |run| run.verdict = Verdict::Vacuous { missing: "fault 1 never struck".into() }),
            run("h", |run| run.prediction = Some(Prediction { capacity: Some(8_004.0), ..Prediction::default() })),
            run("i", |run| run.prediction = Some(Prediction { capacity: Some(7_996.0), ..Prediction::default() })),
            RunRecord { scenario: "g".into(), ..fixtures::empty() },
        ];
        let curves = of(runs);
        let labels: Vec<String> = curves.groups.iter().map(|group| group.kind.label()).collect();
        let label = |backend, rate| format!("string-length-count, {backend}, parallelism 2, {rate}, laptop-2026");
        let [as_fast, other] = ["as fast as it goes of 4 k/s", "2 k/s of 8 k/s"].map(|rate| label("rocksdb", rate));
        assert_eq!(labels, [label("rocksdb", "2 k/s of 4 k/s"), other, label("fs", "2 k/s of 4 k/s"), as_fast]);
        let intervals: Vec<(u64, usize)> =
            curves.groups[0].points.iter().map(|point| (point.interval_ns, point.measured.runs())).collect();
        assert_eq!(intervals, [(1_000_000_000, 2), (2_000_000_000, 1)]);
        assert_eq!((curves.groups[0].whole.runs(), curves.left_out), (3, 0));
    }

    #[test]
    fn a_point_lies_where_the_formulas_of_its_group_say() {
        let curves = of(vec![run("a", |_| {})]);
        let (group, point) = (&curves.groups[0], &curves.groups[0].points[0].measured);
        // Gaps of 1, 1, 1 and 1 s; synchronous parts of 10 ms, except for one of 12 ms.
        let (period, cost) = (point.period.unwrap(), point.cost.unwrap());
        assert_eq!((period.count, period.mean), (4, 1.0));
        assert_eq!((cost.count, cost.mean), (6, 0.062 / 6.0));
        assert_eq!(point.overhead(), group.expected_overhead(1.0));
        assert_eq!((point.outage.unwrap().mean, point.recovery.unwrap().mean), (3.4504, 5.11));
        assert_eq!(point.late(), Some(5.11 / 3_600.0));
        // λ/μ is one half, so the recovery is twice the outage plus the age of the snapshot.
        let expected = group.expected_recovery(1.0).unwrap();
        let age = 0.5 + point.duration.unwrap().mean;
        assert!((expected / (2.0 * point.outage.unwrap().mean + age) - 1.0).abs() < 0.03, "{expected}");
        assert!((group.expected_late(1.0).unwrap() * ASSUMED_MTBF - expected).abs() < 1e-9);
        assert_eq!((group.window(), group.load_share()), (Some((1.0 / 30.0, 30.0)), Some(0.5)));
    }

    #[test]
    fn what_is_not_known_or_outside_of_a_domain_has_no_value() {
        let without = |change: fn(&mut RunRecord)| of(vec![run("a", change)]).groups.remove(0);
        assert_eq!(without(|run| run.prediction = None).expected_recovery(1.0), None);
        assert_eq!(without(|run| run.settings.input_rate = 0.0).expected_recovery(1.0), None);
        assert_eq!(without(|run| run.settings.input_rate = 4_000.0).expected_recovery(1.0), None);
        assert_eq!(without(|run| run.recoveries[0].caught_up_at_ns = None).expected_late(1.0), None);
        let group = without(|_| {});
        // c/(1 − ρ) is about 20 ms.
        assert_eq!((group.expected_recovery(0.01), group.expected_overhead(0.005)), (None, None));
        assert!(group.expected_recovery(0.1) > group.expected_recovery(1.0));
        for period in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!((group.expected_latency(period), group.expected_longest(period)), (None, None));
        }
    }

    #[test]
    fn of_many_groups_and_intervals_those_with_the_most_runs_are_shown() {
        let mut runs: Vec<RunRecord> = (0..9u32).map(|n| run("a", |run| run.job.parallelism = 2 + n)).collect();
        runs.push(run("b", |run| run.job.parallelism = 10));
        let curves = of(runs);
        let shown: Vec<u32> = curves.groups.iter().map(|group| group.kind.parallelism).collect();
        assert_eq!(shown, [10, 2, 3, 4, 5, 6]);
        assert_eq!((curves.left_out, curves.runs_left_out), (3, 3));
        let mut runs: Vec<RunRecord> = (1..=40u64).map(|n| run("a", |run| run.settings.interval_ns = n)).collect();
        runs.push(run("b", |run| run.settings.interval_ns = 40));
        let group = of(runs).groups.remove(0);
        assert_eq!((group.points.len(), group.left_out, group.whole.runs()), (INTERVALS_MAX, 16, 41));
        assert_eq!(group.points.last().map(|point| (point.interval_ns, point.measured.runs())), Some((40, 2)));
        assert!(group.points.is_sorted_by_key(|point| point.interval_ns));
    }

    proptest! {
        #[test]
        fn any_runs_have_curves(mut runs in prop::collection::vec(fixtures::any_run(), 0..4), period in any::<f64>()) {
            for (run, n) in runs.iter_mut().zip(0..) {
                let capacity = [None, Some(1e4), Some(f64::MAX), Some(-1.0)][n % 4];
                run.prediction = Some(Prediction { capacity, ..Prediction::default() });
            }
            let curves = of(runs.clone());
            let counted: usize = curves.groups.iter().map(|group| group.whole.runs()).sum();
            let measured = |run: &&RunRecord| run.verdict == Verdict::Passed && !Samples::of(run).is_empty();
            prop_assert_eq!(counted + curves.runs_left_out, runs.iter().filter(measured).count(), "CURVES-C1");
            for group in &curves.groups {
                let of_points: usize = group.points.iter().map(|point| point.measured.runs()).sum();
                prop_assert_eq!(of_points, group.whole.runs(), "CURVES-C1");
                for period in [period, 1.0, 1e-9] {
                    let expected = [
                        group.expected_overhead(period), group.expected_recovery(period), group.expected_late(period),
                        group.expected_latency(period), group.expected_longest(period),
                    ];
                    prop_assert!(expected.iter().flatten().all(|value| value.is_finite() && *value >= 0.0), "CURVES-C2");
                }
            }
            runs.reverse();
            prop_assert_eq!(of(runs), curves, "CURVES-C1");
        }
    }
}
