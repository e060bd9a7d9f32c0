//! Scenarios on real processes: strikes at exact positions, with receipts, judged by the same oracles. No process may
//! be left behind.
#![allow(clippy::disallowed_methods, reason = "these tests start, watch and kill real processes")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Folder, Said};
use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::outcome::Outcome;
use flowquake::plan::{RunPlan, TargetPlan};
use flowquake::process::RealProcesses;
use flowquake::scenario::Scenario;
use flowquake::session::{Depth, try_execute};
use flowquake_engine::event::Event;
use flowquake_reports::record::{RunRecord, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest time to wait for any condition.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job that takes checkpoints for two seconds.
const HEAD: &str = r#"
name = "real"
why = "real processes under faults"
[job]
name = "string-length-count"
input = { generator = "words", records = 2_000, splits = 2, rate = "1000/s" }
parallelism = 2
[cluster]
task_managers = 2
slots = 2
[engine]
restart_delay = "100ms"
lease = "800ms"
"#;

fn scenario(backend: &str, rest: &str) -> String {
    format!("{HEAD}\n[checkpointing]\ninterval = \"250ms\"\nbackend = \"{backend}\"\n{rest}")
}

/// Runs a scenario on processes of the program that is under test.
fn run(text: &str) -> (RunRecord, Outcome) {
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(text, Path::new("real.toml"), &catalogue(&jobs));
    let scenario = scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let plan = RunPlan { target: TargetPlan::Process, ..scenario.plan(1) };
    let target = RealProcesses::of(PathBuf::from(env!("CARGO_BIN_EXE_flowquake")));
    try_execute(&target, Depth::Full, &plan, &jobs, String::new()).expect("this machine can keep it")
}

/// Every run must show exactly-once output, and this must be judged. Oracles for which the target shows too little are
/// not judged, rather than held.
fn assert_judged(record: &RunRecord) {
    for oracle in &record.oracles {
        let shown = ["O1", "O2", "O5", "O7", "O8"].contains(&oracle.id.as_str());
        assert_eq!(oracle.not_judged.is_none(), shown, "{}: {:?}", oracle.id, oracle.not_judged);
        assert_eq!(oracle.held, shown, "{}", oracle.id);
    }
    let content = &record.oracles[0];
    assert!(content.judged >= 1_000, "{} records were judged", content.judged);
}

/// After a strike at an event of the victim, this life of the victim makes no further step.
fn assert_struck_at_once(outcome: &Outcome, event: &str, victim_of: impl Fn(&Event) -> bool) {
    let hit = &outcome.strikes[0].hits[0];
    assert_eq!(hit.position, event);
    let events = &outcome.trace.events;
    let at = events.iter().position(|record| record.at == hit.at && victim_of(&record.event));
    let at = at.unwrap_or_else(|| panic!("the event of the strike is in the trace, at {}", hit.at));
    let (node, life) = (&events[at].node, events[at].incarnation);
    let later = events[at + 1..].iter().find(|record| record.node == *node && record.incarnation == life);
    assert_eq!(later, None, "PROCESS-2: {node} took a step after it was killed at its {event}");
}

/// The steps of checkpoints and of recovery, each with the checkpoint at which its node is struck.
const STEPS: [(&str, Option<u64>); 22] = [
    ("leadership-granted", None),
    ("task-manager-registered", None),
    ("deployment-begun", None),
    ("restore-begun", None),
    ("restore-ended", None),
    ("task-running", None),
    ("job-running", None),
    ("first-record", None),
    ("checkpoint-triggered", Some(2)),
    ("barrier-injected", Some(2)),
    ("barrier-received", Some(2)),
    ("alignment-opened", Some(2)),
    ("alignment-closed", Some(2)),
    ("snapshot-sync-begun", Some(2)),
    ("snapshot-sync-ended", Some(2)),
    ("sink-pre-committed", Some(2)),
    ("snapshot-async-ended", Some(2)),
    ("checkpoint-acknowledged", Some(2)),
    ("manifest-written", Some(2)),
    ("checkpoint-completed", Some(2)),
    ("completion-notified", Some(2)),
    ("sink-committed", None),
];

/// The process that makes the step is killed at this step, and comes back.
fn killed_at(step: usize) {
    let (event, checkpoint) = STEPS[step];
    let of = checkpoint.map_or_else(String::new, |id| format!(", checkpoint = {id}"));
    let backend = if step.is_multiple_of(2) { "memory" } else { "fs" };
    let rest = format!(
        "[[fault]]\non = {{ event = \"{event}\"{of} }}\ndo = \"kill\"\ntarget = \"emitter\"\nrestart_after = \"200ms\"\n"
    );
    let (record, outcome) = run(&scenario(backend, &rest));
    assert_eq!(record.verdict, Verdict::Passed, "{event} on {backend}: {:#?}", record.faults);
    assert_judged(&record);
    assert_struck_at_once(&outcome, event, |found| found.name() == event);
    let receipt = &record.faults[0].hits[0].receipt;
    assert!(receipt.contains("ended by SIGKILL") && receipt.contains("; healed: process "), "{event}: {receipt}");
}

#[test]
fn whoever_takes_a_step_is_killed_at_it_and_takes_no_other_at_every_step_of_the_protocol() {
    // A run spends most of its time waiting, so several run in parallel.
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(step) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|step| *step < STEPS.len()) {
                    killed_at(step);
                }
            });
        }
    });
}

