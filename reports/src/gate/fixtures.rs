//! A hand-made baseline for tests: one scenario without faults, one with an outage, three runs in all.

use std::collections::BTreeMap;

use super::baseline::{BASELINE_VERSION, Baseline, RunBaseline, ScenarioBaseline};
use super::budget::{Budget, Budgets};
use super::judge::{Judgement, Measured, Note, judge};
use super::times::{Lapse, Measure, Times};
use crate::class::Class;

const MS: u64 = 1_000_000;

fn run(seed: u64, trace: &str, outages: &[u64]) -> RunBaseline {
    let ms = |values: &[u64]| values.iter().map(|ms| Lapse::Ns(ms * MS)).collect::<Vec<_>>();
    let mut times = Times::default();
    times.add(Measure::CheckpointDuration, ms(&[10, 20, 30]));
    times.add(Measure::TriggerGap, ms(&[1_000, 1_000]));
    times.add(Measure::Outage, ms(outages));
    times.add(Measure::CaughtUp, outages.iter().map(|ms| Lapse::Ns(2 * ms * MS)));
    RunBaseline { seed, verdict: Class::Passed, plan: "a".repeat(16), trace: trace.repeat(16), times }
}

fn scenario(name: &str, runs: Vec<RunBaseline>) -> ScenarioBaseline {
    ScenarioBaseline {
        scenario: name.into(),
        file: format!("scenarios/{name}.toml"),
        cost_profile: "builtin".into(),
        runs,
    }
}

/// A baseline of two scenarios.
pub(super) fn baseline() -> Baseline {
    Baseline {
        baseline_version: BASELINE_VERSION,
        engine: "e".repeat(16),
        cost_profiles: BTreeMap::from([("builtin".to_owned(), "c".repeat(16))]),
        budgets: Budgets::all(Budget::DEFAULT),
        scenarios: vec![
            scenario("calm", vec![run(1, "1", &[])]),
            scenario("kill", vec![run(1, "2", &[1_100]), run(2, "3", &[1_200])]),
        ],
    }
}

/// The same baseline, measured again.
pub(super) fn measured() -> Measured {
    let baseline = baseline();
    let note = |file: &str, seed: u64| Note {
        headline: String::new(),
        evidence: Vec::new(),
        replay: format!("cargo run -- run {file} --seed {seed}"),
    };
    let notes = baseline
        .scenarios
        .iter()
        .map(|scenario| scenario.runs.iter().map(|run| note(&scenario.file, run.seed)).collect())
        .collect();
    Measured { baseline, notes }
}

/// One judgement for each outcome, by name: the same, slower (and improved), changed (in three ways), worse (and not
/// built).
pub(super) fn judgements() -> Vec<(&'static str, Judgement)> {
    let budgets = Budgets::all(Budget::DEFAULT);
    let after = |edit: fn(&mut Measured)| {
        let mut now = measured();
        edit(&mut now);
        judge(&baseline(), &now, budgets)
    };
    vec![
        ("passed", after(|_| {})),
        ("slower", judge(&baseline(), &slower(), budgets)),
        (
            "changed",
            after(|now| {
                now.baseline.scenarios[0].runs[0].trace = "9".repeat(16);
                now.baseline.scenarios[1].runs[0].times.add(Measure::Outage, [Lapse::Ns(2_000 * MS)]);
                now.baseline.scenarios[1].runs[1].plan = "b".repeat(16);
            }),
        ),
        (
            "worse",
            after(|now| {
                now.baseline.scenarios[1].runs[0].verdict = Class::Failed;
                now.notes[1][0].headline = "O6: term 2 was opened twice (also violated: O1)".into();
                now.notes[1][0].evidence = vec![
                    "O6: term 2 was opened twice".into(),
                    "also O1: record 17 of split 0 was committed twice".into(),
                ];
                now.baseline.scenarios[0].runs[0].verdict = Class::NotBuilt;
                now.notes[0][0].headline = "built without `rocksdb`".into();
            }),
        ),
    ]
}

/// Another engine: outages are longer, a median is shorter, and a gap changed within the budget.
pub(super) fn slower() -> Measured {
    let mut now = measured();
    now.baseline.engine = "f".repeat(16);
    let runs = &mut now.baseline.scenarios[1].runs;
    runs[0] = run(1, "4", &[1_300]);
    runs[1] = run(2, "5", &[1_400]);
    let calm = &mut now.baseline.scenarios[0].runs[0];
    calm.trace = "6".repeat(16);
    let times = &mut calm.times;
    *times = Times::default();
    times.add(Measure::CheckpointDuration, [8, 19, 30].map(|ms| Lapse::Ns(ms * MS)));
    times.add(Measure::TriggerGap, [1_000, 1_001].map(|ms| Lapse::Ns(ms * MS)));
    now
}
