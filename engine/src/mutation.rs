//! Planted bugs: known mistakes of real engines that can be switched on, to prove that the oracles of a test harness
//! catch them.
//!
//! This file holds only the names. What each bug changes in the engine is in the files `planted.rs` of the rooms,
//! which are compiled only under the feature `mutations`. A test harness switches bugs on in a simulated world
//! (`SimWorld::plant`).

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// Sinks commit when they pre-commit, before the checkpoint is complete.
    CommitOnPreCommit,
    /// No attempt number is checked on a message, and tasks of an old attempt live on.
    SkipFencing,
    /// A subtask snapshots at the first barrier and does not block channels.
    NoBarrierAlignment,
    /// A sink throws away the transaction of a checkpoint that was given up.
    AbortOnCheckpointFailure,
    /// A sink that was told of a completed checkpoint says that it committed, and forgets to.
    ForgetCommit,
    /// Sources of a restored job begin one record early.
    ReplayOneTooMany,
    /// A subtask processes a buffer after the buffer that came behind it.
    ReorderBuffers,
    /// A subtask that was restored never answers a barrier.
    IgnoreBarrierAfterRestore,
    /// A snapshot leaves out the sink's transactions that are not committed yet.
    ForgetPendingTransactions,
    /// When a checkpoint completes, the files of the newest one are deleted instead of those of the oldest retained
    /// one.
    SubsumeNewest,
    /// The leader says that it swept the checkpoint store, and deletes nothing.
    SkipSweep,
    /// A new leader numbers its checkpoints from the newest completed one instead of from the highest reserved id.
    ReuseCheckpointIds,
    /// The interval between two checkpoints is counted from the completion of the first, not from its trigger.
    IntervalFromCompletion,
    /// Whatever failed one attempt fails the next attempt once more, as soon as that attempt runs.
    DoubleFailover,
    /// The next attempt begins as soon as the tasks of the failed one are gone, without the restart delay.
    SkipRestartDelay,
    /// The backoff of `exponential-delay` only grows, however long the job has run.
    NeverResetBackoff,
    /// `failure-rate` counts the failures of all time instead of those within its interval.
    CountFailuresForever,
    /// A TaskManager obeys every JobManager that answers, even one of a lower term than the TaskManager has seen.
    ObeyLowerTerms,
    /// The late decline of an earlier checkpoint aborts the current one.
    DeclineOfAnyCheckpoint,
    /// The leader reads one heartbeat that names all tasks of its TaskManager as if it named none.
    MisreadHeartbeat,
    /// The answer to any sweep is taken for the answer to the sweep before the end of the job.
    AnySweepEndsTheJob,
    /// The pauses between two tries at something that fails grow without a bound.
    PausesWithoutBound,
    /// A failing call is tried again for ever.
    NeverGivesUp,
    /// A leader removes all entries of the log segments that are over, including the first and the last.
    RemoveSegmentEnds,
    /// When a leader removes `commit` decisions that are no longer needed, it also removes every `abort`.
    ForgetAborts,
    /// The job falls back behind a completed checkpoint without asking whether a sink has committed beyond it.
    FallBackUnfenced,
    /// When the last try at deciding what is committed fails, the leader treats all output as aborted.
    GiveDecisionsUp,
    /// A subtask that declines a checkpoint counts as one that has acknowledged it.
    DeclineIsCollected,
    /// No TaskManager is told twice that a checkpoint is complete.
    NotifyOnce,
    /// No task is told that a checkpoint was given up.
    AbortUnsaid,
    /// After a checkpoint has expired in an attempt, no further checkpoint is triggered.
    ExpiredStaysTriggered,
    /// Sinks are told of a checkpoint when its log entry is requested, not when the entry is durable.
    NotifyBeforeLogged,
    /// The job ends with its final checkpoint, without waiting for the commits.
    FinishBeforeCommits,
    /// A completed checkpoint does not reset the count of those that failed in a row.
    NeverResetFailures,
    /// The information that a subtask reached the end of its input survives the attempt.
    RememberEndOfInput,
    /// A new leader does not continue a fallback that the leader before did not finish.
    ForgetUndecided,
    /// A JobManager that loses the leadership cleans up as at the end of the job.
    SuspendedIsTerminal,
    /// The clean-up of a new leader treats ids that are in use as ids of former leaders.
    SweepEverything,
    /// When a leader removes `commit` decisions that are no longer needed, it also removes those that a fallback would
    /// ask for.
    ForgetNeededCommits,
    /// An entry of the log counts as written although nothing of it can be read.
    BelieveLogWrites,
    /// A leader takes another leader's log entry for its own.
    IgnoreRivalEntries,
    /// A standby does not notice that the leader renews its lease.
    DeafStandby,
    /// A JobManager that finds the result of the job in the log runs the job again.
    RunEndedAgain,
    /// Writes that the store acknowledged are not read back.
    TrustWrites,
    /// A write that failed counts as a write without effect.
    TrustWriteErrors,
    /// State is loaded whatever its checksum.
    RestoreUnverified,
    /// A TaskManager cancels its tasks whatever attempt the order names.
    CancelAnyAttempt,
    /// A TaskManager that is told twice to deploy an attempt starts its tasks twice.
    DeployTwice,
    /// The late abort of an earlier checkpoint makes a subtask give up its current alignment.
    AbortOfAnyCheckpoint,
    /// A commit whose last try failed counts as done.
    CommitErrorIsDone,
    /// Output that could not be written counts as durable.
    IgnoreUploadErrors,
    /// A sink commits what it restored before all tasks have their state.
    CommitOnRestore,
    /// A sink commits a transaction that was decided as aborted.
    CommitAborted,
    /// A sink that restores removes pending output of later attempts, too.
    RemoveLaterLeftovers,
    /// A restored source that has read nothing of a split treats the split's first record as read.
    ForgetUntouchedSplits,
    /// Subtasks round both ends of their range of key groups down.
    RoundGroupsDown,
    /// A sink fails when it is told of a checkpoint for which nothing is pending.
    AssertPendingTransaction,
    /// Local database files are not compared with what was recorded when they were first seen.
    TrustLocalFiles,
    /// A source that is asked twice for a checkpoint takes its snapshot twice.
    ObeyOldTriggers,
    /// A sink that is told of a completed checkpoint commits the output of later ones, too.
    CommitNewerToo,
    /// A buffer that a subtask takes from its input is lost if a message arrives at that moment.
    DropRacedInput,
    /// A grant of credit does not wake the tasks that wait for credit.
    ForgetWakeup,
}

