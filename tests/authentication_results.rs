//! What is found out about who incoming mail is from, where it is told, and what follows.

use crate::harness::{DnsServer, Embedded, Exchanger, Fault, Server, SmtpClient, account, free_address};
use mail::{DkimKey, DkimSigner};
use serde_json::json;
use std::{net::Ipv6Addr, sync::Arc};

/// Domains whose mail may come from 127.0.0.1, and others. All TXT records at once, as a zone has them.
const ZONE: &str = "good.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n\
    bad.test TXT \"v=spf1 -all\"\n\
    soft.test TXT \"v=spf1 ~all\"\n\
    bank.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n\
    _dmarc.bank.test TXT \"v=DMARC1; p=reject\"\n\
    _dmarc.careful.test TXT \"v=DMARC1; p=quarantine\"\n\
    _dmarc.watching.test TXT \"v=DMARC1; p=none; rua=mailto:x@watching.test\"\n\
    _dmarc.trying.test TXT \"v=DMARC1; p=reject; t=y\"\n\
    _dmarc.strict.test TXT \"v=DMARC1; p=reject; aspf=s; adkim=s\"\n\
    sub.strict.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n\
    mail.bank.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n";

/// Signs as `selector` of `domain`, and has put the key into the zone.
fn signer(zone: &mut String, domain: &str, selector: &str) -> DkimSigner {
    let key = DkimKey::from_pkcs8_der(&DkimKey::generate_ed25519().expect("a key")).expect("a key");
    *zone += &format!("{selector}._domainkey.{domain} TXT \"{}\"\n", key.dns_record());
    DkimSigner::new(domain.parse().expect("a domain"), selector, Arc::new(key)).expect("a selector")
}

fn signed(signer: &DkimSigner, content: &str) -> String {
    let signature = signer.sign(content.as_bytes()).expect("a signature");
    String::from_utf8(signature).expect("ASCII") + content
}

fn from(address: &str) -> String {
    format!("From: A <{address}>\r\nSubject: hello\r\n\r\nhi\r\n")
}

