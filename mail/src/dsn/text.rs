//! What a report tells people.

use super::{DsnAction, DsnReason, DsnRecipient, DsnReport, one_line};
use std::fmt::Write as _;

pub(super) fn subject(report: &DsnReport<'_>) -> String {
    let what = match report.action {
        DsnAction::Failed => "Not delivered",
        DsnAction::Delayed { .. } => "Delayed",
        DsnAction::Relayed => "Relayed",
    };
    match one_line(report.subject) {
        subject if subject.is_empty() => format!("{what}: your message"),
        subject => format!("{what}: {subject}"),
    }
}

pub(super) fn for_people(report: &DsnReport<'_>) -> String {
    let mut out = String::with_capacity(1_024);
    write_all(&mut out, report).expect("writing to a String does not fail");
    out
}

fn write_all(out: &mut String, report: &DsnReport<'_>) -> std::fmt::Result {
    writeln!(
        out,
        "This is the mail server at {}, about a message of yours.",
        report.reporting_mta.to_unicode()
    )?;
    writeln!(out)?;
    writeln!(out, "{}", outlook(&report.action))?;
    for recipient in &report.recipients {
        write_recipient(out, recipient)?;
    }
    if let DsnAction::Delayed { next_attempt, later_attempts } = &report.action {
        writeln!(out, "\nIt will be tried again at about these times:\n")?;
        for at in std::iter::once(next_attempt).chain(later_attempts) {
            writeln!(out, "    {}", at.to_rfc5322())?;
        }
        writeln!(out, "\nIf the last of these attempts fails too, the message is given up.")?;
    }
    writeln!(out, "\nThe message:\n")?;
    writeln!(out, "    Subject: {}", one_line(report.subject))?;
    writeln!(out, "    Message-ID: {}", one_line(report.original_id))?;
    writeln!(out, "    Taken over from you: {}", report.arrival.to_rfc5322())
}

fn outlook(action: &DsnAction) -> &'static str {
    match action {
        DsnAction::Failed => "It could not be delivered to the recipient below, and will not be tried again.",
        DsnAction::Delayed { .. } => {
            "It could not be delivered yet to the recipient below. You need not do anything: the server goes\non trying."
        }
        DsnAction::Relayed => {
            "It was handed over to a server that does not report what becomes of it at the recipient below."
        }
    }
}

fn write_recipient(out: &mut String, recipient: &DsnRecipient<'_>) -> std::fmt::Result {
    writeln!(out, "\n    {}\n", recipient.address)?;
    match recipient.reason {
        DsnReason::Answer { code, enhanced, text } => {
            let host = recipient.remote_mta.map(one_line).unwrap_or_else(|| "the receiving server".into());
            let enhanced = enhanced.map(|code| format!(" {code}")).unwrap_or_default();
            writeln!(out, "The answer of {host}:\n\n    {code}{enhanced} {}", one_line(text))?;
        }
        DsnReason::Error(error) => writeln!(out, "What happened:\n\n    {}", one_line(error))?,
        DsnReason::Operator => writeln!(out, "The operator of the server gave it up.")?,
    }
    if let Some(last) = recipient.last_attempt {
        let last = last.to_rfc5322();
        match recipient.attempts {
            0 | 1 => writeln!(out, "\nIt was tried once, at {last}.")?,
            attempts => writeln!(out, "\nIt was tried {attempts} times, the last time at {last}.")?,
        }
    }
    Ok(())
}
