//! `flowquake tune`: sweeps checkpoint intervals over state sizes, loads and backends, and says which one to choose.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use flowquake_reports::class::Class;
use flowquake_reports::tuning::findings::Findings;
use flowquake_reports::tuning::{Curve, Point, TUNING_VERSION, TuningSet, folder, terminal};

use super::print::{self, say, tell};
use super::sweep::{self, Many, Progress, Step};
use super::{catalogue, command_line, limits, outputs, refuse, refuse_text, screen};
use crate::cost::estimate;
use crate::environment::{self, needs_disk};
use crate::jobs::Jobs;
use crate::logging::Level;
use crate::profile::Profile;
use crate::provenance;
use crate::run::report_folder;
use crate::scenario::{Scenario, plan_problems};
use crate::tune::journal::{Journal, key};
use crate::tune::plan::{Planned, plan};
use crate::tune::point::point;
use crate::tune::{Setting, Tune};
use crate::units;
use crate::worker::{Order, Terms};

/// What [`folder::write`] writes, besides pictures.
const REPORT: [&str; 3] = ["tuning.json", "report.html", "README.md"];

/// A larger sweep must be confirmed: number of runs, and seconds of real time.
const TOO_MANY: (usize, f64) = (5_000, 4.0 * 3_600.0);

#[derive(Args)]
pub(super) struct TuneArgs {
    /// A scenario with a section [tune]
    scenario: PathBuf,
    /// Where report, data and the journal of the sweep go [default: target/flowquake/tune/NAME]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Cost profile in place of the scenario's: a shipped one by name, or a file that `flowquake calibrate` wrote
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Twice the intervals, twice the failures, five times the records
    #[arg(long)]
    thorough: bool,
    /// The seed of every run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Begin even a sweep that takes hours
    #[arg(long)]
    yes: bool,
    /// Print every curve in full
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    limits: limits::PerRun,
    /// The engine's log lines, on standard error
    #[arg(long, value_enum, default_value_t)]
    log: Level,
}

