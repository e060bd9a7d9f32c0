//! The judgement as one HTML file that works offline, in the look of the report.
//!
//! Start at [`page`]. Text of runs is escaped by `maud` wherever it enters.

use maud::{Markup, html};

use super::judge::Judgement;
use super::outcome::Outcome;
use super::tables;
use crate::ansi::Style;
use crate::html::{document, short_command, titled};
use crate::units;

/// The page; `command` is the command line that made it.
pub fn page(judgement: &Judgement, command: &str) -> String {
    let outcome = judgement.outcome();
    let advice = tables::advice(judgement);
    let main = html! {
        header {
            h1 { "Regression gate: " span class=(class(outcome.style())) { (outcome.label()) } }
            p { code { (short_command(command)) } }
            p { (tables::engine(judgement)) "; budget: " (judgement.budgets) }
            (counts(judgement))
        }
        @if !advice.is_empty() {
            div.evidence.(class(outcome.style())) { @for line in &advice { p { (line) } } }
        }
        (titled("Runs that may not pass", "", &tables::troubles(judgement)))
        (replays(judgement))
        (titled("Slower", "beyond the budget, over all seeds of a scenario", &tables::slower(judgement)))
        (titled("Faster", "by more than the budget", &tables::improved(judgement)))
        (titled("Scenarios", "", &tables::scenarios(judgement)))
        details {
            summary { "All times" }
            (titled("", "", &tables::all_times(judgement)))
        }
    };
    document(&format!("Flowquake gate: {}", outcome.label()), &[], &main, "")
}

fn counts(judgement: &Judgement) -> Markup {
    let mut outcomes: Vec<Outcome> = judgement.scenarios.iter().map(|scenario| scenario.outcome()).collect();
    let all = outcomes.clone();
    outcomes.sort_unstable();
    outcomes.dedup();
    html! {
        ul.counts {
            li { b { (units::count(judgement.runs().count() as u64)) } "runs" }
            li { b { (units::count(all.len() as u64)) } "scenarios" }
            @for outcome in outcomes {
                li class=(class(outcome.style())) {
                    b { (all.iter().filter(|other| **other == outcome).count()) } (outcome.label())
                }
            }
        }
    }
}

fn replays(judgement: &Judgement) -> Markup {
    html! {
        @for (_, run) in judgement.runs().filter(|(_, run)| !matches!(run.outcome(), Outcome::Passed | Outcome::NotBuilt)) {
            @if !tables::evidence(run).is_empty() {
                div.evidence.bad { @for line in tables::evidence(run) { p { (line) } } }
            }
            pre.replay title="replays exactly this run" { code { (run.note.replay) } }
        }
    }
}

fn class(style: Style) -> &'static str {
    match style {
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Warn => "warn",
        Style::Plain | Style::Heading | Style::Dim => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::judgements;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_hostile_text_stays_text() {
        for (_, mut judgement) in judgements() {
            judgement.scenarios[0].scenario = "<script>alert(1)</script>".into();
            let page = page(&judgement, "</style><script>");
            // The page's own policy is an `http-equiv`; nothing else may come near an address.
            assert!(!page.contains("<script") && !page.replacen("http-equiv", "", 1).contains("http"), "{page}");
            assert_eq!(page.matches("</style>").count(), 1);
        }
    }
}
