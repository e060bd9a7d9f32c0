//! The typed DataStream API: a program is a sequence of `source`, `map`, `filter`, `key_by`, `process`, `sink`.
//!
//! Nothing runs while a program is defined. Each step wraps the previous one in a [`Stage`], and a tail (exchange or
//! sink) turns the stages into a factory of chains for one vertex. A chain is built from its tail to its head, each
//! link owning the next, so that the compiler sees the whole chain as one function.
//!
//! ```
//! use flowquake_engine::graph::stream::StreamBuilder;
//! # use flowquake_engine::graph::source::Source;
//! # struct Numbers;
//! # impl Source for Numbers { type Out = u64; fn len(&self) -> u64 { 10 } fn record(&self, i: u64) -> u64 { i } }
//! let job = StreamBuilder::new();
//! job.source("numbers", Numbers).filter(|n| n % 2 == 0).map(|n| n * n).sink("squares", |n: &u64, out| {
//!     out.extend_from_slice(format!("{n}\n").as_bytes());
//! });
//! assert_eq!(job.build().vertices.len(), 1);
//! ```

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::chain::{
    Chain, ChainContext, ChainError, FilterLink, Link, MapLink, NetworkHead, OutputLink, ProcessFunction, ProcessLink,
    SinkBuffer, SinkLink, SourceHead,
};
use super::element::Element;
use super::source::{Source, SourceReader};
use super::{Edge, JobGraph, Partitioning, Vertex};
use crate::ids::VertexId;
use crate::state::Key;

/// Collects the vertices of a program.
#[derive(Default, Clone)]
pub struct StreamBuilder {
    graph: Rc<RefCell<JobGraph>>,
}

/// The steps of a chain so far, including the head. Builds the chain once the following links are known.
pub trait Stage: Clone + Send + Sync + 'static {
    /// The type of records after the last step.
    type Out: 'static;
    /// Builds the chain whose links after these steps are `next`.
    fn attach<N: Link<Self::Out> + 'static>(
        &self,
        context: &mut ChainContext<'_>,
        next: N,
    ) -> Result<Box<dyn Chain>, ChainError>;
}

/// A stream of records of type `S::Out`.
pub struct DataStream<S: Stage> {
    builder: StreamBuilder,
    stage: S,
    name: String,
    from: Option<(VertexId, Partitioning)>,
    is_keyed: bool,
}

impl StreamBuilder {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a chain with a replayable source.
    pub fn source<S: Source>(&self, name: &str, source: S) -> DataStream<SourceStage<S>> {
        let stage = SourceStage(Arc::new(source));
        DataStream { builder: self.clone(), stage, name: name.into(), from: None, is_keyed: false }
    }

    /// The graph of all chains that ended in a sink or an exchange.
    pub fn build(&self) -> JobGraph {
        self.graph.borrow().clone()
    }
}

impl<S: Stage> DataStream<S> {
    /// Applies a function to every record.
    pub fn map<U: 'static, F: Fn(S::Out) -> U + Clone + Send + Sync + 'static>(
        self,
        function: F,
    ) -> DataStream<MapStage<S, F, U>> {
        self.then("map", |stage| MapStage { stage, function, types: PhantomData })
    }

    /// Keeps the records for which `keep` holds.
    pub fn filter<F: Fn(&S::Out) -> bool + Clone + Send + Sync + 'static>(
        self,
        keep: F,
    ) -> DataStream<FilterStage<S, F>> {
        self.then("filter", |stage| FilterStage { stage, keep })
    }

    /// Sends records with equal keys to the same subtask. Ends the chain.
    pub fn key_by<K: Key, F: Fn(&S::Out) -> K + Clone + Send + Sync + 'static>(
        self,
        key_of: F,
    ) -> KeyedStream<S::Out, F>
    where
        S::Out: Element,
    {
        let stream = self.exchange(Partitioning::Hash, key_of.clone());
        KeyedStream { stream, key_of }
    }

    /// Spreads records evenly. Ends the chain.
    pub fn rebalance(self) -> DataStream<NetworkStage<S::Out>>
    where
        S::Out: Element,
    {
        self.exchange(Partitioning::Rebalance, |_| ())
    }

    /// Writes records with exactly-once transactions. `format` appends one record's bytes, line feed included.
    pub fn sink<F: Fn(&S::Out, &mut Vec<u8>) + Clone + Send + Sync + 'static>(self, name: &str, format: F) {
        let stage = self.stage.clone();
        self.finish(name, true, move |mut context| {
            stage.attach(&mut context, SinkLink { format: format.clone(), buffer: SinkBuffer::default() })
        });
    }

    fn then<T: Stage>(self, step: &str, wrap: impl FnOnce(S) -> T) -> DataStream<T> {
        DataStream {
            builder: self.builder,
            stage: wrap(self.stage),
            name: format!("{} -> {step}", self.name),
            from: self.from,
            is_keyed: self.is_keyed,
        }
    }

    fn exchange<K: Key, F: Fn(&S::Out) -> K + Clone + Send + Sync + 'static>(
        self,
        partitioning: Partitioning,
        key_of: F,
    ) -> DataStream<NetworkStage<S::Out>>
    where
        S::Out: Element,
    {
        let builder = self.builder.clone();
        let stage = self.stage.clone();
        let tail = match partitioning {
            Partitioning::Hash => "key_by",
            Partitioning::Rebalance => "rebalance",
        };
        let from = self.finish(tail, false, move |mut context| {
            let output = OutputLink::new(key_of.clone(), partitioning, &context);
            stage.attach(&mut context, output)
        });
        let stage = NetworkStage(PhantomData);
        DataStream { builder, stage, name: "input".into(), from: Some((from, partitioning)), is_keyed: false }
    }

    fn finish(
        self,
        tail: &str,
        has_sink: bool,
        build: impl Fn(ChainContext<'_>) -> Result<Box<dyn Chain>, ChainError> + Send + Sync + 'static,
    ) -> VertexId {
        let mut graph = self.builder.graph.borrow_mut();
        let id = VertexId(graph.vertices.len() as u16);
        let name = format!("{} -> {tail}", self.name);
        let is_source = self.from.is_none();
        graph.vertices.push(Vertex { name, build: Arc::new(build), is_source, has_sink, is_keyed: self.is_keyed });
        if let Some((from, partitioning)) = self.from {
            graph.edges.push(Edge { from, to: id, partitioning });
        }
        id
    }
}

