//! What accounts and listeners allow those who submit, and what lasts beyond a session and a restart.

use crate::harness::{
    Embedded, EmbeddedBuilder, Identity, PASSWORD, ScramLogin, Site, SmtpClient, SmtpPeer, USER, account,
    domain, eventually, judge,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use mail::{DkimKey, QueueId, Timestamp};
use rustls::version::TLS13;
use serde_json::json;
use std::time::Duration;
use store::records::{AccountRecord, DkimKeyRecord, DomainRecord};

const NAME: &str = "mail.example";
const MESSAGE: &str = "From: rider@localhost\r\nSubject: s\r\n\r\nhi\r\n.";
const FROM: &str = "MAIL FROM:<rider@localhost>";
/// Settings with a listener for machines that are trusted.
const IN_CLEAR: &str = "hostname = \"mail.example\"\n[dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"submission\"\nauth_without_tls = true\n";
const FRIEND: &str = "friend@remote.example";

fn builder(identity: &Identity, rider: AccountRecord) -> EmbeddedBuilder {
    Embedded::builder().certificate(identity.certificate()).account(rider)
}

#[tokio::test]
async fn recipients_count_whichever_way_they_come_in() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let two = AccountRecord { max_outgoing_messages_per_day: Some(2), ..account("rider") };
    let server = builder(&identity, two).deliver_to(&peer).start().await;
    let request = json!({"To": [{"Address": FRIEND}], "Text": "hi"});
    let mut client = server.session(&identity, USER).await;
    client.envelope(USER, &[FRIEND]).await;
    client.expect(MESSAGE, "250 2.6.0").await;
    server.api().ok("Send", &request).await;

    let refused = server.api().call("Send", &request).await.expect("an answer");
    assert_eq!(refused.code(), "messageLimitReached");
    client.expect(FROM, "250").await;
    client.expect(&format!("RCPT TO:<{FRIEND}>"), "451 4.7.1 The account may send to 2 recipients").await;
    assert_eq!(server.queued(), 2);
}

#[tokio::test]
async fn recipients_whom_the_account_never_wrote_to_are_limited() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let one = AccountRecord { max_first_time_recipients_per_day: Some(1), ..account("rider") };
    let server = builder(&identity, one).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    for _ in 0..2 {
        client.envelope(USER, &[FRIEND]).await;
        client.expect(MESSAGE, "250 2.6.0").await;
    }
    client.expect(FROM, "250").await;
    let limited = client.expect("RCPT TO:<stranger@remote.example>", "451 4.7.1").await;
    assert!(limited.contains("never"), "{limited}");
    client.expect(&format!("RCPT TO:<{FRIEND}>"), "250").await;
}

#[tokio::test]
async fn what_was_queued_once_is_known_after_a_crash() {
    let site = Site::new(IN_CLEAR);
    site.write(
        "directory.toml",
        "[[domains]]\nname = \"example.com\"\n[[accounts]]\nname = \"app\"\nfull_name = \"App\"\n\
         password = \"correct horse\"\naddresses = [\"app@example.com\"]\ndeduplicate_message_id = true\n",
    );
    site.ok(&["directory", "apply", "directory.toml"]);
    for _ in 0..2 {
        let serve = site.serve().await;
        let mut client = SmtpClient::ready(serve.address("submission")).await;
        client.log_in("app@example.com", "correct horse").await;
        client.expect("MAIL FROM:<app@example.com> HOLDFOR=3600", "250").await;
        client.expect("RCPT TO:<app@example.com>", "250").await;
        client.expect("DATA", "354").await;
        let text = "From: app@example.com\r\nMessage-ID: <a@x>\r\n\r\nhi\r\n.";
        client.expect(text, "250 2.6.0 Queued as 1").await;
        // Killed.
        drop(serve);
    }
}

