//! Everything that reads bytes of others, fed with mutated input: no panic, no hang, no gigabyte.
//!
//! Every target starts from files and messages as this build writes them, and gets edits that lead deep: flipped bits, numbers
//! at the ends of their ranges, pieces doubled, cut and exchanged, and words of the format where they do not belong. What has a
//! hash gets a right one again, so that the reader behind the hash is met, and what is accepted is used as its reader uses it.
//!
//! Inputs are numbered, and a number always gives the same bytes. Start at [`Target::survives`]. By hand, for more:
//! ```sh
//! FLOWQUAKE_FUZZ_INPUTS=1000000 cargo test -p flowquake --test fuzz -- --nocapture
//! FLOWQUAKE_FUZZ_INPUT=4711 cargo test -p flowquake --test fuzz manifests -- --nocapture     # one again
//! ```
#![allow(clippy::disallowed_methods, reason = "hangs are found by real time")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::profile::Profile;
use flowquake::scenario::{Scenario, parse_plan};
use flowquake::tune::journal::Journal;
use flowquake::{session, state_reader};
use flowquake_engine::checkpoint::manifest::{Chunk, Manifest, StateFile, StatePlace, SubtaskState, Transaction};
use flowquake_engine::codec::encoded;
use flowquake_engine::config::{BackendKind, JobConfig};
use flowquake_engine::env::{Address, Checksum, InputFiles, Lines, draw};
use flowquake_engine::event::AbortReason;
use flowquake_engine::graph::source::SplitPosition;
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::ha::entry::{Change, Ending, HaEntry, HaState};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{Attempt, CheckpointId, SplitId, SubtaskId, Term, VertexId};
use flowquake_engine::jobmanager::job_master;
use flowquake_engine::paths::{PendingPath, StateFilePath};
use flowquake_engine::state::heap_file;
use flowquake_engine::time::Time;
use flowquake_engine::wire::{
    Deployment, Order, TaskFailure, TaskReport, TaskStatus, Tasks, ToJobManager, ToTaskManager,
};
use flowquake_reports::coverage::Coverage;
use flowquake_reports::export::{perfetto, shiviz};
use flowquake_reports::gate::baseline::Baseline;
use flowquake_reports::record::{RunSet, SCHEMA_VERSION};
use flowquake_reports::tuning::{Point, Recovered};
use flowquake_reports::{distributions, json, svg};

/// Inputs per target where nothing else is said: about a minute for all of them.
const INPUTS: u64 = 4_000;
/// Longest time for one input. Far more than any takes, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most memory of the whole process, KiB.
const MEMORY_KIB: u64 = 1 << 20;

/// Something that reads.
struct Target<'a> {
    name: &'a str,
    /// What it reads when nobody has changed it.
    good: Vec<Vec<u8>>,
    /// Words of its format.
    words: &'a [&'a [u8]],
    /// Reads, and uses what it accepted; says whether it did.
    read: &'a dyn Fn(&[u8]) -> bool,
}

/// Draws of one input.
struct Draws<'a> {
    target: &'a str,
    input: u64,
    next: u64,
}

impl Draws<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.next += 1;
        (draw(0, self.target, self.input, self.next) % most.max(1) as u64) as usize
    }
}

/// Numbers as the formats here write the ends of their ranges.
const ENDS: [&[u8]; 9] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80, 0x01],
    &[0xff, 0xff, 0x03],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff; 24],
];

