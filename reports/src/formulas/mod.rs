//! Formulas for planning, both those in common use and those that hold: pure functions, each with equation, units,
//! domain and source.
//!
//! Start at [`trigger`] (when the next checkpoint begins), [`recovery`] (how long an outage lasts) and [`optimum`]
//! (which interval to choose). [`load`] adds what the others leave out, the input that goes on arriving, and [`state`]
//! the size of the state. [`calculator`] lists and evaluates all of them. Rules that hold exactly are computed in
//! integer nanoseconds; where a rate or a probability is involved, the unit is `f64` seconds.
//!
//! Invariant: (FORMULAS-F1) no function returns NaN, an infinity or a negative time. Outside its domain a formula
//! returns [`OutsideDomain`], because readers would believe a number that is printed. Transcendental functions come
//! from `libm`, so that the same inputs give the same bits on every machine.

pub mod calculator;
pub mod load;
pub mod optimum;
pub mod recovery;
pub mod state;
pub mod trigger;

/// Why a formula has no value for these inputs.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OutsideDomain {
    /// An input that has to be a positive finite number is not.
    #[error("{symbol} must be positive and finite, is {value}")]
    NotPositive {
        /// Symbol of the input, as in the equation.
        symbol: &'static str,
        /// What was passed.
        value: f64,
    },
    /// An input that has to be a finite number of at least zero is not.
    #[error("{symbol} must be finite and not negative, is {value}")]
    Negative {
        /// Symbol of the input, as in the equation.
        symbol: &'static str,
        /// What was passed.
        value: f64,
    },
    /// Input arrives at least as fast as the job can process it, so a backlog never drains.
    #[error("input rate {} is not below the capacity {}: the backlog never drains", short(*rate), short(*capacity))]
    Overloaded {
        /// Input rate λ in records per second.
        rate: f64,
        /// Capacity μ in records per second.
        capacity: f64,
    },
    /// The interval is so short that checkpoints use up the capacity that the input needs.
    #[error("interval {} s is not above {} s: checkpoints leave too little capacity", short(*interval_s), short(*limit_s))]
    IntervalTooShort {
        /// The interval T in seconds.
        interval_s: f64,
        /// The interval must be longer than this, in seconds.
        limit_s: f64,
    },
    /// A checkpoint costs so much, relative to the time between failures, that the approximation means nothing.
    #[error("checkpoint cost {} s is not below {} s: the approximation does not hold", short(*cost_s), short(*limit_s))]
    CostTooHigh {
        /// Checkpoint cost c in seconds.
        cost_s: f64,
        /// The cost must be below this, in seconds.
        limit_s: f64,
    },
    /// On average the next failure comes before the job has caught up from the last one, so it never catches up.
    #[error("a recovery takes {} s and failures come every {} s: the job never catches up", short(*recovery_s), short(*mtbf_s))]
    NeverCaughtUp {
        /// Recovery R in seconds.
        recovery_s: f64,
        /// Mean time between failures M in seconds.
        mtbf_s: f64,
    },
    /// No input arrives, so there is no best interval.
    #[error("there must be load: without input the cost falls with the interval for ever")]
    NoLoad,
    /// An approximation gives an interval at which it does not hold.
    #[error(
        "the approximation holds from {} s (ten times c/(1 − ρ)) on; it says {} s", short(*limit_s), short(*interval_s)
    )]
    BelowApproximation {
        /// The interval T that it gives, in seconds.
        interval_s: f64,
        /// The shortest interval at which it holds, in seconds.
        limit_s: f64,
    },
    /// The result is larger than a floating-point number holds.
    #[error("the result is too large to be a time")]
    TooLarge,
}

/// A number with four digits, for messages: with sixteen digits it would be hard to see which number is larger.
fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = libm::pow(10.0, libm::floor(libm::log10(value.abs())) - 3.0);
    // If the inverse of the unit is whole, divide by the inverse: 1/10 is not exact as a float, ten is.
    if unit < 1.0 { (value / unit).round() / (1.0 / unit).round() } else { (value / unit).round() * unit }
}

