//! The size of the model of commits, and the planted bug that it finds.

use super::super::explorer::{Size, explore};
use super::*;

const NONE: Faults = Faults { errors: 0, torn: 0, lags: 0 };
const CALM: Left = Left { checkpoints: 1, declines: 0, damages: 0, failures: 0, takeovers: 0, removals: 0 };

const ONE: Bounds = Bounds { retained: 2, settled: 1, hearing: 2 };
const HALF: Bounds = Bounds { hearing: 1, ..ONE };

/// The size of the model for given settings, events and faults.
const SIZES: &[(Bounds, Left, Faults, Size)] = &[
    // A checkpoint fails and the job restarts: the output goes with the next checkpoint.
    (ONE, Left { checkpoints: 2, declines: 1, failures: 1, ..CALM }, NONE, size(86_481, 317_569, 41)),
    // The newest checkpoint is damaged, and the job falls back to the one before, or reports that it cannot.
    (ONE, Left { damages: 1, failures: 1, ..CALM }, NONE, size(6_358, 20_013, 29)),
    // … over a store that fails once, tears one write, or lags once.
    (ONE, Left { damages: 1, failures: 1, ..CALM }, Faults { errors: 1, ..NONE }, size(78_589, 286_832, 34)),
    (ONE, Left { damages: 1, failures: 1, ..CALM }, Faults { torn: 1, ..NONE }, size(16_100, 51_883, 29)),
    (ONE, Left { damages: 1, failures: 1, ..CALM }, Faults { lags: 1, ..NONE }, size(25_498, 87_145, 31)),
    // Another JobManager takes over, perhaps in the middle of the fallback.
    (ONE, Left { damages: 1, takeovers: 1, ..CALM }, NONE, size(6_495, 20_535, 27)),
    (HALF, Left { damages: 1, failures: 1, takeovers: 1, ..CALM }, NONE, size(13_220, 33_113, 62)),
    // The job falls back to its beginning and goes on, and decisions are removed.
    (FROM_NOTHING, AND_ON, NONE, size(10_275, 30_611, 28)),
];
const FROM_NOTHING: Bounds = Bounds { retained: 1, settled: 0, hearing: 1 };
const AND_ON: Left = Left { checkpoints: 2, damages: 1, failures: 1, removals: 1, ..CALM };

const fn size(states: usize, steps: usize, depth: usize) -> Size {
    Size { states, steps, depth }
}

#[test]
fn whatever_becomes_of_checkpoints_and_leaders_output_is_committed_exactly_once() {
    let mut other = Vec::new();
    for (bounds, left, faults, expected) in SIZES {
        let model = Commits::new(*bounds, *left, *faults, &[]);
        let size = explore(&model, 3_000_000).unwrap_or_else(|broken| panic!("{left:?}, {faults:?}: {broken}"));
        eprintln!("commits, {bounds:?}, {left:?}, {faults:?}: {size:?}");
        if size != *expected {
            other.push((left, faults, size));
        }
    }
    assert!(other.is_empty(), "other sizes than expected: {other:#?}");
}

/// The planted bug `forget-aborts`.
#[cfg(feature = "mutations")]
#[test]
fn without_old_aborts_a_sink_that_was_cut_off_commits() {
    let found = explore(&Commits::new(FROM_NOTHING, AND_ON, NONE, &[Mutation::ForgetAborts]), 3_000_000).unwrap_err();
    eprintln!("{found}");
    assert!(found.broken.starts_with("J3: the job fell back"), "{found}");
}
