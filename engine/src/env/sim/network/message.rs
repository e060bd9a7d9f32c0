//! Rules about control messages: some are lost, delayed or duplicated, by kind and node.
//!
//! Start at [`Network::transmit_by_rules`]; messages come here only while a rule or the log is active. A TaskManager
//! opens the control connection, so the opener sends reports and the other side sends orders. The sender's buffer does
//! not notice a rule: a lost message counts as read, a delayed one is in the network, and a duplicate is read like any
//! other frame.

use std::time::Duration;

use super::super::super::Frame;
use super::super::SentMessage;
use super::Network;
use crate::fault::{MessageFault, MessageRule};
use crate::message_kind::MessageKind;
use crate::time::Time;

/// All rules of a run, by number.
#[derive(Default)]
pub(super) struct MessageRules {
    rules: Vec<AppliedRule>,
    /// Number of rules that can still hurt messages.
    active: usize,
    /// The messages that were sent, if they are logged.
    log: Option<Vec<SentMessage>>,
}

struct AppliedRule {
    rule: MessageRule,
    hits: u32,
    last_hit: Option<Time>,
    /// Whether the rule was withdrawn.
    ended: bool,
}

impl AppliedRule {
    fn is_active(&self) -> bool {
        !self.ended && self.hits < self.rule.count
    }

    fn concerns(&self, kind: MessageKind, ends: [&str; 2]) -> bool {
        self.rule.kind == kind && self.rule.node.as_deref().is_none_or(|node| ends.contains(&node))
    }
}

impl MessageRules {
    /// Whether messages have to be inspected.
    pub(super) fn any_active(&self) -> bool {
        self.active > 0 || self.log.is_some()
    }

    pub(super) fn add(&mut self, rule: MessageRule) -> usize {
        let added = AppliedRule { rule, hits: 0, last_hit: None, ended: false };
        self.active += usize::from(added.is_active());
        self.rules.push(added);
        self.rules.len() - 1
    }

    /// Withdraws a rule; does nothing if the rule has ended or does not exist.
    pub(super) fn end(&mut self, rule: usize) {
        let Some(applied) = self.rules.get_mut(rule) else { return };
        self.active -= usize::from(applied.is_active());
        applied.ended = true;
    }

    /// How often the rule was applied, and the last time; never, if there is no such rule.
    pub(super) fn hits(&self, rule: usize) -> (u32, Option<Time>) {
        self.rules.get(rule).map_or((0, None), |applied| (applied.hits, applied.last_hit))
    }

    /// What happens to a message. If several rules concern it, the oldest one is applied.
    fn apply(&mut self, kind: MessageKind, ends: [&str; 2], now: Time) -> Option<MessageFault> {
        let applied = self.rules.iter_mut().find(|applied| applied.is_active() && applied.concerns(kind, ends))?;
        applied.hits += 1;
        applied.last_hit = Some(now);
        self.active -= usize::from(!applied.is_active());
        Some(applied.rule.fault)
    }
}

impl Network {
    /// Sends a control message as the rules say.
    pub(super) fn transmit_by_rules(&mut self, id: usize, side: usize, frame: &Frame, now: Time) {
        match self.message_fault(id, side, frame, now) {
            None => self.transmit(id, side, frame.clone(), now),
            Some(MessageFault::Lose) => {}
            Some(MessageFault::Delay(by)) => self.transmit_late(id, side, frame.clone(), by, now),
            Some(MessageFault::DuplicateLate(by)) => {
                self.transmit(id, side, frame.clone(), now);
                self.transmit_late(id, side, frame.clone(), by, now);
            }
            Some(MessageFault::Duplicate) => {
                self.transmit(id, side, frame.clone(), now);
                let weights = self.weights;
                let conn = self.connections[id].as_mut().expect("held by its sender");
                conn.pipes[side].repeat_last(|frame| weights.frame(false, frame));
            }
        }
    }

    fn message_fault(&mut self, id: usize, side: usize, frame: &Frame, now: Time) -> Option<MessageFault> {
        let kind = self.contents.message_kind(frame, side == 0)?;
        let conn = self.connections[id].as_ref().expect("held by its sender");
        let ends = [0, 1].map(|side: usize| self.nodes[conn.sides[side].node].name.as_str());
        if let Some(log) = &mut self.messages.log {
            log.push(SentMessage { at: now, kind, from: ends[side].into(), to: ends[1 - side].into() });
        }
        self.messages.apply(kind, ends, now)
    }

    /// Starts logging control messages.
    pub(in crate::env::sim) fn log_messages(&mut self) {
        self.messages.log = Some(Vec::new());
    }

    /// Returns what was logged, and stops logging.
    pub(in crate::env::sim) fn take_messages(&mut self) -> Vec<SentMessage> {
        self.messages.log.take().unwrap_or_default()
    }

    /// Sends a message that arrives late. Behind a cut, the heal may move the arrival further.
    fn transmit_late(&mut self, id: usize, side: usize, frame: Frame, by: Duration, now: Time) {
        let conn = self.connections[id].as_ref().expect("held by its sender");
        let (from, to) = (conn.sides[side].node, conn.sides[1 - side].node);
        if self.is_cut(from, to) {
            self.links[from][to].harm.held += 1;
        }
        let at = now + by + self.latency(from, to);
        self.connections[id].as_mut().expect("held by its sender").pipes[side].add_late(at, frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_is_looked_into_once_every_rule_has_ended() {
        let rule = |count| MessageRule { kind: MessageKind::Trigger, node: None, fault: MessageFault::Lose, count };
        let mut rules = MessageRules::default();
        rules.add(rule(0));
        assert!(!rules.any_active());
        let number = rules.add(rule(2));
        for at in [Time(1), Time(2)] {
            assert!(rules.any_active());
            assert_eq!(rules.apply(MessageKind::Notify, ["a", "b"], at), None);
            assert_eq!(rules.apply(MessageKind::Trigger, ["a", "b"], at), Some(MessageFault::Lose));
        }
        assert!(!rules.any_active());
        assert_eq!(rules.apply(MessageKind::Trigger, ["a", "b"], Time(3)), None);
        assert_eq!(rules.hits(number), (2, Some(Time(2))));
        let taken_back = rules.add(rule(2));
        assert_eq!(rules.apply(MessageKind::Trigger, ["a", "b"], Time(4)), Some(MessageFault::Lose));
        assert!(rules.any_active());
        for ended in [taken_back, taken_back, number, taken_back + 1] {
            rules.end(ended);
            assert!(!rules.any_active());
        }
        assert_eq!(rules.apply(MessageKind::Trigger, ["a", "b"], Time(5)), None);
        assert_eq!(rules.hits(taken_back), (1, Some(Time(4))));
    }
}
