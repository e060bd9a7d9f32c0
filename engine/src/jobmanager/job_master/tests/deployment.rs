//! Slots and deployment.

use super::*;

#[test]
fn waits_for_slots_and_says_so_again_and_again() {
    let mut story = Story::new(|_| {});
    assert_eq!(story.master.wake_at(), Time::ZERO);
    assert_eq!(story.time(), ["! waiting-for-slots"]);
    assert_eq!(
        *story.event("waiting-for-slots"),
        Event::WaitingForSlots { attempt: Attempt(1), needed: 2, offered: 0 }
    );
    assert_eq!(story.at(5000).register(1, 1), ["tm-1 <- registered", "! task-manager-registered"]);
    assert_eq!(story.master.wake_at(), Time::ZERO + SLOT_REMINDER);
    assert_eq!(story.wake(), ["! waiting-for-slots"]);
    assert_eq!(
        *story.event("waiting-for-slots"),
        Event::WaitingForSlots { attempt: Attempt(1), needed: 2, offered: 1 }
    );
    assert_eq!(story.master.wake_at(), Time::ZERO + 2 * SLOT_REMINDER);
}

#[test]
fn spreads_over_the_task_managers_as_soon_as_slots_suffice() {
    let mut story = Story::new(|config| config.parallelism = 3);
    story.register(2, u16::MAX);
    let expected = ["! deployment-begun", "tm-2 <- deploy 1 0#0 0#1 0#2 1#0 1#1 1#2"];
    assert_eq!(story.said[2..].iter().map(line).collect::<Vec<_>>(), expected, "one may carry all");

    let mut story = Story::new(|config| config.slot_stabilization = ms(1));
    story.register(1, u16::MAX);
    story.register(2, u16::MAX);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 1#1"], "however many there are");

    let mut story = Story::new(|config| config.parallelism = 4);
    story.register(3, 1);
    story.register(1, 1);
    let deployed = story.register(2, 3);
    let expected = ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 0#3 1#1 1#3", "tm-3 <- deploy 1 0#2 1#2"];
    assert_eq!(deployed[3..], expected, "in turn while there are slots");
    for command in &story.said {
        if let Command::Send(_, Order::Deploy(deployment)) = command {
            assert_eq!((deployment.start, deployment.checkpoint), (Time(77), None));
            assert_eq!(deployment.data.len(), 3);
            assert_eq!(deployment.placement[&subtask(1, 3)], tm(2), "all know where all run");
        }
    }
}

#[test]
fn waits_until_no_more_task_managers_come() {
    let mut story = Story::new(|config| config.slot_stabilization = ms(10));
    story.register(1, 2);
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(10));
    assert_eq!(story.at(9).register(2, 2).len(), 2);
    assert_eq!(story.at(18).time(), [""; 0]);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 1#1"]);
    assert_eq!(story.now, Time::ZERO + ms(19));
}

#[test]
fn a_task_manager_that_is_lost_before_deployment_costs_no_attempt() {
    let mut story = Story::new(|config| config.slot_stabilization = ms(10));
    story.register(1, 1);
    story.register(2, 1);
    story.at(5).disconnect(2);
    assert_eq!(story.at(20).time(), [""; 0]);
    story.register(3, 1);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-3 <- deploy 1 0#1 1#1"]);
}

#[test]
fn runs_only_when_every_subtask_has_said_so() {
    let mut story = Story::new(|_| {});
    story.register(1, 2);
    for of in [subtask(0, 0), subtask(0, 1), subtask(1, 0), subtask(1, 0)] {
        assert_eq!(story.report(of, TaskReport::Running(of)), [""; 0]);
    }
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(50_000), "no checkpoint before");
    let last = subtask(1, 1);
    assert_eq!(story.report(last, TaskReport::Running(last)), ["! job-running"]);
    assert!(story.master.wake_at() <= Time::ZERO + ms(1000), "the first trigger is within an interval");
}
