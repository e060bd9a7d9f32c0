//! Which checkpoint interval loses least time: Young, Daly, and the exact optimum of the exponential failure model.
//!
//! Start at [`exact`]; the others approximate it. All take the cost c of a checkpoint (the work lost per checkpoint in
//! seconds, not the checkpoint's duration, because most of a checkpoint runs in parallel with the work) and the mean
//! time between failures M = 1/φ in seconds. Two conventions are in use: T is the period from trigger to trigger, and τ
//! = T − c is the work between two checkpoints.
//!
//! None of them includes the load: a job near its capacity pays for a long interval with a long time to catch up
//! ([`recovery::total`](super::recovery::total)).

use libm::{exp, log, sqrt};

use super::{OutsideDomain, finite, not_negative, positive};

/// Below this c/M the series for [`exact`] is more precise than W₀: the first term that is left out is 1e-11 of the
/// result.
const SERIES_BELOW: f64 = 1e-4;

/// `T = √(2·c·M)`: Young's period, in seconds.
///
/// c > 0 and M > 0 in seconds; domain c < 2M, because otherwise the period would be shorter than the checkpoint. Here T
/// is read as a period, as is usual; some read it as the work between two checkpoints, and the two differ by c. Source:
/// Young 1974, "A first order approximation to the optimum checkpoint interval".
pub fn young(cost: f64, mtbf: f64) -> Result<f64, OutsideDomain> {
    let (cost, mtbf) = (positive("c", cost)?, positive("M", mtbf)?);
    if cost >= 2.0 * mtbf {
        return Err(OutsideDomain::CostTooHigh { cost_s: cost, limit_s: 2.0 * mtbf });
    }
    finite(sqrt(2.0 * cost * mtbf))
}

/// `τ = √(2·c·(M + R)) − c`: Daly's first-order work between two checkpoints, in seconds.
///
/// c > 0, M > 0 and the restart time R ≥ 0 in seconds; domain c < 2(M + R), because otherwise τ would be negative. The
/// formula is quoted with and without its last term c, which is of the order of the terms that are left out. Source:
/// Daly 2006, "A higher order estimate of the optimum checkpoint interval for restart dumps".
pub fn daly_first_order(cost: f64, mtbf: f64, restart: f64) -> Result<f64, OutsideDomain> {
    let (cost, mtbf, restart) = (positive("c", cost)?, positive("M", mtbf)?, not_negative("R₀", restart)?);
    let limit = 2.0 * (mtbf + restart);
    if cost >= limit {
        return Err(OutsideDomain::CostTooHigh { cost_s: cost, limit_s: limit });
    }
    finite(sqrt(cost * limit) - cost)
}

/// `τ = √(2cM)·[1 + ⅓·√(c/2M) + ⅑·(c/2M)] − c` for c < 2M, else `τ = M`: Daly's higher-order work between two checkpoints.
///
/// c > 0 and M > 0 in seconds; result in seconds. Source: Daly 2006; the same in LLNL/scr.
pub fn daly_higher_order(cost: f64, mtbf: f64) -> Result<f64, OutsideDomain> {
    let (cost, mtbf) = (positive("c", cost)?, positive("M", mtbf)?);
    if cost >= 2.0 * mtbf {
        return Ok(mtbf);
    }
    let ratio = cost / (2.0 * mtbf);
    finite(sqrt(2.0 * cost * mtbf) * (1.0 + sqrt(ratio) / 3.0 + ratio / 9.0) - cost)
}

/// `T* = (1 + cφ + W₀(−e^(−cφ−1)))/φ`: the period that maximises useful work, in seconds.
///
/// c > 0 and M = 1/φ > 0 in seconds. Minimises the expected time per useful second, `(e^(φT) − 1)/(T − c)`; detection
/// and restart times multiply it by a constant and so do not move its minimum. For small c/M it goes to Young's period.
/// Source: Daly 2006, the model behind his estimate; Jayasekara et al. 2020 for stream processing.
pub fn exact(cost: f64, mtbf: f64) -> Result<f64, OutsideDomain> {
    let (cost, mtbf) = (positive("c", cost)?, positive("M", mtbf)?);
    let x = cost / mtbf;
    if x < SERIES_BELOW {
        // The series of 1 + x + W₀ around the branch point, in p = √(2x). There W₀ is nearly −1, and adding it directly
        // would cancel all digits.
        let p = sqrt(2.0 * x);
        return finite(mtbf * p * (1.0 + p * (1.0 / 6.0 + p * (1.0 / 36.0 + p / 270.0))));
    }
    // Never below −1/e for x ≥ 0 except by rounding, which `lambert_w0` treats as the branch point.
    let w = lambert_w0(-exp(-x - 1.0)).unwrap_or(-1.0);
    finite(mtbf * (1.0 + x + w))
}

