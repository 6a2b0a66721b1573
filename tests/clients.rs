//! From where a call comes.

use crate::harness::{Embedded, SmtpPeer, account, message};

#[tokio::test]
async fn the_trace_names_the_address_of_the_client() {
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder().account(account("rider")).deliver_to(&peer).start().await;
    server.api().local_address([127, 0, 0, 9]).ok("Send", &message()).await;
    let received = peer.delivery_to("friend@remote.example").await.header("Received").unwrap();
    assert!(received.starts_with("from [127.0.0.9] ([127.0.0.9]) by mail.example "), "{received}");
}
