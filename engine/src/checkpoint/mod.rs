//! Chandy-Lamport checkpoints: what they consist of, when they are taken, how they end. All of it is pure.
//!
//! [`align`] decides per subtask when a snapshot begins. [`coordinator`] decides per job when a checkpoint is
//! triggered, sealed, aborted and restored; [`schedule`] knows when the next one is due. [`manifest`] is the contents
//! of a sealed checkpoint.

pub mod align;
pub mod coordinator;
pub(crate) mod envelope;
pub mod manifest;
pub mod schedule;