#[tokio::test]
async fn a_from_id_that_the_queue_or_its_history_has_is_not_taken_again() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::accepting().await;
    let rider = AccountRecord {
        from_id_login_addresses: vec![USER.parse().expect("an address")],
        ..account("rider")
    };
    let server = builder(&identity, rider).deliver_to(&peer).start().await;
    let mut client = server.session(&identity, USER).await;
    let own = |name: &str, hold: &str| format!("MAIL FROM:<rider+{name}@localhost>{hold}");
    for (name, hold) in [("queued", " HOLDFOR=3600"), ("retired", "")] {
        for (mail, answer) in [(own(name, hold), "250 2.6.0"), (own(&name.to_uppercase(), ""), "554 5.1.7")] {
            client.expect(&mail, "250").await;
            client.expect(&format!("RCPT TO:<{FRIEND}>"), "250").await;
            client.expect("DATA", "354").await;
            client.expect(MESSAGE, answer).await;
            let store = &server.app().handles.store;
            eventually("the message where it is to be", async || {
                let retired = store.read(|view| view.retired_message(QueueId(2))).expect("the store is read");
                match retired.is_some() || name == "queued" {
                    true => Ok(()),
                    false => Err("it is in the queue".into()),
                }
            })
            .await;
        }
    }
    assert_eq!(server.queued(), 2, "nothing that was refused is queued");
    assert_eq!(peer.deliveries().len(), 1);
}

#[tokio::test]
async fn an_account_that_is_disabled_amid_a_session_sends_no_more() {
    let identity = Identity::self_signed(&[NAME]);
    let server = builder(&identity, account("rider")).start().await;
    let mut between = server.session(&identity, USER).await;
    let mut amid = server.session(&identity, USER).await;
    amid.envelope(USER, &[FRIEND]).await;
    let disabled = AccountRecord { disabled: true, ..account("rider") };
    server.app().handles.writer.put_account(disabled).await.expect("it is kept");
    amid.expect(MESSAGE, "550 5.7.1 The account is disabled").await;
    between.expect(FROM, "550 5.7.1 The account is disabled").await;
    assert_eq!(server.queued(), 0);
}

#[tokio::test]
async fn a_message_can_wait_as_long_as_ehlo_says() {
    let identity = Identity::self_signed(&[NAME]);
    let server = builder(&identity, account("rider")).start().await;
    let mut client = server.session(&identity, USER).await;
    let offered = client.expect("EHLO client.example", "250").await;
    let line =
        offered.lines().find_map(|line| line.get(4..)?.strip_prefix("FUTURERELEASE ")).expect("a line");
    let (seconds, latest) = line.split_once(' ').expect("two maxima");
    let seconds: u64 = seconds.parse().expect("a number");
    let latest = Timestamp::parse_rfc3339(latest).expect("a time");
    let now = actors::Clock::system().now();
    assert_eq!(seconds, 60 * 86_400);
    let until = latest.since(now).as_secs();
    assert!((seconds - 60..=seconds + 60).contains(&until), "{until}");

    let in_an_hour = Timestamp::from_millis(now.after(Duration::from_secs(3600)).as_millis() / 1000 * 1000);
    let later = latest.after(Duration::from_secs(3600));
    for (parameters, answer) in [
        (format!("HOLDUNTIL={in_an_hour}"), "250"),
        (format!("HOLDFOR={seconds}"), "250"),
        (format!("HOLDFOR={}", seconds + 1), "501 5.5.4"),
        (format!("HOLDUNTIL={later}"), "501 5.5.4"),
        (format!("HOLDFOR=60 HOLDUNTIL={in_an_hour}"), "501"),
    ] {
        client.expect(&format!("{FROM} {parameters}"), answer).await;
        client.expect("RSET", "250").await;
    }
    client.expect(&format!("{FROM} HOLDUNTIL={in_an_hour}"), "250").await;
    client.expect(&format!("RCPT TO:<{FRIEND}>"), "250").await;
    client.expect("DATA", "354").await;
    client.expect(MESSAGE, "250 2.6.0").await;
    let queued = server.app().handles.store.read(|view| view.message(QueueId(1))).expect("the store is read");
    let queued = queued.expect("it waits");
    assert_eq!((queued.future_release, queued.next_attempt), (Some(in_an_hour), in_an_hour));
}

