//! Failures of nodes, tasks and stores, and what the next attempt begins with.

use super::*;

#[test]
fn a_lost_task_manager_leads_over_cancel_and_delay_to_the_next_attempt_from_the_newest_checkpoint() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.complete_checkpoint(2);
    story.register(3, 1);
    story.wake();
    let failed_at = story.now;
    let expected = [
        "disconnect tm-2 2",
        "! task-manager-lost",
        "! failover-begun",
        "tm-1 <- aborted 1/3",
        "tm-2 <- aborted 1/3",
        "! checkpoint-aborted",
        "delete 3",
        "tm-1 <- cancel 1",
    ];
    assert_eq!(story.disconnect(2), expected, "the lost one is not waited for, the idle one has nothing to cancel");
    let Event::FailoverBegun { cause, .. } = story.event("failover-begun") else { unreachable!() };
    assert_eq!(cause, "TaskManager tm-2 lost: connection reset by peer");

    story.now = failed_at + ms(400);
    assert_eq!(story.canceled(1, 1), ["! tasks-canceled"]);
    assert_eq!(story.master.wake_at(), failed_at + ms(1000), "not before the restart delay");
    assert_eq!(story.wake(), ["! restart-ready", "load 2"]);
    let deployed = story.loaded(2);
    assert_eq!(deployed, ["! deployment-begun", "tm-1 <- deploy 2 0#0 1#0", "tm-3 <- deploy 2 0#1 1#1"]);
    for command in &story.said {
        if let Command::Send(_, Order::Deploy(deployment)) = command {
            assert_eq!(deployment.checkpoint, Some(CheckpointId(2)));
            assert!(deployment.subtasks.iter().all(|(of, restored)| *restored == state(*of, 2)), "each its own");
        }
    }
    let expected = ["! job-running", "tm-1 <- completed 2/2", "tm-3 <- completed 2/2", "! completion-notified"];
    assert_eq!(story.all_run(), expected, "restored transactions are committed now that all state is verified");
    story.complete_checkpoint(4);
}

#[test]
fn the_next_attempt_waits_for_every_cancellation_however_long() {
    let mut story = Story::running(|_| {});
    story.register(3, 2);
    story.report(subtask(0, 0), TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("out of luck".into())));
    let Event::FailoverBegun { cause, .. } = story.event("failover-begun") else { unreachable!() };
    assert_eq!(cause, "subtask 0#0: out of luck");
    assert_eq!(story.canceled(1, 1), [""; 0]);
    assert_eq!(story.canceled(1, 1), [""; 0], "twice is once");
    assert_eq!(story.canceled(3, 1), [""; 0], "nobody asked it");
    assert_eq!(story.at(30_000).time(), [""; 0]);
    let expected = ["! tasks-canceled", "! restart-ready", "! deployment-begun", "tm-1 <- deploy 2 0#0 1#0"];
    assert_eq!(story.canceled(2, 1)[..4], expected);
}

#[test]
fn whoever_is_lost_while_it_cancels_is_waited_for_no_longer() {
    let mut story = Story::running(|_| {});
    story.disconnect(2);
    assert_eq!(story.disconnect(1), ["disconnect tm-1 1", "! task-manager-lost", "! tasks-canceled"]);
    assert_eq!(story.wake(), ["! restart-ready", "! waiting-for-slots"]);
    assert_eq!(story.register(1, 2)[2..], ["! deployment-begun", "tm-1 <- deploy 2 0#0 0#1 1#0 1#1"]);
}

