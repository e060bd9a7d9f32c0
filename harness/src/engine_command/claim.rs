//! The lock on a folder: only one run at a time works on it.
//!
//! Two runs on the same folders would be two clusters that fence each other term after term, and whose launchers remove
//! each other's files. So the launcher locks a file in each folder ([`LOCK_FILE`], always empty) before it changes
//! anything. Its processes inherit the open file, and with it the lock: an advisory lock belongs to the open file, so
//! the system releases it when the last process of the run is gone, however each of them ended. So a launcher that was
//! killed leaves no stale lock, and a process that outlives its launcher keeps the next run out.
//!
//! Start at [`take`]. Which process holds a lock is read from `/proc`, so nothing is written down that could be out of
//! date. Decision: docs/adr/0029.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};

use super::Refused;
use super::process::GRACE;

/// The file that is locked.
pub(super) const LOCK_FILE: &str = ".flowquake.lock";
/// How long the processes of a run that was killed may take to end.
const ORPHANS_END: Duration = Duration::from_secs(2 * GRACE.as_secs() + 1);
/// How long a lock may be held without a visible holder: a process that is about to end no longer shows its open files,
/// but still has them.
const UNSEEN_END: Duration = Duration::from_secs(2);
/// Pause between two tries.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A locked folder. The lock lasts until this is dropped and every process has ended that was started after
/// [`Claim::hand_on`].
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
}

impl Claim {
    /// From here on, every process that is started inherits the lock.
    pub(super) fn hand_on(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.file, FdFlags::empty())?)
    }
}

/// A process that has the lock file open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    process: u32,
    /// The name of the holder, if it is a process of a run; `None` for a launcher.
    node: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{} ({node})", self.process),
            None => write!(f, "{}", self.process),
        }
    }
}

/// Refuses a folder that another run has locked. Creates nothing.
pub(super) fn look(folder: &Path, option: &str) -> Result<(), Refused> {
    match File::open(folder.join(LOCK_FILE)) {
        Ok(file) => lock(&file, folder, option),
        // There is no such folder, or it cannot be read; the code that reads it will report that.
        Err(_) => Ok(()),
    }
}

/// Locks a folder that exists.
pub(super) fn take(folder: &Path, option: &str) -> Result<Claim, Refused> {
    let path = folder.join(LOCK_FILE);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| unlockable(folder, option, &error))?;
    lock(&file, folder, option)?;
    Ok(Claim { file })
}

/// Waits for the processes of a launcher that is gone, and for no others.
fn lock(file: &File, folder: &Path, option: &str) -> Result<(), Refused> {
    let (began, mut said) = (Instant::now(), false);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(unlockable(folder, option, &error)),
        }
        let holders = holders(&folder.join(LOCK_FILE));
        let patience = match &holders[..] {
            [] if !said => UNSEEN_END,
            orphans if orphans.iter().all(|holder| holder.node.is_some()) => ORPHANS_END,
            _ => Duration::ZERO,
        };
        if began.elapsed() >= patience {
            return Err(in_use(folder, option, &holders));
        }
        if !holders.is_empty() && !std::mem::replace(&mut said, true) {
            let names = holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            super::complain(format_args!("waiting for process {names} of a run whose launcher is gone"));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn in_use(folder: &Path, option: &str, holders: &[Holder]) -> Refused {
    let shown = folder.display();
    let list = |holders: &[&Holder]| holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let launchers: Vec<_> = holders.iter().filter(|holder| holder.node.is_none()).collect();
    let processes: Vec<_> = holders.iter().map(|holder| holder.process.to_string()).collect();
    match (&launchers[..], holders) {
        (_, []) => Refused::new(
            format!("{option} {shown} is in use by another run, whose processes cannot be seen from here"),
            format!(
                "it may be on another machine, in another container or another user's: end it there, or name another folder; {LOCK_FILE} in the folder is locked"
            ),
        ),
        ([], orphans) => Refused::new(
            format!(
                "{option} {shown} is still in use by process {} of a run whose launcher is gone",
                list(&orphans.iter().collect::<Vec<_>>())
            ),
            format!("they hang, or were stopped: kill -9 {}", processes.join(" ")),
        ),
        (launchers, _) => Refused::new(
            format!("{option} {shown} is in use by another run, process {}", list(launchers)),
            format!("let it finish, or end it (kill {}), or name another folder", list(launchers)),
        ),
    }
}

fn unlockable(folder: &Path, option: &str, error: &io::Error) -> Refused {
    let what = format!("{option} {} cannot be locked: {error}", folder.display());
    Refused::new(what, "name a folder that you may write, on a file system that knows locks")
}

/// The processes that have `path` open, as far as this user may see them.
fn holders(path: &Path) -> Vec<Holder> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let mut holders = Vec::new();
    let numbered = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    for process in fs::read_dir("/proc").into_iter().flatten().filter_map(numbered) {
        if process == std::process::id() {
            continue;
        }
        // Processes that end in the meantime, and those of other users, cannot be read.
        let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        if open.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == path)) {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            // A process that is about to end has no command line any more, so it cannot be named.
            if line.is_empty() {
                continue;
            }
            let mut words = line.split(|byte| *byte == 0).skip(1).map(String::from_utf8_lossy);
            let is_child = words.next().is_some_and(|word| word == super::process::SUBCOMMAND);
            let node = words.next().filter(|_| is_child).map(|name| name.into_owned());
            holders.push(Holder { process, node });
        }
    }
    holders.sort_by_key(|holder| holder.process);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(folder.path(), "--output"), Ok(()));
        assert!(!folder.path().join(LOCK_FILE).exists(), "looking creates nothing");
        let claim = take(folder.path(), "--output").unwrap();
        for refused in [take(folder.path(), "--output").map(drop), look(folder.path(), "--output")] {
            let told = refused.unwrap_err().to_string();
            assert!(told.contains(&folder.path().display().to_string()) && told.contains("is in use"), "{told}");
        }
        drop(claim);
        let claim = take(folder.path(), "--output").unwrap();
        assert_eq!(fs::metadata(folder.path().join(LOCK_FILE)).unwrap().len(), 0, "consumers find no record in it");
        drop(claim);
    }

    #[test]
    fn the_holder_is_named_with_what_helps() {
        let holder = |process, node: Option<&str>| Holder { process, node: node.map(str::to_owned) };
        let told = |holders: &[Holder]| in_use(Path::new("/x"), "--output", holders).to_string();
        let launcher = told(&[holder(7, None), holder(9, Some("tm-1"))]);
        assert!(launcher.contains("another run, process 7\n") && launcher.contains("kill 7"), "{launcher}");
        let orphans = told(&[holder(8, Some("jm-1")), holder(9, Some("tm-1"))]);
        assert!(orphans.contains("process 8 (jm-1), 9 (tm-1) of a run whose launcher is gone"), "{orphans}");
        assert!(orphans.contains("kill -9 8 9"), "{orphans}");
        assert!(told(&[]).contains("another container"), "{}", told(&[]));
    }

    #[test]
    fn a_folder_that_cannot_be_locked_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(LOCK_FILE)).unwrap();
        let told = take(folder.path(), "--output").unwrap_err().to_string();
        assert!(told.contains("cannot be locked") && told.contains("help:"), "{told}");
    }
}
