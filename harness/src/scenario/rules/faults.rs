//! Rules for faults: what a trigger names must exist and be able to come about, and what is struck must be there to be struck.

use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::event::Event;

use super::{Finding, event_fields};
use crate::plan::{EventTrigger, FaultAction, FileKind, FileTarget, NodeTarget, RunPlan, Trigger};
use crate::scenario::catalogue::JobEntry;
use crate::scenario::{suggest, units};

/// The only JobManager there is.
const JOB_MANAGER: &str = "jm-1";

/// Events that only a JobManager emits: killing their emitter would kill it.
const JOB_MANAGER_EVENTS: &[&str] = &[
    "leadership-granted",
    "task-manager-registered",
    "task-manager-lost",
    "waiting-for-slots",
    "deployment-begun",
    "job-running",
    "failover-begun",
    "tasks-canceled",
    "restart-ready",
    "job-finished",
    "job-failed",
    "checkpoint-triggered",
    "checkpoint-acknowledged",
    "checkpoint-completed",
    "checkpoint-aborted",
    "checkpoint-subsumed",
    "completion-notified",
    "commit-acknowledged",
    "fell-back",
    "checkpoint-damaged",
    "heartbeat-sent",
    "sink-aborted",
];

/// What all rules of one fault look at.
struct Rules<'p> {
    plan: &'p RunPlan,
    entry: Option<&'p JobEntry>,
    id: u32,
    trigger: &'p Trigger,
    /// `faults[0]`.
    path: String,
    found: &'p mut Vec<Finding>,
}

pub(super) fn check(plan: &RunPlan, entry: Option<&JobEntry>, found: &mut Vec<Finding>) {
    for (id, fault) in (1..).zip(&plan.faults) {
        let path = format!("faults[{}]", id - 1);
        if fault.id != id {
            let message = format!("fault {id} of the plan has the id {}", fault.id);
            let help =
                format!("faults are numbered from 1 in their order: write {id}, and adapt `after_fault` elsewhere");
            found.push(Finding::new("bad-fault-id", message, help).at(format!("{path}.id"), format!("must be {id}")));
        }
        let mut rules = Rules { plan, entry, id, trigger: &fault.trigger, path, found };
        rules.trigger();
        rules.action(&fault.action);
    }
}

/// When the damage done by `action` is repaired, and the path of that value below the action.
pub(super) fn repair_after(action: &FaultAction) -> Option<(&'static str, Duration)> {
    match action {
        FaultAction::Kill { restart_after, .. } => restart_after.map(|after| ("kill.restart_after", after)),
        FaultAction::Cut { heal_after, .. } => heal_after.map(|after| ("cut.heal_after", after)),
        _ => None,
    }
}

