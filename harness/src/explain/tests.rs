//! Explanations of hand-made runs: one record is followed through a run that doubles, loses or invents it.

use flowquake_engine::checkpoint::manifest::SubtaskState;
use flowquake_engine::event::{EventRecord, RootCause};
use flowquake_engine::graph::source::SplitPosition;
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::{Attempt, CheckpointId, SplitId, Term};

use super::*;
use crate::fixtures::{at, kill, logged, ms, on, outcome, plan, seal, struck, subtask};
use crate::jobs::{Consumed, Refusal};
use crate::plan::Trigger;

/// A job whose record `n` of split 0 gives lines `wn - …`.
struct Words;

impl Reference for Words {
    fn input_len(&self) -> u64 {
        100
    }

    fn accept(&mut self, _: &Consumed, _: &[&str], _: bool) -> Result<(), Vec<Refusal>> {
        Ok(())
    }

    fn for_each_state(&self, _: &mut dyn FnMut(&str, &dyn std::fmt::Debug, &dyn std::fmt::Debug)) {}

    fn origins(&self, line: &str) -> Vec<RecordId> {
        let number = line.strip_prefix('w').and_then(|rest| rest.split(' ').next()?.parse().ok());
        number.map(|position| RecordId { split: 0, position }).into_iter().collect()
    }

    fn shows(&self, line: &str, record: RecordId) -> bool {
        self.origins(line) == [record]
    }
}

fn deployed(time: u64, attempt: u32, restored: Option<u64>) -> EventRecord {
    let restored = restored.map(CheckpointId);
    at(time, "jm-1", Event::DeploymentBegun { attempt: Attempt(attempt), restored, state_bytes: 0 })
}

fn pre_committed(time: u64, attempt: u32, epoch: u64) -> EventRecord {
    let (attempt, checkpoint, subtask) = (Attempt(attempt), CheckpointId(epoch), subtask(1, 0));
    at(time, "tm-2", Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes: 12 })
}

fn completed(time: u64, attempt: u32, checkpoint: u64) -> EventRecord {
    let (attempt, checkpoint) = (Attempt(attempt), CheckpointId(checkpoint));
    at(time, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 0 })
}

fn commits(time: u64, attempt: u32, epoch: u64, checkpoint: u64) -> EventRecord {
    let (attempt, epoch, checkpoint) = (Attempt(attempt), CheckpointId(epoch), CheckpointId(checkpoint));
    at(time, "tm-2", Event::SinkCommitted { attempt, epoch, subtask: subtask(1, 0), checkpoint })
}

fn fails_over(time: u64) -> EventRecord {
    let (attempt, root, cause) = (Attempt(1), RootCause::StoreFailed, "tm-2 is lost".into());
    at(time, "jm-1", Event::FailoverBegun { attempt, root, cause })
}

/// A manifest that says how far split 0 was read.
fn sealed(outcome: &mut Outcome, time: u64, checkpoint: u64, attempt: u32, position: u64) {
    seal(outcome, time, checkpoint);
    if outcome.log.is_empty() {
        logged(outcome, 0, 1, Change::Opened);
    }
    logged(outcome, time, 1, Change::Completed(CheckpointId(checkpoint)));
    let manifest = &mut outcome.sealed.get_mut(&CheckpointId(checkpoint)).unwrap().manifest;
    manifest.attempt = Attempt(attempt);
    let positions = vec![SplitPosition { split: SplitId(0), emitted: position }];
    manifest.subtasks.insert(subtask(0, 0), SubtaskState { positions, ..SubtaskState::default() });
}

fn appears(outcome: &mut Outcome, time: u64, epoch: u64, lines: &str) {
    let name = format!("part-1-0-{epoch:08}-0000.txt");
    let bytes = lines.to_owned().into();
    outcome.visible.push(Part {
        at: ms(time),
        order: time,
        name,
        subtask: subtask(1, 0),
        epoch: CheckpointId(epoch),
        bytes,
    });
}

