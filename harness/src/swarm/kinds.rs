//! The kinds of faults that a swarm draws from: for each its family, what it needs, whom it may strike, and how its action
//! is drawn.
//!
//! Start at [`KINDS`]. Names are those of scenario files. An action is drawn such that a correct engine survives it: it ends
//! by itself within `heal_after`, or takes nodes that the cluster can do without (SWARM-W1), and one end of every link it touches is a JobManager or a node that may be struck (SWARM-W2).

use std::collections::BTreeSet;
use std::time::Duration;

use flowquake_engine::config::BackendKind;

use crate::draws::{Action, Draws, Need, Role, Scene};
use crate::plan::{
    ClockFault, DamageKind, Disk, FaultAction, FileKind, FileTarget, KillMode, MessageFault, MessageKind, NodeTarget,
    SlowWork, StoreFault, StoreName, UserFailure,
};

/// A kind of fault.
pub struct Kind {
    /// Its name in scenario files.
    pub name: &'static str,
    /// One of [`FAMILIES`].
    pub family: &'static str,
    /// What the cluster or the job must have for it to apply.
    pub need: Need,
    /// Whom it may strike.
    pub(super) roles: &'static [Role],
    /// Whether it may strike again and again: what it does is over at once.
    pub(super) repeats: bool,
    /// Whether it hurts whomever it strikes, whatever he is doing.
    pub(super) bites: bool,
    pub(super) action: fn(&Action) -> FaultAction,
}

/// Families of kinds, in the order in which they are listed.
pub const FAMILIES: [&str; 5] = ["process", "network", "storage", "time", "control"];

use Role::{Leader, Standby, TaskManager};

impl Kind {
    /// Whether it counts against the checkpoints that may be spoilt (SWARM-W3).
    pub(super) fn spoils_checkpoints(&self) -> bool {
        matches!(self.need, Need::TwoCheckpoints | Need::StateFiles)
    }

    /// Whether there is somebody of this role whom it may strike. A clock that goes wrong on the only JobManager would
    /// leave nobody to take over.
    pub(super) fn lives(&self, role: Role, scene: &Scene) -> bool {
        match role {
            TaskManager => true,
            Leader => self.family != "time" || scene.standbys(),
            Standby => scene.standbys(),
        }
    }
}

/// The kinds that this seed does not switch off; never none of those that apply.
pub(super) fn left_in(scene: &Scene) -> BTreeSet<&'static str> {
    let applies = |kind: &&Kind| {
        scene.swarm.kinds.contains(kind.name) && kind.need.unmet(scene.plan, scene.swarm.keyed).is_none()
    };
    let candidates: Vec<&Kind> = KINDS.iter().filter(applies).collect();
    let draws = Draws { seed: scene.seed, entity: 0 };
    let on = |what: &str, name: &str| draws.one_in(&format!("{what} {name}"), 2);
    let left: BTreeSet<&str> = candidates
        .iter()
        .filter(|kind| on("family", kind.family) && on("kind", kind.name))
        .map(|kind| kind.name)
        .collect();
    if left.is_empty() { draws.pick("only kind", &candidates).iter().map(|kind| kind.name).collect() } else { left }
}

fn kill(a: &Action, mode: KillMode) -> FaultAction {
    let kept = mode == KillMode::Crash && a.draws.one_in("disk", 2);
    let disk = if kept { Disk::Kept } else { Disk::Wiped };
    let for_good = a.role == TaskManager && a.scene.bears_losses() && a.draws.one_in("for good", 3);
    let restart_after = (!for_good).then(|| a.lasts("restart after"));
    FaultAction::Kill { targets: a.one_or_all(), mode, restart_after, disk }
}

fn slow(a: &Action, work: SlowWork, factor: Option<u32>) -> FaultAction {
    FaultAction::Slow { target: a.target(), work, factor, heal_after: a.heals() }
}

