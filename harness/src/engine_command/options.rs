//! The command line of `flowquake engine`, and how it becomes a job that can be submitted.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use flowquake_engine::config::{
    BackendKind, CheckpointConfig, ConfigError, JobConfig, RestartStrategy, TriggerSchedule,
};
use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::{InputKind, InputSpec, JobError, JobSpec};

use super::Refused;
use super::restart_options::RestartArgs;
use crate::jobs::{Job, JobContext, Jobs};
use crate::logging::Level;
use crate::units;

/// How often uncommitted output is written out: often enough to be seen on disk between two checkpoints.
const SINK_FLUSH: Duration = Duration::from_millis(200);

/// Runs a job on the engine for real: JobManagers and TaskManagers as processes of this machine.
///
/// Exit codes: 0 the job finished, 1 it failed, 2 bad input or folders that cannot be used (nothing was created), 130
/// interrupted.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineArgs {
    /// Name of a registered job
    job: String,
    /// Text file to read, line by line
    #[arg(long, value_name = "FILE", required_unless_present = "generator")]
    input: Option<PathBuf>,
    /// How many times the file is read
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "generator")]
    repeat: u32,
    /// Generator to read from, instead of a file
    #[arg(long, value_name = "NAME", conflicts_with = "input", requires = "records")]
    generator: Option<String>,
    /// How many records the generator makes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), requires = "generator")]
    records: Option<u64>,
    /// Seed of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Arrival rate such as 2000/s; without it all input is there at once
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<units::Rate>,
    /// Parts of the input, each read in order; default: the parallelism
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    splits: Option<u32>,
    /// Parameter of the job; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// Folder for committed output
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Folder for checkpoints
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: PathBuf,
    /// Goes on from the newest checkpoint in the folder
    #[arg(long)]
    resume: bool,
    /// State backend: memory, fs or rocksdb
    #[arg(long, value_name = "KIND", default_value = "memory", value_parser = backend)]
    backend: BackendKind,
    /// Parallel instances of every operator chain
    #[arg(long, value_name = "N", default_value_t = 1)]
    parallelism: u16,
    /// Key groups; fixed for the life of the state
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_parallelism: u16,
    /// JobManager processes: one leads, the others stand by
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    job_managers: u16,
    /// TaskManager processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    task_managers: u16,
    /// Slots of each TaskManager; default: the parallelism divided by the TaskManagers, rounded up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    slots: Option<u16>,
    /// Time between two checkpoints
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    checkpoint_interval: Duration,
    /// A checkpoint that takes longer is given up
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    checkpoint_timeout: Duration,
    /// Least time between the completion of a checkpoint and the next one
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    min_pause: Duration,
    /// From where the next checkpoint is counted: spaced (from the trigger before) or fixed-rate (on a grid, as Flink does)
    #[arg(long, value_name = "KIND", default_value = "spaced", value_parser = schedule)]
    checkpoint_schedule: TriggerSchedule,
    /// Completed checkpoints that are kept
    #[arg(long, value_name = "N", default_value_t = 1)]
    retained: u32,
    /// Failed checkpoints in a row that are put up with before the job fails over
    #[arg(long, value_name = "N", default_value_t = 0)]
    tolerable_failed_checkpoints: u32,
    /// Time between two heartbeats
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    heartbeat_interval: Duration,
    /// A process silent for this long is lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    heartbeat_timeout: Duration,
    /// Heartbeats that must not reach a TaskManager whose connection ended before others take its place
    #[arg(long, value_name = "N", default_value_t = 0)]
    heartbeat_rpc_failure_threshold: u32,
    #[command(flatten)]
    restarts: RestartArgs,
    /// A leader that has renewed nothing for this long is replaced by a JobManager that stands by
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    lease: Duration,
    /// Tasks that heartbeats contradict for this long count as lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    rpc_timeout: Duration,
    /// Deployment waits until no TaskManager has registered for this long
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    slot_stabilization: Duration,
    /// Unix socket of an observer: every process tells it each event, a line of JSON, and waits for a byte before it goes on
    #[arg(long, value_name = "SOCKET")]
    observe: Option<PathBuf>,
    /// Log lines of the processes, on standard error; without it the variable RUST_LOG decides, else warn
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
}

