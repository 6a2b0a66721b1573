//! A server that starts with a long queue.

use crate::{
    figure, prepared,
    server::{Server, directory, sink},
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::Instant;

/// Fills a queue, starts the server and follows it until the queue is empty.
pub(crate) async fn run(messages: usize, domains: usize, nameserver: SocketAddr) {
    let dir = directory();
    let data = dir.path().join("data");
    let queue = prepared::open(&data);
    let filling = Instant::now();
    tokio::task::spawn_blocking(move || prepared::fill(queue, messages, domains, true)).await.unwrap();
    figure("queued beforehand", messages as f64 / filling.elapsed().as_secs_f64(), "messages/s");

    let (_sink, address) = sink();
    let start = Instant::now();
    let server = Server::serve(&data, nameserver, address.port());
    server.ready().await;
    figure("ready to accept after", start.elapsed().as_secs_f64() * 1000.0, "ms");
    let delivered = async || server.metric("postrider_messages_retired_total").await;
    while delivered().await == 0.0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    figure("first delivery settled", start.elapsed().as_secs_f64() * 1000.0, "ms");
    let mut most = 0;
    while delivered().await < messages as f64 {
        most = most.max(server.memory());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = start.elapsed();
    figure("delivered", messages as f64 / took.as_secs_f64(), "messages/s");
    figure("CPU of the server", server.cpu().as_secs_f64() * 1000.0 / messages as f64, "ms/message");
    figure("most memory of its own", most as f64, "MiB");
    let opened = server.metric("postrider_smtp_connections_opened_total").await;
    figure("connections opened", opened * 1000.0 / messages as f64, "per 1000 messages");
}
