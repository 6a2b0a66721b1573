//! `account webhook-secret`: what signs an account's webhooks, and how it is changed.

use super::{OutputArgs, account::OneArgs, edit::Edit, password, text::local};
use actors::Clock;
use anyhow::{Context, bail};
use clap::Args;
use config::{Period, read_webhook_secret, write_webhook_secret};
use mail::Timestamp;
use serde::Serialize;
use std::time::Duration;
use store::records::AccountRecord;

/// An old secret that signs for longer is one that nobody has replaced.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Options of `account webhook-secret`.
#[derive(Args)]
pub(super) struct WebhookSecretArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Make a new secret; the present one signs as well for a while
    #[arg(long)]
    rotate: bool,
    /// How long the present secret signs as well, at most 30d; 0s: no longer [default: 24h]
    #[arg(long, value_name = "DURATION", requires = "rotate", value_parser = overlap)]
    overlap: Option<Period>,
    /// Read the new secret from standard input, instead of making it up
    #[arg(long, requires = "rotate")]
    stdin: bool,
}

/// What signs webhooks.
#[derive(Debug, Serialize)]
struct ShownSecret {
    secret: String,
    /// Until when the secret before it signs as well.
    older_signs_until: Option<Timestamp>,
}

impl WebhookSecretArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let edit = Edit::begin(&self.one.server).await?;
        let mut record = edit.account(&self.one.name)?;
        if self.rotate {
            let secret = if self.stdin { given()? } else { new_webhook_secret() };
            if secret == record.webhook_secret {
                bail!("that is the secret of the account already; nothing was changed");
            }
            let overlap = self.overlap.map_or(AccountRecord::SECRET_OVERLAP, |Period(overlap)| overlap);
            if record.older_secret_until(now).is_some() {
                eprintln!("the secret before the last one signs no more");
            }
            record.replace_webhook_secret(secret, now, overlap);
            edit.put_account(record.clone()).await?;
        }
        let shown = ShownSecret {
            secret: write_webhook_secret(&record.webhook_secret),
            older_signs_until: record.older_secret_until(now),
        };
        self.output.print(&shown, |shown| shown.secret.clone())?;
        // Beside the secret, so that a script has that alone.
        if let Some(until) = shown.older_signs_until
            && !self.output.json
        {
            eprintln!("the secret before it signs as well until {}", local(until));
        }
        Ok(())
    }
}

/// A secret that nobody can guess.
pub(super) fn new_webhook_secret() -> Vec<u8> {
    rand::random::<[u8; 24]>().to_vec()
}

fn given() -> anyhow::Result<Vec<u8>> {
    let text = password::given("Webhook secret: ")?;
    let text = text.context("there is no webhook secret on standard input; give one there, or no --stdin")?;
    read_webhook_secret(&text).context("the webhook secret on standard input")
}

fn overlap(text: &str) -> Result<Period, String> {
    match text.parse::<Period>() {
        Ok(period) if period.0 <= OVERLAP_MAX => Ok(period),
        Ok(_) => Err("at most 30d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
