//! What is armed and has hurt nothing yet: rules about messages and requests, and user code. They have struck once they have
//! hurt something (N4), which is seen here: from the rules' own counts, and of user code from the failures of tasks.
//!
//! A rule tells how often it was applied and when last. It is asked at every event, so the last time at the first sight is the
//! first time, unless it is applied twice between two events.

use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ids::Attempt;
use flowquake_engine::time::Time;

use super::{Blow, Cluster, Hit, Nemesis};

/// What was armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Armed {
    /// A rule about control messages.
    Messages(usize),
    /// A rule about requests to a store.
    Requests(usize),
    /// User code, on one node or (poison) on any.
    UserCode(Option<String>),
}

/// Something armed, and what is to be said of it once it has hurt.
#[derive(Debug)]
pub(super) struct Watched {
    armed: Armed,
    fault: usize,
    position: String,
    role: &'static str,
    target: String,
    detail: String,
    /// After so many times it is over; `None`: when it is ended.
    limit: Option<u32>,
    seen: u32,
    /// Of the fault's strike.
    hit: Option<usize>,
    /// Of user code: the attempt that failed last. Whatever else fails in one attempt follows from the first failure.
    failed: Option<Attempt>,
}

impl Watched {
    pub(super) fn new(blow: &Blow, armed: Armed, role: &'static str, target: String, detail: String) -> Self {
        let (fault, position) = (blow.fault, blow.origin.position.clone());
        Self { armed, fault, position, role, target, detail, limit: None, seen: 0, hit: None, failed: None }
    }

    pub(super) fn at_most(self, limit: Option<u32>) -> Self {
        Self { limit, ..self }
    }
}

impl Nemesis {
    /// Keeps an eye on something armed.
    pub(super) fn watch(&mut self, watched: Watched) {
        self.strikes[watched.fault].missed = "nothing came that it could hurt".into();
        self.watched.push(watched);
    }

    /// Asks the rules what they have hurt.
    pub(super) fn look(&mut self, world: &dyn Cluster) {
        for mut watched in std::mem::take(&mut self.watched) {
            let (count, last) = match watched.armed {
                Armed::Messages(rule) => world.message_rule_hits(rule),
                Armed::Requests(rule) => world.store_rule_hits(rule),
                Armed::UserCode(_) => (watched.seen, None),
            };
            if let Some(last) = last.filter(|_| count > watched.seen) {
                self.hurt(&mut watched, count, last);
            }
            self.keep(watched);
        }
    }

    /// User code that fails makes its task fail: the next one to fail, in each attempt, is taken to be that.
    pub(super) fn look_at_failures(&mut self, record: &EventRecord) {
        let Event::TaskFailed { attempt, .. } = record.event else { return };
        for mut watched in std::mem::take(&mut self.watched) {
            let here = match &watched.armed {
                Armed::UserCode(node) => node.as_ref().is_none_or(|node| node == record.node.as_str()),
                _ => false,
            };
            if here && watched.failed != Some(attempt) {
                watched.failed = Some(attempt);
                let count = watched.seen + 1;
                self.hurt(&mut watched, count, record.at);
            }
            self.keep(watched);
        }
    }

    /// A rule about requests was taken back.
    pub(super) fn stop_looking(&mut self, rule: usize, now: Time) {
        let ended = self.watched.iter().position(|watched| watched.armed == Armed::Requests(rule));
        if let Some(ended) = ended.map(|index| self.watched.remove(index))
            && let Some(hit) = ended.hit
        {
            self.strikes[ended.fault].hits[hit].healed_at = Some(now);
        }
    }

    fn hurt(&mut self, watched: &mut Watched, count: u32, last: Time) {
        watched.seen = count;
        let hits = &mut self.strikes[watched.fault].hits;
        let hit = *watched.hit.get_or_insert_with(|| {
            hits.push(Hit {
                at: last,
                position: watched.position.clone(),
                role: watched.role,
                target: watched.target.clone(),
                detail: String::new(),
                healed_at: None,
            });
            hits.len() - 1
        });
        hits[hit].detail = match count {
            1 => format!("{}, once", watched.detail),
            count => format!("{}, {count} times", watched.detail),
        };
        hits[hit].healed_at = watched.limit.filter(|limit| count >= *limit).map(|_| last);
    }

    fn keep(&mut self, watched: Watched) {
        if watched.limit.is_none_or(|limit| watched.seen < limit) {
            self.watched.push(watched);
        }
    }
}
