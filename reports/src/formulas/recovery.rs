//! How long an outage lasts, and how long the output stays late after it.
//!
//! Start at [`outage`]; then [`catch_up`] for the backlog and [`total`] for both. [`article_recovery`] is the rule of
//! thumb in common use. It contains only one of the six parts of an outage. The checkpoint duration, which it also
//! contains, is not a part of the outage, because the checkpoint in flight is aborted; its real influence is the age of
//! the restored snapshot.
//!
//! Never quote a recovery time without the load ρ = λ/μ: all recovery times diverge as ρ goes to 1.

use super::{OutsideDomain, finite, not_negative, positive};
use crate::record::RecoveryParts;

/// The planning rule, as text for tables.
pub const ARTICLE_RECOVERY: &str = "d + state load";
/// The parts of an outage, as text for tables.
pub const OUTAGE: &str = "detect + max(backoff, cancel) + slots + deploy + restore + init";

/// `recovery = checkpoint duration + state load time`: outage as the planning rule states it.
///
/// Nanoseconds; saturates. On Apache Flink 2.2.1 it gave 0.15 to 0.79 of the measured time to the first record.
/// Source: the planning rule of Flink tuning articles.
pub fn article_recovery(checkpoint_duration_ns: u64, state_load_ns: u64) -> u64 {
    checkpoint_duration_ns.saturating_add(state_load_ns)
}

/// `D = detect + max(backoff, cancel) + slots + deploy + restore + init`: from the fault until every source and keyed
/// vertex processes records again, in an attempt that goes on to complete a checkpoint. This is the outage of one
/// failure and one recovery from it; attempts that were superseded before, and time in which nothing happened, are
/// added.
///
/// Nanoseconds; saturates. This is an identity, not a prediction: the parts are those that were measured, and this is
/// their sum. Cancellation and backoff begin together, hence the maximum, which `parts` already contains. Source: the
/// order of events in Flink's `DefaultScheduler`.
pub fn outage(parts: &RecoveryParts) -> u64 {
    parts.total_ns()
}

/// `λ(A + D)/(μ − λ)`: how long the backlog takes to drain after an outage.
///
/// `rate` is λ ≥ 0 and `capacity` μ > λ, both in records per second; `snapshot_age` is A ≥ 0 (trigger of the restored
/// checkpoint to the failure) and `outage` D ≥ 0, both in seconds; result in seconds. What was processed since the trigger
/// is processed again, what arrived during the outage waits, and the spare capacity μ − λ works both off.
/// Source: derived; median error 5 to 8 % on the recovery times published with Khaos (Geldenhuys et al. 2022).
pub fn catch_up(rate: f64, capacity: f64, snapshot_age: f64, outage: f64) -> Result<f64, OutsideDomain> {
    let (rate, capacity) = (not_negative("λ", rate)?, positive("μ", capacity)?);
    let (age, outage) = (not_negative("A", snapshot_age)?, not_negative("D", outage)?);
    if rate >= capacity {
        return Err(OutsideDomain::Overloaded { rate, capacity });
    }
    finite(rate * (age + outage) / (capacity - rate))
}

/// `R = (D·μ + λ·A)/(μ − λ)`: failure until the output is no longer late, outage and catch-up together.
///
/// Symbols, units, domain and source as in [`catch_up`].
pub fn total(rate: f64, capacity: f64, snapshot_age: f64, outage: f64) -> Result<f64, OutsideDomain> {
    finite(outage + catch_up(rate, capacity, snapshot_age, outage)?)
}

/// `μ_eff(T) = μ(1 − c/T)`: capacity left when every T seconds a checkpoint costs c seconds of work.
///
/// `capacity` is μ and `rate` λ < μ in records per second, `cost` is c ≥ 0 and `period` T in seconds; result in records per
/// second. Domain T > c/(1 − ρ) with ρ = λ/μ: below it the job falls behind even without failures, so no recovery time
/// exists. Source: derived, overhead c/T as in Young 1974.
pub fn capacity_with_checkpoints(capacity: f64, rate: f64, cost: f64, period: f64) -> Result<f64, OutsideDomain> {
    let (capacity, rate) = (positive("μ", capacity)?, not_negative("λ", rate)?);
    let (cost, period) = (not_negative("c", cost)?, positive("T", period)?);
    if rate >= capacity {
        return Err(OutsideDomain::Overloaded { rate, capacity });
    }
    let limit = cost / (1.0 - rate / capacity);
    if period <= limit {
        return Err(OutsideDomain::IntervalTooShort { interval_s: period, limit_s: limit });
    }
    finite(capacity * (1.0 - cost / period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outage_is_the_sum_of_its_parts() {
        let parts = RecoveryParts {
            detect_ns: 1,
            backoff_or_cancel_ns: 20,
            slots_ns: 300,
            deploy_ns: 4_000,
            restore_ns: 50_000,
            init_ns: 600_000,
            ..RecoveryParts::default()
        };
        assert_eq!(outage(&parts), 654_321);
        assert_eq!(article_recovery(1_000, parts.restore_ns), 51_000);
    }

    #[test]
    fn catch_up_by_hand() {
        // 1,000/s arrive for 10 + 5 s; the spare capacity is 500/s.
        assert_eq!(catch_up(1_000.0, 1_500.0, 10.0, 5.0), Ok(30.0));
        assert_eq!(total(1_000.0, 1_500.0, 10.0, 5.0), Ok(35.0));
        assert_eq!((5.0 * 1_500.0 + 1_000.0 * 10.0) / 500.0, 35.0);
    }

    #[test]
    fn an_idle_job_has_nothing_to_catch_up() {
        assert_eq!(total(0.0, 100.0, 60.0, 5.0), Ok(5.0));
    }

    #[test]
    fn a_saturated_job_never_catches_up() {
        assert_eq!(catch_up(100.0, 100.0, 1.0, 1.0), Err(OutsideDomain::Overloaded { rate: 100.0, capacity: 100.0 }));
    }

    #[test]
    fn checkpoints_lower_capacity() {
        assert_eq!(capacity_with_checkpoints(1_000.0, 500.0, 1.0, 10.0), Ok(900.0));
        // c/(1 − ρ) = 2 s: at exactly that interval there is no spare capacity.
        assert_eq!(
            capacity_with_checkpoints(1_000.0, 500.0, 1.0, 2.0),
            Err(OutsideDomain::IntervalTooShort { interval_s: 2.0, limit_s: 2.0 })
        );
    }
}
