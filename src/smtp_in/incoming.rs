//! What is accepted of incoming mail, and what happens to it.

use super::{
    authentication::{self, Authenticator, AuthorsFault, Bringer, Demand, Received, Results},
    metrics::Metrics,
    prepare::{Prepared, Unready, check_header, prepare},
    simulated::{self, Simulated},
    trace::Trace,
};
use crate::{
    app::{App, LOCAL_ACCOUNT, Mode},
    slow_work::work_on,
    smtp_server::{Answer, Client, Owner},
};
use actors::WriteError;
use bytes::Bytes;
use mail::{AccountId, Address, FromId, Localpart, QueueId, ReversePath, feedback::Feedback};
use smtp::{AuthAnswer, AuthQuestion, MailCommand, RcptCommand, Reply};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
};
use store::{Arrival, ArrivalRecipient, Directory, DirectoryAccount, Refusal, StoreError};
use tokio::task::JoinError;

/// A larger message is read on a thread that may block.
const READ_AT_ONCE_MAX: usize = 256 * 1024;

/// The decisions of one session.
pub(crate) struct Incoming {
    app: Arc<App>,
    metrics: Metrics,
    authenticator: Rc<Authenticator>,
    remote: IpAddr,
    /// The envelope with everything parsed, in step with that of the session.
    envelope: Option<Envelope>,
}

struct Envelope {
    mail_from: ReversePath,
    smtputf8: bool,
    recipients: Vec<ArrivalRecipient>,
    /// What the first recipient that asks for it wants to see at the end of the data.
    simulated: Option<Simulated>,
}

impl Incoming {
    pub(super) fn new(
        app: Arc<App>,
        metrics: Metrics,
        authenticator: Rc<Authenticator>,
        remote: IpAddr,
    ) -> Incoming {
        Incoming { app, metrics, authenticator, remote, envelope: None }
    }
}

impl Owner for Incoming {
    fn mail(&mut self, mail: &MailCommand) -> Answer {
        self.envelope = None;
        let mail_from = match ReversePath::parse(&mail.from) {
            Ok(mail_from) => mail_from,
            Err(error) => return say(501, 1, 7, &format!("Bad sender address: {error}")),
        };
        if self.app.mode == Mode::Local
            && let Some(address) = mail_from.address()
            && let Some(failure) =
                simulated::at_mail(address, separator(&self.app.handles.store.directory(), address))
        {
            return failure.into();
        }
        let recipients = Vec::new();
        self.envelope = Some(Envelope { mail_from, smtputf8: mail.smtputf8, recipients, simulated: None });
        say(250, 1, 0, "Sender OK")
    }

