//! Predicts a checkpoint step by step: which messages, requests and charges are on its critical path.

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::Work;
use flowquake_engine::time::nanos;
use flowquake_reports::record::CheckpointParts;

use super::Known;
use super::spread::mean_of_largest;
use super::state::Snapshot;

/// Bytes of a short line of output.
const LINE: f64 = 8.0;

/// The parts of a checkpoint that stores this snapshot, `epoch_ns` after the one before. Each part is the expected
/// maximum over the subtasks.
pub(super) fn parts(known: &Known, snapshot: Snapshot, epoch_ns: u64) -> CheckpointParts {
    let bytes = snapshot.bytes;
    let (cluster, config) = (&known.plan.cluster, &known.plan.job.config);
    let p = known.parallelism();
    let (hop, store) = (cluster.latency, cluster.store_latency);
    // To the source, and on to the keyed subtask: the slowest channel into a subtask decides, and then the slowest
    // subtask.
    let barrier = mean_of_largest(1, &[hop]);
    let aligned = mean_of_largest(p, &[hop, hop]);
    // Upload and reading back; the sinks' output uses the same path at the same time.
    let on_node = known.on_the_way(bytes / f64::from(p));
    let (write, read) = (cluster.store_throughput as f64, cluster.store_read_throughput as f64);
    let stored = if config.backend == BackendKind::Memory { 0.0 } else { on_node };
    // Output that the sinks had not written yet; they write what has waited for this long.
    let flush_ns = nanos(config.sink_flush_interval).max(1);
    let unwritten_ns = (epoch_ns % flush_ns) as f64;
    let output = |ns: f64| {
        let bytes = known.rate().map_or(0.0, |rate| rate * ns / 1e9 * (known.model.output_bytes)(&known.spec));
        known.on_the_way(bytes / f64::from(p))
    };
    // What they wrote last may still be on its way, and the snapshot waits for it.
    let written = if epoch_ns < flush_ns { 0.0 } else { output(flush_ns as f64) };
    let behind = (written * known.seconds_per_stored_byte() - unwritten_ns / 1e9).max(0.0);
    let output = output(unwritten_ns);
    let seconds = (stored + output) * known.seconds_per_stored_byte();
    let seconds = seconds.max(behind);
    let requests = 1 + usize::from(config.checkpoints.verify_uploads);
    let moving = output / known.plan.cluster.record_weight as f64;
    let waiting = match config.backend {
        // Without output to write there is nothing to wait for.
        BackendKind::Memory if moving < LINE => 0.0,
        _ => mean_of_largest(p, &vec![store; requests * snapshot.rounds.max(1)]),
    };
    let inline = if config.backend == BackendKind::Memory { bytes } else { 0.0 };
    // Manifest and log entry, each written and read back.
    let of_one = |bytes: f64| (bytes / f64::from(p)) as u64;
    let backend = config.backend;
    let read_back = known.queued(Work::ReadBack { backend, bytes: of_one(snapshot.read_back) }, known.busiest());
    let encoded = known.queued(Work::Inline { bytes: of_one(inline) }, known.busiest());
    // State is taken out of the acknowledgements and put into the manifest by one task.
    let sealed = known.queued(Work::Inline { bytes: 2 * inline as u64 }, 1);
    let finalise = mean_of_largest(1, &[store; 4]) + (inline / write + inline / read) * 1e9 + sealed as f64;
    let ack = mean_of_largest(1, &[hop])
        + inline / f64::from(p) * f64::from(known.busiest()) / cluster.bandwidth as f64 * 1e9;
    let whole = |ns: f64| ns as u64;
    CheckpointParts {
        barrier_ns: whole(barrier),
        alignment_ns: whole(aligned - barrier),
        sync_ns: whole(lost_work(known, snapshot)),
        async_ns: whole(waiting + seconds * 1e9) + read_back + encoded,
        ack_ns: whole(ack),
        finalise_ns: whole(finalise),
    }
}

/// Work that one checkpoint takes from the records, c, in ns. This is the synchronous part, which alone holds records
/// up, of the last subtask on the busiest machine, because subtasks queue for its cores.
pub(super) fn lost_work(known: &Known, snapshot: Snapshot) -> f64 {
    let backend = known.plan.job.config.backend;
    let written = (snapshot.written * (1.0 / f64::from(known.parallelism()))).into();
    known.queued(Work::Snapshot { backend, written }, known.busiest()) as f64
}
