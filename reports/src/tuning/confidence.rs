//! How certain a best interval is: where it would be if other failures of the same kind had struck.
//!
//! Recoveries of a point differ by the age of the snapshot, which is known and not chance, and by the residual about `R
//! = (D·μₑ + λ·A)/(μₑ − λ)`. A point with one recovery shows no residual of its own. So the residuals of the whole
//! curve are pooled ([`Noise`]), and each resample draws from the pools. This is a residual bootstrap in two levels,
//! because the recoveries of a point come from one run and may all be off in the same direction: Efron 1979; Davison
//! and Hinkley 1997, section 3.8.
//!
//! Start at [`of`].

use libm::{exp, log, sqrt};

use super::cost_curve::CostCurve;
use super::{Curve, Recovered};
use crate::formulas::recovery::{capacity_with_checkpoints, total};
use crate::numbers::median;

/// Number of resamples of the bootstrap.
const RESAMPLES: u64 = 200;
/// With fewer recoveries on a curve, nothing is known about their spread …
const RECOVERIES_MIN: usize = 4;
/// … nor with fewer points, because the trend uses two degrees of freedom.
const POINTS_MIN: usize = 3;

/// 95 % of the resamples' best intervals lie between these, in seconds, with `best` among them. `None` if nothing can
/// be said: there are too few recoveries, or no resample has another best interval.
pub(super) fn of(curve: &Curve, mtbf: f64, weight: f64, best: f64) -> Option<(f64, f64)> {
    let noise = Noise::of(curve)?;
    let mut bests: Vec<f64> = (0..RESAMPLES)
        .filter_map(|n| {
            let resample = CostCurve::with(curve, mtbf, weight, |index, point| {
                let draw = |pool: &[f64], slot: usize| {
                    let random = splitmix(n << 32 | (index as u64) << 16 | slot as u64);
                    random.checked_rem(pool.len() as u64).map_or(1.0, |at| exp(pool[at as usize]))
                };
                let each = point.recoveries.iter().enumerate();
                let all = each.map(|(slot, one)| Some(one.total? * draw(&noise.within, slot + 2)));
                // The point's own deviation is replaced by a drawn one, so that the noise is not counted twice.
                let own = noise.own.get(index).map_or(1.0, |own| exp(-own));
                let recovery = super::mean(all)? * curve.sampling(point);
                Some((point.cost? * draw(&noise.cost, 0), recovery * own * draw(&noise.between, 1)))
            });
            Some(resample.lowest()?.0)
        })
        .collect();
    bests.sort_by(f64::total_cmp);
    let at = |share: f64| bests.get((share * bests.len().saturating_sub(1) as f64) as usize).copied();
    let (from, to) = (at(0.025)?.min(best), at(0.975)?.max(best));
    (to > from * (1.0 + 1e-9)).then_some((from, to))
}

/// How far the measurements of a curve are off. Each number is the logarithm of a ratio.
#[derive(Debug)]
struct Noise {
    /// For every point of the curve: the mean of its recoveries divided by what the formula expects, without the trend
    /// over the interval. Zero where the formula has no value.
    own: Vec<f64>,
    /// The same for points where the formula has a value, widened, because a fit is closer to its own points than the
    /// truth is.
    between: Vec<f64>,
    /// Recoveries relative to the mean of their point.
    within: Vec<f64>,
    /// Work lost per checkpoint, relative to the straight line between the neighbours. A bend of the true curve counts
    /// as noise.
    cost: Vec<f64>,
}

