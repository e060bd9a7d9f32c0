//! The simulator as a target: each run has a fresh thread and a fresh world, and returns what happened as plain data.
//!
//! Start at [`Simulator`], the target, or at [`run`]. The thread builds the simulated cluster, gives the world an
//! observer that passes everything on to the director, and lets virtual time pass until the job ends or the plan's time
//! limit is reached. Then it kills all nodes and returns an [`Outcome`]. A watchdog outside of the thread turns an
//! endless loop into [`End::NoYield`]. Nothing is judged here.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::contents::EngineContents;
use flowquake_engine::env::sim::{
    LinkConfig, Observer, SimConfig, SimWorld, StoreConfig, StoreMutation, Weights, now, sleep_until,
};
use flowquake_engine::env::{Address, Env, First, InputFiles, Lines, first_of_2};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::InputKind;
use flowquake_engine::jobmanager::{self, RunError};
use flowquake_engine::mutation::{Asked, Mutation};
use flowquake_engine::taskmanager::{self, TaskManagerConfig};
use tokio::sync::Notify;

use self::watchdog::Watched;
use crate::director::Director;
use crate::environment::{self, Environment, needs_disk};
use crate::exit_guard;
use crate::jobs::Jobs;
use crate::local_disks;
use crate::outcome::{End, Outcome, StoreCopy};
use crate::plan::{Redraw, RunPlan, job_spec};
use crate::target::{Offers, Target};

mod panics;
mod watchdog;
pub(crate) use self::panics::expect_panics;
pub use self::watchdog::limit_processor_time;

/// Names of the JobManagers' nodes.
pub fn job_managers(plan: &RunPlan) -> impl Iterator<Item = String> {
    (1..=plan.cluster.job_managers).map(|index| format!("jm-{index}"))
}

/// Names of the TaskManagers' nodes.
pub fn task_managers(plan: &RunPlan) -> impl Iterator<Item = String> {
    (1..=plan.cluster.task_managers).map(|index| format!("tm-{index}"))
}
/// Pause between a TaskManager's attempts to register (Flink: `cluster.registration.initial-timeout`).
const REGISTRATION_RETRY: Duration = Duration::from_millis(100);

/// The simulator: a cluster of this engine in one thread, in virtual time.
#[derive(Debug, Clone, Default)]
pub struct Simulator {
    /// Planted bugs of the engine.
    pub mutations: Vec<Mutation>,
    /// Whether the outcome lists messages and writes.
    traffic: bool,
    asked: Arc<Asked>,
}

impl Simulator {
    /// A simulator whose engine has these bugs planted.
    pub fn with(mutations: &[Mutation]) -> Self {
        Self { mutations: mutations.to_vec(), ..Self::default() }
    }

    /// A simulator whose outcomes list messages and writes, if `traffic`.
    pub fn noting(self, traffic: bool) -> Self {
        Self { traffic, ..self }
    }

    /// What the engine has asked about planted bugs in the runs so far.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl Target for Simulator {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn offers(&self, _: &RunPlan) -> Offers {
        Offers::everything()
    }

    fn run(
        &self,
        plan: &RunPlan,
        jobs: &Jobs,
        from: Option<&StoreCopy>,
        director: Director,
    ) -> Result<Outcome, Environment> {
        start(plan, jobs, self, from.cloned(), director)
    }
}

/// Runs a plan in the simulator; `mutations` are planted bugs.
///
/// # Panics
/// If the machine cannot carry out the run, or if bugs are planted in a build without the feature `mutations`.
pub fn run(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation]) -> Outcome {
    run_with_copies(plan, jobs, mutations, 0)
}

/// Runs a plan and records neither events nor stores, only how the run ended and what it cost. The difference to a
/// recorded run is the cost of recording. The outcome cannot be judged.
///
/// # Panics
/// As [`run`].
pub fn run_unrecorded(plan: &RunPlan, jobs: &Jobs) -> Outcome {
    kept(start(plan, jobs, &Simulator::default(), None, Director::forgetful(plan)))
}

