use super::fixture::*;
use crate::Operation;
use mail::{DsnNotify, DsnReturn, ReversePath};
use std::time::Duration;
use store::{QueueFilter, Submission, records::MessageOutcome};

/// The values of a field, in a report whose lines are short.
fn values<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
    report.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[test]
fn a_late_message_is_reported_once_and_again_when_it_fails_with_the_times_that_come_true() {
    run(async {
        let f = Fixture::new(Peer::script(vec![Act::Rcpt(450); 20]), Receiver::default());
        f.want_reports().await;
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(4 * 3600)).await;
        assert_eq!(f.queued(id).unwrap().attempts.len(), 6);
        assert_eq!(f.inbox().len(), 1);
        let attempts = f.retired(id).await.message.attempts;

        let [(record, late), (_, failed)] = &f.inbox()[..] else { panic!("{:?}", f.inbox()) };
        assert!(record.dsn && record.automated && record.mail_from == ReversePath::Null);
        assert_eq!(record.received.since(attempts[5].started), Duration::ZERO);
        assert_eq!(record.size, late.len() as u64);
        assert_eq!((values(late, "Action"), values(failed, "Action")), (vec!["delayed"], vec!["failed"]));
        assert_eq!(values(late, "Will-Retry-Until"), [attempts[8].started.to_rfc5322()]);
        assert_eq!(values(failed, "Will-Retry-Until"), [""; 0]);
        assert_eq!(values(failed, "Last-Attempt-Date"), [attempts[8].started.to_rfc5322()]);
        for attempt in &attempts[6..] {
            assert!(late.contains(&format!("    {}\r\n", attempt.started.to_rfc5322())), "{late}");
        }
        assert!(late.contains("It was tried 6 times") && failed.contains("It was tried 9 times"), "{failed}");
        assert!(failed.contains("\r\n\r\nSubject: hi\r\n\r\n--"), "the header is returned: {failed}");
    });
}

#[test]
fn reports_are_made_as_the_sender_asked() {
    let on = |failure, delay| Some(DsnNotify::On { success: true, failure, delay });
    type Row = (fn(&mut Submission), Option<DsnNotify>, &'static [&'static str]);
    let table: [Row; 6] = [
        (|_| {}, None, &["delayed", "failed"]),
        (|_| {}, Some(DsnNotify::Never), &[]),
        (|_| {}, on(true, false), &["failed"]),
        (|_| {}, on(false, true), &["delayed"]),
        (|_| {}, on(false, false), &[]),
        (|submission| submission.recipients[0].mail_from = ReversePath::Null, None, &[]),
    ];
    for (change, notify, expected) in table {
        run(async {
            let f = Fixture::new(Peer::script(vec![Act::Rcpt(450); 20]), Receiver::default());
            f.want_reports().await;
            let mut submission = f.submission(&["friend@remote.example"]);
            submission.recipients[0].notify = notify;
            change(&mut submission);
            let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
            f.retired(id).await;
            let inbox = f.inbox();
            let actions: Vec<_> = inbox.iter().flat_map(|(_, report)| values(report, "Action")).collect();
            assert_eq!(actions, expected, "{notify:?}");
        });
    }
}

#[test]
fn success_is_reported_where_the_host_will_not_and_the_sender_asks() {
    let on = |success| Some(DsnNotify::On { success, failure: true, delay: true });
    type Row = (fn() -> Peer, Option<DsnNotify>, &'static [&'static str]);
    let table: [Row; 5] = [
        (Peer::default, on(true), &["relayed"]),
        (|| Peer::script([Act::AcceptAndClose]), on(true), &["relayed"]),
        (Peer::default, on(false), &[]),
        (Peer::default, None, &[]),
        (Peer::with_dsn, on(true), &[]),
    ];
    for (peer, notify, expected) in table {
        run(async {
            let f = Fixture::new(peer(), Receiver::default());
            f.want_reports().await;
            let mut submission = f.submission(&["friend@remote.example"]);
            submission.recipients[0].notify = notify;
            submission.ret = Some(DsnReturn::Full);
            let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
            assert_eq!(f.retired(id).await.outcome, MessageOutcome::Delivered);
            let inbox = f.inbox();
            let of = |name| inbox.iter().flat_map(|(_, report)| values(report, name)).collect::<Vec<_>>();
            assert_eq!(of("Action"), expected, "{notify:?}");
            assert!(of("Status").iter().all(|status| status.starts_with("2.")), "{:?}", of("Status"));
            assert!(inbox.iter().all(|(_, report)| report.contains("Content-Type: text/rfc822-headers")));
        });
    }
}

#[test]
fn an_account_that_wants_no_reports_gets_none() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Rcpt(550)]), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        assert!(matches!(f.retired(id).await.outcome, MessageOutcome::Failed { .. }));
        assert!(f.inbox().is_empty());
    });
}

#[test]
fn what_the_sender_said_of_reports_is_in_them() {
    run(async {
        let f = Fixture::new(Peer::script(vec![Act::Rcpt(550); 2]), Receiver::default());
        f.want_reports().await;
        for (recipient, ret, returned) in [
            ("a@remote.example", None, "text/rfc822-headers"),
            ("b@remote.example", Some(DsnReturn::Full), "message/rfc822"),
        ] {
            let mut submission = f.submission(&[recipient]);
            submission.envid = Some("batch 7".into());
            submission.ret = ret;
            submission.recipients[0].original_recipient = Some("rfc822;Friend@remote.example".into());
            let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
            f.retired(id).await;
            let (_, report) = f.inbox().pop().unwrap();
            assert_eq!(values(&report, "Original-Envelope-Id"), ["batch 7"]);
            assert_eq!(values(&report, "Original-Recipient"), ["rfc822; Friend@remote.example"]);
            assert!(report.contains(&format!("Content-Type: {returned}\r\n")), "{report}");
        }
    });
}

#[test]
fn of_a_large_message_the_header_is_returned_even_when_all_was_asked_for() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Rcpt(550)]), Receiver::default());
        f.want_reports().await;
        let content = format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(400_000));
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.ret = Some(DsnReturn::Full);
        submission.size = content.len() as u64;
        submission.content = f.handles.store.stage([1; 16], content.into()).unwrap();
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        f.retired(id).await;
        let (_, report) = f.inbox().pop().unwrap();
        assert!(report.contains("\r\n\r\nSubject: large\r\n\r\n--") && report.len() < 10_000);
    });
}

#[test]
fn what_a_person_fails_is_reported_as_that() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Rcpt(450)]), Receiver::default());
        f.want_reports().await;
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(60)).await;
        let message = f.queued(id).expect("it is tried again later");
        let first = message.attempts[0].started;
        let fail = Operation::Fail("given up".into());
        assert_eq!(f.handles.operations.operate(&QueueFilter::default(), &fail).await.unwrap(), 1);
        let (_, report) = f.inbox().pop().unwrap();
        assert!(report.contains("The operator of the server gave it up."), "{report}");
        assert_eq!((values(&report, "Action"), values(&report, "Status")), (vec!["failed"], vec!["5.0.0"]));
        assert_eq!(values(&report, "Last-Attempt-Date"), [first.to_rfc5322()]);
        assert_eq!(values(&report, "Remote-MTA"), [""; 0]);
    });
}
