//! Folders in the state in which a run finds them: what is refused, what stays, what is removed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flowquake_engine::checkpoint::manifest::{Manifest, path};
use flowquake_engine::config::{BackendKind, JobConfig};
use flowquake_engine::env::{Address, Checksum};
use flowquake_engine::graph::{InputKind, InputSpec, JobSpec};
use flowquake_engine::ha::entry::{Change, HaEntry, HaState};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{Attempt, CheckpointId, Term};
use flowquake_engine::time::Time;

use super::*;

fn options(root: &Path, resume: bool) -> Options {
    let kind = InputKind::File { path: "/words.txt".into(), repeat: 1 };
    let input = InputSpec { kind, splits: 2, period_fs: 0 };
    let config = JobConfig { parallelism: 2, ..JobConfig::default() };
    let job = JobSpec { program: "p".into(), params: BTreeMap::new(), input, config };
    let (output, checkpoints) = (root.join("out"), root.join("chk"));
    Options {
        job,
        input_len: 1,
        output,
        checkpoints,
        resume,
        job_managers: 1,
        task_managers: 1,
        slots: 2,
        observer: None,
        log: "warn".into(),
    }
}

/// A manifest of the job's checkpoint 3, and the path for it in an existing folder.
fn manifest(options: &Options) -> (PathBuf, Manifest) {
    let checkpoint = CheckpointId(3);
    let file = options.checkpoints.join(path(checkpoint));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let manifest = Manifest {
        checkpoint,
        attempt: Attempt(1),
        term: Term(1),
        job: options.job.clone(),
        start: Time(1),
        triggered_at: Time(2),
        subtasks: BTreeMap::new(),
    };
    (file, manifest)
}

fn refusal(options: &Options) -> String {
    check(options).unwrap_err().to_string()
}

fn refusal_to_own(options: &Options) -> String {
    own(options).unwrap_err().to_string()
}

#[test]
fn a_fresh_run_wants_folders_without_a_past() {
    let root = tempfile::tempdir().unwrap();
    let options = options(root.path(), false);
    assert_eq!(check(&options), Ok(()), "folders need not exist");
    fs::create_dir_all(options.output.join(".pending/1-0")).unwrap();
    fs::create_dir_all(&options.checkpoints).unwrap();
    assert_eq!(check(&options), Ok(()), "pending output is nobody's");
    fs::write(options.output.join("part-1-0-00000001-0000.txt"), "x\n").unwrap();
    let text = refusal(&options);
    assert!(text.contains(&options.output.display().to_string()) && text.contains("--resume"), "{text}");
    fs::write(options.checkpoints.join("ha"), "{}").unwrap();
    let text = refusal(&options);
    assert!(text.contains(&options.checkpoints.display().to_string()) && text.contains("--resume"), "{text}");
}

#[test]
fn what_file_systems_put_into_folders_is_no_past_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let mut options = options(root.path(), false);
    for folder in [&options.checkpoints, &options.output] {
        fs::create_dir_all(folder.join("lost+found/#12")).unwrap();
        fs::write(folder.join("lost+found/#12/inode#1"), "rescued").unwrap();
        fs::write(folder.join(".DS_Store"), "").unwrap();
    }
    let owned = own(&options).unwrap();
    sweep(&options.output).unwrap();
    assert!(options.output.join("lost+found/#12/inode#1").exists(), "not ours to remove");
    assert!(refusal_to_own(&options).contains("is in use by another run"));
    drop(owned);
    options.resume = true;
    assert!(refusal(&options).contains("is empty"), "{}", refusal(&options));
}

/// Following the advice of a refusal leads to a run.
#[test]
fn a_folder_with_foreign_files_is_refused_with_advice_that_works() {
    let root = tempfile::tempdir().unwrap();
    let mut options = options(root.path(), false);
    for folder in [options.checkpoints.clone(), options.output.clone()] {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("notes"), "mine").unwrap();
    }
    let named = |text: &str| PathBuf::from(text.split_once("such as ").unwrap().1.split_once(';').unwrap().0);
    let text = refusal_to_own(&options);
    assert!(text.contains("of no run (notes)") && !text.contains("--resume"), "{text}");
    options.checkpoints = named(&text);
    let text = refusal_to_own(&options);
    assert!(text.contains("no output of a run (notes)") && !text.contains("--resume"), "{text}");
    options.output = named(&text);
    own(&options).unwrap();
}

