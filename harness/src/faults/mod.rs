//! The catalogue of faults: every kind there is, with its parameters, its victims, and what a correct engine makes of it.
//!
//! Start at [`Kind`] and [`Kind::spec`]; the rows stand in `table`. This one table is what scenario files are read by, what
//! `flowquake list faults` prints, what documentation is checked against, and what coverage is counted over.
//!
//! Invariants: (FAULTS-K1) [`Kind::of`] maps every action to the kind that scenario files write it as, so a plan needs no name
//! beside its action; (FAULTS-K2) names are never reused for another meaning, since saved records refer to them.

use flowquake_reports::record::FaultKindRecord;

use crate::plan::{
    ClockFault, FaultAction, KillMode, MessageFault, NodeTarget, SlowWork, StoreFault, StoreName, UserFailure,
};

mod table;

pub use table::Kind;

/// Role of a victim: the JobManager that leads.
pub const LEADER: &str = "leader";
/// Role of a victim: a JobManager that does not lead.
pub const STANDBY: &str = "standby";
/// Role of a victim: a TaskManager.
pub const TASK_MANAGER: &str = "task-manager";
/// Role of a victim: a link between a JobManager and a TaskManager.
pub const LEADER_LINK: &str = "leader-link";
/// Role of a victim: a link between TaskManagers.
pub const TASK_LINK: &str = "task-link";
/// Role of a victim: the durable store of checkpoints and of the job's facts.
pub const CHECKPOINT_STORE: &str = "checkpoint-store";
/// Role of a victim: the durable store of output.
pub const OUTPUT_STORE: &str = "output-store";

/// What a fault belongs to; the order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Processes, machines, and the user code in them.
    Process,
    /// Links, connections, messages.
    Network,
    /// Durable stores and local disks.
    Storage,
    /// Clocks.
    Time,
    /// Leadership.
    Control,
}

impl Family {
    /// Its name in listings and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Time => "time",
            Self::Control => "control",
        }
    }
}

/// What a correct engine makes of a fault. Silently wrong output is never among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The job finishes with exact output; at most it restarts.
    Masked,
    /// It goes back to an older checkpoint, and then finishes with exact output.
    FellBack,
    /// It fails for good, and names what it cannot survive.
    FailedLoudly,
}

impl Class {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::FellBack => "fell back",
            Self::FailedLoudly => "failed loudly",
        }
    }
}

/// A key that a kind of fault takes in scenario files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// The key.
    pub name: &'static str,
    /// What is written: a unit, or the accepted words.
    pub form: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its name in scenario files.
    pub name: &'static str,
    /// What it belongs to.
    pub family: Family,
    /// What it does to the model.
    pub effect: &'static str,
    /// What a correct engine makes of it: one of these.
    pub classes: &'static [Class],
    /// Roles of victims that it applies to.
    pub roles: &'static [&'static str],
    /// The keys that it takes.
    pub params: &'static [Param],
}