fn cut(a: &Action, both_ways: bool) -> FaultAction {
    let mut to = vec![a.peer()];
    if a.role == TaskManager && a.draws.one_in("wide", 3) {
        to = a.other_task_managers().into_iter().map(NodeTarget::Node).collect();
        if to.is_empty() || a.draws.one_in("leader as well", 2) {
            to.push(NodeTarget::Leader);
        }
    }
    let mut from = vec![a.target()];
    if !both_ways && a.draws.one_in("towards", 2) {
        std::mem::swap(&mut from, &mut to);
    }
    FaultAction::Cut { from, to, both_ways, heal_after: a.heals() }
}

fn link(a: &Action, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) -> FaultAction {
    FaultAction::Link { from: a.target(), to: a.peer(), latency, bandwidth, heal_after: a.heals() }
}

fn message(a: &Action, how: MessageFault) -> FaultAction {
    let kind = a.draws.one_of("message", MessageKind::ALL);
    // One lost heartbeat is nothing; and now and then every repetition is hurt, too.
    let most = if kind == MessageKind::Heartbeat || a.draws.one_in("repetitions", 5) { 30 } else { 3 };
    let node = (!a.draws.one_in("any node", 3)).then(|| a.target());
    FaultAction::Message { kind, how, node, count: a.draws.number("count", 1, most) as u32 }
}

/// Often within the time in which an answer is waited for, now and then long after it.
fn message_delay(a: &Action) -> Duration {
    let most = if a.draws.one_in("long after", 4) { 8_000 } else { 2_000 };
    a.draws.millis("message delay", 5, most)
}

/// Requests of one node or of all of them, to either store or both.
fn store(a: &Action, how: StoreFault, counted: bool) -> FaultAction {
    let store = a.draws.one_of("store", [None, Some(StoreName::Checkpoints), Some(StoreName::Output)]);
    let node = (!a.draws.one_in("any node", 2)).then(|| a.target());
    // More than anybody tries, now and then.
    let most = if a.draws.one_in("every try", 5) { 40 } else { 5 };
    let count = counted.then(|| a.draws.number("count", 1, most) as u32);
    FaultAction::Store { store, node, how, count, heal_after: a.heals() }
}

/// One write of a TaskManager to the checkpoint store: a file of state. (What else is written there is the JobManager's own
/// record of what is complete; to lose that is to lose the job.)
fn spoilt_write(a: &Action, how: StoreFault) -> FaultAction {
    let (store, node) = (Some(StoreName::Checkpoints), Some(a.target()));
    FaultAction::Store { store, node, how, count: Some(1), heal_after: a.heals() }
}

fn damage(a: &Action) -> FaultAction {
    let plan = a.scene.plan;
    let files = a.scene.swarm.keyed && plan.job.config.backend != BackendKind::Memory;
    let kind = if files && !a.draws.one_in("manifest", 3) { FileKind::State } else { FileKind::Manifest };
    let last = u64::from(plan.job.config.parallelism.max(1)) - 1;
    let index = if kind == FileKind::State { a.draws.number("file", 0, last) as u32 } else { 0 };
    let how =
        a.draws.one_of("damage", [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete, DamageKind::Swap]);
    FaultAction::Damage { file: FileTarget { checkpoint: None, kind, index }, how }
}

fn damage_local(a: &Action) -> FaultAction {
    let how = a.draws.one_of("damage", [DamageKind::FlipByte, DamageKind::Truncate, DamageKind::Delete]);
    FaultAction::DamageLocal { target: a.target(), how }
}

/// A record that is still to come when the faults begin.
fn poison(a: &Action) -> FaultAction {
    let input = &a.scene.plan.job.input;
    let splits = u64::from(input.splits.max(1));
    // As many as have arrived at a drawn moment; without a rate all are there at once.
    let all = a.scene.records().unwrap_or(1);
    let arrived = input.rate.map_or(all, |rate| (rate * a.scene.moment(a.draws).as_secs_f64()) as u64);
    let split = a.draws.number("split", 0, splits - 1);
    let position = (arrived.min(all) / splits).min((all / splits).saturating_sub(1));
    FaultAction::Poison { split: split as u32, position, times: Some(a.draws.number("count", 1, 3) as u32) }
}

fn clock(a: &Action, how: ClockFault) -> FaultAction {
    FaultAction::Clock { target: a.target(), how, heal_after: a.heals() }
}

