//! What a run leaves behind: all that oracles, measurements and reports see of the run.
//!
//! Start at [`Outcome`]. Times are virtual and count from the start of the run. `order` is a position among all changes
//! of the durable stores, so that a change of one store can be compared with a change of the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::Manifest;
use flowquake_engine::env::sim::{NetworkTotals, Traffic};
use flowquake_engine::event::Event;
use flowquake_engine::ha::entry::{Change, HaEntry};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{CheckpointId, SplitId, SubtaskId, Term};
use flowquake_engine::time::Time;

use crate::environment::{Environment, needs_disk, told_in};
use crate::nemesis::Strike;
use crate::plan::RunPlan;
use crate::trace::Trace;

mod account;
mod flow;
mod retained_files;
mod section;
mod store_copy;

pub use account::{CheckpointAccount, SubtaskAccount};
pub use flow::Flow;
pub(crate) use flow::FlowLog;
pub use retained_files::RetainedFiles;
pub use section::Section;
pub use store_copy::{StoreCopy, Written};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The job finished.
    Finished,
    /// The job failed for good.
    Failed(String),
    /// The job neither finished nor failed within the plan's time limit.
    TimeLimit,
    /// Something in the program under test panicked.
    Panicked(String),
    /// The run never returned to the simulator, or used too much processor time; the text says why it was given up.
    NoYield(String),
}

/// A checkpoint as it was when its manifest became durable. It is complete only once the leadership log says so.
#[derive(Clone)]
pub struct Sealed {
    /// When.
    pub at: Time,
    /// The manifest. Its inline state is dropped once no oracle needs it.
    pub manifest: Manifest,
    /// Contents of the state files that the manifest names, by path; emptied once no oracle needs them.
    pub files: BTreeMap<String, Bytes>,
    /// Whether its keyed state is kept for O2.
    pub keeps_state: bool,
}

impl Sealed {
    /// Number of records that the sources had emitted.
    pub fn records(&self) -> u64 {
        self.manifest.subtasks.values().flat_map(|state| &state.positions).map(|position| position.emitted).sum()
    }

    /// Source position of each of the `splits` splits.
    pub fn positions(&self, splits: usize) -> Vec<u64> {
        let all = self.manifest.subtasks.values().flat_map(|state| &state.positions);
        let by_split: BTreeMap<SplitId, u64> = all.map(|position| (position.split, position.emitted)).collect();
        (0..splits as u32).map(|split| by_split.get(&SplitId(split)).copied().unwrap_or(0)).collect()
    }
}

/// The last sweep of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// The leader's term.
    pub term: Term,
    /// The sweep began after this change of the stores.
    pub began: u64,
}

/// A file that no retained checkpoint names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Path of the file.
    pub path: String,
    /// The change of the stores that wrote it.
    pub put: u64,
}

/// A piece of output that became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// When.
    pub at: Time,
    /// Position among all changes of the stores.
    pub order: u64,
    /// Name under which the part is visible.
    pub name: String,
    /// The sink subtask that wrote it.
    pub subtask: SubtaskId,
    /// The epoch of its transaction.
    pub epoch: CheckpointId,
    /// Content of the part.
    pub bytes: Bytes,
}

/// An entry of the leadership log, as the store accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When.
    pub at: Time,
    /// Position among all changes of the stores.
    pub order: u64,
    /// How many events came before the entry.
    pub events: usize,
    /// The position that the entry's path names.
    pub position: Position,
    /// Content of the entry.
    pub entry: HaEntry,
    /// Whether the entry's leader, or a later one, deployed an attempt after it. Only then did what the entry says
    /// about the checkpoint to continue from take effect.
    pub deployed: bool,
}

/// The first file that a term wrote into the folder of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Position among all changes of the stores.
    pub order: u64,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The term.
    pub term: Term,
    /// Path of the file.
    pub path: String,
}

/// A decision about a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When the decision was made.
    pub at: Time,
    /// Position among all changes of the stores.
    pub order: u64,
    /// The sink subtask that the transaction belongs to.
    pub subtask: SubtaskId,
    /// The epoch of the transaction.
    pub epoch: CheckpointId,
    /// Whether the decision is commit; otherwise it is abort.
    pub commit: bool,
}

