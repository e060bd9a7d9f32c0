//! Draws settings of cluster and job so that each is sensible and all fit together.
//!
//! What the scenario states stays. Times within which faults must be noticed (heartbeats, lease, checkpoint timeout)
//! are short, so that a run ends soon. Sizes go down to where every buffer holds a record or two. The input goes from
//! one split to more splits than records, and the parallelism includes numbers that divide neither slots nor key
//! groups.

use std::time::Duration;

use flowquake_engine::config::{
    BackendKind, ExponentialDelay, FailureRate, JobConfig, RestartStrategy, Thousandths, TriggerSchedule,
};

use crate::draws::{Draws, Swarm, stream};
use crate::plan::{InputSource, RunPlan, describe_restarts};
use crate::units;

/// Numbers of key groups that are drawn: the default, few, and numbers that no drawn parallelism divides.
const KEY_GROUPS: [u16; 6] = [128, 128, 7, 61, 1_000, 32_768];
/// Highest parallelism that is drawn.
const PARALLELISM_MAX: u64 = 7;

/// Draws the parameters of the job that `[swarm] params` lists.
pub(super) fn params(swarm: &Swarm, plan: &mut RunPlan) -> Vec<(String, String)> {
    let draws = Draws { seed: stream(plan), entity: 0 };
    let mut drawn = Vec::new();
    for (name, values) in &swarm.params {
        if let Some(value) = draws.pick(&format!("param {name}"), values) {
            drawn.push((format!("params.{name}"), format!("{value} (drawn)")));
            plan.job.params.insert(name.clone(), value);
        }
    }
    drawn
}

/// Draws the number of records, if `[swarm] records` asks for it.
pub(super) fn records(swarm: &Swarm, plan: &mut RunPlan) -> Option<(String, String)> {
    let (least, most) = swarm.records?;
    let draws = Draws { seed: stream(plan), entity: 0 };
    let InputSource::Generator { records, .. } = &mut plan.job.input.source else { return None };
    *records = draws.number("records", least, most);
    Some(("records".to_owned(), format!("{records} (drawn)")))
}

