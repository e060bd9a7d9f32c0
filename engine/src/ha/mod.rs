//! High availability: who leads a job, and what the next leader must know, in a numbered log in the checkpoint store.
//!
//! Entry `n` is the object `ha/n`, created once and never changed; each holds the whole state, so the newest one is all that a
//! reader needs. Whoever creates the next entry has spoken: a writer whose number is taken finds out that somebody else leads.
//! A term begins with an entry of its own ([`entry::Change::Opened`]).
//!
//! - [`entry`]: what stands in an entry.
//! - [`log`]: reading and appending over a store that may fail, tear writes, answer wrongly or late.
//! - [`follower`]: when a standby may open a term. Pure.
//!
//! Invariants: (H1) an effect that outlives its leader (a completed checkpoint, an attempt, a fallback, the result) counts only
//! once its entry is durable and was read back; (H2) time decides when somebody *tries* to lead, never who leads; (H3) entries
//! are never removed: a hole in the numbers would let a leader of long ago write again (`interleavings` explores why no tail
//! that is kept would do).
//! Source: apache/flink `LeaderElection`, `CompletedCheckpointStore`, `CheckpointIDCounter`, `JobResultStore`; the idea of
//! fencing by conditional creation alone is Arroyo's.

pub mod entry;
pub mod follower;
#[cfg(test)]
mod interleavings;
pub mod log;
