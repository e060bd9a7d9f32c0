//! Every public formula as a row: its equation, its inputs, its domain, its source, and the function that computes it.
//!
//! Start at [`FORMULAS`]. A formula that is added to `formulas` needs a row here; a test checks that (Q1). The table of
//! [`tuning`](crate::tuning) is a different one: it has the formulas that choose an interval, in the words of its
//! report.

use super::quantity::Quantity;
use super::symbol::Symbol::{self, *};
use super::values::{self, Values};
use super::{Inputs, Outcome};
use crate::formulas::load::{self, Load as UnderLoad};
use crate::formulas::{OutsideDomain, optimum, recovery, state, trigger};

/// A formula.
#[derive(Debug, Clone, Copy)]
pub struct Formula {
    /// The function that computes it, below `formulas`; unique.
    pub function: &'static str,
    /// The heading under which it is listed.
    pub heading: &'static str,
    /// Name of the formula; unique.
    pub name: &'static str,
    /// Symbol of the result.
    pub letter: &'static str,
    /// The equation.
    pub equation: &'static str,
    /// What the result is.
    pub gives: &'static str,
    /// Unit of the result, such as a time or a share.
    pub unit: &'static str,
    /// Inputs that the formula needs.
    pub needs: &'static [Symbol],
    /// Where the formula holds.
    pub domain: &'static str,
    /// Source of the formula.
    pub source: &'static str,
    answer: fn(&Values) -> Answer,
}

/// A value, or the reason why there is none.
type Answer = Result<Quantity, String>;

impl Formula {
    /// The outcome for these values (Q2).
    pub(super) fn outcome(&self, values: &Values) -> Outcome {
        if let Some(lacking) = values.lacking(self.needs) {
            return lacking;
        }
        match (self.answer)(values) {
            Ok(value) => Outcome::Value(value),
            Err(why) => Outcome::Outside(why),
        }
    }

    /// The outcome for what was given.
    pub fn of(&self, inputs: &Inputs) -> Outcome {
        self.outcome(&Values::of(inputs))
    }
}

const TRIGGERS: &str = "When the next checkpoint begins, and when output is visible";
const INTERVAL: &str = "Which interval to choose, load left aside";
const UNDER_LOAD: &str = "Which interval to choose under load";
const RECOVERY: &str = "How long a failure is felt";
const STATE: &str = "What the size of the state does";

const ARTICLES: &str = "Flink tuning articles";
const DESIGN: &str = "this project's design";

