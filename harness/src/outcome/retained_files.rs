//! O3: every retained checkpoint can be restored from, at every instant.
//!
//! Statement. From the moment when the leadership log names a checkpoint as retained until an entry no longer does, the
//! checkpoint's manifest is in the checkpoint store and can be read, and so is every file that the manifest names, with
//! the recorded length and hash. A checkpoint that the log does not name is not retained. Judged incrementally: first
//! the files of a checkpoint when it becomes retained, then each write and each deletion of one of them at its instant.
//!
//! What counts is what the engine wrote and deleted, not what the stores contain: a file that the nemesis has damaged
//! still counts as the engine wrote it. Source: apache/flink `CompletedCheckpointStore`, `SharedStateRegistry`. Planted
//! bug: `subsume-newest` (FLINK-21351).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{DecodeError, Manifest, StatePlace, path};
use flowquake_engine::env::{Checksum, StoreKind};
use flowquake_engine::ids::CheckpointId;
use flowquake_engine::time::Time;

use super::{Sealed, Written};
use crate::finding::{EVIDENCE_MAX, Finding, Violation};

/// The retained checkpoints, and what was wrong with them so far.
#[derive(Debug, Clone, Default)]
pub struct RetainedFiles {
    retained: BTreeSet<CheckpointId>,
    /// Files of retained checkpoints: the checkpoint that each belongs to, and its expected checksum (`None` for a
    /// manifest, which contains its own).
    named: BTreeMap<String, (CheckpointId, Option<Checksum>)>,
    finding: Finding,
}

impl RetainedFiles {
    /// The log names another set of retained checkpoints. Every file of those that are new in the set is checked.
    pub(crate) fn on_retained(
        &mut self,
        at: Time,
        retained: &[CheckpointId],
        sealed: &BTreeMap<CheckpointId, Sealed>,
        written: &Written,
    ) {
        let now: BTreeSet<CheckpointId> = retained.iter().copied().collect();
        if now == self.retained {
            return;
        }
        if !self.retained.is_subset(&now) {
            self.named.retain(|_, (checkpoint, _)| now.contains(checkpoint));
        }
        for checkpoint in now.difference(&self.retained) {
            self.finding.judged += 1;
            let manifest = path(*checkpoint);
            let found = sealed.get(checkpoint).filter(|_| written.get(StoreKind::Checkpoints, &manifest).is_some());
            let Some(sealed) = found else {
                let what =
                    format!("at {at} checkpoint {checkpoint} counts as complete, but {manifest} was never written");
                offend(&mut self.finding, what);
                continue;
            };
            for file in sealed.manifest.subtasks.values().flat_map(|state| &state.files) {
                let StatePlace::Stored(path) = &file.place else { continue };
                self.finding.judged += 1;
                if let Some(found) = differs(written.get(StoreKind::Checkpoints, path), file.checksum) {
                    let expected = file.checksum;
                    let what = format!(
                        "at {at} checkpoint {checkpoint} counts as complete, but of its file {path} ({expected}) there is {found}"
                    );
                    offend(&mut self.finding, what);
                }
                self.named.insert(path.to_string(), (*checkpoint, Some(file.checksum)));
            }
            self.named.insert(manifest, (*checkpoint, None));
        }
        self.retained = now;
    }

    /// The engine wrote an object of the checkpoint store.
    pub(crate) fn on_put(&mut self, at: Time, path: &str, bytes: &Bytes) {
        let Some((checkpoint, checksum)) = self.named.get(path) else { return };
        self.finding.judged += 1;
        let found = match checksum {
            Some(expected) => differs(Some(bytes), *expected),
            None => Manifest::decode(bytes, path).err().map(|error| match error {
                DecodeError::Damaged(damaged) => damaged.found,
                DecodeError::OtherVersion(other) => format!("format version {}", other.found),
            }),
        };
        if let Some(found) = found {
            let what = format!("at {at} {path} of the retained checkpoint {checkpoint} was written over: {found}");
            offend(&mut self.finding, what);
        }
    }

    /// The engine deleted or renamed an object of the checkpoint store.
    pub(crate) fn on_removed(&mut self, at: Time, path: &str) {
        let Some((checkpoint, _)) = self.named.get(path) else { return };
        self.finding.judged += 1;
        let what = format!("at {at} {path} was deleted, although checkpoint {checkpoint} is retained");
        offend(&mut self.finding, what);
    }

    /// Whether a retained checkpoint names this file.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.named.contains_key(path)
    }

    /// Pending output that retained checkpoints name.
    pub(crate) fn chunks<'a>(&self, sealed: &'a BTreeMap<CheckpointId, Sealed>) -> BTreeSet<&'a str> {
        let states = self.retained.iter().filter_map(|id| sealed.get(id)).flat_map(|s| s.manifest.subtasks.values());
        let transactions = states.flat_map(|state| &state.transactions);
        transactions.flat_map(|transaction| transaction.chunks.iter().map(|chunk| chunk.path.as_str())).collect()
    }

    /// What was found in the whole run.
    pub fn finding(&self) -> Finding {
        self.finding.clone()
    }
}

fn offend(finding: &mut Finding, evidence: String) {
    // A single faulty sweep would otherwise give the same evidence for hundreds of files.
    if finding.violations.len() < EVIDENCE_MAX {
        finding.violations.push(Violation { oracle: "O3", evidence });
    }
}

