//! Connections to the outside world: sources of lines and generated records, and the two-phase-commit file sink.

pub mod file_sink;
pub mod lines;
#[cfg(feature = "mutations")]
mod planted;