/// Runs a plan and keeps at most `copies` copies of the stores, taken at completed checkpoints that are drawn from the
/// plan's seed.
///
/// # Panics
/// As [`run`].
pub fn run_with_copies(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation], copies: usize) -> Outcome {
    kept(start(plan, jobs, &Simulator::with(mutations), None, Director::new(plan, copies)))
}

/// Runs a plan on stores that already hold a copy: a new cluster comes up at the instant of the copy and goes on from
/// there. The time limit counts from that instant.
///
/// # Panics
/// As [`run`].
pub fn run_from(plan: &RunPlan, jobs: &Jobs, mutations: &[Mutation], copy: &StoreCopy) -> Outcome {
    kept(start(plan, jobs, &Simulator::with(mutations), Some(copy.clone()), Director::new(plan, 0)))
}

fn kept(run: Result<Outcome, Environment>) -> Outcome {
    run.unwrap_or_else(|broken| panic!("the environment: {broken}\n  help: {}", broken.remedy))
}

fn start(
    plan: &RunPlan,
    jobs: &Jobs,
    simulator: &Simulator,
    from: Option<StoreCopy>,
    director: Director,
) -> Result<Outcome, Environment> {
    assert!(
        simulator.mutations.is_empty() || cfg!(feature = "mutations"),
        "bugs can be planted only with the feature `mutations`"
    );
    let local = needs_disk(plan).then(local_disks::root).transpose()?;
    let state = Arc::new(Mutex::new(director));
    let (told, tells) = mpsc::channel();
    let (plan, jobs) = (plan.clone(), jobs.clone());
    let events = Arc::new(AtomicU64::new(0));
    let run =
        Run { plan, jobs, simulator: simulator.clone(), from, local, director: state.clone(), events: events.clone() };
    let name = format!("run {} seed {}", run.plan.scenario, run.plan.seed);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let _ = told.send(Told::Begun(watchdog::this_thread()));
        #[allow(clippy::disallowed_methods, reason = "what the run itself costs is real time")]
        let started = (std::time::Instant::now(), thread_cpu());
        let what = format!("the run of scenario `{}` with seed {}", run.plan.scenario, run.plan.seed);
        let run = std::panic::AssertUnwindSafe(|| {
            let _entered = exit_guard::enter(what);
            run.simulate();
        });
        let result = panics::within_run(|| std::panic::catch_unwind(run));
        let spent = (started.0.elapsed(), thread_cpu().saturating_sub(started.1));
        // The receiver is gone if the watchdog has given the run up before.
        let _ = told.send(Told::Ended(result.map_err(|panic| panic_text(&*panic)), spent));
    });
    if let Err(error) = thread {
        let environment = Environment::new(
            format!("the system gives no thread for a run: {error}"),
            "take fewer runs at the same time (--jobs), or raise the limit on processes (`ulimit -u`)",
        );
        return Err(environment);
    }
    let (end, spent) = wait(&tells, events);
    let abandoned = matches!(end, Some(End::NoYield(_)));
    let mut director = match state.try_lock() {
        Ok(director) => director,
        // The run panicked while it was being recorded. What was recorded before that is still true.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // The run loops inside the recorder and holds the lock, so what was recorded cannot be read.
        Err(TryLockError::WouldBlock) => {
            return Ok(Outcome { end: end.unwrap_or(End::TimeLimit), abandoned, ..Outcome::nothing() });
        }
    };
    let outcome = director.take_outcome();
    let (wall, cpu) = spent;
    Ok(Outcome { abandoned, end: end.unwrap_or(outcome.end), wall, cpu, ..outcome })
}

/// What the thread of a run reports.
enum Told {
    /// The thread's id in the operating system.
    Begun(i32),
    /// The run has ended or panicked (with this text), and took this much real time and processor time.
    Ended(Result<(), String>, (Duration, Duration)),
}

