//! Rules for the job and its input: the name is registered, the job has the parameters, and the input exists and has
//! records.

use std::path::Path;

use flowquake_engine::graph::SPLITS_MAX;

use super::Finding;
use crate::checker::{JobCatalogue, JobEntry};
use crate::plan::{InputSource, RunPlan};
use crate::reader::suggest;
use crate::scenario::input_file::{self, InputFacts, InputFault};
use crate::units;

/// More records than this are a typing mistake: no machine makes so many in a year.
const RECORDS_MAX: u64 = 1_000_000_000_000;

/// Longest time in seconds in which an input may arrive: ten years, which virtual time can easily hold.
const ARRIVAL_MAX: f64 = 10.0 * 365.0 * 24.0 * 3600.0;

pub(super) fn check(
    plan: &RunPlan,
    catalogue: &JobCatalogue,
    input: Option<&Result<InputFacts, InputFault>>,
    found: &mut Vec<Finding>,
) {
    match catalogue.get(&plan.job.name) {
        Some(entry) => {
            params(plan, entry, found);
            let before = found.len();
            accepts(plan, entry, found);
            // A job whose input is unusable cannot be asked about its parameters.
            if found.len() == before && !matches!(input, Some(Err(_))) {
                values(plan, entry, found);
            }
        }
        None => {
            let message = format!("no job is registered as `{}`", plan.job.name);
            let help = suggest::choose(&plan.job.name, &catalogue.names());
            found.push(Finding::new("unknown-job", message, help).at("job.name", "unknown job"));
        }
    }
    numbers(plan, found);
    amount(plan, input, found);
    if let (InputSource::File { path, .. }, Some(Err(fault))) = (&plan.job.input.source, input) {
        found.push(unusable_file(path, fault));
    }
}

fn params(plan: &RunPlan, entry: &JobEntry, found: &mut Vec<Finding>) {
    let names = entry.param_names();
    for name in plan.job.params.keys().filter(|name| !names.contains(&name.as_str())) {
        let message = format!("job `{}` has no parameter `{name}`", plan.job.name);
        let help = match entry.params.is_empty() {
            true => "this job takes no parameters: remove `params`".to_owned(),
            false => {
                let list = entry.params.iter().map(|p| format!("`{}` ({}; default {})", p.name, p.meaning, p.default));
                let list = format!("accepted: {}", list.collect::<Vec<_>>().join(", "));
                suggest::guess_then(suggest::nearest(name, &names), &list)
            }
        };
        let finding = Finding::new("unknown-parameter", message, help);
        found.push(finding.at(format!("job.params.{name}"), "unknown parameter").given("job.name"));
    }
}

/// Asks the job about the values of its parameters. To find which of them it refuses, each is asked about alone.
fn values(plan: &RunPlan, entry: &JobEntry, found: &mut Vec<Finding>) {
    let Some(check) = entry.accepts.as_ref().filter(|_| !entry.params.is_empty()) else { return };
    if plan.job.config.validate().is_err() || !(1..=SPLITS_MAX).contains(&plan.job.input.splits) {
        return;
    }
    // Rates are judged elsewhere, and may be anything here.
    let mut asked = plan.clone();
    asked.job.input.rate = None;
    let Some(all) = check.refusal(&asked) else { return };
    let defaults = || entry.params.iter().map(|param| (param.name.clone(), param.default.clone()));
    let mut told = false;
    for param in &entry.params {
        let Some(value) = plan.job.params.get(&param.name).filter(|value| **value != param.default) else { continue };
        asked.job.params = defaults().collect();
        asked.job.params.insert(param.name.clone(), value.clone());
        if let Some(what) = check.refusal(&asked) {
            told = true;
            let name = &param.name;
            let help = format!("write what it takes, or leave `{name}` out: then it is {}", param.default);
            let finding = Finding::new("bad-parameter", format!("job `{}`: {what}", plan.job.name), help);
            found.push(finding.at(format!("job.params.{name}"), "not accepted by this job").given("job.name"));
        }
    }
    if !told {
        let help = "write what the job takes; `flowquake list jobs` shows its parameters";
        let finding = Finding::new("bad-parameter", format!("job `{}`: {all}", plan.job.name), help);
        found.push(finding.at("job.params", "not accepted by this job").given("job.name"));
    }
}

fn accepts(plan: &RunPlan, entry: &JobEntry, found: &mut Vec<Finding>) {
    let generators: Vec<&str> = entry.generators.iter().map(String::as_str).collect();
    let job = &plan.job.name;
    let finding = match &plan.job.input.source {
        InputSource::Generator { name, .. } if generators.is_empty() => Finding::new(
            "unknown-generator",
            format!("job `{job}` takes no generated records, but the generator is `{name}`"),
            "give it a text file: input = { file = \"words.txt\" }",
        )
        .at("job.input.source.generator.name", "not accepted by this job"),
        InputSource::Generator { name, .. } if !generators.contains(&name.as_str()) => {
            let (message, help) =
                (format!("job `{job}` takes no records of a generator `{name}`"), suggest::choose(name, &generators));
            Finding::new("unknown-generator", message, help).at("job.input.source.generator.name", "unknown generator")
        }
        InputSource::File { .. } if !entry.accepts_file => {
            let help = format!("give it generated records, from {}", suggest::quoted(&generators));
            Finding::new("file-not-accepted", format!("job `{job}` does not read files"), help)
                .at("job.input.source.file.path", "not accepted by this job")
        }
        _ => return,
    };
    found.push(finding.given("job.name"));
}

