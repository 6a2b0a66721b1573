//! The name server of the tests is tested itself, by the resolver of others.

use crate::harness::{Asked, DnsServer, Fault};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::{Edns, Message, Query, ResponseCode},
        rr::{Name, RecordType},
    },
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Asks this name server, and nobody else.
fn resolver(server: SocketAddr) -> TokioResolver {
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
         1.7.0.127.in-addr.arpa   PTR  mx1.friend.test
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
        ("1.7.0.127.in-addr.arpa", RecordType::PTR, "mx1.friend.test."),
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
        let answer = exchange(dns.address(), &query).await;
        assert_eq!(answer.metadata.authentic_data, authentic, "{name}, {dnssec_ok}");
    }
}

/// One question over UDP, whose answer is also that over TCP.
async fn exchange(server: SocketAddr, query: &Message) -> Message {
    let bytes = query.to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&bytes, server).await.unwrap();
    let mut buffer = [0; 1500];
    let length = timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await.expect("an answer").unwrap();
    let over_udp = Message::from_vec(&buffer[..length]).unwrap();

    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    let over_tcp = Message::from_vec(&answer).unwrap();

    assert_eq!(over_tcp, over_udp);
    assert!(matches!(over_udp.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain));
    over_udp
}
