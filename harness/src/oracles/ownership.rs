//! O6: ids only grow, and every attempt and term has one owner.
//!
//! Statement. What is judged are accepted effects (what the stores took), not who is alive: superseded processes may
//! live on as long as nothing that they do has an effect.
//! - **Log.** Entries are numbered without a gap or a double, segment by segment; an entry of which the store kept only
//!   a part does not count. Terms grow by one along the log. Each term is opened by one leader (node and life), which
//!   writes all entries of that term in a segment of its own. What an entry says follows from the entry before and the
//!   change, open decisions of a fallback included. Of a segment that is over, only entries between its first and its
//!   last are removed.
//! - **Ids.** Attempts only grow, and are in the log before they are deployed. An attempt begins with the newest
//!   checkpoint that the log retains. No checkpoint is triggered twice. The folder of a checkpoint belongs to one term;
//!   its id is higher than all ids that were reserved when that term was opened, and is reserved before anything is
//!   written into the folder.
//! - **Acknowledgements.** An acknowledgement that is counted answers a snapshot that was taken for exactly that
//!   attempt and checkpoint.
//! - **Orders.** A TaskManager, in one life, obeys terms that only grow, and deploys attempts that only grow. A
//!   superseded leader may not know of its successor yet, but a TaskManager that has heard of the successor must not
//!   obey the old leader again.
//! - **Decisions.** Each decision is made once, and `commit` only when its checkpoint, or a later one, is complete. The
//!   only decisions that are removed are `commit`s about epochs below every retained checkpoint, and never the newest
//!   of a subtask.
//!
//! A superseded leader may go on counting acknowledgements and deploying: since its entries are refused, this has no
//! effect. Source: apache/flink `JobMasterId`, `CheckpointIDCounter`; FLINK-13593. Planted bugs:
//! `reuse-checkpoint-ids`, `obey-lower-terms`, `remove-segment-ends`, `forget-aborts`, `forget-undecided`, and others
//! of the museum.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ha::entry::{Change, HaState};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term};

use super::{EVIDENCE_MAX, Finding, Oracle, Violation};
use crate::outcome::{LogEntry, Outcome, Section};

/// The entry of O6.
pub const ORACLE: Oracle = Oracle {
    id: "O6",
    property: "ids only grow; every attempt and term has one owner",
    unit: "effects",
    rank: 1,
    needs: &[Section::Trace, Section::Log, Section::Stores],
    prefers: &[],
    judge: |case| judge(case.outcome),
};

/// Judges log, ids, acknowledgements and decisions.
pub fn judge(outcome: &Outcome) -> Finding {
    let mut finding = Finding { judged: outcome.log.len() as u64, violations: Vec::new() };
    let told = outcome.log_offences.iter().chain(&outcome.overruled).cloned();
    finding.violations.extend(told.map(|evidence| Violation { oracle: "O6", evidence }));
    log(outcome, &mut finding);
    claims(outcome, &mut finding);
    decisions(outcome, &mut finding);
    events(outcome, &mut finding);
    orders(outcome, &mut finding);
    finding.violations.truncate(EVIDENCE_MAX);
    finding
}

impl Finding {
    /// Counts one more thing as judged, and notes what is wrong with it.
    fn check(&mut self, holds: bool, evidence: impl FnOnce() -> String) {
        self.judged += 1;
        if !holds {
            self.violations.push(Violation { oracle: "O6", evidence: evidence() });
        }
    }
}

/// Judges the log by itself.
fn log(outcome: &Outcome, finding: &mut Finding) {
    let mut before: Option<&LogEntry> = None;
    // The process that closes a segment need not be the leader: the entry after it says who leads.
    let mut owner: Option<(Term, &NodeName, u32)> = None;
    let one = |(term, node, life): (Term, &NodeName, u32)| format!("{node}.{life} in {term}");
    for logged in &outcome.log {
        let (entry, position) = (&logged.entry, logged.position);
        finding
            .check(entry.position == position, || format!("log entry {position} says that it is {}", entry.position));
        // Readers skip an entry that the store kept only in part; the log goes on after it.
        let mut expected = before.map_or(Position::FIRST, |before| before.entry.next_position());
        while outcome.torn_entries.contains(&expected) {
            expected = expected.behind_torn();
        }
        finding.check(position == expected, || format!("log entry {position} came where {expected} was due"));
        let writer = (entry.term, &entry.leader, entry.incarnation);
        match (&entry.change, before.map(|before| &before.entry)) {
            (change, None) => {
                finding.check(*change == Change::Opened && entry.term == Term(1), || {
                    format!("log entry {position}: the first one must open term 1, not {change:?} in {}", entry.term)
                });
            }
            (Change::Opened, Some(newest)) => {
                finding.check(entry.term.0 == newest.term.0 + 1, || {
                    format!("log entry {position}: {} opens {} after {}", entry.leader, entry.term, newest.term)
                });
                finding.check(newest.change == Change::Closed, || {
                    format!(
                        "log entry {position}: {} opens {} in a segment that is not closed",
                        entry.leader, entry.term
                    )
                });
            }
            (Change::Closed, Some(newest)) => finding.check(entry.term == newest.term, || {
                format!("log entry {position}: a segment of {} is closed as one of {}", newest.term, entry.term)
            }),
            _ => finding.check(owner == Some(writer), || {
                let owner = owner.map_or("nobody".into(), one);
                format!("log entry {position}: {} writes into the rule of {owner}", one(writer))
            }),
        }
        if entry.change != Change::Closed {
            owner = Some(writer);
        }
        if let Some(offence) =
            before.and_then(|before| does_not_follow(&before.entry.state, &entry.change, &entry.state))
        {
            finding.check(false, || format!("log entry {position} ({:?}): {offence}", entry.change));
        }
        before = Some(logged);
    }
}