#[test]
fn without_faults_every_record_is_committed_once() {
    let (record, outcome) = run(&scenario("fs", ""));
    assert_eq!(record.verdict, Verdict::Passed);
    assert_judged(&record);
    assert!(record.checkpoints.len() >= 4, "{}", record.checkpoints.len());
    assert!(outcome.trace.events.is_sorted_by_key(|record| record.at), "one clock for all processes");
    assert!(outcome.cpu > Duration::ZERO, "the processes were waited for");
    assert_eq!(record.target, "process");
}

#[test]
fn a_process_that_stands_still_goes_on_and_every_thread_of_it_stood() {
    let pause = "[[fault]]\non = { event = \"checkpoint-triggered\", checkpoint = 2 }\ndo = \"pause\"\ntarget = \"tm-1\"\nresume_after = \"1s\"\n";
    let (record, outcome) = run(&scenario("memory", pause));
    assert_eq!(record.verdict, Verdict::Passed);
    assert_judged(&record);
    let receipt = &record.faults[0].hits[0].receipt;
    assert!(receipt.contains("threads of process") && receipt.contains("goes on"), "{receipt}");
    let (from, to) = (record.faults[0].struck_at_ns.unwrap(), record.faults[0].healed_at_ns.unwrap());
    let meanwhile = outcome.trace.events.iter().filter(|record| (from..to).contains(&record.at.0));
    // Events sent before the strike may arrive after it; at most one event per thread.
    assert!(meanwhile.filter(|record| record.node.as_str() == "tm-1").count() <= 1);
    assert!(!record.faults[0].hurt.is_empty());
}

#[test]
fn a_process_dies_again_and_again_and_the_job_is_finished() {
    let crash = "[[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 2 }\ndo = \"crash-loop\"\ntarget = \"tm-2\"\ntimes = 2\nup = \"600ms\"\ndown = \"100ms\"\n";
    let (record, _) = run(&scenario("memory", crash));
    assert_eq!(record.verdict, Verdict::Passed);
    assert_eq!(record.faults[0].hits.len(), 2);
    let lives = &record.nodes.iter().find(|node| node.name == "tm-2").unwrap().up;
    assert_eq!(lives.len(), 3);
}

/// What shows a strike that was proved.
fn receipt(record: &RunRecord, fault: usize) -> &str {
    &record.faults[fault].hits[0].receipt
}

#[test]
fn user_code_fails_as_often_as_it_is_told_to_on_whatever_process_it_runs() {
    let faults = "[[fault]]\nat = \"0s\"\ndo = \"poison-record\"\nsplit = 1\nposition = 300\ntimes = 2\n\
                  [[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 4 }\ndo = \"user-panic\"\ntarget = \"tm-1\"\n\
                  [expect]\nfailovers = 3\n";
    let (record, outcome) = run(&scenario("fs", faults));
    assert_eq!(record.verdict, Verdict::Passed, "{:#?}", record.faults);
    assert_judged(&record);
    assert!(receipt(&record, 0).contains("before record 300 of split 1, and was told to fail"), "{:?}", record.faults);
    assert!(receipt(&record, 1).starts_with("tm-1 asked"), "{:?}", record.faults);
    let in_program = |event: &Event| matches!(event, Event::TaskFailed { in_program: true, .. });
    let failed = outcome.trace.events.iter().filter(|record| in_program(&record.event)).count();
    assert_eq!(failed, 3, "as tasks, not as processes");
    assert!(record.nodes.iter().all(|node| node.up.len() == 1), "no process has died");
}

