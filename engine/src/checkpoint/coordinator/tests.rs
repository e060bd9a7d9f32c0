//! The coordinator's decisions, one story per test, without a runtime.

use super::*;
use crate::ids::VertexId;

const SOURCE: SubtaskId = SubtaskId { vertex: VertexId(0), index: 0 };
const SINK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

const RETRY: Duration = Duration::from_secs(1);
const MANY: CheckpointId = CheckpointId(1000);

fn at(millis: u64) -> Time {
    Time(millis * 1_000_000)
}

fn coordinator(config: CheckpointConfig) -> Coordinator {
    let mut coordinator = Coordinator::new(config, RETRY, BTreeSet::from([SINK]), Vec::new(), CheckpointId(1), MANY);
    coordinator.on_running(at(0), BTreeSet::from([SOURCE, SINK]), None, Duration::from_millis(500));
    coordinator
}

fn acknowledge_all(coordinator: &mut Coordinator, id: u64) -> Vec<Command> {
    assert_eq!(coordinator.on_acknowledged(CheckpointId(id), SOURCE, SubtaskState::default()), (true, vec![]));
    let (counted, commands) = coordinator.on_acknowledged(CheckpointId(id), SINK, SubtaskState::default());
    assert!(counted && matches!(&commands[..], [Command::Seal { .. }]), "{commands:?}");
    commands
}

fn complete(coordinator: &mut Coordinator, id: u64, now: Time) -> Vec<Command> {
    acknowledge_all(coordinator, id);
    assert_eq!(coordinator.on_sealed(CheckpointId(id), true, now), [Command::Log(CheckpointId(id))]);
    coordinator.on_logged(CheckpointId(id), now)
}

fn trigger(id: u64) -> Vec<Command> {
    vec![Command::Trigger { id: CheckpointId(id), last: false }]
}

#[test]
fn triggers_by_interval_and_pause() {
    let config = CheckpointConfig { min_pause: Duration::from_millis(800), ..CheckpointConfig::default() };
    let mut c = coordinator(config);
    assert_eq!(c.on_time(at(499)), vec![]);
    assert_eq!(c.wake_at(), at(500));
    assert_eq!(c.on_time(at(500)), trigger(1));
    // The checkpoint completes at 900. The pause then lasts until 1700, longer than the interval, which would end at
    // 1500.
    complete(&mut c, 1, at(900));
    assert_eq!(c.on_time(at(1699)), vec![]);
    assert_eq!(c.on_time(at(1700)), trigger(2));
    // The checkpoint completes quickly, so the interval decides.
    complete(&mut c, 2, at(1750));
    assert_eq!(c.on_time(at(2699)), vec![]);
    assert_eq!(c.on_time(at(2700)), trigger(3));
    assert_eq!(c.on_time(at(2750)), vec![Command::Notify(CheckpointId(2))], "nobody has said that it committed");
}

#[test]
fn notifies_only_after_the_manifest_is_durable_and_subsumes_the_oldest() {
    let mut c = coordinator(CheckpointConfig::default());
    c.on_time(at(500));
    let done = complete(&mut c, 1, at(600));
    assert_eq!(done, [Command::Completed { id: CheckpointId(1), bytes: 0 }, Command::Notify(CheckpointId(1))]);
    c.on_time(at(1500));
    assert!(complete(&mut c, 2, at(1600)).contains(&Command::Subsume(CheckpointId(1))));
    assert_eq!(c.restorable(), Some(CheckpointId(2)));
}

#[test]
fn late_and_repeated_acknowledgements_do_not_count() {
    let mut c = coordinator(CheckpointConfig::default());
    c.on_time(at(500));
    assert!(c.on_acknowledged(CheckpointId(1), SOURCE, SubtaskState::default()).0);
    assert!(!c.on_acknowledged(CheckpointId(1), SOURCE, SubtaskState::default()).0);
    assert!(!c.on_acknowledged(CheckpointId(9), SINK, SubtaskState::default()).0);
    assert_eq!(c.on_declined(CheckpointId(9), AbortReason::Declined, at(501)), vec![]);
}

#[test]
fn expires_and_fails_the_job_beyond_the_tolerable_number() {
    let config =
        CheckpointConfig { timeout: Duration::from_millis(300), tolerable_failed: 1, ..CheckpointConfig::default() };
    let mut c = coordinator(config);
    c.on_time(at(500));
    assert_eq!(c.wake_at(), at(800));
    let expired = |id| vec![Command::Abort(CheckpointId(id), AbortReason::Expired), Command::Discard(CheckpointId(id))];
    assert_eq!(c.on_time(at(800)), expired(1));
    c.on_time(at(1500));
    let commands = c.on_time(at(1800));
    assert_eq!(commands[..2], expired(2)[..]);
    assert!(
        matches!(&commands[2], Command::FailJob(why) if why.to_string().ends_with("1 failures in a row are tolerated"))
    );
}

#[test]
fn a_manifest_that_becomes_durable_after_the_abort_is_discarded() {
    let mut c = coordinator(CheckpointConfig::default());
    c.on_time(at(500));
    acknowledge_all(&mut c, 1);
    let aborted = c.on_stopped(AbortReason::TaskFailure, at(510));
    let id = CheckpointId(1);
    assert_eq!(aborted, [Command::Abort(id, AbortReason::TaskFailure), Command::Discard(id)]);
    assert_eq!(c.on_sealed(CheckpointId(1), true, at(520)), [Command::Discard(CheckpointId(1))]);
    assert_eq!(c.restorable(), None);
}