impl Mutation {
    /// All planted bugs.
    pub const ALL: [Mutation; 62] = [
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
        Mutation::FallBackUnfenced,
        Mutation::GiveDecisionsUp,
        Mutation::DeclineIsCollected,
        Mutation::NotifyOnce,
        Mutation::AbortUnsaid,
        Mutation::ExpiredStaysTriggered,
        Mutation::NotifyBeforeLogged,
        Mutation::FinishBeforeCommits,
        Mutation::NeverResetFailures,
        Mutation::RememberEndOfInput,
        Mutation::ForgetUndecided,
        Mutation::SuspendedIsTerminal,
        Mutation::SweepEverything,
        Mutation::ForgetNeededCommits,
        Mutation::BelieveLogWrites,
        Mutation::IgnoreRivalEntries,
        Mutation::DeafStandby,
        Mutation::RunEndedAgain,
        Mutation::TrustWrites,
        Mutation::TrustWriteErrors,
        Mutation::RestoreUnverified,
        Mutation::CancelAnyAttempt,
        Mutation::DeployTwice,
        Mutation::AbortOfAnyCheckpoint,
        Mutation::CommitErrorIsDone,
        Mutation::IgnoreUploadErrors,
        Mutation::CommitOnRestore,
        Mutation::CommitAborted,
        Mutation::RemoveLaterLeftovers,
        Mutation::ForgetUntouchedSplits,
        Mutation::RoundGroupsDown,
        Mutation::AssertPendingTransaction,
        Mutation::TrustLocalFiles,
        Mutation::ObeyOldTriggers,
        Mutation::CommitNewerToo,
        Mutation::DropRacedInput,
        Mutation::ForgetWakeup,
    ];
}

/// Which planted bugs a run of a simulated world consulted.
///
/// The engine consults a bug at every place where the bug would act, even if it is not switched on; then nothing
/// changes. So a run without bugs shows which bugs could have changed it: with a bug that it never consulted, the run
/// is the same from its first event to its last.
#[derive(Debug, Default)]
pub struct Asked(Mutex<(BTreeSet<Mutation>, bool)>);

impl Asked {
    /// The engine consulted `bug`; `reached`: the bug was switched on and acted.
    pub fn about(&self, bug: Mutation, reached: bool) {
        let mut asked = self.0.lock().expect("no panic inside");
        asked.0.insert(bug);
        asked.1 |= reached;
    }

    /// The bugs that the engine consulted.
    pub fn bugs(&self) -> BTreeSet<Mutation> {
        self.0.lock().expect("no panic inside").0.clone()
    }

    /// Whether a bug that is switched on acted. A run in which its code never ran proves nothing about the oracle that
    /// should have caught it.
    pub fn reached(&self) -> bool {
        self.0.lock().expect("no panic inside").1
    }
}
