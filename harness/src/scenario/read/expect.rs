//! `[expect]`: what must hold for the verdict `passed`.

use toml::de::DeValue;

use super::value::{self, Refusal};
use super::{Reader, Table};
use crate::plan::{Expectations, ExpectedEnd};

/// Reads `[expect]`; a scenario without it expects a finished job with exactly-once output.
pub(in crate::scenario) fn expect(reader: &mut Reader, table: Option<&Table>) -> Expectations {
    let mut expect = Expectations {
        job: ExpectedEnd::Finished,
        exactly_once: true,
        recovers_within: None,
        failovers: None,
        falls_back: None,
        aborted_checkpoints_min: None,
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
    }
    expect
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
    value::word(value, &["exactly-once"], |word| (word == "exactly-once").then_some(()))
}
