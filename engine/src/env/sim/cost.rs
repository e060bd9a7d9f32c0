//! What work costs in virtual time. Processor and disk are free in a simulator, so every duration that matters is charged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Work;

/// Prices of work on one core, in nanoseconds. One profile is in force per run, and reports name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// Name of the profile.
    pub profile: String,
    /// One record through one operator chain.
    pub record_ns: u64,
    /// 1,024 bytes of records read and written.
    pub record_kib_ns: u64,
    /// A snapshot's synchronous part, fixed.
    pub snapshot_ns: u64,
    /// A snapshot's synchronous part, per 1,024 bytes of state.
    pub snapshot_kib_ns: u64,
    /// Opening a state backend on restore, fixed.
    pub restore_ns: u64,
    /// Loading state, per 1,024 bytes.
    pub restore_kib_ns: u64,
    /// Starting one subtask.
    pub deploy_ns: u64,
}

impl CostModel {
    /// Round figures of a current server core; not calibrated against a machine.
    pub fn builtin() -> Self {
        Self {
            profile: "builtin".into(),
            record_ns: 250,
            record_kib_ns: 400,
            snapshot_ns: 50_000,
            snapshot_kib_ns: 600,
            restore_ns: 500_000,
            restore_kib_ns: 900,
            deploy_ns: 2_000_000,
        }
    }

    /// Nothing costs anything: for speed measurements of the simulator itself.
    pub fn free() -> Self {
        Self {
            profile: "free".into(),
            record_ns: 0,
            record_kib_ns: 0,
            snapshot_ns: 0,
            snapshot_kib_ns: 0,
            restore_ns: 0,
            restore_kib_ns: 0,
            deploy_ns: 0,
        }
    }

    /// The shipped profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::builtin(), Self::free()].into_iter().find(|model| model.profile == name)
    }

    pub(super) fn price(&self, work: Work) -> Duration {
        let per_kib = |bytes: u64, rate: u64| (u128::from(bytes) * u128::from(rate) / 1024) as u64;
        Duration::from_nanos(match work {
            Work::Records { records, bytes } => records * self.record_ns + per_kib(bytes, self.record_kib_ns),
            Work::Snapshot { bytes } => self.snapshot_ns + per_kib(bytes, self.snapshot_kib_ns),
            Work::Restore { bytes } => self.restore_ns + per_kib(bytes, self.restore_kib_ns),
            Work::Deploy => self.deploy_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_add_up_in_whole_nanoseconds() {
        let model = CostModel::builtin();
        assert_eq!(model.price(Work::Records { records: 10, bytes: 2048 }), Duration::from_nanos(2_500 + 800));
        assert_eq!(CostModel::free().price(Work::Deploy), Duration::ZERO);
        assert_eq!(CostModel::named("builtin"), Some(model));
    }
}
