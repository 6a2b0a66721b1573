//! Logging in over SMTP: every mechanism, over every way to TLS, and what is refused.

use crate::harness::{
    Embedded, EmbeddedBuilder, Identity, PASSWORD, ScramLogin, Server, SmtpClient, USER, account, eventually,
    judge,
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::json;
use std::{fs, net::Ipv4Addr};
use store::records::AccountRecord;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

const NAME: &str = "mail.example";
const OUTSIDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

type Secured = SmtpClient<TlsStream<TcpStream>>;

#[derive(Clone, Copy, Debug)]
enum Way {
    StartTls,
    Implicit,
}

const WAYS: [Way; 2] = [Way::StartTls, Way::Implicit];

/// A rider who can use SCRAM.
fn rider() -> AccountRecord {
    let scram = postrider::password::Password::new(PASSWORD).expect("a password").scram_keys();
    AccountRecord { scram: Some(scram), ..account("rider") }
}

fn with_tls(identity: &Identity) -> EmbeddedBuilder {
    Embedded::builder().certificate(identity.certificate()).account(rider())
}

/// A client that was greeted over TLS and said EHLO, and what it was offered.
async fn secured(
    server: &Embedded,
    identity: &Identity,
    way: Way,
    version: &'static SupportedProtocolVersion,
    from: Ipv4Addr,
) -> (Secured, String) {
    let tls = identity.trusting(&[version]);
    let mut client = match way {
        Way::StartTls => {
            let mut client = SmtpClient::open(from, server.submission()).await;
            assert!(client.reply().await.starts_with("220 mail.example "));
            assert!(client.expect("EHLO client.example", "250").await.contains("STARTTLS"));
            client.expect("STARTTLS", "220 ").await;
            client.secure(NAME, tls).await.expect("TLS")
        }
        Way::Implicit => {
            let client = SmtpClient::open(from, server.submissions()).await;
            let mut client = client.secure(NAME, tls).await.expect("TLS");
            assert!(client.reply().await.starts_with("220 mail.example "));
            client
        }
    };
    let offered = client.expect("EHLO client.example", "250").await;
    (client, offered)
}

fn plain(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{user}\0{password}"))
}

async fn submit<S: AsyncRead + AsyncWrite + Unpin>(client: &mut SmtpClient<S>, subject: &str) {
    client.envelope(USER, &[USER]).await;
    let text = format!("From: {USER}\r\nTo: {USER}\r\nSubject: {subject}\r\n\r\nhi\r\n.");
    client.expect(&text, "250 2.6.0").await;
}

fn exporter(client: &Secured) -> Vec<u8> {
    let connection = client.stream().get_ref().1;
    let exported = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
    exported.expect("keying material").to_vec()
}

fn end_point(client: &Secured) -> Vec<u8> {
    let shown = client.stream().get_ref().1.peer_certificates().expect("a certificate");
    digest(&SHA256, &shown[0]).as_ref().to_vec()
}

#[tokio::test]
async fn every_mechanism_logs_in_over_both_ways_to_tls() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let login = |header, binding| ScramLogin { user: USER, password: PASSWORD, header, binding };
    let mut sent = 0;
    for way in WAYS {
        for mechanism in 0..6 {
            let (mut client, offered) = secured(&server, &identity, way, &TLS13, Ipv4Addr::LOCALHOST).await;
            assert!(offered.ends_with("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"), "{offered}");
            assert!(offered.contains("REQUIRETLS") && !offered.contains("STARTTLS"), "{offered}");
            let (exporter, end_point) = (exporter(&client), end_point(&client));
            let said = match mechanism {
                0 => client.command(&format!("AUTH PLAIN {}", plain(USER, PASSWORD))).await,
                1 => {
                    client.expect("AUTH PLAIN", "334").await;
                    client.command(&plain(USER, PASSWORD)).await
                }
                2 => {
                    client.expect("AUTH LOGIN", "334").await;
                    client.expect(&BASE64_STANDARD.encode(USER), "334").await;
                    client.command(&BASE64_STANDARD.encode(PASSWORD)).await
                }
                3 => login("n,,", Vec::new()).log_in(&mut client).await,
                4 => login("p=tls-exporter,,", exporter).log_in(&mut client).await,
                _ => login("p=tls-server-end-point,,", end_point).log_in(&mut client).await,
            };
            assert!(said.starts_with("235 2.7.0"), "{way:?} {mechanism}: {said}");
            client.expect("AUTH PLAIN", "503 5.5.1").await;
            submit(&mut client, &format!("{way:?} {mechanism}")).await;
            sent += 1;
        }
    }
    let arrived = eventually("all messages in the Inbox", async || match server.inbox("rider") {
        inbox if inbox.len() == sent => Ok(inbox),
        inbox => Err(format!("{} of {sent}", inbox.len())),
    });
    for (_, content) in arrived.await {
        assert!(String::from_utf8_lossy(&content).contains(" with ESMTPSA id "));
    }
    let labels = "result=\"accepted\",way=\"submission\"";
    let counted = server.api().metric("postrider_submissions_total", labels).await;
    assert_eq!(counted, f64::from(u32::try_from(sent).expect("few")));
}

