use super::fixture::*;
use mail::HookId;
use std::time::Duration;
use store::records::{HookOutcome, RetiredHookRecord};

async fn retired_hook(f: &Fixture, id: u64) -> RetiredHookRecord {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(hook) = f.handles.store.read(|view| view.retired_hook(HookId(id))).unwrap() {
            return hook;
        }
        f.wait(pause).await;
        pause = (pause * 2).min(Duration::from_secs(60));
    }
}

#[test]
fn a_delivery_is_told_with_every_field() {
    run(async {
        let receiver = Receiver::default();
        let f = Fixture::new(Peer::default(), receiver.clone());
        let id = f.send(&["friend@remote.example"]).await;
        retired_hook(&f, 1).await;
        let (url, body) = &receiver.calls()[0];
        assert_eq!(url, HOOK_URL);
        for (field, expected) in [
            ("Version", serde_json::json!(0)),
            ("Event", "delivered".into()),
            ("DSN", false.into()),
            ("Suppressing", false.into()),
            ("QueueMsgID", id.into()),
            ("FromID", "".into()),
            ("MessageID", "<1@example.com>".into()),
            ("Subject", "hi".into()),
            ("SMTPCode", 250.into()),
            ("SMTPEnhancedCode", "2.0.0".into()),
            ("Error", "".into()),
            ("Extra", serde_json::json!({})),
            ("Recipient", "friend@remote.example".into()),
            ("Account", "app".into()),
            ("Attempt", 1.into()),
        ] {
            assert_eq!(body[field], expected, "{field}");
        }
        assert!(body["WebhookQueued"].as_str().unwrap().ends_with('Z'));
    });
}

#[test]
fn twelve_calls_are_made_at_the_times_of_the_schedule() {
    run(async {
        let receiver = Receiver::always(500);
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.send(&["friend@remote.example"]).await;
        let hook = retired_hook(&f, 1).await;
        assert_eq!(hook.outcome, HookOutcome::Failed);
        let starts: Vec<_> = hook.hook.attempts.iter().map(|attempt| attempt.started).collect();
        let waits: Vec<f64> =
            starts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64() / 60.0).collect();
        let expected = [1.0, 2.0, 4.0, 7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0];
        assert_eq!(waits.len(), expected.len());
        for (wait, expected) in waits.iter().zip(expected) {
            assert!((wait / expected - 1.0).abs() < 0.01, "{waits:?}");
        }
    });
}

#[test]
fn a_hook_survives_a_restart_and_keeps_its_attempts() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::script([Ok(500), Err(())]));
        f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(5)).await;
        let f = f.restart().await;
        let hook = retired_hook(&f, 1).await;
        assert_eq!(hook.outcome, HookOutcome::Succeeded);
        let statuses: Vec<_> = hook.hook.attempts.iter().map(|attempt| attempt.status).collect();
        assert_eq!(statuses, [500, 0, 200]);
        assert_eq!(hook.hook.attempts[2].response, "seen");
    });
}

#[test]
fn a_newer_event_takes_the_place_of_one_not_told_yet() {
    run(async {
        let receiver = Receiver::script([Ok(500), Ok(500), Ok(500), Ok(500)]);
        let f = Fixture::new(Peer::script([Act::Data(451)]), receiver.clone());
        let id = f.send(&["friend@remote.example"]).await;
        f.retired(id).await;
        assert!(matches!(retired_hook(&f, 1).await.outcome, HookOutcome::Superseded(HookId(2))));
        assert_eq!(retired_hook(&f, 2).await.outcome, HookOutcome::Succeeded);
        let events: Vec<_> = receiver.calls().iter().map(|(_, body)| body["Event"].clone()).collect();
        assert_eq!(events.first().unwrap(), "delayed");
        assert_eq!(events.last().unwrap(), "delivered");
    });
}

#[test]
fn retention_removes_messages_and_hooks_when_their_time_is_over() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        f.send(&["friend@remote.example"]).await;
        retired_hook(&f, 1).await;
        let totals = || f.handles.store.read(|view| view.totals()).unwrap();
        f.wait(Duration::from_secs(71 * 3600)).await;
        assert_eq!((totals().retired, totals().retired_hooks), (1, 1));
        f.wait(Duration::from_secs(2 * 3600)).await;
        assert_eq!((totals().retired, totals().retired_hooks, totals().events), (0, 0, 3));
        f.wait(Duration::from_secs(30 * 24 * 3600)).await;
        assert_eq!(totals().events, 0);
        assert_eq!(f.metrics.swept.get(), 5);
    });
}
