//! Positions: each event of a run as a place where a fault can strike, with what distinguishes it from other events.
//!
//! Start at [`positions`]. A [`Position`] says what the event is (kind, vertex, place in its group, epoch, attempt,
//! term) and how far the protocol had come ([`Phase`]). It also holds the trigger that matches this event and no other,
//! so every strike of a search is an ordinary plan that can be saved, replayed and made smaller.
//!
//! Invariant: (POSITION-P1) the trigger of a position matches its event, and of all events before it in the run exactly
//! `nth - 1`; so a fault with this trigger strikes exactly there.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{Event, EventRecord, Occasion};
use flowquake_engine::ids::{CheckpointId, SubtaskId};
use flowquake_engine::time::Time;

use crate::nemesis::matches;
use crate::plan::EventTrigger;

/// Which one of its group an event is. A group is the events of one kind at one vertex in one checkpoint and attempt;
/// for periodic events, those that follow each other directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InGroup {
    /// The group has only this event.
    Only,
    /// The first of several.
    First,
    /// Neither first nor last.
    Middle,
    /// The last.
    Last,
}

/// Which epoch of the run it is. Steady epochs are equivalent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Epoch {
    /// Before the first checkpoint was triggered.
    Start,
    /// The epoch of the first checkpoint.
    First,
    /// The epoch of the second checkpoint, which is the first to retire another one.
    Second,
    /// The epoch of a later checkpoint.
    Steady,
    /// The epoch of the last checkpoint, after the end of the input.
    Final,
}

/// How far the protocol has come: with the newest checkpoint, or with the job before any checkpoint and between two
/// attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No attempt was deployed yet.
    Registering,
    /// Subtasks come up.
    Deploying,
    /// The job runs, and the newest checkpoint, if there is one, is complete with all its commits.
    Running,
    /// A checkpoint was triggered, and no sink has written its output.
    Snapshotting,
    /// Some sinks have written their output, and not all subtasks have acknowledged.
    PreCommitting,
    /// Every subtask has acknowledged, or the manifest is being written.
    Sealing,
    /// The manifest is durable, but the log does not say so yet.
    Sealed,
    /// The checkpoint is complete, but sinks are not notified.
    Complete,
    /// Sinks are notified, but none has committed.
    Notified,
    /// Some sinks have committed.
    Committing,
    /// A failover has begun.
    Recovering,
}

impl Phase {
    /// All phases, in the order in which a job comes to them.
    pub const ALL: [Phase; 11] = [
        Phase::Registering,
        Phase::Deploying,
        Phase::Running,
        Phase::Snapshotting,
        Phase::PreCommitting,
        Phase::Sealing,
        Phase::Sealed,
        Phase::Complete,
        Phase::Notified,
        Phase::Committing,
        Phase::Recovering,
    ];
}

/// An event as a place to strike at.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The event's index among all events of the run.
    pub index: usize,
    /// When the event was emitted.
    pub at: Time,
    /// Name of the event.
    pub event: &'static str,
    /// The node that emitted it.
    pub node: String,
    /// Its subtask.
    pub subtask: Option<SubtaskId>,
    /// Its checkpoint; if it has none, the newest one.
    pub checkpoint: Option<CheckpointId>,
    /// Its attempt; if it has none, the newest one.
    pub attempt: u32,
    /// The newest term.
    pub term: u64,
    /// The leading JobManager.
    pub leader: String,
    /// Which one of its group it is.
    pub in_group: InGroup,
    /// Its epoch.
    pub epoch: Epoch,
    /// How far the protocol had come, this event included.
    pub phase: Phase,
    /// Whether it is an entry of the leadership log or reports one, so that what a standby can have seen changes here.
    pub logs: bool,
    /// The trigger that matches exactly this event.
    pub trigger: EventTrigger,
}

/// Every event as a position.
pub fn positions(events: &[EventRecord]) -> Vec<Position> {
    let groups = groups(events);
    let epochs = epochs(events);
    let mut progress = Progress::default();
    let mut same_name: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
    let mut positions = Vec::with_capacity(events.len());
    for (index, record) in events.iter().enumerate() {
        progress.step(record);
        let name = record.event.name();
        let checkpoint = record.event.checkpoint().or(progress.newest);
        let before = same_name.entry(name).or_default();
        let trigger = trigger(record, before.iter().map(|index| &events[*index]));
        before.push(index);
        positions.push(Position {
            index,
            at: record.at,
            event: name,
            node: record.node.to_string(),
            subtask: record.event.subtask(),
            checkpoint,
            attempt: record.event.attempt().map_or(progress.attempt, |attempt| attempt.0),
            term: progress.term,
            leader: progress.leader.clone(),
            in_group: groups[index],
            epoch: checkpoint.map_or(Epoch::Start, |id| epochs.get(&id).copied().unwrap_or(Epoch::Steady)),
            phase: progress.phase,
            logs: writes_log(&record.event),
            trigger,
        });
    }
    positions
}

