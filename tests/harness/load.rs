//! Many applications that send at once, through crashes and restarts of the server.

use super::{Api, Sent, SmtpPeer, eventually};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
    task::{JoinSet, yield_now},
};

/// Domains that the recipients are spread over.
const DOMAINS: usize = 5;

/// Message-IDs.
type Acknowledged = Arc<Mutex<Vec<String>>>;

/// Senders that go on until they are stopped, and reach the server by `S`.
pub(crate) struct Load<S = Api> {
    servers: watch::Sender<Option<S>>,
    acknowledged: Acknowledged,
    senders: JoinSet<()>,
}

impl Load {
    /// Starts the senders; each has one call under way at a time.
    pub(crate) fn start(senders: usize) -> Load {
        Load::to_many(senders, 1)
    }

    /// The same, each message to so many recipients of one domain.
    pub(crate) fn to_many(senders: usize, recipients: usize) -> Load {
        Load::of(senders, |number, servers, acknowledged| send_on(number, recipients, servers, acknowledged))
    }
}

impl Load<SocketAddr> {
    /// Starts so many servers that bring mail to the rider by SMTP, each in one session at a time.
    pub(crate) fn by_smtp(senders: usize) -> Load<SocketAddr> {
        Load::of(senders, bring_on)
    }
}

impl<S> Load<S> {
    fn of<F: Future<Output = ()> + Send + 'static>(
        senders: usize,
        sender: impl Fn(usize, watch::Receiver<Option<S>>, Acknowledged) -> F,
    ) -> Load<S> {
        let (servers, acknowledged) = (watch::Sender::new(None), Acknowledged::default());
        let senders =
            (0..senders).map(|number| sender(number, servers.subscribe(), acknowledged.clone())).collect();
        Load { servers, acknowledged, senders }
    }

    /// Has all calls made to that server from now on.
    pub(crate) fn use_server(&self, server: S) {
        self.servers.send_replace(Some(server));
    }

    /// Has no calls made until there is a server again.
    pub(crate) fn no_server(&self) {
        self.servers.send_replace(None);
    }

    /// How many messages were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().expect("no holder panics").len()
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn more(&self, count: usize) {
        let wanted = self.count() + count;
        eventually(&format!("{count} more acknowledged messages"), async || {
            let missing = wanted.saturating_sub(self.count());
            if missing == 0 { Ok(()) } else { Err(format!("{missing} are missing")) }
        })
        .await;
    }

    /// Stops the senders after the calls that are under way, and returns the Message-IDs that were acknowledged.
    pub(crate) async fn stop(self) -> Vec<String> {
        let Load { servers, acknowledged, mut senders } = self;
        drop(servers);
        while let Some(ended) = senders.join_next().await {
            ended.expect("a sender does not panic");
        }
        let acknowledged = acknowledged.lock().expect("no holder panics");
        acknowledged.clone()
    }
}

async fn send_on(
    number: usize,
    recipients: usize,
    mut servers: watch::Receiver<Option<Api>>,
    acknowledged: Acknowledged,
) {
    for count in 0_u64.. {
        // An error here means that the load was stopped.
        let Ok(server) = servers.wait_for(Option::is_some).await.map(|api| api.clone()) else { return };
        if servers.has_changed().is_err() {
            return;
        }
        let to = |n| json!({"Address": format!("s{number}-{count}-{n}x@d{}.example", number % DOMAINS)});
        let request = json!({
            "To": (0..recipients).map(to).collect::<Vec<_>>(),
            "Subject": format!("{count} of {number}"),
            "Text": format!("{}\n", "some text ".repeat(count as usize % 400)),
        });
        match server.as_ref().expect("it was waited for").call("Send", &request).await {
            Ok(answer) if answer.status == 200 => {
                let sent: Sent = serde_json::from_slice(&answer.body).expect("the result of Send");
                acknowledged.lock().expect("no holder panics").push(sent.message_id);
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            // The server is gone; nothing was promised.
            Err(_) => {}
        }
        yield_now().await;
    }
}

/// Messages that are brought in one session.
const SESSION: usize = 20;

async fn bring_on(
    number: usize,
    mut servers: watch::Receiver<Option<SocketAddr>>,
    acknowledged: Acknowledged,
) {
    let mut ids = (0_u64..).map(|count| format!("<{count}.{number}@remote.example>"));
    loop {
        // An error here means that the load was stopped.
        let Ok(server) = servers.wait_for(Option::is_some).await.map(|server| *server) else { return };
        if servers.has_changed().is_err() {
            return;
        }
        let server = server.expect("it was waited for");
        // Where the server is gone, nothing was promised.
        let _ = bring(server, ids.by_ref().take(SESSION), &acknowledged).await;
        yield_now().await;
    }
}

/// Brings a message of each id, in one session.
async fn bring(
    server: SocketAddr,
    ids: impl Iterator<Item = String>,
    acknowledged: &Acknowledged,
) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    reply(&mut stream).await?;
    stream.write_all(b"HELO remote.example\r\n").await?;
    reply(&mut stream).await?;
    for id in ids {
        stream.write_all(b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<rider@localhost>\r\nDATA\r\n").await?;
        for _ in 0..3 {
            reply(&mut stream).await?;
        }
        let lines = "some text\r\n".repeat(id.len() * 20);
        stream.write_all(format!("Message-ID: {id}\r\n\r\n{lines}.\r\n").as_bytes()).await?;
        let said = reply(&mut stream).await?;
        match &said[..3] {
            "250" => acknowledged.lock().expect("no holder panics").push(id),
            code => assert!(["452", "421"].contains(&code), "{said}"),
        }
    }
    Ok(())
}

/// A reply of one line.
async fn reply(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.ends_with("\r\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Waits until every acknowledged message was delivered at least once.
pub(crate) async fn all_delivered(acknowledged: &[String], peer: &SmtpPeer) {
    eventually("every acknowledged message to be delivered", async || {
        let mut counts = BTreeMap::<String, usize>::new();
        peer.inspect(|all| {
            for delivery in all {
                *counts.entry(delivery.message_id()).or_default() += 1;
            }
        });
        let lost: BTreeSet<_> = acknowledged.iter().filter(|id| !counts.contains_key(*id)).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let twice = counts.values().filter(|count| **count > 1).count();
        let some: Vec<_> = lost.iter().take(5).collect();
        Err(format!(
            "{} of {} are missing, such as {some:?}; {twice} came more than once",
            lost.len(),
            acknowledged.len()
        ))
    })
    .await;
}
