//! What the durable stores held a while ago, for reads and listings that lag behind.
//!
//! The previous contents are recorded at every change, so that a fault can show times before its own beginning. This
//! is cheap: new objects have no previous contents; only the contents of replaced and deleted objects take memory,
//! which is bounded.
//!
//! Invariant: (PAST-P1) what the past does not know is as it is now.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::env::StoreKind;
use crate::time::Time;

/// How far back the past reaches.
const REACH: Duration = Duration::from_secs(60);
/// Most bytes of contents kept; beyond that the oldest are forgotten.
const BYTES: usize = 64 << 20;

/// The time of a change, and the object's previous contents.
type Change = (Time, Option<Bytes>);

/// The recent changes of both stores.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The changes of each object, in order.
    objects: BTreeMap<(StoreKind, String), VecDeque<Change>>,
    /// All changes, in order.
    order: VecDeque<(Time, StoreKind, String)>,
    bytes: usize,
}

impl Past {
    /// Records that an object changes now; `before` are its previous contents.
    pub(super) fn changes(&mut self, now: Time, kind: StoreKind, path: &str, before: Option<Bytes>) {
        self.bytes += before.as_ref().map_or(0, Bytes::len);
        self.objects.entry((kind, path.into())).or_default().push_back((now, before));
        self.order.push_back((now, kind, path.into()));
        while self.bytes > BYTES || self.order.front().is_some_and(|(at, ..)| now.since(*at) > REACH) {
            let Some((_, kind, path)) = self.order.pop_front() else { return };
            let key = (kind, path);
            let Some(changes) = self.objects.get_mut(&key) else { continue };
            if let Some((_, Some(before))) = changes.pop_front() {
                self.bytes -= before.len();
            }
            if changes.is_empty() {
                self.objects.remove(&key);
            }
        }
    }

    /// The contents of an object at `time`. The outer `None` means that they are the same as now.
    pub(super) fn object(&self, kind: StoreKind, path: &str, time: Time) -> Option<Option<Bytes>> {
        let changes = self.objects.get(&(kind, path.to_owned()))?;
        changes.iter().find(|(at, _)| *at > time).map(|(_, before)| before.clone())
    }

    /// Every object of a store that had other contents, or did not exist, at `time`; with the contents at that time.
    pub(super) fn changed_since(&self, kind: StoreKind, time: Time) -> BTreeMap<String, Option<Bytes>> {
        let own = self.objects.range((kind, String::new())..).take_while(|((of, _), _)| *of == kind);
        own.filter_map(|((_, path), changes)| {
            let (_, before) = changes.iter().find(|(at, _)| *at > time)?;
            Some((path.clone(), before.clone()))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: StoreKind = StoreKind::Checkpoints;

    #[test]
    fn an_object_is_seen_as_it_was() {
        let mut past = Past::default();
        let at = |seconds: u64| Time(seconds * 1_000_000_000);
        let old = Bytes::from_static(b"old");
        past.changes(at(1), KIND, "a", None);
        past.changes(at(3), KIND, "a", Some(old.clone()));
        past.changes(at(4), StoreKind::Output, "a", None);
        assert_eq!(past.object(KIND, "a", at(0)), Some(None));
        assert_eq!(past.object(KIND, "a", at(1)), Some(Some(old.clone())), "a change is seen at its own time");
        assert_eq!(past.object(KIND, "a", at(3)), None, "as now");
        assert_eq!(past.object(KIND, "b", at(0)), None, "PAST-P1");
        assert_eq!(past.changed_since(KIND, at(2)), BTreeMap::from([("a".into(), Some(old))]));
        assert_eq!(past.changed_since(KIND, at(3)), BTreeMap::new());
        past.changes(at(62), KIND, "b", None);
        assert_eq!(
            past.object(KIND, "a", at(0)),
            Some(Some(Bytes::from_static(b"old"))),
            "the first change is forgotten"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut past = Past::default();
        for n in 0..200u64 {
            past.changes(Time(n), KIND, &n.to_string(), Some(Bytes::from(vec![0; 1 << 20])));
        }
        assert_eq!(past.bytes, BYTES);
        assert_eq!((past.objects.len(), past.order.len()), (64, 64));
    }
}
