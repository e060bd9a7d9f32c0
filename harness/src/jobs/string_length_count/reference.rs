//! The reference of `string-length-count`: per key, the output ordered by count is 0, 1, 2 …, once each, and is a merge
//! of the subsequences of the splits.
//!
//! Nearly all output is right, and a quick check accepts that (`plain`). Only keys that it leaves undecided are checked
//! slowly, which shows what is wrong, with which records and lines. Start at [`Accepted`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use flowquake_engine::graph::source::Source;
use flowquake_reports::units::counted;

use super::plain::Span;
use super::{Strings, length, parse};
use crate::jobs::{Consumed, Objection, RECORDS_MAX, RecordId, Reference, Refusal, index_of};

/// How many ways of merging are followed at once. With more, the order counts as undecided and is not judged.
const MERGES_MAX: usize = 4096;

/// Accepts spans of output, and remembers the count of every key.
pub(super) struct Accepted {
    strings: Strings,
    splits: usize,
    counts: BTreeMap<u32, i32>,
}

impl Reference for Accepted {
    fn input_len(&self) -> u64 {
        self.strings.len()
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let span = Span::due(&self.strings, self.splits, consumed, |key| self.counts.get(&key).copied().unwrap_or(0));
        let due: Vec<_> = span.lengths().collect();
        let refusals = match if partial { None } else { span.doubtful(lines) } {
            Some(keys) if keys.is_empty() => Vec::new(),
            Some(keys) => self.look_closer(consumed, lines, partial, |key| keys.binary_search(&key).is_ok()),
            None => self.look_closer(consumed, lines, partial, |_| true),
        };
        for (key, due) in due {
            *self.counts.entry(key).or_default() += due as i32;
        }
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    fn for_each_state(&self, each: &mut dyn FnMut(&str, &dyn fmt::Debug, &dyn fmt::Debug)) {
        self.counts.iter().for_each(|(key, count)| each("count", key, count));
    }

    fn origins(&self, line: &str) -> Vec<RecordId> {
        let Some((value, _)) = line.rsplit_once(" - ") else { return Vec::new() };
        let indices: Vec<u64> = match &self.strings {
            // A generated word contains its number.
            Strings::Words { .. } => {
                let number = value.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
                number.into_iter().filter(|index| self.is(value, *index)).collect()
            }
            Strings::Lines(lines) => {
                (0..lines.len()).filter(|index| self.is(value, *index)).take(RECORDS_MAX).collect()
            }
        };
        indices.into_iter().map(|index| RecordId::of_index(index, self.splits)).collect()
    }

    fn shows(&self, line: &str, record: RecordId) -> bool {
        let index = index_of(record.position, record.split as usize, self.splits);
        line.rsplit_once(" - ").is_some_and(|(value, _)| self.is(value, index))
    }
}

impl Accepted {
    pub(super) fn new(strings: Strings, splits: usize) -> Self {
        Self { strings, splits, counts: BTreeMap::new() }
    }

    /// What is wrong with the keys for which `concerns` is true, in order.
    fn look_closer(
        &self,
        consumed: &Consumed,
        lines: &[&str],
        partial: bool,
        concerns: impl Fn(u32) -> bool,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        // What must come out, by key: for each split, in order.
        let mut expected: BTreeMap<u32, Vec<Vec<String>>> = BTreeMap::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let value = self.strings.record(index_of(position, split, self.splits));
                if !concerns(length(&value)) {
                    continue;
                }
                let per_split = expected.entry(length(&value)).or_insert_with(|| vec![Vec::new(); consumed.len()]);
                per_split[split].push(value);
            }
        }
        // What came out, by key and count.
        let mut found: BTreeMap<u32, BTreeMap<i32, &str>> = BTreeMap::new();
        for line in lines {
            let Some((value, count)) = parse(line) else {
                let what = format!("`{line}` is not of the form `value - count`");
                refusals.push(Refusal::Content(Objection::from(what).seen_in([*line])));
                continue;
            };
            let key = length(value);
            if !concerns(key) {
                continue;
            }
            if let Some(other) = found.entry(key).or_default().insert(count, value) {
                let what = format!("length {key}: count {count} stands twice, with `{other}` and with `{value}`");
                let lines = [value, other].map(|value| format!("{value} - {count}"));
                refusals.push(Refusal::Content(Objection::from(what).seen_in(lines)));
            }
        }
        let keys: BTreeSet<u32> = expected.keys().chain(found.keys()).copied().collect();
        for key in keys {
            let splits = expected.remove(&key).unwrap_or_default();
            let outputs = found.remove(&key).unwrap_or_default();
            let first = self.counts.get(&key).copied().unwrap_or(0);
            let due: usize = splits.iter().map(Vec::len).sum();
            let wanted = first..first + due as i32;
            if !partial {
                let find = |value: &str| self.find(value, consumed);
                refusals.extend(compare(key, wanted, &splits, &outputs, find));
            } else if let Some((count, value)) = outputs.iter().find(|(count, _)| !wanted.contains(count)) {
                let what = format!("length {key}: `{value} - {count}` was never due");
                refusals.push(Refusal::Content(Objection::from(what).seen_in([format!("{value} - {count}")])));
            } else if let Some((count, value)) = too_many(&splits, &outputs) {
                let what =
                    format!("length {key}: `{value}` came out more often than it stands in the input of this span");
                refusals.push(Refusal::Content(Objection::from(what).seen_in([format!("{value} - {count}")])));
            }
        }
        refusals
    }

    /// Where a value occurs in a span of the input.
    fn find(&self, value: &str, consumed: &Consumed) -> Vec<RecordId> {
        let of_split = |(split, positions): (usize, &Range<u64>)| {
            let same = positions.clone().filter(move |at| self.is(value, index_of(*at, split, self.splits)));
            same.map(move |position| RecordId { split: split as u32, position })
        };
        consumed.iter().enumerate().flat_map(of_split).take(RECORDS_MAX).collect()
    }

    fn is(&self, value: &str, index: u64) -> bool {
        index < self.strings.len() && self.strings.record(index) == value
    }
}

