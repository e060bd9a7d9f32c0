//! From Flink's log to events: what one line means after all lines before it.
//!
//! Start at [`Translator::line`]. It is pure: lines in, events out, in the order in which they were told. Vertices are numbered in the
//! order in which the JobManager schedules them, which is that of the graph. An attempt is a time of the job in the state `RUNNING`;
//! a task's line names it by how often the task was deployed before.
//!
//! Invariant: (TRANSLATE-1) a line of a task that belongs to no vertex of the job is never an event.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::event::{AbortReason, Event, RootCause};
use flowquake_engine::ids::{Attempt, CheckpointId, NodeName, SubtaskId, Term, VertexId};

use super::messages::{Fields, Pattern, Step};

/// Events that are told in one way or another; for others Flink has no step, or no line.
pub(super) const TOLD: &[&str] = &[
    "leadership-granted",
    "task-manager-registered",
    "task-manager-lost",
    "heartbeat-sent",
    "deployment-begun",
    "deployment-lost",
    "restore-begun",
    "restore-ended",
    "task-running",
    "job-running",
    "first-record",
    "caught-up",
    "end-of-input",
    "task-failed",
    "failover-begun",
    "restart-ready",
    "job-finished",
    "job-failed",
    "checkpoint-triggered",
    "barrier-injected",
    "barrier-received",
    "alignment-opened",
    "alignment-closed",
    "snapshot-sync-begun",
    "snapshot-sync-ended",
    "sink-pre-committed",
    "snapshot-async-ended",
    "snapshot-declined",
    "checkpoint-acknowledged",
    "manifest-written",
    "checkpoint-completed",
    "checkpoint-aborted",
    "checkpoint-subsumed",
    "completion-notified",
    "sink-committed",
];

/// The package of the twins, whose own exceptions bear its name.
const IN_PROGRAM: &str = "flowquake.Hook$";
/// What Flink says when its restart strategy allows no further restart.
const NO_RESTART: &str = "Recovery is suppressed by";

/// A line as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Which node told it.
    pub(super) node: &'a str,
    /// The last part of the logger's name, or `user`.
    pub(super) logger: &'a str,
    /// The thread that told it.
    pub(super) thread: &'a str,
    /// What it says.
    pub(super) message: &'a str,
}

/// What is known of a job from the lines so far.
pub(super) struct Translator {
    patterns: Vec<Pattern>,
    slots: u16,
    attempt: u32,
    vertices: Vec<String>,
    /// Subtasks by the ids of their executions.
    executions: BTreeMap<String, SubtaskId>,
    running: BTreeSet<SubtaskId>,
    /// The checkpoint that the current attempt was restored from.
    restored: Option<CheckpointId>,
    /// Barriers that arrived, by checkpoint and subtask.
    aligning: BTreeSet<(CheckpointId, SubtaskId)>,
    /// The checkpoint of which a subtask's snapshot began last.
    snapshots: BTreeMap<SubtaskId, CheckpointId>,
    notified: BTreeSet<CheckpointId>,
    aborted: BTreeSet<CheckpointId>,
    /// Checkpoints that are neither complete nor given up, and the attempt that triggered each. Flink gives them up with a failover, without a line;
    /// one whose trigger did not reach a dead TaskManager it gives up before, as no failure, and here that waits for the failover, too.
    pending: BTreeMap<CheckpointId, Attempt>,
    /// TaskManagers that were given up and have not registered again.
    lost: BTreeMap<NodeName, u32>,
    /// Tasks that said of themselves that they failed, by subtask and attempt.
    said_failed: BTreeSet<(SubtaskId, Attempt)>,
    /// A failure that the JobManager has not answered yet.
    failed: Option<(RootCause, String)>,
    seen: BTreeSet<Step>,
}

impl Translator {
    /// Of a cluster whose TaskManagers have so many slots.
    pub(super) fn new(patterns: Vec<Pattern>, slots: u16) -> Self {
        Self {
            patterns,
            slots,
            attempt: 0,
            vertices: Vec::new(),
            executions: BTreeMap::new(),
            running: BTreeSet::new(),
            restored: None,
            aligning: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            notified: BTreeSet::new(),
            aborted: BTreeSet::new(),
            pending: BTreeMap::new(),
            lost: BTreeMap::new(),
            said_failed: BTreeSet::new(),
            failed: None,
            seen: BTreeSet::new(),
        }
    }

