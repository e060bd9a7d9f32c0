//! Cost profiles: the speed of a simulated cluster. A profile is a file with a price for every kind of work, the speed
//! of network and store and, if another engine is imitated, that engine's default settings.
//!
//! The profiles that ship are known by name ([`SHIPPED`]). `flowquake calibrate` writes one for the machine that it
//! runs on, and a scenario names that file by its path. Start at [`Profile::find`]. Settings in a scenario take
//! precedence over its profile.
//!
//! Invariant: (PROFILE-F1) every number of a [`Profile`] is finite and in its range, so that no price overflows the clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use flowquake_engine::config::{JobConfig, TriggerSchedule};
use flowquake_engine::env::sim::Rates;
use flowquake_engine::time::readable;
use flowquake_reports::bounded;
use serde::{Deserialize, Serialize};

use crate::plan::{ClusterPlan, RunPlan, TargetPlan};

/// Name and text of each profile that ships.
pub const SHIPPED: &[(&str, &str)] = &[
    ("builtin", include_str!("../profiles/builtin.toml")),
    ("free", include_str!("../profiles/free.toml")),
    ("native", include_str!("../profiles/native.toml")),
    ("flink-2.2", include_str!("../profiles/flink-2.2.toml")),
];

/// A price above a quarter of an hour per record or KiB is a typing mistake.
const RATE_MAX_NS: f64 = 1e12;

/// Longest file that is read, in bytes; a profile has a few kilobytes.
const FILE_MAX: u64 = 1 << 20;

/// The greatest number that a cluster may have of anything.
const STREAMS_MAX: u32 = 1_000;

/// The speed of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Shown in every report.
    pub name: String,
    /// Where the numbers come from, in a sentence.
    pub why: String,
    /// Prices of work.
    pub rates: Rates,
    /// Links between nodes.
    pub network: Network,
    /// The durable stores.
    pub store: Store,
    /// Settings that differ from this engine's defaults, where another engine is imitated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineDefaults>,
    /// How the profile was measured, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// Links between nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// One-way latency, drawn uniformly for each frame.
    #[serde(with = "readable::range")]
    pub latency: (Duration, Duration),
    /// Bytes per second and direction.
    pub bandwidth: u64,
}

/// The durable stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Latency of a request, drawn uniformly.
    #[serde(with = "readable::range")]
    pub latency: (Duration, Duration),
    /// Transfers that one node can have in progress at once, each with the whole throughput.
    pub streams: u32,
    /// Bytes per second of a transfer from a node.
    pub write_throughput: u64,
    /// Bytes per second of a transfer to a node.
    pub read_throughput: u64,
}

/// Default settings of an imitated engine; `None`: this engine's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineDefaults {
    /// Period of heartbeats.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<Duration>,
    /// Silence after which a peer counts as lost.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Duration>,
    /// Heartbeats that must not reach a peer before its slots are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_rpc_failure_threshold: Option<u32>,
    /// Fixed delay before a restart.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub restart_delay: Option<Duration>,
    /// Tasks that heartbeats contradict for this long count as lost.
    #[serde(with = "readable::option", skip_serializing_if = "Option::is_none")]
    pub rpc_timeout: Option<Duration>,
    /// What the next checkpoint is counted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<TriggerSchedule>,
    /// Whether uploads are read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_uploads: Option<bool>,
}

impl EngineDefaults {
    /// Sets the settings for which the imitated engine has another default.
    pub fn apply(&self, config: &mut JobConfig) {
        fn set<T: Copy>(setting: &mut T, default: Option<T>) {
            *setting = default.unwrap_or(*setting);
        }
        set(&mut config.heartbeat_interval, self.heartbeat_interval);
        set(&mut config.heartbeat_timeout, self.heartbeat_timeout);
        set(&mut config.heartbeat_rpc_failure_threshold, self.heartbeat_rpc_failure_threshold);
        set(&mut config.restart_delay, self.restart_delay);
        set(&mut config.rpc_timeout, self.rpc_timeout);
        set(&mut config.checkpoints.schedule, self.schedule);
        set(&mut config.checkpoints.verify_uploads, self.verify_uploads);
    }
}

/// What a calibration measured, and on which machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The program that measured, with its commit.
    pub program: String,
    /// Processor, as the system names it.
    pub processor: String,
    /// Number of its cores.
    pub cores: u32,
    /// 95 % confidence interval of each measured number, by its path in this file, in its unit.
    pub confidence: BTreeMap<String, (f64, f64)>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No profile with this name ships.
    #[error("there is no cost profile `{0}`")]
    Unknown(String),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// The file is of another kind.
    #[error("{path} is no TOML: {message}")]
    NoProfile {
        /// The file.
        path: String,
        /// What the TOML reader says, with line and column.
        message: String,
    },
    /// It is not a profile.
    #[error("{path}: {message}")]
    Broken {
        /// The file.
        path: String,
        /// Line, column and value, as the TOML reader shows them; or which number is out of range.
        message: String,
    },
}

