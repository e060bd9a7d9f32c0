//! Scenario files: turns the text that a person wrote into a [`RunPlan`], or into errors that say what to write
//! instead.
//!
//! ```text
//! text ─► read (form, with places) ─► RunPlan ─► rules (meaning, on the plan alone) ─► Scenario ─(+seed)─► RunPlan
//! plan.json ────────────────────────────► RunPlan ─► the same rules
//! ```
//! Start at [`Scenario::load`]. `read` has a file per section, `rules` a file per subject, [`discover`] finds files,
//! and [`load_plan`] and [`save_plan`] read and write plans. A [`JobCatalogue`] says what each job accepts.
//!
//! Invariants: (SCENARIO-S1) a [`Scenario`] has passed every rule; (SCENARIO-S2) no text makes loading panic; (SCENARIO-S3) the offences of a file
//! are reported together, up to a number that can be read, except that a text which is not TOML is judged as text only;
//! (SCENARIO-S4) nothing is drawn here but the scheduling seed, and by a swarm from the seed; so a plan depends on file,
//! catalogue and seed alone.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::plan::{ExpectedEnd, InputPlan, InputSource, JobPlan, PLAN_VERSION, RunPlan, TargetPlan};
use crate::profile::Profile;
use crate::reader::{Reader, Table, value};
use crate::swarm::Swarm;
use crate::tune::Tune;

mod discover;
mod input_file;
mod json_places;
mod plan_file;
mod read;
mod reference;
mod rules;
mod schema;
mod syntax;
#[cfg(test)]
mod tests;
pub(crate) mod tried;
mod write;

pub use crate::checker::catalogue;
pub use crate::checker::{JobCatalogue, JobEntry, JobParam, ParamCheck};
pub(crate) use crate::reader::Excerpt;
pub use crate::reader::{Problem, ScenarioError};
pub use discover::discover;
pub use plan_file::{load_plan, parse_plan, plan_problems, save_plan};
pub(crate) use read::settings::cluster_default;
pub use schema::schema;
pub use write::{Unwritable, scenario_of};

use crate::units::{self, Rate};
use input_file::{InputFacts, InputFault};
use read::{SECTIONS, expect, fault, job, settings, swarm, tune};

/// A scenario file that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Complete except for the seeds, and for what a swarm draws.
    template: RunPlan,
    /// Draws the faults, if they are not scripted.
    swarm: Option<Swarm>,
    /// What `flowquake tune` sweeps over, where the file says so.
    tune: Option<Tune>,
    /// The cost profile that the cluster's speed comes from.
    profile: Profile,
}

impl Scenario {
    /// Reads and checks one file.
    pub fn load(path: &Path, catalogue: &JobCatalogue) -> Result<Self, ScenarioError> {
        Self::parse(&read_text(path)?, path, catalogue)
    }

    /// Reads and checks all files of one invocation. Names must differ, because verdicts and reports refer to scenarios
    /// by name.
    pub fn load_all(paths: &[PathBuf], catalogue: &JobCatalogue) -> Result<Vec<Self>, Vec<ScenarioError>> {
        let (mut scenarios, mut errors) = (Vec::new(), Vec::new());
        let mut named: BTreeMap<String, &Path> = BTreeMap::new();
        for path in paths {
            match Self::load(path, catalogue) {
                Ok(scenario) => match named.insert(scenario.name().to_owned(), path) {
                    None => scenarios.push(scenario),
                    Some(other) => {
                        let (name, other, path_shown) = (scenario.name(), other.display(), path.display());
                        let message = format!("two scenarios are called `{name}`: {other} and {path_shown}");
                        let help = "reports go by name: rename one of them, both the file and its `name`";
                        errors.push(ScenarioError::of_path(path, Problem::new("duplicate-name", message, help)));
                    }
                },
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(scenarios) } else { Err(errors) }
    }

    /// Checks a text as if it were the content of `path`. Input files are looked for beside `path`.
    pub fn parse(text: &str, path: &Path, catalogue: &JobCatalogue) -> Result<Self, ScenarioError> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let errors = errors.iter().map(|error| (error.message(), error.span().unwrap_or(0..0)));
            return Err(ScenarioError::in_text(path, text, syntax::problems(text, errors)));
        }
        let mut reader = Reader::new(&SECTIONS);
        let template = read_scenario(&mut reader, root.get_ref(), path, catalogue);
        if let Some(Read { plan: template, swarm, tune, profile, input }) = template {
            let mut found = rules::check(&template, catalogue, input.as_ref());
            found.extend(swarm.iter().flat_map(|swarm| rules::swarm::check(swarm, &template, catalogue)));
            let locate = |at: &str| reader.spans.get(at).cloned();
            reader.problems.extend(rules::report(found, &reader.tainted, locate, rules::Wording::Scenario));
            if reader.problems.is_empty() {
                return Ok(Self { template, swarm, tune, profile });
            }
        }
        Err(ScenarioError::in_text(path, text, reader.problems))
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.template.scenario
    }

    /// Whether the faults are drawn from the seed.
    pub fn is_swarm(&self) -> bool {
        self.swarm.is_some()
    }

    /// What draws the faults, if they are drawn.
    pub fn swarm(&self) -> Option<&Swarm> {
        self.swarm.as_ref()
    }

    /// Why the scenario exists.
    pub fn why(&self) -> &str {
        &self.template.why
    }

    /// The path of the scenario's file, as it was given.
    pub fn file(&self) -> &str {
        &self.template.file
    }

    /// What `[tune]` asks for.
    pub fn tune(&self) -> Option<&Tune> {
        self.tune.as_ref()
    }

    /// The cost profile that the scenario names, without the values that the scenario sets itself.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The plan that the scenario gives with this seed.
    pub fn plan(&self, seed: u64) -> RunPlan {
        let scheduling_seed = xxh3_64_with_seed(b"scheduling", seed);
        let mut plan = RunPlan { seed, scheduling_seed, ..self.template.clone() };
        if let Some(swarm) = &self.swarm {
            swarm.draw(&mut plan);
        }
        // Stands before what a swarm drew: without a swarm it is all that differs between two seeds.
        plan.options.insert(0, ("scheduling_seed".to_owned(), format!("{scheduling_seed:#018x} (drawn)")));
        plan
    }
}

