//! The protocol's vocabulary: one typed event at every step, for logs, faults, oracles and measurement alike.
//!
//! Shells emit events through [`crate::env::Env::emit`]; pure code returns them. In simulation an observer sees each event
//! before the emitter's next instruction, so a fault can strike exactly there; for real they become log lines.
//! An event's name ([`Event::name`]) is what scenario files and reports call it.
//!
//! Invariants: (E1) an event is emitted *after* what it reports took effect; (E2) names are never reused for another
//! meaning, since saved plans refer to them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term};
use crate::time::Time;

/// An event with its place and time. `node`, `incarnation` and `at` are filled in by `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, on the world's clock.
    pub at: Time,
    /// Which node.
    pub node: NodeName,
    /// Which life of that node, from 1.
    pub incarnation: u32,
    /// What.
    pub event: Event,
}

impl fmt::Display for EventRecord {
    /// Time, node with its life, event: one line of a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = format!("{}.{}", self.node, self.incarnation);
        write!(f, "{:>14} {node:<7} {}", self.at.to_string(), self.event)
    }
}

/// Why a checkpoint was given up (Flink: `CheckpointFailureReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AbortReason {
    /// Not completed within `timeout`.
    Expired,
    /// A subtask could not take its snapshot.
    Declined,
    /// A snapshot could not be uploaded.
    AsyncException,
    /// The manifest could not be written.
    FinalizeFailure,
    /// The job failed over while it was pending.
    TaskFailure,
    /// A later checkpoint completed first.
    Subsumed,
    /// The coordinator stopped (job finished or failed).
    CoordinatorShutdown,
}

impl AbortReason {
    /// Whether it counts towards `tolerable_failed` (Flink: `CheckpointFailureManager`).
    pub fn counts(self) -> bool {
        match self {
            Self::Expired | Self::Declined | Self::AsyncException | Self::FinalizeFailure => true,
            Self::TaskFailure | Self::Subsumed | Self::CoordinatorShutdown => false,
        }
    }

    /// Flink's word for it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "checkpoint expired",
            Self::Declined => "checkpoint declined",
            Self::AsyncException => "asynchronous part failed",
            Self::FinalizeFailure => "finalize failed",
            Self::TaskFailure => "task failure",
            Self::Subsumed => "subsumed",
            Self::CoordinatorShutdown => "coordinator shut down",
        }
    }
}

/// The event that a failover answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RootCause {
    /// A subtask failed (`task-failed`).
    TaskFailed {
        /// Which.
        subtask: SubtaskId,
    },
    /// A TaskManager was given up (`task-manager-lost`).
    TaskManagerLost {
        /// Which.
        task_manager: NodeName,
    },
    /// More checkpoints in a row failed than are tolerated; the last one (`checkpoint-aborted`).
    CheckpointsFailed {
        /// The last of them.
        checkpoint: CheckpointId,
    },
    /// State to restore from turned out damaged (`checkpoint-damaged`).
    CheckpointDamaged {
        /// Which checkpoint.
        checkpoint: CheckpointId,
    },
    /// A TaskManager does not have the tasks that it was told to run (`deployment-lost`).
    DeploymentLost {
        /// Which.
        task_manager: NodeName,
    },
    /// The store did not answer as it should (`store-failed`).
    StoreFailed,
}

