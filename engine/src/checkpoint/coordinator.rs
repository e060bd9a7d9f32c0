//! The checkpoint coordinator decides when a checkpoint is triggered, sealed, aborted, retained and notified. Pure.
//!
//! Facts go in (time passed, acknowledgement counted, manifest durable …), [`Command`]s come out, and the JobManager's
//! shell carries them out. There is one checkpoint at a time. [`Schedule`] knows when the next periodic one is due.
//!
//! A checkpoint is complete when two things are durable, in this order: its manifest, and the entry of the leadership
//! log that names it. Until the entry is requested the checkpoint can be aborted; after that, only the log decides
//! whether it exists.
//!
//! Invariants: (C1) ids only grow and none is used twice; (C2) sinks are told of a checkpoint only after its log entry
//! is durable; (C3) the newest completed checkpoint is never subsumed; (C4) a checkpoint ends once.
//! Source: apache/flink `CheckpointCoordinator`, `PendingCheckpoint`, `CheckpointFailureManager`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::manifest::SubtaskState;
use super::schedule::Schedule;
use crate::config::CheckpointConfig;
use crate::event::AbortReason;
use crate::ids::{CheckpointId, SubtaskId};
use crate::time::Time;

#[cfg(feature = "mutations")]
mod planted;

/// More checkpoints failed in a row than are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint {last} failed ({}); {tolerable} failures in a row are tolerated", reason.name())]
pub struct TooManyFailures {
    /// The last checkpoint that failed.
    pub last: CheckpointId,
    /// Why that checkpoint failed.
    pub reason: AbortReason,
    /// How many are tolerated.
    pub tolerable: u32,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask every source to inject the barrier. `last` marks the final checkpoint, after the end of input.
    Trigger {
        /// The new checkpoint.
        id: CheckpointId,
        /// Whether it is the final one.
        last: bool,
    },
    /// Write the manifest; answer with [`Coordinator::on_sealed`].
    Seal {
        /// The checkpoint.
        id: CheckpointId,
        /// When it was triggered.
        triggered_at: Time,
        /// The state that every subtask acknowledged.
        states: BTreeMap<SubtaskId, SubtaskState>,
    },
    /// The manifest is durable: write the log entry, and answer with [`Coordinator::on_logged`].
    Log(CheckpointId),
    /// The checkpoint is complete: report it as an event.
    Completed {
        /// The checkpoint.
        id: CheckpointId,
        /// Bytes of keyed state.
        bytes: u64,
    },
    /// Tell every task that the checkpoint is complete, so that sinks commit.
    Notify(CheckpointId),
    /// The checkpoint was aborted: tell every task.
    Abort(CheckpointId, AbortReason),
    /// Delete the files of a checkpoint that nobody may restore from.
    Discard(CheckpointId),
    /// The checkpoint left the retained set: delete its files.
    Subsume(CheckpointId),
    /// More checkpoints failed in a row than are tolerated: fail the job over.
    FailJob(TooManyFailures),
    /// The final checkpoint is complete and every sink has acknowledged its commit: finish the job.
    Finish,
}

/// `Acknowledging` -last ack-> `Sealing` -manifest durable-> `Logging` -entry durable-> completed; in the first two
/// stages an abort ends the checkpoint.
#[derive(Debug, Clone)]
enum Stage {
    /// The barriers are under way; these subtasks have not acknowledged yet (never empty).
    Acknowledging(BTreeSet<SubtaskId>),
    /// The manifest is being written. No log entry names it, so a crash now loses the checkpoint.
    Sealing,
    /// The log entry is being written. The next leader may find it, so the checkpoint can no longer be aborted.
    Logging,
}

#[derive(Debug, Clone)]
struct Pending {
    id: CheckpointId,
    triggered_at: Time,
    last: bool,
    stage: Stage,
    states: BTreeMap<SubtaskId, SubtaskState>,
    bytes: u64,
}

/// A completed checkpoint whose commit some sinks have not acknowledged yet.
#[derive(Debug, Clone)]
struct Unacknowledged {
    id: CheckpointId,
    last: bool,
    sinks: BTreeSet<SubtaskId>,
    notified_at: Time,
}