/// A positive finite number; otherwise the error.
fn positive(symbol: &'static str, value: f64) -> Result<f64, OutsideDomain> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(OutsideDomain::NotPositive { symbol, value }) }
}

/// A finite number of at least zero; otherwise the error.
fn not_negative(symbol: &'static str, value: f64) -> Result<f64, OutsideDomain> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(OutsideDomain::Negative { symbol, value }) }
}

/// Last check of every formula (FORMULAS-F1): large finite inputs may still overflow on the way.
fn finite(seconds: f64) -> Result<f64, OutsideDomain> {
    if seconds.is_finite() && seconds >= 0.0 { Ok(seconds) } else { Err(OutsideDomain::TooLarge) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::load::{self, Load};
    use super::state::{self, Level};
    use super::{optimum, recovery, trigger};

    /// Numbers that are likely to cause errors: zeros, negatives, subnormals, infinities, NaN; and ordinary ones.
    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), 0.0..1e6f64, Just(0.0), Just(-1.0), Just(f64::NAN), Just(f64::INFINITY)]
    }

    proptest! {
        #[test]
        fn every_result_is_a_time(c in any_number(), m in any_number(), x in any_number(), y in any_number()) {
            let results = [
                optimum::young(c, m),
                optimum::daly_first_order(c, m, x),
                optimum::daly_higher_order(c, m),
                optimum::exact(c, m),
                recovery::catch_up(c, m, x, y),
                recovery::total(c, m, x, y),
                recovery::capacity_with_checkpoints(c, x, m, y),
                trigger::exactly_once_latency_mean(c, m, x),
                trigger::exactly_once_latency_max(c, m, x),
            ];
            for result in results.into_iter().flatten() {
                prop_assert!(result.is_finite() && result >= 0.0, "FORMULAS-F1: {result}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_result_under_load_is_a_time(
            [cost, duration, outage] in [any_number(), any_number(), any_number()],
            [rate, capacity, mtbf] in [any_number(), any_number(), any_number()],
            [weight, period] in [any_number(), any_number()],
        ) {
            let load = Load { cost, duration, outage, rate, capacity, mtbf, weight };
            let results = [
                load.shortest_period(),
                load::mean_snapshot_age(period, duration),
                load::worst_snapshot_age(period, duration),
                load::expected_recovery(period, &load),
                load::unavailability(period, &load),
                load::expected_cost(period, &load),
                load::optimum(&load),
                load::closed_form(&load),
            ];
            for result in results.into_iter().flatten() {
                prop_assert!(result.is_finite() && result >= 0.0, "FORMULAS-F1: {result}");
            }
        }

        #[test]
        fn every_result_of_a_state_is_a_time_or_a_size(
            [a, b, c, d, e] in [any_number(), any_number(), any_number(), any_number(), any_number()],
        ) {
            let (one, other) = (Level { failure_rate: a, cost: b }, Level { failure_rate: c, cost: d });
            let results = [
                state::full_duration(a, b, c, d),
                state::changed_bytes(a, b, c),
                state::incremental_cost(a, b, c, d, e),
                state::level_period(one),
                state::multi_level_overhead(&[one, other]),
            ];
            for result in results.into_iter().flatten() {
                prop_assert!(result.is_finite() && result >= 0.0, "FORMULAS-F1: {result}");
            }
        }
    }

    #[test]
    fn an_input_outside_the_domain_is_named() {
        let message = optimum::young(-1.0, 600.0).unwrap_err().to_string();
        assert_eq!(message, "c must be positive and finite, is -1");
        assert_eq!([39.187669608, 1_234_567.0, 0.00123456, 0.0].map(super::short), [39.19, 1_235_000.0, 0.001235, 0.0]);
    }
}
