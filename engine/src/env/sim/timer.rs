//! Timers on madsim's clock, exact to the nanosecond and cheap to poll.
//!
//! madsim's own `Sleep` rounds up to a millisecond when it is made (not when it is reset), and leaves one more entry in the
//! timer heap at every poll. An [`Alarm`] arms once per deadline and waker. It knows only the world's true time; the timers
//! of a node, whose clock may be wrong, are [`super::clock::SimTimer`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use madsim::time::TimeHandle;

use crate::time::{Time, nanos};

/// Virtual time since the start of the run: the true time, whatever the nodes' clocks show.
pub fn now() -> Time {
    Time(nanos(TimeHandle::current().elapsed()))
}

/// Wakes `waker` at `deadline`.
pub(super) fn wake_at(deadline: Time, waker: &Waker) {
    let handle = TimeHandle::current();
    let elapsed = nanos(handle.elapsed());
    // madsim's instants count from zero, and its clock has no other public anchor.
    let instant: Instant = handle.now_instant() + Duration::from_nanos(deadline.0.saturating_sub(elapsed));
    let mut sleep = handle.sleep_until(instant);
    let mut sleep = Pin::new(&mut sleep);
    sleep.as_mut().reset(instant);
    if sleep.poll(&mut Context::from_waker(waker)).is_ready() {
        waker.wake_by_ref();
    }
}

/// A deadline in true time that one task waits for.
#[derive(Default)]
pub(super) struct Alarm {
    armed: Option<Time>,
    /// Kept after the alarm went off: most timers are set again by the same task.
    waker: Option<Waker>,
}

impl Alarm {
    pub(super) fn poll(&mut self, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= deadline {
            self.armed = None;
            return Poll::Ready(());
        }
        let known = self.wakes(cx.waker());
        if !known {
            self.waker = Some(cx.waker().clone());
        }
        if !known || self.armed != Some(deadline) {
            if deadline != Time::NEVER {
                wake_at(deadline, cx.waker());
            }
            self.armed = Some(deadline);
        }
        Poll::Pending
    }

    /// Whether this is the waker that it was polled with last.
    pub(super) fn wakes(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|known| known.will_wake(waker))
    }
}

/// Returns at `deadline`, to the nanosecond (and at least 50 ns later: what the executor itself takes).
pub async fn sleep_until(deadline: Time) {
    let mut alarm = Alarm::default();
    std::future::poll_fn(|cx| alarm.poll(deadline, cx)).await;
}
