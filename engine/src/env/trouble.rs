//! Back-off while the environment fails: a port that is still taken, a store that answers with errors, no file
//! descriptor left.
//!
//! Such failures count as transient until they last too long, so one failure never ends a job. The code that meets one
//! keeps a [`Trouble`] for as long as it lasts. [`Trouble::wait`] logs the first error, pauses longer each time, and
//! gives up when the pauses add up to [`GIVE_UP_AFTER`]. [`Trouble::over`] logs that it works again.
//!
//! Invariants: (TR1) of one trouble only the first error and the end are logged; (TR2) no pause is longer than
//! [`PAUSE_MAX`]; (TR3) the pauses of one trouble sum to at most [`GIVE_UP_AFTER`]. Pauses are summed instead of
//! reading a clock, so that neither a clock that jumps nor a process that was stopped makes the engine give up early.
//! Planted bugs: `pauses-without-bound` (TR2), `never-gives-up` (TR3). Decision: docs/adr/0030.

use std::fmt;
use std::time::Duration;

use super::Env;
#[cfg(feature = "mutations")]
use super::planted;

/// Longest total pause before a trouble is given up: as long as a checkpoint may take by default.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// The longest pause between two tries.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pauses double up to this length. Beyond it they are an eighth of the time waited so far, so that waiting in steps
/// makes no trouble longer by more than an eighth.
const PAUSE_DOUBLED_MAX: Duration = Duration::from_millis(500);

/// Something in the environment failed for [`GIVE_UP_AFTER`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} failed for {} without a break: {cause}", humantime::format_duration(*waited))]
pub struct GaveUp {
    /// What was being tried.
    pub what: &'static str,
    /// The last error.
    pub cause: String,
    /// The sum of all pauses, in whole seconds.
    pub waited: Duration,
}

/// Longest pause, and longest sum of pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) pause_max: Duration,
    pub(super) give_up_after: Duration,
}

const BOUNDS: Bounds = Bounds { pause_max: PAUSE_MAX, give_up_after: GIVE_UP_AFTER };

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TryAgain {
    after: Duration,
    /// Whether the error is logged, because it is the first (TR1).
    tell: bool,
}

/// Consecutive failures of one thing.
#[derive(Debug, Clone)]
pub struct Trouble {
    what: &'static str,
    first: Duration,
    doubled: Duration,
    waited: Duration,
    failures: u64,
}

impl Trouble {
    /// No trouble with `what` yet; the first pause will be `first`.
    pub fn new(what: &'static str, first: Duration) -> Self {
        Self { what, first, doubled: first, waited: Duration::ZERO, failures: 0 }
    }

    /// Counts one more failure. Returns what follows, or `None` if it is time to give up.
    fn failed(&mut self, bounds: Bounds) -> Option<TryAgain> {
        let tell = self.failures == 0;
        self.failures += 1;
        let pause = self.doubled.min(PAUSE_DOUBLED_MAX.max(self.waited / 8)).min(bounds.pause_max);
        if self.waited + pause > bounds.give_up_after {
            return None;
        }
        self.doubled = self.doubled.saturating_mul(2);
        self.waited += pause;
        assert!(pause <= PAUSE_MAX, "TR2: {} waits {pause:?} at once", self.what);
        assert!(self.waited <= GIVE_UP_AFTER, "TR3: {} waited {:?}", self.what, self.waited);
        Some(TryAgain { after: pause, tell })
    }

    /// Pauses after a failure; an error if it is time to give up.
    pub async fn wait(&mut self, env: &Env, cause: impl fmt::Display) -> Result<(), GaveUp> {
        let bounds = BOUNDS;
        #[cfg(feature = "mutations")]
        let bounds = planted::bounds(env, bounds);
        let Some(again) = self.failed(bounds) else {
            let waited = Duration::from_secs(self.waited.as_secs());
            return Err(GaveUp { what: self.what, cause: cause.to_string(), waited });
        };
        if again.tell {
            env.warn(format_args!("{}: {cause}; trying again", self.what));
        }
        env.sleep(again.after).await;
        Ok(())
    }

    /// It worked this time. Logs that if it had failed before.
    pub fn over(&mut self, env: &Env) {
        if self.failures > 0 {
            env.warn(format_args!("{} works again after {} failures", self.what, self.failures));
            *self = Self::new(self.what, self.first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(first: Duration) -> Vec<Duration> {
        let mut trouble = Trouble::new("the store", first);
        std::iter::from_fn(|| Some(trouble.failed(BOUNDS)?.after)).collect()
    }

    #[test]
    fn only_the_first_error_of_a_trouble_is_told() {
        let mut trouble = Trouble::new("the store", Duration::from_millis(20));
        let told: Vec<bool> = std::iter::from_fn(|| Some(trouble.failed(BOUNDS)?.tell)).collect();
        assert!(told.len() > 100 && told[0] && !told[1..].contains(&true), "TR1: {told:?}");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end() {
        for first in [20, 50, 500, 60_000].map(Duration::from_millis) {
            let pauses = pauses(first);
            let total: Duration = pauses.iter().sum();
            assert!(pauses.is_sorted(), "{first:?}");
            assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX), "TR2: {first:?}");
            assert!(total <= GIVE_UP_AFTER && total + PAUSE_MAX > GIVE_UP_AFTER, "TR3: {first:?}: {total:?}");
            assert!(pauses.len() < 250, "{first:?}: {} tries", pauses.len());
        }
        let start: Vec<_> = pauses(Duration::from_millis(20)).iter().take(7).map(Duration::as_millis).collect();
        assert_eq!(start, [20, 40, 80, 160, 320, 500, 500]);
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_trouble_that_ends_begins_anew_the_next_time() {
        crate::env::sim::testing::on_one_node(|_, env| async move {
            let mut trouble = Trouble::new("the store", Duration::from_millis(20));
            let mut worst = Ok(());
            while worst.is_ok() {
                worst = trouble.wait(&env, "no space left").await;
            }
            let told = worst.unwrap_err().to_string();
            assert!(told.starts_with("the store failed for 9m 5") && told.ends_with("no space left"), "{told}");
            trouble.over(&env);
            let began = env.now();
            assert_eq!(trouble.wait(&env, "no space left").await, Ok(()));
            let took = env.now() - began;
            assert!(took >= Duration::from_millis(20) && took < Duration::from_millis(21), "{took:?}");
        });
    }
}
