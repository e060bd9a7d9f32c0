//! From samples to rates: medians, straight lines, and their confidence. Pure.
//!
//! On a machine that also does other work, some samples are far too long, and none are too short. So all methods here
//! are robust. A line's slope is the median of the slopes between samples of different sizes, weighted by the distance
//! of the sizes (Theil–Sen). Its fixed part is the median of what remains at the smallest size. Confidence intervals
//! are from a percentile bootstrap that resamples within each size, with named draws: equal samples give equal
//! intervals.

use flowquake_engine::env::{draw, draw_between};

/// With fewer repetitions nothing is known about their spread.
pub const REPETITIONS_MIN: usize = 3;
/// Number of resamples for a confidence interval.
const RESAMPLES: u64 = 500;

/// A number with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// The same in another unit or another form; `change` must be monotonic.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let (low, high) = (change(self.low), change(self.high));
        Self { value: change(self.value), low: low.min(high), high: low.max(high) }
    }

    /// The difference to another measurement. The intervals add up, as if the worst ends of both came together.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, low: self.low - other.high, high: self.high - other.low }
    }
}

/// Why samples give no rate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoFit {
    /// There are too few samples to know their spread.
    #[error("{what}: {repetitions} repetitions, at least {REPETITIONS_MIN} are needed")]
    TooFew {
        /// What was measured.
        what: String,
        /// Number of samples of the size with the fewest.
        repetitions: usize,
    },
    /// All samples have one size, so there is no slope.
    #[error("{what}: all samples are of one size")]
    OneSize {
        /// What was measured.
        what: String,
    },
    /// A larger size would cost less, or the same.
    #[error("{what}: {value:.3} {unit}, which is not above zero")]
    NotPositive {
        /// What was measured.
        what: String,
        /// The fitted number.
        value: f64,
        /// Its unit.
        unit: &'static str,
    },
}

/// Repeated samples of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// The size.
    pub x: f64,
    /// The measured values.
    pub y: Vec<f64>,
}

/// A straight line over sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Value at size 0, not below 0.
    pub fixed: Estimate,
    /// Increase per unit of size, above 0.
    pub slope: Estimate,
}

