//! Compares what was predicted before the run with what the run measured.
//!
//! Start at [`compare`]; the [`Prediction`] itself is a part of the record. If a whole is off,
//! [`PredictionRow::off_in`] names the terms that cause it: predicted and measured parts follow the same path, so they
//! can be compared one by one.

use crate::capacity;
use crate::record::prediction::{PredictedRecovery, Prediction, Subject};
use crate::record::{CheckpointRecord, RecoveryRecord, RunRecord};
use crate::timing::trigger_gaps_ns;
use crate::units::{self, Unit};

/// One predicted quantity beside the measured one.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionRow {
    /// The predicted quantity, with its symbol.
    pub what: &'static str,
    /// Unit of the numbers.
    pub unit: Unit,
    /// Predicted.
    pub predicted: u64,
    /// The measured value; for several (checkpoints, gaps) the median, or the lower of the two middle ones.
    pub measured: u64,
    /// How many values were measured.
    pub count: usize,
    /// The terms of both, which sum to them; empty if there is only one term.
    pub terms: Vec<Term>,
}

/// One term of a predicted whole beside the measured one, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its name.
    pub name: &'static str,
    /// Predicted.
    pub predicted_ns: u64,
    /// Measured for the checkpoint or recovery that the row's whole belongs to.
    pub measured_ns: u64,
}

impl Term {
    /// Measured less predicted.
    pub fn difference_ns(&self) -> i64 {
        let exact = i128::from(self.measured_ns) - i128::from(self.predicted_ns);
        exact.clamp(i128::from(-i64::MAX), i128::from(i64::MAX)) as i64
    }
}

/// Most terms that [`PredictionRow::off_in`] names.
const TERMS_MAX: usize = 3;

impl PredictionRow {
    /// `(measured − predicted)/measured`. Zero if both are zero; `None` if only the measured value is zero.
    pub fn residual(&self) -> Option<f64> {
        match (self.measured, self.predicted) {
            (0, 0) => Some(0.0),
            (0, _) => None,
            (measured, predicted) => Some((measured as f64 - predicted as f64) / measured as f64),
        }
    }

    /// The terms in which prediction and measurement differ by at least a hundredth of the whole, the largest first:
    /// `async +13.2 ms, sync −850 µs`.
    pub fn off_in(&self) -> String {
        let least = (self.measured / 100).max(1);
        let mut terms: Vec<&Term> =
            self.terms.iter().filter(|term| term.difference_ns().unsigned_abs() >= least).collect();
        terms.sort_by_key(|term| std::cmp::Reverse(term.difference_ns().unsigned_abs()));
        let text = |term: &&Term| format!("{} {}", term.name, units::difference(term.difference_ns()));
        terms.iter().take(TERMS_MAX).map(text).collect::<Vec<_>>().join(", ")
    }
}

/// Everything that was both predicted and measured: state, checkpoint, period, and for the fault: age, outage,
/// capacity, recovery.
pub fn compare(run: &RunRecord) -> Vec<PredictionRow> {
    let Some(prediction) = &run.prediction else { return Vec::new() };
    let recovery = prediction.recovery.as_ref();
    let of = |fault: u32| run.recoveries.iter().find(|one| one.fault == Some(fault) && !one.is_stall());
    let measured = recovery.and_then(|predicted| of(predicted.fault));
    let within = |subject| prediction.disowned(subject).is_none();
    let mut rows = Vec::new();
    if within(Subject::Checkpoint) {
        let mut checkpoints =
            predicted_checkpoints(run, prediction.state_at_ns.or(recovery.map(|recovery| recovery.failed_at_ns)));
        let sizes = checkpoints.iter().map(|checkpoint| checkpoint.state_bytes).collect();
        rows.extend(plain("state S", Unit::Bytes, prediction.state_bytes, sizes));
        checkpoints.sort_by_key(|checkpoint| checkpoint.duration_ns());
        rows.extend(duration(&checkpoints, prediction));
        let costs = checkpoints.iter().filter_map(|checkpoint| checkpoint.lost_work_ns()).collect();
        rows.extend(plain("lost work c", Unit::Nanoseconds, prediction.cost_ns, costs));
        rows.extend(plain("trigger period T", Unit::Nanoseconds, prediction.period_ns, trigger_gaps_ns(run)));
    }
    if let (Some(predicted), Some(measured), true) = (recovery, measured, within(Subject::Recovery)) {
        let age = vec![measured.snapshot_age_ns];
        rows.extend(plain("snapshot age A", Unit::Nanoseconds, Some(predicted.snapshot_age_ns), age));
        let loaded = measured.restored_checkpoint.map(|_| measured.restored_bytes).into_iter().collect();
        rows.extend(plain("state loaded", Unit::Bytes, predicted.restored_bytes, loaded));
        rows.extend(outage(predicted, measured));
        if !within(Subject::CatchingUp) {
            return rows;
        }
        let whole = |rate: f64| rate as u64;
        let capacity = capacity::measured(run, measured).map(whole).into_iter().collect();
        let what = "capacity, catching up";
        rows.extend(plain(what, Unit::RecordsPerSecond, predicted.effective_capacity.map(whole), capacity));
        rows.extend(total(predicted, measured));
    }
    rows
}