/// Waits until the run ends or the watchdog gives it up.
fn wait(tells: &mpsc::Receiver<Told>, events: Arc<AtomicU64>) -> (Option<End>, (Duration, Duration)) {
    let mut watched = None;
    loop {
        match tells.recv_timeout(watchdog::EVERY) {
            Ok(Told::Begun(thread)) => watched = Some(Watched::new(thread, events.clone())),
            Ok(Told::Ended(Ok(()), spent)) => return (None, spent),
            Ok(Told::Ended(Err(panic), spent)) => return (Some(End::Panicked(panic)), spent),
            Err(RecvTimeoutError::Disconnected) => {
                return (Some(End::Panicked("the run's thread ended without a word".into())), Default::default());
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(why) = watched.as_mut().and_then(Watched::look) {
                    let spent = watched.as_ref().map_or(Duration::ZERO, Watched::processor_time);
                    watched.iter().for_each(|watched| exit_guard::give_up(watched.thread()));
                    return (Some(End::NoYield(why)), (spent, spent));
                }
            }
        }
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
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
    simulator: Simulator,
    /// What the stores already hold when the run begins.
    from: Option<StoreCopy>,
    /// The folder of local disks, if the plan needs any; removed with the run.
    local: Option<tempfile::TempDir>,
    director: Arc<Mutex<Director>>,
    /// Counts events, for the watchdog.
    events: Arc<AtomicU64>,
}

impl Run {
    fn simulate(self) {
        let plan = &self.plan;
        let cluster = &plan.cluster;
        let config = SimConfig {
            seed: plan.seed,
            link: LinkConfig {
                latency: cluster.latency,
                bandwidth: cluster.bandwidth,
                send_buffer: cluster.send_buffer,
            },
            store: StoreConfig {
                latency: cluster.store_latency,
                streams: cluster.store_streams,
                write_throughput: cluster.store_throughput,
                read_throughput: cluster.store_read_throughput,
            },
            rates: cluster.rates.clone(),
            weights: Weights {
                records: cluster.record_weight,
                state: cluster.state_weight,
                inline_state: plan.job.config.backend == BackendKind::Memory,
            },
            cores: cluster.cores,
            contents: &EngineContents,
            local_root: self.local.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default(),
        };
        let runtime = madsim::runtime::Runtime::with_seed_and_config(plan.scheduling_seed, madsim::Config::default());
        let _installed = SimWorld::install(&runtime, config);
        runtime.block_on(self.drive());
    }

    async fn drive(&self) {
        let plan = &self.plan;
        let world = SimWorld::current();
        #[cfg(feature = "mutations")]
        world.plant(&self.simulator.mutations, &self.simulator.asked);
        if self.simulator.traffic {
            world.log_traffic();
        }
        let spec = job_spec(plan);
        if let InputKind::File { path, .. } = &spec.input.kind {
            world.add_input(path.clone(), shared_lines(path));
        }
        if let Some(copy) = &self.from {
            copy.written.fill(world.stores());
            self.director.lock().expect("the director does not panic").begin_with(copy);
            // Nothing lives yet, so only the clock moves.
            sleep_until(copy.at).await;
        }
        self.director.lock().expect("the director does not panic").begin(now());
        redraw(&world, &plan.redraws, 0);
        let changed = Arc::new(Notify::new());
        world.observe(Box::new(Watch {
            director: self.director.clone(),
            changed: changed.clone(),
            events: self.events.clone(),
            keeps_files: self.local.is_some(),
            redraws: plan.redraws.clone(),
        }));

        let user_code = self.director.lock().expect("the director does not panic").user_code().clone();
        for name in job_managers(plan) {
            let (job, jobs) = (spec.clone(), self.jobs.builder_for(&name, &user_code));
            self.life(&name);
            let main = move |env: Env| {
                let (job, jobs) = (job.clone(), jobs.clone());
                Box::pin(async move {
                    match jobmanager::run(env.clone(), job, jobs, |_| {}).await {
                        // The process ends, as a real one would. If the job cannot go on, the oracles say so.
                        Err(RunError::Environment(error)) => env.warn(format_args!("the JobManager ends: {error}")),
                        // A failed job is no error of the run: the engine has reported it by its event.
                        Ok(_) | Err(RunError::OtherVersion(_)) => {}
                        Err(error) => panic!("the JobManager cannot start: {error}"),
                    }
                }) as _
            };
            world.add_node(&name, Arc::new(main));
        }
        for name in task_managers(plan) {
            let config = TaskManagerConfig {
                slots: plan.cluster.slots,
                job_managers: job_managers(plan).map(|name| Address(format!("{name}:control"))).collect(),
                retry: REGISTRATION_RETRY,
                connect_timeout: plan.job.config.connect_timeout,
            };
            let jobs = self.jobs.builder_for(&name, &user_code);
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

        loop {
            let next = {
                let director = self.director.lock().expect("the director does not panic");
                if director.end().is_some() {
                    break;
                }
                director.next_time()
            };
            if let First::B(()) = first_of_2(changed.notified(), sleep_until(next)).await {
                self.director.lock().expect("the director does not panic").on_time(&*world, now());
            }
        }
        let now = now();
        self.director.lock().expect("the director does not panic").close(&*world, now);
        // Tasks that are alive when the runtime is dropped would leak with all they own. So kill their nodes first, and
        // let the tasks be dropped.
        world.take_observer();
        for node in task_managers(plan).chain(job_managers(plan)) {
            world.kill(&node, flowquake_engine::fault::Death::Crash);
        }
        sleep_until(now + Duration::from_millis(1)).await;
        let mut director = self.director.lock().expect("the director does not panic");
        director.note_late_effects(world.late_effects());
        if self.simulator.traffic {
            director.note_traffic(world.take_traffic());
        }
    }

    fn life(&self, node: &str) {
        self.director.lock().expect("the director does not panic").begin_life(node, now());
    }
}

/// All runs of the process share one copy of an input file.
fn shared_lines(path: &str) -> Arc<Lines> {
    static FILES: std::sync::OnceLock<InputFiles> = std::sync::OnceLock::new();
    let files = FILES.get_or_init(InputFiles::default);
    files.lines(path).expect("the file was checked before the plan was made")
}

/// Draws all timing anew if a redraw is due after this many events.
fn redraw(world: &SimWorld, redraws: &[Redraw], emitted: u64) {
    for redraw in redraws.iter().filter(|redraw| redraw.after_events == emitted) {
        world.redraw_timing(redraw.seed);
    }
}

/// The observer that the world calls.
struct Watch {
    director: Arc<Mutex<Director>>,
    changed: Arc<Notify>,
    events: Arc<AtomicU64>,
    /// Whether state lies in real files, which can fail for a reason of the machine.
    keeps_files: bool,
    /// When all timing is drawn anew.
    redraws: Vec<Redraw>,
}

impl Observer for Watch {
    fn on_event(&mut self, world: &Arc<SimWorld>, record: &EventRecord) {
        let emitted = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        redraw(world, &self.redraws, emitted);
        let mut director = self.director.lock().expect("the director does not panic");
        let changed = director.on_event(&**world, record);
        // On a full disk the job would restart again and again, which proves nothing and never ends. So the run ends
        // here.
        if self.keeps_files
            && let Event::TaskFailed { cause, .. } = &record.event
            && let Some(broken) = environment::told_in(cause)
        {
            director.end_with(End::Failed(broken.what), record.at);
        }
        if changed || director.end().is_some() {
            self.changed.notify_one();
        }
    }

    fn on_store(&mut self, world: &Arc<SimWorld>, mutation: &StoreMutation) {
        self.director.lock().expect("the director does not panic").on_store(&**world, now(), mutation);
    }
}

/// The folder for reports.
pub fn report_folder() -> PathBuf {
    PathBuf::from("target").join("flowquake")
}

#[cfg(test)]
mod tests;
