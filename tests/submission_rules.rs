//! What may be submitted, with the code of each rule, and what becomes of what is.

use crate::harness::{
    Embedded, EmbeddedBuilder, HookReceiver, Identity, SmtpClient, SmtpPeer, USER, account, address, domain,
};
use mail::QueueId;
use std::time::Duration;
use store::records::{AccountRecord, DomainRecord, OutgoingWebhook, QueueRecord};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) const NAME: &str = "mail.example";
const FRIEND: &str = "RCPT TO:<friend@remote.example>";

pub(crate) type Client = SmtpClient<TlsStream<TcpStream>>;

/// A rider with FromIDs, two addresses and a catch-all.
pub(crate) fn rider() -> AccountRecord {
    let addresses = ["rider@localhost", "x@off.example", "@all.example"].map(address).to_vec();
    let from_id_login_addresses = vec![USER.parse().expect("an address")];
    AccountRecord { addresses, from_id_login_addresses, ..account("rider") }
}

pub(crate) fn builder(identity: &Identity) -> EmbeddedBuilder {
    Embedded::builder()
        .certificate(identity.certificate())
        .domain(domain("all.example"))
        .domain(DomainRecord { disabled: true, ..domain("off.example") })
}

pub(crate) fn message(server: &Embedded, id: u64) -> QueueRecord {
    let store = &server.app().handles.store;
    let found = store.read(|view| {
        let queued = view.message(QueueId(id))?;
        Ok(queued.or(view.retired_message(QueueId(id))?.map(|retired| retired.message)))
    });
    found.expect("the store is read").expect("the message is there")
}

