//! What all processes of a run have in common: how a child learns what it is, how it ends, and what it reports.
//!
//! The first line of a child's standard input has its [`Orders`]. The end of that pipe is the order to stop, and comes
//! even if the launcher was killed. A child whose tasks hang is ended by force after [`GRACE`].

use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use flowquake_engine::env::tokio::TokioWorld;
use flowquake_engine::env::tokio::stream::EventStream;
use flowquake_engine::env::{Address, Env, First, Secret, StoreKind, first_of_2};
use flowquake_engine::event::EventRecord;
use flowquake_engine::graph::JobSpec;
use flowquake_engine::ids::NodeName;
use flowquake_engine::taskmanager::TaskManagerConfig;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::hooked_store::HookedStore;
use super::{BAD_INPUT, FAILED, FINISHED, job_manager, task_manager};
use crate::hooks::Overseen;
use crate::jobs::{Jobs, UserCode};

/// Time for a process to stop cleanly.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Name of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "engine-process";

/// The hidden subcommand of a real cluster's processes. `flowquake engine` starts them; not for use by hand.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ProcessArgs {
    /// A JobManager or TaskManager
    #[command(hide = true, name = SUBCOMMAND)]
    EngineProcess {
        /// Shown in process lists
        name: String,
    },
}

/// What a child should be and do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) node: NodeName,
    /// Which life of the node this is, from 1.
    pub(crate) life: u32,
    /// The secret is passed in this way because only the two ends of a pipe can read it, while every user can read a
    /// command line.
    pub(crate) secret: Secret,
    pub(crate) checkpoints: PathBuf,
    pub(crate) output: PathBuf,
    /// A new folder for this child, which the child removes when it stops.
    pub(crate) local: PathBuf,
    /// Which log lines the child writes, as a filter of `tracing`.
    pub(crate) log: String,
    /// The Unix socket of an observer that receives each event before the emitter goes on ([`EventStream`]).
    pub(crate) observer: Option<PathBuf>,
    /// The folder in which it finds whom it asks what is in its way ([`crate::hooks`]).
    pub(crate) hooks: Option<PathBuf>,
    /// Whether it is killed at once should its starter die, instead of stopping in good order.
    pub(crate) dies_with_starter: bool,
    pub(crate) role: Role,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    JobManager {
        listen: SocketAddr,
        job: Box<JobSpec>,
    },
    TaskManager {
        job_managers: Vec<Address>,
        slots: u16,
        /// Pause between two attempts to reach a JobManager.
        retry: Duration,
        connect_timeout: Duration,
    },
}

/// What a JobManager reports, one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The JobManager leads, and TaskManagers may connect.
    Listening,
    /// Something happened.
    Event(EventRecord),
    /// The job is finished.
    Finished,
    /// The job was given up.
    Failed(String),
    /// The JobManager ends because something around it failed for too long. The job is not over.
    GaveUp(String),
}

/// Reports something to the launcher. If the launcher is gone, this process will end in a moment.
pub(super) fn report(report: &Report) {
    let mut line = serde_json::to_vec(report).expect("plain data");
    line.push(b'\n');
    let _ = std::io::stdout().lock().write_all(&line);
}

/// Runs a process of a real cluster until its orders end.
pub fn run_process(_: &ProcessArgs, jobs: &Jobs) -> ExitCode {
    // After a panic, a process could still answer heartbeats and do nothing else. It is better to end the whole
    // process, so that it is restarted.
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let orders: Orders = match read.map_err(serde_json::Error::io).and_then(|_| serde_json::from_str(&line)) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("error: this subcommand is started by `flowquake engine`, not by hand ({error})");
            return BAD_INPUT.into();
        }
    };
    // Standard error is the launcher's pipe: no colours, and a broken pipe must not panic. Lines have their own time.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&orders.log))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .without_time()
        .init();
    if orders.dies_with_starter
        && let Err(error) = set_pdeathsig(Signal::SIGKILL)
    {
        eprintln!("error: this process cannot be bound to the life of its starter: {error}");
        return FAILED.into();
    }
    let local = orders.local.clone();
    // If the starter died before this point, it has closed the pipe.
    let stopped = watch_lifeline();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return FAILED.into();
        }
    };
    let code = match runtime.block_on(first_of_2(stopped, play(orders, jobs))) {
        First::A(_) => FINISHED,
        First::B(code) => code,
    };
    runtime.shutdown_timeout(GRACE);
    let _ = std::fs::remove_dir_all(&local);
    if let Some(all) = local.parent() {
        // Succeeds in the last process of a run whose launcher can no longer do it.
        let _ = std::fs::remove_dir(all);
    }
    code.into()
}

/// Resolves when the launcher has closed its end of standard input, or has died.
fn watch_lifeline() -> oneshot::Receiver<()> {
    let (stop, stopped) = oneshot::channel();
    // A thread and not a task, because a runtime cannot shut down while a task reads standard input.
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = stop.send(());
        std::thread::sleep(2 * GRACE);
        std::process::abort();
    });
    stopped
}

async fn play(orders: Orders, jobs: &Jobs) -> u8 {
    let is_job_manager = matches!(orders.role, Role::JobManager { .. });
    let control = match &orders.role {
        Role::JobManager { listen, .. } => *listen,
        Role::TaskManager { .. } => SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let overseen = match orders.hooks.as_ref().map(|folder| Overseen::by(folder, orders.node.as_str())).transpose() {
        Ok(overseen) => overseen.map(Arc::new),
        Err(error) => {
            eprintln!("error: nobody says what is in the way: {error}");
            return FAILED;
        }
    };
    let open = |kind: StoreKind, folder: &PathBuf| -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        // Durable means durable: a manifest must not outlive, in a crash of the machine, the files that it names.
        let store = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true).with_fsync(true);
        Ok(match &overseen {
            Some(overseen) => Arc::new(HookedStore::new(Arc::new(store), kind, overseen.clone())),
            None => Arc::new(store),
        })
    };
    let stores = (open(StoreKind::Checkpoints, &orders.checkpoints), open(StoreKind::Output, &orders.output));
    let (checkpoints, output) = match stores {
        (Ok(checkpoints), Ok(output)) => (checkpoints, output),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("error: {error}");
            return FAILED;
        }
    };
    let stream = match &orders.observer {
        Some(socket) => match EventStream::connect(socket).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                eprintln!("error: no observer listens at {}: {error}", socket.display());
                return FAILED;
            }
        },
        None => None,
    };
    let observer = move |record: &EventRecord| {
        if is_job_manager {
            report(&Report::Event(record.clone()));
        }
    };
    let world = TokioWorld::new(control, orders.secret, checkpoints, output, orders.local, observer);
    let world = match stream {
        Some(stream) => world.telling(stream),
        None => world,
    };
    let user_code = overseen.map_or_else(UserCode::default, UserCode::overseen);
    let env = Env::real(orders.node, orders.life, u64::from(std::process::id()), world);
    match orders.role {
        Role::JobManager { job, .. } => job_manager::run(env, *job, jobs).await,
        Role::TaskManager { job_managers, slots, retry, connect_timeout } => {
            let config = TaskManagerConfig { slots, job_managers, retry, connect_timeout };
            task_manager::run(env, config, jobs, &user_code).await
        }
    }
}
