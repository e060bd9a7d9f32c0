//! The folders of a run: what may be in them before it begins, and what a crash may have left behind.
//!
//! A fresh run wants folders without a past, a resumed one the past of this very job. Start at [`own`]: it refuses by reading
//! first ([`check`]), and only then creates and locks. Besides, every run has a temporary folder for the local state of its
//! processes ([`local`]). What file systems and desktops put into folders ([`is_furniture`]) belongs to nobody's run: it is
//! neither a past nor ever touched.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flowquake_engine::checkpoint::manifest::{DecodeError, Manifest, OtherVersion, checkpoint_of_folder};
use flowquake_engine::connectors::file_sink::{DECISIONS, PENDING, parse_part_name};
use flowquake_engine::graph::{InputKind, JobSpec};
use flowquake_engine::ha::entry::HaEntry;
use flowquake_engine::ha::position::{self, Position};
use flowquake_engine::ids::CheckpointId;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::Refused;
use super::claim::{self, Claim};
use super::options::Options;
use super::private;
use super::writable::{self, Created};

/// What runs keep in a folder besides the engine's own files begins like this.
const OWN_PREFIX: &str = ".flowquake.";

/// What a run owns while it lasts. Fields are dropped in order.
#[derive(Debug)]
pub(super) struct Owned {
    /// Holds one folder per life of a process.
    pub(super) local: TempDir,
    _claims: [Claim; 2],
}

/// Makes the folders of a run, and makes them its own. If it refuses, what it has created is gone again.
pub(super) fn own(options: &Options) -> Result<Owned, Refused> {
    let folders = [(&options.output, "--output"), (&options.checkpoints, "--checkpoint-dir")];
    for (folder, option) in folders {
        // A run that goes on there explains best whatever else is wrong with the folder.
        claim::look(folder, option)?;
    }
    for (folder, option) in folders {
        writable::check(folder, option)?;
    }
    check(options)?;
    let local = local(&options.checkpoints).map_err(|error| {
        let what = format!("no temporary folder can be made in {}: {error}", std::env::temp_dir().display());
        Refused::new(
            what,
            "let the variable TMPDIR name a folder that you may write, with room for the state of all tasks",
        )
    })?;
    let mut created = Created::default();
    let claimed = (|| {
        for (folder, option) in folders {
            writable::create(folder, option, &mut created)?;
        }
        let claims = [claim::take(folders[0].0, folders[0].1)?, claim::take(folders[1].0, folders[1].1)?];
        // Another run may have come and gone since the first look; from here on none can.
        check(options)?;
        Ok(claims)
    })();
    match claimed {
        Ok(claims) => Ok(Owned { local, _claims: claims }),
        Err(refused) => {
            created.remove();
            Err(refused)
        }
    }
}

/// Refuses folders that do not fit the run.
fn check(options: &Options) -> Result<(), Refused> {
    private::check("--checkpoint-dir", &options.checkpoints)?;
    private::check("--output", &options.output)?;
    if options.resume { check_resumed(options) } else { check_fresh(options) }
}

fn check_fresh(options: &Options) -> Result<(), Refused> {
    let (checkpoints, output) = (&options.checkpoints, &options.output);
    let held = names(checkpoints, "--checkpoint-dir")?;
    if let Some(name) = held.first() {
        let shown = checkpoints.display();
        if held.iter().any(|name| name == position::FOLDER) {
            let what = format!("--checkpoint-dir {shown} is not empty: it holds the checkpoints of a run");
            return Err(Refused::new(what, "add --resume to go on with that run, or name a new folder"));
        }
        let what = format!("--checkpoint-dir {shown} is not empty, and what it holds is of no run ({name})");
        let new = checkpoints.join("checkpoints");
        return Err(Refused::new(what, format!("name a new folder, such as {}; it is created", new.display())));
    }
    let holds_decisions = !names(&output.join(DECISIONS), "--output")?.is_empty();
    // What begins with a dot is no committed output; decisions are, since a new job would take them for its own.
    let committed = names(output, "--output")?.into_iter().find(|name| !name.starts_with('.'));
    let shown = output.display();
    match committed {
        Some(name) if parse_part_name(&name).is_none() => {
            let what = format!("--output {shown} is not empty, and what it holds is no output of a run ({name})");
            let new = output.join("output");
            Err(Refused::new(what, format!("name a new folder, such as {}; it is created", new.display())))
        }
        found if found.is_some() || holds_decisions => {
            let name = found.unwrap_or(DECISIONS.to_owned());
            let what = format!("--output {shown} already holds output of another run ({name})");
            Err(Refused::new(what, "name a new folder, or move the files away; to go on with that run use --resume"))
        }
        _ => Ok(()),
    }
}

