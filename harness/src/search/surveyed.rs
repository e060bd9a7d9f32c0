//! A ground with its clean run, and the places of that run at which something can strike: its events, its control
//! messages and its writes.
//!
//! Start at [`Surveyed`] and `sites`. A rule about one message or write is armed at the last event before it. For each
//! of its positions a ground also knows the newest step of every node and, if it is a ground of second faults, the next
//! step on the lineage.

use std::collections::BTreeMap;

use flowquake_engine::time::Time;

use super::cut::{Cut, Cuts, Onward, epoch_of};
use super::ground::{Ground, Scope};
use super::lineage::{first_commit, support};
use super::position::{InGroup, Position, positions};
use super::survey::Survey;
use crate::faults::{Canonical, Victim};
use crate::nemesis::{LEADER, STANDBY, TASK_MANAGER};
use crate::plan::RunPlan;

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

/// A ground with its clean run.
pub struct Surveyed {
    pub(super) ground: Ground,
    pub(super) survey: Survey,
    pub(super) positions: Vec<Position>,
    /// Every node, without what depends on the place.
    nodes: Vec<Victim>,
    /// For each event and node (in the order of `nodes`): the node's newest event up to and including this event.
    newest: Vec<Vec<u32>>,
    /// For a ground of second faults: the lineage of the first commit after the recovery, if there is one.
    lineage: Option<Lineage>,
}

/// For each event and node (in the order of the ground's nodes): the node's next step on the lineage after this event.
struct Lineage(Vec<Vec<u32>>);

impl Lineage {
    fn of(survey: &Survey, positions: &[Position], nodes: &[Victim]) -> Option<Self> {
        let on = support(&survey.events, first_commit(&survey.events)?);
        let node_of = |position: &Position| nodes.iter().position(|victim| victim.node == position.node);
        let mut coming = vec![u32::MAX; nodes.len()];
        let mut next = Vec::with_capacity(positions.len());
        for position in positions.iter().rev() {
            next.push(coming.clone());
            if let Some(node) = node_of(position).filter(|_| on[position.index]) {
                coming[node] = position.index as u32;
            }
        }
        next.reverse();
        Some(Self(next))
    }
}

impl Surveyed {
    /// Made from the clean run of `ground`.
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
        let second = ground.scope == Scope::Second;
        let lineage = second.then(|| Lineage::of(&survey, &positions, &nodes)).flatten();
        Self { ground, survey, positions, nodes, newest, lineage }
    }

    /// The same ground, but only to be named.
    pub fn without_strikes(mut self) -> Self {
        self.ground.scope = Scope::Nothing;
        self
    }

    /// The events as positions.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The ground.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The nodes as they stand at a position.
    pub(super) fn victims(&self, here: &Position) -> Vec<Victim> {
        let at_place = |victim: &Victim| Victim {
            role: if victim.node == here.leader { LEADER } else { victim.role },
            emits: victim.node == here.node,
            ..victim.clone()
        };
        self.nodes.iter().map(at_place).collect()
    }

    /// The last event at or before a time; if there is none, the first event.
    fn before(&self, at: Time) -> &Position {
        let after = self.positions.partition_point(|position| position.at <= at);
        &self.positions[after.saturating_sub(1)]
    }

    /// The newest event of a node at a position.
    pub(super) fn newest_of(&self, here: &Position, node: &str) -> Option<&Position> {
        self.positions.get(self.newest[here.index][self.number_of(node)?] as usize)
    }

    fn number_of(&self, node: &str) -> Option<usize> {
        self.nodes.iter().position(|victim| victim.node == node)
    }

    /// What is left of the lineage for a TaskManager at a position. `None`: there is no lineage here, or the strike
    /// hits something else. For a leader every step counts, because its state is everything that it has written and
    /// sent.
    pub(super) fn onward(&self, here: &Position, strike: &Canonical) -> Option<Onward<'_>> {
        let lineage = self.lineage.as_ref()?;
        let victim = strike.victim.as_ref().filter(|victim| victim.role == TASK_MANAGER && strike.peer.is_none())?;
        let next = lineage.0[here.index][self.number_of(&victim.node)?];
        Some(Onward { next: self.positions.get(next as usize) })
    }
}

pub(super) fn position_of(ground: &Surveyed, site: Site) -> &Position {
    match site {
        Site::Event(index) => &ground.positions[index as usize],
        Site::Message(number) => ground.before(ground.survey.traffic.messages[number as usize].at),
        Site::Write(number) => ground.before(ground.survey.traffic.writes[number as usize].at),
        Site::Run => &ground.positions[0],
    }
}

fn is_end(position: &Position) -> bool {
    matches!(position.event, "job-finished" | "job-failed")
}

/// The events with which the job ends, if the ground's strikes reach them. Nothing strikes at them.
pub(super) fn ends(ground: &Surveyed) -> Vec<Site> {
    let Ground { scope, since, .. } = ground.ground;
    let window = scope.window(since, &ground.positions, &ground.survey.events);
    let ends = ground.positions[window].iter().filter(|position| is_end(position));
    ends.map(|position| Site::Event(position.index as u32)).collect()
}

/// All sites of a ground, in order; for a message or write, also what distinguishes it from others.
pub(super) fn sites(ground: &Surveyed, cuts: &Cuts) -> Vec<(Site, Option<String>)> {
    if ground.positions.is_empty() {
        return Vec::new();
    }
    let Ground { scope, since, .. } = ground.ground;
    let window = scope.window(since, &ground.positions, &ground.survey.events);
    let within = |site: &(Site, Option<String>)| window.contains(&position_of(ground, site.0).index);
    let lives = ground.positions.iter().filter(|position| !is_end(position));
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

/// Messages or writes as sites, given by sort, owner and time. Two are equivalent if they are of the same sort, epoch,
/// phase and attempt, and are both first, both in the middle, or both last among these.
fn numbered(
    ground: &Surveyed,
    cuts: &Cuts,
    sent: Vec<(String, String, Time)>,
    site: fn(u32) -> Site,
) -> Vec<(Site, Option<String>)> {
    let place = |(what, node, at): &(String, String, Time)| {
        let here = ground.before(*at);
        let node = if cuts.has(Cut::SymmetricSubtasks) { "" } else { node };
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
