//! Durations, sizes, bandwidths and rates as people write them: `"2.5s"`, `"64MiB"`, `"1Gbit/s"`, `"2000/s"`.
//!
//! Values are exact: a decimal fraction is scaled in integers, so `"0.1s"` is 100,000,000 ns and nothing is rounded. A
//! value that is no whole number of the smallest unit is refused. The same function reads the decimals of all four
//! kinds of value, so error messages have the same words. The crates `bytesize` and `humantime` were not used:
//! `bytesize` accepts bare numbers and calculates in floats, and `humantime` accepts months. Start at [`duration`] and
//! [`UnitError`].
//!
//! Invariants: (UNITS-U1) `parse(format(x)) == x` for every value in range; (UNITS-U2) no text makes any of these panic.

use std::time::Duration;

/// Longest duration that is accepted: a year. Longer times could overflow clocks in nanoseconds, and no user waits for
/// such a run.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Highest rate that is accepted, in records per second.
pub(super) const RATE_MAX: u64 = 1_000_000_000;

const SECOND: u128 = 1_000_000_000;
pub(super) const TIMES: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000), // the Greek letter, which many keyboards give instead of the micro sign
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("min", 60 * SECOND),
    ("h", 3_600 * SECOND),
];
pub(super) const SIZES: &[(&str, u128)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// In bits, so that `"1bit/s"` is refused for the right reason.
pub(super) const BANDWIDTHS: &[(&str, u128)] = &[
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("B/s", 8),
    ("kB/s", 8_000),
    ("KB/s", 8_000),
    ("MB/s", 8_000_000),
    ("GB/s", 8_000_000_000),
    ("KiB/s", 8 << 10),
    ("MiB/s", 8 << 20),
    ("GiB/s", 8 << 30),
];

/// Why a text is not a value of its kind, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitError {
    /// What is wrong, in a few words.
    pub reason: String,
    /// What to write.
    pub remedy: String,
}

/// Arrival rate in thousandths of a record per second. This is exact; the plan's rate is a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Records per 1000 s.
    pub milli: u64,
}

impl Rate {
    /// Records per second.
    pub(crate) fn per_second(self) -> f64 {
        self.milli as f64 / 1000.0
    }

    /// How long `records` take to arrive, cut at [`DURATION_MAX`]; zero for the rate zero, which is refused elsewhere.
    pub(super) fn time_for(self, records: u64) -> Duration {
        let nanos = (u128::from(records) * 1000 * SECOND).checked_div(u128::from(self.milli)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(DURATION_MAX)
    }
}

/// Reads `"5s"`, `"2.5s"`, `"200us"`, and sums such as `"1m 30s"`.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitError> {
    within(text, DURATION_MAX)
        .ok_or_else(|| UnitError { reason: "longer than a year".into(), remedy: "at most 8760h".into() })?
}

/// Like [`duration`], but up to 300 years, which still fit nanoseconds: for times that are only calculated, not
/// simulated.
pub(crate) fn long_duration(text: &str) -> Result<Duration, UnitError> {
    let most = Duration::from_secs(300 * 365 * 24 * 3_600);
    within(text, most)
        .ok_or_else(|| UnitError { reason: "longer than 300 years".into(), remedy: "at most 2628000h".into() })?
}

/// Reads a duration up to `most`, or says what is wrong with the text; `None`: the duration is longer than `most`.
fn within(text: &str, most: Duration) -> Option<Result<Duration, UnitError>> {
    let remedy = "write a number with its unit, such as \"5s\", \"2.5s\", \"500ms\" or \"200us\" (ns, us, ms, s, m, h)";
    let mut nanos = 0u128;
    for part in parts(text) {
        match scaled(part, TIMES, "a nanosecond", "a unit of time", remedy) {
            Ok(part) => nanos = nanos.saturating_add(part),
            Err(error) => return Some(Err(error)),
        }
    }
    u64::try_from(nanos).map(Duration::from_nanos).ok().filter(|duration| *duration <= most).map(Ok)
}

/// The shortest exact form that [`duration`] reads back.
pub(crate) fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, scale) = match nanos {
        0 => ("s", SECOND),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", SECOND),
    };
    format!("{}{unit}", fraction(nanos, scale))
}

/// Reads a range `"200us..1ms"`, or a single value that stands for both ends.
pub(super) fn duration_range(text: &str) -> Result<(Duration, Duration), UnitError> {
    let Some((low, high)) = text.split_once("..") else {
        return duration(text).map(|both| (both, both));
    };
    Ok((duration(low)?, duration(high)?))
}

/// Writes a range in the form that [`duration_range`] reads.
pub(crate) fn format_duration_range((low, high): (Duration, Duration)) -> String {
    if low == high {
        return format_duration(low);
    }
    format!("{}..{}", format_duration(low), format_duration(high))
}

/// Reads a number of bytes: `"64MiB"`, `"500kB"`.
pub(crate) fn size(text: &str) -> Result<u64, UnitError> {
    let remedy =
        "write a number with its unit, such as \"64MiB\", \"32KiB\" or \"500kB\" (B, kB, MB, GB, KiB, MiB, GiB)";
    let bytes = scaled(text.trim(), SIZES, "a byte", "a unit of size", remedy)?;
    u64::try_from(bytes).map_err(|_| too_large())
}

