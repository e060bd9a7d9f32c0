//! The catalogue of a search: every canonical strike of every kind of fault at every place of the clean run, and the
//! class of each.
//!
//! Start at [`Catalogue::new`]; [`Catalogue::plan`] turns a strike into a plan. A strike is kept as a few numbers and
//! made again when it is needed, because a long run has a million strikes. Places are the events of the run, its
//! control messages and its writes ([`Site`], [`super::surveyed`]). A rule about one message or write is armed at the
//! last event before it. Besides the scenario itself there are *grounds* ([`super::ground`]): the scenario with one
//! more fault, which brings about what no clean run shows.
//!
//! Sound cuts, made here: kinds strike only the roles to which they apply, and only where the plan has what they need;
//! rules about messages and writes strike only those that exist; a standby does nothing but read the leadership log, so
//! it is struck once per entry of the log; nothing strikes after the end of the job.
//!
//! Invariants: (STRIKE-K1) the same scenario, seed and build give the same catalogue, number by number, whatever cuts
//! are made; (STRIKE-K2) every strike adds its faults after those of the scenario and its ground, and changes nothing
//! else except what may be expected of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowquake_engine::env::StoreKind;
use flowquake_engine::time::Time;
use xxhash_rust::xxh3::xxh3_64;

use super::cover::{Pair, Slot, Strength, choose};
use super::cut::{Cuts, Standing, class_of};
use super::ground::slot_of;
use super::position::Position;
use super::surveyed::{Site, Surveyed, ends, position_of, sites};
use crate::faults::{Canon, Canonical, Kind, Place, Victim, spoils_checkpoints, strikes};
use crate::nemesis::{STANDBY, TASK_MANAGER};
use crate::plan::{
    EventTrigger, Expectations, ExpectedEnd, FaultAction, FaultPlan, RunPlan, StoreName, TimingBounds, Trigger,
};
use crate::scenario::NO_WAY_BACK;

/// A strike: which kind of fault, where, and which of the kind's canonical strikes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// Number of the ground.
    pub ground: u16,
    /// The place of the strike.
    pub site: Site,
    /// The kind of fault.
    pub kind: Kind,
    /// Which of the kind's strikes at this place.
    nth: u16,
    /// Number of the strike's class.
    pub class: u32,
}

/// A strike in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Name of the kind of fault.
    pub kind: &'static str,
    /// The setting of the fault.
    pub label: String,
    /// The victim: nodes, or a store.
    pub victim: String,
    /// Index of the event at which the fault strikes or is armed.
    pub event: usize,
    /// Name of that event.
    pub name: &'static str,
    /// The node that emits it.
    pub node: String,
    /// When it is emitted.
    pub at: Time,
    /// Name of the ground; empty for the scenario itself.
    pub ground: String,
}

/// A strike that was found while the catalogue is being made.
struct Found<'f> {
    site: Site,
    kind: Kind,
    nth: u16,
    made: &'f Canonical,
    standing: Standing<'f>,
    /// What the strike is aimed at, if that is not an event.
    place: Option<&'f str>,
}

/// Every strike of a search.
pub struct Catalogue {
    base: RunPlan,
    keyed: bool,
    grounds: Vec<Surveyed>,
    strikes: Vec<Strike>,
    /// The numbers of the strikes of each class.
    classes: Vec<Vec<u32>>,
}

impl Catalogue {
    /// All strikes at `base` and its grounds. There is at least one ground, the scenario itself. `keyed`: whether the
    /// job keeps keyed state.
    pub fn new(base: RunPlan, keyed: bool, grounds: Vec<Surveyed>, cuts: &Cuts) -> Self {
        let mut catalogue = Self { base, keyed, grounds, strikes: Vec::new(), classes: Vec::new() };
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..catalogue.grounds.len() {
            catalogue.add_ground(number, cuts, &mut names);
        }
        catalogue
    }

