//! The timeline of one run as a picture: what was up, when each checkpoint ran, where faults struck, how the recovery
//! went.
//!
//! Start at [`standalone`], which makes the file that `flowquake export --format svg` writes; [`timeline`] gives the
//! same as a fragment for a page that has [`STYLE`]. The picture is static; the report has an interactive one
//! ([`spacetime`](crate::spacetime)). From top to bottom: fault numbers, checkpoints of the JobManager, one lane per
//! node, recoveries, time axis. Faults are drawn across all lanes, because the reader wants to see their effect on the
//! others. Every mark has a `<title>` with its numbers.
//!
//! Invariants: (SVG-S1) time maps to x monotonically and stays inside the plot, whatever the record says; (SVG-S2) no
//! text of the record enters unescaped; (SVG-S3) no `id`, so that many pictures can be in one page. Coordinates are
//! integers or tenths, computed without floats: the same record gives the same bytes.
//!
//! `load` draws what each subtask did with its time, on the same axis. `plot` and `scale` draw another kind of picture,
//! curves over the period, for [`tuning`](crate::tuning) and `curves`.

mod axis;
pub(crate) mod load;
pub(crate) mod plot;
pub(crate) mod scale;

use std::fmt::Write as _;

pub(crate) use self::axis::px;
use self::axis::{Axis, tick_label};
use crate::record::{CheckpointEnd, CheckpointRecord, FaultRecord, Lapse, NodeLane, RecoveryRecord, RunRecord};
use crate::units;

/// Width of the picture in user units.
const WIDTH: u64 = 1_160;
/// Left edge of the plot; names of lanes are to its left.
const LEFT: u64 = 132;
/// Right edge of the plot.
const RIGHT: u64 = WIDTH - 16;
/// Height of a lane and distance from lane to lane.
const LANE: u64 = 18;
const LANE_STEP: u64 = 30;
/// Width of one character of the 11 px font, rounded up; decides whether a label fits into its bar.
const CHAR: u64 = 6;
/// More dots than this would become a grey smear in a large file. The picture then says how many it left out.
const DOTS_MAX: usize = 2_000;

const _: () = assert!(LANE < LANE_STEP, "bars of neighbouring lanes must not touch");

/// CSS of the picture. Colours are variables, so that dark mode is a single block.
pub const STYLE: &str = include_str!("timeline.css");