#[tokio::test]
async fn results_stand_in_front_of_the_message_and_in_its_meta() {
    let mut zone = ZONE.to_owned();
    let signer = signer(&mut zone, "bank.test", "sel");
    let mx = Exchanger::start(&zone).await;
    let taken = mx.take("client.test", "a@bank.test", &signed(&signer, &from("b@bank.test"))).await;
    assert_eq!(
        taken.results(),
        [
            "spf=pass smtp.mailfrom=a@bank.test",
            "dkim=pass header.d=bank.test header.s=sel",
            "dmarc=pass header.from=bank.test policy.dmarc=reject",
            "arc=none",
        ]
    );
    assert!(
        taken.raw.starts_with("Return-Path: <a@bank.test>\r\nAuthentication-Results: mail.example;\r\n\t")
    );
    assert_eq!(
        (&taken.meta["MailFromValidated"], &taken.meta["MsgFromValidated"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(taken.meta["DKIMVerifiedDomains"], json!(["bank.test"]));
    for labels in ["method=\"spf\",result=\"pass\"", "method=\"arc\",result=\"none\""] {
        let counted = mx.server.api().metric("postrider_authentication_results_total", labels).await;
        assert_eq!(counted, 1.0, "{labels}");
    }
}

#[tokio::test]
async fn the_author_is_validated_by_what_is_aligned_with_its_domain() {
    let mut zone = ZONE.to_owned();
    let of_good = signer(&mut zone, "good.test", "s");
    let of_strict = signer(&mut zone, "sub.strict.test", "s");
    let of_bank = signer(&mut zone, "mail.bank.test", "s");
    let mx = Exchanger::start(&zone).await;
    let unsigned = |address: &str| from(address);
    for (mail_from, content, spf, dmarc, validated) in [
        // Without a DMARC record.
        ("a@good.test", unsigned("b@good.test"), "pass", "none", [true, true]),
        ("a@good.test", unsigned("b@news.good.test"), "pass", "none", [true, true]),
        ("a@good.test", unsigned("b@other.test"), "pass", "none", [true, false]),
        ("a@soft.test", unsigned("b@soft.test"), "softfail", "none", [false, false]),
        ("a@bad.test", unsigned("b@bad.test"), "fail", "none", [false, false]),
        ("a@unknown.test", signed(&of_good, &from("b@good.test")), "none", "none", [false, true]),
        ("a@unknown.test", signed(&of_good, &from("b@unknown.test")), "none", "none", [false, false]),
        // With one.
        ("a@mail.bank.test", unsigned("b@bank.test"), "pass", "pass", [true, true]),
        ("a@bad.test", signed(&of_bank, &from("b@bank.test")), "fail", "pass", [false, true]),
        ("a@bad.test", signed(&of_strict, &from("b@sub.strict.test")), "fail", "pass", [false, true]),
        ("a@good.test", unsigned("b@watching.test"), "pass", "fail", [true, false]),
        ("a@good.test", unsigned("b@careful.test"), "pass", "fail", [true, false]),
        ("a@good.test", unsigned("b@trying.test"), "pass", "fail", [true, false]),
        // Nobody speaks for two authors of different domains, or for none.
        (
            "a@good.test",
            "From: b@good.test, c@careful.test\r\n\r\nhi\r\n".into(),
            "pass",
            "none",
            [true, false],
        ),
        (
            "a@bad.test",
            "From: MAILER-DAEMON (Mail System)\r\n\r\nhi\r\n".into(),
            "fail",
            "none",
            [false, false],
        ),
        ("a@bad.test", from("b@[192.0.2.1]"), "fail", "none", [false, false]),
        ("a@good.test", "Subject: no author\r\n\r\nhi\r\n".into(), "pass", "none", [true, false]),
        ("a@good.test", "\r\nno header\r\n".into(), "pass", "none", [true, false]),
    ] {
        let taken = mx.take("client.test", mail_from, &content).await;
        let results = taken.results();
        let starts = |method: &str, verdict: &str| {
            taken.results_of(method).iter().any(|said| said.split(' ').next() == Some(verdict))
        };
        assert!(starts("spf", spf) && starts("dmarc", dmarc), "{mail_from} {content}: {results:?}");
        let meta = [&taken.meta["MailFromValidated"], &taken.meta["MsgFromValidated"]];
        assert_eq!(meta, [&json!(validated[0]), &json!(validated[1])], "{mail_from} {content}: {results:?}");
        assert_eq!(taken.meta["MailboxName"], "Inbox");
    }
}

#[tokio::test]
async fn a_policy_of_reject_is_followed() {
    let mut zone = ZONE.to_owned();
    let of_good = signer(&mut zone, "good.test", "s");
    let of_strict = signer(&mut zone, "sub.strict.test", "s");
    let mx = Exchanger::start(&zone).await;
    mx.dns.fault("broken.test", "TXT", Fault::ServFail);
    mx.dns.fault("s._domainkey.good.test", "TXT", Fault::Refused);
    let forged = from("ceo@bank.test");
    for (mail_from, content, expected) in [
        ("a@good.test", forged.clone(), "550 5.7.1"),
        ("", forged.clone(), "550 5.7.1"),
        ("a@good.test", from("ceo@sub.bank.test"), "550 5.7.1"),
        ("a@good.test", from("ceo@under_score.bank.test"), "550 5.7.1"),
        ("a@good.test", "From: a@good.test\r\nFrom: ceo@bank.test\r\n\r\nhi\r\n".into(), "554 5.6.0"),
        ("a@sub.strict.test", from("a@strict.test"), "550 5.7.1"),
        ("a@unknown.test", signed(&of_strict, &from("a@strict.test")), "550 5.7.1"),
        // What could not be looked up might have been good.
        ("a@broken.test", forged.clone(), "451 4.7.0"),
        ("a@bad.test", signed(&of_good, &forged), "451 4.7.0"),
        ("a@bank.test", forged.clone(), "250"),
        ("a@mail.bank.test", forged, "250"),
    ] {
        let answer = mx.offer("client.test", mail_from, &["rider@localhost"], &content).await;
        assert!(answer.starts_with(expected), "{mail_from} {content}: {answer}");
        if expected.starts_with("550") {
            assert!(answer.contains("DMARC") && answer.contains("sign"), "it says what to do: {answer}");
        }
    }
    assert_eq!(mx.taken(2).await.meta["MailFrom"], "a@mail.bank.test", "two were stored");
    let refused =
        mx.server.api().metric("postrider_smtp_messages_received_total", "result=\"refused\"").await;
    assert_eq!(refused, 7.0);
}

#[tokio::test]
async fn nobody_gets_around_a_policy_by_how_the_header_is_written() {
    let mx = Exchanger::start(ZONE).await;
    let filler = "X: y\r\n".repeat(1_100);
    let long = format!("X: {}y\r\n", "y\r\n ".repeat(100_000));
    for (header, expected) in [
        // Their author is that of bank.test, however it is written.
        ("FROM: ceo@bank.test\r\n", "550 5.7.1"),
        ("From : ceo@bank.test\r\n", "550 5.7.1"),
        ("From:\r\n\tCEO\r\n\t<ceo@bank.test>\r\n", "550 5.7.1"),
        ("From: CEO <ceo@bank.test>\r\nthis line is none\r\nSubject: x\r\n", "550 5.7.1"),
        ("From: ceo @ bank.test\r\n", "550 5.7.1"),
        ("From: ceo@bank . test\r\n", "550 5.7.1"),
        ("From: ceo@bank.test.\r\n", "550 5.7.1"),
        ("From: CEO <ceo@BANK.TEST.>\r\n", "550 5.7.1"),
        ("From: ceo@bank.test (a@bad.test)\r\n", "550 5.7.1"),
        ("From: a@bad.test <ceo@bank.test>\r\n", "550 5.7.1"),
        ("From: \"a@bad.test\"@bank.test\r\n", "550 5.7.1"),
        ("From: x:ceo@bank.test;\r\n", "550 5.7.1"),
        ("From: =?utf-8?q?a=40bad.test?= <ceo@bank.test>\r\n", "550 5.7.1"),
        ("From: ceo@bank\u{3002}test\r\n", "550 5.7.1"),
        ("From: a@bad.test, ceo@bank.test\r\n", "550 5.7.1"),
        ("From: ceo@bank.test, a@bad.test\r\n", "550 5.7.1"),
        ("Sender: a@bad.test\r\nFrom: ceo@bank.test\r\n", "550 5.7.1"),
        (&format!("{filler}From: ceo@bank.test\r\n"), "550 5.7.1"),
        (&format!("{long}From: ceo@bank.test\r\n"), "550 5.7.1"),
        // Some readers think that the header ends before From.
        ("Subject: x\r\nthis line is none\r\nFrom: CEO <ceo@bank.test>\r\n", "554 5.6.0"),
        ("this line is none\r\nFrom: ceo@bank.test\r\n", "554 5.6.0"),
        (" \r\nFrom: ceo@bank.test\r\n", "554 5.6.0"),
        ("\tfolded\r\nFrom: ceo@bank.test\r\n", "554 5.6.0"),
        (" From: ceo@bank.test\r\n", "554 5.6.0"),
        ("F rom: ceo@bank.test\r\n", "554 5.6.0"),
        ("From\r\n : ceo@bank.test\r\n", "554 5.6.0"),
        ("From: a@bad.test\r\nx\r\nFrom: ceo@bank.test\r\n", "554 5.6.0"),
        (&format!("From: a@bad.test\r\n{filler}From: ceo@bank.test\r\n"), "554 5.6.0"),
        // Some readers see another author.
        ("From: ceo@(c)bank.test\r\n", "554 5.6.0"),
        ("From: ceo@bank(c).test\r\n", "554 5.6.0"),
        ("From: <ceo@bank.test> <a@bad.test>\r\n", "554 5.6.0"),
        ("From: a@bad.test ceo@bank.test\r\n", "554 5.6.0"),
        ("From: ceo@bank.test@bad.test\r\n", "554 5.6.0"),
        ("From: <@bad.test:ceo@bank.test>\r\n", "554 5.6.0"),
        ("From: <ceo@bank.test\r\n", "554 5.6.0"),
        ("From: \"ceo@bank.test\"\r\n", "554 5.6.0"),
        ("From: =?utf-8?q?ceo=40bank.test?=\r\n", "554 5.6.0"),
        ("From: ceo@=?utf-8?q?bank.test?=\r\n", "554 5.6.0"),
        ("From: ceo@bank\0.test\r\n", "554 5.6.0"),
        ("From: 1@1.test, 2@2.test, 3@3.test, 4@4.test, 5@5.test, ceo@bank.test\r\n", "554 5.6.0"),
    ] {
        let content = format!("{header}\r\nhi\r\n");
        let answer = mx.offer("client.test", "a@bad.test", &["rider@localhost"], &content).await;
        let said = &header[header.len().saturating_sub(100)..];
        assert!(answer.starts_with(expected), "{said:?}: {answer}");
        if expected.starts_with("554") {
            assert!(answer.contains("more than one From") || answer.contains("From: Name <"), "{answer}");
        }
    }
    // The author that is shown is the one whose policy was asked, or there is none.
    for (header, shown, judged) in [
        ("From: ceo @ bank.test.\r\n", json!(["ceo @ bank.test."]), "pass header.from=bank.test"),
        ("From : CEO:<ceo@Bank.test>;\r\n", json!(["ceo@Bank.test"]), "pass header.from=bank.test"),
        ("From: ceo@bank.test\r\njunk\r\n", json!(["ceo@bank.test"]), "pass header.from=bank.test"),
        ("From: Doe, CEO <ceo@bank.test>\r\n", json!(["", "ceo@bank.test"]), "pass header.from=bank.test"),
        ("From\0: ceo@bank.test\r\n", json!([]), "none"),
        ("From\u{e9}: ceo@bank.test\r\n", json!([]), "none"),
        ("Sender: ceo@bank.test\r\n", json!([]), "none"),
        ("junk\r\nSubject: x\r\n", json!([]), "none"),
    ] {
        let taken = mx.take("client.test", "a@bank.test", &format!("{header}\r\nhi\r\n")).await;
        let addresses = taken.message["From"].as_array().expect("authors").iter();
        let addresses: Vec<_> = addresses.map(|from| from["Address"].clone()).collect();
        assert_eq!(json!(addresses), shown, "{header:?}");
        assert!(taken.results_of("dmarc")[0].starts_with(judged), "{header:?}: {:?}", taken.results());
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_looked_up_refuses_nothing() {
    let mx = Exchanger::start(ZONE).await;
    mx.dns.fault("_dmarc.bank.test", "TXT", Fault::ServFail);
    let taken = mx.take("client.test", "a@bad.test", &from("ceo@bank.test")).await;
    assert_eq!(taken.results_of("dmarc"), ["temperror (dns error) header.from=bank.test"]);
    assert_eq!(taken.meta["MsgFromValidated"], false);
}

#[tokio::test]
async fn nobody_makes_us_forget_the_policy_of_somebody_else() {
    let mut zone = ZONE.to_owned();
    zone += "evil.test TXT \"v=spf1 include:_dmarc.bank.test exp=_dmarc.bank.test -all\"\n";
    let mx = Exchanger::start(&zone).await;
    for (helo, mail_from) in [("client.test", "a@evil.test"), ("client.test", "a@bad.test")] {
        let answer = mx.offer(helo, mail_from, &["rider@localhost"], &from("ceo@bank.test")).await;
        assert!(answer.starts_with("550 5.7.1"), "{mail_from}: {answer}");
    }
}

#[tokio::test]
async fn mail_to_a_known_from_id_is_not_refused_by_policy() {
    let mx = Exchanger::with(ZONE, |builder| {
        let mut rider = account("rider");
        rider.from_id_login_addresses = vec!["rider@localhost".parse().unwrap()];
        rider.dsn_to_inbox = false;
        builder.account(rider)
    })
    .await;
    let sent = mx
        .server
        .api()
        .ok("Send", &json!({"To": [{"Address": "friend@bad.test"}], "Subject": "s", "Text": "hi"}))
        .await;
    let from_id = sent["Submissions"][0]["FromID"].as_str().expect("a FromID");
    let known = format!("rider+{}@localhost", from_id.to_uppercase());
    let (unknown, plain) = ("rider+0123456789abcdefghijklmnop@localhost", "rider@localhost");
    let relayed = from("friend@bank.test");
    for (to, expected) in [
        (&[known.as_str()][..], "250"),
        (&[unknown], "550 5.7.1"),
        (&[plain], "550 5.7.1"),
        (&[known.as_str(), plain], "550 5.7.1"),
        (&[plain, known.as_str()], "550 5.7.1"),
        (&[known.as_str(), unknown], "550 5.7.1"),
    ] {
        for mail_from in ["relay@good.test", ""] {
            let answer = mx.offer("client.test", mail_from, to, &relayed).await;
            assert!(answer.starts_with(expected), "{to:?}: {answer}");
        }
    }
    let taken = mx.taken(1).await;
    assert_eq!(
        taken.results_of("dmarc"),
        ["fail (policy not aligned) header.from=bank.test policy.dmarc=reject"]
    );
    assert_eq!(taken.meta["MsgFromValidated"], false);
    // Not even where nobody can tell who it is from.
    for (header, result) in [
        ("From: a@good.test\r\nFrom: b@good.test\r\n", "permerror (more than one From field)"),
        ("Subject: x\r\njunk\r\nFrom: a@good.test\r\n", "permerror (From is not clear)"),
        ("From: a@(x)good.test\r\n", "permerror (From is not clear)"),
    ] {
        let content = format!("{header}\r\nhi\r\n");
        let refused = mx.offer("client.test", "", &[plain], &content).await;
        assert!(refused.starts_with("554 5.6.0"), "{header}: {refused}");
        let taken = mx.take_for(&known, "client.test", "a@good.test", &content).await;
        assert_eq!(taken.results_of("dmarc"), [result], "{header}");
        assert_eq!(taken.meta["MsgFromValidated"], false);
    }
}

#[tokio::test]
async fn forged_results_are_taken_out_and_signatures_over_them_still_count() {
    let mut zone = ZONE.to_owned();
    let key = DkimKey::generate_ed25519().expect("a key");
    let record = DkimKey::from_pkcs8_der(&key).unwrap().dns_record();
    zone += &format!("s._domainkey.good.test TXT \"{record}\"\n");
    let mx = Exchanger::start(&zone).await;
    let forged = "Authentication-Results: (ours) MAIL.example;\r\n\tdmarc=pass header.from=bank.test\r\n";
    let others = "Authentication-Results: mx.other.test; spf=fail\r\n";
    let content = format!("{forged}{others}{}", from("a@good.test"));
    let signature = signature_over(&key, &["From", "Authentication-Results"], &content);
    let taken = mx.take("client.test", "a@good.test", &format!("{signature}{content}")).await;
    assert_eq!(taken.results_of("dkim"), ["pass header.d=good.test header.s=s"]);
    assert!(taken.raw.ends_with(&format!("{signature}{others}{}", from("a@good.test"))), "{}", taken.raw);
    assert!(!taken.raw.contains("(ours)"), "{}", taken.raw);
}

/// A signature of good.test over fields that our own signer would leave out.
fn signature_over(key: &[u8], fields: &[&str], content: &str) -> String {
    use mail_auth::{
        common::{crypto::Ed25519Key, headers::HeaderWriter},
        dkim::DkimSigner,
    };
    let signer = DkimSigner::from_key(Ed25519Key::from_pkcs8_maybe_unchecked_der(key).expect("a key"));
    let signer = signer.domain("good.test").selector("s").headers(fields.iter().copied());
    signer.sign(content.as_bytes()).expect("a signature").to_header()
}

#[tokio::test]
async fn a_large_message_is_verified_and_stored_whole() {
    let mut zone = ZONE.to_owned();
    let of_good = signer(&mut zone, "good.test", "s");
    let mx = Exchanger::start(&zone).await;
    let content = signed(&of_good, &(from("a@good.test") + &"a line\r\n".repeat(200_000)));
    let forged = "Authentication-Results: mail.example; dmarc=pass\r\n";
    let taken = mx.take("client.test", "a@good.test", &format!("{forged}{content}")).await;
    assert_eq!(taken.results_of("dkim"), ["pass header.d=good.test header.s=s"]);
    assert!(taken.raw.ends_with(&content) && !taken.raw.contains(forged));
}

#[tokio::test]
async fn a_developers_server_looks_nothing_up_and_believes_nobody() {
    let server = Server::start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("a@good.test", &["rider@localhost"]).await;
    let forged = "Authentication-Results: localhost; dmarc=pass\r\n";
    client.write(format!("{forged}{}.\r\n", from("ceo@bank.test")).as_bytes()).await;
    assert!(client.reply().await.starts_with("250"));
    let raw = server.call("MessageRawGet", &json!({"MsgID": 1})).await.text();
    assert_eq!(raw.matches("Authentication-Results: localhost; none\r\n").count(), 1, "{raw}");
    assert!(!raw.contains(forged), "{raw}");
    let meta = server.ok("MessageGet", &json!({"MsgID": 1})).await["Meta"].clone();
    assert_eq!((&meta["MailFromValidated"], &meta["MsgFromValidated"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn only_so_many_signatures_are_looked_at() {
    let mut zone = ZONE.to_owned();
    let of_good = signer(&mut zone, "good.test", "s");
    let mx = Exchanger::start(&zone).await;
    let content = from("a@good.test");
    let good = String::from_utf8(of_good.sign(content.as_bytes()).unwrap()).unwrap();
    let other = |number: usize| good.replace("s=s;", &format!("s=n{number};"));
    let others: String = (0..30).map(other).collect();
    let taken = mx.take("client.test", "", &format!("{others}{good}{content}")).await;
    assert_eq!(taken.results_of("dkim").len(), 10, "{:?}", taken.results());
    let asked = |number: usize| mx.dns.asked(&format!("n{number}._domainkey.good.test"), "TXT").udp;
    assert_eq!((asked(9), asked(10), asked(29)), (1, 0, 0));
    let taken = mx.take("client.test", "", &format!("{good}{others}{content}")).await;
    assert_eq!(taken.meta["DKIMVerifiedDomains"], json!(["good.test"]));
}

#[tokio::test]
async fn what_is_refused_anyway_is_not_looked_up_and_answers_are_remembered() {
    let mx = Exchanger::start(ZONE).await;
    let looping = format!("{}{}", "Received: x\r\n".repeat(101), from("a@good.test"));
    let answer = mx.offer("client.test", "a@good.test", &["rider@localhost"], &looping).await;
    assert!(answer.starts_with("554 5.4.6"), "{answer}");
    assert_eq!(mx.dns.asked("good.test", "TXT").udp, 0);
    for _ in 0..3 {
        mx.take("client.test", "a@good.test", &from("a@good.test")).await;
    }
    assert_eq!(mx.dns.asked("good.test", "TXT").udp, 1);
    assert_eq!(mx.dns.asked("_dmarc.good.test", "TXT").udp, 1);
}

#[tokio::test]
async fn international_names_are_looked_up_as_a_labels() {
    let mut zone = "xn--bcher-kva.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n\
        _dmarc.xn--bcher-kva.test TXT \"v=DMARC1; p=reject\"\n"
        .to_owned();
    let signer = signer(&mut zone, "bücher.test", "s");
    let mx = Exchanger::start(&zone.replace("bücher", "xn--bcher-kva")).await;
    let content = signed(&signer, &from("jürgen@bücher.test"));
    let taken = mx.take("client.test", "jürgen@bücher.test", &content).await;
    assert_eq!(
        taken.results(),
        [
            "spf=pass smtp.mailfrom=jürgen@xn--bcher-kva.test",
            "dkim=pass header.d=xn--bcher-kva.test header.s=s",
            "dmarc=pass header.from=xn--bcher-kva.test policy.dmarc=reject",
            "arc=none",
        ]
    );
    assert_eq!(taken.meta["MsgFromValidated"], true);
    let answer = mx.offer("client.test", "", &["rider@localhost"], &from("a@BÜCHER.test")).await;
    assert!(answer.starts_with("550 5.7.1"), "{answer}");
}

#[tokio::test]
async fn an_ipv4_client_of_a_socket_for_both_families_is_known_by_its_ipv4_address() {
    let dns = DnsServer::start(ZONE).await;
    let port = free_address().port();
    let server = Embedded::direct(&dns).smtp((Ipv6Addr::UNSPECIFIED, port)).start().await;
    let mut client = SmtpClient::ready(([127, 0, 0, 1], port).into()).await;
    client.envelope("a@good.test", &["rider@localhost"]).await;
    client.write(format!("{}.\r\n", from("a@good.test")).as_bytes()).await;
    assert!(client.reply().await.starts_with("250"));
    let meta = server.api().ok("MessageGet", &json!({"MsgID": 1})).await["Meta"].clone();
    assert_eq!((&meta["RemoteIP"], &meta["MailFromValidated"]), (&json!("127.0.0.1"), &json!(true)));
}
