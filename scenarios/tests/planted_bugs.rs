//! The museum is complete. That each of its bugs is caught is a test of its own in `named.rs`.

use flowquake_engine::mutation::Mutation;
use flowquake_scenarios::museum::MUSEUM;

#[test]
fn every_mutation_is_in_the_museum_and_every_oracle_has_a_bug() {
    for mutation in Mutation::ALL {
        assert!(MUSEUM.iter().any(|exhibit| exhibit.mutation == mutation), "{mutation:?}");
    }
    for oracle in ["O1", "O2", "O3", "O4", "O5", "O6", "O8", "O10", "TR2", "TR3", "stuck"] {
        assert!(MUSEUM.iter().any(|exhibit| exhibit.caught_by == oracle), "{oracle}");
    }
}
