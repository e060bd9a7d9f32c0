//! A plot of two logarithmic axes as SVG: grid, lines, points, bands, numbered vertical marks, legend.
//!
//! Start at [`Plot::new`]; [`tuning::svg`](crate::tuning::svg) and `curves::svg` decide what is drawn. As in the
//! timeline, coordinates are tenths of a user unit, no text enters unescaped, and no `id` is used, so that many plots
//! can be in one page. The [`scale`](super::scale)s are logarithmic: the same data gives the same bytes on every
//! machine.
//!
//! Invariant: (L2) what is not positive and finite, or is outside of the plot, is left out, and not drawn at an edge.

use std::fmt::Write as _;

use super::scale::{Axis, Scale};
use super::{escape, height, px, rows};

/// Width of every plot, and of its left and right margin, in user units.
const WIDTH: u64 = 560;
const LEFT: u64 = 58;
const RIGHT: u64 = WIDTH - 14;
/// Height of the area of the curves.
const AREA: u64 = 250;
/// Height of a numbered chip, and distance between rows of chips.
const CHIP: u64 = 14;
const CHIP_STEP: u64 = 17;
/// Width of one character of the 11 px font, rounded up.
const CHAR: u64 = 6;

/// Distance between names at the end of the same line.
const END_GAP: u64 = 3;

/// CSS of every plot.
pub(crate) const STYLE: &str = include_str!("plot.css");

/// A numbered vertical mark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// Number of the mark.
    pub(crate) number: usize,
    /// Position, in units of x.
    pub(crate) x: f64,
    /// Text of the tooltip.
    pub(crate) title: String,
}

/// Marks that would cover each other, drawn as one line with one chip.
struct Bundle<'m> {
    /// Position, in tenths.
    at: u64,
    /// Text of the chip.
    label: String,
    marks: Vec<&'m Mark>,
}

impl Bundle<'_> {
    fn width(&self) -> u64 {
        6 + 8 * (self.label.chars().count() as u64).max(1)
    }
}

/// Bundles marks that are within half a chip of the first mark of the bundle.
fn bundles<'m>(marks: &'m [Mark], scale: &Scale) -> Vec<Bundle<'m>> {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.number.cmp(&b.number)));
    let mut all: Vec<Bundle<'m>> = Vec::new();
    for mark in sorted {
        let at = scale.place(mark.x);
        // Marks outside of the range are put at its edge, separate from marks inside.
        let side = |mark: &Mark| (scale.holds(mark.x), mark.x < scale.from);
        match all.last_mut().filter(|last| at < last.at + 5 * CHIP && side(last.marks[0]) == side(mark)) {
            Some(last) => last.marks.push(mark),
            None => all.push(Bundle { at, label: String::new(), marks: vec![mark] }),
        }
    }
    for bundle in &mut all {
        let mut numbers: Vec<usize> = bundle.marks.iter().map(|mark| mark.number).collect();
        numbers.sort_unstable();
        let first = bundle.marks[0];
        let label = spans(&numbers);
        bundle.label = match scale.holds(first.x) {
            true => label,
            false if first.x < scale.from => format!("‹{label}"),
            false => format!("{label}›"),
        };
    }
    all
}

/// Ordered numbers, with consecutive ones as spans: `1 3–5`.
fn spans(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let texts: Vec<String> =
        runs.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}–{b}") }).collect();
    texts.join(" ")
}

/// A plot that is being drawn.
pub(crate) struct Plot {
    body: String,
    title: String,
    x: Scale,
    y: Scale,
    top: u64,
    legend: Vec<(String, String)>,
}

impl Plot {
    /// Draws axes and grid, and the marks above the area. `title` is for readers who cannot see the picture, `name` for
    /// those who can.
    pub(crate) fn new(name: &str, title: String, x: &Axis, y: &Axis, marks: &[Mark]) -> Plot {
        let across = Scale::new(x.range, (10 * LEFT, 10 * RIGHT));
        let bundles = bundles(marks, &across);
        let extent =
            |bundle: &Bundle<'_>| (bundle.at.saturating_sub(5 * bundle.width()), bundle.at + 5 * bundle.width());
        let chip_rows = rows(bundles.iter().map(extent));
        let top = 26 + CHIP_STEP * height(&chip_rows) + if marks.is_empty() { 0 } else { 4 };
        let (low, high) = (10 * (top + AREA), 10 * top);
        let down = Scale::new(y.range, if y.reversed { (high, low) } else { (low, high) });
        let mut plot = Plot { body: String::new(), title, x: across, y: down, top, legend: vec![] };
        plot.write(format_args!("<text class=\"name\" x=\"{LEFT}\" y=\"14\">{}</text>", escape(name)));
        plot.grid(x, y);
        for (bundle, row) in bundles.iter().zip(chip_rows) {
            plot.mark(bundle, 22 + CHIP_STEP * row);
        }
        plot
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{line}");
    }

