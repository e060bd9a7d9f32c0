//! The resources of a process do not grow with the number of runs that it makes. This is the only test of its process,
//! because other tests would open files of their own at the same time.

use std::path::Path;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::run::run;
use flowquake::scenario::Scenario;
use flowquake_scenarios::SCENARIOS;

/// 1,000 runs in one process: memory and open files stay bounded.
#[test]
fn a_thousand_runs_leave_nothing_behind() {
    let text = r#"
name = "short"
why = "many of them"
[job]
name = "string-length-count"
input = { generator = "words", records = 100, splits = 2, rate = "100/s" }
[cluster]
task_managers = 2
slots = 2
[checkpointing]
interval = "500ms"
[[fault]]
at = "700ms"
do = "kill"
target = "tm-1"
restart_after = "100ms"
"#;
    let path = Path::new(SCENARIOS).join("short.toml");
    let scenario = Scenario::parse(text, &path, &catalogue(&Jobs::builtin()))
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let jobs = Jobs::builtin();
    let batch = |seeds: std::ops::Range<u64>| {
        for seed in seeds {
            run(&scenario.plan(seed), &jobs, &[]);
        }
        (resident_kib(), open_files())
    };
    let (memory, files) = batch(0..200);
    let (memory_after, files_after) = batch(200..1000);
    assert!(files_after <= files + 2, "open files grew from {files} to {files_after}");
    let grown = memory_after.saturating_sub(memory);
    assert!(grown < 100 * 1024, "800 runs left {grown} KiB behind");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
