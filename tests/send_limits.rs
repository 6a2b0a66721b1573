//! What an account may send and keep: limits over 24 hours, the quota of its mailboxes, and the order of all checks.

use crate::harness::{Api, Embedded, SmtpPeer, account, address, domain};
use serde_json::{Value, json};
use store::records::{AccountRecord, DomainRecord};

fn to(addresses: &[&str]) -> Value {
    let to: Vec<_> = addresses.iter().map(|address| json!({"Address": address})).collect();
    json!({"To": to, "Subject": "hello", "Text": "hi"})
}

async fn start(record: AccountRecord) -> (Embedded, SmtpPeer) {
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder().account(record).deliver_to(&peer).start().await;
    (server, peer)
}

/// The code of a Send; "sent" when it was.
async fn outcome(api: &Api, request: &Value) -> String {
    let answer = api.call("Send", request).await.expect("the server answers");
    match answer.status {
        200 => "sent".into(),
        400 => answer.code(),
        other => panic!("{other}: {}", answer.text()),
    }
}

#[tokio::test]
async fn recipients_of_a_day_are_limited() {
    let record = AccountRecord { max_outgoing_messages_per_day: Some(4), ..account("rider") };
    let (server, peer) = start(record.clone()).await;
    let api = server.api();
    for (recipients, expected) in [
        (&["a@b.example", "c@b.example"][..], "sent"),
        (&["a@b.example", "c@b.example", "d@b.example"], "messageLimitReached"),
        (&["a@b.example", "a@b.example"], "sent"),
        (&["a@b.example"], "messageLimitReached"),
    ] {
        assert_eq!(outcome(&api, &to(recipients)).await, expected, "{recipients:?}");
    }
    let refused = api.call("Send", &to(&["a@b.example"])).await.unwrap().text();
    assert!(refused.contains("24 hours"), "{refused}");
    for recipient in ["a@b.example", "c@b.example"] {
        peer.delivery_to(recipient).await;
    }
    assert_eq!(api.metric("postrider_submissions_total", "result=\"accepted\"").await, 2.0);

    // Another account has a limit of its own.
    let other = AccountRecord { name: "other".into(), addresses: vec![address("o@localhost")], ..record };
    server.app().handles.writer.put_account(other).await.unwrap();
    let other = api.login("o@localhost", crate::harness::PASSWORD);
    assert_eq!(outcome(&other, &to(&["a@b.example"])).await, "sent");
}

#[tokio::test]
async fn new_recipients_of_a_day_are_limited() {
    let record = AccountRecord { max_first_time_recipients_per_day: Some(2), ..account("rider") };
    let (server, _peer) = start(record).await;
    for (recipients, expected) in [
        (&["a@b.example", "A+tag@b.example", "c@b.example"][..], "sent"),
        (&["a@b.example", "c@b.example"], "sent"),
        (&["a@b.example", "d@b.example"], "recipientLimitReached"),
        (&["a@b.example"], "sent"),
    ] {
        assert_eq!(outcome(&server.api(), &to(recipients)).await, expected, "{recipients:?}");
    }
}

#[tokio::test]
async fn many_at_once_pass_no_limit() {
    let record = AccountRecord { max_outgoing_messages_per_day: Some(50), ..account("rider") };
    let (server, _peer) = start(record).await;
    let api = server.api();
    let (one, two) = (to(&["a@b.example"]), to(&["a@b.example", "c@b.example"]));
    let calls = (0..200).map(|number| outcome(&api, if number % 2 == 0 { &one } else { &two }));
    let outcomes = futures_util::future::join_all(calls).await;
    let sent: usize = outcomes
        .iter()
        .enumerate()
        .filter(|(_, code)| *code == "sent")
        .map(|(number, _)| 1 + number % 2)
        .sum();
    assert_eq!(sent, 50);
    assert!(outcomes.iter().all(|code| code == "sent" || code == "messageLimitReached"), "{outcomes:?}");
}

#[tokio::test]
async fn a_copy_beyond_the_quota_is_reported_and_the_message_goes() {
    let (server, peer) = start(AccountRecord { mailbox_quota: Some(3_000), ..account("rider") }).await;
    let mut request = to(&["a@b.example"]);
    request["SaveSent"] = json!(true);
    request["Text"] = json!("x".repeat(2_000).replace("xxxxx", "xxxx\n"));
    assert_eq!(outcome(&server.api(), &request).await, "sent");
    peer.delivery_to("a@b.example").await;
    request["To"] = json!([{"Address": "c@b.example"}]);
    let answer = server.api().call("Send", &request).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "sentOverQuota"));
    assert!(answer.text().contains("queued"), "{}", answer.text());
    peer.delivery_to("c@b.example").await;
    assert_eq!(server.api().metric("postrider_submissions_total", "result=\"accepted\"").await, 2.0);

    server.api().ok("MessageDelete", &json!({"MsgID": 1})).await;
    assert_eq!(outcome(&server.api(), &request).await, "sent");
    // Without a copy there is nothing to keep.
    request["SaveSent"] = json!(false);
    assert_eq!(outcome(&server.api(), &request).await, "sent");
}

#[tokio::test]
async fn checks_are_made_in_the_order_of_the_contract() {
    let record = AccountRecord {
        addresses: vec![address("rider@localhost"), address("@off.example")],
        max_outgoing_messages_per_day: Some(2),
        max_first_time_recipients_per_day: Some(1),
        ..account("rider")
    };
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder()
        .domain(DomainRecord { disabled: true, ..domain("off.example") })
        .account(record)
        .deliver_to(&peer)
        .settings(|settings| settings.limits.message_size_max = 20_000)
        .start()
        .await;
    let from = |address: &str| json!([{"Address": address}]);
    let all = |addresses: &[&str]| to(addresses)["To"].clone();
    // Each request also has the faults of those below it.
    let mut request = json!({
        "From": [{"Address": "?"}, {"Address": "?"}],
        "ReplyTo": from("nobody"),
        "Subject": "two\r\nlines",
        "Unknown": 1,
    });
    let steps = [
        ("protocol", json!({"Unknown": null})),
        ("missingBody", json!({"Text": "x".repeat(30_000)})),
        ("multipleFrom", json!({"From": from("x@off.example")})),
        ("badAddress", json!({"ReplyTo": null})),
        ("domainDisabled", json!({"From": from("other@localhost")})),
        ("badFrom", json!({"From": from("rider@localhost")})),
        ("noRecipients", json!({"To": all(&["a@b.example", "c@b.example", "d@b.example"])})),
        ("messageLimitReached", json!({"To": all(&["a@b.example", "c@b.example"])})),
        ("recipientLimitReached", json!({"To": all(&["a@b.example", "a@b.example"])})),
        ("user", json!({"Subject": "one line"})),
        ("messageTooLarge", json!({"Text": "short"})),
    ];
    for (code, remedy) in steps {
        assert_eq!(outcome(&server.api(), &request).await, code, "{request}");
        for (name, value) in remedy.as_object().unwrap() {
            match value {
                Value::Null => drop(request.as_object_mut().unwrap().remove(name)),
                value => request[name] = value.clone(),
            }
        }
    }
    assert_eq!(outcome(&server.api(), &request).await, "sent");
}
