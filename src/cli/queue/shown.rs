//! Messages in words: what they are, their attempts, and what came back.

use crate::{
    cli::text::{harmless, local, named_lines, sender, size},
    control::queue::{ShownAttempt, ShownMessage, ShownReturn, ShownRule},
};
use std::fmt::Write;
use store::records::TlsVerified;

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
    let mut text = named_lines(lines);
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