pub(super) fn tune(args: &TuneArgs, jobs: &Jobs) -> ExitCode {
    let parallel = match limits::parallel(args.jobs) {
        Ok(parallel) => parallel,
        Err(code) => return code,
    };
    let catalogue = catalogue(jobs);
    let scenario = match Scenario::load(&args.scenario, &catalogue) {
        Ok(scenario) => scenario,
        Err(error) => return refuse(error),
    };
    let Some(tune) = scenario.tune() else {
        let what = format!("{} has no section [tune]", args.scenario.display());
        return refuse_text(&what, "add one, such as: [tune] intervals = \"1s..300s\", states = [\"10MB\", \"1GB\"]");
    };
    let tune = if args.thorough { tune.thorough() } else { tune.clone() };
    let mut base = scenario.plan(args.seed);
    if let Some(name) = &args.profile {
        match Profile::find(name, Path::new("")) {
            Ok(profile) => profile.apply(&mut base.cluster, &mut base.job.config),
            Err(error) => return refuse_text(&error.to_string(), &error.help()),
        }
    }
    let job = match jobs.get(&base.job.name) {
        Ok(job) => job,
        Err(error) => return refuse_text(&error.to_string(), "name a registered job"),
    };
    let file = args.scenario.display();
    let mut planned: Vec<(Setting, Planned)> = Vec::new();
    for setting in tune.grid() {
        match plan(&base, &tune, &setting, job) {
            Ok(plan) => planned.push((setting, plan)),
            Err(error) => {
                return refuse_text(&format!("{file}: [tune], {}: {error}", in_words(&setting)), &error.help());
            }
        }
    }
    for backend in tune.backends.iter().filter(|backend| !backend.is_built()) {
        tell!("note: `{}` is not in this build and is left out", backend.name());
    }
    if planned.is_empty() {
        return refuse_text(
            "no backend of [tune] is in this build",
            "build with the feature `rocksdb`, or name another",
        );
    }
    if let Some((setting, problem)) =
        planned.iter().find_map(|(setting, planned)| Some((setting, plan_problems(&planned.plan, &catalogue).pop()?)))
    {
        let what = format!("{file}: [tune], {}: such a run cannot be made: {problem}", in_words(setting));
        return refuse_text(&what, "change these values in [tune], or what they are made with in the other sections");
    }
    if let Err(code) = planned.iter().try_for_each(|(_, planned)| args.limits.affordable(&planned.plan)) {
        return code;
    }
    let cpu: f64 = planned.iter().map(|(_, planned)| estimate(&planned.plan).seconds()).sum();
    let hours = planned.len() as f64 * tune.duration.as_secs_f64() / 3_600.0;
    let real = cpu / parallel as f64;
    let scale = format!(
        "{}, {hours:.1} virtual hours, about {} of processor time, {} on {parallel} cores",
        flowquake_reports::units::counted(planned.len(), "run"),
        human(cpu),
        human(real)
    );
    if (planned.len() > TOO_MANY.0 || real > TOO_MANY.1) && !args.yes {
        return refuse_text(&format!("this is a long sweep: {scale}"), "narrow [tune], or add --yes");
    }
    tell!("{scale}");
    let output = args.output.clone().unwrap_or_else(|| report_folder().join("tune").join(scenario.name()));
    let path = output.join("tune.journal");
    // Without the hash of the sources, the version has to be enough.
    let engine = provenance::ENGINE.map_or_else(provenance::program, str::to_owned);
    if let Err(error) = std::fs::create_dir_all(&output) {
        return refuse_text(&format!("{}: {error}", output.display()), "name a folder that can be written");
    }
    if let Err(code) = outputs::check_folder(&output, &REPORT) {
        return code;
    }
    let text = output.join("README.md");
    if text.exists() && !path.exists() && !output.join("tuning.json").exists() {
        let what =
            format!("{}: the text of the report is written there, but no sweep wrote what is there", text.display());
        return refuse_text(&what, "name another folder with --output");
    }
    let journal = match Journal::open(&path, &engine) {
        Ok(journal) => journal,
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::InvalidData | ErrorKind::IsADirectory => {
                    "this journal cannot be gone on with: remove it, or name another folder with --output"
                }
                _ => "name a folder that can be written with --output",
            };
            return refuse_text(&format!("{}: {error}", path.display()), remedy);
        }
    };
    if let Some(aside) = journal.aside() {
        tell!("note: the journal in {} is of another engine; it is kept as {}", output.display(), aside.display());
    }
    if journal.dropped() > 0 {
        let lines = flowquake_reports::units::counted(journal.dropped(), "line");
        tell!("note: cut off and dropped: {lines} of the journal, whose runs are made again");
    }
    if let Some(load) = environment::load() {
        tell!(
            "note: this machine is busy ({load}): the sweep takes longer; what it measures is virtual time and stays the same"
        );
    }
    if let Err(code) = sweep::prepare(planned.iter().any(|(_, planned)| needs_disk(&planned.plan))) {
        return code;
    }
    // A report of an earlier sweep would be taken for this one's, should this one be stopped. The journal stays: it goes on there.
    let documents = REPORT.map(|name| output.join(name));
    if let Err(code) =
        outputs::clear(&documents.each_ref().map(|file| ("the report of an earlier sweep", Some(file.as_path()))))
    {
        return code;
    }
    let points = match measure(&planned, parallel, &args.limits.terms(args.log), journal, &path) {
        Ok(points) => points,
        Err(code) => return code,
    };
    let set = gather(&scenario, &tune, &base, &planned, points);
    report(args, &output, &set)
}

/// A setting in the form of its scenario.
fn in_words(setting: &Setting) -> String {
    let state = setting.state.map_or(String::new(), |bytes| format!(", state {}", units::format_size(bytes)));
    format!(
        "interval {}{state}, load {:?}, backend {}",
        units::format_duration(setting.interval),
        setting.load,
        setting.backend.name()
    )
}

fn human(seconds: f64) -> String {
    flowquake_reports::units::duration(Duration::from_secs_f64(seconds.max(0.0)).as_nanos() as u64)
}

