//! Bounds on what clients send.

use crate::harness::{PASSWORD, Server, USER};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
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
        let read = tokio::time::timeout(crate::harness::PATIENCE, stream.read_to_end(&mut answer)).await;
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
    server.send(&crate::harness::message()).await;
    drop(silent);
}
