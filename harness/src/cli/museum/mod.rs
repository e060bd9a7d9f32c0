//! `flowquake museum`: which check finds which planted bug, compared with a committed kill matrix.
//!
//! Only a build with the feature `mutations` has planted bugs; any other build says how to get one. Start at
//! [`museum`]. `visit.rs` makes the searches, `search.rs` makes one of them, and `journal.rs` keeps the results as they
//! come. Matrix, judgement and documents are in [`flowquake_reports::museum`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::museum::Method;

use super::limits;
#[cfg(not(feature = "mutations"))]
use super::refuse_text;
use crate::jobs::Jobs;

#[cfg(feature = "mutations")]
mod journal;
#[cfg(feature = "mutations")]
mod search;
#[cfg(feature = "mutations")]
mod strikes;
#[cfg(feature = "mutations")]
mod visit;
#[cfg(feature = "mutations")]
mod whole;

#[derive(Args)]
#[cfg_attr(
    not(feature = "mutations"),
    allow(dead_code, reason = "a build without planted bugs only says how to get one with them")
)]
pub(super) struct MuseumArgs {
    /// The kill matrix to hold this one against
    #[arg(long, value_name = "FILE", default_value = "scenarios/museum.json")]
    pub(super) baseline: PathBuf,
    /// Write the kill matrix, instead of judging; what is not searched again stays as it was
    #[arg(long)]
    pub(super) update: bool,
    /// Where the scenarios are
    #[arg(long, value_name = "FOLDER", default_value = "scenarios")]
    pub(super) scenarios: PathBuf,
    /// Only this bug; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) only: Vec<String>,
    /// Each bug in the scenario of the catalogue alone, by the oracle named there, and that scenario without it
    #[arg(long, conflicts_with_all = ["seeds", "starts", "by", "resume", "journal"])]
    pub(super) short: bool,
    /// Only by this method: scripted, swarm, exhaust; may be repeated [default: all]
    #[arg(long, value_name = "METHOD", value_parser = method)]
    pub(super) by: Vec<Method>,
    /// Runs of swarms at most, for each start
    #[arg(long, value_name = "RUNS", default_value_t = 1000)]
    pub(super) seeds: u64,
    /// From how many seeds a search by swarms begins anew; the median counts
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) starts: u64,
    /// Go on with the journal of a visit that was stopped
    #[arg(long)]
    pub(super) resume: bool,
    /// Where results are kept as they come [default: target/flowquake/museum.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
    /// Runs at the same time [default: one per core]
    #[arg(long)]
    pub(super) jobs: Option<usize>,
    /// Also write the matrix as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Also write it as a page
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) limits: limits::PerRun,
}

fn method(text: &str) -> Result<Method, String> {
    let names = Method::ALL.map(Method::name);
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    found.ok_or_else(|| format!("there is no such method; there are {}", names.join(", ")))
}

#[cfg(feature = "mutations")]
pub(super) fn museum(args: &MuseumArgs, jobs: &Jobs) -> ExitCode {
    whole::settled(args, jobs).unwrap_or_else(|code| code)
}

/// This build has no planted bugs.
#[cfg(not(feature = "mutations"))]
pub(super) fn museum(_: &MuseumArgs, _: &Jobs) -> ExitCode {
    refuse_text(
        "this program was built without planted bugs",
        "build it with them, in a checkout of the workspace: cargo run --features mutations -- museum",
    )
}
