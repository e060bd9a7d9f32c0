//! Damaged checkpoints and the way back behind them.

use super::*;

#[test]
fn behind_a_damaged_manifest_the_job_falls_back_once_every_sink_has_decided() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["load 4"]);
    assert_eq!(story.load_damaged(4), ["! checkpoint-damaged", "abort above 2 up to 4 of 2 sinks"]);
    let aborted = vec![(subtask(1, 0), CheckpointId(4)), (subtask(1, 1), CheckpointId(4))];
    let fell_back = story.step(Fact::AbortsDecided(Ok(Ok(aborted))));
    let expected = ["! sink-aborted", "! sink-aborted", "! fell-back", "! checkpoint-subsumed", "delete 4", "load 2"];
    assert_eq!(fell_back, expected, "J3");
    assert_eq!(*story.event("fell-back"), Event::FellBack { from: CheckpointId(4), to: Some(CheckpointId(2)) });
    assert_eq!(story.loaded(2)[1..], ["tm-1 <- deploy 1 0#0 0#1 1#0 1#1"], "nothing ran, so no attempt is spent");
    story.all_run();
    story.complete_checkpoint(5);
}

#[test]
fn with_every_checkpoint_damaged_the_job_begins_at_the_beginning() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    assert_eq!(story.load_damaged(4)[1], "abort above 2 up to 4 of 2 sinks");
    story.step(Fact::AbortsDecided(Ok(Ok(Vec::new()))));
    let again = ["! checkpoint-damaged", "abort above 0 up to 2 of 2 sinks"];
    assert_eq!(story.load_damaged(2), again, "those above are decided");
    let fell_back = story.step(Fact::AbortsDecided(Ok(Ok(Vec::new()))));
    let expected = ["! fell-back", "! checkpoint-subsumed", "delete 2", "! deployment-begun"];
    assert_eq!(fell_back[..4], expected);
    assert_eq!(*story.event("fell-back"), Event::FellBack { from: CheckpointId(2), to: None });
}

/// The previous leader died after it had logged the fallback, and before the sinks' epochs were decided.
#[test]
fn a_fallback_that_a_leader_before_began_is_carried_on() {
    let found = || HaState {
        completed: vec![CheckpointId(2)],
        undecided: Some(CheckpointId(4)),
        reserved: CheckpointId(6),
        ..nothing()
    };
    let mut story = Story::opened(found(), |_| {});
    assert_eq!(story.register(1, 2)[2..], ["abort above 2 up to 4 of 2 sinks"]);
    assert_eq!(story.step(Fact::AbortsDecided(Ok(Ok(Vec::new())))), ["! fell-back", "load 2"]);

    let mut story = Story::opened(HaState { completed: Vec::new(), ..found() }, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["abort above 0 up to 4 of 2 sinks"]);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((subtask(1, 0), CheckpointId(3))))));
    assert_eq!(refused[0], "! job-failed");
}

/// A fallback would abort the output of a checkpoint that another release of the engine can restore.
#[test]
fn behind_a_manifest_of_another_release_the_job_does_not_fall_back() {
    let mut story = rough(Story::recovered(&[2, 4], 5, |_| {}));
    story.register(1, 2);
    let other = OtherVersion { path: "chk-4/_metadata".into(), kind: "a checkpoint manifest", found: 9, reads: 2 };
    let loaded = Fact::Loaded(CheckpointId(4), Err(LoadError::OtherVersion(other.clone())));
    assert_eq!(story.step(loaded), ["! job-failed", "refuse chk-4/_metadata"], "no entry, no decision, no deletion");
    assert_eq!(*story.event("job-failed"), Event::JobFailed { attempt: Attempt(1), cause: other.to_string() });
    assert_eq!(story.register(2, 2), [""; 0]);
}

#[test]
fn falling_back_behind_a_commit_is_refused_loudly() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.load_damaged(4);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((subtask(1, 1), CheckpointId(4))))));
    let cause = "checkpoint 4 is damaged (chk-4/_metadata: expected a, found b); falling back is not possible: \
                 subtask 1#1 has committed output of epoch 4";
    assert_eq!(refused, ["! job-failed".into(), format!("end: failed: {cause}")]);
}

#[test]
fn a_store_that_cannot_decide_is_asked_again_by_the_next_attempt() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.load_damaged(4);
    let error = StoreError::Failed { path: "decisions".into(), cause: "timed out".into() };
    let expected = ["! store-failed", "! failover-begun", "! tasks-canceled"];
    assert_eq!(story.step(Fact::AbortsDecided(Err(error))), expected);
    assert_eq!(story.wake(), ["! restart-ready", "abort above 2 up to 4 of 2 sinks"]);
}

#[test]
fn damage_that_a_task_finds_leads_to_the_same_fallback() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.loaded(4);
    let of = subtask(1, 0);
    let damage = TaskFailure::Damaged(CheckpointId(4), damaged_file("chk-4/state"));
    let failed = story.report(of, TaskReport::Failed(of, damage));
    assert_eq!(failed, ["! checkpoint-damaged", "! failover-begun", "tm-1 <- cancel 1"]);
    let (file, expected, found) = ("chk-4/state".to_owned(), "5 bytes".to_owned(), "4 bytes".to_owned());
    let damaged = Event::CheckpointDamaged { checkpoint: CheckpointId(4), file, expected, found };
    assert_eq!(*story.event("checkpoint-damaged"), damaged);
    story.canceled(1, 1);
    assert_eq!(story.wake(), ["! restart-ready", "abort above 2 up to 4 of 2 sinks"]);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((of, CheckpointId(3))))));
    assert!(refused[1].contains("chk-4/state") && refused[1].contains("epoch 3"), "{refused:?}");
}

#[test]
fn a_checkpoint_that_becomes_durable_after_its_attempt_failed_is_deleted() {
    let mut story = Story::running(|_| {});
    story.wake();
    story.all_acknowledge(1);
    assert!(story.disconnect(2).contains(&"delete 1".into()));
    assert_eq!(story.sealed(1), ["delete 1"], "whatever has become durable since");
    story.canceled(1, 1);
    story.register(2, 1);
    assert_eq!(story.wake()[..2], ["! restart-ready", "! deployment-begun"], "nobody restores from it");
}
