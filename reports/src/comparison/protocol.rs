//! The protocol of a run as a sequence of steps, and the first step in which two runs of one scenario differ.
//!
//! Start at [`steps`], then [`first_difference`]. Both are pure, and read the record alone, which every target fills in.
//!
//! Two targets never do the same at the same instant, so what is compared is what the scenario and the protocol decide, attempt by
//! attempt, in a fixed order: from what the attempt was deployed, whether every task of it came to run, how its checkpoints ended, and
//! what ended it. What time decides is left out:
//!
//! - instants, and how often the same thing happens in a row: three periodic checkpoints are as good as four;
//! - numbers of checkpoints: restored is the newest complete one, an older one or none, whatever its number;
//! - that a checkpoint was under way when a failure came by the clock. Where the fault struck at a step of the protocol, the step
//!   decides that, so it is compared;
//! - subtasks and nodes: which TaskManager has which task is decided by who registers first.
//!
//! What a target cannot show ([`shows`]) is left out of both runs, so that a gap of a target is never its difference.

use std::fmt;

use serde::Serialize;

use crate::record::{CheckpointEnd, RunRecord};

/// What an attempt was deployed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restored {
    /// No checkpoint.
    Nothing,
    /// The newest one that was complete.
    Newest,
    /// One before that.
    Older,
}

/// A step, as far as two targets can be compared in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "step", content = "of", rename_all = "kebab-case")]
pub enum StepKind {
    /// Tasks are being deployed.
    Deployed(Restored),
    /// Every task runs.
    Running,
    /// Checkpoints were completed, one or more in a row.
    Completed,
    /// A checkpoint failed by itself, for this reason; one or more in a row.
    CheckpointFailed(String),
    /// The failure that ended the attempt found a checkpoint under way.
    GivenUp,
    /// A failover was begun: the kind of the event that it answers.
    Failover(String),
    /// A new leader went on with another attempt.
    TakenOver,
    /// The job finished.
    Finished,
    /// The job failed for good.
    FailedForGood,
}

/// A step of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The attempt, counted from 1 in the order of their deployment.
    pub attempt: usize,
    /// What is compared.
    #[serde(flatten)]
    pub kind: StepKind,
    /// The checkpoint of the step, which is not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
    /// When, which is not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<u64>,
}

impl fmt::Display for Step {
    /// `attempt 2: deployed from the newest checkpoint (3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}: ", self.attempt)?;
        match &self.kind {
            StepKind::Deployed(Restored::Nothing) => f.write_str("deployed from nothing")?,
            StepKind::Deployed(Restored::Newest) => f.write_str("deployed from the newest checkpoint")?,
            StepKind::Deployed(Restored::Older) => f.write_str("deployed from an older checkpoint")?,
            StepKind::Running => f.write_str("every task runs")?,
            StepKind::Completed => f.write_str("a checkpoint completed")?,
            StepKind::CheckpointFailed(reason) => write!(f, "a checkpoint failed: {reason}")?,
            StepKind::GivenUp => f.write_str("a checkpoint was given up with the failure")?,
            StepKind::Failover(root) if root.is_empty() => f.write_str("a failover began")?,
            StepKind::Failover(root) => write!(f, "a failover began: {root}")?,
            StepKind::TakenOver => f.write_str("another leader took over")?,
            StepKind::Finished => f.write_str("the job finished")?,
            StepKind::FailedForGood => f.write_str("the job failed for good")?,
        }
        self.checkpoint.map_or(Ok(()), |id| write!(f, " ({id})"))
    }
}

/// The step in which two runs go apart; `None` on one side: its run has no further step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The last step that both have.
    pub after: Option<Step>,
    /// The first run's next step.
    pub first: Option<Step>,
    /// The second run's next step.
    pub second: Option<Step>,
}

impl Difference {
    /// What is the same in all repetitions that differ in the same way.
    pub fn key(&self) -> [Option<(usize, &StepKind)>; 2] {
        [&self.first, &self.second].map(|step| step.as_ref().map(|step| (step.attempt, &step.kind)))
    }
}

/// Reasons for which a pending checkpoint is given up with its attempt or by a later one: consequences of something that is a step itself.
const CONSEQUENCES: [&str; 3] = ["task failure", "subsumed", "coordinator shut down"];

/// Reasons of failed checkpoints that a Flink's log tells apart.
const TOLD_BY_FLINK: [&str; 2] = ["checkpoint expired", "checkpoint declined"];

/// Whether runs of this target show steps of this kind.
pub fn shows(target: &str, kind: &StepKind) -> bool {
    match (target, kind) {
        // Any other failure of a checkpoint arrives at its JobManager as one that was declined, or as the failure of a task.
        ("flink", StepKind::CheckpointFailed(reason)) => TOLD_BY_FLINK.contains(&reason.as_str()),
        _ => true,
    }
}

