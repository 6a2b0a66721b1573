//! What comes again is queued once.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn request(key: u8, fingerprint: u8) -> Option<RepeatableRequest> {
    Some(RepeatableRequest { key: [key; 32], fingerprint: [fingerprint; 32] })
}

fn with_request(key: u8, fingerprint: u8) -> Submission {
    let mut submission = submission(&["a@remote.example", "b@remote.example"], b"x");
    submission.repeatable = request(key, fingerprint);
    submission
}

/// To these recipients, each with a digest of the number behind it.
fn messages(recipients: &[(&str, u8)]) -> Submission {
    let names: Vec<_> = recipients.iter().map(|(name, _)| *name).collect();
    let mut submission = submission(&names, b"x");
    for (recipient, (_, digest)) in submission.recipients.iter_mut().zip(recipients) {
        recipient.once = Some([*digest; 32]);
    }
    submission
}

impl Fixture {
    fn in_queue(&self) -> u64 {
        self.store.read(|view| view.totals()).unwrap().queued
    }
}

#[test]
fn a_request_that_comes_again_gets_its_first_answer() {
    let mut f = Fixture::new();
    let mut first = with_request(1, 1);
    let from_id = FromId::new(NOW, [7; 12]);
    first.recipients[0].from_id = Some(from_id.clone());
    assert_eq!(f.apply(Change::Accept(first.clone())), Applied::Accepted(QueueId(1)));
    // What is composed anew differs.
    first.recipients[0].from_id = Some(FromId::new(NOW, [8; 12]));
    first.message_id = "<2@example.com>".into();
    let Applied::AcceptedBefore(answer) = f.apply(Change::Accept(first)) else { panic!() };
    assert_eq!((answer.first, answer.message_id.as_str()), (QueueId(1), "<1@example.com>"));
    let recipients = [("a@remote.example".to_owned(), Some(from_id)), ("b@remote.example".to_owned(), None)];
    assert_eq!((answer.recipients.as_slice(), answer.copy), (&recipients[..], CopyOutcome::Fine));
    assert_eq!(f.in_queue(), 2);
    let early = f.store.read(|view| view.first_answer(ACCOUNT, &request(1, 1).unwrap(), NOW)).unwrap();
    assert_eq!(early, Ok(Some(answer)));

    assert_eq!(f.apply(Change::Accept(with_request(2, 1))), Applied::Accepted(QueueId(3)));
    assert_eq!(f.try_apply(Change::Accept(with_request(1, 2))), Err(Refusal::OtherRequest));
    assert_eq!(f.in_queue(), 4);
}

#[test]
fn what_became_of_the_copy_is_told_again() {
    let fits = SentCopy::Staged(ContentRecord::Inline(b"copy"[..].into()));
    let large = SentCopy::Staged(ContentRecord::Inline(vec![b'x'; 50].into()));
    let limited = AccountRecord { mailbox_quota: Some(20), ..account() };
    let mut f = Fixture::with(options(), limited);
    for (key, (sent_copy, copy)) in [
        (SentCopy::Unwanted, CopyOutcome::Fine),
        (fits, CopyOutcome::Fine),
        (large, CopyOutcome::OverQuota),
        (SentCopy::Failed, CopyOutcome::Failed),
    ]
    .into_iter()
    .enumerate()
    {
        let submission = Submission { sent_copy, ..with_request(key as u8, 1) };
        f.apply(Change::Accept(submission.clone()));
        let again = f.apply(Change::Accept(submission));
        assert!(matches!(&again, Applied::AcceptedBefore(answer) if answer.copy == copy), "{again:?}");
    }
}

#[test]
fn two_of_the_same_in_one_commit_are_one() {
    let mut f = Fixture::new();
    let both = [Change::Accept(with_request(1, 1)), Change::Accept(with_request(1, 1))];
    let results = f.writer.commit(both.iter()).unwrap().results;
    assert_eq!(results[0], Ok(Applied::Accepted(QueueId(1))));
    assert!(matches!(&results[1], Ok(Applied::AcceptedBefore(answer)) if answer.first == QueueId(1)));
}

#[test]
fn a_request_that_was_refused_can_come_again() {
    let limited = AccountRecord { max_outgoing_messages_per_day: Some(1), ..account() };
    let mut f = Fixture::with(options(), limited);
    assert_eq!(f.try_apply(Change::Accept(with_request(1, 1))), Err(Refusal::MessageLimit(1)));
    f.apply(Change::PutAccount(account()));
    assert_eq!(f.apply(Change::Accept(with_request(1, 1))), Applied::Accepted(QueueId(1)));
}

#[test]
fn a_repeat_is_known_across_restarts_and_for_a_day() {
    let mut f = Fixture::new();
    f.apply(Change::Accept(with_request(1, 1)));
    f.apply(Change::Accept(messages(&[("a@remote.example", 5)])));
    let Fixture { store, writer, dir } = f;
    drop((store, writer));
    let (store, writer) = Store::open(dir.path(), options()).unwrap();
    let mut f = Fixture { store, writer, dir };
    let at = |now: Timestamp, submission: Submission| Change::Accept(Submission { now, ..submission });
    let almost = Timestamp::from_millis(NOW.after(DAY).as_millis() - 1);
    let sweep = |now: Timestamp| Change::Sweep(Sweep { now, events_before: NOW, limit: 100 });
    f.apply(sweep(almost));
    assert!(matches!(f.apply(at(almost, with_request(1, 1))), Applied::AcceptedBefore(_)));
    assert_eq!(f.in_queue(), 3);
    // Over, swept or not.
    assert_eq!(f.apply(at(NOW.after(DAY), with_request(1, 1))), Applied::Accepted(QueueId(4)));
    f.apply(sweep(NOW.after(DAY)));
    assert!(matches!(f.apply(at(NOW.after(DAY), with_request(1, 1))), Applied::AcceptedBefore(_)));
    f.apply(sweep(NOW.after(2 * DAY)));
    let left =
        f.store.read(|view| view.tables.repeats.from(&view.txn, std::ops::Bound::Unbounded, 9)).unwrap();
    assert_eq!(left, []);
}

#[test]
fn a_message_is_queued_once_for_each_recipient() {
    let mut f = Fixture::new();
    let (a, b, c) = (("a@remote.example", 1), ("b@remote.example", 2), ("c@remote.example", 3));
    assert_eq!(f.apply(Change::Accept(messages(&[a, b]))), Applied::Accepted(QueueId(1)));
    assert_eq!(f.apply(Change::Accept(messages(&[a, b]))), Applied::Accepted(QueueId(1)));
    assert_eq!(f.in_queue(), 2);
    // One that is new is queued.
    assert_eq!(f.apply(Change::Accept(messages(&[b, c]))), Applied::Accepted(QueueId(3)));
    assert_eq!(f.in_queue(), 3);
    assert_eq!(f.apply(Change::Accept(messages(&[c, b]))), Applied::Accepted(QueueId(3)));
}

#[test]
fn files_of_what_came_again_are_removed() {
    let mut f = Fixture::new();
    for name in [1, 2] {
        let mut submission = with_request(1, 1);
        submission.content = f.store.stage([name; 16], vec![b'x'; 5000].into()).unwrap();
        f.apply(Change::Accept(submission));
    }
    assert_eq!(std::fs::read_dir(f.dir.path().join("content")).unwrap().count(), 1);
}
