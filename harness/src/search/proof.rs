//! The proof that a search's cuts were right: which runs it takes, and what they show.
//!
//! Start at [`Proof::of`], which says what has to be run next, given what was run so far. First comes one strike of
//! every class, then members of classes: all of them, or a random share. The signature of every member must occur among
//! the signatures of the strikes that stand for classes. A member whose signature does not is a *disagreement*: its
//! class was too coarse. The class is then split, and the rest of it is run as well. So the proof ends with classes
//! that agree with everything that was run, and says how often they did not agree at first.
//!
//! Invariant: (PROOF-P1) what is open depends only on the catalogue and the results: a proof that was stopped and
//! continued, or was made in shards, ends like any other.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

/// How many members of classes are run besides the strikes that stand for the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// None: the classes are trusted.
    None,
    /// This percentage, drawn by the strikes' numbers.
    Percent(u8),
    /// All.
    All,
}

impl Share {
    /// Whether the strike of this number is one of the members to run.
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
    /// Number of strikes in these classes.
    pub strikes: u64,
    /// Number of classes, including those that a split made.
    pub classes: u64,
    /// Number of members that were run besides the strikes that stand for a class.
    pub members: u64,
    /// Members whose signature no strike that stands for a class has.
    pub disagreements: Vec<u32>,
    /// Number of classes that had to be split off because of them.
    pub splits: u64,
    /// Strikes that have to be run, in this order; empty if the proof is done.
    pub open: Vec<u32>,
}

impl Proof {
    /// The state of the proof. Each class is a list of strike numbers, of which the first stands for the class;
    /// `signatures` are those known so far.
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
            // Disagreements are known only when every class has its signature.
            (proof.disagreements, proof.splits) = (Vec::new(), 0);
        } else if !sampled.is_empty() {
            proof.open = sampled;
        } else {
            proof.open = split;
        }
        // Mixes the order, so that a proof that is stopped early has run strikes of every sort.
        proof.open.sort_by_key(|number| xxh3_64(&number.to_be_bytes()));
        proof.classes += proof.splits;
        proof
    }

    /// What the proof has shown, in one line.
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