#[test]
fn work_waits_as_long_as_it_is_told_to() {
    let faults = "[[fault]]\non = { event = \"checkpoint-triggered\", checkpoint = 2 }\ndo = \"hang-snapshot\"\ntarget = \"tm-1\"\nheal_after = \"700ms\"\n\
                  [[fault]]\nat = \"100ms\"\ndo = \"slow-operator\"\ntarget = \"tm-2\"\nfactor = 50\nheal_after = \"300ms\"\n";
    let text = scenario("fs", faults)
        .replace("interval = \"250ms\"", "interval = \"250ms\"\ntimeout = \"400ms\"\ntolerable_failed = 9");
    let (record, outcome) = run(&text);
    assert_eq!(record.verdict, Verdict::Passed, "{:#?}", record.faults);
    assert!(record.checkpoints.iter().any(|checkpoint| checkpoint.id == 2 && checkpoint.committed_at_ns.is_none()));
    let hung = record.faults[0].hurt.iter().map(|hurt| hurt.count).sum::<u64>();
    assert!((1..=4).contains(&hung), "{:?}", record.faults[0].hurt);
    let healed = receipt(&record, 0);
    assert!(healed.contains(&format!("healed: tm-1 is as fast as before; {hung} snapshots hung")), "{healed}");
    let (from, to) = (record.faults[0].struck_at_ns.unwrap(), record.faults[0].healed_at_ns.unwrap());
    let ended = outcome
        .trace
        .events
        .iter()
        .filter(|record| record.node.as_str() == "tm-1" && matches!(record.event, Event::SnapshotSyncEnded { .. }));
    assert!(!ended.into_iter().any(|record| (from..to).contains(&record.at.0)), "none ends while it hangs");
    assert!(receipt(&record, 1).contains("records waited"), "{:?}", record.faults[1]);
}

#[test]
fn stores_fail_under_processes_and_stored_files_are_damaged() {
    let faults = "[[fault]]\nat = \"300ms\"\ndo = \"torn-write\"\nstore = \"checkpoints\"\ncount = 1\n\
                  [[fault]]\nat = \"600ms\"\ndo = \"store-unavailable\"\nstore = \"output\"\nheal_after = \"300ms\"\n\
                  [[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 4 }\ndo = \"damage\"\nfile = { kind = \"state\" }\nhow = \"delete\"\n\
                  [[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 4 }\ndo = \"kill\"\ntargets = [\"tm-1\", \"tm-2\"]\nrestart_after = \"200ms\"\n";
    let text = scenario("fs", faults)
        .replace("interval = \"250ms\"", "interval = \"250ms\"\ntolerable_failed = 9\nretained = 3");
    let (record, _) = run(&text);
    assert_eq!(record.verdict, Verdict::Passed, "{:#?}", record.faults);
    assert_judged(&record);
    assert!(receipt(&record, 0).contains("asked for Put"), "{}", receipt(&record, 0));
    assert!(receipt(&record, 1).contains("was answered so"), "{}", receipt(&record, 1));
    assert_eq!(receipt(&record, 2), "the file is gone");
    assert!(record.faults.iter().all(|fault| !fault.hurt.is_empty()), "{:#?}", record.faults);
}

#[test]
fn a_lost_machine_is_silent_until_it_is_back() {
    let fault = "[[fault]]\non = { event = \"checkpoint-triggered\", checkpoint = 3 }\ndo = \"machine-loss\"\ntarget = \"tm-1\"\nrestart_after = \"900ms\"\n\
                 [expect]\nfailovers = 1\n";
    let text = scenario("memory", fault)
        .replace("[engine]", "[engine]\nheartbeat_interval = \"100ms\"\nheartbeat_timeout = \"500ms\"");
    let (record, outcome) = run(&text);
    assert_eq!(record.verdict, Verdict::Passed, "{:#?}", record.faults);
    let shown = receipt(&record, 0);
    assert!(shown.contains("threads of process") && shown.contains("; healed: process "), "{shown}");
    let (from, to) = (record.faults[0].struck_at_ns.unwrap(), record.faults[0].healed_at_ns.unwrap());
    let lost = outcome.trace.events.iter().find(|record| matches!(&record.event, Event::TaskManagerLost { .. }));
    let lost = lost.expect("it is missed").at.0;
    assert!(lost - from >= 400_000_000, "only by missing heartbeats, after {} ns", lost - from);
    let meanwhile = outcome.trace.events.iter().filter(|record| (from..to).contains(&record.at.0));
    // What it had told before may be heard after; of a process there is one event at most.
    assert!(meanwhile.filter(|record| record.node.as_str() == "tm-1").count() <= 1);
    assert_eq!(record.nodes.iter().find(|node| node.name == "tm-1").unwrap().up.len(), 2);
}

