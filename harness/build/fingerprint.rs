//! The engine's fingerprint: a hash over the sources that can change the trace of a given plan.
//!
//! It tells a change of the engine from nondeterminism: with one fingerprint and one plan, a trace must not change. So it
//! covers the engine, the part of the harness between plan and trace, and what `Cargo.lock` pins for them; not what makes
//! plans (a plan has a hash of its own), nor what judges, measures and shows. It depends on names below the workspace and on
//! contents alone: not on where a checkout lies, on times of files, or on line ends. The compiler is left out: a trace that
//! depends on it is a finding.
//!
//! Compiled into the build script, and into the tests of `provenance.rs`. Start at [`of`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders, below the workspace's root.
pub const SOURCES: &[&str] = &[
    "engine/Cargo.toml",
    "engine/src",
    "harness/src/faults",
    "harness/src/jobs",
    "harness/src/nemesis",
    "harness/src/plan",
    "harness/src/plan.rs",
    "harness/src/recorder",
    "harness/src/recorder.rs",
    "harness/src/run.rs",
    "harness/src/trace.rs",
];

/// Packages whose dependencies, direct and indirect, run below a trace.
const ROOTS: &[&str] = &["flowquake-engine", "madsim", "xxhash-rust", "postcard"];

/// 16 hexadecimal digits; `None` where the sources are not there, so that nothing is claimed.
pub fn of(workspace: &Path) -> Option<String> {
    let mut files = BTreeMap::new();
    for source in SOURCES {
        collect(workspace, Path::new(source), &mut files)?;
    }
    let mut hash = Fnv::default();
    for (name, bytes) in &files {
        hash.part(name.as_bytes());
        hash.part(bytes);
    }
    // A package of somebody else's workspace has no lock beside it; theirs pins what is built, and is not looked for.
    if let Ok(lock) = fs::read_to_string(workspace.join("Cargo.lock")) {
        for pin in pins(&lock) {
            hash.part(pin.as_bytes());
        }
    }
    Some(format!("{:016x}", hash.0))
}

/// Sources below `path`, by name; tests that stand in files of their own are left out.
fn collect(workspace: &Path, path: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Option<()> {
    let here: PathBuf = workspace.join(path);
    if here.is_dir() {
        for entry in fs::read_dir(&here).ok()? {
            let name = entry.ok()?.file_name();
            let name = name.to_str()?;
            // What an editor leaves lying about is no source, and neither is what tests compare with.
            let is_source =
                !name.contains('.') || [".rs", ".toml", ".json"].iter().any(|ending| name.ends_with(ending));
            if is_source && !["tests", "tests.rs", "snapshots"].contains(&name) {
                collect(workspace, &path.join(name), files)?;
            }
        }
        return Some(());
    }
    let bytes: Vec<u8> = fs::read(&here).ok()?.into_iter().filter(|byte| *byte != b'\r').collect();
    files.insert(path.to_str()?.replace('\\', "/"), bytes);
    Some(())
}

/// `name version checksum` of every package that [`ROOTS`] need, sorted.
fn pins(lock: &str) -> BTreeSet<String> {
    let packages: Vec<Package> = lock.split("[[package]]").skip(1).map(Package::read).collect();
    let (mut found, mut open): (BTreeSet<usize>, Vec<usize>) = (BTreeSet::new(), Vec::new());
    open.extend((0..packages.len()).filter(|at| ROOTS.contains(&packages[*at].name)));
    while let Some(at) = open.pop() {
        if found.insert(at) {
            for dependency in &packages[at].dependencies {
                open.extend((0..packages.len()).filter(|other| packages[*other].is(dependency)));
            }
        }
    }
    found.into_iter().map(|at| &packages[at]).map(|p| format!("{} {} {}", p.name, p.version, p.checksum)).collect()
}

/// One entry of a lock file.
struct Package<'l> {
    name: &'l str,
    version: &'l str,
    checksum: &'l str,
    dependencies: Vec<&'l str>,
}

impl<'l> Package<'l> {
    fn read(text: &'l str) -> Package<'l> {
        let value = |key: &str| {
            let of = |line: &'l str| Some(line.strip_prefix(key)?.strip_prefix(" = ")?.trim_matches('"'));
            text.lines().find_map(of).unwrap_or("")
        };
        let dependencies = text.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
        Package {
            name: value("name"),
            version: value("version"),
            checksum: value("checksum"),
            dependencies: dependencies.collect(),
        }
    }

    /// Whether a dependency means this package: by name, and by version where there are several.
    fn is(&self, dependency: &str) -> bool {
        let mut words = dependency.split(' ');
        words.next() == Some(self.name) && words.next().is_none_or(|version| version == self.version)
    }
}

/// FNV-1a with 64 bits: nothing here is secret, and a build script should need no packages.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds a part with its length, so that no two lists of parts look alike.
    fn part(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
