//! A cache of values in front of a database: values are read once, changed in place and written back together. Pure.
//!
//! An access to a database costs microseconds, an access to a map a tenth of one; and a key that is counted up a
//! thousand times between two checkpoints is written once. A full cache is emptied as a whole, because keys in use
//! come back at once.

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is the same in every run")]
use std::collections::HashMap;

use super::key_group::KeyHash;
use super::{CACHE_BYTES, CurrentKey, Key, Value};

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is the same in every run")]
type Map<K, V> = HashMap<K, Slot<V>, KeyHash>;

/// A cached value.
pub(super) struct Slot<V> {
    pub(super) group: u16,
    /// `None`: the key has no value.
    pub(super) value: Option<V>,
    /// Whether the database does not have this value yet.
    pub(super) changed: bool,
    /// Length of the value's encoding when it was last read or written.
    pub(super) bytes: u32,
}

pub(super) struct Cache<K, V> {
    slots: Map<K, V>,
    bytes: usize,
}

impl<K: Key, V: Value> Cache<K, V> {
    pub(super) fn new() -> Self {
        Self { slots: Map::with_hasher(KeyHash), bytes: 0 }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut Slot<V>> {
        self.slots.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: &CurrentKey<K>, value: Option<V>, changed: bool, bytes: u32) {
        self.bytes += size_of::<(K, Slot<V>)>() + bytes as usize;
        self.slots.insert(key.key.clone(), Slot { group: key.group, value, changed, bytes });
    }

    /// Whether it is time to write everything back and to clear. The growth of values that change in place counts only
    /// from the next write-back on.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= CACHE_BYTES
    }

    /// Passes every changed slot to `write`, which returns the length of the value's encoding; afterwards no slot
    /// counts as changed.
    pub(super) fn write_back(&mut self, mut write: impl FnMut(&K, &Slot<V>) -> u32) {
        for (key, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.changed) {
            let bytes = write(key, slot);
            self.bytes = self.bytes + bytes as usize - slot.bytes as usize;
            (slot.bytes, slot.changed) = (bytes, false);
        }
    }

    /// Empties the cache; call it after [`Cache::write_back`].
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bytes = 0;
    }
}
