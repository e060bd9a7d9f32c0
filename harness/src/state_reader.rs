//! Reads the keyed state of a checkpoint with the job's own types, for the oracles and for `flowquake state show`.

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{Manifest, StatePlace, SubtaskState};
use flowquake_engine::env::{Checksum, InputFiles, LocalFolder};
use flowquake_engine::graph::JobGraph;
use flowquake_engine::graph::chain::ChainContext;
use flowquake_engine::ids::SubtaskId;
use flowquake_engine::state::key_group::groups_of;
use flowquake_engine::state::{Backend, Entry, RestoredState};

use crate::exit_guard;
use crate::jobs::{JobContext, Jobs};
use crate::local_disks;

/// Why state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A file is missing, or differs from what the manifest says.
    #[error("{path}: expected {expected}, found {found}")]
    Damaged {
        /// The file.
        path: String,
        /// What the manifest says.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The job or the backend refuses.
    #[error("{0}")]
    Refused(String),
}

/// Calls `each` for every entry of keyed state, subtask by subtask, and within a subtask in the order of its backend.
/// `file` returns the content of a stored file by its path.
pub fn for_each(
    manifest: &Manifest,
    jobs: &Jobs,
    inputs: &InputFiles,
    file: impl Fn(&str) -> Option<Bytes>,
    each: &mut dyn FnMut(SubtaskId, Entry<'_>),
) -> Result<(), ReadError> {
    let refused = |error: &dyn std::fmt::Display| ReadError::Refused(error.to_string());
    let graph = jobs.build(&manifest.job, &JobContext::inert(inputs)).map_err(|error| refused(&error))?;
    // Keys and values have the job's own types, so decoding them runs the job's code.
    let _entered = exit_guard::enter(format!("reading the state of job `{}`", manifest.job.program));
    for (subtask, state) in &manifest.subtasks {
        let keyed = graph.vertices.get(usize::from(subtask.vertex.0)).is_some_and(|vertex| vertex.is_keyed);
        if keyed {
            of_subtask(manifest, &graph, *subtask, state, &file, &mut |entry| each(*subtask, entry))?;
        }
    }
    Ok(())
}

fn of_subtask(
    manifest: &Manifest,
    graph: &JobGraph,
    subtask: SubtaskId,
    state: &SubtaskState,
    file: &impl Fn(&str) -> Option<Bytes>,
    each: &mut dyn FnMut(Entry<'_>),
) -> Result<(), ReadError> {
    let mut restored = RestoredState::default();
    for named in &state.files {
        let (path, bytes) = match &named.place {
            StatePlace::Inline(bytes) => (named.name.to_string(), Some(bytes.clone())),
            StatePlace::Stored(path) => (path.to_string(), file(path)),
        };
        let expected = named.checksum.to_string();
        let Some(bytes) = bytes else {
            return Err(ReadError::Damaged { path, expected, found: "no such file".into() });
        };
        let found = Checksum::of(&bytes);
        if found != named.checksum {
            return Err(ReadError::Damaged { path, expected, found: found.to_string() });
        }
        restored.files.push((named.name.clone(), bytes));
    }
    let refused = |error: &dyn std::fmt::Display| ReadError::Refused(error.to_string());
    let config = &manifest.job.config;
    let groups = groups_of(subtask.index, config.max_parallelism, config.parallelism);
    // Only RocksDB asks for a folder: it works on copies of files, which are removed when the entries were read.
    let mut folder = None;
    let make = || {
        let made = local_disks::root().map_err(std::io::Error::other)?;
        let place = LocalFolder::unowned(made.path().join("state"));
        folder = Some(made);
        Ok(place)
    };
    let mut backend =
        Backend::open(config.backend, groups, make, Some(restored), false).map_err(|error| refused(&error))?;
    let context = ChainContext {
        subtask,
        parallelism: config.parallelism,
        max_parallelism: config.max_parallelism,
        backend: &mut backend,
        input: &manifest.job.input,
        start: manifest.start,
        positions: &state.positions,
    };
    let build = &graph.vertices[usize::from(subtask.vertex.0)].build;
    let mut chain = build(context).map_err(|error| refused(&error))?;
    for table in chain.tables() {
        table.for_each(each).map_err(|error| refused(&error))?;
    }
    Ok(())
}
