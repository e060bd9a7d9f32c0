//! Registered jobs: programs for the engine, each with a reference that says which outputs are right.
//!
//! A [`Job`] is what a scenario names. Its program is written with the engine's DataStream API. Its [`Reference`] is
//! written without that API, only from the definition of the job, so that a mistake in the engine cannot be in both.
//! Users add their own jobs to a [`Jobs`] and pass it to [`crate::main`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Range, RangeInclusive};
use std::sync::Arc;

use flowquake_engine::env::{Entries, InputFiles};
use flowquake_engine::graph::{JobBuilder, JobError, JobGraph, JobSpec};
use flowquake_engine::state::Key;
use flowquake_engine::state::key_group::{group_of, owner_of};

use crate::exit_guard;

mod keyed_count;
mod string_length_count;
mod user_code;

pub use user_code::{AtRecord, JobContext, Overseer, UserCode, UserCodeHit, Watched};

#[cfg(test)]
pub(crate) use string_length_count::word;

/// A parameter of a job.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// The parameter's name in `[job] params`.
    pub name: &'static str,
    /// The value if a scenario does not set it.
    pub default: &'static str,
    /// What the parameter does.
    pub meaning: &'static str,
}

/// Makes the reference of a job.
pub type MakeReference = fn(&JobSpec, &InputFiles) -> Result<Box<dyn Reference>, JobError>;

/// The text of record `index` of the input, from 0.
pub type Texts = Box<dyn Fn(u64) -> String>;

/// Makes the texts of a job's input.
pub type MakeTexts = fn(&JobSpec, &InputFiles) -> Result<Texts, JobError>;

/// A program with its reference.
pub struct Job {
    /// What the job computes, in one sentence.
    pub description: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
    /// Generators that the job can read from.
    pub generators: &'static [&'static str],
    /// Whether the job can read lines of a file.
    pub accepts_file: bool,
    /// Number of operator chains.
    pub vertices: u16,
    /// Index of the chain that has keyed state, if one has.
    pub keyed_vertex: Option<u16>,
    /// The cost of its records and its state, for predictions; `None`: nothing is predicted.
    pub model: Option<JobModel>,
    /// The input as lines of text, for a twin of the job that another engine runs; `None`: there is no twin.
    pub texts: Option<MakeTexts>,
    /// Builds the program.
    pub build: fn(&JobSpec, &JobContext<'_>) -> Result<JobGraph, JobError>,
    /// Makes the reference.
    pub reference: MakeReference,
}

/// The work of a job, as far as it is known before the job runs.
#[derive(Debug, Clone)]
pub struct JobModel {
    /// The operator chains, in order.
    pub vertices: &'static [VertexModel],
    /// Size of the keyed state after this many records, over all subtasks, as the heap backends write it.
    pub state: fn(&JobSpec, f64) -> StateSize,
    /// How much of that state is written by `records` records that arrive after `before` others, each entry counted
    /// once: `written(spec, before, records)`.
    pub written: fn(&JobSpec, f64, f64) -> StateSize,
    /// Mean bytes of output per record of the input.
    pub output_bytes: fn(&JobSpec) -> f64,
    /// Share of the records that each keyed subtask gets; the shares sum to 1.
    pub shares: fn(&JobSpec) -> Vec<f64>,
}

/// The average size of keyed state.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StateSize {
    /// Number of keys with a value, over all states.
    pub entries: f64,
    /// Bytes of the entries, and of what surrounds them.
    pub bytes: f64,
}

impl Mul<f64> for StateSize {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { entries: self.entries * times, bytes: self.bytes * times }
    }
}

impl Add for StateSize {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { entries: self.entries + more.entries, bytes: self.bytes + more.bytes }
    }
}

impl From<StateSize> for Entries {
    fn from(size: StateSize) -> Self {
        Self { count: size.entries as u64, bytes: size.bytes as u64 }
    }
}

