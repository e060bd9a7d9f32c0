//! The same plan gives the same trace: repeatedly in one process, in parallel threads, and whatever ran before.

use std::collections::BTreeSet;

use flowquake::jobs::Jobs;
use flowquake::run::run;

use crate::named;

fn hash(name: &str, seed: u64) -> u64 {
    run(&named(name).plan(seed), &Jobs::builtin(), &[]).trace.hash()
}

#[test]
fn a_hundred_repeats_in_one_process_have_one_hash() {
    let plan = named("killed-during-restore").plan(7);
    let jobs = Jobs::builtin();
    let hashes: BTreeSet<u64> = (0..100).map(|_| run(&plan, &jobs, &[]).trace.hash()).collect();
    assert_eq!(hashes.len(), 1);
}

#[test]
fn parallel_runs_do_not_touch_each_other() {
    let names =
        ["link-cut-and-healed", "machine-lost-silently", "killed-during-alignment", "newest-checkpoint-flipped"];
    let alone: Vec<u64> = names.iter().map(|name| hash(name, 3)).collect();
    let together: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(|| hash(name, 3))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn another_seed_gives_another_trace() {
    let hashes: BTreeSet<u64> = (1..=5).map(|seed| hash("no-fault", seed)).collect();
    assert_eq!(hashes.len(), 5);
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_runs_are_deterministic_too() {
    // In the last two, RocksDB itself reports what is wrong, and its message contains the path of its folder.
    for name in ["killed-during-restore-rocksdb", "local-file-damaged", "damage-local"] {
        let hashes: BTreeSet<u64> = (0..3).map(|_| hash(name, 1)).collect();
        assert_eq!(hashes.len(), 1, "{name}");
    }
}
