//! The life of one job: slots, deployment, failure detection, failover, checkpoints, the end. Pure.
//!
//! [`JobMaster::step`] takes a fact and the time and returns commands for the shell to obey in order. The whole job is one
//! failover region: all its exchanges are pipelined, so a failed task takes everyone with it.
//!
//! Invariants: (J1) tasks of at most one attempt are wanted at any time, and attempts only grow; (J2) a message of another
//! attempt, or of a connection that was given up, changes nothing; (J3) the job falls back behind a completed checkpoint only
//! after every sink's decision for the epochs above is `abort`.
//! Source: apache/flink `DefaultScheduler`, `ExecutionFailureHandler`, `HeartbeatManagerImpl`.

use std::collections::{BTreeMap, BTreeSet};

use super::{JobResult, SLOT_REMINDER};
use crate::checkpoint::coordinator::{self, Coordinator};
use crate::checkpoint::manifest::{Damaged, Manifest, SubtaskState};
use crate::config::JobConfig;
use crate::env::{Address, StoreError, draw, draw_between};
use crate::event::{AbortReason, Event, RootCause};
use crate::graph::{JobGraph, JobSpec};
use crate::ids::{Attempt, CheckpointId, NodeName, SubtaskId};
use crate::time::{Time, nanos};
use crate::wire::{Deployment, Order, TaskFailure, TaskReport, ToJobManager};

/// Why a manifest could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// It cannot be used, now or later.
    Damaged(Damaged),
    /// The store did not answer as it should; it may later.
    Store(String),
}

/// Outcome of deciding `abort` for all epochs above a checkpoint: what was aborted, or the first committed epoch found.
pub type Aborts = Result<Result<Vec<(SubtaskId, CheckpointId)>, (SubtaskId, CheckpointId)>, StoreError>;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Time has passed.
    Time,
    /// A TaskManager offers its slots over a new connection.
    Registered {
        /// Who.
        node: NodeName,
        /// Number of the connection, growing.
        connection: u64,
        /// Which life of the TaskManager.
        incarnation: u32,
        /// Its slots.
        slots: u16,
        /// Where it serves its channels.
        data: Address,
    },
    /// A message arrived.
    Message {
        /// From whom.
        node: NodeName,
        /// Over which connection.
        connection: u64,
        /// What it says.
        message: ToJobManager,
    },
    /// A connection ended.
    Disconnected {
        /// Whose.
        node: NodeName,
        /// Which.
        connection: u64,
        /// Why.
        cause: String,
    },
    /// A manifest was read.
    Loaded(CheckpointId, Result<Box<Manifest>, LoadError>),
    /// A manifest was written (true), or perhaps not (false).
    Sealed(CheckpointId, bool),
    /// The sinks' epochs above the checkpoint to fall back to were decided.
    AbortsDecided(Aborts),
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send an order.
    Send(NodeName, Order),
    /// Close a connection.
    Disconnect(NodeName, u64),
    /// Say what happened.
    Emit(Event),
    /// Read a manifest; answer with [`Fact::Loaded`].
    Load(CheckpointId),
    /// Write a manifest; answer with [`Fact::Sealed`].
    Seal {
        /// The checkpoint.
        id: CheckpointId,
        /// The attempt that took it.
        attempt: Attempt,
        /// Its trigger.
        triggered_at: Time,
        /// State of every subtask.
        states: BTreeMap<SubtaskId, SubtaskState>,
    },
    /// Decide `abort` for every epoch above `restored`; answer with [`Fact::AbortsDecided`].
    AbortAbove {
        /// The checkpoint to fall back to; 0: to the beginning.
        restored: CheckpointId,
        /// The highest epoch there may be.
        highest: CheckpointId,
        /// All sink subtasks.
        sinks: Vec<SubtaskId>,
    },
    /// Delete a checkpoint's files.
    Delete(CheckpointId),
    /// The job is over.
    End(JobResult),
}

