//! A point in time as every node of a cluster states it: whole nanoseconds, never a float.
//!
//! In simulation the time counts from the start of the run (virtual time); in the real world from the Unix epoch, so
//! that processes of one machine agree on it. Only differences and order matter to the engine.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds on the clock of the world the engine runs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// Before everything.
    pub const ZERO: Time = Time(0);
    /// After everything: a timer that never fires.
    pub const NEVER: Time = Time(u64::MAX);

    /// The time since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, cut at `u64::MAX` (584 years).
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(nanos(rhs)))
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, rhs: Time) -> Duration {
        self.since(rhs)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

/// Serde for durations: `"2s 500ms"` in formats that people read (JSON), nanoseconds in binary formats. Exact in both.
pub mod readable {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a duration.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&humantime::format_duration(*duration))
        } else {
            serializer.serialize_u64(super::nanos(*duration))
        }
    }

    /// Reads what [`serialize`] writes; in text also every other form that `humantime` parses.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            humantime::parse_duration(&text).map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Duration::from_nanos)
        }
    }

    /// The same for a duration that may be absent.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Readable(#[serde(with = "super")] Duration);

        /// Writes a duration or nothing.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(Readable).serialize(serializer)
        }

        /// Reads what [`serialize`] writes.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Readable>::deserialize(deserializer)?.map(|readable| readable.0))
        }
    }

    /// The same for a range: two durations.
    pub mod range {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Readable(#[serde(with = "super")] Duration, #[serde(with = "super")] Duration);

        /// Writes both ends.
        pub fn serialize<S: Serializer>(range: &(Duration, Duration), serializer: S) -> Result<S::Ok, S::Error> {
            Readable(range.0, range.1).serialize(serializer)
        }

        /// Reads what [`serialize`] writes.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(Duration, Duration), D::Error> {
            Readable::deserialize(deserializer).map(|Readable(low, high)| (low, high))
        }
    }

    /// The same for a range that may be absent.
    pub mod option_range {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Readable(#[serde(with = "super")] Duration, #[serde(with = "super")] Duration);

        /// Writes both ends or nothing.
        pub fn serialize<S: Serializer>(
            range: &Option<(Duration, Duration)>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            range.map(|(low, high)| Readable(low, high)).serialize(serializer)
        }

        /// Reads what [`serialize`] writes.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<(Duration, Duration)>, D::Error> {
            Ok(Option::<Readable>::deserialize(deserializer)?.map(|Readable(low, high)| (low, high)))
        }
    }
}
