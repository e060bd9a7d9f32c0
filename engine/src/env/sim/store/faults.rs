//! Rules about how the durable stores misbehave: which requests they hurt, how often, and what they leave behind.
//! Pure.
//!
//! Start at [`Faults::hit`]. It is called once per way in which a request can be hurt (its speed, the store's
//! availability, its contents) and returns the first rule that matches. The store carries out what a rule does to
//! contents and records it here, so that it can be listed ([`Faults::hurt`]), and undone or completed when the rule
//! ends ([`Faults::end`]).
//!
//! Invariants: (STORE-F1) a rule hurts at most `count` requests, and none after it was taken back; (STORE-F2) a
//! request is hurt at most once in each way, by the oldest rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::SentWrite;
use crate::env::StoreKind;
use crate::fault::{StoreFault, StoreRule};
use crate::ids::NodeName;
use crate::time::Time;

/// Time after which a client gives up an unanswered request (the default of `object_store`'s HTTP client).
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads an object, or asks whether it exists.
    Read,
    /// Lists the names of objects.
    List,
    /// Writes a new object.
    Put,
    /// Renames or copies an object; no bytes travel.
    Rename,
    /// Deletes an object.
    Delete,
}

/// The aspect of a request that a fault hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// How long a request takes.
    Delay,
    /// How fast its bytes travel.
    Rate,
    /// Whether the store answers at all.
    Outage,
    /// What is written or seen.
    Contents,
}

/// The way in which `fault` hurts a request of this kind; `None` if it does not.
fn way(fault: StoreFault, access: Access) -> Option<Way> {
    use Access::*;
    match (fault, access) {
        (StoreFault::Slow(_), _) => Some(Way::Delay),
        (StoreFault::Throttled(_), _) => Some(Way::Rate),
        (StoreFault::Unavailable, _) => Some(Way::Outage),
        (StoreFault::FailedWrite | StoreFault::AmbiguousWrite, Put | Rename) => Some(Way::Contents),
        (StoreFault::LostWrite | StoreFault::NoSpace, Put | Rename) => Some(Way::Contents),
        // Only bytes can be torn. A rename either happens or does not.
        (StoreFault::TornWrite, Put) => Some(Way::Contents),
        (StoreFault::StaleRead(_), Read) => Some(Way::Contents),
        (StoreFault::LaggingList(_), List) => Some(Way::Contents),
        _ => None,
    }
}

/// Every rule of a run, by number, and the log of writes if it is switched on.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Rule>, Option<Vec<SentWrite>>);

#[derive(Debug)]
struct Rule {
    rule: StoreRule,
    hits: u32,
    /// Number of requests whose outcome the rule changed.
    harm: u64,
    last: Option<Time>,
    ended: bool,
    /// Wakes requests that wait for the end of the rule.
    end: Arc<Notify>,
    /// Objects that vanish when the rule ends. A lost rename is undone, and the value is then the old name.
    lost: BTreeMap<(StoreKind, String), Option<String>>,
    /// Objects that differ, or will differ, from what their writer was told.
    hurt: BTreeSet<(StoreKind, String)>,
}

/// A request that was hurt.
#[derive(Debug)]
pub(super) struct Hit {
    /// The rule.
    pub(super) rule: usize,
    /// The fault.
    pub(super) fault: StoreFault,
    /// Notified when the rule is withdrawn.
    pub(super) end: Arc<Notify>,
}

