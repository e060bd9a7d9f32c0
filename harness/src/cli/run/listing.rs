//! `flowquake list runs`: the history of this working folder, the newest run first.
//!
//! Start at [`runs`]. It checks which runs are in progress, and writes the page of the history again, so that both show
//! the same.

use std::process::ExitCode;

use flowquake_reports::history::{Life, table};

use super::super::print::{say, text};
use super::super::{refuse_text, screen};
use super::history;
use crate::provenance;
use crate::run::report_folder;

/// Prints the history.
pub(in crate::cli) fn runs() -> ExitCode {
    let top = report_folder();
    let lock = history::lock(&top);
    let rows = match history::rows(&top) {
        Ok(rows) => rows,
        Err(error) => {
            return refuse_text(&format!("{}: {error}", top.join(history::FOLDER).display()), "check the folder");
        }
    };
    if rows.is_empty() {
        say!("no runs in {}: `{}` makes the first", top.display(), provenance::command("run PATH"));
        return ExitCode::SUCCESS;
    }
    // An error of writing the page must not matter to a user who asked for the list, which is complete without the
    // page.
    let page = history::write_index(&top);
    drop(lock);
    text(&table(&rows).text(0, screen()));
    let hint = rows.iter().find(|row| !row.entry.is_finished() && row.life != Life::UnderWay);
    if let Some(row) = hint {
        let resume = provenance::command(&format!("run --resume={}", row.entry.name));
        say!("\ngo on with one that was stopped: {resume}");
    }
    if let Some(row) = rows.iter().find(|row| row.plans.is_some()) {
        let plans = history::folder_of(&top, &row.entry.name).join(history::PLANS);
        say!("plans, for `replay`: {}/ and its like", plans.display());
    }
    match page {
        Ok(()) => say!("the same as a page: {}", top.join(history::INDEX).display()),
        Err(error) => {
            let what = format!("{}: {error}", top.join(history::INDEX).display());
            return refuse_text(&what, "make the folder writable");
        }
    }
    ExitCode::SUCCESS
}
