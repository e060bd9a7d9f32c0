//! Classes of verdicts: a verdict without its evidence, ordered by how bad it is.
//!
//! Start at [`Class`]. Exit codes, the worst verdict of a set of runs, and the verdict of a cell of the coverage grid
//! all follow this one order, so they cannot disagree.

use serde::{Deserialize, Serialize};

use crate::ansi::Style;

/// The class of a verdict, ordered from good to bad: wrong behaviour is worse than no behaviour, and a run that proves
/// something is better than one that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Every oracle held, and every fault had an effect.
    Passed,
    /// This build lacks a part that the run needs; nothing ran.
    NotBuilt,
    /// The target cannot do what the scenario asks for; nothing ran.
    NotOffered,
    /// The run proves nothing.
    Vacuous,
    /// Something was done to the system under test, and nothing shows whether it had its effect, or whether the effect
    /// has ended.
    Uncertain,
    /// Two runs of one plan differ.
    Nondeterministic,
    /// No progress.
    Stuck,
    /// The program under test panicked.
    Crashed,
    /// An oracle or an expectation was violated.
    Failed,
}

impl Class {
    /// The word shown in tables.
    pub fn label(self) -> &'static str {
        match self {
            Class::Passed => "passed",
            Class::NotBuilt => "not built",
            Class::NotOffered => "not offered",
            Class::Vacuous => "vacuous",
            Class::Uncertain => "uncertain",
            Class::Nondeterministic => "nondeterministic",
            Class::Stuck => "stuck",
            Class::Crashed => "crashed",
            Class::Failed => "failed",
        }
    }

    /// The process exit code; 2 is bad input and belongs to no verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Passed => 0,
            Class::Failed => 1,
            Class::Vacuous => 3,
            Class::Stuck => 4,
            Class::Crashed => 5,
            Class::Nondeterministic => 6,
            Class::NotBuilt => 7,
            Class::NotOffered => 10,
            Class::Uncertain => 11,
        }
    }

    /// Whether the plan ran at all.
    pub fn ran(self) -> bool {
        !matches!(self, Class::NotBuilt | Class::NotOffered)
    }

    /// Only `passed` is good; a run that proves nothing is not bad.
    pub fn style(self) -> Style {
        match self {
            Class::Passed => Style::Good,
            Class::Vacuous | Class::Uncertain | Class::NotBuilt | Class::NotOffered => Style::Warn,
            Class::Failed | Class::Stuck | Class::Crashed | Class::Nondeterministic => Style::Bad,
        }
    }

    /// Whether a run of this class says anything about the program under test.
    pub fn proves(self) -> bool {
        !matches!(self, Class::Vacuous | Class::Uncertain | Class::NotBuilt | Class::NotOffered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_set_is_its_maximum() {
        let codes = [
            Class::Passed,
            Class::NotBuilt,
            Class::NotOffered,
            Class::Vacuous,
            Class::Uncertain,
            Class::Nondeterministic,
            Class::Stuck,
            Class::Crashed,
        ];
        let mut sorted = [codes.as_slice(), &[Class::Failed]].concat();
        sorted.sort();
        sorted.reverse();
        // The order that the README promises.
        assert_eq!(sorted.iter().map(|class| class.exit_code()).collect::<Vec<_>>(), [1, 5, 4, 6, 11, 3, 10, 7, 0]);
    }
}
