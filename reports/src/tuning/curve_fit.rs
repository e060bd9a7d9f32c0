//! The best interval between the measured ones: a parabola in logarithms around the cheapest points.
//!
//! Near its optimum the cost of an interval is `(x + 1/x)/2` of the best cost, with x the ratio of the two intervals.
//! The curve is so flat that the cheapest point may be wrong by a step of the grid, while the vertex of the parabola is
//! not.

use libm::{exp, log};

/// The parabola goes through the points within this factor of its vertex. Nearer points alone differ by less than the
/// noise, and farther ones do not follow a parabola. With a finer grid there are more points, so the vertex is more
/// certain.
const REACH: f64 = 4.0;
/// … and through this many at least.
const POINTS_MIN: usize = 4;
/// How many times the window is moved to the vertex found before, so that in the end it is centred on the vertex.
const ROUNDS: usize = 4;

/// Where a curve of (interval, cost) is lowest, and its cost there. Both are positive, ordered by interval. `None` with
/// fewer than three points. If the lowest point is an end of the measured range, the end itself.
pub(super) fn lowest(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let cheapest = (0..points.len()).min_by(|a, b| points[*a].1.total_cmp(&points[*b].1))?;
    if points.len() < 3 || cheapest == 0 || cheapest == points.len() - 1 {
        return (points.len() >= 3).then(|| points[cheapest]);
    }
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (log(*x), log(*y))).collect();
    let mut best = logs[cheapest];
    for _ in 0..ROUNDS {
        let near = window(&logs, best.0);
        // A vertex outside of the points would be a guess about what was not measured.
        let fit = Parabola::through(near)?;
        let at = fit.vertex().clamp(near[0].0, near[near.len() - 1].0);
        best = (at, fit.at(at));
    }
    Some((exp(best.0), exp(best.1)))
}

/// The points around `centre`, all in logarithms.
fn window(logs: &[(f64, f64)], centre: f64) -> &[(f64, f64)] {
    let distance = |index: &usize| (logs[*index].0 - centre).abs();
    let nearer = |a: &usize, b: &usize| distance(a).total_cmp(&distance(b));
    let nearest = (0..logs.len()).min_by(nearer).unwrap_or(0);
    let (mut from, mut to) = (nearest, nearest + 1);
    loop {
        let next = [from.checked_sub(1), Some(to).filter(|to| *to < logs.len())].into_iter().flatten().min_by(nearer);
        match next {
            Some(next) if to - from < POINTS_MIN || distance(&next) <= log(REACH) => {
                (from, to) = (from.min(next), to.max(next + 1));
            }
            _ => return &logs[from..to],
        }
    }
}

/// `y = a + b·x + c·x²`, with x counted from the mean of the points.
struct Parabola {
    centre: f64,
    a: f64,
    b: f64,
    c: f64,
}

impl Parabola {
    /// By least squares.
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len() as f64;
        let centre = points.iter().map(|(x, _)| x).sum::<f64>() / n;
        let sum = |term: fn(f64, f64) -> f64| points.iter().map(|(x, y)| term(x - centre, *y)).sum::<f64>();
        // The normal equations; centred, so that the sum of x is zero.
        let (s2, s3, s4) = (sum(|x, _| x * x), sum(|x, _| x * x * x), sum(|x, _| x * x * x * x));
        let (t0, t1, t2) = (sum(|_, y| y), sum(|x, y| x * y), sum(|x, y| x * x * y));
        let determinant = n * (s2 * s4 - s3 * s3) - s2 * s2 * s2;
        if !determinant.is_finite() || determinant.abs() < 1e-12 {
            return None;
        }
        let c = (n * (s2 * t2 - s3 * t1) - s2 * s2 * t0) / determinant;
        Some(Self { centre, a: (t0 - c * s2) / n, b: (t1 - c * s3) / s2, c })
    }

    /// Where the parabola is lowest; the middle of its points if it opens downwards.
    fn vertex(&self) -> f64 {
        if self.c <= 0.0 { self.centre } else { self.centre - self.b / (2.0 * self.c) }
    }

    fn at(&self, x: f64) -> f64 {
        let x = x - self.centre;
        self.a + self.b * x + self.c * x * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vertex_is_found_between_the_points() {
        // Young's curve with its optimum at 20.
        let cost = |period: f64| 1.0 / period + period / 400.0;
        let points: Vec<(f64, f64)> = [2.0, 5.0, 11.0, 27.0, 60.0, 140.0].map(|period| (period, cost(period))).into();
        let (best, least) = lowest(&points).unwrap();
        assert!((best / 20.0 - 1.0).abs() < 0.05, "{best}");
        assert!((least / 0.1 - 1.0).abs() < 0.05, "{least}");
        assert_eq!(lowest(&points[..2]), None);
        assert_eq!(lowest(&points[3..]), Some(points[3]), "the range ends before the optimum");
    }

    #[test]
    fn on_a_fine_grid_noise_averages_out() {
        // Steps of 15 % and noise of 3 %: neighbours of the optimum differ by less than the noise.
        let noise = |n: u32| [1.0, 1.03, 0.98, 0.97, 1.02, 1.0, 0.99, 1.03, 0.97][n as usize * 7 % 9];
        let period = |n: u32| 4.0 * libm::pow(1.15, f64::from(n));
        let cost = |period: f64| 1.0 / period + period / 400.0;
        let points: Vec<(f64, f64)> = (0..24).map(|n| (period(n), cost(period(n)) * noise(n))).collect();
        let (best, _) = lowest(&points).unwrap();
        assert!((best / 20.0 - 1.0).abs() < 0.05, "{best}");
    }

    #[test]
    fn the_window_has_points_enough_wherever_it_lies() {
        let logs: Vec<(f64, f64)> = (0..6).map(|n| (f64::from(n) * 3.0, 0.0)).collect();
        for (centre, first) in [(-9.0, 0.0), (0.0, 0.0), (7.0, 3.0), (99.0, 6.0)] {
            let window = window(&logs, centre);
            assert_eq!((window[0].0, window.len()), (first, 4), "around {centre}");
        }
        assert_eq!(window(&logs[..3], 3.0).len(), 3);
    }
}
