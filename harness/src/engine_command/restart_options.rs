//! The options of `flowquake engine` about restarts.
//!
//! Names are those of the settings (and of Flink's options). An option that the strategy does not obey is refused, as
//! in a scenario. `--restart-delay` is never refused, because it is also the pause before a process that died is
//! restarted.

use std::time::Duration;

use flowquake_engine::config::{RestartStrategy, Thousandths};

use super::Refused;
use super::options::duration;

/// When a failed job is restarted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RestartArgs {
    /// Whether and when a failed job is restarted: none, fixed-delay, failure-rate or exponential-delay. A leader that takes over counts anew
    #[arg(long, value_name = "KIND", default_value = "fixed-delay", value_parser = strategy)]
    restart_strategy: RestartStrategy,
    /// Pause before a failed job (fixed-delay, failure-rate), or a process that died, is started again
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(super) restart_delay: Duration,
    /// fixed-delay: failovers that a leader restarts the job after; one more ends it. Without it there is no limit
    #[arg(long, value_name = "N")]
    pub(super) restart_attempts: Option<u32>,
    /// failure-rate: failures within one interval that the job is restarted after; one more ends it [default: 1]
    #[arg(long, value_name = "N")]
    max_failures_per_interval: Option<u32>,
    /// failure-rate: the interval [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    failure_rate_interval: Option<Duration>,
    /// exponential-delay: the first delay [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    initial_backoff: Option<Duration>,
    /// exponential-delay: the greatest delay [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_backoff: Option<Duration>,
    /// exponential-delay: how many times longer than the one before each delay is [default: 1.5]
    #[arg(long, value_name = "FACTOR")]
    backoff_multiplier: Option<Thousandths>,
    /// exponential-delay: a job that ran for so long begins with the first delay again [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    reset_backoff_threshold: Option<Duration>,
    /// exponential-delay: part of a delay that is added or taken away at random [default: 0.1]
    #[arg(long, value_name = "FACTOR")]
    jitter_factor: Option<Thousandths>,
    /// exponential-delay: restarts before the delay is reset; one failure more ends the job. Without it there is no limit
    #[arg(long, value_name = "N")]
    attempts_before_reset_backoff: Option<u32>,
}

impl RestartArgs {
    /// The strategy with its settings.
    pub(super) fn strategy(&self) -> Result<RestartStrategy, Refused> {
        let mut strategy = self.restart_strategy.clone();
        let stranger = self.given().into_iter().find(|setting| !strategy.obeys(setting));
        if let Some(setting) = stranger {
            let option = setting.replace('_', "-");
            let owners = RestartStrategy::owners(setting).unwrap_or_default().join(" or --restart-strategy ");
            let what = format!("--{option} changes nothing with --restart-strategy {}", strategy.name());
            return Err(Refused::new(what, format!("leave it out, or write --restart-strategy {owners}")));
        }
        fn set<T: Clone>(setting: &mut T, given: &Option<T>) {
            if let Some(given) = given {
                setting.clone_from(given);
            }
        }
        match &mut strategy {
            RestartStrategy::None | RestartStrategy::FixedDelay => {}
            RestartStrategy::FailureRate(rate) => {
                set(&mut rate.max_failures_per_interval, &self.max_failures_per_interval);
                set(&mut rate.failure_rate_interval, &self.failure_rate_interval);
            }
            RestartStrategy::ExponentialDelay(delay) => {
                set(&mut delay.initial_backoff, &self.initial_backoff);
                set(&mut delay.max_backoff, &self.max_backoff);
                set(&mut delay.backoff_multiplier, &self.backoff_multiplier);
                set(&mut delay.reset_backoff_threshold, &self.reset_backoff_threshold);
                set(&mut delay.jitter_factor, &self.jitter_factor);
                delay.attempts_before_reset_backoff = self.attempts_before_reset_backoff;
            }
        }
        Ok(strategy)
    }

    /// Settings of a strategy that were given.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            ("restart_attempts", self.restart_attempts.is_some()),
            ("max_failures_per_interval", self.max_failures_per_interval.is_some()),
            ("failure_rate_interval", self.failure_rate_interval.is_some()),
            ("initial_backoff", self.initial_backoff.is_some()),
            ("max_backoff", self.max_backoff.is_some()),
            ("backoff_multiplier", self.backoff_multiplier.is_some()),
            ("reset_backoff_threshold", self.reset_backoff_threshold.is_some()),
            ("jitter_factor", self.jitter_factor.is_some()),
            ("attempts_before_reset_backoff", self.attempts_before_reset_backoff.is_some()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(setting, _)| setting).collect()
    }
}

fn strategy(text: &str) -> Result<RestartStrategy, String> {
    RestartStrategy::from_name(text)
        .ok_or_else(|| format!("no such strategy; there are: {}", RestartStrategy::NAMES.join(", ")))
}
