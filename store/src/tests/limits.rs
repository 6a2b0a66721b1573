//! What accounts may use: recipients of a day, room in mailboxes.

use super::*;
use crate::records::{Recipients, UsageRecord};
use mail::MsgId;
use proptest::prelude::*;
use std::collections::BTreeSet;

const DAY: Duration = Duration::from_secs(86_400);

impl Fixture {
    fn limited(messages: Option<u64>, first_time: Option<u64>) -> Fixture {
        let account = AccountRecord {
            max_outgoing_messages_per_day: messages,
            max_first_time_recipients_per_day: first_time,
            ..account()
        };
        Fixture::with(options(), account)
    }

    fn quota(bytes: u64) -> Fixture {
        Fixture::with(options(), AccountRecord { mailbox_quota: Some(bytes), ..account() })
    }

    /// Sends, after asking whether it may: both have to say the same.
    fn send_at(&mut self, now: Timestamp, recipients: &[&str]) -> Result<(), Refusal> {
        let asked = self.may_send(now, recipients);
        let change = Change::Accept(Submission { now, ..submission(recipients, b"x") });
        let sent = self.try_apply(change).map(drop);
        assert_eq!(asked, sent);
        sent
    }

    fn may_send(&self, now: Timestamp, recipients: &[&str]) -> Result<(), Refusal> {
        let directory = self.store.directory();
        let account = &directory.account(ACCOUNT).unwrap().record;
        let recipients: Vec<_> = recipients.iter().map(|text| address(text)).collect();
        self.store.read(|view| view.may_send(ACCOUNT, account, recipients.iter(), now)).unwrap()
    }

    fn usage(&self, now: Timestamp) -> UsageRecord {
        self.store.read(|view| view.usage(ACCOUNT, now)).unwrap()
    }

    fn reopened(self) -> Fixture {
        let Fixture { store, writer, dir } = self;
        drop((store, writer));
        let (store, writer) = Store::open(dir.path(), options()).unwrap();
        Fixture { store, writer, dir }
    }

    fn sent_copy(&mut self, bytes: &'static [u8]) -> Applied {
        let copy = SentCopy::Staged(ContentRecord::Inline(bytes.into()));
        self.apply(Change::Accept(Submission { sent_copy: copy, ..submission(&["a@b.example"], b"x") }))
    }
}

#[test]
fn recipients_count_for_24_hours_also_after_a_restart() {
    let mut f = Fixture::limited(Some(3), None);
    let at = |duration| NOW.after(duration);
    f.send_at(NOW, &["a@b.example", "b@b.example"]).unwrap();
    let half = DAY / 2;
    assert_eq!(f.send_at(at(half), &["a@b.example", "b@b.example"]), Err(Refusal::MessageLimit(3)));
    f.send_at(at(half), &["a@b.example"]).unwrap();
    assert_eq!(f.send_at(at(half), &["a@b.example"]), Err(Refusal::MessageLimit(3)));
    let mut f = f.reopened();
    let second = Duration::from_secs(1);
    assert_eq!(f.usage(at(DAY)).sent.all, 3);
    assert_eq!(f.send_at(at(DAY), &["a@b.example"]), Err(Refusal::MessageLimit(3)), "its second is not over");
    f.send_at(at(DAY + second), &["a@b.example", "c@b.example"]).unwrap();
    assert_eq!(f.usage(at(DAY + second)).sent.all, 3);
    assert_eq!(f.usage(at(DAY * 3)).sent, Recipients::default());
}

#[test]
fn only_recipients_who_never_got_anything_are_new() {
    let mut f = Fixture::limited(None, Some(2));
    f.send_at(NOW, &["a@b.example", "A+tag@b.example", "a@b.example"]).unwrap();
    assert_eq!(f.usage(NOW).sent, Recipients { all: 3, first_time: 1 });
    let three = ["c@b.example", "d@b.example", "a@b.example"];
    assert_eq!(f.send_at(NOW, &three), Err(Refusal::RecipientLimit(2)));
    f.send_at(NOW, &["b@b.example"]).unwrap();
    assert_eq!(f.send_at(NOW, &["c@b.example"]), Err(Refusal::RecipientLimit(2)));
    f.send_at(NOW, &["a@b.example", "b@b.example"]).unwrap();
    let later = NOW.after(DAY * 2);
    f.send_at(later, &["a@b.example", "c@b.example", "d@b.example"]).unwrap();
    assert_eq!(f.usage(later).sent.first_time, 2, "the one who got something two days ago is not new");
}

#[test]
fn a_limit_that_was_lowered_holds_from_then_on_and_none_means_none() {
    let mut f = Fixture::limited(None, None);
    f.send_at(NOW, &["a@b.example"; 5]).unwrap();
    let lowered = AccountRecord {
        max_outgoing_messages_per_day: Some(4),
        max_first_time_recipients_per_day: Some(0),
        ..account()
    };
    f.apply(Change::PutAccount(lowered));
    assert_eq!(f.send_at(NOW, &["a@b.example"]), Err(Refusal::MessageLimit(4)));
    let none = AccountRecord { max_outgoing_messages_per_day: Some(0), ..account() };
    f.apply(Change::PutAccount(none));
    assert_eq!(f.send_at(NOW.after(DAY * 2), &["a@b.example"]), Err(Refusal::MessageLimit(0)));
}

