//! The nemesis: strikes the faults of a plan, each exactly when and where the plan says.
//!
//! It is asked at every event ([`Nemesis::due`]) and at every time it named ([`Nemesis::next_time`]). A strike happens inside
//! the event's emission, so before the emitter's next instruction. What ends a fault (restart, heal) is put on an agenda.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{folder, path};
use flowquake_engine::env::sim::{Death, SimWorld};
use flowquake_engine::env::{StoreKind, draw, draw_between};
use flowquake_engine::event::EventRecord;
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

use crate::plan::{
    DamageKind, EventTrigger, FaultAction, FaultPlan, FileKind, FileTarget, KillMode, NodeTarget, Trigger,
};

/// Madsim drops a killed node's tasks one by one; only after that may its next life begin.
const RESTART_MIN: Duration = Duration::from_millis(1);

/// What became of one fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strike {
    /// When it struck.
    pub struck_at: Option<Time>,
    /// When its effect ended.
    pub healed_at: Option<Time>,
    /// Node, link or file, resolved.
    pub target: String,
    /// What it did; or, if it did not strike, why not.
    pub detail: String,
}

/// What ends a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    Restart(String),
    Heal(Vec<(String, String)>),
}

/// The faults of one run.
pub struct Nemesis {
    seed: u64,
    faults: Vec<FaultPlan>,
    strikes: Vec<Strike>,
    matches: Vec<u32>,
    agenda: BTreeMap<(Time, usize), Ending>,
    leader: String,
    newest_completed: Option<CheckpointId>,
}

impl Nemesis {
    /// `leader` is the node of the JobManager.
    pub fn new(seed: u64, faults: Vec<FaultPlan>, leader: &str) -> Self {
        let count = faults.len();
        Self {
            seed,
            strikes: vec![Strike::default(); count],
            matches: vec![0; count],
            faults,
            agenda: BTreeMap::new(),
            leader: leader.into(),
            newest_completed: None,
        }
    }

    /// What became of the faults, in the order of the plan.
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// A checkpoint's manifest is durable.
    pub fn on_sealed(&mut self, checkpoint: CheckpointId) {
        self.newest_completed = self.newest_completed.max(Some(checkpoint));
    }

    /// Indices of the faults that this event triggers.
    pub fn due(&mut self, record: &EventRecord) -> Vec<usize> {
        let mut due = Vec::new();
        for (index, fault) in self.faults.iter().enumerate() {
            let Trigger::On(trigger) = &fault.trigger else { continue };
            let armed = match trigger.after_fault {
                Some(id) => self.strikes.get(id as usize - 1).is_some_and(|strike| strike.struck_at.is_some()),
                None => true,
            };
            if self.strikes[index].struck_at.is_none() && armed && matches(trigger, record) {
                self.matches[index] += 1;
                if self.matches[index] == trigger.nth {
                    due.push(index);
                }
            }
        }
        due
    }

    /// When [`Nemesis::on_time`] is due next.
    pub fn next_time(&self) -> Option<Time> {
        let waiting = self.faults.iter().zip(&self.strikes).filter(|(_, strike)| strike.struck_at.is_none());
        let times = waiting.filter_map(|(fault, strike)| match fault.trigger {
            Trigger::At(at) if strike.detail.is_empty() => Some(Time::ZERO + at),
            _ => None,
        });
        times.chain(self.agenda.keys().map(|(at, _)| *at)).min()
    }

