//! How a subtask begins: its state is loaded and verified, its backend opened, its chain built, and leftovers of
//! former attempts removed. After that it reports that it runs.

use super::super::error::EngineError;
use super::super::restore::load;
use super::program::Program;
use super::*;
use crate::checkpoint::align::BarrierAligner;
use crate::config::BackendKind;
use crate::connectors::file_sink::remove_leftovers;
use crate::env::{Entries, StoreKind};
use crate::graph::chain::ChainContext;
use crate::ids::Execution;
use crate::state::key_group::groups_of;

/// Most records that a source emits before it looks at its mail.
const SOURCE_BATCH: u32 = 512;

impl Subtask {
    pub(super) async fn open(self) -> Result<Running, TaskError> {
        let Subtask { env, id, attempt, config, .. } = &self;
        let (id, attempt) = (*id, *attempt);
        let (term, checkpoint) = (self.term, self.checkpoint);
        env.emit(Event::RestoreBegun { term, attempt, subtask: id, checkpoint }).await;
        env.charge(Work::Deploy).await;
        let state = load(env, &self.restored).await.map_err(|error| error.of(checkpoint))?;
        // A chain without keyed state stores nothing, so the cheapest backend is enough for it.
        let kind = if self.vertex.is_keyed { config.backend } else { BackendKind::Memory };
        let groups = groups_of(id.index, config.max_parallelism, config.parallelism);
        #[cfg(feature = "mutations")]
        let groups = planted::groups(env, id.index, config, groups);
        // Term and attempt, because only both together name an execution: a TaskManager outlives its JobManager.
        let own = format!("{}-{}-{}-{}", self.term.0, attempt.0, id.vertex.0, id.index);
        let folder = || env.fresh_folder(&own);
        let restored = self.checkpoint.is_some().then_some(state);
        let mut backend =
            Backend::open(kind, groups, folder, restored, env.background_threads()).map_err(EngineError::State)?;
        let positions = self.restored.positions.clone();
        #[cfg(feature = "mutations")]
        let positions = planted::restored_positions(env, positions);
        let context = ChainContext {
            subtask: id,
            parallelism: config.parallelism,
            max_parallelism: config.max_parallelism,
            backend: &mut backend,
            input: &self.input,
            start: self.start,
            positions: &positions,
        };
        let mut program = Program::default();
        let mut chain = program.call(|| (self.vertex.build)(context))?;
        if self.vertex.is_keyed {
            let loaded = Entries { count: backend.restored_entries(), bytes: self.restored.entry_bytes() };
            env.charge(Work::Restore { backend: config.backend, loaded }).await;
        }
        if let Some(output) = chain.tail().output() {
            output.set_buffer_size(config.buffer_size as usize);
        }
        let mut sink = None;
        if self.vertex.has_sink {
            let output = env.store(StoreKind::Output);
            let (by, verify) = (Execution { term: self.term, attempt }, config.checkpoints.verify_uploads);
            let removed = remove_leftovers(env, &output, id, by, &self.restored.transactions).await;
            removed.map_err(EngineError::Store)?;
            let pending = self.restored.transactions.clone();
            sink = Some(Sink::new(env, id, by, pending, self.mailbox.clone(), verify));
            #[cfg(feature = "mutations")]
            planted::restored(env, sink.as_mut(), checkpoint);
        }
        env.emit(Event::RestoreEnded { attempt, subtask: id, bytes: self.restored.bytes() }).await;
        env.emit(Event::TaskRunning { attempt, subtask: id }).await;
        self.reporter.report(TaskReport::Running(id));
        let channels = self.gate.as_ref().map(InputGate::channels);
        #[cfg(feature = "mutations")]
        let channels = channels.map(|channels| planted::channels_to_align(env, channels));
        let aligner = channels.map(BarrierAligner::new);
        let mut source_timer = env.input_timer();
        let charge_every = env.charge_every();
        source_timer.set(self.gate.is_none().then(|| env.input_now()));
        Ok(Running {
            flush_timer: env.timer(),
            source_timer,
            program,
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
            load: Load::new(self.env.now()),
            subtask: self,
        })
    }
}

/// Records that a source emits before it looks at its mail. If work is charged after fewer than `ENOUGH` records, the
/// batch is no larger than that: a batch that does not fit into the buffers of a channel would make the next operator
/// wait.
fn source_batch(charge_every: u64) -> u32 {
    const ENOUGH: u64 = 64;
    if charge_every < ENOUGH { charge_every as u32 } else { SOURCE_BATCH }
}
