//! Shared code of the benchmarks: plans made from a few numbers, and a measure of processor time.

use std::path::Path;
use std::time::Duration;

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::outcome::Outcome;
use flowquake::plan::RunPlan;
use flowquake::scenario::Scenario;
use flowquake::session::execute;
use flowquake_reports::record::{RunRecord, Verdict};

/// The same allocator as in the `flowquake` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The reference cluster: one JobManager, four TaskManagers, parallelism 4, a checkpoint each second. `kill_at` seconds into
/// the run a TaskManager dies. Every fifth count of a key is output.
pub fn reference(records: u64, keys: u64, rate: Option<u64>, backend: &str, kill_at: Option<u64>) -> RunPlan {
    let rate = rate.map(|rate| format!(", rate = \"{rate}/s\"")).unwrap_or_default();
    let fault = kill_at.map(|at| {
        format!("[[fault]]\nat = \"{at}s\"\ndo = \"kill\"\ntarget = \"tm-2\"\nrestart_after = \"1s\"\n[expect]\nfailovers = 1\n")
    });
    let text = format!(
        r#"
name = "reference"
why = "measured"
time_limit = "100h"
[job]
name = "keyed-count"
params = {{ keys = {keys}, emit_every = 5 }}
input = {{ generator = "orders", records = {records}, splits = 4{rate} }}
parallelism = 4
[cluster]
task_managers = 4
slots = 1
[checkpointing]
interval = "1s"
backend = "{backend}"
{}
"#,
        fault.unwrap_or_default()
    );
    plan(&text)
}

/// A plan from the text of a scenario called `reference`.
pub fn plan(text: &str) -> RunPlan {
    let scenario = Scenario::parse(text, Path::new("reference.toml"), &catalogue(&Jobs::builtin()));
    scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error))).plan(1)
}

/// Runs a plan, with oracles and measurements; the run must pass. Returns the processor time of all of it.
pub fn measure(plan: &RunPlan) -> (RunRecord, Outcome, Duration) {
    let before = process_cpu();
    let (record, outcome) = execute(plan, &Jobs::builtin(), &[], String::new());
    let spent = process_cpu() - before;
    assert_eq!(record.verdict, Verdict::Passed, "{}", record.verdict.headline());
    (record, outcome, spent)
}

/// Processor time of all threads of this process so far.
pub fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
