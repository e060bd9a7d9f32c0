//! Jobs that harm their own process, in a program of another crate. The sweep must continue, and every run must get a
//! verdict.
//!
//! This file is not only a test; it is also that program, so that the workers which `flowquake::main` starts have these
//! jobs. With [`PROGRAM`] in its environment it is the command line, with [`AS_TEST`] a test binary of the other crate.
//! Without both it runs the tests of [`TESTS`] whose name contains its first argument.

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use common::{Folder, Said};
use flowquake::jobs::{Consumed, Job, JobContext, Jobs, Objection, Param, Reference, Refusal};
use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use flowquake_reports::record::{RunRecord, RunSet, Verdict};
use flowquake_reports::units::count;
use nix::sys::signal::{SigHandler, Signal, kill, raise, signal};
use nix::unistd::Pid;

/// If this variable is set, the program is the command line.
const PROGRAM: &str = "FLOWQUAKE_HOSTILE_JOBS";
/// If this variable is set, the program calls `flowquake::test`. The value `panics` says that a panic of this call
/// fails the program.
const AS_TEST: &str = "FLOWQUAKE_HOSTILE_TEST";

const TESTS: &[(&str, fn())] = &[
    (
        "a_run_that_kills_its_process_is_crashed_and_the_others_pass",
        a_run_that_kills_its_process_is_crashed_and_the_others_pass,
    ),
    ("results_are_the_same_for_any_number_of_jobs", results_are_the_same_for_any_number_of_jobs),
    ("what_a_job_prints_goes_to_standard_error", what_a_job_prints_goes_to_standard_error),
    ("a_crash_can_be_replayed_and_shrunk", a_crash_can_be_replayed_and_shrunk),
    ("an_interrupted_sweep_writes_what_was_made", an_interrupted_sweep_writes_what_was_made),
    (
        "a_sweep_that_is_stopped_says_what_its_verdicts_alone_would_give",
        a_sweep_that_is_stopped_says_what_its_verdicts_alone_would_give,
    ),
    (
        "a_sweep_that_is_stopped_leaves_no_answer_of_an_earlier_one_and_the_history_tells_killed_from_under_way",
        a_sweep_that_is_stopped_leaves_no_answer_of_an_earlier_one_and_the_history_tells_killed_from_under_way,
    ),
    (
        "a_shrink_that_is_stopped_leaves_no_answer_of_an_earlier_one",
        a_shrink_that_is_stopped_leaves_no_answer_of_an_earlier_one,
    ),
    ("a_killed_sweep_leaves_its_journal_and_no_process", a_killed_sweep_leaves_its_journal_and_no_process),
    (
        "a_killed_sweep_is_gone_on_with_and_ends_as_if_nothing_had_been",
        a_killed_sweep_is_gone_on_with_and_ends_as_if_nothing_had_been,
    ),
    ("an_interrupted_sweep_is_gone_on_with_over_and_over", an_interrupted_sweep_is_gone_on_with_over_and_over),
    ("two_sweeps_at_once_keep_their_records_apart", two_sweeps_at_once_keep_their_records_apart),
    ("a_run_survives_a_plan_that_cannot_be_saved", a_run_survives_a_plan_that_cannot_be_saved),
    ("panics_are_not_printed_by_the_thousand", panics_are_not_printed_by_the_thousand),
    ("a_job_that_exits_in_the_judging_process_does_not_pass", a_job_that_exits_in_the_judging_process_does_not_pass),
    ("a_test_may_end_beside_a_run_that_was_given_up", a_test_may_end_beside_a_run_that_was_given_up),
];

fn main() -> ExitCode {
    if std::env::var_os(PROGRAM).is_some() {
        return flowquake::main(&Jobs::builtin().with("hostile", HOSTILE));
    }
    if let Some(panics) = std::env::var_os(AS_TEST) {
        // A run that loops should be given up soon.
        flowquake::run::limit_processor_time(std::time::Duration::from_secs(1));
        let test = || flowquake::test("all", 1..=1, &Jobs::default().with("hostile", HOSTILE));
        let failed = std::panic::catch_unwind(test).is_err();
        return if failed && panics == "panics" { ExitCode::from(101) } else { ExitCode::SUCCESS };
    }
    // The parent of this program may ignore these signals (`nohup`, or a shell's background job), and a sweep keeps
    // ignored signals ignored.
    for interrupt in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is installed; this process has one thread and handles none of them.
        unsafe { signal(interrupt, SigHandler::SigDfl) }.expect("an ordinary signal");
    }
    let filter = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += u8::from(!ok);
    }
    ExitCode::from(failed.min(1))
}

