//! Every write there is. A change carries all that was decided outside (times, random values, verdicts), so
//! that the state is a function of the log of changes.

use crate::{
    filter::QueueFilter,
    hook_filter::{HookFilter, RetiredHookFilter},
    records::{
        AccountRecord, Attempt, ContentRecord, DomainRecord, FirstAnswer, Hold, HoldRuleRecord, HookAttempt,
        ReturnKind, ScramKeys, StsPolicyRecord, SuppressionSource,
    },
};
use mail::{
    AccountId, Address, BaseAddress, Domain, DsnNotify, DsnReturn, Flag, FromId, HoldRuleId, HookId, MsgId,
    QueueId, ReversePath, SuppressionId, Timestamp, Verdict,
    feedback::{Feedback, ReportedCode},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// One write. It is applied wholly or, when refused, not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Put a message in the queue, once per recipient.
    Accept(Submission),
    /// Store a message that arrived.
    Arrive(Arrival),
    /// Record what became of queued messages. Messages no longer queued are passed over.
    Settle(Vec<Settlement>),
    /// Do something with messages of the queue.
    Operate(QueueOperation),
    /// Hold messages from now on; those in the queue are marked by [`QueueAction::Hold`].
    AddHoldRule(HoldRuleRecord),
    /// Hold no more messages by a rule. Those that it holds stay held.
    RemoveHoldRule(HoldRuleId),
    /// Do something with pending hooks.
    OperateHooks(HookOperation),
    /// Tell again what retired hooks told.
    ResendHooks(HookResend),
    /// Record what became of webhook calls.
    SettleHooks(Vec<HookSettlement>),
    /// Change a message in a mailbox.
    ChangeMessage {
        /// Whose it is.
        account: AccountId,
        /// Which one.
        id: MsgId,
        /// In what way.
        action: MessageAction,
    },
    /// Put an address on a suppression list.
    Suppress(NewSuppression),
    /// Put addresses on suppression lists, at most some hundred; those that are there already stay as they are.
    SuppressMany(Vec<NewSuppression>),
    /// Take an address off a suppression list.
    Unsuppress {
        /// Whose list.
        account: AccountId,
        /// Which address.
        address: BaseAddress,
    },
    /// Add or replace a domain.
    PutDomain(DomainRecord),
    /// Add an account, or replace the one of that name; its mailboxes and history stay.
    PutAccount(AccountRecord),
    /// Keep what SCRAM needs of an account's password, unless that is another by now.
    PutScramKeys {
        /// Whose.
        account: AccountId,
        /// The hash of the password that they are of.
        password_hash: String,
        /// The keys.
        keys: ScramKeys,
    },
    /// Keep this as [`crate::Directory::login_secret`], where there is none.
    KeepLoginSecret([u8; 32]),
    /// Change any number of domains and accounts, all together or none.
    ChangeDirectory(DirectoryChange),
    /// Keep the MTA-STS policy of a domain in place of the one before, or forget it.
    PutStsPolicy {
        /// Whose policy.
        domain: Domain,
        /// The policy; `None`: it has none any more.
        policy: Option<StsPolicyRecord>,
    },
    /// Remove what retention no longer keeps.
    Sweep(Sweep),
}

impl Change {
    /// Whether it brings in new mail, or much else, and so is refused when room runs out. The others make room, or are
    /// few.
    pub fn needs_room(&self) -> bool {
        matches!(self, Change::Accept(_) | Change::Arrive(_) | Change::SuppressMany(_))
    }

    /// Roughly the bytes it adds to a transaction.
    pub fn weight(&self) -> usize {
        let content = |content: &ContentRecord| match content {
            ContentRecord::Inline(bytes) => bytes.len(),
            ContentRecord::File { .. } => 0,
        };
        let body = match self {
            Change::Accept(submission) => {
                content(&submission.content)
                    + submission.sent_copy.content().map_or(0, content)
                    + 1024 * submission.recipients.len()
            }
            Change::Arrive(arrival) => content(&arrival.content) + 512 * arrival.recipients.len(),
            Change::Settle(settlements) => {
                let reports = settlements.iter().filter_map(|settlement| settlement.report.as_ref());
                1024 * settlements.len() + reports.map(|report| content(&report.content)).sum::<usize>()
            }
            Change::Operate(operation) => {
                let reports = operation.reports().map(|report| content(&report.content));
                1024 * operation.ids.len() + reports.sum::<usize>()
            }
            Change::SettleHooks(settlements) => 1024 * settlements.len(),
            Change::OperateHooks(operation) => 1024 * operation.ids.len(),
            Change::ResendHooks(resend) => 1024 * resend.ids.len(),
            Change::Sweep(sweep) => 256 * sweep.limit,
            Change::SuppressMany(new) => new.iter().map(|new| 512 + new.reason.len()).sum(),
            Change::ChangeMessage { .. }
            | Change::Suppress(_)
            | Change::Unsuppress { .. }
            | Change::PutDomain(_)
            | Change::PutAccount(_)
            | Change::PutScramKeys { .. }
            | Change::KeepLoginSecret(_)
            | Change::ChangeDirectory(_)
            | Change::PutStsPolicy { .. }
            | Change::AddHoldRule(_)
            | Change::RemoveHoldRule(_) => 0,
        };
        body + 1024
    }
}

