//! What the program prints to a terminal, to a pipe and to a closed pipe.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

const SCENARIO: &str = r#"name = "small"
why = "the screen is tried on it"
[job]
name = "string-length-count"
input = { generator = "words", records = 200, rate = "2000/s" }
[checkpointing]
interval = "50ms"
[expect]
failovers = 1
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SCENARIO).unwrap();
    folder
}

fn flowquake(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
    command.current_dir(folder.path()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// As `flowquake … 2>&1 | head -1` does: both streams are one pipe, which is closed after the first line.
#[test]
fn a_closed_pipe_loses_neither_files_nor_the_exit_code() {
    let folder = folder();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut run = flowquake(&folder)
        .args(["run", "small.toml", "--seeds", "30", "--json", "runs.json"])
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    reader.read_exact(&mut [0; 1]).unwrap();
    drop(reader);
    assert_eq!(run.wait().unwrap().code(), Some(1), "the code of what was found");
    let records: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    assert_eq!(records["runs"].as_array().unwrap().len(), 30);
    assert!(folder.path().join("target/flowquake/report.html").exists());
}

#[test]
fn colours_are_where_they_are_asked_for() {
    let folder = folder();
    let colours = |args: &[&str], set: &[(&str, &str)]| {
        let output = flowquake(&folder).args(args).envs(set.iter().copied()).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\x1b')
    };
    assert!(!colours(&["list", "faults"], &[]), "a pipe");
    assert!(colours(&["list", "faults"], &[("CLICOLOR_FORCE", "1")]));
    assert!(colours(&["list", "faults"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]));
    assert!(!colours(&["list", "faults"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(colours(&["list", "faults", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!colours(&["--color=never", "list", "faults"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn an_error_has_colours_only_if_asked_for() {
    let folder = folder();
    fs::write(folder.path().join("bad.toml"), "name = 1\n").unwrap();
    let errors = |color: &str| {
        let output = flowquake(&folder).args(["check", "bad.toml", "--color", color]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(errors("always").contains('\x1b') && !errors("never").contains('\x1b'));
}