impl ProfileError {
    /// What the user can do about it.
    pub fn help(&self) -> String {
        let names: Vec<&str> = names().collect();
        match self {
            Self::Unknown(_) => {
                format!("use {}, or the path of a file that `flowquake calibrate` wrote", names.join(", "))
            }
            Self::Unreadable(..) => "write one with `flowquake calibrate --output FILE`".into(),
            Self::Broken { .. } => "mend what is named, or write the file anew with `flowquake calibrate`".into(),
            Self::NoProfile { .. } => "name a file that `flowquake calibrate --output FILE` wrote, or write one".into(),
        }
    }
}

/// Names of all profiles that ship.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

impl Profile {
    /// The profile with this name; or, if `name` looks like a path, from that file, relative to `folder`.
    pub fn find(name: &str, folder: &Path) -> Result<Self, ProfileError> {
        if name.ends_with(".toml") || name.contains('/') {
            let path = folder.join(name);
            let shown = path.display().to_string();
            let text =
                bounded::text(&path, FILE_MAX).map_err(|error| ProfileError::Unreadable(shown.clone(), error))?;
            return Self::parse(&text, &shown);
        }
        let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
        let (name, text) = shipped.ok_or_else(|| ProfileError::Unknown(name.into()))?;
        Self::parse(text, name)
    }

    /// The profile of a scenario that names no profile.
    pub fn builtin() -> Self {
        Self::find("builtin", Path::new("")).expect("it ships, and is tested")
    }

    /// Reads the text of the file at `path`.
    pub fn parse(text: &str, path: &str) -> Result<Self, ProfileError> {
        let broken = |message: String| ProfileError::Broken { path: path.into(), message };
        if let Err(error) = toml::from_str::<toml::Table>(text) {
            return Err(ProfileError::NoProfile { path: path.into(), message: shortened(&error.to_string()) });
        }
        let profile: Self = toml::from_str(text).map_err(|error| broken(shortened(&error.to_string())))?;
        for (name, value) in profile.rates.named() {
            if !in_range(value) {
                return Err(broken(format!("rates.{name} = {value}: accepted are 0 to {RATE_MAX_NS:e} ns")));
            }
        }
        if !(1..=STREAMS_MAX).contains(&profile.store.streams) {
            return Err(broken(format!("store.streams = {}: write 1 to {STREAMS_MAX}", profile.store.streams)));
        }
        let volumes = [
            ("network.bandwidth", profile.network.bandwidth),
            ("store.write_throughput", profile.store.write_throughput),
            ("store.read_throughput", profile.store.read_throughput),
        ];
        if let Some((name, _)) = volumes.iter().find(|(_, volume)| *volume == 0) {
            return Err(broken(format!("{name} = 0: nothing would ever arrive")));
        }
        for (name, (low, high)) in [("network", profile.network.latency), ("store", profile.store.latency)] {
            if low > high || high > Duration::from_secs(3_600) {
                return Err(broken(format!("{name}.latency: write [least, most], at most an hour")));
            }
        }
        let mut confidence = profile.measured.iter().flat_map(|measured| &measured.confidence);
        // Also refuses NaN.
        let is_interval = |(low, high): &(f64, f64)| low <= high && low.is_finite() && high.is_finite();
        if let Some((name, (low, high))) = confidence.find(|(_, interval)| !is_interval(interval)) {
            return Err(broken(format!("measured.confidence.\"{name}\" = [{low}, {high}]: write [least, most]")));
        }
        Ok(profile)
    }

    /// Gives a plan this profile's prices and speeds, and the settings of the engine that it imitates, replacing those
    /// that it had.
    pub fn apply(&self, cluster: &mut ClusterPlan, config: &mut JobConfig) {
        cluster.cost_profile.clone_from(&self.name);
        cluster.rates = self.rates.clone();
        (cluster.latency, cluster.bandwidth) = (self.network.latency, self.network.bandwidth);
        (cluster.store_latency, cluster.store_streams) = (self.store.latency, self.store.streams);
        cluster.store_throughput = self.store.write_throughput;
        cluster.store_read_throughput = self.store.read_throughput;
        self.engine.clone().unwrap_or_default().apply(config);
    }

    /// The profile as the text of a file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("numbers, texts and tables can be written")
    }
}

