//! A client of the webapi.

use super::urlencoded;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(crate) const USER: &str = "rider@localhost";
pub(crate) const PASSWORD: &str = "postrider";

/// The webapi of a server, as a user of it.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    pub(crate) http: SocketAddr,
    user: String,
    password: String,
}

impl Api {
    /// The rider's.
    pub(super) fn new(client: reqwest::Client, http: SocketAddr) -> Api {
        Api { client, http, user: USER.into(), password: PASSWORD.into() }
    }

    /// With other credentials.
    pub(crate) fn login(self, user: &str, password: &str) -> Api {
        Api { user: user.into(), password: password.into(), ..self }
    }

    /// From that address of this machine, such as one of 127.0.0.0/8, over connections of its own.
    pub(crate) fn local_address(self, address: impl Into<IpAddr>) -> Api {
        Api { client: client(Some(address.into())), ..self }
    }

    /// One call.
    pub(crate) async fn call(&self, method: &str, request: &Value) -> reqwest::Result<Answer> {
        Answer::of(self.call_request(method, request)).await
    }

    /// A call that is still to be sent.
    pub(crate) fn call_request(&self, method: &str, request: &Value) -> reqwest::RequestBuilder {
        self.request("POST", &format!("/webapi/v0/{method}"))
            .basic_auth(&self.user, Some(&self.password))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(urlencoded(&[("request", &request.to_string())]))
    }

    /// A call that has to succeed.
    pub(crate) async fn ok(&self, method: &str, request: &Value) -> Value {
        let answer = self.call(method, request).await.expect("the server answers");
        assert_eq!(answer.status, 200, "{method} {request}: {}", answer.text());
        answer.json()
    }

    /// Reads the event log.
    pub(crate) async fn events(&self, query: &str) -> reqwest::Result<Answer> {
        let path = format!("/api/v1/events?{query}");
        Answer::of(self.request("GET", &path).basic_auth(&self.user, Some(&self.password))).await
    }

    /// A request without credentials.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("an HTTP method");
        self.client.request(method, format!("http://{}{path}", self.http))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await.expect("the server answers")
    }

    /// The sum of all samples of a metric that have these labels, such as `result="ok"`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']) && rest.contains(labels))
        });
        // A sum of nothing would be -0.
        samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .fold(0.0, |sum, value| sum + value)
    }
}

/// An HTTP client that does what it is told and nothing else.
pub(super) fn client(local_address: Option<IpAddr>) -> reqwest::Client {
    // reqwest wants a provider, although nothing here speaks TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .local_address(local_address)
        .build()
        .expect("a client")
}

/// An HTTP answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.into() })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The value of a header; empty without one.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The code of an error object.
    pub(crate) fn code(&self) -> String {
        let error = self.json();
        assert!(
            error["Message"].as_str().is_some_and(|text| !text.is_empty()),
            "a message for people: {error}"
        );
        error["Code"].as_str().expect("an error has a Code").to_owned()
    }
}
