//! Settings of the restart strategy: whether, and after which delay, a failed job is restarted.
//!
//! Names, defaults and ranges are those of Apache Flink's options `restart-strategy.*`. The strategies themselves are
//! in [`crate::jobmanager::restart`]. Only a JobManager uses these settings, so they are written into texts (plans,
//! orders to a JobManager), but not into messages to TaskManagers or into manifests (`only_in_text`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;

/// Shortest backoff and shortest threshold (Flink: 1 ms, because its options count milliseconds).
const LEAST: Duration = Duration::from_millis(1);

/// Whether and when a failed job is restarted (Flink: `restart-strategy.type`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// Each restart comes after `restart_delay`; the first failure after `restart_attempts` restarts ends the job.
    #[default]
    FixedDelay,
    /// Each restart comes after `restart_delay`; too many failures within an interval end the job.
    FailureRate(FailureRate),
    /// Each restart comes after a delay that grows with every failure.
    ExponentialDelay(ExponentialDelay),
}

/// Settings of `failure-rate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRate {
    /// Failures within one interval that are still followed by a restart, at least 1; one more ends the job. Default
    /// 1.
    pub max_failures_per_interval: u32,
    /// The interval, more than zero; default 1 min.
    #[serde(with = "crate::time::readable")]
    pub failure_rate_interval: Duration,
}

/// Settings of `exponential-delay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExponentialDelay {
    /// The first delay, which is also the shortest; at least 1 ms, default 1 s.
    #[serde(with = "crate::time::readable")]
    pub initial_backoff: Duration,
    /// The longest delay; at least `initial_backoff`, default 1 min.
    #[serde(with = "crate::time::readable")]
    pub max_backoff: Duration,
    /// Each delay is this many times the one before; more than 1, default 1.5.
    pub backoff_multiplier: Thousandths,
    /// A job that has run for this long since its last restart was due starts again with the first delay; at least 1
    /// ms, default 1 h.
    #[serde(with = "crate::time::readable")]
    pub reset_backoff_threshold: Duration,
    /// Greatest share of a delay that is added or subtracted at random; 0 to 1, default 0.1.
    pub jitter_factor: Thousandths,
    /// Restarts allowed since the delay was last reset, at least 1; one more failure ends the job. `None` is unlimited
    /// (the default).
    pub attempts_before_reset_backoff: Option<u32>,
}

impl Default for FailureRate {
    fn default() -> Self {
        Self { max_failures_per_interval: 1, failure_rate_interval: Duration::from_secs(60) }
    }
}

impl Default for ExponentialDelay {
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            backoff_multiplier: Thousandths(1_500),
            reset_backoff_threshold: Duration::from_secs(3_600),
            jitter_factor: Thousandths(100),
            attempts_before_reset_backoff: None,
        }
    }
}

impl RestartStrategy {
    /// The name of every strategy, in the order in which they are listed to users.
    pub const NAMES: [&str; 4] = ["none", "fixed-delay", "failure-rate", "exponential-delay"];

    /// Every setting of a strategy by the name of its field, with the strategies that use it.
    pub const SETTINGS: [(&str, &[&str]); 10] = [
        ("restart_delay", &["fixed-delay", "failure-rate"]),
        ("restart_attempts", &["fixed-delay"]),
        ("max_failures_per_interval", &["failure-rate"]),
        ("failure_rate_interval", &["failure-rate"]),
        ("initial_backoff", &["exponential-delay"]),
        ("max_backoff", &["exponential-delay"]),
        ("backoff_multiplier", &["exponential-delay"]),
        ("reset_backoff_threshold", &["exponential-delay"]),
        ("jitter_factor", &["exponential-delay"]),
        ("attempts_before_reset_backoff", &["exponential-delay"]),
    ];

