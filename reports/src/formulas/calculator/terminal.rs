//! The catalogue, and a sheet, for a terminal.
//!
//! Start at [`catalogue`] and [`sheet`]. Both keep within the given width, as far as words can be broken.

use super::catalogue::FORMULAS;
use super::quantity::Quantity;
use super::symbol::{Kind, Symbol};
use super::{Inputs, Known, Origin, Outcome, Row, Sheet};
use crate::ansi::{Color, Style, paint};
use crate::table::{Align, Cell, Table, titled};
use crate::{numbers, units};

/// Every formula with its equation, result, inputs, domain and source; then every input with its option.
pub fn catalogue(width: usize, color: Color) -> String {
    let mut out = String::new();
    let mut heading = "";
    let names = widest(FORMULAS.iter().map(|formula| formula.name));
    for formula in &FORMULAS {
        if formula.heading != heading {
            heading = formula.heading;
            out += &format!("{}{}\n", if out.is_empty() { "" } else { "\n" }, paint(heading, Style::Heading, color));
        }
        out += &format!("  {:<names$}  {}\n", formula.name, formula.equation);
        let details = format!(
            "{}; {}. Needs {}. Domain: {}. Source: {}.",
            formula.gives,
            formula.unit,
            letters(formula.needs),
            unbroken(formula.domain),
            formula.source
        );
        out += &wrapped(&details, 4, width, Style::Dim, color);
    }
    out += &legend("Inputs", &Symbol::ALL, width, color);
    out
}

/// What was given, the outcome of each formula, and what the others lack.
pub fn sheet(inputs: &Inputs, width: usize, color: Color) -> String {
    let sheet = Sheet::of(inputs);
    let mut out = known(&sheet.known, width, color);
    out += &titled("What the formulas say", &answers(&sheet.rows, width), color.into());
    out += &outside(&sheet.rows, width, color);
    out += &missing(&sheet.rows, width, color);
    let lacking: Vec<Symbol> = Symbol::ALL.into_iter().filter(|symbol| lacked(*symbol, &sheet.rows)).collect();
    out += &legend("Missing inputs", &lacking, width, color);
    out
}

/// `T  30.00 s  from max(I, P, d + P)  trigger to next trigger`, with a line for each level of storage.
fn known(known: &[Known], width: usize, color: Color) -> String {
    let mut table = Table::new([("", Align::Left), ("", Align::Right), ("", Align::Left)]);
    let mut meanings: Vec<&str> = Vec::new();
    for Known { symbol, value, origin, beside } in known {
        let spec = symbol.spec();
        let values = match value {
            // As it was written, not with the digits of a result.
            Quantity::Time(seconds) if *origin == Origin::Given => vec![numbers::chosen(*seconds)],
            Quantity::Levels(levels) => levels.iter().map(|level| Quantity::Levels(vec![*level]).text()).collect(),
            value => vec![value.text()],
        };
        let origin = match (origin, beside) {
            (_, Some((equation, said))) => Cell::new(format!("but {equation} = {}", said.text())).styled(Style::Warn),
            (Origin::Given, None) => Cell::new(""),
            (Origin::From(equation), None) => Cell::new(format!("from {equation}")),
            (Origin::Assumed(why), None) => Cell::new(format!("assumed, {why}")).styled(Style::Warn),
        };
        for (index, value) in values.into_iter().enumerate() {
            table.row([Cell::new(spec.letter), Cell::new(units::aligned(value)), origin.clone()]);
            meanings.push(if index == 0 { spec.meaning } else { "another one" });
        }
    }
    let plain = table.text(2, Color::No);
    let left = widest(plain.lines());
    let mut out = format!("{}\n", paint("Inputs", Style::Heading, color));
    for ((line, plain), meaning) in table.text(2, color).lines().zip(plain.lines()).zip(meanings) {
        let text = wrapped(meaning, left + 2, width, Style::Dim, color);
        out += &format!("{line}{}{}", " ".repeat(left + 2 - widest([plain].into_iter())), text.trim_start());
    }
    out
}

