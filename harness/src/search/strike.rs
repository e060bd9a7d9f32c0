//! The catalogue of a search: every canonical strike of every kind of fault at every place of the clean run, and the class of each.
//!
//! Start at [`Catalogue::new`]; [`Catalogue::plan`] makes a strike the plain plan that it is. A strike is kept as a few numbers, and
//! made again when it is wanted: a long run has a million. Places are the events of the run, its control messages and its writes
//! ([`Site`]); a rule about one message or write is armed at the last event before it. Besides the scenario itself there are
//! *grounds* ([`super::ground`]): the scenario with one more fault, which brings about what no clean run shows.
//!
//! Sound cuts, made here: kinds strike only the roles to which they apply, and only where the plan has what they need; rules about
//! messages and writes strike those that there are; a standby does nothing but read the leadership log, so it is struck once per
//! entry of it; nothing strikes after the job's end.
//!
//! Invariants: (STRIKE-K1) the same scenario, seed and build give the same catalogue, number by number, whatever cuts are made;
//! (STRIKE-K2) every strike adds its faults behind those of the scenario and its ground, and changes nothing else but what may be
//! expected of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::env::StoreKind;
use flowquake_engine::time::Time;
use xxhash_rust::xxh3::xxh3_64;

use super::cover::{Pair, Slot, Strength, choose};
use super::cut::{Cuts, Standing, class_of, epoch_of};
use super::ground::{Ground, Scope, slot_of};
use super::position::{InGroup, Position, positions};
use super::survey::Survey;
use crate::faults::{Canon, Canonical, Kind, Place, Victim, spoils_checkpoints, strikes};
use crate::nemesis::{LEADER, STANDBY, TASK_MANAGER};
use crate::plan::{
    EventTrigger, Expectations, ExpectedEnd, FaultAction, FaultPlan, RunPlan, StoreName, TimingBounds, Trigger,
};
use crate::scenario::NO_WAY_BACK;

/// What a strike is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The event of this number.
    Event(u32),
    /// The control message of this number.
    Message(u32),
    /// The write of this number.
    Write(u32),
    /// The run as a whole.
    Run,
}

/// A strike: which kind, where, and which of its kind's canonical strikes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// Which ground, by number.
    pub ground: u16,
    /// Where.
    pub site: Site,
    /// The kind of fault.
    pub kind: Kind,
    /// Which of those that the kind has there.
    nth: u16,
    /// Number of its class.
    pub class: u32,
}

/// A strike in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Name of the kind of fault.
    pub kind: &'static str,
    /// Its setting.
    pub label: String,
    /// Whom it strikes: nodes, or a store.
    pub victim: String,
    /// The number of the event at which it strikes, or is armed.
    pub event: usize,
    /// That event.
    pub name: &'static str,
    /// Its emitter.
    pub node: String,
    /// When.
    pub at: Time,
    /// The ground; empty: the scenario itself.
    pub ground: String,
}

/// A ground with its clean run.
pub struct Surveyed {
    ground: Ground,
    survey: Survey,
    positions: Vec<Position>,
    /// Every node, as far as it does not depend on the place.
    nodes: Vec<Victim>,
    /// Per event and node (in the order of `nodes`): its newest event, this one included.
    newest: Vec<Vec<u32>>,
}

impl Surveyed {
    /// Of the clean run of `ground`.
    pub fn new(base: &RunPlan, ground: Ground, survey: Survey) -> Self {
        let positions = positions(&survey.events);
        let busy = survey.busy();
        let names = |kind: &str, count: u32| (1..=count).map(|n| format!("{kind}-{n}")).collect::<Vec<_>>();
        let job_managers = names("jm", base.cluster.job_managers).into_iter().map(|node| (node, STANDBY));
        let task_managers = names("tm", base.cluster.task_managers).into_iter().map(|node| (node, TASK_MANAGER));
        let nodes: Vec<Victim> = job_managers
            .chain(task_managers)
            .map(|(node, role)| Victim { busy: busy.contains(&node), emits: false, node, role })
            .collect();
        let mut last = vec![u32::MAX; nodes.len()];
        let newest = positions
            .iter()
            .map(|position| {
                if let Some(node) = nodes.iter().position(|victim| victim.node == position.node) {
                    last[node] = position.index as u32;
                }
                last.clone()
            })
            .collect();
        Self { ground, survey, positions, nodes, newest }
    }

