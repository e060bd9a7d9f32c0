//! Kinds of control messages: the names by which faults select messages between JobManager and TaskManagers.

use serde::{Deserialize, Serialize};

/// A kind of control message; scenario files and traces use [`MessageKind::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// A TaskManager registers.
    Register,
    /// The JobManager accepts a registration.
    Registered,
    /// A heartbeat, in either direction.
    Heartbeat,
    /// The order to run subtasks.
    Deploy,
    /// A subtask runs.
    Running,
    /// A subtask failed.
    Failed,
    /// A subtask has read all its input.
    EndOfInput,
    /// The order to end all tasks.
    Cancel,
    /// All tasks have ended.
    Canceled,
    /// The order to sources to inject the barrier.
    Trigger,
    /// A subtask's snapshot is durable.
    Acknowledge,
    /// A subtask could not take its snapshot.
    Decline,
    /// A checkpoint is complete.
    Notify,
    /// A checkpoint was given up.
    Abort,
    /// A sink has committed.
    Committed,
    /// The job is finished.
    Finish,
}

impl MessageKind {
    /// All of them.
    pub const ALL: [MessageKind; 16] = [
        MessageKind::Register,
        MessageKind::Registered,
        MessageKind::Heartbeat,
        MessageKind::Deploy,
        MessageKind::Running,
        MessageKind::Failed,
        MessageKind::EndOfInput,
        MessageKind::Cancel,
        MessageKind::Canceled,
        MessageKind::Trigger,
        MessageKind::Acknowledge,
        MessageKind::Decline,
        MessageKind::Notify,
        MessageKind::Abort,
        MessageKind::Committed,
        MessageKind::Finish,
    ];

    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Registered => "registered",
            Self::Heartbeat => "heartbeat",
            Self::Deploy => "deploy",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::EndOfInput => "end-of-input",
            Self::Cancel => "cancel",
            Self::Canceled => "canceled",
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Decline => "decline",
            Self::Notify => "notify",
            Self::Abort => "abort",
            Self::Committed => "committed",
            Self::Finish => "finish",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
