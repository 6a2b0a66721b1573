//! Certificates by ACME, from a real authority for tests.

use crate::harness::{DnsServer, Pebble, Serve, Site, SmtpClient, eventually, free_address};
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt};

const NAME: &str = "mail.example.com";

async fn dns() -> DnsServer {
    DnsServer::start(&format!("{NAME} A 127.0.0.1")).await
}

fn site(pebble: &Pebble, sections: &str) -> Site {
    let text = format!("hostname = \"{NAME}\"\n[tls]\nacme = {}\n{sections}", pebble.setting());
    pebble.trusted_by(Site::new(&text))
}

/// Waits until the server has a certificate that the authority's root makes good.
async fn trusted(pebble: &Pebble, serve: &Serve, https: SocketAddr) {
    eventually("a certificate from the authority", async || {
        let root = reqwest::Certificate::from_pem(pebble.root().await.as_bytes()).expect("a root");
        let client = reqwest::Client::builder()
            .no_proxy()
            .resolve(NAME, https)
            .tls_certs_only([root])
            .build()
            .expect("a client");
        let request = client.get(format!("https://{NAME}:{}/readyz", https.port()));
        request.send().await.map_err(|error| format!("{error:?}\n{}", serve.log()))
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_got_over_tls_and_kept_over_a_restart() {
    let (dns, https) = (dns().await, free_address());
    let pebble = Pebble::start(dns.address(), 1, https.port()).await;
    let listener = format!("[[http]]\naddress = \"{https}\"\nservices = [\"webapi\"]\ntls = true\n");
    let site = site(&pebble, &listener);
    let mut serve = site.serve().await;
    trusted(&pebble, &serve, https).await;
    for name in ["account.json", "certificate.pem"] {
        let mode = fs::metadata(site.path("data/acme").join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let kept = fs::read(site.path("data/acme/certificate.pem")).expect("it is there");
    assert!(serve.terminate().await.success());

    let serve = site.serve().await;
    trusted(&pebble, &serve, https).await;
    assert_eq!(fs::read(site.path("data/acme/certificate.pem")).expect("it is there"), kept);
    assert!(!serve.log().contains("gave a certificate"), "{}", serve.log());
}

#[tokio::test]
async fn a_certificate_is_got_over_http_where_no_listener_speaks_tls() {
    let (dns, http) = (dns().await, free_address());
    let pebble = Pebble::start(dns.address(), http.port(), 1).await;
    let listener = format!("[[http]]\naddress = \"{http}\"\nservices = [\"metrics\"]\n");
    let site = site(&pebble, &listener);
    let serve = site.serve().await;
    eventually("a certificate from the authority", async || {
        if serve.log().contains("gave a certificate") { Ok(()) } else { Err(serve.log()) }
    })
    .await;
    let kept = fs::read_to_string(site.path("data/acme/certificate.pem")).expect("it is there");
    assert!(kept.matches("BEGIN CERTIFICATE").count() >= 2, "the chain is whole");
}

#[tokio::test]
async fn without_an_answer_from_the_authority_the_server_works_and_says_why() {
    let dns = dns().await;
    // Nothing answers challenges at these ports.
    let pebble = Pebble::start(dns.address(), 1, 1).await;
    let listeners = "[[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\ntls = true\n\
        [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"incoming\"\n";
    let site = site(&pebble, listeners);
    let serve = site.serve().await;
    eventually("the refusal in the log", async || {
        let log = serve.log();
        if log.contains("no certificate from the ACME authority: API error: Failed to connect") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(serve.log().contains("next_in_seconds=60"), "{}", serve.log());
    let mut client = SmtpClient::connect(serve.address("SMTP")).await;
    assert!(client.expect("EHLO client.example", "250").await.contains("STARTTLS"));
    assert!(!site.path("data/acme/certificate.pem").exists());
}

#[test]
fn it_needs_a_listener_that_the_authority_can_reach() {
    let site = Site::new(&format!(
        "hostname = \"{NAME}\"\n[tls]\nacme = {{ contact = \"me@example.com\" }}\n\
         [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"incoming\"\n"
    ));
    assert!(site.fails(&["serve"], 1).contains("tls.acme needs an [[http]] listener"));
}
