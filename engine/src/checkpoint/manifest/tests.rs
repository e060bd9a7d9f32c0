//! Manifests as they are written, damaged, and written by somebody else.

use super::*;
use crate::codec::{encoded, whole};
use crate::config::JobConfig;
use crate::graph::{InputKind, InputSpec};

fn manifest() -> Manifest {
    let kind = InputKind::File { path: "words.txt".into(), repeat: 1 };
    let input = InputSpec { kind, splits: 2, period_fs: 0 };
    let job = JobSpec { program: "p".into(), params: BTreeMap::new(), input, config: JobConfig::default() };
    let state = SubtaskState {
        files: vec![StateFile {
            name: StateFileName::new("heap").unwrap(),
            place: StatePlace::Inline(Bytes::from_static(b"state")),
            checksum: Checksum::of(b"state"),
        }],
        ..SubtaskState::default()
    };
    Manifest {
        checkpoint: CheckpointId(7),
        attempt: Attempt(1),
        term: Term(1),
        job,
        start: Time(1),
        triggered_at: Time(2),
        subtasks: BTreeMap::from([(SubtaskId { vertex: VertexId(1), index: 0 }, state)]),
    }
}

#[test]
fn round_trip() {
    assert_eq!(Manifest::decode(&manifest().encode(), "m"), Ok(manifest()));
}

#[test]
fn every_flipped_byte_and_every_truncation_is_found() {
    let bytes = manifest().encode();
    for at in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x10;
        assert!(Manifest::decode(&flipped, "m").is_err(), "flip at {at}");
        assert!(Manifest::decode(&bytes[..at], "m").is_err(), "cut at {at}");
    }
}

#[test]
fn paths_name_their_checkpoint() {
    assert_eq!(checkpoint_at(&path(CheckpointId(12))), Some(CheckpointId(12)));
    assert_eq!(checkpoint_at("chk-00000012/state"), None);
}

#[test]
fn state_files_name_their_owner() {
    let owner = StateFileOwner {
        checkpoint: CheckpointId(12),
        subtask: SubtaskId { vertex: VertexId(1), index: 3 },
        term: Term(2),
        attempt: Attempt(7),
    };
    // Names of RocksDB's files may contain the separator of the fields.
    for name in ["heap", "000012.sst", "MANIFEST-000005"] {
        assert_eq!(state_file_at(&state_file(owner, name)), Some((owner, name)));
    }
    assert_eq!(state_file_at(&path(CheckpointId(12))), None);
    assert_eq!(state_file_at("ha/00000001"), None);
}

/// A manifest with a correct hash in which `changed` was replaced by `to`, without the checks of this engine.
fn forged(changed: &[u8], to: &[u8]) -> Result<Manifest, DecodeError> {
    let bytes = manifest().encode();
    let at = bytes.windows(changed.len()).position(|window| window == changed).expect("it stands there");
    let mut body = bytes[..bytes.len() - 16].to_vec();
    body.splice(at..at + changed.len(), to.iter().copied());
    let checksum = Checksum::of(&body);
    body.extend_from_slice(&checksum.length.to_le_bytes());
    body.extend_from_slice(&checksum.hash);
    Manifest::decode(&body, "chk-00000007/_metadata")
}

