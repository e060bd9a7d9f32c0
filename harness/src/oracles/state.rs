//! O2, keyed state: the state in a checkpoint equals the reference's state at the same positions.
//!
//! Statement. Every entry of keyed state (state, key and value) in the manifest of a complete checkpoint is also in the
//! reference's state after the input up to the checkpoint's source positions, and none is missing. No key is in two
//! subtasks.
//!
//! Reading state back costs more than processing a record, so not the state of every checkpoint is read. Heap state is
//! read when it is small compared with the records since the last time (`is_kept` of the recorder); RocksDB state,
//! whose files must be opened, only for the last checkpoint. An error of an earlier checkpoint that the job built upon
//! still shows in the last one.
//!
//! Nearly all state is right. So both sides are first hashed, in any order, and compared entry by entry only where the
//! hashes differ.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use flowquake_engine::env::InputFiles;
use flowquake_engine::ids::SubtaskId;
use flowquake_engine::state::Entry;
use xxhash_rust::xxh3::xxh3_128;

use super::{EVIDENCE_MAX, Finding, Violation};
use crate::jobs::{Jobs, Reference};
use crate::outcome::Sealed;
use crate::state_reader;

/// Digest of a set of entries: their number, and the sum of the hashes of their texts, so that the order does not
/// matter. Two different sets have the same digest by chance once in 2^128.
#[derive(Default)]
struct Digest {
    entries: u64,
    sum: u128,
    /// The entry that is being added.
    text: String,
}

impl Digest {
    fn add(&mut self, state: &str, key: &dyn Debug, value: &dyn Debug) {
        self.text.clear();
        write!(self.text, "{state}\0{key:?}\0{value:?}").expect("a string takes everything");
        self.sum = self.sum.wrapping_add(xxh3_128(self.text.as_bytes()));
        self.entries += 1;
    }

    fn agrees_with(&self, other: &Self) -> bool {
        (self.entries, self.sum) == (other.entries, other.sum)
    }
}

/// Judges the state of one checkpoint.
pub(super) fn judge(
    sealed: &Sealed,
    reference: &dyn Reference,
    jobs: &Jobs,
    inputs: &InputFiles,
    finding: &mut Finding,
) {
    let file = |path: &str| sealed.files.get(path).cloned();
    let (mut found, mut expected) = (Digest::default(), Digest::default());
    let mut add = |_, entry: Entry<'_>| found.add(entry.state, entry.key, entry.value);
    let read = state_reader::for_each(&sealed.manifest, jobs, inputs, file, &mut add);
    reference.for_each_state(&mut |state, key, value| expected.add(state, key, value));
    let differences = match read {
        Err(error) => vec![error.to_string()],
        Ok(()) if found.agrees_with(&expected) => Vec::new(),
        Ok(()) => differences(sealed, reference, jobs, inputs),
    };
    finding.judged += found.entries;
    for what in differences {
        let evidence = format!("state of checkpoint {}: {what}", sealed.manifest.checkpoint);
        finding.violations.push(Violation { oracle: "O2", evidence });
    }
}

/// What is wrong with the state of a checkpoint, entry by entry.
fn differences(sealed: &Sealed, reference: &dyn Reference, jobs: &Jobs, inputs: &InputFiles) -> Vec<String> {
    let shown = |state: &str, key: &dyn Debug, value: &dyn Debug| {
        ((state.to_owned(), format!("{key:?}")), format!("{value:?}"))
    };
    let mut wanted: BTreeMap<(String, String), String> = BTreeMap::new();
    reference.for_each_state(&mut |state, key, value| wanted.extend([shown(state, key, value)]));
    let mut entries = Vec::new();
    let mut keep = |subtask: SubtaskId, Entry { state, key, value, .. }: Entry<'_>| {
        entries.push((shown(state, key, value), subtask));
    };
    let file = |path: &str| sealed.files.get(path).cloned();
    if let Err(error) = state_reader::for_each(&sealed.manifest, jobs, inputs, file, &mut keep) {
        return vec![error.to_string()];
    }
    entries.sort_unstable();
    let (mut differences, mut before) = (Vec::new(), None);
    for ((place, value), subtask) in &entries {
        let (state, key) = place;
        if before.replace(place) == Some(place) {
            differences.push(format!("{state} of key {key} is in two subtasks"));
            continue;
        }
        let due = wanted.remove(place);
        if due.as_ref() != Some(value) {
            let due = due.as_deref().unwrap_or("nothing");
            differences.push(format!("subtask {subtask}, {state} of key {key}: expected {due}, found {value}"));
        }
    }
    let missing = wanted.into_iter();
    differences
        .extend(missing.map(|((state, key), due)| format!("{state} of key {key}: expected {due}, found nothing")));
    // If one entry is wrong, usually all are.
    differences.truncate(EVIDENCE_MAX);
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::sealed_with_state;
    use crate::jobs::{Consumed, Refusal};

    /// A reference that always has these counts, whatever its input.
    struct Counts(&'static [(u32, i32)]);

    impl Reference for Counts {
        fn input_len(&self) -> u64 {
            0
        }

        fn accept(&mut self, _: &Consumed, _: &[&str], _: bool) -> Result<(), Vec<Refusal>> {
            Ok(())
        }

        fn for_each_state(&self, each: &mut dyn FnMut(&str, &dyn Debug, &dyn Debug)) {
            self.0.iter().for_each(|(key, count)| each("count", key, count));
        }
    }

    /// What is wrong if the two subtasks hold these counts while key 4 should be at 7 and key 5 at 1.
    fn evidence(found: [&[(u32, i32)]; 2]) -> Vec<String> {
        let mut finding = Finding::default();
        let sealed = sealed_with_state(found);
        let reference = Counts(&[(5, 1), (4, 7)]);
        judge(&sealed, &reference, &Jobs::builtin(), &InputFiles::default(), &mut finding);
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
}
