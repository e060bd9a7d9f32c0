//! The catalogue and a sheet as JSON for programs.
//!
//! Start at [`to_string`]. Times are in seconds, sizes in bytes, shares are fractions, all with every digit. Texts are
//! the same as on the terminal.

use serde::Serialize;
use serde_json::{Value, json};

use super::catalogue::{FORMULAS, Formula};
use super::quantity::Quantity;
use super::symbol::Symbol;
use super::{Inputs, Known, Origin, Outcome, Sheet};
use crate::formulas::state::Level;
use crate::json::pretty;

/// Version of this document.
pub const FORMULAS_VERSION: u32 = 1;

/// The fields of the document, in order.
#[derive(Serialize)]
struct Document {
    formulas_version: u32,
    inputs: Vec<Value>,
    formulas: Vec<Value>,
    symbols: Vec<Value>,
}

/// Pretty JSON, ending with a line break. Without inputs no formula has an `answer`.
pub fn to_string(inputs: &Inputs) -> String {
    let (inputs, formulas) = if inputs.is_empty() {
        (Vec::new(), FORMULAS.iter().map(|formula| described(formula, None)).collect())
    } else {
        let sheet = Sheet::of(inputs);
        let formulas = sheet.rows.iter().map(|row| described(row.formula, Some(&row.outcome))).collect();
        (sheet.known.iter().map(value).collect(), formulas)
    };
    let symbols = Symbol::ALL.into_iter().map(symbol).collect();
    let document = Document { formulas_version: FORMULAS_VERSION, inputs, formulas, symbols };
    pretty(&document)
}

fn symbol(symbol: Symbol) -> Value {
    let spec = symbol.spec();
    json!({ "symbol": spec.letter, "option": format!("--{}", spec.option), "written": spec.kind.placeholder(), "meaning": spec.meaning })
}

fn described(formula: &Formula, outcome: Option<&Outcome>) -> Value {
    let mut described = json!({
        "function": formula.function,
        "name": formula.name,
        "symbol": formula.letter,
        "equation": formula.equation,
        "gives": formula.gives,
        "kind": formula.unit,
        "needs": formula.needs.iter().map(|symbol| symbol.letter()).collect::<Vec<_>>(),
        "domain": formula.domain,
        "source": formula.source,
    });
    if let Some(outcome) = outcome {
        described["answer"] = match outcome {
            Outcome::Value(quantity) => number(quantity),
            Outcome::Missing(symbols) => {
                json!({ "missing": symbols.iter().map(|symbol| symbol.letter()).collect::<Vec<_>>() })
            }
            Outcome::Outside(why) => json!({ "outside": why }),
        };
    }
    described
}

fn value(known: &Known) -> Value {
    let mut value = number(&known.value);
    value["symbol"] = known.symbol.letter().into();
    match known.origin {
        Origin::Given => value["origin"] = "given".into(),
        Origin::From(equation) => {
            value["origin"] = "derived".into();
            value["from"] = equation.into();
        }
        Origin::Assumed(why) => {
            value["origin"] = "assumed".into();
            value["why"] = why.into();
        }
    }
    if let Some((equation, said)) = &known.beside {
        value["beside"] = number(said);
        value["beside"]["from"] = (*equation).into();
    }
    value
}

/// The value with its unit.
fn number(quantity: &Quantity) -> Value {
    let value = match quantity {
        Quantity::Time(n)
        | Quantity::Bytes(n)
        | Quantity::Bandwidth(n)
        | Quantity::Rate(n)
        | Quantity::Frequency(n)
        | Quantity::TimePerByte(n)
        | Quantity::Share(n)
        | Quantity::OfCapacity(n)
        | Quantity::Unavailability(n)
        | Quantity::Number(n) => json!(n),
        Quantity::Times(each) => json!(each),
        Quantity::Levels(levels) => {
            let level = |level: &Level| json!({ "mtbf": 1.0 / level.failure_rate, "cost": level.cost });
            levels.iter().map(level).collect()
        }
    };
    json!({ "value": value, "unit": quantity.unit() })
}
