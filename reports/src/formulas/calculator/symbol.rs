//! The inputs of the formulas: every input with its symbol, its option on the command line, its kind and its meaning.
//!
//! Start at [`Symbol::ALL`]. The command line is made from this table, so that an option and its symbol always agree.
//! One letter has one meaning: Daly's restart time is R₀ here, because R is the recovery.

use super::quantity::Quantity;
use crate::formulas::trigger::TRIGGER_GAP;

/// How a value is written, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Seconds; written with a unit: `30s`.
    Time,
    /// Records per second: `2000/s`.
    Rate,
    /// Bytes: `64MiB`.
    Size,
    /// Bytes per second: `125MB/s`.
    Bandwidth,
    /// Times per second: `0.5/s`, `1/30s`.
    Frequency,
    /// Seconds per byte: `5s/GB`.
    TimePerSize,
    /// A share or a weight, at least zero: `0.7`, `70%`.
    Number,
    /// A whole number from 1 on.
    Count,
    /// A mean time between failures and a cost: `10min:3s`; may be given several times.
    Level,
}

impl Kind {
    /// The placeholder of such a value in a usage line.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Time => "TIME",
            Kind::Rate => "RATE",
            Kind::Size => "SIZE",
            Kind::Bandwidth => "SIZE/s",
            Kind::Frequency => "N/TIME",
            Kind::TimePerSize => "TIME/SIZE",
            Kind::Number => "NUMBER",
            Kind::Count => "N",
            Kind::Level => "MTBF:COST",
        }
    }

    /// The value as a quantity.
    pub(super) fn quantity(self, value: f64) -> Quantity {
        match self {
            Kind::Time => Quantity::Time(value),
            Kind::Rate => Quantity::Rate(value),
            Kind::Size => Quantity::Bytes(value),
            Kind::Bandwidth => Quantity::Bandwidth(value),
            Kind::Frequency => Quantity::Frequency(value),
            Kind::TimePerSize => Quantity::TimePerByte(value),
            Kind::Number | Kind::Count | Kind::Level => Quantity::Number(value),
        }
    }
}

/// An input, in the order in which inputs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table below says what each is")]
pub enum Symbol {
    Interval,
    MinPause,
    Period,
    Duration,
    Cost,
    Commit,
    Mtbf,
    Outage,
    Age,
    Restart,
    Rate,
    Capacity,
    Load,
    Weight,
    State,
    Parallelism,
    Bandwidth,
    DurationFixed,
    Updates,
    CostFixed,
    CostPerByte,
    Levels,
    StateLoad,
    Detect,
    Backoff,
    Slots,
    Deploy,
    Init,
}

/// Everything known about a [`Symbol`].
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The letter in equations.
    pub letter: &'static str,
    /// Name of the option, without dashes.
    pub option: &'static str,
    /// How the value is written.
    pub kind: Kind,
    /// The heading under which the input is listed.
    pub heading: &'static str,
    /// What the input is.
    pub meaning: &'static str,
    /// Where the value comes from if it is not given; empty: from nowhere.
    pub otherwise: &'static str,
}

const CHECKPOINTS: &str = "Checkpoints";
const FAILURES: &str = "Failures";
const LOAD: &str = "Load";
const STATE: &str = "State";
const OUTAGE: &str = "Parts of an outage";

impl Symbol {
    /// All symbols, in order.
    pub const ALL: [Symbol; 28] = {
        use Symbol::*;
        [
            Interval,
            MinPause,
            Period,
            Duration,
            Cost,
            Commit,
            Mtbf,
            Outage,
            Age,
            Restart,
            Rate,
            Capacity,
            Load,
            Weight,
            State,
            Parallelism,
            Bandwidth,
            DurationFixed,
            Updates,
            CostFixed,
            CostPerByte,
            Levels,
            StateLoad,
            Detect,
            Backoff,
            Slots,
            Deploy,
            Init,
        ]
    };

