//! The interval that loses least under load: catching up competes with the input, and checkpoints compete with both.
//!
//! Start at [`expected_cost`], what an interval costs per second, and [`optimum`], which minimises it numerically;
//! [`closed_form`] is the approximation for cheap checkpoints. All are in seconds and records per second; ρ = λ/μ.

use libm::{exp, log, sqrt};

use super::recovery::{capacity_with_checkpoints, total};
use super::{OutsideDomain, finite, not_negative, positive};

/// What the cost of an interval depends on, besides the interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Work lost per checkpoint, c, seconds.
    pub cost: f64,
    /// Trigger to completion, d, seconds.
    pub duration: f64,
    /// Outage after a failure, D, seconds.
    pub outage: f64,
    /// Input rate λ, records per second.
    pub rate: f64,
    /// Capacity μ without checkpoints, records per second.
    pub capacity: f64,
    /// Mean time between failures M, seconds.
    pub mtbf: f64,
    /// Seconds of late output that are as bad as a second of lost work, w.
    pub weight: f64,
}

impl Load {
    /// The shortest period under which the job keeps up, `c/(1 − ρ)`, which it must exceed; seconds.
    pub fn shortest_period(&self) -> Result<f64, OutsideDomain> {
        let (rate, capacity) = (not_negative("λ", self.rate)?, positive("μ", self.capacity)?);
        if rate >= capacity {
            return Err(OutsideDomain::Overloaded { rate, capacity });
        }
        finite(not_negative("c", self.cost)? / (1.0 - rate / capacity))
    }
}

/// `A = T/2 + d`: mean age of the snapshot that a failure at a random time goes back to; seconds.
///
/// T > 0 and d ≥ 0 in seconds. The newest completed checkpoint was triggered between d and T + d ago. Source: derived; checked
/// by Monte-Carlo simulation.
pub fn mean_snapshot_age(period: f64, duration: f64) -> Result<f64, OutsideDomain> {
    finite(positive("T", period)? / 2.0 + not_negative("d", duration)?)
}

/// `A = T + d`: the greatest age. Symbols, units and source as in [`mean_snapshot_age`].
pub fn worst_snapshot_age(period: f64, duration: f64) -> Result<f64, OutsideDomain> {
    finite(positive("T", period)? + not_negative("d", duration)?)
}

/// `R(T) = (D·μ_eff + λ·A)/(μ_eff − λ)` with `μ_eff = μ(1 − c/T)`, `A = T/2 + d`: mean time from a failure until the output is no
/// longer late; seconds.
///
/// Domain T > c/(1 − ρ). Source: this project's design §10.
pub fn expected_recovery(period: f64, load: &Load) -> Result<f64, OutsideDomain> {
    let effective = capacity_with_checkpoints(load.capacity, load.rate, load.cost, period)?;
    total(load.rate, effective, mean_snapshot_age(period, load.duration)?, load.outage)
}

/// `φ·R(T)` with φ = 1/M: share of the time in which the output is late; 1 less this is the availability.
///
/// At most 1: beyond it the job never catches up before it fails again. Source: Saxena et al. 2024 for availability as the
/// objective; first order in φ.
pub fn unavailability(period: f64, load: &Load) -> Result<f64, OutsideDomain> {
    Ok((expected_recovery(period, load)? / positive("M", load.mtbf)?).min(1.0))
}

/// `c/T + w·R(T)/M`: what an interval costs per second, in seconds of work.
///
/// Without load nothing waits and nothing is late but the outage: R is D whatever the interval, and the cost falls with
/// T for ever. What a batch job loses, the work since its checkpoint, is no part of it; that is Young's. Domain as in
/// [`expected_recovery`].
pub fn expected_cost(period: f64, load: &Load) -> Result<f64, OutsideDomain> {
    let late = expected_recovery(period, load)? / positive("M", load.mtbf)?;
    finite(load.cost / period + not_negative("w", load.weight)? * late)
}

/// The period T that minimises [`expected_cost`], by golden-section search over ln T; seconds.
///
/// The cost is convex in T above c/(1 − ρ): a sum of c/T, of terms 1/(T − c/(1 − ρ)), and of one linear in T. Domain:
/// 0 < λ < μ, c > 0, w > 0; without load there is no optimum. Source: this project's design §10; the search is Kiefer
/// 1953.
pub fn optimum(load: &Load) -> Result<f64, OutsideDomain> {
    positive("c", load.cost)?;
    positive("w", load.weight)?;
    positive("M", load.mtbf)?;
    let shortest = load.shortest_period()?;
    some_load(load)?;
    let cost = |log_period: f64| expected_cost(exp(log_period), load).unwrap_or(f64::INFINITY);
    let (mut low, mut high) = (log(shortest) + 1e-9, log(shortest.max(1e-6)) + 30.0);
    let golden = (sqrt(5.0) - 1.0) / 2.0;
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut cost_a, mut cost_b) = (cost(a), cost(b));
    // 30 shrinks below 1e-12 in 65 steps.
    for _ in 0..80 {
        if cost_a <= cost_b {
            (high, b, cost_b) = (b, a, cost_a);
            a = high - golden * (high - low);
            cost_a = cost(a);
        } else {
            (low, a, cost_a) = (a, b, cost_b);
            b = low + golden * (high - low);
            cost_b = cost(b);
        }
    }
    finite(exp((low + high) / 2.0))
}