#[tokio::test]
async fn recipients_beyond_the_limit_are_for_another_message() {
    let identity = Identity::self_signed(&[NAME]);
    let server = builder(&identity, account("rider"))
        .settings(|settings| settings.limits.recipients_max = 3)
        .start()
        .await;
    let mut client = server.session(&identity, USER).await;
    assert!(client.expect("EHLO client.example", "250").await.contains("LIMITS RCPTMAX=3"));
    client.expect(FROM, "250").await;
    for (name, answer) in [("a", "250"), ("b", "250"), ("c", "250"), ("d", "452 4.5.3")] {
        client.expect(&format!("RCPT TO:<{name}@remote.example>"), answer).await;
    }
    client.expect("DATA", "354").await;
    client.expect(MESSAGE, "250 2.6.0 Queued as 1 to 3").await;
}

#[tokio::test]
async fn an_internal_listener_may_take_passwords_in_clear() {
    let site = Site::new(IN_CLEAR);
    site.ok(&["domain", "add", "example.com"]);
    site.ok_with(&["account", "add", "app", "--address", "app@example.com"], "correct horse\n");
    let mut serve = site.serve().await;
    let mut client = SmtpClient::connect(serve.address("submission")).await;
    let offered = client.expect("EHLO client.example", "250").await;
    assert!(offered.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{offered}");
    assert!(!offered.contains("REQUIRETLS") && !offered.contains("STARTTLS"), "{offered}");
    client.log_in("app@example.com", "correct horse").await;
    client.expect("MAIL FROM:<app@example.com> REQUIRETLS", "555 5.5.4").await;
    // To wait, so that no attempt holds up the end.
    client.expect("MAIL FROM:<app@example.com> HOLDFOR=3600", "250").await;
    client.expect("RCPT TO:<app@example.com>", "250").await;
    client.expect("DATA", "354").await;
    client.expect("From: app@example.com\r\n\r\nhi\r\n.", "250 2.6.0 Queued as 1").await;
    assert!(serve.terminate().await.success());
}

#[tokio::test]
async fn clients_that_vanish_between_two_steps_leave_nothing_behind() {
    let identity = Identity::self_signed(&[NAME]);
    let scram = postrider::password::Password::new(PASSWORD).expect("a password").scram_keys();
    let rider = AccountRecord { scram: Some(scram), ..account("rider") };
    // Each who vanishes would keep the only place.
    let server = builder(&identity, rider)
        .settings(|settings| settings.limits.smtp_sessions_per_client_max = 1)
        .start()
        .await;
    let in_clear = async || {
        let mut client = admitted(&server).await;
        client.expect("EHLO client.example", "250").await;
        client
    };
    let secured = async || {
        let mut client = in_clear().await;
        client.expect("STARTTLS", "220").await;
        let mut client = client.secure(NAME, identity.trusting(&[&TLS13])).await.expect("TLS");
        client.expect("EHLO client.example", "250").await;
        client
    };
    for _ in 0..2 {
        let mut client = in_clear().await;
        client.expect("STARTTLS", "220").await;
        drop(client);

        // Half a ClientHello.
        let mut client = in_clear().await;
        client.expect("STARTTLS", "220").await;
        client.write(b"\x16\x03\x01\x02\x00\x01\x00").await;
        drop(client);

        for (lines, half) in [
            (vec!["AUTH PLAIN".to_owned()], "AHJpZGVy".to_owned()),
            (vec!["AUTH LOGIN".to_owned()], BASE64_STANDARD.encode(USER)),
            (vec!["AUTH LOGIN".to_owned(), BASE64_STANDARD.encode(USER)], "cG9zdH".to_owned()),
        ] {
            let mut client = secured().await;
            for line in lines {
                client.expect(&line, "334").await;
            }
            client.write(half.as_bytes()).await;
            drop(client);
        }

        let login = ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
        let mut client = secured().await;
        login.begin(&mut client).await.expect("a challenge");
        drop(client);
        let mut client = secured().await;
        let proof = login.begin(&mut client).await.expect("a challenge");
        assert!(proof.send_proof(&mut client).await.starts_with("334 "));
        drop(client);

        for (whole_chunks, rest) in [(0, "BDAT 100\r\nFrom: rider@loc"), (1, ""), (1, "BDAT 20 LAST\r\nhi")] {
            let mut client = secured().await;
            client.log_in(USER, PASSWORD).await;
            client.expect(FROM, "250").await;
            client.expect(&format!("RCPT TO:<{USER}>"), "250").await;
            let header = "From: rider@localhost\r\n\r\n";
            for _ in 0..whole_chunks {
                client.write(format!("BDAT {}\r\n{header}", header.len()).as_bytes()).await;
                assert!(client.reply().await.starts_with("250"));
            }
            client.write(rest.as_bytes()).await;
            drop(client);
        }
    }
    let mut client = secured().await;
    client.log_in(USER, PASSWORD).await;
    client.envelope(USER, &[USER]).await;
    client.expect(MESSAGE, "250 2.6.0 Queued as 1").await;
    let failures = server.api().metric("postrider_authentication_failures_total", "way=\"submission\"").await;
    assert_eq!(failures, 0.0, "who gave up was not wrong");
}

/// A client that was greeted, once the server has seen that the one before is gone.
async fn admitted(server: &Embedded) -> SmtpClient {
    eventually("a place for a session", async || {
        let mut client = SmtpClient::open([127, 0, 0, 1].into(), server.submission()).await;
        match client.reply().await {
            greeting if greeting.starts_with("220 ") => Ok(client),
            refused => Err(refused),
        }
    })
    .await
}

#[tokio::test]
async fn what_goes_out_bears_a_signature_that_others_find_good() {
    let identity = Identity::self_signed(&[NAME]);
    let peer = SmtpPeer::builder().extensions(&["8BITMIME", "SMTPUTF8", "PIPELINING"]).start().await;
    let pkcs8 = DkimKey::generate_ed25519().expect("a key");
    let record = DkimKey::from_pkcs8_der(&pkcs8).expect("a key").dns_record();
    let dkim = vec![DkimKeyRecord { selector: "s1".into(), pkcs8 }];
    let server = builder(&identity, account("rider"))
        .domain(DomainRecord { dkim, ..domain("localhost") })
        .deliver_to(&peer)
        .start()
        .await;
    let mut client = server.session(&identity, USER).await;
    let messages = [
        (
            "folded",
            "from:\tRider\r\n <rider@localhost>\r\nSUBJECT : odd\r\n\t white  space \r\nSubject: s\r\n\r\nhi  \r\n\r\n\r\n",
        ),
        (
            "hidden",
            "Bcc: a@b.example\r\nFrom: rider@localhost\r\nX-Mox-Extra-a: 1\r\nTo: a@b.example\r\nSubject: s\r\n\r\nhi\r\n",
        ),
        ("empty", "From: rider@localhost\r\nSubject: s\r\n\r\n"),
        ("dots", "From: rider@localhost\r\nSubject: s\r\n\r\n..\r\n...x\r\n"),
        (
            "eight",
            "From: rider@localhost\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ngrün\r\n",
        ),
        (
            "signed",
            "DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=From; bh=AA==; b=AA==\r\nFrom: rider@localhost\r\nSubject: s\r\n\r\nhi\r\n",
        ),
    ];
    for (name, message) in messages {
        let to = format!("{name}@remote.example");
        client.expect(&format!("{FROM} BODY=8BITMIME"), "250").await;
        client.expect(&format!("RCPT TO:<{to}>"), "250").await;
        client.expect("DATA", "354").await;
        client.expect(&format!("{message}."), "250 2.6.0").await;
        let delivery = peer.delivery_to(&to).await;
        judge(
            "check_dkim.py",
            &json!({
                "content": BASE64_STANDARD.encode(&delivery.content),
                "name": "s1._domainkey.localhost",
                "record": record,
                "signed": ["From", "Subject", "Date", "Message-ID"],
            }),
        );
    }
}
