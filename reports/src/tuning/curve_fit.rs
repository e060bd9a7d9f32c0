//! The best interval between those that were measured: a parabola in logarithms around the cheapest points, and how sure
//! that is.
//!
//! Near its optimum the cost of an interval is `(x + 1/x)/2` of the best one, with x the ratio of both: flat, so that "the
//! cheapest point" may be wrong by the step of the grid, while the parabola's vertex is not.

use libm::{exp, log};

/// Points on each side of the cheapest one that the parabola goes through.
const NEIGHBOURS: usize = 2;

/// Where a curve of (interval, cost) is lowest, both positive; `None` with fewer than three points. At an end of the
/// measured range the end itself.
pub(super) fn lowest(points: &[(f64, f64)]) -> Option<f64> {
    let cheapest = (0..points.len()).min_by(|a, b| points[*a].1.total_cmp(&points[*b].1))?;
    if points.len() < 3 || cheapest == 0 || cheapest == points.len() - 1 {
        return (points.len() >= 3).then(|| points[cheapest].0);
    }
    let from = cheapest.saturating_sub(NEIGHBOURS);
    let to = (cheapest + NEIGHBOURS).min(points.len() - 1);
    let logs: Vec<(f64, f64)> = points[from..=to].iter().map(|(x, y)| (log(*x), log(*y))).collect();
    let vertex = vertex(&logs)?;
    // A vertex beyond its points is a guess about what was not measured.
    Some(exp(vertex.clamp(logs[0].0, logs[logs.len() - 1].0)))
}

/// Vertex of the least-squares parabola; the middle of its points if it opens downwards.
fn vertex(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let centre = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let sum = |term: fn(f64, f64) -> f64| points.iter().map(|(x, y)| term(x - centre, *y)).sum::<f64>();
    // Normal equations of y = a + b·x + c·x², centred so that the sum of x is zero.
    let (s2, s3, s4) = (sum(|x, _| x * x), sum(|x, _| x * x * x), sum(|x, _| x * x * x * x));
    let (t0, t1, t2) = (sum(|_, y| y), sum(|x, y| x * y), sum(|x, y| x * x * y));
    let determinant = n * (s2 * s4 - s3 * s3) - s2 * s2 * s2;
    if !determinant.is_finite() || determinant.abs() < 1e-12 {
        return None;
    }
    let c = (n * (s2 * t2 - s3 * t1) - s2 * s2 * t0) / determinant;
    let b = (t1 - c * s3) / s2;
    if c <= 0.0 {
        return Some(centre);
    }
    Some(centre - b / (2.0 * c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vertex_is_found_between_the_points() {
        // Young's curve with its optimum at 20.
        let cost = |period: f64| 1.0 / period + period / 400.0;
        let points: Vec<(f64, f64)> = [2.0, 5.0, 11.0, 27.0, 60.0, 140.0].map(|period| (period, cost(period))).into();
        let best = lowest(&points).unwrap();
        assert!((best / 20.0 - 1.0).abs() < 0.05, "{best}");
        assert_eq!(lowest(&points[..2]), None);
        assert_eq!(lowest(&points[3..]), Some(27.0), "the range ends before the optimum");
    }
}
