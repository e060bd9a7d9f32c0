//! The parts of checkpoints and recoveries sum to the whole (RECORD-R1), on hand-made traces.

use flowquake_engine::config::RestartStrategy;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::{Attempt, CheckpointId, Term};
use flowquake_engine::state::TABLE_OVERHEAD;
use flowquake_reports::record::{
    CheckpointEnd, CheckpointParts, CheckpointRecord, Lapse, RecoveryKind, RecoveryParts, RecoveryRecord,
    recovered_after,
};

use super::{back_pressure, checkpoints, course, lateness, outages};
use crate::fixtures::{at, covers, kill, logged, ms, outcome, plan, sealed_with_file, struck, subtask};
use crate::nemesis::Hit;
use crate::outcome::{CheckpointAccount, End, Flow, Outcome, SubtaskAccount};
use crate::plan::describe_restarts;
use crate::plan::{FaultAction, NodeTarget, RunPlan, Trigger};

const MS: u64 = 1_000_000;

/// Checkpoint 3 of attempt 1: a source acknowledges early, and the sink last.
fn checkpoint() -> Vec<EventRecord> {
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(3));
    let (source, sink) = (subtask(0, 0), subtask(1, 0));
    vec![
        at(100, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }),
        at(110, "tm-1", Event::BarrierInjected { attempt, checkpoint, subtask: source }),
        at(
            112,
            "tm-1",
            Event::SnapshotSyncEnded { attempt, checkpoint, subtask: source, busy: 300, back_pressured: 200 },
        ),
        at(115, "tm-1", Event::SnapshotAsyncEnded { attempt, checkpoint, subtask: source, bytes: 0 }),
        at(120, "jm-1", Event::CheckpointAcknowledged { attempt, checkpoint, subtask: source }),
        at(130, "tm-2", Event::BarrierReceived { attempt, checkpoint, subtask: sink, from: source }),
        at(130, "tm-2", Event::AlignmentOpened { attempt, checkpoint, subtask: sink }),
        at(151, "tm-2", Event::BarrierReceived { attempt, checkpoint, subtask: sink, from: subtask(0, 1) }),
        at(151, "tm-2", Event::AlignmentClosed { attempt, checkpoint, subtask: sink }),
        at(160, "tm-2", Event::SnapshotSyncEnded { attempt, checkpoint, subtask: sink, busy: 1, back_pressured: 0 }),
        at(190, "tm-2", Event::SnapshotAsyncEnded { attempt, checkpoint, subtask: sink, bytes: 40 }),
        at(200, "jm-1", Event::CheckpointAcknowledged { attempt, checkpoint, subtask: sink }),
        at(230, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 40 }),
    ]
}

/// Attempt 1 fails at 1200 ms. Attempt 2 restores checkpoint 3 and processes its first record at 2600 ms; its
/// checkpoint 4, complete at 3100 ms, shows that this lasts.
fn recovery() -> Vec<EventRecord> {
    let (failed, attempt, checkpoint) = (Attempt(1), Attempt(2), Some(CheckpointId(3)));
    let (source, sink) = (subtask(0, 0), subtask(1, 0));
    vec![
        at(
            1200,
            "jm-1",
            Event::FailoverBegun {
                attempt: failed,
                root: flowquake_engine::event::RootCause::StoreFailed,
                cause: "tm-1 is lost".into(),
            },
        ),
        at(2200, "jm-1", Event::RestartReady { attempt: failed }),
        at(2300, "jm-1", Event::DeploymentBegun { attempt, restored: checkpoint, state_bytes: 40 }),
        at(2350, "tm-1", Event::RestoreBegun { term: Term(1), attempt, subtask: source, checkpoint }),
        at(2360, "tm-1", Event::RestoreEnded { attempt, subtask: source, bytes: 0 }),
        at(2370, "tm-2", Event::RestoreBegun { term: Term(1), attempt, subtask: sink, checkpoint }),
        at(2400, "tm-1", Event::FirstRecord { attempt, subtask: source }),
        at(2500, "tm-2", Event::RestoreEnded { attempt, subtask: sink, bytes: 40 }),
        at(2510, "jm-1", Event::JobRunning { attempt }),
        at(2600, "tm-2", Event::FirstRecord { attempt, subtask: sink }),
        at(3000, "tm-1", Event::CaughtUp { attempt, subtask: source }),
        at(3050, "jm-1", Event::CheckpointTriggered { attempt, checkpoint: CheckpointId(4), last: false }),
        at(3100, "jm-1", Event::CheckpointCompleted { attempt, checkpoint: CheckpointId(4), bytes: 40 }),
    ]
}

