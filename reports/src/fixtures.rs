//! Hand-made and arbitrary run records for tests.
//!
//! Start at [`passed`]: a job with one kill, an aborted checkpoint and a recovery, in which every number was chosen on
//! purpose.

use proptest::prelude::*;

use crate::record::prediction::{PredictedRecovery, Prediction};
use crate::record::*;

const MS: u64 = 1_000_000;

fn checkpoint(id: u64, attempt: u32, at_ms: u64, parts: [u64; 6]) -> CheckpointRecord {
    let [barrier, alignment, sync, upload, ack, finalise] = parts.map(|ms| ms * MS);
    let at = at_ms * MS;
    let subtask = |name: &str, node: &str, late_ns: u64| SubtaskCheckpoint {
        subtask: name.into(),
        node: node.into(),
        first_barrier_ns: Some(at + barrier),
        aligned_ns: Some(at + barrier + alignment),
        sync_end_ns: Some(at + barrier + alignment + sync),
        async_end_ns: Some(at + barrier + alignment + sync + upload - late_ns),
        acknowledged_ns: Some(at + barrier + alignment + sync + upload + ack - late_ns),
        state_bytes: 700_000,
        busy_permille: Some(412),
        back_pressured_permille: Some(37),
    };
    let parts = CheckpointParts {
        barrier_ns: barrier,
        alignment_ns: alignment,
        sync_ns: sync,
        async_ns: upload,
        ack_ns: ack,
        finalise_ns: finalise,
    };
    CheckpointRecord {
        id,
        attempt,
        kind: "periodic".into(),
        triggered_at_ns: at,
        ended_at_ns: Some(at + parts.total_ns()),
        end: CheckpointEnd::Completed,
        committed_at_ns: Some(at + parts.total_ns() + 30 * MS),
        state_bytes: 2_100_000,
        new_bytes: Some(2_100_000 / id),
        parts: Some(parts),
        reported: None,
        subtasks: vec![
            subtask("source#0", "tm-1", 60 * MS),
            subtask("count#0", "tm-2", 0),
            subtask("count#1", "tm-3", 20 * MS),
        ],
    }
}

