//! An SMTP server that other people could have: it records what it is given, and misbehaves as a test likes.

use super::eventually;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Where in a session the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Connect,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    EndOfData,
    Rset,
    Other,
}

/// What is known when the script is asked.
pub(crate) struct Moment<'a> {
    pub(crate) verb: Verb,
    /// The command line.
    pub(crate) line: &'a str,
    /// Which connection, from 0.
    pub(crate) connection: usize,
    /// Messages that were accepted on this connection before.
    pub(crate) accepted: usize,
}

/// What to do then.
pub(crate) enum Action {
    /// Do what a kind server does.
    Usual,
    /// Say this; CR LF is added. At the end of data a 2xx records the message.
    Reply(&'static str),
    /// Say this, and close the connection.
    ReplyAndClose(&'static str),
    /// Close the connection without a word.
    Close,
    /// Answer as usual once the gate of [`SmtpPeer::open_gate`] is open.
    Gate,
}

/// A message that the peer accepted.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) connection: usize,
    /// The arguments of MAIL, such as `<a@example.org> BODY=8BITMIME`.
    pub(crate) mail: String,
    /// The addresses of the accepted RCPTs.
    pub(crate) recipients: Vec<String>,
    /// With CR LF lines, without stuffed dots.
    pub(crate) content: Vec<u8>,
}

impl Delivery {
    /// The value of the first header field of that name, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.content);
        let head = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    pub(crate) fn message_id(&self) -> String {
        self.header("Message-ID").expect("every message has a Message-ID")
    }

    pub(crate) fn body(&self) -> &[u8] {
        let start =
            self.content.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a header has an end");
        &self.content[start + 4..]
    }
}

type Script = Arc<dyn Fn(&Moment<'_>) -> Action + Send + Sync>;

struct Shared {
    script: Script,
    deliveries: Mutex<Vec<Delivery>>,
    connections: AtomicUsize,
    gate: watch::Sender<bool>,
}

pub(crate) struct SmtpPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl SmtpPeer {
    /// Accepts everything.
    pub(crate) async fn accepting() -> SmtpPeer {
        SmtpPeer::scripted(|_| Action::Usual).await
    }

    pub(crate) async fn scripted(script: impl Fn(&Moment<'_>) -> Action + Send + Sync + 'static) -> SmtpPeer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        SmtpPeer::on(listener, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&Moment<'_>) -> Action + Send + Sync + 'static,
    ) -> SmtpPeer {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            script: Arc::new(script),
            deliveries: Mutex::default(),
            connections: AtomicUsize::new(0),
            gate: watch::Sender::new(false),
        });
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    let session = Session {
                        stream: BufReader::new(stream),
                        shared: shared.clone(),
                        connection: number,
                        accepted: 0,
                    };
                    tokio::spawn(session.run());
                }
            }
        });
        SmtpPeer { address, shared, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Lets go on what waits with [`Action::Gate`], from now on.
    pub(crate) fn open_gate(&self) {
        self.shared.gate.send_replace(true);
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().expect("no holder panics").clone()
    }

    /// Looks at the deliveries without copying them.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&[Delivery]) -> T) -> T {
        look(&self.shared.deliveries.lock().expect("no holder panics"))
    }

    /// The first delivery to that recipient.
    pub(crate) async fn delivery_to(&self, recipient: &str) -> Delivery {
        eventually(&format!("a delivery to {recipient}"), async || {
            self.inspect(|all| {
                let found = all.iter().find(|delivery| delivery.recipients.iter().any(|to| to == recipient));
                found.cloned().ok_or_else(|| {
                    let others: Vec<_> = all.iter().map(|delivery| &delivery.recipients).collect();
                    format!("there are {others:?}")
                })
            })
        })
        .await
    }

    /// Waits until so many messages were accepted.
    pub(crate) async fn delivered(&self, count: usize) {
        eventually(&format!("{count} deliveries"), async || {
            let now = self.inspect(<[_]>::len);
            if now >= count { Ok(()) } else { Err(format!("there are {now}")) }
        })
        .await;
    }
}

impl Drop for SmtpPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    stream: BufReader<TcpStream>,
    shared: Arc<Shared>,
    connection: usize,
    accepted: usize,
}

/// The client is gone, or is to be.
struct Gone;

