//! What is known about a kind of fault: its entry in the catalogue, and what each room does with it.
//!
//! Start at [`Spec`]. Each kind has one, in a file below this folder; kinds that share one action share the file. Types
//! that these entries have in common stand here.

use crate::checker::{Length, Rules};
use crate::draws::Drawn;
use crate::faults::canonical::{Canon, Canonical};
use crate::nemesis::{Act, CHECKPOINT_STORE, LEADER, LEADER_LINK, OUTPUT_STORE, STANDBY, TASK_LINK, TASK_MANAGER};
use crate::plan::FaultAction;
use crate::reader::FaultKeys;

/// The family of a fault, in the order of listings.
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
    /// All of them, in the order of listings.
    pub const ALL: [Family; 5] = [Self::Process, Self::Network, Self::Storage, Self::Time, Self::Control];

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

/// What a correct engine does under a fault. It never puts out wrong output silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The job finishes with exact output; at most it restarts.
    Masked,
    /// The job goes back to an older checkpoint, and then finishes with exact output.
    FellBack,
    /// The job fails for good, and names what it cannot survive.
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
    /// What is written as the value: a unit, or the accepted words.
    pub form: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// One kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The kind's name in scenario files.
    pub name: &'static str,
    /// The family of the kind.
    pub family: Family,
    /// What the fault does, in words.
    pub effect: &'static str,
    /// What a correct engine may do under it.
    pub classes: &'static [Class],
    /// Roles of victims that the kind applies to.
    pub roles: &'static [&'static str],
    /// The keys that it takes.
    pub params: &'static [Param],
    /// Reads the keys from a scenario file; `None` if one was refused.
    pub(crate) read: fn(&mut FaultKeys) -> Option<FaultAction>,
    /// The keys as a scenario file has them. `None` for keys that the action leaves out.
    pub(crate) write: fn(&FaultAction) -> Vec<Option<String>>,
    /// The rules for the action in its plan, without those for durations.
    pub(crate) rules: fn(&mut Rules, &FaultAction),
    /// Every duration of the action, and its least value.
    pub(crate) lengths: fn(&FaultAction) -> Vec<Length>,
    /// How a swarm draws the kind.
    pub(crate) drawn: Drawn,
    /// The strikes of the kind when every fault is tried at every step ([`super::canonical`]).
    pub(crate) canonical: fn(&Canon) -> Vec<Canonical>,
    /// How the kind strikes. How it ends is given by the effects that it leaves in force.
    pub(crate) strike: Act,
}

impl Spec {
    /// The keys with the forms of their values; keys that may be left out are in brackets.
    pub fn usage(&self) -> String {
        let shown = self.params.iter().map(|param| match param.optional {
            true => format!("[{} = {}]", param.name, param.form),
            false => format!("{} = {}", param.name, param.form),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// What a correct engine may do, in words.
    pub fn answer(&self) -> String {
        self.classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", or ")
    }
}

/// A function of one kind was given the action of another (FAULTS-K3).
pub(super) fn foreign(action: &FaultAction) -> ! {
    panic!("FAULTS-K3: this is the action of another kind: {action:?}")
}

/// For kinds that do not last.
pub(super) fn no_lengths(_: &FaultAction) -> Vec<Length> {
    Vec::new()
}

pub(super) const fn must(name: &'static str, form: &'static str) -> Param {
    Param { name, form, optional: false }
}

pub(super) const fn may(name: &'static str, form: &'static str) -> Param {
    Param { name, form, optional: true }
}

pub(super) const TARGET: Param = must("target", "node");
pub(super) const LINK: Param = must("link", "\"tm-1 - tm-2\"");
pub(super) const HEAL_AFTER: Param = may("heal_after", "duration");
pub(super) const BY: Param = must("by", "duration");
pub(super) const NODE: Param = may("node", "node");
pub(super) const COUNT: Param = may("count", "number");

pub(super) const NODES: &[&str] = &[LEADER, STANDBY, TASK_MANAGER];
pub(super) const LINKS: &[&str] = &[LEADER_LINK, TASK_LINK];
pub(super) const STORES: &[&str] = &[CHECKPOINT_STORE, OUTPUT_STORE];
