//! Chandy-Lamport checkpoints: what they consist of, when they are taken, how they end. All of it pure.
//!
//! [`align`] decides per subtask when a snapshot begins, [`coordinator`] per job when a checkpoint is triggered, sealed,
//! given up and used again, [`schedule`] when the next is due, [`manifest`] what a sealed checkpoint says.

pub mod align;
pub mod coordinator;
pub(crate) mod envelope;
pub mod manifest;
pub mod schedule;
