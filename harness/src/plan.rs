//! A run plan: everything that a scenario and a seed decide, fixed before the run starts.
//!
//! A [`RunPlan`] can be printed, edited, saved and replayed; two runs of one plan give the same trace hash. Start at
//! [`RunPlan`]. The module `scenario` makes plans of scenario files, and `run` runs them.
//!
//! Invariants: (PLAN-P1) nothing is drawn after this point except from counter-based streams named by [`RunPlan::seed`] and
//! from the scheduler, seeded by [`RunPlan::scheduling_seed`] (and with all other timing anew by [`RunPlan::redraws`], if a plan
//! has some); so removing one fault leaves every other draw as it was;
//! (PLAN-P2) a plan that is run holds the prediction that follows from the rest of it, and from nothing else;
//! (PLAN-P3) a redraw leaves the events before it, their times and their order as they were.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use flowquake_engine::config::{JobConfig, RestartStrategy};
use flowquake_engine::env::sim::Rates;
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::time::readable;
use flowquake_reports::record::prediction::Prediction;
use flowquake_reports::units::counted;
use serde::{Deserialize, Serialize};

use crate::units;

mod fault;

pub use fault::*;

/// Version of the plan format. Plans of any other version are refused.
pub const PLAN_VERSION: u32 = 5;

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPlan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Why the scenario exists.
    pub why: String,
    /// The scenario file's path, as it was given.
    pub file: String,
    /// Names every stream of random draws except the scheduler's.
    pub seed: u64,
    /// Seed of the simulator's scheduler, which draws the order of runnable tasks and 50 to 100 ns for every poll.
    pub scheduling_seed: u64,
    /// Where all timing is drawn anew in the middle of the run. Unlike another [`RunPlan::scheduling_seed`], a redraw
    /// leaves everything before it as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Redraw>,
    /// The job.
    pub job: JobPlan,
    /// The cluster that the job runs on.
    pub cluster: ClusterPlan,
    /// What the cluster is brought up on.
    #[serde(default, skip_serializing_if = "TargetPlan::is_sim")]
    pub target: TargetPlan,
    /// The faults, in the order of the file.
    pub faults: Vec<FaultPlan>,
    /// Whether the faults were drawn from the seed. Then not every fault has to strike: one is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swarm: bool,
    /// Start of the liveness phase: from this virtual time on no fault strikes, and every fault in force ends. `None`:
    /// each fault ends by itself, or never.
    #[serde(with = "readable::option", default, skip_serializing_if = "Option::is_none")]
    pub heal_at: Option<Duration>,
    /// What must hold at the end.
    pub expect: Expectations,
    /// The run is stopped, and judged stuck, at this virtual time.
    #[serde(with = "readable")]
    pub time_limit: Duration,
    /// Settings that were drawn or defaulted instead of written, shown to the reader of a failure.
    pub options: Vec<(String, String)>,
    /// What the run should take, predicted before the run from the rest of this plan ([`crate::predict::foresee`]). The
    /// prediction decides nothing in the run. After a plan was edited, the prediction must be made again (PLAN-P2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
}

/// What a plan is run on. Settings that only one target has belong to that target's variant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TargetPlan {
    /// The simulator: virtual time, every fault, and the same run each time
    #[default]
    Sim,
    /// This engine as processes of this machine, struck with signals in real time
    Process,
    /// An Apache Flink of this machine, unmodified (--flink-home, or FLINK_HOME)
    Flink,
}

impl TargetPlan {
    /// Whether this is the simulator, which plans leave out because it is the default.
    pub fn is_sim(&self) -> bool {
        *self == Self::Sim
    }

    /// The target's name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Process => "process",
            Self::Flink => "flink",
        }
    }
}

/// From here on all timing is drawn anew: the order of runnable tasks, the time of each poll, and the latencies of
/// network and stores. Draws of the engine, the job and the faults stay as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redraw {
    /// How many events of the run come before the redraw; 0 redraws the whole run.
    pub after_events: u64,
    /// Names the draws after the redraw.
    pub seed: u64,
}

/// A registered job with its parameters, input and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPlan {
    /// Name in the registry.
    pub name: String,
    /// Parameters by name, as text; the job parses and checks them.
    pub params: BTreeMap<String, String>,
    /// What the job reads.
    pub input: InputPlan,
    /// Settings of the engine.
    pub config: JobConfig,
}

/// What the sources read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPlan {
    /// Lines of a file or generated records.
    pub source: InputSource,
    /// Parts of the input; each is read in order by one subtask. With fewer splits than the parallelism, some sources
    /// are idle.
    pub splits: u32,
    /// Arrival rate of the whole input in records per second: record `i` is available from `t0 + i/rate` on, however
    /// often it is replayed. `None`: all records are available at once.
    pub rate: Option<f64>,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InputSource {
    /// Lines of a text file, the whole file `repeat` times over.
    File {
        /// Resolved path.
        path: PathBuf,
        /// How often the file is read; at least 1.
        repeat: u32,
    },
    /// Records made from a seed.
    Generator {
        /// Name of the generator.
        name: String,
        /// How many records.
        records: u64,
    },
}

