//! The command line as a user meets it: exit codes, messages, and files in a working folder of its own.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Folder, Said};
use flowquake_reports::record::{FaultKindRecord, FaultRecord, HitRecord, RunRecord, RunSet, SCHEMA_VERSION};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

impl Folder {
    /// Runs `small.toml` and reads its record.
    #[track_caller]
    fn run(&self, code: i32) -> (RunRecord, Said) {
        let said = self.flowquake(&["run", "small.toml", "--json", "runs.json"], code);
        let set: RunSet = serde_json::from_slice(&fs::read(self.path().join("runs.json")).unwrap()).unwrap();
        assert_eq!((set.schema_version, set.runs.len()), (SCHEMA_VERSION, 1));
        assert!(self.path().join("target/flowquake").is_dir());
        (set.runs.into_iter().next().unwrap(), said)
    }
}

/// One second of generated words; `top` stands above the sections, `rest` below.
fn small(top: &str, rest: &str) -> String {
    format!(
        r#"name = "small"
why = "the command line is tried on it"
{top}
[job]
name = "string-length-count"
input = {{ generator = "words", records = 2_000, rate = "2000/s" }}

[checkpointing]
interval = "200ms"

{rest}"#
    )
}

#[test]
fn check_accepts_a_good_scenario_and_says_what_is_wrong_with_a_bad_one_and_where() {
    let misspelt = small("", "[cluster]\ntask_manager = 2\n").replace("\"small\"", "\"bad\"");
    let folder = Folder::new().with("small.toml", small("", "")).with("bad.toml", &misspelt);
    let good = folder.flowquake(&["check", "small.toml"], 0);
    assert!(good.out.contains("ok  small  small.toml"), "{}", good.out);
    let bad = folder.flowquake(&["check", "small.toml", "bad.toml"], 2);
    for part in ["[cluster] has no key `task_manager`", "bad.toml:12:1", "did you mean `task_managers`?"] {
        assert!(bad.err.contains(part), "{part}\n{}", bad.err);
    }
    // Nothing is run when something is wrong.
    folder.flowquake(&["run", "small.toml", "bad.toml"], 2);
    assert!(!folder.path().join("target").exists());
}

#[test]
fn a_cargo_manifest_in_a_folder_is_no_scenario() {
    let folder = Folder::new().with("all/small.toml", small("", "")).with("all/Cargo.toml", "[package]\n");
    let said = folder.flowquake(&["check", "all"], 0);
    assert!(said.out.contains("small.toml") && !said.out.contains("Cargo.toml"), "{}", said.out);
    fs::remove_file(folder.path().join("all/small.toml")).unwrap();
    let said = folder.flowquake(&["check", "all"], 2);
    assert!(said.err.contains("folder all holds no scenario"), "{}", said.err);
}

#[test]
fn a_passed_run_leaves_records_and_no_plan() {
    let folder = Folder::new().with("small.toml", small("", ""));
    let (record, said) = folder.run(0);
    assert_eq!((record.verdict.label(), record.totals.records_in), ("passed", 2_000));
    assert!(said.out.contains("report: target/flowquake/"), "{}", said.out);
    assert!(!folder.path().join("flowquake-failures").exists());
    assert!(!said.out.contains("coverage:"), "a single run covers nothing worth a line: {}", said.out);
}

#[test]
fn a_wrong_expectation_fails_and_the_saved_plan_replays_it() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    let (record, said) = folder.run(1);
    assert_eq!(record.verdict.headline(), "expect.failovers: expected 1, there were 0");
    let plan = "flowquake-failures/small-seed-1.json";
    assert!(record.replay.contains(&format!("cargo run -- replay {plan}")), "{}", record.replay);
    assert!(said.out.lines().any(|line| line == record.replay), "{}", said.out);
    // The words after `--` are the same for the built program as for cargo.
    let (_, words) = record.replay.split_once(" -- ").unwrap();
    let replayed = folder.flowquake(&words.split(' ').collect::<Vec<_>>(), 1);
    assert!(!replayed.err.contains("the plan was saved with commit"), "{}", replayed.err);
    let last = format!("small: failed, trace {}", record.trace_hash);
    assert_eq!(replayed.out.lines().last(), Some(last.as_str()));
    let hash = folder.flowquake(&["replay", plan, "--hash-only"], 0);
    assert_eq!(hash.out.trim(), record.trace_hash);
}

