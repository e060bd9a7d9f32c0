//! A tuning set as one HTML file that works offline: no script, no font, no picture from elsewhere.
//!
//! Start at [`page`]: the answer first, then how the formulas did, then per curve the pictures and tables that it rests on. The
//! tables are those of the terminal. Text of the set is escaped by `maud` wherever it enters.

use maud::{Markup, PreEscaped, html};

use super::findings::{Case, Findings, RESTS_ON, capacity_held, hours, name, notes};
use super::{Curve, TuningSet, rule_tables, rules, svg, tables};
use crate::ansi::Style;
use crate::page::{Count, Head, document, titled};
use crate::{numbers, units};

/// What the page adds to the report's CSS.
const CSS: &str = "\
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: 1.2rem 2rem; margin: 1.4rem 0 0; }
.plots h3 { margin-top: .6rem; }
.plots.tables { margin-top: .4rem; align-items: start; }
.formulas td { white-space: normal; }
.formulas td:nth-child(2) { white-space: nowrap; }
.plots svg { display: block; width: 100%; max-width: 640px; height: auto; }
section.card { margin-top: 1.5rem; padding: .1rem 1.75rem 1.25rem; }
section.card > h2 { margin: 1.3rem 0 0; font-size: 19px; font-weight: 620; }
section.card > h2 + p { margin: .15rem 0 0; max-width: 85ch; color: var(--dim); }
section.card > .scroll { margin: .8rem -.75rem 0; }
ul.notes { margin: 1.2rem 0 0; padding-left: 1.1rem; color: var(--dim); max-width: 95ch; }
.answer { margin: .6rem 0 0; padding: 0; list-style: none; font-size: 15px; }
.answer li { padding: .3rem 0; }
";

/// The page.
pub fn page(findings: &Findings<'_>) -> String {
    let set = findings.set;
    let main = html! {
        (head(set))
        section.card {
            h2 { "Which backend, which interval" }
            p { "By state size and load, the cheapest first; backends within 5 % are as good, and of these the \
                 one that bears more records comes first. Load is the share of each backend's own capacity." }
            (titled("", "", &tables::recommendations(findings)))
            ul.notes { li { (RESTS_ON) } }
        }
        section.card {
            h2 { "Best intervals" }
            p { "Cost: work lost and output late, as a share of time. Of every formula, what its choice costs \
                 above the best." }
            (titled("", "", &tables::overview(findings)))
            ul.notes { @for note in notes(set) { li { (note) } } }
        }
        section.card {
            h2 { "How the formulas did" }
            p { "Over all curves and failure rates: what the choice costs above the best where it lies among the \
                 measured intervals, and how often it does not." }
            (titled("", "", &tables::scores(findings)))
            div.formulas { (titled("The formulas", "c: work lost per checkpoint, d: its duration, M: time between failures, D: \
                outage, ρ = λ/μ: load, w: weight of late output, P: minimum pause", &tables::formulas())) }
        }
        section.card {
            h2 { "Rules of thumb, held against what was measured" }
            p { "A ratio is what the rule says over what was measured; right is what is at most "
                (format!("{:.0} %", rules::RIGHT * 100.0)) " off." }
            (titled("Interval = duration + pause", "beside the engine's own rule", &rule_tables::interval_rules(set)))
            (titled("Recovery = duration + state load", "beside the load-aware formula",
                &rule_tables::recovery_rules(set)))
            (titled("Larger state, longer checkpoints", "d = d₀ + S/(p·B), through the smallest and the \
                largest state", &rule_tables::size_rules(set)))
            (titled("Cost of a checkpoint that writes what changed", "c(T) = c₀ + k·S·(1 − e^(−u·T)), through the shortest, the \
                middle and the longest interval; a ratio is of one of the others", &rule_tables::change_rules(set)))
        }
        @for (index, (curve, cases)) in findings.curves().enumerate() {
            (section(set, curve, &cases, index == 0))
        }
    };
    document(&format!("Flowquake: checkpoint interval of {}", set.job), &[svg::STYLE, CSS], &main, "")
}

