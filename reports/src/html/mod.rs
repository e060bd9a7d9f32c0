//! A set of runs as one HTML file that works offline: nothing is loaded from elsewhere.
//!
//! Start at [`report`]. The tables are the same as on the terminal ([`tables`]). The table of all runs can be filtered
//! and sorted (`run_table`). The picture of a run is drawn by the script of [`spacetime`] when the run's details are
//! opened. A failed run is compared with the nearest passed run ([`diff`]). This file only arranges these parts.
//! Without JavaScript everything except the pictures is there. Text of the record is escaped by `maud` wherever it
//! enters, and the page's policy forbids everything that comes from elsewhere.
//!
//! A sweep has thousands of runs, and a page with all of them could not be opened. So of the passed runs only the first
//! [`PASSED_MAX`] are shown in full. Runs that did not pass are always shown, and so are the passed runs that they are
//! compared with.

mod run_table;

use maud::{Markup, PreEscaped, html};

use crate::ansi::Color;
use crate::coverage::{self, Coverage};
use crate::page::{Count, Head, class, document, table, titled};
use crate::probability::{self, FailureCurve};
use crate::record::{RunRecord, RunSet, Verdict, worst_outage};
use crate::timing::{self, Timing};
use crate::{comparison, curves, diff, distributions, spacetime, svg, tables, terminal, timeline, units};

/// Most passed runs that get a section of their own.
pub const PASSED_MAX: usize = 60;

/// If no more runs than this did not pass, their sections are open.
const OPEN_MAX: usize = 3;

/// The page.
pub fn report(set: &RunSet) -> String {
    report_with(set, &[])
}

/// The page, with the probability of failure along a run, where it was measured.
pub fn report_with(set: &RunSet, curves: &[FailureCurve]) -> String {
    let shown = shown(set);
    let of_curve = if curves.is_empty() { "" } else { probability::svg::STYLE };
    let of_targets = if comparison::targets(set).len() > 1 { comparison::html::STYLE } else { "" };
    let curve_of =
        |run: &RunRecord| curves.iter().find(|curve| curve.scenario == run.scenario && curve.seed == run.seed);
    let hidden = shown.iter().filter(|shown| !**shown).count();
    // Runs that went wrong come before everything else, and are open if there are only a few.
    let troubled = || set.runs.iter().enumerate().filter(|(_, run)| is_trouble(run));
    let few = troubled().count() <= OPEN_MAX;
    let main = html! {
        (head(set))
        (comparison::html::section(set))
        (run_table::section(set, &shown))
        @for (index, run) in troubled() { (section(set, run, curve_of(run), index + 1, few)) }
        (distributions::html::section(set))
        (curves::html::section(set))
        (coverage::html::section(&Coverage::of(set)))
        @if hidden > 0 {
            p.dim { (units::counted(hidden, "passed run")) " without a section: the first " (PASSED_MAX)
                " are shown in full." }
        }
        @for (index, run) in set.runs.iter().enumerate().filter(|(index, run)| shown[*index] && !is_trouble(run)) {
            (section(set, run, None, index + 1, false))
        }
    };
    document(
        &format!("Flowquake: {}", units::counted(set.runs.len(), "run")),
        &[
            &[run_table::STYLE, spacetime::STYLE, svg::load::STYLE, coverage::html::STYLE, of_curve, of_targets][..],
            &curves::html::STYLES,
        ]
        .concat(),
        &main,
        &[spacetime::SCRIPT, run_table::SCRIPT].concat(),
    )
}

/// Whether a run should be looked at before those that passed.
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

/// Whether a run went wrong in a way that a comparison with a passing run can explain.
fn is_compared(run: &RunRecord) -> bool {
    run.verdict != Verdict::Passed && run.verdict.class().ran()
}

fn head(set: &RunSet) -> Head<'_> {
    let verdicts = tables::verdict_counts(set).into_iter();
    Head {
        title: html! { "Fault tolerance report" },
        command: &set.command,
        notes: vec![html! { (set.program) ", schema version " (set.schema_version) }],
        counts: std::iter::once(Count::of(set.runs.len(), "run"))
            .chain(verdicts.map(|(label, style, n)| Count::labelled(n, label, style)))
            .collect(),
    }
}

