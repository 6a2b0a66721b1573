//! What our own reports say is read as it was meant.

use super::*;
use crate::{Domain, DsnAction, DsnReason, DsnRecipient, DsnReport, MessageId, Returned, Timestamp};

fn address() -> impl Strategy<Value = Address> {
    let localpart = prop_oneof![
        "[a-z0-9][a-z0-9+=_-]{0,20}",
        "[a-zäöüé]{1,12}",
        "\"[a-z@;<>()]{1,5}( [a-z@;<>()]{1,5})?\""
    ];
    let texts = (localpart, "[a-z]{1,10}(\\.[a-z]{2,8}){1,2}");
    let parsed = texts.prop_map(|(localpart, domain)| Address::parse(&format!("{localpart}@{domain}")));
    parsed.prop_filter_map("an address", Result::ok)
}

fn enhanced(class: u8) -> impl Strategy<Value = Option<EnhancedCode>> {
    proptest::option::of((0..9u16, 0..30u16)).prop_map(move |detail| {
        detail.and_then(|(subject, detail)| EnhancedCode::new(class, subject, detail))
    })
}

#[derive(Clone, Debug)]
struct Case {
    recipient: Address,
    original: Option<Address>,
    envid: Option<String>,
    permanent: bool,
    /// The code and text of an answer.
    answer: Option<(u16, Option<EnhancedCode>, String)>,
    delayed: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let answer = any::<bool>().prop_flat_map(|permanent| {
        let class = if permanent { 5 } else { 4 };
        let code = (0..100u16).prop_map(move |rest| u16::from(class) * 100 + rest);
        let answer = (code, enhanced(class), "[a-zA-Z<>(]([ -~]{0,80}[!-~])?");
        (Just(permanent), proptest::option::of(answer))
    });
    let names = (address(), proptest::option::of(address()), proptest::option::of("[!-~]{1,60}"));
    (names, answer, any::<bool>()).prop_map(|((recipient, original, envid), (permanent, answer), delayed)| {
        Case { recipient, original, envid, permanent, answer, delayed }
    })
}

impl Case {
    fn compose(&self) -> Vec<u8> {
        let domain = Domain::parse("mail.sender.example").unwrap();
        let original = self.original.as_ref().map(|address| format!("rfc822;{}", address.to_smtp()));
        let at = Timestamp::from_millis(60_000);
        let reason = match &self.answer {
            Some((code, enhanced, text)) => DsnReason::Answer { code: *code, enhanced: *enhanced, text },
            None => DsnReason::Error("connection timed out after 300 seconds"),
        };
        DsnReport {
            message_id: &MessageId::new(at, [7; 12], &domain),
            from: &Address::parse("mailer-daemon@mail.sender.example").unwrap(),
            to: &Address::parse("rider@sender.example").unwrap(),
            date: at,
            reporting_mta: &domain,
            arrival: at,
            envid: self.envid.as_deref(),
            subject: "hi",
            original_id: samples::MESSAGE_ID,
            action: match self.delayed {
                true => DsnAction::Delayed { next_attempt: at, later_attempts: Vec::new() },
                false => DsnAction::Failed,
            },
            recipients: vec![DsnRecipient {
                original: original.as_deref(),
                address: &self.recipient,
                status: self.status(),
                remote_mta: Some("mx.remote.example"),
                reason,
                attempts: 3,
                last_attempt: Some(at),
            }],
            returned: Returned::Header(
                "Return-Path: <rider+id@sender.example>\r\nMessage-ID: <m1@sender.example>\r\n".as_bytes(),
            ),
        }
        .compose()
    }

    fn status(&self) -> EnhancedCode {
        let told = self.answer.as_ref().and_then(|(_, enhanced, _)| *enhanced);
        told.unwrap_or(EnhancedCode::new(if self.permanent { 5 } else { 4 }, 4, 7).unwrap())
    }
}

proptest! {
    #[test]
    fn our_own_reports_are_read_as_they_were_meant(case in case()) {
        let raw = case.compose();
        let Some(Feedback::Status(status)) = read(&raw) else { panic!("{}", String::from_utf8_lossy(&raw)) };
        prop_assert_eq!(status.envelope_id, case.envid.clone());
        prop_assert_eq!(status.original.message_id.as_deref(), Some(samples::MESSAGE_ID));
        prop_assert_eq!(status.original.return_path, samples::RETURN_PATH.parse().ok());
        let [block] = status.recipients.as_slice() else { panic!("one block") };
        let names: Vec<_> = case.original.iter().chain([&case.recipient]).cloned().collect();
        prop_assert_eq!(&block.names, &names);
        prop_assert_eq!(block.action, if case.delayed { StatusAction::Delayed } else { StatusAction::Failed });
        prop_assert_eq!(block.enhanced, Some(case.status()));
        match &case.answer {
            Some((code, enhanced, text)) => {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                prop_assert_eq!((block.code, &block.text), (Quoted(*code), &text));
                prop_assert_eq!(block.verdict, Verdict::of(*code, enhanced.or(Some(case.status())), &text));
            }
            None => {
                prop_assert_eq!(block.code, FromStatus(if case.permanent { 500 } else { 400 }));
                prop_assert_eq!(&*block.text, "connection timed out after 300 seconds");
            }
        }
    }
}