const HOW: Param = Param { name: "how", default: "well", meaning: "what it does to its process at its 50th record" };

const HOSTILE: Job = Job {
    description: "numbers its records, and harms its process",
    params: &[HOW],
    generators: &["numbers"],
    accepts_file: false,
    vertices: 1,
    keyed_vertex: None,
    model: None,
    texts: None,
    build,
    reference: |spec, _: &InputFiles| {
        if how(spec) == "exit in reference" {
            exit();
        }
        let Numbers { records, .. } = numbers(spec);
        let misjudges = how(spec) == "misjudge";
        Ok(Box::new(Numbered { records, splits: spec.input.splits as usize, misjudges }))
    },
};

fn how(spec: &JobSpec) -> String {
    spec.params.get(HOW.name).map_or(HOW.default, String::as_str).to_owned()
}

struct Numbers {
    records: u64,
    how: String,
}

fn numbers(spec: &JobSpec) -> Numbers {
    let records = match &spec.input.kind {
        InputKind::Generator { records, .. } => *records,
        InputKind::File { .. } => 0,
    };
    Numbers { records, how: how(spec) }
}

fn exit() -> ! {
    #[allow(clippy::disallowed_methods, reason = "that is what is tried")]
    std::process::exit(0)
}

fn overflow(n: u64) -> u64 {
    if n == u64::MAX { 0 } else { std::hint::black_box(overflow(n + 1)) + 1 }
}

impl Source for Numbers {
    type Out = u64;

    fn len(&self) -> u64 {
        self.records
    }

    fn record(&self, index: u64) -> u64 {
        match self.how.as_str() {
            "panic" => panic!("no record pleases"),
            _ if index != 50 => {}
            "exit" => exit(),
            "abort" => std::process::abort(),
            "overflow" => return overflow(index),
            // Not address 0: the compiler's checks would notice this and abort.
            // SAFETY: none. The process is meant to die of this.
            "segv" => unsafe { std::ptr::without_provenance_mut::<u32>(8).write_volatile(1) },
            "kill" => raise(Signal::SIGKILL).unwrap(),
            "memory" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(vec![1; 1 << 20]);
                }
            }
            "loop" => loop {
                std::hint::spin_loop();
            },
            // Prints bytes that look like an answer.
            "print" => println!("\u{0}\u{0}\u{0}\u{7}\"Ready\"printed by a job"),
            _ => {}
        }
        index
    }
}

fn build(spec: &JobSpec, context: &JobContext<'_>) -> Result<JobGraph, JobError> {
    match how(spec).as_str() {
        "exit in build" => exit(),
        "exit in thread" => std::thread::spawn(|| exit()).join().expect("it does not come back"),
        _ => {}
    }
    let job = StreamBuilder::new();
    job.source("numbers", context.source(spec, numbers(spec))).sink("lines", |number: &u64, out| {
        use std::io::Write;
        writeln!(out, "{number}").expect("a vector takes everything");
    });
    Ok(job.build())
}

struct Numbered {
    records: u64,
    splits: usize,
    misjudges: bool,
}

impl Reference for Numbered {
    fn input_len(&self) -> u64 {
        self.records
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], _: bool) -> Result<(), Vec<Refusal>> {
        assert!(!self.misjudges, "a reference may be wrong, too");
        let splits = self.splits as u64;
        let mut due: Vec<u64> = Vec::new();
        for (split, positions) in consumed.iter().enumerate() {
            due.extend(positions.clone().map(|position| position * splits + split as u64));
        }
        let mut found: Vec<u64> = lines.iter().filter_map(|line| line.parse().ok()).collect();
        due.sort_unstable();
        found.sort_unstable();
        if due == found { Ok(()) } else { Err(vec![Refusal::Content(Objection::from("other numbers".to_owned()))]) }
    }

    fn for_each_state(&self, _: &mut dyn FnMut(&str, &dyn std::fmt::Debug, &dyn std::fmt::Debug)) {}
}

