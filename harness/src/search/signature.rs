//! The signature of a run: what happened in it, without times, sizes and names of nodes. Runs with equal signatures
//! went the same way, so one of them can stand for all.
//!
//! Start at [`Signature::of`]. What counts, and why in this form:
//!
//! - **Events after the first strike** that only a failure brings about ([`Occasion::Failure`], `Damage`, `Standby`).
//!   Events of JobManagers count in the order in which each kind came first, because the order in which a cluster gives
//!   up, falls back and restarts is what differs in a race. Events of TaskManagers count as a set, because TaskManagers
//!   work in parallel, and the order of their events changes with every latency that is drawn. Kinds of normal work are
//!   kept ([`Signature::steps`]) but do not count: which of them still come only shows how close to its end the run was
//!   struck. (Of 11,224 runs of the reference scenario, 271 differ without them, 712 with them.)
//! - **Attempts** (none, one, two, more) and the **root causes** of failovers, in order, with equal causes in a row
//!   counted once. Of a subtask only the vertex counts, of a TaskManager nothing. How often a job failed until a fault
//!   was over depends only on the length of the fault.
//! - **Epochs**: what became of the checkpoint that was complete when the fault struck, and of the one in progress. The
//!   number of all committed epochs is left out: it shows how long an outage was, which differs from event to event.
//! - **Verdict**: its class with everything that was violated.
//!
//! Where the strike hit ([`Signature::strike`]) is kept too, but is no part of [`Signature::class`], which only
//! describes what followed from it.
//!
//! Invariants: (SIGNATURE-S1) a signature depends on the outcome, the plan's faults and the verdict only, so equal traces have
//! equal signatures; (SIGNATURE-S2) shifting every event of a run in time, or renaming its nodes, leaves the class as it was.

use std::collections::BTreeSet;
use std::fmt;

use flowquake_engine::event::{Emitter, Event, Occasion, RootCause};
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;
use flowquake_reports::record::Verdict;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::faults::kind;
use crate::outcome::Outcome;
use crate::plan::RunPlan;

/// Attempts are counted up to this number; more are counted as this many.
pub const ATTEMPTS_MAX: u32 = 3;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// Where the first fault struck; `None`: nothing struck.
    pub strike: Option<StrikePosition>,
    /// The class of the verdict, followed by every oracle and expectation that was violated.
    pub verdict: String,
    /// Number of attempts deployed after the first strike; [`ATTEMPTS_MAX`] stands for more, too.
    pub attempts: u32,
    /// Why failovers after the strike began, in order, equal causes in a row once.
    pub roots: Vec<String>,
    /// Events of JobManagers after the strike that only failures bring about, in the order in which each kind came
    /// first.
    pub failures: Vec<String>,
    /// Kinds of such events of TaskManagers.
    pub noticed: BTreeSet<String>,
    /// Kinds of all other events after the strike; not a part of the class.
    pub steps: BTreeSet<String>,
    /// What became of the checkpoint that was the newest complete one at the strike; `None`: none was complete.
    pub complete: Option<EpochFate>,
    /// What became of the checkpoint that was in progress at the strike; `None`: none was.
    pub under_way: Option<EpochFate>,
}

/// Where a fault struck.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StrikePosition {
    /// Kind of the fault.
    pub kind: String,
    /// The event at whose emission the fault struck. Empty if it struck by the clock, or armed a rule that hurt
    /// something later.
    pub event: String,
    /// Role of the first victim.
    pub role: String,
}

/// What became of an epoch in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochFate {
    /// Its checkpoint is complete, and its output is in effect.
    Committed,
    /// Its checkpoint was complete, and the job fell back behind it.
    FellBackBehind,
    /// Its checkpoint was given up, for this reason; a later one carries its output, or a restore gave it up.
    Aborted(String),
    /// The run, or its leader, ended before the epoch did.
    Open,
}