fn check_resumed(options: &Options) -> Result<(), Refused> {
    let folder = &options.checkpoints;
    let shown = folder.display();
    let remedy = "name the folder of the run to go on with, or leave --resume out to begin a new one";
    if !folder.exists() {
        return Err(Refused::new(format!("--resume: --checkpoint-dir {shown} does not exist"), remedy));
    }
    let names = names(folder, "--checkpoint-dir")?;
    if names.is_empty() {
        return Err(Refused::new(format!("--resume: --checkpoint-dir {shown} is empty"), remedy));
    }
    if !names.iter().any(|name| name == position::FOLDER) {
        let what = format!("--resume: --checkpoint-dir {shown} holds no run of a job");
        return Err(Refused::new(what, remedy));
    }
    refuse_newer_log(folder)?;
    let Some(manifest) = newest_manifest(folder, &names)? else {
        // Killed before its first checkpoint: nothing is committed, and the engine begins at the beginning.
        return Ok(());
    };
    if let Some((what, taken, given)) = difference(&manifest.job, &options.job) {
        let id = manifest.checkpoint;
        let what = format!("--resume: checkpoint {id} in {shown} was taken with {what} {taken}, not {given}");
        return Err(Refused::new(what, format!("give {taken} again, or name new folders and leave --resume out")));
    }
    if !options.output.is_dir() {
        let what = format!(
            "--resume: --output {} does not exist, but checkpoints in {shown} committed into it",
            options.output.display()
        );
        return Err(Refused::new(what, "name the output folder of the run to go on with"));
    }
    Ok(())
}

/// Refuses a leadership log whose newest whole entry another release of the engine wrote.
fn refuse_newer_log(folder: &Path) -> Result<(), Refused> {
    let log = folder.join(position::FOLDER);
    // What stands there and is no folder is left to the engine, like all damage.
    let names = if log.is_dir() { names(&log, "--checkpoint-dir")? } else { Vec::new() };
    // Releases before this one named their entries otherwise: those come first.
    let mut paths: Vec<_> = names.iter().map(|name| format!("{}/{name}", position::FOLDER)).collect();
    paths.sort_by_key(|path| Reverse((Position::at(path).is_none(), Position::at(path))));
    for path in paths {
        let path = folder.join(path);
        let bytes = fs::read(&path).map_err(|error| unreadable("--checkpoint-dir", &path, &error))?;
        match HaEntry::decode(&bytes, &path.display().to_string()) {
            Ok(_) => return Ok(()),
            Err(DecodeError::OtherVersion(other)) => return Err(of_other_version(&other)),
            Err(DecodeError::Damaged(_)) => {}
        }
    }
    Ok(())
}

fn of_other_version(other: &OtherVersion) -> Refused {
    let OtherVersion { path, kind, found, reads } = other;
    Refused::new(
        format!("--resume: {path} is {kind} of format version {found}, but this engine reads version {reads}"),
        format!("go on with a release that reads version {found}; nothing was changed"),
    )
}

/// The newest manifest that can be read. Damage is left to the engine, which knows whether it may fall back.
fn newest_manifest(folder: &Path, names: &[String]) -> Result<Option<Manifest>, Refused> {
    let mut checkpoints: Vec<_> = names.iter().filter(|name| checkpoint_of_folder(name).is_some()).collect();
    checkpoints.sort();
    for name in checkpoints.into_iter().rev() {
        let path = folder.join(name).join("_metadata");
        match fs::read(&path) {
            Ok(bytes) => match Manifest::decode(&bytes, &path.display().to_string()) {
                Ok(manifest) => return Ok(Some(manifest)),
                Err(DecodeError::OtherVersion(other)) => return Err(of_other_version(&other)),
                Err(DecodeError::Damaged(_)) => {}
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable("--checkpoint-dir", &path, &error)),
        }
    }
    Ok(None)
}

/// The first thing in which two jobs differ so that the state of the one is not the state of the other.
fn difference(taken: &JobSpec, given: &JobSpec) -> Option<(&'static str, String, String)> {
    let params = |job: &JobSpec| match job.params.is_empty() {
        true => "none".to_owned(),
        false => job.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
    };
    let input = |job: &JobSpec| match &job.input.kind {
        InputKind::File { path, repeat: 1 } => path.clone(),
        InputKind::File { path, repeat } => format!("{path} {repeat} times"),
        InputKind::Generator { name, records, seed } => format!("{records} {name} of seed {seed}"),
    };
    let compared = |job: &JobSpec| {
        [
            ("the job", job.program.clone()),
            ("parallelism", job.config.parallelism.to_string()),
            ("max-parallelism", job.config.max_parallelism.to_string()),
            ("backend", job.config.backend.name().to_owned()),
            ("the input", input(job)),
            ("splits", job.input.splits.to_string()),
            ("parameters", params(job)),
        ]
    };
    let pairs = compared(taken).into_iter().zip(compared(given));
    pairs.map(|((what, taken), (_, given))| (what, taken, given)).find(|(_, taken, given)| taken != given)
}

