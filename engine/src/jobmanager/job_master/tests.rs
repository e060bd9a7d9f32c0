//! Stories of one job, without a runtime.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::manifest::{Chunk, Transaction};
use crate::env::Checksum;
use crate::graph::{Edge, InputKind, InputSpec, Partitioning, Vertex};
use crate::ids::{Term, VertexId};
use crate::wire::DamagedFile;

mod facts;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// `source -> sink`.
fn graph() -> JobGraph {
    let vertex = |name: &str, is_source, has_sink| Vertex {
        name: name.into(),
        build: Arc::new(|_| unreachable!("no task runs here")),
        is_source,
        has_sink,
        is_keyed: has_sink,
    };
    let edge = Edge { from: VertexId(0), to: VertexId(1), partitioning: Partitioning::Hash };
    JobGraph { vertices: vec![vertex("source", true, false), vertex("sink", false, true)], edges: vec![edge] }
}

/// Two subtasks per vertex; heartbeats so far apart that most stories are over before the first.
fn spec(change: impl FnOnce(&mut JobConfig)) -> JobSpec {
    let mut config = JobConfig {
        parallelism: 2,
        heartbeat_interval: ms(50_000),
        heartbeat_timeout: ms(100_000),
        slot_stabilization: Duration::ZERO,
        rpc_timeout: ms(500_000),
        lease: ms(50_000_000),
        ..JobConfig::default()
    };
    config.checkpoints.retained = 2;
    change(&mut config);
    let kind = InputKind::Generator { name: "numbers".into(), records: 1, seed: 1 };
    let input = InputSpec { kind, splits: 2, period_fs: 0 };
    JobSpec { program: "story".into(), params: BTreeMap::new(), input, config }
}

fn subtask(vertex: u16, index: u16) -> SubtaskId {
    SubtaskId { vertex: VertexId(vertex), index }
}

/// A state that can be told from every other.
fn state(of: SubtaskId, checkpoint: u64) -> SubtaskState {
    let epoch = CheckpointId(checkpoint);
    let chunks = vec![Chunk { path: of.to_string(), checksum: Checksum::of(b"") }];
    let transactions = vec![Transaction { epoch, chunks, records: 1 }];
    SubtaskState { transactions, ..SubtaskState::default() }
}

fn damaged_file(path: &str) -> DamagedFile {
    DamagedFile { path: path.into(), expected: "5 bytes".into(), found: "4 bytes".into() }
}

/// One line per command; an event by its name behind a `!`.
fn line(command: &Command) -> String {
    match command {
        Command::Send(node, order) => {
            let order = match order {
                Order::Registered { .. } => "registered".into(),
                Order::Heartbeat => "heartbeat".into(),
                Order::Deploy(deployment) => {
                    let subtasks: Vec<_> = deployment.subtasks.keys().map(SubtaskId::to_string).collect();
                    format!("deploy {} {}", deployment.attempt.0, subtasks.join(" "))
                }
                Order::Cancel(attempt) => format!("cancel {}", attempt.0),
                Order::Trigger(attempt, id) => format!("trigger {}/{id}", attempt.0),
                Order::Completed(attempt, id) => format!("completed {}/{id}", attempt.0),
                Order::Aborted(attempt, id) => format!("aborted {}/{id}", attempt.0),
                Order::Finish(attempt) => format!("finish {}", attempt.0),
            };
            format!("{node} <- {order}")
        }
        Command::Disconnect(node, connection) => format!("disconnect {node} {connection}"),
        Command::Emit(event) => format!("! {}", event.name()),
        Command::Load(id) => format!("load {id}"),
        Command::Seal { id, attempt, .. } => format!("seal {}/{id}", attempt.0),
        Command::AbortAbove { restored, highest, sinks } => {
            format!("abort above {restored} up to {highest} of {} sinks", sinks.len())
        }
        Command::Delete(id) => format!("delete {id}"),
        Command::Append(change, _) => format!("append {change:?}"),
        Command::Sweep { keep, up_to, .. } => format!("sweep up to {up_to} but {keep:?}"),
        Command::StepDown => "step down".into(),
        Command::End(JobResult::Finished) => "end: finished".into(),
        Command::End(JobResult::Failed(cause)) => format!("end: failed: {cause}"),
    }
}

/// The state of a log without entries.
fn nothing() -> HaState {
    HaState {
        program: "story".into(),
        start: Time(77),
        attempt: Attempt(0),
        completed: Vec::new(),
        undecided: None,
        reserved: CheckpointId(0),
        ended: None,
    }
}

struct Story {
    master: JobMaster,
    now: Time,
    /// What the last step answered.
    said: Vec<Command>,
    connections: BTreeMap<u32, u64>,
    /// The log and the sweeper answer at once, and lines about them are left out.
    smooth: bool,
    placement: BTreeMap<SubtaskId, NodeName>,
}

fn tm(number: u32) -> NodeName {
    format!("tm-{number}").into()
}

impl Story {
    /// The log names these `completed` checkpoints; `next` is the first free id.
    fn recovered(completed: &[u64], next: u64, change: impl FnOnce(&mut JobConfig)) -> Self {
        let completed = completed.iter().copied().map(CheckpointId).collect();
        Self::opened(HaState { completed, reserved: CheckpointId(next - 1), ..nothing() }, change)
    }

