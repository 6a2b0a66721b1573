//! A name server for a test: everything it knows is what the test told it, and it counts what it is asked.

mod zone;

pub(crate) use zone::Fault;

use hickory_resolver::proto::{op::Message, rr::RecordType};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, mpsc},
    thread,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Builder,
    task::JoinHandle,
};
use zone::{Response, Zone, name};

/// Answers over UDP and TCP, as a resolver would that got its answers from the authorities.
pub(crate) struct DnsServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct Shared {
    zone: Zone,
    asked: HashMap<(String, RecordType), Asked>,
}

/// How often something was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) udp: usize,
    pub(crate) tcp: usize,
}

impl DnsServer {
    /// Knows the records of this zone file. Names need no dot at their end; the default TTL is a minute.
    pub(crate) async fn start(zone: &str) -> DnsServer {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("it is bound");
        let shared = Arc::<Mutex<Shared>>::default();
        let tasks =
            [tokio::spawn(serve_udp(udp, shared.clone())), tokio::spawn(serve_tcp(tcp, shared.clone()))];
        let server = DnsServer { address, shared, tasks };
        server.put(zone);
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds records of a zone file, in place of those with the same name and type.
    pub(crate) fn put(&self, zone: &str) {
        self.lock().zone.put(zone);
    }

    /// Forgets a name.
    pub(crate) fn remove(&self, owner: &str) {
        self.lock().zone.remove(owner);
    }

    /// From now on, this goes wrong when somebody asks for records of that type, such as `MX`.
    pub(crate) fn fault(&self, owner: &str, kind: &str, fault: Fault) {
        self.lock().zone.fault(owner, record_type(kind), Some(fault));
    }

    /// Nothing goes wrong there any more.
    pub(crate) fn mend(&self, owner: &str, kind: &str) {
        self.lock().zone.fault(owner, record_type(kind), None);
    }

    /// Says with the AD bit that it validated what it answers about this domain, and the names below it, to those who
    /// want to know (RFC 6840, section 5.7).
    pub(crate) fn authenticate(&self, domain: &str) {
        self.lock().zone.authenticate(domain);
    }

    /// How often somebody asked for this.
    pub(crate) fn asked(&self, owner: &str, kind: &str) -> Asked {
        let key = (name(owner).to_ascii(), record_type(kind));
        self.lock().asked.get(&key).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder panics")
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One that knows no names, for as long as the process runs.
pub(crate) fn no_names() -> SocketAddr {
    static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
        let (started, address) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = DnsServer::start("").await;
                started.send(server.address()).expect("somebody waits for it");
                std::future::pending::<()>().await;
            });
        });
        address.recv().expect("it starts")
    });
    *ADDRESS
}

fn record_type(text: &str) -> RecordType {
    text.parse().expect("a type of records")
}

/// One port for both.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        // Somebody else may have it over TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("it is bound")).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Mutex<Shared>>) {
    let mut buffer = vec![0; 65_535];
    // An error here is about an answer to somebody who is gone.
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = respond(&shared, &buffer[..length], false) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, shared.clone()));
    }
}

async fn serve_connection(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut request = vec![0; length.into()];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        let Some(answer) = respond(&shared, &request, true) else { continue };
        let length = u16::try_from(answer.len()).expect("an answer fits into a message");
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

/// The bytes to answer with, if any.
fn respond(shared: &Mutex<Shared>, request: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let request = Message::from_vec(request).ok()?;
    let mut shared = shared.lock().expect("no holder panics");
    if let [question] = request.queries.as_slice() {
        let key = (question.name().to_lowercase().to_ascii(), question.query_type());
        let asked = shared.asked.entry(key).or_default();
        *(if tcp { &mut asked.tcp } else { &mut asked.udp }) += 1;
    }
    let message = match shared.zone.answer(&request, tcp) {
        Response::Message(message) => message,
        Response::Bytes(bytes) => return Some(bytes),
        Response::Silence => return None,
    };
    let answer = message.to_vec().expect("a message that can be written");
    if tcp || answer.len() <= usize::from(request.max_payload()) {
        return Some(answer);
    }
    let mut truncated = message.truncate();
    truncated.metadata.id = message.metadata.id;
    Some(truncated.to_vec().expect("a message that can be written"))
}
