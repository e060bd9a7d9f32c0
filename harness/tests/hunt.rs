//! Searches as a user sees them: minimum rates of faults that strike, the moment at which a failure was decided, and
//! hunts with their corpus.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use common::{Folder, Said};

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
    let folder = Folder::new().with("swarm.toml", SWARM);
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

#[test]
fn a_sweep_fails_if_a_kind_hurts_more_rarely_than_its_scenario_asks() {
    let with = |floors: &str| Folder::new().with("swarm.toml", format!("{SWARM}min_hurt = {floors}\n"));
    let run = |floors: &str, seeds: &str, code| with(floors).flowquake(&["run", "swarm.toml", "--seeds", seeds], code);
    run("{ kill = 250, pause = 250 }", "4", 0);
    let said = run("{ kill = 250_000, pause = 1 }", "4", 1);
    let below = "below min_hurt of swarm.toml, 4 runs: kill: ";
    assert!(said.err.contains(below) && said.err.contains("1,000 are asked for"), "{}", said.err);
    assert!(!said.err.contains("pause: "), "{}", said.err);
    // A single run does not show how often a kind of fault hurts.
    run("{ kill = 900 }", "1", 0);
    let said = run("{ cut = 1 }", "1", 2);
    assert!(said.err.contains("`min_hurt` asks for `cut`, which is not drawn"), "{}", said.err);
    let said = run("{ kil = 1 }", "1", 2);
    assert!(said.err.contains("which is no kind of fault") && said.err.contains("kill"), "{}", said.err);
    run("20", "1", 2);
}

/// A job that is killed at a time of the clock. It depends on timing whether a checkpoint is aborted by the kill, which
/// the scenario forbids.
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
    let folder = Folder::new().with("by-the-clock.toml", BY_THE_CLOCK);
    let at = |seed: u64| vec!["run".to_owned(), "by-the-clock.toml".into(), "--seed".into(), seed.to_string()];
    let seed = (1..30).find(|seed| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
        command.args(at(*seed)).current_dir(folder.path()).output().unwrap().status.code() == Some(1)
    });
    let seed = seed.expect("one of 30 seeds aborts nothing");
    let plan = format!("flowquake-failures/by-the-clock-seed-{seed}.json");
    // The report of the failure has the command, or the curve if it was asked for.
    let reported = || fs::read_to_string(folder.path().join("target/flowquake/report.html")).unwrap();
    assert!(reported().contains(&format!(" when {plan}</code>")) && !reported().contains("class=\"probability\""));
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
    let command = at(seed);
    let said =
        folder.flowquake(&[&command.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--when"]].concat(), 1);
    assert!(said.err.contains(&format!("when by-the-clock seed {seed} was decided")), "{}", said.err);
    assert!(reported().contains("class=\"probability\"") && !reported().contains(&format!(" when {plan}</code>")));
    // A plan that passes has no failure, so there is no moment of decision.
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

/// The plans in a corpus.
fn corpus(folder: &Folder) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder.path().join("flowquake-corpus")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "json")).collect();
    files.sort();
    files
}

fn report(folder: &Folder, file: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.path().join(file)).unwrap()).unwrap()
}

#[test]
fn a_hunt_keeps_what_is_new_goes_on_from_it_and_sets_aside_what_does_not_load() {
    let folder = Folder::new().with("swarm.toml", SWARM);
    let hunt = ["hunt", "swarm.toml", "--guided", "--runs", "30", "--jobs", "2", "--json", "hunt.json"];
    let said = folder.flowquake(&hunt, 0);
    assert!(said.out.contains("30 runs: ") && said.out.contains("no failure"), "{}", said.out);
    assert!(said.out.contains("the next run shows a new one with a chance of about"), "{}", said.out);
    let first = report(&folder, "hunt.json");
    let kept = corpus(&folder);
    assert_eq!(first["corpus"].as_u64().unwrap() as usize, kept.len());
    assert!(!kept.is_empty() && first["fresh"].as_u64().unwrap() < 30, "{first}");
    // A plan that was cut off is reported and kept; the others are run first.
    let broken = folder.path().join("flowquake-corpus/broken.json");
    fs::write(&broken, "{\"corpus_version\": 1, ").unwrap();
    let said = folder.flowquake(&hunt, 0);
    assert!(said.err.contains("broken.json is set aside") && said.err.contains("no entry of a corpus"), "{}", said.err);
    assert!(!broken.exists() && folder.path().join("flowquake-corpus/set-aside/broken.json").exists());
    assert!(report(&folder, "hunt.json")["fresh"].as_u64().unwrap() + kept.len() as u64 <= 30);
    // A scripted scenario does not say what may be changed.
    fs::write(folder.path().join("by-the-clock.toml"), BY_THE_CLOCK).unwrap();
    let said = folder.flowquake(&["hunt", "by-the-clock.toml"], 2);
    assert!(said.err.contains("by-the-clock.toml has no [swarm]"), "{}", said.err);
    for wrong in [["--nightly", "2026-02-30"], ["--shard", "3/2"], ["--for", "0s"], ["--saturation", "101"]] {
        folder.flowquake(&["hunt", "swarm.toml", wrong[0], wrong[1]], 2);
    }
}