/// A plan with a fault that lasts until it heals, and a checkpoint each second.
fn cut() -> RunPlan {
    let mut plan = plan();
    plan.job.config.checkpoints.interval = std::time::Duration::from_secs(1);
    let mut fault = kill(1, Trigger::At(std::time::Duration::from_secs(1)));
    fault.action = FaultAction::Pause { target: NodeTarget::Node("tm-1".into()), resume_after: None };
    plan.faults = vec![fault];
    plan
}

fn all(outcome: &Outcome) -> Vec<RecoveryRecord> {
    outages::measure(&cut(), outcome, &checkpoints::measure(outcome, 1), 1)
}

fn measured(events: Vec<EventRecord>) -> RecoveryRecord {
    let mut outcome = outcome(events);
    outcome.strikes = vec![struck(1_000, Some(1_500))];
    all(&outcome).remove(0)
}

/// A target that tells no sizes step by step.
fn without_sizes() -> Vec<EventRecord> {
    let mut events = checkpoint();
    for record in &mut events {
        if let Event::SnapshotAsyncEnded { bytes, .. } = &mut record.event {
            *bytes = 0;
        }
    }
    events
}

#[test]
fn sizes_come_from_what_the_target_says_of_a_checkpoint_where_no_step_tells_them() {
    let heard = |outcome: &Outcome| checkpoints::measure(outcome, 1).remove(0);
    let mut outcome = outcome(without_sizes());
    let record = heard(&outcome);
    assert_eq!((record.state_bytes, record.new_bytes, record.reported), (40, None, None), "of its completion");
    let subtask_of = |state_bytes, sync| {
        let millis = std::time::Duration::from_millis;
        let (upload, alignment, start_delay) = (millis(28), millis(20), millis(sync));
        SubtaskAccount { state_bytes, sync: millis(sync), upload, alignment, start_delay }
    };
    let account = CheckpointAccount {
        duration: std::time::Duration::from_millis(101),
        state_bytes: 50,
        new_bytes: 12,
        subtasks: [(subtask(0, 0), subtask_of(10, 2)), (subtask(1, 0), subtask_of(40, 8))].into(),
    };
    outcome.accounts.insert(CheckpointId(3), account);
    let record = heard(&outcome);
    assert_eq!((record.state_bytes, record.new_bytes), (50, Some(12)));
    assert_eq!(record.subtasks.iter().map(|one| one.state_bytes).collect::<Vec<_>>(), [10, 40]);
    let reported = record.reported.unwrap();
    assert_eq!(
        (reported.duration_ns, reported.sync_ns, reported.start_delay_ns),
        (101 * MS, Some(8 * MS), Some(8 * MS))
    );
    assert_eq!(record.duration_ns(), record.parts.map(|parts| parts.total_ns()), "RECORD-R1: instants are those heard");
}

#[test]
fn an_attempt_knows_what_it_was_deployed_from_and_what_ended_it() {
    let events = [
        vec![at(10, "jm-1", Event::DeploymentBegun { attempt: Attempt(1), restored: None, state_bytes: 0 })],
        recovery(),
    ];
    let attempts = course::measure(&outcome(events.concat()), &[]).attempts;
    let told: Vec<(Option<u64>, &str)> = attempts.iter().map(|one| (one.restored, one.root.as_str())).collect();
    assert_eq!(told, [(None, "store-failed"), (Some(3), "")]);
}

#[test]
fn parts_of_a_checkpoint_lie_along_the_path_of_the_last_acknowledgement() {
    let records = checkpoints::measure(&outcome(checkpoint()), 1);
    let [record] = records.as_slice() else { panic!("{records:?}") };
    let parts = CheckpointParts {
        barrier_ns: 30 * MS,
        alignment_ns: 21 * MS,
        sync_ns: 9 * MS,
        async_ns: 30 * MS,
        ack_ns: 10 * MS,
        finalise_ns: 30 * MS,
    };
    assert_eq!(record.parts, Some(parts));
    assert_eq!(record.duration_ns(), Some(parts.total_ns()), "RECORD-R1");
    assert_eq!((record.state_bytes, record.subtasks.len()), (40, 2));
    assert_eq!(record.subtasks[1].node, "tm-2");
}

