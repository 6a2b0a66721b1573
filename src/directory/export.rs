//! Domains and accounts as a directory file.

use super::{AdminPasswordHash, DirectoryState, written};
use crate::scram_text::write_scram;
use config::{Period, Size, write_webhook_secret};
use mail::{DkimKey, Route};
use serde::Serialize;
use std::time::Duration;
use store::records::{AccountRecord, DkimKeyRecord, DomainRecord, EventKind};

const HEADER: &str = "\
# The domains and accounts of a Postrider server, for `postrider directory apply`.
# It holds secrets: password hashes, DKIM keys, webhook authorizations. Keep it where only the operator can read it.
# A webhook secret that was replaced, and signs beside the new one for a while yet, is not in it.

";

/// The file that makes of an empty server what `state` is, and changes nothing where all is so already.
///
/// # Errors
/// When TOML has no way to write it, which it has for all that can be stored.
pub fn export(state: &DirectoryState) -> anyhow::Result<String> {
    let file = File {
        admin_password_hash: state.admin_password_hash.as_ref().map(|AdminPasswordHash(hash)| hash),
        domains: state.domains.iter().map(Domain::of).collect(),
        accounts: state.accounts.iter().map(Account::of).collect(),
    };
    Ok(format!("{HEADER}{}", toml::to_string_pretty(&file)?))
}

#[derive(Serialize)]
struct File<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password_hash: Option<&'s String>,
    domains: Vec<Domain>,
    accounts: Vec<Account<'s>>,
}

#[derive(Serialize)]
struct Domain {
    name: String,
    catchall_separator: char,
    disabled: bool,
    dkim: Vec<Dkim>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteEntry>,
}

#[derive(Serialize)]
struct Dkim {
    selector: String,
    key: String,
}

#[derive(Serialize)]
struct RouteEntry {
    transport: String,
    from_domains: Vec<String>,
    to_domains: Vec<String>,
    minimum_attempts: u32,
}

#[derive(Serialize)]
struct Account<'s> {
    name: &'s str,
    full_name: &'s str,
    #[serde(skip_serializing_if = "str::is_empty")]
    password_hash: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_scram: Option<String>,
    addresses: Vec<String>,
    from_id_login_addresses: Vec<String>,
    keep_retired_messages: String,
    keep_retired_hooks: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_outgoing_messages_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_first_time_recipients_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox_quota: Option<String>,
    dsn_to_inbox: bool,
    deduplicate_message_id: bool,
    disabled: bool,
    webhook_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing_webhook: Option<Outgoing<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incoming_webhook: Option<Incoming<'s>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteEntry>,
}

#[derive(Serialize)]
struct Outgoing<'s> {
    url: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<&'s str>,
    events: Vec<&'static str>,
    every_event: bool,
}

#[derive(Serialize)]
struct Incoming<'s> {
    url: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<&'s str>,
}

impl Domain {
    fn of(record: &DomainRecord) -> Domain {
        Domain {
            name: record.name.to_string(),
            catchall_separator: record.catchall_separator,
            disabled: record.disabled,
            dkim: record.dkim.iter().map(Dkim::of).collect(),
            routes: record.routes.iter().map(RouteEntry::of).collect(),
        }
    }
}

impl Dkim {
    fn of(record: &DkimKeyRecord) -> Dkim {
        Dkim { selector: record.selector.clone(), key: DkimKey::pem_from_pkcs8(&record.pkcs8) }
    }
}

impl RouteEntry {
    fn of(route: &Route) -> RouteEntry {
        let written = |domains: &[mail::DomainPattern]| domains.iter().map(ToString::to_string).collect();
        RouteEntry {
            transport: route.transport.clone(),
            from_domains: written(&route.from_domains),
            to_domains: written(&route.to_domains),
            minimum_attempts: route.minimum_attempts,
        }
    }
}

impl<'s> Account<'s> {
    fn of(record: &'s AccountRecord) -> Account<'s> {
        let period = |duration: Duration| Period(duration).to_string();
        Account {
            name: &record.name,
            full_name: &record.full_name,
            password_hash: &record.password_hash,
            // Without the hash, it is refused.
            password_scram: record
                .scram
                .as_ref()
                .filter(|_| !record.password_hash.is_empty())
                .map(write_scram),
            addresses: record.addresses.iter().map(written).collect(),
            from_id_login_addresses: record.from_id_login_addresses.iter().map(ToString::to_string).collect(),
            keep_retired_messages: period(record.keep_retired_messages),
            keep_retired_hooks: period(record.keep_retired_hooks),
            max_outgoing_messages_per_day: record.max_outgoing_messages_per_day,
            max_first_time_recipients_per_day: record.max_first_time_recipients_per_day,
            mailbox_quota: record.mailbox_quota.map(|bytes| Size(bytes).to_string()),
            dsn_to_inbox: record.dsn_to_inbox,
            deduplicate_message_id: record.deduplicate_message_id,
            disabled: record.disabled,
            webhook_secret: write_webhook_secret(&record.webhook_secret),
            outgoing_webhook: record.outgoing_webhook.as_ref().map(|webhook| Outgoing {
                url: &webhook.url,
                authorization: webhook.authorization.as_deref(),
                events: webhook.events.iter().copied().map(EventKind::name).collect(),
                every_event: webhook.every_event,
            }),
            incoming_webhook: record.incoming_webhook.as_ref().map(|webhook| Incoming {
                url: &webhook.url,
                authorization: webhook.authorization.as_deref(),
            }),
            routes: record.routes.iter().map(RouteEntry::of).collect(),
        }
    }
}
