//! A thousand destinations that hang slow no other down.

use crate::harness::{Action, DnsServer, Embedded, SmtpPeer, Verb, eventually, set_timeouts};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_destination_that_is_well_is_served_while_a_thousand_others_hang() {
    let hanging = SmtpPeer::exchanger()
        .script(|moment| match moment.verb {
            Verb::Connect => Action::Hang,
            _ => Action::Usual,
        })
        .start()
        .await;
    let well = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!("*.hang.test A {}\nwell.test A {}", hanging.ip(), well.ip())).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| set_timeouts(&mut settings.delivery, Duration::from_secs(300)))
        .start()
        .await;
    let count = 1000;
    let to: Vec<_> = (0..count).map(|n| json!({"Address": format!("x@d{n}.hang.test")})).collect();
    server.send_request(&json!({"To": to, "Subject": "s", "Text": "t"})).await;
    // Those that come first take what there is.
    eventually("connections that hang", async || match hanging.connections() {
        400.. => Ok(()),
        few => Err(format!("there are {few}")),
    })
    .await;
    let start = Instant::now();
    let ids =
        server.send_request(&json!({"To": [{"Address": "x@well.test"}], "Subject": "s", "Text": "t"})).await;
    let fate = server.end(ids[0]).await;
    assert_eq!((fate.word(), fate.attempts.len()), ("delivered", 1), "{fate:?}");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    // Once room has been made, there is no waiting at all.
    eventually("connections to all that hang", async || match hanging.connections() {
        now if now == count => Ok(()),
        now => Err(format!("there are {now}")),
    })
    .await;
    let start = Instant::now();
    assert_eq!(server.try_to("y@well.test").await.word(), "delivered");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}
