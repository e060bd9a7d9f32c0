//! The scripted scenarios and the museum of planted bugs.
//!
//! Scenario files stand in folders by family beside this file; [`SCENARIOS`] is where. [`museum`] lists the planted bugs, each
//! with the scenario and the oracle that catch it.

pub mod museum;

/// The folder with the scenario files.
pub const SCENARIOS: &str = env!("CARGO_MANIFEST_DIR");