    /// A leader that found this state in the log.
    fn opened(found: HaState, change: impl FnOnce(&mut JobConfig)) -> Self {
        let master = JobMaster::new(spec(change), &graph(), 7, Term(1), opened(found), Time::ZERO);
        let (connections, placement) = (BTreeMap::new(), BTreeMap::new());
        Self { master, now: Time::ZERO, said: Vec::new(), connections, smooth: true, placement }
    }

    fn new(change: impl FnOnce(&mut JobConfig)) -> Self {
        Self::recovered(&[], 1, change)
    }

    /// A job that runs its first attempt on two TaskManagers.
    fn running(change: impl FnOnce(&mut JobConfig)) -> Self {
        let mut story = Self::new(change);
        story.register(1, 1);
        story.register(2, 1);
        story.all_run();
        story
    }

    fn step(&mut self, fact: Fact) -> Vec<String> {
        self.said = self.master.step(self.now, fact);
        while self.smooth {
            let answer = |command: &Command| match command {
                Command::Append(change, _) => Some(Fact::Appended(change.clone())),
                Command::Sweep { .. } => Some(Fact::Swept),
                _ => None,
            };
            let Some((at, fact)) = self.said.iter().enumerate().find_map(|(at, c)| Some((at, answer(c)?))) else {
                break;
            };
            let more = self.master.step(self.now, fact);
            self.said.splice(at..=at, []);
            self.said.extend(more);
        }
        if self.smooth {
            let of_the_log = |event: &Event| ["lease-renewed", "manifest-written"].contains(&event.name());
            self.said.retain(|command| !matches!(command, Command::Emit(event) if of_the_log(event)));
        }
        for command in &self.said {
            if let Command::Send(_, Order::Deploy(deployment)) = command {
                self.placement.clone_from(&deployment.placement);
            }
        }
        self.said.iter().map(line).collect()
    }

    fn at(&mut self, millis: u64) -> &mut Self {
        assert!(self.now <= Time::ZERO + ms(millis));
        self.now = Time::ZERO + ms(millis);
        self
    }

    fn time(&mut self) -> Vec<String> {
        self.step(Fact::Time)
    }

    /// Goes to when something is due.
    fn wake(&mut self) -> Vec<String> {
        self.now = self.now.max(self.master.wake_at());
        self.time()
    }

    fn register(&mut self, number: u32, slots: u16) -> Vec<String> {
        let connection = self.connections.values().max().unwrap_or(&0) + 1;
        self.connections.insert(number, connection);
        let data = Address(format!("tm-{number}:data"));
        self.step(Fact::Registered { node: tm(number), connection, incarnation: 1, slots, data })
    }

    fn disconnect(&mut self, number: u32) -> Vec<String> {
        let connection = self.connections[&number];
        self.step(Fact::Disconnected { node: tm(number), connection, cause: "connection reset by peer".into() })
    }

    fn hear(&mut self, node: NodeName, message: ToJobManager) -> Vec<String> {
        let number = node.as_str()[3..].parse().unwrap();
        self.step(Fact::Message { connection: self.connections[&number], node, message })
    }

    fn canceled(&mut self, number: u32, attempt: u32) -> Vec<String> {
        self.hear(tm(number), ToJobManager::Canceled(Attempt(attempt)))
    }

    /// A report of the current attempt, from where the subtask runs.
    fn report(&mut self, of: SubtaskId, report: TaskReport) -> Vec<String> {
        let attempt = self.master.attempt;
        self.hear(self.placement[&of].clone(), ToJobManager::Task(attempt, report))
    }

    /// Every subtask reports in turn; what all that led to.
    fn all_report(&mut self, report: impl Fn(SubtaskId) -> TaskReport) -> Vec<String> {
        let subtasks: Vec<_> = self.placement.keys().copied().collect();
        subtasks.into_iter().flat_map(|of| self.report(of, report(of))).collect()
    }

    fn all_run(&mut self) -> Vec<String> {
        self.all_report(TaskReport::Running)
    }

    fn all_acknowledge(&mut self, id: u64) -> Vec<String> {
        self.all_report(|of| TaskReport::Acknowledge {
            checkpoint: CheckpointId(id),
            subtask: of,
            state: state(of, id),
        })
    }

    fn sealed(&mut self, id: u64) -> Vec<String> {
        self.step(Fact::Sealed(CheckpointId(id), true))
    }

    /// Takes a checkpoint from its trigger to its completion and the sinks' commits.
    fn complete_checkpoint(&mut self, id: u64) {
        let triggered = self.wake();
        assert!(triggered.contains(&format!("tm-1 <- trigger {}/{id}", self.master.attempt.0)), "{triggered:?}");
        self.all_acknowledge(id);
        self.sealed(id);
        for index in 0..2 {
            let sink = subtask(1, index);
            self.report(sink, TaskReport::Committed { checkpoint: CheckpointId(id), subtask: sink });
        }
    }

    fn loaded(&mut self, id: u64) -> Vec<String> {
        let manifest = Manifest {
            checkpoint: CheckpointId(id),
            attempt: Attempt(1),
            term: Term(1),
            job: spec(|_| {}),
            start: Time(77),
            triggered_at: Time(1),
            subtasks: self.master.subtasks.iter().map(|of| (*of, state(*of, id))).collect(),
        };
        self.step(Fact::Loaded(CheckpointId(id), Ok(Box::new(manifest))))
    }

    fn load_damaged(&mut self, id: u64) -> Vec<String> {
        let damaged = Damaged { path: format!("chk-{id}/_metadata"), expected: "a".into(), found: "b".into() };
        self.step(Fact::Loaded(CheckpointId(id), Err(LoadError::Damaged(damaged))))
    }