/// A message to be queued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// Whose it is.
    pub account: AccountId,
    /// When it came.
    pub now: Timestamp,
    /// The bytes to send, signed.
    pub content: ContentRecord,
    /// Their number.
    pub size: u64,
    /// To whom; at least one.
    pub recipients: Vec<NewRecipient>,
    /// The Message-ID header, with its angle brackets.
    pub message_id: String,
    /// The subject, for lists and webhooks.
    pub subject: String,
    /// See [`crate::records::QueueRecord`].
    pub transport: Option<String>,
    /// See [`crate::records::QueueRecord`].
    pub require_tls: Option<bool>,
    /// See [`crate::records::QueueRecord`].
    pub future_release: Option<Timestamp>,
    /// See [`crate::records::QueueRecord`].
    pub extra: BTreeMap<String, String>,
    /// The content has bytes above 127.
    pub eight_bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// What goes to the Sent mailbox, Bcc header included.
    pub sent_copy: SentCopy,
    /// The From address, for the Sent copy.
    pub msg_from: Address,
    /// RFC 3461 ENVID, decoded.
    pub envid: Option<String>,
    /// RFC 3461 RET.
    pub ret: Option<DsnReturn>,
    /// The request that brings it, where the application may repeat that.
    pub repeatable: Option<RepeatableRequest>,
}

/// The copy of a message for its sender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SentCopy {
    /// None is wanted.
    Unwanted,
    /// It is ready.
    Staged(ContentRecord),
    /// It was wanted, and could not be made ready; the message goes out without it.
    Failed,
}

impl SentCopy {
    /// What is to be stored.
    pub fn content(&self) -> Option<&ContentRecord> {
        match self {
            SentCopy::Staged(content) => Some(content),
            SentCopy::Unwanted | SentCopy::Failed => None,
        }
    }
}

/// One recipient of a [`Submission`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewRecipient {
    /// RCPT TO.
    pub address: Address,
    /// MAIL FROM, with the FromID.
    pub mail_from: ReversePath,
    /// The FromID in it. One that the account's queue or history has is refused.
    pub from_id: Option<FromId>,
    /// The delivery actor that sends it.
    pub destination: String,
    /// RFC 3461 NOTIFY.
    pub notify: Option<DsnNotify>,
    /// RFC 3461 ORCPT, as [`mail::DsnRequest`] has it.
    pub original_recipient: Option<String>,
    /// What tells the message to this recipient from others, where it is to be queued once a day however often it comes.
    pub once: Option<[u8; 32]>,
}

/// A message that arrived for one or more accounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// When.
    pub now: Timestamp,
    /// The bytes, with our trace headers.
    pub content: ContentRecord,
    /// Their number.
    pub size: u64,
    /// For whom; at least one.
    pub recipients: Vec<ArrivalRecipient>,
    /// MAIL FROM.
    pub mail_from: ReversePath,
    /// SPF says that the client may use it.
    pub mail_from_validated: bool,
    /// The address in the From header.
    pub msg_from: Option<Address>,
    /// See [`crate::records::MessageRecord`].
    pub msg_from_validated: bool,
    /// See [`crate::records::MessageRecord`].
    pub dkim_verified_domains: Vec<String>,
    /// The client.
    pub remote_ip: Option<IpAddr>,
    /// It is a DSN.
    pub dsn: bool,
    /// No person wrote it.
    pub automated: bool,
    /// What it says about a message that was sent.
    pub feedback: Option<Feedback>,
    /// Whose FromID the return path has that it names.
    pub returned_from_id: Option<(AccountId, FromId)>,
    /// The message of each account that it may name otherwise; see [`crate::View::named`].
    pub named: BTreeMap<AccountId, QueueId>,
}

/// One recipient of an [`Arrival`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArrivalRecipient {
    /// Whose Inbox.
    pub account: AccountId,
    /// RCPT TO.
    pub rcpt_to: Address,
    /// The FromID that the address carries. When the account's queue or history knows it, the arrival is about that
    /// message, and no incoming webhook is made.
    pub from_id: Option<FromId>,
}

/// What is done to a message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageAction {
    /// Remove it for good.
    Delete,
    /// Set flags; those that are set stay so.
    AddFlags(Vec<Flag>),
    /// Take flags off; those that are not set stay so.
    RemoveFlags(Vec<Flag>),
    /// Put it into the mailbox of that name, `Inbox` in whatever case.
    Move(String),
}

