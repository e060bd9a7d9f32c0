//! How exact the predictions are: random clusters, jobs and fault times, each predicted from its plan and then run.
//!
//! `cargo bench -p flowquake-benches --profile dev --bench predictions -- [runs] [first seed]` prints, per predicted time, the
//! distribution of |residual|, and the worst configurations. Virtual time, so the numbers are the same on every machine.

use std::path::Path;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::predict::{capacity, predict};
use flowquake::scenario::Scenario;
use flowquake::session::execute;
use flowquake_engine::env::{draw, draw_between};
use flowquake_reports::prediction::compare;

/// Simulated records per second. Each stands for as many records as the load needs. With a quarter of this rate, the
/// records that wait in buffers would be so coarse that R shows it.
const MOVING: f64 = 12_000.0;

/// A scenario drawn from `seed`, at `share` of its capacity.
fn scenario(seed: u64) -> (String, f64) {
    let pick = |what: &str, low: u64, high: u64| draw_between(draw(seed, what, 0, 0), low, high);
    // Evenly over the orders of magnitude, that is, uniform in the logarithm.
    let scale = |what: &str, low: f64, high: f64| {
        let share = draw(seed, what, 0, 0) as f64 / u64::MAX as f64;
        low * libm::pow(high / low, share)
    };
    let parallelism = pick("parallelism", 1, 4);
    let task_managers = pick("task managers", 2, 4);
    let slots = parallelism.div_ceil(task_managers).max(pick("slots", 1, 3));
    let interval = scale("interval", 500.0, 10_000.0) as u64;
    let backends: &[&str] = if cfg!(feature = "rocksdb") { &["memory", "fs", "rocksdb"] } else { &["memory", "fs"] };
    let backend = backends[pick("backend", 0, backends.len() as u64 - 1) as usize];
    let store = scale("store", 1.0, 40.0) as u64;
    let mode = ["kill", "machine-loss"][pick("mode", 0, 1) as usize];
    let at = interval * 3 + pick("at", 0, interval * 3);
    let load = 0.1 + 0.75 * (draw(seed, "load", 0, 0) as f64 / u64::MAX as f64);
    let text = format!(
        r#"name = "random"
why = "drawn"
time_limit = "3000s"
[job]
name = "keyed-count"
params = {{ keys = {keys}, emit_every = {emit_every} }}
input = {{ generator = "orders", records = RECORDS, rate = "{MOVING}/s" }}
parallelism = {parallelism}
[cluster]
task_managers = {task_managers}
slots = {slots}
cores = {cores}
latency = "{hop}us..{hops}us"
bandwidth = "1250MB/s"
store_latency = "{store}ms..{stores}ms"
record_weight = WEIGHT
send_buffer = "BUFFERB"
state_weight = {state_weight}
[checkpointing]
interval = "{interval}ms"
min_pause = "{pause}ms"
backend = "{backend}"
[engine]
restart_delay = "{delay}ms"
buffer_size = "64B"
credits = 24
[[fault]]
at = "{at}ms"
do = "{mode}"
target = "tm-1"
restart_after = "{restart}ms"
"#,
        keys = scale("keys", 100.0, 20_000.0) as u64,
        emit_every = pick("emit every", 1, 5),
        cores = pick("cores", 1, 4),
        hop = pick("hop", 50, 500),
        hops = pick("hop", 50, 500) * 3,
        stores = store * 3,
        state_weight = scale("state weight", 1.0, 300.0) as u64,
        pause = pick("pause", 0, 1) * pick("pause length", 0, 500),
        delay = scale("delay", 100.0, 3_000.0) as u64,
        restart = scale("restart", 100.0, 5_000.0) as u64,
    );
    (text, load)
}

