//! How many seeds and how many runs at the same time a command accepts, and how much a single run may use. Numbers
//! above these limits are typing mistakes, and would overflow or use up the memory.
//!
//! Start at [`seeds`], [`parallel`] and [`PerRun`].

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::refuse_text;
use crate::cost::estimate;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::units;
use crate::worker::Terms;

/// What each run may take. A run beyond is ended, and told: `crashed` for memory, `stuck` for processor time.
#[derive(Debug, Clone, Args)]
pub(super) struct PerRun {
    /// Memory of the process that makes a run
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = memory)]
    run_memory: u64,
    /// Processor time of a run; a loaded machine does not use it up
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = cpu)]
    run_cpu: Duration,
    /// No run is begun that would take more processor time than this, by an estimate of its plan
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = cpu)]
    max_cost: Duration,
}

impl PerRun {
    /// Refuses a plan whose run would cost more than is allowed, and says what makes it expensive.
    pub(super) fn affordable(&self, plan: &RunPlan) -> Result<(), ExitCode> {
        let cost = estimate(plan);
        if cost.seconds() <= self.max_cost.as_secs_f64() {
            return Ok(());
        }
        let human = |seconds: f64| units::format_duration(Duration::from_secs(seconds.min(1e15) as u64));
        let parts = cost.parts.iter().take(2).map(|(what, seconds)| format!("{what}, {}", human(*seconds)));
        let what = format!(
            "{}: a run would take about {} of processor time, {} are allowed (most of it: {})",
            plan.file,
            human(cost.seconds()),
            units::format_duration(self.max_cost),
            parts.collect::<Vec<_>>().join("; ")
        );
        Err(refuse_text(&what, "ask for less, or allow more with --max-cost and --run-cpu"))
    }

    /// The highest estimated cost of a run.
    pub(super) fn max_cost(&self) -> Duration {
        self.max_cost
    }

    /// How workers are started.
    pub(super) fn terms(&self, log: Level) -> Terms {
        let log = log.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        Terms { memory: self.run_memory, cpu: self.run_cpu, log, flink_home: None }
    }
}

fn in_words(error: units::UnitError) -> String {
    format!("{}; {}", error.reason, error.remedy)
}

/// Reads the memory limit. A process by itself needs some tens of mebibytes.
fn memory(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 64 << 20;
    let bytes = units::size(text).map_err(in_words)?;
    if bytes < LEAST { Err("at least 64MiB are needed".into()) } else { Ok(bytes) }
}

fn cpu(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(in_words)?;
    if time < Duration::from_secs(1) { Err("at least 1s is needed".into()) } else { Ok(time) }
}

/// Most seeds of each scenario: more than a week of runs on any machine.
pub(super) const SEEDS_MAX: u64 = 1_000_000_000;
/// Most runs at the same time; each has a thread and a cluster in memory.
const JOBS_MAX: usize = 1024;

/// Refuses zero seeds, more seeds than `most`, and seeds whose last one would not fit into 64 bits.
pub(super) fn seeds(seed: u64, seeds: u64, most: u64) -> Result<(), ExitCode> {
    seeds_problem(seed, seeds, most).map_or(Ok(()), |(what, remedy)| Err(refuse_text(&what, &remedy)))
}

fn seeds_problem(seed: u64, seeds: u64, most: u64) -> Option<(String, String)> {
    if seeds == 0 {
        return Some(("--seeds 0".into(), "at least one seed is needed".into()));
    }
    if seeds > most {
        return Some((format!("--seeds {seeds}: too many"), format!("write 1 to {most}")));
    }
    // The last seed is `seed + seeds - 1`.
    seed.checked_add(seeds - 1).is_none().then(|| {
        let what = format!("--seed {seed} --seeds {seeds}: the last seed would be beyond {}", u64::MAX);
        (what, format!("begin at {} or below, or take fewer seeds", u64::MAX - (seeds - 1)))
    })
}

/// How many runs are made at the same time: as `--jobs` says, or one per core.
pub(super) fn parallel(jobs: Option<usize>) -> Result<usize, ExitCode> {
    match jobs {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(jobs @ 1..=JOBS_MAX) => Ok(jobs),
        Some(jobs) => {
            let remedy = format!("write 1 to {JOBS_MAX}, or leave it out for one run per core");
            let why = if jobs == 0 { "no run would ever be made" } else { "too many runs at the same time" };
            Err(refuse_text(&format!("--jobs {jobs}: {why}"), &remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_end_where_numbers_do() {
        let says = |seed, seeds| seeds_problem(seed, seeds, 1000).map(|(what, remedy)| format!("{what}; {remedy}"));
        assert_eq!(says(1, 1000), None);
        assert_eq!(says(u64::MAX, 1), None);
        assert_eq!(says(u64::MAX - 2, 3), None);
        assert_eq!(says(1, 0).unwrap(), "--seeds 0; at least one seed is needed");
        assert_eq!(says(1, u64::MAX).unwrap(), "--seeds 18446744073709551615: too many; write 1 to 1000");
        assert!(says(u64::MAX, 3).unwrap().ends_with("begin at 18446744073709551613 or below, or take fewer seeds"));
    }

    #[test]
    fn options_that_are_left_out_say_what_runs_may_take_without_a_command_line() {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            limits: PerRun,
        }
        let alone = <Alone as clap::Parser>::parse_from(["run"]);
        assert_eq!(alone.limits.terms(Level::default()), Terms::default());
    }

    #[test]
    fn runs_at_the_same_time_are_some_and_not_too_many() {
        assert_eq!(parallel(Some(3)), Ok(3));
        assert!(parallel(None).is_ok());
        assert!(parallel(Some(0)).is_err() && parallel(Some(usize::MAX)).is_err());
    }
}
