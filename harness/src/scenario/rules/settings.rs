//! Rules for cluster and engine settings: their ranges, and pairs that exclude each other.
//!
//! The engine validates its own settings (`JobConfig::validate`), and its errors are mapped onto the plan. Only ranges
//! that the engine leaves open are judged here.

use std::time::Duration;

use flowquake_engine::config::RestartStrategy;

use super::Finding;
use crate::plan::RunPlan;
use crate::profile;
use crate::reader::value::NODES_MAX;
use crate::scenario::read::restart;
use crate::units;

/// Above this, prices would overflow.
const WEIGHT_MAX: u64 = 1_000_000_000;

pub(super) fn check(plan: &RunPlan, found: &mut Vec<Finding>) {
    engine(plan, found);
    cluster(plan, found);
    slots(plan, found);
    durations(plan, found);
}

fn engine(plan: &RunPlan, found: &mut Vec<Finding>) {
    let config = &plan.job.config;
    if let Err(error) = config.validate() {
        let path = match error.field {
            field @ ("interval" | "min_pause" | "timeout" | "retained" | "tolerable_failed" | "max_concurrent") => {
                format!("job.config.checkpoints.{field}")
            }
            field if RestartStrategy::owners(field).is_some() => restart::path(&config.restart_strategy, field),
            field => format!("job.config.{field}"),
        };
        let message = format!("`{}` cannot be {}", error.field, error.value);
        let mut finding =
            Finding::new("bad-setting", message, format!("accepted: {}", error.accepted)).at(path, "not accepted");
        // The other field of a bad pair is shown too.
        finding = match error.field {
            "max_concurrent" if !config.checkpoints.min_pause.is_zero() => {
                finding.at("job.config.checkpoints.min_pause", "because of this pause")
            }
            "rpc_timeout" => finding.at("job.config.heartbeat_interval", "the interval it must exceed"),
            "heartbeat_timeout" => finding.at("job.config.heartbeat_interval", "the interval it must exceed"),
            "parallelism" => finding.at("job.config.max_parallelism", "the number of key groups"),
            "max_backoff" => {
                let first = restart::path(&config.restart_strategy, "initial_backoff");
                finding.at(first, "the first one, which it must reach")
            }
            _ => finding,
        };
        found.push(finding);
    }
    // A timer of zero would fire again at once, forever.
    let timers = [("sink_flush_interval", config.sink_flush_interval), ("connect_timeout", config.connect_timeout)];
    for (field, _) in timers.iter().filter(|(_, timer)| timer.is_zero()) {
        let finding = Finding::new(
            "bad-setting",
            format!("`{field}` cannot be 0s"),
            "write a duration above zero, such as \"1s\"",
        );
        found.push(finding.at(format!("job.config.{field}"), "more than zero"));
    }
    if config.sink_chunk == 0 {
        let finding =
            Finding::new("bad-setting", "`sink_chunk` cannot be 0B", "write a size above zero, such as \"8MiB\"");
        found.push(finding.at("job.config.sink_chunk", "more than zero"));
    }
}

fn cluster(plan: &RunPlan, found: &mut Vec<Finding>) {
    let c = &plan.cluster;
    let counts = [
        ("job_managers", c.job_managers),
        ("task_managers", c.task_managers),
        ("slots", c.slots.into()),
        ("cores", c.cores),
        ("store_streams", c.store_streams),
    ];
    for (field, count) in counts.into_iter().filter(|(_, count)| !(1..=NODES_MAX).contains(count)) {
        let finding = Finding::new(
            "bad-cluster",
            format!("a cluster cannot have `{field}` = {count}"),
            format!("write 1 to {NODES_MAX}"),
        );
        found.push(finding.at(format!("cluster.{field}"), "out of range"));
    }
    let volumes = [
        ("bandwidth", c.bandwidth, "1Gbit/s"),
        ("store_throughput", c.store_throughput, "200MB/s"),
        ("store_read_throughput", c.store_read_throughput, "200MB/s"),
        ("send_buffer", c.send_buffer, "256KiB"),
    ];
    for (field, _, sample) in volumes.iter().filter(|(_, volume, _)| *volume == 0) {
        let help = format!("write a value above zero, such as \"{sample}\"");
        let finding = Finding::new("bad-cluster", format!("with `{field}` = 0 nothing would ever arrive"), help);
        found.push(finding.at(format!("cluster.{field}"), "more than zero"));
    }
    for (field, (low, high)) in [("latency", c.latency), ("store_latency", c.store_latency)] {
        if low > high {
            let (low, high) = (units::format_duration(low), units::format_duration(high));
            let help = format!("write the smaller one first: \"{high}..{low}\"");
            let finding = Finding::new("bad-cluster", format!("`{field}` runs from {low} down to {high}"), help);
            found.push(finding.at(format!("cluster.{field}"), "ends are swapped"));
        }
    }
    for (name, rate) in c.rates.named().into_iter().filter(|(_, rate)| !profile::in_range(*rate)) {
        let help = "write nanoseconds of a core, from 0 to 1e12";
        let finding = Finding::new("bad-rate", format!("no work costs {rate} ns"), help);
        found.push(finding.at(format!("cluster.rates.{name}"), "out of range"));
    }
    for (field, weight) in [("record_weight", c.record_weight), ("state_weight", c.state_weight)] {
        if !(1..=WEIGHT_MAX).contains(&weight) {
            let message = format!("nothing can stand for {weight} of its kind");
            let finding = Finding::new("bad-weight", message, format!("write 1 (itself) to {WEIGHT_MAX}"));
            found.push(finding.at(format!("cluster.{field}"), "out of range"));
        }
    }
}

