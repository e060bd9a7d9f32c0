//! The life of one job: slots, deployment, failure detection, failover, checkpoints, the end. Pure.
//!
//! [`JobMaster::step`] takes a fact and the time and returns commands, which the shell carries out in order. The whole
//! job is one failover region: all its exchanges are pipelined, so a failed task takes all other tasks with it.
//! Whatever has to outlive this leader is written to the leadership log first (`leadership`) and acted upon
//! afterwards. Scheduling and restoring are in `schedule`, messages of TaskManagers in `reports`.
//!
//! Invariants: (J1) tasks of at most one attempt are wanted at any time, and attempts only grow; (J2) a message of
//! another attempt, or of a connection that was given up, changes nothing; (J3) the job falls back behind a completed
//! checkpoint only after every sink's decision for the epochs above is `abort`; (J4) an attempt is deployed, a
//! checkpoint is notified, a fallback is decided, and an end is told only after its log entry is durable (one end has
//! no entry: a store of another release is left as it is); (J5) a report about a subtask counts only from the
//! TaskManager that holds the subtask in this attempt.
//! Source: apache/flink `DefaultScheduler`, `ExecutionFailureHandler`, `HeartbeatManagerImpl`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::restart::RestartBackoff;
use super::{JobResult, SLOT_REMINDER};
use crate::checkpoint::coordinator::{self, Coordinator};
use crate::checkpoint::manifest::{Damaged, Manifest, OtherVersion, SubtaskState};
use crate::config::JobConfig;
use crate::env::{Address, StoreError};
use crate::event::{AbortReason, Event};
use crate::graph::{JobGraph, JobSpec};
use crate::ha::entry::{Change, Ending, HaState};
use crate::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term};
use crate::time::{Time, nanos};
use crate::wire::{Deployment, Order, PeerError, TaskFailure, TaskReport, TaskStatus, Tasks, ToJobManager};

mod cause;
mod failover;
mod leadership;
#[cfg(feature = "mutations")]
mod planted;
mod reports;
mod schedule;

pub use cause::{CheckpointDamage, CommittedBeyond, EndCause, FailoverCause, LossCause, StoreFailure};
pub use leadership::opened;
pub(super) use reports::first_delay;

/// Why a manifest could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The manifest cannot be used, now or later.
    #[error(transparent)]
    Damaged(Damaged),
    /// Another release of the engine wrote the manifest and can use it.
    #[error(transparent)]
    OtherVersion(OtherVersion),
    /// The store did not answer as it should, but may do so later.
    #[error(transparent)]
    Store(StoreError),
}

