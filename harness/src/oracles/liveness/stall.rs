//! Why a job that does not end is stuck, read from the events of the run.
//!
//! Start at [`Stall::of`]: one pass over the trace notes how far leadership, attempt, checkpoint and commits have come.
//! A job that restarts forever is in a loop (`restart_loop`), and so is a job whose leaders keep replacing each other
//! (`takeovers`). Otherwise the reason is the first step that is missing. For a pending checkpoint, the search goes
//! from the sources downstream to the first subtask that could go on and does not.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{AbortReason, Event, EventRecord};
use flowquake_engine::graph::JobGraph;
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term};
use flowquake_engine::time::Time;

use self::restart_loop::{Failover, GivenUp, RestartLoop};
use self::takeovers::TakeoverLoop;
use crate::outcome::{Outcome, Section};
use crate::plan::RunPlan;

mod restart_loop;
mod takeovers;
#[cfg(test)]
mod tests;
mod words;

/// What a stuck job waits for. The lists are never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nobody leads the job.
    NoLeader(String),
    /// There are not enough slots.
    NoSlots { needed: u16, offered: u16 },
    /// Tasks of a failed attempt have not ended yet.
    Cancelation(Attempt),
    /// There are slots, but nothing was deployed: the leader waits for the checkpoint store.
    Deployment,
    /// The job is deployed, but these subtasks do not run; `true` marks those that have begun to load their state.
    Running(Attempt, Vec<(SubtaskId, bool)>),
    /// A source was asked for a barrier and has not injected it: its output is full, or it never received the request.
    Injection(CheckpointId, Vec<SubtaskId>),
    /// A subtask has not received the barrier on these channels; `true` marks those whose upstream subtask has sent it.
    Barriers { checkpoint: CheckpointId, subtask: SubtaskId, arrived: Vec<SubtaskId>, missing: Vec<(SubtaskId, bool)> },
    /// The synchronous part of a snapshot does not end.
    SyncPart(CheckpointId, Vec<SubtaskId>),
    /// The asynchronous part of a snapshot does not end: a store does not answer.
    AsyncPart(CheckpointId, Vec<SubtaskId>),
    /// Snapshots are durable, but the leader has not received the acknowledgements.
    Acknowledgements(CheckpointId, Vec<SubtaskId>),
    /// All subtasks have acknowledged, but the manifest or the log entry is not durable.
    Sealing(CheckpointId, &'static str),
    /// Sinks have not reported that they committed.
    Commits(CheckpointId, Vec<SubtaskId>),
    /// The job restarts again and again.
    Loop(RestartLoop),
    /// Leaders take over from each other, and none of them makes progress.
    Takeovers(TakeoverLoop),
    /// Records are still being processed, or were when the time was over.
    Backlog(Vec<SubtaskId>),
    /// No reason of the above was found.
    Nothing,
}

/// Why a job is stuck, and how often it failed over before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) waits: Waits,
    pub(super) failovers: usize,
}

/// The pending checkpoint.
#[derive(Debug, Clone, Default)]
struct Pending {
    injected: BTreeSet<SubtaskId>,
    received: BTreeMap<SubtaskId, BTreeSet<SubtaskId>>,
    sync_begun: BTreeSet<SubtaskId>,
    sync_ended: BTreeSet<SubtaskId>,
    async_ended: BTreeSet<SubtaskId>,
    acknowledged: BTreeSet<SubtaskId>,
    manifest: bool,
}

/// What is kept across attempts and leaders.
#[derive(Default)]
struct History {
    failovers: Vec<Failover>,
    completed: Option<(CheckpointId, Time)>,
    /// The last checkpoint that was given up, and how far the job had come by then.
    given_up: Option<(CheckpointId, AbortReason, Progress)>,
}

/// How far the job has come.
#[derive(Clone, Default)]
struct Progress {
    deployed: Option<Attempt>,
    running: bool,
    canceling: Option<Attempt>,
    slots: Option<(u16, u16)>,
    restoring: BTreeSet<SubtaskId>,
    tasks: BTreeSet<SubtaskId>,
    ended: BTreeSet<SubtaskId>,
    pending: Option<(CheckpointId, Pending)>,
    completed: Option<CheckpointId>,
    sinks: BTreeSet<SubtaskId>,
    committed: BTreeSet<SubtaskId>,
}

