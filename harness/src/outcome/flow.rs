//! Samples of what was in progress during a run: a few hundred, however long the run is.
//!
//! Start at [`FlowLog::is_due`]. The world is asked at events, never by a timer, so sampling does not change the run.
//! Time is cut into equal steps, and for each step the sample with the largest backlog is kept. When there are too many
//! samples, steps become twice as long, so neither memory nor time grows with the run.

use flowquake_engine::time::Time;

/// If there are more samples than this, they are merged in pairs.
const SAMPLES_MAX: usize = 200;
/// The first length of a step, in nanoseconds.
const STEP_FIRST: u64 = 1_000_000;
/// How often the world is asked within a step at most.
const LOOKS: u64 = 4;

/// What was in progress at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// When.
    pub at: Time,
    /// For each node, in the order in which nodes were added: bytes of records sent to the node and not read by it.
    pub waiting: Vec<u64>,
    /// Records that the sinks had made visible.
    pub committed: u64,
}

impl Flow {
    fn waiting_total(&self) -> u64 {
        self.waiting.iter().sum()
    }

    /// Merges a later sample of the same step into this one: the larger backlog and the newer sum are kept.
    fn merge(&mut self, later: Flow) {
        let committed = self.committed.max(later.committed);
        if later.waiting_total() > self.waiting_total() {
            *self = later;
        }
        self.committed = committed;
    }
}

/// Samples of a run.
#[derive(Debug)]
pub(crate) struct FlowLog {
    samples: Vec<Flow>,
    /// Length of a step, in nanoseconds.
    step: u64,
    /// When the world is asked next.
    next_look: Time,
}

impl Default for FlowLog {
    fn default() -> Self {
        Self { samples: Vec::new(), step: STEP_FIRST, next_look: Time::ZERO }
    }
}

impl FlowLog {
    /// Whether the world should be asked now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        now >= self.next_look
    }

    /// Adds a sample.
    pub(crate) fn add(&mut self, sample: Flow) {
        self.next_look = Time(sample.at.0.saturating_add(self.step / LOOKS));
        let step = self.step;
        match self.samples.last_mut().filter(|last| last.at.0 / step == sample.at.0 / step) {
            Some(last) => last.merge(sample),
            None => self.samples.push(sample),
        }
        while self.samples.len() > SAMPLES_MAX {
            self.step *= 2;
            for sample in std::mem::take(&mut self.samples) {
                match self.samples.last_mut().filter(|last| last.at.0 / self.step == sample.at.0 / self.step) {
                    Some(last) => last.merge(sample),
                    None => self.samples.push(sample),
                }
            }
        }
    }

    /// The samples, without those that equal both their neighbours.
    pub(crate) fn take(&mut self) -> Vec<Flow> {
        let samples = std::mem::take(self).samples;
        let same = |a: &Flow, b: &Flow| a.waiting == b.waiting && a.committed == b.committed;
        let kept = |i: usize| {
            i == 0
                || i + 1 == samples.len()
                || !same(&samples[i - 1], &samples[i])
                || !same(&samples[i], &samples[i + 1])
        };
        let kept: Vec<bool> = (0..samples.len()).map(kept).collect();
        samples.into_iter().zip(kept).filter_map(|(sample, kept)| kept.then_some(sample)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, waiting: u64, committed: u64) -> Flow {
        Flow { at: Time(at), waiting: vec![waiting], committed }
    }

    #[test]
    fn a_long_run_has_few_samples_and_keeps_its_peak_and_its_sum() {
        let mut log = FlowLog::default();
        let mut asked = 0;
        for at in (0..10_000_000_000).step_by(300_000) {
            if log.is_due(Time(at)) {
                asked += 1;
                log.add(sample(at, if asked == 77 { 1_000 } else { at % 7 }, at / 1_000_000));
            }
        }
        let samples = log.take();
        assert!((SAMPLES_MAX / 2..=SAMPLES_MAX).contains(&samples.len()), "{}", samples.len());
        assert!(asked < 20 * SAMPLES_MAX, "the world was asked {asked} times");
        assert_eq!(samples.iter().map(|sample| sample.waiting[0]).max(), Some(1_000));
        assert!(samples.is_sorted_by_key(|sample| (sample.at, sample.committed)));
        assert!(samples.last().unwrap().committed > 9_900);
    }

    #[test]
    fn a_stretch_without_change_has_its_ends_only() {
        let mut log = FlowLog::default();
        for step in 0..50 {
            log.add(sample(step * STEP_FIRST, 5 * u64::from(step == 30), 0));
        }
        let kept: Vec<u64> = log.take().iter().map(|sample| sample.at.0 / STEP_FIRST).collect();
        assert_eq!(kept, [0, 29, 30, 31, 49]);
    }
}
