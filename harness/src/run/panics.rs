//! Decides which panics of runs are printed. User code may panic at every record of ten thousand runs, and each such
//! panic is caught and stands in its run's record. So only the first panic of a run is printed, and only for the first
//! few runs.
//!
//! Start at [`within_run`]. Panics outside of runs are printed as usual.

use std::cell::Cell;
use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many runs of a process have their first panic printed.
const RUNS_MAX: u64 = 5;

thread_local! {
    /// How many panics the run on this thread has had; `None`: no run is on this thread.
    static PANICS: Cell<Option<u64>> = const { Cell::new(None) };
}
/// How many runs of this process have panicked.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Calls `run` and treats its panics as those of a run on this thread.
pub(super) fn within_run<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let say = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match count() {
            None => say(panic),
            Some(shown) => {
                if shown.is_some() {
                    say(panic);
                }
                if shown == Some(RUNS_MAX) {
                    let _ = writeln!(
                        std::io::stderr(),
                        "further panics in runs are not printed; the records of the runs tell them"
                    );
                }
            }
        }));
    });
    PANICS.set(Some(0));
    let made = run();
    PANICS.set(None);
    made
}

/// From here on this process prints no panic of a run.
pub(crate) fn expect_panics() {
    RUNS.store(RUNS_MAX + 1, Ordering::Relaxed);
}

/// `None`: the panic is outside of a run. `Some(Some(n))`: the first panic of its run, which is the `n`-th run to panic
/// (from 1). `Some(None)`: a later panic of its run.
fn count() -> Option<Option<u64>> {
    // A thread that is ending has lost its count, and makes no run.
    let before = PANICS.try_with(|panics| panics.replace(panics.get().map(|n| n + 1))).ok().flatten()?;
    let run = (before == 0).then(|| RUNS.fetch_add(1, Ordering::Relaxed) + 1);
    Some(run.filter(|run| *run <= RUNS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_of_a_few_runs_is_shown() {
        assert_eq!(count(), None, "this thread makes no run");
        let mut shown = 0;
        for _ in 0..RUNS_MAX + 3 {
            within_run(|| {
                shown += u64::from(count().unwrap().is_some());
                assert_eq!(count(), Some(None), "only the first of a run");
            });
        }
        // Other tests of this process may have used up some of the few printed panics.
        assert!(shown <= RUNS_MAX, "{shown}");
        assert_eq!(count(), None);
    }
}
