//! A run, resolved to data: what a scenario and a seed become before anything happens.
//!
//! A [`RunPlan`] can be printed, edited, saved and replayed; two runs of one plan give the same trace hash. Start at
//! [`RunPlan`]; scenario files become plans in `scenario`, runs are made of plans in `run`.
//!
//! Invariants: (P1) nothing is drawn after this point except from counter-based streams named by [`RunPlan::seed`] and
//! from the scheduler, seeded by [`RunPlan::scheduling_seed`]; so removing one fault leaves every other draw as it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use flowquake_engine::config::JobConfig;
use flowquake_engine::time::readable;
use serde::{Deserialize, Serialize};

/// Version of the plan format; another one is refused.
pub const PLAN_VERSION: u32 = 1;

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
    /// The scenario file, as it was given.
    pub file: String,
    /// Names every stream of draws but the scheduler's.
    pub seed: u64,
    /// Seed of the simulator's scheduler: the order of runnable tasks and 50 to 100 ns at every poll.
    pub scheduling_seed: u64,
    /// The job.
    pub job: JobPlan,
    /// The cluster it runs on.
    pub cluster: ClusterPlan,
    /// What goes wrong, in the order of the file.
    pub faults: Vec<FaultPlan>,
    /// What must hold at the end.
    pub expect: Expectations,
    /// The run is stopped, and judged stuck, at this virtual time.
    #[serde(with = "readable")]
    pub time_limit: Duration,
    /// What was drawn or defaulted rather than written, for the reader of a failure.
    pub options: Vec<(String, String)>,
}

/// A registered job with its parameters, input and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPlan {
    /// Name in the registry.
    pub name: String,
    /// Parameters by name, as text; the job parses and checks them.
    pub params: BTreeMap<String, String>,
    /// What it reads.
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
    /// Parts that are read in order, each by one subtask; at least the parallelism makes all sources busy.
    pub splits: u32,
    /// Arrival rate of the whole input in records per second: record `i` is there from `t0 + i/rate`, however often it is
    /// replayed. `None`: everything is there at once.
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

/// Nodes and what connects them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPlan {
    /// `tm-1` to `tm-N`.
    pub task_managers: u32,
    /// Slots of each TaskManager.
    pub slots: u16,
    /// Processor cores of each node; charged work queues for them.
    pub cores: u32,
    /// Every link's one-way latency, drawn uniformly per message from this range.
    #[serde(with = "readable::range")]
    pub latency: (Duration, Duration),
    /// Every link's bandwidth in bytes per second and direction.
    pub bandwidth: u64,
    /// Bytes that a connection holds on their way before its writer blocks.
    pub send_buffer: u64,
    /// Object store: latency per request, drawn uniformly from this range.
    #[serde(with = "readable::range")]
    pub store_latency: (Duration, Duration),
    /// Object store: throughput per node in bytes per second.
    pub store_throughput: u64,
    /// Name of the cost profile.
    pub cost_profile: String,
}

/// One fault: when, what, to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Position in the plan, from 1.
    pub id: u32,
    /// When it strikes.
    pub trigger: Trigger,
    /// What it does.
    pub action: FaultAction,
}

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trigger {
    /// At a virtual time from the start of the run.
    At(#[serde(with = "readable")] Duration),
    /// At an event, before its emitter's next instruction.
    On(EventTrigger),
}

/// The n-th event that matches every given field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventTrigger {
    /// Name of the event, from the engine's catalogue.
    pub event: String,
    /// Only events of this checkpoint.
    pub checkpoint: Option<u64>,
    /// Only events of this operator chain (index in the job graph, from 0).
    pub vertex: Option<u16>,
    /// Only events of this subtask index.
    pub subtask: Option<u16>,
    /// Only events emitted by this node.
    pub node: Option<String>,
    /// Only events of this attempt.
    pub attempt: Option<u32>,
    /// The how-manieth match strikes; from 1.
    pub nth: u32,
    /// Matches count only once this fault has struck.
    pub after_fault: Option<u32>,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// A node dies.
    Kill {
        /// Which node.
        target: NodeTarget,
        /// How.
        mode: KillMode,
        /// It comes back after this long; `None`: never.
        #[serde(with = "readable::option")]
        restart_after: Option<Duration>,
    },
    /// Messages on a link vanish until it heals; connections survive.
    Cut {
        /// One end (of a one-way cut: the sender).
        from: NodeTarget,
        /// The other end.
        to: NodeTarget,
        /// Both directions, or only `from -> to`.
        both_ways: bool,
        /// It heals after this long; `None`: never.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// A file of a checkpoint is damaged in the store.
    Damage {
        /// Which file.
        file: FileTarget,
        /// How.
        how: DamageKind,
    },
}

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillMode {
    /// The process dies, the machine lives: its connections are reset at once.
    Crash,
    /// The machine is gone: silence. (Its local disk is lost, too; but so it is for a restarted process.)
    MachineLoss,
}

/// A node by name or by role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeTarget {
    /// The node that emitted the triggering event.
    Emitter,
    /// The leading JobManager.
    Leader,
    /// The node of this name.
    Node(String),
}

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTarget {
    /// This checkpoint; `None`: the newest completed one.
    pub checkpoint: Option<u64>,
    /// The manifest or a state file.
    pub kind: FileKind,
    /// The how-manieth file of that kind, by path; from 0.
    pub index: u32,
}

/// Kinds of files that a checkpoint consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// `_metadata`.
    Manifest,
    /// A file with keyed state (backends `fs` and `rocksdb`).
    State,
}

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DamageKind {
    /// One byte, drawn from the seed, is flipped.
    FlipByte,
    /// The last half is gone.
    Truncate,
    /// The file is gone.
    Delete,
}

/// What must hold for the verdict `passed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// How the job must end.
    pub job: ExpectedEnd,
    /// The committed output is exactly-once (always judged; `false` is refused unless a planted bug is under test).
    pub exactly_once: bool,
    /// From the last fault's end to the job's end, in virtual time.
    #[serde(with = "readable::option")]
    pub recovers_within: Option<Duration>,
    /// Exactly this many failovers.
    pub failovers: Option<u32>,
    /// The job falls back to an older checkpoint.
    pub falls_back: Option<bool>,
    /// At least this many checkpoints are aborted.
    pub aborted_checkpoints_min: Option<u32>,
}

/// How a job must end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedEnd {
    /// All input processed and committed.
    Finished,
    /// Failed for good, with a reason that contains this text.
    Failed(String),
}
