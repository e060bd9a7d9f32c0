//! Every reason of a stall, from the events that lead to it.

use flowquake_engine::event::RootCause;
use flowquake_engine::ids::Term;

use super::*;
use crate::fixtures::{at, graph, logged, ms, outcome, plan, subtask};

const ATTEMPT: Attempt = Attempt(1);
const CHECKPOINT: CheckpointId = CheckpointId(4);

/// Why a job of two sources and two sinks is stuck after these events, which are a millisecond apart.
fn stall(events: impl IntoIterator<Item = Event>) -> String {
    let events: Vec<EventRecord> = (0..).zip(events).map(|(time, event)| at(time, "jm-1", event)).collect();
    Stall::of(&two_wide(), &outcome(events), Some(&graph())).to_string()
}

/// A plan that matches the graph: two subtasks of each vertex.
fn two_wide() -> RunPlan {
    let mut plan = plan();
    plan.job.config.parallelism = 2;
    plan
}

fn sources() -> [SubtaskId; 2] {
    [subtask(0, 0), subtask(0, 1)]
}

fn sinks() -> [SubtaskId; 2] {
    [subtask(1, 0), subtask(1, 1)]
}

fn deployed() -> Event {
    Event::DeploymentBegun { attempt: ATTEMPT, restored: None, state_bytes: 0 }
}

fn failover() -> Event {
    Event::FailoverBegun { attempt: ATTEMPT, root: RootCause::StoreFailed, cause: "tm-1 is lost".into() }
}

fn runs(subtask: SubtaskId) -> Event {
    Event::TaskRunning { attempt: ATTEMPT, subtask }
}

/// The job runs, and checkpoint 4 is pending.
fn pending() -> Vec<Event> {
    let mut events = vec![deployed()];
    events.extend(sources().into_iter().chain(sinks()).map(runs));
    events.push(Event::JobRunning { attempt: ATTEMPT });
    events.push(Event::CheckpointTriggered { attempt: ATTEMPT, checkpoint: CHECKPOINT, last: false });
    events
}

fn injected(subtask: SubtaskId) -> Event {
    Event::BarrierInjected { attempt: ATTEMPT, checkpoint: CHECKPOINT, subtask }
}

fn received(subtask: SubtaskId, from: SubtaskId) -> Event {
    Event::BarrierReceived { attempt: ATTEMPT, checkpoint: CHECKPOINT, subtask, from }
}

/// Every subtask has received every barrier.
fn barriers() -> Vec<Event> {
    let mut events = pending();
    events.extend(sources().map(injected));
    events.extend(sinks().into_iter().flat_map(|sink| sources().map(|source| received(sink, source))));
    events
}

/// As [`barriers`], followed by these steps of every subtask.
fn snapshots(steps: &[fn(SubtaskId) -> Event]) -> Vec<Event> {
    let mut events = barriers();
    events.extend(steps.iter().flat_map(|step| sources().into_iter().chain(sinks()).map(step)));
    events
}

const SYNC_BEGUN: fn(SubtaskId) -> Event =
    |subtask| Event::SnapshotSyncBegun { attempt: ATTEMPT, checkpoint: CHECKPOINT, subtask };
const SYNC_ENDED: fn(SubtaskId) -> Event = |subtask| Event::SnapshotSyncEnded {
    attempt: ATTEMPT,
    checkpoint: CHECKPOINT,
    subtask,
    busy: 0,
    back_pressured: 0,
};
const ASYNC_ENDED: fn(SubtaskId) -> Event =
    |subtask| Event::SnapshotAsyncEnded { attempt: ATTEMPT, checkpoint: CHECKPOINT, subtask, bytes: 1 };
const ACKNOWLEDGED: fn(SubtaskId) -> Event =
    |subtask| Event::CheckpointAcknowledged { attempt: ATTEMPT, checkpoint: CHECKPOINT, subtask };