    /// The name used in scenario files and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FixedDelay => "fixed-delay",
            Self::FailureRate(_) => "failure-rate",
            Self::ExponentialDelay(_) => "exponential-delay",
        }
    }

    /// The strategy of that name, with its default settings.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "fixed-delay" => Some(Self::FixedDelay),
            "failure-rate" => Some(Self::FailureRate(FailureRate::default())),
            "exponential-delay" => Some(Self::ExponentialDelay(ExponentialDelay::default())),
            _ => None,
        }
    }

    /// The strategies that use a setting; `None` if no strategy has such a setting.
    pub fn owners(setting: &str) -> Option<&'static [&'static str]> {
        Self::SETTINGS.iter().find(|(name, _)| *name == setting).map(|(_, owners)| *owners)
    }

    /// Whether this strategy uses a setting of [`Self::SETTINGS`].
    pub fn obeys(&self, setting: &str) -> bool {
        Self::owners(setting).is_some_and(|owners| owners.contains(&self.name()))
    }

    /// Whether this is the default strategy, which plans leave out.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks ranges and combinations; returns the first offence.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let bad = |field, value: String, accepted: String| Err(ConfigError { field, value, accepted });
        match self {
            Self::None | Self::FixedDelay => Ok(()),
            Self::FailureRate(rate) if rate.max_failures_per_interval == 0 => {
                let accepted = "at least 1; restart_strategy = \"none\" allows no restart";
                bad("max_failures_per_interval", "0".into(), accepted.into())
            }
            Self::FailureRate(rate) if rate.failure_rate_interval.is_zero() => {
                bad("failure_rate_interval", "0s".into(), "more than zero".into())
            }
            Self::FailureRate(_) => Ok(()),
            Self::ExponentialDelay(delay) => delay.validate(),
        }
    }
}

impl ExponentialDelay {
    fn validate(&self) -> Result<(), ConfigError> {
        let bad = |field, value: String, accepted: String| Err(ConfigError { field, value, accepted });
        if self.initial_backoff < LEAST {
            return bad("initial_backoff", format!("{:?}", self.initial_backoff), "at least 1ms".into());
        }
        if self.max_backoff < self.initial_backoff {
            let accepted = format!("at least initial_backoff ({:?})", self.initial_backoff);
            return bad("max_backoff", format!("{:?}", self.max_backoff), accepted);
        }
        if self.backoff_multiplier <= Thousandths::ONE {
            let accepted = "more than 1; restart_strategy = \"fixed-delay\" keeps its delay";
            return bad("backoff_multiplier", self.backoff_multiplier.to_string(), accepted.into());
        }
        if self.reset_backoff_threshold < LEAST {
            return bad(
                "reset_backoff_threshold",
                format!("{:?}", self.reset_backoff_threshold),
                "at least 1ms".into(),
            );
        }
        if self.jitter_factor > Thousandths::ONE {
            return bad("jitter_factor", self.jitter_factor.to_string(), "0 to 1, as a part of the backoff".into());
        }
        if self.attempts_before_reset_backoff == Some(0) {
            let accepted = "at least 1; restart_strategy = \"none\" allows no restart";
            return bad("attempts_before_reset_backoff", "0".into(), accepted.into());
        }
        Ok(())
    }
}

/// A number with at most three decimals, held as an integer, so that every build computes the same with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub u32);

impl Thousandths {
    /// 1.
    pub const ONE: Self = Self(1_000);
    /// The greatest number that can be written: a million.
    pub const MAX: Self = Self(1_000_000_000);
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The text is not a number of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 0 to 1000000 with at most three decimals, such as 1.5")]
pub struct NotThousandths;

impl FromStr for Thousandths {
    type Err = NotThousandths;

    fn from_str(text: &str) -> Result<Self, NotThousandths> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(NotThousandths);
        }
        let whole: u32 = whole.parse().map_err(|_| NotThousandths)?;
        let part: u32 = format!("{part:0<3}").parse().map_err(|_| NotThousandths)?;
        let all = whole.checked_mul(1_000).and_then(|whole| whole.checked_add(part)).map(Self);
        all.filter(|all| *all <= Self::MAX).ok_or(NotThousandths)
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1_000.0)
    }
}

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        // `to_string` gives the shortest text that reads back as this number. A number with more than three decimals
        // is refused.
        number.to_string().parse().map_err(serde::de::Error::custom)
    }
}

/// Writes the strategy into texts only. Binary formats hold nothing for it, and reading them gives the default.
pub(super) mod only_in_text {
    use super::{Deserialize, Deserializer, RestartStrategy, Serialize, Serializer};

