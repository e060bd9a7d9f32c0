//! Compares the estimated cost of a run with what the run did, in counts, which are the same on every machine.
//!
//! Both are priced alike, so that a count matters as much as it costs. Two kinds of runs are left out, because the
//! estimate does not apply to them: runs that took much longer than their input needs to arrive, since something went
//! wrong for that long, and runs whose job failed for good before the end of its input.

use flowquake::cost::{Counts, expected, priced};
use flowquake::jobs::Jobs;
use flowquake::plan::RunPlan;
use flowquake::session::execute;
use flowquake_reports::record::{RunRecord, Verdict};

use crate::all;

/// By which factor the estimate may be wrong.
const FACTOR: f64 = 3.0;
/// A run counts as undisturbed if it took at most this many times as long as expected.
const LONGER: f64 = 2.0;

fn measured(record: &RunRecord, plan: &RunPlan) -> Counts {
    let count = |event: &str| record.totals.events_by_name.get(event).copied().unwrap_or(0) as f64;
    let looks = record.totals.virtual_ns as f64 / plan.job.config.sink_flush_interval.as_nanos() as f64;
    Counts {
        records: record.totals.records_in as f64,
        checkpoints: count("checkpoint-triggered"),
        heartbeats: count("heartbeat-sent"),
        // Sinks flush without an event.
        flushes: looks * f64::from(plan.job.config.parallelism),
    }
}

#[test]
fn an_estimate_is_right_within_a_factor_of_three() {
    let (jobs, mut ratios, mut wrong) = (Jobs::builtin(), Vec::new(), String::new());
    let (mut longer, mut failed) = (0, 0);
    for scenario in all() {
        let plan = scenario.plan(1);
        let (record, _) = execute(&plan, &jobs, &[], String::new());
        if record.verdict != Verdict::Passed {
            continue;
        }
        if !record.totals.events_by_name.contains_key("job-finished") {
            failed += 1;
            continue;
        }
        let (expected, measured) = (expected(&plan), measured(&record, &plan));
        let took = measured.flushes / expected.flushes;
        if took > LONGER {
            longer += 1;
            continue;
        }
        let ratio = priced(&plan, &expected).seconds() / priced(&plan, &measured).seconds();
        if !(1.0 / FACTOR..=FACTOR).contains(&ratio) {
            wrong.push_str(&format!("{}: {ratio:.2}: {expected:?}, {measured:?}\n", scenario.name()));
        }
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share) as usize];
    let (count, median) = (ratios.len(), at(0.5));
    eprintln!("{count} runs, estimate / run: {:.2} to {:.2}, median {median:.2}", at(0.0), at(1.0));
    eprintln!("{longer} took longer, {failed} failed as they should");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 100 && longer + failed <= count / 10, "{count} runs went well, {longer} and {failed} did not");
}
