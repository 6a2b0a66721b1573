//! What was acknowledged is delivered, whatever happens to the process.

use crate::harness::{Action, Load, Server, SmtpPeer, Verb, all_delivered, message_to};
use config::Settings;
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::time::sleep;

const SENDERS: usize = 20;
const CRASHES: usize = 12;
/// Each has to be followed by a start, and these find the same.
const CRASHES_WHILE_MAIL_COMES: usize = 6;

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
async fn kill_9_while_mail_comes_leaves_what_was_acknowledged_in_the_inbox_once() {
    let mut server = Server::start().await;
    let load = Load::by_smtp(SENDERS);
    for _ in 0..CRASHES_WHILE_MAIL_COMES {
        load.use_server(server.smtp());
        load.more(SENDERS).await;
        // As above.
        sleep(Duration::from_millis(rand::random_range(0..400))).await;
        server.kill();
        load.no_server();
        server.restart().await;
    }
    load.use_server(server.smtp());
    load.more(1).await;
    let acknowledged = load.stop().await;
    server.kill();
    let found = inbox(server.dir());
    let lost: Vec<_> = acknowledged.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are missing: {lost:?}", lost.len(), acknowledged.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "there more than once: {twice:?}");
}

/// How often each Message-ID is in the Inbox that is there.
fn inbox(dir: &Path) -> BTreeMap<String, usize> {
    let mut settings = Settings::defaults();
    (settings.store.map_size, settings.data_dir) = (1 << 30, dir.into());
    let (store, _writer) = postrider::server::open_store(&settings).expect("nobody else has it");
    let account = store.directory().accounts().next().expect("the rider").id;
    let read = store.read(|view| {
        let mailboxes = view.mailboxes(account)?;
        let (inbox, _) = mailboxes.iter().find(|(_, mailbox)| mailbox.name == "Inbox").expect("an Inbox");
        let ids = view.mailbox_messages(*inbox, None, usize::MAX)?;
        let contents = ids.into_iter().map(|id| {
            let record = view.mailbox_message(id)?.expect("a record");
            Ok(view.content(record.content)?.expect("a content"))
        });
        contents.collect::<Result<Vec<_>, store::StoreError>>()
    });
    let mut counts = BTreeMap::new();
    for content in read.expect("the store is fine") {
        let text = String::from_utf8_lossy(&content);
        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("a Message-ID");
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    counts
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
