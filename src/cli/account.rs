//! `postrider account`: who may send.

use super::{
    OutputArgs, ServerArgs, Table,
    deed::{Deed, Noun},
    edit::Edit,
    password::{GivenPassword, PasswordArgs},
    text::local,
    webhook_secret::{WebhookSecretArgs, new_webhook_secret},
};
use crate::{directory::written, password::Password};
use actors::Clock;
use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use config::{AccountEntry, Period, Retention, Size, shown_url};
use mail::{Address, Timestamp};
use serde::Serialize;
use store::records::{AccountRecord, AddressPattern, EventKind};

/// What is done with accounts.
#[derive(Subcommand)]
pub(super) enum AccountCommand {
    /// Add an account; its password is read from standard input
    Add(AddArgs),
    /// Show all accounts
    List(ListArgs),
    /// Show an account, without its secrets
    Show(ShowArgs),
    /// Let no one log in to an account, and take no mail for it
    Disable(ChangeArgs),
    /// Make an account usable again
    Enable(ChangeArgs),
    /// Remove an account with its mailboxes; not while it has mail queued
    Remove(ChangeArgs),
    /// Change the password of an account; it is read from standard input
    Password(PasswordCommandArgs),
    /// Show the secret that signs an account's webhooks, or make a new one
    WebhookSecret(WebhookSecretArgs),
}

/// Options of `account add`.
#[derive(Args)]
pub(super) struct AddArgs {
    /// Its name
    name: String,
    /// An address that it sends from and receives for, or as @example.com all others of a domain; once for each
    #[arg(long = "address", value_name = "ADDRESS", required = true, value_parser = address)]
    addresses: Vec<AddressPattern>,
    /// The display name of mail without one
    #[arg(long, default_value = "")]
    full_name: String,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `account list`.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `account show`.
#[derive(Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which account.
#[derive(Args)]
pub(super) struct OneArgs {
    /// Its name
    pub(super) name: String,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Options of `account disable`, `account enable` and `account remove`.
#[derive(Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `account password`.
#[derive(Args)]
pub(super) struct PasswordCommandArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl AccountCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            AccountCommand::Add(args) => args.run().await,
            AccountCommand::List(args) => args.run().await,
            AccountCommand::Show(args) => args.run().await,
            AccountCommand::Disable(args) => args.set_disabled(true).await,
            AccountCommand::Enable(args) => args.set_disabled(false).await,
            AccountCommand::Remove(args) => args.remove().await,
            AccountCommand::Password(args) => args.run().await,
            AccountCommand::WebhookSecret(args) => args.run().await,
        }
    }
}

impl AddArgs {
    async fn run(self) -> anyhow::Result<()> {
        ensure!(
            AccountEntry::is_name(&self.name),
            "the name of an account must be at most 64 letters, digits, \"-\", \"_\" and \".\""
        );
        let edit = Edit::begin_or_make(&self.server).await?;
        if edit.account(&self.name).is_ok() {
            bail!("there is an account \"{}\" already; remove it first, or choose another name", self.name);
        }
        let GivenPassword { password, made_up } = self.password.password()?;
        let account = NewAccount {
            name: self.name.clone(),
            full_name: self.full_name,
            password,
            addresses: self.addresses,
        };
        let record = account.record(&edit.target.settings().retention, Clock::system().now());
        edit.put_account(record).await?;
        let deed = Deed { password: made_up, ..Deed::new(Noun::Account(self.name), "added") };
        self.output.print(&deed, |deed| with_password(deed.to_string(), deed))
    }
}

/// An account as it is made, with what it has unless it is told otherwise.
pub(super) struct NewAccount {
    /// Its name.
    pub(super) name: String,
    /// Its display name.
    pub(super) full_name: String,
    /// Its password.
    pub(super) password: Password,
    /// Its addresses.
    pub(super) addresses: Vec<AddressPattern>,
}

impl NewAccount {
    pub(super) fn record(self, retention: &Retention, now: Timestamp) -> AccountRecord {
        AccountRecord {
            name: self.name,
            full_name: self.full_name,
            password_hash: self.password.hash(),
            addresses: self.addresses,
            from_id_login_addresses: Vec::new(),
            keep_retired_messages: retention.messages,
            keep_retired_hooks: retention.hooks,
            dsn_to_inbox: true,
            disabled: false,
            max_outgoing_messages_per_day: None,
            max_first_time_recipients_per_day: None,
            mailbox_quota: None,
            outgoing_webhook: None,
            incoming_webhook: None,
            webhook_secret: new_webhook_secret(),
            created: now,
            routes: Vec::new(),
            replaced_secret: None,
            scram: Some(self.password.scram_keys()),
            deduplicate_message_id: false,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let state = self.server.target()?.access()?.directory().await?;
        let now = Clock::system().now();
        let shown: Vec<_> = state.accounts.iter().map(|account| ShownAccount::of(account, now)).collect();
        self.output.print(&shown, |accounts| {
            let mut table = Table::new(&["ACCOUNT", "ADDRESSES", ""]);
            for account in accounts {
                let state = if account.disabled { "disabled" } else { "" };
                table.row([account.name.clone(), account.addresses.join(" "), state.into()]);
            }
            table.to_string()
        })
    }
}

impl ShowArgs {
    async fn run(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let shown = ShownAccount::of(&edit.account(&self.one.name)?, Clock::system().now());
        self.output.print(&shown, ShownAccount::text)
    }
}

impl ChangeArgs {
    async fn set_disabled(self, disabled: bool) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let record = AccountRecord { disabled, ..edit.account(&self.one.name)? };
        edit.put_account(record).await?;
        self.told(if disabled { "disabled" } else { "enabled" })
    }

