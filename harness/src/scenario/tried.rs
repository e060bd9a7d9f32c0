//! The settings that should be tried, and in which ranges, so that coverage can show what no run has had.
//!
//! Start at [`records`], the catalogue, and [`tried`], which says what one plan has. Each setting has a row in
//! [`SETTINGS`] with the values at which its ranges begin. A test compares the rows with the keys of scenario files.
//! Ranges begin where behaviour may change: at zero, at one, about the default, and beyond the default.

use std::time::Duration;

use flowquake_engine::config::{BackendKind, ExponentialDelay, FailureRate, RestartStrategy, TriggerSchedule};
use flowquake_reports::record::SettingRecord;

use crate::plan::{InputSource, RunPlan};
use crate::profile;
use crate::units;

/// Where the ranges of a setting begin. The first range also takes all smaller values.
enum Ranges {
    /// Each of these words is a range.
    Words(fn() -> Vec<&'static str>),
    /// Numbers, whole or with decimals.
    Numbers(&'static [f64]),
    /// Milliseconds.
    Durations(&'static [f64]),
    /// Bytes.
    Sizes(&'static [f64]),
    /// Bytes per second.
    Bandwidths(&'static [f64]),
    /// Records per second.
    Rates(&'static [f64]),
}

use Ranges::{Bandwidths, Durations, Numbers, Rates, Sizes, Words};

/// A plan's value of a setting.
enum Value {
    Word(&'static str),
    Number(f64),
    /// A number without a bound.
    Unlimited,
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Word(if value { "true" } else { "false" })
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self::Number(value.as_secs_f64() * 1e3)
    }
}

macro_rules! number {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Number(value as f64)
            }
        })*
    };
}
number!(u16, u32, u64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<Option<u32>> for Value {
    fn from(value: Option<u32>) -> Self {
        value.map_or(Self::Unlimited, Self::from)
    }
}

/// One setting: its section and key in scenario files, its ranges, whether swarms with `vary` draw it, and its value in
/// a plan; `None`: the plan does not have the setting.
struct Setting {
    section: &'static str,
    key: &'static str,
    ranges: Ranges,
    drawn: bool,
    value: fn(&RunPlan) -> Option<Value>,
}

macro_rules! settings {
    ($($section:literal $key:literal $ranges:expr, $drawn:ident, |$plan:ident| $value:expr;)*) => {
        const SETTINGS: &[Setting] = &[$(Setting {
            section: $section,
            key: $key,
            ranges: $ranges,
            drawn: settings!(@$drawn),
            value: |$plan| $value,
        }),*];
    };
    (@drawn) => { true };
    (@stated) => { false };
}

const TIMEOUTS: Ranges = Durations(&[1.0, 200.0, 1_000.0, 5_000.0, 20_000.0]);
const PAUSES: Ranges = Durations(&[0.0, 10.0, 100.0, 1_000.0, 10_000.0]);
const DELAYS: Ranges = Durations(&[1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
const SPEEDS: Ranges = Bandwidths(&[1.0, 1e6, 1e7, 1e8, 1e9]);
const LATENCIES: Ranges = Durations(&[0.0, 0.1, 1.0, 5.0, 20.0]);
const WEIGHTS: Ranges = Numbers(&[1.0, 2.0, 100.0, 10_000.0]);

settings! {
    "[job]" "parallelism" Numbers(&[1.0, 2.0, 3.0, 4.0, 5.0, 8.0]), drawn, |p| some(p.job.config.parallelism);
    "input" "file" Words(|| vec!["file", "generator"]), stated, |p| word(match p.job.input.source {
        InputSource::File { .. } => "file",
        InputSource::Generator { .. } => "generator",
    });
    "input" "repeat" Numbers(&[1.0, 2.0]), stated, |p| match p.job.input.source {
        InputSource::File { repeat, .. } => some(repeat),
        InputSource::Generator { .. } => None,
    };
    "input" "records" Numbers(&[1.0, 100.0, 1_000.0, 10_000.0, 100_000.0]), drawn, |p| match p.job.input.source {
        InputSource::Generator { records, .. } => some(records),
        InputSource::File { .. } => None,
    };
    "input" "splits" Numbers(&[1.0, 2.0, 3.0, 5.0, 17.0, 101.0]), drawn, |p| some(p.job.input.splits);
    "input" "rate" Rates(&[0.1, 10.0, 100.0, 1_000.0, 10_000.0]), drawn, |p| {
        Some(p.job.input.rate.map_or(Value::Unlimited, Value::from))
    };
    "[cluster]" "job_managers" Numbers(&[1.0, 2.0, 3.0]), drawn, |p| some(p.cluster.job_managers);
    "[cluster]" "task_managers" Numbers(&[1.0, 2.0, 3.0, 4.0, 6.0]), drawn, |p| some(p.cluster.task_managers);
    "[cluster]" "slots" Numbers(&[1.0, 2.0, 3.0, 4.0]), drawn, |p| some(p.cluster.slots);
    "[cluster]" "cores" Numbers(&[1.0, 2.0, 3.0]), drawn, |p| some(p.cluster.cores);
    "[cluster]" "latency" LATENCIES, drawn, |p| some(p.cluster.latency.1);
    "[cluster]" "bandwidth" SPEEDS, drawn, |p| some(p.cluster.bandwidth);
    "[cluster]" "send_buffer" Sizes(&[1.0, 8_192.0, 65_536.0, 262_144.0]), drawn, |p| some(p.cluster.send_buffer);
    "[cluster]" "store_latency" LATENCIES, drawn, |p| some(p.cluster.store_latency.1);
    "[cluster]" "store_streams" Numbers(&[1.0, 2.0, 5.0]), drawn, |p| some(p.cluster.store_streams);
    "[cluster]" "store_throughput" SPEEDS, drawn, |p| some(p.cluster.store_throughput);
    "[cluster]" "store_read_throughput" SPEEDS, drawn, |p| some(p.cluster.store_read_throughput);
    "[cluster]" "cost_profile" Words(profiles), drawn, |p| word(profile_of(&p.cluster.cost_profile));
    "[cluster]" "record_weight" WEIGHTS, drawn, |p| some(p.cluster.record_weight);
    "[cluster]" "state_weight" WEIGHTS, drawn, |p| some(p.cluster.state_weight);
    "[checkpointing]" "interval" Durations(&[10.0, 150.0, 400.0, 1_000.0, 10_000.0]), drawn, |p| {
        some(p.job.config.checkpoints.interval)
    };
    "[checkpointing]" "min_pause" PAUSES, drawn, |p| some(p.job.config.checkpoints.min_pause);
    "[checkpointing]" "schedule" Words(|| TriggerSchedule::ALL.iter().map(|kind| kind.name()).collect()), drawn, |p| {
        word(p.job.config.checkpoints.schedule.name())
    };
    "[checkpointing]" "timeout" Durations(&[1.0, 1_000.0, 2_000.0, 5_000.0, 60_000.0]), drawn, |p| some(p.job.config.checkpoints.timeout);
    "[checkpointing]" "retained" Numbers(&[1.0, 2.0, 3.0, 5.0]), drawn, |p| some(p.job.config.checkpoints.retained);
    "[checkpointing]" "tolerable_failed" Numbers(&[0.0, 1.0, 2.0, 4.0]), drawn, |p| {
        some(p.job.config.checkpoints.tolerable_failed)
    };
    "[checkpointing]" "max_concurrent" Words(|| vec!["1"]), stated, |p| {
        word(if p.job.config.checkpoints.max_concurrent > 1 { "more" } else { "1" })
    };
    "[checkpointing]" "verify_uploads" Words(|| vec!["false", "true"]), drawn, |p| {
        some(p.job.config.checkpoints.verify_uploads)
    };
    "[checkpointing]" "backend" Words(|| BackendKind::ALL.iter().map(|kind| kind.name()).collect()), drawn, |p| {
        word(p.job.config.backend.name())
    };
    "[engine]" "heartbeat_interval" Durations(&[1.0, 50.0, 200.0, 1_000.0, 5_000.0]), drawn, |p| {
        some(p.job.config.heartbeat_interval)
    };
    "[engine]" "heartbeat_timeout" TIMEOUTS, drawn, |p| some(p.job.config.heartbeat_timeout);
    "[engine]" "heartbeat_rpc_failure_threshold" Numbers(&[0.0, 1.0, 2.0]), drawn, |p| {
        some(p.job.config.heartbeat_rpc_failure_threshold)
    };
    "[engine]" "restart_strategy" Words(|| RestartStrategy::NAMES.to_vec()), drawn, |p| {
        word(p.job.config.restart_strategy.name())
    };
    "[engine]" "restart_delay" PAUSES, drawn, |p| obeyed(p, "restart_delay", p.job.config.restart_delay);
    "[engine]" "restart_attempts" Numbers(&[0.0, 1.0, 2.0, 10.0]), drawn, |p| {
        obeyed(p, "restart_attempts", p.job.config.restart_attempts)
    };
    "[engine]" "max_failures_per_interval" Numbers(&[1.0, 2.0, 5.0, 2_000.0]), drawn, |p| {
        some(failure_rate(p)?.max_failures_per_interval)
    };
    "[engine]" "failure_rate_interval" Durations(&[1.0, 10_000.0, 60_000.0]), drawn, |p| {
        some(failure_rate(p)?.failure_rate_interval)
    };
    "[engine]" "initial_backoff" DELAYS, drawn, |p| some(exponential(p)?.initial_backoff);
    "[engine]" "max_backoff" DELAYS, drawn, |p| some(exponential(p)?.max_backoff);
    "[engine]" "backoff_multiplier" Numbers(&[1.0, 1.5, 2.0, 3.0]), drawn, |p| {
        some(f64::from(exponential(p)?.backoff_multiplier.0) / 1e3)
    };
    "[engine]" "reset_backoff_threshold" TIMEOUTS, drawn, |p| some(exponential(p)?.reset_backoff_threshold);
    "[engine]" "jitter_factor" Numbers(&[0.0, 0.1, 0.3, 0.5]), drawn, |p| {
        some(f64::from(exponential(p)?.jitter_factor.0) / 1e3)
    };
    "[engine]" "attempts_before_reset_backoff" Numbers(&[1.0, 2.0, 10.0]), drawn, |p| {
        some(exponential(p)?.attempts_before_reset_backoff)
    };
    "[engine]" "slot_stabilization" PAUSES, drawn, |p| some(p.job.config.slot_stabilization);
    "[engine]" "buffer_timeout" Durations(&[0.0, 5.0, 20.0, 100.0]), drawn, |p| some(p.job.config.buffer_timeout);
    "[engine]" "buffer_size" Sizes(&[64.0, 1_024.0, 8_192.0, 32_768.0]), drawn, |p| some(p.job.config.buffer_size);
    "[engine]" "credits" Numbers(&[1.0, 2.0, 4.0, 8.0]), drawn, |p| some(p.job.config.credits);
    "[engine]" "max_parallelism" Numbers(&[1.0, 8.0, 128.0, 1_000.0, 32_768.0]), drawn, |p| {
        some(p.job.config.max_parallelism)
    };
    "[engine]" "sink_flush_interval" DELAYS, drawn, |p| some(p.job.config.sink_flush_interval);
    "[engine]" "sink_chunk" Sizes(&[1.0, 1_024.0, 65_536.0, 1_048_576.0]), drawn, |p| some(p.job.config.sink_chunk);
    "[engine]" "notify_retry" DELAYS, drawn, |p| some(p.job.config.notify_retry);
    "[engine]" "connect_timeout" TIMEOUTS, drawn, |p| some(p.job.config.connect_timeout);
    "[engine]" "lease" Durations(&[100.0, 500.0, 1_000.0, 5_000.0, 20_000.0]), drawn, |p| some(p.job.config.lease);
    "[engine]" "rpc_timeout" TIMEOUTS, drawn, |p| some(p.job.config.rpc_timeout);
}

fn some(value: impl Into<Value>) -> Option<Value> {
    Some(value.into())
}

fn word(word: &'static str) -> Option<Value> {
    Some(Value::Word(word))
}

/// The value of a setting that only some restart strategies obey.
fn obeyed(plan: &RunPlan, setting: &str, value: impl Into<Value>) -> Option<Value> {
    plan.job.config.restart_strategy.obeys(setting).then(|| value.into())
}

fn failure_rate(plan: &RunPlan) -> Option<&FailureRate> {
    match &plan.job.config.restart_strategy {
        RestartStrategy::FailureRate(settings) => Some(settings),
        _ => None,
    }
}

fn exponential(plan: &RunPlan) -> Option<&ExponentialDelay> {
    match &plan.job.config.restart_strategy {
        RestartStrategy::ExponentialDelay(settings) => Some(settings),
        _ => None,
    }
}

/// The name used here for a profile that does not ship with the program.
const MEASURED: &str = "a file";

fn profiles() -> Vec<&'static str> {
    profile::names().chain([MEASURED]).collect()
}

fn profile_of(name: &str) -> &'static str {
    profile::names().find(|shipped| *shipped == name).unwrap_or(MEASURED)
}

impl Ranges {
    /// The names of all ranges, in order.
    fn labels(&self, has_unlimited: bool) -> Vec<String> {
        let starts = match self {
            Words(words) => return words().into_iter().map(str::to_owned).collect(),
            Numbers(starts) | Durations(starts) | Sizes(starts) | Bandwidths(starts) | Rates(starts) => *starts,
        };
        let mut labels: Vec<String> = Vec::new();
        // Exactly zero is a range of its own, if there can be values between zero and the next start.
        let zero = starts.first() == Some(&0.0);
        if zero {
            labels.push(self.shown(0.0));
        }
        for (at, start) in starts.iter().enumerate() {
            let label = match starts.get(at + 1) {
                Some(next) if zero && at == 0 && self.is_whole() && *next == 1.0 => continue,
                Some(next) if zero && at == 0 => format!("below {}", self.shown(*next)),
                Some(next) if self.is_whole() && *next == start + 1.0 => self.shown(*start),
                Some(next) => format!("{} to {}", self.shown(*start), self.shown(*next)),
                None => format!("{} or more", self.shown(*start)),
            };
            labels.push(label);
        }
        if has_unlimited {
            labels.push(UNLIMITED.into());
        }
        labels
    }

    /// The name of the range that a number is in.
    fn label(&self, number: f64) -> String {
        let starts = match self {
            Words(_) => return String::new(),
            Numbers(starts) | Durations(starts) | Sizes(starts) | Bandwidths(starts) | Rates(starts) => *starts,
        };
        let labels = self.labels(false);
        if starts.first() == Some(&0.0) && number <= 0.0 {
            return labels[0].clone();
        }
        let at = starts.iter().rposition(|start| *start <= number).unwrap_or(0);
        // Counted from the end, because a range for zero may come first and the range between zero and one may be left
        // out.
        labels.get((labels.len() + at).saturating_sub(starts.len())).cloned().unwrap_or_default()
    }

    /// Whether these are whole numbers. Ranges with a start that has decimals are of factors.
    fn is_whole(&self) -> bool {
        matches!(self, Numbers(starts) if starts.iter().all(|start| start.fract() == 0.0))
    }

    fn shown(&self, number: f64) -> String {
        match self {
            Durations(_) => units::format_duration(Duration::from_nanos((number * 1e6) as u64)),
            Sizes(_) => units::format_size(number as u64),
            Bandwidths(_) => units::format_bandwidth(number as u64),
            Rates(_) => format!("{number}/s"),
            Words(_) | Numbers(_) if number >= 1e3 => flowquake_reports::units::count(number as u64),
            Words(_) | Numbers(_) => number.to_string(),
        }
    }
}

/// The range of a value without a bound.
const UNLIMITED: &str = "unlimited";

impl Setting {
    fn name(&self) -> String {
        format!("{}.{}", self.section.trim_matches(['[', ']']), self.key)
    }

    fn has_unlimited(&self) -> bool {
        matches!(self.key, "rate" | "restart_attempts" | "attempts_before_reset_backoff")
    }

    /// The range of the plan's value, by name.
    fn label(&self, plan: &RunPlan) -> Option<String> {
        Some(match (self.value)(plan)? {
            Value::Word(word) => word.to_owned(),
            Value::Unlimited => UNLIMITED.to_owned(),
            Value::Number(number) => self.ranges.label(number),
        })
    }
}

/// Every setting as run sets list it.
pub fn records() -> Vec<SettingRecord> {
    SETTINGS
        .iter()
        .map(|setting| SettingRecord {
            name: setting.name(),
            ranges: setting.ranges.labels(setting.has_unlimited()),
            drawn: setting.drawn,
        })
        .collect()
}

/// The range that a plan has for each setting: a letter for each of [`records`], `a` for the first range, `-` for none.
pub fn tried(plan: &RunPlan) -> String {
    let letter = |setting: &Setting| {
        let label = setting.label(plan)?;
        let at = setting.ranges.labels(setting.has_unlimited()).iter().position(|range| *range == label)?;
        Some(char::from(b'a'.saturating_add(u8::try_from(at).ok()?)))
    };
    SETTINGS.iter().map(|setting| letter(setting).unwrap_or('-')).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;
    use crate::cli::catalogue;
    use crate::jobs::Jobs;
    use crate::scenario::Scenario;
    use crate::scenario::read::SECTIONS;

    fn plan(rest: &str, seed: u64) -> RunPlan {
        let text = format!(
            "name = \"small\"\nwhy = \"a test\"\n[job]\nname = \"string-length-count\"\n\
             input = {{ generator = \"words\", records = 1000 }}\n{rest}"
        );
        Scenario::parse(&text, Path::new("small.toml"), &catalogue(&Jobs::builtin())).unwrap().plan(seed)
    }

    /// For each setting that the plan has, its range by the setting's name.
    fn in_words(plan: &RunPlan) -> BTreeMap<String, String> {
        SETTINGS.iter().filter_map(|setting| Some((setting.name(), setting.label(plan)?))).collect()
    }

    #[test]
    fn every_setting_of_a_scenario_has_its_ranges() {
        let rows: BTreeSet<(&str, &str)> = SETTINGS.iter().map(|setting| (setting.section, setting.key)).collect();
        assert_eq!(rows.len(), SETTINGS.len(), "each once");
        let keys: BTreeSet<(&str, &str)> = SECTIONS
            .iter()
            .filter(|(section, _)| ["[job]", "input", "[cluster]", "[checkpointing]", "[engine]"].contains(section))
            .flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)))
            // What is run is not a setting, and a generator stands in place of a file.
            .filter(|(section, key)| {
                !matches!((*section, *key), ("[job]", "name" | "params" | "input") | ("input", "generator"))
            })
            .collect();
        assert_eq!(rows, keys);
    }

