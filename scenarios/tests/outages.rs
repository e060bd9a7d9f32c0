//! Bounds on outages are effective: they are compared with the time that a user waits, and not with the single
//! recoveries into which an outage may be divided.

use flowquake::jobs::Jobs;
use flowquake::scenario::Scenario;
use flowquake::session;
use flowquake_reports::record::{Lapse, RecoveryKind, RunRecord, Verdict, worst_outage};
use flowquake_scenarios::SCENARIOS;

use super::{all, execute, inline};

const SECOND: u64 = 1_000_000_000;

/// The run of a shipped scenario with another bound on its times.
fn bounded(name: &str, bound: &str) -> RunRecord {
    let file = format!("{SCENARIOS}/timing/{name}.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some((key @ ("outage_max" | "recovery_max"), _)) => format!("{key} = \"< {bound}\""),
        _ => line.to_owned(),
    });
    execute(&inline(name, &lines.collect::<Vec<_>>().join("\n")), 1, &[])
}

fn worst(record: &RunRecord) -> u64 {
    let worst = worst_outage(&record.recoveries).expect("there was an outage");
    worst.ns().unwrap_or_else(|| panic!("no end: {worst}"))
}

fn assert_fails(record: &RunRecord, wanted: &str) {
    let Verdict::Failed { oracle, evidence, .. } = &record.verdict else { panic!("{:?}", record.verdict) };
    assert_eq!(oracle, "O9", "{evidence:?}");
    assert!(evidence[0].starts_with(wanted), "{evidence:?}");
}

#[test]
fn recoveries_that_come_to_nothing_are_a_part_of_the_outage() {
    let cut_off = bounded("outage-of-a-leader-cut-off", "6s");
    assert_fails(&cut_off, "outage_max is 30.");
    assert!(worst(&cut_off) > 20 * SECOND);
    assert!(cut_off.recoveries.iter().any(|recovery| recovery.superseded.len() >= 2));

    let crash_loop = bounded("outage-of-a-crash-loop", "4s");
    assert_fails(&crash_loop, "outage_max is 6.");
    assert_eq!(crash_loop.recoveries.len(), 1, "six deaths are one outage");
    assert_eq!(crash_loop.recoveries[0].superseded.len(), 5);
}

#[test]
fn a_job_that_stands_still_is_down_although_nothing_is_restarted() {
    let record = bounded("outage-without-a-failover", "6s");
    assert_fails(&record, "outage_max is 31.");
    assert!(!record.totals.events_by_name.contains_key("failover-begun"));
    assert_eq!(record.recoveries.iter().map(|one| one.kind).collect::<Vec<_>>(), [RecoveryKind::Stall]);
}

/// A leader that is cut off for good, and a job that has no restart left.
#[test]
fn an_outage_without_an_end_keeps_no_bound() {
    let text = |fault: &str, end: &str| {
        format!(
            r#"
name = "for-good"
why = "nobody comes back"
time_limit = "60s"
[job]
name = "keyed-count"
input = {{ generator = "orders", records = 20_000, rate = "1000/s" }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
[checkpointing]
interval = "1s"
[[fault]]
at = "5s"
{fault}
[expect]
outage_max = "< 1h"
recovery_max = "< 1h"
{end}
"#
        )
    };
    let lost = "do = \"kill\"\ntarget = \"tm-1\"";
    let record = execute(&inline("for-good", &text(lost, "")), 1, &[]);
    assert_eq!(record.verdict.label(), "failed", "it is stuck, and a bound is not kept: {:?}", record.verdict);
    assert!(matches!(worst_outage(&record.recoveries), Some(Lapse::Over(over)) if over > 50 * SECOND));
    let o9 = record.oracles.iter().find(|oracle| oracle.id == "O9").expect("it was asked");
    assert!(!o9.held, "an outage without an end is longer than an hour");

    let user = "do = \"user-panic\"\ntarget = \"tm-1\"";
    let restarts = text(user, "job = \"failed(panicked)\"")
        .replace("[checkpointing]", "[engine]\nrestart_attempts = 0\n[checkpointing]");
    let record = execute(&inline("for-good", &restarts), 1, &[]);
    assert_fails(&record, "outage_max is > ");
}

/// One run, without continuations from copies of the stores.
fn once(scenario: &Scenario, seed: u64) -> RunRecord {
    session::execute(&scenario.plan(seed), &Jobs::builtin(), &[], String::new()).0
}

/// RECORD-R1 on every scripted scenario; and no outage is open where the job finished.
#[test]
fn outages_sum_to_their_parts_and_end_where_the_job_finished() {
    // Scenarios in these folders strike the same things again and again.
    let is_story = |scenario: &Scenario| !["/sweep/", "/swarm/"].iter().any(|dir| scenario.file().contains(dir));
    for scenario in all().into_iter().filter(is_story) {
        let record = once(&scenario, 3);
        let finished = record.totals.events_by_name.contains_key("job-finished");
        let mut before = 0;
        for one in &record.recoveries {
            let what = format!("{} at {} ns", scenario.name(), one.failed_at_ns);
            assert!(before <= one.failed_at_ns, "{what}: outages do not overlap");
            assert_eq!(one.parts.is_none(), one.confirmed_at_ns.is_none(), "{what}");
            assert!(!finished || one.parts.is_some(), "{what}: the job finished, and is still down");
            let Some(outage) = one.outage_ns() else { continue };
            let back = one.failed_at_ns + outage;
            let sum: u64 = one.parts.iter().flat_map(|parts| parts.named()).map(|(_, ns)| ns).sum();
            assert_eq!(sum, outage, "RECORD-R1, {what}");
            assert!(one.confirmed_at_ns >= Some(back), "{what}: confirmed before it was over");
            assert!(one.caught_up_at_ns.is_none_or(|at| at >= back), "{what}");
            if !one.is_stall() {
                let attempt = record.course.attempts.iter().find(|attempt| attempt.attempt == one.attempt);
                let first = attempt.into_iter().flat_map(|attempt| &attempt.subtasks);
                let first = first.filter_map(|subtask| subtask.first_record_ns).min();
                assert!(first.is_none_or(|first| first <= back), "{what}: over before the first record");
            }
            before = back;
        }
    }
}
