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
        // Always judged, so the key only spells out what holds anyway.
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

/// `"< 800ms"`.
fn below(value: &DeValue) -> Result<Duration, Refusal> {
    let refuse = |label: &str| {
        let help = "write what it must stay below: {key} = \"< 800ms\"".to_owned();
        Refusal::new("wrong-value", "must be an upper bound", label, help)
    };
    let text = value::text(value)?;
    let bound = text.strip_prefix('<').ok_or_else(|| refuse("no \"<\" before it"))?;
    let bound = units::duration(bound.trim()).map_err(|_| refuse("no duration behind \"<\""))?;
    if bound.is_zero() { Err(refuse("nothing takes less than no time")) } else { Ok(bound) }
}

/// `"20%"`, as thousandths.
fn percent(value: &DeValue) -> Result<u32, Refusal> {
    let refuse = || {
        let help = "write a share of the time, from 0.1% to 100% in steps of 0.1%, such as {key} = \"20%\"".to_owned();
        Refusal::new("wrong-value", "must be a share", "no share", help)
    };
    permille(&value::text(value)?).ok_or_else(refuse)
}

/// From 0.1 to 100 percent, as thousandths.
fn permille(text: &str) -> Option<u32> {
    let percent: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    let permille = (percent * 10.0).round();
    let is_whole = (percent * 10.0 - permille).abs() < 1e-6;
    ((0.1..=100.0).contains(&percent) && is_whole).then_some(permille as u32)
}

/// `"within 5%"`, as thousandths.
fn within(value: &DeValue) -> Result<u32, Refusal> {
    let refuse = || {
        let help =
            "write {key} = \"within 5%\": how far the measured recovery may be from the predicted one".to_owned();
        Refusal::new("wrong-value", "must be a share", "no share", help)
    };
    let text = value::text(value)?;
    text.strip_prefix("within").and_then(permille).ok_or_else(refuse)
}

fn job_end(value: &DeValue) -> Result<ExpectedEnd, Refusal> {
    let text = value::text(value)?;
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