#[tokio::test]
async fn smtplib_logs_in_and_sends() {
    let server = Server::start().await;
    let told = json!({
        "submission": server.submission().port(),
        "submissions": server.submissions().port(),
        "trust": server.greeting("certificate"),
        "ways": ["plain", "starttls", "submissions"],
        "user": USER,
        "password": PASSWORD,
        "to": "friend@remote.example",
    });
    tokio::task::spawn_blocking(move || judge("submit_logins.py", &told)).await.expect("it ends");
    eventually("twelve messages that arrived", async || {
        let list = server.metric("postrider_smtp_messages_received_total", "result=\"stored\"").await;
        if list == 12.0 { Ok(()) } else { Err(list.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_login_is_bound_to_its_own_connection() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let (other, _) = secured(&server, &identity, Way::Implicit, &TLS13, OUTSIDER).await;
    let cases = [
        ("p=tls-exporter,,", exporter(&other), "535 5.7.8"),
        ("p=tls-server-end-point,,", vec![0; 32], "535 5.7.8"),
        ("p=tls-unique,,", vec![0; 12], "5"),
        // The server has it, and somebody on the way may have hidden that.
        ("y,,", Vec::new(), "5"),
    ];
    for (header, binding, expected) in cases {
        let (mut client, _) = secured(&server, &identity, Way::StartTls, &TLS13, OUTSIDER).await;
        let said = ScramLogin { user: USER, password: PASSWORD, header, binding }.log_in(&mut client).await;
        assert!(said.starts_with(expected), "{header}: {said}");
        client.expect("MAIL FROM:<rider@localhost>", "530 5.7.0").await;
    }
    // What ties TLS 1.2 to a connection is not known here; its certificate is.
    let (mut client, _) = secured(&server, &identity, Way::StartTls, &TLS12, OUTSIDER).await;
    let exported =
        ScramLogin { user: USER, password: PASSWORD, header: "p=tls-exporter,,", binding: exporter(&client) };
    assert!(exported.log_in(&mut client).await.starts_with('5'));
    let binding = end_point(&client);
    let header = "p=tls-server-end-point,,";
    let said = ScramLogin { user: USER, password: PASSWORD, header, binding }.log_in(&mut client).await;
    assert!(said.starts_with("235"), "{said}");
}

#[tokio::test]
async fn without_tls_no_password_is_taken_in_clear_unless_the_listener_says_so() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let mut client = SmtpClient::connect(server.submission()).await;
    let offered = client.expect("EHLO client.example", "250").await;
    assert!(offered.contains("STARTTLS") && offered.ends_with("AUTH SCRAM-SHA-256"), "{offered}");
    assert!(!offered.contains("REQUIRETLS"), "{offered}");
    client.expect("MAIL FROM:<rider@localhost>", "530 5.7.0").await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "538 5.7.11").await;
    client.expect("AUTH LOGIN", "538 5.7.11").await;
    let scram = ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
    let said = scram.log_in(&mut client).await;
    assert!(said.starts_with("235"), "it shows nobody the password: {said}");
    submit(&mut client, "in clear").await;

    let local = Server::start().await;
    let mut client = SmtpClient::connect(local.submission()).await;
    let offered = client.expect("EHLO client.example", "250").await;
    assert!(offered.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{offered}");
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "235").await;
    submit(&mut client, "in clear").await;
}

#[tokio::test]
async fn what_was_said_in_clear_counts_no_more_once_there_is_tls() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let mut client = SmtpClient::ready(server.submission()).await;
    let scram = ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
    assert!(scram.log_in(&mut client).await.starts_with("235"));
    client.expect("MAIL FROM:<rider@localhost>", "250").await;
    // Whoever is on the way may have put in what comes behind it.
    let injected = format!("STARTTLS\r\nEHLO evil.example\r\nAUTH PLAIN {}\r\n", plain(USER, PASSWORD));
    client.write(injected.as_bytes()).await;
    assert!(client.reply().await.starts_with("220 "));
    let mut client = client.secure(NAME, identity.trusting(&[&TLS13])).await.expect("TLS");
    client.expect("RCPT TO:<rider@localhost>", "503").await;
    client.expect("EHLO client.example", "250-mail.example").await;
    client.expect("MAIL FROM:<rider@localhost>", "530 5.7.0").await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "235").await;
    client.expect("STARTTLS", "50").await;
    submit(&mut client, "over TLS").await;
}

