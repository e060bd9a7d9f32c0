//! When a drawn fault strikes, and whom.
//!
//! Start at [`fault`]. Most faults strike at an event, since the protocol's weak places lie between two of them; some by the
//! clock. The first fault of a plan is aimed at what every run comes to, so that hardly any seed strikes nothing.
//!
//! A TaskManager that emits the triggering event is asked for by name (`node = "tm-2"`), never taken as it comes: else the
//! nodes struck would not be those that may be (SWARM-W2).

use std::time::Duration;

use flowquake_engine::config::BackendKind;

use super::kinds;
use crate::draws::{Action, Draws, Role, Scene};
use crate::faults::Kind;
use crate::plan::{EventTrigger, FaultPlan, NodeTarget, Trigger};

/// Who emits an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Leader,
    TaskManager,
    /// A standby, or either side: it cannot be told beforehand.
    Any,
}

/// What has to be so before an event is emitted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Every run comes to it, checkpoint for checkpoint or attempt for attempt.
    Always,
    /// Every run comes to it, after the input has ended.
    Late,
    /// Something has failed.
    Failure,
    /// A standby is there.
    Standby,
    /// A checkpoint was damaged.
    Damage,
    /// State goes to the store as files.
    StateFiles,
    /// The graph has channels.
    Channels,
}

/// An event that a fault may strike at.
pub(super) struct Position {
    pub(super) event: &'static str,
    by: By,
    pub(super) when: When,
    /// What it carries: `c` checkpoint, `s` subtask, `a` attempt.
    carries: &'static str,
}

const fn at(event: &'static str, by: By, when: When, carries: &'static str) -> Position {
    Position { event, by, when, carries }
}

use By::{Any, Leader, TaskManager};
use When::{Always, Channels, Damage, Failure, Late, Standby, StateFiles};

/// Every event but those that end a job: what strikes then comes too late to matter.
pub(super) const POSITIONS: &[Position] = &[
    at("leadership-granted", Leader, Always, ""),
    at("lease-renewed", Leader, Always, ""),
    at("leadership-lost", Any, Standby, ""),
    at("lease-expired", Any, Standby, ""),
    at("sweep-ended", Leader, Late, ""),
    at("task-manager-registered", Leader, Always, ""),
    at("deployment-lost", Leader, Failure, "a"),
    at("store-failed", Leader, Failure, "a"),
    at("task-manager-lost", Leader, Failure, ""),
    at("job-manager-lost", TaskManager, Failure, ""),
    at("heartbeat-sent", Leader, Always, ""),
    at("heartbeat-missed", Any, Failure, ""),
    at("waiting-for-slots", Leader, Failure, "a"),
    at("deployment-begun", Leader, Always, "a"),
    at("restore-begun", TaskManager, Always, "sa"),
    at("restore-ended", TaskManager, Always, "sa"),
    at("task-running", TaskManager, Always, "sa"),
    at("job-running", Leader, Always, "a"),
    at("first-record", TaskManager, Always, "sa"),
    at("caught-up", TaskManager, Always, "sa"),
    at("end-of-input", TaskManager, Late, "sa"),
    at("task-failed", TaskManager, Failure, "sa"),
    at("failover-begun", Leader, Failure, "a"),
    at("tasks-canceled", Leader, Failure, "a"),
    at("restart-ready", Leader, Failure, "a"),
    at("checkpoint-triggered", Leader, Always, "ca"),
    at("barrier-injected", TaskManager, Always, "csa"),
    at("barrier-received", TaskManager, Channels, "csa"),
    at("alignment-opened", TaskManager, Channels, "csa"),
    at("alignment-closed", TaskManager, Channels, "csa"),
    at("snapshot-sync-begun", TaskManager, Always, "csa"),
    at("snapshot-sync-ended", TaskManager, Always, "csa"),
    at("state-uploaded", TaskManager, StateFiles, "csa"),
    at("sink-pre-committed", TaskManager, Always, "csa"),
    at("snapshot-async-ended", TaskManager, Always, "csa"),
    at("snapshot-declined", TaskManager, Failure, "csa"),
    at("checkpoint-acknowledged", Leader, Always, "csa"),
    at("manifest-written", Leader, Always, "ca"),
    at("checkpoint-completed", Leader, Always, "ca"),
    at("checkpoint-aborted", Leader, Failure, "ca"),
    at("checkpoint-subsumed", Leader, Always, "c"),
    at("checkpoint-damaged", Leader, Damage, "c"),
    at("completion-notified", Leader, Always, "ca"),
    at("sink-committed", TaskManager, Always, "csa"),
    at("sink-aborted", Leader, Damage, "s"),
    at("commit-acknowledged", Leader, Always, "csa"),
    at("fell-back", Leader, Damage, ""),
];

impl Position {
    fn carries(&self, field: char) -> bool {
        self.carries.contains(field)
    }

