//! What planted bugs change in a leader. Compiled only under the feature `mutations`; a bug that is not switched on
//! changes nothing.
//!
//! Start at [`Leader`]. The job master decides about facts and returns commands, so most bugs are planted around it:
//! it is told something other than what happened, or something other than its command is done. The job master does not
//! notice. Some bugs change the state that a term begins with ([`beginning`]); the others concern a standby, or the
//! removal of log entries and decisions ([`trim`]).

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::RestartStrategy;
use crate::connectors::file_sink::{DECISIONS, decision_at, is_commit};
use crate::event::{AbortReason, RootCause};
use crate::ha::log::{Log, LogError};
use crate::ha::position::{FOLDER, Position};
use crate::ids::SubtaskId;
use crate::mutation::Mutation;
use crate::wire::{Order, TaskFailure, TaskReport};
use job_master::opened;

/// Longer than any job runs.
const ALL_TIME: Duration = Duration::from_secs(u32::MAX as u64);

/// The job and the state that the job master begins with, after the planted bugs.
pub(super) fn beginning(env: &Env, mut spec: JobSpec, mut state: HaState) -> (JobSpec, HaState) {
    let config = &mut spec.config;
    if !config.restart_delay.is_zero() && env.mutated(Mutation::SkipRestartDelay) {
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
        // The ids reserved beyond the newest completed checkpoint are forgotten.
        let reserved = state.completed.last().copied().unwrap_or_default();
        state.reserved = opened(HaState { reserved, ..state.clone() }).reserved;
    }
    if state.undecided.is_some() && env.mutated(Mutation::ForgetUndecided) {
        state.undecided = None;
    }
    (spec, state)
}

/// A job master surrounded by planted bugs, with the job master's interface.
pub(super) struct Leader {
    env: Env,
    rpc_timeout: Duration,
    master: JobMaster,
    /// The newest connection of each TaskManager.
    connections: BTreeMap<NodeName, u64>,
    /// The newest deployment: its attempt, its time, and the placement of its subtasks.
    deployed: Option<(Attempt, Time, BTreeMap<SubtaskId, NodeName>)>,
    /// The checkpoint that was triggered and is neither completed nor aborted.
    pending: Option<CheckpointId>,
    /// Whether a heartbeat was misread already.
    misread: bool,
    /// The failure that ended the last attempt.
    failed: Option<RootCause>,
    /// The final checkpoint, once it is triggered.
    last: Option<CheckpointId>,
    /// The TaskManagers that were told of a completed checkpoint, by attempt and checkpoint.
    notified: BTreeSet<(NodeName, Attempt, CheckpointId)>,
    /// Whether a checkpoint has expired.
    expired: bool,
}

impl Leader {
    pub(super) fn around(env: &Env, rpc_timeout: Duration, master: JobMaster) -> Self {
        let (env, connections) = (env.clone(), BTreeMap::new());
        Self {
            env,
            rpc_timeout,
            master,
            connections,
            deployed: None,
            pending: None,
            misread: false,
            failed: None,
            last: None,
            notified: BTreeSet::new(),
            expired: false,
        }
    }

    pub(super) fn begin(&mut self, now: Time, beyond: Option<CommittedBeyond>) -> Vec<Command> {
        let commands = self.master.begin(now, beyond);
        self.done(now, commands)
    }

    pub(super) fn step(&mut self, now: Time, fact: Fact) -> Vec<Command> {
        let fact = self.told(now, fact);
        let (failures, at_end) = (self.master.checkpoints_of().failures(), self.master.checkpoints_of().at_end());
        let commands = self.master.step(now, fact);
        self.remember(failures, at_end, &commands);
        self.done(now, commands)
    }

    /// [`Mutation::NeverResetFailures`] and [`Mutation::RememberEndOfInput`]: restore what the coordinator knew before
    /// a step that made it forget.
    fn remember(&mut self, failures: u32, at_end: BTreeSet<SubtaskId>, commands: &[Command]) {
        let emits =
            |which: fn(&Event) -> bool| commands.iter().any(|c| matches!(c, Command::Emit(event) if which(event)));
        let completed = emits(|event| matches!(event, Event::CheckpointCompleted { .. }));
        if completed && failures > 0 && self.env.mutated(Mutation::NeverResetFailures) {
            self.master.checkpoints_of().count_failures(failures);
        }
        let failed_over = emits(|event| matches!(event, Event::FailoverBegun { .. }));
        if failed_over && !at_end.is_empty() && self.env.mutated(Mutation::RememberEndOfInput) {
            self.master.checkpoints_of().remember_end(at_end);
        }
    }