impl Rules<'_> {
    fn push(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    fn trigger(&mut self) {
        let trigger = self.trigger;
        match trigger {
            Trigger::At(at) if *at >= self.plan.time_limit => {
                let (at, limit) = (units::format_duration(*at), units::format_duration(self.plan.time_limit));
                let message = format!("the fault strikes at {at}, but the run is stopped at {limit}");
                let help = "let it strike earlier, or raise `time_limit`";
                let path = format!("{}.trigger.at", self.path);
                let finding = Finding::new("never-strikes", message, help).at(path, "after the end");
                // Without a limit of its own, the scenario's input decides when the run ends.
                self.push(finding.at("time_limit", "the end").given("job.input"));
            }
            Trigger::At(_) => {}
            Trigger::On(on) | Trigger::Each(on) => self.event_trigger(on, format!("{}.trigger.on", self.path)),
            Trigger::Every { .. } => {}
        }
    }

    fn event_trigger(&mut self, on: &EventTrigger, path: String) {
        match Event::CATALOGUE.iter().any(|(name, _)| *name == on.event) {
            true => self.carried_fields(on, &path),
            false => self.push(unknown_event(&on.event, format!("{path}.event"))),
        }
        let from_one = [
            ("checkpoint", on.checkpoint == Some(0), "checkpoints are numbered from 1"),
            (
                "attempt",
                on.attempt == Some(0),
                "attempts are numbered from 1; the first one runs until the first failover",
            ),
            ("nth", on.nth == 0, "write 1 for the first match, 2 for the second; in a scenario it may be left out"),
        ];
        for (field, _, help) in from_one.into_iter().filter(|(_, zero, _)| *zero) {
            let finding = Finding::new("counts-from-one", format!("`{field}` cannot be 0"), help);
            self.push(finding.at(format!("{path}.{field}"), "counts from 1"));
        }
        let job = &self.plan.job.name;
        if let (Some(vertex), Some(entry)) = (on.vertex, self.entry)
            && vertex >= entry.vertices
        {
            let message = format!("job `{job}` has no vertex {vertex}");
            let help = match entry.vertices {
                1 => "its only vertex is 0".to_owned(),
                n => format!("its {n} vertices are numbered from 0 (the sources) to {}", n.saturating_sub(1)),
            };
            let finding = Finding::new("no-such-vertex", message, help).at(format!("{path}.vertex"), "no such vertex");
            self.push(finding.given("job.name"));
        }
        let parallelism = self.plan.job.config.parallelism;
        if let Some(subtask) = on.subtask.filter(|subtask| *subtask >= parallelism) {
            let message = format!("there is no subtask {subtask} at parallelism {parallelism}");
            let help = format!("subtasks are numbered from 0 to {}", parallelism.saturating_sub(1));
            let finding =
                Finding::new("no-such-subtask", message, help).at(format!("{path}.subtask"), "no such subtask");
            self.push(finding.given("job.config.parallelism"));
        }
        if let Some(node) = &on.node {
            self.node_exists(node, format!("{path}.node"));
        }
        if let Some(after) = on.after_fault {
            self.after_fault(after, format!("{path}.after_fault"));
        }
    }

    /// A filter on something that the event does not carry never matches.
    fn carried_fields(&mut self, on: &EventTrigger, path: &str) {
        let Some(sample) = event_fields::sample(&on.event) else { return };
        let filters = [
            ("checkpoint", on.checkpoint.is_some(), sample.checkpoint().is_some()),
            ("vertex", on.vertex.is_some(), sample.subtask().is_some()),
            ("subtask", on.subtask.is_some(), sample.subtask().is_some()),
            ("attempt", on.attempt.is_some(), sample.attempt().is_some()),
        ];
        let carried: Vec<&str> = filters.iter().filter(|(_, _, has)| *has).map(|(field, _, _)| *field).collect();
        for (field, _, _) in filters.iter().filter(|(_, asked, has)| *asked && !*has) {
            let message = format!("event `{}` belongs to no {field}, so this trigger would never match", on.event);
            let help = match carried.as_slice() {
                [] => format!("remove `{field}`; this event can be told apart by `node` and `nth` only"),
                carried => {
                    format!("remove `{field}`; besides `node` and `nth` this event takes {}", suggest::quoted(carried))
                }
            };
            let finding =
                Finding::new("never-matches", message, help).at(format!("{path}.{field}"), "not part of this event");
            self.push(finding.given(format!("{path}.event")));
        }
    }

    fn after_fault(&mut self, after: u32, path: String) {
        let (id, last) = (self.id, self.plan.faults.len());
        let what = if after == id {
            format!("fault {id} waits for itself")
        } else if after == 0 || u64::from(after) > last as u64 {
            format!("fault {id} waits for fault {after}, but there are {last}, numbered from 1")
        } else if after > id {
            format!("fault {id} waits for fault {after}, which comes later")
        } else {
            return;
        };
        let help = match id {
            1 => "the first fault has none before it: remove `after_fault`".to_owned(),
            2 => "write 1, the only fault before it".to_owned(),
            id => format!("write 1 to {}, a fault that stands before this one", id - 1),
        };
        self.push(Finding::new("bad-order", what, help).at(path, "not a fault before this one").given("faults"));
    }

    fn action(&mut self, action: &FaultAction) {
        let path = format!("{}.action", self.path);
        match action {
            FaultAction::Kill { targets, .. } => {
                for target in targets {
                    self.kill(target, format!("{path}.kill.target"));
                }
            }
            FaultAction::Cut { from, to, heal_after, .. } => {
                if heal_after.is_some_and(|after| after.is_zero()) {
                    let help =
                        "write how long the link stays cut, such as \"3s\", or leave it out: then it never heals";
                    let finding = Finding::new("no-time", "`heal_after` is zero: the link would never be cut", help);
                    self.push(finding.at(format!("{path}.cut.heal_after"), "more than zero"));
                }
                for (from, to) in from.iter().zip(to) {
                    self.cut(from, to, &format!("{path}.cut"));
                }
            }
            FaultAction::Damage { file, .. } => self.damage(file, format!("{path}.damage")),
            _ => {}
        }
    }

    fn kill(&mut self, target: &NodeTarget, path: String) {
        if !self.target_exists(target, path.clone()) {
            return;
        }
        let (is_leader, why) = match (target, self.trigger) {
            (NodeTarget::Leader, _) => (true, "the leader is the only JobManager, `jm-1`".to_owned()),
            (NodeTarget::Node(name), _) => (name == JOB_MANAGER, "`jm-1` is the only JobManager".to_owned()),
            (NodeTarget::Emitter, Trigger::On(on) | Trigger::Each(on)) => (
                JOB_MANAGER_EVENTS.contains(&on.event.as_str()) || on.node.as_deref() == Some(JOB_MANAGER),
                format!("the emitter of `{}` is the only JobManager, `jm-1`", on.event),
            ),
            _ => (false, String::new()),
        };
        if is_leader {
            let message = format!("{why}: a job without JobManager high availability cannot survive this");
            let help = format!("strike a TaskManager: {}", self.task_managers());
            let finding = Finding::new("kills-job-manager", message, help).at(path, "the only JobManager");
            let given = format!("{}.trigger", self.path);
            self.push(finding.given(given).given("cluster.task_managers"));
        }
    }

    fn cut(&mut self, from: &NodeTarget, to: &NodeTarget, path: &str) {
        let both = self.target_exists(from, format!("{path}.from"));
        // Both ends are written in one value: one complaint about a lone `emitter` is enough.
        if from == to && !both {
            return;
        }
        if !(self.target_exists(to, format!("{path}.to")) && both) {
            return;
        }
        if let (Some(node), true) = (self.node_of(from), self.node_of(from) == self.node_of(to)) {
            let message = format!("this link joins {node} to itself");
            let help = format!("name two different nodes; there are {}", self.nodes());
            let finding =
                Finding::new("link-to-itself", message, help).at(format!("{path}.from"), "the same node twice");
            let given = format!("{}.trigger", self.path);
            self.push(finding.given(format!("{path}.to")).given(given));
        }
    }

    fn damage(&mut self, file: &FileTarget, path: String) {
        let action = format!("{}.action", self.path);
        if file.checkpoint == Some(0) {
            let finding =
                Finding::new("counts-from-one", "`checkpoint` cannot be 0", "checkpoints are numbered from 1");
            self.push(finding.at(format!("{path}.file.checkpoint"), "counts from 1"));
        }
        if file.kind != FileKind::State {
            if file.index > 0 {
                let help = "write index = 0, or leave it out; state files may be several";
                let finding = Finding::new("no-such-file", "a checkpoint has one manifest only", help);
                self.push(finding.at(format!("{path}.file.index"), "must be 0"));
            }
            return;
        }
        let kind = format!("{path}.file.kind");
        if self.plan.job.config.backend == BackendKind::Memory {
            let message = "with backend `memory` a checkpoint has no state files: its state lies in the manifest";
            let help = "damage the manifest (kind = \"manifest\"), or write backend = \"fs\" or \"rocksdb\"";
            let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
            self.push(finding.at("job.config.backend", "keeps state in the manifest").given(action));
        } else if self.entry.is_some_and(|entry| !entry.keyed) {
            let message =
                format!("job `{}` keeps no keyed state, so its checkpoints have no state files", self.plan.job.name);
            let help = "damage the manifest (kind = \"manifest\"), or choose a job with keyed state";
            let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
            self.push(finding.given("job.name").given(action));
        }
    }

    /// Whether the target can be told at all; says why not.
    fn target_exists(&mut self, target: &NodeTarget, path: String) -> bool {
        match (target, self.trigger) {
            (NodeTarget::Node(name), _) => self.node_exists(name, path),
            (NodeTarget::Emitter, Trigger::At(_) | Trigger::Every { .. }) => {
                let message = "a fault at a time has no emitter: no event has triggered it";
                let help = format!("name a node: {}; or strike at an event, with `on`", self.nodes());
                let trigger = format!("{}.trigger.at", self.path);
                let finding = Finding::new("no-emitter", message, help).at(path, "emitter of what?");
                self.push(finding.at(trigger, "a time, not an event"));
                false
            }
            _ => true,
        }
    }

    fn node_exists(&mut self, name: &str, path: String) -> bool {
        let number = name.strip_prefix("tm-").and_then(|number| number.parse::<u32>().ok());
        let exists = name == JOB_MANAGER
            || number.is_some_and(|n| (1..=self.plan.cluster.task_managers).contains(&n) && name == format!("tm-{n}"));
        if !exists {
            let names: Vec<String> = (1..=self.plan.cluster.task_managers.min(99)).map(|n| format!("tm-{n}")).collect();
            let names: Vec<&str> = [JOB_MANAGER].into_iter().chain(names.iter().map(String::as_str)).collect();
            // Another number is no slip of the keyboard: `tm-4` for `tm-3` would be a guess.
            let guess = suggest::nearest(name, &names).filter(|_| number.is_none());
            let help = suggest::guess_then(guess, &format!("this cluster has the nodes {}", self.nodes()));
            let finding =
                Finding::new("no-such-node", format!("there is no node `{name}`"), help).at(path, "no such node");
            self.push(finding.given("cluster.task_managers"));
        }
        exists
    }

    /// The node that a target stands for, where that is known before the run.
    fn node_of<'t>(&'t self, target: &'t NodeTarget) -> Option<&'t str> {
        match (target, self.trigger) {
            (NodeTarget::Node(name), _) => Some(name),
            (NodeTarget::Leader, _) => Some(JOB_MANAGER),
            (NodeTarget::Emitter, Trigger::On(on) | Trigger::Each(on))
                if JOB_MANAGER_EVENTS.contains(&on.event.as_str()) =>
            {
                Some(JOB_MANAGER)
            }
            (NodeTarget::Emitter, Trigger::On(on) | Trigger::Each(on)) => {
                Some(on.node.as_deref().unwrap_or("the emitter"))
            }
            _ => None,
        }
    }

    fn nodes(&self) -> String {
        format!("{JOB_MANAGER}, {}", self.task_managers())
    }

    fn task_managers(&self) -> String {
        match self.plan.cluster.task_managers {
            n @ 0..=4 => (1..=n).map(|n| format!("tm-{n}")).collect::<Vec<_>>().join(", "),
            n => format!("tm-1 to tm-{n}"),
        }
    }
}

fn unknown_event(name: &str, path: String) -> Finding {
    let names: Vec<&str> = Event::CATALOGUE.iter().map(|(name, _)| *name).collect();
    let guess = suggest::nearest(name, &names);
    let meaning = Event::CATALOGUE.iter().find(|(name, _)| Some(*name) == guess).map(|(_, meaning)| meaning.trim());
    let help = match (guess, meaning) {
        (Some(guess), Some(meaning)) => format!("did you mean `{guess}`? {meaning}"),
        _ => format!("accepted: {}", suggest::quoted(&names)),
    };
    Finding::new("unknown-event", format!("no event is called `{name}`"), help).at(path, "unknown event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_job_manager_are_in_the_catalogue() {
        for name in JOB_MANAGER_EVENTS {
            assert!(Event::CATALOGUE.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
