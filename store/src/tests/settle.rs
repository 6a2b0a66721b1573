//! Settling: reports, moves, and what a person did meanwhile.

use super::*;

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn report(content: ContentRecord) -> Option<Report> {
    Some(Report { size: content.size(), content, msg_from: address("postmaster@example.com") })
}

fn settlement(id: u64, decision: Decision, report: Option<Report>) -> Change {
    let attempt = Some(refused(451, "later"));
    Change::Settle(vec![Settlement { id: QueueId(id), now: NOW, attempt, decision, report }])
}

#[test]
fn a_message_moves_to_another_destination_without_an_attempt() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    let before = f.store.read(|view| view.message(QueueId(id))).unwrap().unwrap();
    let touched = f.settle(id, None, Decision::Move { destination: "transport:relay".into() });
    assert!(touched.destinations.contains("transport:relay"));
    assert_eq!(f.due(Timestamp::MAX), []);
    let due = f.store.read(|view| view.due_messages("transport:relay", NOW, 10, |_| false)).unwrap();
    assert_eq!(due, [QueueId(id)]);
    let after = f.store.read(|view| view.message(QueueId(id))).unwrap().unwrap();
    assert_eq!(after, QueueRecord { destination: "transport:relay".into(), ..before });
    assert_eq!(f.events(), [EventKind::Queued]);
}

#[test]
fn a_report_comes_into_the_inbox_and_makes_no_incoming_webhook() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    let content = ContentRecord::Inline(b"Subject: delayed\r\n\r\n"[..].into());
    f.apply(settlement(id, Decision::Retry(at(60)), report(content)));
    let mailboxes = f.store.read(|view| view.mailboxes(ACCOUNT)).unwrap();
    let inbox = mailboxes.iter().find(|(_, mailbox)| mailbox.name == "Inbox").unwrap().0;
    let msgs = f.store.read(|view| view.mailbox_messages(inbox, None, 10)).unwrap();
    let stored = f.store.read(|view| view.mailbox_message(msgs[0])).unwrap().unwrap();
    assert!(stored.dsn && stored.automated);
    assert_eq!((stored.mail_from, stored.rcpt_to), (ReversePath::Null, Some(address("app@example.com"))));
    let incoming =
        f.store.read(|view| view.due_hooks("http://hooks.example/in", NOW, 10, |_| false)).unwrap();
    assert_eq!(incoming, []);
}

#[test]
fn a_report_that_nobody_can_get_leaves_nothing_behind() {
    let files = |f: &Fixture| std::fs::read_dir(f.dir.path().join("content")).unwrap().count();
    let staged = |f: &Fixture| report(f.store.stage([9; 16], vec![b'x'; 5000].into()).unwrap());
    let messages = |f: &Fixture| f.store.read(|view| view.totals()).unwrap().mailbox_messages;

    let mut f = Fixture::with(options(), AccountRecord { mailbox_quota: Some(4000), ..account() });
    let id = f.accept(&["friend@remote.example"]);
    let change = settlement(id, Decision::Retry(at(60)), staged(&f));
    f.apply(change);
    assert_eq!((files(&f), messages(&f)), (0, 0), "the mailboxes are full");

    let mut f = Fixture::new();
    let mut without_return_path = submission(&["friend@remote.example"], b"x");
    without_return_path.recipients[0].mail_from = ReversePath::Null;
    f.apply(Change::Accept(without_return_path));
    let change = settlement(1, Decision::Retry(at(60)), staged(&f));
    f.apply(change);
    assert_eq!((files(&f), messages(&f)), (0, 0), "there is no return path");

    let change = settlement(99, Decision::Retry(at(60)), staged(&f));
    f.apply(change);
    assert_eq!((files(&f), messages(&f)), (0, 0), "the message is gone");
}

#[test]
fn an_attempt_of_a_message_that_left_meanwhile_is_added_to_its_history_once() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, None, Decision::Cancel);
    for _ in 0..2 {
        f.settle(id, Some(delivered()), Decision::Delivered);
    }
    let retired = f.store.read(|view| view.retired_message(QueueId(id))).unwrap().unwrap();
    assert_eq!((retired.outcome, retired.message.attempts.len()), (MessageOutcome::Canceled, 1));
}
