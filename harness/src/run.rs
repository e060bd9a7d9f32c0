//! Runs a plan in the simulator: one fresh thread, one fresh world, everything that happened as plain data.
//!
//! Start at [`run`]. The thread builds the simulated cluster, hands the world an observer (recorder and nemesis in one), lets
//! virtual time pass until the job ends or the plan's time limit, kills all nodes, and returns an [`Outcome`]. A real-time
//! watchdog around it turns a loop without an end into [`End::NoYield`]. Nothing is judged here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{Manifest, StatePlace, checkpoint_at};
use flowquake_engine::config::BackendKind;
use flowquake_engine::connectors::file_sink::parse_part_name;
use flowquake_engine::env::sim::{
    CostModel, LinkConfig, NetworkTotals, Observer, SimConfig, SimWorld, StoreConfig, StoreMutation, now, sleep_until,
};
use flowquake_engine::env::{Address, First, InputFiles, Lines, StoreKind, first_of_2};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::ids::{CheckpointId, SubtaskId};
use flowquake_engine::jobmanager;
use flowquake_engine::mutation::Mutation;
use flowquake_engine::taskmanager::{self, TaskManagerConfig};
use flowquake_engine::time::Time;
use tokio::sync::Notify;

use crate::jobs::{Jobs, UserCode};
use crate::nemesis::{Nemesis, Strike};
use crate::plan::{InputSource, RunPlan};
use crate::trace::Trace;

/// The JobManager's node.
pub const JOB_MANAGER: &str = "jm-1";
/// Pause between a TaskManager's attempts to register (Flink: `cluster.registration.initial-timeout`).
const REGISTRATION_RETRY: Duration = Duration::from_millis(100);
/// Real time after which a run that has not returned hangs without yielding.
const WATCHDOG: Duration = Duration::from_secs(600);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The job finished.
    Finished,
    /// The job failed for good.
    Failed(String),
    /// Neither, within the plan's time limit.
    TimeLimit,
    /// Something in the program under test panicked.
    Panicked(String),
    /// Something loops without ever yielding.
    NoYield,
}

/// A completed checkpoint as it was when its manifest became durable.
#[derive(Clone)]
pub struct Sealed {
    /// When.
    pub at: Time,
    /// The manifest.
    pub manifest: Manifest,
    /// Contents of the state files that it names in the store, by path.
    pub files: BTreeMap<String, Bytes>,
}

/// A piece of output that became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// When.
    pub at: Time,
    /// Its visible name.
    pub name: String,
    /// Whose.
    pub subtask: SubtaskId,
    /// Which transaction.
    pub epoch: CheckpointId,
    /// Contents.
    pub bytes: Bytes,
}

/// Everything that happened in a run.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended_at: Time,
    /// Every event.
    pub trace: Trace,
    /// What became of the plan's faults.
    pub strikes: Vec<Strike>,
    /// Checkpoints whose manifest became durable.
    pub sealed: BTreeMap<CheckpointId, Sealed>,
    /// Output in the order in which it became visible.
    pub visible: Vec<Part>,
    /// Visible output that was changed or taken away, in words.
    pub retracted: Vec<String>,
    /// Lives of the nodes: name, from, to.
    pub lives: Vec<(String, Time, Time)>,
    /// Messages delivered.
    pub network: NetworkTotals,
    /// Calls of dead incarnations that were made inert.
    pub late_effects: u64,
    /// Processor time of the run's thread.
    pub cpu: Duration,
    /// Real time.
    pub wall: Duration,
}

/// The job of a plan as the engine knows it.
pub fn job_spec(plan: &RunPlan) -> JobSpec {
    let input = &plan.job.input;
    let kind = match &input.source {
        InputSource::File { path, repeat } => {
            InputKind::File { path: path.to_string_lossy().into_owned(), repeat: *repeat }
        }
        InputSource::Generator { name, records } => {
            InputKind::Generator { name: name.clone(), records: *records, seed: plan.seed }
        }
    };
    let input = InputSpec { kind, splits: input.splits, period_fs: InputSpec::period_of(input.rate) };
    JobSpec { program: plan.job.name.clone(), params: plan.job.params.clone(), input, config: plan.job.config.clone() }
}

