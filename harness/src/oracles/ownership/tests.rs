//! Legal histories hold, those with superseded leaders included; each kind of violation is found.

use flowquake_engine::ha::entry::Ending;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{at, logged, ms, outcome, subtask};
use crate::outcome::{Claim, Decision};

/// A job of one attempt that completes checkpoint 1: entries 0 to 3 of the first segment.
fn history() -> Outcome {
    let mut outcome = outcome([]);
    outcome.log.clear();
    logged(&mut outcome, 10, 1, Change::Opened);
    logged(&mut outcome, 20, 1, Change::AttemptBegun(Attempt(1)));
    logged(&mut outcome, 30, 1, Change::Renewed);
    logged(&mut outcome, 40, 1, Change::Completed(CheckpointId(1)));
    outcome
}

/// A standby takes over from [`history`]: it closes the segment, and entries 0 and 1 of the second one follow.
fn taken_over() -> Outcome {
    let mut outcome = history();
    logged(&mut outcome, 100, 2, Change::Opened);
    logged(&mut outcome, 110, 2, Change::AttemptBegun(Attempt(2)));
    outcome
}

fn evidence(outcome: &Outcome) -> Vec<String> {
    judge(outcome).violations.into_iter().map(|violation| violation.evidence).collect()
}

/// A claim made by the change of the stores at `time`: fixtures number the changes by milliseconds.
fn claim(time: u64, checkpoint: u64, term: u64) -> Claim {
    let path = format!("chk-{checkpoint:08}/1-0-{term}-1-heap");
    Claim { order: time, checkpoint: CheckpointId(checkpoint), term: Term(term), path }
}

fn deployed(attempt: u32, restored: Option<u64>) -> Event {
    Event::DeploymentBegun { attempt: Attempt(attempt), restored: restored.map(CheckpointId), state_bytes: 0 }
}

/// Adds an event that comes after everything in the log.
fn emit(outcome: &mut Outcome, time: u64, node: &str, event: Event) {
    outcome.trace.push(at(time, node, event));
}

#[test]
fn a_take_over_is_legal_and_so_is_a_zombie_without_effect() {
    let mut outcome = taken_over();
    // `fixtures::logged` puts `jm-1` in charge of term 1, and `jm-2` of term 2.
    emit(&mut outcome, 120, "jm-2", deployed(2, Some(1)));
    // The old leader is back; it deploys and counts acknowledgements as far as it knows.
    emit(&mut outcome, 130, "jm-1", deployed(1, None));
    let (attempt, checkpoint, subtask) = (Attempt(1), CheckpointId(2), subtask(1, 0));
    emit(&mut outcome, 140, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false });
    emit(&mut outcome, 150, "tm-1", Event::SnapshotAsyncEnded { attempt, checkpoint, subtask, bytes: 1 });
    emit(&mut outcome, 160, "jm-1", Event::CheckpointAcknowledged { attempt, checkpoint, subtask });
    outcome.claims = vec![claim(45, 2, 1), claim(120, 11, 2), claim(150, 3, 1)];
    outcome.decisions = vec![Decision { at: ms(50), order: 50, subtask, epoch: CheckpointId(1), commit: true }];
    assert_eq!(evidence(&outcome), [""; 0]);
}

#[test]
fn the_log_has_no_gap_and_no_double() {
    let mut outcome = history();
    outcome.log.remove(1);
    assert_eq!(evidence(&outcome)[0], "log entry 00000001-00000002 came where 00000001-00000001 was due");
    let mut outcome = history();
    let entry = outcome.log[2].clone();
    outcome.log.insert(3, entry);
    assert_eq!(evidence(&outcome)[0], "log entry 00000001-00000002 came where 00000001-00000003 was due");
    let mut outcome = history();
    outcome.log[2].entry.position.number = 9;
    assert_eq!(evidence(&outcome)[0], "log entry 00000001-00000002 says that it is 00000001-00000009");
    let mut outcome = history();
    outcome.log_offences = vec!["ha/00000001-00000003 was deleted".into()];
    assert_eq!(evidence(&outcome), ["ha/00000001-00000003 was deleted"]);
    let mut outcome = taken_over();
    outcome.torn_entries.insert(Position { segment: 2, number: 0 });
    assert_eq!(evidence(&outcome)[0], "log entry 00000002-00000000 came where 00000003-00000000 was due");
}

