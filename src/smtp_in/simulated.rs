//! Failures on demand: a developer's server fails as the localpart of an address tells it to.

use mail::Address;
use smtp::Reply;

/// The prefix of a sender's localpart that has MAIL fail rather than the end of the data.
const AT_MAIL: &str = "mailfrom";
/// The prefix of a recipient's localpart that has its RCPT fail rather than the end of the data.
const AT_RCPT: &str = "rcptto";
/// The prefix of a recipient's localpart that has its message fail when it is delivered, and not when it is submitted.
const AT_DELIVERY: &str = "queue";
/// What a FromID made by this server looks like: so many letters and digits. See [`mail::FromId::new`].
const FROM_ID_LENGTH: usize = 26;

/// How to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simulated {
    /// With this code, 400 to 599.
    Code(u16),
    /// By not answering.
    Silence,
}

impl Simulated {
    /// The answer; none for silence. 550 says that there is no such mailbox, so that suppression can be tried out.
    pub(crate) fn reply(self) -> Option<Reply> {
        let Simulated::Code(code) = self else { return None };
        let (subject, detail) = match code {
            451 => (3, 0),
            550 => (1, 1),
            _ => (0, 0),
        };
        Some(Reply::with_enhanced(code, subject, detail, "Simulated failure, as the address asks for"))
    }
}

/// The failure that a localpart asks for by its end, in whatever case: `temperror`, `permerror`, `timeout`, or three
/// digits from 400 to 599.
pub(super) fn simulated(localpart: &str) -> Option<Simulated> {
    let localpart = localpart.to_ascii_lowercase();
    let names = [
        ("temperror", Simulated::Code(451)),
        ("permerror", Simulated::Code(550)),
        ("timeout", Simulated::Silence),
    ];
    if let Some((_, failure)) = names.into_iter().find(|(name, _)| localpart.ends_with(name)) {
        return Some(failure);
    }
    let digits = localpart.as_bytes().last_chunk::<3>().filter(|end| end.iter().all(u8::is_ascii_digit))?;
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    (400..=599).contains(&code).then_some(Simulated::Code(code))
}

/// What MAIL from `address` is to be answered with. `separator` is that of its domain, if that is ours.
pub(crate) fn at_mail(address: &Address, separator: Option<char>) -> Option<Simulated> {
    asked_for(address, separator).filter(|_| has_prefix(address, AT_MAIL))
}

/// What RCPT to `address` is to be answered with.
pub(crate) fn at_rcpt(address: &Address, separator: Option<char>) -> Option<Simulated> {
    asked_for(address, separator).filter(|_| has_prefix(address, AT_RCPT))
}

/// What the data of a message to `address` is to be answered with, when its RCPT was not.
pub(crate) fn at_data(address: &Address, separator: Option<char>) -> Option<Simulated> {
    asked_for(address, separator)
}

/// Whether a failure that a recipient asks for is one of its delivery, not of its submission.
pub(crate) fn at_delivery(address: &Address) -> bool {
    has_prefix(address, AT_DELIVERY)
}

/// By what stands before the separator or by the whole localpart, unless that ends in a FromID of ours: one in 150 of
/// these ends in digits that would count.
fn asked_for(address: &Address, separator: Option<char>) -> Option<Simulated> {
    let whole = address.localpart().as_str();
    match separator.and_then(|separator| whole.split_once(separator)) {
        Some((base, suffix)) if is_from_id(suffix) => simulated(base),
        Some((base, _)) => simulated(base).or_else(|| simulated(whole)),
        None => simulated(whole),
    }
}

fn is_from_id(suffix: &str) -> bool {
    suffix.len() == FROM_ID_LENGTH
        && suffix.bytes().all(|b| matches!(b.to_ascii_lowercase(), b'0'..=b'9' | b'a'..=b'v'))
}

fn has_prefix(address: &Address, prefix: &str) -> bool {
    let start = address.localpart().as_str().as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Simulated::{Code, Silence};
    use mail::{FromId, Timestamp};
    use proptest::prelude::*;

    #[test]
    fn a_localpart_asks_for_a_failure_by_its_end() {
        for (localpart, expected) in [
            ("temperror", Some(Code(451))),
            ("rider-temperror", Some(Code(451))),
            ("PermError", Some(Code(550))),
            ("timeout", Some(Silence)),
            ("user400", Some(Code(400))),
            ("421", Some(Code(421))),
            ("user550", Some(Code(550))),
            ("user599", Some(Code(599))),
            ("user2450", Some(Code(450))),
            ("user399", None),
            ("user600", None),
            ("user45", None),
            ("45", None),
            ("4 51", None),
            ("temperrors", None),
            ("permerror-not", None),
            ("rider", None),
            ("ü５５０", None),
            ("ü550", Some(Code(550))),
        ] {
            assert_eq!(simulated(localpart), expected, "{localpart}");
        }
    }

    #[test]
    fn prefixes_move_the_failure_to_their_command() {
        type Ask = fn(&Address, Option<char>) -> Option<Simulated>;
        assert!(at_delivery(&Address::parse("Queue-permerror@localhost").unwrap()));
        assert!(!at_delivery(&Address::parse("permerror-queue@localhost").unwrap()));
        let rows: [(Ask, &str, Option<Simulated>); 12] = [
            (at_mail, "mailfromtemperror", Some(Code(451))),
            (at_mail, "MailFrom+554", Some(Code(554))),
            (at_mail, "mailfromtimeout+0123456789abcdefghijklmn50", Some(Silence)),
            (at_mail, "mailfrom+0123456789abcdefghijklm450", None),
            (at_mail, "temperror", None),
            (at_mail, "mailfrom", None),
            (at_rcpt, "rcptto-permerror", Some(Code(550))),
            (at_rcpt, "permerror", None),
            (at_data, "permerror", Some(Code(550))),
            (at_data, "queuepermerror", Some(Code(550))),
            (at_data, "rider+0123456789abcdefghijklm450", None),
            (at_data, "rider+tag450", Some(Code(450))),
        ];
        for (ask, localpart, expected) in rows {
            let address = Address::parse(&format!("{localpart}@localhost")).unwrap();
            assert_eq!(ask(&address, Some('+')), expected, "{localpart}");
        }
    }

    #[test]
    fn answers_have_an_enhanced_code_that_fits() {
        for (failure, expected) in [
            (Code(550), Some("550 5.1.1")),
            (Code(451), Some("451 4.3.0")),
            (Code(554), Some("554 5.0.0")),
            (Code(400), Some("400 4.0.0")),
            (Silence, None),
        ] {
            let said = failure.reply().map(|reply| format!("{} {}", reply.code(), reply.enhanced().unwrap()));
            assert_eq!(said.as_deref(), expected);
        }
    }

    #[test]
    fn a_permanent_error_is_judged_as_a_missing_mailbox() {
        let reply = simulated("permerror").and_then(Simulated::reply).unwrap();
        let enhanced = mail::EnhancedCode::new(5, 1, 1);
        assert!(mail::Verdict::of(reply.code(), enhanced, reply.text()).suppresses_at_once());
    }

    proptest! {
        #[test]
        fn no_from_id_of_ours_asks_for_a_failure(millis in 0i64..4_000_000_000_000, random: [u8; 12]) {
            let from_id = FromId::new(Timestamp::from_millis(millis), random);
            let address = Address::parse(&format!("rider+{from_id}@localhost")).unwrap();
            prop_assert_eq!(at_data(&address, Some('+')), None);
        }
    }
}
