//! The timeline as text: one fixed-width line per state change, with a column per node. Also excerpts of it around what
//! went wrong.
//!
//! Start at [`excerpt`]. A line has margin, time in seconds, the nodes, kind and text. A node's column shows the mark
//! of what happened to it, a bar while the node is up, and nothing while it is down. Faults also have a mark in the
//! margin, so that they can be found without colours.
//!
//! ```text
//!                jm-1  tm-1  tm-2
//!      2.130000   ●     │     │    checkpoint  checkpoint 2 completed
//! >>   4.500000   │     │     ▼    fault       #1 kill tm-2: process killed
//!      5.550000   ↻     │          failover    heartbeat of tm-2 timed out
//! ```

use crate::ansi::{Color, Style, clean, paint};
use crate::record::{NodeLane, RunRecord, TimelineEntry, TimelineKind};
use crate::units;

/// Entries shown on each side of a fault, heal, abort or failover, if there is enough space.
const NEIGHBOURS: usize = 4;
/// Entries shown from the end of the run, because a violation often shows only there.
const LAST: usize = 8;
/// Most lines of an excerpt; the report has the rest.
const LINES_MAX: usize = 60;
/// Width for the nodes' columns. In a cluster that needs more, nodes are named in the lines instead.
const LANES_MAX: usize = 72;
/// Longest name that widens the column; longer names only shift their own lines.
const NODE_WIDTH_MAX: usize = 16;
/// Most characters of a line of an excerpt; longer texts are cut.
const LINE_MAX: usize = 160;

/// Symbol, word and style of a kind.
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

/// Names of the columns; `None` for an empty timeline.
pub fn heading(run: &RunRecord, color: Color) -> Option<String> {
    (!run.timeline.is_empty()).then(|| paint(Layout::of(run).heading().trim_end(), Style::Heading, color))
}

/// All lines of the timeline, one per entry.
pub fn full(run: &RunRecord, color: Color) -> Vec<String> {
    let layout = Layout::of(run);
    run.timeline.iter().map(|entry| paint(&layout.line(entry), mark(entry.kind).2, color)).collect()
}

/// The lines around faults, heals, aborts and failovers, and the last lines. Lines left out between them are counted.
pub fn excerpt(run: &RunRecord, color: Color) -> Vec<String> {
    let layout = Layout::of(run);
    let mut lines: Vec<String> = heading(run, color).into_iter().collect();
    let mut skipped = 0;
    for (entry, keep) in run.timeline.iter().zip(kept(&run.timeline)) {
        if !keep {
            skipped += 1;
            continue;
        }
        lines.extend(gap(skipped, color));
        skipped = 0;
        lines.push(paint(&cut(layout.line(entry)), mark(entry.kind).2, color));
    }
    // The last entries are always kept, so there is no gap at the end.
    lines
}

/// Which entries an excerpt shows: as much around each fault as fits into [`LINES_MAX`]; if there are too many faults,
/// the last ones.
fn kept(timeline: &[TimelineEntry]) -> Vec<bool> {
    let around = |neighbours: usize| {
        let mut kept = vec![false; timeline.len()];
        kept[timeline.len().saturating_sub(LAST)..].fill(true);
        for (i, entry) in timeline.iter().enumerate() {
            use TimelineKind::{Abort, Failover, Fault, Heal};
            if matches!(entry.kind, Fault | Heal | Abort | Failover) {
                kept[i.saturating_sub(neighbours)..timeline.len().min(i + neighbours + 1)].fill(true);
            }
        }
        kept
    };
    let count = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
    let fitting = (0..=NEIGHBOURS).rev().map(around).find(|kept| count(kept) <= LINES_MAX);
    let mut kept = fitting.unwrap_or_else(|| around(0));
    let surplus = count(&kept).saturating_sub(LINES_MAX);
    kept.iter_mut().filter(|kept| **kept).take(surplus).for_each(|kept| *kept = false);
    kept
}

fn gap(skipped: usize, color: Color) -> Option<String> {
    (skipped > 0).then(|| paint(&format!("   … {}", units::counted(skipped, "line")), Style::Dim, color))
}

fn cut(line: String) -> String {
    if line.chars().count() <= LINE_MAX { line } else { line.chars().take(LINE_MAX - 1).chain(['…']).collect() }
}

/// The layout of a line.
struct Layout<'a> {
    time: usize,
    nodes: Nodes<'a>,
}

/// How a line shows the node of an entry.
enum Nodes<'a> {
    /// A column per node.
    Lanes(Vec<Lane<'a>>),
    /// One column of this width with the node's name.
    Names(usize),
}

struct Lane<'a> {
    name: String,
    /// The node; `None` for something else, such as a store.
    node: Option<&'a NodeLane>,
}

impl Lane<'_> {
    fn width(&self) -> usize {
        self.name.chars().count().max(1)
    }

    fn is_up(&self, at_ns: u64) -> bool {
        self.node.is_some_and(|node| node.up.iter().any(|(from, to)| (*from..=*to).contains(&at_ns)))
    }
}

/// Nodes of an entry; a link has two.
fn concerned(entry: &TimelineEntry) -> impl Iterator<Item = &str> {
    entry.node.split_whitespace()
}

