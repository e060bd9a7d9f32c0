//! `flowquake exhaust`: every fault of the catalogue at every distinguishable step of a scenario, and the proof that the steps
//! taken for one may be.
//!
//! Start at [`exhaust`]. The clean run goes first: if it does not pass, no strike shows anything. From its survey the catalogue is made
//! ([`crate::search`]), then what the proof asks for is run, round by round; every result goes into a journal at once ([`journal`]), so
//! that a search that was stopped goes on with `--resume`. [`result`] makes the document of it. Shards are merged by `flowquake merge`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use flowquake_reports::class::Class;
use flowquake_reports::exhaust::{ExhaustResult, ExhaustSet, html, terminal};
use flowquake_reports::json::write_atomically;
use flowquake_reports::record::Verdict;
use flowquake_reports::units::counted;

use self::journal::{Head, Journal, Line};
use super::print::{say, tell, text};
use super::sweep::{self, Ended, Many, Progress, Step};
use super::{catalogue as job_catalogue, limits, outputs, refuse, refuse_text, screen};
use crate::environment::needs_disk;
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::plan::RunPlan;
use crate::provenance::{self, quoted};
use crate::run::report_folder;
use crate::scenario::{Scenario, save_plan};
use crate::screen as clock;
use crate::search::cut::{Cut, Cuts};
use crate::search::ground::{Ground, Scope, cuts_of_grounds, grounds, grounds_of_pairs};
use crate::search::proof::{Proof, Share};
use crate::search::strike::{Catalogue, Surveyed};
use crate::session::Depth;
use crate::units;
use crate::worker::{Made, Order, Worker};

mod journal;
mod result;

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
    /// Do not take strikes for one by this cut: steady-epochs, symmetric-subtasks, window-per-phase, next-step; may be given
    /// several times
    #[arg(long, value_name = "NAME", value_parser = cut)]
    no_cut: Vec<Cut>,
    /// Strikes on top of a recovery, too: nodes are killed at every event of it
    #[arg(long)]
    recovery: bool,
    /// Strike twice: a second time on the way from a first strike to the first commit after its recovery. The file is what `--json` wrote of a
    /// search without --pairs; of every way in which its strikes went one comes first
    #[arg(long, value_name = "FILE", conflicts_with = "recovery")]
    pairs: Option<PathBuf>,
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

/// When a search ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Runs(u64),
    Time(Duration),
}

fn budget(text: &str) -> Result<Budget, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("no run would be made".into()),
        Ok(runs) => Ok(Budget::Runs(runs)),
        Err(_) => {
            units::duration(text).map(Budget::Time).map_err(|error| format!("{}; {}", error.reason, error.remedy))
        }
    }
}

fn share(text: &str) -> Result<Share, String> {
    if text == "all" {
        return Ok(Share::All);
    }
    match text.trim_end_matches('%').parse::<u8>() {
        Ok(0) => Ok(Share::None),
        Ok(100) => Ok(Share::All),
        Ok(percent @ 1..100) => Ok(Share::Percent(percent)),
        _ => Err("write 0% to 100%, or leave the value out for all".into()),
    }
}

fn cut(text: &str) -> Result<Cut, String> {
    let names: Vec<&str> = Cut::ALL.iter().map(|cut| cut.name()).collect();
    Cut::from_name(text).ok_or_else(|| format!("there is no such cut; there are {}", names.join(", ")))
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((k, n)) if 1 <= k && k <= n => Ok((k, n)),
        _ => Err("write which part of how many, counted from 1: 1/4 to 4/4".into()),
    }
}

pub(super) fn exhaust(args: &ExhaustArgs, jobs: &Jobs) -> ExitCode {
    match search(args, jobs) {
        Ok(code) | Err(code) => code,
    }
}

