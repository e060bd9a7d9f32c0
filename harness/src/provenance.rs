//! What this program was built from, and the command that runs a saved plan again with the same program.
//!
//! Start at [`replay_command`]. Commit, toolchain and the engine's fingerprint come from the build script; what it
//! could not find out is left out.

use std::path::Path;

/// The commit, followed by `-dirty` if files were changed since; `None`: built outside of a checkout, or without git.
pub const COMMIT: Option<&str> = option_env!("FLOWQUAKE_COMMIT");

/// Hash over the sources that can change a trace, 16 hexadecimal digits; `None`: the sources were not there at build
/// time.
pub const ENGINE: Option<&str> = option_env!("FLOWQUAKE_ENGINE");

/// The output of `rustc --version`.
const RUSTC: Option<&str> = option_env!("FLOWQUAKE_RUSTC");

/// Such as `flowquake 0.1.0 (1023a44abcde, rustc 1.95.0)`.
pub fn program() -> String {
    let name = format!("flowquake {}", env!("CARGO_PKG_VERSION"));
    let rustc = RUSTC.and_then(version_of).map(|version| format!("rustc {version}"));
    let parts: Vec<String> = COMMIT.map(str::to_owned).into_iter().chain(rustc).collect();
    if parts.is_empty() { name } else { format!("{name} ({})", parts.join(", ")) }
}

/// A shell command that replays `plan` with this toolchain, and reports if the sources are of another commit.
pub fn replay_command(plan: &Path) -> String {
    replay_line(plan, &invocation(), COMMIT, RUSTC)
}

fn replay_line(plan: &Path, invocation: &str, commit: Option<&str>, rustc: Option<&str>) -> String {
    // rustup reads this variable, and without rustup it is ignored; `cargo +1.95.0` would be an error there. A program
    // that is already built needs no toolchain.
    let toolchain = rustc.and_then(toolchain_of).filter(|_| invocation.starts_with("cargo "));
    let toolchain = toolchain.map(|name| format!("RUSTUP_TOOLCHAIN={name} ")).unwrap_or_default();
    let commit = commit.map(|commit| format!(" --commit {commit}")).unwrap_or_default();
    format!("{toolchain}{invocation} replay {}{commit}", quoted(&plan.to_string_lossy()))
}

/// A shell command that starts this program again in the way in which it was started, with these arguments (already
/// quoted).
pub fn command(arguments: &str) -> String {
    format!("{} {arguments}", invocation())
}

/// How this program was started: by cargo, in which case package and features are known, or by its path or name.
pub fn invocation() -> String {
    let started =
        std::env::args_os().next().map_or_else(|| "flowquake".to_owned(), |word| word.to_string_lossy().into_owned());
    let package = std::env::var("CARGO_PKG_NAME").ok();
    invocation_of(&started, package.as_deref(), cfg!(feature = "rocksdb"))
}

fn invocation_of(started: &str, package: Option<&str>, rocksdb: bool) -> String {
    let path = Path::new(started);
    // The path of a test binary is no command for users.
    let is_test = path.parent().is_some_and(|folder| folder.ends_with("deps"));
    match package {
        Some(package) if package == "flowquake" || package.starts_with("flowquake-") => match rocksdb {
            true => "cargo run --".to_owned(),
            false => "cargo run -p flowquake --no-default-features --features sim --".to_owned(),
        },
        Some(package) if is_test => format!("cargo run -p {package} --"),
        Some(package) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("cargo run -p {package} --bin {} --", quoted(&name))
        }
        None => quoted(started),
    }
}

/// `1.95.0` from `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version_of(rustc: &str) -> Option<&str> {
    rustc.split_whitespace().nth(1)
}

