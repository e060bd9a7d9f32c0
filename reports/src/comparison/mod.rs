//! The same scenarios on several targets, side by side: verdicts, times, how far each is from its prediction, and where the protocol of
//! one goes another way.
//!
//! Start at [`Comparison::of`]; [`protocol`] says which steps are comparable. Runs of one scenario on one target, over all seeds and
//! repetitions, are one [`Side`]: numbers are given as least, median and greatest. The first target of the set is the one that
//! the others are held against; a run of another target is held against the run of the first one that has the same seed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::class::Class;
use crate::prediction;
use crate::record::{CheckpointEnd, Lapse, RecoveryParts, RunRecord, RunSet, worst_outage};

pub mod html;
pub mod picture;
pub mod protocol;
pub mod tables;

use protocol::{Difference, first_difference};

/// Version of the comparison's JSON.
pub const VERSION: u32 = 1;

/// Least, median (the lower of two middle ones) and greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread<T> {
    /// How many there are.
    pub count: usize,
    /// Least.
    pub min: T,
    /// Median.
    pub median: T,
    /// Greatest.
    pub max: T,
}

impl<T: Copy> Spread<T> {
    /// Of values in an order that `order` gives; `None` of none.
    fn of(mut values: Vec<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<Self> {
        values.sort_by(order);
        let middle = *values.get(values.len().saturating_sub(1) / 2)?;
        Some(Self { count: values.len(), min: *values.first()?, median: middle, max: *values.last()? })
    }
}

/// The longest outage of a run, in parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LongestOutage {
    /// How long.
    pub length: Lapse,
    /// Its parts; `None`: it had no end.
    pub parts: Option<RecoveryParts>,
}

/// How many runs of a side differ from the first target in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    /// Where.
    pub difference: Difference,
    /// Runs that differ in this way.
    pub runs: usize,
}

/// The runs of one scenario on one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The target.
    pub target: String,
    /// Places of the runs in the set.
    pub runs: Vec<usize>,
    /// The worst verdict.
    pub verdict: Class,
    /// Runs of each verdict.
    pub verdicts: BTreeMap<Class, usize>,
    /// What is missing, of runs that the target does not offer; else the first line of evidence of the worst run.
    pub why: String,
    /// The profile that the predictions were made with.
    pub profile: String,
    /// Completed checkpoints of a run.
    pub completed: Option<Spread<u64>>,
    /// Median duration of the completed checkpoints of a run, without the final one; ns.
    pub duration_ns: Option<Spread<u64>>,
    /// The longest outage of a run.
    pub outage: Option<Spread<Lapse>>,
    /// The longest outage whose length is the median.
    pub median_outage: Option<LongestOutage>,
    /// (measured − predicted)/measured of the duration of a checkpoint.
    pub duration_residual: Option<Spread<f64>>,
    /// The same of the outage after the fault.
    pub outage_residual: Option<Spread<f64>>,
    /// Runs that were held against one of the first target; `None`: this is the first target.
    pub compared: Option<usize>,
    /// Ways in which runs differ from the first target, the most frequent first; those that agree are in none.
    pub differing: Vec<Differing>,
}

/// One scenario on all targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub scenario: String,
    /// Its file.
    pub file: String,
    /// A side for each target that has runs of it, in the order of [`Comparison::targets`].
    pub sides: Vec<Side>,
}

/// Scenarios on several targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// [`VERSION`].
    pub version: u32,
    /// The targets, in the order in which they come first in the set.
    pub targets: Vec<String>,
    /// The scenarios, in the same order.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Of the runs of a set; `None`: they ran on one target.
    pub fn of(set: &RunSet) -> Option<Self> {
        let targets = targets(set);
        if targets.len() < 2 {
            return None;
        }
        let mut names: Vec<(&str, &str)> = Vec::new();
        let mut places: BTreeMap<(&str, &str), BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        for (index, run) in set.runs.iter().enumerate() {
            let name = (run.file.as_str(), run.scenario.as_str());
            let sides = places.entry(name).or_insert_with(|| {
                names.push(name);
                BTreeMap::new()
            });
            sides.entry(&run.target).or_default().push(index);
        }
        let row = |name: &(&str, &str)| {
            let runs = &places[name];
            let first = targets.iter().find_map(|target| Some((target, runs.get(target.as_str())?)));
            let side = |target: &String| {
                let own = runs.get(target.as_str())?;
                let base = first.filter(|(first, _)| *first != target).map(|(_, base)| base.as_slice());
                Some(Side::of(set, target, own, base))
            };
            Row { file: name.0.into(), scenario: name.1.into(), sides: targets.iter().filter_map(side).collect() }
        };
        Some(Self { version: VERSION, rows: names.iter().map(row).collect(), targets })
    }

    /// Pretty JSON, ended by a line break.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a comparison is always JSON") + "\n"
    }
}

