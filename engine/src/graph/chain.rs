//! Operator chains: what one subtask does with its records, compiled into one piece.
//!
//! A chain is a head (source or network input), any number of [`Link`]s, each owning the next, and a tail (network
//! output or sink). Records are pushed from link to link by static calls. The subtask calls a chain dynamically only
//! once per batch ([`Chain::tail`], [`Chain::positions`]; these allocate nothing) or once per snapshot
//! ([`Chain::tables`]).

use std::fmt;

use serde::de::DeserializeOwned;

use super::element::Element;
use super::source::{Source, SourceReader, SourceStatus, SplitPosition};
use super::{InputSpec, Partitioning};
use crate::codec::{decode, encode};
use crate::ids::SubtaskId;
use crate::state::key_group::{group_of, groups_of, owner_of};
use crate::state::{Backend, CurrentKey, Key, StateError, StateOpener, StateSet, StateTable};
use crate::time::Time;

/// Why a chain cannot go on. This fails the task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The program returned an error. It stays text: what a user's function says is for whoever reads the log, and the engine does
    /// the same whatever it says.
    #[error("user function failed: {said}")]
    User {
        /// In the function's own words.
        said: String,
    },
    /// The state backend returned an error.
    #[error(transparent)]
    State(#[from] StateError),
    /// A buffer does not hold records of the edge's type, so the two ends run different programs.
    #[error("records cannot be decoded: {0}")]
    Decode(postcard::Error),
    /// A buffer that holds more than its records: likewise.
    #[error("records cannot be decoded: {bytes} bytes are left over")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
}

impl ChainError {
    /// For a user's function that failed, in its own words.
    pub fn user(said: impl Into<String>) -> Self {
        Self::User { said: said.into() }
    }
}

/// The context in which a chain is built.
pub struct ChainContext<'a> {
    /// The subtask that the chain is for.
    pub subtask: SubtaskId,
    /// Number of subtasks per vertex.
    pub parallelism: u16,
    /// Number of key groups.
    pub max_parallelism: u16,
    /// The backend for keyed state.
    pub backend: &'a mut Backend,
    /// The input of the sources.
    pub input: &'a InputSpec,
    /// Arrival of the job's first record.
    pub start: Time,
    /// Restored positions, for sources.
    pub positions: &'a [SplitPosition],
}

/// A chain without its types. Called only from its subtask, one call per batch.
pub trait Chain: Send {
    /// Pushes a buffer of `records` encoded records through the chain; only for chains with network input.
    fn process(&mut self, bytes: &[u8], records: u32) -> Result<(), ChainError>;
    /// Emits at most `budget` records; only for chains with a source.
    fn poll_source(&mut self, now: Time, budget: u32) -> Result<SourceStatus, ChainError>;
    /// Positions of the source at the head; empty for network input.
    fn positions(&self) -> &[SplitPosition];
    /// The end of the chain, with the records that have reached it.
    fn tail(&mut self) -> Tail<'_>;
    /// Tables of keyed state, from head to tail.
    fn tables(&mut self) -> Vec<&mut dyn StateTable>;
}

/// The end of a chain.
pub enum Tail<'a> {
    /// Records for the next vertex.
    Output(&'a mut Output),
    /// Records for the outside world.
    Sink(&'a mut SinkBuffer),
}

impl<'a> Tail<'a> {
    /// The output, if the chain ends in one.
    pub fn output(self) -> Option<&'a mut Output> {
        match self {
            Self::Output(output) => Some(output),
            Self::Sink(_) => None,
        }
    }

    /// The sink's buffer, if the chain ends in a sink.
    pub fn sink(self) -> Option<&'a mut SinkBuffer> {
        match self {
            Self::Sink(sink) => Some(sink),
            Self::Output(_) => None,
        }
    }
}

/// One link of a chain: takes records of type `T`.
pub trait Link<T>: Send {
    /// Processes one record, and everything that follows from it further down the chain.
    fn push(&mut self, record: T) -> Result<(), ChainError>;
    /// The end of the chain.
    fn tail(&mut self) -> Tail<'_>;
    /// Adds this link's tables, then those of the next link.
    fn tables<'a>(&'a mut self, tables: &mut Vec<&'a mut dyn StateTable>);
}

/// Head of a chain that reads from a source.
pub(super) struct SourceHead<S: Source, N> {
    pub(super) source: std::sync::Arc<S>,
    pub(super) reader: SourceReader,
    pub(super) next: N,
}

impl<S: Source, N: Link<S::Out>> Chain for SourceHead<S, N> {
    fn process(&mut self, _: &[u8], _: u32) -> Result<(), ChainError> {
        unreachable!("a source has no input channels")
    }

    fn poll_source(&mut self, now: Time, budget: u32) -> Result<SourceStatus, ChainError> {
        let Self { source, reader, next } = self;
        reader.poll(source.len(), now, budget, |index| next.push(source.read(index)?))
    }

    fn positions(&self) -> &[SplitPosition] {
        self.reader.positions()
    }

