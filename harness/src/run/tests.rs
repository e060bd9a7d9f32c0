//! Failing user code in whole runs: it fails the task and nothing else, and the job recovers.

use super::*;
use crate::cli::catalogue;
use crate::jobs::UserCode;
use crate::oracles::{self, Case};
use crate::plan::UserFailure;
use crate::scenario::Scenario;
use flowquake_engine::event::Event;

fn plan(setting: &str) -> RunPlan {
    let text = format!(
        r#"
name = "user-code"
why = "a test"
[job]
name = "string-length-count"
input = {{ generator = "words", records = 4_000, splits = 4, rate = "1000/s" }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
[checkpointing]
interval = "500ms"
[engine]
{setting}
"#
    );
    Scenario::parse(&text, std::path::Path::new("user-code.toml"), &catalogue(&Jobs::builtin())).unwrap().plan(1)
}

/// Runs a plan; `order` is given to the user code before its first record.
fn run_ordered(plan: &RunPlan, order: impl FnOnce(&UserCode)) -> (Outcome, UserCode) {
    let director = Director::new(plan, 0);
    let user_code = director.user_code().clone();
    order(&user_code);
    let jobs = Jobs::builtin();
    let outcome = start(plan, &jobs, &Simulator::default(), None, director).unwrap();
    let (inputs, resume) = (InputFiles::default(), |_: &_| unreachable!("no copies are kept"));
    let (_, violations) = oracles::judge(&Case::new(plan, &outcome, &jobs, &inputs, &resume));
    assert!(violations.is_empty(), "{violations:?}");
    (outcome, user_code)
}

fn failures(outcome: &Outcome) -> Vec<(String, String)> {
    let failed = outcome.trace.events.iter().filter_map(|record| match &record.event {
        Event::TaskFailed { cause, .. } => Some((record.node.to_string(), cause.clone())),
        _ => None,
    });
    failed.collect()
}

#[test]
fn a_panic_and_an_error_of_user_code_each_fail_one_task_of_their_node() {
    for (how, words) in [(UserFailure::Panic, "user code panicked: "), (UserFailure::Error, "user function failed: ")] {
        let (outcome, user_code) = run_ordered(&plan(""), |user_code| user_code.arm("tm-2", how));
        assert_eq!(outcome.end, End::Finished);
        let failures = failures(&outcome);
        assert!(matches!(&failures[..], [(node, cause)] if node == "tm-2" && cause.starts_with(words)), "{failures:?}");
        assert_eq!(user_code.hits().len(), 1);
        assert!(outcome.lives.iter().all(|(_, _, until)| *until >= outcome.ended_at), "no process dies of it");
    }
}

#[test]
fn a_poisoned_record_fails_every_attempt_that_meets_it_and_the_job_once_attempts_are_used_up() {
    let (outcome, user_code) = run_ordered(&plan(""), |user_code| user_code.poison(3, 700, Some(3)));
    assert_eq!(outcome.end, End::Finished);
    assert_eq!(failures(&outcome).len(), 3);
    assert!(user_code.hits().iter().all(|hit| (hit.split, hit.position) == (3, 700)));

    let (outcome, user_code) = run_ordered(&plan("restart_attempts = 2"), |user_code| user_code.poison(0, 10, None));
    assert!(matches!(&outcome.end, End::Failed(cause) if cause.contains("split 0, position 10")), "{:?}", outcome.end);
    assert_eq!(user_code.hits().len(), 3);
}

#[test]
fn ordered_failures_leave_equal_traces() {
    let hash = || run_ordered(&plan(""), |user_code| user_code.arm("tm-1", UserFailure::Panic)).0.trace.hash();
    assert_eq!(hash(), hash());
}

/// If timing is drawn anew after `k` events, those events, their times and their order stay as they were (PLAN-P3).
#[test]
fn timing_drawn_anew_keeps_the_events_before() {
    let plan = plan("");
    let events = |redraws: &[(u64, u64)]| {
        let redraws = redraws.iter().map(|(after_events, seed)| Redraw { after_events: *after_events, seed: *seed });
        let outcome = run(&RunPlan { redraws: redraws.collect(), ..plan.clone() }, &Jobs::builtin(), &[]);
        assert_eq!(outcome.end, End::Finished);
        (outcome.trace.hash(), outcome.trace.events)
    };
    let (hash, whole) = events(&[]);
    for after in [0, 1, 40, whole.len() as u64 - 20] {
        let (one, other) = (events(&[(after, 1)]), events(&[(after, 2)]));
        let kept = after as usize;
        assert_eq!(one.1[..kept], whole[..kept], "PLAN-P3");
        assert_eq!(other.1[..kept], whole[..kept], "PLAN-P3");
        assert!(one.0 != hash && other.0 != hash && one.0 != other.0, "behind {after} events all is drawn anew");
        assert_eq!(events(&[(after, 1)]).0, one.0, "and is the same in every run of the plan");
    }
    assert_eq!(events(&[(whole.len() as u64 + 1, 1)]).0, hash, "a run that ends before is as it was");
    // Two redraws in one run: the events before the first are kept, too.
    let (_, once) = events(&[(40, 1)]);
    let (_, twice) = events(&[(40, 1), (60, 2)]);
    assert!(twice[..60] == once[..60] && twice[60..] != once[60..]);
}
