//! Connections to the outside world: a source of the lines of a file, and the two-phase-commit file sink.

pub mod file_sink;
pub mod lines;
#[cfg(feature = "mutations")]
mod planted;