/// Decides about the checkpoints of one job, over all attempts of one leader.
#[derive(Debug, Clone)]
pub struct Coordinator {
    config: CheckpointConfig,
    notify_retry: Duration,
    sinks: BTreeSet<SubtaskId>,
    next_id: CheckpointId,
    /// The log allows this leader to use ids up to this one.
    reserved: CheckpointId,
    /// The subtasks of the running attempt; empty while no attempt runs.
    running: BTreeSet<SubtaskId>,
    at_end: BTreeSet<SubtaskId>,
    schedule: Schedule,
    /// Earliest time of the final checkpoint, which is otherwise triggered as soon as all input has ended.
    final_not_before: Time,
    pending: Option<Pending>,
    retained: Vec<CheckpointId>,
    damaged: BTreeSet<CheckpointId>,
    failures: u32,
    unacknowledged: Option<Unacknowledged>,
    finished: bool,
}

impl Coordinator {
    /// `retained` are the completed checkpoints that the log names, oldest first; the ids from `next_id` to `reserved`
    /// are free.
    pub fn new(
        config: CheckpointConfig,
        notify_retry: Duration,
        sinks: BTreeSet<SubtaskId>,
        retained: Vec<CheckpointId>,
        next_id: CheckpointId,
        reserved: CheckpointId,
    ) -> Self {
        Self {
            schedule: Schedule::new(&config),
            config,
            notify_retry,
            sinks,
            next_id,
            reserved,
            running: BTreeSet::new(),
            at_end: BTreeSet::new(),
            final_not_before: Time::ZERO,
            pending: None,
            retained,
            damaged: BTreeSet::new(),
            failures: 0,
            unacknowledged: None,
            finished: false,
        }
    }

    /// The checkpoint to restore from: the newest that is complete and not known to be damaged.
    pub fn restorable(&self) -> Option<CheckpointId> {
        self.retained.iter().rev().find(|id| !self.damaged.contains(id)).copied()
    }

    /// The newest completed checkpoint, damaged or not. Sinks may have committed up to it.
    pub fn newest(&self) -> Option<CheckpointId> {
        self.retained.last().copied()
    }

    /// The id of the next checkpoint.
    pub fn next_id(&self) -> CheckpointId {
        self.next_id
    }

    /// The log allows this leader to use ids up to `reserved`.
    pub fn on_reserved(&mut self, reserved: CheckpointId) {
        self.reserved = self.reserved.max(reserved);
    }

