//! Why a hook waits: a pure rule over the hook, the time, and what the webhook actor is doing.

use mail::{HookId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use store::records::HookRecord;

/// What a pending hook waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "gate")]
pub enum HookGate {
    /// The hook about an earlier event of its message is to be done with first.
    Earlier {
        /// That hook.
        hook: HookId,
    },
    /// The time after a call that failed.
    BackOff {
        /// That time.
        until: Timestamp,
        /// Calls made.
        attempts: usize,
        /// What came of the last one.
        error: String,
    },
    /// The time that an operator chose.
    Scheduled {
        /// That time.
        until: Timestamp,
    },
    /// The end of its call: it has its turn.
    UnderWay,
    /// As many calls to its URL are under way as it gets now.
    Busy {
        /// So many.
        running: usize,
        /// Of so many.
        concurrency: usize,
    },
    /// Nothing: it is due.
    Due,
}

/// What the webhook actor is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub struct WebhookSnapshot {
    /// The URLs that are called now, by their group of the due index.
    pub urls: HashMap<String, UrlCalls>,
}

/// Calls to one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlCalls {
    /// Those that have their turn.
    pub under_way: HashSet<HookId>,
    /// Calls allowed at the same time now.
    pub concurrency: usize,
}

impl HookGate {
    /// The gate of a pending hook at `now`. `snapshot` is what the webhook actor is doing, when somebody could say.
    pub fn of(id: HookId, hook: &HookRecord, now: Timestamp, snapshot: Option<&WebhookSnapshot>) -> HookGate {
        let calls = snapshot.and_then(|snapshot| snapshot.urls.get(store::due_group(&hook.url)));
        if calls.is_some_and(|calls| calls.under_way.contains(&id)) {
            return HookGate::UnderWay;
        }
        if let Some(hook) = hook.waits_for {
            return HookGate::Earlier { hook };
        }
        let until = hook.next_attempt;
        match (until > now, hook.attempts.last(), calls) {
            (true, Some(last), _) => {
                HookGate::BackOff { until, attempts: hook.attempts.len(), error: last.error.clone() }
            }
            (true, None, _) => HookGate::Scheduled { until },
            (false, _, Some(UrlCalls { under_way, concurrency })) if under_way.len() >= *concurrency => {
                HookGate::Busy { running: under_way.len(), concurrency: *concurrency }
            }
            (false, _, _) => HookGate::Due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::AccountId;
    use std::time::Duration;
    use store::records::{EventKind, EventRecord, HookAttempt, HookSubject, LoggedEvent};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const URL: &str = "https://hooks.example/";

    fn at(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn hook() -> HookRecord {
        let event = EventRecord {
            time: NOW,
            kind: EventKind::Delivered,
            queue_id: mail::QueueId(1),
            from_id: None,
            message_id: String::new(),
            recipient: "friend@remote.example".parse().unwrap(),
            attempt: 1,
            code: 250,
            enhanced: None,
            error: String::new(),
            suppressing: false,
            dsn: false,
        };
        let told = LoggedEvent { event, subject: String::new(), extra: Default::default() };
        HookRecord::new(AccountId(1), URL.into(), None, HookSubject::Outgoing(told), NOW)
    }

    fn tried() -> HookRecord {
        let call = HookAttempt {
            started: NOW,
            duration_ms: 1,
            url: URL.into(),
            success: false,
            status: 503,
            error: "status 503".into(),
            response: String::new(),
        };
        HookRecord { attempts: vec![call], next_attempt: at(450), ..hook() }
    }

    fn calling(url: &str, ids: &[u64], concurrency: usize) -> WebhookSnapshot {
        let calls = UrlCalls { under_way: ids.iter().copied().map(HookId).collect(), concurrency };
        WebhookSnapshot { urls: [(store::due_group(url).to_owned(), calls)].into() }
    }

    #[test]
    fn a_hook_says_what_it_waits_for() {
        let behind = || HookRecord { waits_for: Some(HookId(6)), ..hook() };
        let scheduled = HookRecord { next_attempt: at(60), ..hook() };
        let back_off = HookGate::BackOff { until: at(450), attempts: 1, error: "status 503".into() };
        for (hook, snapshot, expected) in [
            (hook(), None, HookGate::Due),
            (hook(), Some(WebhookSnapshot::default()), HookGate::Due),
            (hook(), Some(calling(URL, &[1], 2)), HookGate::Due),
            (hook(), Some(calling("https://other.example/", &[1], 1)), HookGate::Due),
            (hook(), Some(calling(URL, &[1, 2], 2)), HookGate::Busy { running: 2, concurrency: 2 }),
            (hook(), Some(calling(URL, &[7], 1)), HookGate::UnderWay),
            (behind(), Some(calling(URL, &[6], 1)), HookGate::Earlier { hook: HookId(6) }),
            (scheduled.clone(), Some(calling(URL, &[1], 1)), HookGate::Scheduled { until: at(60) }),
            (scheduled, Some(calling(URL, &[7], 1)), HookGate::UnderWay),
            (tried(), None, back_off),
            (HookRecord { next_attempt: NOW, ..tried() }, None, HookGate::Due),
        ] {
            assert_eq!(HookGate::of(HookId(7), &hook, NOW, snapshot.as_ref()), expected, "{hook:?}");
        }
    }
}