#[test]
fn entries_that_stand_for_more_count_for_more_and_what_is_beside_them_does_not() {
    let bytes = |events: Vec<EventRecord>| checkpoints::measure(&outcome(events), 10).remove(0).state_bytes;
    assert_eq!(bytes(checkpoint()), 400, "nothing was uploaded: all of it are entries");
    let mut events = checkpoint();
    let ended = |record: &EventRecord| matches!(record.event, Event::SnapshotAsyncEnded { bytes: 40, .. });
    let place = events.iter().position(ended).expect("one subtask has state");
    let Event::SnapshotAsyncEnded { attempt, checkpoint: id, subtask, .. } = events[place].event else {
        unreachable!("that was looked for")
    };
    let uploaded = ["MANIFEST-000005", "000009.sst"].map(|name| {
        let path = format!("chk-00000001/{}-{}-1-1-{name}", subtask.vertex.0, subtask.index);
        let event = Event::StateUploaded { attempt, checkpoint: id, subtask, path, bytes: TABLE_OVERHEAD + 3 };
        EventRecord { event, ..events[place].clone() }
    });
    events.splice(place..place, uploaded);
    assert_eq!(bytes(events), 40 + 9 * 3, "three bytes of a table");
}

#[test]
fn what_the_checkpoint_before_had_did_not_change() {
    let mut second = checkpoint();
    for record in &mut second {
        let text = serde_json::to_string(record).unwrap().replace("\"checkpoint\":3", "\"checkpoint\":4");
        *record = serde_json::from_str(&text).unwrap();
        record.at = record.at + std::time::Duration::from_secs(1);
    }
    let mut outcome = outcome([checkpoint(), second].concat());
    let mut changed = |contents: [&[u8]; 2]| {
        outcome.sealed = (3..).zip(contents).map(|(id, of)| (CheckpointId(id), sealed_with_file(0, id, of))).collect();
        checkpoints::measure(&outcome, 1).iter().map(|record| record.new_bytes).collect::<Vec<_>>()
    };
    assert_eq!(changed([b"same", b"same"]), [Some(4), Some(0)]);
    assert_eq!(changed([b"some", b"other"]), [Some(4), Some(5)]);
    outcome.sealed.clear();
    let unknown = checkpoints::measure(&outcome, 1);
    assert!(unknown.iter().all(|record| record.new_bytes.is_none()), "without a manifest nothing is known");
}

#[test]
fn a_checkpoint_that_is_not_complete_has_no_parts() {
    let mut events = checkpoint();
    events.pop();
    let record = checkpoints::measure(&outcome(events), 1).remove(0);
    assert_eq!((record.end, record.ended_at_ns, record.parts), (CheckpointEnd::Unfinished, None, None));
}

#[test]
fn parts_of_a_recovery_sum_to_the_outage() {
    let record = measured([checkpoint(), recovery()].concat());
    let parts = RecoveryParts {
        detect_ns: 200 * MS,
        backoff_or_cancel_ns: 1000 * MS,
        slots_ns: 100 * MS,
        deploy_ns: 50 * MS,
        restore_ns: 150 * MS,
        init_ns: 100 * MS,
        ..RecoveryParts::default()
    };
    assert_eq!(record.parts, Some(parts));
    assert_eq!(record.outage_ns(), Some(2600 * MS - record.failed_at_ns), "RECORD-R1");
    assert_eq!((record.attempt, record.fault, record.failed_at_ns), (2, Some(1), 1000 * MS));
    assert_eq!((record.restored_checkpoint, record.restored_bytes), (Some(3), 40));
    assert_eq!((record.snapshot_age_ns, record.restored_checkpoint_duration_ns), (900 * MS, Some(130 * MS)));
    assert_eq!((record.caught_up_at_ns, record.confirmed_at_ns), (Some(3000 * MS), Some(3100 * MS)));
    assert!(record.is_plain());
}