/// Checkpoint 1 covers records 0 to 9. A kill strikes at 600 ms; attempt 2 begins with checkpoint 1, and checkpoint 3
/// covers everything.
fn failed_over(events: Vec<EventRecord>) -> (RunPlan, Outcome) {
    let mut all = vec![
        at(0, "jm-1", Event::LeadershipGranted { term: Term(1) }),
        deployed(10, 1, None),
        pre_committed(480, 1, 1),
        completed(500, 1, 1),
        commits(510, 1, 1, 1),
        fails_over(620),
        deployed(900, 2, Some(1)),
    ];
    all.extend(events);
    all.sort_by_key(|record| record.at);
    let mut outcome = outcome(all);
    outcome.sealed.clear();
    outcome.visible.clear();
    outcome.strikes.push(struck(600, None));
    sealed(&mut outcome, 500, 1, 1, 10);
    appears(&mut outcome, 508, 1, "w3 - 0\nw4 - 0\n");
    let mut plan = plan();
    plan.faults.push(kill(1, Trigger::On(on("sink-committed"))));
    (plan, outcome)
}

fn why(plan: &RunPlan, outcome: &Outcome, refused: Objection) -> String {
    objection(plan, outcome, &Words, &refused).trim_start().to_owned()
}

fn doubled() -> (RunPlan, Outcome) {
    let (plan, mut outcome) =
        failed_over(vec![pre_committed(1480, 2, 3), completed(1500, 2, 3), commits(1510, 2, 3, 3)]);
    sealed(&mut outcome, 1500, 3, 2, 40);
    appears(&mut outcome, 1508, 3, "w4 - 1\nw12 - 0\n");
    (plan, outcome)
}

#[test]
fn a_doubled_record_is_followed_to_both_commits() {
    let (plan, outcome) = doubled();
    let refused = Objection::from("`w4` came out twice".to_owned()).seen_in(["w4 - 1"]);
    insta::assert_snapshot!("doubled", why(&plan, &outcome, refused));
}

#[test]
fn a_record_whose_transaction_was_aborted_is_lost_there() {
    let aborts = at(910, "tm-2", Event::SinkAborted { epoch: CheckpointId(2), subtask: subtask(1, 0) });
    let (plan, mut outcome) = failed_over(vec![pre_committed(590, 1, 2), aborts, completed(1500, 2, 3)]);
    sealed(&mut outcome, 1500, 3, 2, 40);
    appears(&mut outcome, 1508, 3, "w12 - 0\n");
    let lost = RecordId { split: 0, position: 11 };
    let refused = Objection::from("`w11` is missing".to_owned()).about(vec![lost]);
    insta::assert_snapshot!("lost", why(&plan, &outcome, refused));
}

#[test]
fn a_record_that_no_transaction_lacks_was_lost_before_the_sink() {
    let (plan, outcome) = doubled();
    let refused = Objection::from("`w20` is missing".to_owned()).about(vec![RecordId { split: 0, position: 20 }]);
    let text = why(&plan, &outcome, refused);
    assert!(text.contains("every transaction of its epoch is visible: lost before the sink"), "{text}");
    // Restored at 10, so the record was read again; attempt 1 may have come that far before it failed.
    let readers = "passed by 0#0 in attempt 2 (which went from position 10 to 40), perhaps read by 0#0 in attempt 1";
    assert!(text.contains(readers), "{text}");
}

#[test]
fn a_record_that_arrived_after_an_attempt_was_not_read_by_it() {
    let (plan, mut outcome) = doubled();
    sealed(&mut outcome, 1500, 3, 2, 2_000);
    // At 2,000 records per second, record 1,500 arrives at 750 ms, after attempt 1 has ended.
    let refused = Objection::from("`w1500` is missing".to_owned()).about(vec![RecordId { split: 0, position: 1_500 }]);
    let text = why(&plan, &outcome, refused);
    assert!(text.contains("; passed by 0#0 in attempt 2 (which went from position 10 to 2000)\n"), "{text}");
}