impl Folder {
    /// With a scenario `NAME.toml` for each name and way.
    fn hostile(scenarios: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (name, how) in scenarios {
            let text = format!(
                "name = \"{name}\"\nwhy = \"a test\"\n[job]\nname = \"hostile\"\nparams = {{ how = \"{how}\" }}\n\
                 input = {{ generator = \"numbers\", records = 400, rate = \"1000/s\" }}\n\
                 [checkpointing]\ninterval = \"100ms\"\n[engine]\nrestart_attempts = 3\n"
            );
            folder.write(&format!("all/{name}.toml"), text);
        }
        folder
    }

    /// This program as the command line of its own jobs.
    fn own(&self, args: &[&str]) -> Command {
        let mut command = self.command_of(&std::env::current_exe().unwrap(), args);
        command.env(PROGRAM, "1");
        command
    }

    /// Runs this program, which must end with `code`, and returns its output.
    #[track_caller]
    fn says(&self, args: &[&str], code: i32) -> Said {
        self.ends(self.own(args), code)
    }

    /// The lines of the journal after its head.
    fn journal(&self) -> Vec<RunRecord> {
        let text = fs::read_to_string(self.path().join("target/flowquake/runs.jsonl")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a long sweep, and returns when some of its runs are made.
    fn long_sweep(&self) -> Child {
        self.begun(&["run", "all", "--seeds", "100000", "--jobs", "2", "--json", "made.json"], 5)
    }

    /// Starts a sweep, and returns when at least so many runs are made.
    fn begun(&self, args: &[&str], runs: usize) -> Child {
        let child = self.own(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        while self.journal().len() < runs {
            pause();
        }
        child
    }

    /// The folders of all runs, the oldest first.
    fn history(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("target/flowquake/history")).unwrap();
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    }

    /// The only journal.
    fn journal_file(&self) -> PathBuf {
        let folders = self.history();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].join("runs.jsonl")
    }
}

#[allow(clippy::disallowed_methods, reason = "between two looks at a real process")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

fn a_run_that_kills_its_process_is_crashed_and_the_others_pass() {
    let ways = [
        ("exit", "exit code 0 in the middle"),
        ("abort", "signal 6 (SIGABRT)"),
        ("overflow", "signal 6 (SIGABRT)"),
        ("segv", "signal 11 (SIGSEGV)"),
        ("kill", "signal 9 (SIGKILL)"),
        ("memory", "the limit is 256MiB (--run-memory)"),
        ("misjudge", "while its run was predicted or judged: a reference may be wrong, too"),
    ];
    let mut scenarios = vec![("a", "well"), ("z", "well")];
    scenarios.extend(ways.map(|(how, _)| (how, how)));
    let folder = Folder::hostile(&scenarios);
    let said = folder.says(&["run", "all", "--jobs", "1", "--json", "all.json", "--run-memory", "256MiB"], 5);
    let records = folder.records("all.json");
    let names: Vec<&str> = records.iter().map(|record| record.scenario.as_str()).collect();
    assert!(names.is_sorted() && names.len() == scenarios.len(), "WORKER-W1: {names:?}");
    for record in &records {
        match ways.iter().find(|(how, _)| *how == record.scenario) {
            None => assert_eq!(record.verdict, Verdict::Passed, "{}", record.scenario),
            Some((how, words)) => {
                let Verdict::Crashed { panic } = &record.verdict else { panic!("{how}: {:?}", record.verdict) };
                assert!(panic.contains(words), "{how}: {panic}");
                assert!(record.replay.contains(&format!("flowquake-failures/{how}-seed-1.json")), "{}", record.replay);
                assert!(folder.path().join(format!("flowquake-failures/{how}-seed-1.json")).is_file());
            }
        }
    }
    assert!(said.out.contains("9 runs: 2 passed, 7 crashed"), "{}", said.out);
}

fn results_are_the_same_for_any_number_of_jobs() {
    let folder = Folder::hostile(&[("a", "well"), ("b", "exit"), ("c", "well"), ("d", "abort")]);
    let results = |jobs: &str| {
        folder.says(&["run", "all", "--seeds", "4", "--jobs", jobs, "--json", "all.json"], 5);
        let records = folder.records("all.json").into_iter();
        let of = |record: RunRecord| (record.scenario, record.seed, record.trace_hash, format!("{:?}", record.verdict));
        records.map(of).collect::<Vec<_>>()
    };
    let one = results("1");
    assert_eq!(one.len(), 16);
    assert_eq!(one, results("3"));
}

fn what_a_job_prints_goes_to_standard_error() {
    let folder = Folder::hostile(&[("print", "print")]);
    let said = folder.says(&["run", "all"], 0);
    let printed = "printed by a job";
    assert!(!said.out.contains(printed) && said.err.contains(printed), "WORKER-W4: {}", said.out);
}

fn a_crash_can_be_replayed_and_shrunk() {
    let folder = Folder::hostile(&[("exit", "exit"), ("loop", "loop")]);
    // A run that loops is stopped by its limit of processor time, and its thread is gone before the next run.
    let said = folder.says(&["run", "all", "--jobs", "1", "--run-cpu", "1s"], 5);
    assert!(said.out.contains("1 crashed") && said.out.contains("1 stuck"), "{}", said.out);
    assert!(said.out.contains("more processor time than its limit of 1 s"), "{}", said.out);
    let said = folder.says(&["replay", "flowquake-failures/exit-seed-1.json"], 5);
    assert!(said.out.contains("ended with exit code 0 in the middle of the run"), "{}", said.out);
    folder.says(&["shrink", "flowquake-failures/exit-seed-1.json", "--runs", "5", "--output", "small.json"], 0);
    folder.says(&["replay", "small.json"], 5);
}

fn an_interrupted_sweep_writes_what_was_made() {
    for (interrupt, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let folder = Folder::hostile(&[("a", "well")]);
        let mut sweep = folder.long_sweep();
        kill(Pid::from_raw(sweep.id() as i32), interrupt).unwrap();
        let mut out = String::new();
        sweep.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(sweep.wait().unwrap().code(), Some(code));
        let records = folder.records("made.json");
        assert!(records.len() >= 5 && records.iter().all(|record| record.verdict == Verdict::Passed));
        assert_eq!(records.len(), folder.journal().len());
        assert!(out.contains("report: target/flowquake/report.html"), "{out}");
        assert!(folder.path().join("target/flowquake/report.html").is_file());
        assert!(!folder.path().join("flowquake-failures").exists(), "an interrupted run is no failure");
    }
}

fn a_sweep_that_is_stopped_says_what_its_verdicts_alone_would_give() {
    let folder = Folder::hostile(&[("a", "panic")]);
    let mut command = folder.own(&["run", "all", "--seeds", "100000", "--jobs", "1", "--json", "made.json"]);
    let sweep = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while folder.journal().len() < 3 {
        pause();
    }
    kill(Pid::from_raw(sweep.id() as i32), Signal::SIGINT).unwrap();
    let said = Said::from(sweep.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130));
    let made = folder.records("made.json").len();
    assert!(
        said.out.contains(&format!("stopped after {} of 100,000 runs: the interruption by SIGINT", count(made as u64))),
        "{}",
        said.out
    );
    let last = format!(
        "{made} runs: {made} failed; exit code 130 is for the interruption by SIGINT, the verdicts alone give 1"
    );
    assert_eq!(said.err.lines().last(), Some(last.as_str()));
}