#[test]
fn a_job_without_slots_says_how_many_there_are_now() {
    let waiting = |offered| Event::WaitingForSlots { attempt: ATTEMPT, needed: 3, offered };
    assert_eq!(stall([waiting(0), waiting(2)]), "no slots: 3 needed, 2 offered");
    let canceled = Event::TasksCanceled { attempt: ATTEMPT };
    let events = [waiting(0), deployed(), failover(), canceled.clone(), waiting(1)];
    assert_eq!(stall(events), "no slots: 3 needed, 1 offered (1 failover before)");
    let stuck = "nothing is deployed: the leader waits for the checkpoint store (1 failover before)";
    assert_eq!(stall([waiting(0), deployed(), failover(), canceled]), stuck);
}

#[test]
fn a_failover_that_waits_for_tasks_says_so() {
    let mut events = pending();
    events.push(failover());
    assert_eq!(stall(events), "tasks of attempt 1, which failed, are not cancelled (1 failover before)");
}

#[test]
fn a_deployment_that_does_not_run_names_the_tasks() {
    let loading = Event::RestoreBegun { term: Term(1), attempt: ATTEMPT, subtask: subtask(1, 0), checkpoint: None };
    let events = [deployed(), runs(subtask(0, 0)), runs(subtask(0, 1)), loading];
    let expected = "attempt 1 is deployed, but not running: 1#0 (loads its state), 1#1 (not started)";
    assert_eq!(stall(events), expected);
}

#[test]
fn a_source_without_credit_is_named() {
    let mut events = pending();
    let expected = "checkpoint 4: no barrier from 0#0, 0#1: no credit for its output, or never asked";
    assert_eq!(stall(events.clone()), expected);
    // The barrier of the other source has arrived everywhere, so the silent source is the reason.
    events.extend([injected(subtask(0, 0)), SYNC_BEGUN(subtask(0, 0))]);
    events.extend(sinks().map(|sink| received(sink, subtask(0, 0))));
    let expected = "checkpoint 4: no barrier from 0#1: no credit for its output, or never asked";
    assert_eq!(stall(events), expected);
}

#[test]
fn a_channel_names_the_barrier_it_waits_for_and_from_whom() {
    let mut events = pending();
    events.extend(sources().map(injected));
    events.extend(sources().map(SYNC_BEGUN));
    events.extend([received(subtask(1, 0), subtask(0, 0)), received(subtask(1, 0), subtask(0, 1))]);
    events.extend([SYNC_BEGUN(subtask(1, 0)), received(subtask(1, 1), subtask(0, 0))]);
    let expected = "checkpoint 4: subtask 1#1 waits for the barrier from 0#1 (sent; no credit for what is before it, or no \
                    connection); arrived from 0#0";
    assert_eq!(stall(events), expected);
}

#[test]
fn a_snapshot_names_the_step_it_stands_at() {
    let of = |steps: &[fn(SubtaskId) -> Event]| stall(snapshots(steps));
    assert_eq!(of(&[]), "checkpoint 4: no snapshot was taken by 0#0, 0#1, 1#0, 1#1");
    let uploads = "checkpoint 4: a store has not taken the snapshot or the output of 0#0, 0#1, 1#0, 1#1";
    assert_eq!(of(&[SYNC_BEGUN, SYNC_ENDED]), uploads);
    let unheard = "checkpoint 4 waits for acknowledgements of 0#0, 0#1, 1#0, 1#1";
    assert_eq!(of(&[SYNC_BEGUN, SYNC_ENDED, ASYNC_ENDED]), unheard);
    let steps = [SYNC_BEGUN, SYNC_ENDED, ASYNC_ENDED, ACKNOWLEDGED];
    assert_eq!(of(&steps), "checkpoint 4: the checkpoint store has not taken its manifest");
    let mut events = snapshots(&steps);
    events.push(Event::ManifestWritten { attempt: ATTEMPT, checkpoint: CHECKPOINT });
    assert_eq!(stall(events), "checkpoint 4: the checkpoint store has not taken its log entry");
}

