//! Runs in processes of their own: what user code does to its process, it does not do to the sweep.
//!
//! ```text
//! flowquake run (keeps plans, records, reports)
//!   ├─ thread ── Worker ──(socket)── process `run-worker`: makes one run after another
//!   └─ thread ── Worker ──(socket)── process `run-worker`
//! ```
//! Start at [`Worker::make`]. A worker is this same executable, started again with a hidden subcommand; so a program that adds
//! its own jobs and calls [`crate::main`] works the same. An [`Order`] with a plan goes down, an [`Answer`] and the record as
//! JSON come up, as frames ([`frame`]) over a socket that is the process' standard input. A worker that dies is replaced, and
//! its run is `crashed`, with how it died. `process` is the side of the sweep, `child` that of the run, `death` the words.
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

/// What the command line of a worker begins with.
pub(crate) const FIRST_WORDS: [&str; 2] = ["run-worker", "--cpu-ms"];

/// How workers are started, and what each of their runs may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Memory of its process.
    pub(crate) memory: u64,
    /// Processor time.
    pub(crate) cpu: Duration,
    /// The engine's log lines: a word that the hidden subcommand understands.
    pub(crate) log: String,
    /// The folder of the Apache Flink for runs on one; `None`: what the environment says.
    pub(crate) flink_home: Option<PathBuf>,
}

impl Default for Terms {
    /// What the options of the command line say where they are left out.
    fn default() -> Self {
        Self { memory: 4 << 30, cpu: Duration::from_secs(600), log: "off".into(), flink_home: None }
    }
}

/// A run to be made.
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
    /// Whether a run that passed keeps only what sums are made of.
    pub(crate) slim: bool,
    /// Whether the signature of the run is asked for, too.
    pub(crate) signature: bool,
    /// Whether the steps of its events are asked for, too ([`crate::search::hunt::signals`]).
    pub(crate) steps: bool,
    /// Whether its events, messages and writes are asked for, too.
    pub(crate) survey: bool,
    /// Bugs that are planted in the engine; only a build with the feature `mutations` can.
    pub(crate) mutations: Vec<Mutation>,
}

impl Order {
    /// To run `plan` once and judge what that shows.
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

/// What is seen of a run besides its record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// How it went, if the order asks for that.
    pub(crate) signature: Option<Box<Signature>>,
    /// Its steps, if the order asks for them.
    pub(crate) steps: Vec<u64>,
    /// What happened in it, if the order asks for that and its process lived to tell.
    pub(crate) survey: Option<Box<Survey>>,
    /// A planted bug made its mistake, as far as is known of a run whose process lived.
    pub(crate) reached: bool,
    /// Planted bugs that the engine asked about: no other can change this run.
    pub(crate) asked: BTreeSet<Mutation>,
}

impl Seen {
    /// Of a run of which nothing is known but its record.
    fn nothing_of(order: &Order, record: &RunRecord) -> Self {
        let signature =
            order.signature.then(|| Box::new(Signature::of(&order.plan, &Outcome::nothing(), &record.verdict)));
        Self { signature, ..Self::default() }
    }
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It waits for orders.
    Ready,
    /// The run is made; its record is the next frame.
    Made {
        /// What could not be done besides: the verdict stands all the same.
        problems: Vec<String>,
        /// The run's thread was given up and runs on (WORKER-W2).
        abandoned: bool,
        /// What else was seen of it.
        seen: Seen,
    },
    /// The machine could not keep the run.
    Broken(Environment),
}

/// Drops from a passed run what only its reader needs. What is left says what struck where, and what was emitted how often.
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
