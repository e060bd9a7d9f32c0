//! Numbers as text for people: durations, points in time, bytes, counts, shares.
//!
//! Start at [`duration`]. Every function accepts all values and computes in integers, so that the same number prints
//! the same on every machine. A value and its unit are separated by one space; [`aligned`] pads units so that a
//! right-aligned column lines up.

/// Nanoseconds per second.
pub const SECOND: u64 = 1_000_000_000;

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A duration.
    Nanoseconds,
    /// A size.
    Bytes,
    /// A throughput.
    BytesPerSecond,
    /// A rate.
    RecordsPerSecond,
}

impl Unit {
    /// The number as text with its unit.
    pub fn text(self, n: u64) -> String {
        match self {
            Unit::Nanoseconds => duration(n),
            Unit::Bytes => bytes(n),
            Unit::BytesPerSecond => format!("{}/s", bytes(n)),
            Unit::RecordsPerSecond => format!("{} records/s", count(n)),
        }
    }

    /// The word in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "bytes/s",
            Unit::RecordsPerSecond => "records/s",
        }
    }
}

/// A duration in nanoseconds with three to four digits: `850 ns`, `13.2 ms`, `1.204 s`, `12 min 04 s`, `3 h 07 min`.
///
/// Further digits are cut off, not rounded: `999.9 µs` must not print as `1000 µs`.
pub fn duration(ns: u64) -> String {
    match ns {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(ns, 1_000)),
        1_000_000..SECOND => format!("{} ms", three_digits(ns, 1_000_000)),
        _ => {
            let seconds = ns / SECOND;
            match seconds {
                0..10 => format!("{seconds}.{:03} s", ns % SECOND / 1_000_000),
                10..100 => format!("{seconds}.{:02} s", ns % SECOND / 10_000_000),
                100..600 => format!("{seconds}.{} s", ns % SECOND / 100_000_000),
                600..36_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
                _ => format!("{} h {:02} min", count(seconds / 3_600), seconds / 60 % 60),
            }
        }
    }
}

/// A difference of durations in nanoseconds, always signed: `+13.2 ms`, `−850 µs`, `0 s`.
pub fn difference(ns: i64) -> String {
    let sign = match ns {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", duration(ns.unsigned_abs()))
}

/// A point in time in nanoseconds since the start of the run, in seconds with microseconds: `12.345678`.
pub fn instant(ns: u64) -> String {
    format!("{}.{:06}", ns / SECOND, ns % SECOND / 1_000)
}

/// Bytes in binary units: `512 B`, `1.50 KiB`, `64 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut unit = 1_024u64;
    let mut name = UNITS[0];
    for next in &UNITS[1..] {
        if bytes / 1_024 < unit {
            break;
        }
        unit *= 1_024;
        name = next;
    }
    format!("{} {name}", three_digits(bytes, unit))
}

/// A count with separators for thousands: `1,204,331`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A part and the whole of it, as progress is told: `204 of 1,204,331`.
pub fn count_of(part: u64, whole: u64) -> String {
    format!("{} of {}", count(part), count(whole))
}

/// A count with its noun: `1 run`, `2 runs`, `1,000 classes`. `noun` is in the singular; words after it (`class of
/// runs`) are left as they are.
pub fn counted(n: usize, noun: &str) -> String {
    format!("{} {}", count(n as u64), noun_for(n, noun))
}

/// The noun as it is used after `n`: `recovery` for 1, otherwise `recoveries`.
pub fn noun_for(n: usize, noun: &str) -> String {
    if n == 1 {
        return noun.to_owned();
    }
    let (word, rest) = noun.split_at(noun.find(" of ").unwrap_or(noun.len()));
    let before = word.chars().rev().nth(1);
    let plural = match word.strip_suffix('y') {
        Some(stem) if before.is_some_and(|letter| !"aeiou".contains(letter)) => format!("{stem}ies"),
        _ if ["s", "x", "ch", "sh"].iter().any(|end| word.ends_with(end)) => format!("{word}es"),
        _ => format!("{word}s"),
    };
    plural + rest
}

/// A share in percent with one decimal: `12.5 %`; `–` if `whole` is zero.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    // In u128, because nanoseconds times 1,000 may not fit into 64 bits.
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    let whole = u64::try_from(tenths / 10).map_or_else(|_| (tenths / 10).to_string(), count);
    format!("{whole}.{} %", tenths % 10)
}

/// Pads the unit to two characters, so that a right-aligned column of durations lines up at the units.
pub fn aligned(text: String) -> String {
    match text.rsplit_once(' ') {
        Some((_, unit)) if unit.chars().count() == 1 => text + " ",
        _ => text,
    }
}

/// `value / unit` with three digits or, above 999, with as many as it has.
fn three_digits(value: u64, unit: u64) -> String {
    let whole = value / unit;
    let rest = u128::from(value % unit);
    match whole {
        ..10 if rest > 0 => format!("{whole}.{:02}", rest * 100 / u128::from(unit)),
        ..100 if rest > 0 => format!("{whole}.{}", rest * 10 / u128::from(unit)),
        _ => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        let cases = [
            (0, "0 s"),
            (850, "850 ns"),
            (1_000, "1 µs"),
            (1_234, "1.23 µs"),
            (850_000, "850 µs"),
            (999_999, "999 µs"),
            (13_200_000, "13.2 ms"),
            (1_204_000_000, "1.204 s"),
            (12_400_000_000, "12.40 s"),
            (120_450_000_000, "120.4 s"),
            (724_000_000_000, "12 min 04 s"),
            (40_020_000_000_000, "11 h 07 min"),
            (7_200_000_000_000_000, "2,000 h 00 min"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(difference(-850_000), "−850 µs");
        assert_eq!(difference(13_200_000), "+13.2 ms");
        assert_eq!(difference(0), "0 s");
        assert_eq!(instant(12_345_678_901), "12.345678");
    }

    #[test]
    fn bytes_counts_and_shares() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_536), "1.50 KiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_204_331), "1,204,331");
        let words =
            [(0, "run"), (1, "run"), (2_000, "run"), (2, "class of runs"), (3, "recovery"), (2, "key"), (2, "switch")];
        let words = words.map(|(n, noun)| counted(n, noun));
        assert_eq!(
            words,
            ["0 runs", "1 run", "2,000 runs", "2 classes of runs", "3 recoveries", "2 keys", "2 switches"]
        );
        assert_eq!([counted(1, "class of runs"), counted(1, "recovery")], ["1 class of runs", "1 recovery"]);
        assert_eq!(percent(1, 8), "12.5 %");
        assert_eq!(percent(1, 0), "–");
        assert_eq!(percent(u64::MAX, 1), "1844674407370955161500.0 %");
    }

    #[test]
    fn one_letter_units_are_padded() {
        assert_eq!(aligned(duration(SECOND)), "1.000 s ");
        assert_eq!(aligned(duration(1_000_000)), "1 ms");
        assert_eq!(aligned("–".to_owned()), "–");
    }
}
