use super::*;
use crate::{fields::fields, read};
use proptest::prelude::*;

const HEADER: &str = "From: rider@sender.example\r\nSubject: hi\r\n";

/// A report in the making: tests change what matters to them.
struct Case<'a> {
    recipient: &'a str,
    original: Option<&'a str>,
    envid: Option<&'a str>,
    subject: &'a str,
    host: Option<&'a str>,
    reason: DsnReason<'a>,
    action: DsnAction,
    returned: Returned<'a>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Case {
            recipient: "x@remote.example",
            original: None,
            envid: None,
            subject: "hi",
            host: Some("mx.remote.example"),
            reason: DsnReason::Answer {
                code: 550,
                enhanced: EnhancedCode::new(5, 1, 1),
                text: "no such user",
            },
            action: DsnAction::Failed,
            returned: Returned::Header(HEADER.as_bytes()),
        }
    }
}

impl Case<'_> {
    fn compose(&self) -> Vec<u8> {
        let domain = Domain::parse("mail.sender.example").unwrap();
        let address = Address::parse(self.recipient).unwrap();
        DsnReport {
            message_id: &MessageId::new(Timestamp::from_millis(1_000_000_000), [7; 12], &domain),
            from: &Address::parse("mailer-daemon@mail.sender.example").unwrap(),
            to: &Address::parse("rider@sender.example").unwrap(),
            date: Timestamp::from_millis(1_000_000_000),
            reporting_mta: &domain,
            arrival: Timestamp::from_millis(0),
            envid: self.envid,
            subject: self.subject,
            original_id: "<1@sender.example>",
            action: self.action.clone(),
            recipients: vec![DsnRecipient {
                original: self.original,
                address: &address,
                status: EnhancedCode::new(5, 1, 1).unwrap(),
                remote_mta: self.host,
                reason: self.reason,
                attempts: 3,
                last_attempt: Some(Timestamp::from_millis(60_000)),
            }],
            returned: self.returned,
        }
        .compose()
    }

    fn part(&self, index: usize) -> (String, String) {
        let raw = self.compose();
        let part = read::part(&raw, &[index]).expect("a part");
        (part.content_type, String::from_utf8(part.bytes.into_owned()).unwrap())
    }
}

fn delayed() -> DsnAction {
    DsnAction::Delayed {
        next_attempt: Timestamp::from_millis(3_600_000),
        later_attempts: [7_200_000, 10_800_000].map(Timestamp::from_millis).into(),
    }
}