/// Shares of the keyed subtasks if all of `keys` are equally frequent. If there are very many keys, a part of them is
/// enough.
pub fn shares_of_keys<K: Key>(spec: &JobSpec, keys: impl Iterator<Item = K>) -> Vec<f64> {
    const ENOUGH: usize = 50_000;
    let (most, parallelism) = (spec.config.max_parallelism, spec.config.parallelism);
    let mut counts = vec![0_u64; usize::from(parallelism)];
    for key in keys.take(ENOUGH) {
        counts[usize::from(owner_of(group_of(&key, most), most, parallelism))] += 1;
    }
    let all = counts.iter().sum::<u64>().max(1) as f64;
    counts.into_iter().map(|count| count as f64 / all).collect()
}

/// The work that one record of the job causes in one operator chain.
#[derive(Debug, Clone, Copy)]
pub struct VertexModel {
    /// Number of records that reach the chain per record of the input.
    pub records_in: f64,
    /// Bytes on the wire of each of them; 0 at sources.
    pub bytes_in: f64,
    /// Whether the chain accesses keyed state.
    pub keyed: bool,
}

/// Jobs by name.
#[derive(Clone, Default)]
pub struct Jobs(BTreeMap<String, Arc<Job>>);

impl Jobs {
    /// The jobs that ship with Flowquake.
    pub fn builtin() -> Self {
        Self::default().with("keyed-count", keyed_count::JOB).with("string-length-count", string_length_count::JOB)
    }

    /// Adds or replaces a job.
    #[must_use]
    pub fn with(mut self, name: &str, job: Job) -> Self {
        self.0.insert(name.into(), Arc::new(job));
        self
    }

    /// All jobs, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Job)> {
        self.0.iter().map(|(name, job)| (name.as_str(), &**job))
    }

    /// The job with this name.
    pub fn get(&self, name: &str) -> Result<&Job, JobError> {
        self.0.get(name).map(|job| &**job).ok_or_else(|| {
            let known = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            JobError::Unknown { name: name.into(), known }
        })
    }

    /// Builds the program of a job.
    pub fn build(&self, spec: &JobSpec, context: &JobContext<'_>) -> Result<JobGraph, JobError> {
        let job = self.get(&spec.program)?;
        let _entered = exit_guard::enter(format!("building the graph of job `{}`", spec.program));
        (job.build)(spec, context)
    }

    /// Makes the reference of a job.
    pub fn reference(&self, spec: &JobSpec, inputs: &InputFiles) -> Result<Box<dyn Reference>, JobError> {
        let job = self.get(&spec.program)?;
        let what = format!("the reference of job `{}`", spec.program);
        let _entered = exit_guard::enter(what.clone());
        Ok(Box::new(GuardedReference { inner: (job.reference)(spec, inputs)?, what }))
    }

    /// Builds graphs for the engine, with user code that never fails on order.
    pub fn builder(&self) -> JobBuilder {
        self.builder_for("", &UserCode::default())
    }

    /// Builds graphs for the engine on one node, with user code that fails when `user_code` says so.
    pub fn builder_for(&self, node: &str, user_code: &UserCode) -> JobBuilder {
        let (jobs, node, user_code) = (self.clone(), node.to_owned(), user_code.clone());
        Arc::new(move |spec, files| jobs.build(spec, &JobContext::new(files, &node, user_code.clone())))
    }
}

/// The part of the input that a span of output belongs to: for each split, positions `[from, to)`.
pub type Consumed = Vec<Range<u64>>;

/// A record of the input, given by its split and its position there, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// The split.
    pub split: u32,
    /// Position in the split.
    pub position: u64,
}

impl RecordId {
    /// The record with this global index.
    pub fn of_index(index: u64, splits: usize) -> Self {
        Self { split: (index % splits as u64) as u32, position: index / splits as u64 }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "split {}, position {}", self.split, self.position)
    }
}

/// What is wrong, in words, and the input and output that it concerns. Explanations start from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// What is wrong.
    pub what: String,
    /// Records at fault, the most likely first; empty if they are not known.
    pub records: Vec<RecordId>,
    /// Lines of output at fault; empty if something is missing.
    pub lines: Vec<String>,
}

