//! How much memory large messages take together. `cargo bench --bench load -- uploads` has larger ones.

use crate::harness::{
    Answer, FilePart, HttpClient, Multipart, PASSWORD, PATIENCE, Server, SmtpClient, USER, eventually,
    message, post_head,
};
use serde_json::json;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const UPLOADS: usize = 8;
const SIZE: usize = 30_000_000;
/// In MiB. Forms of a hundred may be composed at a time, which encoding makes a third larger; the files of the others
/// wait on disk. The allocator gives back what is free a second later. Without a bound, these would take over 350.
const PEAK_MAX: u64 = 330;

#[tokio::test(flavor = "multi_thread")]
async fn eight_large_uploads_at_once_take_no_more_memory_than_some() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::builder().deliver_to_address(nowhere).start().await;
    let file = FilePart {
        field: "attachedfile",
        name: Some("large.bin"),
        data: &vec![7; SIZE],
        ..FilePart::default()
    };
    let form = Arc::new(Multipart::default().text("request", &message().to_string()).file(file).body());
    let uploads: Vec<_> = (0..UPLOADS)
        .map(|_| {
            let (address, form) = (server.http(), form.clone());
            tokio::spawn(async move {
                let mut client = HttpClient::connect(address).await;
                let headers =
                    format!("Content-Type: {}\r\nContent-Length: {}", Multipart::content_type(), form.len());
                assert!(
                    client.write(post_head("Send", &headers)).await && client.write(form.as_slice()).await
                );
                client.answer().await.expect("an answer")
            })
        })
        .collect();
    for upload in uploads {
        let answer = upload.await.unwrap();
        assert_eq!(answer.status, 200, "they wait for each other: {}", answer.body);
    }
    let peak = server.memory("VmHWM:");
    println!("{UPLOADS} uploads of {SIZE} octets: {peak} MiB");
    assert!(peak < PEAK_MAX, "the server had {peak} MiB at once");
    eventually("no file to be left of them", async || match server.open_uploads() {
        0 => Ok(()),
        number => Err(format!("{number} are")),
    })
    .await;
}

const READERS: usize = 12;
/// In MiB: the message is there once or twice while it is sent and while a part of it is decoded, and never for those
/// who read. Held for each of them, it would take over 500.
const READ_PEAK_MAX: u64 = 250;

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_take_their_time_hold_no_message_in_memory() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::builder().deliver_to_address(nowhere).start().await;
    let data = vec![7; 20_000_000];
    let mut request = message();
    request["SaveSent"] = json!(true);
    let file =
        FilePart { field: "attachedfile", name: Some("large.bin"), data: &data, ..FilePart::default() };
    let form = Multipart::default().text("request", &request.to_string()).file(file).body();
    let send = server
        .request("POST", "/webapi/v0/Send")
        .basic_auth(USER, Some(PASSWORD))
        .header("Content-Type", Multipart::content_type())
        .body(form);
    assert_eq!(Answer::of(send).await.unwrap().status, 200);

    let mut readers = Vec::new();
    for number in 0..2 * READERS {
        let (method, path) = [("MessageRawGet", ""), ("MessagePartGet", ",\"PartPath\":[1]")][number % 2];
        let body = format!("request={{\"MsgID\":1{path}}}");
        let headers =
            format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}", body.len());
        let mut reader = TcpStream::connect(server.http()).await.unwrap();
        reader.write_all((post_head(method, &headers) + &body).as_bytes()).await.unwrap();
        let mut begin = [0; 1_000];
        timeout(PATIENCE, reader.read_exact(&mut begin)).await.expect("an answer").unwrap();
        assert!(begin.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&begin));
        readers.push((reader, begin));
    }
    let peak = server.memory("VmHWM:");
    println!("{} slow readers of {} octets: {peak} MiB", readers.len(), data.len());
    assert!(peak < READ_PEAK_MAX, "the server had {peak} MiB at once");

    // Those who go on reading get all of it.
    let part = Answer::of(server.api().call_request("MessagePartGet", &json!({"MsgID": 1, "PartPath": [1]})));
    assert!(part.await.unwrap().body == data, "the part is the file");
    let raw =
        Answer::of(server.api().call_request("MessageRawGet", &json!({"MsgID": 1}))).await.unwrap().body;
    let size = server.ok("MessageGet", &json!({"MsgID": 1})).await["Meta"]["Size"].clone();
    assert_eq!(raw.len(), size);
    server.ok("MessageDelete", &json!({"MsgID": 1})).await;
    let (mut reader, begin) = readers.swap_remove(0);
    let mut rest = vec![0; raw.len()];
    let head = begin.windows(4).position(|four| four == b"\r\n\r\n").expect("the head is short") + 4;
    let came = begin.len() - head;
    rest[..came].copy_from_slice(&begin[head..]);
    timeout(PATIENCE, reader.read_exact(&mut rest[came..])).await.expect("the rest").unwrap();
    assert!(rest == raw, "the message is whole, although it was deleted meanwhile");
}

const MESSAGE_SIZE: usize = 70_000_000;
/// In MiB: the server and the message once. Grown by doubling, it would take over 190.
const MESSAGE_PEAK_MAX: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_whose_size_nobody_said_is_in_memory_once() {
    for by_chunks in [false, true] {
        let server = Server::start().await;
        let before = server.memory("VmHWM:");
        let mut client = SmtpClient::ready(server.smtp()).await;
        let piece = format!("{}\r\n", "x".repeat(998)).repeat(1000);
        // No text, for what is read of that takes some MiB more.
        let header = "Content-Type: application/octet-stream\r\n\r\n";
        client.expect("MAIL FROM:<a@remote.example>", "250").await;
        client.expect("RCPT TO:<rider@localhost>", "250").await;
        if by_chunks {
            client.write(format!("BDAT {}\r\n{header}", header.len()).as_bytes()).await;
            assert!(client.reply().await.starts_with("250"));
            for _ in 0..MESSAGE_SIZE / piece.len() {
                client.write(format!("BDAT {}\r\n{piece}", piece.len()).as_bytes()).await;
                assert!(client.reply().await.starts_with("250"));
            }
            client.expect("BDAT 0 LAST", "250 2.0.0 Stored").await;
        } else {
            client.expect("DATA", "354").await;
            client.write(header.as_bytes()).await;
            for _ in 0..MESSAGE_SIZE / piece.len() {
                client.write(piece.as_bytes()).await;
            }
            client.expect(".", "250 2.0.0 Stored").await;
        }
        let peak = server.memory("VmHWM:");
        println!("a message of {MESSAGE_SIZE} octets, by chunks: {by_chunks}: {before} MiB, then {peak} MiB");
        assert!(peak < MESSAGE_PEAK_MAX, "the server had {peak} MiB at once");
    }
}