#[test]
fn a_term_is_opened_once_by_one_leader_and_ends_for_good() {
    let mut outcome = taken_over();
    logged(&mut outcome, 200, 1, Change::Renewed);
    assert_eq!(
        evidence(&outcome),
        ["log entry 00000002-00000002: jm-1.1 in term 1 writes into the rule of jm-2.1 in term 2"]
    );
    let mut outcome = taken_over();
    logged(&mut outcome, 200, 2, Change::Opened);
    assert_eq!(evidence(&outcome), ["log entry 00000003-00000000: jm-2 opens term 2 after term 2"]);
    let mut outcome = history();
    logged(&mut outcome, 200, 2, Change::Renewed);
    outcome.log[4].entry.change = Change::Opened;
    assert_eq!(evidence(&outcome), ["log entry 00000001-00000004: jm-2 opens term 2 in a segment that is not closed"]);
    let mut outcome = history();
    logged(&mut outcome, 200, 2, Change::Closed);
    assert_eq!(evidence(&outcome), ["log entry 00000001-00000004: a segment of term 1 is closed as one of term 2"]);
    let mut outcome = taken_over();
    outcome.log[6].entry.incarnation = 2;
    assert_eq!(
        evidence(&outcome),
        ["log entry 00000002-00000001: jm-2.2 in term 2 writes into the rule of jm-2.1 in term 2"]
    );
    let mut outcome = history();
    outcome.log[0].entry.change = Change::Renewed;
    assert_eq!(
        evidence(&outcome),
        ["log entry 00000001-00000000: the first one must open term 1, not Renewed in term 1"]
    );
}

#[test]
fn the_state_follows_from_the_change() {
    let offence = |index: usize, hurt: &dyn Fn(&mut HaState)| {
        let mut outcome = taken_over();
        hurt(&mut outcome.log[index].entry.state);
        evidence(&outcome).remove(0)
    };
    let forgotten = offence(5, &|state| state.completed.clear());
    assert_eq!(
        forgotten,
        "log entry 00000002-00000000 (Opened): the newest retained checkpoint should be 1, and is none"
    );
    let invented = offence(5, &|state| state.completed.push(CheckpointId(7)));
    assert_eq!(invented, "log entry 00000002-00000000 (Opened): checkpoint 7 is retained, and was not before");
    let again = offence(6, &|state| state.attempt = Attempt(1));
    assert_eq!(again, "log entry 00000002-00000001 (AttemptBegun(2)): attempt 1 after attempt 1");
    let back = offence(5, &|state| state.attempt = Attempt(0));
    assert_eq!(back, "log entry 00000002-00000000 (Opened): attempt 0 opens a term after attempt 1");
    let reserved = offence(5, &|state| state.reserved = CheckpointId(3));
    assert_eq!(reserved, "log entry 00000002-00000000 (Opened): ids were reserved up to 10, now up to 3");
    let undecided = offence(5, &|state| state.undecided = Some(CheckpointId(1)));
    let expected = "log entry 00000002-00000000 (Opened): open decisions should be none, and are up to 1";
    assert_eq!(undecided, expected);
    let mut again = history();
    logged(&mut again, 50, 1, Change::Completed(CheckpointId(1)));
    assert_eq!(evidence(&again), ["log entry 00000001-00000004 (Completed(1)): checkpoint 1 was complete before"]);
    let over = offence(3, &|state| state.ended = Some(Ending::Finished));
    assert_eq!(over, "log entry 00000001-00000004 (Closed): the job had ended before");
}

