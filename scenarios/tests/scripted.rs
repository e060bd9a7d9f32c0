//! Properties over the runs of many scripted scenarios. That each scenario passes is a test of its own in `named.rs`.

use std::collections::BTreeSet;

use flowquake_reports::record::{RecoveryKind, RecoveryRecord, Verdict};

use crate::{all, execute};

/// Every leader except the first takes the job over, and each takeover is measured like a failover.
#[test]
fn every_takeover_is_a_recovery() {
    let mut measured = 0;
    for scenario in all().iter().filter(|scenario| scenario.file().contains("/job-manager/")) {
        let record = execute(scenario, 1, &[]);
        let terms = record.totals.events_by_name.get("leadership-granted").copied().unwrap_or(0);
        let superseded = record.recoveries.iter().flat_map(|recovery| &recovery.superseded).map(|one| &one.cause);
        let causes = record.recoveries.iter().map(|recovery| &recovery.cause).chain(superseded);
        let takeovers = causes.filter(|cause| cause.contains(", in term ")).count() as u64;
        assert_eq!(takeovers + 1, terms, "{}", scenario.name());
        let ended = |one: &&RecoveryRecord| one.kind == RecoveryKind::Takeover && one.outage_ns().is_some();
        measured += record.recoveries.iter().filter(ended).count();
    }
    assert!(measured >= 15, "only {measured} takeovers have parts");
}

#[test]
fn every_oracle_judges_something_in_the_runs_that_concern_it() {
    let mut judged: BTreeSet<String> = BTreeSet::new();
    for scenario in all() {
        let record = execute(&scenario, 2, &[]);
        if record.verdict != Verdict::Passed {
            continue;
        }
        for oracle in &record.oracles {
            let concerned = match oracle.id.as_str() {
                // Judges only what the last leader of a finished job swept, if no fault was on the stores since.
                "O4" => false,
                "O8" => record.totals.events_by_name.contains_key("failover-begun"),
                // A job that failed for good may have completed no checkpoint.
                "O1" | "O2" | "O3" | "O5" => record.totals.records_committed > 0,
                // A job that ended before its first checkpoint has no checkpoint to restore from.
                "O10" => false,
                // Its rule needs two neighbouring completed checkpoints of one attempt.
                "O9" => false,
                _ => true,
            };
            assert!(oracle.judged > 0 || !concerned, "{}: {} judged nothing", scenario.name(), oracle.id);
            if oracle.judged > 0 {
                judged.insert(oracle.id.clone());
            }
        }
    }
    let ids = ["O1", "O10", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9"];
    assert_eq!(judged.iter().map(String::as_str).collect::<Vec<_>>(), ids, "somewhere each of them had to judge");
}