fn drift(a: &Action) -> i32 {
    let parts_per_million = a.draws.number("drift", 1_000, 300_000) as i32;
    if a.draws.one_in("slower", 2) { -parts_per_million } else { parts_per_million }
}

const fn kind(
    name: &'static str,
    family: &'static str,
    need: Need,
    roles: &'static [Role],
    action: fn(&Action) -> FaultAction,
) -> Kind {
    Kind { name, family, need, roles, repeats: false, bites: false, action }
}

/// The same, and it may strike several times.
const fn again(kind: Kind) -> Kind {
    Kind { repeats: true, ..kind }
}

/// The same, and whoever is struck by it is hurt.
const fn biting(kind: Kind) -> Kind {
    Kind { bites: true, ..kind }
}

const ALL: &[Role] = &[TaskManager, Leader, Standby];
const LINKED: &[Role] = &[TaskManager, Leader];
const TASKS: &[Role] = &[TaskManager];

/// Every kind that a swarm can draw, by family.
pub const KINDS: &[Kind] = &[
    biting(kind("kill", "process", Need::Nothing, ALL, |a| kill(a, KillMode::Crash))),
    biting(kind("machine-loss", "process", Need::Nothing, ALL, |a| kill(a, KillMode::MachineLoss))),
    biting(kind("pause", "process", Need::Nothing, ALL, |a| FaultAction::Pause {
        target: a.target(),
        resume_after: Some(a.lasts("resume after")),
    })),
    kind("slow-cpu", "process", Need::Nothing, LINKED, |a| {
        slow(a, SlowWork::Cpu, Some(a.draws.number("factor", 2, 50) as u32))
    }),
    biting(kind("crash-loop", "process", Need::Nothing, LINKED, |a| FaultAction::CrashLoop {
        target: a.target(),
        times: a.times(),
        up: a.lasts("up"),
        down: a.lasts("down"),
    })),
    biting(again(kind("user-panic", "process", Need::Nothing, TASKS, |a| FaultAction::UserCode {
        target: a.target(),
        how: UserFailure::Panic,
    }))),
    biting(again(kind("user-error", "process", Need::Nothing, TASKS, |a| FaultAction::UserCode {
        target: a.target(),
        how: UserFailure::Error,
    }))),
    kind("poison-record", "process", Need::GeneratedInput, TASKS, poison),
    kind("slow-operator", "process", Need::Nothing, TASKS, |a| {
        slow(a, SlowWork::Records, Some(a.draws.number("factor", 2, 50) as u32))
    }),
    kind("hang-snapshot", "process", Need::Nothing, TASKS, |a| slow(a, SlowWork::Snapshot, None)),
    kind("cut", "network", Need::Nothing, LINKED, |a| cut(a, true)),
    kind("cut-one-way", "network", Need::Nothing, LINKED, |a| cut(a, false)),
    biting(kind("isolate", "network", Need::Nothing, ALL, |a| FaultAction::Isolate {
        target: a.target(),
        // A standby talks to nobody but the stores.
        stores: a.role == Standby || a.draws.one_in("from the stores", 2),
        heal_after: a.heals(),
    })),
    kind("flap", "network", Need::Nothing, LINKED, |a| FaultAction::Flap {
        from: a.target(),
        to: a.peer(),
        times: a.times(),
        up: a.lasts("up"),
        down: a.lasts("down"),
    }),
    kind("latency", "network", Need::Nothing, LINKED, |a| {
        let low = a.draws.millis("latency", 5, 200);
        link(a, Some((low, low * 2)), None)
    }),
    kind("bandwidth", "network", Need::Nothing, LINKED, |a| {
        link(a, None, Some(a.draws.number("bandwidth", 20, 2_000) * 1_000))
    }),
    again(kind("reset-connection", "network", Need::Nothing, LINKED, |a| FaultAction::Reset {
        target: a.target(),
        peer: Some(a.peer()),
        one: true,
    })),
    biting(again(kind("reset-connections", "network", Need::Nothing, LINKED, |a| FaultAction::Reset {
        target: a.target(),
        peer: (!a.draws.one_in("of all", 2)).then(|| a.peer()),
        one: false,
    }))),
    kind("refuse-connections", "network", Need::Nothing, LINKED, |a| FaultAction::Refuse {
        target: a.target(),
        heal_after: a.heals(),
    }),
    biting(again(kind("half-open", "network", Need::Nothing, LINKED, |a| FaultAction::HalfOpen {
        target: a.target(),
        peer: a.peer(),
    }))),
    again(kind("lose-message", "network", Need::Nothing, LINKED, |a| message(a, MessageFault::Lose))),
    again(kind("delay-message", "network", Need::Nothing, LINKED, |a| {
        message(a, MessageFault::Delay(message_delay(a)))
    })),
    again(kind("duplicate-message", "network", Need::Nothing, LINKED, |a| {
        let late = a.draws.one_in("late", 2).then(|| message_delay(a));
        message(a, late.map_or(MessageFault::Duplicate, MessageFault::DuplicateLate))
    })),
    kind("slow-receiver", "network", Need::Nothing, LINKED, |a| FaultAction::SlowReceiver {
        target: a.target(),
        rate: a.draws.number("rate", 10, 500) * 1_000,
        heal_after: a.heals(),
    }),
    kind("damage", "storage", Need::TwoCheckpoints, TASKS, damage),
    kind("damage-local", "storage", Need::RocksDb, TASKS, damage_local),
    kind("store-unavailable", "storage", Need::Nothing, ALL, |a| store(a, StoreFault::Unavailable, false)),
    kind("failed-write", "storage", Need::Nothing, ALL, |a| store(a, StoreFault::FailedWrite, true)),
    kind("ambiguous-write", "storage", Need::Nothing, ALL, |a| store(a, StoreFault::AmbiguousWrite, true)),
    kind("torn-write", "storage", Need::StateFiles, TASKS, |a| spoilt_write(a, StoreFault::TornWrite)),
    kind("lost-write", "storage", Need::StateFiles, TASKS, |a| spoilt_write(a, StoreFault::LostWrite)),
    kind("no-space", "storage", Need::Nothing, ALL, |a| store(a, StoreFault::NoSpace, false)),
    kind("slow-store", "storage", Need::Nothing, ALL, |a| {
        store(a, StoreFault::Slow(a.draws.millis("slower by", 5, 500)), false)
    }),
    kind("throttled-store", "storage", Need::Nothing, ALL, |a| {
        store(a, StoreFault::Throttled(a.draws.number("throughput", 10, 1_000) * 1_000), false)
    }),
    kind("stale-read", "storage", Need::TwoCheckpoints, ALL, |a| {
        store(a, StoreFault::StaleRead(a.draws.millis("stale by", 5, 300)), false)
    }),
    kind("lagging-list", "storage", Need::Nothing, ALL, |a| {
        store(a, StoreFault::LaggingList(a.draws.millis("lag", 5, 1_000)), false)
    }),
    kind("clock-forward", "time", Need::Nothing, ALL, |a| {
        clock(a, ClockFault::Forward(a.draws.millis("jump", 10, 60_000)))
    }),
    kind("clock-back", "time", Need::Nothing, ALL, |a| clock(a, ClockFault::Back(a.draws.millis("jump", 10, 60_000)))),
    kind("clock-drift", "time", Need::Nothing, ALL, |a| clock(a, ClockFault::Drift(drift(a)))),
    // The leader lives and talks to its TaskManagers, but cannot renew its lease.
    biting(kind("lose-leadership", "control", Need::Standby, &[Leader], |a| FaultAction::Store {
        store: Some(StoreName::Checkpoints),
        node: Some(a.target()),
        how: StoreFault::Unavailable,
        count: None,
        heal_after: Some(a.beyond_the_lease()),
    })),
    // It stands still until another leads, and goes on believing that it does.
    biting(kind("rival-leader", "control", Need::Standby, &[Leader], |a| FaultAction::Pause {
        target: a.target(),
        resume_after: Some(a.beyond_the_lease()),
    })),
];
