//! Checkpoints: triggered, acknowledged, sealed, expired, declined.

use super::*;

#[test]
fn triggers_at_sources_seals_what_all_acknowledged_and_notifies_all() {
    let mut story = Story::running(|_| {});
    assert_eq!(story.wake(), ["! checkpoint-triggered", "tm-1 <- trigger 1/1", "tm-2 <- trigger 1/1"]);
    let triggered_at = story.now;
    let acknowledged = story.all_acknowledge(1);
    assert_eq!(acknowledged, [&["! checkpoint-acknowledged"; 4][..], &["seal 1/1"]].concat());
    let states =
        (0..2).flat_map(|vertex| [subtask(vertex, 0), subtask(vertex, 1)]).map(|of| (of, state(of, 1))).collect();
    let seal = Command::Seal { id: CheckpointId(1), attempt: Attempt(1), triggered_at, states };
    assert_eq!(story.said.last(), Some(&seal));
    let expected =
        ["! checkpoint-completed", "tm-1 <- completed 1/1", "tm-2 <- completed 1/1", "! completion-notified"];
    assert_eq!(story.sealed(1), expected, "nobody hears of it before it is durable");
    let sink = subtask(1, 0);
    let committed = TaskReport::Committed { checkpoint: CheckpointId(1), subtask: sink };
    assert_eq!(story.report(sink, committed.clone()), ["! commit-acknowledged"]);
    assert_eq!(story.report(sink, committed), [""; 0], "once");
}

#[test]
fn the_oldest_of_too_many_checkpoints_is_deleted() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.complete_checkpoint(2);
    story.wake();
    story.all_acknowledge(3);
    let expected = ["! checkpoint-completed", "! checkpoint-subsumed", "delete 1", "tm-1 <- completed 1/3"];
    assert_eq!(story.sealed(3)[..4], expected);
}

#[test]
fn an_expired_checkpoint_beyond_the_tolerable_number_fails_over_and_nothing_is_triggered_behind_it() {
    let mut story = Story::running(|config| config.checkpoints.timeout = ms(3000));
    story.wake();
    let expired = story.wake();
    let expected = [
        "tm-1 <- aborted 1/1",
        "tm-2 <- aborted 1/1",
        "! checkpoint-aborted",
        "delete 1",
        "! failover-begun",
        "tm-1 <- cancel 1",
        "tm-2 <- cancel 1",
    ];
    assert_eq!(expired, expected);
}

#[test]
fn a_declined_checkpoint_is_put_up_with_as_often_as_allowed() {
    let mut story = Story::running(|config| config.checkpoints.tolerable_failed = 1);
    let decline = |id| TaskReport::Decline {
        checkpoint: CheckpointId(id),
        subtask: subtask(1, 0),
        reason: AbortReason::AsyncException,
    };
    story.wake();
    let declined = story.report(subtask(1, 0), decline(1));
    assert_eq!(declined, ["tm-1 <- aborted 1/1", "tm-2 <- aborted 1/1", "! checkpoint-aborted", "delete 1"]);
    assert_eq!(story.report(subtask(1, 0), decline(1)), [""; 0], "C4: it ends once");
    story.wake();
    let declined = story.report(subtask(1, 0), decline(2));
    assert!(declined.contains(&"! failover-begun".into()), "{declined:?}");
}

#[test]
fn finishes_after_the_final_checkpoint_and_its_commits() {
    let mut story = Story::running(|_| {});
    let ended = story.all_report(TaskReport::EndOfInput);
    assert_eq!(ended, ["! checkpoint-triggered", "tm-1 <- trigger 1/1", "tm-2 <- trigger 1/1"]);
    let last = true;
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(1));
    assert_eq!(*story.event("checkpoint-triggered"), Event::CheckpointTriggered { attempt, checkpoint, last });
    story.all_acknowledge(1);
    story.sealed(1);
    let again = story.wake();
    assert_eq!(again, ["tm-1 <- completed 1/1", "tm-2 <- completed 1/1", "! completion-notified"], "it may be lost");
    let commit = |of| TaskReport::Committed { checkpoint: CheckpointId(1), subtask: of };
    assert_eq!(story.report(subtask(1, 0), commit(subtask(1, 0))), ["! commit-acknowledged"]);
    let expected = ["! commit-acknowledged", "tm-1 <- finish 1", "tm-2 <- finish 1", "! job-finished", "end: finished"];
    assert_eq!(story.report(subtask(1, 1), commit(subtask(1, 1))), expected);
    assert_eq!(story.master.wake_at(), Time::NEVER);
    assert_eq!(story.disconnect(1), [""; 0], "it is over");
}

/// A subtask's state comes only from the TaskManager that runs the subtask, whatever other TaskManagers send (J5).
#[test]
fn reports_from_where_the_subtask_does_not_run_change_nothing() {
    let mut story = Story::running(|_| {});
    story.register(3, 1);
    story.wake();
    let of = subtask(1, 0);
    assert_eq!(story.placement[&of], tm(1));
    let checkpoint = CheckpointId(1);
    let reports = [
        TaskReport::Acknowledge { checkpoint, subtask: of, state: SubtaskState::default() },
        TaskReport::Decline { checkpoint, subtask: of, reason: AbortReason::AsyncException },
        TaskReport::Failed(of, TaskFailure::Fatal("of another's making".into())),
        TaskReport::Failed(of, TaskFailure::Failed("of another's making".into())),
        TaskReport::EndOfInput(of),
        TaskReport::Committed { checkpoint, subtask: of },
    ];
    for report in reports {
        for from in [2, 3] {
            let message = ToJobManager::Task(Attempt(1), report.clone());
            assert_eq!(story.hear(tm(from), message), [""; 0], "J5: {report:?} from tm-{from}");
        }
    }
    // A subtask that does not exist runs nowhere.
    let nobody = subtask(9, 9);
    let message = ToJobManager::Task(Attempt(1), TaskReport::Failed(nobody, TaskFailure::Fatal("nobody's".into())));
    assert_eq!(story.hear(tm(1), message), [""; 0], "J5");
    // All four acknowledgements are still outstanding, and the forged one replaced none.
    let acknowledged = story.all_acknowledge(1);
    assert_eq!(acknowledged, [&["! checkpoint-acknowledged"; 4][..], &["seal 1/1"]].concat());
    let Some(Command::Seal { states, .. }) = story.said.last() else { unreachable!() };
    assert_eq!(states[&of], state(of, 1));
}
