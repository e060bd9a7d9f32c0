//! What a run removes from its folders besides what the engine removes: empty folders, and files that killed writers
//! left incomplete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flowquake_engine::checkpoint::manifest::checkpoint_of_folder;
use flowquake_engine::connectors::file_sink::{DECISIONS, PENDING};
use flowquake_engine::ha::position;
use flowquake_engine::ids::CheckpointId;

/// Removes empty folders of checkpoints up to `newest`. A failed upload leaves one, because the store makes the folder
/// before the file, and deletes a folder only with its last file. A writer that comes at the same time makes its folder
/// again.
pub(in super::super) fn remove_empty(checkpoints: &Path, newest: CheckpointId) -> io::Result<()> {
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

/// Removes files that killed writers left incomplete: `object_store` writes to `name#1` and then renames. May only be
/// called while no process of the run lives. Only folders that a run makes are entered.
pub(in super::super) fn sweep(root: &Path) -> io::Result<()> {
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
