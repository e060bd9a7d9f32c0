//! What a swarm's draws are made of: named random numbers, the data that one seed's draws look at, and the victims that
//! a fault may have.
//!
//! Start at [`Draws`]. `scene` holds what a swarm asks for and the settings drawn so far; `action` holds what the
//! action of a fault is drawn from. The kinds, which say how they are drawn, are built on this module, and the swarm
//! that puts a plan together is built on the kinds. Every draw is named (SWARM-W4).

use std::time::Duration;

use flowquake_engine::env::{draw, draw_between};

mod action;
mod scene;

pub(crate) use action::{ANYBODY, Action, LEADING, LINKED, Role, TASKS};
pub use action::{Drawn, Need};
pub use scene::Swarm;
pub(crate) use scene::{Scene, stream};

/// The draws of one entity: 0 is the run as a whole, any other number is that fault.
pub(crate) struct Draws {
    pub(crate) seed: u64,
    pub(crate) entity: u64,
}

impl Draws {
    /// A number from `low` to `high`, both included.
    pub(crate) fn number(&self, what: &str, low: u64, high: u64) -> u64 {
        self.nth(what, 0, low, high)
    }

    pub(crate) fn nth(&self, what: &str, n: u64, low: u64, high: u64) -> u64 {
        draw_between(draw(self.seed, &format!("swarm {what}"), self.entity, n), low, high)
    }

    /// True with a probability of 1 in `of`.
    pub(crate) fn one_in(&self, what: &str, of: u64) -> bool {
        self.number(what, 1, of) == 1
    }

    pub(crate) fn pick<T: Clone>(&self, what: &str, from: &[T]) -> Option<T> {
        let at = self.number(what, 0, (from.len() as u64).saturating_sub(1));
        from.get(at as usize).cloned()
    }

    pub(crate) fn one_of<T: Copy, const N: usize>(&self, what: &str, from: [T; N]) -> T {
        const { assert!(N > 0, "nothing to draw from") };
        from[self.number(what, 0, N as u64 - 1) as usize]
    }

    /// The smaller of two draws, so short durations are more likely. Rounded down to whole milliseconds or
    /// microseconds, so that it reads well.
    pub(crate) fn duration(&self, what: &str, (low, high): (Duration, Duration)) -> Duration {
        let nanos = |duration: Duration| flowquake_engine::time::nanos(duration);
        let drawn = self.nth(what, 0, nanos(low), nanos(high)).min(self.nth(what, 1, nanos(low), nanos(high)));
        let unit = match drawn {
            10_000_000.. => 1_000_000,
            10_000.. => 1_000,
            _ => 1,
        };
        Duration::from_nanos(drawn - drawn % unit).max(low)
    }

    pub(crate) fn millis(&self, what: &str, low: u64, high: u64) -> Duration {
        self.duration(what, (Duration::from_millis(low), Duration::from_millis(high)))
    }
}