/// The formulas that have a value; with their equations if there is enough space.
fn answers(rows: &[Row], width: usize) -> Table {
    let columns = [("formula", Align::Left), ("", Align::Right), ("value", Align::Right), ("equation", Align::Left)];
    let mut whole = Table::new(columns);
    let mut narrow = Table::new([columns[0], columns[1], columns[2]]);
    for Row { formula, outcome } in rows {
        let Outcome::Value(value) = outcome else { continue };
        let [name, letter] = [Cell::new(formula.name), Cell::new(format!("{} =", formula.letter)).styled(Style::Dim)];
        let value = Cell::new(units::aligned(value.text())).styled(Style::Good);
        narrow.row([name.clone(), letter.clone(), value.clone()]);
        whole.row([name, letter, value, Cell::new(formula.equation).styled(Style::Dim)]);
    }
    let fits = whole.text(2, Color::No).lines().all(|line| line.chars().count() <= width);
    if fits { whole } else { narrow }
}

/// Every reason once, with the formulas that have it: an overloaded job, for example, is outside of all formulas that
/// use the load.
fn outside(rows: &[Row], width: usize, color: Color) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Row { formula, outcome } in rows {
        let Outcome::Outside(why) = outcome else { continue };
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, names)) => names.push(formula.name),
            None => reasons.push((why, vec![formula.name])),
        }
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", paint("Outside of their domain", Style::Heading, color));
    for (why, names) in reasons {
        out += &wrapped(&unbroken(why), 2, width, Style::Warn, color);
        out += &wrapped(&names.join("; "), 4, width, Style::Plain, color);
    }
    out
}

/// A line for each formula that was not evaluated, with the inputs that it lacks.
fn missing(rows: &[Row], width: usize, color: Color) -> String {
    let missing = |row: &Row| match &row.outcome {
        Outcome::Missing(symbols) => Some((row.formula.name, letters(symbols))),
        _ => None,
    };
    let lacking: Vec<(&str, String)> = rows.iter().filter_map(missing).collect();
    if lacking.is_empty() {
        return String::new();
    }
    let names = widest(lacking.iter().map(|(name, _)| *name));
    let mut out = format!("\n{}\n", paint("Not asked, since inputs are missing", Style::Heading, color));
    for (name, symbols) in lacking {
        let text = wrapped(&symbols, names + 4, width, Style::Plain, color);
        out += &format!("  {name:<names$}  {}", text.trim_start());
    }
    out
}

fn lacked(symbol: Symbol, rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(&row.outcome, Outcome::Missing(symbols) if symbols.contains(&symbol)))
}

/// Letters, options and meanings of inputs.
fn legend(heading: &str, symbols: &[Symbol], width: usize, color: Color) -> String {
    if symbols.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", paint(heading, Style::Heading, color));
    let option = |symbol: Symbol| format!("--{} {}", symbol.spec().option, symbol.spec().kind.placeholder());
    let letters = widest(symbols.iter().map(|symbol| symbol.letter()));
    let options = widest(symbols.iter().map(|symbol| option(*symbol)));
    for symbol in symbols {
        let spec = symbol.spec();
        let again = if spec.kind == Kind::Level { "; may be given several times" } else { "" };
        let otherwise =
            if spec.otherwise.is_empty() { String::new() } else { format!("; else {}", unbroken(spec.otherwise)) };
        let text =
            wrapped(&format!("{}{again}{otherwise}", spec.meaning), letters + options + 6, width, Style::Plain, color);
        out += &format!("  {:<letters$}  {:<options$}  {}", spec.letter, option(*symbol), text.trim_start());
    }
    out
}

fn letters(symbols: &[Symbol]) -> String {
    symbols.iter().map(|symbol| symbol.letter()).collect::<Vec<_>>().join(", ")
}

fn widest<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> usize {
    texts.map(|text| text.as_ref().chars().count()).max().unwrap_or(0)
}

/// Words in lines of at most `width` characters. Each line is indented by `indent` spaces, and ends with a line break.
fn wrapped(text: &str, indent: usize, width: usize, style: Style, color: Color) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if indent + line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let line = |line: &String| format!("{}{}\n", " ".repeat(indent), paint(&line.replace(TIED, " "), style, color));
    lines.iter().map(line).collect()
}

/// Stands for a space at which a line must not be broken.
const TIED: char = '\u{a0}';

/// Equations stay on one line.
fn unbroken(text: &str) -> String {
    let signs = ["<", ">", "+", "−", "=", "≪"];
    signs.iter().fold(text.to_owned(), |text, sign| text.replace(&format!(" {sign} "), &format!("{TIED}{sign}{TIED}")))
}