/// Runs a plan; `mutations` are planted bugs.
pub fn run(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation]) -> Outcome {
    let user_code = UserCode::default();
    let state = Arc::new(Mutex::new(Recorder::new(plan, user_code)));
    let (done, finished) = mpsc::channel();
    let run = Run { plan: plan.clone(), jobs: jobs.clone(), mutations: mutations.to_vec(), recorder: state.clone() };
    let name = format!("run {} seed {}", plan.scenario, plan.seed);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        #[allow(clippy::disallowed_methods, reason = "what the run itself costs is real time")]
        let started = (std::time::Instant::now(), thread_cpu());
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.simulate()));
        let spent = (started.0.elapsed(), thread_cpu().saturating_sub(started.1));
        // Nobody listens any more if the watchdog was faster.
        let _ = done.send((result, spent));
    });
    let (end, spent) = match thread.map(|_| finished.recv_timeout(WATCHDOG)) {
        Ok(Ok((Ok(()), spent))) => (None, spent),
        Ok(Ok((Err(panic), spent))) => (Some(End::Panicked(panic_text(&*panic))), spent),
        Ok(Err(_)) => (Some(End::NoYield), (WATCHDOG, WATCHDOG)),
        Err(error) => (Some(End::Panicked(format!("no thread for the run: {error}"))), Default::default()),
    };
    let mut recorder = match state.lock() {
        Ok(recorder) => recorder,
        // The run panicked while it was recorded: what was recorded until then is still true.
        Err(poisoned) => poisoned.into_inner(),
    };
    recorder.take_outcome(end, spent)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panic".into())
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

struct Run {
    plan: RunPlan,
    jobs: Jobs,
    mutations: Vec<Mutation>,
    recorder: Arc<Mutex<Recorder>>,
}

impl Run {
    fn simulate(self) {
        let plan = &self.plan;
        let local = (plan.job.config.backend == BackendKind::RocksDb).then(local_root);
        let cluster = &plan.cluster;
        let config = SimConfig {
            seed: plan.seed,
            link: LinkConfig {
                latency: cluster.latency,
                bandwidth: cluster.bandwidth,
                send_buffer: cluster.send_buffer,
            },
            store: StoreConfig { latency: cluster.store_latency, throughput: cluster.store_throughput },
            cost: CostModel::named(&cluster.cost_profile).unwrap_or_else(CostModel::builtin),
            cores: cluster.cores,
            local_root: local.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default(),
            mutations: self.mutations.clone(),
        };
        let runtime = madsim::runtime::Runtime::with_seed_and_config(plan.scheduling_seed, madsim::Config::default());
        SimWorld::install(&runtime, config);
        runtime.block_on(self.drive());
    }

    async fn drive(&self) {
        let plan = &self.plan;
        let world = SimWorld::current();
        let spec = job_spec(plan);
        if let InputKind::File { path, .. } = &spec.input.kind {
            world.add_input(path.clone(), shared_lines(path));
        }
        let changed = Arc::new(Notify::new());
        world.observe(Box::new(Watch { recorder: self.recorder.clone(), changed: changed.clone() }));

        let builder = self.jobs.builder();
        let (job, jobs) = (spec.clone(), builder.clone());
        self.life(JOB_MANAGER);
        let main = move |env| {
            let (job, jobs) = (job.clone(), jobs.clone());
            Box::pin(async move {
                if let Err(error) = jobmanager::run(env, job, jobs, |_| {}).await {
                    panic!("the JobManager cannot start: {error}");
                }
            }) as _
        };
        world.add_node(JOB_MANAGER, Arc::new(main));
        for index in 1..=plan.cluster.task_managers {
            let name = format!("tm-{index}");
            let config = TaskManagerConfig {
                slots: plan.cluster.slots,
                job_manager: Address(format!("{JOB_MANAGER}:control")),
                retry: REGISTRATION_RETRY,
                connect_timeout: plan.job.config.connect_timeout,
            };
            let jobs = builder.clone();
            self.life(&name);
            let main = move |env| {
                let (config, jobs) = (config.clone(), jobs.clone());
                Box::pin(async move {
                    if let Err(error) = taskmanager::run(env, config, jobs).await {
                        panic!("a TaskManager cannot start: {error}");
                    }
                }) as _
            };
            world.add_node(&name, Arc::new(main));
        }

        let limit = Time::ZERO + plan.time_limit;
        loop {
            let next = {
                let recorder = self.recorder.lock().expect("the recorder does not panic");
                if recorder.end.is_some() {
                    break;
                }
                recorder.nemesis.next_time().unwrap_or(Time::NEVER).min(limit)
            };
            if let First::B(()) = first_of_2(changed.notified(), sleep_until(next)).await {
                let now = now();
                let mut recorder = self.recorder.lock().expect("the recorder does not panic");
                recorder.on_time(&world, now);
                if now >= limit && recorder.end.is_none() {
                    recorder.end = Some((End::TimeLimit, now));
                }
            }
        }
        let now = now();
        {
            let mut recorder = self.recorder.lock().expect("the recorder does not panic");
            recorder.nemesis.finish(&*world, now);
            recorder.network = world.network_totals();
            recorder.close_lives(now);
        }
        // Tasks that are alive when the runtime goes would leak with all they own: kill them, and let them be dropped.
        world.take_observer();
        let nodes = (1..=plan.cluster.task_managers).map(|index| format!("tm-{index}"));
        for node in nodes.chain([JOB_MANAGER.to_owned()]) {
            world.kill(&node, flowquake_engine::env::sim::Death::Crash);
        }
        sleep_until(now + Duration::from_millis(1)).await;
        self.recorder.lock().expect("the recorder does not panic").late_effects = world.late_effects();
    }