    /// The symbol's row in the table.
    pub fn spec(self) -> Spec {
        use Kind::{
            Bandwidth as SizePerSecond, Count, Frequency, Level, Number, Rate as PerSecond, Size, Time, TimePerSize,
        };
        let (letter, option, kind, heading, meaning, otherwise) = match self {
            Symbol::Interval => ("I", "interval", Time, CHECKPOINTS, "interval between checkpoints, as configured", ""),
            Symbol::MinPause => (
                "P",
                "min-pause",
                Time,
                CHECKPOINTS,
                "least pause between checkpoints, as configured",
                "0 s is assumed",
            ),
            Symbol::Period => ("T", "period", Time, CHECKPOINTS, "trigger to next trigger", TRIGGER_GAP),
            Symbol::Duration => {
                ("d", "duration", Time, CHECKPOINTS, "trigger of a checkpoint to its completion", "d₀ + S/(p·B)")
            }
            Symbol::Cost => ("c", "cost", Time, CHECKPOINTS, "work lost to a checkpoint, not its duration", ""),
            Symbol::Commit => ("t_c", "commit", Time, CHECKPOINTS, "completion to visible output", ""),
            Symbol::Mtbf => ("M", "mtbf", Time, FAILURES, "mean time between failures", ""),
            Symbol::Outage => ("D", "outage", Time, FAILURES, "failure to lasting progress", "the sum of its parts"),
            Symbol::Age => {
                ("A", "age", Time, FAILURES, "trigger of the restored checkpoint to the failure", "T/2 + d, its mean")
            }
            Symbol::Restart => ("R₀", "restart", Time, FAILURES, "restart time in Daly's formula", "D"),
            Symbol::Rate => ("λ", "rate", PerSecond, LOAD, "input, records per second", "ρ·μ, or ρ alone"),
            Symbol::Capacity => {
                ("μ", "capacity", PerSecond, LOAD, "what the job can process, records per second", "λ/ρ, or ρ alone")
            }
            Symbol::Load => ("ρ", "load", Number, LOAD, "input as a share of the capacity", "λ/μ"),
            Symbol::Weight => {
                ("w", "weight", Number, LOAD, "seconds of late output as bad as one of lost work", "1 is assumed")
            }
            Symbol::State => ("S", "state", Size, STATE, "size of the state", ""),
            Symbol::Parallelism => ("p", "parallelism", Count, STATE, "subtasks that write side by side", ""),
            Symbol::Bandwidth => ("B", "bandwidth", SizePerSecond, STATE, "what each of them writes", ""),
            Symbol::DurationFixed => {
                ("d₀", "duration-fixed", Time, STATE, "duration of a checkpoint of an empty state", "")
            }
            Symbol::Updates => ("u", "updates", Frequency, STATE, "updates of each key", ""),
            Symbol::CostFixed => ("c₀", "cost-fixed", Time, STATE, "work lost to a checkpoint without changes", ""),
            Symbol::CostPerByte => ("k", "cost-per-byte", TimePerSize, STATE, "work lost per byte that changed", ""),
            Symbol::Levels => (
                "Mₗ:Cₗ",
                "level",
                Level,
                STATE,
                "level of storage: time between failures for which it is needed and enough, its cost",
                "",
            ),
            Symbol::StateLoad => ("L", "state-load", Time, OUTAGE, "loading the state", ""),
            Symbol::Detect => ("detect", "detect", Time, OUTAGE, "failure until it is known", ""),
            Symbol::Backoff => {
                ("backoff", "backoff", Time, OUTAGE, "restart delay or cancellation, the longer one", "")
            }
            Symbol::Slots => ("slots", "slots", Time, OUTAGE, "until there are enough slots", ""),
            Symbol::Deploy => ("deploy", "deploy", Time, OUTAGE, "until the first subtask loads its state", ""),
            Symbol::Init => ("init", "init", Time, OUTAGE, "state loaded to first record", ""),
        };
        Spec { letter, option, kind, heading, meaning, otherwise }
    }

    /// The letter in equations.
    pub fn letter(self) -> &'static str {
        self.spec().letter
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_symbol_is_listed_once_under_a_letter_and_an_option_of_its_own() {
        assert!(Symbol::ALL.is_sorted_by(|a, b| a < b));
        let letters: BTreeSet<&str> = Symbol::ALL.iter().map(|symbol| symbol.letter()).collect();
        let options: BTreeSet<&str> = Symbol::ALL.iter().map(|symbol| symbol.spec().option).collect();
        assert_eq!((letters.len(), options.len()), (Symbol::ALL.len(), Symbol::ALL.len()));
    }

    #[test]
    fn headings_stand_together() {
        let mut headings: Vec<&str> = Symbol::ALL.iter().map(|symbol| symbol.spec().heading).collect();
        headings.dedup();
        assert_eq!(headings, [CHECKPOINTS, FAILURES, LOAD, STATE, OUTAGE]);
    }
}
