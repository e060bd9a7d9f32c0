//! What a rule about plans sees and returns: findings that name places by *plan path*, and the data that the rules of
//! one fault share.
//!
//! Start at [`Finding`], and for faults at [`Rules`]. `victim` says which node a target stands for, `events` which
//! process emits an event, and [`Length`] how long something lasts. `catalogue` says what jobs accept. The rules
//! themselves are in modules above this one: those of each kind of fault in the kind's file, the others with the reader
//! of scenario files.

use std::time::Duration;

use crate::plan::{FaultPlan, RunPlan};
use crate::units;

pub mod catalogue;
mod events;
mod link;
mod victim;

pub use catalogue::{JobCatalogue, JobEntry, JobParam, ParamCheck};
pub(crate) use events::{Emitter, emitter, needs_inputs, never_emitted};
pub(crate) use victim::Known;

/// Madsim drops a killed node's tasks one by one, and the node's next life may begin only after that. Repeated actions
/// must not come sooner either, because no message would arrive in between.
pub(crate) const LIFE_MIN: Duration = Duration::from_millis(1);

/// One offence against a rule.
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
    /// Path and label of each place; the first place is the offence.
    pub(crate) places: Vec<(String, String)>,
    /// Further paths whose values led to this finding.
    given: Vec<String>,
}

impl Finding {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), places: Vec::new(), given: Vec::new() }
    }

    /// Adds a place with a label.
    pub(crate) fn at(mut self, path: impl Into<String>, label: impl Into<String>) -> Self {
        self.places.push((path.into(), label.into()));
        self
    }

    /// Adds a value that the finding depends on without showing it.
    pub(crate) fn given(mut self, path: impl Into<String>) -> Self {
        self.given.push(path.into());
        self
    }

    /// Whether the finding depends on the value at `tainted`, or on something inside that value.
    pub(crate) fn leans_on(&self, tainted: &str) -> bool {
        let within = |path: &String| {
            path.strip_prefix(tainted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.places.iter().map(|(path, _)| path).chain(&self.given).any(within)
    }
}

/// A duration of a fault.
pub(crate) struct Length {
    /// Plan path below the fault.
    pub(crate) path: &'static str,
    /// How long.
    pub(crate) duration: Duration,
    /// The key in scenario files that sets it.
    pub(crate) key: &'static str,
    /// The least duration, and what a shorter one would mean.
    pub(crate) least: Option<(Duration, &'static str)>,
}

impl Length {
    /// A duration without a least value. Its key is the last part of the path.
    pub(crate) fn new(path: &'static str, duration: Duration) -> Self {
        let key = path.rsplit('.').next().unwrap_or(path);
        Self { path, duration, key, least: None }
    }

    /// The time after which a fault ends, if it ends.
    pub(crate) fn until_end(path: &'static str, after: Option<Duration>) -> Vec<Self> {
        let over = "the fault would be over before it began; leave it out, and it lasts";
        after.map(|after| Self::new(path, after).above_zero(over)).into_iter().collect()
    }

    /// The same with another key.
    pub(crate) fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// The same with a least duration: a shorter one would mean `meaning`.
    pub(crate) fn at_least(self, least: Duration, meaning: &'static str) -> Self {
        Self { least: Some((least, meaning)), ..self }
    }

    /// The same, but zero is refused: it would mean `meaning`.
    pub(crate) fn above_zero(self, meaning: &'static str) -> Self {
        self.at_least(Duration::from_nanos(1), meaning)
    }
}

/// The data that all rules of one fault use.
pub(crate) struct Rules<'p> {
    pub(crate) plan: &'p RunPlan,
    pub(crate) entry: Option<&'p JobEntry>,
    /// Number of lines of the input file, including repetitions, if the file could be read.
    pub(crate) lines: Option<u64>,
    pub(crate) id: u32,
    pub(crate) fault: &'p FaultPlan,
    /// Path of the fault, such as `faults[0]`.
    pub(crate) path: String,
    /// If the fault strikes in rounds: how many rounds, and the path of that number below the action.
    pub(crate) rounds: Option<(u32, &'static str)>,
    pub(crate) found: &'p mut Vec<Finding>,
}

impl Rules<'_> {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The plan path of something below the action.
    pub(crate) fn at(&self, below: &str) -> String {
        format!("{}.action.{below}", self.path)
    }

    /// The plan path of the trigger.
    pub(crate) fn trigger_path(&self) -> String {
        format!("{}.trigger", self.path)
    }

    /// Refuses a number that is too small to do anything.
    pub(crate) fn at_least(&mut self, number: u64, least: u64, below: &str, meaning: &str) {
        if number < least {
            let field = below.rsplit('.').next().unwrap_or(below);
            let message = format!("`{field}` cannot be {number}: {meaning}");
            let finding = Finding::new("no-effect", message, format!("write {least} or more"));
            self.push(finding.at(self.at(below), format!("at least {least}")));
        }
    }

    /// Refuses a duration that ends before a standby takes over. A duration of zero is refused by another rule.
    pub(crate) fn outlasts_the_lease(&mut self, length: Duration, below: &str, what: &str) {
        let lease = self.plan.job.config.lease;
        if length < lease && !length.is_zero() {
            let (length, lease) = (units::format_duration(length), units::format_duration(lease));
            let message = format!("{what} {length}, but a standby takes over only after the lease, {lease}");
            let help = format!("write more than {lease}, or a shorter lease into [engine]");
            let finding = Finding::new("no-effect", message, help).at(self.at(below), "shorter than the lease");
            self.push(finding.at("job.config.lease", "the lease"));
        }
    }
}
