//! One attempt: a transaction for messages that share it, over an idle connection or the first host that takes it.

use super::{
    Deps,
    connection::{Connection, OpenError},
    convert::{self, ConvertError},
    tls_policy::Demand,
    walk::{Obstacle, Walk},
};
use crate::pace::Health;
use bytes::Bytes;
use mail::{EnhancedCode, QueueId, Stage, Timestamp};
use smtp::{Failure, Phase, Recipient, RecipientResult, Reply, Transaction, TransactionResult};
use std::{cell::Cell, net::IpAddr, rc::Rc};
use store::records::{Attempt, AttemptResult, QueueRecord, SmtpAnswer, TlsFacts, TlsPolicyKind};
use tokio::time::Instant;

/// Answers and errors are kept in history up to this many bytes.
const TEXT_MAX: usize = 1024;

/// Messages that go in one transaction: same content, return path and demands.
pub(crate) struct Job {
    pub(crate) messages: Vec<(QueueId, QueueRecord)>,
    pub(crate) placed: Placed,
}

/// Since when an attempt has had a place among the connections, if it has one: before that, it is not the host that
/// takes long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed(Rc<Cell<Option<Instant>>>);

impl Placed {
    pub(crate) fn set(&self) {
        if self.0.get().is_none() {
            self.0.set(Some(Instant::now()));
        }
    }

    pub(crate) fn since(&self) -> Option<Instant> {
        self.0.get()
    }
}

impl Job {
    /// What all of them ask of TLS.
    pub(crate) fn demand(&self) -> Demand {
        Demand::of(self.messages[0].1.require_tls)
    }
}

/// What an attempt came to.
pub(crate) struct Attempted {
    /// One for each message of the job, in order; `None`: the host took no more recipients at a time, and the
    /// message is still due.
    pub(crate) attempts: Vec<Option<Ended>>,
    /// What it says about the destination.
    pub(crate) health: Health,
    /// The connection, when it is of further use.
    pub(crate) connection: Option<Box<Connection>>,
    /// Recipients that the host takes in one transaction, where that is known.
    pub(crate) recipients_max: Option<usize>,
    /// Whether the host reports what becomes of messages (RFC 3461).
    pub(crate) reports: bool,
}

/// An attempt as it ended for one message.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) attempt: Attempt,
    /// What the answer was to, if there was one.
    pub(crate) stage: Stage,
}

/// The content of the messages cannot be had.
struct NoContent {
    error: String,
    permanent: bool,
    enhanced: Option<EnhancedCode>,
    /// Another host may take it as it is.
    elsewhere: bool,
}

impl NoContent {
    fn new(error: &str, permanent: bool) -> NoContent {
        NoContent { error: error.into(), permanent, enhanced: None, elsewhere: false }
    }
}

impl From<ConvertError> for NoContent {
    fn from(error: ConvertError) -> NoContent {
        let enhanced = Some(error.enhanced());
        NoContent { error: error.to_string(), permanent: true, enhanced, elsewhere: true }
    }
}

/// Delivers a job, on `idle` when given.
pub(crate) async fn attempt(
    deps: &Deps,
    destination: &str,
    job: Job,
    idle: Option<Box<Connection>>,
) -> Attempted {
    let started = deps.clock.now();
    let mut chunking = true;
    if let Some(connection) = idle {
        job.placed.set();
        let facts = Facts::of(&connection, started, 0);
        let (result, connection) = transact(deps, connection, &job).await;
        chunking = !result.as_ref().is_ok_and(refused_chunking);
        // The host closed the connection while it was idle: that says nothing about the message.
        if chunking && !result.as_ref().is_ok_and(was_stale) {
            return conclude(&facts, result, connection, deps.clock.now(), job.messages.len());
        }
    }
    // Apart, since most messages go over an idle connection, and tasks that are small are moved at less cost.
    Box::pin(connect_and_transact(deps, destination, job, started, chunking)).await
}

