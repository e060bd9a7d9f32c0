//! Checks the files that a command writes before anything runs: hours of runs must not end with a file that cannot be
//! written, or that another document of the same command overwrites.
//!
//! Start at [`check`].

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::refuse_text;

/// A file that a command was told to write, with the option that said so.
pub(super) type Output<'a> = (&'static str, Option<&'a Path>);

/// Refuses files that cannot be written, that are named twice, or that are among what the command reads.
pub(super) fn check(written: &[Output<'_>], read: &[&Path]) -> Result<(), ExitCode> {
    problem(written, read).map_or(Ok(()), |(what, remedy)| Err(refuse_text(&what, remedy)))
}

/// What is wrong, and its remedy.
fn problem(written: &[Output<'_>], read: &[&Path]) -> Option<(String, &'static str)> {
    let read: Vec<PathBuf> = read.iter().filter_map(|file| identity(file)).collect();
    let mut before: Vec<(&str, PathBuf)> = Vec::new();
    for (option, file) in written.iter().filter_map(|(option, file)| Some((*option, (*file)?))) {
        let shown = file.display();
        if let Err(error) = writable(file) {
            return Some((format!("{option} {shown}: {error}"), "name a file that can be written"));
        }
        let Some(identity) = identity(file) else { continue };
        if read.contains(&identity) {
            let what = format!("{option} {shown}: this file is read, and would be replaced");
            return Some((what, "name another file for what is written"));
        }
        if let Some((other, _)) = before.iter().find(|(_, same)| *same == identity) {
            let what = format!("{other} and {option} both name {shown}: one would replace the other");
            return Some((what, "name a file of its own for each"));
        }
        before.push((option, identity));
    }
    None
}

/// Removes what an earlier command left in these files, once nothing more can be refused. So until this command has
/// written a file, there is none, whatever stops the command. Devices and pipes are left alone; for a link, its target
/// is removed.
pub(super) fn clear(written: &[Output<'_>]) -> Result<(), ExitCode> {
    for (option, file) in written.iter().filter_map(|(option, file)| Some((*option, (*file)?))) {
        let old = fs::canonicalize(file).ok().filter(|old| old.is_file() && !old.starts_with("/proc"));
        if let Some(Err(error)) = old.map(fs::remove_file) {
            let what = format!("{option} {}: what is there cannot be removed: {error}", file.display());
            return Err(refuse_text(&what, "name another file, or remove it"));
        }
    }
    Ok(())
}

/// Refuses files that the command itself writes into `folder`, by their names or as a parent of these.
pub(super) fn check_own(written: &[Output<'_>], folder: &Path, own: &[&str]) -> Result<(), ExitCode> {
    let own: Vec<PathBuf> = own
        .iter()
        .filter_map(|name| identity(&folder.join(name)).or_else(|| fs::canonicalize(folder.join(name)).ok()))
        .collect();
    for (option, file) in written.iter().filter_map(|(option, file)| Some((*option, (*file)?))) {
        let is_own = identity(file).is_some_and(|file| own.iter().any(|own| file.starts_with(own)));
        if is_own {
            let what = format!("{option} {}: this command writes something else there", file.display());
            return Err(refuse_text(&what, "name a file of your own"));
        }
    }
    Ok(())
}

/// Refuses a folder in which a subfolder has the name of a file that will be written there.
pub(super) fn check_folder(folder: &Path, names: &[&str]) -> Result<(), ExitCode> {
    match names.iter().map(|name| folder.join(name)).find(|file| file.is_dir()) {
        Some(file) => {
            let what = format!("{}: a report is written there, but it is a folder", file.display());
            Err(refuse_text(&what, "move it away"))
        }
        None => Ok(()),
    }
}

/// Refuses an existing path that is not a folder, if a folder will be made there later.
pub(super) fn check_made_later(option: &str, folder: &Path) -> Result<(), ExitCode> {
    match folder.ancestors().find(|part| part.exists()).filter(|part| !part.is_dir()) {
        Some(file) => {
            let what = format!("{option} {}: {} is no folder", folder.display(), file.display());
            Err(refuse_text(&what, "name a folder, which is made if it is missing"))
        }
        None => Ok(()),
    }
}

/// The same value for all paths of one file, whether it exists yet or not; `None` for devices and pipes, which can take
/// several documents.
pub(super) fn identity(file: &Path) -> Option<PathBuf> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => None,
        Ok(_) => Some(fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())),
        Err(_) => {
            let folder = fs::canonicalize(folder_of(file)).unwrap_or_else(|_| folder_of(file).to_owned());
            Some(folder.join(file.file_name()?))
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file can be written there. For devices and pipes that cannot be known in advance.
fn writable(file: &Path) -> io::Result<()> {
    let file = match fs::metadata(file) {
        Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return Ok(()),
        Ok(_) => fs::canonicalize(file)?,
        Err(_) => file.to_owned(),
    };
    if file.file_name().is_none() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a file needs a name"));
    }
    tempfile::tempfile_in(folder_of(&file)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_written_once_and_none_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in.json"), "").unwrap();
        fs::create_dir(at("dir")).unwrap();
        let (new, again, read) = (at("new.json"), at("dir/../new.json"), at("in.json"));
        let says = |written: &[Output<'_>]| problem(written, &[&read]).map(|(what, _)| what).unwrap_or_default();
        assert_eq!(says(&[("--json", Some(&new)), ("--html", None), ("--trace", Some(&at("t")))]), "");
        assert!(says(&[("--json", Some(&new)), ("--html", Some(&again))]).starts_with("--json and --html both name"));
        assert!(says(&[("--json", Some(&at("dir/../in.json")))]).contains("this file is read"));
        assert!(says(&[("--json", Some(&at("dir")))]).contains("directory"));
        assert!(says(&[("--json", Some(&at("nowhere/x.json")))]).contains("No such file"));
        #[cfg(target_os = "linux")]
        {
            let null = Path::new("/dev/null");
            assert_eq!(says(&[("--json", Some(null)), ("--html", Some(null))]), "");
            assert!(says(&[("--trace", Some(Path::new("/proc/x")))]).contains("--trace /proc/x: "));
        }
    }
}