/// Result of deciding `abort` for all epochs above a checkpoint: the aborted epochs, or the first epoch found
/// committed.
pub type Aborts = Result<Result<Vec<(SubtaskId, CheckpointId)>, (SubtaskId, CheckpointId)>, StoreError>;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Time has passed.
    Time,
    /// A TaskManager offers its slots over a new connection.
    Registered {
        /// The TaskManager.
        node: NodeName,
        /// Number of the connection; later connections have higher numbers.
        connection: u64,
        /// Which life of the TaskManager.
        incarnation: u32,
        /// The number of its slots.
        slots: u16,
        /// Where the TaskManager serves its channels.
        data: Address,
    },
    /// A message arrived.
    Message {
        /// The sender.
        node: NodeName,
        /// The connection that the message came over.
        connection: u64,
        /// The message.
        message: ToJobManager,
    },
    /// A connection ended.
    Disconnected {
        /// The TaskManager.
        node: NodeName,
        /// The connection.
        connection: u64,
        /// Why.
        cause: PeerError,
    },
    /// A manifest was read.
    Loaded(CheckpointId, Result<Box<Manifest>, LoadError>),
    /// A manifest is durable (true), or could not be made durable (false).
    Sealed(CheckpointId, bool),
    /// The sinks' epochs above the checkpoint to fall back to were decided.
    AbortsDecided(Aborts),
    /// The oldest entry asked for is durable in the leadership log.
    Appended(Change),
    /// The log holds an entry of another JobManager: this one does not lead any more.
    Superseded,
    /// A sweep is done, or was given up.
    Swept {
        /// Whether it was the sweep before the end of the job.
        last: bool,
    },
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send an order.
    Send(NodeName, Order),
    /// Close a connection.
    Disconnect(NodeName, u64),
    /// Emit an event.
    Emit(Event),
    /// Read a manifest; answer with [`Fact::Loaded`].
    Load(CheckpointId),
    /// Write a manifest; answer with [`Fact::Sealed`].
    Seal {
        /// The checkpoint.
        id: CheckpointId,
        /// The attempt that took it.
        attempt: Attempt,
        /// When it was triggered.
        triggered_at: Time,
        /// State of every subtask.
        states: BTreeMap<SubtaskId, SubtaskState>,
    },
    /// Decide `abort` for every epoch above `restored`; answer with [`Fact::AbortsDecided`].
    AbortAbove {
        /// The checkpoint to fall back to; 0: to the beginning.
        restored: CheckpointId,
        /// The highest epoch that may exist.
        highest: CheckpointId,
        /// All sink subtasks.
        sinks: Vec<SubtaskId>,
    },
    /// Delete a checkpoint's files.
    Delete(CheckpointId),
    /// Write an entry to the leadership log, after all entries that were asked for before; answer with
    /// [`Fact::Appended`] or [`Fact::Superseded`].
    Append(Change, HaState),
    /// Delete the files of all checkpoints with an id of at most `up_to` that are not in `keep`, and, if `last`, all
    /// pending output; answer with [`Fact::Swept`].
    Sweep {
        /// Checkpoints whose files stay.
        keep: Vec<CheckpointId>,
        /// Files of higher ids stay, because those ids may be in use.
        up_to: CheckpointId,
        /// Nothing will be committed any more.
        last: bool,
    },
    /// The job is over.
    End(JobResult),
    /// Another JobManager leads, or may lead: stop, and tell no TaskManager.
    StepDown,
    /// Another release of the engine wrote the stores: stop, and change nothing in them.
    Refuse(OtherVersion),
}

/// ```text
/// WaitingForSlots -> [FallingBack ->] [Loading ->] Starting -> Running -> Ending -> Ended
///        ^                                            |          |
///        +---- Canceling <---- failure ---------------+----------+
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    WaitingForSlots {
        said_at: Option<Time>,
        /// Since when there have been enough slots and no new TaskManager.
        enough_since: Option<Time>,
    },
    /// Reading the manifest to restore from.
    Loading(CheckpointId),
    /// Every sink decides that it has not committed, and never will commit, beyond the checkpoint to fall back to.
    FallingBack {
        from: CheckpointId,
        to: Option<CheckpointId>,
    },
    /// Tasks are deployed; these subtasks do not run yet (never empty).
    Starting(BTreeSet<SubtaskId>),
    Running,
    /// These TaskManagers still have tasks of the failed attempt. The next attempt begins at `restart_at` at the
    /// earliest.
    Canceling {
        waiting: BTreeSet<NodeName>,
        said: bool,
        since: Time,
        restart_at: Time,
    },
    /// The result is known, but not yet in the log.
    Ending(JobResult),
    Ended,
}

const WAITING: Phase = Phase::WaitingForSlots { said_at: None, enough_since: None };

#[derive(Debug, Clone)]
struct TaskManager {
    connection: u64,
    slots: u16,
    data: Address,
    heard_at: Time,
    heartbeat_at: Time,
}

