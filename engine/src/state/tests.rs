//! Every backend compared with a plain map: same answers, also after snapshot and restore.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::key_group::group_of;
use super::*;

const GROUPS: u16 = 16;

fn open(
    kind: BackendKind,
    folder: &std::path::Path,
    restored: Option<RestoredState>,
) -> (Backend, ValueState<u32, String>) {
    let folder = LocalFolder::unowned(folder.join("state"));
    let mut backend = Backend::open(kind, 0..GROUPS, || Ok(folder), restored, false).unwrap();
    let state = StateOpener::new(&mut backend).value_state("names").unwrap();
    (backend, state)
}

fn restored(snapshot: LocalSnapshot) -> RestoredState {
    match snapshot {
        LocalSnapshot::Bytes { bytes, .. } => RestoredState { files: vec![(heap_file(), bytes)] },
        LocalSnapshot::Files { names, folder, .. } => {
            let read = |name: StateFileName| {
                let bytes = std::fs::read(folder.path().join(&name)).unwrap().into();
                (name, bytes)
            };
            RestoredState { files: names.into_iter().map(read).collect() }
        }
    }
}

fn current(key: u32) -> CurrentKey<u32> {
    CurrentKey { key, group: group_of(&key, GROUPS) }
}

fn check(kind: BackendKind, operations: &[(u32, Option<String>)]) {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut backend, mut state) = open(kind, folders[0].path(), None);
    let mut model = BTreeMap::new();
    let half = operations.len() / 2;
    let mut snapshot = None;
    for (step, (key, value)) in operations.iter().enumerate() {
        if step == half {
            snapshot = Some((backend.snapshot(&mut [&mut state], 1).unwrap(), model.clone()));
        }
        match value {
            Some(value) => {
                let old = state.replace(&current(*key), |_| value.clone()).unwrap();
                assert_eq!(old, model.insert(*key, value.clone()));
            }
            None => {
                state.clear(&current(*key)).unwrap();
                model.remove(key);
            }
        }
        assert_eq!(state.value(&current(*key)).unwrap().as_ref(), model.get(key));
    }
    let Some((snapshot, at_snapshot)) = snapshot else { return };
    // S1: changes after the snapshot are not in it.
    let (_backend, mut state) = open(kind, folders[1].path(), Some(restored(snapshot)));
    for key in 0..20 {
        assert_eq!(state.value(&current(key)).unwrap().as_ref(), at_snapshot.get(&key));
    }
    let mut shown = Vec::new();
    state.for_each(&mut |entry| shown.push(format!("{:?} {:?}", entry.key, entry.value))).unwrap();
    shown.sort();
    let mut expected: Vec<_> = at_snapshot.iter().map(|(key, value)| format!("{key:?} {value:?}")).collect();
    expected.sort();
    assert_eq!(shown, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn backends_agree_with_a_map(operations in prop::collection::vec((0u32..20, prop::option::of("[a-z]{0,6}")), 1..60)) {
        for kind in BackendKind::ALL.into_iter().filter(|kind| kind.is_built()) {
            check(kind, &operations);
        }
    }

    #[test]
    fn garbage_is_refused_not_trusted(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let files = vec![(heap_file(), Bytes::from(garbage))];
        let mut backend =
            Backend::open(BackendKind::Fs, 0..GROUPS, || unreachable!(), Some(RestoredState { files }), false).unwrap();
        // Any answer but a panic is fine, because random bytes may happen to be a valid snapshot.
        let _ = StateOpener::new(&mut backend).value_state::<u32, String>("names");
    }
}

#[test]
fn equal_operations_give_equal_snapshots() {
    let snapshot = |kind| {
        let folder = tempfile::tempdir().unwrap();
        let (mut backend, mut state) = open(kind, folder.path(), None);
        for round in 0..3 {
            (0..500).for_each(|key| state.update(&current(key), format!("{key}-{round}")).unwrap());
        }
        let snapshot = backend.snapshot(&mut [&mut state], 1).unwrap();
        restored(snapshot).files.into_iter().map(|(name, bytes)| (name, bytes.len())).collect::<Vec<_>>()
    };
    for kind in BackendKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        assert_eq!(snapshot(kind), snapshot(kind), "S3: {kind:?}");
    }
}