/// A kill at 4.5 s aborts checkpoint 4; the job recovers from checkpoint 3 and finishes.
pub(crate) fn passed() -> RunRecord {
    let mut checkpoints: Vec<CheckpointRecord> = vec![
        checkpoint(1, 1, 1_000, [4, 6, 10, 90, 2, 8]),
        checkpoint(2, 1, 2_000, [4, 8, 10, 98, 2, 8]),
        // Longer than the interval less the pause, so the pause decides the next gap.
        checkpoint(3, 1, 3_000, [40, 310, 12, 800, 3, 15]),
        checkpoint(4, 1, 4_380, [4, 8, 10, 400, 2, 8]),
        checkpoint(5, 2, 9_000, [4, 7, 10, 95, 2, 8]),
        checkpoint(6, 2, 10_000, [4, 7, 10, 97, 2, 8]),
        checkpoint(7, 2, 11_000, [4, 7, 10, 99, 2, 8]),
        checkpoint(8, 2, 11_700, [4, 7, 10, 70, 2, 8]),
    ];
    checkpoints[3].end = CheckpointEnd::Aborted { reason: "TASK_FAILURE".into() };
    checkpoints[3].ended_at_ns = Some(5_550 * MS);
    (checkpoints[3].parts, checkpoints[3].committed_at_ns) = (None, None);
    checkpoints[3].subtasks[1].acknowledged_ns = None;
    checkpoints[3].subtasks[1].async_end_ns = None;
    checkpoints[7].kind = "final".into();
    let entry = |ms: u64, node: &str, kind, text: &str| TimelineEntry {
        at_ns: ms * MS,
        node: node.into(),
        kind,
        text: text.into(),
    };
    use TimelineKind::*;
    RunRecord {
        scenario: "task-manager-dies-while-uploading".into(),
        why: "a checkpoint whose upload was cut short must never be restored".into(),
        file: "scenarios/kill/task-manager-dies-while-uploading.toml".into(),
        seed: 20_979,
        target: "sim".into(),
        job: JobSummary {
            name: "string-length-count".into(),
            backend: "rocksdb".into(),
            parallelism: 2,
            task_managers: 3,
            slots_per_task_manager: 2,
        },
        verdict: Verdict::Passed,
        options: vec![
            ("network.latency".into(), "0.3 ms to 2 ms".into()),
            ("checkpointing.unaligned".into(), "false".into()),
            ("state.incremental".into(), "true".into()),
        ],
        trace_hash: "9f3ac01d77e2b456".into(),
        replay: "flowquake run scenarios/kill/task-manager-dies-while-uploading.toml --seed 20979".into(),
        when: String::new(),
        cost_profile: "laptop-2026".into(),
        nodes: vec![
            NodeLane { name: "jm-1".into(), up: vec![(0, 12_000 * MS)] },
            NodeLane { name: "tm-1".into(), up: vec![(0, 12_000 * MS)] },
            NodeLane { name: "tm-2".into(), up: vec![(0, 4_500 * MS), (7_500 * MS, 12_000 * MS)] },
            NodeLane { name: "tm-3".into(), up: vec![(0, 12_000 * MS)] },
        ],
        faults: vec![FaultRecord {
            id: 1,
            kind: "kill".into(),
            target: "tm-2".into(),
            trigger: "async snapshot begun, checkpoint 4".into(),
            struck_at_ns: Some(4_500 * MS),
            healed_at_ns: Some(7_500 * MS),
            detail: "process killed, local disk lost".into(),
            hits: Vec::new(),
            hurt: vec![HurtRecord { count: 1, what: "nodes killed".into() }],
        }],
        checkpoints,
        recoveries: vec![RecoveryRecord {
            kind: RecoveryKind::Failover,
            attempt: 2,
            cause: "TaskManager tm-2 lost: heartbeat timed out".into(),
            fault: Some(1),
            other_faults: vec![],
            failed_at_ns: 4_500 * MS,
            superseded: vec![],
            restored_checkpoint: Some(3),
            snapshot_age_ns: 1_500 * MS,
            restored_checkpoint_duration_ns: Some(1_180 * MS),
            restored_bytes: 2_100_000,
            parts: Some(RecoveryParts {
                detect_ns: 1_050 * MS,
                backoff_or_cancel_ns: 1_000 * MS,
                slots_ns: 980 * MS,
                deploy_ns: 62 * MS,
                restore_ns: 340 * MS,
                init_ns: 18_400_000,
                ..RecoveryParts::default()
            }),
            confirmed_at_ns: Some(9_126 * MS),
            unended_ns: None,
            caught_up_at_ns: Some(9_610 * MS),
        }],
        oracles: vec![
            OracleRecord {
                id: "O1".into(),
                property: "committed output is accepted".into(),
                held: true,
                judged: 24_000,
                unit: "records".into(),
                not_judged: None,
            },
            OracleRecord {
                id: "O7".into(),
                property: "the job comes back after healing".into(),
                held: true,
                judged: 1,
                unit: "failovers".into(),
                not_judged: None,
            },
            OracleRecord {
                id: "O10".into(),
                property: "every retained checkpoint restores".into(),
                held: true,
                judged: 0,
                unit: "checkpoints".into(),
                not_judged: None,
            },
        ],
        timeline: vec![
            entry(0, "jm-1", Job, "job running, attempt 1"),
            entry(1_120, "jm-1", Checkpoint, "checkpoint 1 completed"),
            entry(1_124, "tm-3", Commit, "count#1 committed epoch 1"),
            entry(2_130, "jm-1", Checkpoint, "checkpoint 2 completed"),
            entry(4_180, "jm-1", Checkpoint, "checkpoint 3 completed"),
            entry(4_380, "jm-1", Checkpoint, "checkpoint 4 triggered"),
            entry(4_500, "tm-2", Fault, "#1 kill tm-2: process killed, local disk lost"),
            entry(5_550, "jm-1", Failover, "heartbeat of tm-2 timed out"),
            entry(5_550, "jm-1", Abort, "checkpoint 4 aborted: TASK_FAILURE"),
            entry(7_500, "tm-2", Heal, "#1 tm-2 restarted"),
            entry(7_592, "tm-2", Restore, "count#0 loads 700,000 bytes of checkpoint 3"),
            entry(7_951, "jm-1", Job, "first record processed, attempt 2"),
            entry(9_126, "jm-1", Checkpoint, "checkpoint 5 completed"),
            entry(11_801, "jm-1", Checkpoint, "final checkpoint 8 completed"),
            entry(11_950, "jm-1", Job, "job finished"),
        ],
        prediction: None,
        totals: Totals {
            virtual_ns: 12_000 * MS,
            cpu_ns: 84 * MS,
            wall_ns: 91 * MS,
            records_in: 24_000,
            records_committed: 24_000,
            events: 1_842,
            messages: 9_310,
            bytes: 3_400_000,
            lateness_max_ns: Some(3_140 * MS),
            events_by_name: [("barrier-received".to_owned(), 24), ("checkpoint-completed".to_owned(), 7)].into(),
        },
        settings: Settings {
            interval_ns: 1_000 * MS,
            min_pause_ns: 200 * MS,
            trigger_rule: TriggerRule::Spaced,
            heartbeat_interval_ns: 250 * MS,
            heartbeat_timeout_ns: 1_000 * MS,
            restart_delay_ns: 1_000 * MS,
            restart_strategy: String::new(),
            input_rate: 2_000.0,
        },
        tried: "b".into(),
        course: course(),
    }
}

