//! What a database costs before it holds any data, measured in runs: how long the keyed subtasks of a real cluster take
//! for a snapshot and for a restore of hardly any state. Nearly all of that is waiting for the disk, so it depends on
//! what else is written at the same moment: alone, a flush takes half as long as during a checkpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::{InputSpec, JobSpec};
use flowquake_engine::time::{Time, nanos};

use super::cluster::{RealCluster, RealFault};
use super::job::{builder, spec};

/// Subtasks of each chain, and number of TaskManagers. Each TaskManager has slots for all subtasks, so no deployment
/// waits for one that died.
const PARALLELISM: u16 = 2;
/// Records per second; enough to keep the subtasks awake.
const RATE: f64 = 100_000.0;
/// Different keys. A snapshot writes no more entries than this.
const KEYS: u64 = 100;
/// Time between two checkpoints.
const INTERVAL: Duration = Duration::from_millis(500);
/// Snapshots of each subtask before a TaskManager is killed.
const SNAPSHOTS: usize = 5;
/// The chain with state, of the job's two chains.
const KEYED: u16 = 1;

/// Snapshots and restores of hardly any state, in ns.
#[derive(Default)]
pub(super) struct FixedSamples {
    /// The synchronous part.
    pub(super) snapshots: Vec<f64>,
    /// From the start of a subtask until its state is open and its sink has looked for leftovers.
    pub(super) restores: Vec<f64>,
}

/// Runs until there are at least `repetitions` snapshots and half as many restores.
pub(super) fn measure(backend: BackendKind, repetitions: usize) -> Result<FixedSamples, RealFault> {
    let mut cluster = RealCluster::start(slow(backend), builder(0, KEYS), PARALLELISM, PARALLELISM)?;
    let both = usize::from(PARALLELISM);
    for death in 1..=repetitions.div_ceil(2 * both) {
        cluster.until("checkpoints", |events| {
            (samples(events).snapshots.len() >= death * both * SNAPSHOTS).then_some(())
        })?;
        let name = format!("tm-{}", 1 + death % both);
        cluster.kill(&name);
        cluster.until("a recovery", |events| (samples(events).restores.len() >= death * both).then_some(()))?;
        cluster.start_task_manager(&name)?;
    }
    Ok(samples(&cluster.events()))
}

fn slow(backend: BackendKind) -> JobSpec {
    let mut spec = spec(u64::MAX / 4, PARALLELISM);
    spec.input.period_fs = InputSpec::period_of(Some(RATE));
    spec.config.backend = backend;
    spec.config.restart_delay = Duration::ZERO;
    spec.config.checkpoints.interval = INTERVAL;
    spec
}

fn samples(events: &[EventRecord]) -> FixedSamples {
    let mut begun: BTreeMap<(bool, u32, u16, u64), Time> = BTreeMap::new();
    let mut samples = FixedSamples::default();
    for EventRecord { at, event, .. } in events {
        match event {
            Event::SnapshotSyncBegun { attempt, subtask, checkpoint } if subtask.vertex.0 == KEYED => {
                begun.insert((true, attempt.0, subtask.index, checkpoint.0), *at);
            }
            Event::SnapshotSyncEnded { attempt, subtask, checkpoint, .. } if subtask.vertex.0 == KEYED => {
                let began = begun.get(&(true, attempt.0, subtask.index, checkpoint.0));
                samples.snapshots.extend(began.map(|began| nanos(at.since(*began)) as f64));
            }
            // Without a checkpoint there is nothing to restore.
            Event::RestoreBegun { attempt, subtask, checkpoint: Some(_), .. } if subtask.vertex.0 == KEYED => {
                begun.insert((false, attempt.0, subtask.index, 0), *at);
            }
            Event::RestoreEnded { attempt, subtask, .. } if subtask.vertex.0 == KEYED => {
                let began = begun.get(&(false, attempt.0, subtask.index, 0));
                samples.restores.extend(began.map(|began| nanos(at.since(*began)) as f64));
            }
            _ => {}
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_and_restores_come_from_a_real_cluster_that_fails() {
        let samples = measure(BackendKind::Fs, 4).unwrap();
        assert!(samples.snapshots.len() >= 2 * SNAPSHOTS && samples.restores.len() >= 2);
        assert!(samples.snapshots.iter().chain(&samples.restores).all(|ns| *ns > 0.0));
    }
}
