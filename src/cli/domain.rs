//! `postrider domain`: the domains that mail is sent from.

use super::{
    OutputArgs, ServerArgs, Table, Target,
    deed::{Deed, Noun},
    edit::Edit,
};
use crate::{
    dns::{Checked, Facts, Lookups, Record, check, dkim_records, records, tlsa, to_zone},
    tls::read_certificate,
};
use actors::Clock;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use config::Tls;
use jiff::{Timestamp as Moment, tz::TimeZone};
use mail::{Address, DkimKey, Domain, Timestamp};
use serde::Serialize;
use std::net::IpAddr;
use store::records::{DkimKeyRecord, DomainRecord};

/// What is done with domains.
#[derive(Subcommand)]
pub(super) enum DomainCommand {
    /// Add a domain, with new DKIM keys, Ed25519 and RSA
    Add(AddArgs),
    /// Show all domains
    List(ListArgs),
    /// Show a domain, and the DNS records it needs
    Show(ShowArgs),
    /// Look up whether the DNS records of a domain are there; status 1 when one that mail needs is not
    Check(ShowArgs),
    /// Let nothing be sent from a domain
    Disable(ChangeArgs),
    /// Let mail be sent from a domain again
    Enable(ChangeArgs),
    /// Remove a domain that no account has addresses in
    Remove(ChangeArgs),
}

/// Options of `domain add`.
#[derive(Args)]
pub(super) struct AddArgs {
    /// Its name
    #[arg(value_parser = domain)]
    name: Domain,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `domain list`.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `domain show` and `domain check`.
#[derive(Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `domain disable`, `domain enable` and `domain remove`.
#[derive(Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which domain.
#[derive(Args)]
pub(super) struct OneArgs {
    /// Its name
    #[arg(value_parser = domain)]
    name: Domain,
    #[command(flatten)]
    server: ServerArgs,
}

impl DomainCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            DomainCommand::Add(args) => args.run().await,
            DomainCommand::List(args) => args.run().await,
            DomainCommand::Show(args) => args.show().await,
            DomainCommand::Check(args) => args.check().await,
            DomainCommand::Disable(args) => args.set_disabled(true).await,
            DomainCommand::Enable(args) => args.set_disabled(false).await,
            DomainCommand::Remove(args) => args.remove().await,
        }
    }
}

impl AddArgs {
    async fn run(self) -> anyhow::Result<()> {
        let edit = Edit::begin_or_make(&self.server).await?;
        if edit.domain(&self.name).is_ok() {
            bail!("there is the domain {} already; see: postrider domain show {0}", self.name);
        }
        edit.put_domain(new_domain(self.name.clone(), Clock::system().now())?).await?;
        let dir = self.server.localserve_dir().map(|dir| format!(" --dir {}", dir.display()));
        let deed = Deed::new(Noun::Domain(self.name.to_string()), "added");
        self.output.print(&deed, |deed| {
            let show = format!("postrider domain show {}{}", self.name, dir.unwrap_or_default());
            format!("{deed}\nits DNS records are shown by: {show}")
        })
    }
}

/// A domain with new keys, whose selectors carry the day, so that those of another day never have the same.
pub(super) fn new_domain(name: Domain, now: Timestamp) -> anyhow::Result<DomainRecord> {
    let day =
        Moment::from_millisecond(now.as_millis())?.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string();
    Ok(DomainRecord {
        name,
        catchall_separator: '+',
        disabled: false,
        dkim: vec![
            DkimKeyRecord { selector: format!("ed{day}"), pkcs8: DkimKey::generate_ed25519()? },
            DkimKeyRecord { selector: format!("rsa{day}"), pkcs8: DkimKey::generate_rsa()? },
        ],
        routes: Vec::new(),
    })
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let state = self.server.target()?.access()?.directory().await?;
        let listed: Vec<_> = state.domains.iter().map(ShownDomain::of).collect();
        self.output.print(&listed, |domains| {
            let mut table = Table::new(&["DOMAIN", "DKIM SELECTORS", ""]);
            for domain in domains {
                let state = if domain.disabled { "disabled" } else { "" };
                table.row([domain.name.clone(), domain.selectors.join(" "), state.into()]);
            }
            table.to_string()
        })
    }
}

