//! O2, keyed state: what a checkpoint remembers is what the reference remembers at the same positions.
//!
//! Statement. Every entry of keyed state (state, key and value) in the manifest of a complete checkpoint is one of the
//! reference after the input up to the checkpoint's source positions, and none is missing; no key is in two subtasks.
//!
//! Reading state back costs more than processing a record, so not every checkpoint's is: heap state when there is little of it
//! compared with the records since it was last read back (`is_judged`), RocksDB (whose files must be opened) only that of the
//! last checkpoint. Who reads the last one reads all that led to it.

use flowquake_engine::checkpoint::manifest::Manifest;
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::InputFiles;

use super::{EVIDENCE_MAX, Finding, Violation};
use crate::jobs::{Jobs, KeyedState};
use crate::run::Sealed;
use crate::state_reader;

/// Keyed state of up to this many bytes (a tenth of a millisecond's work) is always read back.
const STATE_BYTES_SMALL: u64 = 512;
/// Larger state is read back once at least this many records came in for each of its bytes.
const RECORDS_PER_BYTE: u64 = 8;

/// Whether a checkpoint's state is read back although it may not be the last, `records` after that of another was.
pub(crate) fn is_judged(manifest: &Manifest, records: u64) -> bool {
    let bytes = manifest.state_bytes();
    manifest.job.config.backend != BackendKind::RocksDb
        && (bytes <= STATE_BYTES_SMALL || bytes <= records / RECORDS_PER_BYTE)
}

/// Judges the state of one checkpoint.
pub(super) fn judge(sealed: &Sealed, expected: &KeyedState, jobs: &Jobs, inputs: &InputFiles, finding: &mut Finding) {
    let checkpoint = sealed.manifest.checkpoint;
    let mut offend = |what: String| {
        // If one entry is wrong, mostly all are.
        if finding.violations.len() < EVIDENCE_MAX {
            let evidence = format!("state of checkpoint {checkpoint}: {what}");
            finding.violations.push(Violation { oracle: "O2", evidence });
        }
    };
    let read = state_reader::read(&sealed.manifest, jobs, inputs, |path| sealed.files.get(path).cloned());
    let found = match read {
        Ok(found) => found,
        Err(error) => return offend(error.to_string()),
    };
    // In order of state and key, each side: so every entry meets its counterpart, if that exists, without a search.
    let mut entries: Vec<_> =
        found.into_iter().flat_map(|(subtask, all)| all.into_iter().map(move |e| (e, subtask))).collect();
    entries.sort_unstable_by(|(a, _), (b, _)| (&a.state, &a.key).cmp(&(&b.state, &b.key)));
    let judged = entries.len() as u64;
    let all = expected.iter().flat_map(|(state, keys)| keys.iter().map(move |(key, value)| ((state, key), value)));
    let (mut wanted, mut before) = (all.peekable(), None);
    for (entry, subtask) in &entries {
        let place = (&entry.state, &entry.key);
        let (state, key) = place;
        if before.replace(place) == Some(place) {
            offend(format!("{state} of key {key} is in two subtasks"));
            continue;
        }
        while let Some(((state, key), value)) = wanted.next_if(|(due, _)| *due < place) {
            offend(format!("{state} of key {key}: expected {value}, found nothing"));
        }
        let value = wanted.next_if(|(due, _)| *due == place).map(|(_, value)| value);
        if value != Some(&entry.value) {
            let value = value.map_or("nothing", String::as_str);
            offend(format!("subtask {subtask}, {state} of key {key}: expected {value}, found {}", entry.value));
        }
    }
    for ((state, key), value) in wanted {
        offend(format!("{state} of key {key}: expected {value}, found nothing"));
    }
    finding.judged += judged;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::sealed_with_state;

    /// What is wrong if these counts are found in the two subtasks and key 4 should be at 7, key 5 at 1.
    fn evidence(found: [&[(u32, i32)]; 2]) -> Vec<String> {
        let counts = [("4", "7"), ("5", "1")].map(|(key, value)| (key.into(), value.into()));
        let expected = KeyedState::from([("count".into(), counts.into())]);
        let mut finding = Finding::default();
        let sealed = sealed_with_state(found);
        judge(&sealed, &expected, &Jobs::builtin(), &InputFiles::default(), &mut finding);
        finding.violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn every_entry_is_compared() {
        assert_eq!(evidence([&[(4, 7)], &[(5, 1)]]), [""; 0]);
        let wrong = "state of checkpoint 1: subtask 1#0, count of key 4: expected 7, found 8";
        assert_eq!(evidence([&[(4, 8)], &[(5, 1)]]), [wrong]);
        let missing = "state of checkpoint 1: count of key 5: expected 1, found nothing";
        assert_eq!(evidence([&[(4, 7)], &[]]), [missing]);
        let invented = "state of checkpoint 1: subtask 1#1, count of key 9: expected nothing, found 1";
        assert_eq!(evidence([&[(4, 7)], &[(5, 1), (9, 1)]]), [invented]);
        let double = "state of checkpoint 1: count of key 4 is in two subtasks";
        assert_eq!(evidence([&[(4, 7)], &[(4, 7), (5, 1)]]), [double]);
    }

    #[test]
    fn large_state_is_judged_when_enough_records_came_in() {
        let manifest = sealed_with_state([&[], &[]]).manifest;
        assert!(is_judged(&manifest, 0));
        let many: Vec<(u32, i32)> = (0..4000).map(|key| (key, 1)).collect();
        let manifest = sealed_with_state([&many, &[]]).manifest;
        let bytes = manifest.state_bytes();
        assert!(bytes > STATE_BYTES_SMALL);
        assert!(!is_judged(&manifest, bytes * RECORDS_PER_BYTE - 1));
        assert!(is_judged(&manifest, bytes * RECORDS_PER_BYTE));
    }
}