impl Signature {
    /// The signature of a run with this verdict.
    pub fn of(plan: &RunPlan, outcome: &Outcome, verdict: &Verdict) -> Self {
        let mut signature = Self {
            strike: None,
            verdict: verdict_of(verdict),
            attempts: 0,
            roots: Vec::new(),
            failures: Vec::new(),
            noticed: BTreeSet::new(),
            steps: BTreeSet::new(),
            complete: None,
            under_way: None,
        };
        let Some((since, strike)) = first_strike(plan, outcome) else { return signature };
        signature.strike = Some(strike);
        let mut failed = BTreeSet::new();
        for record in outcome.trace.events.iter().filter(|record| record.at > since) {
            let name = record.event.name();
            match &record.event {
                Event::DeploymentBegun { .. } => signature.attempts = (signature.attempts + 1).min(ATTEMPTS_MAX),
                Event::FailoverBegun { root, .. } => signature.roots.push(root_of(root)),
                _ => {}
            }
            match failure(&record.event) {
                None => {
                    signature.steps.insert(name.to_owned());
                }
                Some(Emitter::TaskManager | Emitter::Any) => {
                    signature.noticed.insert(name.to_owned());
                }
                Some(Emitter::Leader | Emitter::JobManager) if failed.insert(name) => {
                    signature.failures.push(name.to_owned());
                }
                Some(Emitter::Leader | Emitter::JobManager) => {}
            }
        }
        signature.roots.dedup();
        (signature.complete, signature.under_way) = epochs(outcome, since);
        signature
    }

    /// A number that is equal for runs that went the same way, wherever they were struck.
    pub fn class(&self) -> u64 {
        let about = Self { strike: None, steps: BTreeSet::new(), ..self.clone() };
        xxh3_64(&serde_json::to_vec(&about).expect("a signature is always JSON"))
    }
}

impl fmt::Display for Signature {
    /// In one line: verdict, restarts with their causes, epochs, failures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        match self.attempts {
            0 => f.write_str(", no restart")?,
            1 => f.write_str(", 1 attempt")?,
            ATTEMPTS_MAX.. => write!(f, ", {ATTEMPTS_MAX} or more attempts")?,
            n => write!(f, ", {n} attempts")?,
        }
        if !self.roots.is_empty() {
            write!(f, " after {}", self.roots.join(", "))?;
        }
        if let Some(fate) = &self.under_way {
            write!(f, "; checkpoint under way {fate}")?;
        }
        if let Some(fate) = self.complete.as_ref().filter(|fate| **fate != EpochFate::Committed) {
            write!(f, "; complete checkpoint {fate}")?;
        }
        if !self.failures.is_empty() {
            write!(f, "; {}", self.failures.join(", "))?;
        }
        if !self.noticed.is_empty() {
            let noticed: Vec<&str> = self.noticed.iter().map(String::as_str).collect();
            write!(f, "; noticed: {}", noticed.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for EpochFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed => f.write_str("committed"),
            Self::FellBackBehind => f.write_str("given up by a fallback"),
            Self::Aborted(reason) => write!(f, "aborted ({reason})"),
            Self::Open => f.write_str("left open"),
        }
    }
}

/// When the first fault struck, and where.
fn first_strike(plan: &RunPlan, outcome: &Outcome) -> Option<(Time, StrikePosition)> {
    let struck = plan.faults.iter().zip(&outcome.strikes);
    let first = struck.flat_map(|(fault, strike)| strike.hits.iter().map(move |hit| (fault, hit)));
    let (fault, hit) = first.min_by_key(|(fault, hit)| (hit.at, fault.id))?;
    let strike =
        StrikePosition { kind: kind(&fault.action).into(), event: hit.position.clone(), role: hit.role.into() };
    Some((hit.at, strike))
}

fn verdict_of(verdict: &Verdict) -> String {
    let mut text = verdict.label().to_owned();
    if let Verdict::Failed { oracle, also, .. } = verdict {
        let violated: Vec<&str> =
            [oracle.as_str()].into_iter().chain(also.iter().map(|violated| violated.oracle.as_str())).collect();
        text.push(' ');
        text.push_str(&violated.join(" "));
    }
    text
}

