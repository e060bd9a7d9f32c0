//! The processes of a run: started, killed, stopped, each strike with what proves it.
//!
//! Start at [`ProcessCluster`]. What proves a strike is in `live.rs`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::env::{Secret, StoreKind};
use flowquake_engine::fault::Death;
use tracing::level_filters::LevelFilter;

use super::stores;
use crate::engine_command::{ControlPorts, Orders, Role, SUBCOMMAND};
use crate::live::Live;
use crate::nemesis::{Cluster, Processes, Receipt};
use crate::plan::{Disk, RunPlan, job_spec};
use crate::run::{job_managers, task_managers};
use crate::stage::Stage;

/// Pause of a TaskManager between two attempts to reach a JobManager: short, so that those that wait for the first one come together,
/// as they do in simulation, and tasks are dealt out over all of them.
const RETRY: Duration = Duration::from_millis(5);
/// Lines of what a process said last that are told when it ends by itself.
const LAST_WORDS: usize = 5;

/// A node: its lives one after another.
struct Node {
    live: Option<Live>,
    lives: u32,
    /// Its own disk, in this life or the last one.
    disk: PathBuf,
    /// Threads that were seen to stand still, over all pauses that have ended.
    stood_still: u64,
}

impl Node {
    /// Its life is over; what it had stood still counts on.
    fn end(&mut self) {
        self.stood_still += self.live.take().map_or(0, |live| live.stood_still());
    }
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
        let node = || Node { live: None, lives: 0, disk: PathBuf::new(), stood_still: 0 };
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
        let mut line = serde_json::to_vec(&orders)?;
        line.push(b'\n');
        // The pipe stays open: the process ends with it. One that died at once is seen by its exit.
        let _ = child.stdin.as_mut().expect("it is piped").write_all(&line);
        node.live = Some(Live::of(child));
        Ok(id)
    }

    /// Processes that have ended since the last look, other than by a strike.
    pub(super) fn exits(&self) -> Vec<Exit> {
        let mut exits = Vec::new();
        for (name, node) in self.nodes.borrow_mut().iter_mut() {
            if let Some(status) = node.live.as_mut().and_then(Live::ended) {
                node.end();
                let last_words = last_lines(&self.log(name, node.lives));
                exits.push(Exit { node: name.clone(), status, last_words });
            }
        }
        exits
    }

    /// Ends all processes, and waits until they have ended: from here on nothing writes any more.
    pub(super) fn kill_all(&self) {
        self.nodes.borrow_mut().values_mut().for_each(Node::end);
    }
}

impl Cluster for ProcessCluster {
    fn is_alive(&self, node: &str) -> bool {
        self.nodes.borrow().get(node).is_some_and(|node| node.live.is_some())
    }

    /// A thread that stands still holds back one step.
    fn harm(&self, gauge: &Gauge) -> u64 {
        match gauge {
            Gauge::StoodStill(node) => self
                .nodes
                .borrow()
                .get(node)
                .map_or(0, |node| node.stood_still + node.live.as_ref().map_or(0, Live::stood_still)),
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
        let Some(live) = node.live.as_mut() else { return Receipt::InVain };
        let receipt = live.kill();
        // One that has ended by itself is left for the next look.
        if let Receipt::Proved(_) = receipt {
            node.end();
        }
        receipt
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
        nodes.get_mut(node).and_then(|node| node.live.as_mut()).map_or(Receipt::InVain, Live::pause)
    }

    fn resume(&self, node: &str) -> Receipt {
        let mut nodes = self.nodes.borrow_mut();
        nodes.get_mut(node).and_then(|node| node.live.as_mut()).map_or(Receipt::InVain, Live::resume)
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

/// The end of a log, on one line.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" | ")
}
