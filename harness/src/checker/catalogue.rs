//! What a scenario file may ask for: the registered jobs, as far as a reader of files must know them.
//!
//! The registry that can *run* jobs holds Rust closures. This is its table of contents, so that files can be checked
//! and listed without building a job. Start at [`JobCatalogue::get`].
//!
//! Everything is ordered (`BTreeMap`, `Vec`), because messages list names, and tests compare messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::plan::RunPlan;

/// The jobs that scenarios may name.
#[derive(Debug, Clone, Default)]
pub struct JobCatalogue {
    /// Jobs by name.
    pub jobs: BTreeMap<String, JobEntry>,
}

/// What is known about a job before it is built.
#[derive(Debug, Clone, Default)]
pub struct JobEntry {
    /// One line for listings.
    pub description: String,
    /// The job's parameters; a scenario that names any other parameter is refused.
    pub params: Vec<JobParam>,
    /// Names of the generators whose records the job understands.
    pub generators: Vec<String>,
    /// Whether the job reads lines of a text file.
    pub accepts_file: bool,
    /// Number of operator chains in the job's graph; triggers name them `0..vertices`.
    pub vertices: u16,
    /// Whether the job keeps keyed state, and so has state files that can be damaged.
    pub keyed: bool,
    /// Asks the job whether it accepts the values of its parameters; `None`: only the names are checked.
    pub accepts: Option<ParamCheck>,
}

/// Asks a job about the parameters of a plan: it accepts them, or says why it refuses them.
#[derive(Clone)]
pub struct ParamCheck(Arc<Ask>);

type Ask = dyn Fn(&RunPlan) -> Result<(), String> + Send + Sync;

impl ParamCheck {
    /// A check by this function.
    pub fn new(ask: impl Fn(&RunPlan) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Why the job refuses the parameters of `plan`, if it does.
    pub fn refusal(&self, plan: &RunPlan) -> Option<String> {
        (self.0)(plan).err()
    }
}

impl fmt::Debug for ParamCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParamCheck")
    }
}

/// A parameter of a job. The job parses its value, and is asked whether it accepts it ([`ParamCheck`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobParam {
    /// Name in `[job] params`.
    pub name: String,
    /// Value if the scenario sets none. It is written into the plan, so that a saved plan stays the same if the default
    /// changes.
    pub default: String,
    /// What the parameter does, in a few words.
    pub meaning: String,
}

impl JobCatalogue {
    /// The job with this name.
    pub fn get(&self, name: &str) -> Option<&JobEntry> {
        self.jobs.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.jobs.keys().map(String::as_str).collect()
    }
}

impl JobEntry {
    /// Names of the parameters, in the job's order.
    pub fn param_names(&self) -> Vec<&str> {
        self.params.iter().map(|param| param.name.as_str()).collect()
    }
}