/// The message of the TOML reader, with very long lines cut.
fn shortened(message: &str) -> String {
    const LINE_MAX: usize = 200;
    message.lines().map(|line| line.chars().take(LINE_MAX).collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// Whether a rate can be a price.
pub(crate) fn in_range(rate: f64) -> bool {
    (0.0..=RATE_MAX_NS).contains(&rate)
}

/// The shipped profile with the prices of a target; `None`: the simulator's are what its plan says.
pub fn of_target(target: TargetPlan) -> Option<&'static str> {
    match target {
        TargetPlan::Sim => None,
        TargetPlan::Process => Some("native"),
        TargetPlan::Flink => Some("flink-2.2"),
    }
}

/// The plan on a target. What work costs on a real one is not the scenario's to say, so predictions are made with the target's profile; one
/// that was measured, and is read from a file, stays. Of the settings, those change that Flink has no choice of.
pub fn on_target(plan: RunPlan, target: TargetPlan) -> RunPlan {
    let mut plan = RunPlan { target, ..plan };
    let Some(name) = of_target(target) else { return plan };
    if names().any(|shipped| shipped == plan.cluster.cost_profile) {
        let profile = Profile::find(name, Path::new("")).expect("it ships, and is tested");
        // Settings are the scenario's; what the profile has for those that it leaves open was decided when it was read.
        profile.apply(&mut plan.cluster, &mut plan.job.config.clone());
        const OPTION: &str = "cluster.cost_profile";
        plan.options.retain(|(option, _)| option != OPTION);
        plan.options.push((OPTION.to_owned(), format!("{name} (of the target)")));
    }
    if target == TargetPlan::Flink {
        plan.job.config.checkpoints.schedule = TriggerSchedule::FixedRate;
        plan.job.config.checkpoints.verify_uploads = false;
    }
    plan
}

/// Whether the prices of a plan are those of what it is run on.
pub fn is_of_target(plan: &RunPlan) -> bool {
    plan.target.is_sim() || !["builtin", "free"].contains(&plan.cluster.cost_profile.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_can_be_read_and_is_called_as_it_says() {
        for name in names() {
            let profile = Profile::find(name, Path::new("")).unwrap();
            assert_eq!(profile.name, name);
            assert_eq!(Profile::parse(&profile.to_toml(), "again").unwrap(), profile, "written and read");
        }
        assert_eq!(Profile::find("free", Path::new("")).unwrap().rates, Rates::free());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_remedy() {
        let unknown = Profile::find("laptop", Path::new("")).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no cost profile `laptop`");
        assert!(unknown.help().contains("builtin, free"), "{}", unknown.help());
        let missing = Profile::find("nowhere/x.toml", Path::new("scenarios")).unwrap_err();
        assert!(missing.to_string().starts_with("scenarios/nowhere/x.toml: "), "{missing}");
        assert!(missing.help().contains("flowquake calibrate"), "{}", missing.help());

        let text = Profile::builtin().to_toml();
        let parse = |from: &str, to: &str| Profile::parse(&text.replace(from, to), "p.toml").unwrap_err().to_string();
        let negative = parse("record_ns = 250.0", "record_ns = -1.0");
        assert!(negative.contains("p.toml: rates.record_ns = -1: accepted are 0 to"), "PROFILE-F1: {negative}");
        assert!(parse("record_ns = 250.0", "record_ns = \"fast\"").contains("line"));
        assert!(parse("bandwidth = 125000000", "bandwidth = 0").contains("network.bandwidth = 0"));
        let words = Profile::parse("no profile", "p.toml").unwrap_err();
        assert!(words.to_string().starts_with("p.toml is no TOML: "), "{words}");
        assert!(words.help().contains("flowquake calibrate") && !words.help().contains("mend"), "{}", words.help());
        for interval in ["nan, 1.0", "1.0, nan", "0.0, inf", "2.0, 1.0"] {
            let measured = "[measured]\nprogram = \"\"\nprocessor = \"\"\ncores = 1\n[measured.confidence]\n";
            let text = format!("{text}\n{measured}\"rates.record_ns\" = [{interval}]\n");
            let said = Profile::parse(&text, "p.toml").unwrap_err().to_string();
            assert!(said.contains("p.toml: measured.confidence.\"rates.record_ns\" = ["), "PROFILE-F1: {said}");
        }
        let endless = Profile::find("/dev/zero", Path::new("")).unwrap_err();
        assert!(endless.to_string().starts_with("/dev/zero: "), "{endless}");
        assert!(parse("streams = 1", "streams = 0").contains("store.streams = 0"));
        assert!(parse("\"5ms\", \"15ms\"", "\"15ms\", \"5ms\"").contains("store.latency"));
    }

    #[test]
    fn a_real_target_has_prices_of_its_own() {
        let plan = crate::fixtures::plan();
        let on = |target| on_target(plan.clone(), target);
        assert_eq!(on(TargetPlan::Sim), plan);
        let names = [TargetPlan::Process, TargetPlan::Flink].map(|target| on(target).cluster.cost_profile);
        assert_eq!(names, ["native", "flink-2.2"]);
        let flink = on(TargetPlan::Flink).job.config;
        assert_eq!(flink.checkpoints.schedule, TriggerSchedule::FixedRate);
        assert_eq!(flink.heartbeat_timeout, plan.job.config.heartbeat_timeout, "the scenario's, not Flink's default");
        assert!(is_of_target(&plan) && is_of_target(&on(TargetPlan::Process)));
        assert!(!is_of_target(&RunPlan { target: TargetPlan::Process, ..plan.clone() }));
        let mut measured = plan.clone();
        measured.cluster.cost_profile = "./laptop.toml".into();
        assert_eq!(on_target(measured, TargetPlan::Process).cluster.cost_profile, "./laptop.toml");
    }
}