fn section(set: &RunSet, run: &RunRecord, curve: Option<&FailureCurve>, number: usize, open: bool) -> Markup {
    let timing = timing::compare(run);
    let style = class(tables::verdict_style(&run.verdict));
    let evidence = terminal::evidence_lines(&run.verdict);
    html! {
        details.run.card id={ "run-" (number) } open[open] {
            summary {
                h2 { span.badge.(style) { (run.verdict.label()) } span.name { (run.scenario) } }
                span.sub { "seed " (run.seed) ", " (run.job.backend) ", " (story(run)) }
            }
            @if !evidence.is_empty() {
                div.evidence.(style) { @for line in &evidence { p { (line) } } }
            }
            p.sub { (run.file) }
            @if !run.why.is_empty() { p.why { (run.why) } }
            pre.replay title="replays exactly this run" { code { (run.replay) } }
            @if let Some(curve) = curve {
                (probability::html::section(curve))
            } @else if !run.when.is_empty() {
                p.sub { "At which event it was decided, in a few hundred runs:" }
                pre.when title="measures the curve of this failure" { code { (run.when) } }
            }
            (spacetime::figure(run))
            @if is_compared(run) { (comparison(set, run)) }
            dl.facts {
                @for (name, value) in tables::facts(run) { div { dt { (name) } dd { (value) } } }
            }
            (titled("Faults", "times in seconds of the run", &tables::faults(run)))
            (titled("Checkpoints", "parts along the critical path; they sum to the duration", &tables::checkpoints(run)))
            (titled("Checkpoints as the target reports them", "parts: the longest over all subtasks", &tables::reported(run)))
            (titled("Checkpoint durations", "completed checkpoints", &tables::durations(&timing)))
            (titled("Recoveries", "age: trigger of the restored checkpoint to the beginning of the outage", &tables::recoveries(run)))
            (titled("Outages", "from the fault until lasting progress; the parts sum to the outage", &tables::outages(run)))
            (titled("Predictions", "made before the run; share of what was measured", &tables::predictions(run)))
            (titled("Outside of the predictions", "not compared", &tables::outside_of_predictions(run)))
            (formulas(&timing))
            @if let Some(picture) = svg::load::picture(run) {
                h3 { "Load over the run" small { "how much of the time between two snapshots each subtask was busy, and back-pressured on top of that" } }
                (PreEscaped(picture))
            }
            (titled("Load", "what each subtask did with its time: means over its snapshots, and the most between two of them", &tables::load(run)))
            (titled("Oracles", "", &tables::oracles(run)))
            (titled("Options", "drawn from the seed or defaulted", &tables::options(run)))
            @if !run.timeline.is_empty() { (textual_timeline(run)) }
            a.top href="#top" { "Back to all runs" }
        }
    }
}

/// A summary of what happened, short enough to fit behind the name of a closed run.
fn story(run: &RunRecord) -> String {
    let (completed, aborted) = tables::checkpoint_counts(run);
    let mut story = vec![format!("{} completed", units::counted(completed as usize, "checkpoint"))];
    if aborted > 0 {
        story.push(format!("{} given up", units::count(aborted)));
    }
    let recoveries = tables::tried_recoveries(run);
    if recoveries > 0 {
        story.push(units::counted(recoveries as usize, "recovery"));
    }
    if let Some(outage) = worst_outage(&run.recoveries) {
        story.push(format!("worst outage {outage}"));
    }
    story.join(", ")
}

/// A failed run beside the nearest passed one.
fn comparison(set: &RunSet, run: &RunRecord) -> Markup {
    let Some(nearest) = diff::nearest(set, run) else {
        return html! { p.dim { "No run of this job passed, so there is nothing to compare it with." } };
    };
    let other = &set.runs[nearest];
    html! {
        h3 { "Beside the nearest run that passed"
            small { a.name href={ "#run-" (nearest + 1) } { (other.scenario) ", seed " (other.seed) } } }
        div.scroll.diff { (table(&diff::table(run, other))) }
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
                // The markup is short on purpose: there are hundreds of these, and the script finds them by their
                // order.
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
        // The only address is the name of the SVG namespace, which is never fetched.
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
        assert!(page.contains("<a class=\"name\" href=\"#run-1\">task-manager-dies-while-uploading, seed 20979</a>"));
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
    fn curves_stand_behind_the_distributions_and_before_the_passed_runs() {
        let page = report(&fixtures::set());
        let place = |text: &str| page.find(text).unwrap_or(usize::MAX);
        let [times, curves, run] = ["Distributions over all runs", "Curves over the period", "id=\"run-1\""].map(place);
        assert!(times < curves && curves < run && run < usize::MAX);
    }

    #[test]
    fn a_failure_has_its_curve_or_the_command_that_measures_it() {
        let when = "flowquake when flowquake-failures/a-seed-7.json";
        let mut failed = RunRecord { when: when.into(), ..fixtures::failed() };
        let set = |run: &RunRecord| RunSet { runs: vec![fixtures::passed(), run.clone()], ..fixtures::set() };
        let page = report(&set(&failed));
        assert!(page.contains(&format!("<code>{when}</code>")) && !page.contains("class=\"probability\""));
        let curve = probability::tests::curve();
        (failed.scenario, failed.seed) = (curve.scenario.clone(), curve.seed);
        let page = report_with(&set(&failed), std::slice::from_ref(&curve));
        let place = |text: &str| page.find(text).unwrap_or(usize::MAX);
        assert!(
            place("id=\"run-2\"") < place("class=\"probability\"")
                && place("class=\"probability\"") < place("id=\"run-1\"")
        );
        assert!(!page.contains(when));
        // The curve of another run is not shown.
        failed.seed += 1;
        assert!(!report_with(&set(&failed), &[curve]).contains("class=\"probability\""));
    }

    /// Counts the scripts: one for the page, and one with the data of each run.
    fn scripts(page: &str) -> usize {
        page.matches("<script").count()
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</style><script>alert(1)</script>\"'&";
        let mut run = fixtures::failed();
        for text in
            [&mut run.scenario, &mut run.why, &mut run.replay, &mut run.when, &mut run.file, &mut run.trace_hash]
        {
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

    proptest! {
        #[test]
        fn arbitrary_runs_have_a_page(runs in prop::collection::vec(fixtures::any_run(), 0..3)) {
            let count = runs.len();
            let page = report(&RunSet { runs, ..fixtures::set() });
            prop_assert_eq!(scripts(&page), count + 1);
        }
    }
}
