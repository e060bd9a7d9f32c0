//! One recovery of the job as it was measured: from the fault until lasting progress, and until the job had caught up.
//!
//! Start at [`RecoveryRecord`]. An outage is what a user sees. It ends with *lasting progress*: every source and keyed
//! vertex processes records again, in an attempt that afterwards completes a checkpoint or finishes the job. Earlier
//! failovers and takeovers without lasting progress are part of that outage, and not outages of their own. If no
//! recovery was begun, because the job stood still and went on by itself, the standstill is the outage. ADR 0022 has
//! the reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::checkpoint::throughput;
use crate::units;

/// One outage with the recovery that ended it: from the fault (or the detection of the failure) until the job has
/// caught up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// How the job came back or, if it did not, how that was last tried.
    pub kind: RecoveryKind,
    /// The attempt with which the job came back; for a stall, the attempt that stood still; without an end, the last
    /// one tried.
    pub attempt: u32,
    /// Root cause as the JobManager stated it; for a takeover, who took over; for a stall, what was missing.
    pub cause: String,
    /// The fault of the plan that the outage began with ([`FaultRecord::id`](super::FaultRecord::id)), if it is known.
    pub fault: Option<u32>,
    /// Other faults that caused recoveries in the same outage, ascending.
    pub other_faults: Vec<u32>,
    /// When the outage began: at the strike of that fault, or at the last lasting progress made under the fault. If no
    /// fault is known: when the failure was detected, or when a leader gave up by itself.
    pub failed_at_ns: u64,
    /// Earlier recoveries in this outage that did not lead to lasting progress, in order.
    pub superseded: Vec<SupersededRecovery>,
    /// Checkpoint that was restored; `None`: the job started empty, or a stall, which restores nothing.
    pub restored_checkpoint: Option<u64>,
    /// Age `A` of the restored snapshot: from its trigger to the begin of the outage.
    pub snapshot_age_ns: u64,
    /// Duration of the restored checkpoint, for the article's formula.
    pub restored_checkpoint_duration_ns: Option<u64>,
    /// Bytes of state loaded.
    pub restored_bytes: u64,
    /// Parts of the outage `D`, which sum to the time from its begin to lasting progress (RECORD-R1). `None`: the
    /// outage had no end.
    pub parts: Option<RecoveryParts>,
    /// When the checkpoint completed, or the job finished, that shows that the progress was lasting; `None`: the outage
    /// had no end.
    pub confirmed_at_ns: Option<u64>,
    /// For an outage without an end: how long it had lasted when the run ended.
    pub unended_ns: Option<u64>,
    /// When the sources of this attempt had emitted again everything that had arrived; `None`: not within the attempt.
    pub caught_up_at_ns: Option<u64>,
}

/// How an outage was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryKind {
    /// The leader restarted the job.
    Failover,
    /// Another JobManager, or the former leader in a new term, went on with the job.
    Takeover,
    /// Not at all: no checkpoint completed for longer than the interval explains, until the attempt went on by itself
    /// or the run ended.
    Stall,
}

/// A recovery that was begun, but whose attempt ended before its progress was lasting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededRecovery {
    /// The attempt that it began, or would have begun.
    pub attempt: u32,
    /// Root cause as the JobManager stated it; for a takeover, who took over.
    pub cause: String,
    /// The fault that caused it.
    pub fault: Option<u32>,
    /// When that fault struck or, if no fault is known, when the failure was detected.
    pub failed_at_ns: u64,
}

impl RecoveryRecord {
    /// Outage `D`: from the fault until lasting progress; `None`: it had no end within the run.
    pub fn outage_ns(&self) -> Option<u64> {
        self.parts.map(|p| p.total_ns())
    }

    /// The outage, with or without an end.
    pub fn outage(&self) -> Lapse {
        self.outage_ns().map_or(Lapse::Over(self.unended_ns.unwrap_or(0)), Lapse::Ns)
    }

