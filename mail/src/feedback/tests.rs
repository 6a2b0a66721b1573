use super::{ReportedCode::*, *};
use base64::Engine as _;
use proptest::prelude::*;

mod own;
mod samples;

fn report(kind: &str, machine: &str, returned: &str) -> String {
    let subtype = if kind == "feedback-report" { "feedback-report" } else { kind };
    format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: app+id@example.com\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type={kind};\r\n boundary=\"b\"\r\n\r\n\
         --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/{subtype}\r\n\r\n{machine}\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\n{returned}\r\n--b--\r\n"
    )
}

fn status(block: &str) -> RecipientStatus {
    let raw = report("delivery-status", &format!("Reporting-MTA: dns; mx.example\r\n\r\n{block}"), "");
    match read(raw.as_bytes()) {
        Some(Feedback::Status(mut status)) => status.recipients.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_read_from_the_diagnostic_code_or_else_from_the_status() {
    for (block, code, enhanced, text) in [
        (
            "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user",
            Quoted(550),
            "5.1.1",
            "no such user",
        ),
        (
            "Status: 5.0.0\r\nDiagnostic-Code: SMTP;550 5.1.1\r\n  <a@b.example>... User unknown",
            Quoted(550),
            "5.1.1",
            "<a@b.example>... User unknown",
        ),
        (
            "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550-5.1.1 The account\r\n 550-5.1.1 does not\r\n 550 5.1.1 exist",
            Quoted(550),
            "5.1.1",
            "The account does not exist",
        ),
        (
            "Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 mailbox unavailable",
            Quoted(550),
            "5.0.0",
            "mailbox unavailable",
        ),
        (
            "Status: 5.0.0\r\nDiagnostic-Code: smtp; host mx.example said: 554 5.7.1 no",
            Quoted(554),
            "5.7.1",
            "no",
        ),
        ("Diagnostic-Code: 550 5.2.1 disabled; sorry", Quoted(550), "5.2.1", "disabled; sorry"),
        ("Status: 5.1.1\r\nDiagnostic-Code: unknown user", FromStatus(500), "5.1.1", "unknown user"),
        ("Status: 4.4.7 (expired)", FromStatus(400), "4.4.7", ""),
        (
            "Status: 5.1.10\r\nDiagnostic-Code: x-unix; user unknown",
            FromStatus(500),
            "5.1.10",
            "user unknown",
        ),
        ("Status: 5.4.4\r\nDiagnostic-Code: X-Postfix; 550 hosts", FromStatus(500), "5.4.4", "550 hosts"),
        (
            "Status: 5.2.2\r\nDiagnostic-Code: X-Postfix; host mx.example[192.0.2.1] said: 552 full",
            Quoted(552),
            "5.2.2",
            "full",
        ),
        ("Status: 2.0.0", FromStatus(250), "2.0.0", ""),
        ("Status: nonsense", Untold, "", ""),
    ] {
        let status =
            status(&format!("Final-Recipient: rfc822; friend@example.org\r\nAction: failed\r\n{block}\r\n"));
        let found =
            (status.code, status.enhanced.map(|code| code.to_string()).unwrap_or_default(), &*status.text);
        assert_eq!(found, (code, enhanced.to_owned(), text), "{block}");
    }
}

#[test]
fn a_quoted_reply_is_judged_like_one_of_a_session() {
    for (block, live) in [
        ("Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user", (550, "5.1.1", "no such user")),
        ("Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 mailbox unavailable", (550, "", "mailbox unavailable")),
        ("Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 5.0.0 rejected", (550, "5.0.0", "rejected")),
        ("Status: 5.2.2\r\nDiagnostic-Code: smtp; 550 full", (550, "5.2.2", "full")),
        (
            "Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 #5.1.0 Address rejected",
            (550, "", "#5.1.0 Address rejected"),
        ),
        ("Status: 5.1.1", (500, "5.1.1", "")),
        ("Status: 5.4.7", (500, "5.4.7", "")),
        ("Diagnostic-Code: x-unix; gone", (0, "", "gone")),
    ] {
        let status =
            status(&format!("Final-Recipient: rfc822; friend@example.org\r\nAction: failed\r\n{block}\r\n"));
        let (code, enhanced, text) = live;
        assert_eq!(status.verdict, Verdict::of(code, enhanced.parse().ok(), text), "{block}");
    }
}

#[test]
fn every_block_that_is_understood_is_read() {
    let machine = "Reporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: a+2Bb++2@example.com\r\n\r\n\
        Original-Recipient: rfc822;friend@example.org\r\nFinal-Recipient: rfc822; box7@inside.example\r\n\
        X-Actual-Recipient: rfc822; box8@inside.example\r\nAction: DELAYED\r\nStatus: 4.2.2\r\n\r\n\r\n\
        Final-Recipient: rfc822; other@example.org\r\nAction: vanished\r\nStatus: 5.0.0\r\n\r\n\
        Final-Recipient: rfc822; third@example.org\nAction: relayed\nStatus: 2.1.9\n";
    let returned =
        "Return-Path: <app+id@example.com>\r\nMessage-ID: <m@example.com>\r\nTo: friend@example.org\r\n\r\nx";
    let Some(Feedback::Status(status)) = read(report("delivery-status", machine, returned).as_bytes()) else {
        panic!()
    };
    assert_eq!(status.envelope_ids().collect::<Vec<_>>(), ["a+2Bb++2@example.com", "a+b++2@example.com"]);
    let seen: Vec<_> = status.recipients.iter().map(|block| (block.action, block.names.len())).collect();
    assert_eq!(seen, [(StatusAction::Delayed, 3), (StatusAction::Relayed, 1)]);
    assert_eq!(status.original.message_id.as_deref(), Some("<m@example.com>"));
    assert_eq!(status.original.return_path, Address::parse("app+id@example.com").ok());
    assert_eq!(status.original.recipients, [Address::parse("friend@example.org").unwrap()]);
}

#[test]
fn recipients_are_told_apart_without_empty_lines_between_them() {
    let first = "Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n";
    let second = "Final-Recipient: rfc822; b@example.org\r\nAction: delayed\r\nStatus: 4.2.2\r\n";
    let original = |name: &str| format!("Original-Recipient: rfc822; {name}@example.org\r\n");
    let (a, b) = (original("a"), original("b"));
    for (machine, names) in [
        (format!("{first}{second}"), [1, 1]),
        (format!("Reporting-MTA: dns; mx.example\r\n{first}{second}"), [1, 1]),
        (format!("{a}{first}{b}{second}"), [2, 2]),
        (format!("{first}{b}{second}"), [1, 2]),
        (format!("{a}{first}{second}"), [2, 1]),
        (format!("{first}{a}\r\n{second}{b}"), [2, 2]),
    ] {
        let Some(Feedback::Status(status)) = read(report("delivery-status", &machine, "").as_bytes()) else {
            panic!("{machine}")
        };
        let seen: Vec<_> = status.recipients.iter().map(|block| (block.action, block.names.len())).collect();
        assert_eq!(seen, [(StatusAction::Failed, names[0]), (StatusAction::Delayed, names[1])], "{machine}");
        assert!(status.recipients[1].names.iter().all(|name| name.to_string() == "b@example.org"));
    }
}

#[test]
fn the_bounces_of_qmail_are_read() {
    let raw = "From: MAILER-DAEMON@mx.example\r\nSubject: failure notice\r\n\r\n\
        Hi. This is the qmail-send program at mx.example.\r\n\
        I'm afraid I wasn't able to deliver your message to the following addresses.\r\n\
        This is a permanent error; I've given up. Sorry it didn't work out.\r\n\r\n\
        <friend@example.org>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n\
        <other@example.net>:\r\n192.0.2.1 does not like recipient.\r\n\
        Remote host said: 550 5.2.1 mailbox disabled\r\nGiving up on 192.0.2.1.\r\n\r\n\
        --- Below this line is a copy of the message.\r\n\r\n\
        Return-Path: <app+id@example.com>\r\nMessage-ID: <m@example.com>\r\n\r\nx";
    let (header, body) = raw.split_once("\r\n\r\n").unwrap();
    let encoded =
        |name: &str, body: &str| format!("{header}\r\nContent-Transfer-Encoding: {name}\r\n\r\n{body}");
    let in_base64 = encoded("base64", &base64::engine::general_purpose::STANDARD.encode(body));
    let quoted = encoded("quoted-printable", &body.replace('=', "=3D").replace("mailbox", "mail=\r\nbox"));
    for raw in [raw, &in_base64, &quoted] {
        assert_reads_both_recipients(raw);
    }
    assert_eq!(read(b"Subject: hi\r\n\r\nHi. This is the newest offer.\r\n"), None);
}

fn assert_reads_both_recipients(raw: &str) {
    let Some(Feedback::Status(status)) = read(raw.as_bytes()) else { panic!("{raw}") };
    let seen: Vec<_> = status
        .recipients
        .iter()
        .map(|block| (block.names[0].to_string(), block.code, block.enhanced.map(|code| code.to_string())))
        .collect();
    assert_eq!(
        seen,
        [
            ("friend@example.org".to_owned(), FromStatus(500), Some("5.1.1".to_owned())),
            ("other@example.net".to_owned(), Quoted(550), Some("5.2.1".to_owned())),
        ]
    );
    assert_eq!(status.recipients[1].text, "mailbox disabled");
    assert_eq!(status.original.message_id.as_deref(), Some("<m@example.com>"));
}

#[test]
fn a_complaint_is_one_of_abuse() {
    let machine = |kind: &str| {
        format!(
            "Feedback-Type: {kind}\r\nUser-Agent: Loop/1\r\nVersion: 1\r\nOriginal-Mail-From: <app+id@example.com>\r\n\
             Original-Rcpt-To: <friend@example.org>\r\n"
        )
    };
    let returned = "Message-ID: <m@example.com>\r\n\r\n";
    let Some(Feedback::Complaint(complaint)) =
        read(report("feedback-report", &machine("abuse"), returned).as_bytes())
    else {
        panic!()
    };
    assert_eq!(complaint.recipients, [Address::parse("friend@example.org").unwrap()]);
    assert_eq!(complaint.original.return_path, Address::parse("app+id@example.com").ok());
    assert_eq!(complaint.original.message_id.as_deref(), Some("<m@example.com>"));
    assert_eq!(read(report("feedback-report", &machine("not-spam"), returned).as_bytes()), None);
}

#[test]
fn other_messages_are_no_feedback() {
    for raw in [
        "",
        "Subject: hi\r\n\r\nStatus: 5.1.1\r\n",
        &report("disposition-notification", "Disposition: x", ""),
    ] {
        assert_eq!(read(raw.as_bytes()), None, "{raw}");
    }
}

fn assert_within_bounds(feedback: &Feedback) {
    let original = feedback.original();
    assert!(original.recipients.len() <= 100);
    assert!(original.message_id.iter().all(|id| id.len() <= 998));
    match feedback {
        Feedback::Status(status) => {
            assert!((1..=1000).contains(&status.recipients.len()));
            assert!(status.envelope_id.iter().all(|id| id.len() <= 100));
            assert!(
                status.recipients.iter().all(|block| block.text.len() <= 1000 && block.names.len() <= 11)
            );
            for code in status.recipients.iter().map(|block| block.code.number()) {
                assert!(code == 0 || (200..600).contains(&code), "{code}");
            }
        }
        Feedback::Complaint(complaint) => assert!(complaint.recipients.len() <= 100),
    }
}

#[test]
fn long_reports_are_cut() {
    let block = "Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n";
    let text = format!("Diagnostic-Code: smtp; 550 {}\r\n", "550 5.1.1 x".repeat(20_000));
    let names = "X-Failed-Recipients: a@example.org, b@example.org\r\n".repeat(300);
    let many: String = (0..300).map(|n| format!("    (generated from a{n}@example.org)\n")).collect();
    let said = format!("  b@example.org\n{many}    550 no\n").repeat(30);
    let to = format!("To: {}\r\n", "c@example.org, ".repeat(500));
    for raw in [
        report("delivery-status", &block.repeat(5_000), &to),
        report("delivery-status", &block.replace("\r\n\r\n", "\r\n").repeat(5_000), ""),
        report("delivery-status", &format!("Action: failed\r\n{text}"), ""),
        report(
            "delivery-status",
            &format!("Action: failed\r\nOriginal-Envelope-Id: {}\r\n", "+2B".repeat(90)),
            "",
        ),
        report(
            "feedback-report",
            &format!("Feedback-Type: abuse\r\n{}", "Original-Rcpt-To: a@b.example\r\n".repeat(500)),
            &to,
        ),
        format!("{names}\r\n{said}"),
    ] {
        assert_within_bounds(&read(raw.as_bytes()).expect("feedback"));
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_within_bounds(bytes: Vec<u8>, at in 0usize..900, block in "[ -~\r\n]{0,300}") {
        let mut raw = report("delivery-status", &block, "").into_bytes();
        let at = at.min(raw.len());
        raw.splice(at..at, bytes);
        read(&raw).iter().for_each(assert_within_bounds);
    }

    #[test]
    fn samples_are_read_within_bounds_however_they_are_changed(
        which in 0..samples::SAMPLES.len(),
        crlf: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..80, "[\\r\\n:;<> -~]{0,12}|\\PC{0,4}"), 1..8),
    ) {
        let mut raw = samples::sample(samples::SAMPLES[which].0);
        if crlf {
            raw = raw.replace('\n', "\r\n");
        }
        let mut raw = raw.into_bytes();
        for (at, length, text) in changes {
            let at = at.index(raw.len() + 1);
            let end = raw.len().min(at + length);
            raw.splice(at..end, text.into_bytes());
        }
        read(&raw).iter().for_each(assert_within_bounds);
    }
}
