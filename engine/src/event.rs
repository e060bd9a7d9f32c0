//! The protocol's vocabulary: one typed event at every step, for logs, faults, oracles and measurement alike.
//!
//! Shells emit events through [`crate::env::Env::emit`]; pure code returns them. In simulation an observer sees each
//! event before the emitter's next instruction, so a fault can strike exactly there. A real process logs its events,
//! and can have an observer that each emitter waits for ([`crate::env::tokio::stream`]). Scenario files and reports
//! name an event by [`Event::name`]. One row of `events!` says everything that is true of all events of one kind;
//! [`Event::ROWS`] is that table at run time.
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
    /// One line of a log: time, node with its life, event.
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
    /// Whether this reason counts towards `tolerable_failed` (Flink: `CheckpointFailureManager`).
    pub fn counts(self) -> bool {
        match self {
            Self::Expired | Self::Declined | Self::AsyncException | Self::FinalizeFailure => true,
            Self::TaskFailure | Self::Subsumed | Self::CoordinatorShutdown => false,
        }
    }

    /// The reason in words, in lower case, after Flink's names.
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
    /// More checkpoints failed in a row than are tolerated (`checkpoint-aborted` of the last of them).
    CheckpointsFailed {
        /// The last checkpoint that failed.
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

impl RootCause {
    /// Its kind, in the words of its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TaskFailed { .. } => "task-failed",
            Self::TaskManagerLost { .. } => "task-manager-lost",
            Self::CheckpointsFailed { .. } => "checkpoints-failed",
            Self::CheckpointDamaged { .. } => "checkpoint-damaged",
            Self::DeploymentLost { .. } => "deployment-lost",
            Self::StoreFailed => "store-failed",
        }
    }
}

/// Who emits an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitter {
    /// The leading JobManager.
    Leader,
    /// A JobManager that does not lead, or has just lost the leadership.
    JobManager,
    /// A TaskManager.
    TaskManager,
    /// A JobManager or a TaskManager.
    Any,
}

/// When an event of a kind occurs in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// In every run: with each checkpoint or each attempt.
    Always,
    /// In every run, again and again, whatever the job does.
    Periodic,
    /// In every run, once input has ended.
    InputEnded,
    /// After something failed.
    Failure,
    /// After a checkpoint was found damaged.
    Damage,
    /// Only if a second JobManager stands by.
    Standby,
    /// Only if keyed state is written to the checkpoint store as files.
    StateFiles,
    /// Only at subtasks that read from other subtasks, so only if the graph has channels.
    Channels,
    /// At the end of the job, as its last event.
    End,
}

/// Whether the events of a kind carry a certain id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// No event of the kind does.
    Never,
    /// Some events of the kind do.
    Sometimes,
    /// Every event of the kind does.
    Always,
}

impl Carried {
    /// What several fields say together: `Never` only if every field says `Never`.
    const fn either(fields: &[Carried]) -> Carried {
        let mut at = 0;
        while at < fields.len() {
            if !matches!(fields[at], Carried::Never) {
                return fields[at];
            }
            at += 1;
        }
        Carried::Never
    }
}

/// What is true of all events of one kind: one row of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    /// The name of the events.
    pub name: &'static str,
    /// What the events mean.
    pub meaning: &'static str,
    /// Who emits them.
    pub emitter: Emitter,
    /// When the events occur in a job.
    pub occasion: Occasion,
    /// Whether the events belong to a checkpoint.
    pub checkpoint: Carried,
    /// Whether the events belong to a subtask.
    pub subtask: Carried,
    /// Whether the events belong to an attempt.
    pub attempt: Carried,
}

/// A field whose type is an id, or an optional id.
trait IdField<Id> {
    const CARRIED: Carried;
    fn id(&self) -> Option<Id>;
}

impl<Id: Copy> IdField<Id> for Id {
    const CARRIED: Carried = Carried::Always;
    fn id(&self) -> Option<Id> {
        Some(*self)
    }
}

impl<Id: Copy> IdField<Id> for Option<Id> {
    const CARRIED: Carried = Carried::Sometimes;
    fn id(&self) -> Option<Id> {
        *self
    }
}

/// Decides by a field's name whether the field says which checkpoint, subtask or attempt an event belongs to.
/// `carried!(id, field, type)` says whether it does, `id!(id, field, value)` gives the id.
macro_rules! carried {
    (checkpoint, checkpoint, $ty:ty) => {
        <$ty as IdField<CheckpointId>>::CARRIED
    };
    (checkpoint, restored, $ty:ty) => {
        <$ty as IdField<CheckpointId>>::CARRIED
    };
    (subtask, subtask, $ty:ty) => {
        <$ty as IdField<SubtaskId>>::CARRIED
    };
    (attempt, attempt, $ty:ty) => {
        <$ty as IdField<Attempt>>::CARRIED
    };
    ($id:ident, $field:ident, $ty:ty) => {
        Carried::Never
    };
}

