//! Jobs: the typed DataStream API, the operator chains it compiles to, and the graph of chains that is deployed.
//!
//! Start at [`stream::StreamBuilder`]. A program builds a [`JobGraph`] of chains; every TaskManager builds the same
//! graph from the [`JobSpec`] and makes the chains of its subtasks. Inside a chain everything is monomorphised; the
//! only dynamic calls are per batch, at [`chain::Chain`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, JobConfig};
use crate::env::{InputError, InputFiles};
use crate::ids::{ChannelId, SubtaskId, VertexId};

pub mod chain;
pub mod element;
pub mod source;
pub mod stream;

use chain::{Chain, ChainContext};

/// A job as it is submitted: the name of its program, its input and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Name of the program in the registry.
    pub program: String,
    /// Parameters of the program.
    pub params: BTreeMap<String, String>,
    /// Input of the sources.
    pub input: InputSpec,
    /// Settings of the engine.
    pub config: JobConfig,
}

/// The input of a job's sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Where records come from.
    pub kind: InputKind,
    /// Number of splits; record `i` belongs to split `i mod splits`.
    pub splits: u32,
    /// Time between two arrivals in femtoseconds; 0 means that all records are there at once. An integer, so that no
    /// float becomes a time.
    pub period_fs: u64,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputKind {
    /// Lines of a file, `repeat` times over.
    File {
        /// Path of the file.
        path: String,
        /// How many times the file is read.
        repeat: u32,
    },
    /// Generated records.
    Generator {
        /// Name of the generator, known to the program.
        name: String,
        /// The number of records.
        records: u64,
        /// Seed of the generator.
        seed: u64,
    },
}

/// Most splits of an input. They are listed and assigned one by one, and a higher number is most likely a typing
/// error.
pub const SPLITS_MAX: u32 = 65_536;

impl JobSpec {
    /// Checks the settings of the engine, and limits that hold for every program.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.config.validate()?;
        if !(1..=SPLITS_MAX).contains(&self.input.splits) {
            let (value, accepted) = (self.input.splits.to_string(), format!("1 to {SPLITS_MAX}"));
            return Err(ConfigError { field: "splits", value, accepted });
        }
        Ok(())
    }
}

impl InputSpec {
    /// Femtoseconds between arrivals at `rate` records per second; 0 without a rate, or if the rate is not a positive
    /// number.
    pub fn period_of(rate: Option<f64>) -> u64 {
        match rate {
            // One division and one rounding, both exactly defined, so the result is the same everywhere.
            Some(rate) if rate > 0.0 => (1e15 / rate).round().clamp(1.0, 1e19) as u64,
            _ => 0,
        }
    }
}

/// Why a job cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// There is no such program.
    #[error("no job is called `{name}`; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The known names.
        known: String,
    },
    /// The program does not accept a parameter or an input.
    #[error("job `{job}`: {what}")]
    Refused {
        /// The program.
        job: String,
        /// What the program refuses, and what it accepts.
        what: String,
    },
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// Builds a job's graph; every node of a cluster has the same builder.
pub type JobBuilder = Arc<dyn Fn(&JobSpec, &InputFiles) -> Result<JobGraph, JobError> + Send + Sync>;

/// How records are distributed to the subtasks of the next vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// By key group.
    Hash,
    /// To each subtask in turn.
    Rebalance,
}

/// Makes the chain of one subtask.
pub type BuildChain = dyn Fn(ChainContext<'_>) -> Result<Box<dyn Chain>, chain::ChainError> + Send + Sync;

/// An operator chain.
#[derive(Clone)]
pub struct Vertex {
    /// Its name, e.g. `lines -> key_by`.
    pub name: String,
    /// Makes the chain for one subtask.
    pub build: Arc<BuildChain>,
    /// Whether its input is a source.
    pub is_source: bool,
    /// Whether it ends in a transactional sink.
    pub has_sink: bool,
    /// Whether it holds keyed state.
    pub is_keyed: bool,
}

/// Records flow from one vertex to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The upstream vertex.
    pub from: VertexId,
    /// The downstream vertex.
    pub to: VertexId,
    /// How the records are distributed.
    pub partitioning: Partitioning,
}

/// Chains and edges, in topological order. All vertices have the job's parallelism and share its slots: subtask `i` of
/// every vertex runs in slot `i`.
#[derive(Clone, Default)]
pub struct JobGraph {
    /// Indexed by [`VertexId`].
    pub vertices: Vec<Vertex>,
    /// From lower to higher vertices.
    pub edges: Vec<Edge>,
}

impl JobGraph {
    /// Ids of the vertices for which `which` holds.
    pub fn vertices_where<'a>(&'a self, which: impl Fn(&Vertex) -> bool + 'a) -> impl Iterator<Item = VertexId> + 'a {
        let ids = (0..).map(VertexId);
        ids.zip(&self.vertices).filter(move |(_, vertex)| which(vertex)).map(|(id, _)| id)
    }

    /// Every subtask at this parallelism, in order.
    pub fn subtasks(&self, parallelism: u16) -> Vec<SubtaskId> {
        let vertices = (0..self.vertices.len() as u16).map(VertexId);
        vertices.flat_map(|vertex| (0..parallelism).map(move |index| SubtaskId { vertex, index })).collect()
    }

    /// The channels into a subtask, in order of the upstream subtasks.
    pub fn inputs_of(&self, to: SubtaskId, parallelism: u16) -> Vec<ChannelId> {
        let edges = self.edges.iter().filter(|edge| edge.to == to.vertex);
        edges
            .flat_map(|edge| (0..parallelism).map(move |index| SubtaskId { vertex: edge.from, index }))
            .map(|from| ChannelId { from, to })
            .collect()
    }

    /// The channels out of a subtask, in order of the downstream subtasks.
    pub fn outputs_of(&self, from: SubtaskId, parallelism: u16) -> Vec<ChannelId> {
        let edges = self.edges.iter().filter(|edge| edge.from == from.vertex);
        edges
            .flat_map(|edge| (0..parallelism).map(move |index| SubtaskId { vertex: edge.to, index }))
            .map(|to| ChannelId { from, to })
            .collect()
    }
}
