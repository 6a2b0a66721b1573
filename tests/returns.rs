//! What comes back about messages that were sent.

use crate::harness::{
    Action, HookReceiver, Server, Site, SmtpClient, SmtpPeer, Verb, eventually, message_to,
};
use serde_json::{Value, json};

const FRIEND: &str = "friend@remote.example";

pub(crate) fn dsn(to: &str, block: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.remote.example\r\nTo: {to}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.remote.example\r\n\r\n{block}\r\n--b--\r\n"
    )
}

fn failed(recipient: &str) -> String {
    format!(
        "Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
    )
}

fn complaint(kind: &str, return_path: &str) -> String {
    format!(
        "From: fbl@remote.example\r\nTo: rider@localhost\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
         --b\r\n\r\nA complaint.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: {kind}\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n\
         Original-Mail-From: <{return_path}>\r\n\r\n--b--\r\n"
    )
}

/// A server whose message was delivered to a peer, and the address that reports about it go to.
async fn delivered(hooks: &HookReceiver, peer: &SmtpPeer) -> (Server, i64, String) {
    let server =
        Server::builder().outgoing_webhook(hooks).incoming_webhook(hooks).deliver_to(peer).start().await;
    let sent = server.ok("Send", &message_to(FRIEND)).await;
    let submission = &sent["Submissions"][0];
    let id = submission["QueueMsgID"].as_i64().expect("an id");
    hooks.event("delivered", id).await;
    let from_id = submission["FromID"].as_str().expect("a FromID");
    (server, id, format!("rider+{}@localhost", from_id.to_uppercase()))
}

pub(crate) async fn comes(server: &Server, to: &str, content: &str) {
    let mut client = SmtpClient::ready(server.smtp()).await;
    client.envelope("", &[to]).await;
    client.write(format!("{content}\r\n.\r\n").as_bytes()).await;
    let answer = client.reply().await;
    assert!(answer.starts_with("250"), "{answer}");
}

async fn is_suppressed(server: &Server) -> Value {
    server.ok("SuppressionPresent", &json!({ "EmailAddress": FRIEND })).await["Present"].clone()
}

#[tokio::test]
async fn a_report_about_a_delivered_message_is_told_and_suppresses_its_recipient() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, id, from_id) = delivered(&hooks, &peer).await;
    comes(&server, &from_id, &dsn(&from_id, &failed(FRIEND))).await;
    let told = hooks.event("failed", id).await;
    assert_eq!(told["DSN"], true);
    assert_eq!(told["Suppressing"], true);
    assert_eq!((&told["SMTPCode"], &told["SMTPEnhancedCode"]), (&json!(550), &json!("5.1.1")));
    assert_eq!((&told["Error"], &told["Recipient"]), (&json!("no such user"), &json!(FRIEND)));
    assert_eq!(is_suppressed(&server).await, true);
    assert_eq!(server.metric("postrider_returns_total", "kind=\"dsn\"").await, 1.0);
    assert_eq!(server.metric("postrider_suppressions_added_total", "source=\"dsn\"").await, 1.0);
    let entry = server.ok("SuppressionList", &json!({})).await["Suppressions"][0].clone();
    assert!(entry["Reason"].as_str().unwrap().contains("550 5.1.1 no such user"), "{entry}");
    assert!(hooks.bodies().iter().all(|body| body["Event"].is_string()), "no incoming hook was made");
}

#[tokio::test]
async fn a_report_of_one_recipient_under_another_name_is_told_and_stands_in_the_history() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, id, from_id) = delivered(&hooks, &peer).await;
    comes(&server, &from_id, &dsn(&from_id, &failed("forwarded@inside.example"))).await;
    assert_eq!(hooks.event("failed", id).await["Suppressing"], true);
    let dir = server.dir().to_str().expect("a path");
    let shown = Site::new("").ok(&["queue", "retired", "show", "--dir", dir, &id.to_string()]);
    let line = shown.lines().find_map(|line| line.strip_prefix("came back")).expect("a line in the history");
    let said = "failed, 550 5.1.1 no such user; the recipient was put on the suppression list";
    assert!(line.ends_with(said), "{line}");
}