    pub(super) fn wake_at(&self) -> Time {
        self.master.wake_at()
    }

    /// The fact that the job master is told instead of this one.
    fn told(&mut self, now: Time, fact: Fact) -> Fact {
        match fact {
            Fact::Registered { ref node, connection, .. } => {
                self.connections.insert(node.clone(), connection);
                fact
            }
            Fact::Message { node, connection, message } => self.message(now, node, connection, message),
            Fact::Swept { last } => Fact::Swept { last: last || self.env.mutated(Mutation::AnySweepEndsTheJob) },
            Fact::AbortsDecided(Err(_)) if self.env.mutated(Mutation::GiveDecisionsUp) => {
                Fact::AbortsDecided(Ok(Ok(Vec::new())))
            }
            fact => fact,
        }
    }

    fn message(&mut self, now: Time, node: NodeName, connection: u64, message: ToJobManager) -> Fact {
        let Some((attempt, at, placement)) = &self.deployed else {
            return Fact::Message { node, connection, message };
        };
        match message {
            // A report of any attempt counts for the newest attempt, as long as its connection is the current one.
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
            ToJobManager::Task(of, TaskReport::Decline { checkpoint, subtask, .. })
                if self.env.mutated(Mutation::DeclineIsCollected) =>
            {
                let message =
                    ToJobManager::Task(of, TaskReport::Acknowledge { checkpoint, subtask, state: Default::default() });
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

    /// The commands that are carried out instead of the job master's.
    fn done(&mut self, now: Time, commands: Vec<Command>) -> Vec<Command> {
        let mut done = Vec::new();
        for command in commands {
            if let Command::Emit(event) = &command {
                self.note(event);
            }
            let runs = matches!(command, Command::Emit(Event::JobRunning { .. }));
            let ends = matches!(&command, Command::Emit(Event::CompletionNotified { checkpoint, .. }) if self.last == Some(*checkpoint));
            match command {
                Command::Delete(id) if self.env.mutated(Mutation::SubsumeNewest) => {
                    done.push(Command::Delete(id.next()))
                }
                Command::Sweep { keep, last, .. } if self.env.mutated(Mutation::SkipSweep) => {
                    done.push(Command::Sweep { keep, up_to: CheckpointId(0), last });
                }
                Command::Sweep { keep, last: false, .. } if self.env.mutated(Mutation::SweepEverything) => {
                    done.push(Command::Sweep { keep, up_to: CheckpointId(u64::MAX), last: false });
                }
                Command::AbortAbove { .. } if self.env.mutated(Mutation::FallBackUnfenced) => {
                    let commands = self.master.step(now, Fact::AbortsDecided(Ok(Ok(Vec::new()))));
                    done.extend(self.done(now, commands));
                }
                Command::StepDown if self.env.mutated(Mutation::SuspendedIsTerminal) => {
                    done.push(Command::Sweep { keep: Vec::new(), up_to: CheckpointId(u64::MAX), last: true });
                    done.push(Command::StepDown);
                }
                Command::Append(Change::Completed(id), state) if self.env.mutated(Mutation::NotifyBeforeLogged) => {
                    done.push(Command::Append(Change::Completed(id), state));
                    done.extend(self.notify_all(id));
                }
                Command::Send(node, order) => {
                    if !self.unsaid(&node, &order) {
                        self.sends(now, &order);
                        done.push(Command::Send(node, order));
                    }
                }
                command => done.push(command),
            }
            if runs && self.env.is_planted(Mutation::DoubleFailover) {
                let again = self.fail_again(now);
                done.extend(again);
            }
            if ends && self.env.mutated(Mutation::FinishBeforeCommits) {
                let finished = self.all_committed(now);
                done.extend(finished);
            }
        }
        done
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::CheckpointTriggered { checkpoint, last, .. } => {
                self.pending = Some(*checkpoint);
                if *last {
                    self.last = Some(*checkpoint);
                }
            }
            Event::CheckpointCompleted { .. } => self.pending = None,
            Event::CheckpointAborted { reason, .. } => {
                self.pending = None;
                self.expired |= *reason == AbortReason::Expired;
            }
            Event::FailoverBegun { root, .. } => self.failed = Some(root.clone()),
            _ => {}
        }
    }

    fn sends(&mut self, now: Time, order: &Order) {
        if let Order::Deploy(order) = order {
            self.deployed = Some((order.attempt, now, order.placement.clone()));
        }
    }

    /// Whether an order is suppressed: [`Mutation::NotifyOnce`], [`Mutation::AbortUnsaid`] and
    /// [`Mutation::ExpiredStaysTriggered`].
    fn unsaid(&mut self, node: &NodeName, order: &Order) -> bool {
        match order {
            Order::Completed(attempt, id) => {
                !self.notified.insert((node.clone(), *attempt, *id)) && self.env.mutated(Mutation::NotifyOnce)
            }
            Order::Aborted(..) => self.env.mutated(Mutation::AbortUnsaid),
            Order::Trigger(..) => self.expired && self.env.mutated(Mutation::ExpiredStaysTriggered),
            _ => false,
        }
    }

    /// Tells every TaskManager with tasks that a checkpoint is complete.
    fn notify_all(&self, id: CheckpointId) -> Vec<Command> {
        let Some((attempt, _, placement)) = &self.deployed else { return Vec::new() };
        let nodes: BTreeSet<_> = placement.values().collect();
        nodes.into_iter().map(|node| Command::Send(node.clone(), Order::Completed(*attempt, id))).collect()
    }

    /// Reports to the job master that every sink has committed the final checkpoint.
    fn all_committed(&mut self, now: Time) -> Vec<Command> {
        let (Some((attempt, _, placement)), Some(checkpoint)) = (self.deployed.clone(), self.last) else {
            return Vec::new();
        };
        let mut done = Vec::new();
        for (subtask, node) in placement {
            let Some(connection) = self.connections.get(&node).copied() else { continue };
            let message = ToJobManager::Task(attempt, TaskReport::Committed { checkpoint, subtask });
            let commands = self.master.step(now, Fact::Message { node, connection, message });
            done.extend(self.done(now, commands));
        }
        done
    }

    /// Fails the attempt that has just started to run by the same cause that failed the attempt before.
    fn fail_again(&mut self, now: Time) -> Vec<Command> {
        let (Some(failed), Some((attempt, _, placement))) = (self.failed.take(), &self.deployed) else {
            return Vec::new();
        };
        let Some((subtask, node)) = placement.first_key_value() else { return Vec::new() };
        let Some(connection) = self.connections.get(node).copied() else { return Vec::new() };
        if !self.env.mutated(Mutation::DoubleFailover) {
            return Vec::new();
        }
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

/// [`Mutation::DeafStandby`]: whether the standby notices that the log has grown.
pub(super) fn heard(env: &Env, grown: bool) -> bool {
    grown && !env.mutated(Mutation::DeafStandby)
}

/// [`Mutation::RunEndedAgain`]: hides from a standby that the newest entry ends the job.
pub(super) fn newest(env: &Env, log: &mut Log) {
    if let Some(entry) = log.newest.as_mut().filter(|entry| entry.state.ended.is_some())
        && env.mutated(Mutation::RunEndedAgain)
    {
        entry.state.ended = None;
    }
}

/// Removes what correct trimming would keep, of segments before `begun` and of decisions around `oldest`:
/// [`Mutation::RemoveSegmentEnds`], [`Mutation::ForgetAborts`] and [`Mutation::ForgetNeededCommits`].
pub(crate) async fn trim(env: &Env, begun: Option<u64>, oldest: Option<CheckpointId>) -> Result<(), LogError> {
    if let (Some(leading), true) = (begun, env.is_planted(Mutation::RemoveSegmentEnds)) {
        let log = env.store(StoreKind::Checkpoints);
        for (path, _) in log.list(FOLDER).await? {
            let is_before = Position::at(&path).is_some_and(|position| position.segment < leading);
            if is_before && env.mutated(Mutation::RemoveSegmentEnds) {
                log.delete(&path).await?;
            }
        }
    }
    let forgets = env.is_planted(Mutation::ForgetAborts) || env.is_planted(Mutation::ForgetNeededCommits);
    if let (Some(oldest), true) = (oldest, forgets) {
        let output = env.store(StoreKind::Output);
        for (path, _) in output.list(DECISIONS).await? {
            let Some((_, epoch)) = decision_at(&path) else { continue };
            let goes = match is_commit(&output.get(&path).await?) {
                true => epoch >= oldest && env.mutated(Mutation::ForgetNeededCommits),
                false => epoch < oldest && env.mutated(Mutation::ForgetAborts),
            };
            if goes {
                output.delete(&path).await?;
            }
        }
    }
    Ok(())
}
