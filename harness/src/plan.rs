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
use flowquake_engine::env::sim::Rates;
use flowquake_engine::time::readable;
use serde::{Deserialize, Serialize};

/// Version of the plan format; another one is refused.
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
    /// The faults were drawn from the seed, so not every one of them has to strike: one is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swarm: bool,
    /// The liveness phase: from this virtual time on nothing strikes any more, and all that is in force ends. `None`: each
    /// fault ends by itself, or never.
    #[serde(with = "readable::option", default, skip_serializing_if = "Option::is_none")]
    pub heal_at: Option<Duration>,
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
    /// `jm-1` to `jm-N`; one leads, the others stand by.
    pub job_managers: u32,
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
    /// Object store: transfers that one node has under way at once, each with the whole throughput.
    pub store_streams: u32,
    /// Object store: bytes per second of a transfer from one node.
    pub store_throughput: u64,
    /// Object store: bytes per second of a transfer to one node.
    pub store_read_throughput: u64,
    /// Name of the cost profile that the rates and the speed of network and store were taken from.
    pub cost_profile: String,
    /// Prices of work.
    pub rates: Rates,
    /// How many records each one that moves stands for, in price, transfer and output.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub record_weight: u64,
    /// How many bytes each byte of keyed state stands for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub state_weight: u64,
}

fn one() -> u64 {
    1
}

fn is_one(weight: &u64) -> bool {
    *weight == 1
}

/// One fault: when, what, to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Position in the plan, from 1.
    pub id: u32,
    /// When it strikes.
    pub trigger: Trigger,
    /// It strikes this long after its trigger; zero: at once, before the emitter's next instruction.
    #[serde(with = "readable", default)]
    pub delay: Duration,
    /// How often it strikes: at this many matches of its event, or this often by the clock; from 1.
    #[serde(default = "once")]
    pub repeat: u32,
    /// What it does.
    pub action: FaultAction,
}

