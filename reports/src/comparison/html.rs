//! The comparison of targets as a section of a page: numbers, picture, differences.
//!
//! Start at [`section`].

use maud::{Markup, PreEscaped, html};

use super::{Comparison, picture, tables};
use crate::page::titled;
use crate::record::RunSet;

/// CSS of the section.
pub const STYLE: &str = picture::STYLE;

/// The section; nothing of runs on one target.
pub fn section(set: &RunSet) -> Markup {
    let Some(comparison) = Comparison::of(set) else { return html! {} };
    let first = comparison.targets.first().map_or("", String::as_str);
    html! {
        section #targets {
            h2 { "Targets side by side" }
            p.sub { (tables::sum(&comparison)) }
            (titled("", "", &tables::numbers(&comparison, tables::Scenario::InColumn)))
            p.dim {
                "Of several runs: the median, and the least to the greatest. The parts are those of the outage whose length is the median. \
                 Off: measured less predicted, as a share of what was measured, with the prices of the profile."
            }
            @if let Some(picture) = picture::fragment(&comparison) {
                h3 { "Longest outages" small { "the median in its parts; the line goes from the least to the greatest" } }
                (PreEscaped(picture))
            }
            (titled(
                "Where the protocol goes another way",
                "the first step, without what time alone decides: instants, numbers and counts of checkpoints",
                &tables::differences(&comparison),
            ))
            @if tables::differences(&comparison).is_empty() {
                p.dim { "Every run that was held against one on " (first) " took the same steps." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::set;
    use crate::fixtures;

    #[test]
    fn a_section_is_there_for_several_targets_only() {
        assert!(section(&fixtures::set()).into_string().is_empty());
        let text = section(&set()).into_string();
        for part in ["Targets side by side", "not offered", "task-failed", "class=\"fq-targets\""] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut set = set();
        set.runs.iter_mut().for_each(|run| run.scenario = "<script>alert(1)</script>".into());
        assert!(!section(&set).into_string().contains("<script>"));
    }
}
