//! What reports call the work lost to a checkpoint is what a checkpoint costs a job without spare capacity: the
//! integral of the dip in throughput, measured by running the same job with and without checkpoints.

use std::path::Path;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::Scenario;
use flowquake::session::execute;
use flowquake_reports::record::RunRecord;

/// A job whose whole input is available at once, limited by processors and not by flow control.
fn saturated(interval: &str) -> RunRecord {
    let jobs = Jobs::builtin();
    let text = format!(
        r#"
name = "saturated"
why = "as fast as it can"
[job]
name = "keyed-count"
params = {{ keys = 20000, emit_every = 50, value_bytes = 1000 }}
input = {{ generator = "orders", records = 3_000_000 }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
cost_profile = "native"
[checkpointing]
interval = "{interval}"
backend = "fs"
"#
    );
    let scenario = Scenario::parse(&text, Path::new("saturated.toml"), &catalogue(&jobs));
    let plan = scenario.unwrap_or_else(|error| panic!("{:?}", error.problems())).plan(1);
    execute(&plan, &jobs, &[], String::new()).0
}

#[test]
fn lost_work_is_the_dip_in_throughput() {
    let [with, without] = ["100ms", "1h"].map(saturated);
    // The final checkpoint may have to wait for the one before it.
    let end = |record: &RunRecord| record.course.input_ended_ns().expect("it finished") as f64;
    let mut lost: Vec<u64> = with.checkpoints.iter().filter_map(|checkpoint| checkpoint.lost_work_ns()).collect();
    // The final checkpoint is in both runs.
    lost.pop();
    assert!(lost.len() >= 2, "{lost:?}");
    let dip = end(&with) - end(&without);
    let ratio = lost.iter().sum::<u64>() as f64 / dip;
    println!("{} checkpoints: lost work is {:.1} % of the dip of {:.1} ms", lost.len(), ratio * 100.0, dip / 1e6);
    assert!((ratio - 1.0).abs() < 0.05, "lost work is {ratio} of the dip");
}