fn predicted_d(record: &flowquake_reports::record::RunRecord) -> Option<[(&'static str, u64); 6]> {
    Some(record.prediction.as_ref()?.duration?.named())
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (runs, first) = (numbers.first().copied().unwrap_or(500), numbers.get(1).copied().unwrap_or(1_000_000));
    let jobs = Jobs::builtin();
    let catalogue = catalogue(&jobs);
    let job = jobs.get("keyed-count").expect("it ships");
    let mut residuals: Vec<(&'static str, Vec<(f64, u64)>)> = Vec::new();
    let (mut unpredicted, mut unpassed) = (0, 0);
    for seed in first..first + runs {
        let (text, load) = scenario(seed);
        let parse = |records: u64, weight: u64| {
            let text = text.replace("RECORDS", &records.to_string()).replace("WEIGHT", &weight.to_string());
            let text = text.replace("BUFFER", &(weight * 1_600).max(256 << 10).to_string());
            let parsed = Scenario::parse(&text, Path::new("random.toml"), &catalogue);
            parsed.unwrap_or_else(|error| panic!("{:?}\n{text}", error.problems())).plan(seed)
        };
        // Of the machines: flow control, which would hold up that many records one by one, does not hold up heavy ones.
        let capacity = capacity(&parse(1_000_000, 1), job.model.as_ref().expect("it has a model")).work;
        let weight = ((load * capacity / MOVING) as u64).max(1);
        // The run is long enough for the job to catch up, and a little longer.
        let predicted = predict(&parse(1_000_000, weight), job);
        let Some(total) = predicted.recovery.as_ref().and_then(|recovery| recovery.total_ns) else {
            unpredicted += 1;
            continue;
        };
        let at = predicted.recovery.as_ref().map_or(0, |recovery| recovery.failed_at_ns);
        let records = ((at + total) as f64 * 1.5e-9 * MOVING) as u64;
        let plan = parse(records, weight);
        let (record, _) = execute(&plan, &jobs, &[], String::new());
        if record.verdict.label() != "passed" {
            unpassed += 1;
            println!("seed {seed}: {} {}", record.verdict.label(), record.verdict.headline());
        }
        if std::env::var_os("VERBOSE").is_some() {
            println!("{seed} load {load:.2}: {text}");
        }
        if let (true, Some(predicted), Some(measured)) =
            (std::env::var_os("VERBOSE").is_some(), predicted.recovery.as_ref(), record.recoveries.first())
        {
            println!(
                "{seed} predicted {:?}\n     measured {:?}",
                predicted.parts.named(),
                measured.parts.map(|parts| parts.named())
            );
            println!(
                "     predicted {:?}\n     measured {:?}",
                predicted_d(&record),
                record.checkpoints.get(2).and_then(|c| c.parts).map(|parts| parts.named())
            );
        }
        for row in compare(&record) {
            let residual = row.residual().unwrap_or(-1.0);
            if std::env::var_os("VERBOSE").is_some() {
                println!(
                    "{seed} {} {:?}: predicted {}, measured {}, {:+.1} %, {}",
                    row.what,
                    plan.job.config.backend,
                    row.unit.text(row.predicted),
                    row.unit.text(row.measured),
                    residual * 100.0,
                    row.off_in()
                );
            }
            match residuals.iter_mut().find(|(what, _)| *what == row.what) {
                Some((_, list)) => list.push((residual, seed)),
                None => residuals.push((row.what, vec![(residual, seed)])),
            }
        }
    }
    println!(
        "{runs} random configurations from seed {first}; {unpredicted} without a prediction, {unpassed} not passed"
    );
    println!("{:<24} {:>6} {:>9} {:>9} {:>9} {:>9}  worst seeds", "|residual|", "runs", "median", "p90", "p95", "bias");
    for (what, mut list) in residuals {
        let bias = list.iter().map(|(residual, _)| residual).sum::<f64>() / list.len() as f64;
        list.sort_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        let at = |share: f64| list[((list.len() - 1) as f64 * share) as usize].0.abs() * 100.0;
        let worst: Vec<u64> = list.iter().rev().take(4).map(|(_, seed)| *seed).collect();
        println!(
            "{what:<24} {:>6} {:>8.2}% {:>8.2}% {:>8.2}% {:>+8.2}%  {worst:?}",
            list.len(),
            at(0.5),
            at(0.9),
            at(0.95),
            bias * 100.0
        );
    }
}
