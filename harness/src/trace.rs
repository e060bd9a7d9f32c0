//! The trace of a run: every event in order, and a hash over all of it.
//!
//! Two runs of one plan give the same hash, in any thread, process and build. The hash covers every field of every event,
//! the digest of the network (each frame's time, length and, for records, contents), and the names and contents of what the
//! sinks write. Of checkpoint files and control frames it takes names, times and lengths only: RocksDB writes other bytes in
//! every run, and their hashes travel in acknowledgements.

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::element::encode;
use xxhash_rust::xxh3::Xxh3;

/// Events in order of their time.
#[derive(Default)]
pub struct Trace {
    /// The events.
    pub events: Vec<EventRecord>,
    hasher: Xxh3,
    scratch: Vec<u8>,
}

impl Trace {
    /// Adds an event.
    pub fn push(&mut self, record: EventRecord) {
        self.scratch.clear();
        match &record.event {
            Event::CheckpointDamaged { checkpoint, file, .. } => {
                encode(&(record.at, &record.node, record.incarnation, checkpoint, file), &mut self.scratch);
            }
            _ => encode(&record, &mut self.scratch),
        }
        self.hasher.update(&self.scratch);
        self.events.push(record);
    }

    /// Adds something that is no event but belongs to the run.
    pub fn mix(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The hash so far.
    pub fn hash(&self) -> u64 {
        self.hasher.digest()
    }
}

/// The first difference of two traces, with what stands around it; `None` if there is none.
pub fn first_difference(one: &[EventRecord], other: &[EventRecord]) -> Option<String> {
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    let mut text = format!("event {at} differs:\n");
    for record in &one[at.saturating_sub(3)..at] {
        text.push_str(&format!("    both    {}\n", record));
    }
    for (name, trace) in [("first", one), ("second", other)] {
        for record in trace.iter().skip(at).take(2) {
            text.push_str(&format!("  > {name:<7} {}\n", record));
        }
        if trace.len() <= at {
            text.push_str(&format!("  > {name:<7} has ended\n"));
        }
    }
    Some(text)
}
