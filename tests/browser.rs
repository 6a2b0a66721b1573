//! The pages in a real browser.

use crate::harness::{PASSWORD, Server, USER, eventually, judge};
use serde_json::json;

/// A mail that would do harm if a page took it for its own.
const HOSTILE: &str = "<style>p { color: red }</style><p id=mail>mail</p>\
    <script>parent.harm = 1; document.getElementById('mail').textContent = 'harm'</script>\
    <img src=x onerror=\"parent.harm = 1\"><img src=\"http://outside.example/x.png\">\
    <meta http-equiv=refresh content=\"0; url=http://outside.example/\">";

#[tokio::test]
async fn a_developer_sends_a_message_from_its_page_and_reads_mail_that_can_do_no_harm() {
    let server = Server::start().await;
    let hostile = json!({"To": [{"Address": USER}], "Subject": "hostile", "HTML": HOSTILE});
    server.send(&hostile).await;
    arrived(&server, 1).await;

    judge(
        "browse.py",
        &json!({
            "index": server.greeting("webapi"),
            "user": USER,
            "password": PASSWORD,
            "hostile": HOSTILE,
            "screenshots": concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots"),
        }),
    );

    let message = arrived(&server, 2).await;
    assert_eq!(message["Message"]["Subject"], "from a browser");
    let file = &message["Structure"]["Parts"][1];
    assert_eq!((&file["Filename"], &file["ContentType"]), (&json!("notes.txt"), &json!("text/plain")));
    assert_eq!(file["DecodedSize"], "attached".len());
}

async fn arrived(server: &Server, id: i64) -> serde_json::Value {
    eventually("the message to arrive", async || {
        let answer = server.call("MessageGet", &json!({"MsgID": id})).await;
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.text()) }
    })
    .await
}
