//! The whole command: reports what is wrong with the input, then makes the runs, then judges or writes the matrix.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use flowquake_engine::mutation::Mutation;
use flowquake_reports::bounded;
use flowquake_reports::json::write_atomically;
use flowquake_reports::museum::{self, KillMatrix, MATRIX_VERSION, Method, Row, judge};
use flowquake_reports::units;
use flowquake_scenarios::museum::{Exhibit, MUSEUM, Verdict};

use super::super::print::{self, say, tell};
use super::super::{BAD_INPUT, catalogue, command_line, limits, outputs, refuse, refuse_text, screen, sweep};
use super::MuseumArgs;
use super::journal::{Head, Kept};
use super::strikes::{self, Strikes};
use super::visit::{Bug, Tour, visit};
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::provenance;
use crate::run::report_folder;
use crate::scenario::{Scenario, discover};
use crate::worker::Terms;

/// Longest kill matrix in bytes.
const FILE_MAX: u64 = 1 << 24;
/// Most runs of a search that anyone could wait for.
const RUNS_MAX: u64 = 1_000_000;

/// `Err`: the exit code after a problem that was already reported.
pub(super) fn settled(args: &MuseumArgs, jobs: &Jobs) -> Result<ExitCode, ExitCode> {
    let Some(engine) = provenance::ENGINE else {
        return Err(refuse_text(
            "this program has no fingerprint of its engine",
            "build it in a checkout of the whole workspace",
        ));
    };
    let parallel = limits::parallel(args.jobs)?;
    for (option, value) in [("--seeds", args.seeds), ("--starts", args.starts)] {
        if !(1..=RUNS_MAX).contains(&value) {
            return Err(refuse_text(
                &format!("{option} {value}: too few or too many"),
                &format!("write 1 to {RUNS_MAX}"),
            ));
        }
    }
    let before = baseline(&args.baseline, args.update)?;
    let exhibits = chosen(&args.only)?;
    let files = discover(std::slice::from_ref(&args.scenarios)).map_err(refuse)?;
    let scenarios = Scenario::load_all(&files, &catalogue(jobs)).map_err(|errors| {
        // All errors are reported at once.
        for error in errors {
            refuse(error);
        }
        ExitCode::from(BAD_INPUT)
    })?;
    let place = |name: &str| scenarios.iter().position(|scenario| scenario.plan(1).scenario == name);
    let bugs: Vec<Bug> =
        exhibits.iter().map(|exhibit| bug(exhibit, &place, &args.scenarios)).collect::<Result<_, _>>()?;
    let journal = args.journal.clone().unwrap_or_else(|| report_folder().join("museum.jsonl"));
    let mut written = vec![("--json", args.json.as_deref()), ("--html", args.html.as_deref())];
    if !args.short && args.journal.is_some() {
        written.push(("--journal", Some(journal.as_path())));
    }
    outputs::check(&written, &[args.baseline.as_path()])?;
    for scenario in &scenarios {
        args.limits.affordable(&scenario.plan(1))?;
    }
    sweep::prepare(true)?;
    // The journal is kept, because a stopped visit goes on with it.
    outputs::clear(&written[..2])?;

    let terms = args.limits.terms(Level::default());
    let methods = methods(args);
    let strikes = match methods.contains(&Method::Exhaust) {
        true => Some(exhaust(args, &place, &scenarios, jobs, &terms)?),
        false => None,
    };
    let head = Head::of(engine, &scenarios);
    let kept = match (args.short, args.resume) {
        (true, _) => Kept::default(),
        (false, true) => Kept::go_on(&journal, &head)
            .map_err(|why| refuse_text(&format!("--resume: {why}"), "leave --resume out and begin anew"))?,
        (false, false) => Kept::begin(&journal, &head),
    };
    if args.resume {
        tell!("going on: {} of the searches are made", kept.searches.len());
    }
    let tour = Tour {
        scenarios: &scenarios,
        methods: &methods,
        short: args.short,
        seeds: args.seeds,
        starts: args.starts,
        strikes,
        parallel,
        terms: &terms,
    };
    let found = visit(&tour, &bugs, kept)?;
    let rows = exhibits.iter().zip(found).map(|(exhibit, found)| row(exhibit, found));
    let now = KillMatrix { matrix_version: MATRIX_VERSION, engine: engine.into(), bugs: rows.collect() };
    let whole = args.only.is_empty();
    let judgement = before.as_ref().filter(|_| !args.update).map(|before| judge(before, &now, whole));
    print::text(&museum::text(&now, judgement.as_ref(), screen()));
    put(args.json.as_deref(), || now.text())?;
    put(args.html.as_deref(), || museum::page(&now, &command_line()))?;
    if args.update {
        return update(before.as_ref(), now, &args.baseline, whole);
    }
    let failed = judgement.is_some_and(|judgement| !judgement.problems.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The methods to search with, in the order of the columns.
fn methods(args: &MuseumArgs) -> Vec<Method> {
    let asked = |method: &Method| match args.short {
        true => *method == Method::Scripted,
        false => args.by.is_empty() || args.by.contains(method),
    };
    Method::ALL.into_iter().filter(asked).collect()
}

/// The strikes of the exhaustive search.
fn exhaust(
    args: &MuseumArgs,
    place: &impl Fn(&str) -> Option<usize>,
    scenarios: &[Scenario],
    jobs: &Jobs,
    terms: &Terms,
) -> Result<Strikes, ExitCode> {
    let Some(at) = place(strikes::SCENARIO) else {
        let what = format!("the scenario `{}` is not in {}", strikes::SCENARIO, args.scenarios.display());
        return Err(refuse_text(&what, "name the folder with --scenarios, or leave the method out with --by"));
    };
    let strikes = strikes::strikes(&scenarios[at].plan(1), &catalogue(jobs), terms)?;
    tell!("exhaust: {} stand for all of {}", units::counted(strikes.order.len(), "strike"), strikes::SCENARIO);
    Ok(strikes)
}

/// Reads the baseline. The file may be missing if it is about to be written.
fn baseline(file: &Path, replaced: bool) -> Result<Option<KillMatrix>, ExitCode> {
    let name = file.display();
    match bounded::text(file, FILE_MAX) {
        Ok(text) => KillMatrix::parse(&text).map(Some).map_err(|bad| refuse_text(&format!("{name}: {bad}"), &bad.help)),
        Err(error) if error.kind() == ErrorKind::NotFound && replaced => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let help = "name another with --baseline, or write it with --update; paths count from the current folder";
            Err(refuse_text(&format!("there is no kill matrix {name}"), help))
        }
        Err(error) => Err(refuse_text(&format!("{name} cannot be read: {error}"), "check the path")),
    }
}

/// The bugs to visit.
fn chosen(only: &[String]) -> Result<Vec<&'static Exhibit>, ExitCode> {
    if let Some(unknown) = only.iter().find(|name| !MUSEUM.iter().any(|exhibit| bug_name(exhibit.mutation) == **name)) {
        let names: Vec<String> = MUSEUM.iter().map(|exhibit| bug_name(exhibit.mutation)).collect();
        return Err(refuse_text(
            &format!("--only {unknown}: there is no such bug"),
            &format!("one of: {}", names.join(", ")),
        ));
    }
    let is_chosen = |exhibit: &&Exhibit| only.is_empty() || only.contains(&bug_name(exhibit.mutation));
    Ok(MUSEUM.iter().filter(is_chosen).collect())
}

