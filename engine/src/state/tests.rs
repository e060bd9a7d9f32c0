//! Every backend against a plain map: same answers, and the same again after snapshot and restore.

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
    let folder = LocalFolder::borrowed(folder.to_owned());
    let mut backend = Backend::open(kind, 0..GROUPS, || Ok(folder), restored, false).unwrap();
    let state = StateOpener::new(&mut backend).value_state("names").unwrap();
    (backend, state)
}

fn restored(snapshot: LocalSnapshot) -> RestoredState {
    match snapshot {
        LocalSnapshot::Bytes(bytes) => RestoredState { files: vec![(HEAP_FILE.into(), bytes)] },
        LocalSnapshot::Files { files, .. } => RestoredState {
            files: files.into_iter().map(|(name, path)| (name, std::fs::read(path).unwrap().into())).collect(),
        },
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
    // S1: what came after the snapshot is not in it.
    let (_backend, mut state) = open(kind, folders[1].path(), Some(restored(snapshot)));
    for key in 0..20 {
        assert_eq!(state.value(&current(key)).unwrap().as_ref(), at_snapshot.get(&key));
    }
    assert_eq!(state.entries().unwrap().len(), at_snapshot.len());
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
        let files = vec![(HEAP_FILE.to_owned(), Bytes::from(garbage))];
        let mut backend =
            Backend::open(BackendKind::Fs, 0..GROUPS, || unreachable!(), Some(RestoredState { files }), false).unwrap();
        // Any answer but a panic: random bytes may happen to be a snapshot.
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
