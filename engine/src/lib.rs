//! A Flink-style stream engine, written once and run in two worlds: a deterministic simulator and real tokio.
//!
//! A program written with [`graph::stream`] becomes a graph of operator chains. A [`jobmanager`] deploys the graph on
//! [`taskmanager`]s, takes barrier [`checkpoint`]s, and restarts the job from the newest usable checkpoint when
//! something fails; sinks in [`connectors`] make the output visible exactly once. The engine reaches clock, network,
//! disk and tasks only through [`mod@env`], and reports each step of the protocol as an [`event`]. The engine does not
//! know whether it is simulated or tested.

pub mod backend_kind;
pub mod checkpoint;
pub mod codec;
pub mod config;
pub mod connectors;
#[cfg(feature = "sim")]
pub mod contents;
pub mod env;
pub mod event;
pub mod exchange;
pub mod fault;
pub mod graph;
pub mod ha;
pub mod ids;
pub mod jobmanager;
pub mod message_kind;
#[cfg(test)]
mod model;
pub mod mutation;
pub mod paths;
pub mod state;
pub mod taskmanager;
pub mod time;
pub mod wire;