    /// Recovery `R`: from the fault until the sources of the same attempt had caught up.
    pub fn total_ns(&self) -> Option<u64> {
        self.caught_up_at_ns?.checked_sub(self.failed_at_ns)
    }

    /// The time to catch up alone, `R − D`.
    pub fn catch_up_ns(&self) -> Option<u64> {
        self.total_ns()?.checked_sub(self.outage_ns()?)
    }

    /// Bytes per second at which state was loaded, over all subtasks; `None` if there was none.
    pub fn load_throughput(&self) -> Option<u64> {
        throughput(self.restored_bytes, self.parts?.restore_ns)
    }

    /// Whether it is a stall, for which no recovery was begun.
    pub fn is_stall(&self) -> bool {
        self.kind == RecoveryKind::Stall
    }

    /// Whether the formulas for one recovery apply: one failure, one attempt to come back, and an end.
    pub fn is_plain(&self) -> bool {
        !self.is_stall() && self.superseded.is_empty() && self.parts.is_some_and(|parts| parts.stalled_ns == 0)
    }

    /// When the failures struck, or were detected, that the recoveries in this outage respond to.
    pub fn failures_ns(&self) -> Vec<u64> {
        let superseded = self.superseded.iter().map(|one| one.failed_at_ns);
        let before = self.parts.map_or(0, |parts| parts.stalled_ns.saturating_add(parts.superseded_ns));
        let last = (!self.is_stall()).then(|| self.failed_at_ns.saturating_add(before));
        superseded.chain(last).collect()
    }

    /// Number of failovers and takeovers in the outage.
    pub fn tried(&self) -> usize {
        self.superseded.len() + usize::from(!self.is_stall())
    }
}

/// The longest outage; an outage without an end counts as longer than any other. `None`: there was none.
pub fn worst_outage(recoveries: &[RecoveryRecord]) -> Option<Lapse> {
    recoveries.iter().map(RecoveryRecord::outage).max()
}

/// Time from the failure until caught up, for the recovery at `index` of a run that ended at `end_ns`.
///
/// If the next outage began before the backlog was worked off, the output stays late until that outage, too, is made up
/// for. A stall restores nothing and repeats nothing: the checkpoint that ends it makes up for what it held up.
pub fn recovered_after(recoveries: &[RecoveryRecord], index: usize, end_ns: u64) -> Lapse {
    let begun = recoveries[index].failed_at_ns;
    let rest = &recoveries[index..];
    if rest[0].is_stall() {
        return rest[0].outage();
    }
    match rest.iter().find_map(|one| one.caught_up_at_ns) {
        Some(at) => Lapse::Ns(at.saturating_sub(begun)),
        None => Lapse::Over(end_ns.saturating_sub(begun)),
    }
}

/// A duration, or how long something without an end had lasted when the run was over. Ordered by length; without an end
/// counts as longer than any with an end. In JSON it is a number, or `{"over": 31200000000}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "JsonLapse", into = "JsonLapse")]
pub enum Lapse {
    /// It took this many nanoseconds.
    Ns(u64),
    /// It had no end within the run, and had lasted this many nanoseconds by then; zero if that is not known.
    Over(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum JsonLapse {
    Ns(u64),
    Over {
        over: u64,
    },
    /// Written by a version that did not say how long it lasted.
    Unknown(Option<()>),
}

impl From<JsonLapse> for Lapse {
    fn from(json: JsonLapse) -> Lapse {
        match json {
            JsonLapse::Ns(ns) => Lapse::Ns(ns),
            JsonLapse::Over { over } => Lapse::Over(over),
            JsonLapse::Unknown(_) => Lapse::Over(0),
        }
    }
}

impl From<Lapse> for JsonLapse {
    fn from(lapse: Lapse) -> JsonLapse {
        match lapse {
            Lapse::Ns(ns) => JsonLapse::Ns(ns),
            Lapse::Over(over) => JsonLapse::Over { over },
        }
    }
}

impl Lapse {
    /// The duration, if it had an end.
    pub fn ns(self) -> Option<u64> {
        match self {
            Lapse::Ns(ns) => Some(ns),
            Lapse::Over(_) => None,
        }
    }
}

impl fmt::Display for Lapse {
    /// Such as `4.973 s`, `> 31.2 s`, or `no end`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lapse::Ns(ns) => f.write_str(&units::duration(*ns)),
            Lapse::Over(0) => f.write_str("no end"),
            Lapse::Over(ns) => write!(f, "> {}", units::duration(*ns)),
        }
    }
}

