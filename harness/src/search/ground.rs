//! Grounds: the scenario with one more fault, to reach what its clean run never shows.
//!
//! A clean run has no recovery, and no message that cancels, aborts, declines or reports a failure. A ground brings
//! these about with one canonical fault in the second epoch. The strikes that a search adds there hurt the messages of
//! the recovery ([`Scope::Messages`]): lost once and with every repetition, late, doubled, or doubled so late that the
//! next attempt receives them. With `--recovery`, nodes are also killed at every event of the recovery
//! ([`Scope::Recovery`]), and with `--recovery=twice` again at every event of the recovery after such a kill
//! ([`Scope::Again`], [`grounds_of_recoveries`]).
//!
//! Pairs are grounds, too ([`grounds_of_pairs`]): one first strike for each way in which a single strike goes, and
//! every second strike between it and the first commit after the recovery ([`Scope::Second`]).
//!
//! Start at [`grounds`]. It picks strikes from the scenario's catalogue by kind and setting, so it knows no actions.

use std::collections::BTreeMap;
use std::ops::Range;

use flowquake_engine::event::{Event, EventRecord, Occasion};
use flowquake_engine::time::Time;

use super::cover::Slot;
use super::cut::Cuts;
use super::position::{Epoch, Phase, Position};
use super::strike::{Catalogue, with_faults};
use super::surveyed::Site;
use crate::faults::Kind;
use crate::nemesis::{LEADER, TASK_MANAGER};
use crate::plan::{FaultPlan, RunPlan};

/// Which strikes are made on a ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Everything,
    /// At the control messages of the recovery.
    Messages,
    /// As [`Scope::Messages`], and at every event of the recovery with kinds that take nodes away.
    Recovery,
    /// At every event of the newest recovery with kinds that take nodes away: strikes in the recovery of a recovery.
    Again,
    /// With every kind at everything from the first strike to the first commit that belongs to the recovery: the second
    /// fault of a pair.
    Second,
    /// With every kind in every phase after the first strike, to the end of the run: the second fault of a pair of a
    /// covering array.
    Behind,
    /// None: the ground is only there to be named.
    Nothing,
}

/// Kinds that take a node away.
const DEATHS: [&str; 2] = ["kill", "machine-loss"];

impl Scope {
    /// Whether strikes of this kind are made at such a site.
    pub(super) fn takes(self, site: Site, kind: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Second | Self::Behind => site != Site::Run,
            Self::Nothing => false,
            Self::Messages => matches!(site, Site::Message(_)),
            Self::Again => DEATHS.contains(&kind),
            Self::Recovery => matches!(site, Site::Message(_)) || DEATHS.contains(&kind),
        }
    }

    /// Whether strikes are made at an event at all. A second fault is aimed at what the first commit after the recovery
    /// rests on: steps that name an attempt or a checkpoint, and steps that only a failure brings about. What happens
    /// by the clock alone does not lead there.
    pub(super) fn aims_at(self, position: &Position) -> bool {
        let row = Event::row(position.event);
        !matches!(self, Self::Second | Self::Behind) || row.is_some_and(|row| row.occasion != Occasion::Periodic)
    }

    /// The events of a run among which this scope strikes; `since` is the newest strike of the ground. All events; or
    /// from the first failure to the first checkpoint of the last attempt; or, for a second fault, to the first commit
    /// of that checkpoint.
    pub(super) fn window(self, since: Time, positions: &[Position], events: &[EventRecord]) -> Range<usize> {
        let behind = positions.partition_point(|position| position.at < since);
        if matches!(self, Self::Everything | Self::Behind) {
            return behind..positions.len();
        }
        let begins = |record: &EventRecord| {
            let failure = matches!(
                record.event,
                Event::TaskFailed { .. }
                    | Event::TaskManagerLost { .. }
                    | Event::SnapshotDeclined { .. }
                    | Event::CheckpointAborted { .. }
                    | Event::FailoverBegun { .. }
                    | Event::LeaseExpired { .. }
                    | Event::JobManagerLost { .. }
            );
            let takeover = matches!(record.event, Event::LeadershipGranted { term } if term.0 > 1);
            failure || takeover
        };
        let Some(begin) = events[behind..].iter().position(begins).map(|at| behind + at) else { return 0..0 };
        let running = events.iter().rposition(|record| matches!(record.event, Event::JobRunning { .. })).unwrap_or(0);
        let completed = |record: &EventRecord| matches!(record.event, Event::CheckpointCompleted { .. });
        let after = running.max(begin);
        let end = events[after..].iter().position(completed).map_or(events.len(), |at| after + at + 1);
        if self != Self::Second {
            return begin..end;
        }
        let committed = |record: &EventRecord| matches!(record.event, Event::CommitAcknowledged { .. });
        begin..events[end.min(events.len())..].iter().position(committed).map_or(events.len(), |at| end + at + 1)
    }
}