/// What the engine says when the only checkpoints left would put out again what is already committed.
pub(crate) const NO_WAY_BACK: &str = "falling back is not possible";

/// What is found at the path of an input file; `None` for generated records.
type Input = Option<Result<InputFacts, InputFault>>;

/// What the sections say.
struct Read {
    plan: RunPlan,
    swarm: Option<Swarm>,
    tune: Option<Tune>,
    profile: Profile,
    input: Input,
}

/// Reads every section. `None` if there is no `[job]`: without it the rules have nothing to check.
fn read_scenario(reader: &mut Reader, root: &DeTable, path: &Path, catalogue: &JobCatalogue) -> Option<Read> {
    let top = Table { section: "the top level", at: 0..0, entries: root };
    reader.known_keys(&top);
    let help = "name the scenario as its file: name = \"...\"";
    let name = reader.required(&top, "name", "scenario", help, value::kebab_case);
    if let Some(name) = &name {
        matches_file(reader, name, path);
    }
    let help = "say in a sentence what this scenario proves: why = \"...\"; it is printed with every failure";
    let why = reader.required(&top, "why", "why", help, value::non_empty).unwrap_or_default();

    let folder = path.parent().unwrap_or(Path::new(""));
    let checkpointing = section(reader, &top, "checkpointing", "[checkpointing]", "job.config.checkpoints");
    let cluster = section(reader, &top, "cluster", "[cluster]", "cluster");
    let engine = section(reader, &top, "engine", "[engine]", "job.config");
    let expect = section(reader, &top, "expect", "[expect]", "expect");
    let job = section(reader, &top, "job", "[job]", "job");
    let swarm = section(reader, &top, "swarm", "[swarm]", "swarm");
    let tune = section(reader, &top, "tune", "[tune]", "tune");
    if top.get("job").is_none() {
        let help = "add a section [job] with name = \"...\" and input = { ... }";
        reader.missing(&top, &["job"], "job", help);
    }

    let job = job.map(|table| job::job(reader, &table, folder, catalogue));
    let profile = settings::profile(reader, cluster.as_ref(), folder);
    let cluster = settings::cluster(reader, cluster.as_ref(), &profile);
    let checkpoints = settings::checkpointing(reader, checkpointing.as_ref(), &profile);
    let parallelism = job.as_ref().map_or(1, |job| job.parallelism);
    let config = settings::engine(reader, engine.as_ref(), parallelism, checkpoints, &profile);
    let faults = fault::faults(reader, root.get("fault"));
    let states_end = expect.as_ref().is_some_and(|table| table.get("job").is_some());
    let mut expect = expect::expect(reader, expect.as_ref());
    let mut swarm = swarm.map(|table| swarm::swarm(reader, &table, &top));
    if swarm.is_some() && !states_end {
        // Some seeds damage the newest checkpoint after its output was committed.
        expect.job = ExpectedEnd::FinishedOrFailed(NO_WAY_BACK.to_owned());
        let end = format!("finished, or after damage failed({NO_WAY_BACK}) (default)");
        reader.options.retain(|(name, _)| name != "expected end");
        reader.options.push(("expected end".to_owned(), end));
    }
    let options = reader.options.len();
    let tune = tune.map(|table| tune::tune(reader, &table));
    // These settings do not influence a run of this scenario itself.
    reader.options.truncate(options);
    let limit = reader.read(&top, "time_limit", "time_limit", value::duration);
    let heal_at = reader.read(&top, "heal_at", "heal_at", value::duration);

    let job = job?;
    let input = match &job.input.source {
        InputSource::File { path, .. } => Some(input_file::examine(path)),
        InputSource::Generator { .. } => None,
    };
    let time_limit = limit.unwrap_or_else(|| {
        let (limit, why) = default_time_limit(&job.input, job.rate, input.as_ref());
        reader.options.push(("time_limit".to_owned(), format!("{} (default: {why})", units::format_duration(limit))));
        limit
    });
    if let Some(swarm) = &mut swarm {
        swarm.written = reader.spans.keys().cloned().collect();
        let entry = catalogue.get(&job.name);
        (swarm.vertices, swarm.keyed) = entry.map_or((1, false), |entry| (entry.vertices, entry.keyed));
    }
    let plan = RunPlan {
        version: PLAN_VERSION,
        scenario: name.unwrap_or_default(),
        why,
        file: path.display().to_string(),
        seed: 0,
        scheduling_seed: 0,
        redraws: Vec::new(),
        job: JobPlan { name: job.name, params: job.params, input: job.input, config },
        cluster,
        target: TargetPlan::Sim,
        faults,
        swarm: false,
        heal_at,
        expect,
        time_limit,
        options: std::mem::take(&mut reader.options),
        prediction: None,
    };
    Some(Read { plan, swarm, tune, profile, input })
}

