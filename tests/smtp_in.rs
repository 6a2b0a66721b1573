//! Mail that comes in over SMTP.

use crate::harness::{HookReceiver, Server, SmtpClient, eventually};
use serde_json::json;
use std::process::Command;

#[tokio::test]
async fn a_message_arrives_as_it_was_sent() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    let body = b"..\r\n.x\r\n\r\ncaf\xc3\xa9 \xff\xfe\r\ntrailing  \r\n".as_slice();
    let header = b"From: A <a@remote.example>\r\nMessage-ID: <smtp-1@remote.example>\r\nSubject: raw\r\n\r\n"
        .as_slice();
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.write(header).await;
    client.write(b"...\r\n..x\r\n\r\ncaf\xc3\xa9 \xff\xfe\r\ntrailing  \r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250 2.0.0"));
    client.expect("QUIT", "221").await;
    let arrived = incoming
        .call_where("the message", |body| body["MessageID"] == "<smtp-1@remote.example>")
        .await
        .json();
    assert_eq!(
        (&arrived["Meta"]["MailFrom"], &arrived["Meta"]["RcptTo"]),
        (&json!("a@remote.example"), &json!("rider@localhost"))
    );
    let raw = server.call("MessageRawGet", &json!({"MsgID": arrived["Meta"]["MsgID"]})).await.body;
    assert!(raw.ends_with(&[header, body].concat()), "{}", String::from_utf8_lossy(&raw));
    let added = String::from_utf8_lossy(&raw[..raw.len() - header.len() - body.len()]).into_owned();
    assert!(added.contains("Received: ") && added.contains("for <rider@localhost>"), "{added}");
}

#[tokio::test]
async fn several_recipients_each_get_a_copy() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("", &["a@one.example", "b@two.example"]).await;
    client.write(b"Message-ID: <two@remote.example>\r\n\r\nhi\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    for to in ["a@one.example", "b@two.example"] {
        let arrived =
            incoming.call_where(&format!("the copy of {to}"), |body| body["Meta"]["RcptTo"] == to).await;
        assert_eq!(arrived.json()["Meta"]["Automated"], true, "the return path is empty");
    }
}

#[tokio::test]
async fn what_is_no_smtp_is_refused_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut client = SmtpClient::connect(server.smtp()).await;
    client.expect("MAIL FROM:<a@remote.example>", "503").await;
    client.expect("EHLO client.example", "250").await;
    client.expect("BOGUS", "500").await;
    client.expect("RCPT TO:<rider@localhost>", "503").await;
    client.expect("MAIL FROM:a@remote.example@x", "501").await;
    client.expect("MAIL FROM:<a@remote.example> NO=SUCH", "555").await;
    client.expect("MAIL FROM:<a@remote.example>", "250").await;
    client.expect("DATA", "5").await;
    client.expect("RCPT TO:<>", "5").await;
    client.expect("RSET", "250").await;
    client.expect("NOOP", "250").await;
    client.expect("VRFY rider", "252").await;
    client.expect("HELO client.example", "250").await;
    client.expect("QUIT", "221").await;
    assert_eq!(client.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn a_session_of_errors_only_is_ended() {
    let server = Server::start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    for number in 0.. {
        assert!(number < 100, "no end of errors");
        let reply = client.command("BOGUS").await;
        if reply.starts_with("421") {
            break;
        }
        assert!(reply.starts_with("500"), "{reply}");
    }
    assert_eq!(client.reply().await, "", "the connection is closed");
}

#[tokio::test]
async fn a_command_line_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect(&format!("NOOP {}", "x".repeat(5000)), "500").await;
    client.expect("NOOP", "250").await;
}

