//! `flowquake export`: writes one run of a file of records as a file for another tool.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use flowquake_reports::export::Format;
use flowquake_reports::json;
use flowquake_reports::units::counted;

use super::coverage::refuse_file;
use super::{outputs, print, refuse_text};

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Run records, written by `flowquake run --json FILE` or in the report folder
    records: PathBuf,
    /// What to make of the run
    #[arg(long, value_enum)]
    format: FormatName,
    /// Which run of the file, counted from 1 as in the report
    #[arg(long, value_name = "N", default_value_t = 1)]
    run: usize,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    /// Trace events as JSON, for ui.perfetto.dev
    Perfetto,
    /// A log with vector clocks, for ShiViz
    Shiviz,
    /// The timeline as a picture
    Svg,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Perfetto => Self::Perfetto,
            FormatName::Shiviz => Self::Shiviz,
            FormatName::Svg => Self::Svg,
        }
    }
}

pub(super) fn export(args: &ExportArgs) -> ExitCode {
    if let Err(code) = outputs::check(&[("--output", args.output.as_deref())], &[&args.records]) {
        return code;
    }
    let set = match json::read(&args.records) {
        Ok(set) => set,
        Err(error) => return refuse_file(&args.records, &error),
    };
    let Some(run) = args.run.checked_sub(1).and_then(|index| set.runs.get(index)) else {
        let remedy = format!("{} holds {}, counted from 1", args.records.display(), counted(set.runs.len(), "run"));
        return refuse_text(&format!("--run {}", args.run), &remedy);
    };
    let document = Format::from(args.format).of(run);
    match &args.output {
        Some(file) => match json::write_atomically(file, document.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse_text(&format!("{}: {error}", file.display()), "name a file that can be written"),
        },
        None => {
            print::text(&document);
            ExitCode::SUCCESS
        }
    }
}
