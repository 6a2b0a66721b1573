//! What an answer to a webhook call means: pure rules.

use super::{HookAnswer, HookError, RetryAfter};
use crate::{RetrySchedule, pace::Health};
use mail::Timestamp;
use std::time::Duration;
use store::{HookDecision, records::HookAttempt};

/// The longest wait that a `Retry-After` can ask for: beyond that, a slip of the receiver would lose its news.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What happens after a call, the `attempts`th of its hook.
pub(super) fn decide(
    answer: &Result<HookAnswer, HookError>,
    attempts: usize,
    now: Timestamp,
    schedule: &RetrySchedule,
) -> HookDecision {
    let at_least = match answer {
        Ok(answer) if answer.is_success() => return HookDecision::Succeeded,
        Err(error) if error.permanent => return HookDecision::Failed,
        Ok(HookAnswer { status: 429 | 503, retry_after: Some(asked), .. }) => {
            let at = match *asked {
                RetryAfter::Wait(wait) => now.after(wait),
                RetryAfter::Until(at) => at,
            };
            at.min(now.after(RETRY_AFTER_MAX))
        }
        Ok(_) | Err(_) => now,
    };
    match schedule.next(attempts, now) {
        Some(at) => HookDecision::Retry(at.max(at_least)),
        None => HookDecision::Failed,
    }
}

/// What a call tells about its URL: one that does not answer, or not to the end, gets one call at a time until it does,
/// and one that says it has too much to do gets fewer.
pub(super) fn health(answer: &Result<HookAnswer, HookError>) -> Health {
    match answer {
        Ok(HookAnswer { stalled: true, .. }) => Health::Unreachable,
        Ok(HookAnswer { status: 429 | 503, .. }) => Health::Strained,
        Ok(_) => Health::Good,
        Err(error) if error.permanent => Health::Unknown,
        Err(_) => Health::Unreachable,
    }
}

/// A call as history shows it.
pub(super) fn attempt(
    url: &str,
    started: Timestamp,
    took: Duration,
    answer: Result<HookAnswer, HookError>,
) -> HookAttempt {
    let (success, status, error, response) = match answer {
        Ok(answer) if answer.is_success() => (true, answer.status, String::new(), answer.body),
        Ok(answer) => {
            let error = match answer.status {
                300..=399 => {
                    format!("status {}: redirects are not followed; set the final URL", answer.status)
                }
                status => format!("status {status}"),
            };
            (false, answer.status, error, answer.body)
        }
        Err(error) => (false, 0, error.message, String::new()),
    };
    let duration_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
    HookAttempt {
        started,
        duration_ms,
        url: config::shown_url(url).into_owned(),
        success,
        status,
        error,
        response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Pace;
    use tokio::time::Instant;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn answer(status: u16, retry_after: Option<u64>) -> Result<HookAnswer, HookError> {
        asking(status, retry_after.map(|seconds| RetryAfter::Wait(Duration::from_secs(seconds))))
    }

    fn asking(status: u16, retry_after: Option<RetryAfter>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer { status, retry_after, body: String::new(), stalled: false })
    }

    fn stalled(status: u16) -> Result<HookAnswer, HookError> {
        answer(status, None).map(|answer| HookAnswer { stalled: true, ..answer })
    }

    fn until(seconds: u64) -> Option<RetryAfter> {
        Some(RetryAfter::Until(NOW.after(Duration::from_secs(seconds))))
    }

    #[test]
    fn answers_decide_what_happens_next() {
        let schedule = RetrySchedule(vec![Duration::from_secs(60), Duration::from_secs(120)]);
        let retry = |seconds| HookDecision::Retry(NOW.after(Duration::from_secs(seconds)));
        for (answer, attempts, expected) in [
            (answer(200, None), 1, HookDecision::Succeeded),
            (answer(204, None), 3, HookDecision::Succeeded),
            (answer(500, None), 1, retry(60)),
            (answer(500, None), 2, retry(120)),
            (answer(500, None), 3, HookDecision::Failed),
            (answer(301, None), 1, retry(60)),
            (answer(429, Some(300)), 1, retry(300)),
            (answer(503, Some(5)), 1, retry(60)),
            (answer(500, Some(300)), 1, retry(60)),
            (answer(503, Some(2 * 24 * 3600)), 1, retry(2 * 24 * 3600)),
            (answer(503, Some(u64::MAX)), 1, retry(7 * 24 * 3600)),
            (asking(503, until(300)), 1, retry(300)),
            (asking(429, until(5)), 1, retry(60)),
            (asking(429, until(1 << 40)), 1, retry(7 * 24 * 3600)),
            (stalled(200), 1, HookDecision::Succeeded),
            (stalled(500), 1, retry(60)),
            (Err(HookError::temporary("timeout".into())), 1, retry(60)),
            (Err(HookError::permanent("bad URL".into())), 1, HookDecision::Failed),
        ] {
            assert_eq!(decide(&answer, attempts, NOW, &schedule), expected, "{answer:?} {attempts}");
        }
    }

    #[test]
    fn a_url_that_does_not_answer_gets_one_call_at_a_time() {
        for (answer, expected) in [
            (answer(200, None), Health::Good),
            (answer(500, None), Health::Good),
            (stalled(200), Health::Unreachable),
            (stalled(503), Health::Unreachable),
            (answer(429, None), Health::Strained),
            (answer(503, Some(5)), Health::Strained),
            (Err(HookError::permanent("bad URL".into())), Health::Unknown),
            (Err(HookError::temporary("timeout".into())), Health::Unreachable),
        ] {
            assert_eq!(health(&answer), expected, "{answer:?}");
        }
        let mut pace = Pace::new(20, 20);
        pace.learn(health(&Err(HookError::temporary("timeout".into()))), Instant::now());
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn a_redirect_is_an_error_that_says_so() {
        let attempt = attempt("https://hooks.example/", NOW, Duration::from_millis(7), answer(302, None));
        assert_eq!((attempt.success, attempt.status, attempt.duration_ms), (false, 302, 7));
        assert!(attempt.error.contains("redirects are not followed"), "{}", attempt.error);
    }
}
