//! Compares the list with the sources (Q1) and every row with its inputs (Q2), and keeps the documents as snapshots.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::catalogue::FORMULAS;
use super::symbol::Symbol;
use super::*;
use crate::ansi::Color;
use crate::formulas::optimum;

/// Public functions that are not formulas: the start of a grid, and a function that a formula uses.
const NO_FORMULAS: [&str; 2] = ["optimum::lambert_w0", "trigger::Grid::of_attempt"];

/// Every public function of the modules, as `module::Type::name`.
fn public_functions() -> Vec<String> {
    let sources = [
        ("load", include_str!("../load.rs")),
        ("optimum", include_str!("../optimum.rs")),
        ("recovery", include_str!("../recovery.rs")),
        ("state", include_str!("../state.rs")),
        ("trigger", include_str!("../trigger.rs")),
    ];
    let mut found = Vec::new();
    for (module, source) in sources {
        let (code, _) = source.split_once("#[cfg(test)]").unwrap();
        let mut owner = String::new();
        for line in code.lines() {
            if let Some(name) = line.strip_prefix("impl ") {
                owner = format!("{}::", name.trim_end_matches(" {"));
            }
            let place = if line.starts_with(' ') { owner.as_str() } else { "" };
            if let Some((name, _)) = line.trim_start().strip_prefix("pub fn ").and_then(|rest| rest.split_once('(')) {
                found.push(format!("{module}::{place}{name}"));
            }
        }
    }
    found
}

/// An ordinary value for every symbol.
fn everything() -> Inputs {
    let given = [
        (Symbol::Interval, 10.0),
        (Symbol::MinPause, 2.0),
        (Symbol::Period, 30.0),
        (Symbol::Duration, 4.0),
        (Symbol::Cost, 0.5),
        (Symbol::Commit, 0.1),
        (Symbol::Mtbf, 3_600.0),
        (Symbol::Outage, 40.0),
        (Symbol::Age, 19.0),
        (Symbol::Restart, 20.0),
        (Symbol::Rate, 500.0),
        (Symbol::Capacity, 1_000.0),
        (Symbol::Load, 0.5),
        (Symbol::Weight, 2.0),
        (Symbol::State, 8e9),
        (Symbol::Parallelism, 4.0),
        (Symbol::Bandwidth, 1e9),
        (Symbol::DurationFixed, 0.1),
        (Symbol::Updates, 0.01),
        (Symbol::CostFixed, 0.1),
        (Symbol::CostPerByte, 1e-9),
        (Symbol::StateLoad, 3.0),
        (Symbol::Detect, 5.0),
        (Symbol::Backoff, 10.0),
        (Symbol::Slots, 1.0),
        (Symbol::Deploy, 0.5),
        (Symbol::Init, 0.2),
    ];
    let inputs = given.into_iter().fold(Inputs::default(), |inputs, (symbol, value)| inputs.with(symbol, value));
    inputs
        .with_level(Level { failure_rate: 1.0 / 600.0, cost: 3.0 })
        .with_level(Level { failure_rate: 1.0 / 7_200.0, cost: 36.0 })
}

/// The same values, but only for these symbols.
fn only(symbols: &[Symbol]) -> Inputs {
    let Inputs { given, levels } = everything();
    Inputs {
        given: given.into_iter().filter(|(symbol, _)| symbols.contains(symbol)).collect(),
        levels: if symbols.contains(&Symbol::Levels) { levels } else { Vec::new() },
    }
}

fn said(inputs: &Inputs, name: &str) -> Outcome {
    rows(inputs).into_iter().find(|row| row.formula.name == name).unwrap().outcome
}

#[test]
fn every_public_formula_has_exactly_one_row() {
    let mut listed: Vec<String> = FORMULAS.iter().map(|formula| formula.function.to_owned()).collect();
    listed.extend(NO_FORMULAS.map(str::to_owned));
    listed.sort();
    let mut public = public_functions();
    public.sort();
    assert_eq!(listed, public, "Q1");
    let names: BTreeSet<&str> = FORMULAS.iter().map(|formula| formula.name).collect();
    assert_eq!(names.len(), FORMULAS.len());
    let mut headings: Vec<&str> = FORMULAS.iter().map(|formula| formula.heading).collect();
    headings.dedup();
    assert_eq!(headings.len(), 5, "rows of one heading stand together");
}

#[test]
fn a_formula_reads_what_it_needs_and_nothing_else() {
    let all = everything();
    for formula in &FORMULAS {
        let whole = formula.of(&all);
        assert!(matches!(whole, Outcome::Value(_)), "{}: {whole:?}", formula.name);
        assert!(formula.equation.starts_with(formula.letter), "{}", formula.name);
        // Any two of the three symbols of the load give the same result.
        let (Outcome::Value(whole), Outcome::Value(least)) = (whole, formula.of(&only(formula.needs))) else {
            panic!("Q2: {} needs more than it says", formula.name);
        };
        assert_eq!(whole.text(), least.text(), "{}", formula.name);
        for needed in formula.needs.iter().filter(|symbol| symbol.spec().otherwise.is_empty()) {
            let others: Vec<Symbol> = Symbol::ALL.into_iter().filter(|symbol| symbol != needed).collect();
            let outcome = formula.of(&only(&others));
            assert_eq!(outcome, Outcome::Missing(vec![*needed]), "{} does not need {needed:?}", formula.name);
        }
    }
}

