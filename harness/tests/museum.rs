//! The museum as a user sees it: what it refuses, what it says about a matrix of another engine, and that a visit
//! continues after a stop.
//!
//! Planted bugs exist only in builds with the feature `mutations`. `cargo test` makes such builds in this workspace.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A working folder with one scripted scenario and one whose faults are drawn.
struct Folder(tempfile::TempDir);

/// What a command said.
struct Said {
    out: String,
    err: String,
}

/// Kills, drawn over a second.
#[cfg(feature = "mutations")]
const SWARM: &str = r#"name = "kills"
why = "bugs are looked for in it"

[job]
name = "string-length-count"
input = { generator = "words", records = 2_000, rate = "1000/s" }

[checkpointing]
interval = "200ms"
timeout = "2s"

[swarm]
faults = 1
until = "1s"
heal_after = "50ms..200ms"
kinds = ["kill"]
"#;

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let scenarios = folder.path().join("scenarios");
        fs::create_dir(&scenarios).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/baseline/no-fault.toml");
        fs::copy(shipped, scenarios.join("no-fault.toml")).unwrap();
        #[cfg(feature = "mutations")]
        fs::write(scenarios.join("kills.toml"), SWARM).unwrap();
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `flowquake museum`.
    #[track_caller]
    fn museum(&self, args: &[&str], code: i32) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        let output = command.arg("museum").args(args).env("NO_COLOR", "1").current_dir(self.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = Said { out: text(&output.stdout), err: text(&output.stderr) };
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}\n{}", said.out, said.err);
        said
    }
}

#[cfg(not(feature = "mutations"))]
#[test]
fn a_program_without_planted_bugs_says_how_to_get_one_with_them() {
    let said = Folder::new().museum(&["--short"], 2);
    assert!(
        said.err.contains("built without planted bugs") && said.err.contains("--features mutations"),
        "{}",
        said.err
    );
    assert!(said.out.is_empty());
}

#[cfg(feature = "mutations")]
#[test]
fn what_cannot_be_searched_or_judged_is_refused_before_the_first_run() {
    let folder = Folder::new();
    let refused = |args: &[&str], words: [&str; 2]| {
        let said = folder.museum(&[&["--only", "forget-commit"], args].concat(), 2);
        assert!(words.iter().all(|word| said.err.contains(word)), "{args:?}: {}", said.err);
        assert!(said.out.is_empty(), "{}", said.out);
    };
    refused(&["--baseline", "none.json"], ["there is no kill matrix none.json", "--update"]);
    let write = |text: &str| fs::write(folder.path().join("matrix.json"), text).unwrap();
    write("[]");
    refused(&["--baseline", "matrix.json"], ["matrix.json: it is no kill matrix", "--update"]);
    write("{\"matrix_version\": 9, \"engine\": \"e\", \"bugs\": []}");
    refused(&["--baseline", "matrix.json"], ["it has version 9", "this build reads version 1"]);
    write("{\"matrix_version\": 1, \"engine\": \"e\", \"bugs\": []}");
    let with_matrix = |args: &[&str], words| refused(&[args, &["--baseline", "matrix.json"]].concat(), words);
    with_matrix(&["--only", "forgets"], ["--only forgets: there is no such bug", "forget-commit"]);
    with_matrix(&["--by", "luck"], ["no such method", "scripted, swarm, exhaust"]);
    with_matrix(&["--short", "--by", "swarm"], ["--short", "--by"]);
    with_matrix(&["--seeds", "0"], ["--seeds 0", "write 1 to"]);
    with_matrix(&["--scenarios", "nowhere"], ["nowhere", ""]);
    with_matrix(&["--by", "exhaust"], ["`reference-run` is not in scenarios", "--by"]);
    with_matrix(&["--by", "swarm", "--resume"], ["--resume: journal", "leave --resume out"]);
    with_matrix(&["--json", "matrix.json"], ["matrix.json", "--json"]);
    let missing = folder.museum(&["--only", "skip-sweep", "--short", "--baseline", "matrix.json"], 2);
    assert!(
        missing.err.contains("sends `skip-sweep` to the scenario `killed-when-manifest-is-written`"),
        "{}",
        missing.err
    );
}

