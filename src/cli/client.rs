//! The way to a running server: its control socket.

use crate::control::{Problem, SocketPath};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// A running server. Requests wait as long as the work takes.
#[derive(Debug)]
pub struct Control {
    client: Client,
    socket: SocketPath,
}

impl Control {
    pub(super) fn new(data_dir: &Path) -> anyhow::Result<Control> {
        let socket = SocketPath::new(data_dir).with_context(|| data_dir.display().to_string())?;
        let client = Client::builder().unix_socket(socket.path()).no_proxy().build()?;
        Ok(Control { client, socket })
    }

    pub(super) fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Asks for what is at `path`, which begins with a slash.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// As [`Control::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.answer(self.request(Method::POST, path).body(serde_json::to_vec(body)?)).await
    }

    /// Asks for the bytes at `path`.
    ///
    /// # Errors
    /// As [`Control::get`].
    pub async fn get_bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        self.body(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://postrider{path}"))
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body(request).await?).context(
            "the server's answer is not understood; where the program was replaced, restart the server",
        )
    }

    async fn body(&self, request: RequestBuilder) -> anyhow::Result<Bytes> {
        let lost = "the server ended the connection; its log may say why";
        let answer = request.send().await.context(lost)?;
        let status = answer.status();
        let body = answer.bytes().await.context(lost)?;
        if status.is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => anyhow!(problem.error),
            Err(_) => anyhow!("the server answers with status {status}"),
        })
    }
}
