//! Keyed state on the heap: one hash map per key group, typed values, serialised only for snapshots.
//!
//! Snapshot format of a table, little endian: length and bytes of its name, number of entries (`u64`), then per entry
//! its group (`u16`), key and value as postcard. Groups come in order. Within a group the order is the map's own,
//! which is the same in every run, because the hasher is fixed ([`KeyHash`]).

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is the same in every run")]
use std::collections::HashMap;
use std::ops::Range;

use super::key_group::KeyHash;
use super::{CurrentKey, Entry, Key, StateError, Value};
use crate::codec::encode;

#[allow(clippy::disallowed_types, reason = "the hasher is fixed, so the order is the same in every run")]
type Map<K, V> = HashMap<K, V, KeyHash>;

pub(super) struct HeapTable<K, V> {
    name: String,
    first: u16,
    groups: Vec<Map<K, V>>,
}

impl<K: Key, V: Value> HeapTable<K, V> {
    pub(super) fn new(name: &str, groups: Range<u16>) -> Self {
        Self { name: name.into(), first: groups.start, groups: groups.map(|_| Map::with_hasher(KeyHash)).collect() }
    }

    fn group(&mut self, group: u16) -> &mut Map<K, V> {
        // S2: the exchange routes records by group, so a foreign key here is a mistake of this engine.
        let index = group.checked_sub(self.first).map(usize::from).expect("S2: key group below the owned range");
        self.groups.get_mut(index).expect("S2: key group above the owned range")
    }

    pub(super) fn get(&mut self, key: &CurrentKey<K>) -> Option<&V> {
        self.group(key.group).get(&key.key)
    }

    pub(super) fn replace(&mut self, key: &CurrentKey<K>, change: impl FnOnce(Option<&V>) -> V) -> Option<V> {
        let map = self.group(key.group);
        match map.get_mut(&key.key) {
            Some(slot) => {
                let new = change(Some(slot));
                Some(std::mem::replace(slot, new))
            }
            None => map.insert(key.key.clone(), change(None)),
        }
    }

    pub(super) fn remove(&mut self, key: &CurrentKey<K>) {
        self.group(key.group).remove(&key.key);
    }

    /// Appends the table to `out` and returns the number of its entries.
    pub(super) fn write_snapshot(&self, out: &mut Vec<u8>) -> u64 {
        let count: u64 = self.groups.iter().map(|map| map.len() as u64).sum();
        encode(&self.name, out);
        out.extend_from_slice(&count.to_le_bytes());
        for (index, map) in self.groups.iter().enumerate() {
            let group = self.first + index as u16;
            for (key, value) in map {
                out.extend_from_slice(&group.to_le_bytes());
                encode(key, out);
                encode(value, out);
            }
        }
        count
    }

    /// Reads the table from `input` and returns the number of its entries.
    pub(super) fn read_snapshot(&mut self, input: &mut &[u8]) -> Result<u64, StateError> {
        let name: String = take(input)?;
        if name != self.name {
            return Err(StateError::OtherState { found: name, declared: self.name.clone() });
        }
        let count = u64::from_le_bytes(take_array(input)?);
        for _ in 0..count {
            let group = u16::from_le_bytes(take_array(input)?);
            let key: K = take(input)?;
            let value: V = take(input)?;
            let index = group.checked_sub(self.first).map(usize::from);
            let owned = index.and_then(|index| self.groups.get_mut(index));
            let Some(map) = owned else {
                return Err(StateError::ForeignKeyGroup { group });
            };
            map.insert(key, value);
        }
        Ok(count)
    }

    pub(super) fn for_each(&self, each: &mut dyn FnMut(Entry<'_>)) {
        for (map, group) in self.groups.iter().zip(self.first..) {
            map.iter().for_each(|(key, value)| each(Entry { state: &self.name, group, key, value }));
        }
    }
}

fn take<T: serde::de::DeserializeOwned>(input: &mut &[u8]) -> Result<T, StateError> {
    let (value, rest) = postcard::take_from_bytes(input).map_err(StateError::Unreadable)?;
    *input = rest;
    Ok(value)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], StateError> {
    let (array, rest) = input.split_first_chunk().ok_or(StateError::EndsTooEarly)?;
    *input = rest;
    Ok(*array)
}