#[test]
fn a_refused_run_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let mut options = options(root.path(), false);
    options.checkpoints = "/proc/flowquake/checkpoints".into();
    let text = refusal_to_own(&options);
    assert!(text.contains("--checkpoint-dir: nothing can be written to /proc/flowquake"), "{text}");
    assert!(!options.output.exists());
}

#[test]
fn a_resumed_run_wants_its_own_past() {
    let root = tempfile::tempdir().unwrap();
    let mut options = options(root.path(), true);
    assert!(refusal(&options).contains("does not exist"));
    fs::create_dir_all(&options.checkpoints).unwrap();
    assert!(refusal(&options).contains("is empty"));
    fs::write(options.checkpoints.join("notes"), "").unwrap();
    assert!(refusal(&options).contains("holds no run"));
    fs::write(options.checkpoints.join("ha"), "{}").unwrap();
    assert_eq!(check(&options), Ok(()), "no checkpoint yet: from the beginning");
    let (file, manifest) = manifest(&options);
    fs::write(file, manifest.encode()).unwrap();
    assert!(refusal(&options).contains("committed into it"), "no output folder");
    fs::create_dir_all(&options.output).unwrap();
    assert_eq!(check(&options), Ok(()));
    options.job.config.backend = BackendKind::Fs;
    assert!(refusal(&options).contains("backend memory, not fs"));
    options.job.config.parallelism = 4;
    assert!(refusal(&options).contains("parallelism 2, not 4"));
    options.job.program = "q".into();
    assert!(refusal(&options).contains("the job p, not q"));
}

#[test]
fn files_of_another_release_are_refused_before_anything_is_created() {
    let root = tempfile::tempdir().unwrap();
    let options = options(root.path(), true);
    let raised = |bytes: &[u8]| {
        let body_length = bytes.len() - 16;
        let mut body = bytes[..body_length].to_vec();
        body[8] += 7;
        let checksum = Checksum::of(&body);
        body.extend_from_slice(&checksum.length.to_le_bytes());
        body.extend_from_slice(&checksum.hash);
        body
    };
    let (file, manifest) = manifest(&options);
    fs::create_dir_all(options.checkpoints.join("ha")).unwrap();
    fs::create_dir_all(&options.output).unwrap();
    fs::write(&file, raised(&manifest.encode())).unwrap();
    let text = refusal(&options);
    assert!(text.contains(&file.display().to_string()) && text.contains("format version 9"), "{text}");
    fs::write(&file, manifest.encode()).unwrap();
    assert_eq!(check(&options), Ok(()));

    let entry = HaEntry {
        position: Position::FIRST.next(),
        term: Term(1),
        leader: "jm-1".into(),
        incarnation: 1,
        address: Address("x".into()),
        change: Change::Renewed,
        state: HaState {
            program: "p".into(),
            start: Time(1),
            attempt: Attempt(1),
            completed: Vec::new(),
            undecided: None,
            reserved: CheckpointId(8),
            ended: None,
        },
    };
    let newest = options.checkpoints.join(Position::FIRST.next().path());
    fs::write(&newest, raised(&entry.encode())).unwrap();
    let text = refusal(&options);
    assert!(text.contains(&newest.display().to_string()) && text.contains("leadership log"), "{text}");
    fs::write(&newest, &entry.encode()[..30]).unwrap();
    assert_eq!(check(&options), Ok(()), "torn: the engine's to judge");
}

#[test]
fn empty_folders_of_older_checkpoints_go_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["chk-00000001", "chk-00000002", "chk-00000009", "ha", "notes"];
    folders.iter().for_each(|name| fs::create_dir(root.path().join(name)).unwrap());
    fs::write(root.path().join("chk-00000001/heap"), "x").unwrap();
    remove_empty(root.path(), CheckpointId(5)).unwrap();
    let mut left = names(root.path(), "").unwrap();
    left.sort();
    assert_eq!(left, ["chk-00000001", "chk-00000009", "ha", "notes"], "one is in use, one may be soon");
}

#[test]
fn half_written_files_are_swept_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(".pending/1-0");
    fs::create_dir_all(&folder).unwrap();
    for name in ["0001-000001-00000000", "0001-000001-00000001#1", "notes#x"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    sweep(root.path()).unwrap();
    let mut left = names(&folder, "").unwrap();
    left.sort();
    assert_eq!(left, ["0001-000001-00000000", "notes#x"]);
}
