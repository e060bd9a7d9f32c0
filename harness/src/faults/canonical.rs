//! The canonical strikes of a kind of fault: a few settings that stand for all others when every fault is tried at
//! every step.
//!
//! Start at [`Canon`], one place of a run. Each kind is given the place, and returns its [`Canonical`] strikes there
//! ([`super::spec::Spec::canonical`]), or none if the kind does not apply to this sort of place. Durations are relative
//! to the plan's failure detectors: [`Canon::brief`] ends before any of them can notice, [`Canon::beyond`] after all of
//! them have.
//!
//! Invariants: (FAULTS-C1) a canonical strike heals, or takes for good only what the job can do without
//! ([`Canon::spares`]), so a correct engine survives it; (FAULTS-C2) the victim of a strike has one of the roles of the
//! kind.

use std::time::Duration;

use flowquake_engine::message_kind::MessageKind;

use super::spec::Spec;
use crate::draws::Need;
use crate::nemesis::{LEADER, STANDBY, TASK_MANAGER};
use crate::plan::{FaultAction, NodeTarget, RunPlan, StoreName};

/// A node that can be struck at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// The node's name.
    pub node: String,
    /// The node's role: `leader`, `standby` or `task-manager`.
    pub role: &'static str,
    /// Whether the node runs subtasks.
    pub busy: bool,
    /// Whether the node emits the event of the place.
    pub emits: bool,
}

impl Victim {
    /// The node as a target, by name.
    pub(crate) fn target(&self) -> NodeTarget {
        NodeTarget::Node(self.node.clone())
    }

    /// What the node is at the place, without its name. All nodes of one sort are equivalent.
    pub fn sort(&self) -> &'static str {
        match (self.role, self.emits, self.busy) {
            (LEADER, ..) => "leader",
            (STANDBY, ..) => "standby",
            (_, true, _) => "emitter",
            (_, false, true) => "other",
            (_, false, false) => "idle",
        }
    }
}

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'p> {
    /// An event.
    Event,
    /// A control message, with the TaskManager at one of its ends.
    Message(MessageKind, &'p Victim),
    /// A write to a store, with its writer.
    Write(StoreName, &'p Victim),
    /// The whole run; strikes here are made once.
    Run,
}

/// One place of a run.
pub(crate) struct Canon<'p> {
    pub(crate) plan: &'p RunPlan,
    pub(crate) keyed: bool,
    /// Whether this is the only fault that strikes in the run.
    pub(crate) alone: bool,
    pub(crate) place: Place<'p>,
    /// Every node, JobManagers first.
    pub(crate) nodes: &'p [Victim],
}

/// A canonical strike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canonical {
    /// The setting in words, such as `back soon`.
    pub(crate) label: String,
    /// The node that is struck; `None`: a whole store, or a record.
    pub(crate) victim: Option<Victim>,
    /// The other end of a link.
    pub(crate) peer: Option<Victim>,
    /// Role of the victim.
    pub(crate) role: &'static str,
    pub(crate) action: FaultAction,
    /// What strikes at the same place directly afterwards, without which the fault would hurt nothing.
    pub(crate) with: Option<FaultAction>,
    /// What strikes this long after the next event of this name.
    pub(crate) later: Option<(&'static str, Duration, FaultAction)>,
    /// Whether the fault goes on for a while, or waits for the next message or request. For such a fault two places of
    /// one phase are equivalent.
    pub(crate) lasts: bool,
}

impl Canonical {
    pub(crate) fn at(victim: &Victim, label: impl Into<String>, action: FaultAction) -> Self {
        Self {
            label: label.into(),
            victim: Some(victim.clone()),
            peer: None,
            role: victim.role,
            action,
            with: None,
            later: None,
            lasts: false,
        }
    }

    /// A strike at something that is not a node.
    pub(crate) fn on(role: &'static str, label: impl Into<String>, action: FaultAction) -> Self {
        let nobody = Victim { node: String::new(), role, busy: false, emits: false };
        Self { victim: None, ..Self::at(&nobody, label, action) }
    }

