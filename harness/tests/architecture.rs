//! The modules of each crate are layered: no file imports a module above its own.
//!
//! A room is a file or folder directly below `src/`. The tables below list the rooms from the lowest layer to the
//! highest; a new room needs a place in its table. Tests may import any room. The last tests check that the code of
//! planted bugs, which prove that oracles find something, is separate from the product's code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The engine. `env` is the lowest layer that acts, and knows nothing of messages, files, state or graphs.
const ENGINE: &[&str] = &[
    "time",
    "ids",
    "backend_kind",
    "message_kind",
    "event",
    "mutation",
    "fault",
    "codec",
    "env",
    "config",
    "paths",
    "state",
    "graph",
    "checkpoint",
    "connectors",
    "wire",
    "contents",
    "exchange",
    "ha",
    "taskmanager",
    "jobmanager",
    "model",
];

/// The harness, from the plan to the run, and from the outcome of a run to the judgement of it.
const HARNESS: &[&str] = &[
    "units",
    "plan",
    "profile",
    "provenance",
    "environment",
    "exit_guard",
    "interrupt",
    "screen",
    "logging",
    "calibrate",
    "jobs",
    "reader",
    "writer",
    "checker",
    "draws",
    "nemesis",
    "faults",
    "swarm",
    "predict",
    "tune",
    "scenario",
    "finding",
    "stage",
    "trace",
    "outcome",
    "local_disks",
    "recorder",
    "director",
    "target",
    "run",
    "hooks",
    "engine_command",
    "live",
    "pulse",
    "process",
    "flink",
    "explain",
    "state_reader",
    "measure",
    "oracles",
    "verdict",
    "session",
    "shrink",
    "search",
    "worker",
    "cost",
    "cli",
];

/// Files outside the kinds of faults that match on the actions of faults, because they judge, predict or explain the
/// effect of an action, or make one. Reader, writer, rules, swarm, shrinker and nemesis must not be in this list. They
/// call the kinds, so that a new kind of fault needs one file, one row and, if no existing action fits, one action.
const ASK_ACTIONS: &[&str] = &[
    // Which processes of the cluster a fault may strike.
    "flink/offers.rs",
    "measure/stalls.rs",
    "oracles/aborts.rs",
    "oracles/liveness/stall/restart_loop.rs",
    "oracles/orphans.rs",
    "oracles/provoked.rs",
    "oracles/timing.rs",
    "predict/domain.rs",
    "predict/recovery.rs",
    // The action that stands in for a fault that was refused.
    "scenario/read/fault/mod.rs",
    // Makes only kills.
    "tune/plan.rs",
    // Whether a kill on a real target hit an idle TaskManager.
    "verdict.rs",
];

/// The reports: the record is the lowest layer, then what is computed from the record, then the documents.
const REPORTS: &[&str] = &[
    "ansi",
    "bounded",
    "units",
    "numbers",
    "class",
    "percentile",
    "record",
    "json",
    "table",
    "formulas",
    "capacity",
    "timing",
    "prediction",
    "graph",
    "timeline",
    "tables",
    "diff",
    "page",
    "svg",
    "spacetime",
    "coverage",
    "curves",
    "distributions",
    "comparison",
    "terminal",
    "probability",
    "html",
    "history",
    "markdown",
    "junit",
    "export",
    "exhaust",
    "gate",
    "museum",
    "folder",
    "tuning",
];

/// Rust files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// The code of a file: without comments, and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(all(test, "];
    let end = tests.iter().filter_map(|tests| text.find(tests)).min().unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The rooms that the code names after `crate::`.
fn imported(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names: Vec<&str> = match rest.strip_prefix('{') {
            // Names at the outer level of the braces count.
            Some(list) => {
                let (mut depth, mut from, mut names) = (0, 0, Vec::new());
                for (at, letter) in list.char_indices() {
                    match letter {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            names.push(&list[from..at]);
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.push(&list[from..at]);
                            from = at + 1;
                        }
                        _ => {}
                    }
                }
                names
            }
            None => vec![rest],
        };
        let word = |name: &str| name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
        rooms.extend(names.into_iter().filter_map(word).filter(|word| !word.is_empty()));
    }
    rooms
}

/// Imports of higher rooms, and rooms that are in no table.
fn offences(src: &Path, table: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    files(src, &mut all);
    let mut offences = Vec::new();
    for path in all {
        let relative = path.strip_prefix(src).unwrap().display().to_string();
        let room = relative.split(['/', '.']).next().unwrap();
        let is_test =
            ["tests", "testing", "fixtures"].iter().any(|test| relative.split(['/', '.']).any(|part| part == *test));
        if room == "lib" || room == "main" || is_test {
            continue;
        }
        let Some(own) = table.iter().position(|known| *known == room) else {
            offences.push(format!("{relative}: the room `{room}` is in no table"));
            continue;
        };
        for other in imported(&code(&path)) {
            if table.iter().position(|known| *known == other).is_some_and(|place| place > own) {
                offences.push(format!("{relative} imports `{other}`, which stands above `{room}`"));
            }
        }
    }
    offences
}

