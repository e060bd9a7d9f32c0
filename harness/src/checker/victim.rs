//! Rules for victims: a named node must exist, some node must have the role, and a fault that needs a TaskManager must
//! strike one.

use super::events::{self, Emitter};
use super::{Finding, Rules};
use crate::plan::{NodeTarget, Trigger};
use crate::reader::suggest;

/// What is known before the run about the node that a target stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// The node is this one.
    Node(String),
    /// The leading JobManager, whichever node that is.
    Leader,
    /// A JobManager that does not lead.
    Standby,
    /// Some JobManager.
    JobManager,
    /// The TaskManager that emits the event, whichever node that is.
    EmittingTaskManager,
    /// Some TaskManager.
    TaskManager,
    /// Nothing.
    Unknown,
}

impl Known {
    /// Whether it is a JobManager; `None` if that is not known before the run.
    pub(crate) fn is_job_manager(&self) -> Option<bool> {
        match self {
            Known::Node(name) => Some(name.starts_with("jm-")),
            Known::Leader | Known::Standby | Known::JobManager => Some(true),
            Known::EmittingTaskManager | Known::TaskManager => Some(false),
            Known::Unknown => None,
        }
    }

    /// Whether it is certainly the same node as `other`.
    pub(crate) fn is(&self, other: &Known) -> bool {
        self == other && matches!(self, Known::Node(_) | Known::Leader | Known::EmittingTaskManager)
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Known::Node(name) => name.clone(),
            Known::Leader => "the leader".to_owned(),
            Known::Standby => "a standby".to_owned(),
            Known::JobManager => "a JobManager".to_owned(),
            Known::EmittingTaskManager => "the emitter".to_owned(),
            Known::TaskManager => "a TaskManager".to_owned(),
            Known::Unknown => "a node".to_owned(),
        }
    }
}

