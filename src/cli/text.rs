//! Times, durations, sizes and texts for people.

use jiff::tz::TimeZone;
use mail::Timestamp;
use std::{fmt::Write, time::Duration};

/// A time where this runs: `2026-11-25 10:00:00`.
pub(super) fn local(time: Timestamp) -> String {
    in_zone(time, TimeZone::system())
}

fn in_zone(time: Timestamp, zone: TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(time) => time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A duration to the two largest of its units: `2h5m`.
pub(super) fn away(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// A number of octets: `4.2 KiB`.
pub(super) fn size(octets: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if octets < 1024 {
        return format!("{octets} B");
    }
    let mut scaled = octets as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while scaled >= 1023.95
        && let Some(next) = units.next()
    {
        scaled /= 1024.0;
        unit = Some(next);
    }
    format!("{scaled:.1} {}", unit.copied().unwrap_or_default())
}

/// MAIL FROM, as it stands in a table.
pub(super) fn sender(mail_from: &str) -> String {
    if mail_from.is_empty() { "<>".to_owned() } else { mail_from.to_owned() }
}

/// Shows what could move a terminal's cursor escaped: much of this comes from outside.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A number of things: `1 call`, `2 calls`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The start of a text, with dots where it goes on.
pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// Lines with names of one width.
pub(super) fn named_lines(lines: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<13} {}", harmless(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        for (octets, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (4300, "4.2 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(octets), expected);
        }
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (450, "7m30s"), (7500, "2h5m"), (90_000, "1d1h"), (864_000, "10d0h")]
        {
            assert_eq!(away(Duration::from_secs(seconds)), expected);
        }
        let time = Timestamp::from_millis(1_800_000_000_500);
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(in_zone(time, zone), "2027-01-15 10:00:00");
    }
}
