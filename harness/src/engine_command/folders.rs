//! The folders of a run: what may be in them before the run begins, and what a crash may have left in them.
//!
//! A fresh run needs folders without earlier results, and a resumed run needs the results of this very job. Start at
//! [`own`]. It first only reads, and refuses if something is wrong ([`check`], and `past` for a resumed run); only then
//! does it create and lock. Every run also has a temporary folder for the local state of its processes ([`local`]).
//! Files that file systems and desktops put into folders ([`is_furniture`]) belong to no run: they do not count as
//! earlier results, and are never touched.

use std::fs;
use std::io;
use std::path::Path;

use flowquake_engine::connectors::file_sink::{DECISIONS, parse_part_name};
use flowquake_engine::ha::position;
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

mod leftovers;
mod past;
#[cfg(test)]
mod tests;

pub(super) use leftovers::{remove_empty, sweep};

/// Prefix of everything that runs keep in a folder besides the engine's own files.
const OWN_PREFIX: &str = ".flowquake.";

/// What a run owns while it lasts. The order of fields is the order in which they are dropped.
#[derive(Debug)]
pub(super) struct Owned {
    /// The temporary folder, with one folder per life of a process.
    pub(super) local: TempDir,
    claims: [Claim; 2],
}

impl Owned {
    /// From here on, the processes of the run share the locks on its folders.
    pub(super) fn hand_on(&self) -> io::Result<()> {
        self.claims.iter().try_for_each(Claim::hand_on)
    }
}

/// Makes the folders of a run and locks them. If it refuses, it removes what it has created.
pub(super) fn own(options: &Options) -> Result<Owned, Refused> {
    let folders = [(&options.output, "--output"), (&options.checkpoints, "--checkpoint-dir")];
    for (folder, option) in folders {
        // A run in progress there is the best explanation for anything else that is wrong with the folder.
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
        Ok(claims) => Ok(Owned { local, claims }),
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
    if options.resume { past::check(options) } else { check_fresh(options) }
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
    // Names that begin with a dot are not committed output. But decisions count, because a new job would take them for
    // its own.
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

/// Names that file systems, backup programs and desktops put into folders.
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

/// Names of what is in a folder, in order, without furniture and without what every run has there; empty if the folder
/// does not exist.
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

/// Makes a new temporary folder for a run with these checkpoints. Those of earlier runs with the same checkpoints are
/// removed, unless such a run is still alive. What cannot be removed stays, because other launchers clean up as well,
/// and other users' folders are theirs.
fn local(checkpoints: &Path) -> io::Result<TempDir> {
    let run = format!("flowquake-{:016x}-", xxh3_64(checkpoints.as_os_str().as_encoded_bytes()));
    for entry in fs::read_dir(std::env::temp_dir())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let launcher = name.strip_prefix(&run).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        let is_dead = |launcher| kill(Pid::from_raw(launcher), None) == Err(Errno::ESRCH);
        // Any user may make folders there, with any name.
        if launcher.is_some_and(is_dead) && private::is_own_folder(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{run}{}-", std::process::id())).tempdir()
}