/// The sink's first record comes while another sink still loads its state: the outage ends when that state is loaded.
#[test]
fn an_outage_does_not_end_before_all_state_is_loaded() {
    let mut events = recovery();
    let late = Event::RestoreEnded { attempt: Attempt(2), subtask: subtask(1, 1), bytes: 9 };
    let running = Event::JobRunning { attempt: Attempt(2) };
    events.retain(|record| record.event != running);
    events.splice(9..9, [at(2700, "tm-2", late), at(2710, "jm-1", running)]);
    let parts = measured(events).parts.unwrap();
    assert_eq!((parts.restore_ns, parts.init_ns, parts.total_ns()), (350 * MS, 0, 1700 * MS));
}

#[test]
fn a_failover_that_fails_before_its_first_record_has_no_end() {
    let events: Vec<_> = recovery().into_iter().filter(|r| !matches!(r.event, Event::JobRunning { .. })).collect();
    let record = measured(events);
    assert_eq!((record.parts, record.outage()), (None, Lapse::Over(2100 * MS)));
    assert_eq!(record.outage().to_string(), "> 2.100 s");
}

#[test]
fn records_that_no_checkpoint_follows_end_no_outage() {
    let mut events = recovery();
    events.truncate(events.len() - 2);
    assert_eq!(measured(events.clone()).outage(), Lapse::Over(2000 * MS));
    // A checkpoint of the attempt before says nothing about this attempt.
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(4));
    events.push(at(3_050, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }));
    events.push(at(3_100, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 }));
    assert_eq!(measured(events.clone()).outage(), Lapse::Over(2100 * MS));
    // But the end of the job does.
    events.push(at(3_200, "jm-1", Event::JobFinished { attempt: Attempt(2) }));
    assert_eq!(measured(events).outage(), Lapse::Ns(1600 * MS));
}

/// The recovery of [`recovery`] and its events, `by` later, with every attempt number and checkpoint id increased by
/// one.
fn again(by: u64) -> Vec<EventRecord> {
    let number = |text: String, name: &str, from: u64| {
        text.replace(&format!("\"{name}\":{from}"), &format!("\"{name}\":{}", from + 1))
    };
    let shifted = recovery().into_iter().map(|record| {
        let text = serde_json::to_string(&record).unwrap();
        let text = number(number(text, "attempt", 2), "attempt", 1);
        let mut record: EventRecord = serde_json::from_str(&number(text, "checkpoint", 4)).unwrap();
        record.at = record.at + std::time::Duration::from_millis(by);
        record
    });
    shifted.collect()
}

/// Attempt 2 processes records, but fails before its checkpoint is complete: together with attempt 3 it is one outage.
#[test]
fn recoveries_without_lasting_progress_between_them_are_one_outage() {
    let mut first = recovery();
    first.truncate(first.len() - 2);
    let mut outcome = outcome([checkpoint(), first, again(2_000)].concat());
    outcome.strikes = vec![struck(1_000, Some(1_500))];
    outcome.strikes[0].hits.push(hit(3_100, "tm-1", Some(3_150)));
    let all = all(&outcome);
    let [record] = all.as_slice() else { panic!("{all:#?}") };
    let parts = record.parts.expect("it came back");
    assert_eq!((record.failed_at_ns, record.attempt), (1_000 * MS, 3));
    assert_eq!((parts.stalled_ns, parts.superseded_ns, parts.detect_ns), (0, 2_100 * MS, 100 * MS));
    assert_eq!(parts.total_ns(), 4_600 * MS - record.failed_at_ns, "RECORD-R1");
    assert_eq!(record.superseded.iter().map(|one| one.attempt).collect::<Vec<_>>(), [2]);
    assert_eq!((record.snapshot_age_ns, record.caught_up_at_ns), (900 * MS, Some(5_000 * MS)));
    assert!(!record.is_plain());
}

/// A second failure directly after the checkpoint that confirmed the first recovery is an outage of its own.
#[test]
fn lasting_progress_between_two_recoveries_keeps_them_apart() {
    let mut outcome = outcome([checkpoint(), recovery(), again(2_500)].concat());
    outcome.strikes = vec![struck(1_000, Some(1_500))];
    outcome.strikes[0].hits.push(hit(3_600, "tm-1", Some(3_650)));
    let all = all(&outcome);
    let lengths: Vec<_> = all.iter().map(RecoveryRecord::outage).collect();
    assert_eq!(lengths, [Lapse::Ns(1_600 * MS), Lapse::Ns(1_500 * MS)]);
    assert_eq!(recovered_after(&all, 1, u64::MAX), Lapse::Ns(1_900 * MS));
}

