//! When the next checkpoint begins, and when output becomes visible.
//!
//! Start at [`next_trigger`], the rule of the engine. [`article_interval`] is the rule of thumb in common use. It is
//! one branch of the engine's rule, and holds only where duration plus pause exceeds the interval.

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

/// Flink's fixed grid of one attempt: the points `first + k · max(I, P)`, which no checkpoint moves.
///
/// Each point requests a checkpoint. While a checkpoint is in progress (only one at a time) the request waits, so a
/// long checkpoint is followed by gaps shorter than I. A request made less than P after the last completion is dropped,
/// together with all that wait, and the grid goes on from the end of the pause. Nanoseconds on the run's clock;
/// saturates. Source: apache/flink `CheckpointCoordinator.ScheduledTrigger`, `CheckpointRequestDecider` (whose queue of
/// 1,000 is treated as unlimited here).
///
/// This is a simplification where P > 0: Flink drops one request each time it looks at its queue in a pause. If two or
/// more points passed while a checkpoint ran, some requests are left, and the gap after the next checkpoint may be P
/// where it is max(I, P) here.
#[derive(Debug, Clone)]
pub struct Grid {
    step: u64,
    pause: u64,
    next: u64,
    waiting: u64,
    not_before: u64,
}

impl Grid {
    /// The grid of an attempt whose first checkpoint was triggered at `first_ns`.
    pub fn of_attempt(first_ns: u64, interval_ns: u64, min_pause_ns: u64) -> Self {
        let step = interval_ns.max(min_pause_ns).max(1);
        Self { step, pause: min_pause_ns, next: first_ns.saturating_add(step), waiting: 0, not_before: 0 }
    }

    /// When the next checkpoint is triggered, if the one in progress ended at `ended_ns`, either completed or given up.
    pub fn next_trigger(&mut self, ended_ns: u64, completed: bool) -> u64 {
        if completed {
            self.not_before = ended_ns.saturating_add(self.pause);
        }
        if self.next <= ended_ns {
            let passed = (ended_ns - self.next) / self.step + 1;
            self.waiting += passed;
            self.next = self.next.saturating_add(passed.saturating_mul(self.step));
        }
        if self.waiting > 0 && ended_ns >= self.not_before {
            self.waiting -= 1;
            return ended_ns;
        }
        // The pause drops the waiting requests and a grid point within the pause.
        let due = if self.waiting > 0 { self.not_before } else { self.next.max(self.not_before) };
        self.waiting = 0;
        self.next = due.saturating_add(self.step);
        due
    }
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
/// Symbols, units, domain and source as in [`exactly_once_latency_mean`]; reached by a record directly after a barrier.
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
        // The planning rule is wrong by half a second here.
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
    fn a_grid_makes_up_for_the_points_that_a_long_checkpoint_covered() {
        let mut grid = Grid::of_attempt(100 * MS, 1_000 * MS, 0);
        // Triggered at 100, complete at 2,600: the points 1,100 and 2,100 passed.
        assert_eq!(grid.next_trigger(2_600 * MS, true), 2_600 * MS);
        assert_eq!(grid.next_trigger(2_700 * MS, true), 2_700 * MS);
        assert_eq!(grid.next_trigger(2_800 * MS, true), 3_100 * MS);
        assert_eq!(grid.next_trigger(3_200 * MS, true), 4_100 * MS);
    }

    #[test]
    fn a_pause_moves_the_grid_but_not_after_a_checkpoint_that_was_given_up() {
        let mut grid = Grid::of_attempt(100 * MS, 1_000 * MS, 300 * MS);
        assert_eq!(grid.next_trigger(2_600 * MS, true), 2_900 * MS);
        assert_eq!(grid.next_trigger(3_000 * MS, true), 3_900 * MS);
        assert_eq!(grid.next_trigger(4_800 * MS, true), 5_100 * MS, "4,900 lies within the pause");
        assert_eq!(grid.next_trigger(5_500 * MS, false), 6_100 * MS);
        assert_eq!(grid.next_trigger(7_500 * MS, false), 7_500 * MS);
    }

    #[test]
    fn the_end_of_time_saturates() {
        assert_eq!(Grid::of_attempt(u64::MAX, 0, 0).next_trigger(u64::MAX, true), u64::MAX);
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
