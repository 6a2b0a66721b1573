//! How much memory large uploads take together. `cargo bench --bench load -- uploads` has larger ones.

use crate::harness::{FilePart, HttpClient, Multipart, Server, eventually, message, post_head};
use std::sync::Arc;

const UPLOADS: usize = 8;
const SIZE: usize = 30_000_000;
/// In MiB. A hundred of forms may be read back at a time, and each is there a second time, encoded, before it is let
/// go of; the allocator gives back what is free a second later. Without a bound, these would take over 550.
const PEAK_MAX: u64 = 420;

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
