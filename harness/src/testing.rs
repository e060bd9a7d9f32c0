//! Scenarios as tests of another crate. [`test_main`] makes each scenario a test with its own name, in a target with
//! `harness = false`; [`test`] runs scenarios inside one `#[test]`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use flowquake_reports::ansi::Color;
use flowquake_reports::record::Verdict;
use flowquake_reports::terminal::failure;

use crate::cli::catalogue;
use crate::jobs::Jobs;
use crate::scenario::{Scenario, discover};
use crate::session::{Depth, execute_to};

mod named;

pub use named::test_main;

/// Runs every scenario at or below `path` with every seed, in this process, because a binary of `#[test]`s has a `main`
/// of its own and cannot be started again as a worker. (Prefer [`test_main`], which can.) A job that ends its process
/// therefore ends the test binary, with the tests that were still to come, but they never count as passed: `cargo test`
/// sees a signal, and a job that calls `exit` ends the binary with exit code 5 and a line that names the run, whatever
/// code it gave. Two calls escape this: `_exit`, and `exec` of another program. The command line runs such jobs in
/// separate processes, and calls their runs crashed.
///
/// # Panics
/// If there is no run to make, a file is wrong, the machine cannot carry out a run, or a run does not pass; in the last
/// case with the explanation that the command line would print. A run that this build cannot make (*not built*) does
/// not count as passed.
pub fn test(path: impl AsRef<Path>, seeds: RangeInclusive<u64>, jobs: &Jobs) {
    assert!(!seeds.is_empty(), "{}", no_seeds(&seeds));
    let paths = [PathBuf::from(path.as_ref())];
    let files = discover(&paths).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let scenarios = Scenario::load_all(&files, &catalogue(jobs)).unwrap_or_else(|errors| {
        let texts = errors.into_iter().map(|error| format!("{:?}\n", miette::Report::new(error)));
        panic!("{}", texts.collect::<String>())
    });
    assert!(
        !scenarios.is_empty(),
        "no run: there is no scenario at {}\n  help: name a file that ends in .toml, or a folder with some",
        path.as_ref().display()
    );
    let depth = depth(&seeds);
    for scenario in scenarios {
        for seed in seeds.clone() {
            let replay = format!("flowquake run {} --seed {seed}", scenario.file());
            let (record, _) = execute_to(depth, &scenario.plan(seed), jobs, &[], replay);
            assert!(record.verdict == Verdict::Passed, "{}", failure(&record, Color::No));
        }
    }
}

fn no_seeds(seeds: &RangeInclusive<u64>) -> String {
    let (start, end) = (seeds.start(), seeds.end());
    format!("no run: the seeds {start}..={end} are none\n  help: write the smaller one first, such as 1..=3")
}

/// Many seeds are used to find failures that depend on chance; a single seed is judged fully.
fn depth(seeds: &RangeInclusive<u64>) -> Depth {
    if seeds.start() == seeds.end() { Depth::Full } else { Depth::Quick }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic_of(path: &Path, seeds: RangeInclusive<u64>) -> String {
        let panic = std::panic::catch_unwind(|| test(path, seeds, &Jobs::builtin())).unwrap_err();
        panic.downcast_ref::<String>().cloned().expect("a text")
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is tried")]
    fn a_set_of_no_runs_does_not_pass() {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/baseline"));
        assert!(panic_of(shipped, 3..=1).contains("no run: the seeds 3..=1 are none"));
        let said = panic_of(folder.path(), 1..=1);
        assert!(said.contains(&folder.path().display().to_string()), "{said}");
    }
}
