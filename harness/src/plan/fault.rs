//! Faults as data: when each strikes, what it does, to whom, and when it ends.
//!
//! Start at [`FaultPlan`]. The module `scenario` makes these of scenario files, the nemesis strikes them, and the
//! shrinker removes them one by one. Nothing in this file draws or acts.

use std::time::Duration;

pub use flowquake_engine::fault::{ClockFault, MessageFault, SlowWork, StoreFault};
pub use flowquake_engine::message_kind::MessageKind;
use flowquake_engine::time::readable;
use serde::{Deserialize, Serialize};

/// One fault: when, what, to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Position in the plan, from 1.
    pub id: u32,
    /// When it strikes.
    pub trigger: Trigger,
    /// Pause between the trigger and the strike. Zero: the fault strikes at once, before the emitter's next
    /// instruction.
    #[serde(with = "readable", default)]
    pub delay: Duration,
    /// How often the fault strikes, at least once: at this many matches of its event, or this often by the clock.
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
    /// At the first occurrence of every kind of event that the run emits while the job lives and that matches the
    /// filters. [`EventTrigger::event`] is empty, [`EventTrigger::nth`] counts per kind, and `repeat` does not limit
    /// the strikes.
    Each(EventTrigger),
}

impl Trigger {
    /// The kind of event at which the fault strikes, if there is exactly one.
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::On(on) => Some(&on.event),
            Self::At(_) | Self::Every { .. } | Self::Each(_) => None,
        }
    }
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
    /// Which match strikes; 1 is the first.
    pub nth: u32,
    /// Matches count only once this fault has struck.
    pub after_fault: Option<u32>,
    /// Matches count only after an event of this name was seen. If `after_fault` is given too, that event must come
    /// after the fault.
    pub after: Option<String>,
    /// Matches count only from this virtual time on.
    #[serde(with = "readable::option")]
    pub not_before: Option<Duration>,
    /// For [`Trigger::Each`]: least time between two strikes. A kind of event that comes too early waits for its next
    /// occurrence.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub apart: Option<Duration>,
}

/// What a fault does. In variants that have an end, `None` means that the fault never ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// Nodes die, all at one instant.
    Kill {
        /// Which nodes.
        targets: Vec<NodeTarget>,
        /// How.
        mode: KillMode,
        /// Restarts the nodes after this long.
        #[serde(with = "readable::option")]
        restart_after: Option<Duration>,
        /// What the restarted nodes find on their local disks.
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
    /// A process stands still, as in a garbage collection or after SIGSTOP; the network goes on delivering messages to
    /// it.
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
        /// How many times as long the work takes; `None`: the work hangs until the fault is healed.
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
    /// User code fails whenever it is given this record, on any node and in any attempt, until it has failed `times`
    /// times.
    Poison {
        /// Which split.
        split: u32,
        /// Position in the split, from 0.
        position: u64,
        /// How often it fails; `None`: always.
        times: Option<u32>,
    },
    /// Messages between two sets of nodes vanish until the cut heals; connections survive.
    Cut {
        /// One side; for a one-way cut, the senders.
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
        /// Whether the node is cut off from the durable stores too.
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
    /// A link has other properties for a while, in both directions.
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
        /// The link is as before after this long.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
    /// Connections are torn down at both ends.
    Reset {
        /// The node whose connections are torn down.
        target: NodeTarget,
        /// Only connections with this node; `None`: with every other node.
        peer: Option<NodeTarget>,
        /// Only the connection with the lowest number, instead of all.
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
    /// One end of the connections between two nodes disappears. The other end is not told, and what it sends vanishes.
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
    /// A node reads what it receives at this rate at most.
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
        /// Which store; `None`: both stores.
        store: Option<StoreName>,
        /// Only towards this node.
        node: Option<NodeTarget>,
        /// How.
        how: StoreFault,
        /// How many requests are hurt; `None`: all until the fault is healed.
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
        /// Drift ends after this long; a jump of the clock stays.
        #[serde(with = "readable::option")]
        heal_after: Option<Duration>,
    },
}

/// How a node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillMode {
    /// The process dies and the machine lives: the machine resets the connections at once.
    Crash,
    /// The machine is gone: its peers hear nothing more from it.
    MachineLoss,
}

/// What a restarted node finds on its local disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// Nothing.
    #[default]
    Wiped,
    /// Everything that its former life left there.
    Kept,
}

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
    /// The leading JobManager, or the last one that is known to have led.
    Leader,
    /// The first JobManager by name that is up and does not lead.
    Standby,
    /// The emitter if it is a TaskManager, else a TaskManager drawn from the seed.
    TaskManager,
    /// A TaskManager drawn from the seed, other than the emitter and the one that `TaskManager` stands for.
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
    /// Which file of that kind, ordered by path; 0 is the first.
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
    /// The second half is gone.
    Truncate,
    /// The file is gone.
    Delete,
    /// The file changes places with another file of the same checkpoint; if there is no other, with a file of another
    /// checkpoint.
    Swap,
}
