//! `flowquake formulas`: evaluates every formula with what a team has measured on its own engine. Makes no runs.
//!
//! Start at [`formulas`]. The options are made from the table of symbols, so that each input has its own option.
//! [`calculator`] decides what is evaluated and shown.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use flowquake_reports::formulas::calculator::symbol::{Kind, Spec, Symbol};
use flowquake_reports::formulas::calculator::{Inputs, json as document, terminal};
use flowquake_reports::formulas::state::Level;
use flowquake_reports::json;

use super::{color, outputs, print, refuse_text, width};
use crate::units::{self, UnitError};

#[derive(Args)]
pub(super) struct FormulasArgs {
    /// Write inputs and answers as JSON to this file; `-`: print them in place of the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
}

/// The given values, by symbol.
struct Given(Inputs);

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        Symbol::ALL.into_iter().fold(command, |command, symbol| command.arg(option(symbol)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let inputs = Symbol::ALL.into_iter().fold(Inputs::default(), |inputs, symbol| {
            let name = symbol.spec().option;
            if symbol.spec().kind == Kind::Level {
                return matches.get_many(name).into_iter().flatten().copied().fold(inputs, Inputs::with_level);
            }
            matches.get_one(name).into_iter().fold(inputs, |inputs, value| inputs.with(symbol, *value))
        });
        Ok(Self(inputs))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn option(symbol: Symbol) -> Arg {
    let spec = symbol.spec();
    let more = match spec {
        Spec { kind: Kind::Level, .. } => "; may be given several times".to_owned(),
        Spec { otherwise: "", .. } => String::new(),
        Spec { otherwise, .. } => format!("; else {otherwise}"),
    };
    let option = Arg::new(spec.option)
        .long(spec.option)
        .value_name(spec.kind.placeholder())
        .help(format!("{}: {}{more}", spec.letter, spec.meaning))
        .help_heading(spec.heading)
        // So that a value such as `-1s` is refused as a negative value, and not as an unknown option.
        .allow_hyphen_values(true);
    if spec.kind == Kind::Level {
        return option.action(ArgAction::Append).value_parser(level);
    }
    option.value_parser(reader(spec.kind))
}

pub(super) fn formulas(args: &FormulasArgs) -> ExitCode {
    let inputs = &args.given.0;
    let printed = args.json.as_deref() == Some(Path::new("-"));
    let file = args.json.as_deref().filter(|_| !printed);
    if let Err(code) = outputs::check(&[("--json", file)], &[]) {
        return code;
    }
    if let Some((what, remedy)) = contradiction(inputs) {
        return refuse_text(what, remedy);
    }
    if printed {
        print::text(&document::to_string(inputs));
        return ExitCode::SUCCESS;
    }
    let shown = if inputs.is_empty() {
        terminal::catalogue(width(), color())
    } else {
        terminal::sheet(inputs, width(), color())
    };
    print::text(&shown);
    match file.map(|file| (file, json::write_atomically(file, document::to_string(inputs).as_bytes()))) {
        Some((file, Err(error))) => {
            refuse_text(&format!("{}: {error}", file.display()), "name a file that can be written")
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Inputs that contradict each other, and what to do.
fn contradiction(inputs: &Inputs) -> Option<(&'static str, &'static str)> {
    match (inputs.get(Symbol::Rate), inputs.get(Symbol::Capacity), inputs.get(Symbol::Load)) {
        (Some(_), Some(_), Some(_)) => {
            Some(("--rate, --capacity and --load: any two of them say the third", "leave one of them out"))
        }
        (Some(_), None, Some(0.0)) => {
            Some(("--load 0 with --rate: no capacity follows from these", "give --capacity in place of --load"))
        }
        _ => None,
    }
}

/// Reads a value of this kind in the unit of the formulas.
fn reader(kind: Kind) -> fn(&str) -> Result<f64, String> {
    match kind {
        Kind::Time => time,
        Kind::Rate => |text| units::rate(text).map(units::Rate::per_second).map_err(in_words),
        Kind::Size => |text| units::size(text).map(|bytes| bytes as f64).map_err(in_words),
        Kind::Bandwidth => |text| units::bandwidth(text).map(|bytes| bytes as f64).map_err(in_words),
        Kind::Frequency => frequency,
        Kind::TimePerSize => time_per_size,
        Kind::Count => count,
        Kind::Number | Kind::Level => share,
    }
}

fn in_words(error: UnitError) -> String {
    format!("{}; {}", error.reason, error.remedy)
}

fn time(text: &str) -> Result<f64, String> {
    units::long_duration(text).map(|time| time.as_secs_f64()).map_err(in_words)
}

/// Reads `0.7` or `70%`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.trim().strip_suffix('%').map_or((text.trim(), 1.0), |number| (number.trim_end(), 100.0));
    number_of(number).map(|number| number / scale).ok_or_else(|| "write a number from 0 on, such as 0.7 or 70%".into())
}

/// A decimal number that is finite and not negative. `inf` and `1e3` are refused.
fn number_of(text: &str) -> Option<f64> {
    let decimal = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(['e', 'E']);
    text.parse().ok().filter(|number: &f64| decimal && number.is_finite())
}

fn count(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<u32>().ok().filter(|number| *number > 0);
    number.map(f64::from).ok_or_else(|| format!("write a whole number from 1 to {}", u32::MAX))
}

/// Reads `20/s`, `1/30s`, `2/h`.
fn frequency(text: &str) -> Result<f64, String> {
    let remedy = || "write how many in which time, such as 0.5/s, 1/30s or 2/h".to_owned();
    let (times, per) = text.split_once('/').ok_or_else(remedy)?;
    let times = number_of(times.trim()).ok_or_else(remedy)?;
    match one_or_more(per, time)? {
        0.0 => Err(format!("no time passes in `{per}`; {}", remedy())),
        per => Ok(times / per),
    }
}

/// Reads `5s/GB`, `4ns/B`, `1ms/64KiB`.
fn time_per_size(text: &str) -> Result<f64, String> {
    let remedy = || "write the time for a size, such as 5s/GB or 4ns/B".to_owned();
    let (spent, per) = text.split_once('/').ok_or_else(remedy)?;
    let bytes = one_or_more(per, |per| units::size(per).map(|bytes| bytes as f64).map_err(in_words))?;
    if bytes == 0.0 {
        return Err(format!("there is nothing in `{per}`; {}", remedy()));
    }
    Ok(time(spent)? / bytes)
}

/// A unit without a number counts as one: `s` is `1s`.
fn one_or_more(text: &str, read: impl Fn(&str) -> Result<f64, String>) -> Result<f64, String> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_alphabetic()) { read(&format!("1{text}")) } else { read(text) }
}

/// Reads `10min:3s`.
fn level(text: &str) -> Result<Level, String> {
    let remedy = "write the mean time between failures for which this level is needed and enough, and its cost, such as 10min:3s";
    let (mtbf, cost) = text.split_once(':').ok_or(remedy)?;
    let (mtbf, cost) = (time(mtbf)?, time(cost)?);
    if mtbf == 0.0 {
        return Err(format!("failures all the time; {remedy}"));
    }
    Ok(Level { failure_rate: 1.0 / mtbf, cost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_units() {
        let cases = [
            (Kind::Time, "1m 30s", 90.0),
            (Kind::Rate, "2000/s", 2_000.0),
            (Kind::Size, "10GB", 1e10),
            (Kind::Bandwidth, "1Gbit/s", 125e6),
            (Kind::Frequency, "0.5/s", 0.5),
            (Kind::Frequency, "3/30s", 0.1),
            (Kind::Frequency, "36/h", 0.01),
            (Kind::TimePerSize, "5s/GB", 5e-9),
            (Kind::TimePerSize, "1ms/500kB", 2e-9),
            (Kind::Number, "70%", 0.7),
            (Kind::Number, "0.7", 0.7),
            (Kind::Count, "8", 8.0),
        ];
        for (kind, text, value) in cases {
            assert_eq!(reader(kind)(text), Ok(value), "{text}");
        }
        assert_eq!(level("10min:3s"), Ok(Level { failure_rate: 1.0 / 600.0, cost: 3.0 }));
    }

    #[test]
    fn what_is_no_value_is_refused_with_what_to_write() {
        let cases = [
            (Kind::Time, "5", "has no unit; write a number with its unit"),
            (Kind::Time, "-5s", "cannot be negative"),
            (Kind::Rate, "2000", "write records per second"),
            (Kind::Size, "10", "has no unit"),
            (Kind::Frequency, "20", "such as 0.5/s"),
            (Kind::Frequency, "1/0s", "no time passes"),
            (Kind::Frequency, "x/s", "such as 0.5/s"),
            (Kind::TimePerSize, "5s", "such as 5s/GB"),
            (Kind::TimePerSize, "5s/0B", "there is nothing in `0B`"),
            (Kind::TimePerSize, "5/GB", "has no unit"),
            (Kind::Number, "NaN", "a number from 0 on"),
            (Kind::Number, "inf", "a number from 0 on"),
            (Kind::Number, "-1", "a number from 0 on"),
            (Kind::Number, "1e999", "a number from 0 on"),
            (Kind::Count, "0", "from 1 to 4294967295"),
            (Kind::Count, "1.5", "from 1 to 4294967295"),
        ];
        for (kind, text, reason) in cases {
            let error = reader(kind)(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(level("10min").unwrap_err().contains("such as 10min:3s"));
        assert!(level("0s:3s").unwrap_err().contains("failures all the time"));
        assert!(level("10min:3").unwrap_err().contains("has no unit"));
    }

    #[test]
    fn the_options_make_a_command_line() {
        Given::augment_args(Command::new("formulas")).debug_assert();
    }
}
