//! Runs as JUnit XML, and helpers that all JUnit documents share.
//!
//! Start at [`xml`]: a suite per folder of scenarios, with a case per run and its real time. The class of a case is
//! folder and scenario joined by dots, as CI systems expect for classes. A run that did not pass is a failure, with its
//! evidence and the command that replays it. A run that was not built is skipped, which no CI counts as passed.
//!
//! The files are valid by the schema that Jenkins checks, in its form of 2014 and in today's. Neither allows `skipped`
//! on the outermost element, and times have at most three decimals.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::ansi::clean;
use crate::record::{RunRecord, RunSet, Verdict};
use crate::tables;
use crate::terminal::evidence_lines;

/// The file's text.
pub fn xml(set: &RunSet) -> String {
    let mut report = Report::new("flowquake");
    report.set_time(time(set.runs.iter()));
    report.add_test_suites(tables::by_folder(set).into_iter().map(|(folder, runs)| suite(folder, &runs)));
    text(&report)
}

fn suite(folder: &str, runs: &[&RunRecord]) -> TestSuite {
    let mut suite = TestSuite::new(clean(folder));
    suite.set_time(time(runs.iter().copied()));
    // Dots in a folder's name would be taken for separators of packages.
    let package = |part: &str| clean(part).replace('.', "-");
    let folders: Vec<String> =
        folder.split('/').filter(|part| !matches!(*part, "" | "." | "..")).map(package).collect();
    suite.add_test_cases(runs.iter().map(|run| {
        let mut case = TestCase::new(format!("{} seed {}", clean(&run.scenario), run.seed), status(run));
        let class: Vec<String> = folders.iter().cloned().chain([package(&run.scenario)]).collect();
        case.set_classname(class.join("."));
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
    // Writing to memory cannot fail for content that `clean` has let through.
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

/// Skipped, with the reason.
pub(crate) fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(message));
    status
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixtures;

    /// The elements of Jenkins' schema (`junit-10.xsd` of its xUnit plugin) that are used: parent, attributes that both
    /// its form of 2014 and today's form allow, attributes that one of them requires. The newer form dropped
    /// `disabled`, `assertions` and `status`; the older one did not have `group`, `file`, `log` and `url`.
    const SCHEMA: &[(&str, &str, &[&str], &[&str])] = &[
        ("testsuites", "", &["name", "time", "tests", "failures", "errors"], &[]),
        (
            "testsuite",
            "testsuites",
            &["name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"],
            &["name", "tests", "failures", "errors"],
        ),
        ("testcase", "testsuite", &["name", "time", "classname"], &["name", "classname"]),
        ("failure", "testcase", &["type", "message"], &[]),
        ("error", "testcase", &["type", "message"], &[]),
        ("skipped", "testcase", &["type", "message"], &[]),
    ];

    /// The schema's `SUREFIRE_TIME` in its narrower form of 2014, as far as it is used: digits, a point, at most three
    /// digits.
    fn is_time(text: &str) -> bool {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        !whole.is_empty() && digits(whole) && digits(part) && part.len() <= 3
    }

    /// Asserts that `xml` keeps to the schema.
    pub(crate) fn is_valid(xml: &str) {
        let mut open: Vec<String> = Vec::new();
        // In text and attributes `<` is escaped, so every `<` begins a tag.
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
            if let Some((_, rest)) = tag.split_once(" time=\"") {
                let (time, _) = rest.split_once('"').expect("a value ends");
                assert!(is_time(time), "time {time} of <{name}> in {xml}");
            }
            for (key, number) in ["tests", "failures", "errors", "skipped"].map(|key| (key, format!(" {key}=\""))) {
                if let Some((_, rest)) = tag.split_once(&number) {
                    assert!(rest.starts_with(|c: char| c.is_ascii_digit()), "{key} of <{name}> in {xml}");
                }
            }
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
        assert_eq!(
            [is_time("0.021"), is_time("72.3"), is_time("1.2.3"), is_time("1.2345"), is_time("")],
            [true, true, false, false, false]
        );
        assert_eq!(count(" time=\""), 1 + count("<testsuite ") + 6, "{xml}");
        assert!(xml.contains("O1: key `11` lost 3 records") && xml.contains("--seed 7"), "{xml}");
    }
    #[test]
    fn each_folder_is_a_suite_with_its_time() {
        let of = |file: &str, wall_ns: u64| {
            let run = fixtures::passed();
            RunRecord { file: file.into(), totals: crate::record::Totals { wall_ns, ..run.totals.clone() }, ..run }
        };
        let files =
            [("scenarios/net.v2/a.toml", 1_000_000), ("b.toml", 2_000_000), ("scenarios/net.v2/c.toml", 4_000_400)];
        let set = RunSet { runs: files.map(|(file, wall)| of(file, wall)).into(), ..fixtures::set() };
        let xml = xml(&set);
        is_valid(&xml);
        let name = clean(&set.runs[0].scenario).replace('.', "-");
        for part in [
            "<testsuite name=\"scenarios/net.v2\" tests=\"2\"",
            "<testsuite name=\".\" tests=\"1\"",
            "time=\"0.007\"",
            "time=\"0.005\"",
            &format!("classname=\"scenarios.net-v2.{name}\""),
            &format!("classname=\"{name}\""),
        ] {
            assert!(xml.contains(part), "{part}\n{xml}");
        }
    }
}
