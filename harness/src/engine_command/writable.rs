//! Checks whether a run can write where it was told to. Where possible this is known before anything is created;
//! otherwise it is tried.
//!
//! [`check`] only reads: the permissions of the nearest existing folder, and the state and free space of its file
//! system. [`create`] then makes the folder and does in it what the engine does all the time: write, flush to disk,
//! link under a final name, remove. If that fails, it removes what it has made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::Refused;

/// What is written to test a folder: more bytes than a file system can keep in metadata.
const PROBE_BYTES: usize = 64 * 1024;
const PROBE: &str = ".flowquake.probe";

/// Refuses a folder that cannot be written to, as far as that can be seen.
pub(super) fn check(folder: &Path, option: &str) -> Result<(), Refused> {
    let refused = |why: String| Err(unwritable(folder, option, &why));
    if folder.exists() && !folder.is_dir() {
        let what = format!("{option} {} is not a folder", folder.display());
        return Err(Refused::new(what, "give the path of a folder; it is created if it does not exist"));
    }
    let Some(nearest) = folder.ancestors().find(|ancestor| ancestor.exists()) else { return Ok(()) };
    if !nearest.is_dir() {
        return refused(format!("{} is not a folder", nearest.display()));
    }
    if let Err(error) = access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        return refused(format!("{}: {}", nearest.display(), io::Error::from(error)));
    }
    // What a file system does not report is found out by trying.
    if let Ok(state) = statvfs(nearest) {
        if state.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return refused("its file system is mounted read-only".into());
        }
        // Pseudo file systems have no blocks at all.
        if state.f_blocks > 0 && state.f_bavail == 0 {
            return refused("its file system is full".into());
        }
        if state.f_files > 0 && state.f_favail == 0 {
            return refused("its file system has room for no more files".into());
        }
    }
    Ok(())
}

/// Folders that did not exist before. They are removed if the run is refused after all.
#[derive(Debug, Default)]
pub(super) struct Created(Vec<PathBuf>);

impl Created {
    /// Removes the folders. What others have put into one stays, except for what a refused run leaves itself.
    pub(super) fn remove(self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_file(folder.join(super::claim::LOCK_FILE));
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Creates a folder with all its parents, and tests it.
pub(super) fn create(folder: &Path, option: &str, created: &mut Created) -> Result<(), Refused> {
    let missing: Vec<_> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => created.0.push(folder.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(folder, option, &error.to_string())),
        }
    }
    let (staged, published) = (folder.join(PROBE), folder.join(format!("{PROBE}.linked")));
    let tried = try_out(&staged, &published);
    let removed = [&staged, &published].map(|path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    let done = tried.and_then(|()| removed.into_iter().collect());
    done.map_err(|error: io::Error| unwritable(folder, option, &error.to_string()))
}

fn try_out(staged: &Path, published: &Path) -> io::Result<()> {
    let mut file = File::create(staged)?;
    file.write_all(&[b'x'; PROBE_BYTES])?;
    file.sync_all()?;
    match fs::hard_link(staged, published) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(io::Error::new(error.kind(), format!("files in it cannot be linked under a second name: {error}")))
        }
        _ => Ok(()),
    }
}

fn unwritable(folder: &Path, option: &str, why: &str) -> Refused {
    let what = format!("{option}: nothing can be written to {}: {why}", folder.display());
    Refused::new(what, "name a folder that you may write, with room, on a local or network file system with hard links")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_out_and_left_empty() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        assert_eq!(check(&folder, "--output"), Ok(()));
        let mut created = Created::default();
        create(&folder, "--output", &mut created).unwrap();
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
        create(&folder, "--output", &mut created).unwrap();
        assert_eq!(created.0.len(), 3);
        created.remove();
        assert!(fs::read_dir(root.path()).unwrap().next().is_none(), "nothing is left");
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        for (folder, needle) in [(file.clone(), "is not a folder"), (file.join("below"), "is not a folder")] {
            let told = check(&folder, "--output").unwrap_err().to_string();
            assert!(told.contains(needle) && told.contains("--output") && told.contains("help:"), "{told}");
        }
        // A file system in which nobody, not even root, can create anything.
        let nowhere = Path::new("/proc/flowquake-cannot-be-here");
        let told = check(nowhere, "--output").and_then(|()| create(nowhere, "--output", &mut Created::default()));
        let told = told.unwrap_err().to_string();
        assert!(told.contains("nothing can be written to /proc") && told.contains("help:"), "{told}");
    }

    /// `/dev/full` stands for a full disk: writing to it fails with "no space left".
    #[test]
    fn a_full_disk_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", root.path().join(PROBE)).unwrap();
        let told = create(root.path(), "--output", &mut Created::default()).unwrap_err().to_string();
        assert!(told.contains("No space left"), "{told}");
        assert!(fs::read_dir(root.path()).unwrap().next().is_none(), "the probe is removed");
    }
}
