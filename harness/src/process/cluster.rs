//! The processes of a run: started, killed, stopped, each strike with what proves it.
//!
//! Start at [`ProcessCluster`]. A strike is proved by what the system says afterwards: that a process has ended, and by which signal;
//! that every thread of it is stopped. What the system does not show in time is not proved, and makes the run uncertain.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::env::{Secret, StoreKind};
use flowquake_engine::fault::Death;
use flowquake_reports::units;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::level_filters::LevelFilter;

use super::stores;
use crate::engine_command::{ControlPorts, Orders, Role, SUBCOMMAND};
use crate::nemesis::{Cluster, Processes, Receipt};
use crate::plan::{Disk, RunPlan, job_spec};
use crate::run::{job_managers, task_managers};
use crate::stage::Stage;

/// Pause of a TaskManager between two attempts to reach a JobManager: short, so that those that wait for the first one come together,
/// as they do in simulation, and tasks are dealt out over all of them.
const RETRY: Duration = Duration::from_millis(5);
/// How long a process may take to end or to stop once it was told to. SIGKILL waits for what the kernel is doing for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_micros(200);
/// Lines of what a process said last that are told when it ends by itself.
const LAST_WORDS: usize = 5;

/// A process that runs, or has ended unseen.
struct Running {
    child: Child,
    /// Told to stand still: with so many threads, as far as that was seen.
    stopped: Option<u64>,
    /// The process ends with this pipe; and with its starter, whatever happens to the pipe.
    _lifeline: ChildStdin,
}

/// A node: its lives one after another.
struct Node {
    running: Option<Running>,
    lives: u32,
    /// Its own disk, in this life or the last one.
    disk: PathBuf,
    /// Threads that were seen to stand still, over all pauses that have ended.
    stood_still: u64,
}

/// A process that ended and was not struck.
pub(super) struct Exit {
    pub(super) node: String,
    pub(super) status: ExitStatus,
    /// The last that it said on standard error.
    pub(super) last_words: String,
}

/// All processes of a run, below one folder.
pub(super) struct ProcessCluster {
    program: PathBuf,
    root: PathBuf,
    socket: PathBuf,
    secret: Secret,
    ports: ControlPorts,
    plan: RunPlan,
    nodes: RefCell<BTreeMap<String, Node>>,
}

impl ProcessCluster {
    /// Of a plan; nothing runs yet.
    pub(super) fn new(program: &Path, plan: &RunPlan, root: &Path, socket: &Path) -> io::Result<Self> {
        let ports = ControlPorts::reserve(plan.cluster.job_managers.try_into().map_err(io::Error::other)?)?;
        let names = job_managers(plan).chain(task_managers(plan));
        let node = || Node { running: None, lives: 0, disk: PathBuf::new(), stood_still: 0 };
        let cluster = Self {
            program: program.to_owned(),
            root: root.to_owned(),
            socket: socket.to_owned(),
            secret: Secret::random()?,
            ports,
            plan: plan.clone(),
            nodes: RefCell::new(names.map(|name| (name, node())).collect()),
        };
        for folder in [cluster.store(StoreKind::Checkpoints), cluster.store(StoreKind::Output), cluster.logs()] {
            fs::create_dir(folder)?;
        }
        Ok(cluster)
    }

    /// The folder that is a durable store.
    pub(super) fn store(&self, kind: StoreKind) -> PathBuf {
        self.root.join(match kind {
            StoreKind::Checkpoints => "checkpoints",
            StoreKind::Output => "output",
        })
    }

    fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    fn log(&self, node: &str, life: u32) -> PathBuf {
        self.logs().join(format!("{node}-{life}"))
    }

    /// Starts the first life of a node.
    pub(super) fn start(&self, node: &str) -> io::Result<()> {
        self.begin_life(node, Disk::Wiped).map(drop)
    }