    /// Steps that were read so far.
    pub(super) fn seen(&self) -> &BTreeSet<Step> {
        &self.seen
    }

    /// The events that a line tells.
    pub(super) fn line(&mut self, line: &Line<'_>) -> Vec<Event> {
        let found = self.patterns.iter().filter(|pattern| pattern.logger == line.logger).find_map(|pattern| {
            let fields = pattern.fields(line.message)?;
            Some((pattern.step, fields))
        });
        let Some((step, fields)) = found else { return Vec::new() };
        self.seen.insert(step);
        self.step(step, &fields, line)
    }

    fn step(&mut self, step: Step, fields: &Fields<'_>, line: &Line<'_>) -> Vec<Event> {
        let checkpoint = CheckpointId(fields.number("checkpoint").unwrap_or(0));
        let attempt = Attempt(self.attempt.max(1));
        match step {
            Step::JobSwitched => return self.job_switched(fields),
            Step::ExecutionSwitched => return self.execution_switched(fields),
            Step::Registered => {
                let task_manager = NodeName::from(fields.text("node"));
                self.lost.remove(&task_manager);
                return vec![Event::TaskManagerRegistered { task_manager, slots: self.slots }];
            }
            Step::TaskManagerLost => {
                // JobMaster and ResourceManager give it up one after the other.
                let task_manager = NodeName::from(fields.text("node"));
                let first = !self.lost.contains_key(&task_manager);
                self.lost.entry(task_manager.clone()).or_insert(self.attempt);
                let cause = line.message.to_owned();
                return first.then_some(Event::TaskManagerLost { task_manager, cause }).into_iter().collect();
            }
            Step::Restoring => {
                self.restored = Some(checkpoint);
                return Vec::new();
            }
            Step::Triggered => {
                self.pending.insert(checkpoint, attempt);
                return vec![Event::CheckpointTriggered { attempt, checkpoint, last: false }];
            }
            Step::Acknowledged => {
                let subtask = self.executions.get(fields.text("id")).copied();
                return subtask
                    .map(|subtask| Event::CheckpointAcknowledged { attempt, checkpoint, subtask })
                    .into_iter()
                    .collect();
            }
            Step::Completed => {
                let bytes = fields.number("bytes").unwrap_or(0);
                self.pending.remove(&checkpoint);
                return vec![
                    Event::ManifestWritten { attempt, checkpoint },
                    Event::CheckpointCompleted { attempt, checkpoint, bytes },
                ];
            }
            Step::Declined => {
                let subtask = self.executions.get(fields.text("id")).copied();
                let reason = AbortReason::Declined;
                let declined = subtask.map(|subtask| Event::SnapshotDeclined { attempt, checkpoint, subtask, reason });
                return declined.into_iter().chain(self.aborted(attempt, checkpoint, reason)).collect();
            }
            Step::Expired => return self.aborted(attempt, checkpoint, AbortReason::Expired),
            Step::Failed => return Vec::new(),
            Step::Confirmed => {
                let first = self.notified.insert(checkpoint);
                return first.then_some(Event::CompletionNotified { attempt, checkpoint }).into_iter().collect();
            }
            Step::Cleaned => return vec![Event::CheckpointSubsumed { checkpoint }],
            Step::Heartbeat => return vec![Event::HeartbeatSent { to: NodeName::from(line.node) }],
            _ => {}
        }
        // What a task says of itself.
        let Some((subtask, attempt)) = self.task(fields, line.thread) else { return Vec::new() };
        self.task_step(step, subtask, attempt, checkpoint, fields)
    }