/// See [`carried!`].
macro_rules! id {
    (checkpoint, checkpoint, $value:ident) => {
        IdField::<CheckpointId>::id($value)
    };
    (checkpoint, restored, $value:ident) => {
        IdField::<CheckpointId>::id($value)
    };
    (subtask, subtask, $value:ident) => {
        IdField::<SubtaskId>::id($value)
    };
    (attempt, attempt, $value:ident) => {
        IdField::<Attempt>::id($value)
    };
    ($id:ident, $field:ident, $value:ident) => {{
        let _ = $value;
        None
    }};
}

/// One row per event: meaning, variant, name, emitter, occasion, and the fields. The enum, its names and the table
/// [`Event::ROWS`] are generated from these rows; so is whatever the harness needs to know about a kind of event.
macro_rules! events {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident = $name:literal by $emitter:ident, $occasion:ident { $($field:ident: $ty:ty),* $(,)? }
    ),* $(,)?) => {
        /// A step of the protocol. A field means what its type says; the text of the variant adds what the type cannot
        /// say.
        #[allow(missing_docs, reason = "thirty times `attempt: the attempt` would bury the meaning")]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "event", rename_all = "kebab-case")]
        pub enum Event {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant { $($field: $ty),* }),*
        }

        impl Event {
            /// The vocabulary, in the order of the protocol.
            pub const ROWS: &'static [EventRow] = &[$(EventRow {
                name: $name,
                meaning: concat!($($doc),*),
                emitter: Emitter::$emitter,
                occasion: Occasion::$occasion,
                checkpoint: Carried::either(&[$(carried!(checkpoint, $field, $ty)),*]),
                subtask: Carried::either(&[$(carried!(subtask, $field, $ty)),*]),
                attempt: Carried::either(&[$(carried!(attempt, $field, $ty)),*]),
            }),*];

            /// Every event's name with its meaning, in the order of the protocol.
            pub const CATALOGUE: &'static [(&'static str, &'static str)] =
                &[$(($name, concat!($($doc),*))),*];

            /// The event's name in scenario files, logs and reports.
            pub fn name(&self) -> &'static str {
                match self { $(Event::$variant { .. } => $name),* }
            }

            /// The checkpoint that the event belongs to, if any.
            pub fn checkpoint(&self) -> Option<CheckpointId> {
                match self { $(Event::$variant { $($field),* } => None$(.or(id!(checkpoint, $field, $field)))*),* }
            }

            /// The subtask that the event belongs to, if any.
            pub fn subtask(&self) -> Option<SubtaskId> {
                match self { $(Event::$variant { $($field),* } => None$(.or(id!(subtask, $field, $field)))*),* }
            }

            /// The execution attempt that the event belongs to, if any.
            pub fn attempt(&self) -> Option<Attempt> {
                match self { $(Event::$variant { $($field),* } => None$(.or(id!(attempt, $field, $field)))*),* }
            }
        }
    };
}

impl Event {
    /// The row of the events called `name`.
    pub fn row(name: &str) -> Option<&'static EventRow> {
        Self::ROWS.iter().find(|row| row.name == name)
    }
}

