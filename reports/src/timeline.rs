//! The textual timeline: one fixed-width line per entry, and the part of it that surrounds what went wrong.
//!
//! Start at [`excerpt`]. A line is time in seconds, node, sign, kind, text; faults carry a mark in the margin, so that they
//! are found without colours.

use crate::ansi::{Color, Style, clean, paint};
use crate::record::{RunRecord, TimelineEntry, TimelineKind};
use crate::units;

/// Entries shown on each side of a fault, heal, abort or failover.
const NEIGHBOURS: usize = 4;
/// Entries shown from the end of the run: a violation is often seen only there.
const LAST: usize = 8;
/// Names longer than this push their own line out of the column rather than every line.
const NODE_WIDTH_MAX: usize = 16;

/// Sign, word and style of a kind.
pub fn mark(kind: TimelineKind) -> (&'static str, &'static str, Style) {
    match kind {
        TimelineKind::Fault => ("▼", "fault", Style::Bad),
        TimelineKind::Heal => ("▲", "heal", Style::Good),
        TimelineKind::Checkpoint => ("●", "checkpoint", Style::Plain),
        TimelineKind::Abort => ("×", "abort", Style::Warn),
        TimelineKind::Commit => ("✓", "commit", Style::Plain),
        TimelineKind::Failover => ("↻", "failover", Style::Warn),
        TimelineKind::Restore => ("↓", "restore", Style::Plain),
        TimelineKind::Job => ("■", "job", Style::Heading),
    }
}

/// All lines of the timeline.
pub fn full(run: &RunRecord, color: Color) -> Vec<String> {
    let widths = Widths::of(&run.timeline);
    run.timeline.iter().map(|entry| line(entry, &widths, color)).collect()
}

/// The lines around faults, heals, aborts and failovers, and the last ones; what lies between is counted.
pub fn excerpt(run: &RunRecord, color: Color) -> Vec<String> {
    let widths = Widths::of(&run.timeline);
    let mut lines = Vec::new();
    let mut skipped = 0;
    for (entry, keep) in run.timeline.iter().zip(kept(&run.timeline)) {
        if !keep {
            skipped += 1;
            continue;
        }
        lines.extend(gap(skipped, color));
        skipped = 0;
        lines.push(line(entry, &widths, color));
    }
    // The last entries are always kept, so no gap is owed here.
    lines
}

fn kept(timeline: &[TimelineEntry]) -> Vec<bool> {
    let mut kept = vec![false; timeline.len()];
    kept[timeline.len().saturating_sub(LAST)..].fill(true);
    for (i, entry) in timeline.iter().enumerate() {
        use TimelineKind::{Abort, Failover, Fault, Heal};
        if matches!(entry.kind, Fault | Heal | Abort | Failover) {
            kept[i.saturating_sub(NEIGHBOURS)..timeline.len().min(i + NEIGHBOURS + 1)].fill(true);
        }
    }
    kept
}

fn gap(skipped: usize, color: Color) -> Option<String> {
    let noun = if skipped == 1 { "entry" } else { "entries" };
    (skipped > 0).then(|| paint(&format!("   … {} {noun}", units::count(skipped as u64)), Style::Dim, color))
}

struct Widths {
    time: usize,
    node: usize,
}

impl Widths {
    fn of(timeline: &[TimelineEntry]) -> Widths {
        let widest = |width: &dyn Fn(&TimelineEntry) -> usize| timeline.iter().map(width).max().unwrap_or(0);
        Widths {
            time: widest(&|entry| units::instant(entry.at_ns).len()),
            node: widest(&|entry| entry.node.chars().count()).min(NODE_WIDTH_MAX),
        }
    }
}

fn line(entry: &TimelineEntry, widths: &Widths, color: Color) -> String {
    let (sign, word, style) = mark(entry.kind);
    let margin = if entry.kind == TimelineKind::Fault { ">> " } else { "   " };
    let text = format!(
        "{margin}{:>time$}  {:<node$}  {sign} {word:<10}  {}",
        units::instant(entry.at_ns),
        clean(&entry.node),
        clean(&entry.text),
        time = widths.time,
        node = widths.node,
    );
    paint(text.trim_end(), style, color)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn an_excerpt_keeps_faults_and_the_end_and_counts_the_rest() {
        let mut run = fixtures::passed();
        let filler = TimelineEntry { at_ns: 1, kind: TimelineKind::Commit, ..run.timeline[2].clone() };
        run.timeline.splice(1..1, std::iter::repeat_n(filler, 30));
        let lines = excerpt(&run, Color::No);
        assert!(lines.iter().any(|line| line.starts_with(">> ")), "{lines:#?}");
        assert_eq!(lines[0], "   … 32 entries");
        assert!(lines.last().is_some_and(|line| line.ends_with("job finished")), "{lines:#?}");
    }

    #[test]
    fn an_empty_timeline_is_no_lines() {
        assert!(excerpt(&fixtures::empty(), Color::No).is_empty());
    }
}