/// Judges one key's output of one span, whose counts must be `wanted`. `find` says where a value occurs in the span.
fn compare(
    key: u32,
    wanted: Range<i32>,
    splits: &[Vec<String>],
    outputs: &BTreeMap<i32, &str>,
    find: impl Fn(&str) -> Vec<RecordId>,
) -> Option<Refusal> {
    let due = wanted.len();
    let ends = outputs.first_key_value().zip(outputs.last_key_value());
    let all_there = outputs.len() == due && ends.is_none_or(|((first, _), (last, _))| (*first..last + 1) == wanted);
    if all_there && is_plain_merge(splits, outputs.values()) {
        return None;
    }
    // From here on it is slower, and finds out what is wrong.
    let content = |what: String| Objection::from(format!("length {key}: {what}"));
    let mut missing: BTreeMap<&str, i64> = BTreeMap::new();
    splits.iter().flatten().for_each(|value| *missing.entry(value).or_default() += 1);
    outputs.values().for_each(|value| *missing.entry(value).or_default() -= 1);
    if let Some((value, times)) = missing.iter().find(|(_, times)| **times > 0) {
        let times = if *times == 1 { String::new() } else { format!(" {times} times") };
        let (were, are) = (if due == 1 { "was" } else { "were" }, if outputs.len() == 1 { "is" } else { "are" });
        let (due, found) = (counted(due, "record"), counted(outputs.len(), "output"));
        let what = content(format!("`{value}` is missing{times}: {due} {were} due, there {are} {found}"));
        return Some(Refusal::Content(what.about(find(value))));
    }
    if let Some((value, times)) = missing.iter().find(|(_, times)| **times < 0) {
        let times = if *times == -1 { "once".to_owned() } else { format!("{} times", -times) };
        let what = content(format!("`{value}` came out {times} too often"));
        let lines =
            outputs.iter().filter(|(_, found)| *found == value).map(|(count, value)| format!("{value} - {count}"));
        return Some(Refusal::Content(what.about(find(value)).seen_in(lines)));
    }
    if let Some(count) = wanted.clone().find(|count| !outputs.contains_key(count)) {
        return Some(Refusal::Content(content(format!("no output has count {count} (due: {wanted:?})"))));
    }
    let sequence: Vec<&str> = outputs.values().copied().collect();
    let at = is_merge(splits, &sequence)?;
    let line = format!("{} - {}", sequence[at], wanted.start + at as i32);
    let what = content(format!("`{line}` is no possible next value: records of one split are out of order"));
    Some(Refusal::Order(what.about(find(sequence[at])).seen_in([line])))
}

/// The first output whose value came out more often than it was due, and its count.
fn too_many<'a>(splits: &[Vec<String>], outputs: &BTreeMap<i32, &'a str>) -> Option<(i32, &'a str)> {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    splits.iter().flatten().for_each(|value| *left.entry(value).or_default() += 1);
    let mut taken =
        |value: &str| left.get_mut(value).and_then(|left| left.checked_sub(1).map(|rest| *left = rest)).is_some();
    outputs.iter().find(|(_, value)| !taken(value)).map(|(count, value)| (*count, *value))
}

