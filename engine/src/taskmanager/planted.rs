//! What planted bugs change in a TaskManager. Compiled only under the feature `mutations`; each function stands where
//! its mistake would be made, and changes nothing unless its bug is switched on.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::Running;
use super::error::EngineError;
use super::mail::Mail;
use super::sink::Sink;
use crate::checkpoint::align::BarrierAligner;
use crate::checkpoint::manifest::Transaction;
use crate::config::JobConfig;
use crate::env::{Env, StoreError};
use crate::exchange::Buffer;
use crate::graph::source::SplitPosition;
use crate::ids::{Attempt, CheckpointId, Term};
use crate::mutation::Mutation;
use crate::state::FirstLook;
use crate::wire::Order;

/// [`Mutation::ObeyLowerTerms`]: forgets the highest term seen in favour of the lower term of an order.
pub(super) fn highest_term(env: &Env, seen: &mut Term, ordered: Term) {
    if ordered < *seen && env.mutated(Mutation::ObeyLowerTerms) {
        *seen = ordered;
    }
}

/// [`Mutation::CancelAnyAttempt`]: an order to cancel an older attempt is read as an order to cancel `newest`.
pub(super) fn order(env: &Env, newest: Option<Attempt>, order: Order) -> Order {
    match (order, newest) {
        (Order::Cancel(attempt), Some(newest)) if attempt < newest && env.mutated(Mutation::CancelAnyAttempt) => {
            Order::Cancel(newest)
        }
        (order, _) => order,
    }
}

/// [`Mutation::DeployTwice`]: a repeated order to deploy removes the running tasks, so that they are started again.
pub(super) fn deployed_again(env: &Env, running: &mut BTreeMap<Attempt, Running>, attempt: Attempt) {
    if running.contains_key(&attempt) && env.mutated(Mutation::DeployTwice) {
        running.remove(&attempt);
    }
}

/// [`Mutation::SkipFencing`]: tasks of old attempts live on and receive the messages to the new attempt.
pub(super) fn keeps_old_attempts(env: &Env) -> bool {
    env.mutated(Mutation::SkipFencing)
}

/// [`Mutation::ReplayOneTooMany`] and [`Mutation::ForgetUntouchedSplits`].
pub(super) fn restored_positions(env: &Env, mut positions: Vec<SplitPosition>) -> Vec<SplitPosition> {
    for position in &mut positions {
        match position.emitted {
            0 if env.mutated(Mutation::ForgetUntouchedSplits) => position.emitted = 1,
            1.. if env.mutated(Mutation::ReplayOneTooMany) => position.emitted -= 1,
            _ => {}
        }
    }
    positions
}

/// [`Mutation::RoundGroupsDown`]: both ends of a range are rounded down.
pub(super) fn groups(env: &Env, index: u16, config: &JobConfig, groups: Range<u16>) -> Range<u16> {
    let boundary =
        |index: u16| (u32::from(index) * u32::from(config.max_parallelism) / u32::from(config.parallelism)) as u16;
    let rounded = boundary(index)..boundary(index + 1);
    if rounded != groups && env.mutated(Mutation::RoundGroupsDown) { rounded } else { groups }
}

/// [`Mutation::CommitOnRestore`]: restored transactions are committed before all tasks of the job have their state.
pub(super) fn restored(env: &Env, sink: Option<&mut Sink>, checkpoint: Option<CheckpointId>) {
    if let (Some(sink), Some(checkpoint)) = (sink, checkpoint)
        && sink.has_pending(checkpoint)
        && env.mutated(Mutation::CommitOnRestore)
    {
        sink.commit_up_to(checkpoint);
    }
}

/// [`Mutation::TrustLocalFiles`]: every read of a file counts as the first.
pub(super) fn first_look(env: &Env, first_look: &FirstLook) -> FirstLook {
    if env.mutated(Mutation::TrustLocalFiles) { FirstLook::default() } else { first_look.clone() }
}

/// [`Mutation::NoBarrierAlignment`]: the first barrier of a checkpoint counts as the last.
pub(crate) fn channels_to_align(env: &Env, channels: usize) -> usize {
    if env.mutated(Mutation::NoBarrierAlignment) { 1 } else { channels }
}

/// [`Mutation::ObeyOldTriggers`]: makes a source forget the newest checkpoint that it was asked for.
pub(super) fn last_triggered(env: &Env, is_source: bool, last: &mut CheckpointId, mail: &Mail) {
    if let Mail::Trigger(checkpoint) = mail
        && is_source
        && checkpoint <= last
        && env.mutated(Mutation::ObeyOldTriggers)
    {
        *last = CheckpointId(checkpoint.0.saturating_sub(1));
    }
}

