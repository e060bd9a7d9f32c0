//! What a run plan must fulfil before it may run, whether it was made from a scenario file or edited by hand.
//!
//! Start at [`check`]. Rules see only the plan and return [`Finding`]s that name places by *plan path*
//! (`faults[0].trigger.on`). [`report`] turns these paths into places of the text, which is TOML for a scenario and
//! JSON for a plan.
//!
//! Invariants: (RULES-C1) no plan, however odd, makes a rule panic or loop; (RULES-C2) a finding names its path, the
//! value it found, and the remedy; (RULES-C3) a finding that depends on a refused value is dropped ([`report`]).

use super::input_file::{InputFacts, InputFault};
use crate::checker::{Finding, JobCatalogue};
use crate::plan::{InputSource, RunPlan};
use crate::reader::{Problem, Span};

mod expect;
mod faults;
mod job;
mod pace;
pub(super) mod settings;
pub(super) mod swarm;

/// All offences of `plan`; `input` is what was found at the path of its input file, if it has one.
pub(super) fn check(
    plan: &RunPlan,
    catalogue: &JobCatalogue,
    input: Option<&Result<InputFacts, InputFault>>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let entry = catalogue.get(&plan.job.name);
    job::check(plan, catalogue, input, &mut found);
    settings::check(plan, &mut found);
    pace::check(plan, &mut found);
    let lines = match (&plan.job.input.source, input) {
        (InputSource::File { repeat, .. }, Some(Ok(facts))) => Some(facts.lines.saturating_mul((*repeat).into())),
        _ => None,
    };
    faults::check(plan, entry, lines, &mut found);
    expect::check(plan, &mut found);
    found
}

/// What kind of text the findings are about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// A scenario: values that are not written there have their defaults.
    Scenario,
    /// A plan: all values are written, and its readers see plan paths.
    Plan,
}

/// The findings as problems of a text, without those that depend on a value at a `tainted` path.
pub(super) fn report(
    found: Vec<Finding>,
    tainted: &[String],
    locate: impl Fn(&str) -> Option<Span>,
    wording: Wording,
) -> impl Iterator<Item = Problem> {
    let sound = move |finding: &Finding| !tainted.iter().any(|path| finding.leans_on(path));
    found.into_iter().filter(sound).map(move |finding| {
        let mut places = finding.places.into_iter();
        let (path, label) = places.next().unwrap_or_default();
        let message = match wording {
            Wording::Scenario => finding.message,
            Wording::Plan => format!("{path}: {}", finding.message),
        };
        let (span, label) = match locate(&path) {
            Some(span) => (span, label),
            // A value that is not written is shown at the section that could hold it.
            None => (enclosing(&path, &locate).unwrap_or(0..0), format!("{label} (by default)")),
        };
        let mut problem = Problem::new(finding.code, message, finding.help).at(span, label);
        for (path, label) in places {
            if let Some(span) = locate(&path) {
                problem = problem.at(span, label);
            }
        }
        problem
    })
}

/// Where the nearest written value around `path` stands.
fn enclosing(path: &str, locate: &impl Fn(&str) -> Option<Span>) -> Option<Span> {
    let mut path = path;
    while let Some(end) = path.rfind(['.', '[']) {
        path = &path[..end];
        if let Some(span) = locate(path) {
            return Some(span);
        }
    }
    None
}
