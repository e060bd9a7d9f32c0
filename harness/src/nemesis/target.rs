//! Finds the victims of a fault: turns roles into nodes at the moment of the strike.

use flowquake_engine::env::draw_between;

use super::{LEADER, LEADER_LINK, STANDBY, Striking, TASK_LINK, TASK_MANAGER};
use crate::plan::NodeTarget;

/// Which node has which role.
pub(super) struct Cast {
    /// The JobManager that was the last to open a term; `jm-1` before the first term.
    pub(super) leader: String,
    job_managers: Vec<String>,
    task_managers: Vec<String>,
}

impl Cast {
    pub(super) fn new(job_managers: u32, task_managers: u32) -> Self {
        let named = |kind: &str, count| (1..=count).map(|n| format!("{kind}-{n}")).collect();
        Self {
            leader: "jm-1".into(),
            job_managers: named("jm", job_managers),
            task_managers: named("tm", task_managers),
        }
    }

    /// All nodes except this one.
    fn others(&self, node: &str) -> Vec<String> {
        self.job_managers.iter().chain(&self.task_managers).filter(|other| *other != node).cloned().collect()
    }

    /// The role of a node.
    fn role(&self, node: &str) -> &'static str {
        if node == self.leader {
            LEADER
        } else if self.is_task_manager(node) {
            TASK_MANAGER
        } else {
            STANDBY
        }
    }

    /// The role of a link.
    fn link_role(&self, from: &str, to: &str) -> &'static str {
        if self.is_task_manager(from) && self.is_task_manager(to) { TASK_LINK } else { LEADER_LINK }
    }

    fn is_task_manager(&self, node: &str) -> bool {
        self.task_managers.iter().any(|name| name == node)
    }
}

/// Two nodes.
pub(crate) type Link = (String, String);

impl Striking<'_> {
    /// The node that a target stands for at this moment, or why there is none.
    pub(crate) fn node(&self, target: &NodeTarget) -> Result<String, String> {
        let (cast, emitter) = (&self.nemesis.cast, &self.blow.origin.emitter);
        match target {
            NodeTarget::Node(name) => Ok(name.clone()),
            NodeTarget::Emitter => emitter.clone().ok_or_else(|| "no event has triggered it".into()),
            NodeTarget::Leader => Ok(self.leader()),
            NodeTarget::Standby => {
                let mut standbys = cast.job_managers.iter().filter(|name| **name != cast.leader);
                standbys.find(|name| self.world.is_alive(name)).cloned().ok_or_else(|| "no standby is up".into())
            }
            NodeTarget::TaskManager => match emitter {
                Some(emitter) if cast.is_task_manager(emitter) => Ok(emitter.clone()),
                _ => self.drawn("nemesis task-manager", &[]),
            },
            NodeTarget::Peer => {
                let task_manager = self.node(&NodeTarget::TaskManager)?;
                self.drawn("nemesis peer", &[task_manager])
            }
        }
    }

    /// The nodes that targets stand for at this moment, each once.
    pub(crate) fn nodes(&self, targets: &[NodeTarget]) -> Result<Vec<String>, String> {
        let mut nodes: Vec<String> = Vec::new();
        for target in targets {
            let node = self.node(target)?;
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// Both ends of a link, or why there is none. Two roles may turn out to be the same node.
    pub(crate) fn link(&self, from: &NodeTarget, to: &NodeTarget) -> Result<Link, String> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        if from == to { Err(format!("both ends are {from}")) } else { Ok((from, to)) }
    }

    /// The leading JobManager.
    pub(crate) fn leader(&self) -> String {
        self.nemesis.cast.leader.clone()
    }

    /// All nodes except this one.
    pub(crate) fn others(&self, node: &str) -> Vec<String> {
        self.nemesis.cast.others(node)
    }

    /// The role of a node.
    pub(crate) fn role(&self, node: &str) -> &'static str {
        self.nemesis.cast.role(node)
    }

    /// The role of a link.
    pub(crate) fn link_role(&self, from: &str, to: &str) -> &'static str {
        self.nemesis.cast.link_role(from, to)
    }

    /// A TaskManager drawn from those that are up.
    fn drawn(&self, purpose: &str, except: &[String]) -> Result<String, String> {
        let up = |name: &&String| !except.contains(name) && self.world.is_alive(name);
        let candidates: Vec<&String> = self.nemesis.cast.task_managers.iter().filter(up).collect();
        let Some(last) = candidates.len().checked_sub(1) else {
            return Err("no TaskManager is up that it could strike".into());
        };
        Ok(candidates[draw_between(self.draw(purpose), 0, last as u64) as usize].clone())
    }
}
