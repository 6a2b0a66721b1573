use super::fixture::*;
use crate::{Clock, HookDeed};
use mail::HookId;
use std::time::Duration;
use store::records::{ContentRecord, HookOutcome, RetiredHookRecord};

async fn retired_hook(f: &Fixture, id: u64) -> RetiredHookRecord {
    let mut pause = Duration::from_millis(1);
    let give_up = f.clock.now().after(Duration::from_secs(100 * 3600));
    loop {
        if let Some(hook) = f.handles.store.read(|view| view.retired_hook(HookId(id))).unwrap() {
            return hook;
        }
        assert!(f.clock.now() < give_up, "hook {id} is still to be called");
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

#[test]
fn a_hook_that_becomes_due_during_a_look_is_called() {
    run(async {
        // Due 60 s after the first call, and so between the first and the second reading of the clock after it.
        let clock = Clock::jumping(START, Duration::from_secs(40));
        let f = Fixture::with_clock(Peer::default(), Receiver::script([Ok(500)]), clock);
        f.send(&["friend@remote.example"]).await;
        let hook = retired_hook(&f, 1).await;
        assert_eq!(hook.outcome, HookOutcome::Succeeded);
    });
}

#[test]
fn a_very_long_url_gets_each_call_once() {
    run(async {
        let receiver = Receiver::script([Ok(500), Ok(200), Err(())]);
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.call_hooks_at(&format!("{HOOK_URL}{}", "x".repeat(500))).await;
        let first = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(5)).await;
        let f = f.restart().await;
        // What is answered earns the URL a second call at a time.
        let answered = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(70)).await;
        // The second call for the first message hangs; a commit names the URL meanwhile.
        let second = f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(5)).await;
        let calls: Vec<_> = receiver.calls().iter().map(|(_, body)| body["QueueMsgID"].clone()).collect();
        assert_eq!(calls, [first, answered, first, second]);
    });
}

#[test]
fn a_call_that_panics_is_made_again_later() {
    run(async {
        let receiver = Receiver::panicking(2);
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.send(&["friend@remote.example"]).await;
        let hook = retired_hook(&f, 1).await;
        let errors: Vec<_> = hook.hook.attempts.iter().map(|attempt| attempt.error.as_str()).collect();
        assert_eq!(errors, ["internal error", "internal error", ""]);
        assert_eq!(hook.retired.since(hook.hook.queued).as_secs(), 180);
        assert_eq!(f.metrics.hooks_in_flight.get(), 0);
    });
}

#[test]
fn a_large_message_that_cannot_be_read_for_now_is_told_later() {
    run(async {
        let receiver = Receiver::default();
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.tell_arrivals().await;
        let text = "0123456789abcde\r\n".repeat(32 << 10);
        let raw = format!("Subject: large\r\n\r\n{text}");
        let content = f.handles.store.stage([7; 16], raw.clone().into()).unwrap();
        assert!(matches!(content, ContentRecord::File { .. }));
        // In place of the file stands what cannot be read as one.
        let file = f.data_dir().join("content").join("07".repeat(16));
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        f.arrive(content, raw.len() as u64).await;
        f.wait(Duration::from_secs(5)).await;
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, &raw).unwrap();
        let hook = retired_hook(&f, 1).await;
        assert_eq!(hook.outcome, HookOutcome::Succeeded);
        assert_eq!(hook.hook.attempts.len(), 2);
        assert!(!hook.hook.attempts[0].error.contains("content/"), "{:?}", hook.hook.attempts[0]);
        let (_, body) = &receiver.calls()[0];
        assert_eq!(body["Text"].as_str().unwrap().trim_end(), text.replace("\r\n", "\n").trim_end());
    });
}

#[test]
fn a_message_whose_content_is_gone_is_given_up() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        f.tell_arrivals().await;
        let content = ContentRecord::File { name: [7; 16], size: 1 << 20 };
        f.arrive(content, 1 << 20).await;
        let hook = retired_hook(&f, 1).await;
        assert_eq!((hook.outcome, hook.hook.attempts.len()), (HookOutcome::Failed, 1));
    });
}

#[test]
fn urls_that_hang_leave_calls_for_others() {
    run(async {
        let receiver = Receiver::hanging("http://hanging");
        let f = Fixture::new(Peer::default(), receiver.clone());
        for n in 0..10 {
            f.call_hooks_at(&format!("http://hanging{n}.example/")).await;
            let recipients: Vec<_> = (0..20).map(|r| format!("friend{r}@remote.example")).collect();
            let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
            f.send(&recipients).await;
            f.wait(Duration::from_secs(1)).await;
        }
        f.call_hooks_at(HOOK_URL).await;
        f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_secs(1)).await;
        assert!(receiver.calls().iter().any(|(url, _)| url == HOOK_URL));
    });
}

#[test]
fn many_urls_that_hang_delay_no_other_by_a_second() {
    run(async {
        let receiver = Receiver::hanging("http://hanging");
        let f = Fixture::new(Peer::default(), receiver.clone());
        // More than there are places for calls, and of the answers that are waited for all at once.
        for n in 0..400 {
            f.call_hooks_at(&format!("http://hanging{n}.example/")).await;
            f.send(&["friend@remote.example"]).await;
        }
        f.call_hooks_at(HOOK_URL).await;
        f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_millis(900)).await;
        assert!(receiver.calls().iter().any(|(url, _)| url == HOOK_URL));
        // When they are called again, they begin aside.
        f.wait(Duration::from_secs(121)).await;
        f.send(&["friend@remote.example"]).await;
        f.wait(Duration::from_millis(1)).await;
        assert_eq!(receiver.calls().iter().filter(|(url, _)| url == HOOK_URL).count(), 2);
        assert!(receiver.calls().len() > 700, "{}", receiver.calls().len());
    });
}

#[test]
fn hooks_are_called_now_or_never_when_a_person_says_so() {
    run(async {
        let receiver = Receiver::always(500);
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.send(&["a@remote.example", "b@remote.example"]).await;
        f.wait(Duration::from_secs(5)).await;
        assert_eq!(receiver.calls().len(), 2);
        let all = store::HookFilter::default();
        let part = f.handles.hooks.operate_part(&all, HookDeed::CallNow, None).await.unwrap();
        assert_eq!((part.changed, part.rest), (2, None));
        f.wait(Duration::from_secs(1)).await;
        assert_eq!(receiver.calls().len(), 4);
        let part = f.handles.hooks.operate_part(&all, HookDeed::Cancel, None).await.unwrap();
        assert_eq!(part.changed, 2);
        f.wait(Duration::from_secs(100 * 3600)).await;
        assert_eq!(receiver.calls().len(), 4);
    });
}

#[test]
fn what_was_told_is_told_again_by_hand() {
    run(async {
        let receiver = Receiver::script([Err(())]);
        let f = Fixture::new(Peer::default(), receiver.clone());
        f.send(&["friend@remote.example"]).await;
        retired_hook(&f, 1).await;
        let all = store::RetiredHookFilter::default();
        let part = f.handles.hooks.resend_part(&all, None).await.unwrap();
        assert_eq!((part.made.as_slice(), part.without_webhook), (&[(HookId(1), HookId(2))][..], 0));
        assert_eq!(part.rest, None);
        retired_hook(&f, 2).await;
        let calls = receiver.calls();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[1].1, calls[0].1);
        // All but the time at which it was queued.
        let without_time = |body: &serde_json::Value| {
            let mut body = body.clone();
            body["WebhookQueued"].take();
            body
        };
        assert_eq!(without_time(&calls[2].1), without_time(&calls[0].1));
    });
}