    fn bottom(&self) -> u64 {
        self.top + AREA
    }

    fn grid(&mut self, x: &Axis, y: &Axis) {
        let (top, bottom) = (self.top, self.bottom());
        let mut free = 0;
        for tick in (x.ticks)((self.x.from, self.x.to)) {
            let at = self.x.place(tick);
            let line = px(at);
            self.write(format_args!("<line class=\"grid\" x1=\"{line}\" x2=\"{line}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
            let label = (x.label)(tick);
            let half = 5 * CHAR * label.chars().count() as u64;
            // Where the labels of ticks would touch, only the lines are drawn.
            if at < free + half || at + half > 10 * WIDTH {
                continue;
            }
            free = at + half + 80;
            let label = escape(&label);
            let y = bottom + 15;
            self.write(format_args!(
                "<text class=\"dim\" x=\"{line}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"
            ));
        }
        let mut last: Option<u64> = None;
        for tick in (y.ticks)((self.y.from, self.y.to)) {
            let place = self.y.place(tick);
            let (at, text) = (px(place), px(place + 40));
            let label = escape(&(y.label)(tick));
            self.write(format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at}\" y2=\"{at}\"/>"));
            if last.is_some_and(|last| last.abs_diff(place) < 140) {
                continue;
            }
            last = Some(place);
            self.write(format_args!(
                "<text class=\"dim\" x=\"{}\" y=\"{text}\" text-anchor=\"end\">{label}</text>",
                LEFT - 7
            ));
        }
        self.write(format_args!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"));
        self.write(format_args!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
        let (middle, under) = ((LEFT + RIGHT) / 2, bottom + 31);
        let name = escape(x.name);
        self.write(format_args!(
            "<text class=\"dim\" x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">{name}</text>"
        ));
        let name = escape(y.name);
        self.write(format_args!("<text class=\"dim\" x=\"{RIGHT}\" y=\"14\" text-anchor=\"end\">{name}</text>"));
    }

    fn mark(&mut self, bundle: &Bundle<'_>, y: u64) {
        let (x, width) = (px(bundle.at), bundle.width());
        let left = px(bundle.at.saturating_sub(5 * width));
        let (bottom, below, base) = (self.bottom(), y + CHIP, y + 11);
        let titles: Vec<&str> = bundle.marks.iter().map(|mark| mark.title.as_str()).collect();
        let (title, label) = (escape(&titles.join("; ")), escape(&bundle.label));
        self.write(format_args!(
            "<g><title>{title}</title><line class=\"mark\" x1=\"{x}\" x2=\"{x}\" y1=\"{below}\" y2=\"{bottom}\"/>\
             <rect class=\"chip\" x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{CHIP}\" rx=\"3\"/>\
             <text class=\"on\" x=\"{x}\" y=\"{base}\" text-anchor=\"middle\">{label}</text></g>"
        ));
    }

    /// Where a point is drawn, in tenths; `None`: it is outside of the plot (L2).
    fn place(&self, (x, y): (f64, f64)) -> Option<(u64, u64)> {
        (self.x.holds(x) && self.y.holds(y)).then(|| (self.x.place(x), self.y.place(y)))
    }

    /// A line through points, with an entry in the legend. Parts outside of the plot are left out.
    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)], name: &str) {
        if self.stroke(class, points).is_some() {
            self.explain_line(class, name);
        }
    }

    /// A line without an entry in the legend. Returns where it ends in the plot, in tenths, if any of it is drawn.
    pub(crate) fn stroke(&mut self, class: &str, points: &[(f64, f64)]) -> Option<(u64, u64)> {
        let places: Vec<Option<(u64, u64)>> = points.iter().map(|point| self.place(*point)).collect();
        let mut end = None;
        // The line ends where it leaves the plot, and begins again where it comes back.
        for piece in places.split(Option::is_none).filter(|piece| piece.len() > 1) {
            let text: Vec<String> = piece.iter().flatten().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
            self.write(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", text.join(" ")));
            end = piece.last().copied().flatten();
        }
        end
    }

    /// Short names at the ends of lines, as [`Plot::stroke`] returned them: place, class, name. Lines that end at the
    /// same place share a text, in the order given.
    pub(crate) fn ends(&mut self, ends: &[((u64, u64), String, String)]) {
        let near = |(a, b): (u64, u64), (x, y): (u64, u64)| a.abs_diff(x) < 250 && b.abs_diff(y) < 110;
        let mut bundles: Vec<Vec<usize>> = Vec::new();
        for (index, (at, ..)) in ends.iter().enumerate() {
            match bundles.iter_mut().find(|bundle| bundle.iter().any(|other| near(ends[*other].0, *at))) {
                Some(bundle) => bundle.push(index),
                None => bundles.push(vec![index]),
            }
        }
        for bundle in bundles {
            let all = || bundle.iter().map(|index| &ends[*index]);
            let right = all().map(|((x, _), ..)| *x).max().unwrap_or(0);
            let middle = all().map(|((_, y), ..)| *y).sum::<u64>() / bundle.len() as u64;
            let width: u64 = all().map(|(.., name)| (CHAR + 2) * name.chars().count() as u64 + END_GAP).sum();
            let (x, y) = (px((right + 30).min(10 * WIDTH.saturating_sub(width))), px(middle + 40));
            let name = |(n, (_, class, name)): (usize, &(_, String, String))| {
                let gap = if n > 0 { END_GAP } else { 0 };
                format!("<tspan class=\"{class}\" dx=\"{gap}\">{}</tspan>", escape(name))
            };
            let names: String = all().enumerate().map(name).collect();
            self.write(format_args!("<text class=\"ends\" x=\"{x}\" y=\"{y}\">{names}</text>"));
        }
    }

    /// Dots, each with a tooltip.
    pub(crate) fn dots(&mut self, class: &str, points: &[((f64, f64), String)]) {
        for (point, title) in points {
            let Some((x, y)) = self.place(*point) else { continue };
            let (x, y, title) = (px(x), px(y), escape(title));
            self.write(format_args!(
                "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"><title>{title}</title></circle>"
            ));
        }
    }

    /// A vertical line from `low` to `high`, cut at the plot.
    pub(crate) fn whisker(&mut self, class: &str, x: f64, (low, high): (f64, f64)) {
        if self.x.holds(x) && low > 0.0 && high.is_finite() {
            let (x, low, high) = (px(self.x.place(x)), px(self.y.place(low)), px(self.y.place(high)));
            self.write(format_args!(
                "<line class=\"whisker {class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{low}\" y2=\"{high}\"/>"
            ));
        }
    }

    /// Marks the best interval, its confidence interval if that is known, and the intervals that cost hardly more.
    pub(crate) fn best(&mut self, best: f64, confidence: Option<(f64, f64)>, cheap: (f64, f64), title: &str) {
        let (top, bottom, title) = (self.top, self.bottom(), escape(title));
        if let Some((from, to)) = confidence {
            let (from, to) = (self.x.place(from), self.x.place(to));
            let (left, width) = (px(from.saturating_sub(5)), px(to - from.min(to) + 10));
            self.write(format_args!(
                "<rect class=\"band\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{AREA}\">\
                 <title>{title}</title></rect>"
            ));
        }
        let (from, to) = (px(self.x.place(cheap.0)), px(self.x.place(cheap.1)));
        self.write(format_args!("<line class=\"cheap\" x1=\"{from}\" x2=\"{to}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"));
        let x = px(self.x.place(best));
        self.write(format_args!("<line class=\"best\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
        let name = if confidence.is_some() { "best, with 95 % confidence" } else { "best, confidence unknown" };
        self.legend.push(("best".into(), name.into()));
        self.legend.push(("cheap".into(), "within 5 % of it".into()));
    }

    /// An entry of the legend for lines of a class.
    pub(crate) fn explain_line(&mut self, class: &str, text: &str) {
        self.legend.push((format!("line {class}"), text.to_owned()));
    }

    /// An entry of the legend for a mark.
    pub(crate) fn explain(&mut self, number: usize, text: &str) {
        self.legend.push((format!("chip {number}"), text.to_owned()));
    }

    /// The finished picture; `style` goes before everything else.
    pub(crate) fn finish(mut self, style: &str) -> String {
        let mut y = self.bottom() + 52;
        let mut x = LEFT;
        let half = (RIGHT - LEFT) / 2;
        let mut chips = false;
        for (key, text) in std::mem::take(&mut self.legend) {
            let is_chip = key.starts_with("chip");
            let wanted = 24 + CHAR * text.chars().count() as u64 + 10;
            let width = if is_chip { wanted.max(half) } else { wanted };
            // Chips begin on a line of their own, two per line.
            if x > LEFT && (x + wanted > WIDTH || is_chip != chips) {
                (x, y) = (LEFT, y + 18);
            }
            chips = is_chip;
            self.key(&key, x, y);
            let text = escape(&text);
            self.write(format_args!("<text class=\"dim\" x=\"{}\" y=\"{y}\">{text}</text>", x + 24));
            x += width;
        }
        let (height, title) = (y + 10, escape(&self.title));
        format!(
            "<svg class=\"fq-plot\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\">\n\
             <title>{title}</title>\n{style}{}</svg>\n",
            self.body
        )
    }

    /// Draws the symbol of an entry of the legend.
    fn key(&mut self, key: &str, x: u64, y: u64) {
        let (middle, end) = (y - 4, x + 18);
        match key.split_once(' ') {
            Some(("chip", number)) => self.write(format_args!(
                "<rect class=\"chip\" x=\"{}\" y=\"{}\" width=\"{CHIP}\" height=\"{CHIP}\" rx=\"3\"/>\
                 <text class=\"on\" x=\"{}\" y=\"{y}\" text-anchor=\"middle\">{number}</text>",
                x + 2,
                y - 11,
                x + 9
            )),
            Some((_, class)) => {
                self.write(format_args!("<polyline class=\"{class}\" points=\"{x},{middle} {end},{middle}\"/>"))
            }
            None if key == "best" => self.write(format_args!(
                "<rect class=\"band\" x=\"{x}\" y=\"{}\" width=\"18\" height=\"12\"/>\
                 <circle class=\"best\" cx=\"{}\" cy=\"{middle}\" r=\"4\"/>",
                y - 10,
                x + 9
            )),
            None => self
                .write(format_args!("<line class=\"{key}\" x1=\"{x}\" x2=\"{end}\" y1=\"{middle}\" y2=\"{middle}\"/>")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_cover_each_other_share_a_chip() {
        let scale = Scale::new(Some((1.0, 100.0)), (0, 5_000));
        let mark = |number, x| Mark { number, x, title: String::new() };
        let marks = [mark(1, 0.5), mark(3, 10.2), mark(2, 10.0), mark(4, 10.1), mark(6, 10.1), mark(5, 50.0)];
        let labels: Vec<String> = bundles(&marks, &scale).into_iter().map(|bundle| bundle.label).collect();
        assert_eq!(labels, ["‹1", "2–4 6", "5"]);
    }

    #[test]
    fn lines_that_end_at_one_place_share_a_text() {
        let axis = || Axis::period(Some((1.0, 10.0)));
        let mut plot = Plot::new("", String::new(), &axis(), &axis(), &[]);
        let end = |x, y, name: &str| ((x, y), "c".to_owned(), name.to_owned());
        plot.ends(&[end(5_460, 500, "1"), end(5_300, 520, "2"), end(2_000, 500, "3")]);
        let text = plot.finish("");
        assert!(
            text.contains("y=\"55\"><tspan class=\"c\" dx=\"0\">1</tspan><tspan class=\"c\" dx=\"3\">2</tspan></text>")
        );
        assert_eq!(text.matches("class=\"ends\"").count(), 2);
    }

    #[test]
    fn a_line_ends_where_it_leaves_the_plot_and_begins_again_where_it_comes_back() {
        let axis = || Axis::period(Some((1.0, 10.0)));
        let mut plot = Plot::new("", String::new(), &axis(), &axis(), &[]);
        let points = [(1.0, 2.0), (2.0, 3.0), (3.0, 0.5), (4.0, 3.0), (5.0, 2.0), (6.0, f64::NAN), (7.0, 2.0)];
        let end = plot.stroke("c", &points);
        assert_eq!(end, plot.place((5.0, 2.0)), "a single point is no line");
        assert_eq!(plot.stroke("c", &points[..1]), None);
        assert_eq!(plot.finish("").matches("<polyline class=\"c\"").count(), 2);
    }
}
