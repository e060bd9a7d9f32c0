//! What a restart strategy allows after each failover of one leader, computed from the settings and the times of
//! failovers alone.
//!
//! Start at [`Rule::on_failover`]. This is not a copy of the engine's state machine: a failure rate looks at all
//! failures, and an exponential delay keeps every past that the events allow. The jitter of a delay is not visible, so
//! until the restart is ready there is a range of times at which it may be due, and a job that ran for about the
//! threshold may or may not have been reset.
//! Source: apache/flink `FailureRateRestartBackoffTimeStrategy`, `ExponentialDelayRestartBackoffTimeStrategy`.

use flowquake_engine::config::{ExponentialDelay, JobConfig, RestartStrategy};
use flowquake_engine::time::{Time, nanos};

use super::TOLERANCE_NS;

/// What may follow a failover: a restart, the end of the job, or both if a time lies exactly at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Least and greatest delay of a restart, in nanoseconds.
    pub(super) delay_ns: Option<(u64, u64)>,
    /// Whether the job may end.
    pub(super) end: bool,
}

impl Allowed {
    fn delay(delay_ns: u64) -> Self {
        Self { delay_ns: Some((delay_ns, delay_ns)), end: false }
    }

    fn end() -> Self {
        Self { delay_ns: None, end: true }
    }
}

/// One past of an exponential delay that fits the events.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Past {
    /// Failures since the last reset.
    failures: u32,
    /// Earliest and latest time at which the last restart was due.
    due: (u64, u64),
}

/// The restart strategy of one leader.
#[derive(Debug, Clone)]
pub(super) struct Rule<'p> {
    config: &'p JobConfig,
    /// Times of all failovers of this leader.
    failovers: Vec<Time>,
    /// For `exponential-delay`; empty before the first failover.
    pasts: Vec<Past>,
}

impl<'p> Rule<'p> {
    pub(super) fn new(config: &'p JobConfig) -> Self {
        Self { config, failovers: Vec::new(), pasts: Vec::new() }
    }

    /// A failover began at `at`.
    pub(super) fn on_failover(&mut self, at: Time) -> Allowed {
        self.failovers.push(at);
        let delay = nanos(self.config.restart_delay);
        match &self.config.restart_strategy {
            RestartStrategy::None => Allowed::end(),
            RestartStrategy::FixedDelay => match self.config.restart_attempts {
                Some(attempts) if self.failovers.len() > attempts as usize => Allowed::end(),
                _ => Allowed::delay(delay),
            },
            RestartStrategy::FailureRate(rate) => {
                let (allowed, interval) = (rate.max_failures_per_interval as usize, nanos(rate.failure_rate_interval));
                let within = |ns: u64| self.failovers.iter().filter(|failover| at.0 - failover.0 <= ns).count();
                let fewest = within(interval.saturating_sub(TOLERANCE_NS));
                let most = within(interval.saturating_add(TOLERANCE_NS));
                Allowed { delay_ns: (fewest <= allowed).then_some((delay, delay)), end: most > allowed }
            }
            RestartStrategy::ExponentialDelay(settings) => self.on_backoff(at, settings),
        }
    }

    fn on_backoff(&mut self, at: Time, settings: &ExponentialDelay) -> Allowed {
        let threshold = nanos(settings.reset_backoff_threshold);
        let mut counts: Vec<u32> = Vec::new();
        for Past { failures, due: (least, most) } in &self.pasts {
            let may_be_reset = at.0 + TOLERANCE_NS >= least.saturating_add(threshold);
            let must_be_reset = at.0 >= most.saturating_add(threshold + TOLERANCE_NS);
            counts.extend(may_be_reset.then_some(1));
            counts.extend((!must_be_reset).then_some(failures.saturating_add(1)));
        }
        if self.pasts.is_empty() {
            counts.push(1);
        }
        counts.sort_unstable();
        counts.dedup();
        let past = |failures: u32| {
            let (least, most) = delays_ns(settings, failures);
            Past { failures, due: (at.0.saturating_add(least), at.0.saturating_add(most)) }
        };
        self.pasts = counts.into_iter().map(past).collect();
        let limit = settings.attempts_before_reset_backoff.unwrap_or(u32::MAX);
        let restarts = self.pasts.iter().filter(|past| past.failures <= limit);
        let least = restarts.clone().map(|past| past.due.0 - at.0).min();
        let most = restarts.map(|past| past.due.1 - at.0).max();
        Allowed { delay_ns: least.zip(most), end: self.pasts.iter().any(|past| past.failures > limit) }
    }

