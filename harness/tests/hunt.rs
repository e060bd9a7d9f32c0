//! Searches as a user meets them: floors of activation, and what they say of a kind that does nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A working folder with scenarios.
struct Folder(tempfile::TempDir);

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Folder {
    fn with(file: &str, text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path().join(file), text).unwrap();
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    #[track_caller]
    fn flowquake(&self, args: &[&str], code: i32) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        let said: Said = command.args(args).env("NO_COLOR", "1").current_dir(self.path()).output().unwrap().into();
        assert_eq!(said.code, Some(code), "{args:?}\n{}\n{}", said.out, said.err);
        said
    }
}

/// Kills and pauses, drawn over two seconds.
const SWARM: &str = r#"name = "swarm"
why = "searches are tried on it"

[job]
name = "string-length-count"
input = { generator = "words", records = 2_000, rate = "1000/s" }

[checkpointing]
interval = "200ms"
timeout = "2s"

[swarm]
faults = [2, 4]
until = "1s"
heal_after = "50ms..200ms"
kinds = ["kill", "pause"]
"#;

#[test]
fn a_sweep_fails_if_a_kind_of_fault_hurts_too_rarely() {
    let folder = Folder::with("swarm.toml", SWARM);
    let run = |floors: &[&str], code| {
        let words = [&["run", "swarm.toml", "--seeds", "4", "--json", "runs.json"], floors].concat();
        folder.flowquake(&words, code)
    };
    let said = run(&["--min-hurt", "kill=1", "--min-hurt", "pause=1"], 0);
    assert!(
        said.out.contains("activation: of 41 kinds of faults 2 were drawn, 2 struck, 2 hurt something"),
        "{}",
        said.out
    );
    let said = run(&["--min-hurt", "kill=1000"], 1);
    assert!(said.err.contains("below --min-hurt: kill: ") && said.err.contains("1,000 are asked for"), "{}", said.err);
    let said = run(&["--min-hurt", "1", "--min-hurt", "kill=0"], 1);
    assert!(said.err.contains("below --min-hurt: clock-back: 0 of 0 hurt something"), "{}", said.err);
    assert!(!said.err.contains("kill:"), "{}", said.err);
    let said = run(&["--min-hurt", "kil=1"], 2);
    assert!(said.err.contains("there is no such kind of fault") && said.err.contains("list faults"), "{}", said.err);
    run(&["--min-hurt", "kill=many"], 2);
}

/// A job that is killed by the clock. Whether a checkpoint is aborted with it is a matter of timing, which the scenario forbids.
const BY_THE_CLOCK: &str = r#"name = "by-the-clock"
why = "when its failure was decided is asked"

[job]
name = "string-length-count"
input = { generator = "words", records = 800, splits = 2, rate = "1000/s" }
parallelism = 2

[cluster]
latency = "1ms..40ms"

[checkpointing]
interval = "300ms"

[[fault]]
at = "420ms"
do = "kill"
target = "tm-1"
restart_after = "100ms"

[expect]
aborted_checkpoints_min = 1
"#;

#[test]
fn when_draws_the_curve_of_a_failing_plan_and_refuses_one_that_passes() {
    let folder = Folder::with("by-the-clock.toml", BY_THE_CLOCK);
    let seed = (1..30).find(|seed| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        let words = ["run", "by-the-clock.toml", "--seed", &seed.to_string()].map(str::to_owned);
        command.args(words).current_dir(folder.path()).output().unwrap().status.code() == Some(1)
    });
    let plan = format!("flowquake-failures/by-the-clock-seed-{}.json", seed.expect("one of 30 seeds aborts nothing"));
    let words = ["when", &plan, "--samples", "4", "--points", "6", "--output", "when.html", "--json", "when.json"];
    let said = folder.flowquake(&words, 0);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("when.json")).unwrap()).unwrap();
    let (points, events) = (json["points"].as_array().unwrap(), json["events"].as_u64().unwrap());
    assert!((3..=6).contains(&points.len()) && points.iter().all(|point| point["runs"] == 4), "{json}");
    assert_eq!(json["failure"], "failed expect.aborted_checkpoints_min");
    assert_eq!(json["strikes"][0]["kind"], "kill");
    assert!(points.iter().all(|point| point["after_events"].as_u64().unwrap() < events), "{json}");
    assert!(
        said.out.contains("share of runs that fail in the same way") && said.out.contains("100 % │"),
        "{}",
        said.out
    );
    let ascii = folder.flowquake(&["when", &plan, "--samples", "1", "--points", "2", "--ascii"], 0);
    assert!(ascii.out.contains("100 % |") && !ascii.out.contains('█'), "{}", ascii.out);
    let page = fs::read_to_string(folder.path().join("when.html")).unwrap();
    assert!(page.contains("class=\"probability\"") && page.contains("When the failure was decided"));
    // A plan that passes has no failure that was decided.
    let text = fs::read_to_string(folder.path().join(&plan)).unwrap();
    fs::write(
        folder.path().join("passes.json"),
        text.replace("\"aborted_checkpoints_min\": 1", "\"aborted_checkpoints_min\": 0"),
    )
    .unwrap();
    let said = folder.flowquake(&["when", "passes.json"], 2);
    assert!(said.err.contains("passes.json does not fail: passed"), "{}", said.err);
    folder.flowquake(&["when", &plan, "--samples", "0"], 2);
    folder.flowquake(&["when", &plan, "--output", &plan], 2);
}