/// The targets of a set, in the order in which they come first.
pub fn targets(set: &RunSet) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    for run in &set.runs {
        if !targets.contains(&run.target) {
            targets.push(run.target.clone());
        }
    }
    targets
}

impl Row {
    /// Whether verdicts or protocols of its sides differ, apart from what a target does not offer.
    pub fn differs(&self) -> bool {
        let ran = || self.sides.iter().filter(|side| side.verdict.ran());
        let verdicts = ran().any(|side| ran().next().is_some_and(|first| first.verdict != side.verdict));
        verdicts || self.sides.iter().any(|side| !side.differing.is_empty())
    }
}

impl Side {
    fn of(set: &RunSet, target: &str, runs: &[usize], base: Option<&[usize]>) -> Self {
        let all = || runs.iter().map(|index| &set.runs[*index]);
        let ran: Vec<&RunRecord> = all().filter(|run| run.verdict.class().ran()).collect();
        let mut verdicts = BTreeMap::new();
        all().for_each(|run| *verdicts.entry(run.verdict.class()).or_default() += 1);
        // Of equally bad ones the first.
        let worst = all().rev().max_by_key(|run| run.verdict.class());
        let residual = |what: &str| {
            let of = |run: &&RunRecord| prediction::compare(run).iter().find(|row| row.what == what)?.residual();
            Spread::of(ran.iter().filter_map(of).collect(), f64::total_cmp)
        };
        let durations = ran.iter().filter_map(|run| duration(run)).collect();
        let completed =
            |run: &&RunRecord| run.checkpoints.iter().filter(|one| one.end == CheckpointEnd::Completed).count() as u64;
        let outages: Vec<LongestOutage> = ran.iter().filter_map(|run| longest(run)).collect();
        let outage = Spread::of(outages.iter().map(|outage| outage.length).collect(), Ord::cmp);
        let median_outage = outage.and_then(|spread| outages.iter().find(|one| one.length == spread.median).copied());
        let base: Option<Vec<&RunRecord>> = base.map(|base| base.iter().map(|index| &set.runs[*index]).collect());
        let (compared, differing) = match &base {
            None => (None, Vec::new()),
            Some(base) => {
                let pair = |run: &&&RunRecord| {
                    base.iter().find(|one| one.seed == run.seed && one.verdict.class().ran()).copied()
                };
                let pairs: Vec<(&RunRecord, &RunRecord)> =
                    ran.iter().filter_map(|run| Some((pair(&run)?, *run))).collect();
                (Some(pairs.len()), differing(&pairs))
            }
        };
        Self {
            target: target.into(),
            runs: runs.to_vec(),
            verdict: worst.map_or(Class::Passed, |run| run.verdict.class()),
            verdicts,
            why: worst.map(|run| run.verdict.headline()).unwrap_or_default(),
            profile: ran.first().map(|run| run.cost_profile.clone()).unwrap_or_default(),
            completed: Spread::of(ran.iter().map(completed).collect(), Ord::cmp),
            duration_ns: Spread::of(durations, Ord::cmp),
            outage,
            median_outage,
            duration_residual: residual("checkpoint duration d"),
            outage_residual: residual("outage D"),
            compared,
            differing,
        }
    }
}

/// The median duration of the completed checkpoints of a run, without the final one.
fn duration(run: &RunRecord) -> Option<u64> {
    let periodic = run.checkpoints.iter().filter(|one| one.kind == "periodic");
    let durations = periodic.filter_map(|one| one.duration_ns()).collect();
    Spread::of(durations, Ord::cmp).map(|spread| spread.median)
}

