use std::path::Path;
use std::time::Duration;

use flowquake_reports::record::prediction::Subject;

use super::*;
use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::scenario::Scenario;

/// The prediction for a job on 2 of 3 TaskManagers with this fault and these settings of `[engine]`. Store requests
/// take 10 ms, frames 1 ms.
fn predicted(engine: &str, fault: &str) -> Prediction {
    let text = format!(
        r#"
name = "predicted"
why = "nothing is random but the first trigger"
[job]
name = "keyed-count"
params = {{ keys = 100, emit_every = 5 }}
input = {{ generator = "orders", records = 30_000, rate = "1000/s" }}
parallelism = 2
[cluster]
task_managers = 3
slots = 1
latency = "1ms..1ms"
store_latency = "10ms..10ms"
[checkpointing]
interval = "2s"
backend = "fs"
[engine]
{engine}
[[fault]]
{fault}
target = "tm-1"
"#
    );
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(&text, Path::new("predicted.toml"), &catalogue(&jobs));
    let plan = scenario.unwrap_or_else(|error| panic!("{:?}", error.problems())).plan(1);
    predict(&plan, jobs.get("keyed-count").unwrap())
}

/// The recovery from a fault at `at` nanoseconds.
fn recovery(engine: &str, at: u64, mode: &str) -> PredictedRecovery {
    let fault = format!("at = \"{at}ns\"\ndo = \"{mode}\"");
    predicted(engine, &fault).recovery.expect("one fault at a time")
}

#[test]
fn slots_are_dealt_out_in_turn() {
    assert_eq!(deal(4, 3), [0, 1, 2, 0]);
    assert_eq!(deal(2, 5), [0, 1]);
}

#[test]
fn a_checkpoint_that_the_dead_one_had_its_part_in_is_restored_if_nobody_gives_it_up() {
    const SECOND: u64 = 1_000_000_000;
    let restored = |at, mode| recovery("", at, mode).restored;
    // The time when the fifth checkpoint is triggered, to the nanosecond: up to then the age is a period, and
    // afterwards zero.
    let age = recovery("", 9 * SECOND, "kill").snapshot_age_ns;
    let triggered = 9 * SECOND - age % (2 * SECOND);
    let parts = predicted("", "at = \"9s\"\ndo = \"kill\"").duration.unwrap();
    let (acknowledged, sealed) =
        (parts.total_ns() - parts.finalise_ns - parts.ack_ns, parts.total_ns() - parts.finalise_ns / 2);
    let before = restored(triggered + acknowledged - 2_000, "kill");
    let next = before.map(|checkpoint| checkpoint + 1);
    for (after, mode, expected) in [
        // A killed TaskManager is missed one hop later, so its checkpoint completes only if the manifest is durable by
        // then.
        (acknowledged + 2_000, "kill", before),
        (sealed - 1_002_000, "kill", before),
        (sealed - 998_000, "kill", next),
        (parts.total_ns() + 2_000, "kill", next),
        // A TaskManager that falls silent is not missed for seconds, and a checkpoint that it had acknowledged
        // completes without it.
        (acknowledged - 2_000, "machine-loss", before),
        (acknowledged + 2_000, "machine-loss", next),
    ] {
        assert_eq!(restored(triggered + after, mode), expected, "{mode} {after} ns after the trigger");
    }
}

#[test]
fn slots_are_waited_for_until_heartbeats_have_failed() {
    let slots = |threshold: u32| {
        let engine = format!("heartbeat_rpc_failure_threshold = {threshold}\nrestart_delay = \"100ms\"");
        let parts = recovery(&engine, 9_500_000_000, "kill").parts;
        Duration::from_nanos(parts.detect_ns + parts.backoff_or_cancel_ns + parts.slots_ns)
    };
    // Registered at 0.1 s, so the next heartbeats are at 10.1 s and 11.1 s; then the slots settle, and the manifest is
    // read.
    let settled = slots(0) - Duration::from_millis(101);
    assert_eq!(settled, Duration::from_millis(20));
    for (threshold, beat) in [(1, 600), (2, 1_600)] {
        let off = slots(threshold).abs_diff(Duration::from_millis(beat) + settled);
        assert!(off < Duration::from_millis(5), "{threshold}: {:?}", slots(threshold));
    }
}

#[test]
fn the_delay_is_that_of_the_restart_strategy_with_its_jitter() {
    let delay = |engine: &str| recovery(engine, 9_500_000_000, "kill").parts.backoff_or_cancel_ns;
    assert_eq!(delay("restart_delay = \"300ms\""), 300_000_000);
    assert_eq!(delay("restart_strategy = \"failure-rate\"\nrestart_delay = \"300ms\""), 300_000_000);
    let backoff = |jitter: &str| {
        delay(&format!(
            "restart_strategy = \"exponential-delay\"\ninitial_backoff = \"400ms\"\njitter_factor = {jitter}"
        ))
    };
    assert_eq!(backoff("0"), 400_000_000);
    let drawn = backoff("1");
    assert!((400_000_000..=800_000_000).contains(&drawn), "{drawn}");
    for never in ["restart_strategy = \"none\"", "restart_attempts = 0"] {
        let prediction = predicted(never, "at = \"9.5s\"\ndo = \"kill\"");
        assert_eq!(prediction.recovery, None);
        assert_eq!(prediction.outside, ["the restart strategy allows no restart"]);
    }
}