/// The shortest exact form, as people write it: `64KiB`, `1MB`.
pub(crate) fn format_size(bytes: u64) -> String {
    let exponent = if bytes == 0 { 0 } else { (bytes.trailing_zeros() / 10).min(4) };
    let binary = format!("{}{}", bytes >> (10 * exponent), ["B", "KiB", "MiB", "GiB", "TiB"][exponent as usize]);
    let (mut value, mut exponent) = (bytes, 0);
    while value != 0 && value % 1000 == 0 && exponent < 4 {
        (value, exponent) = (value / 1000, exponent + 1);
    }
    let decimal = format!("{value}{}", ["B", "kB", "MB", "GB", "TB"][exponent]);
    if decimal.len() < binary.len() { decimal } else { binary }
}

/// Reads bytes per second: `"1Gbit/s"`, `"125MB/s"`.
pub(crate) fn bandwidth(text: &str) -> Result<u64, UnitError> {
    let remedy = "write a number with its unit, such as \"1Gbit/s\", \"125MB/s\" or \"64MiB/s\"";
    let bits = scaled(text.trim(), BANDWIDTHS, "a bit per second", "a unit of bandwidth", remedy)?;
    if bits % 8 != 0 {
        return Err(UnitError { reason: "not a whole number of bytes per second".into(), remedy: remedy.into() });
    }
    u64::try_from(bits / 8).map_err(|_| too_large())
}

/// The largest decimal unit that leaves a whole number.
pub(super) fn format_bandwidth(bytes_per_second: u64) -> String {
    let (mut value, mut exponent) = (bytes_per_second, 0);
    while value != 0 && value % 1000 == 0 && exponent < 3 {
        (value, exponent) = (value / 1000, exponent + 1);
    }
    format!("{value}{}", ["B/s", "kB/s", "MB/s", "GB/s"][exponent])
}

/// Reads what a clock gains (with a minus: loses) per second: `"50ms/s"`, `"-200us/s"`. In microseconds.
pub(super) fn drift(text: &str) -> Result<i32, UnitError> {
    let remedy = "write what the clock gains in a second, such as \"50ms/s\", or loses, such as \"-200us/s\"";
    let refuse = |reason: String| UnitError { reason, remedy: remedy.to_owned() };
    let (sign, gained) = text.trim().strip_prefix('-').map_or((1, text.trim()), |rest| (-1, rest));
    let Some(gained) = gained.strip_suffix("/s") else { return Err(refuse("does not end with `/s`".to_owned())) };
    let gained = duration(gained).map_err(|error| refuse(error.reason))?;
    if gained.subsec_nanos() % 1_000 != 0 {
        return Err(refuse("finer than a microsecond per second".to_owned()));
    }
    let micros = i32::try_from(gained.as_micros()).map_err(|_| refuse("no clock drifts this fast".to_owned()))?;
    Ok(sign * micros)
}

/// Writes a drift in the form that [`drift`] reads.
pub(super) fn format_drift(micros: i32) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}/s", format_duration(Duration::from_micros(micros.unsigned_abs().into())))
}

/// Reads records per second: `"2000/s"`, `"0.5/s"`.
pub(crate) fn rate(text: &str) -> Result<Rate, UnitError> {
    let remedy = "write records per second, such as \"2000/s\" or \"0.5/s\"";
    // At most three decimals: such a rate keeps its value through the float in the plan and the decimal in JSON.
    let milli = scaled(text.trim(), &[("/s", 1000)], "a thousandth of a record per second", "a unit of rate", remedy)?;
    match u64::try_from(milli) {
        Ok(milli) if milli <= RATE_MAX * 1000 => Ok(Rate { milli }),
        _ => Err(UnitError { reason: "more than a billion records per second".into(), remedy: remedy.into() }),
    }
}

fn too_large() -> UnitError {
    UnitError { reason: "too large".into(), remedy: "write a smaller number: it must fit 64 bits".into() }
}

