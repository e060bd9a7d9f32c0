//! `flowquake check`: reads scenario files and says what is wrong with them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print::say;
use super::{BAD_INPUT, catalogue, refuse};
use crate::jobs::Jobs;
use crate::scenario::{Scenario, ScenarioError, discover};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Scenario files, or folders to search for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Loads every scenario below `paths`, or prints every error there is.
pub(super) fn load(paths: &[PathBuf], jobs: &Jobs) -> Result<Vec<Scenario>, ExitCode> {
    let files = discover(paths).map_err(refuse)?;
    Scenario::load_all(&files, &catalogue(jobs)).map_err(|errors: Vec<ScenarioError>| {
        for error in errors {
            refuse(error);
        }
        ExitCode::from(BAD_INPUT)
    })
}

pub(super) fn check(args: &CheckArgs, jobs: &Jobs) -> ExitCode {
    match load(&args.paths, jobs) {
        Ok(scenarios) => {
            let width = scenarios.iter().map(|s| s.name().chars().count()).max().unwrap_or(0);
            for scenario in &scenarios {
                say!("ok  {:width$}  {}", scenario.name(), scenario.file());
            }
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
