//! What receivers of webhooks answer, and what follows from it.

use crate::harness::{Embedded, HookAnswer, HookReceiver};
use actors::Clock;
use std::time::{Duration, UNIX_EPOCH};
use store::records::HookOutcome;

const DAY: u64 = 24 * 3600;

/// A date as HTTP has it, so many seconds from now.
fn date(seconds: u64) -> String {
    let now = Clock::system().now().after(Duration::from_secs(seconds));
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now.as_secs().cast_unsigned()))
}

fn answer(status: u16, headers: &str, body: &[u8]) -> HookAnswer {
    let head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    HookAnswer::Raw([head.as_bytes(), body].concat())
}

#[tokio::test]
async fn what_a_receiver_asks_to_wait_is_waited() {
    for (status, headers, expected) in [
        (503, "Retry-After: 300\r\n".to_owned(), 300),
        (429, "Retry-After: 300\r\n".to_owned(), 300),
        // By the clock of the receiver, which is an hour ahead.
        (503, format!("Date: {}\r\nRetry-After: {}\r\n", date(3600), date(3900)), 300),
        (429, format!("Retry-After: {}\r\n", date(300)), 300),
        (503, format!("Retry-After: {}\r\n", 2 * DAY), 2 * DAY),
        (429, format!("Retry-After: {}\r\n", 30 * DAY), 7 * DAY),
        (429, format!("Retry-After: {}\r\n", date(30 * DAY)), 7 * DAY),
    ] {
        let sent = headers.clone();
        let receiver = HookReceiver::scripted(move |_| answer(status, &sent, b"")).await;
        let server = Embedded::calling(receiver.url()).start().await;
        server.send("rider@localhost").await;
        let hook = server.called_hook(1, 1).await;
        let wait = hook.next_attempt.since(hook.attempts[0].started).as_secs();
        // A date was made before the call, and has no fractions.
        assert!((expected - 10..expected + 30).contains(&wait), "{status} {headers:?}: {wait} s");
        assert_eq!(receiver.calls().len(), 1, "{status} {headers:?}");
    }
}

#[tokio::test]
async fn no_more_than_512_bytes_of_an_answer_are_kept_whatever_they_are() {
    for (body, kept) in [
        (vec![0xff; 600], "\u{fffd}".repeat(170)),
        ("x☺".repeat(200).into_bytes(), "x☺".repeat(128)),
        ("☺".repeat(200).into_bytes(), "☺".repeat(170)),
    ] {
        let sent = body.clone();
        let receiver = HookReceiver::scripted(move |_| answer(200, "", &sent)).await;
        let server = Embedded::calling(receiver.url()).start().await;
        server.send("rider@localhost").await;
        let hook = server.retired_hook(1).await;
        assert_eq!(hook.hook.attempts[0].response, kept, "{body:?}");
    }
}

#[tokio::test]
async fn the_status_decides_though_the_answer_never_ends() {
    let receiver = HookReceiver::scripted(|_| HookAnswer::Stall(200)).await;
    let server = Embedded::calling(receiver.url())
        .settings(|settings| settings.webhooks.timeout = Duration::from_millis(500))
        .start()
        .await;
    server.send("rider@localhost").await;
    let hook = server.retired_hook(1).await;
    assert_eq!((hook.outcome, hook.hook.attempts.len()), (HookOutcome::Succeeded, 1));
    assert_eq!(hook.hook.attempts[0].response, "the start");
}
