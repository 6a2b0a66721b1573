//! A server without listeners that messages are submitted to, for the tests of this module.

use super::{Bringer, Envelope, Refused, submit};
use crate::{
    app::{App, Mode},
    testing::{Setup, account, domain},
};
use bytes::Bytes;
use mail::{DkimKey, QueueId};
use smtp::{Command, Peer, Reply};
use std::sync::Arc;
use store::{
    DirectoryAccount,
    records::{AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord, QueueRecord},
};

pub(super) struct TestServer {
    pub(super) app: Arc<App>,
    _dir: tempfile::TempDir,
}

impl TestServer {
    /// Accounts `rider`, who gets FromIDs, `other` and `disabled`, each with an address at localhost. The rider also has
    /// the catch-alls of all.example and of disabled.example, which is.
    pub(super) async fn start(mode: Mode) -> TestServer {
        TestServer::with(mode, |_| {}).await
    }

    /// With something changed about all accounts.
    pub(super) async fn with(mode: Mode, change: impl Fn(&mut AccountRecord)) -> TestServer {
        let mut setup = Setup::new("mail.example", |_| {});
        setup.mode = mode;
        let (app, dir) = setup.start();
        let writer = &app.handles.writer;
        let key = DkimKeyRecord { selector: "s1".into(), pkcs8: DkimKey::generate_ed25519().unwrap() };
        for (name, disabled) in [("localhost", false), ("all.example", false), ("disabled.example", true)] {
            let dkim = vec![key.clone()];
            writer.put_domain(DomainRecord { disabled, dkim, ..domain(name) }).await.unwrap();
        }
        for name in ["rider", "other", "disabled"] {
            let mut account = account(name);
            if name == "rider" {
                for domain in ["all.example", "disabled.example"] {
                    account.addresses.push(AddressPattern::CatchAll(domain.parse().unwrap()));
                }
                account.from_id_login_addresses.push("rider@localhost".parse().unwrap());
            }
            change(&mut account);
            writer.put_account(account).await.unwrap();
        }
        TestServer { app, _dir: dir }
    }

    pub(super) fn account(&self, name: &str) -> Arc<DirectoryAccount> {
        let directory = self.app.handles.store.directory();
        directory.accounts().find(|account| account.record.name == name).unwrap().clone()
    }

    /// What is made of a MAIL and the RCPTs after it, each without its verb, as `FROM:<a@b>`.
    pub(super) fn envelope(&self, account: &str, commands: &[&str]) -> Result<Envelope, Refused> {
        let account = self.account(account);
        let wants_from_ids = !account.record.from_id_login_addresses.is_empty();
        let mut envelope = None;
        for command in commands {
            let verb = if command.starts_with("FROM") { "MAIL" } else { "RCPT" };
            match Command::parse(format!("{verb} {command}").as_bytes()).unwrap() {
                Command::Mail(mail) => {
                    envelope = Some(Envelope::begin(&self.app, account.id, wants_from_ids, &mail)?);
                }
                Command::Rcpt(rcpt) => envelope.as_mut().unwrap().add(&self.app, &rcpt)?,
                other => panic!("{other:?}"),
            }
        }
        Ok(envelope.unwrap())
    }

    /// Submits over TLS from 192.0.2.1, and answers with the code, the enhanced code, and the text.
    pub(super) async fn submit(
        &self,
        account: &str,
        commands: &[&str],
        content: impl Into<Vec<u8>>,
    ) -> String {
        match self.envelope(account, commands) {
            Ok(envelope) => said(self.submit_for(envelope, content).await),
            Err(refused) => said(Err(refused)),
        }
    }

    pub(super) async fn submit_for(
        &self,
        envelope: Envelope,
        content: impl Into<Vec<u8>>,
    ) -> Result<Reply, Refused> {
        let peer = Peer { name: "client.example".into(), extended: true };
        let bringer = Bringer { peer: Some(&peer), remote: [192, 0, 2, 1].into(), secure: true };
        submit(&self.app, envelope, bringer, Bytes::from(content.into())).await
    }

    pub(super) fn queued(&self, id: u64) -> QueueRecord {
        self.app.handles.store.read(|view| view.message(QueueId(id))).unwrap().unwrap()
    }

    pub(super) fn queue_length(&self) -> u64 {
        self.app.handles.store.read(|view| view.totals()).unwrap().queued
    }

    pub(super) fn content(&self, id: u64) -> String {
        let content = self.queued(id).content;
        let bytes = self.app.handles.store.read(|view| view.content(content)).unwrap().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) fn counted(&self, result: &str) -> u64 {
        self.app.submissions.with_label_values(&["submission", result]).get()
    }
}

/// As a client hears it; `silence` for nothing.
pub(super) fn said(answer: Result<Reply, Refused>) -> String {
    match answer {
        Ok(reply) => reply.to_string(),
        Err(refused) => refused.reply().map_or_else(|| "silence".into(), |reply| reply.to_string()),
    }
}