/// The table under `key`, if there is one.
fn section<'d>(reader: &mut Reader, top: &Table<'d>, key: &str, name: &'static str, path: &str) -> Option<Table<'d>> {
    let value: &'d Spanned<DeValue<'d>> = top.get(key)?;
    reader.table(name, value, path)
}

/// A scenario is found by its file and reported by its name, so the two must be the same word.
fn matches_file(reader: &mut Reader, name: &str, path: &Path) {
    let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy()) else { return };
    if stem != name {
        let message = format!("the scenario is called `{name}`, but its file is {stem}.toml");
        let help = format!("write name = \"{stem}\", or rename the file to {name}.toml");
        let span = reader.spans.get("scenario").cloned().unwrap_or(0..0);
        reader.problems.push(Problem::new("name-differs", message, help).at(span, "must equal the file's name"));
    }
}

/// Three times the time in which the input arrives, plus two minutes for recoveries; five minutes if all input is there
/// at once.
fn default_time_limit(
    input: &InputPlan,
    rate: Option<Rate>,
    file: Option<&Result<InputFacts, InputFault>>,
) -> (Duration, String) {
    let records = match (&input.source, file) {
        (InputSource::Generator { records, .. }, _) => *records,
        (InputSource::File { repeat, .. }, Some(Ok(facts))) => facts.lines.saturating_mul((*repeat).into()),
        (InputSource::File { .. }, _) => 0,
    };
    match rate.filter(|rate| rate.milli > 0) {
        None => (Duration::from_secs(300), "no rate is given".to_owned()),
        Some(rate) => {
            let arrival = rate.time_for(records);
            let limit = (arrival * 3 + Duration::from_secs(120)).min(units::DURATION_MAX);
            (limit, format!("3 × {} of input + 120s", units::format_duration(arrival)))
        }
    }
}

/// Longest text of a scenario or a plan. The largest plans, of swarms with many faults, have a few hundred kilobytes.
const TEXT_MAX: u64 = 64 << 20;

/// The text of a file, or where it stops being text.
fn read_text(path: &Path) -> Result<String, ScenarioError> {
    let file = std::fs::File::open(path).map_err(|error| discover::unreadable(path, &error))?;
    let mut bytes = Vec::new();
    // Reads no more than the limit, because some files, such as /dev/zero, have no end.
    file.take(TEXT_MAX + 1).read_to_end(&mut bytes).map_err(|error| discover::unreadable(path, &error))?;
    if bytes.len() as u64 > TEXT_MAX {
        let message = format!("{} is longer than {}", path.display(), units::format_size(TEXT_MAX));
        let help = "name a scenario, or a plan: neither is ever that long";
        return Err(ScenarioError::of_path(path, Problem::new("too-long", message, help)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message =
            format!("{} is not text: bytes that are no UTF-8 in line {line}, at byte offset {at}", path.display());
        let help = "save the file as UTF-8 text";
        ScenarioError::of_path(path, Problem::new("not-text", message, help))
    })
}
