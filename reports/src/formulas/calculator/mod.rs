//! Evaluates every formula with inputs that the user has measured, without a run or a simulation.
//!
//! Start at [`Sheet::of`]. [`symbol`] is the table of inputs, and [`catalogue`] is the table of formulas; each is the
//! only list of its kind. `values` derives further values from what was given. [`terminal`] and [`json`] make documents
//! of a sheet, or of the catalogue alone.
//!
//! Invariants: (Q1) every public formula has exactly one row; (Q2) a formula is evaluated only if all its inputs have
//! values, and then gives a number, or the words of [`OutsideDomain`](super::OutsideDomain).

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
    /// The same with a value for `symbol`. [`Symbol::Levels`] has no single value; see [`Inputs::with_level`].
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

/// The outcome of a formula.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its value.
    Value(Quantity),
    /// The formula was not evaluated, because these inputs are not known (never empty).
    Missing(Vec<Symbol>),
    /// The inputs are outside of the formula's domain; the text says why.
    Outside(String),
}

/// A formula with its outcome.
#[derive(Debug, Clone)]
pub struct Row {
    /// The formula.
    pub formula: &'static Formula,
    /// What it says.
    pub outcome: Outcome,
}

/// A value that formulas used.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The symbol that has the value.
    pub symbol: Symbol,
    /// The value.
    pub value: Quantity,
    /// Where the value came from.
    pub origin: Origin,
    /// If a value was given: what its definition says instead, where the two differ.
    pub beside: Option<(&'static str, Quantity)>,
}

/// What was given, what follows from it, and the outcome of every formula.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// All values that were given, and all others that a formula of this sheet used.
    pub known: Vec<Known>,
    /// One row per formula, in the order of the catalogue.
    pub rows: Vec<Row>,
}

impl Sheet {
    /// Evaluates every formula.
    pub fn of(inputs: &Inputs) -> Sheet {
        let values = Values::of(inputs);
        let row = |formula: &'static Formula| Row { formula, outcome: formula.outcome(&values) };
        let rows: Vec<Row> = FORMULAS.iter().map(row).collect();
        let known = Symbol::ALL.into_iter().filter_map(|symbol| known(symbol, &values, &rows)).collect();
        Sheet { known, rows }
    }
}

/// The outcome of every formula; see [`Sheet::of`].
pub fn rows(inputs: &Inputs) -> Vec<Row> {
    Sheet::of(inputs).rows
}

/// The value of a symbol with its origin; `None` if it was not given and no formula used it.
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

/// Whether a formula with a value used this symbol, or a value that follows from it.
fn asked(symbol: Symbol, values: &Values, rows: &[Row]) -> bool {
    let follows = |from: Symbol| values.known(from).is_some_and(|(_, origin)| matches!(origin, Origin::From(_)));
    let answered = |row: &&Row| !matches!(row.outcome, Outcome::Missing(_));
    let needed = |wanted: Symbol| rows.iter().filter(answered).any(|row| row.formula.needs.contains(&wanted));
    match symbol {
        // The load is always shown with a recovery, which means little without it.
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
