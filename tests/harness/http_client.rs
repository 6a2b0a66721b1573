//! An HTTP client that says exactly what a test tells it to.

use super::{PASSWORD, PATIENCE, USER};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

pub(crate) struct HttpClient {
    stream: BufReader<TcpStream>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl RawAnswer {
    /// The code of an error object; empty when there is none.
    pub(crate) fn code(&self) -> String {
        let object: Value = serde_json::from_str(&self.body).unwrap_or_default();
        object["Code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The head of a POST as the rider, up to the empty line, with these headers beside the usual ones.
pub(crate) fn post_head(method: &str, headers: &str) -> String {
    let credentials = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!(
        "POST /webapi/v0/{method} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n{headers}\r\n\r\n"
    )
}

impl HttpClient {
    pub(crate) async fn connect(address: SocketAddr) -> HttpClient {
        let stream = TcpStream::connect(address).await.expect("the HTTP port takes connections");
        HttpClient { stream: BufReader::new(stream) }
    }

    /// Whether all of it could be sent: the server may close first.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends no more, and still listens.
    pub(crate) async fn half_close(&mut self) {
        // The server may have closed already.
        let _ = self.stream.shutdown().await;
    }

    /// The next answer; `None` when the server closes instead.
    pub(crate) async fn answer(&mut self) -> Option<RawAnswer> {
        timeout(PATIENCE, self.read_answer()).await.expect("the server answers or closes")
    }

    async fn read_answer(&mut self) -> Option<RawAnswer> {
        let status_line = self.line().await?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(RawAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }
}