/// `Err`: it came to nothing, and why was told.
fn search(args: &ExhaustArgs, jobs: &Jobs) -> Result<ExitCode, ExitCode> {
    let parallel = limits::parallel(args.jobs)?;
    let entries = job_catalogue(jobs);
    let scenario = Scenario::load(&args.scenario, &entries).map_err(refuse)?;
    let base = scenario.plan(args.seed);
    args.limits.affordable(&base)?;
    let folder = report_folder().join("exhaust");
    let sort = if args.pairs.is_some() { "-pairs" } else { "" };
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
    let catalogue = survey(args, base, keyed, &cuts)?;
    if let Some(number) = args.strike {
        return Ok(one(args, &catalogue, number, jobs));
    }
    let (strikes, classes) = (catalogue.strikes().len(), catalogue.classes().len());
    tell!("{} at {}, {classes} classes", counted(strikes, "strike"), counted(events(&catalogue), "event"));

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
    let set = result::set(&catalogue, &known, &head, share, stopped);
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

/// `-2-of-4`, where there are several.
fn of_shard((k, n): (u32, u32)) -> String {
    if n == 1 { String::new() } else { format!("-{k}-of-{n}") }
}

fn events(catalogue: &Catalogue) -> usize {
    catalogue.grounds().iter().map(|ground| ground.positions().len()).next().unwrap_or(0)
}

pub(super) fn to_json(set: &ExhaustSet) -> String {
    serde_json::to_string(set).expect("a search is always JSON")
}

/// That of the worst run; one that hurt nothing is no failure of a search, unless none hurt anything.
pub(super) fn exit_code(set: &ExhaustSet) -> u8 {
    let verdicts = set.verdicts();
    let worst = verdicts.keys().copied().filter(|class| *class != Class::Vacuous).max();
    worst.or_else(|| verdicts.keys().next().copied()).map_or(super::BAD_INPUT, Class::exit_code)
}

/// The clean runs, and the catalogue that is made of them. `Err`: the scenario itself does not pass, which was told.
fn survey(args: &ExhaustArgs, base: RunPlan, keyed: bool, cuts: &Cuts) -> Result<Catalogue, ExitCode> {
    let terms = args.limits.terms(args.log);
    let mut worker = Worker::new(&terms);
    let plan = base.clone();
    let mut surveyed = |ground: Ground| -> Result<Result<Surveyed, Verdict>, ExitCode> {
        let order = Order { survey: true, slim: true, ..Order::quick(ground.plan(&plan), String::new()) };
        let Made { record, seen, .. } = super::make_one(&mut worker, &order)?;
        Ok(match (record.verdict, seen.survey) {
            (Verdict::Passed, Some(survey)) => Ok(Surveyed::new(&plan, ground, *survey)),
            (verdict, _) => Err(verdict),
        })
    };
    let itself = match surveyed(Ground::itself())? {
        Ok(surveyed) => surveyed,
        Err(verdict) => {
            let command = provenance::command(&format!("run {}", quoted(&args.scenario.to_string_lossy())));
            tell!("error: the scenario itself does not pass, so no strike at it would show anything");
            tell!("  {}: {}\n  help: mend that first: {command}", verdict.label(), verdict.headline());
            return Err(ExitCode::from(verdict.exit_code()));
        }
    };
    if let Some(file) = &args.pairs {
        let itself_alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
        return pairs(args, file, base, keyed, itself_alone, cuts, &mut surveyed);
    }
    let scope = if args.recovery { Scope::Recovery } else { Scope::Messages };
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    let mut all = Vec::new();
    for ground in grounds(&alone, &base, scope) {
        let name = ground.name.clone();
        match surveyed(ground)? {
            Ok(surveyed) => all.push(surveyed),
            // Its strike is in the catalogue of the scenario itself, and is told there.
            Err(verdict) => tell!("note: no strikes where {name}: that run alone is {}", verdict.label()),
        }
    }
    let grounds = alone.into_grounds().into_iter().chain(all).collect();
    Ok(Catalogue::new(base, keyed, grounds, cuts))
}

/// Runs a ground, and says what happened in it; or how it was judged, if it did not pass.
type Survey<'s> = dyn FnMut(Ground) -> Result<Result<Surveyed, Verdict>, ExitCode> + 's;

/// The catalogue of second strikes. `alone` is that of the scenario itself.
fn pairs(
    args: &ExhaustArgs,
    file: &std::path::Path,
    base: RunPlan,
    keyed: bool,
    alone: Catalogue,
    cuts: &Cuts,
    surveyed: &mut Survey,
) -> Result<Catalogue, ExitCode> {
    let refuse = |what: String| {
        let single = format!("exhaust {} --json FILE", quoted(&args.scenario.to_string_lossy()));
        refuse_text(
            &format!("--pairs {}: {what}", file.display()),
            &format!("make it anew: {}", provenance::command(&single)),
        )
    };
    let singles = flowquake_reports::exhaust::read(file).map_err(|error| refuse(error.to_string()))?;
    let engine = provenance::ENGINE.unwrap_or("unknown");
    if singles.engine != engine || singles.scenario != base.scenario || singles.seed != base.seed {
        return Err(refuse("it is of another engine, scenario or seed".into()));
    }
    // The rarest way first: a search that ends early has tried what is new.
    let mut firsts = Vec::new();
    for (signature, ..) in singles.by_signature().iter().rev().filter(|(.., verdict)| *verdict == Class::Passed) {
        let went = |strike: &&flowquake_reports::exhaust::ExhaustStrike| {
            strike.ground == 0 && strike.result.as_ref().is_some_and(|result| result.signature == *signature)
        };
        firsts.extend(singles.strikes.iter().find(went).map(|strike| strike.number));
    }
    let known = alone.strikes().len() as u32;
    if firsts.iter().any(|number| *number >= known) {
        return Err(refuse("it has strikes that this scenario does not have".into()));
    }
    let mut grounds = Vec::new();
    for ground in grounds_of_pairs(&alone, &base, &firsts) {
        // One that does not pass was told by the search for single faults.
        grounds.extend(surveyed(ground)?.ok());
    }
    tell!("{} stand first", counted(grounds.len(), "strike"));
    let itself = alone.into_grounds().into_iter().map(Surveyed::without_strikes);
    Ok(Catalogue::new(base, keyed, itself.chain(grounds).collect(), cuts))
}

/// Makes one strike, and shows it as `flowquake replay` does.
fn one(args: &ExhaustArgs, catalogue: &Catalogue, number: u32, jobs: &Jobs) -> ExitCode {
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
    super::replay::show(&args.limits, args.log, plan, &file)
}

/// The runs of a search, round by round.
struct Rounds<'s> {
    args: &'s ExhaustArgs,
    catalogue: &'s Catalogue,
    share: Share,
    parallel: usize,
    began: Instant,
    /// Runs that were made by this process.
    made: u64,
    /// Runs whose rule hit something else than it was aimed at.
    astray: u64,
    known: &'s mut BTreeMap<u32, Line>,
    journal: &'s mut Journal,
    problems: Vec<String>,
}