#[tokio::test]
async fn each_rule_has_its_code() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let poor = AccountRecord { max_outgoing_messages_per_day: Some(1), ..account("poor") };
    let server = builder(&identity)
        .account(rider())
        .account(account("other"))
        .account(poor)
        .deliver_to(&peer)
        .start()
        .await;
    let from = "MAIL FROM:<rider@localhost>";
    let whole = "From: rider@localhost\r\nSubject: s\r\n\r\nhi";
    let with = |fields: &str| format!("From: rider@localhost\r\n{fields}\r\n\r\nhi");
    let long = "x".repeat(300_000);
    // Each line, and what its answer begins with; the last of them is refused.
    let cases: Vec<(&str, Vec<(String, &str)>)> = vec![
        ("another's address", vec![("MAIL FROM:<other@localhost>".into(), "550 5.7.1")]),
        ("an address of nobody", vec![("MAIL FROM:<a@remote.example>".into(), "550 5.7.1")]),
        ("no return path", vec![("MAIL FROM:<>".into(), "550 5.7.1")]),
        ("a domain that is disabled", vec![("MAIL FROM:<x@off.example>".into(), "550 5.7.1")]),
        ("no address", vec![("MAIL FROM:<rider>".into(), "501")]),
        ("no room for a FromID", vec![(format!("MAIL FROM:<{}@all.example>", "x".repeat(60)), "553 5.1.7")]),
        (
            "two times to wait until",
            vec![(format!("{from} HOLDFOR=60 HOLDUNTIL=2030-01-01T00:00:00Z"), "501")],
        ),
        ("a size", vec![(format!("{from} SIZE=999999999999"), "552 5.3.4")]),
        ("too long a wait", vec![(format!("{from} HOLDFOR=99999999"), "501 5.5.4")]),
        ("an unknown parameter", vec![(format!("{from} MT-PRIORITY=3"), "555 5.5.4")]),
        ("what DSN has not", vec![(from.into(), "250"), (format!("{FRIEND} NOTIFY=SOON"), "501")]),
        (
            "a recipient who cannot be",
            vec![(from.into(), "250"), (format!("RCPT TO:<{}@b.example>", "x".repeat(65)), "501 5.1.3")],
        ),
        ("no recipient", vec![(from.into(), "250"), ("RCPT TO:<>".into(), "501")]),
        ("DATA without recipients", vec![(from.into(), "250"), ("DATA".into(), "554")]),
        (
            "the author is another",
            content(from, &["a@b.example"], "From: other@localhost\r\n\r\nhi", "550 5.7.1"),
        ),
        ("no author", content(from, &["a@b.example"], "Subject: s\r\n\r\nhi", "554 5.6.0")),
        ("two authors", content(from, &["a@b.example"], &with("From: rider@localhost"), "554 5.6.0")),
        ("another's Sender", content(from, &["a@b.example"], &with("Sender: other@localhost"), "550 5.7.1")),
        (
            "Extra twice",
            content(from, &["a@b.example"], &with("X-Mox-Extra-a: 1\r\nX-Postrider-Extra-A: 2"), "554 5.6.0"),
        ),
        (
            "a line among the fields that is none",
            content(from, &["a@b.example"], &with("garbage line\r\nBcc: leak@x"), "554 5.6.0"),
        ),
        (
            "many keys of Extra",
            content(
                from,
                &["a@b.example"],
                &with(&(0..1_001).map(|n| format!("X-Mox-Extra-{n}: x")).collect::<Vec<_>>().join("\r\n")),
                "554 5.6.0",
            ),
        ),
        (
            "a FromID for two",
            content("MAIL FROM:<rider+mine@localhost>", &["a@b.example", "c@b.example"], whole, "554 5.5.3"),
        ),
        (
            "many Received",
            content(from, &["a@b.example"], &with("Received: x\r\n".repeat(200).trim_end()), "554 5.4.6"),
        ),
        ("a long line", content(from, &["a@b.example"], &format!("{whole}\r\n{long}"), "554 5.6.0")),
        ("a long field", content(from, &["a@b.example"], &with(&format!("Subject: {long}")), "554 5.6.0")),
        (
            "a long header",
            content(from, &["a@b.example"], &with("X: y\r\n".repeat(200_000).trim_end()), "554 5.6.0"),
        ),
        ("a bare newline", content(from, &["a@b.example"], &with("Subject: a\nb"), "554 5.6.0")),
    ];
    for (what, lines) in cases {
        let mut client = server.session(&identity, USER).await;
        for (line, start) in lines {
            let said = client.command(&line).await;
            assert!(said.starts_with(start), "{what}: {line:?} is answered with {said:?}, not {start}");
        }
        client.expect("RSET", "250").await;
    }
    let mut client = server.session(&identity, "poor@localhost").await;
    client.expect("MAIL FROM:<poor@localhost>", "250").await;
    client.expect("RCPT TO:<a@b.example>", "250").await;
    let limited = client.expect("RCPT TO:<c@b.example>", "451 4.7.1").await;
    assert!(limited.contains("24 hours"), "{limited}");
    assert_eq!(server.queued(), 0, "nothing that was refused is queued");

    let mut stranger = SmtpClient::open([127, 0, 0, 1].into(), server.submission()).await;
    assert!(stranger.reply().await.starts_with("220 "));
    stranger.expect("EHLO client.example", "250").await;
    stranger.expect(from, "530 5.7.0").await;
}

/// A whole transaction, of which the end of the data is answered so.
fn content(mail: &str, to: &[&str], content: &str, answer: &'static str) -> Vec<(String, &'static str)> {
    let mut lines = vec![(mail.to_owned(), "250")];
    lines.extend(to.iter().map(|to| (format!("RCPT TO:<{to}>"), "250")));
    lines.extend([("DATA".to_owned(), "354"), (format!("{content}\r\n."), answer)]);
    lines
}

