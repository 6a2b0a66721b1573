//! What a pending hook waits for, in words.

use crate::{
    cli::text::{away, count, cut, local},
    control::hooks::ShownHook,
};
use mail::{HookId, Timestamp};

/// What keeps a hook from being called.
enum Gate<'h> {
    /// The hook before it in the order of its message.
    Earlier(HookId),
    /// The wait after calls of which the last ended so.
    BackOff(&'h str),
    /// A time that was chosen.
    Scheduled,
    /// Its turn at its URL.
    Due,
}

impl Gate<'_> {
    fn of(hook: &ShownHook, now: Timestamp) -> Gate<'_> {
        match (hook.waits_for, hook.results.last()) {
            (Some(id), _) => Gate::Earlier(id),
            (None, _) if hook.next_attempt <= now => Gate::Due,
            (None, Some(last)) => Gate::BackOff(&last.error),
            (None, None) => Gate::Scheduled,
        }
    }
}

/// In a few words, for a column.
pub(super) fn in_short(hook: &ShownHook, now: Timestamp) -> String {
    match Gate::of(hook, now) {
        Gate::Earlier(id) => format!("hook {id}"),
        Gate::BackOff(error) => format!("back-off: {}", cut(error, 40)),
        Gate::Scheduled => "scheduled".to_owned(),
        Gate::Due => "due".to_owned(),
    }
}

/// In a sentence.
pub(super) fn in_a_sentence(hook: &ShownHook, now: Timestamp) -> String {
    let until = || format!("{} (in {})", local(hook.next_attempt), away(hook.next_attempt.since(now)));
    match Gate::of(hook, now) {
        Gate::Earlier(id) => {
            format!(
                "hook {id}, which tells an earlier event of the same message and is to be done with first"
            )
        }
        Gate::BackOff(error) => format!(
            "it is called again at {}, after {} failed; the last said: {error}",
            until(),
            count(hook.attempts, "call")
        ),
        Gate::Scheduled => format!("it is scheduled for {}", until()),
        Gate::Due => "nothing: it is due".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::hooks::News;
    use mail::MsgId;
    use std::time::Duration;
    use store::records::HookAttempt;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn pending(waits_for: Option<u64>, away: u64, failed: usize) -> ShownHook {
        let call = HookAttempt {
            started: NOW,
            duration_ms: 1,
            url: String::new(),
            success: false,
            status: 503,
            error: "status 503".into(),
            response: String::new(),
        };
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
            attempts: failed,
            next_attempt: NOW.after(Duration::from_secs(away)),
            waits_for: waits_for.map(HookId),
            followed_by: None,
            resent_of: None,
            results: vec![call; failed],
        }
    }

    #[test]
    fn every_reason_to_wait_is_named() {
        for (hook, short, full) in [
            (pending(None, 0, 0), "due", "nothing: it is due"),
            (pending(None, 0, 3), "due", "nothing: it is due"),
            (pending(None, 450, 0), "scheduled", "it is scheduled for "),
            (
                pending(None, 450, 1),
                "back-off: status 503",
                "(in 7m30s), after 1 call failed; the last said: status",
            ),
            (pending(Some(6), 0, 0), "hook 6", "hook 6, which tells an earlier event"),
            (pending(Some(6), 450, 2), "hook 6", "hook 6, which tells an earlier event"),
        ] {
            assert_eq!(in_short(&hook, NOW), short);
            let sentence = in_a_sentence(&hook, NOW);
            assert!(sentence.contains(full), "{sentence}");
        }
    }
}
