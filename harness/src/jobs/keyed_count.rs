//! `keyed-count`: the benchmark job. Records have a key and a payload, 100 bytes on the wire. It counts per key, and
//! emits every n-th count. With `value_bytes`, each key also has a value of that many bytes from its first record on,
//! so that state of any size is possible with few keys.
//!
//! The reference: per key, exactly the counts that are multiples of `emit_every` and were passed in the span. What is
//! due and what came out are sorted and compared side by side, because with many keys a tree look-up per record would
//! cost more than everything else.

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, and what is iterated is sorted first")]
use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use flowquake_engine::env::{draw, draw_between};
use flowquake_engine::graph::chain::{ChainError, Emit, Link, ProcessFunction};
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use flowquake_engine::state::key_group::KeyHash;
use flowquake_engine::state::{CurrentKey, StateError, StateOpener, ValueState};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Consumed, Job, JobContext, JobModel, Objection, Param, RECORDS_MAX, RecordId, Reference, Refusal, StateSize,
    VertexModel, index_of, number_in, shares_of_keys,
};

const KEYS: Param = Param { name: "keys", default: "100000", meaning: "how many different keys" };
const EMIT_EVERY: Param =
    Param { name: "emit_every", default: "1", meaning: "a key's count is emitted when it is a multiple of this" };
const VALUE_BYTES: Param = Param {
    name: "value_bytes",
    default: "0",
    meaning: "bytes of a second value that each key keeps from its first record on; 0: there is no such state",
};
const UPDATE_VALUES: Param = Param {
    name: "update_values",
    default: "0",
    meaning: "1: every record writes its key's second value anew, as a job does that keeps a document; 0: the first one does",
};
/// Longest value in bytes.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// Payload bytes: with a key of up to 3 bytes, the payload's length and the key's varint, a record is 96 to 100 bytes.
const PAYLOAD: usize = 95;

