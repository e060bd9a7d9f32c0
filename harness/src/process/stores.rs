//! What processes do to their durable stores, seen from the folders that these are: at every event, and once at the end.
//!
//! Start at [`Folders::changes`]. A folder is compared with what it held at the last look, so what was written and removed between two
//! looks is not seen, and all changes of one look have its time. They are told in an order in which they may have happened: what others
//! rest upon comes first. For that it is *looked at* last. Whoever commits output has read of a completed checkpoint in the leadership
//! log; the log names a manifest, and the manifest files. So output is listed before the log, and the log before the rest, and then
//! whatever was seen is told after all that it rests upon.
//!
//! Invariant: (FOLDERS-1) of what is told at one look nothing comes before what it rests upon.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::checkpoint_at;
use flowquake_engine::connectors::file_sink::parse_part_name;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::StoreMutation;
use flowquake_engine::ha::position::{FOLDER, Position};

use super::cluster::ProcessCluster;

/// Half written by the store; the name that it will have comes before this.
const STAGING: char = '#';

/// What a folder held: number of the file by path, since a file that is written anew is another file.
type Listing = BTreeMap<String, u64>;

/// Both stores, as they were at the last look.
pub(super) struct Folders {
    checkpoints: PathBuf,
    output: PathBuf,
    seen_checkpoints: Listing,
    seen_output: Listing,
}

impl Folders {
    pub(super) fn new(cluster: &ProcessCluster) -> Self {
        Self::at(cluster.store(StoreKind::Checkpoints), cluster.store(StoreKind::Output))
    }

    fn at(checkpoints: PathBuf, output: PathBuf) -> Self {
        Self { checkpoints, output, seen_checkpoints: Listing::new(), seen_output: Listing::new() }
    }

    /// What has changed since the last look (FOLDERS-1).
    pub(super) fn changes(&mut self) -> Vec<StoreMutation> {
        let output = list(&self.output, "");
        let mut checkpoints = list(&self.checkpoints, FOLDER);
        checkpoints.extend(list(&self.checkpoints, "").into_iter().filter(|(path, _)| Position::at(path).is_none()));
        let mut changes = Vec::new();
        for (kind, root, before, now) in [
            (StoreKind::Checkpoints, &self.checkpoints, &self.seen_checkpoints, &checkpoints),
            (StoreKind::Output, &self.output, &self.seen_output, &output),
        ] {
            let mut new: Vec<&String> =
                now.iter().filter(|(path, file)| before.get(*path) != Some(file)).map(|(path, _)| path).collect();
            new.sort_by_key(|path| (rank(kind, path), Position::at(path)));
            for path in new {
                // What is gone again already was never seen.
                if let Ok(bytes) = fs::read(root.join(path)) {
                    changes.push(StoreMutation::Put { kind, path: path.clone(), bytes: Bytes::from(bytes) });
                }
            }
        }
        for (kind, before, now) in [
            (StoreKind::Checkpoints, &self.seen_checkpoints, &checkpoints),
            (StoreKind::Output, &self.seen_output, &output),
        ] {
            let gone = before.keys().filter(|path| !now.contains_key(*path));
            changes.extend(gone.map(|path| StoreMutation::Deleted { kind, path: path.clone() }));
        }
        (self.seen_checkpoints, self.seen_output) = (checkpoints, output);
        changes
    }
}

/// Lower is told first: files of state, manifests, entries of the log; decisions about output, then what is visible.
fn rank(kind: StoreKind, path: &str) -> u8 {
    match kind {
        StoreKind::Checkpoints if Position::at(path).is_some() => 2,
        StoreKind::Checkpoints => checkpoint_at(path).is_some().into(),
        StoreKind::Output => parse_part_name(path).is_some().into(),
    }
}

/// All files below a folder of a store, by their path in the store.
fn list(root: &Path, folder: &str) -> Listing {
    let mut found = Listing::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        // One that is gone meanwhile holds nothing.
        for entry in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(_) if !path.contains(STAGING) => drop(found.insert(path, entry.ino())),
                _ => {}
            }
        }
    }
    found
}

/// Paths of the files below a folder, in order.
pub(super) fn paths(root: &Path, folder: &str) -> Vec<String> {
    list(root, folder).into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_rest_upon_comes_first_and_each_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpoints, output) = (folder.path().join("c"), folder.path().join("o"));
        let write = |root: &Path, path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // As stores do, so that nobody sees half a file.
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        let mut folders = Folders::at(checkpoints.clone(), output.clone());
        assert_eq!(folders.changes(), [], "nothing is there");
        let (second, first) = (Position::FIRST.next().path(), Position::FIRST.path());
        write(&output, "part-1-0-00000001-0000.txt", "a\n");
        write(&output, ".decisions/1-0/1", "commit");
        write(&checkpoints, &second, "2");
        write(&checkpoints, &first, "1");
        write(&checkpoints, "chk-1/_metadata", "m");
        write(&checkpoints, "chk-1/1-1-0", "s");
        write(&checkpoints, "chk-1/1-1-1#3", "half");
        let told = |changes: Vec<StoreMutation>| -> Vec<String> {
            changes
                .into_iter()
                .map(|change| match change {
                    StoreMutation::Put { path, .. } => path,
                    StoreMutation::Deleted { path, .. } => format!("-{path}"),
                    StoreMutation::Renamed { .. } => unreachable!("never seen from outside"),
                })
                .collect()
        };
        let expected =
            ["chk-1/1-1-0", "chk-1/_metadata", &first, &second, ".decisions/1-0/1", "part-1-0-00000001-0000.txt"];
        assert_eq!(told(folders.changes()), expected, "FOLDERS-1");
        assert_eq!(folders.changes(), []);
        fs::remove_file(checkpoints.join("chk-1/1-1-0")).unwrap();
        write(&output, "part-1-0-00000001-0000.txt", "b\n");
        assert_eq!(told(folders.changes()), ["part-1-0-00000001-0000.txt", "-chk-1/1-1-0"], "written over");
    }
}
