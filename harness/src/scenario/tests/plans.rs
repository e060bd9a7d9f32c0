//! What correct scenarios become, and what happens to plans on disk.

use flowquake_engine::config::{ExponentialDelay, FailureRate, RestartStrategy, Thousandths};

use super::*;
use crate::plan::{FaultAction, FileKind, KillMode, NodeTarget, Trigger};

/// A scenario that uses every key there is.
const COMPLETE: &str = r#"
name = "complete"
why  = "every key once"
time_limit = "10m"

[job]
name = "string-length-count"
params = { emit_every = 10, state_bytes = "64" }
input = { file = "words.txt", repeat = 2, splits = 4, rate = "2000/s" }
parallelism = 4

[cluster]
task_managers = 3
slots = 2
cores = 4
latency = "300us..2ms"
bandwidth = "125MB/s"
send_buffer = "128KiB"
store_latency = "5ms"
store_throughput = "100MB/s"
cost_profile = "builtin"

[checkpointing]
interval = "2.5s"
min_pause = "500ms"
timeout = "1m 30s"
retained = 3
tolerable_failed = 2
max_concurrent = 1
verify_uploads = false
backend = "rocksdb"

[engine]
heartbeat_interval = "500ms"
heartbeat_timeout = "3s"
restart_delay = "200us"
restart_attempts = 5
buffer_timeout = "10ms"
buffer_size = "16KiB"
credits = 2
max_parallelism = 64
sink_flush_interval = "2s"
sink_chunk = "1MiB"
notify_retry = "3s"
connect_timeout = "4s"

[[fault]]
on = { event = "sink-pre-committed", checkpoint = 3, nth = 2, vertex = 1, subtask = 0, node = "tm-1", attempt = 1 }
do = "kill"
target = "emitter"
restart_after = "3s"

[[fault]]
on = { event = "checkpoint-completed", after_fault = 1 }
do = "damage"
file = { checkpoint = 3, kind = "manifest", index = 0 }
how = "truncate"

[[fault]]
at = "7.25s"
do = "cut-one-way"
link = "tm-1 -> leader"
heal_after = "1s"

[[fault]]
at = "9s"
do = "cut"
link = "tm-1 - tm-3"

[[fault]]
at = "20s"
do = "machine-loss"
target = "tm-2"

[expect]
job = "failed(restart attempts)"
output = "exactly-once"
recovers_within = "20s"
failovers = 1
falls_back = true
aborted_checkpoints_min = 2
"#;

/// The scenario above, with 1500 lines of input beside it.
fn complete(folder: &Path) -> Scenario {
    std::fs::write(folder.join("words.txt"), "word\n".repeat(1500)).unwrap();
    let path = folder.join("complete.toml");
    std::fs::write(&path, COMPLETE).unwrap();
    Scenario::load(&path, &catalogue()).unwrap_or_else(|error| panic!("{}", render(&error)))
}

/// A plan as JSON, with the temporary folder named `<folder>`.
fn json(plan: &RunPlan, folder: &Path) -> String {
    serde_json::to_string_pretty(plan).unwrap().replace(folder.to_str().unwrap(), "<folder>")
}

#[test]
fn a_complete_scenario_becomes_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let plan = complete(folder.path()).plan(7);
    insta::assert_snapshot!("complete_plan", json(&plan, folder.path()));
    assert_eq!(plan.faults.len(), 5);
    let FaultAction::Kill { targets, mode: KillMode::Crash, .. } = &plan.faults[0].action else {
        panic!("{:?}", plan.faults[0]);
    };
    assert_eq!(targets, &[NodeTarget::Emitter]);
    assert!(matches!(&plan.faults[1].action, FaultAction::Damage { file, .. } if file.kind == FileKind::Manifest));
    assert!(matches!(plan.faults[2].trigger, Trigger::At(at) if at == Duration::from_millis(7250)));
}

/// Rules find places of the file by plan paths, so each path that a section records must exist in the plan's JSON.
#[test]
fn every_recorded_path_is_a_path_of_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = complete(folder.path());
    let (root, _) = DeTable::parse_recoverable(COMPLETE);
    let mut reader = Reader::new(&SECTIONS);
    read_scenario(&mut reader, root.get_ref(), &folder.path().join("complete.toml"), &catalogue()).unwrap();
    let json = serde_json::to_string_pretty(&scenario.plan(0)).unwrap();
    let known = json_places::Places::of(&json);
    let unknown: Vec<_> = reader.spans.keys().filter(|path| known.get(path).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(reader.spans.len() > 70, "{}", reader.spans.len());
}

