//! When a drawn fault strikes, and which victim.
//!
//! Start at [`fault`]. Most faults strike at an event, because the weak places of the protocol lie between two events;
//! some strike by the clock. The first fault of a plan is aimed at an event that every run comes to, so that hardly any
//! seed strikes nothing.
//!
//! A TaskManager that emits the triggering event is asked for by name (`node = "tm-2"`) and not taken as it comes.
//! Otherwise TaskManagers could be struck that must not be (SWARM-W2).

use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::event::{Carried, Emitter, Event, EventRow, Occasion};

use super::kinds;
use crate::draws::{Action, Draws, Role, Scene};
use crate::faults::Kind;
use crate::plan::{EventTrigger, FaultPlan, NodeTarget, Trigger};

/// Whether a run of this plan can come to the event; with `sure`, whether every run comes to it, and early.
fn occurs(row: &EventRow, scene: &Scene, sure: bool) -> bool {
    match row.occasion {
        Occasion::Always | Occasion::Periodic => true,
        Occasion::InputEnded | Occasion::Failure => !sure,
        Occasion::Standby => !sure && scene.standbys(),
        Occasion::Damage => !sure && scene.plan.job.config.checkpoints.retained > 1,
        Occasion::StateFiles => scene.swarm.keyed && scene.plan.job.config.backend != BackendKind::Memory,
        Occasion::Channels => scene.swarm.vertices > 1,
        // A fault at the end of the job comes too late to matter.
        Occasion::End => false,
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
    // Strikes at a step of the victim itself, or at a step of any process.
    let own = !sure && role != Role::Standby && draws.one_in("own", 2);
    let by = if role == Role::Leader { Emitter::Leader } else { Emitter::TaskManager };
    let fits = |row: &&EventRow| occurs(row, scene, sure) && (!own || row.emitter == by);
    let rows: Vec<&EventRow> = Event::ROWS.iter().filter(fits).collect();
    // There are always events to pick from; the fallback only avoids a panic.
    let row = draws.pick("event", &rows).unwrap_or(&Event::ROWS[0]);
    let mut trigger = event_trigger(scene, draws, row, sure);
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

fn event_trigger(scene: &Scene, draws: &Draws, row: &EventRow, sure: bool) -> EventTrigger {
    let mut trigger = EventTrigger { event: row.name.to_owned(), nth: 1, ..EventTrigger::default() };
    let config = &scene.plan.job.config;
    let (of_checkpoint, of_attempt) = (row.checkpoint == Carried::Always, row.attempt == Carried::Always);
    let (checkpoints, parallelism) = (scene.checkpoints(), u64::from(config.parallelism.max(1)));
    if sure {
        // A checkpoint has the same id in every attempt, so an early checkpoint is certain to come.
        if of_checkpoint && draws.one_in("of checkpoint", 2) {
            trigger.nth = draws.number("nth", 1, (checkpoints / 2).clamp(1, 5)) as u32;
        }
        return trigger;
    }
    let per_subtask = row.subtask == Carried::Always;
    if of_checkpoint && draws.one_in("of checkpoint", 2) {
        trigger.checkpoint = Some(draws.number("checkpoint", 1, checkpoints));
    }
    if of_attempt && trigger.checkpoint.is_none() && draws.one_in("of attempt", 4) {
        trigger.attempt = Some(draws.number("attempt", 2, 3) as u32);
    }
    if per_subtask && draws.one_in("of subtask", 4) {
        trigger.subtask = Some(draws.number("subtask", 0, parallelism - 1) as u16);
    }
    let each = if per_subtask && trigger.subtask.is_none() { parallelism } else { 1 };
    let times = match row.occasion {
        Occasion::Periodic => checkpoints,
        Occasion::Failure => 2,
        _ if of_checkpoint && trigger.checkpoint.is_none() => checkpoints,
        // Once or twice; the second time in the next attempt.
        _ => 2,
    };
    let most = each * times;
    // Early matches are more likely to come.
    trigger.nth = draws.nth("nth", 0, 1, most).min(draws.nth("nth", 1, 1, most)) as u32;
    trigger
}
