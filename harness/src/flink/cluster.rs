//! The processes of a Flink: one JobManager and the TaskManagers of the plan, each with a folder of its own.
//!
//! Entry points are started without Flink's scripts, so that a process is what the scripts would start, and its id is known. How
//! processes are struck, and what proves that, is in `live`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::folder;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::fault::StoreRule;
use flowquake_engine::ids::CheckpointId;

use super::home::Home;
use super::settings::{self, Ports};
use crate::hooks::Hooks;
use crate::jobs::UserCodeHit;
use crate::live::{Life, Nodes, Starter, bound};
use crate::nemesis::{Cluster, Hurt, Processes, Receipt, Speeds, Stores};
use crate::plan::RunPlan;
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

/// All processes of a Flink, below one folder.
pub(super) struct FlinkCluster {
    root: PathBuf,
    ports: Ports,
    nodes: Nodes<FlinkProcesses>,
    hooks: Hooks,
}

/// How Flink's processes are started.
struct FlinkProcesses {
    /// This program, through which others are started.
    own: PathBuf,
    home: Home,
    archive: PathBuf,
    root: PathBuf,
    /// What says whether user code has to ask.
    flag: PathBuf,
    ports: Ports,
    plan: RunPlan,
}

impl FlinkCluster {
    /// Of a plan; nothing runs yet.
    pub(super) fn new(
        own: &Path,
        home: &Home,
        archive: &Path,
        plan: &RunPlan,
        root: &Path,
        hooks: Hooks,
    ) -> io::Result<Self> {
        let ports = free_ports()?;
        let processes = FlinkProcesses {
            own: own.to_owned(),
            home: home.clone(),
            archive: archive.to_owned(),
            root: root.to_owned(),
            flag: hooks.flag(),
            ports,
            plan: plan.clone(),
        };
        let cluster = Self { root: root.to_owned(), ports, nodes: Nodes::new(processes, root, nodes(plan)), hooks };
        for folder in [cluster.input(), cluster.output(), checkpoints(root)] {
            fs::create_dir(folder)?;
        }
        Ok(cluster)
    }

    /// Its processes.
    pub(super) fn nodes(&self) -> &Nodes<impl Starter> {
        &self.nodes
    }

    /// What its user code asks.
    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Where its processes tell what happens.
    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.root)
    }

    pub(super) fn input(&self) -> PathBuf {
        self.root.join("input")
    }

    pub(super) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    /// Where its REST interface is.
    pub(super) fn rest_port(&self) -> u16 {
        self.ports.rest
    }
}

/// Its nodes: standbys of the JobManager are left out, since without high availability they could not lead.
pub(super) fn nodes(plan: &RunPlan) -> impl Iterator<Item = String> {
    job_managers(plan).take(1).chain(task_managers(plan))
}

fn socket(root: &Path) -> PathBuf {
    root.join("wire")
}

fn checkpoints(root: &Path) -> PathBuf {
    root.join("checkpoints")
}

impl Starter for FlinkProcesses {
    fn start(&self, life: &Life<'_>) -> io::Result<Child> {
        if life.is_new {
            fs::create_dir_all(life.folder.join("tmp").join(UPLOADS))?;
            let config = settings::config(&self.plan, life.node, life.folder, &checkpoints(&self.root), self.ports);
            fs::write(life.folder.join("config.yaml"), config)?;
            fs::write(life.folder.join("log4j.properties"), settings::log(life.folder))?;
            // An archive that lies there is as good as one that was uploaded.
            fs::copy(&self.archive, life.folder.join("tmp").join(UPLOADS).join(archive_name(&self.archive)))?;
        }
        let said = File::create(life.folder.join("said"))?;
        self.command(life.node, life.folder).stdout(said.try_clone()?).stderr(said).spawn()
    }

    fn last_words(&self, life: &Life<'_>) -> String {
        last_words(life.folder)
    }
}

impl FlinkProcesses {
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
            .arg(option("flowquake.socket", &socket(&self.root)))
            .arg(option("flowquake.flag", &self.flag))
            .arg(option("flowquake.root", &self.root))
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
}

impl Cluster for FlinkCluster {
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

    fn stores(&self) -> Option<&dyn Stores> {
        Some(self)
    }
}

impl FlinkCluster {
    /// The folder below which Flink has put the checkpoints of the job, which it names by an id of its own.
    fn of_job(&self) -> Option<PathBuf> {
        let folders = fs::read_dir(checkpoints(&self.root)).ok()?;
        folders.flatten().map(|entry| entry.path()).find(|path| path.is_dir())
    }
}

impl Stores for FlinkCluster {
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
        let Some(root) = self.of_job() else { return Vec::new() };
        let files = files_below(&root, "").into_iter().filter_map(|path| named_here(&path));
        files.filter(|path| path.starts_with(folder)).collect()
    }

    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> {
        fs::read(self.of_job()?.join(named_there(path)?)).ok().map(Bytes::from)
    }

    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) -> Receipt {
        match self.of_job().zip(named_there(path)) {
            Some((root, file)) => self.hooks.damage(&root.join(file), path, contents.as_ref()),
            None => Receipt::Unproved(format!("the job has no {path}")),
        }
    }
}

/// The number of the checkpoint to which a file belongs, and the file's name.
fn of_checkpoint(path: &str) -> Option<(u64, &str)> {
    let (number, name) = path.strip_prefix("chk-")?.split_once('/')?;
    Some((number.parse().ok()?, name))
}

/// A file of a checkpoint as it is called here, where numbers have a fixed width: `chk-00000004/_metadata`.
fn named_here(path: &str) -> Option<String> {
    let (checkpoint, name) = of_checkpoint(path)?;
    Some(format!("{}/{name}", folder(CheckpointId(checkpoint))))
}

/// The same as Flink calls it: `chk-4/_metadata`.
fn named_there(path: &str) -> Option<String> {
    let (checkpoint, name) = of_checkpoint(path)?;
    Some(format!("chk-{checkpoint}/{name}"))
}

/// Paths of the files in a folder below `root`, in order.
fn files_below(root: &Path, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        match entry.path().is_dir() {
            true => found.extend(files_below(root, &path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_checkpoints_have_the_names_of_both() {
        assert_eq!(named_here("chk-4/_metadata").as_deref(), Some("chk-00000004/_metadata"));
        assert_eq!(named_there("chk-00000004/a-b").as_deref(), Some("chk-4/a-b"));
        assert_eq!((named_here("shared/a"), named_there("chk-x/a")), (None, None));
    }
}