#[test]
fn a_hunt_begins_with_an_empty_corpus_or_none() {
    let folder = Folder::new().with("swarm.toml", SWARM);
    let hunt = ["hunt", "swarm.toml", "--runs", "2", "--jobs", "1", "--json", "hunt.json"];
    fs::create_dir(folder.path().join("flowquake-corpus")).unwrap();
    let said = folder.flowquake(&hunt, 0);
    assert!(said.out.contains("2 runs: ") && !said.err.contains("set aside"), "{}\n{}", said.out, said.err);
    assert_eq!(report(&folder, "hunt.json")["fresh"], 2);
    assert!(!corpus(&folder).is_empty());
    fs::remove_dir_all(folder.path().join("flowquake-corpus")).unwrap();
    folder.flowquake(&hunt, 0);
    assert!(!corpus(&folder).is_empty());
    // A file is not a folder.
    fs::write(folder.path().join("file"), "").unwrap();
    let said = folder.flowquake(&[&hunt[..], &["--corpus", "file"]].concat(), 2);
    assert!(said.err.contains("file"), "{}", said.err);
}

/// Waits until a real process has done something.
#[allow(clippy::disallowed_methods, reason = "between two looks at a real process")]
fn until(mut holds: impl FnMut() -> bool) {
    /// A busy machine needs time.
    const PATIENCE: Duration = Duration::from_secs(300);
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_hunt_leaves_corpus_and_report_whole() {
    let folder = Folder::new().with("swarm.toml", SWARM);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
    let words = ["hunt", "swarm.toml", "--guided", "--for", "10min", "--jobs", "2", "--json", "hunt.json"];
    let pipes = command.args(words).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let hunt = pipes.spawn().unwrap();
    // The folder exists before the first plan is written.
    until(|| folder.path().join("flowquake-corpus").exists() && corpus(&folder).len() >= 3);
    kill(Pid::from_raw(hunt.id() as i32), Signal::SIGTERM).unwrap();
    let said: Said = hunt.wait_with_output().unwrap().into();
    assert_eq!(said.code, Some(143), "{}\n{}", said.out, said.err);
    assert!(said.err.contains("interrupted by SIGTERM"), "{}", said.err);
    let found = report(&folder, "hunt.json");
    assert_eq!(found["ended"], "interrupted by SIGTERM");
    let kept = corpus(&folder);
    assert_eq!(found["corpus"].as_u64().unwrap() as usize, kept.len());
    // No file is half written, and all files can be loaded.
    let all = fs::read_dir(folder.path().join("flowquake-corpus")).unwrap().count();
    assert_eq!(all, kept.len(), "a file that is no plan is left behind");
    let again = ["hunt", "swarm.toml", "--runs", &kept.len().to_string(), "--jobs", "2", "--json", "again.json"];
    let said = folder.flowquake(&again, 0);
    assert!(!said.err.contains("set aside"), "{}", said.err);
    assert_eq!(report(&folder, "again.json")["fresh"], 0, "the corpus is run first");
}

#[test]
fn a_hunt_names_each_failure_once_makes_it_smaller_and_shards_make_one_report() {
    // One failure for plans that kill a node, and another for the other plans: the scenario does not expect the job to
    // fail over.
    let folder = Folder::new().with("swarm.toml", format!("{SWARM}\n[expect]\nfailovers = 0\n"));
    let hunt = |shard: &str, json: &str| {
        let night = ["hunt", "swarm.toml", "--runs", "8", "--nightly", "2026-11-30", "--shrink-runs", "20"];
        folder.flowquake(&[&night[..], &["--shard", shard, "--json", json]].concat(), 1)
    };
    let said = hunt("1/2", "1.json");
    assert!(
        said.err.contains("new failure, run ") && said.out.contains("failed so, the first was number"),
        "{}",
        said.out
    );
    let first = report(&folder, "1.json");
    let failure = &first["failures"][0];
    assert_eq!(failure["bucket"]["key"]["failure"], "failed expect.failovers");
    assert!(failure["small_faults"].as_u64().unwrap() <= 2, "{failure}");
    folder.flowquake(&["replay", failure["file"].as_str().unwrap()], 1);
    assert_eq!(first["seeds"]["first"].as_u64().unwrap(), 20_787 << 32);
    hunt("2/2", "2.json");
    let said = folder.flowquake(&["hunt", "--merge", "1.json", "2.json", "--json", "all.json"], 1);
    assert!(said.out.contains("16 runs: ") && said.out.contains("shards: 1/2, 2/2"), "{}", said.out);
    let (second, all) = (report(&folder, "2.json"), report(&folder, "all.json"));
    let count = |report: &serde_json::Value| report["failures"].as_array().unwrap().len();
    assert!(count(&all) <= count(&first) + count(&second) && count(&all) >= count(&first));
    let said = folder.flowquake(&["hunt", "--merge", "1.json"], 2);
    assert!(said.err.contains("shard 2/2 is missing"), "{}", said.err);
    let said = folder.flowquake(&["hunt", "--merge", "1.json", "swarm.toml"], 2);
    assert!(said.err.contains("swarm.toml"), "{}", said.err);
}