/// Durations of an outage, in order. Each begins where the one before ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryParts {
    /// Time in which the job stood still and no recovery was begun. For a stall this is everything; otherwise it ends
    /// when the first failure was detected, and is counted only if progress had stopped before the fault of that
    /// failure struck.
    #[serde(default)]
    pub stalled_ns: u64,
    /// Recoveries without lasting progress, up to the failure that the last recovery responds to.
    #[serde(default)]
    pub superseded_ns: u64,
    /// From the failure until the JobManager knew of it; for a takeover, until the new term was opened.
    pub detect_ns: u64,
    /// Until cancellation was done and the restart delay was over, which run in parallel. Zero for a takeover.
    pub backoff_or_cancel_ns: u64,
    /// Until enough slots were available; for a takeover this includes the time in which TaskManagers find the new
    /// leader.
    pub slots_ns: u64,
    /// Until the first subtask began to restore.
    pub deploy_ns: u64,
    /// Until the last subtask had its state loaded.
    pub restore_ns: u64,
    /// Until every vertex had processed a record.
    pub init_ns: u64,
}

impl RecoveryParts {
    /// Names and durations in order, for tables.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("stalled", self.stalled_ns),
            ("superseded", self.superseded_ns),
            ("detect", self.detect_ns),
            ("max(backoff, cancel)", self.backoff_or_cancel_ns),
            ("slots", self.slots_ns),
            ("deploy", self.deploy_ns),
            ("restore", self.restore_ns),
            ("init", self.init_ns),
        ]
    }

    /// The sum of all parts (RECORD-R1).
    pub fn total_ns(&self) -> u64 {
        self.named().iter().fold(0, |sum, (_, ns)| sum.saturating_add(*ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::units::SECOND;

    #[test]
    fn what_has_no_end_is_longer_than_all_that_has_one() {
        let mut recoveries = fixtures::passed().recoveries;
        assert_eq!(worst_outage(&recoveries).unwrap().to_string(), "3.450 s");
        let lost = RecoveryRecord { parts: None, unended_ns: Some(SECOND), ..recoveries[0].clone() };
        recoveries.push(lost);
        assert_eq!(worst_outage(&recoveries).unwrap().to_string(), "> 1.000 s");
        assert_eq!(worst_outage(&[]), None);
    }

    #[test]
    fn the_output_is_late_until_the_last_backlog_is_worked_off() {
        let mut recoveries = vec![fixtures::passed().recoveries.remove(0); 2];
        (recoveries[0].failed_at_ns, recoveries[0].caught_up_at_ns) = (SECOND, None);
        (recoveries[1].failed_at_ns, recoveries[1].caught_up_at_ns) = (5 * SECOND, Some(9 * SECOND));
        assert_eq!(recovered_after(&recoveries, 0, 20 * SECOND), Lapse::Ns(8 * SECOND));
        assert_eq!(recovered_after(&recoveries, 1, 20 * SECOND), Lapse::Ns(4 * SECOND));
        recoveries[1].caught_up_at_ns = None;
        assert_eq!(recovered_after(&recoveries, 0, 20 * SECOND), Lapse::Over(19 * SECOND));
        recoveries[0].kind = RecoveryKind::Stall;
        assert_eq!(recovered_after(&recoveries, 0, 20 * SECOND), recoveries[0].outage());
    }
}