    fn tail(&mut self) -> Tail<'_> {
        self.next.tail()
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        let mut tables = Vec::new();
        self.next.tables(&mut tables);
        tables
    }
}

/// Head of a chain that reads from other subtasks.
pub(super) struct NetworkHead<T, N> {
    pub(super) next: N,
    pub(super) types: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send + 'static, N: Link<T>> Chain for NetworkHead<T, N> {
    fn process(&mut self, bytes: &[u8], records: u32) -> Result<(), ChainError> {
        let mut input = bytes;
        for _ in 0..records {
            let record = decode(&mut input).map_err(ChainError::Decode)?;
            self.next.push(record)?;
        }
        if !input.is_empty() {
            return Err(ChainError::LeftOver { bytes: input.len() });
        }
        Ok(())
    }

    fn poll_source(&mut self, _: Time, _: u32) -> Result<SourceStatus, ChainError> {
        unreachable!("only a source is polled")
    }

    fn positions(&self) -> &[SplitPosition] {
        &[]
    }

    fn tail(&mut self) -> Tail<'_> {
        self.next.tail()
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        let mut tables = Vec::new();
        self.next.tables(&mut tables);
        tables
    }
}

pub(super) struct MapLink<F, N> {
    pub(super) function: F,
    pub(super) next: N,
}

impl<T, U, F: Fn(T) -> U + Send, N: Link<U>> Link<T> for MapLink<F, N> {
    fn push(&mut self, record: T) -> Result<(), ChainError> {
        self.next.push((self.function)(record))
    }

    fn tail(&mut self) -> Tail<'_> {
        self.next.tail()
    }

    fn tables<'a>(&'a mut self, tables: &mut Vec<&'a mut dyn StateTable>) {
        self.next.tables(tables);
    }
}

pub(super) struct FilterLink<F, N> {
    pub(super) keep: F,
    pub(super) next: N,
}

impl<T, F: Fn(&T) -> bool + Send, N: Link<T>> Link<T> for FilterLink<F, N> {
    fn push(&mut self, record: T) -> Result<(), ChainError> {
        if (self.keep)(&record) { self.next.push(record) } else { Ok(()) }
    }

    fn tail(&mut self) -> Tail<'_> {
        self.next.tail()
    }

    fn tables<'a>(&'a mut self, tables: &mut Vec<&'a mut dyn StateTable>) {
        self.next.tables(tables);
    }
}

/// A function over keyed records that keeps state (Flink: `KeyedProcessFunction`).
pub trait ProcessFunction: Send + Sync + Clone + 'static {
    /// The key.
    type Key: Key;
    /// The type of incoming records.
    type In: Element;
    /// The type of emitted records.
    type Out: Element;
    /// The state: a [`crate::state::ValueState`] or a tuple of them.
    type State: StateSet;

    /// Declares the states; called once per attempt, before any record.
    fn open(&self, states: &mut StateOpener<'_>) -> Result<Self::State, StateError>;

    /// Processes one record of `key`; emits 0..n records. An error fails the task.
    fn process(
        &mut self,
        key: &CurrentKey<Self::Key>,
        record: Self::In,
        state: &mut Self::State,
        out: &mut Emit<impl Link<Self::Out>>,
    ) -> Result<(), ChainError>;
}

/// Passes results of a process function on; calls the next link directly.
pub struct Emit<N>(N);

impl<N> Emit<N> {
    /// Passes one record on.
    pub fn emit<T>(&mut self, record: T) -> Result<(), ChainError>
    where
        N: Link<T>,
    {
        self.0.push(record)
    }
}

pub(super) struct ProcessLink<P: ProcessFunction, KF, N> {
    function: P,
    key_of: KF,
    max_parallelism: u16,
    state: P::State,
    next: Emit<N>,
}

impl<P: ProcessFunction, KF, N> ProcessLink<P, KF, N> {
    pub(super) fn open(function: P, key_of: KF, context: &mut ChainContext<'_>, next: N) -> Result<Self, ChainError> {
        let state = function.open(&mut StateOpener::new(context.backend))?;
        Ok(Self { function, key_of, max_parallelism: context.max_parallelism, state, next: Emit(next) })
    }
}

impl<P, KF, N> Link<P::In> for ProcessLink<P, KF, N>
where
    P: ProcessFunction,
    KF: Fn(&P::In) -> P::Key + Send,
    N: Link<P::Out>,
{
    fn push(&mut self, record: P::In) -> Result<(), ChainError> {
        let key = (self.key_of)(&record);
        let group = group_of(&key, self.max_parallelism);
        self.function.process(&CurrentKey { key, group }, record, &mut self.state, &mut self.next)
    }

    fn tail(&mut self) -> Tail<'_> {
        self.next.0.tail()
    }

    fn tables<'a>(&'a mut self, tables: &mut Vec<&'a mut dyn StateTable>) {
        self.state.tables(tables);
        self.next.0.tables(tables);
    }
}

/// Records for the subtasks of the next vertex: per channel one buffer that is being filled, and the full buffers.
pub struct Output {
    channels: Vec<Filling>,
    full: Vec<(usize, FullBuffer)>,
    buffer_size: usize,
}