    /// Starts a node that is down; returns the id of its process.
    fn begin_life(&self, name: &str, disk: Disk) -> io::Result<u32> {
        let mut nodes = self.nodes.borrow_mut();
        let node = nodes.get_mut(name).ok_or_else(|| io::Error::other(format!("there is no node {name}")))?;
        node.lives += 1;
        if disk == Disk::Wiped || node.lives == 1 {
            node.disk = self.root.join(format!("{name}-{}", node.lives));
        }
        let role = match self.ports.of(name) {
            Some(listen) => Role::JobManager { listen, job: Box::new(job_spec(&self.plan)) },
            None => Role::TaskManager {
                job_managers: self.ports.addresses(),
                slots: self.plan.cluster.slots,
                retry: RETRY,
                connect_timeout: self.plan.job.config.connect_timeout,
            },
        };
        // Whoever asks for the engine's log lines reads them as they come; else they are kept for the end of a process.
        let level = LevelFilter::current();
        let (log, stderr) = match level == LevelFilter::OFF {
            true => ("warn".to_owned(), Stdio::from(File::create(self.log(name, node.lives))?)),
            false => (format!("off,flowquake={level},flowquake_engine={level}"), Stdio::inherit()),
        };
        let orders = Orders {
            node: name.into(),
            life: node.lives,
            secret: self.secret.clone(),
            checkpoints: self.store(StoreKind::Checkpoints),
            output: self.store(StoreKind::Output),
            local: node.disk.clone(),
            log,
            observer: Some(self.socket.clone()),
            dies_with_starter: true,
            role,
        };
        let mut child = Command::new(&self.program)
            .arg0("flowquake")
            .args([SUBCOMMAND, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C at a terminal is for whoever made the run.
            .process_group(0)
            .spawn()?;
        let id = child.id();
        let mut lifeline = child.stdin.take().expect("it is piped");
        let mut line = serde_json::to_vec(&orders)?;
        line.push(b'\n');
        // One that died at once is seen by its exit.
        let _ = lifeline.write_all(&line);
        node.running = Some(Running { child, stopped: None, _lifeline: lifeline });
        Ok(id)
    }

    /// Processes that have ended since the last look, other than by a strike.
    pub(super) fn exits(&self) -> Vec<Exit> {
        let mut exits = Vec::new();
        for (name, node) in self.nodes.borrow_mut().iter_mut() {
            let ended = node.running.as_mut().and_then(|running| running.child.try_wait().ok().flatten());
            if let Some(status) = ended {
                node.running = None;
                let last_words = last_lines(&self.log(name, node.lives));
                exits.push(Exit { node: name.clone(), status, last_words });
            }
        }
        exits
    }

    /// Ends all processes, and waits until they have ended: from here on nothing writes any more.
    pub(super) fn kill_all(&self) {
        for node in self.nodes.borrow_mut().values_mut() {
            if let Some(mut running) = node.running.take() {
                let _ = running.child.kill();
                let _ = running.child.wait();
            }
        }
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        self.kill_all();
    }
}

impl Cluster for ProcessCluster {
    fn is_alive(&self, node: &str) -> bool {
        self.nodes.borrow().get(node).is_some_and(|node| node.running.is_some())
    }

    /// A thread that stands still holds back one step.
    fn harm(&self, gauge: &Gauge) -> u64 {
        match gauge {
            Gauge::StoodStill(node) => self.nodes.borrow().get(node).map_or(0, |node| node.stood_still),
            _ => 0,
        }
    }

    fn processes(&self) -> Option<&dyn Processes> {
        Some(self)
    }
}

impl Processes for ProcessCluster {
    /// Only a process can be killed here, so a machine is never lost.
    fn kill(&self, node: &str, _: Death) -> Receipt {
        let mut nodes = self.nodes.borrow_mut();
        let Some(node) = nodes.get_mut(node) else { return Receipt::InVain };
        // One that has ended by itself is left for the next look.
        let alive = |running: &mut Running| matches!(running.child.try_wait(), Ok(None));
        let Some(mut running) = node.running.take_if(alive) else { return Receipt::InVain };
        node.stood_still += running.stopped.take().unwrap_or(0);
        let (id, asked) = (running.child.id(), Instant::now());
        if let Err(error) = running.child.kill() {
            node.running = Some(running);
            return Receipt::Unproved(format!("SIGKILL could not be sent to process {id}: {error}"));
        }
        let ended = within_patience(|| running.child.try_wait().ok().flatten());
        let took = units::duration(asked.elapsed().as_nanos() as u64);
        match ended.map(|status| (status, status.signal())) {
            Some((_, Some(signal))) if signal == Signal::SIGKILL as i32 => {
                Receipt::Proved(format!("process {id} ended by SIGKILL, after {took}"))
            }
            Some((status, _)) => Receipt::Unproved(format!("process {id} ended otherwise meanwhile: {status}")),
            None => {
                node.running = Some(running);
                Receipt::Unproved(format!("process {id} is there {took} after SIGKILL"))
            }
        }
    }

    fn restart(&self, node: &str, disk: Disk) -> Receipt {
        if self.is_alive(node) {
            return Receipt::InVain;
        }
        match self.begin_life(node, disk) {
            Ok(id) => Receipt::Proved(format!("process {id} started")),
            Err(error) => Receipt::Unproved(format!("{node} could not be started again: {error}")),
        }
    }

    fn pause(&self, node: &str) -> Receipt {
        let mut nodes = self.nodes.borrow_mut();
        let Some(node) = nodes.get_mut(node) else { return Receipt::InVain };
        let Some(running) = node.running.as_mut().filter(|running| running.stopped.is_none()) else {
            return Receipt::InVain;
        };
        let (id, asked) = (running.child.id(), Instant::now());
        if let Err(error) = send(id, Signal::SIGSTOP) {
            return Receipt::Unproved(format!("SIGSTOP could not be sent to process {id}: {error}"));
        }
        running.stopped = Some(0);
        let all_stopped = || threads(id).filter(|threads| threads.running == 0);
        let Some(threads) = within_patience(all_stopped) else {
            return Receipt::Unproved(format!("not all threads of process {id} stopped within {PATIENCE:?}"));
        };
        running.stopped = Some(threads.stopped);
        let took = units::duration(asked.elapsed().as_nanos() as u64);
        Receipt::Proved(format!("all {} threads of process {id} stopped, after {took}", threads.stopped))
    }

    fn resume(&self, node: &str) -> Receipt {
        let mut nodes = self.nodes.borrow_mut();
        let Some(node) = nodes.get_mut(node) else { return Receipt::InVain };
        let Some(running) = node.running.as_mut() else { return Receipt::InVain };
        let Some(stopped) = running.stopped else { return Receipt::InVain };
        let id = running.child.id();
        if let Err(error) = send(id, Signal::SIGCONT) {
            return Receipt::Unproved(format!("SIGCONT could not be sent to process {id}: {error}"));
        }
        running.stopped = None;
        node.stood_still += stopped;
        match within_patience(|| threads(id).filter(|threads| threads.stopped == 0)) {
            Some(_) => Receipt::Proved(format!("process {id} goes on")),
            None => Receipt::Unproved(format!("some threads of process {id} stand still {PATIENCE:?} after SIGCONT")),
        }
    }
}

impl Stage for ProcessCluster {
    /// Not seen from outside; the target does not show what is under way.
    fn unread_records(&self) -> Vec<u64> {
        Vec::new()
    }

    fn network_totals(&self) -> NetworkTotals {
        NetworkTotals::default()
    }

    fn read(&self, kind: StoreKind, path: &str) -> Option<Bytes> {
        fs::read(self.store(kind).join(path)).ok().map(Bytes::from)
    }

    fn list(&self, kind: StoreKind, folder: &str) -> Vec<String> {
        stores::paths(&self.store(kind), folder)
    }
}

/// Processor time of all processes that have ended and were waited for.
pub(super) fn cpu_of_children() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let micros =
        |time: nix::sys::time::TimeVal| time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec().unsigned_abs();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn send(id: u32, signal: Signal) -> io::Result<()> {
    let id = i32::try_from(id).map_err(io::Error::other)?;
    kill(Pid::from_raw(id), signal).map_err(io::Error::from)
}

/// What comes of looking again and again, if something does in time.
fn within_patience<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if begun.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// How many threads of a process are stopped, and how many are not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Threads {
    stopped: u64,
    running: u64,
}

/// As `/proc` has them; `None`: it does not say.
fn threads(process: u32) -> Option<Threads> {
    let mut threads = Threads::default();
    for task in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end between the two.
        let Ok(stat) = fs::read_to_string(task.ok()?.path().join("stat")) else { continue };
        match state(&stat)? {
            'T' => threads.stopped += 1,
            _ => threads.running += 1,
        }
    }
    Some(threads).filter(|threads| *threads != Threads::default())
}

/// The state of a thread: the word behind its name, which stands in brackets and may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The end of a log, on one line.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_thread_stands_behind_its_name_whatever_that_is() {
        assert_eq!(state("12 (a) b) T 1 2"), Some('T'));
        assert_eq!(state("12 (tokio-runtime-w) S 1"), Some('S'));
        assert_eq!(state("12"), None);
    }

    #[test]
    fn a_stopped_process_has_no_thread_that_runs() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        send(id, Signal::SIGSTOP).unwrap();
        let stopped = within_patience(|| threads(id).filter(|threads| threads.running == 0));
        assert_eq!(stopped, Some(Threads { stopped: 1, running: 0 }));
        send(id, Signal::SIGCONT).unwrap();
        assert!(within_patience(|| threads(id).filter(|threads| threads.stopped == 0)).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(threads(id), None, "it is gone");
    }
}