/// What is wrong with the state that a change led to; `None` if it follows.
fn does_not_follow(old: &HaState, change: &Change, new: &HaState) -> Option<String> {
    let newest = |state: &HaState| state.completed.last().copied();
    let added = match change {
        Change::Completed(id) => Some(*id),
        _ => None,
    };
    if added.is_some() && added <= newest(old) {
        return Some(format!("checkpoint {} was complete before", newest(old).unwrap_or_default()));
    }
    if old.ended.is_some() {
        return Some("the job had ended before".into());
    }
    if let Some(id) = new.completed.iter().find(|id| Some(**id) != added && !old.completed.contains(id)) {
        return Some(format!("checkpoint {id} is retained, and was not before"));
    }
    if new.completed.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Some(format!("checkpoints are not in order: {:?}", new.completed));
    }
    if new.reserved < old.reserved {
        return Some(format!("ids were reserved up to {}, now up to {}", old.reserved, new.reserved));
    }
    let undecided = match change {
        Change::Completed(_) => None,
        Change::FallingBack(_) => old.undecided.max(newest(old)),
        _ => old.undecided,
    };
    if new.undecided != undecided {
        let words = |up_to: Option<CheckpointId>| up_to.map_or("none".to_owned(), |id| format!("up to {id}"));
        return Some(format!("open decisions should be {}, and are {}", words(undecided), words(new.undecided)));
    }
    let begun = match change {
        Change::AttemptBegun(attempt) => (new.attempt != *attempt || *attempt <= old.attempt)
            .then(|| format!("{} after {}", new.attempt, old.attempt)),
        // A term may begin with the attempt of the term before, or with a higher one.
        Change::Opened => {
            (new.attempt < old.attempt).then(|| format!("{} opens a term after {}", new.attempt, old.attempt))
        }
        _ => (new.attempt != old.attempt).then(|| format!("{} became {}", old.attempt, new.attempt)),
    };
    let wanted = match change {
        Change::Completed(id) => Some(*id),
        Change::FallingBack(to) => *to,
        _ => newest(old),
    };
    let lost = (newest(new) != wanted).then(|| {
        let text = |id: Option<CheckpointId>| id.map_or("none".into(), |id| id.to_string());
        format!("the newest retained checkpoint should be {}, and is {}", text(wanted), text(newest(new)))
    });
    begun.or(lost)
}

/// Judges who wrote into which checkpoint's folder.
fn claims(outcome: &Outcome, finding: &mut Finding) {
    // `floors` has, by term, the ids that were reserved when the term was opened; `reserved` has every growth of the
    // reservation, in order.
    let mut floors: BTreeMap<Term, CheckpointId> = BTreeMap::new();
    let mut reserved: Vec<(u64, CheckpointId)> = Vec::new();
    let mut last = CheckpointId(0);
    for logged in &outcome.log {
        if logged.entry.change == Change::Opened {
            floors.insert(logged.entry.term, last);
        }
        last = last.max(logged.entry.state.reserved);
        reserved.push((logged.order, last));
    }
    let mut owners: BTreeMap<CheckpointId, Term> = BTreeMap::new();
    for claim in &outcome.claims {
        let (checkpoint, term, path) = (claim.checkpoint, claim.term, &claim.path);
        let owner = *owners.entry(checkpoint).or_insert(term);
        finding.check(owner == term, || format!("{path} of {term}: checkpoint {checkpoint} belongs to {owner}"));
        let floor = floors.get(&term);
        finding.check(floor.is_some_and(|floor| checkpoint > *floor), || match floor {
            Some(floor) => format!("{path}: ids up to {floor} were reserved before {term} was opened"),
            None => format!("{path}: {term} was never opened"),
        });
        let known = reserved.partition_point(|(order, _)| *order < claim.order);
        let up_to = known.checked_sub(1).map_or(CheckpointId(0), |at| reserved[at].1);
        finding.check(checkpoint <= up_to, || format!("{path} was written when ids were reserved up to {up_to} only"));
    }
}

