//! The processes of a Flink: one JobManager and the TaskManagers of the plan, each with a folder of its own.
//!
//! Entry points are started without Flink's scripts, so that a process is what the scripts would start, and its id is known. A node that
//! comes back keeps its name and gets a new folder, or keeps that, too, as the fault says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::fault::Death;

use super::home::Home;
use super::settings::{self, Ports};
use crate::live::{Live, bound};
use crate::nemesis::{Cluster, Processes, Receipt};
use crate::plan::{Disk, RunPlan};
use crate::run::{job_managers, task_managers};
use crate::stage::Stage;

const JOB_MANAGER: &str = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
const TASK_MANAGER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
/// Packages that Flink looks into by reflection, as its own scripts open them.
const OPENED: &[&str] = &[
    "java.io",
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
];
/// Where Flink keeps uploaded archives, below `web.upload.dir`.
const UPLOADS: &str = "flink-web-upload";

/// A node: its lives one after another.
struct Node {
    live: Option<Live>,
    lives: u32,
    folder: PathBuf,
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
    /// The last that it said.
    pub(super) last_words: String,
}

/// All processes of a Flink, below one folder.
pub(super) struct FlinkCluster {
    /// This program, through which others are started.
    own: PathBuf,
    home: Home,
    archive: PathBuf,
    root: PathBuf,
    ports: Ports,
    plan: RunPlan,
    nodes: RefCell<BTreeMap<String, Node>>,
}

impl FlinkCluster {
    /// Of a plan; nothing runs yet.
    pub(super) fn new(own: &Path, home: &Home, archive: &Path, plan: &RunPlan, root: &Path) -> io::Result<Self> {
        let node = || Node { live: None, lives: 0, folder: PathBuf::new(), stood_still: 0 };
        let names = job_managers(plan).chain(task_managers(plan));
        let cluster = Self {
            own: own.to_owned(),
            home: home.clone(),
            archive: archive.to_owned(),
            root: root.to_owned(),
            ports: free_ports()?,
            plan: plan.clone(),
            nodes: RefCell::new(names.map(|name| (name, node())).collect()),
        };
        for folder in [cluster.input(), cluster.output(), cluster.checkpoints()] {
            fs::create_dir(folder)?;
        }
        Ok(cluster)
    }

    /// Where its processes tell what happens.
    pub(super) fn socket(&self) -> PathBuf {
        self.root.join("wire")
    }

    pub(super) fn input(&self) -> PathBuf {
        self.root.join("input")
    }

    pub(super) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Where its REST interface is.
    pub(super) fn rest_port(&self) -> u16 {
        self.ports.rest
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
            node.folder = self.root.join(format!("{name}-{}", node.lives));
            fs::create_dir_all(node.folder.join("tmp").join(UPLOADS))?;
            let config = settings::config(&self.plan, name, &node.folder, &self.checkpoints(), self.ports);
            fs::write(node.folder.join("config.yaml"), config)?;
            fs::write(node.folder.join("log4j.properties"), settings::log(&node.folder))?;
            // An archive that lies there is as good as one that was uploaded.
            fs::copy(&self.archive, node.folder.join("tmp").join(UPLOADS).join(archive_name(&self.archive)))?;
        }
        let said = File::create(node.folder.join("said"))?;
        let child = self.command(name, &node.folder).stdout(said.try_clone()?).stderr(said).spawn()?;
        let id = child.id();
        node.live = Some(Live::of(child));
        Ok(id)
    }

    /// What starts a node.
    fn command(&self, name: &str, folder: &Path) -> Command {
        let is_job_manager = name.starts_with("jm-");
        let (entry, heap) = if is_job_manager { (JOB_MANAGER, "320m") } else { (TASK_MANAGER, "192m") };
        let option = |name: &str, value: &Path| {
            let mut option = OsString::from(format!("-D{name}="));
            option.push(value);
            option
        };
        let mut class_path = OsString::from(self.home.class_path());
        class_path.push(":");
        class_path.push(&self.archive);
        let mut command = bound(&self.own, &self.home.java);
        command
            .arg(format!("-Xmx{heap}"))
            // A run is short: code that is compiled twice would cost more than it saves.
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxMetaspaceSize=192m", "-Xshare:auto"])
            .args(OPENED.iter().map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")))
            .arg(option("log4j.configurationFile", &folder.join("log4j.properties")))
            .arg(option("flowquake.socket", &self.socket()))
            .arg(format!("-Dflowquake.node={name}"))
            .arg("-cp")
            .arg(class_path)
            .arg(entry)
            .arg("--configDir")
            .arg(folder)
            .env("FLINK_PLUGINS_DIR", self.home.folder.join("plugins"))
            .env_remove("JAVA_TOOL_OPTIONS")
            .stdin(Stdio::null())
            // Ctrl-C at a terminal is for whoever made the run.
            .process_group(0);
        command
    }

    /// Which life of a node this is, from 1.
    pub(super) fn life(&self, node: &str) -> u32 {
        self.nodes.borrow().get(node).map_or(1, |node| node.lives.max(1))
    }

    /// Processes that have ended since the last look, other than by a strike.
    pub(super) fn exits(&self) -> Vec<Exit> {
        let mut exits = Vec::new();
        for (name, node) in self.nodes.borrow_mut().iter_mut() {
            if let Some(status) = node.live.as_mut().and_then(Live::ended) {
                node.end();
                exits.push(Exit { node: name.clone(), status, last_words: last_words(&node.folder) });
            }
        }
        exits
    }

    /// Ends all processes, first those that write output, and waits until they have ended.
    pub(super) fn kill_all(&self) {
        let mut nodes = self.nodes.borrow_mut();
        for manager in ["tm-", "jm-"] {
            nodes.iter_mut().filter(|(name, _)| name.starts_with(manager)).for_each(|(_, node)| node.end());
        }
    }
}

impl Cluster for FlinkCluster {
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

impl Processes for FlinkCluster {
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

impl Stage for FlinkCluster {
    /// Not seen from outside; the target does not show what is under way.
    fn unread_records(&self) -> Vec<u64> {
        Vec::new()
    }

    fn network_totals(&self) -> NetworkTotals {
        NetworkTotals::default()
    }

    /// What Flink keeps is in a form of its own.
    fn read(&self, _: StoreKind, _: &str) -> Option<Bytes> {
        None
    }

    fn list(&self, _: StoreKind, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fn archive_name(archive: &Path) -> PathBuf {
    archive.file_name().map(PathBuf::from).unwrap_or_default()
}

/// Two ports that nobody has now. Another program may take one before Flink does; then Flink says so and the run ends.
fn free_ports() -> io::Result<Ports> {
    let listeners = [TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?];
    Ok(Ports { rpc: listeners[0].local_addr()?.port(), rest: listeners[1].local_addr()?.port() })
}

/// What a process said last: on its own output if it said something there, else the errors of its log.
fn last_words(folder: &Path) -> String {
    let read = |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap_or_default()).into_owned();
    let (said, log) = (read("said"), read("log"));
    let causes = log.lines().filter(|line| line.starts_with("Caused by:") || line.contains(" ERROR "));
    let lines: Vec<&str> = if said.trim().is_empty() { causes.collect() } else { said.lines().collect() };
    lines[lines.len().saturating_sub(3)..].join(" | ")
}