#[tokio::test]
async fn failures_are_told_apart_and_end_the_session() {
    let identity = Identity::self_signed(&[NAME]);
    let mut disabled = account("disabled");
    disabled.disabled = true;
    let server = with_tls(&identity).account(disabled).start().await;
    for (user, password) in
        [(USER, "wrong"), ("nobody@localhost", PASSWORD), ("disabled@localhost", PASSWORD)]
    {
        let (mut client, _) = secured(&server, &identity, Way::Implicit, &TLS13, Ipv4Addr::LOCALHOST).await;
        client.expect(&format!("AUTH PLAIN {}", plain(user, password)), "535 5.7.8").await;
        let scram = ScramLogin { user, password, header: "n,,", binding: Vec::new() };
        assert!(scram.log_in(&mut client).await.starts_with("535 5.7.8"), "{user}");
    }
    let (mut client, _) = secured(&server, &identity, Way::Implicit, &TLS13, OUTSIDER).await;
    for expected in ["535", "535", "535", "421 4.7.0"] {
        client.expect(&format!("AUTH PLAIN {}", plain(USER, "wrong")), expected).await;
    }
    assert_eq!(client.reply().await, "", "the connection is closed");
    let failures = server.api().metric("postrider_authentication_failures_total", "way=\"submission\"").await;
    assert_eq!(failures, 10.0);
}

#[tokio::test]
async fn what_is_no_login_is_refused_and_no_session_breaks_down() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let (mut client, _) = secured(&server, &identity, Way::Implicit, &TLS13, OUTSIDER).await;
    for (command, expected) in [
        ("AUTH", "501"),
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH PLAIN !", "501 5.5.2"),
        ("AUTH PLAIN =", "501"),
        (&format!("AUTH PLAIN {}", BASE64_STANDARD.encode(b"\0\xff\xfe\0x")), "501"),
        (&format!("AUTH PLAIN {}", BASE64_STANDARD.encode("other\0rider@localhost\0postrider")), "535"),
    ] {
        client.expect(command, expected).await;
    }
    client.expect("AUTH LOGIN", "334").await;
    client.expect("*", "501 5.7.0").await;
    client.expect("AUTH PLAIN", "334").await;
    client.expect(&"x".repeat(13_000), "500 5.5.6").await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "235").await;
}

#[tokio::test]
async fn who_fails_too_often_over_one_way_is_refused_over_all() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    for _ in 0..5 {
        let (mut client, _) = secured(&server, &identity, Way::StartTls, &TLS13, OUTSIDER).await;
        client.expect(&format!("AUTH PLAIN {}", plain(USER, "wrong")), "535").await;
        let scram = ScramLogin { user: USER, password: "wrong", header: "n,,", binding: Vec::new() };
        assert!(scram.log_in(&mut client).await.starts_with("535"));
    }
    let (mut client, _) = secured(&server, &identity, Way::StartTls, &TLS13, OUTSIDER).await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "454 4.7.0").await;
    let scram = ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
    assert!(scram.log_in(&mut client).await.starts_with("454 4.7.0"));
    client.expect("MAIL FROM:<rider@localhost>", "530").await;
    let outsider = server.api().local_address(OUTSIDER.octets());
    assert_eq!(outsider.call("SuppressionList", &json!({})).await.expect("an answer").status, 429);
    // Others are not concerned.
    let (mut client, _) = secured(&server, &identity, Way::StartTls, &TLS13, Ipv4Addr::LOCALHOST).await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "235").await;

    let neighbour = [127, 0, 0, 200];
    for _ in 0..10 {
        let api = server.api().local_address(neighbour).login(USER, "wrong");
        assert_eq!(api.call("SuppressionList", &json!({})).await.expect("an answer").status, 401);
    }
    let (mut client, _) = secured(&server, &identity, Way::Implicit, &TLS13, neighbour.into()).await;
    client.expect(&format!("AUTH PLAIN {}", plain(USER, PASSWORD)), "454 4.7.0").await;
}