#[test]
fn the_status_is_what_rfc_3464_asks_for() {
    let base =
        "Reporting-MTA: dns; mail.sender.example\r\nArrival-Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\n";
    let last = "Last-Attempt-Date: Thu, 1 Jan 1970 00:01:00 +0000\r\n";
    let rows: [(Case<'_>, &str, String); 5] = [
        (
            Case { envid: Some("QQ 314159"), original: Some("rfc822;X+Y@remote.example"), ..Case::default() },
            "message/delivery-status",
            format!(
                "Original-Envelope-Id: QQ 314159\r\n{base}Original-Recipient: rfc822; X+Y@remote.example\r\n\
                 Final-Recipient: rfc822; x@remote.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
                 Remote-MTA: dns; mx.remote.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n{last}"
            ),
        ),
        (
            Case { action: delayed(), host: None, reason: DsnReason::Error("no route"), ..Case::default() },
            "message/delivery-status",
            format!(
                "{base}Final-Recipient: rfc822; x@remote.example\r\nAction: delayed\r\nStatus: 5.1.1\r\n\
                 Diagnostic-Code: x-postrider; no route\r\n{last}\
                 Will-Retry-Until: Thu, 1 Jan 1970 03:00:00 +0000\r\n"
            ),
        ),
        (
            Case {
                action: DsnAction::Relayed,
                reason: DsnReason::Answer { code: 250, enhanced: None, text: "taken" },
                ..Case::default()
            },
            "message/delivery-status",
            format!(
                "{base}Final-Recipient: rfc822; x@remote.example\r\nAction: relayed\r\nStatus: 5.1.1\r\n\
                 Remote-MTA: dns; mx.remote.example\r\nDiagnostic-Code: smtp; 250 taken\r\n{last}"
            ),
        ),
        (
            Case {
                recipient: "jürgen@bücher.example",
                host: None,
                reason: DsnReason::Operator,
                ..Case::default()
            },
            "message/global-delivery-status",
            format!(
                "{base}Final-Recipient: utf-8; jürgen@xn--bcher-kva.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
                 Diagnostic-Code: x-postrider; given up by the operator of the server\r\n{last}"
            ),
        ),
        (
            Case {
                host: None,
                reason: DsnReason::Answer {
                    code: 451,
                    enhanced: None,
                    text: "später\r\n\r\nAction: delivered",
                },
                ..Case::default()
            },
            "message/delivery-status",
            format!(
                "{base}Final-Recipient: rfc822; x@remote.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
                 Diagnostic-Code: smtp; 451 sp?ter Action: delivered\r\n{last}"
            ),
        ),
    ];
    for (case, kind, status) in rows {
        assert_eq!(case.part(1), (kind.to_owned(), status));
    }
}

#[test]
fn people_learn_what_happened_and_what_will() {
    let rows = [
        (
            Case::default(),
            "Not delivered: hi",
            vec![
                "will not be tried again",
                "    x@remote.example\r\n",
                "The answer of mx.remote.example:\r\n\r\n    550 5.1.1 no such user\r\n",
                "It was tried 3 times, the last time at Thu, 1 Jan 1970 00:01:00 +0000.",
                "    Message-ID: <1@sender.example>\r\n",
            ],
        ),
        (
            Case {
                action: delayed(),
                reason: DsnReason::Error("no route"),
                subject: "Grüße",
                ..Case::default()
            },
            "Delayed: Grüße",
            vec![
                "You need not do anything",
                "What happened:\r\n\r\n    no route\r\n",
                "    Thu, 1 Jan 1970 01:00:00 +0000\r\n    Thu, 1 Jan 1970 02:00:00 +0000\r\n    \
                 Thu, 1 Jan 1970 03:00:00 +0000\r\n\r\nIf the last of these attempts fails too",
                "    Subject: Grüße\r\n",
            ],
        ),
        (
            Case { action: DsnAction::Relayed, ..Case::default() },
            "Relayed: hi",
            vec!["was handed over to a server that does not report what becomes of it"],
        ),
        (
            Case { reason: DsnReason::Operator, subject: "", ..Case::default() },
            "Not delivered: your message",
            vec!["The operator of the server gave it up."],
        ),
    ];
    for (case, subject, said) in rows {
        let raw = case.compose();
        let read = read::read(&raw);
        assert_eq!(read.message.subject, subject);
        assert_eq!(read.message.references, ["<1@sender.example>"]);
        let text = read.message.text.replace('\n', "\r\n");
        for said in said {
            assert!(text.contains(said), "{said:?} is not in:\n{text}");
        }
    }
}

#[test]
fn what_is_returned_is_declared_as_what_it_is() {
    let utf8 = "Subject: grün\r\n";
    let message = format!("{HEADER}\r\nbody grün\r\n");
    type Row<'a> = (Returned<'a>, Option<(&'a str, &'a str)>, bool);
    let rows: [Row<'_>; 6] = [
        (Returned::Nothing, None, false),
        (Returned::Header(HEADER.as_bytes()), Some(("text/rfc822-headers", HEADER)), false),
        (Returned::Header(utf8.as_bytes()), Some(("message/global-headers", utf8)), true),
        (Returned::Message(message.as_bytes()), Some(("message/rfc822", &message)), true),
        (Returned::Message(b"A: 1\r\n\r\nx\r\n"), Some(("message/rfc822", "A: 1\r\n\r\nx\r\n")), false),
        (Returned::Message(utf8.as_bytes()), Some(("message/global", utf8)), true),
    ];
    for (returned, expected, eight_bit) in rows {
        let raw = Case { returned, ..Case::default() }.compose();
        let part = read::part(&raw, &[2]);
        let part = part.map(|part| (part.content_type, String::from_utf8(part.bytes.into_owned()).unwrap()));
        assert_eq!(part, expected.map(|(kind, text)| (kind.to_owned(), text.to_owned())));
        assert_eq!(raw.is_ascii(), !eight_bit);
        let header = read::headers_end(&raw);
        let says_so = fields(&raw[..header]).any(|field| field.is("Content-Transfer-Encoding"));
        assert_eq!(says_so, eight_bit);
    }
    let long = "X: ".to_owned() + &"x\r\n ".repeat(MAX_HEADER);
    let (_, returned) = Case { returned: Returned::Header(long.as_bytes()), ..Case::default() }.part(2);
    assert!(returned.len() <= MAX_HEADER && returned.len() > MAX_HEADER - 10 && returned.ends_with("\r\n"));
}