/// The steps of a run.
pub fn steps(run: &RunRecord) -> Vec<Step> {
    let mut steps = Vec::new();
    let attempts = &run.course.attempts;
    for (index, attempt) in attempts.iter().enumerate() {
        let number = index + 1;
        let mut step = |kind, checkpoint, at_ns| steps.push(Step { attempt: number, kind, checkpoint, at_ns });
        let complete = run.checkpoints.iter().filter(|one| one.end == CheckpointEnd::Completed);
        let newest = complete.filter(|one| one.ended_at_ns.is_some_and(|at| at <= attempt.deployed_at_ns));
        let newest = newest.map(|one| one.id).max();
        let restored = match attempt.restored {
            None => Restored::Nothing,
            Some(id) if newest.is_none_or(|newest| id >= newest) => Restored::Newest,
            Some(_) => Restored::Older,
        };
        step(StepKind::Deployed(restored), attempt.restored, Some(attempt.deployed_at_ns));
        if let Some(at) = attempt.running_at_ns {
            step(StepKind::Running, None, Some(at));
        }
        let by_step = struck_at_a_step(run, attempt.deployed_at_ns, attempt.ended_at_ns);
        let mut ended: Vec<_> = run.checkpoints.iter().filter(|one| one.attempt == attempt.attempt).collect();
        ended.sort_by_key(|one| (one.ended_at_ns, one.id));
        let mut last = None;
        for checkpoint in ended {
            let kind = match &checkpoint.end {
                // Not every target has one of its own for the end of the input.
                CheckpointEnd::Completed if checkpoint.kind == "final" => continue,
                CheckpointEnd::Completed => StepKind::Completed,
                CheckpointEnd::Aborted { reason } if reason == CONSEQUENCES[0] && by_step => StepKind::GivenUp,
                CheckpointEnd::Aborted { reason } if CONSEQUENCES.contains(&reason.as_str()) => continue,
                CheckpointEnd::Aborted { reason } => StepKind::CheckpointFailed(reason.clone()),
                CheckpointEnd::Unfinished => continue,
            };
            if last.as_ref() != Some(&kind) {
                step(kind.clone(), Some(checkpoint.id), checkpoint.ended_at_ns);
                last = Some(kind);
            }
        }
        let is_last = number == attempts.len();
        if !attempt.root.is_empty() {
            step(StepKind::Failover(attempt.root.clone()), None, attempt.ended_at_ns);
        } else if !is_last {
            step(StepKind::TakenOver, None, attempt.ended_at_ns);
        }
        let happened = |event: &str| is_last && run.totals.events_by_name.get(event).is_some_and(|n| *n > 0);
        if happened("job-finished") {
            step(StepKind::Finished, None, attempt.ended_at_ns);
        } else if happened("job-failed") {
            step(StepKind::FailedForGood, None, attempt.ended_at_ns);
        }
    }
    steps
}

/// Whether a fault struck at a step of the protocol while an attempt lasted.
fn struck_at_a_step(run: &RunRecord, from_ns: u64, to_ns: Option<u64>) -> bool {
    let hits = run.faults.iter().flat_map(|fault| &fault.hits);
    let mut within = hits.filter(|hit| hit.struck_at_ns >= from_ns && to_ns.is_none_or(|to| hit.struck_at_ns <= to));
    within.any(|hit| !hit.position.is_empty())
}

