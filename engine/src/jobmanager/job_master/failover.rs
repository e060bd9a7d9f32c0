//! Failures and their consequences: a lost TaskManager, a failed store, the next attempt, the end of the job. Pure.
//!
//! Start at [`JobMaster::fail_over`]. The restart strategy ([`RestartBackoff`]) decides whether there is a next
//! attempt and when it begins; it is asked once per failover.
//! Source: apache/flink `ExecutionFailureHandler`.

use super::super::restart::{RestartDecision, jitter};
use super::*;

impl JobMaster {
    pub(super) fn lose(&mut self, node: &NodeName, cause: LossCause, now: Time, out: &mut Vec<Command>) {
        let Some(tm) = self.task_managers.remove(node) else { return };
        out.push(Command::Disconnect(node.clone(), tm.connection));
        let task_manager = node.clone();
        out.push(Command::Emit(Event::TaskManagerLost { task_manager, cause: cause.to_string() }));
        match &mut self.phase {
            Phase::Canceling { waiting, .. } => drop(waiting.remove(node)),
            Phase::Starting(_) | Phase::Running if self.placement.values().any(|at| at == node) => {
                let task_manager = node.clone();
                self.fail_over(FailoverCause::TaskManagerLost { task_manager, cause }, now, out);
            }
            _ => {}
        }
    }

    pub(super) fn store_failed(&mut self, failure: StoreFailure, now: Time, out: &mut Vec<Command>) {
        out.push(Command::Emit(Event::StoreFailed { attempt: self.attempt, cause: failure.to_string() }));
        self.fail_over(FailoverCause::StoreFailed(failure), now, out);
    }

    /// Cancels all tasks. The next attempt begins when the restart strategy says, unless the strategy gives the job
    /// up. A failure while a restart is already due belongs to the failover before and changes nothing.
    pub(super) fn fail_over(&mut self, cause: FailoverCause, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        if matches!(self.phase, Phase::Canceling { .. } | Phase::Ending(_) | Phase::Ended) {
            return;
        }
        out.push(Command::Emit(Event::FailoverBegun { attempt, root: cause.root(), cause: cause.to_string() }));
        let commands = self.coordinator.on_stopped(AbortReason::TaskFailure, now);
        // These commands cannot fail the job once more, because a task failure does not count towards
        // `tolerable_failed`.
        self.checkpoints(commands, now, out);
        let after = match self.restarts.on_failure(now, jitter(self.seed, attempt)) {
            RestartDecision::Restart { after } => after,
            RestartDecision::GiveUp(exhausted) => {
                return self.fail(EndCause::RestartsExhausted { cause, exhausted }, now, out);
            }
        };
        let placed: BTreeSet<_> = self.placement.values().cloned().collect();
        let waiting: BTreeSet<_> = placed.into_iter().filter(|node| self.task_managers.contains_key(node)).collect();
        out.extend(waiting.iter().map(|node| Command::Send(node.clone(), Order::Cancel(attempt))));
        self.placement.clear();
        self.phase = Phase::Canceling { waiting, said: false, since: now, restart_at: now + after };
        self.append(Change::AttemptBegun(attempt.next()), now, out);
    }

    /// Ends the job with this cause; the end takes effect when its log entry is durable.
    pub(super) fn fail(&mut self, cause: EndCause, now: Time, out: &mut Vec<Command>) {
        self.tell_tasks(&Order::Cancel(self.attempt), out);
        self.phase = Phase::Ending(JobResult::Failed(cause.to_string()));
        self.append(Change::Ended, now, out);
    }
}
