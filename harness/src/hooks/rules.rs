//! Rules about how the durable stores of a run on real processes misbehave: whom they hurt, and how often. Pure.
//!
//! Start at [`Rules::treat`]: a request is hurt at most once in each [`Way`], by the oldest rule that matches, as in the simulator.
//! Reads and listings of the past, and writes that vanish later, are not offered: the folder of a store has no past.

use std::time::Duration;

use flowquake_engine::env::StoreKind;
use flowquake_engine::fault::{StoreFault, StoreRule};
use flowquake_engine::time::Time;

use super::words::{Access, Spoilt};
use crate::nemesis::Hurt;

/// In which way a fault hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// How long a request takes.
    Delay,
    /// How fast its bytes travel.
    Rate,
    /// Whether the store answers at all.
    Outage,
    /// What is written.
    Contents,
}

fn way(fault: StoreFault, access: Access) -> Option<Way> {
    use Access::{Put, Rename};
    match (fault, access) {
        (StoreFault::Slow(_), _) => Some(Way::Delay),
        (StoreFault::Throttled(_), _) => Some(Way::Rate),
        (StoreFault::Unavailable, _) => Some(Way::Outage),
        (StoreFault::FailedWrite | StoreFault::AmbiguousWrite | StoreFault::NoSpace, Put | Rename) => {
            Some(Way::Contents)
        }
        // A new name is there or it is not: only bytes can be torn.
        (StoreFault::TornWrite, Put) => Some(Way::Contents),
        _ => None,
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Treatment {
    /// It waits for so long.
    pub(super) wait: Duration,
    /// It waits for the end of this rule.
    pub(super) outage: Option<usize>,
    /// What is done to it.
    pub(super) spoilt: Option<Spoilt>,
}

#[derive(Debug)]
struct Rule {
    rule: StoreRule,
    hits: u32,
    last: Option<Time>,
    /// Who asked for what when it was applied last.
    shown: String,
    ended: bool,
}

/// Every rule of a run, by its number.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn add(&mut self, rule: StoreRule) -> usize {
        self.0.push(Rule { rule, hits: 0, last: None, shown: String::new(), ended: false });
        self.0.len() - 1
    }

    pub(super) fn end(&mut self, rule: usize) {
        self.0.get_mut(rule).into_iter().for_each(|rule| rule.ended = true);
    }

    pub(super) fn has_ended(&self, rule: usize) -> bool {
        self.0.get(rule).is_none_or(|rule| rule.ended)
    }

    /// Whether one may still hurt something.
    pub(super) fn stand(&self) -> bool {
        self.0.iter().any(|rule| !rule.ended && rule.rule.count.is_none_or(|count| rule.hits < count))
    }

    pub(super) fn hits(&self, rule: usize) -> Hurt {
        self.0.get(rule).map_or((0, None), |rule| (rule.hits, rule.last))
    }

    /// What shows that a rule was applied.
    pub(super) fn shown(&self, rule: usize) -> String {
        self.0.get(rule).map_or_else(String::new, |rule| rule.shown.clone())
    }

    /// What becomes of a request of `node`, whose rules are counted.
    pub(super) fn treat(
        &mut self,
        store: StoreKind,
        node: &str,
        access: Access,
        path: &str,
        bytes: u64,
        now: Time,
    ) -> Treatment {
        let mut treatment = Treatment::default();
        if let Some((_, StoreFault::Slow(more))) = self.hit(store, node, access, path, Way::Delay, now) {
            treatment.wait += more;
        }
        if bytes > 0
            && let Some((_, StoreFault::Throttled(rate))) = self.hit(store, node, access, path, Way::Rate, now)
        {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            treatment.wait += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
        if let Some((rule, _)) = self.hit(store, node, access, path, Way::Outage, now) {
            return Treatment { outage: Some(rule), spoilt: Some(Spoilt::Unavailable), ..treatment };
        }
        treatment.spoilt = self.hit(store, node, access, path, Way::Contents, now).and_then(|(_, fault)| match fault {
            StoreFault::FailedWrite => Some(Spoilt::Failed),
            StoreFault::NoSpace => Some(Spoilt::NoSpace),
            StoreFault::AmbiguousWrite => Some(Spoilt::Ambiguous),
            StoreFault::TornWrite => Some(Spoilt::Torn),
            _ => None,
        });
        treatment
    }

    fn hit(
        &mut self,
        store: StoreKind,
        node: &str,
        access: Access,
        path: &str,
        wanted: Way,
        now: Time,
    ) -> Option<(usize, StoreFault)> {
        let (number, rule) = self.0.iter_mut().enumerate().find(|(_, Rule { rule, hits, ended, .. })| {
            !ended
                && rule.count.is_none_or(|count| *hits < count)
                && rule.store.is_none_or(|of| of == store)
                && rule.node.as_ref().is_none_or(|only| only == node)
                && way(rule.fault, access) == Some(wanted)
        })?;
        rule.hits += 1;
        rule.last = Some(now);
        rule.shown = format!("{node} asked for {access:?} {path} and was answered so");
        Some((number, rule.rule.fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: StoreKind = StoreKind::Output;

    #[test]
    fn a_rule_hurts_its_store_its_node_its_requests_and_no_more_than_its_count() {
        let rule = |fault, count| StoreRule { store: Some(KIND), node: Some("a".into()), fault, count };
        let mut rules = Rules::default();
        let first = rules.add(rule(StoreFault::FailedWrite, Some(2)));
        let second = rules.add(StoreRule { store: None, node: None, ..rule(StoreFault::NoSpace, None) });
        let mut spoilt = |store, node, access| rules.treat(store, node, access, "p", 1, Time(5)).spoilt;
        assert_eq!(spoilt(KIND, "a", Access::Read), None);
        assert_eq!(spoilt(KIND, "b", Access::Put), Some(Spoilt::NoSpace));
        assert_eq!(spoilt(StoreKind::Checkpoints, "a", Access::Put), Some(Spoilt::NoSpace));
        assert_eq!(spoilt(KIND, "a", Access::Rename), Some(Spoilt::Failed));
        assert_eq!(spoilt(KIND, "a", Access::Put), Some(Spoilt::Failed));
        assert_eq!(spoilt(KIND, "a", Access::Put), Some(Spoilt::NoSpace), "twice is enough");
        assert_eq!((rules.hits(first), rules.hits(second).0), ((2, Some(Time(5))), 3));
        assert_eq!(rules.shown(first), "a asked for Put p and was answered so");
        assert!(rules.stand());
        rules.end(second);
        assert!(!rules.stand());
        assert_eq!(rules.treat(KIND, "b", Access::Put, "p", 1, Time(5)), Treatment::default());
    }

    #[test]
    fn waits_add_up_and_an_outage_is_waited_for() {
        let rule = |fault| StoreRule { store: None, node: None, fault, count: None };
        let mut rules = Rules::default();
        rules.add(rule(StoreFault::Slow(Duration::from_millis(30))));
        rules.add(rule(StoreFault::Throttled(1_000)));
        let treated = rules.treat(KIND, "a", Access::Put, "p", 10, Time(5));
        assert_eq!(treated, Treatment { wait: Duration::from_millis(40), ..Treatment::default() });
        let outage = rules.add(rule(StoreFault::Unavailable));
        let treated = rules.treat(KIND, "a", Access::Delete, "p", 0, Time(5));
        assert_eq!((treated.outage, treated.spoilt), (Some(outage), Some(Spoilt::Unavailable)));
        assert!(!rules.has_ended(outage));
        rules.end(outage);
        assert!(rules.has_ended(outage));
    }
}
