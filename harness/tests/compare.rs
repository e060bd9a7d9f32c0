//! Scenarios on several targets, side by side, as a user meets them: on the simulator and on real processes, which need nothing but this
//! program.
#![allow(clippy::disallowed_methods, reason = "these tests start real processes")]

mod common;

use common::Folder;
use serde_json::Value;

/// A job that loses a TaskManager at a step of its second checkpoint.
const KILLED: &str = r#"
name = "killed"
why = "the same on every target"
[job]
name = "string-length-count"
input = { generator = "words", records = 2_000, splits = 2, rate = "1000/s" }
parallelism = 2
[cluster]
task_managers = 2
slots = 2
[checkpointing]
interval = "250ms"
backend = "fs"
[engine]
restart_delay = "100ms"
lease = "800ms"
[[fault]]
on = { event = "checkpoint-completed", checkpoint = 2 }
do = "kill"
target = "tm-1"
restart_after = "200ms"
"#;

/// What signals cannot do.
const CUT: &str = "[[fault]]\nat = \"1s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-2\"\nheal_after = \"200ms\"\n";

fn cut() -> String {
    let head = KILLED.split("[[fault]]").next().unwrap_or_default();
    format!("{}{CUT}", head.replace("\"killed\"", "\"cut\""))
}

#[test]
fn targets_are_laid_side_by_side_and_what_one_does_not_offer_is_no_pass() {
    let folder = Folder::new().with("killed.toml", KILLED).with("cut.toml", cut());
    let target = ["--target", "sim,process", "--repeat", "2", "--jobs", "1", "--json", "runs.json"];
    let said = folder.flowquake(&[&["run", "killed.toml", "cut.toml"][..], &target].concat(), 10);
    for part in ["killed", "process  2 passed", "process  2 not offered", "2 scenarios on sim, process"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let ran: Vec<(String, String)> =
        folder.records("runs.json").into_iter().map(|run| (run.scenario, run.target)).collect();
    let expected = ["killed", "cut"].into_iter().flat_map(|name| ["sim", "process", "process"].map(|on| (name, on)));
    assert!(ran.iter().map(|(name, on)| (name.as_str(), on.as_str())).eq(expected), "{ran:?}");
    let comparison: Value = serde_json::from_str(&folder.read("target/flowquake/comparison.json")).unwrap();
    let sides = &comparison["rows"][0]["sides"];
    assert_eq!((&sides[0]["profile"], &sides[1]["profile"]), (&"builtin".into(), &"native".into()));
    assert_eq!(sides[1]["compared"], 2, "{sides:#}");
    // The same engine takes the same steps; whether the peer or the leader sees first that a TaskManager is dead is a race.
    for way in sides[1]["differing"].as_array().unwrap() {
        let steps = ["first", "second"].map(|side| way["difference"][side]["step"].as_str());
        assert_eq!(steps, [Some("failover"); 2], "{sides:#}");
    }
    assert_eq!(comparison["rows"][1]["sides"][1]["verdict"], "not-offered");
    let page = folder.read("target/flowquake/report.html");
    assert!(page.contains("Targets side by side") && page.contains("class=\"fq-targets\""));
    // The plan of each target is kept by its own name.
    let kept = std::fs::read_dir(folder.at("target/flowquake/history")).unwrap().map(|entry| entry.unwrap().path());
    let plans = kept.map(|of_run| of_run.join("plans")).find(|plans| plans.is_dir()).expect("plans of a run");
    for name in ["killed-seed-1.json", "killed-process-seed-1.json"] {
        assert!(plans.join(name).is_file(), "{name}");
    }
}

#[test]
fn runs_on_one_target_leave_no_comparison_behind() {
    let folder = Folder::new().with("killed.toml", KILLED);
    folder.write("target/flowquake/comparison.json", "{}");
    let said = folder.flowquake(&["run", "killed.toml"], 0);
    assert!(!said.out.contains("Targets") && said.out.contains("worst outage"), "{}", said.out);
    assert!(!folder.at("target/flowquake/comparison.json").exists(), "that of an earlier run is gone");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let folder = Folder::new().with("killed.toml", KILLED);
    let refused = |rest: &[&str]| folder.flowquake(&[&["run", "killed.toml"], rest].concat(), 2).err;
    assert!(refused(&["--target", "sim,sim"]).contains("--target names sim twice"));
    assert!(refused(&["--repeat", "3"]).contains("the same each time"));
    assert!(refused(&["--repeat", "0", "--target", "process"]).contains("1..=1000"));
    assert!(refused(&["--target", "sim,moon"]).contains("sim, process, flink"));
    assert!(refused(&["--target", "sim,process", "--verify-determinism"]).contains("process"));
    assert!(!folder.at("target").exists(), "nothing was begun");
}
