//! What operators do with the queue.

use super::*;
use mail::HoldRuleId;
use proptest::prelude::*;
use std::{collections::BTreeSet, ops::Bound};

pub(super) fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

pub(super) fn operation(ids: &[u64], action: QueueAction) -> Change {
    let ids = ids.iter().copied().map(QueueId).collect();
    Change::Operate(QueueOperation { ids, filter: QueueFilter::default(), now: NOW, action })
}

impl Fixture {
    pub(super) fn operate(&mut self, ids: &[u64], action: QueueAction) -> usize {
        match self.apply(operation(ids, action)) {
            Applied::Operated { changed } => changed,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn queued(&self, id: u64) -> QueueRecord {
        self.store.read(|view| view.message(QueueId(id))).unwrap().unwrap()
    }
}

fn fail(reason: &str) -> QueueAction {
    QueueAction::Fail { reason: reason.into(), reports: BTreeMap::new() }
}

#[test]
fn a_held_message_is_not_due_until_it_is_released() {
    let mut f = Fixture::new();
    let first = f.accept(&["a@remote.example", "b@remote.example"]);
    assert_eq!(f.operate(&[first, first, 99], QueueAction::Hold(Hold::Operator)), 1);
    assert_eq!(f.due(NOW), [QueueId(first + 1)]);
    assert_eq!(f.store.read(|view| view.totals()).unwrap().held, 1);
    let committed = f.writer.commit([operation(&[first], QueueAction::Release)].iter()).unwrap();
    assert!(committed.touched.destinations.contains("remote.example"));
    assert_eq!(f.due(NOW), [QueueId(first), QueueId(first + 1)]);
    assert_eq!(f.operate(&[first], QueueAction::Release), 0);
}

#[test]
fn the_time_of_the_next_attempt_is_set_or_put_off() {
    let mut f = Fixture::new();
    let id = f.accept(&["a@remote.example"]);
    f.operate(&[id], QueueAction::Schedule(at(100)));
    f.operate(&[id], QueueAction::Postpone(Duration::from_secs(5)));
    assert_eq!(f.due(at(104)), []);
    assert_eq!(f.due(at(105)), [QueueId(id)]);
    f.operate(&[id], QueueAction::Schedule(NOW));
    assert_eq!(f.due(NOW), [QueueId(id)]);
    assert_eq!(f.store.read(|view| view.totals()).unwrap().deferred, 0);
}

#[test]
fn transport_and_require_tls_are_set() {
    let mut f = Fixture::new();
    let id = f.accept(&["a@remote.example"]);
    f.operate(&[id], QueueAction::SetTransport(Some("relay".into())));
    f.operate(&[id], QueueAction::SetRequireTls(Some(true)));
    assert_eq!((f.queued(id).transport.as_deref(), f.queued(id).require_tls), (Some("relay"), Some(true)));
    f.operate(&[id], QueueAction::SetTransport(None));
    assert_eq!(f.operate(&[id], QueueAction::SetTransport(None)), 0, "it is so already");
    assert_eq!(f.queued(id).transport, None);
}

#[test]
fn a_message_that_is_failed_leaves_as_after_a_permanent_error() {
    let mut f = Fixture::new();
    let first = f.accept(&["a@remote.example", "b@remote.example"]);
    let report = Report {
        content: ContentRecord::Inline(b"Subject: failed\r\n\r\n"[..].into()),
        size: 19,
        msg_from: address("postmaster@example.com"),
    };
    let reports = BTreeMap::from([(QueueId(first), report)]);
    let action = QueueAction::Fail { reason: "given up by the operator".into(), reports };
    assert_eq!(f.operate(&[first, first + 1], action), 2);
    let totals = f.store.read(|view| view.totals()).unwrap();
    assert_eq!((totals.queued, totals.mailbox_messages, totals.suppressions), (0, 1, 0));
    let retired = f.store.read(|view| view.retired_message(QueueId(first))).unwrap().unwrap();
    assert_eq!(retired.outcome, MessageOutcome::Failed { verdict: None, suppressing: false });
    assert_eq!(retired.message.attempts[0].result.error(), "given up by the operator");
    let hooks = f.store.read(|view| view.due_hooks("http://hooks.example/out", NOW, 10, |_| false)).unwrap();
    let hook = f.store.read(|view| view.hook(hooks[0])).unwrap().unwrap();
    let HookSubject::Outgoing(told) = hook.subject else { panic!() };
    assert_eq!((told.event.kind, &*told.event.error), (EventKind::Failed, "given up by the operator"));
}

#[test]
fn a_message_that_is_dropped_is_told_as_canceled() {
    let mut f = Fixture::new();
    let id = f.accept(&["a@remote.example"]);
    assert_eq!(f.operate(&[id], QueueAction::Cancel), 1);
    assert_eq!(f.events(), [EventKind::Queued, EventKind::Canceled]);
    assert_eq!(f.operate(&[id], QueueAction::Cancel), 0);
}

#[test]
fn a_message_that_changed_since_it_was_read_is_passed_over() {
    let mut f = Fixture::new();
    let id = f.accept(&["a@remote.example"]);
    let filter = QueueFilter { hold: Some(true), ..QueueFilter::default() };
    let operation = QueueOperation { ids: vec![QueueId(id)], filter, now: NOW, action: QueueAction::Cancel };
    assert_eq!(f.apply(Change::Operate(operation)), Applied::Operated { changed: 0 });
    f.queued(id);
}

#[test]
fn what_is_done_while_an_attempt_runs_survives_its_end() {
    let started = Attempt { started: at(10), ..refused(451, "later") };
    let settle = |f: &mut Fixture, id| {
        let decision = Decision::Retry(at(500));
        let attempt = Some(started.clone());
        let settlement = Settlement { id: QueueId(id), now: at(20), attempt, decision, report: None };
        f.apply(Change::Settle(vec![settlement]));
        f.queued(id)
    };
    let mut f = Fixture::new();
    let first = f.accept(&["a@remote.example"; 4]);
    f.operate(&[first], QueueAction::Hold(Hold::Operator));
    f.operate(&[first + 1], QueueAction::Schedule(at(15)));
    f.operate(&[first + 2], QueueAction::SetTransport(Some("relay".into())));
    let held = settle(&mut f, first);
    assert_eq!((held.hold, held.next_attempt), (Some(Hold::Operator), at(500)));
    assert_eq!(settle(&mut f, first + 1).next_attempt, at(15), "the time that somebody chose");
    let moved = settle(&mut f, first + 2);
    assert_eq!((moved.transport.as_deref(), moved.next_attempt), (Some("relay"), at(500)));
    assert_eq!(settle(&mut f, first + 3).next_attempt, at(500));
    assert_eq!(f.due(at(600)), [first + 1, first + 2, first + 3].map(QueueId));
}

/// The indexes hold what the queue holds, and nothing else.
fn check_indexes(f: &Fixture) {
    f.store
        .read(|view| {
            let (txn, tables) = (&view.txn, view.tables);
            let queue = tables.queue.from(txn, Bound::Unbounded, usize::MAX)?;
            let next: BTreeSet<_> = queue.iter().map(|(id, record)| (record.next_attempt, *id)).collect();
            let found = tables.queue_next.from(txn, Bound::Unbounded, usize::MAX)?;
            assert_eq!(found.into_iter().map(|(key, ())| key).collect::<BTreeSet<_>>(), next);

            let unheld: Vec<_> = queue.iter().filter(|(_, record)| record.hold.is_none()).collect();
            assert_eq!(tables.queue_due.len(txn)?, unheld.len() as u64);
            let mut due: Vec<QueueId> = Vec::new();
            for (destination, earliest) in view.destinations(None, usize::MAX)? {
                let its: Vec<_> =
                    unheld.iter().filter(|(_, record)| record.destination == destination).collect();
                assert_eq!(its.iter().map(|(_, record)| record.next_attempt).min(), Some(earliest));
                due.extend(view.due_messages(&destination, Timestamp::MAX, usize::MAX, |_| false)?);
            }
            due.sort();
            assert_eq!(due, unheld.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            let deferred = queue.iter().filter(|(_, record)| record.next_attempt > record.queued).count();
            assert_eq!(view.totals()?.deferred, deferred as u64);
            Ok(())
        })
        .unwrap();
}

fn any_action() -> impl Strategy<Value = QueueAction> {
    prop_oneof![
        Just(QueueAction::Hold(Hold::Operator)),
        Just(QueueAction::Hold(Hold::Rule(HoldRuleId(1)))),
        Just(QueueAction::Hold(Hold::Rule(HoldRuleId(2)))),
        Just(QueueAction::Release),
        Just(QueueAction::Release),
        (0u64..100).prop_map(|seconds| QueueAction::Schedule(at(seconds))),
        (0u64..100).prop_map(|seconds| QueueAction::Postpone(Duration::from_secs(seconds))),
        Just(QueueAction::SetTransport(Some("relay".into()))),
        Just(fail("no")),
        Just(QueueAction::Cancel),
    ]
}

fn any_decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        (0u64..100).prop_map(|seconds| Decision::Retry(at(seconds))),
        (0u64..100).prop_map(|seconds| Decision::Retry(at(seconds))),
        Just(Decision::Move { destination: "transport:relay".into() }),
        Just(Decision::Delivered),
        Just(Decision::Suppressed),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let recipients = prop_oneof![Just("a@remote.example"), Just("b@other.example")];
    prop_oneof![
        (prop::collection::vec(recipients, 1..4), prop::option::of(0u64..100)).prop_map(|(to, release)| {
            Change::Accept(Submission { future_release: release.map(at), ..submission(&to, b"x") })
        }),
        (prop::collection::vec(1u64..20, 1..5), any_action())
            .prop_map(|(ids, action)| operation(&ids, action)),
        (1u64..20, any_decision(), 0u64..100).prop_map(|(id, decision, started)| {
            let attempt = matches!(decision, Decision::Retry(_) | Decision::Delivered)
                .then(|| Attempt { started: at(started), ..refused(451, "later") });
            let id = QueueId(id);
            Change::Settle(vec![Settlement { id, now: NOW, attempt, decision, report: None }])
        }),
        Just(Change::AddHoldRule(HoldRuleRecord {
            recipient_domain: Some(Domain::parse("other.example").unwrap()),
            ..HoldRuleRecord::default()
        })),
        (1u64..3).prop_map(|id| Change::RemoveHoldRule(HoldRuleId(id))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_indexes_are_exact_whatever_is_done(changes in prop::collection::vec(any_change(), 1..40)) {
        let mut f = Fixture::new();
        for changes in changes.chunks(10) {
            f.writer.commit(changes.iter()).unwrap();
            check_indexes(&f);
        }
    }
}
