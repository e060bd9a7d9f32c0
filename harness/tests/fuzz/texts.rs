//! Text formats: scenarios, plans, profiles, baselines, records, journals.

use std::path::Path;
use std::sync::LazyLock;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::profile::Profile;
use flowquake::scenario::{Scenario, parse_plan};
use flowquake::session;
use flowquake::tune::journal::Journal;
use flowquake_reports::coverage::Coverage;
use flowquake_reports::export::{perfetto, shiviz};
use flowquake_reports::gate::baseline::Baseline;
use flowquake_reports::record::{RunSet, SCHEMA_VERSION};
use flowquake_reports::tuning::{Point, Recovered};
use flowquake_reports::{distributions, json, svg};

use super::target::Target;

/// Words that mean something in scenarios, plans, profiles, baselines and records.
const TEXT: [&[u8]; 24] = [
    b"\n[[fault]]\n",
    b"on = { event = \"barrier-received\", nth = 2 }\n",
    b"at = \"8760h\"\n",
    b"do = \"kill\"\n",
    b"target = \"emitter\"\n",
    b"= 18446744073709551615",
    b"= -1",
    b"= nan",
    b"= 1e308",
    b"\"99999999999999999999h\"",
    b"\"1ns\"",
    b"\"\"",
    b"null",
    b"[]",
    b"{}",
    b"[[[[[[[[[[",
    b"{\"a\":{\"a\":",
    b": 18446744073709551615",
    b": -9223372036854775808",
    b": 1e999",
    b": 0.1",
    b"\xc3\xa9",
    b"\x1b[2J",
    b"\\u0000",
];

static JOBS: LazyLock<flowquake::scenario::catalogue::JobCatalogue> = LazyLock::new(|| catalogue(&Jobs::builtin()));

fn repository(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// All readers of text get UTF-8; other bytes are refused before.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn scenarios() -> Vec<Vec<u8>> {
    let files = [
        "scenarios/task-manager/killed-between-pre-commit-and-commit.toml",
        "scenarios/swarm/reference.toml",
        "scenarios/tuning/quick.toml",
        "scenarios/baseline/no-fault.toml",
    ];
    let called = |text: String| {
        let rest = text.split_once("name = ").unwrap().1.split_once('\n').unwrap().1;
        format!("name = \"fuzz\"\n{rest}").into_bytes()
    };
    files.map(|file| called(repository(file))).into()
}

#[test]
fn scenario_files() {
    let read = |bytes: &[u8]| match Scenario::parse(&text(bytes), Path::new("fuzz.toml"), &JOBS) {
        Ok(scenario) => {
            let plan = scenario.plan(1);
            serde_json::to_string(&plan).is_ok()
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            false
        }
    };
    Target { name: "scenario files", good: scenarios(), words: &TEXT, read: &read }.survives();
}

#[test]
fn plans() {
    let plan = |file: &Vec<u8>| {
        let scenario = Scenario::parse(&text(file), Path::new("fuzz.toml"), &JOBS).unwrap();
        serde_json::to_string_pretty(&scenario.plan(3)).unwrap().into_bytes()
    };
    let read = |bytes: &[u8]| parse_plan(&text(bytes), Path::new("plan.json"), &JOBS).is_ok();
    let good = scenarios().iter().take(2).map(plan).collect();
    Target { name: "plans", good, words: &TEXT, read: &read }.survives();
}

#[test]
fn profiles() {
    let read = |bytes: &[u8]| Profile::parse(&text(bytes), "p.toml").is_ok_and(|profile| !profile.to_toml().is_empty());
    let good = vec![Profile::builtin().to_toml().into_bytes()];
    Target { name: "profiles", good, words: &TEXT, read: &read }.survives();
}

#[test]
fn baselines() {
    let read = |bytes: &[u8]| {
        Baseline::parse(&text(bytes)).is_ok_and(|baseline| !baseline.text().is_empty() && !baseline.size().is_empty())
    };
    // Keep two of its scenarios: edits in a short text hit more important places.
    let mut short = Baseline::parse(&repository("scenarios/gate.json")).unwrap();
    short.scenarios.truncate(2);
    Target { name: "baselines", good: vec![short.text().into_bytes()], words: &TEXT, read: &read }.survives();
}

/// The file from which readers of files get their input.
struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        // In memory if possible, because there are millions of inputs.
        let memory = Path::new("/dev/shm");
        Self(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap())
    }

    fn with(&self, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.0.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Renders what was read in every form.
fn show(set: &RunSet) {
    let coverage = Coverage::of(set);
    let _ = (coverage.check(), distributions::of(&set.runs), json::to_string(set));
    for run in set.runs.iter().take(2) {
        let _ = (perfetto::trace(run), shiviz::log(run), svg::standalone(run));
    }
}

#[test]
fn records() {
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(&text(&scenarios()[0]), Path::new("fuzz.toml"), &JOBS).unwrap();
    let (record, _) = session::execute(&scenario.plan(1), &jobs, &[], "flowquake replay x".into());
    let set = RunSet {
        schema_version: SCHEMA_VERSION,
        command: "flowquake run x".into(),
        program: "flowquake".into(),
        fault_kinds: Vec::new(),
        setting_ranges: Vec::new(),
        runs: vec![record],
    };
    let file = File::new();
    let read = |bytes: &[u8]| {
        json::read(&file.with(bytes)).is_ok_and(|set| {
            show(&set);
            true
        })
    };
    let good = vec![json::to_string(&set).into_bytes()];
    Target { name: "records", good, words: &TEXT, read: &read }.survives();
}

#[test]
fn journals() {
    let file = File::new();
    let point = Point {
        interval: 1.5,
        verdict: "passed".into(),
        headline: String::new(),
        period: Some(1.6),
        duration: Some(0.1),
        duration_p99: Some(0.2),
        cost: Some(0.01),
        state: 1e6,
        new_bytes: None,
        capacity: Some(1e5),
        commit: Some(0.2),
        recoveries: vec![Recovered { phase: 0.5, age: 0.8, outage: 1.2, total: Some(3.0), state_load: None }],
        simulated: 3600.0,
    };
    let path = file.with(b"");
    let mut journal = Journal::open(&path, "engine").unwrap();
    journal.add("0123456789abcdef".into(), point.clone()).unwrap();
    journal.add("fedcba9876543210".into(), point).unwrap();
    let good = vec![std::fs::read(&path).unwrap()];
    let read = |bytes: &[u8]| Journal::open(&file.with(bytes), "engine").is_ok_and(|journal| !journal.is_empty());
    Target { name: "journals", good, words: &TEXT, read: &read }.survives();
}
