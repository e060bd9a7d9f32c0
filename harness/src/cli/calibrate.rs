//! `flowquake calibrate`: measures this machine and writes its cost profile, which a scenario then names by its path.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::json::write_atomically;
use flowquake_reports::table::{Align, Cell, Table};
use indicatif::{ProgressBar, ProgressStyle};

use super::print::{self, say, tell};
use super::{moves, refuse_text, screen};
use crate::calibrate::{Calibration, Effort, STEPS, calibrate as measure};
use crate::environment;
use crate::profile::Profile;

#[derive(Args)]
pub(super) struct CalibrateArgs {
    /// File for the profile; one that is there is kept beside it, ending in .toml.old
    #[arg(long, value_name = "FILE", default_value = "calibration.toml")]
    output: PathBuf,
    /// Name of the profile, shown in every report; default: the file's, without its ending
    #[arg(long)]
    name: Option<String>,
    /// Fewer repetitions: half a minute at most, and wider intervals
    #[arg(long)]
    quick: bool,
}

pub(super) fn calibrate(args: &CalibrateArgs) -> ExitCode {
    let file = args.output.display();
    // Checked first, so that minutes of measuring do not end with a file that cannot be written, or that no scenario
    // can name.
    if args.output.extension().is_none_or(|ending| ending != "toml") {
        return refuse_text(
            &format!("--output {file}: scenarios name profiles by files that end in .toml"),
            "end it in .toml",
        );
    }
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
    if let Err(error) = tempfile::tempfile_in(folder) {
        return refuse_text(&format!("--output {file}: {error}"), "name a file in a folder that can be written");
    }
    if args.output.is_dir() {
        return refuse_text(&format!("--output {file}: that is a folder"), "name a file");
    }
    let stem = args.output.file_stem().unwrap_or_default().to_string_lossy();
    let name = args.name.as_deref().unwrap_or(&stem);
    if name.trim().is_empty() {
        return refuse_text("--name: it is empty", "give a name that reports can show, or leave the option out");
    }
    if let Some(load) = environment::load() {
        tell!("note: this machine is busy ({load}): what is measured now is too slow; wait until it does nothing else");
    }
    let effort = if args.quick { Effort::quick() } else { Effort::thorough() };
    let bar = bar();
    let measured = measure(name, &effort, |step| {
        // Without a progress bar, each step is printed as a line.
        if bar.is_hidden() {
            tell!("measuring: {step}");
        }
        bar.set_message(step.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let Calibration { profile, rows } = match measured {
        Ok(calibration) => calibration,
        Err(error) => return refuse_text(&error.to_string(), error.help()),
    };
    let text = profile.to_toml();
    // A measured value may still be outside of what a profile accepts.
    if let Err(error) = Profile::parse(&text, &file.to_string()) {
        return refuse_text(
            &error.to_string(),
            "measure again while the machine does nothing else, and without --quick",
        );
    }
    if args.output.exists() {
        let aside = args.output.with_extension("toml.old");
        match std::fs::rename(&args.output, &aside) {
            Ok(()) => tell!("note: what was in {file} is kept as {}", aside.display()),
            Err(error) => return refuse_text(&format!("--output {file}: {error}"), "name a file that can be replaced"),
        }
    }
    if let Err(error) = write_atomically(&args.output, text.as_bytes()) {
        return refuse_text(&format!("--output {file}: {error}"), "name a file that can be written");
    }
    let columns = [
        ("rate", Align::Left),
        ("value", Align::Right),
        ("95 % confidence", Align::Right),
        ("unit", Align::Left),
        ("how measured", Align::Left),
    ];
    let mut table = Table::new(columns);
    for row in rows {
        let number = |value: f64| if value < 100.0 { format!("{value:.1}") } else { grouped(value) };
        let interval = format!("{} to {}", number(row.estimate.low), number(row.estimate.high));
        let cells = [row.path, &number(row.estimate.value), &interval, row.unit, row.how];
        table.row(cells.map(Cell::new));
    }
    print::text(&table.text(0, screen()));
    say!("\nwritten to {file}: a scenario beside it uses it with cost_profile = \"./{}\"", name_of(&args.output));
    ExitCode::SUCCESS
}

fn name_of(file: &std::path::Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Such as `1,234,567`.
fn grouped(value: f64) -> String {
    indicatif::HumanCount(value.round() as u64).to_string()
}

/// The progress bar; hidden if the output is not a terminal.
fn bar() -> ProgressBar {
    if !moves() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {bar:20} {pos}/{len} {msg}");
    let bar = ProgressBar::new(STEPS).with_style(style.expect("a sound template"));
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