    /// The event of that name in the last answer.
    #[track_caller]
    fn event(&self, name: &str) -> &Event {
        let mut events = self.said.iter().filter_map(|command| match command {
            Command::Emit(event) if event.name() == name => Some(event),
            _ => None,
        });
        events.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.said))
    }
}

// Slots and deployment.

#[test]
fn waits_for_slots_and_says_so_again_and_again() {
    let mut story = Story::new(|_| {});
    assert_eq!(story.master.wake_at(), Time::ZERO);
    assert_eq!(story.time(), ["! waiting-for-slots"]);
    assert_eq!(
        *story.event("waiting-for-slots"),
        Event::WaitingForSlots { attempt: Attempt(1), needed: 2, offered: 0 }
    );
    assert_eq!(story.at(5000).register(1, 1), ["tm-1 <- registered", "! task-manager-registered"]);
    assert_eq!(story.master.wake_at(), Time::ZERO + SLOT_REMINDER);
    assert_eq!(story.wake(), ["! waiting-for-slots"]);
    assert_eq!(
        *story.event("waiting-for-slots"),
        Event::WaitingForSlots { attempt: Attempt(1), needed: 2, offered: 1 }
    );
    assert_eq!(story.master.wake_at(), Time::ZERO + 2 * SLOT_REMINDER);
}

#[test]
fn spreads_over_the_task_managers_as_soon_as_slots_suffice() {
    let mut story = Story::new(|config| config.parallelism = 3);
    story.register(2, u16::MAX);
    let expected = ["! deployment-begun", "tm-2 <- deploy 1 0#0 0#1 0#2 1#0 1#1 1#2"];
    assert_eq!(story.said[2..].iter().map(line).collect::<Vec<_>>(), expected, "one may carry all");

    let mut story = Story::new(|config| config.slot_stabilization = ms(1));
    story.register(1, u16::MAX);
    story.register(2, u16::MAX);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 1#1"], "however many there are");

    let mut story = Story::new(|config| config.parallelism = 4);
    story.register(3, 1);
    story.register(1, 1);
    let deployed = story.register(2, 3);
    let expected = ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 0#3 1#1 1#3", "tm-3 <- deploy 1 0#2 1#2"];
    assert_eq!(deployed[3..], expected, "in turn while there are slots");
    for command in &story.said {
        if let Command::Send(_, Order::Deploy(deployment)) = command {
            assert_eq!((deployment.start, deployment.checkpoint), (Time(77), None));
            assert_eq!(deployment.data.len(), 3);
            assert_eq!(deployment.placement[&subtask(1, 3)], tm(2), "all know where all run");
        }
    }
}

#[test]
fn waits_until_no_more_task_managers_come() {
    let mut story = Story::new(|config| config.slot_stabilization = ms(10));
    story.register(1, 2);
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(10));
    assert_eq!(story.at(9).register(2, 2).len(), 2);
    assert_eq!(story.at(18).time(), [""; 0]);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-2 <- deploy 1 0#1 1#1"]);
    assert_eq!(story.now, Time::ZERO + ms(19));
}

#[test]
fn a_task_manager_that_is_lost_before_deployment_costs_no_attempt() {
    let mut story = Story::new(|config| config.slot_stabilization = ms(10));
    story.register(1, 1);
    story.register(2, 1);
    story.at(5).disconnect(2);
    assert_eq!(story.at(20).time(), [""; 0]);
    story.register(3, 1);
    assert_eq!(story.wake()[1..], ["tm-1 <- deploy 1 0#0 1#0", "tm-3 <- deploy 1 0#1 1#1"]);
}

#[test]
fn runs_only_when_every_subtask_has_said_so() {
    let mut story = Story::new(|_| {});
    story.register(1, 2);
    for of in [subtask(0, 0), subtask(0, 1), subtask(1, 0), subtask(1, 0)] {
        assert_eq!(story.report(of, TaskReport::Running(of)), [""; 0]);
    }
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(50_000), "no checkpoint before");
    let last = subtask(1, 1);
    assert_eq!(story.report(last, TaskReport::Running(last)), ["! job-running"]);
    assert!(story.master.wake_at() <= Time::ZERO + ms(1000), "the first trigger is within an interval");
}

// Checkpoints.

#[test]
fn triggers_at_sources_seals_what_all_acknowledged_and_notifies_all() {
    let mut story = Story::running(|_| {});
    assert_eq!(story.wake(), ["! checkpoint-triggered", "tm-1 <- trigger 1/1", "tm-2 <- trigger 1/1"]);
    let triggered_at = story.now;
    let acknowledged = story.all_acknowledge(1);
    assert_eq!(acknowledged, [&["! checkpoint-acknowledged"; 4][..], &["seal 1/1"]].concat());
    let states =
        (0..2).flat_map(|vertex| [subtask(vertex, 0), subtask(vertex, 1)]).map(|of| (of, state(of, 1))).collect();
    let seal = Command::Seal { id: CheckpointId(1), attempt: Attempt(1), triggered_at, states };
    assert_eq!(story.said.last(), Some(&seal));
    let expected =
        ["! checkpoint-completed", "tm-1 <- completed 1/1", "tm-2 <- completed 1/1", "! completion-notified"];
    assert_eq!(story.sealed(1), expected, "nobody hears of it before it is durable");
    let sink = subtask(1, 0);
    let committed = TaskReport::Committed { checkpoint: CheckpointId(1), subtask: sink };
    assert_eq!(story.report(sink, committed.clone()), ["! commit-acknowledged"]);
    assert_eq!(story.report(sink, committed), [""; 0], "once");
}

