//! Sessions over real sockets, with a real store behind them.

mod room;
mod times;

use super::*;
use crate::{
    app::Mode,
    smtp_server::{Answer, Secured, SmtpServer, converse},
    testing::{Setup, account, domain, no_names},
};
use bytes::Bytes;
use config::Settings;
use mail::{AccountId, MsgId};
use prometheus::Registry;
use std::{
    net::{self, SocketAddr},
    time::Duration,
};
use store::records::{AddressPattern, MessageRecord};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const MAIL: &str = "MAIL FROM:<sender@example.org>\r\n";
const RCPT: &str = "RCPT TO:<rider@localhost>\r\n";
const LONG: Duration = Duration::from_secs(20);

#[actix_web::test]
async fn a_message_arrives_in_the_inbox_as_it_was_sent() {
    let server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.expect("MAIL FROM:<sender@example.org> BODY=8BITMIME\r\n", "250 2.1.0").await;
    client.expect("RCPT TO:<rider+abc123@localhost>\r\n", "250 2.1.5").await;
    client.expect("DATA\r\n", "354").await;
    let sent = "From: A <author@example.org>\r\nSubject: s\r\nAuto-Submitted: auto-replied\r\n\r\n.\r\n..dots\r\nü\r\n";
    let answer = client.say(&format!("{}.\r\n", stuffed(sent))).await;
    let id = answer.strip_prefix("250 2.0.0 Stored as ").expect("accepted").trim_end();
    client.expect("QUIT\r\n", "221 2.0.0").await;

    let [(record, content)] = server.inbox("rider").try_into().expect("one message");
    let received = format!(
        "Return-Path: <sender@example.org>\r\nAuthentication-Results: mx.example;\r\n\tspf=none \
         smtp.mailfrom=sender@example.org;\r\n\tdkim=none;\r\n\tdmarc=none \
         header.from=example.org;\r\n\tarc=none\r\nReceived: from client.example ([127.0.0.1])\r\n\tby mx.example with \
         ESMTP id {id}\r\n\tfor <rider+abc123@localhost>;\r\n\tSun, 22 Nov 2026 "
    );
    let text = String::from_utf8(content.to_vec()).unwrap();
    assert!(text.starts_with(&received), "{text}");
    assert!(text.ends_with(&format!(" +0000\r\n{sent}")), "{text}");
    assert_eq!(record.size, content.len() as u64);
    assert_eq!(record.mail_from.to_smtp(), "sender@example.org");
    assert_eq!(record.rcpt_to.unwrap().to_smtp(), "rider+abc123@localhost");
    assert_eq!(record.msg_from.unwrap().to_smtp(), "author@example.org");
    assert_eq!(record.remote_ip, Some([127, 0, 0, 1].into()));
    assert!(record.automated && !record.dsn && !record.mail_from_validated);
    assert_eq!(server.counted("postrider_smtp_messages_received_total", "stored"), 1);
    assert_eq!(server.counted("postrider_smtp_sessions_total", "incoming"), 1);
}

#[actix_web::test]
async fn every_account_gets_its_copy_once() {
    let server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.expect("MAIL FROM:<>\r\n", "250").await;
    for recipient in ["rider@localhost", "rider@LOCALHOST", "other@localhost"] {
        client.expect(&format!("RCPT TO:<{recipient}>\r\n"), "250").await;
    }
    client.expect("DATA\r\n", "354").await;
    client.expect("\r\nhi\r\n.\r\n", "250 2.0.0").await;
    for account in ["rider", "other"] {
        let [(record, content)] = server.inbox(account).try_into().expect("one message");
        assert!(record.mail_from.is_null() && record.automated);
        assert!(!content.windows(4).any(|bytes| bytes == b"for "), "recipients learn of each other");
    }
}

#[actix_web::test]
async fn a_large_message_is_stored_whole() {
    let server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.envelope().await;
    let sent = format!("Subject: s\r\n\r\n{}", ".a line\r\n".repeat(100_000));
    client.expect(&format!("{}.\r\n", stuffed(&sent)), "250 2.0.0").await;
    let [(_, content)] = server.inbox("rider").try_into().expect("one message");
    assert!(content.ends_with(sent.as_bytes()));
}