fn a_sweep_that_is_stopped_leaves_no_answer_of_an_earlier_one_and_the_history_tells_killed_from_under_way() {
    let folder = Folder::hostile(&[("a", "well"), ("loop", "loop")]);
    let documents = ["--json", "made.json", "--junit", "made.xml", "--markdown", "made.md"];
    folder.says(&[&["run", "all/a.toml"], &documents[..]].concat(), 0);
    let names = ["made.json", "made.xml", "made.md", "target/flowquake/report.html", "target/flowquake/runs.json"];
    assert!(names.iter().all(|name| folder.at(name).is_file()));
    // A call that is refused touches no files.
    folder.says(&[&["run", "all/none.toml"], &documents[..]].concat(), 2);
    assert!(names.iter().all(|name| folder.at(name).is_file()));
    for (signal, code, end) in
        [(Signal::SIGTERM, Some(143), "interrupted by SIGTERM"), (Signal::SIGKILL, None, "killed")]
    {
        folder.says(&[&["run", "all/a.toml"], &documents[..]].concat(), 0);
        let mut command = folder.own(&[&["run", "all/loop.toml"], &documents[..]].concat());
        let mut sweep = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while names.iter().any(|name| folder.at(name).exists()) {
            pause();
        }
        let row = |said: &Said| said.out.lines().nth(1).unwrap_or_default().to_owned();
        let under_way = folder.says(&["list", "runs"], 0);
        assert!(row(&under_way).contains("under way") && row(&under_way).contains("0 of 1"), "{}", under_way.out);
        assert!(folder.read("target/flowquake/index.html").contains("<td>under way</td>"));
        kill(Pid::from_raw(sweep.id() as i32), signal).unwrap();
        assert_eq!(sweep.wait().unwrap().code(), code);
        assert!(names.iter().all(|name| !folder.at(name).exists()), "{signal}: an answer of an earlier run");
        let said = folder.says(&["list", "runs"], 0);
        assert!(row(&said).contains(end) && said.out.contains("run --resume="), "{}", said.out);
        assert!(folder.read("target/flowquake/index.html").contains(&format!("<td>{end}")));
    }
}

