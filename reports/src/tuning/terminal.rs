//! A tuning set for a terminal.
//!
//! Start at [`overview`], a line per curve and failure rate; [`details`] adds every interval and every formula's choice.

use super::findings::{Findings, RESTS_ON, capacity_held, name, notes};
use super::{answer, scores, tables, unpassed};
use crate::ansi::{Color, Screen, Style, clean, paint};
use crate::table::titled;
use crate::{numbers, units};

/// Header, best intervals, backends and how the formulas did.
pub fn overview(findings: &Findings<'_>, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = header(findings, color);
    out += &titled("What to take", &answer::table(findings), screen);
    out.extend(answer::sentences(findings).iter().map(|sentence| format!("  {}\n", clean(sentence))));
    out += &titled("What did not pass", &unpassed::table(findings), screen);
    out += &titled("Best intervals", &tables::overview(findings), screen);
    out += "  cost: work lost and output late, as a share of time; formulas: what their choice costs above the best\n";
    out += &titled("Backends by state size", &tables::recommendations(findings), screen);
    if !findings.recommendations.is_empty() {
        out += &format!("  {}\n", paint(RESTS_ON, Style::Dim, color));
    }
    out += &format!("\n{}\n", paint("Formulas over all curves and failure rates", Style::Heading, color));
    let widest = scores::of(findings).iter().map(|score| score.formula.chars().count()).max().unwrap_or(0);
    for score in scores::of(findings) {
        out += &format!("  {:<widest$}  {}\n", score.formula, score.sentence());
    }
    out
}

/// The overview, then for each curve what was measured, every formula's choice at each failure rate, and how sharp the
/// optimum is.
pub fn details(findings: &Findings<'_>, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = overview(findings, screen);
    for (curve, cases) in findings.curves() {
        out += &format!("\n{}", paint(&clean(&name(curve)), Style::Heading, color));
        out += &format!(
            "  input {}, predicted capacity {}{}; one record stands for {}, an entry of state for {}\n",
            numbers::rate(curve.rate),
            numbers::rate(curve.capacity),
            capacity_held(curve).map(|held| format!(", {held}")).unwrap_or_default(),
            units::count(curve.record_weight),
            units::count(curve.state_weight)
        );
        out += &titled("Measured", &tables::points(curve), screen);
        for case in &cases {
            let heading = format!("Choices for a failure every {}", numbers::chosen(case.advice.mtbf));
            out += &titled(&heading, &tables::choices(case), screen);
        }
        out += &titled("Cost of missing the best", &tables::sensitivity(&cases), screen);
        out += &titled("As failures become rare", &tables::by_failure_rate(findings.set, curve), screen);
    }
    out
}

fn header(findings: &Findings<'_>, color: Color) -> String {
    let set = findings.set;
    let mut out = format!(
        "{} of {}, parallelism {}, scenario {}\n",
        paint("Checkpoint interval", Style::Heading, color),
        clean(&set.job),
        set.parallelism,
        paint(&clean(&set.scenario), Style::Heading, color)
    );
    for line in [&set.why, &set.command, &set.program] {
        if !line.is_empty() {
            out += &format!("  {}\n", clean(line));
        }
    }
    for note in notes(set) {
        out += &format!("  {}\n", paint(&clean(&note), Style::Dim, color));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_overview() {
        let set = fixtures::set();
        insta::assert_snapshot!("overview", overview(&Findings::of(&set), Color::No));
    }

    #[test]
    fn the_details_of_the_curve_with_a_point_that_failed() {
        let mut set = fixtures::set();
        set.curves.drain(..7);
        insta::assert_snapshot!("details", details(&Findings::of(&set), Color::No));
    }

    #[test]
    fn text_of_runs_steers_no_terminal_and_an_empty_set_has_a_document() {
        let mut set = fixtures::set();
        for text in [&mut set.job, &mut set.why, &mut set.cost_profile, &mut set.scenario] {
            *text = "\x1b[2J".into();
        }
        (set.curves[7].backend, set.curves[7].points[0].headline) = ("\x1b[1m".into(), "\x1b[3m".into());
        assert!(!details(&Findings::of(&set), Color::No).contains('\x1b'));
        set.curves.clear();
        assert!(overview(&Findings::of(&set), Color::No).contains("no choice lies among"));
    }
}
