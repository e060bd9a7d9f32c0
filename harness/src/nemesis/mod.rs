//! The nemesis: strikes the faults of a plan, each exactly when and where the plan says.
//!
//! The nemesis is shown every event ([`Nemesis::due`]) and is called at every time that it named
//! ([`Nemesis::next_time`]). A strike happens while the event is emitted, so before the emitter's next instruction.
//! Start at [`Nemesis::due`] for when a fault strikes, at [`Striking`] for what a strike can do (and `target` for whom
//! it hits), and at `effect` for effects that last. What each kind of fault does stands in the kind's file, in
//! [`crate::faults`]. Everything that happens by the clock is on one agenda: strikes, further rounds of loops, and
//! ends.
//!
//! Invariants: (NEMESIS-N1) what a strike does is undone exactly once, by its end or by [`Nemesis::heal_all`];
//! (NEMESIS-N2) where two faults set the same property, the newest one in force counts, and when it ends the other one
//! is in force again; (NEMESIS-N3) every draw is named by fault and number of the strike, so that removing one fault
//! leaves the draws of the others as they were; (NEMESIS-N4) a rule about messages, requests or records has struck only
//! once it has hurt one. How much each fault hurt is counted in `harm`.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

use crate::jobs::UserCode;
use crate::plan::{EventTrigger, FaultPlan, Trigger};

mod cluster;
mod effect;
mod harm;
mod role;
mod rounds;
mod striking;
mod target;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use cluster::offered;
pub use cluster::{Clocks, Cluster, Disks, Hurt, Messages, Network, Processes, Receipt, Speeds, Stores};
pub(crate) use effect::{Effect, made_by};
pub use harm::{Harm, Harms};
pub use role::*;
pub use striking::{Act, Striking, Struck};
pub(crate) use target::Link;
pub(crate) use watch::{Armed, Watched};

use effect::InForce;
use harm::Claim;
use rounds::Round;
use striking::Blow;
use target::Cast;

/// One victim of one strike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// When the strike hit; for a rule, when it first hurt something.
    pub at: Time,
    /// The event at whose emission it struck; empty if it struck by the clock.
    pub position: String,
    /// Role of the victim, in the words of the catalogue of faults.
    pub role: &'static str,
    /// The node, link, file or store that was hit.
    pub target: String,
    /// What the strike did.
    pub detail: String,
    /// When the effect ended.
    pub healed_at: Option<Time>,
    /// What shows that the strike had its effect, and that the effect has ended. Empty where both are certain.
    pub receipt: String,
    /// Why nothing shows one of the two.
    pub doubt: Option<String>,
}

impl Hit {
    /// Whether the hit damaged a stored file. By itself that causes no failure, until the file is read.
    pub fn damages_file(&self) -> bool {
        self.role == CHECKPOINT_STORE && self.target.contains('/')
    }
}

/// What became of one fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strike {
    /// All hits of the fault, one per victim and strike.
    pub hits: Vec<Hit>,
    /// Why the last try was in vain, if the trigger came but the fault did not strike.
    pub missed: String,
    /// What all strikes of the fault hurt. A fault can strike and hurt nothing.
    pub harms: Harms,
}

impl Strike {
    /// When the fault struck first.
    pub fn struck_at(&self) -> Option<Time> {
        self.hits.iter().map(|hit| hit.at).min()
    }

    /// When the fault's last effect ended; `None` while one is in force.
    pub fn healed_at(&self) -> Option<Time> {
        let ends: Option<Vec<Time>> = self.hits.iter().map(|hit| hit.healed_at).collect();
        ends?.into_iter().max()
    }

    /// All victims, each once.
    pub fn target(&self) -> String {
        let targets: BTreeSet<&str> = self.hits.iter().map(|hit| hit.target.as_str()).collect();
        targets.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// What the first hit did; if the fault did not strike, why not.
    pub fn detail(&self) -> &str {
        self.hits.first().map_or(&self.missed, |hit| &hit.detail)
    }
}

/// At the same instant, ends come before strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    End,
    Strike,
}

/// Something to be done at some time.
#[derive(Debug, Clone)]
enum Step {
    /// Ends what is in force under this number.
    End(u64),
    /// A fault strikes.
    Strike(usize, Origin),
    /// Begins the next round of a loop.
    Again(Round),
}

/// Where a strike comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Origin {
    /// The node of the triggering event.
    emitter: Option<String>,
    /// The event at whose emission the fault strikes; empty if it strikes by the clock.
    position: String,
}