impl ShowArgs {
    async fn show(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let domain = edit.domain(&self.one.name)?;
        let target = edit.end();
        let has_host = target.settings().hostname.is_some();
        let records = match has_host {
            true => needed(&target, &domain, &[], &postmaster(&domain.name)?)?,
            false => dkim_records(&domain),
        };
        let shown = WithRecords { domain: ShownDomain::of(&domain), records };
        self.output.print(&shown, |shown| {
            let state = if shown.domain.disabled { " (disabled)" } else { "" };
            let what = match has_host {
                true => "the DNS records it needs",
                false => {
                    "the records of its DKIM keys\n; the others lead to the hostname of the settings, which is not set; \
                     a localserve has none and needs none of them"
                }
            };
            let zone = to_zone(shown.records.iter().map(|record| (record, None)));
            format!("; {}{state}: {what}\n\n{zone}", shown.domain.name)
        })
    }

    async fn check(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let domain = edit.domain(&self.one.name)?;
        let checked = looked_up(&edit.end(), &domain, &[], &postmaster(&domain.name)?).await?;
        self.output.print(&checked, |checked| zone_of(checked))?;
        match checked.iter().filter(|one| one.is_bad()).count() {
            0 => Ok(()),
            bad => bail!("{bad} of the DNS records that mail needs are not as they should be, or not known"),
        }
    }
}

impl ChangeArgs {
    async fn set_disabled(self, disabled: bool) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        let record = DomainRecord { disabled, ..edit.domain(&self.one.name)? };
        edit.put_domain(record).await?;
        self.told(if disabled { "disabled" } else { "enabled" })
    }

    async fn remove(self) -> anyhow::Result<()> {
        let edit = Edit::begin(&self.one.server).await?;
        edit.remove_domain(self.one.name.clone()).await?;
        self.told("removed")
    }

    fn told(self, done: &'static str) -> anyhow::Result<()> {
        self.output.print(&Deed::new(Noun::Domain(self.one.name.to_string()), done), Deed::to_string)
    }
}

/// The records of a domain, each looked up. `own` are addresses of this machine, for a host that has none in DNS yet.
pub(super) async fn looked_up(
    target: &Target,
    domain: &DomainRecord,
    own: &[IpAddr],
    contact: &Address,
) -> anyhow::Result<Vec<Checked>> {
    let lookups = Lookups::new(&target.settings().dns)?;
    let mut addresses = lookups.addresses(hostname(target)?.as_ascii()).await;
    if addresses.is_empty() {
        addresses = own.to_vec();
    }
    Ok(check(&lookups, needed(target, domain, &addresses, contact)?).await)
}

/// As lines of a zone file, with what was found.
pub(super) fn zone_of(checked: &[Checked]) -> String {
    to_zone(checked.iter().map(|one| (&one.record, Some(&one.finding))))
}

fn needed(
    target: &Target,
    domain: &DomainRecord,
    addresses: &[IpAddr],
    contact: &Address,
) -> anyhow::Result<Vec<Record>> {
    let certificate = match &target.settings().tls {
        Tls::Files { cert, key } => {
            read_certificate(cert, key)?.end_entity_cert().ok().and_then(|cert| tlsa(cert))
        }
        Tls::Off | Tls::Acme(_) => None,
    };
    Ok(records(&Facts {
        domain,
        host: hostname(target)?,
        addresses,
        contact,
        tlsa: certificate.as_deref(),
        now: Clock::system().now(),
    }))
}

fn hostname(target: &Target) -> anyhow::Result<&Domain> {
    let hostname = target.settings().hostname.as_ref();
    hostname.context("the settings have no hostname, which DNS records lead to; set it (a localserve has none, and needs no records)")
}

fn postmaster(domain: &Domain) -> anyhow::Result<Address> {
    Ok(Address::parse(&format!("postmaster@{}", domain.as_ascii()))?)
}

fn domain(text: &str) -> Result<Domain, String> {
    match Domain::parse(text) {
        Ok(domain) if domain.is_literal() => Err("give a name, not an address".into()),
        Ok(domain) => Ok(domain),
        Err(error) => Err(error.to_string()),
    }
}

/// A domain without its secrets.
#[derive(Serialize)]
struct ShownDomain {
    name: String,
    disabled: bool,
    catchall_separator: char,
    selectors: Vec<String>,
}

#[derive(Serialize)]
struct WithRecords {
    #[serde(flatten)]
    domain: ShownDomain,
    records: Vec<Record>,
}

impl ShownDomain {
    fn of(record: &DomainRecord) -> ShownDomain {
        ShownDomain {
            name: record.name.to_string(),
            disabled: record.disabled,
            catchall_separator: record.catchall_separator,
            selectors: record.dkim.iter().map(|key| key.selector.clone()).collect(),
        }
    }
}
