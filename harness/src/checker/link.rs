//! Rules for links: both ends must exist, and messages must pass between them.

use super::{Finding, Known, Rules};
use crate::plan::NodeTarget;

impl Rules<'_> {
    /// Rules for a single link.
    pub(crate) fn link(&mut self, from: &NodeTarget, to: &NodeTarget, from_at: &str, to_at: &str) {
        let from_exists = self.target_exists(from, from_at);
        // Both ends are written in one value, so one problem about a lone `emitter` is enough.
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

    /// JobManagers exchange no messages: they only share the store.
    pub(crate) fn something_passes(&mut self, from: &[NodeTarget], to: &[NodeTarget], from_at: &str, to_at: &str) {
        let idle = from.iter().chain(to).all(|target| self.known(target).is_job_manager() == Some(true));
        if idle {
            let message = "JobManagers say nothing to each other: nothing passes here that could be hurt";
            let help = "strike a link to a TaskManager; or cut a JobManager off from the checkpoint store, where the log \
                        of leadership is: do = \"store-unavailable\"";
            let finding = Finding::new("idle-link", message, help).at(self.at(from_at), "nothing passes here");
            self.push(finding.given(self.at(to_at)).given(self.trigger_path()));
        }
    }
}
