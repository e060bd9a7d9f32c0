//! `flowquake check`: reads scenario files and says what is wrong with them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print::say;
use super::{BAD_INPUT, catalogue, refuse, refuse_text};
use crate::flink;
use crate::jobs::Jobs;
use crate::plan::{RunPlan, TargetPlan};
use crate::process::RealProcesses;
use crate::run::Simulator;
use crate::scenario::{Scenario, ScenarioError, discover};
use crate::target::{Missing, Offers, Target};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Scenario files, or folders to search for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Also refuse what this target does not offer
    #[arg(long, value_enum, default_value_t)]
    target: TargetPlan,
}

/// Loads every scenario below `paths`, or prints all errors.
pub(super) fn load(paths: &[PathBuf], jobs: &Jobs) -> Result<Vec<Scenario>, ExitCode> {
    let files = discover(paths).map_err(refuse)?;
    Scenario::load_all(&files, &catalogue(jobs)).map_err(|errors: Vec<ScenarioError>| {
        for error in errors {
            refuse(error);
        }
        ExitCode::from(BAD_INPUT)
    })
}

/// Refuses everything that the target does not offer, scenario by scenario. For a swarm, the plan of the first seed is
/// checked.
fn offered(scenarios: &[Scenario], target: TargetPlan, jobs: &Jobs) -> Result<(), ExitCode> {
    let mut offered = Ok(());
    for scenario in scenarios {
        let plan = RunPlan { target, ..scenario.plan(1) };
        let missing = offers_of(&plan).missing(&plan);
        let lacks = || (target == TargetPlan::Flink).then(|| flink::lacking(&plan, jobs)).flatten();
        if let Some(Missing { path, what, remedy }) = missing.or_else(lacks) {
            let (file, target) = (scenario.file(), target.name());
            offered = Err(refuse_text(&format!("{file}: {path}: {target} does not offer {what}"), &remedy));
        }
    }
    offered
}

/// What the target of a plan offers.
pub(super) fn offers_of(plan: &RunPlan) -> Offers {
    match plan.target {
        TargetPlan::Sim => Simulator::default().offers(plan),
        TargetPlan::Process => RealProcesses::default().offers(plan),
        TargetPlan::Flink => flink::offered(),
    }
}

pub(super) fn check(args: &CheckArgs, jobs: &Jobs) -> ExitCode {
    match load(&args.paths, jobs) {
        Ok(scenarios) => {
            if let Err(code) = offered(&scenarios, args.target, jobs) {
                return code;
            }
            let width = scenarios.iter().map(|s| s.name().chars().count()).max().unwrap_or(0);
            for scenario in &scenarios {
                say!("ok  {:width$}  {}", scenario.name(), scenario.file());
            }
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
