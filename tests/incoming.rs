//! Mail that comes in over SMTP for the accounts of a server, and for nobody else.

use crate::harness::{
    Embedded, EmbeddedBuilder, Identity, PATIENCE, SmtpClient, account, address, domain, loopback,
};
use std::{net::Ipv4Addr, process::Command, time::Duration};
use store::records::DomainRecord;
use tokio::time::timeout;

const MAIL: &str = "MAIL FROM:<a@remote.example>";
const RCPT: &str = "RCPT TO:<rider@localhost>";

/// A server with accounts for one address, for all of a domain, for one of a domain with another separator and of one
/// that is disabled, and without access.
fn accounts() -> EmbeddedBuilder {
    let with = |name: &str, addresses: &[&str]| {
        let mut account = account(name);
        account.addresses.extend(addresses.iter().map(|text| address(text)));
        account
    };
    let mut disabled = account("disabled");
    disabled.disabled = true;
    Embedded::builder()
        .domain(domain("catch.test"))
        .domain(DomainRecord { disabled: true, ..domain("off.test") })
        .domain(DomainRecord { catchall_separator: '-', ..domain("dash.test") })
        .account(with("rider", &["müller@localhost"]))
        .account(with("catcher", &["@catch.test"]))
        .account(with("dasher", &["app@dash.test", "app@off.test"]))
        .account(disabled)
}

#[tokio::test]
async fn mail_is_taken_for_addresses_of_accounts_only() {
    let server = accounts().start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    for (recipient, expected, account) in [
        ("rider@localhost", "250 2.1.5", "rider"),
        ("RIDER@LocalHost", "250 2.1.5", "rider"),
        ("rider+anything@localhost", "250 2.1.5", "rider"),
        // That of the first domain.
        ("postmaster", "250 2.1.5", "catcher"),
        ("any.one@catch.test", "250 2.1.5", "catcher"),
        ("app-tag@dash.test", "250 2.1.5", "dasher"),
        // Nothing goes out from there, and what was sent before still comes back.
        ("app+tag@off.test", "250 2.1.5", "dasher"),
        ("nobody@off.test", "550 5.1.1", ""),
        ("nobody@localhost", "550 5.1.1", ""),
        ("rider-tag@localhost", "550 5.1.1", ""),
        ("app+tag@dash.test", "550 5.1.1", ""),
        ("disabled@localhost", "550 5.2.1", ""),
        ("rider@remote.example", "550 5.7.1", ""),
        ("rider@sub.localhost", "550 5.7.1", ""),
        ("rider@remote.example@localhost", "501 5.1.3", ""),
        ("rider%remote.example@localhost", "550 5.1.1", ""),
    ] {
        client.expect(MAIL, "250 2.1.0").await;
        client.expect(&format!("RCPT TO:<{recipient}>"), expected).await;
        if account.is_empty() {
            client.expect("DATA", "554 5.5.1").await;
            client.expect("RSET", "250").await;
            continue;
        }
        let before = server.inbox(account).len();
        client.expect("BDAT 19 LAST\r\nSubject: hi\r\n\r\nhi", "250 2.0.0 Stored as ").await;
        let inbox = server.inbox(account);
        assert_eq!(inbox.len(), before + 1, "{recipient} is {account}");
        let (record, content) = inbox.last().expect("one more");
        assert!(content.ends_with(b"\r\nSubject: hi\r\n\r\nhi\r\n"), "{recipient}");
        let to = record.rcpt_to.as_ref().map(|to| to.to_smtp()).unwrap_or_default();
        assert!(to.to_lowercase().starts_with(&recipient.to_lowercase()), "{to} is {recipient}");
    }
}

