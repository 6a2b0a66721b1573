//! Which accounts and domains may be used, and by which logins.

use crate::harness::{Api, Embedded, PASSWORD, SmtpPeer, account, address, domain, eventually, message};
use postrider::password::hash_password;
use serde_json::json;
use std::time::Duration;
use store::{
    DirectoryChange,
    records::{AccountRecord, DomainRecord},
};

/// An account with three addresses at two domains, of which one is disabled, and a catch-all at each.
fn rider() -> AccountRecord {
    let addresses =
        ["rider@localhost", "second@localhost", "third@off.example", "@all.example", "@off.example"];
    AccountRecord { addresses: addresses.map(address).to_vec(), ..account("rider") }
}

async fn start() -> Embedded {
    Embedded::builder()
        .domain(domain("all.example"))
        .domain(DomainRecord { disabled: true, ..domain("off.example") })
        .account(rider())
        .account(AccountRecord { disabled: true, ..account("disabled") })
        .start()
        .await
}

async fn status(api: &Api) -> u16 {
    let answer = api.call("SuppressionList", &json!({})).await.expect("the server answers");
    let challenged = answer.header("www-authenticate") == "Basic realm=\"webapi\"";
    assert_eq!(challenged, answer.status == 401, "{}", answer.text());
    answer.status
}

#[tokio::test]
async fn every_address_of_an_account_is_a_login_and_nothing_else_is() {
    let server = start().await;
    let cases = [
        ("rider@localhost", 200),
        ("second@localhost", 200),
        ("RIDER@LocalHost", 200),
        ("\"rider\"@localhost", 200),
        ("third@off.example", 200),
        ("any@all.example", 401),
        ("@all.example", 401),
        ("any@off.example", 401),
        ("rider+tag@localhost", 401),
        ("rider@all.example", 401),
        ("rider", 401),
        ("disabled@localhost", 401),
    ];
    for (user, expected) in cases {
        assert_eq!(status(&server.api().login(user, PASSWORD)).await, expected, "{user}");
    }
}

#[tokio::test]
async fn a_login_ends_and_returns_with_its_account() {
    let server = start().await;
    let put = async |disabled| {
        let writer = &server.app().handles.writer;
        writer.put_account(AccountRecord { disabled, ..rider() }).await.unwrap();
    };
    for (disabled, expected) in [(false, 200), (true, 401), (false, 200)] {
        put(disabled).await;
        for user in ["rider@localhost", "second@localhost"] {
            assert_eq!(status(&server.api().login(user, PASSWORD)).await, expected, "{user}");
        }
    }
}

#[tokio::test]
async fn passwords_are_compared_in_their_prepared_form() {
    let record = AccountRecord { password_hash: hash_password("te\u{301}st 1").unwrap(), ..account("rider") };
    let server = Embedded::builder().account(record).start().await;
    let cases = [
        ("tést 1", 200),
        ("te\u{301}st 1", 200),
        ("tést\u{a0}1", 200),
        ("te\u{301}st\u{3000}1", 200),
        ("tést  1", 401),
        ("Tést 1", 401),
        ("test 1", 401),
        ("tést 1\t", 401),
    ];
    for (password, expected) in cases {
        assert_eq!(status(&server.api().login("rider@localhost", password)).await, expected, "{password:?}");
    }
}

#[tokio::test]
async fn without_a_cache_every_login_is_compared() {
    let server = Embedded::builder()
        .settings(|settings| settings.limits.login_cache_entries = 0)
        .account(account("rider"))
        .start()
        .await;
    for compared in [1.0, 2.0] {
        assert_eq!(status(&server.api()).await, 200);
        assert_eq!(server.api().metric("postrider_password_comparisons_total", "").await, compared);
    }
}

#[tokio::test]
async fn nothing_is_sent_from_a_disabled_domain() {
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder()
        .domain(DomainRecord { disabled: true, ..domain("off.example") })
        .account(rider())
        .deliver_to(&peer)
        .start()
        .await;
    let from = |address: &str| {
        let mut request = message();
        request["From"] = json!([{"Address": address}]);
        request
    };
    for (user, request, code) in [
        ("third@off.example", message(), "domainDisabled"),
        ("rider@localhost", from("third@off.example"), "domainDisabled"),
        ("rider@localhost", from("any@off.example"), "domainDisabled"),
        ("rider@localhost", from("other@localhost"), "badFrom"),
    ] {
        let answer = server.api().login(user, PASSWORD).call("Send", &request).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{user}: {request}");
    }
    let api = server.api().login("third@off.example", PASSWORD);
    api.ok("Send", &from("second@localhost")).await;
    let delivery = peer.delivery_to("friend@remote.example").await;
    assert_eq!(delivery.mail.split(' ').next(), Some("<second@localhost>"));
}

#[tokio::test]
async fn an_account_that_left_leaves_nothing_to_one_of_the_same_name() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| {
            settings.retention.sweep_batch = 2;
            settings.retention.sweep_interval = Duration::from_millis(10);
        })
        .start()
        .await;
    let api = server.api();
    let address = json!({ "EmailAddress": "friend@remote.example" });
    api.ok("SuppressionAdd", &address).await;
    for _ in 0..3 {
        let id = server.send("rider@localhost").await;
        server.end(id).await;
    }
    let app = server.app();
    let change = DirectoryChange {
        seen: app.handles.store.directory().generation(),
        remove_accounts: vec!["rider".into()],
        ..DirectoryChange::default()
    };
    app.handles.writer.change_directory(change).await.expect("nothing is queued");
    assert_eq!(status(&api).await, 401, "it is gone at once");
    app.handles.writer.put_account(account("rider")).await.expect("it is made");
    assert_eq!(api.ok("SuppressionPresent", &address).await["Present"], false);
    assert_eq!(api.events("").await.expect("an answer").json()["Events"], json!([]));
    eventually("all of the first to be swept", async || {
        let totals = app.handles.store.read(|view| view.totals()).expect("the store is read");
        let left = (totals.events, totals.suppressions);
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(server.inbox("rider"), []);
}
