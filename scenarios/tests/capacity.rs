//! The rate that a cluster can carry is predicted from its plan. It is limited by processors, by the credits of
//! channels, or by the send buffers of connections, whichever is least. Measured with records of weight one.

use std::path::Path;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::plan::RunPlan;
use flowquake::predict::capacity;
use flowquake::scenario::Scenario;
use flowquake::session::execute;

/// A job whose whole input is available at once, with these settings of network and engine.
fn plan(records: u64, latency: &str, send_buffer: &str, credits: u16, jobs: &Jobs) -> RunPlan {
    let text = format!(
        r#"
name = "capacity"
why = "as fast as it can"
[job]
name = "keyed-count"
params = {{ keys = 2000, emit_every = 50 }}
input = {{ generator = "orders", records = {records} }}
parallelism = 2
[cluster]
task_managers = 2
slots = 1
latency = "{latency}"
bandwidth = "10Gbit/s"
send_buffer = "{send_buffer}"
[checkpointing]
interval = "1h"
backend = "memory"
[engine]
credits = {credits}
"#
    );
    let scenario = Scenario::parse(&text, Path::new("capacity.toml"), &catalogue(jobs));
    scenario.unwrap_or_else(|error| panic!("{:?}", error.problems())).plan(1)
}

/// When all input has been read, in seconds. The final checkpoint follows at once.
fn read_at(plan: &RunPlan, jobs: &Jobs) -> f64 {
    let (record, _) = execute(plan, jobs, &[], String::new());
    record.checkpoints.iter().find(|checkpoint| checkpoint.kind == "final").expect("it finished").triggered_at_ns as f64
        / 1e9
}

#[test]
fn the_rate_that_a_cluster_bears_is_predicted_to_ten_percent_whatever_limits_it() {
    const FEW: u64 = 300_000;
    let jobs = Jobs::builtin();
    let model = jobs.get("keyed-count").unwrap().model.clone().expect("it has one");
    let cases = [
        // What limits the rate, the settings for that, and whether the limit is flow control.
        ("processors", "1us..2us", "4MiB", 16, false),
        ("credits", "2ms..2ms", "4MiB", 4, true),
        ("credits, random latency", "500us..3ms", "4MiB", 8, true),
        ("send buffer", "2ms..2ms", "128KiB", 64, true),
    ];
    for (what, latency, send_buffer, credits, by_flow) in cases {
        let [few, many] = [FEW, 4 * FEW].map(|records| plan(records, latency, send_buffer, credits, &jobs));
        // The difference of the two runs removes the time for start and end.
        let measured = 3.0 * FEW as f64 / (read_at(&many, &jobs) - read_at(&few, &jobs));
        let predicted = capacity(&many, &model);
        assert_eq!(predicted.flow < predicted.work, by_flow, "{what}: {predicted:?}");
        let off = predicted.lowest() / measured - 1.0;
        println!(
            "{what}: measured {measured:.0}, predicted {:.0} records per second ({:+.1} %)",
            predicted.lowest(),
            off * 100.0
        );
        assert!(off.abs() < 0.1, "{what}: measured {measured} records per second, {predicted:?}");
    }
}
