//! Documents for a terminal, as one string each.
//!
//! Start at [`verdicts`] for a set of runs; [`details`] shows everything about one run; [`failure`] explains a run that
//! did not pass. Colours are used only if the caller asks for them, and nothing is lost without them.

use crate::ansi::{Color, Screen, Style, clean, paint};
use crate::comparison::Comparison;
use crate::record::{RunRecord, RunSet, Verdict};
use crate::table::titled;
use crate::{comparison, distributions, tables, timeline, timing, units};

/// If there are more runs than this, they are summed up by scenario, because nobody reads a table of thousands of
/// lines.
pub const ROWS_MAX: usize = 500;

/// The verdict table of a set, or the comparison of its targets, if there are several; one line of evidence per run that did not pass, and
/// the sum.
pub fn verdicts(set: &RunSet, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = match Comparison::of(set) {
        Some(comparison) => compared(&comparison, screen),
        None if set.runs.len() <= ROWS_MAX => tables::verdicts_by_folder(set).text(0, screen),
        None => tables::scenarios(set).text(0, screen),
    };
    let unproved = tables::unproved(set);
    if !unproved.is_empty() {
        out.push('\n');
        out.push_str(&unproved.text(0, screen));
    }
    for line in tables::not_judged(set) {
        out.push_str(&format!("\n{}\n", clean(&line)));
    }
    out.push('\n');
    out.push_str(&sum(set, color));
    out.push('\n');
    out
}

/// Scenarios on several targets: numbers, then the first step in which the protocol of one goes another way.
fn compared(comparison: &Comparison, screen: Screen) -> String {
    use comparison::tables::{Scenario, differences, numbers, sum};
    let mut out = numbers(comparison, Scenario::Above).text(0, screen).trim_start_matches('\n').to_owned();
    out.push_str(&titled("Where the protocol goes another way", &differences(comparison), screen));
    out.push_str(&format!("\n{}\n", clean(&sum(comparison))));
    out
}

/// `3 runs: 2 passed, 1 failed`.
pub fn sum(set: &RunSet, color: Color) -> String {
    let runs = units::counted(set.runs.len(), "run");
    let classes: Vec<String> = tables::verdict_counts(set)
        .into_iter()
        .map(|(label, style, n)| paint(&format!("{n} {label}"), style, color))
        .collect();
    if classes.is_empty() { runs } else { format!("{runs}: {}", classes.join(", ")) }
}

/// The distribution of every measured time over the runs of a set; empty if nothing was measured.
pub fn distributions(set: &RunSet, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let mut out =
        titled("Distributions over all runs", &distributions::tables::table(&distributions::of(&set.runs)), screen);
    if !out.is_empty() {
        out.push_str(&format!("  {}\n", distributions::tables::NOTE));
        out.extend(distributions::tables::missing(set).map(|missing| format!("  {missing}\n")));
    }
    out
}