/// Draws every setting that the scenario leaves open; returns name and value of each.
pub(super) fn vary(swarm: &Swarm, plan: &mut RunPlan) -> Vec<(String, String)> {
    let draws = Draws { seed: stream(plan), entity: 0 };
    let written = |path: &str| swarm.written.contains(path);
    let mut drawn: Vec<(String, String)> = Vec::new();
    /// Draws a field unless its path is written in the file.
    macro_rules! draw {
        ($prefix:literal, $place:expr, $field:ident, $value:expr, $show:expr) => {
            if !written(concat!($prefix, ".", stringify!($field))) {
                $place.$field = $value;
                drawn.push((stringify!($field).to_owned(), format!("{} (drawn)", $show($place.$field.clone()))));
            }
        };
    }
    macro_rules! cluster {
        ($field:ident, $value:expr, $show:expr) => {
            draw!("cluster", plan.cluster, $field, $value, $show)
        };
    }
    macro_rules! config {
        ($field:ident, $value:expr, $show:expr) => {
            draw!("job.config", plan.job.config, $field, $value, $show)
        };
    }
    macro_rules! checkpoints {
        ($field:ident, $value:expr, $show:expr) => {
            draw!("job.config.checkpoints", plan.job.config.checkpoints, $field, $value, $show)
        };
    }
    let micros =
        |what: &str, low, high| draws.duration(what, (Duration::from_micros(low), Duration::from_micros(high)));
    let millis = |what: &str, low, high| draws.millis(what, low, high);
    let power = |what: &str, low: u64, high: u64| 1 << draws.number(what, low, high);

    cluster!(job_managers, draws.number("job managers", 1, 3) as u32, whole);
    // If the parallelism is written, there must be enough slots for it, whichever of the two factors is drawn.
    let needed = if written("job.config.parallelism") { u64::from(plan.job.config.parallelism) } else { 1 };
    let fixed_slots = if written("cluster.slots") { u64::from(plan.cluster.slots.max(1)) } else { needed };
    let least = needed.div_ceil(fixed_slots).max(2);
    cluster!(task_managers, draws.number("task managers", least, least.max(5)) as u32, whole);
    let least = needed.div_ceil(plan.cluster.task_managers.max(1).into()).max(1);
    cluster!(slots, draws.number("slots", least, least.max(3)) as u16, whole);
    cluster!(cores, draws.number("cores", 1, 4) as u32, whole);
    let low = micros("latency", 20, 2_000);
    cluster!(latency, (low, low + micros("latency spread", 0, 3_000)), units::format_duration_range);
    cluster!(send_buffer, power("send buffer", 12, 18), units::format_size);
    let low = micros("store latency", 500, 10_000);
    cluster!(store_latency, (low, low + micros("store latency spread", 0, 20_000)), units::format_duration_range);

    let key_groups = draws.one_of("key groups", KEY_GROUPS).max(needed.min(u16::MAX.into()) as u16);
    config!(max_parallelism, key_groups, whole);
    let slots = u64::from(plan.cluster.task_managers) * u64::from(plan.cluster.slots);
    let most = slots.min(PARALLELISM_MAX).min(u64::from(plan.job.config.max_parallelism)).max(1);
    config!(parallelism, draws.number("parallelism", 1, most) as u16, whole);
    draw!("job.input", plan.job.input, splits, splits(&draws, plan.job.config.parallelism), whole);
    if let InputSource::Generator { records, .. } = plan.job.input.source {
        // All input arrives while faults strike, or some of it after them.
        let lasts = draws.duration("input lasts", (swarm.until, swarm.until * 5 / 2));
        // Rounded to a number that a scenario file can express.
        let rate = (records as f64 / lasts.as_secs_f64() * 1_000.0).ceil() / 1_000.0;
        draw!("job.input", plan.job.input, rate, Some(rate), |rate: Option<f64>| format!(
            "{:.1}/s",
            rate.unwrap_or_default()
        ));
    }
    if plan.job.config.backend != BackendKind::RocksDb {
        config!(backend, draws.one_of("backend", [BackendKind::Memory, BackendKind::Fs]), |kind: BackendKind| kind
            .name());
    }
    checkpoints!(interval, millis("interval", 150, 1_000), units::format_duration);
    let pause = if draws.one_in("pause", 2) { millis("min pause", 1, 500) } else { Duration::ZERO };
    checkpoints!(min_pause, pause, units::format_duration);
    checkpoints!(schedule, draws.one_of("schedule", TriggerSchedule::ALL), TriggerSchedule::name);
    checkpoints!(timeout, millis("timeout", 1_000, 5_000), units::format_duration);
    checkpoints!(retained, draws.number("retained", 1, 4) as u32, whole);
    checkpoints!(tolerable_failed, draws.number("tolerable failed", 0, 3) as u32, whole);

    // Timeouts that are written must be longer than the heartbeat interval.
    let beats =
        (plan.job.config.heartbeat_timeout.min(plan.job.config.rpc_timeout) / 3).min(Duration::from_millis(500));
    // No timer may be shorter than a millisecond.
    let beats = beats.max(Duration::from_millis(1));
    let beats = (beats.min(Duration::from_millis(50)), beats);
    config!(heartbeat_interval, draws.duration("heartbeat interval", beats), units::format_duration);
    let beat = plan.job.config.heartbeat_interval;
    config!(heartbeat_timeout, beat * draws.number("heartbeats missed", 3, 6) as u32, units::format_duration);
    config!(rpc_timeout, beat * draws.number("heartbeats contradicting", 3, 6) as u32, units::format_duration);
    let unreached = draws.number("heartbeats unreached", 0, 2) as u32;
    config!(heartbeat_rpc_failure_threshold, unreached, whole);
    config!(lease, millis("lease", 500, 3_000), units::format_duration);
    config!(restart_delay, millis("restart delay", 1, 1_000), units::format_duration);
    // A limit that is written belongs to the strategy that is written, or to the default strategy.
    if !RestartStrategy::SETTINGS.iter().any(|(setting, _)| written(&format!("job.config.{setting}"))) {
        let delay = plan.job.config.restart_delay;
        let describe = |strategy: RestartStrategy| describe_restarts(&strategy, delay);
        config!(restart_strategy, restart_strategy(&draws), describe);
        if !plan.job.config.restart_strategy.obeys("restart_delay") {
            plan.job.config.restart_delay = JobConfig::default().restart_delay;
            drawn.retain(|(name, _)| name != "restart_delay");
        }
        if plan.job.config.restart_strategy.obeys("restart_attempts") && draws.one_in("restarts limited", 2) {
            let attempts = |attempts: Option<u32>| attempts.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
            config!(restart_attempts, Some(many(&draws, "restart attempts")), attempts);
        }
    }
    config!(slot_stabilization, millis("slot stabilization", 1, 100), units::format_duration);
    config!(buffer_timeout, millis("buffer timeout", 1, 100), units::format_duration);
    config!(buffer_size, power("buffer size", 7, 15) as u32, |size: u32| units::format_size(size.into()));
    config!(credits, draws.number("credits", 1, 8) as u16, whole);
    config!(sink_flush_interval, millis("sink flush interval", 50, 1_000), units::format_duration);
    config!(sink_chunk, power("sink chunk", 8, 20) as u32, |size: u32| units::format_size(size.into()));
    config!(notify_retry, millis("notify retry", 50, 1_000), units::format_duration);
    config!(connect_timeout, millis("connect timeout", 100, 2_000), units::format_duration);
    drawn
}

