//! The restart strategy: whether a failed job is restarted, and after which delay. Pure.
//!
//! Start at [`RestartBackoff::on_failure`], which is called once per failover: a failure while a restart is already
//! due belongs to the failover before. The state lives as long as a leader, as in Flink: a JobManager that takes over
//! starts afresh (ADR 0037). Settings are in [`RestartStrategy`]; oracle O9 checks delays and ends with a model of its
//! own.
//!
//! Invariant: (RB1) an exponential delay is at least `initial_backoff` and at most `max_backoff`, whatever the jitter.
//! Source: apache/flink `FixedDelayRestartBackoffTimeStrategy`, `FailureRateRestartBackoffTimeStrategy`,
//! `ExponentialDelayRestartBackoffTimeStrategy` (from 1.19 on), `NoRestartBackoffTimeStrategy`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::{ExponentialDelay, FailureRate, JobConfig, RestartStrategy};
use crate::env::{draw, draw_between};
use crate::ids::Attempt;
use crate::time::{Time, nanos};

/// A backoff is counted in 2⁻³² ns, so that the rounding errors of thousands of failures stay below a nanosecond.
const FRACTION_BITS: u32 = 32;
/// A growing backoff stops at this many nanoseconds, which is longer than any `max_backoff`.
const BACKOFF_NS_MAX: u128 = 1 << 62;
const _: () = assert!(
    (BACKOFF_NS_MAX << FRACTION_BITS).checked_mul(u32::MAX as u128).is_some(),
    "the longest backoff times the greatest multiplier overflows"
);

/// What happens to a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartDecision {
    /// The next attempt begins this long after the failure, or later if something else takes longer (tasks still have
    /// to end).
    Restart {
        /// The delay.
        after: Duration,
    },
    /// There is no next attempt.
    GiveUp(Exhausted),
}

/// Why a strategy allows no further restart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// `none`.
    #[error("the restart strategy is none")]
    NoRestarts,
    /// `fixed-delay`: all allowed restarts were used.
    #[error("{allowed} restarts are used up")]
    Attempts {
        /// How many were allowed.
        allowed: u32,
    },
    /// `failure-rate`: there was one failure more than allowed within the interval.
    #[error("the failure rate of {allowed} per {} is exceeded", humantime::format_duration(*.interval))]
    FailureRate {
        /// Failures that are allowed within the interval.
        allowed: u32,
        /// The interval.
        interval: Duration,
    },
    /// `exponential-delay`: the job never ran for long enough between its restarts.
    #[error("{allowed} restarts since the backoff was last reset are used up")]
    AttemptsBeforeReset {
        /// How many were allowed.
        allowed: u32,
    },
}

/// The random number for the jitter of the restart after `attempt` failed; one stream per leader.
pub(super) fn jitter(seed: u64, attempt: Attempt) -> u64 {
    draw(seed, "restart jitter", u64::from(attempt.0), 0)
}

/// The restart strategy of one leader, with the failures that it has to remember.
#[derive(Debug, Clone)]
pub enum RestartBackoff {
    /// No failure is followed by a restart.
    None,
    /// Counts failures.
    FixedDelay {
        /// Delay before each restart.
        delay: Duration,
        /// Restarts allowed; `None` is unlimited.
        attempts: Option<u32>,
        /// Failures so far.
        failures: u32,
    },
    /// Remembers as many failure times as are allowed within an interval.
    FailureRate {
        /// Delay before each restart.
        delay: Duration,
        /// The allowed rate.
        settings: FailureRate,
        /// Times of the newest failures, the oldest first.
        failures: VecDeque<Time>,
    },
    /// Remembers the last delay.
    ExponentialDelay {
        /// Bounds, growth and jitter of the delays.
        settings: ExponentialDelay,
        /// Restarts since the last reset.
        restarts: u32,
        /// The last delay in 2⁻³² ns, before jitter and bounds.
        backoff: u128,
        /// When the last restart was due; `None` before the first.
        restart_at: Option<Time>,
    },
}

