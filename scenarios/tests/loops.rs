//! Jobs that restart for ever: the verdict names the loop, its cause, and what completed.

use flowquake_reports::record::Verdict;

use crate::{execute, inline};

fn stuck(name: &str, text: &str) -> String {
    match execute(&inline(name, text), 1, &[]).verdict {
        Verdict::Stuck { reason } => reason,
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
    // Delays of 1, 4 and 16 s, and one of 64 s that began at about 24 s and is not over: it has lasted for three times the longest.
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
