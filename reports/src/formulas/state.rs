//! How the size of the state influences the duration of a checkpoint, its cost when only changes are written, and
//! several levels of storage.

use libm::sqrt;

use super::{OutsideDomain, finite, not_negative, positive};

/// The planning rule, as text for tables.
pub const ARTICLE_STATE: &str = "larger state, longer checkpoints";

/// `d = d₀ + S/(p·B)`: duration of a full checkpoint over S bytes; seconds.
///
/// `fixed` d₀ ≥ 0 in seconds (messages, requests, manifest), `bytes` S ≥ 0, `parallelism` p ≥ 1 subtasks that write in
/// parallel at `bandwidth` B bytes per second each. So the rule of thumb that larger state means longer checkpoints is
/// true for large state. Below about d₀·p·B bytes it says nothing, because there the duration hardly changes with S.
/// Source: Flink's checkpointing documentation, made quantitative here.
pub fn full_duration(fixed: f64, bytes: f64, parallelism: f64, bandwidth: f64) -> Result<f64, OutsideDomain> {
    let (fixed, bytes) = (not_negative("d₀", fixed)?, not_negative("S", bytes)?);
    finite(fixed + bytes / (positive("p", parallelism)? * positive("B", bandwidth)?))
}

/// `ΔS(T) = S·(1 − e^(−u·T))`: bytes that changed within a period; what an incremental checkpoint writes.
///
/// `bytes` S ≥ 0, `updates` u ≥ 0 updates per second and key, uniform over the keys, `period` T ≥ 0 seconds. Saturates at S:
/// a key that is updated twice is written once, so halving the interval does not halve what is written, and the square root
/// of Young no longer holds. Source: derived (coupon collector with replacement).
pub fn changed_bytes(bytes: f64, updates: f64, period: f64) -> Result<f64, OutsideDomain> {
    let (bytes, updates, period) = (not_negative("S", bytes)?, not_negative("u", updates)?, not_negative("T", period)?);
    finite(bytes * -libm::expm1(-updates * period))
}

/// Work lost to an incremental checkpoint, `c(T) = c₀ + ΔS(T)·k`; seconds.
///
/// `fixed` c₀ ≥ 0 seconds, `per_byte` k ≥ 0 seconds per byte; the rest, domain and source as in [`changed_bytes`].
pub fn incremental_cost(
    fixed: f64,
    per_byte: f64,
    bytes: f64,
    updates: f64,
    period: f64,
) -> Result<f64, OutsideDomain> {
    finite(not_negative("c₀", fixed)? + not_negative("k", per_byte)? * changed_bytes(bytes, updates, period)?)
}

/// One level of storage: how often it is needed, and what a checkpoint to it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Failures per second for which this level is needed and sufficient, φ > 0; failures of other levels do not count.
    pub failure_rate: f64,
    /// Cost of a checkpoint on this level, C > 0, seconds.
    pub cost: f64,
}

/// `T_l = √(2·C_l/φ_l)`: the period of checkpoints on one of several levels; seconds.
///
/// Level 1 may be local recovery (a process died), level 2 the remote store (a machine is gone). Domain C < 2/φ, as for
/// Young. Source: Benoit et al. 2017, "Towards optimal multi-level checkpointing".
pub fn level_period(level: Level) -> Result<f64, OutsideDomain> {
    super::optimum::young(positive("Cₗ", level.cost)?, 1.0 / positive("φₗ", level.failure_rate)?)
}

/// `H = Σ √(2·φ_l·C_l)`: the share of time that all levels cost together at their periods.
///
/// Source and domain as in [`level_period`]; first order.
pub fn multi_level_overhead(levels: &[Level]) -> Result<f64, OutsideDomain> {
    let mut sum = 0.0;
    for level in levels {
        level_period(*level)?;
        sum += sqrt(2.0 * level.failure_rate * level.cost);
    }
    finite(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(full_duration(0.1, 8e9, 4.0, 1e9), Ok(2.1));
        assert_eq!(changed_bytes(1e9, 0.0, 60.0), Ok(0.0));
        let half = changed_bytes(1e9, 1.0, std::f64::consts::LN_2).unwrap();
        assert!((half - 5e8).abs() < 1.0, "{half}");
        assert!((changed_bytes(1e9, 1.0, 100.0).unwrap() - 1e9).abs() < 1.0, "it saturates");
        assert_eq!(incremental_cost(0.5, 1e-9, 1e9, 0.0, 10.0), Ok(0.5));
    }

    #[test]
    fn levels_by_hand() {
        let (local, remote) =
            (Level { failure_rate: 1.0 / 600.0, cost: 3.0 }, Level { failure_rate: 1.0 / 7200.0, cost: 36.0 });
        assert_eq!(level_period(local), Ok(60.0));
        assert_eq!(level_period(remote), Ok(720.0));
        // √(6/600) + √(72/7200) = 0.1 + 0.1.
        assert!((multi_level_overhead(&[local, remote]).unwrap() - 0.2).abs() < 1e-12);
        assert!(multi_level_overhead(&[Level { failure_rate: 0.0, cost: 1.0 }]).is_err());
        let dear = Level { failure_rate: 0.1, cost: 20.0 };
        let too_high = Err(crate::formulas::OutsideDomain::CostTooHigh { cost_s: 20.0, limit_s: 20.0 });
        assert_eq!((level_period(dear), multi_level_overhead(&[local, dear])), (too_high, too_high));
    }
}