/// Sources that have nothing left to read have no first record, and neither have the vertices downstream.
#[test]
fn a_job_that_has_nothing_left_to_read_is_back_when_its_sources_know() {
    let mut events = recovery();
    events.retain(|record| !matches!(record.event, Event::FirstRecord { .. }));
    let parts = measured(events.clone()).parts.expect("it came back");
    assert_eq!((parts.init_ns, parts.total_ns()), (500 * MS, 2_000 * MS), "caught up at 3000 ms");
    // As long as one source has not reported that it has nothing left, a checkpoint alone proves nothing.
    events.retain(|record| !matches!(record.event, Event::CaughtUp { .. }));
    assert_eq!(measured(events).parts, None);
}

/// The filter before a vertex lets nothing pass for minutes. The barrier that follows the sources' records shows that
/// the vertex works.
#[test]
fn a_vertex_that_nothing_comes_to_keeps_no_outage_open() {
    let mut events = recovery();
    let late = Event::FirstRecord { attempt: Attempt(2), subtask: subtask(2, 0) };
    events.push(at(60_000, "tm-2", late));
    assert_eq!(measured(events.clone()).outage(), Lapse::Ns(1_600 * MS));
    // A barrier that was faster than every record shows nothing.
    events.retain(|record| !matches!(record.event, Event::FirstRecord { .. } | Event::CaughtUp { .. }));
    let first =
        |time, vertex| at(time, "tm-2", Event::FirstRecord { attempt: Attempt(2), subtask: subtask(vertex, 0) });
    events.push(first(3_060, 0));
    events.sort_by_key(|record| record.at);
    assert_eq!(measured(events.clone()).outage(), Lapse::Ns(2_060 * MS), "nothing ever comes to the other vertices");
    events.push(first(60_000, 1));
    assert_eq!(measured(events).parts, None);
}

/// Checkpoints of 100 ms in attempt 1 that completed at these times.
fn completed(times: &[u64]) -> Vec<EventRecord> {
    let attempt = Attempt(1);
    let mut events = vec![at(10, "jm-1", Event::DeploymentBegun { attempt, restored: None, state_bytes: 0 })];
    for (id, time) in (1..).zip(times) {
        let checkpoint = CheckpointId(id);
        events.push(at(time - 100, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }));
        events.push(at(*time, "jm-1", Event::CheckpointCompleted { attempt, checkpoint, bytes: 1 }));
    }
    events
}

#[test]
fn a_stall_is_an_outage_though_nothing_was_restarted() {
    let stalls = |times: &[u64], hits: Vec<Hit>, end: End| {
        let mut outcome = outcome(completed(times));
        outcome.end = end;
        outcome.ended_at = ms(40_000);
        outcome.strikes = vec![struck(0, None)];
        outcome.strikes[0].hits = hits;
        all(&outcome)
    };
    let cut = |from, to| vec![hit(from, "jm-1 - tm-1", Some(to))];
    let times = [1_100, 2_100, 32_000, 33_000, 34_000, 35_000, 36_000, 37_000, 38_000, 39_000, 40_000];
    let all = stalls(&times, cut(2_500, 31_900), End::Finished);
    let [stall] = all.as_slice() else { panic!("{all:#?}") };
    assert_eq!((stall.kind, stall.fault, stall.attempt), (RecoveryKind::Stall, Some(1), 1));
    assert_eq!((stall.failed_at_ns, stall.outage()), (2_500 * MS, Lapse::Ns(29_500 * MS)));
    assert_eq!(stall.parts.map(|parts| parts.stalled_ns), stall.outage_ns(), "RECORD-R1");
    assert_eq!(recovered_after(&all, 0, 40_000 * MS), stall.outage());
    // No fault, or a fault that had ended by then.
    assert_eq!(stalls(&times, vec![], End::Finished), []);
    assert_eq!(stalls(&times, cut(300, 1_900), End::Finished), []);
    // One checkpoint that was given up is tolerated; two in a row are not.
    let tolerated = [1_100, 2_100, 4_150];
    assert_eq!(stalls(&tolerated, cut(2_500, 3_900), End::Finished), [], "what comes after it is not the fault's");
    let mut tolerated: Vec<u64> = (1..=40).map(|second| second * 1_000).collect();
    tolerated.retain(|time| *time != 3_000);
    assert_eq!(stalls(&tolerated, cut(2_500, 3_900), End::Finished), []);
    tolerated.retain(|time| *time != 4_000);
    assert_eq!(stalls(&tolerated, cut(2_500, 4_900), End::Finished)[0].outage(), Lapse::Ns(2_500 * MS));
    // The stall lasts until the time limit.
    let open = stalls(&[1_100, 2_100], cut(2_500, 31_900), End::TimeLimit);
    assert_eq!(open[0].outage(), Lapse::Over(37_500 * MS));
}

