//! `[expect]`: what must hold for the verdict `passed`.

use std::time::Duration;

use toml::de::DeValue;

use super::{Reader, Table};
use crate::plan::{Expectations, ExpectedEnd, TimingBounds};
use crate::reader::{Refusal, value};
use crate::units;

/// What `output` may say.
pub(super) const OUTPUTS: [&str; 1] = ["exactly-once"];

/// Reads `[expect]`; a scenario without it expects a finished job with exactly-once output.
pub(in crate::scenario) fn expect(reader: &mut Reader, table: Option<&Table>) -> Expectations {
    let mut expect = Expectations {
        job: ExpectedEnd::Finished,
        exactly_once: true,
        recovers_within: None,
        failovers: None,
        falls_back: None,
        aborted_checkpoints_min: None,
        timing: TimingBounds::default(),
    };
    if table.is_none_or(|table| table.get("job").is_none()) {
        reader.options.push(("expected end".to_owned(), "finished (default)".to_owned()));
    }
    if let Some(table) = table {
        expect.job = reader.read(table, "job", "expect.job", job_end).unwrap_or(ExpectedEnd::Finished);
        // Exactly-once is always judged, so this key only states what holds anyway.
        let _: Option<()> = reader.read(table, "output", "expect.exactly_once", output);
        expect.recovers_within = reader.read(table, "recovers_within", "expect.recovers_within", value::duration);
        expect.failovers = reader.read(table, "failovers", "expect.failovers", value::whole_u32);
        expect.falls_back = reader.read(table, "falls_back", "expect.falls_back", value::boolean);
        let path = "expect.aborted_checkpoints_min";
        expect.aborted_checkpoints_min = reader.read(table, "aborted_checkpoints_min", path, value::whole_u32);
        expect.timing = timing(reader, table);
    }
    expect
}

fn timing(reader: &mut Reader, table: &Table) -> TimingBounds {
    macro_rules! read {
        ($key:ident) => {
            reader.read(table, stringify!($key), concat!("expect.timing.", stringify!($key)), below)
        };
    }
    let permille = "expect.timing.recovery_prediction_permille";
    TimingBounds {
        checkpoint_duration_p50: read!(checkpoint_duration_p50),
        checkpoint_duration_p99: read!(checkpoint_duration_p99),
        checkpoint_duration_max: read!(checkpoint_duration_max),
        outage_max: read!(outage_max),
        recovery_max: read!(recovery_max),
        lateness_max: read!(lateness_max),
        backpressure_min_permille: reader.read(
            table,
            "backpressure_min",
            "expect.timing.backpressure_min_permille",
            percent,
        ),
        recovery_prediction_permille: reader.read(table, "recovery_prediction", permille, within),
    }
}

/// Reads `"< 800ms"`.
fn below(value: &DeValue) -> Result<Duration, Refusal> {
    const MESSAGE: &str = "must be an upper bound";
    const HELP: &str = "write what it must stay below: {key} = \"< 800ms\"";
    let refuse = |label: &str| Refusal::new("wrong-value", MESSAGE, label, HELP.to_owned());
    if let Some(number) = value::number_text(value) {
        let help = format!(
            "write what it must stay below, with its unit: {{key}} = \"< {number}s\" or {{key}} = \"< {number}ms\""
        );
        return Err(Refusal::new("bad-unit", MESSAGE, "a bare number has no unit", help));
    }
    let text = value::formed_text(value, MESSAGE, HELP)?;
    let bound = text.strip_prefix('<').ok_or_else(|| match units::duration(text.trim()) {
        Ok(_) => {
            let help = format!("write what it must stay below: {{key}} = \"< {}\"", text.trim());
            Refusal::new("wrong-value", MESSAGE, "no \"<\" before it", help)
        }
        Err(_) => refuse("no \"<\" before it"),
    })?;
    let bound = units::duration(bound.trim()).map_err(|_| refuse("no duration behind \"<\""))?;
    if bound.is_zero() { Err(refuse("nothing takes less than no time")) } else { Ok(bound) }
}

