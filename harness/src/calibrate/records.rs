//! What records and starts of subtasks cost, from runs of the whole engine: the processor time of this process over the
//! length of the records, and the events of each run.

use std::time::Duration;

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::time::nanos;

use super::cluster::{RealCluster, RealFault};
use super::fit::{Samples, median};
use super::job::{KEYS, builder, spec, wire_bytes};

/// Subtasks of each chain, one on each TaskManager.
const PARALLELISM: u16 = 2;
/// Records of a run that consists only of its start and its end.
const FEW: u64 = 1_000;

/// Records, and starts of subtasks.
pub(super) struct RunSamples {
    /// Processor time of one record through both chains, ns over its KiB on the wire.
    pub(super) records: Vec<Samples>,
    /// Time from the order to deploy until a source ran, in ns.
    pub(super) starts: Vec<f64>,
}

/// Runs `records` records with each of `payloads` bytes, `repetitions` times.
pub(super) fn measure(records: u64, payloads: &[usize], repetitions: usize) -> Result<RunSamples, RealFault> {
    let mut samples = RunSamples { records: Vec::new(), starts: Vec::new() };
    let mut empty = Vec::new();
    for _ in 0..repetitions {
        empty.push(run(FEW, payloads[0], &mut samples.starts)?);
    }
    let empty = median(&empty);
    for payload in payloads {
        let mut y = Vec::new();
        for _ in 0..repetitions {
            let spent = run(records + FEW, *payload, &mut samples.starts)?;
            y.push((spent - empty) / records as f64);
        }
        samples.records.push(Samples { x: wire_bytes(*payload) / 1024.0, y });
    }
    Ok(samples)
}

/// Processor time of a run, in ns.
fn run(records: u64, payload: usize, starts: &mut Vec<f64>) -> Result<f64, RealFault> {
    let before = process_cpu();
    let cluster = RealCluster::start(spec(records, PARALLELISM), builder(payload, KEYS), PARALLELISM, 1)?;
    cluster.finished()?;
    let events = cluster.events();
    drop(cluster);
    starts.extend(starts_in(&events));
    Ok(nanos(process_cpu() - before) as f64)
}

/// Time from the first deployment until each subtask of the first vertex ran. Such a subtask has no state to open and
/// no output to sweep, so this is only the time that the order takes.
fn starts_in(events: &[EventRecord]) -> Vec<f64> {
    let begun = events.iter().find(|record| matches!(record.event, Event::DeploymentBegun { .. }));
    let Some(begun) = begun else { return Vec::new() };
    let running = events
        .iter()
        .filter(|record| matches!(record.event, Event::TaskRunning { subtask, .. } if subtask.vertex.0 == 0));
    running.map(|record| nanos(record.at.since(begun.at)) as f64).collect()
}

/// Processor time of this process so far, all threads.
fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
