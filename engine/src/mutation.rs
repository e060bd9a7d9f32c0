//! Planted bugs: known mistakes of real engines that can be switched on, to prove that the oracles of a test harness bite.
//!
//! Here are only their names. What each makes of the engine is in the files `planted.rs` of its rooms, which exist only under the
//! feature `mutations`. A test harness switches them on in a simulated world (`SimWorld::plant`).

use serde::{Deserialize, Serialize};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// Sinks commit when they pre-commit, before the checkpoint is complete.
    CommitOnPreCommit,
    /// Neither side asks for the attempt of a message, and tasks of an old attempt live on.
    SkipFencing,
    /// A subtask snapshots at the first barrier and does not block channels.
    NoBarrierAlignment,
    /// A sink throws away the transaction of a checkpoint that was given up.
    AbortOnCheckpointFailure,
    /// A sink that was told of a completed checkpoint says that it committed, and forgets to.
    ForgetCommit,
    /// Sources of a restored job begin one record early.
    ReplayOneTooMany,
    /// A subtask processes a buffer after the one that came behind it.
    ReorderBuffers,
    /// A subtask that was restored never answers a barrier.
    IgnoreBarrierAfterRestore,
    /// A snapshot does not name the sink's transactions that are not committed yet.
    ForgetPendingTransactions,
    /// When a checkpoint completes, the files of the newest one are deleted instead of those of the oldest retained one.
    SubsumeNewest,
    /// The leader says that it swept the checkpoint store, and deletes nothing.
    SkipSweep,
    /// A new leader numbers its checkpoints from the newest completed one instead of from the highest reserved id.
    ReuseCheckpointIds,
    /// The interval between two checkpoints is counted from the completion of the first, not from its trigger.
    IntervalFromCompletion,
    /// What failed one attempt fails the next one once more, as soon as that runs.
    DoubleFailover,
    /// The next attempt begins as soon as the tasks of the failed one are gone, without the restart delay.
    SkipRestartDelay,
    /// The backoff of `exponential-delay` only grows, however long the job ran.
    NeverResetBackoff,
    /// `failure-rate` counts the failures of all time instead of those within its interval.
    CountFailuresForever,
    /// A TaskManager obeys whoever answers, also a JobManager of a lower term than it has seen.
    ObeyLowerTerms,
    /// A checkpoint is given up because of the late decline of one before.
    DeclineOfAnyCheckpoint,
    /// The leader takes one heartbeat that names all tasks of its TaskManager for one that names none.
    MisreadHeartbeat,
    /// The answer to any sweep is taken for that to the sweep before the end.
    AnySweepEndsTheJob,
    /// The pauses between two tries at something that fails grow without a bound.
    PausesWithoutBound,
    /// What fails is tried again for ever.
    NeverGivesUp,
    /// A leader removes everything of the segments of the log that are over, their ends, too.
    RemoveSegmentEnds,
    /// With the decisions `commit` that nobody needs a leader removes every `abort`, too.
    ForgetAborts,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 25] = [
        Mutation::CommitOnPreCommit,
        Mutation::SkipFencing,
        Mutation::NoBarrierAlignment,
        Mutation::AbortOnCheckpointFailure,
        Mutation::ForgetCommit,
        Mutation::ReplayOneTooMany,
        Mutation::ReorderBuffers,
        Mutation::IgnoreBarrierAfterRestore,
        Mutation::ForgetPendingTransactions,
        Mutation::SubsumeNewest,
        Mutation::SkipSweep,
        Mutation::ReuseCheckpointIds,
        Mutation::IntervalFromCompletion,
        Mutation::DoubleFailover,
        Mutation::SkipRestartDelay,
        Mutation::NeverResetBackoff,
        Mutation::CountFailuresForever,
        Mutation::ObeyLowerTerms,
        Mutation::DeclineOfAnyCheckpoint,
        Mutation::MisreadHeartbeat,
        Mutation::AnySweepEndsTheJob,
        Mutation::PausesWithoutBound,
        Mutation::NeverGivesUp,
        Mutation::RemoveSegmentEnds,
        Mutation::ForgetAborts,
    ];
}