    #[test]
    fn a_value_is_in_one_of_the_ranges_that_are_listed() {
        let listed = |name: &str| records().into_iter().find(|record| record.name == name).unwrap().ranges;
        assert_eq!(listed("checkpointing.tolerable_failed"), ["0", "1", "2 to 4", "4 or more"]);
        assert_eq!(
            listed("checkpointing.min_pause"),
            ["0s", "below 10ms", "10ms to 100ms", "100ms to 1s", "1s to 10s", "10s or more"]
        );
        assert_eq!(listed("cluster.slots"), ["1", "2", "3", "4 or more"]);
        assert_eq!(listed("engine.backoff_multiplier"), ["1 to 1.5", "1.5 to 2", "2 to 3", "3 or more"]);
        for (number, range) in [(0.0, "0"), (1.0, "1"), (3.0, "2 to 4"), (4.0, "4 or more"), (1e9, "4 or more")] {
            assert_eq!(Numbers(&[0.0, 1.0, 2.0, 4.0]).label(number), range);
        }
        for (number, range) in [(0.0, "0s"), (0.5, "below 10ms"), (10.0, "10ms or more")] {
            assert_eq!(Durations(&[0.0, 10.0]).label(number), range);
        }
        for seed in 1..=50 {
            let plan = plan("[swarm]\nuntil = \"5s\"\nvary = true\n", seed);
            for (name, range) in in_words(&plan) {
                assert!(listed(&name).contains(&range), "{name}: {range} of {:?}", listed(&name));
            }
        }
    }

