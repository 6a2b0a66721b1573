//! From layout 2 to 3: what operators do with the queue (holds and their rules, turns between accounts, lists by time
//! of the next attempt), what attempts tell of TLS, DSN parameters, and routes of accounts and domains.

use crate::{
    StoreError,
    keys::{DueKey, Key},
    layout::webhooks::{OldHook, RoutedAccount},
    queue,
    records::{
        AddressPattern, Attempt, AttemptResult, DkimKeyRecord, DomainRecord, Hold, IncomingWebhook,
        MessageOutcome, OutgoingWebhook, QueueRecord, RetiredRecord, SmtpAnswer, TlsFacts, TlsVerified,
    },
    tables::{Raw, Tables},
    txn::{COUNTERS, Counters},
};
use heed::RwTxn;
use mail::{
    AccountId, Address, ContentId, Domain, DsnRequest, FromId, HookId, QueueId, ReversePath, Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, net::IpAddr, ops::Bound, time::Duration};

/// Records that are in memory at a time.
const PAGE: usize = 1000;

/// A domain of layout 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldDomain {
    pub(super) name: Domain,
    pub(super) catchall_separator: char,
    pub(super) disabled: bool,
    pub(super) dkim: Vec<DkimKeyRecord>,
}

/// An account of layout 2.
#[derive(Serialize, Deserialize)]
pub(super) struct LimitedAccount {
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) password_hash: String,
    pub(super) addresses: Vec<AddressPattern>,
    pub(super) from_id_login_addresses: Vec<Address>,
    pub(super) keep_retired_messages: Duration,
    pub(super) keep_retired_hooks: Duration,
    pub(super) dsn_to_inbox: bool,
    pub(super) disabled: bool,
    pub(super) max_outgoing_messages_per_day: Option<u64>,
    pub(super) max_first_time_recipients_per_day: Option<u64>,
    pub(super) mailbox_quota: Option<u64>,
    pub(super) outgoing_webhook: Option<OutgoingWebhook>,
    pub(super) incoming_webhook: Option<IncomingWebhook>,
    pub(super) webhook_secret: Vec<u8>,
    pub(super) created: Timestamp,
}

/// A message of layouts 1 and 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldMessage {
    pub(super) account: AccountId,
    pub(super) content: ContentId,
    pub(super) size: u64,
    pub(super) mail_from: ReversePath,
    pub(super) recipient: Address,
    pub(super) from_id: Option<FromId>,
    pub(super) message_id: String,
    pub(super) subject: String,
    pub(super) destination: String,
    pub(super) queued: Timestamp,
    pub(super) next_attempt: Timestamp,
    pub(super) attempts: Vec<OldAttempt>,
    pub(super) hold: bool,
    pub(super) transport: Option<String>,
    pub(super) require_tls: Option<bool>,
    pub(super) future_release: Option<Timestamp>,
    pub(super) extra: BTreeMap<String, String>,
    pub(super) eight_bit: bool,
    pub(super) smtputf8: bool,
    pub(super) last_hook: Option<HookId>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OldAttempt {
    pub(super) started: Timestamp,
    pub(super) duration_ms: u32,
    pub(super) host: String,
    pub(super) address: Option<IpAddr>,
    pub(super) tls: Option<OldTls>,
    pub(super) result: OldResult,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OldTls {
    pub(super) version: String,
    pub(super) cipher: String,
}

#[derive(Serialize, Deserialize)]
pub(super) enum OldResult {
    Delivered(SmtpAnswer),
    Refused(SmtpAnswer),
    Failed { error: String, permanent: bool },
}

/// A retired message of layouts 1 and 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldRetired {
    pub(super) message: OldMessage,
    pub(super) id: QueueId,
    pub(super) outcome: MessageOutcome,
    pub(super) retired: Timestamp,
    pub(super) expires: Timestamp,
}

/// The counters of layouts 1 and 2.
#[derive(Serialize, Deserialize)]
pub(super) struct OldCounters {
    pub(super) queue: u64,
    pub(super) content: u64,
    pub(super) hook: u64,
    pub(super) msg: u64,
    pub(super) suppression: u64,
    pub(super) mailbox: u32,
    pub(super) account: u32,
    pub(super) deferred: u64,
}

pub(super) fn step(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    convert_counters(txn, tables)?;
    convert(txn, tables.domains.raw(), domain)?;
    convert(txn, tables.accounts.raw(), account)?;
    convert(txn, tables.retired.raw(), retired)?;
    convert(txn, tables.queue.raw(), message)?;
    index_queue(txn, tables)?;
    index_hooks(txn, tables)
}