/// Decides for one job.
#[derive(Clone)]
pub struct JobMaster {
    job: JobSpec,
    /// Arrival of the job's first record.
    start: Time,
    config: JobConfig,
    seed: u64,
    subtasks: Vec<SubtaskId>,
    sources: BTreeSet<SubtaskId>,
    sinks: BTreeSet<SubtaskId>,
    coordinator: Coordinator,
    term: Term,
    /// The state after all entries that were asked for so far.
    ha: HaState,
    /// Entries that were asked for and are not known to be durable, with the times at which they were asked for.
    appending: VecDeque<(Change, Time)>,
    /// When the last durable entry was asked for. For one lease after that time no other JobManager tries to lead.
    renewed_at: Time,
    attempt: Attempt,
    /// Whether the log entry that begins this attempt is durable.
    begun: bool,
    restarts: RestartBackoff,
    phase: Phase,
    task_managers: BTreeMap<NodeName, TaskManager>,
    /// TaskManagers whose connection ended, with the time until which their slots may still be in use.
    releasing: BTreeMap<NodeName, Time>,
    placement: BTreeMap<SubtaskId, NodeName>,
    deployed_at: Time,
    /// The checkpoint that the current attempt was restored from.
    restored: Option<CheckpointId>,
    /// A previous leader fell back, and this leader has not yet decided the epochs up to this one.
    undecided: Option<CheckpointId>,
    /// The damage found last; the error message of a job that cannot fall back names it.
    damage: Option<CheckpointDamage>,
}

impl JobMaster {
    /// The leader of `term`, whose first entry in the log left the state `ha`, at `now`.
    pub fn new(job: JobSpec, graph: &JobGraph, seed: u64, term: Term, ha: HaState, now: Time) -> Self {
        let config = job.config.clone();
        let subtasks = graph.subtasks(config.parallelism);
        let of = |which: &dyn Fn(&crate::graph::Vertex) -> bool| -> BTreeSet<SubtaskId> {
            subtasks.iter().filter(|id| which(&graph.vertices[usize::from(id.vertex.0)])).copied().collect()
        };
        let (sources, sinks) = (of(&|vertex| vertex.is_source), of(&|vertex| vertex.has_sink));
        let (checkpoints, retry) = (config.checkpoints.clone(), config.notify_retry);
        let next_id = leadership::first_id(&ha);
        let ha_undecided = ha.undecided;
        let restarts = RestartBackoff::new(&config);
        let coordinator =
            Coordinator::new(checkpoints, retry, sinks.clone(), ha.completed.clone(), next_id, ha.reserved);
        Self {
            job,
            start: ha.start,
            config,
            seed,
            subtasks,
            sources,
            sinks,
            coordinator,
            term,
            attempt: ha.attempt,
            begun: true,
            ha,
            appending: VecDeque::new(),
            renewed_at: now,
            restarts,
            phase: WAITING,
            task_managers: BTreeMap::new(),
            releasing: BTreeMap::new(),
            placement: BTreeMap::new(),
            deployed_at: Time::ZERO,
            restored: None,
            undecided: ha_undecided,
            damage: None,
        }
    }

    /// The first commands of a new leader: it sweeps files that nothing will ask for. If output is committed `beyond`
    /// every checkpoint that the log names, the job ends here with an error.
    pub fn begin(&mut self, now: Time, beyond: Option<CommittedBeyond>) -> Vec<Command> {
        let up_to = CheckpointId(self.coordinator.next_id().0 - 1);
        let mut commands = vec![Command::Sweep { keep: self.ha.completed.clone(), up_to, last: false }];
        if let Some(beyond) = beyond {
            self.fail(EndCause::LogLost(beyond), now, &mut commands);
        }
        commands.extend(self.step(now, Fact::Time));
        commands
    }

    /// When [`Fact::Time`] is due next.
    pub fn wake_at(&self) -> Time {
        let beats = self.task_managers.values();
        let beats = beats.flat_map(|tm| [tm.heartbeat_at, tm.heard_at + self.config.heartbeat_timeout]);
        let phase = match &self.phase {
            Phase::WaitingForSlots { .. } if !self.may_schedule() => Time::NEVER,
            Phase::WaitingForSlots { .. } if !self.releasing.is_empty() => {
                self.releasing.values().copied().max().unwrap_or(Time::NEVER)
            }
            Phase::WaitingForSlots { enough_since: Some(at), .. } => *at + self.config.slot_stabilization,
            Phase::WaitingForSlots { said_at, .. } => said_at.map_or(Time::ZERO, |at| at + SLOT_REMINDER),
            Phase::Canceling { waiting, restart_at, .. } if waiting.is_empty() && !self.coordinator.is_logging() => {
                *restart_at
            }
            Phase::Ending(_) => return self.renewal_at(),
            Phase::Ended => return Time::NEVER,
            _ => Time::NEVER,
        };
        beats.chain([phase, self.coordinator.wake_at(), self.renewal_at()]).min().unwrap_or(Time::NEVER)
    }

