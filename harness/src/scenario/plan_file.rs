//! Run plans as files: pretty JSON that can be read, edited, kept beside a failure, and replayed.
//!
//! Start at [`load_plan`] and [`save_plan`]. A plan that was edited by hand is checked by the same rules as a scenario.
//! Problems are shown with their line and JSON path.

use std::path::Path;

use flowquake_reports::json::write_atomically;
use serde::Deserialize;

use super::json_places::Places;
use super::{input_file, rules};
use crate::checker::JobCatalogue;
use crate::plan::{InputSource, PLAN_VERSION, RunPlan};
use crate::reader::{Problem, ScenarioError, Span, suggest};

/// Reads a plan and checks it. A relative input path counts from the current folder, as when the plan was made.
pub fn load_plan(path: &Path, catalogue: &JobCatalogue) -> Result<RunPlan, ScenarioError> {
    let text = super::read_text(path)?;
    parse_plan(&text, path, catalogue)
}

/// Writes a plan as pretty JSON, as a whole or not at all: a plan that a crash cut short could not be replayed.
pub fn save_plan(path: &Path, plan: &RunPlan) -> Result<(), ScenarioError> {
    let failed = |cause: String| {
        let message = format!("plan {} cannot be written: {cause}", path.display());
        let problem = Problem::new("unwritable", message, "check that the folder exists and may be written to");
        ScenarioError::of_path(path, problem)
    };
    let mut json = serde_json::to_string_pretty(plan).map_err(|error| failed(error.to_string()))?;
    json.push('\n');
    write_atomically(path, json.as_bytes()).map_err(|error| failed(error.to_string()))
}

/// As [`load_plan`], for a text that was read already.
pub fn parse_plan(text: &str, path: &Path, catalogue: &JobCatalogue) -> Result<RunPlan, ScenarioError> {
    // Reads only the version first: a plan of another version may have fields that this version does not know.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let places = Places::of(text);
    if let Ok(Version { version }) = serde_json::from_str(text)
        && version != PLAN_VERSION
    {
        let message = format!("this plan has version {version}, but this build reads version {PLAN_VERSION}");
        let help =
            "make the plan anew from its scenario and seed with this build, or replay it with the build that wrote it";
        let span = places.get("version").unwrap_or(0..0);
        let problem = Problem::new("plan-version", message, help).at(span, "another version");
        return Err(ScenarioError::in_text(path, text, vec![problem]));
    }
    let plan: RunPlan = serde_json::from_str(text)
        .map_err(|error| ScenarioError::in_text(path, text, vec![unfit(text, &error, &places)]))?;
    let problems: Vec<Problem> = problems(&plan, catalogue, |at| places.get(at));
    if problems.is_empty() { Ok(plan) } else { Err(ScenarioError::in_text(path, text, problems)) }
}

/// What is wrong with a plan that was made and not read from a file, each problem with its code and path. Empty if the
/// plan may run.
pub fn plan_problems(plan: &RunPlan, catalogue: &JobCatalogue) -> Vec<String> {
    problems(plan, catalogue, |_| None).iter().map(|problem| format!("{}: {problem}", problem.code_name())).collect()
}

fn problems(plan: &RunPlan, catalogue: &JobCatalogue, locate: impl Fn(&str) -> Option<Span>) -> Vec<Problem> {
    let input = match &plan.job.input.source {
        InputSource::File { path, .. } => Some(input_file::examine(path)),
        InputSource::Generator { .. } => None,
    };
    let found = rules::check(plan, catalogue, input.as_ref());
    rules::report(found, &[], locate, rules::Wording::Plan).collect()
}

/// What `serde_json` refused, as a problem. `serde_json` gives line and column; the path and the word are found from
/// these.
fn unfit(text: &str, error: &serde_json::Error, places: &Places<'_>) -> Problem {
    let message = error.to_string();
    let message = message.rsplit_once(" at line").map_or(message.as_str(), |(message, _)| message);
    let offset = offset(text, error.line(), error.column());
    if error.is_syntax() || error.is_eof() {
        let help = "a plan is JSON, as written when a run is made; look for a missing comma, quote or bracket before this place";
        let problem = Problem::new("syntax", format!("this is no JSON: {message}"), help);
        return problem.at(offset.saturating_sub(1)..offset, "here, or shortly before");
    }
    // "unknown field `evnt`, expected one of `event`, `node`": the first word was read, the others are accepted.
    let mut words = message.split('`').skip(1).step_by(2);
    let read = words.next().filter(|_| message.starts_with("unknown"));
    let word = read.and_then(|read| {
        let quoted = format!("\"{read}\"");
        let start = text[..offset].rfind(&quoted)?;
        Some((start..start + quoted.len(), suggest::choose(read, &words.collect::<Vec<_>>())))
    });
    let enclosing = places.around(offset.saturating_sub(1));
    let path = enclosing.as_ref().map(|(path, _)| path.as_str()).filter(|path| !path.is_empty()).unwrap_or("the plan");
    if let Some((span, help)) = word {
        // The help lists the accepted words already.
        let message = message.split_once(", expected").map_or(message, |(message, _)| message);
        return Problem::new("bad-plan", format!("{path}: {message}"), help).at(span, "unknown");
    }
    let span = enclosing.as_ref().map_or(offset..offset, |(_, span)| span.clone());
    let help = "correct the value, or make the plan anew from its scenario";
    Problem::new("bad-plan", format!("{path}: {message}"), help).at(span, "does not fit")
}

/// The byte after the one at `line` and `column` (both from 1), moved to a character's border.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut offset = (start + column).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
