//! One checkpoint as it was measured: how it ended, what it contains, and what each subtask did for it.
//!
//! Start at [`CheckpointRecord`].

use serde::{Deserialize, Serialize};

/// How a checkpoint ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CheckpointEnd {
    /// Sealed, and durable in the leadership log.
    Completed,
    /// Given up, with the reason in Flink's words.
    Aborted {
        /// Reason of the abort.
        reason: String,
    },
    /// The run ended first.
    Unfinished,
}

/// One checkpoint, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Checkpoint id, from 1; ids grow across attempts.
    pub id: u64,
    /// Attempt of the job that the checkpoint belongs to, from 1.
    pub attempt: u32,
    /// `periodic` or `final`.
    pub kind: String,
    /// When the coordinator decided to trigger it.
    pub triggered_at_ns: u64,
    /// Completion or abortion; `None` if unfinished.
    pub ended_at_ns: Option<u64>,
    /// How it ended.
    pub end: CheckpointEnd,
    /// When the last sink had made visible the output that it covers; `None`: not within the run, or not under its own
    /// id.
    #[serde(default)]
    pub committed_at_ns: Option<u64>,
    /// Bytes of state S that the manifest names, with weights: a byte that stands for several counts as several.
    pub state_bytes: u64,
    /// Those of these bytes that are in files whose contents the completed checkpoint before did not have: what this
    /// engine would have to write if it kept the other files. A heap backend has one file per subtask, so one changed
    /// byte changes the whole file; only for RocksDB is this near the ΔS of the formulas. `None`: not completed, or not
    /// known.
    #[serde(default)]
    pub new_bytes: Option<u64>,
    /// For completed checkpoints: parts along the critical path, which sum to `ended_at_ns - triggered_at_ns`
    /// (RECORD-R1).
    pub parts: Option<CheckpointParts>,
    /// What the target's own statistics say of it; `None`: it has none, or was not completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<ReportedCheckpoint>,
    /// What each subtask did for it.
    pub subtasks: Vec<SubtaskCheckpoint>,
}

impl CheckpointRecord {
    /// Time from trigger to completion, for completed checkpoints.
    pub fn duration_ns(&self) -> Option<u64> {
        match self.end {
            CheckpointEnd::Completed => self.ended_at_ns.and_then(|end| end.checked_sub(self.triggered_at_ns)),
            _ => None,
        }
    }

    /// Work lost to the checkpoint, c: the longest synchronous part of its subtasks, because records wait that long.
    /// This is not the checkpoint's duration, most of which runs in parallel with the work. `None`: not completed.
    pub fn lost_work_ns(&self) -> Option<u64> {
        self.duration_ns()?;
        self.subtasks.iter().filter_map(SubtaskCheckpoint::sync_ns).max()
    }

    /// Time from completion to the last commit, t_c.
    pub fn commit_ns(&self) -> Option<u64> {
        self.committed_at_ns?.checked_sub(self.triggered_at_ns)?.checked_sub(self.duration_ns()?)
    }
}

/// Durations along the critical path, which is through the subtask whose acknowledgement came last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointParts {
    /// From the decision to trigger until that subtask's first barrier arrived (or was injected, at a source).
    pub barrier_ns: u64,
    /// From the first barrier to the last one: alignment.
    pub alignment_ns: u64,
    /// Synchronous part of the snapshot.
    pub sync_ns: u64,
    /// Asynchronous part: upload.
    pub async_ns: u64,
    /// From the end of the snapshot until the coordinator counted the acknowledgement.
    pub ack_ns: u64,
    /// From the last acknowledgement until the checkpoint was complete.
    pub finalise_ns: u64,
}

impl CheckpointParts {
    /// Names and durations in order, for tables.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("barrier", self.barrier_ns),
            ("alignment", self.alignment_ns),
            ("sync", self.sync_ns),
            ("async", self.async_ns),
            ("ack", self.ack_ns),
            ("finalise", self.finalise_ns),
        ]
    }

    /// The sum of all parts (RECORD-R1).
    pub fn total_ns(&self) -> u64 {
        self.named().iter().fold(0, |sum, (_, ns)| sum.saturating_add(*ns))
    }
}

/// Durations of a checkpoint as the target itself reports them, in whatever resolution it has. Of parts, the longest over all subtasks: they
/// overlap, so they do not sum to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCheckpoint {
    /// Trigger to last acknowledgement.
    pub duration_ns: u64,
    /// Trigger to first barrier.
    pub start_delay_ns: Option<u64>,
    /// First barrier to last barrier.
    pub alignment_ns: Option<u64>,
    /// Synchronous part of the snapshot.
    pub sync_ns: Option<u64>,
    /// Asynchronous part of the snapshot.
    pub async_ns: Option<u64>,
}

/// What one subtask did for one checkpoint; times are `None` where it did not get that far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskCheckpoint {
    /// Operator chain and index, e.g. `count#2`.
    pub subtask: String,
    /// When its first barrier arrived or, at a source, was injected.
    pub node: String,
    /// When its first barrier arrived, or was injected at a source.
    pub first_barrier_ns: Option<u64>,
    /// When its last barrier arrived.
    pub aligned_ns: Option<u64>,
    /// When the synchronous part of its snapshot was done.
    pub sync_end_ns: Option<u64>,
    /// When its upload was done.
    pub async_end_ns: Option<u64>,
    /// When the coordinator counted its acknowledgement.
    pub acknowledged_ns: Option<u64>,
    /// Bytes of state in its snapshot.
    pub state_bytes: u64,
    /// Share of the time since its last snapshot that it was busy, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_permille: Option<u16>,
    /// Share of that time in which it waited for space in its output, in thousandths. The rest of a thousand is idle
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_pressured_permille: Option<u16>,
}

impl SubtaskCheckpoint {
    /// The synchronous part of its snapshot.
    pub fn sync_ns(&self) -> Option<u64> {
        self.sync_end_ns?.checked_sub(self.aligned_ns?)
    }

    /// The asynchronous part: upload.
    pub fn async_ns(&self) -> Option<u64> {
        self.async_end_ns?.checked_sub(self.sync_end_ns?)
    }

    /// Bytes per second of its upload, including requests and verification; `None` if nothing was uploaded.
    pub fn throughput(&self) -> Option<u64> {
        throughput(self.state_bytes, self.async_ns()?)
    }
}

/// Bytes per second of a transfer; `None` if there were no bytes, or it took no time.
pub(super) fn throughput(bytes: u64, ns: u64) -> Option<u64> {
    let rate = u128::from(bytes).checked_mul(1_000_000_000)?.checked_div(u128::from(ns))?;
    u64::try_from(rate).ok().filter(|rate| *rate > 0)
}