/// A trigger with everything that the event carries, which counts how many events `before` it match as well.
fn trigger<'e>(record: &EventRecord, before: impl Iterator<Item = &'e EventRecord>) -> EventTrigger {
    let event = &record.event;
    let mut trigger = EventTrigger {
        event: event.name().to_owned(),
        checkpoint: event.checkpoint().map(|id| id.0),
        vertex: event.subtask().map(|id| id.vertex.0),
        subtask: event.subtask().map(|id| id.index),
        attempt: event.attempt().map(|attempt| attempt.0),
        node: Some(record.node.to_string()),
        nth: 1,
        ..EventTrigger::default()
    };
    // A trigger that leaves the subtask open, because the event has none, also matches events that have one.
    trigger.nth += before.filter(|other| matches(&trigger, other)).count() as u32;
    assert!(matches(&trigger, record), "POSITION-P1");
    trigger
}

fn groups(events: &[EventRecord]) -> Vec<InGroup> {
    let mut members: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut burst = 0;
    for (index, record) in events.iter().enumerate() {
        let event = &record.event;
        let name = event.name();
        // A periodic event is first or last only within its burst.
        if index > 0 && events[index - 1].event.name() != name {
            burst = index;
        }
        let periodic = Event::row(name).is_some_and(|row| row.occasion == Occasion::Periodic);
        let burst = if periodic { burst } else { 0 };
        let key = (name, event.subtask().map(|id| id.vertex), event.checkpoint(), event.attempt(), burst);
        members.entry(key).or_default().push(index);
    }
    let mut places = vec![InGroup::Only; events.len()];
    for group in members.into_values() {
        if let [first, middle @ .., last] = group.as_slice() {
            places[*first] = InGroup::First;
            middle.iter().for_each(|index| places[*index] = InGroup::Middle);
            places[*last] = InGroup::Last;
        }
    }
    places
}

fn epochs(events: &[EventRecord]) -> BTreeMap<CheckpointId, Epoch> {
    let triggered: BTreeMap<CheckpointId, bool> = events
        .iter()
        .filter_map(|record| match record.event {
            Event::CheckpointTriggered { checkpoint, last, .. } => Some((checkpoint, last)),
            _ => None,
        })
        .collect();
    let epoch = |(nth, (checkpoint, last)): (usize, (CheckpointId, bool))| {
        let epoch = match nth {
            _ if last => Epoch::Final,
            0 => Epoch::First,
            1 => Epoch::Second,
            _ => Epoch::Steady,
        };
        (checkpoint, epoch)
    };
    triggered.into_iter().enumerate().map(epoch).collect()
}

/// Whether a new entry of the leadership log has been written when this event is emitted.
fn writes_log(event: &Event) -> bool {
    matches!(
        event,
        Event::LeadershipGranted { .. }
            | Event::LeaseRenewed { .. }
            | Event::DeploymentBegun { .. }
            | Event::CheckpointCompleted { .. }
            | Event::FellBack { .. }
            | Event::LeadershipLost { .. }
            | Event::JobFinished { .. }
            | Event::JobFailed { .. }
    )
}

/// How far a run has come.
struct Progress {
    phase: Phase,
    newest: Option<CheckpointId>,
    attempt: u32,
    term: u64,
    leader: String,
    deployed: BTreeSet<SubtaskId>,
    acknowledged: BTreeSet<SubtaskId>,
    /// Sinks that have still to commit output of the newest checkpoint.
    to_commit: BTreeSet<SubtaskId>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: Phase::Registering,
            newest: None,
            attempt: 0,
            term: 0,
            leader: "jm-1".into(),
            deployed: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            to_commit: BTreeSet::new(),
        }
    }
}

