//! `flowquake coverage`: which fault struck which victim at which step of the protocol, from the records of runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::bounded;
use flowquake_reports::coverage::activation::{self, Activation, Floor, Floors};
use flowquake_reports::coverage::{Coverage, NoGrid, html, json as grid_json, settings, text};
use flowquake_reports::json::{self, ReadError};
use flowquake_reports::record::RunRecord;
use flowquake_reports::units;

use super::print::tell;
use super::{color, command_line, outputs, print, refuse_text, screen, width};
use crate::scenario::Scenario;

/// Exit code if coverage is below the gate.
const BELOW: u8 = 1;

#[derive(Args)]
pub(super) struct CoverageArgs {
    /// Run records, written by `flowquake run --json FILE`; several are counted together
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// List every meaningful cell that nothing hit
    #[arg(long)]
    empty: bool,
    /// Exit with code 1 if less than this part of the meaningful cells was hit, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min: Option<f64>,
    /// Exit with code 1 if fewer than N faults of a kind hurt something: N for every kind, KIND=N for one; several times
    #[arg(long, value_name = "[KIND=]N")]
    min_hurt: Vec<Floor>,
    /// Print the grid as JSON instead
    #[arg(long, conflicts_with = "empty")]
    json: bool,
    /// Also write the grid as a page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "a number from 0 to 100 is needed".into())
}

pub(super) fn coverage(args: &CoverageArgs) -> ExitCode {
    let read_files: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    if let Err(code) =
        each_once(&read_files).and_then(|()| outputs::check(&[("--html", args.html.as_deref())], &read_files))
    {
        return code;
    }
    let coverage = match read(&args.files) {
        Ok(coverage) => coverage,
        Err(code) => return code,
    };
    if let Err(reason) = coverage.check() {
        return without_grid(&coverage, &reason, args.json);
    }
    let floors = match floors(&args.min_hurt, &coverage) {
        Ok(floors) => floors,
        Err(code) => return code,
    };
    let document = if args.json { grid_json::to_string(&coverage) } else { shown(&coverage, args.empty) };
    // If a pager was closed early, its reader has seen enough; the gate still decides the exit code.
    print::text(&document);
    if let Some(file) = &args.html
        && let Err(error) = json::write_atomically(file, html::page(&coverage, &command_line()).as_bytes())
    {
        return refuse_text(&format!("{}: {error}", file.display()), "name a file that can be written");
    }
    let active = is_active(&floors, &coverage);
    match args.min {
        Some(min) if !coverage.tally().reaches(min) => {
            tell!(
                "below the gate: {} of the meaningful cells are hit, {min} % are asked for",
                coverage.tally().percent()
            );
            ExitCode::from(BELOW)
        }
        _ if !active => ExitCode::from(BELOW),
        _ => ExitCode::SUCCESS,
    }
}

/// The floors of `--min-hurt`; refuses kinds that the records do not know.
pub(super) fn floors(asked: &[Floor], coverage: &Coverage) -> Result<Floors, ExitCode> {
    let floors = Floors::new(asked);
    let rows = coverage.activation();
    match floors.unknown(|name| rows.iter().any(|row| row.name == name)) {
        Some(kind) => {
            let what = format!("--min-hurt {kind}=…: there is no such kind of fault");
            Err(refuse_text(&what, "write one of those that `flowquake list faults` prints"))
        }
        None => Ok(floors),
    }
}

/// Whether every kind of fault reaches its floor. Kinds that do not are reported.
pub(super) fn is_active(floors: &Floors, coverage: &Coverage) -> bool {
    let below = floors.below(&coverage.activation());
    below.iter().for_each(|kind| tell!("below --min-hurt: {kind}"));
    below.is_empty()
}

/// Whether the runs of every scenario reach the floors of its `[swarm]`. Kinds that do not are reported.
pub(super) fn swarms_are_active(scenarios: &[Scenario], runs: &[RunRecord]) -> bool {
    let mut active = true;
    for (scenario, swarm) in scenarios.iter().filter_map(|scenario| Some((scenario, scenario.swarm()?))) {
        if swarm.min_hurt.is_empty() {
            continue;
        }
        let ran: Vec<&RunRecord> =
            runs.iter().filter(|run| run.file == scenario.file() && run.verdict.class().ran()).collect();
        let floors = swarm.min_hurt.iter().map(|(kind, floor)| (*kind, *floor));
        for kind in Activation::of_runs(ran.iter().copied()).below(ran.len() as u64, floors) {
            let runs = units::counted(ran.len(), "run");
            tell!("below min_hurt of {}, {runs}: {kind}", scenario.file());
            active = false;
        }
    }
    active
}

