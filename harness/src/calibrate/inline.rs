//! What state in a message costs: a manifest that contains state of several sizes is encoded and decoded as the engine
//! does it, with its checksum. Acknowledgements and deployment orders are made of the same parts.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{DecodeError, Manifest, StateFile, StatePlace, SubtaskState};
use flowquake_engine::env::Checksum;
use flowquake_engine::ids::{Attempt, CheckpointId, SubtaskId, Term, VertexId};
use flowquake_engine::state::heap_file;
use flowquake_engine::time::Time;

use super::at_once::{at_once, pooled};
use super::fit::Samples;
use super::job::spec;

/// Encodes and decodes state of each of `sizes` bytes, `repetitions` times, on several nodes at once. Returns the ns of
/// one encoding or decoding over KiB.
pub(super) fn measure(sizes: &[u64], repetitions: usize) -> Result<Vec<Samples>, DecodeError> {
    Ok(pooled(at_once(|_| sizes.iter().map(|size| of_one_node(*size, repetitions)).collect())?))
}

fn of_one_node(size: u64, repetitions: usize) -> Result<Samples, DecodeError> {
    let manifest = manifest(size);
    let mut y = Vec::new();
    for _ in 0..repetitions {
        let began = Instant::now();
        let bytes = manifest.encode();
        black_box(Manifest::decode(&bytes, "calibration")?);
        y.push(began.elapsed().as_nanos() as f64 / 2.0);
    }
    Ok(Samples { x: size as f64 / 1024.0, y })
}

fn manifest(size: u64) -> Manifest {
    let bytes = Bytes::from(vec![7; size as usize]);
    let checksum = Checksum::of(&bytes);
    let file = StateFile { name: heap_file(), place: StatePlace::Inline(bytes), checksum };
    let state = SubtaskState { files: vec![file], ..SubtaskState::default() };
    Manifest {
        checkpoint: CheckpointId(1),
        attempt: Attempt(1),
        term: Term(1),
        job: spec(0, 1),
        start: Time::ZERO,
        triggered_at: Time::ZERO,
        subtasks: BTreeMap::from([(SubtaskId { vertex: VertexId(1), index: 0 }, state)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_has_the_stated_size() {
        assert_eq!(manifest(5_000).inline_bytes(), 5_000);
        let samples = measure(&[0, 1 << 20], 3).unwrap();
        assert_eq!(samples.iter().map(|samples| samples.x).collect::<Vec<_>>(), [0.0, 1024.0]);
    }
}
