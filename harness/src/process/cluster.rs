//! The processes of a run, and the folders that are their stores.
//!
//! Start at [`ProcessCluster`]. How processes are struck, and what proves that, is in `live`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::env::{Secret, StoreKind};
use flowquake_engine::fault::StoreRule;
use tracing::level_filters::LevelFilter;

use super::stores;
use crate::engine_command::{ControlPorts, Orders, Role, SUBCOMMAND};
use crate::hooks::Hooks;
use crate::jobs::UserCodeHit;
use crate::live::{Life, Nodes, Starter};
use crate::nemesis::{Cluster, Disks, Hurt, Processes, Receipt, Speeds, Stores};
use crate::plan::{RunPlan, job_spec};
use crate::run::{job_managers, task_managers};
use crate::stage::Stage;

/// Pause of a TaskManager between two attempts to reach a JobManager: short, so that those that wait for the first one come together,
/// as they do in simulation, and tasks are dealt out over all of them.
const RETRY: Duration = Duration::from_millis(5);
/// Lines of what a process said last that are told when it ends by itself.
const LAST_WORDS: usize = 5;

/// All processes of a run, below one folder.
pub(super) struct ProcessCluster {
    root: PathBuf,
    nodes: Nodes<EngineProcesses>,
    hooks: Hooks,
}

/// How the engine's processes are started.
struct EngineProcesses {
    program: PathBuf,
    root: PathBuf,
    socket: PathBuf,
    /// Where they ask what is in their way.
    hooks: PathBuf,
    secret: Secret,
    ports: ControlPorts,
    plan: RunPlan,
}

impl ProcessCluster {
    /// Of a plan; nothing runs yet.
    pub(super) fn new(program: &Path, plan: &RunPlan, root: &Path, socket: &Path, hooks: Hooks) -> io::Result<Self> {
        let processes = EngineProcesses {
            program: program.to_owned(),
            root: root.to_owned(),
            socket: socket.to_owned(),
            hooks: hooks.folder().to_owned(),
            secret: Secret::random()?,
            ports: ControlPorts::reserve(plan.cluster.job_managers.try_into().map_err(io::Error::other)?)?,
            plan: plan.clone(),
        };
        for folder in [store(root, StoreKind::Checkpoints), store(root, StoreKind::Output), logs(root)] {
            fs::create_dir(folder)?;
        }
        let names = job_managers(plan).chain(task_managers(plan));
        Ok(Self { root: root.to_owned(), nodes: Nodes::new(processes, root, names), hooks })
    }

    /// What its processes ask.
    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Whether a file of the checkpoint store is not what the engine has made of it.
    pub(super) fn is_damaged(&self, path: &str) -> bool {
        self.hooks.asked_for_damaged(path).is_some()
    }

    /// The folder that is a durable store.
    pub(super) fn store(&self, kind: StoreKind) -> PathBuf {
        store(&self.root, kind)
    }

    /// Its processes.
    pub(super) fn nodes(&self) -> &Nodes<impl Starter> {
        &self.nodes
    }
}

/// The folder of a run that is a durable store.
fn store(root: &Path, kind: StoreKind) -> PathBuf {
    root.join(match kind {
        StoreKind::Checkpoints => "checkpoints",
        StoreKind::Output => "output",
    })
}

fn logs(root: &Path) -> PathBuf {
    root.join("log")
}

impl EngineProcesses {
    fn log(&self, life: &Life<'_>) -> PathBuf {
        logs(&self.root).join(format!("{}-{}", life.node, life.number))
    }
}

impl Starter for EngineProcesses {
    fn start(&self, life: &Life<'_>) -> io::Result<Child> {
        let role = match self.ports.of(life.node) {
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
            true => ("warn".to_owned(), Stdio::from(File::create(self.log(life))?)),
            false => (format!("off,flowquake={level},flowquake_engine={level}"), Stdio::inherit()),
        };
        let orders = Orders {
            node: life.node.into(),
            life: life.number,
            secret: self.secret.clone(),
            checkpoints: store(&self.root, StoreKind::Checkpoints),
            output: store(&self.root, StoreKind::Output),
            local: life.folder.to_owned(),
            log,
            observer: Some(self.socket.clone()),
            hooks: Some(self.hooks.clone()),
            dies_with_starter: true,
            role,
        };
        let mut child = Command::new(&self.program)
            .arg0("flowquake")
            .args([SUBCOMMAND, life.node])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C at a terminal is for whoever made the run.
            .process_group(0)
            .spawn()?;
        let mut line = serde_json::to_vec(&orders)?;
        line.push(b'\n');
        // The pipe stays open: the process ends with it. One that died at once is seen by its exit.
        let _ = child.stdin.as_mut().expect("it is piped").write_all(&line);
        Ok(child)
    }

    fn last_words(&self, life: &Life<'_>) -> String {
        last_lines(&self.log(life))
    }
}

impl Cluster for ProcessCluster {
    fn is_alive(&self, node: &str) -> bool {
        self.nodes.is_alive(node)
    }

    fn harm(&self, gauge: &Gauge) -> u64 {
        match gauge {
            Gauge::Slowed(node, work) => self.hooks.slowed(node, *work),
            Gauge::Requests(rule) => self.hooks.store_rule_hits(*rule).0.into(),
            Gauge::Damaged(path) => self.hooks.asked_for_damaged(path).unwrap_or(0),
            gauge => self.nodes.harm(gauge),
        }
    }

    fn user_code_shown(&self, hit: &UserCodeHit) -> String {
        self.hooks.user_code_shown(hit)
    }

    fn processes(&self) -> Option<&dyn Processes> {
        Some(&self.nodes)
    }

    fn speeds(&self) -> Option<&dyn Speeds> {
        Some(&self.hooks)
    }

    fn disks(&self) -> Option<&dyn Disks> {
        Some(&self.nodes)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        Some(self)
    }
}

impl Stores for ProcessCluster {
    fn add_store_rule(&self, rule: StoreRule) -> usize {
        self.hooks.add_store_rule(rule)
    }

    fn end_store_rule(&self, rule: usize) {
        self.hooks.end_store_rule(rule);
    }

    fn store_rule_hits(&self, rule: usize) -> Hurt {
        self.hooks.store_rule_hits(rule)
    }

    fn store_rule_shown(&self, rule: usize) -> String {
        self.hooks.store_rule_shown(rule)
    }

    fn checkpoint_files(&self, folder: &str) -> Vec<String> {
        stores::paths(&self.store(StoreKind::Checkpoints), folder)
    }

    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> {
        Stage::read(self, StoreKind::Checkpoints, path)
    }

    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) -> Receipt {
        self.hooks.damage(&self.store(StoreKind::Checkpoints).join(path), path, contents.as_ref())
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