fn head(set: &TuningSet) -> Head<'_> {
    let points = || set.curves.iter().flat_map(|curve| &curve.points);
    let failed = points().filter(|point| !point.passed()).count();
    let failures: usize = points().map(|point| point.recoveries.len()).sum();
    let mut counts = vec![
        Count::of(set.curves.len(), "curve"),
        Count::labelled(points().count(), "intervals measured", Style::Plain),
        Count::labelled(failures, "recoveries", Style::Plain),
        Count {
            number: hours(set.simulated).trim_end_matches(" hours").to_owned(),
            label: "hours simulated".into(),
            style: Style::Plain,
        },
    ];
    if failed > 0 {
        counts.insert(2, Count::labelled(failed, "not passed", Style::Bad));
    }
    let mut notes = vec![html! {
        "scenario " (set.scenario) ", parallelism " (set.parallelism) ", cost profile " (set.cost_profile) "; " (set.program)
        ", tuning version " (set.tuning_version)
    }];
    if !set.why.is_empty() {
        notes.insert(0, html! { (set.why) });
    }
    Head { title: html! { "Checkpoint interval of " (set.job) }, command: &set.command, notes, counts }
}

/// One curve; the first stands open, to show what is behind the others.
fn section(set: &TuningSet, curve: &Curve, cases: &[Case<'_>], open: bool) -> Markup {
    let bests: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            Some(format!("{} at a failure every {}", case.best_in_words()?, numbers::chosen(case.advice.mtbf)))
        })
        .collect();
    html! {
        details.run.card open[open] {
            summary {
                h2 { (name(curve)) }
                span.sub { @if bests.is_empty() { "no best interval" } @else { "best: " (bests.join(", ")) } }
            }
            p.sub { "Input " (numbers::rate(curve.rate)) ", predicted capacity " (numbers::rate(curve.capacity))
                @if let Some(held) = capacity_held(curve) { ", " (held) }
                "; one record stands for " (units::count(curve.record_weight)) ", an entry of state for "
                (units::count(curve.state_weight)) "." }
            div.plots {
                @for case in cases { (PreEscaped(svg::cost(case, ""))) }
                (PreEscaped(svg::recovery(set, curve, "")))
                (PreEscaped(svg::uptime(set, curve, "")))
                (PreEscaped(svg::latency(curve, "")))
                div {
                    (titled("Cost of missing the best", "read off between the measured intervals",
                        &tables::sensitivity(cases)))
                }
            }
            div.plots.tables {
                @for case in cases {
                    div {
                        (titled(&format!("Choices for a failure every {}", numbers::chosen(case.advice.mtbf)),
                            "what they cost above the best", &tables::choices(case)))
                    }
                }
            }
            (titled("As failures become rare", "or more frequent", &tables::by_failure_rate(set, curve)))
            (titled("Measured", "means over the run; latency: until output is visible, without failures",
                &tables::points(curve)))
            a.top href="#top" { "Back to the answer" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_page_holds_every_curve_and_needs_nothing_from_elsewhere() {
        let set = fixtures::set();
        let page = page(&Findings::of(&set));
        assert_eq!(page.matches("<details class=\"run").count(), 8);
        assert_eq!(page.matches("<svg ").count(), 8 * 5);
        // The one address is the name of the SVG namespace, which nobody fetches.
        assert_eq!(page.matches("http:").count(), page.matches("\"http://www.w3.org/2000/svg\"").count());
        for tag in ["https:", "<link", "<img", "<script", "url(", "@import", " src="] {
            assert!(!page.contains(tag), "{tag}");
        }
    }

    #[test]
    fn hostile_text_stays_text_and_an_empty_set_has_a_page() {
        let hostile = "</style><script>alert(1)</script>\"'&";
        let mut set = fixtures::set();
        for text in [&mut set.command, &mut set.why, &mut set.job, &mut set.cost_profile, &mut set.curves[0].backend] {
            *text = hostile.into();
        }
        set.curves[7].points[0].headline = hostile.into();
        let text = page(&Findings::of(&set));
        assert!(!text.contains("<script"));
        assert_eq!(text.matches("</style>").count(), 1);
        set.curves.clear();
        assert!(page(&Findings::of(&set)).contains("curves"));
    }
}
