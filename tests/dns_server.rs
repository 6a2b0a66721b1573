//! The name server of the tests is tested itself, by the resolver of others.

use crate::harness::{Asked, DnsServer, Fault, PATIENCE, Security, SignedDns};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::{Edns, Message, Query},
        rr::{Name, RecordType},
    },
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Asks this name server, and nobody else.
fn resolver(server: SocketAddr) -> TokioResolver {
    resolver_with(server, None)
}

/// With a file of trust anchors, it validates.
fn resolver_with(server: SocketAddr, trust_anchor: Option<PathBuf>) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().timeout = Duration::from_millis(200);
    builder.options_mut().attempts = 1;
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    if let Some(file) = trust_anchor {
        builder.options_mut().validate = true;
        let anchors = TrustAnchors::from_file(&file).expect("the keys of Knot DNS");
        builder = builder.with_trust_anchor(Arc::new(anchors));
    }
    builder.build().expect("a resolver")
}

/// The records of that type as a zone file has them, sorted, or what went wrong.
async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> String {
    match resolver.lookup(format!("{name}."), kind).await {
        Ok(lookup) => {
            let wanted = lookup.answers().iter().filter(|record| record.record_type() == kind);
            let mut all: Vec<_> = wanted.map(|record| record.data.to_string().to_lowercase()).collect();
            all.sort();
            all.join(", ")
        }
        Err(error) if error.is_nx_domain() => "no such name".to_owned(),
        Err(error) if error.is_no_records_found() => "no records".to_owned(),
        Err(NetError::Timeout) => "timeout".to_owned(),
        Err(_) => "error".to_owned(),
    }
}

#[tokio::test]
async fn the_name_server_knows_what_it_is_told() {
    let dns = DnsServer::start(
        "friend.test       MX    10 mx1.friend.test
         friend.test       MX    20 mx2.friend.test
         mx1.friend.test   A     127.0.7.1
         mx1.friend.test   AAAA  ::1
         null.test         MX    0 .
         alias.test        CNAME friend.test
         loop.test         CNAME pool.test
         pool.test         CNAME loop.test
         _mta-sts.friend.test     TXT  \"v=STSv1; id=1\"
         _25._tcp.mx1.friend.test TLSA 3 1 1 00ff
         1.2.0.192.in-addr.arpa   PTR  mx1.friend.test
         *.bulk.test       MX    10 mx1.friend.test
         known.bulk.test   A     127.0.7.2",
    )
    .await;
    let resolver = resolver(dns.address());
    for (name, kind, wanted) in [
        ("friend.test", RecordType::MX, "10 mx1.friend.test., 20 mx2.friend.test."),
        ("FRIEND.test", RecordType::MX, "10 mx1.friend.test., 20 mx2.friend.test."),
        ("mx1.friend.test", RecordType::A, "127.0.7.1"),
        ("mx1.friend.test", RecordType::AAAA, "::1"),
        ("mx2.friend.test", RecordType::A, "no such name"),
        ("friend.test", RecordType::A, "no records"),
        ("test", RecordType::MX, "no records"),
        ("stranger.test", RecordType::MX, "no such name"),
        ("null.test", RecordType::MX, "0 ."),
        ("alias.test", RecordType::MX, "10 mx1.friend.test., 20 mx2.friend.test."),
        ("loop.test", RecordType::MX, "no records"),
        ("_mta-sts.friend.test", RecordType::TXT, "v=stsv1; id=1"),
        ("_25._tcp.mx1.friend.test", RecordType::TLSA, "3 1 1 00ff"),
        ("1.2.0.192.in-addr.arpa", RecordType::PTR, "mx1.friend.test."),
        ("x.bulk.test", RecordType::MX, "10 mx1.friend.test."),
        ("x.y.bulk.test", RecordType::MX, "10 mx1.friend.test."),
        ("known.bulk.test", RecordType::MX, "no records"),
        ("x.known.bulk.test", RecordType::MX, "no such name"),
    ] {
        let got = ask(&resolver, name, kind).await;
        assert_eq!(got, wanted, "{kind} of {name}");
    }
    assert_eq!(dns.asked("stranger.test", "MX"), Asked { udp: 1, tcp: 0 });
    assert_eq!(dns.asked("unknown.test", "MX"), Asked::default());

    dns.put("friend.test MX 5 mx3.friend.test");
    resolver.clear_cache();
    assert_eq!(ask(&resolver, "friend.test", RecordType::MX).await, "5 mx3.friend.test.");
    dns.remove("friend.test");
    dns.remove("mx1.friend.test");
    dns.remove("_mta-sts.friend.test");
    dns.remove("_25._tcp.mx1.friend.test");
    resolver.clear_cache();
    assert_eq!(ask(&resolver, "friend.test", RecordType::MX).await, "no such name");
}