impl RestartBackoff {
    /// The strategy of a job that has not failed yet.
    pub fn new(config: &JobConfig) -> Self {
        let delay = config.restart_delay;
        match config.restart_strategy.clone() {
            RestartStrategy::None => Self::None,
            RestartStrategy::FixedDelay => Self::FixedDelay { delay, attempts: config.restart_attempts, failures: 0 },
            RestartStrategy::FailureRate(settings) => Self::FailureRate { delay, settings, failures: VecDeque::new() },
            RestartStrategy::ExponentialDelay(settings) => {
                Self::ExponentialDelay { settings, restarts: 0, backoff: 0, restart_at: None }
            }
        }
    }

    /// Decides after a failure at `now`; `jitter` is any number, drawn anew for each failure.
    pub fn on_failure(&mut self, now: Time, jitter: u64) -> RestartDecision {
        use RestartDecision::{GiveUp, Restart};
        match self {
            Self::None => GiveUp(Exhausted::NoRestarts),
            Self::FixedDelay { delay, attempts, failures } => {
                *failures = failures.saturating_add(1);
                match *attempts {
                    Some(allowed) if *failures > allowed => GiveUp(Exhausted::Attempts { allowed }),
                    _ => Restart { after: *delay },
                }
            }
            Self::FailureRate { delay, settings, failures } => {
                let (allowed, interval) = (settings.max_failures_per_interval, settings.failure_rate_interval);
                failures.push_back(now);
                if failures.len() <= allowed as usize {
                    return Restart { after: *delay };
                }
                let oldest = failures.pop_front().unwrap_or(now);
                match now > oldest + interval {
                    true => Restart { after: *delay },
                    false => GiveUp(Exhausted::FailureRate { allowed, interval }),
                }
            }
            Self::ExponentialDelay { settings, restarts, backoff, restart_at } => {
                if let Some(due) = restart_at.filter(|due| now <= *due) {
                    // The restart before is still due. As in Flink, this is still the same failure.
                    return Restart { after: due.since(now) };
                }
                let is_reset = restart_at.is_none_or(|due| now >= due + settings.reset_backoff_threshold);
                (*restarts, *backoff) = match is_reset {
                    true => (0, u128::from(nanos(settings.initial_backoff)) << FRACTION_BITS),
                    false => (*restarts, grown(*backoff, settings)),
                };
                *restarts = restarts.saturating_add(1);
                let after = with_jitter(*backoff >> FRACTION_BITS, settings, jitter);
                *restart_at = Some(now + after);
                match settings.attempts_before_reset_backoff {
                    Some(allowed) if *restarts > allowed => GiveUp(Exhausted::AttemptsBeforeReset { allowed }),
                    _ => Restart { after },
                }
            }
        }
    }
}

/// The backoff that follows this one.
fn grown(backoff: u128, settings: &ExponentialDelay) -> u128 {
    let multiplier = u128::from(settings.backoff_multiplier.0);
    (backoff * multiplier / 1_000).min(BACKOFF_NS_MAX << FRACTION_BITS)
}

/// The delay of a backoff. The jitter is a share of the whole backoff, and only the sum is held to the bounds, as in
/// Flink.
fn with_jitter(backoff_ns: u128, settings: &ExponentialDelay, jitter: u64) -> Duration {
    let offset = backoff_ns * u128::from(settings.jitter_factor.0) / 1_000;
    // `offset * 2` is at most 1 << 63 nanoseconds, so it fits into 64 bits.
    let drawn = draw_between(jitter, 0, (offset * 2).min(u64::MAX.into()) as u64);
    let delay_ns = backoff_ns - offset + u128::from(drawn);
    let (least, most) = (nanos(settings.initial_backoff), nanos(settings.max_backoff));
    let delay = Duration::from_nanos(delay_ns.min(most.into()).max(least.into()) as u64);
    assert!(settings.initial_backoff <= delay && delay <= settings.max_backoff, "RB1: {delay:?} of {settings:?}");
    delay
}

#[cfg(test)]
mod tests;
