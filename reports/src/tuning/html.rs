//! A tuning set as one HTML file that works offline: nothing is loaded from elsewhere.
//!
//! Start at [`page`]: the answer in words, as a table and as curves; then what did not pass, what the answer assumes,
//! how the formulas did, and for each curve its pictures and tables. The tables are the same as on the terminal. Text
//! of the set is escaped by `maud` wherever it enters.

use maud::{Markup, PreEscaped, html};

use super::catalogue::{FORMULAS, SYMBOLS};
use super::findings::{Case, Findings, RESTS_ON, capacity_held, hours, name, notes};
use super::{Curve, TuningSet, answer, rule_tables, rules, svg, tables, unpassed};
use crate::ansi::Style;
use crate::page::{Count, Head, document, titled};
use crate::{numbers, units};

/// What the page adds to the report's CSS.
const CSS: &str = include_str!("study.css");

/// Opens a curve when its link is followed; without JavaScript one more click is needed.
const SCRIPT: &str = include_str!("study.js");

/// Sections in order: address, and text in the list of contents.
const CONTENTS: [(&str, &str); 8] = [
    ("answer", "The answer"),
    ("curves", "The curves behind it"),
    ("unpassed", "What did not pass"),
    ("backends", "All backends"),
    ("intervals", "All best intervals"),
    ("formulas", "How the formulas did"),
    ("rules", "Rules of thumb"),
    ("every-curve", "Every curve in full"),
];

/// The page.
pub fn page(findings: &Findings<'_>) -> String {
    let set = findings.set;
    let unpassed = unpassed::table(findings);
    let main = html! {
        (head(findings))
        nav.contents aria-label="contents" {
            @for (address, name) in CONTENTS.iter().filter(|(address, _)| *address != "unpassed" || !unpassed.is_empty()) {
                a href={ "#" (address) } { (name) }
            }
        }
        (answer(findings))
        (curves(findings))
        @if !unpassed.is_empty() {
            section.card #unpassed {
                h2 { "What did not pass" }
                p { (unpassed::WHAT) }
                (titled("", "", &unpassed))
            }
        }
        section.card #backends {
            h2 { "All backends" }
            p { "By state size and load, the cheapest first; backends within 5 % are as good, and of these the \
                 one that bears more records comes first. Load is the share of each backend's own capacity." }
            (titled("", "", &tables::recommendations(findings)))
            ul.notes { li { (RESTS_ON) } }
        }
        section.card #intervals {
            h2 { "All best intervals" }
            p { "Cost: work lost and output late, as a share of time. Of every formula, what its choice costs \
                 above the best." }
            (titled("", "", &tables::overview(findings)))
        }
        section.card #formulas {
            h2 { "How the formulas did" }
            p { "Over all curves and failure rates: what the choice costs above the best where it lies among the \
                 measured intervals, and how often it does not." }
            (titled("", "", &tables::scores(findings)))
            (equations())
        }
        section.card #rules {
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
        h2.part #every-curve { "Every curve in full" }
        @for (number, (curve, cases)) in (1..).zip(findings.curves()) {
            (section(set, curve, &cases, number))
        }
    };
    document(&format!("Flowquake: checkpoint interval of {}", set.job), &[svg::STYLE, CSS], &main, SCRIPT)
}

/// The answer in words and as a table, and what it assumes.
fn answer(findings: &Findings<'_>) -> Markup {
    html! {
        section.card #answer {
            h2 { "The answer" }
            ul.answer { @for sentence in answer::sentences(findings) { li { (sentence) } } }
            (titled("What to take", "which backend, with a checkpoint how often, and what that costs as a share of the time",
                &answer::table(findings)))
            details {
                summary { "What it rests on" }
                ul.notes { @for note in notes(findings.set) { li { (note) } } li { (RESTS_ON) } }
            }
        }
    }
}

