//! How a subtask spends its time: busy, back-pressured (its output has no room) or idle (Flink: `busyTimeMsPerSecond`
//! and the related metrics).
//!
//! Counted from one snapshot to the next, and only between batches; nothing is measured per record. Waiting for input
//! is idle time, also while channels are aligned. Waiting for room in an output channel is back-pressure. The rest is
//! busy. No decision depends on these numbers.

use std::time::Duration;

use crate::time::{Time, nanos};

/// Times of one subtask since its last snapshot, measured by its node's clock.
pub(super) struct Load {
    since: Time,
    idle_ns: u64,
    back_pressured_ns: u64,
}

/// Shares of the time between two snapshots, in thousandths; the rest up to a thousand was idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) busy: u16,
    pub(super) back_pressured: u16,
}

impl Load {
    pub(super) fn new(now: Time) -> Self {
        Self { since: now, idle_ns: 0, back_pressured_ns: 0 }
    }

    /// Counts time spent waiting for mail, timers or input.
    pub(super) fn idle(&mut self, waited: Duration) {
        self.idle_ns = self.idle_ns.saturating_add(nanos(waited));
    }

    /// Counts time spent waiting for room in an output channel.
    pub(super) fn back_pressured(&mut self, waited: Duration) {
        self.back_pressured_ns = self.back_pressured_ns.saturating_add(nanos(waited));
    }

    /// Returns the shares since the last snapshot and starts counting anew. If the clock jumps, the shares are wrong,
    /// but never more than the whole.
    pub(super) fn take(&mut self, now: Time) -> Shares {
        let whole = nanos(now.since(self.since));
        let share = |part: u64| (u128::from(part.min(whole)) * 1_000 / u128::from(whole.max(1))) as u16;
        let waited = self.idle_ns.saturating_add(self.back_pressured_ns);
        let shares =
            Shares { busy: share(whole.saturating_sub(waited)), back_pressured: share(self.back_pressured_ns) };
        *self = Self::new(now);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_idle_nor_blocked_is_busy_and_each_snapshot_begins_anew() {
        let ms = Duration::from_millis;
        let at = |millis| Time::ZERO + ms(millis);
        let mut load = Load::new(at(100));
        load.idle(ms(50));
        load.back_pressured(ms(30));
        assert_eq!(load.take(at(200)), Shares { busy: 200, back_pressured: 300 });
        assert_eq!(load.take(at(210)), Shares { busy: 1_000, back_pressured: 0 });
        // Two snapshots at the same time, a clock that jumps back, and a wait that is longer than the clock shows.
        assert_eq!(load.take(at(210)), Shares { busy: 0, back_pressured: 0 });
        load.back_pressured(ms(500));
        assert_eq!(load.take(at(205)), Shares { busy: 0, back_pressured: 0 });
        load.back_pressured(ms(500));
        assert_eq!(load.take(at(215)), Shares { busy: 0, back_pressured: 1_000 });
    }
}