#[test]
fn submissions_of_one_commit_count_together() {
    let mut f = Fixture::limited(Some(3), None);
    let change = |recipients| Change::Accept(submission(recipients, b"x"));
    let changes = [change(&["a@b.example"]), change(&["a@b.example"; 3]), change(&["a@b.example"; 2])];
    let results = f.writer.commit(changes.iter()).unwrap().results;
    assert_eq!(results[1], Err(Refusal::MessageLimit(3)));
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(f.usage(NOW).sent.all, 3);
}

#[test]
fn what_is_counted_never_grows() {
    let mut f = Fixture::limited(Some(1_000_000), None);
    let seconds = |f: &Fixture| f.store.read(|view| view.tables.sent.len(&view.txn)).unwrap();
    for number in 0..300 {
        f.send_at(NOW.after(Duration::from_secs(number)), &["a@b.example"]).unwrap();
    }
    assert_eq!(seconds(&f), 300);
    for number in 0..3 {
        f.send_at(NOW.after(DAY * 2 + Duration::from_secs(number)), &["a@b.example"]).unwrap();
    }
    assert_eq!(seconds(&f), 3);
}

#[test]
fn a_copy_that_does_not_fit_is_left_out_and_the_message_goes() {
    let mut f = Fixture::quota(10);
    assert!(matches!(f.sent_copy(b"12345678"), Applied::Accepted(_)));
    assert_eq!(f.sent_copy(b"123"), Applied::AcceptedWithoutCopy(QueueId(2)));
    assert!(matches!(f.sent_copy(b"12"), Applied::Accepted(_)));
    let usage = f.usage(NOW);
    assert_eq!((usage.mailbox_messages, usage.mailbox_bytes), (2, 10));
    assert_eq!(f.store.read(|view| view.totals()).unwrap().queued, 3);

    f.apply(delete(1));
    assert_eq!(f.usage(NOW).mailbox_bytes, 2);
    assert!(matches!(f.sent_copy(b"123"), Applied::Accepted(_)), "what was deleted makes room");
}

#[test]
fn a_full_mailbox_takes_no_more_mail() {
    let mut f = Fixture::quota(21);
    let is_full = |f: &Fixture| {
        let directory = f.store.directory();
        let account = &directory.account(ACCOUNT).unwrap().record;
        f.store.read(|view| view.is_over_quota(ACCOUNT, account)).unwrap()
    };
    f.apply(Change::Arrive(arrival(None)));
    assert!(!is_full(&f));
    // A message may be larger than the room that is left: its sender cannot know.
    f.apply(Change::Arrive(arrival(None)));
    assert!(is_full(&f));
    assert_eq!(f.try_apply(Change::Arrive(arrival(None))), Err(Refusal::OverQuota));
    f.apply(delete(1));
    f.apply(Change::Arrive(arrival(None)));
}

fn delete(id: u64) -> Change {
    Change::ChangeMessage { account: ACCOUNT, id: MsgId(id), action: MessageAction::Delete }
}

proptest! {
    /// Against a list of everything that was sent.
    #[test]
    fn limits_are_kept_to_the_second(
        steps in prop::collection::vec((0u64..90_000, prop::collection::vec(0u8..12, 1..4), any::<bool>()), 1..25),
        max in 1u64..12,
        max_new in 0u64..6,
    ) {
        let mut f = Fixture::limited(Some(max), Some(max_new));
        let mut now = NOW;
        let mut sent: Vec<(i64, u64, u64)> = Vec::new();
        let mut known = BTreeSet::new();
        for (wait, recipients, quick) in steps {
            now = now.after(Duration::from_millis(if quick { wait / 100 } else { wait * 1000 }));
            let counts = |sent: &[(i64, u64, u64)]| {
                let live = sent.iter().filter(|(second, ..)| (second + 86_401) * 1000 > now.as_millis());
                live.fold((0, 0), |(all, new), entry| (all + entry.1, new + entry.2))
            };
            let (all, first) = counts(&sent);
            let new: BTreeSet<_> = recipients.iter().filter(|n| !known.contains(*n)).copied().collect();
            let (more, more_new) = (recipients.len() as u64, new.len() as u64);
            let expected = if all + more > max {
                Err(Refusal::MessageLimit(max))
            } else if more_new > 0 && first + more_new > max_new {
                Err(Refusal::RecipientLimit(max_new))
            } else {
                Ok(())
            };
            let addresses: Vec<_> = recipients.iter().map(|n| format!("n{n}@b.example")).collect();
            let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
            prop_assert_eq!(f.send_at(now, &addresses), expected);
            if expected.is_ok() {
                known.extend(new);
                sent.push((now.as_secs(), more, more_new));
            }
            let (all, first_time) = counts(&sent);
            prop_assert_eq!(f.usage(now).sent, Recipients { all, first_time });
        }
    }
}