#[test]
fn defaults_are_noted_and_those_of_the_engine_are_its_own() {
    let plan = parse(&format!("{HEAD}{JOB}")).unwrap().plan(1);
    let defaults = flowquake_engine::config::JobConfig { parallelism: 2, ..Default::default() };
    assert_eq!(plan.job.config, defaults);
    let options: Vec<String> = plan.options.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    insta::assert_snapshot!("defaulted_options", options.join("\n"));
}

#[test]
fn restart_strategies_stand_in_a_plan_with_their_settings_and_the_default_does_not() {
    let plan = |engine: &str| parse(&format!("{HEAD}{JOB}\n[engine]\n{engine}")).unwrap().plan(1);
    let noted = |plan: &RunPlan| -> Vec<String> {
        let options = plan.options.iter().filter(|(key, _)| RestartStrategy::owners(key).is_some());
        options.map(|(key, value)| format!("{key}: {value}")).collect()
    };
    let silent = plan("credits = 4");
    let json = |plan: &RunPlan| serde_json::to_value(plan).unwrap();
    assert_eq!(json(&silent).pointer("/job/config/restart_strategy"), None);
    assert_eq!(json(&plan("credits = 4\nrestart_strategy = \"fixed-delay\"")), json(&silent));
    assert_eq!(noted(&silent), ["restart_delay: 1s (default)", "restart_attempts: unlimited (default)"]);

    let rate = plan("restart_strategy = \"failure-rate\"\nmax_failures_per_interval = 7\nrestart_delay = \"3s\"");
    let settings = FailureRate { max_failures_per_interval: 7, ..FailureRate::default() };
    assert_eq!(rate.job.config.restart_strategy, RestartStrategy::FailureRate(settings));
    assert_eq!(rate.job.config.restart_delay, Duration::from_secs(3));
    assert_eq!(noted(&rate), ["failure_rate_interval: 60s (default)"]);

    let text = "restart_strategy = \"exponential-delay\"\nbackoff_multiplier = 2\njitter_factor = 0.25\n\
                attempts_before_reset_backoff = \"unlimited\"\nmax_backoff = \"90s\"";
    let delay = plan(text);
    let settings = ExponentialDelay {
        backoff_multiplier: Thousandths(2_000),
        jitter_factor: Thousandths(250),
        max_backoff: Duration::from_secs(90),
        ..ExponentialDelay::default()
    };
    assert_eq!(delay.job.config.restart_strategy, RestartStrategy::ExponentialDelay(settings));
    assert_eq!(noted(&delay), ["initial_backoff: 1s (default)", "reset_backoff_threshold: 3600s (default)"]);
    let at = "/job/config/restart_strategy/exponential-delay/backoff_multiplier";
    assert_eq!(json(&delay).pointer(at).and_then(|number| number.as_f64()), Some(2.0));
    for plan in [rate, delay, plan("restart_strategy = \"none\"")] {
        let json = serde_json::to_string_pretty(&plan).unwrap();
        assert_eq!(plan_file::parse_plan(&json, Path::new("p.json"), &catalogue()).unwrap(), plan);
    }
}

#[test]
fn the_time_limit_follows_the_input() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.txt"), "word\n".repeat(1500)).unwrap();
    let path = folder.path().join("broken.toml");
    let job =
        |input: &str| format!("{HEAD}\n[job]\nname = \"upper-case\"\ninput = {{ file = \"words.txt\"{input} }}\n");
    let limit = |input: &str| Scenario::parse(&job(input), &path, &catalogue()).unwrap().plan(0).time_limit;
    // 3000 records at 1000/s take 3 s.
    assert_eq!(limit(", repeat = 2, rate = \"1000/s\""), Duration::from_secs(129));
    assert_eq!(limit(""), Duration::from_secs(300));
    assert_eq!(limit(", rate = \"0.001/s\""), Duration::from_secs(3 * 1_500_000 + 120));
}

#[test]
fn seeds_differ_in_nothing_but_the_seeds() {
    let scenario = parse(&format!("{HEAD}{JOB}")).unwrap();
    let (one, other) = (scenario.plan(1), scenario.plan(2));
    assert_eq!(scenario.plan(1), one);
    assert_ne!(one.scheduling_seed, other.scheduling_seed);
    // Must never change: saved seeds must keep their meaning.
    assert_eq!(one.scheduling_seed, xxh3_64_with_seed(b"scheduling", 1));
    let same = RunPlan { seed: 1, scheduling_seed: one.scheduling_seed, options: one.options.clone(), ..other };
    assert_eq!(same, one);
}