/// Everything that happened in a run.
pub struct Outcome {
    /// Sections that are known. Fields of the other sections mean nothing.
    pub sections: BTreeSet<Section>,
    /// How the run ended.
    pub end: End,
    /// Whether the run's thread was given up and may still be running. Then no further run in this process can be
    /// trusted.
    pub abandoned: bool,
    /// When the run ended.
    pub ended_at: Time,
    /// Every event.
    pub trace: Trace,
    /// What became of the plan's faults.
    pub strikes: Vec<Strike>,
    /// Set if the machine was too slow for the plan's time-outs; says why results that depend on time mean nothing
    /// then.
    pub starved: Option<String>,
    /// What, besides its strikes, makes the run uncertain, in words.
    pub doubts: Vec<String>,
    /// The leadership log, in the order in which it was written.
    pub log: Vec<LogEntry>,
    /// Positions of the log at which only a part of an entry was stored.
    pub torn_entries: BTreeSet<Position>,
    /// Changes of the log that are not allowed, in words.
    pub log_offences: Vec<String>,
    /// Checkpoints whose manifest became durable.
    pub sealed: BTreeMap<CheckpointId, Sealed>,
    /// Which term wrote into which checkpoint's folder.
    pub claims: Vec<Claim>,
    /// Decisions about transactions, in order.
    pub decisions: Vec<Decision>,
    /// Decisions that were changed or removed, in words.
    pub overruled: Vec<String>,
    /// Output in the order in which it became visible.
    pub visible: Vec<Part>,
    /// Visible output that was changed or removed, in words.
    pub retracted: Vec<String>,
    /// What O3 found, write by write.
    pub retained_files: RetainedFiles,
    /// The last sweep of the checkpoint store.
    pub sweep: Option<Sweep>,
    /// Files that were left in the stores and that no retained checkpoint names.
    pub orphans: Vec<Orphan>,
    /// How many files were examined to find the orphans.
    pub files_left: u64,
    /// Copies of the stores as they were when a checkpoint became complete.
    pub copies: Vec<StoreCopy>,
    /// Lives of the nodes: name, begin, end.
    pub lives: Vec<(String, Time, Time)>,
    /// Number and size of the messages that were delivered.
    pub network: NetworkTotals,
    /// What was in progress during the run, in a few hundred samples.
    pub flow: Vec<Flow>,
    /// How many calls of dead incarnations were made ineffective.
    pub late_effects: u64,
    /// What the target's own statistics say of completed checkpoints, if it has some.
    pub accounts: BTreeMap<CheckpointId, CheckpointAccount>,
    /// Which messages were sent and which writes made, if the target was asked to note them.
    pub traffic: Option<Traffic>,
    /// Processor time of the run's thread.
    pub cpu: Duration,
    /// Real time.
    pub wall: Duration,
}

impl Outcome {
    /// The outcome of a run in which nothing happened.
    pub fn nothing() -> Self {
        Self {
            sections: Section::all(),
            end: End::TimeLimit,
            abandoned: false,
            ended_at: Time::ZERO,
            trace: Trace::default(),
            strikes: Vec::new(),
            starved: None,
            doubts: Vec::new(),
            log: Vec::new(),
            torn_entries: BTreeSet::new(),
            log_offences: Vec::new(),
            sealed: BTreeMap::new(),
            claims: Vec::new(),
            decisions: Vec::new(),
            overruled: Vec::new(),
            visible: Vec::new(),
            retracted: Vec::new(),
            retained_files: RetainedFiles::default(),
            sweep: None,
            orphans: Vec::new(),
            files_left: 0,
            copies: Vec::new(),
            lives: Vec::new(),
            network: NetworkTotals::default(),
            flow: Vec::new(),
            late_effects: 0,
            accounts: BTreeMap::new(),
            traffic: None,
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
        }
    }
}

impl Outcome {
    /// Checkpoints whose output is in effect: the completed ones, in order, without those that the job fell back
    /// behind.
    pub fn lineage(&self) -> Vec<CheckpointId> {
        let mut lineage: Vec<CheckpointId> = Vec::new();
        for logged in &self.log {
            match logged.entry.change {
                // Ids that do not grow are reported by O6, not here.
                Change::Completed(checkpoint) if lineage.last() < Some(&checkpoint) => lineage.push(checkpoint),
                // Until an attempt is deployed, a sink that has already committed may still prevent the fallback.
                Change::FallingBack(to) if logged.deployed => lineage.retain(|checkpoint| Some(*checkpoint) <= to),
                _ => {}
            }
        }
        lineage
    }

    /// What was wrong with the machine, if that explains the failures of the run (ENVIRONMENT-X1).
    pub(crate) fn environment_at_fault(&self, plan: &RunPlan) -> Option<Environment> {
        if !needs_disk(plan) {
            return None;
        }
        let failed = self.trace.events.iter().find_map(|record| match &record.event {
            Event::TaskFailed { cause, .. } => told_in(cause),
            _ => None,
        });
        failed.or_else(|| match &self.end {
            End::Panicked(panic) => told_in(panic),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{logged, outcome};

    /// The lineage after these changes; `true`: a deployment follows the change.
    fn ids(changes: impl IntoIterator<Item = (Change, bool)>) -> Vec<u64> {
        let mut outcome = outcome([]);
        outcome.log.clear();
        for (time, (change, deployed)) in (0..).zip(changes) {
            logged(&mut outcome, time, 1, change);
            outcome.log.last_mut().unwrap().deployed = deployed;
        }
        outcome.lineage().into_iter().map(|id| id.0).collect()
    }

    fn completed(id: u64) -> (Change, bool) {
        (Change::Completed(CheckpointId(id)), true)
    }

    fn falling_back(to: Option<u64>, deployed: bool) -> (Change, bool) {
        (Change::FallingBack(to.map(CheckpointId)), deployed)
    }

    #[test]
    fn a_restart_and_a_new_leader_keep_the_lineage() {
        assert_eq!(ids([completed(1), completed(2), (Change::Opened, true), completed(11)]), [1, 2, 11]);
    }

    #[test]
    fn a_fallback_forgets_what_came_after_the_older_checkpoint() {
        let three = || vec![completed(1), completed(2), completed(3)];
        let then = |more: Vec<_>| ids(three().into_iter().chain(more));
        assert_eq!(then(vec![falling_back(Some(1), true)]), [1]);
        assert_eq!(then(vec![falling_back(Some(1), true), completed(4)]), [1, 4]);
        assert_eq!(then(vec![falling_back(None, true), completed(5)]), [5]);
        assert_eq!(then(vec![falling_back(Some(1), false)]), [1, 2, 3]);
    }
}
