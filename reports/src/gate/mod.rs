//! The regression gate: compares today's runs with a baseline that the team committed.
//!
//! ```text
//! gate.json ─► Baseline ─┐
//!                        ├─► judge ─► Judgement ─► terminal, JUnit, JSON, Markdown, HTML
//! runs ─► Measured ──────┘
//! ```
//! Start at [`judge`]. [`baseline`] says what the file holds, [`times`] what is measured, and [`budget`] how much
//! slower is too slow. Everything here is pure: the caller runs the scenarios and passes a [`Measured`].

pub mod baseline;
pub mod budget;
pub mod diff;
pub mod html;
pub mod json;
mod judge;
pub mod junit;
pub mod markdown;
mod outcome;
mod tables;
pub mod terminal;
pub mod times;

#[cfg(test)]
mod fixtures;

pub use judge::{
    Judgement, Measured, Note, Pace, RunJudgement, ScenarioJudgement, TimeJudgement, TraceJudgement, judge,
};
pub use outcome::Outcome;