/// A valid command line, with absolute paths.
pub(super) struct Options {
    pub(super) job: JobSpec,
    /// Number of records in the whole input.
    pub(super) input_len: u64,
    pub(super) output: PathBuf,
    pub(super) checkpoints: PathBuf,
    pub(super) resume: bool,
    pub(super) job_managers: u16,
    pub(super) task_managers: u16,
    pub(super) slots: u16,
    /// The observer that every process reports its events to.
    pub(super) observer: Option<PathBuf>,
    /// Which log lines the processes write, as a filter of `tracing`.
    pub(super) log: String,
}

impl EngineArgs {
    /// Checks everything that can be known before a file or folder is touched, except the state of the folders
    /// themselves.
    pub(super) fn check(&self, jobs: &Jobs) -> Result<Options, Refused> {
        let refused = |error: JobError| Refused::new(error.to_string(), remedy_of(&error));
        let job = jobs.get(&self.job).map_err(refused)?;
        let config = self.config(self.restarts.strategy()?);
        config.validate().map_err(|error| Refused::new(in_options(&error), "change the option, or leave it out"))?;
        if !config.backend.is_built() {
            let kind = config.backend.name();
            let what = format!("--backend {kind}: this build does not contain it");
            return Err(Refused::new(what, format!("build with `--features {kind}`, or use --backend fs")));
        }
        let slots = self.slots.unwrap_or(self.parallelism.div_ceil(self.task_managers));
        let offered = u32::from(slots) * u32::from(self.task_managers);
        if offered < u32::from(self.parallelism) {
            let (managers, parallelism) = (self.task_managers, self.parallelism);
            let what = format!(
                "--task-managers {managers} with --slots {slots} offer {offered} slots, but --parallelism {parallelism} needs {parallelism}"
            );
            return Err(Refused::new(what, "give more slots or TaskManagers, or leave --slots out"));
        }
        let mut spec =
            JobSpec { program: self.job.clone(), params: self.job_params(job)?, input: self.input_spec(job)?, config };
        let files = InputFiles::default();
        jobs.build(&spec, &JobContext::inert(&files)).map_err(refused)?;
        let input_len = jobs.reference(&spec, &files).map_err(refused)?.input_len();
        if let InputKind::File { path, .. } = &mut spec.input.kind {
            // An absolute path names the same file for every process, and for a later --resume from another folder.
            *path = utf8(&resolved(Path::new(path), "--input")?)?;
        }
        let output = resolved(&self.output, "--output")?;
        let checkpoints = resolved(&self.checkpoint_dir, "--checkpoint-dir")?;
        if output.starts_with(&checkpoints) || checkpoints.starts_with(&output) {
            let what = format!(
                "--output {} and --checkpoint-dir {} lie in one another",
                output.display(),
                checkpoints.display()
            );
            return Err(Refused::new(what, "give two folders side by side"));
        }
        let observer = self.observe.as_deref().map(observer).transpose()?;
        let Self { resume, job_managers, task_managers, .. } = *self;
        let log = self.log.map(Level::filter).or_else(|| std::env::var("RUST_LOG").ok()).unwrap_or("warn".into());
        Ok(Options {
            job: spec,
            input_len,
            output,
            checkpoints,
            resume,
            job_managers,
            task_managers,
            slots,
            observer,
            log,
        })
    }