#[test]
fn messages_of_another_attempt_change_nothing() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.wake();
    story.report(subtask(0, 0), TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("first".into())));
    story.canceled(1, 1);
    story.canceled(2, 1);
    story.wake();
    story.loaded(1);
    story.all_run();
    story.wake();
    let all = |of: SubtaskId| {
        [
            TaskReport::Running(of),
            TaskReport::Failed(of, TaskFailure::Failed("late".into())),
            TaskReport::Failed(of, TaskFailure::Damaged(CheckpointId(1), damaged_file("late"))),
            TaskReport::EndOfInput(of),
            TaskReport::Acknowledge { checkpoint: CheckpointId(3), subtask: of, state: state(of, 3) },
            TaskReport::Decline { checkpoint: CheckpointId(3), subtask: of, reason: AbortReason::Declined },
            TaskReport::Committed { checkpoint: CheckpointId(3), subtask: of },
        ]
    };
    let due = story.master.wake_at();
    for attempt in [1, 3] {
        for of in story.placement.keys().copied().collect::<Vec<_>>() {
            for report in all(of) {
                let node = story.placement[&of].clone();
                assert_eq!(
                    story.hear(node, ToJobManager::Task(Attempt(attempt), report.clone())),
                    [""; 0],
                    "J2: {report:?}"
                );
            }
        }
        assert_eq!(story.canceled(1, attempt), [""; 0]);
    }
    assert_eq!(story.master.wake_at(), due);
    assert_eq!(story.all_acknowledge(3).len(), 5, "the present attempt's count, as if nothing had been");
}

#[test]
fn messages_of_a_given_up_connection_change_nothing() {
    let mut story = Story::running(|config| {
        config.heartbeat_interval = ms(1000);
        config.heartbeat_timeout = ms(5000);
        config.checkpoints.interval = ms(60_000);
    });
    story.disconnect(2);
    story.canceled(1, 1);
    story.register(2, 1);
    let old = |story: &mut Story, message| story.step(Fact::Message { node: tm(2), connection: 2, message });
    story.at(4999);
    story.hear(tm(1), ToJobManager::Heartbeat(None));
    let of = subtask(0, 1);
    for message in [
        ToJobManager::Heartbeat(None),
        ToJobManager::Canceled(Attempt(1)),
        ToJobManager::Task(Attempt(2), TaskReport::Failed(of, TaskFailure::Failed("late".into()))),
    ] {
        assert_eq!(old(&mut story, message), [""; 0], "J2");
    }
    let ended = Fact::Disconnected { node: tm(2), connection: 2, cause: NetError::TimedOut.into() };
    assert_eq!(story.step(ended), [""; 0]);
    assert_eq!(story.at(5000).time()[..2], ["! heartbeat-missed", "disconnect tm-2 3"], "not even as a sign of life");
}

#[test]
fn a_silent_task_manager_is_lost_exactly_at_its_timeout() {
    let mut story = Story::new(|config| {
        config.heartbeat_interval = ms(1000);
        config.heartbeat_timeout = ms(5000);
        config.checkpoints.interval = ms(600_000);
    });
    story.at(100).register(1, 2);
    story.all_run();
    assert_eq!(story.wake(), ["tm-1 <- heartbeat", "! heartbeat-sent"]);
    assert_eq!(story.now, Time::ZERO + ms(1100));
    story.at(1150);
    assert_eq!(story.hear(tm(1), ToJobManager::Heartbeat(None)), [""; 0]);
    for beat in [2100, 3100, 4100, 5100, 6100] {
        story.wake();
        assert_eq!(story.now, Time::ZERO + ms(beat), "one beat per interval");
    }
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(6150));
    story.now = Time(story.master.wake_at().0 - 1);
    assert_eq!(story.time(), [""; 0]);
    let lost = story.at(6150).time();
    assert_eq!(lost[..4], ["! heartbeat-missed", "disconnect tm-1 1", "! task-manager-lost", "! failover-begun"]);
    let Event::TaskManagerLost { cause, .. } = story.event("task-manager-lost") else { unreachable!() };
    assert_eq!(cause, "no heartbeat for 5s");
}