pub(super) const JOB: Job = Job {
    description: "counts 100-byte records per key and emits every n-th count of each (the benchmark job)",
    params: &[KEYS, EMIT_EVERY, VALUE_BYTES, UPDATE_VALUES],
    generators: &["orders"],
    accepts_file: false,
    vertices: 2,
    keyed_vertex: Some(1),
    model: Some(JobModel {
        vertices: &[
            VertexModel { records_in: 1.0, bytes_in: 0.0, keyed: false },
            VertexModel { records_in: 1.0, bytes_in: 98.0, keyed: true },
        ],
        state,
        written,
        output_bytes,
        shares: |spec| shares_of_keys(spec, 0..keys(spec).unwrap_or(1) as u32),
    }),
    texts: Some(|spec, _| {
        let orders = orders(spec)?;
        let payload = "x".repeat(PAYLOAD);
        Ok(Box::new(move |index| format!("{} {payload}", orders.key(index))))
    }),
    build,
    reference: |spec, _| {
        let orders = orders(spec)?;
        let splits = spec.input.splits as usize;
        let (emit_every, value_bytes) = (emit_every(spec)?, value_bytes(spec)?);
        Ok(Box::new(Accepted { orders, splits, emit_every, value_bytes, counts: Counts::with_hasher(KeyHash) }))
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Payload([u8; PAYLOAD]);

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As one sequence of bytes, because element by element would cost a hundred calls per record.
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
    value_bytes: usize,
    update_values: bool,
}

/// A key's value: characters without repetition, so that it has the same length on a disk that compresses.
fn value(key: u32, bytes: usize) -> Bytes {
    let word = |n: usize| draw(0, "value", key.into(), n as u64).to_le_bytes().map(|byte| b'0' + byte % 64);
    let mut value: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(word).collect();
    value.truncate(bytes);
    value.into()
}

impl ProcessFunction for CountPerKey {
    type Key = u32;
    type In = Order;
    type Out = (u32, u64);
    type State = (ValueState<u32, u64>, Option<ValueState<u32, Bytes>>);

    fn open(&self, states: &mut StateOpener<'_>) -> Result<Self::State, StateError> {
        let counts = states.value_state("count")?;
        let values = (self.value_bytes > 0).then(|| states.value_state("value")).transpose()?;
        Ok((counts, values))
    }

    fn process(
        &mut self,
        key: &CurrentKey<u32>,
        _: Order,
        (counts, values): &mut Self::State,
        out: &mut Emit<impl Link<(u32, u64)>>,
    ) -> Result<(), ChainError> {
        let count = 1 + counts.replace(key, |old| old.copied().unwrap_or(0) + 1)?.unwrap_or(0);
        if let Some(values) = values
            && (count == 1 || self.update_values)
        {
            values.update(key, value(key.key, self.value_bytes))?;
        }
        if count.is_multiple_of(self.emit_every) { out.emit((key.key, count)) } else { Ok(()) }
    }
}

fn build(spec: &JobSpec, context: &JobContext<'_>) -> Result<JobGraph, JobError> {
    let job = StreamBuilder::new();
    job.source("orders", context.source(spec, orders(spec)?))
        .key_by(|order: &Order| order.key)
        .process(CountPerKey {
            emit_every: emit_every(spec)?,
            value_bytes: value_bytes(spec)?,
            update_values: update_values(spec)?,
        })
        .sink("counts", |(key, count): &(u32, u64), out| {
            use std::io::Write;
            writeln!(out, "{key} {count}").expect("a vector takes everything");
        });
    Ok(job.build())
}

/// How many of `keys` keys have occurred in this many records, if each record's key is drawn uniformly.
fn drawn(keys: f64, records: f64) -> f64 {
    keys * (1.0 - libm::exp(-records / keys))
}

/// Every key that has occurred has a count, and a value if values are used.
fn state(spec: &JobSpec, records: f64) -> StateSize {
    let seen = drawn(keys(spec).unwrap_or(1) as f64, records);
    tables(spec, records, seen, seen)
}

/// Counts are written with each record; values with the first record of their key, or with each.
fn written(spec: &JobSpec, before: f64, records: f64) -> StateSize {
    let keys = keys(spec).unwrap_or(1) as f64;
    let counted = drawn(keys, records);
    let valued = match update_values(spec).unwrap_or(false) {
        true => counted,
        false => drawn(keys, before + records) - drawn(keys, before),
    };
    tables(spec, before + records, counted, valued)
}

/// The size of this many counts and this many values, after this many records. An entry has a key group, a varint of
/// the key, and a varint of its count or of its value's length; each subtask's table has a name and a length.
fn tables(spec: &JobSpec, records: f64, counted: f64, valued: f64) -> StateSize {
    let keys = keys(spec).unwrap_or(1) as f64;
    let varint = |value: f64| 1.0 + (value.max(1.0).log2() / 7.0).floor();
    let table = 14.0 * f64::from(spec.config.parallelism);
    let counts = counted * (2.0 + varint(keys / 2.0) + varint(records / keys)) + table;
    match value_bytes(spec).unwrap_or(0) as f64 {
        0.0 => StateSize { entries: counted, bytes: counts },
        bytes => {
            let values = valued * (2.0 + varint(keys / 2.0) + varint(bytes) + bytes);
            StateSize { entries: counted + valued, bytes: counts + values + table }
        }
    }
}

/// Bytes of a line with key and count.
fn output_bytes(spec: &JobSpec) -> f64 {
    let digits = |value: u64| f64::from(value.max(1).ilog10() + 1);
    let emit_every = emit_every(spec).unwrap_or(1);
    (digits(keys(spec).unwrap_or(1)) + digits(emit_every) + 2.0) / emit_every as f64
}

fn keys(spec: &JobSpec) -> Result<u64, JobError> {
    number_in(spec, &KEYS, 1..=u32::MAX.into())
}

fn emit_every(spec: &JobSpec) -> Result<u64, JobError> {
    number_in(spec, &EMIT_EVERY, 1..=i64::MAX as u64)
}

fn value_bytes(spec: &JobSpec) -> Result<usize, JobError> {
    number_in(spec, &VALUE_BYTES, 0..=VALUE_BYTES_MAX).map(|bytes| bytes as usize)
}

fn update_values(spec: &JobSpec) -> Result<bool, JobError> {
    number_in(spec, &UPDATE_VALUES, 0..=1).map(|number| number == 1)
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
    let keys = keys(spec)? as u32;
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

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, and what is iterated is sorted first")]
type Counts = HashMap<u32, u64, KeyHash>;

struct Accepted {
    orders: Orders,
    splits: usize,
    emit_every: u64,
    value_bytes: usize,
    counts: Counts,
}

impl Reference for Accepted {
    fn input_len(&self) -> u64 {
        self.orders.records
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut found = Vec::with_capacity(lines.len());
        for line in lines {
            match line.split_once(' ').and_then(|(key, count)| Some((key.parse().ok()?, count.parse().ok()?))) {
                Some(pair) => found.push((pair, *line)),
                None => {
                    let what = format!("`{line}` is not of the form `key count`");
                    refusals.push(Refusal::Content(Objection::from(what).seen_in([*line])));
                }
            }
        }
        found.sort_unstable();
        let due = self.due(consumed);
        let (mut wanted, mut lost) = (due.iter().copied().peekable(), Vec::new());
        for (pair, line) in found {
            while let Some(other) = wanted.next_if(|due| *due < pair) {
                lost.push(other);
            }
            if wanted.next_if_eq(&pair).is_none() {
                let (key, count) = pair;
                let what = format!("key {key}: count {count} came out doubled or was never due");
                refusals.push(Refusal::Content(Objection::from(what).seen_in([line])));
            }
        }
        lost.extend(wanted);
        if let (false, [(key, count), others @ ..]) = (partial, &lost[..]) {
            let others = match others.len() {
                0 => String::new(),
                1 => " (and one other count)".into(),
                more => format!(" (and {more} other counts)"),
            };
            let what = format!("key {key}: count {count} is missing{others}");
            refusals.push(Refusal::Content(Objection::from(what).about(self.of_key(*key, consumed))));
        }
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    fn for_each_state(&self, each: &mut dyn FnMut(&str, &dyn fmt::Debug, &dyn fmt::Debug)) {
        for (key, count) in &self.counts {
            each("count", key, count);
            if self.value_bytes > 0 {
                each("value", key, &value(*key, self.value_bytes));
            }
        }
    }

    /// The record of that key that arrived `count`-th: exact with one split, and approximate with several.
    fn origins(&self, line: &str) -> Vec<RecordId> {
        let Some((key, count)) = line
            .split_once(' ')
            .and_then(|(key, count)| Some((key.parse::<u32>().ok()?, count.parse::<usize>().ok()?.checked_sub(1)?)))
        else {
            return Vec::new();
        };
        let indices = (0..self.orders.records).filter(|index| self.orders.key(*index) == key);
        indices.skip(count).take(1).map(|index| RecordId::of_index(index, self.splits)).collect()
    }
}

impl Accepted {
    /// Counts the records of a span, and returns the counts that must come out, sorted.
    fn due(&mut self, consumed: &Consumed) -> Vec<(u32, u64)> {
        let mut due = Vec::new();
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
        due.sort_unstable();
        due
    }

    /// Records of a key in a span; one of them has the count that is asked for.
    fn of_key(&self, key: u32, consumed: &Consumed) -> Vec<RecordId> {
        let of_split = |(split, positions): (usize, &std::ops::Range<u64>)| {
            let mine = positions.clone().filter(move |at| self.orders.key(index_of(*at, split, self.splits)) == key);
            mine.map(move |position| RecordId { split: split as u32, position })
        };
        consumed.iter().enumerate().flat_map(of_split).take(RECORDS_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use flowquake_engine::codec::{decode, encoded};

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
            value_bytes: 3,
            counts: Counts::with_hasher(KeyHash),
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
        let mut accepting = reference();
        assert_eq!(accepting.accept(&all, &refs, false), Ok(()));
        let mut state = BTreeMap::new();
        let mut keep = |name: &str, key: &dyn fmt::Debug, value: &dyn fmt::Debug| {
            state.insert((name.to_owned(), format!("{key:?}")), format!("{value:?}"));
        };
        accepting.for_each_state(&mut keep);
        assert_eq!(state.len(), 10);
        assert_eq!(state[&("value".to_owned(), "2".to_owned())], format!("{:?}", value(2, 3)));
        let extra = refs[0];
        refs.push(extra);
        assert!(reference().accept(&all, &refs, false).is_err());
        assert!(reference().accept(&all, &refs[2..lines.len()], false).is_err());
        assert_eq!(reference().accept(&all, &refs[2..lines.len()], true), Ok(()));

        // A refusal names its record, which is exact with one split.
        let refused = reference().accept(&all, &refs, false).unwrap_err();
        let [Refusal::Content(objection)] = &refused[..] else { panic!("{refused:?}") };
        assert_eq!(objection.lines, [extra]);
        let (key, count) = extra.split_once(' ').unwrap();
        let [record] = reference().origins(extra)[..] else { panic!("one record") };
        assert_eq!(reference().orders.key(record.position).to_string(), key);
        let before = (0..=record.position).filter(|index| reference().orders.key(*index).to_string() == key).count();
        assert_eq!(before.to_string(), count);
    }
}