fn convert_counters(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged { table: "meta" };
    let Some(bytes) = tables.meta.get(txn, COUNTERS)? else { return Ok(()) };
    let (old, rest): (OldCounters, _) = postcard::take_from_bytes(bytes).map_err(|_| damaged())?;
    if !rest.is_empty() {
        return Err(damaged());
    }
    let counters = Counters {
        queue: old.queue,
        content: old.content,
        hook: old.hook,
        msg: old.msg,
        suppression: old.suppression,
        mailbox: old.mailbox,
        account: old.account,
        deferred: old.deferred,
        hold_rule: 0,
    };
    tables.meta.put(txn, COUNTERS, &postcard::to_stdvec(&counters).map_err(|_| damaged())?)
}

/// Writes every record of a table anew, a page at a time.
pub(super) fn convert<Old: DeserializeOwned, New: Serialize>(
    txn: &mut RwTxn<'_>,
    table: Raw,
    new_of: fn(Old) -> New,
) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged { table: table.name };
    let mut last: Option<Vec<u8>> = None;
    loop {
        let start = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Vec::with_capacity(PAGE);
        for entry in table.db.range(txn, &(start, Bound::Unbounded))?.take(PAGE) {
            let (key, value) = entry?;
            let old = postcard::from_bytes(value).map_err(|_| damaged())?;
            let new = postcard::to_stdvec(&new_of(old)).map_err(|_| damaged())?;
            page.push((key.to_vec(), new));
        }
        let Some((key, _)) = page.last() else { return Ok(()) };
        last = Some(key.clone());
        for (key, new) in page {
            table.db.put(txn, &key, &new)?;
        }
    }
}

fn index_queue(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    tables.queue_due.raw().db.clear(txn)?;
    let mut last = None;
    loop {
        let page = tables.queue.from(txn, last.as_ref().map_or(Bound::Unbounded, Bound::Excluded), PAGE)?;
        let Some((id, _)) = page.last() else { return Ok(()) };
        last = Some(*id);
        for (id, record) in page {
            tables.queue_next.put(txn, &(record.next_attempt, id), &())?;
            if record.hold.is_none() {
                tables.queue_due.insert(txn, &queue::due_key(&record, id))?;
            }
        }
    }
}

fn index_hooks(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    tables.hooks_due.raw().db.clear(txn)?;
    let table = tables.hooks.raw();
    let damaged = || StoreError::Damaged { table: table.name };
    let mut last: Option<Vec<u8>> = None;
    loop {
        let start = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Vec::with_capacity(PAGE);
        for entry in table.db.range(txn, &(start, Bound::Unbounded))?.take(PAGE) {
            let (key, value) = entry?;
            let hook: OldHook = postcard::from_bytes(value).map_err(|_| damaged())?;
            let id = HookId::decode(key).ok_or_else(damaged)?;
            page.push(DueKey { group: hook.url, account: hook.account, at: hook.next_attempt, id: id.0 });
            last = Some(key.to_vec());
        }
        if page.is_empty() {
            return Ok(());
        }
        for key in page {
            tables.hooks_due.insert(txn, &key)?;
        }
    }
}

fn domain(old: OldDomain) -> DomainRecord {
    DomainRecord {
        name: old.name,
        catchall_separator: old.catchall_separator,
        disabled: old.disabled,
        dkim: old.dkim,
        routes: Vec::new(),
    }
}

fn account(old: LimitedAccount) -> RoutedAccount {
    RoutedAccount {
        name: old.name,
        full_name: old.full_name,
        password_hash: old.password_hash,
        addresses: old.addresses,
        from_id_login_addresses: old.from_id_login_addresses,
        keep_retired_messages: old.keep_retired_messages,
        keep_retired_hooks: old.keep_retired_hooks,
        dsn_to_inbox: old.dsn_to_inbox,
        disabled: old.disabled,
        max_outgoing_messages_per_day: old.max_outgoing_messages_per_day,
        max_first_time_recipients_per_day: old.max_first_time_recipients_per_day,
        mailbox_quota: old.mailbox_quota,
        outgoing_webhook: old.outgoing_webhook,
        incoming_webhook: old.incoming_webhook,
        webhook_secret: old.webhook_secret,
        created: old.created,
        routes: Vec::new(),
    }
}

fn retired(old: OldRetired) -> RetiredRecord {
    RetiredRecord {
        message: message(old.message),
        id: old.id,
        outcome: old.outcome,
        retired: old.retired,
        expires: old.expires,
    }
}

