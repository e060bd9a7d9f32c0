//! Real input in simulation: hotel bookings and the log of a web server, every line, with a TaskManager killed on the
//! way.
//! The files are not part of this repository; where they are absent the tests say so and pass. The last test always
//! runs, on words that ship with the project.
//! instead.

use std::path::{Path, PathBuf};

use flowquake_reports::record::Verdict;
use flowquake_scenarios::SCENARIOS;

use crate::{execute, inline};

fn run_on(file: &Path, name: &str) {
    let text = format!(
        r#"
name = "{name}"
why = "real lines, with all their oddities"
[job]
name = "string-length-count"
input = {{ file = "{}", splits = 4, rate = "4000/s" }}
parallelism = 4
[cluster]
task_managers = 2
slots = 2
[checkpointing]
interval = "500ms"
backend = "fs"
[[fault]]
on = {{ event = "checkpoint-completed", checkpoint = 2 }}
do = "kill"
target = "tm-2"
restart_after = "300ms"
[expect]
failovers = 1
"#,
        file.display()
    );
    let record = execute(&inline(name, &text), 1, &[]);
    assert_eq!(record.verdict, Verdict::Passed, "{}", record.verdict.headline());
    let lines = std::fs::read_to_string(file).expect("read before").lines().count() as u64;
    assert_eq!(record.totals.records_committed, lines, "every line is in the output");
}

fn shared(name: &str) -> Option<PathBuf> {
    let file = Path::new(SCENARIOS).join("../../shared/data").join(name);
    if !file.exists() {
        eprintln!("skipped: {} is not there", file.display());
        return None;
    }
    Some(file)
}

#[test]
fn every_hotel_booking_is_counted_once() {
    if let Some(file) = shared("hotel_bookings.csv") {
        run_on(&file, "hotel-bookings");
    }
}

#[test]
fn every_line_of_a_web_log_is_counted_once() {
    if let Some(file) = shared("access.log") {
        run_on(&file, "access-log");
    }
}

#[test]
fn the_words_that_ship_are_counted_once() {
    run_on(&Path::new(SCENARIOS).join("data/words.txt"), "own-words");
}
