//! One attempt: a transaction for messages that share it, over a new or an idle connection.

use super::{
    Deps,
    connection::{Connection, OpenError},
};
use crate::pace::Health;
use bytes::Bytes;
use mail::{EnhancedCode, QueueId, Timestamp};
use smtp::{Failure, Phase, Recipient, RecipientResult, Reply, Transaction, TransactionResult};
use std::net::IpAddr;
use store::records::{Attempt, AttemptResult, QueueRecord, SmtpAnswer};

/// Answers and errors are kept in history up to this many bytes.
const TEXT_MAX: usize = 1024;

/// Messages that go in one transaction: same content, return path and demands.
pub(crate) struct Job {
    pub(crate) messages: Vec<(QueueId, QueueRecord)>,
}

/// What an attempt came to.
pub(crate) struct Attempted {
    /// One for each message of the job, in order.
    pub(crate) attempts: Vec<Attempt>,
    /// What it says about the destination.
    pub(crate) health: Health,
    /// The connection, when it is of further use.
    pub(crate) connection: Option<Connection>,
}

/// Why there is no result.
enum Impossible {
    /// There is no connection.
    Open(OpenError),
    /// The content cannot be had.
    Content { error: &'static str, permanent: bool },
}

/// Delivers a job, on `idle` when given.
pub(crate) async fn attempt(deps: &Deps, destination: &str, job: Job, idle: Option<Connection>) -> Attempted {
    let started = deps.clock.now();
    let (result, connection) = match idle {
        Some(connection) => match transact(deps, connection, &job).await {
            // The host closed the connection while it was idle: that says nothing about the message.
            (Ok(result), _) if was_stale(&result) => connect_and_transact(deps, destination, &job).await,
            other => other,
        },
        None => connect_and_transact(deps, destination, &job).await,
    };
    let hop = deps.router.next_hop(destination);
    let facts = Facts {
        started,
        duration_ms: u32::try_from(deps.clock.now().since(started).as_millis()).unwrap_or(u32::MAX),
        host: hop.host.clone(),
        address: Some(hop.address.ip()),
    };
    let (results, health) = match result {
        Ok(result) => {
            let health = health(&result);
            (result.recipients.into_iter().map(attempt_result).collect(), health)
        }
        Err(Impossible::Open(error)) => {
            let (result, health) = unopened(error);
            (vec![result; job.messages.len()], health)
        }
        Err(Impossible::Content { error, permanent }) => {
            let result = AttemptResult::Failed { error: error.into(), enhanced: None, permanent };
            (vec![result; job.messages.len()], Health::Unknown)
        }
    };
    Attempted {
        attempts: results.into_iter().map(|result| facts.attempt(result)).collect(),
        health,
        connection,
    }
}

async fn connect_and_transact(
    deps: &Deps,
    destination: &str,
    job: &Job,
) -> (Result<TransactionResult, Impossible>, Option<Connection>) {
    let permit = deps.connections.clone().acquire_owned().await.expect("the semaphore is never closed");
    let hop = deps.router.next_hop(destination);
    let opened = Connection::open(
        &*deps.dialer,
        hop,
        &deps.options.ehlo_name,
        deps.options.timeouts,
        permit,
        &deps.metrics,
    )
    .await;
    match opened {
        Ok(connection) => transact(deps, connection, job).await,
        Err(error) => (Err(Impossible::Open(error)), None),
    }
}

/// The content is read only now that there is a connection for it, so that no more contents than connections
/// are in memory, and those within a bound.
async fn transact(
    deps: &Deps,
    mut connection: Connection,
    job: &Job,
) -> (Result<TransactionResult, Impossible>, Option<Connection>) {
    let (_, first) = &job.messages[0];
    let most = (deps.options.content_bytes_max / 1024).max(1);
    let kib = usize::try_from(first.size / 1024).unwrap_or(usize::MAX).clamp(1, most);
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    let _room = deps.content_kib.acquire_many(kib).await.expect("the semaphore is never closed");
    let content = match content(deps, first).await {
        Ok(content) => content,
        Err(impossible) => return (Err(impossible), Some(connection)),
    };
    let result = connection.send(transaction(job, content)).await;
    let usable = connection.is_usable().await;
    (Ok(result), usable.then_some(connection))
}

async fn content(deps: &Deps, message: &QueueRecord) -> Result<Bytes, Impossible> {
    let (store, id) = (deps.store.clone(), message.content);
    let read = move || store.read(|view| view.content(id));
    let large = deps.store.is_large(usize::try_from(message.size).unwrap_or(usize::MAX));
    let content = if large {
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Impossible::Content { error: "internal error", permanent: false })?
    } else {
        read()
    };
    match content {
        Ok(Some(content)) => Ok(content),
        Ok(None) => {
            tracing::error!(content.id = %id, "the content of a queued message is missing");
            Err(Impossible::Content { error: "the content of the message is missing", permanent: true })
        }
        Err(error) => {
            tracing::error!(content.id = %id, %error, "the content of a queued message cannot be read");
            Err(Impossible::Content { error: "the content of the message cannot be read", permanent: false })
        }
    }
}

