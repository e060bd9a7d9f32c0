//! Measures whether the machine gave the run the processor time that its time-outs assume.
//!
//! A thread asks to be woken every few milliseconds, and records how much too late it was woken. The processes of the
//! run have to wait in the same way. If a heartbeat must come within 500 ms and every process waits for 200 of them, a
//! lost TaskManager says nothing about the engine. Start at [`Pulse::begin`]; [`Lateness`] is the pure part.
#![allow(clippy::disallowed_methods, reason = "it measures the real machine, in real time")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flowquake_reports::units;

use crate::plan::RunPlan;

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(5);
/// One in this many parts of a time-out may be lost to waiting.
const SHARE: u32 = 4;

/// The most time that was lost to waiting within any stretch of a given length.
#[derive(Debug)]
struct Lateness {
    stretch: Duration,
    /// Late beats of the last stretch: when, and how late. Beats in time are left out.
    late: VecDeque<(Duration, Duration)>,
    sum: Duration,
    worst: Duration,
}

impl Lateness {
    fn within(stretch: Duration) -> Self {
        Self { stretch, late: VecDeque::new(), sum: Duration::ZERO, worst: Duration::ZERO }
    }

    /// A beat came at `at`, and was late by `late`.
    fn beat(&mut self, at: Duration, late: Duration) {
        while let Some((_, gone)) = self.late.pop_front_if(|(then, _)| at.saturating_sub(*then) > self.stretch) {
            self.sum -= gone;
        }
        self.late.push_back((at, late));
        self.sum += late;
        self.worst = self.worst.max(self.sum);
    }
}

/// Beats while a run is in progress.
pub(crate) struct Pulse {
    over: Arc<AtomicBool>,
    beats: JoinHandle<Duration>,
    stretch: Duration,
}

impl Pulse {
    /// Begins to beat for a plan with these time-outs.
    pub(crate) fn begin(plan: &RunPlan) -> std::io::Result<Self> {
        let config = &plan.job.config;
        let stretch = config.heartbeat_timeout.min(config.lease).min(config.rpc_timeout);
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let beats = std::thread::Builder::new().name("pulse".into()).spawn(move || {
            let (begun, mut lateness) = (Instant::now(), Lateness::within(stretch));
            let mut asked = begun;
            while !ends.load(Ordering::Relaxed) {
                std::thread::sleep(BEAT);
                let now = Instant::now();
                lateness.beat(now - begun, (now - asked).saturating_sub(BEAT));
                asked = now;
            }
            lateness.worst
        })?;
        Ok(Self { over, beats, stretch })
    }

    /// Stops. Returns why results that depend on time prove nothing; `None`: they are valid.
    pub(crate) fn end(self) -> Option<String> {
        self.over.store(true, Ordering::Relaxed);
        let worst = self.beats.join().unwrap_or_default();
        let words = |time: Duration| units::duration(time.as_nanos() as u64);
        let (lost, of) = (words(worst), words(self.stretch));
        (worst > self.stretch / SHARE).then(|| {
            format!("the machine was too slow for the time-outs of the plan: {lost} of {of} were lost to waiting for a processor")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_summed_over_a_stretch_and_no_longer() {
        let ms = Duration::from_millis;
        let mut lateness = Lateness::within(ms(100));
        for (at, late) in [(10, 0), (50, 30), (140, 40), (151, 5), (400, 60)] {
            lateness.beat(ms(at), ms(late));
        }
        assert_eq!(lateness.worst, ms(70), "30 and 40 within 100 ms; the first is gone at 151");
    }
}
