//! The job that prices records: two chains like every job, records of any length, a count per key, and hardly any
//! output.

use std::sync::Arc;

use bytes::Bytes;
use flowquake_engine::codec::encoded;
use flowquake_engine::config::{CheckpointConfig, JobConfig};
use flowquake_engine::env::{draw, draw_between};
use flowquake_engine::graph::chain::{ChainError, Emit, Link, ProcessFunction};
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, InputSpec, JobBuilder, JobSpec};
use flowquake_engine::state::{CurrentKey, StateError, StateOpener, ValueState};

/// Number of different keys, where nothing depends on that number.
pub(super) const KEYS: u64 = 10_000;
/// One in this many counts of a key is put out.
const EMIT_EVERY: u64 = 1_000;

/// Records of one length.
struct Records {
    records: u64,
    keys: u64,
    payload: Bytes,
}

/// A key with its payload.
type Record = (u32, Bytes);

impl Source for Records {
    type Out = Record;

    fn len(&self) -> u64 {
        self.records
    }

    fn record(&self, index: u64) -> Record {
        (draw_between(draw(1, "calibrate", 0, index), 0, self.keys - 1) as u32, self.payload.clone())
    }
}

#[derive(Clone)]
struct Count;

impl ProcessFunction for Count {
    type Key = u32;
    type In = Record;
    type Out = (u32, u64);
    type State = ValueState<u32, u64>;

    fn open(&self, states: &mut StateOpener<'_>) -> Result<Self::State, StateError> {
        states.value_state("count")
    }

    fn process(
        &mut self,
        key: &CurrentKey<u32>,
        _: Record,
        count: &mut Self::State,
        out: &mut Emit<impl Link<(u32, u64)>>,
    ) -> Result<(), ChainError> {
        let count = 1 + count.replace(key, |old| old.copied().unwrap_or(0) + 1)?.unwrap_or(0);
        if count.is_multiple_of(EMIT_EVERY) { out.emit((key.key, count)) } else { Ok(()) }
    }
}

/// Mean bytes on the wire of a record with `payload` bytes besides its key.
pub(super) fn wire_bytes(payload: usize) -> f64 {
    encoded(&(KEYS as u32 / 2, Bytes::from(vec![0; payload]))).len() as f64
}

/// Builds the job with this many keys.
pub(super) fn builder(payload: usize, keys: u64) -> JobBuilder {
    Arc::new(move |spec, _| {
        let InputKind::Generator { records, .. } = spec.input.kind else {
            unreachable!("the calibration makes the job's input itself: see `spec`")
        };
        let job = StreamBuilder::new();
        job.source("records", Records { records, keys, payload: vec![7; payload].into() })
            .key_by(|record: &Record| record.0)
            .process(Count)
            .sink("counts", |(key, count): &(u32, u64), out| {
                use std::io::Write;
                writeln!(out, "{key} {count}").expect("a vector takes everything");
            });
        Ok(job.build())
    })
}

/// A job whose `records` are all available at once, with `parallelism` subtasks of each chain.
pub(super) fn spec(records: u64, parallelism: u16) -> JobSpec {
    let kind = InputKind::Generator { name: "records".into(), records, seed: 1 };
    let checkpoints = CheckpointConfig { interval: std::time::Duration::from_secs(60), ..CheckpointConfig::default() };
    JobSpec {
        program: "calibrate".into(),
        params: Default::default(),
        input: InputSpec { kind, splits: parallelism.into(), period_fs: 0 },
        config: JobConfig { parallelism, checkpoints, ..JobConfig::default() },
    }
}