/// A host name of another length would give other sizes of files, and so other times, on every machine.
#[cfg(feature = "rocksdb")]
#[test]
fn files_of_rocksdb_name_no_host() {
    let folder = tempfile::tempdir().unwrap();
    let (mut backend, mut state) = open(BackendKind::RocksDb, folder.path(), None);
    state.update(&current(1), "x".into()).unwrap();
    let files = restored(backend.snapshot(&mut [&mut state], 1).unwrap()).files;
    let (_, table) = files.iter().find(|(name, _)| name.ends_with(".sst")).unwrap();
    assert!(table.windows(9).any(|bytes| bytes == b"flowquake"), "{}", String::from_utf8_lossy(table));
}

#[test]
fn entries_are_counted_where_they_are_written_and_where_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut backend, mut state) = open(BackendKind::Fs, folder.path(), None);
    for key in [1, 2, 1] {
        state.update(&current(key), "x".into()).unwrap();
    }
    let snapshot = backend.snapshot(&mut [&mut state], 1).unwrap();
    assert_eq!(snapshot.written().count, 2);
    let files = restored(snapshot);
    assert_eq!(entry_bytes(&files.files[0].0, 99), 99);
    let (backend, _) = open(BackendKind::Fs, folder.path(), Some(files));
    assert_eq!(backend.restored_entries(), 2);
}

/// Simulated weights multiply entries only, and predictions have to know the rest.
#[cfg(feature = "rocksdb")]
#[test]
fn what_a_table_holds_beside_its_entries_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (mut backend, mut state) = open(BackendKind::RocksDb, folder.path(), None);
    let changed = |state: &mut ValueState<u32, String>, keys: std::ops::Range<u32>| {
        keys.clone().for_each(|key| state.update(&current(key), "x".into()).unwrap());
        u64::from(keys.end - keys.start)
    };
    let of_tables = |snapshot: LocalSnapshot| {
        let tables = restored(snapshot).files.into_iter().filter(|(name, _)| name.ends_with(".sst"));
        tables.map(|(_, bytes)| bytes.len() as u64).sum::<u64>()
    };
    let one = changed(&mut state, 0..1);
    let first = backend.snapshot(&mut [&mut state], 1).unwrap();
    assert_eq!(first.written().count, one);
    let first = of_tables(first);
    let (least, most) = (TABLE_OVERHEAD - 100, TABLE_OVERHEAD + 100);
    assert!((least..most).contains(&first), "{first} bytes, not about {TABLE_OVERHEAD}");
    let many = changed(&mut state, 1..4_001);
    let second = backend.snapshot(&mut [&mut state], 2).unwrap();
    assert_eq!(second.written().count, many, "those since the snapshot before");
    let entries = of_tables(second) - first - TABLE_OVERHEAD;
    assert!((5 * many..20 * many).contains(&entries), "{entries} bytes of {many} entries");
}

/// The list of files goes into every snapshot.
#[cfg(feature = "rocksdb")]
#[test]
fn the_list_of_files_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut backend, mut state) = open(BackendKind::RocksDb, folder.path(), None);
    let mut longest = 0;
    let mut names = std::collections::BTreeSet::new();
    for round in 0..800 {
        state.update(&current(round), "x".into()).unwrap();
        let files = restored(backend.snapshot(&mut [&mut state], round.into()).unwrap()).files;
        let (name, list) = files.into_iter().find(|(name, _)| name.starts_with("MANIFEST-")).unwrap();
        longest = longest.max(list.len());
        names.insert(name);
    }
    assert!(longest < 80 << 10 && names.len() > 1, "{longest} bytes, {names:?}");
}

#[cfg(feature = "rocksdb")]
mod damage {
    //! RocksDB's own files are damaged while they are in use: an error names the file, and there is neither a panic
    //! nor a snapshot.

    use std::fs::{OpenOptions, read, remove_file, write};
    use std::path::{Path, PathBuf};

    use super::*;

    /// Overwrites the file in place, as bit rot would: it has other hard links, and RocksDB has it open.
    fn flip(path: &Path, at: usize) {
        let mut bytes = read(path).unwrap();
        bytes[at] ^= 0x55;
        write(path, bytes).unwrap();
    }

    fn truncate(path: &Path) {
        let half = read(path).unwrap().len() / 2;
        OpenOptions::new().write(true).open(path).unwrap().set_len(half as u64).unwrap();
    }

    fn fill(state: &mut ValueState<u32, String>, round: u32) -> Result<(), StateError> {
        (0..500).try_for_each(|key| state.update(&current(key), format!("{key}-{round}")))
    }

