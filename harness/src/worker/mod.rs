//! Executes each run in a separate process, so that user code which harms its process does not harm the sweep.
//!
//! ```text
//! flowquake run (keeps plans, records, reports)
//!   ├─ thread ── Worker ──(socket)── process `run-worker`: makes one run after another
//!   └─ thread ── Worker ──(socket)── process `run-worker`
//! ```
//! Start at [`Worker::make`]. A worker is this same executable, started again with a hidden subcommand. So a program
//! that adds its own jobs and calls [`crate::main`] has these jobs in its workers, too. The sweep sends an [`Order`]
//! with a plan; the worker returns an [`Answer`] and the record as JSON. They travel as frames ([`frame`]) over a
//! socket that is the worker's standard input. A worker that dies is replaced; its run gets the verdict `crashed`,
//! which says how the worker died. `process` is the sweep's side, `child` the worker's side, and `death` has the texts.
//!
//! Invariants: (WORKER-W1) a run is answered by a record, whatever it does to its process; (WORKER-W2) no run shares a process with the
//! thread of one that was given up; (WORKER-W3) a worker does not outlive who started it; (WORKER-W4) what is printed in a worker goes to
//! standard error, and never into the protocol.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::{Course, RunRecord, Verdict};
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::outcome::Outcome;
use crate::plan::RunPlan;
use crate::search::signature::Signature;
use crate::search::survey::Survey;
use crate::session::Depth;

mod child;
mod death;
mod frame;
mod process;
mod usage;

pub use child::{WorkerArgs, serve};
pub(crate) use process::{Made, Unmade, Worker};

/// The first words of a worker's command line.
pub(crate) const FIRST_WORDS: [&str; 2] = ["run-worker", "--cpu-ms"];

/// How workers are started, and the limits of each of their runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Limit for the memory of the process, in bytes.
    pub(crate) memory: u64,
    /// Limit for the processor time of a run.
    pub(crate) cpu: Duration,
    /// Which log lines the engine prints, in a form that the hidden subcommand reads.
    pub(crate) log: String,
    /// The folder of the Apache Flink for runs on Flink; `None`: the environment names the folder.
    pub(crate) flink_home: Option<PathBuf>,
}

impl Default for Terms {
    /// The defaults of the command line's options.
    fn default() -> Self {
        Self { memory: 4 << 30, cpu: Duration::from_secs(600), log: "off".into(), flink_home: None }
    }
}

/// A run to be executed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) plan: RunPlan,
    pub(crate) depth: Depth,
    /// The command that makes this run again.
    pub(crate) replay: String,
    /// Whether the plan is run again in another process, and the hashes compared.
    pub(crate) verify: bool,
    /// Where the trace goes.
    pub(crate) trace: Option<PathBuf>,
    /// Whether a record that passed is reduced to what totals need.
    pub(crate) slim: bool,
    /// Whether the signature of the run is asked for, too.
    pub(crate) signature: bool,
    /// Whether the steps of its events are asked for, too ([`crate::search::hunt::signals`]).
    pub(crate) steps: bool,
    /// Whether its events, messages and writes are asked for, too.
    pub(crate) survey: bool,
    /// Bugs to be planted in the engine; needs a build with the feature `mutations`.
    pub(crate) mutations: Vec<Mutation>,
}

impl Order {
    /// An order to run `plan` once and to judge what this run shows.
    pub(crate) fn quick(plan: RunPlan, replay: String) -> Self {
        Self {
            plan,
            depth: Depth::Quick,
            replay,
            verify: false,
            trace: None,
            slim: false,
            signature: false,
            steps: false,
            survey: false,
            mutations: Vec::new(),
        }
    }
}

/// What is known of a run besides its record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// How the run went, if the order asks for this.
    pub(crate) signature: Option<Box<Signature>>,
    /// Its steps, if the order asks for them.
    pub(crate) steps: Vec<u64>,
    /// What happened in the run, if the order asks for this and the process did not die.
    pub(crate) survey: Option<Box<Survey>>,
    /// Whether a planted bug took effect, as far as this is known: only if the process did not die.
    pub(crate) reached: bool,
    /// Planted bugs that the engine asked about. No other bug can change this run.
    pub(crate) asked: BTreeSet<Mutation>,
}

impl Seen {
    /// For a run of which only the record is known.
    fn nothing_of(order: &Order, record: &RunRecord) -> Self {
        let signature =
            order.signature.then(|| Box::new(Signature::of(&order.plan, &Outcome::nothing(), &record.verdict)));
        Self { signature, ..Self::default() }
    }
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It waits for orders.
    Ready,
    /// The run ended; its record is the next frame.
    Made {
        /// Problems besides the run, such as a file that could not be written. The verdict is valid all the same.
        problems: Vec<String>,
        /// The run's thread was given up and still runs (WORKER-W2).
        abandoned: bool,
        /// What else is known of the run.
        seen: Seen,
    },
    /// The machine could not carry out the run.
    Broken(Environment),
}

/// Drops details from the record of a passed run. What is left says what struck where, and how often each event was emitted.
fn slim(record: &mut RunRecord) {
    if record.verdict == Verdict::Passed {
        record.options = Vec::new();
        record.nodes = Vec::new();
        record.checkpoints = Vec::new();
        record.recoveries = Vec::new();
        record.timeline = Vec::new();
        record.course = Course::default();
        for fault in &mut record.faults {
            fault.detail = String::new();
        }
    }
}