#[test]
fn the_oldest_of_too_many_checkpoints_is_deleted() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.complete_checkpoint(2);
    story.wake();
    story.all_acknowledge(3);
    let expected = ["! checkpoint-completed", "! checkpoint-subsumed", "delete 1", "tm-1 <- completed 1/3"];
    assert_eq!(story.sealed(3)[..4], expected);
}

#[test]
fn an_expired_checkpoint_beyond_the_tolerable_number_fails_over_and_nothing_is_triggered_behind_it() {
    let mut story = Story::running(|config| config.checkpoints.timeout = ms(3000));
    story.wake();
    let expired = story.wake();
    let expected = [
        "tm-1 <- aborted 1/1",
        "tm-2 <- aborted 1/1",
        "! checkpoint-aborted",
        "delete 1",
        "! failover-begun",
        "tm-1 <- cancel 1",
        "tm-2 <- cancel 1",
    ];
    assert_eq!(expired, expected);
}

#[test]
fn a_declined_checkpoint_is_put_up_with_as_often_as_allowed() {
    let mut story = Story::running(|config| config.checkpoints.tolerable_failed = 1);
    let decline = |id| TaskReport::Decline {
        checkpoint: CheckpointId(id),
        subtask: subtask(1, 0),
        reason: AbortReason::AsyncException,
    };
    story.wake();
    let declined = story.report(subtask(1, 0), decline(1));
    assert_eq!(declined, ["tm-1 <- aborted 1/1", "tm-2 <- aborted 1/1", "! checkpoint-aborted", "delete 1"]);
    assert_eq!(story.report(subtask(1, 0), decline(1)), [""; 0], "C4: it ends once");
    story.wake();
    let declined = story.report(subtask(1, 0), decline(2));
    assert!(declined.contains(&"! failover-begun".into()), "{declined:?}");
}

#[test]
fn finishes_after_the_final_checkpoint_and_its_commits() {
    let mut story = Story::running(|_| {});
    let ended = story.all_report(TaskReport::EndOfInput);
    assert_eq!(ended, ["! checkpoint-triggered", "tm-1 <- trigger 1/1", "tm-2 <- trigger 1/1"]);
    let last = true;
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(1));
    assert_eq!(*story.event("checkpoint-triggered"), Event::CheckpointTriggered { attempt, checkpoint, last });
    story.all_acknowledge(1);
    story.sealed(1);
    let again = story.wake();
    assert_eq!(again, ["tm-1 <- completed 1/1", "tm-2 <- completed 1/1", "! completion-notified"], "it may be lost");
    let commit = |of| TaskReport::Committed { checkpoint: CheckpointId(1), subtask: of };
    assert_eq!(story.report(subtask(1, 0), commit(subtask(1, 0))), ["! commit-acknowledged"]);
    let expected = ["! commit-acknowledged", "tm-1 <- finish 1", "tm-2 <- finish 1", "! job-finished", "end: finished"];
    assert_eq!(story.report(subtask(1, 1), commit(subtask(1, 1))), expected);
    assert_eq!(story.master.wake_at(), Time::NEVER);
    assert_eq!(story.disconnect(1), [""; 0], "it is over");
}

// Failures.

#[test]
fn a_lost_task_manager_leads_over_cancel_and_delay_to_the_next_attempt_from_the_newest_checkpoint() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.complete_checkpoint(2);
    story.register(3, 1);
    story.wake();
    let failed_at = story.now;
    let expected = [
        "disconnect tm-2 2",
        "! task-manager-lost",
        "! failover-begun",
        "tm-1 <- aborted 1/3",
        "tm-2 <- aborted 1/3",
        "! checkpoint-aborted",
        "delete 3",
        "tm-1 <- cancel 1",
    ];
    assert_eq!(story.disconnect(2), expected, "the lost one is not waited for, the idle one has nothing to cancel");
    let Event::FailoverBegun { cause, .. } = story.event("failover-begun") else { unreachable!() };
    assert_eq!(cause, "TaskManager tm-2 lost: connection reset by peer");

    story.now = failed_at + ms(400);
    assert_eq!(story.canceled(1, 1), ["! tasks-canceled"]);
    assert_eq!(story.master.wake_at(), failed_at + ms(1000), "not before the restart delay");
    assert_eq!(story.wake(), ["! restart-ready", "load 2"]);
    let deployed = story.loaded(2);
    assert_eq!(deployed, ["! deployment-begun", "tm-1 <- deploy 2 0#0 1#0", "tm-3 <- deploy 2 0#1 1#1"]);
    for command in &story.said {
        if let Command::Send(_, Order::Deploy(deployment)) = command {
            assert_eq!(deployment.checkpoint, Some(CheckpointId(2)));
            assert!(deployment.subtasks.iter().all(|(of, restored)| *restored == state(*of, 2)), "each its own");
        }
    }
    let expected = ["! job-running", "tm-1 <- completed 2/2", "tm-3 <- completed 2/2", "! completion-notified"];
    assert_eq!(story.all_run(), expected, "restored transactions are committed now that all state is verified");
    story.complete_checkpoint(4);
}

