//! A single strike: the command that makes its run, its plan, and the run itself, shown as by `flowquake replay`.

use std::path::Path;
use std::process::ExitCode;

use super::ExhaustArgs;
use super::options::Recovery;
use crate::cli::print::say;
use crate::cli::{refuse_text, replay};
use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::provenance::{self, quoted};
use crate::scenario::save_plan;
use crate::search::strike::Catalogue;

/// Makes one strike, and shows it as `flowquake replay` does.
pub(super) fn show(args: &ExhaustArgs, catalogue: &Catalogue, number: u32, jobs: &Jobs) -> ExitCode {
    if number as usize >= catalogue.strikes().len() {
        let what = format!("--strike {number}: there is no such strike");
        let last = catalogue.strikes().len().saturating_sub(1);
        return refuse_text(&what, &format!("strikes of this search are numbered from 0 to {last}"));
    }
    let described = catalogue.describe(number);
    let file = args.failures.join(plan_name(catalogue, number));
    let plan = crate::predict::foresee(&catalogue.plan(number), jobs);
    if let Err(problem) = save(&args.failures, &file, &plan) {
        return refuse_text(&problem, "name another folder with --failures");
    }
    say!(
        "strike {number}: {} {}, {}, at {} of {}",
        described.kind,
        described.label,
        described.victim,
        described.name,
        described.node
    );
    replay::show(&args.limits, args.log, plan, &file)
}

/// The command that makes the run of a strike.
pub(super) fn command_of(args: &ExhaustArgs, number: u32) -> String {
    let seed = if args.seed == 1 { String::new() } else { format!(" --seed {}", args.seed) };
    let pairs = args.pairs.as_ref().map(|pairs| {
        let firsts = args.firsts.map(|firsts| format!(" --firsts {firsts}")).unwrap_or_default();
        format!(" --pairs {}{firsts}", pairs.text())
    });
    let recovery = pairs.unwrap_or_else(|| args.recovery.map_or("", Recovery::text).to_owned());
    let scenario = args.scenario.to_string_lossy();
    provenance::command(&format!("exhaust {}{seed}{recovery} --strike {number}", quoted(&scenario)))
}

pub(super) fn plan_name(catalogue: &Catalogue, number: u32) -> String {
    let scenario: String = catalogue.base().scenario.chars().take(150).collect();
    format!("{scenario}-strike-{number}.json")
}

pub(super) fn save(folder: &Path, file: &Path, plan: &RunPlan) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    save_plan(file, plan).map_err(|error| error.to_string())
}