#[test]
fn commits_that_are_not_acknowledged_are_named() {
    let (attempt, checkpoint) = (ATTEMPT, CHECKPOINT);
    let mut events = pending();
    events.extend(sinks().map(|subtask| Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes: 1 }));
    events.push(Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 });
    events.push(Event::CommitAcknowledged { attempt, checkpoint, subtask: subtask(1, 0) });
    assert_eq!(stall(events.clone()), "commits of checkpoint 4 are not acknowledged by 1#1");

    events.push(Event::CommitAcknowledged { attempt, checkpoint, subtask: subtask(1, 1) });
    events.push(Event::EndOfInput { attempt, subtask: subtask(0, 0) });
    let expected = "no checkpoint is pending, and the input of 0#1 has not ended";
    assert_eq!(stall(events.clone()), expected);
    events.push(Event::EndOfInput { attempt, subtask: subtask(0, 1) });
    assert_eq!(stall(events), "no checkpoint is pending and the job does not end");
}

#[test]
fn without_a_leader_nothing_else_matters() {
    let mut outcome = outcome(pending().into_iter().map(|event| at(5, "jm-1", event)));
    outcome.ended_at = ms(1000);
    outcome.lives = vec![("jm-1".into(), ms(0), ms(100)), ("jm-2".into(), ms(0), ms(1001))];
    let text = |outcome: &Outcome| Stall::of(&two_wide(), outcome, Some(&graph())).to_string();
    let expected = "no leader: jm-1 of term 1 is down since 0.100000s; nobody has found its lease expired";
    assert_eq!(text(&outcome), expected);
    outcome.trace.push(at(500, "jm-2", Event::LeaseExpired { term: Term(1) }));
    let expected = "no leader: jm-1 of term 1 is down since 0.100000s; jm-2 has found the lease expired at 0.500000s";
    assert_eq!(text(&outcome), expected);
    // The next leader begins anew.
    logged(&mut outcome, 600, 2, Change::Opened);
    assert_eq!(text(&outcome), "nothing is deployed: the leader waits for the checkpoint store");
    // Events of the old leader do not count.
    outcome.trace.push(at(700, "jm-1", deployed()));
    assert_eq!(text(&outcome), "nothing is deployed: the leader waits for the checkpoint store");
    outcome.trace.push(at(800, "jm-2", Event::LeadershipLost { term: Term(2) }));
    assert!(text(&outcome).starts_with("no leader: jm-2 gave up term 2 at 0.800000s"), "{}", text(&outcome));
}

/// Attempts that fail one after the other, a second apart, with these causes.
fn restarts(causes: &[(RootCause, &str)]) -> Vec<EventRecord> {
    let attempts = (1..).zip(causes).flat_map(|(number, (root, cause))| {
        let attempt = Attempt(number);
        let failover = Event::FailoverBegun { attempt, root: root.clone(), cause: (*cause).into() };
        let deployed = Event::DeploymentBegun { attempt, restored: None, state_bytes: 0 };
        let at_ms = u64::from(number) * 1000;
        [
            at(at_ms, "jm-1", deployed),
            at(at_ms + 100, "jm-1", failover),
            at(at_ms + 200, "jm-1", Event::TasksCanceled { attempt }),
        ]
    });
    attempts.collect()
}

fn looped(plan: &RunPlan, events: Vec<EventRecord>, ended_at: u64) -> String {
    let outcome = Outcome { ended_at: ms(ended_at), ..outcome(events) };
    Stall::of(plan, &outcome, Some(&graph())).to_string()
}

fn poisoned(subtask: SubtaskId) -> (RootCause, &'static str) {
    let cause = "subtask 0#0: user function failed: poisoned record (split 0, position 700)";
    (RootCause::TaskFailed { subtask }, cause)
}

#[test]
fn a_restart_loop_names_its_record_its_fault_and_what_completed() {
    use crate::plan::{FaultAction, FaultPlan, Trigger};
    let mut plan = two_wide();
    let action = FaultAction::Poison { split: 0, position: 700, times: None };
    let trigger = Trigger::At(std::time::Duration::ZERO);
    plan.faults = vec![FaultPlan { id: 1, trigger, delay: Default::default(), repeat: 1, action }];
    let causes = vec![poisoned(subtask(0, 0)); 4];
    let never = looped(&plan, restarts(&causes), 5000);
    let expected = "restart loop: 4 failovers, all with one cause: subtask 0#0: user function failed: poisoned record \
                    (split 0, position 700); that is fault 1, poison-record; no checkpoint ever completed";
    assert_eq!(never, expected);

    let mut events = restarts(&causes);
    let completed = Event::CheckpointCompleted { attempt: ATTEMPT, checkpoint: CHECKPOINT, bytes: 1 };
    events.insert(1, at(1050, "jm-1", completed));
    let since = looped(&plan, events, 5000);
    assert!(since.ends_with("; no checkpoint has completed since checkpoint 4 at 1.050000s"), "{since}");
}

