//! `string-length-count`: keys strings by their length, counts per key, and emits `value - count` with the count before
//! the update.
//!
//! The program and its input are in this file, and its reference is in `reference`.

use std::fmt::Write;
use std::sync::Arc;

use flowquake_engine::connectors::lines::LineSource;
use flowquake_engine::env::{InputFiles, draw};
use flowquake_engine::graph::chain::{ChainError, Emit, Link, ProcessFunction};
use flowquake_engine::graph::source::Source;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use flowquake_engine::state::{CurrentKey, StateError, StateOpener, ValueState};

use super::{Job, JobContext, JobModel, StateSize, VertexModel, shares_of_keys};

mod plain;
mod reference;

use reference::Accepted;

pub(super) const JOB: Job = Job {
    description: "keys strings by their length, counts per length, emits `value - count` (the count before the update)",
    params: &[],
    generators: &["words"],
    accepts_file: true,
    vertices: 2,
    keyed_vertex: Some(1),
    model: Some(JobModel {
        vertices: &[
            VertexModel { records_in: 1.0, bytes_in: 0.0, keyed: false },
            VertexModel { records_in: 1.0, bytes_in: 9.0, keyed: true },
        ],
        // A few dozen lengths, however many records arrive.
        state: |spec, _| StateSize { entries: 30.0, bytes: 150.0 + 14.0 * f64::from(spec.config.parallelism) },
        // Each of them is written again and again.
        written: |spec, _, _| StateSize { entries: 30.0, bytes: 150.0 + 14.0 * f64::from(spec.config.parallelism) },
        // A word, and a count of a few digits.
        output_bytes: |_| 15.0,
        // Words of 3 to 12 letters.
        shares: |spec| shares_of_keys(spec, 3..=12_u64),
    }),
    texts: Some(|spec, files| {
        let strings = strings(spec, files)?;
        Ok(Box::new(move |index| strings.record(index)))
    }),
    build,
    reference: |spec, files| Ok(Box::new(Accepted::new(strings(spec, files)?, spec.input.splits as usize))),
};

/// The program of the article.
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

fn build(spec: &JobSpec, context: &JobContext<'_>) -> Result<JobGraph, JobError> {
    let job = StreamBuilder::new();
    job.source("strings", context.source(spec, strings(spec, context.files())?))
        .key_by(|value: &String| length(value))
        .process(CountPerLength)
        .sink("output", |line: &String, out| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        });
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

impl Strings {
    /// The text of record `index`, without allocating: a text that has to be made is made in the buffer.
    fn text<'a>(&'a self, index: u64, buffer: &'a mut String) -> &'a str {
        match self {
            Strings::Lines(lines) => lines.line(index),
            Strings::Words { seed, .. } => {
                spell(*seed, index, buffer);
                buffer
            }
        }
    }
}

/// A word of 1 to 16 letters with its number, so that all records are different.
pub(crate) fn word(seed: u64, index: u64) -> String {
    let mut word = String::new();
    spell(seed, index, &mut word);
    word
}

/// The same, written into the buffer in place of its content.
fn spell(seed: u64, index: u64, word: &mut String) {
    let bits = draw(seed, "words", 0, index);
    let letters = 1 + (bits >> 60) as usize;
    word.clear();
    word.reserve(letters + 8);
    word.extend((0..letters).map(|i| char::from(b'a' + ((bits >> (i * 3)) % 26) as u8)));
    write!(word, "-{index}").expect("a string takes everything");
}

/// Value and count of a line `value - count`.
fn parse(line: &str) -> Option<(&str, i32)> {
    // Looks for the last space first, because searching for three characters at once is much slower.
    let (value, count) = line.rsplit_once(' ')?;
    Some((value.strip_suffix(" -")?, count.parse().ok()?))
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
