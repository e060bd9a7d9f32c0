//! A record that stands for many costs as much as the many. The same job, run record by record and with one record for
//! a thousand, agrees on checkpoint duration, lost work and recovery to 2 %. One subtask is used: with several, a few
//! heavy records are distributed unevenly, which is chance and averages out only over many failures.

use std::path::Path;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::Scenario;
use flowquake::session::execute;
use flowquake_reports::record::{CheckpointRecord, RunRecord};

/// The prices are so high that 200,000 records a second are a load of 55 %, which keeps the unweighted run affordable.
const SLOW: &str = r#"
name = "slow"
why = "ten times the prices of this engine, so that few records are a high load"
[rates]
record_ns = 2600.0
record_kib_ns = 1500.0
deploy_ns = 2000000.0
inline_kib_ns = 0.0
[rates.heap]
access_ns = 0.0
snapshot_ns = 0.0
snapshot_entry_ns = 0.0
snapshot_kib_ns = 6000.0
read_back_kib_ns = 0.0
restore_ns = 500000.0
restore_entry_ns = 0.0
restore_kib_ns = 9000.0
[rates.rocksdb]
access_ns = 0.0
snapshot_ns = 50000.0
snapshot_entry_ns = 0.0
snapshot_kib_ns = 600.0
read_back_kib_ns = 0.0
restore_ns = 500000.0
restore_entry_ns = 0.0
restore_kib_ns = 900.0
[network]
latency = ["500us", "500us"]
bandwidth = 1250000000
[store]
latency = ["20ms", "20ms"]
streams = 1
write_throughput = 20000000
read_throughput = 20000000
"#;

/// The run with one record for `weight`: 200,000 a second for 17 s. Its state is small, and stands for twelve
/// megabytes.
fn run(folder: &Path, weight: u64) -> RunRecord {
    let text = format!(
        r#"
name = "weighted"
why = "the same job in fewer records"
[job]
name = "keyed-count"
params = {{ keys = 50, emit_every = 20 }}
input = {{ generator = "orders", records = {records}, rate = "{rate}/s" }}
parallelism = 1
[cluster]
task_managers = 3
slots = 1
cost_profile = "./slow.toml"
record_weight = {weight}
state_weight = {state_weight}
send_buffer = "4MiB"
[checkpointing]
interval = "2s"
backend = "fs"
[engine]
buffer_size = "{buffer}B"
[[fault]]
on = {{ event = "checkpoint-triggered", nth = 4 }}
delay = "1800ms"
do = "kill"
target = "tm-1"
restart_after = "500ms"
"#,
        records = 3_200_000 / weight,
        rate = 200_000 / weight,
        state_weight = state_weight(weight),
        buffer = (32_768 / weight).max(64),
    );
    std::fs::write(folder.join("slow.toml"), SLOW).unwrap();
    let jobs = Jobs::builtin();
    let scenario = Scenario::parse(&text, &folder.join("weighted.toml"), &catalogue(&jobs));
    let plan = scenario.unwrap_or_else(|error| panic!("{:?}", error.problems())).plan(1);
    execute(&plan, &jobs, &[], String::new()).0
}

/// Weight of a byte of state, chosen so that the state stands for about the same size in both runs.
fn state_weight(weight: u64) -> u64 {
    // A large count is written in three bytes, a thousandth of it in one: 328 bytes against 228 for the same state.
    if weight == 1 { 40_000 } else { 40_000 * 328 / 228 }
}

/// Duration and synchronous part of the last periodic checkpoint, per byte because the sizes of the two runs differ by
/// a byte per key, and the recovery; in nanoseconds.
fn times(record: &RunRecord) -> [f64; 3] {
    let periodic = |checkpoint: &&CheckpointRecord| checkpoint.kind == "periodic" && checkpoint.parts.is_some();
    let last = record.checkpoints.iter().rfind(periodic).expect("checkpoints completed");
    let bytes = last.state_bytes as f64;
    let recovery = &record.recoveries[0];
    let total = recovery.caught_up_at_ns.expect("it caught up") - recovery.failed_at_ns;
    let (duration, parts) = (last.duration_ns().expect("it completed"), last.parts.expect("it completed"));
    [duration as f64 / bytes, parts.sync_ns as f64 / bytes, total as f64]
}

#[test]
fn one_for_many_agrees_with_the_many_to_two_percent() {
    let folder = tempfile::tempdir().unwrap();
    let [many, one] = [1, 1_000].map(|weight| times(&run(folder.path(), weight)));
    println!("record by record {many:?}, with one for a thousand {one:?}");
    for (what, (many, one)) in ["d", "c", "R"].into_iter().zip(many.into_iter().zip(one)) {
        assert!(
            (one / many - 1.0).abs() < 0.02,
            "{what}: {many} ns record by record, {one} ns with one for a thousand"
        );
    }
}