fn slots(plan: &RunPlan, found: &mut Vec<Finding>) {
    let (needed, c) = (u64::from(plan.job.config.parallelism), &plan.cluster);
    let (nodes, slots) = (u64::from(c.task_managers), u64::from(c.slots));
    let offered = nodes * slots;
    // A cluster without nodes or slots was reported above.
    if offered == 0 || needed <= offered {
        return;
    }
    let message = format!(
        "the job needs {needed} slots (parallelism), but the cluster offers {offered} (task_managers {nodes} × slots {slots})"
    );
    let help = format!(
        "write task_managers = {} or slots = {}, or lower the parallelism to {offered}",
        needed.div_ceil(slots),
        needed.div_ceil(nodes)
    );
    let finding = Finding::new("too-few-slots", message, help)
        .at("job.config.parallelism", format!("{needed} slots needed"))
        .at("cluster.task_managers", "so many nodes")
        .at("cluster.slots", "so many slots on each");
    found.push(finding);
}

/// No duration may be longer than a year, so that sums of durations cannot overflow the clock.
fn durations(plan: &RunPlan, found: &mut Vec<Finding>) {
    let (config, c) = (&plan.job.config, &plan.cluster);
    let mut all: Vec<(String, Duration)> = [
        ("job.config.checkpoints.interval", config.checkpoints.interval),
        ("job.config.checkpoints.min_pause", config.checkpoints.min_pause),
        ("job.config.checkpoints.timeout", config.checkpoints.timeout),
        ("job.config.heartbeat_interval", config.heartbeat_interval),
        ("job.config.heartbeat_timeout", config.heartbeat_timeout),
        ("job.config.restart_delay", config.restart_delay),
        ("job.config.buffer_timeout", config.buffer_timeout),
        ("job.config.sink_flush_interval", config.sink_flush_interval),
        ("job.config.notify_retry", config.notify_retry),
        ("job.config.slot_stabilization", config.slot_stabilization),
        ("job.config.connect_timeout", config.connect_timeout),
        ("job.config.lease", config.lease),
        ("job.config.rpc_timeout", config.rpc_timeout),
        ("cluster.latency", c.latency.1),
        ("cluster.store_latency", c.store_latency.1),
        ("time_limit", plan.time_limit),
        ("heal_at", plan.heal_at.unwrap_or_default()),
        ("expect.recovers_within", plan.expect.recovers_within.unwrap_or_default()),
    ]
    .map(|(path, duration)| (path.to_owned(), duration))
    .into();
    let of_strategy = match &config.restart_strategy {
        RestartStrategy::None | RestartStrategy::FixedDelay => Vec::new(),
        RestartStrategy::FailureRate(rate) => vec![("failure_rate_interval", rate.failure_rate_interval)],
        RestartStrategy::ExponentialDelay(delay) => vec![
            ("initial_backoff", delay.initial_backoff),
            ("max_backoff", delay.max_backoff),
            ("reset_backoff_threshold", delay.reset_backoff_threshold),
        ],
    };
    let restart_path = |setting| restart::path(&config.restart_strategy, setting);
    all.extend(of_strategy.into_iter().map(|(setting, duration)| (restart_path(setting), duration)));
    for (at, fault) in plan.faults.iter().enumerate() {
        let lengths = super::faults::lengths(fault);
        all.extend(lengths.into_iter().map(|length| (format!("faults[{at}].{}", length.path), length.duration)));
    }
    for (path, duration) in all.into_iter().filter(|(_, duration)| *duration > units::DURATION_MAX) {
        let message = format!("{} is longer than a year", units::format_duration(duration));
        found.push(Finding::new("too-long", message, "write at most 8760h").at(path, "too long"));
    }
    if plan.time_limit.is_zero() {
        let help = "write how much virtual time the run may take, such as time_limit = \"300s\", or leave it out";
        found.push(
            Finding::new("no-time", "`time_limit` is zero: the run would end before it began", help)
                .at("time_limit", "more than zero"),
        );
    }
    if let Some(heal_at) = plan.heal_at.filter(|at| *at >= plan.time_limit) {
        let (at, limit) = (units::format_duration(heal_at), units::format_duration(plan.time_limit));
        let message = format!("everything is healed at {at}, but the run is stopped at {limit}");
        let help = "let it be healed earlier, or raise `time_limit`: the job needs time to recover";
        found.push(
            Finding::new("never-healed", message, help).at("heal_at", "after the end").at("time_limit", "the end"),
        );
    }
}
