//! Changes to a plan: what a hunt tries next, based on a plan that showed something new.
//!
//! Start at [`mutate`]. A change touches one thing and leaves every other draw as it was, because draws are named. (If
//! random bytes drove the whole run, each change would draw everything anew.) All changes keep the budgets of the
//! plan's swarm, so that a correct engine survives them: faults are drawn by the swarm itself, or moved among the nodes
//! that it may strike.
//!
//! Invariants: (MUTATE-1) faults are numbered by their positions, and wait only for earlier faults; (MUTATE-2) only
//! TaskManagers that the plan's swarm may strike are struck.

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::event::{Event, EventRow, Occasion};
use serde_json::Value;

use crate::draws::Draws;
use crate::faults::Kind;
use crate::plan::{FaultPlan, Redraw, RunPlan, Trigger};
use crate::swarm::Swarm;

/// A plan with more faults than this would be unreadable.
const FAULTS_MAX: usize = 30;

/// Events between a failure and the job's first record after it. A second fault there meets code that is rarely tested.
const RECOVERY: [&str; 10] = [
    "task-manager-lost",
    "failover-begun",
    "tasks-canceled",
    "restart-ready",
    "waiting-for-slots",
    "deployment-begun",
    "restore-begun",
    "restore-ended",
    "task-running",
    "job-running",
];

/// One sort of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Another order of runnable tasks.
    Schedule,
    /// All timing drawn anew after some event.
    Timing,
    /// A fault strikes at a neighbouring event, at another match, or a little earlier or later.
    Trigger,
    /// A fault strikes another victim.
    Victim,
    /// A fault becomes another kind of fault.
    Kind,
    /// One more fault strikes while the job recovers.
    Recovery,
    /// One more fault, anywhere.
    More,
    /// The faults of another plan follow some of this one's.
    Splice,
    /// One fault less.
    Fewer,
}

impl Change {
    /// All of them.
    pub const ALL: [Change; 9] = [
        Change::Schedule,
        Change::Timing,
        Change::Trigger,
        Change::Victim,
        Change::Kind,
        Change::Recovery,
        Change::More,
        Change::Splice,
        Change::Fewer,
    ];
}

/// What a change is made from.
pub struct Ground<'g> {
    /// The swarm that the plan was drawn by.
    pub swarm: &'g Swarm,
    /// How often each event was emitted when the plan was run.
    pub emitted: &'g BTreeMap<String, u64>,
    /// Another plan of the same scenario.
    pub other: Option<&'g RunPlan>,
    /// Names the draws of this change.
    pub seed: u64,
}