/// The picture as an SVG file of its own.
pub fn standalone(run: &RunRecord) -> String {
    // Viewers paint white behind a picture whatever the colour scheme, so the file has a background of its own.
    let style = format!("<style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    draw(run, &style)
}

/// The picture as an SVG fragment for a page that holds [`STYLE`].
pub fn timeline(run: &RunRecord) -> String {
    draw(run, "")
}

fn draw(run: &RunRecord, style: &str) -> String {
    let axis = Axis::of(run);
    let struck: Vec<(&FaultRecord, u64)> = run.faults.iter().filter_map(|f| Some((f, f.struck_at_ns?))).collect();
    let chips = rows(struck.iter().map(|(_, at)| axis.x(*at).saturating_sub(90)).map(|x| (x, x + 180)));
    let places: Vec<RecoveryPlace> = run.recoveries.iter().map(|r| recovery_place(r, &axis)).collect();
    let recovery_rows = rows(places.iter().map(|place| place.extent));

    // Vertical layout, from top to bottom.
    let top = 6 + 20 * height(&chips);
    let nodes_top = top + LANE_STEP;
    let recoveries_top = nodes_top + LANE_STEP * run.nodes.len() as u64;
    let bottom = recoveries_top + LANE_STEP * height(&recovery_rows);
    let legend_top = bottom + 40;
    let dots_total: usize = run.checkpoints.iter().map(|c| c.subtasks.len()).sum();
    let left_out = if dots_total > DOTS_MAX { dots_total } else { 0 };
    let total_height = legend_top + if left_out > 0 { 28 } else { 12 };

    let mut svg = format!(
        "<svg class=\"fq\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {total_height}\">\n\
         <title>{}</title>\n{style}",
        escape(&format!("Timeline of {}, seed {}", run.scenario, run.seed))
    );
    grid(&mut svg, &axis, top, bottom);
    fault_bands(&mut svg, &struck, &axis, top, bottom);
    lane_name(&mut svg, "checkpoints", top);
    for (i, checkpoint) in run.checkpoints.iter().enumerate() {
        let next = run.checkpoints.get(i + 1).map_or(10 * RIGHT, |next| axis.x(next.triggered_at_ns));
        checkpoint_span(&mut svg, run, checkpoint, &axis, (top, next));
    }
    for (node, y) in run.nodes.iter().zip((nodes_top..).step_by(LANE_STEP as usize)) {
        node_lane(&mut svg, node, &axis, y);
    }
    if left_out == 0 {
        dots(&mut svg, run, &axis, nodes_top);
    }
    for ((recovery, place), row) in run.recoveries.iter().zip(&places).zip(&recovery_rows) {
        let y = recoveries_top + LANE_STEP * row;
        if *row == 0 {
            lane_name(&mut svg, &units::noun_for(run.recoveries.len(), "recovery"), y);
        }
        recovery_bar(&mut svg, recovery, place, &axis, y);
    }
    fault_chips(&mut svg, &struck, &chips, &axis, bottom);
    legend(&mut svg, run, left_out, legend_top);
    svg.push_str("</svg>\n");
    svg
}

/// Puts each extent (in tenths, in any order) into the first row in which it overlaps no earlier extent.
pub(crate) fn rows(extents: impl Iterator<Item = (u64, u64)>) -> Vec<u64> {
    let mut taken: Vec<Vec<(u64, u64)>> = Vec::new();
    let place = |(from, to): (u64, u64)| {
        let free = |row: &Vec<(u64, u64)>| row.iter().all(|(a, b)| to <= *a || *b <= from);
        let row = taken.iter().position(free).unwrap_or_else(|| {
            taken.push(Vec::new());
            taken.len() - 1
        });
        taken[row].push((from, to));
        row as u64
    };
    extents.map(place).collect()
}

/// Number of rows that [`rows`] used.
pub(crate) fn height(rows: &[u64]) -> u64 {
    rows.iter().max().map_or(0, |last| last + 1)
}

fn grid(svg: &mut String, axis: &Axis, top: u64, bottom: u64) {
    let tick = axis.tick_ns();
    let mut at = 0;
    while at <= axis.end_ns {
        let x = px(axis.x(at));
        let _ = writeln!(svg, "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>");
        let label = escape(&tick_label(at, tick));
        let _ =
            writeln!(svg, "<text class=\"dim\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 14);
        let Some(next) = at.checked_add(tick) else { break };
        at = next;
    }
}

fn lane_name(svg: &mut String, name: &str, y: u64) {
    let shown: String =
        if name.chars().count() > 16 { name.chars().take(15).chain(['…']).collect() } else { name.to_owned() };
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", LEFT - 12, y + 13, escape(&shown));
}

/// `next` is where the next checkpoint begins, in tenths: a label that does not fit into its bar may extend that far.
fn checkpoint_span(
    svg: &mut String,
    run: &RunRecord,
    checkpoint: &CheckpointRecord,
    axis: &Axis,
    (y, next): (u64, u64),
) {
    let ended = checkpoint.ended_at_ns.or_else(|| run.course.abandoned_ns(checkpoint));
    let to = ended.unwrap_or(axis.end_ns);
    let (x, width) = axis.span(checkpoint.triggered_at_ns, to, 20);
    let took = units::duration(to.saturating_sub(checkpoint.triggered_at_ns));
    let (class, story) = match &checkpoint.end {
        CheckpointEnd::Completed => ("done", format!("completed in {took}")),
        CheckpointEnd::Aborted { reason } => ("lost", format!("aborted after {took}: {reason}")),
        CheckpointEnd::Unfinished if ended.is_some() => ("open", format!("left unfinished after {took}")),
        CheckpointEnd::Unfinished => ("open", "unfinished".to_owned()),
    };
    let title = format!("checkpoint {} ({}, attempt {}) {story}", checkpoint.id, checkpoint.kind, checkpoint.attempt);
    rect(svg, class, (x, width), (y, LANE), &title);
    let label = checkpoint.id.to_string();
    if bar_label(svg, &label, (x, width), y) || x + width + label_width(&label) > next {
        return;
    }
    let _ = writeln!(svg, "<text class=\"dim\" x=\"{}\" y=\"{}\">{label}</text>", px(x + width + 30), y + 13);
}

fn node_lane(svg: &mut String, node: &NodeLane, axis: &Axis, y: u64) {
    lane_name(svg, &node.name, y);
    for (from, to) in &node.up {
        let title = format!("{} up from {} s to {} s", node.name, units::instant(*from), units::instant(*to));
        rect(svg, "up", axis.span(*from, *to, 10), (y, LANE), &title);
    }
}

/// Acknowledgements as dots in the lane of their node.
fn dots(svg: &mut String, run: &RunRecord, axis: &Axis, nodes_top: u64) {
    for checkpoint in &run.checkpoints {
        // Dots of subtasks on one node are put side by side in its lane, because otherwise the last would hide the
        // others.
        let mut seen = vec![0; run.nodes.len()];
        for subtask in &checkpoint.subtasks {
            let lane = run.nodes.iter().position(|node| node.name == subtask.node);
            let (Some(lane), Some(at)) = (lane, subtask.acknowledged_ns) else { continue };
            let offset = [9, 4, 14, 6, 12][seen[lane] % 5];
            seen[lane] += 1;
            let class = match checkpoint.end {
                CheckpointEnd::Completed => "done",
                CheckpointEnd::Aborted { .. } => "lost",
                CheckpointEnd::Unfinished => "open",
            };
            let title = format!(
                "{}: checkpoint {} acknowledged {} after its trigger, {}",
                subtask.subtask,
                checkpoint.id,
                units::duration(at.saturating_sub(checkpoint.triggered_at_ns)),
                units::bytes(subtask.state_bytes)
            );
            let _ = writeln!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{}\" cy=\"{}\" r=\"3\"><title>{}</title></circle>",
                px(axis.x(at)),
                nodes_top + LANE_STEP * lane as u64 + offset,
                escape(&title)
            );
        }
    }
}

/// Where a recovery is drawn, in tenths.
struct RecoveryPlace {
    /// Left and right end of bar and label together, which the row has to keep free.
    extent: (u64, u64),
    /// x and anchor of the label; `None`: there is no space on either side, and only the tables have the numbers.
    label: Option<(u64, &'static str)>,
}

fn recovery_place(recovery: &RecoveryRecord, axis: &Axis) -> RecoveryPlace {
    let outage_end = recovery.failed_at_ns.saturating_add(seen_ns(recovery));
    let from = axis.x(recovery.failed_at_ns);
    let to = axis.x(outage_end.max(recovery.caught_up_at_ns.unwrap_or(0)));
    let width = label_width(&recovery_label(recovery));
    if to + width <= 10 * WIDTH {
        RecoveryPlace { extent: (from, to + width), label: Some((to + 60, "start")) }
    } else if from >= 10 * LEFT + width {
        RecoveryPlace { extent: (from - width, to), label: Some((from - 60, "end")) }
    } else {
        RecoveryPlace { extent: (from, to), label: None }
    }
}

/// The length of the outage as far as it was seen.
fn seen_ns(recovery: &RecoveryRecord) -> u64 {
    match recovery.outage() {
        Lapse::Ns(ns) | Lapse::Over(ns) => ns,
    }
}

fn recovery_label(recovery: &RecoveryRecord) -> String {
    let outage = format!("outage {}", recovery.outage());
    if recovery.outage_ns().is_none() || recovery.is_stall() {
        return outage;
    }
    match recovery.caught_up_at_ns.and_then(|at| at.checked_sub(recovery.failed_at_ns)) {
        Some(ns) => format!("{outage}, caught up after {}", units::duration(ns)),
        None => format!("{outage}, not caught up"),
    }
}

fn recovery_bar(svg: &mut String, recovery: &RecoveryRecord, place: &RecoveryPlace, axis: &Axis, y: u64) {
    let mut at = recovery.failed_at_ns;
    if let Some(parts) = &recovery.parts {
        for (i, (name, ns)) in parts.named().into_iter().enumerate().filter(|(_, (_, ns))| *ns > 0) {
            let to = at.saturating_add(ns);
            let span = axis.span(at, to, 8);
            rect(svg, &format!("p{i}"), span, (y, LANE), &format!("{name}: {}", units::duration(ns)));
            bar_label(svg, name, span, y);
            at = to;
        }
    }
    if let Lapse::Over(ns) = recovery.outage() {
        let title = format!("no lasting progress for {} until the run ended", units::duration(ns));
        rect(svg, "unended", axis.span(at, at.saturating_add(ns), 8), (y, LANE), &title);
    }
    if let Some(caught_up) = recovery.caught_up_at_ns.filter(|t| *t > at) {
        let title = format!("catch-up: {}", units::duration(caught_up - at));
        rect(svg, "late", axis.span(at, caught_up, 8), (y + 5, LANE - 10), &title);
    }
    if let Some((x, anchor)) = place.label {
        let label = escape(&recovery_label(recovery));
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>", px(x), y + 13);
    }
}

/// Red areas from strike to heal, drawn below everything else.
fn fault_bands(svg: &mut String, struck: &[(&FaultRecord, u64)], axis: &Axis, top: u64, bottom: u64) {
    for (fault, at) in struck {
        let Some(healed) = fault.healed_at_ns else { continue };
        let title = fault_title(fault, *at);
        rect(svg, "band", axis.span(*at, healed, 10), (top - 4, bottom - top + 4), &title);
    }
}

/// Lines and numbers of strikes, drawn above everything else.
fn fault_chips(svg: &mut String, struck: &[(&FaultRecord, u64)], rows: &[u64], axis: &Axis, bottom: u64) {
    for ((fault, at), row) in struck.iter().zip(rows) {
        let x = axis.x(*at);
        let y = 2 + 20 * row;
        let title = escape(&fault_title(fault, *at));
        let _ = writeln!(
            svg,
            "<g><title>{title}</title><line class=\"strike\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{bottom}\"/>\
             <rect class=\"chip\" x=\"{}\" y=\"{y}\" width=\"18\" height=\"16\" rx=\"3\"/>\
             <text class=\"on\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>",
            y + 16,
            px(x - 90),
            y + 12,
            fault.id,
            x = px(x),
        );
    }
}

fn fault_title(fault: &FaultRecord, struck_at_ns: u64) -> String {
    let until = fault.healed_at_ns.map_or_else(String::new, |ns| format!(", healed at {} s", units::instant(ns)));
    format!(
        "fault #{}: {} {}, struck at {} s{until}. {}",
        fault.id,
        fault.kind,
        fault.target,
        units::instant(struck_at_ns),
        fault.detail
    )
}

/// A bar with a tooltip; `x` as (start, width) in tenths, `y` as (top, height).
fn rect(svg: &mut String, class: &str, x: (u64, u64), y: (u64, u64), title: &str) {
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
        px(x.0),
        y.0,
        px(x.1),
        y.1,
        escape(title)
    );
}

/// Writes a label into a bar if it fits, and returns whether it did.
fn bar_label(svg: &mut String, label: &str, x: (u64, u64), y: u64) -> bool {
    let fits = label_width(label) <= x.1;
    if fits {
        let x = px(x.0 + x.1 / 2);
        let label = escape(label);
        let _ = writeln!(svg, "<text class=\"on\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", y + 13);
    }
    fits
}

/// Width of a label with space on both sides, in tenths.
fn label_width(label: &str) -> u64 {
    10 * CHAR * label.chars().count() as u64 + 80
}

/// The legend, with only those colours that the picture uses.
fn legend(svg: &mut String, run: &RunRecord, dots_left_out: usize, y: u64) {
    let has = |wanted: fn(&CheckpointEnd) -> bool| run.checkpoints.iter().any(|c| wanted(&c.end));
    let mut entries = Vec::new();
    let mut add = |present: bool, class: &str, label: &str| {
        if present {
            entries.push((class.to_owned(), label.to_owned()));
        }
    };
    add(has(|end| *end == CheckpointEnd::Completed), "done", "checkpoint completed");
    add(has(|end| matches!(end, CheckpointEnd::Aborted { .. })), "lost", "aborted");
    add(has(|end| *end == CheckpointEnd::Unfinished), "open", "unfinished");
    add(!run.nodes.is_empty(), "up", "node up");
    add(run.faults.iter().any(|f| f.struck_at_ns.is_some()), "chip", "fault");
    let parts: Vec<_> = run.recoveries.iter().filter_map(|r| r.parts).collect();
    for (i, (name, _)) in crate::record::RecoveryParts::default().named().into_iter().enumerate() {
        add(parts.iter().any(|p| p.named()[i].1 > 0), &format!("p{i}"), name);
    }
    add(run.recoveries.iter().any(|r| r.parts.is_none()), "unended", "outage without an end");
    add(run.recoveries.iter().any(|r| r.caught_up_at_ns.is_some()), "late", "catch-up");

    let mut x = LEFT;
    for (class, label) in &entries {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\"/>\
             <text class=\"dim\" x=\"{}\" y=\"{y}\">{label}</text>",
            y - 9,
            x + 14
        );
        x += 14 + CHAR * label.chars().count() as u64 + 12;
    }
    if dots_left_out > 0 {
        let left_out = units::count(dots_left_out as u64);
        let y = y + 16;
        let _ =
            writeln!(svg, "<text class=\"dim\" x=\"{LEFT}\" y=\"{y}\">{left_out} acknowledgements not drawn</text>");
    }
}

