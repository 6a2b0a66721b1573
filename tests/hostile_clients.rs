//! Clients that break off, lie about sizes, or do what HTTP allows and few do.

use crate::harness::{
    HttpClient, Multipart, PASSWORD, Server, USER, eventually, message, post_head, urlencoded,
};
use std::process::Command;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn form() -> String {
    urlencoded(&[("request", &message().to_string())])
}

async fn nothing_is_queued(server: &Server, what: &str) {
    assert_eq!(server.metric("postrider_submissions_total", "result=\"accepted\"").await, 0.0, "{what}");
    assert_eq!(server.metric("postrider_queue_messages", "").await, 0.0, "{what}");
}

#[tokio::test]
async fn requests_one_behind_the_other_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = HttpClient::connect(server.http()).await;
    let good = form();
    let bad = "request=x";
    let request = |form: &str| post_head("Send", &format!("{FORM}\r\nContent-Length: {}", form.len())) + form;
    assert!(client.write(request(&good) + &request(bad) + &request(&good)).await);
    for status in [200, 400, 200] {
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_client_that_sends_no_more_still_hears_its_answer() {
    let server = Server::start().await;
    let form = form();
    for headers in ["", "\r\nConnection: close"] {
        let mut client = HttpClient::connect(server.http()).await;
        let head = post_head("Send", &format!("{FORM}\r\nContent-Length: {}{headers}", form.len()));
        assert!(client.write(head + &form).await);
        client.half_close().await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let server = Server::start().await;
    let form = form();
    let mut client = HttpClient::connect(server.http()).await;
    let head =
        post_head("Send", &format!("{FORM}\r\nExpect: 100-continue\r\nContent-Length: {}", form.len()));
    assert!(client.write(head).await);
    assert_eq!(client.answer().await.expect("a word").status, 100);
    assert!(client.write(form).await);
    assert_eq!(client.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn curl_uploads_a_large_file() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large.bin");
    std::fs::write(&file, vec![7; 3 << 20]).unwrap();
    let url = format!("http://{}/webapi/v0/Send", server.http());
    let curl = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--user", &format!("{USER}:{PASSWORD}")])
            .args(["--header", "Expect: 100-continue", "--verbose"])
            .args(["--form-string", &format!("request={}", message())])
            .args(["--form", &format!("attachedfile=@{}", file.display()), &url])
            .output()
            .expect("curl runs")
    });
    let output = curl.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("HTTP/1.1 100 Continue"), "{said}");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("\"QueueMsgID\""), "{answer}");
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let server = Server::start().await;
    let whole = Multipart::default()
        .text("request", &message().to_string())
        .file(crate::harness::FilePart {
            field: "attachedfile",
            data: &vec![1; 2 << 20],
            ..Default::default()
        })
        .body();
    let kind = format!("Content-Type: {}", Multipart::content_type());
    let mut clients = Vec::new();
    for size in [10, 5_000, 1 << 20, whole.len() - 1] {
        let mut client = HttpClient::connect(server.http()).await;
        let head = post_head("Send", &format!("{kind}\r\nContent-Length: {}", whole.len()));
        assert!(client.write(head).await && client.write(&whole[..size]).await);
        clients.push(client);
    }
    eventually("large uploads to be in files", async || match server.open_uploads() {
        2 => Ok(()),
        number => Err(format!("{number} are")),
    })
    .await;
    drop(clients);
    eventually("the files to be gone", async || match server.open_uploads() {
        0 => Ok(()),
        number => Err(format!("{number} are left")),
    })
    .await;
    let left: Vec<_> = std::fs::read_dir(server.dir().join("uploads")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    nothing_is_queued(&server, "vanished").await;
    server.send(&message()).await;
}

#[tokio::test]
async fn bodies_that_are_not_as_they_say_are_refused() {
    let server = Server::start().await;
    let form = form();
    let length = form.len();
    let chunked = "Transfer-Encoding: chunked";
    let cases = [
        ("shorter than it says", format!("Content-Length: {}", length + 1), form.clone()),
        ("longer than it says", format!("Content-Length: {}", length - 3), form.clone()),
        ("no length", String::new(), form.clone()),
        ("a negative length", "Content-Length: -5".into(), form.clone()),
        ("no number", "Content-Length: many".into(), form.clone()),
        ("a plus", format!("Content-Length: +{length}"), form.clone()),
        ("a length beyond all bounds", "Content-Length: 99999999999999999999999".into(), form.clone()),
        ("two lengths", format!("Content-Length: {length}\r\nContent-Length: {}", length + 1), form.clone()),
        ("chunks of no size", chunked.into(), format!("x\r\n{form}\r\n0\r\n\r\n")),
        ("a chunk of endless size", chunked.into(), format!("fffffffffffffffffff\r\n{form}\r\n0\r\n\r\n")),
        ("a chunk that is cut off", chunked.into(), format!("{:x}\r\n{form}", length + 9)),
        ("a chunk without end", chunked.into(), format!("{length:x}\r\n{form}XX0\r\n\r\n")),
        ("no last chunk", chunked.into(), format!("{length:x}\r\n{form}\r\n")),
        ("an unknown encoding", "Transfer-Encoding: gzip".into(), form.clone()),
        (
            "a length and chunks",
            format!("Content-Length: {length}\r\n{chunked}"),
            format!("{length:x}\r\n{form}\r\n0\r\n\r\n"),
        ),
    ];
    for (what, headers, body) in cases {
        let mut client = HttpClient::connect(server.http()).await;
        let head = post_head("Send", &format!("{FORM}\r\n{headers}"));
        client.write(head.replace("\r\n\r\n\r\n", "\r\n\r\n") + &body).await;
        client.half_close().await;
        let first = client.answer().await;
        assert!(first.as_ref().is_none_or(|answer| answer.status == 400), "{what}: {first:?}");
    }
    nothing_is_queued(&server, "bodies").await;
    let mut client = HttpClient::connect(server.http()).await;
    let pieces: String = form.chars().map(|c| format!("1;x=y\r\n{c}\r\n")).collect();
    assert!(client.write(post_head("Send", &format!("{FORM}\r\n{chunked}")) + &pieces + "0\r\n\r\n").await);
    assert_eq!(client.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn heads_that_nobody_sends_are_refused() {
    let server = Server::start().await;
    let many: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let cases = [
        ("many headers", post_head("Send", &format!("{FORM}\r\n{many}X: y"))),
        ("a long header", post_head("Send", &format!("{FORM}\r\nX: {}", "y".repeat(1 << 20)))),
        ("a long path", post_head(&"x".repeat(1 << 20), FORM)),
        ("no HTTP", "EHLO client.example\r\n\r\n".into()),
        ("NUL", "POST /webapi/v0/Send\0 HTTP/1.1\r\n\r\n".into()),
    ];
    for (what, head) in cases {
        let mut client = HttpClient::connect(server.http()).await;
        client.write(head).await;
        let answer = client.answer().await;
        assert!(
            answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)),
            "{what}: {answer:?}"
        );
    }
    server.send(&message()).await;
}
