//! What planted bugs make of a TaskManager. Exists only under the feature `mutations`; each function stands where the mistake
//! would, and changes nothing unless its bug is switched on.

use std::future::Future;

use bytes::Bytes;

use super::mail::Mail;
use super::sink::Sink;
use crate::checkpoint::manifest::Transaction;
use crate::env::Env;
use crate::exchange::Buffer;
use crate::graph::source::SplitPosition;
use crate::ids::{CheckpointId, Term};
use crate::mutation::Mutation;

/// [`Mutation::ObeyLowerTerms`]: the highest term seen is forgotten for that of the order at hand.
pub(super) fn highest_term(env: &Env, seen: &mut Term, ordered: Term) {
    if env.mutated(Mutation::ObeyLowerTerms) {
        *seen = ordered.min(*seen);
    }
}

/// [`Mutation::SkipFencing`]: tasks of old attempts live on, and hear what is said to those of the new one.
pub(super) fn keeps_old_attempts(env: &Env) -> bool {
    env.mutated(Mutation::SkipFencing)
}

/// [`Mutation::ReplayOneTooMany`].
pub(super) fn restored_positions(env: &Env, mut positions: Vec<SplitPosition>) -> Vec<SplitPosition> {
    if env.mutated(Mutation::ReplayOneTooMany) {
        positions.iter_mut().for_each(|position| position.emitted = position.emitted.saturating_sub(1));
    }
    positions
}

/// [`Mutation::NoBarrierAlignment`]: the first barrier of a checkpoint is taken for the last one.
pub(crate) fn channels_to_align(env: &Env, channels: usize) -> usize {
    if env.mutated(Mutation::NoBarrierAlignment) { 1 } else { channels }
}

/// [`Mutation::ForgetCommit`] and [`Mutation::AbortOnCheckpointFailure`].
pub(super) fn mail(env: &Env, sink: Option<&mut Sink>, mail: Mail) -> Mail {
    match (mail, sink) {
        (Mail::Completed(checkpoint), Some(_)) if env.mutated(Mutation::ForgetCommit) => Mail::Committed(checkpoint),
        (Mail::Aborted(checkpoint), Some(sink)) if env.mutated(Mutation::AbortOnCheckpointFailure) => {
            // As if it were committed: nobody asks for it again.
            sink.on_committed(checkpoint);
            Mail::Aborted(checkpoint)
        }
        (mail, _) => mail,
    }
}

/// [`Mutation::CommitOnPreCommit`].
pub(super) fn pre_committed(env: &Env, sink: Option<&mut Sink>, checkpoint: CheckpointId) {
    if let (Some(sink), true) = (sink, env.mutated(Mutation::CommitOnPreCommit)) {
        sink.commit_up_to(checkpoint);
    }
}

/// [`Mutation::ForgetPendingTransactions`].
pub(super) fn named_transactions(env: &Env, transactions: Vec<Transaction>) -> Vec<Transaction> {
    if env.mutated(Mutation::ForgetPendingTransactions) { Vec::new() } else { transactions }
}

/// [`Mutation::ReorderBuffers`] and [`Mutation::IgnoreBarrierAfterRestore`]: what becomes of the input of one subtask.
pub(super) struct Inputs {
    reorders: bool,
    ignores_barriers: bool,
    /// The buffer that the next one overtakes.
    held_back: Option<(usize, Buffer)>,
    /// What comes next, whatever arrives.
    next: Option<(usize, Buffer)>,
}

impl Inputs {
    pub(super) fn new(env: &Env, is_restored: bool) -> Self {
        let ignores_barriers = is_restored && env.mutated(Mutation::IgnoreBarrierAfterRestore);
        Self { reorders: env.mutated(Mutation::ReorderBuffers), ignores_barriers, held_back: None, next: None }
    }

    /// The next input, of what `arrives`. A buffer without records stands for nothing.
    pub(super) async fn pass(&mut self, arrives: impl Future<Output = (usize, Buffer)>) -> (usize, Buffer) {
        if let Some(next) = self.next.take() {
            return next;
        }
        let (channel, buffer) = arrives.await;
        let nothing = (channel, Buffer::Records { bytes: Bytes::new(), records: 0 });
        if self.ignores_barriers && matches!(buffer, Buffer::Barrier(_)) {
            return nothing;
        }
        match self.held_back.take() {
            None if self.reorders && buffer.is_data() => {
                self.held_back = Some((channel, buffer));
                nothing
            }
            None => (channel, buffer),
            Some(held_back) if buffer.is_data() => {
                self.next = Some(held_back);
                (channel, buffer)
            }
            // Records do not change their epoch.
            Some(held_back) => {
                self.next = Some((channel, buffer));
                held_back
            }
        }
    }
}