fn transaction(job: &Job, content: Bytes) -> Transaction {
    let (_, first) = &job.messages[0];
    Transaction {
        mail_from: first.mail_from.to_smtp(),
        recipients: job
            .messages
            .iter()
            .map(|(_, message)| Recipient { path: message.recipient.to_smtp(), ..Recipient::default() })
            .collect(),
        content,
        eight_bit: first.eight_bit,
        smtputf8: first.smtputf8,
        require_tls: first.require_tls == Some(true),
        envid: None,
        ret: None,
    }
}

fn was_stale(result: &TransactionResult) -> bool {
    result.recipients.iter().all(|recipient| match recipient {
        RecipientResult::Failed(Failure::Closed { at }) => {
            matches!(at, Phase::Idle | Phase::Rset | Phase::Mail)
        }
        // RFC 5321 3.8: a server that shuts an idle session down says so.
        RecipientResult::Refused { reply, at } => {
            reply.code() == 421 && matches!(at, Phase::Idle | Phase::Rset | Phase::Mail)
        }
        _ => false,
    })
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

fn attempt_result(result: RecipientResult) -> AttemptResult {
    match result {
        RecipientResult::Accepted(reply) => AttemptResult::Delivered(answer(&reply)),
        RecipientResult::Refused { reply, .. } => AttemptResult::Refused(answer(&reply)),
        RecipientResult::TooMany { .. } => AttemptResult::Failed {
            permanent: false,
            enhanced: mail::EnhancedCode::new(4, 5, 3),
            error: "the server takes no more recipients at a time".into(),
        },
        RecipientResult::Failed(failure) => AttemptResult::Failed {
            permanent: is_permanent(&failure),
            enhanced: enhanced(&failure),
            error: failure.to_string(),
        },
    }
}

fn unopened(error: OpenError) -> (AttemptResult, Health) {
    match error {
        OpenError::Unreachable(error) => {
            let error = format!("connecting: {error}");
            (AttemptResult::Failed { error, enhanced: None, permanent: false }, Health::Unreachable)
        }
        OpenError::Session(Failure::Refused { reply, .. }) => {
            (AttemptResult::Refused(answer(&reply)), Health::Unreachable)
        }
        OpenError::Session(failure) => {
            let permanent = is_permanent(&failure);
            let enhanced = enhanced(&failure);
            (AttemptResult::Failed { error: failure.to_string(), enhanced, permanent }, Health::Unreachable)
        }
    }
}

/// Local refusals, which another try would only repeat, carry an enhanced code of class 5.
fn is_permanent(failure: &Failure) -> bool {
    failure.enhanced().is_some_and(|code| code.class() == 5)
}

fn enhanced(failure: &Failure) -> Option<EnhancedCode> {
    failure.enhanced().and_then(code)
}

/// A code of the protocol, as the store has it.
fn code(code: smtp::EnhancedCode) -> Option<EnhancedCode> {
    EnhancedCode::new(code.class(), code.subject(), code.detail())
}

fn answer(reply: &Reply) -> SmtpAnswer {
    let text: String = reply.lines().collect::<Vec<_>>().join(" ");
    SmtpAnswer {
        code: reply.code(),
        enhanced: reply.enhanced().and_then(code),
        text: text[..text.floor_char_boundary(TEXT_MAX)].to_owned(),
    }
}

/// What all messages of a job have in common.
struct Facts {
    started: Timestamp,
    duration_ms: u32,
    host: String,
    address: Option<IpAddr>,
}

impl Facts {
    fn attempt(&self, result: AttemptResult) -> Attempt {
        Attempt {
            started: self.started,
            duration_ms: self.duration_ms,
            connect_ms: 0,
            host: self.host.clone(),
            address: self.address,
            tls: None,
            policy: None,
            result,
        }
    }
}
