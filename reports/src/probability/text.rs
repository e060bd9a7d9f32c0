//! The curve for a terminal, in columns of block characters, or of ASCII characters if the terminal has no others.
//!
//! Start at [`chart`]. Every column shows the measured share at or before its number of events, because nothing was
//! measured in between.

use super::{CurvePoint, FailureCurve, percent};
use crate::ansi::{Color, Style, clean, paint};
use crate::table::Align::{Left, Right};
use crate::table::{Cell, Table};
use crate::units;

/// Lines of the chart.
const HEIGHT: u64 = 8;
/// Least and greatest number of columns: enough to be readable, and few enough that a step still looks like a step.
const COLUMNS: (usize, usize) = (10, 100);
/// Width of `100 % │`, which stands before the columns.
const SIDE: usize = 8;

/// Which characters a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// Eighths of a block.
    Blocks,
    /// `#`, `|` and `-`.
    Ascii,
}

impl Signs {
    /// The character for this many eighths of a cell.
    fn cell(self, eighths: u64) -> char {
        match (self, eighths) {
            (_, 0) => ' ',
            (Signs::Blocks, 1..=8) => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][eighths as usize - 1],
            (Signs::Blocks, _) => '█',
            (Signs::Ascii, 1..=3) => '.',
            (Signs::Ascii, _) => '#',
        }
    }

    fn frame(self) -> (char, char, char, char) {
        match self {
            Signs::Blocks => ('│', '└', '─', '▲'),
            Signs::Ascii => ('|', '+', '-', '^'),
        }
    }
}

/// The curve in lines of at most `width` characters, with the strikes of faults below it and a text that says where it
/// steps.
pub fn chart(curve: &FailureCurve, width: usize, signs: Signs, color: Color) -> String {
    let columns = width.saturating_sub(SIDE).clamp(COLUMNS.0, COLUMNS.1);
    let (side, corner, floor, mark) = signs.frame();
    // A column stands for this many events.
    let events = |column: usize| curve.events * column as u64 / (columns as u64 - 1);
    let corners = curve.corners();
    let share = |column: usize| {
        let upto = events(column);
        corners.iter().rev().find(|(at, _)| *at <= upto).or(corners.first()).map_or(0.0, |(_, share)| *share)
    };
    let eighths: Vec<u64> = (0..columns).map(|at| libm::round(share(at) * (8 * HEIGHT) as f64) as u64).collect();
    let mut out = format!("share of runs that fail in the same way ({})\n", clean(&curve.failure));
    for line in (0..HEIGHT).rev() {
        let label = match line {
            line if line == HEIGHT - 1 => "100 %",
            line if line == HEIGHT / 2 - 1 => " 50 %",
            0 => "  0 %",
            _ => "     ",
        };
        let cells: String = eighths.iter().map(|height| signs.cell(height.saturating_sub(8 * line).min(8))).collect();
        out.push_str(&format!("{label} {side}{}\n", paint(cells.trim_end(), Style::Bad, color)));
    }
    out.push_str(&format!("      {corner}{}\n", floor.to_string().repeat(columns)));
    let mut marks = vec![' '; columns];
    for strike in &curve.strikes {
        let column = (strike.after_events.min(curve.events) * (columns as u64 - 1)).checked_div(curve.events);
        marks[column.unwrap_or(0) as usize] = mark;
    }
    let marks: String = marks.into_iter().collect();
    if !marks.trim().is_empty() {
        out.push_str(&format!("       {}\n", marks.trim_end()));
    }
    let last = units::counted(curve.events as usize, "event");
    let gap = columns.saturating_sub(1 + last.chars().count());
    out.push_str(&format!("       0{}{last}\n", " ".repeat(gap)));
    for strike in &curve.strikes {
        let after = units::count(strike.after_events);
        out.push_str(&format!("       {mark} fault {}, {}: after {after}\n", strike.fault, clean(&strike.kind)));
    }
    out
}

/// What the curve shows, in a sentence, and the events in which the failure was decided.
pub fn findings(curve: &FailureCurve) -> String {
    let first = curve.points.first().filter(|point| point.after_events == 0).map(|point| point.share);
    let Some(step) = &curve.step else {
        return match first {
            Some(share) if share > 0.5 => format!(
                "the failure hardly depends on timing: with all of it drawn anew {} of the runs still fail\n",
                percent(share)
            ),
            _ => "nothing that these runs can tell from chance: take more --samples\n".to_owned(),
        };
    };
    let (before, after) = (percent(step.before), percent(step.after));
    let head = if step.to == step.from + 1 {
        format!("decided at event {}: {before} before, {after} after", units::count(step.to))
    } else {
        let (from, to) = (units::count(step.from + 1), units::count(step.to));
        format!("decided between events {from} and {to}: {before} before, {after} after")
    };
    let events: String = step.events.iter().map(|event| format!("  {}\n", clean(event))).collect();
    let more = (step.to - step.from).saturating_sub(step.events.len() as u64);
    let more = if more > 0 { format!("  … and {} more\n", units::count(more)) } else { String::new() };
    format!("{head}\n{events}{more}")
}

/// A row per point.
pub fn table(curve: &FailureCurve) -> Table {
    let mut table = Table::new([
        ("events kept", Right),
        ("runs", Right),
        ("failed so", Right),
        ("failed otherwise", Right),
        ("share", Right),
        ("95 % interval", Left),
    ]);
    for point in &curve.points {
        let CurvePoint { after_events, runs, failed, failed_otherwise, share, low, high } = *point;
        table.row([
            Cell::count(after_events),
            Cell::count(runs),
            Cell::count(failed),
            Cell::count(failed_otherwise),
            Cell::new(percent(share)),
            Cell::new(format!("{} to {}", percent(low), percent(high))),
        ]);
    }
    table
}