/// How many checkpoints are compared with a prediction. The prediction is about the state at one time, so they are the
/// last ones before that time; this many span the distance from one compaction of RocksDB to the next.
pub const CHECKPOINTS_MAX: usize = 4;

/// The completed periodic checkpoints that a prediction is about; all of them if the prediction has no time.
fn predicted_checkpoints(run: &RunRecord, state_at_ns: Option<u64>) -> Vec<&CheckpointRecord> {
    let periodic = run.checkpoints.iter().filter(|one| one.kind == "periodic" && one.duration_ns().is_some());
    let Some(state_at) = state_at_ns else { return periodic.collect() };
    let mut before: Vec<&CheckpointRecord> = periodic.filter(|one| one.triggered_at_ns < state_at).collect();
    before.sort_by_key(|one| one.triggered_at_ns);
    before.split_off(before.len().saturating_sub(CHECKPOINTS_MAX))
}

/// A row without terms; `None` if a value is missing.
fn plain(what: &'static str, unit: Unit, predicted: Option<u64>, mut measured: Vec<u64>) -> Option<PredictionRow> {
    measured.sort_unstable();
    let middle = *measured.get(measured.len().saturating_sub(1) / 2)?;
    Some(PredictionRow { what, unit, predicted: predicted?, measured: middle, count: measured.len(), terms: vec![] })
}

/// The median checkpoint with its parts. `checkpoints` are sorted by duration.
fn duration(checkpoints: &[&CheckpointRecord], prediction: &Prediction) -> Option<PredictionRow> {
    let predicted = prediction.duration?;
    let middle = checkpoints.get(checkpoints.len().saturating_sub(1) / 2)?;
    Some(PredictionRow {
        what: "checkpoint duration d",
        unit: Unit::Nanoseconds,
        predicted: predicted.total_ns(),
        measured: middle.duration_ns()?,
        count: checkpoints.len(),
        terms: middle.parts.map_or_else(Vec::new, |measured| terms(&predicted.named(), &measured.named())),
    })
}

fn outage(predicted: &PredictedRecovery, measured: &RecoveryRecord) -> Option<PredictionRow> {
    Some(PredictionRow {
        what: "outage D",
        unit: Unit::Nanoseconds,
        predicted: predicted.parts.total_ns(),
        measured: measured.outage_ns()?,
        count: 1,
        terms: terms(&predicted.parts.named(), &measured.parts?.named()),
    })
}

fn total(predicted: &PredictedRecovery, measured: &RecoveryRecord) -> Option<PredictionRow> {
    let (total_ns, outage_ns) = (predicted.total_ns?, predicted.parts.total_ns());
    let of_prediction = [("outage", outage_ns), ("catching up", total_ns.saturating_sub(outage_ns))];
    let of_measurement = [("outage", measured.outage_ns()?), ("catching up", measured.catch_up_ns()?)];
    Some(PredictionRow {
        what: "recovery R",
        unit: Unit::Nanoseconds,
        predicted: total_ns,
        measured: measured.total_ns()?,
        count: 1,
        terms: terms(&of_prediction, &of_measurement),
    })
}

