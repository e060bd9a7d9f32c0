//! Which fault caused a failover, a takeover, or the end of a job that failed.
//!
//! Start at [`fault_behind`]. Of the faults that struck since the interruption before, the newest is taken, unless
//! another one struck what the failover names as its root: the TaskManager that was lost, an end of the connection that
//! failed, the record that was poisoned, a store that did not take a checkpoint. Such a fault may have struck earlier,
//! if it lasts and has not caused an interruption already: a lost machine is noticed only after its heartbeats have
//! been missing for long enough.

use std::collections::BTreeSet;

use flowquake_engine::event::{Event, EventRecord, RootCause};

use super::words;
use crate::faults::{CHECKPOINT_STORE, OUTPUT_STORE};
use crate::nemesis::Hit;
use crate::outcome::Outcome;

/// What is known about the cause of an interruption.
pub(super) enum Told<'a> {
    /// A failover: its root, its text, and the node on which the task failed, if one did.
    Failover { root: &'a RootCause, cause: &'a str, node: Option<&'a str> },
    /// A takeover: the event with which the former leader began to lead.
    Takeover { former: &'a EventRecord },
    /// The end of a job that failed for good while it ran.
    End,
}

impl<'a> Told<'a> {
    /// The cause of a failover that comes after `before` in the trace.
    pub(super) fn failover(before: &'a [EventRecord], root: &'a RootCause, cause: &'a str) -> Self {
        let node = before.iter().rev().find_map(|record| match (&record.event, root) {
            (Event::TaskFailed { subtask, .. }, RootCause::TaskFailed { subtask: failed }) if subtask == failed => {
                Some(record.node.as_str())
            }
            _ => None,
        });
        Told::Failover { root, cause, node }
    }

    /// Whether a hit struck something that the cause names.
    fn names(&self, hit: &Hit) -> bool {
        let struck = |node: &str| words(&hit.target).any(|word| word == node);
        let of_store = [CHECKPOINT_STORE, OUTPUT_STORE].contains(&hit.role);
        match self {
            Told::Takeover { former } => hit.at >= former.at && struck(former.node.as_str()),
            Told::End => false,
            Told::Failover { root, cause, node } => match root {
                RootCause::TaskManagerLost { task_manager } | RootCause::DeploymentLost { task_manager } => {
                    struck(task_manager.as_str())
                }
                RootCause::TaskFailed { .. } => {
                    // Nodes and records that the text names, as in `data connection to tm-2` and `(split 0, position
                    // 7)`.
                    let record = record_of(cause).is_some_and(|record| hit.target == record);
                    record || node.is_some_and(struck) || words(cause).any(struck)
                }
                RootCause::CheckpointsFailed { .. } | RootCause::StoreFailed => of_store || words(cause).any(struck),
                RootCause::CheckpointDamaged { .. } => of_store,
            },
        }
    }
}

/// The record that the text of a failure names, in the form in which a poisoned record is named.
fn record_of(cause: &str) -> Option<String> {
    let (_, rest) = cause.split_once("(split ")?;
    let (split, rest) = rest.split_once(", position ")?;
    let (position, _) = rest.split_once(')')?;
    Some(format!("record {position} of split {split}"))
}

/// The fault that caused an interruption that was detected at `until`, and when it struck. `since` is when the
/// interruption before was detected, and `blamed` are faults that have caused one already.
pub(super) fn fault_behind(
    outcome: &Outcome,
    told: &Told<'_>,
    since: u64,
    until: u64,
    blamed: &BTreeSet<(usize, u64)>,
) -> Option<(usize, u64)> {
    let strikes = outcome.strikes.iter().enumerate();
    let hits = strikes.flat_map(|(fault, strike)| strike.hits.iter().map(move |hit| (fault, hit)));
    // A former leader was lost because of what struck it. That fault may have caused an earlier interruption too, as
    // long as it lasts.
    let takeover = matches!(told, Told::Takeover { .. });
    let lasts = |hit: &Hit| hit.healed_at.is_none_or(|end| end.0 > until);
    let earlier =
        |fault: usize, hit: &Hit| told.names(hit) && lasts(hit) && (takeover || !blamed.contains(&(fault, hit.at.0)));
    // Damage causes no failure by itself; reading the file does.
    hits.filter(|(_, hit)| !hit.damages_file() && hit.at.0 <= until)
        .filter(|(fault, hit)| hit.at.0 >= since || earlier(*fault, hit))
        .max_by_key(|(_, hit)| (told.names(hit), hit.at))
        .map(|(fault, hit)| (fault, hit.at.0))
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, ms, outcome, struck, subtask};
    use crate::nemesis::Strike;

    /// A fault of the plan that struck `target` at this time, and lasts until the end.
    fn hit(time: u64, role: &'static str, target: &str) -> Strike {
        let mut strike = struck(time, None);
        (strike.hits[0].role, strike.hits[0].target) = (role, target.into());
        strike
    }

    /// Which of the faults caused a failover at 10 s, if the interruption before was at 8 s.
    fn behind(strikes: &[Strike], root: RootCause, cause: &str) -> Option<usize> {
        let failed = at(
            9_900,
            "tm-3",
            Event::TaskFailed { attempt: Attempt(1), subtask: subtask(1, 0), cause: "".into(), in_program: false },
        );
        let mut outcome = outcome([failed]);
        outcome.strikes = strikes.to_vec();
        let told = Told::failover(&outcome.trace.events, &root, cause);
        fault_behind(&outcome, &told, ms(8_000).0, ms(10_000).0, &BTreeSet::new()).map(|(fault, _)| fault + 1)
    }

    #[test]
    fn the_fault_that_struck_what_is_named_comes_before_a_newer_one() {
        let node = crate::faults::TASK_MANAGER;
        let lost = || RootCause::TaskManagerLost { task_manager: "tm-1".into() };
        let cause = "TaskManager tm-1 lost: no heartbeat";
        let slow_store = hit(9_500, CHECKPOINT_STORE, "checkpoint store");
        assert_eq!(behind(&[hit(9_000, node, "tm-1"), slow_store.clone()], lost(), cause), Some(1));
        assert_eq!(behind(&[hit(9_000, node, "tm-2"), slow_store.clone()], lost(), cause), Some(2), "none is named");
        assert_eq!(behind(&[hit(5_000, node, "tm-1"), slow_store.clone()], lost(), cause), Some(1), "noticed late");
        assert_eq!(behind(&[hit(5_000, node, "tm-2")], lost(), cause), None, "too long ago");
        let cut = hit(9_000, crate::faults::TASK_LINK, "tm-1 - tm-3");
        let failed = || RootCause::TaskFailed { subtask: subtask(1, 0) };
        assert_eq!(behind(&[cut, hit(9_500, node, "tm-2")], failed(), "subtask 1#0: reset"), Some(1), "where it ran");
        let poison = hit(9_000, node, "record 700 of split 0");
        let cause = "subtask 1#0: user function failed: poisoned record (split 0, position 700)";
        assert_eq!(behind(&[poison, hit(9_500, node, "tm-2")], failed(), cause), Some(1));
        let expired = RootCause::CheckpointsFailed { checkpoint: flowquake_engine::ids::CheckpointId(3) };
        assert_eq!(behind(&[slow_store, hit(9_800, node, "tm-2")], expired, "checkpoint 3 expired"), Some(1));
    }

    #[test]
    fn a_fault_that_is_behind_an_interruption_already_is_not_behind_the_next_one() {
        let root = RootCause::TaskManagerLost { task_manager: "tm-1".into() };
        let mut outcome = outcome([]);
        outcome.strikes = vec![struck(5_000, None)];
        let told = Told::failover(&[], &root, "TaskManager tm-1 lost");
        let behind = |blamed: &BTreeSet<_>| fault_behind(&outcome, &told, ms(8_000).0, ms(10_000).0, blamed);
        assert_eq!(behind(&BTreeSet::new()), Some((0, ms(5_000).0)));
        assert_eq!(behind(&BTreeSet::from([(0, ms(5_000).0)])), None);
    }
}
