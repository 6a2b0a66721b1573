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

/// Senders that go on until they are stopped. `T` is what they need to know of the server that they send to.
pub(crate) struct Load<T = Api> {
    servers: watch::Sender<Option<T>>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    senders: JoinSet<()>,
}

impl Load {
    /// Starts the senders; each has one call under way at a time.
    pub(crate) fn start(senders: usize) -> Load {
        Load::to_many(senders, 1)
    }

    /// The same, each message to so many recipients of one domain.
    pub(crate) fn to_many(senders: usize, recipients: usize) -> Load {
        Load::sending(senders, move |api, number, count| call_send(api, recipients, number, count))
    }
}

impl Load<SocketAddr> {
    /// Starts so many servers that bring mail to the rider by SMTP, each in one session at a time.
    pub(crate) fn by_smtp(senders: usize) -> Load<SocketAddr> {
        Load::sending(senders, async |server, number, count| {
            let mut acknowledged = Vec::new();
            // Where the server is gone, nothing more was promised.
            let _ = bring(server, number, count, &mut acknowledged).await;
            acknowledged
        })
    }
}

impl<T: Clone + Send + Sync + 'static> Load<T> {
    /// Starts the senders. `send` is given a sender's number and a count of its messages, and returns the Message-IDs
    /// that were acknowledged, which are none where the server is gone.
    pub(crate) fn sending<F: Future<Output = Vec<String>> + Send + 'static>(
        senders: usize,
        send: impl Fn(T, usize, u64) -> F + Clone + Send + Sync + 'static,
    ) -> Load<T> {
        let servers = watch::Sender::new(None);
        let acknowledged = Arc::<Mutex<Vec<String>>>::default();
        let senders = (0..senders)
            .map(|number| send_on(number, send.clone(), servers.subscribe(), acknowledged.clone()))
            .collect();
        Load { servers, acknowledged, senders }
    }

    /// Has everything sent to that server from now on.
    pub(crate) fn use_server(&self, server: T) {
        self.servers.send_replace(Some(server));
    }

    /// Has nothing sent until there is a server again.
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

    /// Stops the senders after what is under way, and returns the Message-IDs that were acknowledged.
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

async fn send_on<T: Clone, F: Future<Output = Vec<String>>>(
    number: usize,
    send: impl Fn(T, usize, u64) -> F,
    mut servers: watch::Receiver<Option<T>>,
    acknowledged: Arc<Mutex<Vec<String>>>,
) {
    for count in 0_u64.. {
        // An error here means that the load was stopped.
        let Ok(server) = servers.wait_for(Option::is_some).await.map(|server| server.clone()) else { return };
        if servers.has_changed().is_err() {
            return;
        }
        let sent = send(server.expect("it was waited for"), number, count).await;
        acknowledged.lock().expect("no holder panics").extend(sent);
        yield_now().await;
    }
}

async fn call_send(server: Api, recipients: usize, number: usize, count: u64) -> Vec<String> {
    let to = |n| json!({"Address": format!("s{number}-{count}-{n}x@d{}.example", number % DOMAINS)});
    let request = json!({
        "To": (0..recipients).map(to).collect::<Vec<_>>(),
        "Subject": format!("{count} of {number}"),
        "Text": format!("{}\n", "some text ".repeat(count as usize % 400)),
    });
    match server.call("Send", &request).await {
        Ok(answer) if answer.status == 200 => {
            let sent: Sent = serde_json::from_slice(&answer.body).expect("the result of Send");
            vec![sent.message_id]
        }
        Ok(answer) => {
            assert_eq!(answer.status, 503, "{}", answer.text());
            Vec::new()
        }
        // The server is gone; nothing was promised.
        Err(_) => Vec::new(),
    }
}

/// Brings 20 messages in one session.
async fn bring(
    server: SocketAddr,
    number: usize,
    count: u64,
    acknowledged: &mut Vec<String>,
) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    reply(&mut stream).await?;
    stream.write_all(b"HELO remote.example\r\n").await?;
    reply(&mut stream).await?;
    for message in 0..20 {
        let id = format!("<{message}.{count}.{number}@remote.example>");
        stream.write_all(b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<rider@localhost>\r\nDATA\r\n").await?;
        for _ in 0..3 {
            reply(&mut stream).await?;
        }
        let lines = "some text\r\n".repeat(id.len() * 20);
        stream.write_all(format!("Message-ID: {id}\r\n\r\n{lines}.\r\n").as_bytes()).await?;
        let said = reply(&mut stream).await?;
        match &said[..3] {
            "250" => acknowledged.push(id),
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