#[test]
fn a_loop_of_expired_checkpoints_names_the_timeout_and_what_the_last_one_waited_for() {
    let mut events = Vec::new();
    for number in 1..=3u64 {
        let checkpoint = CheckpointId(number);
        let root = RootCause::CheckpointsFailed { checkpoint };
        let (attempt, reason) = (ATTEMPT, AbortReason::Expired);
        let begin = number * 1000;
        events.push(at(begin, "jm-1", deployed()));
        for task in sources().into_iter().chain(sinks()) {
            events.push(at(begin + 1, "tm-1", runs(task)));
        }
        events.push(at(begin + 2, "jm-1", Event::JobRunning { attempt }));
        events.push(at(begin + 3, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }));
        events.push(at(begin + 8, "jm-1", Event::CheckpointAborted { attempt, checkpoint, reason }));
        let cause = format!("checkpoint {number} failed: checkpoint expired");
        events.push(at(begin + 8, "jm-1", Event::FailoverBegun { attempt, root, cause }));
    }
    let mut plan = two_wide();
    plan.job.config.checkpoints.timeout = std::time::Duration::from_millis(5);
    let expected = "restart loop: 3 failovers, all with one cause: checkpoint 3 failed: checkpoint expired; checkpoint \
                    expired after its timeout of 5ms while checkpoint 3: no barrier from 0#0, 0#1: no credit for its \
                    output, or never asked; no checkpoint ever completed";
    assert_eq!(looped(&plan, events, 4000), expected);
}

#[test]
fn a_loop_needs_three_failovers_that_still_go_on() {
    let lost = |node: &'static str, cause| (RootCause::TaskManagerLost { task_manager: node.into() }, cause);
    let twice = [lost("tm-1", "TaskManager tm-1 lost: reset"), lost("tm-2", "TaskManager tm-2 lost: reset")];
    let plan = two_wide();
    let waits = "nothing is deployed: the leader waits for the checkpoint store";
    assert_eq!(looped(&plan, restarts(&twice), 3000), format!("{waits} (2 failovers before)"));
    let mut thrice = twice.to_vec();
    thrice.push(poisoned(subtask(0, 0)));
    assert_eq!(looped(&plan, restarts(&thrice), 9000), format!("{waits} (3 failovers before)"), "it stood still since");
    let found = looped(&plan, restarts(&thrice), 4000);
    assert!(found.starts_with("restart loop: 3 failovers, 2 of them with one cause: TaskManager tm-2 lost"), "{found}");
}

#[test]
fn leaders_that_follow_each_other_are_a_loop_until_one_stays() {
    let lost = |time, term| at(time, "jm-1", Event::LeadershipLost { term: Term(term) });
    let waiting = at(3_100, "jm-3", Event::WaitingForSlots { attempt: ATTEMPT, needed: 2, offered: 0 });
    let mut outcome = outcome(vec![lost(1_500, 1), lost(2_500, 2), waiting]);
    // Term 1 is there already.
    for term in 2..=3 {
        logged(&mut outcome, term * 1_000, term, Change::Opened);
    }
    // Both entries came after two events.
    outcome.log.iter_mut().for_each(|logged| logged.events = 2);
    let text = |outcome: &Outcome| Stall::of(&two_wide(), outcome, Some(&graph())).to_string();
    outcome.ended_at = ms(4_000);
    let expected = "takeover loop: 3 terms were opened, 2 of them were given up: the leader renewed nothing within the lease of 5s, \
                    or found a newer term; no checkpoint ever completed; the newest leader: no slots: 2 needed, 0 offered";
    assert_eq!(text(&outcome), expected);
    outcome.ended_at = ms(9_000);
    assert_eq!(text(&outcome), "no slots: 2 needed, 0 offered", "the newest leader has stayed");
}
