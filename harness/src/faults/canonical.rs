//! The canonical strikes of a kind of fault: the few settings that stand for all others when every fault is tried at every step.
//!
//! Start at [`Canon`], one place of a run, which a kind is given; it answers with its [`Canonical`] strikes there
//! ([`super::spec::Spec::canonical`]), or with none, if it does not apply to that sort of place. Lengths are relative to the plan's
//! detectors: [`Canon::brief`] ends before anybody can notice, [`Canon::beyond`] after everybody has.
//!
//! Invariants: (FAULTS-C1) a canonical strike heals, or takes for good only what the job can do without ([`Canon::spares`]), so a
//! correct engine survives it; (FAULTS-C2) its victim plays a role of its kind.

use std::time::Duration;

use flowquake_engine::message_kind::MessageKind;

use super::spec::Spec;
use crate::draws::Need;
use crate::nemesis::{LEADER, STANDBY, TASK_MANAGER};
use crate::plan::{FaultAction, NodeTarget, RunPlan, StoreName};

/// A node that can be struck at a place, by its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its name.
    pub node: String,
    /// Its role: `leader`, `standby` or `task-manager`.
    pub role: &'static str,
    /// It runs subtasks.
    pub busy: bool,
    /// It emits the event of the place.
    pub emits: bool,
}

impl Victim {
    /// It, by its name.
    pub(crate) fn target(&self) -> NodeTarget {
        NodeTarget::Node(self.node.clone())
    }

    /// What it is to the place, without its name: all of one sort are alike.
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

/// What a place is, for a kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'p> {
    /// An event.
    Event,
    /// A control message, with the TaskManager at its one end.
    Message(MessageKind, &'p Victim),
    /// A write to a store, with its writer.
    Write(StoreName, &'p Victim),
    /// The whole run: once.
    Run,
}

/// One place of a run.
pub(crate) struct Canon<'p> {
    pub(crate) plan: &'p RunPlan,
    pub(crate) keyed: bool,
    /// Whether no other fault strikes in this run.
    pub(crate) alone: bool,
    pub(crate) place: Place<'p>,
    /// Every node, JobManagers first.
    pub(crate) nodes: &'p [Victim],
}

/// A canonical strike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canonical {
    /// The setting, in words: `back soon`.
    pub(crate) label: String,
    /// Whom it strikes; `None`: a store as a whole, or a record.
    pub(crate) victim: Option<Victim>,
    /// The other end of a link.
    pub(crate) peer: Option<Victim>,
    /// Role of what is struck.
    pub(crate) role: &'static str,
    pub(crate) action: FaultAction,
    /// What strikes at the same place right behind it, without which it would hurt nobody.
    pub(crate) with: Option<FaultAction>,
    /// What strikes behind the next event of this name, after so long.
    pub(crate) later: Option<(&'static str, Duration, FaultAction)>,
    /// It goes on for a while, or waits for what comes next: two places of one phase are the same to it.
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

    /// A strike at something that is no node.
    pub(crate) fn on(role: &'static str, label: impl Into<String>, action: FaultAction) -> Self {
        let nobody = Victim { node: String::new(), role, busy: false, emits: false };
        Self { victim: None, ..Self::at(&nobody, label, action) }
    }

    /// The same for a while.
    pub(crate) fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }

    /// The same at a link between its victim and `peer`.
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

    /// The same under the role of a store, or of a link.
    pub(crate) fn with_role(self, role: &'static str) -> Self {
        Self { role, ..self }
    }
}

impl Canon<'_> {
    /// Ends before anybody can notice.
    pub(crate) fn brief(&self) -> Duration {
        let config = &self.plan.job.config;
        (config.heartbeat_timeout.min(config.lease) / 5).max(Duration::from_millis(5))
    }

    /// Ends after every detector has answered: heartbeats, the lease.
    pub(crate) fn beyond(&self) -> Duration {
        let config = &self.plan.job.config;
        config.heartbeat_timeout.max(config.lease) * 2
    }

    /// How long each variant of a fault that heals lasts, in words.
    pub(crate) fn lengths(&self) -> [(&'static str, Duration); 2] {
        [("briefly", self.brief()), ("beyond every detector", self.beyond())]
    }

    /// Whether the job can do without a node for good. Where something else strikes, too, nobody can say.
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

    /// All nodes, at an event; elsewhere none.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = &Victim> {
        self.nodes.iter().filter(|_| self.is_event())
    }

    /// TaskManagers, at an event.
    pub(crate) fn task_managers(&self) -> impl Iterator<Item = &Victim> {
        self.everybody().filter(|victim| victim.role == TASK_MANAGER)
    }

    /// Who has connections, at an event: all but standbys.
    pub(crate) fn connected(&self) -> impl Iterator<Item = &Victim> {
        self.everybody().filter(|victim| victim.role != STANDBY)
    }

    pub(crate) fn leader(&self) -> Option<&Victim> {
        self.nodes.iter().find(|victim| victim.role == LEADER)
    }

    pub(crate) fn standby(&self) -> Option<&Victim> {
        self.everybody().find(|victim| victim.role == STANDBY)
    }

    /// Links, at an event: each TaskManager with the leader, and each that runs subtasks with the next that does.
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

    /// Makes the job restore: a TaskManager dies that runs subtasks, and comes back.
    pub(crate) fn failure(&self) -> Option<FaultAction> {
        let busy = self.nodes.iter().find(|victim| victim.role == TASK_MANAGER && victim.busy)?;
        let (mode, disk) = (crate::plan::KillMode::Crash, crate::plan::Disk::Wiped);
        Some(FaultAction::Kill { targets: vec![busy.target()], mode, restart_after: Some(self.brief()), disk })
    }

    /// Whether a need of the kind is met by the plan.
    pub(crate) fn meets(&self, need: Need) -> bool {
        need.unmet(self.plan, self.keyed).is_none()
    }
}

/// What a kind strikes with at a place: nothing, if the plan lacks what it needs.
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