#[test]
fn a_record_that_came_out_in_another_epoch_is_late_and_not_lost() {
    let (plan, mut outcome) = failed_over(vec![
        pre_committed(1480, 2, 3),
        completed(1500, 2, 3),
        commits(1510, 2, 3, 3),
        pre_committed(1980, 2, 7),
        completed(2000, 2, 7),
        commits(2010, 2, 7, 7),
    ]);
    sealed(&mut outcome, 1500, 3, 2, 40);
    appears(&mut outcome, 1508, 3, "w12 - 0\n");
    sealed(&mut outcome, 2000, 7, 2, 60);
    appears(&mut outcome, 2008, 7, "w11 - 0\n");
    let missing = RecordId { split: 0, position: 11 };
    let text = why(&plan, &outcome, Objection::from("`w11` is missing".to_owned()).about(vec![missing]));
    let late = "output: missing from epoch (1, 3], came out in epoch 7: `w11 - 0` in part-1-0-00000007-0000.txt, \
                visible at 2.008000s";
    assert!(text.contains(late), "{text}");
    assert!(!text.contains("in no visible part") && !text.contains("lost before the sink"), "{text}");
}

#[test]
fn a_fault_that_struck_before_a_commit_was_due_stands_before_what_is_missing() {
    // The commit of checkpoint 3 was due from 1.5 s on, and a fault struck after that.
    let (plan, mut outcome) = failed_over(vec![pre_committed(1480, 2, 3), completed(1500, 2, 3)]);
    sealed(&mut outcome, 1500, 3, 2, 40);
    outcome.strikes[0] = struck(1_600, None);
    outcome.ended_at = ms(3_000);
    let missing = RecordId { split: 0, position: 12 };
    let text = why(&plan, &outcome, Objection::from("`w12` is missing".to_owned()).about(vec![missing]));
    assert!(text.contains("transaction of 1#0, epoch 3, was pre-committed and never committed"), "{text}");
    assert!(text.contains("before it: fault 1 (kill tm-1: process killed) at 1.600000s"), "{text}");
}

#[test]
fn an_attempt_that_skipped_a_record_is_not_said_to_have_read_it() {
    let (plan, outcome) = doubled();
    let first = RecordId { split: 0, position: 10 };
    let text = why(&plan, &outcome, Objection::from("`w10` is missing".to_owned()).about(vec![first]));
    assert!(text.contains("passed by 0#0 in attempt 2 (which went from position 10 to 40)"), "{text}");
    assert!(!text.contains("; read by"), "{text}");
}

#[test]
fn invented_output_names_its_commit_and_the_fault_before_it() {
    let (plan, mut outcome) = failed_over(vec![pre_committed(590, 1, 2), commits(600, 1, 2, 2)]);
    appears(&mut outcome, 599, 2, "w11 - 0\n");
    let part = outcome.visible.last().unwrap();
    insta::assert_snapshot!("invented", super::part(&plan, &outcome, part).trim_start());
}

#[test]
fn without_a_record_or_a_line_there_is_nothing_to_explain() {
    let (plan, outcome) = doubled();
    assert_eq!(why(&plan, &outcome, "no output has count 3".to_owned().into()), "");
}

#[test]
fn a_line_of_nobody_is_explained_by_its_commit_alone() {
    let (plan, mut outcome) = failed_over(vec![]);
    appears(&mut outcome, 520, 2, "nonsense\n");
    let text = why(&plan, &outcome, Objection::from("`nonsense` has no form".to_owned()).seen_in(["nonsense"]));
    assert!(text.starts_with("output: `nonsense` in part-1-0-00000002-0000.txt, visible at 0.520000s"), "{text}");
    assert!(text.contains("no commit of it was reported\n  before it: no fault, no failover"), "{text}");
}
