//! Planted bugs: known mistakes of real engines that can be switched on, to prove that the oracles of a test harness bite.
//!
//! Here are only their names. What each makes of the engine is in the files `planted.rs` of its rooms, which exist only under the
//! feature `mutations`. A test harness switches them on in a simulated world (`SimWorld::plant`).

use std::collections::BTreeSet;
use std::sync::Mutex;

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
    /// The job falls back behind a completed checkpoint without asking whether a sink has committed beyond it.
    FallBackUnfenced,
    /// When the last try at deciding what is committed fails, all counts as given up.
    GiveDecisionsUp,
    /// A subtask that declines a checkpoint counts as one that has handed in its state.
    DeclineIsCollected,
    /// Nobody is told twice that a checkpoint is complete.
    NotifyOnce,
    /// No task is told that a checkpoint was given up.
    AbortUnsaid,
    /// After a checkpoint has expired no other is asked for.
    ExpiredStaysTriggered,
    /// Sinks are told of a checkpoint when its log entry is asked for, not when that is durable.
    NotifyBeforeLogged,
    /// The job ends with its final checkpoint, without waiting for the commits.
    FinishBeforeCommits,
    /// A completed checkpoint does not reset the count of those that failed in a row.
    NeverResetFailures,
    /// That a subtask has reached the end of its input outlives its attempt.
    RememberEndOfInput,
    /// A new leader does not go on with a fallback that the one before did not finish.
    ForgetUndecided,
    /// Whoever loses the leadership cleans up as at the end of the job.
    SuspendedIsTerminal,
    /// The clean-up of a new leader takes ids that are in use for those of former leaders.
    SweepEverything,
    /// With the decisions `commit` that nobody needs a leader removes those that a fallback would ask for, too.
    ForgetNeededCommits,
    /// An entry of the log counts as written although nothing of it can be read.
    BelieveLogWrites,
    /// A leader takes the entry of another for its own.
    IgnoreRivalEntries,
    /// A standby does not notice that the leader renews its lease.
    DeafStandby,
    /// A JobManager that finds the result of the job in the log runs the job again.
    RunEndedAgain,
    /// What the store acknowledged is not read back.
    TrustWrites,
    /// A write that failed counts as one that did nothing.
    TrustWriteErrors,
    /// State is loaded whatever its checksum.
    RestoreUnverified,
    /// A TaskManager cancels what it runs, whichever attempt the order is about.
    CancelAnyAttempt,
    /// A TaskManager that is told twice to deploy an attempt starts its tasks twice.
    DeployTwice,
    /// A subtask gives up what it aligns because of the late abort of a checkpoint before.
    AbortOfAnyCheckpoint,
    /// A commit that failed to the last try counts as done.
    CommitErrorIsDone,
    /// Output that could not be written counts as durable.
    IgnoreUploadErrors,
    /// A sink commits what it restored before all tasks have their state.
    CommitOnRestore,
    /// A sink commits what it was decided to give up.
    CommitAborted,
    /// A sink that restores removes pending output of later attempts, too.
    RemoveLaterLeftovers,
    /// A restored source takes the first record of a split for read where none was.
    ForgetUntouchedSplits,
    /// Subtasks round both ends of their range of key groups down.
    RoundGroupsDown,
    /// A sink fails when it is told of a checkpoint for which nothing is pending.
    AssertPendingTransaction,
    /// Local files of a database are not held against the first look at them.
    TrustLocalFiles,
    /// A source that is asked twice for a checkpoint takes its part of it twice.
    ObeyOldTriggers,
    /// A sink that is told of a completed checkpoint commits the output of later ones, too.
    CommitNewerToo,
    /// A buffer that a subtask takes from its input is lost if a message comes first at that moment.
    DropRacedInput,
    /// A grant of credit wakes nobody who waits for it.
    ForgetWakeup,
}

impl Mutation {
    /// All of them.
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

/// What a simulated world was asked about planted bugs.
///
/// A bug that is not switched on changes nothing, and is asked about all the same where it would. So a run without bugs says which
/// bugs can change it; one that was never asked about goes the same way with that bug, from the first event to the last.
#[derive(Debug, Default)]
pub struct Asked(Mutex<(BTreeSet<Mutation>, bool)>);

impl Asked {
    /// It was asked about `bug`; `reached`: that made its mistake.
    pub fn about(&self, bug: Mutation, reached: bool) {
        let mut asked = self.0.lock().expect("no panic inside");
        asked.0.insert(bug);
        asked.1 |= reached;
    }

    /// The bugs that were asked about.
    pub fn bugs(&self) -> BTreeSet<Mutation> {
        self.0.lock().expect("no panic inside").0.clone()
    }

    /// Whether a bug that is switched on made its mistake: one whose code never runs proves nothing about who should have
    /// caught it.
    pub fn reached(&self) -> bool {
        self.0.lock().expect("no panic inside").1
    }
}
