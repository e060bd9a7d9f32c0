//! H2 and H3, explored: nobody acts upon an entry that is not at the end of the log, whatever is removed behind it.
//!
//! A small model of the log: processes look (and may see the log as it was at any earlier time), create entries, leave
//! torn writes, and remove what some earlier listing names. Every interleaving of a bounded number of steps is
//! visited. Three properties are asserted in each world:
//! - *the end*: a process that acts upon an entry has created the entry at the end of the log;
//! - *the living segment*: below the end, objects are created only in segments that are over, and nobody acts upon
//!   them;
//! - *nobody is stranded*: a reader that reads on from any past entry, as `Log::advance` does, arrives at the end.
//!
//! Rules that keep fewer entries are explored, too, and each of them breaks a property, so neither end of a segment
//! may be removed. ADR 0027 has the reasons. `crate::model::leadership` explores the product itself and shows that it
//! keeps the rule.

use std::collections::{BTreeMap, BTreeSet};

use super::position::{Position, between_ends};

/// The kind of object at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Entry,
    Closed,
    Torn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Process {
    /// The process does not lead; every step of it begins with a look at the log.
    Follows,
    /// The process leads, and this is its last entry.
    Leads(Position),
    /// The process leads, has closed its segment here, and has not begun the next one.
    Rotates(Position),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    objects: BTreeMap<Position, Kind>,
    /// Everything that was created at the end of the log, in order. A look may show any beginning of it.
    past: Vec<(Position, Kind)>,
    processes: Vec<Process>,
}

/// Which entries a leader keeps of the segments before its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    All,
    BothEnds,
    /// Both ends, but not the torn writes before the last one.
    NothingTorn,
    FirstOnly,
    LastOnly,
}

/// Where the log continues after an object.
fn behind((position, kind): (Position, Kind)) -> Position {
    match kind {
        Kind::Entry => position.next(),
        Kind::Closed => position.next_segment(),
        Kind::Torn => position.behind_torn(),
    }
}

fn end(past: &[(Position, Kind)]) -> Position {
    past.last().map_or(Position::FIRST, |last| behind(*last))
}

impl World {
    /// Every world that one step leads to, or the property that the step breaks.
    fn steps(&self, keeps: Keeps, torn: bool) -> Result<Vec<World>, String> {
        let mut next = Vec::new();
        let kinds = |kind| [Some(kind), torn.then_some(Kind::Torn)].into_iter().flatten();
        for (index, process) in self.processes.iter().enumerate() {
            match *process {
                Process::Follows => {
                    for seen in 0..=self.past.len() {
                        let shown = &self.past[..seen];
                        let tail = shown.iter().rev().find(|(_, kind)| *kind != Kind::Torn);
                        let at = end(shown);
                        if tail.is_none_or(|(_, kind)| *kind == Kind::Closed) {
                            for kind in kinds(Kind::Entry) {
                                next.extend(self.create(index, at, kind, Process::Leads(at))?);
                            }
                        } else {
                            for kind in kinds(Kind::Closed) {
                                next.extend(self.create(index, at, kind, Process::Follows)?);
                            }
                        }
                    }
                }
                Process::Leads(last) => {
                    for kind in kinds(Kind::Entry) {
                        next.extend(self.create(index, last.next(), kind, Process::Leads(last.next()))?);
                    }
                    for kind in kinds(Kind::Closed) {
                        next.extend(self.create(index, last.next(), kind, Process::Rotates(last.next()))?);
                    }
                    next.extend(self.removals(keeps, last.segment));
                }
                Process::Rotates(closed) => {
                    let at = closed.next_segment();
                    for kind in kinds(Kind::Entry) {
                        next.extend(self.create(index, at, kind, Process::Leads(at))?);
                    }
                }
            }
        }
        Ok(next)
    }

    /// Creates an object. If the place is taken, the process stops leading; after a torn write it continues behind it.
    fn create(&self, index: usize, at: Position, kind: Kind, then: Process) -> Result<Option<World>, String> {
        let mut world = self.clone();
        match world.objects.get(&at) {
            // A torn write stands here, whoever left it. The process continues behind it with its next step.
            Some(Kind::Torn) => {
                world.processes[index] = match (then, self.processes[index]) {
                    (Process::Leads(_) | Process::Rotates(_), Process::Leads(_)) => Process::Leads(at),
                    (Process::Leads(_), Process::Rotates(_)) => Process::Rotates(at),
                    _ => Process::Follows,
                };
            }
            Some(_) => world.processes[index] = Process::Follows,
            None => {
                let end = end(&self.past);
                if at == end {
                    world.past.push((at, kind));
                } else if kind == Kind::Entry {
                    return Err(format!("an entry was created at {at}, and the log ends at {end}"));
                } else if at.segment >= end.segment {
                    return Err(format!("{kind:?} was created at {at}, and the log ends at {end}"));
                }
                world.objects.insert(at, kind);
                if kind != Kind::Torn {
                    world.processes[index] = then;
                }
            }
        }
        Ok(Some(world))
    }