#[cfg(feature = "mutations")]
#[test]
fn a_matrix_of_another_engine_is_told_and_judged_all_the_same() {
    let folder = Folder::new();
    let one = ["--only", "forget-commit", "--short", "--baseline", "matrix.json"];
    folder.museum(&[&one[..], &["--update"]].concat(), 0);
    let file = folder.path().join("matrix.json");
    let matrix = fs::read_to_string(&file).unwrap();
    let said = folder.museum(&one, 0);
    assert!(said.out.contains("museum passed") && !said.out.contains("another engine"), "{}", said.out);
    let engine = matrix.lines().find(|line| line.contains("\"engine\"")).unwrap();
    let other = matrix.replace(engine, "  \"engine\": \"0000000000000000\",");
    fs::write(&file, &other).unwrap();
    let said = folder.museum(&one, 0);
    assert!(said.out.contains("the baseline was made with another engine"), "{}", said.out);
    // A difference from the matrix fails the museum, also when the matrix is of another engine.
    fs::write(&file, other.replace("\"forget-commit\"", "\"forgotten\"")).unwrap();
    let said = folder.museum(&one, 1);
    assert!(said.out.contains("DRIFT") && said.out.contains("another engine"), "{}", said.out);
}

#[cfg(feature = "mutations")]
#[test]
fn a_visit_goes_on_with_what_it_found_and_comes_to_the_same() {
    let folder = Folder::new();
    let swarm = |args: &[&str], code| {
        let ask = ["--only", "replay-one-too-many", "--only", "skip-sweep", "--by", "swarm", "--starts", "2"];
        // The scenarios of the other bugs are elsewhere, and are not run.
        for name in ["killed-between-checkpoints", "killed-when-manifest-is-written"] {
            let text = fs::read_to_string(folder.path().join("scenarios/no-fault.toml")).unwrap();
            let named = text.replace("name = \"no-fault\"", &format!("name = \"{name}\""));
            fs::write(folder.path().join(format!("scenarios/{name}.toml")), named).unwrap();
        }
        folder.museum(&[&ask, args, &["--baseline", "matrix.json", "--update", "--json", "made.json"]].concat(), code)
    };
    let said = swarm(&["--seeds", "3"], 0);
    assert!(said.err.contains("4/4  ") && said.out.contains("swarm: "), "{}\n{}", said.out, said.err);
    let made = fs::read_to_string(folder.path().join("made.json")).unwrap();
    let journal = folder.path().join("target/flowquake/museum.jsonl");
    let lines = fs::read_to_string(&journal).unwrap();
    let searches = |lines: &str| lines.lines().filter(|line| line.starts_with("{\"search\"")).count();
    assert_eq!(searches(&lines), 4);
    // As if the visit was stopped after its first search, in the middle of a line.
    let first = lines.lines().position(|line| line.starts_with("{\"search\"")).unwrap();
    let cut: Vec<&str> = lines.lines().take(first + 1).collect();
    fs::write(&journal, cut.join("\n") + "\n{\"search\": [\"skip-s").unwrap();
    let said = swarm(&["--seeds", "3", "--resume"], 0);
    assert!(said.err.contains("going on: 1 of the searches are made"), "{}", said.err);
    let timeless = |text: &str| {
        let mut matrix: serde_json::Value = serde_json::from_str(text).unwrap();
        for bug in matrix["bugs"].as_array_mut().unwrap() {
            bug["found"]["swarm"]["cpu_ms"] = 0.into();
        }
        matrix
    };
    let resumed = fs::read_to_string(folder.path().join("made.json")).unwrap();
    assert_eq!(timeless(&resumed), timeless(&made));
    let killed = timeless(&resumed)["bugs"][0]["found"]["swarm"].clone();
    assert_eq!((killed["fate"].as_str(), killed["runs"].as_array().unwrap().len()), (Some("killed"), 2), "{resumed}");
    // Everything is in the journal: no search is repeated.
    let before = searches(&fs::read_to_string(&journal).unwrap());
    swarm(&["--seeds", "3", "--resume"], 0);
    assert_eq!(searches(&fs::read_to_string(&journal).unwrap()), before);
    // A scenario that changed makes this a new visit.
    let text = SWARM.replace("records = 2_000", "records = 2_001");
    fs::write(folder.path().join("scenarios/kills.toml"), text).unwrap();
    let said = swarm(&["--seeds", "3", "--resume"], 2);
    assert!(said.err.contains("it is of other scenarios"), "{}", said.err);
}