#[test]
fn the_next_attempt_waits_for_every_cancellation_however_long() {
    let mut story = Story::running(|_| {});
    story.register(3, 2);
    story.report(subtask(0, 0), TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("out of luck".into())));
    let Event::FailoverBegun { cause, .. } = story.event("failover-begun") else { unreachable!() };
    assert_eq!(cause, "subtask 0#0: out of luck");
    assert_eq!(story.canceled(1, 1), [""; 0]);
    assert_eq!(story.canceled(1, 1), [""; 0], "twice is once");
    assert_eq!(story.canceled(3, 1), [""; 0], "nobody asked it");
    assert_eq!(story.at(30_000).time(), [""; 0]);
    let expected = ["! tasks-canceled", "! restart-ready", "! deployment-begun", "tm-1 <- deploy 2 0#0 1#0"];
    assert_eq!(story.canceled(2, 1)[..4], expected);
}

#[test]
fn whoever_is_lost_while_it_cancels_is_waited_for_no_longer() {
    let mut story = Story::running(|_| {});
    story.disconnect(2);
    assert_eq!(story.disconnect(1), ["disconnect tm-1 1", "! task-manager-lost", "! tasks-canceled"]);
    assert_eq!(story.wake(), ["! restart-ready", "! waiting-for-slots"]);
    assert_eq!(story.register(1, 2)[2..], ["! deployment-begun", "tm-1 <- deploy 2 0#0 0#1 1#0 1#1"]);
}

#[test]
fn messages_of_another_attempt_change_nothing() {
    let mut story = Story::running(|_| {});
    story.complete_checkpoint(1);
    story.wake();
    story.report(subtask(0, 0), TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("first".into())));
    story.canceled(1, 1);
    story.canceled(2, 1);
    story.wake();
    story.loaded(1);
    story.all_run();
    story.wake();
    let all = |of: SubtaskId| {
        [
            TaskReport::Running(of),
            TaskReport::Failed(of, TaskFailure::Failed("late".into())),
            TaskReport::Failed(of, TaskFailure::Damaged(CheckpointId(1), damaged_file("late"))),
            TaskReport::EndOfInput(of),
            TaskReport::Acknowledge { checkpoint: CheckpointId(3), subtask: of, state: state(of, 3) },
            TaskReport::Decline { checkpoint: CheckpointId(3), subtask: of, reason: AbortReason::Declined },
            TaskReport::Committed { checkpoint: CheckpointId(3), subtask: of },
        ]
    };
    let due = story.master.wake_at();
    for attempt in [1, 3] {
        for of in story.placement.keys().copied().collect::<Vec<_>>() {
            for report in all(of) {
                let node = story.placement[&of].clone();
                assert_eq!(
                    story.hear(node, ToJobManager::Task(Attempt(attempt), report.clone())),
                    [""; 0],
                    "J2: {report:?}"
                );
            }
        }
        assert_eq!(story.canceled(1, attempt), [""; 0]);
    }
    assert_eq!(story.master.wake_at(), due);
    assert_eq!(story.all_acknowledge(3).len(), 5, "the present attempt's count, as if nothing had been");
}

#[test]
fn messages_of_a_given_up_connection_change_nothing() {
    let mut story = Story::running(|config| {
        config.heartbeat_interval = ms(1000);
        config.heartbeat_timeout = ms(5000);
        config.checkpoints.interval = ms(60_000);
    });
    story.disconnect(2);
    story.canceled(1, 1);
    story.register(2, 1);
    let old = |story: &mut Story, message| story.step(Fact::Message { node: tm(2), connection: 2, message });
    story.at(4999);
    story.hear(tm(1), ToJobManager::Heartbeat(None));
    let of = subtask(0, 1);
    for message in [
        ToJobManager::Heartbeat(None),
        ToJobManager::Canceled(Attempt(1)),
        ToJobManager::Task(Attempt(2), TaskReport::Failed(of, TaskFailure::Failed("late".into()))),
    ] {
        assert_eq!(old(&mut story, message), [""; 0], "J2");
    }
    let ended = Fact::Disconnected { node: tm(2), connection: 2, cause: "late".into() };
    assert_eq!(story.step(ended), [""; 0]);
    assert_eq!(story.at(5000).time()[..2], ["! heartbeat-missed", "disconnect tm-2 3"], "not even as a sign of life");
}

#[test]
fn a_silent_task_manager_is_lost_exactly_at_its_timeout() {
    let mut story = Story::new(|config| {
        config.heartbeat_interval = ms(1000);
        config.heartbeat_timeout = ms(5000);
        config.checkpoints.interval = ms(600_000);
    });
    story.at(100).register(1, 2);
    story.all_run();
    assert_eq!(story.wake(), ["tm-1 <- heartbeat", "! heartbeat-sent"]);
    assert_eq!(story.now, Time::ZERO + ms(1100));
    story.at(1150);
    assert_eq!(story.hear(tm(1), ToJobManager::Heartbeat(None)), [""; 0]);
    for beat in [2100, 3100, 4100, 5100, 6100] {
        story.wake();
        assert_eq!(story.now, Time::ZERO + ms(beat), "one beat per interval");
    }
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(6150));
    story.now = Time(story.master.wake_at().0 - 1);
    assert_eq!(story.time(), [""; 0]);
    let lost = story.at(6150).time();
    assert_eq!(lost[..4], ["! heartbeat-missed", "disconnect tm-1 1", "! task-manager-lost", "! failover-begun"]);
    let Event::TaskManagerLost { cause, .. } = story.event("task-manager-lost") else { unreachable!() };
    assert_eq!(cause, "no heartbeat for 5s");
}

