//! `poison-record`: user code fails whenever it is given one record, on any node, in any attempt.

use flowquake_reports::units::noun_for;

use crate::checker::{Finding, Rules};
use crate::draws::{Action, Drawn, Need, TASKS};
use crate::faults::canonical::{Canon, Canonical, Place};
use crate::faults::spec::{Class, Family, Spec, foreign, may, must, no_lengths};
use crate::nemesis::{Armed, Harm, Striking, Struck, TASK_MANAGER, Watched};
use crate::plan::{FaultAction, InputSource};
use crate::reader::{FaultKeys, value};
use crate::writer::pair;

pub(crate) const POISON_RECORD: Spec = Spec {
    name: "poison-record",
    family: Family::Process,
    effect: "user code fails whenever it is given this record",
    classes: &[Class::Masked, Class::FailedLoudly],
    roles: &[TASK_MANAGER],
    params: &[must("split", "number"), must("position", "number"), may("times", "number")],
    read,
    write,
    rules,
    lengths: no_lengths,
    canonical,
    drawn: Drawn::new(Need::GeneratedInput, TASKS, drawn),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let help = "say in which split the record stands: split = 0";
    let split = keys.must("split", "poison.split", help, value::whole_u32);
    let help = "say where in its split the record stands, from 0: position = 1000";
    let position = keys.must("position", "poison.position", help, value::whole_u64);
    let times = keys.may("times", "poison.times", value::whole_u32);
    Some(FaultAction::Poison { split: split?, position: position?, times })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Poison { split, position, times } = action else { foreign(action) };
    vec![Some(pair("split", split)), Some(pair("position", position)), times.map(|times| pair("times", times))]
}

/// The record must be one that the job reads.
fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Poison { split, position, times } = action else { foreign(action) };
    let (split, position) = (*split, *position);
    if let Some(times) = times {
        rules.at_least((*times).into(), 1, "poison.times", "no record would fail");
    }
    let splits = rules.plan.job.input.splits;
    if split >= splits {
        let message = format!("there is no split {split}: the input has {splits}");
        let help = format!("splits are numbered from 0 to {}", splits.saturating_sub(1));
        let finding = Finding::new("no-such-record", message, help).at(rules.at("poison.split"), "no such split");
        rules.push(finding.given("job.input"));
        return;
    }
    let records = match &rules.plan.job.input.source {
        InputSource::Generator { records, .. } => Some(*records),
        InputSource::File { .. } => rules.lines,
    };
    // Record `i` belongs to split `i mod splits`.
    let held = records.map(|records| records.saturating_sub(split.into()).div_ceil(splits.into()));
    if let Some(held) = held.filter(|held| position >= *held) {
        let message =
            format!("split {split} has {held} {}, so none at position {position}", noun_for(held as usize, "record"));
        let help = format!("positions count from 0 to {}", held.saturating_sub(1));
        let finding = Finding::new("no-such-record", message, help).at(rules.at("poison.position"), "beyond the end");
        rules.push(finding.given("job.input").given(rules.at("poison.split")));
    }
}

/// Draws a record that has not been read yet when the faults begin.
fn drawn(a: &Action) -> FaultAction {
    let input = &a.scene.plan.job.input;
    let splits = u64::from(input.splits.max(1));
    // As many records as have arrived at a drawn moment; without a rate all have arrived from the start.
    let all = a.scene.records().unwrap_or(1);
    let arrived = input.rate.map_or(all, |rate| (rate * a.scene.moment(a.draws).as_secs_f64()) as u64);
    let split = a.draws.number("split", 0, splits - 1);
    let position = (arrived.min(all) / splits).min((all / splits).saturating_sub(1));
    FaultAction::Poison { split: split as u32, position, times: Some(a.draws.number("count", 1, 3) as u32) }
}

/// A record from the middle of the input; it fails in the first and in the second attempt.
fn canonical(c: &Canon) -> Vec<Canonical> {
    let input = &c.plan.job.input;
    let InputSource::Generator { records, .. } = input.source else { return Vec::new() };
    let per_split = records / u64::from(input.splits.max(1));
    if c.place != Place::Run || per_split == 0 {
        return Vec::new();
    }
    let poison = |times| FaultAction::Poison { split: 0, position: per_split / 2, times: Some(times) };
    let strike = |label, times| Canonical::on(TASK_MANAGER, label, poison(times)).lasting();
    vec![strike("once", 1), strike("twice in a row", 2)]
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Poison { split, position, times } = action else { foreign(action) };
    let armed = Armed::OnRecord(*split, *position);
    let (target, detail) = (format!("record {position} of split {split}"), "user code failed on it".to_owned());
    let watched = Watched::new(s.blow, armed, TASK_MANAGER, target, detail).harming(Harm::RecordsRefused);
    s.nemesis.watch(watched.at_most(*times));
    s.nemesis.user_code.poison(*split, *position, *times);
    Ok(())
}