fn once() -> u32 {
    1
}

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trigger {
    /// At a virtual time from the start of the run.
    At(#[serde(with = "readable")] Duration),
    /// At a virtual time, and again after each period, [`FaultPlan::repeat`] times in all.
    Every {
        /// The first time, from the start of the run.
        #[serde(with = "readable")]
        first: Duration,
        /// Pause between two strikes.
        #[serde(with = "readable")]
        period: Duration,
    },
    /// At an event, before its emitter's next instruction.
    On(EventTrigger),
    /// At the first occurrence of every kind of event that matches the filters ([`EventTrigger::event`] is empty, and
    /// [`EventTrigger::nth`] counts per kind), whatever the run emits while the job lives. Not bounded by `repeat`.
    Each(EventTrigger),
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
    /// Matches count only once an event of this name was seen (after `after_fault`, if that is given, too).
    pub after: Option<String>,
}

/// What a fault does. Every variant with an end says when it comes: `None` is never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// Nodes die, all at one instant.
    Kill {
        /// Which nodes.
        targets: Vec<NodeTarget>,
        /// How.
        mode: KillMode,
        /// They come back after this long.
        #[serde(with = "readable::option")]
        restart_after: Option<Duration>,
        /// What they find on their local disk then.
        disk: Disk,
    },
    /// A node dies again and again: killed, down for `down`, up for `up`, `times` times.
    CrashLoop {
        /// Which node.
        target: NodeTarget,
        /// How often it dies.
        times: u32,
        /// How long it lives between two deaths.
        #[serde(with = "readable")]
        up: Duration,
        /// How long it is down.
        #[serde(with = "readable")]
        down: Duration,
    },
    /// A process stands still (garbage collection, SIGSTOP); the network goes on delivering to it.
    Pause {
        /// Which node.
        target: NodeTarget,
        /// It goes on after this long.
        #[serde(with = "readable::option")]
        resume_after: Option<Duration>,
    },
    /// Work takes longer.
    Slow {
        /// On which node.
        target: NodeTarget,
        /// Which work.
        work: SlowWork,
        /// Times as long; `None`: it hangs until healed.
        factor: Option<u32>,
        /// Normal speed again after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// User code fails once, at the next record that it is given on a node.
    UserCode {
        /// On which node.
        target: NodeTarget,
        /// How it fails.
        how: UserFailure,
    },
    /// User code fails whenever it is given this record, on any node, in any attempt, `times` times.
    Poison {
        /// Which split.
        split: u32,
        /// Position in the split, from 0.
        position: u64,
        /// How often it fails; `None`: always.
        times: Option<u32>,
    },
    /// Messages between two sets of nodes vanish until it heals; connections survive.
    Cut {
        /// One side (of a one-way cut: the senders).
        from: Vec<NodeTarget>,
        /// The other side.
        to: Vec<NodeTarget>,
        /// Both directions, or only `from -> to`.
        both_ways: bool,
        /// It heals after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// A node is cut off from every other node, both ways.
    Isolate {
        /// Which node.
        target: NodeTarget,
        /// From the durable stores, too.
        stores: bool,
        /// It heals after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// A link comes and goes: cut for `down`, healed for `up`, `times` times.
    Flap {
        /// One end.
        from: NodeTarget,
        /// The other end.
        to: NodeTarget,
        /// How often it is cut.
        times: u32,
        /// How long it is healed between two cuts.
        #[serde(with = "readable")]
        up: Duration,
        /// How long it is cut.
        #[serde(with = "readable")]
        down: Duration,
    },
    /// A link has other properties for a while, both ways.
    Link {
        /// One end.
        from: NodeTarget,
        /// The other end.
        to: NodeTarget,
        /// One-way latency, drawn uniformly per frame from this range.
        #[serde(with = "readable::option_range")]
        latency: Option<(Duration, Duration)>,
        /// Bytes per second and direction.
        bandwidth: Option<u64>,
        /// As before after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// Connections are torn down at both ends.
    Reset {
        /// Connections of this node …
        target: NodeTarget,
        /// … with this one; `None`: with every other node.
        peer: Option<NodeTarget>,
        /// Only the first one by number, instead of all.
        one: bool,
    },
    /// New connections to a node are refused.
    Refuse {
        /// Which node.
        target: NodeTarget,
        /// Accepted again after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// One end of the connections between two nodes is gone; the other end is not told, and what it sends vanishes.
    HalfOpen {
        /// The node that has lost its end.
        target: NodeTarget,
        /// The node that does not know.
        peer: NodeTarget,
    },
    /// Control messages of one kind are hurt.
    Message {
        /// Which kind.
        kind: MessageKind,
        /// What happens to them.
        how: MessageFault,
        /// Only those from or to this node.
        node: Option<NodeTarget>,
        /// How many of them.
        count: u32,
    },
    /// A node reads what it receives at most this fast.
    SlowReceiver {
        /// Which node.
        target: NodeTarget,
        /// Bytes per second and connection.
        rate: u64,
        /// Normal again after this long.
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
    /// A durable store misbehaves.
    Store {
        /// Which store; `None`: both.
        store: Option<StoreName>,
        /// Only towards this node.
        node: Option<NodeTarget>,
        /// How.
        how: StoreFault,
        /// How many requests are hurt; `None`: all until healed.
        count: Option<u32>,
        /// Healed after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// A file of the state backend on a node's own disk is damaged while it is in use.
    DamageLocal {
        /// Which node.
        target: NodeTarget,
        /// How.
        how: DamageKind,
    },
    /// A node's clock jumps, or runs at another speed for a while.
    Clock {
        /// Which node.
        target: NodeTarget,
        /// What happens to it.
        how: ClockFault,
        /// Drift ends after this long; a jump stays.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
}

impl FaultAction {
    /// Whether it can make a checkpoint unreadable. Where output was committed under that checkpoint there is no way back,
    /// and a correct engine says so instead of going on.
    pub fn spoils_checkpoints(&self) -> bool {
        match self {
            Self::Damage { .. } => true,
            // A stale read shows a checkpoint as it was before its files were there.
            Self::Store { how, .. } => {
                matches!(how, StoreFault::TornWrite | StoreFault::LostWrite | StoreFault::StaleRead(_))
            }
            _ => false,
        }
    }
}

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillMode {
    /// The process dies, the machine lives: its connections are reset at once.
    Crash,
    /// The machine is gone: silence.
    MachineLoss,
}

/// What a restarted node finds on its local disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// Nothing.
    #[default]
    Wiped,
    /// All that its former life left there.
    Kept,
}

pub use flowquake_engine::env::sim::{ClockFault, MessageFault, SlowWork, StoreFault};
pub use flowquake_engine::wire::MessageKind;

/// How user code fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserFailure {
    /// It panics.
    Panic,
    /// It returns an error.
    Error,
}

/// One of the durable stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreName {
    /// Checkpoints and the job's durable facts.
    Checkpoints,
    /// Output of the sinks.
    Output,
}

/// A node by name or by role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeTarget {
    /// The node that emitted the triggering event.
    Emitter,
    /// The leading JobManager (the last one known to lead).
    Leader,
    /// A JobManager that is up and does not lead; the first by name.
    Standby,
    /// The emitter if it is a TaskManager, else one drawn from the seed.
    TaskManager,
    /// A TaskManager other than the emitter and the one that `TaskManager` stands for, drawn from the seed.
    Peer,
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
    /// It changes places with another file of the same checkpoint (with that of another checkpoint, if it has only one).
    Swap,
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
    /// How long things may take.
    #[serde(default, skip_serializing_if = "TimingBounds::is_empty")]
    pub timing: TimingBounds,
}

/// Bounds on measured times: each must stay below its bound, and something must have been measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingBounds {
    /// Trigger to completion, the median.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_p50: Option<Duration>,
    /// Trigger to completion, what 99 of 100 do not exceed.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_p99: Option<Duration>,
    /// Trigger to completion, the longest.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub checkpoint_duration_max: Option<Duration>,
    /// Failure to first record processed again, the longest.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub outage_max: Option<Duration>,
    /// Failure until the job has caught up, the longest.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub recovery_max: Option<Duration>,
    /// The recovery is within this share, in thousandths, of what was predicted before the run.
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
    /// Finished; or failed for good with a reason that contains this text, if a fault struck that can spoil checkpoints
    /// ([`FaultAction::spoils_checkpoints`]).
    FinishedOrFailed(String),
}
