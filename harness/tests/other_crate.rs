//! A crate with a job of its own, as `docs/other-crates.md` shows it: the same text is compiled and run here.
//!
//! This program is three: the test target of that crate and its command line ([`AS`] in the environment says which), and the tests
//! that start both.

mod common;

use std::fs;
use std::process::{Command, ExitCode};

use common::{Folder, Said};
use flowquake::jobs::{Job, Jobs};
use flowquake_engine::graph::JobError;
use libtest_mimic::{Arguments, Trial};

#[allow(missing_docs, reason = "as the document shows it")]
#[path = "other_crate/shout.rs"]
mod my_harness;

/// Which program of the other crate this one is: `main` or `test`; without it, the tests.
const AS: &str = "FLOWQUAKE_OTHER_CRATE";

const TESTS: &[(&str, fn())] = &[
    ("the_document_shows_what_is_compiled_here", the_document_shows_what_is_compiled_here),
    ("each_scenario_is_a_test_of_its_own_name", each_scenario_is_a_test_of_its_own_name),
    ("arguments_of_test_binaries_choose_tests", arguments_of_test_binaries_choose_tests),
    (
        "a_failed_test_shows_its_evidence_and_a_command_that_replays_it",
        a_failed_test_shows_its_evidence_and_a_command_that_replays_it,
    ),
    ("a_wrong_file_fails_its_test_alone", a_wrong_file_fails_its_test_alone),
    ("no_scenario_is_a_failure", no_scenario_is_a_failure),
    ("a_job_that_ends_its_process_fails_its_test_alone", a_job_that_ends_its_process_fails_its_test_alone),
    ("a_job_that_exits_while_it_is_built_passes_nothing", a_job_that_exits_while_it_is_built_passes_nothing),
];

fn main() -> ExitCode {
    match std::env::var(AS).as_deref() {
        Ok("main") => flowquake::main(&jobs()),
        Ok(seeds) => flowquake::test_main(["scenarios"], 1..=seeds.parse().expect("a number of seeds"), &jobs()),
        Err(_) => {
            let trials = TESTS.iter().map(|(name, test)| {
                Trial::test(*name, || {
                    test();
                    Ok(())
                })
            });
            libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
        }
    }
}

/// The document's job, and two that end their process.
fn jobs() -> Jobs {
    let jobs = my_harness::jobs();
    let like_shout = || {
        let shout = jobs.get("shout").expect("it is registered");
        Job { params: shout.params, model: None, ..*shout }
    };
    let quits = Job { reference: |_, _| exit(), ..like_shout() };
    let quits_when_built = Job { build: |_, _| exit(), ..like_shout() };
    jobs.clone().with("quits", quits).with("quits-when-built", quits_when_built)
}

fn exit<T>() -> Result<T, JobError> {
    #[allow(clippy::disallowed_methods, reason = "that is what is tried")]
    std::process::exit(0)
}

/// The folder of the other crate.
struct Crate(Folder);

impl Crate {
    /// With these scenarios: path below `scenarios`, job, lines at the end.
    fn with(scenarios: &[(&str, &str, &str)]) -> Self {
        let folder = Folder::new();
        let root = folder.path().join("scenarios");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("lines.txt"), "to be\nor not\nto be\n").unwrap();
        let lines = folder.path().join("lines.txt");
        for (path, job, more) in scenarios {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = format!(
                "name = {:?}\nwhy = \"a test\"\n[job]\nname = \"{job}\"\n\
                 input = {{ file = {lines:?}, repeat = 100, rate = \"1000/s\" }}\n\
                 [checkpointing]\ninterval = \"100ms\"\n{more}\n",
                file.file_stem().unwrap()
            );
            fs::write(file, text).unwrap();
        }
        Self(folder)
    }

    fn run(&self, what: &str, args: &[&str]) -> Said {
        let mut command = self.0.command_of(&std::env::current_exe().unwrap(), args);
        // As if it were started by hand: then commands that it prints begin with its path.
        command.env(AS, what).env_remove("CARGO_PKG_NAME").output().unwrap().into()
    }

    /// What the test target says, with one seed.
    #[track_caller]
    fn tests(&self, args: &[&str], code: i32) -> Said {
        let said = self.run("1", args);
        assert_eq!(said.code, Some(code), "{args:?}\n{}\n{}", said.out, said.err);
        said
    }
}

const KILL: &str = "[[fault]]\non = { event = \"checkpoint-completed\", nth = 1 }\ndo = \"kill\"\ntarget = \"tm-1\"\nrestart_after = \"100ms\"";

/// Two that pass, one of them with a fault.
const SOUND: [(&str, &str, &str); 2] = [("calm.toml", "shout", ""), ("faults/killed.toml", "shout", KILL)];
/// An expectation that is not met.
const UNMET: (&str, &str, &str) = ("faults/unmet.toml", "shout", "[expect]\nfailovers = 3");

fn the_document_shows_what_is_compiled_here() {
    let document = include_str!("../../docs/other-crates.md");
    assert!(document.contains(include_str!("other_crate/shout.rs")), "copy harness/tests/other_crate/shout.rs into it");
}

