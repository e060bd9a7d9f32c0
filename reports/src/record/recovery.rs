//! One recovery as it was measured: why, from what, and how long each part of it took.
//!
//! Start at [`RecoveryRecord`].

use serde::{Deserialize, Serialize};

use super::checkpoint::throughput;

/// One failover, or one takeover by a JobManager, from the fault (or the failure seen) to being caught up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// Attempt that was started by this recovery.
    pub attempt: u32,
    /// Root cause as the JobManager stated it; of a takeover, who took over.
    pub cause: String,
    /// The fault of the plan behind it ([`FaultRecord::id`](super::FaultRecord::id)), where one is.
    pub fault: Option<u32>,
    /// The strike of that fault, else the moment the failure was detected, or a leader gave up by itself.
    pub failed_at_ns: u64,
    /// Checkpoint restored; `None`: started empty.
    pub restored_checkpoint: Option<u64>,
    /// Age `A` of the restored snapshot: its trigger to the failure.
    pub snapshot_age_ns: u64,
    /// Duration of the restored checkpoint, for the article's formula.
    pub restored_checkpoint_duration_ns: Option<u64>,
    /// Bytes of state loaded.
    pub restored_bytes: u64,
    /// Parts of the outage `D`; they sum to `first_record_at - failed_at` (R1). `None`: no record was seen again.
    pub parts: Option<RecoveryParts>,
    /// When the sources had again emitted all that had arrived; `None`: not within the run.
    pub caught_up_at_ns: Option<u64>,
}

impl RecoveryRecord {
    /// Outage `D`: failure to first record processed again.
    pub fn outage_ns(&self) -> Option<u64> {
        self.parts.map(|p| p.total_ns())
    }

    /// Recovery `R`: failure until the sources had caught up.
    pub fn total_ns(&self) -> Option<u64> {
        self.caught_up_at_ns?.checked_sub(self.failed_at_ns)
    }

    /// Catching up alone, `R − D`.
    pub fn catch_up_ns(&self) -> Option<u64> {
        self.total_ns()?.checked_sub(self.outage_ns()?)
    }

    /// Bytes per second at which state was loaded, all subtasks together; `None` where there was none.
    pub fn load_throughput(&self) -> Option<u64> {
        throughput(self.restored_bytes, self.parts?.restore_ns)
    }
}

/// Durations of an outage, in order; each begins where the one before ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryParts {
    /// Failure until the JobManager knew; of a takeover, until the new term was opened.
    pub detect_ns: u64,
    /// Until cancellation was done and the restart delay was over (they run side by side). None of a takeover.
    pub backoff_or_cancel_ns: u64,
    /// Until enough slots were there; of a takeover, with the time in which TaskManagers find the new leader.
    pub slots_ns: u64,
    /// Until the first subtask began to restore.
    pub deploy_ns: u64,
    /// Until the last subtask had its state loaded.
    pub restore_ns: u64,
    /// Until the first record was processed.
    pub init_ns: u64,
}

impl RecoveryParts {
    /// Names and durations in order, for tables.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("detect", self.detect_ns),
            ("max(backoff, cancel)", self.backoff_or_cancel_ns),
            ("slots", self.slots_ns),
            ("deploy", self.deploy_ns),
            ("restore", self.restore_ns),
            ("init", self.init_ns),
        ]
    }

    /// The whole (R1).
    pub fn total_ns(&self) -> u64 {
        self.named().iter().fold(0, |sum, (_, ns)| sum.saturating_add(*ns))
    }
}