/// Delivers a job over a new connection to the first host that takes it.
async fn connect_and_transact(
    deps: &Deps,
    destination: &str,
    job: Job,
    started: Timestamp,
    chunking: bool,
) -> Attempted {
    let count = job.messages.len();
    let obstructed = |obstacle| obstructed(started, deps.clock.now(), obstacle, count);
    let mut walk = match Walk::begin(deps, destination, &job).await {
        Ok(walk) => walk,
        Err(obstacle) => return obstructed(obstacle),
    };
    if !chunking {
        walk.leave_chunking();
    }
    let mut ended = None;
    while let Some(reached) = walk.next().await {
        let connection = match reached {
            Ok(connection) => connection,
            // What a host said to the message tells more than that another one is out of reach.
            Err(obstacle) => return ended.unwrap_or_else(|| obstructed(obstacle)),
        };
        let facts = Facts::of(&connection, started, milliseconds(started, deps.clock.now()));
        let (hop, policy) = (connection.hop.clone(), connection.policy.clone());
        let (result, connection) = transact(deps, connection, &job).await;
        if result.as_ref().is_ok_and(refused_chunking) {
            walk.leave_chunking();
            walk.go_back(hop, policy);
        }
        let elsewhere =
            walk.goes_on() && result.as_ref().map_or_else(|none| none.elsewhere, may_go_better_elsewhere);
        ended = Some(conclude(&facts, result, connection, deps.clock.now(), count));
        if !elsewhere {
            break;
        }
    }
    ended.unwrap_or_else(|| obstructed(Obstacle::Setting("the destination has no hosts".into())))
}

/// The content is read only now that there is a connection for it, so that no more contents than connections
/// are in memory, and those within a bound.
async fn transact(
    deps: &Deps,
    mut connection: Box<Connection>,
    job: &Job,
) -> (Result<TransactionResult, NoContent>, Option<Box<Connection>>) {
    let (_, first) = &job.messages[0];
    let most = (deps.options.content_bytes_max / 1024).max(1);
    let kib = usize::try_from(first.size / 1024).unwrap_or(usize::MAX).clamp(1, most);
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    let _room = deps.content_kib.acquire_many(kib).await.expect("the semaphore is never closed");
    let eight_bit = first.eight_bit && (first.smtputf8 || connection.extensions().eight_bit_mime);
    let content = match content(deps, first).await {
        Ok(content) if first.eight_bit && !eight_bit => {
            Box::pin(convert::for_author(&deps.store, content)).await.map_err(NoContent::from)
        }
        other => other,
    };
    let content = match content {
        Ok(content) => content,
        Err(none) => return (Err(none), Some(connection)),
    };
    let result = connection.send(Transaction { eight_bit, ..transaction(job, content) }).await;
    let usable = connection.is_usable().await;
    (Ok(result), usable.then_some(connection))
}

async fn content(deps: &Deps, message: &QueueRecord) -> Result<Bytes, NoContent> {
    let (store, id) = (deps.store.clone(), message.content);
    let read = move || store.read(|view| view.content(id));
    let large = deps.store.is_large(usize::try_from(message.size).unwrap_or(usize::MAX));
    let content = if large {
        tokio::task::spawn_blocking(read).await.map_err(|_| NoContent::new("internal error", false))?
    } else {
        read()
    };
    match content {
        Ok(Some(content)) => Ok(content),
        Ok(None) => {
            tracing::error!(content.id = %id, "the content of a queued message is missing");
            Err(NoContent::new("the content of the message is missing", true))
        }
        Err(error) => {
            tracing::error!(content.id = %id, %error, "the content of a queued message cannot be read");
            Err(NoContent::new("the content of the message cannot be read", false))
        }
    }
}

fn transaction(job: &Job, content: Bytes) -> Transaction {
    let (_, first) = &job.messages[0];
    Transaction {
        mail_from: first.mail_from.to_smtp(),
        recipients: job.messages.iter().map(|(_, message)| recipient(message)).collect(),
        content,
        eight_bit: first.eight_bit,
        smtputf8: first.smtputf8,
        require_tls: first.require_tls == Some(true),
        envid: Some(envid(first)),
        ret: Some(match first.dsn.ret {
            Some(mail::DsnReturn::Full) => smtp::Ret::Full,
            // What comes back is matched by its header, and bodies are somebody's secrets.
            Some(mail::DsnReturn::Headers) | None => smtp::Ret::Headers,
        }),
    }
}

/// The sender's own, or else the Message-ID: RFC 3461, 5.2.1 passes on only what the sender gave, but by this a report
/// about any message is matched. So it goes with every message, and with it RET.
fn envid(message: &QueueRecord) -> String {
    let message_id = || message.message_id.trim_matches(['<', '>']).to_owned();
    message.dsn.envid.clone().unwrap_or_else(message_id)
}