#[tokio::test]
async fn a_submitted_message_is_completed_signed_and_told_with_its_extra() {
    let identity = Identity::self_signed(&[NAME]);
    let (peer, hooks) = (SmtpPeer::accepting().await, HookReceiver::start().await);
    let outgoing_webhook = Some(OutgoingWebhook {
        url: hooks.url(),
        authorization: None,
        events: Vec::new(),
        every_event: false,
    });
    let server = builder(&identity)
        .account(AccountRecord { outgoing_webhook, ..rider() })
        .deliver_to(&peer)
        .start()
        .await;
    let mut client = server.session(&identity, USER).await;
    client.envelope(USER, &["friend@remote.example"]).await;
    client
        .expect(
            "From rider Mon Nov 23 09:59:00 2026\r\nFrom: Rider <rider@localhost>\r\n\
             Bcc: hidden@remote.example\r\nSubject: hi\r\nX-Mox-Extra-order-id: 17\r\nX-Postrider-Extra-Shop: one\r\n\r\n..dots\r\nhi\r\n.",
            "250 2.6.0",
        )
        .await;
    let delivery = peer.delivery_to("friend@remote.example").await;
    assert!(delivery.header("Date").is_some() && delivery.message_id().ends_with("@localhost>"));
    assert!(delivery.header("Received").is_some_and(|field| field.contains("with ESMTPSA")));
    for left_out in ["Bcc", "X-Mox-Extra-order-id", "X-Postrider-Extra-Shop"] {
        assert_eq!(delivery.header(left_out), None, "{left_out}");
    }
    assert_eq!(delivery.body(), b".dots\r\nhi\r\n");
    let told = hooks.event("delivered", 1).await;
    assert_eq!(told["Extra"], serde_json::json!({"Order-Id": "17", "Shop": "one"}));
    let from_id = told["FromID"].as_str().expect("a text");
    assert!(from_id.len() > 20 && delivery.mail.contains(&format!("<rider+{from_id}@localhost>")), "{told}");

    // A FromID of the sender's own is taken once.
    let own = "rider+mine-1@localhost";
    for answer in ["250 2.6.0", "554 5.1.7"] {
        client.envelope(own, &["friend@remote.example"]).await;
        client.expect("From: rider@localhost\r\n\r\nhi\r\n.", answer).await;
    }
    assert_eq!(hooks.event("delivered", 2).await["FromID"], "mine-1");
    assert_eq!(server.queued(), 2);
}