/// Principal branch W₀ of the Lambert function, the `w ≥ −1` with `w·e^w = z`; `None` below −1/e and for non-finite `z`.
///
/// By Halley's iteration, which triples the correct digits at each step. Source: Corless et al. 1996, "On the Lambert W
/// function", section 4 for the starting values.
pub fn lambert_w0(z: f64) -> Option<f64> {
    const BRANCH_POINT: f64 = -1.0 / std::f64::consts::E;
    if !z.is_finite() || z < BRANCH_POINT - 1e-15 {
        return None;
    }
    let p_squared = 2.0 * (std::f64::consts::E * z + 1.0);
    if p_squared <= 0.0 {
        return Some(-1.0);
    }
    let mut w = if z < 0.25 {
        // Series around the branch point, in p = √(2(ez + 1)).
        let p = sqrt(p_squared);
        -1.0 + p - p * p / 3.0 + 11.0 / 72.0 * p * p * p
    } else if z < 3.0 {
        log(1.0 + z)
    } else {
        let l = log(z);
        l - log(l)
    };
    // Four steps reach the last bit from any start. The limit only protects against rounding that alternates forever.
    for _ in 0..12 {
        let e = exp(w);
        let f = w * e - z;
        let slope = e * (w + 1.0) - (w + 2.0) * f / (2.0 * w + 2.0);
        let step = f / slope;
        if !step.is_finite() {
            break;
        }
        w -= step;
        if step.abs() <= 1e-16 * (1.0 + w.abs()) {
            break;
        }
    }
    Some(w.max(-1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "got {got}, want {want}");
    }

    #[test]
    fn published_values_for_a_cost_of_30_s_and_a_failure_every_600_s() {
        close(young(30.0, 600.0).unwrap(), 189.74, 0.005);
        close(daly_first_order(30.0, 600.0, 0.0).unwrap(), 159.74, 0.005);
        close(daly_higher_order(30.0, 600.0).unwrap(), 170.26, 0.005);
        close(exact(30.0, 600.0).unwrap(), 200.29, 0.005);
    }

    #[test]
    fn restart_time_counts_as_time_between_failures_for_daly() {
        // √(2·30·(600 + 150)) − 30 = √45000 − 30.
        close(daly_first_order(30.0, 600.0, 150.0).unwrap(), 182.132, 0.0005);
    }

    #[test]
    fn the_exact_optimum_beats_its_neighbours() {
        let cost = |period: f64| (exp(period / 600.0) - 1.0) / (period - 30.0);
        let best = exact(30.0, 600.0).unwrap();
        for other in [best - 1.0, best - 0.01, best + 0.01, best + 1.0] {
            assert!(cost(best) < cost(other), "{other} s is cheaper than {best} s");
        }
    }

    #[test]
    fn the_exact_optimum_of_a_cheap_checkpoint_is_youngs() {
        for cost in [1e-300, 1e-12, 1e-9, 1e-6, 1e-3] {
            let p = sqrt(2.0 * cost / 86_400.0);
            let ratio = exact(cost, 86_400.0).unwrap() / young(cost, 86_400.0).unwrap();
            close(ratio, 1.0 + p / 6.0 + p * p / 36.0, 1e-9);
        }
    }

    #[test]
    fn series_and_branch_meet() {
        let mtbf = 1.0;
        let (below, above) = (exact(SERIES_BELOW * (1.0 - 1e-9), mtbf).unwrap(), exact(SERIES_BELOW, mtbf).unwrap());
        close(above / below, 1.0, 1e-9);
    }

    #[test]
    fn lambert_w0_at_known_points() {
        close(lambert_w0(0.0).unwrap(), 0.0, 1e-16);
        close(lambert_w0(std::f64::consts::E).unwrap(), 1.0, 1e-15);
        // The omega constant.
        close(lambert_w0(1.0).unwrap(), 0.567_143_290_409_783_8, 1e-15);
        close(lambert_w0(-1.0 / std::f64::consts::E).unwrap(), -1.0, 1e-7);
        close(lambert_w0(-0.2).unwrap(), -0.259_171_101_819_073_7, 1e-15);
        assert_eq!(lambert_w0(-0.4), None);
        assert_eq!(lambert_w0(f64::NAN), None);
    }

    #[test]
    fn a_cost_of_two_mtbf_leaves_the_approximations_but_not_the_exact_form() {
        assert_eq!(young(1_200.0, 600.0), Err(OutsideDomain::CostTooHigh { cost_s: 1_200.0, limit_s: 1_200.0 }));
        assert_eq!(daly_higher_order(1_200.0, 600.0), Ok(600.0));
        assert!(exact(1_200.0, 600.0).unwrap() > 1_200.0);
    }

    proptest! {
        #[test]
        fn lambert_w0_inverts(w in -0.999f64..300.0) {
            let z = w * exp(w);
            let got = lambert_w0(z).unwrap();
            prop_assert!((got - w).abs() <= 1e-9 * (1.0 + w.abs()), "W({z}) = {got}, not {w}");
        }

        /// Another implementation, which uses rational approximations, gives the same values.
        #[test]
        fn lambert_w0_agrees_with_another_implementation(share in 0.0f64..1.0, large in -3.0f64..300.0) {
            for z in [-share / std::f64::consts::E, libm::exp10(large)] {
                let (own, other) = (lambert_w0(z).unwrap(), lambert_w::lambert_w0(z));
                prop_assert!((own - other).abs() <= 1e-7 * (1.0 + other.abs()), "W({z}) = {own}, not {other}");
            }
        }

        /// The optimum solves y + e^(−y) − 1 = c/M for y = T/M, an equation without W.
        #[test]
        fn the_exact_optimum_solves_its_equation(cost in 1e-3f64..1e3, mtbf in 10.0f64..1e6) {
            let y = exact(cost, mtbf).unwrap() / mtbf;
            let x = cost / mtbf;
            prop_assert!((y + libm::expm1(-y) - x).abs() <= 1e-6 * x, "c/M = {x}, T/M = {y}");
        }
    }
}
