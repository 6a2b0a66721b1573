use super::{Refused, testing::*};
use crate::{
    app::Mode,
    testing::{NOW, domain},
};
use mail::{DkimKey, DsnNotify, DsnReturn, FromId};
use std::collections::BTreeSet;
use store::records::{DkimKeyRecord, DomainRecord};

const FROM: &str = "FROM:<rider@localhost>";
const TO: &str = "TO:<ann@there.example>";
const MESSAGE: &str = "From: Rider <rider@localhost>\r\nDate: Sun, 22 Nov 2026 09:59:00 +0000\r\n\
    Message-ID: <a@localhost>\r\nSubject: Hi\r\n\r\nHello\r\n";

fn with_header(header: &str) -> String {
    format!("{header}{MESSAGE}")
}

#[actix_web::test]
async fn a_message_is_queued_signed_and_with_a_trace() {
    let server = TestServer::start(Mode::Serve).await;
    let message = with_header("Bcc: hidden@there.example\r\nX-Mox-Extra-order-id: =?utf-8?q?N=C2=B0_7?=\r\n");
    assert_eq!(server.submit("rider", &[FROM, TO], message).await, "250 2.6.0 Queued as 1");

    let record = server.queued(1);
    let from_id = record.from_id.clone().unwrap();
    assert_eq!(record.mail_from.to_string(), format!("rider+{from_id}@localhost"));
    assert_eq!((&*record.destination, &*record.subject), ("there.example", "Hi"));
    assert_eq!((&*record.message_id, record.extra["Order-Id"].as_str()), ("<a@localhost>", "N° 7"));
    assert!(!record.eight_bit && !record.smtputf8 && record.require_tls.is_none());

    let content = server.content(1);
    assert_eq!(record.size, content.len() as u64);
    let received = "Received: from client.example ([192.0.2.1])\r\n\tby mail.example with ESMTPSA id ";
    assert!(content.starts_with(received), "{content}");
    let (trace, rest) = content.split_once("DKIM-Signature: ").unwrap();
    assert!(trace.contains("\r\n\tfor <ann@there.example>;\r\n\tSun, 22 Nov 2026 "), "{trace}");
    assert!(rest.contains("d=localhost;") && rest.contains("s=s1;"), "{rest}");
    assert!(rest.ends_with(&format!(";\r\n{MESSAGE}")), "{rest}");
    assert_eq!(server.counted("accepted"), 1);
}

#[actix_web::test]
async fn what_is_missing_is_added_and_covered_by_the_signature() {
    let server = TestServer::start(Mode::Serve).await;
    let answer =
        server.submit("other", &["FROM:<other@localhost>", TO], "From: other@localhost\r\n\r\nhi\r\n").await;
    assert_eq!(answer, "250 2.6.0 Queued as 1");
    let (content, record) = (server.content(1), server.queued(1));
    let (signature, message) = content.split_once("From: ").unwrap();
    let expected = format!(
        "other@localhost\r\nDate: {}\r\nMessage-ID: {}\r\n\r\nhi\r\n",
        NOW.to_rfc5322(),
        record.message_id
    );
    assert_eq!(message, expected);
    let names = signature.split_once("h=").unwrap().1.split(';').next().unwrap().to_ascii_lowercase();
    assert!(names.contains("date") && names.contains("message-id"), "{names}");
    assert_eq!((record.from_id, record.mail_from.to_string()), (None, "other@localhost".into()));
}

#[actix_web::test]
async fn a_large_message_goes_to_a_file_of_its_own_signed_by_all_keys() {
    let server = TestServer::start(Mode::Serve).await;
    let keys = [DkimKey::generate_ed25519(), DkimKey::generate_rsa()];
    let keys = ["ed", "rsa"].into_iter().zip(keys);
    let dkim = keys.map(|(selector, key)| DkimKeyRecord { selector: selector.into(), pkcs8: key.unwrap() });
    let domain = DomainRecord { dkim: dkim.collect(), ..domain("localhost") };
    server.app.handles.writer.put_domain(domain).await.unwrap();
    let message = format!("Bcc: x@y.example\r\n{MESSAGE}{}", "a line of text\r\n".repeat(40_000));
    assert_eq!(server.submit("rider", &[FROM, TO], message.clone()).await, "250 2.6.0 Queued as 1");
    let content = server.content(1);
    assert_eq!(content.len() as u64, server.queued(1).size);
    assert!(content.ends_with(&message["Bcc: x@y.example\r\n".len()..]));
    let front = &content[..content.len() - message.len()];
    assert!(front.contains("s=ed;") && front.contains("s=rsa;"), "{front}");
}

