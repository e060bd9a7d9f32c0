//! Scenarios as tests of another crate: `flowquake::test("tests/scenarios", 1..=3, &jobs)` in a `#[test]`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use flowquake_reports::ansi::Color;
use flowquake_reports::record::Verdict;
use flowquake_reports::terminal::failure;

use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::scenario::{Scenario, discover};
use crate::session::{Depth, execute_to};

/// Runs every scenario at or below `path` with every seed.
///
/// # Panics
/// If a file is wrong, or if a run does not pass: with the explanation that the command line would print. A run that this
/// build cannot make (*not built*) does not count as passed.
pub fn test(path: impl AsRef<Path>, seeds: RangeInclusive<u64>, jobs: &Jobs) {
    let paths = [PathBuf::from(path.as_ref())];
    let files = discover(&paths).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let scenarios = Scenario::load_all(&files, &catalogue(jobs)).unwrap_or_else(|errors| {
        let texts = errors.into_iter().map(|error| format!("{:?}\n", miette::Report::new(error)));
        panic!("{}", texts.collect::<String>())
    });
    // Many seeds are there to find what luck it takes; a single one is looked at closely.
    let depth = if seeds.start() == seeds.end() { Depth::Full } else { Depth::Quick };
    for scenario in scenarios {
        for seed in seeds.clone() {
            let replay = format!("flowquake run {} --seed {seed}", scenario.file());
            let (record, _) = execute_to(depth, &scenario.plan(seed), jobs, &[], replay);
            assert!(record.verdict == Verdict::Passed, "{}", failure(&record, Color::No));
        }
    }
}
