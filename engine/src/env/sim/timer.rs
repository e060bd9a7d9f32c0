//! Timers on madsim's clock, exact to the nanosecond and cheap to poll.
//!
//! madsim's own `Sleep` rounds up to a millisecond when it is made (not when it is reset), and leaves one more entry in the
//! timer heap at every poll. [`SimTimer`] arms once per deadline and waker.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use madsim::time::TimeHandle;

use crate::time::{Time, nanos};

/// Virtual time since the start of the run.
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

/// A deadline that one task waits for.
#[derive(Default)]
pub(crate) struct SimTimer {
    armed: Option<(Time, Waker)>,
}

impl SimTimer {
    pub(crate) fn poll(&mut self, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= deadline {
            self.armed = None;
            return Poll::Ready(());
        }
        let armed = matches!(&self.armed, Some((at, waker)) if *at == deadline && waker.will_wake(cx.waker()));
        if !armed {
            wake_at(deadline, cx.waker());
            self.armed = Some((deadline, cx.waker().clone()));
        }
        Poll::Pending
    }
}

/// Returns at `deadline`, to the nanosecond (and at least 50 ns later: what the executor itself takes).
pub async fn sleep_until(deadline: Time) {
    let mut timer = SimTimer::default();
    std::future::poll_fn(|cx| timer.poll(deadline, cx)).await;
}
