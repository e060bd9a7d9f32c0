//! The real engine in this process: a JobManager and TaskManagers over loopback TCP, with real files, on real tokio.
//!
//! Each node has a runtime of its own, so that it can die alone: [`RealCluster::kill`] drops a TaskManager's runtime,
//! its connections break, and the others notice that as with a dead process. Every event of every node is kept, with
//! times of one clock. Start at [`RealCluster::start`].
#![allow(clippy::disallowed_methods, reason = "the real engine is driven and timed from outside: by real time")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use flowquake_engine::env::tokio::TokioWorld;
use flowquake_engine::env::{Address, Env, Secret};
use flowquake_engine::event::EventRecord;
use flowquake_engine::graph::{JobBuilder, JobSpec};
use flowquake_engine::jobmanager::{self, JobResult};
use flowquake_engine::taskmanager::{self, TaskManagerConfig};
use object_store::local::LocalFileSystem;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Pause of a TaskManager between two attempts to register, as in simulation.
const RETRY: Duration = Duration::from_millis(100);
/// A run without a new event for this long counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the tasks of a node may take to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Why a real run has no result.
#[derive(Debug, thiserror::Error)]
pub enum RealFault {
    /// A folder, a socket or a thread was refused.
    #[error("the engine cannot be run for real: {0}")]
    Io(#[from] io::Error),
    /// The engine gave the job up.
    #[error("the engine gave up the job: {0}")]
    Failed(String),
    /// Nothing happened for `PATIENCE`.
    #[error("the engine did not come to {0} within {PATIENCE:?}")]
    Hangs(String),
}

/// Everything that happened so far, and a signal for more.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<EventRecord>>,
    more: Condvar,
}

/// A runtime for one node.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// The world of a node whose stores and disk are below `folder`.
pub(super) fn env(
    name: &str,
    folder: &Path,
    observer: impl Fn(&EventRecord) + Send + Sync + 'static,
) -> io::Result<Env> {
    let store = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path)?;
        LocalFileSystem::new_with_prefix(path).map(Arc::new).map_err(io::Error::other)
    };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let world =
        TokioWorld::new(anywhere, secret()?, store("checkpoints")?, store("output")?, folder.join(name), observer);
    Ok(Env::real(name.into(), 1, 1, world))
}

/// The secret by which the nodes know each other; all of them are in this process.
fn secret() -> io::Result<Secret> {
    static SECRET: OnceLock<Secret> = OnceLock::new();
    match SECRET.get() {
        Some(secret) => Ok(secret.clone()),
        None => Secret::random().map(|drawn| SECRET.get_or_init(|| drawn).clone()),
    }
}

/// A running cluster. Dropping it ends all nodes.
pub struct RealCluster {
    jobs: JobBuilder,
    slots: u16,
    job_manager: Address,
    ended: mpsc::Receiver<Result<JobResult, String>>,
    nodes: BTreeMap<String, Runtime>,
    heard: Arc<Heard>,
    lives: u32,
    /// Declared after the nodes, so that it is dropped after them.
    folder: TempDir,
}

impl RealCluster {
    /// Starts a job on `task_managers` TaskManagers called `tm-1` and so on, of `slots` slots each.
    pub fn start(spec: JobSpec, jobs: JobBuilder, task_managers: u16, slots: u16) -> Result<Self, RealFault> {
        let folder = tempfile::Builder::new().prefix("flowquake-real-").tempdir()?;
        let heard = Arc::<Heard>::default();
        let within = env("jm-1", folder.path(), hears(&heard))?;
        let (listening, listens) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let node = runtime()?;
        let build = jobs.clone();
        node.spawn(async move {
            let told = move |address: &Address| drop(listening.send(address.clone()));
            let result = jobmanager::run(within, spec, build, told).await;
            // The receiver is gone if the cluster was dropped before.
            let _ = end.send(result.map_err(|error| error.to_string()));
        });
        let nodes = BTreeMap::from([("jm-1".to_owned(), node)]);
        let job_manager = listens.recv_timeout(PATIENCE).map_err(|_| match ended.try_recv() {
            Ok(Err(cause)) => RealFault::Failed(cause),
            _ => RealFault::Hangs("a JobManager that listens".into()),
        })?;
        let mut cluster = Self { jobs, slots, job_manager, ended, nodes, heard, lives: 0, folder };
        for number in 1..=task_managers {
            cluster.start_task_manager(&format!("tm-{number}"))?;
        }
        Ok(cluster)
    }