#[test]
fn slots_of_a_connection_that_ended_are_free_after_so_many_heartbeats() {
    let lost = |threshold: u32| {
        let mut story = Story::new(|config| {
            config.parallelism = 1;
            config.heartbeat_interval = ms(1000);
            config.heartbeat_rpc_failure_threshold = threshold;
            config.restart_delay = ms(100);
            config.slot_stabilization = Duration::ZERO;
            config.checkpoints.interval = ms(600_000);
        });
        story.at(100).register(1, 1);
        story.all_run();
        story.at(300).register(2, 1);
        while story.master.wake_at() < Time::ZERO + ms(2500) {
            story.wake();
        }
        story.at(2500).disconnect(1);
        story
    };
    let begun = "! deployment-begun".to_owned();
    let deployed_at = |mut story: Story| (0..9).find_map(|_| story.wake().contains(&begun).then_some(story.now));
    // With threshold 0 only the restart delay counts; with 1 and 2 the heartbeats at 3,100 and 4,100 ms.
    let at = [0, 1, 2].map(|threshold| deployed_at(lost(threshold)));
    assert_eq!(at, [2600, 3100, 4100].map(|at| Some(Time::ZERO + ms(at))));
    // A TaskManager that has registered again is not waited for.
    let mut back = lost(2);
    assert!(back.at(2700).register(1, 1).contains(&begun));
}

#[test]
fn a_second_registration_is_the_loss_of_the_first() {
    let mut story = Story::running(|_| {});
    let expected = [
        "disconnect tm-1 1",
        "! task-manager-lost",
        "! failover-begun",
        "tm-2 <- cancel 1",
        "tm-1 <- registered",
        "! task-manager-registered",
    ];
    assert_eq!(story.register(1, 1), expected, "its tasks are gone, whether its process died or only its connection");
    assert_eq!(story.canceled(1, 1), [""; 0]);
    story.canceled(2, 1);
    assert_eq!(story.wake()[..3], ["! restart-ready", "! deployment-begun", "tm-1 <- deploy 2 0#0 1#0"]);
}

#[test]
fn losing_a_task_manager_without_tasks_disturbs_nobody() {
    let mut story = Story::running(|_| {});
    story.register(3, 4);
    assert_eq!(story.disconnect(3), ["disconnect tm-3 3", "! task-manager-lost"]);
    story.complete_checkpoint(1);
}

#[test]
fn two_failures_at_once_are_one_failover() {
    let mut story = Story::running(|config| config.restart_attempts = Some(1));
    story.disconnect(2);
    let late = TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("its peer is gone".into()));
    assert_eq!(story.hear(tm(1), ToJobManager::Task(Attempt(1), late)), [""; 0]);
    story.canceled(1, 1);
    assert_eq!(story.wake()[0], "! restart-ready");
}

#[test]
fn exhausted_restarts_fail_the_job_and_name_the_cause() {
    let mut story = Story::running(|config| config.restart_attempts = Some(1));
    let fail = |story: &mut Story| {
        story.report(subtask(1, 1), TaskReport::Failed(subtask(1, 1), TaskFailure::Failed("disk full".into())))
    };
    fail(&mut story);
    story.canceled(1, 1);
    story.canceled(2, 1);
    story.wake();
    story.all_run();
    let expected = [
        "! failover-begun",
        "tm-1 <- cancel 2",
        "tm-2 <- cancel 2",
        "! job-failed",
        "end: failed: subtask 1#1: disk full; 1 restarts are used up",
    ];
    assert_eq!(fail(&mut story), expected);
    assert_eq!(story.master.wake_at(), Time::NEVER);
    assert_eq!(story.time(), [""; 0]);
}

#[test]
fn a_store_that_does_not_answer_is_asked_again_by_the_next_attempt() {
    let mut story = Story::recovered(&[3], 4, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["load 3"]);
    let failed = story.step(Fact::Loaded(CheckpointId(3), Err(LoadError::Store(store_failed()))));
    assert_eq!(failed, ["! store-failed", "! failover-begun", "! tasks-canceled"]);
    assert_eq!(story.wake(), ["! restart-ready", "load 3"], "it is not damaged for that");
    assert_eq!(story.loaded(3)[1..], ["tm-1 <- deploy 2 0#0 0#1 1#0 1#1"]);
}

#[test]
fn a_manifest_that_arrives_when_slots_are_gone_is_read_again_later() {
    let mut story = Story::recovered(&[3], 4, |_| {});
    story.register(1, 2);
    story.disconnect(1);
    assert_eq!(story.loaded(3), ["! waiting-for-slots"]);
    assert_eq!(story.register(2, 2)[2..], ["load 3"]);
    assert_eq!(story.loaded(3)[1..], ["tm-2 <- deploy 1 0#0 0#1 1#0 1#1"]);
}
