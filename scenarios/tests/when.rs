//! When a failure was decided, tested on a planted bug for which the answer is known.

use flowquake::jobs::Jobs;
use flowquake::plan::RunPlan;
use flowquake::run::run;
use flowquake::search::curve::{Search, redrawn};
use flowquake::session::execute;
use flowquake_engine::event::Event;
use flowquake_engine::mutation::Mutation;
use flowquake_reports::probability::CurvePoint;
use flowquake_reports::record::Verdict;

use super::inline;

/// Output is lost if the kill, this long after the trigger of the first checkpoint, comes when the checkpoint is
/// complete and its output is not yet committed. Whether it does depends only on the latencies of the checkpoint's
/// messages.
const SCENARIO: &str = r#"
name = "killed-after-the-trigger"
why = "whether it fails is decided while one checkpoint is under way"

[job]
name = "string-length-count"
input = { generator = "words", records = 1_600, splits = 2, rate = "1000/s" }
parallelism = 2

[cluster]
task_managers = 2
slots = 1
latency = "1ms..40ms"

[checkpointing]
interval = "1s"
backend = "memory"

[[fault]]
on = { event = "checkpoint-triggered" }
delay = "75ms"
do = "kill"
target = "tm-1"
restart_after = "200ms"
"#;

const BUG: Mutation = Mutation::ForgetPendingTransactions;

fn fails(plan: &RunPlan) -> bool {
    let (record, _) = execute(plan, &Jobs::builtin(), &[BUG], String::new());
    matches!(record.verdict, Verdict::Failed { .. })
}

#[test]
fn a_failure_is_decided_where_its_cause_is() {
    let scenario = inline("killed-after-the-trigger", SCENARIO);
    let plan = (1..=40).map(|seed| scenario.plan(seed)).find(fails).expect("one of forty seeds fails");
    let events = run(&plan, &Jobs::builtin(), &[BUG]).trace.events;
    let position = |wanted: fn(&Event) -> bool| events.iter().position(|record| wanted(&record.event)).unwrap() as u64;
    let triggered = position(|event| matches!(event, Event::CheckpointTriggered { .. }));
    let begun = position(|event| matches!(event, Event::FailoverBegun { .. }));
    let mut search = Search::new(events.len() as u64, 14);
    loop {
        let next = search.next();
        if next.is_empty() {
            break;
        }
        for at in next {
            let failed = (0..16).filter(|n| fails(&redrawn(&plan, at, *n))).count() as u64;
            search.measured(CurvePoint::new(at, 16, failed, 0));
        }
    }
    let points = search.points();
    let texts: Vec<String> = events.iter().map(ToString::to_string).collect();
    let step = search.step(&texts).unwrap_or_else(|| panic!("{points:?}"));
    assert!(points[0].share < 0.8, "with all timing drawn anew it is a matter of luck: {points:?}");
    assert!(points.iter().filter(|point| point.after_events > begun).all(|point| point.failed == 16), "{points:?}");
    let (width, whole) = (step.to - step.from, events.len() as u64);
    assert!(
        step.to > triggered && step.from <= begun && width * 4 < whole,
        "{step:?}, {triggered} to {begun} of {whole}"
    );
}
