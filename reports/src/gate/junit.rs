//! The judgement as JUnit XML, which every CI system shows as tests.
//!
//! Start at [`xml`]. There is a suite per scenario, with a case per run for verdict and trace, and one case for the
//! times of all its runs. A run that was not built is skipped, which no CI counts as passed. There are no time stamps,
//! so equal judgements give equal files.

use quick_junit::{Report, TestCase, TestCaseStatus, TestSuite};

use super::judge::{Judgement, Pace, RunJudgement, ScenarioJudgement};
use super::outcome::Outcome;
use super::tables;
use crate::ansi::clean;
use crate::junit::{self, skipped};

/// The file's text.
pub fn xml(judgement: &Judgement) -> String {
    let mut report = Report::new("flowquake gate");
    report.add_test_suites(judgement.scenarios.iter().map(|scenario| suite(scenario, judgement)));
    junit::text(&report)
}

fn suite(scenario: &ScenarioJudgement, judgement: &Judgement) -> TestSuite {
    let mut suite = TestSuite::new(clean(&scenario.scenario));
    suite.add_test_cases(
        scenario.runs.iter().map(|run| case(&scenario.scenario, format!("seed {}", run.seed), status(run))),
    );
    if !scenario.times.is_empty() || scenario.incomparable {
        suite.add_test_case(case(&scenario.scenario, "times".to_owned(), times(scenario, judgement)));
    }
    suite
}

fn case(scenario: &str, name: String, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("flowquake.gate.{}", clean(scenario)));
    case
}

fn status(run: &RunJudgement) -> TestCaseStatus {
    let outcome = run.outcome();
    match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::NotBuilt => skipped(&tables::reason(run)),
        _ => {
            let lines = tables::evidence(run).iter().map(String::as_str).chain([run.note.replay.as_str()]);
            let description: Vec<String> = lines.map(clean).collect();
            failure(outcome, &tables::reason(run), &description.join("\n"))
        }
    }
}

fn times(scenario: &ScenarioJudgement, judgement: &Judgement) -> TestCaseStatus {
    if scenario.incomparable {
        return skipped("not compared: see the runs of this scenario");
    }
    let lines: Vec<String> = scenario
        .paced(Pace::Slower)
        .map(|time| {
            let lapse = |lapse: Option<super::times::Lapse>| lapse.map_or("none".to_owned(), |lapse| lapse.to_string());
            format!(
                "{} {}: {} → {}, {}, budget {}",
                time.measure.label(),
                time.percentile.label(),
                lapse(time.before),
                lapse(time.now),
                tables::change(time),
                judgement.budgets.of(time.percentile)
            )
        })
        .collect();
    match lines.first() {
        None => TestCaseStatus::success(),
        Some(first) => failure(Outcome::Slower, first, &lines.join("\n")),
    }
}

fn failure(outcome: Outcome, message: &str, description: &str) -> TestCaseStatus {
    junit::failure(outcome.label(), message, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::judgements;

    #[test]
    fn a_file_for_every_outcome() {
        for (name, judgement) in judgements() {
            let xml = xml(&judgement);
            junit::tests::is_valid(&xml);
            insta::assert_snapshot!(name, xml);
        }
    }

    #[test]
    fn hostile_evidence_is_escaped() {
        let (_, mut judgement) = judgements().remove(3);
        let hostile = "]]></failure>\u{1}\"'&";
        let note = &mut judgement.scenarios[1].runs[0].note;
        (note.headline, note.evidence) = (hostile.into(), vec![hostile.into(); 2]);
        let xml = xml(&judgement);
        assert!(!xml.contains("]]></failure>\u{1}") && xml.contains("&lt;/failure"), "{xml}");
    }
}
