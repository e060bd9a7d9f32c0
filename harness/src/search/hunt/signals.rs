//! Signals: what a run shows, as numbers. Two runs with the same signals went about the same way.
//!
//! Start at [`steps`]. There are four sorts; with them a hunt decides whether a plan is worth changing further:
//!
//! - **S1** steps of one process: an event and the next one of the same role, such as `leader: checkpoint-aborted,
//!   failover-begun`. The engine's state machines are not looked into; the order of their events shows what they do.
//! - **S2** steps across processes: an event and the next one of another node, whichever node that is. In a race, the
//!   order of two such events differs.
//! - **S3** the class of the run's [`Signature`](crate::search::signature::Signature), which stands beside these.
//! - **S4** how often each kind of event came, in powers of two.
//!
//! S1 and S2 count only what comes after the first strike, because before it all runs of a plan are the same. Periodic
//! events (heartbeats) are left out, because their position among other events is random.
//!
//! Invariant: (SIGNALS-1) signals depend only on the order and kinds of events, not on times, checkpoint ids or names
//! of nodes.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{Event, EventRecord, Occasion};
use flowquake_engine::time::Time;
use xxhash_rust::xxh3::xxh3_64;

/// The numbers of S1 and S2 of a run, sorted, each once.
pub fn steps(events: &[EventRecord], struck_at: Option<Time>) -> Vec<u64> {
    let Some(struck_at) = struck_at else { return Vec::new() };
    let mut found = BTreeSet::new();
    let mut last_of: BTreeMap<&str, &str> = BTreeMap::new();
    let mut last: Option<(&str, &str)> = None;
    for record in events.iter().filter(|record| record.at >= struck_at) {
        let name = record.event.name();
        if Event::row(name).is_none_or(|row| row.occasion == Occasion::Periodic) {
            continue;
        }
        let (node, role) = (record.node.as_str(), role(record.node.as_str()));
        if let Some(before) = last_of.insert(node, name) {
            found.insert(number(&["S1", role, before, name]));
        }
        if let Some((other, before)) = last.filter(|(other, _)| *other != node) {
            found.insert(number(&["S2", self::role(other), before, role, name]));
        }
        last = Some((node, name));
    }
    found.into_iter().collect()
}

/// The numbers of S4.
pub fn counts(events_by_name: &BTreeMap<String, u64>) -> impl Iterator<Item = u64> + '_ {
    let counted = events_by_name.iter().filter(|(_, times)| **times > 0);
    counted.map(|(name, times)| number(&["S4", name, &times.ilog2().to_string()]))
}

/// The number of S3.
pub fn class(class: u64) -> u64 {
    number(&["S3", &class.to_string()])
}

fn role(node: &str) -> &str {
    node.split('-').next().unwrap_or(node)
}

fn number(words: &[&str]) -> u64 {
    xxh3_64(words.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use flowquake_engine::ids::{Attempt, CheckpointId};

    use super::*;
    use crate::fixtures::{at, ms, subtask};

    fn run(late: u64, nodes: [&str; 2]) -> Vec<EventRecord> {
        let (attempt, checkpoint) = (Attempt(1), CheckpointId(1 + late));
        vec![
            at(1, "jm-1", Event::JobRunning { attempt }),
            at(10 + late, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last: false }),
            at(11 + late, "jm-1", Event::HeartbeatSent { to: nodes[0].into() }),
            at(12 + late, nodes[0], Event::BarrierInjected { attempt, checkpoint, subtask: subtask(0, 0) }),
            at(13 + late, nodes[1], Event::BarrierInjected { attempt, checkpoint, subtask: subtask(0, 1) }),
        ]
    }

    #[test]
    fn times_names_and_numbers_do_not_count_but_order_does() {
        let of = |events: &[EventRecord]| steps(events, Some(ms(5)));
        let one = of(&run(0, ["tm-1", "tm-2"]));
        assert_eq!(
            one.len(),
            2,
            "two steps across processes; what came before the strike, and heartbeats, are left out"
        );
        assert_eq!(one, of(&run(70, ["tm-3", "tm-1"])), "SIGNALS-1");
        let mut swapped = run(0, ["tm-1", "tm-2"]);
        swapped.swap(1, 3);
        assert_ne!(one, of(&swapped));
        // Two steps of the same process are another step than steps of two processes.
        assert_ne!(one, of(&run(0, ["tm-1", "tm-1"])));
        assert!(steps(&run(0, ["tm-1", "tm-2"]), None).is_empty(), "nothing struck");
    }

    #[test]
    fn counts_are_powers_of_two() {
        let of = |n: u64| counts(&BTreeMap::from([("a".to_owned(), n)])).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert!(of(4) == of(7) && of(7) != of(8) && class(1) != class(2));
    }
}