#[test]
fn the_folder_of_a_checkpoint_belongs_to_one_term() {
    let offences = |claims: Vec<Claim>| {
        let mut outcome = taken_over();
        outcome.claims = claims;
        evidence(&outcome)
    };
    // Ids up to 10 are reserved by term 1, up to 20 by term 2.
    let expected = [
        "chk-00000002/1-0-2-1-heap of term 2: checkpoint 2 belongs to term 1",
        "chk-00000002/1-0-2-1-heap: ids up to 10 were reserved before term 2 was opened",
    ];
    assert_eq!(offences(vec![claim(45, 2, 1), claim(120, 2, 2)]), expected);
    assert_eq!(
        offences(vec![claim(120, 9, 2)]),
        ["chk-00000009/1-0-2-1-heap: ids up to 10 were reserved before term 2 was opened"]
    );
    assert_eq!(
        offences(vec![claim(45, 11, 1)]),
        ["chk-00000011/1-0-1-1-heap was written when ids were reserved up to 10 only"]
    );
    assert_eq!(offences(vec![claim(120, 12, 3)]), ["chk-00000012/1-0-3-1-heap: term 3 was never opened"]);
}

#[test]
fn an_attempt_is_in_the_log_before_its_leader_deploys_it() {
    let offences = |node: &str, event: Event| {
        let mut outcome = taken_over();
        emit(&mut outcome, 120, node, event);
        evidence(&outcome)
    };
    assert_eq!(
        offences("jm-2", deployed(3, Some(1))),
        ["at 0.120000s jm-2.1 deployed attempt 3, which is not in the log"]
    );
    assert_eq!(offences("jm-1", deployed(2, Some(1))), ["at 0.120000s jm-1.1 deployed attempt 2 of jm-2.1"]);
    assert_eq!(
        offences("jm-2", deployed(2, None)),
        ["at 0.120000s attempt 2 begins with the beginning; the log says checkpoint 1"]
    );
}

#[test]
fn ids_are_not_triggered_twice_and_acknowledgements_have_a_snapshot() {
    let mut outcome = history();
    let (checkpoint, subtask) = (CheckpointId(1), subtask(1, 0));
    for node in ["jm-1", "jm-2"] {
        emit(&mut outcome, 50, node, Event::CheckpointTriggered { attempt: Attempt(1), checkpoint, last: false });
    }
    emit(&mut outcome, 60, "tm-1", Event::SnapshotAsyncEnded { attempt: Attempt(1), checkpoint, subtask, bytes: 1 });
    for attempt in [1, 2].map(Attempt) {
        emit(&mut outcome, 70, "jm-1", Event::CheckpointAcknowledged { attempt, checkpoint, subtask });
    }
    let expected = [
        "at 0.050000s jm-2.1 triggered checkpoint 1, which was triggered before",
        "at 0.070000s the acknowledgement of subtask 1#0 counted for checkpoint 1 of attempt 2, for which it took no snapshot",
    ];
    assert_eq!(evidence(&outcome), expected);
}

#[test]
fn a_commit_is_decided_after_the_completion_and_once() {
    let decision = |order, epoch, commit| {
        let mut outcome = history();
        outcome.decisions =
            vec![Decision { at: ms(order), order, subtask: subtask(1, 0), epoch: CheckpointId(epoch), commit }];
        evidence(&outcome)
    };
    assert_eq!(decision(41, 1, true), [""; 0]);
    // No sink can commit what was aborted, so `abort` may be decided at any time.
    assert_eq!(decision(15, 3, false), [""; 0]);
    let expected = "at 0.039000s subtask 1#0 decided to commit epoch 1, when no checkpoint covered it";
    assert_eq!(decision(39, 1, true), [expected]);
    assert_eq!(decision(41, 2, true).len(), 1);
    let mut outcome = history();
    outcome.overruled = vec!["0.1s: .decisions/1-0/00000001 was written over".into()];
    assert_eq!(evidence(&outcome), ["0.1s: .decisions/1-0/00000001 was written over"]);
}

/// What a leader may do next.
#[derive(Debug, Clone)]
enum Step {
    TakeOver,
    Renew,
    Attempt,
    Complete,
    FallBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::TakeOver),
        Just(Step::Renew),
        Just(Step::Attempt),
        Just(Step::Complete),
        (0..4usize).prop_map(Step::FallBack)
    ];
    proptest::collection::vec(step, 0..60)
}