    /// The checks that the upload of a snapshot makes before it sends anything.
    fn look(snapshot: LocalSnapshot) -> Result<(), StateError> {
        let LocalSnapshot::Files { names, folder, first_look, .. } = snapshot else {
            panic!("RocksDB snapshots are files")
        };
        names.iter().try_for_each(|name| {
            let bytes = read(folder.path().join(name)).map_err(|error| StateError::file(&**name, &error))?;
            first_look.check(name, &bytes).map(drop)
        })
    }

    fn with_database(test: impl FnOnce(&Path, &mut Backend, &mut ValueState<u32, String>)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut backend, mut state) = open(BackendKind::RocksDb, folder.path(), None);
        fill(&mut state, 0).unwrap();
        let snapshot = backend.snapshot(&mut [&mut state], 1).unwrap();
        assert_eq!(look(snapshot), Ok(()));
        assert!(!folder.path().join("state/snapshot-1").exists(), "a snapshot goes with who holds it");
        test(&folder.path().join("state/db"), &mut backend, &mut state);
    }

    fn files(folder: &Path, of: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let all = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = all.filter(|path| of(&path.file_name().unwrap().to_string_lossy())).collect();
        files.sort();
        files
    }

    fn table(folder: &Path) -> PathBuf {
        files(folder, |name| name.ends_with(".sst")).remove(0)
    }

    fn name_of(path: &Path) -> String {
        path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn a_damaged_table_gets_into_no_snapshot() {
        let hurts: [fn(&Path); 4] =
            [|path| flip(path, 5), |path| flip(path, 300), truncate, |path| remove_file(path).unwrap()];
        for hurt in hurts {
            with_database(|folder, backend, state| {
                let table = table(folder);
                hurt(&table);
                let taken = fill(state, 1).and_then(|()| backend.snapshot(&mut [state], 2)).and_then(look);
                let error = taken.unwrap_err().to_string();
                assert!(error.contains(&name_of(&table)), "{error}");
            });
        }
    }

    #[test]
    fn a_damaged_block_is_not_read() {
        with_database(|folder, _, state| {
            let table = table(folder);
            flip(&table, 5);
            let error = (0..500).find_map(|key| state.value(&current(key)).err()).expect("the first block holds keys");
            assert!(error.to_string().contains(&name_of(&table)), "{error}");
        });
    }

    #[test]
    fn a_damaged_list_of_files_gets_into_no_snapshot() {
        with_database(|folder, backend, state| {
            let list = files(folder, |name| name.starts_with("MANIFEST-")).pop().unwrap();
            flip(&list, 20);
            let taken = backend.snapshot(&mut [state], 2).and_then(look);
            let error = taken.unwrap_err().to_string();
            assert!(error.contains(&name_of(&list)), "{error}");
        });
    }

    /// No snapshot was uploaded, so there was no first look that could tell: the list itself has to.
    #[test]
    fn damage_anywhere_in_a_list_of_files_that_nobody_looked_at_is_found() {
        let mut tried = 0;
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (mut backend, mut state) = open(BackendKind::RocksDb, folder.path(), None);
            fill(&mut state, 0).unwrap();
            drop(backend.snapshot(&mut [&mut state], 1).unwrap());
            let list = files(&folder.path().join("state/db"), |name| name.starts_with("MANIFEST-")).pop().unwrap();
            let used = read(&list).unwrap().len();
            if at >= used {
                break;
            }
            flip(&list, at);
            assert!(backend.snapshot(&mut [&mut state], 2).is_err(), "LIST-W1: byte {at} of {used}");
            tried += 1;
        }
        assert!(tried > 20, "{tried}");
    }

    #[test]
    fn undamaged_files_stay_good_through_flushes_and_compactions() {
        with_database(|_, backend, state| {
            for round in 1..20 {
                fill(state, round).unwrap();
                let snapshot = backend.snapshot(&mut [state], u64::from(round) + 1).unwrap();
                assert_eq!(look(snapshot), Ok(()));
            }
        });
    }
}

/// All databases of a process share a timer, which compares the clock of whoever opens a database with its own. On the
/// clock of a simulation, opening sometimes failed.
#[cfg(all(feature = "rocksdb", feature = "sim"))]
#[test]
fn a_simulated_database_is_opened_on_the_real_clock() {
    use crate::env::sim::real_clock::runs_of_this_thread;
    crate::env::sim::testing::on_one_node(|_, env| async move {
        let folder = env.fresh_folder("one");
        assert_eq!(runs_of_this_thread(), 0);
        let _open = Backend::open(BackendKind::RocksDb, 0..GROUPS, || folder, None, false).unwrap();
        assert_eq!(runs_of_this_thread(), 1);
    });
}
