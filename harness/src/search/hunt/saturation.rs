//! How much a search has not seen yet, by what it has seen exactly once.
//!
//! Start at [`Seen`]. Good and Turing: of `n` runs with `f1` classes that were seen exactly once, the chance that the next run shows a
//! class that nobody has seen is about `f1 / n`. It is an estimate for runs that are drawn as these were; a search that changes its aim
//! (as a guided one does) may find more.
//! Source: Good, "The population frequencies of species and the estimation of population parameters", 1953; Böhme, "STADS: Software
//! Testing as Species Discovery", 2018.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How often each class of runs was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    classes: BTreeMap<u64, u64>,
}

impl Seen {
    /// Counts a run of this class; whether it is the first.
    pub fn count(&mut self, class: u64) -> bool {
        let times = self.classes.entry(class).or_default();
        *times += 1;
        *times == 1
    }

    /// Adds what another search has seen.
    pub fn merge(&mut self, other: &Self) {
        for (class, times) in &other.classes {
            *self.classes.entry(*class).or_default() += times;
        }
    }

    /// Runs.
    pub fn runs(&self) -> u64 {
        self.classes.values().sum()
    }

    /// Classes.
    pub fn classes(&self) -> u64 {
        self.classes.len() as u64
    }

    /// Classes that were seen exactly once.
    pub fn once(&self) -> u64 {
        self.classes.values().filter(|times| **times == 1).count() as u64
    }

    /// The estimated chance that the next run shows a new class; of no runs, certainty.
    pub fn unseen(&self) -> f64 {
        match self.runs() {
            0 => 1.0,
            runs => self.once() as f64 / runs as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singletons_are_what_is_left_to_see() {
        let mut seen = Seen::default();
        assert_eq!(seen.unseen(), 1.0);
        assert!(seen.count(1) && seen.count(2) && !seen.count(1));
        assert_eq!((seen.runs(), seen.classes(), seen.once()), (3, 2, 1));
        assert!((seen.unseen() - 1.0 / 3.0).abs() < 1e-12);
        let mut both = seen.clone();
        both.merge(&seen);
        assert_eq!((both.runs(), both.once(), both.unseen()), (6, 0, 0.0));
    }

    /// Of a world with 64 equally likely classes, drawn by a counter-based stream, the estimate is near the truth.
    #[test]
    fn the_estimate_is_near_the_truth() {
        let class = |n: u64| flowquake_engine::env::draw(1, "class", 0, n) % 64;
        let mut seen = Seen::default();
        let mut known = std::collections::BTreeSet::new();
        for n in 0..150 {
            seen.count(class(n));
            known.insert(class(n));
        }
        let truth = (64 - known.len()) as f64 / 64.0;
        assert!((seen.unseen() - truth).abs() < 0.1, "{} {truth}", seen.unseen());
    }
}
