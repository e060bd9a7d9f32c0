//! Stories of one job, without a runtime.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::manifest::{Chunk, Transaction};
use crate::env::{Checksum, NetError};
use crate::graph::{Edge, InputKind, InputSpec, Partitioning, Vertex};
use crate::ids::{Term, VertexId};
use crate::paths::PendingPath;
use crate::wire::DamagedFile;

mod checkpoints;
mod damage;
mod deployment;
mod facts;
mod failures;
mod heartbeats;
mod leadership;

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

/// Two subtasks per vertex. Heartbeats are so far apart that most stories end before the first one.
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

/// A state that differs from every other.
fn state(of: SubtaskId, checkpoint: u64) -> SubtaskState {
    let epoch = CheckpointId(checkpoint);
    let chunks = vec![Chunk {
        path: PendingPath::new(format!(".pending/{}-{}/1", of.vertex.0, of.index)).unwrap(),
        checksum: Checksum::of(b""),
    }];
    let transactions = vec![Transaction { epoch, chunks, records: 1 }];
    SubtaskState { transactions, ..SubtaskState::default() }
}

fn damaged_file(path: &str) -> DamagedFile {
    DamagedFile { path: path.into(), expected: "5 bytes".into(), found: "4 bytes".into() }
}

fn store_failed() -> StoreError {
    StoreError::Failed { path: "x".into(), cause: "timed out".into() }
}

/// One line per command; an event is its name after a `!`.
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
        Command::Refuse(other) => format!("refuse {}", other.path),
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
    /// The answer to the last step.
    said: Vec<Command>,
    connections: BTreeMap<u32, u64>,
    /// Whether the log and the sweeper answer at once; lines about them are then left out.
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

    /// A leader that found this state in the log and opened a term.
    fn opened(found: HaState, change: impl FnOnce(&mut JobConfig)) -> Self {
        let master = JobMaster::new(spec(change), &graph(), 7, Term(1), opened(found), Time::ZERO);
        let (connections, placement) = (BTreeMap::new(), BTreeMap::new());
        Self { master, now: Time::ZERO, said: Vec::new(), connections, smooth: true, placement }
    }

    fn new(change: impl FnOnce(&mut JobConfig)) -> Self {
        Self::recovered(&[], 1, change)
    }

    /// A job whose first attempt runs on two TaskManagers.
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
                Command::Sweep { last, .. } => Some(Fact::Swept { last: *last }),
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

    /// Moves the time to the next point at which something is due.
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
        self.step(Fact::Disconnected { node: tm(number), connection, cause: NetError::Reset.into() })
    }

    fn hear(&mut self, node: NodeName, message: ToJobManager) -> Vec<String> {
        let number = node.as_str()[3..].parse().unwrap();
        self.step(Fact::Message { connection: self.connections[&number], node, message })
    }

    fn canceled(&mut self, number: u32, attempt: u32) -> Vec<String> {
        self.hear(tm(number), ToJobManager::Canceled(Attempt(attempt)))
    }

    /// A report of the current attempt, sent from where the subtask runs.
    fn report(&mut self, of: SubtaskId, report: TaskReport) -> Vec<String> {
        let attempt = self.master.attempt;
        self.hear(self.placement[&of].clone(), ToJobManager::Task(attempt, report))
    }

    /// Every subtask reports in turn; returns all resulting lines.
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

/// The log and the sweeper answer only when the story says so.
fn rough(mut story: Story) -> Story {
    story.smooth = false;
    story
}
