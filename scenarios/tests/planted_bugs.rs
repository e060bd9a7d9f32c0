//! Planted bugs: each violates the oracle that the museum names, and the same run passes without it.

use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::Verdict;
use flowquake_scenarios::museum::MUSEUM;

use crate::{execute, named};

/// Seeds tried until the bug shows; a bug that needs luck is still found.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

#[test]
fn every_planted_bug_is_caught_by_the_oracle_that_the_museum_names() {
    let mut escaped = String::new();
    for exhibit in MUSEUM {
        let scenario = named(exhibit.scenario);
        assert_eq!(execute(&scenario, 1, &[]).verdict, Verdict::Passed, "{} without the bug", exhibit.scenario);
        let mut seen = Vec::new();
        let caught = SEEDS.into_iter().any(|seed| {
            let verdict = execute(&scenario, seed, &[exhibit.mutation]).verdict;
            // One bug may violate several oracles; the one that the museum names must be among them.
            let by: Vec<&str> = match &verdict {
                Verdict::Failed { oracle, also, .. } => {
                    std::iter::once(oracle).chain(also.iter().map(|other| &other.oracle)).map(String::as_str).collect()
                }
                // An invariant that the engine asserts begins the panic with its name.
                Verdict::Crashed { panic } => vec![panic.split_once(':').map_or(panic.as_str(), |(name, _)| name)],
                other => vec![other.label()],
            };
            let hit = by.contains(&exhibit.caught_by);
            seen.push(format!("{}: {}", by.join(", "), verdict.headline()));
            hit
        });
        if !caught {
            escaped.push_str(&format!("{:?} in {}: {seen:#?}\n", exhibit.mutation, exhibit.scenario));
        }
    }
    assert!(escaped.is_empty(), "{escaped}");
}

#[test]
fn every_mutation_is_in_the_museum_and_every_oracle_has_a_bug() {
    for mutation in Mutation::ALL {
        assert!(MUSEUM.iter().any(|exhibit| exhibit.mutation == mutation), "{mutation:?}");
    }
    for oracle in ["O1", "O2", "O3", "O4", "O5", "O6", "O8", "O10", "TR2", "TR3", "stuck"] {
        assert!(MUSEUM.iter().any(|exhibit| exhibit.caught_by == oracle), "{oracle}");
    }
}
