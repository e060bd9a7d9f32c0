//! Where output shows a record and which subtask committed it; and, if no output shows it, which transaction is
//! missing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::{Attempt, CheckpointId, SubtaskId};
use flowquake_engine::time::Time;

use crate::outcome::{Outcome, Part};

/// Most lines that an explanation names; further lines of the same record are left out.
const SHOWN_MAX: usize = 4;
/// Most transactions that an explanation names.
const TRANSACTIONS_MAX: usize = 3;

/// A line of output, and the part that contains it.
pub(super) struct Shown<'a> {
    pub(super) line: String,
    pub(super) part: &'a Part,
}

/// The first lines of visible output that `meant` accepts, in the order in which they became visible.
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

/// When the transaction of a part was last pre-committed before the part became visible, and in which attempt.
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

/// Such as `part-1-0-00000006-0000.txt, visible at 6.41s: transaction of 1#0, epoch 6, written in attempt 1, committed
/// …`.
pub(super) fn committed(outcome: &Outcome, part: &Part) -> String {
    let mut text =
        format!("{}, visible at {}: transaction of {}, epoch {}", part.name, part.at, part.subtask, part.epoch);
    if let Some((_, attempt)) = written(outcome, part) {
        let _ = write!(text, ", written in {attempt}");
    }
    // The event comes after the effect.
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

/// Which transactions of the epochs `(before, checkpoint]` never became visible, as lines, and the time by which
/// something must have gone wrong. For an aborted transaction that is the first abort. For one that was never committed
/// it is the end of the run, because faults may have struck while its commit was due. For data lost before the sink it
/// is the checkpoint that covers it.
pub(super) fn missing(outcome: &Outcome, before: CheckpointId, checkpoint: CheckpointId) -> (String, Time) {
    let is_meant = |epoch: CheckpointId| epoch > before && epoch <= checkpoint;
    let is_visible =
        |subtask: SubtaskId, epoch| outcome.visible.iter().any(|part| (part.subtask, part.epoch) == (subtask, epoch));
    // Transactions with content, by subtask and epoch; an empty transaction makes nothing visible.
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