/// How far a fault's trigger has come.
#[derive(Debug, Default)]
struct Progress {
    /// Matches so far, by kind of event.
    matches: BTreeMap<&'static str, u32>,
    /// Whether the event that the trigger waits for (`after`) was seen.
    after_seen: bool,
    /// For `apart`: the kinds of events at which the fault has struck, and the time of its last strike.
    struck: BTreeSet<&'static str>,
    last: Option<Time>,
    /// How often the fault was tried.
    tried: u32,
}

/// The faults of one run.
pub struct Nemesis {
    seed: u64,
    faults: Vec<FaultPlan>,
    strikes: Vec<Strike>,
    progress: Vec<Progress>,
    agenda: BTreeMap<(Time, Rank, u64), Step>,
    /// The number of the next step or effect, in the order in which they are made.
    sequence: u64,
    in_force: BTreeMap<u64, InForce>,
    claims: Vec<Claim>,
    watched: Vec<Watched>,
    cast: Cast,
    act: Act,
    pub(crate) user_code: UserCode,
    pub(crate) newest_completed: Option<CheckpointId>,
    /// Whether everything was healed, so that nothing strikes any more.
    over: bool,
}

impl Nemesis {
    /// A nemesis for a cluster with the nodes `jm-1` to `jm-N` and `tm-1` to `tm-N`. `user_code` makes the code of the
    /// run's jobs fail, and `act` says how the actions of faults strike.
    pub fn new(
        seed: u64,
        faults: Vec<FaultPlan>,
        job_managers: u32,
        task_managers: u32,
        user_code: UserCode,
        act: Act,
    ) -> Self {
        let mut nemesis = Self {
            seed,
            strikes: vec![Strike::default(); faults.len()],
            progress: faults.iter().map(|_| Progress::default()).collect(),
            faults,
            agenda: BTreeMap::new(),
            sequence: 0,
            in_force: BTreeMap::new(),
            claims: Vec::new(),
            watched: Vec::new(),
            cast: Cast::new(job_managers, task_managers),
            act,
            user_code,
            newest_completed: None,
            over: false,
        };
        for index in 0..nemesis.faults.len() {
            let fault = &nemesis.faults[index];
            if let Trigger::At(first) | Trigger::Every { first, .. } = fault.trigger {
                let at = Time::ZERO + first + fault.delay;
                nemesis.put(at, Rank::Strike, Step::Strike(index, Origin::default()));
            }
        }
        nemesis
    }

    /// What became of the faults, in the order of the plan.
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// A checkpoint's manifest is durable.
    pub fn on_sealed(&mut self, checkpoint: CheckpointId) {
        self.newest_completed = self.newest_completed.max(Some(checkpoint));
    }

    /// Takes an event, and returns the indices of the faults that it triggers.
    pub fn due(&mut self, world: &dyn Cluster, record: &EventRecord) -> Vec<usize> {
        if let Event::LeadershipGranted { .. } = record.event {
            self.cast.leader = record.node.to_string();
        }
        self.look(world, record.at);
        if self.over {
            return Vec::new();
        }
        let name = record.event.name();
        let mut due = Vec::new();
        for (index, fault) in self.faults.iter().enumerate() {
            let (Trigger::On(trigger) | Trigger::Each(trigger)) = &fault.trigger else { continue };
            let each = matches!(fault.trigger, Trigger::Each(_));
            let before = trigger.after_fault.map(|id| self.strikes.get((id as usize).wrapping_sub(1)));
            if before.is_some_and(|strike| strike.is_none_or(|strike| strike.hits.is_empty())) {
                continue;
            }
            let progress = &mut self.progress[index];
            // The event that opens the gate does not itself count as a match.
            let open = trigger.after.is_none() || progress.after_seen;
            progress.after_seen |= trigger.after.as_deref() == Some(name);
            let named = if each { !ends_job(&record.event) } else { trigger.event == name };
            let early = trigger.not_before.is_some_and(|from| record.at < Time::ZERO + from);
            if early || !(open && named && matches(trigger, record)) {
                continue;
            }
            let matches = progress.matches.entry(name).or_default();
            *matches = matches.saturating_add(1);
            let repeat = if each { 1 } else { fault.repeat };
            let is_due = match trigger.apart {
                None => (trigger.nth..trigger.nth.saturating_add(repeat)).contains(matches),
                Some(apart) => {
                    let rested = progress.last.is_none_or(|last| record.at >= last + apart);
                    *matches >= trigger.nth && rested && progress.struck.insert(name)
                }
            };
            if is_due {
                progress.last = Some(record.at);
                due.push(index);
            }
        }
        due
    }

    /// When [`Nemesis::on_time`] is due next.
    pub fn next_time(&self) -> Option<Time> {
        self.agenda.keys().map(|(at, ..)| *at).next()
    }

