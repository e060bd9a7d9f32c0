//! The proof of a pruning: which runs it takes, and what they show.
//!
//! Start at [`Proof::of`]: what has to be run next, from what was run so far. First one strike of every class; then members of classes,
//! all of them or a random share. The signature of every member must occur among those of the strikes that stand for classes. One that
//! does not is a *disagreement*: its class was too coarse. It is split, and the rest of that class is run as well. So the proof ends with
//! classes that agree with everything that was run, and says how often they did not at first.
//!
//! Invariant: (PROOF-P1) what is open depends on the catalogue and the results alone: a proof that was stopped, or that was made in
//! shards, ends like one that was not.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

/// How many members of classes are run besides those that stand for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// None: the classes are believed.
    None,
    /// So many of a hundred, drawn by their numbers.
    Percent(u8),
    /// All.
    All,
}

impl Share {
    /// Whether the strike of this number is among them.
    fn has(self, number: u32) -> bool {
        match self {
            Self::None => false,
            Self::Percent(percent) => xxh3_64(&number.to_le_bytes()) % 100 < u64::from(percent),
            Self::All => true,
        }
    }
}

/// What the runs so far show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Strikes of these classes.
    pub strikes: u64,
    /// Classes, those that were split included.
    pub classes: u64,
    /// Members that were run besides those that stand for a class.
    pub members: u64,
    /// Members whose signature no strike that stands for a class has.
    pub disagreements: Vec<u32>,
    /// Classes that had to be made of others because of them.
    pub splits: u64,
    /// What has to be run, in this order; empty: the proof is done.
    pub open: Vec<u32>,
}

impl Proof {
    /// Of these classes (numbers of strikes, the one that stands for all first), and of the signatures that are known.
    pub fn of(classes: &[&[u32]], signatures: &BTreeMap<u32, u64>, share: Share) -> Self {
        let strikes = classes.iter().map(|class| class.len() as u64).sum();
        let mut proof = Self { strikes, classes: classes.len() as u64, ..Self::default() };
        let is_open = |number: &&u32| !signatures.contains_key(*number);
        proof.open = classes.iter().filter_map(|class| class.first()).filter(is_open).copied().collect();
        let known: BTreeSet<u64> = classes.iter().filter_map(|class| signatures.get(class.first()?)).copied().collect();
        let (mut sampled, mut split) = (Vec::new(), Vec::new());
        for class in classes {
            let members = class.iter().skip(1);
            let disagreeing: Vec<u32> = members
                .clone()
                .filter(|member| signatures.get(member).is_some_and(|signature| !known.contains(signature)))
                .copied()
                .collect();
            proof.members += members.clone().filter(|member| signatures.contains_key(member)).count() as u64;
            sampled.extend(members.clone().filter(|member| share.has(**member)).filter(is_open));
            if !disagreeing.is_empty() {
                split.extend(members.filter(is_open));
                let apart: BTreeSet<u64> = disagreeing.iter().map(|member| signatures[member]).collect();
                proof.splits += apart.len() as u64;
                proof.disagreements.extend(disagreeing);
            }
        }
        if !proof.open.is_empty() {
            // Before every class has its signature nobody disagrees.
            (proof.disagreements, proof.splits) = (Vec::new(), 0);
        } else if !sampled.is_empty() {
            proof.open = sampled;
        } else {
            proof.open = split;
        }
        // Whoever stops early has seen of everything something.
        proof.open.sort_by_key(|number| xxh3_64(&number.to_be_bytes()));
        proof.classes += proof.splits;
        proof
    }

    /// The theorem, in a line.
    pub fn in_words(&self) -> String {
        use flowquake_reports::units::{count, counted};
        let mut text = format!(
            "{} in {}, {} re-run, {}",
            counted(self.strikes as usize, "strike"),
            classes_in_words(self.classes),
            counted(self.members as usize, "member"),
            counted(self.disagreements.len(), "disagreement"),
        );
        if self.splits > 0 {
            text.push_str(&format!(" ({} of these classes were split off for them)", count(self.splits)));
        }
        text
    }
}

fn classes_in_words(classes: u64) -> String {
    flowquake_reports::units::counted(classes as usize, "class")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [&[u32]; 2] = [&[0, 1, 2], &[3, 4]];

    fn of(signatures: &[(u32, u64)], share: Share) -> Proof {
        Proof::of(&CLASSES, &signatures.iter().copied().collect(), share)
    }

    fn open(signatures: &[(u32, u64)], share: Share) -> Vec<u32> {
        let mut open = of(signatures, share).open;
        open.sort_unstable();
        open
    }

    #[test]
    fn first_one_of_each_class_then_members() {
        assert_eq!(open(&[], Share::All), [0, 3]);
        assert_eq!(open(&[(0, 7)], Share::None), [3]);
        assert_eq!(open(&[(0, 7), (3, 8)], Share::None), [] as [u32; 0]);
        assert_eq!(open(&[(0, 7), (3, 8)], Share::All), [1, 2, 4]);
    }

    #[test]
    fn a_member_may_go_the_way_of_another_class() {
        let proof = of(&[(0, 7), (3, 8), (1, 8), (2, 7), (4, 7)], Share::All);
        assert!(proof.open.is_empty() && proof.disagreements.is_empty());
        assert_eq!(proof.in_words(), "5 strikes in 2 classes, 3 members re-run, 0 disagreements");
    }

    #[test]
    fn a_class_that_was_too_coarse_is_split_and_run_to_the_end() {
        let sampled = Share::Percent(0);
        assert_eq!(open(&[(0, 7), (3, 8), (1, 9)], sampled), [2]);
        let proof = of(&[(0, 7), (3, 8), (1, 9), (2, 9)], sampled);
        assert!(proof.open.is_empty());
        assert_eq!((proof.disagreements.as_slice(), proof.splits), ([1, 2].as_slice(), 1));
        let words =
            "5 strikes in 3 classes, 2 members re-run, 2 disagreements (1 of these classes were split off for them)";
        assert_eq!(proof.in_words(), words);
    }

    /// Tries PROOF-P1.
    #[test]
    fn the_order_in_which_results_come_does_not_matter() {
        let signature = |number: u32| u64::from(number % 3);
        for keep in [1, 2, 5] {
            let mut known: BTreeMap<u32, u64> = BTreeMap::new();
            loop {
                let open = Proof::of(&CLASSES, &known, Share::All).open;
                if open.is_empty() {
                    break;
                }
                known.extend(open.into_iter().take(keep).map(|number| (number, signature(number))));
            }
            let all: BTreeMap<u32, u64> = (0..5).map(|number| (number, signature(number))).collect();
            assert_eq!(Proof::of(&CLASSES, &known, Share::All), Proof::of(&CLASSES, &all, Share::All), "PROOF-P1");
        }
    }
}