#[test]
fn slots_of_a_connection_that_ended_are_free_after_so_many_heartbeats() {
    let lost = |threshold: u32| {
        let mut story = Story::new(|config| {
            config.parallelism = 1;
            config.heartbeat_interval = ms(1000);
            config.heartbeat_rpc_failure_threshold = threshold;
            config.restart_delay = ms(100);
            config.slot_stabilization = Duration::ZERO;
            config.checkpoints.interval = ms(600_000);
        });
        story.at(100).register(1, 1);
        story.all_run();
        story.at(300).register(2, 1);
        while story.master.wake_at() < Time::ZERO + ms(2500) {
            story.wake();
        }
        story.at(2500).disconnect(1);
        story
    };
    let begun = "! deployment-begun".to_owned();
    let deployed_at = |mut story: Story| (0..9).find_map(|_| story.wake().contains(&begun).then_some(story.now));
    // The restart delay alone; then the beats at 3,100 and 4,100.
    let at = [0, 1, 2].map(|threshold| deployed_at(lost(threshold)));
    assert_eq!(at, [2600, 3100, 4100].map(|at| Some(Time::ZERO + ms(at))));
    // One that is back has nothing to be waited for.
    let mut back = lost(2);
    assert!(back.at(2700).register(1, 1).contains(&begun));
}

#[test]
fn a_second_registration_is_the_loss_of_the_first() {
    let mut story = Story::running(|_| {});
    let expected = [
        "disconnect tm-1 1",
        "! task-manager-lost",
        "! failover-begun",
        "tm-2 <- cancel 1",
        "tm-1 <- registered",
        "! task-manager-registered",
    ];
    assert_eq!(story.register(1, 1), expected, "its tasks are gone, whether its process died or only its connection");
    assert_eq!(story.canceled(1, 1), [""; 0]);
    story.canceled(2, 1);
    assert_eq!(story.wake()[..3], ["! restart-ready", "! deployment-begun", "tm-1 <- deploy 2 0#0 1#0"]);
}

#[test]
fn losing_a_task_manager_without_tasks_disturbs_nobody() {
    let mut story = Story::running(|_| {});
    story.register(3, 4);
    assert_eq!(story.disconnect(3), ["disconnect tm-3 3", "! task-manager-lost"]);
    story.complete_checkpoint(1);
}

#[test]
fn two_failures_at_once_are_one_failover() {
    let mut story = Story::running(|config| config.restart_attempts = Some(1));
    story.disconnect(2);
    let late = TaskReport::Failed(subtask(0, 0), TaskFailure::Failed("its peer is gone".into()));
    assert_eq!(story.hear(tm(1), ToJobManager::Task(Attempt(1), late)), [""; 0]);
    story.canceled(1, 1);
    assert_eq!(story.wake()[0], "! restart-ready");
}

#[test]
fn exhausted_restarts_fail_the_job_and_name_the_cause() {
    let mut story = Story::running(|config| config.restart_attempts = Some(1));
    let fail = |story: &mut Story| {
        story.report(subtask(1, 1), TaskReport::Failed(subtask(1, 1), TaskFailure::Failed("disk full".into())))
    };
    fail(&mut story);
    story.canceled(1, 1);
    story.canceled(2, 1);
    story.wake();
    story.all_run();
    let expected = [
        "! failover-begun",
        "tm-1 <- cancel 2",
        "tm-2 <- cancel 2",
        "! job-failed",
        "end: failed: subtask 1#1: disk full; 1 restarts are used up",
    ];
    assert_eq!(fail(&mut story), expected);
    assert_eq!(story.master.wake_at(), Time::NEVER);
    assert_eq!(story.time(), [""; 0]);
}

#[test]
fn a_store_that_does_not_answer_is_asked_again_by_the_next_attempt() {
    let mut story = Story::recovered(&[3], 4, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["load 3"]);
    let failed = story.step(Fact::Loaded(CheckpointId(3), Err(LoadError::Store("timed out".into()))));
    assert_eq!(failed, ["! store-failed", "! failover-begun", "! tasks-canceled"]);
    assert_eq!(story.wake(), ["! restart-ready", "load 3"], "it is not damaged for that");
    assert_eq!(story.loaded(3)[1..], ["tm-1 <- deploy 2 0#0 0#1 1#0 1#1"]);
}

#[test]
fn a_manifest_that_arrives_when_slots_are_gone_is_read_again_later() {
    let mut story = Story::recovered(&[3], 4, |_| {});
    story.register(1, 2);
    story.disconnect(1);
    assert_eq!(story.loaded(3), ["! waiting-for-slots"]);
    assert_eq!(story.register(2, 2)[2..], ["load 3"]);
    assert_eq!(story.loaded(3)[1..], ["tm-2 <- deploy 1 0#0 0#1 1#0 1#1"]);
}

// Damage.

