//! A web server that records webhook calls and answers them as a test likes.

use super::eventually;
use mail::Timestamp;
use rustls::ServerConfig;
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A call that was received whole.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    /// As they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When it had been read.
    pub(crate) read: Timestamp,
}

impl Call {
    /// A header that must be there exactly once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(values.len(), 1, "{name} once in {:?}", self.headers);
        values[0]
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body of a webhook call is JSON")
    }
}

/// What to do with a call.
pub(crate) enum HookAnswer {
    Status(u16),
    /// With many octets.
    Long(u16),
    /// 307 to that URL.
    Redirect(String),
    /// These octets.
    Raw(Vec<u8>),
    /// The start of an answer, and never its end.
    Stall(u16),
    /// That status, once somebody says so.
    When(Arc<Notify>, u16),
    /// None: the connection is closed.
    HangUp,
    /// Never answer.
    Hang,
}

/// Calls that are under way.
#[derive(Default)]
struct Open {
    now: usize,
    /// How many there were as each came.
    at_once: Vec<usize>,
}

pub(crate) struct HookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    scheme: &'static str,
}

struct Shared {
    calls: Mutex<Vec<Call>>,
    open: Mutex<Open>,
    script: Script,
}

type Script = Box<dyn Fn(&Call) -> HookAnswer + Send + Sync>;

impl HookReceiver {
    /// Answers every call with 200.
    pub(crate) async fn start() -> HookReceiver {
        HookReceiver::scripted(|_| HookAnswer::Status(200)).await
    }

    pub(crate) async fn scripted(
        script: impl Fn(&Call) -> HookAnswer + Send + Sync + 'static,
    ) -> HookReceiver {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        HookReceiver::listening(address, None, Box::new(script)).await
    }

    /// Answers every call to that address with 200.
    pub(crate) async fn at(address: SocketAddr) -> HookReceiver {
        HookReceiver::listening(address, None, Box::new(|_| HookAnswer::Status(200))).await
    }

    /// Answers every call over TLS with 200.
    pub(crate) async fn with_tls(tls: Arc<ServerConfig>) -> HookReceiver {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        HookReceiver::listening(address, Some(tls), Box::new(|_| HookAnswer::Status(200))).await
    }

    async fn listening(address: SocketAddr, tls: Option<Arc<ServerConfig>>, script: Script) -> HookReceiver {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared { calls: Mutex::default(), open: Mutex::default(), script });
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (shared, tls) = (shared.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, &shared).await,
                            Some(tls) => {
                                let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
                                serve(stream, &shared).await;
                            }
                        }
                    });
                }
            }
        });
        HookReceiver { address, shared, task, scheme }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// Its URL with another name for its host.
    pub(crate) fn url_at(&self, host: &str) -> String {
        format!("{}://{host}:{}/hook", self.scheme, self.address.port())
    }

    /// How many calls were under way as each came, with itself.
    pub(crate) fn at_once(&self) -> Vec<usize> {
        self.shared.open.lock().expect("no holder panics").at_once.clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All calls so far, in the order in which they came.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().expect("no holder panics").clone()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.calls().iter().map(Call::json).collect()
    }

    /// The first call whose body is as wanted.
    pub(crate) async fn call_where(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Call {
        eventually(what, async || {
            let calls = self.calls();
            calls.iter().find(|call| wanted(&call.json())).cloned().ok_or_else(|| {
                let bodies: Vec<_> =
                    calls.iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
                format!("{} calls came:\n{}", bodies.len(), bodies.join("\n"))
            })
        })
        .await
    }

    /// The first event of that kind about that queue message.
    pub(crate) async fn event(&self, kind: &str, queue_id: i64) -> Value {
        self.call_where(&format!("event {kind} of message {queue_id}"), |body| {
            body["Event"] == kind && body["QueueMsgID"] == queue_id
        })
        .await
        .json()
    }

    /// The first event of any kind about that queue message.
    pub(crate) async fn any_event(&self, queue_id: i64) -> Value {
        self.call_where(&format!("an event of message {queue_id}"), |body| body["QueueMsgID"] == queue_id)
            .await
            .json()
    }
}

impl Drop for HookReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    while let Some(call) = read_call(&mut stream).await {
        shared.calls.lock().expect("no holder panics").push(call.clone());
        let _under_way = UnderWay::new(shared);
        let mut stalls = false;
        let answer = match (shared.script)(&call) {
            HookAnswer::Status(status) => {
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 6\r\n\r\nthanks").into()
            }
            HookAnswer::Long(status) => {
                let body = "long ".repeat(1000);
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
            }
            HookAnswer::Redirect(url) => {
                format!("HTTP/1.1 307 Scripted\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n").into()
            }
            HookAnswer::Raw(answer) => answer,
            HookAnswer::Stall(status) => {
                stalls = true;
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 100\r\n\r\nthe start").into()
            }
            HookAnswer::When(said, status) => {
                said.notified().await;
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\n\r\n").into()
            }
            HookAnswer::HangUp => return,
            HookAnswer::Hang => {
                stalls = true;
                Vec::new()
            }
        };
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if stalls {
            // Until the caller has enough of it.
            let _ = stream.read_u8().await;
            return;
        }
    }
}

/// Counts a call for as long as it lives.
struct UnderWay<'s>(&'s Shared);

impl UnderWay<'_> {
    fn new(shared: &Shared) -> UnderWay<'_> {
        let mut open = shared.open.lock().expect("no holder panics");
        open.now += 1;
        let now = open.now;
        open.at_once.push(now);
        UnderWay(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.open.lock().expect("no holder panics").now -= 1;
    }
}

/// `None` when the caller is gone.
async fn read_call(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Call> {
    let request = read_line(stream).await?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().expect("a content length");
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call { method, path, headers, body, read: actors::Clock::system().now() })
}

async fn read_line(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}
