//! Key groups: keyed state is divided into a fixed number of shares, and each share belongs to one subtask.
//!
//! Every key belongs to one group for ever; a subtask owns a contiguous range of groups. State is stored by group, so
//! that it could be given to another number of subtasks. Source: apache/flink `KeyGroupRangeAssignment` (the hash
//! function is this engine's own).

use std::hash::{Hash, Hasher};
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

/// A hasher that gives the same value in every process and build; the standard hashers are seeded at random.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl KeyHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.mix(xxh3_64(bytes));
    }
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
    fn finish(&self) -> u64 {
        // The finaliser of MurmurHash3. Without it, neighbouring integers would fall into neighbouring groups.
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        hash ^ (hash >> 33)
    }
}

/// Builds [`KeyHasher`]s, for maps whose order of iteration must not differ between runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHash;

impl std::hash::BuildHasher for KeyHash {
    type Hasher = KeyHasher;
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher::default()
    }
}

/// The group of a key, `0..max_parallelism`.
pub fn group_of<K: Hash + ?Sized>(key: &K, max_parallelism: u16) -> u16 {
    let mut hasher = KeyHasher::default();
    key.hash(&mut hasher);
    // Uses the upper half of the hash, because the maps inside a group use the lower bits.
    ((hasher.finish() >> 32) % u64::from(max_parallelism)) as u16
}

/// The subtask that owns a group, `0..parallelism`.
pub fn owner_of(group: u16, max_parallelism: u16, parallelism: u16) -> u16 {
    (u32::from(group) * u32::from(parallelism) / u32::from(max_parallelism)) as u16
}

/// The groups that a subtask owns.
pub fn groups_of(index: u16, max_parallelism: u16, parallelism: u16) -> Range<u16> {
    let boundary = |i: u16| {
        let groups = u32::from(i) * u32::from(max_parallelism);
        groups.div_ceil(u32::from(parallelism)) as u16
    };
    boundary(index)..boundary(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_group_has_the_owner_whose_range_holds_it(max in 1u16..300, parallelism in 1u16..40) {
            prop_assume!(parallelism <= max);
            for group in 0..max {
                let owner = owner_of(group, max, parallelism);
                prop_assert!(owner < parallelism);
                for index in 0..parallelism {
                    prop_assert_eq!(groups_of(index, max, parallelism).contains(&group), index == owner);
                }
            }
        }
    }

    #[test]
    fn integers_spread_over_groups() {
        let mut counts = [0u32; 128];
        (0..128_000u64).for_each(|key| counts[usize::from(group_of(&key, 128))] += 1);
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
