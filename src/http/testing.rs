//! A server that answers HTTP for the tests of this module, and a client of it.

use super::{Http, routes};
pub(super) use crate::testing::NOW;
use crate::{
    app::App,
    password::hash_password,
    testing::{Setup, account, domain},
};
use actix_web::{
    http::{
        Method,
        header::{self, HeaderValue},
    },
    test::{TestRequest, call_service, init_service, read_body},
};
use actors::StoreWriter;
use base64::{Engine, prelude::BASE64_STANDARD};
use config::{Network, Service, Settings};
use mail::DkimKey;
use std::{sync::Arc, time::Duration};
use store::records::{AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord};

pub(super) struct TestServer {
    pub(super) app: Arc<App>,
    pub(super) http: Arc<Http>,
    _dir: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: header::HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// The status and the code of an error object.
    pub(super) fn error(&self) -> (u16, String) {
        (self.status, self.json()["Code"].as_str().unwrap_or_default().to_owned())
    }
}

impl TestServer {
    /// Accounts `rider`, `other` and `disabled`, each with an address at localhost and the password `tést`; the
    /// rider also has the catch-all of `all.example`, and FromIDs.
    pub(super) async fn start() -> TestServer {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> TestServer {
        let (app, dir) = Setup::new("mail.example", change).start();
        fill(&app.handles.writer).await;
        TestServer { http: Http::new(app.clone()).unwrap(), app, _dir: dir }
    }

    pub(super) async fn get(&self, path: &str, services: &[Service]) -> Answer {
        self.request(TestRequest::get().uri(path), services).await
    }

    /// A call of the rider, urlencoded.
    pub(super) async fn call(&self, method: &str, request: serde_json::Value) -> Answer {
        self.call_as("rider@localhost", method, request).await
    }

    pub(super) async fn call_as(&self, user: &str, method: &str, request: serde_json::Value) -> Answer {
        let encoded: String = request.to_string().bytes().map(|b| format!("%{b:02x}")).collect();
        let request = TestRequest::with_uri(&format!("/webapi/v0/{method}"))
            .method(Method::POST)
            .insert_header((header::AUTHORIZATION, basic(user, "tést")))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload(format!("request={encoded}"));
        self.request(request, &[Service::Webapi]).await
    }

    /// From 192.0.2.1.
    pub(super) async fn request(&self, request: TestRequest, services: &[Service]) -> Answer {
        self.request_behind(&[], request, services).await
    }

    /// The same to a listener with trusted proxies.
    pub(super) async fn request_behind(
        &self,
        proxies: &[Network],
        request: TestRequest,
        services: &[Service],
    ) -> Answer {
        let (services, proxies) = (services.iter().copied().collect(), proxies.into());
        let routes = routes(&self.http, &services, &proxies);
        let app = init_service(actix_web::App::new().configure(routes)).await;
        let request = request.peer_addr(([192, 0, 2, 1], 1234).into()).to_request();
        let response = call_service(&app, request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        Answer { status, headers, body }
    }
}

/// The header of basic authentication.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
}

async fn fill(writer: &StoreWriter) {
    let key = DkimKeyRecord { selector: "s1".into(), pkcs8: DkimKey::generate_ed25519().unwrap() };
    for (name, disabled) in [("localhost", false), ("all.example", false), ("disabled.example", true)] {
        let dkim = vec![key.clone()];
        writer.put_domain(DomainRecord { disabled, dkim, ..domain(name) }).await.unwrap();
    }
    let hash = hash_password("tést").unwrap();
    for name in ["rider", "other", "disabled"] {
        let mut account = AccountRecord {
            full_name: format!("The {name}"),
            password_hash: hash.clone(),
            keep_retired_messages: Duration::from_secs(3600),
            ..account(name)
        };
        if name == "rider" {
            account.addresses.push(AddressPattern::CatchAll("all.example".parse().unwrap()));
            account.addresses.push(AddressPattern::CatchAll("disabled.example".parse().unwrap()));
            account.from_id_login_addresses.push("rider@localhost".parse().unwrap());
        }
        writer.put_account(account).await.unwrap();
    }
}
