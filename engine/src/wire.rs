//! What JobManager and TaskManagers say to each other. One connection each, opened by the TaskManager.
//!
//! Every message to a TaskManager carries the sender's term; a TaskManager obeys only the highest it has seen. Messages about
//! tasks carry the attempt; either side ignores those of another attempt than its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::manifest::raw::{Implausible, in_range};
use crate::checkpoint::manifest::{Damaged, SubtaskState};
use crate::codec::whole;
use crate::config::ConfigError;
use crate::env::{Address, NetError};
use crate::event::AbortReason;
use crate::graph::{JobError, JobGraph, JobSpec};
use crate::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term};
use crate::message_kind::MessageKind;
use crate::time::Time;

/// The kind of a report.
pub fn kind_of_report(message: &ToJobManager) -> MessageKind {
    match message {
        ToJobManager::Register { .. } => MessageKind::Register,
        ToJobManager::Heartbeat(_) => MessageKind::Heartbeat,
        ToJobManager::Canceled(_) => MessageKind::Canceled,
        ToJobManager::Task(_, report) => match report {
            TaskReport::Running(_) => MessageKind::Running,
            TaskReport::Failed(..) => MessageKind::Failed,
            TaskReport::EndOfInput(_) => MessageKind::EndOfInput,
            TaskReport::Acknowledge { .. } => MessageKind::Acknowledge,
            TaskReport::Decline { .. } => MessageKind::Decline,
            TaskReport::Committed { .. } => MessageKind::Committed,
        },
    }
}

/// The kind of an order.
pub fn kind_of_order(order: &Order) -> MessageKind {
    match order {
        Order::Registered { .. } => MessageKind::Registered,
        Order::Heartbeat => MessageKind::Heartbeat,
        Order::Deploy(_) => MessageKind::Deploy,
        Order::Cancel(_) => MessageKind::Cancel,
        Order::Trigger(..) => MessageKind::Trigger,
        Order::Completed(..) => MessageKind::Notify,
        Order::Aborted(..) => MessageKind::Abort,
        Order::Finish(_) => MessageKind::Finish,
    }
}

/// Why nothing more is heard from a peer over its connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The connection broke.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It carried what is no message, so nothing that follows can be believed.
    #[error(transparent)]
    Message(#[from] BadMessage),
}

/// Why bytes are no message, or one that no process of this engine sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// They cannot be read.
    #[error("the peer sent an unreadable message")]
    Unreadable,
    /// They can, and must not be believed.
    #[error("the peer sent a message that no process of this engine sends: {0}")]
    Implausible(#[from] Implausible),
    /// Settings that no job can have.
    #[error("the peer sent a job that cannot be: {0}")]
    Job(#[from] ConfigError),
}

/// Longest name of a node or address, bytes.
const NAME_BYTES_MAX: u64 = 255;

fn name(what: &'static str, name: &str) -> Result<(), Implausible> {
    in_range(what, name.len() as u64, 1, NAME_BYTES_MAX)?;
    let accepted = || "no control characters".into();
    let found = name.chars().find(|c| c.is_control());
    found.map_or(Ok(()), |c| Err(Implausible::OutOfRange { what, found: format!("{c:?}"), accepted: accepted() }))
}

fn id(checkpoint: CheckpointId) -> Result<(), Implausible> {
    in_range("the checkpoint", checkpoint.0, 0, CheckpointId::MAX.0)
}

fn attempt(attempt: Attempt) -> Result<(), Implausible> {
    in_range("the attempt", attempt.0.into(), 0, Attempt::MAX.0.into())
}

/// From a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToJobManager {
    /// First message of a connection.
    Register {
        /// Who it is.
        node: NodeName,
        /// Which life of it; a new one has none of the tasks of the old.
        incarnation: u32,
        /// Slots it offers.
        slots: u16,
        /// Where its outgoing channels are served.
        data: Address,
    },
    /// Answer to a heartbeat: the tasks there are, of the newest attempt.
    Heartbeat(Option<Tasks>),
    /// Something about a task of an attempt.
    Task(Attempt, TaskReport),
    /// No task of the attempt, or of any before, is left.
    Canceled(Attempt),
}

impl ToJobManager {
    /// Reads a message, and checks what its receiver counts on.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        let message: Self = whole(bytes).ok_or(BadMessage::Unreadable)?;
        match &message {
            Self::Register { node, data, .. } => {
                name("the length of a node's name", node.as_str())?;
                name("the length of an address", &data.0)?;
            }
            Self::Heartbeat(tasks) => tasks.iter().try_for_each(|tasks| attempt(tasks.attempt))?,
            Self::Canceled(of) => attempt(*of)?,
            Self::Task(of, report) => {
                attempt(*of)?;
                report.check()?;
            }
        }
        Ok(message)
    }
}

/// Tasks of an attempt that a TaskManager has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// The attempt.
    pub attempt: Attempt,
    /// Those that have not failed.
    pub status: BTreeMap<SubtaskId, TaskStatus>,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskStatus {
    /// It loads its state.
    Deploying,
    /// It processes records.
    Running,
    /// It has seen the end of its input.
    AtEnd,
}