/// The longest outage of a run.
fn longest(run: &RunRecord) -> Option<LongestOutage> {
    let length = worst_outage(&run.recoveries)?;
    let of = run.recoveries.iter().find(|one| one.outage() == length)?;
    Some(LongestOutage { length, parts: of.parts })
}

/// The ways in which the second of each pair differs from the first, the most frequent first.
fn differing(pairs: &[(&RunRecord, &RunRecord)]) -> Vec<Differing> {
    let mut ways: Vec<Differing> = Vec::new();
    for difference in pairs.iter().filter_map(|(first, second)| first_difference(first, second)) {
        match ways.iter_mut().find(|way| way.difference.key() == difference.key()) {
            Some(way) => way.runs += 1,
            None => ways.push(Differing { difference, runs: 1 }),
        }
    }
    ways.sort_by_key(|way| std::cmp::Reverse(way.runs));
    ways
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixtures;
    use crate::record::Verdict;

    /// A scenario on three targets: Flink runs it three times, is slower, and once fails over for another reason; and one that
    /// Flink does not offer.
    pub(crate) fn set() -> RunSet {
        let on = |target: &str, scenario: &str| RunRecord {
            target: target.into(),
            scenario: scenario.into(),
            cost_profile: match target {
                "flink" => "flink-2.2",
                "process" => "native",
                _ => "builtin",
            }
            .into(),
            ..fixtures::predicted()
        };
        let mut runs = vec![on("sim", "killed"), on("process", "killed")];
        for slower in [0, 400_000_000, 100_000_000] {
            let mut run = on("flink", "killed");
            if let Some(parts) = &mut run.recoveries[0].parts {
                parts.detect_ns += slower;
            }
            runs.push(run);
        }
        runs[3].course.attempts[0].root = "task-failed".into();
        runs.extend([on("sim", "cut"), on("process", "cut"), on("flink", "cut")]);
        runs[7] = RunRecord {
            checkpoints: vec![],
            recoveries: vec![],
            course: Default::default(),
            verdict: Verdict::NotOffered { target: "flink".into(), what: "fault 1: `cut`".into() },
            ..runs[7].clone()
        };
        RunSet { runs, ..fixtures::set() }
    }

    #[test]
    fn one_target_is_no_comparison() {
        assert_eq!(Comparison::of(&fixtures::set()), None);
        assert_eq!(Comparison::of(&RunSet { runs: vec![], ..fixtures::set() }), None);
    }

    #[test]
    fn sides_have_the_spread_of_their_runs_and_where_they_differ() {
        let comparison = Comparison::of(&set()).unwrap();
        assert_eq!(comparison.targets, ["sim", "process", "flink"]);
        let [killed, cut] = &comparison.rows[..] else { panic!("{comparison:#?}") };
        let [sim, process, flink] = &killed.sides[..] else { panic!("{killed:#?}") };
        assert_eq!((sim.compared, process.compared, flink.compared), (None, Some(1), Some(3)));
        assert!(process.differing.is_empty() && killed.differs());
        assert_eq!(flink.differing.len(), 1);
        assert_eq!(flink.differing[0].runs, 1);
        let outage = flink.outage.unwrap();
        assert_eq!(outage.count, 3);
        let ns = [outage.min, outage.median, outage.max].map(|lapse| lapse.ns().unwrap() / 1_000_000);
        assert_eq!(ns, [3_450, 3_550, 3_850]);
        assert_eq!(flink.median_outage.unwrap().parts.unwrap().detect_ns, 1_150_000_000);
        assert!(sim.duration_residual.is_some() && sim.outage_residual.is_some());
        let refused = &cut.sides[2];
        assert_eq!((refused.verdict, refused.compared), (Class::NotOffered, Some(0)));
        assert!(refused.outage.is_none() && refused.duration_ns.is_none() && refused.why.contains("cut"));
        assert!(!cut.differs(), "what is not offered is no difference");
    }

    #[test]
    fn the_json_can_be_read() {
        let json = Comparison::of(&set()).unwrap().to_json();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["rows"][0]["sides"][2]["differing"][0]["difference"]["second"]["step"], "failover");
        assert_eq!(read["rows"][1]["sides"][2]["verdict"], "not-offered");
    }
}
