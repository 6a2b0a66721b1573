//! A data directory that is prepared before the server starts: a domain with a key, an account, and a queue.

use actors::{Journey, Router};
use config::Settings;
use mail::{Address, DkimKey, Domain, FromId, ReversePath, Timestamp};
use std::{path::Path, time::Duration};
use store::{
    Change, NewRecipient, SentCopy, Store, StoreOptions, Submission, Writer,
    records::{AccountRecord, AddressPattern, ContentRecord, DkimKeyRecord, DomainRecord},
};

const ADDRESS: &str = "rider@localhost";

/// What the recipients' domains are named.
pub(crate) fn domain(number: usize) -> String {
    format!("remote{number}.example")
}

/// Opens a directory with the domain `localhost` and the account `rider`, whose password is that of a developer's
/// server.
pub(crate) fn open(data: &Path) -> (Store, Writer) {
    let options =
        StoreOptions { map_size: 1 << 40, map_reserve: 64 << 20, disk_reserve: 0, inline_max: 256 << 10 };
    let (store, mut writer) = Store::open(data, options).unwrap();
    let domain = DomainRecord {
        name: Domain::parse("localhost").unwrap(),
        catchall_separator: '+',
        disabled: false,
        dkim: vec![DkimKeyRecord { selector: "bench".into(), pkcs8: DkimKey::generate_ed25519().unwrap() }],
        routes: Vec::new(),
    };
    let keep = Duration::from_secs(72 * 3600);
    let account = AccountRecord {
        name: "rider".into(),
        full_name: "Rider".into(),
        password_hash: postrider::password::hash_password("postrider").unwrap(),
        addresses: vec![AddressPattern::Address(Address::parse(ADDRESS).unwrap())],
        from_id_login_addresses: vec![Address::parse(ADDRESS).unwrap()],
        keep_retired_messages: keep,
        keep_retired_hooks: keep,
        dsn_to_inbox: true,
        disabled: false,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: None,
        incoming_webhook: None,
        webhook_secret: vec![0; 24],
        routes: Vec::new(),
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
        created: now(),
    };
    writer.commit([Change::PutDomain(domain), Change::PutAccount(account)].iter()).unwrap();
    (store, writer)
}

/// Queues so many messages of 4 KB, spread over so many domains, due now or in a week.
pub(crate) fn fill((store, mut writer): (Store, Writer), messages: usize, domains: usize, due_now: bool) {
    let release = (!due_now).then(|| now().after(Duration::from_secs(7 * 24 * 3600)));
    let router = Router::new(&Settings::defaults());
    let directory = store.directory();
    let sender = Address::parse(ADDRESS).unwrap();
    let account = directory.owner(&sender).unwrap().id;
    let text = "The quick brown fox jumps over the lazy dog, 0123456789, again and again.\r\n".repeat(53);
    let content: bytes::Bytes =
        format!("From: <{ADDRESS}>\r\nSubject: load\r\nMessage-ID: <load@localhost>\r\n\r\n{text}").into();
    let submission = |number: usize| {
        let address = Address::parse(&format!("friend@{}", domain(number % domains))).unwrap();
        let from_id = FromId::new(now(), rand::random());
        let mail_from = sender.with_separator_suffix('+', &from_id.to_string()).unwrap();
        let mail_from = ReversePath::Address(mail_from);
        let destination = router.destination(&Journey::new(&directory, account, &mail_from, &address));
        Change::Accept(Submission {
            account,
            now: now(),
            content: ContentRecord::Inline(content.clone()),
            size: content.len() as u64,
            recipients: vec![NewRecipient {
                address,
                mail_from,
                from_id: Some(from_id),
                destination,
                notify: None,
                original_recipient: None,
                once: None,
            }],
            message_id: format!("<{number}@localhost>"),
            subject: "load".into(),
            transport: None,
            require_tls: None,
            future_release: release,
            envid: None,
            ret: None,
            repeatable: None,
            extra: Default::default(),
            eight_bit: false,
            smtputf8: false,
            sent_copy: SentCopy::Unwanted,
            msg_from: sender.clone(),
        })
    };
    for first in (0..messages).step_by(2000) {
        let changes: Vec<_> = (first..messages.min(first + 2000)).map(submission).collect();
        writer.commit(changes.iter()).unwrap();
    }
}

fn now() -> Timestamp {
    actors::Clock::system().now()
}
