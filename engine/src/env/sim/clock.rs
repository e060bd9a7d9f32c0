//! The clock of a node: true, unless a fault made it jump or drift.
//!
//! The engine reads ([`NodeClock::read`]) and waits by ([`SimTimer`]) its node's clock. Whatever the world does by
//! itself (latency, price of work, arrival of input, the times of events) uses true time. A clock belongs to the
//! machine, so it outlives the lives of its node. Start at [`NodeClock::change`]; [`Dial`] is the pure part.
//!
//! Invariants: (CLOCK-K1) a timer fires when its node's clock reaches its deadline and not before, however often the
//! clock was changed meanwhile. To keep this, every change of a clock wakes every task that waits for one of its
//! timers, and the task asks again. A timer registers once, not once per deadline, and reading a clock that was never
//! changed costs one atomic load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::harm::Standstill;
use super::timer::{self, Alarm};
use super::{SimNode, SimWorld};
use crate::fault::ClockFault;
use crate::time::{Time, nanos};

/// The rate of a true clock; rates are in millionths.
const TRUE_RATE: i64 = 1_000_000;

/// What a clock shows at each true time; it is linear since the clock's last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dial {
    changed_at: Time,
    shown_then: Time,
    /// Millionths of a second shown per second; at least 1, so that a clock never stands still.
    rate: u64,
}

impl Default for Dial {
    fn default() -> Self {
        Self { changed_at: Time::ZERO, shown_then: Time::ZERO, rate: TRUE_RATE as u64 }
    }
}

impl Dial {
    fn read(&self, now: Time) -> Time {
        let passed = u128::from(now.0.saturating_sub(self.changed_at.0));
        let shown = u128::from(self.shown_then.0) + passed * u128::from(self.rate) / TRUE_RATE as u128;
        Time(u64::try_from(shown).unwrap_or(u64::MAX))
    }

    /// The first true time since the last change at which the clock shows at least `shown`.
    fn when(&self, shown: Time) -> Time {
        if shown == Time::NEVER {
            return shown;
        }
        let missing = u128::from(shown.0.saturating_sub(self.shown_then.0));
        let passed = (missing * TRUE_RATE as u128).div_ceil(u128::from(self.rate));
        Time(u64::try_from(u128::from(self.changed_at.0) + passed).unwrap_or(u64::MAX))
    }

    fn changed(&self, now: Time, fault: ClockFault) -> Self {
        let shown = self.read(now);
        let (shown_then, rate) = match fault {
            ClockFault::Forward(by) => (shown + by, self.rate),
            ClockFault::Back(by) => (Time(shown.0.saturating_sub(nanos(by))), self.rate),
            ClockFault::Drift(millionths) => (shown, (TRUE_RATE + i64::from(millionths)).max(1).unsigned_abs()),
        };
        Self { changed_at: now, shown_then, rate }
    }
}

