//! A hunt in a made-up world: what enters the corpus, what is tried next, and that all runs are counted.

use std::path::Path;

use super::*;
use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::scenario::plan_problems;
use crate::search::seeds::Shard;

pub(super) fn scenario() -> Scenario {
    scenario_with("faults = [2, 5]")
}

/// The scenario that the tests hunt over, with these keys in its `[swarm]`.
pub(super) fn scenario_with(swarm: &str) -> Scenario {
    let text = r#"
name = "hunted"
why = "a hunt is tried on it"
[job]
name = "keyed-count"
params = { keys = 50, emit_every = 5 }
input = { generator = "orders", records = 4_800, splits = 4, rate = "400/s" }
[cluster]
task_managers = 4
job_managers = 2
[checkpointing]
retained = 3
timeout = "5s"
[swarm]
until = "10s"
heal_after = "50ms..1s"
nodes_down = 2
"#;
    Scenario::parse(&format!("{text}{swarm}\n"), Path::new("hunted.toml"), &catalogue(&Jobs::builtin())).unwrap()
}

fn signature(verdict: &str, failures: &[&str]) -> Signature {
    Signature {
        strike: None,
        verdict: verdict.into(),
        attempts: 1,
        roots: Vec::new(),
        failures: failures.iter().map(|name| (*name).to_owned()).collect(),
        noticed: BTreeSet::new(),
        steps: BTreeSet::new(),
        complete: None,
        under_way: None,
    }
}

pub(super) fn entry(scenario: &Scenario, seed: u64) -> Entry {
    Entry {
        name: "abc".into(),
        plan: scenario.plan(seed),
        scenario: 0,
        signals: BTreeSet::from([1]),
        fresh: 1,
        emitted: BTreeMap::new(),
        verdict: "passed",
        failed: false,
    }
}

fn seeds() -> Seeds {
    Seeds { first: 1, shard: Shard::default() }
}

/// A world in which a plan shows the kinds of its faults, pair by pair, and fails if two certain kinds follow each
/// other.
fn world(plan: &RunPlan) -> Shown {
    let kinds: Vec<&str> = plan.faults.iter().map(|fault| crate::faults::kind(&fault.action)).collect();
    let fails = kinds.windows(2).any(|pair| pair == ["clock-back", "half-open"]);
    let verdict = if fails {
        Verdict::Failed { oracle: "O1".into(), evidence: vec!["record 1 is lost".into()], also: vec![] }
    } else {
        Verdict::Passed
    };
    let signature = signature(if fails { "failed O1" } else { "passed" }, &kinds[..kinds.len().min(2)]);
    let steps = kinds
        .windows(2)
        .map(|pair| signals::class(u64::from(pair[0].as_bytes()[0]) * 256 + u64::from(pair[1].as_bytes()[0])));
    let mut steps: Vec<u64> = steps.collect();
    steps.sort_unstable();
    steps.dedup();
    let emitted = BTreeMap::from([("checkpoint-triggered".to_owned(), 10), ("failover-begun".to_owned(), 1)]);
    Shown { verdict, signature, steps, emitted }
}

fn hunted(guided: bool, runs: u64) -> (Vec<Candidate>, u64, u64, usize) {
    let scenarios = [scenario()];
    let catalogue = catalogue(&Jobs::builtin());
    let mut hunt = Hunt::new(&scenarios, seeds(), guided, Vec::new());
    let mut all = Vec::new();
    for _ in 0..runs {
        let candidate = hunt.next(|plan| plan_problems(plan, &catalogue).is_empty());
        all.push(candidate.clone());
        let shown = world(&candidate.plan);
        hunt.record(candidate, shown);
    }
    assert_eq!(hunt.seen().runs(), runs, "HUNT-1");
    (all, hunt.signals(), hunt.failures(), hunt.entries().len())
}

#[test]
fn without_guidance_it_is_a_swarm_and_with_it_changes_what_was_new() {
    let (plain, known, ..) = hunted(false, 120);
    let scenario = scenario();
    assert!(plain.iter().zip(1..).all(|(candidate, seed)| candidate.plan == scenario.plan(seed)));
    let (guided, more, _, entries) = hunted(true, 120);
    let changed = guided.iter().filter(|candidate| candidate.origin == Origin::Changed).count();
    assert!((50..110).contains(&changed), "{changed} of 120 were changed");
    assert!(entries > 5 && more > 0 && known > 0, "{entries} entries, {more} signals, {known} without guidance");
    assert_eq!(hunted(true, 120).0, guided, "the same answers give the same hunt");
    // Running the same plan twice would show nothing new.
    let different: BTreeSet<String> = guided.iter().map(|candidate| format!("{:?}", candidate.plan)).collect();
    assert!(different.len() > 115, "{}", different.len());
}

#[test]
fn what_shows_nothing_new_leaves_the_corpus_and_failures_stay() {
    let scenarios = [scenario()];
    let found = |name: &str, seed| (name.to_owned(), scenarios[0].plan(seed), 0);
    let mut hunt = Hunt::new(&scenarios, seeds(), true, vec![found("a", 1), found("b", 2), found("c", 3)]);
    let shown = |verdict: &Verdict| Shown {
        verdict: verdict.clone(),
        signature: signature("x", &["failover-begun"]),
        steps: vec![1, 2],
        emitted: BTreeMap::new(),
    };
    let failed = Verdict::Failed { oracle: "O1".into(), evidence: vec!["record 1".into()], also: vec![] };
    let mut next = |verdict: &Verdict| {
        let candidate = hunt.next(|_| true);
        assert!(matches!(candidate.origin, Origin::Corpus { .. }));
        hunt.record(candidate, shown(verdict))
    };
    assert_eq!(next(&Verdict::Passed).kept, Some(0), "HUNT-2");
    assert_eq!(next(&Verdict::Passed).dropped, Some("b".to_owned()), "HUNT-2");
    let news = next(&failed);
    assert_eq!((news.kept, news.dropped), (Some(1), None), "what failed stays, though its signals are known");
    assert_eq!(news.new_bucket.unwrap().failure, "failed O1");
    assert_eq!(hunt.next(|_| false).origin, Origin::Seed, "a hunt goes on if no change keeps the rules");
    assert_eq!((hunt.failures(), hunt.verdicts()["passed"], hunt.entries()[1].name.as_str()), (1, 2, "c"));
}

#[test]
fn equal_failures_share_a_bucket_with_their_smallest_plan() {
    let scenarios = [scenario()];
    let mut hunt = Hunt::new(&scenarios, seeds(), false, Vec::new());
    let mut least = usize::MAX;
    for n in 0..9 {
        let candidate = hunt.next(|_| true);
        least = least.min(candidate.plan.faults.len());
        let evidence = vec![format!("record {n} of split {n} was lost")];
        let verdict = Verdict::Failed { oracle: "O1".into(), evidence, also: vec![] };
        let shown = Shown { verdict, signature: signature("failed", &[]), steps: vec![], emitted: BTreeMap::new() };
        assert_eq!(hunt.record(candidate, shown).new_bucket.is_some(), n == 0);
    }
    let buckets = hunt.buckets();
    assert_eq!((buckets.len(), buckets[0].runs, buckets[0].first_run), (1, 9, 1));
    assert_eq!(buckets[0].plan.faults.len(), least);
}
