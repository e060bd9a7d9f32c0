//! A covering array over pairs: few runs with two faults each that together contain every combination of kinds and
//! phases.
//!
//! Start at [`choose`]. A [`Pair`] says which kind of fault strikes first and in which phase of the protocol, and which
//! kind strikes second and in which phase. All pairs are the product of two kinds and two phases. An array takes enough
//! of them that every [`Combination`] of three of these four parts is in one, and every pair of kinds also with either
//! order of their phases ([`Strength::Three`]). [`Strength::Four`] takes all pairs. Which pairs a run can have depends
//! on the scenario, so they are given. [`account`] says how many combinations were covered, and why the others cannot
//! be.
//!
//! A run has two faults and no more. A run of eleven faults would cover more combinations by count, but its first
//! faults would keep the others from reaching what they are aimed at, and a failure would not show which fault caused
//! it.
//!
//! Invariants: (COVER-C1) what any given pair covers is covered by the pairs that are chosen; (COVER-C2) each chosen
//! pair covers something that no other chosen pair covers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

/// A kind of fault in a phase of the protocol, each by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Number of the kind.
    pub kind: u16,
    /// Number of the phase.
    pub phase: u16,
}

/// Two faults in the order in which they strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// What strikes first.
    pub first: Slot,
    /// What strikes second.
    pub second: Slot,
}

/// How many of the four parts of a pair a combination fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Three parts, or two kinds and the order of their phases.
    Three,
    /// All four parts: every pair is a combination of its own.
    Four,
}

/// Which parts a combination fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// Two kinds and the phase of the first.
    FirstPhase,
    /// Two kinds and the phase of the second.
    SecondPhase,
    /// Two kinds, and whether the second strikes in an earlier, the same, or a later phase than the first.
    Order,
    /// Two phases and the kind of the first.
    FirstKind,
    /// Two phases and the kind of the second.
    SecondKind,
    /// Two kinds and two phases.
    All,
}

impl Sort {
    /// The sort in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::FirstPhase => "two kinds, phase of the first",
            Self::SecondPhase => "two kinds, phase of the second",
            Self::Order => "two kinds, order of their phases",
            Self::FirstKind => "two phases, kind of the first",
            Self::SecondKind => "two phases, kind of the second",
            Self::All => "two kinds and two phases",
        }
    }
}

impl Strength {
    /// The sorts of combinations that are covered.
    pub fn sorts(self) -> &'static [Sort] {
        match self {
            Self::Three => &[Sort::FirstPhase, Sort::SecondPhase, Sort::Order, Sort::FirstKind, Sort::SecondKind],
            Self::Four => &[Sort::All],
        }
    }
}

/// What must occur in some run. A part that does not matter is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Combination {
    /// Which parts are fixed.
    pub sort: Sort,
    /// Kind of the first.
    pub first_kind: Option<u16>,
    /// Phase of the first.
    pub first_phase: Option<u16>,
    /// Kind of the second.
    pub second_kind: Option<u16>,
    /// Phase of the second.
    pub second_phase: Option<u16>,
    /// Whether the second phase is before, the same as, or after the first.
    pub order: Option<Ordering>,
}

impl Combination {
    /// The combination of this sort that a pair covers.
    pub fn of(sort: Sort, pair: Pair) -> Self {
        let Pair { first, second } = pair;
        let none =
            Self { sort, first_kind: None, first_phase: None, second_kind: None, second_phase: None, order: None };
        let kinds = Self { first_kind: Some(first.kind), second_kind: Some(second.kind), ..none };
        let phases = Self { first_phase: Some(first.phase), second_phase: Some(second.phase), ..none };
        match sort {
            Sort::FirstPhase => Self { first_phase: phases.first_phase, ..kinds },
            Sort::SecondPhase => Self { second_phase: phases.second_phase, ..kinds },
            Sort::Order => Self { order: Some(second.phase.cmp(&first.phase)), ..kinds },
            Sort::FirstKind => Self { first_kind: kinds.first_kind, ..phases },
            Sort::SecondKind => Self { second_kind: kinds.second_kind, ..phases },
            Sort::All => Self { first_kind: kinds.first_kind, second_kind: kinds.second_kind, ..phases },
        }
    }
}

