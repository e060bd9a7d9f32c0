//! A picture of what each subtask did with its time: one lane per subtask over the run. The lower part of a lane is the
//! share of time in which the subtask was busy, above that is the share in which it was back-pressured, and the rest is
//! idle.
//!
//! Start at [`picture`]. The shares come from the record: one pair for the time between two snapshots of a subtask, or
//! from its start to its first snapshot. Where nothing was measured, the lane is empty. Time scale, marks of faults and
//! rules for coordinates are those of the timeline; the table beside it is [`tables::load`](crate::tables::load).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::axis::{Axis, px};
use super::{LANE, LEFT, WIDTH, escape, fault_bands, fault_chips, grid, height, lane_name, rows};
use crate::record::{FaultRecord, RunRecord};
use crate::units;

/// CSS of the picture.
pub(crate) const STYLE: &str = include_str!("load.css");

/// Most lanes of one picture; more would be too many to look at.
const LANES_MAX: usize = 48;
/// Smallest share in thousandths for which a picture is drawn; smaller shares could not be seen.
const SEEN_MIN: u64 = 10;
/// Distance from lane to lane.
const STEP: u64 = LANE + 4;
const _: () = assert!(LANE < STEP, "lanes must not touch");

/// One stretch of time between two snapshots.
struct Stretch {
    from_ns: u64,
    to_ns: u64,
    /// Shares of the stretch in thousandths; together at most a thousand.
    busy: u64,
    back_pressured: u64,
}

/// The stretches of each subtask, ordered by vertex and index.
fn stretches(run: &RunRecord) -> BTreeMap<(u64, u64, &str), Vec<Stretch>> {
    let mut lanes: BTreeMap<(u64, u64, &str), Vec<Stretch>> = BTreeMap::new();
    // For each attempt and subtask, the end of its last stretch.
    let mut ends: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    for checkpoint in &run.checkpoints {
        for taken in &checkpoint.subtasks {
            let (Some(busy), Some(back_pressured), Some(to_ns)) =
                (taken.busy_permille, taken.back_pressured_permille, taken.sync_end_ns)
            else {
                continue;
            };
            let name = taken.subtask.as_str();
            let began = || started_ns(run, checkpoint.attempt, name).unwrap_or(checkpoint.triggered_at_ns);
            let from_ns = ends.get(&(checkpoint.attempt, name)).copied().unwrap_or_else(began).min(to_ns);
            ends.insert((checkpoint.attempt, name), to_ns);
            let busy = u64::from(busy).min(1_000);
            let back_pressured = u64::from(back_pressured).min(1_000 - busy);
            lanes.entry(order(name)).or_default().push(Stretch { from_ns, to_ns, busy, back_pressured });
        }
    }
    lanes
}

/// When a subtask of an attempt began to run, if the record says so.
fn started_ns(run: &RunRecord, attempt: u32, subtask: &str) -> Option<u64> {
    let attempt = run.course.attempts.iter().find(|known| known.attempt == attempt)?;
    let known = attempt.subtasks.iter().find(|known| known.subtask == subtask);
    known.and_then(|known| known.running_ns).or(attempt.running_at_ns)
}

/// Puts `1#10` after `1#9`. Names of another form are ordered by their letters.
fn order(name: &str) -> (u64, u64, &str) {
    let (vertex, index) = name.rsplit_once('#').unwrap_or((name, ""));
    (vertex.parse().unwrap_or(u64::MAX), index.parse().unwrap_or(u64::MAX), name)
}

/// The greatest share in which a subtask was back-pressured, then busy. The subtasks with the greatest are shown.
fn weight(stretches: &[Stretch]) -> (u64, u64) {
    let most = |of: fn(&Stretch) -> u64| stretches.iter().map(of).max().unwrap_or(0);
    (most(|stretch| stretch.back_pressured), most(|stretch| stretch.busy))
}

