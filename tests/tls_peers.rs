//! The peers that speak TLS, and the proxy, are tested themselves.

use crate::harness::{
    Action, COMMON_PORT, Identity, PeerTls, Postfix, SmtpClient, SmtpPeer, SocksProxy, StsAnswer, StsServer,
    TestCa, Verb,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// TLS to that address under that name, trusting only the authority.
async fn connect(ca: &TestCa, name: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(ca.file()).expect("a certificate");
    roots.add(authority).expect("an authority");
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Sends lines one after the other, each after the reply to the one before; the last reply.
async fn converse(stream: &mut TlsStream<TcpStream>, lines: &[&str]) -> String {
    let mut reply = String::new();
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("the peer reads");
        let mut buffer = [0; 1000];
        let length = stream.read(&mut buffer).await.expect("the peer answers");
        reply = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
    reply
}

#[tokio::test]
async fn certificates_are_as_good_as_they_say() {
    let ca = TestCa::new();
    let name = "mx.friend.test";
    for (what, identity, wanted) in [
        ("good", ca.identity(&["mx.friend.test"]), ""),
        ("for a wildcard", ca.identity(&["*.friend.test"]), ""),
        ("expired", ca.expired(&["mx.friend.test"]), "expired"),
        ("for another name", ca.identity(&["mx.stranger.test"]), "not valid for name"),
        ("self-signed", Identity::self_signed(&["mx.friend.test"]), "UnknownIssuer"),
    ] {
        let peer = SmtpPeer::builder().implicit_tls(identity.server()).start().await;
        let stream = TcpStream::connect(peer.address()).await.unwrap();
        let result = connect(&ca, name, stream).await;
        match result {
            Ok(_) => assert_eq!(wanted, "", "{what}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!wanted.is_empty() && text.contains(wanted), "{what}: {text}");
            }
        }
    }
    assert_eq!(ca.spki_sha256().len(), 64);
    assert_ne!(ca.spki_sha256(), ca.identity(&[name]).spki_sha256());
}

#[tokio::test]
async fn starttls_begins_a_new_session_and_is_remembered() {
    let ca = TestCa::new();
    let peer = SmtpPeer::exchanger()
        .extensions(&["SIZE 1000", "CHUNKING"])
        .starttls(ca.identity(&["mx.friend.test"]).server_of(&[&rustls::version::TLS12]))
        .login("app", "secret")
        .start()
        .await;
    let mut client = SmtpClient::connect(peer.address()).await;
    let plain = client.expect("EHLO client.example", "250-peer.example").await;
    assert_eq!(plain, "250-peer.example\n250-SIZE 1000\n250-CHUNKING\n250 STARTTLS");
    client.expect("AUTH PLAIN AGFwcABzZWNyZXQ=", "530").await;
    client.expect("STARTTLS", "220").await;
    let mut stream = connect(&ca, "mx.friend.test", client.into_stream()).await.unwrap();
    let ehlo = converse(&mut stream, &["EHLO inside.example"]).await;
    assert_eq!(ehlo, "250-peer.example\r\n250-SIZE 1000\r\n250-CHUNKING\r\n250 AUTH PLAIN LOGIN\r\n");
    assert!(converse(&mut stream, &["MAIL FROM:<a@here.example>"]).await.starts_with("530"));
    assert!(converse(&mut stream, &["AUTH PLAIN AGFwcAB3cm9uZw=="]).await.starts_with("535"));
    let reply = converse(
        &mut stream,
        &[
            "AUTH LOGIN",
            "YXBw",
            "c2VjcmV0",
            "MAIL FROM:<a@here.example>",
            "RCPT TO:<b@friend.test> NOTIFY=NEVER",
        ],
    )
    .await;
    assert!(reply.starts_with("250"), "{reply}");
    assert!(converse(&mut stream, &["BDAT 7\r\nX: y\r\n\r"]).await.starts_with("250 2.0.0 chunk"));
    assert_eq!(converse(&mut stream, &["BDAT 5 LAST\r\n\nhi"]).await, "250 2.0.0 accepted\r\n");

    let delivery = peer.delivery_to("b@friend.test").await;
    assert_eq!(delivery.rcpts, ["<b@friend.test> NOTIFY=NEVER"]);
    assert_eq!((delivery.chunked, delivery.content.as_slice()), (true, &b"X: y\r\n\r\nhi\r\n"[..]));
    let visit = peer.visits().remove(0);
    assert_eq!((visit.ehlo.as_str(), visit.login.as_deref()), ("inside.example", Some("app")));
    let tls = PeerTls { version: "TLSv1_2".into(), sni: Some("mx.friend.test".into()) };
    assert_eq!(visit.tls, Some(tls));
    peer.heard("STARTTLS").await;
    assert!(!format!("{visit:?}").contains("c2Vj"), "{visit:?}");
}

#[tokio::test]
async fn a_peer_misbehaves_as_it_is_told() {
    let ca = TestCa::new();
    let peer = SmtpPeer::builder()
        .starttls(ca.identity(&["mx.friend.test"]).server())
        .script(|moment| match (moment.verb, moment.connection) {
            (Verb::Handshake, 0) => Action::Close,
            (Verb::StartTls, 1) => Action::Reply("454 4.7.0 not now"),
            (Verb::Mail, 1) => Action::Bytes(b"250 ok\r\n250 and more\r\n".to_vec()),
            (Verb::Rcpt, 1) => Action::BytesAndClose(b"250-half".to_vec()),
            (Verb::Connect, 2) => Action::Endless(b"220-more\r\n"),
            _ => Action::Usual,
        })
        .start()
        .await;
    let mut client = SmtpClient::ready(peer.address()).await;
    client.expect("STARTTLS", "220").await;
    assert!(connect(&ca, "mx.friend.test", client.into_stream()).await.is_err());

    let mut client = SmtpClient::ready(peer.address()).await;
    client.expect("STARTTLS", "454").await;
    client.expect("MAIL FROM:<a@here.example>", "250 ok").await;
    assert_eq!(client.reply().await, "250 and more");
    client.write(b"RCPT TO:<b@friend.test>\r\n").await;
    let mut rest = String::new();
    client.into_stream().read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "250-half");

    let mut stream = TcpStream::connect(peer.address()).await.unwrap();
    let mut buffer = vec![0; 1_000_000];
    stream.read_exact(&mut buffer).await.unwrap();
    assert!(buffer.starts_with(b"220-more\r\n220-more\r\n"));
}

#[tokio::test]
async fn the_policy_server_answers_as_it_is_told() {
    let ca = TestCa::new();
    let server = StsServer::start(ca.identity(&["mta-sts.friend.test"]).server()).await;
    let get = async |path: &str| {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut stream = connect(&ca, "mta-sts.friend.test", stream).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: mta-sts.friend.test:443\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let path = "/.well-known/mta-sts.txt";
    assert!(get(path).await.starts_with("HTTP/1.1 404"));
    server.answer("mta-sts.friend.test", StsAnswer::Policy("version: STSv1\n mode: none".into()));
    let answer = get(path).await;
    assert!(answer.contains("Content-Type: text/plain\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nversion: STSv1\r\nmode: none\r\n"), "{answer}");
    assert!(get("/").await.starts_with("HTTP/1.1 404"));
    server.answer("mta-sts.friend.test", StsAnswer::Redirect("https://elsewhere.test/".into()));
    assert!(get(path).await.starts_with("HTTP/1.1 302"));
    assert_eq!(server.requests("mta-sts.friend.test"), 2);
}

#[tokio::test]
async fn the_proxy_connects_and_remembers() {
    let peer = SmtpPeer::accepting().await;
    let through = async |proxy: &SocksProxy, target: SocketAddr| {
        let result = tokio_socks::tcp::Socks5Stream::connect(proxy.address(), target).await;
        result.map(tokio_socks::tcp::Socks5Stream::into_inner).map_err(|error| error.to_string())
    };
    let proxy = SocksProxy::start().await;
    let mut stream = through(&proxy, peer.address()).await.unwrap();
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ");
    assert_eq!(proxy.requested().await, peer.address());
    let refusing = SocksProxy::refusing(2).await;
    assert!(through(&refusing, peer.address()).await.unwrap_err().contains("not allowed"));
    assert_eq!((refusing.requests().len(), peer.connections()), (1, 1));
}

#[tokio::test]
async fn postfix_takes_mail_for_its_domain() {
    let ca = TestCa::new();
    let postfix = Postfix::start("postfix.test", &ca.identity(&["mx.postfix.test"])).await;
    let mut client = SmtpClient::connect((postfix.ip(), COMMON_PORT).into()).await;
    client.expect("EHLO client.example", "250").await;
    client.expect("STARTTLS", "220").await;
    let mut stream = connect(&ca, "mx.postfix.test", client.into_stream()).await.unwrap();
    let relayed = converse(
        &mut stream,
        &["EHLO client.example", "MAIL FROM:<a@here.example>", "RCPT TO:<b@elsewhere.test>"],
    )
    .await;
    assert!(relayed.starts_with("454"), "{relayed}");
    let reply = converse(&mut stream, &["RCPT TO:<b@postfix.test>", "DATA", "X: y\r\n\r\nhi\r\n."]).await;
    assert!(reply.starts_with("250"), "{reply}");
    let message = String::from_utf8(postfix.message().await).unwrap();
    assert!(message.contains("\nX: y\n") && message.ends_with("\n\nhi\n"), "{message}");
    assert!(message.contains("TLSv1.3"), "{message}");
}
