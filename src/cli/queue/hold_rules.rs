//! `queue hold-rules`: rules that hold messages, those in the queue and those to come.

use crate::{
    cli::{
        Access, OutputArgs, ServerArgs, Table, Usage,
        deed::{Deed, Noun},
        text::local,
    },
    control::queue::{AddRuleRequest, RemoveRuleRequest, RuleAdded, ShownRule, hold_rules},
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use mail::{Domain, HoldRuleId};

/// What is done with hold rules.
#[derive(Subcommand)]
pub(in crate::cli) enum HoldRulesCommand {
    /// Show all rules
    List(ListArgs),
    /// Hold messages that fit all that is given, those in the queue and those to come
    Add(AddArgs),
    /// Hold no more messages by a rule; those that it holds stay held
    Remove(RemoveArgs),
}

/// Options of `queue hold-rules list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `queue hold-rules add`.
#[derive(Args)]
pub(in crate::cli) struct AddArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Messages of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Messages with a MAIL FROM of this domain
    #[arg(long, value_name = "DOMAIN")]
    sender_domain: Option<Domain>,
    /// Messages to this domain
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Option<Domain>,
    /// Every message, where nothing else is given
    #[arg(long)]
    all: bool,
}

/// Options of `queue hold-rules remove`.
#[derive(Args)]
pub(in crate::cli) struct RemoveArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The rule's id
    id: u64,
}

impl HoldRulesCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            HoldRulesCommand::List(args) => args.run().await,
            HoldRulesCommand::Add(args) => args.run().await,
            HoldRulesCommand::Remove(args) => args.run().await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let rules: Vec<ShownRule> = match self.server.target()?.access()? {
            Access::Running(control) => control.get("/queue/hold-rules").await?,
            Access::Direct(store, _) => hold_rules(&store).map_err(|error| anyhow!("{error}"))?,
        };
        self.output.print(&rules, |rules| table(rules))
    }
}

impl AddArgs {
    async fn run(self) -> anyhow::Result<()> {
        let request = AddRuleRequest {
            account: self.account,
            sender_domain: self.sender_domain,
            recipient_domain: self.recipient_domain,
        };
        match (request == AddRuleRequest::default(), self.all) {
            (true, false) => {
                let usage = "say what the rule holds, or --all for every message";
                return Err(Usage(usage.to_owned()).into());
            }
            (false, true) => {
                let usage = "--all is for every message; leave it out, or the rest";
                return Err(Usage(usage.to_owned()).into());
            }
            (true, true) | (false, false) => {}
        }
        let control = self.server.target()?.control()?;
        let added: RuleAdded = control.post("/queue/hold-rules/add", &request).await?;
        self.output.print(&added, |RuleAdded { id, held }| {
            format!("hold rule {id} added; it holds {held} more in the queue")
        })
    }
}

impl RemoveArgs {
    async fn run(self) -> anyhow::Result<()> {
        let control = self.server.target()?.control()?;
        let request = RemoveRuleRequest { id: HoldRuleId(self.id) };
        control.post::<()>("/queue/hold-rules/remove", &request).await?;
        self.output.print(&Deed::new(Noun::HoldRule(self.id), "removed"), |_| {
            format!("hold rule {} removed; what it holds stays held", self.id)
        })
    }
}

fn table(rules: &[ShownRule]) -> String {
    if rules.is_empty() {
        return "no hold rules".to_owned();
    }
    let any = |value: &Option<String>| value.clone().unwrap_or_else(|| "any".to_owned());
    let mut table = Table::new(&["ID", "ACCOUNT", "SENDER DOMAIN", "RECIPIENT DOMAIN", "SINCE"]);
    for rule in rules {
        table.row([
            rule.id.to_string(),
            any(&rule.account),
            any(&rule.sender_domain),
            any(&rule.recipient_domain),
            local(rule.created),
        ]);
    }
    table.to_string()
}