    /// Strikes and heals what is due by now.
    pub fn on_time(&mut self, world: &SimWorld, now: Time) {
        while let Some(((at, fault), ending)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, fault), ending);
                break;
            }
            match ending {
                Ending::Restart(node) => world.restart(&node),
                Ending::Heal(links) => links.iter().for_each(|(from, to)| world.heal(from, to)),
            }
            self.strikes[fault].healed_at = Some(now);
        }
        for index in 0..self.faults.len() {
            let strike = &self.strikes[index];
            if let (Trigger::At(at), None, true) =
                (&self.faults[index].trigger, strike.struck_at, strike.detail.is_empty())
                && Time::ZERO + *at <= now
            {
                self.strike(index, world, now, None);
            }
        }
    }

    /// Strikes one fault now. `emitter` is the node of the triggering event.
    pub fn strike(&mut self, index: usize, world: &SimWorld, now: Time, emitter: Option<&str>) {
        let fault = self.faults[index].clone();
        let resolve = |target: &NodeTarget| match target {
            NodeTarget::Emitter => emitter.unwrap_or_default().to_owned(),
            NodeTarget::Leader => self.leader.clone(),
            NodeTarget::Standby | NodeTarget::TaskManager | NodeTarget::Peer => todo!(),
            NodeTarget::Node(name) => name.clone(),
        };
        let strike = match &fault.action {
            FaultAction::Kill { targets, mode, restart_after, .. } => {
                let node = resolve(&targets[0]);
                let (death, detail) = match mode {
                    KillMode::Crash => (Death::Crash, "process killed, connections reset"),
                    KillMode::MachineLoss => (Death::MachineLoss, "machine lost, silence"),
                };
                if world.kill(&node, death) {
                    if let Some(after) = restart_after {
                        let at = now + (*after).max(RESTART_MIN);
                        self.agenda.insert((at, index), Ending::Restart(node.clone()));
                    }
                    Strike { struck_at: Some(now), healed_at: None, target: node, detail: detail.into() }
                } else {
                    Strike { target: node, detail: "was down already".into(), ..Strike::default() }
                }
            }
            FaultAction::Cut { from, to, both_ways, heal_after } => {
                let (from, to) = (resolve(&from[0]), resolve(&to[0]));
                let mut links = vec![(from.clone(), to.clone())];
                if *both_ways {
                    links.push((to.clone(), from.clone()));
                }
                links.iter().for_each(|(from, to)| world.cut(from, to));
                if let Some(after) = heal_after {
                    self.agenda.insert((now + *after, index), Ending::Heal(links));
                }
                let (arrow, detail) = if *both_ways { ("-", "link cut both ways") } else { ("->", "link cut one way") };
                let target = format!("{from} {arrow} {to}");
                Strike { struck_at: Some(now), healed_at: None, target, detail: detail.into() }
            }
            FaultAction::Damage { file, how } => self.damage(world, file, *how, fault.id, now),
            _ => todo!(),
        };
        self.strikes[index] = strike;
    }

    fn damage(&self, world: &SimWorld, file: &FileTarget, how: DamageKind, fault: u32, now: Time) -> Strike {
        let missed = |detail: String| Strike { detail, ..Strike::default() };
        let Some(checkpoint) = file.checkpoint.map(CheckpointId).or(self.newest_completed) else {
            return missed("no checkpoint was complete".into());
        };
        let target = match file.kind {
            FileKind::Manifest => path(checkpoint),
            FileKind::State => {
                let mut files = world.stores().list(StoreKind::Checkpoints, &folder(checkpoint));
                files.retain(|name| !name.ends_with("/_metadata"));
                match files.into_iter().nth(file.index as usize) {
                    Some(name) => name,
                    None => return missed(format!("checkpoint {checkpoint} has no state file {}", file.index)),
                }
            }
        };
        let Some(bytes) = world.stores().read(StoreKind::Checkpoints, &target) else {
            return missed(format!("{target} does not exist"));
        };
        let length = bytes.len();
        let (contents, detail) = match how {
            DamageKind::Delete => (None, "deleted".to_owned()),
            DamageKind::Swap => todo!(),
            // Nothing can be cut from or flipped in a file without bytes; to call that a strike would be a lie.
            _ if length == 0 => return missed(format!("{target} is empty")),
            DamageKind::Truncate => {
                (Some(bytes.slice(..length / 2)), format!("cut from {length} to {} bytes", length / 2))
            }
            DamageKind::FlipByte => {
                let at = draw_between(draw(self.seed, "damage", u64::from(fault), 0), 0, length as u64 - 1);
                let mut bytes = bytes.to_vec();
                bytes[at as usize] ^= 0x55;
                (Some(Bytes::from(bytes)), format!("byte {at} of {length} flipped"))
            }
        };
        world.stores().damage(StoreKind::Checkpoints, &target, contents);
        // Damage has no end: it is over when it is done.
        Strike { struck_at: Some(now), healed_at: Some(now), target, detail }
    }
}

