//! Estimates as text: three digits and a unit. Measured times are written exactly elsewhere; estimates, such as an
//! optimum, are not exact.
//!
//! Start at [`seconds`]. All functions take `f64` and round; a value that is not a finite number gives `–`.

use crate::units;

/// A time in seconds: `13.2 ms`, `1.20 s`, `12.4 s`, `124 s`, `12 min 04 s`, `1,203 h 07 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => "–".into(),
        ..0.9995 => units::duration(three_digits(seconds)),
        ..9.995 => format!("{seconds:.2} s"),
        ..99.95 => format!("{seconds:.1} s"),
        ..599.5 => format!("{seconds:.0} s"),
        ..7_199.5 => units::duration((seconds + 0.5) as u64 * units::SECOND),
        _ => hours(seconds),
    }
}

/// Nanoseconds of a time below a second, rounded to three digits. Formatting cuts digits off, so the number is rounded
/// before.
pub(crate) fn three_digits(seconds: f64) -> u64 {
    let step = libm::pow(10.0, libm::floor(libm::log10(seconds.max(1e-9))) - 2.0).max(1e-9);
    ((seconds / step).round() * step * 1e9).round() as u64
}

/// A range of times. If both have the same unit, and it is one word, the unit is written once: `11.2 – 13.9 s`, `10 min
/// 00 s – 11 min 00 s`.
pub(crate) fn range(from: f64, to: f64) -> String {
    let (from, to) = (seconds(from), seconds(to));
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same && !unit.contains(' ') => format!("{number} – {to}"),
        _ => format!("{from} – {to}"),
    }
}

/// A time in seconds that somebody chose, in the form in which it was written: `1 d`, `90 min`, `20 s`, `1.5 s`, `12.39
/// ms`.
pub(crate) fn chosen(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    match units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0.0) {
        _ if !seconds.is_finite() || seconds < 0.0 => "–".into(),
        Some((unit, name)) => format!("{} {name}", units::count((seconds / unit) as u64)),
        None => {
            // Exact to the nanosecond, or to six decimals of larger units.
            let small = [(1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
            let fits = |(unit, _): &(f64, &str)| seconds >= *unit * (1.0 - 1e-12);
            let smaller = small.into_iter().find(fits).filter(|_| seconds < 1.0);
            let (unit, name) = smaller.unwrap_or((1.0, "s"));
            format!("{} {name}", (seconds / unit * 1e6).round() / 1e6)
        }
    }
}

/// A share of time in percent with three digits, and four decimals at most: `12.5 %`, `0.400 %`, `< 0.0001 %`. Above
/// one it is `over 100 %`, because the exact amount means nothing.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if !p.is_finite() => "–".into(),
        ..0.0 => format!("−{}", self::percent(-share)),
        100.5.. => "over 100 %".into(),
        99.95.. => format!("{percent:.0} %"),
        9.995.. => format!("{percent:.1} %"),
        0.9995.. => format!("{percent:.2} %"),
        0.01.. => format!("{percent:.3} %"),
        0.00005.. | 0.0 => format!("{percent:.4} %"),
        _ => "< 0.0001 %".into(),
    }
}

/// A difference as a share, always signed: `+3.2 %`, `−0.4 %`, `0.0 %`.
pub(crate) fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let sign = if percent > 0.0 { "+" } else { "−" };
    match percent.abs() {
        p if !p.is_finite() => "–".into(),
        ..0.05 => "0.0 %".into(),
        p @ 99.95.. => format!("{sign}{} %", units::count((p + 0.5) as u64)),
        p => format!("{sign}{p:.1} %"),
    }
}

/// How many times the measured value a formula gives: `1.02`, `0.0031`.
pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "–".into(),
        ..0.0995 => format!("{ratio:.3}"),
        ..99.5 => format!("{ratio:.2}"),
        _ => units::count((ratio + 0.5) as u64),
    }
}

