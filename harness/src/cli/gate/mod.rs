//! `flowquake gate`: makes the runs of a committed baseline again, and compares them with it.
//!
//! Start at [`gate`]. `set.rs` decides which runs are made, and `identity.rs` whether two runs are the same; the
//! judgement and its documents are in [`flowquake_reports::gate`]. Everything that is wrong with the input is reported
//! before any run, and the baseline is written at the end as a whole, or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::class::Class;
use flowquake_reports::gate::baseline::{BASELINE_VERSION, Baseline, RunBaseline, ScenarioBaseline};
use flowquake_reports::gate::budget::{Budget, Budgets};
use flowquake_reports::gate::times::Times;
use flowquake_reports::gate::{Judgement, Measured, Note, diff, html, json, judge, junit, markdown, terminal};
use flowquake_reports::json::write_atomically;
use flowquake_reports::record::RunRecord;
use flowquake_reports::terminal::evidence_lines;

use self::set::{Entry, Set};
use super::print::{self, say, tell};
use super::sweep::{self, Many, Progress, Step};
use super::{BAD_INPUT, command_line, comparable, limits, logging, outputs, refuse_text, screen};
use crate::environment::needs_disk;
use crate::jobs::Jobs;
use crate::plan::RunPlan;
use crate::provenance;
use crate::worker::{Order, Terms};

mod identity;
mod set;

/// Seeds of a new set.
const SEEDS: u64 = 5;

#[derive(Args)]
pub(super) struct GateArgs {
    /// With --update: the scenarios of a new set, as files or folders [default: the runs of the baseline]
    #[arg(requires = "update")]
    scenarios: Vec<PathBuf>,
    /// The baseline
    #[arg(long, value_name = "FILE", default_value = "scenarios/gate.json")]
    baseline: PathBuf,
    /// Measure anew and write the baseline, instead of judging
    #[arg(long)]
    update: bool,
    /// First seed of a new set
    #[arg(long, requires = "scenarios", default_value_t = 1)]
    seed: u64,
    /// How many seeds of each scenario of a new set
    #[arg(long, requires = "scenarios", default_value_t = SEEDS)]
    seeds: u64,
    /// How much slower a percentile may be: `2%`, or some of `p50=2%,p90=2%,p99=5%,max=5%` [default: as in the baseline]
    #[arg(long, value_name = "SHARE")]
    budget: Option<String>,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Also write the judgement as JUnit XML, for a CI system
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    junit: Option<PathBuf>,
    /// Also write it as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    json: Option<PathBuf>,
    /// Also write it as Markdown, for a comment on a pull request
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    markdown: Option<PathBuf>,
    /// Also write it as a page
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    html: Option<PathBuf>,
    #[command(flatten)]
    limits: limits::PerRun,
}

pub(super) fn gate(args: &GateArgs, jobs: &Jobs) -> ExitCode {
    settled(args, jobs).unwrap_or_else(|code| code)
}

