//! `keyed-count`: the benchmark job. Records of a key and a payload, 100 bytes on the wire; counts per key, emits every n-th
//! count.
//!
//! The reference: per key, exactly the counts that are multiples of `emit_every` and were passed in the span.

#[cfg(test)]
use std::collections::BTreeMap;
use std::fmt;

use flowquake_engine::env::{InputFiles, draw, draw_between};
use flowquake_engine::graph::chain::{ChainError, Emit, Link, ProcessFunction};
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use flowquake_engine::state::key_group::KeyHash;
use flowquake_engine::state::{CurrentKey, StateError, StateOpener, ValueState};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Consumed, Job, KeyedState, Param, Reference, Refusal, index_of, number, one_state};

const KEYS: Param = Param { name: "keys", default: "100000", meaning: "how many different keys" };
const EMIT_EVERY: Param =
    Param { name: "emit_every", default: "1", meaning: "a key's count is emitted when it is a multiple of this" };

/// Payload bytes: with a key of up to 3 bytes, the payload's length and the key's varint, a record is 96 to 100 bytes.
const PAYLOAD: usize = 95;

pub(super) const JOB: Job = Job {
    description: "counts 100-byte records per key and emits every n-th count of each (the benchmark job)",
    params: &[KEYS, EMIT_EVERY],
    generators: &["orders"],
    accepts_file: false,
    vertices: 2,
    keyed_vertex: Some(1),
    build,
    reference: |spec, _| {
        let orders = orders(spec)?;
        let splits = spec.input.splits as usize;
        Ok(Box::new(Accepted { orders, splits, emit_every: emit_every(spec)?, counts: Counts::default() }))
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Payload([u8; PAYLOAD]);

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As one run of bytes: element by element would cost a hundred calls per record.
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{PAYLOAD} bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                bytes.try_into().map(Payload).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[derive(Clone, Copy, Serialize, Deserialize, Debug, PartialEq, Eq)]
struct Order {
    key: u32,
    payload: Payload,
}

#[derive(Clone)]
struct CountPerKey {
    emit_every: u64,
}

impl ProcessFunction for CountPerKey {
    type Key = u32;
    type In = Order;
    type Out = (u32, u64);
    type State = ValueState<u32, u64>;

    fn open(&self, states: &mut StateOpener<'_>) -> Result<Self::State, StateError> {
        states.value_state("count")
    }

    fn process(
        &mut self,
        key: &CurrentKey<u32>,
        _: Order,
        count: &mut Self::State,
        out: &mut Emit<impl Link<(u32, u64)>>,
    ) -> Result<(), ChainError> {
        let count = 1 + count.replace(key, |old| old.copied().unwrap_or(0) + 1)?.unwrap_or(0);
        if count.is_multiple_of(self.emit_every) { out.emit((key.key, count)) } else { Ok(()) }
    }
}

fn build(spec: &JobSpec, _: &InputFiles) -> Result<JobGraph, JobError> {
    let job = StreamBuilder::new();
    job.source("orders", orders(spec)?)
        .key_by(|order: &Order| order.key)
        .process(CountPerKey { emit_every: emit_every(spec)? })
        .sink("counts", |(key, count): &(u32, u64), out| {
            use std::io::Write;
            writeln!(out, "{key} {count}").expect("a vector takes everything");
        });
    Ok(job.build())
}

fn emit_every(spec: &JobSpec) -> Result<u64, JobError> {
    match number(spec, &EMIT_EVERY)? {
        0 => Err(JobError::Refused { job: spec.program.clone(), what: "emit_every = 0: at least 1 is needed".into() }),
        n => Ok(n),
    }
}

struct Orders {
    records: u64,
    seed: u64,
    keys: u32,
}

impl Orders {
    fn key(&self, index: u64) -> u32 {
        draw_between(draw(self.seed, "orders", 0, index), 0, u64::from(self.keys) - 1) as u32
    }
}

impl Source for Orders {
    type Out = Order;

    fn len(&self) -> u64 {
        self.records
    }

    fn record(&self, index: u64) -> Order {
        Order { key: self.key(index), payload: Payload([index as u8; PAYLOAD]) }
    }
}

fn orders(spec: &JobSpec) -> Result<Orders, JobError> {
    let refused = |what: String| JobError::Refused { job: spec.program.clone(), what };
    let keys = u32::try_from(number(spec, &KEYS)?).ok().filter(|keys| *keys > 0);
    let keys = keys.ok_or_else(|| refused(format!("keys must be between 1 and {}", u32::MAX)))?;
    match &spec.input.kind {
        InputKind::Generator { name, records, seed } if name == "orders" => {
            Ok(Orders { records: *records, seed: *seed, keys })
        }
        InputKind::Generator { name, .. } => {
            Err(refused(format!("there is no generator `{name}`; it reads the generator `orders`")))
        }
        InputKind::File { .. } => Err(refused("it reads no file, only the generator `orders`".into())),
    }
}

#[allow(clippy::disallowed_types, reason = "nothing depends on its order, and the hasher is fixed")]
type Counts = std::collections::HashMap<u32, u64, KeyHash>;

struct Accepted {
    orders: Orders,
    splits: usize,
    emit_every: u64,
    counts: Counts,
}

impl Reference for Accepted {
    fn input_len(&self) -> u64 {
        self.orders.records
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut due: Vec<(u32, u64)> = Vec::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let key = self.orders.key(index_of(position, split, self.splits));
                let count = self.counts.entry(key).or_default();
                *count += 1;
                if count.is_multiple_of(self.emit_every) {
                    due.push((key, *count));
                }
            }
        }
        let mut found: Vec<(u32, u64)> = Vec::with_capacity(lines.len());
        for line in lines {
            match line.split_once(' ').and_then(|(key, count)| Some((key.parse().ok()?, count.parse().ok()?))) {
                None => refusals.push(Refusal::Content(format!("`{line}` is not of the form `key count`"))),
                Some(pair) => found.push(pair),
            }
        }
        due.sort_unstable();
        found.sort_unstable();
        // Both are in order: side by side, each pair is on both sides, or on the wrong one.
        let (mut lost, mut wanted) = (Vec::new(), due.into_iter().peekable());
        for pair in found {
            while let Some(missing) = wanted.next_if(|due| *due < pair) {
                lost.push(missing);
            }
            if wanted.next_if_eq(&pair).is_none() {
                let (key, count) = pair;
                refusals.push(Refusal::Content(format!("key {key}: count {count} came out doubled or was never due")));
            }
        }
        lost.extend(wanted);
        if let (false, Some((key, count))) = (partial, lost.first()) {
            let more = lost.len() - 1;
            refusals.push(Refusal::Content(format!("key {key}: count {count} is lost (and {more} others)")));
        }
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    fn keyed_state(&self) -> KeyedState {
        one_state("count", &self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowquake_engine::graph::element::{decode, encoded};

    #[test]
    fn a_record_has_about_a_hundred_bytes() {
        let order = Orders { records: 1, seed: 1, keys: 100_000 }.record(7);
        let bytes = encoded(&order);
        assert!((96..=100).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(decode::<Order>(&mut &bytes[..]), Ok(order));
    }

    #[test]
    fn accepts_exactly_the_due_counts() {
        let reference = || Accepted {
            orders: Orders { records: 100, seed: 1, keys: 5 },
            splits: 1,
            emit_every: 10,
            counts: Counts::default(),
        };
        let all: Consumed = std::iter::once(0..100).collect();
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        let mut lines = Vec::new();
        for index in 0..100 {
            let key = reference().orders.key(index);
            let count = counts.entry(key).or_default();
            *count += 1;
            if count.is_multiple_of(10) {
                lines.push(format!("{key} {count}"));
            }
        }
        let mut refs: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(reference().accept(&all, &refs, false), Ok(()));
        let extra = refs[0];
        refs.push(extra);
        assert!(reference().accept(&all, &refs, false).is_err());
        assert!(reference().accept(&all, &refs[2..lines.len()], false).is_err());
        assert_eq!(reference().accept(&all, &refs[2..lines.len()], true), Ok(()));
    }
}
