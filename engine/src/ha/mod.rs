//! High availability: a numbered log in the checkpoint store says who leads a job, and what the next leader must know.
//!
//! Each entry is an object `ha/segment-number` that is created once and never changed. Each entry holds the whole
//! state, so a reader needs only the newest one. Creating the next entry is the only way to act: a writer whose place
//! is taken learns that another JobManager leads. A term begins with an entry of its own ([`entry::Change::Opened`])
//! in a new segment; the JobManager that opens the term first closes the segment of the previous leader. A leader also
//! closes its segment when that is long enough and continues in the next one, so that entries of old segments can be
//! removed.
//!
//! - [`position`]: where an entry stands, and what may be removed. Pure.
//! - [`entry`]: the contents of an entry.
//! - [`log`]: reading and appending over a store that may fail, tear writes, or answer wrongly or late.
//! - [`follower`]: when a standby may open a term. Pure.
//!
//! Invariants: (H1) an effect that outlives its leader (a completed checkpoint, an attempt, a fallback, the result)
//! counts only once its entry is durable and was read back; (H2) time decides when somebody *tries* to lead, never who
//! leads; (H3) the first and the last entry of a segment are never removed, the others only once a later segment has
//! begun. So nobody, however late, creates an entry that counts anywhere but at the end (`interleavings` explores
//! this).
//! Source: apache/flink `LeaderElection`, `CompletedCheckpointStore`, `CheckpointIDCounter`, `JobResultStore`; the
//! idea of fencing by conditional creation alone is Arroyo's.

pub mod entry;
pub mod follower;
#[cfg(test)]
mod interleavings;
pub mod log;
pub mod position;
