//! From what is stored to what a directory file wants.

use super::{AdminPasswordHash, DirectoryState, Problem, problems};
use crate::{
    password::{self, Password},
    scram_text::read_scram,
};
use config::{
    AccountEntry, AddressEntry, ConfigError, ConfigErrors, DirectoryFile, DomainEntry, Located, Origin,
    PasswordEntry, Retention, Transport, WebhookEntry,
};
use mail::{Route, Timestamp};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};
use store::{
    DirectoryChange,
    records::{
        AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord, EventKind, IncomingWebhook,
        OutgoingWebhook, ScramKeys,
    },
};

/// What a file is read in the light of.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// When.
    pub now: Timestamp,
    /// How long history is kept where an account does not say.
    pub retention: &'c Retention,
    /// The transports that routes can name.
    pub transports: &'c [Transport],
    /// Whether domains and accounts that are not in the file are removed.
    pub prune: bool,
}

/// What is to be done so that all is as a file says.
#[derive(Debug)]
pub struct Plan {
    /// For the store.
    pub change: DirectoryChange,
    /// For people.
    pub steps: Vec<Step>,
}

/// One thing that is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// How.
    pub action: Action,
    /// What sort of thing.
    pub kind: Kind,
    /// Its name; empty for the admin password.
    pub name: String,
    /// The options that change.
    pub options: Vec<&'static str>,
}

/// What is done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Added,
    /// It was there already.
    Changed,
    /// It is gone.
    Removed,
}

/// A sort of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The password of the admin pages.
    AdminPassword,
    /// A domain.
    Domain,
    /// An account.
    Account,
}

/// `changed account app: addresses, password`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Added => "added",
            Action::Changed => "changed",
            Action::Removed => "removed",
        };
        match self.kind {
            Kind::AdminPassword => write!(f, "{action} admin password")?,
            Kind::Domain => write!(f, "{action} domain {}", self.name)?,
            Kind::Account => write!(f, "{action} account {}", self.name)?,
        }
        if self.options.is_empty() { Ok(()) } else { write!(f, ": {}", self.options.join(", ")) }
    }
}

/// What makes of `state` what `file` says. Hashes the passwords that are new, which takes a while each.
///
/// # Errors
/// Everything in the file that does not go together, or not with what is stored.
pub fn plan(
    file: &DirectoryFile,
    state: &DirectoryState,
    context: &Context<'_>,
) -> Result<Plan, ConfigErrors> {
    let mut planner = Planner { context, errors: Vec::new(), steps: Vec::new() };
    let change = planner.change(file, state);
    planner.check_together(file, state, &change);
    if planner.errors.is_empty() {
        Ok(Plan { change, steps: planner.steps })
    } else {
        Err(file.errors(planner.errors))
    }
}