#[test]
fn behind_a_damaged_manifest_the_job_falls_back_once_every_sink_has_decided() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["load 4"]);
    assert_eq!(story.load_damaged(4), ["! checkpoint-damaged", "abort above 2 up to 4 of 2 sinks"]);
    let aborted = vec![(subtask(1, 0), CheckpointId(4)), (subtask(1, 1), CheckpointId(4))];
    let fell_back = story.step(Fact::AbortsDecided(Ok(Ok(aborted))));
    let expected = ["! sink-aborted", "! sink-aborted", "! fell-back", "! checkpoint-subsumed", "delete 4", "load 2"];
    assert_eq!(fell_back, expected, "J3");
    assert_eq!(*story.event("fell-back"), Event::FellBack { from: CheckpointId(4), to: Some(CheckpointId(2)) });
    assert_eq!(story.loaded(2)[1..], ["tm-1 <- deploy 1 0#0 0#1 1#0 1#1"], "nothing ran, so no attempt is spent");
    story.all_run();
    story.complete_checkpoint(5);
}

#[test]
fn with_every_checkpoint_damaged_the_job_begins_at_the_beginning() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    assert_eq!(story.load_damaged(4)[1], "abort above 2 up to 4 of 2 sinks");
    story.step(Fact::AbortsDecided(Ok(Ok(Vec::new()))));
    let again = ["! checkpoint-damaged", "abort above 0 up to 2 of 2 sinks"];
    assert_eq!(story.load_damaged(2), again, "those above are decided");
    let fell_back = story.step(Fact::AbortsDecided(Ok(Ok(Vec::new()))));
    let expected = ["! fell-back", "! checkpoint-subsumed", "delete 2", "! deployment-begun"];
    assert_eq!(fell_back[..4], expected);
    assert_eq!(*story.event("fell-back"), Event::FellBack { from: CheckpointId(2), to: None });
}

/// A leader that died between its word that it falls back and the sinks' decisions.
#[test]
fn a_fallback_that_a_leader_before_began_is_carried_on() {
    let found = || HaState {
        completed: vec![CheckpointId(2)],
        undecided: Some(CheckpointId(4)),
        reserved: CheckpointId(6),
        ..nothing()
    };
    let mut story = Story::opened(found(), |_| {});
    assert_eq!(story.register(1, 2)[2..], ["abort above 2 up to 4 of 2 sinks"]);
    assert_eq!(story.step(Fact::AbortsDecided(Ok(Ok(Vec::new())))), ["! fell-back", "load 2"]);

    let mut story = Story::opened(HaState { completed: Vec::new(), ..found() }, |_| {});
    assert_eq!(story.register(1, 2)[2..], ["abort above 0 up to 4 of 2 sinks"]);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((subtask(1, 0), CheckpointId(3))))));
    assert_eq!(refused[0], "! job-failed");
}

#[test]
fn falling_back_behind_a_commit_is_refused_loudly() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.load_damaged(4);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((subtask(1, 1), CheckpointId(4))))));
    let cause = "checkpoint 4 is damaged (chk-4/_metadata: expected a, found b); falling back is not possible: \
                 subtask 1#1 has committed output of epoch 4";
    assert_eq!(refused, ["! job-failed".into(), format!("end: failed: {cause}")]);
}

#[test]
fn a_store_that_cannot_decide_is_asked_again_by_the_next_attempt() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.load_damaged(4);
    let error = StoreError::Failed { path: "decisions".into(), cause: "timed out".into() };
    let expected = ["! store-failed", "! failover-begun", "! tasks-canceled"];
    assert_eq!(story.step(Fact::AbortsDecided(Err(error))), expected);
    assert_eq!(story.wake(), ["! restart-ready", "abort above 2 up to 4 of 2 sinks"]);
}

#[test]
fn damage_that_a_task_finds_leads_to_the_same_fallback() {
    let mut story = Story::recovered(&[2, 4], 5, |_| {});
    story.register(1, 2);
    story.loaded(4);
    let of = subtask(1, 0);
    let damage = TaskFailure::Damaged(CheckpointId(4), damaged_file("chk-4/state"));
    let failed = story.report(of, TaskReport::Failed(of, damage));
    assert_eq!(failed, ["! checkpoint-damaged", "! failover-begun", "tm-1 <- cancel 1"]);
    let (file, expected, found) = ("chk-4/state".to_owned(), "5 bytes".to_owned(), "4 bytes".to_owned());
    let damaged = Event::CheckpointDamaged { checkpoint: CheckpointId(4), file, expected, found };
    assert_eq!(*story.event("checkpoint-damaged"), damaged);
    story.canceled(1, 1);
    assert_eq!(story.wake(), ["! restart-ready", "abort above 2 up to 4 of 2 sinks"]);
    let refused = story.step(Fact::AbortsDecided(Ok(Err((of, CheckpointId(3))))));
    assert!(refused[1].contains("chk-4/state") && refused[1].contains("epoch 3"), "{refused:?}");
}

#[test]
fn a_checkpoint_that_becomes_durable_after_its_attempt_failed_is_deleted() {
    let mut story = Story::running(|_| {});
    story.wake();
    story.all_acknowledge(1);
    assert!(story.disconnect(2).contains(&"delete 1".into()));
    assert_eq!(story.sealed(1), ["delete 1"], "whatever has become durable since");
    story.canceled(1, 1);
    story.register(2, 1);
    assert_eq!(story.wake()[..2], ["! restart-ready", "! deployment-begun"], "nobody restores from it");
}

// Leadership.

/// A story whose log answers when told to.
fn rough(mut story: Story) -> Story {
    story.smooth = false;
    story
}

