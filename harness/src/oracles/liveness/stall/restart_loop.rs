//! A job that restarts forever: how often, why, and whether it makes progress.
//!
//! Start at [`RestartLoop::of`]. A job is in a loop if it failed over at least three times since its last checkpoint,
//! or at least three times in a row with the same cause, and if it still does so. A job that has stood still for much
//! longer than the usual time between its failovers is stuck at something else. Two causes are the same if they differ
//! only in numbers.

use std::collections::BTreeMap;
use std::fmt;

use flowquake_engine::config::RestartStrategy;
use flowquake_engine::event::{AbortReason, RootCause};
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

use super::Waits;
use crate::plan::{FaultAction, RunPlan};

/// Fewer failovers can be bad luck.
const FAILOVERS_MIN: usize = 3;

/// A failover as the leader reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failover {
    pub(super) at: Time,
    pub(super) root: RootCause,
    pub(super) cause: String,
}

/// A checkpoint that was given up, and what it was waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub(super) checkpoint: CheckpointId,
    pub(super) reason: AbortReason,
    pub(super) waits: Waits,
}

/// A job that restarts again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::oracles::liveness) struct RestartLoop {
    /// How many failovers belong to the loop; `alike` of them have the cause.
    failovers: usize,
    alike: usize,
    /// The most frequent cause, as its newest failover tells it.
    cause: String,
    /// The last completed checkpoint, its time, and the number of failovers since.
    completed: Option<(CheckpointId, Time, usize)>,
}

impl RestartLoop {
    /// Reads a loop from the failovers and the completed checkpoints of a run, both in order of time.
    pub(super) fn of(
        plan: &RunPlan,
        failovers: &[Failover],
        completed: Option<(CheckpointId, Time)>,
        given_up: Option<&GivenUp>,
        ended_at: Time,
    ) -> Option<Self> {
        let since = |at: Time| failovers.iter().filter(|failover| failover.at > at).count();
        let since_checkpoint = completed.map_or(failovers.len(), |(_, at)| since(at));
        let newest = failovers.last()?;
        let alike = failovers.iter().rev().take_while(|failover| kind(failover) == kind(newest)).count();
        let length = since_checkpoint.max(alike);
        if length < FAILOVERS_MIN {
            return None;
        }
        let all = &failovers[failovers.len() - length..];
        let longest = all.windows(2).map(|pair| pair[1].at.since(pair[0].at)).max()?;
        if ended_at.since(newest.at) > longest.mul_f64(2.0 * growth(plan)) {
            return None;
        }
        let mut by_cause: BTreeMap<String, (usize, &Failover)> = BTreeMap::new();
        for failover in all {
            let entry = by_cause.entry(kind(failover)).or_insert((0, failover));
            *entry = (entry.0 + 1, failover);
        }
        let (alike, behind_most) = by_cause.into_values().max_by_key(|(count, failover)| (*count, failover.at))?;
        Some(Self {
            failovers: length,
            alike,
            cause: cause(plan, behind_most, given_up),
            completed: completed.map(|(id, at)| (id, at, since_checkpoint)),
        })
    }
}

/// By how much the pause before a restart may grow from one failover to the next.
fn growth(plan: &RunPlan) -> f64 {
    match &plan.job.config.restart_strategy {
        RestartStrategy::ExponentialDelay(delay) => f64::from(delay.backoff_multiplier.0) / 1_000.0,
        _ => 1.0,
    }
}

/// The cause of a failover without its numbers.
fn kind(failover: &Failover) -> String {
    let mut kind = String::new();
    for letter in failover.cause.chars() {
        match letter {
            '0'..='9' if kind.ends_with('0') => {}
            '0'..='9' => kind.push('0'),
            other => kind.push(other),
        }
    }
    kind
}

/// The cause as the leader reported it, with what plan and events add to it.
fn cause(plan: &RunPlan, failover: &Failover, given_up: Option<&GivenUp>) -> String {
    let mut text = failover.cause.clone();
    if let (RootCause::CheckpointsFailed { checkpoint }, Some(given_up)) = (&failover.root, given_up)
        && given_up.checkpoint == *checkpoint
    {
        let timeout = humantime::format_duration(plan.job.config.checkpoints.timeout);
        let bound = match given_up.reason {
            AbortReason::Expired => format!(" after its timeout of {timeout}"),
            _ => String::new(),
        };
        text.push_str(&format!("; {}{bound} while {}", given_up.reason.name(), given_up.waits));
    }
    let poisons = plan.faults.iter().filter(|fault| match &fault.action {
        FaultAction::Poison { split, position, .. } => {
            failover.cause.contains(&format!("(split {split}, position {position})"))
        }
        _ => false,
    });
    for fault in poisons {
        text.push_str(&format!("; that is fault {}, {}", fault.id, crate::faults::kind(&fault.action)));
    }
    text
}

impl fmt::Display for RestartLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failovers, alike, cause, completed } = self;
        write!(f, "restart loop: {failovers} failovers, ")?;
        match alike == failovers {
            true => f.write_str("all with one cause")?,
            false => write!(f, "{alike} of them with one cause")?,
        }
        write!(f, ": {cause}; ")?;
        match completed {
            None => f.write_str("no checkpoint ever completed"),
            Some((id, at, 0)) => write!(f, "checkpoints complete in between, the last one is {id}, at {at}"),
            Some((id, at, since)) if since == failovers => {
                write!(f, "no checkpoint has completed since checkpoint {id} at {at}")
            }
            Some((id, at, since)) => {
                write!(f, "no checkpoint has completed in the last {since} of them, since checkpoint {id} at {at}")
            }
        }
    }
}
