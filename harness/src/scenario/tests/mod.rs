//! Scenario files as a user writes them, right and wrong: `errors` shows every report, `plans` what good files become,
//! `faults` every kind of fault, `garbage` that nothing panics. Start at [`catalogue`] and [`render`].

use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::*;

mod errors;
mod faults;
mod garbage;
mod plans;
mod schema;

/// A catalogue: a job that uses everything, a job for generated records, and a job without keyed state.
fn catalogue() -> JobCatalogue {
    let param = |name: &str, default: &str, meaning: &str| JobParam {
        name: name.into(),
        default: default.into(),
        meaning: meaning.into(),
    };
    let count = JobEntry {
        description: "counts words by their length".into(),
        params: vec![
            param("emit_every", "1", "records between two results"),
            param("state_bytes", "0", "ballast per key"),
        ],
        generators: vec!["words".into(), "sentences".into()],
        accepts_file: true,
        vertices: 2,
        keyed: true,
        accepts: None,
    };
    let join = JobEntry { generators: vec!["orders".into()], vertices: 3, keyed: true, ..JobEntry::default() };
    let upper = JobEntry { accepts_file: true, vertices: 1, ..JobEntry::default() };
    let jobs = [("string-length-count", count), ("order-join", join), ("upper-case", upper)];
    JobCatalogue { jobs: jobs.map(|(name, entry)| (name.to_owned(), entry)).into() }
}

/// A report as a terminal shows it, without colour.
fn render(error: &dyn Diagnostic) -> String {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_links(false);
    handler.with_width(110).render_report(&mut text, error).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The head of a correct scenario, with generated input and no other section.
const HEAD: &str = r#"name = "broken"
why = "shows what a mistake looks like"
"#;

const JOB: &str = r#"
[job]
name = "string-length-count"
input = { generator = "words", records = 20_000, rate = "2000/s" }
"#;

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse(text, Path::new("scenarios/broken.toml"), &catalogue())
}

/// Codes of all problems of `text`.
fn codes(text: &str) -> Vec<&'static str> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(Problem::code_name).collect(),
    }
}