events! {
    // Cluster and leadership.
    /// A JobManager opened a term over the job.
    LeadershipGranted = "leadership-granted" by Leader, Always { term: Term },
    /// The leader's renewal of its lease is durable.
    LeaseRenewed = "lease-renewed" by Leader, Periodic { term: Term },
    /// A JobManager found out that a newer term was opened, or could renew nothing for a lease, and gave up its own.
    LeadershipLost = "leadership-lost" by JobManager, Standby { term: Term },
    /// A standby JobManager has seen no renewal for the lease and tries to open a term.
    LeaseExpired = "lease-expired" by JobManager, Standby { term: Term },
    /// The leader removed files that nobody will ask for: those of checkpoints that are neither retained nor its own,
    /// and at the end of the job pending output, too.
    SweepEnded = "sweep-ended" by Leader, InputEnded { term: Term, removed: u64 },
    /// A TaskManager was registered with its slots.
    TaskManagerRegistered = "task-manager-registered" by Leader, Always { task_manager: NodeName, slots: u16 },
    /// A TaskManager's heartbeats say that it does not have the tasks that it was told to run.
    DeploymentLost = "deployment-lost" by Leader, Failure { attempt: Attempt, task_manager: NodeName },
    /// The JobManager could not read or write what it needs to go on.
    StoreFailed = "store-failed" by Leader, Failure { attempt: Attempt, cause: String },
    /// The JobManager gave up a TaskManager.
    TaskManagerLost = "task-manager-lost" by Leader, Failure { task_manager: NodeName, cause: String },
    /// A TaskManager gave up its JobManager and cancelled its tasks; `term` is that of the orders that it obeyed over
    /// this connection, if it obeyed any.
    JobManagerLost = "job-manager-lost" by TaskManager, Failure { term: Option<Term>, cause: String },
    /// A heartbeat request went out.
    HeartbeatSent = "heartbeat-sent" by Leader, Periodic { to: NodeName },
    /// A peer stayed silent for the heartbeat timeout.
    HeartbeatMissed = "heartbeat-missed" by Any, Failure { peer: NodeName },

    // Job and tasks.
    /// The job waits for slots.
    WaitingForSlots = "waiting-for-slots" by Leader, Failure { attempt: Attempt, needed: u16, offered: u16 },
    /// Slots are assigned and tasks are being deployed.
    DeploymentBegun = "deployment-begun" by Leader, Always { attempt: Attempt, restored: Option<CheckpointId>, state_bytes: u64 },
    /// A subtask began to load its state; `term` is that of the order to deploy it.
    RestoreBegun = "restore-begun" by TaskManager, Always { term: Term, attempt: Attempt, subtask: SubtaskId, checkpoint: Option<CheckpointId> },
    /// A subtask has its state loaded.
    RestoreEnded = "restore-ended" by TaskManager, Always { attempt: Attempt, subtask: SubtaskId, bytes: u64 },
    /// A subtask runs.
    TaskRunning = "task-running" by TaskManager, Always { attempt: Attempt, subtask: SubtaskId },
    /// Every subtask runs.
    JobRunning = "job-running" by Leader, Always { attempt: Attempt },
    /// A subtask processed the first record of this attempt.
    FirstRecord = "first-record" by TaskManager, Always { attempt: Attempt, subtask: SubtaskId },
    /// A source has emitted, for the first time in its attempt, all that has arrived so far.
    CaughtUp = "caught-up" by TaskManager, Always { attempt: Attempt, subtask: SubtaskId },
    /// A subtask has seen the end of its input on all channels.
    EndOfInput = "end-of-input" by TaskManager, InputEnded { attempt: Attempt, subtask: SubtaskId },
    /// A subtask failed; `in_program`: while the job's own code was called.
    TaskFailed = "task-failed" by TaskManager, Failure { attempt: Attempt, subtask: SubtaskId, in_program: bool, cause: String },
    /// The JobManager begins a failover; `root` is the event behind it, `cause` says it in words.
    FailoverBegun = "failover-begun" by Leader, Failure { attempt: Attempt, root: RootCause, cause: String },
    /// Every task of the failed attempt is gone.
    TasksCanceled = "tasks-canceled" by Leader, Failure { attempt: Attempt },
    /// The restart delay is over and every task of the failed attempt is gone.
    RestartReady = "restart-ready" by Leader, Failure { attempt: Attempt },
    /// The job finished: final checkpoint complete, all commits acknowledged.
    JobFinished = "job-finished" by Leader, End { attempt: Attempt },
    /// The job failed for good.
    JobFailed = "job-failed" by Leader, End { attempt: Attempt, cause: String },

    // Checkpoints.
    /// The coordinator triggered a checkpoint.
    CheckpointTriggered = "checkpoint-triggered" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId, last: bool },
    /// A source injected the barrier into its outputs.
    BarrierInjected = "barrier-injected" by TaskManager, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// A barrier arrived on a channel.
    BarrierReceived = "barrier-received" by TaskManager, Channels { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, from: SubtaskId },
    /// The first barrier of a checkpoint arrived; channels block from here.
    AlignmentOpened = "alignment-opened" by TaskManager, Channels { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The last barrier arrived; the snapshot begins.
    AlignmentClosed = "alignment-closed" by TaskManager, Channels { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The synchronous part of a snapshot began.
    SnapshotSyncBegun = "snapshot-sync-begun" by TaskManager, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The synchronous part of a snapshot ended; processing goes on. `busy` and `back_pressured`: what the subtask did
    /// with the time since its last snapshot, in thousandths; the rest it was idle.
    SnapshotSyncEnded = "snapshot-sync-ended" by TaskManager, Always {
        attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, busy: u16, back_pressured: u16,
    },
    /// One state file is durable in the checkpoint store.
    StateUploaded = "state-uploaded" by TaskManager, StateFiles { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, path: String, bytes: u64 },
    /// The sink's output of the epoch is durable but invisible.
    SinkPreCommitted = "sink-pre-committed" by TaskManager, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, bytes: u64 },
    /// The asynchronous part of a snapshot ended.
    SnapshotAsyncEnded = "snapshot-async-ended" by TaskManager, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, bytes: u64 },
    /// A subtask could not make its snapshot durable, and declines the checkpoint.
    SnapshotDeclined = "snapshot-declined" by TaskManager, Failure { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId, reason: AbortReason },
    /// The coordinator counted a subtask's acknowledgement.
    CheckpointAcknowledged = "checkpoint-acknowledged" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The manifest is durable; the checkpoint is not complete before the leadership log says so.
    ManifestWritten = "manifest-written" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId },
    /// Manifest and log entry are durable: the checkpoint is complete, and only now may sinks commit.
    CheckpointCompleted = "checkpoint-completed" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId, bytes: u64 },
    /// A checkpoint was given up.
    CheckpointAborted = "checkpoint-aborted" by Leader, Failure { attempt: Attempt, checkpoint: CheckpointId, reason: AbortReason },
    /// A checkpoint left the retained set, older or fallen back behind; its files are being deleted.
    CheckpointSubsumed = "checkpoint-subsumed" by Leader, Always { checkpoint: CheckpointId },
    /// A file of a checkpoint is damaged or missing; the checkpoint is not used again.
    CheckpointDamaged = "checkpoint-damaged" by Leader, Damage { checkpoint: CheckpointId, file: String, expected: String, found: String },
    /// Completion was notified to the tasks.
    CompletionNotified = "completion-notified" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId },

    // Sinks.
    /// The commit decision of a transaction is durable, and its output visible.
    SinkCommitted = "sink-committed" by TaskManager, Always { attempt: Attempt, epoch: CheckpointId, subtask: SubtaskId, checkpoint: CheckpointId },
    /// A transaction was aborted on restore; its output will never be visible.
    SinkAborted = "sink-aborted" by Leader, Damage { epoch: CheckpointId, subtask: SubtaskId },
    /// The coordinator counted a sink's commit of a checkpoint.
    CommitAcknowledged = "commit-acknowledged" by Leader, Always { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The job fell back from a damaged checkpoint to an older one.
    FellBack = "fell-back" by Leader, Damage { from: CheckpointId, to: Option<CheckpointId> },
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
    use crate::ids::VertexId;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_documented() {
        let names: BTreeSet<_> = Event::ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), Event::ROWS.len(), "E2");
        assert!(Event::ROWS.iter().all(|row| row.meaning.trim().ends_with('.')));
        assert!(Event::CATALOGUE.iter().map(|(name, _)| *name).eq(Event::ROWS.iter().map(|row| row.name)));
    }

    #[test]
    fn rows_and_events_agree_on_what_is_carried() {
        use Carried::{Always, Never, Sometimes};
        let (attempt, checkpoint) = (Attempt(2), CheckpointId(3));
        let subtask = SubtaskId { vertex: VertexId(1), index: 0 };
        let told = |event: &Event| {
            let row = Event::row(event.name()).unwrap();
            let carried = (row.checkpoint, row.subtask, row.attempt);
            (carried, (event.checkpoint(), event.subtask(), event.attempt()))
        };
        let committed = Event::SinkCommitted { attempt, epoch: CheckpointId(1), subtask, checkpoint };
        assert_eq!(told(&committed), ((Always, Always, Always), (Some(checkpoint), Some(subtask), Some(attempt))));
        let restored = |checkpoint| Event::RestoreBegun { term: Term(1), attempt, subtask, checkpoint };
        let carried = (Sometimes, Always, Always);
        assert_eq!(told(&restored(Some(checkpoint))), (carried, (Some(checkpoint), Some(subtask), Some(attempt))));
        assert_eq!(told(&restored(None)), (carried, (None, Some(subtask), Some(attempt))));
        let begun = Event::DeploymentBegun { attempt, restored: Some(checkpoint), state_bytes: 0 };
        assert_eq!(told(&begun), ((Sometimes, Never, Always), (Some(checkpoint), None, Some(attempt))));
        let fell_back = Event::FellBack { from: checkpoint, to: None };
        assert_eq!(told(&fell_back), ((Never, Never, Never), (None, None, None)));
    }
}