/// Which of these pairs to run, by their indices, in order. The same pairs always give the same choice.
pub fn choose(possible: &[Pair], strength: Strength) -> Vec<usize> {
    let combinations = |at: usize| strength.sorts().iter().map(move |sort| Combination::of(*sort, possible[at]));
    let mut spread: Vec<usize> = (0..possible.len()).collect();
    spread.sort_by_key(|at| (hash(&possible[*at]), *at));
    let mut times: BTreeMap<Combination, u32> = BTreeMap::new();
    let mut chosen: Vec<usize> = Vec::new();
    // Greedy: takes first the pairs that cover as many new combinations as possible, then those that cover one less,
    // and so on.
    for wanted in (1..=strength.sorts().len()).rev() {
        for at in &spread {
            let fresh = combinations(*at).filter(|combination| !times.contains_key(combination)).count();
            if fresh >= wanted {
                combinations(*at).for_each(|combination| *times.entry(combination).or_default() += 1);
                chosen.push(*at);
            }
        }
    }
    // Later pairs may together cover everything that an earlier one was taken for.
    let needed =
        |times: &BTreeMap<Combination, u32>, at: usize| combinations(at).any(|combination| times[&combination] < 2);
    let mut kept = Vec::new();
    for at in chosen {
        if needed(&times, at) {
            kept.push(at);
        } else {
            combinations(at).for_each(|combination| *times.get_mut(&combination).expect("it was chosen") -= 1);
        }
    }
    let all: BTreeSet<Combination> = (0..possible.len()).flat_map(combinations).collect();
    assert!(all.iter().all(|combination| times.get(combination).is_some_and(|times| *times > 0)), "COVER-C1");
    assert!(kept.iter().all(|at| needed(&times, *at)), "COVER-C2");
    kept.sort_unstable();
    kept
}

fn hash(pair: &Pair) -> u64 {
    let Pair { first, second } = pair;
    let numbers = [first.kind, first.phase, second.kind, second.phase];
    xxh3_64(&numbers.map(u16::to_le_bytes).concat())
}

/// What exists of each part; explains why combinations cannot be covered.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Kinds and phases that can strike first.
    pub firsts: BTreeSet<Slot>,
    /// Kinds and phases where every first strike that was tried went wrong, or hurt nothing by itself.
    pub dropped: BTreeSet<Slot>,
    /// Kinds and phases that can strike second, after any first strike.
    pub seconds: BTreeSet<Slot>,
}

impl Facts {
    /// Why no pair covers a combination.
    pub fn why(&self, combination: &Combination) -> &'static str {
        let lacks = |slots: &BTreeSet<Slot>, kind: Option<u16>, phase: Option<u16>| {
            let fits = |slot: &Slot| {
                kind.is_none_or(|kind| slot.kind == kind) && phase.is_none_or(|phase| slot.phase == phase)
            };
            !slots.iter().any(fits)
        };
        let Combination { first_kind, first_phase, second_kind, second_phase, .. } = *combination;
        let tried: BTreeSet<Slot> = self.firsts.union(&self.dropped).copied().collect();
        if lacks(&tried, first_kind, None) {
            "the first kind has no strike in this scenario"
        } else if lacks(&tried, None, first_phase) {
            "the phase of the first comes only after a failure"
        } else if lacks(&tried, first_kind, first_phase) {
            "the first kind has no strike in that phase"
        } else if lacks(&self.firsts, first_kind, first_phase) {
            "the first strike hurts nothing by itself"
        } else if lacks(&self.seconds, second_kind, None) {
            "the second kind has no strike in this scenario"
        } else if lacks(&self.seconds, second_kind, second_phase) {
            "the second kind has no strike in that phase"
        } else {
            "the second has no such strike behind that first"
        }
    }
}

/// How many combinations of a sort there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Which sort.
    pub sort: Sort,
    /// Number of combinations of all kinds and phases.
    pub all: u64,
    /// Number of combinations that some pair covers.
    pub possible: u64,
    /// Number of combinations that a pair covered whose faults struck.
    pub covered: u64,
}

/// Counts the combinations of this many kinds and phases: those that the chosen pairs cover, and those that pairs
/// covered whose faults struck. Also counts, for each reason, the combinations that cannot be covered.
pub fn account(
    (kinds, phases): (u16, u16),
    strength: Strength,
    chosen: &[Pair],
    struck: &[Pair],
    facts: &Facts,
) -> (Vec<Counted>, BTreeMap<&'static str, u64>) {
    let mut missing: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut counts = Vec::new();
    for (sort, covered) in strength.sorts().iter().zip(covered(strength, struck)) {
        let possible: BTreeSet<_> = chosen.iter().map(|pair| Combination::of(*sort, *pair)).collect();
        let mut universe: BTreeSet<Combination> = BTreeSet::new();
        for slots in every(*sort, kinds, phases) {
            universe.insert(Combination::of(*sort, slots));
        }
        for combination in universe.iter().filter(|combination| !possible.contains(combination)) {
            *missing.entry(facts.why(combination)).or_default() += 1;
        }
        let (all, possible) = (universe.len() as u64, possible.len() as u64);
        counts.push(Counted { sort: *sort, all, possible, covered });
    }
    (counts, missing)
}