/// Reads `"20%"` as thousandths.
fn percent(value: &DeValue) -> Result<u32, Refusal> {
    share(value, "", "a share of the time, from 0.1% to 100% in steps of 0.1%, such as {key} = \"20%\"")
}

/// A share after a word. The most common mistake is a number without the percent sign, so the remedy offers that number
/// with the sign.
fn share(value: &DeValue, word: &str, what: &str) -> Result<u32, Refusal> {
    const MESSAGE: &str = "must be a share";
    let (label, bare) = match (value, value::number_text(value)) {
        (DeValue::String(text), _) => {
            let text = text.trim();
            let behind = text.strip_prefix(word).map(str::trim);
            if let Some(permille) = behind.and_then(permille) {
                return Ok(permille);
            }
            let bare = behind.unwrap_or(text);
            ("no share".to_owned(), Some(bare.strip_suffix('%').unwrap_or(bare).trim().to_owned()))
        }
        (_, Some(number)) => ("a bare number is no share".to_owned(), Some(number)),
        (other, None) => (format!("this is {}", value::describe(other)), None),
    };
    let space = if word.is_empty() { "" } else { " " };
    let offers = bare.map_or_else(Vec::new, |number| {
        // `0.2` can mean a fifth of the whole, or a fifth of a percent.
        let of_one = number.parse().ok().filter(|share: &f64| *share <= 1.0);
        let of_one = of_one.map(|share| format!("{}%", (share * 1_000.0).round() / 10.0));
        of_one.into_iter().chain([format!("{number}%")]).filter(|text| permille(text).is_some()).collect()
    });
    let offers: Vec<String> = offers.iter().map(|offer| format!("{{key}} = \"{word}{space}{offer}\"")).collect();
    let help = if offers.is_empty() { format!("write {what}") } else { format!("write {}", offers.join(" or ")) };
    Err(Refusal::new("wrong-value", MESSAGE, label, help))
}

/// From 0.1 to 100 percent, as thousandths.
fn permille(text: &str) -> Option<u32> {
    let percent = text.strip_suffix('%')?.trim_end();
    let (whole, tenths) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // After the first decimal only zeros are allowed, so that thousandths are exact.
    let tenths = Some(tenths).filter(|tenths| digits(tenths))?.trim_end_matches('0');
    let tenths = if tenths.is_empty() { 0 } else { Some(tenths).filter(|tenths| tenths.len() == 1)?.parse().ok()? };
    let whole: u32 = Some(whole).filter(|whole| digits(whole))?.parse().ok()?;
    let permille: u32 = whole.checked_mul(10)?.checked_add(tenths)?;
    (1..=1_000).contains(&permille).then_some(permille)
}

/// Reads `"within 5%"` as thousandths.
fn within(value: &DeValue) -> Result<u32, Refusal> {
    share(value, "within", "{key} = \"within 5%\": how far the measured recovery may be from the predicted one")
}

fn job_end(value: &DeValue) -> Result<ExpectedEnd, Refusal> {
    let help = "write {key} = \"finished\", or {key} = \"failed(<part of the reason>)\"";
    let text = value::formed_text(value, "must say how the job ends", help)?;
    let reason = |prefix| text.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix(')')).map(str::trim);
    match (text.as_str(), reason("failed("), reason("finished-or-failed(")) {
        ("finished", ..) => Ok(ExpectedEnd::Finished),
        (_, Some(reason), _) => Ok(ExpectedEnd::Failed(reason.to_owned())),
        (.., Some(reason)) => Ok(ExpectedEnd::FinishedOrFailed(reason.to_owned())),
        _ => {
            let help = "write {key} = \"finished\", or {key} = \"failed(<part of the reason>)\": a loud failure is legal \
                        only where its reason is expected; after damage that may or may not matter, \
                        {key} = \"finished-or-failed(<part of the reason>)\"";
            Err(Refusal::new("wrong-value", format!("cannot be `{text}`"), "no such end", help.to_owned()))
        }
    }
}

fn output(value: &DeValue) -> Result<(), Refusal> {
    value::word(value, &OUTPUTS, |word| OUTPUTS.contains(&word).then_some(()))
}
