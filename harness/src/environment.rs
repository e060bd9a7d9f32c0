//! Problems of the machine that a run is made on. They are errors of their own, and never a verdict on the program
//! under test.
//!
//! Start at [`Environment`]. Such an error is found in three places: [`probe`], before a sweep; `disk_for_run`, before
//! a run that keeps real files; and `Outcome::environment_at_fault`, from the error messages of state on a real disk
//! within a run. Callers that run a plan get it as an `Err`, and the command line ends with exit code 2.
//!
//! Invariant: (ENVIRONMENT-X1) only state that is in real files can be hurt by the machine. Messages of user code, and
//! runs that keep everything in memory, never count as problems of the machine.

use std::path::{Path, PathBuf};

use flowquake_engine::config::BackendKind;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tempfile::{Builder, TempDir};

use crate::plan::RunPlan;

/// What is wrong with the machine, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{what}")]
pub struct Environment {
    /// What is wrong, and where.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Environment {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// A folder whose files are in memory, if the system has it.
pub(crate) const MEMORY: &str = "/dev/shm";
/// A folder with less free space is used only if there is no better one.
const ROOM: u64 = 256 << 20;
/// With less free space than this, a run with files cannot begin.
const ROOM_MIN: u64 = 32 << 20;
/// Open files needed by a process that runs plans: its own, and those of the databases of a cluster.
const FILES_MIN: u64 = 256;
/// More than this is never needed, and some systems have unlimited limits.
const FILES_ENOUGH: u64 = 65_536;

/// Whether a run of the plan keeps real files.
pub(crate) fn needs_disk(plan: &RunPlan) -> bool {
    let backend = plan.job.config.backend;
    backend == BackendKind::RocksDb && backend.is_built()
}

/// How busy other programs keep this machine, in words, if they use more than half of its cores. `None`: they do not,
/// or it is not known.
pub(crate) fn load() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    busy(&text, std::thread::available_parallelism().map_or(1, usize::from))
}

fn busy(loadavg: &str, cores: usize) -> Option<String> {
    let load: f64 = loadavg.split_whitespace().next()?.parse().ok()?;
    (load > cores as f64 / 2.0).then(|| format!("load {load:.1} on {cores} cores"))
}

/// Checks the machine before a sweep: free space for local disks, if some run needs them, and open files. Raises the
/// limit on open files as far as that is allowed.
pub fn probe(disk: bool) -> Result<(), Environment> {
    if disk {
        files()?;
        let folder = disk_for_run("flowquake-probe-")?;
        let file = folder.path().join("probe");
        std::fs::write(&file, vec![0; 1 << 20]).map_err(|error| unusable(folder.path(), &error))?;
    }
    Ok(())
}

fn files() -> Result<(), Environment> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let wanted = hard.min(FILES_ENOUGH).max(soft);
    // If raising is refused, the present limit stays, and is judged.
    let limit = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_or(soft, |()| wanted);
    files_problem(limit).map_or(Ok(()), Err)
}

fn files_problem(limit: u64) -> Option<Environment> {
    (limit < FILES_MIN).then(|| {
        let what = format!("a process may open {limit} files here, and a run with RocksDB needs up to {FILES_MIN}");
        Environment::new(what, format!("raise the limit, e.g. `ulimit -n {FILES_MIN}`"))
    })
}

/// A new folder for the files of a run: in memory if there is enough space, otherwise where temporary files go.
pub(crate) fn disk_for_run(prefix: &str) -> Result<TempDir, Environment> {
    let places = [PathBuf::from(MEMORY), std::env::temp_dir()];
    let mut rooms: Vec<(PathBuf, Result<u64, std::io::Error>)> = places
        .into_iter()
        .map(|place| {
            let room = room(&place);
            (place, room)
        })
        .collect();
    let mut problems = Vec::new();
    for least in [ROOM, ROOM_MIN] {
        for (place, room) in &mut rooms {
            match room {
                Ok(bytes) if *bytes >= least => match Builder::new().prefix(prefix).tempdir_in(&*place) {
                    Ok(folder) => return Ok(folder),
                    Err(error) => *room = Err(error),
                },
                _ => {}
            }
        }
    }
    for (place, room) in rooms {
        problems.push(match room {
            Ok(bytes) => format!("{} has {} MiB of room, {} are needed", place.display(), bytes >> 20, ROOM_MIN >> 20),
            Err(error) => format!("{}: {}", place.display(), plain(&error)),
        });
    }
    let what = format!("{NO_FOLDER}: {}", problems.join("; "));
    Err(Environment::new(what, "make room, or set TMPDIR to a folder that can be written"))
}