#[test]
fn no_room_knows_what_stands_on_it() {
    for (src, table) in [("../engine/src", ENGINE), ("src", HARNESS), ("../reports/src", REPORTS)] {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(src);
        assert_eq!(offences(&src, table), [""; 0]);
        let listed: BTreeSet<&str> = table.iter().copied().collect();
        assert_eq!(listed.len(), table.len(), "a room stands twice in the table of {}", src.display());
        for room in table {
            let is_there = src.join(room).is_dir() || src.join(format!("{room}.rs")).is_file();
            assert!(is_there, "the table of {} names `{room}`, and there is none", src.display());
        }
    }
}

#[test]
fn kinds_of_faults_are_told_apart_in_their_own_files() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut found = Vec::new();
    for path in all.iter().filter(|path| code(path).contains("FaultAction::")) {
        let relative = path.strip_prefix(&src).unwrap().display().to_string();
        let is_test = ["tests", "fixtures"].iter().any(|test| relative.split(['/', '.']).any(|part| part == *test));
        if !is_test && !relative.starts_with("faults/") {
            found.push(relative);
        }
    }
    assert_eq!(found, ASK_ACTIONS, "what depends on the kind of a fault belongs into the kind's file");
}

#[test]
fn imports_are_read_in_every_form() {
    let code =
        "use crate::env::Env;\npub use crate::{ha::{log, entry}, ids, graph::stream};\nlet x = crate::wire::y();";
    assert_eq!(imported(code).into_iter().collect::<Vec<_>>(), ["env", "graph", "ha", "ids", "wire"]);
}

/// Lines of the engine that mention planted bugs where they should not. What planted bugs do belongs into files
/// `planted.rs`. Such a file may only be named directly after the attribute that leaves the line out of builds without
/// the feature.
fn sights(path: &Path, code: &str) -> Vec<String> {
    let mut sights = Vec::new();
    let mut before = "";
    for (number, line) in code.lines().map(str::trim).enumerate() {
        let word = |word: &str| {
            let at = line.match_indices(word).map(|(at, _)| line[..at].chars().next_back());
            at.into_iter().any(|edge| edge.is_none_or(|c| !c.is_alphanumeric() && c != '_'))
        };
        let planted = ["mutated(", "Mutation", "plant_", "held_back"].into_iter().any(word);
        let unguarded = word("planted") && before != "#[cfg(feature = \"mutations\")]";
        if planted || unguarded {
            sights.push(format!("{}:{}: {line}", path.display(), number + 1));
        }
        before = line;
    }
    sights
}

#[test]
fn planted_bugs_are_out_of_sight() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src");
    let mut all = Vec::new();
    files(&engine, &mut all);
    let (planted, product): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| path.ends_with("planted.rs"));
    // The models find planted bugs, too, and exist only in tests of the engine.
    let of_tests = |path: &Path| path.starts_with(engine.join("model")) || path.ends_with("env/scripted.rs");
    let product = product.into_iter().filter(|path| !path.ends_with("mutation.rs") && !of_tests(path));
    let seen: Vec<String> = product.flat_map(|path| sights(&path, &code(&path))).collect();
    assert_eq!(seen, [""; 0], "call a function of `planted.rs`, right behind its `#[cfg(feature = \"mutations\")]`");

    // Each bug must also be used somewhere.
    let planted: String = planted.iter().map(|path| code(path)).collect();
    for bug in flowquake_engine::mutation::Mutation::ALL {
        assert!(planted.contains(&format!("mutated(Mutation::{bug:?})")), "{bug:?} is planted nowhere");
    }
}

#[test]
fn planted_bugs_are_seen() {
    let seen = |code: &str| sights(Path::new("x.rs"), code).len();
    let guard = "#[cfg(feature = \"mutations\")]";
    assert_eq!(seen(&format!("{guard}\nlet x = planted::x(env, x);")), 0);
    assert_eq!(seen("let x = planted::x(env, x);"), 1);
    assert_eq!(seen(&format!("{guard}\nif env.mutated(Mutation::SkipSweep) {{}}")), 1);
    assert_eq!(seen("self.held_back = None;\nfn plant_it() {}\ntell(StoreMutation::Deleted);"), 2);
}