/// ```text
/// WaitingForSlots -> [FallingBack ->] [Loading ->] Starting -> Running -> Ended
///        ^                                            |          |
///        +---- Canceling <---- failure ---------------+----------+
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    WaitingForSlots {
        said_at: Option<Time>,
        /// There are enough since then, with nobody new.
        enough_since: Option<Time>,
    },
    /// Reading the manifest to restore from.
    Loading(CheckpointId),
    /// Making sure that no sink committed, or ever commits, beyond the checkpoint to fall back to.
    FallingBack {
        from: CheckpointId,
        to: Option<CheckpointId>,
    },
    /// Deployed; these subtasks do not run yet (never empty).
    Starting(BTreeSet<SubtaskId>),
    Running,
    /// These TaskManagers still have tasks of the failed attempt; not before `restart_at` the next one begins.
    Canceling {
        waiting: BTreeSet<NodeName>,
        said: bool,
        restart_at: Time,
    },
    Ended,
}

const WAITING: Phase = Phase::WaitingForSlots { said_at: None, enough_since: None };

struct TaskManager {
    connection: u64,
    slots: u16,
    data: Address,
    heard_at: Time,
    heartbeat_at: Time,
}

/// Decides for one job.
pub struct JobMaster {
    job: JobSpec,
    /// Arrival of the job's first record.
    start: Time,
    config: JobConfig,
    seed: u64,
    /// Only for a planted bug: reports of any attempt count.
    unfenced: bool,
    subtasks: Vec<SubtaskId>,
    sources: BTreeSet<SubtaskId>,
    sinks: BTreeSet<SubtaskId>,
    coordinator: Coordinator,
    attempt: Attempt,
    restarts: u32,
    phase: Phase,
    task_managers: BTreeMap<NodeName, TaskManager>,
    placement: BTreeMap<SubtaskId, NodeName>,
    /// The checkpoint that the current attempt began with.
    restored: Option<CheckpointId>,
    /// Nobody has made sure yet, in this term, that no sink committed beyond the checkpoint to begin with.
    unproven: bool,
    /// What the damage was, for the message of a job that cannot fall back.
    damage: Option<(CheckpointId, String)>,
}

impl JobMaster {
    /// `completed` checkpoints were found in the store, oldest first; `next_id` is above every id seen there.
    pub fn new(
        job: JobSpec,
        graph: &JobGraph,
        start: Time,
        seed: u64,
        completed: Vec<CheckpointId>,
        next_id: CheckpointId,
    ) -> Self {
        let config = job.config.clone();
        let subtasks = graph.subtasks(config.parallelism);
        let of = |which: &dyn Fn(&crate::graph::Vertex) -> bool| -> BTreeSet<SubtaskId> {
            subtasks.iter().filter(|id| which(&graph.vertices[usize::from(id.vertex.0)])).copied().collect()
        };
        let (sources, sinks) = (of(&|vertex| vertex.is_source), of(&|vertex| vertex.has_sink));
        let coordinator =
            Coordinator::new(config.checkpoints.clone(), config.notify_retry, sinks.clone(), completed, next_id);
        Self {
            job,
            start,
            config,
            seed,
            unfenced: false,
            subtasks,
            sources,
            sinks,
            coordinator,
            attempt: Attempt(1),
            restarts: 0,
            phase: WAITING,
            task_managers: BTreeMap::new(),
            placement: BTreeMap::new(),
            restored: None,
            unproven: next_id > CheckpointId(1),
            damage: None,
        }
    }

    /// Plants a bug: reports of any attempt count (against J2).
    pub fn skip_fencing(&mut self) {
        self.unfenced = true;
    }

    /// When [`Fact::Time`] is due next.
    pub fn wake_at(&self) -> Time {
        let beats = self.task_managers.values();
        let beats = beats.flat_map(|tm| [tm.heartbeat_at, tm.heard_at + self.config.heartbeat_timeout]);
        let phase = match &self.phase {
            Phase::WaitingForSlots { enough_since: Some(at), .. } => *at + self.config.slot_stabilization,
            Phase::WaitingForSlots { said_at, .. } => said_at.map_or(Time::ZERO, |at| at + SLOT_REMINDER),
            Phase::Canceling { waiting, restart_at, .. } if waiting.is_empty() => *restart_at,
            Phase::Ended => return Time::NEVER,
            _ => Time::NEVER,
        };
        beats.chain([phase, self.coordinator.wake_at()]).min().unwrap_or(Time::NEVER)
    }