impl Stall {
    /// Finds the reason from the events. Without the job's graph, only subtasks that have events are known.
    pub(super) fn of(plan: &RunPlan, outcome: &Outcome, graph: Option<&JobGraph>) -> Self {
        let parallelism = plan.job.config.parallelism;
        let (mut progress, mut history) = (Progress::default(), History::default());
        let mut leader = None;
        let mut log = outcome.log.iter().peekable();
        for (index, record) in outcome.trace.events.iter().enumerate() {
            while let Some(logged) = log.next_if(|logged| logged.events <= index) {
                if logged.entry.change == Change::Opened {
                    leader = Some((&logged.entry.leader, logged.entry.incarnation));
                    progress.take_over();
                }
            }
            progress.note(record, leader, &mut history);
        }
        if log.any(|logged| logged.entry.change == Change::Opened) {
            progress.take_over();
        }
        let given_up = history.given_up.map(|(checkpoint, reason, then)| {
            let waits = then.waits(graph, parallelism);
            GivenUp { checkpoint, reason, waits }
        });
        let (failovers, completed) = (&history.failovers, history.completed);
        let restarts = || RestartLoop::of(plan, failovers, completed, given_up.as_ref(), outcome.ended_at);
        let now = || progress.waits(graph, parallelism);
        let takeovers = || TakeoverLoop::of(plan, outcome, completed, now).map(Waits::Takeovers);
        let no_leader = || no_leader(outcome).map(Waits::NoLeader);
        let waits = takeovers().or_else(no_leader).or_else(|| restarts().map(Waits::Loop)).unwrap_or_else(now);
        Self { waits, failovers: failovers.len() }
    }
}

/// Why nobody leads; `None` if somebody does, or if the outcome does not show the leadership log.
fn no_leader(outcome: &Outcome) -> Option<String> {
    if !outcome.sections.contains(&Section::Log) {
        return None;
    }
    let Some(newest) = outcome.log.last().map(|logged| &logged.entry) else {
        return Some("no term was ever opened".into());
    };
    let (leader, life, term) = (&newest.leader, newest.incarnation, newest.term);
    let down = died(outcome, leader, life).map(|at| format!("{leader} of {term} is down since {at}"));
    let events = &outcome.trace.events;
    let gave_up = || {
        let lost = |record: &&EventRecord| is_loss(record, leader, life, term);
        events.iter().rfind(lost).map(|record| format!("{leader} gave up {term} at {}", record.at))
    };
    let why = down.or_else(gave_up)?;
    let waiting = events.iter().rev().find_map(|record| match &record.event {
        Event::LeaseExpired { .. } => Some(format!("; {} has found the lease expired at {}", record.node, record.at)),
        _ => None,
    });
    Some(why + &waiting.unwrap_or_else(|| "; nobody has found its lease expired".into()))
}

fn is_loss(record: &EventRecord, leader: &NodeName, life: u32, lost: Term) -> bool {
    let by_leader = record.node == *leader && record.incarnation == life;
    by_leader && matches!(&record.event, Event::LeadershipLost { term } if *term == lost)
}

/// When a life of a node ended, if it ended before the run.
fn died(outcome: &Outcome, node: &NodeName, life: u32) -> Option<Time> {
    let mut lives = outcome.lives.iter().filter(|(name, ..)| name == node.as_str());
    let (_, _, to) = lives.nth(life as usize - 1)?;
    (*to < outcome.ended_at).then_some(*to)
}

impl Progress {
    /// A new leader knows nothing of what the old leader had in progress.
    fn take_over(&mut self) {
        let sinks = std::mem::take(&mut self.sinks);
        *self = Self { sinks, ..Self::default() };
    }

    fn note(&mut self, record: &EventRecord, leader: Option<(&NodeName, u32)>, history: &mut History) {
        let by_leader = leader.is_none_or(|leader| leader == (&record.node, record.incarnation));
        let attempt = record.event.attempt();
        match &record.event {
            Event::WaitingForSlots { needed, offered, .. } if by_leader => self.slots = Some((*needed, *offered)),
            Event::DeploymentBegun { attempt, .. } if by_leader => {
                let sinks = std::mem::take(&mut self.sinks);
                *self = Self { deployed: Some(*attempt), sinks, ..Self::default() };
            }
            Event::JobRunning { .. } if by_leader => self.running = true,
            Event::FailoverBegun { attempt, root, cause } if by_leader => {
                history.failovers.push(Failover { at: record.at, root: root.clone(), cause: cause.clone() });
                (self.canceling, self.slots) = (Some(*attempt), None);
            }
            Event::TasksCanceled { .. } if by_leader => (self.canceling, self.deployed) = (None, None),
            Event::CheckpointTriggered { checkpoint, .. } if by_leader => {
                self.pending = Some((*checkpoint, Pending::default()));
            }
            Event::CheckpointAborted { checkpoint, reason, .. } if by_leader => {
                history.given_up = Some((*checkpoint, *reason, self.clone()));
                self.pending = None;
            }
            Event::CheckpointCompleted { checkpoint, .. } if by_leader => {
                (self.pending, self.completed) = (None, Some(*checkpoint));
                history.completed = Some((*checkpoint, record.at));
                self.committed.clear();
            }
            Event::CommitAcknowledged { subtask, .. } if by_leader => drop(self.committed.insert(*subtask)),
            Event::RestoreBegun { subtask, .. } if attempt == self.deployed => drop(self.restoring.insert(*subtask)),
            Event::TaskRunning { subtask, .. } if attempt == self.deployed => drop(self.tasks.insert(*subtask)),
            Event::EndOfInput { subtask, .. } if attempt == self.deployed => drop(self.ended.insert(*subtask)),
            event => self.note_snapshot(event, by_leader),
        }
    }

