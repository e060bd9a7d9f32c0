//! The regression gate as a team sees it: a baseline is made, kept, missed and edited, and everything in it that can be
//! wrong.

mod common;

use std::fs;

use common::{Folder, Said};
use serde_json::Value;

const BASELINE: &str = "scenarios/gate.json";

impl Folder {
    /// With two scenarios and a baseline of two seeds each.
    fn with_baseline() -> Folder {
        let folder = Folder::new();
        folder.write("scenarios/calm.toml", scenario("calm", "", ""));
        folder.write("scenarios/kill.toml", scenario("kill", "", KILL));
        let said = folder.gate(&["--update", "scenarios", "--seeds", "2"], 0);
        assert!(said.out.contains("new: 2 scenarios, 4 runs\n"), "{}", said.out);
        folder
    }

    /// Changes the baseline as a person would.
    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_str(&self.read(BASELINE)).unwrap();
        edit(&mut value);
        self.write(BASELINE, format!("{value:#}"));
    }

    #[track_caller]
    fn gate(&self, args: &[&str], code: i32) -> Said {
        self.flowquake(&[&["gate"], args].concat(), code)
    }

    /// The gate must refuse with all these words, and leave the baseline unchanged.
    #[track_caller]
    fn refused(&self, args: &[&str], words: &[&str]) {
        let before = fs::read(self.path().join(BASELINE)).ok();
        let said = self.gate(args, 2);
        for word in words {
            assert!(said.err.contains(word), "{word}\n{}", said.err);
        }
        assert!(said.err.contains("help: "), "{}", said.err);
        assert!(said.out.is_empty(), "{}", said.out);
        assert_eq!(fs::read(self.path().join(BASELINE)).ok(), before);
    }
}

/// A TaskManager is killed at its second checkpoint.
const KILL: &str = "[[fault]]\non = { event = \"checkpoint-completed\", checkpoint = 2 }\ndo = \"kill\"\ntarget = \"tm-1\"\n\
                    restart_after = \"300ms\"\n\n[expect]\nfailovers = 1\n";

/// Two seconds of generated words; `top` stands above the sections, `rest` below.
fn scenario(name: &str, top: &str, rest: &str) -> String {
    format!(
        r#"name = "{name}"
why = "the gate is tried on it"
{top}
[job]
name = "string-length-count"
input = {{ generator = "words", records = 4_000, rate = "2000/s" }}

[cluster]
task_managers = 2

[checkpointing]
interval = "200ms"

{rest}"#
    )
}

#[test]
fn the_same_program_passes_its_own_baseline_and_updates_it_to_the_same_bytes() {
    let folder = Folder::with_baseline();
    let text = folder.read(BASELINE);
    assert!(text.ends_with("}\n"));
    let said = folder.gate(&["--jobs", "1"], 0);
    assert!(said.out.contains("gate passed: 4 runs of 2 scenarios; scenarios: 2 passed"), "{}", said.out);
    assert!(!said.out.contains('\x1b'));
    let said = folder.gate(&["--update"], 0);
    assert!(said.out.contains("nothing changed: 2 scenarios, 4 runs"), "{}", said.out);
    assert_eq!(folder.read(BASELINE), text);
}

