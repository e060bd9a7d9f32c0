//! `flowquake flink`: which Apache Flink is on this machine, and what can be done with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::print::say;
use super::refuse_text;
use crate::environment::Environment;
use crate::flink::{self, ApacheFlink};

#[derive(Args)]
pub(super) struct FlinkArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say which version it is, what is missing, and what it offers
    Check {
        /// Its folder, the one that holds `lib` [default: what FLINK_HOME says]
        #[arg(long, value_name = "DIR")]
        flink_home: Option<PathBuf>,
    },
}

pub(super) fn flink(args: &FlinkArgs) -> ExitCode {
    let Verb::Check { flink_home } = &args.verb;
    match check(flink_home.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(missing) => refuse_text(&missing.what, &missing.remedy),
    }
}

fn check(given: Option<&Path>) -> Result<(), Environment> {
    let flink = ApacheFlink::find(given)?;
    let archive = flink.archive()?;
    say!("ok  {}", flink.home());
    say!("ok  the twins of the jobs: {}", archive.display());
    let kinds: Vec<&str> = flink::offered().faults.iter().map(|kind| kind.name()).collect();
    say!("ok  faults: {}", kinds.join(", "));
    Ok(())
}