    /// Takes a fact, returns what to do about it.
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
                    self.lose(&node, "it registered again".into(), now, &mut out);
                }
                let heartbeat_timeout_ns = nanos(self.config.heartbeat_timeout);
                out.push(Command::Send(node.clone(), Order::Registered { heartbeat_timeout_ns }));
                out.push(Command::Emit(Event::TaskManagerRegistered { task_manager: node.clone(), slots }));
                let heartbeat_at = now + self.config.heartbeat_interval;
                self.task_managers.insert(node, TaskManager { connection, slots, data, heard_at: now, heartbeat_at });
                if let Phase::WaitingForSlots { enough_since, .. } = &mut self.phase {
                    *enough_since = None;
                }
            }
            Fact::Message { node, connection, message } => self.on_message(&node, connection, message, now, &mut out),
            Fact::Disconnected { node, connection, cause } => {
                if self.task_managers.get(&node).is_some_and(|tm| tm.connection == connection) {
                    self.lose(&node, cause, now, &mut out);
                }
            }
            Fact::Loaded(id, result) => self.on_loaded(id, result, now, &mut out),
            Fact::Sealed(id, durable) => {
                let commands = self.coordinator.on_sealed(id, durable, now);
                self.checkpoints(commands, now, &mut out);
            }
            Fact::AbortsDecided(decided) => self.on_aborts_decided(decided, now, &mut out),
        }
        self.on_time(now, &mut out);
        out
    }

    fn on_time(&mut self, now: Time, out: &mut Vec<Command>) {
        let timeout = self.config.heartbeat_timeout;
        let silent: Vec<_> =
            self.task_managers.iter().filter(|(_, tm)| now >= tm.heard_at + timeout).map(|(n, _)| n.clone()).collect();
        for node in silent {
            out.push(Command::Emit(Event::HeartbeatMissed { peer: node.clone() }));
            self.lose(&node, format!("no heartbeat for {timeout:?}"), now, out);
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
        if let Phase::Canceling { waiting, said, restart_at } = &mut self.phase {
            if waiting.is_empty() && !std::mem::replace(said, true) {
                out.push(Command::Emit(Event::TasksCanceled { attempt }));
            }
            if waiting.is_empty() && now >= *restart_at {
                out.push(Command::Emit(Event::RestartReady { attempt }));
                self.attempt = attempt.next();
                self.phase = WAITING;
            }
        }
        if matches!(self.phase, Phase::WaitingForSlots { .. }) {
            self.schedule(now, out);
        }
    }

    fn offered(&self) -> u16 {
        self.task_managers.values().map(|tm| tm.slots).fold(0, u16::saturating_add)
    }

    /// Goes on as soon as there are slots enough.
    fn schedule(&mut self, now: Time, out: &mut Vec<Command>) {
        let (needed, offered) = (self.config.parallelism, self.offered());
        if offered < needed {
            let said_at = match self.phase {
                Phase::WaitingForSlots { said_at: Some(at), .. } if now < at + SLOT_REMINDER => Some(at),
                _ => {
                    out.push(Command::Emit(Event::WaitingForSlots { attempt: self.attempt, needed, offered }));
                    Some(now)
                }
            };
            self.phase = Phase::WaitingForSlots { said_at, enough_since: None };
            return;
        }
        if let Phase::WaitingForSlots { enough_since, .. } = &mut self.phase {
            let since = *enough_since.get_or_insert(now);
            if now < since + self.config.slot_stabilization {
                return;
            }
        }
        let (restorable, highest) = (self.coordinator.restorable(), self.coordinator.highest());
        match self.coordinator.newest() {
            // A new term asks even where nothing looks damaged: the newest checkpoint may be missing altogether.
            newest if restorable != newest || (self.unproven && highest > restorable.unwrap_or_default()) => {
                self.phase = Phase::FallingBack { from: newest.unwrap_or(highest), to: restorable };
                let sinks = self.sinks.iter().copied().collect();
                out.push(Command::AbortAbove { restored: restorable.unwrap_or_default(), highest, sinks });
            }
            _ => match restorable {
                Some(id) => {
                    self.phase = Phase::Loading(id);
                    out.push(Command::Load(id));
                }
                None => self.deploy(None, out),
            },
        }
    }

    fn on_aborts_decided(&mut self, decided: Aborts, now: Time, out: &mut Vec<Command>) {
        let Phase::FallingBack { from, to } = self.phase else {
            unreachable!("nobody asked for decisions in {:?}", self.phase)
        };
        match decided {
            Ok(Ok(aborted)) => {
                let events = aborted.into_iter().map(|(subtask, epoch)| Event::SinkAborted { epoch, subtask });
                out.extend(events.map(Command::Emit));
                self.unproven = false;
                if to != Some(from) {
                    out.push(Command::Emit(Event::FellBack { from, to }));
                }
                let commands = self.coordinator.on_fell_back();
                self.checkpoints(commands, now, out);
                self.phase = WAITING;
            }
            Ok(Err((subtask, epoch))) => {
                let damage = self.damage.take();
                let what =
                    damage.map_or_else(|| format!("no usable checkpoint covers epoch {epoch}"), |(_, what)| what);
                let cause = format!(
                    "{what}; falling back is not possible: subtask {subtask} has committed output of epoch {epoch}"
                );
                self.fail(cause, out);
            }
            Err(error) => self.store_failed(format!("commit decisions: {error}"), now, out),
        }
    }

    fn on_loaded(
        &mut self,
        id: CheckpointId,
        result: Result<Box<Manifest>, LoadError>,
        now: Time,
        out: &mut Vec<Command>,
    ) {
        assert_eq!(self.phase, Phase::Loading(id), "J1: one manifest is read at a time");
        match result {
            Ok(manifest) if !self.fits(&manifest.job) => {
                let cause = format!("checkpoint {id} was taken by a job of another shape; it cannot be restored");
                self.fail(cause, out);
            }
            Ok(manifest) if self.offered() >= self.config.parallelism => self.deploy(Some(*manifest), out),
            Ok(_) => self.phase = WAITING,
            Err(LoadError::Damaged(damaged)) => {
                self.note_damage(id, damaged.path, damaged.expected, damaged.found, out);
                self.phase = WAITING;
            }
            Err(LoadError::Store(error)) => {
                self.store_failed(format!("manifest of checkpoint {id}: {error}"), now, out)
            }
        }
    }

    /// Whether the state of a checkpoint fits the subtasks of this job.
    fn fits(&self, taken: &JobSpec) -> bool {
        let shape = |job: &JobSpec| {
            let config = &job.config;
            (job.program.clone(), config.parallelism, config.max_parallelism, config.backend, job.input.splits)
        };
        shape(taken) == shape(&self.job)
    }

    fn note_damage(&mut self, id: CheckpointId, file: String, expected: String, found: String, out: &mut Vec<Command>) {
        self.coordinator.on_damaged(id);
        let what = format!("checkpoint {id} is damaged ({file}: expected {expected}, found {found})");
        self.damage = Some((id, what));
        out.push(Command::Emit(Event::CheckpointDamaged { checkpoint: id, file, expected, found }));
    }

    /// Spreads the slots over the TaskManagers in turn, and the subtasks over the slots: index `i` of every vertex shares
    /// slot `i`.
    fn deploy(&mut self, manifest: Option<Manifest>, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        let checkpoint = manifest.as_ref().map(|manifest| manifest.checkpoint);
        self.restored = checkpoint;
        let state_bytes = manifest.as_ref().map_or(0, Manifest::state_bytes);
        let mut slots = Vec::new();
        for round in 0..self.config.parallelism {
            slots.extend(self.task_managers.iter().filter(|(_, tm)| tm.slots > round).map(|(node, _)| node.clone()));
        }
        let place = |id: &SubtaskId| (*id, slots[usize::from(id.index)].clone());
        self.placement = self.subtasks.iter().map(place).collect();
        let data: BTreeMap<_, _> =
            self.task_managers.iter().map(|(node, tm)| (node.clone(), tm.data.clone())).collect();
        out.push(Command::Emit(Event::DeploymentBegun { attempt, restored: checkpoint, state_bytes }));
        let mut states = manifest.map(|manifest| manifest.subtasks).unwrap_or_default();
        let mut deployments: BTreeMap<NodeName, Deployment> = BTreeMap::new();
        for (subtask, node) in &self.placement {
            let deployment = deployments.entry(node.clone()).or_insert_with(|| Deployment {
                attempt,
                job: self.job.clone(),
                start: self.start,
                checkpoint,
                subtasks: BTreeMap::new(),
                placement: self.placement.clone(),
                data: data.clone(),
            });
            deployment.subtasks.insert(*subtask, states.remove(subtask).unwrap_or_default());
        }
        out.extend(
            deployments.into_iter().map(|(node, deployment)| Command::Send(node, Order::Deploy(Box::new(deployment)))),
        );
        self.phase = Phase::Starting(self.subtasks.iter().copied().collect());
    }

    fn on_message(
        &mut self,
        node: &NodeName,
        connection: u64,
        message: ToJobManager,
        now: Time,
        out: &mut Vec<Command>,
    ) {
        let Some(tm) = self.task_managers.get_mut(node).filter(|tm| tm.connection == connection) else { return };
        tm.heard_at = now;
        match message {
            ToJobManager::Register { .. } | ToJobManager::Heartbeat => {}
            ToJobManager::Canceled(attempt) => {
                if let Phase::Canceling { waiting, .. } = &mut self.phase
                    && attempt == self.attempt
                {
                    waiting.remove(node);
                }
            }
            ToJobManager::Task(attempt, report) => {
                if attempt == self.attempt || self.unfenced {
                    self.on_report(report, now, out);
                }
            }
        }
    }

    fn on_report(&mut self, report: TaskReport, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        if !matches!(self.phase, Phase::Starting(_) | Phase::Running) {
            return;
        }
        match report {
            TaskReport::Running(subtask) => {
                if let Phase::Starting(waiting) = &mut self.phase {
                    waiting.remove(&subtask);
                    if waiting.is_empty() {
                        self.phase = Phase::Running;
                        out.push(Command::Emit(Event::JobRunning { attempt }));
                        let (interval, pause) = (self.config.checkpoints.interval, self.config.checkpoints.min_pause);
                        let drawn = draw(self.seed, "first trigger", u64::from(attempt.0), 0);
                        let first = draw_between(drawn, nanos(pause), nanos(interval.max(pause)));
                        let tasks = self.subtasks.iter().copied().collect();
                        let first = std::time::Duration::from_nanos(first);
                        let commands = self.coordinator.on_running(now, tasks, self.restored, first);
                        self.checkpoints(commands, now, out);
                    }
                }
            }
            TaskReport::Failed(subtask, TaskFailure::Failed(cause)) => {
                self.fail_over(RootCause::TaskFailed { subtask }, format!("subtask {subtask}: {cause}"), now, out);
            }
            TaskReport::Failed(subtask, TaskFailure::Fatal(cause)) => {
                self.fail(format!("subtask {subtask}: {cause}"), out)
            }
            TaskReport::Failed(subtask, TaskFailure::Damaged(id, file)) => {
                let cause = format!("subtask {subtask}: {} of checkpoint {id} is damaged", file.path);
                self.note_damage(id, file.path, file.expected, file.found, out);
                self.fail_over(RootCause::CheckpointDamaged { checkpoint: id }, cause, now, out);
            }
            TaskReport::EndOfInput(subtask) => {
                let commands = self.coordinator.on_end_of_input(subtask, now);
                self.checkpoints(commands, now, out);
            }
            TaskReport::Acknowledge { checkpoint, subtask, state } => {
                let (counted, commands) = self.coordinator.on_acknowledged(checkpoint, subtask, state);
                if counted {
                    out.push(Command::Emit(Event::CheckpointAcknowledged { attempt, checkpoint, subtask }));
                }
                self.checkpoints(commands, now, out);
            }
            TaskReport::Decline { checkpoint, subtask, reason } => {
                let _ = subtask;
                let commands = self.coordinator.on_declined(checkpoint, reason, now);
                self.checkpoints(commands, now, out);
            }
            TaskReport::Committed { checkpoint, subtask } => {
                let (counted, commands) = self.coordinator.on_commit_acknowledged(checkpoint, subtask);
                if counted {
                    out.push(Command::Emit(Event::CommitAcknowledged { attempt, checkpoint, subtask }));
                }
                self.checkpoints(commands, now, out);
            }
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
                C::FailJob(checkpoint, why) => {
                    self.fail_over(RootCause::CheckpointsFailed { checkpoint }, why, now, out)
                }
                C::Finish => {
                    self.tell_tasks(&Order::Finish(attempt), out);
                    out.push(Command::Emit(Event::JobFinished { attempt }));
                    out.push(Command::End(JobResult::Finished));
                    self.phase = Phase::Ended;
                }
            }
        }
    }

    fn tell_tasks(&self, order: &Order, out: &mut Vec<Command>) {
        let nodes: BTreeSet<_> = self.placement.values().collect();
        out.extend(nodes.into_iter().map(|node| Command::Send(node.clone(), order.clone())));
    }

    fn lose(&mut self, node: &NodeName, cause: String, now: Time, out: &mut Vec<Command>) {
        let Some(tm) = self.task_managers.remove(node) else { return };
        out.push(Command::Disconnect(node.clone(), tm.connection));
        out.push(Command::Emit(Event::TaskManagerLost { task_manager: node.clone(), cause: cause.clone() }));
        match &mut self.phase {
            Phase::Canceling { waiting, .. } => drop(waiting.remove(node)),
            Phase::Starting(_) | Phase::Running if self.placement.values().any(|at| at == node) => {
                let root = RootCause::TaskManagerLost { task_manager: node.clone() };
                self.fail_over(root, format!("TaskManager {node} lost: {cause}"), now, out);
            }
            _ => {}
        }
    }

    fn store_failed(&mut self, cause: String, now: Time, out: &mut Vec<Command>) {
        out.push(Command::Emit(Event::StoreFailed { attempt: self.attempt, cause: cause.clone() }));
        self.fail_over(RootCause::StoreFailed, cause, now, out);
    }

    /// Cancels everything and begins the next attempt after the restart delay, unless the attempts are used up.
    fn fail_over(&mut self, root: RootCause, cause: String, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        if matches!(self.phase, Phase::Canceling { .. } | Phase::Ended) {
            return;
        }
        out.push(Command::Emit(Event::FailoverBegun { attempt, root, cause: cause.clone() }));
        let commands = self.coordinator.on_stopped(AbortReason::TaskFailure, now);
        // Nothing in there can fail the job again: a task failure does not count.
        self.checkpoints(commands, now, out);
        self.restarts += 1;
        if self.config.restart_attempts.is_some_and(|allowed| self.restarts > allowed) {
            let allowed = self.config.restart_attempts.unwrap_or_default();
            return self.fail(format!("{cause}; {allowed} restarts are used up"), out);
        }
        let placed: BTreeSet<_> = self.placement.values().cloned().collect();
        let waiting: BTreeSet<_> = placed.into_iter().filter(|node| self.task_managers.contains_key(node)).collect();
        out.extend(waiting.iter().map(|node| Command::Send(node.clone(), Order::Cancel(attempt))));
        self.placement.clear();
        self.phase = Phase::Canceling { waiting, said: false, restart_at: now + self.config.restart_delay };
    }

    fn fail(&mut self, cause: String, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        self.tell_tasks(&Order::Cancel(attempt), out);
        out.push(Command::Emit(Event::JobFailed { attempt, cause: cause.clone() }));
        out.push(Command::End(JobResult::Failed(cause)));
        self.phase = Phase::Ended;
    }
}

#[cfg(test)]
mod tests;