fn matches(trigger: &EventTrigger, record: &EventRecord) -> bool {
    let event = &record.event;
    let same = |wanted: Option<u64>, found: Option<u64>| wanted.is_none() || wanted == found;
    event.name() == trigger.event
        && same(trigger.checkpoint, event.checkpoint().map(|id| id.0))
        && same(trigger.vertex.map(u64::from), event.subtask().map(|id| u64::from(id.vertex.0)))
        && same(trigger.subtask.map(u64::from), event.subtask().map(|id| u64::from(id.index)))
        && same(trigger.attempt.map(u64::from), event.attempt().map(|attempt| u64::from(attempt.0)))
        && trigger.node.as_ref().is_none_or(|node| node == record.node.as_str())
}

/// A trigger as people read it.
pub fn describe(trigger: &Trigger) -> String {
    match trigger {
        Trigger::At(at) => format!("at {}", humantime::format_duration(*at)),
        Trigger::Every { .. } => todo!(),
        Trigger::On(on) | Trigger::Each(on) => {
            let mut text = format!("on {}", on.event);
            let mut add = |name: &str, value: Option<String>| {
                if let Some(value) = value {
                    text.push_str(&format!(" {name}={value}"));
                }
            };
            add("checkpoint", on.checkpoint.map(|v| v.to_string()));
            add("vertex", on.vertex.map(|v| v.to_string()));
            add("subtask", on.subtask.map(|v| v.to_string()));
            add("node", on.node.clone());
            add("attempt", on.attempt.map(|v| v.to_string()));
            add("nth", (on.nth > 1).then(|| on.nth.to_string()));
            add("after-fault", on.after_fault.map(|v| v.to_string()));
            text
        }
    }
}

/// A fault's kind in one word.
pub fn kind(action: &FaultAction) -> &'static str {
    match action {
        FaultAction::Kill { mode: KillMode::Crash, .. } => "kill",
        FaultAction::Kill { mode: KillMode::MachineLoss, .. } => "machine-loss",
        FaultAction::Cut { both_ways: true, .. } => "cut",
        FaultAction::Cut { both_ways: false, .. } => "cut-one-way",
        FaultAction::Damage { .. } => "damage",
        _ => todo!(),
    }
}

/// Every fault with what it does and how a correct engine answers, for `flowquake list faults`.
pub const CATALOGUE: &[(&str, &str, &str)] = &[
    ("kill", "the process dies; its connections are reset", "masked: restart from the last checkpoint"),
    (
        "machine-loss",
        "the machine is gone without a word, its local disk with it",
        "masked: found by missing heartbeats",
    ),
    ("cut", "messages between two nodes vanish, both ways", "masked: resumes on heal, or fails over on a timeout"),
    ("cut-one-way", "messages vanish in one direction", "masked: resumes on heal, or fails over on a timeout"),
    ("damage", "a checkpoint file: a byte flipped, cut in half, or deleted", "fell back, or failed loudly"),
];

#[cfg(test)]
mod tests {
    use flowquake_engine::event::Event;
    use flowquake_engine::ids::Attempt;

    use super::*;
    use crate::fixtures::{at, kill, ms, on, subtask};

    /// `snapshot-sync-begun` five times: node, attempt, checkpoint, subtask.
    fn events() -> [EventRecord; 5] {
        [
            ("tm-1", 1, 1, subtask(0, 0)),
            ("tm-1", 1, 1, subtask(1, 0)),
            ("tm-2", 1, 1, subtask(1, 1)),
            ("tm-1", 1, 2, subtask(0, 0)),
            ("tm-1", 2, 3, subtask(1, 1)),
        ]
        .map(|(node, attempt, checkpoint, subtask)| {
            let (attempt, checkpoint) = (Attempt(attempt), CheckpointId(checkpoint));
            at(0, node, Event::SnapshotSyncBegun { attempt, checkpoint, subtask })
        })
    }