/// The nodes, and what connects them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPlan {
    /// `jm-1` to `jm-N`; one leads, the others stand by.
    pub job_managers: u32,
    /// `tm-1` to `tm-N`.
    pub task_managers: u32,
    /// Slots of each TaskManager.
    pub slots: u16,
    /// Processor cores of each node; charged work queues for them.
    pub cores: u32,
    /// One-way latency of every link, drawn uniformly from this range for each message.
    #[serde(with = "readable::range")]
    pub latency: (Duration, Duration),
    /// Bandwidth of every link, in bytes per second and direction.
    pub bandwidth: u64,
    /// Bytes that can be in flight on a connection before its writer blocks.
    pub send_buffer: u64,
    /// Object store: latency per request, drawn uniformly from this range.
    #[serde(with = "readable::range")]
    pub store_latency: (Duration, Duration),
    /// Object store: how many transfers one node can have in progress at once, each at full throughput.
    pub store_streams: u32,
    /// Object store: bytes per second of a transfer from one node.
    pub store_throughput: u64,
    /// Object store: bytes per second of a transfer to one node.
    pub store_read_throughput: u64,
    /// Name of the cost profile that the prices and the speeds of network and store were taken from.
    pub cost_profile: String,
    /// Prices of work.
    pub rates: Rates,
    /// How many records each simulated record stands for, in price, transfer and output.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub record_weight: u64,
    /// How many bytes each simulated byte of keyed state stands for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub state_weight: u64,
}

fn one() -> u64 {
    1
}

fn is_one(weight: &u64) -> bool {
    *weight == 1
}

/// What must hold for the verdict `passed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// How the job must end.
    pub job: ExpectedEnd,
    /// The committed output is exactly-once. This is always judged; `false` is refused unless a planted bug is under
    /// test.
    pub exactly_once: bool,
    /// Longest allowed time from the end of the last fault to the end of the job, in virtual time.
    #[serde(with = "readable::option")]
    pub recovers_within: Option<Duration>,
    /// Exactly this many failovers.
    pub failovers: Option<u32>,
    /// Whether the job must fall back to an older checkpoint.
    pub falls_back: Option<bool>,
    /// At least this many checkpoints are aborted.
    pub aborted_checkpoints_min: Option<u32>,
    /// How long things may take.
    #[serde(default, skip_serializing_if = "TimingBounds::is_empty")]
    pub timing: TimingBounds,
}

/// Bounds on measured times. Each time must stay below its bound, and must have been measured at least once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingBounds {
    /// Median time from trigger to completion.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_p50: Option<Duration>,
    /// Time from trigger to completion that 99 of 100 checkpoints do not exceed.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_p99: Option<Duration>,
    /// Longest time from trigger to completion.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_max: Option<Duration>,
    /// Longest time from a failure to the first record that is processed again.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub outage_max: Option<Duration>,
    /// Longest time from a failure until the job has caught up.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub recovery_max: Option<Duration>,
    /// Longest time from a record's arrival to the last commit of the checkpoint that covers the record.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub lateness_max: Option<Duration>,
    /// Some subtask is back-pressured for at least this share, in thousandths, of the time between two of its
    /// snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backpressure_min_permille: Option<u32>,
    /// The measured recovery differs from the prediction by at most this share, in thousandths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_prediction_permille: Option<u32>,
}

impl TimingBounds {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a job must end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedEnd {
    /// All input processed and committed.
    Finished,
    /// Failed for good, with a reason that contains this text.
    Failed(String),
    /// Finished; or, if a fault struck that can spoil checkpoints (`faults::spoils_checkpoints`), failed for good with
    /// a reason that contains this text.
    FinishedOrFailed(String),
}

/// The plan's job in the form that the engine takes.
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

/// A restart strategy with its settings, in words. `delay` is the delay of those strategies that have a fixed one.
pub fn describe_restarts(strategy: &RestartStrategy, delay: Duration) -> String {
    let name = strategy.name();
    match strategy {
        RestartStrategy::None => name.to_owned(),
        RestartStrategy::FixedDelay => format!("{name}, {}", units::format_duration(delay)),
        RestartStrategy::FailureRate(rate) => {
            let [interval, delay] = [rate.failure_rate_interval, delay].map(units::format_duration);
            let failures = counted(rate.max_failures_per_interval as usize, "failure");
            format!("{name}, {delay} each, up to {failures} per {interval}")
        }
        RestartStrategy::ExponentialDelay(delay) => {
            let [initial, most, threshold] =
                [delay.initial_backoff, delay.max_backoff, delay.reset_backoff_threshold].map(units::format_duration);
            let (multiplier, jitter) = (delay.backoff_multiplier, delay.jitter_factor);
            let limit =
                delay.attempts_before_reset_backoff.map_or_else(String::new, |n| format!(", {n} attempts before that"));
            format!("{name}, {initial} to {most} times {multiplier}, jitter {jitter}, reset after {threshold}{limit}")
        }
    }
}