    fn config(&self, restart_strategy: RestartStrategy) -> JobConfig {
        JobConfig {
            parallelism: self.parallelism,
            max_parallelism: self.max_parallelism,
            backend: self.backend,
            checkpoints: CheckpointConfig {
                interval: self.checkpoint_interval,
                min_pause: self.min_pause,
                schedule: self.checkpoint_schedule,
                timeout: self.checkpoint_timeout,
                retained: self.retained,
                tolerable_failed: self.tolerable_failed_checkpoints,
                ..CheckpointConfig::default()
            },
            heartbeat_interval: self.heartbeat_interval,
            heartbeat_timeout: self.heartbeat_timeout,
            heartbeat_rpc_failure_threshold: self.heartbeat_rpc_failure_threshold,
            restart_strategy,
            restart_delay: self.restarts.restart_delay,
            restart_attempts: self.restarts.restart_attempts,
            lease: self.lease,
            rpc_timeout: self.rpc_timeout,
            slot_stabilization: self.slot_stabilization,
            sink_flush_interval: SINK_FLUSH,
            ..JobConfig::default()
        }
    }

    fn input_spec(&self, job: &Job) -> Result<InputSpec, Refused> {
        let generators = job.generators.join(", ");
        let kind = match (&self.input, &self.generator, self.records) {
            (Some(path), _, _) if !job.accepts_file => {
                let what = format!("--input {}: the job `{}` reads no file", path.display(), self.job);
                return Err(Refused::new(what, format!("use --generator with --records; there are: {generators}")));
            }
            (Some(path), _, _) => InputKind::File { path: utf8(path)?, repeat: self.repeat },
            (None, Some(name), Some(records)) => InputKind::Generator { name: name.clone(), records, seed: self.seed },
            // The parser of the command line refuses both cases.
            (None, _, _) => unreachable!("an input or a generator with its records is required"),
        };
        let period_fs = InputSpec::period_of(self.rate.map(units::Rate::per_second));
        Ok(InputSpec { kind, splits: self.splits.unwrap_or(self.parallelism.into()), period_fs })
    }

    fn job_params(&self, job: &Job) -> Result<BTreeMap<String, String>, Refused> {
        let mut params = BTreeMap::new();
        for (name, value) in &self.params {
            if !job.params.iter().any(|param| param.name == name) {
                let known: Vec<_> = job.params.iter().map(|param| param.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let what = format!("--param {name}={value}: the job `{}` has no such parameter", self.job);
                return Err(Refused::new(what, format!("its parameters: {known}")));
            }
            if let Some(other) = params.insert(name.clone(), value.clone()) {
                let what = format!("--param {name} is given twice: {other} and {value}");
                return Err(Refused::new(what, "give it once"));
            }
        }
        Ok(params)
    }
}

fn utf8(path: &Path) -> Result<String, Refused> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Refused::new(format!("{}: the path is not UTF-8", path.display()), "rename the file"))
}

/// The socket of an observer, which must exist before the processes start.
fn observer(socket: &Path) -> Result<PathBuf, Refused> {
    let refused = |why: &dyn std::fmt::Display| {
        let remedy = "start the observer first: it listens on this Unix socket and answers each line with a byte";
        Refused::new(format!("--observe {}: {why}", socket.display()), remedy)
    };
    UnixStream::connect(socket).map_err(|error| refused(&error))?;
    absolute(socket).map_err(|error| refused(&error))
}

fn resolved(path: &Path, option: &str) -> Result<PathBuf, Refused> {
    let found = path.canonicalize().or_else(|_| absolute(path));
    found.map_err(|error| Refused::new(format!("{option} {}: {error}", path.display()), "give the path of a folder"))
}

fn remedy_of(error: &JobError) -> &'static str {
    match error {
        JobError::Unknown { .. } => "use one of these names",
        JobError::Refused { .. } | JobError::Config(_) => "change the option named here",
        JobError::Input(_) => "give the path of a text file in UTF-8 with --input",
    }
}

/// The error, with option names in place of fields.
fn in_options(error: &ConfigError) -> String {
    let option = match error.field {
        "interval" => "checkpoint-interval".to_owned(),
        "timeout" => "checkpoint-timeout".to_owned(),
        other => other.replace('_', "-"),
    };
    format!("--{option} {}: {}", error.value, error.accepted)
}