#[test]
fn a_plan_of_another_commit_is_replayed_with_a_note() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    folder.flowquake(&["run", "small.toml", "--failures", "kept"], 1);
    let said = folder.flowquake(&["replay", "kept/small-seed-1.json", "--commit", "0000000"], 1);
    // A build outside a checkout has no commit to compare.
    assert_eq!(said.err.contains("saved with commit 0000000"), flowquake::provenance::COMMIT.is_some(), "{}", said.err);
}

#[test]
fn a_saved_plan_holds_its_prediction_and_an_edited_one_is_predicted_anew() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    folder.flowquake(&["run", "small.toml", "--failures", "kept"], 1);
    let path = folder.path().join("kept/small-seed-1.json");
    let mut plan: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(plan["prediction"]["period_ns"].as_u64() > Some(0), "{plan:#}");
    let note = "the prediction in the plan is that of another plan or build: predicted anew";
    assert!(!folder.flowquake(&["replay", "kept/small-seed-1.json"], 1).err.contains(note));
    plan["cluster"]["bandwidth"] = 1_000_000.into();
    plan["job"]["config"]["checkpoints"]["interval"] = "123ms".into();
    fs::write(&path, plan.to_string()).unwrap();
    assert!(folder.flowquake(&["replay", "kept/small-seed-1.json"], 1).err.contains(note));
}

#[test]
fn the_first_failure_stops_a_sweep() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    let args = ["run", "small.toml", "--seeds", "50", "--jobs", "1", "--stop-on-failure", "--json", "runs.json"];
    let said = folder.flowquake(&args, 1);
    assert!(said.err.contains("49 of 50 runs were not made"), "{}", said.err);
    let set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    assert_eq!(set.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [1]);
}