/// The picture as an SVG fragment for a page that has [`STYLE`]; `None` if no subtask took a snapshot, or all were idle
/// all the time.
pub(crate) fn picture(run: &RunRecord) -> Option<String> {
    let mut lanes: Vec<_> = stretches(run).into_iter().collect();
    let all = lanes.len();
    let is_seen = |stretches: &[Stretch]| <[u64; 2]>::from(weight(stretches)).iter().any(|share| *share >= SEEN_MIN);
    if !lanes.iter().any(|(_, stretches)| is_seen(stretches)) {
        return None;
    }
    // The sort is stable, so of equal subtasks the first ones are kept.
    lanes.sort_by_key(|(_, stretches)| std::cmp::Reverse(weight(stretches)));
    lanes.truncate(LANES_MAX);
    lanes.sort_by_key(|(name, _)| *name);

    let axis = Axis::of(run);
    let struck: Vec<(&FaultRecord, u64)> = run.faults.iter().filter_map(|f| Some((f, f.struck_at_ns?))).collect();
    let chips = rows(struck.iter().map(|(_, at)| axis.x(*at).saturating_sub(90)).map(|x| (x, x + 180)));
    let top = 6 + 20 * height(&chips);
    let bottom = top + STEP * lanes.len() as u64;
    let legend = bottom + 40;
    let mut svg = format!(
        "<svg class=\"fq-load\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {}\">\n<title>{}</title>\n",
        legend + 12,
        escape(&format!("Load of the subtasks of {}, seed {}", run.scenario, run.seed))
    );
    grid(&mut svg, &axis, top, bottom);
    // Drawn below the lanes, so that the lanes have the colours of the legend.
    fault_bands(&mut svg, &struck, &axis, top, bottom);
    for (((_, _, name), stretches), y) in lanes.iter().zip((top..).step_by(STEP as usize)) {
        lane(&mut svg, name, stretches, &axis, y);
    }
    fault_chips(&mut svg, &struck, &chips, &axis, bottom);
    let mut x = LEFT;
    for (class, label) in [("busy", "busy"), ("pressed", "back-pressured"), ("idle", "idle")] {
        let (square, text) = (legend - 9, x + 14);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{square}\" width=\"10\" height=\"10\"/>\
             <text class=\"dim\" x=\"{text}\" y=\"{legend}\">{label}</text>"
        );
        x += 26 + super::CHAR * label.len() as u64;
    }
    if all > lanes.len() {
        let left_out = units::counted(all - lanes.len(), "subtask");
        let words = format!("{left_out} with less back-pressure not drawn");
        let _ = writeln!(svg, "<text class=\"dim\" x=\"{x}\" y=\"{legend}\">{words}</text>");
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// One lane. Its three shapes each combine all stretches, so that a run with a thousand snapshots still gives a small
/// picture.
fn lane(svg: &mut String, name: &str, stretches: &[Stretch], axis: &Axis, y: u64) {
    lane_name(svg, name, y);
    let (pressed, busy) = weight(stretches);
    let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
    let title = format!("{name}: busy at most {}, back-pressured at most {}", percent(busy), percent(pressed));
    let _ = writeln!(svg, "<g><title>{}</title>", escape(&title));
    // From the bottom, in tenths: where a share begins and ends.
    let foot = 10 * (y + LANE);
    let level = |permille: u64| foot - permille * 10 * LANE / 1_000;
    for (class, low, high) in [
        ("idle", (|_| 0) as fn(&Stretch) -> u64, (|_| 1_000) as fn(&Stretch) -> u64),
        ("busy", |_| 0, |stretch| stretch.busy),
        ("pressed", |stretch| stretch.busy, |stretch| stretch.busy + stretch.back_pressured),
    ] {
        let mut path = String::new();
        for stretch in stretches {
            let (low, high) = (level(low(stretch)), level(high(stretch)));
            let (x, width) = axis.span(stretch.from_ns, stretch.to_ns, 5);
            if high < low {
                let _ = write!(path, "M{} {}h{}V{}h-{}z", px(x), px(low), px(width), px(high), px(width));
            }
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    svg.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::SubtaskCheckpoint;

    #[test]
    fn shares_stand_upon_each_other_between_two_snapshots() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(2);
        run.course.attempts.clear();
        for (checkpoint, (busy, pressed)) in run.checkpoints.iter_mut().zip([(500, 0), (250, 750)]) {
            checkpoint.subtasks.truncate(1);
            let taken = &mut checkpoint.subtasks[0];
            (taken.busy_permille, taken.back_pressured_permille) = (Some(busy), Some(pressed));
        }
        let found = stretches(&run);
        let [first, second] = &found[&order("source#0")][..] else { panic!("two stretches") };
        let ends: Vec<u64> = run.checkpoints.iter().filter_map(|taken| taken.subtasks[0].sync_end_ns).collect();
        assert_eq!(
            (first.from_ns, first.to_ns),
            (run.checkpoints[0].triggered_at_ns, ends[0]),
            "nothing says since when"
        );
        assert_eq!((second.from_ns, second.to_ns), (ends[0], ends[1]));
        let svg = picture(&run).unwrap();
        let shape = |class: &str| {
            let from = svg.find(&format!("<path class=\"{class}\"")).unwrap_or_else(|| panic!("{class}: {svg}"));
            svg[from..].split('"').nth(3).unwrap().matches('M').count()
        };
        assert_eq!([shape("idle"), shape("busy"), shape("pressed")], [2, 2, 1]);
        // 18 units high: a quarter is 4.5, and the rest of the lane is back-pressure.
        assert!(svg.contains("V39.5") && svg.contains("busy at most 50.0 %, back-pressured at most 75.0 %"), "{svg}");
    }

    #[test]
    fn a_run_without_shares_has_no_picture_and_one_with_many_shows_the_most_pressed() {
        let mut run = fixtures::passed();
        let taken = run.checkpoints[0].subtasks[0].clone();
        run.checkpoints.truncate(1);
        run.checkpoints[0].subtasks = (0..60)
            .map(|index| SubtaskCheckpoint {
                subtask: format!("1#{index}"),
                back_pressured_permille: Some(index),
                ..taken.clone()
            })
            .collect();
        let svg = picture(&run).unwrap();
        assert!(svg.contains("12 subtasks with less back-pressure not drawn") && !svg.contains("1#11:"), "{svg}");
        let at = |name: &str| svg.find(name).unwrap_or_else(|| panic!("{name}"));
        assert!(at("1#12:") < at("1#13:") && at("1#19:") < at("1#20:"));
        let shares = |run: &mut RunRecord, busy| {
            run.checkpoints[0].subtasks.iter_mut().for_each(|taken| {
                (taken.busy_permille, taken.back_pressured_permille) = (busy, Some(9));
            });
        };
        shares(&mut run, Some(10));
        assert!(picture(&run).is_some());
        shares(&mut run, Some(9));
        assert_eq!(picture(&run), None, "a grey picture tells nothing");
        shares(&mut run, None);
        assert_eq!(picture(&run), None);
    }

    proptest! {
        #[test]
        fn any_record_has_a_picture_or_none(run in fixtures::any_run()) {
            if let Some(svg) = picture(&run) {
                prop_assert!(!svg.contains(" id=") && svg.ends_with("</svg>\n"), "SVG-S3");
            }
        }
    }
}
