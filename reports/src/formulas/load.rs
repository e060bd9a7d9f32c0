//! The interval that loses least under load, where catching up competes with the input, and checkpoints compete with
//! both.
//!
//! Start at [`expected_cost`], what an interval costs per second, and [`optimum`], which minimises that numerically.
//! [`closed_form`] is the approximation for cheap checkpoints. All use seconds and records per second; ρ = λ/μ.

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
    /// Weight w: how many seconds of late output are as bad as one second of lost work.
    pub weight: f64,
}

impl Load {
    /// The shortest period at which the job keeps up, `c/(1 − ρ)`, in seconds. The period must be longer than this.
    ///
    /// Domain λ < μ. Source: derived; at this period, μ(1 − c/T) equals λ.
    pub fn shortest_period(&self) -> Result<f64, OutsideDomain> {
        let (rate, capacity) = (not_negative("λ", self.rate)?, positive("μ", self.capacity)?);
        if rate >= capacity {
            return Err(OutsideDomain::Overloaded { rate, capacity });
        }
        finite(not_negative("c", self.cost)? / (1.0 - rate / capacity))
    }
}

/// `A = T/2 + d`: mean age of the snapshot that is restored after a failure at a random time; seconds.
///
/// T > 0 and d ≥ 0 in seconds. The newest completed checkpoint was triggered between d and T + d ago. Source: derived;
/// checked by Monte-Carlo simulation.
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

/// `φ·R(T)` with φ = 1/M: share of the time in which the output is late; the availability is 1 minus this.
///
/// At most 1: above that, the job fails again before it has caught up. Domain T > c/(1 − ρ). Source: Saxena et al. 2024
/// for availability as the objective; first order in φ.
pub fn unavailability(period: f64, load: &Load) -> Result<f64, OutsideDomain> {
    Ok((expected_recovery(period, load)? / positive("M", load.mtbf)?).min(1.0))
}

/// `c/T + w·R(T)/M`: what an interval costs per second, in seconds of work.
///
/// Without load no input waits, and the output is late only during the outage: R is D whatever the interval, so the
/// cost always falls with T. What a batch job loses, the work since its checkpoint, is not part of this cost; use
/// Young's formula for it. Domain T > c/(1 − ρ), and R(T) < M: a job that fails again before it has caught up never
/// catches up. Source: this project's design §10.
pub fn expected_cost(period: f64, load: &Load) -> Result<f64, OutsideDomain> {
    let (recovery, mtbf) = (expected_recovery(period, load)?, positive("M", load.mtbf)?);
    if recovery >= mtbf {
        return Err(OutsideDomain::NeverCaughtUp { recovery_s: recovery, mtbf_s: mtbf });
    }
    finite(load.cost / period + not_negative("w", load.weight)? * recovery / mtbf)
}

/// The period T that minimises [`expected_cost`], seconds: the root of its derivative, by bisection over ln(T − s).
///
/// With s = c/(1 − ρ) the derivative is `−c/T² + w/(M(1 − ρ))·(ρ/2 − ρ·s·(D + d + s/2)/(T − s)²)`, which grows from −∞
/// to a positive limit, so there is one root. Domain: 0 < λ < μ, c > 0, w > 0, and R(T) < M at the root. Without load
/// there is no optimum. Source: this project's design §10; checked against the numerical minimum.
pub fn optimum(load: &Load) -> Result<f64, OutsideDomain> {
    let (cost, mtbf, weight) = (positive("c", load.cost)?, positive("M", load.mtbf)?, positive("w", load.weight)?);
    let shortest = load.shortest_period()?;
    let rho = some_load(load)? / load.capacity;
    let late = not_negative("D", load.outage)? + not_negative("d", load.duration)?;
    // Both sides are multiplied by M(1 − ρ)/w, to avoid dividing by a value that may be tiny.
    let price = cost * mtbf * (1.0 - rho) / weight;
    let falls = |log_spare: f64| {
        let spare = exp(log_spare);
        let period = shortest + spare;
        price / (period * period) + rho * shortest * (late + shortest / 2.0) / (spare * spare) > rho / 2.0
    };
    // The search begins where both terms on the left are extremely large, and ends where each is below a quarter of ρ.
    let most = (2.0 * sqrt(price / rho)).max(2.0 * sqrt(shortest * (late + shortest / 2.0)));
    let (mut low, mut high) = (log(finite(most)?) - 60.0, log(most) + 1.0);
    // 61 halved 70 times is less than a digit of a double.
    for _ in 0..70 {
        let middle = (low + high) / 2.0;
        if falls(middle) { low = middle } else { high = middle }
    }
    let period = finite(shortest + exp((low + high) / 2.0))?;
    expected_cost(period, load).map(|_| period)
}

