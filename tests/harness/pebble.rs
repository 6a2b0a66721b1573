//! Pebble as an ACME authority: one of a test's own.

use super::{PATIENCE, Site, TestCa, eventually};
use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Gives certificates that only its own root makes good.
pub(crate) struct Pebble {
    ca: TestCa,
    directory: SocketAddr,
    management: SocketAddr,
    process: Child,
    _dir: TempDir,
}

impl Pebble {
    /// One that asks `dns` for names, and looks at those ports for answers to its challenges.
    pub(crate) async fn start(dns: SocketAddr, http_port: u16, tls_port: u16) -> Pebble {
        // reqwest wants a provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (directory, management) = (free_address(), free_address());
        let ca = TestCa::new();
        let identity = ca.identity(&["localhost"]);
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let settings = serde_json::json!({"pebble": {
            "listenAddress": directory,
            "managementListenAddress": management,
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
        }});
        for (name, text) in [
            ("cert.pem", identity.chain_pem()),
            ("key.pem", &identity.key_pem()),
            ("pebble.json", &settings.to_string()),
        ] {
            std::fs::write(path(name), text).expect("room on the disk");
        }
        let process = Command::new("pebble")
            .arg("-config")
            .arg(path("pebble.json"))
            .args(["-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Pebble does not start: {error}; tests/setup installs it"));
        let pebble = Pebble { ca, directory, management, process, _dir: dir };
        eventually("Pebble to listen", async || pebble.ask("roots/0").await).await;
        pebble
    }

    /// The value of `acme` in `[tls]`.
    pub(crate) fn setting(&self) -> String {
        let port = self.directory.port();
        format!("{{ contact = \"postmaster@example.com\", directory = \"https://localhost:{port}/dir\" }}")
    }

    /// Makes commands of a site trust its web server.
    pub(crate) fn trusted_by(&self, site: Site) -> Site {
        site.env("SSL_CERT_FILE", self.ca.file().to_str().expect("UTF-8"))
    }

    /// The root of the certificates that it gives, as PEM.
    pub(crate) async fn root(&self) -> String {
        self.ask("roots/0").await.expect("Pebble answers")
    }

    async fn ask(&self, path: &str) -> Result<String, String> {
        let pem = std::fs::read(self.ca.file()).expect("the file is there");
        let client = reqwest::Client::builder()
            .no_proxy()
            .resolve("localhost", self.management)
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
            .build()
            .expect("a client");
        let url = format!("https://localhost:{}/{path}", self.management.port());
        let answer = timeout(PATIENCE, client.get(url).send()).await.expect("Pebble answers in time");
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        answer.text().await.map_err(|error| error.to_string())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that is free at the moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
