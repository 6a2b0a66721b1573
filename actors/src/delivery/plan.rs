//! What an attempt's result means for a message: pure rules.

use mail::{Address, Stage, Timestamp, Verdict, without_names};
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

/// What happens after an attempt, the `attempts`th of its message. `stage`: what the answer was to, if there was one.
pub(crate) fn decide(
    result: &AttemptResult,
    stage: Stage,
    recipient: &Address,
    attempts: usize,
    now: Timestamp,
    schedule: &RetrySchedule,
) -> Decision {
    let (permanent, verdict, suppress) = match result {
        AttemptResult::Delivered(_) => return Decision::Delivered,
        AttemptResult::Refused(answer) => {
            let reason = without_names(&answer.text, std::slice::from_ref(recipient));
            let verdict = Verdict::at(stage, answer.code, answer.enhanced, &reason);
            (answer.code >= 500, Some(verdict), suppress(stage, answer.code, verdict))
        }
        AttemptResult::Failed { permanent, .. } => (*permanent, None, Suppress::No),
    };
    match schedule.next(attempts, now) {
        Some(at) if !permanent => Decision::Retry(at),
        _ => Decision::Failed { verdict, suppress },
    }
}

/// What a host says before MAIL is about this server, and comes to every message: however often that is, it tells nothing
/// of a recipient. A refusal of MAIL, in which no verdict sees a mailbox, counts like any other three times in a row.
fn suppress(stage: Stage, code: u16, verdict: Verdict) -> Suppress {
    match stage {
        Stage::Session if !verdict.suppresses_at_once() => Suppress::No,
        Stage::Session | Stage::Sender | Stage::Recipient => Suppress::after(code, verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::Scope;
    use store::records::SmtpAnswer;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn recipient() -> Address {
        Address::parse("spammer@remote.example").unwrap()
    }

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
            decide(&result, Stage::Recipient, &recipient(), 1, NOW, &schedule()),
            Decision::Retry(NOW.after(Duration::from_secs(450)))
        );
        assert_eq!(
            decide(&result, Stage::Recipient, &recipient(), 2, NOW, &schedule()),
            Decision::Retry(NOW.after(Duration::from_secs(900)))
        );
        let Decision::Failed { verdict: Some(_), suppress: Suppress::IfThirdInRow } =
            decide(&result, Stage::Recipient, &recipient(), 3, NOW, &schedule())
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
            (refused(550, "", "<Spammer@remote.example>: user unknown"), Suppress::Now),
            (refused(550, "", "refused, write to <spam@remote.example>"), Suppress::IfThirdInRow),
            (refused(554, "5.7.1", "policy"), Suppress::IfThirdInRow),
        ] {
            let Decision::Failed { suppress, .. } =
                decide(&result, Stage::Recipient, &recipient(), 1, NOW, &schedule())
            else {
                panic!("{result:?} is final")
            };
            assert_eq!(suppress, expected, "{result:?}");
        }
    }

    #[test]
    fn an_answer_before_any_recipient_was_named_tells_nothing_of_a_mailbox() {
        use Scope::*;
        use Suppress::*;
        for (stage, code, enhanced, text, scope, suppress) in [
            (Stage::Session, 550, "", "go away", Policy, No),
            (Stage::Session, 550, "5.1.1", "no such user", Policy, No),
            (Stage::Session, 550, "", "blocked, see spam list", SenderReputation, No),
            (Stage::Session, 554, "5.3.2", "no", Network, No),
            (Stage::Session, 556, "", "no mail here", Policy, No),
            (Stage::Session, 521, "", "remote.example does not accept mail", Domain, Now),
            (Stage::Session, 521, "5.7.1", "client blocked using a list", Policy, No),
            (Stage::Session, 521, "", "your address is on our blacklist", Policy, No),
            (Stage::Sender, 550, "", "go away", SenderReputation, IfThirdInRow),
            (Stage::Sender, 550, "5.1.1", "user unknown", SenderReputation, IfThirdInRow),
            (Stage::Sender, 550, "5.1.8", "bad sender", SenderReputation, IfThirdInRow),
            (Stage::Sender, 553, "", "not allowed", SenderReputation, IfThirdInRow),
            (Stage::Sender, 521, "", "no mail here", SenderReputation, IfThirdInRow),
            (Stage::Sender, 552, "", "no", Content, IfThirdInRow),
            (Stage::Sender, 550, "5.7.1", "policy", Policy, IfThirdInRow),
            (Stage::Recipient, 550, "", "go away", Mailbox, Now),
            (Stage::Recipient, 521, "5.7.1", "client blocked using a list", Domain, Now),
        ] {
            let decision = decide(&refused(code, enhanced, text), stage, &recipient(), 1, NOW, &schedule());
            let Decision::Failed { verdict: Some(verdict), suppress: decided } = decision else {
                panic!("{decision:?}")
            };
            assert_eq!((verdict.scope, decided), (scope, suppress), "{stage:?} {code} {enhanced} {text}");
        }
        let last = decide(&refused(421, "4.3.2", "later"), Stage::Session, &recipient(), 3, NOW, &schedule());
        assert!(matches!(last, Decision::Failed { suppress: No, .. }), "{last:?}");
    }

    #[test]
    fn failures_without_an_answer_never_suppress() {
        let failed =
            |permanent| AttemptResult::Failed { error: "no route".into(), enhanced: None, permanent };
        assert_eq!(
            decide(&failed(true), Stage::Session, &recipient(), 1, NOW, &schedule()),
            Decision::Failed { verdict: None, suppress: Suppress::No }
        );
        assert!(matches!(
            decide(&failed(false), Stage::Session, &recipient(), 1, NOW, &schedule()),
            Decision::Retry(_)
        ));
    }
}