impl Session {
    async fn run(mut self) {
        // A client that goes away is as good an end as any.
        let Err(Gone) = self.talk().await;
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, Gone> {
        self.answer(Verb::Connect, "", "220 peer.example ESMTP").await?;
        let (mut mail, mut recipients) = (String::new(), Vec::new());
        loop {
            let line = self.line().await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let extensions = "250-peer.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE\r\n250 ENHANCEDSTATUSCODES";
                    self.answer(Verb::Ehlo, &line, extensions).await?;
                }
                "MAIL" => {
                    recipients.clear();
                    if self.answer(Verb::Mail, &line, "250 2.1.0 sender ok").await? {
                        mail = line["MAIL FROM:".len()..].to_owned();
                    }
                }
                "RCPT" => {
                    if self.answer(Verb::Rcpt, &line, "250 2.1.5 recipient ok").await? {
                        let path = line["RCPT TO:".len()..].split(' ').next().unwrap_or_default();
                        recipients.push(path.trim_matches(['<', '>']).to_owned());
                    }
                }
                "DATA" if recipients.is_empty() => self.say("554 5.5.1 no valid recipients").await?,
                "DATA" => {
                    if self.answer(Verb::Data, &line, "354 go ahead").await? {
                        let content = self.content().await?;
                        let delivery = Delivery {
                            connection: self.connection,
                            mail: std::mem::take(&mut mail),
                            recipients: std::mem::take(&mut recipients),
                            content,
                        };
                        self.end_of_data(delivery).await?;
                    }
                }
                "RSET" => {
                    recipients.clear();
                    self.answer(Verb::Rset, &line, "250 2.0.0 reset").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return Err(Gone);
                }
                _ => {
                    self.answer(Verb::Other, &line, "502 5.5.1 unknown command").await?;
                }
            }
        }
    }

    /// The message is recorded before the answer goes out, as that is what an answer promises.
    async fn end_of_data(&mut self, delivery: Delivery) -> Result<(), Gone> {
        let action = self.ask(Verb::EndOfData, "").await?;
        let reply = match &action {
            Action::Reply(text) | Action::ReplyAndClose(text) => text,
            _ => "250 2.0.0 accepted",
        };
        if reply.starts_with('2') {
            self.shared.deliveries.lock().expect("no holder panics").push(delivery);
            self.accepted += 1;
        }
        self.say(reply).await?;
        if matches!(action, Action::ReplyAndClose(_)) { Err(Gone) } else { Ok(()) }
    }

    /// Answers a command; whether it was accepted.
    async fn answer(&mut self, verb: Verb, line: &str, usual: &str) -> Result<bool, Gone> {
        match self.ask(verb, line).await? {
            Action::Reply(text) => {
                self.say(text).await?;
                Ok(text.starts_with(['2', '3']))
            }
            Action::ReplyAndClose(text) => {
                self.say(text).await?;
                Err(Gone)
            }
            Action::Usual | Action::Gate | Action::Close => {
                self.say(usual).await?;
                Ok(true)
            }
        }
    }

    /// Asks the script, and does what is not saying something.
    async fn ask(&mut self, verb: Verb, line: &str) -> Result<Action, Gone> {
        let moment = Moment { verb, line, connection: self.connection, accepted: self.accepted };
        let action = (self.shared.script)(&moment);
        match action {
            Action::Close => return Err(Gone),
            Action::Gate => {
                let mut gate = self.shared.gate.subscribe();
                gate.wait_for(|open| *open).await.map_err(|_| Gone)?;
            }
            Action::Usual | Action::Reply(_) | Action::ReplyAndClose(_) => {}
        }
        Ok(action)
    }

    async fn content(&mut self) -> Result<Vec<u8>, Gone> {
        let mut content = Vec::new();
        loop {
            let start = content.len();
            match self.stream.read_until(b'\n', &mut content).await {
                Ok(1..) => {}
                _ => return Err(Gone),
            }
            let line = &content[start..];
            assert!(
                line.ends_with(b"\r\n"),
                "a line of data ends in CR LF: {:?}",
                String::from_utf8_lossy(line)
            );
            if line == b".\r\n" {
                content.truncate(start);
                return Ok(content);
            }
            if line.starts_with(b".") {
                content.remove(start);
            }
        }
    }

    async fn line(&mut self) -> Result<String, Gone> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(1..) if line.ends_with("\r\n") => {
                line.truncate(line.len() - 2);
                Ok(line)
            }
            _ => Err(Gone),
        }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Gone> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await.map_err(|_| Gone)
    }
}
