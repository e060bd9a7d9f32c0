//! A set of runs as one HTML file that works offline: no script, no font, no picture from elsewhere.
//!
//! Start at [`report`]. The tables are those of the terminal ([`tables`]), the picture of a run is drawn by the script of
//! [`spacetime`] once its details are opened, and a run that failed stands beside the nearest one that passed ([`diff`]); this
//! file only arranges them. Without JavaScript all but the pictures is there. Text of the record is escaped by `maud` wherever
//! it enters, and the page forbids itself everything that comes from elsewhere.
//!
//! A sweep has thousands of runs, and a page that no browser opens is no report: of the passed runs the first
//! [`PASSED_MAX`] are shown in full; runs that did not pass always are, and the passed ones that they are compared with.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::ansi::{Color, Style};
use crate::coverage::{self, Coverage};
use crate::record::{RunRecord, RunSet, Verdict, worst_outage};
use crate::table::{Align, Cell, Table};
use crate::timing::{self, Timing};
use crate::{curves, diff, distributions, spacetime, tables, terminal, timeline, units};

/// Passed runs that get a section of their own.
pub const PASSED_MAX: usize = 60;

/// Runs that did not pass stand open if there are no more of them.
const OPEN_MAX: usize = 3;

/// Characters of a command in a header; that of a large set names hundreds of files.
const COMMAND_MAX: usize = 300;

/// CSS of every page.
const CSS: &str = include_str!("report.css");

/// What a page may do: run and style itself, and nothing else. Part of its text, since there is no server to say so.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";

/// The page.
pub fn report(set: &RunSet) -> String {
    let shown = shown(set);
    let anchor = |index: usize| shown[index].then(|| format!("#run-{}", index + 1));
    let hidden = shown.iter().filter(|shown| !**shown).count();
    // What went wrong comes before whatever else there is to see, and opened if it is little.
    let troubled = || set.runs.iter().enumerate().filter(|(_, run)| is_trouble(run));
    let few = troubled().count() <= OPEN_MAX;
    let main = html! {
        header #top {
            h1 { "Fault tolerance report" }
            p { code { (short_command(&set.command)) } }
            p { (set.program) ", schema version " (set.schema_version) }
            (counts(set))
        }
        div.card.scroll { (table(&tables::verdicts(set), anchor)) }
        @for (index, run) in troubled() { (section(set, run, index + 1, few)) }
        (distributions::html::section(set))
        (curves::html::section(set))
        (coverage::html::section(&Coverage::of(set)))
        @if hidden > 0 {
            p.dim { (units::counted(hidden, "passed run")) " without a section: the first " (PASSED_MAX)
                " are shown in full." }
        }
        @for (index, run) in set.runs.iter().enumerate().filter(|(index, run)| shown[*index] && !is_trouble(run)) {
            (section(set, run, index + 1, false))
        }
    };
    document(
        &format!("Flowquake: {}", units::counted(set.runs.len(), "run")),
        &[&[spacetime::STYLE, coverage::html::STYLE][..], &curves::html::STYLES].concat(),
        &main,
        spacetime::SCRIPT,
    )
}

