//! One subtask: a mailbox, an operator chain, its input gate and its output channels, in a single task.
//!
//! Mail (checkpoints, commits) goes before records; between two batches the subtask is at rest, and only there anything but
//! records happens to it (Flink: `StreamTask` and its mailbox). Start at [`Subtask::run`].
//!
//! Invariants: (U1) no record is processed between the last barrier of a checkpoint and the synchronous part of its
//! snapshot; (U2) the barrier leaves after every record of its epoch and before any of the next; (U3) a subtask ends only
//! when it is told to, fails or is cancelled, never by itself at the end of its input; (U4) after the program's code has
//! panicked, nothing of it is called again but its destructors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::restore::{RestoreError, load};
use super::sink::Sink;
use super::snapshot::Snapshot;
use super::{Reporter, earliest};
use crate::checkpoint::align::{Alignment, BarrierAligner};
use crate::checkpoint::manifest::SubtaskState;
use crate::config::JobConfig;
use crate::connectors::file_sink::remove_leftovers;
use crate::env::{Entries, Env, First, StoreKind, TaskHandle, Timer, Work, first_of_4};
use crate::event::Event;
use crate::exchange::Buffer;
use crate::exchange::channel::Channel;
use crate::exchange::gate::InputGate;
use crate::graph::chain::{Chain, ChainContext};
use crate::graph::source::SourceStatus;
use crate::graph::{InputSpec, Vertex};
use crate::ids::{Attempt, CheckpointId, Execution, SubtaskId, Term};
use crate::mutation::Mutation;
use crate::state::key_group::groups_of;
use crate::state::{Backend, LocalSnapshot};
use crate::time::Time;
use crate::wire::{TaskFailure, TaskReport};

/// Records that a source emits before it looks at its mail, at most.
const SOURCE_BATCH: u32 = 512;

/// What a subtask is told.
#[derive(Debug)]
pub(super) enum Mail {
    /// Sources: inject the barrier.
    Trigger(CheckpointId),
    /// The checkpoint is durable.
    Completed(CheckpointId),
    /// The checkpoint was given up.
    Aborted(CheckpointId),
    /// The committer is done up to here.
    Committed(CheckpointId),
    /// Output could not be written or committed.
    OutputFailed(String),
    /// Output that a checkpoint promised is gone, or something else stands in its place.
    OutputLost(String),
    /// The local files of the keyed state are not what they were.
    StateDamaged(String),
}

/// Everything one subtask is made of.
pub(super) struct Subtask {
    pub(super) env: Env,
    pub(super) id: SubtaskId,
    pub(super) attempt: Attempt,
    pub(super) term: Term,
    pub(super) config: JobConfig,
    pub(super) reporter: Reporter,
    pub(super) mailbox: UnboundedSender<Mail>,
    pub(super) mail: UnboundedReceiver<Mail>,
    /// `None` at sources.
    pub(super) gate: Option<InputGate>,
    pub(super) outputs: Vec<Arc<Channel>>,
    pub(super) vertex: Vertex,
    pub(super) input: InputSpec,
    /// Arrival of the job's first record.
    pub(super) start: Time,
    pub(super) checkpoint: Option<CheckpointId>,
    pub(super) restored: SubtaskState,
}

/// Why a running subtask cannot go on.
enum Failure {
    /// A call into the job's own code failed, or something that it called.
    Program(String),
    /// Anything else.
    Engine(String),
}

/// How a subtask ended that was not told to.
enum Ended {
    /// A call into the job's own code failed.
    Program(String),
    /// Anything else.
    Task(TaskFailure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Program(cause) => Self::Program(cause),
            Failure::Engine(cause) => Self::Task(TaskFailure::Failed(cause)),
        }
    }
}

impl Subtask {
    /// Restores, then processes until told otherwise; reports what becomes of it.
    pub(super) async fn run(self) {
        let (env, id, attempt, reporter) = (self.env.clone(), self.id, self.attempt, self.reporter.clone());
        let failure = match self.open().await {
            Ok(running) => running.run().await,
            Err(ended) => ended,
        };
        let (failure, in_program) = match failure {
            Ended::Program(cause) => (TaskFailure::Failed(cause), true),
            Ended::Task(failure) => (failure, false),
        };
        let cause = match &failure {
            TaskFailure::Failed(cause) | TaskFailure::Fatal(cause) => cause.clone(),
            TaskFailure::Damaged(checkpoint, file) => format!("checkpoint {checkpoint}: {} is damaged", file.path),
        };
        env.emit(Event::TaskFailed { attempt, subtask: id, in_program, cause }).await;
        reporter.report(TaskReport::Failed(id, failure));
    }