#[tokio::test]
async fn smuggled_line_ends_are_refused() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let smuggled = "MAIL FROM:<evil@remote.example>\r\nRCPT TO:<rider@localhost>\r\nDATA\r\n";
    for (number, end) in
        ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r.\r\n", "\r\n.\r"].into_iter().enumerate()
    {
        let mut client = SmtpClient::ready(server.smtp()).await;
        client.envelope("a@remote.example", &["rider@localhost"]).await;
        let data =
            format!("Subject: outer {number}\r\n\r\nhi{end}{smuggled}Subject: inner\r\n\r\nevil\r\n.\r\n");
        client.write(data.as_bytes()).await;
        let reply = client.reply().await;
        assert!(reply.starts_with('5'), "{end:?}: {reply}");
    }
    // A message that comes later would show those before it.
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.write(b"Message-ID: <last@remote.example>\r\n\r\nhi\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    incoming.call_where("the last message", |body| body["MessageID"] == "<last@remote.example>").await;
    assert_eq!(incoming.calls().len(), 1, "only the last one arrived");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client
        .write(
            b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<rider@localhost>\r\nRCPT TO:<rcptto550@x.example>\r\nDATA\r\n",
        )
        .await;
    for start in ["250", "250", "550", "354"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{start}: {reply}");
    }
    client.write(b"\r\nhi\r\n.\r\nQUIT\r\n").await;
    for start in ["250", "221"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{start}: {reply}");
    }
}

#[tokio::test]
async fn simulated_failures_come_at_the_command_they_name() {
    let server = Server::start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.expect("MAIL FROM:<mailfrom451@remote.example>", "451").await;
    client.expect("MAIL FROM:<mailfrom-permerror@remote.example>", "550").await;
    client.expect("MAIL FROM:<a451@remote.example>", "250").await;
    client.expect("RCPT TO:<rcptto-temperror@remote.example>", "451").await;
    client.expect("RCPT TO:<rcptto554@remote.example>", "554").await;
    client.expect("RCPT TO:<temperror@remote.example>", "250").await;
    client.expect("DATA", "354").await;
    client.write(b"\r\nhi\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("451"));
    client.expect("NOOP", "250").await;
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_leaves_nothing() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.write(b"Message-ID: <half@remote.example>\r\n\r\nhal").await;
    drop(client);
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("a@remote.example", &["rider@localhost"]).await;
    client.write(b"Message-ID: <whole@remote.example>\r\n\r\nhi\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    incoming.call_where("the whole message", |body| body["MessageID"] == "<whole@remote.example>").await;
    assert_eq!(incoming.calls().len(), 1);
}

#[tokio::test]
async fn a_message_larger_than_the_limit_is_refused_by_its_size() {
    let server = Server::start().await;
    let mut client = SmtpClient::connect(server.smtp()).await;
    let offer = client.command("EHLO client.example").await;
    let size = offer.lines().find_map(|line| line[4..].strip_prefix("SIZE ")).expect("SIZE is offered");
    let size: u64 = size.parse().expect("a number");
    client.expect(&format!("MAIL FROM:<a@remote.example> SIZE={}", size + 1), "552").await;
    client.expect(&format!("MAIL FROM:<a@remote.example> SIZE={size}"), "250").await;
}

#[tokio::test]
async fn swaks_delivers_a_message_with_an_attachment() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let file = tempfile::Builder::new().suffix(".bin").tempfile().expect("a file");
    let data: Vec<u8> = (0..=255).cycle().take(5000).collect();
    std::fs::write(file.path(), &data).expect("it can be written");
    let address = server.smtp();
    let attachment = format!("@{}", file.path().display());
    let swaks = tokio::task::spawn_blocking(move || {
        Command::new("swaks")
            .args(["--server", &address.ip().to_string(), "--port", &address.port().to_string()])
            .args(["--from", "a@remote.example", "--to", "rider@localhost,other@two.example"])
            .args(["--header", "Subject: from swaks", "--body", "hello\n.\nthere", "--attach", &attachment])
            .args(["--attach-type", "application/x-test", "--pipeline", "--silent", "2"])
            .output()
            .expect("swaks runs: tests/setup installs it")
    });
    let output = swaks.await.unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let arrived = incoming.call_where("the message", |body| body["Subject"] == "from swaks").await.json();
    let id = &arrived["Meta"]["MsgID"];
    let got = eventually("the message to be there", async || {
        let got = server.call("MessageGet", &json!({"MsgID": id})).await;
        if got.status == 200 { Ok(got.json()) } else { Err(got.text()) }
    })
    .await;
    assert_eq!(got["Structure"]["ContentType"], "multipart/mixed");
    let part = &got["Structure"]["Parts"][1];
    assert_eq!(
        (&part["ContentDisposition"], &part["DecodedSize"]),
        (&json!("attachment"), &json!(data.len()))
    );
    assert!(got["Message"]["Text"].as_str().unwrap().contains("hello"), "{got}");
}
