//! Points in time, as milliseconds since the Unix epoch.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, time::Duration};

/// A point in wall-clock time with millisecond precision.
///
/// Serialised as `Display` writes it where people read it, else as the number of milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time that can be written as RFC 3339 with a four-digit year.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time that lies `duration` later; stops at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis)).min(Timestamp::MAX)
    }

    /// How much later this is than `earlier`; zero when it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As in mail headers (RFC 5322, 3.3), in UTC: `Sat, 22 Nov 2025 10:00:00 +0000`.
    pub fn to_rfc5322(self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
        // It fails for years before 0 only.
        jiff::fmt::rfc2822::DateTimePrinter::new().zoned_to_string(&zoned).unwrap_or_default()
    }

    /// Reads an RFC 3339 time with any zone; precision below a millisecond is dropped.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Timestamp(t.as_millisecond()))
    }
}

/// RFC 3339 in UTC, as `2026-11-22T10:00:00.5Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Timestamp);
        }
        let text = String::deserialize(deserializer)?;
        let far =
            text.strip_prefix('@').and_then(|rest| rest.strip_suffix("ms")?.parse().ok().map(Timestamp));
        far.or_else(|| Timestamp::parse_rfc3339(&text)).ok_or_else(|| de::Error::custom("no RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_text_for_people_and_a_number_in_the_store() {
        let time = Timestamp::from_millis(1_763_805_600_500);
        assert_eq!(serde_json::to_string(&time).unwrap(), r#""2025-11-22T10:00:00.5Z""#);
        for time in [time, Timestamp::default(), Timestamp::MAX, Timestamp::from_millis(i64::MIN)] {
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time, "{text}");
            let stored = postcard::to_stdvec(&time).unwrap();
            assert_eq!(stored, postcard::to_stdvec(&time.as_millis()).unwrap());
            assert_eq!(postcard::from_bytes::<Timestamp>(&stored).unwrap(), time);
        }
        assert!(serde_json::from_str::<Timestamp>("\"soon\"").is_err());
    }

    #[test]
    fn a_time_reads_back_what_it_wrote() {
        let time = Timestamp::from_millis(1_763_805_600_500);
        assert_eq!(time.to_string(), "2025-11-22T10:00:00.5Z");
        assert_eq!(time.to_rfc5322(), "Sat, 22 Nov 2025 10:00:00 +0000");
        assert_eq!(Timestamp::parse_rfc3339("2025-11-22T11:00:00.5+01:00"), Some(time));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn arithmetic_stays_within_bounds() {
        let time = Timestamp::from_millis(1000);
        assert_eq!(time.after(Duration::from_secs(2)).since(time), Duration::from_secs(2));
        assert_eq!(time.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(time.after(Duration::MAX), Timestamp::MAX);
    }
}
