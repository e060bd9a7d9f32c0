//! Estimates as people read them: three digits and a unit. Measured times are exact elsewhere; an optimum is not.
//!
//! Start at [`seconds`]. All take `f64`; what is no number prints as `–`.

use crate::units;

/// A time in seconds: `13.2 ms`, `1.20 s`, `12.4 s`, `124 s`, `12 min 04 s`, `3 h 07 min`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => "–".into(),
        ..1.0 => units::duration((seconds * 1e9 + 0.5) as u64),
        ..9.995 => format!("{seconds:.2} s"),
        ..99.95 => format!("{seconds:.1} s"),
        ..599.5 => format!("{seconds:.0} s"),
        ..7_199.5 => units::duration((seconds + 0.5) as u64 * units::SECOND),
        _ => {
            let minutes = (seconds / 60.0 + 0.5) as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

/// From one time to another, the unit once where it is the same: `11.2 – 13.9 s`.
pub(super) fn range(from: f64, to: f64) -> String {
    let (from, to) = (seconds(from), seconds(to));
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} – {to}"),
        _ => format!("{from} – {to}"),
    }
}

/// A round time that somebody chose, seconds: `1 d`, `90 min`, `20 s`, `1.5 s`.
pub(super) fn chosen(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    match units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0.0) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None if seconds < 1.0 => units::duration((seconds * 1e9 + 0.5) as u64),
        None => format!("{} s", (seconds * 1e3).round() / 1e3),
    }
}

/// A share in percent with three digits: `12.5 %`, `0.400 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        p if !p.is_finite() => "–".into(),
        99.95.. => format!("{percent:.0} %"),
        9.995.. => format!("{percent:.1} %"),
        0.9995.. => format!("{percent:.2} %"),
        0.01.. => format!("{percent:.3} %"),
        _ => format!("{percent:.4} %"),
    }
}

/// A difference as a share, always signed: `+3.2 %`, `−0.4 %`, `0.0 %`.
pub(super) fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let sign = if percent > 0.0 { "+" } else { "−" };
    match percent.abs() {
        p if !p.is_finite() => "–".into(),
        ..0.05 => "0.0 %".into(),
        p @ 99.95.. => format!("{sign}{} %", units::count((p + 0.5) as u64)),
        p => format!("{sign}{p:.1} %"),
    }
}

/// How often the measured value a formula gives: `1.02`, `0.0031`.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "–".into(),
        ..0.0995 => format!("{ratio:.3}"),
        ..99.5 => format!("{ratio:.2}"),
        _ => units::count((ratio + 0.5) as u64),
    }
}

/// `1 − unavailability` in percent, with as many digits as it takes to tell it from 100 %.
pub(super) fn availability(unavailability: f64) -> String {
    let digits = (-libm::log10((unavailability * 100.0).max(1e-5))).ceil() as i32 + 1;
    format!("{:.*} %", digits.clamp(1, 6) as usize, 100.0 - unavailability * 100.0)
}

/// Bytes that are an estimate: as `1 MB` where somebody asked for round ones, else in binary units.
pub(super) fn bytes(bytes: f64) -> String {
    let bytes = (bytes + 0.5) as u64;
    let unit = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")].into_iter().find(|(unit, _)| bytes >= *unit);
    match unit.filter(|(unit, _)| bytes.is_multiple_of(unit / 10)) {
        Some((unit, name)) => format!("{} {name}", bytes as f64 / unit as f64),
        None => units::bytes(bytes),
    }
}

/// A rate as records per second.
pub(super) fn rate(rate: f64) -> String {
    format!("{}/s", units::count((rate + 0.5) as u64))
}

/// Median of finite values; `None` of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Smallest and largest of finite values; `None` of nothing.
pub(super) fn extremes(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
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
        let shown = [0.0132, 0.412, 1.2, 9.996, 12.44, 124.4, 724.0, 11_220.0].map(seconds);
        assert_eq!(
            shown,
            ["13.2 ms", "412 ms", "1.20 s", "10.0 s", "12.4 s", "124 s", "12 min 04 s", "3 h 07 min"]
                .map(str::to_owned)
        );
        assert_eq!(seconds(f64::NAN), "–");
        assert_eq!(range(11.2, 13.9), "11.2 – 13.9 s");
        assert_eq!(range(0.5, 1.5), "500 ms – 1.50 s");
        assert_eq!([86_400.0, 5_400.0, 20.0, 1.5, 0.5].map(chosen), ["1 d", "90 min", "20 s", "1.5 s", "500 ms"]);
    }

    #[test]
    fn bytes_are_shown_in_the_units_that_they_were_asked_for_in() {
        let shown = [1e6, 1.5e9, 10e9, 1_048_576.0, 1_173_200.0, 64.0, 2_000.0].map(bytes);
        assert_eq!(shown, ["1 MB", "1.5 GB", "10 GB", "1 MiB", "1.11 MiB", "64 B", "2 kB"].map(str::to_owned));
    }

    #[test]
    fn shares_have_the_digits_they_need() {
        assert_eq!([1.0, 0.125, 0.02, 0.0004].map(percent), ["100 %", "12.5 %", "2.00 %", "0.040 %"]);
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
