//! Lists of the queue: filters, order, pages.

use super::{operations::at, *};
use proptest::prelude::*;

fn ids(filter: &QueueFilter, f: &Fixture) -> Vec<u64> {
    pages(f, filter, SortBy::Submitted, false, 100)
}

/// All pages of a list, each gone on from the text of its key.
fn pages(f: &Fixture, filter: &QueueFilter, sort: SortBy, descending: bool, limit: usize) -> Vec<u64> {
    let mut all = Vec::new();
    let mut place = Place::start(sort);
    loop {
        let slice = f.store.read(|view| view.queue_slice(filter, place, descending, limit)).unwrap();
        assert!(slice.rows.len() <= limit);
        all.extend(slice.rows.iter().map(|(id, _)| id.0));
        let Some(next) = slice.next else { return all };
        place = Place::parse(sort, &next.key()).unwrap();
    }
}

#[test]
fn every_filter_finds_its_messages_and_all_must_hold() {
    let mut f = Fixture::new();
    f.apply(Change::PutAccount(AccountRecord { name: "other".into(), ..account() }));
    let from_id = FromId::new(NOW, [7; 12]);
    let mut first = submission(&["friend@remote.example"], b"x");
    first.recipients[0].mail_from = ReversePath::Address(address(&format!("App+{from_id}@example.com")));
    first.recipients[0].from_id = Some(from_id);
    f.apply(Change::Accept(first));
    let mut second = submission(&["Friend@other.example"], b"x");
    second.account = AccountId(2);
    second.now = at(10);
    second.transport = Some("relay".into());
    second.recipients[0].mail_from = ReversePath::Address(address("x@sender.example"));
    f.apply(Change::Accept(second));
    let mut third = submission(&["friend@remote.example"], b"x");
    third.now = at(20);
    third.recipients[0].mail_from = ReversePath::Null;
    f.apply(Change::Accept(third));
    f.operate(&[3], QueueAction::Hold(Hold::Operator));
    f.operate(&[1], QueueAction::Schedule(at(50)));

    let range =
        |after: Option<u64>, before: Option<u64>| TimeRange { after: after.map(at), before: before.map(at) };
    let domain = |text| Some(Domain::parse(text).unwrap());
    let all = QueueFilter::default;
    for (filter, expected) in [
        (all(), &[1, 2, 3][..]),
        (QueueFilter { ids: vec![QueueId(3), QueueId(1), QueueId(9), QueueId(3)], ..all() }, &[1, 3]),
        (QueueFilter { account: Some(AccountId(2)), ..all() }, &[2]),
        (QueueFilter { sender: Some(address("app@example.com").into()), ..all() }, &[1]),
        (QueueFilter { sender: Some(ReversePath::Null), ..all() }, &[3]),
        (QueueFilter { sender_domain: domain("sender.example"), ..all() }, &[2]),
        (QueueFilter { recipient: Some(address("friend@OTHER.example")), ..all() }, &[2]),
        (QueueFilter { recipient_domain: domain("remote.example"), ..all() }, &[1, 3]),
        (QueueFilter { hold: Some(true), ..all() }, &[3]),
        (QueueFilter { hold: Some(false), ..all() }, &[1, 2]),
        (QueueFilter { submitted: range(Some(0), None), ..all() }, &[2, 3]),
        (QueueFilter { submitted: range(None, Some(20)), ..all() }, &[1, 2]),
        (QueueFilter { next_attempt: range(Some(10), Some(50)), ..all() }, &[3]),
        (QueueFilter { transport: Some("relay".into()), ..all() }, &[2]),
        (QueueFilter { transport: Some(String::new()), ..all() }, &[1, 3]),
        (QueueFilter { hold: Some(true), recipient_domain: domain("other.example"), ..all() }, &[]),
        (QueueFilter { hold: Some(true), recipient_domain: domain("remote.example"), ..all() }, &[3]),
        (QueueFilter { ids: vec![QueueId(1), QueueId(3)], hold: Some(true), ..all() }, &[3]),
    ] {
        assert_eq!(ids(&filter, &f), expected, "{filter:?}");
    }
}

