//! The due index: turns between accounts.

use super::*;
use proptest::prelude::*;
use std::{cell::Cell, collections::HashMap};

impl Fixture {
    /// Makes accounts 1 to `count`.
    fn with_accounts(count: u32) -> Fixture {
        let mut f = Fixture::new();
        let new = |number| Change::PutAccount(AccountRecord { name: format!("app{number}"), ..account() });
        let changes: Vec<_> = (2..=count).map(new).collect();
        f.writer.commit(changes.iter()).unwrap();
        f
    }

    fn accept_for(&mut self, account: u32, now: Timestamp) -> QueueId {
        self.accept_all(&[(account, now)])[0]
    }

    fn accept_all(&mut self, messages: &[(u32, Timestamp)]) -> Vec<QueueId> {
        let accept = |(account, now)| {
            let submission = submission(&["friend@remote.example"], b"x");
            Change::Accept(Submission { account: AccountId(account), now, ..submission })
        };
        let changes: Vec<_> = messages.iter().copied().map(accept).collect();
        let results = self.writer.commit(changes.iter()).unwrap().results;
        let id = |result| match result {
            Ok(Applied::Accepted(id)) => id,
            other => panic!("{other:?}"),
        };
        results.into_iter().map(id).collect()
    }
}

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

#[test]
fn accounts_take_turns_however_much_one_has() {
    let mut f = Fixture::with_accounts(3);
    let many: Vec<_> = (0..50).map(|second| f.accept_for(1, at(second))).collect();
    let few = [f.accept_for(3, at(100)), f.accept_for(3, at(101))];
    let one = f.accept_for(2, at(200));
    let looks = Cell::new(0);
    let due = |now, limit, skipped: &[QueueId]| {
        looks.set(0);
        f.store
            .read(|view| {
                view.due_messages("remote.example", now, limit, |id| {
                    looks.set(looks.get() + 1);
                    skipped.contains(&id)
                })
            })
            .unwrap()
    };
    assert_eq!(due(at(300), 6, &[]), [many[0], one, few[0], many[1], few[1], many[2]]);
    assert_eq!(looks.get(), 6, "what is not returned costs nothing");
    assert_eq!(due(at(300), 3, &[many[0], one]), [many[1], few[0], many[2]]);
    assert_eq!(due(at(100), 3, &[]), [many[0], few[0], many[1]], "the others are not due yet");
    assert_eq!(due(at(300), 0, &[]), []);
}

#[test]
fn where_not_one_of_each_account_fits_none_is_always_last() {
    let mut f = Fixture::with_accounts(5);
    let ids: Vec<_> = (1..=5).map(|account| f.accept_for(account, NOW)).collect();
    let mut times: HashMap<QueueId, usize> = HashMap::new();
    for millis in 0..50 {
        let now = NOW.after(Duration::from_millis(millis));
        let due = f.store.read(|view| view.due_messages("remote.example", now, 2, |_| false)).unwrap();
        assert_eq!(due.len(), 2);
        for id in due {
            *times.entry(id).or_default() += 1;
        }
    }
    assert!(ids.iter().all(|id| times[id] == 20), "{times:?}");
}

proptest! {
    /// Against a plain list.
    #[test]
    fn times_and_shares_are_those_of_a_plain_list(
        messages in prop::collection::vec((1u32..5, 0u64..40), 1..40),
        now in 0u64..50,
        limit in 0usize..50,
    ) {
        let mut f = Fixture::with_accounts(4);
        let messages: Vec<_> = messages.into_iter().map(|(account, second)| (account, at(second))).collect();
        let ids = f.accept_all(&messages);
        let mut list: Vec<_> = messages.into_iter().zip(ids).map(|((account, at), id)| (account, at, id)).collect();
        list.sort();
        let earliest = list.iter().map(|entry| entry.1).min();
        f.store.read(|view| {
            let next = |after| view.next_message_due("remote.example", after).unwrap();
            assert_eq!(next(None), earliest);
            let later = list.iter().map(|entry| entry.1).filter(|time| *time > at(now)).min();
            assert_eq!(next(Some(at(now))), later);
            let destinations = view.destinations(None, 10).unwrap();
            assert_eq!(destinations, [("remote.example".to_owned(), earliest.unwrap())]);

            let due = view.due_messages("remote.example", at(now), limit, |_| false).unwrap();
            let all: Vec<_> = list.iter().filter(|entry| entry.1 <= at(now)).collect();
            assert_eq!(due.len(), all.len().min(limit));
            for account in 1..=4 {
                let of_account = |ids: &[QueueId]| -> Vec<QueueId> {
                    let owner = |id: &QueueId| all.iter().find(|entry| entry.2 == *id).unwrap().0;
                    ids.iter().copied().filter(|id| owner(id) == account).collect()
                };
                let its_all: Vec<_> = all.iter().filter(|entry| entry.0 == account).map(|entry| entry.2).collect();
                let its = of_account(&due);
                assert!(its_all.starts_with(&its), "oldest first");
                assert!(its.len() >= its_all.len().min(limit / 4), "its share");
            }
            Ok(())
        }).unwrap();
    }
}
