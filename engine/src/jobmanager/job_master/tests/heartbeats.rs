//! Heartbeats compared with the tasks that should be there.

use super::*;

fn tasks(attempt: u32, of: &[(SubtaskId, TaskStatus)]) -> ToJobManager {
    ToJobManager::Heartbeat(Some(Tasks { attempt: Attempt(attempt), status: of.iter().copied().collect() }))
}

#[test]
fn a_heartbeat_brings_reports_that_were_lost() {
    let mut story = Story::new(|_| {});
    story.register(1, 2);
    let running: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::Running)).collect();
    assert_eq!(story.hear(tm(1), tasks(1, &running)), ["! job-running"]);
    let at_end: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::AtEnd)).collect();
    assert_eq!(story.hear(tm(1), tasks(1, &at_end))[0], "! checkpoint-triggered");
}

#[test]
fn tasks_that_a_heartbeat_does_not_name_are_lost_after_a_while() {
    let mut story = Story::new(|config| {
        config.rpc_timeout = ms(60_000);
        config.heartbeat_interval = ms(1_000_000);
        config.heartbeat_timeout = ms(2_000_000);
    });
    story.register(1, 2);
    assert_eq!(story.at(10).hear(tm(1), ToJobManager::Heartbeat(None)), [""; 0], "it may have left before the order");
    let lost = story.at(60_000).hear(tm(1), ToJobManager::Heartbeat(None));
    assert_eq!(lost, ["! deployment-lost", "! failover-begun", "tm-1 <- cancel 1"]);
    // The order to cancel is lost, too.
    let still: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::Running)).collect();
    assert_eq!(story.at(70_000).hear(tm(1), tasks(1, &still)), [""; 0]);
    assert_eq!(story.at(120_000).hear(tm(1), tasks(1, &still)), ["tm-1 <- cancel 1"]);
    let gone = story.hear(tm(1), ToJobManager::Heartbeat(None));
    assert_eq!(gone[..2], ["! tasks-canceled", "! restart-ready"], "and so is the answer");
}
