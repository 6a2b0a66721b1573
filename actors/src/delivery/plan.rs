//! What an attempt's result means for a message: pure rules.

use mail::{Timestamp, Verdict};
use std::time::Duration;
use store::{
    Decision, Suppress,
    records::{AttemptResult, SmtpAnswer},
};

/// The waits between attempts; the list's end is the message's.
#[derive(Clone, Debug)]
pub struct RetrySchedule(pub Vec<Duration>);

impl RetrySchedule {
    /// When the next attempt is due after `attempts` were made, the last of them ending at `now`.
    pub fn next(&self, attempts: usize, now: Timestamp) -> Option<Timestamp> {
        self.0.get(attempts.checked_sub(1)?).map(|wait| now.after(*wait))
    }
}

/// What happens after an attempt, the `attempts`th of its message.
pub(crate) fn decide(
    result: &AttemptResult,
    attempts: usize,
    now: Timestamp,
    schedule: &RetrySchedule,
) -> Decision {
    let (permanent, verdict, suppress) = match result {
        AttemptResult::Delivered(_) => return Decision::Delivered,
        AttemptResult::Refused(answer) => {
            let verdict = Verdict::of(answer.code, answer.enhanced, &answer.text);
            (answer.code >= 500, Some(verdict), suppression(answer, verdict))
        }
        AttemptResult::Failed { permanent, .. } => (*permanent, None, Suppress::No),
    };
    match schedule.next(attempts, now) {
        Some(at) if !permanent => Decision::Retry(at),
        _ => Decision::Failed { verdict, suppress },
    }
}

fn suppression(answer: &SmtpAnswer, verdict: Verdict) -> Suppress {
    if answer.code >= 500 && verdict.suppresses_at_once() { Suppress::Now } else { Suppress::IfThirdInRow }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn schedule() -> RetrySchedule {
        RetrySchedule(vec![Duration::from_secs(450), Duration::from_secs(900)])
    }

    fn refused(code: u16, enhanced: &str, text: &str) -> AttemptResult {
        AttemptResult::Refused(SmtpAnswer { code, enhanced: enhanced.parse().ok(), text: text.into() })
    }

    #[test]
    fn a_transient_refusal_is_tried_again_until_the_schedule_ends() {
        let result = refused(451, "4.3.0", "later");
        assert_eq!(
            decide(&result, 1, NOW, &schedule()),
            Decision::Retry(NOW.after(Duration::from_secs(450)))
        );
        assert_eq!(
            decide(&result, 2, NOW, &schedule()),
            Decision::Retry(NOW.after(Duration::from_secs(900)))
        );
        let Decision::Failed { verdict: Some(_), suppress: Suppress::IfThirdInRow } =
            decide(&result, 3, NOW, &schedule())
        else {
            panic!("the third attempt is the last")
        };
    }

    #[test]
    fn a_permanent_refusal_fails_at_once_and_suppresses_by_its_verdict() {
        for (result, expected) in [
            (refused(550, "5.1.1", "no such user"), Suppress::Now),
            (refused(550, "", "no such user"), Suppress::Now),
            (refused(550, "", "blocked, see spam list"), Suppress::IfThirdInRow),
            (refused(554, "5.7.1", "policy"), Suppress::IfThirdInRow),
        ] {
            let Decision::Failed { suppress, .. } = decide(&result, 1, NOW, &schedule()) else {
                panic!("{result:?} is final")
            };
            assert_eq!(suppress, expected, "{result:?}");
        }
    }

    #[test]
    fn failures_without_an_answer_never_suppress() {
        let failed =
            |permanent| AttemptResult::Failed { error: "no route".into(), enhanced: None, permanent };
        assert_eq!(
            decide(&failed(true), 1, NOW, &schedule()),
            Decision::Failed { verdict: None, suppress: Suppress::No }
        );
        assert!(matches!(decide(&failed(false), 1, NOW, &schedule()), Decision::Retry(_)));
    }
}
