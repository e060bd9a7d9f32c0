//! What planted bugs make of a leader. Exists only under the feature `mutations`; each bug changes nothing unless it is
//! switched on.
//!
//! The job master decides about facts and returns commands, so most bugs are planted around it ([`Leader`]): it is told
//! something else than happened, or something else is done than it decided. It does not know.

use std::collections::BTreeMap;

use super::*;
use crate::config::RestartStrategy;
use crate::connectors::file_sink::{DECISIONS, decision_at, is_commit};
use crate::event::RootCause;
use crate::ha::log::LogError;
use crate::ha::position::{FOLDER, Position};
use crate::ids::SubtaskId;
use crate::mutation::Mutation;
use crate::wire::{Order, TaskFailure, TaskReport};
use job_master::{CommittedBeyond, opened};

/// No job runs for longer.
const ALL_TIME: Duration = Duration::from_secs(u32::MAX as u64);

/// What the job master begins with: the job, and the state that the first entry of its term left.
pub(super) fn beginning(env: &Env, mut spec: JobSpec, mut state: HaState) -> (JobSpec, HaState) {
    let config = &mut spec.config;
    if env.mutated(Mutation::SkipRestartDelay) {
        config.restart_delay = Duration::ZERO;
    }
    match &mut config.restart_strategy {
        RestartStrategy::ExponentialDelay(settings) if env.mutated(Mutation::NeverResetBackoff) => {
            settings.reset_backoff_threshold = ALL_TIME;
        }
        RestartStrategy::FailureRate(settings) if env.mutated(Mutation::CountFailuresForever) => {
            settings.failure_rate_interval = ALL_TIME;
        }
        _ => {}
    }
    if env.mutated(Mutation::IntervalFromCompletion) {
        config.checkpoints.min_pause = config.checkpoints.min_pause.max(config.checkpoints.interval);
    }
    if env.mutated(Mutation::ReuseCheckpointIds) {
        // As if nothing had been reserved beyond the newest one.
        let reserved = state.completed.last().copied().unwrap_or_default();
        state.reserved = opened(HaState { reserved, ..state.clone() }).reserved;
    }
    (spec, state)
}

/// A job master between planted bugs, with its interface.
pub(super) struct Leader {
    env: Env,
    rpc_timeout: Duration,
    master: JobMaster,
    /// Connections that were not replaced.
    connections: BTreeMap<NodeName, u64>,
    /// The newest deployment: its attempt, when it was, and where its subtasks are.
    deployed: Option<(Attempt, Time, BTreeMap<SubtaskId, NodeName>)>,
    /// Triggered, and neither completed nor given up.
    pending: Option<CheckpointId>,
    /// A heartbeat was misread.
    misread: bool,
    /// What failed the last attempt.
    failed: Option<RootCause>,
}

impl Leader {
    pub(super) fn around(env: &Env, rpc_timeout: Duration, master: JobMaster) -> Self {
        let (env, connections) = (env.clone(), BTreeMap::new());
        Self { env, rpc_timeout, master, connections, deployed: None, pending: None, misread: false, failed: None }
    }

    pub(super) fn begin(&mut self, now: Time, beyond: Option<CommittedBeyond>) -> Vec<Command> {
        let commands = self.master.begin(now, beyond);
        self.done(now, commands)
    }

    pub(super) fn step(&mut self, now: Time, fact: Fact) -> Vec<Command> {
        let fact = self.told(now, fact);
        let commands = self.master.step(now, fact);
        self.done(now, commands)
    }

    pub(super) fn wake_at(&self) -> Time {
        self.master.wake_at()
    }

    /// What the job master is told of a fact.
    fn told(&mut self, now: Time, fact: Fact) -> Fact {
        match fact {
            Fact::Registered { ref node, connection, .. } => {
                self.connections.insert(node.clone(), connection);
                fact
            }
            Fact::Message { node, connection, message } => self.message(now, node, connection, message),
            Fact::Swept { last } => Fact::Swept { last: last || self.env.mutated(Mutation::AnySweepEndsTheJob) },
            fact => fact,
        }
    }