    fn life(&self, node: &str) {
        let mut recorder = self.recorder.lock().expect("the recorder does not panic");
        recorder.lives.push((node.into(), now(), Time::NEVER));
    }
}

/// Local disks: in memory where the system has such a folder.
fn local_root() -> tempfile::TempDir {
    let builder = || tempfile::Builder::new().prefix("flowquake-").to_owned();
    builder().tempdir_in("/dev/shm").or_else(|_| builder().tempdir()).expect("a folder for local disks can be made")
}

/// Every run of the process shares one copy of an input file.
fn shared_lines(path: &str) -> Arc<Lines> {
    static FILES: std::sync::OnceLock<InputFiles> = std::sync::OnceLock::new();
    let files = FILES.get_or_init(InputFiles::default);
    files.lines(path).expect("the file was checked before the plan was made")
}

/// What the world tells, written down; with the nemesis, who acts on it.
struct Recorder {
    nemesis: Nemesis,
    trace: Trace,
    /// State files in the store, as they were written.
    uploaded: BTreeMap<String, Bytes>,
    sealed: BTreeMap<CheckpointId, Sealed>,
    visible: Vec<Part>,
    retracted: Vec<String>,
    lives: Vec<(String, Time, Time)>,
    end: Option<(End, Time)>,
    network: NetworkTotals,
    late_effects: u64,
}

impl Recorder {
    fn new(plan: &RunPlan, user_code: UserCode) -> Self {
        let cluster = &plan.cluster;
        let faults = plan.faults.clone();
        Self {
            nemesis: Nemesis::new(plan.seed, faults, cluster.job_managers, cluster.task_managers, user_code),
            trace: Trace::default(),
            uploaded: BTreeMap::new(),
            sealed: BTreeMap::new(),
            visible: Vec::new(),
            retracted: Vec::new(),
            lives: Vec::new(),
            end: None,
            network: NetworkTotals::default(),
            late_effects: 0,
        }
    }

    fn on_time(&mut self, world: &SimWorld, now: Time) {
        let alive = self.alive(world);
        self.nemesis.on_time(world, now);
        self.note_lives(world, now, alive);
    }

