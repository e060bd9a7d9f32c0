//! The scripted scenarios and the museum of planted bugs.
//!
//! Scenario files stand beside this file, in one folder per family; [`SCENARIOS`] is the path. [`museum`] lists the
//! planted bugs, each with the scenario and the oracle that catch it.

pub mod museum;

/// The folder with the scenario files.
pub const SCENARIOS: &str = env!("CARGO_MANIFEST_DIR");
