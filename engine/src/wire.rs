//! The messages between JobManager and TaskManagers, over one connection per TaskManager, which the TaskManager opens.
//!
//! Every message to a TaskManager carries the sender's term, and a TaskManager obeys only the highest term it has
//! seen. Messages about tasks carry the attempt, and both sides ignore messages of other attempts than their own.

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

/// Why bytes are not a message that a process of this engine sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// The bytes cannot be decoded.
    #[error("the peer sent an unreadable message")]
    Unreadable,
    /// The message can be decoded, but must not be trusted.
    #[error("the peer sent a message that no process of this engine sends: {0}")]
    Implausible(#[from] Implausible),
    /// The message holds settings that no job can have.
    #[error("the peer sent a job that cannot be: {0}")]
    Job(#[from] ConfigError),
}

/// Longest name of a node or address, in bytes.
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

/// Messages of a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToJobManager {
    /// The first message of a connection.
    Register {
        /// The name of the TaskManager.
        node: NodeName,
        /// Which life of it; a new life has none of the tasks of the old one.
        incarnation: u32,
        /// The number of its slots.
        slots: u16,
        /// Where its outgoing channels are served.
        data: Address,
    },
    /// Answer to a heartbeat: the tasks of the newest attempt that run here.
    Heartbeat(Option<Tasks>),
    /// A report about a task of an attempt.
    Task(Attempt, TaskReport),
    /// No task of this attempt or an earlier one is left.
    Canceled(Attempt),
}

impl ToJobManager {
    /// Decodes a message and checks what its receiver relies on.
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

/// The tasks of one attempt in a TaskManager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// The attempt.
    pub attempt: Attempt,
    /// Status of the tasks that have not failed.
    pub status: BTreeMap<SubtaskId, TaskStatus>,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskStatus {
    /// The task loads its state.
    Deploying,
    /// The task processes records.
    Running,
    /// The task has seen the end of its input.
    AtEnd,
}

/// What a task reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskReport {
    /// The task has loaded its state and processes records.
    Running(SubtaskId),
    /// The task failed.
    Failed(SubtaskId, TaskFailure),
    /// All its input channels have ended.
    EndOfInput(SubtaskId),
    /// The task's snapshot is durable.
    Acknowledge {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask.
        subtask: SubtaskId,
        /// The state that the subtask would begin with after a restore.
        state: SubtaskState,
    },
    /// The task has no snapshot for the checkpoint.
    Decline {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask.
        subtask: SubtaskId,
        /// Why.
        reason: AbortReason,
    },
    /// The task's sink committed everything up to the checkpoint.
    Committed {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask.
        subtask: SubtaskId,
    },
}

impl TaskReport {
    /// The subtask that the report is about.
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

/// Why a task failed, with one variant per reaction of the JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskFailure {
    /// Restart from the last checkpoint.
    Failed(String),
    /// No restart can help, because committed data is lost: the job ends with an error.
    Fatal(String),
    /// The checkpoint to restore is damaged: restart from an older one, if that is allowed.
    Damaged(CheckpointId, DamagedFile),
}

/// A file that differs from what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// Its path in the checkpoint store.
    pub path: String,
    /// What the manifest says about it.
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

/// A message to a TaskManager, under the sender's term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToTaskManager {
    /// The sender's term, which is the fencing token.
    pub term: Term,
    /// The order.
    pub order: Order,
}

impl ToTaskManager {
    /// Decodes a message and checks what its receiver relies on.
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

/// An order to a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// The registration is accepted.
    Registered {
        /// Nanoseconds of silence after which the JobManager counts as lost.
        heartbeat_timeout_ns: u64,
    },
    /// A heartbeat, to be answered.
    Heartbeat,
    /// Run these subtasks; end all tasks of older attempts.
    Deploy(Box<Deployment>),
    /// End all tasks up to this attempt.
    Cancel(Attempt),
    /// To sources: inject the barrier.
    Trigger(Attempt, CheckpointId),
    /// The checkpoint is complete: sinks commit everything up to it.
    Completed(Attempt, CheckpointId),
    /// The checkpoint was given up.
    Aborted(Attempt, CheckpointId),
    /// The job is finished: end all tasks up to this attempt.
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
    /// The checkpoint that the job is restored from.
    pub checkpoint: Option<CheckpointId>,
    /// The subtasks of this TaskManager, each with the state that it begins with.
    pub subtasks: BTreeMap<SubtaskId, SubtaskState>,
    /// The TaskManager of every subtask of the job.
    pub placement: BTreeMap<SubtaskId, NodeName>,
    /// The address at which every TaskManager of the job serves its channels.
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

    /// Checks that every subtask of the job's graph has its place in this deployment, and that there are no others.
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
