//! Rules for faults: what a trigger names must exist and be able to come about, and what is struck must be there to be struck.
//!
//! Start at [`check`]. Triggers are judged in `trigger` (with `events`: which event a job can emit, and who emits it), victims
//! in `target`, and what each kind of fault does in the file of its family. `lengths` holds every duration of a fault.

use crate::checker::JobEntry;
use crate::checker::{Finding, Rules};
use crate::faults::Kind;
use crate::plan::{FaultAction, RunPlan};

mod lengths;
mod network;
mod process;
mod storage;
mod trigger;

pub(super) use lengths::lengths;

pub(super) fn check(plan: &RunPlan, entry: Option<&JobEntry>, lines: Option<u64>, found: &mut Vec<Finding>) {
    for (id, fault) in (1..).zip(&plan.faults) {
        let path = format!("faults[{}]", id - 1);
        if fault.id != id {
            let message = format!("fault {id} of the plan has the id {}", fault.id);
            let help =
                format!("faults are numbered from 1 in their order: write {id}, and adapt `after_fault` elsewhere");
            found.push(Finding::new("bad-fault-id", message, help).at(format!("{path}.id"), format!("must be {id}")));
        }
        let mut rules = Rules { plan, entry, lines, id, fault, path, found };
        rules.trigger();
        rules.lengths();
        rules.action();
    }
}

impl Rules<'_> {
    fn action(&mut self) {
        let fault = self.fault;
        match &fault.action {
            FaultAction::Kill { targets, restart_after, .. } => self.kill(targets, restart_after.is_none()),
            FaultAction::CrashLoop { target, times, .. } => {
                self.target_exists(target, "crash-loop.target");
                self.at_least((*times).into(), 1, "crash-loop.times", "the node would never die");
            }
            FaultAction::Pause { target, .. } => drop(self.target_exists(target, "pause.target")),
            FaultAction::Slow { target, work, factor, .. } => self.slow(target, *work, *factor),
            FaultAction::UserCode { target, .. } => self.runs_tasks(target, "user-code.target"),
            FaultAction::Poison { split, position, times } => self.poison(*split, *position, *times),
            FaultAction::Cut { from, to, .. } => self.cut(from, to),
            FaultAction::Isolate { target, .. } => drop(self.target_exists(target, "isolate.target")),
            FaultAction::Flap { from, to, times, .. } => {
                self.link(from, to, "flap.from", "flap.to");
                self.at_least((*times).into(), 1, "flap.times", "the link would never be cut");
            }
            FaultAction::Link { from, to, latency, bandwidth, .. } => {
                self.link(from, to, "link.from", "link.to");
                self.link_properties(*latency, *bandwidth);
            }
            FaultAction::Reset { target, peer: Some(peer), .. } => {
                self.link(target, peer, "reset.target", "reset.peer");
            }
            FaultAction::Reset { target, peer: None, .. } => drop(self.target_exists(target, "reset.target")),
            FaultAction::Refuse { target, .. } => drop(self.target_exists(target, "refuse.target")),
            FaultAction::HalfOpen { target, peer } => self.link(target, peer, "half-open.target", "half-open.peer"),
            FaultAction::Message { node, count, .. } => self.message(node.as_ref(), *count),
            FaultAction::SlowReceiver { target, rate, .. } => {
                self.target_exists(target, "slow-receiver.target");
                self.at_least(*rate, 1, "slow-receiver.rate", "cut the node off instead, with `isolate`");
            }
            FaultAction::Damage { file, .. } => self.damage(file),
            FaultAction::DamageLocal { target, how } => self.damage_local(target, *how),
            FaultAction::Store { node, how, count, .. } => self.store(node.as_ref(), *how, *count),
            FaultAction::Clock { target, how, .. } => self.clock(target, *how),
        }
        if matches!(Kind::of(&fault.action), Kind::LoseLeadership | Kind::RivalLeader) {
            self.leadership();
        }
    }
}
