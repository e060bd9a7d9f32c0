//! What the action of a fault is drawn from: what the kind of fault needs of the plan, which victims it may have, and
//! how long it may last.
//!
//! Start at [`Action`]. An action is drawn so that a correct engine survives it: it ends by itself within `heal_after`,
//! or takes nodes that the cluster can do without (SWARM-W1), and one end of every link that it touches is a JobManager
//! or a node that may be struck (SWARM-W2).

use std::time::Duration;

use flowquake_engine::config::BackendKind;

use super::{Draws, Scene};
use crate::plan::{FaultAction, InputSource, NodeTarget, RunPlan};

use Role::{Leader, Standby, TaskManager};

/// What a kind of fault needs of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// More than one JobManager.
    Standby,
    /// Generated records, whose positions are known before the run.
    GeneratedInput,
    /// At least two retained checkpoints: one that may be spoilt, and one to fall back to.
    TwoCheckpoints,
    /// The same, and state in files of its own.
    StateFiles,
    /// State in RocksDB on local disk.
    RocksDb,
}

impl Need {
    /// If the need is not met: the plan path of the setting that decides about it.
    pub fn unmet(self, plan: &RunPlan, keyed: bool) -> Option<&'static str> {
        let (config, retained) = (&plan.job.config, "job.config.checkpoints.retained");
        match self {
            Self::Standby if plan.cluster.job_managers < 2 => Some("cluster.job_managers"),
            Self::GeneratedInput if matches!(plan.job.input.source, InputSource::File { .. }) => {
                Some("job.input.source")
            }
            Self::TwoCheckpoints | Self::StateFiles if config.checkpoints.retained < 2 => Some(retained),
            Self::StateFiles if config.backend == BackendKind::Memory => Some("job.config.backend"),
            Self::RocksDb if config.backend != BackendKind::RocksDb => Some("job.config.backend"),
            Self::StateFiles | Self::RocksDb if !keyed => Some("job.name"),
            _ => None,
        }
    }
}

/// Role of a fault's victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    TaskManager,
    Leader,
    Standby,
}

/// All roles.
pub(crate) const ANYBODY: &[Role] = &[TaskManager, Leader, Standby];
/// Roles that have links.
pub(crate) const LINKED: &[Role] = &[TaskManager, Leader];
/// Roles that run tasks.
pub(crate) const TASKS: &[Role] = &[TaskManager];
/// Roles that lead.
pub(crate) const LEADING: &[Role] = &[Leader];

/// How a swarm draws a kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// What the cluster or the job must have for the kind to apply.
    pub need: Need,
    /// Roles that the kind may strike.
    pub(crate) roles: &'static [Role],
    /// Whether the fault may strike several times; possible because its effect is over at once.
    pub(crate) repeats: bool,
    /// Whether the fault hurts its victim whatever the victim is doing.
    pub(crate) bites: bool,
    pub(crate) action: fn(&Action) -> FaultAction,
}

impl Drawn {
    pub(crate) const fn new(need: Need, roles: &'static [Role], action: fn(&Action) -> FaultAction) -> Self {
        Self { need, roles, repeats: false, bites: false, action }
    }

    /// The same, but the fault may strike several times.
    pub(crate) const fn again(self) -> Self {
        Self { repeats: true, ..self }
    }

    /// The same, but the fault is certain to hurt its victim.
    pub(crate) const fn biting(self) -> Self {
        Self { bites: true, ..self }
    }

    /// Whether the kind counts towards the checkpoints that may be spoilt (SWARM-W3).
    pub(crate) fn spoils_checkpoints(&self) -> bool {
        matches!(self.need, Need::TwoCheckpoints | Need::StateFiles)
    }
}

/// What an action is drawn from.
pub(crate) struct Action<'s> {
    pub(crate) scene: &'s Scene<'s>,
    pub(crate) draws: &'s Draws,
    /// The victim, as the plan names it.
    pub(crate) target: NodeTarget,
    /// The TaskManager behind `target`; if `target` is no TaskManager, another one that may be struck as well.
    pub(crate) victim: &'s str,
    pub(crate) role: Role,
}

impl Action<'_> {
    pub(crate) fn target(&self) -> NodeTarget {
        self.target.clone()
    }

    pub(crate) fn lasts(&self, what: &str) -> Duration {
        self.draws.duration(what, self.scene.swarm.heal_after)
    }

    pub(crate) fn heals(&self) -> Option<Duration> {
        Some(self.lasts("heal after"))
    }

    /// A time after which a standby takes over.
    pub(crate) fn beyond_the_lease(&self) -> Duration {
        self.scene.plan.job.config.lease * 2 + self.lasts("heal after")
    }

    /// The other end of a link.
    pub(crate) fn peer(&self) -> NodeTarget {
        let others = self.other_task_managers();
        match self.role {
            TaskManager if self.draws.one_in("peer", 2) => {
                self.draws.pick("peer node", &others).map_or(NodeTarget::Leader, NodeTarget::Node)
            }
            TaskManager => NodeTarget::Leader,
            Leader | Standby => NodeTarget::Node(self.victim.to_owned()),
        }
    }

    pub(crate) fn other_task_managers(&self) -> Vec<String> {
        (1..=self.scene.plan.cluster.task_managers).map(|n| format!("tm-{n}")).filter(|tm| tm != self.victim).collect()
    }

    pub(crate) fn times(&self) -> u32 {
        self.draws.number("rounds", 2, 4) as u32
    }

    /// One node, or sometimes every node that may be struck, at the same instant.
    pub(crate) fn one_or_all(&self) -> Vec<NodeTarget> {
        let mut targets = vec![self.target()];
        if self.role == TaskManager && self.draws.one_in("together", 4) {
            let others = self.scene.victims.iter().filter(|node| *node != self.victim);
            targets.extend(others.cloned().map(NodeTarget::Node));
        }
        targets
    }
}