/// One leader, two attempts, and a backlog that builds up while `tm-2` is down.
fn course() -> Course {
    let attempt = |attempt: u32, at_ms: u64, running_ms: u64, ended_ms: u64| AttemptRecord {
        attempt,
        deployed_at_ns: at_ms * MS,
        restored: (attempt > 1).then_some(3),
        root: if attempt == 1 { "task-manager-lost".into() } else { String::new() },
        running_at_ns: Some(running_ms * MS),
        ended_at_ns: Some(ended_ms * MS),
        subtasks: [("source#0", "tm-1"), ("count#0", "tm-2"), ("count#1", "tm-3")]
            .map(|(subtask, node)| SubtaskRecord {
                subtask: subtask.into(),
                node: node.into(),
                restoring_ns: Some((at_ms + 5) * MS),
                restored_ns: Some((running_ms - 8) * MS),
                running_ns: Some((running_ms - 5) * MS),
                first_record_ns: Some((running_ms + 2) * MS),
                ..SubtaskRecord::default()
            })
            .into(),
    };
    let sample = |at_ms: u64, waiting_bytes: [u64; 4], records_committed| FlowSample {
        at_ns: at_ms * MS,
        waiting_bytes: waiting_bytes.into(),
        records_committed,
    };
    Course {
        terms: vec![TermRecord { term: 1, node: "jm-1".into(), from_ns: 0, to_ns: None }],
        attempts: vec![attempt(1, 10, 50, 5_550), attempt(2, 7_530, 7_950, 11_950)],
        edges: vec![(0, 1)],
        flow: vec![
            sample(0, [0, 0, 0, 0], 0),
            sample(1_200, [0, 0, 900, 1_100], 2_000),
            sample(4_600, [0, 0, 64_000, 2_000], 6_000),
            sample(8_000, [0, 0, 120_000, 90_000], 6_000),
            sample(9_700, [0, 0, 1_000, 800], 18_000),
            sample(12_000, [0, 0, 0, 0], 24_000),
        ],
    }
}

/// The same story with another seed, which lost records and never caught up.
pub(crate) fn failed() -> RunRecord {
    let mut run = passed();
    run.seed = 7;
    run.trace_hash = "00c4d2e9117a8f03".into();
    run.replay = "flowquake run scenarios/kill/task-manager-dies-while-uploading.toml --seed 7".into();
    run.verdict = Verdict::Failed {
        oracle: "O1".into(),
        evidence: vec![
            "key `11` lost 3 records: committed 0..=418, expected 0..=421".into(),
            "split 0, offsets 8,212 to 8,214; last seen by count#0 in epoch 4".into(),
            "checkpoint 4 was aborted at 5.550 s; its transaction was aborted with it".into(),
        ],
        also: vec![Violated {
            oracle: "O2".into(),
            evidence: vec!["checkpoint 4: key `11` is 418, the reference says 421".into()],
        }],
    };
    run.oracles[0].held = false;
    run.recoveries[0].caught_up_at_ns = None;
    run.totals.records_committed = 23_997;
    run
}