/// What a task reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskReport {
    /// State is loaded; it processes records.
    Running(SubtaskId),
    /// It cannot go on.
    Failed(SubtaskId, TaskFailure),
    /// All its input channels have ended.
    EndOfInput(SubtaskId),
    /// Its snapshot is durable.
    Acknowledge {
        /// Of which checkpoint.
        checkpoint: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
        /// What it would begin with.
        state: SubtaskState,
    },
    /// It has no snapshot for the checkpoint.
    Decline {
        /// Which.
        checkpoint: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
        /// Why.
        reason: AbortReason,
    },
    /// Its sink committed everything up to the checkpoint.
    Committed {
        /// Which.
        checkpoint: CheckpointId,
        /// Whose.
        subtask: SubtaskId,
    },
}

impl TaskReport {
    /// The subtask that it is about.
    pub fn subtask(&self) -> SubtaskId {
        match self {
            Self::Running(subtask)
            | Self::Failed(subtask, _)
            | Self::EndOfInput(subtask)
            | Self::Acknowledge { subtask, .. }
            | Self::Decline { subtask, .. }
            | Self::Committed { subtask, .. } => *subtask,
        }
    }

    fn check(&self) -> Result<(), Implausible> {
        match self {
            Self::Running(_) | Self::Failed(..) | Self::EndOfInput(_) => Ok(()),
            Self::Decline { checkpoint, .. } | Self::Committed { checkpoint, .. } => id(*checkpoint),
            Self::Acknowledge { checkpoint, subtask, state } => {
                id(*checkpoint)?;
                state.belongs_to(*subtask, *checkpoint)
            }
        }
    }
}

/// Why a task failed, by what the JobManager does about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskFailure {
    /// Restart from the last checkpoint.
    Failed(String),
    /// No restart can mend it: committed data is lost. The job must say so and stop.
    Fatal(String),
    /// The checkpoint it was to start from cannot be used; restart from an older one, if that is allowed.
    Damaged(CheckpointId, DamagedFile),
}

/// A file that is not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// Its path in the checkpoint store.
    pub path: String,
    /// What the manifest says.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl From<DamagedFile> for Damaged {
    fn from(file: DamagedFile) -> Self {
        Self { path: file.path, expected: file.expected, found: file.found }
    }
}

impl From<Damaged> for DamagedFile {
    fn from(damaged: Damaged) -> Self {
        Self { path: damaged.path, expected: damaged.expected, found: damaged.found }
    }
}

/// To a TaskManager, under the sender's term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToTaskManager {
    /// Fencing token.
    pub term: Term,
    /// What to do.
    pub order: Order,
}

impl ToTaskManager {
    /// Reads a message, and checks what its receiver counts on.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        let message: Self = whole(bytes).ok_or(BadMessage::Unreadable)?;
        in_range("the term", message.term.0, 0, Term::MAX.0)?;
        match &message.order {
            Order::Registered { .. } | Order::Heartbeat => {}
            Order::Deploy(deployment) => deployment.check()?,
            Order::Cancel(of) | Order::Finish(of) => attempt(*of)?,
            Order::Trigger(of, checkpoint) | Order::Completed(of, checkpoint) | Order::Aborted(of, checkpoint) => {
                attempt(*of)?;
                id(*checkpoint)?;
            }
        }
        Ok(message)
    }
}

/// What a TaskManager is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// The registration is accepted.
    Registered {
        /// Silence of the JobManager beyond this means that it is lost, in nanoseconds.
        heartbeat_timeout_ns: u64,
    },
    /// Say that you live.
    Heartbeat,
    /// Run these subtasks; whatever runs of an older attempt ends.
    Deploy(Box<Deployment>),
    /// End all tasks up to this attempt.
    Cancel(Attempt),
    /// Sources: inject the barrier.
    Trigger(Attempt, CheckpointId),
    /// The checkpoint is durable: sinks commit everything up to it.
    Completed(Attempt, CheckpointId),
    /// The checkpoint was given up.
    Aborted(Attempt, CheckpointId),
    /// The job is finished.
    Finish(Attempt),
}

/// The subtasks of one attempt that one TaskManager runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The attempt.
    pub attempt: Attempt,
    /// The job.
    pub job: JobSpec,
    /// Arrival of the job's first record.
    pub start: Time,
    /// The checkpoint restored from.
    pub checkpoint: Option<CheckpointId>,
    /// The subtasks, with what each begins with.
    pub subtasks: BTreeMap<SubtaskId, SubtaskState>,
    /// Where every subtask of the job runs.
    pub placement: BTreeMap<SubtaskId, NodeName>,
    /// Where every TaskManager of the job serves its channels.
    pub data: BTreeMap<NodeName, Address>,
}

impl Deployment {
    fn check(&self) -> Result<(), BadMessage> {
        self.job.validate()?;
        attempt(self.attempt)?;
        let restored = self.checkpoint.unwrap_or_default();
        id(restored)?;
        self.subtasks.iter().try_for_each(|(subtask, state)| state.belongs_to(*subtask, restored))?;
        Ok(())
    }

    /// Whether every subtask of the job's graph has its place here, and no other.
    pub fn fits(&self, graph: &JobGraph) -> Result<(), JobError> {
        let wanted = graph.subtasks(self.job.config.parallelism);
        let placed = wanted.iter().all(|subtask| self.placement.contains_key(subtask));
        let known = self.subtasks.keys().all(|subtask| wanted.binary_search(subtask).is_ok());
        let served = self.placement.values().all(|node| self.data.contains_key(node));
        match placed && known && served {
            true => Ok(()),
            false => Err(JobError::Refused {
                job: self.job.program.clone(),
                what: "the order to deploy does not fit its graph".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