#[test]
fn every_input_is_needed_by_a_formula() {
    for symbol in Symbol::ALL {
        assert!(FORMULAS.iter().any(|formula| formula.needs.contains(&symbol)), "{symbol:?}");
    }
}

/// c = 30 s and M = 600 s, for which all four choices are published or were computed to many digits.
#[test]
fn published_numbers() {
    let inputs = Inputs::default().with(Symbol::Cost, 30.0).with(Symbol::Mtbf, 600.0);
    let told = |name| match said(&inputs, name) {
        Outcome::Value(value) => value.text(),
        other => panic!("{other:?}"),
    };
    assert_eq!(["Young", "Daly, higher order", "exact (Lambert W)"].map(told), ["189.7 s", "170.3 s", "200.3 s"]);
    let near = |value: f64, published: f64| assert!((value - published).abs() < 0.01, "{value}");
    near(optimum::young(30.0, 600.0).unwrap(), 189.74);
    near(optimum::daly_higher_order(30.0, 600.0).unwrap(), 170.26);
    near(optimum::exact(30.0, 600.0).unwrap(), 200.29);
    assert_eq!(said(&inputs, "Daly, first order"), Outcome::Missing(vec![Symbol::Restart]));
}

#[test]
fn a_load_without_rates_gives_times_and_a_share_of_the_capacity() {
    let given = [(Symbol::Load, 0.5), (Symbol::Cost, 1.0), (Symbol::Period, 10.0)];
    let inputs = given.into_iter().fold(Inputs::default(), |inputs, (symbol, value)| inputs.with(symbol, value));
    assert_eq!(said(&inputs, "shortest period"), Outcome::Value(Quantity::Time(2.0)));
    assert_eq!(said(&inputs, "capacity with checkpoints"), Outcome::Value(Quantity::OfCapacity(0.9)));
    let told: Vec<Symbol> = Sheet::of(&inputs).known.iter().map(|known| known.symbol).collect();
    assert_eq!(told, [Symbol::Period, Symbol::Cost, Symbol::Load], "rates that nobody gave are not shown");
}

#[test]
fn a_weight_of_lateness_changes_what_costs_least() {
    let inputs = everything().with(Symbol::Weight, 1.0);
    let Outcome::Value(Quantity::Time(once)) = said(&inputs, "load-aware, numerical") else { panic!() };
    let Outcome::Value(Quantity::Time(twice)) = said(&everything(), "load-aware, numerical") else { panic!() };
    assert!(twice < once);
}

/// Grid points at 10, 20 and 30 s, and no pause that moves the trigger.
#[test]
fn a_long_checkpoint_is_followed_by_a_short_gap_on_the_grid() {
    let gap = |duration: f64, pause: f64| {
        let inputs = Inputs::default().with(Symbol::Interval, 10.0).with(Symbol::Duration, duration);
        said(&inputs.with(Symbol::MinPause, pause), "Flink's grid, catching up")
    };
    let told = [gap(4.0, 0.0), gap(15.0, 0.0), gap(25.0, 0.0), gap(25.0, 1.0)];
    assert_eq!(told, [10.0, 5.0, 0.0, 10.0].map(|seconds| Outcome::Value(Quantity::Time(seconds))));
}

#[test]
fn only_values_that_were_used_are_told() {
    let inputs = Inputs::default().with(Symbol::Cost, 30.0).with(Symbol::Mtbf, 600.0);
    assert!(Sheet::of(&inputs).known.iter().all(|known| known.origin == Origin::Given));
    let inputs = Inputs::default().with(Symbol::Interval, 30.0).with(Symbol::Duration, 4.0);
    let told: Vec<(Symbol, Origin)> = Sheet::of(&inputs).known.iter().map(|k| (k.symbol, k.origin)).collect();
    let (pause, period) = (Origin::Assumed("Flink's default"), Origin::From("max(I, P, d + P)"));
    assert_eq!(
        told,
        [
            (Symbol::Interval, Origin::Given),
            (Symbol::MinPause, pause),
            (Symbol::Period, period),
            (Symbol::Duration, Origin::Given)
        ]
    );
}

/// A job as a team would measure it: everything except the sizes of the state and the parts of the outage.
fn measured() -> Inputs {
    let given = [
        (Symbol::Interval, 60.0),
        (Symbol::Duration, 12.0),
        (Symbol::Cost, 30.0),
        (Symbol::Commit, 0.25),
        (Symbol::Mtbf, 600.0),
        (Symbol::Outage, 40.0),
        (Symbol::Rate, 120_000.0),
        (Symbol::Capacity, 300_000.0),
    ];
    given.into_iter().fold(Inputs::default(), |inputs, (symbol, value)| inputs.with(symbol, value))
}