/// Both runs, and one run of each other class.
pub(crate) fn set() -> RunSet {
    let with = |scenario: &str, verdict: Verdict| RunRecord { scenario: scenario.into(), verdict, ..empty() };
    RunSet {
        schema_version: SCHEMA_VERSION,
        command: "flowquake run scenarios/kill --seeds 2".into(),
        program: "flowquake 0.1.0 (1a2b3c4)".into(),
        fault_kinds: Vec::new(),
        setting_ranges: Vec::new(),
        runs: vec![
            passed(),
            failed(),
            with("link-cut-before-first-checkpoint", Verdict::Vacuous { missing: "fault 1 never struck".into() }),
            with("slots-exhausted", Verdict::Stuck { reason: "no slots: 2 of 4 free for 60 s".into() }),
            with("manifest-damaged", Verdict::Crashed { panic: "A1\nat aligner.rs".into() }),
            with("kill-rocksdb", Verdict::NotBuilt { feature: "rocksdb".into() }),
        ],
    }
}

/// A run in which nothing happened, in no time.
pub(crate) fn empty() -> RunRecord {
    RunRecord {
        nodes: vec![],
        faults: vec![],
        checkpoints: vec![],
        recoveries: vec![],
        oracles: vec![],
        timeline: vec![],
        options: vec![],
        totals: Totals::default(),
        course: Course::default(),
        ..passed()
    }
}

/// Short text with everything that can break documents: markup, quotes, escapes, line breaks, wide characters.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("<script>alert('x')</script> & \"quotes\"".to_owned()),
        Just("\x1b[31mred\nnext\tline\u{0}".to_owned()),
        "\\PC{0,12}",
    ]
}

/// As [`passed`], with a prediction: all of it is right except for the loading of state.
pub(crate) fn predicted() -> RunRecord {
    let mut run = passed();
    let parts = |[barrier_ns, alignment_ns, sync_ns, async_ns, ack_ns, finalise_ns]: [u64; 6]| CheckpointParts {
        barrier_ns,
        alignment_ns,
        sync_ns,
        async_ns,
        ack_ns,
        finalise_ns,
    };
    run.prediction = Some(Prediction {
        state_at_ns: Some(4_500 * MS),
        state_bytes: Some(2_000_000),
        duration: Some(parts([4, 7, 10, 96, 2, 8].map(|ms| ms * MS))),
        cost_ns: Some(10 * MS),
        period_ns: Some(1_000 * MS),
        capacity: Some(8_000.0),
        effective_capacity: Some(7_920.0),
        recovery: Some(PredictedRecovery {
            fault: 1,
            failed_at_ns: 4_500 * MS,
            restored: Some(3),
            restored_bytes: Some(2_100_000),
            snapshot_age_ns: 1_500 * MS,
            parts: RecoveryParts {
                detect_ns: 1_050 * MS,
                backoff_or_cancel_ns: 1_000 * MS,
                slots_ns: 980 * MS,
                deploy_ns: 62 * MS,
                restore_ns: 250 * MS,
                init_ns: 8 * MS,
                ..RecoveryParts::default()
            },
            effective_capacity: Some(7_900.0),
            total_ns: Some(5_010 * MS),
        }),
        outside: vec![],
        out_of_domain: vec![],
    });
    run
}

/// Times that are likely to cause errors: zero, small, ordinary, the largest.
fn any_ns() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1_000u64, 0..20_000_000_000u64, any::<u64>(), Just(u64::MAX)]
}

prop_compose! {
    fn any_checkpoint()(
        id in 0..9u64, attempt in 0..3u32, at in any_ns(), ended in prop::option::of(any_ns()),
        end in prop_oneof![
            Just(CheckpointEnd::Completed),
            any_text().prop_map(|reason| CheckpointEnd::Aborted { reason }),
            Just(CheckpointEnd::Unfinished),
        ],
        parts in prop::option::of(prop::array::uniform6(any_ns())),
        acks in prop::collection::vec((any_text(), any_text(), prop::option::of(any_ns())), 0..3),
    ) -> CheckpointRecord {
        CheckpointRecord {
            id, attempt, kind: "periodic".into(), triggered_at_ns: at, ended_at_ns: ended, end, state_bytes: at,
            new_bytes: ended, committed_at_ns: ended.and_then(|ended| ended.checked_add(at)),
            parts: parts.map(|[barrier_ns, alignment_ns, sync_ns, async_ns, ack_ns, finalise_ns]| {
                CheckpointParts { barrier_ns, alignment_ns, sync_ns, async_ns, ack_ns, finalise_ns }
            }),
            reported: None,
            subtasks: acks.into_iter().map(|(subtask, node, acknowledged_ns)| {
                SubtaskCheckpoint { subtask, node, acknowledged_ns, ..SubtaskCheckpoint::default() }
            }).collect(),
        }
    }
}