#[test]
fn a_checkpoint_that_is_being_logged_cannot_be_given_up() {
    let mut c = coordinator(CheckpointConfig { timeout: Duration::from_millis(300), ..CheckpointConfig::default() });
    c.on_time(at(500));
    acknowledge_all(&mut c, 1);
    assert_eq!(c.on_sealed(CheckpointId(1), true, at(600)), [Command::Log(CheckpointId(1))]);
    assert_eq!(c.on_time(at(900)), vec![], "the log may say that it is complete");
    assert_eq!(c.on_stopped(AbortReason::TaskFailure, at(910)), vec![]);
    assert!(c.is_logging());
    let completed = [Command::Completed { id: CheckpointId(1), bytes: 0 }];
    assert_eq!(c.on_logged(CheckpointId(1), at(920)), completed, "nobody is there to be notified");
    assert_eq!(c.restorable(), Some(CheckpointId(1)));
}

#[test]
fn a_checkpoint_whose_manifest_cannot_be_written_is_given_up() {
    let mut c = coordinator(CheckpointConfig { tolerable_failed: 5, ..CheckpointConfig::default() });
    c.on_time(at(500));
    acknowledge_all(&mut c, 1);
    let id = CheckpointId(1);
    let given_up = [Command::Abort(id, AbortReason::FinalizeFailure), Command::Discard(id)];
    assert_eq!(c.on_sealed(id, false, at(600)), given_up, "the log does not name it, so nobody will miss it");
    // C1: the id of the aborted checkpoint is not used again.
    assert_eq!(c.on_time(at(1500)), trigger(2));
}

#[test]
fn nothing_is_triggered_beyond_the_reserved_ids() {
    let mut c = Coordinator::new(
        CheckpointConfig::default(),
        RETRY,
        BTreeSet::new(),
        Vec::new(),
        CheckpointId(4),
        CheckpointId(4),
    );
    c.on_running(at(0), BTreeSet::from([SOURCE]), None, Duration::from_millis(500));
    assert_eq!(c.on_time(at(500)), trigger(4));
    c.on_declined(CheckpointId(4), AbortReason::Declined, at(510));
    assert_eq!((c.on_time(at(9000)), c.wake_at()), (vec![], Time::NEVER));
    c.on_reserved(CheckpointId(12));
    assert_eq!(c.on_time(at(9001)), trigger(5));
}

#[test]
fn finishes_after_a_final_checkpoint_whose_commits_are_acknowledged() {
    let mut c = coordinator(CheckpointConfig::default());
    assert_eq!(c.on_end_of_input(SOURCE, at(100)), vec![]);
    let last = c.on_end_of_input(SINK, at(110));
    assert_eq!(last, [Command::Trigger { id: CheckpointId(1), last: true }]);
    assert!(complete(&mut c, 1, at(150)).contains(&Command::Notify(CheckpointId(1))));
    assert_eq!(c.wake_at(), at(1150));
    assert_eq!(c.on_time(at(1150)), [Command::Notify(CheckpointId(1))], "a lost notification is sent again");
    assert_eq!(c.on_commit_acknowledged(CheckpointId(1), SINK), (true, vec![Command::Finish]));
    assert_eq!(c.wake_at(), Time::NEVER);
}

#[test]
fn a_checkpoint_triggered_before_the_end_is_not_the_final_one() {
    let mut c = coordinator(CheckpointConfig::default());
    c.on_time(at(500));
    c.on_end_of_input(SOURCE, at(510));
    c.on_end_of_input(SINK, at(520));
    let commands = complete(&mut c, 1, at(600));
    assert!(!commands.contains(&Command::Finish));
    assert!(c.on_time(at(600)).contains(&Command::Trigger { id: CheckpointId(2), last: true }));
}

#[test]
fn damaged_checkpoints_are_passed_over() {
    let retained = vec![CheckpointId(3), CheckpointId(4)];
    let mut c = Coordinator::new(CheckpointConfig::default(), RETRY, BTreeSet::new(), retained, CheckpointId(6), MANY);
    assert_eq!((c.restorable(), c.next_id()), (Some(CheckpointId(4)), CheckpointId(6)));
    c.on_damaged(CheckpointId(4));
    assert_eq!((c.restorable(), c.newest()), (Some(CheckpointId(3)), Some(CheckpointId(4))));
}

#[test]
fn restored_transactions_are_committed_only_when_every_task_runs() {
    let sinks = BTreeSet::from([SINK]);
    let retained = vec![CheckpointId(3)];
    let mut c = Coordinator::new(CheckpointConfig::default(), RETRY, sinks, retained, CheckpointId(4), MANY);
    let tasks = BTreeSet::from([SOURCE, SINK]);
    let commands = c.on_running(at(0), tasks, Some(CheckpointId(3)), Duration::from_millis(500));
    assert_eq!(commands, [Command::Notify(CheckpointId(3))]);
    assert_eq!(c.on_commit_acknowledged(CheckpointId(3), SINK), (true, vec![]));
}

#[test]
fn an_end_of_input_before_all_tasks_run_is_not_forgotten() {
    let mut c =
        Coordinator::new(CheckpointConfig::default(), RETRY, BTreeSet::from([SINK]), Vec::new(), CheckpointId(1), MANY);
    assert_eq!(c.on_end_of_input(SOURCE, at(1)), vec![]);
    assert_eq!(c.on_end_of_input(SINK, at(2)), vec![]);
    let commands = c.on_running(at(3), BTreeSet::from([SOURCE, SINK]), None, Duration::from_millis(500));
    assert_eq!(commands, [Command::Trigger { id: CheckpointId(1), last: true }]);
}
