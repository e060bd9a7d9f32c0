//! Runs as JUnit XML, and what every document of that kind shares.
//!
//! Start at [`xml`]: a suite per scenario, in it a case per run, with the real time that it took. A run that did not pass is a
//! failure with its evidence and the command that replays it; what was not built is skipped, which no CI counts as passed.
//!
//! The files are valid by the schema that Jenkins checks, which knows no `skipped` on the outermost element.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::ansi::clean;
use crate::record::{RunRecord, RunSet, Verdict};
use crate::terminal::evidence_lines;

/// The file's text.
pub fn xml(set: &RunSet) -> String {
    let mut report = Report::new("flowquake");
    report.set_time(time(set.runs.iter()));
    let mut suites: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    for run in &set.runs {
        match suites.last_mut().filter(|(name, _)| *name == run.scenario) {
            Some((_, runs)) => runs.push(run),
            None => suites.push((&run.scenario, vec![run])),
        }
    }
    report.add_test_suites(suites.into_iter().map(|(name, runs)| suite(name, &runs)));
    text(&report)
}

fn suite(name: &str, runs: &[&RunRecord]) -> TestSuite {
    let mut suite = TestSuite::new(clean(name));
    suite.set_time(time(runs.iter().copied()));
    suite.add_test_cases(runs.iter().map(|run| {
        let mut case = TestCase::new(format!("seed {}", run.seed), status(run));
        case.set_classname(format!("flowquake.{}", clean(name)));
        case.set_time(Duration::from_nanos(run.totals.wall_ns));
        case
    }));
    suite
}

fn time<'r>(runs: impl Iterator<Item = &'r RunRecord>) -> Duration {
    Duration::from_nanos(runs.fold(0, |sum: u64, run| sum.saturating_add(run.totals.wall_ns)))
}

fn status(run: &RunRecord) -> TestCaseStatus {
    match &run.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        verdict if !verdict.class().ran() => skipped(&verdict.headline()),
        verdict => {
            let mut lines = evidence_lines(verdict);
            lines.push(run.replay.clone());
            let description: Vec<String> = lines.iter().map(|line| clean(line)).collect();
            failure(verdict.label(), &verdict.headline(), &description.join("\n"))
        }
    }
}

/// The text of a report.
pub(crate) fn text(report: &Report) -> String {
    // Writing into memory fails for no content that `clean` lets through.
    let mut text = report.to_string().expect("text without control characters is XML");
    if let Some(start) = text.find("<testsuites")
        && let Some(end) = text[start..].find('>').map(|end| start + end)
        && let Some(at) = text[start..end].find(" skipped=\"").map(|at| start + at)
        && let Some(close) = text[at + 10..].find('"')
    {
        text.replace_range(at..at + 10 + close + 1, "");
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A failure of this type.
pub(crate) fn failure(kind: &str, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(clean(message)).set_description(description.to_owned());
    status
}

/// Skipped, and why.
pub(crate) fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(message));
    status
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixtures;

    /// Elements of Jenkins' schema (`junit-10.xsd` of its xUnit plugin) as far as they are used: parent, attributes that may be
    /// there, attributes that must be.
    const SCHEMA: &[(&str, &str, &[&str], &[&str])] = &[
        ("testsuites", "", &["name", "time", "tests", "failures", "disabled", "errors"], &[]),
        (
            "testsuite",
            "testsuites",
            &[
                "name",
                "tests",
                "failures",
                "errors",
                "time",
                "disabled",
                "skipped",
                "timestamp",
                "hostname",
                "id",
                "package",
            ],
            &["name", "tests"],
        ),
        ("testcase", "testsuite", &["name", "assertions", "time", "classname", "status"], &["name", "classname"]),
        ("failure", "testcase", &["type", "message"], &[]),
        ("error", "testcase", &["type", "message"], &[]),
        ("skipped", "testcase", &["type", "message"], &[]),
    ];

    /// Asserts that `xml` keeps to the schema.
    pub(crate) fn is_valid(xml: &str) {
        let mut open: Vec<String> = Vec::new();
        // In text and attributes `<` is escaped, so each one begins a tag.
        for tag in xml.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            if tag.starts_with('?') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{xml}");
                continue;
            }
            let name: String = tag.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
            let (_, parent, may, must) =
                SCHEMA.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("<{name}> in {xml}"));
            assert_eq!(open.last().map_or("", String::as_str), *parent, "{xml}");
            let given: Vec<&str> =
                tag.split('"').step_by(2).filter_map(|part| part.trim_end_matches('=').rsplit(' ').next()).collect();
            let given: Vec<&str> =
                given.into_iter().filter(|key| !key.is_empty() && *key != "/" && *key != name).collect();
            assert!(given.iter().all(|key| may.contains(key)), "{given:?} of <{name}> in {xml}");
            assert!(must.iter().all(|key| given.contains(key)), "{given:?} of <{name}> in {xml}");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{xml}");
    }

    #[test]
    fn every_verdict_is_a_case_with_its_time() {
        let xml = xml(&fixtures::set());
        is_valid(&xml);
        let count = |part: &str| xml.matches(part).count();
        assert_eq!((count("<testcase "), count("<failure "), count("<skipped")), (6, 4, 1), "{xml}");
        assert_eq!(count(" time=\""), 1 + count("<testsuite ") + 6, "{xml}");
        assert!(xml.contains("O1: key `11` lost 3 records") && xml.contains("--seed 7"), "{xml}");
    }
}
