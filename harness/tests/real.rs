//! The real engine: processes, sockets and files, struck with SIGKILL and SIGSTOP, judged by the references of the
//! jobs. Each test here is a single story; many random strikes are in `real/storm.rs`.
#![allow(clippy::disallowed_methods, reason = "these tests start, watch and kill real processes")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flowquake::jobs::Jobs;
use flowquake_engine::config::{BackendKind, JobConfig};
use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "real/folders.rs"]
mod folders;
#[path = "real/storm.rs"]
mod storm;

/// Longest time to wait for any condition.
const PATIENCE: Duration = Duration::from_secs(45);
const SPLITS: u32 = 3;
const PARALLELISM: u16 = 4;

/// A job over a file, with folders of its own.
struct Case {
    input: PathBuf,
    repeat: u32,
    backend: BackendKind,
    root: tempfile::TempDir,
}

/// Real data beside the repository. Without such data the small file of this crate is used, so that the tests assert
/// something on every machine.
fn input(name: &str) -> (PathBuf, u32) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if real.is_file() {
        return (real, 1);
    }
    eprintln!("skipped: {} is not there; words.txt is read instead", real.display());
    words()
}

/// The small file of this crate, several times over.
fn words() -> (PathBuf, u32) {
    (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/words.txt"), 6)
}

impl Case {
    fn new((input, repeat): (PathBuf, u32), backend: BackendKind) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        Self { input, repeat, backend, root }
    }

    fn output(&self) -> PathBuf {
        self.root.path().join("out")
    }

    fn checkpoints(&self) -> PathBuf {
        self.root.path().join("checkpoints")
    }

    fn start(&self, extra: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        command.args(["engine", "string-length-count", "--input"]).arg(&self.input);
        command.args(["--repeat", &self.repeat.to_string(), "--splits", &SPLITS.to_string()]);
        command.arg("--output").arg(self.output()).arg("--checkpoint-dir").arg(self.checkpoints());
        command.args(["--backend", self.backend.name(), "--parallelism", &PARALLELISM.to_string()]);
        command.args(["--task-managers", "2", "--rate", "3000/s", "--checkpoint-interval", "400ms"]);
        command.args(["--retained", "3"]).args(extra);
        if !extra.contains(&"--restart-delay") {
            command.args(["--restart-delay", "300ms"]);
        }
        command.env("TMPDIR", self.temporary());
        let mut launcher = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, heard) = (launcher.stderr.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Run { launcher, lines }
    }

    /// The folder where the processes keep their local state.
    fn temporary(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Counts the manifests in the checkpoint folder; three are retained.
    fn completed(&self) -> usize {
        let Ok(folders) = fs::read_dir(self.checkpoints()) else { return 0 };
        folders.filter(|folder| folder.as_ref().unwrap().path().join("_metadata").is_file()).count()
    }

    /// Output that is on disk but not committed.
    fn pending(&self) -> Vec<PathBuf> {
        let Ok(subtasks) = fs::read_dir(self.output().join(".pending")) else { return Vec::new() };
        let chunks = subtasks.filter_map(|subtask| fs::read_dir(subtask.ok()?.path()).ok()).flatten();
        chunks.filter_map(|chunk| Some(chunk.ok()?.path())).collect()
    }

    /// Stops the processes at a moment with two completed checkpoints and uncommitted output.
    fn freeze(&self, run: &Run, processes: &[u32]) {
        run.until("two completed checkpoints", || self.completed() >= 2);
        run.until("uncommitted output", || {
            processes.iter().for_each(|process| signal(*process, Signal::SIGSTOP));
            let pending = !self.pending().is_empty();
            if !pending {
                processes.iter().for_each(|process| signal(*process, Signal::SIGCONT));
            }
            pending
        });
    }

    fn assert_exactly_once(&self) {
        assert_eq!(self.judge(), Ok(()));
    }

    /// Judges what a consumer sees as the output of the whole input.
    fn judge(&self) -> Result<(), String> {
        let kind = InputKind::File { path: self.input.to_str().unwrap().into(), repeat: self.repeat };
        let input = InputSpec { kind, splits: SPLITS, period_fs: 0 };
        let program = "string-length-count".to_owned();
        let spec =
            JobSpec { program: program.clone(), params: Default::default(), input, config: JobConfig::default() };
        let jobs = Jobs::builtin();
        let mut reference = (jobs.get(&program).unwrap().reference)(&spec, &InputFiles::default()).unwrap();
        let records = reference.input_len();
        let splits = u64::from(SPLITS);
        let consumed = (0..splits).map(|split| 0..(records - split).div_ceil(splits)).collect();
        let mut text = String::new();
        for file in fs::read_dir(self.output()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
            }
        }
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() as u64 != records {
            return Err(format!("{} records are committed, of {records}", lines.len()));
        }
        reference.accept(&consumed, &lines, false).map_err(|objection| format!("{objection:?}"))?;
        if !self.pending().is_empty() {
            return Err(format!("left uncommitted: {:?}", self.pending()));
        }
        match fs::read_dir(self.temporary()).unwrap().next() {
            Some(left) => Err(format!("local state is left: {left:?}")),
            None => Ok(()),
        }
    }
}