/// The scenario, or the scenario with one more fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    /// The ground's name in words; empty for the scenario itself.
    pub name: String,
    /// Faults besides those of the scenario.
    pub faults: Vec<FaultPlan>,
    /// Which strikes are made on the ground.
    pub scope: Scope,
    /// When the newest of these faults strikes. Strikes at this ground come after it.
    pub since: Time,
    /// How many faults there are besides the scenario's, a fault with its companions counted once: 1 for a recovery, 2
    /// for the recovery of a recovery.
    pub depth: u8,
}

impl Ground {
    /// The scenario itself.
    pub fn itself() -> Self {
        Self { name: String::new(), faults: Vec::new(), scope: Scope::Everything, since: Time::ZERO, depth: 0 }
    }

    /// The plan of the ground's clean run.
    pub fn plan(&self, base: &RunPlan) -> RunPlan {
        if self.faults.is_empty() {
            return base.clone();
        }
        with_faults(base, base.faults.iter().chain(&self.faults).cloned().collect())
    }
}

/// What brings each ground about: a name, a kind of fault, the beginning of its setting, and the role of its victim.
const GROUNDS: [(&str, &str, &str, &str); 6] = [
    ("a subtask fails", "user-error", "", TASK_MANAGER),
    ("a TaskManager dies", "kill", "back beyond", TASK_MANAGER),
    ("a TaskManager stands still", "pause", "beyond", TASK_MANAGER),
    ("the leader dies", "kill", "back beyond", LEADER),
    ("a checkpoint expires", "hang-snapshot", "beyond", TASK_MANAGER),
    ("an upload fails with every try", "failed-write", "with every try", TASK_MANAGER),
];

/// The grounds of a scenario; a ground that the scenario cannot have is left out. `catalogue` is that of the scenario
/// alone, with all cuts.
pub fn grounds(catalogue: &Catalogue, base: &RunPlan, scope: Scope) -> Vec<Ground> {
    let epoch_of = |number: u32| catalogue.grounds()[0].positions()[catalogue.describe(number).event].epoch;
    let all = 0..catalogue.strikes().len() as u32;
    let ground = |(name, kind, label, role): (&str, &str, &str, &str)| {
        let fits = |number: &u32, epoch| {
            catalogue.strikes()[*number as usize].kind.name() == kind
                && epoch_of(*number) == epoch
                && catalogue.describe(*number).label.starts_with(label)
                // For a TaskManager, take one that has something to lose.
                && catalogue.victim(*number).is_some_and(|victim| victim.role == role && (role == LEADER || victim.busy))
        };
        // A run that is over after its first checkpoint is struck in the first epoch.
        let number = [Epoch::Second, Epoch::First]
            .into_iter()
            .find_map(|epoch| all.clone().find(|number| fits(number, epoch)))?;
        let plan = catalogue.plan(number);
        let faults = plan.faults[base.faults.len()..].to_vec();
        let since = catalogue.describe(number).at;
        Some(Ground { name: name.to_owned(), faults, scope, since, depth: 1 })
    };
    GROUNDS.into_iter().filter_map(ground).collect()
}