/// `T = √(2·c·M·(1 − ρ)/(w·ρ))`: [`optimum`] where checkpoints hardly lower the capacity; seconds.
///
/// Holds only for T ≫ c/(1 − ρ); below ten times that it says so, since it names intervals there under which the job never
/// catches up (c = 0.5 s, M = 600 s, ρ = 0.95: 5.6 s, where the optimum is 41 s). Needs λ > 0. Source: derived.
pub fn closed_form(load: &Load) -> Result<f64, OutsideDomain> {
    let (cost, mtbf, weight) = (positive("c", load.cost)?, positive("M", load.mtbf)?, positive("w", load.weight)?);
    let shortest = load.shortest_period()?;
    let rho = some_load(load)? / load.capacity;
    let period = finite(sqrt(2.0 * cost * mtbf * (1.0 - rho) / (weight * rho)))?;
    if period < 10.0 * shortest {
        return Err(OutsideDomain::BelowApproximation { interval_s: period, limit_s: 10.0 * shortest });
    }
    Ok(period)
}

/// The input rate, which sets a bound to the interval.
fn some_load(load: &Load) -> Result<f64, OutsideDomain> {
    if load.rate > 0.0 { Ok(load.rate) } else { Err(OutsideDomain::NoLoad) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(cost: f64, mtbf: f64, rho: f64, outage: f64) -> Load {
        Load { cost, duration: cost, outage, rate: rho * 1000.0, capacity: 1000.0, mtbf, weight: 1.0 }
    }

    #[test]
    fn the_example_in_which_the_closed_form_fails() {
        let hard = load(0.5, 600.0, 0.95, 40.0);
        let best = optimum(&hard).unwrap();
        assert!((best - 41.0).abs() < 1.0, "{best}");
        let message = closed_form(&hard).unwrap_err().to_string();
        assert_eq!(message, "the approximation holds from 100 s (ten times c/(1 − ρ)) on; it says 5.62 s");
    }

    #[test]
    fn at_half_load_and_cheap_checkpoints_it_is_youngs_interval() {
        let easy = load(0.5, 3_600.0, 0.5, 10.0);
        let (best, closed) = (optimum(&easy).unwrap(), closed_form(&easy).unwrap());
        assert!((closed - 60.0).abs() < 0.01, "{closed}");
        assert!((best - 60.4).abs() < 0.5, "{best}");
    }

    #[test]
    fn an_overloaded_job_has_no_interval() {
        assert!(matches!(optimum(&load(0.5, 600.0, 1.0, 10.0)), Err(OutsideDomain::Overloaded { .. })));
        assert!(matches!(
            expected_cost(0.9, &load(0.5, 600.0, 0.5, 10.0)),
            Err(OutsideDomain::IntervalTooShort { .. })
        ));
    }

    #[test]
    fn without_load_a_longer_interval_is_always_cheaper() {
        let idle = load(0.5, 600.0, 0.0, 10.0);
        assert!(expected_cost(1e6, &idle).unwrap() < expected_cost(1e5, &idle).unwrap());
        assert_eq!((optimum(&idle), closed_form(&idle)), (Err(OutsideDomain::NoLoad), Err(OutsideDomain::NoLoad)));
        assert!(OutsideDomain::NoLoad.to_string().starts_with("there must be load"));
        assert!(matches!(optimum(&load(0.5, 600.0, -0.1, 10.0)), Err(OutsideDomain::Negative { symbol: "λ", .. })));
    }

    #[test]
    fn ages_by_hand() {
        assert_eq!(mean_snapshot_age(10.0, 2.0), Ok(7.0));
        assert_eq!(worst_snapshot_age(10.0, 2.0), Ok(12.0));
        assert_eq!(unavailability(1e9, &load(0.5, 600.0, 0.5, 10.0)), Ok(1.0));
    }

    proptest! {
        #[test]
        fn nothing_near_the_optimum_is_cheaper(
            cost in 0.01f64..2.0, mtbf in 100.0f64..1e6, rho in 0.05f64..0.97, outage in 0.1f64..100.0, by in 1.01f64..3.0,
        ) {
            let load = load(cost, mtbf, rho, outage);
            let best = optimum(&load).unwrap();
            let cost = |period| expected_cost(period, &load).unwrap_or(f64::INFINITY);
            prop_assert!(cost(best) <= cost(best * by) * (1.0 + 1e-9));
            prop_assert!(cost(best) <= cost(best / by) * (1.0 + 1e-9));
        }
    }
}