impl Rules<'_> {
    /// Refuses a target that can be no node of this plan. `below` is its path below the action.
    pub(crate) fn target_exists(&mut self, target: &NodeTarget, below: &str) -> bool {
        let path = self.at(below);
        match target {
            NodeTarget::Node(name) => return self.node_exists(name, path),
            NodeTarget::Emitter if matches!(self.fault.trigger, Trigger::At(_) | Trigger::Every { .. }) => {
                let message = "a fault at a time has no emitter: no event has triggered it";
                let help = format!("name a node: {}; or strike at an event, with `on`", self.nodes());
                let trigger = match self.fault.trigger {
                    Trigger::At(_) => format!("{}.at", self.trigger_path()),
                    _ => format!("{}.every.first", self.trigger_path()),
                };
                let finding = Finding::new("no-emitter", message, help).at(path, "emitter of what?");
                self.push(finding.at(trigger, "a time, not an event").given(self.trigger_path()));
            }
            NodeTarget::Standby if self.plan.cluster.job_managers < 2 => {
                let message = "there is no standby: this cluster has one JobManager";
                let help = "write job_managers = 2 into [cluster], or strike the leader";
                let finding = Finding::new("no-standby", message, help).at(path, "no such role here");
                self.push(finding.at("cluster.job_managers", "one JobManager"));
            }
            NodeTarget::Peer if self.plan.cluster.task_managers < 2 => {
                let message = "there is no peer: this cluster has one TaskManager";
                let help = "write task_managers = 2 or more into [cluster], or strike `task-manager`";
                let finding = Finding::new("no-peer", message, help).at(path, "no such role here");
                self.push(finding.at("cluster.task_managers", "one TaskManager"));
            }
            _ => return true,
        }
        false
    }

    pub(crate) fn node_exists(&mut self, name: &str, path: String) -> bool {
        let exists = [("jm-", self.plan.cluster.job_managers), ("tm-", self.plan.cluster.task_managers)]
            .into_iter()
            .any(|(kind, count)| number(name, kind).is_some_and(|n| (1..=count).contains(&n)));
        if !exists {
            let few = |kind: &'static str, count: u32| (1..=count.min(99)).map(move |n| format!("{kind}{n}"));
            let cluster = &self.plan.cluster;
            let names: Vec<String> =
                few("jm-", cluster.job_managers).chain(few("tm-", cluster.task_managers)).collect();
            let names: Vec<&str> = names
                .iter()
                .map(String::as_str)
                .chain(["emitter", "leader", "standby", "task-manager", "peer"])
                .collect();
            // A name with another number is not corrected: `tm-4` for `tm-3` would be a guess.
            let numbered = number(name, "tm-").or(number(name, "jm-")).is_some();
            let short = short(name).filter(|short| names.contains(&short.as_str()));
            let guess = short.as_deref().or_else(|| suggest::nearest(name, &names).filter(|_| !numbered));
            let help = suggest::guess_then(guess, &format!("this cluster has the nodes {}", self.nodes()));
            let finding =
                Finding::new("no-such-node", format!("there is no node `{name}`"), help).at(path, "no such node");
            self.push(finding.given("cluster.task_managers").given("cluster.job_managers"));
        }
        exists
    }

    /// The target must be a node that runs tasks.
    pub(crate) fn runs_tasks(&mut self, target: &NodeTarget, below: &str) {
        if self.target_exists(target, below) && self.known(target).is_job_manager() == Some(true) {
            let message = format!("{} runs no tasks: this fault strikes TaskManagers", self.known(target).describe());
            let help = format!("strike `task-manager`, or one of {}", self.task_managers());
            let finding = Finding::new("wrong-victim", message, help).at(self.at(below), "a JobManager");
            self.push(finding.given(self.trigger_path()));
        }
    }

    /// What is known before the run about the node that a target stands for.
    pub(crate) fn known(&self, target: &NodeTarget) -> Known {
        let single = self.plan.cluster.job_managers == 1;
        let only = || Known::Node("jm-1".to_owned());
        match target {
            NodeTarget::Node(name) => Known::Node(name.clone()),
            NodeTarget::Leader if single => only(),
            NodeTarget::Leader => Known::Leader,
            NodeTarget::Standby => Known::Standby,
            NodeTarget::Emitter => match &self.fault.trigger {
                Trigger::On(on) | Trigger::Each(on) if on.node.is_some() => {
                    on.node.clone().map_or(Known::Unknown, Known::Node)
                }
                Trigger::On(on) => match events::emitter(&on.event) {
                    Emitter::Leader | Emitter::JobManager if single => only(),
                    Emitter::Leader => Known::Leader,
                    Emitter::JobManager => Known::JobManager,
                    Emitter::TaskManager => Known::EmittingTaskManager,
                    Emitter::Any => Known::Unknown,
                },
                _ => Known::Unknown,
            },
            NodeTarget::TaskManager => match self.known(&NodeTarget::Emitter) {
                emitter if emitter.is_job_manager() == Some(false) => emitter,
                _ => Known::TaskManager,
            },
            NodeTarget::Peer => Known::TaskManager,
        }
    }

    pub(crate) fn nodes(&self) -> String {
        format!("{}, {}", several("jm-", self.plan.cluster.job_managers), self.task_managers())
    }

    pub(crate) fn task_managers(&self) -> String {
        several("tm-", self.plan.cluster.task_managers)
    }
}

/// The number in a node's name that begins with `kind`, if the name is well-formed.
fn number(name: &str, kind: &str) -> Option<u32> {
    let number = name.strip_prefix(kind)?.parse().ok()?;
    (name == format!("{kind}{number}")).then_some(number)
}

fn several(kind: &str, count: u32) -> String {
    match count {
        n @ 0..=4 => (1..=n).map(|n| format!("{kind}{n}")).collect::<Vec<_>>().join(", "),
        n => format!("{kind}1 to {kind}{n}"),
    }
}

/// Changes `jobmanager-1`, `TaskManager 2`, `tm3` to the names of nodes: `jm-1`, `tm-2`, `tm-3`.
fn short(name: &str) -> Option<String> {
    let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let number: u32 = name.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()?;
    let kind = match letters.as_str() {
        "jobmanager" | "jm" | "master" => "jm",
        "taskmanager" | "tm" | "worker" => "tm",
        _ => return None,
    };
    Some(format!("{kind}-{number}"))
}
