//! Barriers on three channels: [`BarrierAligner`] in every order in which they can arrive.
//!
//! A channel carries at most one record between two barriers, barriers in the order of their checkpoints (an upstream
//! subtask skips barriers of checkpoints that it knows to be aborted), and after the end of its records only barriers.
//! The network delays each channel arbitrarily, so the next element may come from any channel that is not blocked.
//! Each checkpoint may be aborted at any time, in any order and repeatedly.
//!
//! Always: A1; A2; a snapshot is taken when every channel has delivered its barrier and nothing after it; some channel
//! is not blocked. Always possible: every channel delivers the last barrier, and no alignment is open.

use std::hash::Hash;

use xxhash_rust::xxh3::Xxh3;

use super::explorer::{Broken, Model};
use crate::checkpoint::align::{Alignment, BarrierAligner};
use crate::ids::CheckpointId;

const CHANNELS: usize = 3;
/// Number of checkpoints.
const LAST: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Channel {
    /// The last barrier that it delivered.
    barrier: u64,
    /// Whether a record came after that barrier.
    record: bool,
    /// Whether no more records will come.
    ended: bool,
}

#[derive(Debug, Clone)]
struct State {
    aligner: BarrierAligner,
    channels: [Channel; CHANNELS],
    /// The highest checkpoint that was snapshotted or aborted.
    over: u64,
}

struct Barriers {
    /// How many channels the aligner is told that there are.
    aligned: usize,
}

impl Barriers {
    fn barrier(&self, state: &State, channel: usize, id: u64) -> Result<State, Broken> {
        let mut next = state.clone();
        next.channels[channel] = Channel { barrier: id, record: false, ..next.channels[channel] };
        match next.aligner.on_barrier(channel, CheckpointId(id)) {
            Alignment::Complete { .. } => {
                if id <= state.over {
                    return Err(format!("A2: checkpoint {id} is snapshotted after {} was over", state.over));
                }
                for (index, at) in next.channels.iter().enumerate() {
                    if at.barrier != id || at.record {
                        let found = if at.barrier < id { "has not delivered its barrier" } else { "delivered more" };
                        return Err(format!("checkpoint {id} is snapshotted, and channel {index} {found}"));
                    }
                }
                next.over = id;
            }
            Alignment::Opened { .. } | Alignment::Waiting if !next.aligner.is_blocked(channel) => {
                return Err(format!("channel {channel} is not blocked behind barrier {id}"));
            }
            Alignment::Opened { .. } | Alignment::Waiting | Alignment::Stale => {}
        }
        checked(next)
    }
}

/// Checks what must hold between two elements.
fn checked(state: State) -> Result<State, Broken> {
    let blocked = |channel: &usize| state.aligner.is_blocked(*channel);
    let aligning = state.aligner.waiting_for();
    if aligning.is_none() && (0..CHANNELS).any(|channel| blocked(&channel)) {
        return Err("A1: a channel is blocked, and nothing is aligned".into());
    }
    if (0..CHANNELS)
        .filter(blocked)
        .any(|channel| Some(state.channels[channel].barrier) != aligning.as_ref().map(|(id, _)| id.0))
    {
        return Err("A1: a channel is blocked behind a barrier that is not aligned".into());
    }
    if (0..CHANNELS).all(|channel| blocked(&channel)) {
        return Err("every channel is blocked".into());
    }
    Ok(state)
}

impl Model for Barriers {
    type State = State;

    fn first(&self) -> State {
        let channel = Channel { barrier: 0, record: false, ended: false };
        State { aligner: BarrierAligner::new(self.aligned), channels: [channel; CHANNELS], over: 0 }
    }

    fn steps(&self, state: &State) -> Vec<(String, Result<State, Broken>)> {
        let mut steps = Vec::new();
        for (index, channel) in state.channels.iter().enumerate().filter(|(index, _)| !state.aligner.is_blocked(*index))
        {
            let with = |change: &dyn Fn(&mut Channel)| {
                let mut next = state.clone();
                change(&mut next.channels[index]);
                Ok(next)
            };
            if !channel.ended && !channel.record {
                steps.push((format!("channel {index}: a record"), with(&|channel| channel.record = true)));
            }
            if !channel.ended {
                steps.push((format!("channel {index}: end of input"), with(&|channel| channel.ended = true)));
            }
            for id in channel.barrier + 1..=LAST {
                steps.push((format!("channel {index}: barrier {id}"), self.barrier(state, index, id)));
            }
        }
        for id in 1..=LAST {
            let mut next = state.clone();
            next.aligner.on_aborted(CheckpointId(id));
            next.over = next.over.max(id);
            steps.push((format!("checkpoint {id} is aborted"), checked(next)));
        }
        steps
    }

    /// Channels are interchangeable, so their order does not count.
    fn fingerprint(&self, state: &State) -> u128 {
        let mut channels: Vec<_> =
            (0..CHANNELS).map(|index| (state.channels[index], state.aligner.is_blocked(index))).collect();
        channels.sort_unstable();
        let mut hash = Xxh3::new();
        (channels, state.over, state.aligner.waiting_for().map(|(id, _)| id.0)).hash(&mut hash);
        hash.digest128()
    }

    fn is_good(&self, state: &State) -> bool {
        state.aligner.waiting_for().is_none() && state.channels.iter().all(|channel| channel.barrier == LAST)
    }
}

#[cfg(test)]
mod tests {
    use super::super::explorer::{Size, explore};
    use super::*;

    #[test]
    fn every_order_of_barriers_on_three_channels() {
        let size = explore(&Barriers { aligned: CHANNELS }, 1_000_000).unwrap_or_else(|broken| panic!("{broken}"));
        eprintln!("alignment, {CHANNELS} channels, {LAST} checkpoints: {size:?}");
        assert_eq!(size, Size { states: 4_940, steps: 59_617, depth: 10 });
    }

    /// The planted bug `no-barrier-alignment`.
    #[cfg(feature = "mutations")]
    #[test]
    fn a_snapshot_at_the_first_barrier_is_found() {
        use super::super::replay::Scripted;
        use crate::mutation::Mutation;
        use crate::taskmanager::planted::channels_to_align;

        let env = Scripted::default().env("tm-1", 1, &[Mutation::NoBarrierAlignment]);
        let found = explore(&Barriers { aligned: channels_to_align(&env, CHANNELS) }, 1_000_000).unwrap_err();
        eprintln!("{found}");
        assert_eq!(found.broken, "checkpoint 1 is snapshotted, and channel 1 has not delivered its barrier");
        assert_eq!(found.steps, ["channel 0: barrier 1"]);
    }
}
