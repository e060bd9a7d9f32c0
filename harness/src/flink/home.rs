//! A Flink and a JDK on this machine: what is there, which version, and what is missing.
//!
//! Start at [`Home::find`]. A Flink is a folder with `lib/`, as a distribution has it, or the Python package `apache-flink-libraries`.
//! Nothing is downloaded, and nothing in the folder is changed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::messages;
use crate::environment::Environment;

/// Where a Flink is if nobody says.
pub(crate) const FLINK_HOME: &str = "FLINK_HOME";
/// The oldest Java that has sockets in the file system.
const JAVA_MIN: u32 = 16;

/// A Flink, and the Java to run it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The folder that holds `lib`.
    pub folder: PathBuf,
    /// As in `flink-dist-2.2.1.jar`.
    pub version: String,
    /// The command `java`.
    pub java: PathBuf,
    /// Its major version.
    pub java_version: u32,
    /// The command `javac`, which makes the twins of the jobs.
    pub javac: PathBuf,
}

impl Home {
    /// The Flink in `given`, else in `FLINK_HOME`, with the Java of `JAVA_HOME`, else of the path.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn find(given: Option<&Path>) -> Result<Self, Environment> {
        let folder = match (given, std::env::var_os(FLINK_HOME)) {
            (Some(folder), _) => folder.to_owned(),
            (None, Some(folder)) if !folder.is_empty() => PathBuf::from(folder),
            _ => {
                let remedy = "name its folder with --flink-home DIR, or in the environment variable FLINK_HOME; a Flink is in the \
                              Python package apache-flink-libraries, too";
                return Err(Environment::new("no Apache Flink was given", remedy));
            }
        };
        let folder = fs::canonicalize(&folder).map_err(|error| {
            let what = format!("the Flink folder {} cannot be entered: {error}", folder.display());
            Environment::new(what, "give the folder that holds Flink's `lib`")
        })?;
        let version = version(&folder)?;
        let java = command("java")?;
        let java_version = java_version(&java)?;
        if java_version < JAVA_MIN {
            let what = format!("Java {java_version} is too old: sockets in the file system came with Java {JAVA_MIN}");
            return Err(Environment::new(what, "install a JDK 17, or let JAVA_HOME name one"));
        }
        Ok(Self { folder, version, java, java_version, javac: command("javac")? })
    }

    /// Its minor version, by which messages are known: `2.2`.
    pub fn minor(&self) -> &str {
        let second = self.version.match_indices('.').nth(1).map_or(self.version.len(), |(at, _)| at);
        &self.version[..second]
    }

    /// Everything in `lib`.
    pub(super) fn class_path(&self) -> String {
        self.folder.join("lib").join("*").display().to_string()
    }

    /// Whether its log can be read.
    pub(super) fn check_messages(&self) -> Result<(), Environment> {
        if messages::table(self.minor()).is_some() {
            return Ok(());
        }
        let known = messages::VERSIONS.iter().map(|(version, _)| *version).collect::<Vec<_>>().join(", ");
        let what =
            format!("Flink {} in {} is of a version whose log nobody has read", self.version, self.folder.display());
        Err(Environment::new(what, format!("give a Flink of one of these versions: {known}")))
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flink {} in {}, Java {}", self.version, self.folder.display(), self.java_version)
    }
}

/// The version that the name of Flink's main archive bears.
fn version(folder: &Path) -> Result<String, Environment> {
    let lib = folder.join("lib");
    let names = fs::read_dir(&lib).map_err(|error| {
        let what = format!("{} is no Flink: {} cannot be read: {error}", folder.display(), lib.display());
        Environment::new(what, "give the folder that holds Flink's `lib`; of the Python package, that is `pyflink`")
    })?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let version = |name: String| Some(name.strip_prefix("flink-dist-")?.strip_suffix(".jar")?.to_owned());
    names.filter_map(version).max().ok_or_else(|| {
        let what = format!("{} holds no flink-dist-VERSION.jar", lib.display());
        Environment::new(what, "give the folder of a whole Flink, version 2.0 or later")
    })
}

/// A command of the JDK: below `JAVA_HOME`, else on the path.
fn command(name: &str) -> Result<PathBuf, Environment> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = home
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        let what = format!("there is no `{name}` below JAVA_HOME or on the path");
        Environment::new(what, "install a JDK 17 (not only a runtime: the twins of the jobs are compiled with it)")
    })
}

fn java_version(java: &Path) -> Result<u32, Environment> {
    let remedy = "install a JDK 17, or let JAVA_HOME name one";
    let output = Command::new(java)
        .arg("-version")
        .output()
        .map_err(|error| Environment::new(format!("{} cannot be run: {error}", java.display()), remedy))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    major(&text).ok_or_else(|| {
        let what = format!("{} does not say its version: {}", java.display(), text.lines().next().unwrap_or_default());
        Environment::new(what, remedy)
    })
}

/// Of `openjdk version "17.0.15" 2025-04-15`, 17; of `"1.8.0_292"`, 8.
fn major(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut numbers = quoted.split(['.', '_', '-']).map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_says_its_version_in_two_ways() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nmore"), Some(17));
        assert_eq!(major("java version \"1.8.0_292\""), Some(8));
        assert_eq!(major("openjdk version \"21-ea\""), Some(21));
        assert_eq!(major("no version"), None);
    }

    #[test]
    fn a_folder_that_is_no_flink_is_refused_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Home::find(Some(folder.path())).unwrap_err();
        assert!(refused.what.contains("is no Flink"), "{refused}");
        fs::create_dir(folder.path().join("lib")).unwrap();
        let refused = Home::find(Some(folder.path())).unwrap_err();
        assert!(refused.what.contains("holds no flink-dist"), "{refused}");
        let refused = Home::find(Some(&folder.path().join("nowhere"))).unwrap_err();
        assert!(refused.what.contains("cannot be entered"), "{refused}");
    }
}
