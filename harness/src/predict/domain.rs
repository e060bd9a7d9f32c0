//! Where the model does not hold: plans for which some of the predicted numbers would be wrong, and why.
//!
//! The numbers are kept, because even rough ones help to plan a run, but the run is not judged by those that are named
//! here. Each condition is a step that the model leaves out. They were found by comparing predictions with runs over
//! backends, sizes of values, weights and loads.

use std::collections::BTreeSet;

use flowquake_engine::config::BackendKind;
use flowquake_engine::state::CACHE_BYTES;
use flowquake_engine::time::nanos;
use flowquake_reports::prediction::CHECKPOINTS_MAX;
use flowquake_reports::record::prediction::{OutOfDomain, Subject};
use flowquake_reports::units;

use super::Known;
use super::recovery::{Recovered, Struck};
use crate::faults::kind;
use crate::plan::FaultAction;

/// Above this share of the capacity that checkpoints leave, an error of one percent in a price becomes an error of ten
/// percent in the time to catch up, and barriers wait in queues that the model does not contain.
const LOAD_MAX: f64 = 0.9;

/// Error of a checkpoint's duration, as a share of it: nine in ten predictions are closer.
pub(super) const DURATION_ERROR: f64 = 0.19;

/// If the state grows by more than this factor over the checkpoints that a prediction is compared with, they are not
/// the checkpoints that the prediction is about.
const GROWTH_MAX: f64 = 1.25;

/// What is known after everything was predicted.
pub(super) struct Predicted<'a> {
    /// Duration of the longest checkpoint at the state of the prediction.
    pub(super) longest_ns: u64,
    pub(super) period_ns: u64,
    /// The time for which the size of the state is predicted.
    pub(super) state_at_ns: u64,
    /// Capacity of the whole cluster with checkpoints; `None`: it does not keep up.
    pub(super) effective_capacity: Option<f64>,
    pub(super) recovery: Option<(&'a Struck, &'a Recovered)>,
    /// Time from the failure until caught up.
    pub(super) total_ns: Option<u64>,
}

/// Everything that is outside of the domain, the most telling first.
pub(super) fn outside(known: &Known, predicted: &Predicted<'_>) -> Vec<OutOfDomain> {
    let config = &known.plan.job.config.checkpoints;
    let (interval, pause) = (nanos(config.interval), nanos(config.min_pause));
    let backend = known.plan.job.config.backend;
    let mut outside = Vec::new();
    let mut add = |subjects: &[Subject], why: String| outside.push(OutOfDomain { subjects: subjects.into(), why });
    let (duration, period) = (predicted.longest_ns, predicted.period_ns);
    let both = [Subject::Checkpoint, Subject::Recovery];
    let faults = known.plan.faults.iter().filter(|fault| !matches!(fault.action, FaultAction::Kill { .. }));
    let kinds: BTreeSet<&str> = faults.map(|fault| kind(&fault.action)).collect();
    if !kinds.is_empty() {
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        add(
            &both,
            format!("of faults, the model knows only the death of a node, and these may change checkpoints: {kinds}"),
        );
    }
    if duration >= nanos(config.timeout) {
        let (duration, timeout) = (units::duration(duration), units::duration(nanos(config.timeout)));
        add(&both, format!("a checkpoint would take {duration}, and is given up after {timeout}"));
    }
    let at_most = (duration as f64 * (1.0 + DURATION_ERROR)) as u64;
    if at_most.saturating_add(pause) > interval.max(pause) {
        // With RocksDB, every checkpoint has another duration, and so every period differs.
        let subjects: &[Subject] = if backend == BackendKind::RocksDb { &both } else { &[Subject::Recovery] };
        let (duration, interval) = (units::duration(duration), units::duration(interval.max(pause)));
        let why = format!(
            "the longest checkpoint takes about {duration}, and the interval is {interval}: each error in it moves all triggers \
             after it, and which checkpoint is restored is not known"
        );
        add(subjects, why);
    }
    let span = period.saturating_mul(CHECKPOINTS_MAX as u64);
    let (now, before) = (known.state(predicted.state_at_ns), known.state(predicted.state_at_ns.saturating_sub(span)));
    if now.bytes > GROWTH_MAX * before.bytes {
        let (now, before) = (units::bytes(now.bytes as u64), units::bytes(before.bytes as u64));
        let why =
            format!("the state grows from {before} to {now} over {CHECKPOINTS_MAX} checkpoints: no two are alike");
        add(&[Subject::Checkpoint], why);
    }
    if let Some(rate) = known.rate() {
        let load = predicted.effective_capacity.map_or(f64::INFINITY, |capacity| rate / capacity);
        if load > LOAD_MAX {
            let share = match load.is_finite() {
                true => format!("{:.0} % of what the cluster bears with checkpoints", load * 100.0),
                false => "more than the cluster bears with checkpoints".into(),
            };
            add(&both, format!("the load is {share}: above {:.0} % queues decide", LOAD_MAX * 100.0));
        }
    }
    if backend == BackendKind::RocksDb {
        let share = known.shares.iter().copied().fold(0.0, f64::max);
        let written = known.written_unweighted(predicted.state_at_ns, period).bytes * share;
        if written > CACHE_BYTES as f64 {
            let why = format!(
                "a subtask writes {} between two checkpoints, more than the {} that RocksDB's cache holds: so it writes more tables",
                units::bytes(written as u64),
                units::bytes(CACHE_BYTES as u64)
            );
            add(&both, why);
        }
    }
    let Some((struck, recovered)) = predicted.recovery else { return outside };
    if recovered.is_close {
        let why =
            "the fault strikes while a checkpoint is about to be complete: milliseconds decide which one is restored";
        add(&[Subject::Recovery], why.into());
    }
    if let (Some(records), Some(rate), Some(total)) = (known.records(), known.plan.job.input.rate, predicted.total_ns) {
        let input_ns = records / rate * 1e9;
        if struck.at_ns.saturating_add(total) as f64 > input_ns {
            let why = format!(
                "the job would have caught up at {}, but its input ends at {}, which makes it sooner",
                units::duration(struck.at_ns.saturating_add(total)),
                units::duration(input_ns as u64)
            );
            add(&[Subject::CatchingUp], why);
        }
    }
    outside
}
