//! Seeds that differ from day to day and from shard to shard of one search: each date has its own interval of seeds,
//! and each of `N` shards takes every `N`-th of them.
//!
//! Start at [`Seeds::of_night`] and [`Shard`]. A day has 2³² seeds of its own, counted from the day's number, so nights
//! never overlap and no list has to be kept. Seeds below 2³² belong to no date after 1970-01-01; people type them.
//!
//! Invariants: (SEEDS-1) two dates share no seed; (SEEDS-2) two shards of one search share no seed, and all shards
//! together leave none out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many seeds a day has.
const A_DAY: u64 = 1 << 32;

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl FromStr for Date {
    type Err = String;

    /// Reads a date such as `2026-11-30`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no date; write year, month and day, such as 2026-11-30");
        let parts: Vec<&str> = text.trim().split('-').collect();
        let [year, month, day] = parts[..] else { return Err(wrong()) };
        let number = |part: &str, digits: usize| {
            let sound = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            sound.then(|| part.parse::<u32>().ok()).flatten()
        };
        let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
            return Err(wrong());
        };
        let date = Self { year, month, day };
        if year < 1971 || !(1..=12).contains(&month) || !(1..=date.days_of_month()).contains(&day) {
            return Err(format!("`{text}` is no day of a year from 1971 on"));
        }
        Ok(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Date {
    fn is_leap(year: u32) -> bool {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    }

    fn days_of_month(self) -> u32 {
        match self.month {
            2 if Self::is_leap(self.year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Days since 1970-01-01.
    fn number(self) -> u64 {
        let years: u64 = (1970..self.year).map(|year| if Self::is_leap(year) { 366 } else { 365 }).sum();
        let months: u64 = (1..self.month).map(|month| u64::from(Self { month, ..self }.days_of_month())).sum();
        years + months + u64::from(self.day) - 1
    }
}

/// One of several searches that share the work, written `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Number of the shard, from 1.
    pub number: u64,
    /// How many shards there are.
    pub of: u64,
}

impl Default for Shard {
    fn default() -> Self {
        Self { number: 1, of: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no shard; write which one of how many, such as 2/4");
        let (number, of) = text.trim().split_once('/').ok_or_else(wrong)?;
        let (number, of) = (number.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        if number == 0 || number > of || of > 10_000 {
            return Err(format!("`{text}`: shards are counted from 1 to at most 10000"));
        }
        Ok(Self { number, of })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// The seeds of one search, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// First seed of the whole search, over all shards.
    pub first: u64,
    /// The shard that these seeds belong to.
    pub shard: Shard,
}

impl Seeds {
    /// The seeds of a date (SEEDS-1).
    pub fn of_night(date: Date, shard: Shard) -> Self {
        Self { first: date.number() * A_DAY, shard }
    }

    /// The `n`-th seed of this shard, from 0 (SEEDS-2).
    pub fn nth(self, n: u64) -> u64 {
        let behind = n.wrapping_mul(self.shard.of).wrapping_add(self.shard.number - 1);
        self.first.wrapping_add(behind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_counted_as_calendars_do() {
        assert_eq!(date("1971-01-01").number(), 365);
        assert_eq!(date("2000-03-01").number(), 11_017);
        assert_eq!(date("2026-11-30").number(), 20_787);
        assert_eq!(date("2028-03-01").number(), date("2028-02-29").number() + 1);
        assert_eq!(date(" 2026-11-30").to_string(), "2026-11-30");
        for wrong in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "2026-11-31",
            "1970-01-01",
            "26-11-30",
            "2026-1-1",
            "+026-11-30",
        ] {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_and_shards_share_no_seed() {
        let night = |text: &str| Seeds::of_night(date(text), Shard::default());
        let (one, next) = (night("2026-11-30"), night("2026-12-01"));
        assert!(one.nth(A_DAY - 1) < next.nth(0), "SEEDS-1");
        let shards = (1..=3).map(|number| Seeds { first: 5, shard: Shard { number, of: 3 } });
        let seeds: Vec<u64> = shards.flat_map(|seeds| (0..4).map(move |n| seeds.nth(n))).collect();
        let all: BTreeSet<u64> = seeds.iter().copied().collect();
        assert_eq!((all.len(), seeds.len()), (12, 12), "SEEDS-2");
        assert!(all.into_iter().eq(5..17), "SEEDS-2");
        // Reaching the greatest number must not panic.
        Seeds { first: u64::MAX, shard: Shard { number: 9, of: 9 } }.nth(u64::MAX);
    }

    #[test]
    fn a_shard_is_one_of_some() {
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, of: 4 }));
        assert_eq!(Shard::default().to_string(), "1/1");
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3", "1/99999"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
