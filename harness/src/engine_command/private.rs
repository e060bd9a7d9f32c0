//! Keeps the files of a run from other users of the machine.
//!
//! The content of the folders decides what a job resumes from and what it has committed, so anybody who can write there
//! could forge both. Therefore everything that a run creates is accessible to its user only, and folders that others
//! can write to are refused.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use super::Refused;

/// The bit for write permission of all other users.
const OTHERS_WRITE: u32 = 0o002;

/// From now on this process, and the processes that it starts, create folders with mode 0700 and files with mode 0600.
pub(super) fn keep_files_private() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Refuses an existing folder that all users may write to.
pub(super) fn check(option: &str, folder: &Path) -> Result<(), Refused> {
    // A folder that cannot be examined is refused where it is read.
    let Ok(found) = fs::metadata(folder) else { return Ok(()) };
    if found.mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    let what = format!("{option} {} can be written by every user of this machine", folder.display());
    Err(Refused::new(what, format!("run `chmod o-w {}`, or name a folder of your own", folder.display())))
}

/// Whether this is a folder of this user, and not a link to one.
pub(super) fn is_own_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_everybody_may_write_into_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let with_mode = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            check("--output", folder.path())
        };
        for mode in [0o700, 0o755, 0o770, 0o775] {
            assert_eq!(with_mode(mode), Ok(()), "{mode:o}");
        }
        for mode in [0o777, 0o1777, 0o702] {
            let refused = with_mode(mode).unwrap_err().to_string();
            assert!(refused.contains("--output") && refused.contains("chmod o-w"), "{mode:o}: {refused}");
        }
        assert_eq!(check("--output", &folder.path().join("none")), Ok(()));
    }

    #[test]
    fn links_are_nobodys_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(is_own_folder(folder.path()) && !is_own_folder(&link) && !is_own_folder(&folder.path().join("none")));
    }
}
