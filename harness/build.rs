//! Tells the program what it was built from: the commit and the toolchain, for the command that replays a failure, and the
//! engine's fingerprint, for the gate.
//!
//! Nothing here may fail a build. Without git, or where this folder belongs to no commit, the program does not know its
//! commit and says nothing about it.

use std::path::Path;
use std::process::Command;

#[path = "build/fingerprint.rs"]
mod fingerprint;

fn main() {
    // Whatever can change the answer; a path that is missing would run this script at every build.
    let mut watched: Vec<String> =
        ["build.rs", "build", "src", "../engine/src", "../engine/Cargo.toml", "../Cargo.lock"].map(String::from).into();
    // The file that grows at every commit and checkout.
    watched.extend(git(&["rev-parse", "--git-path", "logs/HEAD"]));
    for path in watched.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    // A copy of the sources inside somebody else's repository must not name that one's commit.
    if git(&["ls-files", "--error-unmatch", "Cargo.toml"]).is_some()
        && let Some(commit) = git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
    {
        println!("cargo::rustc-env=FLOWQUAKE_COMMIT={commit}");
    }
    if let Some(engine) = fingerprint::of(Path::new("..")) {
        println!("cargo::rustc-env=FLOWQUAKE_ENGINE={engine}");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    if let Some(version) = said(Command::new(rustc).arg("--version")) {
        println!("cargo::rustc-env=FLOWQUAKE_RUSTC={version}");
    }
}

fn git(args: &[&str]) -> Option<String> {
    said(Command::new("git").arg("--no-optional-locks").args(args))
}

/// What a command printed, in one line; `None` if it is not there, failed, or said nothing.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