    /// The pairs of a covering array. Each ground brings about a first strike of its kind in its phase, and gets one
    /// strike for each chosen pair, in a class of its own. `itself` is the scenario, which is only there to be named.
    /// Also returns which pair each strike belongs to.
    pub fn covering(
        base: RunPlan,
        keyed: bool,
        itself: Surveyed,
        firsts: Vec<(Slot, Surveyed)>,
        strength: Strength,
    ) -> (Self, Vec<Pair>) {
        let (slots, grounds): (Vec<Slot>, Vec<Surveyed>) = firsts.into_iter().unzip();
        let grounds = std::iter::once(itself.without_strikes()).chain(grounds).collect();
        let mut catalogue = Self { base, keyed, grounds, strikes: Vec::new(), classes: Vec::new() };
        let mut possible: Vec<(Pair, usize, Site, Kind, u16)> = Vec::new();
        for (first, number) in slots.into_iter().zip(1..) {
            // Of the strikes of a kind in a phase, a hash picks one, so that settings, victims and epochs differ from
            // pair to pair.
            let mut picked: BTreeMap<Slot, (u64, Site, Kind, u16)> = BTreeMap::new();
            catalogue.each_strike(number, &Cuts::without(&[]), |found| {
                let second = slot_of(found.kind, found.standing.here.phase);
                let key = format!("{number} {:?} {} {}", found.site, found.kind.name(), found.nth);
                let rank = xxh3_64(key.as_bytes());
                let best = picked.entry(second).or_insert((rank, found.site, found.kind, found.nth));
                if rank < best.0 {
                    *best = (rank, found.site, found.kind, found.nth);
                }
            });
            possible.extend(
                picked
                    .into_iter()
                    .map(|(second, (_, site, kind, nth))| (Pair { first, second }, number, site, kind, nth)),
            );
        }
        let pairs: Vec<Pair> = possible.iter().map(|(pair, ..)| *pair).collect();
        let mut chosen = Vec::new();
        for at in choose(&pairs, strength) {
            let (pair, ground, site, kind, nth) = possible[at];
            let number = catalogue.strikes.len() as u32;
            catalogue.classes.push(vec![number]);
            catalogue.strikes.push(Strike { ground: ground as u16, site, kind, nth, class: number });
            chosen.push(pair);
        }
        (catalogue, chosen)
    }

    fn add_ground(&mut self, number: usize, cuts: &Cuts, names: &mut BTreeMap<String, u32>) {
        let name = self.grounds[number].ground.name.clone();
        let mut found: Vec<(Site, Kind, u16, String)> = Vec::new();
        self.each_strike(number, cuts, |strike| {
            let Found { site, kind, nth, .. } = strike;
            let class = class_of(cuts, kind.name(), strike.made, &strike.standing, strike.place);
            found.push((site, kind, nth, format!("{name}|{class}")));
        });
        for (site, kind, nth, class) in found {
            let fresh = self.classes.len() as u32;
            let class = *names.entry(class).or_insert(fresh);
            if class == fresh {
                self.classes.push(Vec::new());
            }
            self.classes[class as usize].push(self.strikes.len() as u32);
            self.strikes.push(Strike { ground: number as u16, site, kind, nth, class });
        }
    }

    /// How many classes these cuts make of the same strikes.
    pub(super) fn count_classes(&self, cuts: &Cuts) -> u64 {
        let mut names: BTreeSet<u64> = BTreeSet::new();
        for (number, ground) in self.grounds.iter().enumerate() {
            self.each_strike(number, cuts, |strike| {
                let class = class_of(cuts, strike.kind.name(), strike.made, &strike.standing, strike.place);
                names.insert(xxh3_64(format!("{}|{class}", ground.ground.name).as_bytes()));
            });
        }
        names.len() as u64
    }

    /// All strikes of a ground, in order.
    fn each_strike(&self, number: usize, cuts: &Cuts, mut each: impl FnMut(Found)) {
        let ground = &self.grounds[number];
        for (site, place) in sites(ground, cuts) {
            let here = position_of(ground, site);
            self.each_at(ground, site, |kind, nth, made, skipped| {
                if skipped {
                    return;
                }
                let of_victim = made.victim.as_ref().and_then(|victim| ground.newest_of(here, &victim.node));
                let of_leader = ground.newest_of(here, &here.leader);
                let onward = ground.onward(here, made);
                let standing = Standing { here, of_victim, of_leader, onward };
                each(Found { site, kind, nth, made, standing, place: place.as_deref() });
            });
        }
    }