/// What became of a queued message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settlement {
    /// Which message.
    pub id: QueueId,
    /// When.
    pub now: Timestamp,
    /// The attempt that was made; `None` when there was none.
    pub attempt: Option<Attempt>,
    /// What happens next.
    pub decision: Decision,
    /// A DSN about it for the account's Inbox.
    pub report: Option<Report>,
}

/// A DSN of our own. It is stored with what it tells; where the account's mailboxes are full it is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its bytes.
    pub content: ContentRecord,
    /// Their number.
    pub size: u64,
    /// The address in its From header.
    pub msg_from: Address,
}

/// What happens to a message after an attempt, or instead of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    /// The next hop has it.
    Delivered,
    /// Try again, not before this time.
    Retry(Timestamp),
    /// Give up.
    Failed {
        /// What the deciding answer means; `None` without an SMTP answer.
        verdict: Option<Verdict>,
        /// What it means for the suppression list.
        suppress: Suppress,
    },
    /// Its recipient is on the suppression list.
    Suppressed,
    /// A person does not want it sent.
    Cancel,
    /// Without an attempt: it goes to another destination, due as before.
    Move {
        /// The group in the due index.
        destination: String,
    },
}

/// Something done with messages of the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueOperation {
    /// Which messages, at most some hundred.
    pub ids: Vec<QueueId>,
    /// Those that it does not fit any more are passed over.
    pub filter: QueueFilter,
    /// When.
    pub now: Timestamp,
    /// What is done.
    pub action: QueueAction,
}

impl QueueOperation {
    /// The reports that it comes with.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        let reports = match &self.action {
            QueueAction::Fail { reports, .. } => Some(reports),
            QueueAction::Hold(_)
            | QueueAction::Release
            | QueueAction::Schedule(_)
            | QueueAction::Postpone(_)
            | QueueAction::SetTransport(_)
            | QueueAction::SetRequireTls(_)
            | QueueAction::Cancel => None,
        };
        reports.into_iter().flat_map(BTreeMap::values)
    }
}

/// What is done with messages of the queue. An attempt that is under way goes on; what comes of it is settled with the
/// message as it is by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QueueAction {
    /// Send it no more until it is released. One that is held already stays as it is.
    Hold(Hold),
    /// Hold it no longer.
    Release,
    /// Try it at that time.
    Schedule(Timestamp),
    /// Try it so much later.
    Postpone(Duration),
    /// Send it by a transport; `None`: by the routes. Whoever would send it now moves it to its new destination: were
    /// it moved here while it is under way, two would send it.
    SetTransport(Option<String>),
    /// See [`crate::records::QueueRecord`].
    SetRequireTls(Option<bool>),
    /// Give it up, as after a permanent error.
    Fail {
        /// Why, for people.
        reason: String,
        /// DSNs about them for the account's Inbox.
        reports: BTreeMap<QueueId, Report>,
    },
    /// Remove it; the webhook says `canceled`.
    Cancel,
}

/// What a failure means for the suppression list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suppress {
    /// Nothing.
    No,
    /// Add the address.
    Now,
    /// Add the address if the two latest other retired messages to it failed too.
    IfThirdInRow,
}

impl Suppress {
    /// What the answer that ended a message means: the code, and the verdict on it.
    pub fn after(code: u16, verdict: Verdict) -> Suppress {
        match code {
            0 => Suppress::No,
            500.. if verdict.suppresses_at_once() => Suppress::Now,
            _ => Suppress::IfThirdInRow,
        }
    }

    /// What a report of a failure means. A reply that it quotes counts like one of a session. A status alone stands for
    /// no reply (names without an answer, time that ran out), and counts only where it says itself that the mailbox or
    /// the domain is bad.
    pub fn after_report(code: ReportedCode, verdict: Verdict) -> Suppress {
        match code {
            ReportedCode::Quoted(code) => Suppress::after(code, verdict),
            ReportedCode::FromStatus(500..) if verdict.suppresses_at_once() => Suppress::Now,
            ReportedCode::FromStatus(_) | ReportedCode::Untold => Suppress::No,
        }
    }
}

/// What became of a webhook call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookSettlement {
    /// Which hook. When it was retired meanwhile, the call is added to its history.
    pub id: HookId,
    /// When.
    pub now: Timestamp,
    /// The call.
    pub attempt: HookAttempt,
    /// What happens next.
    pub decision: HookDecision,
}

/// What happens to a hook after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookDecision {
    /// It got through.
    Succeeded,
    /// Call again, not before this time.
    Retry(Timestamp),
    /// Give up.
    Failed,
}

