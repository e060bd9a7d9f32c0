//! The outcome of the gate: its words, the order from good to bad, and the exit code of each.
//!
//! | outcome | when | exit code |
//! |---|---|---|
//! | passed | nothing below | 0 |
//! | not built | this build lacks a feature that the scenario needs | 7 |
//! | slower | a percentile exceeds its budget, or something ends no more | 8 |
//! | changed | another trace with the same engine and plan, other times with the same trace, or another plan | 9 |
//! | worse | the verdict is worse than the baseline's | that of the verdict |
//!
//! If several rows apply, the lowest one counts.

use crate::ansi::Style;
use crate::class::Class;

/// The outcome of a run, a scenario or the whole gate; the worst is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As good as the baseline, within the budgets.
    Passed,
    /// Not measured; never counts as passed.
    NotBuilt,
    /// A time exceeds its budget.
    Slower,
    /// The run differs, and no change of engine or baseline accounts for it.
    Changed,
    /// The run proves less than before.
    Worse(Class),
}

impl Outcome {
    /// The word in documents.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::NotBuilt => "not built",
            Outcome::Slower => "slower",
            Outcome::Changed => "changed",
            Outcome::Worse(class) => class.label(),
        }
    }

    /// The process exit code; 2 is bad input and belongs to no outcome.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::NotBuilt => Class::NotBuilt.exit_code(),
            Outcome::Slower => 8,
            Outcome::Changed => 9,
            Outcome::Worse(class) => class.exit_code(),
        }
    }

    /// How it is shown.
    pub fn style(self) -> Style {
        match self {
            Outcome::Passed => Style::Good,
            Outcome::NotBuilt => Style::Warn,
            Outcome::Slower | Outcome::Changed => Style::Bad,
            Outcome::Worse(class) => class.style(),
        }
    }
}
