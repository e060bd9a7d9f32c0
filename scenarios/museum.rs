//! The museum of planted bugs: known mistakes, each with the scenario that shows it and the check that catches it.
//!
//! A bug exists only in builds with the feature `mutations`. `flowquake museum` runs every row and requires that the
//! named oracle is among those that the run violates, or that the run panics with the named invariant. The same run
//! without the bug must pass.
//!
//! Three invariants have no bug here, because nothing that can happen in a simulated run breaks them. Each has a test
//! that fails when its check is removed:
//! - J5 protects against a process that reports about a subtask which it does not hold. No TaskManager does that here,
//!   and the simulated network forges no messages: `reports_from_where_the_subtask_does_not_run_change_nothing`
//!   (`engine/src/jobmanager/job_master/tests/`).
//! - TR1 limits the number of log lines, which no oracle reads: `only_the_first_error_of_a_trouble_is_told`
//!   (`engine/src/env/trouble.rs`).
//! - LV1 belongs to the launcher of real processes: the tests in `harness/src/engine_command/lives.rs`.

use flowquake_engine::mutation::Mutation;

use Verdict::{CaughtBy, Equivalent};

/// What must follow from a planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The check that must catch it: an oracle's id, the name of an invariant that the engine asserts, an expectation,
    /// or `stuck`.
    CaughtBy(&'static str),
    /// The engine with the bug cannot be distinguished from the engine without it, for this reason.
    Equivalent(&'static str),
    /// The bug does harm that no check notices yet; the text says why.
    Gap(&'static str),
}

/// A planted bug and how it is caught.
#[derive(Debug, Clone, Copy)]
pub struct Exhibit {
    /// The planted bug.
    pub mutation: Mutation,
    /// Name of the scenario that shows it.
    pub scenario: &'static str,
    /// What must follow from the bug in that scenario.
    pub verdict: Verdict,
    /// The kind of mistake, and where such a mistake was made.
    pub like: &'static str,
}

/// Every planted bug.
pub const MUSEUM: &[Exhibit] = &[
    Exhibit {
        mutation: Mutation::CommitOnPreCommit,
        scenario: "killed-between-pre-commit-and-commit",
        verdict: CaughtBy("O5"),
        like: "a sink that treats its own snapshot as the checkpoint",
    },
    Exhibit {
        mutation: Mutation::SkipFencing,
        scenario: "link-cut-with-no-tolerance",
        verdict: CaughtBy("O6"),
        like: "a stale task acknowledges for the attempt that replaced it (RisingWave #16058)",
    },
    Exhibit {
        mutation: Mutation::NoBarrierAlignment,
        scenario: "killed-between-checkpoints",
        verdict: CaughtBy("O1"),
        like: "records of the next epoch in a snapshot (FLINK-17568)",
    },
    Exhibit {
        mutation: Mutation::AbortOnCheckpointFailure,
        scenario: "link-cut-and-healed",
        verdict: CaughtBy("O1"),
        like: "a failed checkpoint takes its output with it",
    },
    Exhibit {
        mutation: Mutation::ForgetCommit,
        scenario: "no-fault",
        verdict: CaughtBy("O1"),
        like: "committables kept for a commit that never comes (FLINK-26403)",
    },
    Exhibit {
        mutation: Mutation::ReplayOneTooMany,
        scenario: "killed-between-checkpoints",
        verdict: CaughtBy("O1"),
        like: "a source rewinds further than its checkpoint says",
    },
    Exhibit {
        mutation: Mutation::ReorderBuffers,
        scenario: "no-fault",
        verdict: CaughtBy("O2"),
        like: "a newer buffer overtakes an older one",
    },
    Exhibit {
        mutation: Mutation::IgnoreBarrierAfterRestore,
        scenario: "killed-between-checkpoints",
        verdict: CaughtBy("stuck"),
        like: "checkpointing on a path where it can be neither taken nor declined (FLINK-40518)",
    },
    Exhibit {
        mutation: Mutation::ForgetPendingTransactions,
        scenario: "no-fault",
        verdict: CaughtBy("O10"),
        like: "committables that a savepoint does not hold (FLINK-26403)",
    },
    Exhibit {
        mutation: Mutation::SubsumeNewest,
        scenario: "no-fault-fs",
        verdict: CaughtBy("O3"),
        like: "the last checkpoint is subsumed (FLINK-21351)",
    },
    Exhibit {
        mutation: Mutation::SkipSweep,
        scenario: "killed-when-manifest-is-written",
        verdict: CaughtBy("O4"),
        like: "state of a discarded checkpoint is leaked (FLINK-32655)",
    },
    Exhibit {
        mutation: Mutation::ReuseCheckpointIds,
        scenario: "killed-at-first-acknowledgement",
        verdict: CaughtBy("O6"),
        like: "a checkpoint id counter that does not survive its leader",
    },
    Exhibit {
        mutation: Mutation::IntervalFromCompletion,
        scenario: "no-fault-fs",
        verdict: CaughtBy("O9"),
        like: "the pause between checkpoints taken for their interval (FLINK-3492)",
    },
    Exhibit {
        mutation: Mutation::DoubleFailover,
        scenario: "killed-between-checkpoints",
        verdict: CaughtBy("O8"),
        like: "two global failures restart and restore twice (FLINK-31041)",
    },
    Exhibit {
        mutation: Mutation::SkipRestartDelay,
        scenario: "killed-between-checkpoints",
        verdict: CaughtBy("O9"),
        like: "a restart strategy whose delay is read and never used",
    },
    Exhibit {
        mutation: Mutation::NeverResetBackoff,
        scenario: "exponential-delay-grows-and-resets",
        verdict: CaughtBy("O9"),
        like: "a backoff that stays at its greatest after one bad night",
    },
    Exhibit {
        mutation: Mutation::CountFailuresForever,
        scenario: "failure-rate-exceeded",
        verdict: CaughtBy("O9"),
        like: "a failure rate whose window never moves, so that a job which lives long enough is given up",
    },
    Exhibit {
        mutation: Mutation::ObeyLowerTerms,
        scenario: "superseded-leader-still-answers",
        verdict: CaughtBy("O6"),
        like: "a worker that takes orders without the leader's session id",
    },
    Exhibit {
        mutation: Mutation::DeclineOfAnyCheckpoint,
        scenario: "declines-come-late",
        verdict: CaughtBy("O8"),
        like: "a late decline message hits the checkpoint of today (FLINK-13593)",
    },
    Exhibit {
        mutation: Mutation::MisreadHeartbeat,
        scenario: "calm-with-short-timeouts",
        verdict: CaughtBy("O8"),
        like: "a reconciliation that takes running tasks for lost ones, and restarts a job that nothing ails",
    },
    Exhibit {
        mutation: Mutation::AnySweepEndsTheJob,
        scenario: "first-sweep-outlasts-the-job",
        verdict: CaughtBy("O4"),
        like: "an answer without the number of its question: that of the clean-up at the start ends the job (found in this engine)",
    },
    Exhibit {
        mutation: Mutation::PausesWithoutBound,
        scenario: "gives-up-after-ten-minutes",
        verdict: CaughtBy("TR2"),
        like: "an exponential back-off without a cap: the store is back for minutes before anybody looks",
    },
    Exhibit {
        mutation: Mutation::NeverGivesUp,
        scenario: "gives-up-after-ten-minutes",
        verdict: CaughtBy("TR3"),
        like: "a retry loop without an end hides what is wrong for good",
    },
    Exhibit {
        mutation: Mutation::RemoveSegmentEnds,
        scenario: "three-leaders-in-a-row",
        verdict: CaughtBy("O6"),
        like: "a clean-up that removes what fences a leader of long ago",
    },
    Exhibit {
        mutation: Mutation::ForgetAborts,
        scenario: "two-files-swapped",
        verdict: CaughtBy("O6"),
        like: "a clean-up of transaction markers that forgets which transactions are given up",
    },
    Exhibit {
        mutation: Mutation::FallBackUnfenced,
        scenario: "damaged-after-commit-fails-loudly",
        verdict: CaughtBy("O1"),
        like: "an unreadable checkpoint is silently skipped on recovery (FLINK-22502)",
    },
    Exhibit {
        mutation: Mutation::GiveDecisionsUp,
        scenario: "decisions-refused-while-falling-back",
        verdict: CaughtBy("O1"),
        like: "a retry loop whose last failure counts as success",
    },
    Exhibit {
        mutation: Mutation::DeclineIsCollected,
        scenario: "declines-come-late",
        verdict: CaughtBy("O6"),
        like: "a worker that failed counts as one that has collected (RisingWave #22384)",
    },
    Exhibit {
        mutation: Mutation::NotifyOnce,
        scenario: "last-notifications-lost",
        verdict: CaughtBy("stuck"),
        like: "what is to be done depends on every notification arriving (FLINK-38347)",
    },
    Exhibit {
        mutation: Mutation::AbortUnsaid,
        scenario: "abort-frees-the-channels",
        verdict: CaughtBy("O9"),
        like: "a wrapper does not forward that a checkpoint was aborted (FLINK-32655)",
    },
    Exhibit {
        mutation: Mutation::ExpiredStaysTriggered,
        scenario: "hanging-snapshot-expires",
        verdict: CaughtBy("stuck"),
        like: "an expired checkpoint leaves the coordinator triggering for ever (FLINK-26394)",
    },
    Exhibit {
        mutation: Mutation::NotifyBeforeLogged,
        scenario: "fallback-while-the-log-refuses",
        verdict: CaughtBy("O5"),
        like: "sinks commit before the pointer to the checkpoint is durable",
    },
    Exhibit {
        mutation: Mutation::FinishBeforeCommits,
        scenario: "last-notifications-lost",
        verdict: CaughtBy("O1"),
        like: "the job stops before its last commits (Arroyo #1124, FLINK-26403)",
    },
    Exhibit {
        mutation: Mutation::NeverResetFailures,
        scenario: "tolerated-failures-between-others",
        verdict: CaughtBy("expect.failovers"),
        like: "failures that do not follow each other are counted as if they did",
    },
    Exhibit {
        mutation: Mutation::RememberEndOfInput,
        scenario: "killed-during-the-final-checkpoint",
        verdict: CaughtBy("O1"),
        like: "a final checkpoint that is not final: the job restarts behind the end of its input (FLINK-37605)",
    },
    Exhibit {
        mutation: Mutation::ForgetUndecided,
        scenario: "killed-when-it-has-fallen-back",
        verdict: CaughtBy("O6"),
        like: "a fallback that its leader did not live to finish is taken for finished",
    },
    Exhibit {
        mutation: Mutation::SuspendedIsTerminal,
        scenario: "gives-up-after-ten-minutes",
        verdict: CaughtBy("O3"),
        like: "a leader that is suspended cleans up as at the end (FLINK-25486)",
    },
    Exhibit {
        mutation: Mutation::SweepEverything,
        scenario: "first-sweep-outlasts-the-job",
        verdict: CaughtBy("O3"),
        like: "a clean-up bounded by the wrong id (RisingWave #16260)",
    },
    Exhibit {
        mutation: Mutation::ForgetNeededCommits,
        scenario: "three-leaders-in-a-row",
        verdict: CaughtBy("O6"),
        like: "transaction markers expire while somebody may still ask for them (KAFKA-9144)",
    },
    Exhibit {
        mutation: Mutation::BelieveLogWrites,
        scenario: "fallback-while-the-log-refuses",
        verdict: CaughtBy("O6"),
        like: "a write whose result is unknown counts as done (KAFKA-9274)",
    },
    Exhibit {
        mutation: Mutation::IgnoreRivalEntries,
        scenario: "rival-at-seal",
        verdict: CaughtBy("O6"),
        like: "a leader that was superseded goes on",
    },
    Exhibit {
        mutation: Mutation::DeafStandby,
        scenario: "leader-clock-stands-back",
        verdict: CaughtBy("O8"),
        like: "a standby acts although somebody leads (FLINK-10255)",
    },
    Exhibit {
        mutation: Mutation::RunEndedAgain,
        scenario: "killed-while-the-end-is-logged",
        verdict: CaughtBy("O6"),
        like: "a job that has ended is run again after a failover (FLINK-21928)",
    },
    Exhibit {
        mutation: Mutation::TrustWrites,
        scenario: "state-file-torn",
        verdict: CaughtBy("O3"),
        like: "a file is named before it is known to be whole (FLINK-27681)",
    },
    Exhibit {
        mutation: Mutation::TrustWriteErrors,
        scenario: "commit-answer-lost",
        verdict: CaughtBy("expect.failovers"),
        like: "an ambiguous answer of the metadata store is taken for a failure (FLINK-22494)",
    },
    Exhibit {
        mutation: Mutation::RestoreUnverified,
        scenario: "newest-checkpoint-flipped",
        verdict: CaughtBy("O2"),
        like: "state without a checksum is restored silently (FLINK-27681)",
    },
    Exhibit {
        mutation: Mutation::CancelAnyAttempt,
        scenario: "late-cancellation",
        verdict: CaughtBy("expect.failovers"),
        like: "a late cancellation hits the attempt of today",
    },
    Exhibit {
        mutation: Mutation::DeployTwice,
        scenario: "deployment-comes-twice",
        verdict: CaughtBy("O1"),
        like: "a duplicated deployment starts the tasks a second time",
    },
    Exhibit {
        mutation: Mutation::AbortOfAnyCheckpoint,
        scenario: "late-abort-beside-the-next",
        verdict: CaughtBy("expect.failovers"),
        like: "a late abort hits the alignment of today",
    },
    Exhibit {
        mutation: Mutation::CommitErrorIsDone,
        scenario: "output-store-refuses-for-long",
        verdict: CaughtBy("O1"),
        like: "the retry of a commit outlives the notification (FLINK-36455)",
    },
    Exhibit {
        mutation: Mutation::IgnoreUploadErrors,
        scenario: "output-store-refuses-a-pre-commit",
        verdict: CaughtBy("expect.job"),
        like: "an asynchronous error of the producer is not checked before the acknowledgement (FLINK-5701, FLINK-31305)",
    },
    Exhibit {
        mutation: Mutation::CommitOnRestore,
        scenario: "newest-checkpoint-flipped",
        verdict: CaughtBy("expect.job"),
        like: "a sink commits what it restored at once",
    },
    Exhibit {
        mutation: Mutation::CommitAborted,
        scenario: "zombie-commits-after-a-fallback",
        verdict: CaughtBy("O1"),
        like: "a zombie goes on with an aborted transaction (KAFKA-6119)",
    },
    Exhibit {
        mutation: Mutation::RemoveLaterLeftovers,
        scenario: "zombie-restores-late",
        verdict: CaughtBy("expect.job"),
        like: "lingering transactions of others are aborted on restore",
    },
    Exhibit {
        mutation: Mutation::ForgetUntouchedSplits,
        scenario: "killed-before-all-splits-have-records",
        verdict: CaughtBy("O1"),
        like: "a split without progress is restored as one that has some (RisingWave #26498)",
    },
    Exhibit {
        mutation: Mutation::RoundGroupsDown,
        scenario: "killed-with-five-subtasks",
        verdict: CaughtBy("stuck"),
        like: "ranges of key groups that parallelism does not divide",
    },
    Exhibit {
        mutation: Mutation::AssertPendingTransaction,
        scenario: "killed-before-all-splits-have-records",
        verdict: CaughtBy("expect.failovers"),
        like: "every notification is taken to have a transaction (FLINK-10377)",
    },
    Exhibit {
        mutation: Mutation::TrustLocalFiles,
        scenario: "local-file-flipped",
        verdict: CaughtBy("O2"),
        like: "a damaged file is judged by its name and goes into every later checkpoint (BookKeeper #2563, FLINK-27681)",
    },
    Exhibit {
        mutation: Mutation::ObeyOldTriggers,
        scenario: "everything-twice",
        verdict: Equivalent(
            "whoever aligns ignores a barrier that is not newer, and the coordinator an acknowledgement that it has: the source's own \
             guard is one of three",
        ),
        like: "an older checkpoint is taken after a newer one (FLINK-17994)",
    },
    Exhibit {
        mutation: Mutation::CommitNewerToo,
        scenario: "delay-messages",
        verdict: CaughtBy("O5"),
        like: "a delayed end of a transaction acts on the next one (KAFKA-17754)",
    },
    Exhibit {
        mutation: Mutation::DropRacedInput,
        scenario: "no-fault",
        verdict: CaughtBy("O1"),
        like: "a future is dropped with what it has taken (RisingWave #23321)",
    },
    Exhibit {
        mutation: Mutation::ForgetWakeup,
        scenario: "slow-link-and-back-pressure",
        verdict: CaughtBy("O7"),
        like: "whoever waits for room is not woken when there is some (Arroyo #1017)",
    },
];
