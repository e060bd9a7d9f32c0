//! What faults hurt: each kind hurts something in the shipped scenarios, and a fault that changes nothing is
//! distinguished from one that does.

use std::collections::BTreeSet;

use flowquake::jobs::Jobs;
use flowquake_reports::record::Verdict;

use crate::{all, execute, inline};

/// A job on two of four TaskManagers, and one fault.
fn with_fault(fault: &str) -> String {
    format!(
        r#"
            name = "harmless"
            why = "nothing is hurt"
            [job]
            name = "string-length-count"
            input = {{ generator = "words", records = 4_000, splits = 4, rate = "1000/s" }}
            parallelism = 2
            [cluster]
            task_managers = 4
            slots = 2
            [checkpointing]
            interval = "1s"
            backend = "fs"
            {fault}
        "#
    )
}

/// Kinds that can strike and hurt nothing, each with a fault that does so. The other kinds count as having struck only
/// once they have hurt something, or always hurt when they strike.
const HARMLESS: &[(&str, &str)] = &[
    ("pause", r#"at = "2300ms", target = "tm-4", resume_after = "1ms""#),
    ("slow-cpu", r#"at = "2s", target = "tm-4", factor = 10, heal_after = "1s""#),
    ("slow-operator", r#"at = "2s", target = "tm-4", factor = 10, heal_after = "1s""#),
    ("hang-snapshot", r#"at = "2s", target = "tm-4", heal_after = "1s""#),
    ("cut", r#"at = "2s", link = "tm-3 - tm-4", heal_after = "1s""#),
    ("cut-one-way", r#"at = "2s", link = "tm-3 -> tm-4", heal_after = "1s""#),
    ("isolate", r#"at = "2300ms", target = "tm-4", heal_after = "1ms""#),
    ("flap", r#"at = "2s", link = "tm-3 - tm-4", times = 3, up = "100ms", down = "100ms""#),
    ("latency", r#"at = "2s", link = "leader - tm-1", latency = "200us..1ms", heal_after = "1s""#),
    ("bandwidth", r#"at = "2s", link = "tm-1 - tm-2", bandwidth = "125MB/s", heal_after = "1s""#),
    ("refuse-connections", r#"at = "2s", target = "tm-4", heal_after = "1s""#),
    ("slow-receiver", r#"at = "2s", target = "tm-4", rate = "1kB/s", heal_after = "1s""#),
    ("damage", r#"at = "3500ms", file = { kind = "manifest" }, how = "flip-byte""#),
    ("throttled-store", r#"at = "2s", rate = "1GB/s", heal_after = "1s""#),
    ("stale-read", r#"at = "2s", age = "1ms", heal_after = "1s""#),
    ("lagging-list", r#"at = "10ms", age = "1ms", heal_after = "500ms""#),
];

#[test]
fn a_fault_that_strikes_and_hurts_nothing_makes_the_run_vacuous_and_is_named() {
    for (kind, keys) in HARMLESS {
        let scenario = inline("harmless", &with_fault(&format!("[[fault]]\n{}", table(kind, keys))));
        let record = execute(&scenario, 1, &[]);
        let fault = &record.faults[0];
        assert!(fault.struck_at_ns.is_some() && fault.hurt.is_empty(), "{kind}: {:?}", fault.hurt);
        let Verdict::Vacuous { missing } = &record.verdict else { panic!("{kind}: {:?}", record.verdict) };
        assert!(missing.starts_with(&format!("fault 1 ({kind} ")) && missing.contains("hurt nothing"), "{missing}");
    }
}

/// The keys of an inline table, written as lines of a fault.
fn table(kind: &str, keys: &str) -> String {
    format!("do = \"{kind}\"\n{}", keys.replace(", ", "\n"))
}

/// The second drift equals the first one, and so does the second latency.
#[test]
fn a_fault_that_sets_what_another_one_has_set_hurts_nothing() {
    for (kind, keys) in [
        ("clock-drift", r#"target = "tm-1", rate = "50ms/s", heal_after = "1s""#),
        ("latency", r#"link = "leader - tm-1", latency = "20ms..30ms", heal_after = "1s""#),
        ("slow-operator", r#"target = "task-manager", factor = 3, heal_after = "1s""#),
    ] {
        let first = format!("[[fault]]\nat = \"1s\"\n{}", table(kind, keys).replace("1s", "2s"));
        let second = format!("[[fault]]\nat = \"1500ms\"\n{}", table(kind, keys));
        let text = with_fault(&format!("{first}\n{second}")).replace("task_managers = 4", "task_managers = 1");
        let record = execute(&inline("harmless", &text), 1, &[]);
        assert!(!record.faults[0].hurt.is_empty(), "{kind}: the first one hurts");
        let Verdict::Vacuous { missing } = &record.verdict else { panic!("{kind}: {:?}", record.verdict) };
        assert!(missing.starts_with(&format!("fault 2 ({kind} ")), "{missing}");
    }
}

#[test]
fn every_kind_of_fault_hurts_something_in_the_shipped_scenarios() {
    let mut hurt: BTreeSet<String> = BTreeSet::new();
    let mut built = true;
    for scenario in all() {
        // One run per kind is enough.
        let plan = scenario.plan(1);
        if plan.faults.iter().all(|fault| hurt.contains(flowquake::faults::kind(&fault.action))) {
            continue;
        }
        let (record, _) = flowquake::session::execute(&plan, &Jobs::builtin(), &[], String::new());
        built &= !matches!(record.verdict, Verdict::NotBuilt { .. });
        hurt.extend(record.faults.iter().filter(|fault| !fault.hurt.is_empty()).map(|fault| fault.kind.clone()));
    }
    for kind in flowquake::faults::records() {
        // Only RocksDB has files on a local disk.
        assert!(hurt.contains(&kind.name) || (kind.name == "damage-local" && !built), "{}", kind.name);
    }
}
