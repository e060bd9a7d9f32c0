//! Reads TOML values as the types of the plan. A value of another type or form is refused, with what to write instead.
//!
//! Every function here is a [`Parse`]: it sees one value without its context, and checks only the form. Ranges and
//! names are checked by the rules, because an edited plan must be checked, too.

use std::time::Duration;

use flowquake_engine::config::{NotThousandths, Thousandths};
use toml::de::DeValue;

use crate::reader::suggest;
use crate::units::{self, Rate, UnitError};

/// More nodes, slots or cores than this are a typing mistake, and would only use up the memory.
pub(crate) const NODES_MAX: u32 = 1000;

/// Reads one value.
pub(crate) type Parse<T> = fn(&DeValue) -> Result<T, Refusal>;

/// Why a value is refused.
pub(crate) struct Refusal {
    /// Kind of problem, in kebab-case.
    pub(crate) code: &'static str,
    /// The message, which follows the key: "must be a whole number".
    pub(crate) message: String,
    /// The label under the value.
    pub(crate) label: String,
    /// What to write; `{key}` stands for the key.
    pub(crate) help: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, label: impl Into<String>, help: String) -> Self {
        Self { code, message: message.into(), label: label.into(), help }
    }
}

/// The kind of a value, in words.
pub(crate) fn describe(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Any text.
pub(crate) fn text(value: &DeValue) -> Result<String, Refusal> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let help = format!("write {{key}} = \"{number}\"");
            Err(Refusal::new("wrong-type", "must be text", "this is a number", help))
        }
        other => Err(wrong_type("must be text", other, "write {key} = \"...\"")),
    }
}

/// Text of a form that cannot be made from a number by adding quotes; `help` says what to write instead.
pub(crate) fn formed_text(value: &DeValue, message: &str, help: &str) -> Result<String, Refusal> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(wrong_type(message, other, help)),
    }
}

/// A number of any form, as it was written.
pub(crate) fn number_text(value: &DeValue) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Text that is not empty.
pub(crate) fn non_empty(value: &DeValue) -> Result<String, Refusal> {
    let text = text(value)?;
    if text.trim().is_empty() {
        let help = "write what the reader of a failure should know".to_owned();
        return Err(Refusal::new("empty-text", "must not be empty", "nothing is said here", help));
    }
    Ok(text)
}

/// A scenario's name: `a-z`, `0-9` and single hyphens between them.
pub(crate) fn kebab_case(value: &DeValue) -> Result<String, Refusal> {
    let name = text(value)?;
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if name.split('-').all(word) {
        return Ok(name);
    }
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let better = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    let help = match better.as_str() {
        "" => "write lower-case words joined by hyphens, such as \"sink-dies-before-commit\"".to_owned(),
        better => format!("write {{key}} = \"{better}\", and name the file {better}.toml"),
    };
    Err(Refusal::new("bad-name", "must be lower-case words joined by hyphens", "not kebab-case", help))
}

/// `true` or `false`.
pub(crate) fn boolean(value: &DeValue) -> Result<bool, Refusal> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(wrong_type("must be true or false", other, "write {key} = true or {key} = false, without quotes")),
    }
}

/// A whole number that fits `T`.
fn whole<T: TryFrom<i128>>(value: &DeValue, most: u64) -> Result<T, Refusal> {
    let message = "must be a whole number";
    match value {
        DeValue::Integer(number) => {
            // Read as 128 bits, so that a large number is judged and not cut.
            let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
            read.filter(|read| (0..=i128::from(most)).contains(read))
                .and_then(|read| T::try_from(read).ok())
                .ok_or_else(|| {
                    let (label, help) = match number.as_str().starts_with('-') {
                        true => ("negative", "write a number that is not negative".to_owned()),
                        false => ("too large", format!("write a number up to {most}")),
                    };
                    Refusal::new("out-of-range", message, label, help)
                })
        }
        DeValue::String(text) if text.trim().parse::<u64>().is_ok() => {
            let help = format!("write {{key}} = {}, without quotes", text.trim());
            Err(Refusal::new("wrong-type", message, "this is text", help))
        }
        DeValue::String(text) if thousands(text).is_some() => {
            let number = thousands(text).unwrap_or_default();
            Err(Refusal::new("wrong-type", message, "this is text", format!("write {{key}} = {number}")))
        }
        other => Err(wrong_type(message, other, "write a number such as {key} = 2, without quotes, unit or decimals")),
    }
}

/// `120k` and `1.5M` as TOML writes them: `120_000`, `1_500_000`.
pub(crate) fn thousands(text: &str) -> Option<String> {
    let text = text.trim();
    let (number, zeros) = [('k', 3), ('K', 3), ('m', 6), ('M', 6), ('g', 9), ('G', 9), ('b', 9), ('B', 9)]
        .into_iter()
        .find_map(|(sign, zeros)| Some((text.strip_suffix(sign)?, zeros)))?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > zeros {
        return None;
    }
    let number: u64 = format!("{whole}{decimals:0<zeros$}").replace('_', "").parse().ok()?;
    Some(flowquake_reports::units::count(number).replace(',', "_"))
}

/// A whole number up to 16 bits.
pub(crate) fn whole_u16(value: &DeValue) -> Result<u16, Refusal> {
    whole(value, u16::MAX.into())
}

/// A whole number up to 32 bits.
pub(crate) fn whole_u32(value: &DeValue) -> Result<u32, Refusal> {
    whole(value, u32::MAX.into())
}