    /// Starts a TaskManager, with an empty disk.
    pub fn start_task_manager(&mut self, name: &str) -> Result<(), RealFault> {
        self.lives += 1;
        let root = self.folder.path();
        let disk = root.join(format!("disk-{}", self.lives));
        std::fs::create_dir_all(&disk)?;
        let store =
            |name: &str| LocalFileSystem::new_with_prefix(root.join(name)).map(Arc::new).map_err(io::Error::other);
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let world =
            TokioWorld::new(anywhere, secret()?, store("checkpoints")?, store("output")?, disk, hears(&self.heard));
        let within = Env::real(name.into(), 1, u64::from(self.lives), world);
        let config = TaskManagerConfig {
            slots: self.slots,
            job_managers: vec![self.job_manager.clone()],
            retry: RETRY,
            connect_timeout: Duration::from_secs(5),
        };
        let (node, jobs) = (runtime()?, self.jobs.clone());
        node.spawn(async move {
            if let Err(error) = taskmanager::run(within.clone(), config, jobs).await {
                within.warn(format_args!("the TaskManager cannot work: {error}"));
            }
        });
        self.nodes.insert(name.into(), node);
        Ok(())
    }

    /// Kills a node: its tasks are dropped where they wait, and its connections break.
    pub fn kill(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name) {
            node.shutdown_background();
        }
    }

    /// Everything that happened so far, as each node reported it, ordered by time.
    pub fn events(&self) -> Vec<EventRecord> {
        let mut events = self.heard.events.lock().expect("nothing in here panics").clone();
        events.sort_by_key(|record| record.at);
        events
    }

    /// Waits until `holds` finds something in the events so far, and returns what it found. `what` names it in the
    /// error.
    pub fn until<T>(&self, what: &str, holds: impl Fn(&[EventRecord]) -> Option<T>) -> Result<T, RealFault> {
        let mut events = self.heard.events.lock().expect("nothing in here panics");
        loop {
            if let Some(found) = holds(&events) {
                return Ok(found);
            }
            let (next, waited) = self.heard.more.wait_timeout(events, PATIENCE).expect("nothing in here panics");
            if waited.timed_out() {
                return Err(RealFault::Hangs(what.into()));
            }
            events = next;
        }
    }

    /// Waits for the job's end.
    pub fn finished(&self) -> Result<(), RealFault> {
        let began = Instant::now();
        match self.ended.recv_timeout(PATIENCE) {
            Ok(Ok(JobResult::Finished)) => Ok(()),
            Ok(Ok(JobResult::Failed(cause)) | Err(cause)) => Err(RealFault::Failed(cause)),
            Err(RecvTimeoutError::Timeout) => Err(RealFault::Hangs(format!("its end after {:?}", began.elapsed()))),
            Err(RecvTimeoutError::Disconnected) => Err(RealFault::Failed("its JobManager panicked".into())),
        }
    }
}

impl Drop for RealCluster {
    fn drop(&mut self) {
        // Shutting nodes down one after the other would wait for each in turn, while those already asked go on
        // stopping.
        for (_, node) in std::mem::take(&mut self.nodes) {
            node.shutdown_timeout(GRACE);
        }
    }
}

fn hears(heard: &Arc<Heard>) -> impl Fn(&EventRecord) + Send + Sync + 'static {
    let heard = heard.clone();
    move |record| {
        heard.events.lock().expect("nothing in here panics").push(record.clone());
        heard.more.notify_all();
    }
}