    /// Which of [`events`] the trigger strikes at.
    fn strikes_at(trigger: EventTrigger) -> Vec<usize> {
        let mut nemesis = Nemesis::new(1, vec![kill(1, Trigger::On(trigger))], "jm-1");
        (0..).zip(events()).filter(|(_, record)| !nemesis.due(record).is_empty()).map(|(index, _)| index).collect()
    }

    #[test]
    fn a_trigger_matches_every_given_field_and_strikes_once() {
        let any = || on("snapshot-sync-begun");
        assert_eq!(strikes_at(any()), [0]);
        assert_eq!(strikes_at(on("snapshot-sync-ended")), [0; 0]);
        assert_eq!(strikes_at(EventTrigger { checkpoint: Some(2), ..any() }), [3]);
        assert_eq!(strikes_at(EventTrigger { vertex: Some(1), ..any() }), [1]);
        assert_eq!(strikes_at(EventTrigger { subtask: Some(1), ..any() }), [2]);
        assert_eq!(strikes_at(EventTrigger { node: Some("tm-2".into()), ..any() }), [2]);
        assert_eq!(strikes_at(EventTrigger { attempt: Some(2), ..any() }), [4]);
        assert_eq!(strikes_at(EventTrigger { vertex: Some(1), subtask: Some(1), nth: 2, ..any() }), [4]);
        assert_eq!(strikes_at(EventTrigger { checkpoint: Some(1), attempt: Some(2), ..any() }), [0; 0]);
        assert_eq!(strikes_at(EventTrigger { nth: 3, ..any() }), [2]);
        assert_eq!(strikes_at(EventTrigger { nth: 6, ..any() }), [0; 0]);
    }

    #[test]
    fn an_event_without_the_field_never_matches() {
        let mut nemesis =
            Nemesis::new(1, vec![kill(1, Trigger::On(EventTrigger { subtask: Some(0), ..on("job-running") }))], "jm-1");
        assert_eq!(nemesis.due(&at(0, "jm-1", Event::JobRunning { attempt: Attempt(1) })), [0; 0]);
    }

    #[test]
    fn matches_count_only_once_the_fault_before_has_struck() {
        let second = EventTrigger { nth: 2, after_fault: Some(1), ..on("snapshot-sync-begun") };
        let faults = vec![kill(1, Trigger::At(Duration::from_secs(1))), kill(2, Trigger::On(second))];
        let mut nemesis = Nemesis::new(1, faults, "jm-1");
        let [first, second, third, ..] = events();
        assert_eq!(nemesis.due(&first), [0; 0]);
        nemesis.strikes[0].struck_at = Some(ms(1_000));
        assert_eq!(nemesis.due(&second), [0; 0]);
        assert_eq!(nemesis.due(&third), [1]);
    }

    #[test]
    fn a_fault_at_a_time_is_waited_for_until_it_was_tried() {
        let faults = [7, 3].map(|at| kill(1, Trigger::At(Duration::from_secs(at)))).to_vec();
        let mut nemesis = Nemesis::new(1, faults, "jm-1");
        assert_eq!(nemesis.next_time(), Some(ms(3_000)));
        nemesis.strikes[1].detail = "was down already".into();
        assert_eq!(nemesis.next_time(), Some(ms(7_000)));
        nemesis.strikes[0].struck_at = Some(ms(7_000));
        assert_eq!(nemesis.next_time(), None);
    }

    #[test]
    fn a_trigger_is_described_as_it_is_written() {
        assert_eq!(describe(&Trigger::At(Duration::from_millis(2_500))), "at 2s 500ms");
        assert_eq!(describe(&Trigger::On(on("fell-back"))), "on fell-back");
        let full = EventTrigger {
            event: "sink-committed".into(),
            checkpoint: Some(3),
            vertex: Some(1),
            subtask: Some(0),
            node: Some("tm-2".into()),
            attempt: Some(2),
            nth: 4,
            after_fault: Some(1),
            after: None,
        };
        let expected = "on sink-committed checkpoint=3 vertex=1 subtask=0 node=tm-2 attempt=2 nth=4 after-fault=1";
        assert_eq!(describe(&Trigger::On(full)), expected);
    }
}
