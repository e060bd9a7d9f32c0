//! Exact percentiles by nearest rank: the smallest value such that enough of the values do not exceed it.
//!
//! Start at [`percentile`]. The result is always a measured value and never between two values, so a bound that is met
//! or missed can be traced to one checkpoint. Histograms over many runs are made in
//! [`timing::percentiles`](crate::timing::percentiles); they round to three digits, which is not acceptable for a
//! bound.

/// A percentile that documents show and bounds name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Percentile {
    /// Half of the values are not greater.
    P50,
    /// Nine in ten values are not greater.
    P90,
    /// 99 in a hundred values are not greater.
    P99,
    /// The greatest value.
    Max,
}

impl Percentile {
    /// All percentiles, in rising order.
    pub const ALL: [Percentile; 4] = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::Max];

    /// The word in tables and files.
    pub fn label(self) -> &'static str {
        match self {
            Percentile::P50 => "p50",
            Percentile::P90 => "p90",
            Percentile::P99 => "p99",
            Percentile::Max => "max",
        }
    }

    /// The percentile with this name.
    pub fn named(label: &str) -> Option<Percentile> {
        Percentile::ALL.into_iter().find(|percentile| percentile.label() == label)
    }

    fn percent(self) -> usize {
        match self {
            Percentile::P50 => 50,
            Percentile::P90 => 90,
            Percentile::P99 => 99,
            Percentile::Max => 100,
        }
    }

    /// Which of `count` sorted values it is, from 0; `None` if there are no values.
    pub fn rank(self, count: usize) -> Option<usize> {
        let above = count.saturating_mul(self.percent()).div_ceil(100);
        above.checked_sub(1)
    }
}

/// The percentile of `sorted` values; `None` if there are no values.
pub fn percentile<T: Copy + Ord>(sorted: &[T], which: Percentile) -> Option<T> {
    debug_assert!(sorted.is_sorted());
    sorted.get(which.rank(sorted.len())?).copied()
}

/// All of [`Percentile::ALL`] for values in any order; `None` if there are no values.
pub fn percentiles<T: Copy + Ord>(values: impl IntoIterator<Item = T>) -> Option<[T; 4]> {
    let mut sorted: Vec<T> = values.into_iter().collect();
    sorted.sort_unstable();
    let [p50, p90, p99, max] = Percentile::ALL.map(|which| percentile(&sorted, which));
    Some([p50?, p90?, p99?, max?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentiles(1..=100), Some([50, 90, 99, 100]));
        assert_eq!(percentiles([3, 1, 2]), Some([2, 3, 3, 3]));
        assert_eq!(percentiles([7]), Some([7; 4]));
        assert_eq!(percentiles::<u64>([]), None);
    }

    #[test]
    fn names_are_found_again() {
        for which in Percentile::ALL {
            assert_eq!(Percentile::named(which.label()), Some(which));
        }
        assert_eq!(Percentile::named("p95"), None);
    }

    proptest! {
        #[test]
        fn enough_values_are_no_greater_and_one_fewer_would_not_do(mut values in prop::collection::vec(0u32..50, 1..200)) {
            values.sort_unstable();
            for which in Percentile::ALL {
                let found = percentile(&values, which).unwrap();
                let up_to = values.iter().filter(|value| **value <= found).count();
                let below = values.iter().filter(|value| **value < found).count();
                prop_assert!(up_to * 100 >= values.len() * which.percent());
                prop_assert!(below * 100 < values.len() * which.percent());
            }
        }
    }
}
