//! The profile `flink-2.2` gives the times that were measured on Apache Flink 2.2.1 with one JobManager, three
//! TaskManagers and two cores: checkpoints, and the first record after `kill -9` with heartbeats of 1 s and a timeout
//! of 5 s.
//!
//! RocksDB is compared only up to 10 MB: above that, Flink's numbers are of incremental checkpoints, while this
//! engine's checkpoints are full.

use flowquake_reports::record::RunRecord;

use super::{execute, inline};

/// Real bytes of keyed state. Each stands for as many bytes as the case needs.
const BYTES: u64 = 100 * 1_005;

/// The fault strikes midway between two heartbeats, so the slots are free after one and a half intervals, which is the
/// average.
fn run(backend: &str, megabytes: u64) -> RunRecord {
    let text = format!(
        r#"
name = "as-measured"
why = "the cluster on which Flink was measured"
[job]
name = "keyed-count"
params = {{ keys = 100, emit_every = 5, value_bytes = 1000 }}
input = {{ generator = "orders", records = 8_000, rate = "200/s" }}
parallelism = 2
[cluster]
task_managers = 3
slots = 1
cores = 1
cost_profile = "flink-2.2"
state_weight = {weight}
[checkpointing]
interval = "3s"
backend = "{backend}"
[engine]
heartbeat_interval = "1s"
heartbeat_timeout = "5s"
restart_delay = "100ms"
[[fault]]
at = "19.6s"
do = "kill"
target = "tm-1"
"#,
        weight = megabytes * 1_000_000 / BYTES,
    );
    execute(&inline("as-measured", &text), 1, &[])
}

/// Median checkpoint duration and outage, in ms.
fn times(record: &RunRecord) -> [f64; 2] {
    let mut durations: Vec<u64> = record.checkpoints.iter().filter_map(|checkpoint| checkpoint.duration_ns()).collect();
    durations.sort_unstable();
    let outage = record.recoveries[0].outage_ns().expect("records were seen again");
    [durations[durations.len() / 2], outage].map(|ns| ns as f64 / 1e6)
}

#[test]
fn the_profile_of_flink_takes_as_long_as_flink() {
    let heap = [(1, 90.0, 3_400.0), (10, 102.0, 3_800.0), (100, 250.0, 4_300.0), (500, 1_010.0, 9_300.0)];
    let rocksdb: &[_] = if cfg!(feature = "rocksdb") { &[(1, 251.0, 3_900.0), (10, 316.0, 4_000.0)] } else { &[] };
    let cases = heap.iter().map(|case| ("fs", case)).chain(rocksdb.iter().map(|case| ("rocksdb", case)));
    let mut off = Vec::new();
    for (backend, (megabytes, checkpoint, outage)) in cases {
        let simulated = times(&run(backend, *megabytes));
        for (what, measured, simulated) in
            [("checkpoint", checkpoint, simulated[0]), ("first record", outage, simulated[1])]
        {
            let share = simulated / measured;
            println!("{backend} {megabytes} MB, {what}: Flink {measured} ms, simulated {simulated:.0} ms, {share:.2}");
            if (share - 1.0).abs() > 0.2 {
                off.push(format!("{backend} {megabytes} MB, {what}: {share:.2}"));
            }
        }
    }
    assert_eq!(off, [""; 0], "more than a fifth off");
}