fn with_unit(error: units::UnitError) -> String {
    format!("{}; {}", error.reason, error.remedy)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(with_unit)
}

fn rate(text: &str) -> Result<units::Rate, String> {
    match units::rate(text).map_err(with_unit)? {
        units::Rate { milli: 0 } => {
            Err("nothing would ever arrive; write more than zero, or leave --rate out to read at full speed".into())
        }
        rate => Ok(rate),
    }
}

fn backend(text: &str) -> Result<BackendKind, String> {
    BackendKind::from_name(text).ok_or_else(|| {
        let known = BackendKind::ALL.map(BackendKind::name).join(", ");
        format!("no such backend; there are: {known}")
    })
}

fn schedule(text: &str) -> Result<TriggerSchedule, String> {
    TriggerSchedule::from_name(text).ok_or_else(|| {
        let known = TriggerSchedule::ALL.map(TriggerSchedule::name).join(", ");
        format!("no such schedule; there are: {known}")
    })
}

fn param(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write name=value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use flowquake_engine::config::{ExponentialDelay, FailureRate, Thousandths};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: EngineArgs,
    }

    fn check(extra: &[&str]) -> Result<Options, String> {
        let common = ["engine", "--output", "out", "--checkpoint-dir", "chk"];
        let cli = Cli::try_parse_from(common.iter().chain(extra)).map_err(|error| error.to_string())?;
        cli.args.check(&Jobs::builtin()).map_err(|refused| refused.to_string())
    }

    const WORDS: [&str; 5] = ["string-length-count", "--generator", "words", "--records", "10"];

    #[test]
    fn a_sound_line_becomes_a_job() {
        let more = ["--parallelism", "4", "--task-managers", "3", "--rate", "2000/s", "--checkpoint-interval", "250ms"];
        let options = check(&[&WORDS[..], &more].concat()).unwrap();
        assert_eq!((options.slots, options.input_len), (2, 10));
        assert_eq!((options.job.input.splits, options.job.input.period_fs), (4, 500_000_000_000));
        assert_eq!(options.job.config.checkpoints.interval, Duration::from_millis(250));
        assert!(options.output.is_absolute());
        let more = ["--job-managers", "3", "--lease", "700ms", "--rpc-timeout", "2s", "--slot-stabilization", "50ms"];
        let limits = ["--tolerable-failed-checkpoints", "7", "--restart-attempts", "9", "--log", "debug"];
        let options = check(&[&WORDS[..], &more, &limits].concat()).unwrap();
        assert_eq!(options.log, "off,flowquake=debug,flowquake_engine=debug");
        assert_eq!(options.job.config.restart_attempts, Some(9));
        let config = options.job.config;
        assert_eq!((options.job_managers, config.checkpoints.tolerable_failed), (3, 7));
        let times = [config.lease, config.rpc_timeout, config.slot_stabilization];
        assert_eq!(times, [700, 2_000, 50].map(Duration::from_millis));
    }

    #[test]
    fn restart_strategies_have_flinks_settings() {
        let strategy = |more: &[&str]| check(&[&WORDS[..], more].concat()).unwrap().job.config.restart_strategy;
        assert_eq!(strategy(&["--restart-strategy", "none"]), RestartStrategy::None);
        for name in RestartStrategy::NAMES {
            assert_eq!(Some(strategy(&["--restart-strategy", name])), RestartStrategy::from_name(name), "its defaults");
        }
        let line = "--restart-strategy failure-rate --max-failures-per-interval 5 --failure-rate-interval 30s";
        let settings = FailureRate { max_failures_per_interval: 5, failure_rate_interval: Duration::from_secs(30) };
        assert_eq!(strategy(&line.split(' ').collect::<Vec<_>>()), RestartStrategy::FailureRate(settings));
        let line = "--restart-strategy exponential-delay --initial-backoff 10ms --max-backoff 2s --backoff-multiplier 1.25 \
                    --reset-backoff-threshold 1m --jitter-factor 0 --attempts-before-reset-backoff 9";
        let settings = ExponentialDelay {
            initial_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_secs(2),
            backoff_multiplier: Thousandths(1_250),
            reset_backoff_threshold: Duration::from_secs(60),
            jitter_factor: Thousandths(0),
            attempts_before_reset_backoff: Some(9),
        };
        assert_eq!(strategy(&line.split_whitespace().collect::<Vec<_>>()), RestartStrategy::ExponentialDelay(settings));
    }

    #[test]
    fn a_line_that_says_nothing_has_the_settings_of_the_engine() {
        let options = check(&WORDS).unwrap();
        let config = JobConfig { sink_flush_interval: SINK_FLUSH, ..JobConfig::default() };
        assert_eq!((options.job_managers, options.job.config), (1, config));
    }

    #[test]
    fn offences_name_value_and_remedy() {
        for (extra, needles) in [
            (&["--parallelism", "0"][..], &["--parallelism 0", "1 to max_parallelism (128)"][..]),
            (&["--rate", "0/s"], &["0/s", "more than zero"]),
            (&["--rate", "2000"], &["2000", "has no unit", "\"2000/s\""]),
            (&["--checkpoint-interval", "5"], &["has no unit", "\"500ms\""]),
            (&["--checkpoint-interval", "1ms"], &["--checkpoint-interval 1ms", "at least 10ms"]),
            (&["--heartbeat-timeout", "1s"], &["--heartbeat-timeout 1s", "more than heartbeat_interval (1s)"]),
            (&["--backend", "disk"], &["disk", "memory, fs, rocksdb"]),
            (&["--param", "keys=1"], &["keys=1", "its parameters: none"]),
            (&["--param", "keys"], &["write name=value"]),
            (&["--slots", "1", "--parallelism", "2"], &["offer 1 slots", "needs 2"]),
            (&["--retained", "0"], &["--retained 0", "at least 1"]),
            (&["--lease", "50ms"], &["--lease 50ms", "at least 100ms"]),
            (&["--rpc-timeout", "1s"], &["--rpc-timeout 1s", "more than heartbeat_interval (1s)"]),
            (&["--job-managers", "0"], &["--job-managers", "0"]),
            (&["--restart-attempts", "-1"], &["-1"]),
            (&["--restart-strategy", "often"], &["often", "none, fixed-delay, failure-rate, exponential-delay"]),
            (&["--max-backoff", "5s"], &["--max-backoff", "fixed-delay", "--restart-strategy exponential-delay"]),
            (
                &["--restart-strategy", "failure-rate", "--restart-attempts", "3"],
                &["--restart-attempts", "failure-rate", "--restart-strategy fixed-delay"],
            ),
            (
                &["--restart-strategy", "exponential-delay", "--max-backoff", "1ms"],
                &["--max-backoff 1ms", "at least initial_backoff (1s)"],
            ),
            (
                &["--restart-strategy", "exponential-delay", "--jitter-factor", "x"],
                &["--jitter-factor", "at most three decimals"],
            ),
            (&["--log", "loud"], &["loud", "warn"]),
        ] {
            let error = check(&[&WORDS[..], extra].concat()).map(|_| ()).unwrap_err();
            assert!(needles.iter().all(|needle| error.contains(needle)), "{extra:?}: {error}");
        }
        let error = check(&["word-count", "--input", "x"]).map(|_| ()).unwrap_err();
        assert!(error.contains("word-count") && error.contains("keyed-count, string-length-count"), "{error}");
        let error = check(&["string-length-count", "--input", "no-such-file"]).map(|_| ()).unwrap_err();
        assert!(error.contains("no-such-file") && error.contains("help:"), "{error}");
        let error = check(&["keyed-count", "--input", "x"]).map(|_| ()).unwrap_err();
        assert!(error.contains("reads no file") && error.contains("orders"), "{error}");
    }
}
