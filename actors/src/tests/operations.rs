use super::fixture::*;
use crate::{Gate, Operation};
use mail::{DsnNotify, QueueId};
use std::time::Duration;
use store::{
    QueueFilter,
    records::{Hold, HoldRuleRecord, MessageOutcome, QueueRecord},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Fixture {
    async fn operate(&self, filter: &QueueFilter, operation: Operation) -> usize {
        self.handles.operations.operate(filter, &operation).await.unwrap()
    }
}

fn every() -> QueueFilter {
    QueueFilter::default()
}

fn one(id: u64) -> QueueFilter {
    QueueFilter { ids: vec![QueueId(id)], ..every() }
}

/// Messages for later, so that nothing is sent meanwhile.
async fn send_later(f: &Fixture, count: usize) -> u64 {
    let mut submission = f.submission(&vec!["friend@remote.example"; count]);
    submission.future_release = Some(submission.now.after(HOUR));
    f.handles.writer.accept(submission).await.unwrap().ids.start
}

#[test]
fn an_operation_reaches_every_message_however_many_there_are() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let first = send_later(&f, 3000).await;
        let held = Operation::Hold(Hold::Operator);
        assert_eq!(f.operate(&every(), held.clone()).await, 3000);
        assert_eq!(f.operate(&every(), held).await, 0);
        assert_eq!(f.operate(&one(first + 2999), Operation::Release).await, 1);
        let rest = QueueFilter { hold: Some(true), ..every() };
        assert_eq!(f.operate(&rest, Operation::Cancel).await, 2999);
        assert_eq!(f.metrics.retired.with_label_values(&["canceled"]).get(), 2999);
        assert_eq!(f.handles.store.read(|view| view.totals()).unwrap().queued, 1);
    });
}

#[test]
fn a_message_that_is_released_or_tried_now_is_sent_at_once() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let rule = HoldRuleRecord { created: f.clock.now(), ..HoldRuleRecord::default() };
        let (rule, held) = f.handles.operations.add_hold_rule(rule).await.unwrap();
        assert_eq!(held, 0);
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(HOUR).await;
        let message = f.queued(id).unwrap();
        assert_eq!(Gate::of(&message, f.clock.now(), None), Gate::Hold { by: Hold::Rule(rule) });
        assert_eq!(f.operate(&every(), Operation::Release).await, 1);
        assert_eq!(f.retired(id).await.outcome, MessageOutcome::Delivered);

        f.handles.operations.remove_hold_rule(rule).await.unwrap();
        let id = send_later(&f, 1).await;
        let asked = f.clock.now();
        assert_eq!(f.operate(&every(), Operation::TryNow).await, 1);
        assert!(f.retired(id).await.retired.since(asked) < SECOND);
    });
}

#[test]
fn a_rule_holds_what_is_queued_already() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let first = send_later(&f, 3).await;
        let other = f.send(&["friend@other.example"]).await;
        let rule = HoldRuleRecord {
            recipient_domain: Some("remote.example".parse().unwrap()),
            created: f.clock.now(),
            ..HoldRuleRecord::default()
        };
        let (id, held) = f.handles.operations.add_hold_rule(rule.clone()).await.unwrap();
        assert_eq!(held, 3);
        assert_eq!(f.queued(first).unwrap().hold, Some(Hold::Rule(id)));
        assert_eq!(f.handles.operations.add_hold_rule(rule).await.unwrap(), (id, 0));
        assert_eq!(f.retired(other).await.outcome, MessageOutcome::Delivered);
    });
}

#[test]
fn what_is_done_to_a_message_under_way_neither_loses_nor_doubles_it() {
    for (operation, queued, outcome) in [
        (Operation::Hold(Hold::Operator), true, MessageOutcome::Delivered),
        (Operation::Postpone(Duration::ZERO), true, MessageOutcome::Delivered),
        (Operation::Cancel, false, MessageOutcome::Canceled),
        (Operation::Fail("no".into()), false, MessageOutcome::Failed { verdict: None, suppressing: false }),
    ] {
        run(async move {
            let f = Fixture::new(Peer::script([Act::Hang]), Receiver::default());
            let id = f.send(&["friend@remote.example"]).await;
            f.wait(SECOND).await;
            f.operate(&one(id), operation.clone()).await;
            // The attempt times out; nothing else was begun meanwhile.
            f.wait(HOUR).await;
            let attempts = |message: &QueueRecord| {
                message.attempts.iter().filter(|attempt| attempt.host == "peer.example").count()
            };
            match f.queued(id) {
                Some(message) => {
                    assert!(queued && attempts(&message) >= 1, "{operation:?}");
                    f.operate(&one(id), Operation::Release).await;
                    f.operate(&one(id), Operation::TryNow).await;
                }
                None => assert!(operation == Operation::Postpone(Duration::ZERO) || !queued, "{operation:?}"),
            }
            let retired = f.retired(id).await;
            assert_eq!(retired.outcome, outcome, "{operation:?}");
            assert!(attempts(&retired.message) >= 1, "{operation:?}");
        });
    }
}

#[test]
fn messages_that_are_failed_are_reported_to_who_wants_it() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        f.want_reports().await;
        let mut submission = f.submission(&["friend@remote.example"; 2]);
        submission.future_release = Some(submission.now.after(HOUR));
        submission.recipients[1].notify = Some(DsnNotify::Never);
        let first = f.handles.writer.accept(submission).await.unwrap().ids.start;
        assert_eq!(f.operate(&every(), Operation::Fail("given up".into())).await, 2);
        assert_eq!(f.handles.store.read(|view| view.totals()).unwrap().mailbox_messages, 1);
        for id in [first, first + 1] {
            assert_eq!(f.retired(id).await.message.attempts[0].result.error(), "given up");
        }
        let inbox = f.inbox();
        assert_eq!(inbox.len(), 1);
        assert!(
            inbox.iter().all(|(record, report)| record.dsn && report.contains("Action: failed")),
            "{inbox:?}"
        );
    });
}
