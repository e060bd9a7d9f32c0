//! The curve as a picture, for the page of its run.
//!
//! Start at [`picture`]. As in the other pictures, coordinates are tenths of a user unit, no text enters unescaped, and no `id` is
//! used.

use std::fmt::Write as _;

use super::{FailureCurve, percent};
use crate::svg::{escape, px};
use crate::units;

/// CSS for a page that holds the picture.
pub const STYLE: &str = include_str!("curve.css");

const WIDTH: u64 = 900;
const LEFT: u64 = 58;
const RIGHT: u64 = WIDTH - 16;
const TOP: u64 = 24;
const BOTTOM: u64 = 244;
const HEIGHT: u64 = 290;

/// The picture as an SVG fragment.
pub fn picture(curve: &FailureCurve) -> String {
    let across = |at: u64| {
        let share = if curve.events == 0 { 0.0 } else { at.min(curve.events) as f64 / curve.events as f64 };
        10 * LEFT + libm::round(share * (10 * (RIGHT - LEFT)) as f64) as u64
    };
    let down = |share: f64| 10 * BOTTOM - libm::round(share.clamp(0.0, 1.0) * (10 * (BOTTOM - TOP)) as f64) as u64;
    let mut svg = format!(
        "<svg class=\"probability\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n\
         <title>{}</title>\n",
        escape(&format!("Probability of the failure of {}, seed {}, by events kept", curve.scenario, curve.seed))
    );
    let mut draw = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{line}");
    };
    for quarter in 0..=4u64 {
        let (share, x) = (quarter as f64 / 4.0, LEFT - 7);
        let (y, text) = (px(down(share)), px(down(share) + 40));
        draw(format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/>"));
        draw(format_args!("<text class=\"dim\" x=\"{x}\" y=\"{text}\" text-anchor=\"end\">{}</text>", percent(share)));
        let events = curve.events * quarter / 4;
        let (x, y) = (px(across(events)), BOTTOM + 16);
        let label = units::count(events);
        draw(format_args!("<text class=\"dim\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"));
    }
    let (middle, under) = ((LEFT + RIGHT) / 2, BOTTOM + 34);
    draw(format_args!(
        "<text class=\"dim\" x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">events kept as they were</text>"
    ));
    if let Some(step) = &curve.step {
        let (from, to) = (across(step.from), across(step.to));
        let (x, width) = (px(from), px((to - from).max(10)));
        let height = BOTTOM - TOP;
        let title = escape(&step.events.join("; "));
        draw(format_args!(
            "<g><title>{title}</title><rect class=\"step\" x=\"{x}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/></g>"
        ));
    }
    for strike in &curve.strikes {
        let (x, y) = (px(across(strike.after_events)), TOP - 8);
        let title = escape(&format!("fault {}, {}", strike.fault, strike.kind));
        draw(format_args!(
            "<g><title>{title}</title><line class=\"strike\" x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
             <text class=\"strike\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}</text></g>",
            strike.fault
        ));
    }
    for point in &curve.points {
        let (x, low, high) = (px(across(point.after_events)), px(down(point.low)), px(down(point.high)));
        draw(format_args!("<line class=\"interval\" x1=\"{x}\" x2=\"{x}\" y1=\"{low}\" y2=\"{high}\"/>"));
    }
    let corners: Vec<String> =
        curve.corners().iter().map(|(at, share)| format!("{},{}", px(across(*at)), px(down(*share)))).collect();
    draw(format_args!("<polyline class=\"share\" points=\"{}\"/>", corners.join(" ")));
    for point in &curve.points {
        let (x, y) = (px(across(point.after_events)), px(down(point.share)));
        let (kept, runs) = (units::count(point.after_events), units::count(point.runs));
        let title = format!("{kept} events kept: {} of {runs} runs failed", units::count(point.failed));
        draw(format_args!("<circle class=\"share\" cx=\"{x}\" cy=\"{y}\" r=\"3\"><title>{title}</title></circle>"));
    }
    svg.push_str("</svg>\n");
    svg
}
