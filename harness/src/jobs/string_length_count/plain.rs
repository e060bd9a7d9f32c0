//! A quick check of a span of output. It finds the lengths of which every record came out once, in a plain merge of the
//! splits, and leaves the others undecided. It keeps no text and names no fault; undecided lengths are checked again
//! slowly ([`super::reference::Accepted`]).
//!
//! Here a value is its 64-bit hash, eight bytes for each record, in one array; a wrong value is taken for the right one
//! once in 2^64. A merge is plain if no step leaves a choice, which means that exactly one split has the value at its
//! head. Equal lines at the heads of two splits are not wrong, but the quick check cannot decide them.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::{Strings, length, parse};
use crate::jobs::{Consumed, index_of};

/// A span of input and output by length of the strings. The length is the index, so no table is longer than the longest
/// record.
pub(super) struct Span(Vec<OfLength>);

/// The strings of one length.
#[derive(Default)]
struct OfLength {
    /// The first count that must come out.
    first: i32,
    /// Hashes of the values that must come out, split after split, in order.
    due: Vec<u64>,
    /// The range of `due` for each split that has any.
    splits: Vec<(usize, Range<usize>)>,
    /// Hashes of the values that came out, by count, from the first that is due; 0 where nothing came out.
    found: Vec<u64>,
    /// How many lines came out. If this equals the number due, and each place is filled, no place was filled twice.
    lines: usize,
}

impl Span {
    /// What must come out for these positions. `first` is the first count that is due for a length.
    pub(super) fn due(strings: &Strings, splits: usize, consumed: &Consumed, first: impl Fn(u32) -> i32) -> Self {
        let mut lengths: Vec<OfLength> = Vec::new();
        let mut buffer = String::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let value = strings.text(index_of(position, split, splits), &mut buffer);
                let key = length(value) as usize;
                if key >= lengths.len() {
                    lengths.resize_with(key + 1, OfLength::default);
                }
                lengths[key].expect(split, xxh3_64(value.as_bytes()));
            }
        }
        for (key, of_length) in (0..).zip(&mut lengths) {
            of_length.first = first(key);
            of_length.found = vec![0; of_length.due.len()];
        }
        Self(lengths)
    }

    /// Lengths with the number of records due.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..).zip(&self.0).map(|(key, of_length)| (key, of_length.due.len())).filter(|(_, due)| *due > 0)
    }

    /// Takes the output. `None`: some line belongs to no length that is due. Otherwise the undecided lengths, in order.
    pub(super) fn doubtful(mut self, lines: &[&str]) -> Option<Vec<u32>> {
        for line in lines {
            let (value, count) = parse(line)?;
            let of_length = self.0.get_mut(length(value) as usize).filter(|of_length| !of_length.due.is_empty())?;
            of_length.find(count, xxh3_64(value.as_bytes()));
        }
        Some((0..).zip(self.0).filter_map(|(key, of_length)| (!of_length.came_out_plainly()).then_some(key)).collect())
    }
}

impl OfLength {
    fn expect(&mut self, split: usize, hash: u64) {
        match self.splits.last_mut() {
            Some((last, records)) if *last == split => records.end += 1,
            _ => self.splits.push((split, self.due.len()..self.due.len() + 1)),
        }
        self.due.push(hash);
    }

    fn find(&mut self, count: i32, hash: u64) {
        self.lines += 1;
        let place = i64::from(count) - i64::from(self.first);
        if let Some(place) = usize::try_from(place).ok().and_then(|place| self.found.get_mut(place)) {
            *place = hash;
        }
    }

    /// Whether all values came out, each from the head of exactly one split.
    fn came_out_plainly(self) -> bool {
        let Self { due, mut splits, found, lines, .. } = self;
        let all = found.len();
        let plain = found.into_iter().all(|hash| {
            let mut fitting = 0;
            for (_, records) in &mut splits {
                // If there is more than one, both have moved on, but then the answer is no anyway.
                if records.start < records.end && due[records.start] == hash {
                    records.start += 1;
                    fitting += 1;
                }
            }
            fitting == 1
        });
        plain && lines == all
    }
}
