//! Decides what happens when a process of a run ends: it is restarted, or the run ends because the process never
//! becomes useful. Pure.
//!
//! A process that was killed is always restarted, because a kill says nothing about the process. A process that ended
//! by itself before it was of use (exit, abort, segmentation fault, or it could not be started at all) is restarted
//! after growing pauses, and only a limited number of times in a row. Failures of the job itself are not counted here;
//! the engine's restart strategy handles those.
//!
//! Invariant: (LV1) a run ends here only after [`IN_VAIN_MAX`] lives of one process in a row ended by themselves
//! without being of use ([`START_MAX`] until the cluster has been complete once).

use std::collections::BTreeMap;
use std::time::Duration;

/// How many lives in a row may be of no use before the run ends.
pub(super) const IN_VAIN_MAX: u32 = 20;
/// The same while no JobManager has ever led. What has never worked will probably not work later, and the user is
/// waiting.
pub(super) const START_MAX: u32 = 3;
/// A process that has lived this long counts as having been of use, whatever it reported.
const OF_USE_AFTER: Duration = Duration::from_secs(60);
/// The longest pause between two lives, unless the restart delay itself is longer.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The lives of all processes of a run.
pub(super) struct Lives {
    delay: Duration,
    by_name: BTreeMap<String, Life>,
}

#[derive(Default)]
struct Life {
    number: u32,
    of_use: bool,
    in_vain: u32,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By a signal from outside.
    Killed,
    /// By itself.
    ByItself,
}

/// What to do after a life has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Start it again after this pause.
    StartAgain(Duration),
    /// End the run, because this many lives in a row were of no use.
    GiveUp(u32),
}

impl Lives {
    /// `delay` is the pause before a killed process is restarted.
    pub(super) fn new(delay: Duration) -> Self {
        Self { delay, by_name: BTreeMap::new() }
    }

    /// Begins a life, and returns its number, from 1.
    pub(super) fn begin(&mut self, name: &str) -> u32 {
        let life = self.by_name.entry(name.to_owned()).or_default();
        life.number += 1;
        life.of_use = false;
        life.number
    }

    /// Notes that a life is of use: a JobManager leads, or a TaskManager is registered.
    pub(super) fn is_of_use(&mut self, name: &str) {
        if let Some(life) = self.by_name.get_mut(name) {
            life.of_use = true;
        }
    }

    /// Notes that a life has ended after `lasted`. `is_up`: whether the cluster has been complete once.
    pub(super) fn end(&mut self, name: &str, ending: Ending, lasted: Duration, is_up: bool) -> Next {
        let life = self.by_name.entry(name.to_owned()).or_default();
        if life.of_use || lasted >= OF_USE_AFTER {
            life.in_vain = 0;
        }
        if ending == Ending::Killed || life.of_use {
            return Next::StartAgain(self.delay);
        }
        life.in_vain += 1;
        if life.in_vain >= if is_up { IN_VAIN_MAX } else { START_MAX } {
            return Next::GiveUp(life.in_vain);
        }
        let grown = self.delay.saturating_mul(1 << (life.in_vain - 1).min(16));
        Next::StartAgain(grown.min(PAUSE_MAX.max(self.delay)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);
    const DELAY: Duration = Duration::from_secs(1);

    #[test]
    fn a_process_that_is_killed_is_always_started_again() {
        let mut lives = Lives::new(DELAY);
        for number in 1..=1_000 {
            assert_eq!(lives.begin("tm-1"), number);
            let is_up = number % 2 == 0;
            assert_eq!(lives.end("tm-1", Ending::Killed, SHORT, is_up), Next::StartAgain(DELAY), "LV1");
        }
    }

    #[test]
    fn a_process_that_never_gets_anywhere_ends_the_run() {
        let mut lives = Lives::new(DELAY);
        let mut end = |name: &str, is_up| {
            lives.begin(name);
            lives.end(name, Ending::ByItself, SHORT, is_up)
        };
        assert_eq!(end("jm-1", false), Next::StartAgain(DELAY));
        assert_eq!(end("jm-1", false), Next::StartAgain(DELAY * 2));
        assert_eq!(end("jm-1", false), Next::GiveUp(START_MAX), "nobody ever led");
        let pauses: Vec<_> = (1..IN_VAIN_MAX).map(|_| end("tm-1", true)).collect();
        assert_eq!(pauses[3..7], [8, 16, 30, 30].map(|seconds| Next::StartAgain(DELAY * seconds)));
        assert_eq!(end("tm-1", true), Next::GiveUp(IN_VAIN_MAX), "LV1");
    }

    #[test]
    fn lives_of_use_and_lives_cut_short_from_outside_do_not_count() {
        let mut lives = Lives::new(DELAY);
        for number in 0..200 {
            lives.begin("jm-1");
            let lasted = if number % 10 == 9 { OF_USE_AFTER } else { SHORT };
            if number % 10 == 4 {
                lives.is_of_use("jm-1");
            }
            let next = lives.end("jm-1", Ending::ByItself, lasted, true);
            assert!(matches!(next, Next::StartAgain(_)), "LV1: life {number}");
        }
    }
}
