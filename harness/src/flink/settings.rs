//! The settings of a plan as Flink calls them, and what of a plan Flink has no setting for.
//!
//! Start at [`config`]. Every port is bound to one address, and caches that would show an observer the past are turned off.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use flowquake_engine::config::{BackendKind, RestartStrategy};

use crate::plan::RunPlan;

/// Where the nodes of a cluster meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) rpc: u16,
    pub(super) rest: u16,
}

/// Folders that are durable stores are reached through this scheme of addresses (`harness/java/flowquake/HookedFileSystem.java`).
pub(super) const STORE: &str = "flowquake";

/// Names of packages whose classes log the steps of the protocol, in detail.
const LOUD: &[&str] = &[
    "org.apache.flink.runtime.checkpoint",
    "org.apache.flink.runtime.taskexecutor",
    "org.apache.flink.streaming.runtime",
    "org.apache.flink.connector.file",
];

/// `config.yaml` of a node that works in `folder`.
pub(super) fn config(plan: &RunPlan, node: &str, folder: &Path, checkpoints: &Path, ports: Ports) -> String {
    let job = &plan.job.config;
    let mut text = String::new();
    let mut set = |key: &str, value: String| writeln!(text, "{key}: {value}").expect("a string takes everything");
    let address = "127.0.0.1";
    for key in ["jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address"] {
        set(key, address.into());
    }
    for key in ["taskmanager.host", "taskmanager.bind-host"] {
        set(key, address.into());
    }
    set("jobmanager.rpc.port", ports.rpc.to_string());
    set("rest.port", ports.rest.to_string());
    set("taskmanager.resource-id", node.into());
    set("taskmanager.numberOfTaskSlots", plan.cluster.slots.to_string());
    // All parts are stated, since the entry point is started without Flink's scripts, which would work them out.
    set("taskmanager.cpu.cores", "1.0".into());
    for (part, size) in [
        ("task.heap.size", "128m"),
        ("task.off-heap.size", "0"),
        ("framework.heap.size", "64m"),
        ("framework.off-heap.size", "64m"),
        ("managed.size", "64m"),
        ("network.min", "32m"),
        ("network.max", "32m"),
        ("jvm-metaspace.size", "128m"),
        ("jvm-overhead.min", "64m"),
        ("jvm-overhead.max", "64m"),
    ] {
        set(&format!("taskmanager.memory.{part}"), size.into());
    }
    set("heartbeat.interval", millis(job.heartbeat_interval));
    set("heartbeat.timeout", millis(job.heartbeat_timeout));
    set("heartbeat.rpc-failure-threshold", rpc_threshold(job.heartbeat_rpc_failure_threshold).to_string());
    // As the engine here does: over all TaskManagers, not one after the other.
    set("taskmanager.load-balance.mode", "SLOTS".into());
    set("cluster.registration.error-delay", "500".into());
    set("state.backend.type", if job.backend == BackendKind::RocksDb { "rocksdb" } else { "hashmap" }.into());
    let checkpointing = &job.checkpoints;
    set("execution.checkpointing.interval", millis(checkpointing.interval));
    set("execution.checkpointing.min-pause", millis(checkpointing.min_pause));
    set("execution.checkpointing.timeout", millis(checkpointing.timeout));
    set("execution.checkpointing.num-retained", checkpointing.retained.to_string());
    set("execution.checkpointing.tolerable-failed-checkpoints", checkpointing.tolerable_failed.to_string());
    set(
        "execution.checkpointing.storage",
        if job.backend == BackendKind::Memory { "jobmanager" } else { "filesystem" }.into(),
    );
    set("execution.checkpointing.dir", format!("{STORE}://{}", checkpoints.display()));
    // All state lies in files of its own, as here, however little it is.
    set("execution.checkpointing.data-inline-threshold", "0 b".into());
    set("execution.buffer-timeout.interval", millis(job.buffer_timeout));
    restart(&job.restart_strategy, job.restart_delay, job.restart_attempts, &mut set);
    for key in ["io.tmp.dirs", "web.tmpdir", "web.upload.dir"] {
        set(key, folder.join("tmp").display().to_string());
    }
    set("rest.cache.checkpoint-statistics.timeout", "1".into());
    set("metrics.fetcher.update-interval", "200".into());
    set("web.checkpoints.history", "10000".into());
    text
}

fn restart(strategy: &RestartStrategy, delay: Duration, attempts: Option<u32>, set: &mut impl FnMut(&str, String)) {
    let unlimited = i32::MAX.to_string();
    set("restart-strategy.type", strategy.name().into());
    match strategy {
        RestartStrategy::None => {}
        RestartStrategy::FixedDelay => {
            set("restart-strategy.fixed-delay.delay", millis(delay));
            set("restart-strategy.fixed-delay.attempts", attempts.map_or(unlimited, |attempts| attempts.to_string()));
        }
        RestartStrategy::FailureRate(rate) => {
            set("restart-strategy.failure-rate.delay", millis(delay));
            set("restart-strategy.failure-rate.failure-rate-interval", millis(rate.failure_rate_interval));
            set("restart-strategy.failure-rate.max-failures-per-interval", rate.max_failures_per_interval.to_string());
        }
        RestartStrategy::ExponentialDelay(growing) => {
            let part = |thousandths: u32| (f64::from(thousandths) / 1e3).to_string();
            set("restart-strategy.exponential-delay.initial-backoff", millis(growing.initial_backoff));
            set("restart-strategy.exponential-delay.max-backoff", millis(growing.max_backoff));
            set("restart-strategy.exponential-delay.backoff-multiplier", part(growing.backoff_multiplier.0));
            set("restart-strategy.exponential-delay.reset-backoff-threshold", millis(growing.reset_backoff_threshold));
            set("restart-strategy.exponential-delay.jitter-factor", part(growing.jitter_factor.0));
            let attempts = growing.attempts_before_reset_backoff.map_or(unlimited, |attempts| attempts.to_string());
            set("restart-strategy.exponential-delay.attempts-before-reset-backoff", attempts);
        }
    }
}

/// Flink waits for at least one failed call; the plan's 0 means that the end of the connection says enough.
fn rpc_threshold(plan: u32) -> u32 {
    plan.max(1)
}

/// Flink takes a number with its unit.
fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// `log4j.properties` of a node: a file for people, and each line told.
pub(super) fn log(folder: &Path) -> String {
    let mut text = format!(
        "status = warn\nrootLogger.level = INFO\nrootLogger.appenderRef.file.ref = File\nrootLogger.appenderRef.told.ref = Told\n\
         appender.file.name = File\nappender.file.type = File\nappender.file.fileName = {}\n\
         appender.file.layout.type = PatternLayout\nappender.file.layout.pattern = %d %-5p %c{{1}} [%t] %m%n\n\
         appender.told.name = Told\nappender.told.type = LogLine\n",
        folder.join("log").display()
    );
    for (number, package) in LOUD.iter().enumerate() {
        writeln!(text, "logger.{number}.name = {package}\nlogger.{number}.level = DEBUG")
            .expect("a string takes everything");
    }
    text
}
