//! The leader's duties towards its log: entries before effects, renewals in time, and stepping down when it may not
//! lead any more.

use std::time::Duration;

use super::*;

/// Ids that a leader reserves ahead, so that no trigger has to wait for the log.
const RESERVE: u64 = 8;
/// With this many free ids left, the leader reserves more.
const RESERVE_AT: u64 = 4;

/// The first id that a leader may use, given the state of its first entry; see [`opened`].
pub(super) fn first_id(ha: &HaState) -> CheckpointId {
    CheckpointId(ha.reserved.0 - RESERVE + 1)
}

/// The state of a new leader's first entry: it begins the next attempt and reserves ids for this leader.
pub fn opened(mut ha: HaState) -> HaState {
    ha.attempt = ha.attempt.next();
    ha.reserved = CheckpointId(ha.reserved.0 + RESERVE);
    ha
}

impl JobMaster {
    /// Asks for an entry. What the entry allows is done in [`JobMaster::on_appended`], when the entry is durable.
    pub(super) fn append(&mut self, change: Change, now: Time, out: &mut Vec<Command>) {
        self.ha.apply(&change, self.config.checkpoints.retained as usize);
        if let (Change::Ended, Phase::Ending(result)) = (&change, &self.phase) {
            self.ha.ended = Some(match result {
                JobResult::Finished => Ending::Finished,
                JobResult::Failed(cause) => Ending::Failed(cause.clone()),
            });
        }
        let wanted = CheckpointId(self.coordinator.next_id().0 + RESERVE);
        self.ha.reserved = self.ha.reserved.max(wanted);
        self.appending.push_back((change.clone(), now));
        out.push(Command::Append(change, self.ha.clone()));
    }

    pub(super) fn is_appending(&self, change: &Change) -> bool {
        self.appending.iter().any(|(asked, _)| asked == change)
    }

    pub(super) fn on_appended(&mut self, change: Change, now: Time, out: &mut Vec<Command>) {
        let Some((asked, at)) = self.appending.pop_front() else {
            unreachable!("nobody asked for an entry: {change:?}")
        };
        assert_eq!(asked, change, "J4: entries become durable in the order in which they were asked for");
        self.renewed_at = at;
        if self.appending.is_empty() {
            // An outstanding entry may reserve more ids than are durably reserved, so `ha` counts only without one.
            self.coordinator.on_reserved(self.ha.reserved);
        }
        match change {
            // A JobMaster never asks for these entries: the standby and the writer of the log add them.
            Change::Opened | Change::Closed => {}
            Change::Renewed => out.push(Command::Emit(Event::LeaseRenewed { term: self.term })),
            Change::AttemptBegun(attempt) => self.begun |= attempt == self.attempt,
            Change::Completed(id) => {
                let commands = self.coordinator.on_logged(id, now);
                self.checkpoints(commands, now, out);
            }
            Change::FallingBack(_) => self.on_fallback_logged(out),
            Change::Ended => self.end(out),
        }
    }

    /// Whether an attempt may be deployed: its entry is durable, and no checkpoint is on its way into the log that
    /// would have to be restored instead.
    pub(super) fn may_schedule(&self) -> bool {
        self.begun && !self.coordinator.is_logging()
    }

    /// A lease has room for three renewals, so two of them may be late.
    fn renewal_period(&self) -> Duration {
        self.config.lease / 3
    }

    /// When [`JobMaster::renew`] is due next.
    pub(super) fn renewal_at(&self) -> Time {
        let step_down_at = self.renewed_at + self.config.lease;
        if self.appending.is_empty() { self.renewed_at + self.renewal_period() } else { step_down_at }
    }

    /// Renews the lease, reserves ids, and steps down when no entry became durable for a whole lease. By then another
    /// JobManager may lead, and TaskManagers that stay connected to this one would keep their slots from it.
    pub(super) fn renew(&mut self, now: Time, out: &mut Vec<Command>) {
        if now >= self.renewed_at + self.config.lease {
            return self.step_down(out);
        }
        let few_ids = self.coordinator.next_id().0 + RESERVE_AT > self.ha.reserved.0 + 1;
        if self.appending.is_empty() && (now >= self.renewed_at + self.renewal_period() || few_ids) {
            self.append(Change::Renewed, now, out);
        }
    }

    pub(super) fn step_down(&mut self, out: &mut Vec<Command>) {
        out.push(Command::Emit(Event::LeadershipLost { term: self.term }));
        out.push(Command::StepDown);
        self.phase = Phase::Ended;
    }

    /// Stops, because another release of the engine wrote what is to be restored. A log entry about this would end the
    /// job for that release, too, so none is written.
    pub(super) fn refuse(&mut self, other: OtherVersion, out: &mut Vec<Command>) {
        out.push(Command::Emit(Event::JobFailed { attempt: self.attempt, cause: other.to_string() }));
        out.push(Command::Refuse(other));
        self.phase = Phase::Ended;
    }

    pub(super) fn on_swept(&mut self, last: bool, now: Time, out: &mut Vec<Command>) {
        // The sweep at the beginning of a term is answered, too, perhaps when the job is about to end. That answer
        // changes nothing.
        if last && matches!(self.phase, Phase::Ending(JobResult::Finished)) && self.ha.ended.is_none() {
            self.append(Change::Ended, now, out);
        }
    }

    /// The log entry with the result is durable: ends the job.
    fn end(&mut self, out: &mut Vec<Command>) {
        let Phase::Ending(result) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            unreachable!("J4: nobody asked for the end")
        };
        let attempt = self.attempt;
        match &result {
            JobResult::Finished => {
                self.tell_tasks(&Order::Finish(attempt), out);
                out.push(Command::Emit(Event::JobFinished { attempt }));
            }
            JobResult::Failed(cause) => {
                out.push(Command::Emit(Event::JobFailed { attempt, cause: cause.clone() }));
            }
        }
        out.push(Command::End(result));
    }
}