/// How many combinations of each sort these pairs cover.
pub fn covered(strength: Strength, pairs: &[Pair]) -> Vec<u64> {
    let of = |sort: &Sort| pairs.iter().map(|pair| Combination::of(*sort, *pair)).collect::<BTreeSet<_>>().len() as u64;
    strength.sorts().iter().map(of).collect()
}

/// Pairs that contain every combination of a sort. Parts that the sort does not fix are 0.
fn every(sort: Sort, kinds: u16, phases: u16) -> impl Iterator<Item = Pair> {
    let (first_kinds, second_kinds) = match sort {
        Sort::FirstKind => (kinds, 1),
        Sort::SecondKind => (1, kinds),
        _ => (kinds, kinds),
    };
    let (first_phases, second_phases) = match sort {
        Sort::FirstPhase => (phases, 1),
        Sort::SecondPhase => (1, phases),
        // Two phases are enough for all orders.
        Sort::Order => (phases.min(2), phases.min(2)),
        _ => (phases, phases),
    };
    let slots =
        |kinds: u16, phases: u16| (0..kinds).flat_map(move |kind| (0..phases).map(move |phase| Slot { kind, phase }));
    slots(first_kinds, first_phases)
        .flat_map(move |first| slots(second_kinds, second_phases).map(move |second| Pair { first, second }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(kind: u16, phase: u16) -> Slot {
        Slot { kind, phase }
    }

    /// Three kinds in three phases, but kind 2 strikes second in phase 1 only, and nothing follows kind 1 in phase 2.
    fn small() -> Vec<Pair> {
        every(Sort::All, 3, 3)
            .filter(|pair| pair.second.kind != 2 || pair.second.phase == 1)
            .filter(|pair| pair.first != slot(1, 2))
            .collect()
    }

    fn combinations(pairs: &[Pair], strength: Strength) -> BTreeSet<Combination> {
        let of = |pair: &Pair| strength.sorts().iter().map(|sort| Combination::of(*sort, *pair)).collect::<Vec<_>>();
        pairs.iter().flat_map(of).collect()
    }

    /// Tries COVER-C1 and COVER-C2.
    #[test]
    fn every_combination_is_covered_and_no_row_can_go() {
        let possible = small();
        for strength in [Strength::Three, Strength::Four] {
            let rows: Vec<Pair> = choose(&possible, strength).into_iter().map(|at| possible[at]).collect();
            let all = combinations(&possible, strength);
            assert_eq!(combinations(&rows, strength), all, "COVER-C1");
            for without in 0..rows.len() {
                let mut fewer = rows.clone();
                fewer.remove(without);
                assert!(combinations(&fewer, strength).len() < all.len(), "COVER-C2: {:?} can go", rows[without]);
            }
        }
        let few = choose(&possible, Strength::Three).len();
        assert!(few < possible.len() * 3 / 4, "{few} of {}", possible.len());
        assert_eq!(choose(&possible, Strength::Four).len(), possible.len());
    }

    #[test]
    fn the_same_pairs_in_another_order_give_the_same_rows() {
        let rows = |possible: &[Pair]| {
            choose(possible, Strength::Three).into_iter().map(|at| possible[at]).collect::<BTreeSet<_>>()
        };
        let mut reversed = small();
        reversed.reverse();
        assert_eq!(rows(&small()), rows(&reversed));
    }

    #[test]
    fn what_cannot_be_covered_is_counted_with_the_reason() {
        let possible = small();
        let rows: Vec<Pair> = choose(&possible, Strength::Four).into_iter().map(|at| possible[at]).collect();
        let facts = Facts {
            firsts: possible.iter().map(|pair| pair.first).collect(),
            dropped: BTreeSet::from([slot(1, 2)]),
            seconds: possible.iter().map(|pair| pair.second).collect(),
        };
        // A kind that no fault has, and a phase that no first strike has.
        let (counts, missing) = account((4, 4), Strength::Four, &rows, &rows[1..], &facts);
        assert_eq!((counts[0].all, counts[0].possible, counts[0].covered), (256, 56, 55));
        assert_eq!(missing.values().sum::<u64>(), 256 - 56);
        assert_eq!(missing["the first kind has no strike in this scenario"], 4 * 16);
        assert_eq!(missing["the phase of the first comes only after a failure"], 3 * 16);
        assert_eq!(missing["the first strike hurts nothing by itself"], 16);
        assert_eq!(missing["the second kind has no strike in this scenario"], 8 * 4);
        assert_eq!(missing["the second kind has no strike in that phase"], 8 * (3 + 2));
        let (counts, _) = account((3, 3), Strength::Three, &rows, &[], &facts);
        assert_eq!(counts.iter().map(|count| count.all).collect::<Vec<_>>(), [27, 27, 27, 27, 27]);
    }
}