    /// Calls `each` with everything that strikes at a site, in order. `true` marks strikes that are left out because
    /// they strike a standby between two entries of the log.
    fn each_at(&self, ground: &Surveyed, site: Site, mut each: impl FnMut(Kind, u16, &Canonical, bool)) {
        let here = position_of(ground, site);
        let victims = ground.victims(here);
        let Some(canon) = self.canon(ground, site, &victims) else { return };
        for kind in Kind::ALL.iter().filter(|kind| ground.ground.scope.takes(site, kind.name())) {
            for (nth, made) in strikes(kind.spec(), &canon).iter().enumerate() {
                let of_standby = made.victim.as_ref().is_some_and(|victim| victim.role == STANDBY);
                each(*kind, nth as u16, made, of_standby && !here.logs);
            }
        }
    }

    /// Calls `each` with everything that strikes on a ground, in the way of [`Self::each_at`].
    pub(super) fn each_made(&self, number: usize, cuts: &Cuts, mut each: impl FnMut(Site, Kind, &Canonical, bool)) {
        let ground = &self.grounds[number];
        for (site, _) in sites(ground, cuts) {
            self.each_at(ground, site, |kind, _, made, skipped| each(site, kind, made, skipped));
        }
    }

    /// Number of nodes of a ground, and number of kinds that strike at its events.
    pub(super) fn nodes_and_kinds(&self, number: usize) -> (u64, u64) {
        let ground = &self.grounds[number];
        let cluster = &self.base.cluster;
        let takes = |kind: &&Kind| ground.ground.scope.takes(Site::Event(0), kind.name());
        let nodes = u64::from(cluster.job_managers) + u64::from(cluster.task_managers);
        (nodes, Kind::ALL.iter().filter(takes).count() as u64)
    }

    /// How many events of a ground can be struck, or have a rule armed at them.
    pub(super) fn events_aimed_at(&self, number: usize) -> u64 {
        let sites = sites(&self.grounds[number], &Cuts::without(&[]));
        sites.iter().filter(|(site, _)| matches!(site, Site::Event(_))).count() as u64
    }

    /// How many strikes there would be at the job's last event, if it were struck.
    pub(super) fn strikes_at_end(&self, number: usize) -> u64 {
        let ground = &self.grounds[number];
        let mut found = 0;
        for site in ends(ground) {
            self.each_at(ground, site, |_, _, _, skipped| found += u64::from(!skipped));
        }
        found
    }

    /// All strikes; their indices are their numbers.
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// The classes, each with the numbers of its strikes. The first strike stands for the class.
    pub fn classes(&self) -> &[Vec<u32>] {
        &self.classes
    }

    /// The grounds; the first is the scenario itself.
    pub fn grounds(&self) -> &[Surveyed] {
        &self.grounds
    }

    /// The scenario's plan.
    pub fn base(&self) -> &RunPlan {
        &self.base
    }

    /// The grounds, for another catalogue.
    pub fn into_grounds(self) -> Vec<Surveyed> {
        self.grounds
    }

    /// Number of faults that come before those of the strike in its plan.
    pub fn faults_before(&self, number: u32) -> usize {
        let ground = &self.grounds[usize::from(self.strikes[number as usize].ground)];
        self.base.faults.len() + ground.ground.faults.len()
    }

    /// When the message was sent, or the write reached its store, that a strike is aimed at.
    pub fn aimed_at(&self, number: u32) -> Option<Time> {
        let strike = &self.strikes[number as usize];
        let traffic = &self.grounds[usize::from(strike.ground)].survey.traffic;
        match strike.site {
            Site::Message(message) => Some(traffic.messages[message as usize].at),
            Site::Write(write) => Some(traffic.writes[write as usize].at),
            Site::Event(_) | Site::Run => None,
        }
    }

