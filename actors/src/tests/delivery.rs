use super::fixture::*;
use mail::{Address, QueueId};
use std::time::Duration;
use store::records::{AttemptResult, MessageOutcome, SuppressionSource};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_451_is_retried_after_the_first_interval_and_once_more_after_a_restart() {
    run(async {
        let peer = Peer::script([Act::Data(451), Act::Data(451)]);
        let f = Fixture::new(peer.clone(), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(MINUTE).await;
        let record = f.queued(id).unwrap();
        assert_eq!(record.attempts.len(), 1);
        let wait = record.next_attempt.since(record.attempts[0].started);
        assert_eq!(wait.as_secs(), 450);

        f.wait(7 * MINUTE).await;
        assert_eq!(f.queued(id).unwrap().attempts.len(), 2);
        let f = f.restart().await;
        let retired = f.retired(id).await;
        assert_eq!(retired.outcome, MessageOutcome::Delivered);
        let third = retired.message.attempts[2].started.since(retired.message.attempts[1].started);
        assert_eq!(third.as_secs(), 15 * 60);
    });
}

#[test]
fn nine_attempts_are_made_at_the_times_of_the_schedule() {
    run(async {
        let peer = Peer::script(vec![Act::Rcpt(450); 20]);
        let f = Fixture::new(peer, Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(id).await;
        let starts: Vec<_> = retired.message.attempts.iter().map(|attempt| attempt.started).collect();
        let waits: Vec<f64> =
            starts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64() / 60.0).collect();
        let expected = [7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0];
        assert_eq!(waits.len(), expected.len());
        for (wait, expected) in waits.iter().zip(expected) {
            assert!((wait / expected - 1.0).abs() < 0.01, "{waits:?}");
        }
        assert!(matches!(retired.outcome, MessageOutcome::Failed { suppressing: false, .. }));
    });
}

#[test]
fn a_permanent_reply_suppresses_the_mailbox_and_the_next_message_makes_no_connection() {
    run(async {
        let peer = Peer::script([Act::Rcpt(550)]);
        let f = Fixture::new(peer.clone(), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        let MessageOutcome::Failed { suppressing: true, .. } = f.retired(id).await.outcome else {
            panic!("it suppresses")
        };
        let entry = f
            .handles
            .store
            .read(|view| view.suppression(ACCOUNT, &Address::parse("Friend+x@remote.example").unwrap()))
            .unwrap()
            .unwrap();
        assert_eq!(entry.source, SuppressionSource::Queue(QueueId(id)));
        let connections = peer.connections();
        let id = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(id).await;
        assert_eq!(retired.outcome, MessageOutcome::Suppressed);
        assert!(retired.message.attempts.is_empty());
        assert_eq!(peer.connections(), connections);
    });
}

#[test]
fn connections_are_reused_and_given_up_when_idle() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        for _ in 0..50 {
            let id = f.send(&["friend@remote.example"]).await;
            f.retired(id).await;
        }
        assert_eq!(peer.connections(), 1);
        assert_eq!(f.metrics.connections_reused.get(), 49);
        f.wait(Duration::from_secs(6)).await;
        assert_eq!(f.metrics.connections_open.get(), 0);
    });
}

#[test]
fn a_connection_closed_while_idle_costs_the_next_message_no_attempt() {
    run(async {
        let peer = Peer::script([Act::AcceptAndClose]);
        let f = Fixture::new(peer.clone(), Receiver::default());
        let first = f.send(&["friend@remote.example"]).await;
        f.retired(first).await;
        let second = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(second).await;
        assert_eq!(retired.message.attempts.len(), 1);
        assert_eq!(retired.outcome, MessageOutcome::Delivered);
        assert_eq!(peer.connections(), 2);
    });
}

#[test]
fn recipients_of_one_content_share_a_transaction() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        let id = f.send(&["a@remote.example", "b@remote.example", "c@remote.example"]).await;
        f.retired(id + 2).await;
        let received = peer.received();
        assert_eq!(received.len(), 1, "{received:?}");
        assert_eq!(received[0].1, ["a@remote.example", "b@remote.example", "c@remote.example"]);
    });
}

