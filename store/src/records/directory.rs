//! Domains and accounts.

use mail::{Address, Domain, Route, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A domain that accounts may send from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// Its name.
    pub name: Domain,
    /// What stands between an address and a FromID or tag: `rider+tag@localhost`.
    pub catchall_separator: char,
    /// Nothing may be sent from it. Mail to it is taken all the same, so that reports about what was sent come back.
    pub disabled: bool,
    /// The keys that sign its mail, each with a selector.
    pub dkim: Vec<DkimKeyRecord>,
    /// For mail from it, before those of the settings and behind those of the account.
    pub routes: Vec<Route>,
}

/// A DKIM key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DkimKeyRecord {
    /// RFC 6376 3.1.
    pub selector: String,
    /// The private key as PKCS#8 DER; a secret.
    pub pkcs8: Vec<u8>,
}

impl fmt::Debug for DkimKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimKeyRecord").field("selector", &self.selector).finish_non_exhaustive()
    }
}

/// An account: one application, one login, one history.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Its name; unique.
    pub name: String,
    /// The display name of mail without one.
    pub full_name: String,
    /// Argon2id in PHC string form; a secret.
    pub password_hash: String,
    /// Addresses it may send from and receives for.
    pub addresses: Vec<AddressPattern>,
    /// Login addresses whose messages get FromIDs.
    pub from_id_login_addresses: Vec<Address>,
    /// How long retired messages are kept; zero keeps none.
    pub keep_retired_messages: Duration,
    /// How long retired hooks are kept; zero keeps none.
    pub keep_retired_hooks: Duration,
    /// Wants DSNs in its Inbox.
    pub dsn_to_inbox: bool,
    /// May not log in or send.
    pub disabled: bool,
    /// Recipients of messages queued in 24 hours, at most; `None`: any number.
    pub max_outgoing_messages_per_day: Option<u64>,
    /// Of these, recipients to whom it never sent before; `None`: any number. Whom it sends to is remembered only
    /// while this is set.
    pub max_first_time_recipients_per_day: Option<u64>,
    /// Octets of the messages in its mailboxes, at most; `None`: any number.
    pub mailbox_quota: Option<u64>,
    /// Where events of outgoing messages are told.
    pub outgoing_webhook: Option<OutgoingWebhook>,
    /// Where arriving messages are told.
    pub incoming_webhook: Option<IncomingWebhook>,
    /// Signs the webhooks (Standard Webhooks); 24 random bytes; a secret.
    pub webhook_secret: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// For its mail, before all others.
    pub routes: Vec<Route>,
    /// The secret before it was replaced, which signs as well while receivers change over.
    pub replaced_secret: Option<ReplacedSecret>,
    /// The same password as in `password_hash`, for SCRAM; none where only the hash was ever seen.
    pub scram: Option<ScramKeys>,
    /// What comes again over SMTP within a day, with the same Message-ID, is queued once.
    pub deduplicate_message_id: bool,
}

/// What is kept of a password to check SCRAM-SHA-256 (RFC 5802, 3; RFC 7677). A secret: who has it can guess passwords.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramKeys {
    /// 16 random octets.
    pub salt: [u8; 16],
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: [u8; 32],
    /// ServerKey.
    pub server_key: [u8; 32],
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl AccountRecord {
    /// How long a replaced secret signs as well, where nobody says otherwise.
    pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3600);

    /// Puts another secret in the place of the one that signs webhooks, which goes on signing as well for `overlap`.
    pub fn replace_webhook_secret(&mut self, secret: Vec<u8>, now: Timestamp, overlap: Duration) {
        let replaced = std::mem::replace(&mut self.webhook_secret, secret);
        let until = now.after(overlap);
        self.replaced_secret = (!overlap.is_zero()).then_some(ReplacedSecret { secret: replaced, until });
    }

    /// The secrets that sign webhooks at `now`, the newest first.
    pub fn webhook_secrets(&self, now: Timestamp) -> impl Iterator<Item = &[u8]> {
        let older = self.older_secret(now).map(|replaced| &replaced.secret);
        [Some(&self.webhook_secret), older].into_iter().flatten().map(Vec::as_slice)
    }

    /// Until when a secret signs webhooks that was replaced; `None`: none does at `now`.
    pub fn older_secret_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.older_secret(now).map(|replaced| replaced.until)
    }

    fn older_secret(&self, now: Timestamp) -> Option<&ReplacedSecret> {
        self.replaced_secret.as_ref().filter(|replaced| now < replaced.until)
    }
}

/// A webhook secret that another has taken the place of.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplacedSecret {
    /// A secret.
    pub secret: Vec<u8>,
    /// It signs before this time.
    pub until: Timestamp,
}

impl fmt::Debug for ReplacedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplacedSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccountRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRecord")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// An address of an account, or all of a domain that no account names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressPattern {
    /// One address.
    Address(Address),
    /// `@example.com`: every other address there.
    CatchAll(Domain),
}

/// An account's outgoing webhook.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OutgoingWebhook {
    /// Where to.
    pub url: String,
    /// The `Authorization` header; a secret.
    pub authorization: Option<String>,
    /// Only these events; empty: all.
    pub events: Vec<super::EventKind>,
    /// Every event is told, rather than the newest only.
    pub every_event: bool,
}

impl fmt::Debug for OutgoingWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingWebhook")
            .field("url", &self.url)
            .field("events", &self.events)
            .field("every_event", &self.every_event)
            .finish_non_exhaustive()
    }
}

/// An account's incoming webhook.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct IncomingWebhook {
    /// Where to.
    pub url: String,
    /// The `Authorization` header; a secret.
    pub authorization: Option<String>,
}

impl fmt::Debug for IncomingWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingWebhook").field("url", &self.url).finish_non_exhaustive()
    }
}