/// The leader is cut off for a second. Much later, still without progress, the attempt fails.
#[test]
fn a_stall_that_ends_in_a_failure_begins_its_outage() {
    let mut late = recovery();
    for record in &mut late {
        record.at = record.at + std::time::Duration::from_secs(10);
    }
    let mut outcome = outcome([checkpoint(), late].concat());
    outcome.strikes = vec![struck(1_000, Some(2_000))];
    outcome.strikes[0].hits.push(hit(11_100, "tm-1", Some(11_150)));
    let all = all(&outcome);
    let [record] = all.as_slice() else { panic!("{all:#?}") };
    let parts = record.parts.expect("it came back");
    assert_eq!((record.failed_at_ns, parts.stalled_ns, parts.detect_ns), (1_000 * MS, 10_100 * MS, 100 * MS));
    assert_eq!(parts.total_ns(), 11_600 * MS, "RECORD-R1");
    assert_eq!(record.snapshot_age_ns, 900 * MS);
}

/// A store that answered slowly for minutes did not cause the failure while its checkpoints went on.
#[test]
fn an_outage_begins_with_the_last_lasting_progress_under_a_fault() {
    let mut outcome = outcome([checkpoint(), recovery()].concat());
    outcome.strikes = vec![struck(50, None)];
    assert_eq!(all(&outcome)[0].failed_at_ns, 230 * MS, "checkpoint 3 was triggered at 100 ms");
    outcome.strikes = vec![struck(101, None)];
    assert_eq!(all(&outcome)[0].failed_at_ns, 101 * MS, "nothing was triggered under it");
}

#[test]
fn a_job_that_failed_for_good_is_down_for_ever() {
    let failed = Event::JobFailed { attempt: Attempt(1), cause: "restarts are used up".into() };
    let mut outcome = outcome([completed(&[1_100, 2_100]), vec![at(3_000, "jm-1", failed)]].concat());
    (outcome.end, outcome.ended_at) = (End::Failed("restarts are used up".into()), ms(3_500));
    let all = all(&outcome);
    let [record] = all.as_slice() else { panic!("{all:#?}") };
    assert_eq!((record.kind, record.outage()), (RecoveryKind::Stall, Lapse::Over(500 * MS)));
}

/// The leader of attempt 1 is lost. `jm-2` opens term 2 at 1200 ms with attempt 2, which needs no restart delay. Then
/// the same happens as in [`recovery`].
fn taken_over() -> Outcome {
    let first = at(0, "jm-1", Event::LeadershipGranted { term: Term(1) });
    let mut events: Vec<_> = recovery().split_off(2);
    // The former leader does not know yet, so its events no longer count for the job.
    let zombie = Event::FailoverBegun {
        attempt: Attempt(1),
        root: flowquake_engine::event::RootCause::StoreFailed,
        cause: "nobody answers".into(),
    };
    events.splice(0..0, [at(1200, "jm-2", Event::LeadershipGranted { term: Term(2) }), at(1250, "jm-1", zombie)]);
    let mut outcome = outcome([vec![first], checkpoint(), events].concat());
    logged(&mut outcome, 1150, 2, Change::Opened);
    outcome.log.last_mut().unwrap().entry.state.attempt = Attempt(2);
    outcome
}

fn hit(at: u64, target: &str, healed_at: Option<u64>) -> Hit {
    Hit { target: target.into(), ..struck(at, healed_at).hits.remove(0) }
}