#[test]
fn an_unreachable_host_is_tried_again_and_never_suppresses() {
    run(async {
        let peer = Peer::script(vec![Act::Unreachable; 9]);
        let f = Fixture::new(peer, Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(id).await;
        assert_eq!(retired.outcome, MessageOutcome::Failed { verdict: None, suppressing: false });
        assert_eq!(retired.message.attempts.len(), 9);
        let AttemptResult::Failed { error, .. } = &retired.message.attempts[0].result else { panic!() };
        assert!(error.contains("connecting"), "{error}");
    });
}

#[test]
fn silence_after_the_data_is_a_timeout_after_ten_minutes() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Hang]), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        let retired = f.retired(id).await;
        assert_eq!(retired.outcome, MessageOutcome::Delivered);
        let first = &retired.message.attempts[0];
        assert!((600_000..601_000).contains(&first.duration_ms), "{first:?}");
        let AttemptResult::Failed { error, permanent: false, .. } = &first.result else {
            panic!("{first:?}")
        };
        assert!(error.contains("timeout"), "{error}");
    });
}

#[test]
fn a_message_with_a_future_release_waits_for_it() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let release = f.clock.now().after(Duration::from_secs(5 * 3600));
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.future_release = Some(release);
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        let retired = f.retired(id).await;
        let late = retired.message.attempts[0].started.since(release);
        assert!(retired.message.attempts[0].started >= release && late < Duration::from_secs(1), "{late:?}");
    });
}

#[test]
fn an_attempt_that_breaks_down_is_retried_and_takes_no_sibling_with_it() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Panic]), Receiver::default());
        let broken = f.send(&["a@remote.example"]).await;
        let whole = f.send(&["b@remote.example"]).await;
        assert_eq!(f.retired(whole).await.outcome, MessageOutcome::Delivered);
        let retired = f.retired(broken).await;
        assert_eq!(retired.outcome, MessageOutcome::Delivered);
        assert_eq!(retired.message.attempts.len(), 2);
        assert_eq!(f.metrics.actors_restarted.with_label_values(&["delivery"]).get(), 0);
    });
}

#[test]
fn a_destination_that_hangs_holds_up_no_other() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Hang]), Receiver::default());
        let hanging = f.send(&["friend@slow.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        let other = f.send(&["friend@fast.example"]).await;
        let retired = f.retired(other).await;
        assert!(retired.retired.since(retired.message.queued) < Duration::from_secs(1));
        assert!(f.queued(hanging).is_some());
    });
}

#[test]
fn concurrency_to_a_destination_is_bounded_and_grows() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        let sends: Vec<_> =
            (0..300).map(|_| f.handles.writer.accept(f.submission(&["a@remote.example"]))).collect();
        let ids = futures_util::future::join_all(sends).await;
        for id in ids {
            f.retired(id.unwrap().ids.start).await;
        }
        assert_eq!(peer.received().len(), 300);
        assert!((3..=20).contains(&peer.connections()), "{}", peer.connections());
    });
}

#[test]
fn a_backlog_of_suppressed_messages_is_worked_off_without_a_connection() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        let address = Address::parse("friend@remote.example").unwrap();
        f.handles
            .suppressions
            .add(ACCOUNT, address, "asked to".into(), SuppressionSource::Manual)
            .await
            .unwrap();
        let recipients = vec!["friend@remote.example"; 1500];
        let first = f.send(&recipients).await;
        for id in first..first + 1500 {
            assert_eq!(f.retired(id).await.outcome, MessageOutcome::Suppressed);
        }
        assert_eq!(peer.connections(), 0);
    });
}