/// One split, fewer splits than subtasks, about as many, or far more; if there are few records, more splits than
/// records.
fn splits(draws: &Draws, parallelism: u16) -> u32 {
    let (low, high) = match draws.number("splits like", 0, 7) {
        0 => (1, 1),
        1 => (1, parallelism.into()),
        2 => (13, 100),
        _ => (1, 12),
    };
    draws.number("splits", low, high) as u32
}

/// A limit that is in force, but that no correct engine reaches, because the job must survive all that is drawn. The
/// longest runs of these swarms have fewer than a hundred failovers.
fn many(draws: &Draws, what: &str) -> u32 {
    draws.number(what, 1_000, 5_000) as u32
}

/// Half of the seeds have a fixed delay; a third of these also limit the rate of failures. In the others the delay
/// grows quickly, and is reset when the job has run for a while.
fn restart_strategy(draws: &Draws) -> RestartStrategy {
    if draws.one_in("fixed restart delay", 2) {
        if draws.one_in("failure rate", 3) {
            return RestartStrategy::FailureRate(FailureRate {
                max_failures_per_interval: many(draws, "failures per interval"),
                failure_rate_interval: draws.millis("failure rate interval", 1_000, 90_000),
            });
        }
        return RestartStrategy::FixedDelay;
    }
    let initial_backoff = draws.millis("initial backoff", 1, 500);
    RestartStrategy::ExponentialDelay(ExponentialDelay {
        initial_backoff,
        max_backoff: initial_backoff + draws.millis("max backoff", 1, 2_000),
        backoff_multiplier: Thousandths(draws.number("backoff multiplier", 1_100, 3_000) as u32),
        reset_backoff_threshold: draws.millis("reset backoff threshold", 500, 5_000),
        jitter_factor: Thousandths(draws.number("jitter factor", 0, 500) as u32),
        attempts_before_reset_backoff: draws.one_in("backoff limited", 4).then(|| many(draws, "attempts before reset")),
    })
}

fn whole<T: std::fmt::Display>(number: T) -> T {
    number
}
