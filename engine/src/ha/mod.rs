//! High availability: who leads a job, and what the next leader must know, in a numbered log in the checkpoint store.
//!
//! Each entry is an object that is created once and never changed, `ha/segment-number`; each holds the whole state, so the
//! newest one is all that a reader needs. Whoever creates the next entry has spoken: a writer whose place is taken finds out
//! that somebody else leads. A term begins with an entry of its own ([`entry::Change::Opened`]) in a segment of its own: whoever
//! opens it closes the segment of the leader before him first. A leader closes a segment that is long enough, and goes on in
//! the next one, so that what is over can be removed.
//!
//! - [`position`]: where an entry stands, and what may be removed. Pure.
//! - [`entry`]: what stands in an entry.
//! - [`log`]: reading and appending over a store that may fail, tear writes, answer wrongly or late.
//! - [`follower`]: when a standby may open a term. Pure.
//!
//! Invariants: (H1) an effect that outlives its leader (a completed checkpoint, an attempt, a fallback, the result) counts only
//! once its entry is durable and was read back; (H2) time decides when somebody *tries* to lead, never who leads; (H3) the
//! first and the last entry of a segment are never removed, the others only once a later segment has begun: nobody, however
//! late, creates an entry that counts anywhere but at the end (`interleavings` explores it).
//! Source: apache/flink `LeaderElection`, `CompletedCheckpointStore`, `CheckpointIDCounter`, `JobResultStore`; the idea of
//! fencing by conditional creation alone is Arroyo's.

pub mod entry;
pub mod follower;
#[cfg(test)]
mod interleavings;
pub mod log;
pub mod position;