    fn rcpt(&mut self, rcpt: &RcptCommand) -> Answer {
        let Some(envelope) = &mut self.envelope else { return say(503, 5, 1, "MAIL first") };
        let directory = self.app.handles.store.directory();
        let rcpt_to = match recipient(&self.app, &directory, &rcpt.path) {
            Ok(address) => address,
            Err(answer) => return answer,
        };
        let separator = separator(&directory, &rcpt_to);
        let account = match self.app.mode {
            Mode::Serve => account(&directory, &rcpt_to),
            Mode::Local => {
                if let Some(failure) = simulated::at_rcpt(&rcpt_to, separator) {
                    return failure.into();
                }
                let failure = simulated::at_data(&rcpt_to, separator);
                envelope.simulated = envelope.simulated.or(failure);
                rider(&directory)
            }
        };
        let from_id = separator.and_then(|separator| FromId::parse(rcpt_to.split_at_separator(separator).1?));
        let account = account.and_then(|account| match &from_id {
            // A report finds its message even where no mailbox has room for it.
            Some(from_id) if was_sent(&self.app, account.id, from_id)? => Ok(account.id),
            _ => with_room(&self.app, account),
        });
        let account = match account {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        if envelope.recipients.iter().all(|other| other.rcpt_to != rcpt_to) {
            envelope.recipients.push(ArrivalRecipient { account, rcpt_to, from_id });
        }
        say(250, 1, 5, "Recipient OK")
    }

    async fn message(&mut self, client: Client<'_>, content: Bytes) -> Answer {
        let Some(envelope) = self.envelope.take() else { return say(503, 5, 1, "MAIL first") };
        let size = content.len();
        let id = ArrivalId::random();
        let answer = match envelope.simulated {
            Some(failure) => failure.into(),
            None => match self.store(envelope, client, content, &id).await {
                Ok(()) => say(250, 0, 0, &format!("Stored as {}", id.text)),
                Err(answer) => answer,
            },
        };
        self.metrics.messages.with_label_values(&[result(&answer)]).inc();
        let code = match &answer {
            Answer::Say(reply) => reply.code(),
            Answer::Silence => 0,
        };
        tracing::debug!(message.id = id.text, size, smtp.code = code, "a message came over SMTP");
        answer
    }

    /// Nobody logs in to hand in mail from elsewhere, and AUTH is not offered.
    async fn auth(&mut self, _: AuthQuestion) -> AuthAnswer {
        AuthAnswer::Refuse(Reply::with_enhanced(535, 7, 8, "Nobody can log in here"))
    }

    fn forget(&mut self) {
        self.envelope = None;
    }
}

impl Incoming {
    async fn store(
        &self,
        envelope: Envelope,
        client: Client<'_>,
        content: Bytes,
        id: &ArrivalId,
    ) -> Result<(), Answer> {
        let handles = &self.app.handles;
        if handles.writer.room() == 0 {
            // Before a file is written that nothing would refer to.
            return Err(no_room());
        }
        let received = self.receive(content).await?;
        let results = self.authenticate(&envelope, &client, &received).await?;
        let now = handles.clock.now();
        let trace = Trace {
            mail_from: &envelope.mail_from,
            recipient: match envelope.recipients.as_slice() {
                [only] => Some(&only.rcpt_to),
                _ => None,
            },
            peer: client.peer,
            remote: self.remote,
            secure: client.secure,
            smtputf8: envelope.smtputf8,
            hostname: &self.app.hostname,
            id: &id.text,
            now,
            results: &authentication::field(&self.app.hostname, results.as_ref()),
        };
        let prepared = self.prepare(id.name, trace.fields(), received, envelope.mail_from.is_null()).await?;
        let named = self.named(&envelope.recipients, prepared.feedback.as_ref()).await?;
        let arrival = Arrival {
            now,
            content: prepared.content,
            size: prepared.size,
            recipients: envelope.recipients,
            mail_from: envelope.mail_from,
            mail_from_validated: results.as_ref().is_some_and(Results::mail_from_is_validated),
            msg_from_validated: results
                .as_ref()
                .is_some_and(|results| results.validates(prepared.msg_from.as_ref())),
            msg_from: prepared.msg_from,
            dkim_verified_domains: results.as_ref().map(Results::verified_domains).unwrap_or_default(),
            remote_ip: Some(self.remote),
            dsn: prepared.dsn,
            automated: prepared.automated,
            returned_from_id: self.returned_from_id(prepared.feedback.as_ref()),
            feedback: prepared.feedback,
            named,
        };
        let is_report = arrival.feedback.is_some();
        let arrived = handles.writer.arrive(arrival).await.map_err(|error| not_written(&error))?;
        self.metrics.count_arrived(&arrived, is_report, &self.app.metrics);
        Ok(())
    }

    /// Reads a message whose header is as it may be.
    async fn receive(&self, content: Bytes) -> Result<Received, Answer> {
        let verifying = self.authenticator.asks();
        let large = content.len() > READ_AT_ONCE_MAX;
        let work = move || {
            check_header(&content)?;
            Ok(Received::read(content, verifying))
        };
        work_on(large, work).await.map_err(broken)?.map_err(not_ready)
    }

    /// What there is to say about who the message is from, unless its author's domain wants it refused for that.
    async fn authenticate(
        &self,
        envelope: &Envelope,
        client: &Client<'_>,
        received: &Received,
    ) -> Result<Option<Results>, Answer> {
        let bringer = Bringer {
            remote: self.remote,
            name: client.peer.map_or("", |peer| &peer.name),
            mail_from: &envelope.mail_from,
            hostname: &self.app.hostname,
        };
        let Some(results) = self.authenticator.verify(bringer, received).await else { return Ok(None) };
        self.metrics.count_results(&results);
        let refusal = match results.demand() {
            Demand::Accept => return Ok(Some(results)),
            Demand::Refuse => refused_by_policy(),
            Demand::Later => try_policy_later(),
            Demand::RefuseAuthors(fault) => refused_for_authors(fault),
        };
        for recipient in &envelope.recipients {
            let Some(from_id) = &recipient.from_id else { return Err(refusal) };
            if !was_sent(&self.app, recipient.account, from_id)? {
                return Err(refusal);
            }
        }
        // What comes back about a message that was sent is told, even where a relay on its way broke its signature.
        Ok(Some(results))
    }