#[actix_web::test]
async fn recipients_that_are_not_ours_are_refused() {
    let server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.expect(MAIL, "250").await;
    for (recipient, expected) in [
        ("nobody@localhost", "550 5.1.1"),
        ("rider@example.org", "550 5.7.1"),
        ("disabled@localhost", "550 5.2.1"),
        ("a..b@localhost", "501 5.1.3"),
        ("rider@a..b", "501 5.1.3"),
        ("postmaster", "250 2.1.5"),
        ("RIDER+tag@localhost", "250 2.1.5"),
    ] {
        client.expect(&format!("RCPT TO:<{recipient}>\r\n"), expected).await;
    }
    client.expect("RSET\r\n", "250").await;
    let long = "x".repeat(65);
    client.expect(&format!("MAIL FROM:<{long}@example.org>\r\n"), "501 5.1.7").await;
    client.expect(RCPT, "503 5.5.1").await;
}

#[actix_web::test]
async fn a_full_mailbox_is_told_for_each_recipient() {
    let server = TestServer::start(Mode::Serve);
    let mut full = account("full");
    full.mailbox_quota = Some(1);
    server.app.handles.writer.put_account(full).await.unwrap();
    let to_both = async |expected: &str| {
        let mut client = server.client().await;
        client.hello().await;
        client.expect(MAIL, "250").await;
        client.expect("RCPT TO:<full@localhost>\r\n", expected).await;
        client.expect(RCPT, "250").await;
        client.expect("DATA\r\n", "354").await;
        client
    };
    let mut late = to_both("250").await;
    to_both("250").await.expect("\r\nhi\r\n.\r\n", "250 2.0.0").await;
    late.expect("\r\nfilled meanwhile\r\n.\r\n", "452 4.2.2").await;
    to_both("452 4.2.2").await.expect("\r\nhi\r\n.\r\n", "250 2.0.0").await;
    assert_eq!((server.inbox("full").len(), server.inbox("rider").len()), (1, 2));
}

#[actix_web::test]
async fn a_developers_server_takes_mail_for_anyone() {
    let server = TestServer::start(Mode::Local);
    let mut client = server.client().await;
    client.hello().await;
    client.expect(MAIL, "250").await;
    client.expect("RCPT TO:<anyone@remote.example>\r\n", "250").await;
    client.expect("RCPT TO:<other@localhost>\r\n", "250").await;
    client.expect("DATA\r\n", "354").await;
    client.expect("\r\nhi\r\n.\r\n", "250 2.0.0").await;
    assert_eq!(server.inbox("rider").len(), 2);
    assert!(server.inbox("other").is_empty());
}

#[actix_web::test]
async fn a_developers_server_fails_as_the_address_says() {
    let server = TestServer::start(Mode::Local);
    let mut client = server.client().await;
    client.hello().await;
    for (sender, recipient, at, expected) in [
        ("s", "temperror", "DATA", "451 4.3.0"),
        ("s", "permerror", "DATA", "550 5.1.1"),
        ("s", "queue-permerror", "DATA", "550 5.1.1"),
        ("s", "user452", "DATA", "452 4.0.0"),
        ("s", "user554", "DATA", "554 5.0.0"),
        ("s", "rcptto-temperror", "RCPT", "451 4.3.0"),
        ("s", "rcptto550", "RCPT", "550 5.1.1"),
        ("mailfrom-permerror", "ok", "MAIL", "550 5.1.1"),
        ("mailfrom450", "ok", "MAIL", "450 4.0.0"),
        ("mailfrom450+0123456789abcdefghijklmnop", "ok", "MAIL", "450 4.0.0"),
        ("permerror", "ok", "none", "250 2.0.0"),
        ("mailfrom", "rider+0123456789abcdefghijklm450", "none", "250 2.0.0"),
    ] {
        let row = format!("{sender} to {recipient}");
        let step = |name| if at == name { expected } else { "250" };
        client.expect("RSET\r\n", "250").await;
        client.expect(&format!("MAIL FROM:<{sender}@localhost>\r\n"), step("MAIL")).await;
        if at == "MAIL" {
            continue;
        }
        client.expect(&format!("RCPT TO:<{recipient}@localhost>\r\n"), step("RCPT")).await;
        if at == "RCPT" {
            continue;
        }
        client.expect("DATA\r\n", "354").await;
        let said = client.say(&format!("\r\n{row}\r\n.\r\n")).await;
        assert!(said.starts_with(expected), "{row}: {said}");
    }
    assert_eq!(server.inbox("rider").len(), 2);
    assert_eq!(server.counted("postrider_smtp_messages_received_total", "refused"), 3);
    assert_eq!(server.counted("postrider_smtp_messages_received_total", "deferred"), 2);
}