    /// Whether the manifest of this checkpoint is being written.
    pub fn is_sealing(&self, id: CheckpointId) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.id == id && matches!(pending.stage, Stage::Sealing))
    }

    /// Whether the log entry of a checkpoint is being written. Until it is durable, the checkpoint to restore is not
    /// certain.
    pub fn is_logging(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| matches!(pending.stage, Stage::Logging))
    }

    /// A file of this checkpoint is damaged: the checkpoint is not restored any more.
    pub fn on_damaged(&mut self, id: CheckpointId) {
        self.damaged.insert(id);
    }

    /// The job fell back behind every damaged checkpoint. None of them can be committed any more, so their files may
    /// be deleted.
    pub fn on_fell_back(&mut self) -> Vec<Command> {
        let damaged = std::mem::take(&mut self.damaged);
        self.retained.retain(|id| !damaged.contains(id));
        damaged.into_iter().map(Command::Subsume).collect()
    }

    /// Every task of a new attempt runs, so all state of `restored` was verified and its transactions may be
    /// committed. They must not be committed earlier: if one sink committed and another task then found the checkpoint
    /// damaged, the job could no longer fall back. The first checkpoint is triggered `first_delay` later (Flink: a
    /// random part of the interval).
    pub fn on_running(
        &mut self,
        now: Time,
        tasks: BTreeSet<SubtaskId>,
        restored: Option<CheckpointId>,
        first_delay: Duration,
    ) -> Vec<Command> {
        self.running = tasks;
        self.schedule.begin(now + first_delay);
        let mut commands = Vec::new();
        if let Some(id) = restored {
            self.unacknowledged = Some(Unacknowledged { id, last: false, sinks: self.sinks.clone(), notified_at: now });
            commands.push(Command::Notify(id));
            commands.extend(self.finish_if_committed());
        }
        // Tasks may have reached the end of their input while others were still loading their state.
        commands.extend(self.on_time(now));
        commands
    }

    /// The attempt is over, by failure or success; a pending checkpoint is aborted with it.
    pub fn on_stopped(&mut self, reason: AbortReason, now: Time) -> Vec<Command> {
        let commands = self.abort(reason, now);
        self.running.clear();
        self.at_end.clear();
        self.schedule.end();
        self.unacknowledged = None;
        commands
    }

    /// A subtask of the current attempt reached the end of its input, perhaps before all other subtasks run.
    pub fn on_end_of_input(&mut self, subtask: SubtaskId, now: Time) -> Vec<Command> {
        self.at_end.insert(subtask);
        self.on_time(now)
    }

    fn input_ended(&self) -> bool {
        !self.running.is_empty() && self.at_end == self.running
    }

    /// When [`Coordinator::on_time`] has something to do next.
    pub fn wake_at(&self) -> Time {
        let expiring = self.pending.as_ref().filter(|pending| !matches!(pending.stage, Stage::Logging));
        let expiry = expiring.map(|pending| pending.triggered_at + self.config.timeout);
        let retry = self.unacknowledged.as_ref().map(|waiting| waiting.notified_at + self.notify_retry);
        let trigger = match (&self.pending, &self.unacknowledged) {
            // The final checkpoint is complete, and the job waits only for its last commits.
            (_, Some(Unacknowledged { last: true, .. })) | (Some(_), _) => None,
            _ if self.finished || self.running.is_empty() || self.next_id > self.reserved => None,
            // All tasks are idle until the final checkpoint, so the interval does not apply to it.
            _ if self.input_ended() => Some(self.final_not_before),
            _ => Some(self.schedule.due_at()),
        };
        [expiry, retry, trigger].into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Time) -> Vec<Command> {
        let mut commands = Vec::new();
        let expired = |pending: &Pending| now >= pending.triggered_at + self.config.timeout;
        if !self.is_logging() && self.pending.as_ref().is_some_and(expired) {
            commands.extend(self.abort(AbortReason::Expired, now));
            if matches!(commands.last(), Some(Command::FailJob(..))) {
                // The attempt is over: a checkpoint triggered now would be aborted at once.
                return commands;
            }
        }
        if let Some(waiting) = &mut self.unacknowledged
            && now >= waiting.notified_at + self.notify_retry
        {
            waiting.notified_at = now;
            commands.push(Command::Notify(waiting.id));
        }
        let due = self.pending.is_none() && !self.running.is_empty() && !self.finished && self.next_id <= self.reserved;
        let committing_last = self.unacknowledged.as_ref().is_some_and(|waiting| waiting.last);
        let last = self.input_ended();
        let mut is_time = || if last { now >= self.final_not_before } else { self.schedule.take(now) };
        if due && !committing_last && is_time() {
            let id = self.next_id;
            self.next_id = id.next();
            let stage = Stage::Acknowledging(self.running.clone());
            self.pending = Some(Pending { id, triggered_at: now, last, stage, states: BTreeMap::new(), bytes: 0 });
            commands.push(Command::Trigger { id, last });
        }
        commands
    }

    /// A subtask acknowledged with its state. The flag says whether the acknowledgement counted; late and repeated
    /// ones do not.
    pub fn on_acknowledged(&mut self, id: CheckpointId, from: SubtaskId, state: SubtaskState) -> (bool, Vec<Command>) {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.id == id) else {
            return (false, Vec::new());
        };
        let Stage::Acknowledging(missing) = &mut pending.stage else { return (false, Vec::new()) };
        if !missing.remove(&from) {
            return (false, Vec::new());
        }
        let done = missing.is_empty();
        pending.bytes += state.bytes();
        pending.states.insert(from, state);
        if !done {
            return (true, Vec::new());
        }
        pending.stage = Stage::Sealing;
        let states = std::mem::take(&mut pending.states);
        (true, vec![Command::Seal { id, triggered_at: pending.triggered_at, states }])
    }

    /// A subtask could not take or upload its snapshot.
    pub fn on_declined(&mut self, id: CheckpointId, reason: AbortReason, now: Time) -> Vec<Command> {
        match &self.pending {
            Some(pending) if pending.id == id && matches!(pending.stage, Stage::Acknowledging(_)) => {
                self.abort(reason, now)
            }
            // The decline is late, or belongs to an old attempt (FLINK-13593). It must not abort the current
            // checkpoint.
            _ => Vec::new(),
        }
    }

    /// The manifest is durable, or could not be written.
    pub fn on_sealed(&mut self, id: CheckpointId, durable: bool, now: Time) -> Vec<Command> {
        match &mut self.pending {
            Some(pending) if pending.id == id && durable => {
                pending.stage = Stage::Logging;
                vec![Command::Log(id)]
            }
            Some(pending) if pending.id == id => self.abort(AbortReason::FinalizeFailure, now),
            // The checkpoint was aborted while its manifest was being written. No log entry names the manifest, so it
            // can be deleted.
            _ => vec![Command::Discard(id)],
        }
    }

    /// The log entry is durable: the checkpoint is complete.
    pub fn on_logged(&mut self, id: CheckpointId, now: Time) -> Vec<Command> {
        let Some(pending) = self.pending.take_if(|pending| pending.id == id) else {
            unreachable!("C4: nobody asked to log checkpoint {id}")
        };
        self.failures = 0;
        self.retained.push(id);
        assert!(self.retained.is_sorted(), "C1");
        self.schedule.on_completed(now);
        let mut commands = vec![Command::Completed { id, bytes: pending.bytes }];
        while self.retained.len() > self.config.retained as usize {
            // The oldest is removed first, so the newest stays (C3).
            commands.push(Command::Subsume(self.retained.remove(0)));
        }
        if !self.running.is_empty() {
            commands.push(Command::Notify(id));
            let waiting = Unacknowledged { id, last: pending.last, sinks: self.sinks.clone(), notified_at: now };
            self.unacknowledged = Some(waiting);
            commands.extend(self.finish_if_committed());
        }
        commands
    }

    /// A sink committed everything up to `id`. The flag says whether the acknowledgement counted.
    pub fn on_commit_acknowledged(&mut self, id: CheckpointId, from: SubtaskId) -> (bool, Vec<Command>) {
        let Some(waiting) = &mut self.unacknowledged else { return (false, Vec::new()) };
        let counted = id >= waiting.id && waiting.sinks.remove(&from);
        (counted, self.finish_if_committed())
    }

    fn finish_if_committed(&mut self) -> Vec<Command> {
        let Some(waiting) = self.unacknowledged.take_if(|waiting| waiting.sinks.is_empty()) else { return Vec::new() };
        if !waiting.last {
            return Vec::new();
        }
        self.finished = true;
        vec![Command::Finish]
    }

    fn abort(&mut self, reason: AbortReason, now: Time) -> Vec<Command> {
        let Some(pending) = self.pending.take_if(|pending| !matches!(pending.stage, Stage::Logging)) else {
            return Vec::new();
        };
        let mut commands = vec![Command::Abort(pending.id, reason)];
        // Deletes the files that exist now. Uploads that are still under way may add more, which a sweep removes.
        commands.push(Command::Discard(pending.id));
        if reason.counts() {
            self.failures += 1;
            // If the store fails at once, the next try must not follow at once.
            self.final_not_before = now + self.config.interval;
            if self.failures > self.config.tolerable_failed {
                let tolerable = self.config.tolerable_failed;
                self.failures = 0;
                commands.push(Command::FailJob(TooManyFailures { last: pending.id, reason, tolerable }));
            }
        }
        commands
    }
}

#[cfg(test)]
mod tests;