#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    records: u32,
}

/// A buffer that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullBuffer {
    /// Encoded records.
    pub bytes: bytes::Bytes,
    /// The number of records.
    pub records: u32,
}

impl Output {
    fn new(channels: u16) -> Self {
        Self {
            channels: (0..channels).map(|_| Filling::default()).collect(),
            full: Vec::new(),
            buffer_size: crate::config::JobConfig::default().buffer_size as usize,
        }
    }

    /// Sets the size in bytes at which a buffer is full.
    pub fn set_buffer_size(&mut self, bytes: usize) {
        self.buffer_size = bytes;
    }

    fn write<T: Element>(&mut self, channel: usize, record: &T) {
        let size = self.buffer_size;
        let filling = &mut self.channels[channel];
        if filling.bytes.capacity() == 0 {
            // Starts small, because at low rates most buffers are sent nearly empty, after the buffer timeout.
            filling.bytes.reserve_exact(1024.min(size));
        }
        encode(record, &mut filling.bytes);
        filling.records += 1;
        if filling.bytes.len() >= size {
            self.seal(channel);
            self.channels[channel].bytes.reserve_exact(size + size / 8);
        }
    }

    fn seal(&mut self, channel: usize) {
        let filling = std::mem::take(&mut self.channels[channel]);
        if filling.records > 0 {
            self.full.push((channel, FullBuffer { bytes: filling.bytes.into(), records: filling.records }));
        }
    }

    /// Whether there are records in buffers that are not full.
    pub fn has_partial(&self) -> bool {
        self.channels.iter().any(|filling| filling.records > 0)
    }

    /// Whether there are full buffers to send.
    pub fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Whether no buffer holds a record.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && !self.has_partial()
    }

    /// Makes every buffer with records count as full.
    pub fn seal_all(&mut self) {
        (0..self.channels.len()).for_each(|channel| self.seal(channel));
    }

    /// Takes the full buffers in the order in which they filled, each with the index of its channel.
    pub fn take_full(&mut self) -> std::vec::IntoIter<(usize, FullBuffer)> {
        std::mem::take(&mut self.full).into_iter()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} channels, {} full)", self.channels.len(), self.full.len())
    }
}

/// Tail of a chain that sends to the next vertex. `KF` computes the key for [`Partitioning::Hash`].
pub(super) struct OutputLink<KF> {
    output: Output,
    key_of: KF,
    partitioning: Partitioning,
    parallelism: u16,
    max_parallelism: u16,
    turn: usize,
}

impl<KF> OutputLink<KF> {
    pub(super) fn new(key_of: KF, partitioning: Partitioning, context: &ChainContext<'_>) -> Self {
        Self {
            output: Output::new(context.parallelism),
            key_of,
            partitioning,
            parallelism: context.parallelism,
            max_parallelism: context.max_parallelism,
            // Each subtask begins with another target, so that even a few records are spread.
            turn: usize::from(context.subtask.index),
        }
    }
}

impl<T: Element, K: Key, KF: Fn(&T) -> K + Send> Link<T> for OutputLink<KF> {
    fn push(&mut self, record: T) -> Result<(), ChainError> {
        let channel = match self.partitioning {
            Partitioning::Hash => {
                let group = group_of(&(self.key_of)(&record), self.max_parallelism);
                usize::from(owner_of(group, self.max_parallelism, self.parallelism))
            }
            Partitioning::Rebalance => {
                self.turn = (self.turn + 1) % usize::from(self.parallelism);
                self.turn
            }
        };
        self.output.write(channel, &record);
        Ok(())
    }

    fn tail(&mut self) -> Tail<'_> {
        Tail::Output(&mut self.output)
    }

    fn tables<'a>(&'a mut self, _: &mut Vec<&'a mut dyn StateTable>) {}
}

/// Formatted output that belongs to no transaction yet.
#[derive(Debug, Default)]
pub struct SinkBuffer {
    /// Formatted records.
    pub bytes: Vec<u8>,
    /// The number of records.
    pub records: u64,
}

/// Tail of a chain that writes to the outside world.
pub(super) struct SinkLink<F> {
    pub(super) format: F,
    pub(super) buffer: SinkBuffer,
}

impl<T, F: Fn(&T, &mut Vec<u8>) + Send> Link<T> for SinkLink<F> {
    fn push(&mut self, record: T) -> Result<(), ChainError> {
        (self.format)(&record, &mut self.buffer.bytes);
        self.buffer.records += 1;
        Ok(())
    }

    fn tail(&mut self) -> Tail<'_> {
        Tail::Sink(&mut self.buffer)
    }

    fn tables<'a>(&'a mut self, _: &mut Vec<&'a mut dyn StateTable>) {}
}

impl ChainContext<'_> {
    /// The key groups of this subtask.
    pub fn groups(&self) -> std::ops::Range<u16> {
        groups_of(self.subtask.index, self.max_parallelism, self.parallelism)
    }
}
