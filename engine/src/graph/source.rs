//! Replayable sources: records by position, on an arrival schedule.
//!
//! A source gives the record at position `i`, so one position per split is its whole state, and a replay gives the
//! same records. Record `i` of the input is available from `t0 + i * period` on, also when it is replayed: with later
//! arrivals a replay would never catch up. Start at [`SourceReader::poll`], which is pure except for the records it
//! creates.

use serde::{Deserialize, Serialize};

use super::InputSpec;
use super::chain::ChainError;
use super::element::Element;
use crate::ids::SplitId;
use crate::time::Time;

/// Makes the records of an input.
pub trait Source: Send + Sync + 'static {
    /// The type of its records.
    type Out: Element;
    /// How many records there are.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Record `index`, `0..len()`; the same at every call.
    fn record(&self, index: u64) -> Self::Out;
    /// Like [`Source::record`], for a running subtask: here reading may fail. An error fails the task.
    fn read(&self, index: u64) -> Result<Self::Out, ChainError> {
        Ok(self.record(index))
    }
}

/// When the records of an input arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalSchedule {
    /// Arrival of record 0.
    pub start: Time,
    /// Femtoseconds between arrivals; 0 means all at once.
    pub period_fs: u64,
}

impl ArrivalSchedule {
    /// When record `index` of the whole input arrives.
    pub fn arrival(&self, index: u64) -> Time {
        let nanos = u128::from(index) * u128::from(self.period_fs) / 1_000_000;
        Time(self.start.0.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How many records of the whole input have arrived at `now`.
    pub fn arrived(&self, now: Time) -> u64 {
        if now < self.start {
            return 0;
        }
        if self.period_fs == 0 {
            return u64::MAX;
        }
        // Record i has arrived if floor(i * period / 10^6) <= elapsed, that is i * period < (elapsed + 1) * 10^6.
        let bound = (u128::from(now.0 - self.start.0) + 1) * 1_000_000;
        u64::try_from(bound.div_ceil(u128::from(self.period_fs))).unwrap_or(u64::MAX)
    }
}

/// Position in one split, counted in emitted records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SplitPosition {
    /// The split.
    pub split: SplitId,
    /// Records emitted from the split.
    pub emitted: u64,
}

/// The state of a source after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStatus {
    /// There are more records to emit now.
    Ready,
    /// There is no record before this time.
    IdleUntil(Time),
    /// There are no more records.
    Ended,
}

/// Reads the splits of one subtask, one record of each in turn.
pub struct SourceReader {
    splits: u32,
    schedule: ArrivalSchedule,
    positions: Vec<SplitPosition>,
    turn: usize,
}

impl SourceReader {
    /// Split `s` belongs to subtask `s mod parallelism`. `restored` gives the positions of a checkpoint.
    pub fn new(input: &InputSpec, start: Time, subtask: u16, parallelism: u16, restored: &[SplitPosition]) -> Self {
        let mine = (0..input.splits).filter(|split| split % u32::from(parallelism) == u32::from(subtask)).map(SplitId);
        let emitted = |split| restored.iter().find(|position| position.split == split).map_or(0, |p| p.emitted);
        Self {
            splits: input.splits,
            schedule: ArrivalSchedule { start, period_fs: input.period_fs },
            positions: mine.map(|split| SplitPosition { split, emitted: emitted(split) }).collect(),
            turn: 0,
        }
    }

    /// The position in every split of this subtask.
    pub fn positions(&self) -> &[SplitPosition] {
        &self.positions
    }

    /// Emits at most `budget` records that have arrived, taking the splits in turn.
    pub fn poll<E>(
        &mut self,
        len: u64,
        now: Time,
        budget: u32,
        mut emit: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<SourceStatus, E> {
        let arrived = self.schedule.arrived(now).min(len);
        let mut left = budget;
        let mut idle_splits = 0;
        while left > 0 && idle_splits < self.positions.len() {
            let splits = self.positions.len();
            let position = &mut self.positions[self.turn];
            let index = position.emitted * u64::from(self.splits) + u64::from(position.split.0);
            self.turn = (self.turn + 1) % splits;
            if index < arrived {
                emit(index)?;
                position.emitted += 1;
                left -= 1;
                idle_splits = 0;
            } else {
                idle_splits += 1;
            }
        }
        let next = self.positions.iter().map(|p| p.emitted * u64::from(self.splits) + u64::from(p.split.0)).min();
        Ok(match next.filter(|index| *index < len) {
            None => SourceStatus::Ended,
            Some(index) if index < arrived => SourceStatus::Ready,
            Some(index) => SourceStatus::IdleUntil(self.schedule.arrival(index)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(splits: u32, period_fs: u64) -> InputSpec {
        let kind = super::super::InputKind::Generator { name: "x".into(), records: 0, seed: 0 };
        InputSpec { kind, splits, period_fs }
    }

    proptest! {
        #[test]
        fn arrivals_and_counts_agree(period_fs in 1u64..5_000_000_000_000, index in 0u64..1_000_000, start in 0u64..1_000_000) {
            let schedule = ArrivalSchedule { start: Time(start), period_fs };
            let at = schedule.arrival(index);
            prop_assert!(schedule.arrived(at) > index);
            if at.0 > start {
                prop_assert!(schedule.arrived(Time(at.0 - 1)) <= index);
            }
        }

        #[test]
        fn every_record_is_read_once_whatever_the_restarts(
            len in 0u64..200, splits in 1u32..7, parallelism in 1u16..5, budgets in prop::collection::vec(1u32..20, 1..8)
        ) {
            let input = input(splits, 0);
            let mut seen = Vec::new();
            for subtask in 0..parallelism {
                let mut positions = Vec::new();
                for turn in 0.. {
                    // A new reader for every batch: only the positions may matter.
                    let mut reader = SourceReader::new(&input, Time::ZERO, subtask, parallelism, &positions);
                    let budget = budgets[turn % budgets.len()];
                    let status = reader.poll(len, Time::ZERO, budget, |i| { seen.push(i); Ok::<_, ()>(()) }).unwrap();
                    positions = reader.positions().to_vec();
                    if status == SourceStatus::Ended { break; }
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slow_source_says_when_to_come_back() {
        let mut reader = SourceReader::new(&input(2, 1_000_000_000), Time(100), 0, 1, &[]);
        let mut seen = Vec::new();
        let mut poll = |now| {
            reader
                .poll(3, Time(now), 10, |i| {
                    seen.push(i);
                    Ok::<_, ()>(())
                })
                .unwrap()
        };
        assert_eq!(poll(99), SourceStatus::IdleUntil(Time(100)));
        assert_eq!(poll(100), SourceStatus::IdleUntil(Time(1_100)));
        assert_eq!(poll(2_100), SourceStatus::Ended);
        assert_eq!(
            seen,
            [0, 2, 1].map(|i| if i == 2 {
                1
            } else if i == 1 {
                2
            } else {
                0
            })
        );
    }
}
