//! `flowquake engine`: runs a job on the engine for real, in operating-system processes on this machine.
//!
//! ```text
//! launcher (this process): checks, supervises, shows progress
//!   ├─ job managers    one process each; one leads, and their events come back as JSON lines on their standard output
//!   └─ task managers   one process each
//! ```
//! A process that dies is restarted (`lives`), as an orchestrator would do. All processes are this same executable: a
//! child is started with the hidden subcommand of [`ProcessArgs`], reads what it should be from the first line of its
//! standard input, and ends when that pipe ends, however the launcher died. Start at [`run`]; `options`, `folders`,
//! `writable` and `claim` refuse bad input before anything is created, and `launcher` supervises.
//!
//! Exit codes: 0 the job finished, 1 it failed, 2 bad input or folders that cannot be used, 130 interrupted.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a shell around real processes: it drives tokio, pipes and signals itself"
)]

use std::io::Write;
use std::process::ExitCode;

use crate::jobs::Jobs;

mod claim;
mod committed;
mod control;
mod folders;
mod hooked_store;
mod job_manager;
mod launcher;
mod lives;
mod options;
mod private;
mod process;
mod progress;
mod restart_options;
mod status;
mod supervised;
mod task_manager;
mod writable;

pub(crate) use control::ControlPorts;
use folders::Owned;
use options::Options;
use private::keep_files_private;

pub use options::EngineArgs;
pub(crate) use process::{Orders, Role, SUBCOMMAND};
pub use process::{ProcessArgs, run_process};

/// All input processed, all output committed.
const FINISHED: u8 = 0;
/// The job was given up, or could not be started.
const FAILED: u8 = 1;
/// Something is wrong with the command line, the input, a folder or a port. Nothing was created, or it was removed
/// again.
const BAD_INPUT: u8 = 2;
/// Ctrl-C or SIGTERM.
const INTERRUPTED: u8 = 130;

/// Why a run is refused before it begins, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  help: {remedy}")]
struct Refused {
    what: String,
    remedy: String,
}

impl Refused {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// Prepares everything that a run needs before its first process is started. If it refuses, nothing is left behind.
fn prepare(args: &EngineArgs, jobs: &Jobs) -> Result<(Options, ControlPorts, Owned), Refused> {
    let options = args.check(jobs)?;
    let ports = ControlPorts::reserve(options.job_managers).map_err(|error| {
        let what = format!("no port can be had on 127.0.0.1 for each JobManager: {error}");
        Refused::new(what, "close programs that hold ports or open files, or raise the limit on open files (ulimit -n)")
    })?;
    let owned = folders::own(&options)?;
    Ok((options, ports, owned))
}

/// Runs a job to its end.
pub fn run(args: &EngineArgs, jobs: &Jobs) -> ExitCode {
    keep_files_private();
    let (options, control, owned) = match prepare(args, jobs) {
        Ok(prepared) => prepared,
        Err(refused) => {
            complain(format_args!("error: {refused}"));
            return BAD_INPUT.into();
        }
    };
    match launcher::launch(&options, control, owned) {
        Ok(launcher::Outcome::Finished) => FINISHED.into(),
        Ok(launcher::Outcome::Interrupted) => {
            complain("interrupted: committed output stays; go on with the same command and --resume");
            INTERRUPTED.into()
        }
        Ok(launcher::Outcome::Failed(cause)) => {
            complain(format_args!("error: the job failed: {cause}"));
            FAILED.into()
        }
        Ok(launcher::Outcome::GaveUp(cause)) => {
            complain(format_args!(
                "error: the run cannot go on: {cause}\n  help: committed output stays; mend the cause, then go on with the same command and --resume"
            ));
            FAILED.into()
        }
        Err(error) => {
            complain(format_args!("error: {error}"));
            FAILED.into()
        }
    }
}

/// Prints something on standard error, which may be closed or full.
fn complain(what: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