#[actix_web::test]
async fn who_may_send_as_whom_is_told_at_mail() {
    let server = TestServer::start(Mode::Serve).await;
    let [long, too_long] = [60, 65].map(|length| format!("FROM:<{}@all.example>", "x".repeat(length)));
    for (account, mail, expected) in [
        ("rider", "FROM:<RIDER@localhost>", "ok"),
        ("rider", "FROM:<rider+tag@localhost>", "ok"),
        ("rider", "FROM:<anybody@all.example>", "ok"),
        ("rider", "FROM:<>", "550 5.7.1"),
        ("rider", "FROM:<other@localhost>", "550 5.7.1"),
        ("rider", "FROM:<rider@elsewhere.example>", "550 5.7.1"),
        ("rider", "FROM:<rider@disabled.example>", "550 5.7.1"),
        ("rider", &too_long, "501 5.1.7"),
        ("rider", &long, "553 5.1.7"),
        ("disabled", "FROM:<disabled@localhost>", "550 5.7.1"),
        ("rider", "FROM:<rider@localhost> HOLDFOR=5184000", "ok"),
        ("rider", "FROM:<rider@localhost> HOLDFOR=5184060", "554 5.5.4"),
        ("rider", "FROM:<rider@localhost> HOLDUNTIL=2020-01-01T00:00:00Z", "ok"),
        ("rider", "FROM:<rider@localhost> HOLDUNTIL=9999-01-01T00:00:00Z", "554 5.5.4"),
    ] {
        let told = server.envelope(account, &[mail]).err().map_or_else(|| "ok".into(), |no| said(Err(no)));
        assert!(told.starts_with(expected), "{account} {mail}: {told}");
    }
}

#[actix_web::test]
async fn a_message_waits_until_the_time_that_its_sender_chose() {
    let server = TestServer::start(Mode::Serve).await;
    for (parameter, expected) in [
        ("HOLDFOR=3600", Some("11:00")),
        ("HOLDUNTIL=2026-11-22T14:00:00+02:00", Some("12:00")),
        ("HOLDUNTIL=2026-11-21T10:00:00Z", None),
    ] {
        let mail = format!("{FROM} {parameter}");
        let answer = server.submit("rider", &[&mail, TO], MESSAGE).await;
        let id = answer.rsplit(' ').next().unwrap().parse().unwrap();
        let release = server.queued(id).future_release.map(|time| time.to_string()[11..16].to_owned());
        assert_eq!(release.as_deref(), expected, "{parameter}");
    }
}

#[actix_web::test]
async fn each_recipient_gets_a_fresh_from_id_once() {
    let server = TestServer::start(Mode::Serve).await;
    let recipients =
        ["TO:<a@x.example>", "TO:<b@x.example>", "TO:<a@X.example> NOTIFY=NEVER", "TO:<A@x.example>"];
    let commands = [&[FROM][..], &recipients].concat();
    assert_eq!(server.submit("rider", &commands, MESSAGE).await, "250 2.6.0 Queued as 1 to 3");
    let records = [1, 2, 3].map(|id| server.queued(id));
    let from_ids: BTreeSet<_> = records.iter().map(|record| record.from_id.clone().unwrap()).collect();
    assert_eq!(from_ids.len(), 3);
    assert!(records.iter().all(|record| record.content == records[0].content && record.dsn.notify.is_none()));
    assert!(!server.content(1).contains("\tfor <"));
}

