//! Finds scenario files: a file is taken as it is, a folder is searched for them.
//!
//! Files come in the order of the arguments, and sorted within a folder, so that two machines run the same scenarios in
//! the same order. Start at [`discover`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::reader::{Problem, ScenarioError, suggest};

/// The scenario files that `paths` lead to, each once.
///
/// Folders are searched for `*.toml`, except `Cargo.toml`, hidden entries and folders named `target`. Linked folders
/// are not entered, so that the search ends. A path that does not exist, or a folder without a scenario, is an error,
/// because it is more likely a mistake than a wish to run nothing.
pub fn discover(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ScenarioError> {
    let (mut files, mut seen) = (Vec::new(), Vec::new());
    for path in paths {
        let mut found = Vec::new();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                search(path, &mut found)?;
                if found.is_empty() {
                    let message = format!("folder {} holds no scenario", path.display());
                    let help =
                        "scenarios are files ending in .toml (Cargo.toml, hidden folders and `target` are skipped)";
                    return Err(ScenarioError::of_path(path, Problem::new("no-scenario", message, help)));
                }
            }
            Ok(_) => found.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no file or folder {}", path.display());
                let guess = super::input_file::similar_name(path);
                let help = suggest::guess_then(guess.as_deref(), "give a scenario file, or a folder that holds some");
                return Err(ScenarioError::of_path(path, Problem::new("missing-path", message, help)));
            }
            Err(error) => return Err(unreadable(path, &error)),
        }
        for file in found {
            // A folder and a file inside it may both be given; the file still runs once.
            let identity = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if !seen.contains(&identity) {
                seen.push(identity);
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), ScenarioError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = entries.map_err(|error| unreadable(folder, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        if name.as_encoded_bytes().starts_with(b".") || name == "Cargo.toml" {
            continue;
        }
        if kind.is_dir() {
            if name != "target" {
                search(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// `path` exists, but the system refuses to read it.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> ScenarioError {
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => (format!("there is no file {}", path.display()), "check the path".to_owned()),
        _ => (
            format!("{} cannot be read: {error}", path.display()),
            "check that it is a file, and its permissions".to_owned(),
        ),
    };
    ScenarioError::of_path(path, Problem::new("unreadable", message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn folders_are_searched_in_sorted_order_without_what_is_no_scenario() {
        let root = tree(&[
            "b.toml",
            "a/z.toml",
            "a/Cargo.toml",
            "Cargo.toml",
            ".git/x.toml",
            "a/target/y.toml",
            "a/.hidden.toml",
            "notes.md",
            "c/d/e.toml",
        ]);
        let found = discover(&[root.path().join("c/d/e.toml"), root.path().to_owned()]).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["c/d/e.toml", "a/z.toml", "b.toml"]);
    }

    #[test]
    fn nothing_to_run_is_an_error_naming_the_path() {
        let root = tree(&["a/Cargo.toml", "kills/x.toml"]);
        let empty = discover(&[root.path().join("a")]).unwrap_err();
        assert!(empty.to_string().ends_with("a holds no scenario"), "{empty}");
        let missing = discover(&[root.path().join("kill")]).unwrap_err();
        assert_eq!(missing.problems()[0].code_name(), "missing-path");
        assert!(miette::Diagnostic::help(&missing).unwrap().to_string().contains("`kills`"));
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_do_not_lead_in_circles() {
        let root = tree(&["a/x.toml"]);
        std::os::unix::fs::symlink(root.path(), root.path().join("a/again")).unwrap();
        assert_eq!(discover(&[root.path().to_owned()]).unwrap().len(), 1);
    }
}
