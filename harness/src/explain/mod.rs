//! Explanations of wrong output: which record, on which path, in which commit, and after which fault.
//!
//! A reference refuses output, and names a record or a line ([`Objection`]). Start at [`objection`]. It follows the
//! record through the run, from the source that read it, through the checkpoint that covers it, to the parts of output
//! that show it, and names the fault and the failover before. Everything is read from what the engine has reported and
//! left behind: events, manifests (`history`) and output (`output`). An explanation is text that is appended to the
//! evidence; it judges nothing.

use std::fmt::Write as _;

use flowquake_engine::event::Event;
use flowquake_engine::time::Time;

use self::history::History;
use crate::faults::kind;
use crate::jobs::{Objection, RecordId, Reference};
use crate::outcome::{Outcome, Part};
use crate::plan::RunPlan;

mod history;
mod output;

/// Explains what a reference refused, as lines to append to the evidence, each beginning with a line break. Empty if
/// neither record nor line is known.
pub fn objection(plan: &RunPlan, outcome: &Outcome, reference: &dyn Reference, objection: &Objection) -> String {
    let history = History::of(plan, outcome);
    let mut records = objection.records.clone();
    if records.is_empty() {
        records = objection.lines.iter().flat_map(|line| reference.origins(line)).collect();
    }
    let mut text = String::new();
    if records.is_empty() && objection.lines.is_empty() {
        return text;
    }
    let shown = output::shown(outcome, |line| {
        objection.lines.iter().any(|refused| refused == line)
            || records.iter().any(|record| reference.shows(line, *record))
    });
    let mut when = outcome.ended_at;
    // Something is missing from the output of its epoch if none of its lines is refused.
    let missing = objection.lines.is_empty();
    let mut due = None;
    if let Some(record) = records.first() {
        let _ = write!(text, "\n  {}", named(&records));
        let _ = write!(text, "; {}", history.readers(*record, &output::attempts(outcome, &shown)));
        due = history.covering(*record);
        match due {
            Some((before, checkpoint, sealed_at)) => {
                let _ = write!(
                    text,
                    "\n  epoch: checkpoint {checkpoint}, complete at {sealed_at}, is the first that covers it"
                );
                if shown.is_empty() {
                    let (lines, at) = output::missing(outcome, before, checkpoint);
                    text.push_str(&lines);
                    when = at;
                }
            }
            None => text.push_str("\n  epoch: no complete checkpoint covers it"),
        }
    }
    for (index, shown) in shown.iter().enumerate() {
        let elsewhere = due.filter(|(before, checkpoint, _)| {
            missing && !(shown.part.epoch > *before && shown.part.epoch <= *checkpoint)
        });
        let word = match (index, elsewhere) {
            (_, Some((before, checkpoint, _))) => {
                format!("output: missing from epoch ({before}, {checkpoint}], came out in epoch {}:", shown.part.epoch)
            }
            (0, None) => "output:".into(),
            (_, None) => "output: again,".into(),
        };
        let _ = write!(text, "\n  {word} `{}` in {}", shown.line, output::committed(outcome, shown.part));
        when = shown.part.at;
    }
    text.push_str(&before(plan, outcome, when));
    text
}

/// Explains a part of output that should not be there.
pub fn part(plan: &RunPlan, outcome: &Outcome, part: &Part) -> String {
    format!("\n  output: {}{}", output::committed(outcome, part), before(plan, outcome, part.at))
}

/// Such as `record: split 1, position 2041 (or one of 2 others that look the same)`.
fn named(records: &[RecordId]) -> String {
    let Some((first, others)) = records.split_first() else { return String::new() };
    match others.iter().filter(|other| *other != first).count() {
        0 => format!("record: {first}"),
        1 => format!("record: {first}, or {} which looks the same", others[0]),
        n => format!("record: {first}, or one of {n} others that look the same"),
    }
}

/// The last fault that struck up to `when`, and the last failover.
fn before(plan: &RunPlan, outcome: &Outcome, when: Time) -> String {
    let struck = plan.faults.iter().zip(&outcome.strikes).filter_map(|(fault, strike)| {
        let hit = strike.hits.iter().rev().find(|hit| hit.at <= when)?;
        let at = hit.at;
        Some((at, format!("fault {} ({} {}: {}) at {at}", fault.id, kind(&fault.action), hit.target, hit.detail)))
    });
    let fault = struck.max_by_key(|(at, _)| *at).map(|(_, text)| text);
    let parts: Vec<String> = fault.into_iter().chain(failover(outcome, when)).collect();
    if parts.is_empty() {
        "\n  before it: no fault, no failover".into()
    } else {
        format!("\n  before it: {}", parts.join("; "))
    }
}

fn failover(outcome: &Outcome, when: Time) -> Option<String> {
    let events = &outcome.trace.events;
    let last = events.iter().rposition(|r| r.at <= when && matches!(r.event, Event::FailoverBegun { .. }))?;
    let Event::FailoverBegun { attempt, cause, .. } = &events[last].event else { return None };
    let mut text = format!("{attempt} failed over at {} ({cause})", events[last].at);
    let next = events[last..].iter().find_map(|record| match &record.event {
        Event::DeploymentBegun { attempt, restored, .. } => Some((record.at, *attempt, *restored)),
        _ => None,
    });
    match next {
        Some((at, attempt, Some(restored))) => {
            let _ = write!(text, ", {attempt} restored checkpoint {restored} at {at}");
        }
        Some((at, attempt, None)) => {
            let _ = write!(text, ", {attempt} began anew at {at}");
        }
        None => text.push_str(", nothing was deployed after it"),
    }
    Some(text)
}

#[cfg(test)]
mod tests;