/// Escapes text for XML text or attribute values. Characters that XML forbids become spaces (SVG-S2).
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    #[test]
    fn picture_of_a_recovery() {
        insta::assert_snapshot!("timeline", timeline(&fixtures::passed()));
    }

    #[test]
    fn overlapping_extents_take_rows_of_their_own() {
        assert_eq!(rows([(0, 10), (5, 15), (10, 20), (12, 30)].into_iter()), [0, 1, 0, 2]);
    }

    #[test]
    fn too_many_dots_are_left_out_and_counted() {
        let mut run = fixtures::passed();
        let one = run.checkpoints[0].subtasks[0].clone();
        run.checkpoints[0].subtasks = vec![one; DOTS_MAX];
        let svg = timeline(&run);
        assert!(!svg.contains("<circle"));
        assert!(svg.contains("2,021 acknowledgements not drawn"));
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut run = fixtures::passed();
        run.scenario = "</title><script>alert(1)</script>".into();
        run.faults[0].detail = "\"><img src=x onerror=alert(1)>\u{1}".into();
        let svg = standalone(&run);
        assert!(!svg.contains("<script") && !svg.contains("<img"), "SVG-S2");
        assert!(!svg.contains('\u{1}'), "SVG-S2");
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_pictures(run in fixtures::any_run()) {
            let svg = timeline(&run);
            prop_assert!(!svg.contains("<script"), "SVG-S2");
        }
    }
}
