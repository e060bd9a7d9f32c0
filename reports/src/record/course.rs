//! The course of a run between its checkpoints and recoveries: who led, what ran where, and what was in progress.
//!
//! Start at [`Course`]. It is what the space-time picture and the exports know besides checkpoints, recoveries and
//! timeline. Records that were written before it existed are read with an empty course, and all drawing must work
//! without it.

use serde::{Deserialize, Serialize};

use super::{CheckpointEnd, CheckpointRecord};

/// Who led, what ran where, and what was in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// Leaderships, in the order in which they were granted.
    pub terms: Vec<TermRecord>,
    /// Attempts of the job, in the order in which they were deployed.
    pub attempts: Vec<AttemptRecord>,
    /// Edges of the job graph that barriers crossed, from vertex to vertex, ascending.
    pub edges: Vec<(u32, u32)>,
    /// What was in progress and what was committed, ordered by time. Where nothing changes, only the ends of the
    /// stretch are kept.
    pub flow: Vec<FlowSample>,
}

/// One leadership of one JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermRecord {
    /// Number of the term, growing over all leaders.
    pub term: u64,
    /// The node that led.
    pub node: String,
    /// When the leadership was granted.
    pub from_ns: u64,
    /// When the leader gave it up or died; `None`: not within the run. The leader may have been superseded before.
    pub to_ns: Option<u64>,
}

/// One attempt at running the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Number of the attempt, from 1, growing over all leaders.
    pub attempt: u32,
    /// When its deployment began.
    pub deployed_at_ns: u64,
    /// The checkpoint that it was deployed from; `None`: none, or an older record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// What the failover that ended it answers: the kind of the event behind it, such as `task-manager-lost`; empty: no failover did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// When every subtask was running; `None`: that never happened.
    pub running_at_ns: Option<u64>,
    /// When it failed, finished or was replaced; `None`: not within the run.
    pub ended_at_ns: Option<u64>,
    /// Its subtasks that began, ordered by vertex and index.
    pub subtasks: Vec<SubtaskRecord>,
}

/// The life of one subtask in one attempt; times are `None` where it did not get that far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskRecord {
    /// Vertex and index, as in [`super::SubtaskCheckpoint::subtask`].
    pub subtask: String,
    /// Node that ran it.
    pub node: String,
    /// When it began to load its state.
    pub restoring_ns: Option<u64>,
    /// When its state was loaded.
    pub restored_ns: Option<u64>,
    /// When it began to run.
    pub running_ns: Option<u64>,
    /// When it processed its first record.
    pub first_record_ns: Option<u64>,
    /// When it reached the end of its input.
    pub end_of_input_ns: Option<u64>,
    /// When it failed.
    pub failed_ns: Option<u64>,
}

/// What was in progress at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSample {
    /// The time of the sample. For each stretch of time the sample with the largest backlog seen at an event is kept.
    pub at_ns: u64,
    /// For each node of [`super::RunRecord::nodes`], in that order: bytes of records that were sent to the node and not
    /// read by it yet.
    pub waiting_bytes: Vec<u64>,
    /// Records that the sinks had made visible by then.
    pub records_committed: u64,
}

impl Course {
    /// When a checkpoint that neither completed nor was given up was abandoned: its leader died or gave up, its attempt
    /// ended, or the next attempt was deployed. `None`: not within the run.
    pub fn abandoned_ns(&self, checkpoint: &CheckpointRecord) -> Option<u64> {
        if checkpoint.end != CheckpointEnd::Unfinished {
            return None;
        }
        let triggered = checkpoint.triggered_at_ns;
        let leader = self.terms.iter().filter(|term| term.from_ns <= triggered).max_by_key(|term| term.from_ns);
        let own = self.attempts.iter().filter(|attempt| attempt.attempt == checkpoint.attempt);
        let later = self.attempts.iter().filter(|attempt| attempt.attempt > checkpoint.attempt);
        let ends = own.filter_map(|attempt| attempt.ended_at_ns).chain(later.map(|attempt| attempt.deployed_at_ns));
        ends.chain(leader.and_then(|term| term.to_ns)).filter(|end| *end >= triggered).min()
    }

    /// When the last subtask that reached the end of its input did so; `None`: none has.
    pub fn input_ended_ns(&self) -> Option<u64> {
        let subtasks = self.attempts.iter().flat_map(|attempt| &attempt.subtasks);
        subtasks.filter_map(|subtask| subtask.end_of_input_ns).max()
    }
}

impl FlowSample {
    /// Bytes of records in flight to all nodes.
    pub fn in_flight_bytes(&self) -> u64 {
        self.waiting_bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_checkpoint_is_abandoned_with_its_leader_its_attempt_or_by_the_next_one() {
        let mut checkpoint = fixtures::passed().checkpoints.remove(0);
        (checkpoint.attempt, checkpoint.triggered_at_ns, checkpoint.end) = (1, 50, CheckpointEnd::Unfinished);
        let term = |from_ns, to_ns| TermRecord { term: 1, node: "jm-1".into(), from_ns, to_ns };
        let attempt = |attempt, deployed_at_ns, ended_at_ns| AttemptRecord {
            attempt,
            deployed_at_ns,
            ended_at_ns,
            ..AttemptRecord::default()
        };
        let mut course = Course::default();
        assert_eq!(course.abandoned_ns(&checkpoint), None);
        course.attempts = vec![attempt(1, 10, None), attempt(2, 90, None)];
        assert_eq!(course.abandoned_ns(&checkpoint), Some(90));
        course.attempts[0].ended_at_ns = Some(80);
        assert_eq!(course.abandoned_ns(&checkpoint), Some(80));
        course.terms = vec![term(0, Some(20)), term(30, Some(60)), term(85, None)];
        assert_eq!(course.abandoned_ns(&checkpoint), Some(60));
        checkpoint.end = CheckpointEnd::Completed;
        assert_eq!(course.abandoned_ns(&checkpoint), None);
    }
}