impl Rounds<'_> {
    /// Runs what the proof asks for, until it asks for nothing.
    fn run(&mut self) -> Option<Ended> {
        loop {
            let open = self.proof().open;
            if open.is_empty() || self.spent() {
                return None;
            }
            if let Some(ended) = self.round(&open) {
                return Some(ended);
            }
        }
    }

    /// The proof of this shard's classes.
    fn proof(&self) -> Proof {
        let classes = result::of_shard(self.catalogue, self.args.shard);
        Proof::of(&classes, &result::signatures(self.known), self.share)
    }

    fn spent(&self) -> bool {
        match self.args.budget {
            None => false,
            Some(Budget::Runs(runs)) => self.made >= runs,
            Some(Budget::Time(time)) => self.began.elapsed() >= time,
        }
    }

    /// Why the search is not done; empty: it is.
    fn stopped(&self, ended: &Option<Ended>) -> String {
        let open = self.proof().open.len();
        match (ended, open) {
            (_, 0) => String::new(),
            (Some(_), open) => format!("interrupted, {} open; go on with --resume", counted(open, "run")),
            (None, open) => format!("the budget is spent, {} open; go on with --resume", counted(open, "run")),
        }
    }

    fn round(&mut self, open: &[u32]) -> Option<Ended> {
        let (args, catalogue) = (self.args, self.catalogue);
        let most = match args.budget {
            Some(Budget::Runs(runs)) => usize::try_from(runs - self.made).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let open = &open[..open.len().min(most)];
        let deadline = match args.budget {
            Some(Budget::Time(time)) => self.began.checked_add(time),
            _ => None,
        };
        let depth = if args.restore_check { Depth::Full } else { Depth::Quick };
        let mut progress = Progress::new(open.len() as u64);
        let terms = args.limits.terms(args.log);
        let many = Many { total: open.len() as u64, parallel: self.parallel, max_failures: None, terms: &terms };
        let ended = many.make(
            |nth| {
                if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                    return None;
                }
                let number = *open.get(usize::try_from(nth).ok()?)?;
                let quick = Order::quick(catalogue.plan(number), command_of(args, number));
                Some(Order { depth, signature: true, slim: true, ..quick })
            },
            |step| {
                let Step::Made(nth, made) = step else {
                    progress.wait();
                    return true;
                };
                let number = open[nth as usize];
                match made.record.verdict {
                    Verdict::Passed | Verdict::Vacuous { .. } => {
                        progress.count();
                        progress.wait();
                    }
                    _ => progress.step(&made.record),
                }
                self.keep(number, *made);
                true
            },
        );
        progress.end();
        self.problems.extend(self.journal.problem());
        ended
    }

    fn keep(&mut self, number: u32, made: Made) {
        let Made { record, seen, problems, .. } = made;
        self.problems.extend(problems);
        self.made += 1;
        let before = self.catalogue.faults_before(number);
        let struck = record.faults.get(before).and_then(|fault| fault.struck_at_ns);
        let aimed = self.catalogue.aimed_at(number);
        self.astray += u64::from(aimed.is_some_and(|at| struck.is_some_and(|struck| struck != at.0)));
        let signature = seen.signature.expect("it was ordered");
        let mut result = ExhaustResult {
            verdict: record.verdict.class(),
            signature: format!("{:016x}", signature.class()),
            headline: record.verdict.headline(),
            replay: record.replay,
            cpu_ns: record.totals.cpu_ns,
        };
        if !matches!(record.verdict, Verdict::Passed | Verdict::Vacuous { .. }) {
            let file = self.args.failures.join(plan_name(self.catalogue, number));
            let plan = RunPlan { prediction: record.prediction.clone(), ..self.catalogue.plan(number) };
            match save(&self.args.failures, &file, &plan) {
                Ok(()) => result.replay = provenance::replay_command(&file),
                Err(problem) => self.problems.push(problem),
            }
        }
        let line = Line { number, words: signature.to_string(), result };
        self.journal.add(&line);
        self.known.insert(number, line);
    }
}