/// Splits `"1m 30s"` where a digit follows a blank; the whole text otherwise, so that `"5 s"` stays one part.
fn parts(text: &str) -> Vec<&str> {
    let text = text.trim();
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices(char::is_whitespace) {
        if text[at..].trim_start().starts_with(|c: char| c.is_ascii_digit()) && !text[start..at].trim().is_empty() {
            parts.push(text[start..at].trim());
            start = at;
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// `text` as a decimal number followed by one of `units`, in multiples of the smallest unit.
fn scaled(text: &str, units: &[(&str, u128)], smallest: &str, kind: &str, remedy: &str) -> Result<u128, UnitError> {
    let refuse = |reason: String| Err(UnitError { reason, remedy: remedy.to_owned() });
    if text.is_empty() {
        return refuse("empty".into());
    }
    if text.starts_with('-') {
        return refuse("cannot be negative".into());
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = whole.chars().chain(decimals.chars()).filter(|c| *c != '_').collect();
    if whole.is_empty() || decimals.contains('.') || number.ends_with('.') || digits.is_empty() {
        return refuse("does not begin with a number".into());
    }
    if unit.is_empty() {
        return refuse(format!("`{number}` has no unit"));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return refuse(format!("`{unit}` is not {kind}"));
    };
    let places = decimals.chars().filter(|c| *c != '_').count();
    let divisor = u32::try_from(places).ok().and_then(|places| 10u128.checked_pow(places));
    let product = digits.parse::<u128>().ok().and_then(|digits| digits.checked_mul(*scale));
    match (product, divisor) {
        (Some(product), Some(divisor)) if product % divisor == 0 => Ok(product / divisor),
        (Some(_), _) => refuse(format!("finer than {smallest}")),
        (None, _) => refuse("too large".into()),
    }
}

/// `value / scale` as an exact decimal; `scale` is a power of ten.
fn fraction(value: u128, scale: u128) -> String {
    let (whole, rest) = (value / scale, value % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let places = scale.ilog10() as usize;
    format!("{whole}.{rest:0places$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_exact() {
        for (text, nanos) in [
            ("5s", 5_000_000_000u64),
            ("2.5s", 2_500_000_000),
            ("0.1s", 100_000_000),
            ("500ms", 500_000_000),
            ("200us", 200_000),
            ("200µs", 200_000),
            ("200μs", 200_000),
            ("1.5us", 1_500),
            ("7ns", 7),
            ("1m 30s", 90_000_000_000),
            ("2s 500ms", 2_500_000_000),
            ("5 s", 5_000_000_000),
            ("1_000ms", 1_000_000_000),
            ("0.000000001s", 1),
            ("2h", 7_200_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_for_the_right_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("5", "`5` has no unit"),
            ("5sec", "`sec` is not a unit of time"),
            ("s", "does not begin with a number"),
            (".5s", "does not begin with a number"),
            ("5.s", "does not begin with a number"),
            ("1.2.3s", "does not begin with a number"),
            ("-5s", "cannot be negative"),
            ("0.5ns", "finer than a nanosecond"),
            ("9000h", "longer than a year"),
            ("999999999999999999999999999999999999999999h", "too large"),
            ("_s", "does not begin with a number"),
        ] {
            assert_eq!(duration(text).unwrap_err().reason, reason, "{text}");
        }
    }

    #[test]
    fn sizes_bandwidths_and_rates_are_exact() {
        assert_eq!(size("32KiB"), Ok(32 << 10));
        assert_eq!(size("1.5MiB"), Ok(3 << 19));
        assert_eq!(size("0.1B").unwrap_err().reason, "finer than a byte");
        assert_eq!([1_000_000, 64 << 10, 1_500, 0].map(format_size), ["1MB", "64KiB", "1500B", "0B"]);
        assert_eq!(bandwidth("1Gbit/s"), Ok(125_000_000));
        assert_eq!(bandwidth("125MB/s"), Ok(125_000_000));
        assert_eq!(bandwidth("1bit/s").unwrap_err().reason, "not a whole number of bytes per second");
        assert_eq!(rate("2000/s").map(Rate::per_second), Ok(2000.0));
        assert_eq!(rate("0.5/s").map(Rate::per_second), Ok(0.5));
        assert_eq!(rate("2000").unwrap_err().reason, "`2000` has no unit");
        assert_eq!(rate("-1/s").unwrap_err().reason, "cannot be negative");
        assert_eq!(drift("50ms/s"), Ok(50_000));
        assert_eq!(drift("-200us/s"), Ok(-200));
        assert_eq!(drift("50ms").unwrap_err().reason, "does not end with `/s`");
        assert_eq!(drift("100ns/s").unwrap_err().reason, "finer than a microsecond per second");
        assert_eq!(Rate { milli: 2_000_000 }.time_for(3000), Duration::from_millis(1500));
        assert_eq!(duration_range("200us..1ms"), Ok((Duration::from_micros(200), Duration::from_millis(1))));
    }

    proptest! {
        /// Tries UNITS-U1.
        #[test]
        fn every_duration_survives_its_text(nanos in 0..=DURATION_MAX.as_nanos() as u64) {
            let given = Duration::from_nanos(nanos);
            prop_assert_eq!(duration(&format_duration(given)), Ok(given));
        }

        #[test]
        fn every_size_and_bandwidth_survives_its_text(bytes in any::<u64>(), shift in 0u32..64) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(size(&format_size(bytes)), Ok(bytes));
            prop_assert_eq!(bandwidth(&format_bandwidth(bytes)), Ok(bytes));
        }

        #[test]
        fn every_drift_survives_its_text(micros in any::<i32>().prop_filter("has a negative", |micros| *micros != i32::MIN)) {
            prop_assert_eq!(drift(&format_drift(micros)), Ok(micros));
        }

        /// Tries UNITS-U2.
        #[test]
        fn no_text_panics(text in "[-0-9._ smµu/a-zA-Zé]{0,24}|\\PC{0,16}") {
            let _ = (duration(&text), duration_range(&text), size(&text), bandwidth(&text), rate(&text), drift(&text));
        }
    }
}
