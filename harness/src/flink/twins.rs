//! The twins of the built-in jobs, and what Flink is watched with: Java that is compiled when it is first needed.
//!
//! Start at [`archive`]. The sources are in `harness/java` and part of this program. What comes of them is kept in the user's cache
//! folder under the hash of the sources and the versions of Flink and Java, so it is made once, and again when one of them changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xxhash_rust::xxh3::xxh3_64;

use super::home::Home;
use crate::environment::Environment;

/// All sources, by file name.
const SOURCES: &[(&str, &str)] = &[
    ("Hook.java", include_str!("../../java/flowquake/Hook.java")),
    ("HookedFileSystem.java", include_str!("../../java/flowquake/HookedFileSystem.java")),
    ("LogLine.java", include_str!("../../java/flowquake/LogLine.java")),
    ("TimedSource.java", include_str!("../../java/flowquake/TimedSource.java")),
    ("Twin.java", include_str!("../../java/flowquake/Twin.java")),
    ("Wire.java", include_str!("../../java/flowquake/Wire.java")),
];

/// Under this name Flink looks for what reaches stores, and finds this.
const STORES: (&str, &str) =
    ("META-INF/services/org.apache.flink.core.fs.FileSystemFactory", "flowquake.HookedFileSystem$Factory\n");

/// The class that makes a twin's graph.
pub(super) const ENTRY: &str = "flowquake.Twin";

/// The archive for this Flink; compiled now, if it was not before.
pub(super) fn archive(home: &Home) -> Result<PathBuf, Environment> {
    let folder = cache().join(format!("flink-{}-java-{}-{:016x}", home.version, home.java_version, hash()));
    let archive = folder.join("twins.jar");
    if archive.is_file() {
        return Ok(archive);
    }
    let parent = folder.parent().unwrap_or(Path::new("."));
    let broken = |error: std::io::Error| {
        let what = format!("the twins of the jobs cannot be kept in {}: {error}", parent.display());
        Environment::new(what, "make room there, or let XDG_CACHE_HOME name another folder")
    };
    fs::create_dir_all(parent).map_err(broken)?;
    let made = tempfile::Builder::new().prefix("making-").tempdir_in(parent).map_err(broken)?;
    let (sources, classes) = (made.path().join("java"), made.path().join("classes"));
    fs::create_dir(&sources).map_err(broken)?;
    for (name, text) in SOURCES {
        fs::write(sources.join(name), text).map_err(broken)?;
    }
    let mut javac = Command::new(&home.javac);
    javac.arg("-d").arg(&classes).arg("-cp").arg(home.class_path());
    run(javac.args(SOURCES.iter().map(|(name, _)| sources.join(name))), home)?;
    let service = classes.join(STORES.0);
    fs::create_dir_all(service.parent().unwrap_or(&classes)).map_err(broken)?;
    fs::write(service, STORES.1).map_err(broken)?;
    // `jar` stands beside `javac`.
    let mut jar = Command::new(home.javac.with_file_name("jar"));
    run(jar.arg("cf").arg(made.path().join("twins.jar")).arg("-C").arg(&classes).arg("."), home)?;
    // Whole or not at all: another process may make the same.
    match fs::rename(made.path(), &folder) {
        Ok(()) => Ok(archive),
        Err(_) if archive.is_file() => Ok(archive),
        Err(error) => Err(broken(error)),
    }
}

fn run(command: &mut Command, home: &Home) -> Result<(), Environment> {
    let program = command.get_program().to_string_lossy().into_owned();
    let remedy =
        "install a whole JDK 17; if it is there, this Flink offers another interface than the twins were written for";
    let output =
        command.output().map_err(|error| Environment::new(format!("{program} cannot be run: {error}"), remedy))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error")).take(3).collect();
    let what = format!("the twins of the jobs do not compile against Flink {}: {}", home.version, errors.join(" | "));
    Err(Environment::new(what, remedy))
}

fn hash() -> u64 {
    let all: String = SOURCES.iter().chain([&STORES]).flat_map(|(name, text)| [*name, "\0", text, "\0"]).collect();
    xxh3_64(all.as_bytes())
}

/// The user's cache folder for this program.
fn cache() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("flowquake")
}
