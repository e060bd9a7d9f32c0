//! Every scripted scenario passes.

use std::collections::BTreeSet;

use flowquake::plan::ExpectedEnd;
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
fn every_oracle_judges_something_in_the_runs_that_concern_it() {
    let (mut asked, mut judged) = (BTreeSet::new(), BTreeSet::new());
    for scenario in all() {
        let record = execute(&scenario, 2, &[]);
        if record.verdict != Verdict::Passed {
            continue;
        }
        let finishes = scenario.plan(2).expect.job == ExpectedEnd::Finished;
        for oracle in &record.oracles {
            let concerned = match oracle.id.as_str() {
                // Only a job that came to its end has been swept up after, and is worth going on with.
                "O4" | "O10" => finishes,
                "O8" => !record.recoveries.is_empty(),
                _ => true,
            };
            assert!(oracle.judged > 0 || !concerned, "{}: {} judged nothing", scenario.name(), oracle.id);
            if oracle.judged > 0 {
                judged.insert(oracle.id.clone());
            }
            asked.insert(oracle.id.clone());
        }
    }
    assert_eq!(asked, judged, "every oracle has something to judge somewhere");
}
