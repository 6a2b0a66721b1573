//! What a pending hook waits for, in words.

use crate::{
    cli::text::{away, count, cut, local},
    control::hooks::ShownHook,
};
use actors::HookGate;
use mail::Timestamp;

/// In a few words, for a column.
pub(super) fn in_short(hook: &ShownHook) -> String {
    match hook.waits_for.as_ref() {
        None => String::new(),
        Some(HookGate::Earlier { hook }) => format!("hook {hook}"),
        Some(HookGate::BackOff { error, .. }) => format!("back-off: {}", cut(error, 40)),
        Some(HookGate::Scheduled { .. }) => "scheduled".to_owned(),
        Some(HookGate::UnderWay) => "under way".to_owned(),
        Some(HookGate::Busy { running, concurrency }) => {
            format!("its turn: {running} of {concurrency} calls to its URL under way")
        }
        Some(HookGate::Due) => "due".to_owned(),
    }
}

/// In a sentence.
pub(super) fn in_a_sentence(hook: &ShownHook, now: Timestamp) -> String {
    let until = |time: &Timestamp| format!("{} (in {})", local(*time), away(time.since(now)));
    match hook.waits_for.as_ref() {
        None => "nothing: it is done with".to_owned(),
        Some(HookGate::Earlier { hook }) => {
            format!(
                "hook {hook}, which tells an earlier event of the same message and is to be done with first"
            )
        }
        Some(HookGate::BackOff { until: time, attempts, error }) => format!(
            "it is called again at {}, after {} failed; the last said: {error}",
            until(time),
            count(*attempts, "call")
        ),
        Some(HookGate::Scheduled { until: time }) => format!("it is scheduled for {}", until(time)),
        Some(HookGate::UnderWay) => "nothing: its call is under way".to_owned(),
        Some(HookGate::Busy { running, concurrency }) => format!(
            "its turn: its URL gets {} at a time now, and {running} are under way",
            count(*concurrency, "call")
        ),
        Some(HookGate::Due) => "nothing: it is due".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::hooks::News;
    use mail::{HookId, MsgId};
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn pending(gate: HookGate) -> ShownHook {
        ShownHook {
            id: HookId(7),
            account: "app".into(),
            url: "https://hooks.example/".into(),
            recipient: "app@example.com".into(),
            news: News::Incoming {
                msg_id: MsgId(1),
                mailbox: "Inbox".into(),
                mail_from: String::new(),
                size: 1,
            },
            queued: NOW,
            attempts: 0,
            next_attempt: NOW,
            waits_for: Some(gate),
            followed_by: None,
            resent_of: None,
            results: Vec::new(),
        }
    }

    #[test]
    fn every_reason_to_wait_is_named() {
        let until = NOW.after(Duration::from_secs(450));
        for (gate, short, full) in [
            (HookGate::Due, "due", "nothing: it is due"),
            (HookGate::UnderWay, "under way", "its call is under way"),
            (
                HookGate::Busy { running: 1, concurrency: 1 },
                "its turn: 1 of 1 calls to its URL under way",
                "its URL gets 1 call at a time now",
            ),
            (HookGate::Scheduled { until }, "scheduled", "it is scheduled for "),
            (
                HookGate::BackOff { until, attempts: 1, error: "status 503".into() },
                "back-off: status 503",
                "(in 7m30s), after 1 call failed; the last said: status",
            ),
            (HookGate::Earlier { hook: HookId(6) }, "hook 6", "hook 6, which tells an earlier event"),
        ] {
            let hook = pending(gate);
            assert_eq!(in_short(&hook), short);
            let sentence = in_a_sentence(&hook, NOW);
            assert!(sentence.contains(full), "{sentence}");
        }
    }
}
