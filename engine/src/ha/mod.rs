//! High availability: who leads a job, and what the next leader must know, in a numbered log in the checkpoint store.
//!
//! Entry `n` is the object `ha/n`, written once. [`entry`] says what an entry holds.

pub mod entry;