fn recipient(message: &QueueRecord) -> Recipient {
    let path = message.recipient.to_smtp();
    let notify = message.dsn.notify.map(|notify| match notify {
        mail::DsnNotify::Never => smtp::Notify::Never,
        mail::DsnNotify::On { success, failure, delay } => smtp::Notify::On { success, failure, delay },
    });
    let asked = message.dsn.original_recipient.as_deref().and_then(|orcpt| orcpt.split_once(';'));
    // Without it, a report may name only the mailbox that the address was an alias of.
    let kind = if path.is_ascii() { "rfc822" } else { "utf-8" };
    let (kind, address) = asked.unwrap_or((kind, &path));
    let orcpt = smtp::OriginalRecipient { address_type: kind.to_owned(), address: address.to_owned() };
    Recipient { orcpt: Some(orcpt), notify, path }
}

/// The outcome of a transaction, message by message.
fn conclude(
    facts: &Facts,
    result: Result<TransactionResult, NoContent>,
    connection: Option<Box<Connection>>,
    ended: Timestamp,
    count: usize,
) -> Attempted {
    let offers = connection.as_ref().and_then(|connection| connection.extensions().limits.rcpt_max);
    let mut recipients_max = offers.and_then(|max| usize::try_from(max).ok());
    let (results, health) = match result {
        Ok(result) => {
            let health = health(&result);
            let taken = result.recipients.iter().filter(|recipient| is_accepted(recipient)).count();
            if result.recipients.iter().any(|one| matches!(one, RecipientResult::TooMany { .. })) {
                recipients_max = Some(taken);
            }
            (result.recipients.into_iter().map(attempt_result).collect::<Vec<_>>(), health)
        }
        Err(NoContent { error, permanent, enhanced, .. }) => {
            let result = AttemptResult::Failed { error, permanent, enhanced };
            (vec![Some((result, Stage::Session)); count], Health::Unknown)
        }
    };
    let ended = |(result, stage)| Ended { attempt: facts.attempt(result, ended), stage };
    let attempts = results.into_iter().map(|result| result.map(ended)).collect();
    Attempted { attempts, health, connection, recipients_max, reports: facts.reports }
}

/// The outcome where no host was found that takes the messages.
fn obstructed(started: Timestamp, ended: Timestamp, obstacle: Obstacle, count: usize) -> Attempted {
    let mut facts = Facts {
        started,
        connect_ms: 0,
        host: String::new(),
        address: None,
        tls: None,
        policy: None,
        reports: false,
    };
    let mut error = obstacle.to_string();
    error.truncate(error.floor_char_boundary(TEXT_MAX));
    let failed =
        AttemptResult::Failed { error, permanent: obstacle.is_permanent(), enhanced: obstacle.enhanced() };
    let mut stage = Stage::Session;
    let (result, health) = match obstacle {
        Obstacle::Refusal { code, text } => {
            let (enhanced, text) = match EnhancedCode::at_start(&text) {
                Some((enhanced, rest)) => (Some(enhanced), rest.to_owned()),
                None => (None, text),
            };
            stage = Stage::Recipient;
            (AttemptResult::Refused(SmtpAnswer { code, enhanced, text }), Health::Unknown)
        }
        Obstacle::Open { host, address, policy, error } => {
            facts.host = host;
            facts.address = Some(address);
            facts.policy = Some(policy);
            match error {
                OpenError::Session(Failure::Refused { reply, at }) if at != Phase::Auth => {
                    (AttemptResult::Refused(answer(&reply)), Health::Unreachable)
                }
                _ => (failed, Health::Unreachable),
            }
        }
        Obstacle::NoAddress { host, .. } | Obstacle::Unfit { host, .. } => {
            facts.host = host;
            (failed, Health::Unknown)
        }
        Obstacle::Lookup(_) => (failed, Health::Unreachable),
        Obstacle::Nowhere(_) | Obstacle::Setting(_) => (failed, Health::Unknown),
    };
    let attempts = vec![Some(Ended { attempt: facts.attempt(result, ended), stage }); count];
    Attempted { attempts, health, connection: None, recipients_max: None, reports: false }
}

/// The host offers BDAT, and does not know it.
fn refused_chunking(result: &TransactionResult) -> bool {
    let refused =
        |one: &RecipientResult| matches!(one, RecipientResult::Failed(Failure::ChunkingRefused { .. }));
    result.recipients.iter().any(refused)
}

fn was_stale(result: &TransactionResult) -> bool {
    result
        .recipients
        .iter()
        .all(|recipient| ended_before(recipient, &[Phase::Idle, Phase::Rset, Phase::Mail]))
}