    #[test]
    fn settings_of_a_strategy_are_tried_only_with_it() {
        let fixed = in_words(&plan("", 1));
        assert_eq!(fixed["engine.restart_attempts"], "unlimited");
        assert!(!fixed.contains_key("engine.initial_backoff"));
        let growing =
            in_words(&plan("[engine]\nrestart_strategy = \"exponential-delay\"\ninitial_backoff = \"50ms\"\n", 1));
        assert_eq!(growing["engine.initial_backoff"], "10ms to 100ms");
        assert!(!growing.contains_key("engine.restart_attempts"));
        assert_eq!(fixed["cluster.cost_profile"], "builtin");
        let letters = tried(&plan("", 1));
        assert_eq!((letters.len(), letters.matches('-').count()), (SETTINGS.len(), SETTINGS.len() - fixed.len()));
        assert!(letters.starts_with("bb-") && records().iter().all(|record| record.ranges.len() <= 26), "{letters}");
    }

    #[test]
    fn what_swarms_draw_is_called_so() {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for seed in 1..=400 {
            for (name, range) in in_words(&plan("[swarm]\nuntil = \"5s\"\nrecords = [50, 5_000]\nvary = true\n", seed))
            {
                found.entry(name).or_default().insert(range);
            }
        }
        for record in records() {
            let ranges = found.get(&record.name).map_or(0, BTreeSet::len);
            assert_eq!(ranges > 1, record.drawn, "{}: {:?}", record.name, found.get(&record.name));
        }
    }
}
