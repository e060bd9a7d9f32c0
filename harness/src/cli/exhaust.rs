//! `flowquake exhaust`: every fault of the catalogue at every distinguishable step of a scenario, and the proof that
//! steps taken to be the same are the same.
//!
//! Start at [`exhaust`]. The clean run is made first ([`clean`]): if it does not pass, no strike shows anything. Its
//! survey gives the catalogue ([`crate::search`]). Then the runs that the proof asks for are made, round by round
//! ([`rounds`]). Every result goes into a journal at once ([`journal`]), so that a search that was stopped goes on with
//! `--resume`. [`result`] makes the document. `--strike` makes a single run ([`one`]). `flowquake merge` merges shards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::class::Class;
use flowquake_reports::exhaust::{ExhaustSet, html, terminal};
use flowquake_reports::json::write_atomically;
use flowquake_reports::units::counted;

use self::clean::Found;
use self::journal::{Head, Journal};
use self::options::{Budget, Pairs, Recovery, budget, cut, pairs, recovery, shard, share};
pub(super) use self::result::covered_by_all;
use self::rounds::Rounds;
use super::print::{say, tell, text};
use super::{catalogue as job_catalogue, limits, outputs, refuse, refuse_text, screen, sweep};
use crate::environment::needs_disk;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::run::report_folder;
use crate::scenario::Scenario;
use crate::screen as clock;
use crate::search::cut::{Cut, Cuts};
use crate::search::proof::Share;
use crate::search::strike::Catalogue;

mod clean;
mod journal;
mod one;
mod options;
mod result;
mod rounds;

#[derive(Args)]
pub(super) struct ExhaustArgs {
    /// A scenario; its own faults, if it has any, are the base of every strike
    scenario: PathBuf,
    /// The seed of every run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Members of classes that are run besides those that stand for them: all without a value, or so many of a hundred, such as 5%;
    /// 0% believes the classes [default: 5%]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "all", value_name = "SHARE", value_parser = share)]
    verify_pruning: Option<Share>,
    /// Do not take strikes for one by this cut: steady-epochs, symmetric-subtasks, window-per-phase, next-step; may be
    /// given several times
    #[arg(long, value_name = "NAME", value_parser = cut)]
    no_cut: Vec<Cut>,
    /// Strikes on top of a recovery, too: nodes are killed at every event of it; with `twice` also at every event of the recovery that
    /// follows such a kill, for each way in which those went
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "once", value_name = "once|twice", value_parser = recovery)]
    recovery: Option<Recovery>,
    /// Strike twice. `cover`: few pairs, such that every two kinds strike in either order with either of them in every phase; `cover-all`:
    /// every two kinds in every two phases. A file: a second time on the way from a first strike to the first commit after its recovery; the
    /// file is what `--json` wrote of a search without --pairs, and of every way in which its strikes went one comes first
    #[arg(long, value_name = "cover|cover-all|FILE", conflicts_with = "recovery", value_parser = pairs)]
    pairs: Option<Pairs>,
    /// With `--pairs FILE`: only so many first strikes, those whose way was the rarest
    #[arg(long, value_name = "N", requires = "pairs")]
    firsts: Option<std::num::NonZeroUsize>,
    /// Make no more than so many runs, or none after so long: 5000, or 10min
    #[arg(long, value_name = "RUNS|DURATION", value_parser = budget)]
    budget: Option<Budget>,
    /// Only this part of all classes, such as 1/4; `flowquake merge` puts the parts together
    #[arg(long, value_name = "K/N", value_parser = shard, default_value = "1/1", hide_default_value = true)]
    shard: (u32, u32),
    /// Go on with the journal of a search that was stopped
    #[arg(long)]
    resume: bool,
    /// Where results are kept as they come [default: target/flowquake/exhaust/NAME.jsonl]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Also write the result to this file, for `flowquake merge` and others
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The page with the picture [default: target/flowquake/exhaust/NAME.html]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make the run of this strike alone, and show it
    #[arg(long, value_name = "N", conflicts_with_all = ["resume", "budget", "json", "verify_pruning"])]
    strike: Option<u32>,
    /// Where the plans of runs that did not pass are saved
    #[arg(long, value_name = "DIR", default_value = "flowquake-failures")]
    failures: PathBuf,
    /// Also restore the job from copies of its stores and run it on (O10), which may double the work
    #[arg(long)]
    restore_check: bool,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn exhaust(args: &ExhaustArgs, jobs: &Jobs) -> ExitCode {
    match search(args, jobs) {
        Ok(code) | Err(code) => code,
    }
}

