//! Destinations side by side, and the ways to them.

use super::fixture::*;
use mail::QueueId;
use std::time::Duration;
use store::records::{AttemptResult, MessageOutcome};

const RELAY: &str = "[[transports]]\nname = \"relay\"\nsmtp = { host = \"192.0.2.9\", tls = \"none\" }\n";

/// How long a message took from the queue to its end.
async fn took(f: &Fixture, id: u64) -> Duration {
    let retired = f.retired(id).await;
    assert_eq!(retired.outcome, MessageOutcome::Delivered);
    retired.retired.since(retired.message.queued)
}

#[test]
fn a_thousand_destinations_that_hang_slow_no_other_down() {
    run(async {
        let f = Fixture::by_mx(Peer::default(), "", |_| {});
        let hanging: Vec<_> = (0..1000).map(|n| format!("friend@hang{n}.example")).collect();
        let hanging: Vec<_> = hanging.iter().map(String::as_str).collect();
        f.send(&hanging).await;
        for n in 0..5 {
            let mut submission = f.submission(&[&format!("friend@fast{n}.example")]);
            submission.account = OTHER_ACCOUNT;
            let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
            let took = took(&f, id).await;
            assert!(took < Duration::from_millis(1500), "{took:?}");
        }
        // Of the same account too, once those that hang have stepped aside.
        f.wait(Duration::from_secs(15)).await;
        let id = f.send(&["friend@fast.example"]).await;
        let took = took(&f, id).await;
        assert!(took < Duration::from_millis(1500), "{took:?}");
    });
}

#[test]
fn an_account_with_many_messages_delays_no_other_at_the_same_destination() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::by_mx(peer.clone(), "", |options| {
            options.delivery.due_batch_max = 100;
            options.delivery.recipients_max = 1;
        });
        f.send(&vec!["friend@remote.example"; 2000]).await;
        let mut submission = f.submission(&["other@remote.example"]);
        submission.account = OTHER_ACCOUNT;
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        f.retired(id).await;
        let before = peer.received().iter().take_while(|(_, to)| to[0] != "other@remote.example").count();
        assert!(before < 300, "{before}");
    });
}

#[test]
fn a_message_moves_to_the_transport_that_its_attempts_lead_to() {
    run(async {
        let settings = format!("{RELAY}[[routes]]\ntransport = \"relay\"\nminimum_attempts = 1\n");
        let f = Fixture::by_mx(Peer::script([Act::Data(451)]), &settings, |_| {});
        let id = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(id).await;
        let hosts: Vec<_> = retired.message.attempts.iter().map(|attempt| attempt.host.as_str()).collect();
        assert_eq!(hosts, ["mx.remote.example", "192.0.2.9"]);
        assert_eq!(retired.message.destination, "relay:");
    });
}

#[test]
fn a_transport_that_fails_fails_and_one_that_is_gone_says_so_and_waits() {
    run(async {
        let settings = "[[transports]]\nname = \"refuse\"\nfail = { code = 550, text = \"5.7.1 no\" }\n";
        let f = Fixture::by_mx(Peer::default(), settings, |_| {});
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.transport = Some("refuse".into());
        let id = f.handles.writer.accept(submission.clone()).await.unwrap().ids.start;
        let retired = f.retired(id).await;
        let AttemptResult::Refused(answer) = &retired.message.attempts[0].result else { panic!() };
        assert_eq!((answer.code, answer.enhanced.map(|code| code.to_string())), (550, Some("5.7.1".into())));

        submission.transport = Some("gone".into());
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        f.wait(Duration::from_secs(10)).await;
        let queued = f.queued(id).unwrap();
        assert!(queued.attempts[0].result.error().contains("no transport named \"gone\""), "{queued:?}");
    });
}

#[test]
fn a_destination_may_get_fewer_connections_and_messages_in_a_minute() {
    run(async {
        let settings = "[[destinations]]\ndomains = [\"slow.example\"]\nconnections_max = 1\n\
                        messages_per_minute = 60\nrecipients_per_transaction_max = 2\n";
        let peer = Peer::default();
        let f = Fixture::by_mx(peer.clone(), settings, |_| {});
        let first = f.send(&["friend@slow.example"; 60]).await;
        for id in first..first + 60 {
            f.retired(id).await;
        }
        let received = peer.received();
        assert_eq!((received.len(), peer.connections()), (30, 1));
        let took = received[29].0.since(received[0].0);
        assert!((28..31).contains(&took.as_secs()), "{took:?}");
        let id = f.send(&["friend@other.example"; 60]).await;
        assert!(took_less_than_a_second(&f, id).await);
    });
}

async fn took_less_than_a_second(f: &Fixture, id: u64) -> bool {
    took(f, id).await < Duration::from_secs(1)
}

#[test]
fn one_host_that_hangs_leaves_a_destination_with_a_pace_of_one_going() {
    run(async {
        // The first message waits ten minutes for its answer; the second one only until the first is thought slow.
        let f = Fixture::by_mx(Peer::script([Act::Hang]), "", |options| {
            options.delivery.concurrency_start = 1;
        });
        let hanging = f.send(&["a@remote.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        let other = f.send(&["b@remote.example"]).await;
        let took = took(&f, other).await;
        assert!((28..32).contains(&took.as_secs()), "{took:?}");
        assert!(f.handles.store.read(|view| view.message(QueueId(hanging))).unwrap().is_some());
    });
}