/// Whether another host of the destination may take what this one did not: it broke off before it can have taken
/// anything, or lacks an extension.
fn may_go_better_elsewhere(result: &TransactionResult) -> bool {
    const BEFORE_THE_END: [Phase; 6] =
        [Phase::Idle, Phase::Rset, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Content];
    result.recipients.iter().all(|recipient| {
        ended_before(recipient, &BEFORE_THE_END)
            || matches!(
                recipient,
                RecipientResult::Failed(
                    Failure::RequireTlsNotOffered
                        | Failure::Smtputf8NotOffered
                        | Failure::EightBitNotOffered
                        | Failure::ChunkingRefused { .. }
                )
            )
    })
}

/// Whether the session ended at one of these phases, without a word or with the 421 of RFC 5321 3.8.
fn ended_before(recipient: &RecipientResult, phases: &[Phase]) -> bool {
    match recipient {
        RecipientResult::Failed(
            Failure::Closed { at } | Failure::TimedOut { at } | Failure::Protocol { at, .. },
        ) => phases.contains(at),
        RecipientResult::Refused { reply, at } => reply.code() == 421 && phases.contains(at),
        _ => false,
    }
}

fn is_accepted(recipient: &RecipientResult) -> bool {
    matches!(recipient, RecipientResult::Accepted(_))
}

fn health(result: &TransactionResult) -> Health {
    let strained = |recipient: &RecipientResult| match recipient {
        RecipientResult::Accepted(_) | RecipientResult::TooMany { .. } => false,
        RecipientResult::Refused { reply, .. } => reply.is_transient(),
        RecipientResult::Failed(failure) => {
            matches!(failure, Failure::TimedOut { .. } | Failure::Closed { .. } | Failure::Protocol { .. })
        }
    };
    // A busy host says so to everyone; one recipient's full mailbox is not its trouble.
    if result.recipients.iter().all(strained) { Health::Strained } else { Health::Good }
}

/// `None`: the host takes no more recipients at a time, and this one is offered again at once.
fn attempt_result(result: RecipientResult) -> Option<(AttemptResult, Stage)> {
    match result {
        RecipientResult::Accepted(reply) => {
            Some((AttemptResult::Delivered(answer(&reply)), Stage::Recipient))
        }
        RecipientResult::Refused { reply, at } => Some((AttemptResult::Refused(answer(&reply)), stage(at))),
        RecipientResult::TooMany { .. } => None,
        RecipientResult::Failed(failure) => {
            let failed = AttemptResult::Failed {
                permanent: failure.enhanced().is_some_and(|code| code.class() == 5),
                enhanced: failure.enhanced().and_then(enhanced_code),
                error: failure.to_string(),
            };
            Some((failed, stage(failure.at())))
        }
    }
}

fn stage(at: Phase) -> Stage {
    match at {
        Phase::Greeting
        | Phase::Ehlo
        | Phase::StartTls
        | Phase::Auth
        | Phase::Idle
        | Phase::Rset
        | Phase::Quit => Stage::Session,
        Phase::Mail => Stage::Sender,
        Phase::Rcpt | Phase::Data | Phase::Content | Phase::EndOfData => Stage::Recipient,
    }
}

fn answer(reply: &Reply) -> SmtpAnswer {
    let text: String = reply.lines().collect::<Vec<_>>().join(" ");
    SmtpAnswer {
        code: reply.code(),
        enhanced: reply.enhanced().and_then(enhanced_code),
        text: text[..text.floor_char_boundary(TEXT_MAX)].to_owned(),
    }
}

/// The same code as mail knows it.
pub(crate) fn enhanced_code(code: smtp::EnhancedCode) -> Option<EnhancedCode> {
    EnhancedCode::new(code.class(), code.subject(), code.detail())
}

/// What all messages of a job have in common.
struct Facts {
    started: Timestamp,
    connect_ms: u32,
    host: String,
    address: Option<IpAddr>,
    tls: Option<TlsFacts>,
    policy: Option<TlsPolicyKind>,
    reports: bool,
}

impl Facts {
    fn of(connection: &Connection, started: Timestamp, connect_ms: u32) -> Facts {
        Facts {
            started,
            connect_ms,
            host: connection.hop.host.clone(),
            address: Some(connection.hop.address.ip()),
            tls: connection.tls.clone(),
            policy: Some(connection.policy.kind),
            reports: connection.extensions().dsn,
        }
    }

    fn attempt(&self, result: AttemptResult, ended: Timestamp) -> Attempt {
        Attempt {
            started: self.started,
            duration_ms: milliseconds(self.started, ended),
            connect_ms: self.connect_ms,
            host: self.host.clone(),
            address: self.address,
            tls: self.tls.clone(),
            policy: self.policy,
            result,
        }
    }
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.since(from).as_millis()).unwrap_or(u32::MAX)
}
