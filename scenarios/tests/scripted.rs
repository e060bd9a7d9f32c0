//! Every scripted scenario passes.

use flowquake_reports::ansi::Color;
use flowquake_reports::record::Verdict;
use flowquake_reports::terminal::failure;

use crate::{all, execute};

#[test]
fn every_scripted_scenario_passes() {
    let mut failures = String::new();
    let mut passed = 0;
    for scenario in all() {
        let record = execute(&scenario, 1, &[]);
        match &record.verdict {
            Verdict::Passed => passed += 1,
            // Said aloud by the command line; a build without RocksDB proves nothing about it.
            Verdict::NotBuilt { feature } => eprintln!("{}: built without {feature}", scenario.name()),
            _ => failures.push_str(&failure(&record, Color::No)),
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(passed >= 12, "only {passed} scenarios ran");
}

#[test]
fn every_oracle_judges_something_in_every_passed_run() {
    for scenario in all() {
        let record = execute(&scenario, 2, &[]);
        if record.verdict == Verdict::Passed {
            for oracle in &record.oracles {
                assert!(oracle.judged > 0, "{}: {} judged nothing", scenario.name(), oracle.id);
            }
        }
    }
}
