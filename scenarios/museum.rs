//! The museum of planted bugs: known mistakes, the scenario that brings each to light, and who catches it.
//!
//! A bug exists only in builds with the feature `mutations`. A test runs every row and asks for this oracle among those that
//! the run violates, or for this invariant in the words of the panic in which it is asserted.
//!
//! Three invariants have no bug here, since nothing that a simulated run may do can break them. Each has a test that fails when
//! its check is removed:
//! - J5 protects from a process that reports about a subtask which it does not hold. No TaskManager here does, and the network
//!   here forges nothing: `reports_from_where_the_subtask_does_not_run_change_nothing` (`engine/src/jobmanager/job_master/tests/`).
//! - TR1 bounds log lines, which no oracle reads: `only_the_first_error_of_a_trouble_is_told` (`engine/src/env/trouble.rs`).
//! - LV1 belongs to the launcher of real processes: the tests in `harness/src/engine_command/lives.rs`.

use flowquake_engine::mutation::Mutation;

/// A planted bug and how it is caught.
#[derive(Debug, Clone, Copy)]
pub struct Exhibit {
    /// The mistake.
    pub mutation: Mutation,
    /// Where it shows, by name.
    pub scenario: &'static str,
    /// Who must catch it: an oracle's id, the name of an invariant that the engine asserts, or `stuck`.
    pub caught_by: &'static str,
    /// The kind of mistake, and where such a one was made.
    pub like: &'static str,
}

/// Every planted bug.
pub const MUSEUM: &[Exhibit] = &[
    Exhibit {
        mutation: Mutation::CommitOnPreCommit,
        scenario: "killed-between-pre-commit-and-commit",
        caught_by: "O5",
        like: "a sink that treats its own snapshot as the checkpoint",
    },
    Exhibit {
        mutation: Mutation::SkipFencing,
        scenario: "link-cut-with-no-tolerance",
        caught_by: "O6",
        like: "a stale task acknowledges for the attempt that replaced it (RisingWave #16058)",
    },
    Exhibit {
        mutation: Mutation::NoBarrierAlignment,
        scenario: "killed-between-checkpoints",
        caught_by: "O1",
        like: "records of the next epoch in a snapshot (FLINK-17568)",
    },
    Exhibit {
        mutation: Mutation::AbortOnCheckpointFailure,
        scenario: "link-cut-and-healed",
        caught_by: "O1",
        like: "a failed checkpoint takes its output with it",
    },
    Exhibit {
        mutation: Mutation::ForgetCommit,
        scenario: "no-fault",
        caught_by: "O1",
        like: "committables kept for a commit that never comes (FLINK-26403)",
    },
    Exhibit {
        mutation: Mutation::ReplayOneTooMany,
        scenario: "killed-between-checkpoints",
        caught_by: "O1",
        like: "a source rewinds further than its checkpoint says",
    },
    Exhibit {
        mutation: Mutation::ReorderBuffers,
        scenario: "no-fault",
        caught_by: "O2",
        like: "a newer buffer overtakes an older one",
    },
    Exhibit {
        mutation: Mutation::IgnoreBarrierAfterRestore,
        scenario: "killed-between-checkpoints",
        caught_by: "stuck",
        like: "checkpointing on a path where it can be neither taken nor declined (FLINK-40518)",
    },
    Exhibit {
        mutation: Mutation::ForgetPendingTransactions,
        scenario: "no-fault",
        caught_by: "O10",
        like: "committables that a savepoint does not hold (FLINK-26403)",
    },
    Exhibit {
        mutation: Mutation::SubsumeNewest,
        scenario: "no-fault-fs",
        caught_by: "O3",
        like: "the last checkpoint is subsumed (FLINK-21351)",
    },
    Exhibit {
        mutation: Mutation::SkipSweep,
        scenario: "killed-when-manifest-is-written",
        caught_by: "O4",
        like: "state of a discarded checkpoint is leaked (FLINK-32655)",
    },
    Exhibit {
        mutation: Mutation::ReuseCheckpointIds,
        scenario: "killed-at-first-acknowledgement",
        caught_by: "O6",
        like: "a checkpoint id counter that does not survive its leader",
    },
    Exhibit {
        mutation: Mutation::IntervalFromCompletion,
        scenario: "no-fault-fs",
        caught_by: "O9",
        like: "the pause between checkpoints taken for their interval (FLINK-3492)",
    },
    Exhibit {
        mutation: Mutation::DoubleFailover,
        scenario: "killed-between-checkpoints",
        caught_by: "O8",
        like: "two global failures restart and restore twice (FLINK-31041)",
    },
    Exhibit {
        mutation: Mutation::SkipRestartDelay,
        scenario: "killed-between-checkpoints",
        caught_by: "O9",
        like: "a restart strategy whose delay is read and never used",
    },
    Exhibit {
        mutation: Mutation::ObeyLowerTerms,
        scenario: "superseded-leader-still-answers",
        caught_by: "O6",
        like: "a worker that takes orders without the leader's session id",
    },
    Exhibit {
        mutation: Mutation::DeclineOfAnyCheckpoint,
        scenario: "declines-come-late",
        caught_by: "O8",
        like: "a late decline message hits the checkpoint of today (FLINK-13593)",
    },
    Exhibit {
        mutation: Mutation::MisreadHeartbeat,
        scenario: "calm-with-short-timeouts",
        caught_by: "O8",
        like: "a reconciliation that takes running tasks for lost ones, and restarts a job that nothing ails",
    },
    Exhibit {
        mutation: Mutation::AnySweepEndsTheJob,
        scenario: "first-sweep-outlasts-the-job",
        caught_by: "O4",
        like: "an answer without the number of its question: that of the clean-up at the start ends the job (found in this engine)",
    },
    Exhibit {
        mutation: Mutation::PausesWithoutBound,
        scenario: "gives-up-after-ten-minutes",
        caught_by: "TR2",
        like: "an exponential back-off without a cap: the store is back for minutes before anybody looks",
    },
    Exhibit {
        mutation: Mutation::NeverGivesUp,
        scenario: "gives-up-after-ten-minutes",
        caught_by: "TR3",
        like: "a retry loop without an end hides what is wrong for good",
    },
    Exhibit {
        mutation: Mutation::RemoveSegmentEnds,
        scenario: "three-leaders-in-a-row",
        caught_by: "O6",
        like: "a clean-up that removes what fences a leader of long ago",
    },
    Exhibit {
        mutation: Mutation::ForgetAborts,
        scenario: "two-files-swapped",
        caught_by: "O6",
        like: "a clean-up of transaction markers that forgets which transactions are given up",
    },
];