/// `T = √(2c·(M(1 − ρ)/(wρ) + (D + d)/(1 − ρ)))`: approximates [`optimum`] where checkpoints hardly lower the capacity;
/// seconds.
///
/// It uses the first two terms of the derivative in c/T. The second term is by how much checkpoints prolong recoveries;
/// without it the interval would be a third of the best at ρ = 0.95, D = 60 s and M = 1 h. Holds only for T ≫ c/(1 −
/// ρ). Below ten times that value it returns an error, because there it gives intervals at which the job never catches
/// up. Needs λ > 0. Source: derived.
pub fn closed_form(load: &Load) -> Result<f64, OutsideDomain> {
    let (cost, mtbf, weight) = (positive("c", load.cost)?, positive("M", load.mtbf)?, positive("w", load.weight)?);
    let shortest = load.shortest_period()?;
    let rho = some_load(load)? / load.capacity;
    let late = not_negative("D", load.outage)? + not_negative("d", load.duration)?;
    let period = finite(sqrt(2.0 * cost * (mtbf * (1.0 - rho) / (weight * rho) + late / (1.0 - rho))))?;
    if period < 10.0 * shortest {
        return Err(OutsideDomain::BelowApproximation { interval_s: period, limit_s: 10.0 * shortest });
    }
    expected_cost(period, load).map(|_| period)
}

/// The input rate, without which there is no best interval.
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
    fn the_closed_form_says_where_it_does_not_hold() {
        let hard = load(0.5, 21_600.0, 0.95, 40.0);
        let best = optimum(&hard).unwrap();
        assert!((best - 50.51).abs() < 0.01, "{best}");
        let message = closed_form(&hard).unwrap_err().to_string();
        assert_eq!(message, "the approximation holds from 100 s (ten times c/(1 − ρ)) on; it says 44.12 s");
    }

    #[test]
    fn the_closed_form_knows_that_checkpoints_make_recoveries_longer() {
        // The best values were found elsewhere by ternary search over the cost; at high load, and with outages that
        // matter.
        for (cost, mtbf, duration, outage, rho, best) in [
            (0.001, 3_600.0, 10.0, 60.0, 0.95, 1.801),
            (0.005, 3_600.0, 2.0, 40.0, 0.9, 2.890),
            (0.01, 21_600.0, 10.0, 60.0, 0.9, 7.898),
        ] {
            let load = Load { duration, ..load(cost, mtbf, rho, outage) };
            assert!((optimum(&load).unwrap() / best - 1.0).abs() < 2e-4, "{:?}", optimum(&load));
            assert!((closed_form(&load).unwrap() / best - 1.0).abs() < 0.02, "{:?}", closed_form(&load));
        }
    }

    #[test]
    fn a_job_that_fails_again_before_it_has_caught_up_has_no_interval() {
        let hopeless = load(0.5, 600.0, 0.95, 40.0);
        for outside in [optimum(&hopeless), expected_cost(100.0, &hopeless)] {
            assert!(matches!(outside, Err(OutsideDomain::NeverCaughtUp { mtbf_s: 600.0, .. })), "{outside:?}");
        }
        let message = optimum(&load(1.0, 60.0, 0.9, 40.0)).unwrap_err().to_string();
        assert!(message.ends_with("failures come every 60 s: the job never catches up"), "{message}");
    }

    #[test]
    fn the_optimum_has_every_digit_and_no_bounds() {
        // A golden-section search over the cost cannot decide this: the cost is flat, but its slope is not.
        let best = optimum(&load(1e-5, 31_536_000.0, 0.95, 3_600.0)).unwrap();
        let slope = |by: f64| expected_cost(best * by, &load(1e-5, 31_536_000.0, 0.95, 3_600.0)).unwrap();
        assert!((slope(1.01) - slope(1.0 / 1.01)).abs() < 1e-9 * slope(1.0));
        let tiny = Load { weight: 1e-10, ..load(1e-9, 31_536_000.0, 1e-10, 0.0) };
        assert!((optimum(&tiny).unwrap() / closed_form(&tiny).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn at_half_load_and_cheap_checkpoints_it_is_youngs_interval() {
        let easy = load(0.5, 3_600.0, 0.5, 10.0);
        let (best, closed) = (optimum(&easy).unwrap(), closed_form(&easy).unwrap());
        assert!((closed - 60.17).abs() < 0.01, "{closed}");
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
            let Ok(best) = optimum(&load) else {
                // Allowed only if no interval lets the job catch up, or if the cheapest interval does not.
                let never = matches!(optimum(&load), Err(OutsideDomain::NeverCaughtUp { .. }));
                prop_assert!(never);
                return Ok(());
            };
            let cost = |period| expected_cost(period, &load).unwrap_or(f64::INFINITY);
            prop_assert!(cost(best) <= cost(best * by) * (1.0 + 1e-9));
            prop_assert!(cost(best) <= cost(best / by) * (1.0 + 1e-9));
        }
    }
}