/// The cost over the interval for the backend to use, one picture per state size and load.
fn curves(findings: &Findings<'_>) -> Markup {
    let pictures = answer::pictures(findings);
    html! {
        @if let Some(first) = pictures.first() {
            section.card #curves {
                h2 { "The curves behind it" }
                p { "What an interval costs, as a share of time, for a failure every " (numbers::chosen(first.advice.mtbf))
                    ": of the backend to take, a picture per state size and load. Too short an interval wastes work on checkpoints, \
                     too long a one repeats and delays much after a failure. Numbers at the top are what formulas choose; the list \
                     below each picture says which." }
                div.plots {
                    @for case in &pictures {
                        figure {
                            figcaption { a href={ "#curve-" (answer::place(findings, case.curve)) } { (name(case.curve)) } }
                            (PreEscaped(svg::cost(case, "")))
                        }
                    }
                }
            }
        }
    }
}

/// The formulas with their equations. Lines may break only between two equations.
fn equations() -> Markup {
    html! {
        h3 { "The formulas" small { (SYMBOLS) } }
        div.scroll {
            table.equations {
                thead { tr { @for heading in ["", "formula", "equation", "presumes", "source"] { th scope="col" { (heading) } } } }
                tbody {
                    @for (number, formula) in (1..).zip(&FORMULAS) {
                        tr {
                            td.r { span.dim { (number) } }
                            td { (formula.name) }
                            td {
                                @for (index, part) in formula.parts().iter().enumerate() {
                                    @if index > 0 { ", " }
                                    span.equation { (part) }
                                }
                            }
                            td { (formula.presumes) }
                            td { (formula.source) }
                        }
                    }
                }
            }
        }
    }
}

fn head<'p>(findings: &'p Findings<'_>) -> Head<'p> {
    let set = findings.set;
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
            href: None,
        },
    ];
    if failed > 0 {
        let style = if unpassed::matter(findings) { Style::Bad } else { Style::Warn };
        counts.insert(2, Count { href: Some("#unpassed"), ..Count::labelled(failed, "not passed", style) });
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

/// One curve, which is closed at first.
fn section(set: &TuningSet, curve: &Curve, cases: &[Case<'_>], number: usize) -> Markup {
    let bests: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            Some(format!("{} at a failure every {}", case.best_in_words()?, numbers::chosen(case.advice.mtbf)))
        })
        .collect();
    html! {
        details.run.card id={ "curve-" (number) } {
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
        // Five for each curve, and the four of the answer.
        assert_eq!(page.matches("<svg ").count(), 8 * 5 + 4);
        // The only address is the name of the SVG namespace, which is never fetched.
        assert_eq!(page.matches("http:").count(), page.matches("\"http://www.w3.org/2000/svg\"").count());
        for tag in ["https:", "<link", "<img", "url(", "@import", " src="] {
            assert!(!page.contains(tag), "{tag}");
        }
    }

    #[test]
    fn the_answer_and_its_curves_come_first_and_every_link_leads_somewhere() {
        let set = fixtures::set();
        let page = page(&Findings::of(&set));
        let mut last = 0;
        for (address, _) in CONTENTS {
            let place = page.find(&format!(" id=\"{address}\"")).unwrap_or_else(|| panic!("{address}"));
            assert!(place > last, "{address}");
            last = place;
        }
        for link in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(page.contains(&format!(" id=\"{link}\"")), "{link}");
        }
        assert!(page.contains("<a href=\"#unpassed\">not passed</a>") && page.contains("no: the best intervals lie"));
        let mut passed = fixtures::set();
        passed.curves.pop();
        assert!(!super::page(&Findings::of(&passed)).contains("#unpassed\""), "nothing to explain");
    }

    #[test]
    fn no_equation_is_broken() {
        let set = fixtures::set();
        let page = page(&Findings::of(&set));
        assert!(page.contains("<span class=\"equation\">R = (D·μₑ + λA)/(μₑ − λ)</span>"));
        assert_eq!(
            page.matches("class=\"equation\"").count(),
            FORMULAS.iter().flat_map(|formula| formula.parts()).count()
        );
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
        assert_eq!((text.matches("<script").count(), text.matches("</script").count()), (1, 1), "its own");
        assert_eq!(text.matches("</style>").count(), 1);
        set.curves.clear();
        assert!(page(&Findings::of(&set)).contains("curves"));
    }
}