/// The clock of one node, shared by all its lives.
#[derive(Default)]
pub(super) struct NodeClock {
    /// Whether a fault ever changed the clock. Until then it shows true time, and the dial need not be read.
    touched: AtomicBool,
    /// Number of readings that differed from true time.
    wrong: AtomicU64,
    pub(super) standstill: Standstill,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    dial: Dial,
    /// One slot per timer that was ever waited for, with the waker of the waiting task.
    waiting: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl NodeClock {
    pub(super) fn read(&self, now: Time) -> Time {
        if self.touched.load(Ordering::Relaxed) { self.noted(now, self.lock().dial.read(now)) } else { now }
    }

    fn when(&self, shown: Time) -> Time {
        if self.touched.load(Ordering::Relaxed) { self.noted(shown, self.lock().dial.when(shown)) } else { shown }
    }

    /// Returns `answer` and counts it as wrong if it differs from `truth`, the answer of a correct clock.
    fn noted(&self, truth: Time, answer: Time) -> Time {
        if answer != truth {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    pub(super) fn wrong_readings(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Changes the clock. Returns whether it shows, or will show, anything else than before.
    fn change(&self, now: Time, fault: ClockFault) -> bool {
        let (waiting, changed): (Vec<Waker>, bool) = {
            let mut inner = self.lock();
            let before = inner.dial;
            inner.dial = before.changed(now, fault);
            let changed = before.read(now) != inner.dial.read(now) || before.rate != inner.dial.rate;
            (inner.waiting.iter().flatten().cloned().collect(), changed)
        };
        self.touched.store(true, Ordering::Relaxed);
        waiting.into_iter().for_each(Waker::wake);
        changed
    }

    /// Number of slots, and of slots in use.
    #[cfg(test)]
    pub(super) fn places(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.waiting.len() - inner.free.len())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics under this lock")
    }
}

/// A timer on a node's clock, or on the true one.
pub(crate) struct SimTimer {
    clock: Option<Arc<NodeClock>>,
    alarm: Alarm,
    slot: Option<usize>,
}

impl SimTimer {
    /// Deadlines are times of the node's clock.
    pub(in super::super) fn of_node(node: &SimNode) -> Self {
        Self { clock: Some(node.clock.clone()), alarm: Alarm::default(), slot: None }
    }

    /// Deadlines are true times.
    pub(in super::super) fn of_world() -> Self {
        Self { clock: None, alarm: Alarm::default(), slot: None }
    }

    pub(crate) fn poll(&mut self, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        let Some(clock) = &self.clock else { return self.alarm.poll(deadline, cx) };
        let known = self.alarm.wakes(cx.waker());
        let due = clock.when(deadline);
        let fired = self.alarm.poll(due, cx);
        if fired.is_ready() {
            clock.standstill.due(due);
        }
        if fired.is_pending() && !known {
            let mut inner = clock.lock();
            let slot = *self.slot.get_or_insert_with(|| {
                inner.free.pop().unwrap_or_else(|| {
                    inner.waiting.push(None);
                    inner.waiting.len() - 1
                })
            });
            let former = inner.waiting[slot].replace(cx.waker().clone());
            // Dropped after the lock is released: the last waker of a task that has ended frees the task.
            drop(inner);
            drop(former);
        }
        fired
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        if let (Some(clock), Some(slot)) = (&self.clock, self.slot) {
            let mut inner = clock.lock();
            let former = inner.waiting[slot].take();
            inner.free.push(slot);
            drop(inner);
            drop(former);
        }
    }
}

impl SimWorld {
    /// Changes a node's clock; its timers follow at once. `Drift` replaces the current drift, `Drift(0)` ends it.
    /// Returns whether the fault changed the clock: a jump by zero, or a jump back from the clock's zero, changes
    /// nothing.
    pub fn set_clock(&self, name: &str, fault: ClockFault) -> bool {
        let clock = {
            let state = self.lock();
            state.index_of(name).map(|index| state.nodes[index].clock.clone())
        };
        clock.is_some_and(|clock| clock.change(timer::now(), fault))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn fault() -> impl Strategy<Value = ClockFault> {
        let jump = || (0..5_000_000_000u64).prop_map(Duration::from_nanos);
        prop_oneof![
            jump().prop_map(ClockFault::Forward),
            jump().prop_map(ClockFault::Back),
            prop_oneof![Just(0), -400..400, -2_000_000..2_000_000].prop_map(ClockFault::Drift),
        ]
    }

    proptest! {
        #[test]
        fn a_deadline_is_reached_exactly_when_the_clock_shows_it(
            changes in prop::collection::vec((0..3_000_000_000u64, fault()), 0..6),
            ahead in 0..2_000_000_000u64,
        ) {
            let (mut now, mut dial) = (Time::ZERO, Dial::default());
            for (pause, fault) in changes {
                now = Time(now.0 + pause);
                let before = dial.read(now);
                dial = dial.changed(now, fault);
                match fault {
                    ClockFault::Forward(by) => prop_assert_eq!(dial.read(now), before + by),
                    ClockFault::Back(by) => prop_assert_eq!(dial.read(now), Time(before.0.saturating_sub(nanos(by)))),
                    ClockFault::Drift(_) => prop_assert_eq!(dial.read(now), before, "a drift is no jump"),
                }
            }
            let deadline = Time(dial.read(now).0 + ahead);
            let at = dial.when(deadline);
            prop_assert!(at >= now && dial.read(at) >= deadline);
            prop_assert!(at == now || dial.read(Time(at.0 - 1)) < deadline, "CLOCK-K1: not before");
        }
    }

    #[test]
    fn a_clock_shows_true_time_until_it_is_touched_and_never_stands_still() {
        let dial = Dial::default();
        assert_eq!((dial.read(Time(7)), dial.when(Time(7))), (Time(7), Time(7)));
        let slow = dial.changed(Time(1_000), ClockFault::Drift(i32::MIN));
        assert!(slow.read(Time(3_000_000)) > slow.read(Time(1_000)));
        assert_eq!(slow.when(Time::NEVER), Time::NEVER);
        assert_eq!(slow.changed(Time(1_000), ClockFault::Drift(0)).rate, TRUE_RATE as u64);
    }
}
