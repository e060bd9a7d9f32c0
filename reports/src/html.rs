//! A set of runs as one HTML file that works offline: no script, no font, no picture from elsewhere.
//!
//! Start at [`report`]. The tables are those of the terminal ([`tables`]), the picture is that of
//! [`svg`]; this file only arranges them. Text of the record is escaped by `maud` wherever it enters.
//!
//! A sweep has thousands of runs, and a page that no browser opens is no report: of the passed runs the first
//! [`PASSED_MAX`] are shown in full; runs that did not pass always are.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::ansi::{Color, Style};
use crate::coverage::{self, Coverage};
use crate::record::{RunRecord, RunSet, Verdict};
use crate::table::{Align, Cell, Table};
use crate::timing::{self, Timing};
use crate::{distributions, svg, tables, terminal, timeline, units};

/// Passed runs that get a section of their own.
pub const PASSED_MAX: usize = 50;

/// CSS of every page.
pub(crate) const CSS: &str = include_str!("report.css");

/// The page.
pub fn report(set: &RunSet) -> String {
    let shown = shown(set);
    let anchor = |index: usize| shown[index].then(|| format!("#run-{}", index + 1));
    let hidden = shown.iter().filter(|shown| !**shown).count();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Flowquake: " (units::counted(set.runs.len(), "run")) }
                style { (PreEscaped(CSS)) (PreEscaped(svg::STYLE)) (PreEscaped(coverage::html::STYLE)) }
            }
            body {
                main {
                    header #top {
                        h1 { "Fault tolerance report" }
                        p { code { (set.command) } }
                        p { (set.program) ", schema version " (set.schema_version) }
                        (counts(set))
                    }
                    div.card.scroll { (table(&tables::verdicts(set), anchor)) }
                    (distributions::html::section(set))
                    (coverage::html::section(&Coverage::of(set)))
                    @if hidden > 0 {
                        p.dim { (units::counted(hidden, "passed run")) " without a section: the first " (PASSED_MAX)
                            " are shown in full." }
                    }
                    @for (index, run) in set.runs.iter().enumerate().filter(|(index, _)| shown[*index]) {
                        (section(run, index + 1))
                    }
                }
            }
        }
    };
    page.into_string()
}

/// Which runs get a section.
fn shown(set: &RunSet) -> Vec<bool> {
    let mut passed = 0;
    let is_shown = |run: &RunRecord| {
        passed += usize::from(run.verdict == Verdict::Passed);
        run.verdict != Verdict::Passed || passed <= PASSED_MAX
    };
    set.runs.iter().map(is_shown).collect()
}

fn counts(set: &RunSet) -> Markup {
    html! {
        ul.counts {
            li { b { (units::count(set.runs.len() as u64)) } @if set.runs.len() == 1 { "run" } @else { "runs" } }
            @for (label, style, n) in tables::verdict_counts(set) {
                li class=(class(style)) { b { (units::count(n as u64)) } (label) }
            }
        }
    }
}

fn section(run: &RunRecord, number: usize) -> Markup {
    let timing = timing::compare(run);
    let style = class(tables::verdict_style(&run.verdict));
    let evidence = terminal::evidence_lines(&run.verdict);
    html! {
        section.run.card id={ "run-" (number) } {
            h2 { span.badge.(style) { (run.verdict.label()) } (run.scenario) }
            p.sub { "seed " (run.seed) ", " (run.job.backend) ", " (run.file) }
            @if !run.why.is_empty() { p.why { (run.why) } }
            @if !evidence.is_empty() {
                div.evidence.(style) { @for line in &evidence { p { (line) } } }
            }
            pre.replay title="replays exactly this run" { code { (run.replay) } }
            figure { (PreEscaped(svg::timeline(run))) }
            dl.facts {
                @for (name, value) in tables::facts(run) { div { dt { (name) } dd { (value) } } }
            }
            (titled("Faults", "times in seconds of the run", &tables::faults(run)))
            (titled("Checkpoints", "parts along the critical path; they sum to the duration", &tables::checkpoints(run)))
            (titled("Checkpoint durations", "completed checkpoints", &tables::durations(&timing)))
            (titled("Recoveries", "age: trigger of the restored checkpoint to the failure", &tables::recoveries(run)))
            (titled("Outages", "failure to first record; the parts sum to the outage", &tables::outages(run)))
            (formulas(&timing))
            (titled("Oracles", "", &tables::oracles(run)))
            (titled("Options", "drawn from the seed or defaulted", &tables::options(run)))
            @if !run.timeline.is_empty() { (textual_timeline(run)) }
            a.top href="#top" { "Back to all runs" }
        }
    }
}

fn formulas(timing: &Timing) -> Markup {
    let hidden = tables::hidden_gaps(timing);
    html! {
        (titled("Formulas", "residual: measured less predicted", &tables::timing_summary(timing)))
        (titled("Predicted and measured", "case by case", &tables::timing_rows(timing)))
        @if hidden > 0 { p.dim { "And " (units::counted(hidden, "trigger gap")) ", none further off." } }
    }
}