impl Noise {
    fn of(curve: &Curve) -> Option<Noise> {
        let passed = || curve.points.iter().filter(|point| point.passed());
        let outage = median(passed().flat_map(|point| &point.recoveries).map(|recovered| recovered.outage))?;
        let (mut places, mut means, mut within, mut costs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut recoveries = 0;
        for (index, point) in curve.points.iter().enumerate().filter(|(_, point)| point.passed()) {
            let (Some(period), Some(cost)) = (point.period, point.cost) else { continue };
            costs.push((log(period), log(cost)));
            let Ok(capacity) = capacity_with_checkpoints(curve.capacity, curve.rate, cost, period) else { continue };
            let ratio = |recovered: &Recovered| {
                let expected = total(curve.rate, capacity, recovered.age, outage).ok()?;
                Some(log(recovered.total? / expected)).filter(|ratio| ratio.is_finite())
            };
            let ratios: Vec<f64> = point.recoveries.iter().filter_map(ratio).collect();
            let n = ratios.len() as f64;
            let mean = ratios.iter().sum::<f64>() / n;
            if n > 0.0 && period > 0.0 {
                places.push(index);
                means.push((log(period), mean));
            }
            if n > 1.0 {
                within.extend(ratios.iter().map(|ratio| (ratio - mean) * sqrt(n / (n - 1.0))));
            }
            recoveries += ratios.len();
        }
        let enough = recoveries >= RECOVERIES_MIN && means.len() >= POINTS_MIN;
        enough.then(|| {
            let off = about_trend(&means);
            let wider = sqrt(off.len() as f64 / (off.len() as f64 - 2.0));
            let mut own = vec![0.0; curve.points.len()];
            for (place, off) in places.into_iter().zip(&off) {
                own[place] = *off;
            }
            let between = off.into_iter().map(|off| wider * off).collect();
            Noise { own, between, within, cost: about_neighbours(&mut costs) }
        })
    }
}

/// The rows relative to the straight line fitted to them.
fn about_trend(rows: &[(f64, f64)]) -> Vec<f64> {
    let n = rows.len() as f64;
    let (x, y) = rows.iter().fold((0.0, 0.0), |sum, row| (sum.0 + row.0 / n, sum.1 + row.1 / n));
    let (xx, xy) =
        rows.iter().fold((0.0, 0.0), |sum, row| (sum.0 + (row.0 - x) * (row.0 - x), sum.1 + (row.0 - x) * (row.1 - y)));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    rows.iter().map(|row| row.1 - y - slope * (row.0 - x)).collect()
}

/// The inner rows relative to the straight line between their neighbours, which are noisy themselves.
fn about_neighbours(rows: &mut [(f64, f64)]) -> Vec<f64> {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let off = rows.windows(3).map(|three| {
        let share = (three[1].0 - three[0].0) / (three[2].0 - three[0].0);
        let between = three[0].1 + share * (three[2].1 - three[0].1);
        (three[1].1 - between) / sqrt(1.0 + share * share + (1.0 - share) * (1.0 - share))
    });
    off.filter(|off| off.is_finite()).collect()
}

/// A mixing function. Source: Steele, Lea and Flood 2014.
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    /// The first curve with one recovery per point, alternately too high and too low by about this much.
    fn sparse(off: f64) -> Curve {
        let mut curve = fixtures::set().curves.remove(0);
        for (index, point) in curve.points.iter_mut().enumerate() {
            point.recoveries.drain(..2);
            point.recoveries.truncate(1);
            let sign = if index % 3 == 0 { 1.0 } else { -0.5 };
            point.recoveries[0].total = point.recoveries[0].total.map(|total| total * (1.0 + sign * off));
        }
        curve
    }

    #[test]
    fn a_curve_with_one_recovery_per_point_is_not_certain() {
        let width = |off: f64| {
            let curve = sparse(off);
            let best = CostCurve::of(&curve, 3_600.0, 1.0).lowest().unwrap().0;
            let (from, to) = of(&curve, 3_600.0, 1.0, best).unwrap();
            assert!(from <= best && best <= to);
            to / from
        };
        assert!(width(0.01) > 1.02, "{}", width(0.01));
        assert!(width(0.1) > width(0.01), "{} and {}", width(0.1), width(0.01));
    }

    #[test]
    fn of_hardly_any_recovery_nothing_is_said() {
        let mut curve = sparse(0.1);
        curve.points.truncate(3);
        assert_eq!(of(&curve, 3_600.0, 1.0, 12.0), None);
        curve.points.clear();
        assert_eq!(of(&curve, 3_600.0, 1.0, 12.0), None);
    }

    #[test]
    fn the_noise_leaves_out_what_age_and_interval_explain() {
        // Phases are evenly spaced; outage and cost of a point are up to three percent off.
        let noise = Noise::of(&fixtures::set().curves[0]).unwrap();
        assert_eq!((noise.between.len(), noise.within.len(), noise.cost.len()), (7, 28, 5));
        let most = |pool: &[f64]| pool.iter().fold(0.0_f64, |most, off| most.max(off.abs()));
        assert!(most(&noise.between) < 0.06 && most(&noise.cost) < 0.06, "{noise:?}");
        assert!(most(&noise.within) < 0.03, "{noise:?}");
    }

    #[test]
    fn every_analysis_of_one_set_draws_the_same() {
        let analysis = || format!("{:?}", crate::tuning::analysis::advise(&fixtures::set()));
        assert_eq!(analysis(), analysis(), "TUNING-V2");
        let bounds = || of(&sparse(0.1), 3_600.0, 1.0, 12.0);
        assert!(bounds().is_some_and(|(from, to)| from < to), "something is drawn");
        let beside = std::thread::spawn(bounds).join().unwrap();
        assert_eq!(bounds(), beside, "TUNING-V2");
    }

    #[test]
    fn the_truth_lies_within_the_confidence_of_a_noisy_curve() {
        // The fixture by the formula, without its noise.
        let set = fixtures::set();
        let (mut held, mut known) = (0, 0);
        for advice in crate::tuning::analysis::advise(&set) {
            let numerical = advice.choices[6].interval.clone().unwrap();
            let best = advice.best.unwrap();
            match best.confidence {
                Some((from, to)) => {
                    known += 1;
                    held += usize::from(from <= numerical && numerical <= to);
                }
                // The best interval was beyond the end of the grid in every resample.
                None => assert!(best.at_the_end, "{best:?}"),
            }
        }
        assert!(known >= 12 && held * 10 >= known * 8, "{held} of {known}");
    }
}