    /// The worlds after a leader in segment `leading` has removed entries, one for each listing that the store may
    /// show.
    fn removals(&self, keeps: Keeps, leading: u64) -> Vec<World> {
        let mut worlds = BTreeSet::new();
        let past: BTreeSet<Position> = self.past.iter().map(|(position, _)| *position).collect();
        // Objects that were created late, in segments that are over, may be listed or not.
        let late: BTreeSet<Position> = self.objects.keys().filter(|at| !past.contains(at)).copied().collect();
        for (seen, late) in (1..=self.past.len()).flat_map(|seen| [(seen, None), (seen, Some(&late))]) {
            let shown = self.past[..seen].iter().map(|(position, _)| *position);
            let listed: BTreeSet<Position> = shown.chain(late.into_iter().flatten().copied()).collect();
            let mut gone = BTreeSet::new();
            for mut between in between_ends(listed.iter().copied(), leading) {
                let is_torn = |at: &Position| self.objects.get(at).is_none_or(|kind| *kind == Kind::Torn);
                while keeps != Keeps::NothingTorn && between.last().is_some_and(is_torn) {
                    between.pop();
                }
                gone.extend(between.into_iter().filter(|_| keeps != Keeps::All));
            }
            for position in listed.iter().filter(|position| position.segment < leading) {
                let is_last = !listed.contains(&position.next());
                let goes = match keeps {
                    Keeps::FirstOnly => is_last,
                    Keeps::LastOnly => position.number == 0,
                    Keeps::All | Keeps::BothEnds | Keeps::NothingTorn => false,
                };
                if goes {
                    gone.insert(*position);
                }
            }
            let mut world = self.clone();
            world.objects.retain(|position, _| !gone.contains(position));
            if world.objects.len() < self.objects.len() {
                worlds.insert(world);
            }
        }
        worlds.into_iter().collect()
    }

    /// Where a reader arrives that has read up to `from` and reads on by the rule of `Log::advance`.
    fn read_on(&self, from: (Position, Kind)) -> Position {
        let mut tail = from;
        loop {
            let nearest = behind(tail);
            let next = [nearest, nearest.next_segment()].into_iter().find(|at| self.objects.contains_key(at));
            match next {
                Some(at) => tail = (at, self.objects[&at]),
                None => return nearest,
            }
        }
    }
}

/// Visits every world within so many steps. Returns their number, or the property that does not hold.
fn explore(processes: usize, steps: usize, keeps: Keeps, torn: bool) -> Result<usize, String> {
    let first = World { objects: BTreeMap::new(), past: Vec::new(), processes: vec![Process::Follows; processes] };
    let mut seen = BTreeSet::from([first]);
    let mut frontier: Vec<World> = seen.iter().cloned().collect();
    for _ in 0..steps {
        let mut next = Vec::new();
        for world in &frontier {
            for mut world in world.steps(keeps, torn)? {
                for from in &world.past {
                    let (arrived, end) = (world.read_on(*from), end(&world.past));
                    if arrived != end {
                        return Err(format!("who reads on from {} arrives at {arrived} instead of {end}", from.0));
                    }
                }
                // Processes are interchangeable, so their order is normalised.
                world.processes.sort_unstable();
                if seen.insert(world.clone()) {
                    next.push(world);
                }
            }
        }
        frontier = next;
    }
    Ok(seen.len())
}

#[test]
fn while_both_ends_of_each_segment_stay_nobody_acts_upon_the_past() {
    for keeps in [Keeps::All, Keeps::BothEnds] {
        for (processes, steps, torn) in [(2, 13, false), (3, 11, false), (2, 11, true)] {
            let worlds = explore(processes, steps, keeps, torn);
            eprintln!("{keeps:?}, {processes} processes, {steps} steps, torn {torn}: {worlds:?}");
            assert!(*worlds.as_ref().unwrap_or_else(|broken| panic!("{keeps:?}: {broken}")) > 1_000, "{worlds:?}");
        }
    }
}

/// Without the last entry of a segment, its former leader goes on writing there.
#[test]
fn the_end_of_a_segment_is_a_fence() {
    let broken = explore(2, 7, Keeps::FirstOnly, false).unwrap_err();
    assert!(broken.starts_with("an entry was created at"), "{broken}");
}

/// Without the first entry of the next segment, a process that saw the previous segment closed begins that segment
/// once more.
#[test]
fn the_beginning_of_a_segment_is_a_fence() {
    let broken = explore(2, 8, Keeps::LastOnly, false).unwrap_err();
    assert!(broken.starts_with("an entry was created at"), "{broken}");
}

/// Without torn writes before the end, a leader from before such a write creates its next entry in their place.
#[test]
fn torn_writes_before_the_end_of_a_segment_belong_to_it() {
    let broken = explore(2, 11, Keeps::NothingTorn, true).unwrap_err();
    assert!(broken.starts_with("an entry was created at"), "{broken}");
}