#[test]
fn the_catalogue() {
    insta::assert_snapshot!("catalogue", terminal::catalogue(100, Color::No));
}

#[test]
fn a_sheet_of_everything() {
    insta::assert_snapshot!("everything", terminal::sheet(&everything(), 120, Color::No));
}

#[test]
fn a_sheet_of_what_a_team_measures() {
    insta::assert_snapshot!("measured", terminal::sheet(&measured(), 120, Color::No));
}

#[test]
fn a_sheet_with_missing_inputs_at_eighty_columns() {
    let inputs = Inputs::default().with(Symbol::Cost, 30.0).with(Symbol::Mtbf, 600.0);
    insta::assert_snapshot!("missing", terminal::sheet(&inputs, 80, Color::No));
}

#[test]
fn an_overloaded_job() {
    let inputs = measured().with(Symbol::Rate, 300_000.0);
    insta::assert_snapshot!("overloaded", terminal::sheet(&inputs, 100, Color::No));
}

#[test]
fn documents_keep_within_their_width_and_colour_loses_nothing() {
    for width in [80, 120] {
        for inputs in [everything(), measured(), measured().with(Symbol::Rate, 300_000.0)] {
            for text in [terminal::catalogue(width, Color::No), terminal::sheet(&inputs, width, Color::No)] {
                let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(longest <= width, "{longest} > {width}\n{text}");
                assert!(text.lines().all(|line| !line.ends_with(' ')));
            }
            let coloured = terminal::sheet(&inputs, width, Color::Yes);
            let plain = ["1", "2", "32", "33", "0"]
                .iter()
                .fold(coloured, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
            assert_eq!(plain, terminal::sheet(&inputs, width, Color::No));
        }
    }
}

#[test]
fn the_document_for_programs() {
    let inputs = Inputs::default().with(Symbol::Cost, 30.0).with(Symbol::Mtbf, 600.0).with(Symbol::Load, 1.0);
    insta::assert_snapshot!("document", json::to_string(&inputs));
    let catalogue: serde_json::Value = serde_json::from_str(&json::to_string(&Inputs::default())).unwrap();
    assert!(catalogue["formulas"].as_array().unwrap().iter().all(|formula| formula.get("answer").is_none()));
    assert_eq!(catalogue["formulas"].as_array().unwrap().len(), FORMULAS.len());
}

/// Numbers that are likely to cause errors, and ordinary ones.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), 0.0..1e6f64, Just(0.0), Just(-1.0), Just(f64::NAN), Just(f64::INFINITY)]
}

/// Every number in a value.
fn numbers(value: &Quantity) -> Vec<f64> {
    match value {
        Quantity::Time(n)
        | Quantity::Bytes(n)
        | Quantity::Bandwidth(n)
        | Quantity::Rate(n)
        | Quantity::Frequency(n) => {
            vec![*n]
        }
        Quantity::TimePerByte(n) | Quantity::Share(n) | Quantity::OfCapacity(n) => vec![*n],
        Quantity::Unavailability(n) | Quantity::Number(n) => vec![*n],
        Quantity::Times(all) => all.clone(),
        Quantity::Levels(levels) => levels.iter().flat_map(|level| [level.failure_rate, level.cost]).collect(),
    }
}

proptest! {
    #[test]
    fn no_inputs_panic_and_every_value_is_a_number(
        given in prop::collection::vec((prop::sample::select(Symbol::ALL.to_vec()), any_number()), 0..28),
        levels in prop::collection::vec((any_number(), any_number()), 0..3),
    ) {
        let inputs = given.into_iter().fold(Inputs::default(), |inputs, (symbol, value)| inputs.with(symbol, value));
        let inputs = levels.into_iter().fold(inputs, |inputs, (failure_rate, cost)| {
            inputs.with_level(Level { failure_rate, cost })
        });
        for row in rows(&inputs) {
            match row.outcome {
                Outcome::Value(value) => {
                    let numbers = numbers(&value);
                    prop_assert!(!value.text().contains('–'), "FORMULAS-F1: {}", row.formula.name);
                    prop_assert!(numbers.iter().all(|n| n.is_finite() && *n >= 0.0), "FORMULAS-F1: {} {value:?}", row.formula.name);
                }
                Outcome::Missing(missing) => prop_assert!(!missing.is_empty(), "{}", row.formula.name),
                Outcome::Outside(why) => prop_assert!(!why.is_empty(), "{}", row.formula.name),
            }
        }
        prop_assert!(!terminal::sheet(&inputs, 80, Color::No).contains('\x1b'));
        prop_assert!(json::to_string(&inputs).ends_with('\n'));
    }
}