/// A short string as postcard encodes it.
fn string(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

#[test]
fn a_right_hash_does_not_make_names_right() {
    assert!(forged(&string("heap"), &string("heap")).is_ok(), "the forger's tools are right");
    for name in ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\0b", "\u{1b}[2J"] {
        let damaged = damage(forged(&string("heap"), &string(name)));
        assert!(damaged.found.starts_with("one that no job writes: the name "), "{damaged}");
        assert!(!damaged.to_string().contains('\u{1b}'), "{damaged}");
    }
}

/// Like [`forged`], with names that the types do not allow.
fn with_state(change: impl Fn(&mut SubtaskState)) -> Result<Manifest, DecodeError> {
    let mut manifest = manifest();
    manifest.subtasks.values_mut().for_each(change);
    Manifest::decode(&manifest.encode(), "m")
}

fn refused(decoded: Result<Manifest, DecodeError>) -> String {
    damage(decoded).found
}

fn damage(decoded: Result<Manifest, DecodeError>) -> Damaged {
    match decoded {
        Err(DecodeError::Damaged(damaged)) => damaged,
        other => panic!("{other:?}"),
    }
}

#[test]
fn state_and_output_of_others_are_refused() {
    let stored = |path: &str| {
        let place = StatePlace::Stored(StateFilePath::new(path).unwrap());
        with_state(|state| state.files[0].place = place.clone())
    };
    assert!(stored("chk-00000007/1-0-1-1-heap").is_ok());
    assert!(refused(stored("chk-00000007/1-1-1-1-heap")).contains("another subtask"));
    assert!(refused(stored("chk-00000007/anything")).contains("another subtask"));
    assert!(refused(stored("chk-00000006/1-0-1-1-heap")).contains("another checkpoint"));

    let pending = |epoch, path: &str| {
        let chunk = Chunk { path: PendingPath::new(path).unwrap(), checksum: Checksum::of(b"") };
        let transaction = Transaction { epoch: CheckpointId(epoch), chunks: vec![chunk], records: 1 };
        with_state(|state| state.transactions.push(transaction.clone()))
    };
    assert!(pending(7, ".pending/1-0/000001-000001-00000000").is_ok());
    assert!(refused(pending(7, ".pending/1-1/000001-000001-00000000")).contains("another subtask"));
    assert!(refused(pending(8, ".pending/1-0/000001-000001-00000000")).contains("epoch"));
    for path in ["../../x", "part-1-0-00000001-0000.txt", "/etc/passwd"] {
        // The encoding of a state without positions and files and with one transaction of one chunk, as a message
        // would carry it.
        let state = (0_u8, 0_u8, vec![(CheckpointId(7), vec![(path, Checksum::of(b""))], 1_u64)]);
        assert_eq!(whole::<SubtaskState>(&encoded(&state)), None, "{path}");
    }
}

#[test]
fn numbers_that_no_job_has_are_refused() {
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Manifest::decode(&manifest.encode(), "m")
    };
    let changes: [&dyn Fn(&mut Manifest); 9] = [
        &|manifest| manifest.job.config.max_parallelism = 0,
        &|manifest| manifest.job.config.parallelism = 0,
        &|manifest| manifest.job.config.credits = 0,
        &|manifest| manifest.job.input.splits = 0,
        &|manifest| manifest.job.input.splits = u32::MAX,
        &|manifest| manifest.checkpoint = CheckpointId(u64::MAX),
        &|manifest| manifest.attempt = Attempt(u32::MAX),
        &|manifest| manifest.term = Term(u64::MAX),
        &|manifest| {
            let state = manifest.subtasks.values().next().unwrap().clone();
            manifest.subtasks.insert(SubtaskId { vertex: VertexId(1), index: 1 }, state);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(refused(with(change)).starts_with("one that no job writes: "), "change {number}");
    }
}

#[test]
fn sums_that_overflow_are_refused() {
    let long = |state: &mut SubtaskState| {
        let endless = |mut file: StateFile| {
            file.checksum.length = u64::MAX;
            file
        };
        state.files = [state.files[0].clone(), state.files[0].clone()].map(endless).into();
    };
    assert!(refused(with_state(long)).contains("its state is endless"));
    let position = SplitPosition { split: crate::ids::SplitId(0), emitted: u64::MAX };
    assert!(refused(with_state(|state| state.positions.push(position))).contains("position"));
    let endless = |epoch| Transaction { epoch: CheckpointId(epoch), chunks: Vec::new(), records: u64::MAX };
    assert!(refused(with_state(|state| state.transactions = vec![endless(1), endless(2)])).contains("its records"));
    let empty = |epoch| Transaction { epoch: CheckpointId(epoch), chunks: Vec::new(), records: 0 };
    assert!(refused(with_state(|state| state.transactions = vec![empty(2), empty(1)])).contains("order"));
}