    /// The restart was ready at `at`. With `waited_for_delay` nothing but the delay held it up, so it was due exactly
    /// then.
    pub(super) fn on_ready(&mut self, at: Time, waited_for_delay: bool) {
        let (from, to) = (at.0.saturating_sub(TOLERANCE_NS), at.0.saturating_add(TOLERANCE_NS));
        let mut possible = Vec::new();
        for Past { failures, due: (least, most) } in &self.pasts {
            let least = if waited_for_delay { (*least).max(from) } else { *least };
            let most = (*most).min(to);
            possible.extend((least <= most).then_some(Past { failures: *failures, due: (least, most) }));
        }
        // If no past fits, the delay was wrong, and that is reported. The next delay is judged by what this one should
        // have been.
        if !possible.is_empty() {
            self.pasts = possible;
        }
    }

    /// The earliest time of this leader that still influences what is allowed now.
    pub(super) fn since(&self) -> Time {
        let newest = self.failovers.last().copied().unwrap_or_default();
        match &self.config.restart_strategy {
            RestartStrategy::None | RestartStrategy::FixedDelay => newest,
            RestartStrategy::FailureRate(_) | RestartStrategy::ExponentialDelay(_) => {
                self.failovers.first().copied().unwrap_or_default()
            }
        }
    }
}

/// Least and greatest delay after the failure that is the `failures`th since the last reset.
fn delays_ns(settings: &ExponentialDelay, failures: u32) -> (u64, u64) {
    let (initial, max) = (nanos(settings.initial_backoff) as f64, nanos(settings.max_backoff) as f64);
    let multiplier = f64::from(settings.backoff_multiplier.0) / 1e3;
    // Far above any greatest delay, whatever the jitter.
    let backoff = (initial * libm::pow(multiplier, f64::from(failures - 1))).min(1e30);
    let jitter = backoff * f64::from(settings.jitter_factor.0) / 1e3;
    let bounded = |ns: f64| ns.min(max).max(initial) as u64;
    (bounded(backoff - jitter), bounded(backoff + jitter))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flowquake_engine::config::{FailureRate, Thousandths};
    use flowquake_engine::jobmanager::restart::{RestartBackoff, RestartDecision};
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn strategies() -> impl Strategy<Value = RestartStrategy> {
        let rate = (1..4u32, 1..5_000u64).prop_map(|(max_failures_per_interval, interval)| {
            RestartStrategy::FailureRate(FailureRate { max_failures_per_interval, failure_rate_interval: ms(interval) })
        });
        let delay = (1..500u64, 0..5_000u64, 1_001..4_000u32, 1..3_000u64, 0..=1_000u32, prop::option::of(1..6u32));
        let delay = delay.prop_map(|(initial, more, multiplier, threshold, jitter, attempts_before_reset_backoff)| {
            RestartStrategy::ExponentialDelay(ExponentialDelay {
                initial_backoff: ms(initial),
                max_backoff: ms(initial + more),
                backoff_multiplier: Thousandths(multiplier),
                reset_backoff_threshold: ms(threshold),
                jitter_factor: Thousandths(jitter),
                attempts_before_reset_backoff,
            })
        });
        prop_oneof![Just(RestartStrategy::None), Just(RestartStrategy::FixedDelay), rate, delay]
    }

    proptest! {
        /// The engine's strategies never do what this model forbids. Each tuple is one failure: how long the job ran
        /// before it, how late its leader reported it, a draw, and how long cancelling took.
        #[test]
        fn what_the_engine_does_is_allowed(
            restart_strategy in strategies(),
            restart_attempts in prop::option::of(0..5u32),
            failures in prop::collection::vec((1..4_000u64, 0..TOLERANCE_NS / 2, any::<u64>(), 0..2_000u64), 1..40),
        ) {
            let config = JobConfig { restart_strategy, restart_attempts, ..JobConfig::default() };
            let (mut engine, mut rule) = (RestartBackoff::new(&config), Rule::new(&config));
            let mut now = Time::ZERO;
            for (ran, told_late, jitter, canceling) in failures {
                now = now + ms(ran);
                let decided = engine.on_failure(now, jitter);
                let told = now + Duration::from_nanos(told_late);
                let allowed = rule.on_failover(told);
                match decided {
                    RestartDecision::GiveUp(why) => {
                        prop_assert!(allowed.end, "{why}, but {allowed:?}");
                        break;
                    }
                    RestartDecision::Restart { after } => {
                        prop_assert!(allowed.delay_ns.is_some(), "{allowed:?}");
                        let (least, most) = allowed.delay_ns.unwrap();
                        let after_ns = nanos(after);
                        prop_assert!(least <= after_ns + TOLERANCE_NS, "{after:?} is shorter than {least}");
                        prop_assert!(after_ns <= most + TOLERANCE_NS, "{after:?} is longer than {most}");
                        let canceled = now + ms(canceling);
                        let ready = (now + after).max(canceled);
                        rule.on_ready(ready, ready > canceled);
                        now = ready;
                    }
                }
            }
        }
    }
}
