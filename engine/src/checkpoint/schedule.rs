//! When the next periodic checkpoint is due. Pure; one checkpoint at a time.
//!
//! `spaced`, with interval I and pause P: the next trigger is due at `max(previous trigger + max(I, P), last
//! completion + P)`.
//!
//! `fixed-rate`, Flink's rule: triggers are due on a grid of step `max(I, P)`, which checkpoints do not move. A point
//! that passes while a checkpoint is under way waits until that checkpoint ends, so a long checkpoint is followed by
//! gaps shorter than I. A point less than P after the last completion is dropped together with all waiting points, and
//! the grid continues from the end of that pause. Flink drops one point each time that it looks at its queue; the two
//! rules differ if the pause is not zero and several points have passed.
//! Source: apache/flink `CheckpointCoordinator.ScheduledTrigger`, `CheckpointRequestDecider`; ADR 0005.

use std::time::Duration;

use crate::config::{CheckpointConfig, TriggerSchedule};
use crate::time::Time;

/// Most grid points that wait at once (Flink: `DEFAULT_MAX_QUEUED_REQUESTS`).
const WAITING_MAX: u32 = 1000;

/// Knows when a checkpoint is due; used by one attempt after the other.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: TriggerSchedule,
    step: Duration,
    pause: Duration,
    /// `spaced`: the next trigger; `fixed-rate`: the next point of the grid.
    next: Time,
    /// Only `fixed-rate`: points that have passed and whose checkpoint was not triggered yet.
    waiting: u32,
    /// Only `fixed-rate`: no checkpoint is triggered before this time.
    not_before: Time,
}

impl Schedule {
    /// A schedule without an attempt.
    pub fn new(config: &CheckpointConfig) -> Self {
        Self {
            kind: config.schedule,
            step: config.interval.max(config.min_pause),
            pause: config.min_pause,
            next: Time::NEVER,
            waiting: 0,
            not_before: Time::ZERO,
        }
    }

    /// All tasks of an attempt run; its first checkpoint is due at `first`.
    pub fn begin(&mut self, first: Time) {
        (self.next, self.waiting) = (first, 0);
    }

    /// The attempt is over.
    pub fn end(&mut self) {
        (self.next, self.waiting) = (Time::NEVER, 0);
    }

    /// When to call [`Schedule::take`] next, while no checkpoint is under way.
    pub fn due_at(&self) -> Time {
        if self.waiting > 0 { Time::ZERO } else { self.next }
    }

    /// Whether a checkpoint is triggered now; called only while no checkpoint is under way.
    pub fn take(&mut self, now: Time) -> bool {
        match self.kind {
            TriggerSchedule::Spaced => {
                let due = now >= self.next;
                if due {
                    self.next = now + self.step;
                }
                due
            }
            TriggerSchedule::FixedRate => {
                while self.next <= now {
                    self.waiting = (self.waiting + 1).min(WAITING_MAX);
                    self.next = self.next + self.step;
                }
                if self.waiting == 0 {
                    return false;
                }
                if now < self.not_before {
                    (self.next, self.waiting) = (self.not_before, 0);
                    return false;
                }
                self.waiting -= 1;
                true
            }
        }
    }

    /// A checkpoint was completed.
    pub fn on_completed(&mut self, now: Time) {
        match self.kind {
            TriggerSchedule::Spaced => self.next = self.next.max(now + self.pause),
            TriggerSchedule::FixedRate => self.not_before = now + self.pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of the triggers, in ms, of an attempt whose first trigger is due at 100 ms and whose checkpoints take
    /// `durations`.
    fn triggers(kind: TriggerSchedule, interval: u64, pause: u64, durations: &[u64]) -> Vec<u64> {
        let ms = Duration::from_millis;
        let config =
            CheckpointConfig { interval: ms(interval), min_pause: ms(pause), schedule: kind, ..Default::default() };
        let mut schedule = Schedule::new(&config);
        let mut now = Time::ZERO;
        schedule.begin(now + ms(100));
        let trigger_and_complete = |duration: &u64| {
            while !schedule.take(now) {
                now = now.max(schedule.due_at());
            }
            let at = now.0 / 1_000_000;
            now = now + ms(*duration);
            schedule.on_completed(now);
            at
        };
        durations.iter().map(trigger_and_complete).collect()
    }

    #[test]
    fn a_short_checkpoint_moves_neither() {
        for kind in TriggerSchedule::ALL {
            assert_eq!(triggers(kind, 1000, 300, &[200, 700, 100]), [100, 1100, 2100]);
        }
    }

    #[test]
    fn after_a_long_one_the_grid_catches_up_and_the_other_does_not() {
        assert_eq!(triggers(TriggerSchedule::Spaced, 1000, 0, &[2500, 100, 100, 100]), [100, 2600, 3600, 4600]);
        // The points 1100 and 2100 passed meanwhile: one trigger follows at once, one after it, and the grid continues
        // at 3100.
        assert_eq!(triggers(TriggerSchedule::FixedRate, 1000, 0, &[2500, 100, 100, 100]), [100, 2600, 2700, 3100]);
    }

    #[test]
    fn a_pause_drops_what_waits_and_moves_the_grid() {
        let both = [[100, 2900, 3900], [100, 2900, 3900]];
        let measured = TriggerSchedule::ALL.map(|kind| triggers(kind, 1000, 300, &[2500, 100, 100]));
        assert_eq!(measured, both);
        // A point just inside the pause is dropped, and the grid continues from the end of the pause.
        assert_eq!(triggers(TriggerSchedule::FixedRate, 1000, 300, &[900, 100, 100]), [100, 1300, 2300]);
    }

    #[test]
    fn nothing_is_due_at_rest() {
        for schedule in TriggerSchedule::ALL {
            let mut at_rest = Schedule::new(&CheckpointConfig { schedule, ..Default::default() });
            assert_eq!((at_rest.due_at(), at_rest.take(Time(1))), (Time::NEVER, false));
            at_rest.begin(Time::ZERO);
            at_rest.end();
            assert_eq!((at_rest.due_at(), at_rest.take(Time(1))), (Time::NEVER, false));
        }
    }
}
