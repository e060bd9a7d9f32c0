//! H3, explored: which rules of removal keep a write below the end of the log from succeeding.
//!
//! A small model of the log: processes that look (and may see the log as it was at any time before), create, and remove. Every
//! interleaving of a bounded number of steps is visited. The property behind H1 and H2 is one sentence: *a creation succeeds only
//! at the end of the log*. Whoever created elsewhere would act upon a past that others have gone on from. ADR 0027 says
//! what follows.

use std::collections::{BTreeMap, BTreeSet};

/// A process: what it holds for the newest entry, and whether that is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Process {
    /// It follows, and has seen the log up to here.
    Follows { tail: u8, term: u8 },
    /// It leads, and its last entry is this one.
    Leads { last: u8, term: u8 },
}

/// The log, and how long it has ever been.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    /// Terms of the entries, by number.
    entries: BTreeMap<u8, u8>,
    /// The highest number that was ever created, and its term: what a look may show of each length of the log.
    past: Vec<u8>,
    processes: Vec<Process>,
}

/// Which entries a leader may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    /// None: H3.
    Never,
    /// All but the newest so many.
    KeepNewest(u8),
    /// Those of terms before its own, but the one that opened each term.
    KeepOpenings,
}

impl World {
    fn new(processes: usize) -> Self {
        let processes = vec![Process::Follows { tail: 0, term: 0 }; processes];
        Self { entries: BTreeMap::new(), past: Vec::new(), processes }
    }

    /// Every world that one step leads to, and whether the step created an entry below the end.
    fn steps(&self, removal: Removal) -> Vec<(World, bool)> {
        let mut next = Vec::new();
        let end = self.past.len() as u8;
        for (index, process) in self.processes.iter().enumerate() {
            match *process {
                Process::Follows { .. } => {
                    // A listing or a read may show any state of before, and the newest one.
                    for tail in 0..=end {
                        let term = tail.checked_sub(1).map_or(0, |at| self.past[usize::from(at)]);
                        let (entry, term) = (tail + 1, term + 1);
                        next.push(self.create(index, entry, term, Process::Leads { last: entry, term }));
                    }
                }
                Process::Leads { last, term } => {
                    let entry = last + 1;
                    next.push(self.create(index, entry, term, Process::Leads { last: entry, term }));
                    // Only a leader whose entry is the newest that there ever was removes anything.
                    if last == end {
                        let gone: BTreeSet<u8> = self.removable(removal, last, term);
                        if !gone.is_empty() {
                            let mut world = self.clone();
                            world.entries.retain(|number, _| !gone.contains(number));
                            next.push((world, false));
                        }
                    }
                }
            }
        }
        next
    }

    fn removable(&self, removal: Removal, last: u8, term: u8) -> BTreeSet<u8> {
        let opens = |number: u8, of: u8| number < 2 || self.past.get(usize::from(number) - 2) != Some(&of);
        let may = |number: u8, of: u8| match removal {
            Removal::Never => false,
            Removal::KeepNewest(kept) => number + kept <= last,
            Removal::KeepOpenings => of < term && !opens(number, of),
        };
        self.entries.iter().filter(|(number, of)| may(**number, **of)).map(|(number, _)| *number).collect()
    }

    /// Creates an entry, or finds the number taken, which ends a leadership.
    fn create(&self, index: usize, number: u8, term: u8, then: Process) -> (World, bool) {
        let mut world = self.clone();
        if world.entries.contains_key(&number) {
            world.processes[index] = Process::Follows { tail: 0, term: 0 };
            return (world, false);
        }
        let below = usize::from(number) <= world.past.len();
        world.entries.insert(number, term);
        if !below {
            world.past.push(term);
        }
        world.processes[index] = then;
        (world, below)
    }
}

/// Visits every world within so many steps; how many there are, and whether an entry was ever created below the end.
fn explore(processes: usize, steps: usize, removal: Removal) -> (usize, bool) {
    let mut seen = BTreeSet::from([World::new(processes)]);
    let mut frontier: Vec<World> = seen.iter().cloned().collect();
    for _ in 0..steps {
        let mut next = Vec::new();
        for world in &frontier {
            for (world, below) in world.steps(removal) {
                if below {
                    return (seen.len(), true);
                }
                if seen.insert(world.clone()) {
                    next.push(world);
                }
            }
        }
        frontier = next;
    }
    (seen.len(), false)
}

#[test]
fn while_nothing_is_removed_an_entry_is_created_only_at_the_end() {
    let (worlds, below) = explore(3, 9, Removal::Never);
    assert!(!below, "H3");
    assert!(worlds > 1_000, "{worlds} worlds are too few to say anything");
}

/// The newest entries alone fence nobody: who looked before they were written creates where an older one stood.
#[test]
fn a_tail_of_any_length_is_no_fence() {
    for kept in 1..=3 {
        let (_, below) = explore(2, 3 + usize::from(kept), Removal::KeepNewest(kept));
        assert!(below, "keeping {kept} entries would be enough after all");
    }
}

/// What opened a term fences its former leader, but not a standby that saw the log when it was shorter.
#[test]
fn openings_alone_are_no_fence_against_a_stale_look() {
    let (_, below) = explore(2, 6, Removal::KeepOpenings);
    assert!(below, "keeping what opened each term would be enough after all");
}
