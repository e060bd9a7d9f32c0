use std::path::Path;
use std::time::Duration;

use super::*;
use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::scenario::Scenario;

/// Predicts a job of 2 of 3 TaskManagers with this fault, and these settings of `[engine]`; store requests take 10 ms, frames 1.
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
    // When the fifth is triggered, to the nanosecond: its age is a period then, and nothing after it.
    let age = recovery("", 9 * SECOND, "kill").snapshot_age_ns;
    let triggered = 9 * SECOND - age % (2 * SECOND);
    let parts = predicted("", "at = \"9s\"\ndo = \"kill\"").duration.unwrap();
    let (acknowledged, sealed) =
        (parts.total_ns() - parts.finalise_ns - parts.ack_ns, parts.total_ns() - parts.finalise_ns / 2);
    let before = restored(triggered + acknowledged - 2_000, "kill");
    let next = before.map(|checkpoint| checkpoint + 1);
    for (after, mode, expected) in [
        // A killed one is missed a hop later: its checkpoint goes on only if its manifest is durable by then.
        (acknowledged + 2_000, "kill", before),
        (sealed - 1_002_000, "kill", before),
        (sealed - 998_000, "kill", next),
        (parts.total_ns() + 2_000, "kill", next),
        // One that falls silent is not missed for seconds, and what it had acknowledged is completed without it.
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
    // Registered at 0.1 s, so the next beats are at 10.1 s and 11.1 s; the slots settle, and the manifest is read.
    let settled = slots(0) - Duration::from_millis(101);
    assert_eq!(settled, Duration::from_millis(20));
    for (threshold, beat) in [(1, 600), (2, 1_600)] {
        let off = slots(threshold).abs_diff(Duration::from_millis(beat) + settled);
        assert!(off < Duration::from_millis(5), "{threshold}: {:?}", slots(threshold));
    }
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
