//! Results and inputs as text for people, and as numbers with a unit for programs.
//!
//! Start at [`Quantity`]. Times of a second and more have four digits, so that they can be compared with published
//! values. Estimates have three.

use crate::formulas::state::Level;
use crate::{numbers, units};

/// Above this, nanoseconds do not fit into 64 bits.
const CENTURIES: f64 = 1e10;

/// A number with its unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// Seconds.
    Time(f64),
    /// One time per level, seconds.
    Times(Vec<f64>),
    /// Bytes.
    Bytes(f64),
    /// Bytes per second.
    Bandwidth(f64),
    /// Records per second.
    Rate(f64),
    /// Times per second.
    Frequency(f64),
    /// Seconds per byte.
    TimePerByte(f64),
    /// A part of one; more than one if more is spent than there is.
    Share(f64),
    /// A share of the capacity μ, where μ was not given.
    OfCapacity(f64),
    /// Share of the time in which output is late; the rest is the availability.
    Unavailability(f64),
    /// No unit.
    Number(f64),
    /// Levels of storage.
    Levels(Vec<Level>),
}

impl Quantity {
    /// The quantity as text with its unit.
    pub fn text(&self) -> String {
        match self {
            Quantity::Time(seconds) => time(*seconds),
            Quantity::Times(each) => each.iter().map(|seconds| time(*seconds)).collect::<Vec<_>>().join(", "),
            Quantity::Bytes(bytes) => numbers::bytes(*bytes),
            Quantity::Bandwidth(bytes) => format!("{}/s", numbers::bytes(*bytes)),
            Quantity::Rate(rate) if *rate < 100.0 => format!("{}/s", short(*rate)),
            Quantity::Rate(rate) => numbers::rate(*rate),
            Quantity::Frequency(frequency) => often(*frequency),
            Quantity::TimePerByte(seconds) => format!("{}/GB", time(*seconds * 1e9)),
            Quantity::Share(share) => numbers::percent(*share),
            Quantity::OfCapacity(share) => format!("{} of μ", numbers::percent(*share)),
            Quantity::Unavailability(share) => {
                format!("{}, available {}", numbers::percent(*share), numbers::availability(*share))
            }
            Quantity::Number(number) => short(*number),
            Quantity::Levels(levels) => {
                // Rounded to what was written, because 1/(1/7,200) is a little more than two hours.
                let chosen = |seconds: f64| numbers::chosen((seconds * 1e9).round() / 1e9);
                let each = |level: &Level| format!("{}:{}", chosen(1.0 / level.failure_rate), chosen(level.cost));
                levels.iter().map(each).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The unit of the number, for programs.
    pub fn unit(&self) -> &'static str {
        match self {
            Quantity::Time(_) | Quantity::Times(_) | Quantity::Levels(_) => "s",
            Quantity::Bytes(_) => "B",
            Quantity::Bandwidth(_) => "B/s",
            Quantity::Rate(_) => "records/s",
            Quantity::Frequency(_) => "1/s",
            Quantity::TimePerByte(_) => "s/B",
            Quantity::Share(_) | Quantity::Unavailability(_) | Quantity::Number(_) => "1",
            Quantity::OfCapacity(_) => "μ",
        }
    }
}

/// A time in seconds with four digits, below a second with three, rounded: `189.7 s`, `1.204 s`, `12 min 04 s`, `3 h 07 min`.
pub(super) fn time(seconds: f64) -> String {
    if seconds > CENTURIES {
        return "more than 300 years".into();
    }
    // Formatting cuts digits off, so the number is rounded before: 170.26 s is nearer to 170.3 s.
    let step = match seconds {
        s if !s.is_finite() || s < 0.0 => return "–".into(),
        ..0.9995 => return units::duration(numbers::three_digits(seconds)),
        ..9.9995 => 1e-3,
        ..99.995 => 1e-2,
        ..599.95 => 1e-1,
        ..35_999.5 => 1.0,
        _ => 60.0,
    };
    units::duration(((seconds / step).round() * step * 1e9).round() as u64)
}

/// A number with four digits at most, without trailing zeros.
fn short(number: f64) -> String {
    match number {
        n if !n.is_finite() => "–".into(),
        1e-3..=1e15 => {
            let digits = (3.0 - libm::floor(libm::log10(number))).clamp(0.0, 6.0) as usize;
            let text = format!("{number:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        0.0 => "0".into(),
        _ => format!("{number:e}"),
    }
}

/// How often something happens: `20/s`, or `1 in 30.00 s` if it is less than once a second.
fn often(frequency: f64) -> String {
    if frequency > 0.0 && frequency < 1.0 {
        return format!("1 in {}", time(1.0 / frequency));
    }
    format!("{}/s", short(frequency))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_rounded_to_four_digits() {
        let shown = [189.7367, 170.2633, 200.2918, 30.0, 9.99971, 599.96, 724.6, 1.2044, 0.0132, 2e-9, 0.0].map(time);
        let told = [
            "189.7 s",
            "170.3 s",
            "200.3 s",
            "30.00 s",
            "10.00 s",
            "10 min 00 s",
            "12 min 05 s",
            "1.204 s",
            "13.2 ms",
            "2 ns",
            "0 s",
        ];
        assert_eq!(shown, told.map(str::to_owned));
        assert_eq!((time(1e300), time(f64::NAN)), ("more than 300 years".into(), "–".into()));
    }

    #[test]
    fn every_kind_has_its_unit() {
        let levels = vec![Level { failure_rate: 1.0 / 600.0, cost: 3.0 }];
        let shown = [
            (Quantity::Times(vec![60.0, 720.0]), "60.00 s, 12 min 00 s"),
            (Quantity::Bytes(1.5e9), "1.5 GB"),
            (Quantity::Bandwidth(125e6), "125 MB/s"),
            (Quantity::Rate(2_000.0), "2 k/s"),
            (Quantity::Rate(0.5), "0.5/s"),
            (Quantity::Frequency(1.0 / 30.0), "1 in 30.00 s"),
            (Quantity::Frequency(20.0), "20/s"),
            (Quantity::TimePerByte(5e-9), "5.000 s/GB"),
            (Quantity::Share(0.2), "20.0 %"),
            (Quantity::OfCapacity(0.9), "90.0 % of μ"),
            (Quantity::Unavailability(0.05), "5.00 %, available 95.0 %"),
            (Quantity::Number(0.7), "0.7"),
            (Quantity::Number(1.0), "1"),
            (Quantity::Levels(levels), "10 min:3 s"),
        ];
        for (quantity, text) in shown {
            assert_eq!(quantity.text(), text);
        }
    }

    proptest! {
        #[test]
        fn every_number_has_a_text(number in any::<f64>()) {
            for quantity in [Quantity::Time(number), Quantity::Rate(number), Quantity::Number(number),
                Quantity::Frequency(number), Quantity::Unavailability(number), Quantity::TimePerByte(number)]
            {
                prop_assert!(!quantity.text().is_empty());
            }
        }
    }
}