#[test]
fn a_missing_baseline_says_how_to_make_one() {
    let folder = Folder::new();
    folder.refused(
        &[],
        &["there is no baseline scenarios/gate.json", "flowquake gate --baseline scenarios/gate.json --update"],
    );
    folder.refused(&["--update", "--baseline", "other.json"], &["there is no baseline other.json"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn times_beyond_the_budget_are_slower_and_a_wider_budget_lets_them_pass() {
    let folder = Folder::with_baseline();
    folder.edit(|baseline| {
        for run in baseline["scenarios"][1]["runs"].as_array_mut().unwrap() {
            for value in run["times"]["outage"].as_array_mut().unwrap() {
                *value = (value.as_u64().unwrap() * 9 / 10).into();
            }
            run["trace"] = "0123456789abcdef".into();
        }
        baseline["engine"] = "fedcba9876543210".into();
    });
    let documents =
        ["--junit", "out/gate.xml", "--json", "out/gate.json", "--markdown", "out/gate.md", "--html", "out/gate.html"];
    let said = folder.gate(&documents, 8);
    assert!(said.out.contains("gate slower") && said.out.contains("+11."), "{}", said.out);
    assert!(folder.read("out/gate.xml").contains("<failure message=\"outage "), "{}", folder.read("out/gate.xml"));
    let json: Value = serde_json::from_str(&folder.read("out/gate.json")).unwrap();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&"slower".into(), &8.into()));
    assert!(folder.read("out/gate.md").contains("**flowquake gate: slower**"));
    assert!(folder.read("out/gate.html").contains("Regression gate: "));
    folder.gate(&["--budget", "20%"], 0);
    folder.gate(&["--budget", "p50=20%,max=20%"], 0);
    folder.gate(&["--budget", "p50=20%"], 8);
    folder.refused(&["--budget", "20"], &["`20` is no budget"]);
    // The diff says what took longer.
    let said = folder.gate(&["--update", "--budget", "20%"], 0);
    assert!(said.out.contains("outage max") && said.out.contains("budget"), "{}", said.out);
    assert!(folder.gate(&[], 0).out.contains("budget: 20%"));
}

#[test]
fn faster_passes_with_a_note() {
    let folder = Folder::with_baseline();
    folder.edit(|baseline| {
        for run in baseline["scenarios"][1]["runs"].as_array_mut().unwrap() {
            for value in run["times"]["outage"].as_array_mut().unwrap() {
                *value = (value.as_u64().unwrap() * 2).into();
            }
            run["trace"] = "0123456789abcdef".into();
        }
        baseline["engine"] = "fedcba9876543210".into();
    });
    let said = folder.gate(&[], 0);
    assert!(said.out.contains("Faster than the budget") && said.out.contains("--update"), "{}", said.out);
}

#[test]
fn other_times_of_the_same_trace_are_neither_slower_nor_faster() {
    let folder = Folder::with_baseline();
    folder.edit(|baseline| baseline["scenarios"][1]["runs"][0]["times"]["outage"] = serde_json::json!([1]));
    let said = folder.gate(&[], 9);
    assert!(said.out.contains("the baseline was edited by hand"), "{}", said.out);
}

#[test]
fn another_trace_is_an_error_unless_the_engine_is_another_one() {
    let folder = Folder::with_baseline();
    folder.edit(|baseline| baseline["scenarios"][0]["runs"][1]["trace"] = "0123456789abcdef".into());
    let said = folder.gate(&[], 9);
    assert!(said.out.contains("trace 0123456789abcdef became "), "{}", said.out);
    assert!(said.out.contains("cargo run -- run scenarios/calm.toml --seed 2"), "{}", said.out);
    folder.edit(|baseline| baseline["engine"] = "fedcba9876543210".into());
    let said = folder.gate(&[], 0);
    assert!(said.out.contains("baseline made with fedcba9876543210"), "{}", said.out);
}

#[test]
fn another_scenario_is_told_as_such_and_other_words_are_not() {
    let folder = Folder::with_baseline();
    let words = scenario("calm", "", "# a remark\n").replace("is tried on it", "is tried on this");
    folder.write("scenarios/calm.toml", &words);
    folder.gate(&[], 0);
    folder.write("scenarios/calm.toml", scenario("calm", "", "").replace("200ms", "250ms"));
    let said = folder.gate(&[], 9);
    assert!(said.out.contains("another plan than in the baseline"), "{}", said.out);
    assert!(said.out.contains("A scenario was changed"), "{}", said.out);
    let said = folder.gate(&["--update"], 0);
    assert!(said.out.contains("2 of 2 other"), "{}", said.out);
    folder.gate(&[], 0);
}

#[test]
fn a_worse_verdict_has_its_code_and_never_becomes_the_baseline() {
    let folder = Folder::with_baseline();
    folder.write("scenarios/kill.toml", scenario("kill", "", &KILL.replace("failovers = 1", "failovers = 3")));
    let said = folder.gate(&[], 1);
    assert!(said.out.contains("expected 3, there were 1"), "{}", said.out);
    let before = folder.read(BASELINE);
    let said = folder.gate(&["--update"], 1);
    assert!(said.err.contains("was not written") && said.err.contains("help: "), "{}", said.err);
    assert_eq!(folder.read(BASELINE), before);
}

#[test]
fn what_this_build_lacks_is_not_passed_and_not_measured() {
    if cfg!(feature = "rocksdb") {
        return;
    }
    let folder = Folder::with_baseline();
    let database = scenario("calm", "", "").replace("interval =", "backend = \"rocksdb\"\ninterval =");
    folder.write("scenarios/calm.toml", &database);
    let said = folder.gate(&[], 7);
    assert!(said.out.contains("gate not built") && said.out.contains("built without `rocksdb`"), "{}", said.out);
    let said = folder.gate(&["--update"], 7);
    assert!(said.err.contains("no run that is not built"), "{}", said.err);
}

#[test]
fn a_scenario_that_moved_or_went_is_told_before_anything_runs() {
    let folder = Folder::with_baseline();
    let text = folder.read("scenarios/kill.toml");
    fs::remove_file(folder.path().join("scenarios/kill.toml")).unwrap();
    folder.refused(&[], &["scenario `kill` is not at scenarios/kill.toml any more", "remove it"]);
    folder.write("scenarios/process/kill.toml", &text);
    folder.refused(&[], &["it was moved to scenarios/process/kill.toml"]);
    folder.write("scenarios/kill.toml", "name = \"kill\"\n");
    folder.refused(&[], &["[job]"]);
}

#[test]
fn a_broken_baseline_is_told_with_line_and_remedy() {
    let folder = Folder::with_baseline();
    let good = folder.read(BASELINE);
    for (bad, words) in [
        (good.replace("\"baseline_version\": 1", "\"baseline_version\": 7"), ["has version 7", "gate.json:2"]),
        (good.replacen(": \"passed\"", " \"passed\"", 1), ["expected `:`", "merge conflict"]),
        (good.replacen("\"passed\"", "\"fine\"", 1), ["unknown variant `fine`", "gate.json:13"]),
        (good.replace("\"2%\"", "\"lots\""), ["`lots` is no budget", "gate.json:5"]),
        (String::new(), ["this is no baseline: EOF", "gate.json"]),
    ] {
        folder.write(BASELINE, &bad);
        folder.refused(&[], &words);
        folder.refused(&["--update"], &words);
    }
    // A new set of scenarios needs nothing from the old file.
    let said = folder.gate(&["--update", "scenarios", "--seeds", "2"], 0);
    assert!(said.err.contains("replaced unread"), "{}", said.err);
    assert_eq!(folder.read(BASELINE), good);
}

#[test]
fn times_under_other_prices_are_not_compared() {
    let folder = Folder::with_baseline();
    folder.edit(|baseline| baseline["cost_profiles"]["builtin"] = "0000000000000000".into());
    folder.refused(&[], &["cost profile `builtin` was 0000000000000000", "--update"]);
    folder.gate(&["--update"], 0);
    folder.gate(&[], 0);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = Folder::with_baseline();
    let there = folder.path().join("scenarios/calm.toml");
    folder.refused(&["--update", there.to_str().unwrap()], &["which others use elsewhere"]);
    folder.refused(&["--update", "scenarios", "--seeds", "0"], &["--seeds 0"]);
    for args in [&["scenarios"][..], &["--seeds", "3"], &["--update", "--junit", "x.xml"]] {
        folder.gate(args, 2);
    }
    folder.write("file", "");
    folder.refused(&["--junit", "file/gate.xml"], &["file/gate.xml cannot be written"]);
}