#[tokio::test]
async fn extensions_do_what_they_say() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::builder().extensions(&["DSN", "SMTPUTF8", "8BITMIME", "PIPELINING"]).start().await;
    let server = builder(&identity).account(rider()).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    let whole = "From: rider@localhost\r\nSubject: s\r\n\r\nhi\r\n.";
    let from = "MAIL FROM:<rider@localhost>";

    client.expect(&format!("{from} RET=HDRS ENVID=a+2Bb BODY=8BITMIME SIZE=40"), "250").await;
    client.expect(&format!("{FRIEND} NOTIFY=FAILURE,DELAY ORCPT=rfc822;f+2B1@remote.example"), "250").await;
    client.expect("DATA", "354").await;
    client.expect(whole, "250 2.6.0").await;
    let delivery = peer.delivery_to("friend@remote.example").await;
    assert!(
        delivery.mail.contains(" RET=HDRS") && delivery.mail.contains(" ENVID=a+2Bb"),
        "{}",
        delivery.mail
    );
    let rcpt = &delivery.rcpts[0];
    assert!(
        rcpt.contains("NOTIFY=FAILURE,DELAY") && rcpt.contains("ORCPT=rfc822;f+2B1@remote.example"),
        "{rcpt}"
    );

    client.expect(&format!("{from} HOLDFOR=3600"), "250").await;
    client.expect(FRIEND, "250").await;
    client.expect("DATA", "354").await;
    client.expect(whole, "250 2.6.0").await;
    let held = message(&server, 2);
    let wait = held.next_attempt.since(held.queued);
    assert!(wait > Duration::from_secs(3590) && wait <= Duration::from_secs(3600), "{wait:?}");

    client.expect(&format!("{from} REQUIRETLS HOLDFOR=3600"), "250").await;
    client.expect(FRIEND, "250").await;
    client.expect("DATA", "354").await;
    client.expect(whole, "250 2.6.0").await;
    assert_eq!(message(&server, 3).require_tls, Some(true));
    client.envelope(USER, &["b@remote.example"]).await;
    client.expect("From: rider@localhost\r\nTLS-Required: No\r\n\r\nhi\r\n.", "250 2.6.0").await;
    assert_eq!(message(&server, 4).require_tls, Some(false));

    client.expect("MAIL FROM:<rider@localhost> SMTPUTF8", "250").await;
    client.expect("RCPT TO:<grüße@remote.example>", "250").await;
    client.expect("DATA", "354").await;
    client
        .expect(
            "From: rider@localhost\r\nTo: <grüße@remote.example>\r\nSubject: ü\r\n\r\nhi\r\n.",
            "250 2.6.0",
        )
        .await;
    assert!(peer.delivery_to("grüße@remote.example").await.mail.contains("SMTPUTF8"));

    client.expect(from, "250").await;
    client.expect("RCPT TO:<chunks@remote.example>", "250").await;
    let content = b"From: rider@localhost\r\nSubject: chunks\r\n\r\n.\r\nhi\r\n";
    let (one, two) = content.split_at(20);
    client.write(&[format!("BDAT {}\r\n", one.len()).as_bytes(), one].concat()).await;
    assert!(client.reply().await.starts_with("250"));
    client.write(&[format!("BDAT {} LAST\r\n", two.len()).as_bytes(), two].concat()).await;
    assert!(client.reply().await.starts_with("250 2.6.0"));
    assert_eq!(peer.delivery_to("chunks@remote.example").await.body(), b".\r\nhi\r\n");

    // Everything at once, and over-long and binary commands in between, which cost only an answer.
    let pipelined = format!("{from}\r\n{FRIEND}\r\nRSET\r\nNOOP\r\n");
    client.write(pipelined.as_bytes()).await;
    for _ in 0..4 {
        assert!(client.reply().await.starts_with("250"));
    }
    client.write(&[b"NOOP ", &b"x".repeat(20_000)[..], b"\r\n"].concat()).await;
    assert!(client.reply().await.starts_with("500"));
    client.write(b"\x00\xff\x80\r\n").await;
    assert!(client.reply().await.starts_with("5"));
    client.expect("NOOP", "250").await;
    client.expect("QUIT", "221").await;
}

/// A client that heard no answer must not be told for a day that it may not send what was sent.
#[tokio::test]
async fn what_comes_again_is_acknowledged_though_the_account_may_send_no_more() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let once = AccountRecord {
        deduplicate_message_id: true,
        max_outgoing_messages_per_day: Some(1),
        max_first_time_recipients_per_day: Some(1),
        ..rider()
    };
    let server = builder(&identity).account(once).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    let text = |id: &str| format!("From: rider@localhost\r\nMessage-ID: <{id}@x>\r\n\r\nhi\r\n.");
    for (id, to, answer) in [
        ("a", "friend@remote.example", "250 2.6.0 Queued as 1"),
        ("a", "friend@remote.example", "250 2.6.0 Queued as 1"),
        ("b", "friend@remote.example", "451 4.7.1 The account may send to 1 recipient"),
        ("a", "other@remote.example", "451 4.7.1 The account may send to 1 recipient"),
        ("a", "friend@remote.example", "250 2.6.0 Queued as 1"),
    ] {
        client.envelope(USER, &[to]).await;
        client.expect(&text(id), answer).await;
    }
    assert_eq!(server.queued(), 1);
}

#[tokio::test]
async fn malformed_recipients_do_not_keep_the_message_from_the_others() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let server = builder(&identity).account(rider()).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    client.expect("MAIL FROM:<rider@localhost>", "250").await;
    for good in ["a", "b", "c"] {
        client.expect(&format!("RCPT TO:<{good}@remote.example>"), "250").await;
    }
    for number in 0..25 {
        client.expect(&format!("RCPT TO:<user..{number}@docomo.example>"), "501 5.1.3").await;
    }
    client.expect("RCPT TO:<\"user..1\"@docomo.example>", "250").await;
    client.expect("DATA", "354").await;
    client.expect("From: rider@localhost\r\n\r\nhi\r\n.", "250 2.6.0").await;
    for to in ["a@remote.example", "c@remote.example", "\"user..1\"@docomo.example"] {
        peer.delivery_to(to).await;
    }
    client.expect("QUIT", "221").await;
}