    /// Takes a fact and returns the commands that follow from it.
    pub fn step(&mut self, now: Time, fact: Fact) -> Vec<Command> {
        let mut out = Vec::new();
        if self.phase == Phase::Ended {
            return out;
        }
        match fact {
            Fact::Time => {}
            Fact::Registered { node, connection, incarnation, slots, data } => {
                let _ = incarnation;
                if self.task_managers.contains_key(&node) {
                    self.lose(&node, LossCause::RegisteredAgain, now, &mut out);
                }
                let heartbeat_timeout_ns = nanos(self.config.heartbeat_timeout);
                out.push(Command::Send(node.clone(), Order::Registered { heartbeat_timeout_ns }));
                out.push(Command::Emit(Event::TaskManagerRegistered { task_manager: node.clone(), slots }));
                let heartbeat_at = now + self.config.heartbeat_interval;
                self.releasing.remove(&node);
                self.task_managers.insert(node, TaskManager { connection, slots, data, heard_at: now, heartbeat_at });
                if let Phase::WaitingForSlots { enough_since, .. } = &mut self.phase {
                    *enough_since = None;
                }
            }
            Fact::Message { node, connection, message } => self.on_message(&node, connection, message, now, &mut out),
            Fact::Disconnected { node, connection, cause } => {
                if let Some(tm) = self.task_managers.get(&node).filter(|tm| tm.connection == connection) {
                    if let Some(more) = self.config.heartbeat_rpc_failure_threshold.checked_sub(1) {
                        let released_at = tm.heartbeat_at + self.config.heartbeat_interval.saturating_mul(more);
                        self.releasing.insert(node.clone(), released_at);
                    }
                    self.lose(&node, LossCause::Disconnected(cause), now, &mut out);
                }
            }
            Fact::Loaded(id, result) => self.on_loaded(id, result, now, &mut out),
            Fact::Sealed(id, durable) => {
                if durable && self.coordinator.is_sealing(id) {
                    out.push(Command::Emit(Event::ManifestWritten { attempt: self.attempt, checkpoint: id }));
                }
                let commands = self.coordinator.on_sealed(id, durable, now);
                self.checkpoints(commands, now, &mut out);
            }
            Fact::AbortsDecided(decided) => self.on_aborts_decided(decided, now, &mut out),
            Fact::Appended(change) => self.on_appended(change, now, &mut out),
            Fact::Superseded => self.step_down(&mut out),
            Fact::Swept { last } => self.on_swept(last, now, &mut out),
        }
        if self.phase != Phase::Ended {
            self.on_time(now, &mut out);
        }
        out
    }