    /// The FromID in the return path that a report names, and whose it is.
    fn returned_from_id(&self, feedback: Option<&Feedback>) -> Option<(AccountId, FromId)> {
        let return_path = feedback?.original().return_path.as_ref()?;
        let directory = self.app.handles.store.directory();
        let separator = separator(&directory, return_path)?;
        let from_id = FromId::parse(return_path.split_at_separator(separator).1?)?;
        Some((directory.owner(return_path)?.id, from_id))
    }

    /// The messages that a report may mean which nothing else proves: looked for here, as the one who writes has no time
    /// for it.
    async fn named(
        &self,
        recipients: &[ArrivalRecipient],
        feedback: Option<&Feedback>,
    ) -> Result<BTreeMap<AccountId, QueueId>, Answer> {
        let Some(feedback) = feedback.cloned() else { return Ok(BTreeMap::new()) };
        let accounts: BTreeSet<_> = recipients.iter().map(|recipient| recipient.account).collect();
        let store = self.app.handles.store.clone();
        let work = move || store.read(|view| view.named(accounts, &feedback));
        work_on(true, work).await.map_err(broken)?.map_err(|error| not_ready(Unready::Store(error)))
    }

    async fn prepare(
        &self,
        name: [u8; 16],
        trace: String,
        received: Received,
        null_path: bool,
    ) -> Result<Prepared, Answer> {
        let (store, hostname) = (self.app.handles.store.clone(), self.app.hostname.clone());
        let size = trace.len() + received.size();
        let large = size > READ_AT_ONCE_MAX || store.is_large(size);
        let work = move || prepare(&store, name, &trace, received.into_content(&hostname), null_path);
        work_on(large, work).await.map_err(broken)?.map_err(not_ready)
    }
}

fn broken(error: JoinError) -> Answer {
    tracing::error!(%error, "a message could not be read");
    failed()
}

fn not_ready(unready: Unready) -> Answer {
    match unready {
        Unready::LongHeader => say(554, 6, 0, "The header of the message is longer than 1 MiB, shorten it"),
        Unready::Loop => say(554, 4, 6, "Too many Received fields: the message runs in a circle"),
        Unready::Store(StoreError::Full) => no_room(),
        Unready::Store(error) => {
            tracing::error!(%error, "a message could not be stored");
            failed()
        }
    }
}

impl From<Simulated> for Answer {
    fn from(failure: Simulated) -> Answer {
        failure.reply().map_or(Answer::Silence, Answer::Say)
    }
}

/// Names an arrival: in its Received field, its answer, its log line, and its file if it has one.
struct ArrivalId {
    name: [u8; 16],
    text: String,
}

impl ArrivalId {
    fn random() -> ArrivalId {
        let name: [u8; 16] = rand::random();
        let text = name.iter().fold(String::with_capacity(32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
            text
        });
        ArrivalId { name, text }
    }
}

/// The separator of the address's domain, when the domain is ours.
fn separator(directory: &Directory, address: &Address) -> Option<char> {
    directory.domain(address.domain()).map(|domain| domain.record.catchall_separator)
}

/// The address in RCPT. A postmaster without a domain is the one of this host (RFC 5321 section 4.5.1), or else of
/// one of its domains, the first by name.
fn recipient(app: &App, directory: &Directory, path: &str) -> Result<Address, Answer> {
    let bad = |error| say(501, 1, 3, &format!("Bad recipient address: {error}"));
    if path.contains('@') {
        return Address::parse(path).map_err(bad);
    }
    let postmaster = Localpart::parse(path).map_err(bad)?;
    let of = |domain| Address::new(postmaster.clone(), domain);
    let own = of(app.hostname.clone()).map_err(bad)?;
    if directory.owner(&own).is_some() {
        return Ok(own);
    }
    let mut domains: Vec<_> = directory.domains().map(|domain| &domain.record.name).collect();
    domains.sort_unstable();
    let others = domains.into_iter().filter_map(|domain| of(domain.clone()).ok());
    Ok(others.into_iter().find(|other| directory.owner(other).is_some()).unwrap_or(own))
}

/// Whose the address is, in a server for its accounts only.
fn account<'d>(directory: &'d Directory, address: &Address) -> Result<&'d DirectoryAccount, Answer> {
    match directory.owner(address) {
        Some(account) if account.record.disabled => Err(say(550, 2, 1, "Mailbox disabled")),
        Some(account) => Ok(account),
        None if directory.domain(address.domain()).is_some() => Err(say(550, 1, 1, "No such mailbox")),
        None => Err(say(550, 7, 1, "Relaying denied: no mail is taken for this domain")),
    }
}