#[tokio::test]
async fn a_report_that_overtakes_the_end_of_its_session_is_matched_and_stays_the_news() {
    let hooks = HookReceiver::start().await;
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::EndOfData => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let server = Server::builder().outgoing_webhook(&hooks).deliver_to(&peer).start().await;
    let sent = server.ok("Send", &message_to(FRIEND)).await;
    peer.heard("DATA").await;
    let submission = &sent["Submissions"][0];
    let id = submission["QueueMsgID"].as_i64().expect("an id");
    let from_id = format!("rider+{}@localhost", submission["FromID"].as_str().expect("a FromID"));
    comes(&server, &from_id, &dsn(&from_id, &failed(FRIEND))).await;
    assert_eq!(hooks.event("failed", id).await["Suppressing"], true);
    peer.open_gate();
    eventually("the end of the session", async || {
        let queued = server.metric("postrider_queue_messages", "").await;
        if queued == 0.0 { Ok(()) } else { Err(format!("{queued} are queued")) }
    })
    .await;
    let log = server.api().events("").await.expect("the server answers").json();
    let told: Vec<_> =
        log["Events"].as_array().expect("events").iter().map(|event| &event["Event"]).collect();
    assert_eq!(json!(told), json!(["queued", "failed", "attempted", "delivered"]));
    assert!(hooks.bodies().iter().all(|body| body["Event"] == "failed"), "what is known last is told");
}

/// By what the next hop was given as the name of the envelope, and nothing else.
#[tokio::test]
async fn a_report_is_matched_by_the_envelope_id_and_the_recipient() {
    let hooks = HookReceiver::start().await;
    let peer = SmtpPeer::builder().extensions(&["DSN"]).start().await;
    let (server, id, _) = delivered(&hooks, &peer).await;
    let mail = peer.deliveries()[0].mail.clone();
    let envelope_id = mail.split(' ').find_map(|word| word.strip_prefix("ENVID=")).expect("an ENVID");
    let block = |recipient: &str, envelope_id: &str| {
        dsn("rider@localhost", &failed(recipient))
            .replace("Reporting-MTA:", &format!("Original-Envelope-Id: {envelope_id}\r\nReporting-MTA:"))
    };
    for (recipient, envelope_id) in [(FRIEND, "another"), ("stranger@remote.example", envelope_id)] {
        comes(&server, "rider@localhost", &block(recipient, envelope_id)).await;
    }
    assert_eq!(server.metric("postrider_returns_total", "kind=\"unmatched\"").await, 2.0);
    comes(&server, "rider@localhost", &block(FRIEND, envelope_id)).await;
    assert_eq!(hooks.event("failed", id).await["Suppressing"], true);
}

/// Whoever got the same message knows what the reports about the others would say.
#[tokio::test]
async fn a_forged_report_from_another_recipient_suppresses_nobody() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let server = Server::builder().outgoing_webhook(&hooks).deliver_to(&peer).start().await;
    let to = json!([{"Address": FRIEND}, {"Address": "attacker@remote.example"}]);
    let sent = server.ok("Send", &json!({"To": to, "Subject": "hello", "Text": "hi"})).await;
    let id = sent["Submissions"][0]["QueueMsgID"].as_i64().expect("an id");
    hooks.event("delivered", id).await;
    let message_id = sent["MessageID"].as_str().expect("a Message-ID");
    let returned =
        format!("\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n");
    comes(&server, "rider@localhost", &dsn("rider@localhost", &(failed(FRIEND) + &returned))).await;
    assert_eq!(hooks.event("failed", id).await["Suppressing"], false);
    assert_eq!(is_suppressed(&server).await, false);
}