/// Only releases have a toolchain that is named by their version. A nightly is named by a date that `rustc` does not
/// print.
fn toolchain_of(rustc: &str) -> Option<&str> {
    version_of(rustc).filter(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// `text` as one word of a POSIX shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
#[path = "../build/fingerprint.rs"]
mod fingerprint;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A copy of the sources that the fingerprint covers, in another folder and with other times.
    fn copy_of_sources(to: &Path) {
        fn copy(from: &Path, to: &Path) {
            if from.is_dir() {
                fs::create_dir_all(to).unwrap();
                for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                    copy(&entry.path(), &to.join(entry.file_name()));
                }
            } else {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::write(to, fs::read(from).unwrap()).unwrap();
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for source in fingerprint::SOURCES.iter().chain(&["Cargo.lock"]) {
            copy(&root.join(source), &to.join(source));
        }
    }

    #[test]
    fn the_engine_is_known_by_its_contents_alone() {
        let elsewhere = tempfile::tempdir().unwrap();
        let root = elsewhere.path();
        copy_of_sources(root);
        let print = fingerprint::of(root).expect("the sources are there");
        assert_eq!(ENGINE, Some(print.as_str()), "a copy elsewhere is the same engine");
        let lib = root.join("engine/src/lib.rs");
        let text = fs::read_to_string(&lib).unwrap();
        fs::write(&lib, text.replace('\n', "\r\n")).unwrap();
        fs::write(root.join("engine/src/lib.rs.orig"), "left by an editor").unwrap();
        assert_eq!(fingerprint::of(root), Some(print.clone()), "neither line ends nor leftovers change it");
        fs::write(&lib, text + "// another engine\n").unwrap();
        let other = fingerprint::of(root).unwrap();
        assert_ne!(other, print);
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        let cut = |name: &str| {
            lock.replace(&format!("name = \"{name}\"\nversion = \""), &format!("name = \"{name}\"\nversion = \"9"))
        };
        fs::write(root.join("Cargo.lock"), cut("quick-junit")).unwrap();
        assert_eq!(fingerprint::of(root), Some(other.clone()), "what only reports need");
        for package in ["madsim", "tokio"] {
            fs::write(root.join("Cargo.lock"), cut(package)).unwrap();
            assert_ne!(fingerprint::of(root), Some(other.clone()), "{package} runs below a trace");
        }
        fs::remove_file(root.join("harness/src/run.rs")).unwrap();
        assert_eq!(fingerprint::of(root), None);
    }

    #[test]
    fn a_command_names_toolchain_plan_and_commit_as_far_as_they_are_known() {
        let plan = Path::new("flowquake-failures/kill-seed-7.json");
        let rustc = "rustc 1.95.0 (59807616e 2026-04-14)";
        assert_eq!(
            replay_line(plan, "cargo run --", Some("1023a44abcde"), Some(rustc)),
            "RUSTUP_TOOLCHAIN=1.95.0 cargo run -- replay flowquake-failures/kill-seed-7.json --commit 1023a44abcde"
        );
        let nightly = "rustc 1.97.0-nightly (59807616e 2026-04-14)";
        assert_eq!(
            replay_line(plan, "cargo run --", None, Some(nightly)),
            "cargo run -- replay flowquake-failures/kill-seed-7.json"
        );
        assert_eq!(
            replay_line(plan, "./mine", None, Some(rustc)),
            "./mine replay flowquake-failures/kill-seed-7.json",
            "a program that is there needs no toolchain"
        );
    }

    #[test]
    fn commands_start_the_program_that_printed_them() {
        let of = |started: &str, package: Option<&str>| invocation_of(started, package, true);
        assert_eq!(of("target/debug/flowquake", Some("flowquake")), "cargo run --");
        assert_eq!(of("target/debug/deps/museum-0123", Some("flowquake-scenarios")), "cargo run --");
        let without = invocation_of("target/debug/flowquake", Some("flowquake"), false);
        assert_eq!(
            without, "cargo run -p flowquake --no-default-features --features sim --",
            "RocksDB is not compiled"
        );
        assert_eq!(of("target/debug/orders", Some("my-jobs")), "cargo run -p my-jobs --bin orders --");
        assert_eq!(of("target/debug/deps/fault_tolerance-0123", Some("my-jobs")), "cargo run -p my-jobs --");
        assert_eq!(of("./my jobs", None), "'./my jobs'");
        assert_eq!(of("flowquake", None), "flowquake");
    }

    #[test]
    fn a_path_stays_one_word_and_does_nothing_else() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm -r $HOME"), r"'it'\''s; rm -r $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