#[test]
fn parts_of_a_takeover_sum_to_the_outage() {
    let mut outcome = taken_over();
    outcome.strikes = vec![struck(1_000, Some(1_500))];
    outcome.strikes[0].hits[0].target = "jm-1".into();
    let all = all(&outcome);
    let [record] = all.as_slice() else { panic!("{all:?}") };
    let parts = RecoveryParts {
        detect_ns: 200 * MS,
        backoff_or_cancel_ns: 0,
        slots_ns: 1100 * MS,
        deploy_ns: 50 * MS,
        restore_ns: 150 * MS,
        init_ns: 100 * MS,
        ..RecoveryParts::default()
    };
    assert_eq!(record.parts, Some(parts));
    assert_eq!(record.outage_ns(), Some(2600 * MS - record.failed_at_ns), "RECORD-R1");
    assert_eq!((record.attempt, record.fault, record.failed_at_ns), (2, Some(1), 1000 * MS));
    assert_eq!(record.cause, "jm-2 took over from jm-1, in term 2");
    assert_eq!((record.restored_checkpoint, record.snapshot_age_ns), (Some(3), 900 * MS));
    assert_eq!(record.caught_up_at_ns, Some(3000 * MS));
}

/// Of all faults that struck, the one that struck the leader caused its loss. If none did, the time is taken from its
/// own event, or from the new term.
#[test]
fn a_takeover_is_timed_from_what_struck_the_leader() {
    let failed_at = |hits: Vec<Hit>| {
        let mut outcome = taken_over();
        outcome.strikes = vec![struck(0, None)];
        outcome.strikes[0].hits = hits;
        all(&outcome)[0].failed_at_ns / MS
    };
    assert_eq!(failed_at(vec![hit(900, "tm-1 - jm-1", None), hit(1_100, "tm-1", None)]), 900);
    assert_eq!(failed_at(vec![hit(900, "tm-1", None), hit(1_100, "tm-2", None)]), 1_100);
    assert_eq!(failed_at(vec![hit(1_300, "jm-1", None)]), 1_200);
    let mut outcome = taken_over();
    let gave_up = at(1_100, "jm-1", Event::LeadershipLost { term: Term(1) });
    outcome.trace.events.insert(outcome.trace.events.len() - 13, gave_up);
    assert_eq!(all(&outcome)[0].failed_at_ns, 1_100 * MS);
}

/// The failover of an isolated leader does not succeed. It is one outage with the failover of its successor, and lasts
/// until the successor's attempt runs.
#[test]
fn a_takeover_supersedes_the_failover_before() {
    for (healed_at, superseded) in [(None, 0), (Some(1_150), 200)] {
        let mut outcome = taken_over();
        outcome.strikes = vec![struck(0, None)];
        outcome.strikes[0].hits = vec![hit(1_000, "jm-1", healed_at)];
        let begun = recovery().remove(0);
        outcome
            .trace
            .events
            .insert(outcome.trace.events.len() - 13, EventRecord { at: crate::fixtures::ms(1_100), ..begun });
        let all = all(&outcome);
        let [takeover] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((takeover.failed_at_ns, takeover.outage_ns()), (1_000 * MS, Some(1_600 * MS)), "RECORD-R1");
        assert_eq!((takeover.superseded.len(), takeover.kind), (1, RecoveryKind::Takeover));
        assert_eq!(takeover.parts.map(|parts| parts.superseded_ns), Some(superseded * MS));
    }
}

#[test]
fn the_first_leader_takes_nothing_over() {
    let mut outcome = taken_over();
    outcome.trace.events.remove(0);
    assert_eq!(all(&outcome), []);
}