macro_rules! events {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? }),* $(,)?) => {
        /// A step of the protocol. Fields mean what their types say; the variant's text says the rest.
        #[allow(missing_docs, reason = "thirty times `attempt: the attempt` would bury the meaning")]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "event", rename_all = "kebab-case")]
        pub enum Event {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant { $($(#[$fdoc])* $field: $ty),* }),*
        }

        impl Event {
            /// Every event's name with its meaning, in the order of the protocol.
            pub const CATALOGUE: &'static [(&'static str, &'static str)] =
                &[$(($name, concat!($($doc),*))),*];

            /// Its name in scenario files, logs and reports.
            pub fn name(&self) -> &'static str {
                match self { $(Event::$variant { .. } => $name),* }
            }
        }
    };
}

events! {
    // Cluster and leadership.
    /// A JobManager opened a term over the job.
    LeadershipGranted = "leadership-granted" { term: Term },
    /// The leader's renewal of its lease is durable.
    LeaseRenewed = "lease-renewed" { term: Term },
    /// A JobManager found out that a newer term was opened, or could renew nothing for a lease, and gave up its own.
    LeadershipLost = "leadership-lost" { term: Term },
    /// A standby JobManager has seen no renewal for the lease and tries to open a term.
    LeaseExpired = "lease-expired" { term: Term },
    /// The leader removed files that nobody will ask for: those of checkpoints that are neither retained nor its own, and at
    /// the end of the job pending output, too.
    SweepEnded = "sweep-ended" { term: Term, removed: u64 },
    /// A TaskManager was registered with its slots.
    TaskManagerRegistered = "task-manager-registered" { task_manager: NodeName, slots: u16 },
    /// A TaskManager's heartbeats say that it does not have the tasks that it was told to run.
    DeploymentLost = "deployment-lost" { attempt: Attempt, task_manager: NodeName },
    /// The JobManager could not read or write what it needs to go on.
    StoreFailed = "store-failed" { attempt: Attempt, cause: String },
    /// The JobManager gave up a TaskManager.
    TaskManagerLost = "task-manager-lost" { task_manager: NodeName, cause: String },
    /// A TaskManager gave up its JobManager and cancelled its tasks; `term` is that of the orders that it obeyed over this
    /// connection, if it obeyed any.
    JobManagerLost = "job-manager-lost" { term: Option<Term>, cause: String },
    /// A heartbeat request went out.
    HeartbeatSent = "heartbeat-sent" { to: NodeName },
    /// A peer stayed silent for the heartbeat timeout.
    HeartbeatMissed = "heartbeat-missed" { peer: NodeName },

    // Job and tasks.
    /// The job waits for slots.
    WaitingForSlots = "waiting-for-slots" { attempt: Attempt, needed: u16, offered: u16 },
    /// Slots are assigned and tasks are being deployed.
    DeploymentBegun = "deployment-begun" { attempt: Attempt, restored: Option<CheckpointId>, state_bytes: u64 },
    /// A subtask began to load its state; `term` is that of the order to deploy it.
    RestoreBegun = "restore-begun" { term: Term, attempt: Attempt, subtask: SubtaskId, checkpoint: Option<CheckpointId> },
    /// A subtask has its state loaded.
    RestoreEnded = "restore-ended" { attempt: Attempt, subtask: SubtaskId, bytes: u64 },
    /// A subtask runs.
    TaskRunning = "task-running" { attempt: Attempt, subtask: SubtaskId },
    /// Every subtask runs.
    JobRunning = "job-running" { attempt: Attempt },
    /// A subtask processed the first record of this attempt.
    FirstRecord = "first-record" { attempt: Attempt, subtask: SubtaskId },
    /// A source has emitted, for the first time in its attempt, all that has arrived so far.
    CaughtUp = "caught-up" { attempt: Attempt, subtask: SubtaskId },
    /// A subtask has seen the end of its input on all channels.
    EndOfInput = "end-of-input" { attempt: Attempt, subtask: SubtaskId },
    /// A subtask failed; `in_program`: while the job's own code was called.
    TaskFailed = "task-failed" { attempt: Attempt, subtask: SubtaskId, in_program: bool, cause: String },
    /// The JobManager begins a failover; `root` is the event behind it, `cause` says it in words.
    FailoverBegun = "failover-begun" { attempt: Attempt, root: RootCause, cause: String },
    /// Every task of the failed attempt is gone.
    TasksCanceled = "tasks-canceled" { attempt: Attempt },
    /// The restart delay is over and every task of the failed attempt is gone.
    RestartReady = "restart-ready" { attempt: Attempt },
    /// The job finished: final checkpoint complete, all commits acknowledged.
    JobFinished = "job-finished" { attempt: Attempt },
    /// The job failed for good.
    JobFailed = "job-failed" { attempt: Attempt, cause: String },

    // Checkpoints.
    /// The coordinator triggered a checkpoint.
    CheckpointTriggered = "checkpoint-triggered" { attempt: Attempt, checkpoint: CheckpointId, last: bool },
    /// A source injected the barrier into its outputs.
    BarrierInjected = "barrier-injected" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// A barrier arrived on a channel.
    BarrierReceived = "barrier-received" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, from: SubtaskId },
    /// The first barrier of a checkpoint arrived; channels block from here.
    AlignmentOpened = "alignment-opened" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The last barrier arrived; the snapshot begins.
    AlignmentClosed = "alignment-closed" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The synchronous part of a snapshot began.
    SnapshotSyncBegun = "snapshot-sync-begun" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The synchronous part of a snapshot ended; processing goes on.
    SnapshotSyncEnded = "snapshot-sync-ended" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// One state file is durable in the checkpoint store.
    StateUploaded = "state-uploaded" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, path: String, bytes: u64 },
    /// The sink's output of the epoch is durable but invisible.
    SinkPreCommitted = "sink-pre-committed" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, bytes: u64 },
    /// The asynchronous part of a snapshot ended.
    SnapshotAsyncEnded = "snapshot-async-ended" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, bytes: u64 },
    /// A subtask could not make its snapshot durable, and declines the checkpoint.
    SnapshotDeclined = "snapshot-declined" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, reason: AbortReason },
    /// The coordinator counted a subtask's acknowledgement.
    CheckpointAcknowledged = "checkpoint-acknowledged" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The manifest is durable; the checkpoint is not complete before the leadership log says so.
    ManifestWritten = "manifest-written" { attempt: Attempt, checkpoint: CheckpointId },
    /// Manifest and log entry are durable: the checkpoint is complete, and only now may sinks commit.
    CheckpointCompleted = "checkpoint-completed" { attempt: Attempt, checkpoint: CheckpointId, bytes: u64 },
    /// A checkpoint was given up.
    CheckpointAborted = "checkpoint-aborted" { attempt: Attempt, checkpoint: CheckpointId, reason: AbortReason },
    /// A checkpoint left the retained set, older or fallen back behind; its files are being deleted.
    CheckpointSubsumed = "checkpoint-subsumed" { checkpoint: CheckpointId },
    /// A file of a checkpoint is damaged or missing; the checkpoint is not used again.
    CheckpointDamaged = "checkpoint-damaged" { checkpoint: CheckpointId, file: String, expected: String, found: String },
    /// Completion was notified to the tasks.
    CompletionNotified = "completion-notified" { attempt: Attempt, checkpoint: CheckpointId },

    // Sinks.
    /// The commit decision of a transaction is durable, and its output visible.
    SinkCommitted = "sink-committed" { attempt: Attempt, epoch: CheckpointId, subtask: SubtaskId, checkpoint: CheckpointId },
    /// A transaction was aborted on restore; its output will never be visible.
    SinkAborted = "sink-aborted" { epoch: CheckpointId, subtask: SubtaskId },
    /// The coordinator counted a sink's commit of a checkpoint.
    CommitAcknowledged = "commit-acknowledged" { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The job fell back from a damaged checkpoint to an older one.
    FellBack = "fell-back" { from: CheckpointId, to: Option<CheckpointId> },
}

