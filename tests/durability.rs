//! What was acknowledged is delivered, whatever happens to the process.

use crate::harness::{Action, Load, Server, SmtpPeer, Verb, all_delivered, message_to};
use std::time::Duration;
use tokio::time::sleep;

const SENDERS: usize = 20;
const CRASHES: usize = 12;

#[tokio::test]
async fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged() {
    let peer = SmtpPeer::accepting().await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let load = Load::start(SENDERS);
    for _ in 0..CRASHES {
        load.use_server(server.api());
        load.more(1).await;
        // The moment of the crash is not to depend on anything.
        sleep(Duration::from_millis(rand::random_range(0..400))).await;
        server.kill();
        load.no_server();
        server.restart().await;
    }
    load.use_server(server.api());
    load.more(1).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() > CRASHES * SENDERS, "only {} messages were acknowledged", acknowledged.len());
    all_delivered(&acknowledged, &peer).await;
}

#[tokio::test]
async fn what_was_being_delivered_at_the_crash_is_delivered_after_it() {
    let peer = SmtpPeer::scripted(|moment| match (moment.verb, moment.connection) {
        (Verb::EndOfData, 0) => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let sent = server.send(&message_to("friend@remote.example")).await;
    crate::harness::eventually("the delivery to begin", async || {
        if peer.connections() == 1 { Ok(()) } else { Err("no connection".to_owned()) }
    })
    .await;
    server.kill();
    server.restart().await;
    all_delivered(&[sent.message_id], &peer).await;
}

#[tokio::test]
async fn sigterm_under_load_ends_in_time_and_loses_nothing() {
    let peer = SmtpPeer::accepting().await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let load = Load::start(SENDERS);
    load.use_server(server.api());
    load.more(100).await;
    let status = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{status}");
    load.no_server();
    server.restart().await;
    load.use_server(server.api());
    load.more(1).await;
    let acknowledged = load.stop().await;
    all_delivered(&acknowledged, &peer).await;
}

#[tokio::test]
async fn sigterm_without_work_ends_at_once() {
    let mut server = Server::start().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(3), "it took {:?}", begin.elapsed());
}
