//! Registered jobs: programs for the engine, each with a reference that says which outputs are right.
//!
//! A [`Job`] is what a scenario names. Its program is written with the engine's DataStream API; its [`Reference`] is written
//! without any of it, from the definition of the job alone, so that a mistake in the engine cannot hide in both. Users add
//! their own jobs to a [`Jobs`] and hand it to [`crate::main`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::{JobBuilder, JobError, JobGraph, JobSpec};

mod keyed_count;
mod string_length_count;

#[cfg(test)]
pub(crate) use string_length_count::word;

/// A parameter of a job.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name in `[job] params`.
    pub name: &'static str,
    /// Its value where a scenario is silent.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Makes the reference of a job.
pub type MakeReference = fn(&JobSpec, &InputFiles) -> Result<Box<dyn Reference>, JobError>;

/// A program with its reference.
pub struct Job {
    /// What it computes, in a sentence.
    pub description: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
    /// Generators that it can read from.
    pub generators: &'static [&'static str],
    /// Whether it can read lines of a file.
    pub accepts_file: bool,
    /// Number of operator chains.
    pub vertices: u16,
    /// Index of the chain that holds keyed state, if one does.
    pub keyed_vertex: Option<u16>,
    /// Builds the program.
    pub build: fn(&JobSpec, &InputFiles) -> Result<JobGraph, JobError>,
    /// Makes the reference.
    pub reference: MakeReference,
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

    /// All jobs, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Job)> {
        self.0.iter().map(|(name, job)| (name.as_str(), &**job))
    }

    /// The job of that name.
    pub fn get(&self, name: &str) -> Result<&Job, JobError> {
        self.0.get(name).map(|job| &**job).ok_or_else(|| {
            let known = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            JobError::Unknown { name: name.into(), known }
        })
    }

    /// What the engine builds graphs with.
    pub fn builder(&self) -> JobBuilder {
        let jobs = self.clone();
        Arc::new(move |spec, files| (jobs.get(&spec.program)?.build)(spec, files))
    }
}

/// Which part of the input a span of output belongs to: for each split, positions `[from, to)`.
pub type Consumed = Vec<Range<u64>>;

/// What is wrong with some output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Something is lost, doubled or invented (O1).
    Content(String),
    /// Records of one split and key are out of order (O2).
    Order(String),
}

/// Says which outputs of a job are right. Many can be: subtasks interleave as they like, so a reference accepts, it does not
/// compare with one expected output. It is fed span after span, from the beginning, and remembers what it needs.
pub trait Reference {
    /// Length of the whole input.
    fn input_len(&self) -> u64;

    /// Judges the output between two checkpoints: `lines` is everything committed for the input `consumed` since the last
    /// call, in no particular order. If `partial`, lines may still be missing.
    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>>;

    /// Keyed state after everything consumed so far.
    fn keyed_state(&self) -> KeyedState;
}

/// Values by name of the state, then by key; keys and values as their `Debug` prints them.
pub type KeyedState = BTreeMap<String, BTreeMap<String, String>>;

/// The keyed state of a job whose one state is called `name`.
fn one_state<'a, V: ToString + 'a>(name: &str, values: impl IntoIterator<Item = (&'a u32, &'a V)>) -> KeyedState {
    let values = values.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    BTreeMap::from([(name.into(), values)])
}

/// A parameter as a number.
pub(crate) fn number(spec: &JobSpec, param: &Param) -> Result<u64, JobError> {
    let text = spec.params.get(param.name).map_or(param.default, String::as_str);
    text.parse().map_err(|_| JobError::Refused {
        job: spec.program.clone(),
        what: format!("{} = {text:?}: a whole number is needed ({})", param.name, param.meaning),
    })
}

/// The global index of record `position` of `split`.
pub(crate) fn index_of(position: u64, split: usize, splits: usize) -> u64 {
    position * splits as u64 + split as u64
}
