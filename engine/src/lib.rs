//! A Flink-style stream engine, written once and run in two worlds: a deterministic simulator and real tokio.
pub mod checkpoint;
pub mod config;
pub mod connectors;
pub mod env;
pub mod event;
pub mod exchange;
pub mod graph;
pub mod ids;
pub mod jobmanager;
pub mod mutation;
pub mod state;
pub mod taskmanager;
pub mod time;
pub mod wire;
