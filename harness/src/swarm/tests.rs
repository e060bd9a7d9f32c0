//! Checks draws over many seeds against the invariants, and against the rules that every plan must pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use flowquake_engine::event::Event;
use proptest::prelude::*;

use super::*;
use crate::cli::catalogue;
use crate::faults::{Family, spoils_checkpoints};
use crate::jobs::Jobs;
use crate::plan::{FaultAction, NodeTarget, Trigger};
use crate::scenario::{Scenario, discover, plan_problems};

/// A scenario with this `[swarm]`, followed by further sections.
fn scenario(swarm: &str, rest: &str) -> Scenario {
    let text = format!(
        r#"
name = "drawn"
why = "faults are drawn from the seed"
[job]
name = "string-length-count"
input = {{ generator = "words", records = 6_000, splits = 4, rate = "500/s" }}
[swarm]
until = "10s"
{swarm}
{rest}
"#
    );
    Scenario::parse(&text, Path::new("drawn.toml"), &catalogue(&Jobs::builtin()))
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

/// A job with parameters, whose input is drawn as well.
fn keyed(swarm: &str) -> Scenario {
    let text = format!(
        "name = \"drawn\"\nwhy = \"settings are drawn\"\n[job]\nname = \"keyed-count\"\n\
         input = {{ generator = \"orders\", records = 1_000 }}\n[swarm]\nuntil = \"10s\"\n{swarm}\n"
    );
    Scenario::parse(&text, Path::new("drawn.toml"), &catalogue(&Jobs::builtin()))
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

fn varied() -> Scenario {
    scenario("vary = true", "")
}

/// Fixed settings under which every kind applies.
fn all_kinds(faults: u32) -> Scenario {
    let rest = "[cluster]\njob_managers = 2\ntask_managers = 4\n\
                [checkpointing]\nbackend = \"rocksdb\"\nretained = 3\ntimeout = \"5s\"";
    scenario(&format!("faults = {faults}"), rest)
}

/// Whether every drawn fault is of this family. Read from the options, because two kinds may share one action.
fn of_family(plan: &RunPlan, family: Family) -> bool {
    let drawn = &plan.options.iter().find(|(name, _)| name == "faults").unwrap().1;
    let names = drawn.trim_end_matches(" (drawn)").split(", ");
    names.into_iter().all(|name| Kind::ALL.iter().any(|kind| kind.name() == name && kind.spec().family == family))
}

/// What the rules say against a plan.
fn problems(plan: &RunPlan) -> Vec<String> {
    let mut problems = plan_problems(plan, &catalogue(&Jobs::builtin()));
    // The leader of every drawn plan comes back, so the job survives its death.
    problems.retain(|problem| !problem.starts_with("kills-job-manager"));
    problems
}

fn spoilt(plan: &RunPlan) -> usize {
    plan.faults.iter().filter(|fault| spoils_checkpoints(&fault.action)).count()
}

/// Every node that a fault names, at either end.
fn struck(action: &FaultAction) -> Vec<NodeTarget> {
    match action {
        FaultAction::Kill { targets, .. } => targets.clone(),
        FaultAction::CrashLoop { target, .. }
        | FaultAction::Pause { target, .. }
        | FaultAction::Slow { target, .. }
        | FaultAction::UserCode { target, .. }
        | FaultAction::Isolate { target, .. }
        | FaultAction::Refuse { target, .. }
        | FaultAction::SlowReceiver { target, .. }
        | FaultAction::DamageLocal { target, .. }
        | FaultAction::Clock { target, .. } => vec![target.clone()],
        _ => Vec::new(),
    }
}

/// The latest end of an action's effect; `None`: never.
fn ends(action: &FaultAction) -> Option<Duration> {
    match action {
        FaultAction::Kill { restart_after: end, .. }
        | FaultAction::Pause { resume_after: end, .. }
        | FaultAction::Slow { heal_after: end, .. }
        | FaultAction::Cut { heal_after: end, .. }
        | FaultAction::Isolate { heal_after: end, .. }
        | FaultAction::Link { heal_after: end, .. }
        | FaultAction::Refuse { heal_after: end, .. }
        | FaultAction::SlowReceiver { heal_after: end, .. }
        | FaultAction::Store { heal_after: end, .. }
        | FaultAction::Clock { heal_after: end, .. } => *end,
        FaultAction::CrashLoop { times, up, down, .. } | FaultAction::Flap { times, up, down, .. } => {
            Some((*up + *down) * *times)
        }
        FaultAction::Poison { times, .. } => times.map(|_| Duration::ZERO),
        // Over at once, or after a number of messages or records.
        FaultAction::UserCode { .. }
        | FaultAction::Reset { .. }
        | FaultAction::HalfOpen { .. }
        | FaultAction::Message { .. }
        | FaultAction::Damage { .. }
        | FaultAction::DamageLocal { .. } => Some(Duration::ZERO),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_seed_gives_a_plan_that_passes_the_rules(seed: u64) {
        for scenario in [varied(), all_kinds(12)] {
            let plan = scenario.plan(seed);
            prop_assert!(plan.swarm && !plan.faults.is_empty());
            prop_assert_eq!(problems(&plan), Vec::<String>::new());
        }
    }

    #[test]
    fn every_fault_ends_and_budgets_are_kept(seed: u64) {
        for scenario in [varied(), all_kinds(12)] {
            let plan = scenario.plan(seed);
            // The lease may be written or drawn; a fault that outlasts the lease lasts up to twice as long.
            let longest = plan.job.config.lease * 2 + Duration::from_secs(3) * 8;
            for fault in &plan.faults {
                let end = ends(&fault.action);
                let for_good = matches!(fault.action, FaultAction::Kill { restart_after: None, .. });
                let down = (plan.cluster.task_managers / 2).max(1);
                let left = (plan.cluster.task_managers - down) * u32::from(plan.cluster.slots);
                prop_assert!(
                    end.map_or(for_good && left >= u32::from(plan.job.config.parallelism), |end| end <= longest),
                    "SWARM-W1: {:?}",
                    fault
                );
                if let Trigger::At(at) | Trigger::Every { first: at, .. } = fault.trigger {
                    prop_assert!(at < Duration::from_secs(10));
                }
            }
            let nodes = plan.faults.iter().flat_map(|fault| struck(&fault.action).into_iter().map(move |target| {
                match (target, &fault.trigger) {
                    (NodeTarget::Emitter, Trigger::On(on)) => NodeTarget::Node(on.node.clone().unwrap()),
                    (target, _) => target,
                }
            }));
            let task_managers: BTreeSet<String> = nodes
                .filter_map(|target| if let NodeTarget::Node(name) = target { Some(name) } else { None })
                .collect();
            prop_assert!(task_managers.len() as u32 <= (plan.cluster.task_managers / 2).max(1), "SWARM-W2: {:?}", task_managers);
            prop_assert!(spoilt(&plan) < plan.job.config.checkpoints.retained as usize, "SWARM-W3");
        }
    }

    #[test]
    fn more_faults_leave_the_earlier_ones_as_they_were(seed: u64, few in 1u32..6) {
        let (few, many) = (all_kinds(few).plan(seed).faults, all_kinds(10).plan(seed).faults);
        // If only damage is left in, its budget ends both lists.
        prop_assert!(few.len() <= many.len());
        prop_assert_eq!(&few[..], &many[..few.len()], "SWARM-W4");
    }
}

#[test]
fn the_swarms_that_ship_draw_plans_that_pass_the_rules() {
    let catalogue = catalogue(&Jobs::builtin());
    let files = discover(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/swarm")]).unwrap();
    let scenarios = Scenario::load_all(&files, &catalogue).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert!(scenarios.iter().any(|scenario| scenario.name() == "reference"));
    for (scenario, seed) in scenarios.iter().flat_map(|scenario| (0..200).map(move |seed| (scenario, seed))) {
        let plan = scenario.plan(seed);
        assert_eq!(problems(&plan), Vec::<String>::new(), "{} seed {seed}", scenario.name());
        let drawn = scenario.file().ends_with("odd-shapes.toml");
        let written = scenario.plan(0).cluster.task_managers;
        assert!(drawn || plan.cluster.task_managers == written, "{} seed {seed}", scenario.name());
    }
}

/// Tries SCENARIO-S4.
#[test]
fn a_plan_depends_on_its_seed_alone() {
    assert_eq!(varied().plan(7), varied().plan(7));
    assert_ne!(varied().plan(7).faults, varied().plan(8).faults);
    let one = scenario("vary = true\nkinds = [\"process\"]", "").plan(3);
    let settings: BTreeSet<&str> = one.options.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(settings.len(), one.options.len(), "each option is told once");
}

#[test]
fn every_kind_is_drawn_and_some_seeds_stress_one_family() {
    let mut drawn: BTreeMap<String, u32> = BTreeMap::new();
    let mut alone: BTreeMap<Family, u32> = BTreeMap::new();
    let scenario = all_kinds(8);
    for seed in 0..500 {
        let plan = scenario.plan(seed);
        let names = &plan.options.iter().find(|(name, _)| name == "faults").unwrap().1;
        for name in names.trim_end_matches(" (drawn)").split(", ") {
            *drawn.entry(name.to_owned()).or_default() += 1;
        }
        for family in Family::ALL {
            *alone.entry(family).or_default() += u32::from(of_family(&plan, family));
        }
    }
    for kind in Kind::ALL {
        assert!(drawn.get(kind.name()).is_some_and(|times| *times >= 10), "{}: {drawn:?}", kind.name());
    }
    assert_eq!(drawn.len(), Kind::ALL.len());
    assert!(alone.values().all(|seeds| *seeds >= 5), "{alone:?}");
}

#[test]
fn every_event_but_the_last_ones_is_struck_at() {
    let mut struck: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..2_000 {
        for fault in all_kinds(8).plan(seed).faults {
            if let Trigger::On(on) = fault.trigger {
                *struck.entry(on.event).or_default() += 1;
            }
        }
    }
    for (event, _) in Event::CATALOGUE {
        let ends_the_job = ["job-finished", "job-failed"].contains(event);
        assert_eq!(struck.get(*event).is_some_and(|times| *times >= 10), !ends_the_job, "{event}: {struck:?}");
    }
}

#[test]
fn written_settings_stay_and_the_others_vary() {
    let rest = "[cluster]\nslots = 1\n[engine]\nheartbeat_timeout = \"1100ms\"\nlease = \"700ms\"\n[checkpointing]\nretained = 3";
    let scenario = scenario("vary = true", &rest.replace("[checkpointing]", "[checkpointing]\ninterval = \"300ms\""));
    let mut sizes = BTreeSet::new();
    for seed in 0..100 {
        let plan = scenario.plan(seed);
        let config = &plan.job.config;
        assert_eq!((plan.cluster.slots, config.checkpoints.retained), (1, 3));
        assert_eq!(config.checkpoints.interval, Duration::from_millis(300));
        assert_eq!(config.lease, Duration::from_millis(700));
        assert_eq!(config.validate(), Ok(()));
        sizes.insert((plan.cluster.task_managers, plan.cluster.job_managers, config.backend, config.credits));
    }
    assert!(sizes.len() > 40, "{sizes:?}");
}

#[test]
fn a_drawn_plan_reads_like_a_written_one() {
    let plan = scenario("faults = 6\nvary = true", "[cluster]\njob_managers = 2").plan(11);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
}

#[test]
fn every_setting_is_drawn_at_each_of_its_values() {
    let scenario = keyed("vary = true\nrecords = [1_000, 1_009]\nparams = { keys = [1, 3, 200], emit_every = [1, 5] }");
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut for_good, mut late, mut every_try) = (0, 0, 0);
    for seed in 0..3_000 {
        let plan = scenario.plan(seed);
        assert_eq!(plan.job.config.validate(), Ok(()));
        for (name, value) in &plan.options {
            values.entry(name.clone()).or_default().insert(value.trim_end_matches(" (drawn)").to_owned());
        }
        for fault in &plan.faults {
            match &fault.action {
                FaultAction::Kill { restart_after: None, .. } => for_good += 1,
                FaultAction::Message { how: crate::plan::MessageFault::DuplicateLate(_), .. } => late += 1,
                FaultAction::Store { count: Some(6..), .. } => every_try += 1,
                _ => {}
            }
        }
    }
    let drawn = |name: &str| values[name].iter().map(String::as_str).collect::<Vec<_>>();
    let numbers = |name: &str| values[name].iter().map(|value| value.parse().unwrap()).collect::<BTreeSet<u64>>();
    assert_eq!(numbers("parallelism"), (1..=7).collect());
    assert_eq!(numbers("max_parallelism"), [7, 61, 128, 1_000, 32_768].into());
    assert_eq!(numbers("task_managers"), (2..=5).collect());
    assert_eq!(numbers("slots"), (1..=3).collect());
    assert_eq!(numbers("job_managers"), (1..=3).collect());
    assert_eq!(numbers("retained"), (1..=4).collect());
    assert_eq!(numbers("tolerable_failed"), (0..=3).collect());
    assert_eq!(numbers("heartbeat_rpc_failure_threshold"), (0..=2).collect());
    assert_eq!(numbers("params.keys"), [1, 3, 200].into());
    assert_eq!(drawn("params.emit_every"), ["1", "5"]);
    assert_eq!(drawn("schedule"), ["fixed-rate", "spaced"]);
    assert_eq!(drawn("backend"), ["fs", "memory"]);
    assert_eq!(numbers("records"), (1_000..=1_009).collect());
    assert_eq!(numbers("store_streams"), (1..=8).collect());
    let speeds = ["bandwidth", "store_throughput", "store_read_throughput"];
    assert_eq!(speeds.map(|speed| values[speed].len()), [10; 3], "{values:?}");
    assert_eq!(drawn("cost_profile"), ["builtin", "free", "native"]);
    assert_eq!(drawn("verify_uploads"), ["false", "true"]);
    assert!(numbers("record_weight").len() > 10 && numbers("record_weight").last() <= Some(&50));
    assert!(numbers("state_weight").len() > 2 && numbers("state_weight").last() <= Some(&64));
    assert!(drawn("restart_attempts").len() > 100);
    let strategies = ["fixed-delay", "failure-rate", "exponential-delay"];
    let of = |strategy: &str| drawn("restart_strategy").iter().filter(|shown| shown.starts_with(strategy)).count();
    assert!(strategies.iter().all(|strategy| of(strategy) > 100), "{:?}", strategies.map(of));
    assert!(drawn("restart_strategy").iter().any(|shown| shown.contains("attempts before that")));
    let splits = numbers("splits");
    assert!(
        (1..=12).all(|few| splits.contains(&few)) && splits.len() > 80 && splits.last() == Some(&100),
        "{splits:?}"
    );
    assert!(for_good > 30 && late > 30 && every_try > 30, "{for_good} {late} {every_try}");
}

/// Before the first run, the job is asked whether it accepts each value.
#[test]
fn values_that_the_job_refuses_are_not_drawn_from() {
    let text = "name = \"drawn\"\nwhy = \"w\"\n[job]\nname = \"keyed-count\"\n\
                input = { generator = \"orders\", records = 1_000 }\n[checkpointing]\ntimeout = \"5s\"\n\
                [swarm]\nuntil = \"10s\"\nparams = { keys = [1, 0] }\n";
    let refused = Scenario::parse(text, Path::new("drawn.toml"), &catalogue(&Jobs::builtin())).unwrap_err();
    assert!(refused.to_string().contains("job `keyed-count` does not take keys = 0"), "{refused}");
}

#[test]
fn two_swarms_draw_differently_from_one_seed() {
    let renamed = |name: &str| {
        let mut plan = all_kinds(6).plan(3);
        plan.scenario = name.to_owned();
        let swarm = Swarm {
            faults: (6, 6),
            kinds: Kind::ALL.iter().map(|kind| kind.name()).collect(),
            until: Duration::from_secs(10),
            heal_after: (Duration::from_millis(50), Duration::from_secs(3)),
            nodes_down: None,
            records: None,
            vary: true,
            params: BTreeMap::new(),
            min_hurt: BTreeMap::new(),
            written: BTreeSet::new(),
            vertices: 2,
            keyed: true,
        };
        swarm.draw(&mut plan);
        (plan.faults, plan.cluster)
    };
    assert_eq!(renamed("one"), renamed("one"));
    assert_ne!(renamed("one"), renamed("two"));
}