    /// The same, to be named only.
    pub fn without_strikes(mut self) -> Self {
        self.ground.scope = Scope::Nothing;
        self
    }

    /// Its events as positions.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The ground.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The nodes as they stand at a position.
    fn victims(&self, here: &Position) -> Vec<Victim> {
        let at_place = |victim: &Victim| Victim {
            role: if victim.node == here.leader { LEADER } else { victim.role },
            emits: victim.node == here.node,
            ..victim.clone()
        };
        self.nodes.iter().map(at_place).collect()
    }

    /// The last event at or before a time; the first one, if there is none.
    fn before(&self, at: Time) -> &Position {
        let after = self.positions.partition_point(|position| position.at <= at);
        &self.positions[after.saturating_sub(1)]
    }

    /// The newest event of a node at a position.
    fn newest_of(&self, here: &Position, node: &str) -> Option<&Position> {
        let node = self.nodes.iter().position(|victim| victim.node == node)?;
        self.positions.get(self.newest[here.index][node] as usize)
    }
}

/// A strike while the catalogue is made.
struct Found<'f> {
    site: Site,
    kind: Kind,
    nth: u16,
    made: &'f Canonical,
    standing: Standing<'f>,
    /// What it is aimed at, if that is no event.
    place: Option<&'f str>,
}

/// Every strike of a search.
pub struct Catalogue {
    base: RunPlan,
    keyed: bool,
    grounds: Vec<Surveyed>,
    strikes: Vec<Strike>,
    /// Members of each class, by number of the strike.
    classes: Vec<Vec<u32>>,
}

impl Catalogue {
    /// All strikes at `base` and its grounds; at least one ground, the scenario itself. `keyed`: the job keeps keyed state.
    pub fn new(base: RunPlan, keyed: bool, grounds: Vec<Surveyed>, cuts: &Cuts) -> Self {
        let mut catalogue = Self { base, keyed, grounds, strikes: Vec::new(), classes: Vec::new() };
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..catalogue.grounds.len() {
            catalogue.add_ground(number, cuts, &mut names);
        }
        catalogue
    }

    /// Pairs of a covering array: on each ground, which brings about a first strike of this kind in this phase, one strike for each
    /// pair that is chosen, with classes of one. `itself` is the scenario, which is there to be named only. Also says which pair each strike is.
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
            // Of the strikes of a kind in a phase one that a hash picks: settings, victims and epochs differ from pair to pair.
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

    /// All strikes of a ground, in order.
    fn each_strike(&self, number: usize, cuts: &Cuts, mut each: impl FnMut(Found)) {
        let ground = &self.grounds[number];
        for (site, place) in sites(ground, cuts) {
            let here = position_of(ground, site);
            let victims = ground.victims(here);
            let Some(canon) = self.canon(ground, site, &victims) else { continue };
            for kind in Kind::ALL.iter().filter(|kind| ground.ground.scope.takes(site, kind.name())) {
                for (nth, made) in strikes(kind.spec(), &canon).iter().enumerate() {
                    let of_standby = made.victim.as_ref().is_some_and(|victim| victim.role == STANDBY);
                    if of_standby && !here.logs {
                        continue;
                    }
                    let of_victim = made.victim.as_ref().and_then(|victim| ground.newest_of(here, &victim.node));
                    let of_leader = ground.newest_of(here, &here.leader);
                    let standing = Standing { here, of_victim, of_leader };
                    each(Found { site, kind: *kind, nth: nth as u16, made, standing, place: place.as_deref() });
                }
            }
        }
    }

    /// All strikes; their places are their numbers.
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// The classes, each with the numbers of its strikes, the one that stands for all first.
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

    /// How many faults stand before those of a strike in its plan.
    pub fn faults_before(&self, number: u32) -> usize {
        let ground = &self.grounds[usize::from(self.strikes[number as usize].ground)];
        self.base.faults.len() + ground.ground.faults.len()
    }