/// The ground that this strike makes, for pairs.
pub fn ground_of(catalogue: &Catalogue, base: &RunPlan, number: u32, scope: Scope) -> Ground {
    let described = catalogue.describe(number);
    let words = format!("{} {} strikes {} at {}", described.kind, described.label, described.victim, described.name);
    let faults = catalogue.plan(number).faults[base.faults.len()..].to_vec();
    Ground { name: format!("strike {number} came first: {words}"), faults, scope, since: described.at, depth: 1 }
}

/// The grounds of pairs, one for each of these strikes; there is one strike for every way in which a single strike
/// goes.
pub fn grounds_of_pairs(catalogue: &Catalogue, base: &RunPlan, firsts: &[u32]) -> Vec<Ground> {
    firsts.iter().map(|number| ground_of(catalogue, base, *number, Scope::Second)).collect()
}

/// The grounds of the recovery of a recovery: a node is killed in the recovery that a ground brings about, and what
/// follows is struck again. There is one for each class of such kills.
pub fn grounds_of_recoveries(catalogue: &Catalogue, base: &RunPlan) -> Vec<(u16, Ground)> {
    let ground = |number: u32| {
        let strike = &catalogue.strikes()[number as usize];
        let before = catalogue.grounds()[usize::from(strike.ground)].ground();
        let at_event = matches!(strike.site, Site::Event(_));
        if before.scope != Scope::Recovery || !at_event || !DEATHS.contains(&strike.kind.name()) {
            return None;
        }
        let after = ground_of(catalogue, base, number, Scope::Again);
        let name = format!("{}, and {}", before.name, after.name);
        Some((strike.ground, Ground { name, depth: before.depth + 1, ..after }))
    };
    catalogue.classes().iter().filter_map(|members| ground(*members.first()?)).collect()
}

/// How many settings of a first strike of a covering array are tried.
const TRIES: usize = 4;

/// The first strikes of a covering array: for every kind in every phase some settings, of which the first that hurts
/// something is taken. Settings differ from phase to phase. The second epoch is struck where possible, because there a
/// checkpoint is complete and others follow.
pub fn firsts_by_phase(catalogue: &Catalogue) -> BTreeMap<Slot, Vec<u32>> {
    let mut settings: BTreeMap<Slot, BTreeMap<String, (u8, u32)>> = BTreeMap::new();
    for number in catalogue.classes().iter().filter_map(|members| members.first()) {
        let described = catalogue.describe(*number);
        let position = &catalogue.grounds()[0].positions()[described.event];
        let rank = match position.epoch {
            Epoch::Second => 0,
            Epoch::Steady => 1,
            Epoch::First => 2,
            Epoch::Start => 3,
            Epoch::Final => 4,
        };
        let setting = settings.entry(slot_of(catalogue.strikes()[*number as usize].kind, position.phase)).or_default();
        let best = setting.entry(described.label).or_insert((rank, *number));
        *best = (*best).min((rank, *number));
    }
    let rotated = |(slot, settings): (Slot, BTreeMap<String, (u8, u32)>)| {
        let mut numbers: Vec<u32> = settings.into_values().map(|(_, number)| number).collect();
        let by = usize::from(slot.phase) % numbers.len();
        numbers.rotate_left(by);
        numbers.truncate(TRIES);
        (slot, numbers)
    };
    settings.into_iter().map(rotated).collect()
}

/// A kind in a phase, by their numbers.
pub(super) fn slot_of(kind: Kind, phase: Phase) -> Slot {
    let place = |found: Option<usize>| found.expect("it is one of all") as u16;
    let kind = place(Kind::ALL.iter().position(|other| *other == kind));
    Slot { kind, phase: place(Phase::ALL.iter().position(|other| *other == phase)) }
}

/// The cuts that are used to look for grounds: all of them.
pub fn cuts_of_grounds() -> Cuts {
    Cuts::without(&[])
}