    fn message(&mut self, now: Time, node: NodeName, connection: u64, message: ToJobManager) -> Fact {
        let Some((attempt, at, placement)) = &self.deployed else {
            return Fact::Message { node, connection, message };
        };
        match message {
            // Over a connection that stands, a report of any attempt counts for the newest one.
            ToJobManager::Task(_, report)
                if self.env.mutated(Mutation::SkipFencing) && self.connections.get(&node) == Some(&connection) =>
            {
                let node = placement.get(&report.subtask()).cloned().unwrap_or(node);
                let connection = self.connections.get(&node).copied().unwrap_or(connection);
                Fact::Message { node, connection, message: ToJobManager::Task(*attempt, report) }
            }
            ToJobManager::Task(of, TaskReport::Decline { checkpoint, subtask, reason })
                if self.env.mutated(Mutation::DeclineOfAnyCheckpoint) =>
            {
                let checkpoint = self.pending.unwrap_or(checkpoint);
                let message = ToJobManager::Task(of, TaskReport::Decline { checkpoint, subtask, reason });
                Fact::Message { node, connection, message }
            }
            ToJobManager::Heartbeat(Some(_))
                if !self.misread && now >= *at + self.rpc_timeout && self.env.mutated(Mutation::MisreadHeartbeat) =>
            {
                self.misread = true;
                Fact::Message { node, connection, message: ToJobManager::Heartbeat(None) }
            }
            message => Fact::Message { node, connection, message },
        }
    }

    /// What is done of the job master's commands.
    fn done(&mut self, now: Time, commands: Vec<Command>) -> Vec<Command> {
        let mut done = Vec::new();
        for command in commands {
            match &command {
                Command::Emit(Event::CheckpointTriggered { checkpoint, .. }) => self.pending = Some(*checkpoint),
                Command::Emit(Event::CheckpointCompleted { .. } | Event::CheckpointAborted { .. }) => {
                    self.pending = None;
                }
                Command::Emit(Event::FailoverBegun { root, .. }) => self.failed = Some(root.clone()),
                Command::Send(_, Order::Deploy(order)) => {
                    self.deployed = Some((order.attempt, now, order.placement.clone()));
                }
                _ => {}
            }
            let runs = matches!(command, Command::Emit(Event::JobRunning { .. }));
            done.push(match command {
                Command::Delete(id) if self.env.mutated(Mutation::SubsumeNewest) => Command::Delete(id.next()),
                Command::Sweep { keep, last, .. } if self.env.mutated(Mutation::SkipSweep) => {
                    Command::Sweep { keep, up_to: CheckpointId(0), last }
                }
                command => command,
            });
            if runs && self.env.mutated(Mutation::DoubleFailover) {
                let again = self.fail_again(now);
                done.extend(again);
            }
        }
        done
    }

    /// What failed the attempt before fails the one that just runs.
    fn fail_again(&mut self, now: Time) -> Vec<Command> {
        let (Some(failed), Some((attempt, _, placement))) = (self.failed.take(), &self.deployed) else {
            return Vec::new();
        };
        let Some((subtask, node)) = placement.first_key_value() else { return Vec::new() };
        let Some(connection) = self.connections.get(node).copied() else { return Vec::new() };
        let report = TaskReport::Failed(*subtask, TaskFailure::Failed("once more".into()));
        let message = ToJobManager::Task(*attempt, report);
        let mut commands = self.master.step(now, Fact::Message { node: node.clone(), connection, message });
        for command in &mut commands {
            if let Command::Emit(Event::FailoverBegun { root, .. }) = command {
                *root = failed.clone();
            }
        }
        commands
    }
}

/// What goes with the entries of segments before `leading`, if that has just begun, and with commits below `oldest`:
/// [`Mutation::RemoveSegmentEnds`] and [`Mutation::ForgetAborts`].
pub(crate) async fn trim(env: &Env, begun: Option<u64>, oldest: Option<CheckpointId>) -> Result<(), LogError> {
    if let (Some(leading), true) = (begun, env.mutated(Mutation::RemoveSegmentEnds)) {
        let log = env.store(StoreKind::Checkpoints);
        for (path, _) in log.list(FOLDER).await? {
            if Position::at(&path).is_some_and(|position| position.segment < leading) {
                log.delete(&path).await?;
            }
        }
    }
    if let (Some(oldest), true) = (oldest, env.mutated(Mutation::ForgetAborts)) {
        let output = env.store(StoreKind::Output);
        for (path, _) in output.list(DECISIONS).await? {
            let below = decision_at(&path).is_some_and(|(_, epoch)| epoch < oldest);
            if below && !is_commit(&output.get(&path).await?) {
                output.delete(&path).await?;
            }
        }
    }
    Ok(())
}
