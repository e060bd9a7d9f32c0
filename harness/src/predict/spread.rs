//! How long the slowest of several takes, if each is a sum of random draws: the effect of latency on something that
//! waits for all.

use std::time::Duration;

use flowquake_engine::time::nanos;

/// Cells of the grid for densities. The error of a mean is less than the width of a cell.
const CELLS: usize = 512;

/// Mean of the largest of `n` independent sums, each with one draw from every range; ns.
///
/// `E[max] = high − ∫ F(x)ⁿ dx`, with F the distribution of one sum. For one uniform draw this is `low + width · n / (n
/// + 1)`; for several draws F is computed by convolving the uniform densities on a grid.
pub(super) fn mean_of_largest(n: u32, ranges: &[(Duration, Duration)]) -> f64 {
    let low: f64 = ranges.iter().map(|(low, _)| nanos(*low) as f64).sum();
    let widths = ranges.iter().map(|(low, high)| nanos(*high).saturating_sub(nanos(*low)) as f64);
    let widths: Vec<f64> = widths.filter(|width| *width > 0.0).collect();
    let width: f64 = widths.iter().sum();
    if n <= 1 {
        return low + width / 2.0;
    }
    if widths.len() <= 1 {
        return low + width * f64::from(n) / (f64::from(n) + 1.0);
    }
    let cell = width / CELLS as f64;
    let mut density = vec![0.0; CELLS + 1];
    density[0] = 1.0;
    for width in widths {
        density = folded(&density, (width / cell).round() as usize);
    }
    let mut below = 0.0;
    // On average, half of a cell's mass is below its middle.
    let integral: f64 = density
        .iter()
        .map(|mass| {
            let half = below + mass / 2.0;
            below += mass;
            power(half, n)
        })
        .sum();
    low + width - integral * cell
}

/// `base` to the power of `n`, by squaring. It gives the same result on every machine, and needs no logarithm per cell.
fn power(mut base: f64, mut n: u32) -> f64 {
    let mut product = 1.0;
    while n > 0 {
        if n % 2 == 1 {
            product *= base;
        }
        base *= base;
        n /= 2;
    }
    product
}

/// The density of a sum with one more draw that is uniform over `0..=span` cells.
fn folded(density: &[f64], span: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let share = 1.0 / (span + 1) as f64;
    (0..density.len())
        .map(|cell| {
            sum += density[cell];
            if let Some(gone) = cell.checked_sub(span + 1) {
                sum -= density[gone];
            }
            sum * share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(low: u64, high: u64) -> (Duration, Duration) {
        (Duration::from_millis(low), Duration::from_millis(high))
    }

    fn close(got: f64, want_ms: f64) {
        assert!((got / 1e6 - want_ms).abs() < 0.02 * want_ms, "{} ms, not {want_ms} ms", got / 1e6);
    }

    #[test]
    fn known_means() {
        close(mean_of_largest(1, &[ms(5, 15), ms(5, 15)]), 20.0);
        // For one uniform draw: n/(n + 1) of the width.
        close(mean_of_largest(4, &[ms(10, 20)]), 18.0);
        // Two draws: E[max of 2 triangular on 0..2] = 1 + 7/30.
        close(mean_of_largest(2, &[ms(0, 1000), ms(0, 1000)]), 1000.0 * (1.0 + 7.0 / 30.0));
        close(mean_of_largest(8, &[ms(7, 7)]), 7.0);
        // A range without width only shifts the mean.
        close(mean_of_largest(4, &[ms(7, 7), ms(10, 20)]), 25.0);
        // The grid agrees with the exact result if the second draw is too narrow to matter.
        let narrow = (Duration::ZERO, Duration::from_nanos(1));
        for n in [2, 3, 4, 17, 1000] {
            let exact = mean_of_largest(n, &[ms(10, 20)]);
            assert!((mean_of_largest(n, &[ms(10, 20), narrow]) - exact).abs() <= 10e6 / CELLS as f64, "{n}");
        }
    }

    #[test]
    fn powers() {
        for n in [0, 1, 2, 3, 7, 64, 1_000_000] {
            for base in [0.0, 0.3, 0.999_999, 1.0] {
                let want = libm::pow(base, f64::from(n));
                assert!((power(base, n) - want).abs() <= 1e-9 * want.max(1e-300), "{base}^{n}");
            }
        }
    }
}
