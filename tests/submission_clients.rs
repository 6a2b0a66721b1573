//! Clients that people use, each submitting over STARTTLS and over TLS from the start.

use crate::harness::{PASSWORD, Server, SmtpPeer, USER, verdict};
use lettre::{
    Message, SmtpTransport, Transport,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{CertificateStore, Tls, TlsParameters},
    },
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
};

/// A message to be submitted by a client.
struct Told<'a> {
    address: SocketAddr,
    implicit_tls: bool,
    mechanism: &'a str,
    to: String,
    message_id: String,
    directory: &'a std::path::Path,
}

type Client = fn(&Told<'_>) -> Result<(), String>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_clients_submit_over_both_kinds_of_tls() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let clients: [(&str, Client, &[&str]); 5] = [
        ("swaks", swaks, &["PLAIN", "LOGIN"]),
        ("smtplib", smtplib, &["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]),
        ("nodemailer", nodemailer, &["PLAIN", "LOGIN"]),
        ("lettre", with_lettre, &["PLAIN", "LOGIN"]),
        ("msmtp", msmtp, &["plain", "login", "scram-sha-256"]),
    ];
    for (name, client, mechanisms) in clients {
        for (mechanism, implicit_tls) in mechanisms.iter().flat_map(|one| [(*one, false), (*one, true)]) {
            let what = format!("{name}-{mechanism}-{implicit_tls}").to_lowercase();
            let address = if implicit_tls { server.submissions() } else { server.submission() };
            let told = Told {
                address,
                implicit_tls,
                mechanism,
                to: format!("{what}@remote.example"),
                message_id: format!("<{what}@localhost>"),
                directory: directory.path(),
            };
            tokio::task::block_in_place(|| client(&told)).unwrap_or_else(|error| panic!("{what}: {error}"));
            let delivery = peer.delivery_to(&told.to).await;
            assert_eq!(delivery.message_id(), told.message_id, "{what}");
            assert!(delivery.header("DKIM-Signature").is_some(), "{what}");
            assert!(delivery.header("Date").is_some(), "{what}");
            assert!(delivery.header("Bcc").is_none(), "{what}");
        }
    }
}

fn done(output: std::io::Result<std::process::Output>) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn swaks(told: &Told<'_>) -> Result<(), String> {
    let mut command = Command::new("swaks");
    command
        .args(["--server", &told.address.ip().to_string(), "--port", &told.address.port().to_string()])
        .arg(if told.implicit_tls { "--tls-on-connect" } else { "--tls" })
        .args(["--auth", told.mechanism, "--auth-user", USER, "--auth-password", PASSWORD])
        .args(["--from", USER, "--to", &told.to, "--silent", "2"])
        .args([
            "--header",
            &format!("Message-Id: {}", told.message_id),
            "--header",
            "Bcc: hidden@remote.example",
        ]);
    done(command.output())
}

/// What the scripts in Python and JavaScript are told.
fn script(name: &str, told: &Told<'_>) -> Result<(), String> {
    verdict(
        name,
        &json!({
            "host": told.address.ip().to_string(),
            "port": told.address.port(),
            "implicit_tls": told.implicit_tls,
            "mechanism": told.mechanism,
            "user": USER,
            "password": PASSWORD,
            "from": USER,
            "to": [told.to],
            "message_id": told.message_id,
        }),
    )
}

fn smtplib(told: &Told<'_>) -> Result<(), String> {
    script("submit.py", told)
}

fn nodemailer(told: &Told<'_>) -> Result<(), String> {
    script("submit.js", told)
}

fn with_lettre(told: &Told<'_>) -> Result<(), String> {
    let host = told.address.ip().to_string();
    let parameters = TlsParameters::builder(host.clone())
        .certificate_store(CertificateStore::None)
        .dangerous_accept_invalid_certs(true)
        .dangerous_accept_invalid_hostnames(true)
        .build_rustls()
        .map_err(|error| error.to_string())?;
    let tls = if told.implicit_tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) };
    let mechanism = if told.mechanism == "LOGIN" { Mechanism::Login } else { Mechanism::Plain };
    let message = Message::builder()
        .from(USER.parse().expect("an address"))
        .to(told.to.parse().expect("an address"))
        .message_id(Some(told.message_id.clone()))
        .subject("Grüße")
        .body("hi ☺\n.\n".to_owned())
        .expect("a message");
    SmtpTransport::builder_dangerous(&host)
        .port(told.address.port())
        .tls(tls)
        .authentication(vec![mechanism])
        .credentials(Credentials::new(USER.into(), PASSWORD.into()))
        .build()
        .send(&message)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn msmtp(told: &Told<'_>) -> Result<(), String> {
    let settings = told.directory.join("msmtprc");
    let on = |yes| if yes { "on" } else { "off" };
    let text = format!(
        "account default\nhost {}\nport {}\nfrom {USER}\nauth {}\nuser {USER}\npassword {PASSWORD}\n\
         tls on\ntls_starttls {}\ntls_certcheck off\ntimeout 20\n",
        told.address.ip(),
        told.address.port(),
        told.mechanism,
        on(!told.implicit_tls),
    );
    fs::write(&settings, text).map_err(|error| error.to_string())?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&settings, permissions).map_err(|error| error.to_string())?;
    let mut child = Command::new("msmtp")
        .arg("--file")
        .arg(&settings)
        .arg(&told.to)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let message =
        format!("From: {USER}\nTo: {}\nMessage-ID: {}\nSubject: hi\n\nhi\n.\n", told.to, told.message_id);
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(message.as_bytes())
        .map_err(|error| error.to_string())?;
    done(child.wait_with_output())
}