fn textual_timeline(run: &RunRecord) -> Markup {
    let lines = timeline::full(run, Color::No);
    html! {
        details {
            summary { "Timeline, " (units::count(run.timeline.len() as u64)) " entries" }
            pre {
                @if let Some(heading) = timeline::heading(run, Color::No) { span.dim { (heading) } "\n" }
                @for (entry, line) in run.timeline.iter().zip(&lines) {
                    span class=(timeline::mark(entry.kind).1) { (line) } "\n"
                }
            }
        }
    }
}

/// A heading with a note, and a table; nothing without rows.
pub(crate) fn titled(heading: &str, note: &str, content: &Table) -> Markup {
    html! {
        @if !content.is_empty() {
            @if !heading.is_empty() { h3 { (heading) @if !note.is_empty() { small { (note) } } } }
            div.scroll { (table(content, |_| None)) }
        }
    }
}

/// A table whose first cell of row `i` links to `anchor(i)`.
fn table(content: &Table, anchor: impl Fn(usize) -> Option<String>) -> Markup {
    let ends_in_number = content.columns().last().is_some_and(|(_, align)| *align == Align::Right);
    html! {
        table.numbers[ends_in_number] {
            thead {
                tr {
                    @for (heading, align) in content.columns() {
                        th.r[*align == Align::Right] scope="col" { (heading) }
                    }
                }
            }
            tbody {
                @for (index, row) in content.rows().iter().enumerate() {
                    tr {
                        @for (column, (cell, (_, align))) in row.iter().zip(content.columns()).enumerate() {
                            td.r[*align == Align::Right] {
                                @match anchor(index).filter(|_| column == 0) {
                                    Some(href) => a href=(href) { (cell_text(cell, *align)) },
                                    None => (cell_text(cell, *align)),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The text of a cell; the unit of a number stands in a box of its own, so that digits line up.
fn cell_text(cell: &Cell, align: Align) -> Markup {
    let text = cell.text.trim_end();
    let quantity = match text.rsplit_once(' ') {
        Some((number, unit)) if align == Align::Right && is_quantity(number, unit) => Some((number, unit)),
        _ => None,
    };
    html! {
        span class=[(cell.style != Style::Plain).then(|| class(cell.style))] {
            @match quantity {
                Some((number, unit)) => { (number) span.u { (unit) } },
                None => (text),
            }
        }
    }
}

fn is_quantity(number: &str, unit: &str) -> bool {
    number.ends_with(|c: char| c.is_ascii_digit()) && unit.chars().all(char::is_alphabetic) && unit.chars().count() <= 3
}

fn class(style: Style) -> &'static str {
    match style {
        Style::Plain => "plain",
        Style::Heading => "heading",
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Warn => "warn",
        Style::Dim => "dim",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    #[test]
    fn every_shown_run_has_an_anchor_and_a_link_to_it() {
        let page = report(&fixtures::set());
        for number in 1..=fixtures::set().runs.len() {
            assert!(page.contains(&format!("id=\"run-{number}\"")), "run {number}");
            assert!(page.contains(&format!("href=\"#run-{number}\"")), "run {number}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = report(&fixtures::set());
        // The one address is the name of the SVG namespace, which nobody fetches.
        let addresses: Vec<_> = page.match_indices("http").collect();
        assert_eq!(addresses.len(), page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
        for tag in ["<script", "<link", "<img", "url(", "@import"] {
            assert!(!page.contains(tag), "{tag}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</style><script>alert(1)</script>\"'&";
        let mut run = fixtures::failed();
        for text in [&mut run.scenario, &mut run.why, &mut run.replay, &mut run.file, &mut run.trace_hash] {
            *text = hostile.into();
        }
        run.verdict = Verdict::Failed { oracle: hostile.into(), evidence: vec![hostile.into()] };
        run.nodes[0].name = hostile.into();
        run.timeline[0].text = hostile.into();
        run.recoveries[0].cause = hostile.into();
        run.options[0].1 = hostile.into();
        let set = RunSet { command: hostile.into(), program: hostile.into(), runs: vec![run], ..fixtures::set() };
        let page = report(&set);
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("</style>").count(), 1);
    }

    #[test]
    fn of_many_passed_runs_the_first_are_shown_and_failures_always() {
        let mut runs = vec![fixtures::empty(); PASSED_MAX + 2];
        runs.push(fixtures::failed());
        let page = report(&RunSet { runs, ..fixtures::set() });
        assert_eq!(page.matches("<section").count(), PASSED_MAX + 1);
        assert!(page.contains("2 passed runs without a section"));
        assert!(page.contains(&format!("id=\"run-{}\"", PASSED_MAX + 3)));
    }

    #[test]
    fn units_stand_in_a_box_of_their_own() {
        let cell = cell_text(&Cell::duration(1_204_000_000), Align::Right).into_string();
        assert_eq!(cell, "<span>1.204<span class=\"u\">s</span></span>");
        let cell = cell_text(&Cell::new("not in this run"), Align::Right).into_string();
        assert_eq!(cell, "<span>not in this run</span>");
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_a_page(runs in prop::collection::vec(fixtures::any_run(), 0..3)) {
            let page = report(&RunSet { runs, ..fixtures::set() });
            prop_assert!(!page.contains("<script"));
        }
    }
}