/// All formulas, in the order in which they are listed.
pub static FORMULAS: [Formula; 27] = [
    Formula {
        function: "trigger::article_interval",
        heading: TRIGGERS,
        name: "planning rule, interval",
        letter: "T",
        equation: "T = d + P",
        gives: "trigger to next trigger as people plan with it",
        unit: "time",
        needs: &[Duration, MinPause],
        domain: "true while d + P is at least I",
        source: ARTICLES,
        answer: |v| time(both(v, Duration, MinPause, trigger::article_interval)),
    },
    Formula {
        function: "trigger::next_trigger",
        heading: TRIGGERS,
        name: "trigger rule",
        letter: "T",
        equation: "T = max(I, P, d + P)",
        gives: "trigger to next trigger as this engine counts it; on Flink's grid, too, while d stays the same",
        unit: "time",
        needs: &[Interval, MinPause, Duration],
        domain: "one checkpoint at a time, none given up",
        source: DESIGN,
        answer: |v| time(values::period(v)),
    },
    Formula {
        function: "trigger::Grid::next_trigger",
        heading: TRIGGERS,
        name: "Flink's grid, catching up",
        letter: "T",
        equation: "T on the grid of max(I, P)",
        gives: "trigger to next trigger behind the checkpoint that follows one of duration d; below I where points of the grid passed",
        unit: "time",
        needs: &[Interval, MinPause, Duration],
        domain: "the checkpoint that follows takes no time",
        source: "apache/flink CheckpointCoordinator",
        answer: |v| time(behind_a_long_one(v)),
    },
    Formula {
        function: "trigger::exactly_once_latency_mean",
        heading: TRIGGERS,
        name: "exactly-once latency, mean",
        letter: "V",
        equation: "V = T/2 + d + t_c",
        gives: "record processed to its output visible",
        unit: "time",
        needs: &[Period, Duration, Commit],
        domain: "T > 0; no failures",
        source: "derived; the wait is uniform on [0, T]",
        answer: |v| time(trigger::exactly_once_latency_mean(v.get(Period), v.get(Duration), v.get(Commit))),
    },
    Formula {
        function: "trigger::exactly_once_latency_max",
        heading: TRIGGERS,
        name: "exactly-once latency, max",
        letter: "V",
        equation: "V = T + d + t_c",
        gives: "the same of a record just behind a barrier",
        unit: "time",
        needs: &[Period, Duration, Commit],
        domain: "T > 0; no failures",
        source: "derived",
        answer: |v| time(trigger::exactly_once_latency_max(v.get(Period), v.get(Duration), v.get(Commit))),
    },
    Formula {
        function: "optimum::young",
        heading: INTERVAL,
        name: "Young",
        letter: "T",
        equation: "T = √(2cM)",
        gives: "period that loses least work, to first order",
        unit: "time",
        needs: &[Cost, Mtbf],
        domain: "c < 2M, best c ≪ M",
        source: "Young 1974",
        answer: |v| time(optimum::young(v.get(Cost), v.get(Mtbf))),
    },
    Formula {
        function: "optimum::daly_first_order",
        heading: INTERVAL,
        name: "Daly, first order",
        letter: "τ",
        equation: "τ = √(2c(M + R₀)) − c",
        gives: "work between two checkpoints, T − c, where restarts take time",
        unit: "time",
        needs: &[Cost, Mtbf, Restart],
        domain: "c < 2(M + R₀)",
        source: "Daly 2006",
        answer: |v| time(optimum::daly_first_order(v.get(Cost), v.get(Mtbf), v.get(Restart))),
    },
    Formula {
        function: "optimum::daly_higher_order",
        heading: INTERVAL,
        name: "Daly, higher order",
        letter: "τ",
        equation: "τ = √(2cM)·[1 + ⅓√(c/2M) + ⅑(c/2M)] − c",
        gives: "work between two checkpoints, T − c; the exact optimum as a series",
        unit: "time",
        needs: &[Cost, Mtbf],
        domain: "c < 2M; beyond it τ = M",
        source: "Daly 2006; LLNL/scr",
        answer: |v| time(optimum::daly_higher_order(v.get(Cost), v.get(Mtbf))),
    },
    Formula {
        function: "optimum::exact",
        heading: INTERVAL,
        name: "exact (Lambert W)",
        letter: "T",
        equation: "T = M(1 + c/M + W₀(−e^(−c/M − 1)))",
        gives: "period that loses least work",
        unit: "time",
        needs: &[Cost, Mtbf],
        domain: "exponential failures; no input while the job is down",
        source: "Daly 2006; Jayasekara et al. 2020",
        answer: |v| time(optimum::exact(v.get(Cost), v.get(Mtbf))),
    },
    Formula {
        function: "load::Load::shortest_period",
        heading: UNDER_LOAD,
        name: "shortest period",
        letter: "T",
        equation: "T > c/(1 − ρ)",
        gives: "bound below which checkpoints leave too little capacity for the input",
        unit: "time",
        needs: &[Cost, Load],
        domain: "ρ < 1",
        source: "derived",
        answer: |v| time(under_load(v).shortest_period()),
    },
    Formula {
        function: "load::closed_form",
        heading: UNDER_LOAD,
        name: "load-aware, closed form",
        letter: "T",
        equation: "T = √(2c(M(1 − ρ)/(wρ) + (D + d)/(1 − ρ)))",
        gives: "period that costs least where checkpoints hardly lower the capacity",
        unit: "time",
        needs: &[Cost, Duration, Mtbf, Outage, Load, Weight],
        domain: "0 < ρ < 1; T above ten times c/(1 − ρ); R(T) < M",
        source: "derived",
        answer: |v| time(load::closed_form(&under_load(v))),
    },
    Formula {
        function: "load::optimum",
        heading: UNDER_LOAD,
        name: "load-aware, numerical",
        letter: "T",
        equation: "T minimises c/T + w·R(T)/M",
        gives: "period that costs least",
        unit: "time",
        needs: &[Cost, Duration, Mtbf, Outage, Load, Weight],
        domain: "0 < ρ < 1; steady input; R(T) < M",
        source: DESIGN,
        answer: |v| time(load::optimum(&under_load(v))),
    },
    Formula {
        function: "load::expected_cost",
        heading: UNDER_LOAD,
        name: "expected cost",
        letter: "C(T)",
        equation: "C(T) = c/T + w·R(T)/M",
        gives: "work lost and output late per second at the period T",
        unit: "share of time",
        needs: &[Period, Cost, Duration, Mtbf, Outage, Load, Weight],
        domain: "T > c/(1 − ρ); R(T) < M",
        source: DESIGN,
        answer: |v| load::expected_cost(v.get(Period), &under_load(v)).map(Quantity::Share).map_err(words),
    },
    Formula {
        function: "recovery::article_recovery",
        heading: RECOVERY,
        name: "planning rule, recovery",
        letter: "D",
        equation: "D = d + L",
        gives: "outage as people plan with it; 0.15 to 0.79 of what was measured on Flink 2.2.1",
        unit: "time",
        needs: &[Duration, StateLoad],
        domain: "none: five parts of the outage are not in it, and d is no part",
        source: ARTICLES,
        answer: |v| time(both(v, Duration, StateLoad, recovery::article_recovery)),
    },
    Formula {
        function: "recovery::outage",
        heading: RECOVERY,
        name: "outage",
        letter: "D",
        equation: "D = detect + backoff + slots + deploy + L + init",
        gives: "failure to lasting progress",
        unit: "time",
        needs: &[StateLoad, Detect, Backoff, Slots, Deploy, Init],
        domain: "an identity: the parts are measured",
        source: "order of events in Flink's DefaultScheduler",
        answer: |v| time(values::outage(v)),
    },
    Formula {
        function: "load::mean_snapshot_age",
        heading: RECOVERY,
        name: "snapshot age, mean",
        letter: "A",
        equation: "A = T/2 + d",
        gives: "age of the checkpoint that a failure goes back to",
        unit: "time",
        needs: &[Period, Duration],
        domain: "T > 0; failures at random times",
        source: "derived",
        answer: |v| time(load::mean_snapshot_age(v.get(Period), v.get(Duration))),
    },
    Formula {
        function: "load::worst_snapshot_age",
        heading: RECOVERY,
        name: "snapshot age, worst",
        letter: "A",
        equation: "A = T + d",
        gives: "the same, just before a checkpoint completes",
        unit: "time",
        needs: &[Period, Duration],
        domain: "T > 0",
        source: "derived",
        answer: |v| time(load::worst_snapshot_age(v.get(Period), v.get(Duration))),
    },
    Formula {
        function: "recovery::capacity_with_checkpoints",
        heading: RECOVERY,
        name: "capacity with checkpoints",
        letter: "μₑ",
        equation: "μₑ = μ(1 − c/T)",
        gives: "capacity that checkpoints leave",
        unit: "records per second",
        needs: &[Cost, Period, Rate, Capacity],
        domain: "T > c/(1 − ρ)",
        source: "derived; the overhead as in Young 1974",
        answer: capacity,
    },
    Formula {
        function: "recovery::catch_up",
        heading: RECOVERY,
        name: "catch-up",
        letter: "R − D",
        equation: "R − D = λ(A + D)/(μ − λ)",
        gives: "how long the backlog of an outage takes to drain",
        unit: "time",
        needs: &[Rate, Capacity, Age, Outage],
        domain: "λ < μ",
        source: "derived; 5 to 8 % off Khaos, Geldenhuys et al. 2022",
        answer: |v| time(recovery::catch_up(v.get(Rate), v.get(Capacity), v.get(Age), v.get(Outage))),
    },
    Formula {
        function: "recovery::total",
        heading: RECOVERY,
        name: "recovery",
        letter: "R",
        equation: "R = (D·μ + λ·A)/(μ − λ)",
        gives: "failure until the output is no longer late, if checkpoints cost nothing meanwhile",
        unit: "time",
        needs: &[Rate, Capacity, Age, Outage],
        domain: "λ < μ",
        source: "as catch-up",
        answer: |v| time(recovery::total(v.get(Rate), v.get(Capacity), v.get(Age), v.get(Outage))),
    },
    Formula {
        function: "load::expected_recovery",
        heading: RECOVERY,
        name: "expected recovery",
        letter: "R(T)",
        equation: "R(T) = (D·μₑ + λ(T/2 + d))/(μₑ − λ)",
        gives: "the same with checkpoints going on, on average over when the failure comes",
        unit: "time",
        needs: &[Period, Cost, Duration, Outage, Load],
        domain: "T > c/(1 − ρ)",
        source: DESIGN,
        answer: |v| time(load::expected_recovery(v.get(Period), &under_load(v))),
    },
    Formula {
        function: "load::unavailability",
        heading: RECOVERY,
        name: "unavailability",
        letter: "U",
        equation: "U = R(T)/M",
        gives: "part of the time in which output is late; 1 − U is the availability",
        unit: "share of time",
        needs: &[Period, Cost, Duration, Mtbf, Outage, Load],
        domain: "T > c/(1 − ρ); first order in 1/M",
        source: "Saxena et al. 2024 for the objective",
        answer: |v| load::unavailability(v.get(Period), &under_load(v)).map(Quantity::Unavailability).map_err(words),
    },
    Formula {
        function: "state::full_duration",
        heading: STATE,
        name: "duration, full",
        letter: "d",
        equation: "d = d₀ + S/(p·B)",
        gives: "trigger to completion, if the whole state is written",
        unit: "time",
        needs: &[DurationFixed, State, Parallelism, Bandwidth],
        domain: "subtasks write side by side, evenly",
        source: "Flink's documentation, made quantitative",
        answer: |v| {
            let [fixed, bytes] = [DurationFixed, State].map(|symbol| v.get(symbol));
            time(state::full_duration(fixed, bytes, v.get(Parallelism), v.get(Bandwidth)))
        },
    },
    Formula {
        function: "state::changed_bytes",
        heading: STATE,
        name: "changed bytes",
        letter: "ΔS",
        equation: "ΔS = S(1 − e^(−uT))",
        gives: "what an incremental checkpoint writes",
        unit: "bytes",
        needs: &[State, Updates, Period],
        domain: "updates uniform over the keys",
        source: "derived; coupons drawn with replacement",
        answer: |v| {
            let changed = state::changed_bytes(v.get(State), v.get(Updates), v.get(Period));
            changed.map(Quantity::Bytes).map_err(words)
        },
    },
    Formula {
        function: "state::incremental_cost",
        heading: STATE,
        name: "cost, incremental",
        letter: "c(T)",
        equation: "c(T) = c₀ + k·ΔS",
        gives: "work lost to an incremental checkpoint",
        unit: "time",
        needs: &[CostFixed, CostPerByte, State, Updates, Period],
        domain: "updates uniform over the keys",
        source: "derived",
        answer: |v| {
            let [fixed, per_byte] = [CostFixed, CostPerByte].map(|symbol| v.get(symbol));
            time(state::incremental_cost(fixed, per_byte, v.get(State), v.get(Updates), v.get(Period)))
        },
    },
    Formula {
        function: "state::level_period",
        heading: STATE,
        name: "several levels, periods",
        letter: "Tₗ",
        equation: "Tₗ = √(2·Cₗ·Mₗ)",
        gives: "period of the checkpoints on each level of storage",
        unit: "time per level",
        needs: &[Levels],
        domain: "Cₗ < 2Mₗ",
        source: "Benoit et al. 2017",
        answer: level_periods,
    },
    Formula {
        function: "state::multi_level_overhead",
        heading: STATE,
        name: "several levels, overhead",
        letter: "H",
        equation: "H = Σ √(2·Cₗ/Mₗ)",
        gives: "what all levels cost together at these periods",
        unit: "share of time",
        needs: &[Levels],
        domain: "Cₗ < 2Mₗ; first order",
        source: "Benoit et al. 2017",
        answer: |v| state::multi_level_overhead(v.levels()).map(Quantity::Share).map_err(words),
    },
];

