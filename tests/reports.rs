//! DSNs about late and failed messages, in the Inbox of their sender, judged by Python's email package.

use crate::harness::{Action, Embedded, SmtpPeer, Verb, account, eventually, judge};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::time::Duration;
use store::records::AccountRecord;

const TO: &str = "friend@remote.example";
const HOURS: f64 = 3600.0;

/// A server whose mail gets this answer to RCPT, and that would try again after 5 and then 10 hours.
async fn start(rcpt: &'static str, record: AccountRecord) -> (Embedded, SmtpPeer) {
    let peer = SmtpPeer::scripted(move |moment| match moment.verb {
        Verb::Rcpt => Action::Reply(rcpt),
        _ => Action::Usual,
    })
    .await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let server = Embedded::builder()
        .settings(|settings| settings.delivery.retry = vec![hours(5), hours(10)])
        .account(record)
        .deliver_to(&peer)
        .start()
        .await;
    (server, peer)
}

async fn send(server: &Embedded) -> Value {
    let request = json!({"To": [{"Address": TO}], "Subject": "Grüße", "Text": "hi"});
    server.api().ok("Send", &request).await
}

/// The first message in the mailboxes, and its octets.
async fn arrived(server: &Embedded) -> (Value, Vec<u8>) {
    let api = server.api();
    let got = eventually("a report", async || {
        let answer = api.call("MessageGet", &json!({"MsgID": 1})).await.expect("the server answers");
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await;
    let raw = api.call("MessageRawGet", &json!({"MsgID": 1})).await.expect("the server answers");
    (got, raw.body)
}

fn now() -> f64 {
    actors::Clock::system().now().as_millis() as f64 / 1000.0
}

#[tokio::test]
async fn a_failed_message_is_reported_with_its_reason() {
    let refusal = "550 5.1.1 No such user, Action: delivered";
    let (server, _peer) = start(refusal, account("rider")).await;
    let sent = send(&server).await;
    let (got, raw) = arrived(&server).await;
    assert_eq!(got["Meta"]["MailboxName"], "Inbox");
    assert_eq!((&got["Meta"]["DSN"], &got["Meta"]["MailFrom"]), (&json!(true), &json!("")));
    assert_eq!(got["Message"]["Subject"], "Not delivered: Grüße");
    assert_eq!(got["Message"]["References"], json!([sent["MessageID"]]));
    judge(
        "check_dsn.py",
        &json!({
            "content": BASE64_STANDARD.encode(&raw),
            "to": "rider@localhost",
            "now": now(),
            "slack": 60,
            "says": [TO, "will not be tried again", "550 5.1.1 No such user", "Subject: Grüße", "tried once"],
            "message": {"Reporting-MTA": "dns; mail.example"},
            "recipient": {
                "Final-Recipient": format!("rfc822; {TO}"),
                "Action": "failed",
                "Status": "5.1.1",
                "Remote-MTA": "dns; localhost",
                "Diagnostic-Code": format!("smtp; {refusal}"),
                "Will-Retry-Until": null,
            },
            "returned": "text/rfc822-headers",
            "header": sent["MessageID"],
        }),
    );
}

#[tokio::test]
async fn a_late_message_is_reported_with_the_times_of_the_attempts_ahead() {
    let (server, _peer) = start("451 4.7.1 greylisted", account("rider")).await;
    let sent = send(&server).await;
    let (got, raw) = arrived(&server).await;
    assert_eq!(got["Message"]["Subject"], "Delayed: Grüße");
    let stored = server.app().handles.store.read(|view| view.message(mail::QueueId(1)));
    let message = stored.expect("the store can be read").expect("it is still queued");
    let next = message.next_attempt;
    judge(
        "check_dsn.py",
        &json!({
            "content": BASE64_STANDARD.encode(&raw),
            "to": "rider@localhost",
            "now": now(),
            "slack": 60,
            "says": ["You need not do anything", "451 4.7.1 greylisted", next.to_rfc5322()],
            "message": {"Arrival-Date": message.queued.as_secs()},
            "recipient": {
                "Action": "delayed",
                "Status": "4.7.1",
                "Last-Attempt-Date": message.attempts[0].started.as_secs(),
                "Will-Retry-Until": next.as_secs() as f64 + 10.0 * HOURS,
            },
            "returned": "text/rfc822-headers",
            "header": sent["MessageID"],
        }),
    );
}

#[tokio::test]
async fn an_account_can_do_without_reports() {
    let (server, _peer) =
        start("550 5.1.1 No such user", AccountRecord { dsn_to_inbox: false, ..account("rider") }).await;
    send(&server).await;
    let store = server.app().handles.store.clone();
    eventually("the failure", async || {
        let retired =
            store.read(|view| view.retired_message(mail::QueueId(1))).expect("the store can be read");
        retired.map(|_| ()).ok_or_else(|| "it is still queued".to_owned())
    })
    .await;
    let totals = store.read(|view| view.totals()).expect("the store can be read");
    assert_eq!(totals.mailbox_messages, 0);
}