#[actix_web::test]
async fn a_timeout_on_demand_is_no_answer_at_all() {
    let server = TestServer::start(Mode::Local);
    tokio::time::pause();
    for (sender, recipient, answers) in [
        ("mailfrom-timeout", "ok", &["220", "250"][..]),
        ("s", "rcptto-timeout", &["220", "250", "250"]),
        ("s", "timeout", &["220", "250", "250", "250", "354"]),
    ] {
        let script = format!(
            "HELO c\r\nMAIL FROM:<{sender}@localhost>\r\nRCPT TO:<{recipient}@localhost>\r\nDATA\r\n\r\nhi\r\n.\r\nQUIT\r\n"
        );
        let begun = tokio::time::Instant::now();
        let said = server.drive(1000, script.as_bytes()).await;
        assert_eq!(said.lines().map(|line| &line[..3]).collect::<Vec<_>>(), answers, "{said}");
        assert!(
            begun.elapsed() >= smtp::ServerTimeouts::default().silence,
            "it was left before the client gave up"
        );
    }
    assert!(server.inbox("rider").is_empty());
}

#[actix_web::test]
async fn messages_that_break_the_rules_are_refused() {
    let server = TestServer::with(Mode::Serve, |settings| {
        settings.limits.message_size_max = 4096;
        settings.limits.recipients_max = 2;
    });
    let mut client = server.client().await;
    client.hello().await;
    let large = format!("\r\n{}.\r\n", "x\r\n".repeat(2000));
    let looping = format!("{}\r\nhi\r\n.\r\n", "Received: x\r\n".repeat(101));
    for (data, expected) in [
        ("\r\nbare\nLF\r\n.\r\n", "554 5.6.0"),
        ("\r\nbare\rCR\r\n.\r\n", "554 5.6.0"),
        ("\r\nsmuggled\n.\nMAIL FROM:<x@y.example>\r\n.\r\n", "554 5.6.0"),
        (large.as_str(), "552 5.3.4"),
        (looping.as_str(), "554 5.4.6"),
    ] {
        client.envelope().await;
        client.expect(data, expected).await;
    }
    client.expect("MAIL FROM:<s@example.org> SIZE=5000\r\n", "552 5.3.4").await;
    client.expect(MAIL, "250").await;
    client.expect(RCPT, "250").await;
    client.expect(RCPT, "250").await;
    client.expect(RCPT, "452 4.5.3").await;
    assert!(server.inbox("rider").is_empty());
}

#[actix_web::test]
async fn commands_may_come_all_at_once() {
    let server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.write(&format!("{MAIL}RCPT TO:<nobody@localhost>\r\n{RCPT}DATA\r\n")).await;
    for expected in ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354"] {
        let said = client.reply().await;
        assert!(said.starts_with(expected), "{said}");
    }
    client.write(&format!("\r\none\r\n.\r\n{MAIL}{RCPT}DATA\r\n\r\ntwo\r\n.\r\nQUIT\r\n")).await;
    for expected in ["250 2.0.0", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221"] {
        let said = client.reply().await;
        assert!(said.starts_with(expected), "{said}");
    }
    assert_eq!(server.inbox("rider").len(), 2);
}

#[actix_web::test]
async fn a_message_that_is_cut_off_is_not_stored() {
    let mut server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.envelope().await;
    client.write("Subject: half\r\n\r\nof it\r\n.\r").await;
    drop(client);
    server.stop(LONG).await;
    assert!(server.inbox("rider").is_empty());
}

#[actix_web::test]
async fn one_client_gets_so_many_sessions_and_all_get_so_many() {
    for (all, per_client, expected) in [(2, 1, "421 4.7.0"), (1, 1, "421 4.3.2")] {
        let server = TestServer::with(Mode::Serve, |settings| {
            settings.limits.smtp_sessions_max = all;
            settings.limits.smtp_sessions_per_client_max = per_client;
        });
        let first = server.client().await;
        let mut second = server.connect().await;
        let said = second.rest().await;
        assert!(said.starts_with(expected) && said.ends_with("\r\n"), "{said}");
        drop(first);
        let greeted = async { while !server.connect().await.reply().await.starts_with("220") {} };
        timeout(LONG, greeted).await.expect("a place is free again");
    }
}

#[actix_web::test]
async fn clients_of_a_developers_server_share_an_address_without_a_limit() {
    let server = TestServer::with(Mode::Local, |settings| settings.limits.smtp_sessions_per_client_max = 1);
    let clients = [server.client().await, server.client().await];
    drop(clients);
}