    /// Strikes, and ends, everything that is due by now.
    pub fn on_time(&mut self, world: &dyn Cluster, now: Time) {
        self.look(world, now);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let at = entry.key().0;
            match entry.remove() {
                Step::End(effect) => self.end(effect, world, now),
                Step::Strike(fault, origin) => {
                    self.put_next(fault, at);
                    self.try_strike(fault, world, now, origin);
                }
                Step::Again(round) => self.go_round(world, now, round),
            }
        }
    }

    /// Strikes a fault that an event has triggered, at once or after the fault's delay.
    pub fn strike(&mut self, fault: usize, world: &dyn Cluster, record: &EventRecord) {
        let emitter = Some(record.node.to_string());
        let delay = self.faults[fault].delay;
        if delay.is_zero() {
            let position = record.event.name().to_owned();
            self.try_strike(fault, world, record.at, Origin { emitter, position });
        } else {
            let origin = Origin { emitter, position: String::new() };
            self.put(record.at + delay, Rank::Strike, Step::Strike(fault, origin));
        }
    }

    /// Ends everything that is in force: nodes run at normal speed, links are whole, stores and clocks are as they
    /// were, and messages are left alone. No fault strikes after this.
    pub fn heal_all(&mut self, world: &dyn Cluster, now: Time) {
        self.over = true;
        self.look(world, now);
        self.disarm_user_code(now);
        for step in std::mem::take(&mut self.agenda).into_values() {
            if let Step::Strike(fault, _) = step {
                self.strikes[fault].missed = "everything was healed before its time came".into();
            }
        }
        for effect in self.in_force.keys().copied().collect::<Vec<_>>() {
            let earliest = self.in_force[&effect].earliest_end();
            if earliest > now {
                self.put(earliest, Rank::End, Step::End(effect));
            } else {
                self.end(effect, world, now);
            }
        }
    }

    /// The run is over: counts what was hurt until now.
    pub fn finish(&mut self, world: &dyn Cluster, now: Time) {
        self.look(world, now);
        self.settle_all(world);
        let harms: Vec<(usize, Harm)> = self.in_force.values().filter_map(InForce::harm_without_end).collect();
        harms.into_iter().for_each(|(fault, harm)| self.harmed(fault, harm, 1));
    }

    fn try_strike(&mut self, fault: usize, world: &dyn Cluster, now: Time, origin: Origin) {
        let number = self.progress[fault].tried;
        self.progress[fault].tried += 1;
        self.execute(world, &Blow { fault, number, now, origin });
    }

    /// Puts the next strike of a fault by the clock on the agenda.
    fn put_next(&mut self, fault: usize, at: Time) {
        let plan = &self.faults[fault];
        if let Trigger::Every { period, .. } = plan.trigger
            && self.progress[fault].tried + 1 < plan.repeat
        {
            self.put(at + period, Rank::Strike, Step::Strike(fault, Origin::default()));
        }
    }

    fn put(&mut self, at: Time, rank: Rank, step: Step) {
        self.sequence += 1;
        self.agenda.insert((at, rank, self.sequence), step);
    }
}

/// Whether the event passes every filter that is given, except the name.
pub(crate) fn matches(trigger: &EventTrigger, record: &EventRecord) -> bool {
    let event = &record.event;
    let same = |wanted: Option<u64>, found: Option<u64>| wanted.is_none() || wanted == found;
    same(trigger.checkpoint, event.checkpoint().map(|id| id.0))
        && same(trigger.vertex.map(u64::from), event.subtask().map(|id| u64::from(id.vertex.0)))
        && same(trigger.subtask.map(u64::from), event.subtask().map(|id| u64::from(id.index)))
        && same(trigger.attempt.map(u64::from), event.attempt().map(|attempt| u64::from(attempt.0)))
        && trigger.node.as_ref().is_none_or(|node| node == record.node.as_str())
}

/// After these events there is no job left to hurt.
fn ends_job(event: &Event) -> bool {
    matches!(event, Event::JobFinished { .. } | Event::JobFailed { .. })
}

/// A trigger in words.
pub fn describe(trigger: &Trigger) -> String {
    let time = humantime::format_duration;
    match trigger {
        Trigger::At(at) => format!("at {}", time(*at)),
        Trigger::Every { first, period } => format!("at {}, then every {}", time(*first), time(*period)),
        Trigger::On(on) => format!("on {}{}", on.event, describe_filters(on)),
        Trigger::Each(each) => format!("at each kind of event{}", describe_filters(each)),
    }
}

fn describe_filters(on: &EventTrigger) -> String {
    let mut text = String::new();
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
    add("after", on.after.clone());
    add("apart", on.apart.map(|pause| humantime::format_duration(pause).to_string()));
    add("not-before", on.not_before.map(|from| humantime::format_duration(from).to_string()));
    text
}