/// The bug's name as files write it.
fn bug_name(mutation: Mutation) -> String {
    let name = serde_json::to_value(mutation).ok();
    name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn bug(exhibit: &Exhibit, place: &impl Fn(&str) -> Option<usize>, folder: &Path) -> Result<Bug, ExitCode> {
    let name = bug_name(exhibit.mutation);
    let Some(scenario) = place(exhibit.scenario) else {
        let what = format!(
            "the catalogue sends `{name}` to the scenario `{}`, which is not in {}",
            exhibit.scenario,
            folder.display()
        );
        return Err(refuse_text(&what, "correct scenarios/museum.rs, or name the folder with --scenarios"));
    };
    let caught_by = match exhibit.verdict {
        Verdict::CaughtBy(who) => Some(who),
        Verdict::Equivalent(_) | Verdict::Gap(_) => None,
    };
    Ok(Bug { mutation: exhibit.mutation, name, scenario, caught_by })
}

fn row(exhibit: &Exhibit, found: BTreeMap<Method, museum::Found>) -> Row {
    let excused = match exhibit.verdict {
        Verdict::CaughtBy(_) => String::new(),
        Verdict::Equivalent(why) => format!("equivalent: {why}"),
        Verdict::Gap(why) => format!("gap: {why}"),
    };
    Row { bug: bug_name(exhibit.mutation), like: exhibit.like.into(), excused, found }
}

fn put(file: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), ExitCode> {
    let Some(file) = file else { return Ok(()) };
    write_atomically(file, text().as_bytes()).map_err(|error| {
        refuse_text(&format!("{} cannot be written: {error}", file.display()), "name a file that can be written")
    })
}

/// Writes the matrix, and reports what differs from before.
fn update(before: Option<&KillMatrix>, now: KillMatrix, file: &Path, whole: bool) -> Result<ExitCode, ExitCode> {
    let mut merged = now.over(before);
    if !whole && let Some(before) = before {
        // Rows that were not visited stay, in the order of the catalogue.
        let visited = std::mem::take(&mut merged.bugs);
        let row = |exhibit: &Exhibit| {
            let name = bug_name(exhibit.mutation);
            visited.iter().find(|row| row.bug == name).or_else(|| before.row(&name)).cloned()
        };
        merged.bugs = MUSEUM.iter().filter_map(row).collect();
    }
    if let Some(before) = before {
        let judgement = judge(before, &merged, true);
        for (bug, problem) in &judgement.problems {
            say!("  {bug}: {}", problem.text());
        }
        judgement.news.iter().for_each(|news| say!("  {news}"));
    }
    put(Some(file), || merged.text())?;
    say!("{} holds {} bugs", file.display(), merged.bugs.len());
    Ok(ExitCode::SUCCESS)
}
