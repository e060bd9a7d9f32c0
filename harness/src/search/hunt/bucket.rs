//! Buckets: failures that are the same failure, so that a person reads each only once.
//!
//! Start at [`BucketKey::of`]. A bucket's key is the way of failing (class and oracle), the oracle's evidence without
//! its numbers and names, and where the first fault struck.
//!
//! Invariant: (BUCKET-1) failures that differ only in numbers, times and names of nodes are in the same bucket.

use std::fmt;

use flowquake_reports::record::Verdict;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::RunPlan;
use crate::search::signature::StrikePosition;
use crate::shrink::Failure;

/// What failures have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BucketKey {
    /// Such as `failed O1`, `stuck`, `crashed`.
    pub failure: String,
    /// The first line of evidence, with `#` in place of each number.
    pub objection: String,
    /// Kind of the fault that struck first, the event at which it struck, and its victim's role.
    pub position: String,
}

/// One failure, however often it occurred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// What its runs have in common.
    pub key: BucketKey,
    /// Number of runs that failed like this.
    pub runs: u64,
    /// Number of the first run that failed like this, from 1.
    pub first_run: u64,
    /// The evidence of that run, in one line.
    pub headline: String,
    /// The exit code of its verdict.
    pub exit_code: u8,
    /// A plan that fails like this: the first of those with the fewest faults.
    pub plan: RunPlan,
}

impl BucketKey {
    /// The bucket of a verdict, if it is a failure.
    pub fn of(verdict: &Verdict, strike: Option<&StrikePosition>) -> Option<Self> {
        let failure = Failure::of(verdict)?.to_string();
        let objection = match verdict {
            Verdict::Failed { evidence, .. } => evidence.first().map_or("", String::as_str),
            Verdict::Stuck { reason } => reason,
            Verdict::Crashed { panic } => panic.lines().next().unwrap_or_default(),
            _ => "",
        };
        let position = strike.map_or_else(String::new, |strike| {
            let event = if strike.event.is_empty() { "by the clock" } else { &strike.event };
            format!("{} at {event}, {}", strike.kind, strike.role)
        });
        Some(Self { failure, objection: without_numbers(objection), position })
    }

    /// A name for files, the same in every search.
    pub fn name(&self) -> String {
        format!("{:016x}", xxh3_64(format!("{}\n{}\n{}", self.failure, self.objection, self.position).as_bytes()))
    }
}

impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.failure, self.objection)?;
        if !self.position.is_empty() {
            write!(f, " ({})", self.position)?;
        }
        Ok(())
    }
}

/// Replaces every number by `#`. Digits with dots and commas between them are one number, and hexadecimal words are
/// numbers, too.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if !letter.is_ascii_digit() {
            out.push(letter);
            continue;
        }
        out.push('#');
        while letters.next_if(|next| next.is_ascii_hexdigit() || *next == ',' || *next == '.').is_some() {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(line: &str) -> Verdict {
        Verdict::Failed { oracle: "O1".into(), evidence: vec![line.into()], also: vec![] }
    }

    #[test]
    fn numbers_tell_no_failures_apart_and_all_else_does() {
        let strike =
            |kind: &str| StrikePosition { kind: kind.into(), event: "job-running".into(), role: "leader".into() };
        let of = |line: &str, kind: &str| BucketKey::of(&failed(line), Some(&strike(kind))).unwrap();
        let one = of("record 17 of split 3 was lost at 1.250 s on tm-2", "kill");
        assert_eq!(one, of("record 4,017 of split 0 was lost at 3 s on tm-1", "kill"), "BUCKET-1");
        assert_eq!(one.name(), of("record 1 of split 1 was lost at 9.9 s on tm-3", "kill").name());
        assert_ne!(one, of("record 17 of split 3 was doubled at 1.250 s on tm-2", "kill"));
        assert_ne!(one, of("record 17 of split 3 was lost at 1.250 s on tm-2", "pause"));
        let stuck = Verdict::Stuck { reason: "waiting for 3 slots".into() };
        assert_eq!(BucketKey::of(&stuck, None).unwrap().to_string(), "stuck: waiting for # slots");
        assert_eq!(BucketKey::of(&Verdict::Passed, None), None);
        assert_eq!(BucketKey::of(&Verdict::Vacuous { missing: "x".into() }, None), None);
        assert_eq!(
            one.to_string(),
            "failed O1: record # of split # was lost at # s on tm-# (kill at job-running, leader)"
        );
    }
}
