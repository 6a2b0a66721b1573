//! From layout 1 to 2: accounts have limits, and what their mailboxes hold is counted.

use crate::{
    StoreError,
    keys::Key,
    layout::operations::LimitedAccount,
    records::{AddressPattern, IncomingWebhook, OutgoingWebhook, UsageRecord},
    tables::Tables,
};
use heed::RwTxn;
use mail::{AccountId, Address, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};

/// An account of layout 1.
#[derive(Serialize, Deserialize)]
pub(super) struct OldAccount {
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) password_hash: String,
    pub(super) addresses: Vec<AddressPattern>,
    pub(super) from_id_login_addresses: Vec<Address>,
    pub(super) keep_retired_messages: Duration,
    pub(super) keep_retired_hooks: Duration,
    pub(super) dsn_to_inbox: bool,
    pub(super) disabled: bool,
    pub(super) outgoing_webhook: Option<OutgoingWebhook>,
    pub(super) incoming_webhook: Option<IncomingWebhook>,
    pub(super) webhook_secret: Vec<u8>,
    pub(super) created: Timestamp,
}

pub(super) fn step(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged { table: tables.accounts.raw().name };
    let mut accounts = Vec::new();
    for entry in tables.accounts.raw().db.iter(txn)? {
        let (key, value) = entry?;
        let id = AccountId::decode(key).ok_or_else(damaged)?;
        let account: OldAccount = postcard::from_bytes(value).map_err(|_| damaged())?;
        accounts.push((id, account));
    }
    for (id, account) in accounts {
        let account = postcard::to_stdvec(&without_limits(account)).map_err(|_| damaged())?;
        tables.accounts.raw().db.put(txn, &id.encode(), &account)?;
    }
    let mut usages: HashMap<AccountId, UsageRecord> = HashMap::new();
    for entry in tables.messages.raw().db.iter(txn)? {
        let message = tables.messages.decode(entry?.1)?;
        let usage = usages.entry(message.account).or_default();
        usage.mailbox_messages += 1;
        usage.mailbox_bytes += message.size;
    }
    for (id, usage) in usages {
        tables.usage.put(txn, &id, &usage)?;
    }
    Ok(())
}

fn without_limits(old: OldAccount) -> LimitedAccount {
    LimitedAccount {
        name: old.name,
        full_name: old.full_name,
        password_hash: old.password_hash,
        addresses: old.addresses,
        from_id_login_addresses: old.from_id_login_addresses,
        keep_retired_messages: old.keep_retired_messages,
        keep_retired_hooks: old.keep_retired_hooks,
        dsn_to_inbox: old.dsn_to_inbox,
        disabled: old.disabled,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: old.outgoing_webhook,
        incoming_webhook: old.incoming_webhook,
        webhook_secret: old.webhook_secret,
        created: old.created,
    }
}
