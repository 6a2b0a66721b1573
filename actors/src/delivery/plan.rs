//! What an attempt's result means for a message: pure rules.

use mail::{Timestamp, Verdict};
use std::time::Duration;
use store::{Decision, Suppress, records::AttemptResult};

/// The waits between attempts; the list's end is the message's.
#[derive(Clone, Debug)]
pub struct RetrySchedule(pub Vec<Duration>);

impl RetrySchedule {
    /// When the next attempt is due after `attempts` were made, the last of them ending at `now`.
    pub fn next(&self, attempts: usize, now: Timestamp) -> Option<Timestamp> {
        self.0.get(attempts.checked_sub(1)?).map(|wait| now.after(*wait))
    }

    /// After how many attempts a message is late, and its sender is told so, once: when by this schedule the next one
    /// comes four hours or more after the first. Of the usual schedule that is the attempt before the wait of four
    /// hours; a schedule that ends earlier has no late messages.
    pub(crate) fn late_after(&self) -> Option<usize> {
        const LATE: Duration = Duration::from_secs(4 * 3600);
        let ages = self.0.iter().scan(Duration::ZERO, |age, wait| {
            *age = age.saturating_add(*wait);
            Some(*age)
        });
        ages.enumerate().find(|(_, age)| *age >= LATE).map(|(index, _)| index + 1)
    }
}

/// About when the attempts after the next one are, should all fail, once `attempts` were made.
pub(crate) fn attempts_ahead(schedule: &RetrySchedule, attempts: usize, next: Timestamp) -> Vec<Timestamp> {
    let waits = schedule.0.get(attempts..).unwrap_or_default();
    let times = waits.iter().scan(next, |at, wait| {
        *at = at.after(*wait);
        Some(*at)
    });
    times.collect()
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
            (answer.code >= 500, Some(verdict), Suppress::after(answer.code, verdict))
        }
        AttemptResult::Failed { permanent, .. } => (*permanent, None, Suppress::No),
    };
    match schedule.next(attempts, now) {
        Some(at) if !permanent => Decision::Retry(at),
        _ => Decision::Failed { verdict, suppress },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::records::SmtpAnswer;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn schedule() -> RetrySchedule {
        RetrySchedule(vec![Duration::from_secs(450), Duration::from_secs(900)])
    }

    fn seconds(waits: &[u64]) -> RetrySchedule {
        RetrySchedule(waits.iter().copied().map(Duration::from_secs).collect())
    }

    #[test]
    fn a_message_is_late_once_its_next_attempt_is_four_hours_after_its_first() {
        const HOUR: u64 = 3600;
        let usual = [450, 900, 1800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR];
        for (waits, expected) in [
            (&usual[..], Some(6)),
            (&[HOUR; 10], Some(4)),
            (&[24 * HOUR], Some(1)),
            (&[1, 2, 3], None),
            (&[], None),
        ] {
            assert_eq!(seconds(waits).late_after(), expected, "{waits:?}");
        }
    }

    #[test]
    fn the_attempts_ahead_follow_each_other_by_the_schedule() {
        let schedule = seconds(&[10, 20, 40]);
        for (attempts, expected) in [(1, &[20, 60][..]), (2, &[40]), (3, &[]), (9, &[])] {
            let expected: Vec<_> =
                expected.iter().map(|wait| NOW.after(Duration::from_secs(*wait))).collect();
            assert_eq!(attempts_ahead(&schedule, attempts, NOW), expected, "{attempts}");
        }
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