impl Target<'_> {
    /// Input number `input`, always the same.
    fn input(&self, input: u64) -> Vec<u8> {
        let mut draws = Draws { target: self.name, input, next: 0 };
        let mut bytes = self.good[draws.below(self.good.len())].clone();
        for _ in 0..=draws.below(5) {
            let at = draws.below(bytes.len() + 1);
            let longest = 1 << draws.below(8);
            let end = (at + draws.below(longest)).min(bytes.len());
            match draws.below(8) {
                0 if !bytes.is_empty() => {
                    let at = at.min(bytes.len() - 1);
                    bytes[at] ^= 1 << draws.below(8);
                }
                1 => drop(bytes.splice(at..end, ENDS[draws.below(ENDS.len())].iter().copied())),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    let times = 1 + draws.below(20);
                    drop(bytes.splice(at..at, piece.repeat(times)));
                }
                4 => bytes.truncate(at),
                5 => {
                    let other = &self.good[draws.below(self.good.len())];
                    let from = draws.below(other.len() + 1);
                    let to = (from + draws.below(200)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
                _ if self.words.is_empty() => drop(bytes.splice(at..at, ENDS[draws.below(ENDS.len())].iter().copied())),
                _ => {
                    let word = self.words[draws.below(self.words.len())];
                    drop(bytes.splice(at..end, word.iter().copied()));
                }
            }
        }
        bytes
    }

    /// Reads as many inputs as are asked for.
    fn survives(&self) {
        for good in &self.good {
            assert!((self.read)(good), "{}: what nobody changed is accepted", self.name);
        }
        let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let one = number("FLOWQUAKE_FUZZ_INPUT");
        let inputs = one.map_or(0..number("FLOWQUAKE_FUZZ_INPUTS").unwrap_or(INPUTS), |one| one..one + 1);
        let (count, began) = (inputs.end - inputs.start, Instant::now());
        let watch = Watch::start(self.name);
        let mut accepted = 0;
        for input in inputs {
            let bytes = self.input(input);
            watch.input.store(input, Ordering::Relaxed);
            match catch_unwind(AssertUnwindSafe(|| (self.read)(&bytes))) {
                Ok(was) => accepted += u64::from(was),
                Err(_) => panic!(
                    "{}: input {input} panics: FLOWQUAKE_FUZZ_INPUT={input}\n{:?}",
                    self.name,
                    String::from_utf8_lossy(&bytes)
                ),
            }
        }
        let memory = peak_kib();
        eprintln!(
            "{}: {count} inputs, {accepted} accepted, {:.1?}, at most {} MiB in this process",
            self.name,
            began.elapsed(),
            memory >> 10
        );
        assert!(memory < MEMORY_KIB, "{}: {memory} KiB", self.name);
    }
}

