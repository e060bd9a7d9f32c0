//! Scenarios on a real, unmodified Apache Flink. They need `FLINK_HOME` and a JDK. Without these, a line says so and
//! nothing is tried.
#![allow(clippy::disallowed_methods, reason = "these tests start, watch and kill real processes")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Folder;
use flowquake::cli::catalogue;
use flowquake::flink::ApacheFlink;
use flowquake::jobs::Jobs;
use flowquake::outcome::Outcome;
use flowquake::plan::{RunPlan, TargetPlan};
use flowquake::scenario::Scenario;
use flowquake::session::{Depth, try_execute};
use flowquake_engine::event::Event;
use flowquake_engine::ids::CheckpointId;
use flowquake_reports::record::{RunRecord, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest time to wait for any condition.
const PATIENCE: Duration = Duration::from_secs(120);

/// A job that takes checkpoints for three seconds.
const HEAD: &str = r#"
name = "flink"
why = "an Apache Flink under faults"
time_limit = "60s"
[job]
name = "keyed-count"
params = { keys = 50 }
input = { generator = "orders", records = 1_500, splits = 4, rate = "500/s" }
parallelism = 2
[cluster]
task_managers = 2
slots = 2
[checkpointing]
interval = "400ms"
backend = "fs"
[engine]
restart_delay = "100ms"
heartbeat_interval = "500ms"
heartbeat_timeout = "5s"
"#;

/// The Flink of this machine.
fn flink() -> Option<ApacheFlink> {
    match ApacheFlink::find(None) {
        Ok(flink) => Some(flink.started_by(PathBuf::from(env!("CARGO_BIN_EXE_flowquake")))),
        Err(missing) => {
            eprintln!("not tried: {missing}; {}", missing.remedy);
            None
        }
    }
}

fn run(flink: &ApacheFlink, rest: &str) -> (RunRecord, Outcome) {
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(&format!("{HEAD}{rest}"), Path::new("flink.toml"), &catalogue(&jobs));
    let scenario = scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let plan = RunPlan { target: TargetPlan::Flink, ..scenario.plan(1) };
    try_execute(flink, Depth::Full, &plan, &jobs, String::new()).expect("this machine can keep it")
}

/// The strike lands when Flink has completed the checkpoint but has not told anyone. Exactly-once output must hold in
/// any case.
#[test]
fn a_task_manager_is_killed_exactly_when_a_checkpoint_is_complete() {
    let Some(flink) = flink() else { return };
    let fault = "[[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 3 }\ndo = \"kill\"\ntarget = \"tm-1\"\n\
                 restart_after = \"500ms\"\n";
    let (record, outcome) = run(&flink, fault);
    assert_eq!(record.verdict, Verdict::Passed, "{record:#?}");
    assert_eq!(record.target, "flink");
    let judged: Vec<&str> =
        record.oracles.iter().filter(|oracle| oracle.not_judged.is_none()).map(|oracle| oracle.id.as_str()).collect();
    assert_eq!(judged, ["O1", "O7", "O8"]);
    let receipt = &outcome.strikes[0].hits[0].receipt;
    assert!(receipt.contains("ended by SIGKILL"), "{receipt}");
    // TaskManager 1 was killed before it could hear of the checkpoint; at most the other one heard of it.
    let events = &outcome.trace.events;
    let completed = |event: &Event| matches!(event, Event::CheckpointCompleted { checkpoint: CheckpointId(3), .. });
    let at = events.iter().position(|record| completed(&record.event)).expect("it completed");
    assert!(
        !events[..at]
            .iter()
            .any(|record| { matches!(record.event, Event::CompletionNotified { checkpoint: CheckpointId(3), .. }) })
    );
    let restored = |event: &Event| matches!(event, Event::DeploymentBegun { restored: Some(CheckpointId(3)), .. });
    assert!(events[at..].iter().any(|record| restored(&record.event)), "it went on from the checkpoint");
}

/// The twins ask before each record, whoever reaches a store before each request, and each thread of a Flink waits for its own answer.
#[test]
fn user_code_fails_and_snapshots_and_stores_wait_as_they_are_told_to() {
    let Some(flink) = flink() else { return };
    let faults = "[[fault]]\nat = \"0s\"\ndo = \"poison-record\"\nsplit = 1\nposition = 300\ntimes = 1\n\
                  [[fault]]\non = { event = \"checkpoint-triggered\", checkpoint = 1 }\ndo = \"hang-snapshot\"\ntarget = \"tm-1\"\nheal_after = \"700ms\"\n\
                  [[fault]]\nat = \"1200ms\"\ndo = \"slow-store\"\nstore = \"checkpoints\"\nby = \"10ms\"\nheal_after = \"1s\"\n\
                  [expect]\nfailovers = 1\n";
    let (record, outcome) = run(&flink, faults);
    assert_eq!(record.verdict, Verdict::Passed, "{record:#?}");
    let receipt = |fault: usize| record.faults[fault].hits[0].receipt.as_str();
    assert!(receipt(0).contains("before record 300 of split 1, and was told to fail"), "{}", receipt(0));
    assert!(receipt(1).contains("snapshots hung") && receipt(1).contains("healed"), "{}", receipt(1));
    assert!(receipt(2).contains("asked for") && receipt(2).ends_with("was answered so"), "{}", receipt(2));
    let in_program = |event: &Event| matches!(event, Event::TaskFailed { in_program: true, .. });
    assert_eq!(outcome.trace.events.iter().filter(|record| in_program(&record.event)).count(), 1);
}

/// FLINK-1, while a TaskManager stands still: it could not see by itself that nobody listens.
#[test]
fn a_harness_that_is_killed_leaves_no_java_behind() {
    let Some(_) = flink() else { return };
    let pause = "[[fault]]\nat = \"1s\"\ndo = \"pause\"\ntarget = \"tm-1\"\nresume_after = \"4s\"\n";
    let folder = Folder::new().with("flink.toml", format!("{HEAD}{pause}"));
    let mut command = folder.command(&["run", "flink.toml", "--target", "flink", "--jobs", "1"]);
    let mut harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let ours = |id: u32| java_below(id);
    // One of them is stopped.
    while !ours(harness.id()).iter().any(|id| state(*id) == Some('T')) {
        assert!(begun.elapsed() < PATIENCE, "no Java of this run stands still");
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = ours(harness.id());
    assert!(before.len() >= 3, "{before:?}");
    kill(Pid::from_raw(harness.id() as i32), Signal::SIGKILL).unwrap();
    harness.wait().unwrap();
    let begun = Instant::now();
    while before.iter().any(|id| state(*id).is_some_and(|state| state != 'Z')) {
        assert!(begun.elapsed() < PATIENCE, "left behind: {before:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes called `java` among the descendants of a process.
fn java_below(id: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![id];
    while let Some(parent) = open.pop() {
        for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
                let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
                found.extend((name.trim() == "java").then_some(child));
                open.push(child);
            }
        }
    }
    found
}

/// The state of a process: a letter, `None` if it is gone.
fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[test]
fn what_is_missing_is_named_before_anything_runs() {
    let folder = Folder::new().with("flink.toml", HEAD);
    let nowhere = folder.at("nowhere").display().to_string();
    let said = folder.flowquake(&["flink", "check", "--flink-home", &nowhere], 2);
    assert!(said.err.contains("cannot be entered") && said.err.contains("give the folder"), "{}", said.err);
    let here = folder.path().display().to_string();
    let said = folder.flowquake(&["run", "flink.toml", "--target", "flink", "--flink-home", &here], 2);
    assert!(said.err.contains("is no Flink"), "{}", said.err);
    let mut command = folder.command(&["run", "flink.toml", "--target", "flink"]);
    command.env_remove("FLINK_HOME");
    let said = folder.ends(command, 2);
    assert!(said.err.contains("--flink-home DIR"), "{}", said.err);
    assert!(!folder.at("target").exists(), "nothing was begun");
}

#[test]
fn what_flink_does_not_offer_is_refused_with_path_and_remedy() {
    let refused = |rest: &str| {
        let folder = Folder::new().with("flink.toml", format!("{HEAD}{rest}"));
        folder.flowquake(&["check", "flink.toml", "--target", "flink"], 2).err
    };
    let said = refused("[[fault]]\nat = \"1s\"\ndo = \"kill\"\ntarget = \"leader\"\nrestart_after = \"500ms\"\n");
    assert!(said.contains("fault[1].target: flink does not offer") && said.contains("ZooKeeper"), "{said}");
    let said = refused("[[fault]]\non = { event = \"commit-acknowledged\" }\ndo = \"kill\"\ntarget = \"tm-1\"\n");
    assert!(said.contains("fault[1].on") && said.contains("which it does not tell"), "{said}");
    let said = refused("[[fault]]\nat = \"1s\"\ndo = \"clock-forward\"\ntarget = \"tm-1\"\nby = \"3s\"\n");
    assert!(said.contains("fault[1].do") && said.contains("kill, machine-loss, pause"), "{said}");
}
