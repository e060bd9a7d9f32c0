//! `string-length-count`: keys strings by their length, counts per key, emits `value - count`, the count before the update.
//!
//! The reference: per key, the output ordered by count is 0, 1, 2 … once each, and a merge of the splits' subsequences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flowquake_engine::connectors::lines::LineSource;
use flowquake_engine::env::{InputFiles, draw};
use flowquake_engine::graph::chain::{ChainError, Emit, Link, ProcessFunction};
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use flowquake_engine::state::{CurrentKey, StateError, StateOpener, ValueState};

use super::{Consumed, Job, KeyedState, Reference, Refusal, index_of, one_state};

/// How many ways of merging are followed at once; beyond, the order counts as undecided and is not judged.
const MERGES_MAX: usize = 4096;

pub(super) const JOB: Job = Job {
    description: "keys strings by their length, counts per length, emits `value - count` (the count before the update)",
    params: &[],
    generators: &["words"],
    accepts_file: true,
    vertices: 2,
    keyed_vertex: Some(1),
    build,
    reference: |spec, files| {
        Ok(Box::new(Accepted {
            strings: strings(spec, files)?,
            splits: spec.input.splits as usize,
            counts: BTreeMap::new(),
        }))
    },
};

/// The article's program.
#[derive(Clone)]
struct CountPerLength;

impl ProcessFunction for CountPerLength {
    type Key = u32;
    type In = String;
    type Out = String;
    type State = ValueState<u32, i32>;

    fn open(&self, states: &mut StateOpener<'_>) -> Result<Self::State, StateError> {
        states.value_state("count")
    }

    fn process(
        &mut self,
        key: &CurrentKey<u32>,
        value: String,
        count: &mut Self::State,
        out: &mut Emit<impl Link<String>>,
    ) -> Result<(), ChainError> {
        let before = count.replace(key, |old| old.copied().unwrap_or(0) + 1)?.unwrap_or(0);
        out.emit(format!("{value} - {before}"))
    }
}

fn build(spec: &JobSpec, files: &InputFiles) -> Result<JobGraph, JobError> {
    let job = StreamBuilder::new();
    job.source("strings", strings(spec, files)?).key_by(|value: &String| length(value)).process(CountPerLength).sink(
        "output",
        |line: &String, out| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        },
    );
    Ok(job.build())
}

/// Length in characters.
fn length(value: &str) -> u32 {
    value.chars().count() as u32
}

enum Strings {
    Lines(LineSource),
    Words { records: u64, seed: u64 },
}

impl Source for Strings {
    type Out = String;

    fn len(&self) -> u64 {
        match self {
            Strings::Lines(lines) => lines.len(),
            Strings::Words { records, .. } => *records,
        }
    }

    fn record(&self, index: u64) -> String {
        match self {
            Strings::Lines(lines) => lines.record(index),
            Strings::Words { seed, .. } => word(*seed, index),
        }
    }
}

/// A word of 1 to 16 letters and its number, so that every record can be told from every other.
pub(crate) fn word(seed: u64, index: u64) -> String {
    let bits = draw(seed, "words", 0, index);
    let letters = 1 + (bits >> 60) as usize;
    let mut word = String::with_capacity(letters + 12);
    word.extend((0..letters).map(|i| char::from(b'a' + ((bits >> (i * 3)) % 26) as u8)));
    word.push('-');
    word.push_str(&index.to_string());
    word
}

fn strings(spec: &JobSpec, files: &InputFiles) -> Result<Strings, JobError> {
    match &spec.input.kind {
        InputKind::File { path, repeat } => {
            let lines: Arc<_> = files.lines(path)?;
            Ok(Strings::Lines(LineSource::new(lines, *repeat)))
        }
        InputKind::Generator { name, records, seed } if name == "words" => {
            Ok(Strings::Words { records: *records, seed: *seed })
        }
        InputKind::Generator { name, .. } => Err(JobError::Refused {
            job: spec.program.clone(),
            what: format!("there is no generator `{name}`; it reads a file or the generator `words`"),
        }),
    }
}

/// Accepts spans of output; remembers the count of every key.
struct Accepted {
    strings: Strings,
    splits: usize,
    counts: BTreeMap<u32, i32>,
}

