//! `flowquake list`: what a scenario file can contain, what is judged, and what has been run.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use flowquake_engine::event::Event;
use flowquake_reports::table::{Align, Cell, Table};

use super::{print, run, screen};
use crate::faults::Kind;
use crate::jobs::Jobs;
use crate::oracles;

#[derive(Args)]
pub(super) struct ListArgs {
    /// What to list
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Registered jobs with their parameters
    Jobs,
    /// Kinds of faults and how a correct engine answers
    Faults,
    /// Events that a fault can be triggered by
    Events,
    /// What is judged in every run
    Oracles,
    /// What `run` has made in this working folder, the newest first
    Runs,
}

pub(super) fn list(args: &ListArgs, jobs: &Jobs) -> ExitCode {
    let table = match args.what {
        What::Jobs => {
            let mut table = columns(["job", "what it does", "input", "parameters"]);
            for (name, job) in jobs.iter() {
                let mut input: Vec<&str> = job.generators.to_vec();
                if job.accepts_file {
                    input.push("a file");
                }
                let params: Vec<_> =
                    job.params.iter().map(|p| format!("{} = {} ({})", p.name, p.default, p.meaning)).collect();
                table.row([name, job.description, &input.join(", "), &params.join("; ")].map(Cell::new));
            }
            table
        }
        What::Faults => {
            let mut table = columns(["family", "do", "what it does", "a correct engine", "parameters"])
                .dispensable(&["a correct engine", "family"]);
            for spec in Kind::ALL.iter().map(|kind| kind.spec()) {
                let cells = [spec.family.name(), spec.name, spec.effect, &spec.answer(), &spec.usage()];
                table.row(cells.map(Cell::new));
            }
            table
        }
        What::Events => {
            let mut table = columns(["event", "meaning"]);
            Event::CATALOGUE.iter().for_each(|(name, what)| table.row([name, what.trim()].map(Cell::new)));
            table
        }
        What::Oracles => {
            let mut table = columns(["oracle", "property", "judges"]);
            for oracle in oracles::ORACLES {
                table.row([oracle.id, oracle.property, oracle.unit].map(Cell::new));
            }
            table
        }
        What::Runs => return run::runs(),
    };
    print::text(&table.text(0, screen()));
    ExitCode::SUCCESS
}

fn columns<const N: usize>(headings: [&'static str; N]) -> Table {
    Table::new(headings.map(|heading| (heading, Align::Left)))
}