#[test]
fn distributions_are_printed_on_request_and_written_beside_the_report() {
    let folder = Folder::new().with("small.toml", small("", ""));
    let said = folder.flowquake(&["run", "small.toml", "--seeds", "2", "--distributions"], 0);
    assert!(said.out.contains("Distributions over all runs"), "{}", said.out);
    assert!(said.out.lines().any(|line| line.trim_start().starts_with("checkpoint duration d")), "{}", said.out);
    let text = fs::read_to_string(folder.path().join("target/flowquake/distributions.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["runs"], 2);
    let said = folder.flowquake(&["run", "small.toml"], 0);
    assert!(!said.out.contains("Distributions"), "{}", said.out);
}

#[test]
fn what_failed_last_is_run_again_and_documents_for_ci_are_written() {
    let other = small("", "").replace("\"small\"", "\"other\"");
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n")).with("other.toml", &other);
    assert!(folder.flowquake(&["run", "--failed"], 2).err.contains("no run failed last"));
    let documents = ["--junit", "runs.xml", "--markdown", "runs.md"];
    folder.flowquake(&[&["run", "small.toml", "other.toml", "--seeds", "2"], &documents[..]].concat(), 1);
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let (xml, markdown) = (read("runs.xml"), read("runs.md"));
    assert_eq!((xml.matches("<testcase ").count(), xml.matches("<failure ").count()), (4, 2), "{xml}");
    assert!(markdown.contains("**flowquake: 4 runs**: 2 passed, 2 failed"), "{markdown}");
    let again = folder.flowquake(&["run", "--failed"], 1);
    assert!(again.out.contains("2 runs: 2 failed") && !again.out.contains("other"), "{}", again.out);
    assert!(
        folder.flowquake(&["run", "other.toml", "--failed"], 2).err.contains("no run of these scenarios failed last")
    );
    // Scenarios that pass again leave the list.
    fs::write(folder.path().join("small.toml"), small("", "")).unwrap();
    folder.flowquake(&["run", "--failed"], 0);
    folder.flowquake(&["run", "--failed"], 2);
}

#[test]
fn runs_are_picked_by_name_folder_and_last_verdict() {
    let of = |name: &str, rest: &str| small("", rest).replace("\"small\"", &format!("\"{name}\""));
    let folder = Folder::new()
        .with("all/net/slow-link.toml", of("slow-link", ""))
        .with("all/net/deep/nested.toml", of("nested", ""))
        .with("all/net/lost.toml", of("lost", "[expect]\nfailovers = 1\n"))
        .with("all/disk/slow-disk.toml", small("time_limit = \"500ms\"", "").replace("\"small\"", "\"slow-disk\""));
    let names = |args: &[&str], code: i32| {
        folder.flowquake(&[&["run"], args, &["--json", "runs.json"]].concat(), code);
        let set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
        set.runs.into_iter().map(|run| run.scenario).collect::<Vec<_>>()
    };
    assert_eq!(names(&["all", "--only", "slow"], 4), ["slow-disk", "slow-link"]);
    assert_eq!(names(&["all", "--only", "net/slow*"], 0), ["slow-link"]);
    assert_eq!(names(&["all", "--only", "lost", "--only", "disk/"], 1), ["slow-disk", "lost"]);
    assert_eq!(names(&["--failed=stuck"], 4), ["slow-disk"]);
    assert_eq!(names(&["--failed", "--only", "net"], 1), ["lost"]);
    // All folders below a given path count, and all given paths count.
    assert_eq!(names(&["all", "--only", "net/deep"], 0), ["nested"]);
    assert_eq!(names(&["all/net", "all/disk", "--only", "slow"], 4), ["slow-link", "slow-disk"]);
    let both = names(&["all/net", "all/disk", "--only", "net", "--only", "disk"], 1);
    assert_eq!(both, ["lost", "slow-link", "slow-disk"], "below what was given, nested is in deep alone");
    let said = folder.flowquake(&["run", "all", "--only", "fast"], 2);
    assert!(said.err.contains("of 4 scenarios none is called so"), "{}", said.err);
    let said = folder.flowquake(&["run", "--failed=crashed"], 2);
    assert!(said.err.contains("the verdicts of those that did not pass are: failed, stuck"), "{}", said.err);
}

#[test]
fn every_run_has_a_folder_of_its_own_and_the_newest_are_kept() {
    let folder = Folder::new().with("small.toml", small("", ""));
    let names = |folder: &Folder| {
        let entries = fs::read_dir(folder.path().join("target/flowquake/history")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock")
            .collect();
        names.sort();
        names
    };
    for _ in 0..3 {
        let said = folder.flowquake(&["run", "small.toml", "--history-runs", "2"], 0);
        assert!(said.out.contains("all runs: target/flowquake/index.html"), "{}", said.out);
    }
    let kept = names(&folder);
    assert!(kept.len() == 2 && kept[0].starts_with("000002-") && kept[1].starts_with("000003-"), "{kept:?}");
    for name in ["report.html", "runs.json", "runs.jsonl", "failed.json", "verdicts.txt", "distributions.json"] {
        let read = |path: &Path| fs::read(path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let top = folder.path().join("target/flowquake");
        assert_eq!(read(&top.join("history").join(&kept[1])), read(&top), "{name}");
    }
    let index = fs::read_to_string(folder.path().join("target/flowquake/index.html")).unwrap();
    assert!(index.contains(&kept[0]) && index.contains(&kept[1]) && !index.contains("000001-"), "{index}");
    folder.flowquake(&["run", "small.toml", "--history-size", "1B"], 0);
    assert_eq!(names(&folder).len(), 1, "the run that was just made is always kept");
    assert!(folder.flowquake(&["run", "small.toml", "--history-runs", "0"], 2).err.contains("0 is not in 1.."));
    let said = folder.flowquake(&["run", "--resume", "small.toml"], 2);
    assert!(said.err.contains("cannot be used with"), "{}", said.err);
}

#[test]
fn a_history_that_cannot_be_kept_loses_no_verdict() {
    let folder = Folder::new().with("small.toml", small("", "")).with("target/flowquake/history", "a file");
    let said = folder.flowquake(&["run", "small.toml", "--json", "runs.json"], 2);
    assert!(said.out.contains("1 run: 1 passed"), "{}", said.out);
    assert!(said.err.contains("error: history target/flowquake/history: "), "{}", said.err);
    for file in ["runs.json", "target/flowquake/report.html", "target/flowquake/runs.jsonl"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn the_history_keeps_the_plans_of_its_runs_and_lists_them() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    let said = folder.flowquake(&["list", "runs"], 0);
    assert!(said.out.contains("no runs in target/flowquake"), "{}", said.out);
    let hash = |record: RunRecord| record.trace_hash;
    let failed = hash(folder.run(1).0);
    folder.write("small.toml", small("", ""));
    let passed = hash(folder.run(0).0);
    // The scenario and the files for users are removed: each run is repeated from its own folder.
    fs::remove_file(folder.at("small.toml")).unwrap();
    fs::remove_dir_all(folder.at("flowquake-failures")).unwrap();
    let said = folder.flowquake(&["list", "runs"], 0);
    let names: Vec<&str> =
        said.out.lines().filter_map(|line| line.split(' ').next()).filter(|name| name.starts_with("00")).collect();
    let [newest, oldest] = names[..] else { panic!("{}", said.out) };
    assert!(newest.starts_with("000002-") && oldest.starts_with("000001-"), "{}", said.out);
    assert!(
        said.out.contains("1 passed") && said.out.contains("1 failed") && said.out.contains("finished"),
        "{}",
        said.out
    );
    assert!(said.out.contains(&format!("target/flowquake/history/{newest}/plans/")), "{}", said.out);
    for (name, code, hash) in [(oldest, 1, failed), (newest, 0, passed)] {
        let plan = format!("target/flowquake/history/{name}/plans/small-seed-1.json");
        let said = folder.flowquake(&["replay", &plan], code);
        assert!(said.out.contains(&format!("trace {hash}")), "{}", said.out);
        let page = folder.read("target/flowquake/index.html");
        assert!(page.contains(&format!("<a href=\"history/{name}/plans/\">plans</a>")), "{page}");
    }
}

#[test]
fn what_cannot_be_written_hides_no_verdict() {
    let folder = Folder::new().with("target/flowquake/history", "a file");
    let folder = folder.with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    let said = folder.flowquake(&["run", "small.toml"], 2);
    assert!(said.out.contains("1 run: 1 failed"), "{}", said.out);
    let last = "1 run: 1 failed; exit code 2 is for what could not be written, the verdicts alone give 1";
    assert_eq!(said.err.lines().last(), Some(last));
}

#[test]
fn parallel_runs_are_told_in_order() {
    let folder = Folder::new().with("small.toml", small("", ""));
    let said = folder.flowquake(&["run", "small.toml", "--seeds", "6", "--jobs", "3", "--json", "runs.json"], 0);
    let set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    assert_eq!(set.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(said.out.contains("coverage: "), "{}", said.out);
}

/// A record `runs.json` with a catalogue of one fault, and one run that this fault struck.
fn struck(folder: &Folder) -> RunSet {
    folder.flowquake(&["run", "small.toml", "--json", "runs.json"], 0);
    let mut set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    let roles = vec!["leader".to_owned(), "task-manager".to_owned()];
    set.fault_kinds = vec![FaultKindRecord { name: "kill".into(), family: "process".into(), roles }];
    let hit = HitRecord {
        receipt: String::new(),
        position: "sink-committed".into(),
        role: "task-manager".into(),
        target: "tm-1".into(),
        struck_at_ns: 1,
        healed_at_ns: None,
    };
    let fault = FaultRecord {
        id: 1,
        kind: "kill".into(),
        target: "tm-1".into(),
        trigger: "on sink-committed".into(),
        struck_at_ns: Some(1),
        healed_at_ns: None,
        detail: String::new(),
        hits: vec![hit],
        hurt: Vec::new(),
    };
    let run = RunRecord { faults: vec![fault], ..set.runs[0].clone() };
    set.runs.push(run);
    set
}

#[test]
fn coverage_shows_the_grid_of_several_files_and_is_a_gate() {
    let folder = Folder::new().with("small.toml", small("", ""));
    let set = struck(&folder);
    let (clean, hit) =
        (RunSet { runs: set.runs[..1].to_vec(), ..set.clone() }, RunSet { runs: set.runs[1..].to_vec(), ..set });
    let folder = folder
        .with("clean.json", serde_json::to_string(&clean).unwrap())
        .with("hit.json", serde_json::to_string(&hit).unwrap());
    let said = folder.flowquake(&["coverage", "clean.json", "hit.json", "--html", "grid.html", "--min", "0.1"], 0);
    assert!(said.out.contains("┌ kill") && said.out.contains("coverage: 1 of "), "{}", said.out);
    assert!(said.out.contains("cluster.cost_profile") && said.out.contains("settings: "), "{}", said.out);
    assert!(!said.out.contains("empty at") && !said.out.contains('\x1b'), "{}", said.out);
    assert!(
        fs::read_to_string(folder.path().join("grid.html"))
            .unwrap()
            .contains("sink-committed, kill, task-manager: 1 strike")
    );
    let said = folder.flowquake(&["coverage", "clean.json", "hit.json", "--empty", "--min", "90"], 1);
    assert!(said.out.contains("sink-committed           kill   leader"), "{}", said.out);
    assert!(said.err.contains("below the gate"), "{}", said.err);
    let said = folder.flowquake(&["coverage", "clean.json", "hit.json", "--json"], 0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["hit"], 1);
    let settings = &serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["settings"];
    let slots = settings.as_array().unwrap().iter().find(|setting| setting["name"] == "cluster.slots").unwrap();
    assert_eq!((&slots["drawn"], &slots["ranges"][1]["range"]), (&true.into(), &"2".into()), "{slots}");
    assert_eq!(slots["ranges"][1]["runs"], 2, "{slots}");
    // Without a run without faults, coverage cannot tell what is meaningful.
    let said = folder.flowquake(&["coverage", "hit.json"], 2);
    assert!(said.err.contains("no run without faults") && said.err.contains("scenarios/baseline"), "{}", said.err);
    // Faults and settings are counted without a grid. A document is written completely or not at all.
    for part in ["hurt of drawn", "cluster.task_managers", "settings: "] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert_eq!(folder.flowquake(&["coverage", "hit.json", "--json"], 2).out, "");
}

#[test]
fn coverage_refuses_what_is_no_run_record() {
    let folder = Folder::new().with("old.json", "{\"schema_version\": 1, \"runs\": []}").with("text.json", "words");
    let version = format!("old.json has schema version 1, expected {SCHEMA_VERSION}");
    for (file, what) in [
        ("old.json", version.as_str()),
        ("text.json", "text.json is no run set: expected value at line 1 column 1"),
        ("nowhere.json", "cannot read nowhere.json"),
    ] {
        let said = folder.flowquake(&["coverage", file], 2);
        assert!(said.err.contains(what) && said.err.contains("help: "), "{}", said.err);
    }
    let said = folder.flowquake(&["coverage", "old.json", "--min", "all"], 2);
    assert!(said.err.contains("a number from 0 to 100"), "{}", said.err);
}

#[test]
fn a_fault_that_never_strikes_makes_a_run_vacuous() {
    let fault =
        "[[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 900 }\ndo = \"kill\"\ntarget = \"tm-1\"\n";
    let (record, _) = Folder::new().with("small.toml", small("", fault)).run(3);
    let missing = "fault 1 (on checkpoint-completed checkpoint=900) never struck: its trigger never came";
    assert_eq!(record.verdict.headline(), missing);
}

#[test]
fn a_job_that_does_not_end_in_time_is_stuck() {
    let (record, _) = Folder::new().with("small.toml", small("time_limit = \"500ms\"", "")).run(4);
    assert!(record.verdict.headline().starts_with("after 500ms: "), "{}", record.verdict.headline());
}

#[test]
fn everything_that_exists_is_listed() {
    let folder = Folder::new();
    for (what, entry) in
        [("jobs", "string-length-count"), ("faults", "machine-loss"), ("events", "fell-back"), ("oracles", "O5")]
    {
        let said = folder.flowquake(&["list", what], 0);
        assert!(said.out.contains(entry), "{what}: {}", said.out);
    }
}

#[test]
fn state_is_shown_of_manifests_only() {
    let folder = Folder::new().with("chk-00000001/_metadata", "this is no manifest, though long enough to be one\n");
    let said = folder.flowquake(&["state", "show", "chk-00000001/_metadata"], 2);
    assert!(said.err.contains("expected a checkpoint manifest, found another kind of file"), "{}", said.err);
    assert!(said.err.contains("name the `_metadata` file of a complete checkpoint"), "{}", said.err);
    folder.flowquake(&["state", "show", "nowhere"], 2);
}

#[test]
fn a_key_that_no_state_has_is_told() {
    let folder = Folder::new();
    let engine = "engine keyed-count --generator orders --records 600 --rate 1000/s --param keys=20 --backend fs \
                  --checkpoint-interval 200ms --output out --checkpoint-dir ck";
    folder.flowquake(&engine.split_whitespace().collect::<Vec<_>>(), 0);
    let kept = fs::read_dir(folder.path().join("ck")).unwrap().filter_map(|entry| {
        let manifest = entry.unwrap().path().join("_metadata");
        manifest.exists().then_some(manifest)
    });
    let manifest = kept.last().expect("a checkpoint is kept");
    let manifest = manifest.to_str().unwrap();
    folder.flowquake(&["state", "show", manifest, "--key", "7"], 0);
    let said = folder.flowquake(&["state", "show", manifest, "--key", "7777"], 1);
    assert!(said.out.contains("no state has the key 7777: there are 20 keys, such as 0, 1"), "{}", said.out);
}

#[test]
fn a_run_is_exported_for_other_tools() {
    let folder = Folder::new().with("small.toml", small("", ""));
    folder.run(0);
    let said = folder.flowquake(&["export", "runs.json", "--format", "perfetto"], 0);
    let trace: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let names: Vec<&str> = trace["traceEvents"].as_array().unwrap().iter().filter_map(|e| e["name"].as_str()).collect();
    for name in ["checkpoint 2", "align 2", "upload 2", "barrier 2", "bytes in flight", "leads, term 1"] {
        assert!(names.contains(&name), "{name}");
    }
    folder.flowquake(&["export", "runs.json", "--format", "shiviz", "--output", "run.log"], 0);
    let log = fs::read_to_string(folder.path().join("run.log")).unwrap();
    assert!(log.starts_with("(?<host>") && log.contains("checkpoint 2 is complete"), "{log}");
    assert!(folder.flowquake(&["export", "runs.json", "--format", "svg"], 0).out.starts_with("<svg"));
    assert!(
        folder.flowquake(&["export", "runs.json", "--format", "svg", "--run", "2"], 2).err.contains("holds 1 run,")
    );
    assert!(folder.flowquake(&["export", "none.json", "--format", "svg"], 2).err.contains("none.json"));
}

#[test]
fn a_long_sweep_is_summed_up_and_keeps_of_passed_runs_what_sums_are_made_of() {
    let folder = Folder::new().with("small.toml", small("", "").replace("2_000, rate", "200, rate"));
    let said = folder.flowquake(&["run", "small.toml", "--seeds", "501", "--jobs", "2", "--json", "runs.json"], 0);
    assert!(said.out.contains("cpu per run") && said.out.lines().count() < 10, "{}", said.out);
    let set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    let seeds: Vec<u64> = set.runs.iter().map(|run| run.seed).collect();
    assert_eq!(seeds, (1..=501).collect::<Vec<_>>());
    assert!(!set.runs[0].timeline.is_empty(), "the first stays whole: failing runs are compared with it");
    for run in &set.runs[1..] {
        assert!(run.timeline.is_empty() && run.checkpoints.is_empty());
        assert_eq!(run.totals.events_by_name.get("job-finished"), Some(&1));
    }
    // The page lists the runs that did not pass, and there are none.
    let page = fs::read_to_string(folder.path().join("target/flowquake/report.html")).unwrap();
    assert!(page.len() < 100_000, "{}", page.len());
}

#[test]
fn a_sweep_ends_at_its_number_of_failures() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\nfailovers = 1\n"));
    let args = ["run", "small.toml", "--seeds", "1000000", "--jobs", "1", "--max-failures", "2", "--json", "runs.json"];
    let said = folder.flowquake(&args, 1);
    assert!(said.out.contains("stopped after 2 of 1,000,000 runs"), "{}", said.out);
    let set: RunSet = serde_json::from_slice(&fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    assert_eq!(set.runs.len(), 2);
    assert!(set.runs.iter().all(|run| !run.timeline.is_empty()), "failures are kept whole");
    assert!(folder.flowquake(&["run", "small.toml", "--max-failures", "0"], 2).err.contains("--max-failures 0"));
}

#[test]
fn a_failing_plan_is_made_smaller_and_fails_in_the_same_way() {
    let folder = Folder::new().with("small.toml", small("", "[expect]\naborted_checkpoints_min = 1\n"));
    folder.run(1);
    let plan = "flowquake-failures/small-seed-1.json";
    let said = folder.flowquake(&["shrink", plan, "--runs", "60", "--output", "smaller.json"], 0);
    assert!(said.out.contains("0 faults, 2,000 records became 0 faults, 1 record"), "{}", said.out);
    let replayed = folder.flowquake(&["replay", "smaller.json"], 1);
    assert!(replayed.out.contains("aborted_checkpoints_min: expected at least 1, there were 0"), "{}", replayed.out);
    // A plan that passes cannot be shrunk.
    let text = fs::read_to_string(folder.path().join("smaller.json")).unwrap();
    let text = text.replace("\"aborted_checkpoints_min\": 1", "\"aborted_checkpoints_min\": null");
    let said = folder.with("passes.json", &text).flowquake(&["shrink", "passes.json"], 2);
    assert!(said.err.contains("passes.json does not fail: passed"), "{}", said.err);
}

#[test]
fn what_shrinking_leaves_is_written_as_a_scenario_that_fails_in_the_same_way() {
    let fault = "[[fault]]\nat = \"300ms\"\ndo = \"kill\"\ntarget = \"tm-1\"\nrestart_after = \"100ms\"\n";
    let folder = Folder::new().with("small.toml", small("", &format!("{fault}[expect]\nfailovers = 0\n")));
    folder.run(1);
    let plan = "flowquake-failures/small-seed-1.json";
    let said = folder.flowquake(&["shrink", plan, "--runs", "40", "--scenario", "smallest one.toml"], 2);
    assert!(said.err.contains("lower-case words joined by hyphens"), "{}", said.err);
    let said = folder.flowquake(&["shrink", plan, "--runs", "5", "--scenario", "smallest.toml"], 0);
    assert!(said.out.contains("stopped at the limit of 5 runs"), "{}", said.out);
    let command = said.out.lines().find(|line| line.contains("run smallest.toml")).expect("how to run it");
    let words: Vec<&str> = command.split(" -- ").last().unwrap().split(' ').collect();
    let run = folder.flowquake(&words, 1);
    assert!(run.out.contains("expect.failovers: expected 0, there were 1"), "{}", run.out);
}

#[test]
fn the_first_scenario_runs_as_it_is_written() {
    let folder = Folder::new();
    let said = folder.flowquake(&["init", "mine/my-own.toml"], 0);
    assert!(said.out.contains("run mine/my-own.toml"), "{}", said.out);
    folder.flowquake(&["run", "mine/my-own.toml"], 0);
    assert!(folder.flowquake(&["init", "mine/my-own.toml"], 2).err.contains("is there already"));
    assert!(folder.flowquake(&["init", "My First.toml"], 2).err.contains("my-first.toml"));
    assert!(folder.flowquake(&["init", "x.toml", "--job", "none"], 2).err.contains("keyed-count"));
}

#[test]
fn editors_and_shells_are_given_what_they_need() {
    let folder = Folder::new();
    let printed = folder.flowquake(&["schema"], 0).out;
    folder.flowquake(&["schema", "--output", "scenario.schema.json"], 0);
    assert_eq!(fs::read_to_string(folder.path().join("scenario.schema.json")).unwrap(), printed);
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let jobs = schema["definitions"]["job"]["properties"]["name"]["enum"].as_array().unwrap();
    assert!(jobs.iter().any(|job| job == "keyed-count"), "{jobs:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.flowquake(&["completions", shell], 0).out;
        assert!(script.contains("restore-check"), "{shell}");
    }
    folder.flowquake(&["man", "--out", "man"], 0);
    let page = fs::read_to_string(folder.path().join("man/flowquake-shrink.1")).unwrap();
    assert!(page.contains("Examples") && page.contains("scenario"), "{page}");
}

/// A measured profile is used by a scenario in the same folder. If the profile cannot be written, this is said before
/// anything is measured.
#[test]
fn calibrate_writes_a_profile_that_scenarios_can_name() {
    let scenario = "name = \"small\"\nwhy = \"this machine\"\n[job]\nname = \"keyed-count\"\n\
        params = { keys = 10, value_bytes = 100 }\ninput = { generator = \"orders\", records = 500, rate = \"500/s\" }\n\
        [cluster]\ncost_profile = \"./mine.toml\"\n";
    let folder = Folder::new().with("small.toml", scenario).with("taken.toml/file", "");
    for (output, needles) in [
        ("nowhere/x.toml", &["nowhere/x.toml", "help:"][..]),
        ("profile.txt", &["profile.txt", "end in .toml"]),
        ("taken.toml", &["taken.toml", "is a folder"]),
    ] {
        let said = folder.flowquake(&["calibrate", "--quick", "--output", output], 2);
        assert!(needles.iter().all(|needle| said.err.contains(needle)), "{}", said.err);
    }
    folder.flowquake(&["calibrate", "--quick", "--output", "a.toml", "--name", " "], 2);

    // While the machine is busy with other tests, a measurement may make no sense. Then the command says so, and writes
    // nothing.
    let measure = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        let args = ["calibrate", "--quick", "--output", "mine.toml", "--name", "this machine"];
        Said::from(command.args(args).env("NO_COLOR", "1").current_dir(folder.path()).output().unwrap())
    };
    let said = (0..3).map(|_| measure()).find(|said| {
        assert_eq!(folder.path().join("mine.toml").exists(), said.code == Some(0), "{}", said.err);
        said.code == Some(0)
    });
    let said = said.expect("one of three measurements makes sense");
    for needle in ["record_ns", "heap.restore_kib_ns", "store.write_throughput", "95 % confidence", "ns/KiB"] {
        assert!(said.out.contains(needle), "{needle}: {}", said.out);
    }
    let (record, _) = folder.run(0);
    assert_eq!(record.cost_profile, "this machine");
}

/// A moment before another look.
#[allow(clippy::disallowed_methods, reason = "waits for a process of its own")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(1));
}

#[test]
fn a_tune_that_is_stopped_leaves_no_report_of_an_earlier_one_and_keeps_its_journal() {
    let sweep =
        "[engine]\ncredits = 12\n[tune]\nbackends = [\"fs\"]\nintervals = \"1s..100s\"\nduration = \"20000s\"\n";
    let text = small("", sweep).replace("\"small\"", "\"sweep\"");
    let names = ["tuning.json", "report.html", "README.md"].map(|name| format!("found/{name}"));
    let folder = Folder::new().with("sweep.toml", text);
    names.iter().for_each(|name| folder.write(name, "of an earlier one"));
    let tune = ["tune", "sweep.toml", "--yes", "--jobs", "1", "--output", "found"];
    // What is refused touches nothing.
    folder.flowquake(&[&tune[..], &["--max-cost", "1ns"]].concat(), 2);
    assert!(names.iter().all(|name| folder.at(name).is_file()));
    let mut command = folder.command(&tune);
    let mut made = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while names.iter().any(|name| folder.at(name).exists()) {
        assert!(made.try_wait().unwrap().is_none(), "it ended by itself");
        pause();
    }
    kill(Pid::from_raw(made.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(made.wait().unwrap().code(), Some(143));
    assert!(names.iter().all(|name| !folder.at(name).exists()), "a report of an earlier one");
    assert!(folder.at("found/tune.journal").is_file(), "the same command goes on there");
}
