//! One subtask: a mailbox, an operator chain, its input gate and its output channels, in a single task.
//!
//! Mail (checkpoints, commits) is handled before records. Between two batches the subtask is at rest, and only then
//! does it handle anything but records (Flink: `StreamTask` and its mailbox). Start at [`Subtask::run`]. `opening`
//! restores the subtask, `records` processes records, `barriers` handles barriers, `load` measures how the time is
//! spent, and `program` calls the job's own code.
//!
//! Invariants: (U3) a subtask ends only when it is told to, fails or is cancelled, never by itself at the end of its
//! input.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use self::load::Load;
use super::earliest;
use super::error::TaskError;
use super::mail::Mail;
#[cfg(feature = "mutations")]
use super::planted;
use super::reporter::Reporter;
use super::sink::Sink;
use crate::checkpoint::align::BarrierAligner;
use crate::checkpoint::manifest::SubtaskState;
use crate::config::JobConfig;
use crate::env::{Env, First, TaskHandle, Timer, Work, first_of_4};
use crate::event::Event;
use crate::exchange::Buffer;
use crate::exchange::channel::Channel;
use crate::exchange::gate::InputGate;
use crate::graph::chain::Chain;
use crate::graph::source::SourceStatus;
use crate::graph::{InputSpec, Vertex};
use crate::ids::{Attempt, CheckpointId, SubtaskId, Term};
use crate::state::Backend;
use crate::time::Time;
use crate::wire::TaskReport;

mod barriers;
mod load;
mod opening;
mod program;
mod records;

use program::Program;

/// Everything that one subtask consists of.
pub(super) struct Subtask {
    pub(super) env: Env,
    pub(super) id: SubtaskId,
    pub(super) attempt: Attempt,
    pub(super) term: Term,
    pub(super) config: JobConfig,
    pub(super) reporter: Reporter,
    pub(super) mailbox: UnboundedSender<Mail>,
    pub(super) mail: UnboundedReceiver<Mail>,
    /// The input gate; `None` at sources.
    pub(super) gate: Option<InputGate>,
    pub(super) outputs: Vec<Arc<Channel>>,
    pub(super) vertex: Vertex,
    pub(super) input: InputSpec,
    /// Arrival of the job's first record.
    pub(super) start: Time,
    pub(super) checkpoint: Option<CheckpointId>,
    pub(super) restored: SubtaskState,
}

impl Subtask {
    /// Restores the subtask and processes records until it fails or is cancelled; reports a failure.
    pub(super) async fn run(self) {
        let (env, id, reporter) = (self.env.clone(), self.id, self.reporter.clone());
        let error = match self.open().await {
            Ok(running) => running.run().await,
            Err(error) => error,
        };
        reporter.failed(&env, id, error).await;
    }
}

/// A subtask that processes records.
struct Running {
    subtask: Subtask,
    program: Program,
    chain: Box<dyn Chain>,
    backend: Backend,
    /// The alignment of barriers; `None` at sources.
    aligner: Option<BarrierAligner>,
    sink: Option<Sink>,
    /// Asynchronous parts of snapshots that are under way, with their checkpoints.
    snapshots: Vec<(CheckpointId, TaskHandle)>,
    flush_timer: Timer,
    source_timer: Timer,
    ended_channels: usize,
    /// Records and bytes that were processed and not charged yet.
    unpaid: (u64, u64),
    seen_record: bool,
    /// The work of processing is charged each time that this many records were processed.
    charge_every: u64,
    /// Most records that a source emits before it looks at its mail.
    source_batch: u32,
    caught_up: bool,
    sink_flush_at: Option<Time>,
    last_triggered: CheckpointId,
    load: Load,
}

impl Running {
    /// Returns why the subtask cannot go on. It ends in no other way, not even at the end of its input (U3).
    async fn run(mut self) -> TaskError {
        #[cfg(feature = "mutations")]
        let mut inputs = planted::Inputs::new(&self.subtask.env, self.subtask.checkpoint.is_some());
        loop {
            let Self { subtask, flush_timer, source_timer, .. } = &mut self;
            let input = next_input(&mut subtask.gate);
            #[cfg(feature = "mutations")]
            let input = inputs.pass(input);
            let rested = subtask.env.now();
            let first = first_of_4(subtask.mail.recv(), flush_timer.wait(), source_timer.wait(), input).await;
            self.load.idle(self.subtask.env.now().since(rested));
            let outcome = match first {
                First::A(Some(mail)) => self.on_mail(mail).await,
                First::A(None) => unreachable!("the mailbox's other end is held by this subtask"),
                First::B(()) => {
                    self.flush().await;
                    Ok(())
                }
                First::C(()) => match self.poll_source() {
                    Ok(SourceStatus::IdleUntil(at)) if self.caught_up && self.is_settled() => {
                        self.set_flush_timer();
                        self.source_timer.set(Some(at));
                        Ok(())
                    }
                    Ok(status) => {
                        self.on_source(status).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                First::D((_, Buffer::Records { bytes, records })) => match self.process(&bytes, records) {
                    Ok(()) if self.is_settled() => {
                        self.set_flush_timer();
                        Ok(())
                    }
                    Ok(()) => {
                        self.settle().await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                First::D((channel, Buffer::Barrier(checkpoint))) => self.on_barrier(channel, checkpoint).await,
                First::D((_, Buffer::EndOfInput)) => {
                    self.on_end_of_channel().await;
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                return error;
            }
        }
    }

    async fn on_mail(&mut self, mail: Mail) -> Result<(), TaskError> {
        let Subtask { reporter, id, .. } = &self.subtask;
        #[cfg(feature = "mutations")]
        let mail = planted::mail(&self.subtask.env, self.sink.as_mut(), self.aligner.as_ref(), mail);
        #[cfg(feature = "mutations")]
        planted::last_triggered(&self.subtask.env, self.aligner.is_none(), &mut self.last_triggered, &mail);
        match mail {
            // Only sources are triggered, since all others align barriers. A source that is asked twice for a
            // checkpoint answers once.
            Mail::Trigger(checkpoint) if self.aligner.is_none() && checkpoint > self.last_triggered => {
                self.last_triggered = checkpoint;
                return self.snapshot(checkpoint).await;
            }
            Mail::Trigger(_) => {}
            Mail::Completed(checkpoint) => {
                if let Some(sink) = &mut self.sink {
                    sink.commit_up_to(checkpoint);
                }
            }
            Mail::Aborted(checkpoint) => {
                self.snapshots.retain(|(id, _)| *id > checkpoint);
                if let (Some(aligner), Some(gate)) = (&mut self.aligner, &mut self.subtask.gate)
                    && aligner.on_aborted(checkpoint)
                {
                    gate.unblock_all();
                }
            }
            Mail::Committed(checkpoint) => {
                if let Some(sink) = &mut self.sink {
                    sink.on_committed(checkpoint);
                }
                reporter.report(TaskReport::Committed { checkpoint, subtask: *id });
            }
            Mail::Failed(error) => return Err(error),
        }
        Ok(())
    }
}

async fn next_input(gate: &mut Option<InputGate>) -> (usize, Buffer) {
    match gate {
        Some(gate) => gate.next().await,
        None => std::future::pending().await,
    }
}
