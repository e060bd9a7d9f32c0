//! Every knob of the engine: its type, unit, default and range. Validated once, at the edge, by
//! [`JobConfig::validate`].
//!
//! Names and defaults follow Apache Flink where Flink has the knob; where a default differs, the field says so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::backend_kind::BackendKind;

mod restart;

pub use restart::{ExponentialDelay, FailureRate, NotThousandths, RestartStrategy, Thousandths};

/// The point from which the time to the next periodic checkpoint is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerSchedule {
    /// From the trigger of the checkpoint before. A checkpoint that takes long does not shorten the gaps after it.
    #[default]
    Spaced,
    /// On a fixed grid, as Flink does. A point of the grid that passes while a checkpoint is under way triggers a
    /// checkpoint right after it.
    FixedRate,
}

impl TriggerSchedule {
    /// Both schedules, in the order in which they are listed to users.
    pub const ALL: [TriggerSchedule; 2] = [TriggerSchedule::Spaced, TriggerSchedule::FixedRate];

    /// The name used in scenario files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TriggerSchedule::Spaced => "spaced",
            TriggerSchedule::FixedRate => "fixed-rate",
        }
    }

    /// The schedule of that name.
    pub fn from_name(name: &str) -> Option<TriggerSchedule> {
        Self::ALL.into_iter().find(|schedule| schedule.name() == name)
    }
}

/// When checkpoints are taken and what their failure means (Flink: `execution.checkpointing.*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointConfig {
    /// Period `I` between triggers; at least 10 ms.
    #[serde(with = "crate::time::readable")]
    pub interval: Duration,
    /// Least time `P` between a completion and the next trigger; default 0.
    #[serde(with = "crate::time::readable")]
    pub min_pause: Duration,
    /// The point from which the time to the next trigger is counted; default `spaced` (Flink: `fixed-rate`).
    pub schedule: TriggerSchedule,
    /// A checkpoint not completed after this long is aborted (`expired`); default 10 min.
    #[serde(with = "crate::time::readable")]
    pub timeout: Duration,
    /// Completed checkpoints kept for restore; default 1, at least 1.
    pub retained: u32,
    /// Checkpoints that may fail in a row before the job fails over; default 0.
    pub tolerable_failed: u32,
    /// Checkpoints in flight at once; only 1 is supported (Flink demands the same of unaligned checkpoints).
    pub max_concurrent: u32,
    /// Whether a subtask reads state files and pending output back and compares them before it acknowledges; default
    /// true (Flink never does). This costs one more transfer per byte. Without it a torn write is found only on
    /// restore, when the data is gone.
    pub verify_uploads: bool,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            min_pause: Duration::ZERO,
            schedule: TriggerSchedule::default(),
            timeout: Duration::from_secs(600),
            retained: 1,
            tolerable_failed: 0,
            max_concurrent: 1,
            verify_uploads: true,
        }
    }
}

