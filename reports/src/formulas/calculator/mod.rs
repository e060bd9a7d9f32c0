//! Every formula's answer to what somebody has measured: no run, no simulation.
//!
//! Start at [`Sheet::of`]. [`symbol`] is the table of what can be given, [`catalogue`] that of the formulas, and
//! both are the only lists of their kind; `values` says what follows from what was given. [`terminal`] and [`json`] make
//! documents of a sheet, or of the catalogue alone.
//!
//! Invariants: (Q1) every public formula has exactly one row; (Q2) a formula is asked only if all that it needs has a value,
//! and answers with a number, or with the words of [`OutsideDomain`](super::OutsideDomain).

use std::collections::BTreeMap;

pub mod catalogue;
pub mod json;
pub mod quantity;
pub mod symbol;
pub mod terminal;
mod values;

#[cfg(test)]
mod tests;

use super::state::Level;
use catalogue::{FORMULAS, Formula};
use quantity::Quantity;
use symbol::Symbol;
pub use values::Origin;
use values::Values;

/// What was measured or is planned, by symbol, in seconds, bytes and records per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    given: BTreeMap<Symbol, f64>,
    levels: Vec<Level>,
}

impl Inputs {
    /// The same with a value for `symbol`; [`Symbol::Levels`] has no single value, see [`Inputs::with_level`].
    pub fn with(mut self, symbol: Symbol, value: f64) -> Inputs {
        if symbol != Symbol::Levels {
            self.given.insert(symbol, value);
        }
        self
    }

    /// The same with one more level of storage.
    pub fn with_level(mut self, level: Level) -> Inputs {
        self.levels.push(level);
        self
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.levels.is_empty()
    }

    /// The value of a symbol, if it was given.
    pub fn get(&self, symbol: Symbol) -> Option<f64> {
        self.given.get(&symbol).copied()
    }

    fn iter(&self) -> impl Iterator<Item = (Symbol, f64)> {
        self.given.iter().map(|(symbol, value)| (*symbol, *value))
    }

    fn levels(&self) -> &[Level] {
        &self.levels
    }
}

/// What a formula says.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its value.
    Value(Quantity),
    /// It was not asked: these are not known (never empty).
    Missing(Vec<Symbol>),
    /// It has none here, and says why.
    Outside(String),
}

/// A formula with what it says.
#[derive(Debug, Clone)]
pub struct Row {
    /// The formula.
    pub formula: &'static Formula,
    /// What it says.
    pub outcome: Outcome,
}

/// A value that formulas were told.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What it is a value of.
    pub symbol: Symbol,
    /// The value.
    pub value: Quantity,
    /// Where it came from.
    pub origin: Origin,
    /// What its definition says of it, where another value was given.
    pub beside: Option<(&'static str, Quantity)>,
}

/// What was given, what follows from it, and what every formula says.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// All that was given, and what else a formula of this sheet was told.
    pub known: Vec<Known>,
    /// One per formula, in the order of the catalogue.
    pub rows: Vec<Row>,
}

impl Sheet {
    /// Asks every formula.
    pub fn of(inputs: &Inputs) -> Sheet {
        let values = Values::of(inputs);
        let row = |formula: &'static Formula| Row { formula, outcome: formula.outcome(&values) };
        let rows: Vec<Row> = FORMULAS.iter().map(row).collect();
        let known = Symbol::ALL.into_iter().filter_map(|symbol| known(symbol, &values, &rows)).collect();
        Sheet { known, rows }
    }
}

/// What every formula says; see [`Sheet::of`].
pub fn rows(inputs: &Inputs) -> Vec<Row> {
    Sheet::of(inputs).rows
}

/// A value as it is told, unless nobody gave it and no formula asked for it.
fn known(symbol: Symbol, values: &Values, rows: &[Row]) -> Option<Known> {
    if symbol == Symbol::Levels {
        let levels = values.levels();
        let value = Quantity::Levels(levels.to_vec());
        return (!levels.is_empty()).then_some(Known { symbol, value, origin: Origin::Given, beside: None });
    }
    let (value, origin) = values.known(symbol)?;
    let rate = matches!(symbol, Symbol::Rate | Symbol::Capacity);
    if origin != Origin::Given && (!asked(symbol, values, rows) || (rate && values.of_capacity)) {
        return None;
    }
    let quantity = |value| symbol.spec().kind.quantity(value);
    let beside = values.beside(symbol).map(|(equation, said)| (equation, quantity(said)));
    Some(Known { symbol, value: quantity(value), origin, beside })
}

/// Whether a formula that answered was told this value, or one that follows from it.
fn asked(symbol: Symbol, values: &Values, rows: &[Row]) -> bool {
    let follows = |from: Symbol| values.known(from).is_some_and(|(_, origin)| matches!(origin, Origin::From(_)));
    let answered = |row: &&Row| !matches!(row.outcome, Outcome::Missing(_));
    let needed = |wanted: Symbol| rows.iter().filter(answered).any(|row| row.formula.needs.contains(&wanted));
    match symbol {
        // Nobody should read a recovery without its load.
        Symbol::Load => [Symbol::Load, Symbol::Rate, Symbol::Capacity].into_iter().any(needed),
        Symbol::MinPause if follows(Symbol::Period) => needed(symbol) || asked(Symbol::Period, values, rows),
        Symbol::Period if follows(Symbol::Age) => needed(symbol) || asked(Symbol::Age, values, rows),
        Symbol::Duration if follows(Symbol::Period) || follows(Symbol::Age) => {
            needed(symbol) || [Symbol::Period, Symbol::Age].into_iter().any(|from| asked(from, values, rows))
        }
        Symbol::Outage if follows(Symbol::Restart) => needed(symbol) || needed(Symbol::Restart),
        _ => needed(symbol),
    }
}