/// Which process emits an event that only a failure brings about; `None`: the event belongs to normal work.
fn failure(event: &Event) -> Option<Emitter> {
    let row = Event::row(event.name())?;
    matches!(row.occasion, Occasion::Failure | Occasion::Damage | Occasion::Standby).then_some(row.emitter)
}

/// A root cause without the names of nodes, subtasks and checkpoints.
fn root_of(root: &RootCause) -> String {
    match root {
        RootCause::TaskFailed { subtask } => format!("task-failed of vertex {}", subtask.vertex.0),
        RootCause::TaskManagerLost { .. } => "task-manager-lost".into(),
        RootCause::CheckpointsFailed { .. } => "checkpoint-aborted".into(),
        RootCause::CheckpointDamaged { .. } => "checkpoint-damaged".into(),
        RootCause::DeploymentLost { .. } => "deployment-lost".into(),
        RootCause::StoreFailed => "store-failed".into(),
    }
}

/// What became of the checkpoint that was the newest complete one at this time, and of the newest one that was
/// triggered and not complete.
fn epochs(outcome: &Outcome, at: Time) -> (Option<EpochFate>, Option<EpochFate>) {
    let lineage = outcome.lineage();
    let completed = |until: Option<Time>| -> BTreeSet<CheckpointId> {
        let entries = outcome.log.iter().filter(|entry| until.is_none_or(|until| entry.at <= until));
        entries
            .filter_map(|entry| match entry.entry.change {
                Change::Completed(checkpoint) => Some(checkpoint),
                _ => None,
            })
            .collect()
    };
    let (before, ever) = (completed(Some(at)), completed(None));
    let fate = |checkpoint: CheckpointId| {
        let aborted = outcome.trace.events.iter().find_map(|record| match &record.event {
            Event::CheckpointAborted { checkpoint: id, reason, .. } if *id == checkpoint => Some(reason.name()),
            _ => None,
        });
        match aborted {
            _ if lineage.contains(&checkpoint) => EpochFate::Committed,
            _ if ever.contains(&checkpoint) => EpochFate::FellBackBehind,
            Some(reason) => EpochFate::Aborted(reason.to_owned()),
            None => EpochFate::Open,
        }
    };
    let mut open: Option<CheckpointId> = None;
    for record in outcome.trace.events.iter().take_while(|record| record.at <= at) {
        match record.event {
            Event::CheckpointTriggered { checkpoint, .. } => open = Some(checkpoint),
            Event::CheckpointAborted { checkpoint, .. } if open == Some(checkpoint) => open = None,
            _ => {}
        }
    }
    let open = open.filter(|checkpoint| !before.contains(checkpoint));
    (before.last().copied().map(fate), open.map(fate))
}

