//! What a `run` prints and writes of its records at the end: failures, the table, the report's folder, the files that
//! were asked for.
//!
//! Start at [`finish`].

use std::collections::BTreeSet;
use std::process::ExitCode;

use flowquake_reports::class::Class;
use flowquake_reports::coverage::{self, Coverage, activation};
use flowquake_reports::probability::FailureCurve;
use flowquake_reports::record::{RunRecord, RunSet, Verdict};
use flowquake_reports::{diff, folder, json, junit, markdown, terminal, units};

use super::super::print::{say, tell};
use super::super::sweep::{self, Sweep};
use super::super::{BAD_INPUT, screen};
use super::history::{History, INDEX};
use super::{RunArgs, is_failure, worst};
use crate::run::report_folder;

/// Most runs of a long sweep that its page shows.
const SHOWN_MAX: usize = 100;
/// Most failures explained on the terminal; the report explains all.
const FAILURES_MAX: usize = 10;

/// The results of a run.
pub(super) struct Results<'r> {
    pub(super) set: &'r RunSet,
    /// When failures were decided, if that was measured.
    pub(super) curves: &'r [FailureCurve],
    pub(super) counted: &'r Coverage,
}

/// Prints and writes everything. `stopped` says why not all runs were made. What cannot be written is added to the
/// problems, and the verdict stands.
pub(super) fn finish(
    results: &Results<'_>,
    args: &RunArgs,
    sweep: &Sweep<'_>,
    stopped: Option<&str>,
    history: &mut History,
    problems: &mut Vec<String>,
) {
    let Results { set, curves, counted } = *results;
    for run in set.runs.iter().filter(|run| args.verbose && !is_failure(&run.verdict)) {
        say!("{}", terminal::details(run, screen()));
    }
    // In a long sweep, a swarm's plan that struck nothing is only counted, because it is not worth a page for each
    // seed.
    let told = |run: &&RunRecord| {
        is_failure(&run.verdict) && !(sweep.is_long() && matches!(run.verdict, Verdict::Vacuous { .. }))
    };
    let failures: Vec<&RunRecord> = set.runs.iter().filter(told).collect();
    for run in failures.iter().take(FAILURES_MAX) {
        say!("{}", terminal::failure(run, screen()));
    }
    if failures.len() > FAILURES_MAX {
        say!("… and {} more in the report\n", failures.len() - FAILURES_MAX);
    }
    if sweep.is_long() {
        say!("{}", sweep::summary(set));
    } else {
        say!("{}", terminal::verdicts(set, screen()));
    }
    if let Some(why) = stopped {
        say!("stopped after {} runs: {why}\n", units::count_of(set.runs.len() as u64, sweep.runs()));
    }
    if args.distributions {
        say!("{}", terminal::distributions(set, screen()).trim_start_matches('\n'));
    }
    if set.runs.len() > 1 {
        say!("{}\n", coverage::text::summary(counted));
    }
    // What scripted scenarios strike with stands in their files; what swarms did shows only here.
    let active = counted.activation();
    if sweep.has_swarms() && sweep.is_long() {
        say!("{}", activation::table(&active).text(0, screen()));
    }
    if let Some(line) = activation::summary(&active).filter(|_| sweep.has_swarms() && set.runs.len() > 1) {
        say!("{line}\n");
    }
    if args.verify_determinism {
        let same = set.runs.iter().filter(|run| run.verdict == Verdict::Passed).count();
        let plans = units::counted(same, "plan");
        say!("determinism: {plans} run again in another process gave the same hash\n");
    }
    // A page with ten thousand sections is useless. The page of a long sweep shows what did not pass, and the runs that
    // these are compared with.
    let page = sweep.is_long().then(|| {
        let unproved = set.runs.iter().enumerate().filter(|(_, run)| run.verdict != Verdict::Passed).take(SHOWN_MAX);
        let shown: BTreeSet<usize> =
            unproved.flat_map(|(index, run)| [Some(index), diff::nearest(set, run)]).flatten().collect();
        let runs = shown.into_iter().map(|index| set.runs[index].clone()).collect();
        RunSet {
            runs,
            command: set.command.clone(),
            program: set.program.clone(),
            fault_kinds: set.fault_kinds.clone(),
            setting_ranges: set.setting_ranges.clone(),
            schema_version: set.schema_version,
        }
    });
    let (top, folder) = (report_folder(), history.folder().to_owned());
    match folder::write_report_folder(&folder, page.as_ref().unwrap_or(set), curves) {
        Ok(files) => {
            history.publish();
            let page = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "html"));
            let page = page.and_then(|page| Some(top.join(page.file_name()?)));
            say!("report: {}", page.unwrap_or(folder).display());
            say!("all runs: {}", top.join(INDEX).display());
        }
        Err(error) => problems.push(format!("report folder {}: {error}", folder.display())),
    }
    if let Some(file) = &args.json
        && let Err(error) = json::write(file, set)
    {
        problems.push(format!("{}: {error}", file.display()));
    }
    for (file, document) in [(&args.junit, junit::xml as fn(&RunSet) -> String), (&args.markdown, markdown::runs)] {
        if let Some(file) = file
            && let Err(error) = json::write_atomically(file, document(set).as_bytes())
        {
            problems.push(format!("{}: {error}", file.display()));
        }
    }
}

/// The exit code of a run that ended with these problems, which it prints. `active`: every kind of fault reached its
/// floor.
pub(super) fn settle(runs: &[RunRecord], active: bool, problems: &[String]) -> ExitCode {
    problems.iter().for_each(|problem| tell!("error: {problem}"));
    ExitCode::from(match (problems.is_empty(), active) {
        (false, _) => BAD_INPUT,
        (true, false) => Class::Failed.exit_code(),
        (true, true) => worst(runs),
    })
}