    async fn open(self) -> Result<Running, Ended> {
        let Subtask { env, id, attempt, config, .. } = &self;
        let (id, attempt) = (*id, *attempt);
        let (term, checkpoint) = (self.term, self.checkpoint);
        env.emit(Event::RestoreBegun { term, attempt, subtask: id, checkpoint }).await;
        env.charge(Work::Deploy).await;
        let failed = |what: String| Ended::Task(TaskFailure::Failed(what));
        let state = load(env, &self.restored).await.map_err(|error| match (error, self.checkpoint) {
            (RestoreError::Damaged(damaged), Some(checkpoint)) => {
                Ended::Task(TaskFailure::Damaged(checkpoint, damaged.into()))
            }
            (RestoreError::Damaged(damaged), None) => failed(damaged.to_string()),
            (RestoreError::Store(error), _) => failed(error.to_string()),
        })?;
        // Only keyed state needs a backend of its own kind; the rest has nothing to store.
        let kind = if self.vertex.is_keyed { config.backend } else { crate::config::BackendKind::Memory };
        let groups = groups_of(id.index, config.max_parallelism, config.parallelism);
        // The term, too: a TaskManager outlives its JobManager, and the next one counts attempts from 1 again.
        let own = format!("{}-{}-{}-{}", self.term.0, attempt.0, id.vertex.0, id.index);
        let folder = || env.fresh_folder(&own);
        let restored = self.checkpoint.is_some().then_some(state);
        let mut backend = Backend::open(kind, groups, folder, restored, env.background_threads())
            .map_err(|error| failed(error.to_string()))?;
        let mut positions = self.restored.positions.clone();
        if env.mutated(Mutation::ReplayOneTooMany) {
            positions.iter_mut().for_each(|position| position.emitted = position.emitted.saturating_sub(1));
        }
        let context = ChainContext {
            subtask: id,
            parallelism: config.parallelism,
            max_parallelism: config.max_parallelism,
            backend: &mut backend,
            input: &self.input,
            start: self.start,
            positions: &positions,
        };
        let mut chain = user_code(|| (self.vertex.build)(context)).map_err(Ended::from)?;
        if self.vertex.is_keyed {
            let loaded = Entries { count: backend.restored_entries(), bytes: self.restored.entry_bytes() };
            env.charge(Work::Restore { backend: config.backend, loaded }).await;
        }
        if let Some(output) = chain.parts().output {
            output.set_buffer_size(config.buffer_size as usize);
        }
        let mut sink = None;
        if self.vertex.has_sink {
            let output = env.store(StoreKind::Output);
            let (by, verify) = (Execution { term: self.term, attempt }, config.checkpoints.verify_uploads);
            let removed = remove_leftovers(env, &output, id, by, &self.restored.transactions).await;
            removed.map_err(|error| failed(error.to_string()))?;
            let pending = self.restored.transactions.clone();
            sink = Some(Sink::new(env, id, by, pending, self.mailbox.clone(), verify));
        }
        env.emit(Event::RestoreEnded { attempt, subtask: id, bytes: self.restored.bytes() }).await;
        env.emit(Event::TaskRunning { attempt, subtask: id }).await;
        self.reporter.report(TaskReport::Running(id));
        let aligner = self.gate.as_ref().map(|gate| BarrierAligner::new(gate.channels()));
        let mut source_timer = env.input_timer();
        let charge_every = env.charge_every();
        source_timer.set(self.gate.is_none().then(|| env.input_now()));
        Ok(Running {
            flush_timer: env.timer(),
            source_timer,
            chain,
            backend,
            aligner,
            sink,
            snapshots: Vec::new(),
            ended_channels: 0,
            unpaid: (0, 0),
            seen_record: false,
            charge_every,
            source_batch: source_batch(charge_every),
            caught_up: false,
            sink_flush_at: None,
            last_triggered: CheckpointId(0),
            held_back: None,
            subtask: self,
        })
    }
}

/// A subtask that processes records.
struct Running {
    subtask: Subtask,
    chain: Box<dyn Chain>,
    backend: Backend,
    /// `None` at sources.
    aligner: Option<BarrierAligner>,
    sink: Option<Sink>,
    /// Asynchronous parts under way, with their checkpoints.
    snapshots: Vec<(CheckpointId, TaskHandle)>,
    flush_timer: Timer,
    source_timer: Timer,
    ended_channels: usize,
    /// Records and bytes processed and not yet charged.
    unpaid: (u64, u64),
    seen_record: bool,
    /// Records between two charges for them.
    charge_every: u64,
    /// Records that a source emits before it looks at its mail.
    source_batch: u32,
    caught_up: bool,
    sink_flush_at: Option<Time>,
    last_triggered: CheckpointId,
    /// Only for a planted bug: the buffer that the next one overtakes.
    held_back: Option<Buffer>,
}