/// The number below which the share `q` of `values` is, interpolated; 0 if there are no values.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// The median of `values`.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A statistic of repeated samples, with its interval from resampling.
pub fn of_samples(what: &str, values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> Result<Estimate, NoFit> {
    let sizes = [Samples { x: 0.0, y: values.to_vec() }];
    repeated(what, &sizes)?;
    let [value, low, high] = bootstrap(what, &sizes, |sizes| [statistic(&sizes[0].y)])[0];
    Ok(Estimate { value, low, high })
}

/// The line through samples of several sizes. `unit` is the unit of its slope.
pub fn line(what: &str, unit: &'static str, sizes: &[Samples]) -> Result<Line, NoFit> {
    repeated(what, sizes)?;
    if theil_sen(sizes).is_none() {
        return Err(NoFit::OneSize { what: what.into() });
    }
    let fitted = bootstrap(what, sizes, |sizes| {
        let (fixed, slope) = theil_sen(sizes).expect("resamples keep their sizes");
        [fixed.max(0.0), slope]
    });
    let [fixed, slope] = fitted.map(|[value, low, high]| Estimate { value, low, high });
    positive(what, unit, slope)?;
    Ok(Line { fixed, slope })
}

/// A price must be above zero.
pub fn positive(what: &str, unit: &'static str, estimate: Estimate) -> Result<Estimate, NoFit> {
    match estimate.value {
        value if value > 0.0 && value.is_finite() => Ok(estimate),
        value => Err(NoFit::NotPositive { what: what.into(), value, unit }),
    }
}

fn repeated(what: &str, sizes: &[Samples]) -> Result<(), NoFit> {
    let repetitions = sizes.iter().map(|samples| samples.y.len()).min().unwrap_or(0);
    if repetitions < REPETITIONS_MIN {
        return Err(NoFit::TooFew { what: what.into(), repetitions });
    }
    Ok(())
}

/// Fixed part and slope; `None` if there is only one size.
fn theil_sen(sizes: &[Samples]) -> Option<(f64, f64)> {
    // Each slope with its weight: between sizes that are close, the slope is mostly noise.
    let mut slopes: Vec<(f64, f64)> = Vec::new();
    for (index, small) in sizes.iter().enumerate() {
        for large in sizes[index + 1..].iter().filter(|large| large.x != small.x) {
            let apart = large.x - small.x;
            for y in &small.y {
                slopes.extend(large.y.iter().map(|other| ((other - y) / apart, apart.abs())));
            }
        }
    }
    let smallest = sizes.iter().min_by(|a, b| a.x.total_cmp(&b.x))?;
    slopes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = slopes.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let (slope, _) = slopes.iter().find(|(_, weight)| {
        below += weight;
        below >= half
    })?;
    Some((median(&smallest.y) - slope * smallest.x, *slope))
}

/// Value, low and high of each of `N` statistics.
fn bootstrap<const N: usize>(
    what: &str,
    sizes: &[Samples],
    statistic: impl Fn(&[Samples]) -> [f64; N],
) -> [[f64; 3]; N] {
    let mut seen: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for resample in 0..RESAMPLES {
        let drawn: Vec<Samples> = sizes
            .iter()
            .enumerate()
            .map(|(size, samples)| {
                let last = samples.y.len() as u64 - 1;
                let pick =
                    |n: usize| samples.y[draw_between(draw(resample, what, size as u64, n as u64), 0, last) as usize];
                Samples { x: samples.x, y: (0..samples.y.len()).map(pick).collect() }
            })
            .collect();
        statistic(&drawn).into_iter().zip(&mut seen).for_each(|(value, seen)| seen.push(value));
    }
    let values = statistic(sizes);
    std::array::from_fn(|n| [values[n], quantile(&seen[n], 0.025), quantile(&seen[n], 0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixed + slope x`, with noise of up to `noise` and every fifth sample ten times as long.
    fn noisy(fixed: f64, slope: f64, noise: f64, xs: &[f64]) -> Vec<Samples> {
        let sample = |x: f64, n: u64| {
            let share = draw(7, "noise", x as u64, n) as f64 / u64::MAX as f64 - 0.5;
            let y = (fixed + slope * x) * (1.0 + noise * share);
            if n % 5 == 4 { y * 10.0 } else { y }
        };
        xs.iter().map(|x| Samples { x: *x, y: (0..15).map(|n| sample(*x, n)).collect() }).collect()
    }

    #[test]
    fn a_line_is_found_beneath_noise_and_outliers() {
        let exact = line("exact", "ns", &noisy(50.0, 3.0, 0.0, &[0.0, 10.0, 40.0])).unwrap();
        assert!((exact.slope.value - 3.0).abs() < 0.3, "{exact:?}");
        assert_eq!(exact.fixed.value, 50.0);
        let fitted = line("noisy", "ns", &noisy(50.0, 3.0, 0.1, &[0.0, 100.0, 400.0, 1600.0])).unwrap();
        assert!((fitted.slope.value / 3.0 - 1.0).abs() < 0.1, "{fitted:?}");
        assert!(fitted.slope.low <= fitted.slope.value && fitted.slope.value <= fitted.slope.high);
        assert!((fitted.fixed.value / 50.0 - 1.0).abs() < 0.1, "{fitted:?}");
        assert_eq!(
            line("noisy", "ns", &noisy(50.0, 3.0, 0.1, &[0.0, 100.0, 400.0, 1600.0])),
            Ok(fitted),
            "the same again"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name() {
        let falling = line("falling", "ns per KiB", &noisy(90.0, -1.0, 0.0, &[0.0, 10.0, 50.0])).unwrap_err();
        assert!(
            falling.to_string().starts_with("falling: -") && falling.to_string().contains("ns per KiB"),
            "{falling}"
        );
        let few = [Samples { x: 0.0, y: vec![1.0; 5] }, Samples { x: 1.0, y: vec![2.0; 2] }];
        assert_eq!(line("few", "ns", &few).unwrap_err().to_string(), "few: 2 repetitions, at least 3 are needed");
        assert!(matches!(line("one", "ns", &noisy(1.0, 1.0, 0.0, &[5.0])), Err(NoFit::OneSize { .. })));
        assert!(of_samples("none", &[], median).is_err());
        let zero = Estimate { value: 0.0, low: 0.0, high: 1.0 };
        assert!(positive("zero", "ns", zero).is_err());
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(&[4.0, 2.0], 0.25), 2.5);
        let spread = of_samples("spread", &[1.0, 2.0, 3.0, 4.0, 100.0], median).unwrap();
        assert_eq!(spread.value, 3.0);
        assert!(spread.low <= 2.0 && spread.high >= 4.0, "{spread:?}");
    }

    #[test]
    fn intervals_turn_around_and_add_up() {
        let rate = Estimate { value: 2.0, low: 1.0, high: 4.0 };
        assert_eq!(rate.map(|slope| 8.0 / slope), Estimate { value: 4.0, low: 2.0, high: 8.0 });
        let less = rate.minus(Estimate { value: 0.5, low: 0.25, high: 0.75 });
        assert_eq!(less, Estimate { value: 1.5, low: 0.25, high: 3.75 });
    }
}
