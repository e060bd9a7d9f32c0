//! The judgement as one HTML file that works offline, in the style of the report.
//!
//! Start at [`page`]. Text of runs is escaped by `maud` wherever it enters.

use maud::{Markup, html};

use super::judge::Judgement;
use super::outcome::Outcome;
use super::tables;
use crate::page::{Count, Head, class, document, titled};

/// The page; `command` is the command line that made it.
pub fn page(judgement: &Judgement, command: &str) -> String {
    let outcome = judgement.outcome();
    let advice = tables::advice(judgement);
    let main = html! {
        (Head {
            title: html! { "Regression gate: " span.(class(outcome.style())) { (outcome.label()) } },
            command,
            notes: vec![html! { (tables::engine(judgement)) "; budget: " (judgement.budgets) }],
            counts: counts(judgement),
        })
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

fn counts(judgement: &Judgement) -> Vec<Count> {
    let mut outcomes: Vec<Outcome> = judgement.scenarios.iter().map(|scenario| scenario.outcome()).collect();
    let all = outcomes.clone();
    outcomes.sort_unstable();
    outcomes.dedup();
    let mut counts = vec![Count::of(judgement.runs().count(), "run"), Count::of(all.len(), "scenario")];
    counts.extend(outcomes.into_iter().map(|outcome| {
        let those = all.iter().filter(|other| **other == outcome).count();
        Count::labelled(those, outcome.label(), outcome.style())
    }));
    counts
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::judgements;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_hostile_text_stays_text() {
        for (_, mut judgement) in judgements() {
            judgement.scenarios[0].scenario = "<script>alert(1)</script>".into();
            let page = page(&judgement, "</style><script>");
            // The page's own policy is an `http-equiv`; nothing else may contain "http".
            assert!(!page.contains("<script") && !page.replacen("http-equiv", "", 1).contains("http"), "{page}");
            assert_eq!(page.matches("</style>").count(), 1);
        }
    }
}