/// The command that makes the run of a strike.
fn command_of(args: &ExhaustArgs, number: u32) -> String {
    let seed = if args.seed == 1 { String::new() } else { format!(" --seed {}", args.seed) };
    let pairs = args.pairs.as_ref().map(|file| format!(" --pairs {}", quoted(&file.to_string_lossy())));
    let recovery = pairs.unwrap_or_else(|| if args.recovery { " --recovery".to_owned() } else { String::new() });
    let scenario = args.scenario.to_string_lossy();
    provenance::command(&format!("exhaust {}{seed}{recovery} --strike {number}", quoted(&scenario)))
}

fn plan_name(catalogue: &Catalogue, number: u32) -> String {
    let scenario: String = catalogue.base().scenario.chars().take(150).collect();
    format!("{scenario}-strike-{number}.json")
}

fn save(folder: &std::path::Path, file: &std::path::Path, plan: &RunPlan) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    save_plan(file, plan).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_they_take() {
        assert_eq!(
            (budget("5000"), budget("10min")),
            (Ok(Budget::Runs(5000)), Ok(Budget::Time(Duration::from_secs(600))))
        );
        assert!(budget("0").is_err() && budget("soon").is_err());
        assert_eq!(
            (share("all"), share("5%"), share("0"), share("100%")),
            (Ok(Share::All), Ok(Share::Percent(5)), Ok(Share::None), Ok(Share::All))
        );
        assert!(share("101%").is_err());
        assert_eq!(shard("2/4"), Ok((2, 4)));
        assert!(shard("0/4").is_err() && shard("5/4").is_err() && shard("1").is_err());
        assert_eq!(cut("next-step"), Ok(Cut::NextStep));
        assert!(cut("next").unwrap_err().contains("steady-epochs"));
    }
}