/// Something done with pending hooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookOperation {
    /// Which hooks, at most some hundred.
    pub ids: Vec<HookId>,
    /// Those that it does not fit any more are passed over.
    pub filter: HookFilter,
    /// When.
    pub now: Timestamp,
    /// What is done.
    pub action: HookAction,
}

/// What is done with pending hooks. A call that is under way goes on; what comes of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum HookAction {
    /// Call it at that time. One that waits for another goes on waiting.
    Schedule(Timestamp),
    /// Call it so much later.
    Postpone(Duration),
    /// Call it no more.
    Cancel,
}

/// Retired hooks whose news are to be told again, by new hooks to the URLs that the accounts have now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookResend {
    /// Which, at most some hundred.
    pub ids: Vec<HookId>,
    /// Those that it does not fit are passed over.
    pub filter: RetiredHookFilter,
    /// When.
    pub now: Timestamp,
}

/// An address for a suppression list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewSuppression {
    /// Whose list.
    pub account: AccountId,
    /// Which address.
    pub address: Address,
    /// When.
    pub now: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Who wants it.
    pub source: SuppressionSource,
}

/// What is to be changed of domains and accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DirectoryChange {
    /// The generation that this was decided by, see [`crate::Directory::generation`]; with another one it is refused.
    pub seen: u64,
    /// The operator's password for the admin pages, as an Argon2id hash in PHC string form; a secret.
    pub admin_password_hash: Option<String>,
    /// Domains to add or replace.
    pub put_domains: Vec<DomainRecord>,
    /// Accounts to add or, by their names, replace.
    pub put_accounts: Vec<AccountRecord>,
    /// Domains to remove. Refused while mail from them is queued.
    pub remove_domains: Vec<Domain>,
    /// Accounts to remove by name, with their mailboxes, suppression lists and events; what is in history expires as
    /// it would have. Refused while they have mail queued or webhook calls pending.
    pub remove_accounts: Vec<String>,
}

impl DirectoryChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        let DirectoryChange {
            seen: _,
            admin_password_hash,
            put_domains,
            put_accounts,
            remove_domains,
            remove_accounts,
        } = self;
        admin_password_hash.is_none()
            && put_domains.is_empty()
            && put_accounts.is_empty()
            && remove_domains.is_empty()
            && remove_accounts.is_empty()
    }
}

/// A round of retention.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sweep {
    /// What expired before this is removed.
    pub now: Timestamp,
    /// Events older than this are removed.
    pub events_before: Timestamp,
    /// At most so many records.
    pub limit: usize,
}

/// What became of an arrival for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The message in the Inbox; none for a report that the account does not want there, or that does not fit.
    pub msg: Option<MsgId>,
    /// What it was for the message that it is about.
    pub returned: Option<ReturnKind>,
    /// It put an address on the suppression list.
    pub suppressing: bool,
}

/// A request that an application may repeat, as when it heard no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatableRequest {
    /// A digest of what the application calls it.
    pub key: [u8; 32],
    /// A digest of what it asks.
    pub fingerprint: [u8; 32],
}

/// What a change brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The first of the queue ids; the recipients have consecutive ids in their order.
    Accepted(QueueId),
    /// The same, but the sender's copy did not fit in the account's mailboxes and was left out.
    AcceptedWithoutCopy(QueueId),
    /// The request came before: nothing is queued, and this is what it was answered then.
    AcceptedBefore(FirstAnswer),
    /// What became of the message, in the order of the recipients.
    Arrived(Vec<Arrived>),
    /// The message in its mailbox is as it was to be.
    MessageChanged,
    /// Outcomes are recorded, and so many addresses were put on suppression lists because of them.
    Settled {
        /// The number of new entries.
        suppressed: usize,
    },
    /// So many messages were changed.
    Operated {
        /// Their number.
        changed: usize,
    },
    /// The rule, or the one that said the same before.
    HoldRuleAdded(HoldRuleId),
    /// The rule is gone.
    HoldRuleRemoved,
    /// News are told again.
    HooksResent {
        /// Retired hooks, each with the new one.
        made: Vec<(HookId, HookId)>,
        /// Hooks of accounts that have no such webhook any more.
        without_webhook: usize,
    },
    /// Webhook calls are recorded.
    HooksSettled,
    /// The new entry.
    Suppressed(SuppressionId),
    /// What became of the addresses, by number.
    SuppressedMany {
        /// New on their lists.
        added: usize,
        /// There before.
        present: usize,
    },
    /// The entry is gone.
    Unsuppressed,
    /// The domain is stored.
    DomainPut(Domain),
    /// The account is stored.
    AccountPut(AccountId),
    /// There is a secret for logins.
    LoginSecretKept,
    /// Domains and accounts are as they were to be.
    DirectoryChanged,
    /// The policy is stored, or gone.
    StsPolicyPut,
    /// So many records are gone; fewer than the limit means that nothing is left to remove.
    Swept(usize),
}