#[test]
fn retired_messages_are_found_by_how_they_left() {
    let mut f = Fixture::new();
    let first = f.accept(&["a@remote.example", "b@remote.example", "c@remote.example", "d@remote.example"]);
    f.settle(first, Some(delivered()), Decision::Delivered);
    f.settle(first + 1, None, Decision::Failed { verdict: None, suppress: Suppress::No });
    f.settle(first + 2, None, Decision::Suppressed);
    f.settle(first + 3, None, Decision::Cancel);
    let all = RetiredFilter::default;
    let only =
        |ids: &[u64]| QueueFilter { ids: ids.iter().copied().map(QueueId).collect(), ..Default::default() };
    for (filter, expected) in [
        (all(), &[1, 2, 3, 4][..]),
        (RetiredFilter { success: Some(true), ..all() }, &[1]),
        (RetiredFilter { success: Some(false), ..all() }, &[2, 3, 4]),
        (RetiredFilter { event: Some(EventKind::Failed), ..all() }, &[2]),
        (RetiredFilter { event: Some(EventKind::Suppressed), ..all() }, &[3]),
        (RetiredFilter { event: Some(EventKind::Canceled), ..all() }, &[4]),
        (RetiredFilter { event: Some(EventKind::Delivered), success: Some(false), ..all() }, &[]),
        (RetiredFilter { message: only(&[2, 4]), ..all() }, &[2, 4]),
        (RetiredFilter { message: only(&[2, 4]), success: Some(true), ..all() }, &[]),
    ] {
        for limit in [1, 100] {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let slice = f.store.read(|view| view.retired_slice(&filter, after, true, limit)).unwrap();
                found.extend(slice.rows.iter().map(|(id, _)| id.0));
                let Some(Place::Submitted(next)) = slice.next else { break };
                after = next;
            }
            found.reverse();
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}

#[test]
fn a_slice_looks_at_a_bounded_number_of_messages() {
    let mut f = Fixture::new();
    for _ in 0..50 {
        f.accept(&["friend@remote.example"; 100]);
    }
    let last = f.accept(&["rare@rare.example"]);
    let filter =
        QueueFilter { recipient_domain: Some(Domain::parse("rare.example").unwrap()), ..Default::default() };
    for sort in [SortBy::Submitted, SortBy::NextAttempt] {
        let slice = f.store.read(|view| view.queue_slice(&filter, Place::start(sort), false, 10)).unwrap();
        assert!(slice.rows.is_empty() && slice.next.is_some());
        assert_eq!(pages(&f, &filter, sort, false, 10), [last]);
    }
}

#[test]
fn a_key_of_a_list_in_another_order_is_refused() {
    for (sort, key) in [
        (SortBy::Submitted, "1800000000000.3"),
        (SortBy::NextAttempt, "3"),
        (SortBy::Submitted, ""),
        (SortBy::Submitted, "x"),
        (SortBy::NextAttempt, "1.x"),
        (SortBy::NextAttempt, ".1"),
    ] {
        assert_eq!(Place::parse(sort, key), Err(PlaceError), "{key}");
    }
}

proptest! {
    /// Against a sorted list of all.
    #[test]
    fn pages_of_any_size_make_the_whole_list(
        messages in prop::collection::vec(0u64..8, 1..30),
        chosen in prop::collection::vec(1u64..35, 0..10),
        times in (prop::option::of(0u64..8), prop::option::of(0u64..8)),
        by_next_attempt: bool,
        descending: bool,
        limit in 1usize..8,
    ) {
        let mut f = Fixture::new();
        let accept = |second| {
            let submission = submission(&["friend@remote.example"], b"x");
            Change::Accept(Submission { future_release: Some(at(second)), ..submission })
        };
        let changes: Vec<_> = messages.iter().copied().map(accept).collect();
        f.writer.commit(changes.iter()).unwrap();
        let filter = QueueFilter {
            ids: chosen.iter().copied().map(QueueId).collect(),
            next_attempt: TimeRange { after: times.0.map(at), before: times.1.map(at) },
            ..QueueFilter::default()
        };
        let sort = if by_next_attempt { SortBy::NextAttempt } else { SortBy::Submitted };
        let mut expected: Vec<(u64, u64)> = (1..).zip(&messages)
            .filter(|(id, second)| {
                (chosen.is_empty() || chosen.contains(id)) && filter.next_attempt.contains(at(**second))
            })
            .map(|(id, second)| (if by_next_attempt { *second } else { 0 }, id))
            .collect();
        expected.sort();
        if descending {
            expected.reverse();
        }
        let expected: Vec<u64> = expected.into_iter().map(|(_, id)| id).collect();
        prop_assert_eq!(pages(&f, &filter, sort, descending, limit), expected);
    }
}