#[test]
fn nothing_is_done_before_its_entry_is_durable() {
    let mut story = rough(Story::running(|_| {}));
    story.wake();
    story.all_acknowledge(1);
    assert_eq!(story.sealed(1), ["! manifest-written", "append Completed(1)"], "J4: complete only in the log");
    // Its attempt fails meanwhile: it cannot be given up any more, and what to restore is not certain.
    let failed = story.disconnect(2);
    assert!(!failed.contains(&"! checkpoint-aborted".into()), "{failed:?}");
    assert!(failed.contains(&"append AttemptBegun(2)".into()), "{failed:?}");
    story.canceled(1, 1);
    story.register(2, 1);
    story.now = story.now + ms(1000);
    assert_eq!(story.time(), [""; 0]);
    let logged = story.step(Fact::Appended(Change::Completed(CheckpointId(1))));
    assert_eq!(logged, ["! checkpoint-completed", "! restart-ready"], "it is told under its own attempt");
    assert_eq!(story.step(Fact::Appended(Change::AttemptBegun(Attempt(2)))), ["load 1"]);
}

#[test]
fn a_lease_is_renewed_three_times_and_a_leader_that_cannot_steps_down() {
    let mut story = rough(Story::running(|config| {
        config.lease = ms(3000);
        config.checkpoints.interval = ms(600_000);
    }));
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(1000));
    assert_eq!(story.wake(), ["append Renewed"]);
    assert_eq!(story.master.wake_at(), Time::ZERO + ms(3000), "one at a time");
    assert_eq!(story.at(1500).step(Fact::Appended(Change::Renewed)), ["! lease-renewed"]);
    assert_eq!(story.wake(), ["append Renewed"]);
    assert_eq!(story.now, Time::ZERO + ms(2000), "counted from when it was asked for");
    assert_eq!(story.wake(), ["! leadership-lost", "step down"]);
    assert_eq!(story.now, Time::ZERO + ms(4000));
    assert_eq!(story.step(Fact::Appended(Change::Renewed)), [""; 0]);
    assert_eq!(story.master.wake_at(), Time::NEVER);
}

#[test]
fn a_leader_that_was_superseded_steps_down_without_a_word_to_anybody() {
    let mut story = rough(Story::running(|_| {}));
    assert_eq!(story.step(Fact::Superseded(Term(2))), ["! leadership-lost", "step down"]);
    assert_eq!(story.all_acknowledge(1), [""; 0]);
}

#[test]
fn ids_are_reserved_before_they_are_given_out() {
    let mut story = rough(Story::running(|config| config.checkpoints.timeout = ms(100)));
    let mut given = 0;
    let mut reserved = 0;
    for _ in 0..200 {
        story.step(Fact::Time);
        for command in story.said.clone() {
            match command {
                Command::Emit(Event::CheckpointTriggered { checkpoint, .. }) => given = checkpoint.0,
                Command::Append(_, state) => reserved = state.reserved.0,
                _ => {}
            }
        }
        // The log does not answer: sooner or later nothing is triggered any more.
        story.master.phase = Phase::Running;
        story.now = story.now + ms(100);
    }
    assert!(given <= 8, "{given} was given out, 8 were reserved");
    assert!(reserved > 8, "more were asked for");
}

#[test]
fn output_committed_beyond_the_log_ends_the_job() {
    let mut story = Story::recovered(&[2], 5, |_| {});
    let said = story.master.begin(story.now, Some("epoch 7 is committed".into()));
    let lines: Vec<_> = said.iter().map(line).collect();
    assert_eq!(lines, ["sweep up to 4 but [2]", "append Ended"]);
    assert_eq!(story.step(Fact::Appended(Change::Ended))[0], "! job-failed");
}

// Heartbeats against what should be there.

fn tasks(attempt: u32, of: &[(SubtaskId, TaskStatus)]) -> ToJobManager {
    ToJobManager::Heartbeat(Some(Tasks { attempt: Attempt(attempt), status: of.iter().copied().collect() }))
}

#[test]
fn a_heartbeat_brings_reports_that_were_lost() {
    let mut story = Story::new(|_| {});
    story.register(1, 2);
    let running: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::Running)).collect();
    assert_eq!(story.hear(tm(1), tasks(1, &running)), ["! job-running"]);
    let at_end: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::AtEnd)).collect();
    assert_eq!(story.hear(tm(1), tasks(1, &at_end))[0], "! checkpoint-triggered");
}

#[test]
fn tasks_that_a_heartbeat_does_not_name_are_lost_after_a_while() {
    let mut story = Story::new(|config| {
        config.rpc_timeout = ms(60_000);
        config.heartbeat_interval = ms(1_000_000);
        config.heartbeat_timeout = ms(2_000_000);
    });
    story.register(1, 2);
    assert_eq!(story.at(10).hear(tm(1), ToJobManager::Heartbeat(None)), [""; 0], "it may have left before the order");
    let lost = story.at(60_000).hear(tm(1), ToJobManager::Heartbeat(None));
    assert_eq!(lost, ["! deployment-lost", "! failover-begun", "tm-1 <- cancel 1"]);
    // The order to cancel is lost, too.
    let still: Vec<_> = story.placement.keys().map(|of| (*of, TaskStatus::Running)).collect();
    assert_eq!(story.at(70_000).hear(tm(1), tasks(1, &still)), [""; 0]);
    assert_eq!(story.at(120_000).hear(tm(1), tasks(1, &still)), ["tm-1 <- cancel 1"]);
    let gone = story.hear(tm(1), ToJobManager::Heartbeat(None));
    assert_eq!(gone[..2], ["! tasks-canceled", "! restart-ready"], "and so is the answer");
}