#[cfg(test)]
mod tests {
    use flowquake_engine::event::{AbortReason, EventRecord};
    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, complete, kill, logged, on, outcome, plan, struck as fixtures_struck, subtask};
    use crate::nemesis::Strike;
    use crate::plan::Trigger;

    /// A plan with one kill, and the outcome of a run in which the kill struck at this time, before these events.
    fn struck(time: u64, events: impl IntoIterator<Item = EventRecord>) -> (RunPlan, Outcome) {
        let plan = RunPlan { faults: vec![kill(1, Trigger::On(on("checkpoint-triggered")))], ..plan() };
        let mut outcome = outcome(events);
        let mut strike = fixtures_struck(time, None);
        strike.hits[0].position = "checkpoint-triggered".into();
        outcome.strikes = vec![strike];
        (plan, outcome)
    }

    /// A restart that begins this late, ordered by this node.
    fn restart(late: u64, node: &str, vertex: u16) -> Vec<EventRecord> {
        let (attempt, checkpoint) = (Attempt(1), CheckpointId(2));
        let root = RootCause::TaskFailed { subtask: subtask(vertex, (late % 2) as u16) };
        let aborted = Event::CheckpointAborted { attempt, checkpoint, reason: AbortReason::TaskFailure };
        vec![
            at(5, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }),
            at(20 + late, node, aborted),
            at(20 + late, node, Event::FailoverBegun { attempt, root, cause: String::new() }),
            at(40 + late, node, Event::DeploymentBegun { attempt: Attempt(2), restored: None, state_bytes: late }),
        ]
    }

    fn signature((plan, outcome): &(RunPlan, Outcome)) -> Signature {
        Signature::of(plan, outcome, &Verdict::Passed)
    }

    #[test]
    fn times_sizes_and_names_do_not_count() {
        let one = signature(&struck(10, restart(0, "jm-1", 1)));
        let other = signature(&struck(11, restart(7, "jm-2", 1)));
        assert_eq!(one.class(), other.class(), "SIGNATURE-S2");
        assert_eq!((one.attempts, one.roots.as_slice()), (1, ["task-failed of vertex 1".to_owned()].as_slice()));
        assert_eq!(one.failures, ["checkpoint-aborted", "failover-begun"]);
        assert_eq!(one.under_way, Some(EpochFate::Aborted("task failure".into())));
        assert_eq!(one.complete, Some(EpochFate::Committed));
        insta::assert_snapshot!(one.to_string(), @"passed, 1 attempt after task-failed of vertex 1; checkpoint under way aborted (task failure); checkpoint-aborted, failover-begun");
    }

    #[test]
    fn what_happened_counts() {
        let base = struck(10, restart(0, "jm-1", 1));
        let class = |run: &(RunPlan, Outcome)| signature(run).class();
        assert_ne!(class(&base), class(&struck(10, restart(0, "jm-1", 0))), "another vertex failed");
        let mut other_order = restart(0, "jm-1", 1);
        other_order.swap(1, 2);
        assert_ne!(class(&base), class(&struck(10, other_order)), "the failover came first");
        let times = |times: u64| {
            let again = (0..times).flat_map(|nth| restart(100 * nth, "jm-1", 1).split_off(usize::from(nth > 0)));
            class(&struck(10, again.collect::<Vec<_>>()))
        };
        assert_ne!(class(&base), times(2), "a second failover");
        assert_eq!(times(3), times(4), "how often a job failed is a matter of the fault's length");
        let failed = Verdict::Failed { oracle: "O1".into(), evidence: vec!["lost".into()], also: vec![] };
        assert_ne!(Signature::of(&base.0, &base.1, &failed).class(), class(&base));
        let mut saved = struck(10, restart(0, "jm-1", 1));
        complete(&mut saved.1, 15, 2);
        assert_eq!(signature(&saved).under_way, Some(EpochFate::Committed));
        assert_ne!(class(&saved), class(&base), "the checkpoint under way was completed");
    }

    #[test]
    fn where_it_was_struck_stands_beside_the_class() {
        let run = struck(10, restart(0, "jm-1", 1));
        let mut later = struck(10, restart(0, "jm-1", 1));
        later.1.strikes[0].hits[0].position = "job-running".into();
        let (one, other) = (signature(&run), signature(&later));
        assert_ne!(one.strike, other.strike);
        assert_eq!(one.class(), other.class());
        assert_eq!(one.strike.unwrap().kind, "kill");
    }

    #[test]
    fn a_run_without_a_strike_has_no_events_behind_it() {
        let (plan, mut outcome) = struck(10, restart(0, "jm-1", 1));
        outcome.strikes = vec![Strike::default()];
        let signature = Signature::of(&plan, &outcome, &Verdict::Vacuous { missing: "a strike".into() });
        assert!(signature.strike.is_none() && signature.steps.is_empty() && signature.failures.is_empty());
        assert_eq!(signature.to_string(), "vacuous, no restart");
    }

    #[test]
    fn a_fallback_shows_in_the_fate_of_the_complete_checkpoint() {
        let (plan, mut outcome) = struck(10, restart(0, "jm-1", 1));
        logged(&mut outcome, 50, 1, Change::FallingBack(None));
        outcome.log.last_mut().unwrap().deployed = true;
        let signature = Signature::of(&plan, &outcome, &Verdict::Passed);
        assert_eq!(signature.complete, Some(EpochFate::FellBackBehind));
    }
}
