//! The kinds of faults. Each kind has one file and one row here; everything else is derived from these.
//!
//! Start at [`Kind`], whose rows name each kind's [`Spec`] and the action that scenario files write as this kind. A
//! kind's file says what `flowquake list faults` prints and coverage counts, how the kind is read from a scenario file
//! and written into one, what it must fulfil in its plan, how a swarm draws it, how it strikes, and how it ends.
//! Reader, writer, rules, swarm and nemesis go through the rows, and none of them knows a kind by name. How a fault is
//! made smaller follows from the plan, value by value (`shrink`).
//!
//! Invariants: (FAULTS-K1) [`Kind::of`] maps every action to the kind that scenario files write it as, so a plan needs
//! no name besides the action; (FAULTS-K2) names are never reused for another meaning, since saved records refer to
//! them; (FAULTS-K3) the functions of a kind are only given actions of that kind.

use flowquake_reports::record::FaultKindRecord;

use crate::checker::{Length, Rules};
pub use crate::nemesis::{CHECKPOINT_STORE, LEADER, LEADER_LINK, OUTPUT_STORE, STANDBY, TASK_LINK, TASK_MANAGER};
use crate::nemesis::{Striking, Struck};
use crate::plan::{
    ClockFault, FaultAction, KillMode, MessageFault, NodeTarget, SlowWork, StoreFault, StoreName, UserFailure,
};
use crate::reader::FaultKeys;

mod canonical;
mod spec;

pub use spec::{Class, Family, Param, Spec};

mod process {
    pub(super) mod crash_loop;
    pub(super) mod kill;
    pub(super) mod pause;
    pub(super) mod poison;
    pub(super) mod slow;
    pub(super) mod user_code;
}
mod network {
    pub(super) mod cut;
    pub(super) mod flap;
    pub(super) mod half_open;
    pub(super) mod isolate;
    pub(super) mod link;
    pub(super) mod message;
    pub(super) mod refuse;
    pub(super) mod reset;
    pub(super) mod slow_receiver;
}
mod storage {
    pub(super) mod damage;
    pub(super) mod damage_local;
    pub(super) mod store;
}
mod time {
    pub(super) mod clock;
}
mod control {
    pub(super) mod lose_leadership;
    pub(super) mod rival_leader;
}

pub(crate) use canonical::{Canon, Canonical, Place, Victim, strikes};
pub(crate) use network::message::message_kinds;
pub(crate) use storage::damage::{FILE_KINDS, newest_state};

macro_rules! kinds {
    (
        all { $($action:pat => $kind:ident = $spec:path;)* }
        narrower { $($narrow_action:pat => $narrow:ident = $narrow_spec:path;)* }
    ) => {
        /// A kind of fault, as scenario files name it.
        #[allow(missing_docs, reason = "the effect in its row says what each of them is")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($kind,)* $($narrow,)* }

        impl Kind {
            /// All kinds, family by family.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)* $(Kind::$narrow,)*];

            /// The kind's entry.
            pub const fn spec(self) -> &'static Spec {
                match self { $(Kind::$kind => &$spec,)* $(Kind::$narrow => &$narrow_spec,)* }
            }

            /// The kind that scenario files write this action as (FAULTS-K1).
            pub fn of(action: &FaultAction) -> Self {
                match action { $($narrow_action => Kind::$narrow,)* $($action => Kind::$kind,)* }
            }
        }
    };
}