/// The settings of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobConfig {
    /// Instances of every vertex, `1..=max_parallelism`.
    pub parallelism: u16,
    /// Number of key groups; fixed for the life of the state. Default 128.
    pub max_parallelism: u16,
    /// State backend; default `memory`.
    pub backend: BackendKind,
    /// Checkpointing.
    pub checkpoints: CheckpointConfig,
    /// Period of heartbeats, sent both ways; default 1 s (Flink: 10 s).
    #[serde(with = "crate::time::readable")]
    pub heartbeat_interval: Duration,
    /// A peer silent for this long is lost; default 5 s (Flink: 50 s). Must exceed the interval.
    #[serde(with = "crate::time::readable")]
    pub heartbeat_timeout: Duration,
    /// Missed heartbeats after which the slots of a TaskManager whose connection ended count as gone; nothing is
    /// deployed before that. Default 0: the end of the connection is enough (Flink: `heartbeat.rpc-failure-threshold`,
    /// 2; until then Flink deploys onto the dead slots in vain).
    pub heartbeat_rpc_failure_threshold: u32,
    /// Whether and when a failed job is restarted; default `fixed-delay` (Flink with checkpoints: `exponential-delay`).
    #[serde(with = "restart::only_in_text", default, skip_serializing_if = "RestartStrategy::is_default")]
    pub restart_strategy: RestartStrategy,
    /// Restart strategies `fixed-delay` and `failure-rate`: the delay; default 1 s.
    #[serde(with = "crate::time::readable")]
    pub restart_delay: Duration,
    /// Restart strategy `fixed-delay`: failovers allowed; `None` is unlimited (the default; Flink: 1).
    pub restart_attempts: Option<u32>,
    /// Once there are enough slots, deployment waits until no TaskManager has registered for this long, so that the
    /// tasks spread over all TaskManagers that are about to register; default 10 ms (Flink's adaptive scheduler: 10
    /// s).
    #[serde(with = "crate::time::readable")]
    pub slot_stabilization: Duration,
    /// A buffer is sent after this long even if it is not full; default 100 ms.
    #[serde(with = "crate::time::readable")]
    pub buffer_timeout: Duration,
    /// A full buffer's size in bytes; default 32 KiB.
    pub buffer_size: u32,
    /// Buffers in flight per channel, at least 1; default 4 (Flink: 2 exclusive + 8 floating per gate).
    pub credits: u16,
    /// Uncommitted output is written to the store at least this often, and whenever it reaches
    /// [`JobConfig::sink_chunk`]; default 1 s.
    #[serde(with = "crate::time::readable")]
    pub sink_flush_interval: Duration,
    /// Bytes of uncommitted output at which the sink writes them to the store; default 8 MiB.
    pub sink_chunk: u32,
    /// A completed checkpoint's notification is sent again when a sink has not answered for this long; default 1 s.
    #[serde(with = "crate::time::readable")]
    pub notify_retry: Duration,
    /// Time allowed for a connection to be made; default 5 s.
    #[serde(with = "crate::time::readable")]
    pub connect_timeout: Duration,
    /// A standby JobManager takes over when the leader has renewed nothing for this long; default 5 s (Flink on
    /// Kubernetes: 15 s). The leader renews three times as often.
    #[serde(with = "crate::time::readable")]
    pub lease: Duration,
    /// Time after which a lost order counts as lost: the heartbeats of the TaskManager still contradict what it was
    /// told to run or to end. Default 5 s (Flink: `pekko.ask.timeout`, 10 s).
    #[serde(with = "crate::time::readable")]
    pub rpc_timeout: Duration,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            parallelism: 1,
            max_parallelism: 128,
            backend: BackendKind::Memory,
            checkpoints: CheckpointConfig::default(),
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_timeout: Duration::from_secs(5),
            heartbeat_rpc_failure_threshold: 0,
            restart_strategy: RestartStrategy::default(),
            restart_delay: Duration::from_secs(1),
            restart_attempts: None,
            slot_stabilization: Duration::from_millis(10),
            buffer_timeout: Duration::from_millis(100),
            buffer_size: 32 * 1024,
            credits: 4,
            sink_flush_interval: Duration::from_secs(1),
            sink_chunk: 8 << 20,
            notify_retry: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(5),
            rpc_timeout: Duration::from_secs(5),
        }
    }
}

/// A value outside its range, or two settings that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: {accepted}")]
pub struct ConfigError {
    /// The offending field, as scenario files spell it.
    pub field: &'static str,
    /// The value of the field.
    pub value: String,
    /// The accepted values, and why.
    pub accepted: String,
}

impl JobConfig {
    /// Upper bound in bytes for a message that a TaskManager of this job sends; the longest message is an
    /// acknowledgement. With backend `memory` the acknowledgement carries the state itself, with every other backend
    /// only names of files.
    pub fn report_bytes_max(&self) -> u32 {
        match self.backend {
            BackendKind::Memory => crate::env::FRAME_BYTES_MAX,
            BackendKind::Fs | BackendKind::RocksDb => 64 << 20,
        }
    }