#[actix_web::test]
async fn a_from_id_that_mail_brings_is_for_one_message() {
    let server = TestServer::start(Mode::Serve).await;
    let mail = "FROM:<rider+Order17@localhost>";
    assert!(server.submit("rider", &[mail, TO, "TO:<b@x.example>"], MESSAGE).await.starts_with("554 5.5.3"));
    assert_eq!(server.submit("rider", &[mail, TO, TO], MESSAGE).await, "250 2.6.0 Queued as 1");
    let record = server.queued(1);
    assert_eq!(record.from_id, FromId::parse("order17"));
    assert_eq!(record.mail_from.to_string(), "rider+Order17@localhost");
    let again = "FROM:<rider+order17@localhost>";
    assert!(server.submit("rider", &[again, TO], MESSAGE).await.starts_with("554 5.1.7"));
    assert_eq!((server.queue_length(), server.counted("refused")), (1, 2));
    // A login without FromIDs, and nothing behind the separator.
    let several = ["FROM:<other+x@localhost>", TO, "TO:<b@x.example>"];
    let message = MESSAGE.replace("rider@", "other@");
    assert_eq!(server.submit("other", &several, message).await, "250 2.6.0 Queued as 2 to 3");
    assert_eq!(server.queued(2).mail_from.to_string(), "other+x@localhost");
    let empty = ["FROM:<rider+@localhost>", TO, "TO:<b@x.example>"];
    assert_eq!(server.submit("rider", &empty, MESSAGE).await, "250 2.6.0 Queued as 4 to 5");
}

#[actix_web::test]
async fn a_message_that_may_not_be_sent_is_refused_at_its_end() {
    let server = TestServer::start(Mode::Serve).await;
    let looped = format!("{}{MESSAGE}", "Received: x\r\n".repeat(101));
    let hops = format!("{}{MESSAGE}", "Received: x\r\n".repeat(100));
    for (message, expected) in [
        ("hello\r\n", "554 5.6.0"),
        ("From: rider@localhost, other@localhost\r\n\r\n", "554 5.6.0"),
        ("From: rider@localhost\r\nFrom: rider@localhost\r\n\r\n", "554 5.6.0"),
        ("From: other@localhost\r\n\r\n", "550 5.7.1 From: other@localhost is not"),
        ("From: x@disabled.example\r\n\r\n", "550 5.7.1 Nothing can be sent from disabled.example"),
        (
            "From: rider@localhost\r\nSender: other@localhost\r\n\r\n",
            "550 5.7.1 Sender: other@localhost is not",
        ),
        ("From: rider@localhost\r\nSender: x@all.example\r\n\r\n", "250 2.6.0"),
        (
            "From: rider@localhost\r\nX-Mox-Extra-a: 1\r\nX-Postrider-Extra-A: 2\r\n\r\n",
            "554 5.6.0 The message has Extra A",
        ),
        (&looped, "554 5.4.6"),
        (&hops, "250 2.6.0"),
    ] {
        let answer = server.submit("rider", &[FROM, TO], message).await;
        assert!(answer.starts_with(expected), "{message:.60}: {answer}");
    }
    assert_eq!((server.counted("refused"), server.counted("accepted"), server.queue_length()), (8, 2, 2));
}

#[actix_web::test]
async fn what_the_envelope_asks_of_tls_comes_before_what_the_message_does() {
    let server = TestServer::start(Mode::Serve).await;
    for (id, parameter, header, expected) in [
        (1, "", "", None),
        (2, "", "TLS-Required: no\r\n", Some(false)),
        (3, "", "TLS-Required: yes\r\n", None),
        (4, " REQUIRETLS", "", Some(true)),
        (5, " REQUIRETLS", "TLS-Required: No\r\n", Some(true)),
    ] {
        let mail = format!("{FROM}{parameter}");
        server.submit("rider", &[&mail, TO], with_header(header)).await;
        assert_eq!(server.queued(id).require_tls, expected, "{parameter} {header}");
        assert!(server.content(id).contains(header), "{header}");
    }
}