#[test]
fn a_plan_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = complete(folder.path()).plan(u64::MAX);
    let path = folder.path().join("run.plan.json");
    save_plan(&path, &plan).unwrap();
    assert_eq!(load_plan(&path, &catalogue()).unwrap(), plan);
    // Saving over an existing file works, and leaves no other file behind.
    save_plan(&path, &plan).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let error = save_plan(&folder.path().join("nowhere/run.json"), &plan).unwrap_err();
    assert_eq!(error.problems()[0].code_name(), "unwritable");
}

/// Edits the JSON of a plan, and renders the result of loading it.
fn edited(from: &str, to: &str) -> String {
    let text =
        format!("{HEAD}{JOB}\n[[fault]]\non = {{ event = \"barrier-received\" }}\ndo = \"kill\"\ntarget = \"tm-2\"\n");
    let json = serde_json::to_string_pretty(&parse(&text).unwrap().plan(3)).unwrap();
    assert!(json.contains(from), "{json}");
    render(&plan_file::parse_plan(&json.replacen(from, to, 1), Path::new("run.plan.json"), &catalogue()).unwrap_err())
}

#[test]
fn plans_edited_into_nonsense_are_refused_with_path_and_line() {
    insta::assert_snapshot!("plan_of_another_version", edited("\"version\": 5", "\"version\": 6, \"news\": true"));
    insta::assert_snapshot!("plan_with_unknown_field", edited("\"nth\"", "\"ntth\""));
    insta::assert_snapshot!("plan_with_wrong_type", edited("\"slots\": 2", "\"slots\": \"two\""));
    insta::assert_snapshot!("plan_with_broken_syntax", edited("\"slots\": 2,", "\"slots\": 2"));
    insta::assert_snapshot!("plan_with_unknown_node", edited("\"node\": \"tm-2\"", "\"node\": \"tm-7\""));
    insta::assert_snapshot!("plan_with_unknown_event", edited("barrier-received", "barrier-recieved"));
}

#[test]
fn plans_are_held_to_rules_that_scenarios_cannot_break() {
    let plan = parse(&format!("{HEAD}{JOB}")).unwrap().plan(3);
    let refused = |change: fn(&mut RunPlan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        let json = serde_json::to_string(&plan).unwrap();
        let error = plan_file::parse_plan(&json, Path::new("p.json"), &catalogue()).unwrap_err();
        error.problems().iter().map(Problem::code_name).collect::<Vec<_>>()
    };
    assert_eq!(refused(|plan| plan.job.input.rate = Some(-1.0)), ["bad-rate"]);
    assert_eq!(refused(|plan| plan.job.config.restart_delay = Duration::MAX), ["too-long"]);
    let endless = |plan: &mut RunPlan| {
        let settings = FailureRate { failure_rate_interval: Duration::from_secs(1 << 40), ..FailureRate::default() };
        plan.job.config.restart_strategy = RestartStrategy::FailureRate(settings);
    };
    assert_eq!(refused(endless), ["too-long"]);
    assert_eq!(refused(|plan| plan.time_limit = Duration::ZERO), ["no-time"]);
    assert_eq!(refused(|plan| plan.cluster.task_managers = u32::MAX), ["bad-cluster"]);
    assert_eq!(refused(|plan| plan.cluster.rates.heap.access_ns = -1.0), ["bad-rate"]);
    assert_eq!(refused(|plan| plan.cluster.state_weight = 0), ["bad-weight"]);
    if !cfg!(feature = "mutations") {
        assert_eq!(refused(|plan| plan.expect.exactly_once = false), ["not-exactly-once"]);
    }
    let fault = |plan: &mut RunPlan| {
        let action = FaultAction::Kill {
            targets: vec![NodeTarget::Node("tm-1".into())],
            mode: KillMode::Crash,
            restart_after: None,
            disk: crate::plan::Disk::Wiped,
        };
        plan.faults.push(crate::plan::FaultPlan {
            id: 7,
            trigger: Trigger::At(Duration::ZERO),
            delay: Duration::ZERO,
            repeat: 1,
            action,
        });
    };
    assert_eq!(refused(fault), ["bad-fault-id"]);
}
