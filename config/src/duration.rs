//! Durations as people write them.

use serde::{Deserialize, Deserializer, de};
use std::{fmt, str::FromStr, time::Duration};

/// A duration as written in settings: numbers with the units `d`, `h`, `m`, `s`, `ms`, largest first and each at most
/// once, as `7m30s`; or `0`. At most 3650 days, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A text that is no [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a duration is written as \"500ms\", \"30s\", \"7m30s\", \"16h\" or \"30d\", at most \"3650d\"")]
pub struct InvalidPeriod;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const MAX_MILLIS: u64 = 3650 * 86_400_000;

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Period, InvalidPeriod> {
        if text == "0" {
            return Ok(Period(Duration::ZERO));
        }
        let mut units = UNITS.iter();
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidPeriod)?;
            let (number, tail) = rest.split_at(digits);
            let unit = &tail[..tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len())];
            // Going on from the last unit found makes the order strict.
            let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(InvalidPeriod)?;
            let part =
                number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor)).ok_or(InvalidPeriod)?;
            millis = millis.checked_add(part).filter(|sum| *sum <= MAX_MILLIS).ok_or(InvalidPeriod)?;
            rest = &tail[unit.len()..];
        }
        Ok(Period(Duration::from_millis(millis)))
    }
}

/// As it is parsed; `0s` for none.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in UNITS {
            let count = rest / u128::from(factor);
            rest %= u128::from(factor);
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("7m30s", 450_000),
            ("16h", 57_600_000),
            ("30d", 2_592_000_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90m", 5_400_000),
            ("3650d", MAX_MILLIS),
        ] {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let no = [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            " 5s",
            "1.5h",
            "30s7m",
            "1h1h",
            "5w",
            "5ms3s",
            "3651d",
            "5s5",
            "1h 5m",
            "५s",
            "99999999999999999999s",
            "18446744073709551615d",
            "5S",
        ];
        for text in no {
            assert_eq!(text.parse::<Period>(), Err(InvalidPeriod), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_what_it_wrote(millis in 0..=MAX_MILLIS) {
            let period = Period(Duration::from_millis(millis));
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn no_text_makes_the_duration_parser_panic(text in ".{0,20}|[0-9dhms]{0,12}") {
            let _ = text.parse::<Period>();
        }
    }
}
