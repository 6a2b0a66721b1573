//! An SMTP server that other people could have: it records what it is given, and misbehaves as a test likes.

mod record;
mod script;
mod session;

pub(crate) use record::{Delivery, PeerTls, Visit};
pub(crate) use script::{Action, Moment, Verb};

use super::{COMMON_PORT, eventually, loopback};
use rustls::ServerConfig;
use script::Script;
use session::Session;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The SMTP extensions of a peer that was not told otherwise.
const USUAL_EXTENSIONS: &[&str] = &["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE", "ENHANCEDSTATUSCODES"];

/// When TLS is spoken.
#[derive(Clone)]
enum PeerTlsMode {
    Never,
    /// Offered by STARTTLS.
    Offered(Arc<ServerConfig>),
    /// From the start.
    Implicit(Arc<ServerConfig>),
}

/// A peer to be started.
pub(crate) struct SmtpPeerBuilder {
    address: SocketAddr,
    extensions: Vec<String>,
    tls: PeerTlsMode,
    login: Option<(String, String)>,
    script: Script,
}

impl SmtpPeerBuilder {
    /// Where it listens, if not at a port of its own on 127.0.0.1.
    pub(crate) fn at(mut self, address: impl Into<SocketAddr>) -> SmtpPeerBuilder {
        self.address = address.into();
        self
    }

    /// In place of the usual ones, EHLO says these, and STARTTLS and AUTH where they are at hand.
    pub(crate) fn extensions(mut self, extensions: &[&str]) -> SmtpPeerBuilder {
        self.extensions = extensions.iter().map(|&extension| extension.to_owned()).collect();
        self
    }

    /// Offers STARTTLS.
    pub(crate) fn starttls(mut self, config: Arc<ServerConfig>) -> SmtpPeerBuilder {
        self.tls = PeerTlsMode::Offered(config);
        self
    }

    /// Speaks TLS from the start.
    pub(crate) fn implicit_tls(mut self, config: Arc<ServerConfig>) -> SmtpPeerBuilder {
        self.tls = PeerTlsMode::Implicit(config);
        self
    }

    /// Takes mail only after this login, by AUTH PLAIN or LOGIN.
    pub(crate) fn login(mut self, user: &str, password: &str) -> SmtpPeerBuilder {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    pub(crate) fn script(
        mut self,
        script: impl Fn(&Moment<'_>) -> Action + Send + Sync + 'static,
    ) -> SmtpPeerBuilder {
        self.script = Arc::new(script);
        self
    }

    pub(crate) async fn start(self) -> SmtpPeer {
        let listener = TcpListener::bind(self.address).await.unwrap_or_else(|error| {
            panic!("no peer can listen on {}: {error}", self.address);
        });
        self.listen(listener)
    }

    fn listen(self, listener: TcpListener) -> SmtpPeer {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            script: self.script,
            extensions: self.extensions,
            tls: self.tls,
            login: self.login,
            deliveries: Mutex::default(),
            visits: Mutex::default(),
            gate: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        SmtpPeer { address, shared, task }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, from)) = listener.accept().await {
        let connection = shared.enter(from.ip());
        // Replies are many small writes.
        let _ = stream.set_nodelay(true);
        tokio::spawn(Session::new(stream, shared.clone(), connection).run());
    }
}

struct Shared {
    script: Script,
    extensions: Vec<String>,
    tls: PeerTlsMode,
    login: Option<(String, String)>,
    deliveries: Mutex<Vec<Delivery>>,
    visits: Mutex<Vec<Visit>>,
    gate: watch::Sender<bool>,
}

impl Shared {
    /// The number of the new connection.
    fn enter(&self, from: IpAddr) -> usize {
        let mut visits = self.visits.lock().expect("no holder panics");
        visits.push(Visit { from, ehlo: String::new(), tls: None, login: None, commands: Vec::new() });
        visits.len() - 1
    }

    fn note(&self, connection: usize, change: impl FnOnce(&mut Visit)) {
        change(&mut self.visits.lock().expect("no holder panics")[connection]);
    }
}

pub(crate) struct SmtpPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl SmtpPeer {
    pub(crate) fn builder() -> SmtpPeerBuilder {
        SmtpPeerBuilder {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            extensions: Vec::new(),
            tls: PeerTlsMode::Never,
            login: None,
            script: Arc::new(|_| Action::Usual),
        }
        .extensions(USUAL_EXTENSIONS)
    }

    /// On an address of its own, where a domain's MX records can lead.
    pub(crate) fn exchanger() -> SmtpPeerBuilder {
        SmtpPeer::builder().at((loopback(), COMMON_PORT))
    }

    /// Accepts everything.
    pub(crate) async fn accepting() -> SmtpPeer {
        SmtpPeer::builder().start().await
    }

    pub(crate) async fn scripted(script: impl Fn(&Moment<'_>) -> Action + Send + Sync + 'static) -> SmtpPeer {
        SmtpPeer::builder().script(script).start().await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.visits.lock().expect("no holder panics").len()
    }

    /// All connections so far, in the order in which they came.
    pub(crate) fn visits(&self) -> Vec<Visit> {
        self.shared.visits.lock().expect("no holder panics").clone()
    }

    /// Waits until there was such a command on any connection.
    pub(crate) async fn heard(&self, command: &str) {
        eventually(&format!("the command {command}"), async || {
            let visits = self.visits();
            let found = visits.iter().flat_map(|visit| &visit.commands).any(|line| line.starts_with(command));
            if found { Ok(()) } else { Err(format!("there were {visits:?}")) }
        })
        .await;
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