#[actix_web::test]
async fn a_stopping_server_lets_a_message_finish_and_no_other_begin() {
    let mut server = TestServer::start(Mode::Serve);
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    idle.hello().await;
    busy.hello().await;
    busy.envelope().await;
    let stopping = actix_rt::spawn(server.smtp.take().expect("it runs").stop(LONG));
    assert!(idle.rest().await.starts_with("421 4.3.2"));
    busy.expect("\r\nhi\r\n.\r\n", "250 2.0.0").await;
    assert!(busy.rest().await.starts_with("421 4.3.2"));
    timeout(LONG, stopping).await.expect("it stops").unwrap();
    assert_eq!(server.inbox("rider").len(), 1);
    assert!(TcpStream::connect(server.address).await.is_err(), "it still listens");
}

#[actix_web::test]
async fn a_message_that_takes_longer_than_the_grace_period_is_given_up() {
    let mut server = TestServer::start(Mode::Serve);
    let mut client = server.client().await;
    client.hello().await;
    client.envelope().await;
    server.stop(Duration::ZERO).await;
    assert!(client.rest().await.starts_with("421 4.3.2"));
    assert!(server.inbox("rider").is_empty());
}

#[actix_web::test]
async fn a_message_without_room_is_to_come_again() {
    let server = TestServer::with_writer(Mode::Serve, 0);
    let mut client = server.client().await;
    client.hello().await;
    client.envelope().await;
    client.expect("\r\nhi\r\n.\r\n", "452 4.3.1").await;
    client.expect("NOOP\r\n", "250").await;
    assert_eq!(server.counted("postrider_smtp_messages_received_total", "deferred"), 1);
}

#[actix_web::test]
async fn an_answer_stands_for_each_way_in_which_storing_fails() {
    use actors::WriteError;
    use store::{Refusal, StoreError};
    let failed = |error| WriteError::Failed(Arc::new(error));
    for (error, expected) in [
        (WriteError::Busy, 452),
        (WriteError::Stopped, 452),
        (WriteError::Refused(Refusal::Full), 452),
        (failed(StoreError::Full), 452),
        (WriteError::Refused(Refusal::NotFound), 451),
        (failed(StoreError::Damaged { table: "x" }), 451),
    ] {
        let Answer::Say(reply) = incoming::not_written(&error) else { panic!("{error} is not answered") };
        assert_eq!(reply.code(), expected, "{error}");
    }
}

fn stuffed(content: &str) -> String {
    content
        .split_inclusive("\r\n")
        .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.into() })
        .collect()
}

struct TestServer {
    app: Arc<App>,
    smtp: Option<SmtpServer>,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl TestServer {
    /// Accounts `rider`, `other` and `disabled`, each with an address at localhost; the rider is postmaster.
    fn start(mode: Mode) -> TestServer {
        Self::with(mode, |_| {})
    }

    fn with(mode: Mode, change: impl FnOnce(&mut Settings)) -> TestServer {
        Self::start_with(mode, 100, change)
    }

    fn with_writer(mode: Mode, pending_max: usize) -> TestServer {
        Self::start_with(mode, pending_max, |_| {})
    }

    fn start_with(mode: Mode, pending_max: usize, change: impl FnOnce(&mut Settings)) -> TestServer {
        Self::start_with_room(mode, pending_max, 1 << 30, change)
    }

    /// With room for so many bytes of messages in the middle of their transfer.
    fn with_room(transfers_max: usize, change: impl FnOnce(&mut Settings)) -> TestServer {
        Self::start_with_room(Mode::Serve, 100, transfers_max, change)
    }

    fn start_with_room(
        mode: Mode,
        pending_max: usize,
        transfers_max: usize,
        change: impl FnOnce(&mut Settings),
    ) -> TestServer {
        let mut setup = Setup::new("mx.example", |settings| {
            settings.dns.nameservers = vec![no_names()];
            change(settings);
        });
        setup.mode = mode;
        setup.options.writer.pending_max = pending_max;
        setup.writer.commit(accounts().iter()).unwrap();
        let (app, dir) = setup.start();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut smtp = SmtpServer::with_room(&app, transfers_max).unwrap();
        smtp.serve(listener, &Rc::new(IncomingMail::new(&app).unwrap()), Secured::Never).unwrap();
        let smtp = Some(smtp);
        TestServer { app, smtp, address, _dir: dir }
    }

    async fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// From an address of this machine, greeted.
    async fn client_from(&self, address: [u8; 4]) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let mut client = Client(BufReader::new(socket.connect(self.address).await.unwrap()));
        assert_eq!(client.reply().await, "220 mx.example ESMTP\r\n");
        client
    }