/// How the content differs from what is expected; `None`: it does not.
fn differs(bytes: Option<&Bytes>, expected: Checksum) -> Option<String> {
    let Some(bytes) = bytes else { return Some("nothing".into()) };
    let found = Checksum::of(bytes);
    (found != expected).then(|| found.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{ms, sealed_with_file, state_path};

    /// A store that reports every write to the oracle, as the recorder does.
    #[derive(Default)]
    struct Run {
        files: RetainedFiles,
        sealed: BTreeMap<CheckpointId, Sealed>,
        written: Written,
        time: u64,
    }

    impl Run {
        fn put(&mut self, path: &str, bytes: &'static str) {
            self.time += 1;
            let bytes = Bytes::from_static(bytes.as_bytes());
            self.written.put(StoreKind::Checkpoints, path, bytes.clone(), self.time);
            self.files.on_put(ms(self.time), path, &bytes);
        }

        fn delete(&mut self, path: &str) {
            self.time += 1;
            self.written.remove(StoreKind::Checkpoints, path);
            self.files.on_removed(ms(self.time), path);
        }

        /// Uploads `state` and writes a manifest that names it.
        fn seal(&mut self, id: u64, state: &'static str) {
            self.put(&state_path(id), state);
            self.sealed.insert(CheckpointId(id), sealed_with_file(self.time, id, b"state"));
            self.put(&path(CheckpointId(id)), "the manifest");
        }

        fn retain(&mut self, ids: &[u64]) {
            self.time += 1;
            let ids: Vec<_> = ids.iter().copied().map(CheckpointId).collect();
            self.files.on_retained(ms(self.time), &ids, &self.sealed, &self.written);
        }

        fn discard(&mut self, id: u64) {
            self.delete(&path(CheckpointId(id)));
            self.delete(&state_path(id));
        }

        fn evidence(&self) -> Vec<String> {
            self.files.finding().violations.into_iter().map(|violation| violation.evidence).collect()
        }
    }

    #[test]
    fn a_checkpoint_may_go_once_the_log_no_longer_retains_it() {
        let mut run = Run::default();
        run.seal(1, "state");
        run.retain(&[1]);
        run.seal(2, "state");
        run.retain(&[2]);
        run.discard(1);
        // Sealed, but given up before the log named it, so no restore uses it.
        run.seal(3, "another state");
        run.discard(3);
        // The job falls back to the beginning.
        run.retain(&[]);
        run.discard(2);
        assert_eq!(run.evidence(), [""; 0]);
        assert_eq!(run.files.finding().judged, 4);
    }

    #[test]
    fn a_retained_file_must_not_be_deleted() {
        let mut run = Run::default();
        run.seal(1, "state");
        run.retain(&[1]);
        run.seal(2, "state");
        // Too early: only the next entry allows the removal of checkpoint 1.
        run.delete(&state_path(1));
        run.retain(&[2]);
        run.delete(&path(CheckpointId(2)));
        let expected = [
            format!("at 0.006000s {} was deleted, although checkpoint 1 is retained", state_path(1)),
            "at 0.008000s chk-00000002/_metadata was deleted, although checkpoint 2 is retained".into(),
        ];
        assert_eq!(run.evidence(), expected);
    }

    #[test]
    fn what_becomes_retained_must_be_there_as_recorded() {
        let mut run = Run::default();
        run.retain(&[1]);
        run.seal(2, "other");
        run.retain(&[2]);
        run.seal(3, "state");
        run.delete(&state_path(3));
        run.retain(&[3]);
        let evidence = run.evidence();
        assert_eq!(evidence.len(), 3, "{evidence:?}");
        assert!(evidence[0].ends_with("chk-00000001/_metadata was never written"), "{evidence:?}");
        assert!(evidence[1].contains("(5 bytes, hash") && evidence[1].contains("there is 5 bytes"), "{evidence:?}");
        assert!(evidence[2].ends_with("there is nothing"), "{evidence:?}");
    }

    #[test]
    fn a_retained_file_must_not_be_written_over_with_something_else() {
        let mut run = Run::default();
        run.seal(1, "state");
        run.retain(&[1]);
        run.put(&state_path(1), "state");
        assert_eq!(run.evidence(), [""; 0]);
        run.put(&state_path(1), "later");
        assert_eq!(run.evidence().len(), 1, "{:?}", run.evidence());
    }

    proptest! {
        /// A deletion is an offence exactly if it comes before the entry that drops the checkpoint.
        #[test]
        fn it_bites_exactly_on_early_deletions(early in proptest::collection::vec(any::<bool>(), 1..20)) {
            let mut run = Run::default();
            run.seal(0, "state");
            run.retain(&[0]);
            for (id, early) in (1..).zip(&early) {
                run.seal(id, "state");
                if *early {
                    run.delete(&state_path(id - 1));
                    run.retain(&[id]);
                } else {
                    run.retain(&[id]);
                    run.discard(id - 1);
                }
            }
            let wrong = early.iter().filter(|early| **early).count();
            prop_assert_eq!(run.evidence().len(), wrong.min(EVIDENCE_MAX));
        }
    }
}
