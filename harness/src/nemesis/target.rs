//! Whom a fault strikes: from roles to nodes, at the moment of the strike.

use std::time::Duration;

use flowquake_engine::env::{draw, draw_between};

use super::{Blow, Cluster, Nemesis};
use crate::faults::{LEADER, LEADER_LINK, STANDBY, TASK_LINK, TASK_MANAGER};
use crate::plan::NodeTarget;

/// Madsim drops a killed node's tasks one by one; only after that may its next life begin.
pub(super) const RESTART_MIN: Duration = Duration::from_millis(1);

/// Who plays which role.
pub(super) struct Cast {
    /// The JobManager that opened a term last; `jm-1` before the first one.
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

    /// All nodes but one.
    pub(super) fn others(&self, node: &str) -> Vec<String> {
        self.job_managers.iter().chain(&self.task_managers).filter(|other| *other != node).cloned().collect()
    }

    /// The role that a node plays.
    pub(super) fn role(&self, node: &str) -> &'static str {
        if node == self.leader {
            LEADER
        } else if self.is_task_manager(node) {
            TASK_MANAGER
        } else {
            STANDBY
        }
    }

    /// The role of a link.
    pub(super) fn link_role(&self, from: &str, to: &str) -> &'static str {
        if self.is_task_manager(from) && self.is_task_manager(to) { TASK_LINK } else { LEADER_LINK }
    }

    fn is_task_manager(&self, node: &str) -> bool {
        self.task_managers.iter().any(|name| name == node)
    }
}

impl Nemesis {
    /// The node that a target stands for now; else why there is none.
    pub(super) fn node(&self, world: &dyn Cluster, blow: &Blow, target: &NodeTarget) -> Result<String, String> {
        match target {
            NodeTarget::Node(name) => Ok(name.clone()),
            NodeTarget::Emitter => blow.origin.emitter.clone().ok_or_else(|| "no event has triggered it".into()),
            NodeTarget::Leader => Ok(self.cast.leader.clone()),
            NodeTarget::Standby => {
                let mut standbys = self.cast.job_managers.iter().filter(|name| **name != self.cast.leader);
                standbys.find(|name| world.is_alive(name)).cloned().ok_or_else(|| "no standby is up".into())
            }
            NodeTarget::TaskManager => match &blow.origin.emitter {
                Some(emitter) if self.cast.is_task_manager(emitter) => Ok(emitter.clone()),
                _ => self.drawn(world, blow, "nemesis task-manager", &[]),
            },
            NodeTarget::Peer => {
                let task_manager = self.node(world, blow, &NodeTarget::TaskManager)?;
                self.drawn(world, blow, "nemesis peer", &[task_manager])
            }
        }
    }

    /// The nodes that targets stand for now, each once.
    pub(super) fn nodes(
        &self,
        world: &dyn Cluster,
        blow: &Blow,
        targets: &[NodeTarget],
    ) -> Result<Vec<String>, String> {
        let mut nodes: Vec<String> = Vec::new();
        for target in targets {
            let node = self.node(world, blow, target)?;
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// A TaskManager drawn from those that are up.
    fn drawn(&self, world: &dyn Cluster, blow: &Blow, purpose: &str, except: &[String]) -> Result<String, String> {
        let up = |name: &&String| !except.contains(name) && world.is_alive(name);
        let candidates: Vec<&String> = self.cast.task_managers.iter().filter(up).collect();
        let Some(last) = candidates.len().checked_sub(1) else {
            return Err("no TaskManager is up that it could strike".into());
        };
        let drawn = draw(self.seed, purpose, self.faults[blow.fault].id.into(), blow.number.into());
        Ok(candidates[draw_between(drawn, 0, last as u64) as usize].clone())
    }
}