/// The account of a developer's server.
fn rider(directory: &Directory) -> Result<&DirectoryAccount, Answer> {
    match directory.accounts().find(|account| account.record.name == LOCAL_ACCOUNT) {
        Some(account) if account.record.disabled => Err(say(550, 2, 1, "Mailbox disabled")),
        Some(account) => Ok(account),
        None => Err(say(451, 3, 0, "The account rider is missing")),
    }
}

/// Whether a message with that FromID is in the queue or in history.
fn was_sent(app: &App, account: AccountId, from_id: &FromId) -> Result<bool, Answer> {
    match app.handles.store.read(|view| view.by_from_id(account, from_id)) {
        Ok(found) => Ok(found.is_some()),
        Err(error) => {
            tracing::error!(%error, "a FromID could not be looked up");
            Err(failed())
        }
    }
}

/// The account, unless its mailboxes are full.
fn with_room(app: &App, account: &DirectoryAccount) -> Result<AccountId, Answer> {
    match app.handles.store.read(|view| view.is_over_quota(account.id, &account.record)) {
        Ok(false) => Ok(account.id),
        Ok(true) => Err(mailbox_full()),
        Err(error) => {
            tracing::error!(%error, "the room in a mailbox could not be read");
            Err(failed())
        }
    }
}

pub(super) fn not_written(error: &WriteError) -> Answer {
    if error.is_temporary() {
        return no_room();
    }
    if let WriteError::Refused(Refusal::OverQuota) = error {
        return mailbox_full();
    }
    // A store that fails is in the log already, once for all that waited; a refusal is not.
    if let WriteError::Refused(refusal) = error {
        tracing::warn!(%refusal, "a message could not be stored");
    }
    failed()
}

fn no_room() -> Answer {
    say(452, 3, 1, "Too much mail at the moment, try again later")
}

/// Temporary, since its owner can make room (RFC 3463, 3.3: X.2.2).
fn mailbox_full() -> Answer {
    say(452, 2, 2, "Mailbox full, try again later")
}

fn refused_by_policy() -> Answer {
    say(
        550,
        7,
        1,
        "The domain in From wants this refused (DMARC): neither SPF nor DKIM shows that it is from there. Send it \
         through a server that the domain allows, or sign it with a DKIM key of the domain",
    )
}

fn refused_for_authors(fault: AuthorsFault) -> Answer {
    let text = match fault {
        AuthorsFault::Repeated => "The message has more than one From field, send it with one",
        AuthorsFault::Unclear => {
            "It is not clear who the message is from. Write the author like this: From: Name <name@example.org>, and \
             every line of the header like this: Name: value"
        }
    };
    say(554, 6, 0, text)
}

fn try_policy_later() -> Answer {
    say(
        451,
        7,
        0,
        "SPF or DKIM could not be looked up, and the domain in From wants what neither passes refused (DMARC). Try \
         again later, and see that the name servers of your domains answer",
    )
}

fn failed() -> Answer {
    say(451, 3, 0, "The message could not be stored, try again later")
}

fn say(code: u16, subject: u16, detail: u16, text: &str) -> Answer {
    Answer::Say(Reply::with_enhanced(code, subject, detail, text))
}

/// For the counter.
fn result(answer: &Answer) -> &'static str {
    match answer {
        Answer::Say(reply) if reply.is_positive() => "stored",
        Answer::Say(reply) if reply.is_permanent() => "refused",
        Answer::Say(_) | Answer::Silence => "deferred",
    }
}
