//! A web server that records webhook calls and answers them as a test likes.

use super::eventually;
use mail::Timestamp;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

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
    /// 503, to be called again after so many seconds.
    RetryAfter(u32),
    /// 307 to that URL.
    Redirect(String),
    /// Never answer.
    Hang,
}

type Script = Arc<dyn Fn(&Call) -> HookAnswer + Send + Sync>;

pub(crate) struct HookReceiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl HookReceiver {
    /// Answers every call with 200.
    pub(crate) async fn start() -> HookReceiver {
        HookReceiver::scripted(|_| HookAnswer::Status(200)).await
    }

    pub(crate) async fn scripted(
        script: impl Fn(&Call) -> HookAnswer + Send + Sync + 'static,
    ) -> HookReceiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let script: Script = Arc::new(script);
        let task = tokio::spawn({
            let calls = calls.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, calls.clone(), script.clone()));
                }
            }
        });
        HookReceiver { address, calls, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All calls so far, in the order in which they came.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no holder panics").clone()
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

async fn serve(stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, script: Script) {
    let mut stream = BufReader::new(stream);
    while let Some(call) = read_call(&mut stream).await {
        calls.lock().expect("no holder panics").push(call.clone());
        let answer = match script(&call) {
            HookAnswer::Status(status) => {
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 6\r\n\r\nthanks")
            }
            HookAnswer::Long(status) => {
                let body = "long ".repeat(1000);
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            HookAnswer::RetryAfter(seconds) => {
                format!("HTTP/1.1 503 Scripted\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n")
            }
            HookAnswer::Redirect(url) => {
                format!("HTTP/1.1 307 Scripted\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
            }
            HookAnswer::Hang => std::future::pending().await,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `None` when the caller is gone.
async fn read_call(stream: &mut BufReader<TcpStream>) -> Option<Call> {
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

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}