fn numbers(plan: &RunPlan, found: &mut Vec<Finding>) {
    let input = &plan.job.input;
    match input.splits {
        1..=SPLITS_MAX => {}
        splits => {
            let help = format!(
                "write 1 to {SPLITS_MAX}; as many as the parallelism ({}) keep all source subtasks busy",
                plan.job.config.parallelism
            );
            let finding = Finding::new("bad-splits", format!("an input cannot have {splits} splits"), help);
            found.push(finding.at("job.input.splits", "out of range"));
        }
    }
    match &input.source {
        InputSource::File { repeat: 0, .. } => {
            let help = "write how often the file is read, at least 1, or leave `repeat` out";
            let finding = Finding::new("no-records", "the file is read 0 times: the job would have no input", help);
            found.push(finding.at("job.input.source.file.repeat", "at least 1"));
        }
        InputSource::Generator { records: 0, .. } => {
            let help =
                "write how many records are generated, at least 1; enough for a few checkpoints at the given rate";
            let finding = Finding::new("no-records", "0 records are generated: the job would have no input", help);
            found.push(finding.at("job.input.source.generator.records", "at least 1"));
        }
        _ => {}
    }
    // Written so that NaN is refused, too, which the opposite comparison would let through.
    let in_range = |rate: f64| rate > 0.0 && rate <= units::RATE_MAX as f64;
    if let Some(rate) = input.rate.filter(|rate| !in_range(*rate)) {
        let message = format!("at a rate of {rate}/s no record ever arrives, or all at once");
        let help = "write a rate above zero such as \"2000/s\", or leave `rate` out: then everything is there at once";
        found.push(Finding::new("bad-rate", message, help).at("job.input.rate", "out of range"));
    }
}

/// Refuses more records than can be made, and records that would arrive after the end of virtual time.
fn amount(plan: &RunPlan, input: Option<&Result<InputFacts, InputFault>>, found: &mut Vec<Finding>) {
    let (records, path) = match (&plan.job.input.source, input) {
        (InputSource::Generator { records, .. }, _) => (*records, "job.input.source.generator.records"),
        (InputSource::File { repeat, .. }, Some(Ok(facts))) => {
            (facts.lines.saturating_mul((*repeat).into()), "job.input.source.file.repeat")
        }
        _ => return,
    };
    if records > RECORDS_MAX {
        let help = format!("write up to {RECORDS_MAX}; with `record_weight` in [cluster], few records stand for many");
        let finding = Finding::new("too-many-records", format!("{records} records can never be made"), help);
        found.push(finding.at(path, "too many"));
        return;
    }
    let Some(rate) = plan.job.input.rate.filter(|rate| *rate > 0.0) else { return };
    let seconds = records as f64 / rate;
    if seconds > ARRIVAL_MAX {
        let message = format!(
            "{records} records at {rate}/s arrive within {:.0} years, beyond the ten that virtual time may last",
            seconds / (ARRIVAL_MAX / 10.0)
        );
        let finding = Finding::new("too-long", message, "write fewer records, or a higher rate");
        found.push(finding.at(path, "too many").at("job.input.rate", "at this rate"));
    }
}

fn unusable_file(path: &Path, fault: &InputFault) -> Finding {
    let shown = path.display();
    let (code, message, label, help) = match fault {
        InputFault::Missing => {
            let rest = "a relative path counts from the scenario's folder, in a plan from the current one";
            let help = suggest::guess_then(input_file::similar_name(path).as_deref(), rest);
            ("missing-input", format!("there is no input file {shown}"), "not found".to_owned(), help)
        }
        InputFault::Empty => {
            let help = "a job without input proves nothing: put a line into the file, or name another".to_owned();
            ("empty-input", format!("input file {shown} is empty"), "0 bytes".to_owned(), help)
        }
        InputFault::Folder => {
            let help = "name a text file inside it".to_owned();
            ("missing-input", format!("{shown} is a folder"), "not a file".to_owned(), help)
        }
        InputFault::Unreadable(cause) => {
            let help = "check the file's permissions".to_owned();
            ("unreadable-input", format!("input file {shown} cannot be read: {cause}"), "unreadable".to_owned(), help)
        }
        InputFault::Binary { what, line, offset } => {
            let message = format!("input file {shown} is not text: {what} in line {line}, at byte offset {offset}");
            let help =
                "a job reads lines of UTF-8 text: convert the file (such as with iconv), or name another".to_owned();
            ("binary-input", message, format!("line {line}, byte {offset}"), help)
        }
    };
    Finding::new(code, message, help).at("job.input.source.file.path", label)
}
