//! Large files uploaded at the same time: what the answers are, how long they take, and the most memory that the
//! server had at once.

use crate::{figure, quantile, server::Server};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

const BOUNDARY: &str = "a-boundary-that-is-not-in-the-file";
const MB: usize = 1_000_000;

/// Uploads a file of `size` MB from each client, `rounds` times one after the other.
pub(crate) async fn run(server: &Server, clients: usize, rounds: usize, size: usize) {
    let start = Instant::now();
    let tasks: Vec<_> =
        (0..clients).map(|_| tokio::spawn(upload_all(server.address(), rounds, size))).collect();
    let mut answers = BTreeMap::<String, usize>::new();
    let mut times = Vec::new();
    for task in tasks {
        for (answer, time) in task.await.unwrap() {
            *answers.entry(answer).or_default() += 1;
            times.push(time);
        }
    }
    times.sort_unstable();
    println!("{clients} clients, {rounds} uploads each of {size} MB: {answers:?}");
    figure("took", start.elapsed().as_secs_f64(), "s");
    figure("answer p50", quantile(&times, 0.5), "ms");
    figure("answer max", quantile(&times, 1.0), "ms");
    figure("most memory at once", server.peak_memory() as f64, "MiB");
}

async fn upload_all(address: String, rounds: usize, size: usize) -> Vec<(String, Duration)> {
    let mut answers = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        answers.push((upload(&address, size * MB).await, start.elapsed()));
    }
    answers
}

/// The status line, and the code of an error.
async fn upload(address: &str, size: usize) -> String {
    let request = r#"{"To":[{"Address":"friend@remote.example"}],"Subject":"load","Text":"see the file"}"#;
    let front = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{request}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"attachedfile\"; filename=\"large.bin\"\r\n\r\n"
    );
    let back = format!("\r\n--{BOUNDARY}--\r\n");
    // rider@localhost:postrider
    let head = format!(
        "POST /webapi/v0/Send HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Basic cmlkZXJAbG9jYWxob3N0OnBvc3RyaWRlcg==\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        front.len() + size + back.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all((head + &front).as_bytes()).await.unwrap();
    let block: Vec<u8> = (0..256 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut left = size;
    while left > 0 {
        let now = left.min(block.len());
        stream.write_all(&block[..now]).await.unwrap();
        left -= now;
    }
    stream.write_all(back.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.lines().next().unwrap_or_default().to_owned();
    match answer.split_once("\"Code\":\"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((code, _)) => format!("{status} {code}"),
        None => status,
    }
}