/// The first step in which two runs differ, of those that both targets show; `None`: they agree.
pub fn first_difference(first: &RunRecord, second: &RunRecord) -> Option<Difference> {
    let shown = |run: &RunRecord| -> Vec<Step> {
        let both = |step: &Step| [first, second].iter().all(|run| shows(&run.target, &step.kind));
        let mut steps: Vec<Step> = steps(run).into_iter().filter(both).collect();
        // Two rows of the same thing may meet where what stood between them is not shown.
        steps.dedup_by(|next, before| (next.attempt, &next.kind) == (before.attempt, &before.kind));
        steps
    };
    let (first, second) = (shown(first), shown(second));
    let same = |(one, other): &(&Step, &Step)| (one.attempt, &one.kind) == (other.attempt, &other.kind);
    let common = first.iter().zip(&second).take_while(same).count();
    if common == first.len() && common == second.len() {
        return None;
    }
    let after = common.checked_sub(1).map(|last| first[last].clone());
    Some(Difference { after, first: first.get(common).cloned(), second: second.get(common).cloned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::HitRecord;

    fn said(run: &RunRecord) -> Vec<String> {
        steps(run).iter().map(ToString::to_string).collect()
    }

    fn finished() -> RunRecord {
        let mut run = fixtures::passed();
        run.checkpoints[3].end = CheckpointEnd::Aborted { reason: "task failure".into() };
        run.totals.events_by_name.insert("job-finished".into(), 1);
        run
    }

    #[test]
    fn a_run_is_told_attempt_by_attempt() {
        assert_eq!(
            said(&finished()),
            [
                "attempt 1: deployed from nothing",
                "attempt 1: every task runs",
                "attempt 1: a checkpoint completed (1)",
                "attempt 1: a failover began: task-manager-lost",
                "attempt 2: deployed from the newest checkpoint (3)",
                "attempt 2: every task runs",
                "attempt 2: a checkpoint completed (5)",
                "attempt 2: the job finished",
            ]
        );
    }

    #[test]
    fn counts_and_instants_of_periodic_checkpoints_are_no_difference() {
        let (one, mut other) = (finished(), finished());
        other.target = "process".into();
        other.checkpoints.remove(5);
        other.checkpoints.remove(0);
        for checkpoint in &mut other.checkpoints {
            checkpoint.triggered_at_ns += 1;
            checkpoint.id += 7;
        }
        other.course.attempts[1].restored = Some(10);
        assert_eq!(first_difference(&one, &other), None);
    }

    /// The kill of the fixture came by the clock, and found checkpoint 4 under way.
    #[test]
    fn a_checkpoint_under_way_counts_only_where_a_step_decided_that() {
        let (one, mut other) = (finished(), finished());
        other.checkpoints.remove(3);
        assert_eq!(first_difference(&one, &other), None);
        let at_a_step = |run: &mut RunRecord| {
            run.faults[0].hits = vec![HitRecord {
                position: "checkpoint-triggered".into(),
                role: "task-manager".into(),
                target: "tm-2".into(),
                struck_at_ns: 4_500_000_000,
                healed_at_ns: None,
                receipt: String::new(),
            }];
        };
        let mut one = one;
        at_a_step(&mut one);
        at_a_step(&mut other);
        let difference = first_difference(&one, &other).unwrap();
        assert_eq!(difference.after.unwrap().kind, StepKind::Completed);
        assert_eq!(difference.first.unwrap().to_string(), "attempt 1: a checkpoint was given up with the failure (4)");
        assert_eq!(difference.second.unwrap().kind, StepKind::Failover("task-manager-lost".into()));
    }

    #[test]
    fn another_cause_an_older_checkpoint_and_a_missing_end_are_differences() {
        let one = finished();
        let differs = |change: &dyn Fn(&mut RunRecord)| {
            let mut other = finished();
            other.target = "flink".into();
            change(&mut other);
            let difference = first_difference(&one, &other).unwrap();
            let said = |step: Option<Step>| step.map_or("nothing more".to_owned(), |step| step.to_string());
            (said(difference.first), said(difference.second))
        };
        let (_, second) = differs(&|run| run.course.attempts[0].root = "task-failed".into());
        assert_eq!(second, "attempt 1: a failover began: task-failed");
        let (_, second) = differs(&|run| run.course.attempts[1].restored = Some(2));
        assert_eq!(second, "attempt 2: deployed from an older checkpoint (2)");
        let (_, second) = differs(&|run| run.course.attempts[1].restored = None);
        assert_eq!(second, "attempt 2: deployed from nothing");
        let (first, second) = differs(&|run| run.totals.events_by_name.clear());
        assert_eq!((first.as_str(), second.as_str()), ("attempt 2: the job finished", "nothing more"));
    }

    #[test]
    fn what_a_target_cannot_show_is_not_held_against_it() {
        let (mut one, mut other) = (finished(), finished());
        one.checkpoints[1].end = CheckpointEnd::Aborted { reason: "asynchronous part failed".into() };
        assert!(first_difference(&one, &other).is_some());
        other.target = "flink".into();
        assert_eq!(first_difference(&one, &other), None);
        one.checkpoints[1].end = CheckpointEnd::Aborted { reason: "checkpoint expired".into() };
        assert!(first_difference(&one, &other).is_some(), "Flink tells that one");
    }

    proptest! {
        #[test]
        fn a_run_agrees_with_itself_and_differences_are_the_same_from_both_sides(
            one in fixtures::any_run(), other in fixtures::any_run(),
        ) {
            prop_assert_eq!(first_difference(&one, &one), None);
            let (there, back) = (first_difference(&one, &other), first_difference(&other, &one));
            prop_assert_eq!(there.clone().map(|d| d.first), back.clone().map(|d| d.second));
            prop_assert_eq!(there.map(|d| d.second), back.map(|d| d.first));
        }
    }
}