#[tokio::test]
async fn what_is_no_report_is_unrecognized_and_kept() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, id, from_id) = delivered(&hooks, &peer).await;
    comes(&server, &from_id, "From: Friend <friend@remote.example>\r\nSubject: I am away\r\n\r\nback soon")
        .await;
    let told = hooks.event("unrecognized", id).await;
    assert_eq!((&told["DSN"], &told["Suppressing"]), (&json!(false), &json!(false)));
    let others = format!("{}\r\n{}", failed("somebody@remote.example"), failed("else@remote.example"));
    comes(&server, &from_id, &dsn(&from_id, &others)).await;
    comes(&server, &from_id, &complaint("not-spam", &from_id)).await;
    eventually("the report about others and the praise", async || {
        let told = hooks.bodies().into_iter().filter(|body| body["Event"] == "unrecognized");
        match told.count() {
            3 => Ok(()),
            count => Err(format!("{count} were told")),
        }
    })
    .await;
    assert_eq!(is_suppressed(&server).await, false);
}

#[tokio::test]
async fn reports_about_unknown_messages_change_nothing() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, _, _) = delivered(&hooks, &peer).await;
    let unknown = "rider+0123456789abcdefghijklmnop@localhost";
    comes(&server, unknown, &dsn(unknown, &failed(FRIEND))).await;
    hooks.call_where("the report as incoming mail", |body| body["Subject"] == "Undelivered").await;
    assert_eq!(is_suppressed(&server).await, false);
    assert_eq!(server.metric("postrider_returns_total", "kind=\"unmatched\"").await, 1.0);
}

#[tokio::test]
async fn a_complaint_suppresses_its_recipient() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, id, from_id) = delivered(&hooks, &peer).await;
    comes(&server, "rider@localhost", &complaint("abuse", &from_id)).await;
    let told = hooks.event("failed", id).await;
    assert_eq!((&told["DSN"], &told["Suppressing"]), (&json!(false), &json!(true)));
    assert!(told["Error"].as_str().unwrap().contains("complaint"), "{told}");
    assert_eq!(is_suppressed(&server).await, true);
}