#[tokio::test]
async fn the_name_server_fails_as_it_is_told() {
    let dns = DnsServer::start("friend.test MX 10 mx.friend.test").await;
    for (fault, wanted) in [
        (Fault::ServFail, "error"),
        (Fault::Refused, "error"),
        (Fault::NxDomain, "no such name"),
        (Fault::NoData, "no records"),
        (Fault::Silence, "timeout"),
        (Fault::Truncated, "10 mx.friend.test."),
        (Fault::WrongId, "timeout"),
        (Fault::Garbage, "timeout"),
    ] {
        dns.fault("friend.test", "MX", fault);
        let got = ask(&resolver(dns.address()), "friend.test", RecordType::MX).await;
        assert_eq!(got, wanted, "{fault:?}");
    }
    let before = dns.asked("friend.test", "MX").tcp;
    dns.fault("friend.test", "MX", Fault::Truncated);
    ask(&resolver(dns.address()), "friend.test", RecordType::MX).await;
    assert_eq!(dns.asked("friend.test", "MX").tcp, before + 1);
    dns.mend("friend.test", "MX");
    ask(&resolver(dns.address()), "friend.test", RecordType::MX).await;
    assert_eq!(dns.asked("friend.test", "MX").tcp, before + 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_udp_comes_over_tcp() {
    let many: String =
        (0..1000).map(|number| format!("big.test MX {number} mx{number}.big.test\n")).collect();
    let dns = DnsServer::start(&many).await;
    let got = ask(&resolver(dns.address()), "big.test", RecordType::MX).await;
    assert_eq!(got.split(", ").count(), 1000);
    assert_eq!(dns.asked("big.test", "MX").tcp, 1);
}

#[tokio::test]
async fn only_those_who_ask_hear_that_an_answer_is_authentic() {
    let dns = DnsServer::start(
        "a.secure.test    A      127.0.7.1
         away.secure.test CNAME  a.plain.test
         a.plain.test     A      127.0.7.2",
    )
    .await;
    dns.authenticate("secure.test");
    for (name, dnssec_ok, authentic) in [
        ("a.secure.test.", true, true),
        ("a.secure.test.", false, false),
        ("a.plain.test.", true, false),
        ("away.secure.test.", true, false),
        ("none.secure.test.", true, true),
    ] {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        let mut edns = Edns::new();
        edns.set_dnssec_ok(dnssec_ok);
        query.set_edns(edns);
        let answer = exchange(dns.address(), &query).await.unwrap();
        assert_eq!(answer.metadata.authentic_data, authentic, "{name}, {dnssec_ok}");
    }
}

#[tokio::test]
async fn signed_zones_are_what_they_should_be() {
    let records = |zone: &str| {
        format!("{zone} MX 10 mx.{zone}\nmx.{zone} A 127.0.7.1\n_25._tcp.mx.{zone} TLSA 3 1 1 {:064}", 0)
    };
    let zones = [
        ("secure.test", Security::Secure),
        ("plain.test", Security::Insecure),
        ("forged.test", Security::Forged),
        ("expired.test", Security::Expired),
    ]
    .map(|(zone, security)| (zone, security, records(zone)));
    let dns =
        SignedDns::start(&zones.each_ref().map(|(zone, security, text)| (*zone, *security, &**text))).await;
    let resolver = resolver_with(dns.address(), Some(dns.trust_anchor()));
    for (zone, security, _) in &zones {
        for (name, kind) in [
            (format!("{zone}."), RecordType::MX),
            (format!("mx.{zone}."), RecordType::A),
            (format!("_25._tcp.mx.{zone}."), RecordType::TLSA),
        ] {
            let found = resolver.lookup(&name, kind).await.map(|lookup| {
                let records = lookup.answers().iter().filter(|record| record.record_type() == kind);
                records.map(|record| record.proof).collect::<Vec<_>>()
            });
            match security {
                Security::Secure => assert_eq!(found.unwrap(), [Proof::Secure], "{kind} of {name}"),
                Security::Insecure => assert_eq!(found.unwrap(), [Proof::Insecure], "{kind} of {name}"),
                Security::Forged | Security::Expired => {
                    let error = found.expect_err(&format!("{kind} of {name} is bogus"));
                    assert!(!error.is_no_records_found(), "{kind} of {name}: {error}");
                }
            }
        }
    }
    assert_eq!(ask(&resolver, "none.secure.test", RecordType::MX).await, "no such name");
    assert_eq!(ask(&resolver, "mx.secure.test", RecordType::AAAA).await, "no records");
}

/// One question over UDP, whose answer is also that over TCP.
async fn exchange(server: SocketAddr, query: &Message) -> io::Result<Message> {
    let bytes = query.to_vec().expect("a message that can be written");
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.send_to(&bytes, server).await?;
    let mut buffer = [0; 1500];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await??;
    let over_udp = Message::from_vec(&buffer[..length]).expect("an answer");

    let mut stream = TcpStream::connect(server).await?;
    stream.write_u16(bytes.len() as u16).await?;
    stream.write_all(&bytes).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    let over_tcp = Message::from_vec(&answer).expect("an answer");

    assert_eq!(over_tcp, over_udp);
    Ok(over_udp)
}