#[tokio::test]
async fn international_addresses_and_headers_come_with_smtputf8() {
    let server = accounts().start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect("MAIL FROM:<jürgen@remote.example>", "553 5.6.7").await;
    client.expect(MAIL, "250").await;
    client.expect("RCPT TO:<müller@localhost>", "553 5.6.7").await;
    client.expect("RSET", "250").await;
    client.expect("MAIL FROM:<jürgen@bücher.example> SMTPUTF8 BODY=8BITMIME", "250").await;
    client.expect("RCPT TO:<müller@localhost>", "250").await;
    client.expect("DATA", "354").await;
    let content = "From: Jürgen <jürgen@bücher.example>\r\nSubject: Größe ☺\r\n\r\nGrüße\r\n";
    client.expect(&format!("{content}."), "250 2.0.0").await;
    let [(record, bytes)] = server.inbox("rider").try_into().expect("one message");
    let text = std::str::from_utf8(&bytes).expect("UTF-8");
    assert!(text.contains(" with UTF8SMTP id ") && text.ends_with(content), "{text}");
    assert_eq!(record.rcpt_to.map(|to| to.to_smtp()).as_deref(), Some("müller@localhost"));
    let from = record.msg_from.map(|from| from.to_smtp()).unwrap_or_default();
    assert!(from.starts_with("jürgen@"), "{from}");
}

#[tokio::test]
async fn a_message_has_so_many_recipients_and_the_others_come_again() {
    let server = accounts().settings(|settings| settings.limits.recipients_max = 2).start().await;
    let mut client = SmtpClient::connect(server.smtp()).await;
    assert!(client.expect("EHLO client.example", "250").await.contains("LIMITS RCPTMAX=2"));
    client.expect(MAIL, "250").await;
    client.expect("RCPT TO:<nobody@localhost>", "550").await;
    for (recipient, expected) in [("a", "250"), ("b", "250"), ("c", "452 4.5.3"), ("d", "452 4.5.3")] {
        client.expect(&format!("RCPT TO:<{recipient}@catch.test>"), expected).await;
    }
    client.expect("BDAT 4 LAST\r\n\r\n", "250 2.0.0").await;
    assert_eq!(server.inbox("catcher").len(), 2);
}