impl Folder {
    /// `flowquake` with the words of a line.
    fn words(&self, line: &str) -> Command {
        let mut command = self.command(&line.split_whitespace().collect::<Vec<_>>());
        command.stdin(Stdio::null());
        command
    }

    /// The exit code, and the text on standard output followed by standard error.
    fn says(&self, line: &str) -> (Option<i32>, String) {
        let said = Said::from(self.words(line).output().unwrap());
        (said.code, said.all())
    }
}

#[test]
fn what_real_processes_do_not_offer_is_refused_by_check_and_is_no_pass_of_run() {
    let cut = "[[fault]]\nat = \"1s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-2\"\nheal_after = \"1s\"\n";
    let folder = Folder::new().with("real.toml", scenario("memory", cut));
    assert_eq!(folder.says("check real.toml").0, Some(0));
    let (code, text) = folder.says("check real.toml --target process");
    assert_eq!(code, Some(2), "{text}");
    let expected = "error: real.toml: fault[1].do: process does not offer fault 1: `cut`\n  help: take one of its kinds of faults (kill, machine-loss, pause, crash-loop, user-panic,";
    assert!(text.contains(expected), "{text}");
    let (code, text) = folder.says("run real.toml --target process");
    assert_eq!(code, Some(10), "{text}");
    assert!(text.contains("not offered") && text.contains("process does not offer fault 1: `cut`"), "{text}");

    let heavy = HEAD.replace("slots = 2", "slots = 2\nrecord_weight = 10");
    let folder = Folder::new().with("real.toml", format!("{heavy}\n[checkpointing]\ninterval = \"250ms\"\n"));
    let (code, text) = folder.says("check real.toml --target process");
    assert!(code == Some(2) && text.contains("cluster.record_weight"), "{text}");
}

/// Ids of processes with this word in their environment: all descendants of the process that got it, in any process
/// group.
fn processes_with(word: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == word.as_bytes()) {
            found.push(id);
        }
    }
    found
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process is one of the engine's, as process lists show it.
fn is_engine(id: &i32) -> bool {
    fs::read(format!("/proc/{id}/cmdline"))
        .is_ok_and(|line| line.split(|byte| *byte == 0).any(|w| w == b"engine-process"))
}

#[test]
fn no_process_outlives_a_harness_that_is_killed_not_even_one_that_stands_still() {
    // The node is paused for longer than this test waits.
    let pause =
        "[[fault]]\non = { event = \"job-running\" }\ndo = \"pause\"\ntarget = \"tm-1\"\nresume_after = \"10m\"\n";
    let folder = Folder::new().with("real.toml", scenario("memory", pause));
    let variable = format!("FLOWQUAKE_TEST_MARK={}", folder.path().display());
    let (name, value) = variable.split_once('=').unwrap();
    let mut command = folder.words("run real.toml --target process");
    let mut harness = command.env(name, value).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let engine = || processes_with(&variable).into_iter().filter(is_engine).collect::<Vec<_>>();
    until("three processes of the engine", || engine().len() == 3);
    let stopped = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    };
    until("one of them stands still", || engine().iter().any(stopped));
    harness.kill().unwrap();
    harness.wait().unwrap();
    until("nothing is left (PROCESS-1)", || processes_with(&variable).is_empty());
}

#[test]
fn a_process_that_somebody_else_kills_makes_the_run_uncertain() {
    let folder = Folder::new().with("real.toml", scenario("memory", ""));
    let variable = format!("FLOWQUAKE_TEST_MARK={}", folder.path().display());
    let (name, value) = variable.split_once('=').unwrap();
    let mut command = folder.words("run real.toml --target process --json runs.json");
    let mut harness = command.env(name, value).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let standby = |id: &i32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.ends_with(b"tm-2\0"));
    let mut found = None;
    until("tm-2 runs", || {
        found = processes_with(&variable).into_iter().filter(is_engine).find(standby);
        found.is_some()
    });
    kill(Pid::from_raw(found.unwrap()), Signal::SIGKILL).unwrap();
    let code = harness.wait().unwrap().code();
    let text = fs::read_to_string(folder.path().join("runs.json")).unwrap();
    assert!(text.contains("tm-2 was ended by SIGKILL, which nobody here sent"), "{text}");
    // One TaskManager has enough slots for the job.
    assert_eq!(code, Some(11), "{text}");
}