/// A stream in which records of equal keys meet in one subtask.
pub struct KeyedStream<T: Element, F> {
    stream: DataStream<NetworkStage<T>>,
    key_of: F,
}

impl<T: Element, F: Clone + Send + Sync + 'static> KeyedStream<T, F> {
    /// Applies a function that keeps state per key.
    pub fn process<P>(self, function: P) -> DataStream<ProcessStage<NetworkStage<T>, P, F>>
    where
        P: ProcessFunction<In = T>,
        F: Fn(&T) -> P::Key,
    {
        let key_of = self.key_of;
        let mut stream = self.stream.then("process", |stage| ProcessStage { stage, function, key_of });
        stream.is_keyed = true;
        stream
    }
}

/// Stage: a source.
pub struct SourceStage<S>(Arc<S>);

impl<S> Clone for SourceStage<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Source> Stage for SourceStage<S> {
    type Out = S::Out;
    fn attach<N: Link<S::Out> + 'static>(
        &self,
        context: &mut ChainContext<'_>,
        next: N,
    ) -> Result<Box<dyn Chain>, ChainError> {
        let ChainContext { subtask, parallelism, input, start, positions, .. } = context;
        let reader = SourceReader::new(input, *start, subtask.index, *parallelism, positions);
        Ok(Box::new(SourceHead { source: self.0.clone(), reader, next }))
    }
}

/// Stage: records from other subtasks.
pub struct NetworkStage<T>(PhantomData<fn() -> T>);

impl<T> Clone for NetworkStage<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Element> Stage for NetworkStage<T> {
    type Out = T;
    fn attach<N: Link<T> + 'static>(&self, _: &mut ChainContext<'_>, next: N) -> Result<Box<dyn Chain>, ChainError> {
        Ok(Box::new(NetworkHead { next, types: PhantomData }))
    }
}

/// Stage: `map`.
pub struct MapStage<S, F, U> {
    stage: S,
    function: F,
    types: PhantomData<fn() -> U>,
}

impl<S: Clone, F: Clone, U> Clone for MapStage<S, F, U> {
    fn clone(&self) -> Self {
        Self { stage: self.stage.clone(), function: self.function.clone(), types: PhantomData }
    }
}

impl<S: Stage, U: 'static, F: Fn(S::Out) -> U + Clone + Send + Sync + 'static> Stage for MapStage<S, F, U> {
    type Out = U;
    fn attach<N: Link<U> + 'static>(
        &self,
        context: &mut ChainContext<'_>,
        next: N,
    ) -> Result<Box<dyn Chain>, ChainError> {
        self.stage.attach(context, MapLink { function: self.function.clone(), next })
    }
}

/// Stage: `filter`.
#[derive(Clone)]
pub struct FilterStage<S, F> {
    stage: S,
    keep: F,
}

impl<S: Stage, F: Fn(&S::Out) -> bool + Clone + Send + Sync + 'static> Stage for FilterStage<S, F> {
    type Out = S::Out;
    fn attach<N: Link<S::Out> + 'static>(
        &self,
        context: &mut ChainContext<'_>,
        next: N,
    ) -> Result<Box<dyn Chain>, ChainError> {
        self.stage.attach(context, FilterLink { keep: self.keep.clone(), next })
    }
}

/// Stage: `process`.
#[derive(Clone)]
pub struct ProcessStage<S, P, F> {
    stage: S,
    function: P,
    key_of: F,
}

impl<S, P, F> Stage for ProcessStage<S, P, F>
where
    P: ProcessFunction,
    S: Stage<Out = P::In>,
    F: Fn(&P::In) -> P::Key + Clone + Send + Sync + 'static,
{
    type Out = P::Out;
    fn attach<N: Link<P::Out> + 'static>(
        &self,
        context: &mut ChainContext<'_>,
        next: N,
    ) -> Result<Box<dyn Chain>, ChainError> {
        let link = ProcessLink::open(self.function.clone(), self.key_of.clone(), context, next)?;
        self.stage.attach(context, link)
    }
}
