//! Bounds on what clients send.

use crate::harness::{Answer, PASSWORD, PATIENCE, Server, USER, message};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

#[tokio::test]
async fn a_request_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    for content_type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let mut stream = TcpStream::connect(server.http()).await.unwrap();
        let credentials = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let head = format!(
            "POST /webapi/v0/Send HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Basic {credentials}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            (100 << 20) + 1
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(read.is_ok(), "the connection is closed: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{content_type}: {answer}");
        let error: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).unwrap();
        assert_eq!(error["Code"], "messageTooLarge", "{content_type}");
    }
}

#[tokio::test]
async fn a_message_has_a_thousand_recipients_at_most() {
    let server = Server::start().await;
    let to = |count: usize| -> Vec<_> {
        (0..count).map(|number| json!({"Address": format!("n{number}x@remote.example")})).collect()
    };
    let sent = server.send(&json!({"To": to(1000), "Subject": "many", "Text": "hi"})).await;
    assert_eq!(sent.submissions.len(), 1000);
    let refused = server.call("Send", &json!({"To": to(1001), "Subject": "more", "Text": "hi"})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    refused.code();
}

#[tokio::test]
async fn connections_that_say_nothing_hold_up_no_others() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(server.http()).await.unwrap());
        silent.push(TcpStream::connect(server.smtp()).await.unwrap());
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    server.send(&message()).await;
    drop(silent);
}

/// Sends a call until it is answered, but never its end; the answer, once the connection is closed.
async fn send_without_end(server: &Server, from: Ipv4Addr, head: &str, piece: &[u8]) -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("an address of this machine");
    let stream = socket.connect(server.http()).await.expect("the port takes connections");
    let (mut reader, mut writer) = stream.into_split();
    let sending = async {
        let mut sent = writer.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = writer.write_all(piece).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = sending => {}
        _ = reader.read_buf(&mut answer) => {}
    }
    // What was read before a reset counts.
    let _ = timeout(PATIENCE, reader.read_to_end(&mut answer)).await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_is_refused_cannot_send_without_end() {
    let server = Server::start().await;
    let wrong = format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{USER}:wrong")));
    let (outsider, guesser) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 9));
    let sized = (format!("Content-Length: {}", u64::MAX / 2), "x".repeat(0x10000));
    let chunked = ("Transfer-Encoding: chunked".to_owned(), format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    let framings = [sized, chunked];
    let cases = [
        ("/webapi/v0/Send", outsider, "", 1, "401"),
        ("/webapi/v0/Nothing", outsider, "", 1, "404"),
        ("/nothing", outsider, "", 1, "404"),
        ("/healthz", outsider, "", 1, "404"),
        ("/webapi/v0/Send", guesser, &wrong, 5, "401"),
    ];
    let past_the_limit = ("/webapi/v0/Send", guesser, wrong.as_str(), 1, "429");
    for cases in [&cases[..], &[past_the_limit]] {
        let calls = cases.iter().flat_map(|case| framings.iter().map(move |framing| (case, framing)));
        let calls = calls.flat_map(|(case, framing)| std::iter::repeat_n((case, framing), case.3));
        let server = &server;
        let answers = calls.map(async |((path, from, authorization, _, status), (framing, piece))| {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{framing}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\n"
            );
            let answer = send_without_end(server, *from, &head, piece.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}, {framing}: {answer}");
        });
        join_all(answers).await;
    }
    server.send(&message()).await;
}

#[tokio::test]
async fn a_huge_header_is_refused() {
    let server = Server::start().await;
    for (size, status) in [(5_000, 401), (60_000, 401), (2 << 20, 431)] {
        // Over a connection of its own, which is closed.
        let request = server.api().local_address(Ipv4Addr::LOCALHOST).request("POST", "/webapi/v0/Send");
        let answer = Answer::of(request.header("Authorization", format!("Basic {}", "A".repeat(size)))).await;
        // It may be closed before the rest of the header was sent, and then the answer is lost.
        assert_eq!(answer.map_or(431, |answer| answer.status), status, "{size}");
    }
    server.send(&message()).await;
}