fn each_scenario_is_a_test_of_its_own_name() {
    let listed = Crate::with(&[SOUND[0], SOUND[1], ("x/y/quits.toml", "quits-when-built", "")]);
    let said = listed.tests(&["--list", "--format", "terse"], 0);
    assert_eq!(said.out, "calm: test\nfaults::killed: test\nx::y::quits: test\n", "NT1; no job is built for a list");

    let sound = Crate::with(&SOUND);
    let said = sound.tests(&[], 0);
    assert!(said.out.contains("running 2 tests"), "{}", said.out);
    for name in ["calm", "faults::killed"] {
        let passed =
            said.out.lines().any(|line| line.starts_with(&format!("test {name} ")) && line.ends_with("... ok"));
        assert!(passed, "{name}: {}", said.out);
    }
    let said = sound.run("3", &[]);
    assert_eq!(said.code, Some(0), "NT3, three seeds: {}", said.out);
}

fn arguments_of_test_binaries_choose_tests() {
    let folder = Crate::with(&[SOUND[0], SOUND[1], UNMET]);
    let counts = |args: &[&str], code: i32| {
        let said = folder.tests(args, code);
        let line = said.out.lines().find(|line| line.starts_with("test result:")).unwrap_or_default().to_owned();
        line.split_once(". ").and_then(|(_, rest)| rest.split_once(" ignored")).map(|(counts, _)| counts.to_owned())
    };
    assert_eq!(counts(&["killed"], 0).as_deref(), Some("1 passed; 0 failed; 0"));
    assert_eq!(counts(&["--exact", "killed"], 0).as_deref(), Some("0 passed; 0 failed; 0"), "as in every test binary");
    assert_eq!(counts(&["--exact", "faults::killed", "--nocapture"], 0).as_deref(), Some("1 passed; 0 failed; 0"));
    assert_eq!(counts(&["--skip", "unmet", "--test-threads", "1"], 0).as_deref(), Some("2 passed; 0 failed; 0"));
    assert_eq!(counts(&["faults", "--quiet"], 101).as_deref(), Some("1 passed; 1 failed; 0"));
    assert!(folder.tests(&["calm", "--format", "json"], 0).out.contains(r#""name": "calm", "event": "ok""#));
    folder.tests(&["--no-such-argument"], 2);
    assert!(folder.tests(&["--test-threads", "0"], 2).err.contains("write at least 1"));
    assert_eq!(counts(&["calm", "--test-threads", "1000000"], 0).as_deref(), Some("1 passed; 0 failed; 0"));
}

fn a_failed_test_shows_its_evidence_and_a_command_that_replays_it() {
    let folder = Crate::with(&[UNMET, SOUND[0]]);
    let said = folder.tests(&[], 101);
    assert!(said.out.contains("1 passed; 1 failed"), "{}", said.out);
    let at = |text: &str| said.out.find(text).unwrap_or_else(|| panic!("{text}: {}", said.out));
    assert!(at("---- faults::unmet ----") < at("Evidence") && at("Evidence") < at("Replay"), "{}", said.out);
    let file = fs::canonicalize(folder.0.path().join("scenarios/faults/unmet.toml")).unwrap();
    let command = said.out.lines().find(|line| line.contains(&format!(" run {} --seed 1", file.display())));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command.expect("a command")]).env(AS, "main").current_dir(&elsewhere);
    assert_eq!(Said::from(shell.output().unwrap()).code, Some(1), "it fails there as well");
}

fn a_wrong_file_fails_its_test_alone() {
    let folder = Crate::with(&[SOUND[0], ("wrong.toml", "shoot", "")]);
    let said = folder.tests(&[], 101);
    assert!(said.out.contains("1 passed; 1 failed"), "{}", said.out);
    for text in ["---- wrong ----", "wrong.toml:4", "shoot", "did you mean `shout`?"] {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    assert!(!said.out.contains("panicked"), "{}", said.out);

    let namesakes = Crate::with(&[("a/same.toml", "shout", ""), ("b/same.toml", "shout", "")]);
    let said = namesakes.tests(&[], 101);
    assert!(said.out.contains("1 passed; 1 failed") && said.out.contains("---- b::same ----"), "{}", said.out);
    assert!(said.out.contains("two scenarios are called `same`"), "{}", said.out);
}

fn no_scenario_is_a_failure() {
    let empty = Crate::with(&[]);
    for args in [&[][..], &["--list"], &["a filter"]] {
        assert!(empty.tests(args, 101).err.contains("holds no scenario"), "NT2");
    }
    fs::remove_dir(empty.0.path().join("scenarios")).unwrap();
    assert!(empty.tests(&[], 101).err.contains("there is no file or folder scenarios"));
    let none = Crate::with(&SOUND).run("0", &[]);
    assert!(none.code == Some(101) && none.err.contains("the seeds 1..=0 are none"), "{}", none.err);
}

fn a_job_that_ends_its_process_fails_its_test_alone() {
    let folder = Crate::with(&[SOUND[0], ("quits.toml", "quits", ""), SOUND[1]]);
    let said = folder.tests(&["--test-threads", "1"], 101);
    assert!(said.out.contains("2 passed; 1 failed"), "{}", said.out);
    assert!(said.out.contains("ended with exit code 0 in the middle of the run"), "{}", said.out);
}

fn a_job_that_exits_while_it_is_built_passes_nothing() {
    let said = Crate::with(&[("quits.toml", "quits-when-built", "")]).tests(&[], 5);
    assert!(said.err.contains("building the graph of job `quits-when-built` was under way"), "{}", said.err);
}
