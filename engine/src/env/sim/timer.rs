//! Timers on madsim's clock, exact to the nanosecond and cheap to poll.
//!
//! madsim's own `Sleep` rounds up to a millisecond when it is created (not when it is reset), and leaves one more
//! entry in the timer heap at every poll. An [`Alarm`] arms once per deadline and waker. It uses the world's true
//! time; a node's timers, whose clock may be wrong, are [`super::clock::SimTimer`].
//!
//! The clock is read more often than anything else happens. madsim finds it through a thread's context and counts two
//! references each time, so a thread that runs a world keeps the clock's handle at hand ([`Installed`]).

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use madsim::time::TimeHandle;

use crate::time::{Time, nanos};

/// The clock of the run in this thread.
struct Clock {
    handle: TimeHandle,
    /// The origin of madsim's instants; its clock has no other public origin.
    zero: Instant,
}

impl Clock {
    fn of(handle: TimeHandle) -> Self {
        let zero = handle.now_instant() - handle.elapsed();
        Self { handle, zero }
    }
}

thread_local! {
    static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// While this value lives, the world of this thread reads its clock directly. Drop it before the runtime: otherwise
/// the clock's timers would keep the runtime's tasks alive.
#[must_use = "the clock is at hand only while this lives"]
pub struct Installed(());

impl Installed {
    pub(super) fn new(handle: &TimeHandle) -> Self {
        CLOCK.set(Some(Clock::of(handle.clone())));
        Self(())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        CLOCK.set(None);
    }
}

fn with_clock<T>(read: impl FnOnce(&Clock) -> T) -> T {
    CLOCK.with_borrow(|clock| match clock {
        Some(clock) => read(clock),
        // Values that are dropped with the runtime may still read the clock.
        None => read(&Clock::of(TimeHandle::current())),
    })
}

/// Virtual time since the start of the run. This is true time, whatever the nodes' clocks show.
pub fn now() -> Time {
    with_clock(|clock| Time(nanos(clock.handle.elapsed())))
}

/// Wakes `waker` at `deadline`.
pub(super) fn wake_at(deadline: Time, waker: &Waker) {
    let waits = with_clock(|clock| {
        let instant = clock.zero + Duration::from_nanos(deadline.0);
        let mut sleep = clock.handle.sleep_until(instant);
        let mut sleep = Pin::new(&mut sleep);
        sleep.as_mut().reset(instant);
        sleep.poll(&mut Context::from_waker(waker)).is_pending()
    });
    if !waits {
        waker.wake_by_ref();
    }
}

/// A deadline in true time, waited for by one task.
#[derive(Default)]
pub(super) struct Alarm {
    armed: Option<Time>,
    /// Kept after the alarm has fired, because most timers are set again by the same task.
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

    /// Whether the alarm was polled with this waker last.
    pub(super) fn wakes(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|known| known.will_wake(waker))
    }
}

/// Returns at `deadline`, exact to the nanosecond except for the 50 ns or more that the executor itself takes.
pub async fn sleep_until(deadline: Time) {
    let mut alarm = Alarm::default();
    std::future::poll_fn(|cx| alarm.poll(deadline, cx)).await;
}