impl Reference for Accepted {
    fn input_len(&self) -> u64 {
        self.strings.len()
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut spans: BTreeMap<u32, Span> = BTreeMap::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let value = self.strings.record(index_of(position, split, self.splits));
                let key = length(&value);
                let span = spans.entry(key).or_insert_with(|| Span::new(&self.counts, key, consumed.len()));
                span.due[split].push(value);
            }
        }
        for line in lines {
            // The last blank first: to search for three characters at once is much slower.
            let parsed = line.rsplit_once(' ').and_then(|(v, c)| Some((v.strip_suffix(" -")?, c.parse::<i32>().ok()?)));
            let Some((value, count)) = parsed else {
                refusals.push(Refusal::Content(format!("`{line}` is not of the form `value - count`")));
                continue;
            };
            let key = length(value);
            let span = spans.entry(key).or_insert_with(|| Span::new(&self.counts, key, consumed.len()));
            if let Err(other) = span.find(count, value) {
                let what = format!("length {key}: count {count} stands twice, with `{other}` and with `{value}`");
                refusals.push(Refusal::Content(what));
            }
        }
        for (key, span) in spans {
            let refusal = if partial { span.refuse_part(key) } else { span.refuse(key) };
            refusals.extend(refusal);
            *self.counts.entry(key).or_default() += span.len() as i32;
        }
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    fn keyed_state(&self) -> KeyedState {
        one_state("count", &self.counts)
    }
}

/// One key's part of a span: what must come out, and what came out.
struct Span<'a> {
    /// Count of the first one.
    first: i32,
    /// Per split, in order.
    due: Vec<Vec<String>>,
    /// By count, from `first`.
    found: Vec<Option<&'a str>>,
    /// With a count that is out of reach.
    strays: Vec<(i32, &'a str)>,
}

impl<'a> Span<'a> {
    fn new(counts: &BTreeMap<u32, i32>, key: u32, splits: usize) -> Self {
        let first = counts.get(&key).copied().unwrap_or(0);
        Self { first, due: vec![Vec::new(); splits], found: Vec::new(), strays: Vec::new() }
    }

    fn len(&self) -> usize {
        self.due.iter().map(Vec::len).sum()
    }

    /// Notes a line of output; the other value, if this count stood before.
    fn find(&mut self, count: i32, value: &'a str) -> Result<(), &'a str> {
        let Some(place) =
            count.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < self.len())
        else {
            self.strays.push((count, value));
            return Ok(());
        };
        if self.found.len() <= place {
            self.found.resize(place + 1, None);
        }
        match self.found[place].replace(value) {
            None => Ok(()),
            Some(other) => Err(other),
        }
    }

    /// What is wrong with the output, if it must be all there.
    fn refuse(&self, key: u32) -> Option<Refusal> {
        let complete = self.strays.is_empty() && self.found.len() == self.len();
        if complete && is_plain_merge(&self.due, &self.found) {
            return None;
        }
        // What follows is slower, and finds out what is wrong.
        let missing = self.missing();
        let due = self.len();
        if let Some((value, times)) = missing.iter().find(|(_, times)| **times > 0) {
            return Some(Refusal::Content(format!(
                "length {key}: `{value}` is lost ({times} times of {due} records due)"
            )));
        }
        if let Some(refusal) = too_often(key, &missing) {
            return Some(refusal);
        }
        let wanted = self.first..self.first + due as i32;
        if let Some(count) =
            wanted.clone().find(|at| !matches!(self.found.get((at - self.first) as usize), Some(Some(_))))
        {
            return Some(Refusal::Content(format!("length {key}: no output has count {count} (due: {wanted:?})")));
        }
        let sequence: Vec<&str> = self.found.iter().copied().flatten().collect();
        let at = is_merge(&self.due, &sequence)?;
        let what = format!(
            "length {key}: `{} - {}` is no possible next value: records of one split are out of order",
            sequence[at],
            self.first + at as i32
        );
        Some(Refusal::Order(what))
    }

    /// What is wrong with the output, if some may still be missing.
    fn refuse_part(&self, key: u32) -> Option<Refusal> {
        if let Some((count, value)) = self.strays.first() {
            return Some(Refusal::Content(format!("length {key}: `{value} - {count}` was never due")));
        }
        too_often(key, &self.missing())
    }

    /// How often each value should have come out and did not; less than zero: how often too often.
    fn missing(&self) -> BTreeMap<&str, i64> {
        let mut missing: BTreeMap<&str, i64> = BTreeMap::new();
        self.due.iter().flatten().for_each(|value| *missing.entry(value).or_default() += 1);
        let found = self.found.iter().copied().flatten().chain(self.strays.iter().map(|(_, value)| *value));
        found.for_each(|value| *missing.entry(value).or_default() -= 1);
        missing
    }
}

fn too_often(key: u32, missing: &BTreeMap<&str, i64>) -> Option<Refusal> {
    let (value, times) = missing.iter().find(|(_, times)| **times < 0)?;
    Some(Refusal::Content(format!("length {key}: `{value}` came out {} times too often", -times)))
}

/// Whether `found` can be split into the given subsequences, if no choice is left at any step. If one is, or if it cannot, the
/// answer is no, and [`is_merge`] has to look closer.
fn is_plain_merge(splits: &[Vec<String>], found: &[Option<&str>]) -> bool {
    let mut heads: Vec<_> = splits.iter().map(|values| values.iter().peekable()).collect();
    found.iter().all(|value| {
        let mut fitting = heads.iter_mut().filter_map(|head| head.next_if(|due| Some(due.as_str()) == *value));
        // More than one: then both have moved on, but the answer is no anyway.
        fitting.next().is_some() && fitting.next().is_none()
    })
}

