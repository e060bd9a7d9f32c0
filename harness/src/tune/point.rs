//! Turns the record of a run into a point of a curve.

use flowquake_engine::time::nanos;
use flowquake_reports::capacity::measured;
use flowquake_reports::record::{CheckpointRecord, FaultRecord, RunRecord};
use flowquake_reports::timing::{DueTrigger, due_triggers, percentiles};
use flowquake_reports::tuning::{Point, Recovered};

use super::Setting;
use super::plan::Planned;

/// What the run of a setting measured, after its state had its full size.
pub fn point(setting: &Setting, planned: &Planned, record: &RunRecord) -> Point {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mean = |values: &mut dyn Iterator<Item = u64>| mean_of(values.map(seconds));
    let is_steady = |checkpoint: &CheckpointRecord| checkpoint.triggered_at_ns >= nanos(planned.warm_up);
    let all = || record.checkpoints.iter().filter(|checkpoint| checkpoint.kind == "periodic");
    let periodic: Vec<&CheckpointRecord> = all().filter(|checkpoint| is_steady(checkpoint)).collect();
    // The very first checkpoint wrote everything.
    let new = all().filter_map(|one| Some((one, one.new_bytes?))).skip(1).filter(|(one, _)| is_steady(one));
    let durations = percentiles(periodic.iter().filter_map(|checkpoint| checkpoint.duration_ns()));
    let state = periodic.iter().rev().map(|checkpoint| checkpoint.state_bytes).find(|bytes| *bytes > 0).unwrap_or(0);
    let due = due_triggers(&record.checkpoints, &record.settings);
    let period = mean(&mut due.iter().filter(|due| is_steady(due.before)).map(DueTrigger::gap_ns));
    Point {
        interval: setting.interval.as_secs_f64(),
        verdict: record.verdict.label().into(),
        headline: record.verdict.headline(),
        period,
        duration: durations.map(|of| seconds(of.p50)),
        duration_p99: durations.map(|of| seconds(of.p99)),
        cost: mean(&mut periodic.iter().filter_map(|checkpoint| checkpoint.lost_work_ns())),
        state: state as f64,
        new_bytes: mean_of(new.map(|(_, bytes)| bytes as f64)),
        capacity: mean_of(record.recoveries.iter().filter_map(|recovery| measured(record, recovery))),
        commit: mean(&mut periodic.iter().filter_map(|checkpoint| checkpoint.commit_ns())),
        recoveries: recoveries(record, period),
        simulated: seconds(record.totals.virtual_ns),
    }
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// One entry for each failure that struck and was recovered from. A failure during another outage has none of its own.
fn recoveries(record: &RunRecord, period: Option<f64>) -> Vec<Recovered> {
    let of = |fault: &FaultRecord| {
        let mut mine = record.recoveries.iter().filter(|one| one.fault == Some(fault.id) && !one.is_stall());
        let (one, None) = (mine.next()?, mine.next()) else { return None };
        if !one.other_faults.is_empty() {
            return None;
        }
        let struck = fault.struck_at_ns?;
        let triggers = record.checkpoints.iter().map(|checkpoint| checkpoint.triggered_at_ns);
        let since = struck - triggers.filter(|trigger| *trigger <= struck).max()?;
        Some(Recovered {
            phase: (since as f64 / 1e9 / period?).min(1.0),
            age: one.snapshot_age_ns as f64 / 1e9,
            outage: one.outage_ns()? as f64 / 1e9,
            state_load: one.parts.map(|parts| parts.restore_ns as f64 / 1e9),
            total: one.total_ns().map(|ns| ns as f64 / 1e9),
        })
    };
    record.faults.iter().filter_map(of).collect()
}