fn message(old: OldMessage) -> QueueRecord {
    QueueRecord {
        account: old.account,
        content: old.content,
        size: old.size,
        mail_from: old.mail_from,
        recipient: old.recipient,
        from_id: old.from_id,
        message_id: old.message_id,
        subject: old.subject,
        destination: old.destination,
        queued: old.queued,
        next_attempt: old.next_attempt,
        attempts: old.attempts.into_iter().map(attempt).collect(),
        hold: old.hold.then_some(Hold::Operator),
        transport: old.transport,
        require_tls: old.require_tls,
        future_release: old.future_release,
        extra: old.extra,
        eight_bit: old.eight_bit,
        smtputf8: old.smtputf8,
        last_hook: old.last_hook,
        dsn: DsnRequest::default(),
    }
}

fn attempt(old: OldAttempt) -> Attempt {
    Attempt {
        started: old.started,
        duration_ms: old.duration_ms,
        connect_ms: 0,
        host: old.host,
        address: old.address,
        tls: old.tls.map(|OldTls { version, cipher }| TlsFacts {
            version,
            cipher,
            verified: TlsVerified::No,
        }),
        policy: None,
        result: match old.result {
            OldResult::Delivered(answer) => AttemptResult::Delivered(answer),
            OldResult::Refused(answer) => AttemptResult::Refused(answer),
            OldResult::Failed { error, permanent } => {
                AttemptResult::Failed { error, enhanced: None, permanent }
            }
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        Store,
        layout::{LAYOUT, tests::options},
        records::{HookSubject, IncomingHook, MessageRecord},
    };
    use mail::{EnhancedCode, MailboxId, MsgId, Verdict};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    pub(in crate::layout) fn counters() -> OldCounters {
        OldCounters {
            queue: 9,
            content: 8,
            hook: 7,
            msg: 6,
            suppression: 5,
            mailbox: 4,
            account: 3,
            deferred: 1,
        }
    }

    fn address() -> Address {
        "app@example.com".parse().unwrap()
    }

    fn old_message(id: u64, hold: bool) -> OldMessage {
        let answer = |code| SmtpAnswer { code, enhanced: EnhancedCode::new(4, 2, 1), text: "later".into() };
        let attempt = |tls, result| OldAttempt {
            started: NOW,
            duration_ms: 12,
            host: "mx.remote.example".into(),
            address: Some([192, 0, 2, 1].into()),
            tls,
            result,
        };
        let tls = OldTls { version: "TLSv1.3".into(), cipher: "AES".into() };
        OldMessage {
            account: AccountId(1 + (id % 2) as u32),
            content: ContentId(id),
            size: 100 + id,
            mail_from: ReversePath::Address(address()),
            recipient: "friend@remote.example".parse().unwrap(),
            from_id: None,
            message_id: "<1@example.com>".into(),
            subject: "hi".into(),
            destination: "remote.example".into(),
            queued: NOW,
            next_attempt: NOW.after(Duration::from_secs(id)),
            attempts: vec![
                attempt(Some(tls), OldResult::Refused(answer(451))),
                attempt(None, OldResult::Failed { error: "no route".into(), permanent: true }),
            ],
            hold,
            transport: Some("relay".into()),
            require_tls: Some(true),
            future_release: Some(NOW),
            extra: BTreeMap::from([("Key".into(), "value".into())]),
            eight_bit: true,
            smtputf8: true,
            last_hook: Some(HookId(4)),
        }
    }

    fn hook(id: u64) -> OldHook {
        OldHook {
            account: AccountId(id as u32),
            url: "https://hooks.example/".into(),
            authorization: None,
            subject: HookSubject::Incoming(IncomingHook {
                msg: MsgId(1),
                content: ContentId(1),
                arrival: MessageRecord {
                    account: AccountId(1),
                    mailbox: MailboxId(1),
                    content: ContentId(1),
                    size: 1,
                    received: NOW,
                    flags: Vec::new(),
                    mail_from: ReversePath::Null,
                    mail_from_validated: false,
                    rcpt_to: None,
                    msg_from: None,
                    msg_from_validated: false,
                    dkim_verified_domains: Vec::new(),
                    remote_ip: None,
                    dsn: false,
                    automated: false,
                },
                mailbox_name: "Inbox".into(),
                rcpt_to: address(),
            }),
            queued: NOW,
            next_attempt: NOW,
            attempts: Vec::new(),
        }
    }

    /// A directory as layout 2 left it: messages 1 to `queued`, of which the third is held, and a retired one.
    fn layout_2(path: &std::path::Path, queued: u64) {
        let (store, _writer) = Store::open(path, options()).unwrap();
        let tables = &store.inner.tables;
        let mut txn = store.inner.env.write_txn().unwrap();
        let put = |txn: &mut RwTxn<'_>, table: crate::tables::Raw, key: &[u8], value: Vec<u8>| {
            table.db.put(txn, key, &value).unwrap();
        };
        for id in 1..=queued {
            let record = postcard::to_stdvec(&old_message(id, id == 3)).unwrap();
            put(&mut txn, tables.queue.raw(), &id.to_be_bytes(), record);
            let due = [b"remote.example\0".as_slice(), &[0x80; 8], &id.to_be_bytes()].concat();
            put(&mut txn, tables.queue_due.raw(), &due, Vec::new());
        }
        let retired = OldRetired {
            message: old_message(2000, false),
            id: QueueId(2000),
            outcome: MessageOutcome::Failed {
                verdict: Some(Verdict::of(554, None, "no")),
                suppressing: true,
            },
            retired: NOW,
            expires: NOW.after(Duration::from_secs(60)),
        };
        let retired = postcard::to_stdvec(&retired).unwrap();
        put(&mut txn, tables.retired.raw(), &2000_u64.to_be_bytes(), retired);
        for id in [1, 2] {
            put(&mut txn, tables.hooks.raw(), &HookId(id).encode(), postcard::to_stdvec(&hook(id)).unwrap());
            let due = [b"https://hooks.example/\0".as_slice(), &[0x80; 8], &id.to_be_bytes()].concat();
            put(&mut txn, tables.hooks_due.raw(), &due, Vec::new());
        }
        let domain = OldDomain {
            name: "example.com".parse().unwrap(),
            catchall_separator: '-',
            disabled: false,
            dkim: vec![DkimKeyRecord { selector: "s".into(), pkcs8: vec![1, 2] }],
        };
        put(&mut txn, tables.domains.raw(), b"example.com", postcard::to_stdvec(&domain).unwrap());
        let account = LimitedAccount {
            name: "app".into(),
            full_name: "The App".into(),
            password_hash: "hash".into(),
            addresses: vec![AddressPattern::Address(address())],
            from_id_login_addresses: vec![address()],
            keep_retired_messages: Duration::from_secs(1),
            keep_retired_hooks: Duration::from_secs(2),
            dsn_to_inbox: true,
            disabled: false,
            max_outgoing_messages_per_day: Some(3),
            max_first_time_recipients_per_day: Some(4),
            mailbox_quota: Some(5),
            outgoing_webhook: None,
            incoming_webhook: None,
            webhook_secret: vec![7; 24],
            created: NOW,
        };
        let account = postcard::to_stdvec(&account).unwrap();
        put(&mut txn, tables.accounts.raw(), &1_u32.to_be_bytes(), account);
        tables.meta.put(&mut txn, COUNTERS, &postcard::to_stdvec(&counters()).unwrap()).unwrap();
        tables.meta.put(&mut txn, LAYOUT, &2_u32.to_be_bytes()).unwrap();
        txn.commit().unwrap();
    }

    #[test]
    fn data_of_layout_2_is_brought_up_and_nothing_of_it_lost() {
        let dir = tempfile::TempDir::new().unwrap();
        let queued = PAGE as u64 + 5;
        layout_2(dir.path(), queued);
        for _ in 0..2 {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let record = store.read(|view| view.message(QueueId(1))).unwrap().unwrap();
            assert_eq!(record, message(old_message(1, false)));
            assert_eq!((record.size, &*record.attempts[0].host), (101, "mx.remote.example"));
            let tls = record.attempts[0].tls.as_ref().unwrap();
            assert_eq!((&*tls.version, tls.verified), ("TLSv1.3", TlsVerified::No));
            let held = store.read(|view| view.message(QueueId(3))).unwrap().unwrap();
            assert_eq!((record.hold, held.hold), (None, Some(Hold::Operator)));
            let retired = store.read(|view| view.retired_message(QueueId(2000))).unwrap().unwrap();
            assert_eq!(retired.message, message(old_message(2000, false)));

            let due = |limit| {
                store.read(|view| view.due_messages("remote.example", Timestamp::MAX, limit, |_| false))
            };
            assert_eq!(due(4).unwrap(), [2, 1, 4, 5].map(QueueId));
            assert_eq!(due(usize::MAX).unwrap().len() as u64, queued - 1);
            let next = store.read(|view| view.tables.queue_next.len(&view.txn)).unwrap();
            assert_eq!(next, queued);
            let hooks = store.read(|view| view.due_hooks("https://hooks.example/", NOW, 9, |_| false));
            assert_eq!(hooks.unwrap(), [1, 2].map(HookId));

            let directory = store.directory();
            let found = &directory.owner(&address()).unwrap().record;
            assert_eq!((&*found.full_name, found.mailbox_quota, found.created), ("The App", Some(5), NOW));
            let domain = &directory.domain(&"example.com".parse().unwrap()).unwrap().record;
            assert_eq!((domain.catchall_separator, domain.dkim.len()), ('-', 1));
            let counters = store.read(|view| Counters::read(&view.txn, view.tables)).unwrap();
            assert_eq!((counters.queue, counters.deferred, counters.hold_rule), (9, 1, 0));
        }
    }
}