    fn on_time(&mut self, now: Time, out: &mut Vec<Command>) {
        self.renew(now, out);
        if matches!(self.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        let timeout = self.config.heartbeat_timeout;
        let silent: Vec<_> =
            self.task_managers.iter().filter(|(_, tm)| now >= tm.heard_at + timeout).map(|(n, _)| n.clone()).collect();
        for node in silent {
            out.push(Command::Emit(Event::HeartbeatMissed { peer: node.clone() }));
            self.lose(&node, LossCause::Silent(timeout), now, out);
        }
        for (node, tm) in &mut self.task_managers {
            if now >= tm.heartbeat_at {
                tm.heartbeat_at = now + self.config.heartbeat_interval;
                out.push(Command::Send(node.clone(), Order::Heartbeat));
                out.push(Command::Emit(Event::HeartbeatSent { to: node.clone() }));
            }
        }
        let commands = self.coordinator.on_time(now);
        self.checkpoints(commands, now, out);
        let attempt = self.attempt;
        if let Phase::Canceling { waiting, said, restart_at, .. } = &mut self.phase {
            if waiting.is_empty() && !std::mem::replace(said, true) {
                out.push(Command::Emit(Event::TasksCanceled { attempt }));
            }
            // A checkpoint that is being logged belongs to the old attempt, and its events carry the old number, so
            // the attempt changes only after that.
            if waiting.is_empty() && now >= *restart_at && !self.coordinator.is_logging() {
                out.push(Command::Emit(Event::RestartReady { attempt }));
                self.attempt = attempt.next();
                self.begun = self.ha.attempt == self.attempt && !self.is_appending(&Change::AttemptBegun(self.attempt));
                self.phase = WAITING;
            }
        }
        self.releasing.retain(|_, released_at| now < *released_at);
        if matches!(self.phase, Phase::WaitingForSlots { .. }) && self.may_schedule() && self.releasing.is_empty() {
            self.schedule(now, out);
        }
    }

    /// Turns the coordinator's commands into the shell's.
    fn checkpoints(&mut self, commands: Vec<coordinator::Command>, now: Time, out: &mut Vec<Command>) {
        use coordinator::Command as C;
        let attempt = self.attempt;
        for command in commands {
            match command {
                C::Trigger { id, last } => {
                    out.push(Command::Emit(Event::CheckpointTriggered { attempt, checkpoint: id, last }));
                    let nodes: BTreeSet<_> = self.sources.iter().filter_map(|id| self.placement.get(id)).collect();
                    out.extend(nodes.into_iter().map(|n| Command::Send(n.clone(), Order::Trigger(attempt, id))));
                }
                C::Seal { id, triggered_at, states } => {
                    out.push(Command::Seal { id, attempt, triggered_at, states });
                }
                C::Log(id) => self.append(Change::Completed(id), now, out),
                C::Completed { id, bytes } => {
                    out.push(Command::Emit(Event::CheckpointCompleted { attempt, checkpoint: id, bytes }));
                }
                C::Notify(id) => {
                    self.tell_tasks(&Order::Completed(attempt, id), out);
                    out.push(Command::Emit(Event::CompletionNotified { attempt, checkpoint: id }));
                }
                C::Abort(id, reason) => {
                    self.tell_tasks(&Order::Aborted(attempt, id), out);
                    out.push(Command::Emit(Event::CheckpointAborted { attempt, checkpoint: id, reason }));
                }
                C::Discard(id) => out.push(Command::Delete(id)),
                C::Subsume(id) => {
                    out.push(Command::Emit(Event::CheckpointSubsumed { checkpoint: id }));
                    out.push(Command::Delete(id));
                }
                C::FailJob(failures) => self.fail_over(FailoverCause::CheckpointsFailed(failures), now, out),
                C::Finish => {
                    self.phase = Phase::Ending(JobResult::Finished);
                    let (keep, up_to) = (self.ha.completed.clone(), CheckpointId(u64::MAX));
                    out.push(Command::Sweep { keep, up_to, last: true });
                }
            }
        }
    }

    fn tell_tasks(&self, order: &Order, out: &mut Vec<Command>) {
        let nodes: BTreeSet<_> = self.placement.values().collect();
        out.extend(nodes.into_iter().map(|node| Command::Send(node.clone(), order.clone())));
    }
}

#[cfg(test)]
impl JobMaster {
    /// All state that changes, as text, for model checking.
    pub(crate) fn shown(&self) -> String {
        let entries = (&self.ha, &self.appending, self.renewed_at, self.begun);
        let attempt = (self.attempt, &self.phase, self.restored, self.undecided, &self.damage, &self.restarts);
        let cluster = (&self.task_managers, &self.releasing, &self.placement, self.deployed_at);
        format!("{:?}", (&self.coordinator, entries, attempt, cluster))
    }

    /// The current attempt, if all its tasks run.
    pub(crate) fn running(&self) -> Option<Attempt> {
        (self.phase == Phase::Running).then_some(self.attempt)
    }
}

#[cfg(test)]
mod tests;