impl Objection {
    /// The same objection, concerning these records.
    #[must_use]
    pub fn about(self, records: Vec<RecordId>) -> Self {
        Self { records, ..self }
    }

    /// The same objection, seen in these lines of output.
    #[must_use]
    pub fn seen_in<T: Into<String>>(self, lines: impl IntoIterator<Item = T>) -> Self {
        Self { lines: lines.into_iter().map(Into::into).collect(), ..self }
    }
}

impl From<String> for Objection {
    fn from(what: String) -> Self {
        Self { what, records: Vec::new(), lines: Vec::new() }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What is wrong with some output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Something is lost, doubled or invented (O1).
    Content(Objection),
    /// Records of one split and key are out of order (O2).
    Order(Objection),
}

/// Says which outputs of a job are right. There can be many, because subtasks interleave freely, so a reference accepts
/// output instead of comparing it with one expected output. It gets one span after the other, from the beginning, and
/// remembers what it needs.
pub trait Reference {
    /// Length of the whole input.
    fn input_len(&self) -> u64;

    /// Judges the output between two checkpoints. `lines` is everything that was committed for the input `consumed`
    /// since the last call, in any order. If `partial`, lines may still be missing.
    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>>;

    /// Calls `each` for every entry of keyed state after everything consumed so far, with the state's name, key and
    /// value, in any order.
    fn for_each_state(&self, each: &mut dyn FnMut(&str, &dyn fmt::Debug, &dyn fmt::Debug));

    /// Records that a line of output can come from, the most likely first, and only a few. Used only to explain a
    /// refusal; a job that cannot tell returns none.
    fn origins(&self, line: &str) -> Vec<RecordId> {
        let _ = line;
        Vec::new()
    }

    /// Whether a line of output can come from this record; the counterpart of [`Reference::origins`].
    fn shows(&self, line: &str, record: RecordId) -> bool {
        let _ = (line, record);
        false
    }
}

/// A reference that must not end the process that uses it.
struct GuardedReference {
    inner: Box<dyn Reference>,
    /// What it is, for the message if it does.
    what: String,
}

impl GuardedReference {
    fn enter(&self) -> exit_guard::Entered {
        exit_guard::enter(self.what.clone())
    }
}

impl Reference for GuardedReference {
    fn input_len(&self) -> u64 {
        let _entered = self.enter();
        self.inner.input_len()
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let _entered = self.enter();
        self.inner.accept(consumed, lines, partial)
    }

    fn for_each_state(&self, each: &mut dyn FnMut(&str, &dyn fmt::Debug, &dyn fmt::Debug)) {
        let _entered = self.enter();
        self.inner.for_each_state(each);
    }

    fn origins(&self, line: &str) -> Vec<RecordId> {
        let _entered = self.enter();
        self.inner.origins(line)
    }

    fn shows(&self, line: &str, record: RecordId) -> bool {
        let _entered = self.enter();
        self.inner.shows(line, record)
    }
}

/// A parameter as a number within `accepted`. Any other value is refused with a text that says what the parameter does.
pub fn number_in(spec: &JobSpec, param: &Param, accepted: RangeInclusive<u64>) -> Result<u64, JobError> {
    let text = spec.params.get(param.name).map_or(param.default, String::as_str);
    text.parse().ok().filter(|number| accepted.contains(number)).ok_or_else(|| {
        let (name, (least, most)) = (param.name, accepted.clone().into_inner());
        let what = format!("{name} = {text}: a whole number from {least} to {most} is needed ({})", param.meaning);
        JobError::Refused { job: spec.program.clone(), what }
    })
}

/// Most records that an explanation names; more records that look the same add nothing.
pub(crate) const RECORDS_MAX: usize = 4;

/// The global index of the record at `position` of split `split`, if the input has `splits` splits; the counterpart of
/// [`RecordId::of_index`].
pub fn index_of(position: u64, split: usize, splits: usize) -> u64 {
    position * splits as u64 + split as u64
}
