//! What a checkpoint costs a job without spare capacity: the cost c as the literature defines it, next to the part of
//! it that reports call lost work.
//!
//! `cargo bench -p flowquake-benches --profile dev --bench lost_work` runs the same saturated job, record by record,
//! with checkpoints and without. The difference in duration, divided by the number of checkpoints, is the integral of
//! the dip in throughput, `c = ∫(1 − thr(t)/thr_base) dt`. Durations are virtual, so the numbers are the same on every
//! machine.

use flowquake::plan::RunPlan;
use flowquake_benches::{measure, plan};
use flowquake_reports::record::RunRecord;
use flowquake_reports::units;

/// All records are there at once; they are a second and a half of work.
const RECORDS: u64 = 10_000_000;

fn saturated(backend: &str, keys: u64, value_bytes: u64, interval: &str) -> RunPlan {
    plan(&format!(
        r#"
name = "reference"
why = "saturated"
time_limit = "1h"
[job]
name = "keyed-count"
params = {{ keys = {keys}, emit_every = 50, value_bytes = {value_bytes} }}
input = {{ generator = "orders", records = {RECORDS}, splits = 2 }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
cost_profile = "native"
[checkpointing]
interval = "{interval}"
backend = "{backend}"
"#
    ))
}

/// A run, and the time in seconds at which its whole input had been read.
fn run(plan: &RunPlan) -> (RunRecord, f64) {
    let (record, ..) = measure(plan);
    // The final checkpoint may have to wait for the one before, so the end of input is measured.
    let end = record.course.input_ended_ns().expect("it finished");
    (record, end as f64 / 1e9)
}

fn main() {
    println!("{:<8} {:>7} {:>12} {:>12} {:>12} {:>8}", "backend", "keys", "state", "dip", "lost work", "of it");
    let backends: &[&str] = if cfg!(feature = "rocksdb") { &["memory", "fs", "rocksdb"] } else { &["memory", "fs"] };
    for backend in backends {
        for (keys, value_bytes) in [(1_000, 0), (20_000, 100), (20_000, 1_000)] {
            let (record, end) = run(&saturated(backend, keys, value_bytes, "150ms"));
            let (_, without) = run(&saturated(backend, keys, value_bytes, "1h"));
            let lost: Vec<u64> = record.checkpoints.iter().filter_map(|one| one.lost_work_ns()).collect();
            // The final checkpoint is in both runs.
            let count = (lost.len() - 1) as f64;
            let (dip, lost) =
                ((end - without) / count, lost[..lost.len() - 1].iter().sum::<u64>() as f64 / 1e9 / count);
            let state = record.checkpoints.iter().map(|one| one.state_bytes).max().unwrap_or(0);
            println!(
                "{backend:<8} {keys:>7} {:>12} {:>9.2} ms {:>9.2} ms {:>6.1} %",
                units::bytes(state),
                dip * 1e3,
                lost * 1e3,
                lost / dip * 100.0
            );
        }
    }
}
