//! Leadership: effects wait for the log, and a leader that was superseded does nothing.

use super::*;

/// The log answers only when the story says so.
#[test]
fn nothing_is_done_before_its_entry_is_durable() {
    let mut story = rough(Story::running(|_| {}));
    story.wake();
    story.all_acknowledge(1);
    assert_eq!(story.sealed(1), ["! manifest-written", "append Completed(1)"], "J4: complete only in the log");
    // The attempt fails while the checkpoint is being logged: it can no longer be aborted, and what to restore is not
    // certain yet.
    let failed = story.disconnect(2);
    assert!(!failed.contains(&"! checkpoint-aborted".into()), "{failed:?}");
    assert!(failed.contains(&"append AttemptBegun(2)".into()), "{failed:?}");
    story.canceled(1, 1);
    story.register(2, 1);
    story.now = story.now + ms(1000);
    assert_eq!(story.time(), [""; 0]);
    let logged = story.step(Fact::Appended(Change::Completed(CheckpointId(1))));
    assert_eq!(logged, ["! checkpoint-completed", "! restart-ready"], "it is told under its own attempt");
    assert_eq!(story.step(Fact::Appended(Change::AttemptBegun(Attempt(2)))), ["load 1"]);
}

#[test]
fn a_lease_is_renewed_three_times_and_a_leader_that_cannot_steps_down() {
    let mut story = rough(Story::running(|config| {
        config.lease = ms(3000);
        config.checkpoints.interval = ms(600_000);
    }));
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(1000));
    assert_eq!(story.wake(), ["append Renewed"]);
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(3000), "one at a time");
    assert_eq!(story.at(1500).step(Fact::Appended(Change::Renewed)), ["! lease-renewed"]);
    assert_eq!(story.wake(), ["append Renewed"]);
    assert_eq!(story.now, Time::ZERO + ms(2000), "counted from when it was asked for");
    assert_eq!(story.wake(), ["! leadership-lost", "step down"]);
    assert_eq!(story.now, Time::ZERO + ms(4000));
    assert_eq!(story.step(Fact::Appended(Change::Renewed)), [""; 0]);
    assert_eq!(story.master.wake_at(), Time::NEVER);
}

#[test]
fn a_leader_that_was_superseded_steps_down_without_a_word_to_anybody() {
    let mut story = rough(Story::running(|_| {}));
    assert_eq!(story.step(Fact::Superseded), ["! leadership-lost", "step down"]);
    assert_eq!(story.all_acknowledge(1), [""; 0]);
}

#[test]
fn ids_are_reserved_before_they_are_given_out() {
    let mut story = rough(Story::running(|config| config.checkpoints.timeout = ms(100)));
    let mut given = 0;
    let mut reserved = 0;
    for _ in 0..200 {
        story.step(Fact::Time);
        for command in story.said.clone() {
            match command {
                Command::Emit(Event::CheckpointTriggered { checkpoint, .. }) => given = checkpoint.0,
                Command::Append(_, state) => reserved = state.reserved.0,
                _ => {}
            }
        }
        // The log does not answer any more, so at some point no further checkpoint is triggered.
        story.master.phase = Phase::Running;
        story.now = story.now + ms(100);
    }
    assert!(given <= 8, "{given} was given out, 8 were reserved");
    assert!(reserved > 8, "more were asked for");
}

#[test]
fn output_committed_beyond_the_log_ends_the_job() {
    let mut story = Story::recovered(&[2], 5, |_| {});
    let beyond = CommittedBeyond { decision: ".decisions/1-0/00000007".into(), newest: CheckpointId(2) };
    let said = story.master.begin(story.now, Some(beyond));
    let lines: Vec<_> = said.iter().map(line).collect();
    assert_eq!(lines, ["sweep up to 4 but [2]", "append Ended"]);
    assert_eq!(story.step(Fact::Appended(Change::Ended))[0], "! job-failed");
    let why = ".decisions/1-0/00000007 says that output above checkpoint 2 is committed; going on from an older one would \
               write it again";
    assert_eq!(story.said.last(), Some(&Command::End(JobResult::Failed(why.into()))));
}

/// The answer to the first sweep of a new leader may arrive when the job is already complete.
#[test]
fn the_sweep_at_the_beginning_of_a_term_is_not_the_one_before_the_end() {
    let mut story = rough(Story::recovered(&[2], 5, |_| {}));
    story.master.phase = Phase::Ending(JobResult::Finished);
    assert_eq!(story.step(Fact::Swept { last: false }), [""; 0]);
    assert_eq!(story.step(Fact::Swept { last: true }), ["append Ended"]);
}
