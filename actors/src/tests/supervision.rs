use super::fixture::*;
use crate::supervisor::Break;
use std::time::Duration;
use store::records::MessageOutcome;

#[test]
fn an_idle_delivery_actor_stops_and_is_started_again_on_demand() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        f.retired(id).await;
        let alive = || f.metrics.actors_alive.with_label_values(&["delivery"]).get();
        assert_eq!(alive(), 1);
        f.wait(Duration::from_secs(70)).await;
        assert_eq!(alive(), 0);
        let id = f.send(&["friend@remote.example"]).await;
        f.retired(id).await;
        assert_eq!(alive(), 1);
    });
}

#[test]
fn deferred_messages_cost_no_actor() {
    run(async {
        let f = Fixture::new(Peer::script(vec![Act::Rcpt(450); 40]), Receiver::default());
        for n in 0..10 {
            f.send(&[&format!("friend@remote{n}.example")]).await;
        }
        f.wait(Duration::from_secs(120)).await;
        let snapshot = f.handles.snapshot().await.unwrap();
        assert_eq!((snapshot.deliveries.len(), snapshot.scheduled), (0, 10));
        // They are still tried on time.
        f.wait(Duration::from_secs(340)).await;
        for id in 1..=10 {
            assert_eq!(f.queued(id).unwrap().attempts.len(), 2);
        }
    });
}

#[test]
fn a_broken_down_actor_is_made_anew_and_loses_nothing() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Hang]), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        f.handles.break_delivery("remote.example").await;
        f.wait(Duration::from_secs(1)).await;
        assert_eq!(f.metrics.actors_restarted.with_label_values(&["delivery"]).get(), 1);
        assert_eq!(f.retired(id).await.outcome, MessageOutcome::Delivered);
    });
}

#[test]
fn a_destination_that_keeps_breaking_down_is_parked_and_the_others_go_on() {
    run(async {
        let f = Fixture::new(Peer::script(vec![Act::Rcpt(450)]), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        for _ in 0..5 {
            f.wait(Duration::from_secs(40)).await;
            f.send(&["other@remote.example"]).await;
            f.handles.break_delivery("remote.example").await;
        }
        f.wait(Duration::from_secs(3600)).await;
        let snapshot = f.handles.snapshot().await.unwrap();
        assert_eq!(snapshot.parked, ["remote.example"]);
        assert_eq!(f.metrics.destinations_parked.get(), 1);
        assert!(f.queued(id).is_some(), "what is queued stays queued");
        let other = f.send(&["friend@other.example"]).await;
        assert_eq!(f.retired(other).await.outcome, MessageOutcome::Delivered);
    });
}

#[test]
fn shutdown_lets_what_runs_finish_and_starts_nothing_more() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        let sends: Vec<_> =
            (0..200).map(|_| f.handles.writer.accept(f.submission(&["a@remote.example"]))).collect();
        futures_util::future::join_all(sends).await;
        f.handles.shutdown(Duration::from_secs(10)).await;
        assert_eq!(f.metrics.actors_alive.with_label_values(&["delivery"]).get(), 0);
        let totals = f.handles.store.read(|view| view.totals()).unwrap();
        assert_eq!(totals.retired, peer.received().len() as u64, "all that was sent is settled");
        assert_eq!(totals.queued + totals.retired, 200);
    });
}

#[test]
fn shutdown_waits_no_longer_than_the_grace_period() {
    run(async {
        let f = Fixture::new(Peer::script([Act::Hang]), Receiver::default());
        let id = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        let before = f.clock.now();
        f.handles.shutdown(Duration::from_secs(10)).await;
        assert_eq!(f.clock.now().since(before).as_secs(), 10);
        assert!(f.queued(id).is_some());
    });
}

#[test]
fn a_broken_down_webhook_actor_is_made_anew_and_finds_its_hooks() {
    run(async {
        let receiver = Receiver::script([Ok(500)]);
        let f = Fixture::new(Peer::default(), receiver.clone());
        let id = f.send(&["friend@remote.example"]).await;
        f.retired(id).await;
        f.wait(Duration::from_secs(1)).await;
        f.handles.supervisor.send(Break(crate::exit::ChildId::Webhooks)).await.unwrap();
        f.wait(Duration::from_secs(120)).await;
        assert_eq!(receiver.calls().len(), 2);
        assert_eq!(f.metrics.actors_restarted.with_label_values(&["webhooks"]).get(), 1);
    });
}