impl Kind {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Its name in scenario files and reports.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The kind that scenario files write this action as (FAULTS-K1).
    pub fn of(action: &FaultAction) -> Self {
        match action {
            FaultAction::Kill { mode: KillMode::Crash, .. } => Self::Kill,
            FaultAction::Kill { mode: KillMode::MachineLoss, .. } => Self::MachineLoss,
            FaultAction::CrashLoop { .. } => Self::CrashLoop,
            FaultAction::Pause { .. } => Self::Pause,
            FaultAction::Slow { work: SlowWork::Cpu, .. } => Self::SlowCpu,
            FaultAction::Slow { work: SlowWork::Records, .. } => Self::SlowOperator,
            FaultAction::Slow { work: SlowWork::Snapshot, .. } => Self::HangSnapshot,
            FaultAction::UserCode { how: UserFailure::Panic, .. } => Self::UserPanic,
            FaultAction::UserCode { how: UserFailure::Error, .. } => Self::UserError,
            FaultAction::Poison { .. } => Self::PoisonRecord,
            FaultAction::Cut { both_ways: true, .. } => Self::Cut,
            FaultAction::Cut { both_ways: false, .. } => Self::CutOneWay,
            FaultAction::Isolate { .. } => Self::Isolate,
            FaultAction::Flap { .. } => Self::Flap,
            FaultAction::Link { latency: Some(_), .. } => Self::Latency,
            FaultAction::Link { latency: None, .. } => Self::Bandwidth,
            FaultAction::Reset { one: true, .. } => Self::ResetConnection,
            FaultAction::Reset { one: false, .. } => Self::ResetConnections,
            FaultAction::Refuse { .. } => Self::RefuseConnections,
            FaultAction::HalfOpen { .. } => Self::HalfOpen,
            FaultAction::Message { how, .. } => match how {
                MessageFault::Lose => Self::LoseMessage,
                MessageFault::Delay(_) => Self::DelayMessage,
                MessageFault::Duplicate | MessageFault::DuplicateLate(_) => Self::DuplicateMessage,
            },
            FaultAction::SlowReceiver { .. } => Self::SlowReceiver,
            FaultAction::Damage { .. } => Self::Damage,
            FaultAction::DamageLocal { .. } => Self::DamageLocal,
            // A leader that cannot renew its lease loses it: the same action under the name of what it is for.
            FaultAction::Store {
                how: StoreFault::Unavailable,
                node: Some(NodeTarget::Leader),
                store: Some(StoreName::Checkpoints),
                count: None,
                ..
            } => Self::LoseLeadership,
            FaultAction::Store { how, .. } => match how {
                StoreFault::Unavailable => Self::StoreUnavailable,
                StoreFault::FailedWrite => Self::FailedWrite,
                StoreFault::AmbiguousWrite => Self::AmbiguousWrite,
                StoreFault::TornWrite => Self::TornWrite,
                StoreFault::LostWrite => Self::LostWrite,
                StoreFault::NoSpace => Self::NoSpace,
                StoreFault::Slow(_) => Self::SlowStore,
                StoreFault::Throttled(_) => Self::ThrottledStore,
                StoreFault::StaleRead(_) => Self::StaleRead,
                StoreFault::LaggingList(_) => Self::LaggingList,
            },
            // A standby whose clock jumps ahead takes the leader for dead.
            FaultAction::Clock { how: ClockFault::Forward(_), target: NodeTarget::Standby, .. } => Self::RivalLeader,
            FaultAction::Clock { how, .. } => match how {
                ClockFault::Forward(_) => Self::ClockForward,
                ClockFault::Back(_) => Self::ClockBack,
                ClockFault::Drift(_) => Self::ClockDrift,
            },
        }
    }

    /// The keys that it takes.
    pub fn keys(self) -> Vec<&'static str> {
        self.spec().params.iter().map(|param| param.name).collect()
    }
}

impl Spec {
    /// Its parameters with their forms, those that may be left out in brackets.
    pub fn usage(&self) -> String {
        let shown = self.params.iter().map(|param| match param.optional {
            true => format!("[{} = {}]", param.name, param.form),
            false => format!("{} = {}", param.name, param.form),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// What a correct engine makes of it, in words.
    pub fn answer(&self) -> String {
        self.classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", or ")
    }
}

/// The name of an action's kind.
pub fn kind(action: &FaultAction) -> &'static str {
    Kind::of(action).name()
}

/// Every kind as run records list it.
pub fn records() -> Vec<FaultKindRecord> {
    let specs = Kind::ALL.iter().map(|kind| kind.spec());
    specs
        .map(|spec| FaultKindRecord {
            name: spec.name.into(),
            family: spec.family.name().into(),
            roles: spec.roles.iter().map(|role| (*role).into()).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_families_stand_together() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| Kind::from_name(kind.name()) == Some(*kind)));
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.spec().family));
    }

    #[test]
    fn every_kind_has_victims_and_an_answer() {
        let roles = [LEADER, STANDBY, TASK_MANAGER, LEADER_LINK, TASK_LINK, CHECKPOINT_STORE, OUTPUT_STORE];
        for spec in Kind::ALL.iter().map(|kind| kind.spec()) {
            assert!(!spec.classes.is_empty() && !spec.roles.is_empty(), "{}", spec.name);
            assert!(spec.roles.iter().all(|role| roles.contains(role)), "{}", spec.name);
            let keys: BTreeSet<_> = spec.params.iter().map(|param| param.name).collect();
            assert_eq!(keys.len(), spec.params.len(), "{}", spec.name);
        }
    }

    #[test]
    fn a_row_reads_well() {
        let spec = Kind::LoseMessage.spec();
        assert_eq!(spec.usage(), "message = kind, [node = node], [count = number]");
        assert_eq!(Kind::Damage.spec().answer(), "masked, or fell back, or failed loudly");
    }
}
