//! `[[accounts]]`: who may send.

use super::{Located, PasswordEntry, password};
use crate::{
    Origin, Secret, routes,
    source::{Section, Value, domain, flag, http_url, mail_address, text, webhook_secret},
};
use mail::{Address, Domain, Route};
use std::{fmt, time::Duration};

/// An account.
#[derive(Clone, Debug)]
pub struct AccountEntry {
    /// Where it stands.
    pub origin: Origin,
    /// Its name: letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
    /// The display name of mail without one, at most 256 octets.
    pub full_name: String,
    /// Its password; none: it stays as it is.
    pub password: Option<Located<PasswordEntry>>,
    /// What SCRAM needs of that password, with its hash only. Not looked at here.
    pub password_scram: Option<Located<Secret>>,
    /// What it sends from and receives for, at most 10,000.
    pub addresses: Vec<Located<AddressEntry>>,
    /// Login addresses whose messages get FromIDs.
    pub from_id_login_addresses: Vec<Located<Address>>,
    /// How long history is kept; none: as the settings say.
    pub keep_retired_messages: Option<Duration>,
    /// The same for webhook calls.
    pub keep_retired_hooks: Option<Duration>,
    /// Recipients in 24 hours; none: any number.
    pub max_outgoing_messages_per_day: Option<u64>,
    /// Of these, new ones; none: any number.
    pub max_first_time_recipients_per_day: Option<u64>,
    /// Octets in its mailboxes; none: any number.
    pub mailbox_quota: Option<u64>,
    /// Wants DSNs in its Inbox.
    pub dsn_to_inbox: bool,
    /// What comes again over SMTP within a day, with the same Message-ID, is queued once.
    pub deduplicate_message_id: bool,
    /// May not log in or send.
    pub disabled: bool,
    /// Where events of outgoing messages are told.
    pub outgoing_webhook: Option<WebhookEntry>,
    /// Where arriving messages are told; without events.
    pub incoming_webhook: Option<WebhookEntry>,
    /// Signs the webhooks; none: it stays as it is.
    pub webhook_secret: Option<Vec<u8>>,
    /// For its mail, at most 1,000. Whether the transports exist is not known here.
    pub routes: Vec<Route>,
}

/// What an account sends from and receives for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressEntry {
    /// One address.
    Address(Address),
    /// `@example.com`: every other address there.
    CatchAll(Domain),
}

/// Written as in the file.
impl fmt::Display for AddressEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressEntry::Address(address) => address.fmt(f),
            AddressEntry::CatchAll(domain) => write!(f, "@{domain}"),
        }
    }
}

/// A webhook.
#[derive(Clone, Debug)]
pub struct WebhookEntry {
    /// Where to, `http` or `https`.
    pub url: String,
    /// The `Authorization` header.
    pub authorization: Option<Secret>,
    /// Only these events; empty: all.
    pub events: Vec<Located<String>>,
    /// Every event is told, rather than the newest only.
    pub every_event: bool,
}

/// Ten years, which is more than anybody asks for.
const KEEP_MAX: Duration = Duration::from_secs(3_650 * 86_400);

impl AccountEntry {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<AccountEntry> {
        let origin = section.origin();
        let name = section.required("name", account_name);
        let full_name = section.optional("full_name", full_name).unwrap_or_default();
        let password = password(&mut section, ["password", "password_file", "password_hash"]);
        let password_scram = password_scram(&mut section, password.as_ref());
        let addresses = section.located("addresses", 10_000, address);
        section.check("addresses", !addresses.is_empty(), "must name at least one address");
        let from_id_login_addresses = section.located("from_id_login_addresses", 10_000, mail_address);
        let keep_retired_messages =
            section.optional_duration("keep_retired_messages", Duration::ZERO..=KEEP_MAX);
        let keep_retired_hooks = section.optional_duration("keep_retired_hooks", Duration::ZERO..=KEEP_MAX);
        let max_outgoing = section.optional_number("max_outgoing_messages_per_day", 0..=u64::MAX >> 1);
        let max_first_time = section.optional_number("max_first_time_recipients_per_day", 0..=u64::MAX >> 1);
        let mailbox_quota = section.optional_size("mailbox_quota", 0..=u64::MAX >> 1);
        let dsn_to_inbox = section.optional("dsn_to_inbox", flag).unwrap_or(true);
        let deduplicate_message_id = section.optional("deduplicate_message_id", flag).unwrap_or(false);
        let disabled = section.optional("disabled", flag).unwrap_or(false);
        let outgoing_webhook = section.optional_section("outgoing_webhook").and_then(WebhookEntry::outgoing);
        let incoming_webhook = section.optional_section("incoming_webhook").and_then(WebhookEntry::incoming);
        let webhook_secret = section.optional("webhook_secret", webhook_secret);
        let routes = section.sections("routes", 1_000, routes::read_unchecked);
        Some(AccountEntry {
            origin,
            name: name?,
            full_name,
            password,
            password_scram,
            addresses,
            from_id_login_addresses,
            keep_retired_messages,
            keep_retired_hooks,
            max_outgoing_messages_per_day: max_outgoing,
            max_first_time_recipients_per_day: max_first_time,
            mailbox_quota,
            dsn_to_inbox,
            deduplicate_message_id,
            disabled,
            outgoing_webhook,
            incoming_webhook,
            webhook_secret,
            routes,
        })
    }

    /// Whether `name` may be the name of an account.
    pub fn is_name(name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=64).contains(&name.len()) && name.bytes().all(plain)
    }
}

impl WebhookEntry {
    fn outgoing(mut section: Section<'_, '_>) -> Option<WebhookEntry> {
        let events = section.located("events", 16, |value| text(value).map(str::to_owned));
        let every_event = section.optional("every_event", flag).unwrap_or(false);
        WebhookEntry::read(section, events, every_event)
    }

    fn incoming(section: Section<'_, '_>) -> Option<WebhookEntry> {
        WebhookEntry::read(section, Vec::new(), false)
    }

    fn read(
        mut section: Section<'_, '_>,
        events: Vec<Located<String>>,
        every_event: bool,
    ) -> Option<WebhookEntry> {
        let url = section.required("url", http_url);
        let authorization = section.secret("authorization", "authorization_file");
        Some(WebhookEntry { url: url?, authorization, events, every_event })
    }
}

/// The keys for SCRAM, which only go with a password whose text is not there: of another one they are made anew.
fn password_scram(
    section: &mut Section<'_, '_>,
    password: Option<&Located<PasswordEntry>>,
) -> Option<Located<Secret>> {
    let value = section.optional("password_scram", |value| text(value).map(Secret::new))?;
    let with_hash = password.is_some_and(|given| matches!(given.value, PasswordEntry::Hash(_)));
    section.check("password_scram", with_hash, "goes with `password_hash` only");
    let origin = section.place("password_scram").unwrap_or(Origin::Default);
    Some(Located { value, origin })
}

fn account_name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    if AccountEntry::is_name(name) {
        Ok(name.to_owned())
    } else {
        Err("must be at most 64 letters, digits, \"-\", \"_\" and \".\"".to_owned())
    }
}

fn full_name(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(name) if name.is_empty() => Ok(String::new()),
        value => match text(value)? {
            name if name.len() <= 256 => Ok(name.to_owned()),
            _ => Err("must be at most 256 bytes long".to_owned()),
        },
    }
}

fn address(value: &Value) -> Result<AddressEntry, String> {
    match text(value)?.strip_prefix('@') {
        Some(name) => domain(&Value::Text(name.to_owned())).map(AddressEntry::CatchAll),
        None => mail_address(value).map(AddressEntry::Address),
    }
}
