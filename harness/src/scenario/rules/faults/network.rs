//! Rules for faults of links and messages: two ends, and something that passes between them.

use std::time::Duration;

use crate::checker::Known;
use crate::checker::{Finding, Rules};
use crate::plan::NodeTarget;
use crate::units;

impl Rules<'_> {
    pub(super) fn cut(&mut self, from: &[NodeTarget], to: &[NodeTarget]) {
        for (side, name) in [(from, "from"), (to, "to")] {
            if side.is_empty() {
                let finding = Finding::new("no-effect", "one side of the cut is empty", "name at least one node");
                self.push(finding.at(self.at(&format!("cut.{name}")), "empty"));
                return;
            }
        }
        if let ([from], [to]) = (from, to) {
            return self.link(from, to, "cut.from", "cut.to");
        }
        // Both sides are written in one value: one complaint about it is enough.
        for (side, below) in [(from, "cut.from"), (to, "cut.to")] {
            if !side.iter().all(|target| self.target_exists(target, below)) {
                return;
            }
        }
        let all: Vec<&NodeTarget> = from.iter().chain(to).collect();
        for (index, target) in all.iter().enumerate() {
            let same = |before: &&&NodeTarget| **before == *target || self.known(before).is(&self.known(target));
            if all[..index].iter().any(|before| same(&before)) {
                let message = format!("{} is named twice in this cut", self.known(target).describe());
                let help = format!("name each node once, on one side; there are {}", self.nodes());
                let finding =
                    Finding::new("sets-overlap", message, help).at(self.at("cut.from"), "the same node twice");
                self.push(finding.given(self.at("cut.to")).given(self.trigger_path()));
                return;
            }
        }
        self.something_passes(from, to, "cut.from", "cut.to");
    }

    /// A single link.
    pub(super) fn link(&mut self, from: &NodeTarget, to: &NodeTarget, from_at: &str, to_at: &str) {
        let from_exists = self.target_exists(from, from_at);
        // Both ends are written in one value: one complaint about a lone `emitter` is enough.
        let to_exists = if from == to { from_exists } else { self.target_exists(to, to_at) };
        if !(from_exists && to_exists) {
            return;
        }
        let (one, other) = (self.known(from), self.known(to));
        if one.is(&other) || (from == to && one != Known::Unknown) {
            let message = format!("this link joins {} to itself", one.describe());
            let help = format!("name two different nodes; there are {}", self.nodes());
            let finding = Finding::new("link-to-itself", message, help).at(self.at(from_at), "the same node twice");
            self.push(finding.given(self.at(to_at)).given(self.trigger_path()).given("cluster.job_managers"));
            return;
        }
        self.something_passes(std::slice::from_ref(from), std::slice::from_ref(to), from_at, to_at);
    }

    /// JobManagers meet in the store only.
    fn something_passes(&mut self, from: &[NodeTarget], to: &[NodeTarget], from_at: &str, to_at: &str) {
        let idle = from.iter().chain(to).all(|target| self.known(target).is_job_manager() == Some(true));
        if idle {
            let message = "JobManagers say nothing to each other: nothing passes here that could be hurt";
            let help = "strike a link to a TaskManager; or cut a JobManager off from the checkpoint store, where the log \
                        of leadership is: do = \"store-unavailable\"";
            let finding = Finding::new("idle-link", message, help).at(self.at(from_at), "nothing passes here");
            self.push(finding.given(self.at(to_at)).given(self.trigger_path()));
        }
    }

    pub(super) fn link_properties(&mut self, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) {
        if latency.is_none() && bandwidth.is_none() {
            let message = "neither `latency` nor `bandwidth` is given: the link would stay as it is";
            let finding = Finding::new("no-effect", message, "give one of them");
            self.push(finding.at(self.at("link"), "changes nothing"));
        }
        if let Some((low, high)) = latency.filter(|(low, high)| low > high) {
            let (low, high) = (units::format_duration(low), units::format_duration(high));
            let message = format!("`latency` runs from {low} down to {high}");
            let finding = Finding::new("no-effect", message, format!("write the smaller one first: \"{high}..{low}\""));
            self.push(finding.at(self.at("link.latency"), "ends are swapped"));
        }
        if bandwidth == Some(0) {
            let help = "write a bandwidth above zero, such as \"100kB/s\"; or cut the link";
            let finding = Finding::new("no-effect", "`bandwidth` is zero: nothing would ever arrive", help);
            self.push(finding.at(self.at("link.bandwidth"), "more than zero"));
        }
    }

    pub(super) fn message(&mut self, node: Option<&NodeTarget>, count: u32) {
        self.at_least(count.into(), 1, "message.count", "no message would be hurt");
        let Some(node) = node else { return };
        if self.target_exists(node, "message.node") && self.known(node) == Known::Standby {
            let message = "a standby sends and receives no control messages";
            let help = "name a TaskManager or the leader, or leave `node` out";
            let finding = Finding::new("wrong-victim", message, help);
            self.push(finding.at(self.at("message.node"), "no messages there").given("cluster.job_managers"));
        }
    }
}