    /// A place in the form that kinds of faults see. `None` if the message or write belongs to no node that can be
    /// struck.
    fn canon<'c>(&'c self, ground: &'c Surveyed, site: Site, victims: &'c [Victim]) -> Option<Canon<'c>> {
        let named = |node: &str| victims.iter().find(|victim| victim.node == node);
        let place = match site {
            Site::Event(_) => Place::Event,
            Site::Run => Place::Run,
            Site::Message(number) => {
                let message = &ground.survey.traffic.messages[number as usize];
                let task_manager = |node: &str| named(node).filter(|victim| victim.role == TASK_MANAGER);
                Place::Message(
                    message.kind,
                    task_manager(message.from.as_str()).or_else(|| task_manager(message.to.as_str()))?,
                )
            }
            Site::Write(number) => {
                let write = &ground.survey.traffic.writes[number as usize];
                let store = match write.store {
                    StoreKind::Checkpoints => StoreName::Checkpoints,
                    StoreKind::Output => StoreName::Output,
                };
                Place::Write(store, named(write.node.as_str())?)
            }
        };
        let alone = self.base.faults.is_empty() && ground.ground.faults.is_empty();
        Some(Canon { plan: &self.base, keyed: self.keyed, alone, place, nodes: victims })
    }

    fn made(&self, number: u32) -> (&Surveyed, &Position, Canonical) {
        let strike = &self.strikes[number as usize];
        let ground = &self.grounds[usize::from(strike.ground)];
        let here = position_of(ground, strike.site);
        let victims = ground.victims(here);
        let canon = self.canon(ground, strike.site, &victims).expect("it was made of this place before");
        let made = strikes(strike.kind.spec(), &canon).swap_remove(usize::from(strike.nth));
        (ground, here, made)
    }

    /// The plan of a strike.
    pub fn plan(&self, number: u32) -> RunPlan {
        let (ground, here, made) = self.made(number);
        let mut faults = self.base.faults.clone();
        faults.extend(ground.ground.faults.iter().cloned());
        faults.extend(faults_of(&made, &here.trigger, faults.len() as u32 + 1));
        with_faults(&self.base, faults)
    }

    /// The node that a strike is aimed at, if it is aimed at a node.
    pub(super) fn victim(&self, number: u32) -> Option<Victim> {
        self.made(number).2.victim
    }

    /// A strike in words.
    pub fn describe(&self, number: u32) -> Described {
        let (ground, here, made) = self.made(number);
        let node = |victim: &Option<Victim>| victim.as_ref().map(|victim| victim.node.clone());
        let victim = match (node(&made.victim), node(&made.peer)) {
            (Some(one), Some(other)) => format!("{one} - {other}"),
            (Some(one), None) => one,
            (None, _) => made.role.to_owned(),
        };
        Described {
            kind: self.strikes[number as usize].kind.name(),
            label: made.label,
            victim,
            event: here.index,
            name: here.event,
            node: here.node.clone(),
            at: here.at,
            ground: ground.ground.name.clone(),
        }
    }
}

/// The faults of a strike, numbered from `first`.
fn faults_of(made: &Canonical, trigger: &EventTrigger, first: u32) -> Vec<FaultPlan> {
    let fault = |id, trigger: EventTrigger, delay, action: &FaultAction| FaultPlan {
        id,
        trigger: Trigger::On(trigger),
        delay,
        repeat: 1,
        action: action.clone(),
    };
    let mut faults = vec![fault(first, trigger.clone(), Duration::ZERO, &made.action)];
    faults.extend(made.with.iter().map(|action| fault(first + 1, trigger.clone(), Duration::ZERO, action)));
    let behind = made.later.as_ref().map(|(event, delay, action)| {
        let event = (*event).to_owned();
        let trigger = EventTrigger { event, nth: 1, after_fault: Some(first), ..EventTrigger::default() };
        fault(first + 1, trigger, *delay, action)
    });
    faults.extend(behind);
    faults
}

/// The scenario with these faults in place of its own. The number of failovers and the duration are no longer expected,
/// but the job's end is, unless a fault can spoil checkpoints.
pub(super) fn with_faults(base: &RunPlan, faults: Vec<FaultPlan>) -> RunPlan {
    let spoils = faults.iter().any(|fault| spoils_checkpoints(&fault.action));
    let job = match &base.expect.job {
        ExpectedEnd::Finished if spoils => ExpectedEnd::FinishedOrFailed(NO_WAY_BACK.to_owned()),
        end => end.clone(),
    };
    let expect = Expectations {
        job,
        exactly_once: base.expect.exactly_once,
        recovers_within: None,
        failovers: None,
        falls_back: None,
        aborted_checkpoints_min: None,
        timing: TimingBounds::default(),
    };
    RunPlan { faults, expect, prediction: None, ..base.clone() }
}