/// A program's report or a provider's complaint, by the name of its sample; and what the application is told: the event,
/// the codes, the start of the answer, and whether the recipient is suppressed.
#[rustfmt::skip]
const SAMPLES: &[(&str, &str, u16, &str, &str, bool)] = &[
    ("aol-complaint", "failed", 0, "", "complaint", true),
    ("exchange-2003", "failed", 500, "5.1.1", "", true),
    ("exchange-online", "failed", 550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient", true),
    ("exchange-server", "failed", 554, "5.2.2", "mailbox full; STOREDRV.Deliver; QuotaExceededException", false),
    ("exim-report", "failed", 550, "5.0.0", "No such person at this address", true),
    ("exim-text", "failed", 550, "5.2.1", "This mailbox is closed", true),
    ("gmail", "failed", 550, "5.1.1", "The email account that you tried to reach does not exist. Please", true),
    ("outlook-complaint", "failed", 0, "", "complaint", true),
    ("postfix-delayed", "delayed", 452, "4.2.2", "Mailbox full", false),
    ("postfix-delivered", "delivered", 250, "2.0.0", "<", false),
    ("postfix-failed", "failed", 550, "5.1.1", "<", true),
    ("postfix-relayed", "relayed", 250, "2.1.5", "Ok", false),
    ("postfix-several", "failed", 554, "5.0.0", "Sorry, no more room for anybody", false),
    ("postfix-unknown-host", "failed", 500, "5.4.4", "Host or domain name not found.", false),
    ("qmail", "failed", 554, "5.7.1", "<", false),
    ("removal-complaint", "failed", 0, "", "complaint", true),
    ("sendmail", "failed", 553, "5.3.0", "<", true),
    ("sendmail-expired", "failed", 400, "4.4.7", "", false),
    ("utf8", "failed", 550, "5.1.6", "Postfach umgezogen, keine Adresse für Sie", true),
    ("yahoo-complaint", "failed", 0, "", "complaint", true),
];

#[tokio::test]
async fn the_report_of_each_program_to_a_from_id_is_told() {
    each_sample_is_told(|from_id| from_id.to_owned()).await;
}

#[tokio::test]
async fn the_report_of_each_program_to_another_address_is_told() {
    each_sample_is_told(|_| "rider@localhost".to_owned()).await;
}

async fn each_sample_is_told(comes_to: impl Fn(&str) -> String) {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let server =
        Server::builder().outgoing_webhook(&hooks).incoming_webhook(&hooks).deliver_to(&peer).start().await;
    for (name, event, code, enhanced, error, suppressing) in SAMPLES {
        let recipient = format!("{name}@remote.example");
        let sent = server.ok("Send", &message_to(&recipient)).await;
        let submission = &sent["Submissions"][0];
        let id = submission["QueueMsgID"].as_i64().expect("an id");
        hooks.event("delivered", id).await;
        let return_path = format!("rider+{}@localhost", submission["FromID"].as_str().expect("a FromID"));
        let path = format!("{}/mail/src/feedback/samples/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        let report = std::fs::read_to_string(path).expect("a sample");
        let report = report
            .replace("{recipient}", &recipient)
            .replace("{return_path}", &return_path)
            .replace("{message_id}", sent["MessageID"].as_str().expect("a Message-ID"))
            .replace("\n.", "\n..")
            .replace('\n', "\r\n");
        // Complaints come to the address that the provider knows.
        let is_report = !error.starts_with("complaint");
        let to = if is_report { comes_to(&return_path) } else { "rider@localhost".to_owned() };
        comes(&server, &to, &report).await;
        let is_it =
            |body: &Value| body["QueueMsgID"] == id && (body["DSN"] == true || body["Event"] == "failed");
        let told = hooks.call_where(name, is_it).await.json();
        assert_eq!((&told["Event"], &told["DSN"]), (&json!(event), &json!(is_report)), "{name}: {told}");
        assert_eq!(
            (&told["SMTPCode"], &told["SMTPEnhancedCode"]),
            (&json!(code), &json!(enhanced)),
            "{name}"
        );
        assert!(told["Error"].as_str().is_some_and(|text| text.starts_with(error)), "{name}: {told}");
        assert_eq!(told["Suppressing"], *suppressing, "{name}: {told}");
        let present = server.ok("SuppressionPresent", &json!({ "EmailAddress": recipient })).await;
        assert_eq!(present["Present"], *suppressing, "{name}");
    }
}

#[test]
fn each_sample_is_sent_to_a_server() {
    let samples = std::fs::read_dir(format!("{}/mail/src/feedback/samples", env!("CARGO_MANIFEST_DIR")));
    let mut found: Vec<_> = samples
        .expect("samples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .map(|name| name.trim_end_matches(".eml").to_owned())
        .collect();
    found.sort();
    assert_eq!(found, SAMPLES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_went_on_to_a_list_is_told_as_expanded() {
    let (hooks, peer) = (HookReceiver::start().await, SmtpPeer::accepting().await);
    let (server, id, from_id) = delivered(&hooks, &peer).await;
    let expanded = format!("Final-Recipient: rfc822; {FRIEND}\r\nAction: expanded\r\nStatus: 2.0.0\r\n");
    comes(&server, &from_id, &dsn(&from_id, &expanded)).await;
    let told = hooks.event("expanded", id).await;
    assert_eq!((&told["DSN"], &told["Suppressing"]), (&json!(true), &json!(false)));
    assert_eq!((&told["SMTPEnhancedCode"], &told["Recipient"]), (&json!("2.0.0"), &json!(FRIEND)));
    assert_eq!(is_suppressed(&server).await, false);
}
