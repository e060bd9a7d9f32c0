//! Tracks, for O6, which log entries and commit decisions may be removed, and which were.
//!
//! Entries and decisions are written once, and a leader removes those that are no longer needed (H3 and K5 of the
//! engine). Removing any other one, or writing a removed one again with another content, is an offence. What must stay:
//! of a log segment that is over, its first and its closing entry; of the decisions, every `abort`, every `commit`
//! above the oldest checkpoint that the log retains, and the newest `commit` of each subtask.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::ha::entry::{Change, HaEntry};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{CheckpointId, SubtaskId};

/// A decision as it was first made, and whether it still exists.
#[derive(Debug, Clone, Copy)]
struct Made {
    commit: bool,
    stands: bool,
}

/// Keeps track of entries and decisions.
#[derive(Debug, Default)]
pub(super) struct Trimmed {
    newest: Option<Position>,
    closed: BTreeSet<Position>,
    /// The highest checkpoint that has ever been the oldest retained one.
    oldest: CheckpointId,
    decided: BTreeMap<SubtaskId, BTreeMap<CheckpointId, Made>>,
}

impl Trimmed {
    pub(super) fn on_entry(&mut self, position: Position, entry: &HaEntry) {
        self.newest = self.newest.max(Some(position));
        if entry.change == Change::Closed {
            self.closed.insert(position);
        }
        self.oldest = self.oldest.max(entry.state.completed.first().copied().unwrap_or_default());
    }

    /// Whether the log has gone on to a later segment than this position's.
    pub(super) fn is_over(&self, position: Position) -> bool {
        self.newest.is_some_and(|newest| position.segment < newest.segment)
    }

    /// What kind of entry this is, if it must not be removed.
    pub(super) fn entry_must_stay(&self, position: Position) -> Option<&'static str> {
        if !self.is_over(position) {
            Some("an entry of the newest segment")
        } else if position.number == 0 {
            Some("the first entry of a segment")
        } else if self.closed.contains(&position) {
            Some("the end of a segment")
        } else {
            None
        }
    }

    /// A decision was written. Returns what is wrong with it, if anything is.
    pub(super) fn on_decision(
        &mut self,
        subtask: SubtaskId,
        epoch: CheckpointId,
        commit: bool,
    ) -> Option<&'static str> {
        let made = self.decided.entry(subtask).or_default();
        match made.insert(epoch, Made { commit, stands: true }) {
            Some(before) if before.stands => Some("was written over"),
            Some(before) if before.commit != commit => Some("was decided anew, and otherwise"),
            _ => None,
        }
    }

    /// A decision was removed. Returns what kind it was, if it had to stay.
    pub(super) fn on_forgotten(&mut self, subtask: SubtaskId, epoch: CheckpointId) -> Option<&'static str> {
        let decided = self.decided.get_mut(&subtask)?;
        let made = decided.get_mut(&epoch)?;
        made.stands = false;
        if !made.commit {
            return Some("a decision to abort");
        }
        if epoch >= self.oldest {
            return Some("about an epoch that the job may fall back behind");
        }
        let is_newest = !decided.range(epoch.next()..).any(|(_, made)| made.commit && made.stands);
        is_newest.then_some("the newest commit of its subtask")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{logged, subtask};
    use crate::outcome::Outcome;

    fn trimmed(changes: &[Change]) -> Trimmed {
        let mut outcome = Outcome::nothing();
        let mut trimmed = Trimmed::default();
        for (time, change) in changes.iter().enumerate() {
            logged(&mut outcome, time as u64, 1, change.clone());
            let newest = outcome.log.last().unwrap();
            trimmed.on_entry(newest.position, &newest.entry);
        }
        trimmed
    }

    #[test]
    fn both_ends_of_a_segment_and_all_of_the_newest_one_must_stay() {
        let trimmed = trimmed(&[Change::Opened, Change::Renewed, Change::Closed, Change::Renewed, Change::Renewed]);
        let stays = |segment, number| trimmed.entry_must_stay(Position { segment, number });
        assert_eq!(stays(1, 0), Some("the first entry of a segment"));
        assert_eq!(stays(1, 1), None);
        assert_eq!(stays(1, 2), Some("the end of a segment"));
        for number in 0..3 {
            assert_eq!(stays(2, number), Some("an entry of the newest segment"));
        }
        assert!(
            trimmed.is_over(Position { segment: 1, number: 1 }) && !trimmed.is_over(Position::FIRST.next_segment())
        );
    }

    #[test]
    fn commits_that_nobody_falls_back_behind_may_go_but_for_the_newest() {
        let (sink, other) = (subtask(1, 0), subtask(1, 1));
        let mut trimmed = trimmed(&[Change::Opened, Change::Completed(CheckpointId(8))]);
        for (epoch, commit) in [(2, true), (3, false), (4, true), (5, true), (8, true)] {
            assert_eq!(trimmed.on_decision(sink, CheckpointId(epoch), commit), None);
        }
        assert_eq!(trimmed.on_decision(other, CheckpointId(5), true), None);
        let mut forget = |subtask, epoch| trimmed.on_forgotten(subtask, CheckpointId(epoch));
        assert_eq!(forget(sink, 2), None);
        assert_eq!(forget(sink, 3), Some("a decision to abort"));
        assert_eq!(forget(sink, 4), None);
        assert_eq!(forget(sink, 8), Some("about an epoch that the job may fall back behind"));
        assert_eq!(forget(sink, 5), Some("the newest commit of its subtask"), "8 is gone");
        assert_eq!(forget(other, 5), Some("the newest commit of its subtask"));
        // A process that was away for long may make its decision once more, if it is the same decision.
        assert_eq!(trimmed.on_decision(sink, CheckpointId(2), true), None);
        assert_eq!(trimmed.on_decision(sink, CheckpointId(4), false), Some("was decided anew, and otherwise"));
        assert_eq!(trimmed.on_decision(sink, CheckpointId(2), true), Some("was written over"));
    }
}