fn a_shrink_that_is_stopped_leaves_no_answer_of_an_earlier_one() {
    let folder = Folder::hostile(&[("a", "panic")]);
    folder.says(&["run", "all/a.toml"], 1);
    let plan = folder.read("flowquake-failures/a-seed-1.json").replace("\"panic\"", "\"loop\"");
    folder.write("plan.json", plan);
    let names = ["small.json", "small.toml"];
    let shrink = ["shrink", "plan.json", "--output", names[0], "--scenario", names[1]];
    names.iter().for_each(|name| folder.write(name, "of an earlier one"));
    // What is refused touches nothing.
    folder.says(&[&shrink[..], &["--max-cost", "1ns"]].concat(), 2);
    assert!(names.iter().all(|name| folder.at(name).is_file()));
    let mut made = folder.own(&shrink).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while names.iter().any(|name| folder.at(name).exists()) {
        assert!(made.try_wait().unwrap().is_none(), "it ended by itself");
        pause();
    }
    kill(Pid::from_raw(made.id() as i32), Signal::SIGTERM).unwrap();
    // Some commands hear the signal and say so, of others it is the end.
    let ended = made.wait().unwrap();
    assert!(ended.code() == Some(143) || ended.signal() == Some(Signal::SIGTERM as i32), "{ended}");
    assert!(names.iter().all(|name| !folder.at(name).exists()), "an answer of an earlier one");
}

fn a_killed_sweep_leaves_its_journal_and_no_process() {
    let folder = Folder::hostile(&[("a", "well")]);
    let mut sweep = folder.long_sweep();
    let id = sweep.id();
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let workers: Vec<String> = tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    sweep.kill().unwrap();
    assert_eq!(sweep.wait().unwrap().signal(), Some(9));
    let made = folder.journal();
    assert!(made.len() >= 5 && made.iter().all(|record| record.verdict == Verdict::Passed));
    let lives = |process: &String| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    for _ in 0..500 {
        if !workers.iter().any(lives) {
            return;
        }
        pause();
    }
    panic!("WORKER-W3: workers outlive their sweep: {workers:?}");
}

/// Records without values from the machine's clocks.
fn timeless(mut records: Vec<RunRecord>) -> Vec<RunRecord> {
    for record in &mut records {
        (record.totals.cpu_ns, record.totals.wall_ns) = (0, 0);
    }
    records
}

fn a_killed_sweep_is_gone_on_with_and_ends_as_if_nothing_had_been() {
    let scenarios = [("a", "well"), ("b", "exit"), ("c", "panic")];
    let folder = Folder::hostile(&scenarios);
    let args = ["run", "all", "--seeds", "20", "--jobs", "2", "--json", "made.json"];
    let mut sweep = folder.begun(&args, 7);
    sweep.kill().unwrap();
    assert_eq!(sweep.wait().unwrap().signal(), Some(9));
    let made = folder.journal().len();
    assert!((7..60).contains(&made), "{made}");
    // As if the sweep was killed while it wrote: the last run is lost, and no other.
    let journal = folder.journal_file();
    let mut text = fs::read(&journal).unwrap();
    text.truncate(text.iter().rposition(|byte| *byte == b'\n').unwrap() - 9);
    fs::write(&journal, &text).unwrap();

    let said = folder.says(&["run", "--resume", "--jobs", "3"], 1);
    assert!(said.err.contains(&format!("{} of 60 runs are made", made - 1)), "{}", said.err);
    assert!(said.err.contains("cut off and dropped: 1 line of its journal"), "{}", said.err);
    assert!(said.out.contains("60 runs: 20 passed, 20 failed, 20 crashed"), "{}", said.out);
    let whole = Folder::hostile(&scenarios);
    whole.says(&args, 1);
    let (resumed, uninterrupted) = (timeless(folder.records("made.json")), timeless(whole.records("made.json")));
    assert_eq!(resumed.len(), 60);
    assert_eq!(resumed, uninterrupted);
    let read = |folder: &Folder, file: &str| fs::read(folder.path().join("target/flowquake").join(file)).unwrap();
    assert_eq!(read(&folder, "failed.json"), read(&whole, "failed.json"));
    assert_eq!(folder.history().len(), 1, "it went on in its own folder");
    assert_eq!(folder.journal().len(), 60);

    let said = folder.says(&["run", "--resume"], 2);
    assert!(said.err.contains("no run is unfinished") && said.err.contains("made all its 60 runs"), "{}", said.err);
}