/// Challenges that were taken before the limit was reached are worth no more than others.
#[tokio::test]
async fn past_the_limit_a_right_proof_looks_like_a_wrong_one() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let mut challenged = Vec::new();
    for number in 0..14 {
        let password = if number == 12 { PASSWORD.to_owned() } else { format!("guess {number}") };
        let client = SmtpClient::open(OUTSIDER, server.submissions()).await;
        let mut client = client.secure(NAME, identity.trusting(&[&TLS13])).await.expect("TLS");
        client.reply().await;
        client.expect("EHLO client.example", "250").await;
        let login = ScramLogin { user: USER, password: &password, header: "n,,", binding: Vec::new() };
        let proof = login.begin(&mut client).await.expect("a challenge");
        challenged.push((client, proof));
    }
    let mut answers = Vec::new();
    for (client, proof) in &mut challenged {
        let said = proof.send_proof(client).await;
        client.expect("MAIL FROM:<rider@localhost>", "530").await;
        answers.push(said[..3].to_owned());
    }
    assert_eq!(answers, [["535"; 10].as_slice(), &["454"; 4]].concat());
}

#[tokio::test]
async fn who_gives_up_after_the_proof_of_the_server_is_not_in() {
    let identity = Identity::self_signed(&[NAME]);
    let server = with_tls(&identity).start().await;
    let (mut client, _) = secured(&server, &identity, Way::Implicit, &TLS13, OUTSIDER).await;
    let login = || ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
    for end in ["*", "AAAA", "="] {
        let proof = login().begin(&mut client).await.expect("a challenge");
        assert!(proof.send_proof(&mut client).await.starts_with("334 "));
        client.expect(end, "501").await;
        client.expect("MAIL FROM:<rider@localhost>", "530 5.7.0").await;
    }
    assert!(login().log_in(&mut client).await.starts_with("235"));
    submit(&mut client, "at last").await;
}

#[tokio::test]
async fn an_account_of_which_only_the_hash_is_known_gets_scram_by_its_first_login() {
    let server = Embedded::builder().account(account("rider")).start().await;
    let scram = || ScramLogin { user: USER, password: PASSWORD, header: "n,,", binding: Vec::new() };
    let mut client = SmtpClient::ready(server.submission()).await;
    assert!(scram().log_in(&mut client).await.starts_with("535"));
    let answer = server.api().call("SuppressionList", &json!({})).await.expect("an answer");
    assert_eq!(answer.status, 200);
    eventually("what SCRAM needs", async || {
        let directory = server.app().handles.store.directory();
        let mut known = directory.accounts().map(|account| account.record.scram.is_some());
        if known.next() == Some(true) { Ok(()) } else { Err("it is not kept yet".into()) }
    })
    .await;
    assert!(scram().log_in(&mut client).await.starts_with("235"));
}

/// Or else a restart would tell who has an account.
#[tokio::test]
async fn a_name_without_account_has_the_same_salt_after_a_restart() {
    let mut server = Server::start().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut client = SmtpClient::ready(server.submission()).await;
        for user in ["nobody@localhost", "noone@localhost", USER] {
            let first = BASE64_STANDARD.encode(format!("n,,n={user},r=rOprNGfwEbeRWgbNEkqO"));
            let said = client.expect(&format!("AUTH SCRAM-SHA-256 {first}"), "334 ").await;
            let said = BASE64_STANDARD.decode(&said[4..]).expect("base64");
            let salt =
                String::from_utf8(said).expect("UTF-8").split_once(",s=").expect("a salt").1.to_owned();
            seen.push(salt);
            client.expect("*", "501").await;
        }
        assert!(server.terminate().await.success());
        server.restart().await;
    }
    assert_eq!(seen[..3], seen[3..]);
    assert!(seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
    let form =
        |salt: &str| salt.split_once(',').map(|(salt, iterations)| (salt.len(), iterations.to_owned()));
    assert_eq!(form(&seen[0]), form(&seen[2]), "nothing tells them apart");
}

#[tokio::test]
async fn localserve_keeps_its_certificate() {
    let server = Server::start().await;
    let text = fs::read_to_string(server.greeting("certificate")).expect("the file is there");
    assert!(text.starts_with("-----BEGIN CERTIFICATE-----"), "{text}");
}