impl<'a> Layout<'a> {
    fn of(run: &'a RunRecord) -> Self {
        let time = run.timeline.iter().map(|entry| units::instant(entry.at_ns).len()).max().unwrap_or(0);
        let mut lanes: Vec<Lane<'a>> =
            run.nodes.iter().map(|node| Lane { name: clean(&node.name), node: Some(node) }).collect();
        for name in run.timeline.iter().flat_map(concerned) {
            if lanes.iter().all(|lane| lane.name != name) {
                lanes.push(Lane { name: clean(name), node: None });
            }
        }
        let width: usize = lanes.iter().map(|lane| lane.width() + 2).sum();
        let names = || run.timeline.iter().map(|entry| entry.node.chars().count().min(NODE_WIDTH_MAX)).max();
        let nodes = if width <= LANES_MAX { Nodes::Lanes(lanes) } else { Nodes::Names(names().unwrap_or(0)) };
        Layout { time, nodes }
    }

    fn heading(&self) -> String {
        let mut line = format!("   {:>time$}  ", "s", time = self.time);
        match &self.nodes {
            Nodes::Lanes(lanes) => lanes.iter().for_each(|lane| line.push_str(&format!("{}  ", lane.name))),
            Nodes::Names(width) => line.push_str(&format!("{:<width$}", "node")),
        }
        line
    }

    fn line(&self, entry: &TimelineEntry) -> String {
        let (sign, word, _) = mark(entry.kind);
        let margin = if entry.kind == TimelineKind::Fault { ">> " } else { "   " };
        let mut line = format!("{margin}{:>time$}  ", units::instant(entry.at_ns), time = self.time);
        match &self.nodes {
            Nodes::Lanes(lanes) => {
                for lane in lanes {
                    let sign = match (concerned(entry).any(|name| name == lane.name), lane.is_up(entry.at_ns)) {
                        (true, _) => sign,
                        (false, true) => "│",
                        (false, false) => " ",
                    };
                    line.push_str(&format!("{sign:^width$}  ", width = lane.width()));
                }
            }
            Nodes::Names(width) => line.push_str(&format!("{:<width$}  {sign} ", clean(&entry.node))),
        }
        line.push_str(&format!("{word:<10}  {}", clean(&entry.text)));
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn filled(fillers: usize) -> RunRecord {
        let mut run = fixtures::passed();
        let filler = TimelineEntry { at_ns: 1, kind: TimelineKind::Commit, ..run.timeline[2].clone() };
        run.timeline.splice(1..1, std::iter::repeat_n(filler, fillers));
        run
    }

    #[test]
    fn an_excerpt_keeps_faults_and_the_end_and_counts_the_rest() {
        let lines = excerpt(&filled(30), Color::No);
        assert!(lines.iter().any(|line| line.starts_with(">> ")), "{lines:#?}");
        assert_eq!(lines[1], "   … 32 lines");
        assert!(lines.last().is_some_and(|line| line.ends_with("job finished")), "{lines:#?}");
    }

    #[test]
    fn of_too_much_the_last_is_shown() {
        let mut run = filled(0);
        let fault = run.timeline.iter().find(|entry| entry.kind == TimelineKind::Fault).unwrap().clone();
        run.timeline.splice(1..1, std::iter::repeat_n(fault, 200));
        let lines = excerpt(&run, Color::No);
        assert_eq!(kept(&run.timeline).iter().filter(|kept| **kept).count(), LINES_MAX);
        assert!(lines.last().is_some_and(|line| line.ends_with("job finished")), "{lines:#?}");
    }

    #[test]
    fn every_node_has_a_column_that_is_empty_while_it_is_down() {
        insta::assert_snapshot!("lanes", full(&fixtures::passed(), Color::No).join("\n"));
    }

    #[test]
    fn a_link_marks_both_ends_and_a_store_has_a_column() {
        let mut run = fixtures::passed();
        run.timeline.truncate(2);
        run.timeline[0].node = "tm-1 tm-3".into();
        run.timeline[1].node = "store".into();
        let lines = excerpt(&run, Color::No);
        insta::assert_snapshot!("lanes_of_links", lines.join("\n"));
    }

    #[test]
    fn a_large_cluster_has_its_nodes_named() {
        let mut run = fixtures::passed();
        run.nodes = (0..40).map(|n| NodeLane { name: format!("tm-{n}"), up: vec![] }).collect();
        let lines = full(&run, Color::No);
        assert_eq!(lines[0], "    0.000000  jm-1  ■ job         job running, attempt 1");
    }

    #[test]
    fn a_long_line_is_cut_in_an_excerpt_only() {
        let mut run = fixtures::passed();
        run.timeline[0].text = "x".repeat(500);
        run.timeline.truncate(1);
        assert_eq!(excerpt(&run, Color::No)[1].chars().count(), LINE_MAX);
        assert!(full(&run, Color::No)[0].ends_with(&"x".repeat(500)));
    }

    #[test]
    fn an_empty_timeline_is_no_lines() {
        assert!(excerpt(&fixtures::empty(), Color::No).is_empty());
    }
}
