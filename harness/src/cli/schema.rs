//! `flowquake schema`: the JSON schema of scenario files, for editors.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::json::write_atomically;

use super::print::{self, say};
use super::{catalogue, outputs, refuse_text};
use crate::jobs::Jobs;
use crate::scenario;

#[derive(Args)]
pub(super) struct SchemaArgs {
    /// Write it to this file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn schema(args: &SchemaArgs, jobs: &Jobs) -> ExitCode {
    let schema = scenario::schema(&catalogue(jobs));
    let text = serde_json::to_string_pretty(&schema).expect("a schema is always JSON") + "\n";
    let Some(file) = &args.output else {
        print::text(&text);
        return ExitCode::SUCCESS;
    };
    if let Err(code) = outputs::check(&[("--output", Some(file))], &[]) {
        return code;
    }
    if let Err(error) = write_atomically(file, text.as_bytes()) {
        return refuse_text(&format!("--output {}: {error}", file.display()), "name a file that can be written");
    }
    say!("written to {}: a scenario names it in its first line, #:schema {}", file.display(), file.display());
    ExitCode::SUCCESS
}
