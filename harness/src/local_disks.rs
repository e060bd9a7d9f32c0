//! Folders that stand for the local disks of simulated nodes, and the removal of those that interrupted programs have
//! left.
//!
//! Start at [`root`]. A folder is removed with its run, but not if the program is interrupted (Ctrl-C) or killed. So
//! its name contains the process it belongs to, and the next program removes the folders of processes that no longer
//! exist.

use std::path::Path;
use std::sync::Once;

use tempfile::TempDir;

use crate::environment::{Environment, MEMORY, disk_for_run};

/// Prefix of all such folders; folders with other names are left alone.
const PREFIX: &str = "flowquake-local-";

/// A new folder for local disks: in memory if that is possible.
pub(crate) fn root() -> Result<TempDir, Environment> {
    static ONCE: Once = Once::new();
    let namespace = namespace();
    ONCE.call_once(|| {
        for folder in [Path::new(MEMORY), &std::env::temp_dir()] {
            sweep(folder, namespace, exists);
        }
    });
    let prefix = format!("{PREFIX}{namespace}-{}-", std::process::id());
    disk_for_run(&prefix)
}

/// Removes what a process of this program has left that has just died.
pub(crate) fn remove_of(process: u32) {
    for folder in [Path::new(MEMORY), &std::env::temp_dir()] {
        sweep(folder, namespace(), |other| other != process);
    }
}

/// Process ids are only valid within a namespace: a process of another container must not be taken for a dead one.
fn namespace() -> u64 {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

/// Whether a process exists; `true` if the system does not say.
fn exists(process: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new("/proc").join(process.to_string()).exists()
}

/// Removes the folders of processes that are gone. What cannot be removed stays: it belongs to another user.
fn sweep(folder: &Path, namespace: u64, exists: impl Fn(u32) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if owner(&name.to_string_lossy(), namespace).is_some_and(|process| !exists(process)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process whose folder is called `name`, if it belongs to this namespace.
fn owner(name: &str, namespace: u64) -> Option<u32> {
    let (of, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (process, _) = rest.split_once('-')?;
    (of == namespace.to_string()).then(|| process.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_processes_go_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["flowquake-local-7-1-aa", "flowquake-local-7-2-bb", "flowquake-local-8-2-cc", "flowquake-Xy12", "x"];
        for name in names {
            std::fs::create_dir_all(folder.path().join(name).join("disk")).unwrap();
        }
        sweep(folder.path(), 7, |process| process == 1);
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [true, false, true, true, true]);
        sweep(&folder.path().join("nowhere"), 7, |_| false);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_folder_of_a_run_is_that_of_this_process() {
        let root = root().unwrap();
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(owner(&name, namespace()), Some(std::process::id()));
        assert!(exists(std::process::id()));
    }
}