/// What file systems, backup programs and desktops put into folders that they are shown.
fn is_furniture(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "lost+found",
        ".DS_Store",
        ".Spotlight-V100",
        ".TemporaryItems",
        ".Trashes",
        ".fseventsd",
        ".directory",
        ".snapshot",
        ".snapshots",
        ".zfs",
        "Thumbs.db",
        "desktop.ini",
        "System Volume Information",
        "$RECYCLE.BIN",
    ];
    const PREFIXES: [&str; 3] = [".Trash-", ".nfs", "._"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Names of what is in a folder, in order, but for furniture and what every run has there; none if it does not exist.
fn names(folder: &Path, option: &str) -> Result<Vec<String>, Refused> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(option, folder, &error)),
    };
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let all = listing.map(name).collect::<io::Result<Vec<_>>>().map_err(|error| unreadable(option, folder, &error))?;
    let mut names: Vec<_> =
        all.into_iter().filter(|name| !is_furniture(name) && !name.starts_with(OWN_PREFIX)).collect();
    names.sort();
    Ok(names)
}

fn unreadable(option: &str, path: &Path, error: &io::Error) -> Refused {
    let what = format!("{option}: {} cannot be read: {error}", path.display());
    Refused::new(what, "name a folder that you may read and write")
}

/// Removes empty folders of checkpoints up to `newest`. A failed upload leaves one: the store makes the folder before the file,
/// and deletes a folder only with the last file in it. A writer that comes at the same time makes its folder anew.
pub(super) fn remove_empty(checkpoints: &Path, newest: CheckpointId) -> io::Result<()> {
    for entry in fs::read_dir(checkpoints)? {
        let name = entry?.file_name();
        if name.to_str().and_then(checkpoint_of_folder).is_none_or(|id| id > newest) {
            continue;
        }
        match fs::remove_dir(checkpoints.join(&name)) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes what writers that were killed left half written: `object_store` writes to `name#1` and then renames.
/// To be called only while no process of the run lives. Only folders that a run makes are entered.
pub(super) fn sweep(root: &Path) -> io::Result<()> {
    let is_ours =
        |name: &str| [position::FOLDER, PENDING, DECISIONS].contains(&name) || checkpoint_of_folder(name).is_some();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let staged = name.rsplit_once('#').is_some_and(|(_, suffix)| suffix.parse::<u32>().is_ok());
            if entry.file_type()?.is_dir() {
                if folder != root || is_ours(&name) {
                    folders.push(entry.path());
                }
            } else if staged {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// A new temporary folder for a run with these checkpoints. Those of earlier runs with them go, unless such a run still lives.
/// What cannot be removed stays: other launchers clean up as well, and other users' folders are theirs.
fn local(checkpoints: &Path) -> io::Result<TempDir> {
    let run = format!("flowquake-{:016x}-", xxh3_64(checkpoints.as_os_str().as_encoded_bytes()));
    for entry in fs::read_dir(std::env::temp_dir())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let launcher = name.strip_prefix(&run).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        let is_dead = |launcher| kill(Pid::from_raw(launcher), None) == Err(Errno::ESRCH);
        // Everybody may make folders there, of any name.
        if launcher.is_some_and(is_dead) && private::is_own_folder(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{run}{}-", std::process::id())).tempdir()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flowquake_engine::checkpoint::manifest::path;
    use flowquake_engine::config::{BackendKind, JobConfig};
    use flowquake_engine::env::{Address, Checksum};
    use flowquake_engine::graph::InputSpec;
    use flowquake_engine::ha::entry::{Change, HaState};
    use flowquake_engine::ids::{Attempt, Term};
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
            log: "warn".into(),
        }
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

    /// The advice of a refusal, followed, leads to a run.
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
        let manifest = Manifest {
            checkpoint: CheckpointId(3),
            attempt: Attempt(1),
            term: Term(1),
            job: options.job.clone(),
            start: Time(1),
            triggered_at: Time(2),
            subtasks: BTreeMap::new(),
        };
        fs::create_dir_all(options.checkpoints.join("chk-00000003")).unwrap();
        fs::write(options.checkpoints.join(path(CheckpointId(3))), manifest.encode()).unwrap();
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
        let manifest = Manifest {
            checkpoint: CheckpointId(3),
            attempt: Attempt(1),
            term: Term(1),
            job: options.job.clone(),
            start: Time(1),
            triggered_at: Time(2),
            subtasks: BTreeMap::new(),
        };
        fs::create_dir_all(options.checkpoints.join("chk-00000003")).unwrap();
        fs::create_dir_all(options.checkpoints.join("ha")).unwrap();
        fs::create_dir_all(&options.output).unwrap();
        let file = options.checkpoints.join(path(CheckpointId(3)));
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
}