/// A launcher with its processes.
struct Run {
    launcher: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Run {
    fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The newest process with this name.
    fn process(&self, name: &str) -> u32 {
        let prefix = format!("{name} started, process ");
        let find = || {
            let lines = self.lines.lock().unwrap();
            lines.iter().rev().find_map(|line| line.split_once(&prefix).map(|(_, number)| number.parse().unwrap()))
        };
        self.until(&format!("process {name}"), || find().is_some());
        find().unwrap()
    }

    fn children(&self) -> [u32; 3] {
        ["jm-1", "tm-1", "tm-2"].map(|name| self.process(name))
    }

    /// Waits for the end; returns the exit status and the summary.
    fn end(&mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.launcher.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "still running after {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut summary = String::new();
        self.launcher.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
        (status, summary)
    }

    fn finishes(&mut self) -> String {
        let (status, summary) = self.end();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        summary
    }
}

impl Drop for Run {
    /// A failed test leaves nothing running: the children end with their launcher.
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().unwrap()), signal).unwrap();
}

/// Whether a process still does something. A process that only waits to be reaped does not.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// A number in the summary.
fn number(summary: &str, label: &str) -> u64 {
    let line = summary.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{summary}"));
    line.split_whitespace().nth(1).unwrap().replace(',', "").parse().unwrap()
}

fn survives_the_death_of_a_task_manager(case: &Case) {
    let mut run = case.start(&[]);
    let victim = run.process("tm-1");
    case.freeze(&run, &[victim]);
    signal(victim, Signal::SIGKILL);
    let summary = run.finishes();
    case.assert_exactly_once();
    assert!(number(&summary, "failovers") >= 1, "{summary}");
    assert_ne!(run.process("tm-1"), victim, "another process took its place");
}

fn goes_on_after_the_death_of_all(case: &Case) {
    let run = case.start(&[]);
    let children = run.children();
    case.freeze(&run, &children);
    signal(run.launcher.id(), Signal::SIGKILL);
    children.iter().for_each(|child| signal(*child, Signal::SIGKILL));
    run.until("death", || !children.iter().any(|child| is_alive(*child)));
    assert!(!case.pending().is_empty(), "struck with uncommitted output");
    // The launcher must be reaped, so that it counts as dead for other processes.
    drop(run);
    let mut run = case.start(&["--resume"]);
    let summary = run.finishes();
    assert!(run.log().contains("restoring checkpoint"), "{}", run.log());
    case.assert_exactly_once();
    assert!(number(&summary, "checkpoints") >= 1, "{summary}");
}

#[test]
fn task_manager_killed_memory() {
    survives_the_death_of_a_task_manager(&Case::new(input("hotel_bookings.csv"), BackendKind::Memory));
}