/// The whole command. `Err`: the exit code after a problem that was already reported.
fn settled(args: &GateArgs, jobs: &Jobs) -> Result<ExitCode, ExitCode> {
    let Some(engine) = provenance::ENGINE else {
        let help = "build it in a checkout of the whole workspace";
        return Err(refuse_text(
            "this program was built without the engine's sources beside it, so it has no fingerprint",
            help,
        ));
    };
    let parallel = limits::parallel(args.jobs)?;
    let before = set::baseline(&args.baseline, args.update && !args.scenarios.is_empty())?;
    let stated = before.as_ref().map_or(Budgets::all(Budget::DEFAULT), |baseline| baseline.budgets);
    let budgets = match &args.budget {
        Some(text) => {
            if let Some(name) = named_twice(text) {
                return Err(refuse_text(&format!("--budget {text}: `{name}` has two budgets"), "name each once"));
            }
            stated
                .stated(text)
                .map_err(|error| refuse_text(&format!("--budget: {error}"), "or name percentiles: `p50=2%,max=5%`"))?
        }
        None => stated,
    };
    let set = match &before {
        Some(baseline) if args.scenarios.is_empty() => Set::of_baseline(baseline, &args.baseline, jobs)?,
        _ => Set::of_paths(&args.scenarios, args.seed, args.seeds, jobs)?,
    };
    if !args.update
        && let Some(before) = &before
    {
        set.check_cost_profiles(before, &args.baseline)?;
    }
    let documents =
        [("--junit", &args.junit), ("--json", &args.json), ("--markdown", &args.markdown), ("--html", &args.html)]
            .map(|(option, file)| (option, file.as_deref()));
    let baseline = args.update.then_some(args.baseline.as_path());
    documents.iter().filter_map(|(_, file)| *file).chain(baseline).try_for_each(make_folder_of)?;
    let scenarios = set.entries.iter().map(|entry| Path::new(entry.scenario.file()));
    if args.update {
        outputs::check(&[("--baseline", baseline)], &scenarios.collect::<Vec<_>>())?;
    } else {
        outputs::check(&documents, &scenarios.chain([args.baseline.as_path()]).collect::<Vec<_>>())?;
    }
    set.plans().try_for_each(|plan| args.limits.affordable(&plan))?;
    comparable(set.plans(), "gate")?;
    sweep::prepare(set.plans().any(|plan| needs_disk(&plan)))?;
    outputs::clear(&documents)?;
    let now = measure(&set, engine, budgets, parallel, &args.limits.terms(logging::Level::default()))?;
    match &before {
        Some(before) if !args.update => {
            let judgement = judge(before, &now, budgets);
            print::text(&terminal::text(&judgement, screen()));
            write_documents(args, &judgement)?;
            Ok(ExitCode::from(judgement.outcome().exit_code()))
        }
        before => update(before.as_ref(), &now, &args.baseline),
    }
}

/// The percentile that a budget such as `p50=5%,p50=6%` names twice.
fn named_twice(budget: &str) -> Option<&str> {
    let names: Vec<&str> = budget.split(',').filter_map(|part| Some(part.split_once('=')?.0.trim())).collect();
    (1..names.len()).find(|at| names[..*at].contains(&names[*at])).map(|at| names[at])
}

/// Makes the runs of a set. If one of them could not be made, nothing is judged.
fn measure(set: &Set, engine: &str, budgets: Budgets, parallel: usize, terms: &Terms) -> Result<Measured, ExitCode> {
    let plans: Vec<RunPlan> = set.plans().collect();
    let many = Many { total: plans.len() as u64, parallel, max_failures: None, terms };
    let mut progress = Progress::new(many.total);
    let mut records = BTreeMap::new();
    let order = |index: u64| {
        let plan = plans.get(usize::try_from(index).ok()?)?;
        Some(Order::quick(plan.clone(), replay(plan)))
    };
    let ended = many.make(order, |step| {
        let Step::Made(index, made) = step else {
            progress.wait();
            return true;
        };
        progress.step(&made.record);
        records.insert(index, made.record);
        true
    });
    progress.end();
    if let Some(ended) = ended {
        return Err(ended.settle(records.len() as u64, many.total));
    }
    let mut runs = plans.iter().zip(records.into_values());
    let (mut scenarios, mut notes) = (Vec::new(), Vec::new());
    for Entry { scenario, seeds } in &set.entries {
        let mut measured = ScenarioBaseline {
            scenario: scenario.name().to_owned(),
            file: scenario.file().to_owned(),
            cost_profile: String::new(),
            runs: Vec::new(),
        };
        let mut of_runs = Vec::new();
        for (plan, record) in runs.by_ref().take(seeds.len()) {
            measured.cost_profile.clone_from(&plan.cluster.cost_profile);
            measured.runs.push(run(plan, &record));
            of_runs.push(Note {
                headline: record.verdict.headline(),
                evidence: evidence_lines(&record.verdict),
                replay: record.replay,
            });
        }
        scenarios.push(measured);
        notes.push(of_runs);
    }
    let cost_profiles = set.cost_profiles();
    let baseline =
        Baseline { baseline_version: BASELINE_VERSION, engine: engine.to_owned(), cost_profiles, budgets, scenarios };
    Ok(Measured { baseline, notes })
}