fn an_interrupted_sweep_is_gone_on_with_over_and_over() {
    let folder = Folder::hostile(&[("a", "well"), ("b", "panic")]);
    folder.says(&["run", "all", "--seeds", "3"], 1);
    // Runs again what failed last, and stops at the first failure, then at each further one.
    let said = folder.says(&["run", "--failed", "--jobs", "1", "--max-failures", "1", "--json", "made.json"], 1);
    assert!(said.err.contains("2 of 3 runs were not made") && said.err.contains("run --resume"), "{}", said.err);
    let said = folder.says(&["run", "--resume"], 1);
    assert!(
        said.err.contains("1 of 3 runs are made") && said.err.contains("1 of 3 runs were not made"),
        "{}",
        said.err
    );
    // Meanwhile the list of failures changed.
    fs::write(folder.path().join("target/flowquake/failed.json"), "[]").unwrap();
    // A resumed call uses the list that the first call had.
    folder.says(&["run", "--resume", "--max-failures", "none"], 1);
    let seeds: Vec<u64> = folder.records("made.json").iter().map(|record| record.seed).collect();
    assert_eq!(seeds, [1, 2, 3]);

    let mut sweep = folder.begun(&["run", "all", "--seeds", "40"], 0);
    let newest = folder.path().join("target/flowquake/history");
    while fs::read_dir(&newest).unwrap().count() < 4 {
        pause();
    }
    let name = folder.history().last().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let said = folder.says(&["run", &format!("--resume={name}")], 2);
    assert!(said.err.contains("it is under way"), "{}", said.err);
    kill(Pid::from_raw(sweep.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(sweep.wait().unwrap().code(), Some(130));
    let text = fs::read_to_string(folder.path().join("all/a.toml")).unwrap();
    fs::write(folder.path().join("all/a.toml"), text.replace("a test", "another")).unwrap();
    let said = folder.says(&["run", "--resume"], 2);
    assert!(said.err.contains("all/a.toml has changed since it began"), "{}", said.err);
    fs::write(folder.path().join("all/a.toml"), &text).unwrap();
    fs::write(folder.path().join("all/new.toml"), text.replace("\"a\"", "\"new\"")).unwrap();
    let said = folder.says(&["run", "--resume"], 2);
    assert!(said.err.contains("all/new.toml was not there when it began"), "{}", said.err);
    fs::remove_file(folder.path().join("all/new.toml")).unwrap();
    let said = folder.says(&["run", "--resume"], 1);
    assert!(said.out.contains("80 runs: 40 passed, 40 failed"), "{}", said.out);
    let index = fs::read_to_string(folder.path().join("target/flowquake/index.html")).unwrap();
    assert_eq!(index.matches("report.html").count(), 3, "{index}");
    assert!(index.contains("resumed 2 times") && index.contains("resumed once"), "{index}");
}

fn two_sweeps_at_once_keep_their_records_apart() {
    let folder = Folder::hostile(&[("a", "well"), ("b", "well")]);
    let start = |name: &str, json: &str| {
        let file = format!("all/{name}.toml");
        let mut command = folder.own(&["run", &file, "--seeds", "30", "--jobs", "1", "--json", json]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut sweeps = [start("a", "a.json"), start("b", "b.json")];
    for sweep in &mut sweeps {
        assert_eq!(sweep.wait().unwrap().code(), Some(0));
    }
    let histories = folder.history();
    assert_eq!(histories.len(), 2);
    for name in ["a", "b"] {
        let records = folder.records(&format!("{name}.json"));
        assert!(records.len() == 30 && records.iter().all(|record| record.scenario == name), "{name}");
    }
    let mut names = Vec::new();
    for history in &histories {
        let set: RunSet = serde_json::from_slice(&fs::read(history.join("runs.json")).unwrap()).unwrap();
        assert!(set.runs.len() == 30 && set.runs.iter().all(|run| run.scenario == set.runs[0].scenario));
        names.push(set.runs[0].scenario.clone());
        assert_eq!(fs::read_to_string(history.join("runs.jsonl")).unwrap().lines().count(), 31);
    }
    names.sort();
    assert_eq!(names, ["a", "b"]);
    // The documents at the top belong to the newest run, whichever run ended last.
    let top: RunSet =
        serde_json::from_slice(&fs::read(folder.path().join("target/flowquake/runs.json")).unwrap()).unwrap();
    assert_eq!(top.runs.len(), 30);
}

fn a_run_survives_a_plan_that_cannot_be_saved() {
    let folder = Folder::hostile(&[("exit", "exit")]);
    // A file that cannot be written is an error for every user, even for root.
    let said = folder.says(&["run", "all", "--failures", "/proc/self/nowhere", "--json", "all.json"], 2);
    assert!(said.out.contains("1 run: 1 crashed"), "{}", said.out);
    assert!(said.err.contains("exit seed 1: ") && said.err.contains("/proc/self/nowhere"), "{}", said.err);
    assert!(matches!(folder.records("all.json")[0].verdict, Verdict::Crashed { .. }));

    let name = "n".repeat(245);
    let folder = Folder::hostile(&[(&name, "exit")]);
    let said = folder.says(&["run", "all"], 5);
    assert!(said.out.contains("1 run: 1 crashed"), "{}", said.out);
    assert_eq!(fs::read_dir(folder.path().join("flowquake-failures")).unwrap().count(), 1);
}

fn panics_are_not_printed_by_the_thousand() {
    let folder = Folder::hostile(&[("panic", "panic")]);
    let said = folder.says(&["run", "all", "--seeds", "20", "--jobs", "1"], 1);
    assert!(said.out.contains("20 runs: 20 failed") && said.out.contains("no record pleases"), "{}", said.out);
    let printed = said.err.matches("no record pleases").count();
    assert!((1..=5).contains(&printed), "{printed}: {}", said.err);
}

fn a_job_that_exits_in_the_judging_process_does_not_pass() {
    let graph = "building the graph of job `hostile` was under way when something called `exit`";
    let ways = [
        ("exit", "the run of scenario `exit` with seed 1 was under way"),
        ("exit in build", graph),
        ("exit in thread", graph),
        ("exit in reference", "the reference of job `hostile` was under way"),
    ];
    for (how, words) in ways {
        let folder = Folder::hostile(&[(&how.replace(' ', "-"), how)]);
        let said: Said = folder.own(&[]).env_remove(PROGRAM).env(AS_TEST, "panics").output().unwrap().into();
        assert_eq!(said.code, Some(5), "{how}: {}{}", said.out, said.err);
        assert!(said.err.contains(words), "{how}: {}", said.err);
    }
    // Commands execute runs in other processes, but they build jobs in this one to check whether they can be built.
    for how in ["exit in build", "exit in thread"] {
        let folder = Folder::hostile(&[("job", how), ("well", "well")]);
        for command in ["check", "run"] {
            let said = folder.says(&[command, "all"], 5);
            assert!(said.err.contains(graph) && !said.out.contains("passed"), "{how}: {}", said.err);
        }
    }
    let folder = Folder::hostile(&[("job", "exit in reference")]);
    let said = folder.says(&["run", "all"], 5);
    assert!(said.out.contains("1 run: 1 crashed"), "{}", said.out);
    let job = ["engine", "hostile", "--param", "how=exit in reference", "--generator", "numbers", "--records", "400"];
    let said = folder.says(&[&job[..], &["--output", "out", "--checkpoint-dir", "checkpoints"]].concat(), 5);
    assert!(said.err.contains("the reference of job `hostile` was under way"), "{}", said.err);
    assert!(!folder.path().join("out").exists());
}

fn a_test_may_end_beside_a_run_that_was_given_up() {
    let folder = Folder::hostile(&[("loop", "loop"), ("well", "well")]);
    for (panics, code) in [("panics", 101), ("are expected", 0)] {
        let mut command = folder.own(&[]);
        let said: Said = command.env_remove(PROGRAM).env(AS_TEST, panics).output().unwrap().into();
        assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
        assert!(said.err.contains("more processor time than its limit of 1 s"), "{}", said.err);
    }
}