/// Judges that commits come after completions.
fn decisions(outcome: &Outcome, finding: &mut Finding) {
    let mut completed = outcome.log.iter().filter_map(|logged| match logged.entry.change {
        Change::Completed(id) => Some((logged.order, id)),
        _ => None,
    });
    let (mut next, mut horizon) = (completed.next(), CheckpointId(0));
    for decision in &outcome.decisions {
        while let Some((_, id)) = next.filter(|(order, _)| *order < decision.order) {
            horizon = horizon.max(id);
            next = completed.next();
        }
        let (at, subtask, epoch) = (decision.at, decision.subtask, decision.epoch);
        finding.check(!decision.commit || epoch <= horizon, || {
            format!("at {at} subtask {subtask} decided to commit epoch {epoch}, when no checkpoint covered it")
        });
    }
}

/// Judges what leaders report against the log.
fn events(outcome: &Outcome, finding: &mut Finding) {
    let mut log = outcome.log.iter().peekable();
    let mut newest: Option<&LogEntry> = None;
    let mut begun: BTreeMap<Attempt, (&NodeName, u32)> = BTreeMap::new();
    let mut triggered: BTreeSet<CheckpointId> = BTreeSet::new();
    let mut snapshots: BTreeSet<(Attempt, CheckpointId, SubtaskId)> = BTreeSet::new();
    for (index, record) in outcome.trace.events.iter().enumerate() {
        while let Some(logged) = log.next_if(|logged| logged.events <= index) {
            let attempt = logged.entry.state.attempt;
            if attempt > newest.map_or(Attempt(0), |newest| newest.entry.state.attempt) {
                begun.insert(attempt, (&logged.entry.leader, logged.entry.incarnation));
            }
            newest = Some(logged);
        }
        let EventRecord { at, node, incarnation, event } = record;
        match event {
            Event::DeploymentBegun { attempt, restored, .. } => {
                let owner = begun.get(attempt);
                finding.check(owner == Some(&(node, *incarnation)), || match owner {
                    Some((owner, life)) => format!("at {at} {node}.{incarnation} deployed {attempt} of {owner}.{life}"),
                    None => format!("at {at} {node}.{incarnation} deployed {attempt}, which is not in the log"),
                });
                let leads = newest.filter(|n| n.entry.leader == *node && n.entry.incarnation == *incarnation);
                if let Some(newest) = leads {
                    let due = newest.entry.state.completed.last().copied();
                    let text =
                        |id: Option<CheckpointId>| id.map_or("the beginning".into(), |id| format!("checkpoint {id}"));
                    finding.check(*restored == due, || {
                        format!("at {at} {attempt} begins with {}; the log says {}", text(*restored), text(due))
                    });
                }
            }
            Event::CheckpointTriggered { checkpoint, .. } => {
                finding.check(triggered.insert(*checkpoint), || {
                    format!(
                        "at {at} {node}.{incarnation} triggered checkpoint {checkpoint}, which was triggered before"
                    )
                });
            }
            Event::SnapshotAsyncEnded { attempt, checkpoint, subtask, .. } => {
                snapshots.insert((*attempt, *checkpoint, *subtask));
            }
            Event::CheckpointAcknowledged { attempt, checkpoint, subtask } => {
                finding.check(snapshots.remove(&(*attempt, *checkpoint, *subtask)), || {
                    format!("at {at} the acknowledgement of subtask {subtask} counted for checkpoint {checkpoint} of {attempt}, for which it took no snapshot")
                });
            }
            _ => {}
        }
    }
}

/// Judges whose orders TaskManagers obey.
fn orders(outcome: &Outcome, finding: &mut Finding) {
    let mut obeyed: BTreeMap<(&NodeName, u32), (Term, Attempt)> = BTreeMap::new();
    for EventRecord { at, node, incarnation, event } in &outcome.trace.events {
        let (term, attempt) = match event {
            Event::RestoreBegun { term, attempt, .. } => (*term, Some(*attempt)),
            Event::JobManagerLost { term: Some(term), .. } => (*term, None),
            _ => continue,
        };
        let highest = obeyed.entry((node, *incarnation)).or_default();
        let attempt = attempt.unwrap_or(highest.1);
        finding.check(term >= highest.0, || {
            format!("at {at} {node}.{incarnation} obeyed {term}, although it had obeyed {} before", highest.0)
        });
        finding.check(attempt >= highest.1, || {
            format!("at {at} {node}.{incarnation} deployed a task of {attempt}, although it had deployed {}", highest.1)
        });
        *highest = (term.max(highest.0), attempt.max(highest.1));
    }
}

#[cfg(test)]
mod tests;
