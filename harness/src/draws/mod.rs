//! What the draws of a swarm are made of: named numbers, what one seed's draws look at, and whom a fault may strike.
//!
//! Start at [`Draws`]; `scene` holds what a swarm asks for and what its settings are by now, `action` what the action of a kind
//! of fault is drawn from. The kinds, which say how they are drawn, stand above, and the swarm that puts a plan together above
//! them. Every draw is named (SWARM-W4).

use std::time::Duration;

use flowquake_engine::env::{draw, draw_between};

mod action;
mod scene;

pub(crate) use action::{ANYBODY, Action, LEADING, LINKED, Role, TASKS};
pub use action::{Drawn, Need};
pub use scene::Swarm;
pub(crate) use scene::{Scene, stream};

/// The draws of one entity: the run as a whole (0) or the fault of that number.
pub(crate) struct Draws {
    pub(crate) seed: u64,
    pub(crate) entity: u64,
}

impl Draws {
    /// From `low` to `high`, both included.
    pub(crate) fn number(&self, what: &str, low: u64, high: u64) -> u64 {
        self.nth(what, 0, low, high)
    }

    pub(crate) fn nth(&self, what: &str, n: u64, low: u64, high: u64) -> u64 {
        draw_between(draw(self.seed, &format!("swarm {what}"), self.entity, n), low, high)
    }

    /// True for one in `of`.
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

    /// Short ones are likelier: the lesser of two draws. Rounded down to whole milli- or microseconds, for its readers.
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