    /// A client that has been greeted.
    async fn client(&self) -> Client {
        let mut client = self.connect().await;
        assert_eq!(client.reply().await, "220 mx.example ESMTP\r\n");
        client
    }

    async fn stop(&mut self, grace: Duration) {
        timeout(LONG, self.smtp.take().expect("it runs").stop(grace)).await.expect("it stops");
    }

    /// The messages of an account's Inbox with their bytes.
    fn inbox(&self, account: &str) -> Vec<(MessageRecord, Bytes)> {
        let store = &self.app.handles.store;
        let directory = store.directory();
        let id = directory.accounts().find(|found| found.record.name == account).unwrap().id;
        store.read(|view| inbox(view, id)).unwrap()
    }

    fn counted(&self, name: &str, label: &str) -> u64 {
        let families = self.app.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        let counted = metrics.iter().find(|metric| metric.get_label()[0].value() == label);
        counted.map_or(0, |metric| metric.get_counter().get_value() as u64)
    }

    /// All that a session says to `script`, whose client then stays and says nothing more, when transfers may hold
    /// `transfer_max` bytes.
    async fn drive(&self, transfer_max: usize, script: &[u8]) -> String {
        let client = async |mut stream: DuplexStream| {
            stream.write_all(script).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        };
        self.converse(transfer_max, client).await
    }

    /// What comes of a client in a session without sockets, so that the clock may stand still.
    async fn converse<T>(&self, transfer_max: usize, client: impl AsyncFnOnce(DuplexStream) -> T) -> T {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let authenticator = Rc::new(Authenticator::new(Mode::Local, &self.app.settings.dns).unwrap());
        let service = IncomingMail { app: Arc::clone(&self.app), metrics, authenticator };
        converse(&self.app, &service, transfer_max, client).await
    }
}

fn inbox(view: &store::View<'_>, id: AccountId) -> Result<Vec<(MessageRecord, Bytes)>, store::StoreError> {
    let mailboxes = view.mailboxes(id)?;
    let (inbox, _) = mailboxes.iter().find(|(_, mailbox)| mailbox.name == "Inbox").expect("an Inbox");
    let message = |msg: MsgId| {
        let record = view.mailbox_message(msg)?.expect("a record");
        let content = view.content(record.content)?.expect("a content");
        Ok((record, content))
    };
    view.mailbox_messages(*inbox, None, 100)?.into_iter().map(message).collect()
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// One reply, all its lines.
    async fn reply(&mut self) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            let read = timeout(LONG, self.0.read_line(&mut said)).await.expect("an answer in time").unwrap();
            if read == 0 || said.as_bytes().get(start + 3) != Some(&b'-') {
                return said;
            }
        }
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut said = String::new();
        timeout(LONG, self.0.read_to_string(&mut said)).await.expect("the end in time").unwrap();
        said
    }

    async fn say(&mut self, text: &str) -> String {
        self.write(text).await;
        self.reply().await
    }

    async fn expect(&mut self, text: &str, expected: &str) {
        let said = self.say(text).await;
        let shown = text.get(..text.len().min(60)).unwrap_or_default();
        assert!(said.starts_with(expected), "{shown:?} got {said:?}, not {expected}");
    }

    async fn hello(&mut self) {
        let said = self.say("EHLO client.example\r\n").await;
        for offered in [
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "SIZE ",
            "LIMITS RCPTMAX=",
        ] {
            assert!(said.contains(offered), "{said}");
        }
        assert!(!said.contains("STARTTLS") && !said.contains("DSN"), "{said}");
    }

    /// Up to the data of a message to the rider.
    async fn envelope(&mut self) {
        self.expect(MAIL, "250 2.1.0").await;
        self.expect(RCPT, "250 2.1.5").await;
        self.expect("DATA\r\n", "354").await;
    }
}

fn accounts() -> [store::Change; 4] {
    let mut rider = account("rider");
    rider.addresses.push(AddressPattern::Address("postmaster@localhost".parse().unwrap()));
    [
        store::Change::PutDomain(domain("localhost")),
        store::Change::PutAccount(rider),
        store::Change::PutAccount(account("other")),
        store::Change::PutAccount(account("disabled")),
    ]
}
