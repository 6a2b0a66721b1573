//! A web server for MTA-STS policies (RFC 8461), of as many domains as its certificate has names for.

use rustls::ServerConfig;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// How the server answers for a host.
#[derive(Clone, Debug)]
pub(crate) enum StsAnswer {
    /// This policy, as it should be served. Lines get CR LF.
    Policy(String),
    /// The same with another content type.
    Typed(&'static str, String),
    /// This status, and no policy.
    Status(u16),
    /// To that URL.
    Redirect(String),
}

type Answers = Arc<Mutex<HashMap<String, (StsAnswer, usize)>>>;

pub(crate) struct StsServer {
    address: SocketAddr,
    answers: Answers,
    task: JoinHandle<()>,
}

impl StsServer {
    /// Serves nothing yet: 404.
    pub(crate) async fn start(tls: Arc<ServerConfig>) -> StsServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let answers = Answers::default();
        let task = tokio::spawn({
            let answers = answers.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, tls.clone(), answers.clone()));
                }
            }
        });
        StsServer { address, answers, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers so for a host, such as `mta-sts.example.org`, from now on.
    pub(crate) fn answer(&self, host: &str, answer: StsAnswer) {
        let mut answers = self.answers.lock().expect("no holder panics");
        let requests = answers.get(host).map_or(0, |(_, requests)| *requests);
        answers.insert(host.to_owned(), (answer, requests));
    }

    /// Requests for the policy of a host that has an answer.
    pub(crate) fn requests(&self, host: &str) -> usize {
        self.answers.lock().expect("no holder panics").get(host).map_or(0, |(_, requests)| *requests)
    }
}

impl Drop for StsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, tls: Arc<ServerConfig>, answers: Answers) {
    // A client that does not like the certificate goes away here.
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    let mut stream = BufReader::new(stream);
    let Some((path, host)) = read_head(&mut stream).await else { return };
    let answer = match answers.lock().expect("no holder panics").get_mut(&host) {
        Some((answer, requests)) if path == "/.well-known/mta-sts.txt" => {
            *requests += 1;
            answer.clone()
        }
        _ => StsAnswer::Status(404),
    };
    let response = match answer {
        StsAnswer::Policy(policy) => response(200, "Content-Type: text/plain", &policy),
        StsAnswer::Typed(content_type, policy) => {
            response(200, &format!("Content-Type: {content_type}"), &policy)
        }
        StsAnswer::Status(status) => response(status, "Content-Type: text/plain", ""),
        StsAnswer::Redirect(url) => response(302, &format!("Location: {url}"), ""),
    };
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn response(status: u16, field: &str, body: &str) -> String {
    let body: String = body.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Scripted\r\n{field}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The path, and the host without its port; `None` when the client is gone.
async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(String, String)> {
    let mut lines = stream.lines();
    let path = lines.next_line().await.ok()??.split(' ').nth(1)?.to_owned();
    let mut host = String::new();
    loop {
        let line = lines.next_line().await.ok()??;
        match line.split_once(':') {
            None => return Some((path, host)),
            Some((name, value)) if name.eq_ignore_ascii_case("host") => {
                host = value.trim().split(':').next()?.to_owned();
            }
            Some(_) => {}
        }
    }
}