    fn task_step(
        &mut self,
        step: Step,
        subtask: SubtaskId,
        attempt: Attempt,
        checkpoint: CheckpointId,
        fields: &Fields<'_>,
    ) -> Vec<Event> {
        let is_source = subtask.vertex == VertexId(0);
        match step {
            Step::TaskSwitched => match fields.text("to") {
                "INITIALIZING" => {
                    vec![Event::RestoreBegun { term: Term(1), attempt, subtask, checkpoint: self.restored }]
                }
                "RUNNING" => {
                    vec![Event::RestoreEnded { attempt, subtask, bytes: 0 }, Event::TaskRunning { attempt, subtask }]
                }
                "FINISHED" => vec![Event::EndOfInput { attempt, subtask }],
                "FAILED" => {
                    let cause = fields.text("rest").to_owned();
                    self.said_failed.insert((subtask, attempt));
                    vec![Event::TaskFailed { attempt, subtask, in_program: cause.contains(IN_PROGRAM), cause }]
                }
                _ => Vec::new(),
            },
            Step::BarrierSent if is_source => {
                // The line names no checkpoint; the snapshot of the same one began just before.
                let checkpoint = self.snapshots.get(&subtask).copied();
                checkpoint
                    .map(|checkpoint| Event::BarrierInjected { attempt, checkpoint, subtask })
                    .into_iter()
                    .collect()
            }
            Step::BarrierReceived => {
                let index = fields.number("channel").and_then(|channel| u16::try_from(channel).ok()).unwrap_or(0);
                let from = SubtaskId { vertex: VertexId(subtask.vertex.0.saturating_sub(1)), index };
                let opened = self.aligning.insert((checkpoint, subtask));
                let opened = opened.then_some(Event::AlignmentOpened { attempt, checkpoint, subtask });
                let received = Event::BarrierReceived { attempt, checkpoint, subtask, from };
                std::iter::once(received).chain(opened).collect()
            }
            Step::Aligned => vec![Event::AlignmentClosed { attempt, checkpoint, subtask }],
            Step::SyncBegun => {
                self.snapshots.insert(subtask, checkpoint);
                vec![Event::SnapshotSyncBegun { attempt, checkpoint, subtask }]
            }
            Step::SyncEnded => {
                vec![Event::SnapshotSyncEnded { attempt, checkpoint, subtask, busy: 0, back_pressured: 0 }]
            }
            Step::AsyncEnded => vec![Event::SnapshotAsyncEnded { attempt, checkpoint, subtask, bytes: 0 }],
            Step::PartClosed => {
                let checkpoint = self.snapshots.get(&subtask).copied();
                let closed = |checkpoint| Event::SinkPreCommitted { attempt, checkpoint, subtask, bytes: 0 };
                checkpoint.map(closed).into_iter().collect()
            }
            // Whoever is told of a complete checkpoint commits; sources have nothing to commit.
            Step::Notified if !is_source => {
                vec![Event::SinkCommitted { attempt, epoch: checkpoint, subtask, checkpoint }]
            }
            Step::FirstRecord => vec![Event::FirstRecord { attempt, subtask }],
            Step::CaughtUp => vec![Event::CaughtUp { attempt, subtask }],
            _ => Vec::new(),
        }
    }

    fn job_switched(&mut self, fields: &Fields<'_>) -> Vec<Event> {
        let cause = fields.text("rest").trim().to_owned();
        let attempt = Attempt(self.attempt.max(1));
        match (fields.text("from"), fields.text("to")) {
            (from, "RUNNING") => {
                self.attempt += 1;
                self.running.clear();
                let granted = (from == "CREATED").then_some(Event::LeadershipGranted { term: Term(1) });
                let ready =
                    (from == "RESTARTING").then_some(Event::RestartReady { attempt: Attempt(self.attempt - 1) });
                granted.into_iter().chain(ready).collect()
            }
            (_, "RESTARTING" | "FAILING") => {
                let (root, cause) = self.failed.take().unwrap_or((RootCause::StoreFailed, cause));
                let begun = Event::FailoverBegun { attempt, root, cause };
                let pending: Vec<CheckpointId> = std::mem::take(&mut self.pending).into_keys().collect();
                let given_up = |checkpoint| self.aborted(attempt, checkpoint, AbortReason::TaskFailure);
                std::iter::once(begun).chain(pending.into_iter().flat_map(given_up)).collect()
            }
            (_, "FINISHED") => vec![Event::JobFinished { attempt }],
            (_, "FAILED") => {
                let cause = match cause.contains(NO_RESTART) {
                    true => format!("restarts are used up: {cause}"),
                    false if cause.is_empty() => "the job failed for good".to_owned(),
                    false => cause,
                };
                vec![Event::JobFailed { attempt, cause }]
            }
            _ => Vec::new(),
        }
    }

