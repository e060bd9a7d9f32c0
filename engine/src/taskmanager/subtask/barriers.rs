//! Checkpoint barriers in a subtask: alignment, and the synchronous part of a snapshot.
//!
//! Invariants: (U1) no record is processed between the last barrier of a checkpoint and the synchronous part of its
//! snapshot; (U2) the barrier leaves after every record of its epoch and before any of the next.

use super::super::snapshot::Snapshot;
use super::load::Shares;
use super::*;
use crate::checkpoint::align::Alignment;
use crate::state::LocalSnapshot;

impl Running {
    pub(super) async fn on_barrier(&mut self, channel: usize, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let Subtask { env, id: subtask, attempt, gate: Some(gate), .. } = &mut self.subtask else { return Ok(()) };
        let (subtask, attempt) = (*subtask, *attempt);
        let Some(aligner) = &mut self.aligner else { return Ok(()) };
        let from = gate.channel_id(channel).from;
        env.emit(Event::BarrierReceived { attempt, checkpoint, subtask, from }).await;
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

    /// Sends the barrier, takes the synchronous part of the snapshot and starts the asynchronous part.
    pub(super) async fn snapshot(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.pay().await;
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if let Some(output) = self.chain.tail().output() {
            output.seal_all();
        }
        self.send_full().await;
        if let Some(output) = self.chain.tail().output() {
            assert!(
                output.is_empty(),
                "U2: records of the epoch before checkpoint {checkpoint} stay behind its barrier"
            );
        }
        for output in &self.subtask.outputs {
            output.push(Buffer::Barrier(checkpoint)).await;
        }
        let env = self.subtask.env.clone();
        if self.aligner.is_none() {
            env.emit(Event::BarrierInjected { attempt, checkpoint, subtask }).await;
        }
        env.emit(Event::SnapshotSyncBegun { attempt, checkpoint, subtask }).await;
        let mut state = None;
        if self.subtask.vertex.is_keyed {
            state = Some(self.program.call(|| self.backend.snapshot(&mut self.chain.tables(), checkpoint.0))?);
        }
        assert_eq!(
            self.unpaid,
            (0, 0),
            "U1: records were processed behind the last barrier of checkpoint {checkpoint}"
        );
        let pre_commit = match (&mut self.sink, self.chain.tail().sink()) {
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
            positions: self.chain.positions().to_vec(),
            state,
            pre_commit,
            verify: self.subtask.config.checkpoints.verify_uploads,
            mailbox: self.subtask.mailbox.clone(),
        };
        #[cfg(feature = "mutations")]
        planted::pre_committed(&env, self.sink.as_mut(), checkpoint);
        let written = snapshot.state.as_ref().map(LocalSnapshot::written).unwrap_or_default();
        if self.subtask.vertex.is_keyed {
            env.charge(Work::Snapshot { backend: self.subtask.config.backend, written }).await;
        }
        let Shares { busy, back_pressured } = self.load.take(env.now());
        env.emit(Event::SnapshotSyncEnded { attempt, checkpoint, subtask, busy, back_pressured }).await;
        let task = env.spawn(snapshot.finish(env.clone(), self.subtask.reporter.clone()));
        self.snapshots.retain(|(id, _)| *id >= checkpoint);
        self.snapshots.push((checkpoint, task));
        self.set_flush_timer();
        Ok(())
    }
}
