//! Where output shows a record, who committed it, and which transaction is missing where none does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, CheckpointId, SubtaskId};
use flowquake_engine::time::Time;

use crate::outcome::{Outcome, Part};

/// Lines that an explanation names; a record that came out more often is explained by these.
const SHOWN_MAX: usize = 4;
/// Transactions that an explanation names.
const TRANSACTIONS_MAX: usize = 3;

/// A line of output and the part that it stands in.
pub(super) struct Shown<'a> {
    pub(super) line: String,
    pub(super) part: &'a Part,
}

/// The first lines of visible output that are meant, in the order in which they became visible.
pub(super) fn shown(outcome: &Outcome, meant: impl Fn(&str) -> bool) -> Vec<Shown<'_>> {
    let mut shown = Vec::new();
    for part in &outcome.visible {
        let text = String::from_utf8_lossy(&part.bytes);
        let lines = text.lines().filter(|line| meant(line)).take(SHOWN_MAX - shown.len());
        shown.extend(lines.map(|line| Shown { line: line.into(), part }));
        if shown.len() == SHOWN_MAX {
            break;
        }
    }
    shown
}

/// Attempts that wrote these parts.
pub(super) fn attempts(outcome: &Outcome, shown: &[Shown<'_>]) -> BTreeSet<Attempt> {
    shown.iter().filter_map(|shown| written(outcome, shown.part)).map(|(_, attempt)| attempt).collect()
}

/// When the transaction of a part was pre-committed for the last time before it became visible, and in which attempt.
fn written(outcome: &Outcome, part: &Part) -> Option<(Time, Attempt)> {
    let before = outcome.trace.events.iter().rev().filter(|record| record.at <= part.at);
    before.into_iter().find_map(|record| match &record.event {
        Event::SinkPreCommitted { attempt, checkpoint, subtask, .. }
            if *checkpoint == part.epoch && *subtask == part.subtask =>
        {
            Some((record.at, *attempt))
        }
        _ => None,
    })
}

/// `part-1-0-00000006-0000.txt, visible at 6.41s: transaction of 1#0, epoch 6, written in attempt 1, committed …`.
pub(super) fn committed(outcome: &Outcome, part: &Part) -> String {
    let mut text =
        format!("{}, visible at {}: transaction of {}, epoch {}", part.name, part.at, part.subtask, part.epoch);
    if let Some((_, attempt)) = written(outcome, part) {
        let _ = write!(text, ", written in {attempt}");
    }
    // The event follows the effect.
    let commit = outcome.trace.events.iter().find_map(|record| match &record.event {
        Event::SinkCommitted { attempt, epoch, subtask, checkpoint }
            if *epoch == part.epoch && *subtask == part.subtask && record.at >= part.at =>
        {
            Some((record, *attempt, *checkpoint))
        }
        _ => None,
    });
    match commit {
        Some((EventRecord { at, node, .. }, attempt, checkpoint)) => {
            let _ = write!(
                text,
                ", committed with checkpoint {checkpoint} in {attempt} (sink-committed on {node} at {at})"
            );
        }
        None => text.push_str(", no commit of it was reported"),
    }
    text
}

/// Which transactions of the epochs `(before, checkpoint]` never became visible: lines, and by when something must have gone
/// wrong. That is the abort of the first; of a transaction that was never committed it is the end of the run, since faults may
/// have struck while its commit was due; of what was lost before the sink, the checkpoint that covers it.
pub(super) fn missing(outcome: &Outcome, before: CheckpointId, checkpoint: CheckpointId) -> (String, Time) {
    let is_meant = |epoch: CheckpointId| epoch > before && epoch <= checkpoint;
    let is_visible =
        |subtask: SubtaskId, epoch| outcome.visible.iter().any(|part| (part.subtask, part.epoch) == (subtask, epoch));
    // Transactions with something in them, by subtask and epoch; an empty one makes nothing visible.
    let mut lost: BTreeSet<(CheckpointId, SubtaskId)> = BTreeSet::new();
    for record in &outcome.trace.events {
        if let Event::SinkPreCommitted { checkpoint, subtask, bytes, .. } = &record.event
            && *bytes > 0
            && is_meant(*checkpoint)
            && !is_visible(*subtask, *checkpoint)
        {
            lost.insert((*checkpoint, *subtask));
        }
    }
    if lost.is_empty() {
        let text =
            "\n  output: in no visible part, though every transaction of its epoch is visible: lost before the sink";
        let sealed_at = outcome.sealed.get(&checkpoint).map_or(outcome.ended_at, |sealed| sealed.at);
        return (text.into(), sealed_at);
    }
    let mut text = "\n  output: in no visible part".to_owned();
    let mut first: Option<Time> = None;
    for (epoch, subtask) in lost.iter().take(TRANSACTIONS_MAX) {
        let aborted = outcome.trace.events.iter().find(|record| {
            matches!(&record.event, Event::SinkAborted { epoch: of, subtask: by } if of == epoch && by == subtask)
        });
        match aborted {
            Some(EventRecord { at, node, .. }) => {
                let _ = write!(text, "; transaction of {subtask}, epoch {epoch}, was aborted on {node} at {at}");
                first = first.or(Some(*at));
            }
            None => {
                let _ =
                    write!(text, "; transaction of {subtask}, epoch {epoch}, was pre-committed and never committed");
                first = first.or(Some(outcome.ended_at));
            }
        }
    }
    if lost.len() > TRANSACTIONS_MAX {
        let _ = write!(text, "; and {} more", lost.len() - TRANSACTIONS_MAX);
    }
    (text, first.unwrap_or(outcome.ended_at))
}