    fn note_snapshot(&mut self, event: &Event, by_leader: bool) {
        if let Event::SinkPreCommitted { subtask, .. } = event {
            self.sinks.insert(*subtask);
        }
        let Some((_, pending)) = self.pending.as_mut().filter(|(id, _)| Some(*id) == event.checkpoint()) else {
            return;
        };
        match event {
            Event::BarrierInjected { subtask, .. } => drop(pending.injected.insert(*subtask)),
            Event::BarrierReceived { subtask, from, .. } => {
                pending.received.entry(*subtask).or_default().insert(*from);
            }
            Event::SnapshotSyncBegun { subtask, .. } => drop(pending.sync_begun.insert(*subtask)),
            Event::SnapshotSyncEnded { subtask, .. } => drop(pending.sync_ended.insert(*subtask)),
            Event::SnapshotAsyncEnded { subtask, .. } => drop(pending.async_ended.insert(*subtask)),
            Event::CheckpointAcknowledged { subtask, .. } if by_leader => drop(pending.acknowledged.insert(*subtask)),
            Event::ManifestWritten { .. } if by_leader => pending.manifest = true,
            _ => {}
        }
    }

    fn waits(&self, graph: Option<&JobGraph>, parallelism: u16) -> Waits {
        let all: BTreeSet<SubtaskId> = match graph {
            Some(graph) => graph.subtasks(parallelism).into_iter().collect(),
            None => self.restoring.union(&self.tasks).copied().collect(),
        };
        if let Some(attempt) = self.canceling {
            return Waits::Cancelation(attempt);
        }
        let Some(attempt) = self.deployed else {
            return match self.slots {
                Some((needed, offered)) => Waits::NoSlots { needed, offered },
                None => Waits::Deployment,
            };
        };
        if !self.running {
            let waiting = all.difference(&self.tasks).map(|task| (*task, self.restoring.contains(task)));
            return Waits::Running(attempt, waiting.collect());
        }
        let inputs = |of: SubtaskId| -> BTreeSet<SubtaskId> {
            let channels = graph.map(|graph| graph.inputs_of(of, parallelism)).unwrap_or_default();
            channels.into_iter().map(|channel| channel.from).collect()
        };
        if let Some((checkpoint, pending)) = &self.pending {
            return pending.waits(*checkpoint, &all, inputs);
        }
        let uncommitted: Vec<_> = self.sinks.difference(&self.committed).copied().collect();
        if let (Some(checkpoint), false) = (self.completed, uncommitted.is_empty()) {
            return Waits::Commits(checkpoint, uncommitted);
        }
        let backlog: Vec<_> = all.difference(&self.ended).copied().filter(|id| inputs(*id).is_empty()).collect();
        if backlog.is_empty() || graph.is_none() { Waits::Nothing } else { Waits::Backlog(backlog) }
    }
}

impl Pending {
    /// Goes from the sources downstream: subtasks come in the order of the graph.
    fn waits(
        &self,
        checkpoint: CheckpointId,
        all: &BTreeSet<SubtaskId>,
        inputs: impl Fn(SubtaskId) -> BTreeSet<SubtaskId>,
    ) -> Waits {
        let missing = |of: &BTreeSet<SubtaskId>, from: &BTreeSet<SubtaskId>| -> Vec<SubtaskId> {
            from.difference(of).copied().collect()
        };
        let sources: BTreeSet<_> = all.iter().copied().filter(|id| inputs(*id).is_empty()).collect();
        let silent = missing(&self.injected, &sources);
        // A subtask with an open alignment blocks channels. Then that subtask is the reason, and not the source behind
        // the blocked channels.
        for subtask in all.iter().filter(|id| !self.sync_begun.contains(id)) {
            let wanted = inputs(*subtask);
            let arrived = self.received.get(subtask).cloned().unwrap_or_default();
            let waiting = missing(&arrived, &wanted);
            let sent = |from: &SubtaskId| self.injected.contains(from) || self.sync_begun.contains(from);
            let stalled = waiting.iter().any(sent) || (!arrived.is_empty() && silent.is_empty());
            if stalled && !waiting.is_empty() {
                let arrived = arrived.into_iter().collect();
                let missing = waiting.iter().map(|from| (*from, sent(from))).collect();
                return Waits::Barriers { checkpoint, subtask: *subtask, arrived, missing };
            }
        }
        if !silent.is_empty() {
            return Waits::Injection(checkpoint, silent);
        }
        let sync = missing(&self.sync_ended, all);
        if !sync.is_empty() {
            return Waits::SyncPart(checkpoint, sync);
        }
        let asynchronous = missing(&self.async_ended, all);
        if !asynchronous.is_empty() {
            return Waits::AsyncPart(checkpoint, asynchronous);
        }
        let unheard = missing(&self.acknowledged, all);
        if !unheard.is_empty() {
            return Waits::Acknowledgements(checkpoint, unheard);
        }
        Waits::Sealing(checkpoint, if self.manifest { "log entry" } else { "manifest" })
    }
}