#[test]
fn the_course_knows_leaders_attempts_and_edges() {
    let attempt = Attempt(1);
    let barrier =
        Event::BarrierReceived { attempt, checkpoint: CheckpointId(1), subtask: subtask(1, 0), from: subtask(0, 1) };
    let mut outcome = outcome([
        at(1, "jm-1", Event::LeadershipGranted { term: Term(1) }),
        at(5, "jm-1", Event::DeploymentBegun { attempt, restored: None, state_bytes: 0 }),
        at(6, "tm-2", Event::RestoreBegun { term: Term(1), attempt, subtask: subtask(1, 0), checkpoint: None }),
        at(7, "tm-2", Event::RestoreEnded { attempt, subtask: subtask(1, 0), bytes: 0 }),
        at(8, "tm-2", Event::TaskRunning { attempt, subtask: subtask(1, 0) }),
        at(9, "jm-1", Event::JobRunning { attempt }),
        at(20, "tm-2", barrier),
        at(30, "jm-1", Event::LeadershipLost { term: Term(1) }),
        at(40, "jm-2", Event::LeadershipGranted { term: Term(2) }),
        at(45, "jm-2", Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: 0 }),
        at(60, "jm-2", Event::JobRunning { attempt: Attempt(2) }),
    ]);
    outcome.lives = ["jm-1", "jm-2", "tm-2"].map(|node| (node.into(), ms(0), ms(60))).into();
    outcome.lives[1].2 = ms(50);
    outcome.flow = vec![Flow { at: ms(10), waiting: vec![0, 0, 70], committed: 3 }];
    let course = course::measure(&outcome, &["tm-2", "jm-1", "tm-9"]);
    let terms: Vec<_> = course.terms.iter().map(|term| (term.term, term.node.as_str(), term.to_ns)).collect();
    assert_eq!(terms, [(1, "jm-1", Some(30 * MS)), (2, "jm-2", Some(50 * MS))], "given up, and died");
    let attempts: Vec<_> = course.attempts.iter().map(|a| (a.attempt, a.running_at_ns, a.ended_at_ns)).collect();
    assert_eq!(attempts, [(1, Some(9 * MS), Some(45 * MS)), (2, Some(60 * MS), None)], "replaced without a failover");
    let task = &course.attempts[0].subtasks[0];
    assert_eq!((task.subtask.as_str(), task.node.as_str()), ("1#0", "tm-2"));
    assert_eq!((task.restoring_ns, task.restored_ns, task.running_ns), (Some(6 * MS), Some(7 * MS), Some(8 * MS)));
    assert_eq!(course.edges, [(0, 1)]);
    assert_eq!((course.flow[0].waiting_bytes.as_slice(), course.flow[0].records_committed), ([70, 0, 0].as_slice(), 3));
}

#[test]
fn restart_strategies_are_told_with_their_settings() {
    let told = |name: &str| {
        describe_restarts(&RestartStrategy::from_name(name).unwrap(), std::time::Duration::from_millis(200))
    };
    assert_eq!(
        RestartStrategy::NAMES.map(told),
        [
            "none",
            "fixed-delay, 200ms",
            "failure-rate, 200ms each, up to 1 failure per 60s",
            "exponential-delay, 1s to 60s times 1.5, jitter 0.1, reset after 3600s",
        ]
    );
}

#[test]
fn the_most_back_pressured_subtask_is_named_with_its_checkpoint() {
    let measured = checkpoints(&plan(), &outcome(checkpoint()));
    let shares: Vec<_> = measured[0].subtasks.iter().map(|of| (of.busy_permille, of.back_pressured_permille)).collect();
    assert_eq!(shares, [(Some(300), Some(200)), (Some(1), Some(0))]);
    assert_eq!(back_pressure(&measured), Some((200, "0#0", 3)));
    assert_eq!(back_pressure(&[]), None);
}

#[test]
fn output_is_as_late_as_the_oldest_record_behind_it() {
    let mut plan = plan();
    // One record each 100 ms, from the start time in the manifests.
    plan.job.input.rate = Some(10.0);
    let mut outcome = outcome([]);
    covers(&mut outcome, 0, 1, 0);
    covers(&mut outcome, 900, 2, 8);
    logged(&mut outcome, 900, 1, Change::Completed(CheckpointId(2)));
    covers(&mut outcome, 2_000, 3, 12);
    logged(&mut outcome, 2_000, 1, Change::Completed(CheckpointId(3)));
    let start = outcome.sealed[&CheckpointId(2)].manifest.start.0;
    let committed = |id, at_ms: u64| CheckpointRecord {
        id,
        committed_at_ns: Some(at_ms * MS),
        ..checkpoints(&plan, &self::outcome(checkpoint())).remove(0)
    };
    let records = [committed(2, 1_000), committed(3, 2_500)];
    // Checkpoint 2 covers records 0 to 7, checkpoint 3 records 8 to 11; 1 covers none.
    assert_eq!(lateness(&plan, &outcome, &records), [(2, 1_000 * MS - start), (3, 1_700 * MS - start)]);
}
