//! Other users of the machine, and files from others, must not be able to disturb a real run.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests start and watch real processes, and speak to their sockets"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowquake::jobs::Jobs;
use flowquake_engine::checkpoint::manifest::{Manifest, StateFile, StatePlace, SubtaskState};
use flowquake_engine::codec::encoded;
use flowquake_engine::config::{BackendKind, JobConfig};
use flowquake_engine::env::{Address, Checksum, InputFiles};
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::ids::{Attempt, CheckpointId, Execution, SubtaskId, Term, VertexId};
use flowquake_engine::state::heap_file;
use flowquake_engine::time::Time;
use flowquake_engine::wire::{TaskFailure, TaskReport, ToJobManager};

/// Longest time to wait for any condition.
const PATIENCE: Duration = Duration::from_secs(60);
const SPLITS: u32 = 3;
/// Ten seconds of input: longer than the attacks of this test take, also on a loaded machine.
const REPEAT: u32 = 15;

fn words() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/words.txt")
}

/// A launcher with two TaskManagers.
struct Run {
    launcher: Child,
    lines: Arc<Mutex<Vec<String>>>,
    root: tempfile::TempDir,
}

impl Run {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        command.args(["engine", "string-length-count", "--input"]).arg(words());
        command.args(["--repeat", &REPEAT.to_string(), "--splits", &SPLITS.to_string(), "--backend", "fs"]);
        command.arg("--output").arg(root.path().join("out"));
        command.arg("--checkpoint-dir").arg(root.path().join("checkpoints"));
        command.args(["--parallelism", "4", "--task-managers", "2", "--rate", "3000/s"]);
        command.args(["--checkpoint-interval", "300ms", "--retained", "3"]);
        command.env("TMPDIR", root.path().join("tmp"));
        let mut launcher = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, heard) = (launcher.stderr.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Self { launcher, lines, root }
    }

    fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process of that name.
    fn process(&self, name: &str) -> u32 {
        let prefix = format!("{name} started, process ");
        self.until(&format!("process {name}"), || {
            let lines = self.lines.lock().unwrap();
            lines.iter().find_map(|line| line.split_once(&prefix).map(|(_, number)| number.parse().unwrap()))
        })
    }

    /// The port on which a process listens; every user can find it out.
    fn port(&self, name: &str) -> u16 {
        let process = self.process(name);
        self.until(&format!("port of {name}"), || {
            let open: Vec<_> = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten().collect();
            let open: Vec<_> = open.iter().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            table.lines().skip(1).find_map(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                let (address, state, inode) = (fields[1], fields[3], fields[9]);
                let listens = state == "0A" && open.contains(&PathBuf::from(format!("socket:[{inode}]")));
                listens.then(|| u16::from_str_radix(address.rsplit_once(':').unwrap().1, 16).unwrap())
            })
        })
    }

    fn completed(&self) -> usize {
        let Ok(folders) = fs::read_dir(self.root.path().join("checkpoints")) else { return 0 };
        folders.filter(|folder| folder.as_ref().unwrap().path().join("_metadata").is_file()).count()
    }

    /// The job finishes with exactly the right output; returns the summary.
    fn finishes(mut self) -> String {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.launcher.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "still running after {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0), "{}", self.log());
        let mut summary = String::new();
        self.launcher.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
        let kind = InputKind::File { path: words().to_str().unwrap().into(), repeat: REPEAT };
        let job = job(kind, BackendKind::Fs);
        let mut reference =
            (Jobs::builtin().get(&job.program).unwrap().reference)(&job, &InputFiles::default()).unwrap();
        let (records, splits) = (reference.input_len(), u64::from(SPLITS));
        let consumed = (0..splits).map(|split| 0..(records - split).div_ceil(splits)).collect();
        let files = fs::read_dir(self.root.path().join("out")).unwrap().map(|file| file.unwrap().path());
        let text: String = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len() as u64, records, "committed records");
        assert_eq!(reference.accept(&consumed, &lines, false), Ok(()));
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

fn job(kind: InputKind, backend: BackendKind) -> JobSpec {
    let config = JobConfig { parallelism: 4, backend, ..JobConfig::default() };
    let input = InputSpec { kind, splits: SPLITS, period_fs: 0 };
    JobSpec { program: "string-length-count".into(), params: Default::default(), input, config }
}

/// A frame as the engine sends it.
fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..], &[0], body].concat()
}

/// Sends all these bytes to a port; whether the connection was closed without an answer that helps an attacker.
fn is_turned_away(port: u16, words: &[u8]) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The other end may have closed the connection meanwhile.
    let _ = stream.write_all(words);
    matches!(stream.read(&mut [0; 64]), Ok(0)) || matches!(stream.read(&mut [0; 64]), Err(_) | Ok(0))
}