impl Event {
    /// The checkpoint it belongs to, if any.
    pub fn checkpoint(&self) -> Option<CheckpointId> {
        use Event::*;
        match self {
            CheckpointTriggered { checkpoint, .. }
            | BarrierInjected { checkpoint, .. }
            | BarrierReceived { checkpoint, .. }
            | AlignmentOpened { checkpoint, .. }
            | AlignmentClosed { checkpoint, .. }
            | SnapshotSyncBegun { checkpoint, .. }
            | SnapshotSyncEnded { checkpoint, .. }
            | StateUploaded { checkpoint, .. }
            | SinkPreCommitted { checkpoint, .. }
            | SnapshotAsyncEnded { checkpoint, .. }
            | SnapshotDeclined { checkpoint, .. }
            | CheckpointAcknowledged { checkpoint, .. }
            | ManifestWritten { checkpoint, .. }
            | CheckpointCompleted { checkpoint, .. }
            | CheckpointAborted { checkpoint, .. }
            | CheckpointSubsumed { checkpoint }
            | CheckpointDamaged { checkpoint, .. }
            | CompletionNotified { checkpoint, .. }
            | SinkCommitted { checkpoint, .. }
            | CommitAcknowledged { checkpoint, .. } => Some(*checkpoint),
            RestoreBegun { checkpoint, .. } => *checkpoint,
            DeploymentBegun { restored, .. } => *restored,
            _ => None,
        }
    }