/// The error without the path that `tempfile` adds, because the message names the path already.
fn plain(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split_once(" at path ").map_or(words.as_str(), |(words, _)| words).to_owned()
}

fn room(place: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(place)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn unusable(folder: &Path, error: &std::io::Error) -> Environment {
    let what = format!("{} cannot be written: {error}", folder.display());
    Environment::new(what, "make room, or set TMPDIR to a folder that can be written")
}

/// The message if there is no folder for files.
const NO_FOLDER: &str = "no folder for the local disks of simulated nodes";

/// Messages of the system for errors with files that only the machine can cause, each with its remedy. A missing file
/// is not among them, because faults of a plan remove files.
const WORDS: [(&str, &str); 8] = [
    (NO_FOLDER, "make room, or set TMPDIR to a folder that can be written"),
    ("No space left on device", "make room, or set TMPDIR to a folder with more"),
    ("Disk quota exceeded", "make room, or set TMPDIR to a folder with more"),
    ("Too many open files", "raise the limit, e.g. `ulimit -n 4096`, or take fewer runs at the same time (--jobs)"),
    ("Read-only file system", "set TMPDIR to a folder that can be written"),
    ("Permission denied", "set TMPDIR to a folder that can be written"),
    ("Input/output error", "look at the disk, or set TMPDIR to a folder on another one"),
    ("Cannot allocate memory", "take fewer runs at the same time (--jobs)"),
];

/// The machine's problem in an error message of state that is in files, if it is one (ENVIRONMENT-X1).
pub(crate) fn told_in(words: &str) -> Option<Environment> {
    if words.contains("user function failed") || words.contains("user code panicked") {
        return None;
    }
    let (_, remedy) = WORDS.iter().find(|(word, _)| words.contains(word))?;
    Some(Environment::new(format!("files of a run could not be kept: {words}"), *remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told_from_the_program_and_from_the_plan() {
        let machine = "RocksDB cannot flush: IOError (No space left on device)";
        assert!(told_in(machine).unwrap().what.ends_with(machine));
        assert!(told_in("db: Too many open files (os error 24)").unwrap().remedy.contains("ulimit"));
        assert_eq!(told_in("RocksDB cannot read: Corruption in 000012.sst"), None);
        assert_eq!(told_in("000012.sst: No such file or directory (os error 2)"), None, "faults remove files");
        assert_eq!(told_in("user function failed: Permission denied (os error 13)"), None, "ENVIRONMENT-X1");
    }

    #[test]
    fn few_open_files_are_refused_with_the_number_that_is_needed() {
        assert_eq!(files_problem(FILES_MIN), None);
        let refused = files_problem(64).unwrap();
        assert!(refused.what.contains("64 files") && refused.remedy.contains("256"), "{refused:?}");
    }

    #[test]
    fn room_is_there_or_the_place_is_named() {
        assert!(room(&std::env::temp_dir()).unwrap() > 0);
        assert!(room(Path::new("/nowhere")).is_err());
        assert!(probe(true).is_ok());
    }

    #[test]
    fn a_busy_machine_is_known() {
        assert_eq!(busy("1.52 0.80 0.31 2/300 4711\n", 2).as_deref(), Some("load 1.5 on 2 cores"));
        assert_eq!([busy("0.90 1 1 1/1 1", 2), busy("", 2), busy("x", 2)], [None, None, None]);
    }
}