/// A page: the report's look and policy, `styles` besides, `main`, and `script` behind it if it is not empty.
pub(crate) fn document(title: &str, styles: &[&str], main: &Markup, script: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(CSS)) @for style in styles { (PreEscaped(style)) } }
            }
            body {
                main { (main) }
                @if !script.is_empty() { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

/// The command of a header, cut between two words where it is long.
pub(crate) fn short_command(command: &str) -> String {
    let Some((end, _)) = command.char_indices().nth(COMMAND_MAX) else { return command.to_owned() };
    let (head, _) = command[..end].rsplit_once(' ').unwrap_or((&command[..end], ""));
    let rest = command[head.len()..].trim_start().chars().count();
    format!("{head} … and {} more characters", units::count(rest as u64))
}

/// Whether a run needs a look before all that passed.
fn is_trouble(run: &RunRecord) -> bool {
    run.verdict != Verdict::Passed
}

/// Which runs get a section.
fn shown(set: &RunSet) -> Vec<bool> {
    let mut passed = 0;
    let is_shown = |run: &RunRecord| {
        passed += usize::from(run.verdict == Verdict::Passed);
        is_trouble(run) || passed <= PASSED_MAX
    };
    let mut shown: Vec<bool> = set.runs.iter().map(is_shown).collect();
    for run in set.runs.iter().filter(|run| is_compared(run)) {
        if let Some(nearest) = diff::nearest(set, run) {
            shown[nearest] = true;
        }
    }
    shown
}

/// Whether a run has gone wrong, so that a passing one tells something about it.
fn is_compared(run: &RunRecord) -> bool {
    run.verdict != Verdict::Passed && run.verdict.class().ran()
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

fn section(set: &RunSet, run: &RunRecord, number: usize, open: bool) -> Markup {
    let timing = timing::compare(run);
    let style = class(tables::verdict_style(&run.verdict));
    let evidence = terminal::evidence_lines(&run.verdict);
    html! {
        details.run.card id={ "run-" (number) } open[open] {
            summary {
                h2 { span.badge.(style) { (run.verdict.label()) } (run.scenario) }
                span.sub { "seed " (run.seed) ", " (run.job.backend) ", " (story(run)) }
            }
            @if !evidence.is_empty() {
                div.evidence.(style) { @for line in &evidence { p { (line) } } }
            }
            p.sub { (run.file) }
            @if !run.why.is_empty() { p.why { (run.why) } }
            pre.replay title="replays exactly this run" { code { (run.replay) } }
            (spacetime::figure(run))
            @if is_compared(run) { (comparison(set, run)) }
            dl.facts {
                @for (name, value) in tables::facts(run) { div { dt { (name) } dd { (value) } } }
            }
            (titled("Faults", "times in seconds of the run", &tables::faults(run)))
            (titled("Checkpoints", "parts along the critical path; they sum to the duration", &tables::checkpoints(run)))
            (titled("Checkpoint durations", "completed checkpoints", &tables::durations(&timing)))
            (titled("Recoveries", "age: trigger of the restored checkpoint to the beginning of the outage", &tables::recoveries(run)))
            (titled("Outages", "from the fault until lasting progress; the parts sum to the outage", &tables::outages(run)))
            (titled("Predictions", "made before the run; share of what was measured", &tables::predictions(run)))
            (titled("Outside of the predictions", "not compared", &tables::outside_of_predictions(run)))
            (formulas(&timing))
            (titled("Oracles", "", &tables::oracles(run)))
            (titled("Options", "drawn from the seed or defaulted", &tables::options(run)))
            @if !run.timeline.is_empty() { (textual_timeline(run)) }
            a.top href="#top" { "Back to all runs" }
        }
    }
}

/// What happened, as far as it fits behind the name of a run that is not opened.
fn story(run: &RunRecord) -> String {
    let (completed, aborted) = tables::checkpoint_counts(run);
    let mut story = vec![format!("{} completed", units::counted(completed as usize, "checkpoint"))];
    if aborted > 0 {
        story.push(format!("{} given up", units::count(aborted)));
    }
    match tables::tried_recoveries(run) {
        0 => {}
        1 => story.push("1 recovery".into()),
        several => story.push(format!("{several} recoveries")),
    }
    if let Some(outage) = worst_outage(&run.recoveries) {
        story.push(format!("worst outage {outage}"));
    }
    story.join(", ")
}

/// A run that failed beside the nearest one that passed.
fn comparison(set: &RunSet, run: &RunRecord) -> Markup {
    let Some(nearest) = diff::nearest(set, run) else {
        return html! { p.dim { "No run of this job passed, so there is nothing to compare it with." } };
    };
    let other = &set.runs[nearest];
    html! {
        h3 { "Beside the nearest run that passed"
            small { a href={ "#run-" (nearest + 1) } { (other.scenario) ", seed " (other.seed) } } }
        div.scroll.diff { (table(&diff::table(run, other), |_| None)) }
    }
}

fn formulas(timing: &Timing) -> Markup {
    let hidden = tables::hidden_gaps(timing);
    html! {
        (titled("Formulas", "residual: measured less predicted", &tables::timing_summary(timing)))
        (titled("Formulas and measured", "case by case", &tables::timing_rows(timing)))
        @if hidden > 0 { p.dim { "And " (units::counted(hidden, "trigger gap")) ", none further off." } }
    }
}

fn textual_timeline(run: &RunRecord) -> Markup {
    let lines = timeline::full(run, Color::No);
    html! {
        details {
            summary { "Timeline, " (units::count(run.timeline.len() as u64)) " entries" }
            pre.timeline {
                @if let Some(heading) = timeline::heading(run, Color::No) { span.dim { (heading) } "\n" }
                // Short on purpose: there are hundreds of them, and the script finds them by their order.
                @for (entry, line) in run.timeline.iter().zip(&lines) {
                    @match timeline::mark(entry.kind).1 {
                        "checkpoint" | "commit" | "restore" => i { (line) },
                        word => i.(word) { (line) },
                    }
                    "\n"
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
    // Most of a page is cells, so the markup of a plain one is its text.
    let content = html! {
        @match quantity {
            Some((number, unit)) => { (number) i { (unit) } },
            None => (text),
        }
    };
    match cell.style {
        Style::Plain => content,
        style => html! { span.(class(style)) { (content) } },
    }
}

fn is_quantity(number: &str, unit: &str) -> bool {
    number.ends_with(|c: char| c.is_ascii_digit()) && unit.chars().all(char::is_alphabetic) && unit.chars().count() <= 3
}

pub(crate) fn class(style: Style) -> &'static str {
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
        assert_eq!(page.matches("http:").count(), page.matches("\"http://www.w3.org/2000/svg\"").count());
        for tag in ["https:", "<link", "<img", "url(", "@import", " src="] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    }

    #[test]
    fn a_failed_run_stands_beside_the_nearest_that_passed() {
        let page = report(&fixtures::set());
        assert!(page.contains("Beside the nearest run that passed"));
        assert!(page.contains("<a href=\"#run-1\">task-manager-dies-while-uploading, seed 20979</a>"));
        let alone = RunSet { runs: vec![fixtures::failed()], ..fixtures::set() };
        assert!(report(&alone).contains("nothing to compare it with"));
    }

    #[test]
    fn what_went_wrong_comes_first_and_open_if_it_is_little() {
        let runs = vec![fixtures::passed(), fixtures::failed(), fixtures::failed()];
        let page = report(&RunSet { runs, ..fixtures::set() });
        assert_eq!(page.matches("<details class=\"run card\"").count(), 3);
        assert_eq!(page.matches("\" open>").count(), 2);
        let place = |text: &str| page.find(text).unwrap_or(usize::MAX);
        assert!(place("class=\"evidence") < place("class=\"replay\""));
        assert!(place("id=\"run-2\"") < place("id=\"run-3\"") && place("id=\"run-3\"") < place("id=\"run-1\""));
        let many = RunSet { runs: vec![fixtures::failed(); OPEN_MAX + 1], ..fixtures::set() };
        assert_eq!(report(&many).matches("\" open>").count(), 0);
    }

    #[test]
    fn a_long_command_is_cut_between_words_with_the_count_of_the_rest() {
        assert_eq!(short_command("flowquake run a.toml"), "flowquake run a.toml");
        let long = format!("flowquake run {}", "ä.toml ".repeat(300));
        let short = short_command(&long);
        assert!(short.starts_with("flowquake run ä.toml ä.toml") && short.contains("ä.toml … and 1,8"), "{short}");
        assert!(short.chars().count() < COMMAND_MAX + 40);
        assert!(short_command(&"x".repeat(1_000)).ends_with(" … and 700 more characters"));
    }

    #[test]
    fn curves_stand_behind_the_distributions_and_before_the_passed_runs() {
        let page = report(&fixtures::set());
        let place = |text: &str| page.find(text).unwrap_or(usize::MAX);
        let [times, curves, run] = ["Distributions over all runs", "Curves over the period", "id=\"run-1\""].map(place);
        assert!(times < curves && curves < run && run < usize::MAX);
    }

    /// Each run brings its data, and the page its program.
    fn scripts(page: &str) -> usize {
        page.matches("<script").count()
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</style><script>alert(1)</script>\"'&";
        let mut run = fixtures::failed();
        for text in [&mut run.scenario, &mut run.why, &mut run.replay, &mut run.file, &mut run.trace_hash] {
            *text = hostile.into();
        }
        run.verdict = Verdict::Failed { oracle: hostile.into(), evidence: vec![hostile.into()], also: vec![] };
        run.nodes[0].name = hostile.into();
        run.timeline[0].text = hostile.into();
        run.recoveries[0].cause = hostile.into();
        run.options[0].1 = hostile.into();
        let set = RunSet { command: hostile.into(), program: hostile.into(), runs: vec![run], ..fixtures::set() };
        let page = report(&set);
        assert_eq!((scripts(&page), page.matches("</script>").count()), (2, 2));
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(!page.contains("alert(1)</script>"));
    }

    #[test]
    fn of_many_passed_runs_the_first_are_shown_and_failures_always() {
        let mut runs = vec![fixtures::empty(); PASSED_MAX + 2];
        runs.push(fixtures::failed());
        let page = report(&RunSet { runs, ..fixtures::set() });
        assert_eq!(page.matches("<details class=\"run").count(), PASSED_MAX + 1);
        assert!(page.contains("2 passed runs without a section"));
        assert!(page.contains(&format!("id=\"run-{}\"", PASSED_MAX + 3)));
    }

    #[test]
    fn units_stand_in_a_box_of_their_own() {
        let cell = cell_text(&Cell::duration(1_204_000_000), Align::Right).into_string();
        assert_eq!(cell, "1.204<i>s</i>");
        let cell = cell_text(&Cell::new("not in this run"), Align::Right).into_string();
        assert_eq!(cell, "not in this run");
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_a_page(runs in prop::collection::vec(fixtures::any_run(), 0..3)) {
            let count = runs.len();
            let page = report(&RunSet { runs, ..fixtures::set() });
            prop_assert_eq!(scripts(&page), count + 1);
        }
    }
}