/// `1 − unavailability` in percent, with as many digits as are needed to distinguish it from 100 %, and at most six
/// decimals.
pub(crate) fn availability(unavailability: f64) -> String {
    let digits = (-libm::log10((unavailability * 100.0).max(1e-5))).ceil() as i32 + 1;
    format!("{:.*} %", digits.clamp(1, 6) as usize, 100.0 - unavailability * 100.0)
}

/// An estimated number of bytes, in decimal units with at most three digits: `1 MB`, `67.1 MB`, `950 kB`.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes, &[(1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")])
}

/// A rate as records per second, with three digits at most: `16.9 M/s`, `120 k/s`, `850/s`.
pub(crate) fn rate(rate: f64) -> String {
    let scaled = scaled(rate, &[(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]);
    // Without a prefix there is no space before `/s`.
    scaled.replace(" /s", "/s")
}

/// Three digits of `value` in the largest unit below it, without trailing zeros.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    // A value that rounds up to the next unit is written in that unit.
    let fits = |(unit, _): &&(f64, &str)| value >= unit * 0.9995;
    let (unit, name) = units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""));
    let digits = match value / unit {
        ..9.995 if unit > 1.0 => 2,
        ..99.95 if unit > 1.0 => 1,
        _ => 0,
    };
    let number = format!("{:.digits$}", value / unit);
    let number = if digits > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number} {name}")
}

/// Text with its long times shortened: `after 1h 35m 15s 672ms` becomes `after 1 h 35 min`.
pub(crate) fn short_times(text: &str) -> String {
    const UNITS: [(&str, f64); 7] =
        [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)];
    // A sign after the time, as in `817ns:`, belongs to the sentence.
    let part = |word: &str| -> Option<(usize, f64, bool)> {
        let bare = word.trim_end_matches([':', ',', ';', '.', ')']);
        let digits = bare.find(|c: char| !c.is_ascii_digit())?;
        let place = UNITS.iter().position(|(name, _)| *name == &bare[digits..])?;
        Some((place, bare[..digits].parse::<f64>().ok()? * UNITS[place].1, bare.len() < word.len()))
    };
    let words: Vec<&str> = text.split(' ').collect();
    let mut short: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let (mut sum, mut next, mut unit) = (0.0, at, None);
        while let Some((place, value, ends)) = words.get(next).and_then(|word| part(word)) {
            if unit.is_some_and(|before| place <= before) {
                break;
            }
            (sum, next, unit) = (sum + value, next + 1, Some(place));
            if ends {
                break;
            }
        }
        if next < at + 2 {
            short.push(words[at].to_owned());
            at += 1;
        } else {
            let last = words[next - 1];
            let behind = &last[last.trim_end_matches([':', ',', ';', '.', ')']).len()..];
            let time = if (3_600.0..7_199.5).contains(&sum) { hours(sum) } else { seconds(sum) };
            short.push(format!("{time}{behind}"));
            at = next;
        }
    }
    short.join(" ")
}

fn hours(seconds: f64) -> String {
    let minutes = (seconds / 60.0 + 0.5) as u64;
    format!("{} h {:02} min", units::count(minutes / 60), minutes % 60)
}