/// The plan with one change; `None` if this change cannot be made. The caller must still check whether the result keeps
/// the rules of plans.
pub fn mutate(plan: &RunPlan, change: Change, ground: &Ground<'_>) -> Option<RunPlan> {
    let draws = Draws { seed: ground.seed, entity: 0 };
    let mut next = plan.clone();
    let at = draws.number("fault", 0, (plan.faults.len() as u64).saturating_sub(1)) as usize;
    match change {
        Change::Schedule => next.scheduling_seed = draws.number("schedule", 0, u64::MAX),
        Change::Timing => {
            let events: u64 = ground.emitted.values().sum();
            let after_events = draws.number("behind", 0, events.saturating_sub(1));
            next.redraws.retain(|redraw| redraw.after_events < after_events);
            next.redraws.push(Redraw { after_events, seed: draws.number("timing", 0, u64::MAX) });
        }
        Change::Trigger => {
            let fault = next.faults.get_mut(at)?;
            move_trigger(fault, ground, &draws)?;
        }
        Change::Victim => {
            let fault = next.faults.get(at)?;
            next.faults[at] = other_victim(fault, plan, ground, &draws)?;
        }
        Change::Kind => {
            let fault = next.faults.get(at)?;
            let mut other = ground.swarm.another(plan, None, ground.seed, fault.id)?;
            // What triggers one kind of fault can trigger another, unless the fault names the emitter as its victim.
            if !names_emitter(&other) && !names_emitter(fault) {
                (other.trigger, other.delay) = (fault.trigger.clone(), fault.delay);
            }
            next.faults[at] = other;
        }
        Change::Recovery => {
            let id = next.faults.len() as u32 + 1;
            let mut fault = ground.swarm.another(plan, None, ground.seed, id)?;
            let after = draws.number("after", 1, u64::from(id) - 1) as u32;
            if let Trigger::On(on) = &mut fault.trigger
                && !names_emitter_of(&fault.action)
            {
                on.event = draws.one_of("recovery", RECOVERY).to_owned();
                (on.checkpoint, on.subtask, on.vertex, on.attempt, on.node) = (None, None, None, None, None);
                on.nth = draws.number("nth", 1, 3) as u32;
                (on.after_fault, on.after) = (Some(after), None);
            }
            next.faults.push(fault);
        }
        Change::More => {
            let id = next.faults.len() as u32 + 1;
            next.faults.push(ground.swarm.another(plan, None, ground.seed, id)?);
        }
        Change::Splice => {
            let other = ground.other?;
            let keep = draws.number("keep", 1, next.faults.len().max(1) as u64) as usize;
            next.faults.truncate(keep);
            let from = draws.number("from", 0, (other.faults.len() as u64).saturating_sub(1)) as usize;
            let theirs =
                other.faults.iter().skip(from).filter_map(|fault| moved_over(fault, other, plan, ground.swarm));
            next.faults.extend(theirs);
        }
        Change::Fewer => {
            if next.faults.len() < 2 {
                return None;
            }
            next.faults.remove(at);
        }
    }
    next.faults.truncate(FAULTS_MAX);
    number_anew(&mut next.faults);
    // The prediction belongs to the old plan (PLAN-P2).
    next.prediction = None;
    (next != *plan && !next.faults.is_empty() && ground.swarm.is_within(&next)).then_some(next)
}

/// Numbers the faults by their positions (MUTATE-1).
fn number_anew(faults: &mut [FaultPlan]) {
    for (id, fault) in (1..).zip(faults.iter_mut()) {
        fault.id = id;
        if let Trigger::On(on) | Trigger::Each(on) = &mut fault.trigger {
            on.after_fault = on.after_fault.filter(|after| *after < id);
        }
    }
}

fn move_trigger(fault: &mut FaultPlan, ground: &Ground<'_>, draws: &Draws) -> Option<()> {
    let on = match &mut fault.trigger {
        Trigger::At(at) | Trigger::Every { first: at, .. } => {
            // Moves the time by up to a tenth, earlier or later.
            let permille = draws.number("moved", 900, 1_100) as u32;
            *at = (*at * permille / 1_000).min(ground.swarm.until);
            return Some(());
        }
        Trigger::On(on) => on,
        Trigger::Each(_) => return None,
    };
    match draws.number("how", 0, 4) {
        0 | 1 => {
            on.event = neighbour(&on.event, ground, draws)?.to_owned();
            // The neighbouring event may carry fewer fields.
            let row = Event::row(&on.event)?;
            let carries = |carried| carried == flowquake_engine::event::Carried::Always;
            on.checkpoint = on.checkpoint.filter(|_| carries(row.checkpoint));
            on.attempt = on.attempt.filter(|_| carries(row.attempt));
            if !carries(row.subtask) {
                (on.subtask, on.vertex) = (None, None);
            }
        }
        2 => match on.checkpoint.as_mut() {
            Some(checkpoint) => {
                *checkpoint = draws.number("checkpoint", checkpoint.saturating_sub(2).max(1), *checkpoint + 2)
            }
            None => {
                on.nth = draws.number("nth", u64::from(on.nth.saturating_sub(3).max(1)), u64::from(on.nth) + 3) as u32
            }
        },
        3 => fault.delay = if fault.delay.is_zero() { draws.millis("delay", 1, 500) } else { Duration::ZERO },
        _ => on.nth = if on.nth > 1 { 1 } else { draws.number("nth", 2, 8) as u32 },
    }
    Some(())
}