/// [`Mutation::ForgetCommit`], [`Mutation::AssertPendingTransaction`], [`Mutation::CommitNewerToo`],
/// [`Mutation::AbortOnCheckpointFailure`] and [`Mutation::AbortOfAnyCheckpoint`].
pub(super) fn mail(env: &Env, sink: Option<&mut Sink>, aligner: Option<&BarrierAligner>, mail: Mail) -> Mail {
    let aligned = aligner.and_then(BarrierAligner::waiting_for).map(|(checkpoint, _)| checkpoint);
    match (mail, sink) {
        (Mail::Completed(checkpoint), Some(_)) if env.mutated(Mutation::ForgetCommit) => Mail::Committed(checkpoint),
        (Mail::Completed(checkpoint), Some(sink))
            if !sink.has_pending(checkpoint) && env.mutated(Mutation::AssertPendingTransaction) =>
        {
            let cause = format!("none is pending for checkpoint {checkpoint}");
            Mail::Failed(EngineError::Store(StoreError::Failed { path: "transaction".into(), cause }).into())
        }
        (Mail::Completed(checkpoint), Some(sink))
            if sink.newest_pending() > Some(checkpoint) && env.mutated(Mutation::CommitNewerToo) =>
        {
            Mail::Completed(sink.newest_pending().unwrap_or(checkpoint))
        }
        (Mail::Aborted(checkpoint), Some(sink)) if env.mutated(Mutation::AbortOnCheckpointFailure) => {
            // The transaction is dropped as if it were committed, so nothing asks for it again.
            sink.on_committed(checkpoint);
            Mail::Aborted(checkpoint)
        }
        (Mail::Aborted(checkpoint), ..)
            if aligned.is_some_and(|aligned| aligned > checkpoint) && env.mutated(Mutation::AbortOfAnyCheckpoint) =>
        {
            Mail::Aborted(aligned.unwrap_or(checkpoint))
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

/// [`Mutation::ReorderBuffers`], [`Mutation::IgnoreBarrierAfterRestore`] and [`Mutation::DropRacedInput`]: change the
/// order of the input of one subtask, or drop parts of it.
pub(super) struct Inputs {
    env: Env,
    is_restored: bool,
    /// A buffer that is held back, so that the next buffer overtakes it.
    held_back: Option<(usize, Buffer)>,
    /// The input to return next, before anything that arrives.
    next: Option<(usize, Buffer)>,
}

impl Inputs {
    pub(super) fn new(env: &Env, is_restored: bool) -> Self {
        Self { env: env.clone(), is_restored, held_back: None, next: None }
    }

    /// The next input, made from what `arrives`. A buffer without records means that there is nothing yet.
    pub(super) async fn pass(&mut self, arrives: impl Future<Output = (usize, Buffer)>) -> (usize, Buffer) {
        if let Some(next) = self.next.take() {
            return next;
        }
        let (channel, buffer) = arrives.await;
        if buffer.is_data() && self.env.is_planted(Mutation::DropRacedInput) {
            // If the caller's select drops this future while it sleeps, the buffer that it has taken is lost.
            let taken = Taken { env: &self.env, is_lost: true };
            self.env.sleep(UNPACKED_IN).await;
            taken.kept();
        }
        let nothing = (channel, Buffer::Records { bytes: Bytes::new(), records: 0 });
        let is_barrier = matches!(buffer, Buffer::Barrier(_));
        if self.is_restored && is_barrier && self.env.mutated(Mutation::IgnoreBarrierAfterRestore) {
            return nothing;
        }
        match self.held_back.take() {
            None if buffer.is_data() && self.env.mutated(Mutation::ReorderBuffers) => {
                self.held_back = Some((channel, buffer));
                nothing
            }
            None => (channel, buffer),
            Some(held_back) if buffer.is_data() => {
                self.next = Some(held_back);
                (channel, buffer)
            }
            // A buffer must not move behind a barrier, because its records would then change their epoch.
            Some(held_back) => {
                self.next = Some((channel, buffer));
                held_back
            }
        }
    }
}

/// How long [`Mutation::DropRacedInput`] holds a buffer before it passes the buffer on.
const UNPACKED_IN: Duration = Duration::from_micros(100);

/// A buffer that was taken from the input and not passed on yet.
struct Taken<'e> {
    env: &'e Env,
    is_lost: bool,
}

impl Taken<'_> {
    fn kept(mut self) {
        self.is_lost = false;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // The call records that the bug acted.
        self.is_lost = self.is_lost && self.env.mutated(Mutation::DropRacedInput);
    }
}