impl Progress {
    fn step(&mut self, record: &EventRecord) {
        let current = |checkpoint: &CheckpointId| self.newest == Some(*checkpoint);
        match &record.event {
            Event::LeadershipGranted { term } => {
                (self.term, self.leader) = (term.0, record.node.to_string());
                if self.attempt > 0 {
                    self.phase = Phase::Recovering;
                }
            }
            Event::DeploymentBegun { attempt, .. } => {
                (self.attempt, self.phase) = (attempt.0, Phase::Deploying);
                self.deployed.clear();
            }
            Event::RestoreBegun { subtask, .. } => {
                self.deployed.insert(*subtask);
            }
            Event::JobRunning { .. } => self.phase = Phase::Running,
            Event::CheckpointTriggered { checkpoint, .. } => {
                (self.newest, self.phase) = (Some(*checkpoint), Phase::Snapshotting);
                self.acknowledged.clear();
                self.to_commit.clear();
            }
            Event::SinkPreCommitted { checkpoint, subtask, .. } if current(checkpoint) => {
                self.to_commit.insert(*subtask);
                if self.phase == Phase::Snapshotting {
                    self.phase = Phase::PreCommitting;
                }
            }
            Event::CheckpointAcknowledged { checkpoint, subtask, .. } if current(checkpoint) => {
                self.acknowledged.insert(*subtask);
                if self.acknowledged.len() >= self.deployed.len() {
                    self.phase = Phase::Sealing;
                }
            }
            Event::ManifestWritten { checkpoint, .. } if current(checkpoint) => self.phase = Phase::Sealed,
            Event::CheckpointCompleted { checkpoint, .. } if current(checkpoint) => self.phase = Phase::Complete,
            Event::CompletionNotified { checkpoint, .. } if current(checkpoint) => self.phase = Phase::Notified,
            Event::SinkCommitted { checkpoint, .. } if current(checkpoint) && self.phase != Phase::Running => {
                self.phase = Phase::Committing;
            }
            Event::CommitAcknowledged { checkpoint, subtask, .. } if current(checkpoint) => {
                self.to_commit.remove(subtask);
                if self.to_commit.is_empty() && self.phase == Phase::Committing {
                    self.phase = Phase::Running;
                }
            }
            Event::CheckpointAborted { checkpoint, .. } if current(checkpoint) && self.phase != Phase::Recovering => {
                self.phase = Phase::Running;
            }
            Event::FailoverBegun { .. } => self.phase = Phase::Recovering,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, subtask};

    fn events() -> Vec<EventRecord> {
        let (attempt, first, second) = (Attempt(1), CheckpointId(1), CheckpointId(2));
        let sent = |time| at(time, "jm-1", Event::HeartbeatSent { to: "tm-1".into() });
        let injected = |time, node, checkpoint, index| {
            at(time, node, Event::BarrierInjected { attempt, checkpoint, subtask: subtask(0, index) })
        };
        let triggered =
            |time, checkpoint, last| at(time, "jm-1", Event::CheckpointTriggered { attempt, checkpoint, last });
        vec![
            sent(1),
            at(2, "jm-1", Event::DeploymentBegun { attempt, restored: None, state_bytes: 0 }),
            triggered(3, first, false),
            injected(4, "tm-1", first, 0),
            injected(5, "tm-2", first, 1),
            injected(6, "tm-1", first, 2),
            sent(7),
            triggered(8, second, true),
            injected(9, "tm-1", second, 0),
            sent(10),
        ]
    }

    /// Tries POSITION-P1.
    #[test]
    fn every_trigger_addresses_exactly_its_event() {
        let events = events();
        for position in positions(&events) {
            let named = events.iter().filter(|record| record.event.name() == position.trigger.event);
            let matching: Vec<&EventRecord> = named.filter(|record| matches(&position.trigger, record)).collect();
            let nth = position.trigger.nth as usize;
            assert_eq!(matching[nth - 1], &events[position.index], "POSITION-P1: {position:?}");
        }
    }

    #[test]
    fn a_position_says_what_is_different_about_it() {
        let positions = positions(&events());
        let groups: Vec<InGroup> = positions[3..6].iter().map(|position| position.in_group).collect();
        assert_eq!(groups, [InGroup::First, InGroup::Middle, InGroup::Last]);
        assert!([0, 6, 9].iter().all(|at| positions[*at].in_group == InGroup::Only), "heartbeats have no last one");
        let epochs = [0, 3, 6, 8].map(|at| positions[at].epoch);
        assert_eq!(epochs, [Epoch::Start, Epoch::First, Epoch::First, Epoch::Final]);
        let phases = [0, 1, 3].map(|at| positions[at].phase);
        assert_eq!(phases, [Phase::Registering, Phase::Deploying, Phase::Snapshotting]);
        assert_eq!(positions[9].trigger.nth, 3);
        assert_eq!(positions[0].at, Time::ZERO + Duration::from_millis(1));
    }
}