#[actix_web::test]
async fn what_is_asked_of_reports_is_kept() {
    let server = TestServer::start(Mode::Serve).await;
    let commands = [
        "FROM:<rider@localhost> RET=HDRS ENVID=a+2Bb",
        "TO:<a@x.example> NOTIFY=NEVER ORCPT=rfc822;b+2Bc@y.example",
        "TO:<b@x.example> NOTIFY=SUCCESS,DELAY",
    ];
    assert_eq!(server.submit("rider", &commands, MESSAGE).await, "250 2.6.0 Queued as 1 to 2");
    let [first, second] = [1, 2].map(|id| server.queued(id).dsn);
    assert_eq!((first.envid.as_deref(), first.ret), (Some("a+b"), Some(DsnReturn::Headers)));
    assert_eq!(first.notify, Some(DsnNotify::Never));
    assert_eq!(first.original_recipient.as_deref(), Some("rfc822;b+c@y.example"));
    assert_eq!(second.notify, Some(DsnNotify::On { success: true, failure: false, delay: true }));
    assert_eq!(second.original_recipient, None);
}

#[actix_web::test]
async fn a_message_is_marked_with_what_it_needs() {
    let server = TestServer::start(Mode::Serve).await;
    for (id, to, message, eight_bit, smtputf8) in [
        (1, TO, MESSAGE.to_owned(), false, false),
        (2, TO, format!("{MESSAGE}grün\r\n"), true, false),
        (3, TO, with_header("X-Colour: grün\r\n"), true, true),
        (4, "TO:<grün@there.example>", MESSAGE.to_owned(), true, true),
        (5, "TO:<ann@grün.example>", MESSAGE.to_owned(), false, false),
    ] {
        let answer = server.submit("rider", &["FROM:<rider@localhost> SMTPUTF8", to], message).await;
        assert!(answer.starts_with("250"), "{answer}");
        let record = server.queued(id);
        assert_eq!((record.eight_bit, record.smtputf8), (eight_bit, smtputf8), "{id}");
        assert!(server.content(id).contains(" with UTF8SMTPSA id "));
    }
}

#[actix_web::test]
async fn the_same_message_is_queued_once_where_the_account_asks_for_it() {
    for asks in [true, false] {
        let server = TestServer::with(Mode::Serve, |account| account.deduplicate_message_id = asks).await;
        let submit = async |commands: &[&str], message: &str| {
            server.submit("rider", &[&[FROM], commands].concat(), message).await
        };
        let without_id = MESSAGE.replace("Message-ID", "X-ID");
        assert_eq!(submit(&[TO], MESSAGE).await, "250 2.6.0 Queued as 1");
        assert_eq!(
            submit(&[TO], MESSAGE).await,
            if asks { "250 2.6.0 Queued as 1" } else { "250 2.6.0 Queued as 2" }
        );
        let before = server.queue_length();
        // Of several, those who have it are left out.
        let several = submit(&[TO, "TO:<b@x.example>"], MESSAGE).await;
        assert_eq!(several, if asks { "250 2.6.0 Queued" } else { "250 2.6.0 Queued as 3 to 4" });
        let more = [MESSAGE.replace("Hello", "Hallo"), without_id.clone(), without_id];
        for message in &more {
            submit(&[TO], message).await;
        }
        assert_eq!(server.queue_length() - before, if asks { 1 } else { 2 } + more.len() as u64);
    }
}

#[actix_web::test]
async fn a_repeat_with_a_from_id_of_its_own_is_the_same_message() {
    let server = TestServer::with(Mode::Serve, |account| account.deduplicate_message_id = true).await;
    for _ in 0..2 {
        let answer = server.submit("rider", &["FROM:<rider+x17@localhost>", TO], MESSAGE).await;
        assert_eq!(answer, "250 2.6.0 Queued as 1");
    }
}

