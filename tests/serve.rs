//! `serve`: TLS on its listeners, reload, readiness, and what it refuses to start with.

use crate::harness::{Done, Identity, PATIENCE, Site, SmtpClient, TestCa, message};
use rustix::process::Signal;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

const NAME: &str = "mail.example.com";
const TLS: &str = "[tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
const HTTP: &str = "[[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\", \"metrics\"]\n";
const HTTPS: &str = "[[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\ntls = true\n";
const SMTP: &str = "[[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"incoming\"\n";
/// Nobody answers there, so that mail stays in the queue.
const NO_DNS: &str = "[dns]\nnameservers = [\"127.0.0.1:1\"]\n";

fn site(sections: &[&str]) -> Site {
    Site::new(&format!("hostname = \"{NAME}\"\n{NO_DNS}{}", sections.concat()))
}

/// With the account `app`, whose login is app@example.com with the password `correct horse`.
fn with_account(site: &Site) {
    site.ok(&["domain", "add", "example.com"]);
    site.ok_with(&["account", "add", "app", "--address", "app@example.com"], "correct horse\n");
}

/// A client that trusts these authorities.
fn https(ca: &TestCa, address: SocketAddr) -> reqwest::Client {
    // reqwest wants a provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = fs::read(ca.file()).expect("the file is there");
    reqwest::Client::builder()
        .no_proxy()
        .resolve(NAME, address)
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
        .build()
        .expect("a client")
}

async fn ready(ca: &TestCa, address: SocketAddr) -> Result<u16, String> {
    let request = https(ca, address).get(format!("https://{NAME}:{}/readyz", address.port()));
    request.send().await.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"))
}

async fn tls(ca: &TestCa, stream: TcpStream) -> TlsStream<TcpStream> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = fs::read(ca.file()).expect("the file is there");
    let mut roots = rustls::RootCertStore::empty();
    let certificate =
        <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem);
    roots.add(certificate.expect("a certificate")).expect("a root");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = NAME.try_into().expect("a name");
    let shaken = timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    shaken.expect("the handshake ends").expect("the certificate is good")
}

