//! Objects that differ from what the engine left, and how often the engine accessed them: damage hurts only when it is
//! seen. Pure.
//!
//! Start at [`Spoilt::spoil`] and [`Spoilt::met`]. An object counts as spoilt until it is written again; earlier
//! accesses stay counted.

use std::collections::BTreeMap;

use crate::env::StoreKind;

#[derive(Debug, Default)]
pub(super) struct Spoilt(BTreeMap<(StoreKind, String), Object>);

#[derive(Debug, Default)]
struct Object {
    /// Whether the damage removed the object or made it reappear, which listings show, too.
    existence: bool,
    /// The rule about requests that caused the damage, if one did.
    rule: Option<usize>,
    /// Whether the object was written again since.
    mended: bool,
    met: u64,
}

impl Spoilt {
    /// An object was damaged; `existence` says whether it was removed or reappeared.
    pub(super) fn spoil(&mut self, kind: StoreKind, path: &str, existence: bool, rule: Option<usize>) {
        let object = self.0.entry((kind, path.into())).or_default();
        (object.existence, object.rule, object.mended) = (existence, rule, false);
    }

    /// The engine accesses an object. Returns the rule that spoilt it, if a rule did.
    pub(super) fn meet(&mut self, kind: StoreKind, path: &str) -> Option<usize> {
        let object = self.0.get_mut(&(kind, path.into())).filter(|object| !object.mended)?;
        object.met += 1;
        object.rule
    }

    /// The engine lists the objects below `prefix`. Returns the rules whose damage the listing shows.
    pub(super) fn list(&mut self, kind: StoreKind, prefix: &str) -> Vec<usize> {
        let below = |path: &str| path.starts_with(prefix);
        let shown = self
            .0
            .iter_mut()
            .filter(|((of, path), object)| *of == kind && below(path) && object.existence && !object.mended);
        let met = shown.map(|(_, object)| {
            object.met += 1;
            object.rule
        });
        met.flatten().collect()
    }

    /// An object was written again, or removed by the engine itself.
    pub(super) fn mend(&mut self, kind: StoreKind, path: &str) {
        if let Some(object) = self.0.get_mut(&(kind, path.into())) {
            object.mended = true;
        }
    }

    /// How often the engine accessed an object while it was spoilt.
    pub(super) fn met(&self, kind: StoreKind, path: &str) -> u64 {
        self.0.get(&(kind, path.into())).map_or(0, |object| object.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: StoreKind = StoreKind::Checkpoints;

    #[test]
    fn an_object_is_met_while_it_is_spoilt_and_listed_only_if_it_came_or_went() {
        let mut spoilt = Spoilt::default();
        assert_eq!((spoilt.meet(KIND, "chk-1/a"), spoilt.met(KIND, "chk-1/a")), (None, 0));
        spoilt.spoil(KIND, "chk-1/a", false, None);
        spoilt.spoil(KIND, "chk-1/b", true, Some(3));
        assert_eq!([spoilt.meet(KIND, "chk-1/a"), spoilt.meet(KIND, "chk-1/b")], [None, Some(3)]);
        assert_eq!(spoilt.meet(StoreKind::Output, "chk-1/a"), None);
        assert_eq!((spoilt.list(KIND, "chk-1/"), spoilt.list(KIND, "chk-2/")), (vec![3], vec![]));
        assert_eq!([spoilt.met(KIND, "chk-1/a"), spoilt.met(KIND, "chk-1/b")], [1, 2]);
        spoilt.mend(KIND, "chk-1/b");
        assert_eq!(
            (spoilt.meet(KIND, "chk-1/b"), spoilt.list(KIND, ""), spoilt.met(KIND, "chk-1/b")),
            (None, vec![], 2)
        );
        spoilt.spoil(KIND, "chk-1/b", false, None);
        spoilt.meet(KIND, "chk-1/b");
        assert_eq!(spoilt.met(KIND, "chk-1/b"), 3, "spoilt again");
    }
}