    fn alive(&self, world: &SimWorld) -> Vec<(String, bool)> {
        let mut names: Vec<_> = self.lives.iter().map(|(name, ..)| name.clone()).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| (name.clone(), world.is_alive(&name))).collect()
    }

    fn note_lives(&mut self, world: &SimWorld, now: Time, before: Vec<(String, bool)>) {
        for (name, was_alive) in before {
            match (was_alive, world.is_alive(&name)) {
                (true, false) => {
                    if let Some(life) = self.lives.iter_mut().rev().find(|(node, ..)| *node == name) {
                        life.2 = now;
                    }
                }
                (false, true) => self.lives.push((name, now, Time::NEVER)),
                _ => {}
            }
        }
    }

    fn close_lives(&mut self, now: Time) {
        self.lives.iter_mut().filter(|life| life.2 == Time::NEVER).for_each(|life| life.2 = now);
    }

    fn on_event(&mut self, world: &SimWorld, record: &EventRecord) {
        self.trace.push(record.clone());
        match &record.event {
            Event::JobFinished { .. } => self.end = Some((End::Finished, record.at)),
            Event::JobFailed { cause, .. } => self.end = Some((End::Failed(cause.clone()), record.at)),
            _ => {}
        }
        for index in self.nemesis.due(world, record) {
            let alive = self.alive(world);
            self.nemesis.strike(index, world, record);
            self.note_lives(world, record.at, alive);
        }
    }

    fn on_store(&mut self, world: &SimWorld, mutation: &StoreMutation) {
        let at = now();
        match mutation {
            StoreMutation::Put { kind: StoreKind::Checkpoints, path, bytes } => {
                self.trace.mix(path.as_bytes());
                let Some(id) = checkpoint_at(path) else {
                    self.uploaded.insert(path.clone(), bytes.clone());
                    return;
                };
                let Ok(manifest) = Manifest::decode(bytes, path) else { return };
                let stored = manifest.subtasks.values().flat_map(|state| &state.files);
                let paths = stored.filter_map(|file| match &file.place {
                    StatePlace::Stored(path) => Some(path.clone()),
                    StatePlace::Inline(_) => None,
                });
                // As they were written: what the nemesis did to them since is not the engine's doing.
                let read = |path: String| {
                    let bytes = self.uploaded.get(&path)?.clone();
                    Some((path, bytes))
                };
                let files = paths.filter_map(read).collect();
                self.sealed.insert(id, Sealed { at, manifest, files });
                self.nemesis.on_sealed(id);
            }
            StoreMutation::Put { kind: StoreKind::Output, path, bytes } => self.appeared(at, path, bytes),
            StoreMutation::Renamed { kind: StoreKind::Output, from, to } => {
                if parse_part_name(from).is_some() {
                    self.retracted.push(format!("{at}: {from} was renamed to {to}"));
                }
                if let Some(bytes) = world.stores().read(StoreKind::Output, to) {
                    self.appeared(at, to, &bytes);
                }
            }
            StoreMutation::Deleted { kind: StoreKind::Output, path } => {
                if parse_part_name(path).is_some() {
                    self.retracted.push(format!("{at}: {path} was deleted"));
                }
            }
            StoreMutation::Deleted { kind: StoreKind::Checkpoints, path } => {
                self.uploaded.remove(path);
                self.trace.mix(path.as_bytes());
            }
            StoreMutation::Renamed { kind: StoreKind::Checkpoints, from, .. } => self.trace.mix(from.as_bytes()),
        }
    }

    fn appeared(&mut self, at: Time, name: &str, bytes: &Bytes) {
        self.trace.mix(name.as_bytes());
        self.trace.mix(bytes);
        if let Some((subtask, epoch, _)) = parse_part_name(name) {
            if self.visible.iter().any(|part| part.name == name) {
                self.retracted.push(format!("{at}: {name} was written over"));
            }
            self.visible.push(Part { at, name: name.into(), subtask, epoch, bytes: bytes.clone() });
        }
    }

    fn take_outcome(&mut self, end: Option<End>, (wall, cpu): (Duration, Duration)) -> Outcome {
        let (own_end, ended_at) = self.end.take().unwrap_or_else(|| {
            let last = self.trace.events.last().map_or(Time::ZERO, |record| record.at);
            (End::TimeLimit, last)
        });
        let mut trace = std::mem::take(&mut self.trace);
        trace.mix(&self.network.digest.to_le_bytes());
        Outcome {
            end: end.unwrap_or(own_end),
            ended_at,
            trace,
            strikes: self.nemesis.strikes().to_vec(),
            sealed: std::mem::take(&mut self.sealed),
            visible: std::mem::take(&mut self.visible),
            retracted: std::mem::take(&mut self.retracted),
            lives: std::mem::take(&mut self.lives),
            network: self.network,
            late_effects: self.late_effects,
            cpu,
            wall,
        }
    }
}

/// The observer that the world calls.
struct Watch {
    recorder: Arc<Mutex<Recorder>>,
    changed: Arc<Notify>,
}

impl Observer for Watch {
    fn on_event(&mut self, world: &Arc<SimWorld>, record: &EventRecord) {
        let mut recorder = self.recorder.lock().expect("the recorder does not panic");
        let before = recorder.nemesis.next_time();
        recorder.on_event(world, record);
        if recorder.end.is_some() || recorder.nemesis.next_time() != before {
            self.changed.notify_one();
        }
    }

    fn on_store(&mut self, world: &Arc<SimWorld>, mutation: &StoreMutation) {
        self.recorder.lock().expect("the recorder does not panic").on_store(world, mutation);
    }
}

/// The folder for reports and failing plans.
pub fn report_folder() -> PathBuf {
    PathBuf::from("target").join("flowquake")
}
