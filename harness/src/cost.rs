//! Estimates from a plan alone what its run will cost, so that a plan that would run for days is refused before it
//! begins.
//!
//! Start at [`estimate`]: the number of things that are due in the virtual time that the job needs if nothing goes
//! wrong ([`expected`]), times what each took in the runs of the shipped scenarios ([`priced`]; optimised crates, two
//! cores). The estimate should be right within a factor of three. If something goes wrong a run may cost more, and then
//! its watchdog ends it. A test compares the counts with those of every shipped scenario's run
//! (`scenarios/tests/costs.rs`); benches/README.md says how good the prices are.

use std::time::Duration;

use flowquake_engine::config::BackendKind;

use crate::plan::{InputSource, RunPlan, Trigger};

/// Assumed bytes of a line, where lines were not counted.
const LINE_BYTES: u64 = 20;

/// Processor time of a run, in parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// What takes the time, and how many seconds; the largest part first.
    pub parts: Vec<(String, f64)>,
}

impl Cost {
    /// Total in seconds.
    pub fn seconds(&self) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum()
    }
}

/// The things in a run that cost processor time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Records that sources read.
    pub records: f64,
    /// Checkpoints that are triggered.
    pub checkpoints: f64,
    /// Heartbeat requests.
    pub heartbeats: f64,
    /// How often sinks look for output to write.
    pub flushes: f64,
}

/// Roughly what the run of a plan costs.
pub fn estimate(plan: &RunPlan) -> Cost {
    let mut cost = priced(plan, &expected(plan));
    for fault in &plan.faults {
        if let Trigger::Every { period, .. } = fault.trigger {
            let strikes = (length(plan) / period.as_secs_f64().max(1e-9)).min(fault.repeat.into());
            cost.parts.push((format!("{strikes:.0} strikes of fault {}", fault.id), strikes * 1e-3));
        }
    }
    cost.parts.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    cost
}

/// Records of a plan's input.
fn records(plan: &RunPlan) -> f64 {
    let records = match &plan.job.input.source {
        InputSource::Generator { records, .. } => *records,
        InputSource::File { path, repeat } => {
            let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
            (bytes / LINE_BYTES).max(1).saturating_mul((*repeat).into())
        }
    };
    records as f64
}

/// Virtual seconds that the job of a plan takes if nothing goes wrong.
fn length(plan: &RunPlan) -> f64 {
    let arrival = plan.job.input.rate.map_or(0.0, |rate| records(plan) / rate.max(1e-9));
    arrival.max(1.0).min(plan.time_limit.as_secs_f64())
}

/// What is due in a run in which nothing goes wrong.
pub fn expected(plan: &RunPlan) -> Counts {
    let (config, cluster) = (&plan.job.config, &plan.cluster);
    let times = |every: Duration| length(plan) / every.as_secs_f64().max(1e-9);
    let nodes = f64::from(cluster.task_managers) * f64::from(cluster.job_managers.max(1));
    Counts {
        records: records(plan),
        checkpoints: times(config.checkpoints.interval.max(config.checkpoints.min_pause)),
        heartbeats: times(config.heartbeat_interval) * nodes,
        flushes: times(config.sink_flush_interval) * f64::from(config.parallelism),
    }
}

/// What these counts cost in a run of this plan, the most expensive part first.
pub fn priced(plan: &RunPlan, counts: &Counts) -> Cost {
    let config = &plan.job.config;
    let subtasks = f64::from(config.parallelism);
    let per_checkpoint = match config.backend {
        BackendKind::RocksDb => 1e-3,
        _ => 8e-5,
    };
    let Counts { records, checkpoints, heartbeats, flushes } = *counts;
    let mut parts = vec![
        (format!("{records:.0} records"), records * 1.2e-6),
        (format!("{checkpoints:.0} checkpoints"), checkpoints * per_checkpoint * subtasks),
        (format!("{heartbeats:.0} heartbeats"), heartbeats * 2e-5),
        (format!("{flushes:.0} times that sinks look for output to write"), flushes * 5e-6),
    ];
    parts.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    Cost { parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::plan;

    #[test]
    fn the_largest_part_is_named_first() {
        let mut dear = plan();
        let cheap = estimate(&dear).seconds();
        assert!(cheap < 60.0, "{cheap}");
        dear.job.input.source = InputSource::Generator { name: "words".into(), records: 10_000_000_000 };
        dear.job.input.rate = None;
        let cost = estimate(&dear);
        assert_eq!(cost.parts[0].0, "10000000000 records");
        assert!(cost.seconds() > 10_000.0);
    }

    #[test]
    fn a_year_of_short_intervals_is_dear() {
        let mut year = plan();
        let seconds = 365.0 * 24.0 * 3600.0;
        year.job.input.source = InputSource::Generator { name: "words".into(), records: 31_536_000 };
        year.job.input.rate = Some(31_536_000.0 / seconds);
        year.time_limit = Duration::from_secs_f64(seconds);
        year.job.config.checkpoints.interval = Duration::from_millis(10);
        let cost = estimate(&year);
        assert!(cost.parts[0].0.ends_with("checkpoints") && cost.seconds() > 100_000.0, "{cost:?}");
        // The run is stopped at its time limit.
        year.time_limit = Duration::from_secs(1);
        assert!(estimate(&year).seconds() < 200.0);
    }
}