#[test]
fn task_manager_killed_fs() {
    survives_the_death_of_a_task_manager(&Case::new(words(), BackendKind::Fs));
}

#[cfg(feature = "rocksdb")]
#[test]
fn task_manager_killed_rocksdb() {
    survives_the_death_of_a_task_manager(&Case::new(input("access.log"), BackendKind::RocksDb));
}

#[test]
fn everything_killed_memory() {
    goes_on_after_the_death_of_all(&Case::new(input("access.log"), BackendKind::Memory));
}

#[test]
fn everything_killed_fs() {
    goes_on_after_the_death_of_all(&Case::new(input("hotel_bookings.csv"), BackendKind::Fs));
}

#[cfg(feature = "rocksdb")]
#[test]
fn everything_killed_rocksdb() {
    goes_on_after_the_death_of_all(&Case::new(words(), BackendKind::RocksDb));
}

/// The next JobManager takes over in a new term, while the TaskManagers still have the tasks that the old one deployed.
#[test]
fn job_manager_killed() {
    let case = Case::new(words(), BackendKind::Fs);
    let mut run = case.start(&[]);
    let victim = run.process("jm-1");
    case.freeze(&run, &[victim]);
    signal(victim, Signal::SIGKILL);
    let summary = run.finishes();
    case.assert_exactly_once();
    assert!(number(&summary, "failovers") >= 1, "{summary}");
    assert!(run.log().contains("jm-1 leads in term 2"), "{}", run.log());
}

/// A JobManager is killed before any has led. This says nothing about the job, and the next life opens the first term.
#[test]
fn job_manager_killed_before_anybody_led() {
    // The process may become leader before the test kills it, so the test tries several times.
    let first = (1..=10).find(|_| {
        let case = Case::new(words(), BackendKind::Memory);
        let mut run = case.start(&[]);
        let victim = run.process("jm-1");
        signal(victim, Signal::SIGKILL);
        run.finishes();
        case.assert_exactly_once();
        assert_ne!(run.process("jm-1"), victim, "another process took its place");
        let lines = run.lines.lock().unwrap();
        let nth = |words: &str, nth: usize| lines.iter().enumerate().filter(|(_, line)| line.contains(words)).nth(nth);
        let (second_life, first_term) = (nth("jm-1 started, process ", 1).unwrap().0, nth(" leads in term 1", 0));
        first_term.is_some_and(|(line, _)| line > second_life) && nth(" leads in term 2", 0).is_none()
    });
    assert!(first.is_some(), "ten processes led before they could be killed");
}

/// The standby takes over while the dead leader waits for its restart. Later the restarted one is the standby.
#[test]
fn leader_killed_and_a_standby_takes_over() {
    let case = Case::new(words(), BackendKind::Fs);
    let mut run = case.start(&["--job-managers", "2", "--lease", "500ms", "--restart-delay", "3s"]);
    let leads = |term: u32| {
        let suffix = format!(" leads in term {term}");
        let find = || {
            let lines = run.lines.lock().unwrap();
            lines.iter().find_map(|line| Some(line.strip_suffix(&suffix)?.rsplit_once(' ')?.1.to_owned()))
        };
        run.until(&suffix, || find().is_some());
        find().unwrap()
    };
    let leader = leads(1);
    let victim = run.process(&leader);
    case.freeze(&run, &[victim]);
    signal(victim, Signal::SIGKILL);
    let successor = leads(2);
    assert_ne!(successor, leader);
    let summary = run.finishes();
    case.assert_exactly_once();
    assert!(number(&summary, "failovers") >= 1, "{summary}");
    assert!(!run.log().contains("leads in term 3"), "{}", run.log());
}

