//! Watches what is armed and has hurt nothing yet: rules about messages and requests, and user code. They count as
//! having struck only once they have hurt something (NEMESIS-N4), which is read here from their own counts.
//!
//! A rule says how often it was applied, and when it was applied last. It is asked at every event, so the last time is
//! also the first time when a count is first seen, unless the rule was applied twice between two events. User code
//! gives no times; the time of the next event is taken.

use flowquake_engine::time::Time;

use super::{Blow, Cluster, Harm, Hit, Nemesis, offered};
use crate::jobs::UserCodeHit;

/// What was armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Armed {
    /// A rule about control messages.
    Messages(usize),
    /// A rule about requests to a store.
    Requests(usize),
    /// User code on a node.
    OnNode(String),
    /// User code that is given this record of a split.
    OnRecord(u32, u64),
}

/// Something armed, and what to note once it has hurt something.
#[derive(Debug)]
pub(crate) struct Watched {
    armed: Armed,
    fault: usize,
    position: String,
    role: &'static str,
    target: String,
    detail: String,
    /// What is hurt, if it is counted here; `None`: it is claimed from the world.
    harm: Option<Harm>,
    /// It is over after this many times, if it does not end before; `None`: it lasts until it is ended.
    limit: Option<u32>,
    /// For user code: failures that belong to faults before this one.
    before: u32,
    seen: u32,
    /// Index of the hit, once there is one.
    hit: Option<usize>,
}

impl Watched {
    pub(crate) fn new(blow: &Blow, armed: Armed, role: &'static str, target: String, detail: String) -> Self {
        let (fault, position) = (blow.fault, blow.origin.position.clone());
        Self { armed, fault, position, role, target, detail, harm: None, limit: None, before: 0, seen: 0, hit: None }
    }

    /// Each application of the rule hurts one of `harm`.
    pub(crate) fn harming(self, harm: Harm) -> Self {
        Self { harm: Some(harm), ..self }
    }

    pub(crate) fn at_most(self, limit: Option<u32>) -> Self {
        Self { limit, ..self }
    }
}

impl Nemesis {
    /// Starts watching something armed.
    pub(crate) fn watch(&mut self, mut watched: Watched) {
        // Orders for one node are obeyed one after another, so orders that are still waiting come first.
        let waiting = self.watched.iter().filter(|other| other.armed == watched.armed).count() as u32;
        watched.before = waiting.saturating_add(failures(&self.user_code.hits(), &watched.armed));
        self.strikes[watched.fault].missed = "nothing came that it could hurt".into();
        self.watched.push(watched);
    }

    /// Looks at what was hurt by now.
    pub(super) fn look(&mut self, world: &dyn Cluster, now: Time) {
        if self.watched.is_empty() {
            return;
        }
        let failed = self.user_code.hits();
        for mut watched in std::mem::take(&mut self.watched) {
            let (count, last) = match &watched.armed {
                Armed::Messages(rule) => offered(world.messages()).message_rule_hits(*rule),
                Armed::Requests(rule) => offered(world.stores()).store_rule_hits(*rule),
                armed @ (Armed::OnNode(_) | Armed::OnRecord(..)) => {
                    let count = failures(&failed, armed).saturating_sub(watched.before);
                    (count.min(watched.limit.unwrap_or(u32::MAX)), Some(now))
                }
            };
            if let Some(last) = last.filter(|_| count > watched.seen) {
                let shown = match &watched.armed {
                    Armed::Messages(_) => String::new(),
                    Armed::Requests(rule) => offered(world.stores()).store_rule_shown(*rule),
                    armed => because(&failed, armed)
                        .nth(watched.before as usize)
                        .map_or_else(String::new, |hit| world.user_code_shown(hit)),
                };
                self.hurt(&mut watched, count, last, shown);
            }
            if watched.limit.is_none_or(|limit| watched.seen < limit) {
                self.watched.push(watched);
            }
        }
    }

    /// Stops watching a rule that was taken back.
    pub(crate) fn stop_looking(&mut self, rule: Armed, now: Time) {
        self.stop(now, |armed| *armed == rule);
    }

    /// Takes back all orders for user code to fail.
    pub(super) fn disarm_user_code(&mut self, now: Time) {
        self.user_code.disarm_all();
        self.stop(now, |armed| matches!(armed, Armed::OnNode(_) | Armed::OnRecord(..)));
    }

    fn stop(&mut self, now: Time, which: impl Fn(&Armed) -> bool) {
        let ended = self.watched.extract_if(.., |watched| which(&watched.armed));
        for (fault, hit) in ended.filter_map(|watched| Some((watched.fault, watched.hit?))) {
            self.strikes[fault].hits[hit].healed_at = Some(now);
        }
    }

    fn hurt(&mut self, watched: &mut Watched, count: u32, last: Time, shown: String) {
        let more = u64::from(count.saturating_sub(watched.seen));
        watched.seen = count;
        // A request that a rule applied to may still have been answered as usual. For requests, what was hurt is
        // therefore claimed from the world.
        if let Some(harm) = watched.harm {
            self.harmed(watched.fault, harm, more);
        }
        let hits = &mut self.strikes[watched.fault].hits;
        let hit = *watched.hit.get_or_insert_with(|| {
            hits.push(Hit {
                at: last,
                position: watched.position.clone(),
                role: watched.role,
                target: watched.target.clone(),
                detail: String::new(),
                healed_at: None,
                receipt: shown,
                doubt: None,
            });
            hits.len() - 1
        });
        hits[hit].detail = match count {
            1 => format!("{}, once", watched.detail),
            count => format!("{}, {count} times", watched.detail),
        };
        hits[hit].healed_at = watched.limit.filter(|limit| count >= *limit).map(|_| last);
    }
}

/// Failures of user code because of what was armed.
fn because<'h>(hits: &'h [UserCodeHit], armed: &'h Armed) -> impl Iterator<Item = &'h UserCodeHit> {
    hits.iter().filter(move |hit| match armed {
        Armed::OnNode(node) => !hit.poisoned && hit.node == *node,
        Armed::OnRecord(split, position) => hit.poisoned && (hit.split, hit.position) == (*split, *position),
        Armed::Messages(_) | Armed::Requests(_) => false,
    })
}

/// How often user code has failed because of what was armed.
fn failures(hits: &[UserCodeHit], armed: &Armed) -> u32 {
    because(hits, armed).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::UserFailure;

    #[test]
    fn failures_of_user_code_are_told_apart_by_their_order() {
        let hit = |node: &str, position, poisoned| {
            let (node, how) = (node.to_owned(), UserFailure::Error);
            UserCodeHit { node, split: 1, position, how, poisoned }
        };
        let hits = [hit("tm-1", 7, false), hit("tm-1", 7, true), hit("tm-2", 7, true), hit("tm-1", 9, false)];
        assert_eq!(failures(&hits, &Armed::OnNode("tm-1".into())), 2);
        assert_eq!(failures(&hits, &Armed::OnNode("tm-2".into())), 0);
        assert_eq!(failures(&hits, &Armed::OnRecord(1, 7)), 2);
        assert_eq!(failures(&hits, &Armed::OnRecord(0, 7)), 0);
        assert_eq!(failures(&hits, &Armed::Requests(0)), 0);
    }
}