#[test]
fn a_message_whose_content_is_gone_fails_and_holds_up_no_other() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.content = f.handles.store.stage([1; 16], vec![b'x'; 1 << 20].into()).unwrap();
        submission.future_release = Some(f.clock.now().after(MINUTE));
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        for file in std::fs::read_dir(f.handles.store.path().join("content")).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        assert!(matches!(f.retired(id).await.outcome, MessageOutcome::Failed { verdict: None, .. }));
        let next = f.send(&["friend@remote.example"]).await;
        assert_eq!(f.retired(next).await.outcome, MessageOutcome::Delivered);
    });
}

#[test]
fn idle_connections_keep_no_other_destination_waiting() {
    run(async {
        let peer = Peer::default();
        // The fixture allows 100 connections in all, and idle ones stay for five seconds.
        let f = Fixture::new(peer.clone(), Receiver::default());
        let recipients: Vec<_> = (0..400).map(|n| format!("friend@remote{n}.example")).collect();
        let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
        let first = f.send(&recipients).await;
        for id in first..first + 400 {
            let retired = f.retired(id).await;
            assert!(retired.retired.since(retired.message.queued) < Duration::from_secs(2), "{id}");
        }
    });
}

#[test]
fn a_retry_is_on_time_while_a_sibling_hangs() {
    run(async {
        // Deliveries that went well let more than one connection work at a time, even after a refusal.
        let script = std::iter::repeat_n(Act::Accept, 20).chain([Act::Hang, Act::Data(421)]);
        let f = Fixture::new(Peer::script(script), Receiver::default());
        for _ in 0..20 {
            let id = f.send(&["warm@remote.example"]).await;
            f.retired(id).await;
        }
        // No idle connection is left whose timer would look at the queue besides.
        f.wait(Duration::from_secs(10)).await;
        let hanging = f.send(&["a@remote.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        let put_off = f.send(&["b@remote.example"]).await;
        let retired = f.retired(put_off).await;
        let wait = retired.message.attempts[1].started.since(retired.message.attempts[0].started);
        assert!((450..455).contains(&wait.as_secs()), "{wait:?}");
        assert!(f.queued(hanging).is_some());
    });
}

#[test]
fn contents_in_memory_are_bounded_and_a_larger_one_goes_alone() {
    run(async {
        let peer = Peer::default();
        // The fixture allows 4 MiB of contents at a time.
        let f = Fixture::new(peer.clone(), Receiver::default());
        let mut large = Vec::new();
        for n in 0..8_u8 {
            let mut submission = f.submission(&[&format!("friend@remote{n}.example")]);
            let bytes =
                [b"Subject: x\r\n\r\n", "x".repeat(900_000 + usize::from(n)).as_bytes(), b"\r\n"].concat();
            submission.size = if n == 0 { 100 << 20 } else { bytes.len() as u64 };
            submission.content = f.handles.store.stage([n; 16], bytes.into()).unwrap();
            large.push(f.handles.writer.accept(submission).await.unwrap().ids.start);
        }
        for id in large {
            assert_eq!(f.retired(id).await.outcome, MessageOutcome::Delivered);
        }
        assert_eq!(peer.received().len(), 8);
    });
}

#[test]
fn a_refusal_in_the_middle_of_the_content_is_heard() {
    run(async {
        let f = Fixture::new(Peer::script([Act::RefuseMidContent]), Receiver::default());
        let mut submission = f.submission(&["friend@remote.example"]);
        let content = [b"Subject: x\r\n\r\n", "x\r\n".repeat(300_000).as_bytes()].concat();
        submission.size = content.len() as u64;
        submission.content = f.handles.store.stage([1; 16], content.into()).unwrap();
        let id = f.handles.writer.accept(submission).await.unwrap().ids.start;
        let retired = f.retired(id).await;
        assert_eq!(retired.message.attempts.len(), 1, "{:?}", retired.message.attempts);
        let AttemptResult::Refused(answer) = &retired.message.attempts[0].result else {
            panic!("{:?}", retired.message.attempts)
        };
        assert_eq!((answer.code, answer.text.as_str()), (552, "enough"));
    });
}