    /// Whether the job is given up after enough failures.
    pub fn restarts_are_limited(&self) -> bool {
        match &self.restart_strategy {
            RestartStrategy::None | RestartStrategy::FailureRate(_) => true,
            RestartStrategy::FixedDelay => self.restart_attempts.is_some(),
            RestartStrategy::ExponentialDelay(delay) => delay.attempts_before_reset_backoff.is_some(),
        }
    }

    /// Checks ranges and combinations; returns the first offence.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let c = &self.checkpoints;
        let bad = |field, value: String, accepted: &str| Err(ConfigError { field, value, accepted: accepted.into() });
        if self.max_parallelism == 0 || self.max_parallelism > 32_768 {
            return bad("max_parallelism", self.max_parallelism.to_string(), "1 to 32768 key groups");
        }
        if self.parallelism == 0 || self.parallelism > self.max_parallelism {
            let most = format!("1 to max_parallelism ({}), since a key group has one owner", self.max_parallelism);
            return bad("parallelism", self.parallelism.to_string(), &most);
        }
        if c.interval < Duration::from_millis(10) {
            return bad("interval", format!("{:?}", c.interval), "at least 10ms");
        }
        if c.timeout.is_zero() {
            return bad("timeout", format!("{:?}", c.timeout), "more than zero");
        }
        if c.retained == 0 {
            return bad("retained", "0".into(), "at least 1: without a completed checkpoint nothing can be restored");
        }
        if c.max_concurrent > 1 && !c.min_pause.is_zero() {
            let why = format!("1 while min_pause is {:?}: a pause leaves no room for concurrency", c.min_pause);
            return bad("max_concurrent", c.max_concurrent.to_string(), &why);
        }
        if c.max_concurrent != 1 {
            return bad("max_concurrent", c.max_concurrent.to_string(), "1: concurrent checkpoints are not supported");
        }
        if self.heartbeat_interval.is_zero() {
            return bad("heartbeat_interval", "0s".into(), "more than zero");
        }
        if self.heartbeat_timeout <= self.heartbeat_interval {
            let more = format!("more than heartbeat_interval ({:?})", self.heartbeat_interval);
            return bad("heartbeat_timeout", format!("{:?}", self.heartbeat_timeout), &more);
        }
        if self.notify_retry.is_zero() {
            return bad(
                "notify_retry",
                "0s".into(),
                "more than zero: a notification would be repeated without a pause",
            );
        }
        if self.lease < Duration::from_millis(100) {
            return bad(
                "lease",
                format!("{:?}", self.lease),
                "at least 100ms: each third of it is a write to the store",
            );
        }
        if self.rpc_timeout <= self.heartbeat_interval {
            let more = format!(
                "more than heartbeat_interval ({:?}): heartbeats are how it is noticed",
                self.heartbeat_interval
            );
            return bad("rpc_timeout", format!("{:?}", self.rpc_timeout), &more);
        }
        if self.credits == 0 {
            return bad("credits", "0".into(), "at least 1: without credit no buffer moves");
        }
        if self.buffer_size < 64 || self.buffer_size > 16 << 20 {
            return bad("buffer_size", self.buffer_size.to_string(), "64 bytes to 16 MiB");
        }
        self.restart_strategy.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(JobConfig::default().validate(), Ok(()));
    }

    #[test]
    fn offences_name_field_value_and_remedy() {
        let mut config = JobConfig { heartbeat_timeout: Duration::from_secs(1), ..JobConfig::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "heartbeat_timeout");
        assert!(error.to_string().contains("more than heartbeat_interval (1s)"), "{error}");

        config = JobConfig::default();
        config.checkpoints.max_concurrent = 2;
        config.checkpoints.min_pause = Duration::from_secs(1);
        assert!(config.validate().unwrap_err().to_string().contains("min_pause is 1s"));

        config = JobConfig { parallelism: 200, ..JobConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "parallelism");
    }
}