impl Running {
    /// Returns why it cannot go on.
    async fn run(mut self) -> Ended {
        loop {
            let Self { subtask, flush_timer, source_timer, .. } = &mut self;
            let input = next_input(&mut subtask.gate);
            let first = first_of_4(subtask.mail.recv(), flush_timer.wait(), source_timer.wait(), input).await;
            let outcome = match first {
                First::A(Some(Mail::OutputLost(cause))) => return Ended::Task(TaskFailure::Fatal(cause)),
                First::A(Some(mail)) => self.on_mail(mail).await,
                First::A(None) => unreachable!("the mailbox's other end is held by this subtask"),
                First::B(()) => self.flush().await,
                First::C(()) => self.poll_source().await,
                First::D((channel, buffer)) => self.on_input(channel, buffer).await,
            };
            if let Err(failure) = outcome {
                return failure.into();
            }
        }
    }

    async fn on_mail(&mut self, mail: Mail) -> Result<(), Failure> {
        let Subtask { env, reporter, id, .. } = &self.subtask;
        match mail {
            // A source has no barriers to align; one that is asked twice answers once.
            Mail::Trigger(checkpoint) if self.aligner.is_none() && checkpoint > self.last_triggered => {
                self.last_triggered = checkpoint;
                return self.snapshot(checkpoint).await;
            }
            Mail::Trigger(_) => {}
            Mail::Completed(checkpoint) => match &mut self.sink {
                Some(_) if env.mutated(Mutation::ForgetCommit) => {
                    reporter.report(TaskReport::Committed { checkpoint, subtask: *id });
                }
                Some(sink) => sink.commit_up_to(checkpoint),
                None => {}
            },
            Mail::Aborted(checkpoint) => {
                self.snapshots.retain(|(id, _)| *id > checkpoint);
                if let (Some(aligner), Some(gate)) = (&mut self.aligner, &mut self.subtask.gate)
                    && aligner.on_aborted(checkpoint)
                {
                    gate.unblock_all();
                }
                if let (Some(sink), true) =
                    (&mut self.sink, self.subtask.env.mutated(Mutation::AbortOnCheckpointFailure))
                {
                    sink.throw_away(checkpoint);
                }
            }
            Mail::Committed(checkpoint) => {
                if let Some(sink) = &mut self.sink {
                    sink.on_committed(checkpoint);
                }
                reporter.report(TaskReport::Committed { checkpoint, subtask: *id });
            }
            Mail::OutputFailed(cause) | Mail::OutputLost(cause) | Mail::StateDamaged(cause) => {
                return Err(Failure::Engine(cause));
            }
        }
        Ok(())
    }

    async fn poll_source(&mut self) -> Result<(), Failure> {
        let now = self.subtask.env.input_now();
        let emitted = |chain: &mut Box<dyn Chain>| chain.parts().positions.iter().map(|p| p.emitted).sum::<u64>();
        let before = emitted(&mut self.chain);
        let status = user_code(|| self.chain.poll_source(now, self.source_batch))?;
        let records = emitted(&mut self.chain) - before;
        if records > 0 {
            self.on_records(records, 0).await?;
        }
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if status != SourceStatus::Ready && !self.caught_up {
            self.caught_up = true;
            self.subtask.env.emit(Event::CaughtUp { attempt, subtask }).await;
        }
        match status {
            SourceStatus::Ready => {
                self.source_timer.set(Some(self.subtask.env.input_now()));
                yield_once().await;
            }
            SourceStatus::IdleUntil(at) => {
                self.source_timer.set(Some(at));
            }
            SourceStatus::Ended => self.on_end_of_input().await?,
        }
        Ok(())
    }

    async fn on_input(&mut self, channel: usize, buffer: Buffer) -> Result<(), Failure> {
        if self.subtask.env.mutated(Mutation::ReorderBuffers) && self.held_back.is_none() && buffer.is_data() {
            self.held_back = Some(buffer);
            return Ok(());
        }
        let held_back = self.held_back.take();
        if buffer.is_data() || held_back.is_none() {
            self.on_buffer(channel, buffer).await?;
            return match held_back {
                Some(buffer) => self.on_buffer(channel, buffer).await,
                None => Ok(()),
            };
        }
        if let Some(held_back) = held_back {
            self.on_buffer(channel, held_back).await?;
        }
        self.on_buffer(channel, buffer).await
    }

