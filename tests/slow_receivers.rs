//! Receivers of webhooks that hang, among many that do not.

use crate::harness::{
    COMMON_PORT, Embedded, HookAnswer, HookReceiver, SmtpClient, account, eventually, loopback,
};
use mail::Timestamp;
use std::time::Duration;
use store::records::{AccountRecord, IncomingWebhook};

const RECEIVERS: usize = 1000;
/// One in so many answers.
const ANSWERS: usize = 10;
/// Recipients of a message.
const TOGETHER: usize = 100;

/// A thousand accounts, each with a webhook of its own, get mail at the same time.
#[tokio::test]
async fn nine_hundred_receivers_that_hang_hold_up_none_of_the_others() {
    let receiver = HookReceiver::scripted(|call| match number(&call.path) % ANSWERS {
        0 => HookAnswer::Status(204),
        _ => HookAnswer::Hang,
    })
    .await;
    let own = loopback();
    let mut builder = Embedded::builder().smtp((own, COMMON_PORT));
    for number in 0..RECEIVERS {
        let url = format!("{}/{number}", receiver.url());
        let incoming_webhook = Some(IncomingWebhook { url, authorization: None });
        builder = builder.account(AccountRecord { incoming_webhook, ..account(&format!("app{number}")) });
    }
    let _server = builder.start().await;
    let mut client = SmtpClient::ready((own, COMMON_PORT).into()).await;
    for first in (0..RECEIVERS).step_by(TOGETHER) {
        let to: Vec<_> = (first..first + TOGETHER).map(|number| format!("app{number}@localhost")).collect();
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        client.envelope("a@remote.example", &to).await;
        client.write(b"From: a@remote.example\r\nSubject: hi\r\n\r\nhi\r\n.\r\n").await;
        assert!(client.reply().await.starts_with("250"));
    }
    eventually("every receiver to be called", async || match receiver.calls().len() {
        RECEIVERS.. => Ok(()),
        calls => Err(format!("{calls} calls came")),
    })
    .await;
    let mut waits: Vec<Duration> = receiver
        .calls()
        .iter()
        .filter(|call| number(&call.path).is_multiple_of(ANSWERS))
        .map(|call| call.read.since(received(&call.json())))
        .collect();
    waits.sort_unstable();
    assert_eq!(waits.len(), RECEIVERS / ANSWERS);
    let (median, late, longest) =
        (waits[waits.len() / 2], waits[waits.len() * 9 / 10], waits[waits.len() - 1]);
    let told = format!("told after {median:?} in the middle, {late:?} of nine in ten, {longest:?} at most");
    println!("{told}");
    // The last few may be late where the machine has much else to do.
    assert!(late < Duration::from_secs(1) && longest < Duration::from_secs(3), "{told}");
}

fn number(path: &str) -> usize {
    path.rsplit('/').next().and_then(|number| number.parse().ok()).expect("a path that ends in a number")
}

fn received(body: &serde_json::Value) -> Timestamp {
    body["Meta"]["Received"].as_str().and_then(Timestamp::parse_rfc3339).expect("a time")
}
