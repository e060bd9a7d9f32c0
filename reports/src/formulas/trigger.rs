//! When the next checkpoint begins, and when output becomes visible.
//!
//! Start at [`next_trigger`], the rule of the engine; [`article_interval`] is the rule of thumb that people plan with. It is
//! one branch of the rule: it holds where duration plus pause exceeds the interval, and nowhere else.

use super::{OutsideDomain, finite, not_negative, positive};

/// The planning rule, as text for tables.
pub const ARTICLE_INTERVAL: &str = "d + P";
/// The engine's rule for the gap between two triggers, as text for tables.
pub const TRIGGER_GAP: &str = "max(I, P, d + P)";

/// `interval = checkpoint duration + pause`: gap between two triggers as the planning rule states it.
///
/// Nanoseconds in and out; saturates. True only while d + P ≥ I. Source: the planning rule of Flink tuning articles.
pub fn article_interval(duration_ns: u64, pause_ns: u64) -> u64 {
    duration_ns.saturating_add(pause_ns)
}

/// `next = max(previous trigger + max(I, P), last completion + P)`: when the next periodic checkpoint is triggered.
///
/// Nanoseconds on the run's clock; saturates. `interval_ns` is I, `min_pause_ns` is P. One checkpoint at a time, no abort
/// since `last_completion_ns`. Source: this project's design, a deliberate difference from Flink, whose
/// `CheckpointCoordinator` triggers on a fixed grid, so that a long checkpoint is followed by gaps shorter than I.
pub fn next_trigger(previous_trigger_ns: u64, last_completion_ns: u64, interval_ns: u64, min_pause_ns: u64) -> u64 {
    let by_interval = previous_trigger_ns.saturating_add(interval_ns.max(min_pause_ns));
    let by_pause = last_completion_ns.saturating_add(min_pause_ns);
    by_interval.max(by_pause)
}

/// `T/2 + d + t_c`: mean time from a record's processing until its output is visible, without failures.
///
/// Seconds; `period` is T > 0, `duration` is d ≥ 0, `commit` is t_c ≥ 0 (notification and commit together). A record waits
/// for the next trigger, on average half a period. Source: derived, wait uniform on \[0, T\].
pub fn exactly_once_latency_mean(period: f64, duration: f64, commit: f64) -> Result<f64, OutsideDomain> {
    let (period, duration, commit) =
        (positive("T", period)?, not_negative("d", duration)?, not_negative("t_c", commit)?);
    finite(period / 2.0 + duration + commit)
}

/// `T + d + t_c`: longest time from a record's processing until its output is visible, without failures.
///
/// Symbols, units and domain as in [`exactly_once_latency_mean`]; met by a record just behind a barrier.
pub fn exactly_once_latency_max(period: f64, duration: f64, commit: f64) -> Result<f64, OutsideDomain> {
    let (period, duration, commit) =
        (positive("T", period)?, not_negative("d", duration)?, not_negative("t_c", commit)?);
    finite(period + duration + commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_short_checkpoint_leaves_the_interval_in_charge() {
        assert_eq!(next_trigger(5_000 * MS, 5_200 * MS, 1_000 * MS, 300 * MS), 6_000 * MS);
        // The planning rule is off by half a second here.
        assert_eq!(article_interval(200 * MS, 300 * MS), 500 * MS);
    }

    #[test]
    fn a_long_checkpoint_puts_the_pause_in_charge_and_the_rules_agree() {
        let next = next_trigger(5_000 * MS, 6_500 * MS, 1_000 * MS, 300 * MS);
        assert_eq!(next, 6_800 * MS);
        assert_eq!(next - 5_000 * MS, article_interval(1_500 * MS, 300 * MS));
    }

    #[test]
    fn a_pause_above_the_interval_raises_it() {
        assert_eq!(next_trigger(0, 100 * MS, 500 * MS, 2_000 * MS), 2_100 * MS);
    }

    #[test]
    fn the_end_of_time_saturates() {
        assert_eq!(next_trigger(u64::MAX, 0, 1, 0), u64::MAX);
        assert_eq!(article_interval(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn exactly_once_latency_by_hand() {
        assert_eq!(exactly_once_latency_mean(10.0, 1.5, 0.25), Ok(6.75));
        assert_eq!(exactly_once_latency_max(10.0, 1.5, 0.25), Ok(11.75));
        assert_eq!(
            exactly_once_latency_mean(0.0, 1.0, 1.0),
            Err(OutsideDomain::NotPositive { symbol: "T", value: 0.0 })
        );
    }
}
