//! A job that is led in one term after the other, none of which makes progress.
//!
//! Start at [`TakeoverLoop::of`]. Such a job is in a loop if at least three terms were opened since its last
//! checkpoint, and if terms are still being opened. A job whose last term was opened much longer ago than terms used to
//! last is stuck at something else.

use std::fmt;
use std::time::Duration;

use flowquake_engine::event::Event;
use flowquake_engine::ha::entry::Change;
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

use super::Waits;
use crate::outcome::Outcome;
use crate::plan::RunPlan;

/// Fewer terms can be bad luck.
const TERMS_MIN: usize = 3;

/// A job whose leaders keep replacing each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::oracles::liveness) struct TakeoverLoop {
    /// Terms that were opened since the last checkpoint.
    terms: usize,
    /// How many leaders gave up their term since.
    given_up: usize,
    /// The lease: the time within which a leader has to renew.
    lease: Duration,
    /// The last completed checkpoint, and its time.
    completed: Option<(CheckpointId, Time)>,
    /// What the job waited for under the newest leader.
    waits: Box<Waits>,
}

impl TakeoverLoop {
    /// Reads a loop from the leadership log. `waits` is what the job waits for under its newest leader.
    pub(super) fn of(
        plan: &RunPlan,
        outcome: &Outcome,
        completed: Option<(CheckpointId, Time)>,
        waits: impl FnOnce() -> Waits,
    ) -> Option<Self> {
        let since = |at: Time| completed.is_none_or(|(_, completed)| at > completed);
        let opened = outcome.log.iter().filter(|logged| logged.entry.change == Change::Opened && since(logged.at));
        let opened: Vec<Time> = opened.map(|logged| logged.at).collect();
        if opened.len() < TERMS_MIN {
            return None;
        }
        let longest = opened.windows(2).map(|pair| pair[1].since(pair[0])).max()?;
        if outcome.ended_at.since(*opened.last()?) > longest * 2 {
            return None;
        }
        let events = outcome.trace.events.iter().filter(|record| since(record.at));
        let given_up = events.filter(|record| matches!(record.event, Event::LeadershipLost { .. })).count();
        let (terms, lease) = (opened.len(), plan.job.config.lease);
        Some(Self { terms, given_up, lease, completed, waits: Box::new(waits()) })
    }
}

impl fmt::Display for TakeoverLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { terms, given_up, lease, completed, waits } = self;
        write!(f, "takeover loop: {terms} terms were opened, ")?;
        match given_up {
            0 => f.write_str("and each ended before its leader got anywhere")?,
            _ => {
                let lease = humantime::format_duration(*lease);
                write!(f, "{given_up} of them were given up: the leader renewed nothing within the lease of {lease}")?;
                f.write_str(", or found a newer term")?;
            }
        }
        match completed {
            None => f.write_str("; no checkpoint ever completed")?,
            Some((id, at)) => write!(f, "; no checkpoint has completed since checkpoint {id} at {at}")?,
        }
        write!(f, "; the newest leader: {waits}")
    }
}