/// By default, the second failure within the interval exceeds the failure rate.
#[test]
fn a_failure_rate_that_is_exceeded_ends_the_job() {
    let case = Case::new(words(), BackendKind::Fs);
    let mut run = case.start(&["--restart-strategy", "failure-rate", "--failure-rate-interval", "10m"]);
    run.until("two completed checkpoints", || case.completed() >= 2);
    let victim = run.process("tm-1");
    signal(victim, Signal::SIGKILL);
    run.until("another process", || run.process("tm-1") != victim);
    run.until("the restored job", || run.log().contains("restoring checkpoint"));
    signal(run.process("tm-1"), Signal::SIGKILL);
    let (status, _) = run.end();
    assert_eq!(status.code(), Some(1), "{}", run.log());
    assert!(run.log().contains("the failure rate of 1 per 10m is exceeded"), "{}", run.log());
}

#[test]
fn nothing_outlives_a_killed_launcher() {
    let case = Case::new(words(), BackendKind::Memory);
    let run = case.start(&[]);
    let children = run.children();
    run.until("checkpoint", || case.completed() >= 1);
    signal(run.launcher.id(), Signal::SIGKILL);
    run.until("end of the children", || !children.iter().any(|child| is_alive(*child)));
    assert!(fs::read_dir(case.temporary()).unwrap().next().is_none(), "no local state is left");
}

#[test]
fn an_interrupted_run_ends_in_order_and_can_go_on() {
    let case = Case::new(words(), BackendKind::Fs);
    let mut run = case.start(&[]);
    let children = run.children();
    run.until("checkpoint", || case.completed() >= 1);
    signal(run.launcher.id(), Signal::SIGINT);
    assert_eq!(run.end().0.code(), Some(130), "{}", run.log());
    assert!(!children.iter().any(|child| is_alive(*child)), "{}", run.log());
    let summary = case.start(&["--resume"]).finishes();
    case.assert_exactly_once();
    // The summary covers the whole job, not only this run.
    assert_eq!(number(&summary, "committed"), 12_000, "{summary}");
    assert!(summary.contains(" before, "), "{summary}");
}

#[test]
fn bad_input_is_refused_before_anything_is_created() {
    let case = Case::new(words(), BackendKind::Memory);
    let binary = Case { input: case.root.path().join("binary"), ..Case::new(words(), BackendKind::Memory) };
    fs::write(&binary.input, b"a\nb\0c\n").unwrap();
    let missing = Case { input: "no-such-file.txt".into(), ..Case::new(words(), BackendKind::Memory) };
    for (case, extra, needles) in [
        (&missing, &[][..], &["no-such-file.txt", "help:"][..]),
        (&binary, &[], &["line 2, byte 3", "help:"]),
        (&case, &["--slots", "1"], &["4 needs 4"]),
        (&case, &["--min-pause", "5"], &["has no unit"]),
        (&case, &["--lease", "50ms"], &["--lease 50ms", "at least 100ms"]),
        (&case, &["--heartbeat-timeout", "1s"], &["--heartbeat-timeout 1s", "more than heartbeat_interval"]),
        (&case, &["--resume"], &["checkpoints does not exist"]),
    ] {
        let mut run = case.start(extra);
        let (status, _) = run.end();
        run.until("error", || needles.iter().all(|needle| run.log().contains(needle)));
        assert_eq!(status.code(), Some(2), "{extra:?}: {}", run.log());
        assert!(!case.output().exists() && !case.checkpoints().exists(), "{extra:?}");
    }
}

/// Folders of another run are never touched, and another job never continues from them.
#[test]
fn folders_with_a_past_are_refused() {
    let mut case = Case::new(words(), BackendKind::Memory);
    case.start(&[]).finishes();
    let files = |case: &Case| {
        let mut files: Vec<_> = fs::read_dir(case.output()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    let before = files(&case);
    let mut again = case.start(&[]);
    assert_eq!(again.end().0.code(), Some(2), "{}", again.log());
    again.until("error", || again.log().contains("is not empty") && again.log().contains("--resume"));
    case.backend = BackendKind::Fs;
    let mut other = case.start(&["--resume"]);
    assert_eq!(other.end().0.code(), Some(2), "{}", other.log());
    other.until("error", || other.log().contains("taken with backend memory, not fs"));
    assert_eq!(files(&case), before);
}
