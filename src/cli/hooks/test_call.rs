//! `hooks test`: a call to see whether a webhook works.

use super::{filter::KindArg, shown::result};
use crate::{
    cli::{OutputArgs, ServerArgs, text::harmless},
    control::hooks::{TestCallRequest, TestedCall},
};
use anyhow::bail;
use clap::Args;
use std::fmt::Write;

/// Options of `hooks test`.
#[derive(Args)]
pub(in crate::cli) struct TestArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The account whose webhook is called
    #[arg(long, value_name = "NAME")]
    account: String,
    /// Which of its webhooks
    #[arg(long, value_enum, default_value_t = KindArg::Outgoing)]
    kind: KindArg,
    /// Call this URL rather than that of the webhook, and then without its Authorization
    #[arg(long, value_name = "URL", value_parser = config::http_url)]
    url: Option<String>,
}

impl TestArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let control = self.server.target()?.control()?;
        let request = TestCallRequest { account: self.account, kind: self.kind.into(), url: self.url };
        let call: TestedCall = control.post("/hooks/test", &request).await?;
        self.output.print(&call, in_words)?;
        if !call.attempt.success {
            bail!("the call failed: {}", call.attempt.error);
        }
        Ok(())
    }
}

fn in_words(call: &TestedCall) -> String {
    let attempt = &call.attempt;
    let mut text = format!("POST {}\n", harmless(&attempt.url));
    for (name, value) in &call.headers {
        let _ = writeln!(text, "{name}: {}", harmless(value));
    }
    let _ = write!(text, "\n{}\n\n{}, after {} ms\n", body(&call.body), result(attempt), attempt.duration_ms);
    for line in attempt.response.lines() {
        let _ = writeln!(text, "{}", harmless(line));
    }
    text
}

/// JSON, as people like it.
fn body(sent: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(sent);
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
    pretty.unwrap_or_else(|_| harmless(sent))
}