/// `Err`: the exit code after a problem that was already reported.
fn search(args: &ExhaustArgs, jobs: &Jobs) -> Result<ExitCode, ExitCode> {
    let parallel = limits::parallel(args.jobs)?;
    let entries = job_catalogue(jobs);
    let scenario = Scenario::load(&args.scenario, &entries).map_err(refuse)?;
    let base = scenario.plan(args.seed);
    args.limits.affordable(&base)?;
    let folder = report_folder().join("exhaust");
    let sort = match &args.pairs {
        None => String::new(),
        Some(Pairs::Lineage(_)) => "-pairs".to_owned(),
        Some(cover @ Pairs::Cover(_)) => format!("-pairs-{}", cover.text()),
    };
    let named = |ending: &str| folder.join(format!("{}{sort}{}{ending}", base.scenario, of_shard(args.shard)));
    let page = args.output.clone().unwrap_or_else(|| named(".html"));
    let journal = args.journal.clone().unwrap_or_else(|| named(".jsonl"));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return Err(refuse_text(&format!("{}: {error}", folder.display()), "make the folder writable"));
    }
    let written =
        [("--json", args.json.as_deref()), ("--output", Some(page.as_path())), ("--journal", Some(journal.as_path()))];
    outputs::check(&written, &[&args.scenario])?;
    outputs::check_made_later("--failures", &args.failures)?;
    sweep::prepare(needs_disk(&base))?;
    if args.strike.is_none() {
        outputs::clear(&written[..2])?;
    }

    let keyed = entries.get(&base.job.name).is_some_and(|entry| entry.keyed);
    let cuts = Cuts::without(&args.no_cut);
    let Found { catalogue, covering } = clean::survey(args, base, keyed, &cuts)?;
    if let Some(number) = args.strike {
        return Ok(one::show(args, &catalogue, number, jobs));
    }
    let (strikes, classes) = (catalogue.strikes().len(), catalogue.classes().len());
    let events = counted(events(&catalogue), "event");
    tell!("{} at {events}, {}", counted(strikes, "strike"), counted(classes, "class"));

    let share = args.verify_pruning.unwrap_or(Share::Percent(5));
    let head = Head::of(&catalogue, &cuts, args.shard, args.restore_check);
    let (mut journal, mut known) = match args.resume {
        true => Journal::go_on(&journal, &head)
            .map_err(|why| refuse_text(&format!("--resume: {why}"), "leave --resume out and begin anew"))?,
        false => {
            let begun = Journal::begin(&journal, &head);
            let begun = begun
                .map_err(|error| refuse_text(&format!("{}: {error}", journal.display()), "name another --journal"))?;
            (begun, BTreeMap::new())
        }
    };
    known.retain(|number, _| catalogue.strikes().get(*number as usize).is_some());
    if args.resume {
        tell!("going on: {} are made", counted(known.len(), "run"));
    }
    let mut rounds = Rounds {
        args,
        catalogue: &catalogue,
        share,
        parallel,
        began: clock::now(),
        made: 0,
        astray: 0,
        known: &mut known,
        journal: &mut journal,
        problems: Vec::new(),
    };
    let ended = rounds.run();
    let (astray, stopped, mut problems) = (rounds.astray, rounds.stopped(&ended), std::mem::take(&mut rounds.problems));
    if astray > 0 {
        tell!("note: {} hit another message or write than the one aimed at", counted(astray as usize, "strike"));
    }
    let measured = clean::measured(args, &catalogue, &cuts);
    let set = ExhaustSet { measured, ..result::set(&catalogue, covering.as_ref(), &known, &head, share, stopped) };
    let to_write = [(Some(&page), html::page(&set)), (args.json.as_ref(), to_json(&set))];
    for (file, contents) in to_write.iter().filter_map(|(file, contents)| Some(((*file)?, contents))) {
        problems.extend(
            write_atomically(file, contents.as_bytes()).err().map(|error| format!("{}: {error}", file.display())),
        );
    }
    text(&terminal::summary(&set, screen()));
    say!("picture: {}", page.display());
    if let Some(problem) = problems.first() {
        return Err(refuse_text(problem, "name a file that can be written"));
    }
    Ok(match ended {
        Some(ended) => ended.settle(set.verdicts().values().sum::<usize>() as u64, strikes as u64),
        None => ExitCode::from(exit_code(&set)),
    })
}

/// Such as `-2-of-4`, if there are several shards.
fn of_shard((k, n): (u32, u32)) -> String {
    if n == 1 { String::new() } else { format!("-{k}-of-{n}") }
}

fn events(catalogue: &Catalogue) -> usize {
    catalogue.grounds().iter().map(|ground| ground.positions().len()).next().unwrap_or(0)
}

pub(super) fn to_json(set: &ExhaustSet) -> String {
    serde_json::to_string(set).expect("a search is always JSON")
}

/// The code of the worst run. A run that hurt nothing is no failure of a search, unless no run hurt anything.
pub(super) fn exit_code(set: &ExhaustSet) -> u8 {
    let verdicts = set.verdicts();
    let worst = verdicts.keys().copied().filter(|class| *class != Class::Vacuous).max();
    worst.or_else(|| verdicts.keys().next().copied()).map_or(super::BAD_INPUT, Class::exit_code)
}
