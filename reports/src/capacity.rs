//! The capacity of a job, measured in a recovery: how fast the backlog drained.
//!
//! Start at [`measured`]. While a job catches up, its sources emit as fast as everything downstream can process, with
//! checkpoints on, so this is the μ_eff of the formulas. Records that wait in buffers when the sources have caught up
//! count as drained. If buffers can hold the whole backlog, nothing is learned about the capacity, and none is given.

use crate::record::{RecoveryRecord, RunRecord};

/// A shorter time to catch up only shows the depth of buffers and the latency of a few messages.
const SHORTEST_NS: u64 = 1_000_000_000;

/// `λ(A + R)/(R − D)`, records per second: the records since the restored snapshot and those that arrived until the
/// sources had caught up, divided by the time that catching up took.
///
/// `None` where the input has no rate, the job began anew, it did not catch up, it caught up only with the end of its
/// input, or it caught up within a second.
pub fn measured(run: &RunRecord, recovery: &RecoveryRecord) -> Option<f64> {
    let rate = run.settings.input_rate;
    recovery.restored_checkpoint?;
    let (total, catch_up) = (recovery.total_ns()?, recovery.catch_up_ns()?);
    let attempt = run.course.attempts.iter().find(|attempt| attempt.attempt == recovery.attempt);
    let ends = attempt.into_iter().flat_map(|attempt| &attempt.subtasks).filter_map(|subtask| subtask.end_of_input_ns);
    let ended = ends.min().is_some_and(|end| Some(end) <= recovery.caught_up_at_ns);
    let backlog = rate * (recovery.snapshot_age_ns as f64 + total as f64);
    let capacity = backlog / catch_up as f64;
    (catch_up >= SHORTEST_NS && !ended && capacity.is_finite() && capacity > 0.0).then_some(capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::record::{AttemptRecord, SubtaskRecord};

    #[test]
    fn the_backlog_over_the_time_that_it_took() {
        let mut run = fixtures::passed();
        // 2,000/s, from 1.5 s before the failure until 5.11 s after it, were processed in 1.6596 s.
        let capacity = measured(&run, &run.recoveries[0]).unwrap();
        assert!((capacity - 2_000.0 * 6.61 / 1.659_6).abs() < 1e-6, "{capacity}");
        let subtask = SubtaskRecord { end_of_input_ns: Some(9_000_000_000), ..SubtaskRecord::default() };
        let attempt = run.recoveries[0].attempt;
        run.course.attempts = vec![AttemptRecord { attempt, subtasks: vec![subtask], ..AttemptRecord::default() }];
        assert_eq!(measured(&run, &run.recoveries[0]), None, "the end of the input made it short");
        run.course.attempts.clear();
        run.recoveries[0].restored_checkpoint = None;
        assert_eq!(measured(&run, &run.recoveries[0]), None);
        run.recoveries[0].restored_checkpoint = Some(3);
        run.settings.input_rate = 0.0;
        assert_eq!(measured(&run, &run.recoveries[0]), None);
    }
}