/// Makes all runs that the journal does not have. Returns the points in the order of the plans.
fn measure(
    planned: &[(Setting, Planned)],
    parallel: usize,
    terms: &Terms,
    mut journal: Journal,
    path: &Path,
) -> Result<Vec<Point>, ExitCode> {
    let keys: Vec<String> = planned.iter().map(|(_, planned)| key(&planned.plan)).collect();
    let open: Vec<usize> = (0..planned.len()).filter(|index| journal.get(&keys[*index]).is_none()).collect();
    if open.len() < planned.len() {
        let known = (planned.len() - open.len()) as u64;
        tell!("{} runs are known from before", flowquake_reports::units::count_of(known, planned.len() as u64));
    }
    let mut progress = Progress::new(open.len() as u64);
    let many = Many { total: open.len() as u64, parallel, max_failures: None, terms };
    let at = |index: u64| open.get(usize::try_from(index).ok()?).copied();
    let order = |index: u64| at(index).map(|index| Order::quick(planned[index].1.plan.clone(), String::new()));
    let (mut made_now, mut failed) = (0, None);
    let ended = many.make(order, |step| {
        let Step::Made(index, made) = step else {
            progress.wait();
            return true;
        };
        let Some(index) = at(index) else { return true };
        let (setting, planned) = &planned[index];
        progress.count();
        progress.wait();
        made_now += 1;
        failed = journal.add(keys[index].clone(), point(setting, planned, &made.record)).err();
        failed.is_none()
    });
    progress.end();
    if let Some(error) = failed {
        return Err(refuse_text(&format!("{}: {error}", path.display()), "make room, and start it again"));
    }
    match ended {
        None => Ok(keys.iter().filter_map(|key| journal.get(key).cloned()).collect()),
        Some(ended) => {
            let code = ended.settle(made_now, many.total);
            tell!("  {} keeps them: the same command goes on from there", path.display());
            Err(code)
        }
    }
}

fn gather(
    scenario: &Scenario,
    tune: &Tune,
    base: &crate::plan::RunPlan,
    planned: &[(Setting, Planned)],
    points: Vec<Point>,
) -> TuningSet {
    let simulated = points.iter().map(|point| point.simulated).sum();
    let mut curves: Vec<Curve> = Vec::new();
    for ((setting, planned), point) in planned.iter().zip(points) {
        let state = setting.state.map_or(point.state, |bytes| bytes as f64);
        let backend = setting.backend.name();
        let same = |curve: &&mut Curve| {
            curve.backend == backend
                && curve.load == setting.load
                && (setting.state.is_none() || curve.state_declared == state)
        };
        match curves.iter_mut().find(same) {
            Some(curve) => {
                let ordered = curve.points.last().is_none_or(|last| last.interval < point.interval);
                assert!(ordered, "TUNING-V1: interval {} s stands twice, or behind a longer one", point.interval);
                curve.points.push(point);
            }
            None => curves.push(Curve {
                backend: backend.into(),
                state_declared: state,
                load: setting.load,
                rate: planned.rate,
                capacity: planned.capacity,
                record_weight: planned.plan.cluster.record_weight,
                state_weight: planned.plan.cluster.state_weight,
                points: vec![point],
            }),
        }
    }
    TuningSet {
        tuning_version: TUNING_VERSION,
        command: command_line(),
        program: provenance::program(),
        scenario: scenario.name().into(),
        why: scenario.why().into(),
        job: base.job.name.clone(),
        parallelism: base.job.config.parallelism.into(),
        cost_profile: base.cluster.cost_profile.clone(),
        min_pause: base.job.config.checkpoints.min_pause.as_secs_f64(),
        mtbf: tune.failures_every.iter().map(Duration::as_secs_f64).collect(),
        lateness_weight: tune.lateness_weight,
        simulated,
        curves,
    }
}

fn report(args: &TuneArgs, output: &Path, set: &TuningSet) -> ExitCode {
    if let Err(error) = folder::write(output, set) {
        return refuse_text(&format!("{}: {error}", output.display()), "name a folder that can be written");
    }
    let findings = Findings::of(set);
    let shown =
        if args.verbose { terminal::details(&findings, screen()) } else { terminal::overview(&findings, screen()) };
    print::text(&shown);
    say!("\nreport: {}", output.join("report.html").display());
    if set.curves.iter().flat_map(|curve| &curve.points).any(|point| point.verdict == "failed") {
        return ExitCode::FAILURE;
    }
    if findings.advice.iter().all(|advice| advice.best.is_none()) {
        tell!(
            "vacuous: no interval is the best of any curve, since in no setting enough runs were measured; the \
             verdicts in the report say why"
        );
        return ExitCode::from(Class::Vacuous.exit_code());
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use flowquake_engine::config::BackendKind;

    use super::*;

    #[test]
    fn a_setting_is_told_as_it_is_written() {
        let interval = Duration::from_secs(5);
        let setting = Setting { backend: BackendKind::Fs, state: Some(1 << 30), load: 0.5, interval };
        assert_eq!(in_words(&setting), "interval 5s, state 1GiB, load 0.5, backend fs");
        assert_eq!(in_words(&Setting { state: None, ..setting }), "interval 5s, load 0.5, backend fs");
    }
}