    async fn on_buffer(&mut self, channel: usize, buffer: Buffer) -> Result<(), Failure> {
        match buffer {
            Buffer::Records { bytes, records } => {
                user_code(|| self.chain.process(&bytes, records))?;
                self.on_records(u64::from(records), bytes.len() as u64).await
            }
            Buffer::Barrier(checkpoint) => self.on_barrier(channel, checkpoint).await,
            Buffer::EndOfInput => {
                self.ended_channels += 1;
                match &self.subtask.gate {
                    Some(gate) if self.ended_channels == gate.channels() => self.on_end_of_input().await,
                    _ => Ok(()),
                }
            }
        }
    }

    /// After a batch: announce the first one, send what is full, pay for it.
    async fn on_records(&mut self, records: u64, bytes: u64) -> Result<(), Failure> {
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if !std::mem::replace(&mut self.seen_record, true) {
            self.subtask.env.emit(Event::FirstRecord { attempt, subtask }).await;
        }
        self.unpaid.0 += records;
        self.unpaid.1 += bytes;
        if self.unpaid.0 >= self.charge_every {
            self.pay().await;
        }
        self.send_full().await;
        self.set_flush_timer();
        Ok(())
    }

    async fn pay(&mut self) {
        let (records, bytes) = std::mem::take(&mut self.unpaid);
        if records > 0 {
            let state = self.subtask.vertex.is_keyed.then_some(self.subtask.config.backend);
            self.subtask.env.charge(Work::Records { records, bytes, state }).await;
        }
    }

    async fn send_full(&mut self) {
        let Some(output) = self.chain.parts().output else { return };
        for (channel, full) in output.take_full() {
            let buffer = Buffer::Records { bytes: full.bytes, records: full.records };
            self.subtask.outputs[channel].push(buffer).await;
        }
    }

    /// Sets the timer for what waits in buffers that are not full, and for output that waits in memory.
    fn set_flush_timer(&mut self) {
        let now = self.subtask.env.now();
        let config = &self.subtask.config;
        let parts = self.chain.parts();
        let partial = parts.output.is_some_and(|output| output.has_partial());
        let buffer_at = partial.then(|| self.flush_timer.deadline().unwrap_or(now + config.buffer_timeout));
        if let (Some(sink), Some(writer)) = (parts.sink, &mut self.sink) {
            if sink.bytes.len() >= config.sink_chunk as usize {
                writer.flush(sink);
            }
            self.sink_flush_at = match (sink.bytes.is_empty(), self.sink_flush_at) {
                (true, _) => None,
                (false, Some(at)) => Some(at),
                (false, None) => Some(now + config.sink_flush_interval),
            };
        }
        self.flush_timer.set(earliest([buffer_at, self.sink_flush_at]));
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if let Some(output) = self.chain.parts().output {
            output.seal_all();
        }
        self.send_full().await;
        let due = self.sink_flush_at.is_some_and(|at| at <= self.subtask.env.now());
        if let (true, Some(buffer), Some(sink)) = (due, self.chain.parts().sink, &mut self.sink) {
            sink.flush(buffer);
            self.sink_flush_at = None;
        }
        self.set_flush_timer();
        Ok(())
    }

    async fn on_barrier(&mut self, channel: usize, checkpoint: CheckpointId) -> Result<(), Failure> {
        let Subtask { env, id: subtask, attempt, gate: Some(gate), checkpoint: restored, .. } = &mut self.subtask
        else {
            return Ok(());
        };
        let (subtask, attempt) = (*subtask, *attempt);
        let Some(aligner) = &mut self.aligner else { return Ok(()) };
        if env.mutated(Mutation::IgnoreBarrierAfterRestore) && restored.is_some() {
            return Ok(());
        }
        let from = gate.channel_id(channel).from;
        env.emit(Event::BarrierReceived { attempt, checkpoint, subtask, from }).await;
        if env.mutated(Mutation::NoBarrierAlignment) {
            if checkpoint > self.last_triggered {
                self.last_triggered = checkpoint;
                return self.snapshot(checkpoint).await;
            }
            return Ok(());
        }
        let decision = aligner.on_barrier(channel, checkpoint);
        if let Alignment::Opened { abandoned: Some(_) } | Alignment::Complete { abandoned: Some(_), .. } = decision {
            gate.unblock_all();
        }
        match decision {
            Alignment::Stale => {}
            Alignment::Waiting => gate.block(channel),
            Alignment::Opened { .. } => {
                gate.block(channel);
                env.emit(Event::AlignmentOpened { attempt, checkpoint, subtask }).await;
            }
            Alignment::Complete { opened, .. } => {
                if opened {
                    env.emit(Event::AlignmentOpened { attempt, checkpoint, subtask }).await;
                }
                env.emit(Event::AlignmentClosed { attempt, checkpoint, subtask }).await;
                self.snapshot(checkpoint).await?;
                if let Some(gate) = &mut self.subtask.gate {
                    gate.unblock_all();
                }
            }
        }
        Ok(())
    }