/// Everything the record of one run holds, as tables.
pub fn details(run: &RunRecord, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let timing = timing::compare(run);
    let mut out = title(run, color);
    out.push_str(&format!("  {}\n", clean(&run.why)));
    out.push_str(&section("Evidence", &evidence(&run.verdict), color));
    let facts: Vec<String> =
        tables::facts(run).iter().map(|(name, value)| format!("  {name:<18}{}", clean(value))).collect();
    out.push_str(&section("Run", &facts, color));
    out.push_str(&titled("Options drawn or defaulted", &tables::options(run), screen));
    out.push_str(&titled("Faults", &tables::faults(run), screen));
    out.push_str(&section("Receipts", &receipts(run), color));
    out.push_str(&titled("Checkpoints", &tables::checkpoints(run), screen));
    out.push_str(&titled("Checkpoints as the target reports them", &tables::reported(run), screen));
    out.push_str(&titled("Checkpoint durations", &tables::durations(&timing), screen));
    out.push_str(&titled("Load of the subtasks, between two snapshots", &tables::load(run), screen));
    out.push_str(&titled("Recoveries", &tables::recoveries(run), screen));
    out.push_str(&titled("Outages, from the fault until lasting progress", &tables::outages(run), screen));
    out.push_str(&titled("Distributions", &distributions::tables::table(&distributions::of([run])), screen));
    out.push_str(&titled(
        "Predictions, and their residual as a share of what was measured",
        &tables::predictions(run),
        screen,
    ));
    out.push_str(&titled("Outside of the predictions, and not compared", &tables::outside_of_predictions(run), screen));
    out.push_str(&titled("Formulas, residual = measured - predicted", &tables::timing_summary(&timing), screen));
    out.push_str(&titled("Formulas, case by case", &tables::timing_rows(&timing), screen));
    if tables::hidden_gaps(&timing) > 0 {
        out.push_str(&format!(
            "  … and {}, none further off\n",
            units::counted(tables::hidden_gaps(&timing), "trigger gap")
        ));
    }
    out.push_str(&titled("Oracles", &tables::oracles(run), screen));
    let lines: Vec<String> = timeline::heading(run, color).into_iter().chain(timeline::full(run, color)).collect();
    out.push_str(&section("Timeline", &lines, color));
    out.push_str(&section("Replay", &[clean(&run.replay)], color));
    out
}

/// Why a run did not pass: first the evidence, then why the scenario exists, the command that replays the run, the
/// timeline around the faults, and the options that are not at their defaults.
///
/// The replay command is alone on its line and not indented, so that it is easy to copy.
pub fn failure(run: &RunRecord, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = title(run, color);
    out.push_str(&section("Evidence", &evidence(&run.verdict), color));
    if !run.why.trim().is_empty() {
        out.push_str(&section("Why", &[format!("  {}", clean(&run.why))], color));
    }
    out.push_str(&section("Receipts", &receipts(run), color));
    out.push_str(&section("Replay", &[clean(&run.replay)], color));
    out.push_str(&section("Timeline around the faults", &timeline::excerpt(run, color), color));
    let (chosen, defaults) = tables::chosen_options(run);
    out.push_str(&titled("Options that are not at their defaults", &chosen, screen));
    if defaults > 0 {
        let rest = format!("  {} at their defaults: see the report", units::counted(defaults, "option"));
        out.push_str(&format!("{}{}\n", if chosen.is_empty() { "\n" } else { "" }, paint(&rest, Style::Dim, color)));
    }
    out
}

/// What shows that each strike had its effect, for targets on which that is not certain.
fn receipts(run: &RunRecord) -> Vec<String> {
    let hits = run.faults.iter().flat_map(|fault| fault.hits.iter().map(move |hit| (fault, hit)));
    let shown = hits.filter(|(_, hit)| !hit.receipt.is_empty());
    shown
        .map(|(fault, hit)| {
            let at = units::duration(hit.struck_at_ns);
            clean(&format!("  fault {}, {} {}, at {at}: {}", fault.id, fault.kind, hit.target, hit.receipt))
        })
        .collect()
}

fn title(run: &RunRecord, color: Color) -> String {
    let target = if run.is_simulated() { String::new() } else { format!(", on {}", clean(&run.target)) };
    format!(
        "{}  {}  seed {}, backend {}, {}{target}\n",
        paint(run.verdict.label(), tables::verdict_style(&run.verdict), color),
        paint(&clean(&run.scenario), Style::Heading, color),
        run.seed,
        clean(&run.job.backend),
        clean(&run.file),
    )
}

/// The evidence of a verdict, line by line; empty for a passed run.
pub fn evidence_lines(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Passed => Vec::new(),
        Verdict::Failed { oracle, evidence, also } => {
            let mut lines = violated_lines(oracle, evidence);
            lines.extend(
                also.iter().flat_map(|other| violated_lines(&format!("also {}", other.oracle), &other.evidence)),
            );
            lines
        }
        Verdict::Crashed { panic } => panic.lines().map(str::to_owned).collect(),
        Verdict::Uncertain { doubts } => doubts.clone(),
        Verdict::Vacuous { .. }
        | Verdict::Stuck { .. }
        | Verdict::Nondeterministic { .. }
        | Verdict::NotBuilt { .. }
        | Verdict::NotOffered { .. } => vec![verdict.headline()],
    }
}

