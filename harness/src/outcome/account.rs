//! What a target's own statistics say of a checkpoint, beside what was heard of it step by step.
//!
//! A target that only reports events has none. Sizes that no event names come from here; durations stand beside those that were heard, so
//! that a reader sees what being heard costs.

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::ids::SubtaskId;

/// One checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointAccount {
    /// From its trigger to the last acknowledgement.
    pub duration: Duration,
    /// Bytes of state that it holds.
    pub state_bytes: u64,
    /// Those of them that were written for it.
    pub new_bytes: u64,
    /// What each subtask did for it, as far as that was asked for.
    pub subtasks: BTreeMap<SubtaskId, SubtaskAccount>,
}

/// What one subtask did for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubtaskAccount {
    /// Bytes of state that it handed in.
    pub state_bytes: u64,
    /// The synchronous part of its snapshot.
    pub sync: Duration,
    /// The asynchronous part.
    pub upload: Duration,
    /// From the first barrier to the last.
    pub alignment: Duration,
    /// From the trigger to the first barrier.
    pub start_delay: Duration,
}