#[test]
fn a_report_cannot_be_answered_by_a_robot() {
    let raw = Case::default().compose();
    let read = read::read(&raw);
    assert!(read.facts.dsn && read.facts.automated(false));
    let header = &raw[..read::headers_end(&raw)];
    for (name, value) in [("Return-Path", " <>"), ("Auto-Submitted", " auto-replied")] {
        let found: Vec<_> = fields(header).filter(|field| field.is(name)).map(|field| field.value).collect();
        assert_eq!(found, [value.as_bytes()]);
    }
}

proptest! {
    #[test]
    fn nothing_from_elsewhere_breaks_the_structure(
        text in "(\\PC|[\\x00-\\x20]|\r\n|--|Action: ){0,80}|x{0,1100}", host in "(\\PC|\r\n){0,20}",
        subject in "(\\PC|[\r\n]){0,30}", envid in "(\\PC|[\r\n]){0,30}", original in "(\\PC|[\r\n;]){0,30}",
        utf8: bool, late: bool, answered: bool,
    ) {
        let reason = match answered {
            true => DsnReason::Answer { code: 450, enhanced: None, text: &text },
            false => DsnReason::Error(&text),
        };
        let case = Case {
            recipient: if utf8 { "ü@remote.example" } else { "x@remote.example" },
            original: Some(&original),
            envid: Some(&envid),
            subject: &subject,
            host: Some(&host),
            reason,
            action: if late { delayed() } else { DsnAction::Failed },
            ..Case::default()
        };
        let raw = case.compose();
        let read = read::read(&raw);
        prop_assert!(read.facts.dsn);
        prop_assert_eq!(read.structure.parts.len(), 3);
        prop_assert!(raw.split(|b| *b == b'\n').all(|line| line.len() <= 998));
        prop_assert_eq!(case.part(2).1, HEADER);
        let (_, status) = case.part(1);
        let (message, recipient) = status.split_once("\r\n\r\n").expect("two groups of fields");
        prop_assert!(!recipient.contains("\r\n\r\n"));
        let names = |group: &str| -> Vec<String> {
            fields(group.as_bytes()).map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
        };
        prop_assert_eq!(names(message), ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"]);
        let names: Vec<_> = names(recipient).into_iter().filter(|name| name != "Original-Recipient").collect();
        let expected = ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"];
        let expected: Vec<_> = expected.into_iter().chain(late.then_some("Will-Retry-Until")).collect();
        prop_assert_eq!(names, expected);
        let action = if late { "\r\nAction: delayed\r\n" } else { "\r\nAction: failed\r\n" };
        prop_assert!(recipient.contains(action));
    }
}