#[actix_web::test]
async fn limits_are_told_at_the_recipient_that_exceeds_them() {
    let server = TestServer::with(Mode::Serve, |account| {
        account.max_outgoing_messages_per_day = Some(3);
        account.max_first_time_recipients_per_day = Some(2);
    })
    .await;
    let three = [FROM, TO, "TO:<b@x.example>", "TO:<c@x.example>"];
    let answer = server.submit("rider", &three, MESSAGE).await;
    assert!(
        answer.starts_with("451 4.7.1 The account may send to 2 recipients in 24 hours that it never"),
        "{answer}"
    );
    assert!(server.submit("rider", &three[..3], MESSAGE).await.starts_with("250"));
    let answer = server.submit("rider", &three[..3], MESSAGE).await;
    assert!(answer.starts_with("451 4.7.1 The account may send to 3 recipients in 24 hours,"), "{answer}");
    // Two that began side by side: the second hears of it at its end.
    let envelopes = [(); 2].map(|()| server.envelope("rider", &[FROM, TO]).unwrap());
    let mut answers = Vec::new();
    for envelope in envelopes {
        answers.push(said(server.submit_for(envelope, MESSAGE).await));
    }
    assert!(answers[0].starts_with("250") && answers[1].starts_with("451 4.7.1"), "{answers:?}");
    assert_eq!(server.queue_length(), 3);
}

#[actix_web::test]
async fn an_account_disabled_meanwhile_sends_no_more() {
    let server = TestServer::start(Mode::Serve).await;
    let envelope = server.envelope("rider", &[FROM, TO]).unwrap();
    let mut record = server.account("rider").record.clone();
    record.disabled = true;
    server.app.handles.writer.put_account(record).await.unwrap();
    assert_eq!(server.submit_for(envelope, MESSAGE).await, Err(Refused::AccountDisabled));
    assert!(server.submit("rider", &[FROM, TO], MESSAGE).await.starts_with("550 5.7.1"));
}

#[actix_web::test]
async fn a_developers_server_fails_as_addresses_ask_for() {
    for mode in [Mode::Local, Mode::Serve] {
        let server = TestServer::start(mode).await;
        let from = "rider@localhost";
        for (mail, to, expected) in [
            (from, "ann@there.example", "250"),
            (from, "temperror@there.example", "451 4.3.0"),
            (from, "rcptto-permerror@there.example", "550 5.1.1"),
            (from, "timeout@there.example", "silence"),
            (from, "user599@there.example", "599"),
            (from, "queue-permerror@there.example", "250"),
            (from, "queuetimeout@there.example", "250"),
            ("mailfrom-temperror@all.example", "ann@there.example", "451 4.3.0"),
        ] {
            let commands = [&*format!("FROM:<{mail}>"), &*format!("TO:<{to}>")];
            let answer = server.submit("rider", &commands, MESSAGE).await;
            let expected = if mode == Mode::Local { expected } else { "250" };
            assert!(answer.starts_with(expected), "{mode:?} {mail} {to}: {answer}");
        }
    }
}

#[actix_web::test]
async fn load_that_does_not_fit_is_shed_and_nothing_of_it_queued() {
    let server = TestServer::start(Mode::Serve).await;
    let envelopes: Vec<_> = (0..200).map(|_| server.envelope("rider", &[FROM, TO]).unwrap()).collect();
    // Not awaited: each waits for the writer, and holds its place.
    let answers = envelopes.into_iter().map(|envelope| server.submit_for(envelope, MESSAGE));
    let answers: Vec<_> = futures_util::future::join_all(answers).await.into_iter().map(said).collect();
    let count = |start: &str| answers.iter().filter(|answer| answer.starts_with(start)).count() as u64;
    assert_eq!(count("250 2.6.0") + count("452 4.3.1"), 200);
    assert!(count("250") >= 100 && count("452") > 0, "{} {}", count("250"), count("452"));
    assert_eq!((server.queue_length(), server.counted("busy")), (count("250"), count("452")));
}

#[actix_web::test]
async fn a_bare_postmaster_is_the_one_of_this_host_and_what_is_no_address_is_refused() {
    let server = TestServer::start(Mode::Serve).await;
    server.submit("rider", &[FROM, "TO:<postmaster>"], MESSAGE).await;
    assert_eq!(server.queued(1).recipient.to_string(), "postmaster@mail.example");
    let long = format!("TO:<{}@there.example>", "x".repeat(65));
    assert!(server.submit("rider", &[FROM, &long], MESSAGE).await.starts_with("501 5.1.3"));
}