/// The log of leaders that take these steps.
fn legal(steps: &[Step]) -> Outcome {
    let mut outcome = outcome([]);
    outcome.log.clear();
    logged(&mut outcome, 0, 1, Change::Opened);
    let mut next = 1;
    for (time, step) in (1..).zip(steps) {
        let newest = &outcome.log.last().unwrap().entry;
        let (term, attempt, completed) = (newest.term.0, newest.state.attempt, newest.state.completed.clone());
        match step {
            Step::TakeOver => {
                next = newest.state.reserved.0 + 1;
                logged(&mut outcome, time, term + 1, Change::Opened);
            }
            Step::Renew => logged(&mut outcome, time, term, Change::Renewed),
            Step::Attempt => logged(&mut outcome, time, term, Change::AttemptBegun(attempt.next())),
            Step::Complete => {
                outcome.claims.push(claim(time, next, term));
                logged(&mut outcome, time, term, Change::Completed(CheckpointId(next)));
                next += 1;
            }
            Step::FallBack(back) => {
                let to = completed.len().checked_sub(back + 1).map(|at| completed[at]);
                logged(&mut outcome, time, term, Change::FallingBack(to));
            }
        }
    }
    outcome
}

/// A TaskManager obeys these terms and attempts, one deployment after the other.
fn obeying(orders: &[(&str, u64, u32)]) -> Vec<String> {
    let mut outcome = outcome([]);
    for (time, (node, term, attempt)) in (1..).zip(orders) {
        let (term, attempt, checkpoint) = (Term(*term), Attempt(*attempt), None);
        emit(&mut outcome, time, node, Event::RestoreBegun { term, attempt, subtask: subtask(1, 0), checkpoint });
    }
    evidence(&outcome)
}

#[test]
fn a_task_manager_obeys_terms_and_attempts_that_only_grow() {
    assert_eq!(obeying(&[("tm-1", 1, 1), ("tm-1", 1, 2), ("tm-2", 1, 2), ("tm-1", 2, 3), ("tm-2", 1, 2)]), [""; 0]);
    let back = obeying(&[("tm-1", 2, 3), ("tm-1", 1, 3)]);
    assert_eq!(back, ["at 0.002000s tm-1.1 obeyed term 1, although it had obeyed term 2 before"]);
    assert_eq!(obeying(&[("tm-1", 1, 3), ("tm-1", 2, 2)]).len(), 1, "attempts are numbered over all terms");

    let lost = |term: Option<u64>| Event::JobManagerLost { term: term.map(Term), cause: "why".into() };
    let mut outcome = outcome([]);
    emit(&mut outcome, 1, "tm-1", lost(Some(2)));
    emit(&mut outcome, 2, "tm-1", lost(None));
    assert_eq!(evidence(&outcome), [""; 0], "it heard the older one, and did not obey");
    emit(&mut outcome, 3, "tm-1", lost(Some(1)));
    assert_eq!(evidence(&outcome).len(), 1);
    outcome.trace.events.pop();
    outcome.trace.push(EventRecord { incarnation: 2, ..at(3, "tm-1", lost(Some(1))) });
    assert_eq!(evidence(&outcome), [""; 0], "a new life knows nothing of the one before");
}

proptest! {
    #[test]
    fn every_legal_history_holds(steps in steps()) {
        prop_assert_eq!(evidence(&legal(&steps)), [""; 0]);
    }

    /// Any entry of an old term that follows a newer one is found.
    #[test]
    fn an_old_leader_that_still_writes_is_found(steps in steps(), at in 0..60usize) {
        let mut steps = steps;
        steps.insert(0, Step::TakeOver);
        let mut outcome = legal(&steps);
        let newer: Vec<usize> = (0..outcome.log.len()).filter(|at| outcome.log[*at].entry.term > Term(1)).collect();
        let entry = &mut outcome.log[newer[at % newer.len()]].entry;
        (entry.term, entry.leader) = (Term(1), "jm-1".into());
        prop_assert!(!evidence(&outcome).is_empty());
    }
}