fn words(why: OutsideDomain) -> String {
    why.to_string()
}

fn time(seconds: Result<f64, OutsideDomain>) -> Answer {
    seconds.map(Quantity::Time).map_err(words)
}

/// Applies a rule to two times in nanoseconds; the result is in seconds.
fn both(v: &Values, one: Symbol, other: Symbol, rule: fn(u64, u64) -> u64) -> Result<f64, OutsideDomain> {
    Ok(rule(v.nanoseconds(one)?, v.nanoseconds(other)?) as f64 / 1e9)
}

/// The inputs of the formulas under load. Inputs that a formula does not need may be zero.
fn under_load(v: &Values) -> UnderLoad {
    UnderLoad {
        cost: v.or_zero(Cost),
        duration: v.or_zero(Duration),
        outage: v.or_zero(Outage),
        rate: v.or_zero(Rate),
        capacity: v.or_zero(Capacity),
        mtbf: v.or_zero(Mtbf),
        weight: v.or_zero(Weight),
    }
}

/// The trigger that follows a checkpoint of duration d, if the following checkpoint takes no time itself.
fn behind_a_long_one(v: &Values) -> Result<f64, OutsideDomain> {
    let duration = v.nanoseconds(Duration)?;
    let mut grid = trigger::Grid::of_attempt(0, v.nanoseconds(Interval)?, v.nanoseconds(MinPause)?);
    let second = grid.next_trigger(duration, true);
    Ok((grid.next_trigger(second, true) - second) as f64 / 1e9)
}

/// In records per second; if only ρ is known, as a share.
fn capacity(v: &Values) -> Answer {
    let left = recovery::capacity_with_checkpoints(v.get(Capacity), v.get(Rate), v.get(Cost), v.get(Period));
    left.map(if v.of_capacity { Quantity::OfCapacity } else { Quantity::Rate }).map_err(words)
}

fn level_periods(v: &Values) -> Answer {
    let period = |(index, level): (usize, &state::Level)| {
        state::level_period(*level).map_err(|why| format!("level {}: {why}", index + 1))
    };
    v.levels().iter().enumerate().map(period).collect::<Result<_, _>>().map(Quantity::Times)
}