    /// Whether a run of this plan can come to it; `sure`: whether it surely does, and early.
    fn occurs(&self, scene: &Scene, sure: bool) -> bool {
        match self.when {
            Always => true,
            Late | Failure => !sure,
            Standby => !sure && scene.standbys(),
            Damage => !sure && scene.plan.job.config.checkpoints.retained > 1,
            StateFiles => scene.swarm.keyed && scene.plan.job.config.backend != BackendKind::Memory,
            Channels => scene.swarm.vertices > 1,
        }
    }
}

/// Draws the rest of a fault of this kind.
pub(super) fn fault(scene: &Scene, draws: &Draws, kind: Kind, id: u32) -> FaultPlan {
    let drawn = &kind.spec().drawn;
    let roles: Vec<Role> = drawn
        .roles
        .iter()
        .copied()
        .filter(|role| *role == Role::TaskManager || kinds::lives(kind, *role, scene))
        .collect();
    let role = draws.pick("role", &roles).unwrap_or(Role::TaskManager);
    let victims: Vec<&str> = scene.victims.iter().map(String::as_str).collect();
    let victim = draws.pick("target", &victims).unwrap_or("tm-1");
    let named = match role {
        Role::TaskManager => NodeTarget::Node(victim.to_owned()),
        Role::Leader => NodeTarget::Leader,
        Role::Standby => NodeTarget::Standby,
    };
    let sure = id == 1;
    let repeat = if drawn.repeats && draws.one_in("again", 4) { draws.number("times", 2, 4) as u32 } else { 1 };
    if draws.one_in("clock", 5) {
        let first = scene.moment(draws);
        let period = draws.millis("period", 100, 1_000);
        let trigger = if repeat > 1 { Trigger::Every { first, period } } else { Trigger::At(first) };
        let action = (drawn.action)(&Action { scene, draws, target: named, victim, role });
        return FaultPlan { id, trigger, delay: Duration::ZERO, repeat, action };
    }
    // At a step of the victim itself, or while anybody does anything.
    let own = !sure && role != Role::Standby && draws.one_in("own", 2);
    let by = if role == Role::Leader { Leader } else { TaskManager };
    let fits = |position: &&Position| position.occurs(scene, sure) && (!own || position.by == by);
    let positions: Vec<&Position> = POSITIONS.iter().filter(fits).collect();
    // Some events are always there to be picked; the fallback only spares a panic.
    let position = draws.pick("event", &positions).unwrap_or(&POSITIONS[0]);
    let mut trigger = event_trigger(scene, draws, position, sure);
    let target = match (own, role) {
        (true, Role::TaskManager) => {
            trigger.node = Some(victim.to_owned());
            NodeTarget::Emitter
        }
        _ => named,
    };
    let mut delay = Duration::ZERO;
    if !sure {
        match draws.number("condition", 0, 9) {
            0 | 1 => trigger.after_fault = Some(draws.number("after fault", 1, u64::from(id) - 1) as u32),
            2 => {
                let before = ["failover-begun", "restore-begun", "checkpoint-completed", "task-manager-lost"];
                trigger.after = Some(draws.one_of("after", before).to_owned());
            }
            3 | 4 => delay = draws.millis("delay", 1, 500),
            _ => {}
        }
    }
    let action = (drawn.action)(&Action { scene, draws, target, victim, role });
    FaultPlan { id, trigger: Trigger::On(trigger), delay, repeat, action }
}

fn event_trigger(scene: &Scene, draws: &Draws, position: &Position, sure: bool) -> EventTrigger {
    let mut trigger = EventTrigger { event: position.event.to_owned(), nth: 1, ..EventTrigger::default() };
    let config = &scene.plan.job.config;
    let (checkpoints, parallelism) = (scene.checkpoints(), u64::from(config.parallelism.max(1)));
    if sure {
        // A checkpoint is known by its number in every attempt, so an early one is sure to come.
        if position.carries('c') && draws.one_in("of checkpoint", 2) {
            trigger.nth = draws.number("nth", 1, (checkpoints / 2).clamp(1, 5)) as u32;
        }
        return trigger;
    }
    let per_subtask = position.carries('s');
    if position.carries('c') && draws.one_in("of checkpoint", 2) {
        trigger.checkpoint = Some(draws.number("checkpoint", 1, checkpoints));
    }
    if position.carries('a') && trigger.checkpoint.is_none() && draws.one_in("of attempt", 4) {
        trigger.attempt = Some(draws.number("attempt", 2, 3) as u32);
    }
    if per_subtask && draws.one_in("of subtask", 4) {
        trigger.subtask = Some(draws.number("subtask", 0, parallelism - 1) as u16);
    }
    let each = if per_subtask && trigger.subtask.is_none() { parallelism } else { 1 };
    let times = match position.event {
        "heartbeat-sent" | "lease-renewed" => checkpoints,
        _ if position.carries('c') && trigger.checkpoint.is_none() && position.when != Failure => checkpoints,
        // Once or twice: again in the next attempt.
        _ => 2,
    };
    let most = each * times;
    // Early matches are likelier to come.
    trigger.nth = draws.nth("nth", 0, 1, most).min(draws.nth("nth", 1, 1, most)) as u32;
    trigger
}
