//! Messages in words: times of this place, sizes, attempts.

use crate::control::queue::{ShownAttempt, ShownMessage, ShownReturn, ShownRule};
use jiff::tz::TimeZone;
use mail::Timestamp;
use std::{fmt::Write, time::Duration};
use store::records::TlsVerified;

/// A time where this runs: `2026-11-25 10:00:00`.
pub(in crate::cli) fn local(time: Timestamp) -> String {
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

/// What a rule names: `account app, to remote.example`.
pub(super) fn rule_fields(rule: &ShownRule) -> String {
    let named = [("account", &rule.account), ("from", &rule.sender_domain), ("to", &rule.recipient_domain)];
    let fields: Vec<_> = named
        .iter()
        .filter_map(|(word, value)| value.as_ref().map(|value| format!("{word} {value}")))
        .collect();
    if fields.is_empty() { "everything".to_owned() } else { fields.join(", ") }
}

/// The lines about a message, each with its name; attempts follow.
pub(super) fn message_lines(message: &ShownMessage) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("message", message.id.to_string()),
        ("account", message.account.clone()),
        ("from", sender(&message.mail_from)),
        ("to", message.recipient.clone()),
        ("subject", message.subject.clone()),
        ("message-id", message.message_id.clone()),
        ("size", size(message.size)),
        ("queued", local(message.queued)),
        ("next attempt", local(message.next_attempt)),
        ("destination", message.destination.clone()),
    ];
    lines.extend(message.from_id.as_ref().map(|id| ("from-id", id.clone())));
    lines.extend(message.transport.as_ref().map(|name| ("transport", name.clone())));
    lines.extend(message.require_tls.map(|on| ("require TLS", if on { "yes" } else { "no" }.to_owned())));
    lines.extend(message.future_release.map(|time| ("release", local(time))));
    let marks = [(message.eight_bit, "8bit"), (message.smtputf8, "SMTPUTF8")];
    let marks: Vec<_> = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect();
    if !marks.is_empty() {
        lines.push(("needs", marks.join(", ")));
    }
    lines.extend(message.extra.iter().map(|(key, value)| ("extra", format!("{key}: {value}"))));
    lines
}

/// Lines with names of one width, then the attempts.
pub(super) fn in_full(lines: &[(&'static str, String)], message: &ShownMessage) -> String {
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<13} {}", harmless(value));
    }
    for (number, attempt) in (1..).zip(&message.results) {
        let _ = writeln!(text, "\nattempt {number}     {}", harmless(&attempt_line(attempt)));
        let _ = writeln!(text, "              {}", harmless(&attempt_result(attempt)));
    }
    for returned in &message.returns {
        let _ = writeln!(text, "\ncame back     {}", harmless(&return_line(returned)));
    }
    text
}

fn return_line(returned: &ShownReturn) -> String {
    let mut line = format!("{}, {}", local(returned.received), returned.event);
    if returned.code > 0 {
        let _ = write!(line, ", {}", returned.code);
    }
    for part in [&returned.enhanced_code, &returned.text] {
        if !part.is_empty() {
            let _ = write!(line, " {part}");
        }
    }
    if returned.suppressing {
        line.push_str("; the recipient was put on the suppression list");
    }
    line
}

fn attempt_line(attempt: &ShownAttempt) -> String {
    let mut line = format!("{}, {} ms", local(attempt.started), attempt.duration_ms);
    if attempt.connect_ms > 0 {
        let _ = write!(line, " ({} ms to connect)", attempt.connect_ms);
    }
    match (&*attempt.host, attempt.address) {
        ("", None) => {}
        (host, None) => _ = write!(line, ", {host}"),
        (host, Some(address)) => _ = write!(line, ", {host} [{address}]"),
    }
    match &attempt.tls {
        Some(tls) => {
            let verified = match tls.verified {
                TlsVerified::No => "not verified",
                TlsVerified::Dane => "verified by DANE",
                TlsVerified::WebPki => "verified",
            };
            let _ = write!(line, ", {} {}, {verified}", tls.version, tls.cipher);
        }
        None if attempt.host.is_empty() => {}
        None => line.push_str(", no TLS"),
    }
    if let Some(policy) = attempt.tls_policy {
        let _ = write!(line, ", policy {}", policy.name());
    }
    line
}

fn attempt_result(attempt: &ShownAttempt) -> String {
    let code = if attempt.code > 0 { format!("{} ", attempt.code) } else { String::new() };
    let enhanced =
        if attempt.enhanced_code.is_empty() { String::new() } else { format!("{} ", attempt.enhanced_code) };
    format!("{}: {code}{enhanced}{}", if attempt.success { "delivered" } else { "failed" }, attempt.text)
}

/// Shows what could move a terminal's cursor escaped: much of this comes from outside.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
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