/// Whether `sequence` can be split into the given subsequences; the index at which every try has failed, if not.
/// Follows all sets of positions that are possible so far: equal values at the heads of two splits leave more than one.
fn is_merge(splits: &[Vec<String>], sequence: &[&str]) -> Option<usize> {
    let mut possible = BTreeSet::from([vec![0usize; splits.len()]]);
    for (at, value) in sequence.iter().enumerate() {
        let mut next = BTreeSet::new();
        for positions in &possible {
            for split in 0..splits.len() {
                if splits[split].get(positions[split]).is_some_and(|head| head == value) {
                    let mut positions = positions.clone();
                    positions[split] += 1;
                    next.insert(positions);
                }
            }
        }
        if next.is_empty() {
            return Some(at);
        }
        if next.len() > MERGES_MAX {
            return None;
        }
        possible = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(words: u64) -> Accepted {
        Accepted { strings: Strings::Words { records: words, seed: 1 }, splits: 2, counts: BTreeMap::new() }
    }

    /// The output of one possible run over `consumed`.
    fn output(counts: &mut BTreeMap<u32, i32>, consumed: &Consumed) -> Vec<String> {
        let mut lines = Vec::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let value = word(1, index_of(position, split, 2));
                let count = counts.entry(length(&value)).or_default();
                lines.push(format!("{value} - {count}"));
                *count += 1;
            }
        }
        lines
    }

    fn refs(lines: &[String]) -> Vec<&str> {
        lines.iter().map(String::as_str).collect()
    }

    #[test]
    fn accepts_what_a_run_may_do_span_by_span() {
        let mut reference = accepted(1000);
        let mut counts = BTreeMap::new();
        for consumed in [vec![0..10, 0..20], vec![10..400, 20..300], vec![400..500, 300..500]] {
            let lines = output(&mut counts, &consumed);
            assert_eq!(reference.accept(&consumed, &refs(&lines), false), Ok(()));
        }
        assert_eq!(reference.keyed_state()["count"].len(), counts.len());
    }

    #[test]
    fn finds_lost_doubled_and_reordered_records() {
        let consumed = vec![0..100, 0..100];
        let good = output(&mut BTreeMap::new(), &consumed);
        let mut lost = good.clone();
        lost.remove(17);
        assert!(matches!(
            &accepted(200).accept(&consumed, &refs(&lost), false).unwrap_err()[..],
            [Refusal::Content(_), ..]
        ));
        let mut doubled = good.clone();
        doubled.push(good[3].clone());
        assert!(accepted(200).accept(&consumed, &refs(&doubled), false).is_err());
        // The same record under two counts, both of them due: wrong even if something may be missing.
        let mut again = good.clone();
        let same =
            |line: &String| length(line.rsplit_once(" - ").unwrap().0) == length(good[3].rsplit_once(" - ").unwrap().0);
        let other = (4..good.len()).find(|at| same(&good[*at])).unwrap();
        again[other] =
            format!("{} - {}", good[3].rsplit_once(" - ").unwrap().0, good[other].rsplit_once(" - ").unwrap().1);
        assert!(accepted(200).accept(&consumed, &refs(&again), true).is_err());
        assert_eq!(accepted(200).accept(&consumed, &refs(&lost), true), Ok(()));
        // Two records of one split and length change their counts.
        let by_length = |line: &String| length(line.rsplit_once(" - ").unwrap().0);
        let (a, b) = (0..100)
            .flat_map(|a| (a + 1..100).map(move |b| (a, b)))
            .find(|(a, b)| by_length(&good[*a]) == by_length(&good[*b]))
            .unwrap();
        let mut swapped = good.clone();
        let value = |line: &str| line.rsplit_once(" - ").unwrap().0.to_owned();
        let count = |line: &str| line.rsplit_once(" - ").unwrap().1.to_owned();
        swapped[a] = format!("{} - {}", value(&good[b]), count(&good[a]));
        swapped[b] = format!("{} - {}", value(&good[a]), count(&good[b]));
        assert!(matches!(
            &accepted(200).accept(&consumed, &refs(&swapped), false).unwrap_err()[..],
            [Refusal::Order(_)]
        ));
    }

    #[test]
    fn equal_heads_leave_both_ways_open() {
        let splits = vec![vec!["a".to_owned(), "b".into()], vec!["a".into(), "c".into()]];
        assert_eq!(is_merge(&splits, &["a", "c", "a", "b"]), None);
        assert_eq!(is_merge(&splits, &["a", "b", "a", "c"]), None);
        assert_eq!(is_merge(&splits, &["b", "a", "a", "c"]), Some(0));
    }
}