/// Median of the finite values; `None` if there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Smallest and largest of the finite values; `None` if there are none.
pub(crate) fn extremes(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |ends, value| {
        let (low, high): (f64, f64) = ends.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let shown = [0.01329, 0.99996, 0.9994, 4e-10].map(seconds);
        assert_eq!(shown, ["13.3 ms", "1.00 s", "999 ms", "0 s"].map(str::to_owned));
        let shown = [0.0132, 0.412, 1.2, 9.996, 12.44, 124.4, 724.0, 11_220.0].map(seconds);
        assert_eq!(
            shown,
            ["13.2 ms", "412 ms", "1.20 s", "10.0 s", "12.4 s", "124 s", "12 min 04 s", "3 h 07 min"]
                .map(str::to_owned)
        );
        assert_eq!(seconds(f64::NAN), "–");
        assert_eq!(range(11.2, 13.9), "11.2 – 13.9 s");
        assert_eq!(range(0.5, 1.5), "500 ms – 1.50 s");
        assert_eq!(range(10.0, 600.0), "10.0 s – 10 min 00 s");
        assert_eq!(range(600.0, 660.0), "10 min 00 s – 11 min 00 s");
        assert_eq!(seconds(4_460_400.0), "1,239 h 00 min");
        assert_eq!([86_400.0, 5_400.0, 20.0, 1.5, 0.5].map(chosen), ["1 d", "90 min", "20 s", "1.5 s", "500 ms"]);
        let exact = [0.01239, 0.9999, 59.9996, 1.23456, 2.5e-7, 3e-9, 0.0].map(chosen);
        assert_eq!(exact, ["12.39 ms", "999.9 ms", "59.9996 s", "1.23456 s", "250 ns", "3 ns", "0 s"]);
        assert_eq!((chosen(f64::NAN), chosen(-1.0)), ("–".into(), "–".into()));
    }

    #[test]
    fn bytes_and_rates_have_three_digits_and_one_system_of_units() {
        let shown = [1e6, 1.5e9, 10e9, 67_108_864.0, 950_400.0, 950_433.0, 64.0, 2_000.0, 999_960.0].map(bytes);
        let expected = ["1 MB", "1.5 GB", "10 GB", "67.1 MB", "950 kB", "950 kB", "64 B", "2 kB", "1 MB"];
        assert_eq!(shown, expected.map(str::to_owned));
        let shown = [16_915_824.0, 120_000.0, 850.4, 1_234.0, 0.0].map(rate);
        assert_eq!(shown, ["16.9 M/s", "120 k/s", "850/s", "1.23 k/s", "0/s"].map(str::to_owned));
        assert_eq!((bytes(f64::NAN), rate(f64::INFINITY)), ("–".into(), "–".into()));
    }

    #[test]
    fn long_times_in_a_text_are_made_short() {
        let cases = [
            ("after 1h 35m 15s 672ms 791us 817ns: no record", "after 1 h 35 min: no record"),
            ("after 15s 672ms 791us", "after 15.7 s"),
            ("1d 2h, then 5m 3s", "26 h 00 min, then 303 s"),
            ("no record within 60s, 3s 5h", "no record within 60s, 3s 5h"),
            ("", ""),
        ];
        for (text, short) in cases {
            assert_eq!(short_times(text), short);
        }
    }

    #[test]
    fn shares_have_the_digits_they_need() {
        assert_eq!([1.0, 0.125, 0.02, 0.0004].map(percent), ["100 %", "12.5 %", "2.00 %", "0.040 %"]);
        assert_eq!(
            [0.0, 1e-6, 2e-7, -0.125, f64::NAN].map(percent),
            ["0.0000 %", "0.0001 %", "< 0.0001 %", "−12.5 %", "–"]
        );
        assert_eq!([1.003, 1.01, 2_632_112_298.67].map(percent), ["100 %", "over 100 %", "over 100 %"]);
        assert_eq!([0.032, -0.004, 0.0, 1.2, 12.0].map(signed), ["+3.2 %", "−0.4 %", "0.0 %", "+120 %", "+1,200 %"]);
        assert_eq!([1.0, 0.05, 0.0005, 1e-9].map(availability), ["0.0 %", "95.0 %", "99.950 %", "100.000000 %"]);
    }

    #[test]
    fn medians_and_ends() {
        assert_eq!(median([3.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(median([1.0, 2.0]), Some(1.5));
        assert_eq!((median([]), extremes([])), (None, None));
        assert_eq!(extremes([2.0, -1.0, 5.0]), Some((-1.0, 5.0)));
    }
}
