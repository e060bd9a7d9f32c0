//! The curves of a set as a section of the HTML report.
//!
//! Start at [`section`]: it explains the groups, and has the pictures, a table with the same values, and what is not
//! shown. Text of the records is escaped by `maud` wherever it enters, and by the pictures.

use maud::{Markup, PreEscaped, html};

use super::{ASSUMED_MTBF, Curves, svg, tables};
use crate::numbers::{chosen, percent};
use crate::page::titled;
use crate::record::RunSet;
use crate::units;

/// CSS of the section, after the CSS of its pictures.
pub const STYLES: [&str; 2] = [svg::STYLE, include_str!("curves.css")];

/// Pictures and table; empty if no passed run measured anything.
pub fn section(set: &RunSet) -> Markup {
    let curves = Curves::of(set);
    if curves.groups.is_empty() {
        return html! {};
    }
    let plots = svg::plots(&curves);
    let intervals: usize = curves.groups.iter().map(|group| group.left_out).sum();
    html! {
        section.run.card.curves {
            h2 { "Curves over the period" }
            p.sub {
                "Passed runs of the same job, backend, parallelism, input rate, predicted capacity and cost profile are a group. A "
                "dot is what its runs with one interval measured, a dashed line what the formula expects of the group: of its "
                "mean c, d, D and t_c, its input rate, and that capacity. State and faults of its runs may differ, so a dot off "
                "its line is where to look, and no proof against the formula. Recoveries that did not catch up are in neither. "
                "Availability is for a failure every " (chosen(ASSUMED_MTBF)) ", as an assumption: no run says "
                "how often failures come."
            }
            ul.key {
                @for (number, group) in (1..).zip(&curves.groups) {
                    li { i class=(svg::class(number)) { (number) } (group.kind.label())
                        span.dim { ", " (units::counted(group.whole.runs(), "run"))
                            @if let Some(load) = group.load_share() { ", load " (percent(load)) } } }
                }
            }
            div.plots { @for plot in &plots { (PreEscaped(plot)) } }
            (titled("Measured and expected", tables::NOTE, &tables::table(&curves)))
            p.dim { (tables::SYMBOLS) }
            @if curves.left_out > 0 {
                p.dim { "And " (units::counted(curves.left_out, "group")) " with fewer runs, or later by name: "
                    (units::counted(curves.runs_left_out, "run")) "." }
            }
            @if intervals > 0 {
                p.dim { "And " (units::counted(intervals, "interval")) " of these groups, with fewer runs." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::record::RunRecord;

    #[test]
    fn groups_are_listed_and_the_rest_is_counted() {
        let run = |parallelism: u32| {
            let mut run = fixtures::passed();
            run.job.parallelism = parallelism;
            run
        };
        let set = |count: u32| RunSet { runs: (0..count).map(run).collect(), ..fixtures::set() };
        let page = section(&set(6)).into_string();
        assert_eq!((page.matches("<svg ").count(), page.matches("<li>").count()), (4, 6));
        assert!(!page.contains("And ") && !page.contains(" id="));
        assert!(page.contains("a failure every 1 h, as an assumption"));
        let page = section(&set(9)).into_string();
        assert!(page.contains("And 3 groups with fewer runs, or later by name: 3 runs."));
    }

    #[test]
    fn without_passed_runs_that_measured_there_is_no_section() {
        for run in [fixtures::failed(), fixtures::empty()] {
            assert_eq!(section(&RunSet { runs: vec![run], ..fixtures::set() }).into_string(), "");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</svg><script>alert(1)</script>\"'&";
        let mut run = RunRecord { scenario: hostile.into(), cost_profile: hostile.into(), ..fixtures::passed() };
        for text in [&mut run.job.name, &mut run.job.backend, &mut run.target] {
            *text = hostile.into();
        }
        let page = section(&RunSet { runs: vec![run], ..fixtures::set() }).into_string();
        assert!(!page.contains("<script") && page.matches("</svg>").count() == page.matches("<svg ").count());
    }
}
