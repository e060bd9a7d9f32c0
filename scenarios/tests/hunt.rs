//! Hunts for planted bugs: a bug is found, and how many runs that takes with and without guidance.

use std::collections::BTreeMap;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::{Scenario, plan_problems};
use flowquake::search::hunt::{Hunt, Shown, signals};
use flowquake::search::seeds::{Seeds, Shard};
use flowquake::search::signature::Signature;
use flowquake::session::execute;
use flowquake_engine::mutation::Mutation;

use super::{inline, named};

/// The number of the first run that fails with a planted bug, and the processor time until then, in nanoseconds.
fn killed(scenarios: &[Scenario], bug: Mutation, first: u64, guided: bool, most: u64) -> (Option<u64>, u64) {
    let (jobs, seeds) = (Jobs::builtin(), Seeds { first, shard: Shard::default() });
    let catalogue = catalogue(&jobs);
    let mut hunt = Hunt::new(scenarios, seeds, guided, Vec::new());
    let mut cpu_ns = 0;
    for run in 1..=most {
        let candidate = hunt.next(|plan| plan_problems(plan, &catalogue).is_empty());
        let (record, outcome) = execute(&candidate.plan, &jobs, &[bug], String::new());
        cpu_ns += record.totals.cpu_ns;
        let signature = Signature::of(&candidate.plan, &outcome, &record.verdict);
        let struck_at = outcome.strikes.iter().flat_map(|strike| &strike.hits).map(|hit| hit.at).min();
        let steps = signals::steps(&outcome.trace.events, struck_at);
        hunt.record(candidate, Shown::of(&record, signature, steps));
        if hunt.failures() > 0 {
            return (Some(run), cpu_ns);
        }
    }
    (None, cpu_ns)
}

#[test]
fn a_hunt_finds_a_planted_bug() {
    let scenario = inline(
        "small-hunt",
        r#"
name = "small-hunt"
why = "a planted bug is found"
[job]
name = "string-length-count"
input = { generator = "words", records = 2_000, rate = "1000/s" }
[checkpointing]
interval = "200ms"
timeout = "2s"
[swarm]
faults = [1, 3]
until = "1500ms"
heal_after = "50ms..200ms"
kinds = ["kill", "pause", "slow-store"]
"#,
    );
    let (run, _) = killed(&[scenario], Mutation::ReplayOneTooMany, 1, true, 40);
    assert!(run.is_some(), "none of forty runs of a hunt restores a job that replays a record too many");
}

/// How many runs, and how much processor time, a hunt takes to find each planted bug, with and without guidance. To run
/// it by hand:
/// `FLOWQUAKE_HUNT_STARTS=10 FLOWQUAKE_HUNT_RUNS=1000 cargo test -p flowquake-scenarios --test scenarios -- --ignored
/// --nocapture seeds_to_kill`
#[test]
#[ignore = "takes minutes to hours"]
fn seeds_to_kill() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (starts, most) = (number("FLOWQUAKE_HUNT_STARTS", 3), number("FLOWQUAKE_HUNT_RUNS", 100));
    let only = std::env::var("FLOWQUAKE_HUNT_BUGS").unwrap_or_default();
    let scenarios = ["reference", "many-faults", "odd-shapes"].map(named);
    println!("bug; runs until it is found (median of {starts}): plain, guided; processor time in s: plain, guided");
    let mut medians: BTreeMap<bool, Vec<u64>> = BTreeMap::new();
    for bug in Mutation::ALL.into_iter().filter(|bug| only.is_empty() || only.contains(&format!("{bug:?}"))) {
        let mut shown = Vec::new();
        let mut times = Vec::new();
        for guided in [false, true] {
            let found: Vec<_> = (0..starts).map(|n| killed(&scenarios, bug, 1 + n * 1_000_000, guided, most)).collect();
            // A bug that was not found counts as taking longer than all that were.
            let mut runs: Vec<u64> = found.iter().map(|(run, _)| run.unwrap_or(u64::MAX)).collect();
            let mut cpu: Vec<u64> = found.iter().map(|(_, cpu)| *cpu).collect();
            runs.sort_unstable();
            cpu.sort_unstable();
            let median = runs[runs.len() / 2];
            medians.entry(guided).or_default().push(median);
            shown.push(if median == u64::MAX { format!("> {most}") } else { median.to_string() });
            times.push(format!("{:.1}", cpu[cpu.len() / 2] as f64 / 1e9));
        }
        println!("{bug:?}; {}; {}", shown.join(", "), times.join(", "));
    }
    for (guided, mut runs) in medians {
        runs.sort_unstable();
        let median = runs[runs.len() / 2];
        println!("median over the museum, {}: {median}", if guided { "guided" } else { "plain" });
    }
}