/// The evidence of one oracle, named in its first line.
fn violated_lines(oracle: &str, evidence: &[String]) -> Vec<String> {
    let first = evidence.first().map_or("no evidence recorded", String::as_str);
    std::iter::once(format!("{oracle}: {first}")).chain(evidence.iter().skip(1).cloned()).collect()
}

fn evidence(verdict: &Verdict) -> Vec<String> {
    evidence_lines(verdict).iter().map(|line| format!("  {}", clean(line))).collect()
}

/// A heading with lines; empty if there are no lines.
fn section(heading: &str, lines: &[String], color: Color) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}\n{}\n", paint(heading, Style::Heading, color), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::RunSet;

    #[test]
    fn verdict_table() {
        insta::assert_snapshot!("verdicts", verdicts(&fixtures::set(), Color::No));
    }

    #[test]
    fn verdict_table_in_colour() {
        let text = verdicts(&RunSet { runs: vec![fixtures::failed()], ..fixtures::set() }, Color::Yes);
        assert!(text.contains("\x1b[1;31mfailed\x1b[0m"), "{text}");
    }

    #[test]
    fn a_sweep_is_told_by_scenario() {
        let mut runs = vec![fixtures::passed(); ROWS_MAX];
        runs.push(fixtures::failed());
        let text = verdicts(&RunSet { runs, ..fixtures::set() }, Color::No);
        insta::assert_snapshot!("sweep", text);
    }

    #[test]
    fn details_of_a_passed_run() {
        insta::assert_snapshot!("details", details(&fixtures::passed(), Color::No));
    }

    #[test]
    fn distributions_of_a_set() {
        let mut set = fixtures::set();
        insta::assert_snapshot!("distributions", distributions(&set, Color::No));
        set.runs.clear();
        assert_eq!(distributions(&set, Color::No), "");
    }

    #[test]
    fn what_a_target_cannot_show_is_said_once_below_the_verdicts() {
        let mut set = fixtures::set();
        assert!(!verdicts(&set, Color::No).contains("not judged"));
        let why = "the target does not show the changes of its stores";
        for run in set.runs.iter_mut().take(2) {
            run.target = "process".into();
            run.oracles = ["O3", "O1", "O4"].map(|id| oracle(id, (id != "O1").then(|| why.to_owned()))).into();
        }
        let text = verdicts(&set, Color::No);
        let line = "not judged on process: O3, O4 (the target does not show the changes of its stores)";
        assert_eq!(text.matches("not judged on").count(), 1, "{text}");
        assert!(text.contains(line), "{text}");
    }

    fn oracle(id: &str, not_judged: Option<String>) -> crate::record::OracleRecord {
        let held = not_judged.is_none();
        let (property, unit) = (String::new(), String::new());
        crate::record::OracleRecord { id: id.into(), property, held, judged: 0, unit, not_judged }
    }

    #[test]
    fn failure_explained() {
        insta::assert_snapshot!("failure", failure(&fixtures::failed(), Color::No));
    }

    #[test]
    fn an_empty_set_and_an_empty_run_have_documents() {
        let none = RunSet { runs: vec![], ..fixtures::set() };
        assert!(verdicts(&none, Color::No).ends_with("\n0 runs\n"));
        assert!(details(&fixtures::empty(), Color::No).contains("passed"));
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_documents_without_foreign_escapes(run in fixtures::any_run()) {
            let set = RunSet { runs: vec![run.clone()], ..fixtures::set() };
            for text in [verdicts(&set, Color::No), details(&run, Color::No), failure(&run, Color::No)] {
                prop_assert!(!text.contains('\x1b'));
            }
        }
    }
}
