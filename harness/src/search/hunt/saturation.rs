//! Estimates how much a search has not seen yet, from what it has seen exactly once.
//!
//! Start at [`Seen`]. After Good and Turing: if `f1` classes were seen exactly once in `n` runs, the chance that the
//! next run shows a new class is about `f1 / n`. The estimate holds for runs that are drawn in the same way. A search
//! that changes its aim, as a guided one does, may find more.
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
    /// Counts a run of this class, and returns whether the class is new.
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

    /// Number of runs.
    pub fn runs(&self) -> u64 {
        self.classes.values().sum()
    }

    /// Number of classes.
    pub fn classes(&self) -> u64 {
        self.classes.len() as u64
    }

    /// Number of classes that were seen exactly once.
    pub fn once(&self) -> u64 {
        self.classes.values().filter(|times| **times == 1).count() as u64
    }

    /// The estimated chance that the next run shows a new class; 1 before the first run.
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

    /// In a world with 64 equally likely classes, drawn from a counter-based stream, the estimate is near the truth.
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
