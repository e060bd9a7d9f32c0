//! Choosing the checkpoint interval: runs over many intervals, state sizes, loads and backends, each with failures at
//! chosen phases of the period.
//!
//! ```text
//! scenario + [tune] ─► Grid of Settings ─► RunPlan each (plan.rs) ─► run ─► Point (point.rs) ─► TuningSet ─► reports
//!                                                                     └► journal.rs, so that a stopped sweep goes on
//! ```
//! Start at [`Tune`], what the scenario asks for, and [`Tune::grid`]. Hours of high load and gigabytes of state are
//! simulated with few records and little state that *stand for* many ([`flowquake_engine::env::sim::Weights`]); the
//! reports say so.
//!
//! Invariant: (TUNE-T1) a plan depends on scenario, setting and seed alone, so a sweep that goes on later gives the
//! same points.

use std::time::Duration;

use flowquake_engine::config::BackendKind;

use crate::plan::KillMode;

pub mod journal;
pub mod plan;
pub mod point;

/// What `[tune]` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Tune {
    /// Checkpoint intervals, ascending.
    pub intervals: Vec<Duration>,
    /// Sizes of the keyed state in bytes, as the heap backends would write it; `None`: the job's own size.
    pub states: Vec<Option<u64>>,
    /// Backends. Those that are not in this build are left out, which is reported.
    pub backends: Vec<BackendKind>,
    /// Loads ρ = λ/μ, between 0 and 1.
    pub loads: Vec<f64>,
    /// Mean times between failures for which the analysis is made.
    pub failures_every: Vec<Duration>,
    /// Failures in each run, spread over the phases of the period.
    pub failures: u32,
    /// How a TaskManager fails.
    pub fault: KillMode,
    /// The TaskManager comes back after this long.
    pub restart_after: Duration,
    /// Virtual time of each run. If it is too short for all failures, fewer are injected.
    pub duration: Duration,
    /// Simulated records per second; each stands for as many as the load needs.
    pub moving: f64,
    /// How many seconds of late output are as bad as a second of lost work.
    pub lateness_weight: f64,
}

/// One run of the sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// State backend.
    pub backend: BackendKind,
    /// Size of the keyed state in bytes; `None`: the job's own size.
    pub state: Option<u64>,
    /// Load ρ.
    pub load: f64,
    /// Checkpoint interval.
    pub interval: Duration,
}

impl Tune {
    /// Every run, curve by curve: backend, state, load, and within each curve all intervals. Backends that are not in
    /// this build are left out.
    pub fn grid(&self) -> Vec<Setting> {
        let mut grid = Vec::new();
        for backend in self.backends.iter().copied().filter(|backend| backend.is_built()) {
            for state in &self.states {
                for load in &self.loads {
                    grid.extend(self.intervals.iter().map(|interval| Setting {
                        backend,
                        state: *state,
                        load: *load,
                        interval: *interval,
                    }));
                }
            }
        }
        grid
    }

    /// The same sweep in more detail: twice the intervals, twice the failures, five times the records.
    pub fn thorough(&self) -> Self {
        let mut intervals = Vec::new();
        for pair in self.intervals.windows(2) {
            // The middle in logarithms.
            let middle = libm::sqrt(pair[0].as_secs_f64() * pair[1].as_secs_f64());
            intervals.extend([pair[0], Duration::from_millis((middle * 1e3) as u64)]);
        }
        intervals.extend(self.intervals.last());
        // Between two neighbours a millisecond apart there is no middle in whole milliseconds.
        intervals.sort();
        intervals.dedup();
        Self { intervals, failures: self.failures * 2, moving: self.moving * 5.0, ..self.clone() }
    }
}

/// Intervals that are evenly spaced on a logarithmic scale, in whole milliseconds.
pub fn spread(from: Duration, to: Duration, points: u32) -> Vec<Duration> {
    let (low, high) = (from.as_secs_f64(), to.as_secs_f64());
    let step = |n: u32| low * libm::pow(high / low, f64::from(n) / f64::from(points.max(2) - 1));
    let mut all: Vec<Duration> =
        (0..points.max(2)).map(|n| Duration::from_millis(libm::round(step(n) * 1e3) as u64)).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