    /// The subtask it belongs to, if any.
    pub fn subtask(&self) -> Option<SubtaskId> {
        use Event::*;
        match self {
            RestoreBegun { subtask, .. }
            | RestoreEnded { subtask, .. }
            | TaskRunning { subtask, .. }
            | FirstRecord { subtask, .. }
            | CaughtUp { subtask, .. }
            | EndOfInput { subtask, .. }
            | TaskFailed { subtask, .. }
            | BarrierInjected { subtask, .. }
            | BarrierReceived { subtask, .. }
            | AlignmentOpened { subtask, .. }
            | AlignmentClosed { subtask, .. }
            | SnapshotSyncBegun { subtask, .. }
            | SnapshotSyncEnded { subtask, .. }
            | StateUploaded { subtask, .. }
            | SinkPreCommitted { subtask, .. }
            | SnapshotAsyncEnded { subtask, .. }
            | SnapshotDeclined { subtask, .. }
            | CheckpointAcknowledged { subtask, .. }
            | SinkCommitted { subtask, .. }
            | SinkAborted { subtask, .. }
            | CommitAcknowledged { subtask, .. } => Some(*subtask),
            _ => None,
        }
    }

    /// The execution attempt it belongs to, if any.
    pub fn attempt(&self) -> Option<Attempt> {
        use Event::*;
        match self {
            WaitingForSlots { attempt, .. }
            | DeploymentBegun { attempt, .. }
            | RestoreBegun { attempt, .. }
            | RestoreEnded { attempt, .. }
            | TaskRunning { attempt, .. }
            | JobRunning { attempt }
            | FirstRecord { attempt, .. }
            | CaughtUp { attempt, .. }
            | EndOfInput { attempt, .. }
            | TaskFailed { attempt, .. }
            | DeploymentLost { attempt, .. }
            | StoreFailed { attempt, .. }
            | FailoverBegun { attempt, .. }
            | TasksCanceled { attempt }
            | RestartReady { attempt }
            | JobFinished { attempt }
            | JobFailed { attempt, .. }
            | CheckpointTriggered { attempt, .. }
            | BarrierInjected { attempt, .. }
            | BarrierReceived { attempt, .. }
            | AlignmentOpened { attempt, .. }
            | AlignmentClosed { attempt, .. }
            | SnapshotSyncBegun { attempt, .. }
            | SnapshotSyncEnded { attempt, .. }
            | StateUploaded { attempt, .. }
            | SinkPreCommitted { attempt, .. }
            | SnapshotAsyncEnded { attempt, .. }
            | SnapshotDeclined { attempt, .. }
            | CheckpointAcknowledged { attempt, .. }
            | ManifestWritten { attempt, .. }
            | CheckpointCompleted { attempt, .. }
            | CheckpointAborted { attempt, .. }
            | CompletionNotified { attempt, .. }
            | SinkCommitted { attempt, .. }
            | CommitAcknowledged { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    /// The name and the fields, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let text = format!("{self:?}");
        match text.find('{') {
            Some(at) => write!(f, " {}", &text[at..]),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_documented() {
        let names: BTreeSet<_> = Event::CATALOGUE.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Event::CATALOGUE.len());
        assert!(Event::CATALOGUE.iter().all(|(_, doc)| doc.trim().ends_with('.')));
    }
}