/// The grid, the tables about it, and at the end the sum, where the terminal stops.
fn shown(coverage: &Coverage, empty: bool) -> String {
    let mut out = text::grid(coverage, width(), color());
    let empty = empty.then(|| text::empty(coverage));
    let active = coverage.activation();
    let tables = [
        text::by_kind(coverage),
        text::outside(coverage),
        activation::table(&active),
        settings::table(coverage.settings()),
    ];
    for table in tables.into_iter().chain(empty) {
        if !table.is_empty() {
            out.push('\n');
            out.push_str(&table.text(0, screen()));
        }
    }
    let settings = settings::summary(coverage.settings()).map_or_else(String::new, |line| line + "\n");
    let active = activation::summary(&active).map_or_else(String::new, |line| line + "\n");
    out + "\n" + &settings + &active + &text::summary(coverage) + "\n"
}

/// Refuses a file that is named twice, because its runs would be counted twice.
fn each_once(files: &[&Path]) -> Result<(), ExitCode> {
    let identities: Vec<Option<PathBuf>> = files.iter().map(|file| outputs::identity(file)).collect();
    let twice = |at: &usize| identities[*at].is_some() && identities[..*at].contains(&identities[*at]);
    match (0..files.len()).find(twice) {
        Some(at) => Err(refuse_text(&format!("{} is named twice", files[at].display()), "name each file once")),
        None => Ok(()),
    }
}

fn read(files: &[PathBuf]) -> Result<Coverage, ExitCode> {
    let mut coverage = Coverage::default();
    for file in files {
        coverage.merge(&Coverage::of(&json::read(file).map_err(|error| refuse_file(file, &error))?));
    }
    Ok(coverage)
}

/// Shows what is known without a grid, and says why there is none: how often faults struck, and which settings were
/// tried. Not for JSON, because a JSON document must be complete.
fn without_grid(coverage: &Coverage, reason: &NoGrid, json: bool) -> ExitCode {
    if !json {
        let tables = [activation::table(&coverage.activation()), settings::table(coverage.settings())];
        for table in tables.iter().filter(|table| !table.is_empty()) {
            print::text(&format!("{}\n", table.text(0, screen())));
        }
        if let Some(line) = settings::summary(coverage.settings()) {
            print::text(&format!("{line}\n"));
        }
    }
    let remedy = match reason {
        NoGrid::NoCleanRun => "add the records of a scenario without faults, such as those in scenarios/baseline",
        NoGrid::NoFaultKinds => "make the records anew with this build",
    };
    refuse_text(&reason.to_string(), remedy)
}

/// Refuses a file that has no run records, and says what to do.
pub(super) fn refuse_file(file: &Path, error: &ReadError) -> ExitCode {
    match error {
        ReadError::Unreadable { source, .. } => refuse_text(&format!("{error}: {source}"), "check the path"),
        ReadError::Malformed { .. } if is_tuning(file) => {
            let what = format!("{} holds what `flowquake tune` found, and no run records", file.display());
            refuse_text(&what, "name a file that `flowquake run --json FILE` has written")
        }
        ReadError::Malformed { source, .. } => {
            let remedy = "name a file that `flowquake run --json FILE` has written";
            refuse_text(&format!("{error}: {source}"), remedy)
        }
        ReadError::Version { .. } => {
            let remedy =
                format!("make {} anew with this build, or read it with the build that wrote it", file.display());
            refuse_text(&error.to_string(), &remedy)
        }
    }
}

/// Whether it is the `tuning.json` of a sweep.
fn is_tuning(file: &Path) -> bool {
    /// Longest file that is read; a study has a few megabytes at most.
    const FILE_MAX: u64 = 64 << 20;
    let text = bounded::text(file, FILE_MAX).unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|document| document.get("tuning_version").is_some())
}

#[cfg(test)]
mod tests {
    use super::{is_tuning, percent};

    #[test]
    fn the_findings_of_a_sweep_are_told_from_run_records() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.json");
        for (text, tuning) in [(r#"{"tuning_version": 1}"#, true), (r#"{"schema_version": 1}"#, false), ("[", false)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(is_tuning(&file), tuning, "{text}");
        }
    }

    #[test]
    fn a_gate_is_a_percentage() {
        assert_eq!(percent("60"), Ok(60.0));
        assert_eq!(percent("62.5 %"), Ok(62.5));
        for wrong in ["", "x", "-1", "101", "NaN", "inf"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
