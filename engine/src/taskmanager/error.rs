//! Why a task fails. Start at [`TaskError`]: it has one variant for each reaction of the JobManager.
//!
//! On the wire an error becomes a [`TaskFailure`] with the error's text; the JobManager reacts to the variant alone.

use std::any::Any;

use crate::checkpoint::manifest::Damaged;
use crate::connectors::file_sink::CommitError;
use crate::env::StoreError;
use crate::exchange::DataError;
use crate::graph::JobError;
use crate::graph::chain::ChainError;
use crate::ids::{CheckpointId, NodeName, SubtaskId};
use crate::state::StateError;
use crate::wire::TaskFailure;

/// Why a task fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TaskError {
    /// The job's own code failed: restart from the last checkpoint, and report that the program was the cause.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Something that the task needs failed: restart from the last checkpoint.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The checkpoint to restore is damaged: restart from an older one.
    #[error("checkpoint {checkpoint}: {} is damaged", file.path)]
    CheckpointDamaged {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The file that differs from what the manifest says.
        file: Damaged,
    },
    /// Output that a checkpoint promised is gone, or another object stands in its place. A restart cannot help,
    /// because every attempt would find the same, so the job ends.
    #[error(transparent)]
    OutputLost(CommitError),
}

/// The job's own code, or something that it called, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProgramError {
    /// The graph could not be built.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A chain returned an error.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Values could not be encoded into a snapshot.
    #[error(transparent)]
    State(#[from] StateError),
    /// The code panicked.
    #[error("user code panicked: {0}")]
    Panicked(String),
}

impl ProgramError {
    /// The error for a panic with this payload.
    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("with a value that is no text");
        Self::Panicked(text.to_owned())
    }
}

/// Something that a task needs besides the program failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EngineError {
    /// A store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyed state could not be opened, or its local files have changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// State is damaged, and the order to deploy names no checkpoint that it belongs to.
    #[error(transparent)]
    StateOfNoCheckpoint(Damaged),
    /// Output could not be made durable. This attempt has no other copy of the records.
    #[error("output of subtask {subtask} is not durable: {error}")]
    Output {
        /// The subtask whose output it is.
        subtask: SubtaskId,
        /// The answer of the store.
        error: StoreError,
    },
    /// A transaction could not be committed, or this attempt may not commit it.
    #[error(transparent)]
    Commit(CommitError),
    /// The connection that records arrive over ended, or carried something that is not a record.
    #[error("data connection to {producer}: {error}")]
    Input {
        /// The TaskManager at the other end.
        producer: NodeName,
        /// Why the connection ended.
        error: DataError,
    },
}

impl TaskError {
    /// Whether the job's own code is to blame.
    pub(super) fn in_program(&self) -> bool {
        matches!(self, Self::Program(_))
    }
}

impl From<CommitError> for TaskError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Lost { .. } | CommitError::Conflict { .. } => Self::OutputLost(error),
            CommitError::Store(_) | CommitError::Aborted { .. } => Self::Engine(EngineError::Commit(error)),
        }
    }
}

impl From<TaskError> for TaskFailure {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Program(_) | TaskError::Engine(_) => Self::Failed(error.to_string()),
            TaskError::CheckpointDamaged { checkpoint, file } => Self::Damaged(checkpoint, file.into()),
            TaskError::OutputLost(_) => Self::Fatal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VertexId;

    #[test]
    fn each_error_becomes_the_failure_that_the_job_manager_acts_upon() {
        let subtask = SubtaskId { vertex: VertexId(1), index: 0 };
        let store = StoreError::Failed { path: "x".into(), cause: "no space left".into() };
        let (chunk, epoch) = ("c".to_owned(), CheckpointId(3));
        let lost = CommitError::Lost { chunk, epoch, subtask, records: 2 };
        let aborted = CommitError::Aborted { epoch, subtask };
        let file = Damaged { path: "chk-3/x".into(), expected: "5 bytes".into(), found: "4 bytes".into() };
        let told = |error: TaskError| (error.in_program(), error.to_string(), TaskFailure::from(error));
        let failed = |words: &str| TaskFailure::Failed(words.into());

        let panic = "user code panicked: with a value that is no text";
        assert_eq!(told(ProgramError::panicked(&7).into()), (true, panic.into(), failed(panic)));
        let output = "output of subtask 1#0 is not durable: x: no space left";
        assert_eq!(told(EngineError::Output { subtask, error: store }.into()), (false, output.into(), failed(output)));
        let restart = "transaction 3 of subtask 1#0 was aborted: the job fell back to an older checkpoint";
        assert_eq!(told(aborted.into()), (false, restart.into(), failed(restart)));
        let end = "pending output c of transaction 3 is gone; 2 records of subtask 1#0 are lost";
        assert_eq!(told(lost.into()), (false, end.into(), TaskFailure::Fatal(end.into())));
        let damaged = TaskError::CheckpointDamaged { checkpoint: epoch, file: file.clone() };
        let older = TaskFailure::Damaged(epoch, file.into());
        assert_eq!(told(damaged), (false, "checkpoint 3: chk-3/x is damaged".into(), older));
    }
}
