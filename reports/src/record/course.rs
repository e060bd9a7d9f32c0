//! The course of a run between its checkpoints and recoveries: who led, what ran where, and what was under way.
//!
//! Start at [`Course`]. It is what the space-time picture and the exports know beyond checkpoints, recoveries and timeline.
//! Records that were written before it existed read as an empty one, and whoever draws must do without it.

use serde::{Deserialize, Serialize};

use super::{CheckpointEnd, CheckpointRecord};

/// Who led, what ran where, and what was under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// Leaderships, in the order in which they were granted.
    pub terms: Vec<TermRecord>,
    /// Attempts of the job, in the order in which they were deployed.
    pub attempts: Vec<AttemptRecord>,
    /// Edges of the job graph that barriers crossed, from vertex to vertex, ascending.
    pub edges: Vec<(u32, u32)>,
    /// What was under way and what was committed, ordered by time; stretches in which nothing changes have their ends only.
    pub flow: Vec<FlowSample>,
}

/// One leadership of one JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermRecord {
    /// Its number, growing over all leaders.
    pub term: u64,
    /// The node that led.
    pub node: String,
    /// When it was granted.
    pub from_ns: u64,
    /// When its leader gave it up or died; `None`: not within the run. It may have been superseded before.
    pub to_ns: Option<u64>,
}

/// One attempt at running the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number, from 1, growing over all leaders.
    pub attempt: u32,
    /// When its deployment began.
    pub deployed_at_ns: u64,
    /// The checkpoint that it was deployed from; `None`: none, or an older record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// What the failover that ended it answers: the kind of the event behind it, such as `task-manager-lost`; empty: no failover did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// When every subtask ran; `None`: it never came to that.
    pub running_at_ns: Option<u64>,
    /// When it failed, finished or was replaced; `None`: not within the run.
    pub ended_at_ns: Option<u64>,
    /// Its subtasks, ordered by vertex and index, as far as they began.
    pub subtasks: Vec<SubtaskRecord>,
}

/// The life of one subtask in one attempt; `None` where it did not get that far.
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
    /// When it ran.
    pub running_ns: Option<u64>,
    /// When it processed its first record.
    pub first_record_ns: Option<u64>,
    /// When it had seen the end of its input.
    pub end_of_input_ns: Option<u64>,
    /// When it failed.
    pub failed_ns: Option<u64>,
}

/// What was under way at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSample {
    /// When. Of each stretch of time it is the sample with the largest backlog that was seen at an event.
    pub at_ns: u64,
    /// Bytes of records that were sent to each node and not read by it yet, in the order of [`super::RunRecord::nodes`].
    pub waiting_bytes: Vec<u64>,
    /// Records that the sinks had made visible by then.
    pub records_committed: u64,
}

impl Course {
    /// When a checkpoint that neither completed nor was given up was nobody's any more: its leader died or gave up, its
    /// attempt ended, or the next one was deployed; `None`: not within the run.
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

    /// When the last subtask had seen the end of its input; `None`: none has.
    pub fn input_ended_ns(&self) -> Option<u64> {
        let subtasks = self.attempts.iter().flat_map(|attempt| &attempt.subtasks);
        subtasks.filter_map(|subtask| subtask.end_of_input_ns).max()
    }
}

impl FlowSample {
    /// Bytes of records under way to all nodes.
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
