//! From what was given to the inputs of the formulas: values that follow from others, and two that are assumed.
//!
//! Start at [`Values::of`]. A value is derived only by definition (T from the trigger rule, ρ from λ/μ), and never
//! replaces a value that was given. The documents show each derived value with its origin.
//!
//! Invariant: (CALCULATOR-D1) a symbol has a value, or lacks inputs, or lies outside of a domain; never two of these.

use std::collections::{BTreeMap, BTreeSet};

use super::symbol::Symbol;
use super::{Inputs, Outcome};
use crate::formulas::state::{self, Level};
use crate::formulas::{OutsideDomain, load, not_negative, positive, recovery, trigger};
use crate::record::RecoveryParts;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was given.
    Given,
    /// It follows from others by this equation.
    From(&'static str),
    /// It was not given, and is assumed for this reason.
    Assumed(&'static str),
}

/// By which share a given value may differ from its definition without a note.
const DIFFERS: f64 = 1e-3;

/// All values for the formulas.
pub(super) struct Values {
    known: BTreeMap<Symbol, (f64, Origin)>,
    /// Why a symbol has no value, if there is more to say than that it was not given.
    lacking: BTreeMap<Symbol, Outcome>,
    levels: Vec<Level>,
    /// For symbols that were given: the value by definition, where the two differ.
    besides: BTreeMap<Symbol, (&'static str, f64)>,
    /// Whether only ρ is known, so that rates are shares of the capacity.
    pub(super) of_capacity: bool,
}

impl Values {
    /// What was given, and what follows from it.
    pub(super) fn of(inputs: &Inputs) -> Values {
        let known = inputs.iter().map(|(symbol, value)| (symbol, (value, Origin::Given))).collect();
        let mut values = Values {
            known,
            lacking: BTreeMap::new(),
            levels: inputs.levels().to_vec(),
            besides: BTreeMap::new(),
            of_capacity: false,
        };
        values.assume(Symbol::MinPause, 0.0, "Flink's default");
        values.assume(Symbol::Weight, 1.0, "as in `tune`");
        values.derive_duration();
        values.derive_period();
        values.derive_age();
        values.derive_outage();
        values.derive(Symbol::Restart, "D", &[], &[Symbol::Outage], |v| Ok(v.get(Symbol::Outage)));
        values.derive_load();
        values
    }

    /// The value of a symbol that a formula needs. The caller has checked that it exists.
    pub(super) fn get(&self, symbol: Symbol) -> f64 {
        let (value, _) = self.known.get(&symbol).expect("CALCULATOR-D1: needs are looked up before a formula is asked");
        *value
    }

    /// The value of a symbol in whole nanoseconds.
    pub(super) fn nanoseconds(&self, symbol: Symbol) -> Result<u64, OutsideDomain> {
        // Above 64 bits the cast saturates, as the formulas do.
        not_negative(symbol.letter(), self.get(symbol)).map(|seconds| (seconds * 1e9).round() as u64)
    }

    /// The value of a symbol, or zero if it has none; for formulas that do not need it.
    pub(super) fn or_zero(&self, symbol: Symbol) -> f64 {
        self.known.get(&symbol).map_or(0.0, |(value, _)| *value)
    }

    pub(super) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Where the value of a symbol came from, if it has one.
    pub(super) fn known(&self, symbol: Symbol) -> Option<(f64, Origin)> {
        self.known.get(&symbol).copied()
    }

    /// The value of a symbol by definition, if another value was given.
    pub(super) fn beside(&self, symbol: Symbol) -> Option<(&'static str, f64)> {
        self.besides.get(&symbol).copied()
    }

    /// Why some of these symbols have no value; `None` if all have one.
    pub(super) fn lacking(&self, needs: &[Symbol]) -> Option<Outcome> {
        let mut missing = BTreeSet::new();
        for symbol in needs.iter().filter(|symbol| !self.has(**symbol)) {
            match self.lacking.get(symbol) {
                Some(Outcome::Missing(parts)) => missing.extend(parts.iter().copied()),
                Some(outside) => return Some(outside.clone()),
                None => _ = missing.insert(*symbol),
            }
        }
        (!missing.is_empty()).then(|| Outcome::Missing(missing.into_iter().collect()))
    }

    fn has(&self, symbol: Symbol) -> bool {
        if symbol == Symbol::Levels { !self.levels.is_empty() } else { self.known.contains_key(&symbol) }
    }

    fn assume(&mut self, symbol: Symbol, value: f64, why: &'static str) {
        self.known.entry(symbol).or_insert((value, Origin::Assumed(why)));
    }

    /// Gives a symbol the value that follows from `parts`. Missing parts are asked for only if one of `hints` is known;
    /// otherwise it is simpler for the user to give the symbol itself.
    fn derive(
        &mut self,
        symbol: Symbol,
        from: &'static str,
        hints: &[Symbol],
        parts: &[Symbol],
        value: impl Fn(&Values) -> Result<f64, OutsideDomain>,
    ) {
        if self.has(symbol) {
            // An age or a restart time that was given is as good as a derived one. For symbols with a definition, a
            // different value must be noted.
            let defined = matches!(symbol, Symbol::Period | Symbol::Duration | Symbol::Outage);
            if let (true, Some(said)) = (defined, self.ask(parts, &value)) {
                let given = self.get(symbol);
                if (said - given).abs() > DIFFERS * given.abs() {
                    self.besides.insert(symbol, (from, said));
                }
            }
            return;
        }
        match self.lacking(parts) {
            None => match value(self) {
                Ok(value) => _ = self.known.insert(symbol, (value, Origin::From(from))),
                Err(why) => _ = self.lacking.insert(symbol, Outcome::Outside(why.to_string())),
            },
            Some(missing @ Outcome::Missing(_)) if hints.iter().any(|hint| self.has(*hint)) => {
                self.lacking.insert(symbol, missing);
            }
            Some(Outcome::Missing(_)) => {}
            Some(outside) => _ = self.lacking.insert(symbol, outside),
        }
    }

    /// The result of `value`, if all of `parts` are known.
    fn ask(&self, parts: &[Symbol], value: impl Fn(&Values) -> Result<f64, OutsideDomain>) -> Option<f64> {
        if self.lacking(parts).is_some() { None } else { value(self).ok() }
    }

    fn derive_duration(&mut self) {
        use Symbol::{Bandwidth, Duration, DurationFixed, Parallelism, State};
        let parts = [DurationFixed, State, Parallelism, Bandwidth];
        let hints = [DurationFixed, Parallelism, Bandwidth];
        self.derive(Duration, "d₀ + S/(p·B)", &hints, &parts, |v| {
            state::full_duration(v.get(DurationFixed), v.get(State), v.get(Parallelism), v.get(Bandwidth))
        });
    }

    fn derive_period(&mut self) {
        use Symbol::{Duration, Interval, MinPause, Period};
        self.derive(Period, trigger::TRIGGER_GAP, &[Interval], &[Interval, MinPause, Duration], period);
    }

    fn derive_age(&mut self) {
        use Symbol::{Age, Duration, Interval, Period};
        self.derive(Age, "T/2 + d, its mean", &[Interval, Period], &[Period, Duration], |v| {
            load::mean_snapshot_age(v.get(Period), v.get(Duration))
        });
    }

    fn derive_outage(&mut self) {
        use Symbol::{Backoff, Deploy, Detect, Init, Outage, Slots, StateLoad};
        let parts = [StateLoad, Detect, Backoff, Slots, Deploy, Init];
        // Only the time to load the state is asked for, by the planning rule.
        self.derive(Outage, "the sum of its parts", &parts[1..], &parts, outage);
    }

    /// Any two of λ, μ and ρ give the third. ρ alone is enough for everything that is not a rate.
    fn derive_load(&mut self) {
        use Symbol::{Capacity, Load, Rate};
        let value = |symbol| self.known.get(&symbol).map(|(value, _)| *value);
        match (value(Rate), value(Capacity), value(Load)) {
            (Some(rate), Some(capacity), None) => match positive("μ", capacity) {
                Ok(capacity) => _ = self.known.insert(Load, (rate / capacity, Origin::From("λ/μ"))),
                Err(why) => _ = self.lacking.insert(Load, Outcome::Outside(why.to_string())),
            },
            (Some(rate), None, Some(load)) => match positive("ρ", load).and_then(|load| positive("μ", rate / load)) {
                Ok(capacity) => _ = self.known.insert(Capacity, (capacity, Origin::From("λ/ρ"))),
                Err(why) => _ = self.lacking.insert(Capacity, Outcome::Outside(why.to_string())),
            },
            (None, Some(capacity), Some(load)) => {
                self.known.insert(Rate, (load * capacity, Origin::From("ρ·μ")));
            }
            (None, None, Some(load)) => {
                self.of_capacity = true;
                self.known.insert(Rate, (load, Origin::From("ρ, in capacities")));
                self.known.insert(Capacity, (1.0, Origin::From("ρ, in capacities")));
            }
            _ => {}
        }
        let given = |symbol| self.known.contains_key(&symbol);
        let missing = match (given(Rate), given(Capacity), given(Load)) {
            (true, false, false) => Some(Capacity),
            (false, true, false) => Some(Rate),
            _ => None,
        };
        if let Some(missing) = missing {
            self.lacking.insert(Load, Outcome::Missing(vec![missing]));
        }
    }
}

/// Time from a trigger to the next by the engine's rule, in seconds.
pub(super) fn period(v: &Values) -> Result<f64, OutsideDomain> {
    let [interval, pause, duration] = [Symbol::Interval, Symbol::MinPause, Symbol::Duration].map(|s| v.nanoseconds(s));
    Ok(trigger::next_trigger(0, duration?, interval?, pause?) as f64 / 1e9)
}

/// The sum of the parts of an outage, seconds.
pub(super) fn outage(v: &Values) -> Result<f64, OutsideDomain> {
    let parts = RecoveryParts {
        detect_ns: v.nanoseconds(Symbol::Detect)?,
        backoff_or_cancel_ns: v.nanoseconds(Symbol::Backoff)?,
        slots_ns: v.nanoseconds(Symbol::Slots)?,
        deploy_ns: v.nanoseconds(Symbol::Deploy)?,
        restore_ns: v.nanoseconds(Symbol::StateLoad)?,
        init_ns: v.nanoseconds(Symbol::Init)?,
        ..RecoveryParts::default()
    };
    Ok(recovery::outage(&parts) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(given: &[(Symbol, f64)]) -> Values {
        Values::of(&given.iter().fold(Inputs::default(), |inputs, (symbol, value)| inputs.with(*symbol, *value)))
    }

    #[test]
    fn what_follows_is_told_with_where_it_came_from() {
        use Symbol::{Age, Duration, Interval, MinPause, Outage, Period, Restart};
        let v = values(&[(Interval, 10.0), (Duration, 28.0), (MinPause, 2.0), (Outage, 40.0)]);
        assert_eq!(v.known(Period), Some((30.0, Origin::From("max(I, P, d + P)"))));
        assert_eq!(v.known(Age), Some((43.0, Origin::From("T/2 + d, its mean"))));
        assert_eq!(v.known(Restart), Some((40.0, Origin::From("D"))));
        let measured = values(&[(Interval, 10.0), (Duration, 28.0), (Period, 35.0)]);
        assert_eq!(measured.known(Period), Some((35.0, Origin::Given)));
        assert_eq!(measured.beside(Period), Some(("max(I, P, d + P)", 28.0)));
        assert_eq!(values(&[(Interval, 35.01), (Duration, 28.0), (Period, 35.0)]).beside(Period), None);
        assert_eq!(values(&[(Duration, 28.0), (Period, 35.0)]).beside(Period), None);
        assert_eq!(measured.known(MinPause), Some((0.0, Origin::Assumed("Flink's default"))));
    }

    #[test]
    fn of_rate_capacity_and_load_two_give_the_third() {
        use Symbol::{Capacity, Load, Rate};
        assert_eq!(values(&[(Rate, 500.0), (Capacity, 1_000.0)]).get(Load), 0.5);
        assert_eq!(values(&[(Rate, 500.0), (Load, 0.5)]).get(Capacity), 1_000.0);
        assert_eq!(values(&[(Capacity, 1_000.0), (Load, 0.5)]).get(Rate), 500.0);
        let alone = values(&[(Load, 0.5)]);
        assert_eq!((alone.get(Rate), alone.get(Capacity), alone.of_capacity), (0.5, 1.0, true));
        let lacking = values(&[(Rate, 500.0)]).lacking(&[Load]);
        assert_eq!(lacking, Some(Outcome::Missing(vec![Capacity])));
        let outside = |given: &[(Symbol, f64)]| values(given).lacking(&[Capacity]);
        let said = |why: &str| Some(Outcome::Outside(format!("{why} must be positive and finite, is 0")));
        assert_eq!(outside(&[(Rate, 1.0), (Load, 0.0)]), said("ρ"));
        assert_eq!(outside(&[(Rate, 0.0), (Load, 0.5)]), said("μ"));
    }

    #[test]
    fn what_is_missing_is_asked_for_where_it_is_closest() {
        use Symbol::{Backoff, Deploy, Detect, Duration, Init, Interval, Outage, Period, Slots, StateLoad};
        let missing = |given: &[(Symbol, f64)], needs: &[Symbol]| match values(given).lacking(needs) {
            Some(Outcome::Missing(missing)) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&[], &[Period]), [Period]);
        assert_eq!(missing(&[(Interval, 1.0)], &[Period]), [Duration]);
        assert_eq!(missing(&[(StateLoad, 1.0)], &[Outage]), [Outage]);
        assert_eq!(missing(&[(StateLoad, 1.0), (Detect, 1.0)], &[Outage]), [Backoff, Slots, Deploy, Init]);
    }

    #[test]
    fn a_part_outside_its_domain_is_told_in_the_formulas_words() {
        use Symbol::{Bandwidth, DurationFixed, Interval, Parallelism, Period, State};
        let v = values(&[(DurationFixed, 1.0), (State, 1.0), (Parallelism, 0.0), (Bandwidth, 1.0), (Interval, 1.0)]);
        let why = Outcome::Outside("p must be positive and finite, is 0".into());
        assert_eq!(v.lacking(&[Period]), Some(why));
    }
}