/// Whether `found` can be split into the given subsequences without a choice at any step. If there is a choice, or if
/// it cannot be split, the answer is no, and [`is_merge`] must look more closely.
fn is_plain_merge<'a>(splits: &[Vec<String>], mut found: impl Iterator<Item = &'a &'a str>) -> bool {
    let mut heads: Vec<_> = splits.iter().map(|values| values.iter().peekable()).collect();
    found.all(|value| {
        let mut fitting = heads.iter_mut().filter_map(|head| head.next_if(|due| due == value));
        // If there is more than one, both have moved on, but then the answer is no anyway.
        fitting.next().is_some() && fitting.next().is_none()
    })
}

/// Whether `sequence` can be split into the given subsequences; if not, the index at which every attempt has failed.
/// Follows all sets of positions that are possible so far, because equal values at the heads of two splits leave more
/// than one.
fn is_merge(splits: &[Vec<String>], sequence: &[&str]) -> Option<usize> {
    let mut possible = BTreeSet::from([vec![0usize; splits.len()]]);
    for (at, value) in sequence.iter().enumerate() {
        let mut next = BTreeSet::new();
        for positions in &possible {
            for split in 0..splits.len() {
                if splits[split].get(positions[split]).is_some_and(|head| head == value) {
                    let mut positions = positions.clone();
                    positions[split] += 1;
                    next.insert(positions);
                }
            }
        }
        if next.is_empty() {
            return Some(at);
        }
        if next.len() > MERGES_MAX {
            return None;
        }
        possible = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::word;
    use super::*;

    fn accepted(words: u64) -> Accepted {
        Accepted::new(Strings::Words { records: words, seed: 1 }, 2)
    }

    /// The output of one possible run over `consumed`.
    fn output(counts: &mut BTreeMap<u32, i32>, consumed: &Consumed) -> Vec<String> {
        let mut lines = Vec::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let value = word(1, index_of(position, split, 2));
                let count = counts.entry(length(&value)).or_default();
                lines.push(format!("{value} - {count}"));
                *count += 1;
            }
        }
        lines
    }

    fn refs(lines: &[String]) -> Vec<&str> {
        lines.iter().map(String::as_str).collect()
    }

    #[test]
    fn accepts_what_a_run_may_do_span_by_span() {
        let mut reference = accepted(1000);
        let mut counts = BTreeMap::new();
        for consumed in [vec![0..10, 0..20], vec![10..400, 20..300], vec![400..500, 300..500]] {
            let lines = output(&mut counts, &consumed);
            assert_eq!(reference.accept(&consumed, &refs(&lines), false), Ok(()));
        }
        let mut states = 0;
        reference.for_each_state(&mut |_, _, _| states += 1);
        assert_eq!(states, counts.len());
    }

    #[test]
    fn finds_lost_doubled_and_reordered_records() {
        let consumed = vec![0..100, 0..100];
        let good = output(&mut BTreeMap::new(), &consumed);
        let mut lost = good.clone();
        lost.remove(17);
        // Each split has a hundred records, so record 17 of the output is record 17 of split 0.
        let at = |position| vec![RecordId { split: 0, position }];
        let refused = accepted(200).accept(&consumed, &refs(&lost), false).unwrap_err();
        assert!(matches!(&refused[0], Refusal::Content(lost) if lost.records == at(17) && lost.lines.is_empty()));
        let Refusal::Content(Objection { what, .. }) = &refused[0] else { unreachable!() };
        assert!(what.contains("` is missing: ") && what.contains(" records were due, there are "), "{what}");
        let mut doubled = good.clone();
        doubled.push(good[3].clone());
        let refused = accepted(200).accept(&consumed, &refs(&doubled), false).unwrap_err();
        assert!(matches!(&refused[0], Refusal::Content(twice) if twice.lines.contains(&good[3])));
        // The same record under two counts that are both due: wrong, even if something may be missing.
        let mut again = good.clone();
        let same =
            |line: &String| length(line.rsplit_once(" - ").unwrap().0) == length(good[3].rsplit_once(" - ").unwrap().0);
        let other = (4..good.len()).find(|at| same(&good[*at])).unwrap();
        again[other] =
            format!("{} - {}", good[3].rsplit_once(" - ").unwrap().0, good[other].rsplit_once(" - ").unwrap().1);
        assert!(accepted(200).accept(&consumed, &refs(&again), true).is_err());
        assert_eq!(accepted(200).accept(&consumed, &refs(&lost), true), Ok(()));
        assert_eq!(accepted(200).origins(&good[3]), at(3));
        assert!(accepted(200).shows(&good[3], at(3)[0]) && !accepted(200).shows(&good[4], at(3)[0]));
        // Exchanges the counts of two records of one split and length.
        let by_length = |line: &String| length(line.rsplit_once(" - ").unwrap().0);
        let (a, b) = (0..100)
            .flat_map(|a| (a + 1..100).map(move |b| (a, b)))
            .find(|(a, b)| by_length(&good[*a]) == by_length(&good[*b]))
            .unwrap();
        let mut swapped = good.clone();
        let value = |line: &str| line.rsplit_once(" - ").unwrap().0.to_owned();
        let count = |line: &str| line.rsplit_once(" - ").unwrap().1.to_owned();
        swapped[a] = format!("{} - {}", value(&good[b]), count(&good[a]));
        swapped[b] = format!("{} - {}", value(&good[a]), count(&good[b]));
        assert!(matches!(
            &accepted(200).accept(&consumed, &refs(&swapped), false).unwrap_err()[..],
            [Refusal::Order(_)]
        ));
    }

    #[test]
    fn numbers_of_records_are_said_as_people_say_them() {
        let said = |due: &[&str], outputs: &[(i32, &str)]| {
            let splits = [due.iter().map(|value| (*value).to_owned()).collect()];
            let (wanted, outputs) = (0..due.len() as i32, outputs.iter().copied().collect());
            let Some(Refusal::Content(Objection { what, .. })) = compare(1, wanted, &splits, &outputs, |_| Vec::new())
            else {
                panic!("{due:?} are not {outputs:?}")
            };
            what
        };
        assert_eq!(said(&["a"], &[]), "length 1: `a` is missing: 1 record was due, there are 0 outputs");
        let one_of_three = "length 1: `a` is missing 2 times: 3 records were due, there is 1 output";
        assert_eq!(said(&["a", "a", "a"], &[(0, "a")]), one_of_three);
        assert_eq!(said(&["a"], &[(0, "a"), (1, "a")]), "length 1: `a` came out once too often");
        assert_eq!(said(&["a"], &[(0, "a"), (1, "a"), (2, "a")]), "length 1: `a` came out 2 times too often");
    }

    /// The quick check accepts nothing that the slow one refuses, whatever happened to the output.
    #[test]
    fn the_quick_look_is_sure_of_what_is_right_and_of_nothing_else() {
        let consumed = vec![0..20, 0..20];
        let good = output(&mut BTreeMap::new(), &consumed);
        let doubtful = |lines: &[String]| {
            let reference = accepted(40);
            let span = Span::due(&reference.strings, 2, &consumed, |_| 0);
            (span.doubtful(&refs(lines)), reference.look_closer(&consumed, &refs(lines), false, |_| true))
        };
        assert_eq!(doubtful(&good), (Some(vec![]), vec![]));
        let parts =
            |line: &str| line.rsplit_once(" - ").map(|(value, count)| (value.to_owned(), count.to_owned())).unwrap();
        for at in 0..good.len() {
            for to in (0..good.len()).filter(|to| *to != at) {
                let ((value, count), (other, other_count)) = (parts(&good[at]), parts(&good[to]));
                let changed = |which: usize, line: String| {
                    let mut lines = good.clone();
                    lines[which] = line;
                    lines
                };
                let mut swapped = changed(at, format!("{other} - {count}"));
                swapped[to] = format!("{value} - {other_count}");
                let mut doubled = good.clone();
                doubled.push(good[at].clone());
                let cases = [
                    swapped,
                    doubled,
                    changed(at, good[to].clone()),
                    changed(at, format!("{value} - {other_count}")),
                    changed(at, format!("{value} - -{count}1")),
                    changed(at, format!("{value}x - {count}")),
                    changed(at, value.clone()),
                ];
                for lines in cases {
                    let (quick, slow) = doubtful(&lines);
                    assert_eq!(quick == Some(vec![]), slow.is_empty(), "{at} {to}: {slow:?}");
                }
            }
        }
    }

    #[test]
    fn equal_heads_leave_both_ways_open() {
        let splits = vec![vec!["a".to_owned(), "b".into()], vec!["a".into(), "c".into()]];
        assert_eq!(is_merge(&splits, &["a", "c", "a", "b"]), None);
        assert_eq!(is_merge(&splits, &["a", "b", "a", "c"]), None);
        assert_eq!(is_merge(&splits, &["b", "a", "a", "c"]), Some(0));
    }
}
