//! A server that mail comes to from the world, as a name server describes it.

use super::{COMMON_PORT, DnsServer, Embedded, EmbeddedBuilder, SmtpClient, loopback};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicI64, Ordering},
};

/// Takes mail for the rider at localhost and whomever the test adds. Its clients are at 127.0.0.1.
pub(crate) struct Exchanger {
    pub(crate) dns: DnsServer,
    pub(crate) server: Embedded,
    smtp: SocketAddr,
    stored: AtomicI64,
}

impl Exchanger {
    /// In a world with these names, in the form of a zone file.
    pub(crate) async fn start(zone: &str) -> Exchanger {
        Exchanger::with(zone, |builder| builder).await
    }

    pub(crate) async fn with(
        zone: &str,
        change: impl FnOnce(EmbeddedBuilder) -> EmbeddedBuilder,
    ) -> Exchanger {
        let dns = DnsServer::start(zone).await;
        let smtp = SocketAddr::from((loopback(), COMMON_PORT));
        let server = change(Embedded::direct(&dns).smtp(smtp)).start().await;
        Exchanger { dns, server, smtp, stored: AtomicI64::new(0) }
    }

    /// Its answer to a message, from a client that calls itself `helo`.
    pub(crate) async fn offer(&self, helo: &str, from: &str, to: &[&str], content: &str) -> String {
        let mut client = SmtpClient::connect(self.smtp).await;
        client.expect(&format!("EHLO {helo}"), "250").await;
        let parameters = if from.is_ascii() { "" } else { " SMTPUTF8" };
        client.expect(&format!("MAIL FROM:<{from}>{parameters}"), "250").await;
        for to in to {
            client.expect(&format!("RCPT TO:<{to}>"), "250").await;
        }
        client.expect("DATA", "354").await;
        assert!(!content.contains("\r\n."), "no line needs a dot more");
        client.write(content.as_bytes()).await;
        client.write(b".\r\n").await;
        let answer = client.reply().await;
        if answer.starts_with("250") {
            let copies = i64::try_from(to.len()).expect("few recipients");
            self.stored.fetch_add(copies, Ordering::Relaxed);
        }
        answer
    }

    /// What became of a message to the rider that has to be taken.
    pub(crate) async fn take(&self, helo: &str, from: &str, content: &str) -> Taken {
        self.take_for("rider@localhost", helo, from, content).await
    }

    /// The same for a message to somebody else of the rider's account.
    pub(crate) async fn take_for(&self, to: &str, helo: &str, from: &str, content: &str) -> Taken {
        let answer = self.offer(helo, from, &[to], content).await;
        assert!(answer.starts_with("250"), "from {from}: {answer}");
        self.newest().await
    }

    /// The message that was taken last.
    pub(crate) async fn newest(&self) -> Taken {
        self.taken(self.newest_id()).await
    }

    /// Its id.
    pub(crate) fn newest_id(&self) -> i64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// The message with that id.
    pub(crate) async fn taken(&self, id: i64) -> Taken {
        let request = json!({"MsgID": id});
        let got = self.server.api().ok("MessageGet", &request).await;
        let raw = self.server.api().call("MessageRawGet", &request).await.expect("the server answers");
        Taken { meta: got["Meta"].clone(), message: got["Message"].clone(), raw: raw.text() }
    }
}

/// A message that was taken.
pub(crate) struct Taken {
    /// As in MessageGet.
    pub(crate) meta: Value,
    pub(crate) message: Value,
    pub(crate) raw: String,
}

impl Taken {
    /// Our own Authentication-Results field, one line a result, without white space around them.
    pub(crate) fn results(&self) -> Vec<&str> {
        let start = "\r\nAuthentication-Results: mail.example;";
        let (_, rest) = self.raw.split_once(start).unwrap_or_else(|| panic!("no results in\n{}", self.raw));
        let (field, _) = rest.split_once("\r\nReceived: ").expect("a Received field of ours");
        field.split(";\r\n").map(str::trim).collect()
    }

    /// The results of one method: what follows its name.
    pub(crate) fn results_of(&self, method: &str) -> Vec<&str> {
        let results = self.results().into_iter();
        results.filter_map(|line| line.strip_prefix(method)?.strip_prefix('=')).collect()
    }
}