struct Planner<'c> {
    context: &'c Context<'c>,
    errors: Vec<ConfigError>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn change(&mut self, file: &DirectoryFile, state: &DirectoryState) -> DirectoryChange {
        self.check_names(file);
        let mut change = DirectoryChange { seen: state.generation, ..DirectoryChange::default() };
        if let Some(given) = &file.admin_password {
            let present = state.admin_password_hash.as_ref().map(|AdminPasswordHash(hash)| hash.as_str());
            let hash = self.password("admin_password", given, present);
            if hash.as_deref() != present {
                let action = if present.is_some() { Action::Changed } else { Action::Added };
                self.step(action, Kind::AdminPassword, "", Vec::new());
                change.admin_password_hash = hash;
            }
        }
        for entry in &file.domains {
            let present = state.domains.iter().find(|domain| domain.name == entry.name);
            let record = self.domain(entry, present);
            let different = present.map_or_else(Vec::new, |present| domain_differences(present, &record));
            if self.step_of(present.is_some(), Kind::Domain, record.name.as_ascii(), different) {
                change.put_domains.push(record);
            }
        }
        for entry in &file.accounts {
            let present = state.accounts.iter().find(|account| account.name == entry.name);
            let record = self.account(entry, present);
            let different = present.map_or_else(Vec::new, |present| account_differences(present, &record));
            if self.step_of(present.is_some(), Kind::Account, &record.name, different) {
                change.put_accounts.push(record);
            }
        }
        if self.context.prune {
            self.prune(file, state, &mut change);
        }
        change
    }

    fn prune(&mut self, file: &DirectoryFile, state: &DirectoryState, change: &mut DirectoryChange) {
        let gone = |account: &&AccountRecord| file.accounts.iter().all(|entry| entry.name != account.name);
        for account in state.accounts.iter().filter(gone) {
            self.step(Action::Removed, Kind::Account, &account.name, Vec::new());
            change.remove_accounts.push(account.name.clone());
        }
        let gone = |domain: &&DomainRecord| file.domains.iter().all(|entry| entry.name != domain.name);
        for domain in state.domains.iter().filter(gone) {
            self.step(Action::Removed, Kind::Domain, domain.name.as_ascii(), Vec::new());
            change.remove_domains.push(domain.name.clone());
        }
    }

    fn domain(&mut self, entry: &DomainEntry, present: Option<&DomainRecord>) -> DomainRecord {
        self.check_routes(&entry.origin, "domains.routes", &entry.routes);
        let kept = || present.map_or_else(Vec::new, |present| present.dkim.clone());
        let dkim = entry.dkim.as_ref().map(|keys| {
            let record = |key: &config::DkimEntry| DkimKeyRecord {
                selector: key.selector.clone(),
                pkcs8: key.pkcs8.clone(),
            };
            keys.iter().map(record).collect()
        });
        DomainRecord {
            name: entry.name.clone(),
            catchall_separator: entry.catchall_separator,
            disabled: entry.disabled,
            dkim: dkim.unwrap_or_else(kept),
            routes: entry.routes.clone(),
        }
    }

    fn account(&mut self, entry: &AccountEntry, present: Option<&AccountRecord>) -> AccountRecord {
        self.check_routes(&entry.origin, "accounts.routes", &entry.routes);
        let retention = self.context.retention;
        let (password_hash, new_scram) = match (&entry.password, present) {
            (Some(given), present) => {
                let hash = present.map(|present| present.password_hash.as_str());
                let hash = self.password("accounts.password", given, hash).unwrap_or_default();
                let scram = self.scram(entry, &hash, present);
                (hash, scram)
            }
            (None, Some(present)) => (present.password_hash.clone(), None),
            (None, None) => {
                let problem =
                    "is missing: a new account needs `password`, `password_file` or `password_hash`";
                self.error(&entry.origin, "accounts.password", problem.to_owned());
                (String::new(), None)
            }
        };
        // Of another password, the keys are of no use.
        let same = present.filter(|present| present.password_hash == password_hash);
        let scram = new_scram.or_else(|| same.and_then(|present| present.scram.clone()));
        let (webhook_secret, replaced_secret) = match present {
            Some(present) => (present.webhook_secret.clone(), present.replaced_secret.clone()),
            None => {
                (entry.webhook_secret.clone().unwrap_or_else(|| rand::random::<[u8; 24]>().to_vec()), None)
            }
        };
        let outgoing_webhook = entry.outgoing_webhook.as_ref().map(|webhook| self.outgoing(webhook));
        let mut record = AccountRecord {
            name: entry.name.clone(),
            full_name: entry.full_name.clone(),
            password_hash,
            addresses: entry.addresses.iter().map(|address| pattern(&address.value)).collect(),
            from_id_login_addresses: values(&entry.from_id_login_addresses),
            keep_retired_messages: entry.keep_retired_messages.unwrap_or(retention.messages),
            keep_retired_hooks: entry.keep_retired_hooks.unwrap_or(retention.hooks),
            dsn_to_inbox: entry.dsn_to_inbox,
            disabled: entry.disabled,
            max_outgoing_messages_per_day: entry.max_outgoing_messages_per_day,
            max_first_time_recipients_per_day: entry.max_first_time_recipients_per_day,
            mailbox_quota: entry.mailbox_quota,
            outgoing_webhook,
            incoming_webhook: entry.incoming_webhook.as_ref().map(|webhook| IncomingWebhook {
                url: webhook.url.clone(),
                authorization: authorization(webhook),
            }),
            webhook_secret,
            created: present.map_or(self.context.now, |present| present.created),
            routes: entry.routes.clone(),
            replaced_secret,
            scram,
            deduplicate_message_id: entry.deduplicate_message_id,
        };
        if let Some(secret) = &entry.webhook_secret
            && *secret != record.webhook_secret
        {
            record.replace_webhook_secret(secret.clone(), self.context.now, AccountRecord::SECRET_OVERLAP);
        }
        record
    }

    fn outgoing(&mut self, webhook: &WebhookEntry) -> OutgoingWebhook {
        let mut events = Vec::new();
        for Located { value, origin } in &webhook.events {
            match EventKind::ALL.into_iter().find(|kind| kind.makes_hook() && kind.name() == value) {
                Some(kind) => events.push(kind),
                None => {
                    let kinds: Vec<_> = EventKind::ALL.into_iter().filter(|kind| kind.makes_hook()).collect();
                    let names: Vec<_> = kinds.into_iter().map(EventKind::name).collect();
                    let problem = format!("must be one of {}, not {value:?}", names.join(", "));
                    self.error(origin, "accounts.outgoing_webhook.events", problem);
                }
            }
        }
        OutgoingWebhook {
            url: webhook.url.clone(),
            authorization: authorization(webhook),
            events,
            every_event: webhook.every_event,
        }
    }

    /// The hash to store: the present one where it is that of the given password.
    fn password(
        &mut self,
        key: &str,
        given: &Located<PasswordEntry>,
        present: Option<&str>,
    ) -> Option<String> {
        match &given.value {
            PasswordEntry::Hash(hash) if password::is_hash(hash.expose()) => Some(hash.expose().to_owned()),
            PasswordEntry::Hash(_) => {
                let problem = "is not an Argon2id hash, which begins with $argon2id$".to_owned();
                self.error(&given.origin, &format!("{key}_hash"), problem);
                None
            }
            PasswordEntry::Plain(plain) => match Password::new(plain.expose()) {
                Ok(password) => match present {
                    Some(present) if password.matches(present) => Some(present.to_owned()),
                    _ => Some(password.hash()),
                },
                Err(error) => {
                    self.error(&given.origin, key, error.to_string());
                    None
                }
            },
        }
    }

    /// What SCRAM needs of a password that is new, or what the file says that it needs.
    fn scram(
        &mut self,
        entry: &AccountEntry,
        hash: &str,
        present: Option<&AccountRecord>,
    ) -> Option<ScramKeys> {
        if let Some(Located { value, origin }) = &entry.password_scram {
            let keys = read_scram(value.expose());
            if keys.is_none() {
                let problem = "must be SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, with 4,096 to 100,000 \
                               iterations and a salt of 16 octets in base64"
                    .to_owned();
                self.error(origin, "accounts.password_scram", problem);
            }
            return keys;
        }
        match &entry.password.as_ref()?.value {
            PasswordEntry::Plain(plain) if present.is_none_or(|present| present.password_hash != hash) => {
                Password::new(plain.expose()).ok().map(|password| password.scram_keys())
            }
            PasswordEntry::Plain(_) | PasswordEntry::Hash(_) => None,
        }
    }

    fn check_names(&mut self, file: &DirectoryFile) {
        let mut seen = std::collections::BTreeSet::new();
        for domain in &file.domains {
            if !seen.insert(domain.name.as_ascii().to_owned()) {
                self.error(&domain.origin, "domains.name", format!("{} is there twice", domain.name));
            }
        }
        seen.clear();
        for account in &file.accounts {
            if !seen.insert(account.name.clone()) {
                self.error(&account.origin, "accounts.name", format!("\"{}\" is there twice", account.name));
            }
        }
    }

    fn check_routes(&mut self, origin: &Origin, key: &str, routes: &[Route]) {
        for route in routes {
            if !self.context.transports.iter().any(|transport| transport.name == route.transport) {
                let problem = format!(
                    "\"{}\" must be the name of one of the [[transports]] of the settings",
                    route.transport
                );
                self.error(origin, key, problem);
            }
        }
    }

    fn check_together(&mut self, file: &DirectoryFile, state: &DirectoryState, change: &DirectoryChange) {
        // Twice the same name would only be told in other words.
        if !self.errors.is_empty() {
            return;
        }
        let mut domains: BTreeMap<_, _> = state.domains.iter().map(|domain| (&domain.name, domain)).collect();
        domains.extend(change.put_domains.iter().map(|domain| (&domain.name, domain)));
        domains.retain(|name, _| !change.remove_domains.contains(name));
        let mut accounts: BTreeMap<_, _> =
            state.accounts.iter().map(|account| (&account.name, account)).collect();
        accounts.extend(change.put_accounts.iter().map(|account| (&account.name, account)));
        accounts.retain(|name, _| !change.remove_accounts.contains(name));
        for problem in problems(domains.into_values(), accounts.into_values()) {
            let origin = place(file, &problem);
            self.error(&origin, &format!("accounts.{}", problem.option), problem.text);
        }
    }

    /// Whether there is something to do.
    fn step_of(&mut self, present: bool, kind: Kind, name: &str, different: Vec<&'static str>) -> bool {
        match (present, different.is_empty()) {
            (false, _) => self.step(Action::Added, kind, name, Vec::new()),
            (true, false) => self.step(Action::Changed, kind, name, different),
            (true, true) => return false,
        }
        true
    }

    fn step(&mut self, action: Action, kind: Kind, name: &str, options: Vec<&'static str>) {
        self.steps.push(Step { action, kind, name: name.to_owned(), options });
    }

    fn error(&mut self, origin: &Origin, key: &str, problem: String) {
        self.errors.push(ConfigError { origin: origin.clone(), key: key.to_owned(), problem });
    }
}