kinds! {
    all {
        FaultAction::Kill { mode: KillMode::Crash, .. } => Kill = process::kill::KILL;
        FaultAction::Kill { mode: KillMode::MachineLoss, .. } => MachineLoss = process::kill::MACHINE_LOSS;
        FaultAction::Pause { .. } => Pause = process::pause::PAUSE;
        FaultAction::Slow { work: SlowWork::Cpu, .. } => SlowCpu = process::slow::SLOW_CPU;
        FaultAction::CrashLoop { .. } => CrashLoop = process::crash_loop::CRASH_LOOP;
        FaultAction::UserCode { how: UserFailure::Panic, .. } => UserPanic = process::user_code::USER_PANIC;
        FaultAction::UserCode { how: UserFailure::Error, .. } => UserError = process::user_code::USER_ERROR;
        FaultAction::Poison { .. } => PoisonRecord = process::poison::POISON_RECORD;
        FaultAction::Slow { work: SlowWork::Records, .. } => SlowOperator = process::slow::SLOW_OPERATOR;
        FaultAction::Slow { work: SlowWork::Snapshot, .. } => HangSnapshot = process::slow::HANG_SNAPSHOT;

        FaultAction::Cut { both_ways: true, .. } => Cut = network::cut::CUT;
        FaultAction::Cut { both_ways: false, .. } => CutOneWay = network::cut::CUT_ONE_WAY;
        FaultAction::Isolate { .. } => Isolate = network::isolate::ISOLATE;
        FaultAction::Flap { .. } => Flap = network::flap::FLAP;
        FaultAction::Link { latency: Some(_), .. } => Latency = network::link::LATENCY;
        FaultAction::Link { latency: None, .. } => Bandwidth = network::link::BANDWIDTH;
        FaultAction::Reset { one: true, .. } => ResetConnection = network::reset::RESET_CONNECTION;
        FaultAction::Reset { one: false, .. } => ResetConnections = network::reset::RESET_CONNECTIONS;
        FaultAction::Refuse { .. } => RefuseConnections = network::refuse::REFUSE_CONNECTIONS;
        FaultAction::HalfOpen { .. } => HalfOpen = network::half_open::HALF_OPEN;
        FaultAction::Message { how: MessageFault::Lose, .. } => LoseMessage = network::message::LOSE_MESSAGE;
        FaultAction::Message { how: MessageFault::Delay(_), .. } => DelayMessage = network::message::DELAY_MESSAGE;
        FaultAction::Message { how: MessageFault::Duplicate | MessageFault::DuplicateLate(_), .. }
            => DuplicateMessage = network::message::DUPLICATE_MESSAGE;
        FaultAction::SlowReceiver { .. } => SlowReceiver = network::slow_receiver::SLOW_RECEIVER;

        FaultAction::Damage { .. } => Damage = storage::damage::DAMAGE;
        FaultAction::DamageLocal { .. } => DamageLocal = storage::damage_local::DAMAGE_LOCAL;
        FaultAction::Store { how: StoreFault::Unavailable, .. } => StoreUnavailable = storage::store::STORE_UNAVAILABLE;
        FaultAction::Store { how: StoreFault::FailedWrite, .. } => FailedWrite = storage::store::FAILED_WRITE;
        FaultAction::Store { how: StoreFault::AmbiguousWrite, .. } => AmbiguousWrite = storage::store::AMBIGUOUS_WRITE;
        FaultAction::Store { how: StoreFault::TornWrite, .. } => TornWrite = storage::store::TORN_WRITE;
        FaultAction::Store { how: StoreFault::LostWrite, .. } => LostWrite = storage::store::LOST_WRITE;
        FaultAction::Store { how: StoreFault::NoSpace, .. } => NoSpace = storage::store::NO_SPACE;
        FaultAction::Store { how: StoreFault::Slow(_), .. } => SlowStore = storage::store::SLOW_STORE;
        FaultAction::Store { how: StoreFault::Throttled(_), .. } => ThrottledStore = storage::store::THROTTLED_STORE;
        FaultAction::Store { how: StoreFault::StaleRead(_), .. } => StaleRead = storage::store::STALE_READ;
        FaultAction::Store { how: StoreFault::LaggingList(_), .. } => LaggingList = storage::store::LAGGING_LIST;

        FaultAction::Clock { how: ClockFault::Forward(_), .. } => ClockForward = time::clock::CLOCK_FORWARD;
        FaultAction::Clock { how: ClockFault::Back(_), .. } => ClockBack = time::clock::CLOCK_BACK;
        FaultAction::Clock { how: ClockFault::Drift(_), .. } => ClockDrift = time::clock::CLOCK_DRIFT;
    }
    // These kinds share their actions with other kinds, and are named after their purpose. They are matched first.
    narrower {
        FaultAction::Store {
            how: StoreFault::Unavailable,
            node: Some(NodeTarget::Leader),
            store: Some(StoreName::Checkpoints),
            count: None,
            ..
        } => LoseLeadership = control::lose_leadership::LOSE_LEADERSHIP;
        FaultAction::Clock { how: ClockFault::Forward(_), target: NodeTarget::Standby, .. }
            => RivalLeader = control::rival_leader::RIVAL_LEADER;
    }
}

impl Kind {
    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind's name in scenario files and reports.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The keys that the kind takes.
    pub fn keys(self) -> Vec<&'static str> {
        self.spec().params.iter().map(|param| param.name).collect()
    }
}

/// The name of an action's kind.
pub fn kind(action: &FaultAction) -> &'static str {
    Kind::of(action).name()
}

/// Every kind in the form of run records.
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

/// Whether the action can make a checkpoint unreadable. If output was committed under that checkpoint, the job cannot
/// fall back behind it, and a correct engine fails with that reason instead of going on.
pub fn spoils_checkpoints(action: &FaultAction) -> bool {
    Kind::of(action).spec().drawn.spoils_checkpoints()
}

/// Strikes in the way of the action's kind.
pub fn strike(striking: &mut Striking, action: &FaultAction) -> Struck {
    (Kind::of(action).spec().strike)(striking, action)
}

/// Reads an action of this kind.
pub(crate) fn read(kind: Kind, keys: &mut FaultKeys) -> Option<FaultAction> {
    (kind.spec().read)(keys)
}

/// The lines of a scenario file that state the action, `do` first.
pub(crate) fn write(action: &FaultAction) -> Vec<String> {
    let spec = Kind::of(action).spec();
    let own = (spec.write)(action).into_iter().flatten();
    std::iter::once(crate::writer::pair("do", crate::writer::text(spec.name))).chain(own).collect()
}

/// Checks the action of a fault against its kind's rules, without those for durations.
pub(crate) fn check(rules: &mut Rules) {
    let fault = rules.fault;
    (Kind::of(&fault.action).spec().rules)(rules, &fault.action);
}

/// All durations of an action.
pub(crate) fn lengths(action: &FaultAction) -> Vec<Length> {
    (Kind::of(action).spec().lengths)(action)
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
    #[should_panic(expected = "FAULTS-K3")]
    fn a_kind_is_not_asked_about_actions_of_others() {
        let pause = FaultAction::Pause { target: NodeTarget::Leader, resume_after: None };
        (Kind::Kill.spec().write)(&pause);
    }

    #[test]
    fn a_row_reads_well() {
        let spec = Kind::LoseMessage.spec();
        assert_eq!(spec.usage(), "message = kind, [node = node], [count = number]");
        assert_eq!(Kind::Damage.spec().answer(), "masked, or fell back, or failed loudly");
    }
}