/// An event that is near this one in the event catalogue, among those that the run emitted.
fn neighbour(event: &str, ground: &Ground<'_>, draws: &Draws) -> Option<&'static str> {
    let is_there = |row: &&EventRow| {
        row.name == event
            || (ground.emitted.get(row.name).is_some_and(|times| *times > 0) && row.occasion != Occasion::End)
    };
    let rows: Vec<&EventRow> = Event::ROWS.iter().filter(is_there).collect();
    let at = rows.iter().position(|row| row.name == event)?;
    let near: Vec<&'static str> = rows[at.saturating_sub(3)..(at + 4).min(rows.len())]
        .iter()
        .map(|row| row.name)
        .filter(|name| *name != event)
        .collect();
    draws.pick("neighbour", &near)
}

/// The fault with another TaskManager, of those that may be struck, as its victim. A fault that strikes no TaskManager
/// is drawn anew.
fn other_victim(fault: &FaultPlan, plan: &RunPlan, ground: &Ground<'_>, draws: &Draws) -> Option<FaultPlan> {
    let victims = ground.swarm.victims(plan);
    let text = serde_json::to_value(fault).ok()?;
    let mut named = Vec::new();
    nodes_of(&text, &mut named);
    let Some(old) = named.iter().find(|node| victims.contains(*node)) else {
        return ground.swarm.another(plan, Some(Kind::of(&fault.action)), ground.seed, fault.id);
    };
    let others: Vec<&String> = victims.iter().filter(|node| *node != old).collect();
    let new = draws.pick("victim", &others)?;
    let swap = BTreeMap::from([(old.clone(), new.clone()), (new.clone(), old.clone())]);
    renamed(fault, &swap)
}

/// The fault of another plan of the same scenario, with its victims replaced by those of `to` (MUTATE-2). `None`: it
/// does not fit there.
fn moved_over(fault: &FaultPlan, from: &RunPlan, to: &RunPlan, swarm: &Swarm) -> Option<FaultPlan> {
    let text = serde_json::to_value(fault).ok()?;
    if !ends(&text) && !swarm.bears_losses(to) {
        return None;
    }
    let sides = |plan: &RunPlan| -> [Vec<String>; 2] {
        let victims = swarm.victims(plan);
        let others = (1..=plan.cluster.task_managers).map(|n| format!("tm-{n}"));
        let others = others.filter(|node| !victims.contains(node)).collect();
        [victims, others]
    };
    let mut map = BTreeMap::new();
    for (theirs, ours) in sides(from).into_iter().zip(sides(to)) {
        map.extend(theirs.into_iter().zip(ours));
    }
    let mut named = Vec::new();
    nodes_of(&text, &mut named);
    let is_job_manager = |node: &str| node.strip_prefix("jm-").and_then(|n| n.parse::<u32>().ok());
    let fits = |node: &String| match is_job_manager(node) {
        Some(number) => number <= to.cluster.job_managers,
        None => map.contains_key(node),
    };
    named.iter().all(fits).then(|| renamed(fault, &map)).flatten()
}

/// Whether no part of the fault lasts forever.
fn ends(fault: &Value) -> bool {
    match fault {
        Value::Object(fields) => fields.iter().all(|(key, value)| {
            let is_end = ["restart_after", "heal_after", "resume_after"].contains(&key.as_str());
            !(is_end && value.is_null()) && ends(value)
        }),
        Value::Array(values) => values.iter().all(ends),
        _ => true,
    }
}

fn names_emitter(fault: &FaultPlan) -> bool {
    let by_node = matches!(&fault.trigger, Trigger::On(on) if on.node.is_some());
    by_node || names_emitter_of(&fault.action)
}

fn names_emitter_of(action: &crate::plan::FaultAction) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::String(text) => text == "emitter",
            Value::Object(fields) => fields.values().any(any),
            Value::Array(values) => values.iter().any(any),
            _ => false,
        }
    }
    serde_json::to_value(action).is_ok_and(|value| any(&value))
}