#[tokio::test]
async fn a_session_ends_with_one_error_too_many() {
    let server = accounts().settings(|settings| settings.limits.smtp_errors_max = 3).start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect("BOGUS", "500").await;
    client.expect("DATA", "503").await;
    client.expect("MAIL FROM:<>x", "5").await;
    client.expect("BDAT 6\r\nNOOP", "421 4.7.0").await;
    assert_eq!(client.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let limit = |settings: &mut config::Settings| settings.limits.smtp_session_time = Duration::from_secs(3);
    let server = accounts().settings(limit).start().await;
    let mut busy = SmtpClient::ready(server.smtp()).await;
    busy.envelope("a@remote.example", &["rider@localhost"]).await;
    // This one began later, and so ends later.
    let mut idle = SmtpClient::ready(server.smtp()).await;
    assert!(idle.reply().await.starts_with("421 4.4.2"));
    assert_eq!(idle.reply().await, "", "the connection is closed");
    busy.write(b"\r\nhi\r\n.\r\nMAIL FROM:<>\r\n").await;
    assert!(busy.reply().await.starts_with("250 2.0.0"));
    assert!(busy.reply().await.starts_with("421 4.4.2"));
    assert_eq!(busy.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn a_client_has_so_many_sessions_and_does_not_take_those_of_others() {
    let server = accounts()
        .settings(|settings| {
            settings.limits.smtp_sessions_max = 3;
            settings.limits.smtp_sessions_per_client_max = 2;
        })
        .start()
        .await;
    let (one, other, third) = (loopback(), loopback(), loopback());
    let open = async |from: Ipv4Addr| {
        let mut client = SmtpClient::open(from, server.smtp()).await;
        let greeting = client.reply().await;
        (client, greeting)
    };
    let (first, greeting) = open(one).await;
    assert!(greeting.starts_with("220 "), "{greeting}");
    let (_second, greeting) = open(one).await;
    assert!(greeting.starts_with("220 "), "{greeting}");
    let (mut refused, greeting) = open(one).await;
    assert!(greeting.starts_with("421 4.7.0"), "{greeting}");
    assert_eq!(refused.reply().await, "", "the connection is closed");
    let (_fourth, greeting) = open(other).await;
    assert!(greeting.starts_with("220 "), "{greeting}");
    let (_, greeting) = open(third).await;
    assert!(greeting.starts_with("421 4.3.2"), "{greeting}");
    drop(first);
    let again = async { while !open(one).await.1.starts_with("220 ") {} };
    timeout(PATIENCE, again).await.expect("a place is free again");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_session_goes_on() {
    let server = accounts().settings(|settings| settings.limits.message_size_max = 100_000).start().await;
    let mut client = SmtpClient::connect(server.smtp()).await;
    assert!(client.expect("EHLO client.example", "250").await.contains("SIZE 100000"));
    client.expect(&format!("{MAIL} SIZE=100001"), "552 5.3.4").await;
    let line = "x".repeat(998) + "\r\n";
    let large = line.repeat(101);
    let begin = async |client: &mut SmtpClient| {
        client.expect(MAIL, "250").await;
        client.expect(RCPT, "250").await;
    };
    begin(&mut client).await;
    client.expect("DATA", "354").await;
    client.expect(&format!("{large}."), "552 5.3.4").await;
    begin(&mut client).await;
    client.write(format!("BDAT {} LAST\r\n{large}", large.len()).as_bytes()).await;
    assert!(client.reply().await.starts_with("552 5.3.4"));
    begin(&mut client).await;
    let (half, pieces) = (line.repeat(50), ["250 2.0.0", "250 2.0.0", "552 5.3.4", "503 5.5.1"]);
    client.write(format!("BDAT 50000\r\n{half}").repeat(pieces.len()).as_bytes()).await;
    for expected in pieces {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    begin(&mut client).await;
    client.write(format!("BDAT 100000 LAST\r\n{half}{half}").as_bytes()).await;
    assert!(client.reply().await.starts_with("250 2.0.0"));
    assert_eq!(server.inbox("rider").len(), 1);
    // What nobody wants to read to its end is not waited for.
    begin(&mut client).await;
    client.expect("BDAT 18446744073709551615", "552 5.3.4").await;
    assert_eq!(client.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn lines_and_the_header_of_a_message_have_their_bounds_and_the_session_goes_on() {
    let server = accounts().start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    let (long, longer) = ("x".repeat(256 * 1024 - 12), "x".repeat(300_000));
    let header = "X-Field: x\r\n".repeat(90_000);
    // The text is the reason, which is to say what to do.
    let table = [
        (format!("Subject: s\r\n\r\n{long}\r\n"), ""),
        (format!("Subject:{long}\r\n\r\nhi\r\n"), ""),
        (format!("Subject: s\r\n\r\n{longer}\r\nRSET\r\n"), "quoted-printable or base64"),
        (format!("Subject: {longer}\r\n\r\nhi\r\n"), "quoted-printable or base64"),
        (format!("{header}\r\nhi\r\n"), "shorten it"),
        (format!("{}\r\n{header}", &header[..1_000_000 / 12 * 12]), ""),
    ];
    for (number, (content, refused)) in table.iter().enumerate() {
        for by_chunks in [false, true] {
            client.expect(MAIL, "250").await;
            client.expect(RCPT, "250").await;
            let reply = if by_chunks {
                client.write(format!("BDAT {} LAST\r\n{content}", content.len()).as_bytes()).await;
                client.reply().await
            } else {
                client.expect("DATA", "354").await;
                client.command(&format!("{content}.")).await
            };
            let start = if refused.is_empty() { "250 2.0.0 Stored" } else { "554 5.6.0 " };
            let what = format!("row {number}, by chunks: {by_chunks}: {reply}");
            assert!(reply.starts_with(start) && reply.contains(refused), "{what}");
        }
    }
    assert_eq!(server.inbox("rider").len(), 6);
    client.expect("QUIT", "221").await;
}

#[tokio::test]
async fn chunks_arrive_as_the_same_message_by_data() {
    let server = accounts().start().await;
    let mut client = SmtpClient::connect(server.smtp()).await;
    let offered = client.expect("EHLO client.example", "250").await;
    assert!(offered.contains("CHUNKING") && !offered.contains("BINARYMIME"), "{offered}");
    // Two octets of a character, CR and LF, and dots come apart.
    let content = "Subject: chunks\r\n\r\n.\r\n..\r\nü\r\nQUIT\r\n.\r\nMAIL FROM:<evil@remote.example>\r\n";
    for size in 1..=content.len() {
        client.write(format!("{MAIL}\r\n{RCPT}\r\n").as_bytes()).await;
        let chunks: Vec<_> = content.as_bytes().chunks(size).collect();
        for (number, chunk) in chunks.iter().enumerate() {
            let last = if number + 1 == chunks.len() && size % 2 == 0 { " LAST" } else { "" };
            client.write(&[format!("BDAT {}{last}\r\n", chunk.len()).as_bytes(), chunk].concat()).await;
        }
        if size % 2 == 1 {
            client.write(b"BDAT 0 LAST\r\n").await;
        }
        let answers = 2 + chunks.len() - usize::from(size % 2 == 0);
        for _ in 0..answers {
            let reply = client.reply().await;
            assert!(reply.starts_with("250 2."), "{reply}");
        }
        let reply = client.reply().await;
        assert!(reply.starts_with("250 2.0.0 Stored as "), "in chunks of {size}: {reply}");
    }
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.write(content.replace("\r\n.", "\r\n..").as_bytes()).await;
    client.expect(".", "250 2.0.0 Stored as ").await;
    let inbox = server.inbox("rider");
    assert_eq!(inbox.len(), content.len() + 1);
    for (_, arrived) in inbox {
        assert!(arrived.ends_with(&["\r\n", content].concat().into_bytes()), "{arrived:?}");
    }
}

#[tokio::test]
async fn chunks_out_of_order_leave_the_session_in_step() {
    let server = accounts().start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect("BDAT 6 LAST\r\nQUIT", "503 5.5.1").await;
    client.expect(MAIL, "250").await;
    client.expect("BDAT 6\r\nRSET", "554 5.5.1").await;
    client.expect(RCPT, "503").await;
    client.expect(MAIL, "250").await;
    client.expect(RCPT, "250").await;
    client.expect("BDAT 6\r\nabcd", "250 2.0.0").await;
    client.expect("DATA", "503 5.5.1").await;
    client.expect("RSET", "250").await;
    client.expect("BDAT 0 LAST", "503 5.5.1").await;
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.expect("\r\nhi\r\n.", "250 2.0.0").await;
    for bare in ["\nhi", "a\nb", "a\rb", "\r.\r\n", "a\r\n.\nMAIL FROM:<evil@remote.example>"] {
        client.expect(MAIL, "250").await;
        client.expect(RCPT, "250").await;
        client.expect(&format!("BDAT {} LAST\r\n{bare}", bare.len() + 2), "554 5.6.0").await;
    }
    assert_eq!(server.inbox("rider").len(), 1);
}

#[tokio::test]
async fn a_line_without_end_is_not_waited_for() {
    let server = accounts().start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect(&format!("NOOP {}", "x".repeat(3000)), "500 5.5.2").await;
    client.expect("NOOP", "250").await;
    client.write(&[b'x'; 70_000]).await;
    assert!(client.reply().await.starts_with("500 5.5.2"));
    assert_eq!(client.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn swaks_delivers_over_starttls() {
    let identity = Identity::self_signed(&["mail.example"]);
    let server = accounts().certificate(identity.certificate()).start().await;
    let smtp = server.smtp();
    let swaks = tokio::task::spawn_blocking(move || {
        Command::new("swaks")
            .args(["--server", &smtp.ip().to_string(), "--port", &smtp.port().to_string()])
            .args(["--tls", "--pipeline", "--from", "a@remote.example", "--to", "rider+tag@localhost"])
            .args(["--header", "Subject: from swaks", "--body", ".\n..dots\n.", "--silent", "2"])
            .output()
            .expect("swaks runs: tests/setup installs it")
    });
    let output = swaks.await.expect("swaks ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [(_, content)] = server.inbox("rider").try_into().expect("one message");
    let text = String::from_utf8_lossy(&content);
    assert!(text.contains(" with ESMTPS id "), "{text}");
    assert!(
        text.contains("Subject: from swaks\r\n") && text.contains("\r\n\r\n.\r\n..dots\r\n.\r\n"),
        "{text}"
    );
}