/// What an attacker could send who knows the protocol and has found the ports.
fn forged() -> Vec<Vec<u8>> {
    let node = "tm-1".into();
    let data = Address("127.0.0.1:1".into());
    let register = encoded(&ToJobManager::Register { node, incarnation: 9, slots: 9, data });
    let subtask = SubtaskId { vertex: VertexId(1), index: 0 };
    let fatal = TaskReport::Failed(subtask, TaskFailure::Fatal("of a stranger's making".into()));
    let acknowledge =
        |id| TaskReport::Acknowledge { checkpoint: CheckpointId(id), subtask, state: SubtaskState::default() };
    let report = |report| frame(&encoded(&ToJobManager::Task(Attempt(1), report)));
    let acknowledgements: Vec<u8> = (1..200).flat_map(|id| report(acknowledge(id))).collect();
    // The greeting of a data connection: variant 0 of its messages.
    let hello = encoded(&(0_u8, Execution { term: Term(1), attempt: Attempt(1) }));
    vec![
        [frame(&register), report(fatal)].concat(),
        [frame(&register), acknowledgements].concat(),
        frame(&hello),
        vec![0xff; 4096],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        frame(b"FLQCONN1"),
    ]
}

#[test]
fn strangers_on_the_same_machine_change_nothing() {
    let run = Run::start();
    run.until("checkpoint", || (run.completed() >= 1).then_some(()));
    let ports = ["jm-1", "tm-1", "tm-2"].map(|name| run.port(name));
    let mut waiting = Vec::new();
    for port in ports {
        for words in forged() {
            assert!(is_turned_away(port, &words), "{}", run.log());
        }
        // More connections than a process has descriptors for, if it kept all of them.
        waiting.extend((0..400).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()));
    }
    let before = run.completed();
    assert!(before >= 1);
    let root = run.root.path().to_owned();
    let listed = private_files(&root.join("out")) + private_files(&root.join("checkpoints"));
    assert!(listed > 3, "{listed} files");
    let log = run.lines.clone();
    let summary = run.finishes();
    let failovers = summary.lines().find(|line| line.trim_start().starts_with("failovers"));
    assert!(failovers.is_some_and(|line| line.split_whitespace().nth(1) == Some("0")), "{summary}");
    let log = log.lock().unwrap().join("\n");
    assert!(log.contains("was refused"), "it is said:\n{log}");
    assert!(!log.contains("stranger's making"), "{log}");
}

/// Counts the files in a folder. All of them must be accessible to their user only.
fn private_files(folder: &Path) -> usize {
    let mode = fs::metadata(folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "{}", folder.display());
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Pending output and checkpoints come and go.
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            count += if path.exists() { private_files(&path) } else { 0 };
        } else {
            assert_eq!(found.permissions().mode() & 0o777, 0o600, "{}", path.display());
            count += 1;
        }
    }
    count
}

#[test]
fn the_secret_stands_where_no_other_user_can_read_it() {
    let run = Run::start();
    for name in ["jm-1", "tm-1"] {
        let process = run.process(name);
        // Files that everybody may read, and the environment that child processes inherit.
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{process}/{file}")).unwrap();
            assert!(!text.windows(6).any(|window| window == b"secret"), "{name}: {file}");
        }
    }
    run.finishes();
}

/// A manifest with a right hash, which names a file outside the folder.
fn hostile(outside: &str) -> Vec<u8> {
    let bytes = Bytes::from_static(b"forged");
    let checksum = Checksum::of(&bytes);
    let file = StateFile { name: heap_file(), place: StatePlace::Inline(bytes), checksum };
    let state = SubtaskState { files: vec![file], ..SubtaskState::default() };
    let kind = InputKind::File { path: "/dev/zero".into(), repeat: 1 };
    let manifest = Manifest {
        checkpoint: CheckpointId(1),
        attempt: Attempt(1),
        term: Term(1),
        job: job(kind, BackendKind::RocksDb),
        start: Time::ZERO,
        triggered_at: Time::ZERO,
        subtasks: [(SubtaskId { vertex: VertexId(1), index: 0 }, state)].into(),
    };
    let honest = manifest.encode();
    let at = honest.windows(5).position(|window| window == b"\x04heap").unwrap();
    let mut body = honest[..honest.len() - 16].to_vec();
    body.splice(at..at + 5, [&[outside.len() as u8], outside.as_bytes()].concat());
    let checksum = Checksum::of(&body);
    body.extend_from_slice(&checksum.length.to_le_bytes());
    body.extend_from_slice(&checksum.hash);
    body
}

#[test]
fn a_manifest_that_somebody_else_made_writes_and_reads_nothing_outside() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/chk-00000001");
    fs::create_dir_all(&folder).unwrap();
    let outside = root.path().join("escaped");
    let ups = "../".repeat(12);
    for name in [format!("{ups}{}", outside.display()), outside.display().to_string(), "..".into()] {
        fs::write(folder.join("_metadata"), hostile(&name)).unwrap();
        let said = Command::new(env!("CARGO_BIN_EXE_flowquake"))
            .args(["state", "show"])
            .arg(folder.join("_metadata"))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{err}");
        assert!(err.contains("one that no job writes") && err.contains("the name"), "{err}");
        assert!(!outside.exists(), "{name}");
    }
}