/// A number of nodes, or of what a node has, up to a thousand.
pub(crate) fn node_count<T: TryFrom<i128>>(value: &DeValue) -> Result<T, Refusal> {
    whole(value, NODES_MAX.into())
}

/// A whole number up to 63 bits, the most that TOML has.
pub(crate) fn whole_u64(value: &DeValue) -> Result<u64, Refusal> {
    whole(value, i64::MAX as u64)
}

/// A parameter of a job: a text, or a whole number as text.
pub(crate) fn parameter(value: &DeValue) -> Result<String, Refusal> {
    match value {
        DeValue::Integer(_) => whole::<i128>(value, i64::MAX as u64).map(|number| number.to_string()),
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(wrong_type("must be text or a whole number", other, "write {key} = \"10\" or {key} = 10")),
    }
}

/// A number of failovers; `None` for `"unlimited"`.
pub(crate) fn attempts(value: &DeValue) -> Result<Option<u32>, Refusal> {
    match value {
        DeValue::String(text) if text == "unlimited" => Ok(None),
        DeValue::String(text) if text.trim().parse::<u32>().is_err() => {
            let help = "write {key} = 3 or {key} = \"unlimited\"".to_owned();
            Err(Refusal::new("wrong-value", "must be a whole number or \"unlimited\"", "neither of them", help))
        }
        other => whole_u32(other).map(Some),
    }
}

/// A number with at most three decimals.
pub(crate) fn thousandths(value: &DeValue) -> Result<Thousandths, Refusal> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        other => {
            return Err(wrong_type("must be a number", other, "write a number such as {key} = 1.5, without quotes"));
        }
    };
    text.parse().map_err(|error: NotThousandths| {
        let help = "write a number such as {key} = 1.5".to_owned();
        Refusal::new("out-of-range", "must be a number", error.to_string(), help)
    })
}

/// One of a few words; `meaning` maps it to its value.
pub(crate) fn word<T>(value: &DeValue, accepted: &[&str], meaning: impl Fn(&str) -> Option<T>) -> Result<T, Refusal> {
    let DeValue::String(text) = value else {
        let help = format!("accepted: {}", suggest::quoted(accepted));
        return Err(wrong_type("must be one of a few words", value, &help));
    };
    meaning(text).ok_or_else(|| {
        let help = suggest::choose(text, accepted);
        Refusal::new("wrong-value", format!("cannot be `{text}`"), "not one of the accepted words", help)
    })
}

/// A duration with its unit.
pub(crate) fn duration(value: &DeValue) -> Result<Duration, Refusal> {
    let samples = ("\"5s\"", &["s", "ms"][..]);
    with_unit(value, "must be a duration", samples, units::duration)
}

/// A range of durations, or a single duration for both ends.
pub(crate) fn duration_range(value: &DeValue) -> Result<(Duration, Duration), Refusal> {
    let samples = ("\"200us..1ms\" or \"1ms\"", &["ms", "us"][..]);
    with_unit(value, "must be a duration or a range of durations", samples, units::duration_range)
}

/// A number of bytes that fits 64 bits.
pub(crate) fn size(value: &DeValue) -> Result<u64, Refusal> {
    with_unit(value, "must be a size", ("\"64KiB\"", &["B", "KiB"][..]), units::size)
}

/// A number of bytes that fits 32 bits.
pub(crate) fn size_u32(value: &DeValue) -> Result<u32, Refusal> {
    let bytes = size(value)?;
    u32::try_from(bytes).map_err(|_| {
        let help = "write less than 4GiB".to_owned();
        Refusal::new("out-of-range", "must be a smaller size", "too large", help)
    })
}

/// Bytes per second.
pub(crate) fn bandwidth(value: &DeValue) -> Result<u64, Refusal> {
    let samples = ("\"1Gbit/s\" or \"125MB/s\"", &["MB/s", "Mbit/s"][..]);
    with_unit(value, "must be a bandwidth", samples, units::bandwidth)
}

/// Microseconds that a clock gains per second; negative if it loses.
pub(crate) fn drift(value: &DeValue) -> Result<i32, Refusal> {
    with_unit(value, "must be a drift", ("\"50ms/s\" or \"-50ms/s\"", &["ms/s", "us/s"][..]), units::drift)
}

/// Records per second.
pub(crate) fn rate(value: &DeValue) -> Result<Rate, Refusal> {
    with_unit(value, "must be records per second", ("\"2000/s\"", &["/s"][..]), units::rate)
}

/// Text with a unit. A bare number is the most common mistake, so its error offers that number with units.
fn with_unit<T>(
    value: &DeValue,
    message: &str,
    (sample, units): (&str, &[&str]),
    parse: fn(&str) -> Result<T, UnitError>,
) -> Result<T, Refusal> {
    if let DeValue::String(text) = value {
        return parse(text).map_err(|UnitError { reason, remedy }| {
            Refusal::new("bad-unit", format!("{message}, not \"{}\"", text.escape_debug()), reason, remedy)
        });
    }
    let Some(number) = number_text(value) else {
        return Err(wrong_type(message, value, &format!("write {{key}} = {sample}")));
    };
    let offers: Vec<String> = units.iter().map(|unit| format!("{{key}} = \"{number}{unit}\"")).collect();
    let help = format!("write the number with its unit, in quotes: {}", offers.join(" or "));
    Err(Refusal::new("bad-unit", message, "a bare number has no unit", help))
}

fn wrong_type(message: &str, value: &DeValue, help: &str) -> Refusal {
    Refusal::new("wrong-type", message, format!("this is {}", describe(value)), help.to_owned())
}
