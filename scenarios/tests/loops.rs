//! Jobs that restart, or change their leader, forever: the verdict names the loop, its cause, and which checkpoint
//! completed last.

use flowquake_reports::record::{RunRecord, Verdict};

use crate::{execute, inline};

fn stuck(name: &str, text: &str) -> String {
    stuck_record(name, text).0
}

/// The reason why the run is stuck, and its record.
fn stuck_record(name: &str, text: &str) -> (String, RunRecord) {
    let record = execute(&inline(name, text), 1, &[]);
    match &record.verdict {
        Verdict::Stuck { reason } => (reason.clone(), record),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_poisoned_record_without_end_is_named_with_its_loop() {
    let reason = stuck(
        "poison-for-ever",
        r#"
            name = "poison-for-ever"
            why = "a poisoned record and unlimited restarts"
            [job]
            name = "string-length-count"
            input = { generator = "words", records = 4_000, splits = 4, rate = "1000/s" }
            parallelism = 2
            [checkpointing]
            interval = "500ms"
            backend = "fs"
            [[fault]]
            at = "1s"
            do = "poison-record"
            split = 0
            position = 700
        "#,
    );
    assert!(reason.contains("restart loop: ") && reason.contains(" failovers, all with one cause: "), "{reason}");
    assert!(reason.contains("poisoned record (split 0, position 700); that is fault 1, poison-record"), "{reason}");
    assert!(reason.contains("no checkpoint has completed since checkpoint "), "{reason}");
}

#[test]
fn a_loop_is_named_while_its_delays_grow() {
    let reason = stuck(
        "poison-with-growing-delays",
        r#"
            name = "poison-with-growing-delays"
            why = "the last pause before the end of the run is several times longer than any before"
            time_limit = "75s"
            [job]
            name = "string-length-count"
            input = { generator = "words", records = 4_000, splits = 4, rate = "1000/s" }
            parallelism = 2
            [engine]
            restart_strategy = "exponential-delay"
            backoff_multiplier = 4
            max_backoff = "10m"
            jitter_factor = 0
            [[fault]]
            at = "1s"
            do = "poison-record"
            split = 0
            position = 700
        "#,
    );
    // Delays of 1, 4 and 16 s have passed. One of 64 s began at about 24 s and is not over: it has lasted for three
    // times the longest before.
    assert!(reason.contains("restart loop: 4 failovers, all with one cause: "), "{reason}");
}

#[test]
fn a_timeout_that_no_checkpoint_can_keep_is_named_with_its_loop() {
    let reason = stuck(
        "timeout-below-upload",
        r#"
            name = "timeout-below-upload"
            why = "no checkpoint can ever complete within its timeout"
            [job]
            name = "string-length-count"
            input = { generator = "words", records = 4_000, splits = 4, rate = "1000/s" }
            parallelism = 4
            [checkpointing]
            interval = "500ms"
            timeout = "5ms"
            backend = "fs"
        "#,
    );
    assert!(
        reason.contains("restart loop: ") && reason.contains("checkpoint expired after its timeout of 5ms"),
        "{reason}"
    );
    assert!(reason.contains("a store has not taken the snapshot or the output of 1#0"), "{reason}");
    assert!(reason.ends_with("; no checkpoint ever completed"), "{reason}");
}

/// The job had checkpoints. Since a store became slow, each attempt ends when its first checkpoint expires.
#[test]
fn a_checkpoint_that_expires_behind_every_restore_is_named_with_its_loop() {
    let (reason, record) = stuck_record(
        "expires-behind-every-restore",
        r#"
            name = "expires-behind-every-restore"
            why = "the store becomes so slow for one TaskManager that every checkpoint after a restore expires"
            time_limit = "100s"
            [job]
            name = "string-length-count"
            input = { generator = "words", records = 40_000, splits = 4, rate = "1000/s" }
            parallelism = 2
            [checkpointing]
            interval = "500ms"
            timeout = "500ms"
            backend = "fs"
            [[fault]]
            at = "3s"
            do = "slow-store"
            store = "checkpoints"
            node = "tm-1"
            by = "1s"
        "#,
    );
    let count = |event: &str| record.totals.events_by_name.get(event).copied().unwrap_or(0);
    let (failovers, completed) = (count("failover-begun"), count("checkpoint-completed"));
    assert!(failovers > 30, "{failovers}");
    assert!(count("restore-begun") > failovers, "each of them is behind a restore");
    let loop_of_all = format!("restart loop: {failovers} failovers, all with one cause: checkpoint ");
    assert!(reason.contains(&loop_of_all), "{reason}");
    assert!(reason.contains("checkpoint expired after its timeout of 500ms while "), "{reason}");
    assert!(reason.contains("a store has not taken the snapshot or the output of 1#0"), "{reason}");
    let last = format!("; no checkpoint has completed since checkpoint {completed} at 2.");
    assert!(reason.contains(&last), "{reason}");
}

/// Nobody restarts this job, because no leader stays long enough: so it never runs again.
#[test]
fn a_store_that_is_too_slow_for_the_lease_is_named_as_a_loop_of_leaders() {
    let (reason, record) = stuck_record(
        "store-too-slow-for-the-lease",
        r#"
            name = "store-too-slow-for-the-lease"
            why = "the store becomes so slow that no leader renews its lease in time"
            time_limit = "200s"
            [job]
            name = "string-length-count"
            input = { generator = "words", records = 80_000, splits = 4, rate = "1000/s" }
            parallelism = 2
            [checkpointing]
            interval = "500ms"
            timeout = "2s"
            backend = "fs"
            [[fault]]
            at = "3s"
            do = "slow-store"
            store = "checkpoints"
            by = "1200ms"
        "#,
    );
    let terms = record.totals.events_by_name["leadership-granted"];
    assert!(terms > 10, "{terms}");
    // The first term was opened before the last checkpoint.
    let named = format!("takeover loop: {} terms were opened, ", terms - 1);
    assert!(reason.contains(&named) && reason.contains("within the lease of 5s"), "{reason}");
    assert!(reason.contains("; no checkpoint has completed since checkpoint 6 at "), "{reason}");
}