/// Why the numbers of a job with values of `values` bytes in RocksDB, with these settings, are outside of the domain,
/// by subject.
fn outside(values: &str, cluster: &str, checkpointing: &str, fault: &str) -> Vec<(Vec<Subject>, String)> {
    let text = format!(
        r#"
name = "predicted"
why = "in the domain, but for one thing"
[job]
name = "keyed-count"
params = {{ keys = 100, emit_every = 5, {values} }}
input = {{ generator = "orders", records = 30_000, rate = "1000/s" }}
parallelism = 2
[cluster]
task_managers = 3
slots = 1
{cluster}
[checkpointing]
interval = "2s"
backend = "rocksdb"
{checkpointing}
[[fault]]
{fault}
"#
    );
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(&text, Path::new("predicted.toml"), &catalogue(&jobs));
    let plan = scenario.unwrap_or_else(|error| panic!("{:?}", error.problems())).plan(1);
    let prediction = predict(&plan, jobs.get("keyed-count").unwrap());
    assert!(prediction.duration.is_some(), "the numbers stay, for whoever plans a run");
    prediction.out_of_domain.into_iter().map(|one| (one.subjects, one.why)).collect()
}

#[test]
fn where_the_model_does_not_hold_the_prediction_says_so() {
    use Subject::{CatchingUp, Checkpoint, Recovery};
    const VALUES: &str = "value_bytes = 1000, update_values = 1";
    // Far from every completion of a checkpoint, and with hardly any load.
    let kill = |at: &str| format!("at = \"{at}\"\ndo = \"kill\"\ntarget = \"tm-1\"");
    assert_eq!(outside(VALUES, "", "", &kill("15s")), []);
    assert_eq!(outside("value_bytes = 1000", "state_weight = 100", "", &kill("15s")), []);
    let only = |found: Vec<(Vec<Subject>, String)>, subjects: &[Subject], why: &str| {
        let [(about, said)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((about.as_slice(), said.contains(why)), (subjects, true), "{said}");
    };
    let heavy = "state_weight = 2000";
    only(outside(VALUES, heavy, "", &kill("15s")), &[Checkpoint, Recovery], "the interval is 2.000 s");
    let expired = outside(VALUES, heavy, "timeout = \"1s\"", &kill("15s"));
    assert!(expired[0].1.contains("given up after 1.000 s"), "{expired:?}");
    assert_eq!(expired[0].0, [Checkpoint, Recovery]);
    // All keys have occurred after half a second; at the fault the first four checkpoints are over.
    only(outside(VALUES, "", "", &kill("3s")), &[Checkpoint], "the state grows");
    only(
        outside(VALUES, "record_weight = 6000", "", "at = \"15s\"\ndo = \"kill\"\ntarget = \"tm-1\""),
        &[Checkpoint, Recovery],
        "the load is",
    );
    only(
        outside(
            "value_bytes = 1048576, update_values = 1",
            "store_throughput = \"100GB/s\"\nstore_read_throughput = \"100GB/s\"",
            "",
            &kill("15s"),
        ),
        &[Checkpoint, Recovery],
        "RocksDB's cache",
    );
    let slow = "at = \"15s\"\ndo = \"slow-store\"\nby = \"100ms\"\nheal_after = \"2s\"";
    only(outside(VALUES, "", "", slow), &[Checkpoint, Recovery], "slow-store");
    only(outside(VALUES, "", "", &kill("29s")), &[CatchingUp], "its input ends");
}

/// A strike when a checkpoint is about to be durable, and one well after that.
#[test]
fn a_fault_beside_the_completion_of_a_checkpoint_is_outside() {
    const SECOND: u64 = 1_000_000_000;
    let at = |at: u64| predicted("", &format!("at = \"{at}ns\"\ndo = \"kill\""));
    let triggered = 9 * SECOND - recovery("", 9 * SECOND, "kill").snapshot_age_ns % (2 * SECOND);
    let parts = at(9 * SECOND).duration.unwrap();
    let duration = parts.total_ns();
    assert!(
        at(triggered + duration - parts.finalise_ns / 2)
            .disowned(Subject::Recovery)
            .is_some_and(|why| why.contains("milliseconds"))
    );
    assert_eq!(at(triggered + 2 * duration).disowned(Subject::Recovery), None);
    assert_eq!(at(triggered + 2 * duration).disowned(Subject::CatchingUp), None);
}

#[test]
fn what_is_not_known_before_the_run_is_said() {
    let outside = |fault: &str| predicted("", fault).outside;
    assert_eq!(
        outside("at = \"9s\"\ndo = \"pause\"\nresume_after = \"1s\""),
        ["only the death of a TaskManager is predicted"]
    );
    let at_event = "on = { event = \"checkpoint-triggered\", nth = 3 }\ndo = \"kill\"";
    assert_eq!(outside(at_event), ["when the fault strikes is not known before the run"]);
}
