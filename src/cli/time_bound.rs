//! `<1h`, `>now`, `<2026-11-25T10:00:00Z`: times as filters have them.

use config::Period;
use mail::Timestamp;
use std::{str::FromStr, time::Duration};
use store::TimeRange;

/// A bound on a time, to be understood at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeBound {
    side: Side,
    of: Point,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Less,
    More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    Now,
    /// So far from now.
    Away(Duration),
    At(Timestamp),
}

/// A text that is no [`TimeBound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is bounded by < or > and a duration, \"now\" or an RFC 3339 time, as '<1h', '>now' or \
     '<2026-11-25T10:00:00Z'"
)]
pub(super) struct TimeBoundError;

impl FromStr for TimeBound {
    type Err = TimeBoundError;

    fn from_str(text: &str) -> Result<TimeBound, TimeBoundError> {
        let (side, rest) = match (text.strip_prefix('<'), text.strip_prefix('>')) {
            (Some(rest), _) => (Side::Less, rest.trim()),
            (None, Some(rest)) => (Side::More, rest.trim()),
            (None, None) => return Err(TimeBoundError),
        };
        let of = match rest {
            "now" => Point::Now,
            rest => match rest.parse::<Period>() {
                Ok(Period(away)) => Point::Away(away),
                Err(_) => Point::At(Timestamp::parse_rfc3339(rest).ok_or(TimeBoundError)?),
            },
        };
        Ok(TimeBound { side, of })
    }
}

/// The range of times that lie behind us: a duration is how long ago they are, so `<1h` means within the last hour.
pub(super) fn past(bounds: &[TimeBound], now: Timestamp) -> TimeRange {
    let before = |away: Duration| {
        Timestamp::from_millis(
            now.as_millis().saturating_sub(i64::try_from(away.as_millis()).unwrap_or(i64::MAX)),
        )
    };
    range(bounds.iter().map(|bound| match bound.of {
        Point::Now => (bound.side, now),
        Point::Away(away) => (bound.side.other(), before(away)),
        Point::At(time) => (bound.side, time),
    }))
}

/// The range of times that lie ahead: a duration is how long they are to come, so `<1h` means before an hour has
/// passed.
pub(super) fn ahead(bounds: &[TimeBound], now: Timestamp) -> TimeRange {
    range(bounds.iter().map(|bound| match bound.of {
        Point::Now => (bound.side, now),
        Point::Away(away) => (bound.side, now.after(away)),
        Point::At(time) => (bound.side, time),
    }))
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Less => Side::More,
            Side::More => Side::Less,
        }
    }
}

fn range(bounds: impl Iterator<Item = (Side, Timestamp)>) -> TimeRange {
    bounds.fold(TimeRange::default(), |range, (side, time)| match side {
        Side::Less => TimeRange { before: Some(range.before.map_or(time, |other| other.min(time))), ..range },
        Side::More => TimeRange { after: Some(range.after.map_or(time, |other| other.max(time))), ..range },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_people_write_them() {
        let at = Timestamp::from_millis;
        let now = at(10_000_000);
        let range = |after: Option<i64>, before: Option<i64>| TimeRange {
            after: after.map(at),
            before: before.map(at),
        };
        for (bounds, expected_past, expected_ahead) in [
            (vec![], range(None, None), range(None, None)),
            (vec!["<1h"], range(Some(6_400_000), None), range(None, Some(13_600_000))),
            (vec!["> 1h"], range(None, Some(6_400_000)), range(Some(13_600_000), None)),
            (vec![">now"], range(Some(10_000_000), None), range(Some(10_000_000), None)),
            (vec!["<now"], range(None, Some(10_000_000)), range(None, Some(10_000_000))),
            (vec!["<1970-01-01T00:00:05Z"], range(None, Some(5000)), range(None, Some(5000))),
            (
                vec!["<2h", ">1h"],
                range(Some(2_800_000), Some(6_400_000)),
                range(Some(13_600_000), Some(17_200_000)),
            ),
            (vec!["<2h", "<1h"], range(Some(6_400_000), None), range(None, Some(13_600_000))),
        ] {
            let parsed: Vec<TimeBound> = bounds.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(past(&parsed, now), expected_past, "{bounds:?}");
            assert_eq!(ahead(&parsed, now), expected_ahead, "{bounds:?}");
        }
        for text in ["", "1h", "=1h", "<", "<soon", ">1", "<-1h"] {
            assert_eq!(text.parse::<TimeBound>(), Err(TimeBoundError), "{text}");
        }
    }
}