    /// Sends the barrier, takes the synchronous part, starts the asynchronous one.
    async fn snapshot(&mut self, checkpoint: CheckpointId) -> Result<(), Failure> {
        self.pay().await;
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if let Some(output) = self.chain.parts().output {
            output.seal_all();
        }
        self.send_full().await;
        for output in &self.subtask.outputs {
            output.push(Buffer::Barrier(checkpoint)).await;
        }
        let env = self.subtask.env.clone();
        if self.aligner.is_none() {
            env.emit(Event::BarrierInjected { attempt, checkpoint, subtask }).await;
        }
        env.emit(Event::SnapshotSyncBegun { attempt, checkpoint, subtask }).await;
        let mut parts = self.chain.parts();
        let mut state = None;
        if self.subtask.vertex.is_keyed {
            state = Some(user_code(|| self.backend.snapshot(&mut parts.tables, checkpoint.0))?);
        }
        let pre_commit = match (&mut self.sink, parts.sink) {
            (Some(sink), Some(buffer)) => Some(sink.pre_commit(checkpoint, buffer)),
            _ => None,
        };
        self.sink_flush_at = None;
        let snapshot = Snapshot {
            subtask,
            term: self.subtask.term,
            attempt,
            checkpoint,
            backend: self.subtask.config.backend,
            positions: parts.positions,
            state,
            pre_commit,
            verify: self.subtask.config.checkpoints.verify_uploads,
            mailbox: self.subtask.mailbox.clone(),
        };
        if env.mutated(Mutation::CommitOnPreCommit)
            && let Some(sink) = &mut self.sink
        {
            sink.commit_up_to(checkpoint);
        }
        let written = snapshot.state.as_ref().map(LocalSnapshot::written).unwrap_or_default();
        if self.subtask.vertex.is_keyed {
            env.charge(Work::Snapshot { backend: self.subtask.config.backend, written }).await;
        }
        env.emit(Event::SnapshotSyncEnded { attempt, checkpoint, subtask }).await;
        let task = env.spawn(snapshot.finish(env.clone(), self.subtask.reporter.clone()));
        self.snapshots.retain(|(id, _)| *id >= checkpoint);
        self.snapshots.push((checkpoint, task));
        self.set_flush_timer();
        Ok(())
    }

    /// All input is in: what is buffered goes out, the end is passed on, and the subtask stays for the final checkpoint.
    async fn on_end_of_input(&mut self) -> Result<(), Failure> {
        self.pay().await;
        if let Some(output) = self.chain.parts().output {
            output.seal_all();
        }
        self.send_full().await;
        for output in &self.subtask.outputs {
            output.push(Buffer::EndOfInput).await;
        }
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        self.subtask.env.emit(Event::EndOfInput { attempt, subtask }).await;
        self.subtask.reporter.report(TaskReport::EndOfInput(subtask));
        Ok(())
    }
}

/// Calls into the program. A panic there fails the task as an error does, not the process and the other tasks in it; what it
/// interrupted may be half done, and is not used again.
fn user_code<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| Failure::Program(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("with a value that is no text");
            Err(Failure::Program(format!("user code panicked: {text}")))
        }
    }
}

async fn next_input(gate: &mut Option<InputGate>) -> (usize, Buffer) {
    match gate {
        Some(gate) => gate.next().await,
        None => std::future::pending().await,
    }
}

/// Records that a source emits before it looks at its mail. Where fewer are charged at once, it emits no more than those: a
/// batch that does not fit into the buffers of a channel would let the next operator wait.
fn source_batch(charge_every: u64) -> u32 {
    const ENOUGH: u64 = 64;
    if charge_every < ENOUGH { charge_every as u32 } else { SOURCE_BATCH }
}

/// Lets other tasks of this thread run.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