fn is_node(text: &str) -> bool {
    let number = text.strip_prefix("tm-").or(text.strip_prefix("jm-"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn nodes_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_node(text) => found.push(text.clone()),
        Value::Object(fields) => fields.values().for_each(|value| nodes_of(value, found)),
        Value::Array(values) => values.iter().for_each(|value| nodes_of(value, found)),
        _ => {}
    }
}

fn renamed(fault: &FaultPlan, names: &BTreeMap<String, String>) -> Option<FaultPlan> {
    fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
        match value {
            Value::String(text) => {
                if let Some(name) = names.get(text.as_str()) {
                    text.clone_from(name);
                }
            }
            Value::Object(fields) => fields.values_mut().for_each(|value| rename(value, names)),
            Value::Array(values) => values.iter_mut().for_each(|value| rename(value, names)),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(fault).ok()?;
    rename(&mut value, names);
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::catalogue;
    use crate::jobs::Jobs;
    use crate::scenario::plan_problems;
    use crate::search::hunt::tests::scenario_with;

    fn emitted() -> BTreeMap<String, u64> {
        Event::ROWS.iter().map(|row| (row.name.to_owned(), 3)).collect()
    }

    /// Many changes to many plans keep the numbering of faults, the budgets and, nearly always, the rules of plans.
    #[test]
    fn changed_plans_keep_to_the_budgets_of_their_swarm() {
        let (scenario, emitted) = (scenario_with("faults = [2, 8]\nvary = true"), emitted());
        let (swarm, catalogue) = (scenario.swarm().unwrap(), catalogue(&Jobs::builtin()));
        let (mut made, mut sound) = (BTreeMap::new(), 0);
        for seed in 1..40 {
            let (mut plan, other) = (scenario.plan(seed), scenario.plan(seed + 1_000));
            for n in 0..9 {
                let change = Change::ALL[(seed as usize + n) % Change::ALL.len()];
                let ground = Ground { swarm, emitted: &emitted, other: Some(&other), seed: seed * 100 + n as u64 };
                let Some(next) = mutate(&plan, change, &ground) else { continue };
                *made.entry(change).or_insert(0) += 1;
                assert!(next.faults.iter().enumerate().all(|(at, fault)| fault.id == at as u32 + 1), "MUTATE-1");
                let waits = |fault: &FaultPlan| match &fault.trigger {
                    Trigger::On(on) => on.after_fault.is_none_or(|after| after < fault.id),
                    _ => true,
                };
                assert!(next.faults.iter().all(waits), "MUTATE-1");
                let is_sound = plan_problems(&next, &catalogue).is_empty();
                sound += u32::from(is_sound);
                if is_sound {
                    plan = next;
                }
            }
            // Only nodes that may be struck are killed, isolated, or cut off for good.
            let victims: BTreeSet<String> = swarm.victims(&plan).into_iter().collect();
            for fault in &plan.faults {
                let (mut named, value) = (Vec::new(), serde_json::to_value(fault).unwrap());
                nodes_of(&value, &mut named);
                let struck = named.iter().filter(|node| node.starts_with("tm-")).collect::<BTreeSet<_>>();
                let links =
                    struck.len() > 1 || value.to_string().contains("peer") || value.to_string().contains("\"to\"");
                assert!(links || struck.iter().all(|node| victims.contains(*node)), "MUTATE-2: {fault:?} {victims:?}");
            }
        }
        let all: u32 = made.values().sum();
        assert!(Change::ALL.iter().all(|change| made.contains_key(change)), "{made:?}");
        assert!(sound * 10 > all * 7, "{sound} of {all} changed plans keep the rules: {made:?}");
    }

    #[test]
    fn a_change_leaves_all_else_as_it_was() {
        let (scenario, emitted) = (scenario_with("faults = [2, 8]\nvary = true"), emitted());
        let plan = scenario.plan(3);
        let ground = |seed| Ground { swarm: scenario.swarm().unwrap(), emitted: &emitted, other: None, seed };
        let timed = mutate(&plan, Change::Timing, &ground(1)).unwrap();
        assert_eq!(RunPlan { redraws: Vec::new(), ..timed.clone() }, RunPlan { prediction: None, ..plan.clone() });
        assert_eq!(mutate(&plan, Change::Timing, &ground(1)), Some(timed), "the same seed, the same change");
        let more = mutate(&plan, Change::Recovery, &ground(2)).unwrap();
        assert_eq!(more.faults[..plan.faults.len()], plan.faults[..]);
        assert_eq!(mutate(&plan, Change::Splice, &ground(3)), None, "there is no other plan");
        let none = RunPlan { faults: Vec::new(), ..plan };
        for change in [Change::Trigger, Change::Victim, Change::Kind, Change::Fewer] {
            assert_eq!(mutate(&none, change, &ground(4)), None, "{change:?} of no fault");
        }
    }
}
