//! Hooks in words: what they tell, and their calls.

use crate::{
    cli::text::{harmless, local, named_lines, sender, size},
    control::hooks::{News, ShownHook},
};
use std::fmt::Write;
use store::records::HookAttempt;

/// What a hook tells, in a word.
pub(super) fn news(news: &News) -> &str {
    match news {
        News::Outgoing { event, .. } => event,
        News::Incoming { .. } => "incoming",
    }
}

/// The lines about a hook, each with its name.
pub(super) fn hook_lines(hook: &ShownHook) -> Vec<(&'static str, String)> {
    let mut lines =
        vec![("hook", hook.id.to_string()), ("account", hook.account.clone()), ("url", hook.url.clone())];
    match &hook.news {
        News::Outgoing { event, queue_id, message_id, subject, code, enhanced_code, error } => {
            lines.push(("kind", "outgoing".to_owned()));
            lines.push(("event", event.clone()));
            let answer: Vec<_> = [&*code.to_string(), enhanced_code, error]
                .into_iter()
                .filter(|part| !matches!(*part, "" | "0"))
                .map(str::to_owned)
                .collect();
            if !answer.is_empty() {
                lines.push(("answer", answer.join(" ")));
            }
            lines.push(("recipient", hook.recipient.clone()));
            lines.push(("message", queue_id.to_string()));
            lines.push(("message-id", message_id.clone()));
            lines.push(("subject", subject.clone()));
        }
        News::Incoming { msg_id, mailbox, mail_from, size: octets } => {
            lines.push(("kind", "incoming".to_owned()));
            lines.push(("message", format!("{msg_id} in {mailbox}, {}", size(*octets))));
            lines.push(("from", sender(mail_from)));
            lines.push(("recipient", hook.recipient.clone()));
        }
    }
    lines.push(("queued", local(hook.queued)));
    lines.extend(hook.resent_of.map(|id| ("tells again", format!("hook {id}"))));
    lines
}

/// Lines with names of one width, then the calls.
pub(super) fn in_full(lines: &[(&'static str, String)], hook: &ShownHook) -> String {
    let mut text = named_lines(lines);
    for (number, call) in (1..).zip(&hook.results) {
        let _ = writeln!(
            text,
            "\nattempt {number}     {}",
            harmless(&format!("{}, {} ms, {}", local(call.started), call.duration_ms, call.url))
        );
        let _ = writeln!(text, "              {}", harmless(&result(call)));
        if !call.response.is_empty() {
            let _ = writeln!(text, "              answer: {}", harmless(&call.response));
        }
    }
    text
}

/// What came of a call, without the answer's body.
pub(super) fn result(call: &HookAttempt) -> String {
    match call.success {
        true => format!("succeeded: status {}", call.status),
        false => format!("failed: {}", call.error),
    }
}