    /// The same strike, marked as lasting.
    pub(crate) fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }

    /// The same strike at the link between its victim and `peer`.
    pub(crate) fn towards(self, peer: &Victim) -> Self {
        let role = if self.role == TASK_MANAGER && peer.role == TASK_MANAGER {
            crate::nemesis::TASK_LINK
        } else {
            crate::nemesis::LEADER_LINK
        };
        Self { role, peer: Some(peer.clone()), ..self }
    }

    pub(crate) fn with(self, action: FaultAction) -> Self {
        Self { with: Some(action), ..self }
    }

    pub(crate) fn later(self, event: &'static str, delay: Duration, action: FaultAction) -> Self {
        Self { later: Some((event, delay, action)), ..self }
    }

    /// The same strike with the role of a store or a link.
    pub(crate) fn with_role(self, role: &'static str) -> Self {
        Self { role, ..self }
    }
}

impl Canon<'_> {
    /// A duration that ends before any detector can notice.
    pub(crate) fn brief(&self) -> Duration {
        let config = &self.plan.job.config;
        (config.heartbeat_timeout.min(config.lease) / 5).max(Duration::from_millis(5))
    }

    /// A duration that ends after every detector has reacted: heartbeats and the lease.
    pub(crate) fn beyond(&self) -> Duration {
        let config = &self.plan.job.config;
        config.heartbeat_timeout.max(config.lease) * 2
    }

    /// How long each variant of a healing fault lasts, with its name.
    pub(crate) fn lengths(&self) -> [(&'static str, Duration); 2] {
        [("briefly", self.brief()), ("beyond every detector", self.beyond())]
    }

    /// Whether the job can do without this node for good. If other faults strike too, that is unknown, so the answer is
    /// no.
    pub(crate) fn spares(&self, victim: &Victim) -> bool {
        let cluster = &self.plan.cluster;
        let slots = u64::from(cluster.task_managers.saturating_sub(1)) * u64::from(cluster.slots);
        self.alone
            && match victim.role {
                TASK_MANAGER => slots >= u64::from(self.plan.job.config.parallelism),
                _ => cluster.job_managers > 1,
            }
    }

    pub(crate) fn is_event(&self) -> bool {
        self.place == Place::Event
    }

    /// All nodes if the place is an event; otherwise none.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = &Victim> {
        self.nodes.iter().filter(|_| self.is_event())
    }

    /// All TaskManagers if the place is an event.
    pub(crate) fn task_managers(&self) -> impl Iterator<Item = &Victim> {
        self.everybody().filter(|victim| victim.role == TASK_MANAGER)
    }

    /// All nodes that have connections (all except standbys), if the place is an event.
    pub(crate) fn connected(&self) -> impl Iterator<Item = &Victim> {
        self.everybody().filter(|victim| victim.role != STANDBY)
    }

    pub(crate) fn leader(&self) -> Option<&Victim> {
        self.nodes.iter().find(|victim| victim.role == LEADER)
    }

    pub(crate) fn standby(&self) -> Option<&Victim> {
        self.everybody().find(|victim| victim.role == STANDBY)
    }

    /// Links, if the place is an event: each TaskManager with the leader, and each one that runs subtasks with the next
    /// that does.
    pub(crate) fn links(&self) -> Vec<(&Victim, &Victim)> {
        let mut links = Vec::new();
        let busy: Vec<&Victim> = self.task_managers().filter(|victim| victim.busy).collect();
        for victim in self.task_managers() {
            links.extend(self.leader().map(|leader| (victim, leader)));
            let next = busy.iter().position(|other| *other == victim).map(|at| busy[(at + 1) % busy.len()]);
            links.extend(next.filter(|next| *next != victim).map(|next| (victim, next)));
        }
        links
    }

    /// A fault that makes the job restore: a TaskManager that runs subtasks dies and comes back.
    pub(crate) fn failure(&self) -> Option<FaultAction> {
        let busy = self.nodes.iter().find(|victim| victim.role == TASK_MANAGER && victim.busy)?;
        let (mode, disk) = (crate::plan::KillMode::Crash, crate::plan::Disk::Wiped);
        Some(FaultAction::Kill { targets: vec![busy.target()], mode, restart_after: Some(self.brief()), disk })
    }

    /// Whether the plan has what the kind needs.
    pub(crate) fn meets(&self, need: Need) -> bool {
        need.unmet(self.plan, self.keyed).is_none()
    }
}

/// The strikes of a kind at a place; none if the plan lacks what the kind needs.
pub(crate) fn strikes(spec: &Spec, canon: &Canon) -> Vec<Canonical> {
    if !canon.meets(spec.drawn.need) {
        return Vec::new();
    }
    let strikes = (spec.canonical)(canon);
    for strike in &strikes {
        assert!(spec.roles.contains(&strike.role), "FAULTS-C2: {} strikes no {}", spec.name, strike.role);
    }
    strikes
}
