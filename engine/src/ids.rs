//! The engine's identities as types, so that a checkpoint id cannot be passed where an attempt is meant.
//!
//! Words as Apache Flink uses them: a *vertex* is an operator chain of the job graph, a *subtask* one of its parallel
//! instances, an *attempt* one execution of the whole job (every failover starts the next), an *epoch* the records
//! between two barriers, named by the checkpoint that closes it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        // Only the number: in events and failure messages the name of the field stands beside it.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// Number of a checkpoint, and of the epoch that the checkpoint closes. Starts at 1, only grows, and is never used
    /// twice in a job.
    CheckpointId(u64), ""
);
number!(
    /// One execution of the job; starts at 1. Messages of an older attempt are ignored.
    Attempt(u32), "attempt "
);
number!(
    /// The term of one JobManager over a job (Flink: leader session id). Starts at 1; a higher one fences the lower.
    Term(u64), "term "
);
number!(
    /// An operator chain of the job graph, in topological order from 0.
    VertexId(u16), "vertex "
);
number!(
    /// A part of a source's input that is read in order by one subtask at a time; from 0.
    SplitId(u32), "split "
);

impl CheckpointId {
    /// The highest id that a file or message may name: far more than a job can reach, and low enough that sums do not
    /// overflow.
    pub const MAX: Self = Self(1 << 48);

    /// The next higher id.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Term {
    /// The highest term that a file or message may name.
    pub const MAX: Self = Self(1 << 48);
}

impl Attempt {
    /// The highest attempt that a file or message may name.
    pub const MAX: Self = Self(1 << 31);

    /// The attempt that follows a failover.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One attempt, named uniquely among all JobManagers of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Execution {
    /// The JobManager's term.
    pub term: Term,
    /// The attempt.
    pub attempt: Attempt,
}

/// A parallel instance of a vertex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubtaskId {
    /// The vertex, which is one operator chain.
    pub vertex: VertexId,
    /// The index within the vertex, `0..parallelism`.
    pub index: u16,
}

impl fmt::Debug for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.vertex.0, self.index)
    }
}

/// One direction of data between two subtasks, along one edge of the job graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId {
    /// The subtask that writes.
    pub from: SubtaskId,
    /// The subtask that reads.
    pub to: SubtaskId,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.from, self.to)
    }
}

/// Name of a node of the cluster: `jm-1`, `tm-1` … Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(std::sync::Arc<str>);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for NodeName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for NodeName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// One of the two durable stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// Checkpoints and the leadership log.
    Checkpoints,
    /// Output of the sinks.
    Output,
}