/// What the end of a rule does to an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// The store.
    pub(super) kind: StoreKind,
    /// The object that vanishes.
    pub(super) path: String,
    /// The name under which its contents reappear, if they do.
    pub(super) back_at: Option<String>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: StoreRule) -> usize {
        self.0.push(Rule {
            rule,
            hits: 0,
            harm: 0,
            last: None,
            ended: false,
            end: Arc::default(),
            lost: BTreeMap::new(),
            hurt: BTreeSet::new(),
        });
        self.0.len() - 1
    }

    /// The rule that hurts a request in one way, if there is one; counts the hit.
    pub(super) fn hit(
        &mut self,
        kind: StoreKind,
        node: &NodeName,
        access: Access,
        wanted: Way,
        now: Time,
    ) -> Option<Hit> {
        if let (Some(log), Way::Contents, Access::Put | Access::Rename) = (&mut self.1, wanted, access) {
            log.push(SentWrite { at: now, store: kind, node: node.clone() });
        }
        let (number, rule) = self.0.iter_mut().enumerate().find(|(_, Rule { rule, hits, ended, .. })| {
            !ended
                && rule.count.is_none_or(|count| *hits < count)
                && rule.store.is_none_or(|store| store == kind)
                && rule.node.as_ref().is_none_or(|only| only == node.as_str())
                && way(rule.fault, access) == Some(wanted)
        })?;
        rule.hits += 1;
        rule.last = Some(now);
        Some(Hit { rule: number, fault: rule.rule.fault, end: rule.end.clone() })
    }

    /// Starts logging writes.
    pub(super) fn log_writes(&mut self) {
        self.1 = Some(Vec::new());
    }

    /// Returns what was logged, and stops logging.
    pub(super) fn take_writes(&mut self) -> Vec<SentWrite> {
        self.1.take().unwrap_or_default()
    }

    pub(super) fn hits(&self, rule: usize) -> (u32, Option<Time>) {
        self.0.get(rule).map_or((0, None), |rule| (rule.hits, rule.last))
    }

    /// Counts a request whose outcome the rule changed.
    pub(super) fn harms(&mut self, rule: usize) {
        if let Some(rule) = self.0.get_mut(rule) {
            rule.harm += 1;
        }
    }

    pub(super) fn harm(&self, rule: usize) -> u64 {
        self.0.get(rule).map_or(0, |rule| rule.harm)
    }

    pub(super) fn hurt(&self, rule: usize) -> Vec<(StoreKind, String)> {
        self.0.get(rule).map_or(Vec::new(), |rule| rule.hurt.iter().cloned().collect())
    }

    /// An object was written torn.
    pub(super) fn torn(&mut self, rule: usize, kind: StoreKind, path: &str) {
        self.0[rule].hurt.insert((kind, path.into()));
    }

    /// An object was written, or renamed from `renamed`, and will vanish.
    pub(super) fn lost(&mut self, rule: usize, kind: StoreKind, path: &str, renamed: Option<&str>) {
        let rule = &mut self.0[rule];
        // If the contents will vanish anyway, they do not reappear under the old name.
        let contents_lost = renamed.is_some_and(|from| rule.lost.remove(&(kind, from.into())).is_some());
        let back_at = renamed.filter(|_| !contents_lost).map(str::to_owned);
        rule.lost.insert((kind, path.into()), back_at);
        rule.hurt.insert((kind, path.into()));
    }

    /// An object that will vanish was renamed: the new name will vanish instead.
    pub(super) fn renamed(&mut self, kind: StoreKind, from: &str, to: &str) {
        for rule in self.0.iter_mut().filter(|rule| !rule.ended) {
            if rule.lost.remove(&(kind, from.into())).is_some() {
                rule.lost.insert((kind, to.into()), None);
                rule.hurt.insert((kind, to.into()));
            }
        }
    }

    /// An object was deleted or overwritten durably.
    pub(super) fn replaced(&mut self, kind: StoreKind, path: &str) {
        for rule in &mut self.0 {
            rule.lost.remove(&(kind, path.into()));
        }
    }

    /// Withdraws a rule; returns what vanishes with it, in order of the paths.
    pub(super) fn end(&mut self, rule: usize) -> Vec<Loss> {
        let Some(rule) = self.0.get_mut(rule) else { return Vec::new() };
        rule.ended = true;
        rule.end.notify_waiters();
        let lost = std::mem::take(&mut rule.lost).into_iter();
        lost.map(|((kind, path), back_at)| Loss { kind, path, back_at }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: StoreKind = StoreKind::Output;

    fn rule(fault: StoreFault, count: Option<u32>) -> StoreRule {
        StoreRule { store: Some(KIND), node: Some("a".into()), fault, count }
    }

    fn hit(faults: &mut Faults, kind: StoreKind, node: &str, access: Access) -> Option<StoreFault> {
        faults.hit(kind, &node.into(), access, Way::Contents, Time(5)).map(|hit| hit.fault)
    }

    #[test]
    fn a_rule_hurts_its_store_its_node_its_requests_and_no_more_than_its_count() {
        let mut faults = Faults::default();
        let first = faults.add(rule(StoreFault::FailedWrite, Some(2)));
        let second = faults.add(StoreRule { store: None, node: None, ..rule(StoreFault::NoSpace, None) });
        assert_eq!(hit(&mut faults, KIND, "a", Access::Read), None);
        assert_eq!(hit(&mut faults, KIND, "a", Access::Delete), None);
        assert_eq!(hit(&mut faults, KIND, "b", Access::Put), Some(StoreFault::NoSpace));
        assert_eq!(hit(&mut faults, StoreKind::Checkpoints, "a", Access::Put), Some(StoreFault::NoSpace));
        for _ in 0..2 {
            assert_eq!(hit(&mut faults, KIND, "a", Access::Rename), Some(StoreFault::FailedWrite), "STORE-F2");
        }
        assert_eq!(hit(&mut faults, KIND, "a", Access::Put), Some(StoreFault::NoSpace), "STORE-F1");
        assert_eq!(faults.hits(first), (2, Some(Time(5))));
        assert_eq!(faults.hits(second).0, 3);
        faults.end(second);
        assert_eq!(hit(&mut faults, KIND, "b", Access::Put), None, "STORE-F1");
        assert_eq!(faults.hits(99), (0, None));
    }

    #[test]
    fn a_lost_rename_is_undone_unless_the_contents_are_lost_too() {
        let mut faults = Faults::default();
        let rule = faults.add(rule(StoreFault::LostWrite, None));
        faults.lost(rule, KIND, "new", None);
        faults.lost(rule, KIND, "published", Some("new"));
        faults.lost(rule, KIND, "part", Some("old"));
        faults.lost(rule, KIND, "deleted", None);
        faults.replaced(KIND, "deleted");
        faults.lost(rule, KIND, "moved", None);
        faults.renamed(KIND, "moved", "there");
        let loss = |path: &str, back_at: Option<&str>| Loss {
            kind: KIND,
            path: path.into(),
            back_at: back_at.map(str::to_owned),
        };
        let expected = [loss("part", Some("old")), loss("published", None), loss("there", None)];
        assert_eq!(faults.end(rule), expected);
        assert_eq!(faults.end(rule), [], "once");
    }
}