#[tokio::test]
async fn a_header_in_utf8_goes_to_every_host_unless_the_client_says_smtputf8() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::builder().extensions(&["PIPELINING"]).start().await;
    let server = builder(&identity).account(rider()).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    let utf8 = "From: Jörg <rider@localhost>\r\nTo: Bücher <b@bücher.example>\r\nSubject: grün\r\nX-Note: ü\r\n\r\nhi\r\n.";
    let latin1: Vec<u8> = utf8.chars().map(|c| u8::try_from(c).expect("it is in Latin-1")).collect();
    for (to, content) in [("utf8@remote.example", utf8.as_bytes()), ("latin1@remote.example", &latin1)] {
        client.envelope(USER, &[to]).await;
        client.write(&[content, b"\r\n"].concat()).await;
        assert!(client.reply().await.starts_with("250 2.6.0"));
        let delivery = peer.delivery_to(to).await;
        assert!(delivery.content.is_ascii(), "{to}");
        let read = mail::read::read(&delivery.content).message;
        assert_eq!(
            (&*read.subject, &*read.from[0].name, &*read.to[0].name),
            ("grün", "Jörg", "Bücher"),
            "{to}"
        );
        assert_eq!(read.from[0].address, "rider@localhost");
        assert!(delivery.header("X-Note").is_some_and(|note| note.contains("=?utf-8?")), "{to}");
    }
    // Of these the client said, or an address says, that only some hosts can take them.
    for (id, parameter, to) in [(3, " SMTPUTF8", "x@remote.example"), (4, "", "grün@remote.example")] {
        client.expect(&format!("MAIL FROM:<{USER}>{parameter} HOLDFOR=3600"), "250").await;
        client.expect(FRIEND, "250").await;
        client.expect("DATA", "354").await;
        client
            .expect(
                &format!("From: rider@localhost\r\nTo: <{to}>\r\nSubject: grün\r\n\r\nhi\r\n."),
                "250 2.6.0",
            )
            .await;
        assert!(message(&server, id).smtputf8, "{to}");
    }
}

#[tokio::test]
async fn what_comes_again_is_queued_once_where_the_account_asks_for_it() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let once = AccountRecord { deduplicate_message_id: true, ..rider() };
    let server = builder(&identity).account(once).account(account("other")).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    let text =
        |id: &str, body: &str| format!("From: rider@localhost\r\nMessage-ID: <{id}@x>\r\n\r\n{body}\r\n.");
    for (id, body, to, count) in [
        ("a", "hi", "friend@remote.example", 1),
        ("a", "hi", "friend@remote.example", 1),
        ("a", "hi", "other@remote.example", 2),
        ("a", "hello", "friend@remote.example", 3),
        ("b", "hi", "friend@remote.example", 4),
    ] {
        client.envelope(USER, &[to]).await;
        client.expect(&text(id, body), "250 2.6.0").await;
        assert_eq!(server.queued(), count, "{id} {body} {to}");
    }
    // Two sessions that send the same at the same time.
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.session(&identity, USER).await;
        client.envelope(USER, &["same@remote.example"]).await;
        client.write(text("c", "hi").as_bytes()).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.write(b"\r\n").await;
        assert!(client.reply().await.starts_with("250 2.6.0"));
    }
    assert_eq!(server.queued(), 5);
    let mut usual = server.session(&identity, "other@localhost").await;
    for count in [6, 7] {
        usual.envelope("other@localhost", &["friend@remote.example"]).await;
        usual.expect("From: other@localhost\r\nMessage-ID: <a@x>\r\n\r\nhi\r\n.", "250 2.6.0").await;
        assert_eq!(server.queued(), count);
    }
}
