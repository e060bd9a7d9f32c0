//! The place of an entry in the log, and the place of the entry after it.
//!
//! The log is cut into segments, so that old entries can be removed. A segment begins with number 0, ends with an
//! entry that closes it, and is followed by the next segment. Both ends stay for ever (H3). The closing entry stops
//! the leader of the segment from writing on. The first entry of the next segment stops a process that saw this
//! segment when it was shorter from closing it now.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Folder of the log in the checkpoint store.
pub const FOLDER: &str = "ha";

/// The highest number that a reader accepts: far more than a job can write, and low enough that sums do not overflow.
const NUMBER_MAX: u64 = 1 << 48;
/// Entries of the first segment. Each segment is twice as long as the one before, so that a short job leaves few files
/// …
const LENGTH_MIN: u64 = 16;
/// … up to this length. Two files stay of each segment, so long segments leave few files of a long job, too.
const LENGTH_MAX: u64 = 512;

/// The place of an entry. Positions are ordered as the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The segment, from 1.
    pub segment: u64,
    /// The entry within the segment, from 0.
    pub number: u64,
}

impl Position {
    /// The first position of a log.
    pub const FIRST: Self = Self { segment: 1, number: 0 };

    /// The next place in the same segment.
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    /// The first place of the next segment.
    pub fn next_segment(self) -> Self {
        Self { segment: self.segment + 1, number: 0 }
    }

    /// Where the log continues if a torn write stands here. Only number 0 stays for ever, so only number 0 may begin a
    /// segment; if it is torn, the log continues in the next segment.
    pub fn behind_torn(self) -> Self {
        if self.number == 0 { self.next_segment() } else { self.next() }
    }

    /// Whether a segment with an entry at this position is long enough to be closed.
    pub fn is_long_enough(self) -> bool {
        let doublings = (self.segment - 1).min(LENGTH_MAX.ilog2().into());
        self.number + 1 >= (LENGTH_MIN << doublings).min(LENGTH_MAX)
    }

    /// Path of the entry in the store.
    pub fn path(self) -> String {
        format!("{FOLDER}/{self}")
    }

    /// The position that a path of the log names.
    pub fn at(path: &str) -> Option<Self> {
        let (segment, number) = path.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let position = Self { segment: digits(segment)?, number: digits(number)? };
        position.is_plausible().then_some(position)
    }

    /// Whether a leader can reach this position.
    pub fn is_plausible(self) -> bool {
        (1..=NUMBER_MAX).contains(&self.segment) && self.number <= NUMBER_MAX
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}-{:08}", self.segment, self.number)
    }
}

/// The entries that may be removed once the segment `leading` has begun: of each earlier segment, in order, all listed
/// entries except the first and the last. A listing that lags only misses entries, so the true end of a segment stays.
/// Torn writes right before that end belong to it, because a former leader of the segment would create its next entry
/// there.
pub fn between_ends(listed: impl IntoIterator<Item = Position>, leading: u64) -> Vec<Vec<Position>> {
    let mut over: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
    for position in listed.into_iter().filter(|position| position.segment < leading) {
        over.entry(position.segment).or_default().push(position);
    }
    let mut between: Vec<_> = over.into_values().collect();
    for positions in &mut between {
        positions.sort_unstable();
        positions.pop();
        positions.retain(|position| position.number > 0);
    }
    between
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u64, number: u64) -> Position {
        Position { segment, number }
    }

    #[test]
    fn paths_are_read_back_and_others_are_none() {
        assert_eq!(at(3, 42).path(), "ha/00000003-00000042");
        assert_eq!(Position::at("ha/00000003-00000042"), Some(at(3, 42)));
        for path in ["chk-00000042/_metadata", "ha/00000042", "ha/3-", "ha/0-1", "ha/+3-1", "ha/1-281474976710657"] {
            assert_eq!(Position::at(path), None, "{path}");
        }
    }

    #[test]
    fn segments_double_up_to_the_longest() {
        let length = |segment| (0..).find(|number| at(segment, *number).is_long_enough()).map(|number| number + 1);
        let lengths = [1, 2, 3, 4, 5, 6, 7, 1 << 40].map(|segment| length(segment).unwrap());
        assert_eq!(lengths, [16, 32, 64, 128, 256, 512, 512, 512]);
    }

    #[test]
    fn both_ends_of_each_segment_stay() {
        let listed = [(3, 1), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (4, 5), (4, 7), (4, 6)];
        let between = |leading| between_ends(listed.map(|(segment, number)| at(segment, number)), leading).concat();
        assert_eq!(between(1), []);
        assert_eq!(between(3), [at(1, 1), at(1, 2)]);
        assert_eq!(between(5), [at(1, 1), at(1, 2), at(4, 5), at(4, 6)]);
    }
}
