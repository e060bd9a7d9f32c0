//! What the program refuses, and how it ends if something cannot be written: with a message, a remedy and exit code 2,
//! before anything runs, and never with a panic.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use common::Folder;

/// A short scenario, as `small.toml`.
const SMALL: &str = r#"
name = "small"
why = "a test"
[job]
name = "keyed-count"
params = { keys = 10 }
input = { generator = "orders", records = 200, rate = "1000/s" }
"#;

/// A folder with `small.toml`.
fn folder() -> Folder {
    Folder::new().with("small.toml", SMALL)
}

impl Folder {
    /// `flowquake` with the words of a line.
    fn words(&self, line: &str) -> Command {
        self.command(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the program, which must end with `code`, and returns its standard error.
    #[track_caller]
    fn says(&self, line: &str, code: i32) -> String {
        self.ends(self.words(line), code).err
    }

    /// Runs the program, which must refuse with these words and a remedy.
    #[track_caller]
    fn refused(&self, args: &str, words: &str) {
        let said = self.says(args, 2);
        assert!(said.contains(words) && said.contains("help: "), "{args}: {said}");
    }
}

#[test]
fn what_others_wrote_is_not_replaced_and_folders_are_folders() {
    let tuned =
        format!("{SMALL}[engine]\ncredits = 12\n[tune]\nintervals = [\"1s\", \"2s\", \"5s\"]\nduration = \"2s\"\n");
    let folder = folder().with("README.md", "mine").with("tuned.toml", tuned.replace("small", "tuned"));
    folder.refused("tune tuned.toml --yes --output .", "no sweep wrote what is there");
    assert_eq!(fs::read(folder.path().join("README.md")).unwrap(), b"mine");
    folder.refused("run small.toml --failures README.md", "README.md is no folder");
    folder.refused("run small.toml --failures README.md/below", "README.md is no folder");
}

#[test]
fn numbers_beyond_all_use_are_refused() {
    let folder = folder().with("keyless.toml", SMALL.replace("small", "keyless").replace("keys = 10", "keys = 0"));
    let most = u64::MAX;
    folder.refused(&format!("run small.toml --seed {most} --seeds 3"), "the last seed would be beyond");
    folder.refused(&format!("run small.toml --seeds {most}"), "--seeds 18446744073709551615: too many");
    folder.refused(&format!("gate --update small.toml --seeds {most}"), "too many");
    folder.refused("run small.toml --jobs 0", "--jobs 0");
    folder.refused("gate --update small.toml --jobs 0", "--jobs 0");
    folder.refused("tune small.toml --jobs 0", "--jobs 0");
    folder.refused("run keyless.toml", "keys = 0: a whole number from 1 to 4294967295 is needed");
    folder.says(&format!("run small.toml --seed {most}"), 0);
}

#[test]
fn outputs_are_looked_at_before_anything_runs() {
    let folder = folder();
    folder.refused("run small.toml --json x --trace ./x", "--json and --trace both name");
    folder.refused("run small.toml --json small.toml", "this file is read, and would be replaced");
    folder.refused("run small.toml --json nowhere/x", "--json nowhere/x: ");
    folder.refused("run small.toml --trace .", "--trace .: ");
    assert!(!folder.path().join("target").exists(), "nothing ran");
    folder.says("gate --update small.toml --seeds 1 --baseline b.json", 0);
    folder.refused("gate --baseline b.json --html b.json", "this file is read, and would be replaced");
    folder.refused("gate --baseline b.json --html x --junit x", "--junit and --html both name x");
    folder.refused("gate --baseline b.json --budget p50=5%,p50=6%", "`p50` has two budgets");
    folder.says("run small.toml --json runs.json", 0);
    folder.refused("coverage runs.json ./runs.json", "./runs.json is named twice");
    folder.refused("export runs.json --format svg --output runs.json", "this file is read");
}

#[test]
fn files_of_another_kind_are_called_by_their_names() {
    let folder = folder().with("tuning.json", "{\"tuning_version\": 999}").with("b.json", b"\xff");
    folder.refused("export tuning.json --format svg", "holds what `flowquake tune` found");
    folder.refused("gate --baseline b.json", "b.json is not text");
    let said = folder.says("gate --update small.toml --seeds 1 --baseline b.json", 0);
    assert!(said.contains("the old b.json is replaced unread"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn devices_stay_what_they_are_and_may_be_full() {
    let folder = folder();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("null")).unwrap();
    folder.says("run small.toml --json null", 0);
    assert!(folder.path().join("null").is_symlink());
    for args in ["list faults", "check small.toml", "run small.toml --json runs.json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = folder.words(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {said}");
        assert!(said.contains("error: standard output: No space left") && !said.contains("panicked"), "{said}");
    }
    assert!(folder.path().join("runs.json").exists(), "files are written all the same");
}

#[test]
fn who_reads_no_further_has_seen_enough() {
    let folder = folder();
    let mut child = folder.words("list faults").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_sweep_that_finds_no_best_interval_is_vacuous_and_says_why() {
    let sweep = "[engine]\ncredits = 12\n[tune]\nbackends = [\"fs\"]\nintervals = [\"1s\", \"2s\", \"5s\"]\nduration = \"2s\"\n";
    let folder = folder().with("sweep.toml", SMALL.replace("small", "sweep") + sweep);
    let said = folder.says("tune sweep.toml --output found", 3);
    assert!(said.contains("vacuous: no interval is the best"), "{said}");
    fs::remove_dir_all(folder.path().join("found")).unwrap();
    fs::create_dir_all(folder.path().join("found/report.html")).unwrap();
    folder.refused("tune sweep.toml --output found", "found/report.html: a report is written there");
    fs::write(folder.path().join("found/tune.journal"), b"\xff").unwrap();
    fs::remove_dir(folder.path().join("found/report.html")).unwrap();
    folder.refused("tune sweep.toml --output found", "remove it, or name another folder");
    let none = SMALL.replace("small", "none") + &sweep.replace("duration", "loads = [1e-30]\nduration");
    let folder = folder.with("none.toml", none);
    folder.refused("tune none.toml --output found", "none.toml: [tune], interval 1s, load 1e-30, backend fs: ");
}

#[test]
fn what_no_machine_can_run_is_refused_with_what_makes_it_dear() {
    let dear = SMALL.replace("small", "dear").replace("records = 200, rate = \"1000/s\"", "records = 10_000_000_000");
    let folder = folder().with("dear.toml", dear);
    folder.refused("run dear.toml", "dear.toml: a run would take about");
    folder.refused("run dear.toml", "10000000000 records");
    assert!(folder.says("run small.toml --run-memory 1MiB", 2).contains("at least 64MiB are needed"));
    folder.says("run small.toml --max-cost 1s", 0);
}

#[test]
fn files_without_an_end_are_refused_at_once() {
    let folder = folder();
    for args in
        ["coverage /dev/zero", "export /dev/zero --format svg", "gate --baseline /dev/zero", "state show /dev/zero"]
    {
        folder.refused(args, "/dev/zero");
    }
    let profiled = SMALL.replace("small", "profiled") + "[cluster]\ncost_profile = \"/dev/zero\"\n";
    let said = folder.with("profiled.toml", profiled).says("check profiled.toml", 2);
    assert!(said.contains("is not text: it holds a NUL byte"), "{said}");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let folder = folder();
    let name = "a\u{1b}[2J\u{9b}b";
    let text = SMALL.replace("\"small\"", "\"a\\u001b[2J\\u009bb\"").replace("a test", "\\u001b]0;title\\u0007");
    fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    for command in ["check", "run"] {
        let output = folder.words(command).arg(format!("{name}.toml")).output().unwrap();
        for said in [output.stdout, output.stderr] {
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(!said.contains("\u{1b}[2J") && !said.contains("\u{1b}]") && !said.contains('\u{9b}'), "{said:?}");
        }
    }
}

#[cfg(all(target_os = "linux", feature = "rocksdb"))]
#[test]
fn a_machine_that_cannot_keep_a_run_is_told_and_is_no_verdict() {
    let rocks = SMALL.replace("small", "rocks") + "[checkpointing]\nbackend = \"rocksdb\"\n";
    let folder = folder().with("rocks.toml", rocks);
    let limited = |limits: &str| {
        let mut shell = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_flowquake");
        shell.current_dir(folder.path()).args(["-c", &format!("{limits}; exec {program} run rocks.toml")]);
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = limited("ulimit -n 64");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the environment: a process may open 64 files") && said.contains("ulimit -n 256"), "{said}");
    let (code, said) = limited("export TMPDIR=/nonexistent");
    assert_eq!(code, Some(if Path::new("/dev/shm").is_dir() { 0 } else { 2 }), "{said}");
}
