//! The strategies against the documented behaviour of Flink, and against naive models that keep the whole history.

use proptest::prelude::*;

use super::RestartDecision::{GiveUp, Restart};
use super::*;
use crate::config::Thousandths;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(time_ms: u64) -> Time {
    Time::ZERO + ms(time_ms)
}

fn strategy(restart_strategy: RestartStrategy) -> RestartBackoff {
    RestartBackoff::new(&JobConfig { restart_strategy, restart_delay: ms(7), ..JobConfig::default() })
}

fn failure_rate(max_failures_per_interval: u32, interval_ms: u64) -> RestartBackoff {
    let settings = FailureRate { max_failures_per_interval, failure_rate_interval: ms(interval_ms) };
    strategy(RestartStrategy::FailureRate(settings))
}

/// Delays from 1 s to 10 s, doubled each time, reset after 30 s, without jitter.
fn doubling() -> ExponentialDelay {
    ExponentialDelay {
        max_backoff: ms(10_000),
        backoff_multiplier: Thousandths(2_000),
        reset_backoff_threshold: ms(30_000),
        jitter_factor: Thousandths(0),
        ..ExponentialDelay::default()
    }
}

fn exponential(settings: ExponentialDelay) -> RestartBackoff {
    strategy(RestartStrategy::ExponentialDelay(settings))
}

#[test]
fn none_allows_no_restart() {
    assert_eq!(strategy(RestartStrategy::None).on_failure(at(5), 0), GiveUp(Exhausted::NoRestarts));
}

#[test]
fn a_fixed_delay_allows_so_many_restarts_and_then_none() {
    let config = |restart_attempts| JobConfig { restart_delay: ms(7), restart_attempts, ..JobConfig::default() };
    for allowed in [0, 1, 5] {
        let mut limited = RestartBackoff::new(&config(Some(allowed)));
        for _ in 0..allowed {
            assert_eq!(limited.on_failure(at(1), 0), Restart { after: ms(7) });
        }
        assert_eq!(limited.on_failure(at(1), 0), GiveUp(Exhausted::Attempts { allowed }));
    }
    let mut unlimited = RestartBackoff::new(&config(None));
    assert!((0..1_000).all(|_| unlimited.on_failure(at(1), 0) == Restart { after: ms(7) }));
}

#[test]
fn a_failure_rate_counts_what_lies_within_the_interval() {
    let mut rate = failure_rate(2, 1_000);
    // The third failure comes more than an interval after the first. Exactly one interval would be too soon.
    for failure in [0, 900, 1_001, 1_901] {
        assert_eq!(rate.on_failure(at(failure), 0), Restart { after: ms(7) }, "at {failure}");
    }
    let exceeded = GiveUp(Exhausted::FailureRate { allowed: 2, interval: ms(1_000) });
    assert_eq!(rate.on_failure(at(2_001), 0), exceeded, "the failure at 1,001 counts still");
    let GiveUp(why) = exceeded else { unreachable!() };
    assert_eq!(why.to_string(), "the failure rate of 2 per 1s is exceeded");
}

#[test]
fn an_exponential_delay_grows_is_capped_and_resets() {
    let mut backoff = exponential(doubling());
    let mut now = at(100);
    for expected in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
        let decided = backoff.on_failure(now, 0);
        assert_eq!(decided, Restart { after: ms(expected) });
        assert_eq!(
            backoff.on_failure(now + ms(expected / 2), 0),
            Restart { after: ms(expected / 2) },
            "it is due still"
        );
        // The job fails again a second after it was restarted.
        now = now + ms(expected) + ms(1_000);
    }
    // The last restart was due a second ago.
    let due = Time(now.0 - nanos(ms(1_000)));
    let mut almost = backoff.clone();
    assert_eq!(almost.on_failure(Time((due + ms(30_000)).0 - 1), 0), Restart { after: ms(10_000) });
    assert_eq!(backoff.on_failure(due + ms(30_000), 0), Restart { after: ms(1_000) }, "it ran for 30 s");
}

#[test]
fn rounding_does_not_add_up_over_thousands_of_failures() {
    let settings = ExponentialDelay {
        initial_backoff: Duration::from_nanos(1_000_001),
        max_backoff: Duration::from_secs(3_600),
        backoff_multiplier: Thousandths(1_001),
        ..doubling()
    };
    let mut backoff = exponential(settings);
    let (mut now, mut last) = (Time::ZERO, Duration::ZERO);
    for _ in 0..10_000 {
        let Restart { after } = backoff.on_failure(now, 0) else { unreachable!() };
        (now, last) = (now + after + ms(1), after);
    }
    let exact = 1_000_001.0 * libm::pow(1.001, 9_999.0);
    assert!((last.as_nanos() as f64 - exact).abs() < 2.0, "{last:?}, exactly {exact} ns");
}

#[test]
fn attempts_before_the_reset_are_counted_anew_after_it() {
    let mut backoff = exponential(ExponentialDelay { attempts_before_reset_backoff: Some(2), ..doubling() });
    assert_eq!(backoff.on_failure(at(0), 0), Restart { after: ms(1_000) });
    assert_eq!(backoff.on_failure(at(1_001), 0), Restart { after: ms(2_000) });
    assert_eq!(backoff.on_failure(at(60_000), 0), Restart { after: ms(1_000) }, "reset");
    assert_eq!(backoff.on_failure(at(61_001), 0), Restart { after: ms(2_000) });
    assert_eq!(backoff.on_failure(at(64_000), 0), GiveUp(Exhausted::AttemptsBeforeReset { allowed: 2 }));
}

