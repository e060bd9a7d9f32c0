//! The museum is complete. Whether each of its bugs is caught is checked by `flowquake museum`.

use flowquake_engine::mutation::Mutation;
use flowquake_scenarios::museum::{MUSEUM, Verdict};

#[test]
fn every_mutation_is_in_the_museum_once_and_every_oracle_has_a_bug() {
    for mutation in Mutation::ALL {
        assert_eq!(MUSEUM.iter().filter(|exhibit| exhibit.mutation == mutation).count(), 1, "{mutation:?}");
    }
    for oracle in ["O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9", "O10", "TR2", "TR3", "stuck"] {
        assert!(MUSEUM.iter().any(|exhibit| exhibit.verdict == Verdict::CaughtBy(oracle)), "{oracle}");
    }
}