/// Ends the process when one input takes too long: a thread that hangs cannot be ended otherwise.
struct Watch {
    input: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    fn start(target: &str) -> Self {
        let (input, done) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
        let (target, seen, over) = (target.to_owned(), input.clone(), done.clone());
        std::thread::spawn(move || {
            let mut last = (u64::MAX, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let now = seen.load(Ordering::Relaxed);
                if now != last.0 {
                    last = (now, Instant::now());
                } else if last.1.elapsed() > PATIENCE && now != u64::MAX {
                    eprintln!("{target}: input {now} takes longer than {PATIENCE:?}: FLOWQUAKE_FUZZ_INPUT={now}");
                    std::process::abort();
                }
            }
        });
        Self { input, done }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// The most memory that this process ever had, KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The bytes of a file, with the hash that they should have.
fn with_right_hash(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let checksum = Checksum::of(bytes);
    file.extend_from_slice(&checksum.length.to_le_bytes());
    file.extend_from_slice(&checksum.hash);
    file
}

fn without_hash(file: &[u8]) -> Vec<u8> {
    file[..file.len() - 16].to_vec()
}

const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

fn job(program: &str, backend: BackendKind) -> JobSpec {
    let generator = if program == "keyed-count" { "orders" } else { "words" };
    let kind = InputKind::Generator { name: generator.into(), records: 1_000, seed: 1 };
    let config = JobConfig { parallelism: 2, backend, ..JobConfig::default() };
    JobSpec {
        program: program.into(),
        params: BTreeMap::new(),
        input: InputSpec { kind, splits: 2, period_fs: 7 },
        config,
    }
}

/// Counts of three keys, as a heap backend of `string-length-count` writes them.
fn heap() -> Bytes {
    let mut bytes = encoded(&"count").to_vec();
    bytes.extend_from_slice(&3_u64.to_le_bytes());
    for key in 0..3_u32 {
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend(encoded(&(key, 5_i32)));
    }
    bytes.into()
}

fn state(backend: BackendKind) -> SubtaskState {
    let (bytes, checksum) = (heap(), Checksum::of(&heap()));
    let place = match backend {
        BackendKind::Memory => StatePlace::Inline(bytes),
        _ => StatePlace::Stored(StateFilePath::new("chk-00000007/1-0-1-2-heap").unwrap()),
    };
    let path = PendingPath::new(".pending/1-0/000001-000002-00000000").unwrap();
    let transaction = |epoch| Transaction {
        epoch: CheckpointId(epoch),
        chunks: vec![Chunk { path: path.clone(), checksum }],
        records: 3,
    };
    SubtaskState {
        positions: vec![SplitPosition { split: SplitId(0), emitted: 17 }],
        files: vec![StateFile { name: heap_file(), place, checksum }],
        transactions: vec![transaction(6), transaction(7)],
    }
}

fn manifest(backend: BackendKind) -> Manifest {
    Manifest {
        checkpoint: CheckpointId(7),
        attempt: Attempt(2),
        term: Term(1),
        job: job("string-length-count", backend),
        start: Time(1),
        triggered_at: Time(2),
        subtasks: [(SUBTASK, state(backend))].into(),
    }
}

/// Names that lead elsewhere, as postcard writes them.
const NAMES: [&[u8]; 6] =
    [b"\x08../../xx", b"\x0b/etc/passwd", b"\x02..", b"\x01/", b"\x05a\x00b/c", b"\x0e.pending/1-1/x"];

#[test]
fn manifests() {
    let jobs = Jobs::builtin();
    let read = |bytes: &[u8]| {
        let Ok(manifest) = Manifest::decode(&with_right_hash(bytes), "m") else { return false };
        let (sum, inline) = (manifest.state_bytes(), 2 * manifest.inline_bytes());
        assert!(sum < u64::MAX && inline < u64::MAX);
        let inputs = InputFiles::default();
        if let InputKind::File { path, .. } = &manifest.job.input.kind {
            inputs.insert(path.clone(), Arc::new(Lines::parse(b"\n".to_vec(), Path::new("x")).unwrap()));
        }
        // RocksDB opens files of its own, some thousand times slower.
        if manifest.job.config.backend != BackendKind::RocksDb {
            let heap = |_: &str| Some(heap());
            let _ = state_reader::for_each(&manifest, &jobs, &inputs, heap, &mut |_, entry| {
                let _ = (format!("{:?} {:?}", entry.key, entry.value), entry.group);
            });
        }
        true
    };
    let good = BackendKind::ALL.map(|backend| without_hash(&manifest(backend).encode())).into();
    Target { name: "manifests", good, words: &NAMES, read: &read }.survives();
}

#[test]
fn state_on_the_heap() {
    let jobs = Jobs::builtin();
    let read = |bytes: &[u8]| {
        let mut manifest = manifest(BackendKind::Memory);
        let bytes = Bytes::copy_from_slice(bytes);
        let file = &mut manifest.subtasks.get_mut(&SUBTASK).unwrap().files[0];
        (file.checksum, file.place) = (Checksum::of(&bytes), StatePlace::Inline(bytes));
        state_reader::for_each(&manifest, &jobs, &InputFiles::default(), |_| None, &mut |_, _| {}).is_ok()
    };
    Target { name: "state on the heap", good: vec![heap().to_vec()], words: &[], read: &read }.survives();
}

fn entries() -> Vec<HaEntry> {
    let state = HaState {
        program: "string-length-count".into(),
        start: Time(5),
        attempt: Attempt(2),
        completed: vec![CheckpointId(4), CheckpointId(6)],
        undecided: Some(CheckpointId(7)),
        reserved: CheckpointId(16),
        ended: None,
    };
    let entry = |change, ended| HaEntry {
        position: Position { segment: 3, number: 7 },
        term: Term(3),
        leader: "jm-1".into(),
        incarnation: 1,
        address: Address("127.0.0.1:4000".into()),
        change,
        state: HaState { ended, ..state.clone() },
    };
    vec![
        entry(Change::Opened, None),
        entry(Change::FallingBack(Some(CheckpointId(4))), None),
        entry(Change::Ended, Some(Ending::Failed("of a test".into()))),
    ]
}

#[test]
fn entries_of_the_leadership_log() {
    let read = |bytes: &[u8]| {
        let Ok(entry) = HaEntry::decode(&with_right_hash(bytes), "e") else { return false };
        let next = entry.next_position();
        let mut state = job_master::opened(entry.state);
        for change in
            [entry.change, Change::Completed(state.reserved.next()), Change::AttemptBegun(state.attempt.next())]
        {
            state.apply(&change, 2);
        }
        assert!(Term(entry.term.0 + 1) <= Term(Term::MAX.0 + 1) && next > entry.position);
        true
    };
    let good = entries().iter().map(|entry| without_hash(&entry.encode())).collect();
    Target { name: "entries of the leadership log", good, words: &[], read: &read }.survives();
}

/// Files as they are, whose hash is wrong nearly always.
#[test]
fn damaged_files() {
    let read = |bytes: &[u8]| Manifest::decode(bytes, "m").is_ok() || HaEntry::decode(bytes, "e").is_ok();
    let mut good: Vec<Vec<u8>> = vec![manifest(BackendKind::Memory).encode().into()];
    good.extend(entries().iter().map(|entry| entry.encode().to_vec()));
    Target { name: "damaged files", good, words: &[], read: &read }.survives();
}

#[test]
fn messages_to_the_job_manager() {
    let checkpoint = CheckpointId(7);
    let task = |report| ToJobManager::Task(Attempt(2), report);
    let (node, data) = ("tm-1".into(), Address("127.0.0.1:4001".into()));
    let status = [(SUBTASK, TaskStatus::Running)].into();
    let messages = [
        ToJobManager::Register { node, incarnation: 1, slots: 2, data },
        ToJobManager::Heartbeat(Some(Tasks { attempt: Attempt(2), status })),
        ToJobManager::Canceled(Attempt(2)),
        task(TaskReport::Acknowledge { checkpoint, subtask: SUBTASK, state: state(BackendKind::Fs) }),
        task(TaskReport::Acknowledge { checkpoint, subtask: SUBTASK, state: state(BackendKind::Memory) }),
        task(TaskReport::Decline { checkpoint, subtask: SUBTASK, reason: AbortReason::AsyncException }),
        task(TaskReport::Failed(SUBTASK, TaskFailure::Fatal("of a test".into()))),
    ];
    let read = |bytes: &[u8]| ToJobManager::decode(bytes).is_ok();
    let good = messages.iter().map(|message| encoded(message).to_vec()).collect();
    Target { name: "messages to the JobManager", good, words: &NAMES, read: &read }.survives();
}

#[test]
fn messages_to_task_managers() {
    let build = Jobs::builtin().builder();
    let node = |index: u16| format!("tm-{index}");
    let subtasks: Vec<_> = (0..4).map(|n| SubtaskId { vertex: VertexId(n / 2), index: n % 2 }).collect();
    let deployment = |program| Deployment {
        attempt: Attempt(2),
        job: job(program, BackendKind::Fs),
        start: Time(3),
        checkpoint: Some(CheckpointId(7)),
        subtasks: [(SUBTASK, state(BackendKind::Fs))].into(),
        placement: subtasks.iter().map(|subtask| (*subtask, node(subtask.index).into())).collect(),
        data: (0..2).map(|index| (node(index).into(), Address("127.0.0.1:4002".into()))).collect(),
    };
    let orders = [
        Order::Registered { heartbeat_timeout_ns: 5 },
        Order::Deploy(Box::new(deployment("string-length-count"))),
        Order::Deploy(Box::new(deployment("keyed-count"))),
        Order::Trigger(Attempt(2), CheckpointId(8)),
        Order::Cancel(Attempt(2)),
    ];
    let read = |bytes: &[u8]| {
        let Ok(message) = ToTaskManager::decode(bytes) else { return false };
        if let Order::Deploy(deployment) = message.order {
            let inputs = InputFiles::default();
            if let InputKind::File { path, .. } = &deployment.job.input.kind {
                inputs.insert(path.clone(), Arc::new(Lines::parse(b"\n".to_vec(), Path::new("x")).unwrap()));
            }
            let Ok(graph) = build(&deployment.job, &inputs) else { return true };
            if deployment.fits(&graph).is_ok() {
                let parallelism = deployment.job.config.parallelism;
                for channel in deployment.subtasks.keys().flat_map(|subtask| graph.inputs_of(*subtask, parallelism)) {
                    assert!(deployment.data.contains_key(&deployment.placement[&channel.from]));
                }
            }
        }
        true
    };
    let good = orders.map(|order| encoded(&ToTaskManager { term: Term(1), order }).to_vec()).into();
    Target { name: "messages to TaskManagers", good, words: &NAMES, read: &read }.survives();
}

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

/// Texts are UTF-8 wherever they are read; what is not is refused before.
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
    // Two scenarios of it: edits in a short text hit more.
    let mut short = Baseline::parse(&repository("scenarios/gate.json")).unwrap();
    short.scenarios.truncate(2);
    Target { name: "baselines", good: vec![short.text().into_bytes()], words: &TEXT, read: &read }.survives();
}

/// Where the readers of files get their input from.
struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        // In memory where that is, since there are millions.
        let memory = Path::new("/dev/shm");
        Self(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap())
    }

    fn with(&self, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.0.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// What was read is shown in every way there is.
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
