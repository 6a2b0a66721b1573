//! Many messages share one synced commit.

use crate::harness::{Action, Server, SmtpPeer, Verb, eventually, message_to};
use futures_util::future::join_all;

const COUNT: usize = 1000;
/// Without optimisation a message takes longer to compose than to commit, and few wait for a commit at the same time.
const COMMITS_MAX: f64 = if cfg!(debug_assertions) { 850.0 } else { 400.0 };

#[tokio::test]
async fn a_thousand_sends_at_once_take_far_fewer_commits() {
    // While all are accepted none is settled, so that the commits counted are those of accepting.
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Connect => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let before = commits(&server).await;
    let api = server.api();
    let sends = (0..COUNT).map(|number| {
        let api = api.clone();
        async move { api.call("Send", &message_to(&format!("n{number}x@d{}.example", number % 10))).await }
    });
    for answer in join_all(sends).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let accepting = commits(&server).await - before;
    assert!(accepting < COMMITS_MAX, "{accepting} commits for {COUNT} messages");

    peer.open_gate();
    peer.delivered(COUNT).await;
    eventually("all deliveries to be settled", async || {
        let queued = server.metric("postrider_queue_messages", "").await;
        if queued == 0.0 { Ok(()) } else { Err(format!("{queued} are queued")) }
    })
    .await;
    let changes = server.metric("postrider_store_commit_changes_sum", "").await;
    assert!(changes >= 2.0 * COUNT as f64, "each message is accepted and settled, in {changes} changes");
}

async fn commits(server: &Server) -> f64 {
    server.metric("postrider_store_commit_changes_count", "").await
}
