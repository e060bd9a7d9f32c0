//! What a scenario file may ask for: the registered jobs, as far as a reader of files has to know them.
//!
//! The registry that can *run* jobs holds Rust closures; this is its table of contents, so that files can be checked, and
//! listed, without building a job. Start at [`JobCatalogue::get`].
//!
//! Everything is ordered (`BTreeMap`, `Vec`), since names are listed in messages and messages are compared in tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::plan::RunPlan;

/// The jobs that scenarios may name.
#[derive(Debug, Clone, Default)]
pub struct JobCatalogue {
    /// By name.
    pub jobs: BTreeMap<String, JobEntry>,
}

/// What is known of one job before it is built.
#[derive(Debug, Clone, Default)]
pub struct JobEntry {
    /// One line for listings.
    pub description: String,
    /// Its parameters; a scenario that names another one is refused.
    pub params: Vec<JobParam>,
    /// Names of the generators whose records it understands.
    pub generators: Vec<String>,
    /// Whether it reads lines of a text file.
    pub accepts_file: bool,
    /// Operator chains of its graph; triggers name them `0..vertices`.
    pub vertices: u16,
    /// Whether it keeps keyed state, hence has state files that can be damaged.
    pub keyed: bool,
    /// Asks the job whether it takes the values of its parameters; `None`: only their names are checked.
    pub accepts: Option<ParamCheck>,
}

/// What a job says to the parameters of a plan: nothing, or why it refuses them.
#[derive(Clone)]
pub struct ParamCheck(Arc<Ask>);

type Ask = dyn Fn(&RunPlan) -> Result<(), String> + Send + Sync;

impl ParamCheck {
    /// With this function.
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

/// A parameter of a job. The job parses its value, and is asked about it ([`ParamCheck`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobParam {
    /// Name in `[job] params`.
    pub name: String,
    /// Value where the scenario is silent; written into the plan, so that a saved plan outlives a change of it.
    pub default: String,
    /// What it does, in a few words.
    pub meaning: String,
}

impl JobCatalogue {
    /// The job of that name.
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
