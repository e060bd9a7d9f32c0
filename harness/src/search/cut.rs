//! Cuts: which strikes a search takes to be the same, so that only one of them is run and stands for the others.
//!
//! Start at [`Cuts`]; `class_of` makes the name of a strike's class. These cuts are *assumed*: each is plausible, none
//! follows from the model, and each can be switched off. The proof of a search shows whether they can be trusted
//! ([`super::proof`]). The sound cuts, which keep strikes out of the catalogue, stand in [`super::strike`].

use std::collections::BTreeSet;

use flowquake_engine::event::{Event, Occasion};

use super::position::{Epoch, Phase, Position};
use crate::faults::{Canonical, Victim};

/// An assumed cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// All checkpoints between the second and the last are equivalent.
    SteadyEpochs,
    /// Subtasks of a vertex, and TaskManagers, are equivalent: only the emitter is distinguished from the others.
    SymmetricSubtasks,
    /// A fault that lasts, or that waits for the next message or request, needs to begin only once per phase of the
    /// protocol.
    WindowPerPhase,
    /// A strike at a node that does nothing itself at this event is the same as a strike at the node's own step before,
    /// as long as the leader takes no step in between.
    NextStep,
    /// For second faults: a strike at a TaskManager at some instant is the same as a strike at its next step that the
    /// first commit after the recovery rests on ([`super::lineage`]), as long as the leader takes no step in between.
    /// After the last such step all strikes are the same.
    Lineage,
}

impl Cut {
    /// The cuts that are made by default.
    pub const ALL: [Cut; 4] = [Cut::SteadyEpochs, Cut::SymmetricSubtasks, Cut::WindowPerPhase, Cut::NextStep];

    /// The cut's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SteadyEpochs => "steady-epochs",
            Self::SymmetricSubtasks => "symmetric-subtasks",
            Self::WindowPerPhase => "window-per-phase",
            Self::NextStep => "next-step",
            Self::Lineage => "lineage",
        }
    }

    /// The cut of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cut| cut.name() == name)
    }
}

/// The cuts that are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts(BTreeSet<Cut>);

impl Cuts {
    /// All default cuts except these.
    pub fn without(off: &[Cut]) -> Self {
        Self(Cut::ALL.into_iter().filter(|cut| !off.contains(cut)).collect())
    }

    /// Whether the cut is made.
    pub fn has(&self, cut: Cut) -> bool {
        self.0.contains(&cut)
    }

    /// Names of the cuts that are made.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|cut| cut.name()).collect()
    }
}

/// Where the nodes stand at a position: the last event of each.
pub(super) struct Standing<'p> {
    /// The position itself.
    pub(super) here: &'p Position,
    /// The newest event of the victim up to and including this position.
    pub(super) of_victim: Option<&'p Position>,
    /// The newest event of the leader up to and including this position.
    pub(super) of_leader: Option<&'p Position>,
    /// For a second fault, what is left of the lineage.
    pub(super) onward: Option<Onward<'p>>,
}

/// What the first commit after the recovery still rests on.
#[derive(Clone, Copy)]
pub(super) struct Onward<'p> {
    /// The next step of the victim on the lineage; `None`: there are no more.
    pub(super) next: Option<&'p Position>,
}

/// The name of the class of a strike of this kind. Strikes with equal names are in one class. `place` is what the
/// strike is aimed at, if that is not an event.
pub(super) fn class_of(
    cuts: &Cuts,
    kind: &str,
    strike: &Canonical,
    standing: &Standing,
    place: Option<&str>,
) -> String {
    // Until all have registered, nodes differ in whether they have registered.
    let alike = cuts.has(Cut::SymmetricSubtasks) && standing.here.phase != Phase::Registering;
    let who = |victim: &Option<Victim>| match victim {
        None => String::new(),
        Some(victim) if alike => victim.sort().to_owned(),
        Some(victim) => format!("{} {}", victim.node, victim.sort()),
    };
    let place = place.map_or_else(|| place_of(cuts, strike, standing), str::to_owned);
    format!("{kind}|{}|{}|{}|{place}", strike.label, who(&strike.victim), who(&strike.peer))
}

fn place_of(cuts: &Cuts, strike: &Canonical, standing: &Standing) -> String {
    let here = standing.here;
    // While subtasks come up one by one, each step is a phase of its own.
    let coming_up = matches!(here.phase, Phase::Registering | Phase::Deploying);
    // A fault with a companion strikes at an instant, because the companion does.
    let lasts = strike.lasts && strike.with.is_none();
    if lasts && cuts.has(Cut::WindowPerPhase) && !coming_up {
        // A node that was just asked for a heartbeat is in another phase of the failure detection.
        let row = Event::row(here.event).filter(|row| row.occasion == Occasion::Periodic);
        let after = row.map_or_else(String::new, |row| format!("{} {:?}", row.name, here.in_group));
        let epoch = epoch_of(cuts, here);
        return format!("in {:?} {epoch} attempt {} term {} {after}", here.phase, here.attempt, here.term);
    }
    let own = |position: Option<&Position>| position.map_or_else(String::new, |position| step_of(cuts, position));
    if let Some(onward) = standing.onward.filter(|_| cuts.has(Cut::Lineage) && !strike.lasts) {
        let Some(next) = onward.next else { return format!("behind the lineage / {}", own(standing.of_leader)) };
        return format!("before {} / {}", step_of(cuts, next), own(standing.of_leader));
    }
    match &strike.victim {
        Some(victim) if cuts.has(Cut::NextStep) && !strike.lasts && victim.node != here.node => {
            format!("behind {} / {}", own(standing.of_victim), own(standing.of_leader))
        }
        _ => format!("at {}", step_of(cuts, here)),
    }
}

/// What distinguishes an event from others.
pub(super) fn step_of(cuts: &Cuts, position: &Position) -> String {
    let whose = match position.subtask {
        _ if !cuts.has(Cut::SymmetricSubtasks) => {
            format!("{} {}", position.node, position.subtask.map_or_else(String::new, |subtask| subtask.to_string()))
        }
        Some(subtask) => format!("vertex {}", subtask.vertex.0),
        None => String::new(),
    };
    format!(
        "{} {whose} {:?} {} {:?} attempt {} term {}",
        position.event,
        position.in_group,
        epoch_of(cuts, position),
        position.phase,
        position.attempt,
        position.term
    )
}

pub(super) fn epoch_of(cuts: &Cuts, position: &Position) -> String {
    match (position.epoch, position.checkpoint) {
        (Epoch::Steady, Some(checkpoint)) if !cuts.has(Cut::SteadyEpochs) => format!("checkpoint {checkpoint}"),
        (epoch, _) => format!("{epoch:?}"),
    }
}