/// Sends commands and reads until `end` came.
async fn say(stream: &mut TlsStream<TcpStream>, commands: &str, end: &str) -> String {
    stream.write_all(commands.as_bytes()).await.expect("the server reads");
    let mut said = String::new();
    while !said.contains(end) {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the server answers");
        let read = read.expect("the connection holds");
        assert!(read > 0, "waited for {end:?}, got {said:?}");
        said.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    said
}

#[tokio::test]
async fn https_and_starttls_use_the_certificate_of_the_settings() {
    let (site, ca) = (site(&[TLS, HTTP, HTTPS, SMTP]), TestCa::new());
    site.write_identity(&ca.identity(&[NAME]));
    with_account(&site);
    let serve = site.serve().await;
    assert_eq!(ready(&ca, serve.address("HTTPS")).await, Ok(200));
    assert!(ready(&TestCa::new(), serve.address("HTTPS")).await.is_err(), "others do not trust it");

    let mut client = SmtpClient::connect(serve.address("SMTP")).await;
    assert!(client.expect("EHLO client.example", "250").await.contains("STARTTLS"));
    client.expect("STARTTLS", "220 ").await;
    let mut stream = tls(&ca, client.into_stream()).await;
    let greeted = say(&mut stream, "EHLO client.example\r\n", "250 ").await;
    assert!(!greeted.contains("STARTTLS"), "it is not offered twice: {greeted}");
    let envelope = "MAIL FROM:<friend@remote.example>\r\nRCPT TO:<app@example.com>\r\nDATA\r\n";
    say(&mut stream, envelope, "354").await;
    say(&mut stream, "Subject: over TLS\r\n\r\nhi\r\n.\r\n", "250 2.0.0").await;
    let api = serve.api("app@example.com", "correct horse");
    let raw = api.call("MessageRawGet", &serde_json::json!({"MsgID": 1})).await.expect("an answer");
    assert!(raw.text().contains("with ESMTPS"), "{}", raw.text());
}

#[tokio::test]
async fn what_is_sent_in_the_clear_behind_starttls_is_discarded() {
    let (site, ca) = (site(&[TLS, SMTP]), TestCa::new());
    site.write_identity(&ca.identity(&[NAME]));
    let serve = site.serve().await;
    let mut client = SmtpClient::ready(serve.address("SMTP")).await;
    client.write(b"STARTTLS\r\nNOOP injected\r\nMAIL FROM:<injected@remote.example>\r\n").await;
    assert!(client.reply().await.starts_with("220 "));
    let mut stream = tls(&ca, client.into_stream()).await;
    let said = say(&mut stream, "EHLO client.example\r\n", "250 ").await;
    assert!(said.starts_with("250-mail.example.com"), "{said}");
    let said = say(&mut stream, "RCPT TO:<app@example.com>\r\n", "\r\n").await;
    assert!(said.starts_with("503"), "there is no envelope: {said}");
}

#[tokio::test]
async fn without_a_certificate_starttls_is_not_offered() {
    let serve_site = site(&[SMTP]);
    let serve = serve_site.serve().await;
    let mut client = SmtpClient::connect(serve.address("SMTP")).await;
    assert!(!client.expect("EHLO client.example", "250").await.contains("STARTTLS"));
    client.expect("STARTTLS", "502").await;
    client.expect("QUIT", "221").await;
}

#[tokio::test]
async fn a_hangup_reads_the_certificate_again_and_drops_no_session() {
    let site = site(&["[log]\nlevel = \"info\"\n", TLS, HTTPS, SMTP]);
    let (old, new) = (TestCa::new(), TestCa::new());
    site.write_identity(&old.identity(&[NAME]));
    let settings = fs::read_to_string(site.path("postrider.toml")).expect("it is there");
    let mut serve = site.serve().await;
    let mut session = SmtpClient::ready(serve.address("SMTP")).await;
    assert_eq!(ready(&old, serve.address("HTTPS")).await, Ok(200));

    site.write_identity(&new.identity(&[NAME]));
    site.write("postrider.toml", &settings.replace("info", "debug"));
    serve.signal(Signal::HUP);
    let told = serve.told("RELOADING=1").await;
    assert!(told.contains("MONOTONIC_USEC="), "{told}");
    serve.told("READY=1").await;
    assert_eq!(ready(&new, serve.address("HTTPS")).await, Ok(200));
    assert!(ready(&old, serve.address("HTTPS")).await.is_err(), "the old certificate is gone");
    session.expect("NOOP", "250").await;

    site.write("key.pem", "no key");
    serve.signal(Signal::HUP);
    serve.told("READY=1").await;
    assert!(serve.log().contains("nothing was reloaded: [tls]"), "{}", serve.log());
    assert_eq!(ready(&new, serve.address("HTTPS")).await, Ok(200), "all stays as it was");
    assert!(serve.terminate().await.success());
}

#[tokio::test]
async fn systemd_hears_of_readiness_watchdog_and_stop() {
    let site = site(&[HTTP]);
    let mut serve = site.serve().await;
    serve.told("WATCHDOG=1").await;
    serve.told("WATCHDOG=1").await;
    serve.signal(Signal::TERM);
    serve.told("STOPPING=1").await;
    assert!(serve.terminate().await.success());
}

#[tokio::test]
async fn the_control_socket_is_its_users_and_goes_with_the_server() {
    let site = site(&[HTTP]);
    let mut serve = site.serve().await;
    let socket = site.path("data/control.sock");
    let metadata = fs::metadata(&socket).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(serve.terminate().await.success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_message_is_kept_over_a_restart() {
    let site = site(&[HTTP]);
    with_account(&site);
    let mut serve = site.serve().await;
    serve.api("app@example.com", "correct horse").ok("Send", &message()).await;
    assert!(serve.terminate().await.success());
    let serve = site.serve().await;
    let api = serve.api("app@example.com", "correct horse");
    assert_eq!(api.metric("postrider_queue_messages", "").await, 1.0, "{}", serve.log());
}

#[test]
fn what_it_cannot_serve_is_refused_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound");
    let (one, other) = (Identity::self_signed(&[NAME]), Identity::self_signed(&[NAME]));
    let named = format!("hostname = \"{NAME}\"\n");
    for (settings, expected) in [
        (HTTP.to_owned(), "hostname is missing: set it"),
        (named.clone(), "there are no listeners: add an [[http]] section"),
        (format!("{named}{HTTP}tlss = true\n"), "did you mean http.tls?"),
        (format!("{named}{TLS}{HTTPS}"), "the key in"),
        (
            format!("{named}[[http]]\naddress = \"{taken}\"\nservices = [\"webapi\"]\n"),
            "another program does; stop it, or choose another address in the settings",
        ),
        (
            format!("{named}[[http]]\naddress = \"192.0.2.99:1\"\nservices = [\"webapi\"]\n"),
            "this machine does not have that address",
        ),
    ] {
        let site = Site::new(&settings);
        site.write("cert.pem", one.chain_pem());
        site.write("key.pem", &other.key_pem());
        let said = site.fails(&["serve"], 1);
        assert!(said.contains(expected), "{settings}\n{said}");
    }
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let site = site(&[HTTP]);
    for args in [
        &["serve", "--no-such-option"][..],
        &["no-such-command"],
        &["config"],
        &["domain", "add"],
        &["domain", "add", "a..b"],
        &["account", "add", "app"],
        &["account", "list", "--config", "a", "--dir", "b"],
        &["quickstart", "example.com"],
    ] {
        let Done { status, stderr, .. } = site.run(args);
        assert_eq!(status, 2, "{args:?}: {stderr}");
    }
}
