//! Remembers what the files of a database contained when they were first read, to notice damage before it spreads.
//!
//! A snapshot copies a database's files without reading them. A damaged file would go into the checkpoint with a
//! checksum of its damaged bytes, and the damage would be found only when the job restores from it and has no other
//! copy. But a table file never changes once it is written, and the list of files (`MANIFEST`) only grows. So the
//! first look at a file is remembered, and every later look is compared with it. RocksDB itself cannot do this: its
//! Rust binding has no `VerifyChecksum`, and opening every snapshot to scan it would cost more than the snapshot.
//!
//! Invariant: (FIRST-LOOK-L1) what went into one snapshot goes unchanged into every later one, or not at all.
//!
//! Limit: damage between the writing of a file and the first look at it is not noticed here. Without background
//! threads the first look follows the flush at once; with them it is the file's first upload. RocksDB's own block
//! checksums find such damage when the block is read, in this attempt or in the one that restores it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{LocalDamage, StateError};
use crate::env::Checksum;

/// The first looks at a database's files, shared by all users.
#[derive(Debug, Clone, Default)]
pub struct FirstLook(Arc<Mutex<BTreeMap<String, Checksum>>>);

impl FirstLook {
    /// Compares a file's contents with the first look at it, if the file is of a comparable kind; returns its
    /// checksum.
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<Checksum, StateError> {
        let found = Checksum::of(bytes);
        let grows = name.starts_with("MANIFEST-");
        if !grows && !name.ends_with(".sst") {
            return Ok(found);
        }
        let mut seen = self.lock();
        if let Some(expected) = seen.get(name) {
            let comparable = if grows { bytes.get(..expected.length as usize).map(Checksum::of) } else { Some(found) };
            if comparable != Some(*expected) {
                // The error must not show the checksums: RocksDB writes a random session id into every file, and
                // events must not differ between runs.
                let damage = match comparable.unwrap_or(found).length {
                    now if now == expected.length => LocalDamage::Contents,
                    now => LocalDamage::Length { before: expected.length, now },
                };
                return Err(StateError::Damaged { file: name.into(), damage });
            }
        }
        seen.insert(name.into(), found);
        Ok(found)
    }

    /// Whether a file was looked at before.
    #[cfg(feature = "rocksdb")]
    pub(super) fn knows(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Forgets all files that are not among `names`. No name of a file is used twice.
    pub fn forget_all_but(&self, names: impl Fn(&str) -> bool) {
        self.lock().retain(|name, _| names(name));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Checksum>> {
        self.0.lock().expect("nothing in here panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_never_changes_and_a_manifest_only_grows() {
        let look = FirstLook::default();
        look.check("1.sst", b"table").unwrap();
        look.check("MANIFEST-1", b"one").unwrap();
        look.check("CURRENT", b"MANIFEST-1").unwrap();
        assert_eq!(look.check("1.sst", b"table"), Ok(Checksum::of(b"table")));
        assert_eq!(look.check("MANIFEST-1", b"one two"), Ok(Checksum::of(b"one two")));
        look.check("CURRENT", b"MANIFEST-2").unwrap();
        for (name, bytes) in
            [("1.sst", &b"tabke"[..]), ("1.sst", b"tab"), ("MANIFEST-1", b"one"), ("MANIFEST-1", b"ome two")]
        {
            let error = look.check(name, bytes).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("damaged"), "FIRST-LOOK-L1: {error}");
        }
        look.forget_all_but(|name| name != "1.sst");
        assert!(look.check("1.sst", b"another").is_ok(), "forgotten");
        assert!(look.check("MANIFEST-1", b"one").is_err(), "not forgotten");
    }
}
