//! Rules for faults of stores and disks: only what the job writes can be damaged.

use flowquake_engine::config::BackendKind;

use crate::checker::{Finding, Rules};
use crate::plan::{DamageKind, FileKind, FileTarget, NodeTarget, StoreFault};

impl Rules<'_> {
    pub(super) fn damage(&mut self, file: &FileTarget) {
        let action = format!("{}.action", self.path);
        if file.checkpoint == Some(0) {
            let finding =
                Finding::new("counts-from-one", "`checkpoint` cannot be 0", "checkpoints are numbered from 1");
            self.push(finding.at(self.at("damage.file.checkpoint"), "counts from 1"));
        }
        if file.kind != FileKind::State {
            if file.index > 0 {
                let help = "write index = 0, or leave it out; state files may be several";
                let finding = Finding::new("no-such-file", "a checkpoint has one manifest only", help);
                self.push(finding.at(self.at("damage.file.index"), "must be 0"));
            }
            return;
        }
        let kind = self.at("damage.file.kind");
        if self.plan.job.config.backend == BackendKind::Memory {
            let message = "with backend `memory` a checkpoint has no state files: its state lies in the manifest";
            let help = "damage the manifest (kind = \"manifest\"), or write backend = \"fs\" or \"rocksdb\"";
            let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
            self.push(finding.at("job.config.backend", "keeps state in the manifest").given(action));
        } else if self.entry.is_some_and(|entry| !entry.keyed) {
            let message =
                format!("job `{}` keeps no keyed state, so its checkpoints have no state files", self.plan.job.name);
            let help = "damage the manifest (kind = \"manifest\"), or choose a job with keyed state";
            let finding = Finding::new("no-state-files", message, help).at(kind, "a state file is to be damaged");
            self.push(finding.given("job.name").given(action));
        }
    }

    pub(super) fn damage_local(&mut self, target: &NodeTarget, how: DamageKind) {
        self.runs_tasks(target, "damage-local.target");
        if how == DamageKind::Swap {
            let help = "write \"flip-byte\", \"truncate\" or \"delete\"";
            let finding = Finding::new("no-effect", "local files that are in use cannot be swapped", help);
            self.push(finding.at(self.at("damage-local.how"), "not possible"));
        }
        let backend = self.plan.job.config.backend;
        let action = format!("{}.action", self.path);
        if backend != BackendKind::RocksDb {
            let message = format!("backend `{}` keeps no files on the local disk", backend.name());
            let help = "write backend = \"rocksdb\" into [checkpointing]";
            let finding = Finding::new("no-local-files", message, help).at(action, "nothing to damage");
            self.push(finding.at("job.config.backend", "keeps its state in memory"));
        } else if self.entry.is_some_and(|entry| !entry.keyed) {
            let message = format!("job `{}` keeps no keyed state, so there are no local files", self.plan.job.name);
            let finding = Finding::new("no-local-files", message, "choose a job with keyed state");
            self.push(finding.at(action, "nothing to damage").given("job.name"));
        }
    }

    pub(super) fn store(&mut self, node: Option<&NodeTarget>, how: StoreFault, count: Option<u32>) {
        if let Some(node) = node {
            self.target_exists(node, "store.node");
        }
        if let Some(count) = count {
            self.at_least(count.into(), 1, "store.count", "no request would be hurt");
        }
        if let StoreFault::Throttled(rate) = how {
            self.at_least(
                rate,
                1,
                "store.how.throttled",
                "nothing would ever arrive; write `store-unavailable` instead",
            );
        }
    }
}