fn replay(plan: &RunPlan) -> String {
    provenance::command(&format!("run {} --seed {}", provenance::quoted(&plan.file), plan.seed))
}

fn run(plan: &RunPlan, record: &RunRecord) -> RunBaseline {
    RunBaseline {
        seed: plan.seed,
        verdict: record.verdict.class(),
        plan: identity::of_plan(plan),
        trace: record.trace_hash.clone(),
        // The times of a swarm are those of the faults that it drew, and the next change of the engine may move these.
        times: if plan.swarm { Times::default() } else { Times::of(record) },
    }
}

/// Writes what was measured, unless a run failed, because a failure must not become the reference.
fn update(before: Option<&Baseline>, now: &Measured, file: &Path) -> Result<ExitCode, ExitCode> {
    let mut worst = Class::Passed;
    for (scenario, notes) in now.baseline.scenarios.iter().zip(&now.notes) {
        for (run, note) in scenario.runs.iter().zip(notes) {
            let class = run.verdict;
            if class == Class::Passed {
                continue;
            }
            tell!("{}  {}  seed {}: {}", class.label(), scenario.scenario, run.seed, note.headline);
            match class {
                Class::Vacuous => tell!("  stays in the baseline, and proves nothing"),
                Class::NotBuilt => worst = worst.max(class),
                _ => {
                    tell!("  {}", note.replay);
                    worst = worst.max(class);
                }
            }
        }
    }
    if worst != Class::Passed {
        let help = match worst {
            Class::NotBuilt => "build with the default features, or leave these scenarios out",
            _ => "mend what fails, or leave these runs out",
        };
        tell!(
            "error: {} was not written: a baseline holds no run that is {}\n  help: {help}",
            file.display(),
            worst.label()
        );
        return Err(ExitCode::from(worst.exit_code()));
    }
    make_folder_of(file)?;
    write(file, &now.baseline.text())?;
    print::text(&diff::text(before, &now.baseline, screen()));
    say!("\nwrote {}: commit it", file.display());
    Ok(ExitCode::SUCCESS)
}

fn write_documents(args: &GateArgs, judgement: &Judgement) -> Result<(), ExitCode> {
    let put = |file: &Option<PathBuf>, document: &dyn Fn() -> String| match file {
        Some(file) => write(file, &document()),
        None => Ok(()),
    };
    put(&args.junit, &|| junit::xml(judgement))?;
    put(&args.json, &|| json::to_string(judgement))?;
    put(&args.markdown, &|| markdown::comment(judgement))?;
    put(&args.html, &|| html::page(judgement, &command_line()))
}

fn write(file: &Path, text: &str) -> Result<(), ExitCode> {
    write_atomically(file, text.as_bytes()).map_err(|error| cannot_write(file, &error))
}

/// Checked before the runs are made, so that no run is wasted.
fn make_folder_of(file: &Path) -> Result<(), ExitCode> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| std::fs::create_dir_all(folder).map_err(|error| cannot_write(file, &error)))
}

fn cannot_write(file: &Path, error: &std::io::Error) -> ExitCode {
    refuse_text(&format!("{} cannot be written: {error}", file.display()), "name a file that can be written")
}

/// The exit code for bad input that was already reported.
fn refused() -> ExitCode {
    ExitCode::from(BAD_INPUT)
}

#[cfg(test)]
mod tests {
    use super::named_twice;

    #[test]
    fn a_percentile_has_one_budget() {
        assert_eq!(named_twice("p50=5%, p50=6%"), Some("p50"));
        for sound in ["2%", "p50=5%,p90=5%", "", "p50,p50"] {
            assert_eq!(named_twice(sound), None, "{sound}");
        }
    }
}