    pub fn serialize<S: Serializer>(strategy: &RestartStrategy, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { strategy.serialize(serializer) } else { serializer.serialize_unit() }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RestartStrategy, D::Error> {
        if deserializer.is_human_readable() {
            RestartStrategy::deserialize(deserializer)
        } else {
            <()>::deserialize(deserializer).map(|()| RestartStrategy::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobConfig;

    fn every() -> Vec<RestartStrategy> {
        RestartStrategy::NAMES.iter().map(|name| RestartStrategy::from_name(name).unwrap()).collect()
    }

    #[test]
    fn strategies_have_names_and_valid_defaults_and_are_read_back_from_text() {
        for (strategy, name) in every().into_iter().zip(RestartStrategy::NAMES) {
            assert_eq!((strategy.name(), strategy.validate()), (name, Ok(())));
            let config = JobConfig { restart_strategy: strategy, ..JobConfig::default() };
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(text.contains("restart_strategy"), name != "fixed-delay", "the default is left out: {text}");
            assert_eq!(serde_json::from_str::<JobConfig>(&text).unwrap(), config);
        }
        assert!(
            RestartStrategy::SETTINGS.iter().all(|(_, of)| of.iter().all(|of| RestartStrategy::NAMES.contains(of)))
        );
    }

    #[test]
    fn a_strategy_takes_no_byte_of_a_message() {
        let bytes = |strategy| {
            let config = JobConfig { restart_strategy: strategy, ..JobConfig::default() };
            crate::codec::encoded(&config)
        };
        let plain = bytes(RestartStrategy::FixedDelay);
        assert!(every().into_iter().all(|strategy| bytes(strategy) == plain));
        assert_eq!(postcard::from_bytes::<JobConfig>(&plain), Ok(JobConfig::default()));
    }

    #[test]
    fn offences_name_field_value_and_remedy() {
        let delay = |change: &dyn Fn(&mut ExponentialDelay)| {
            let mut delay = ExponentialDelay::default();
            change(&mut delay);
            RestartStrategy::ExponentialDelay(delay)
        };
        let rate = |max_failures_per_interval, seconds| {
            let failure_rate_interval = Duration::from_secs(seconds);
            RestartStrategy::FailureRate(FailureRate { max_failures_per_interval, failure_rate_interval })
        };
        for (strategy, expected) in [
            (rate(0, 60), "max_failures_per_interval = 0: at least 1"),
            (rate(1, 0), "failure_rate_interval = 0s: more than zero"),
            (delay(&|of| of.initial_backoff = Duration::ZERO), "initial_backoff = 0ns: at least 1ms"),
            (delay(&|of| of.max_backoff = LEAST), "max_backoff = 1ms: at least initial_backoff (1s)"),
            (delay(&|of| of.backoff_multiplier = Thousandths(1_000)), "backoff_multiplier = 1: more than 1"),
            (delay(&|of| of.reset_backoff_threshold = Duration::ZERO), "reset_backoff_threshold = 0ns: at least 1ms"),
            (delay(&|of| of.jitter_factor = Thousandths(1_001)), "jitter_factor = 1.001: 0 to 1"),
            (delay(&|of| of.attempts_before_reset_backoff = Some(0)), "attempts_before_reset_backoff = 0: at least 1"),
        ] {
            let error = JobConfig { restart_strategy: strategy, ..JobConfig::default() }.validate().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn thousandths_are_read_as_they_are_shown() {
        for (number, text) in [(0, "0"), (1, "0.001"), (100, "0.1"), (1_000, "1"), (1_500, "1.5"), (20_010, "20.01")] {
            assert_eq!(Thousandths(number).to_string(), text);
            assert_eq!(text.parse(), Ok(Thousandths(number)));
            let json = serde_json::to_string(&Thousandths(number)).unwrap();
            assert_eq!(serde_json::from_str::<Thousandths>(&json).unwrap(), Thousandths(number));
        }
        for wrong in ["", ".", "1.", ".5", "-1", "1.0001", "1e3", "NaN", "1000001", "99999999999", "+1"] {
            assert_eq!(wrong.parse::<Thousandths>(), Err(NotThousandths), "{wrong}");
        }
        assert!(serde_json::from_str::<Thousandths>("1.23456").is_err());
    }
}
