//! Aligns checkpoint barriers over the input channels of one subtask.
//!
//! Epoch `e` is snapshotted once barrier `e` has arrived on all `n` channels. A channel whose barrier is early is
//! blocked, so that no record of the next epoch leaks into the snapshot. Start at [`BarrierAligner::on_barrier`].
//! Pure: no clock, no I/O; the subtask carries out the returned [`Alignment`].
//!
//! Invariants: (A1) no channel is blocked between alignments; (A2) epochs only grow.
//! There is no rule for ended channels: a subtask outlives its input and stays until the final checkpoint, so a
//! channel still delivers barriers after the end of its records.
//! Source: Carbone et al. 2015, algorithm 1; apache/flink `SingleCheckpointBarrierHandler`.

use std::collections::BTreeSet;

use crate::ids::CheckpointId;

/// What the subtask has to do about a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alignment {
    /// The first barrier of a checkpoint: block its channel. `abandoned` is an older alignment that will never end;
    /// its channels are unblocked.
    Opened {
        /// Checkpoint whose alignment is given up in favour of this one.
        abandoned: Option<CheckpointId>,
    },
    /// A further barrier, but not the last: block its channel.
    Waiting,
    /// The last barrier: take the snapshot now, then unblock all channels.
    Complete {
        /// Whether it was also the first barrier, because there is only one channel.
        opened: bool,
        /// As in [`Alignment::Opened`].
        abandoned: Option<CheckpointId>,
    },
    /// A barrier of a checkpoint that was aborted or overtaken: do nothing, and do not block the channel.
    Stale,
}

/// `Idle` -first barrier-> `Aligning` -last barrier or abort-> `Idle`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Idle,
    /// The channels whose barrier has arrived (never empty, never all).
    Aligning(CheckpointId, BTreeSet<usize>),
}

/// Alignment of one subtask.
#[derive(Debug, Clone)]
pub struct BarrierAligner {
    channels: usize,
    state: State,
    /// The highest checkpoint that was snapshotted, abandoned or aborted here.
    done: CheckpointId,
}

impl BarrierAligner {
    /// For `channels` input channels, at least one.
    pub fn new(channels: usize) -> Self {
        assert!(channels > 0, "a subtask without input has nothing to align");
        Self { channels, state: State::Idle, done: CheckpointId(0) }
    }

    /// Whether records of a channel have to wait.
    pub fn is_blocked(&self, channel: usize) -> bool {
        matches!(&self.state, State::Aligning(_, arrived) if arrived.contains(&channel))
    }

    /// The checkpoint being aligned, with the channels whose barrier is still missing.
    pub fn waiting_for(&self) -> Option<(CheckpointId, Vec<usize>)> {
        match &self.state {
            State::Idle => None,
            State::Aligning(id, arrived) => Some((*id, (0..self.channels).filter(|c| !arrived.contains(c)).collect())),
        }
    }

    /// A barrier arrived on `channel`.
    pub fn on_barrier(&mut self, channel: usize, id: CheckpointId) -> Alignment {
        if id <= self.done {
            return Alignment::Stale;
        }
        let abandoned = match &mut self.state {
            State::Aligning(current, arrived) if *current == id => {
                arrived.insert(channel);
                if arrived.len() < self.channels {
                    return Alignment::Waiting;
                }
                self.finish(id);
                return Alignment::Complete { opened: false, abandoned: None };
            }
            // The barrier is older than the current alignment: its checkpoint was aborted.
            State::Aligning(current, _) if *current > id => return Alignment::Stale,
            State::Aligning(current, _) => Some(*current),
            State::Idle => None,
        };
        if let Some(old) = abandoned {
            self.finish(old);
        }
        if self.channels == 1 {
            self.finish(id);
            return Alignment::Complete { opened: true, abandoned };
        }
        self.state = State::Aligning(id, BTreeSet::from([channel]));
        Alignment::Opened { abandoned }
    }

    /// The coordinator aborted `id` and every checkpoint before it. Returns whether channels were blocked for one of
    /// them and are free now.
    pub fn on_aborted(&mut self, id: CheckpointId) -> bool {
        self.done = self.done.max(id);
        match self.state {
            State::Aligning(current, _) if current <= id => {
                self.finish(current);
                true
            }
            _ => false,
        }
    }

    fn finish(&mut self, id: CheckpointId) {
        self.state = State::Idle;
        self.done = self.done.max(id);
        assert!((0..self.channels).all(|channel| !self.is_blocked(channel)), "A1");
    }
}

#[cfg(test)]
mod tests {
    use super::Alignment::*;
    use super::*;
    use proptest::prelude::*;

    const ONE: CheckpointId = CheckpointId(1);
    const TWO: CheckpointId = CheckpointId(2);

    #[test]
    fn blocks_early_channels_until_the_last_barrier() {
        let mut aligner = BarrierAligner::new(3);
        assert_eq!(aligner.on_barrier(1, ONE), Opened { abandoned: None });
        assert!(aligner.is_blocked(1) && !aligner.is_blocked(0));
        assert_eq!(aligner.waiting_for(), Some((ONE, vec![0, 2])));
        assert_eq!(aligner.on_barrier(0, ONE), Waiting);
        assert_eq!(aligner.on_barrier(2, ONE), Complete { opened: false, abandoned: None });
        assert!((0..3).all(|channel| !aligner.is_blocked(channel)));
    }

    #[test]
    fn one_channel_needs_no_waiting() {
        assert_eq!(BarrierAligner::new(1).on_barrier(0, ONE), Complete { opened: true, abandoned: None });
    }

    #[test]
    fn an_aborted_checkpoint_frees_its_channels_and_its_late_barriers_are_stale() {
        let mut aligner = BarrierAligner::new(2);
        aligner.on_barrier(0, ONE);
        assert!(aligner.on_aborted(ONE));
        assert!(!aligner.is_blocked(0));
        assert_eq!(aligner.on_barrier(1, ONE), Stale);
        // Checkpoint 2 is aborted before any of its barriers came, so all of them are stale (FLINK-18063).
        assert!(!aligner.on_aborted(TWO));
        assert_eq!(aligner.on_barrier(0, TWO), Stale);
    }

    #[test]
    fn a_newer_barrier_abandons_the_older_alignment() {
        let mut aligner = BarrierAligner::new(2);
        aligner.on_barrier(0, ONE);
        assert_eq!(aligner.on_barrier(1, TWO), Opened { abandoned: Some(ONE) });
        assert_eq!(aligner.on_barrier(1, ONE), Stale);
        assert_eq!(aligner.on_barrier(0, TWO), Complete { opened: false, abandoned: None });
    }

    proptest! {
        /// Whatever barriers arrive, in whatever order: a checkpoint completes at most once, ids grow, and never are
        /// all channels blocked.
        #[test]
        fn completes_once_in_order(channels in 1usize..5, steps in prop::collection::vec((0usize..5, 1u64..6, any::<bool>()), 0..60)) {
            let mut aligner = BarrierAligner::new(channels);
            let mut last = CheckpointId(0);
            for (channel, id, abort) in steps {
                let id = CheckpointId(id);
                if abort {
                    aligner.on_aborted(id);
                    last = last.max(id);
                } else if let Complete { .. } = aligner.on_barrier(channel % channels, id) {
                    prop_assert!(id > last, "A2");
                    last = id;
                }
                prop_assert!((0..channels).any(|channel| !aligner.is_blocked(channel)));
            }
        }
    }
}
