//! Proves or refutes the fault tolerance of a stream engine: one scenario in, one verdict with evidence out.
//!
//! How data flows: a scenario file becomes a [`plan::RunPlan`] ([`scenario`]), and running the plan gives an
//! [`outcome::Outcome`] ([`run`]). The outcome is judged ([`oracles`], [`verdict`]) and measured ([`measure`]). Plan,
//! verdict and measurements together are one `RunRecord` ([`session`]), from which the reports are made. The command
//! line is [`cli`].

pub mod calibrate;
mod checker;
pub mod cli;
pub mod cost;
pub mod director;
mod draws;
pub mod engine_command;
pub mod environment;
mod exit_guard;
pub mod explain;
pub mod faults;
pub mod finding;
#[cfg(test)]
mod fixtures;
pub mod flink;
mod hooks;
mod interrupt;
pub mod jobs;
mod live;
mod local_disks;
mod logging;
pub mod measure;
pub mod nemesis;
pub mod oracles;
pub mod outcome;
pub mod plan;
pub mod predict;
pub mod process;
pub mod profile;
pub mod provenance;
mod pulse;
mod reader;
mod recorder;
pub mod run;
pub mod scenario;
mod screen;
pub mod search;
pub mod session;
pub mod shrink;
pub mod stage;
pub mod state_reader;
pub mod swarm;
pub mod target;
mod testing;
pub mod trace;
pub mod tune;
pub(crate) mod units;
pub mod verdict;
mod worker;
mod writer;

pub use cli::main;
pub use testing::{test, test_main};