    fn execution_switched(&mut self, fields: &Fields<'_>) -> Vec<Event> {
        let vertex = fields.text("vertex");
        if fields.text("to") == "SCHEDULED" && !self.vertices.iter().any(|known| known == vertex) {
            self.vertices.push(vertex.to_owned());
        }
        let Some(subtask) = self.subtask(fields) else { return Vec::new() };
        let attempt = Attempt(self.attempt.max(1));
        match fields.text("to") {
            "SCHEDULED" => {
                self.executions.insert(fields.text("id").to_owned(), subtask);
                let first = self.running.is_empty() && subtask == SubtaskId { vertex: VertexId(0), index: 0 };
                let begun = Event::DeploymentBegun { attempt, restored: self.restored, state_bytes: 0 };
                first.then_some(begun).into_iter().collect()
            }
            "RUNNING" => {
                self.running.insert(subtask);
                let live = self.executions.values().collect::<BTreeSet<_>>().len();
                (self.running.len() == live).then_some(Event::JobRunning { attempt }).into_iter().collect()
            }
            "FAILED" => {
                let cause = fields.text("rest").trim_start_matches([' ', '.']).to_owned();
                let lost = self.lost.iter().find(|(node, _)| cause.contains(&format!(" {node} ")));
                // Whoever was lost before the attempt began was deployed to all the same: JobMaster and ResourceManager hear of it one after
                // the other.
                let lost = lost.filter(|(_, lost_in)| **lost_in == self.attempt).map(|(node, _)| node.clone());
                let (root, event) = match lost {
                    Some(task_manager) => (RootCause::TaskManagerLost { task_manager }, None),
                    None if self.said_failed.contains(&(subtask, attempt)) => (RootCause::TaskFailed { subtask }, None),
                    // It never ran, or nobody can hear that it did: the TaskManager does not have what it was told to run.
                    None => {
                        let task_manager = NodeName::from(node_in(&cause));
                        let event = Event::DeploymentLost { attempt, task_manager: task_manager.clone() };
                        (RootCause::DeploymentLost { task_manager }, Some(event))
                    }
                };
                if self.failed.is_some() {
                    return Vec::new();
                }
                self.failed = Some((root, cause));
                event.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// A checkpoint is given up once, whoever says so first.
    fn aborted(&mut self, attempt: Attempt, checkpoint: CheckpointId, reason: AbortReason) -> Vec<Event> {
        let first = self.aborted.insert(checkpoint);
        self.pending.remove(&checkpoint);
        first.then_some(Event::CheckpointAborted { attempt, checkpoint, reason }).into_iter().collect()
    }

    /// The task of a line where it runs: by the message, or by the thread, which bears its name.
    fn task(&self, fields: &Fields<'_>, thread: &str) -> Option<(SubtaskId, Attempt)> {
        let (vertex, index, execution) = match fields.number("index") {
            Some(index) => (fields.text("vertex").to_owned(), index, fields.number("execution")),
            None => task_in(thread)?,
        };
        let subtask = self.numbered(&vertex, index)?;
        let attempt = execution.and_then(|execution| u32::try_from(execution + 1).ok()).unwrap_or(self.attempt.max(1));
        Some((subtask, Attempt(attempt)))
    }

    fn subtask(&self, fields: &Fields<'_>) -> Option<SubtaskId> {
        self.numbered(fields.text("vertex"), fields.number("index")?)
    }

    fn numbered(&self, vertex: &str, index: u64) -> Option<SubtaskId> {
        let vertex = self.vertices.iter().position(|known| known == vertex)?;
        Some(SubtaskId {
            vertex: VertexId(u16::try_from(vertex).ok()?),
            index: u16::try_from(index.checked_sub(1)?).ok()?,
        })
    }
}

/// The node in `on tm-1 @ localhost (dataPort=3). [cause]`.
fn node_in(cause: &str) -> &str {
    cause.strip_prefix("on ").and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// Vertex, number and execution of the task that a thread is called after: `count (1/2)#0`.
fn task_in(thread: &str) -> Option<(String, u64, Option<u64>)> {
    let (task, execution) = thread.rsplit_once('#')?;
    let (vertex, place) = task.rsplit_once(" (")?;
    let (index, _) = place.trim_end_matches(')').split_once('/')?;
    Some((vertex.to_owned(), index.parse().ok()?, execution.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::messages::{ALWAYS, table};
    use super::*;

    /// What a job did whose `tm-1` was killed when Flink said that checkpoint 3 is complete: node, logger, thread and message, line by line.
    const KILLED: &[(&str, &str)] = &[
        ("1.20", include_str!("recorded/1.20.5-killed.log")),
        ("2.2", include_str!("recorded/2.2.1-killed.log")),
        ("2.3", include_str!("recorded/2.3.0-killed.log")),
    ];

    fn translated((version, log): &(&str, &str)) -> (Vec<(String, Event)>, BTreeSet<Step>) {
        let mut translator = Translator::new(table(version).unwrap(), 2);
        let mut events = Vec::new();
        for text in log.lines() {
            let parts: Vec<&str> = text.splitn(4, '\t').collect();
            let [node, logger, thread, message] = parts[..] else { panic!("{text}") };
            let told = translator.line(&Line { node, logger, thread, message });
            events.extend(told.into_iter().map(|event| (node.to_owned(), event)));
        }
        (events, translator.seen().clone())
    }

    #[test]
    fn recorded_runs_of_every_version_are_understood() {
        let recorded: Vec<&str> = KILLED.iter().map(|(version, _)| *version).collect();
        assert_eq!(recorded, super::super::messages::VERSIONS.iter().map(|(version, _)| *version).collect::<Vec<_>>());
        for killed in KILLED {
            let version = killed.0;
            let (events, seen) = translated(killed);
            assert!(ALWAYS.iter().all(|step| seen.contains(step)), "{version}: {seen:?}");
            let place = |what: &str, wanted: &dyn Fn(&Event) -> bool| {
                let found = events.iter().position(|(_, event)| wanted(event));
                found.unwrap_or_else(|| panic!("{version}: no {what}"))
            };
            let completed = place("checkpoint 3", &|event| {
                matches!(event, Event::CheckpointCompleted { checkpoint: CheckpointId(3), .. })
            });
            let begun = place("failover", &|event| matches!(event, Event::FailoverBegun { .. }));
            let restored = place("restore", &|event| {
                matches!(event, Event::DeploymentBegun { restored: Some(CheckpointId(3)), .. })
            });
            let running =
                place("second attempt", &|event| matches!(event, Event::JobRunning { attempt } if attempt.0 > 1));
            let finished = place("end", &|event| matches!(event, Event::JobFinished { .. }));
            let order = [completed, begun, restored, running, finished];
            assert!(order.is_sorted(), "{version}: {order:?}");
            let lost = |event: &Event| matches!(event, Event::TaskManagerLost { task_manager, .. } if task_manager.as_str() == "tm-1");
            assert_eq!(events.iter().filter(|(_, event)| lost(event)).count(), 1, "{version}: lost once");
        }
    }

    /// As O8 asks it: what a failover names has happened since the attempt before.
    #[test]
    fn the_root_of_every_failover_was_told_in_its_attempt() {
        for killed in KILLED {
            let mut since: Vec<Event> = Vec::new();
            for (_, event) in translated(killed).0 {
                if let Event::FailoverBegun { root, .. } = &event {
                    let named = |told: &Event| match (root, told) {
                        (
                            RootCause::TaskManagerLost { task_manager },
                            Event::TaskManagerLost { task_manager: of, .. },
                        )
                        | (
                            RootCause::DeploymentLost { task_manager },
                            Event::DeploymentLost { task_manager: of, .. },
                        ) => task_manager == of,
                        (RootCause::TaskFailed { subtask }, Event::TaskFailed { subtask: of, .. }) => subtask == of,
                        _ => false,
                    };
                    assert!(since.iter().any(named), "{}: {event}", killed.0);
                }
                match event {
                    Event::DeploymentBegun { .. } => since.clear(),
                    event => since.push(event),
                }
            }
        }
    }

    /// Of the recorded run of 2.2.1: nobody heard that checkpoint 3 is complete, since its TaskManager was dead before.
    #[test]
    fn a_dead_task_manager_hears_of_no_complete_checkpoint() {
        let (events, _) = translated(&KILLED[1]);
        let notified = |checkpoint: u64| {
            let of =
                |event: &Event| matches!(event, Event::CompletionNotified { checkpoint: of, .. } if of.0 == checkpoint);
            events.iter().any(|(_, event)| of(event))
        };
        assert!(notified(2) && !notified(3));
        let rooted = |event: &Event| {
            matches!(event, Event::FailoverBegun { attempt: Attempt(1), root: RootCause::TaskManagerLost { .. }, .. })
        };
        assert!(events.iter().any(|(_, event)| rooted(event)));
    }

    #[test]
    fn events_are_told_by_whom_the_vocabulary_names() {
        let (events, _) = translated(&KILLED[1]);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (node, event) in &events {
            *counts.entry(event.name()).or_default() += 1;
            assert!(TOLD.contains(&event.name()), "{event}");
            // Heartbeats and the news of a checkpoint are told where they arrive.
            let arrives = matches!(event, Event::HeartbeatSent { .. } | Event::CompletionNotified { .. });
            let by_task_manager =
                Event::row(event.name()).unwrap().emitter == flowquake_engine::event::Emitter::TaskManager;
            assert!(arrives || by_task_manager == node.starts_with("tm-"), "{node}: {event}");
        }
        insta::assert_debug_snapshot!(counts);
    }

    /// ResourceManager and JobMaster give a TaskManager up one after the other, and between the two the job is deployed to it again.
    #[test]
    fn who_was_given_up_before_the_attempt_began_was_deployed_to_in_vain() {
        let mut translator = Translator::new(table("2.2").unwrap(), 2);
        let mut tell = |logger: &str, message: &str| {
            translator.line(&Line { node: "jm-1", logger, thread: "main", message }).into_iter().collect::<Vec<_>>()
        };
        tell("ExecutionGraph", "Job count (ab) switched from state CREATED to RUNNING.");
        tell("ExecutionGraph", "count (1/2) (ab_0_0) switched from CREATED to SCHEDULED.");
        let lost = tell("StandaloneResourceManager", "Closing TaskExecutor connection tm-1 because: it is gone");
        assert!(matches!(lost[..], [Event::TaskManagerLost { .. }]), "{lost:?}");
        tell("ExecutionGraph", "Job count (ab) switched from state RUNNING to RESTARTING.");
        tell("ExecutionGraph", "Job count (ab) switched from state RESTARTING to RUNNING.");
        assert_eq!(tell("JobMaster", "TaskManager with id tm-1 is no longer reachable."), [], "it is told once");
        let failed =
            "count (1/2) (ab_0_1) switched from DEPLOYING to FAILED on tm-1 @ localhost (dataPort=3). [it is gone]";
        let failed = tell("ExecutionGraph", failed);
        assert!(matches!(failed[..], [Event::DeploymentLost { .. }]), "{failed:?}");
        let begun = tell("ExecutionGraph", "Job count (ab) switched from state RUNNING to RESTARTING.");
        assert!(
            matches!(begun[..], [Event::FailoverBegun { root: RootCause::DeploymentLost { .. }, .. }]),
            "{begun:?}"
        );
    }

    #[test]
    fn tasks_that_belong_to_no_vertex_tell_nothing() {
        // TRANSLATE-1
        let mut translator = Translator::new(table("2.2").unwrap(), 2);
        let message = "Notify checkpoint 4 complete on task other (1/2)#0";
        assert_eq!(translator.line(&Line { node: "tm-1", logger: "StreamTask", thread: "other (1/2)#0", message }), []);
    }
}