    async fn remove(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        edit.remove_account(self.one.name.clone()).await?;
        self.told("removed")
    }

    fn told(self, done: &'static str) -> anyhow::Result<()> {
        self.output.print(&Deed::new(Noun::Account(self.one.name), done), Deed::to_string)
    }
}

impl PasswordCommandArgs {
    async fn run(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let present = edit.account(&self.one.name)?;
        let GivenPassword { password, made_up } = self.password.password()?;
        let scram = Some(password.scram_keys());
        edit.put_account(AccountRecord { password_hash: password.hash(), scram, ..present }).await?;
        let text = format!("changed the password of account {}", self.one.name);
        let what = Noun::Account(self.one.name);
        let deed = Deed { password: made_up, ..Deed::new(what, "password changed") };
        self.output.print(&deed, |deed| with_password(text, deed))
    }
}

fn with_password(text: String, deed: &Deed) -> String {
    match &deed.password {
        Some(password) => format!("{text}\npassword: {password}"),
        None => text,
    }
}

/// An account without its secrets.
#[derive(Serialize)]
struct ShownAccount {
    name: String,
    full_name: String,
    disabled: bool,
    addresses: Vec<String>,
    from_id_login_addresses: Vec<String>,
    keep_retired_messages: String,
    keep_retired_hooks: String,
    max_outgoing_messages_per_day: Option<u64>,
    max_first_time_recipients_per_day: Option<u64>,
    mailbox_quota: Option<String>,
    dsn_to_inbox: bool,
    deduplicate_message_id: bool,
    outgoing_webhook: Option<String>,
    outgoing_webhook_events: Vec<&'static str>,
    incoming_webhook: Option<String>,
    older_webhook_secret_until: Option<Timestamp>,
    routes: Vec<String>,
    created: String,
}

impl ShownAccount {
    fn of(record: &AccountRecord, now: Timestamp) -> ShownAccount {
        let (outgoing, incoming) = (record.outgoing_webhook.as_ref(), record.incoming_webhook.as_ref());
        ShownAccount {
            name: record.name.clone(),
            full_name: record.full_name.clone(),
            disabled: record.disabled,
            addresses: record.addresses.iter().map(written).collect(),
            from_id_login_addresses: record.from_id_login_addresses.iter().map(Address::to_string).collect(),
            keep_retired_messages: Period(record.keep_retired_messages).to_string(),
            keep_retired_hooks: Period(record.keep_retired_hooks).to_string(),
            max_outgoing_messages_per_day: record.max_outgoing_messages_per_day,
            max_first_time_recipients_per_day: record.max_first_time_recipients_per_day,
            mailbox_quota: record.mailbox_quota.map(|bytes| Size(bytes).to_string()),
            dsn_to_inbox: record.dsn_to_inbox,
            deduplicate_message_id: record.deduplicate_message_id,
            outgoing_webhook: outgoing.map(|webhook| shown_url(&webhook.url).into_owned()),
            outgoing_webhook_events: outgoing.map_or_else(Vec::new, |webhook| {
                webhook.events.iter().copied().map(EventKind::name).collect()
            }),
            incoming_webhook: incoming.map(|webhook| shown_url(&webhook.url).into_owned()),
            older_webhook_secret_until: record.older_secret_until(now),
            routes: record.routes.iter().map(|route| route.transport.clone()).collect(),
            created: record.created.to_string(),
        }
    }

    fn text(&self) -> String {
        let any = "any number".to_owned();
        let number = |number: Option<u64>| number.map_or_else(|| any.clone(), |number| number.to_string());
        let none = || "none".to_owned();
        let list = |items: &[String]| if items.is_empty() { none() } else { items.join(" ") };
        let mut table = Table::new(&["", ""]);
        for (name, value) in [
            ("account", self.name.clone()),
            ("full name", self.full_name.clone()),
            ("state", if self.disabled { "disabled" } else { "enabled" }.to_owned()),
            ("addresses", list(&self.addresses)),
            ("FromID logins", list(&self.from_id_login_addresses)),
            ("messages kept", self.keep_retired_messages.clone()),
            ("webhook calls kept", self.keep_retired_hooks.clone()),
            ("recipients a day", number(self.max_outgoing_messages_per_day)),
            ("new recipients a day", number(self.max_first_time_recipients_per_day)),
            ("mailbox quota", self.mailbox_quota.clone().unwrap_or_else(none)),
            ("DSNs to the Inbox", if self.dsn_to_inbox { "yes" } else { "no" }.to_owned()),
            (
                "repeats over SMTP",
                if self.deduplicate_message_id { "queued once" } else { "queued" }.to_owned(),
            ),
            ("outgoing webhook", self.outgoing_webhook.clone().unwrap_or_else(none)),
            ("incoming webhook", self.incoming_webhook.clone().unwrap_or_else(none)),
            (
                "older webhook secret",
                self.older_webhook_secret_until
                    .map_or_else(none, |until| format!("signs as well until {}", local(until))),
            ),
            ("routes", list(&self.routes)),
            ("made", self.created.clone()),
        ] {
            table.row([name.to_owned(), value]);
        }
        table.rows_only()
    }
}

fn address(text: &str) -> Result<AddressPattern, String> {
    match text.strip_prefix('@') {
        Some(domain) => domain
            .parse()
            .map(AddressPattern::CatchAll)
            .map_err(|error: mail::AddressError| error.to_string()),
        None => {
            text.parse().map(AddressPattern::Address).map_err(|error: mail::AddressError| error.to_string())
        }
    }
}
