//! What tests of the command line share: a temporary working folder, and the output of commands that ran in this
//! folder.
//!
//! Start at [`Folder::flowquake`]. A test program that is a command line itself, with its own jobs, calls
//! [`Folder::ends`] with its own command instead. Further helpers of one test are in an `impl Folder` of its file.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowquake_reports::record::{RunRecord, RunSet};

/// A working folder that is removed at the end of the test.
pub struct Folder(tempfile::TempDir);

/// The output and the exit code of a command.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Said {
    /// Standard output, then standard error.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, file: &str) -> PathBuf {
        self.path().join(file)
    }

    pub fn with(self, file: &str, contents: impl AsRef<[u8]>) -> Self {
        self.write(file, contents);
        self
    }

    pub fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        let path = self.at(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.at(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The records that `--json` wrote into this file.
    #[track_caller]
    pub fn records(&self, file: &str) -> Vec<RunRecord> {
        let set: RunSet = serde_json::from_str(&self.read(file)).unwrap();
        set.runs
    }

    /// `flowquake` with these arguments, in this folder and without colours.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_flowquake")), args)
    }

    /// Another program in this folder.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("NO_COLOR", "1").current_dir(self.path());
        command
    }

    /// Runs a command that must end with `code`, and returns its output.
    #[track_caller]
    pub fn ends(&self, mut command: Command, code: i32) -> Said {
        let said: Said = command.output().unwrap().into();
        assert_eq!(said.code, Some(code), "{:?}\n{}", command.get_args().collect::<Vec<_>>(), said.all());
        said
    }

    /// Runs `flowquake`, which must end with `code`, and returns its output.
    #[track_caller]
    pub fn flowquake(&self, args: &[&str], code: i32) -> Said {
        self.ends(self.command(args), code)
    }
}