#[test]
fn jitter_is_a_part_of_the_backoff_and_never_leaves_the_bounds() {
    let settings = ExponentialDelay { jitter_factor: Thousandths(250), ..doubling() };
    let after = |backoff_ms: u64, jitter| with_jitter(nanos(ms(backoff_ms)).into(), &settings, jitter);
    assert_eq!([0, u64::MAX].map(|jitter| after(8_000, jitter)), [ms(6_000), ms(10_000)]);
    assert_eq!([0, u64::MAX].map(|jitter| after(4_000, jitter)), [ms(3_000), ms(5_000)]);
    assert_eq!([0, u64::MAX].map(|jitter| after(1_000, jitter)), [ms(1_000), ms(1_250)]);
    // The jitter is a share of the whole backoff, which is longer than the greatest delay.
    assert_eq!([0, u64::MAX].map(|jitter| after(12_000, jitter)), [ms(9_000), ms(10_000)]);
    assert_eq!([0, u64::MAX].map(|jitter| after(1_000_000, jitter)), [ms(10_000), ms(10_000)]);
    assert_ne!(jitter(1, Attempt(1)), jitter(1, Attempt(2)));
    assert_ne!(jitter(1, Attempt(1)), jitter(2, Attempt(1)));
}

/// Failures in order: the time from one to the next, and a draw for each.
fn failures() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((prop_oneof![0..50u64, 0..5_000u64], any::<u64>()), 1..60)
}

proptest! {
    #[test]
    fn a_failure_rate_is_what_a_look_at_all_failures_says(
        allowed in 1..6u32, interval in 1..8_000u64, gaps in failures(),
    ) {
        let mut rate = failure_rate(allowed, interval);
        let mut all = Vec::new();
        let mut now = 0;
        for (gap, jitter) in gaps {
            now += gap;
            all.push(now);
            let within = all.iter().filter(|failure| now - **failure <= interval).count();
            let expected = match within > allowed as usize {
                true => GiveUp(Exhausted::FailureRate { allowed, interval: ms(interval) }),
                false => Restart { after: ms(7) },
            };
            prop_assert_eq!(rate.on_failure(at(now), jitter), expected);
        }
    }

    #[test]
    fn an_exponential_delay_is_a_power_of_the_restarts_since_the_last_long_run(
        initial in 1..500u64, more in 0..20_000u64, multiplier in 1_001..5_000u32, jitter_factor in 0..=1_000u32,
        threshold in 1..4_000u64, attempts in prop::option::of(1..8u32), gaps in failures(),
    ) {
        let settings = ExponentialDelay {
            initial_backoff: ms(initial),
            max_backoff: ms(initial + more),
            backoff_multiplier: Thousandths(multiplier),
            reset_backoff_threshold: ms(threshold),
            jitter_factor: Thousandths(jitter_factor),
            attempts_before_reset_backoff: attempts,
        };
        let mut backoff = exponential(settings.clone());
        let (mut now, mut in_a_row, mut due): (Time, i32, Option<Time>) = (at(0), 0, None);
        for (gap, jitter) in gaps {
            now = now + ms(gap);
            let decided = backoff.on_failure(now, jitter);
            if let Some(due) = due.filter(|due| *due >= now) {
                prop_assert_eq!(decided, Restart { after: due.since(now) });
                continue;
            }
            if due.is_none_or(|due| now.since(due) >= ms(threshold)) {
                in_a_row = 0;
            }
            let power = initial as f64 * libm::pow(f64::from(multiplier) / 1e3, f64::from(in_a_row));
            let spread = power * f64::from(jitter_factor) / 1e3;
            let bounded = |ms: f64| ms.min((initial + more) as f64).max(initial as f64);
            in_a_row += 1;
            match decided {
                Restart { after } => {
                    let after_ms = after.as_secs_f64() * 1e3;
                    // The strategy rounds down to whole nanoseconds at every step, so the bounds allow for that.
                    prop_assert!(after_ms >= bounded(power - spread) - 1e-3, "{after_ms} of {power} - {spread}");
                    prop_assert!(after_ms <= bounded(power + spread) + 1e-3, "{after_ms} of {power} + {spread}");
                    prop_assert!(attempts.is_none_or(|allowed| in_a_row <= allowed as i32));
                    due = Some(now + after);
                }
                GiveUp(why) => {
                    prop_assert_eq!(Some(why), attempts.map(|allowed| Exhausted::AttemptsBeforeReset { allowed }));
                    prop_assert!(attempts.is_some_and(|allowed| in_a_row > allowed as i32));
                    break;
                }
            }
        }
    }

    #[test]
    fn no_settings_and_no_history_make_a_strategy_panic(
        (initial, max, threshold, interval) in (1..u64::MAX, 1..u64::MAX, 1..u64::MAX, 1..u64::MAX),
        multiplier in 1_001..=u32::MAX, jitter_factor in 0..=1_000u32, gaps in prop::collection::vec(any::<(u64, u64)>(), 1..99),
    ) {
        let nanos = Duration::from_nanos;
        let settings = ExponentialDelay {
            initial_backoff: nanos(initial),
            max_backoff: nanos(max.max(initial)),
            backoff_multiplier: Thousandths(multiplier),
            reset_backoff_threshold: nanos(threshold),
            jitter_factor: Thousandths(jitter_factor),
            attempts_before_reset_backoff: None,
        };
        let mut backoff = exponential(settings);
        let mut rate = strategy(RestartStrategy::FailureRate(FailureRate {
            max_failures_per_interval: 3,
            failure_rate_interval: nanos(interval),
        }));
        let mut now = Time::ZERO;
        for (gap, jitter) in gaps {
            now = now + nanos(gap);
            let Restart { after } = backoff.on_failure(now, jitter) else { unreachable!() };
            prop_assert!(after <= nanos(max.max(initial)));
            rate.on_failure(now, jitter);
        }
    }
}
