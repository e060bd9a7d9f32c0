//! The restart strategy: whether a failed job is restarted, and after which delay. Pure.
//!
//! Start at [`RestartBackoff::on_failure`], which is called once per failover. The state lives as long as a leader: a JobManager
//! that takes over counts anew.
//! Source: apache/flink `FixedDelayRestartBackoffTimeStrategy`.

use std::time::Duration;

use crate::config::JobConfig;

/// What becomes of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartDecision {
    /// The next attempt begins this long after the failure, or later if something else takes longer.
    Restart {
        /// The delay.
        after: Duration,
    },
    /// There is no next attempt.
    GiveUp(Exhausted),
}

/// Why a strategy allows no further restart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Fixed delay: so many restarts were allowed, and each was used.
    #[error("{allowed} restarts are used up")]
    Attempts {
        /// How many were allowed.
        allowed: u32,
    },
}

/// The restart strategy of one leader with what it remembers of failures.
#[derive(Debug, Clone)]
pub struct RestartBackoff {
    delay: Duration,
    attempts: Option<u32>,
    failures: u32,
}

impl RestartBackoff {
    /// The strategy of a job that has not failed.
    pub fn new(config: &JobConfig) -> Self {
        Self { delay: config.restart_delay, attempts: config.restart_attempts, failures: 0 }
    }

    /// The job failed.
    pub fn on_failure(&mut self) -> RestartDecision {
        self.failures = self.failures.saturating_add(1);
        match self.attempts {
            Some(allowed) if self.failures > allowed => RestartDecision::GiveUp(Exhausted::Attempts { allowed }),
            _ => RestartDecision::Restart { after: self.delay },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_delay_allows_so_many_restarts_and_then_none() {
        let config = |attempts| JobConfig {
            restart_delay: Duration::from_millis(7),
            restart_attempts: attempts,
            ..JobConfig::default()
        };
        for allowed in [0, 1, 5] {
            let mut limited = RestartBackoff::new(&config(Some(allowed)));
            for _ in 0..allowed {
                assert_eq!(limited.on_failure(), RestartDecision::Restart { after: Duration::from_millis(7) });
            }
            assert_eq!(limited.on_failure(), RestartDecision::GiveUp(Exhausted::Attempts { allowed }));
        }
        let mut unlimited = RestartBackoff::new(&config(None));
        assert!((0..1_000).all(|_| matches!(unlimited.on_failure(), RestartDecision::Restart { .. })));
    }
}