    /// When the message was sent, or the write was at its store, that a strike is aimed at.
    pub fn aimed_at(&self, number: u32) -> Option<Time> {
        let strike = &self.strikes[number as usize];
        let traffic = &self.grounds[usize::from(strike.ground)].survey.traffic;
        match strike.site {
            Site::Message(message) => Some(traffic.messages[message as usize].at),
            Site::Write(write) => Some(traffic.writes[write as usize].at),
            Site::Event(_) | Site::Run => None,
        }
    }

    /// A place as kinds of faults see it; none, if the message or write is of nobody who can be struck.
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

    /// Whom a strike is aimed at, if that is a node.
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

fn position_of(ground: &Surveyed, site: Site) -> &Position {
    match site {
        Site::Event(index) => &ground.positions[index as usize],
        Site::Message(number) => ground.before(ground.survey.traffic.messages[number as usize].at),
        Site::Write(number) => ground.before(ground.survey.traffic.writes[number as usize].at),
        Site::Run => &ground.positions[0],
    }
}

/// All sites of a ground, in order; of a message or write also what makes it different from others.
fn sites(ground: &Surveyed, cuts: &Cuts) -> Vec<(Site, Option<String>)> {
    if ground.positions.is_empty() {
        return Vec::new();
    }
    let Ground { scope, since, .. } = ground.ground;
    let window = scope.window(since, &ground.positions, &ground.survey.events);
    let within = |site: &(Site, Option<String>)| window.contains(&position_of(ground, site.0).index);
    let lives = ground.positions.iter().filter(|position| !matches!(position.event, "job-finished" | "job-failed"));
    let aimed = lives.filter(|position| ground.ground.scope.aims_at(position));
    let events = aimed.map(|position| (Site::Event(position.index as u32), None));
    let messages = ground.survey.traffic.messages.iter().map(|message| {
        let down = message.from.as_str().starts_with("jm-");
        let (node, way) = if down { (&message.to, "to") } else { (&message.from, "from") };
        (format!("message {} {way}", message.kind.name()), node.to_string(), message.at)
    });
    let writes = ground.survey.traffic.writes.iter().map(|write| {
        let by = if write.node.as_str().starts_with("jm-") { "leader" } else { "task-manager" };
        (format!("write to {:?} by {by}", write.store), write.node.to_string(), write.at)
    });
    let messages = numbered(ground, cuts, messages.collect(), Site::Message);
    let writes = numbered(ground, cuts, writes.collect(), Site::Write);
    std::iter::once((Site::Run, Some(String::new())))
        .chain(events)
        .chain(messages)
        .chain(writes)
        .filter(within)
        .collect()
}

/// Messages or writes as sites: what, whose, when. Alike are those of one sort, epoch, phase and attempt that are first, in
/// the middle or last among such.
fn numbered(
    ground: &Surveyed,
    cuts: &Cuts,
    sent: Vec<(String, String, Time)>,
    site: fn(u32) -> Site,
) -> Vec<(Site, Option<String>)> {
    let place = |(what, node, at): &(String, String, Time)| {
        let here = ground.before(*at);
        let node = if cuts.has(super::cut::Cut::SymmetricSubtasks) { "" } else { node };
        let epoch = epoch_of(cuts, here);
        format!("{what} {node} {epoch} {:?} attempt {} term {}", here.phase, here.attempt, here.term)
    };
    let places: Vec<String> = sent.iter().map(place).collect();
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    places.iter().enumerate().for_each(|(at, place)| members.entry(place).or_default().push(at));
    let in_group = |at: usize| {
        let group = &members[places[at].as_str()];
        match (group.first() == Some(&at), group.last() == Some(&at)) {
            (true, true) => InGroup::Only,
            (true, false) => InGroup::First,
            (false, true) => InGroup::Last,
            (false, false) => InGroup::Middle,
        }
    };
    (0..sent.len()).map(|at| (site(at as u32), Some(format!("{} {:?}", places[at], in_group(at))))).collect()
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

/// The scenario with these faults in place of its own. How often it fails over and how long it takes is not held against it; how it
/// ends is, unless a fault spoils checkpoints.
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