/// Where the address with the problem stands; an account that is only stored has no place in the file.
fn place(file: &DirectoryFile, problem: &Problem) -> Origin {
    let Some(entry) = file.accounts.iter().find(|entry| entry.name == problem.account) else {
        return Origin::Default;
    };
    let addresses = entry.addresses.iter().map(|address| (address.value.to_string(), &address.origin));
    let logins = entry.from_id_login_addresses.iter().map(|login| (login.value.to_string(), &login.origin));
    let of_option: Vec<_> =
        if problem.option == "addresses" { addresses.collect() } else { logins.collect() };
    let found = of_option.into_iter().rev().find(|(text, _)| *text == problem.address);
    found.map_or(&entry.origin, |(_, origin)| origin).clone()
}

fn pattern(entry: &AddressEntry) -> AddressPattern {
    match entry {
        AddressEntry::Address(address) => AddressPattern::Address(address.clone()),
        AddressEntry::CatchAll(domain) => AddressPattern::CatchAll(domain.clone()),
    }
}

fn values<T: Clone>(located: &[Located<T>]) -> Vec<T> {
    located.iter().map(|item| item.value.clone()).collect()
}

fn authorization(webhook: &WebhookEntry) -> Option<String> {
    webhook.authorization.as_ref().map(|secret| secret.expose().to_owned())
}

