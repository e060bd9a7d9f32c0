//! From the record of a run to a point of a curve.

use flowquake_reports::capacity::measured;
use flowquake_reports::record::{CheckpointRecord, RunRecord};
use flowquake_reports::timing::{percentiles, trigger_gaps_ns};
use flowquake_reports::tuning::{Point, Recovered};

use super::Setting;
use super::plan::Planned;

/// What the run of a setting measured.
pub fn point(setting: &Setting, planned: &Planned, record: &RunRecord) -> Point {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mean = |values: &[u64]| mean_of(values.iter().map(|ns| *ns as f64 / 1e9));
    let periodic: Vec<&CheckpointRecord> = record.checkpoints.iter().filter(|c| c.kind == "periodic").collect();
    let durations = percentiles(periodic.iter().filter_map(|checkpoint| checkpoint.duration_ns()));
    let costs: Vec<u64> = periodic.iter().filter_map(|c| c.lost_work_ns()).collect();
    let state = periodic.iter().rev().map(|checkpoint| checkpoint.state_bytes).find(|bytes| *bytes > 0).unwrap_or(0);
    Point {
        interval: setting.interval.as_secs_f64(),
        verdict: record.verdict.label().into(),
        headline: record.verdict.headline(),
        period: mean(&trigger_gaps_ns(record)),
        duration: durations.map(|of| seconds(of.p50)),
        duration_p99: durations.map(|of| seconds(of.p99)),
        cost: mean(&costs),
        state: state as f64,
        // The first one of all wrote everything.
        changed: mean_of(periodic.iter().skip(1).filter_map(|one| one.changed_bytes).map(|bytes| bytes as f64)),
        capacity: mean_of(record.recoveries.iter().filter_map(|recovery| measured(record, recovery))),
        commit: mean(&record.checkpoints.iter().filter_map(CheckpointRecord::commit_ns).collect::<Vec<_>>()),
        recoveries: recoveries(planned, record),
        simulated: seconds(record.totals.virtual_ns),
    }
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// One per failure that struck and was recovered from. A failure that met another recovery is none of its own.
fn recoveries(planned: &Planned, record: &RunRecord) -> Vec<Recovered> {
    let of = |fault: &flowquake_reports::record::FaultRecord| {
        let mut mine = record.recoveries.iter().filter(|recovery| recovery.fault == Some(fault.id));
        let (one, None) = (mine.next()?, mine.next()) else { return None };
        Some(Recovered {
            phase: *planned.phases.get(fault.id as usize - 1)?,
            age: one.snapshot_age_ns as f64 / 1e9,
            outage: one.outage_ns()? as f64 / 1e9,
            state_load: one.parts.map(|parts| parts.restore_ns as f64 / 1e9),
            total: one.total_ns().map(|ns| ns as f64 / 1e9),
        })
    };
    record.faults.iter().filter_map(of).collect()
}