fn terms(predicted: &[(&'static str, u64)], measured: &[(&'static str, u64)]) -> Vec<Term> {
    let pairs = predicted.iter().zip(measured);
    pairs.map(|(&(name, predicted_ns), &(_, measured_ns))| Term { name, predicted_ns, measured_ns }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::record::prediction::OutOfDomain;

    fn named<'r>(rows: &'r [PredictionRow], what: &str) -> &'r PredictionRow {
        rows.iter().find(|row| row.what == what).expect("predicted and measured")
    }

    #[test]
    fn wholes_are_held_against_wholes_and_terms_against_terms() {
        let run = fixtures::predicted();
        let rows = compare(&run);
        let outage = named(&rows, "outage D");
        assert_eq!((outage.predicted, outage.measured), (3_350_000_000, 3_450_400_000));
        assert_eq!(outage.off_in(), "restore +90 ms");
        assert!(named(&rows, "checkpoint duration d").residual().unwrap() < 0.03);
        assert_eq!(named(&rows, "recovery R").off_in(), "outage +100 ms");
        assert_eq!(named(&rows, "capacity, catching up").unit, Unit::RecordsPerSecond);
        assert_eq!(named(&rows, "state S").off_in(), "", "a size has no terms");
    }

    #[test]
    fn what_is_outside_of_the_domain_is_not_compared_and_is_told() {
        let compared = |subjects: &[Subject]| {
            let mut run = fixtures::predicted();
            let one = OutOfDomain { subjects: subjects.into(), why: "the load is 97 %".into() };
            run.prediction.as_mut().unwrap().out_of_domain = vec![one];
            let text = crate::terminal::details(&run, crate::ansi::Color::No);
            assert!(text.contains("Outside of the predictions, and not compared") && text.contains("the load is 97 %"));
            let set = crate::record::RunSet { runs: vec![run.clone()], ..fixtures::set() };
            assert!(crate::html::report(&set).contains("the load is 97 %"));
            compare(&run).iter().map(|row| row.what).collect::<Vec<_>>()
        };
        let checkpoint = ["state S", "checkpoint duration d", "lost work c", "trigger period T"];
        let outage = ["snapshot age A", "state loaded", "outage D"];
        let late = ["capacity, catching up", "recovery R"];
        assert_eq!(compared(&[Subject::Checkpoint]), [outage.as_slice(), &late].concat());
        assert_eq!(compared(&[Subject::Recovery]), checkpoint);
        assert_eq!(compared(&[Subject::CatchingUp]), [checkpoint.as_slice(), &outage].concat());
        assert_eq!(compared(&[Subject::Checkpoint, Subject::Recovery]), [""; 0]);
    }

    #[test]
    fn only_the_last_checkpoints_before_the_predicted_state_are_compared() {
        let mut run = fixtures::predicted();
        assert_eq!(named(&compare(&run), "state S").count, 3, "checkpoint 4 was given up");
        run.prediction.as_mut().unwrap().state_at_ns = Some(u64::MAX);
        assert_eq!(named(&compare(&run), "state S").count, CHECKPOINTS_MAX);
        run.prediction.as_mut().unwrap().state_at_ns = Some(0);
        assert!(compare(&run).iter().all(|row| row.what != "state S"));
    }

    #[test]
    fn what_was_not_measured_is_not_compared() {
        let mut run = fixtures::predicted();
        run.recoveries.clear();
        let rows = compare(&run);
        assert_eq!(rows.last().map(|row| row.what), Some("trigger period T"));
        run.prediction = None;
        assert_eq!(compare(&run), []);
    }

    proptest! {
        #[test]
        fn any_run_can_be_compared(run in fixtures::any_run()) {
            let run = RunRecord { prediction: fixtures::predicted().prediction, ..run };
            for row in compare(&run) {
                prop_assert!(row.residual().is_none_or(f64::is_finite));
                row.off_in();
            }
        }
    }
}