prop_compose! {
    fn any_recovery()(
        attempt in 0..3u32, cause in any_text(), failed_at_ns in any_ns(), age in any_ns(),
        duration in prop::option::of(any_ns()), parts in prop::option::of(prop::array::uniform8(any_ns())),
        caught_up_at_ns in prop::option::of(any_ns()), restored in prop::option::of(0..9u64),
        kind in prop::sample::select(vec![RecoveryKind::Failover, RecoveryKind::Takeover, RecoveryKind::Stall]),
        superseded in prop::collection::vec((any_text(), any_ns()), 0..3),
    ) -> RecoveryRecord {
        let superseded = superseded.into_iter().map(|(cause, failed_at_ns)| {
            SupersededRecovery { attempt, cause, fault: None, failed_at_ns }
        });
        RecoveryRecord {
            kind, attempt, cause, fault: restored.map(|r| r as u32), failed_at_ns, other_faults: vec![attempt],
            superseded: superseded.collect(), confirmed_at_ns: duration, unended_ns: duration, restored_checkpoint: restored,
            snapshot_age_ns: age, restored_checkpoint_duration_ns: duration, restored_bytes: age, caught_up_at_ns,
            parts: parts.map(|[stalled_ns, superseded_ns, detect_ns, backoff_or_cancel_ns, slots_ns, deploy_ns, restore_ns, init_ns]| {
                RecoveryParts {
                    stalled_ns, superseded_ns, detect_ns, backoff_or_cancel_ns, slots_ns, deploy_ns, restore_ns, init_ns,
                }
            }),
        }
    }
}

prop_compose! {
    /// Any record, valid or not, because readers open files that others wrote.
    pub(crate) fn any_run()(
        scenario in any_text(), text in any_text(), seed in any::<u64>(), virtual_ns in any_ns(),
        interval_ns in any_ns(), min_pause_ns in any_ns(),
        checkpoints in prop::collection::vec(any_checkpoint(), 0..5),
        recoveries in prop::collection::vec(any_recovery(), 0..3),
        nodes in prop::collection::vec((any_text(), prop::collection::vec((any_ns(), any_ns()), 0..3)), 0..3),
        faults in prop::collection::vec((any_text(), prop::option::of(any_ns()), prop::option::of(any_ns())), 0..3),
        timeline in prop::collection::vec((any_ns(), any_text(), any_text()), 0..4),
        failed in any::<bool>(),
    ) -> RunRecord {
        RunRecord {
            scenario, seed, checkpoints, recoveries,
            why: text.clone(),
            replay: text.clone(),
            verdict: if failed {
                Verdict::Failed { oracle: text.clone(), evidence: vec![text.clone()], also: vec![Violated { oracle: text.clone(), evidence: vec![text.clone()] }] }
            } else {
                Verdict::Passed
            },
            options: vec![(text.clone(), text.clone())],
            nodes: nodes.into_iter().map(|(name, up)| NodeLane { name, up }).collect(),
            faults: faults.into_iter().zip(1..).map(|((kind, struck_at_ns, healed_at_ns), id)| FaultRecord {
                id, target: kind.clone(), trigger: kind.clone(), detail: kind.clone(), kind, struck_at_ns, healed_at_ns, hits: Vec::new(), hurt: Vec::new(),
            }).collect(),
            timeline: timeline.into_iter().map(|(at_ns, node, text)| {
                TimelineEntry { at_ns, node, kind: TimelineKind::Fault, text }
            }).collect(),
            oracles: vec![OracleRecord {
                id: text.clone(), property: text.clone(), held: failed, judged: seed, unit: text,
                not_judged: None,
            }],
            totals: Totals { virtual_ns, ..Totals::default() },
            settings: Settings { interval_ns, min_pause_ns, ..passed().settings },
            ..passed()
        }
    }
}
