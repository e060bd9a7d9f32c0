//! The longest outage of each scenario on each target, as a picture: a bar of its parts, and a line from the least to the greatest.
//!
//! Start at [`standalone`], a file of its own, or [`fragment`] for a page that holds [`STYLE`]. Lengths map to x monotonically and stay
//! in the plot; no text of a record enters unescaped; coordinates are computed without floats.

use std::fmt::Write as _;

use super::{Comparison, Side};
use crate::record::{Lapse, RecoveryParts};
use crate::svg::escape;
use crate::units;

/// CSS of the picture.
pub const STYLE: &str = include_str!("picture.css");

/// Width in user units.
const WIDTH: u64 = 1_160;
/// Left edge of the bars; targets stand before it.
const LEFT: u64 = 100;
/// Right edge of the bars; lengths stand behind it.
const RIGHT: u64 = WIDTH - 130;
/// From bar to bar.
const STEP: u64 = 20;
/// Height of a bar.
const BAR: u64 = 12;
/// Scenarios that are drawn.
const ROWS_MAX: usize = 60;

/// Classes and words of the parts, in order.
const PARTS: [(&str, &str); 7] = [
    ("before", "before"),
    ("detect", "detect"),
    ("delay", "restart delay"),
    ("slots", "slots"),
    ("deploy", "deploy"),
    ("restore", "restore"),
    ("init", "init"),
];

/// The picture as a file of its own; `None`: there was no outage.
pub fn standalone(comparison: &Comparison) -> Option<String> {
    let style = format!("<style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    draw(comparison, &style)
}

/// The picture as a fragment.
pub fn fragment(comparison: &Comparison) -> Option<String> {
    draw(comparison, "")
}

fn draw(comparison: &Comparison, style: &str) -> Option<String> {
    let rows: Vec<_> =
        comparison.rows.iter().filter(|row| row.sides.iter().any(|side| side.outage.is_some())).collect();
    let drawn = &rows[..rows.len().min(ROWS_MAX)];
    let sides = || drawn.iter().flat_map(|row| &row.sides);
    let longest = sides().filter_map(|side| Some(length(side.outage?.max))).max()?.max(1);
    let lines: u64 = drawn.iter().map(|row| 1 + row.sides.len() as u64).sum();
    let height = 40 + lines * STEP + if rows.len() > drawn.len() { STEP } else { 0 };
    let x = |ns: u64| LEFT + (u128::from(ns.min(longest)) * u128::from(RIGHT - LEFT) / u128::from(longest)) as u64;
    let mut svg = format!(
        "<svg class=\"fq-targets\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title>Longest outages on {}</title>\n{style}",
        escape(&comparison.targets.join(", "))
    );
    let mut put = |text: String| svg.push_str(&text);
    for (number, (class, word)) in (0..).zip(PARTS) {
        let at = LEFT + number * 120;
        put(format!(
            "<rect class=\"{class}\" x=\"{at}\" y=\"8\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"18\">{word}</text>\n",
            at + 17
        ));
    }
    let mut y = 34;
    for row in drawn {
        put(format!("<text class=\"name\" x=\"4\" y=\"{}\">{}</text>\n", y + 11, escape(&row.scenario)));
        y += STEP;
        for side in &row.sides {
            put(format!("<text class=\"dim\" x=\"16\" y=\"{}\">{}</text>\n", y + 10, escape(&side.target)));
            put(bar(side, y, &x));
            y += STEP;
        }
    }
    if rows.len() > drawn.len() {
        put(format!(
            "<text class=\"dim\" x=\"4\" y=\"{}\">and {} without a picture</text>\n",
            y + 10,
            units::counted(rows.len() - drawn.len(), "scenario")
        ));
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn bar(side: &Side, y: u64, x: &dyn Fn(u64) -> u64) -> String {
    let mut out = String::new();
    let Some(spread) = side.outage else {
        let word = if side.verdict.ran() { "no outage" } else { side.verdict.label() };
        return format!("<text class=\"dim\" x=\"{LEFT}\" y=\"{}\">{word}</text>\n", y + 10);
    };
    let median = length(spread.median);
    let mut from = 0;
    let parts = side.median_outage.and_then(|outage| outage.parts).map(parts);
    for ((class, word), ns) in PARTS.iter().zip(parts.unwrap_or_default()) {
        let to = from + ns;
        let width = x(to).saturating_sub(x(from));
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\"><title>{word} {}</title></rect>",
            x(from),
            units::duration(ns)
        );
        from = to;
    }
    if parts.is_none() {
        let width = x(median) - LEFT;
        let _ = write!(out, "<rect class=\"open\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\"/>");
    }
    let middle = y + BAR / 2;
    let (least, greatest) = (x(length(spread.min)), x(length(spread.max)));
    if spread.count > 1 {
        let _ = write!(out, "<path class=\"range\" d=\"M{least} {middle}H{greatest}\"/>");
    }
    let end = greatest.max(x(median));
    let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", end + 6, y + 10, escape(&spread.median.to_string()));
    out
}

fn parts(parts: RecoveryParts) -> [u64; 7] {
    [
        parts.stalled_ns.saturating_add(parts.superseded_ns),
        parts.detect_ns,
        parts.backoff_or_cancel_ns,
        parts.slots_ns,
        parts.deploy_ns,
        parts.restore_ns,
        parts.init_ns,
    ]
}

fn length(lapse: Lapse) -> u64 {
    match lapse {
        Lapse::Ns(ns) | Lapse::Over(ns) => ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::set;
    use crate::fixtures;
    use crate::record::RunSet;

    #[test]
    fn each_target_has_a_bar_and_its_range() {
        let comparison = Comparison::of(&set()).unwrap();
        let picture = standalone(&comparison).unwrap();
        assert_eq!(picture.matches("class=\"range\"").count(), 1, "one side has several runs");
        assert_eq!(picture.matches("<title>detect ").count(), 5);
        assert!(picture.contains(">not offered</text>") && picture.contains(">3.550 s</text>"), "{picture}");
        assert_eq!(picture, standalone(&comparison).unwrap());
    }

    #[test]
    fn without_an_outage_there_is_no_picture() {
        let mut set = set();
        set.runs.iter_mut().for_each(|run| run.recoveries.clear());
        assert_eq!(fragment(&Comparison::of(&set).unwrap()), None);
    }

    #[test]
    fn what_had_no_end_is_drawn_open() {
        let mut runs = vec![fixtures::passed(), fixtures::passed()];
        runs[1].target = "process".into();
        (runs[1].recoveries[0].parts, runs[1].recoveries[0].unended_ns) = (None, Some(9_000_000_000));
        let picture = fragment(&Comparison::of(&RunSet { runs, ..fixtures::set() }).unwrap()).unwrap();
        assert!(picture.contains("class=\"open\"") && picture.contains("&gt; 9.000 s"), "{picture}");
    }
}