/// The options by which they differ, by their names in the file.
fn domain_differences(one: &DomainRecord, other: &DomainRecord) -> Vec<&'static str> {
    let DomainRecord { name: _, catchall_separator, disabled, dkim, routes } = one;
    named([
        ("catchall_separator", *catchall_separator != other.catchall_separator),
        ("disabled", *disabled != other.disabled),
        ("dkim", *dkim != other.dkim),
        ("routes", *routes != other.routes),
    ])
}

fn account_differences(one: &AccountRecord, other: &AccountRecord) -> Vec<&'static str> {
    let AccountRecord {
        name: _,
        full_name,
        password_hash,
        addresses,
        from_id_login_addresses,
        keep_retired_messages,
        keep_retired_hooks,
        dsn_to_inbox,
        disabled,
        max_outgoing_messages_per_day,
        max_first_time_recipients_per_day,
        mailbox_quota,
        outgoing_webhook,
        incoming_webhook,
        webhook_secret,
        created: _,
        routes,
        // Follows from `webhook_secret`.
        replaced_secret: _,
        scram,
        deduplicate_message_id,
    } = one;
    named([
        ("full_name", *full_name != other.full_name),
        ("password", *password_hash != other.password_hash),
        // Of another password, they follow from it.
        ("password_scram", *password_hash == other.password_hash && *scram != other.scram),
        ("addresses", *addresses != other.addresses),
        ("from_id_login_addresses", *from_id_login_addresses != other.from_id_login_addresses),
        ("keep_retired_messages", *keep_retired_messages != other.keep_retired_messages),
        ("keep_retired_hooks", *keep_retired_hooks != other.keep_retired_hooks),
        (
            "max_outgoing_messages_per_day",
            *max_outgoing_messages_per_day != other.max_outgoing_messages_per_day,
        ),
        (
            "max_first_time_recipients_per_day",
            *max_first_time_recipients_per_day != other.max_first_time_recipients_per_day,
        ),
        ("mailbox_quota", *mailbox_quota != other.mailbox_quota),
        ("dsn_to_inbox", *dsn_to_inbox != other.dsn_to_inbox),
        ("disabled", *disabled != other.disabled),
        ("outgoing_webhook", *outgoing_webhook != other.outgoing_webhook),
        ("incoming_webhook", *incoming_webhook != other.incoming_webhook),
        ("webhook_secret", *webhook_secret != other.webhook_secret),
        ("routes", *routes != other.routes),
        ("deduplicate_message_id", *deduplicate_message_id != other.deduplicate_message_id),
    ])
}

fn named<const N: usize>(options: [(&'static str, bool); N]) -> Vec<&'static str> {
    options.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}
